//! What does a client sign for this request, and which signature comes out?

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use http::Method;
use rand::Rng;
use serde::Serialize;

use super::given::{self, OneSecret};
use crate::auth::{CanonicalRequest, RuleError, sign};
use crate::clock::Now;

/// The request to sign.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The method.
    #[arg(long, value_parser = given::method)]
    method: Method,
    /// The path as it is requested, without the query.
    #[arg(long, value_parser = given::path)]
    path: String,
    /// The query as it is requested, without its `?`.
    #[arg(long, default_value = "", value_parser = given::query, allow_hyphen_values = true)]
    query: String,
    /// Seconds since 1970 in plain digits; now, when left out.
    #[arg(long, value_parser = given::timestamp)]
    timestamp: Option<u64>,
    /// The nonce; a new UUID, when left out.
    #[arg(long, value_parser = given::nonce, allow_hyphen_values = true)]
    nonce: Option<String>,
    #[command(flatten)]
    secret: OneSecret,
    /// File with the body, `-` for stdin; an empty body, when left out. GET counts none.
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// A file of NAME=VALUE lines in which env:NAME is looked up too.
    #[arg(long, value_name = "PATH")]
    env_file: Option<PathBuf>,
    /// Prints the four header fields in place of JSON, as `curl -H @-` takes them.
    #[arg(long, value_name = "FAMILY", requires = "client_id")]
    headers: Option<Family>,
    /// How the signature is written in the header fields.
    #[arg(long, value_name = "ENCODING", default_value = "base64", requires = "headers")]
    encoding: Encoding,
    /// The client's id, for the header fields.
    #[arg(long, value_name = "ID", requires = "headers", value_parser = given::client_id)]
    client_id: Option<String>,
}

/// The names of the header fields.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Family {
    /// X-NC-CLIENT-ID and so on.
    Nc,
    /// X-Client-Id and so on.
    Alias,
}

impl Family {
    fn names(self) -> [&'static str; 4] {
        match self {
            Self::Nc => ["X-NC-CLIENT-ID", "X-NC-TIMESTAMP", "X-NC-NONCE", "X-NC-SIGNATURE"],
            Self::Alias => ["X-Client-Id", "X-Timestamp", "X-Nonce", "X-Signature"],
        }
    }
}

/// How the signature is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Encoding {
    /// Standard base64 with padding.
    Base64,
    /// Lower-case hex.
    Hex,
}

#[derive(Serialize)]
struct Signed {
    canonical: String,
    hex: String,
    base64: String,
}

/// Prints the signature, or says why there is none.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    super::end(signed(arguments).map(|lines| (lines, ExitCode::SUCCESS)))
}

fn signed(arguments: Arguments) -> Result<String, String> {
    let env_file = arguments.env_file.as_deref();
    let secret = arguments.secret.text(env_file)?.secret().map_err(|error| error.to_string())?;
    if secret.is_empty() {
        return Err(RuleError::SecretEmpty { client: "-".into() }.to_string());
    }
    let body = given::body(arguments.body_file.as_ref())?;
    let now = u64::try_from(Now::read().unix_seconds()).unwrap_or(0);
    let timestamp = arguments.timestamp.unwrap_or(now);
    let nonce = arguments.nonce.unwrap_or_else(new_nonce);
    let target = (arguments.path.as_str(), arguments.query.as_str());
    let method = arguments.method.as_str();
    let canonical = CanonicalRequest::new(method, target, timestamp, &nonce, &body).text();
    let signature = sign(&secret, &canonical).ok_or("the secret cannot be a key")?;
    let (hex, base64) = (hex::encode(signature), STANDARD.encode(signature));
    if let Some((family, client)) = arguments.headers.zip(arguments.client_id) {
        let signature = match arguments.encoding {
            Encoding::Base64 => base64,
            Encoding::Hex => hex,
        };
        let values = [client, timestamp.to_string(), nonce, signature];
        let fields = family.names().into_iter().zip(values);
        let lines: Vec<String> = fields.map(|(name, value)| format!("{name}: {value}")).collect();
        return Ok(lines.join("\n"));
    }
    let signed = Signed { canonical, hex, base64 };
    serde_json::to_string(&signed).map_err(|error| error.to_string())
}

/// A random UUID (RFC 9562, version 4), as the Nextcloud app sends it.
fn new_nonce() -> String {
    let random: u128 = rand::thread_rng().r#gen();
    let random = random & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let [a, b, c, d, e] = [(96, 8), (80, 4), (64, 4), (48, 4), (0, 12)].map(|(shift, digits)| {
        let part = (random >> shift) & ((1 << (4 * digits)) - 1);
        format!("{part:0digits$x}")
    });
    format!("{a}-{b}-{c}-{d}-{e}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::auth::is_nonce;

    #[test]
    fn a_new_nonce_is_a_random_uuid() {
        let nonce = new_nonce();
        let lengths: Vec<usize> = nonce.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(nonce.chars().nth(14), Some('4'));
        assert!("89ab".contains(nonce.chars().nth(19).unwrap()));
        assert!(is_nonce(&nonce) && nonce != new_nonce());
    }
}
