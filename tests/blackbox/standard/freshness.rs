//! For how long is an answer fresh? RFC 9111, section 4.2, and RFC 9213.

use super::case::{Case, FOLLOWED, case, check};

/// An answer with these fields is used again.
fn fresh(name: &'static str, fields: &str) -> Case {
    case(name).answers(fields).fetched().reused()
}

/// An answer with these fields is not.
fn stale(name: &'static str, fields: &str) -> Case {
    case(name).answers(fields).fetched().fetched()
}

#[tokio::test]
async fn lifetime_is_read_from_the_first_field_that_says_it() {
    check(
        FOLLOWED,
        [
            fresh("max-age is a lifetime", "Cache-Control: max-age=60"),
            stale("max-age=0 is none", "Cache-Control: max-age=0"),
            fresh("s-maxage is a lifetime", "Cache-Control: s-maxage=60"),
            fresh("s-maxage goes before max-age", "Cache-Control: max-age=0, s-maxage=60"),
            stale(
                "s-maxage goes before max-age, also when shorter",
                "Cache-Control: s-maxage=0, max-age=60",
            ),
            fresh("s-maxage goes before Expires", "Cache-Control: s-maxage=60\nExpires: @-60"),
            fresh("max-age goes before Expires", "Cache-Control: max-age=60\nExpires: @-60"),
            stale(
                "max-age goes before Expires, also when shorter",
                "Cache-Control: max-age=0\nExpires: @60",
            ),
            fresh("Expires is a lifetime", "Expires: @60\nDate: @0"),
            fresh("Expires counts from when the answer came, without Date", "Expires: @60"),
            fresh("Expires counts from Date", "Expires: @7260\nDate: @0"),
            stale("Expires in the past is none", "Expires: @-60\nDate: @0"),
            stale("Expires equal to Date is none", "Expires: @0\nDate: @0"),
            fresh("Expires counts beside other directives", "Expires: @60\nCache-Control: public"),
            stale("an answer that says nothing is not kept", ""),
            stale(
                "Last-Modified alone is no lifetime unless the policy says so",
                "Last-Modified: @-100000",
            ),
            stale("Pragma is no field of an answer", "Pragma: max-age=60"),
        ],
    )
    .await;
}

