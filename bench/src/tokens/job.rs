//! What is asked for, and is the answer what it should be?

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::farm::{AUDIENCE, ISSUER, JWT_SECRET, Key, USER};
use crate::client::{Answer, head};
use crate::origin::Payload;
use crate::stream::Job;

/// The path of an ordinary request. The gateway has its answer in its cache.
pub(crate) const ORDINARY_PATH: &str = "/ordinary/current";

/// An ordinary request.
#[derive(Clone, Debug)]
pub(crate) struct Ordinary {
    request: Vec<u8>,
    body: String,
}

/// A token for one of some keys, in turns.
#[derive(Debug)]
pub(crate) struct Mint {
    server: SocketAddr,
    keys: Vec<Key>,
    turn: AtomicUsize,
}

impl Ordinary {
    /// To this server.
    pub(crate) fn new(server: SocketAddr) -> Self {
        let request = head("GET", ORDINARY_PATH, server, &[]);
        Self { request, body: Payload::Current.body() }
    }
}

impl Job for Ordinary {
    fn request(&self) -> Vec<u8> {
        self.request.clone()
    }

    fn check(&self, answer: &Answer) -> Result<(), String> {
        if answer.status == 200 && answer.body == self.body {
            return Ok(());
        }
        Err(format!("status {} to an ordinary request", answer.status))
    }
}

impl Mint {
    /// To this server, for these keys.
    pub(crate) fn new(server: SocketAddr, keys: &[Key]) -> Self {
        Self { server, keys: keys.to_vec(), turn: AtomicUsize::new(0) }
    }
}

impl Job for Mint {
    fn request(&self) -> Vec<u8> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let key = self.keys.iter().cycle().nth(turn % self.keys.len().max(1));
        key.map(|key| key.mint(self.server, None)).unwrap_or_default()
    }

    fn check(&self, answer: &Answer) -> Result<(), String> {
        check_token(answer)
    }
}

#[derive(Deserialize)]
struct Envelope {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    access: String,
    token_type: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    scope: String,
    token_type: String,
}

static RULE: LazyLock<(DecodingKey, Validation)> = LazyLock::new(|| {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.iss = Some([ISSUER.to_owned()].into());
    validation.aud = Some([AUDIENCE.to_owned()].into());
    validation.required_spec_claims =
        BTreeSet::from(["exp", "iss", "aud"]).into_iter().map(str::to_owned).collect();
    (DecodingKey::from_secret(JWT_SECRET.as_bytes()), validation)
});

/// Whether the answer carries a token that holds, for the owner of the keys.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_token(answer: &Answer) -> Result<(), String> {
    let said =
        || String::from_utf8_lossy(answer.body.get(..200).unwrap_or(&answer.body)).into_owned();
    if answer.status != 200 {
        return Err(format!("status {} where a token was asked for: {}", answer.status, said()));
    }
    let envelope: Envelope =
        serde_json::from_slice(&answer.body).map_err(|_| format!("no token in {}", said()))?;
    let (key, validation) = &*RULE;
    let token = jsonwebtoken::decode::<Claims>(&envelope.data.access, key, validation);
    let claims = token.map_err(|error| format!("a token that does not hold: {error}"))?.claims;
    let is_right = (&*claims.sub, &*claims.scope, &*claims.token_type) == (USER, "read", "access");
    if is_right && envelope.data.token_type == "Bearer" {
        return Ok(());
    }
    Err(format!("a token for somebody else: {}", said()))
}
