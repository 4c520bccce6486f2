//! Signed requests that their client did not sign, or not so, or not only once.

use harness::{HmacClient, Message, Request, nonce, unix_now};

use super::row::{BODY_TOO_LARGE, MISSING, Row, UNREAD, Wanted};
use crate::fixtures::nextcloud;

/// The families of names, the first of which counts where both are there.
const FIRST: [&str; 4] = ["X-NC-CLIENT-ID", "X-NC-TIMESTAMP", "X-NC-NONCE", "X-NC-SIGNATURE"];
const ALIAS: [&str; 4] = ["X-Client-Id", "X-Timestamp", "X-Nonce", "X-Signature"];

const NO_FIELD: Wanted = Wanted::signature("missing_headers");
const STRANGER: Wanted = Wanted::signature("unknown_client");
const SKEW: Wanted = Wanted::signature("skew");
const MISMATCH: Wanted = Wanted::signature("sig_mismatch");
const OTHER_METHOD: Wanted = Wanted::signature("method_mismatch");
const OTHER_PATH: Wanted = Wanted::signature("path_mismatch");
const OTHER_BODY: Wanted = Wanted::signature("body_hash_mismatch");
const REPLAY: Wanted = Wanted::signature("replay");

/// Further from the gateway's clock than it takes by default.
const TOO_FAR_SECONDS: i64 = 330;

pub(super) fn table() -> Vec<Row> {
    let tables = [
        with_fields_that_lack(),
        with_fields_that_conflict(),
        by_others(),
        at_other_times(),
        with_other_nonces(),
        in_other_spellings(),
        for_other_requests(),
        with_long_bodies(),
        replayed(),
        no_text(),
    ];
    tables.into_iter().flatten().collect()
}

/// The four fields of a signed request, each of which can be changed after it was signed.
#[derive(Clone)]
struct Fields {
    client: String,
    time: String,
    nonce: String,
    signature: String,
    /// The signature in lower-case hex and in base64.
    hex: String,
    base64: String,
}

impl Fields {
    /// Signed by `nextcloud`, now and for the first time.
    fn of(method: &str, target: &str, body: &[u8]) -> Self {
        Self::signed(&nextcloud(), method, target, body, unix_now(), &nonce())
    }

    fn signed(
        client: &HmacClient,
        method: &str,
        target: &str,
        body: &[u8],
        timestamp: i64,
        nonce: &str,
    ) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let message = Message { method, path, query, timestamp, nonce, body };
        let signature = client.sign(&message);
        let (hex, base64) = (signature.hex(), signature.base64());
        let (client, time) = (client.id().to_owned(), timestamp.to_string());
        Self { client, time, nonce: nonce.to_owned(), signature: base64.clone(), hex, base64 }
    }

    /// What most rows begin with.
    fn good() -> Self {
        Self::of("GET", "/signed", b"")
    }

    fn named(&self, names: [&str; 4]) -> [(String, String); 4] {
        let [client, time, nonce, signature] = names.map(str::to_owned);
        [
            (client, self.client.clone()),
            (time, self.time.clone()),
            (nonce, self.nonce.clone()),
            (signature, self.signature.clone()),
        ]
    }

    /// Neither the signature that was made nor the one that would be right may be found.
    fn hide(&self, row: Row, method: &str, target: &str, body: &[u8]) -> Row {
        let timestamp = self.time.parse().unwrap_or_default();
        let right = Self::signed(&nextcloud(), method, target, body, timestamp, &self.nonce);
        row.hiding(&self.hex).hiding(&self.base64).hiding(right.hex).hiding(right.base64)
    }

    fn on(&self, name: &str, method: &str, target: &str, wanted: Wanted) -> Row {
        let request = Request::new(method, target).headers(self.named(FIRST));
        self.hide(Row::request(name, request, wanted), method, target, b"")
    }

    fn row(&self, name: &str, wanted: Wanted) -> Row {
        self.on(name, "GET", "/signed", wanted)
    }
}

