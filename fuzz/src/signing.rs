//! Who may sign, and what should become of a signed request?
//!
//! [`judge`] is the contract written a second time: it compares what a client sent with what it
//! should have sent, where the gateway decodes what was sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use farmgate::auth::{ClientRule, ClientSecret, SharedSecret, SignatureRule};
use hmac::{Hmac, Mac};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use sha2::Sha256;
use std::time::Duration;

use crate::message::Message;
use crate::reference;

/// How far clocks may be apart, in seconds.
pub const SKEW: u64 = 300;

/// One secret, and when it counts.
pub struct Secret {
    bytes: &'static [u8],
    from: Option<i64>,
    until: Option<i64>,
}

const fn always(bytes: &'static [u8]) -> Secret {
    Secret { bytes, from: None, until: None }
}

/// The clients: one with the secrets of the vectors, one in a rotation, one whose secrets are all
/// over, and one whose secret could not be read.
pub const CLIENTS: [(&str, &[Secret]); 4] = [
    (
        "nc-1",
        &[
            always(b"nextcloud-hmac-secret"),
            always(b"test-shared-secret"),
            always(b"golden-secret-0123456789"),
        ],
    ),
    (
        "nc-2",
        &[
            Secret { bytes: b"a secret of now", from: Some(1_600_000_000), until: None },
            Secret { bytes: b"a secret of then", from: None, until: Some(1_600_000_000) },
            Secret { bytes: b"a secret to come", from: Some(2_000_000_000), until: None },
        ],
    ),
    ("nc-3", &[Secret { bytes: b"a secret of then", from: None, until: Some(1_600_000_000) }]),
    ("broken", &[]),
];

/// The methods of the route.
pub const METHODS: [Method; 4] = [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS];

/// The rule of these clients.
#[must_use]
pub fn rule() -> SignatureRule {
    let client = |(id, secrets): &(&str, &[Secret])| ClientRule {
        id: (*id).to_owned(),
        secrets: secrets
            .iter()
            .map(|Secret { bytes, from, until }| ClientSecret {
                secret: SharedSecret::new(*bytes),
                from: *from,
                until: *until,
            })
            .collect(),
        scopes: "read".to_owned(),
    };
    SignatureRule {
        clients: CLIENTS.iter().map(client).collect(),
        skew: Duration::from_secs(SKEW),
        nonce_kept: Duration::ZERO,
    }
}

/// Puts a signature where a field asks for one: `sign:hex`, `sign:base64:1` by the second secret,
/// `sign:slash` for a neighbouring request. Nobody finds a signature by trying, so without this no
/// mutated request would ever hold.
pub fn sign_where_asked(message: &mut Message) {
    for name in ["x-nc-signature", "x-signature"] {
        let Some(value) = message.head.headers.get(name) else { continue };
        let Some(wanted) = value.to_str().ok().and_then(|text| text.strip_prefix("sign:")) else {
            continue;
        };
        let signature = signature(&message.head, &message.body, wanted);
        if let Some(value) = signature.and_then(|text| HeaderValue::from_str(&text).ok()) {
            message.head.headers.insert(name, value);
        }
    }
}

/// The signature of a request, or of a neighbouring one, by one of its client's secrets.
fn signature(parts: &Parts, body: &[u8], wanted: &str) -> Option<String> {
    let sent = Sent::of(&parts.headers).ok()?;
    let client = std::str::from_utf8(sent.client).ok()?;
    let (_, secrets) = CLIENTS.iter().find(|(id, _)| *id == client)?;
    let (wanted, number) = wanted.split_once(':').unwrap_or((wanted, "0"));
    let secret = secrets.get(number.parse::<usize>().ok()?)?;
    let timestamp = std::str::from_utf8(sent.timestamp).ok()?.parse().ok()?;
    let nonce = std::str::from_utf8(sent.nonce).ok()?;
    let method = parts.method.as_str().to_ascii_uppercase();
    let signed = Signed { parts, body, timestamp, nonce };
    let text = match wanted {
        "method" => signed.by_method(if method == "GET" { "POST" } else { "GET" }),
        "slash" => signed.with_slash_toggled(&method),
        "body" => signed.with_body_toggled(&method),
        _ => signed.as_received(&method),
    };
    let mac = mac(secret.bytes, &text);
    Some(match wanted {
        "base64" => STANDARD.encode(mac),
        "upper" => hex::encode_upper(mac),
        _ => hex::encode(mac),
    })
}

