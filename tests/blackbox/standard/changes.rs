//! What does a change make invalid? RFC 9111, section 4.4.

use super::case::{Case, FOLLOWED, case, check};

const MINUTE: &str = "Cache-Control: max-age=60";

/// An answer that is kept, and then a request with this method to the same place.
fn changed(name: &'static str, method: &'static str) -> Case {
    case(name).answers(MINUTE).fetched().by(method).fetched()
}

/// An answer that is kept, and then a change elsewhere, whose answer says this of it.
fn named(name: &'static str, field: &str) -> Case {
    case(name)
        .answers(MINUTE)
        .at("/kept")
        .fetched()
        .reused()
        .answers(field)
        .status(201)
        .at("/list")
        .by("POST")
        .fetched()
}

#[tokio::test]
async fn change_makes_what_is_kept_of_its_target_invalid() {
    check(
        FOLLOWED,
        [
            changed("POST changes", "POST").fetched(),
            case("whatever the query")
                .answers(MINUTE)
                .at("?a=1")
                .fetched()
                .at("")
                .by("POST")
                .fetched()
                .at("?a=1")
                .fetched(),
            case("also where a query has what a URL would escape")
                .answers(MINUTE)
                .at("?a='b'")
                .fetched()
                .by("PUT")
                .fetched()
                .fetched(),
            changed("PUT changes", "PUT").fetched(),
            changed("DELETE changes", "DELETE").fetched(),
            changed("PATCH changes", "PATCH").fetched(),
            changed("a method that nobody knows may change", "M-SEARCH").fetched(),
            changed("OPTIONS changes nothing", "OPTIONS").reused(),
        ],
    )
    .await;
}

#[tokio::test]
async fn change_makes_nothing_else_invalid() {
    check(
        FOLLOWED,
        [
            case("a change that failed is none")
                .answers(MINUTE)
                .fetched()
                .by("POST")
                .status(400)
                .fetched()
                .status(200)
                .reused(),
            case("nor one on which the origin failed")
                .answers(MINUTE)
                .fetched()
                .by("POST")
                .status(500)
                .fetched()
                .status(200)
                .reused(),
            case("a redirection may follow a change")
                .answers(MINUTE)
                .fetched()
                .by("POST")
                .status(303)
                .fetched()
                .status(200)
                .fetched(),
            case("every variant is invalid")
                .answers("Cache-Control: max-age=60\nVary: X-A")
                .asks("X-A: 1")
                .fetched()
                .asks("X-A: 2")
                .fetched()
                .by("POST")
                .fetched()
                .asks("X-A: 1")
                .fetched()
                .asks("X-A: 2")
                .fetched(),
            case("what is fetched afterwards is kept")
                .answers(MINUTE)
                .fetched()
                .by("POST")
                .fetched()
                .fetched()
                .reused(),
        ],
    )
    .await;
}

#[tokio::test]
async fn change_makes_invalid_what_its_answer_names_on_the_same_host() {
    check(
        FOLLOWED,
        [
            named("Location names a path", "Location: {path}/../kept")
                .answers(MINUTE)
                .at("/kept")
                .fetched(),
            named("Location names a relative path", "Location: kept")
                .answers(MINUTE)
                .at("/kept")
                .fetched(),
            named("Content-Location does so too", "Content-Location: kept")
                .answers(MINUTE)
                .at("/kept")
                .fetched(),
            named("another host is not asked", "Location: http://other.example/0/kept")
                .answers(MINUTE)
                .at("/kept")
                .reused(),
            named("what is not named stays", "Location: elsewhere")
                .answers(MINUTE)
                .at("/kept")
                .reused(),
        ],
    )
    .await;
}
