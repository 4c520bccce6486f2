//! In which other ways do clients make each part of a signature?
//!
//! The likely ones come first: where two guesses are the same text, the first is told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use sha2::{Digest, Sha256, Sha512};

use super::queries;
use super::recipe::{Change, Guess, Layout, Line, Lines};
use super::report::Part;
use super::secrets;
use crate::auth::signature::{plain_seconds, toggled_slash};

/// A request as the gateway received it, in the forms that guesses begin with.
pub(super) struct Received<'a> {
    /// The gateway's six lines.
    pub(super) lines: Lines<'a>,
    /// The path as it was sent.
    pub(super) path: &'a str,
    /// The query as it was sent.
    pub(super) query: &'a str,
    /// The fields as they were sent.
    pub(super) timestamp: &'a str,
    pub(super) signature: &'a str,
    /// The same of the other family of names, where it was sent too.
    pub(super) other_timestamp: Option<&'a str>,
    pub(super) other_nonce: Option<&'a str>,
    pub(super) other_signature: Option<&'a str>,
    pub(super) host: Option<&'a str>,
    pub(super) body: &'a [u8],
    pub(super) skew_seconds: u64,
    /// The texts of the secrets.
    pub(super) secrets: Vec<&'a str>,
}

/// Everything that is tried, without what changes nothing.
pub(super) fn guesses(received: &Received<'_>) -> Vec<Guess> {
    let mut guesses = Vec::new();
    guesses.extend(methods(received));
    guesses.extend(paths(received));
    guesses.extend(queries::guesses(received.query));
    guesses.extend(bodies(received));
    guesses.extend(timestamps(received));
    guesses.extend(nonces(received));
    guesses.extend(layouts());
    guesses.extend(secrets::keys(&received.secrets));
    let texts = [Some(received.signature), received.other_signature];
    guesses.extend(secrets::signatures(texts.into_iter().flatten()));
    guesses.retain(|guess| guess.differs_from(received.lines));
    guesses
}

fn methods(received: &Received<'_>) -> Vec<Guess> {
    const ADVICE: &str = "sign the method that is really sent, also behind a redirect";
    let others = METHODS.iter().filter(|method| **method != received.lines.method);
    let mut guesses: Vec<Guess> = others
        .map(|method| {
            let body = if *method == "GET" { &[][..] } else { received.body };
            let lines = vec![(Line::Method, (*method).to_owned()), (Line::Body, sha256(body))];
            let what = format!("made for the method {method}");
            Guess::new(Part::Method, what, Change::Lines(lines), ADVICE)
        })
        .collect();
    let lower = received.lines.method.to_ascii_lowercase();
    let what = "made with the method in lower case";
    let advice = "write the method in upper case";
    guesses.push(Guess::line(Part::Method, Line::Method, what, lower, advice));
    guesses
}

fn paths(received: &Received<'_>) -> Vec<Guess> {
    let path = received.lines.path;
    let mut guesses = Vec::new();
    let mut add = |what: &'static str, text: String, advice: &'static str| {
        guesses.push(Guess::line(Part::Path, Line::Path, what, text, advice));
    };
    let slash = "request the very path that is signed; the slash at its end counts";
    match path.strip_suffix('/') {
        Some(_) => add("made for the path without its trailing slash", toggled_slash(path), slash),
        None => add("made for the path with a slash at its end", toggled_slash(path), slash),
    }
    let decode = "sign the path with its percent-encoding decoded once";
    add("made for the path as it was sent, not percent-decoded", received.path.to_owned(), decode);
    let twice = percent_decode(path.as_bytes()).decode_utf8_lossy().into_owned();
    add("made for the path decoded twice", twice, decode);
    let encoded = utf8_percent_encode(path, RESERVED_IN_PATHS).to_string();
    add("made for the path with its percent-encoding", encoded, decode);
    add("made with a + in the path taken as a space", path.replace('+', " "), decode);
    let same = "sign the path that the gateway receives, letter by letter";
    add("made for the path in lower case", path.to_lowercase(), same);
    add("made for the path without its first slash", path.trim_start_matches('/').to_owned(), same);
    add("made for the path with doubled slashes made one", with_single_slashes(path), same);
    let alias = "request the path that is signed; the gateway answers under both names";
    let (new, old) = ("/integrations/", "/integration/");
    add("made for the path under its older name", path.replacen(new, old, 1), alias);
    add("made for the path under its newer name", path.replacen(old, new, 1), alias);
    let prefix = "something on the way adds to the path; sign what arrives at the gateway";
    let segments = path.match_indices('/').skip(1).take(SEGMENTS_MAX);
    for inner in segments.filter_map(|(at, _)| path.get(at..)).filter(|inner| *inner != "/") {
        let what = "made for the path without its first part";
        guesses.push(Guess::line(Part::Path, Line::Path, what, inner, prefix));
    }
    guesses.extend(whole_targets(received));
    guesses
}