/// The fields of a signed request.
struct Sent<'a> {
    client: &'a [u8],
    timestamp: &'a [u8],
    nonce: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Sent<'a> {
    fn of(headers: &'a HeaderMap) -> Result<Self, &'static str> {
        let field = |names: [&str; 2]| {
            for name in names {
                let values: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
                match values[..] {
                    [value] if !value.is_empty() => return Ok(value.as_bytes()),
                    [] | [_] => {}
                    _ => break,
                }
            }
            Err("missing_headers")
        };
        Ok(Self {
            client: field(["X-NC-Client-Id", "X-Client-Id"])?,
            timestamp: field(["X-NC-Timestamp", "X-Timestamp"])?,
            nonce: field(["X-NC-Nonce", "X-Nonce"])?,
            signature: field(["X-NC-Signature", "X-Signature"])?,
        })
    }
}

/// What a client signs.
struct Signed<'a> {
    parts: &'a Parts,
    body: &'a [u8],
    timestamp: u64,
    nonce: &'a str,
}

impl Signed<'_> {
    fn text(&self, method: &str, path: &str, hashed: &[u8]) -> Vec<u8> {
        let target = (path, self.parts.uri.query().unwrap_or_default());
        reference::canonical(method, target, self.timestamp, self.nonce, hashed)
    }

    fn as_received(&self, method: &str) -> Vec<u8> {
        self.by_method(method)
    }

    fn by_method(&self, method: &str) -> Vec<u8> {
        let hashed = if method == "GET" { &[][..] } else { self.body };
        self.text(method, self.parts.uri.path(), hashed)
    }

    /// The slash is that of the decoded path: `%2F` at the end is one.
    fn with_slash_toggled(&self, method: &str) -> Vec<u8> {
        let path = self.parts.uri.path();
        let decoded = reference::decoded(path.as_bytes(), false);
        let toggled = match decoded.strip_suffix('/') {
            Some(_) if path.ends_with('/') => path[..path.len() - 1].to_owned(),
            Some(_) => path[..path.len() - 3].to_owned(),
            None => format!("{path}/"),
        };
        let hashed = if method == "GET" { &[][..] } else { self.body };
        self.text(method, &toggled, hashed)
    }

    fn with_body_toggled(&self, method: &str) -> Vec<u8> {
        let hashed = if method == "GET" { self.body } else { &[][..] };
        self.text(method, self.parts.uri.path(), hashed)
    }
}

/// Whose request this is, or the code of its refusal, in the contract's order.
///
/// # Errors
///
/// The code.
pub fn judge(parts: &Parts, body: &[u8], now: u64) -> Result<&'static str, &'static str> {
    let sent = Sent::of(&parts.headers)?;
    let timestamp = std::str::from_utf8(sent.timestamp).ok();
    let timestamp = timestamp.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let timestamp: u64 = timestamp.and_then(|text| text.parse().ok()).ok_or("skew")?;
    let known = CLIENTS.iter().find(|(id, _)| id.as_bytes() == sent.client);
    let (client, secrets) = known.ok_or("unknown_client")?;
    if secrets.is_empty() {
        return Err("bad_base64");
    }
    if now.abs_diff(timestamp) > SKEW {
        return Err("skew");
    }
    let nonce = std::str::from_utf8(sent.nonce).map_err(|_| "sig_mismatch")?;
    if nonce.len() > 128 || !nonce.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("sig_mismatch");
    }
    let now = now.cast_signed();
    let counts = |secret: &&Secret| {
        secret.from.is_none_or(|from| now >= from) && secret.until.is_none_or(|until| now < until)
    };
    let made_from = |text: &[u8]| {
        secrets.iter().filter(counts).any(|s| is_written_as(sent.signature, &mac(s.bytes, text)))
    };
    let signed = Signed { parts, body, timestamp, nonce };
    let method = parts.method.as_str().to_ascii_uppercase();
    let others = METHODS.iter().map(Method::as_str).filter(|other| *other != method);
    if made_from(&signed.as_received(&method)) {
        Ok(client)
    } else if others.into_iter().any(|other| made_from(&signed.by_method(other))) {
        Err("method_mismatch")
    } else if made_from(&signed.with_slash_toggled(&method)) {
        Err("path_mismatch")
    } else if made_from(&signed.with_body_toggled(&method)) {
        Err("body_hash_mismatch")
    } else {
        Err("sig_mismatch")
    }
}

fn is_written_as(text: &[u8], mac: &[u8; 32]) -> bool {
    text.eq_ignore_ascii_case(hex::encode(mac).as_bytes())
        || text == STANDARD.encode(mac).as_bytes()
}

fn mac(secret: &[u8], text: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.chain_update(text).finalize().into_bytes().into()
}
