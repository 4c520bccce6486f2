//! In which one spelling is a path matched?

use std::borrow::Cow;

/// Brings a path to the one spelling that routes are matched by: escapes of unreserved characters
/// are undone (RFC 3986, section 6.2.2.2), so that `%61dmin` cannot walk around `admin`.
///
/// `None` for a path that an upstream could read as another one: with empty, `.` or `..` segments,
/// plain or escaped, with a backslash, an escaped slash or NUL, or with a broken escape.
#[must_use]
pub fn canonical_path(path: &str) -> Option<Cow<'_, str>> {
    if !path.starts_with('/') || path.contains('\\') {
        return None;
    }
    let canonical =
        if path.contains('%') { Cow::Owned(unescape(path)?) } else { Cow::Borrowed(path) };
    let has_dots = canonical.split('/').any(|segment| segment == "." || segment == "..");
    let has_empty = canonical.contains("//");
    (!has_dots && !has_empty).then_some(canonical)
}

/// How a canonical path is read where what follows a `;` in a segment is a parameter of it (RFC 3986,
/// section 3.3), plain or escaped: `/admin;x=1` is `/admin`, and `/..;/` is `/../`.
///
/// `None` for a path that has no parameters.
#[must_use]
pub fn without_parameters(path: &str) -> Option<String> {
    if !path.contains(';') && !path.contains("%3B") {
        return None;
    }
    let bare = path.split('/').map(|segment| {
        let end = segment.find(';').into_iter().chain(segment.find("%3B")).min();
        segment.split_at(end.unwrap_or(segment.len())).0
    });
    Some(bare.collect::<Vec<_>>().join("/"))
}

fn unescape(path: &str) -> Option<String> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        let digits = after.get(..2)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
        out.push_str(before);
        match byte {
            0 | b'/' | b'\\' => return None,
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                out.push(char::from(byte));
            }
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = after.get(2..)?;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(path: &str, wanted: Option<&str>) {
        assert_eq!(canonical_path(path).as_deref(), wanted, "{path}");
    }

    #[test]
    fn escapes_of_plain_characters_are_undone() {
        check("/%61dmin/%7Ex", Some("/admin/~x"));
        check("/a%20b/%c3%a9", Some("/a%20b/%C3%A9"));
        check("/plain/path", Some("/plain/path"));
    }

    #[test]
    fn paths_that_can_be_read_in_two_ways_are_refused() {
        for path in
            ["/a/../b", "/a/%2e%2E/b", "/./a", "/a%2fb", "/a%00", "/a\\b", "/%5cb", "//a", "/a//b"]
        {
            check(path, None);
        }
        for path in ["/a%", "/a%2", "/a%zz", "/%+1", "a", ""] {
            check(path, None);
        }
    }

    #[test]
    fn dots_inside_a_segment_are_only_dots() {
        check("/a..b/...", Some("/a..b/..."));
    }

    #[test]
    fn parameters_are_taken_off_each_segment() {
        for (path, bare) in [
            ("/admin;x=1", Some("/admin")),
            ("/a;x;y/b%3Bz/c", Some("/a/b/c")),
            ("/a%3Bx;y/", Some("/a/")),
            ("/..;/b", Some("/../b")),
            ("/;x/b", Some("//b")),
            ("/a,b:c/d=e", None),
        ] {
            assert_eq!(without_parameters(path).as_deref(), bare, "{path}");
        }
    }

    proptest! {
        #[test]
        fn canonical_paths_are_a_fixed_point(path in "/[ -~]{0,24}") {
            if let Some(once) = canonical_path(&path) {
                let twice = canonical_path(&once).map(Cow::into_owned);
                prop_assert_eq!(twice.as_deref(), Some(once.as_ref()));
            }
        }
    }
}
