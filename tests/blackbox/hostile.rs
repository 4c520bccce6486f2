//! Is everything refused that a stranger can make up, and does nothing leak on the way?
//!
//! Four tables of hostile requests. Each row names a request and its exact refusal; it is sent over
//! HTTP/1.1, on one connection for all rows as long as the contract keeps it, and over HTTP/2 where
//! that can carry it. Nothing may reach the service. Afterwards the gateway is stopped, and all that
//! it wrote to clients and to its log is searched for what it must not tell: its secrets, what was
//! sent in confidence, and the signatures that would have been right.

mod bench;
mod heads;
mod keys;
mod row;
mod signatures;
mod tokens;

use std::collections::BTreeSet;

use harness::{HmacClient, Request};

use self::bench::Bench;
use self::row::Row;
use crate::fixtures::{api_key, nextcloud, serve, token};

/// A key that holds, and two that do not any more.
const GOOD_KEY: &str = "wk_live_Jq3v0mYt6c1Qw8Zr5uXb2NsKdE7hLgPf9aVtRiCoWxM";
const REVOKED_KEY: &str = "wk_live_revoked4Zr5uXb2NsKdE7hLgPf9aVtRiCoWxMJq3v0m";
const EXPIRED_KEY: &str = "wk_live_expired1Qw8Zr5uXb2NsKdE7hLgPf9aVtRiCoWxMJq3";

/// The most failures a minute that the default configuration takes from one address.
const FAILURES_MAX: usize = 60;

/// The signing client beside `nextcloud`.
fn neighbour() -> HmacClient {
    HmacClient::new("neighbour", "what the tests and the neighbour share")
}

async fn check(table: fn() -> Vec<Row>) {
    let mut bench = Bench::start().await;
    bench.send_over_http1(table()).await;
    bench.send_over_http2(table()).await;
    bench.report().await;
}

#[tokio::test]
async fn hostile_tokens_are_refused_and_leave_no_trace() {
    check(tokens::table).await;
}

#[tokio::test]
async fn hostile_keys_are_refused_and_leave_no_trace() {
    check(keys::table).await;
}

#[tokio::test]
async fn hostile_signatures_are_refused_and_leave_no_trace() {
    check(signatures::table).await;
}

#[tokio::test]
async fn hostile_heads_are_refused_and_leave_no_trace() {
    check(heads::table).await;
}

#[test]
fn hostile_tables_are_long_and_name_each_row_once() {
    let tables = [tokens::table(), keys::table(), signatures::table(), heads::table()];
    let rows: usize = tables.iter().map(Vec::len).sum();
    assert!(rows >= 250, "{rows} rows");
    for table in tables {
        let mut names = BTreeSet::new();
        for row in table {
            assert!(names.insert(row.name.clone()), "{} is there twice", row.name);
        }
    }
}

#[tokio::test]
async fn flood_of_bad_credentials_is_cut_at_the_default_limit_and_good_ones_still_pass() {
    let sections = format!(
        "auth: {{jwt: [{{keys: ['env:JWT_SECRET']}}], api_keys: {{keys: [{}]}}, \
         hmac: {{clients: [{{id: nextcloud, secrets: ['env:HMAC_SECRET']}}]}}}}",
        api_key("script", GOOD_KEY, "")
    );
    let route = "{name: any, path_prefix: /, pool: service, \
                 auth: {any: [jwt, api_key, hmac], anonymous: true}}";
    let (origin, gw) = serve(&sections, &[route]).await;
    let stranger = HmacClient::new("nextcloud", "another secret");
    // The address that a client claims to come from is not believed, so it brings no new budget.
    let bad = |number: usize| {
        let request = Request::get("/").header("X-Forwarded-For", &format!("203.0.113.{number}"));
        match number % 3 {
            0 => request.api_key(&format!("wk_live_{number}")),
            1 => request.bearer(&format!("no.such.token{number}")),
            _ => request.signed_by(&stranger),
        }
    };
    let mut connection = gw.connect().await;
    for number in 0..FAILURES_MAX {
        let reply = connection.send(bad(number)).await;
        assert!(matches!(reply.status, 401 | 403), "{number}: {}", reply.status);
    }
    for number in FAILURES_MAX..FAILURES_MAX + 20 {
        let reply = connection.send(bad(number)).await.expect_status(429);
        let wait: u64 = reply.header("Retry-After").expect("a wait").parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        reply
            .expect_json("/errors/code", "failures_limited")
            .expect_json("/errors/wait", wait)
            .expect_header("RateLimit-Policy", "\"failures\";q=60;w=60");
    }
    assert_eq!(origin.calls_total(), 0);
    let good = [
        Request::get("/").api_key(GOOD_KEY),
        Request::get("/").bearer(&token("7")),
        Request::get("/").signed_by(&nextcloud()),
        Request::get("/"),
    ];
    for request in good {
        connection.send(request).await.expect_status(200);
    }
    let limited = gw.metric("farmgate_failures_limited_total", &[]).await;
    assert_eq!((origin.calls_total(), limited), (4, Some(20.0)));
}
