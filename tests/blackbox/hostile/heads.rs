//! Request heads that try to be another request: another path, host, method, address or person.

use harness::Request;

use super::GOOD_KEY;
use super::row::{
    BAD_REQUEST, HEAD_TOO_LARGE, MISSING, NO_ROUTE, NO_SCOPE, OVER_QUOTA, Row, UNREAD,
    WRONG_METHOD, Wanted,
};

pub(super) fn table() -> Vec<Row> {
    let tables = [
        ways_around_a_prefix(),
        ways_into_a_prefix(),
        paths_of_no_route(),
        other_people(),
        other_methods(),
        other_addresses(),
        other_hosts(),
        other_targets(),
        other_lengths(),
        other_versions(),
        broken_fields(),
        too_much(),
    ];
    tables.into_iter().flatten().collect()
}

/// Everything on this host is open but for `/admin`: paths that a service could read as that.
fn ways_around_a_prefix() -> Vec<Row> {
    [
        "/x/../admin",
        "/x/./../admin",
        "/./admin",
        "/..",
        "/x/%2e%2e/admin",
        "/x/.%2e/admin",
        "/x/%2E./admin",
        "/%2e/admin",
        "//admin",
        "/x//admin",
        "/admin//x",
        "/admin%2fx",
        "/x%2f..%2fadmin",
        "/x%2F%2e%2e%2Fadmin",
        "/admin\\x",
        "/x\\..\\admin",
        "/admin%5cx",
        "/admin%00",
        "/admin%00.png",
        "/admin%",
        "/admin%2",
        "/%zzadmin",
        "/%u0061dmin",
        "/%+1admin",
        "/admin;x=1",
        "/admin;/x",
        "/admin;x=1/secret",
        "/x/..;/admin",
        "/x/..;a=b/admin",
        "/;/admin",
        "/;x/admin",
        "/admin%3bx",
        "/x/..%3B/admin",
    ]
    .map(|path| Row::request(path, Request::get(path).host("site.example"), BAD_REQUEST))
    .into()
}

/// Ways to write `/admin` that are `/admin`.
fn ways_into_a_prefix() -> Vec<Row> {
    [
        "/admin",
        "/admin/",
        "/admin/x",
        "/admin?",
        "/admin?x=/../open",
        "/%61dmin",
        "/%61%64%6D%69%6e",
        "/admin/%2561",
        "/admin/..x",
        "/admin/x;y=1",
    ]
    .map(|path| Row::request(path, Request::get(path).host("site.example"), MISSING))
    .into()
}

/// Paths that only look like `/key`, where nothing else is open.
fn paths_of_no_route() -> Vec<Row> {
    let rows = [
        "/KEY",
        "/Key/x",
        "/key.",
        "/key%20",
        "/key%09",
        "/key%0a",
        "/key%0d%0a",
        "/key%C0%AF",
        "/key%e2%80%8b",
        "/key%23",
        "/key%3F",
        "/keys",
        "/ke",
        "/key:80",
        "/key,x",
        "/key&x",
        "/key~",
        "/%256bey",
        "/\u{ff4b}ey",
        "/token",
        "/token/x",
        "/",
    ];
    rows.map(|path| Row::request(format!("no {path}"), Request::get(path), NO_ROUTE)).into()
}

fn other_people() -> Vec<Row> {
    let mut rows: Vec<Row> = [
        ("X-User-Id", "1"),
        ("X-User", "admin"),
        ("X-Principal", "script"),
        ("X-Roles", "admin"),
        ("Remote-User", "admin"),
        ("X-Remote-User", "admin"),
        ("X-Forwarded-User", "admin"),
        ("X-Auth-Request-User", "admin"),
        ("X-Authenticated-Userid", "1"),
        ("X-Consumer-Username", "admin"),
        ("X-Client-Cert", "CN=admin"),
        ("X-SSL-Client-Verify", "SUCCESS"),
        ("X-Internal-Request", "true"),
        ("X-Original-URL", "/open"),
        ("X-Rewrite-URL", "/open"),
        ("X-Forwarded-Prefix", "/open"),
        ("X-Forwarded-Uri", "/open"),
        ("Referer", "https://site.example/admin"),
        ("Origin", "https://site.example"),
        ("Cookie", "sessionid=admin"),
        ("X-Request-ID", "a\"b, admin"),
    ]
    .map(|(name, value)| {
        Row::request(format!("{name}: {value}"), Request::get("/key").header(name, value), MISSING)
    })
    .into();
    let scopes = Request::post("/write").api_key(GOOD_KEY).header("X-Scopes", "write");
    rows.push(Row::request("X-Scopes beside a key", scopes, NO_SCOPE));
    rows
}

