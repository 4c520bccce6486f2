//! How old is an answer? RFC 9111, sections 4.2.3 and 5.1; and RFC 9211.

use super::case::{FOLLOWED, case, check};

#[tokio::test]
async fn age_is_what_other_caches_told_and_what_the_date_shows() {
    let old = |name, fields: &str| {
        case(name).answers(&format!("Cache-Control: max-age=3600\n{fields}")).fetched()
    };
    check(
        FOLLOWED,
        [
            old("an answer from elsewhere has its age already", "Age: 100").reused().aged(100),
            old("an answer has the age that its date shows", "Date: @-100").reused().aged(100),
            old("the larger one counts", "Age: 50\nDate: @-100").reused().aged(100),
            old("the larger one counts, whichever it is", "Age: 100\nDate: @-50")
                .reused()
                .aged(100),
            old("of several, the first one counts", "Age: 100, 0").reused().aged(100),
            old("of several fields, the first one counts", "Age: 100\nAge: 0").reused().aged(100),
            old("one that is no number does not count", "Age: x").reused().aged(0),
            old("nor a negative one", "Age: -100").reused().aged(0),
            old("nor one with a point", "Age: 100.0").reused().aged(0),
            old("a date in the future is no age", "Date: @100").reused().aged(0),
            old("an age past the lifetime leaves nothing", "Age: 3600").fetched(),
            old("an age too large to tell leaves nothing", "Age: 99999999999999").fetched(),
            old("a date before the lifetime leaves nothing", "Date: @-3600").fetched(),
            old("time that passes here counts", "Age: 100").after_ms(1_100).reused().aged(101),
            case("Expires less Date is a lifetime of which the age is taken")
                .answers("Date: @-100\nExpires: @-10")
                .fetched()
                .fetched(),
            case("Expires less Date is a lifetime")
                .answers("Date: @-100\nExpires: @60")
                .fetched()
                .reused(),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_came_of_a_request_is_told_in_cache_status() {
    const MINUTE: &str = "Cache-Control: max-age=60";
    let told = |words: &str| format!("Cache-Status: farmgate; {words}");
    let policy = format!("{FOLLOWED}, stale_while_revalidate: 1h");
    check(
        &policy,
        [
            case("nothing was kept, and now is")
                .answers(MINUTE)
                .fetched()
                .with(&told("fwd=uri-miss; fwd-status=200; stored")),
            case("nothing was kept, nor is now")
                .answers("Cache-Control: no-store")
                .fetched()
                .with(&told("fwd=uri-miss; fwd-status=200")),
            case("the status is the upstream's")
                .answers(MINUTE)
                .status(404)
                .fetched()
                .with(&told("fwd=uri-miss; fwd-status=404; stored")),
            case("a hit has the time that is left")
                .answers("Cache-Control: max-age=60\nAge: 10")
                .fetched()
                .reused()
                .left(50),
            case("a stale hit has less than none")
                .answers("Cache-Control: max-age=60\nAge: 70")
                .fetched()
                .served_stale(),
        ],
    )
    .await;
}

#[tokio::test]
async fn why_a_request_was_forwarded_is_told_in_cache_status() {
    const MINUTE: &str = "Cache-Control: max-age=60";
    let told = |words: &str| format!("Cache-Status: farmgate; {words}");
    check(
        FOLLOWED,
        [
            case("others are selected by what is kept")
                .answers("Cache-Control: max-age=60\nVary: X-A")
                .fetched()
                .asks("X-A: 1")
                .fetched()
                .with(&told("fwd=vary-miss; fwd-status=200; stored")),
            case("the client does not take what is kept")
                .answers(MINUTE)
                .fetched()
                .asks("Cache-Control: no-cache")
                .fetched()
                .with(&told("fwd=request; fwd-status=200; stored")),
            case("what is kept is stale")
                .answers("Cache-Control: no-cache\nETag: \"a\"")
                .fetched()
                .fetched()
                .with(&told("fwd=stale; fwd-status=200; stored")),
            case("what is kept is stale, and confirmed")
                .answers("Cache-Control: no-cache\nETag: \"a\"")
                .fetched()
                .confirmed("")
                .with(&told("fwd=stale; fwd-status=304; stored")),
            case("answers to a method are not kept")
                .by("POST")
                .fetched()
                .with(&told("fwd=method; fwd-status=200")),
            case("the client wants nothing kept")
                .asks("Cache-Control: no-store")
                .fetched()
                .with(&told("fwd=bypass; fwd-status=200")),
        ],
    )
    .await;
}

#[tokio::test]
async fn first_answer_has_the_age_that_it_came_with() {
    check(
        FOLLOWED,
        [
            case("an old answer is told to be old")
                .answers("Cache-Control: max-age=60\nAge: 20")
                .fetched()
                .aged(20),
            case("a new one has no age")
                .answers("Cache-Control: max-age=60")
                .fetched()
                .without("Age"),
        ],
    )
    .await;
}
