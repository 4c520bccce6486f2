//! How is each server set up?
//!
//! The configurations are the files in `data/`, with the addresses of the run filled in. Each
//! server gets one worker, since each gets one core.

use std::path::{Path, PathBuf};

use harness::{jwt, unix_now};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::error::BenchError;
use crate::pinning::Side;
use crate::row::Credential;
use crate::server::{Place, Program};

/// Signs the tokens of the run; it is used nowhere else.
const JWT_SECRET: &str = "only-for-measuring-on-loopback-0000";

/// Clients with a credential, in turns: each of them stays far below the largest quota that can be
/// counted exactly.
const CLIENTS: std::ops::Range<u32> = 0..8;

/// A path that every server passes on to the origin, for asking whether it is up.
const READY_PATH: &str = "/plain/current";

/// How long the run's token is good for: longer than any run.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// A server, with or without its access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Which.
    pub(crate) kind: Kind,
    /// Whether it writes a line for each request.
    pub(crate) logs: bool,
}

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The gateway.
    Farmgate,
    /// nginx, with its cache.
    Nginx,
    /// Caddy, which has none.
    Caddy,
}

impl Kind {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Farmgate => "farmgate",
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
        }
    }
}

impl Peer {
    /// How to start it in this place.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub(crate) fn program(self, place: &Place, gateway: &Path) -> Result<Program, BenchError> {
        match self.kind {
            Kind::Farmgate => farmgate(place, gateway, self.logs),
            Kind::Nginx => nginx(place, self.logs),
            Kind::Caddy => caddy(place, self.logs),
        }
    }
}

/// The fields that carry the credentials, one for each client.
pub(crate) fn credential_fields(credential: Credential) -> Vec<(String, String)> {
    let now = unix_now();
    let field = |client| match credential {
        Credential::Nothing => None,
        Credential::Jwt => {
            let claims = json!({
                "iss": "bench", "aud": "farmgate", "token_type": "access",
                "sub": format!("client-{client}"), "scope": "read",
                "iat": now, "exp": now + TOKEN_SECONDS,
            });
            Some(("Authorization".into(), format!("Bearer {}", jwt(JWT_SECRET, &claims))))
        }
        Credential::ApiKey => Some(("X-API-Key".into(), api_key(client))),
    };
    CLIENTS.filter_map(field).collect()
}

fn api_key(client: u32) -> String {
    format!("only-for-measuring-{client}")
}

fn farmgate(place: &Place, gateway: &Path, logs: bool) -> Result<Program, BenchError> {
    let keys = CLIENTS.map(|client| {
        let digest = hex::encode(Sha256::digest(api_key(client)));
        format!("      - id: client-{client}\n        sha256: {digest}\n        scopes: [read]")
    });
    let keys: Vec<String> = keys.collect();
    let conf = include_str!("../data/gateway.yaml").replace("{api_keys}", &keys.join("\n"));
    let conf = place.write("conf/gateway.yaml", &conf)?;
    place.write("upstreams/origin.yaml", "peers:\n  - address: {origin}\nin_flight_max: 1024\n")?;
    let mut environment = vec![("BENCH_JWT_SECRET", JWT_SECRET.to_owned())];
    if !logs {
        environment.push(("RUST_LOG", "warn".to_owned()));
    }
    Ok(Program {
        path: gateway.to_owned(),
        side: Side::Servers,
        arguments: vec!["run".into(), "--config".into(), conf.display().to_string()],
        environment,
        access_log: place.said(),
        ready_path: READY_PATH,
    })
}

fn nginx(place: &Place, logs: bool) -> Result<Program, BenchError> {
    let access_log = place.path("access.log");
    let target = if logs { format!("{} facts", access_log.display()) } else { "off".to_owned() };
    let keys: String = CLIENTS.map(|client| format!("\"{}\" 1;", api_key(client))).collect();
    let conf = include_str!("../data/nginx.conf");
    let conf = conf.replace("{access_log}", &target).replace("{api_keys}", &keys);
    let conf = place.write("nginx.conf", &conf)?;
    let arguments = ["-c", &conf.display().to_string(), "-e", "stderr"].map(str::to_owned);
    Ok(Program {
        path: PathBuf::from("nginx"),
        side: Side::Servers,
        arguments: arguments.to_vec(),
        environment: Vec::new(),
        access_log,
        ready_path: READY_PATH,
    })
}

fn caddy(place: &Place, logs: bool) -> Result<Program, BenchError> {
    let access_log = place.path("access.log");
    let file = access_log.display();
    let log = format!("log {{\n\t\toutput file {file} {{\n\t\t\troll_disabled\n\t\t}}\n\t}}");
    let log = if logs { log } else { String::new() };
    let conf = include_str!("../data/Caddyfile").replace("{log}", &log);
    let conf = place.write("Caddyfile", &conf)?;
    let conf = conf.display().to_string();
    let arguments = ["run", "--config", &conf, "--adapter", "caddyfile"].map(str::to_owned);
    let home = place.path("").display().to_string();
    Ok(Program {
        path: PathBuf::from("caddy"),
        side: Side::Servers,
        arguments: arguments.to_vec(),
        environment: vec![("HOME", home), ("GOMAXPROCS", "1".to_owned())],
        access_log,
        ready_path: READY_PATH,
    })
}