#[tokio::test]
async fn directives_are_read_as_they_are_written() {
    check(
        FOLLOWED,
        [
            fresh("directives have no case", "Cache-Control: MaX-aGe=60"),
            fresh("a quoted number is a number", "Cache-Control: max-age=\"60\""),
            fresh("leading zeros say nothing", "Cache-Control: max-age=0060"),
            fresh(
                "unknown directives are passed over",
                "Cache-Control: x, y=1, z=\"2\", max-age=60",
            ),
            fresh("empty members of the list are passed over", "Cache-Control: , max-age=60, ,"),
            fresh("two fields are one list", "Cache-Control: public\nCache-Control: max-age=60"),
            fresh("of two lifetimes the first one counts", "Cache-Control: max-age=60, max-age=0"),
            fresh("a time too long to tell is very long", "Cache-Control: max-age=2147483648"),
            fresh(
                "a time far too long to tell is very long",
                "Cache-Control: max-age=99999999999999999999999",
            ),
            fresh(
                "a directive inside a quoted string is none",
                "Cache-Control: x=\"no-store, max-age=0\", max-age=60",
            ),
            fresh(
                "a directive inside a quoted string is none, whatever is quoted before",
                "Cache-Control: x=\"\\\"no-store\", max-age=60",
            ),
            stale("a negative time has passed", "Cache-Control: max-age=-60"),
            stale("a time that is no whole number has passed", "Cache-Control: max-age=60.5"),
            stale("a time with a unit has passed", "Cache-Control: max-age=60s"),
            stale("a time in single quotes has passed", "Cache-Control: max-age='60'"),
            stale("a lifetime without a time has passed", "Cache-Control: max-age"),
            stale("a lifetime with an empty time has passed", "Cache-Control: max-age="),
            stale(
                "a word that ends like a directive is another one",
                "Cache-Control: x-max-age=60",
            ),
            stale(
                "a word that begins like a directive is another one",
                "Cache-Control: max-age-x=60",
            ),
            stale(
                "a lifetime that cannot be read is not replaced by Expires",
                "Cache-Control: max-age=x\nExpires: @60",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn dates_are_read_in_their_three_forms_and_no_other() {
    const FAR: &str = "Cache-Control: public\nExpires: ";
    let with = |name, date: &str, is_fresh: bool| {
        let fields = format!("{FAR}{date}");
        if is_fresh { fresh(name, &fields) } else { stale(name, &fields) }
    };
    check(
        FOLLOWED,
        [
            with("the fixed form", "Thu, 18 Aug 2050 02:01:18 GMT", true),
            with("the fixed form in small letters", "thu, 18 aug 2050 02:01:18 gmt", true),
            with("the fixed form in capitals", "THU, 18 AUG 2050 02:01:18 GMT", true),
            with("the form of RFC 850", "Thursday, 18-Aug-50 02:01:18 GMT", true),
            with("the form of asctime", "Thu Aug 18 02:01:18 2050", true),
            with("0 is in the past", "0", false),
            with("a number is in the past", "2544400000", false),
            with("a word is in the past", "never", false),
            with("nothing is in the past", "", false),
            with("another zone is in the past", "Thu, 18 Aug 2050 02:01:18 EST", false),
            with("an offset is in the past", "Thu, 18 Aug 2050 02:01:18 +0000", false),
            with("no zone is in the past", "Thu, 18 Aug 2050 02:01:18", false),
            with("a short hour is in the past", "Thu, 18 Aug 2050 2:01:18 GMT", false),
            with("a short year is in the past", "Thu, 18 Aug 50 02:01:18 GMT", false),
            with("no seconds are in the past", "Thu, 18 Aug 2050 02:01 GMT", false),
            with(
                "dashes in the fixed form are in the past",
                "Thu, 18-Aug-2050 02:01:18 GMT",
                false,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_said_to_gateways_goes_before_what_is_said_to_all() {
    check(
        FOLLOWED,
        [
            fresh("a lifetime for gateways is one", "CDN-Cache-Control: max-age=60"),
            fresh(
                "it goes before Cache-Control",
                "CDN-Cache-Control: max-age=60\nCache-Control: max-age=0",
            ),
            fresh(
                "it goes before no-store for others",
                "CDN-Cache-Control: max-age=60\nCache-Control: no-store",
            ),
            fresh("it goes before Expires", "CDN-Cache-Control: max-age=60\nExpires: @-60"),
            stale(
                "no-store for gateways goes before a lifetime for others",
                "CDN-Cache-Control: no-store\nCache-Control: max-age=60",
            ),
            stale(
                "private for gateways goes before a lifetime for others",
                "CDN-Cache-Control: private\nCache-Control: max-age=60",
            ),
            stale("Expires is not looked at beside it", "CDN-Cache-Control: public\nExpires: @60"),
            stale(
                "a short lifetime for gateways goes before a long one for others",
                "CDN-Cache-Control: max-age=0\nCache-Control: max-age=60",
            ),
            fresh("an empty field is not there", "CDN-Cache-Control:\nCache-Control: max-age=60"),
            fresh(
                "a field that is no dictionary is not there",
                "CDN-Cache-Control: max-age=0, &\nCache-Control: max-age=60",
            ),
            fresh(
                "a field in capitals is no dictionary",
                "CDN-Cache-Control: MAX-AGE=0\nCache-Control: max-age=60",
            ),
            fresh(
                "parameters of a directive say nothing",
                "CDN-Cache-Control: max-age=60;x=1\nCache-Control: no-store",
            ),
            stale(
                "a lifetime that is no integer has passed",
                "CDN-Cache-Control: max-age=60.5\nCache-Control: max-age=60",
            ),
            fresh(
                "two fields are one dictionary",
                "CDN-Cache-Control: public\nCDN-Cache-Control: max-age=60",
            ),
            fresh("it is passed on", "CDN-Cache-Control: max-age=60")
                .with("CDN-Cache-Control: max-age=60"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_says_nothing_is_fresh_as_the_policy_says() {
    let policy = format!("{FOLLOWED}, unsaid: 1h, heuristic_max: 1d");
    check(
        &policy,
        [
            fresh("a tenth of the time since Last-Modified", "Last-Modified: @-100000\nDate: @0"),
            stale("which may be no time", "Last-Modified: @5\nDate: @0"),
            fresh("the policy's own time without Last-Modified", ""),
            stale(
                "nothing where something is said",
                "Last-Modified: @-100000\nCache-Control: max-age=0",
            ),
            fresh("404 is a status that may be kept so", "").status(404),
            case("201 is none").status(201).fetched().fetched(),
            case("302 is none").answers("Last-Modified: @-100000").status(302).fetched().fetched(),
            case("500 is none").status(500).fetched().fetched(),
            case("503 is none").answers("Last-Modified: @-100000").status(503).fetched().fetched(),
        ],
    )
    .await;
}
