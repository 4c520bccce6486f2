//! A gateway that hostile requests are sent to, and all that comes out of it.

use std::collections::BTreeSet;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::{Answer, Authority, Gateway, Http2, Origin, Reply, Request};
use serde_json::Value;

use super::row::{Row, Sent};
use super::{EXPIRED_KEY, GOOD_KEY, REVOKED_KEY, neighbour, tokens};
use crate::fixtures::{JWT_SECRET, api_key, conf_with_tls, gateway, nextcloud, token};

/// The secret of the tokens that services get; no client has one.
pub(super) const INTERNAL_SECRET: &str = "what the gateway shares with its services";

/// The longest line that a hostile request may cause in the log.
const LINE_BYTES_MAX: usize = 4 * 1024;

const ROUTES: [&str; 14] = [
    "{name: jwt, path_prefix: /jwt, pool: service, auth: {any: [jwt]}}",
    "{name: key, path_prefix: /key, pool: service, auth: {any: [api_key]}}",
    "{name: any, path_prefix: /any, pool: service, auth: {any: [jwt, api_key, hmac]}}",
    "{name: signed, path_prefix: /signed, pool: service, methods: [GET, POST], \
     auth: {any: [hmac]}}",
    "{name: large, path_prefix: /large, pool: service, auth: {any: [hmac]}, envelope: true, \
     body_bytes_max: 4MiB}",
    "{name: read, path_prefix: /read, pool: service, methods: [GET], auth: {any: [api_key]}}",
    "{name: write, path_prefix: /write, pool: service, auth: {any: [jwt, api_key], \
     scopes: [{any: [write], methods: [POST]}]}}",
    "{name: token, paths: [/token/], endpoint: token}",
    "{name: whoami, paths: [/whoami/], endpoint: whoami}",
    "{name: open, path_prefix: /open, pool: service, auth: {anonymous: true}}",
    "{name: vault, hosts: [vault.example], path_prefix: /open, pool: service, \
     auth: {any: [api_key]}}",
    "{name: few, path_prefix: /few, pool: service, auth: {anonymous: true}, quotas: [few]}",
    "{name: site, hosts: [site.example], path_prefix: /, pool: service, auth: {anonymous: true}}",
    "{name: site-admin, hosts: [site.example], path_prefix: /admin, pool: service, \
     auth: {any: [api_key]}}",
];

