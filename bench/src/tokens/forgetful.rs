//! What does a token cost without a memory of keys?
//!
//! A server that does for each token what the operator's system does when its own memory has
//! forgotten the key, as it always has after 295 seconds: it asks the tables for the key's ends,
//! computes the slow hash of each row, verifies the signature and signs a token. Nobody waits for
//! the hash of another, and nothing is kept but nonces. It is not the operator's system: it has no
//! Django, writes no log and no time of last use, and limits nobody.

use std::collections::HashSet;
use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use harness::{jwt, nonce, unix_now};
use serde_json::json;
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::farm::{AUDIENCE, ISSUER, JWT_SECRET, TOKEN_PATH, ends, hash, signer};
use super::job::ORDINARY_PATH;
use super::options::ForgetfulOptions;
use crate::error::{BenchError, Trying};
use crate::origin::Payload;
use crate::say;
use crate::wire::{Message, Wire};

/// The variable with the address of the database.
pub(crate) const DATABASE_URL: &str = "BENCH_DATABASE_URL";

/// The path that tells how many hashes were computed.
pub(crate) const HASHES_PATH: &str = "/hashes";

/// As many as the gateway has.
const WORKER_THREADS: usize = 2;

/// Most connections to the database: more than the operator's threads hold.
const DATABASE_CONNECTIONS_MAX: u32 = 16;

/// Most threads that hash where their number is not limited: more than there are clients.
const BLOCKING_THREADS_MAX: usize = 512;

/// Largest difference of clocks, in seconds.
const SKEW_SECONDS: i64 = 300;

const SELECT: &str = "SELECT CAST(k.user_id AS CHAR(64)), k.key_hash, k.scope \
    FROM api_keys_apikey k JOIN auth_user u ON u.id = k.user_id \
    WHERE k.prefix = ? AND k.last4 = ? AND k.revoked_at IS NULL AND u.is_active = 1";

/// What all connections share.
struct Shared {
    database: MySqlPool,
    hashes: AtomicU64,
    permits: Semaphore,
    nonces: Mutex<HashSet<String>>,
}

/// Runs the server until it is killed.
pub(crate) fn main(options: &ForgetfulOptions) -> ExitCode {
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("forgetful: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &ForgetfulOptions) -> Result<(), BenchError> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(WORKER_THREADS).max_blocking_threads(BLOCKING_THREADS_MAX).enable_all();
    let runtime = runtime.build().trying(|| "start a runtime".into())?;
    runtime.block_on(accept(options))
}

async fn accept(options: &ForgetfulOptions) -> Result<(), BenchError> {
    let url = std::env::var(DATABASE_URL).unwrap_or_default();
    let pool = MySqlPoolOptions::new().max_connections(DATABASE_CONNECTIONS_MAX);
    let database = pool.connect_lazy(&url).map_err(io::Error::other);
    let permits = Semaphore::new(options.hash_threads.unwrap_or(BLOCKING_THREADS_MAX));
    let shared = Arc::new(Shared {
        database: database.trying(|| format!("read {DATABASE_URL}"))?,
        hashes: AtomicU64::new(0),
        permits,
        nonces: Mutex::default(),
    });
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener.trying(|| format!("listen on {}", options.listen))?;
    loop {
        let (stream, _) = listener.accept().await.trying(|| "accept a connection".into())?;
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            // A peer that goes away in the middle is no fault: its measurement is over.
            let _peer_is_gone = serve(stream, &shared).await;
        });
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire::new(stream);
    while let Some(request) = wire.message().await? {
        let path = request.start.split(' ').nth(1).unwrap_or_default();
        let (status, body) = match path {
            TOKEN_PATH => match mint(&request, shared).await {
                Ok(body) => (200, body),
                Err((status, problem)) => (status, json!({ "message": problem }).to_string()),
            },
            ORDINARY_PATH => (200, Payload::Current.body()),
            HASHES_PATH => (200, shared.hashes.load(Ordering::Relaxed).to_string()),
            _ => (404, String::new()),
        };
        let length = body.len();
        let head = "Content-Type: application/json\r\nContent-Length";
        let answer = format!("HTTP/1.1 {status} -\r\n{head}: {length}\r\n\r\n{body}");
        wire.stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

async fn mint(request: &Message, shared: &Shared) -> Result<String, (u16, String)> {
    let key = request.field("x-api-key").unwrap_or_default().to_owned();
    let (prefix, last4) = ends(&key);
    let rows = sqlx::query_as::<_, (String, String, String)>(SELECT).bind(prefix).bind(last4);
    let rows = rows.fetch_all(&shared.database).await;
    let rows = rows.map_err(|error| (500, error.to_string()))?;
    for (user, stored, scope) in rows {
        if shared.hash(key.clone()).await? == stored {
            shared.verify(request)?;
            let client = request.field("x-nc-client-id").unwrap_or_default();
            return Ok(token(&user, &scope, client));
        }
    }
    Err((401, "Invalid or expired API key.".to_owned()))
}

impl Shared {
    async fn hash(&self, key: String) -> Result<String, (u16, String)> {
        let closed = |_| (500, "no thread to hash on".to_owned());
        let _permit = self.permits.acquire().await.map_err(closed)?;
        let hashed = tokio::task::spawn_blocking(move || hash(&key)).await;
        self.hashes.fetch_add(1, Ordering::Relaxed);
        hashed.map_err(|error| (500, error.to_string()))
    }

    /// Verifies the signature, and spends the nonce.
    fn verify(&self, request: &Message) -> Result<(), (u16, String)> {
        let field = |name| request.field(name).unwrap_or_default();
        let refuse = |code: &str| (403, code.to_owned());
        let timestamp: i64 = field("x-nc-timestamp").parse().map_err(|_| refuse("skew"))?;
        if (unix_now() - timestamp).abs() > SKEW_SECONDS {
            return Err(refuse("skew"));
        }
        let signer = signer(field("x-nc-client-id")).ok_or_else(|| refuse("unknown_client"))?;
        let nonce = field("x-nc-nonce");
        let signature = signer.sign(&harness::Message {
            method: "POST",
            path: TOKEN_PATH,
            query: "",
            timestamp,
            nonce,
            body: &request.body,
        });
        if field("x-nc-signature") != signature.base64() {
            return Err(refuse("sig_mismatch"));
        }
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.insert(nonce.to_owned()) { Ok(()) } else { Err(refuse("replay")) }
    }
}

/// The envelope with a token, as the gateway writes it.
fn token(user: &str, scope: &str, client: &str) -> String {
    const LIFETIME_SECONDS: i64 = 300;
    let now = unix_now();
    let claims = json!({
        "token_type": "access", "exp": now + LIFETIME_SECONDS, "iat": now, "jti": nonce(),
        "user_id": user, "sub": user, "scope": scope, "client_id": client,
        "aud": AUDIENCE, "iss": ISSUER,
    });
    let access = jwt(JWT_SECRET, &claims);
    let data = json!({
        "access": access, "token_type": "Bearer", "expires_in": LIFETIME_SECONDS,
    });
    json!({ "status": 0, "message": "Integration token issued", "data": data, "errors": null })
        .to_string()
}