/// A good request, changed.
fn changed(name: &str, change: impl FnOnce(&mut Fields), wanted: Wanted) -> Row {
    let mut fields = Fields::good();
    change(&mut fields);
    fields.row(name, wanted)
}

fn with_fields_that_lack() -> Vec<Row> {
    let mut rows = vec![
        Row::request("no field at all", Request::get("/signed"), NO_FIELD),
        Row::request("no field where other credentials do", Request::get("/any"), MISSING),
    ];
    for (place, name) in FIRST.iter().enumerate() {
        let good = Fields::good();
        let mut push = |what: &str, fields: Vec<(String, String)>| {
            let request = Request::get("/signed").headers(fields);
            let row = Row::request(format!("{name} {what}"), request, NO_FIELD);
            rows.push(good.hide(row, "GET", "/signed", b""));
        };
        let all = good.named(FIRST);
        let mut absent = all.to_vec();
        absent.remove(place);
        push("absent", absent);
        let mut empty = all.to_vec();
        empty[place].1.clear();
        push("empty", empty);
        let mut alias_too = all.to_vec();
        alias_too[place].1.clear();
        alias_too.push((ALIAS[place].to_owned(), String::new()));
        push("empty in both families", alias_too);
        push("there twice", [all.to_vec(), vec![all[place].clone()]].concat());
        let mut other = all.to_vec();
        other.push((name.to_string(), "other".into()));
        push("there twice, and different", other);
        let mut alias = good.named(ALIAS).to_vec();
        alias.push(alias[place].clone());
        push("there twice by its other name", alias);
    }
    rows
}

/// A good family beside one field of the family that counts.
fn with_fields_that_conflict() -> Vec<Row> {
    let long_ago = (unix_now() - TOO_FAR_SECONDS).to_string();
    let row = |name: &str, place: usize, value: &str, wanted| {
        let good = Fields::good();
        let request = Request::get("/signed").headers(good.named(ALIAS));
        let request = request.header(FIRST[place], value);
        good.hide(Row::request(name, request, wanted), "GET", "/signed", b"")
    };
    let zeros = "0".repeat(64);
    vec![
        row("another client in the family that counts", 0, "nobody", STRANGER),
        row("a neighbour in the family that counts", 0, "neighbour", MISMATCH),
        row("another time in the family that counts", 1, &long_ago, SKEW),
        row("another nonce in the family that counts", 2, "another", MISMATCH),
        row("another signature in the family that counts", 3, &zeros, MISMATCH),
    ]
}

