//! What becomes of parts that an upstream answers with? RFC 9111, sections 3.3 and 3.4.

use harness::{Answer, Gateway, Origin, Reply};

use crate::fixtures::{KEPT, kept, serve};

/// The upstream gives bytes 2 to 6 of ten digits, whatever it is asked for.
async fn partial(more: &[(&str, &str)]) -> (Origin, Gateway) {
    let (origin, gw) = serve(&kept("fresh: upstream"), &[KEPT]).await;
    let mut answer = Answer::status(206).body("23456").header("Content-Range", "bytes 2-6/10");
    let given = [("Cache-Control", "max-age=60"), ("ETag", "\"a\"")];
    for (name, value) in
        given.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name))
    {
        answer = answer.header(name, value);
    }
    for (name, value) in more {
        answer = answer.header(name, value);
    }
    origin.on("/x", answer);
    (origin, gw)
}

async fn range(gw: &Gateway, range: &str) -> Reply {
    gw.get("/x").header("Range", range).send().await
}

/// Whether the range is answered from the part that is kept, and how.
async fn is_kept(origin: &Origin, gw: &Gateway, wanted: &str, body: &str, place: &str) {
    let calls = origin.calls("/x");
    let reply = range(gw, wanted).await.expect_status(206).expect_body(body);
    let reply = reply.expect_header("content-range", place);
    let length = body.len().to_string();
    let status =
        reply.expect_header("content-length", &length).header("cache-status").map(str::to_owned);
    assert!(status.is_some_and(|status| status.starts_with("farmgate; hit")), "{wanted}");
    assert_eq!(origin.calls("/x"), calls, "{wanted}");
}

#[tokio::test]
async fn a_part_answers_what_lies_in_it() {
    let (origin, gw) = partial(&[]).await;
    range(&gw, "bytes=2-6").await.expect_status(206).expect_body("23456");
    for (wanted, body, place) in [
        ("bytes=2-6", "23456", "bytes 2-6/10"),
        ("bytes=3-4", "34", "bytes 3-4/10"),
        ("bytes=6-6", "6", "bytes 6-6/10"),
    ] {
        is_kept(&origin, &gw, wanted, body, place).await;
    }
    for wanted in ["bytes=1-4", "bytes=5-7", "bytes=5-", "bytes=-2", "bytes=2-3,5-6"] {
        let calls = origin.calls("/x");
        range(&gw, wanted).await;
        assert!(origin.calls("/x") > calls, "{wanted}");
    }
}

#[tokio::test]
async fn a_part_at_the_end_answers_for_the_last_bytes() {
    let (origin, gw) = partial(&[("Content-Range", "bytes 5-9/10")]).await;
    let answer = Answer::status(206).body("56789").header("Content-Range", "bytes 5-9/10");
    origin.on("/x", answer.header("Cache-Control", "max-age=60"));
    range(&gw, "bytes=-5").await.expect_status(206).expect_body("56789");
    is_kept(&origin, &gw, "bytes=-2", "89", "bytes 8-9/10").await;
    is_kept(&origin, &gw, "bytes=8-", "89", "bytes 8-9/10").await;
    is_kept(&origin, &gw, "bytes=8-99", "89", "bytes 8-9/10").await;
}

#[tokio::test]
async fn a_part_is_not_given_to_who_wants_the_whole() {
    let (origin, gw) = partial(&[]).await;
    range(&gw, "bytes=2-6").await.expect_status(206);
    origin.on("/x", Answer::status(200).body("0123456789").header("Cache-Control", "max-age=60"));
    gw.get("/x").send().await.expect_status(200).expect_body("0123456789");
    // The whole took its place.
    is_kept(&origin, &gw, "bytes=0-1", "01", "bytes 0-1/10").await;
    assert_eq!(origin.calls("/x"), 2);
}

#[tokio::test]
async fn the_whole_is_not_replaced_by_a_part() {
    let (origin, gw) = serve(&kept("fresh: upstream, stale_while_revalidate: 0s"), &[KEPT]).await;
    let whole = Answer::status(200).body("0123456789").header("Cache-Control", "max-age=60");
    let part = Answer::status(206).body("23").header("Content-Range", "bytes 2-3/10");
    origin.script("/x", [whole, part.header("Cache-Control", "max-age=60")]);
    gw.get("/x").send().await.expect_status(200);
    is_kept(&origin, &gw, "bytes=2-3", "23", "bytes 2-3/10").await;
    gw.get("/x").send().await.expect_status(200).expect_body("0123456789");
    assert_eq!(origin.calls("/x"), 1);
}

#[tokio::test]
async fn a_part_of_another_representation_is_not_told_by_if_range() {
    let (origin, gw) = partial(&[]).await;
    range(&gw, "bytes=2-6").await.expect_status(206);
    let told = gw.get("/x").header("Range", "bytes=2-3").header("If-Range", "\"a\"");
    told.send().await.expect_status(206).expect_body("23");
    assert_eq!(origin.calls("/x"), 1);
    let other = gw.get("/x").header("Range", "bytes=2-3").header("If-Range", "\"b\"");
    other.send().await;
    assert!(origin.calls("/x") > 1, "the service is asked");
}

#[tokio::test]
async fn a_part_that_does_not_say_where_it_lies_is_not_kept() {
    for place in ["bytes 2-6", "bytes 2-9/10", "lines 2-6/10", "bytes 2-6/3"] {
        let (origin, gw) = serve(&kept("fresh: upstream"), &[KEPT]).await;
        let answer = Answer::status(206).body("23456").header("Content-Range", place);
        origin.on("/x", answer.header("Cache-Control", "max-age=60"));
        for _ in 0..2 {
            let calls = origin.calls("/x");
            range(&gw, "bytes=2-6").await.expect_status(206).expect_body("23456");
            assert!(origin.calls("/x") > calls, "{place}");
        }
    }
}

#[tokio::test]
async fn a_part_that_nobody_asked_for_is_passed_on_and_not_kept() {
    let (origin, gw) = partial(&[]).await;
    for _ in 0..2 {
        gw.get("/x").send().await.expect_status(206).expect_body("23456");
    }
    assert_eq!(origin.calls("/x"), 2);
}
