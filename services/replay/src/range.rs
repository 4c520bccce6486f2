//! Which bytes of a file does a request ask for?
//!
//! RFC 9110, section 13.2.2 for the order of the conditions and section 14 for the range: one
//! range is served; several are ignored, as object stores do and section 14.2 allows; so is an
//! unknown form; a range that starts behind the end cannot be satisfied.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// What a request means for a file of a known length and entity tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No usable range: the whole file with 200.
    Whole,
    /// These bytes with 206.
    Part(Range<usize>),
    /// 416.
    Unsatisfiable,
    /// 304: the client has this state of the file.
    NotModified,
    /// 412: the client wants another state of the file.
    Failed,
}

/// Judges the conditions of a request, then its range. `etag` is a strong one.
pub(crate) fn asked(
    method: &Method,
    headers: &HeaderMap,
    etag: &HeaderValue,
    length: usize,
) -> Wanted {
    // `If-Match` compares strongly: a weak tag never matches.
    if !any_tag(headers, &header::IF_MATCH, |tag| tag == etag.as_bytes()).unwrap_or(true) {
        return Wanted::Failed;
    }
    let same = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes();
    if any_tag(headers, &header::IF_NONE_MATCH, same).unwrap_or(false) {
        return Wanted::NotModified;
    }
    // A date in `If-Range` never matches: the files have no date.
    let unchanged = headers.get(header::IF_RANGE).is_none_or(|tag| tag == etag);
    let mut ranges = headers.get_all(header::RANGE).iter();
    match (ranges.next(), ranges.next()) {
        // A range counts for GET alone.
        (Some(range), None) if unchanged && method == Method::GET => {
            wanted(range.to_str().ok(), length)
        }
        _ => Wanted::Whole,
    }
}

/// Whether a member of a list of entity tags is as wanted, or the list is `*`; `None` without it.
fn any_tag(headers: &HeaderMap, name: &HeaderName, wanted: impl Fn(&[u8]) -> bool) -> Option<bool> {
    let mut lists = headers.get_all(name).iter().peekable();
    lists.peek()?;
    let mut tags = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    Some(tags.any(|tag| {
        let tag = tag.trim_ascii();
        tag == b"*" || wanted(tag)
    }))
}

/// Reads `header` against a file of `length` bytes.
fn wanted(header: Option<&str>, length: usize) -> Wanted {
    let Some((first, last)) = header.and_then(single_range) else { return Wanted::Whole };
    match (first, last) {
        (None, Some(0)) => Wanted::Unsatisfiable,
        (None, Some(_)) if length == 0 => Wanted::Unsatisfiable,
        (None, Some(suffix)) => Wanted::Part(length.saturating_sub(suffix)..length),
        (Some(first), _) if first >= length => Wanted::Unsatisfiable,
        (Some(first), None) => Wanted::Part(first..length),
        (Some(first), Some(last)) if last >= first => {
            Wanted::Part(first..last.saturating_add(1).min(length))
        }
        (Some(_), Some(_)) | (None, None) => Wanted::Whole,
    }
}

/// `bytes=A-B`, `bytes=A-` or `bytes=-N`; `None` for every other form.
fn single_range(header: &str) -> Option<(Option<usize>, Option<usize>)> {
    let (unit, range) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    // A list may have empty members (section 5.6.1.2), which do not make it several ranges.
    let mut ranges = range.split(',').map(str::trim).filter(|range| !range.is_empty());
    let (first, last) = ranges.next()?.split_once('-')?;
    if ranges.next().is_some() {
        return None;
    }
    let bounds = (position(first)?, position(last)?);
    (bounds != (None, None)).then_some(bounds)
}

