//! Which bytes of a file does a `Range` header ask for?
//!
//! RFC 9110 section 14: one range is served, several or an unknown form are ignored, and a
//! range that starts behind the end cannot be satisfied.

use std::ops::Range;

/// What a `Range` header means for a file of a known length.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// No usable range: the whole file with 200.
    Whole,
    /// These bytes with 206.
    Part(Range<usize>),
    /// 416.
    Unsatisfiable,
}

/// Reads `header` against a file of `length` bytes.
pub(crate) fn wanted(header: Option<&str>, length: usize) -> Wanted {
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
    let (first, last) = range.trim().split_once('-')?;
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
    use super::*;

    #[test]
    fn each_single_form_names_its_bytes() {
        assert_eq!(wanted(Some("bytes=0-3"), 10), Wanted::Part(0..4));
        assert_eq!(wanted(Some("bytes=4-"), 10), Wanted::Part(4..10));
        assert_eq!(wanted(Some("bytes=-4"), 10), Wanted::Part(6..10));
        assert_eq!(wanted(Some("Bytes=9-9"), 10), Wanted::Part(9..10));
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
}
