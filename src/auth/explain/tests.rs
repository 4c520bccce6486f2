//! Requests whose clients did one thing, or two, in another way.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use http::{Method, Request};
use proptest::prelude::*;
use sha2::{Digest, Sha256, Sha512};

use super::*;

const TIME: u64 = 1_700_000_000;
const SECRET: &[u8] = b"\xffwhat both sides share\xfe";
const METHODS: [Method; 3] = [Method::GET, Method::HEAD, Method::POST];

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(text).finalize().into_bytes().to_vec()
}

fn hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// A request as it was captured, with the text that its client signed.
#[derive(Clone)]
struct Case {
    method: &'static str,
    target: &'static str,
    timestamp: String,
    nonce: &'static str,
    body: &'static [u8],
    signature: String,
    secret: String,
    now: u64,
    claimed: Option<String>,
    more: Vec<(&'static str, String)>,
}

/// A client that signed `text`, in the right way.
fn signed(method: &'static str, target: &'static str, body: &'static [u8], text: &str) -> Case {
    Case {
        method,
        target,
        timestamp: TIME.to_string(),
        nonce: "N-1a",
        body,
        signature: hex::encode(mac(SECRET, text)),
        secret: STANDARD.encode(SECRET),
        now: TIME,
        claimed: None,
        more: Vec::new(),
    }
}

/// A GET whose client signed this path and this query.
fn get(target: &'static str, path_and_query: &str) -> Case {
    signed("GET", target, b"", &format!("GET\n{path_and_query}\n{TIME}\nN-1a\n{}", hash(b"")))
}

/// A request for which the six lines that are right are joined in another way.
fn laid_out(make: impl FnOnce([String; 6]) -> String) -> Case {
    let lines = ["GET", "/ping/", "", "1700000000", "N-1a"].map(str::to_owned);
    let [method, path, query, timestamp, nonce] = lines;
    signed("GET", "/ping/", b"", &make([method, path, query, timestamp, nonce, hash(b"")]))
}

/// A request that is right but for its body hash.
fn hashed(method: &'static str, body: &'static [u8], hash: &str) -> Case {
    signed(method, "/token/", body, &format!("{method}\n/token/\n\n{TIME}\nN-1a\n{hash}"))
}

/// A request that is right but for its lines of time and nonce.
fn timed(timestamp: &str, signed_as: &str) -> Case {
    let text = format!("GET\n/ping/\n\n{signed_as}\n{}", hash(b""));
    Case { timestamp: timestamp.to_owned(), ..signed("GET", "/ping/", b"", &text) }
}

/// A request that is right.
fn right() -> Case {
    get("/ping/", "/ping/\n")
}

/// The same, with its signature made and written in another way.
fn made(make: impl FnOnce(&str) -> String) -> Case {
    let text = format!("GET\n/ping/\n\n{TIME}\nN-1a\n{}", hash(b""));
    Case { signature: make(&text), ..right() }
}

impl Case {
    fn explained(&self) -> Explanation {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.target)
            .header("host", "farm.example")
            .header("x-client-id", "nc-1")
            .header("x-nc-timestamp", &self.timestamp)
            .header("x-nc-nonce", self.nonce)
            .header("x-nc-signature", &self.signature);
        for (name, value) in &self.more {
            request = request.header(*name, value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        let secrets = [SecretText::new("b3RoZXI="), SecretText::new(self.secret.as_str())];
        let asked = Asked {
            secrets: &secrets,
            methods: &METHODS,
            skew: Duration::from_secs(300),
            claimed: self.claimed.as_deref(),
        };
        let now = Now { wall: UNIX_EPOCH + Duration::from_secs(self.now), ..Now::read() };
        explain(&parts, self.body, &asked, now).unwrap()
    }

    /// Fails unless these words are in the verdict and these parts deviate, with this code.
    #[track_caller]
    fn expect(&self, parts: &[Part], code: &str, words: &str) {
        let explained = self.explained();
        let found: Vec<Part> = explained.deviations.iter().map(|found| found.part).collect();
        assert!(explained.verdict.contains(words), "{}\nnot {words}", explained.verdict);
        assert_eq!(found, parts, "{}", explained.verdict);
        assert_eq!(explained.answer.code, Some(code), "{}", explained.verdict);
        assert!(!explained.holds && explained.answer.status == Some(403));
        assert!(!explained.advice.is_empty());
        self.expect_no_secret(&explained);
    }

    #[track_caller]
    fn expect_no_secret(&self, explained: &Explanation) {
        let shown = format!("{explained:?} {}", serde_json::to_string(explained).unwrap());
        let expected = explained.expected.as_ref().unwrap();
        let hidden = [
            self.secret.clone(),
            String::from_utf8_lossy(&SECRET[1..20]).into_owned(),
            "b3RoZXI=".to_owned(),
            hex::encode(expected.bytes()),
            STANDARD.encode(expected.bytes()),
        ];
        for hidden in hidden {
            assert!(!shown.contains(&hidden), "{hidden} in {shown}");
        }
    }
}

#[test]
fn a_signature_that_holds_is_said_to_hold() {
    for case in [
        right(),
        get("/caf%C3%A9/?b=%7e&a=1", "/caf\u{e9}/\na=1&b=~"),
        hashed("POST", b"{}", &hash(b"{}")),
        hashed("GET", b"ignored", &hash(b"")),
    ] {
        let explained = case.explained();
        assert!(explained.holds);
        assert_eq!(explained.verdict, "the signature holds");
        assert_eq!((explained.answer.status, explained.answer.code), (None, None));
        assert!(explained.deviations.is_empty() && explained.advice.is_empty());
        assert_eq!(explained.notes[0], "it was made with readable secret number 2");
        assert!(explained.notes[1].contains("403 replay"));
        case.expect_no_secret(&explained);
    }
}

#[test]
fn deviations_of_method_and_path_are_explained() {
    let method = |text: &str, target| {
        let text = format!("{text}\n{target}\n\n{TIME}\nN-1a\n{}", hash(b""));
        signed("GET", target, b"", &text)
    };
    let ping = "the client signed `/v1/ping`, the gateway received `/v1/ping/`";
    for (case, part, code, words) in [
        (method("POST", "/a"), Part::Method, "method_mismatch", "for the method POST"),
        (method("PUT", "/a"), Part::Method, "sig_mismatch", "for the method PUT"),
        (method("get", "/a"), Part::Method, "sig_mismatch", "method in lower case"),
        (get("/v1/ping/", "/v1/ping\n"), Part::Path, "path_mismatch", ping),
        (get("/ping", "/ping/\n"), Part::Path, "path_mismatch", "a slash at its end"),
        (get("/%7Ea", "/%7Ea\n"), Part::Path, "sig_mismatch", "not percent-decoded"),
        (get("/a%2541", "/aA\n"), Part::Path, "sig_mismatch", "decoded twice"),
        (get("/a%5fb%c3%a9", "/a_b%C3%A9\n"), Part::Path, "sig_mismatch", "percent-encoding"),
        (get("/a+b", "/a b\n"), Part::Path, "sig_mismatch", "a + in the path"),
        (get("/Ping/", "/ping/\n"), Part::Path, "sig_mismatch", "in lower case"),
        (get("/ping/", "ping/\n"), Part::Path, "sig_mismatch", "without its first slash"),
        (get("/a//b", "/a/b\n"), Part::Path, "sig_mismatch", "doubled slashes"),
        (get("/v1/integrations/x/", "/v1/integration/x/\n"), Part::Path, "sig_mismatch", "older"),
        (get("/v1/integration/x/", "/v1/integrations/x/\n"), Part::Path, "sig_mismatch", "newer"),
        (get("/nc/api/x/", "/api/x/\n"), Part::Path, "sig_mismatch", "without its first part"),
        (get("/a?b=1", "/a?b=1\n"), Part::Path, "sig_mismatch", "path and query in one line"),
        (
            get("/a?b=1", "https://farm.example/a\nb=1"),
            Part::Path,
            "sig_mismatch",
            "the whole address",
        ),
        (
            get("/a?b=1", "http://farm.example/a?b=1\n"),
            Part::Path,
            "sig_mismatch",
            "the whole address",
        ),
    ] {
        case.expect(&[part], code, words);
    }
}

#[test]
fn deviations_of_the_query_are_explained() {
    for (target, query, words) in [
        ("/a?q=a%2Fb&p=x+y", "q=a%2Fb&p=x+y", "as it was sent"),
        ("/a?b=2&a=%7e", "b=2&a=~", "unsorted"),
        ("/a?k=10&k=9", "k=9&k=10", "PHP's order"),
        ("/a?10=a&9=b", "9=b&10=a", "PHP's order"),
        ("/a?b=2&b=1&a=1", "a=1&b=2&b=1", "sorted by key alone"),
        ("/a?a=%C3%A9&a=z", "a=z&a=%C3%A9", "sorted before it was encoded"),
        ("/a?b=1&a=x%20y", "a=x+y&b=1", "with + for a space"),
        ("/a?b=~&a=x%20y", "a=x+y&b=%7E", "encoded as a form"),
        ("/a?b=1&a=%C3%A9", "a=%c3%a9&b=1", "lower-case hex digits"),
        ("/a?b=1&a=2", "", "without the query"),
        ("/a?b=1&a=x+y", "a=x%2By&b=1", "a + in the query taken as itself"),
        ("/a?b=%26&a=1", "a=1&b=&", "without percent-encoding"),
        ("/a?b=%28%2F%29&a=!", "a=!&b=(%2F)", "!'()* left as they are"),
        ("/a?b=1&a=2", "?a=2&b=1", "the ? before the query"),
        ("/a?b=1;a=2", "a=2&b=1", "; as a separator"),
        ("/a?b=1&a=2&b=3", "a=2&b=3", "only the last"),
        ("/a?b=1&a=2&b=3", "a=2&b=1", "only the first"),
        ("/a?b=1&c&a=2", "a=2&b=1", "that have no value"),
        ("/a?b=a/b&a=x%2520", "a=x%2520&b=a/b", "sorted, but not encoded anew"),
    ] {
        get(target, &format!("/a\n{query}")).expect(&[Part::Query], "sig_mismatch", words);
    }
}

#[test]
fn deviations_of_the_body_are_explained() {
    let body_code = "body_hash_mismatch";
    let other = "sig_mismatch";
    let upper = hash(b"x").to_uppercase();
    let encoded = STANDARD.encode(Sha256::digest(b"x"));
    let sha512 = hex::encode(Sha512::digest(b"x"));
    for (case, code, words) in [
        (hashed("POST", b"x", &hash(b"")), body_code, "hash of an empty body"),
        (hashed("GET", b"x", &hash(b"x")), body_code, "the body that came with the request"),
        (hashed("POST", b"x", &hash(b"x\n")), other, "with a line feed at its end"),
        (hashed("POST", b"x", &hash(b"x\r\n")), other, "with CRLF at its end"),
        (hashed("POST", b"x\n", &hash(b"x")), other, "without the line end at its end"),
        (hashed("POST", b"x\r\n", &hash(b"x")), other, "without the line end at its end"),
        (hashed("POST", b"a\nb\n", &hash(b"a\r\nb\r\n")), other, "CRLF for each line end"),
        (hashed("POST", b"a\r\nb", &hash(b"a\nb")), other, "a line feed for each line end"),
        (hashed("POST", b"{\"a\": 1}", &hash(b"{\"a\":1}")), other, "white space of its JSON"),
        (hashed("POST", b"", &hash(b"{}")), other, "an empty JSON value"),
        (hashed("POST", b"x", &upper), other, "upper-case hex"),
        (hashed("POST", b"x", &encoded), other, "body hash in base64"),
        (hashed("POST", b"x", ""), other, "an empty line for the body hash"),
        (hashed("POST", b"x", &sha512), other, "SHA-512 of the body"),
        (hashed("POST", b"x", "x"), other, "the body itself"),
    ] {
        case.expect(&[Part::Body], code, words);
    }
}

#[test]
fn deviations_of_time_and_nonce_are_explained() {
    let skew = "skew";
    let other = "sig_mismatch";
    for (case, code, words) in [
        (timed("1700000000123", "1700000000\nN-1a"), skew, "where the field has milliseconds"),
        (timed("1700000000", "1700000000123\nN-1a"), other, "the timestamp in milliseconds"),
        (timed("1700000000", "1699999999\nN-1a"), other, "made 1 s earlier"),
        (timed("1700000000", "1700000010\nN-1a"), other, "made 10 s later"),
        (timed("1700000000", "1700000300\nN-1a"), other, "made 300 s later"),
        (timed("1700000000", "1700010800\nN-1a"), other, "made 10800 s later"),
        (timed("1700000000", "2023-11-14T22:13:20Z\nN-1a"), other, "the timestamp as a date"),
        (timed("1700000000", "1700000000.0\nN-1a"), other, "with a fraction"),
        (timed("0001700000000", "0001700000000\nN-1a"), other, "as it was spelled"),
        (timed("+1_700_000_000", "1700000000\nN-1a"), skew, "the whole seconds"),
        (timed("1700000000.5", "1700000000\nN-1a"), skew, "the whole seconds"),
    ] {
        case.expect(&[Part::Timestamp], code, words);
    }
    let sent = |nonce: &'static str, signed: &str| Case {
        nonce,
        ..timed("1700000000", &format!("1700000000\n{signed}"))
    };
    for (case, words) in [
        (sent("AB-cd", "ab-cd"), "the nonce in lower case"),
        (sent("ab-cd", "AB-CD"), "the nonce in upper case"),
        (sent("ab-cd", "abcd"), "without its dashes"),
        (sent("ab-cd", "{ab-cd}"), "in braces"),
        (sent("ab-cd ", "ab-cd"), "without the white space around it"),
        (sent("ab-cd", ""), "an empty line for the nonce"),
    ] {
        case.expect(&[Part::Nonce], other, words);
    }
    let both = sent("first", "second");
    let both = Case { more: vec![("x-nonce", "second".into())], ..both };
    both.expect(&[Part::Nonce], other, "the nonce of the other family");
}

#[test]
fn deviations_of_the_layout_are_explained() {
    for (case, words) in [
        (laid_out(|lines| lines.join("\n") + "\n"), "a line feed at the end"),
        (laid_out(|lines| lines.join("\r\n")), "CRLF between the lines"),
        (laid_out(|lines| lines.join("\r\n") + "\r\n"), "CRLF after each line"),
        (laid_out(|lines| lines.join("\\n")), "the two signs \\n"),
        (laid_out(|lines| lines.join("\n").replace("\n\n", "\n")), "line of the empty query"),
        (laid_out(|lines| lines.join("")), "nothing between the fields"),
        (laid_out(|lines| lines.join("|")), "another separator"),
        (
            laid_out(|[a, b, c, d, e, f]| [d, e, a, b, c, f].join("\n")),
            "another order: timestamp, nonce, method, path, query, body hash",
        ),
    ] {
        case.expect(&[Part::Layout], "sig_mismatch", words);
    }
}

#[test]
fn deviations_of_secret_and_signature_are_explained() {
    let other = "sig_mismatch";
    let text_as_key = STANDARD.encode(SECRET);
    let with_end = [SECRET, b"\n"].concat();
    for (case, words) in [
        (made(|text| hex::encode(mac(text_as_key.as_bytes(), text))), "base64 text as the key"),
        (made(|text| hex::encode(mac(&with_end, text))), "a line feed at the end of the secret"),
        (made(|text| hex::encode(mac(hex::encode(SECRET).as_bytes(), text))), "as hex text"),
    ] {
        case.expect(&[Part::Secret], other, words);
    }
    let written = |secret: String| Case { secret, ..right() };
    // The other of the two secrets can be read, so the answer is not `bad_base64`.
    written(URL_SAFE.encode(SECRET)).expect(&[Part::Secret], other, "url-safe base64");
    written(STANDARD_NO_PAD.encode(SECRET)).expect(&[Part::Secret], other, "without padding");
    written(hex::encode(SECRET) + "a0").expect(&[], other, "no known deviation");
    // Not every signature has a sign in which the two alphabets differ.
    let written = |target: &'static str| {
        let case = get(target, &format!("{target}\n"));
        let bytes = hex::decode(&case.signature).unwrap();
        let (url_safe, short) = (URL_SAFE.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes));
        url_safe.contains(['-', '_']).then(|| {
            [Case { signature: url_safe, ..case.clone() }, Case { signature: short, ..case }]
        })
    };
    let [padded, short] = ["/a", "/b", "/c", "/d", "/e"].into_iter().find_map(written).unwrap();
    for (case, words) in [
        (padded, "url-safe base64"),
        (short, "url-safe base64"),
        (made(|text| STANDARD.encode(hex::encode(mac(SECRET, text)))), "base64 of its hex text"),
        (made(|text| hex::encode(STANDARD.encode(mac(SECRET, text)))), "hex of its base64 text"),
        (made(|text| format!("sha256={}", hex::encode(mac(SECRET, text)))), "behind a prefix"),
        (made(|text| format!("\"{}\"", hex::encode(mac(SECRET, text)))), "between quotes"),
        (made(|text| format!("{} ", hex::encode(mac(SECRET, text)))), "white space around it"),
    ] {
        case.expect(&[Part::Signature], other, words);
    }
    let sha512 = made(|text| {
        let mac = Hmac::<Sha512>::new_from_slice(SECRET).unwrap().chain_update(text);
        hex::encode(mac.finalize().into_bytes())
    });
    sha512.expect(&[Part::Digest], other, "with SHA-512");
}

