//! Who keeps answers warm, and how is it set up?

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::origin::{Origin, READY_PATH};
use crate::error::BenchError;
use crate::pinning::Side;
use crate::server::{Place, Program, Server};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The gateway, with `refresh_ahead`.
    Ahead,
    /// The gateway, with `stale_while_revalidate`.
    Revalidate,
    /// The gateway, with neither.
    Plain,
    /// nginx, which updates in the background.
    Nginx,
}

impl Which {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ahead => "farmgate, refresh_ahead",
            Self::Revalidate => "farmgate, stale_while_revalidate",
            Self::Plain => "farmgate, neither",
            Self::Nginx => "nginx, background update",
        }
    }

    fn policy(self, fresh: Duration) -> String {
        let rest = match self {
            Self::Ahead => ", refresh_ahead: true",
            Self::Revalidate => ", stale_while_revalidate: 1h",
            Self::Plain | Self::Nginx => "",
        };
        format!("fresh: {}s, share: everyone{rest}", fresh.as_secs())
    }
}

/// What a server is set up with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// How long an answer is fresh, in whole seconds.
    pub(crate) fresh: Duration,
    /// Further keys of the gateway's policy, in flow style.
    pub(crate) policy: &'static str,
    /// Further lines of the gateway's pool.
    pub(crate) pool: String,
}

/// A server that runs, in front of an origin of its own.
pub(crate) struct Contender {
    /// Which.
    pub(crate) which: Which,
    /// The server.
    pub(crate) server: Server,
    /// Its origin, which nobody else asks.
    pub(crate) origin: Origin,
}

impl Contender {
    /// Starts it in front of an origin that takes so long.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(
        which: Which,
        setting: &Setting,
        delay: Duration,
        gateway: &Path,
    ) -> Result<Self, BenchError> {
        let origin = Origin::start(delay)?;
        let place = Place::new(origin.address());
        let program = match which {
            Which::Nginx => nginx(&place, setting)?,
            _ => farmgate(&place, which, setting, gateway)?,
        };
        Ok(Self { which, server: Server::start(which.name(), place, program)?, origin })
    }
}

fn farmgate(
    place: &Place,
    which: Which,
    setting: &Setting,
    gateway: &Path,
) -> Result<Program, BenchError> {
    let policy = format!("{{{}{}}}", which.policy(setting.fresh), setting.policy);
    let conf = include_str!("../../data/warmth.yaml").replace("{policy}", &policy);
    let conf = place.write("conf/gateway.yaml", &conf)?;
    let pool = format!("peers:\n  - address: {{origin}}\n{}", setting.pool);
    place.write("upstreams/origin.yaml", &pool)?;
    Ok(Program {
        path: gateway.to_owned(),
        side: Side::Anywhere,
        arguments: vec!["run".into(), "--config".into(), conf.display().to_string()],
        environment: vec![("RUST_LOG", "warn".to_owned())],
        access_log: place.said(),
        ready_path: READY_PATH,
    })
}

fn nginx(place: &Place, setting: &Setting) -> Result<Program, BenchError> {
    let conf = include_str!("../../data/warmth.nginx.conf");
    let conf = conf.replace("{fresh_s}", &setting.fresh.as_secs().to_string());
    let conf = place.write("nginx.conf", &conf)?;
    let arguments = ["-c", &conf.display().to_string(), "-e", "stderr"].map(str::to_owned);
    Ok(Program {
        path: PathBuf::from("nginx"),
        side: Side::Anywhere,
        arguments: arguments.to_vec(),
        environment: Vec::new(),
        access_log: place.said(),
        ready_path: READY_PATH,
    })
}
