//! How a client proves who it is: JWT and the Nextcloud HMAC signature.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Request;

static NONCES: AtomicU64 = AtomicU64::new(0);

/// A client of the HMAC scheme: its id and the secret bytes it shares with the gateway.
#[derive(Clone, Debug)]
pub struct HmacClient {
    id: String,
    secret: Vec<u8>,
}

/// What a signature covers; `path` and `query` as they stand in the request target.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The method in any case.
    pub method: &'a str,
    /// The path; its percent-encoding is undone before it is signed.
    pub path: &'a str,
    /// The query without its question mark; signed in canonical order and encoding.
    pub query: &'a str,
    /// Unix seconds.
    pub timestamp: i64,
    /// A value this client uses once.
    pub nonce: &'a str,
    /// The raw body; the body of a GET is not signed.
    pub body: &'a [u8],
}

/// A signature with all that must travel beside it.
#[derive(Clone, Debug)]
pub struct Signature {
    client: String,
    timestamp: i64,
    nonce: String,
    digest: Vec<u8>,
}

/// An HS256 token over these claims.
///
/// # Panics
/// When the claims cannot be encoded.
pub fn jwt(secret: impl AsRef<[u8]>, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_ref());
    jsonwebtoken::encode(&Header::default(), claims, &key).expect("claims that can be encoded")
}

/// The claims of a token, without asking whether it holds.
///
/// # Panics
/// When the text is no token.
pub fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("a token has three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("the claims are base64url");
    serde_json::from_slice(&payload).expect("the claims are JSON")
}

/// The time now, in Unix seconds.
///
/// # Panics
/// When the clock stands before 1970.
pub fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock that fits 64 bits")
}

/// A nonce that no other call on this machine returns.
///
/// # Panics
/// When the clock stands before 1970.
pub fn nonce() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let number = NONCES.fetch_add(1, Ordering::Relaxed);
    format!("{}-{:x}-{number}", std::process::id(), since.as_nanos())
}

impl HmacClient {
    /// A client with this id and these secret bytes (not their base64).
    pub fn new(id: &str, secret: impl AsRef<[u8]>) -> Self {
        Self { id: id.to_owned(), secret: secret.as_ref().to_vec() }
    }

    /// The client id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The secret in standard base64, as configuration holds it.
    pub fn secret_base64(&self) -> String {
        STANDARD.encode(&self.secret)
    }

    /// Signs a message: HMAC-SHA256 over its canonical text.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    pub fn sign(&self, message: &Message<'_>) -> Signature {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("a key of any length");
        mac.update(message.canonical().as_bytes());
        Signature {
            client: self.id.clone(),
            timestamp: message.timestamp,
            nonce: message.nonce.to_owned(),
            digest: mac.finalize().into_bytes().to_vec(),
        }
    }
}

impl Message<'_> {
    /// The text that is signed: method, path, query, timestamp, nonce and body hash, by lines.
    pub fn canonical(&self) -> String {
        let method = self.method.to_ascii_uppercase();
        let body = if method == "GET" { &[] } else { self.body };
        [
            method,
            String::from_utf8_lossy(&percent_decode(self.path.as_bytes())).into_owned(),
            canonical_query(self.query),
            self.timestamp.to_string(),
            self.nonce.to_owned(),
            hex::encode(Sha256::digest(body)),
        ]
        .join("\n")
    }
}

impl Signature {
    /// The signature in lower-case hex.
    pub fn hex(&self) -> String {
        hex::encode(&self.digest)
    }

    /// The signature in padded standard base64.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.digest)
    }

    /// The four `X-NC-*` fields, with the signature in base64 as the Nextcloud app sends it.
    pub fn headers(&self) -> [(String, String); 4] {
        let names = ["X-NC-CLIENT-ID", "X-NC-TIMESTAMP", "X-NC-NONCE", "X-NC-SIGNATURE"];
        self.named(names, self.base64())
    }

    /// The four fields of the alias family, with the signature in hex as scripts send it.
    pub fn alias_headers(&self) -> [(String, String); 4] {
        self.named(["X-Client-Id", "X-Timestamp", "X-Nonce", "X-Signature"], self.hex())
    }

    fn named(&self, names: [&str; 4], signature: String) -> [(String, String); 4] {
        let [client, timestamp, nonce, proof] = names.map(str::to_owned);
        [
            (client, self.client.clone()),
            (timestamp, self.timestamp.to_string()),
            (nonce, self.nonce.clone()),
            (proof, signature),
        ]
    }
}

impl<To> Request<To> {
    /// Signs the request as it stands, now and with a fresh nonce, in `X-NC-*` fields.
    #[must_use]
    pub fn signed_by(self, client: &HmacClient) -> Self {
        self.signed_at(client, unix_now(), &nonce())
    }

