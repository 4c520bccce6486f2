//! Does a client take JSON (RFC 9110, section 12.5.1)?

use http::HeaderMap;
use http::header::ACCEPT;

/// How closely a range names `application/json`: the closest one decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Closeness {
    Anything,
    AnyApplication,
    Json,
}

/// Whether `Accept` leaves room for JSON. Without the field, or with an empty one, everything is
/// taken; what cannot be read is passed over.
pub(super) fn takes_json(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges = ranges.flat_map(|value| value.split(',')).map(str::trim).peekable();
    let mut closest: Option<(Closeness, bool)> = None;
    let mut any = false;
    for range in ranges.by_ref().filter(|range| !range.is_empty()) {
        any = true;
        let Some((closeness, wanted)) = read(range) else { continue };
        if closest.is_none_or(|(before, _)| closeness >= before) {
            closest = Some((closeness, wanted));
        }
    }
    !any || closest.is_some_and(|(_, wanted)| wanted)
}

/// What a range says of JSON; nothing, when it is about other types.
fn read(range: &str) -> Option<(Closeness, bool)> {
    let mut parts = range.split(';').map(str::trim);
    let closeness = match parts.next()?.to_ascii_lowercase().as_str() {
        "*/*" => Closeness::Anything,
        "application/*" => Closeness::AnyApplication,
        "application/json" => Closeness::Json,
        _ => return None,
    };
    let weight = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().ok())?
    });
    Some((closeness, weight.is_none_or(|weight| weight > 0.0)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[track_caller]
    fn check(accept: &str, takes: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        assert_eq!(takes_json(&headers), takes, "{accept}");
    }

    #[test]
    fn clients_that_leave_room_for_json_are_answered() {
        assert!(takes_json(&HeaderMap::new()));
        for accept in [
            "",
            "*/*",
            "application/json",
            "Application/JSON; indent=4",
            "application/*",
            "text/html, application/xhtml+xml, */*;q=0.8",
            "application/xml, application/json;q=0.1",
            "application/json;q=nonsense",
        ] {
            check(accept, true);
        }
    }

    #[test]
    fn clients_that_take_only_other_types_are_refused() {
        for accept in [
            "application/xml",
            "text/html",
            "image/png, image/*",
            "application/json;q=0, */*",
            "*/*, application/json;q=0",
            "*/*;q=0",
            "application/json-patch+json",
            "application",
        ] {
            check(accept, false);
        }
    }
}
