//! In which form do answers leave, whatever the upstream sends?

use harness::{Answer, Gateway, Origin, Reply};

use crate::fixtures::{conf, gateway, kept};

/// A route of each kind that wraps: `/kept` goes through the cache, `/wrapped` does not.
const ROUTES: [&str; 2] = [
    "{name: kept, path_prefix: /kept, pool: service, auth: {anonymous: true}, cache: kept, \
     envelope: true}",
    "{name: wrapped, path_prefix: /wrapped, pool: service, auth: {anonymous: true}, \
     envelope: true}",
];

/// Paths that take both ways.
const PATHS: [&str; 2] = ["/kept", "/wrapped"];

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// Longest body that is wrapped here.
const WRAPPED_BYTES_MAX: usize = 4_096;

/// A gateway that wraps, with `status` in this form.
async fn wrapping(status: &str) -> (Origin, Gateway) {
    let origin = Origin::start().await;
    let envelope = format!("envelope: {{status: {status}, body_bytes_max: 4KiB}}");
    let sections = format!("{}\n{envelope}", kept("fresh: 1h, error_for: 1h"));
    let launcher = gateway().with(conf(&sections, &ROUTES)).pool("service", origin.address());
    (origin, launcher.start().await)
}

/// Each way and method gives this status and body for an answer; a hit is the miss, byte for byte.
async fn check(answer: Answer, status: u16, body: &str) {
    let (origin, gw) = wrapping("text").await;
    origin.otherwise(answer);
    for path in PATHS {
        let reply = gw.get(path).send().await.expect_status(status).expect_body(body);
        let again = gw.get(path).send().await.expect_status(status).expect_body(body);
        assert_eq!(reply.header("content-type"), again.header("content-type"), "{path}");
        assert_eq!(reply.header("content-length"), again.header("content-length"), "{path}");
        gw.post(path).body("1").send().await.expect_status(status).expect_body(body);
    }
}

/// Each way and method refuses an answer as invalid or incomplete with this code.
async fn check_refused(answer: Answer, code: &str) {
    let (origin, gw) = wrapping("text").await;
    origin.otherwise(answer);
    for path in PATHS {
        for request in [gw.get(path), gw.post(path)] {
            let reply = request.header("X-Request-Id", "mine").send().await.expect_status(502);
            reply.expect_json("/errors/code", code).expect_json("/request_id", "mine");
        }
    }
}

fn json(status: u16, body: &str) -> Answer {
    Answer::status(status).header("Content-Type", "application/json").body(body.to_owned())
}