/// One gateway for many rows.
pub(super) struct Bench {
    origin: Origin,
    gw: Gateway,
    authority: Authority,
    /// How many requests were let in, and how many refused with an envelope.
    let_in: usize,
    refused: usize,
    /// All that clients got.
    heard: String,
    hidden: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Bench {
    /// Starts a gateway that logs all it can, and takes any number of bad credentials: the table is
    /// not to be limited.
    pub(super) async fn start() -> Self {
        let (origin, authority) = (Origin::start().await, Authority::new());
        origin.otherwise(Answer::json(r#"{"a":1}"#));
        let gw = gateway()
            .env("RUST_LOG", "debug")
            .env("INTERNAL_SECRET", INTERNAL_SECRET)
            .env("NEIGHBOUR_SECRET", &neighbour().secret_base64())
            .with(conf_with_tls(&sections(), &ROUTES))
            .file("conf/rsa.pem", tokens::RSA_PUBLIC)
            .file("conf/ed25519.jwk", tokens::ED25519_JWK)
            .certificate("edge", &authority.issue(["edge.example"]))
            .pool("service", origin.address())
            .start()
            .await;
        let (heard, hidden, wrong) = (String::new(), secrets(), Vec::new());
        let mut bench = Self { origin, gw, authority, let_in: 0, refused: 0, heard, hidden, wrong };
        let first = bench.gw.get("/few").send().await;
        bench.let_in(&first.expect_status(200));
        bench
    }

    /// Sends the rows one after the other on one connection, as long as it is kept.
    pub(super) async fn send_over_http1(&mut self, rows: Vec<Row>) {
        let mut connection = self.gw.connect().await;
        for request in good_requests() {
            self.let_in(&connection.send(request).await.expect_status(200));
        }
        for row in rows {
            if let Some(before) = row.before.clone() {
                self.let_in(&connection.send(before).await.expect_status(200));
            }
            let reply = match row.sent.clone() {
                Sent::Request(request) => connection.try_send(request).await,
                Sent::Bytes(bytes) => {
                    connection.write_raw(bytes).await;
                    connection.try_read_reply().await
                }
            };
            if row.wanted.closes || reply.is_err() {
                let rest = connection.read_until_close().await;
                self.heard.push_str(&String::from_utf8_lossy(&rest));
                connection = self.gw.connect().await;
            }
            self.judge("HTTP/1.1", row, reply);
        }
    }

    /// Sends the rows one after the other as streams of one connection.
    pub(super) async fn send_over_http2(&mut self, rows: Vec<Row>) {
        let mut connection =
            Http2::open(self.gw.tls_address(), "edge.example", &self.authority).await;
        for request in good_requests() {
            let reply = connection.try_send(request).await.expect("a reply");
            self.let_in(&reply.expect_status(200));
        }
        for row in rows {
            let Sent::Request(request) = row.sent.clone() else { continue };
            if let Some(before) = row.before.clone() {
                let reply = connection.try_send(before).await.expect("a reply");
                self.let_in(&reply.expect_status(200));
            }
            let reply = connection.try_send(request).await;
            let wanted = row.over_http2.unwrap_or(row.wanted);
            self.judge("HTTP/2", Row { wanted, ..row }, reply);
        }
    }

    /// Stops the gateway and tells everything that was wrong.
    pub(super) async fn report(mut self) {
        self.gw.stop().await;
        let log = self.gw.log_lines();
        let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let statuses: Vec<u64> = lines
            .filter(|line| line["target"] == "access")
            .filter_map(|line| line["status"].as_u64())
            .collect();
        let refused = statuses.iter().filter(|status| (400..500).contains(*status)).count();
        assert!(statuses.iter().all(|status| *status < 500), "a fault of the gateway's own");
        let longest = log.iter().map(String::len).max().unwrap_or_default();
        assert!(longest <= LINE_BYTES_MAX, "a line of {longest} bytes");
        let mut wrong = self.wrong;
        let calls = self.origin.calls_total();
        if calls != self.let_in {
            wrong.push(format!("{calls} requests reached the service, not {}", self.let_in));
        }
        let (heard, log) = (self.heard.to_ascii_lowercase(), log.join("\n").to_ascii_lowercase());
        for secret in &self.hidden {
            let secret = secret.to_ascii_lowercase();
            for (place, text) in [("a reply", &heard), ("the log", &log)] {
                if text.contains(&secret) {
                    wrong.push(format!("{secret} stands in {place}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        // What was searched is all there is.
        assert_eq!(refused, self.refused, "lines of refused requests");
        assert!(!log.contains("panicked"));
    }

    fn let_in(&mut self, reply: &Reply) {
        self.listen(reply);
        self.let_in += 1;
    }

    fn listen(&mut self, reply: &Reply) {
        for (name, value) in reply.headers.iter() {
            self.heard.push_str(&format!("{name}: {value}\n"));
        }
        self.heard.push_str(&reply.text());
        self.heard.push('\n');
    }

    fn judge(&mut self, protocol: &str, row: Row, reply: io::Result<Reply>) {
        let Row { name, wanted, hidden, .. } = row;
        self.hidden.extend(hidden);
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return self.wrong.push(format!("{protocol}, {name}: {error}")),
        };
        self.listen(&reply);
        self.refused += usize::from(!wanted.code.is_empty());
        if let Some(fault) = wanted.fault_of(&reply) {
            let (status, text) = (reply.status, reply.text());
            self.wrong
                .push(format!("{protocol}, {name}: {fault}: {status} {text}, not {wanted:?}"));
        }
    }
}

fn sections() -> String {
    let keys = [
        api_key("script", GOOD_KEY, "scopes: [read]"),
        api_key("withdrawn", REVOKED_KEY, "revoked: true"),
        api_key("old", EXPIRED_KEY, "expires_at: 1700000000"),
    ];
    let keys = keys.join(", ");
    format!(
        "state: {{dir: '{{dir}}/var'}}\n\
         limits: {{failures: 10000/min, quotas: {{few: 1/day}}}}\n\
         auth:\n  \
           jwt:\n  \
           - {{issuer: farm, audience: nextcloud, keys: ['env:JWT_SECRET'], \
             token_type: access, jti_required: true}}\n  \
           - {{issuer: rsa, algorithms: [RS256], keys: ['file:rsa.pem']}}\n  \
           - {{issuer: ed, algorithms: [EdDSA], keys: ['file:ed25519.jwk']}}\n  \
           api_keys: {{keys: [{keys}]}}\n  \
           hmac: {{clients: [{{id: nextcloud, secrets: ['env:HMAC_SECRET']}}, \
             {{id: neighbour, secrets: ['env:NEIGHBOUR_SECRET']}}]}}\n  \
           token: {{issuer: farm, lifetime: 300s}}\n  \
           internal: {{secret: 'env:INTERNAL_SECRET', issuer: farmgate, audience: services}}\n"
    )
}

/// Without these a gateway that refuses everybody would pass.
fn good_requests() -> [Request; 9] {
    [
        Request::get("/jwt").bearer(&token("7")),
        Request::get("/jwt").bearer(&tokens::of_rsa()),
        Request::get("/jwt").bearer(&tokens::of_ed25519("one")),
        Request::get("/key").api_key(GOOD_KEY),
        Request::get("/signed").signed_by(&nextcloud()),
        Request::get("/signed").signed_by(&neighbour()),
        Request::get("/open/x"),
        Request::get("/admin").host("site.example").api_key(GOOD_KEY),
        Request::get("/open").host("vault.example").api_key(GOOD_KEY),
    ]
}

/// What the gateway knows and must never tell, in every spelling.
fn secrets() -> BTreeSet<String> {
    let shared = [nextcloud(), neighbour()].map(|client| client.secret_base64());
    let shared = shared.iter().map(|secret| STANDARD.decode(secret).expect("base64"));
    let plain = [JWT_SECRET, INTERNAL_SECRET, GOOD_KEY, REVOKED_KEY, EXPIRED_KEY];
    let all = shared.chain(plain.map(|secret| secret.as_bytes().to_vec()));
    all.flat_map(|secret| {
        let unpadded = STANDARD.encode(&secret).trim_end_matches('=').to_owned();
        [String::from_utf8(secret.clone()).expect("text"), hex::encode(&secret), unpadded]
    })
    .collect()
}
