//! When was that, in a date of HTTP?
//!
//! The three forms of RFC 9110, section 5.6.7. A cache reads them in either case, and takes a date
//! that it cannot read, or one of another zone, for none (RFC 9111, sections 4.2 and 5.3).

use std::time::SystemTime;

use http::{HeaderMap, HeaderName};

/// Longest date that is looked at, in bytes; the longest that there is has 33.
const DATE_BYTES_MAX: usize = 40;

/// The date in the first field of this name.
#[must_use]
pub fn date_in(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    parse(headers.get(name)?.to_str().ok()?)
}

/// Reads one date.
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    if text.len() > DATE_BYTES_MAX {
        return None;
    }
    httpdate::parse_http_date(&recased(text)).ok()
}

/// Days and months begin with a capital, and the zone is all of them.
fn recased(text: &str) -> String {
    let mut recased = String::with_capacity(text.len());
    let mut is_within = false;
    for letter in text.chars() {
        recased.push(if is_within {
            letter.to_ascii_lowercase()
        } else {
            letter.to_ascii_uppercase()
        });
        is_within = letter.is_ascii_alphabetic();
    }
    match recased.strip_suffix("Gmt") {
        Some(start) => format!("{start}GMT"),
        None => recased,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn all_three_forms_are_read_in_either_case() {
        let wanted = Some(UNIX_EPOCH + Duration::from_secs(784_111_777));
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "sun, 06 nov 1994 08:49:37 gmt",
            "SUN, 06 NOV 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_of_http_is_none() {
        for text in [
            "",
            "0",
            "784111777",
            "Sun, 06 Nov 1994 08:49:37 EST",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "06 Nov 1994 08:49:37 GMT",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