#[tokio::test]
async fn plain_json_becomes_the_data_of_an_envelope() {
    let body = r#"{"status":"success","message":"OK","data":{"a":1.50},"errors":null}"#;
    check(json(200, r#"{"a":1.50}"#), 200, body).await;
    check(json(200, r#" {"a":1.50} "#).chunked(), 200, body).await;
    check(json(200, r#"{"a":1.50}"#).until_close(), 200, body).await;
}

#[tokio::test]
async fn status_is_a_number_where_the_operator_wants_it() {
    let (origin, gw) = wrapping("integer").await;
    origin.on("/kept", json(200, "[1]"));
    origin.on("/wrapped", json(400, r#"{"detail":"no"}"#));
    let reply = gw.get("/kept").send().await.expect_status(200);
    reply.expect_body(r#"{"status":0,"message":"OK","data":[1],"errors":null}"#);
    let reply = gw.get("/wrapped").send().await.expect_status(400);
    reply.expect_body(r#"{"status":1,"message":"no","data":null,"errors":{"detail":"no"}}"#);
}

#[tokio::test]
async fn envelope_of_the_upstream_is_brought_to_form_and_not_wrapped_twice() {
    let integer = r#"{"status":0,"message":"Weather","data":{"a":1},"errors":null}"#;
    let text = r#"{"status":"success","message":"Weather","data":{"a":1},"errors":null}"#;
    check(json(200, integer), 200, text).await;
    check(json(200, text), 200, text).await;
    let (origin, gw) = wrapping("integer").await;
    origin.otherwise(json(200, text));
    for path in PATHS {
        gw.get(path).send().await.expect_status(200).expect_body(integer);
    }
}

#[tokio::test]
async fn envelope_that_admits_a_failure_is_not_kept() {
    let (origin, gw) = wrapping("text").await;
    let failed = r#"{"status":1,"message":"Later","data":null,"errors":{"detail":"x"}}"#;
    origin.otherwise(json(200, failed));
    for _ in 0..2 {
        let reply = gw.get("/kept").send().await.expect_status(200);
        reply.expect_json("/status", "error").expect_json("/message", "Later");
    }
    assert_eq!(origin.calls("/kept"), 2);
}

#[tokio::test]
async fn errors_of_the_upstream_are_put_into_the_envelope() {
    let body = r#"{"status":"error","message":"no","data":null,"errors":{"detail":"no"}}"#;
    check(json(422, r#"{"detail":"no"}"#), 422, body).await;
    check(json(500, r#"{"detail":"no"}"#), 500, body).await;
    let body =
        r#"{"status":"error","message":"Request failed","data":null,"errors":{"detail":"no"}}"#;
    check(Answer::status(503).header("Content-Type", "text/plain").body("no"), 503, body).await;
    let body = r#"{"status":"error","message":"Not Found","data":null,"errors":null}"#;
    check(Answer::status(404), 404, body).await;
}

#[tokio::test]
async fn empty_answer_is_an_envelope_without_data() {
    let body = r#"{"status":"success","message":"OK","data":null,"errors":null}"#;
    check(Answer::status(200), 200, body).await;
    check(json(200, ""), 200, body).await;
    check(json(200, "").chunked(), 200, body).await;
}

#[tokio::test]
async fn what_is_not_json_passes_as_it_is() {
    let (origin, gw) = wrapping("text").await;
    let image = Answer::status(200).header("Content-Type", "image/png");
    origin.otherwise(image.body(&b"\x89PNG\r\n\x1a\n\0"[..]));
    for path in PATHS {
        for _ in 0..2 {
            let reply = gw.get(path).send().await.expect_status(200);
            reply.expect_header("content-type", "image/png").expect_body(b"\x89PNG\r\n\x1a\n\0");
        }
    }
    assert_eq!(origin.calls("/kept"), 1);
}

#[tokio::test]
async fn encoded_body_passes_as_it_is() {
    let (origin, gw) = wrapping("text").await;
    // The gateway asks for no coding; this service does as it likes.
    let encoded = json(200, "").header("Content-Encoding", "gzip");
    origin.otherwise(encoded.body(&b"\x1f\x8b\x08\0coded"[..]));
    for path in PATHS {
        for _ in 0..2 {
            let reply = gw.get(path).header("Accept-Encoding", "gzip").send().await;
            let reply = reply.expect_status(200).expect_header("content-encoding", "gzip");
            reply.expect_body(b"\x1f\x8b\x08\0coded");
        }
        assert_eq!(origin.requests(path)[0].header("accept-encoding"), None);
    }
}

#[tokio::test]
async fn body_that_is_no_json_is_a_bad_gateway() {
    check_refused(json(200, r#"{"a":"#), "upstream_invalid").await;
    check_refused(json(200, "<html>"), "upstream_invalid").await;
    check_refused(json(500, "{]"), "upstream_invalid").await;
    check_refused(json(200, &"[".repeat(2_000)), "upstream_invalid").await;
}

#[tokio::test]
async fn body_that_breaks_off_is_a_bad_gateway() {
    check_refused(
        json(200, r#"{"a":1}"#).truncate(7).header("Content-Length", "9"),
        "upstream_broken",
    )
    .await;
    check_refused(json(200, r#"{"a":1}"#).truncate(3), "upstream_broken").await;
    check_refused(json(200, r#"{"a":1}"#).chunked().truncate(7), "upstream_broken").await;
    check_refused(json(200, r#"{"a":1}"#).reset_after(3), "upstream_broken").await;
    check_refused(Answer::raw("nonsense\r\n\r\n"), "upstream_broken").await;
}

#[tokio::test]
async fn body_too_large_for_wrapping_passes_unwrapped() {
    let (origin, gw) = wrapping("text").await;
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let (longest, longer) = (text(WRAPPED_BYTES_MAX), text(WRAPPED_BYTES_MAX + 1));
    let huge = text(6 << 20);
    for path in PATHS {
        for body in [&longest, &longer, &huge] {
            for chunked in [false, true] {
                let answer = json(200, body);
                let target = format!("{path}/{}/{chunked}", body.len());
                origin.on(&target, if chunked { answer.chunked() } else { answer });
                for request in [gw.get(&target), gw.post(&target), gw.get(&target)] {
                    let reply = request.send().await.expect_status(200);
                    let reply = reply.expect_header("content-type", "application/json");
                    let wrapped = reply.body.starts_with(b"{\"status\":\"success\"");
                    assert_eq!(wrapped, body.len() <= WRAPPED_BYTES_MAX, "{}", reply.request);
                    assert!(wrapped || reply.body == body.as_bytes(), "{}", reply.request);
                }
            }
        }
    }
}

#[tokio::test]
async fn connection_serves_on_after_each_kind_of_answer() {
    let (origin, gw) = wrapping("text").await;
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    let answers = [
        json(200, "1"),
        json(200, "1").chunked(),
        json(200, ""),
        json(200, "{"),
        json(200, r#"{"a":1}"#).truncate(3),
        json(500, "1"),
        json(404, "1"),
        json(200, &text(WRAPPED_BYTES_MAX + 1)),
        json(200, &text(WRAPPED_BYTES_MAX + 1)).chunked(),
        json(200, &text(6 << 20)),
        json(200, &text(6 << 20)).chunked(),
        Answer::status(204),
        Answer::status(302).header("Location", "/elsewhere"),
        Answer::status(200).body("text"),
        Answer::reset(),
    ];
    for path in PATHS {
        let mut connection = gw.connect().await;
        for (n, answer) in answers.iter().enumerate() {
            let target = format!("{path}/{n}");
            origin.on(&target, answer.clone());
            for method in ["GET", "HEAD", "POST", "GET"] {
                let reply = connection.send(harness::Request::new(method, &target)).await;
                assert_ne!(reply.header("connection"), Some("close"), "{}", reply.request);
            }
        }
    }
}

#[tokio::test]
async fn head_says_what_a_get_would_get_without_its_body() {
    let (origin, gw) = wrapping("text").await;
    origin.otherwise(json(200, r#"{"a":1}"#));
    for path in PATHS {
        for _ in 0..2 {
            let mut connection = gw.connect().await;
            let head = connection.send(harness::Request::new("HEAD", path)).await;
            let get = connection.send(harness::Request::get(path)).await.expect_status(200);
            let length = |reply: &Reply| reply.header("content-length").map(str::to_owned);
            assert_eq!(length(&head), Some(get.body.len().to_string()), "{path}");
            let head = head.expect_status(200).expect_body("");
            head.expect_header("content-type", "application/json");
        }
    }
}

#[tokio::test]
async fn answer_without_content_stays_without() {
    let (origin, gw) = wrapping("text").await;
    origin.otherwise(Answer::status(204));
    for path in PATHS {
        let mut connection = gw.connect().await;
        for method in ["GET", "GET", "POST", "HEAD"] {
            let reply = connection.send(harness::Request::new(method, path)).await;
            reply.expect_status(204).expect_body("").expect_no_header("content-length");
        }
    }
}

#[tokio::test]
async fn posts_reach_the_service_whole_and_their_answers_are_wrapped() {
    let (origin, gw) = wrapping("text").await;
    origin.otherwise(json(201, r#"{"id":7}"#));
    let body = "x".repeat(300_000);
    for path in PATHS {
        let reply = gw.post(path).body(body.clone()).send().await.expect_status(201);
        reply.expect_body(
            r#"{"status":"success","message":"Created","data":{"id":7},"errors":null}"#,
        );
        let asked = origin.requests(path).remove(0);
        assert_eq!((asked.method.as_str(), asked.body == body), ("POST", true));
        gw.post(path).send().await.expect_status(201);
    }
}

#[tokio::test]
async fn condition_that_keeps_a_change_from_being_lost_reaches_the_service() {
    let (origin, gw) = wrapping("text").await;
    for path in PATHS {
        origin.on(path, json(412, "1"));
        for method in ["PUT", "DELETE", "PATCH"] {
            let change = gw.request(method, path).header("If-Match", "\"a\"").body("1");
            change.header("If-Unmodified-Since", DATE).send().await.expect_status(412);
            let seen = origin.requests(path).pop().unwrap();
            assert_eq!(seen.header("if-match"), Some("\"a\""), "{method} {path}");
            assert_eq!(seen.header("if-unmodified-since"), Some(DATE), "{method} {path}");
        }
        gw.get(path).header("If-None-Match", "\"a\"").send().await;
        let seen = origin.requests(path).pop().unwrap();
        assert_eq!(seen.header("if-none-match"), None, "a GET is for the whole answer");
    }
}
