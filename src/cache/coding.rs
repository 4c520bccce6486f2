//! In which codings does a stored answer leave, and which of them does a client take?
//!
//! A stored answer is compressed once and served often. Which codings there are depends on the answer
//! alone, which one is served on the request alone (RFC 9110, section 12.5.3). Nothing here runs while
//! a client waits, except [`choose`].

use std::io::{self, Write};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::http::ResponseHeader;

use super::directives::{Directives, elements};
use super::tag::coded_etag;

/// Smaller bodies fit into one packet anyway.
pub const BODY_BYTES_MIN: usize = 1024;

/// A coding must leave at most this share of a body to be worth its memory.
const KEPT_PERCENT_MAX: usize = 90;

/// Of 0 to 11. What the levels cost and save is in `ARCHITECTURE.md`.
const BROTLI_LEVEL: u32 = 6;

/// Largest distance of a repetition, as a power of two: what browsers take without being asked.
const BROTLI_WINDOW: u32 = 22;

/// Size of the pieces in which a body is written to the brotli encoder.
const BROTLI_BUFFER_BYTES: usize = 4096;

/// Of 1 to 22.
const ZSTD_LEVEL: i32 = 9;

/// Of 0 to 9.
const GZIP_LEVEL: u32 = 6;

/// Types beside text that are no longer than they have to be only once they are compressed.
const COMPRESSIBLE: [&str; 14] = [
    "application/javascript",
    "application/json",
    "application/rtf",
    "application/sql",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/xml",
    "application/yaml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/x-icon",
];

/// Fields that describe the bytes of one coding, and lie about any other.
const OF_THE_BYTES: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// A content coding that the gateway makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// All of them, the densest first.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in `Content-Encoding` and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// The body in this coding, unless that hardly saves anything.
    ///
    /// # Errors
    ///
    /// What the encoder says, which has nothing but memory to write to.
    pub fn encode(self, body: &[u8]) -> io::Result<Option<Bytes>> {
        let mut coded = Vec::with_capacity(body.len() / 4);
        match self {
            Self::Brotli => {
                let mut writer = brotli::CompressorWriter::new(
                    &mut coded,
                    BROTLI_BUFFER_BYTES,
                    BROTLI_LEVEL,
                    BROTLI_WINDOW,
                );
                writer.write_all(body)?;
                // Its end is written when it goes out of scope.
                drop(writer);
            }
            Self::Zstd => zstd::stream::copy_encode(body, &mut coded, ZSTD_LEVEL)?,
            Self::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut writer = flate2::write::GzEncoder::new(&mut coded, level);
                writer.write_all(body)?;
                writer.finish()?;
            }
        }
        let is_worth_it = coded.len() <= body.len() / 100 * KEPT_PERCENT_MAX;
        // Boxed, so that the body costs its length.
        Ok(is_worth_it.then(|| Bytes::from(coded.into_boxed_slice())))
    }
}

/// A stored answer's body in one coding.
#[derive(Clone, Debug)]
pub struct Coded {
    /// Which.
    pub coding: Coding,
    /// The coded bytes.
    pub body: Bytes,
    /// The strong tag of these bytes.
    pub etag: HeaderValue,
}

impl Coded {
    /// A body in a coding, which is that of the tag when it is plain.
    #[must_use]
    pub fn new(coding: Coding, body: Bytes, plain: Option<&HeaderValue>) -> Option<Self> {
        let etag = coded_etag(plain, coding.as_str(), &body)?;
        Some(Self { coding, body, etag })
    }

    /// The head with which these bytes leave.
    #[must_use]
    pub fn head(&self, plain: &ResponseHeader) -> ResponseHeader {
        let mut head = plain.clone();
        for name in &OF_THE_BYTES {
            head.remove_header(name);
        }
        let length = HeaderValue::from(self.body.len());
        let coding = HeaderValue::from_static(self.coding.as_str());
        for (name, value) in [
            (header::CONTENT_ENCODING, coding),
            (header::CONTENT_LENGTH, length),
            (header::ETAG, self.etag.clone()),
        ] {
            let _value_is_a_field = head.insert_header(name, value);
        }
        head
    }
}

/// Whether answers with this head leave in codings once they are long enough.
#[must_use]
pub fn is_compressible(head: &ResponseHeader) -> bool {
    head.status == StatusCode::OK
        && !head.headers.contains_key(header::CONTENT_ENCODING)
        && !head.headers.contains_key(header::CONTENT_RANGE)
        && !forbids_transforming(&head.headers)
        && head.headers.get(header::CONTENT_TYPE).is_some_and(is_type_compressible)
}

fn is_type_compressible(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || COMPRESSIBLE.contains(&essence.as_str())
}

