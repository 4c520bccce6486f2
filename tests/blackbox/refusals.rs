//! What the gateway says when it answers itself, and what it does not let through.

use std::time::{Duration, Instant};

use harness::Reservation;
use harness::{Answer, Authority, Connection, Gateway, Https, Origin, Reply, Request};
use serde_json::Value;

use crate::fixtures::{OPEN, Relay, api_key, conf, conf_with_tls, gateway, serve};

/// The id that every refused request is sent with, and that its envelope repeats.
const ID: &str = "rid-1";

const ROUTES: [&str; 8] = [
    "{name: open, path_prefix: /open, methods: [GET, POST], pool: service, \
     auth: {anonymous: true}, body_bytes_max: 1KiB}",
    "{name: key, path_prefix: /key, pool: service, auth: {any: [api_key], scopes: [write]}}",
    "{name: few, path_prefix: /few, pool: service, auth: {anonymous: true}, quotas: [few]}",
    "{name: wrapped, path_prefix: /wrapped, pool: service, auth: {anonymous: true}, \
     envelope: true, timeout: 300ms}",
    "{name: kept, path_prefix: /kept, pool: service, auth: {anonymous: true}, cache: kept, \
     timeout: 300ms}",
    "{name: slow, path_prefix: /slow, pool: service, auth: {anonymous: true}, timeout: 300ms}",
    "{name: dead, path_prefix: /dead, pool: dead, auth: {anonymous: true}}",
    "{name: dead-wrapped, path_prefix: /dead/wrapped, pool: dead, auth: {anonymous: true}, \
     envelope: true}",
];

/// One way to be refused.
struct Case {
    status: u16,
    request: Request,
    /// The body in both forms, from `message` on.
    text: &'static str,
    integer: &'static str,
}

impl Case {
    fn new(status: u16, request: Request, text: &'static str, integer: &'static str) -> Self {
        Self { status, request: request.header("X-Request-ID", ID), text, integer }
    }

