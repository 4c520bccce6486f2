//! What does a client get that asks for a part, or under a condition? RFC 9110, sections 13 and 14.

use super::case::{Case, FOLLOWED, case, check};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// An answer that is kept, of eight bytes, with a tag.
fn kept(name: &'static str) -> Case {
    case(name).answers("Cache-Control: max-age=60\nETag: \"a\"").fetched()
}

/// The same that says when it was modified, and when it was made.
fn dated(name: &'static str, made: &str) -> Case {
    let fields = format!("Cache-Control: max-age=99999999999\nLast-Modified: {DATE}\nDate: {made}");
    case(name).answers(&fields).fetched()
}

#[tokio::test]
async fn parts_are_given_to_those_who_ask_for_them_and_to_no_other() {
    check(
        FOLLOWED,
        [
            kept("a whole says that parts can be had").reused().with("Accept-Ranges: bytes"),
            kept("a server must ignore Range with HEAD")
                .asks("Range: bytes=0-2")
                .by("HEAD")
                .reused()
                .with("Content-Length: 8")
                .without("Content-Range"),
            kept("a suffix longer than the whole is the whole")
                .asks("Range: bytes=-99")
                .made(206)
                .with("Content-Range: bytes 0-7/8"),
            kept("several parts are one body, and none of them its range")
                .asks("Range: bytes=0-1, 4-5")
                .made(206)
                .without("Content-Range"),
            kept("of several parts those that are there are given")
                .asks("Range: bytes=0-1,9-10")
                .made(206),
            kept("several parts of which none is there are 416")
                .asks("Range: bytes=8-9,10-11")
                .made(416)
                .with("Content-Range: bytes */8"),
            kept("units have no case")
                .asks("Range: Bytes=0-2")
                .made(206)
                .with("Content-Range: bytes 0-2/8"),
            case("parts are of successes only")
                .answers("Cache-Control: max-age=60")
                .status(404)
                .fetched()
                .asks("Range: bytes=0-2")
                .reused()
                .without("Content-Range"),
        ],
    )
    .await;
}

#[tokio::test]
async fn parts_are_given_of_what_is_fetched_or_confirmed_for_them() {
    check(
        FOLLOWED,
        [
            case("a part beyond the end of what is fetched for it is 416")
                .answers("Cache-Control: max-age=60")
                .asks("Range: bytes=8-9")
                .made(416)
                .with("Content-Range: bytes */8")
                .reused(),
            case("the last bytes of what is fetched for them are 206")
                .answers("Cache-Control: max-age=60")
                .asks("Range: bytes=-2")
                .made(206)
                .with("Content-Range: bytes 6-7/8")
                .reused(),
            case("a part of what is confirmed is 206")
                .answers("Cache-Control: no-cache\nETag: \"a\"")
                .fetched()
                .asks("Range: bytes=0-2")
                .confirmed("")
                .with("Content-Range: bytes 0-2/8"),
            case("a part that nobody asked for is passed on and not kept")
                .answers("Cache-Control: max-age=60\nContent-Range: bytes 0-7/99")
                .status(206)
                .fetched()
                .with("Content-Range: bytes 0-7/99")
                .fetched(),
        ],
    )
    .await;
}

#[tokio::test]
async fn parts_are_given_only_of_what_the_client_has_the_rest_of() {
    let range = |condition: &str| format!("Range: bytes=0-2\nIf-Range: {condition}");
    check(
        FOLLOWED,
        [
            kept("If-Range without Range is not there").asks("If-Range: \"b\"").reused(),
            kept("a weak form of a strong tag does not hold")
                .asks(&range("W/\"a\""))
                .reused()
                .without("Content-Range"),
            kept("a list of tags does not hold").asks(&range("\"a\", \"b\"")).reused(),
            kept("a date of what has none does not hold").asks(&range(DATE)).reused(),
            kept("what is neither a tag nor a date does not hold").asks(&range("a")).reused(),
            kept("If-None-Match is looked at first")
                .asks("Range: bytes=0-2\nIf-None-Match: \"a\"")
                .made(304),
            kept("and after it the range").asks("Range: bytes=0-2\nIf-None-Match: \"b\"").made(206),
            dated("a date a second before the answer's is strong", "Sun, 06 Nov 1994 08:49:38 GMT")
                .asks(&range(DATE))
                .made(206),
            dated("the very second of the answer is weak, and does not hold", DATE)
                .asks(&range(DATE))
                .reused()
                .without("Content-Range"),
            case("a condition that does not hold of what is fetched for it brings the whole")
                .answers("Cache-Control: max-age=60\nETag: \"a\"")
                .asks(&range("\"b\""))
                .fetched(),
        ],
    )
    .await;
}

#[tokio::test]
async fn conditions_are_evaluated_as_they_stand() {
    check(
        FOLLOWED,
        [
            kept("several fields of If-None-Match are one list")
                .asks("If-None-Match: \"b\"\nIf-None-Match: \"a\"")
                .made(304),
            kept("an empty member of the list says nothing")
                .asks("If-None-Match: , \"b\",, \"a\"")
                .made(304),
            kept("a tag that is a part of another one is not it")
                .asks("If-None-Match: \"aa\", \"ba\"")
                .reused(),
            kept("a cache may ignore If-Match").asks("If-Match: \"b\"").reused(),
            case("conditions are of successes only")
                .answers("Cache-Control: max-age=60\nETag: \"a\"")
                .status(404)
                .fetched()
                .asks("If-None-Match: \"a\"")
                .reused(),
            dated("the form of RFC 850 is a date", "Sun, 06 Nov 1994 08:49:38 GMT")
                .asks("If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT")
                .made(304),
            dated("the form of asctime is a date", "Sun, 06 Nov 1994 08:49:38 GMT")
                .asks("If-Modified-Since: Sun Nov  6 08:49:37 1994")
                .made(304),
            dated("a list of dates is none", "Sun, 06 Nov 1994 08:49:38 GMT")
                .asks(&format!("If-Modified-Since: {DATE}, {DATE}"))
                .reused(),
            case("304 has what a 200 would have said for caches")
                .answers(&format!(
                    "Cache-Control: max-age=60\nETag: \"a\"\nVary: X-A\nContent-Location: /x\n\
                     Expires: {DATE}\nContent-Type: image/png"
                ))
                .fetched()
                .asks("If-None-Match: \"a\"")
                .made(304)
                .with(&format!("Vary: X-A\nContent-Location: /x\nExpires: {DATE}"))
                .without("Content-Length")
                .without("Content-Type"),
        ],
    )
    .await;
}
