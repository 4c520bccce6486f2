//! How are conditions and ranges answered from what is kept? RFC 9110, sections 13 and 14, and
//! RFC 9111, section 4.3.2.

use super::case::{Case, FOLLOWED, case, check};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// An answer that is kept, with this tag.
fn tagged(name: &'static str, tag: &str) -> Case {
    case(name).answers(&format!("Cache-Control: max-age=60\nETag: {tag}")).fetched()
}

/// An answer that is kept, last modified at [`DATE`].
fn dated(name: &'static str) -> Case {
    case(name).answers(&format!("Cache-Control: max-age=60\nLast-Modified: {DATE}")).fetched()
}

#[tokio::test]
async fn conditions_are_answered_from_what_is_kept() {
    check(
        FOLLOWED,
        [
            tagged("If-None-Match with the same tag is 304", "\"a\"")
                .asks("If-None-Match: \"a\"")
                .made(304)
                .with("ETag: \"a\"")
                .with("Cache-Control: max-age=60"),
            tagged("If-None-Match with another tag is 200", "\"a\"")
                .asks("If-None-Match: \"b\"")
                .reused(),
            tagged("If-None-Match with any tag is 304", "\"a\"").asks("If-None-Match: *").made(304),
            tagged("If-None-Match with a list that has it is 304", "\"a\"")
                .asks("If-None-Match: \"b\", \"a\"")
                .made(304),
            tagged("a weak tag matches a strong one", "\"a\"")
                .asks("If-None-Match: W/\"a\"")
                .made(304),
            tagged("a strong tag matches a weak one", "W/\"a\"")
                .asks("If-None-Match: \"a\"")
                .made(304),
            tagged("a weak tag matches a weak one", "W/\"a\"")
                .asks("If-None-Match: W/\"a\"")
                .made(304),
            tagged("a tag has case", "\"a\"").asks("If-None-Match: \"A\"").reused(),
            tagged("a tag with a comma is one tag", "\"a,b\"")
                .asks("If-None-Match: \"a,b\"")
                .made(304),
            tagged("HEAD is 304 too", "\"a\"").asks("If-None-Match: \"a\"").by("HEAD").made(304),
            dated("If-Modified-Since with the same date is 304")
                .asks(&format!("If-Modified-Since: {DATE}"))
                .made(304),
            dated("If-Modified-Since with a later date is 304")
                .asks("If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT")
                .made(304),
            dated("If-Modified-Since with an earlier date is 200")
                .asks("If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT")
                .reused(),
            dated("If-Modified-Since that is no date is not there")
                .asks("If-Modified-Since: yesterday")
                .reused(),
            case("If-None-Match goes before If-Modified-Since")
                .answers(&format!("Cache-Control: max-age=60\nETag: \"a\"\nLast-Modified: {DATE}"))
                .fetched()
                .asks(&format!("If-None-Match: \"b\"\nIf-Modified-Since: {DATE}"))
                .reused(),
            case("a condition is answered from what was fetched for it")
                .answers("Cache-Control: max-age=60\nETag: \"a\"")
                .asks("If-None-Match: \"a\"")
                .made(304)
                .reused(),
        ],
    )
    .await;
}

#[tokio::test]
async fn ranges_are_answered_from_what_is_kept() {
    check(
        FOLLOWED,
        [
            tagged("a range is 206", "\"a\"")
                .asks("Range: bytes=0-2")
                .made(206)
                .with("Content-Range: bytes 0-2/8"),
            tagged("the last bytes are 206", "\"a\"")
                .asks("Range: bytes=-2")
                .made(206)
                .with("Content-Range: bytes 6-7/8"),
            tagged("from a byte on is 206", "\"a\"")
                .asks("Range: bytes=5-")
                .made(206)
                .with("Content-Range: bytes 5-7/8"),
            tagged("a range that ends beyond the end is 206", "\"a\"")
                .asks("Range: bytes=5-99")
                .made(206)
                .with("Content-Range: bytes 5-7/8"),
            tagged("a range beyond the end is 416", "\"a\"")
                .asks("Range: bytes=8-9")
                .made(416)
                .with("Content-Range: bytes */8"),
            tagged("a range of another unit is not there", "\"a\"")
                .asks("Range: lines=0-1")
                .reused(),
            tagged("a range that cannot be read is not there", "\"a\"")
                .asks("Range: bytes=2-1")
                .reused(),
            tagged("If-Range with the tag is 206", "\"a\"")
                .asks("Range: bytes=0-2\nIf-Range: \"a\"")
                .made(206),
            tagged("If-Range with another tag is 200", "\"a\"")
                .asks("Range: bytes=0-2\nIf-Range: \"b\"")
                .reused(),
            tagged("If-Range with a weak tag is 200", "W/\"a\"")
                .asks("Range: bytes=0-2\nIf-Range: W/\"a\"")
                .reused(),
            dated("If-Range with the date is 206")
                .asks(&format!("Range: bytes=0-2\nIf-Range: {DATE}"))
                .made(206),
            dated("If-Range with another date is 200")
                .asks("Range: bytes=0-2\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT")
                .reused(),
            case("a range of what is not kept brings the whole")
                .answers("Cache-Control: max-age=60")
                .asks("Range: bytes=0-2")
                .made(206)
                .reused(),
        ],
    )
    .await;
}