    fn body(&self, form: &str) -> String {
        match form {
            "text" => {
                format!(r#"{{"status":"error",{},"request_id":"{ID}"}}"#, self.text)
            }
            _ => format!(r#"{{"status":1,{},"request_id":"{ID}"}}"#, self.integer),
        }
    }
}

/// Every way to be refused.
fn cases() -> Vec<Case> {
    [refused_for_what_they_ask(), refused_by_a_limit(), refused_for_the_upstream()]
        .into_iter()
        .flatten()
        .collect()
}

/// Refused by the look of the request, or by who sends it.
fn refused_for_what_they_ask() -> Vec<Case> {
    let new = Case::new;
    vec![
        new(
            400,
            Request::get("/open%2Fkey"),
            r#""message":"The path can be read in two ways; send it without dots and odd escapes.","data":null,"errors":{"detail":"The path can be read in two ways; send it without dots and odd escapes.","code":"bad_request"}"#,
            r#""message":"The path can be read in two ways; send it without dots and odd escapes.","errors":{"detail":"The path can be read in two ways; send it without dots and odd escapes."}"#,
        ),
        new(
            401,
            Request::get("/key"),
            r#""message":"Authentication credentials were not provided.","data":null,"errors":{"detail":"Authentication credentials were not provided.","code":"credential_missing"}"#,
            r#""message":"Authentication credentials were not provided.","errors":{"detail":"Authentication credentials were not provided."}"#,
        ),
        new(
            403,
            Request::get("/key").api_key("reader"),
            r#""message":"This call needs the scope \"write\".","data":null,"errors":{"detail":"This call needs the scope \"write\".","code":"scope_missing"}"#,
            r#""message":"This call needs the scope \"write\".","errors":{"detail":"This call needs the scope \"write\"."}"#,
        ),
        new(
            404,
            Request::get("/nowhere"),
            r#""message":"Not found.","data":null,"errors":{"detail":"Not found.","code":"no_route"}"#,
            r#""message":"Not found.","errors":{"detail":"Not found."}"#,
        ),
    ]
}

/// Refused because it is too much, or the wrong thing to do.
fn refused_by_a_limit() -> Vec<Case> {
    let new = Case::new;
    vec![
        new(
            405,
            Request::new("DELETE", "/open"),
            r#""message":"Method \"DELETE\" not allowed.","data":null,"errors":{"detail":"Method \"DELETE\" not allowed.","code":"method_not_allowed"}"#,
            r#""message":"Method \"DELETE\" not allowed.","errors":{"detail":"Method \"DELETE\" not allowed."}"#,
        ),
        new(
            413,
            Request::post("/open").body("x".repeat(1025)),
            r#""message":"The request body is larger than 1024 bytes.","data":null,"errors":{"detail":"The request body is larger than 1024 bytes.","code":"body_too_large"}"#,
            r#""message":"The request body is larger than 1024 bytes.","errors":{"detail":"The request body is larger than 1024 bytes."}"#,
        ),
        new(
            429,
            Request::get("/few"),
            r#""message":"Too Many Requests","data":null,"errors":{"detail":"Request was throttled. Expected available in {wait} seconds.","code":"quota_exceeded","wait":{wait}}"#,
            r#""message":"Too Many Requests","data":null,"errors":{"detail":"Request was throttled. Expected available in {wait} seconds.","wait":{wait}}"#,
        ),
        new(
            431,
            Request::get("/open").header("X-Long", &"x".repeat(5_000)),
            r#""message":"The request's header fields are too large.","data":null,"errors":{"detail":"The request's header fields are too large.","code":"head_too_large"}"#,
            r#""message":"The request's header fields are too large.","errors":{"detail":"The request's header fields are too large."}"#,
        ),
    ]
}

/// Refused because there is no answer to give.
fn refused_for_the_upstream() -> Vec<Case> {
    let new = Case::new;
    vec![
        new(
            502,
            Request::get("/wrapped/invalid"),
            r#""message":"Upstream returned invalid JSON","data":null,"errors":{"detail":"Upstream returned invalid JSON","code":"upstream_invalid"}"#,
            r#""message":"Upstream returned invalid JSON","data":null,"errors":null"#,
        ),
        new(
            502,
            Request::get("/open/reset"),
            r#""message":"Upstream answer was incomplete","data":null,"errors":{"detail":"Upstream answer was incomplete","code":"upstream_broken"}"#,
            r#""message":"Upstream answer was incomplete","data":null,"errors":null"#,
        ),
        new(
            503,
            Request::get("/dead"),
            r#""message":"Upstream service unavailable","data":null,"errors":{"detail":"Upstream service unavailable","code":"upstream_unavailable"}"#,
            r#""message":"Upstream service unavailable","data":null,"errors":null"#,
        ),
        new(
            503,
            Request::get("/dead/wrapped"),
            r#""message":"Upstream service unavailable","data":null,"errors":{"detail":"Upstream service unavailable","code":"upstream_unavailable"}"#,
            r#""message":"Upstream service unavailable","data":null,"errors":null"#,
        ),
        new(504, Request::get("/slow"), TIMED_OUT_TEXT, TIMED_OUT_INTEGER),
        new(504, Request::get("/wrapped/slow"), TIMED_OUT_TEXT, TIMED_OUT_INTEGER),
        new(504, Request::get("/kept/slow"), TIMED_OUT_TEXT, TIMED_OUT_INTEGER),
    ]
}

const TIMED_OUT_TEXT: &str = r#""message":"Upstream service timed out","data":null,"errors":{"detail":"Upstream service timed out","code":"upstream_timeout"}"#;
const TIMED_OUT_INTEGER: &str =
    r#""message":"Upstream service timed out","data":null,"errors":null"#;

/// A gateway that can refuse for every reason, also over TLS when there is a certificate.
async fn refusing(form: &str, authority: Option<&Authority>) -> (Origin, Gateway) {
    let origin = Origin::start().await;
    origin.json("/few", "1");
    origin.on("/wrapped/invalid", Answer::json("{\"a\":"));
    origin.on("/open/reset", Answer::reset());
    for path in ["/slow", "/wrapped/slow", "/kept/slow"] {
        origin.on(path, Answer::json("1").hold());
    }
    let dead = Reservation::new();
    let sections = format!(
        "downstream: {{header_bytes_max: 4KiB}}\n\
         auth: {{api_keys: {{keys: [{}]}}}}\n\
         limits: {{quotas: {{few: 1/hour}}}}\n\
         cache: {{policies: {{kept: {{fresh: 1h, error_for: 1ms}}}}}}\n\
         envelope: {{status: {form}}}",
        api_key("reader", "reader", "scopes: [read]")
    );
    let launcher = match authority {
        None => gateway().with(conf(&sections, &ROUTES)),
        Some(authority) => gateway()
            .with(conf_with_tls(&sections, &ROUTES))
            .certificate("edge", &authority.issue(["edge.example"])),
    };
    let launcher = launcher.pool("service", origin.address());
    let gw = launcher.pool("dead", dead.address()).start().await;
    // From here on the quota is used up.
    gw.get("/few").send().await.expect_status(200);
    (origin, gw)
}

/// Sends every case three times in a row on one connection and compares what comes back, byte for
/// byte; all that differs is reported at once.
async fn check_envelopes(form: &str) {
    let (_origin, gw) = refusing(form, None).await;
    let mut wrong = Vec::new();
    for case in cases() {
        let mut connection = gw.connect().await;
        for time in 1..=3 {
            let what = format!("{} {}, time {time}", case.status, case.request.path());
            match connection.try_send(case.request.clone()).await {
                Ok(reply) => wrong.extend(difference(&case, form, &reply).map(|is| what + &is)),
                Err(error) => {
                    wrong.push(format!("{what}: the connection was lost: {error}"));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a refusal should have been and is not.
fn difference(case: &Case, form: &str, reply: &Reply) -> Option<String> {
    let wait = reply.header("Retry-After").unwrap_or_default();
    let body = case.body(form).replace("{wait}", wait);
    let fields =
        [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("X-Request-ID", ID)];
    let fields_hold = fields.iter().all(|(name, value)| reply.header(name) == Some(value));
    let is_right = reply.status == case.status && reply.body == body && fields_hold;
    (!is_right).then(|| {
        format!(": {} {:?}\n{}\ninstead of\n{body}", reply.status, reply.headers, reply.text())
    })
}

#[tokio::test]
async fn three_refusals_in_text_form_use_one_connection() {
    check_envelopes("text").await;
}

#[tokio::test]
async fn three_refusals_in_integer_form_use_one_connection() {
    check_envelopes("integer").await;
}

#[tokio::test]
async fn three_refusals_of_head_requests_use_one_connection() {
    let (_origin, gw) = refusing("text", None).await;
    let mut wrong = Vec::new();
    // A body that is too long and a method that is not taken need another method.
    for case in cases().into_iter().filter(|case| !matches!(case.status, 405 | 413)) {
        let head = head_of(&case);
        let mut connection = gw.connect().await;
        for time in 1..=3 {
            let what = format!("{} {}, time {time}", case.status, head.path());
            match connection.try_send(head.clone()).await {
                Ok(reply) if reply.status == case.status && reply.body.is_empty() => {}
                Ok(reply) => wrong.push(format!("{what}: {} {:?}", reply.status, reply.body)),
                Err(error) => {
                    wrong.push(format!("{what}: the connection was lost: {error}"));
                    break;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same request with the method HEAD.
fn head_of(case: &Case) -> Request {
    let head = Request::new("HEAD", case.request.path());
    match case.status {
        403 => head.api_key("reader"),
        431 => head.header("X-Long", &"x".repeat(5_000)),
        _ => head,
    }
}

#[tokio::test]
async fn three_refusals_over_http2_use_one_connection() {
    let authority = Authority::new();
    let (_origin, gw) = refusing("text", Some(&authority)).await;
    for case in cases() {
        let relay = Relay::to(gw.tls_address()).await;
        let client = Https::http2(relay.address(), "edge.example", &authority);
        for _ in 0..3 {
            let reply = client.send(case.request.clone()).await.expect_status(case.status);
            assert_eq!(reply.version, http::Version::HTTP_2);
            let wait = reply.header("Retry-After").unwrap_or_default().to_owned();
            reply.expect_body(case.body("text").replace("{wait}", &wait));
        }
        assert_eq!(relay.connections(), 1, "{}", case.request.path());
    }
}

#[tokio::test]
async fn refusal_before_the_body_is_read_keeps_the_connection() {
    let (origin, gw) = refusing("text", None).await;
    let mut connection = gw.connect().await;
    for _ in 0..3 {
        let unread = Request::post("/key").body("x".repeat(20_000));
        connection.send(unread).await.expect_status(401);
        let chunked = "POST /key HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                       5\r\nhello\r\n0\r\n\r\n";
        connection.write_raw(chunked).await;
        connection.read_reply().await.expect_status(401);
    }
    assert_eq!(origin.calls("/key"), 0);
}

#[tokio::test]
async fn refused_body_is_never_read_as_the_next_request() {
    let (origin, gw) = refusing("text", None).await;
    let mut connection = gw.connect().await;
    let hidden = "GET /few/hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let request = Request::post("/key").body(hidden);
    connection.send(request).await.expect_status(401);
    connection.send(Request::get("/nowhere")).await.expect_status(404);
    assert_eq!(origin.calls("/few/hidden"), 0);
}

#[tokio::test]
async fn body_that_grows_beyond_the_limit_is_refused() {
    let (_origin, gw) = refusing("text", None).await;
    let mut connection = gw.connect().await;
    let head = "POST /open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    connection.write_raw(format!("{head}{chunk}{chunk}0\r\n\r\n")).await;
    let reply = connection.read_reply().await.expect_status(413);
    reply.expect_json("/errors/code", "body_too_large");
}

#[tokio::test]
async fn refusal_of_a_method_names_those_that_are_taken() {
    let (_origin, gw) = refusing("text", None).await;
    let reply = gw.request("DELETE", "/open").send().await.expect_status(405);
    reply.expect_header("Allow", "GET, HEAD, POST");
}

#[tokio::test]
async fn too_many_header_fields_are_refused() {
    let sections = "downstream: {header_count_max: 10}";
    let (origin, gw) = serve(sections, &[OPEN]).await;
    // `Host` is one of them.
    let with = |count: usize| {
        let fields = (1..count).map(|number| (format!("X-{number}"), "1"));
        gw.get("/").headers(fields)
    };
    with(10).send().await.expect_status(200);
    with(11).send().await.expect_status(431).expect_json("/errors/code", "head_too_large");
    assert_eq!(origin.calls("/"), 1);
}

#[tokio::test]
async fn target_counts_as_a_part_of_the_head() {
    let sections = "downstream: {header_bytes_max: 1KiB}";
    let (origin, gw) = serve(sections, &[OPEN]).await;
    let long = "x".repeat(900);
    gw.get(&format!("/{long}")).send().await.expect_status(200);
    for target in [format!("/{long}{long}"), format!("/?{long}{long}")] {
        let reply = gw.get(&target).send().await.expect_status(431);
        reply.expect_json("/errors/code", "head_too_large");
    }
    gw.request(&long.repeat(2), "/").send().await.expect_status(431);
    assert_eq!(origin.calls_total(), 1);
}

#[tokio::test]
async fn line_of_a_long_request_is_short() {
    let (_origin, gw) = serve("", &[OPEN]).await;
    let path = format!("/{}", "x".repeat(40_000));
    let reply = gw.get(&path).send().await.expect_status(431);
    let id = reply.header("X-Request-ID").expect("an id").to_owned();
    let line = gw.wait_for_log(|line| access(line)["request_id"] == *id).await;
    assert!(line.len() < 4_000, "{} bytes", line.len());
    assert!(path.starts_with(access(&line)["path"].as_str().expect("a path")));
}

#[tokio::test]
async fn request_with_two_lengths_is_refused_and_its_connection_closed() {
    let (origin, gw) = serve("", &[OPEN]).await;
    let both = [
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\ncontent-length : 5\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
    ];
    for head in both {
        let mut connection = gw.connect().await;
        connection.write_raw(head).await;
        connection.write_raw("0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = connection.read_until_close().await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?} got {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head:?} got {answer:?}");
    }
    assert_eq!(origin.calls_total(), 0);
}

#[tokio::test]
async fn path_that_can_be_read_in_two_ways_is_refused() {
    let (origin, gw) = serve("", &[OPEN]).await;
    let paths = [
        "/a/../b",
        "/a/./b",
        "/..",
        "/a/%2e%2e/b",
        "/a/.%2E/b",
        "/a%2fb",
        "/a\\b",
        "/a%00",
        "/%zz",
    ];
    for path in paths {
        let reply = gw.get(path).send().await;
        assert_eq!(reply.status, 400, "{path}");
    }
    assert_eq!(origin.calls_total(), 0);
    gw.get("/a..b/.c/...").send().await.expect_status(200);
}

#[tokio::test]
async fn target_that_is_no_path_is_refused() {
    let (origin, gw) = serve("", &[OPEN]).await;
    for target in ["admin", "admin/x", "../admin", "?admin", " /admin", "*", "a:80", "ftp://a/x"] {
        let mut connection = gw.connect().await;
        connection.write_raw(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let reply = connection.read_reply().await.expect_status(400);
        reply.expect_json("/errors/code", "bad_request");
    }
    assert_eq!(origin.calls_total(), 0);
}

#[tokio::test]
async fn service_is_asked_for_a_path_where_the_client_named_a_whole_uri() {
    let wrapped = "{name: wrapped, path_prefix: /wrapped, pool: service, envelope: true, \
                   auth: {anonymous: true}}";
    let (origin, gw) = serve("", &[OPEN, wrapped]).await;
    for path in ["/x", "/wrapped"] {
        let mut connection = gw.connect().await;
        let head = format!("GET http://a.example{path}?b=1 HTTP/1.1\r\nHost: a.example\r\n\r\n");
        connection.write_raw(head).await;
        connection.read_reply().await.expect_status(200);
        let request = &origin.requests(path)[0];
        assert_eq!(request.target, format!("{path}?b=1"));
        assert_eq!(request.headers.all("host"), ["a.example"]);
    }
}

#[tokio::test]
async fn escaped_letters_do_not_walk_around_a_route() {
    let guarded = "{name: admin, path_prefix: /admin, pool: service, auth: {any: [api_key]}}";
    let sections = format!("auth: {{api_keys: {{keys: [{}]}}}}", api_key("a", "key", ""));
    let (origin, gw) = serve(&sections, &[OPEN, guarded]).await;
    gw.get("/%61dmin").send().await.expect_status(401);
    gw.get("/admin").send().await.expect_status(401);
    gw.get("/administrator").send().await.expect_status(200);
    assert_eq!(origin.calls_total(), 1);
}

#[tokio::test]
async fn request_without_one_good_host_is_refused() {
    let (origin, gw) = serve("", &[OPEN]).await;
    let hosts = [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host:\r\n",
        "Host: a/b\r\n",
        "Host: user@a\r\n",
        "Host: a,b\r\n",
    ];
    for host in hosts {
        let mut connection = gw.connect().await;
        connection.write_raw(format!("GET / HTTP/1.1\r\n{host}\r\n")).await;
        let reply = connection.read_reply().await;
        assert_eq!(reply.status, 400, "{host:?}");
    }
    assert_eq!(origin.calls_total(), 0);
}

#[tokio::test]
async fn exact_paths_come_before_prefixes_and_take_nothing_beneath_them() {
    let routes = [
        "{name: prefix, path_prefix: /a, pool: service, auth: {anonymous: true}}",
        "{name: longer, path_prefix: /a/b/c, pool: service, auth: {anonymous: true}}",
        "{name: exact, paths: [/a/b, /a/b/c/d/, /z], pool: service, methods: [GET], \
         auth: {any: [api_key]}}",
    ];
    let keys = api_key("a", "key", "");
    let sections = format!("auth: {{api_keys: {{keys: [{keys}]}}}}");
    let (_origin, gw) = serve(&sections, &routes).await;
    // Only the exact route asks for a key.
    for (path, status) in [
        ("/a", 200),
        ("/a/b", 401),
        ("/a/b/", 200),
        ("/a/b?x=1", 401),
        ("/a/b/c", 200),
        ("/a/b/c/d/", 401),
        ("/a/b/c/d", 200),
        ("/a/b/c/d/e", 200),
        ("/z", 401),
        ("/z/", 404),
    ] {
        assert_eq!(gw.get(path).send().await.status, status, "{path}");
    }
    gw.get("/z").api_key("key").send().await.expect_status(200);
}

#[tokio::test]
async fn route_is_found_by_host_in_any_case_and_with_any_port() {
    let routes = [
        "{name: a, hosts: [a.example], path_prefix: /, pool: service, auth: {anonymous: true}}",
        "{name: b, hosts: [b.example], path_prefix: /b, pool: service, auth: {anonymous: true}}",
    ];
    let (origin, gw) = serve("", &routes).await;
    gw.get("/x").host("a.example").send().await.expect_status(200);
    gw.get("/x").host("A.EXAMPLE:8080").send().await.expect_status(200);
    gw.get("/b/x").host("b.example").send().await.expect_status(200);
    gw.get("/x").host("b.example").send().await.expect_status(404);
    gw.get("/x").host("c.example").send().await.expect_status(404);
    // The dot of the root makes no other host.
    gw.get("/b/x").host("b.example.").send().await.expect_status(200);
    assert_eq!(origin.requests("/x")[1].header("host"), Some("A.EXAMPLE:8080"));
}

#[tokio::test]
async fn well_formed_request_id_is_kept_forwarded_and_logged() {
    let (origin, gw) = serve("", &[OPEN]).await;
    let reply = gw.get("/x").header("X-Request-ID", "nc-1.2:3/a+b=_").send().await;
    reply.expect_status(200).expect_header("X-Request-ID", "nc-1.2:3/a+b=_");
    assert_eq!(origin.requests("/x")[0].header("x-request-id"), Some("nc-1.2:3/a+b=_"));
    gw.wait_for_log(|line| access(line)["request_id"] == "nc-1.2:3/a+b=_").await;
}

#[tokio::test]
async fn malformed_request_id_is_replaced_everywhere() {
    let (origin, gw) = serve("", &[OPEN]).await;
    let long = "x".repeat(129);
    for (index, bad) in ["", "two words", "a\"b", "a,b", &long].into_iter().enumerate() {
        let reply = gw.get("/x").header("X-Request-ID", bad).send().await.expect_status(200);
        let given = reply.header("X-Request-ID").unwrap().to_owned();
        assert_eq!(given.len(), 32, "{bad:?} became {given:?}");
        assert!(given.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let forwarded = origin.requests("/x")[index].headers.clone();
        assert_eq!(forwarded.all("x-request-id"), [&given]);
        gw.wait_for_log(|line| access(line)["request_id"] == *given).await;
    }
}

/// An access line as JSON; `null` for any other line.
fn access(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_default();
    if value["target"] == "access" { value } else { Value::Null }
}

#[tokio::test]
async fn header_fields_for_one_hop_stay_on_it() {
    let wrapped = "{name: wrapped, path_prefix: /wrapped, pool: service, envelope: true, \
                   auth: {anonymous: true}}";
    let (origin, gw) = serve("", &[OPEN, wrapped]).await;
    let answer = Answer::json("1")
        .header("Connection", "X-Theirs")
        .header("X-Theirs", "1")
        .header("Keep-Alive", "timeout=5")
        .header("X-Kept", "1");
    origin.otherwise(answer);
    for path in ["/x", "/wrapped"] {
        let request = gw
            .get(path)
            .header("Connection", "X-Mine, keep-alive")
            .header("X-Mine", "1")
            .header("Keep-Alive", "timeout=5")
            .header("TE", "trailers")
            .header("Proxy-Connection", "keep-alive")
            .header("X-Kept", "1");
        let reply = request.send().await.expect_status(200).expect_header("X-Kept", "1");
        let seen = &origin.requests(path)[0];
        assert_eq!(seen.header("x-kept"), Some("1"));
        for name in ["x-mine", "keep-alive", "te", "proxy-connection"] {
            assert_eq!(seen.header(name), None, "{name} reached the service on {path}");
        }
        reply.expect_no_header("X-Theirs").expect_no_header("Keep-Alive");
    }
}

#[tokio::test]
async fn service_is_told_who_asked_and_how() {
    let authority = Authority::new();
    let (origin, gw) = refusing("text", Some(&authority)).await;
    origin.json("/open", "1");
    let lies = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "gopher"),
        ("X-Forwarded-Host", "evil.example"),
    ];
    gw.get("/open").host("edge.example").headers(lies).send().await.expect_status(200);
    let https = Https::http2(gw.tls_address(), "edge.example", &authority);
    https.send(Request::get("/open").headers(lies)).await.expect_status(200);
    let requests = origin.requests("/open");
    let edge = format!("edge.example:{}", gw.tls_address().port());
    for (request, proto, host) in
        [(&requests[0], "http", "edge.example"), (&requests[1], "https", edge.as_str())]
    {
        assert_eq!(request.headers.all("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(request.headers.all("x-forwarded-proto"), [proto]);
        assert_eq!(request.headers.all("x-forwarded-host"), [host]);
        assert_eq!(request.headers.all("host"), [host]);
    }
}

#[tokio::test]
async fn service_is_told_who_asked_where_answers_are_collected_too() {
    let authority = Authority::new();
    let (origin, gw) = refusing("text", Some(&authority)).await;
    origin.json("/wrapped", "1");
    let https = Https::http2(gw.tls_address(), "edge.example", &authority);
    let lie = Request::get("/wrapped").header("X-Forwarded-Proto", "gopher");
    https.send(lie.header("X-Forwarded-For", "203.0.113.9")).await.expect_status(200);
    let request = &origin.requests("/wrapped")[0];
    let edge = format!("edge.example:{}", gw.tls_address().port());
    assert_eq!(request.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.headers.all("x-forwarded-host"), [&edge]);
    assert_eq!(request.headers.all("x-forwarded-proto"), ["https"]);
}

#[tokio::test]
async fn slow_request_head_is_cut_but_a_slow_upstream_is_not() {
    let (origin, gw) = serve("downstream: {head_timeout: 300ms}", &[OPEN]).await;
    let started = Instant::now();
    let mut silent = gw.connect().await;
    let mut trickling = gw.connect().await;
    trickling.write_raw("GET /x HTTP/1.1\r\nHo").await;
    let cut = async |connection: &mut Connection| {
        connection.read_until_close().await;
        started.elapsed()
    };
    let (first, second) = tokio::join!(cut(&mut silent), cut(&mut trickling));
    for elapsed in [first, second] {
        assert!(elapsed >= Duration::from_millis(300) && elapsed < Duration::from_secs(10));
    }
    origin.on("/slow", Answer::json("1").delay(Duration::from_millis(900)));
    gw.get("/slow").send().await.expect_status(200);
    assert_eq!(origin.calls("/x"), 0);
}

#[tokio::test]
async fn idle_connection_is_closed_after_its_time() {
    let (_origin, gw) = serve("downstream: {keepalive_timeout: 1s}", &[OPEN]).await;
    let mut connection = gw.connect().await;
    connection.send(Request::get("/")).await.expect_status(200);
    let idle = Instant::now();
    connection.read_until_close().await;
    let idle = idle.elapsed();
    assert!(idle > Duration::from_millis(500) && idle < Duration::from_secs(10), "{idle:?}");
}

#[tokio::test]
async fn client_that_does_not_read_is_given_up() {
    let (origin, gw) = serve("downstream: {write_timeout: 500ms}", &[OPEN]).await;
    // More than the buffers of both sockets hold.
    origin.on("/big", Answer::status(200).body(vec![b'x'; 64 * 1024 * 1024]));
    let mut connection = gw.connect().await;
    connection.write_raw("GET /big HTTP/1.1\r\nHost: a\r\n\r\n").await;
    gw.wait_for_log(|line| access(line)["path"] == "/big").await;
    drop(connection);
}

#[tokio::test]
async fn connection_that_is_refused_over_and_over_still_serves() {
    let (_origin, gw) = refusing("text", None).await;
    let mut connection = gw.connect().await;
    for case in cases().into_iter().filter(|case| case.status < 500) {
        connection.send(case.request).await.expect_status(case.status);
    }
    // One after the other, on one connection, the counts add up.
    let refused = gw.metric("farmgate_refusals_total", &[]).await.unwrap();
    assert!((refused - 8.0).abs() < f64::EPSILON, "{refused} refusals");
}

#[tokio::test]
async fn bytes_behind_a_broken_body_are_no_request() {
    let routes = [
        "{name: read, path_prefix: /read, methods: [GET], pool: service, auth: {anonymous: true}}",
        "{name: keyed, path_prefix: /key, pool: service, auth: {any: [api_key]}}",
        "{name: open, path_prefix: /open, pool: service, auth: {anonymous: true}}",
    ];
    let sections = format!("auth: {{api_keys: {{keys: [{}]}}}}", api_key("a", "a-key", ""));
    let (origin, gw) = serve(&sections, &routes).await;
    for path in ["/nowhere", "/key/x", "/read/x", "/open/x"] {
        let mut connection = gw.connect().await;
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        connection
            .write_raw(format!("{head}+1\r\nX\r\nGET /open/hidden HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        connection.read_until_close().await;
    }
    assert_eq!(origin.calls("/open/hidden"), 0);
}
