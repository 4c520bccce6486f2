//! What is wrong with a configuration whose every value is well formed: each fault alone gives one
//! message, at its place; and what only warns keeps nothing from serving.

use harness::{Finished, launch};

use crate::fixtures::{OPEN, api_key, conf, gateway, nextcloud, wait_for_metric};

const EXIT_CONFIG: i32 = 78;

/// Routes that use one kind of credential each.
const JWT: &str = "{name: jwt, path_prefix: /jwt, pool: service, auth: {any: [jwt]}}";
const KEY: &str = "{name: key, path_prefix: /key, pool: service, auth: {any: [api_key]}}";
const HMAC: &str = "{name: hmac, path_prefix: /hmac, pool: service, auth: {any: [hmac]}}";

/// One fault: sections, routes, and words of its message. A `^` stands before the place that the
/// message names.
type Case = (String, &'static [&'static str], &'static str);

fn case(sections: &str, routes: &'static [&'static str], words: &'static str) -> Case {
    (sections.to_owned(), routes, words)
}

/// One fault in `auth.jwt`, given as its list.
fn issuers(list: &str, words: &'static str) -> Case {
    case(&format!("auth: {{jwt: {list}}}"), &[JWT], words)
}

/// One fault in a route that lets nobody but holders of tokens in.
fn route(route: &'static [&'static str], words: &'static str) -> Case {
    case("auth: {jwt: [{keys: ['env:JWT_SECRET']}]}", route, words)
}

