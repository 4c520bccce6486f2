//! Who is measured, and how many hashes has it computed?

use std::path::Path;

use super::farm::{Farm, JWT_SECRET, PEPPER, clients_json};
use super::forgetful::{DATABASE_URL, HASHES_PATH};
use super::job::ORDINARY_PATH;
use crate::client::get;
use crate::cpu;
use crate::error::{BenchError, Trying};
use crate::origin::Origin;
use crate::pinning::Side;
use crate::server::{Place, Program, Server};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The gateway.
    Farmgate,
    /// No memory of keys, and as many hashes at once as are asked for.
    Forgetful,
    /// No memory of keys, and as many hashes at once as the gateway computes.
    ForgetfulOneThread,
}

impl Which {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Farmgate => "farmgate",
            Self::Forgetful => "no memory",
            Self::ForgetfulOneThread => "no memory, 1 thread",
        }
    }

    /// Whether it remembers keys.
    pub(crate) fn remembers(self) -> bool {
        self == Self::Farmgate
    }
}

/// A server that runs.
pub(crate) struct Contender {
    /// Which.
    pub(crate) which: Which,
    /// The server.
    pub(crate) server: Server,
}

impl Contender {
    /// Starts it over these tables and in front of this origin.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(
        which: Which,
        farm: &Farm,
        origin: &Origin,
        gateway: &Path,
    ) -> Result<Self, BenchError> {
        let place = Place::new(origin.address());
        let program = match which {
            Which::Farmgate => farmgate(&place, farm, gateway)?,
            Which::Forgetful => forgetful(&place, farm, None)?,
            Which::ForgetfulOneThread => forgetful(&place, farm, Some(1))?,
        };
        Ok(Self { which, server: Server::start(which.name(), place, program)? })
    }

    /// How many hashes it has computed so far.
    ///
    /// # Errors
    /// When it does not say.
    pub(crate) async fn hashes(&self) -> Result<u64, String> {
        let counted = if self.which.remembers() {
            let answer = get(self.server.admin(), "/metrics").await;
            let answer = answer.map_err(|error| error.to_string())?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            harness::metric(&text, "farmgate_key_hashes_total", &[]).map(|count| count as u64)
        } else {
            let answer = get(self.server.address(), HASHES_PATH).await;
            let answer = answer.map_err(|error| error.to_string())?;
            String::from_utf8_lossy(&answer.body).parse().ok()
        };
        counted.ok_or_else(|| "it does not say how many hashes it computed".to_owned())
    }

    /// The processor time that it has used so far, in microseconds.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn cpu_us(&self) -> Result<u64, String> {
        let processes = self.server.processes().map_err(|error| error.to_string())?;
        cpu::used_us(&processes).map_err(|error| error.to_string())
    }
}

fn farmgate(place: &Place, farm: &Farm, gateway: &Path) -> Result<Program, BenchError> {
    let conf = place.write("conf/gateway.yaml", include_str!("../../data/tokens.yaml"))?;
    place.write("upstreams/origin.yaml", "peers:\n  - address: {origin}\n")?;
    Ok(Program {
        path: gateway.to_owned(),
        side: Side::Anywhere,
        arguments: vec!["run".into(), "--config".into(), conf.display().to_string()],
        environment: vec![
            ("BENCH_JWT_SECRET", JWT_SECRET.to_owned()),
            ("BENCH_HMAC_CLIENTS", clients_json()),
            ("BENCH_PEPPER", PEPPER.to_owned()),
            (DATABASE_URL, farm.url()),
        ],
        access_log: place.said(),
        ready_path: ORDINARY_PATH,
    })
}

fn forgetful(place: &Place, farm: &Farm, threads: Option<usize>) -> Result<Program, BenchError> {
    let own = std::env::current_exe().trying(|| "find this program's own place".into())?;
    let mut arguments = vec!["forgetful".to_owned(), "--listen".into(), place.listen().to_string()];
    if let Some(threads) = threads {
        arguments.extend(["--hash-threads".to_owned(), threads.to_string()]);
    }
    Ok(Program {
        path: own,
        side: Side::Anywhere,
        arguments,
        environment: vec![(DATABASE_URL, farm.url())],
        access_log: place.said(),
        ready_path: ORDINARY_PATH,
    })
}