fn other_methods() -> Vec<Row> {
    let keyed = |method: &str, target: &str| Request::new(method, target).api_key(GOOD_KEY);
    let mut rows = vec![
        Row::request("a method in the query", keyed("POST", "/read?_method=GET"), WRONG_METHOD),
        Row::request("a method in small letters", keyed("get", "/read"), WRONG_METHOD),
        Row::request("a method nobody knows", keyed("FROB", "/read"), WRONG_METHOD),
        Row::request("TRACE without a key", Request::new("TRACE", "/key"), MISSING),
        Row::request("OPTIONS without a key", Request::new("OPTIONS", "/key"), MISSING),
        Row::bytes("OPTIONS of everything", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", BAD_REQUEST),
        Row::bytes(
            "a tunnel",
            "CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n",
            Wanted { status: 405, ..UNREAD },
        ),
    ];
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] {
        let read = keyed("POST", "/read").header(name, "GET");
        rows.push(Row::request(format!("{name} to a method taken"), read, WRONG_METHOD));
        let write = keyed("POST", "/write").header(name, "GET");
        rows.push(Row::request(format!("{name} to a method allowed"), write, NO_SCOPE));
    }
    rows
}

/// The one request of the day was spent; nothing brings a fresh budget.
fn other_addresses() -> Vec<Row> {
    let few = |name: &str, request: Request| Row::request(name, request, OVER_QUOTA);
    let mut rows = vec![
        few("the budget is spent", Request::get("/few")),
        few("another path of the route", Request::get("/few/more")),
        few("the path in another spelling", Request::get("/%66ew")),
        few("another query", Request::get("/few?x=1")),
        few("another host", Request::get("/few").host("other.example")),
        few("another method", Request::post("/few")),
        few("a key that nobody looks at", Request::get("/few").api_key("k")),
        few(
            "two addresses in two fields",
            Request::get("/few")
                .header("X-Forwarded-For", "203.0.113.1")
                .header("X-Forwarded-For", "203.0.113.2"),
        ),
    ];
    let fields = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-For", "203.0.113.9, 203.0.113.10"),
        ("X-Forwarded-For", "::1"),
        ("X-Forwarded-For", "127.0.0.1, 127.0.0.1"),
        ("X-Forwarded-For", "nonsense"),
        ("Forwarded", "for=203.0.113.9"),
        ("X-Real-IP", "203.0.113.9"),
        ("True-Client-IP", "203.0.113.9"),
        ("CF-Connecting-IP", "203.0.113.9"),
        ("X-Client-IP", "203.0.113.9"),
        ("X-Cluster-Client-IP", "203.0.113.9"),
    ];
    rows.extend(fields.map(|(name, value)| {
        few(&format!("{name}: {value}"), Request::get("/few").header(name, value))
    }));
    rows
}

/// `/open` is open but for the host `vault.example`.
fn other_hosts() -> Vec<Row> {
    let vault =
        |name: &str, host: &str| Row::request(name, Request::get("/open").host(host), MISSING);
    let claimed = |name: &str, value: &str| {
        let request = Request::get("/open").host("vault.example").header(name, value);
        Row::request(format!("{name} on a guarded host"), request, MISSING)
    };
    let mut rows = vec![
        vault("the guarded host", "vault.example"),
        vault("the host in capitals", "VAULT.Example"),
        vault("the host with a port", "vault.example:8443"),
        vault("the host with an empty port", "vault.example:"),
        vault("the host with a dot behind", "vault.example."),
        vault("the host with a dot and a port", "vault.example.:443"),
        claimed("X-Forwarded-Host", "open.example"),
        claimed("X-Host", "open.example"),
        claimed("X-Original-Host", "open.example"),
        claimed("Forwarded", "host=open.example"),
    ];
    let fields = [
        ("no host", "", BAD_REQUEST),
        ("an empty host", "Host:\r\n", BAD_REQUEST),
        ("two hosts", "Host: open.example\r\nHost: vault.example\r\n", UNREAD),
        ("one host twice", "Host: vault.example\r\nhost: vault.example\r\n", UNREAD),
        ("a person at a host", "Host: open.example@vault.example\r\n", UNREAD),
        ("two hosts in a list", "Host: open.example, vault.example\r\n", BAD_REQUEST),
        ("a host with a blank", "Host: vault.example x\r\n", BAD_REQUEST),
        ("a host with a path", "Host: vault.example/x\r\n", BAD_REQUEST),
        ("a host with an escape", "Host: vault%2Eexample\r\n", BAD_REQUEST),
        ("a host with two ports", "Host: vault.example:80:80\r\n", BAD_REQUEST),
        ("a host of two dots", "Host: vault.example..\r\n", BAD_REQUEST),
        ("a host of a dot", "Host: .\r\n", BAD_REQUEST),
        ("a host of another script", "Host: v\u{430}ult.example\r\n", BAD_REQUEST),
        ("an address without its end", "Host: [::1\r\n", BAD_REQUEST),
        ("a host behind a blank", "Host : vault.example\r\n", UNREAD),
        ("a host on two lines", "Host: vault\r\n .example\r\n", UNREAD),
    ];
    rows.extend(fields.map(|(name, fields, wanted)| {
        Row::bytes(name, format!("GET /open HTTP/1.1\r\n{fields}\r\n"), wanted)
    }));
    rows
}

