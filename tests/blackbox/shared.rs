//! What outlives a gateway, what several gateways share through Redis, and what each does while
//! Redis is gone.

mod budget;
mod connection;
mod exactness;
mod folder;
mod identity;
mod nonces;
mod outage;

use std::net::SocketAddr;

use harness::{Answer, Gateway, Launcher, Origin, RedisServer, Request, nonce, unix_now};

use crate::fixtures::{conf, gateway, nextcloud};

/// Signed requests are known, and as many replays as a test likes do not count as an attack.
const AUTH: &str = "auth: {hmac: {clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET']}]}}\n\
                    limits: {failures: 10000/min}";

const SIGNED: &str = "{name: signed, path_prefix: /signed, pool: service, auth: {any: [hmac]}}";

const FREE: &str = "{name: free, path_prefix: /free, pool: service, auth: {anonymous: true}}";

/// The metric that says whether Redis answers.
const UP: &str = "farmgate_shared_state_up";

/// A gateway with this `state`, a route for signed requests and one for everybody.
fn launcher(origin: &Origin, state: &str) -> Launcher {
    launcher_with(origin, &format!("{AUTH}\nstate: {state}"), &[SIGNED, FREE])
}

fn launcher_with(origin: &Origin, sections: &str, routes: &[&str]) -> Launcher {
    gateway().with(conf(sections, routes)).pool("service", origin.address())
}

/// Two gateways with this `state`.
async fn two(origin: &Origin, state: &str) -> [Gateway; 2] {
    let launcher = launcher(origin, state);
    let (one, other) = tokio::join!(launcher.start(), launcher.start());
    [one, other]
}

/// `state` for this Redis, with further members of `redis`. The time limit is one that a busy
/// machine keeps too: where Redis is killed its connections end, and nobody waits for it.
fn over(server: &RedisServer, more: &[&str]) -> String {
    let url = format!("url: '{}'", server.url());
    let members = [&[url.as_str(), "timeout: 5s"], more].concat().join(", ");
    format!("{{redis: {{{members}}}}}")
}

/// An origin that answers everything.
async fn origin() -> Origin {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json("1"));
    origin
}

/// A signature that may be sent to any gateway, and holds once.
struct Once {
    at: i64,
    nonce: String,
}

impl Once {
    fn new() -> Self {
        Self { at: unix_now(), nonce: nonce() }
    }

    fn sign<To>(&self, request: Request<To>) -> Request<To> {
        request.signed_at(&nextcloud(), self.at, &self.nonce)
    }

    fn to(&self, gw: &Gateway) -> Request<SocketAddr> {
        self.sign(gw.get("/signed"))
    }

    /// A signature that this gateway has accepted.
    async fn spent(gw: &Gateway) -> Self {
        let once = Self::new();
        once.to(gw).send().await.expect_status(200);
        once
    }

    async fn is_refused_by(&self, gw: &Gateway) {
        self.to(gw).send().await.expect_status(403).expect_json("/errors/reason", "replay");
    }
}