#[test]
fn two_deviations_at_once_are_explained() {
    let without_slash = get("/ping/", "/ping\n");
    let long = STANDARD.encode(hex::decode(&without_slash.signature).unwrap()).replace('=', "");
    let case = Case { signature: long, ..without_slash };
    case.expect(&[Part::Path, Part::Signature], "sig_mismatch", "without its trailing slash, and ");
    let case = get("/ping/?b=1&a=2", "/ping\nb=1&a=2");
    case.expect(&[Part::Path, Part::Query], "sig_mismatch", "; the client signed `b=1&a=2`");
}

#[test]
fn a_right_signature_that_is_refused_is_told_apart() {
    let late = Case { now: TIME + 301, ..right() };
    late.expect(&[], "skew", "fits the request, but the gateway refuses it: the timestamp of the");
    let spelled = timed("+1700000000", "+1700000000\nN-1a");
    spelled.expect(&[], "skew", "not a whole number in plain digits");
    let odd = Case { nonce: "n-\u{e9}", ..timed("1700000000", "1700000000\nn-\u{e9}") };
    odd.expect(&[], "sig_mismatch", "its nonce is not 1 to 128 printable ASCII characters");
    let nobody = Case { more: vec![("x-nc-client-id", "no body".into())], ..right() };
    nobody.expect(&[], "unknown_client", "the client \"no body\" is not known");
    let twice = Case { more: vec![("x-nc-nonce", "n-2".into())], ..right() };
    twice.expect(&[], "missing_headers", "the field \"X-NC-NONCE\" is absent, empty or repeated");
}