/// Targets that are no path, or more than one. Everything on the host `site.example` is open but for
/// `/admin`.
fn other_targets() -> Vec<Row> {
    let (vault, site) = ("Host: vault.example\r\n", "Host: site.example\r\n");
    [
        ("a target with its host", "http://vault.example/open", vault, MISSING),
        ("a target with its host and no field", "http://vault.example/open", "", BAD_REQUEST),
        ("a target in capitals", "HTTP://vault.example/open", vault, MISSING),
        ("a target with TLS", "https://vault.example/open", vault, MISSING),
        ("a target with a port of its own", "http://vault.example:80/open", vault, UNREAD),
        ("a target with another host", "http://open.example/open", vault, UNREAD),
        ("a target with a guarded host", "http://vault.example/open", "Host: a\r\n", UNREAD),
        ("a target with a person", "http://a@vault.example/open", vault, UNREAD),
        ("a target without a host", "http:///open", vault, UNREAD),
        ("a target with one slash", "http:/open", vault, UNREAD),
        ("a target that walks", "http://site.example/x/../admin", site, BAD_REQUEST),
        ("a target with an escape", "http://site.example/%61dmin", site, MISSING),
        ("a target of another kind", "ftp://site.example/admin", site, BAD_REQUEST),
        ("a target of a file", "file:///admin", site, UNREAD),
        ("a target of two slashes", "//site.example/admin", site, BAD_REQUEST),
        ("a target without a slash", "admin", site, BAD_REQUEST),
        ("a longer target without a slash", "admin/x", site, BAD_REQUEST),
        ("a target that begins with dots", "../admin", site, BAD_REQUEST),
        ("a target that begins with a dot", "./admin", site, BAD_REQUEST),
        ("a target that is a query", "?/admin", site, BAD_REQUEST),
        ("a target that is a host", "site.example:80", site, BAD_REQUEST),
        ("a target behind two blanks", " /admin", site, BAD_REQUEST),
        ("a target with a backslash in front", "\\admin", site, BAD_REQUEST),
        ("a target with a fragment", "/admin#/../x", site, MISSING),
        ("a target with a blank", "/key /open", "Host: a\r\n", NO_ROUTE),
        ("a target with brackets", "/<admin>", site, UNREAD),
    ]
    .map(|(name, target, fields, wanted)| {
        Row::bytes(name, format!("GET {target} HTTP/1.1\r\n{fields}\r\n"), wanted)
    })
    .into()
}

