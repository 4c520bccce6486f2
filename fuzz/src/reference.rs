//! The rules of small parsers, written a second time.
//!
//! Nothing here calls the gateway. It is written from the contract's sentences, byte by byte, and
//! needs to be right rather than quick.

use std::net::IpAddr;

/// The contract's form of a query: pairs decoded, encoded in one way, and sorted.
#[must_use]
pub fn query(text: &str) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.as_bytes().split(|byte| *byte == b'&') {
        if pair.is_empty() {
            continue;
        }
        let equals = pair.iter().position(|byte| *byte == b'=');
        let (key, value) = match equals {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[pair.len()..]),
        };
        pairs.push((encoded(&decoded(key, true)), encoded(&decoded(value, true))));
    }
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join("&")
}

/// The decoded pairs of a query, in the order of their texts.
#[must_use]
pub fn meaning(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key.as_bytes(), true), decoded(value.as_bytes(), true))
        })
        .collect();
    pairs.sort();
    pairs
}

/// The text behind percent-encoding. What is no escape stays; what is no UTF-8 becomes U+FFFD.
#[must_use]
pub fn decoded(text: &[u8], plus_is_space: bool) -> String {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
                continue;
            }
            (b'+', ..) if plus_is_space => bytes.push(b' '),
            (byte, ..) => bytes.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if is_unreserved(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// RFC 3986, section 2.3.
#[must_use]
pub fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The text that a client signs; `hashed` is the body that counts.
#[must_use]
pub fn canonical(
    method: &str,
    (path, raw_query): (&str, &str),
    timestamp: u64,
    nonce: &str,
    hashed: &[u8],
) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let path = decoded(path.as_bytes(), false);
    let query = query(raw_query);
    let hash: String = Sha256::digest(hashed).iter().map(|byte| format!("{byte:02x}")).collect();
    [method, &path, &query, &timestamp.to_string(), nonce, &hash].join("\n").into_bytes()
}

/// The client's address behind trusted proxies: from the right, the first that is not one of them.
#[must_use]
pub fn client_address(
    peer: IpAddr,
    forwarded_for: &[&[u8]],
    is_trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer;
    let list = forwarded_for.join(&b","[..]);
    let mut hops: Vec<&[u8]> =
        if forwarded_for.is_empty() { vec![] } else { list.split(|byte| *byte == b',').collect() };
    while is_trusted(client) {
        let Some(hop) = hops.pop() else { break };
        let Some(hop) = std::str::from_utf8(hop.trim_ascii()).ok().and_then(|h| h.parse().ok())
        else {
            break;
        };
        client = hop;
    }
    client
}

/// Whether a list of media ranges leaves room for JSON (RFC 9110, section 12.5.1); `None` where
/// the list has a part on which the RFC says nothing.
#[must_use]
pub fn takes_json(accept: &str) -> Option<bool> {
    let mut best: Option<(u8, bool)> = None;
    let mut is_empty = true;
    for range in accept.split(',').map(str::trim) {
        if range.is_empty() {
            continue;
        }
        is_empty = false;
        let mut parts = range.split(';').map(str::trim);
        let mut is_wanted = true;
        let rank = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "*/*" => 1,
            "application/*" => 2,
            "application/json" => 3,
            _ => 0,
        };
        let mut weights = 0;
        for parameter in parts {
            let (name, value) = parameter.split_once('=')?;
            if name.contains('"') || value.contains('"') || name.trim() != name {
                return None;
            }
            if name.eq_ignore_ascii_case("q") {
                weights += 1;
                is_wanted = weight(value)? > 0;
            }
        }
        if weights > 1 {
            return None;
        }
        if rank > 0 && best.is_none_or(|(before, _)| rank >= before) {
            best = Some((rank, is_wanted));
        }
    }
    Some(is_empty || best.is_some_and(|(_, is_wanted)| is_wanted))
}

/// A `qvalue` in thousandths.
fn weight(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_right = matches!(whole, "0" | "1")
        && fraction.len() <= 3
        && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: u32 = is_right.then(|| format!("{whole}{fraction:0<3}").parse().ok())??;
    (thousandths <= 1000).then_some(thousandths)
}