/// Says that an answer may come in another coding to somebody else.
pub fn vary(head: &mut ResponseHeader) {
    let named = |value: &HeaderValue| {
        let names = value.to_str().map(elements).unwrap_or_default();
        names.iter().any(|name| *name == "*" || name.eq_ignore_ascii_case("accept-encoding"))
    };
    if head.headers.get_all(header::VARY).iter().any(named) {
        return;
    }
    let mut all: Vec<u8> = Vec::new();
    for value in head.headers.get_all(header::VARY) {
        all.extend_from_slice(value.as_bytes());
        all.extend_from_slice(b", ");
    }
    all.extend_from_slice(b"Accept-Encoding");
    if let Ok(value) = HeaderValue::from_bytes(&all) {
        let _value_is_a_field = head.insert_header(header::VARY, value);
    }
}

/// What a client takes, in thousandths: `None` of what it does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Accepted {
    brotli: Option<u16>,
    zstd: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    any: Option<u16>,
}

impl Accepted {
    /// Reads `Accept-Encoding`; a member that is none says nothing. Of several for one coding the
    /// first counts.
    fn of(asked: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        for value in asked.get_all(header::ACCEPT_ENCODING) {
            for member in value.to_str().unwrap_or_default().split(',') {
                if let Some((name, weight)) = weighted(member) {
                    let slot = accepted.slot(name);
                    slot.into_iter().for_each(|slot| *slot = slot.or(Some(weight)));
                }
            }
        }
        accepted
    }

    fn slot(&mut self, name: &str) -> Option<&mut Option<u16>> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        match () {
            () if is("br") => Some(&mut self.brotli),
            () if is("zstd") => Some(&mut self.zstd),
            // RFC 9110, section 8.4.1.3: the old name of the same.
            () if is("gzip") || is("x-gzip") => Some(&mut self.gzip),
            () if is("identity") => Some(&mut self.identity),
            () if name == "*" => Some(&mut self.any),
            () => None,
        }
    }

    fn weight(&self, coding: Coding) -> u16 {
        let named = match coding {
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
            Coding::Gzip => self.gzip,
        };
        named.or(self.any).unwrap_or(0)
    }

    /// Whether the body as it is may be sent: unless that is ruled out, by its name or by `*`.
    fn takes_plain(&self) -> bool {
        self.identity.or(self.any) != Some(0)
    }
}

/// A coding and its weight in thousandths.
fn weighted(member: &str) -> Option<(&str, u16)> {
    let mut parts = member.split(';').map(|part| part.trim_matches([' ', '\t']));
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = match parts.next() {
        None => 1000,
        Some(parameter) => {
            let (key, value) = parameter.split_once('=')?;
            if !key.eq_ignore_ascii_case("q") {
                return None;
            }
            thousandths(value)?
        }
    };
    parts.next().is_none().then_some((name, weight))
}

/// `0`, `1`, or either with up to three places, and not over 1 (RFC 9110, section 12.4.2).
fn thousandths(text: &str) -> Option<u16> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let is_number = places.len() <= 3 && places.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || !is_number {
        return None;
    }
    let weight: u16 = format!("{whole}{places:0<3}").parse().ok()?;
    (weight <= 1000).then_some(weight)
}

/// The coding of `there` in which an answer goes to a client; `None` is the body as it is, which has
/// the tag `plain`.
///
/// What the client has already, by the tags that it names, is what it is asked about. Else the coding
/// that it likes best is taken, and of several the operator's first.
#[must_use]
pub fn choose(
    there: &[Coded],
    plain: Option<&HeaderValue>,
    preferred: &[Coding],
    asked: &HeaderMap,
) -> Option<Coding> {
    let is_asked = asked.contains_key(header::ACCEPT_ENCODING);
    if there.is_empty() || !is_asked || forbids_transforming(asked) {
        return None;
    }
    let accepted = Accepted::of(asked);
    let weight = |coded: &&Coded| accepted.weight(coded.coding);
    let coded = |coding: &Coding| there.iter().find(|coded| coded.coding == *coding);
    let taken = || preferred.iter().filter_map(coded).filter(|coded| weight(coded) > 0);
    if let Some(known) = taken().find(|coded| is_named(&coded.etag, asked)) {
        return Some(known.coding);
    }
    let is_plain_known = plain.is_some_and(|plain| is_named(plain, asked));
    if is_plain_known && accepted.takes_plain() {
        return None;
    }
    // Of several that are liked best, `max_by_key` takes the last.
    let best = taken().rev().max_by_key(weight)?;
    (accepted.identity.unwrap_or(0) <= weight(&best)).then_some(best.coding)
}

fn forbids_transforming(fields: &HeaderMap) -> bool {
    Directives::of(fields, &header::CACHE_CONTROL).has("no-transform")
}