/// Where a request ends must have one answer; whoever gives two loses the connection.
fn other_lengths() -> Vec<Row> {
    let two = BAD_REQUEST.closing();
    [
        ("a length, then chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked", two),
        ("chunks, then a length", "Transfer-Encoding: chunked\r\nContent-Length: 5", two),
        ("chunks and a length of nothing", "Transfer-Encoding: chunked\r\nContent-Length: 0", two),
        ("a length before its colon", "Transfer-Encoding: chunked\r\nContent-Length : 5", UNREAD),
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6", UNREAD),
        ("two lengths in a list", "Content-Length: 5, 6", UNREAD),
        ("a length with a sign", "Content-Length: +5", UNREAD),
        ("a length below nothing", "Content-Length: -5", UNREAD),
        ("a length in hex", "Content-Length: 0x5", UNREAD),
        ("a length with a fraction", "Content-Length: 5.0", UNREAD),
        ("a length without bounds", "Content-Length: 99999999999999999999", UNREAD),
        ("a length of other digits", "Content-Length: \u{665}", UNREAD),
        ("chunks and then none", "Transfer-Encoding: chunked, identity", UNREAD),
        ("chunks by another name", "Transfer-Encoding: xchunked", UNREAD),
        ("chunks behind a tab", "Transfer-Encoding: \x0bchunked", UNREAD),
        ("chunks on two lines", "Transfer-Encoding:\r\n chunked", UNREAD),
        ("no coding at all", "Transfer-Encoding: identity", UNREAD),
    ]
    .map(|(name, fields, wanted)| {
        let head = format!("POST /key HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
        Row::bytes(name, format!("{head}0\r\n\r\nGET /open HTTP/1.1\r\nHost: a\r\n\r\n"), wanted)
    })
    .into()
}

fn other_versions() -> Vec<Row> {
    let closing = MISSING.closing();
    [
        ("HTTP/1.0", "GET /key HTTP/1.0\r\nHost: a\r\n\r\n", closing),
        ("HTTP/1.0 without a host", "GET /key HTTP/1.0\r\n\r\n", BAD_REQUEST.closing()),
        (
            "HTTP/1.0 in chunks",
            "POST /key HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            UNREAD,
        ),
        ("HTTP/1.2", "GET /key HTTP/1.2\r\nHost: a\r\n\r\n", UNREAD),
        ("HTTP/2 by its preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", UNREAD),
        ("HTTP/9.9", "GET /key HTTP/9.9\r\nHost: a\r\n\r\n", UNREAD),
        ("no HTTP", "GET /key FTP/1.1\r\nHost: a\r\n\r\n", UNREAD),
        ("no version", "GET /key\r\nHost: a\r\n\r\n", UNREAD),
        ("TLS on the plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", UNREAD),
        (
            "an upgrade to HTTP/2",
            "GET /key HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
            MISSING,
        ),
        (
            "an upgrade to a socket",
            "GET /key HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            MISSING,
        ),
        (
            "a body that is asked for first",
            "POST /key HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
            closing,
        ),
    ]
    .map(|(name, bytes, wanted)| Row::bytes(name, bytes, wanted))
    .into()
}

/// Each with a good key behind the break.
fn broken_fields() -> Vec<Row> {
    let breaks: [(&str, &[u8], Wanted); 12] = [
        ("a field on two lines", b"X-A: 1\r\n folded", UNREAD),
        ("a field on two lines by a tab", b"X-A: 1\r\n\tfolded", UNREAD),
        ("a field without a colon", b"X-A", UNREAD),
        ("a field without a name", b": 1", UNREAD),
        ("a name with a blank behind", b"X-A : 1", UNREAD),
        ("a name with a blank", b"X A: 1", UNREAD),
        ("a name with a NUL", b"X-\0A: 1", UNREAD),
        ("a name of another script", "X-\u{430}: 1".as_bytes(), UNREAD),
        ("a name in brackets", b"X-[A]: 1", UNREAD),
        ("a value with a NUL", b"X-A: \0", UNREAD),
        ("a value with a lone carriage return", b"X-A: 1\rX-B: 2", UNREAD),
        ("a value with a bell", b"X-A: \x07", UNREAD),
    ];
    let mut rows: Vec<Row> = breaks
        .map(|(name, field, wanted)| {
            let head = b"GET /key HTTP/1.1\r\nHost: a\r\n";
            let key = format!("\r\nX-API-Key: {GOOD_KEY}\r\n\r\n");
            Row::bytes(name, [head, field, key.as_bytes()].concat(), wanted)
        })
        .into();
    rows.push(Row::bytes(
        "a key behind an empty line",
        format!(
            "GET /key HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nX-API-Key: {GOOD_KEY}\r\n\r\n"
        ),
        MISSING.closing(),
    ));
    rows.push(Row::bytes(
        "lines without carriage returns",
        "GET /key HTTP/1.1\nHost: a\n\n",
        MISSING,
    ));
    rows
}

fn too_much() -> Vec<Row> {
    let numbered = |count: usize| {
        Request::get("/open").headers((0..count).map(|number| (format!("X-{number}"), "1")))
    };
    let long = "x".repeat(17 * 1024);
    let wide = (0..90).map(|number| (format!("X-{number}"), "x".repeat(200)));
    let many: String = (0..300).map(|number| format!("X-{number}: 1\r\n")).collect();
    let large = |name: &str, request: Request| {
        Row::request(name, request, HEAD_TOO_LARGE).unread_over_http2()
    };
    vec![
        Row::request("more fields than are taken", numbered(101), HEAD_TOO_LARGE),
        large("a field longer than a head", Request::get("/open").header("X-Long", &long)),
        large("a name longer than a head", Request::get("/open").header(&long, "1")),
        large("fields longer than a head", Request::get("/open").headers(wide)),
        large("a query longer than a head", Request::get(&format!("/open?q={long}"))),
        large("a path longer than a head", Request::get(&format!("/open/{long}"))),
        large("a query of many parts", Request::get(&format!("/open?{}", "a&".repeat(10_000)))),
        large("a method longer than a head", Request::new(&"X".repeat(17 * 1024), "/open")),
        large("a cookie longer than a head", Request::get("/open").header("Cookie", &long)),
        Row::bytes(
            "more fields than Pingora takes",
            format!("GET /open HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            UNREAD,
        ),
    ]
}