fn by_others() -> Vec<Row> {
    let by =
        |client: &HmacClient| Fields::signed(client, "GET", "/signed", b"", unix_now(), &nonce());
    let named =
        |name: &str, id: &str, wanted| changed(name, |fields| fields.client = id.into(), wanted);
    let long = "n".repeat(300);
    let key = nextcloud().secret_base64();
    vec![
        by(&HmacClient::new("nextcloud", "another secret")).row("another secret", MISMATCH),
        by(&HmacClient::new("nextcloud", "")).row("no secret", MISMATCH),
        by(&HmacClient::new("nextcloud", key)).row("the secret's base64 as secret", MISMATCH),
        by(&HmacClient::new("nobody", "a secret")).row("a client that nobody knows", STRANGER),
        named("a neighbour's name", "neighbour", MISMATCH),
        named("the name in capitals", "NEXTCLOUD", STRANGER),
        named("two names", "nextcloud,neighbour", STRANGER),
        named("a name with a tab", "next\tcloud", STRANGER),
        named("a name with a star", "*", STRANGER),
        named("a name of another script", "n\u{435}xtcloud", STRANGER),
        named("an injection as name", "nextcloud' OR '1'='1", STRANGER),
        named("a name that is JSON", r#"{"$ne":null}"#, STRANGER),
        named("a name of a prototype", "__proto__", STRANGER),
        named("a long name", &long, STRANGER),
    ]
}

fn at_other_times() -> Vec<Row> {
    let now = unix_now();
    let at = |name: &str, timestamp: i64| {
        Fields::signed(&nextcloud(), "GET", "/signed", b"", timestamp, &nonce()).row(name, SKEW)
    };
    let written = |name: &str, time: String| changed(name, |fields| fields.time = time, SKEW);
    let text = now.to_string();
    let arabic: String =
        text.chars().filter_map(|digit| char::from_u32(0x630 + u32::from(digit))).collect();
    vec![
        at("too long ago", now - TOO_FAR_SECONDS),
        at("too far ahead", now + TOO_FAR_SECONDS),
        at("in 1970", 0),
        at("in milliseconds", now * 1_000),
        written("a plus in front", format!("+{now}")),
        written("a minus in front", format!("-{now}")),
        written("with underscores", format!("{}_{}", &text[..1], &text[1..])),
        written("with a fraction", format!("{now}.0")),
        written("with a dot behind", format!("{now}.")),
        written("with an exponent", "1e9".into()),
        written("with an exponent of its own", format!("{now}e0")),
        written("in hex", format!("0x{now:x}")),
        written("in octal", format!("0o{now:o}")),
        written("with a blank inside", format!("{} {}", &text[..1], &text[1..])),
        written("with a tab inside", format!("{}\t{}", &text[..1], &text[1..])),
        written("with commas", format!("{},{}", &text[..1], &text[1..])),
        written("in other digits", arabic),
        written("as a date", "2026-11-23T10:00:00Z".into()),
        written("no number", "now".into()),
        written("infinite", "inf".into()),
        written("twenty digits", "99999999999999999999".into()),
        written("the greatest of 64 bits", u64::MAX.to_string()),
        written("many digits", "9".repeat(2_000)),
    ]
}

fn with_other_nonces() -> Vec<Row> {
    let signed = |name: &str, nonce: &str| {
        Fields::signed(&nextcloud(), "GET", "/signed", b"", unix_now(), nonce).row(name, MISMATCH)
    };
    vec![
        signed("a nonce a byte too long", &"n".repeat(129)),
        signed("a nonce of 8 KiB", &"n".repeat(8 * 1024)),
        signed("a nonce with a tab", "n\tn"),
        signed("a nonce of another script", "n\u{f6}nce"),
        changed("a nonce that was not signed", |fields| fields.nonce = nonce(), MISMATCH),
        changed("a nonce in capitals", |fields| fields.nonce = "NONCE-A".into(), MISMATCH),
    ]
}

/// The right signature, written in a way that no client writes it.
fn in_other_spellings() -> Vec<Row> {
    let written = |name: &str, write: fn(&Fields) -> String| {
        changed(name, |fields| fields.signature = write(fields), MISMATCH)
    };
    // Only so do the two alphabets of base64 differ.
    let mut safe = Fields::good();
    while !safe.base64.contains(['+', '/']) {
        safe = Fields::good();
    }
    safe.signature = safe.base64.replace('+', "-").replace('/', "_");
    vec![
        written("hex cut by a digit", |f| f.hex[..63].into()),
        written("hex cut by a byte", |f| f.hex[..62].into()),
        written("hex cut to half", |f| f.hex[..32].into()),
        written("hex with a digit more", |f| format!("{}0", f.hex)),
        written("hex twice", |f| f.hex.repeat(2)),
        written("hex behind 0x", |f| format!("0x{}", f.hex)),
        written("hex with a name", |f| format!("sha256={}", f.hex)),
        written("hex with a letter that is none", |f| format!("{}g", &f.hex[..63])),
        written("hex with a wide digit", |f| format!("{}\u{ff11}", &f.hex[..63])),
        written("hex in a list", |f| format!("{},{}", "0".repeat(64), f.hex)),
        written("base64 without padding", |f| f.base64.trim_end_matches('=').into()),
        written("base64 with more padding", |f| format!("{}=", f.base64)),
        written("base64 in small letters", |f| f.base64.to_lowercase()),
        written("base64 of the hex", |f| base64_of(f.hex.as_bytes())),
        written("base64 in quotes", |f| format!("\"{}\"", f.base64)),
        written("base64 with a blank inside", |f| {
            format!("{} {}", &f.base64[..20], &f.base64[20..])
        }),
        written("bits that say nothing", |f| bits_more(&f.base64)),
        written("zeros", |_| "0".repeat(64)),
        written("one letter", |_| "a".into()),
        written("no signature but a word", |_| "none".into()),
        written("8 KiB of hex", |_| "ab".repeat(4 * 1024)),
        written("other scripts", |_| "\u{e9}".repeat(32)),
        written("pictures", |_| "\u{1f511}".repeat(16)),
        safe.row("base64 for URLs", MISMATCH),
    ]
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The last letter before the padding has two bits that say nothing: sets one of them.
fn bits_more(base64: &str) -> String {
    let text = base64.trim_end_matches('=');
    let (rest, last) = text.split_at(text.len() - 1);
    let next = char::from(last.as_bytes()[0] + 1);
    format!("{rest}{next}=")
}

/// Signed well, and sent as another request.
fn for_other_requests() -> Vec<Row> {
    let made = |name: &str, method: &str, target: &str, body: &[u8], wanted| {
        Fields::of(method, target, body).row(name, wanted)
    };
    let sent = |name: &str, method: &str, target: &str, wanted| {
        Fields::good().on(name, method, target, wanted)
    };
    let posted = |name: &str, signed: &[u8], body: &'static str, wanted| {
        let fields = Fields::of("POST", "/signed", signed);
        let request = Request::post("/signed").headers(fields.named(FIRST)).body(body);
        fields.hide(Row::request(name, request, wanted), "POST", "/signed", body.as_bytes())
    };
    vec![
        made("made for POST", "POST", "/signed", b"", OTHER_METHOD),
        made("made for a method that is not taken", "DELETE", "/signed", b"", MISMATCH),
        sent("sent by POST", "POST", "/signed", OTHER_METHOD),
        sent("sent by OPTIONS", "OPTIONS", "/signed", OTHER_METHOD),
        made("made for a slash behind", "GET", "/signed/", b"", OTHER_PATH),
        sent("sent with a slash behind", "GET", "/signed/", OTHER_PATH),
        made("made for another path", "GET", "/large", b"", MISMATCH),
        sent("sent to another path", "GET", "/signed/more", MISMATCH),
        sent("sent to a path with a line feed", "GET", "/signed/%0Aa=1", MISMATCH),
        made("made for a query", "GET", "/signed?a=1", b"", MISMATCH),
        sent("sent with a query", "GET", "/signed?a=1", MISMATCH),
        made("made for a query in the path", "GET", "/signed%3Fa=1", b"", MISMATCH),
        Fields::of("GET", "/signed?a=1&b=2", b"").on(
            "sent with half the query",
            "GET",
            "/signed?a=1",
            MISMATCH,
        ),
        Fields::of("GET", "/signed?a=1", b"").on(
            "sent with a parameter twice",
            "GET",
            "/signed?a=1&a=2",
            MISMATCH,
        ),
        posted("sent with a body", b"", "pay 9", OTHER_BODY),
        posted("sent without its body", b"pay 1", "", MISMATCH),
        posted("sent with another body", b"pay 1", "pay 9", MISMATCH),
        posted("sent with more of a body", b"pay 1", "pay 10", MISMATCH),
    ]
}

/// The gateway before this one answered 500 to these.
fn with_long_bodies() -> Vec<Row> {
    let body = "x".repeat(3 << 20);
    // Nobody computes the signature of a body that is refused for its length.
    let post = |name: &str, target: &str, wanted| {
        let request = Request::post(target).headers(Fields::of("POST", target, b"").named(FIRST));
        Row::request(name, request.body(body.clone()), wanted)
    };
    let unsigned = Fields::of("POST", "/large", b"");
    let whole = Request::post("/large").headers(unsigned.named(FIRST)).body(body.clone());
    let whole = Row::request("3 MiB that were not signed", whole, OTHER_BODY);
    let mut chunked =
        b"POST /token/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n".to_vec();
    for (name, value) in Fields::of("POST", "/token/", b"").named(FIRST) {
        chunked.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    chunked.extend_from_slice(format!("\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes());
    vec![
        post("3 MiB for a token", "/token/", BODY_TOO_LARGE),
        post("3 MiB to a service", "/signed", BODY_TOO_LARGE),
        unsigned.hide(whole, "POST", "/large", body.as_bytes()),
        Row::bytes("3 MiB of unknown length", chunked, BODY_TOO_LARGE),
    ]
}

/// Let in once, and sent again in another form.
fn replayed() -> Vec<Row> {
    let again = |name: &str, names: [&str; 4], write: fn(&Fields) -> String| {
        let mut fields = Fields::good();
        let first = Request::get("/signed").headers(fields.named(FIRST));
        fields.signature = write(&fields);
        let second = Request::get("/signed").headers(fields.named(names));
        fields.hide(Row::request(name, second, REPLAY), "GET", "/signed", b"").after(first)
    };
    let mixed = [FIRST[0], ALIAS[1], FIRST[2], ALIAS[3]];
    let (now, once) = (unix_now(), nonce());
    let with_nonce = |method: &str, target: &str, timestamp| {
        Fields::signed(&nextcloud(), method, target, b"", timestamp, &once)
    };
    let (first, second) =
        (with_nonce("GET", "/signed", now), with_nonce("POST", "/signed/other?a=1", now - 5));
    let elsewhere = Request::post("/signed/other?a=1").headers(second.named(FIRST));
    vec![
        again("again", FIRST, |f| f.base64.clone()),
        again("again in the other family", ALIAS, |f| f.base64.clone()),
        again("again in both families", mixed, |f| f.base64.clone()),
        again("again in hex", FIRST, |f| f.hex.clone()),
        again("again in hex of capitals", FIRST, |f| f.hex.to_uppercase()),
        again("again in the other family and in hex", ALIAS, |f| f.hex.clone()),
        second
            .hide(
                Row::request("a nonce for another request", elsewhere, REPLAY),
                "POST",
                "/signed/other?a=1",
                b"",
            )
            .after(Request::get("/signed").headers(first.named(FIRST))),
    ]
}

/// Fields that are no text.
fn no_text() -> Vec<Row> {
    let mut rows = Vec::new();
    let answers: [(&str, &[u8], [Wanted; 4]); 4] = [
        ("a byte of Latin-1", b"\xe9", [STRANGER, SKEW, MISMATCH, MISMATCH]),
        ("bytes that are no UTF-8", b"\xff\xfe\x80", [STRANGER, SKEW, MISMATCH, MISMATCH]),
        ("a NUL", b"\0", [UNREAD; 4]),
        ("a delete character", b"\x7f", [UNREAD; 4]),
    ];
    for (what, bytes, wanted) in answers {
        for (place, wanted) in wanted.into_iter().enumerate() {
            let fields = Fields::good();
            let mut head = b"GET /signed HTTP/1.1\r\nHost: a\r\n".to_vec();
            for (at, (name, value)) in fields.named(FIRST).into_iter().enumerate() {
                head.extend_from_slice(format!("{name}: {value}").as_bytes());
                head.extend_from_slice(if at == place { bytes } else { b"" });
                head.extend_from_slice(b"\r\n");
            }
            head.extend_from_slice(b"\r\n");
            let row = Row::bytes(format!("{what} in {}", FIRST[place]), head, wanted);
            rows.push(fields.hide(row, "GET", "/signed", b""));
        }
    }
    rows
}