    /// Signs the request as it stands, with this time and nonce, in `X-NC-*` fields.
    #[must_use]
    pub fn signed_at(self, client: &HmacClient, timestamp: i64, nonce: &str) -> Self {
        let signature = client.sign(&Message {
            method: &self.method,
            path: self.path(),
            query: self.query(),
            timestamp,
            nonce,
            body: &self.body,
        });
        self.headers(signature.headers())
    }
}

/// Decodes `k=v` pairs as a form does, encodes them strictly and sorts them as strings.
fn canonical_query(query: &str) -> String {
    let strict = |part: &str| percent_encode(&form_decode(part));
    let mut pairs: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (strict(key), strict(value)))
        .collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join("&")
}

fn form_decode(text: &str) -> String {
    let bytes = percent_decode(text.replace('+', " ").as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Undoes percent-encoding; a `%` that two hex digits do not follow stays as it is.
fn percent_decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let mut byte = [*first];
        let escaped = *first == b'%'
            && after.get(..2).is_some_and(|digits| hex::decode_to_slice(digits, &mut byte).is_ok());
        if !escaped {
            byte = [*first];
        }
        out.extend_from_slice(&byte);
        rest = if escaped { &after[2..] } else { after };
    }
    out
}

/// Encodes all but the unreserved characters of RFC 3986, with upper-case hex.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn signatures_equal_the_recorded_vectors() {
        let vectors: Vec<Value> =
            serde_json::from_str(include_str!("../data/hmac_vectors.json")).unwrap();
        assert_eq!(vectors.len(), 3);
        for vector in &vectors {
            let text = |key: &str| vector[key].as_str().unwrap();
            let body = STANDARD.decode(text("body_b64")).unwrap();
            let message = Message {
                method: text("method"),
                path: text("path"),
                query: text("query"),
                timestamp: vector["timestamp"].as_i64().unwrap(),
                nonce: text("nonce"),
                body: &body,
            };
            assert_eq!(message.canonical(), text("canonical"), "{}", text("name"));
            let client = HmacClient::new("nc", STANDARD.decode(text("secret_b64")).unwrap());
            let signature = client.sign(&message);
            assert_eq!(signature.hex(), text("sig_hex"), "{}", text("name"));
            assert_eq!(signature.base64(), text("sig_b64"), "{}", text("name"));
            assert_eq!(client.secret_base64(), text("secret_b64"));
        }
    }

    #[test]
    fn query_is_brought_to_one_form() {
        let cases = [
            ("", ""),
            ("&&a", "a="),
            ("b=1;c=2&a", "a=&b=1%3Bc%3D2"),
            ("a=10&a=9", "a=10&a=9"),
            ("z=%7e&k=%zz", "k=%25zz&z=~"),
            ("q=%ff&w=%e2%82%ac+", "q=%EF%BF%BD&w=%E2%82%AC%20"),
            ("end=%4", "end=%254"),
        ];
        for (query, canonical) in cases {
            assert_eq!(canonical_query(query), canonical, "{query}");
        }
    }

    #[test]
    fn path_is_signed_in_its_decoded_form() {
        let message = |path, method| Message {
            method,
            path,
            query: "",
            timestamp: 1,
            nonce: "n",
            body: b"x",
        };
        assert_eq!(message("/%70ing", "GET").canonical(), message("/ping", "get").canonical());
        assert_ne!(message("/ping", "GET").canonical(), message("/ping", "HEAD").canonical());
    }

    #[test]
    fn request_is_signed_in_both_header_families() {
        let client = HmacClient::new("nc", "secret");
        let request = Request::post("/p?b=2&a=1").body("x").signed_at(&client, 7, "once");
        let message = Message {
            method: "POST",
            path: "/p",
            query: "a=1&b=2",
            timestamp: 7,
            nonce: "once",
            body: b"x",
        };
        let signature = client.sign(&message);
        for (name, value) in signature.headers() {
            assert_eq!(request.headers.get(&name), Some(value.as_str()));
        }
        let alias = signature.alias_headers();
        assert_eq!(alias[0], ("X-Client-Id".to_owned(), "nc".to_owned()));
        assert_eq!(alias[3], ("X-Signature".to_owned(), signature.hex()));
    }

    #[test]
    fn token_is_verified_with_its_secret() {
        let token = jwt("secret", &json!({"user_id": "7", "exp": unix_now() + 60}));
        let validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
        let decode = |secret: &str| {
            let key = jsonwebtoken::DecodingKey::from_secret(secret.as_bytes());
            jsonwebtoken::decode::<Value>(&token, &key, &validation)
        };
        assert_eq!(decode("secret").unwrap().claims["user_id"], "7");
        assert!(decode("other").is_err());
    }

    #[test]
    fn nonces_never_come_twice() {
        let nonces: std::collections::HashSet<_> = (0..1000).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 1000);
    }
}
