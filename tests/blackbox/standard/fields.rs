//! How are the fields read that a cache goes by, and which of them does a 304 change? RFC 9111,
//! sections 3.2, 4.2, 4.3.4 and 5, and RFC 9213.

use super::case::{Case, FOLLOWED, case, check};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const FAR: &str = "Thu, 18 Aug 2050 02:01:18 GMT";

/// An answer with these fields is used again.
fn fresh(name: &'static str, fields: &str) -> Case {
    case(name).answers(fields).fetched().reused()
}

/// An answer with these fields is not.
fn stale(name: &'static str, fields: &str) -> Case {
    case(name).answers(fields).fetched().fetched()
}

/// An answer that was stale when it came, and can be confirmed.
fn confirmable(name: &'static str, fields: &str) -> Case {
    let fields = format!("Cache-Control: max-age=60\nAge: 61\nETag: \"a\"\n{fields}");
    case(name).answers(&fields).fetched()
}

#[tokio::test]
async fn confirmation_changes_all_but_what_describes_the_body() {
    check(
        FOLLOWED,
        [
            confirmable("Content-Length stays", "")
                .confirmed("Content-Length: 3")
                .with("Content-Length: 8")
                .reused()
                .with("Content-Length: 8"),
            confirmable("Content-Range stays away", "")
                .confirmed("Content-Range: bytes 0-1/8")
                .without("Content-Range"),
            confirmable("Content-Digest stays away", "")
                .confirmed("Content-Digest: sha-256=:AA==:")
                .without("Content-Digest"),
            confirmable("Repr-Digest stays", "Repr-Digest: sha-256=:AA==:")
                .confirmed("Repr-Digest: sha-256=:BB==:")
                .with("Repr-Digest: sha-256=:AA==:"),
            confirmable("ETag stays where a weak one is said", "")
                .confirmed("ETag: W/\"a\"")
                .with("ETag: \"a\""),
            confirmable("the age is counted from the new Date", "")
                .confirmed("Cache-Control: max-age=3600\nDate: @-100")
                .reused()
                .aged(100),
            confirmable("Expires is replaced", &format!("Expires: {DATE}"))
                .confirmed(&format!("Expires: {FAR}"))
                .with(&format!("Expires: {FAR}")),
            confirmable("Content-Location is replaced", "Content-Location: /1")
                .confirmed("Content-Location: /2")
                .with("Content-Location: /2"),
            confirmable("Content-Language is replaced", "Content-Language: de")
                .confirmed("Content-Language: fr")
                .with("Content-Language: fr"),
            confirmable("Vary that says the same stays", "Vary: X-A, X-B")
                .confirmed("Vary: x-b,x-a")
                .with("Vary: X-A, X-B")
                .reused(),
            confirmable("what is no field of caches is told too", "")
                .confirmed("X-A: 1")
                .reused()
                .with("X-A: 1"),
        ],
    )
    .await;
}

#[tokio::test]
async fn age_and_dates_are_read_as_numbers_and_dates_and_nothing_else() {
    let aged = |name, age: &str| {
        case(name).answers(&format!("Cache-Control: max-age=3600\nAge: {age}")).fetched().reused()
    };
    check(
        FOLLOWED,
        [
            aged("leading zeros of an age say nothing", "0100").aged(100),
            aged("an age with a sign is none", "+100").aged(0),
            aged("a quoted age is none", "\"100\"").aged(0),
            aged("an age with a parameter is none", "100; x=1").aged(0),
            aged("an age with a unit is none", "100s").aged(0),
            aged("an empty age is none", "").aged(0),
            stale("the largest age leaves nothing", "Cache-Control: max-age=60\nAge: 2147483648"),
            stale(
                "an age beyond all numbers leaves nothing",
                "Cache-Control: max-age=60\nAge: 99999999999999999999999999",
            ),
            fresh("a Date that is none is when it came", "Expires: @60\nDate: x"),
            fresh("Date as a number is none", "Expires: @60\nDate: 0"),
            stale("an empty Expires is in the past", "Expires:\nDate: @0"),
            stale("a negative Expires is in the past", "Expires: -1\nDate: @0"),
        ],
    )
    .await;
}

#[tokio::test]
async fn directives_are_known_by_their_names_whatever_stands_beside() {
    check(
        FOLLOWED,
        [
            stale(
                "an argument takes nothing from no-store",
                "Cache-Control: no-store=1, max-age=60",
            ),
            stale("nor an empty one", "Cache-Control: no-store=, max-age=60"),
            stale("NO-STORE is no-store", "Cache-Control: NO-STORE, max-age=60"),
            stale(
                "private for some fields has no case",
                "Cache-Control: PRIVATE=\"X-A\", max-age=60",
            ),
            stale(
                "no-store counts in any field",
                "Cache-Control: max-age=60\nCache-Control: no-store",
            ),
            stale("and in any place", "Cache-Control: max-age=60, x, no-store"),
            fresh(
                "an argument takes nothing from public",
                "Cache-Control: public=\"x\", max-age=60",
            ),
            fresh("tabs are whitespace", "Cache-Control: public\t,\tmax-age=60"),
            fresh("no whitespace is needed", "Cache-Control: public,max-age=60,x=1"),
            fresh(
                "of two fields the first lifetime counts",
                "Cache-Control: max-age=60\nCache-Control: max-age=0",
            ),
            stale("there is no whitespace before an argument", "Cache-Control: max-age =60"),
            stale("nor behind the sign", "Cache-Control: max-age= 60"),
            stale(
                "a lifetime for gateways that cannot be read is not replaced by the one for all",
                "Cache-Control: s-maxage=x, max-age=60",
            ),
            fresh(
                "an unknown directive may have any argument",
                "Cache-Control: x=\"a=b; c, \\\"d\\\"\", max-age=60",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_said_to_gateways_is_a_structured_field() {
    const ELSE: &str = "Cache-Control: max-age=60";
    const NEVER: &str = "Cache-Control: no-store";
    let to_gateways = |said: &str, to_all: &str| format!("CDN-Cache-Control: {said}\n{to_all}");
    check(
        FOLLOWED,
        [
            stale(
                "of two members of one name the last one counts",
                &to_gateways("max-age=60, max-age=0", ELSE),
            ),
            fresh("whichever it is", &to_gateways("max-age=0, max-age=60", NEVER)),
            stale("a lifetime without a number has passed", &to_gateways("max-age", ELSE)),
            stale("a negative one has passed", &to_gateways("max-age=-60", ELSE)),
            stale("a list has passed", &to_gateways("max-age=(60)", ELSE)),
            stale("a decimal has passed", &to_gateways("max-age=60.0", ELSE)),
            fresh("s-maxage goes before max-age", &to_gateways("max-age=0, s-maxage=60", NEVER)),
            fresh("a comma at the end is an error", &to_gateways("max-age=0,", ELSE)),
            fresh("a missing comma is an error", &to_gateways("max-age=0 public", ELSE)),
            fresh("a string without end is an error", &to_gateways("max-age=0, x=\"", ELSE)),
            fresh(
                "a number that is too long is an error",
                &to_gateways("max-age=1234567890123456", ELSE),
            ),
            stale("unknown members are passed over", &to_gateways("x, y=?0, no-store", ELSE)),
            fresh(
                "parameters say nothing, whatever they are called",
                &to_gateways("max-age=60;no-store, public;max-age=0", NEVER),
            ),
        ],
    )
    .await;
}
