//! Which requests does a kept answer answer? RFC 9111, section 4.1.

use super::case::{Case, FOLLOWED, case, check};

/// An answer that varies on this, to a request that says that.
fn varied(name: &'static str, vary: &str, asked: &str) -> Case {
    case(name).answers(&format!("Cache-Control: max-age=60\nVary: {vary}")).asks(asked).fetched()
}

#[tokio::test]
async fn kept_answer_is_for_requests_that_say_the_same() {
    check(
        FOLLOWED,
        [
            varied("the same value is answered", "X-A", "X-A: 1").asks("X-A: 1").reused(),
            varied("another value is not", "X-A", "X-A: 1").asks("X-A: 2").fetched(),
            varied("no value is not", "X-A", "X-A: 1").fetched(),
            varied("a value is not where there was none", "X-A", "").asks("X-A: 1").fetched(),
            varied("none is where there was none", "X-A", "").reused(),
            varied("an empty value is not the same as none", "X-A", "").asks("X-A:").fetched(),
            varied("other fields do not count", "X-A", "X-A: 1\nX-B: 1")
                .asks("X-A: 1\nX-B: 2")
                .reused(),
            varied("names have no case", "x-a", "X-A: 1").asks("x-A: 2").fetched(),
            varied("values have case", "X-A", "X-A: a").asks("X-A: A").fetched(),
            varied("all fields count: the first", "X-A, X-B", "X-A: 1\nX-B: 1")
                .asks("X-A: 2\nX-B: 1")
                .fetched(),
            varied("all fields count: the second", "X-A, X-B", "X-A: 1\nX-B: 1")
                .asks("X-A: 1\nX-B: 2")
                .fetched(),
            varied("all fields count, in two Varys", "X-A\nVary: X-B", "X-A: 1\nX-B: 1")
                .asks("X-A: 1\nX-B: 2")
                .fetched(),
            varied("empty members of Vary are passed over", ", X-A,, ", "X-A: 1")
                .asks("X-A: 1")
                .reused(),
            varied("all selects nobody", "*", "").fetched(),
            varied("all selects nobody, among others", "X-A, *", "X-A: 1").asks("X-A: 1").fetched(),
        ],
    )
    .await;
}

#[tokio::test]
async fn variants_are_told_apart_by_what_their_values_mean() {
    check(
        FOLLOWED,
        [
            varied("variants are kept side by side", "X-A", "X-A: 1")
                .asks("X-A: 2")
                .fetched()
                .asks("X-A: 1")
                .reused()
                .asks("X-A: 2")
                .reused(),
            varied("a newer answer replaces its own variant", "X-A", "X-A: 1")
                .asks("X-A: 2")
                .fetched()
                .asks("X-A: 1\nCache-Control: no-cache")
                .fetched()
                .asks("X-A: 2")
                .reused(),
            varied("spaces in a list say nothing", "X-A", "X-A: 1, 2").asks("X-A: 1,2").reused(),
            varied("a list may stand in two fields", "X-A", "X-A: 1, 2")
                .asks("X-A: 1\nX-A: 2")
                .reused(),
            varied("the order of a list counts", "X-A", "X-A: 1, 2").asks("X-A: 2, 1").fetched(),
            varied("languages have no case", "Accept-Language", "Accept-Language: de")
                .asks("Accept-Language: DE")
                .reused(),
            varied("another language is another answer", "Accept-Language", "Accept-Language: de")
                .asks("Accept-Language: fr")
                .fetched(),
            varied("HEAD is selected as GET is", "X-A", "X-A: 1")
                .asks("X-A: 1")
                .by("HEAD")
                .reused(),
            varied("HEAD with another value is not", "X-A", "X-A: 1")
                .asks("X-A: 2")
                .by("HEAD")
                .fetched(),
        ],
    )
    .await;
}

#[tokio::test]
async fn queries_and_paths_are_answers_of_their_own() {
    const MINUTE: &str = "Cache-Control: max-age=60";
    check(
        FOLLOWED,
        [
            case("another query is another answer")
                .answers(MINUTE)
                .at("?a=1")
                .fetched()
                .at("?a=2")
                .fetched()
                .at("?a=1")
                .reused(),
            case("no query is another answer")
                .answers(MINUTE)
                .at("?a=1")
                .fetched()
                .at("")
                .fetched(),
            case("another path is another answer")
                .answers(MINUTE)
                .at("/x")
                .fetched()
                .at("/y")
                .fetched()
                .at("/x")
                .reused(),
            case("a path has case").answers(MINUTE).at("/x").fetched().at("/X").fetched(),
        ],
    )
    .await;
}
