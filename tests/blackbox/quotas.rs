//! Whose requests a quota counts, and which of them; and how many bad credentials one address may
//! send.

use harness::{Answer, Gateway, Origin, Reply, Request};
use serde_json::json;

use crate::fixtures::{api_key, nextcloud, serve, token};

const AUTH: &str = "auth:\n  \
      jwt: [{keys: ['env:JWT_SECRET']}]\n  \
      hmac: {clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET']}]}\n";

async fn limited(limits: &str, route: &str) -> (Origin, Gateway) {
    let keys = [api_key("a", "key-a", ""), api_key("b", "key-b", "")].join(", ");
    let trust = "downstream: {trusted_proxies: [127.0.0.1]}";
    let cache = "cache: {policies: {kept: {fresh: 1h, share: everyone}}}";
    let sections = format!("{AUTH}  api_keys: {{keys: [{keys}]}}\n{trust}\n{cache}\n{limits}");
    let all = "auth: {any: [jwt, api_key, hmac], anonymous: true}";
    let routes = [
        format!("{{name: one, path_prefix: /, pool: service, {all}, {route}}}"),
        format!("{{name: kept, path_prefix: /kept, pool: service, cache: kept, {all}}}"),
    ];
    serve(&sections, &[&routes[0], &routes[1]]).await
}

type Ask = Request<std::net::SocketAddr>;

async fn status(request: Ask) -> u16 {
    request.send().await.status
}

fn from(request: Ask, address: &str) -> Ask {
    request.header("X-Forwarded-For", address)
}

#[tokio::test]
async fn each_quota_counts_the_callers_that_it_is_of() {
    let limits = "limits: {quotas: {anon: {rate: 1/min, of: anonymous}, \
                  user: {rate: 2/min, of: jwt}, api_key: {rate: 3/min, of: api_key}, \
                  signed: {rate: 4/min, of: hmac}}}";
    let (_origin, gw) = limited(limits, "quotas: [anon, user, api_key, signed]").await;
    let kinds: [(usize, &dyn Fn() -> Ask); 4] = [
        (1, &|| gw.get("/")),
        (2, &|| gw.get("/").bearer(&token("7"))),
        (3, &|| gw.get("/").api_key("key-a")),
        (4, &|| gw.get("/").signed_by(&nextcloud())),
    ];
    for (allowed, ask) in kinds {
        for _ in 0..allowed {
            assert_eq!(status(ask()).await, 200, "one of {allowed}");
        }
        assert_eq!(status(ask()).await, 429, "after {allowed}");
    }
    assert_eq!(status(gw.get("/").api_key("key-b")).await, 200);
}

#[tokio::test]
async fn quota_of_an_address_counts_whoever_comes_from_it() {
    let limits = "limits: {quotas: {few: {rate: 2/min, of: address}}}";
    let (_origin, gw) = limited(limits, "quotas: [few]").await;
    assert_eq!(status(from(gw.get("/").api_key("key-a"), "203.0.113.1")).await, 200);
    assert_eq!(status(from(gw.get("/").api_key("key-b"), "203.0.113.1")).await, 200);
    assert_eq!(status(from(gw.get("/"), "203.0.113.1")).await, 429);
    assert_eq!(status(from(gw.get("/"), "203.0.113.2")).await, 200);
}

#[tokio::test]
async fn quota_for_a_method_leaves_the_others_alone() {
    let limits = "limits: {quotas: {writes: {rate: 1/min, methods: [POST]}}}";
    let (_origin, gw) = limited(limits, "quotas: [writes]").await;
    let first = gw.post("/").send().await.expect_status(200);
    assert_eq!(first.header("RateLimit-Policy"), Some("\"writes\";q=1;w=60"));
    gw.post("/").send().await.expect_status(429);
    for _ in 0..3 {
        gw.get("/").send().await.expect_status(200).expect_no_header("RateLimit");
    }
}

#[tokio::test]
async fn hits_and_misses_have_budgets_of_their_own() {
    let limits = "limits: {quotas: {fills: {rate: 2/min, counts: misses}, \
                  reads: {rate: 4/min, counts: hits}}}";
    let cached = "cache: kept, quotas: [fills, reads]";
    let (origin, gw) = limited(limits, cached).await;
    gw.get("/a").send().await.expect_status(200);
    gw.get("/b").send().await.expect_status(200);
    // What has to be fetched is over; what is at hand is not.
    let third = gw.get("/c").send().await.expect_status(429);
    assert_eq!(third.header("RateLimit-Policy"), Some("\"fills\";q=2;w=60"));
    for _ in 0..4 {
        gw.get("/a").send().await.expect_status(200);
    }
    let hit = gw.get("/a").send().await.expect_status(429);
    assert_eq!(hit.header("RateLimit-Policy"), Some("\"reads\";q=4;w=60"));
    assert_eq!(origin.calls_total(), 2);
}

