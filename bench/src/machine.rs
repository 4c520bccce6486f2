//! On what, with what and when was it measured?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use crate::error::{BenchError, Trying};
use crate::peer::Kind;

/// The circumstances of a run: enough to judge its figures, and nothing that names a place.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Circumstances {
    /// When it began.
    pub(crate) date: String,
    /// The command.
    pub(crate) command: String,
    /// The commit that was checked out; `+` when sources differed from it.
    pub(crate) revision: String,
    /// Cores.
    pub(crate) cores: usize,
    /// The processor.
    pub(crate) cpu: String,
    /// The kernel.
    pub(crate) kernel: String,
    /// Load of the machine just before.
    pub(crate) load_average: String,
    /// What ran where.
    pub(crate) pinning: String,
    /// The profile of the gateway's build: the name of the directory that it lies in.
    pub(crate) gateway_profile: String,
    /// Whether this program, and the origin in it, was built with optimisation.
    pub(crate) optimised_origin: bool,
    /// What each program calls itself.
    pub(crate) versions: Vec<String>,
}

impl Circumstances {
    /// Those of now; `is_named` tells whether the gateway's program was named by hand.
    pub(crate) fn now(command: String, gateway: &Path, is_named: bool, pinning: String) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let profile = gateway.parent().and_then(Path::file_name).unwrap_or_default();
        Self {
            date: said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])),
            command,
            revision: if is_named { ELSEWHERE.to_owned() } else { revision() },
            // Not `available_parallelism`: this process is pinned to one core by now.
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            cpu: model.map_or("", |model| model.trim_start_matches([' ', '\t', ':'])).to_owned(),
            kernel: said(Command::new("uname").arg("-sr")),
            load_average: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
            pinning,
            gateway_profile: profile.to_string_lossy().into_owned(),
            optimised_origin: !cfg!(debug_assertions),
            versions: vec![said(Command::new(gateway).arg("--version"))],
        }
    }

    /// As a list for people.
    pub(crate) fn lines(&self) -> String {
        let Self { date, command, revision, cores, cpu, kernel, load_average, pinning, .. } = self;
        let (versions, gateway_profile) = (self.versions.join(", "), &self.gateway_profile);
        format!(
            "* {date}, `{command}`, revision {revision}\n\
             * {cores} cores, {cpu}, {kernel}; load average before: {load_average}\n\
             * {pinning}\n\
             * {versions}\n\
             * The gateway's build profile is `{gateway_profile}`.\n"
        )
    }

    /// Whether the machine had other work just before, in words.
    pub(crate) fn idle(&self) -> &'static str {
        let before: f64 = self
            .load_average
            .split(' ')
            .next()
            .and_then(|load| load.parse().ok())
            .unwrap_or(f64::NAN);
        if before < IDLE_LOAD_MAX {
            "The machine was idle before."
        } else {
            "The machine was not idle: other work shared its cores, and waits are longer for it."
        }
    }

    /// With what the peers and wrk call themselves.
    pub(crate) fn with_peers(mut self, kinds: &[Kind]) -> Self {
        if kinds.contains(&Kind::Nginx) {
            let nginx = said(Command::new("nginx").arg("-v"));
            self.versions.push(nginx.replace("nginx version: ", ""));
        }
        if kinds.contains(&Kind::Caddy) {
            self.versions.push(format!("caddy {}", said(Command::new("caddy").arg("version"))));
        }
        let wrk = said(Command::new("wrk").arg("-v"));
        self.versions.push(wrk.split(" [").next().unwrap_or_default().to_owned());
        self
    }
}

/// The gateway's program: the one that was named, else the one that was built beside this one.
///
/// # Errors
/// When it is not there.
pub(crate) fn gateway_program(named: Option<&Path>) -> Result<PathBuf, BenchError> {
    let own = std::env::current_exe().trying(|| "find this program's own place".into())?;
    let gateway = named.map_or_else(|| own.with_file_name("farmgate"), Path::to_owned);
    gateway.canonicalize().map_err(|_| BenchError::Missing {
        program: gateway.display().to_string(),
        remedy: "build it with `cargo build --release -p farmgate`".to_owned(),
    })
}

/// Whether a program can be run at all.
pub(crate) fn is_there(program: &str) -> bool {
    let found = |folder: std::path::PathBuf| folder.join(program).is_file();
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(found))
}

fn revision() -> String {
    let commit = said(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]));
    let changes =
        said(Command::new("git").args(["status", "--porcelain", "--", "src", "Cargo.lock"]));
    if changes == UNKNOWN { commit } else { format!("{commit}+") }
}

/// Load of the last minute below which a machine counts as idle.
const IDLE_LOAD_MAX: f64 = 0.5;

/// What a program says that says nothing.
const UNKNOWN: &str = "unknown";

/// The revision of a gateway that was named: it need not be of this checkout.
const ELSEWHERE: &str = "unknown (`--gateway`)";

/// The first line that a program says, on stdout or else on stderr: nginx names itself there.
pub(crate) fn said(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return UNKNOWN.to_owned() };
    let line = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().next().map(str::to_owned);
    line(&output.stdout).or_else(|| line(&output.stderr)).unwrap_or_else(|| UNKNOWN.to_owned())
}