/// Path and query, or the whole address, in the line of the path.
fn whole_targets(received: &Received<'_>) -> Vec<Guess> {
    let (path, query) = (received.path, received.query);
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut guesses = Vec::new();
    let mut add = |what: &'static str, text: String, query: &str| {
        let lines = vec![(Line::Path, text), (Line::Query, query.to_owned())];
        let advice = "sign path and query apart, each in its own line, and no host";
        guesses.push(Guess::new(Part::Path, what, Change::Lines(lines), advice));
    };
    let in_one = "made for path and query in one line";
    add(in_one, target.clone(), "");
    add(in_one, format!("{}?{}", received.lines.path, received.lines.query), "");
    if let Some(host) = received.host {
        for scheme in ["https", "http"] {
            let whole = "made for the whole address, not for the path";
            add(whole, format!("{scheme}://{host}{path}"), received.lines.query);
            add(whole, format!("{scheme}://{host}{target}"), "");
        }
    }
    guesses
}

fn bodies(received: &Received<'_>) -> Vec<Guess> {
    let body = received.body;
    let mut guesses = Vec::new();
    let mut add = |what: &'static str, text: String, advice: &'static str| {
        guesses.push(Guess::line(Part::Body, Line::Body, what, text, advice));
    };
    let sent = "hash the very bytes that are sent; for GET hash nothing";
    add("made with the hash of an empty body", sha256(b""), sent);
    add("made with the hash of the body that came with the request", sha256(body), sent);
    for (what, changed) in other_bodies(body) {
        add(what, sha256(&changed), sent);
    }
    let hash = received.lines.body;
    let spelling = "write the hash of the body as lower-case hex";
    add("made with the body hash in upper-case hex", hash.to_ascii_uppercase(), spelling);
    let bytes = hex::decode(hash).unwrap_or_default();
    add("made with the body hash in base64", STANDARD.encode(bytes), spelling);
    add("made with an empty line for the body hash", String::new(), spelling);
    let counted = if received.lines.method == "GET" { &[][..] } else { body };
    let sha512 = hex::encode(Sha512::digest(counted));
    add("made with the SHA-512 of the body", sha512, "hash the body with SHA-256");
    if let Some(text) = std::str::from_utf8(body).ok().filter(|_| body.len() <= BODY_LINE_BYTES_MAX)
    {
        add("made with the body itself in place of its hash", text.to_owned(), spelling);
    }
    guesses
}

/// Bodies that are easily taken for the one that was sent.
fn other_bodies(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let with = |end: &[u8]| [body, end].concat();
    let mut bodies = vec![
        ("made for the body with a line feed at its end", with(b"\n")),
        ("made for the body with CRLF at its end", with(b"\r\n")),
    ];
    if let Some(shorter) = body.strip_suffix(b"\r\n").or_else(|| body.strip_suffix(b"\n")) {
        bodies.push(("made for the body without the line end at its end", shorter.to_vec()));
    }
    if let Ok(text) = std::str::from_utf8(body) {
        let unix = text.replace("\r\n", "\n");
        bodies.push((
            "made for the body with CRLF for each line end",
            unix.replace('\n', "\r\n").into(),
        ));
        bodies.push(("made for the body with a line feed for each line end", unix.into()));
        let compact = "made for the body without the white space of its JSON";
        bodies.push((compact, without_json_spaces(text).into()));
    }
    if body.is_empty() {
        for empty in ["{}", "[]", "null", "\"\""] {
            bodies.push(("made for an empty JSON value as the body", empty.into()));
        }
    }
    bodies
}

