//! In which other ways do clients write a query before they sign it?

use std::cmp::Ordering;

use percent_encoding::percent_decode;

use super::recipe::{Guess, Line};
use super::report::Part;
use crate::auth::canonical::canonical_query;

/// A pair of a query: as it was sent, and encoded in the contract's way.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    raw: String,
    key: String,
    value: String,
}

impl Pair {
    fn encoded(&self) -> String {
        format!("{}={}", self.key, self.value)
    }

    fn decoded(&self) -> (String, String) {
        (percent_decoded(&self.key), percent_decoded(&self.value))
    }
}

/// What may have been signed in place of the canonical form of `query`.
pub(super) fn guesses(query: &str) -> Vec<Guess> {
    let canonical = canonical_query(query);
    let mut guesses = orders(&pairs(query));
    let mut add = |what: &'static str, text: String, advice: &'static str| {
        guesses.push(Guess::line(Part::Query, Line::Query, what, text, advice));
    };
    add(
        "made for the query as it was sent, not in its canonical form",
        query.to_owned(),
        "decode, encode and sort the pairs of the query before signing",
    );
    add(
        "made without the query",
        String::new(),
        "sign the query too; it is the third line of the canonical string",
    );
    add(
        "made with + for a space in the query",
        canonical.replace("%20", "+"),
        "encode a space as %20 (rawurlencode, not urlencode or a form encoder)",
    );
    add(
        "made with the query encoded as a form: + for a space, %7E for ~",
        canonical.replace("%20", "+").replace('~', "%7E"),
        "encode by RFC 3986 (rawurlencode, not urlencode or a form encoder)",
    );
    add(
        "made with lower-case hex digits in the query's percent-encoding",
        lower_hex(&canonical),
        "write percent-encodings with upper-case hex digits",
    );
    add(
        "made with a + in the query taken as itself, not as a space",
        canonical_query(&query.replace('+', "%2B")),
        "a + in a query stands for a space; send %2B for a plus sign",
    );
    add(
        "made for the query without percent-encoding",
        percent_decoded(&canonical),
        "encode keys and values again before signing",
    );
    add(
        "made with !'()* left as they are in the query",
        as_javascript(&canonical),
        "encodeURIComponent leaves !'()* as they are; encode them too",
    );
    add(
        "made with the ? before the query",
        format!("?{canonical}"),
        "sign the query without its ?",
    );
    add(
        "made with ; as a separator of the query too",
        canonical_query(&query.replace(';', "&")),
        "split the query at & alone",
    );
    guesses
}

/// Orders and choices of pairs that other sorts and dictionaries make.
fn orders(pairs: &[Pair]) -> Vec<Guess> {
    let mut guesses = Vec::new();
    if pairs.is_empty() {
        return guesses;
    }
    let mut add = |what: &'static str, pairs: Vec<Pair>, advice: &'static str| {
        let text = joined(pairs.iter().map(Pair::encoded));
        guesses.push(Guess::line(Part::Query, Line::Query, what, text, advice));
    };
    const SORT: &str = "sort the encoded pairs as texts, by key and then by value";
    let by = |before: fn(&Pair, &Pair) -> Ordering| inserted(pairs, before);
    add("made for the query with its pairs unsorted", pairs.to_vec(), SORT);
    add(
        "made for the query in PHP's order, which takes numbers as numbers (9 before 10)",
        by(|one, other| {
            php_order(&one.key, &other.key).then_with(|| php_order(&one.value, &other.value))
        }),
        "compare with strcmp, not with <=>, < or a sort that guesses types",
    );
    add("made for the query sorted by key alone", by(|one, other| one.key.cmp(&other.key)), SORT);
    add(
        "made for the query sorted before it was encoded",
        by(|one, other| one.decoded().cmp(&other.decoded())),
        "encode first, then sort the encoded texts",
    );
    let only =
        |kept: Vec<&Pair>| inserted(&kept.into_iter().cloned().collect::<Vec<_>>(), text_order);
    let is_last = |at: usize, pair: &Pair| !pairs.iter().skip(at + 1).any(|p| p.key == pair.key);
    let is_first = |at: usize, pair: &Pair| !pairs.iter().take(at).any(|p| p.key == pair.key);
    let numbered = || pairs.iter().enumerate();
    const KEEP: &str = "keep a list of pairs, not a dictionary: a key may be there twice";
    add(
        "made with only the last of the values that a key of the query has",
        only(numbered().filter(|(at, pair)| is_last(*at, pair)).map(|(_, pair)| pair).collect()),
        KEEP,
    );
    add(
        "made with only the first of the values that a key of the query has",
        only(numbered().filter(|(at, pair)| is_first(*at, pair)).map(|(_, pair)| pair).collect()),
        KEEP,
    );
    add(
        "made without the pairs of the query that have no value",
        only(pairs.iter().filter(|pair| !pair.value.is_empty()).collect()),
        "keep a key without a value, as key=",
    );
    let mut raw: Vec<&str> = pairs.iter().map(|pair| pair.raw.as_str()).collect();
    raw.sort_unstable();
    guesses.push(Guess::line(
        Part::Query,
        Line::Query,
        "made for the query sorted, but not encoded anew",
        raw.join("&"),
        "decode each key and value, and encode it in the one way, before sorting",
    ));
    guesses
}

