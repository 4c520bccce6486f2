//! What can be answered from a part of an answer? RFC 9111, section 3.3.
//!
//! The gateway asks for the whole and cuts parts out of it. An upstream that answers with a part all
//! the same is taken at its word: the part is kept for requests for what lies in it, until the whole
//! comes.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::object::Object;

/// Where a part lies in the whole, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its first byte.
    first: u64,
    /// The byte behind its last one.
    end: u64,
    /// How long the whole is, where that is said.
    complete: Option<u64>,
}

/// The one range that a request asks for (RFC 9110, section 14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// From this byte up to and with that one, or to the end.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

impl Part {
    /// Reads where a body of so many bytes lies (RFC 9110, section 14.4); nothing, if the answer does not
    /// say, or says something else.
    #[must_use]
    pub fn of(headers: &HeaderMap, body_bytes: usize) -> Option<Self> {
        let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
        let (range, complete) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let complete = if complete == "*" { None } else { Some(complete.parse().ok()?) };
        let end = last.checked_add(1)?;
        let is_whole = end.checked_sub(first)? == body_bytes as u64 && body_bytes > 0;
        let is_inside = complete.is_none_or(|complete: u64| end <= complete);
        (is_whole && is_inside).then_some(Self { first, end, complete })
    }

    /// The first byte and the byte behind the last of what is wanted; nothing, unless all of it is here.
    fn covers(self, wanted: Wanted) -> Option<(u64, u64)> {
        let (from, to) = match (wanted, self.complete) {
            (Wanted::From(from, Some(last)), complete) => {
                let end = last.saturating_add(1);
                (from, complete.map_or(end, |complete| end.min(complete)))
            }
            (Wanted::From(from, None), Some(complete)) => (from, complete),
            (Wanted::Last(count), Some(complete)) => (complete.saturating_sub(count), complete),
            (Wanted::From(_, None) | Wanted::Last(_), None) => return None,
        };
        (self.first <= from && from < to && to <= self.end).then_some((from, to))
    }
}

impl Object {
    /// What this answer says to a request: itself, if it is whole; of a part the range that is asked
    /// for, if that lies in it.
    #[must_use]
    pub fn cut(self: &Arc<Self>, asked: &HeaderMap) -> Option<Arc<Self>> {
        if self.head.status != StatusCode::PARTIAL_CONTENT {
            return Some(self.clone());
        }
        let part = Part::of(&self.head.headers, self.body.len())?;
        let etag = self.head.headers.get(header::ETAG);
        if asked.get(header::IF_RANGE).is_some_and(|tag| Some(tag) != etag || is_weak(tag)) {
            return None;
        }
        let (from, to) = part.covers(wanted(asked)?)?;
        let within = |byte: u64| usize::try_from(byte.checked_sub(part.first)?).ok();
        let body = self.body.slice(within(from)?..within(to)?);
        let complete = part.complete.map_or_else(|| "*".to_owned(), |bytes| bytes.to_string());
        let mut head = self.head.clone();
        let range = format!("bytes {from}-{}/{complete}", to - 1);
        head.insert_header(header::CONTENT_RANGE, range).ok()?;
        head.insert_header(header::CONTENT_LENGTH, body.len()).ok()?;
        Some(Arc::new(Self { head, body, codings: None, ..Self::clone(self) }))
    }
}

fn is_weak(tag: &HeaderValue) -> bool {
    tag.as_bytes().starts_with(b"W/")
}

fn wanted(asked: &HeaderMap) -> Option<Wanted> {
    let range = asked.get(header::RANGE)?.to_str().ok()?;
    let (unit, spec) = range.split_once('=')?;
    let (first, last) = spec.split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return None;
    }
    match (first.trim(), last.trim()) {
        ("", count) => Some(Wanted::Last(count.parse().ok().filter(|count| *count > 0)?)),
        (first, "") => Some(Wanted::From(first.parse().ok()?, None)),
        (first, last) => Some(Wanted::From(first.parse().ok()?, Some(last.parse().ok()?))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn part(range: &'static str, bytes: usize) -> Option<Part> {
        Part::of(&fields(&[("content-range", range)]), bytes)
    }

    #[test]
    fn a_part_is_where_its_range_says_if_that_fits_its_body() {
        let found = Some(Part { first: 2, end: 5, complete: Some(10) });
        assert_eq!(part("bytes 2-4/10", 3), found);
        assert_eq!(part("bytes 0-2/*", 3), Some(Part { first: 0, end: 3, complete: None }));
        for (range, bytes) in [
            ("bytes 2-4/10", 4),
            ("bytes 2-4/4", 3),
            ("bytes 4-2/10", 3),
            ("bytes */10", 3),
            ("lines 2-4/10", 3),
            ("bytes 2-4", 3),
            ("bytes 0-18446744073709551615/*", 0),
        ] {
            assert_eq!(part(range, bytes), None, "{range}");
        }
    }

    #[test]
    fn a_range_is_covered_by_a_part_that_has_all_of_it() {
        let check = |of: &'static str, bytes, range: &'static str, wanted_range| {
            let found = part(of, bytes).unwrap();
            let asked = wanted(&fields(&[("range", range)]));
            assert_eq!(asked.and_then(|asked| found.covers(asked)), wanted_range, "{of} {range}");
        };
        for (range, found) in [
            ("bytes=2-4", Some((2, 5))),
            ("bytes=3-3", Some((3, 4))),
            ("BYTES=3-4", Some((3, 5))),
            ("bytes=1-4", None),
            ("bytes=2-5", None),
            ("bytes=2-", None),
            ("bytes=-3", None),
            ("bytes=2-3,4-4", None),
            ("lines=2-4", None),
            ("bytes=x-4", None),
        ] {
            check("bytes 2-4/10", 3, range, found);
        }
        for (range, found) in [
            ("bytes=7-", Some((7, 10))),
            ("bytes=8-99", Some((8, 10))),
            ("bytes=-2", Some((8, 10))),
            ("bytes=-3", Some((7, 10))),
            ("bytes=-4", None),
            ("bytes=-0", None),
            ("bytes=10-", None),
        ] {
            check("bytes 7-9/10", 3, range, found);
        }
        check("bytes 7-9/*", 3, "bytes=8-9", Some((8, 10)));
        check("bytes 7-9/*", 3, "bytes=8-", None);
    }
}