fn timestamps(received: &Received<'_>) -> Vec<Guess> {
    let sent = received.timestamp;
    let mut guesses = Vec::new();
    let mut add = |what: String, text: String, advice: &'static str, alone: bool| {
        let guess = Guess::line(Part::Timestamp, Line::Timestamp, what, text, advice);
        guesses.push(if alone { guess.alone() } else { guess });
    };
    let once = "read the clock once, and send and sign the same plain seconds";
    if let Some(other) = received.other_timestamp {
        let what = "made for the timestamp of the other family of fields";
        add(what.into(), other.into(), "send each field once: X-NC-* wins over the other", false);
    }
    add("made for the timestamp as it was spelled in its field".into(), sent.into(), once, false);
    let Some(seconds) = whole_seconds(sent) else { return guesses };
    add("made for the whole seconds of the timestamp".into(), seconds.to_string(), once, false);
    if seconds >= MILLISECONDS_MIN {
        let what = "made for the timestamp in seconds, where the field has milliseconds";
        add(what.into(), (seconds / 1_000).to_string(), "send seconds, not milliseconds", false);
        return guesses;
    }
    for (what, text) in [
        ("made for a timestamp with a fraction", format!("{seconds}.0")),
        ("made for the timestamp as a date", date(seconds, "%Y-%m-%dT%H:%M:%SZ")),
        ("made for the timestamp as a date", date(seconds, "%Y-%m-%dT%H:%M:%S+00:00")),
        ("made with an empty line for the timestamp", String::new()),
    ] {
        add(what.into(), text, once, false);
    }
    for off in 1..=SECONDS_OFF_MAX {
        let what = |way| format!("made {off} s {way} than the timestamp that was sent");
        add(what("earlier"), seconds.saturating_sub(off).to_string(), once, false);
        add(what("later"), seconds.saturating_add(off).to_string(), once, false);
    }
    let hours = (1..=HOURS_OFF_MAX).map(|hours| hours * 3_600).chain([received.skew_seconds]);
    for off in hours {
        let zone = "send and sign seconds since 1970 in UTC, whatever the time zone";
        let what = |way| format!("made {off} s {way} than the timestamp that was sent");
        add(what("earlier"), seconds.saturating_sub(off).to_string(), zone, true);
        add(what("later"), seconds.saturating_add(off).to_string(), zone, true);
    }
    for milliseconds in 0..1_000 {
        let what = "made for the timestamp in milliseconds".into();
        add(what, format!("{seconds}{milliseconds:03}"), "sign seconds, not milliseconds", true);
    }
    guesses
}

fn nonces(received: &Received<'_>) -> Vec<Guess> {
    let nonce = received.lines.nonce;
    let mut guesses = Vec::new();
    let mut add = |what: &'static str, text: String| {
        let advice = "make the nonce once, and send and sign the same text";
        guesses.push(Guess::line(Part::Nonce, Line::Nonce, what, text, advice));
    };
    add("made for the nonce without the white space around it", nonce.trim().to_owned());
    add("made for the nonce in lower case", nonce.to_ascii_lowercase());
    add("made for the nonce in upper case", nonce.to_ascii_uppercase());
    add("made for the nonce without its dashes", nonce.replace('-', ""));
    add("made for the nonce in braces", format!("{{{nonce}}}"));
    add("made with an empty line for the nonce", String::new());
    if let Some(other) = received.other_nonce {
        add("made for the nonce of the other family of fields", other.to_owned());
    }
    guesses
}