#[test]
fn what_nothing_explains_is_said_so() {
    let stranger = made(|text| hex::encode(mac(b"another secret", text)));
    stranger.expect(&[], "sig_mismatch", "made with another secret, or for another request");
    let cut = Case { signature: "00ff".into(), ..right() };
    cut.expect(&[], "sig_mismatch", "no known deviation");
}

#[test]
fn a_claimed_string_is_compared_line_by_line() {
    let text = format!("GET\n/pong/\na=1\n{TIME}\nN-1a\n{}", hash(b""));
    let other = signed("GET", "/ping/?a=2", b"", &text);
    let case = Case { claimed: Some(text.clone() + "\n"), ..other.clone() };
    case.expect(
        &[],
        "sig_mismatch",
        "differ in the path and the query: the client signed `/pong/`",
    );
    let explained = case.explained();
    let same: Vec<bool> = explained.lines.iter().map(|line| line.same).collect();
    assert_eq!(same, [true, false, false, true, true, true]);
    assert!(explained.notes[0].contains("was made from the client's string"));
    let not_signed = Case { claimed: Some(text.replace("pong", "pang")), ..other };
    let notes = not_signed.explained().notes;
    assert!(notes[0].contains("was not made from the client's string"), "{notes:?}");
    let secret = made(|text| hex::encode(mac(b"another secret", text)));
    let same = right().explained().canonical;
    let case = Case { claimed: Some(same.replace('\n', "\r\n")), ..secret };
    case.expect(&[], "sig_mismatch", "both canonical strings are the same");
    assert!(case.explained().notes[0].contains("end in CRLF"));
    let short = Case { claimed: Some("GET\n/ping/".into()), ..made(|_| "00".repeat(32)) };
    assert!(short.explained().notes[0].contains("has 2 line(s)"));
}