/// The pairs in the order in which they were sent; none when there are too many to be tried.
fn pairs(query: &str) -> Vec<Pair> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    if pairs.clone().count() > PAIRS_MAX {
        return Vec::new();
    }
    pairs
        .map(|raw| {
            let canonical = canonical_query(raw);
            let (key, value) = canonical.split_once('=').unwrap_or((&canonical, ""));
            Pair { raw: raw.to_owned(), key: key.to_owned(), value: value.to_owned() }
        })
        .collect()
}

fn joined(pairs: impl Iterator<Item = String>) -> String {
    pairs.collect::<Vec<_>>().join("&")
}

fn text_order(one: &Pair, other: &Pair) -> Ordering {
    (&one.key, &one.value).cmp(&(&other.key, &other.value))
}

/// A stable sort by insertion. PHP's order is none in the strict sense (`"10" < "9a" < "9"`),
/// which the sorts of the standard library may refuse by panicking.
fn inserted(pairs: &[Pair], order: fn(&Pair, &Pair) -> Ordering) -> Vec<Pair> {
    let mut sorted: Vec<Pair> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let behind = sorted.iter().rposition(|other| order(other, pair) != Ordering::Greater);
        sorted.insert(behind.map_or(0, |at| at + 1), pair.clone());
    }
    sorted
}

/// PHP's `<=>` on texts: as numbers if both look like one, else byte by byte.
fn php_order(one: &str, other: &str) -> Ordering {
    match (php_number(one), php_number(other)) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => one.cmp(other),
    }
}

fn php_number(text: &str) -> Option<f64> {
    let looks_right = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|number: &f64| looks_right && number.is_finite())
}

fn percent_decoded(text: &str) -> String {
    percent_decode(text.as_bytes()).decode_utf8_lossy().into_owned()
}

/// Every percent-encoding in lower case.
fn lower_hex(text: &str) -> String {
    let mut left = 0_usize;
    text.chars()
        .map(|c| {
            let is_digit = left > 0;
            left = if c == '%' { 2 } else { left.saturating_sub(1) };
            if is_digit { c.to_ascii_lowercase() } else { c }
        })
        .collect()
}

/// The text as JavaScript's `encodeURIComponent` would have it.
fn as_javascript(text: &str) -> String {
    [("%21", "!"), ("%27", "'"), ("%28", "("), ("%29", ")"), ("%2A", "*")]
        .iter()
        .fold(text.to_owned(), |text, (encoded, plain)| text.replace(encoded, plain))
}

/// The most pairs of a query that are tried in other orders.
const PAIRS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(query: &str) -> String {
        let order = |one: &Pair, other: &Pair| php_order(&one.key, &other.key);
        joined(inserted(&pairs(query), order).iter().map(Pair::encoded))
    }

    #[test]
    fn phps_order_takes_numbers_as_numbers() {
        assert_eq!(ordered("10=a&9=b&1e1=c&a=d"), "9=b&10=a&1e1=c&a=d");
        assert_eq!(canonical_query("10=a&9=b"), "10=a&9=b");
        // An order that goes in circles must not panic.
        ordered("10=&9a=&9=&1e3=&0x1=&-5=&");
    }

    #[test]
    fn only_the_digits_of_an_encoding_become_lower_case() {
        assert_eq!(lower_hex("AB=%C3%A9%2FAB"), "AB=%c3%a9%2fAB");
    }

    #[test]
    fn a_query_of_very_many_pairs_is_not_sorted_in_other_ways() {
        assert_eq!(pairs(&"a&".repeat(PAIRS_MAX)).len(), PAIRS_MAX);
        assert!(pairs(&"a&".repeat(PAIRS_MAX + 1)).is_empty());
    }
}