/// Checks each of the configurations, all at once.
async fn check_all(cases: Vec<Case>) {
    let marked: Vec<String> =
        cases.iter().map(|(sections, routes, _)| conf(sections, routes)).collect();
    let run = |number: usize| {
        let launcher = gateway()
            .env("PUBLIC", include_str!("../data/keys/p256_public.pem"))
            .env("SHORT", "hunter2")
            .env("URL", "postgres://a:hunter2@127.0.0.1/b")
            .env("DATABASE_URL", "mysql://a:b@127.0.0.1/c")
            .with(marked[number].replace('^', ""))
            .pool("service", "peers: [{address: 127.0.0.1:9}]\n");
        async move { launcher.finish("check").await }
    };
    let ended = launch(cases.len(), run).await.unwrap();
    let wrong: Vec<String> = ended
        .iter()
        .zip(&marked)
        .zip(&cases)
        .filter(|((finished, marked), (_, _, words))| !is_told(finished, marked, words))
        .map(|((finished, marked), (_, _, words))| {
            format!("{marked}\nnot {words:?} alone, but\n{}", finished.stderr.join("\n"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Whether this fault is told, at its place, and no other.
fn is_told(finished: &Finished, marked: &str, words: &str) -> bool {
    let before = marked.split_once('^').expect("a marked place").0;
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    let [fault, count] = &finished.stderr[..] else { return false };
    finished.status.code() == Some(EXIT_CONFIG)
        && fault.contains(&format!("conf/gateway.yaml:{line}:{column}: "))
        && fault.contains(words)
        && count.starts_with("1 fault(s)")
        && !finished.stderr.join("").contains("hunter2")
}

#[tokio::test]
async fn faults_of_issuers_are_told_one_by_one() {
    check_all(vec![
        issuers("[^{issuer: a}]", "add `keys`, or its `jwks`"),
        issuers(
            "[{algorithms: [RS256], keys: ['env:PUBLIC'], jwks: ^{url: 'https://a/'}}]",
            "either `keys` or `jwks`, not both",
        ),
        issuers("[{algorithms: [ES384], keys: [^'env:PUBLIC']}]", "no key is for ES384"),
        issuers("[{algorithms: [EdDSA], keys: [^'env:SHORT']}]", "neither PEM nor JSON"),
        issuers("[{keys: [^'env:PUBLIC']}]", "the secret is a key in PEM"),
        issuers("[^{keys: ['env:SHORT']}]", "use at least 32"),
        issuers("[^{algorithms: [HS512], keys: ['env:JWT_SECRET']}]", "use at least 64"),
        issuers("[{algorithms: ^[], keys: ['env:JWT_SECRET']}]", "list the algorithms"),
        issuers("[^{algorithms: [HS256, ES256], keys: ['env:JWT_SECRET']}]", "mixes HS*"),
        issuers("[^{jwks: {url: 'https://a/'}}]", "a shared secret cannot be published"),
        issuers(
            "[{algorithms: [RS256], jwks: ^{url: 'http://a.example/'}}]",
            "is not encrypted; use https",
        ),
        issuers(
            "[{algorithms: [RS256], jwks: ^{url: 'https://a/', refresh: 100ms}}]",
            "refresh of the key set is out of bounds",
        ),
        issuers(
            "[{algorithms: [RS256], jwks: {url: 'https://a/', ca_file: ^nowhere.pem}}]",
            "nowhere.pem",
        ),
        issuers(
            "^[{issuer: a, keys: ['env:JWT_SECRET']}, {keys: ['env:JWT_SECRET']}]",
            "each needs its \"issuer\"",
        ),
        issuers(
            "^[{issuer: a, keys: ['env:JWT_SECRET']}, {issuer: a, keys: ['env:JWT_SECRET']}]",
            "\"a\"",
        ),
        issuers("[^{keys: ['env:JWT_SECRET'], leeway: 11m}]", "use at most 600"),
    ])
    .await;
}

#[tokio::test]
async fn faults_of_cache_policies_are_told_one_by_one() {
    let policy = |members: &str| format!("cache: {{policies: {{kept: {{{members}}}}}}}");
    const ROUTE: [&str; 1] =
        ["{name: kept, path_prefix: /, pool: service, auth: {anonymous: true}, cache: kept}"];
    check_all(vec![
        case(&policy("fresh: ^1"), &ROUTE, "or `upstream` to follow what each answer says"),
        case(&policy("fresh: ^never"), &ROUTE, "or `upstream` to follow what each answer says"),
        case(&policy("fresh: 1h, unsaid: ^1m"), &ROUTE, "counts only with `fresh: upstream`"),
        case(
            &policy("fresh: 1h, heuristic_max: ^1d"),
            &ROUTE,
            "counts only with `fresh: upstream`",
        ),
        case(&policy("fresh: upstream, unsaid: ^0s"), &ROUTE, "is no time at all"),
        case(
            &policy("fresh: 1h, query: {round: {lat: ^0}}"),
            &ROUTE,
            "a decimal number above zero",
        ),
        case(
            &policy("fresh: 1h, compress: [br, gzip, ^br]"),
            &ROUTE,
            "the coding stands before it already",
        ),
        case(
            &policy("fresh: 1h, query: {keep: [a], drop: ^[b]}"),
            &ROUTE,
            "what is not in `keep` is dropped already",
        ),
        case(
            &policy("fresh: 1h, query: {keep: [a], round: {lat: ^0.1}}"),
            &ROUTE,
            "the parameter is dropped",
        ),
        case(
            &policy("fresh: 1h, query: {drop: [a], defaults: {a: ^'1'}}"),
            &ROUTE,
            "the parameter is dropped",
        ),
        case(
            &policy("fresh: 1h, query: {defaults: {a: ^'b c'}}"),
            &ROUTE,
            "as they stand in a query",
        ),
    ])
    .await;
}

#[tokio::test]
async fn faults_of_what_the_gateway_signs_are_told_one_by_one() {
    let jwt = "jwt: [{issuer: farm, keys: ['env:JWT_SECRET']}]";
    let far = "jwt: [{issuer: far, algorithms: [ES256], keys: ['env:PUBLIC']}]";
    let auth = |jwt: &str, more: &str| format!("auth: {{{jwt}, {more}}}");
    let token = "{name: token, paths: [/token/], endpoint: ^token}";
    let keys = format!("api_keys: {{keys: [{}]}}", api_key("a", "key", ""));
    let signed = "hmac: {clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET']}]}";
    let issuing = format!("{jwt}, {keys}, {signed}");
    check_all(vec![
        case(&auth(jwt, "token: {issuer: ^fram}"), &[JWT], "no issuer of `auth.jwt` has this name"),
        case(&auth(far, "token: {issuer: ^far}"), &[JWT], "name an issuer with HS256"),
        case(&auth(jwt, "token: {issuer: farm, lifetime: ^250ms}"), &[JWT], "write 1s or more"),
        (
            format!("auth: {{{issuing}}}"),
            Box::leak(Box::new([token, JWT])),
            "`auth.token` does not",
        ),
        case(
            &auth(jwt, "internal: {secret: ^'env:JWT_SECRET', issuer: a, audience: b}"),
            &[JWT],
            "add `token_type: access` to that issuer",
        ),
        case(
            &auth(jwt, "internal: {secret: ^'env:SHORT', issuer: a, audience: b}"),
            &[JWT],
            "use at least 32",
        ),
        case(
            &auth(
                jwt,
                "internal: {secret: 'env:HMAC_SECRET', issuer: a, audience: b, \
                        lifetime: ^999ms}",
            ),
            &[JWT],
            "write 1s or more",
        ),
        route(
            &["{name: r, path_prefix: /, pool: service, auth: {any: [jwt]}, \
               credentials: ^internal}"],
            "`auth.internal` does not say which",
        ),
    ])
    .await;
}

#[tokio::test]
async fn faults_of_keys_and_signatures_are_told_one_by_one() {
    let one = api_key("a", "key", "");
    let keys = |keys: &str| format!("auth: {{api_keys: {keys}}}");
    let mysql = |more: &str| {
        keys(&format!("{{mysql: {{url: 'env:DATABASE_URL', pepper: 'env:SHORT', {more}}}}}"))
    };
    let hmac = |more: &str| format!("auth: {{hmac: ^{{{more}}}}}");
    let client = "clients: [{id: nextcloud, secrets: ['env:HMAC_SECRET']}]";
    check_all(vec![
        (keys(&format!("{{keys: ^[{one}, {one}]}}")), &[KEY], "used twice"),
        (
            format!("state: {{}}\n{}", keys("{store: ^true}")),
            &[KEY],
            "the key store needs a folder",
        ),
        (mysql("remember: ^5m"), &[KEY], "write 301s or more"),
        (mysql("hash_threads: ^0"), &[KEY], "from 1 to 64"),
        (mysql("hash_queue_max: ^0"), &[KEY], "from 1 to 10000"),
        (mysql("connections_max: ^0"), &[KEY], "from 1 to 1000"),
        (
            keys("{mysql: {url: ^'env:URL', pepper: 'env:SHORT'}}"),
            &[KEY],
            "does not begin with mysql://",
        ),
        (
            keys("{mysql: {url: 'env:DATABASE_URL', pepper: ^'env:NOTHING'}}"),
            &[KEY],
            "NOTHING is not set",
        ),
        (hmac("clients: []"), &[HMAC], "nobody can sign"),
        (format!("state: {{}}\n{}", hmac(client)), &[HMAC], "say where nonces are kept"),
        (hmac(&format!("{client}, skew: 2h")), &[HMAC], "use at most 3600"),
        ("auth: {hmac: {clients_json: ^'env:SHORT'}}".to_owned(), &[HMAC], "JSON"),
        (
            hmac(
                "clients: [{id: a, secrets: [{secret: 'env:HMAC_SECRET', \
                  from: 2026-02-01T00:00:00Z, until: 2026-01-01T00:00:00Z}]}]",
            ),
            &[HMAC],
            "swap its two times",
        ),
    ])
    .await;
}

#[tokio::test]
async fn faults_of_limits_and_endpoints_are_told_one_by_one() {
    check_all(vec![
        case(
            "limits: {quotas: {failures: ^1/s}}",
            &["{name: r, path_prefix: /, pool: service, auth: {anonymous: true}, \
               quotas: [failures]}"],
            "taken by `limits.failures`",
        ),
        case("limits: {failures: ^1000000/day}", &[OPEN], "at most 10000 requests"),
        case(
            "limits: {quotas: {few: 1/s}}",
            &["{name: r, path_prefix: /, pool: service, auth: {anonymous: true}, \
               quotas: [few, ^fwe]}"],
            "did you mean \"few\"?",
        ),
        case("", &["{name: h, paths: [/h/], endpoint: health, pool: ^service}", OPEN], "itself"),
        case("", &["{name: h, endpoint: health, path_prefix: ^/h/}", OPEN], "exact `paths`"),
        case("", &["{name: h, paths: [/h/], endpoint: health, auth: ^{}}", OPEN], "by itself"),
        case(
            "",
            &["{name: h, paths: [/h/], endpoint: health, envelope: ^true}", OPEN],
            "by itself",
        ),
        case("", &["{name: h, paths: [/h/], endpoint: health, login: ^true}", OPEN], "by itself"),
        case(
            "",
            &["{name: h, paths: [/h/], endpoint: health, methods: ^[GET]}", OPEN],
            "by itself",
        ),
        case("", &["{name: h, paths: [/h/], endpoint: ^key_ping}", OPEN], "`auth.api_keys` is not"),
        case("", &["{name: h, paths: [/h/], endpoint: ^signed_ping}", OPEN], "`auth.hmac` is not"),
        case("", &["{name: h, paths: [/h/], endpoint: ^whoami}", OPEN], "`auth.jwt` is not"),
    ])
    .await;
}

#[tokio::test]
async fn faults_of_routes_are_told_one_by_one() {
    check_all(vec![
        case("", &["^{name: r, path_prefix: /, pool: service}"], "say who may call"),
        case("", &["^{name: r, path_prefix: /r, auth: {anonymous: true}}", OPEN], "add `pool"),
        case(
            "",
            &["^{name: r, pool: service, auth: {anonymous: true}}", OPEN],
            "add `path_prefix`",
        ),
        case(
            "",
            &["{name: r, path_prefix: ^/a, paths: [/b], pool: service, auth: {anonymous: true}}"],
            "either `path_prefix` or `paths`",
        ),
        route(
            &["{name: r, path_prefix: /, pool: service, auth: {any: [jwt], scopes: [^{any: []}]}}"],
            "name at least one scope",
        ),
        route(
            &["{name: r, path_prefix: /, pool: service, auth: {any: [jwt], scopes: [^'']}}"],
            "name at least one scope",
        ),
        route(
            &["{name: r, path_prefix: /, pool: service, \
               auth: ^{any: [jwt], anonymous: true, integration: true}}"],
            "write `any: [jwt]` and nothing else",
        ),
        case(
            "",
            &["{name: r, path_prefix: /, pool: service, \
               auth: ^{anonymous: true, integration: true}}"],
            "write `any: [jwt]` and nothing else",
        ),
        route(
            &["{name: r, path_prefix: /, pool: service, auth: ^{any: [jwt], all: [jwt]}}", JWT],
            "either `any` or `all`",
        ),
        case("auth: {jwt: ^[{keys: ['env:JWT_SECRET']}]}", &[OPEN], "no route accepts `jwt`"),
        case("auth: {api_keys: ^{store: true}}", &[OPEN], "no route accepts `api_key`"),
        case(
            "",
            &[
                "{name: r, paths: [/a, /b], pool: service, auth: {anonymous: true}}",
                "^{name: s, paths: [/b, /c], pool: service, auth: {anonymous: true}}",
            ],
            "\"r\" already takes",
        ),
    ])
    .await;
}

/// One bad secret, one client that can sign, and a variable that is read no more.
#[tokio::test]
async fn what_only_warns_is_shown_and_keeps_nothing_from_serving() {
    let bad = "{id: other, secrets: ['env:JWT_SECRET', 'env:NOTHING']}";
    let good = "{id: nextcloud, secrets: ['env:HMAC_SECRET']}";
    let sections = format!("auth: {{hmac: {{clients: [{bad}, {good}]}}}}");
    let launcher = gateway()
        .env("NEXTCLOUD_HMAC_CLIENTS_JSON", "{}")
        .with(conf(&sections, &[HMAC, OPEN]))
        .pool("service", "peers: [{address: 127.0.0.1:9}]\n");
    let checked = launcher.finish("check").await.expect_code(0);
    assert!(checked.stdout[0].ends_with("good, 2 route(s)"));
    // Each with the column of its place in the third line.
    let warnings = [
        (14, "NEXTCLOUD_HMAC_CLIENTS_JSON is not read any more"),
        (47, "the secret is not standard base64"),
        (65, "NOTHING is not set"),
    ];
    let is_told = |lines: &[String], form: &str| {
        assert_eq!(lines.len(), warnings.len(), "{lines:#?}");
        for (line, (column, words)) in lines.iter().zip(warnings) {
            let place = format!("conf/gateway.yaml:3:{column}: ");
            let is_so = line.starts_with(form) && line.contains(&place) && line.contains(words);
            assert!(is_so, "{line}\nis no warning at {column} of {words:?}");
        }
    };
    is_told(&checked.stderr, "warning: ");

    let origin = harness::Origin::start().await;
    origin.otherwise(harness::Answer::json("1"));
    let gw = launcher.pool("service", origin.address()).start().await;
    gw.get("/open").send().await.expect_status(200);
    gw.get("/hmac").signed_by(&nextcloud()).send().await.expect_status(200);
    let other = harness::HmacClient::new("other", crate::fixtures::JWT_SECRET);
    let refused = gw.get("/hmac").signed_by(&other).send().await.expect_status(403);
    refused.expect_json("/errors/reason", "bad_base64");
    let shown = async || {
        let shown = gw.admin_get("/config").send().await.expect_status(200).json();
        assert_eq!(shown["success"], true);
        serde_json::from_value::<Vec<String>>(shown["warnings"].clone()).unwrap()
    };
    is_told(&shown().await, "/");
    gw.wait_for_logs(warnings.len(), |line| line.contains("configuration warning")).await;
    gw.rewrite_conf(&conf(&sections.replace(&format!("{bad}, "), ""), &[HMAC, OPEN]));
    gw.reload().await;
    wait_for_metric(&gw, "farmgate_config_generation", &[], |number| number >= 2.0).await;
    assert_eq!(shown().await.len(), 1);
}
