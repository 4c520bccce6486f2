//! Which answers are kept? RFC 9111, sections 3 and 5.2.2.

use super::case::{Case, FOLLOWED, case, check};

const MINUTE: &str = "Cache-Control: max-age=60";

fn kept(name: &'static str, fields: &str) -> Case {
    case(name).answers(fields).fetched().reused()
}

fn unkept(name: &'static str, fields: &str) -> Case {
    case(name).answers(fields).fetched().fetched()
}

#[tokio::test]
async fn any_final_status_is_kept_that_says_for_how_long() {
    for statuses in [
        &[200, 203, 204, 299, 300, 301, 302, 303, 307, 308][..],
        &[400, 404, 405, 410, 414, 418, 451, 499, 500, 501, 502, 503, 504, 599],
    ] {
        let of = |status: &u16| case("a status").answers(MINUTE).status(*status).fetched().reused();
        check(FOLLOWED, statuses.iter().map(of)).await;
    }
}

#[tokio::test]
async fn directives_of_an_answer_say_whether_it_is_kept() {
    check(
        FOLLOWED,
        [
            unkept("no-store is not kept", "Cache-Control: max-age=60, no-store"),
            unkept("no-store has no case", "Cache-Control: max-age=60, No-Store"),
            unkept(
                "no-store in a field of its own counts",
                "Cache-Control: max-age=60\nCache-Control: no-store",
            ),
            unkept("private is not for a shared cache", "Cache-Control: max-age=60, private"),
            unkept("private for some fields neither", "Cache-Control: max-age=60, private=\"x-a\""),
            kept("public is", "Cache-Control: max-age=60, public"),
            kept(
                "no-store that must be understood is passed over",
                "Cache-Control: max-age=60, no-store, must-understand",
            ),
            case("no-store that must be understood counts for a status that is not")
                .answers("Cache-Control: max-age=60, no-store, must-understand")
                .status(299)
                .fetched()
                .fetched(),
            case("what must be understood and is not, is not kept")
                .answers("Cache-Control: max-age=60, must-understand")
                .status(299)
                .fetched()
                .fetched(),
            kept(
                "must-revalidate says nothing of what is fresh",
                "Cache-Control: max-age=60, must-revalidate",
            ),
            kept("no-transform says nothing of keeping", "Cache-Control: max-age=60, no-transform"),
            unkept("a cookie is somebody's", "Cache-Control: max-age=60\nSet-Cookie: a=1"),
            unkept("what varies on all is for nobody else", "Cache-Control: max-age=60\nVary: *"),
            unkept(
                "what varies on all among others neither",
                "Cache-Control: max-age=60\nVary: x-a, *",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn answer_to_a_credential_is_shared_only_where_it_says_so() {
    let asked = |name, field: &str| {
        case(name)
            .answers(&format!("Cache-Control: {field}"))
            .asks("Authorization: Basic eDp5")
            .fetched()
    };
    check(
        FOLLOWED,
        [
            asked("max-age alone does not say so", "max-age=60").fetched(),
            asked("nor to the same credential", "max-age=60")
                .asks("Authorization: Basic eDp5")
                .fetched(),
            asked("public says so", "max-age=60, public").reused(),
            asked("must-revalidate says so", "max-age=60, must-revalidate").reused(),
            asked("s-maxage says so", "s-maxage=60").reused(),
            asked("the origin sees it", "max-age=60").sends("Authorization: Basic eDp5"),
            case("what was kept without one is for those with one too")
                .answers(MINUTE)
                .fetched()
                .asks("Authorization: Basic eDp5")
                .reused(),
        ],
    )
    .await;
}

#[tokio::test]
async fn only_safe_methods_are_answered_from_what_is_kept() {
    check(
        FOLLOWED,
        [
            case("HEAD is answered from a GET").answers(MINUTE).fetched().by("HEAD").reused(),
            case("POST is not").answers(MINUTE).fetched().by("POST").fetched(),
            case("PUT is not").answers(MINUTE).fetched().by("PUT").fetched(),
            case("DELETE is not").answers(MINUTE).fetched().by("DELETE").fetched(),
            case("OPTIONS is not").answers(MINUTE).fetched().by("OPTIONS").fetched(),
            case("an answer to POST is not kept").answers(MINUTE).by("POST").fetched().fetched(),
            case("an answer to OPTIONS is not kept")
                .answers(MINUTE)
                .by("OPTIONS")
                .fetched()
                .fetched(),
        ],
    )
    .await;
}

#[tokio::test]
async fn fields_are_kept_but_for_those_of_a_connection() {
    check(
        FOLLOWED,
        [
            kept("a field that nobody knows is kept", "Cache-Control: max-age=60\nX-Test: 1")
                .with("X-Test: 1"),
            kept("Content-Type is kept", "Cache-Control: max-age=60\nContent-Type: text/plain")
                .with("Content-Type: text/plain"),
            kept("Content-Language is kept", "Cache-Control: max-age=60\nContent-Language: de")
                .with("Content-Language: de"),
            kept("Content-Location is kept", "Cache-Control: max-age=60\nContent-Location: /x")
                .with("Content-Location: /x"),
            kept("ETag is kept", "Cache-Control: max-age=60\nETag: \"a\"").with("ETag: \"a\""),
            kept(
                "Last-Modified is kept",
                "Cache-Control: max-age=60\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT",
            )
            .with("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"),
            kept("Cache-Control is kept", "Cache-Control: max-age=60, x")
                .with("Cache-Control: max-age=60, x"),
            kept("Link is kept", "Cache-Control: max-age=60\nLink: </x>; rel=y")
                .with("Link: </x>; rel=y"),
            kept(
                "Proxy-Authenticate is for one hop",
                "Cache-Control: max-age=60\nProxy-Authenticate: Basic",
            )
            .without("Proxy-Authenticate"),
            kept("Keep-Alive is for one hop", "Cache-Control: max-age=60\nKeep-Alive: timeout=5")
                .without("Keep-Alive"),
            kept(
                "what Connection names is for one hop",
                "Cache-Control: max-age=60\nConnection: x-hop\nX-Hop: 1",
            )
            .without("X-Hop"),
            case("an answer without a date gets one").answers(MINUTE).fetched().reused(),
        ],
    )
    .await;
}
