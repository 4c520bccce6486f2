//! What may a client ask of a cache? RFC 9111, sections 5.2.1 and 5.4.

use super::case::{Case, FOLLOWED, case, check};

/// An answer with an age of 30 s and a lifetime of 60 s.
fn half(name: &'static str) -> Case {
    case(name).answers("Cache-Control: max-age=60\nAge: 30").fetched()
}

/// An answer that was stale when it came, and can be confirmed.
fn stale(name: &'static str, directives: &str) -> Case {
    case(name)
        .answers(&format!("Cache-Control: max-age=60{directives}\nAge: 70\nETag: \"a\""))
        .fetched()
}

#[tokio::test]
async fn client_gets_what_it_takes() {
    check(
        FOLLOWED,
        [
            half("who says nothing gets what is fresh").reused(),
            half("no-cache is answered by the origin").asks("Cache-Control: no-cache").fetched(),
            half("so is Pragma where nothing else is said").asks("Pragma: no-cache").fetched(),
            half("Pragma says nothing beside Cache-Control")
                .asks("Pragma: no-cache\nCache-Control: max-age=60")
                .reused(),
            half("max-age=0 is answered by the origin").asks("Cache-Control: max-age=0").fetched(),
            half("max-age takes what is younger").asks("Cache-Control: max-age=45").reused(),
            half("max-age takes nothing older").asks("Cache-Control: max-age=20").fetched(),
            half("max-age that cannot be read takes nothing")
                .asks("Cache-Control: max-age=x")
                .fetched(),
            half("min-fresh takes what is fresh for so long")
                .asks("Cache-Control: min-fresh=20")
                .reused(),
            half("min-fresh takes nothing that is fresh for less")
                .asks("Cache-Control: min-fresh=40")
                .fetched(),
            half("unknown directives ask for nothing").asks("Cache-Control: x=1").reused(),
            stale("max-stale takes what is stale", "")
                .asks("Cache-Control: max-stale")
                .served_stale(),
            stale("max-stale takes what is stale by no more", "")
                .asks("Cache-Control: max-stale=30")
                .served_stale(),
            stale("max-stale takes nothing that is stale by more", "")
                .asks("Cache-Control: max-stale=5")
                .fetched(),
            stale("not even so what must be confirmed", ", must-revalidate")
                .asks("Cache-Control: max-stale=30")
                .fetched(),
            stale("nor for a shared cache", ", proxy-revalidate")
                .asks("Cache-Control: max-stale=30")
                .fetched(),
            case("no-cache brings a newer answer for all")
                .answers("Cache-Control: max-age=60")
                .fetched()
                .asks("Cache-Control: no-cache")
                .fetched()
                .reused(),
        ],
    )
    .await;
}

#[tokio::test]
async fn client_may_want_nothing_kept_or_nothing_fetched() {
    check(
        FOLLOWED,
        [
            case("only-if-cached gets what is kept")
                .answers("Cache-Control: max-age=60")
                .fetched()
                .asks("Cache-Control: only-if-cached")
                .reused(),
            case("only-if-cached gets 504 where nothing is")
                .asks("Cache-Control: only-if-cached")
                .refused(504),
            stale("only-if-cached gets nothing stale", "")
                .asks("Cache-Control: only-if-cached")
                .refused(504),
            case("an answer to no-store is not kept")
                .answers("Cache-Control: max-age=60")
                .asks("Cache-Control: no-store")
                .fetched()
                .fetched(),
        ],
    )
    .await;
}

#[tokio::test]
async fn client_is_not_obeyed_unless_the_policy_says_so() {
    let half = |name| half(name);
    check(
        "fresh: upstream, share: everyone",
        [
            half("no-cache").asks("Cache-Control: no-cache").reused(),
            half("Pragma").asks("Pragma: no-cache").reused(),
            half("max-age").asks("Cache-Control: max-age=0").reused(),
            half("no-store").asks("Cache-Control: no-store").reused(),
            case("only-if-cached").asks("Cache-Control: only-if-cached").fetched(),
        ],
    )
    .await;
}