/// Whether a request names this tag in a condition. A tag has its quotes, so that no part of another
/// one passes for it.
fn is_named(etag: &HeaderValue, asked: &HeaderMap) -> bool {
    let etag = etag.as_bytes();
    let names = |value: &HeaderValue| value.as_bytes().windows(etag.len()).any(|part| part == etag);
    let fields = [header::IF_NONE_MATCH, header::IF_RANGE];
    !etag.is_empty() && fields.iter().any(|name| asked.get_all(name).iter().any(names))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn asking(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn coded(coding: Coding) -> Coded {
        let plain = HeaderValue::from_static("\"a\"");
        Coded::new(coding, Bytes::new(), Some(&plain)).unwrap()
    }

    fn chosen_by(asked: &HeaderMap) -> Option<Coding> {
        let plain = HeaderValue::from_static("\"a\"");
        choose(&Coding::ALL.map(coded), Some(&plain), &Coding::ALL, asked)
    }

    fn chosen(accept: &str) -> Option<Coding> {
        chosen_by(&asking(&[("accept-encoding", accept)]))
    }

    #[test]
    fn client_gets_the_coding_that_it_likes_best() {
        for (accept, wanted) in [
            ("", None),
            ("gzip", Some(Coding::Gzip)),
            ("X-GZIP", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Brotli)),
            ("gzip;q=1.0, br;q=0.9", Some(Coding::Gzip)),
            ("gzip ; q=0.5 , zstd ; Q=0.50", Some(Coding::Zstd)),
            ("*", Some(Coding::Brotli)),
            ("br;q=0, *", Some(Coding::Zstd)),
            ("*;q=0", None),
            ("*;q=0, gzip", Some(Coding::Gzip)),
            ("identity", None),
            ("identity;q=0", None),
            ("identity;q=0.5, gzip;q=0.4", None),
            ("identity;q=0.5, gzip;q=0.5", Some(Coding::Gzip)),
            ("gzip;q=0.001", Some(Coding::Gzip)),
            ("gzip;q=0, gzip", None),
            ("deflate, compress", None),
            // None of these is a weight, so that the member says nothing.
            ("gzip;q=2", None),
            ("gzip;q=1.001", None),
            ("gzip;q=0.1234", None),
            ("gzip;q=-1", None),
            ("gzip;q=", None),
            ("gzip;level=1", None),
            ("gzip;q=1;q=1", None),
            (";q=1", None),
        ] {
            assert_eq!(chosen(accept), wanted, "{accept:?}");
        }
        let twice = asking(&[("accept-encoding", "deflate"), ("accept-encoding", "gzip")]);
        assert_eq!(chosen_by(&twice), Some(Coding::Gzip));
        assert_eq!(chosen_by(&asking(&[])), None);
    }

    #[test]
    fn client_that_names_what_it_has_is_answered_about_that() {
        for (condition, wanted) in [
            ("\"a\"", None),
            ("W/\"a\"", None),
            ("\"a-gzip\"", Some(Coding::Gzip)),
            ("\"b\", \"a-zstd\"", Some(Coding::Zstd)),
            ("\"b\"", Some(Coding::Brotli)),
            ("*", Some(Coding::Brotli)),
        ] {
            for name in ["if-none-match", "if-range"] {
                let asked = asking(&[("accept-encoding", "gzip, br, zstd"), (name, condition)]);
                assert_eq!(chosen_by(&asked), wanted, "{name}: {condition}");
            }
        }
        let only_gzip = asking(&[("accept-encoding", "gzip"), ("if-none-match", "\"a-br\"")]);
        assert_eq!(chosen_by(&only_gzip), Some(Coding::Gzip));
        let not_plain =
            asking(&[("accept-encoding", "gzip, identity;q=0"), ("if-none-match", "\"a\"")]);
        assert_eq!(chosen_by(&not_plain), Some(Coding::Gzip));
    }

    #[test]
    fn client_may_forbid_any_transformation() {
        let asked = asking(&[("accept-encoding", "gzip"), ("cache-control", "no-transform")]);
        assert_eq!(chosen_by(&asked), None);
    }

    #[test]
    fn only_what_is_text_in_some_form_is_compressible() {
        let head = |fields: &[(&'static str, &str)], status| {
            let mut head = ResponseHeader::build(status, None).unwrap();
            for (name, value) in fields {
                head.append_header(*name, *value).unwrap();
            }
            head
        };
        for (content_type, wanted) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/geo+json", true),
            ("image/svg+xml", true),
            ("text/html;charset=utf-8", true),
            ("application/wasm", true),
            ("image/png", false),
            ("application/octet-stream", false),
            ("application/zip", false),
            ("", false),
        ] {
            let head = head(&[("content-type", content_type)], 200);
            assert_eq!(is_compressible(&head), wanted, "{content_type}");
        }
        let json = ("content-type", "application/json");
        for more in [
            ("cache-control", "max-age=1, No-Transform"),
            ("content-encoding", "gzip"),
            ("content-encoding", "identity"),
            ("content-range", "bytes 0-1/2"),
        ] {
            assert!(!is_compressible(&head(&[json, more], 200)), "{more:?}");
        }
        assert!(!is_compressible(&head(&[json], 206)));
        assert!(!is_compressible(&head(&[json], 204)));
        assert!(!is_compressible(&head(&[], 200)));
    }

    #[test]
    fn vary_is_added_to_what_is_there() {
        for (there, wanted) in [
            (&[][..], "Accept-Encoding"),
            (&["Accept-Language"], "Accept-Language, Accept-Encoding"),
            (&["a", "b"], "a, b, Accept-Encoding"),
            (&["a, ACCEPT-encoding"], "a, ACCEPT-encoding"),
            (&["*"], "*"),
        ] {
            let mut head = ResponseHeader::build(200, None).unwrap();
            for value in there {
                head.append_header("vary", *value).unwrap();
            }
            vary(&mut head);
            assert_eq!(head.headers.get("vary").unwrap(), wanted);
        }
    }

    #[test]
    fn head_of_a_coding_says_nothing_of_other_bytes() {
        let mut plain = ResponseHeader::build(200, None).unwrap();
        for (name, value) in
            [("content-length", "9"), ("etag", "\"a\""), ("repr-digest", "d"), ("x-a", "1")]
        {
            plain.append_header(name, value).unwrap();
        }
        let etag = HeaderValue::from_static("\"a-br\"");
        let head =
            Coded { coding: Coding::Brotli, body: Bytes::from_static(b"123"), etag }.head(&plain);
        let field = |name| head.headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(field("content-length"), Some("3"));
        assert_eq!(field("content-encoding"), Some("br"));
        assert_eq!((field("etag"), field("x-a")), (Some("\"a-br\""), Some("1")));
        assert_eq!(field("repr-digest"), None);
    }

    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Brotli => {
                brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out).unwrap();
            }
            Coding::Zstd => out = zstd::decode_all(bytes).unwrap(),
            Coding::Gzip => {
                flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
            }
        }
        out
    }

    proptest! {
        #[test]
        fn every_coding_holds_the_whole_body(words in prop::collection::vec("[a-z]{1,8}", 1..400)) {
            let body = words.join(" ").repeat(3);
            for coding in Coding::ALL {
                if let Some(coded) = coding.encode(body.as_bytes()).unwrap() {
                    prop_assert!(coded.len() * 10 <= body.len() * 9);
                    prop_assert_eq!(decoded(coding, &coded), body.as_bytes());
                }
            }
        }

        #[test]
        fn what_looks_random_is_not_worth_a_coding(body in prop::collection::vec(any::<u8>(), 1024..2048)) {
            for coding in Coding::ALL {
                prop_assert_eq!(coding.encode(&body).unwrap(), None);
            }
        }

        #[test]
        fn whatever_a_client_says_what_it_rules_out_is_not_sent(accept in "[a-z*;=,. 01q-]{0,60}") {
            let asked = asking(&[("accept-encoding", &accept)]);
            if let Some(coding) = chosen_by(&asked) {
                let says_so = |name: &str| accept.to_ascii_lowercase().contains(name);
                prop_assert!(says_so(coding.as_str()) || says_so("*"));
                prop_assert!(Accepted::of(&asked).weight(coding) > 0);
            }
        }

        #[test]
        fn weights_decide_however_the_members_are_written(
            weights in prop::collection::vec(0_u16..=1000, 4),
            order in Just([0_usize, 1, 2, 3]).prop_shuffle(),
            gaps in prop::collection::vec("[ \t]{0,2}", 4),
        ) {
            let names = ["br", "zstd", "gzip", "identity"];
            let member = |index: usize| {
                let (weight, gap) = (weights[index], &gaps[index]);
                let number = format!("{}.{:03}", weight / 1000, weight % 1000);
                format!("{gap}{}{gap};{gap}q={number}{gap}", names[index])
            };
            let accept: Vec<String> = order.iter().map(|index| member(*index)).collect();
            let best = weights[..3].iter().max().copied().unwrap();
            let wanted = Coding::ALL.iter().zip(&weights).find(|(_, weight)| **weight == best);
            let wanted = wanted.map(|(coding, _)| *coding);
            let is_coded = best > 0 && best >= weights[3];
            prop_assert_eq!(chosen(&accept.join(",")), wanted.filter(|_| is_coded));
        }
    }
}
