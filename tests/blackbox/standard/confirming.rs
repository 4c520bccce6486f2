//! How is a stored answer confirmed, and what does that change? RFC 9111, sections 4.3 and 3.2.

use super::case::{Case, FOLLOWED, case, check};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// An answer that has to be confirmed before each use.
fn unsure(name: &'static str, fields: &str) -> Case {
    case(name).answers(&format!("Cache-Control: no-cache\n{fields}")).fetched()
}

/// An answer that was stale when it came.
fn stale(name: &'static str, fields: &str) -> Case {
    case(name)
        .answers(&format!("Cache-Control: max-age=60\nAge: 61\nETag: \"a\"\n{fields}"))
        .fetched()
}

#[tokio::test]
async fn origin_is_asked_with_all_that_it_said_of_the_answer() {
    check(
        FOLLOWED,
        [
            unsure("a tag is sent", "ETag: \"a\"").confirmed("").sends("If-None-Match: \"a\""),
            unsure("a weak tag is sent", "ETag: W/\"a\"")
                .confirmed("")
                .sends("If-None-Match: W/\"a\""),
            unsure("a date is sent", &format!("Last-Modified: {DATE}"))
                .confirmed("")
                .sends(&format!("If-Modified-Since: {DATE}")),
            unsure("both are sent", &format!("ETag: \"a\"\nLast-Modified: {DATE}"))
                .confirmed("")
                .sends(&format!("If-None-Match: \"a\"\nIf-Modified-Since: {DATE}")),
            unsure("no-cache is confirmed each time", "ETag: \"a\"").confirmed("").confirmed(""),
            case("no-cache for some fields is confirmed too")
                .answers("Cache-Control: max-age=60, no-cache=\"x-a\"\nETag: \"a\"")
                .fetched()
                .confirmed(""),
            stale("what is stale is confirmed", "").confirmed(""),
            stale("what has changed is replaced", "")
                .answers("Cache-Control: max-age=60")
                .fetched()
                .reused(),
            case("what is fresh is not")
                .answers("Cache-Control: max-age=60\nETag: \"a\"")
                .fetched()
                .reused(),
            case("must-revalidate is confirmed once stale")
                .answers("Cache-Control: max-age=60, must-revalidate\nAge: 57\nETag: \"a\"")
                .fetched()
                .reused()
                .after_ms(3_100)
                .confirmed(""),
            case("a client's own condition does not reach the origin")
                .answers("Cache-Control: no-cache\nETag: \"a\"")
                .fetched()
                .asks("If-None-Match: \"b\"")
                .confirmed("")
                .sends("If-None-Match: \"a\""),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_the_confirmation_says_replaces_what_was_kept() {
    check(
        FOLLOWED,
        [
            stale("a new lifetime counts from now", "")
                .confirmed("Cache-Control: max-age=60")
                .reused(),
            stale("the old lifetime counts again where none is said", "").confirmed("").reused(),
            stale("a new Expires counts", "")
                .confirmed("Cache-Control: public\nExpires: @60")
                .reused(),
            stale("a field is replaced", "X-Test: 1")
                .confirmed("X-Test: 2")
                .with("X-Test: 2")
                .reused()
                .with("X-Test: 2"),
            stale("a field is added", "")
                .confirmed("X-Test: 2")
                .with("X-Test: 2")
                .reused()
                .with("X-Test: 2"),
            stale("what is not said stays", "X-Test: 1")
                .confirmed("X-Other: 2")
                .with("X-Test: 1")
                .reused()
                .with("X-Test: 1"),
            stale("Cache-Control is replaced", "")
                .confirmed("Cache-Control: max-age=90")
                .with("Cache-Control: max-age=90"),
            stale("Content-Type stays", "Content-Type: text/plain")
                .confirmed("Content-Type: text/html")
                .with("Content-Type: text/plain"),
            stale("Content-Encoding stays away", "")
                .confirmed("Content-Encoding: gzip")
                .without("Content-Encoding"),
            stale("ETag stays", "").confirmed("ETag: \"a\"").with("ETag: \"a\""),
        ],
    )
    .await;
}

#[tokio::test]
async fn confirmation_tells_nobody_else_what_is_for_one_or_not_to_be_kept() {
    check(
        FOLLOWED,
        [
            stale("what is not to be kept any more is confirmed each time", "")
                .confirmed("Cache-Control: no-store")
                .confirmed(""),
            stale("nor is it kept for others", "")
                .confirmed("Cache-Control: private, max-age=60")
                .confirmed(""),
            stale("what it says then is for the one who asked", "")
                .confirmed("Cache-Control: private\nX-User: 1")
                .with("X-User: 1")
                .confirmed("")
                .without("X-User"),
            stale("what varies anew is confirmed each time", "")
                .confirmed("Vary: X-A")
                .confirmed(""),
            stale("a cookie is not kept", "").confirmed("Set-Cookie: a=1").without("Set-Cookie"),
            stale("what is for one hop is not kept", "")
                .confirmed("Connection: x-hop\nX-Hop: 1")
                .without("X-Hop"),
            stale("the age begins anew", "")
                .confirmed("Cache-Control: max-age=60")
                .reused()
                .aged(0),
            stale("the age of the confirmation counts", "")
                .confirmed("Cache-Control: max-age=60\nAge: 20")
                .reused()
                .aged(20),
        ],
    )
    .await;
}
