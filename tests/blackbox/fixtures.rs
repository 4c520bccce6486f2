//! What most tests begin with: a small configuration, credentials, an origin and its gateway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::{
    Answer, Finished, Gateway, HmacClient, Launcher, Origin, PATIENCE, Program, Request, jwt,
    unix_now,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// The secret behind `env:JWT_SECRET`.
pub(crate) const JWT_SECRET: &str = "what the tests and their issuer share";

/// A route that lets everybody in to everything.
pub(crate) const OPEN: &str =
    "{name: open, path_prefix: /, pool: service, auth: {anonymous: true}}";

/// A route that lets everybody in and keeps answers under the policy `kept`.
pub(crate) const KEPT: &str =
    "{name: kept, path_prefix: /, pool: service, auth: {anonymous: true}, cache: kept}";

/// The section with the policy `kept`; its members in flow style.
pub(crate) fn kept(policy: &str) -> String {
    format!("cache: {{policies: {{kept: {{{policy}}}}}}}")
}

/// The gateway of this build, with the secrets that configurations name.
pub(crate) fn gateway() -> Launcher {
    Gateway::binary(env!("CARGO_BIN_EXE_farmgate"))
        .env("JWT_SECRET", JWT_SECRET)
        .env("HMAC_SECRET", &nextcloud().secret_base64())
}

/// A configuration with a plain listener, these sections and these routes (each in flow style).
pub(crate) fn conf(sections: &str, routes: &[&str]) -> String {
    let listeners = "listeners: [{address: '{listen}'}]\nadmin: {address: '{admin}'}\n";
    let routes: String = routes.iter().map(|route| format!("  - {route}\n")).collect();
    let has_state = sections.lines().any(|line| line.starts_with("state:"));
    let state = if has_state { "" } else { "state: {dir: '{dir}/var'}\n" };
    format!("{listeners}{sections}\nroutes:\n{routes}{state}")
}

/// The same with a TLS listener before the plain one, of the certificate `edge`.
pub(crate) fn conf_with_tls(sections: &str, routes: &[&str]) -> String {
    let files = "certificate_file: ../tls/edge.crt, key_file: ../tls/edge.key";
    let listener = format!("listeners: [{{address: '{{tls_listen}}', tls: {{{files}}}}}, ");
    conf(sections, routes).replacen("listeners: [", &listener, 1)
}

/// A gateway with these sections and routes, before an origin as the pool `service` that answers
/// `{"a":1}` to everything.
pub(crate) async fn serve(sections: &str, routes: &[&str]) -> (Origin, Gateway) {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json(r#"{"a":1}"#));
    let gw = gateway().with(conf(sections, routes)).pool("service", origin.address());
    (origin, gw.start().await)
}

/// Returns when the figure of this metric satisfies the predicate.
pub(crate) async fn wait_for_metric(
    gw: &Gateway,
    name: &str,
    labels: &[(&str, &str)],
    wanted: impl Fn(f64) -> bool,
) {
    let search = async {
        while !gw.metric(name, labels).await.is_some_and(&wanted) {
            tokio::task::yield_now().await;
        }
    };
    if timeout(PATIENCE, search).await.is_err() {
        panic!("{name} {labels:?} is {:?} after {PATIENCE:?}", gw.metric(name, labels).await);
    }
}

/// Lets time pass for the gateway, whose clock cannot be set from outside: what ends after a
/// while can only be waited for.
pub(crate) async fn time_passes(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// How soon a change outside the process is in force: a second is promised, the rest is for a
/// machine with other things to do.
pub(crate) const PROMPTLY: Duration = Duration::from_secs(5);

/// Returns when this request is answered with this status; what changes outside the process is
/// noticed by its clock.
pub(crate) async fn wait_for_status(request: &Request<SocketAddr>, status: u16) {
    let started = Instant::now();
    loop {
        let reply = request.clone().send().await;
        if reply.status == status {
            return;
        }
        let waited = started.elapsed();
        assert!(
            waited < PATIENCE,
            "no {status} after {waited:?}: {} {}",
            reply.status,
            reply.text()
        );
        time_passes(Duration::from_millis(20)).await;
    }
}

/// The same, within the time that is promised for it.
pub(crate) async fn wait_promptly_for_status(request: &Request<SocketAddr>, status: u16) {
    let started = Instant::now();
    wait_for_status(request, status).await;
    assert!(started.elapsed() < PROMPTLY, "{status} after {:?}", started.elapsed());
}

/// Runs a command of the gateway's program on the configuration of a gateway, without any of the
/// secrets that it names.
pub(crate) async fn farmgate(gw: &Gateway, words: &[&str]) -> Finished {
    let conf = gw.directory().join("conf/gateway.yaml");
    let program = Program::at(env!("CARGO_BIN_EXE_farmgate")).clean_env();
    program.args(words.iter().copied()).arg("--config").arg(conf).run().await
}

/// One entry of `auth.api_keys`, in flow style; `more` are further members.
pub(crate) fn api_key(id: &str, key: &str, more: &str) -> String {
    let digest = hex::encode(Sha256::digest(key));
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    format!("{{id: {id}, sha256: {digest}{more}}}")
}

/// The signing client behind `env:HMAC_SECRET`.
pub(crate) fn nextcloud() -> HmacClient {
    HmacClient::new("nextcloud", "what the tests and Nextcloud share")
}

/// Claims that hold for five minutes; members of `more` replace them, `null` takes one away.
pub(crate) fn claims(more: Value) -> Value {
    let now = unix_now();
    let mut claims = json!({
        "token_type": "access", "iat": now, "exp": now + 300, "jti": "1", "user_id": "7",
        "iss": "farm", "aud": "nextcloud",
    });
    for (name, value) in more.as_object().expect("an object of claims") {
        if value.is_null() {
            claims.as_object_mut().expect("an object of claims").remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// A token that holds, for this user.
pub(crate) fn token(user: &str) -> String {
    jwt(JWT_SECRET, &claims(json!({ "user_id": user })))
}

/// A plain TCP relay that counts the connections that it passes on.
pub(crate) struct Relay {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Relay {
    /// Starts a relay to this address.
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(target).await.expect("the relay's target");
                    // Either side may leave at any time; that is theirs to judge.
                    drop(copy_bidirectional(&mut client, &mut server).await);
                });
            }
        });
        Self { address, connections }
    }

    /// Where the relay listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were opened so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