#[test]
fn a_secret_that_cannot_be_read_is_bad_base64() {
    let parts = Request::get("/ping/")
        .header("x-client-id", "nc-1")
        .header("x-timestamp", TIME.to_string())
        .header("x-nonce", "N-1a")
        .header("x-signature", right().signature);
    let parts = parts.body(()).unwrap().into_parts().0;
    let secrets = [SecretText::new(URL_SAFE.encode(SECRET))];
    let skew = Duration::from_secs(300);
    let asked = Asked { secrets: &secrets, methods: &METHODS, skew, claimed: None };
    let now = Now { wall: UNIX_EPOCH + Duration::from_secs(TIME), ..Now::read() };
    let explained = explain(&parts, b"", &asked, now).unwrap();
    assert_eq!(explained.answer.code, Some("bad_base64"));
    assert!(explained.verdict.contains("a secret in url-safe base64"), "{}", explained.verdict);
    assert_eq!(explained.expected, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn no_request_makes_an_explanation_panic(
        target in "/[!-~]{0,24}",
        method in "[A-Za-z]{1,5}",
        time in "[0-9+_.TZ-]{0,14}",
        nonce in "[ -~]{0,8}",
        signature in "[0-9a-f]{64}|[ -~]{0,50}",
        body in prop::collection::vec(any::<u8>(), 0..24),
        claimed in prop::option::of("[A-Z/\n]{0,12}"),
        secret in "[A-Za-z0-9+/=_-]{0,12}",
    ) {
        let request = Request::builder().method(method.as_str()).uri(target.as_str())
            .header("x-client-id", "nc-1").header("x-timestamp", time)
            .header("x-nonce", nonce).header("x-signature", signature);
        let Ok(request) = request.body(()) else { return Ok(()) };
        let secrets = [SecretText::new(secret)];
        let skew = Duration::from_secs(300);
        let asked = Asked { secrets: &secrets, methods: &METHODS, skew, claimed: claimed.as_deref() };
        let explained = explain(&request.into_parts().0, &body, &asked, Now::read()).unwrap();
        prop_assert!(!explained.holds && !explained.verdict.is_empty());
    }
}