#[tokio::test]
async fn refusal_by_one_quota_charges_no_other() {
    let limits = "limits: {quotas: {wide: 3/min, narrow: {rate: 1/min, methods: [POST]}}}";
    let (_origin, gw) = limited(limits, "quotas: [wide, narrow]").await;
    let first = gw.post("/").send().await.expect_status(200);
    let both = first.headers.all("RateLimit-Policy");
    assert_eq!(both, ["\"wide\";q=3;w=60", "\"narrow\";q=1;w=60"]);
    for _ in 0..5 {
        gw.post("/").send().await.expect_status(429);
    }
    gw.get("/").send().await.expect_status(200);
    gw.get("/").send().await.expect_status(200);
    gw.get("/").send().await.expect_status(429);
}

#[tokio::test]
async fn address_that_tries_credentials_is_stopped_and_its_neighbours_are_not() {
    let (origin, gw) = limited("limits: {failures: 3/min}", "").await;
    let attacker = |request: Ask| from(request, "203.0.113.9");
    let tries: [&dyn Fn() -> Ask; 3] =
        [&|| gw.get("/").api_key("wrong"), &|| gw.get("/").bearer("no.such.token"), &|| {
            gw.get("/").signed_by(&harness::HmacClient::new("nextcloud", "another secret"))
        }];
    for ask in tries {
        let status = status(attacker(ask())).await;
        assert!(status == 401 || status == 403, "{status}");
    }
    for ask in tries {
        let refused = attacker(ask()).send().await.expect_status(429);
        refused
            .expect_json("/errors/code", "failures_limited")
            .expect_header("RateLimit-Policy", "\"failures\";q=3;w=60");
    }
    // Whose credential holds is let in from the same address, and so is whoever has none.
    assert_eq!(status(attacker(gw.get("/").api_key("key-a"))).await, 200);
    assert_eq!(status(attacker(gw.get("/"))).await, 200);
    assert_eq!(status(from(gw.get("/").api_key("wrong"), "203.0.113.10")).await, 401);
    assert_eq!(origin.calls_total(), 2);
    assert_eq!(gw.metric("farmgate_failures_limited_total", &[]).await, Some(3.0));
}

#[tokio::test]
async fn honest_mistakes_do_not_count_as_failures() {
    let (_origin, gw) = limited("limits: {failures: 1/min}", "").await;
    let past = crate::fixtures::claims(json!({ "exp": harness::unix_now() - 5 }));
    let expired = harness::jwt(crate::fixtures::JWT_SECRET, &past);
    let client = nextcloud();
    for n in 0..3 {
        let late = gw.get("/").signed_at(&client, harness::unix_now() - 4_000, &format!("n{n}"));
        late.send().await.expect_status(403).expect_json("/errors/reason", "skew");
        gw.get("/").bearer(&expired).send().await.expect_status(401);
    }
    gw.get("/").api_key("wrong").send().await.expect_status(401);
    gw.get("/").api_key("wrong").send().await.expect_status(429);
}

#[tokio::test]
async fn failed_logins_at_the_upstream_are_limited_by_address() {
    for more in ["login: true", "login: true, envelope: true"] {
        let (origin, gw) = limited("limits: {failures: 2/min}", more).await;
        let login = |address: &str| from(gw.post("/login").body("{}"), address);
        origin.on("/login", Answer::status(401).body("{}"));
        assert_eq!(status(login("203.0.113.1")).await, 401);
        assert_eq!(status(login("203.0.113.1")).await, 401);
        let third = login("203.0.113.1").send().await;
        assert_eq!(third.status, 429);
        assert_eq!(origin.calls("/login"), 2, "a login that is limited reaches nobody");
        // Logins that succeed are not counted.
        origin.on("/login", Answer::json("{}"));
        for _ in 0..5 {
            assert_eq!(status(login("203.0.113.2")).await, 200);
        }
    }
}

#[tokio::test]
async fn scopes_are_asked_for_by_method() {
    let auth = "auth: {any: [jwt], scopes: [{any: [read, write], methods: [GET]}, \
                {any: [write, admin], methods: [POST, DELETE]}]}";
    let sections = "auth: {jwt: [{keys: ['env:JWT_SECRET']}]}";
    let route = format!("{{name: one, path_prefix: /, pool: service, {auth}}}");
    let (_origin, gw) = serve(sections, &[&route]).await;
    let scoped = |scope: &str| {
        harness::jwt(
            crate::fixtures::JWT_SECRET,
            &crate::fixtures::claims(json!({ "scope": scope })),
        )
    };
    let ask = async |method: &str, scope: &str| -> Reply {
        gw.request(method, "/").bearer(&scoped(scope)).send().await
    };
    for (method, scope, wanted) in [
        ("GET", "read", 200),
        ("HEAD", "read", 200),
        ("GET", "write", 200),
        ("GET", "admin", 403),
        ("POST", "read", 403),
        ("POST", "read,write", 200),
        ("DELETE", "admin", 200),
        ("DELETE", "", 403),
        ("PUT", "", 200),
    ] {
        assert_eq!(ask(method, scope).await.status, wanted, "{method} with {scope:?}");
    }
    let refused = ask("POST", "read").await;
    refused.expect_json("/message", "This call needs one of the scopes \"write\", \"admin\".");
}
