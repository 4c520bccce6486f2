//! When is an answer served that is fresh no more? RFC 9111, section 4.2.4, and RFC 5861.

use super::case::{Case, FOLLOWED, case, check};

/// An answer that was stale when it came.
fn stale(name: &'static str, directives: &str) -> Case {
    case(name)
        .answers(&format!("Cache-Control: max-age=60{directives}\nAge: 61\nETag: \"a\""))
        .fetched()
}

#[tokio::test]
async fn stale_answers_are_served_while_they_are_refreshed_as_they_say() {
    check(
        FOLLOWED,
        [
            stale("without a word they are not", "").fetched(),
            stale("stale-while-revalidate says so", ", stale-while-revalidate=60").served_stale(),
            stale("for its time and no longer", ", stale-while-revalidate=1")
                .after_ms(100)
                .fetched(),
            stale("not with must-revalidate", ", stale-while-revalidate=60, must-revalidate")
                .fetched(),
            stale("not with proxy-revalidate", ", stale-while-revalidate=60, proxy-revalidate")
                .fetched(),
            stale("not with no-cache", ", stale-while-revalidate=60, no-cache").fetched(),
            case("not with s-maxage")
                .answers(
                    "Cache-Control: s-maxage=60, stale-while-revalidate=60\nAge: 61\nETag: \"a\"",
                )
                .fetched()
                .fetched(),
        ],
    )
    .await;
}

#[tokio::test]
async fn stale_answers_are_served_when_the_origin_fails_as_they_say() {
    check(
        FOLLOWED,
        [
            stale("without a word they are not", "").answers("").status(503).fetched(),
            stale("stale-if-error says so, for 500", ", stale-if-error=60")
                .answers("")
                .status(500)
                .made(200),
            stale("for 502", ", stale-if-error=60").answers("").status(502).made(200),
            stale("for 503", ", stale-if-error=60").answers("").status(503).made(200),
            stale("for 504", ", stale-if-error=60").answers("").status(504).made(200),
            stale("also when the failure says for how long it holds", ", stale-if-error=60")
                .answers("Cache-Control: max-age=60")
                .status(503)
                .made(200)
                .made(200),
            stale("also when it says that it has passed", ", stale-if-error=60")
                .answers("Cache-Control: max-age=0, must-revalidate")
                .status(503)
                .made(200),
            stale("also for a credential", ", stale-if-error=60, public")
                .answers("")
                .status(503)
                .asks("Authorization: Basic eDp5")
                .made(200),
            stale("not for 404", ", stale-if-error=60").answers("").status(404).fetched(),
            stale("not with must-revalidate", ", stale-if-error=60, must-revalidate")
                .answers("")
                .status(503)
                .fetched(),
            stale("not with proxy-revalidate", ", stale-if-error=60, proxy-revalidate")
                .answers("")
                .status(503)
                .fetched(),
            stale("not with no-cache", ", stale-if-error=60, no-cache")
                .answers("")
                .status(503)
                .fetched(),
        ],
    )
    .await;
}