/// Digits alone: `usize::from_str` would take a leading `+`.
fn position(text: &str) -> Option<Option<usize>> {
    match text {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            // More digits than a position can have still means "far behind the end".
            Some(Some(digits.parse().unwrap_or(usize::MAX)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]
    use super::*;

    #[test]
    fn each_single_form_names_its_bytes() {
        assert_eq!(wanted(Some("bytes=0-3"), 10), Wanted::Part(0..4));
        assert_eq!(wanted(Some("bytes=4-"), 10), Wanted::Part(4..10));
        assert_eq!(wanted(Some("bytes=-4"), 10), Wanted::Part(6..10));
        assert_eq!(wanted(Some("Bytes=9-9"), 10), Wanted::Part(9..10));
        assert_eq!(wanted(Some("bytes=, 0-3 ,"), 10), Wanted::Part(0..4));
    }

    #[test]
    fn end_is_cut_to_the_file() {
        assert_eq!(wanted(Some("bytes=8-99"), 10), Wanted::Part(8..10));
        assert_eq!(wanted(Some("bytes=-99"), 10), Wanted::Part(0..10));
        assert_eq!(wanted(Some("bytes=0-99999999999999999999999"), 10), Wanted::Part(0..10));
    }

    #[test]
    fn start_behind_the_end_is_unsatisfiable() {
        for header in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(wanted(Some(header), 10), Wanted::Unsatisfiable, "{header}");
        }
        assert_eq!(wanted(Some("bytes=-1"), 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn unknown_forms_are_ignored() {
        for header in
            ["bytes=0-1,4-5", "bytes=5-4", "bytes=-", "bytes=a-b", "rows=0-1", "bytes=+1-2"]
        {
            assert_eq!(wanted(Some(header), 10), Wanted::Whole, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
    }

    fn judged(headers: &[(HeaderName, &'static str)]) -> Wanted {
        let headers = headers.iter().map(|(name, text)| (name.clone(), text.parse().unwrap()));
        asked(&Method::GET, &headers.collect::<HeaderMap>(), &HeaderValue::from_static("\"a\""), 10)
    }

    #[test]
    fn conditions_are_judged_before_the_range() {
        let range = (header::RANGE, "bytes=0-3");
        for (name, tags, expected) in [
            (header::IF_MATCH, "\"a\"", Wanted::Part(0..4)),
            (header::IF_MATCH, "\"b\", \"a\"", Wanted::Part(0..4)),
            (header::IF_MATCH, "*", Wanted::Part(0..4)),
            (header::IF_MATCH, "\"b\"", Wanted::Failed),
            (header::IF_MATCH, "W/\"a\"", Wanted::Failed),
            (header::IF_NONE_MATCH, "W/\"a\"", Wanted::NotModified),
            (header::IF_NONE_MATCH, "\"b\"", Wanted::Part(0..4)),
            (header::IF_RANGE, "\"a\"", Wanted::Part(0..4)),
            (header::IF_RANGE, "\"b\"", Wanted::Whole),
            (header::IF_RANGE, "W/\"a\"", Wanted::Whole),
            (header::IF_RANGE, "Wed, 25 Nov 2026 17:00:00 GMT", Wanted::Whole),
        ] {
            assert_eq!(judged(&[range.clone(), (name.clone(), tags)]), expected, "{name}: {tags}");
        }
    }

    #[test]
    fn changed_file_is_told_apart_before_an_unsatisfiable_range() {
        let behind = (header::RANGE, "bytes=10-");
        assert_eq!(judged(&[behind.clone(), (header::IF_MATCH, "\"b\"")]), Wanted::Failed);
        assert_eq!(judged(&[behind]), Wanted::Unsatisfiable);
    }

    #[test]
    fn range_counts_for_get_alone() {
        let headers =
            HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static("bytes=0-3"))]);
        let etag = HeaderValue::from_static("\"a\"");
        assert_eq!(asked(&Method::HEAD, &headers, &etag, 10), Wanted::Whole);
    }

    #[test]
    fn two_range_lines_are_several_ranges() {
        let mut headers = HeaderMap::new();
        headers.append(header::RANGE, HeaderValue::from_static("bytes=0-3"));
        headers.append(header::RANGE, HeaderValue::from_static("bytes=5-6"));
        let etag = HeaderValue::from_static("\"a\"");
        assert_eq!(asked(&Method::GET, &headers, &etag, 10), Wanted::Whole);
    }
}