fn layouts() -> Vec<Guess> {
    const ADVICE: &str = "join the six lines by one line feed each, with none at the end";
    let right = Layout::RIGHT;
    let mut guesses = Vec::new();
    let mut add = |what: &'static str, layout: Layout| {
        guesses.push(Guess::new(Part::Layout, what, Change::Layout(layout), ADVICE));
    };
    add("made with a line feed at the end of the canonical string", Layout { end: "\n", ..right });
    add("made with CRLF between the lines", Layout { joint: "\r\n", ..right });
    let crlf = Layout { joint: "\r\n", end: "\r\n", ..right };
    add("made with CRLF after each line", crlf);
    let escaped = "made with the two signs \\n between the lines, not with a line feed";
    add(escaped, Layout { joint: "\\n", ..right });
    let skips = Layout { skips_empty: true, ..right };
    add("made without the line of the empty query", skips);
    add(
        "made without the line of the empty query, with a line feed at the end",
        Layout { end: "\n", ..skips },
    );
    add("made with nothing between the fields", Layout { joint: "", ..right });
    for joint in [" ", "|", ":", ".", "&", ",", ";", "\r"] {
        add("made with another separator between the fields", Layout { joint, ..right });
    }
    for order in orders() {
        let names = order.map(Line::name).join(", ");
        let what = format!("made with the lines in another order: {names}");
        let change = Change::Layout(Layout { order, ..right });
        let advice = "order the lines: method, path, query, timestamp, nonce, body hash";
        guesses.push(Guess::new(Part::Layout, what, change, advice).alone());
    }
    guesses
}

/// All orders of the six lines but the right one.
fn orders() -> Vec<[Line; 6]> {
    let mut orders: Vec<Vec<Line>> = vec![Vec::new()];
    for line in Line::ALL {
        let with_line = |order: &Vec<Line>| -> Vec<Vec<Line>> {
            let places = 0..=order.len();
            let put = |at| {
                let mut longer = order.clone();
                longer.insert(at, line);
                longer
            };
            places.map(put).collect()
        };
        orders = orders.iter().flat_map(with_line).collect();
    }
    orders
        .into_iter()
        .filter_map(|order| order.try_into().ok())
        .filter(|o| *o != Line::ALL)
        .collect()
}

fn sha256(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

fn with_single_slashes(path: &str) -> String {
    let mut before = None;
    path.chars().filter(|c| before.replace(*c) != Some('/') || *c != '/').collect()
}

/// JSON as encoders write it that put no white space between its tokens.
fn without_json_spaces(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    text.chars()
        .filter(|c| {
            let kept = inside || !c.is_ascii_whitespace();
            inside ^= *c == '"' && !escaped;
            escaped = inside && *c == '\\' && !escaped;
            kept
        })
        .collect()
}

/// The whole seconds of a timestamp that another language would have taken too.
fn whole_seconds(text: &str) -> Option<u64> {
    let text = text.trim().trim_start_matches('+').replace('_', "");
    plain_seconds(text.split('.').next()?).filter(|_| !text.is_empty())
}

fn date(seconds: u64, format: &str) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    // A time that no calendar has is no guess; its empty text is tried anyway.
    let time = jiff::Timestamp::from_second(seconds);
    time.map_or_else(|_| String::new(), |time| time.strftime(format).to_string())
}

const METHODS: [&str; 7] = ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Everything that is encoded in a path by those who encode it segment by segment.
const RESERVED_IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// The most parts of a path that are thought of as added on the way.
const SEGMENTS_MAX: usize = 8;
/// The longest body that is tried as a line of its own.
const BODY_LINE_BYTES_MAX: usize = 4 * 1024;
/// How many seconds two readings of a clock may lie apart.
const SECONDS_OFF_MAX: u64 = 10;
/// The time zones of the earth.
const HOURS_OFF_MAX: u64 = 14;
/// A timestamp from here on has milliseconds: as seconds it would lie thousands of years ahead.
const MILLISECONDS_MIN: u64 = 100_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_719_wrong_orders() {
        assert_eq!(orders().len(), 719);
    }

    #[test]
    fn json_keeps_the_spaces_of_its_texts() {
        let spaced = "{ \"a b\" : [ 1 ,\n \"c \\\" d\" ] }";
        assert_eq!(without_json_spaces(spaced), "{\"a b\":[1,\"c \\\" d\"]}");
    }

    #[test]
    fn timestamps_of_other_languages_have_whole_seconds() {
        for (text, seconds) in [
            ("1700000000", Some(1_700_000_000)),
            ("+1_700_000_000", Some(1_700_000_000)),
            (" 0001700000000.25 ", Some(1_700_000_000)),
            ("2023-11-14T22:13:20Z", None),
            ("", None),
        ] {
            assert_eq!(whole_seconds(text), seconds, "{text}");
        }
    }
}
