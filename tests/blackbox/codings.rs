//! In which codings does a stored answer leave, and is each of them the same answer?

use std::io::Read;

use harness::{Answer, Authority, Gateway, Https, Origin, Reply, Request};

use crate::fixtures::{KEPT, conf, gateway, kept, serve, time_passes, wait_for_metric};

/// The name in the gateway's certificate.
const NAME: &str = "farm.example";

const CODINGS: [&str; 3] = ["br", "zstd", "gzip"];

/// A JSON body that is worth compressing; each number makes another one.
fn body(number: usize) -> String {
    let hours: Vec<String> =
        (0..100).map(|hour| format!(r#"{{"hour":{hour},"rain_mm":{number}}}"#)).collect();
    format!("[{}]", hours.join(","))
}

fn decoded(coding: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    match coding {
        "br" => {
            brotli::Decompressor::new(bytes, 4096).read_to_string(&mut text).unwrap();
        }
        "zstd" => text = String::from_utf8(zstd::decode_all(bytes).unwrap()).unwrap(),
        "gzip" => {
            flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        }
        other => panic!("no coding is called {other}"),
    }
    text
}

fn asking(gw: &Gateway, path: &str, accept: &str) -> Request<std::net::SocketAddr> {
    gw.get(path).header("Accept-Encoding", accept)
}

/// Returns when so many codings of each kind were made since the start.
async fn until_made(gw: &Gateway, count: usize) {
    for coding in CODINGS {
        let labels = [("coding", coding)];
        wait_for_metric(gw, "farmgate_codings_total", &labels, |made| made == count as f64).await;
    }
}

/// A gateway that keeps answers for an hour, with the codings of `/a` made.
async fn with_codings() -> (Origin, Gateway) {
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT]).await;
    origin.json("/a", body(0));
    asking(&gw, "/a", "gzip, br, zstd").send().await.expect_no_header("content-encoding");
    until_made(&gw, 1).await;
    (origin, gw)
}

fn etag(reply: &Reply) -> String {
    reply.header("etag").expect("a tag").to_owned()
}

#[tokio::test]
async fn each_coding_is_the_whole_answer_with_a_tag_and_length_of_its_own() {
    let (origin, gw) = with_codings().await;
    let plain = gw.get("/a").send().await.expect_body(body(0));
    let plain = plain.expect_no_header("content-encoding").expect_header("vary", "Accept-Encoding");
    let mut tags = vec![etag(&plain)];
    for coding in CODINGS {
        let reply = asking(&gw, "/a", coding).send().await.expect_status(200);
        let reply = reply.expect_header("content-encoding", coding);
        let length = reply.body.len().to_string();
        let reply = reply.expect_header("content-length", &length);
        let reply = reply.expect_header("vary", "Accept-Encoding");
        let reply = reply.expect_header("content-type", "application/json");
        assert!(reply.body.len() * 10 <= plain.body.len() * 9);
        assert_eq!(decoded(coding, &reply.body), body(0));
        assert!(reply.header("cache-status").unwrap().starts_with("farmgate; hit"));
        tags.push(etag(&reply));
    }
    assert!(tags.iter().all(|tag| tag.starts_with('"')), "{tags:?}");
    tags.dedup();
    assert_eq!(tags.len(), 4, "{tags:?}");
    assert_eq!(origin.calls("/a"), 1, "one answer for all codings");
    let saved = gw.metric("farmgate_coding_saved_bytes_total", &[("coding", "br")]).await;
    assert!(saved.is_some_and(|saved| saved > 1_000.0), "{saved:?}");
}

#[tokio::test]
async fn client_gets_the_coding_that_it_likes_best_and_else_the_operators_first() {
    let (_origin, gw) = with_codings().await;
    for (accept, coding) in [
        ("gzip, deflate, br, zstd", Some("br")),
        ("gzip, zstd;q=0.9", Some("gzip")),
        ("br;q=0, *;q=0.1", Some("zstd")),
        ("gzip;q=0.5, identity", None),
        ("identity;q=0, gzip;q=0.1", Some("gzip")),
        ("deflate", None),
        ("gzip;q=nonsense", None),
    ] {
        let reply = asking(&gw, "/a", accept).send().await.expect_status(200);
        assert_eq!(reply.header("content-encoding"), coding, "{accept}");
        reply.expect_header("vary", "Accept-Encoding");
    }
    let reply = asking(&gw, "/a", "gzip").header("Cache-Control", "no-transform").send().await;
    reply.expect_no_header("content-encoding").expect_body(body(0));
}

#[tokio::test]
async fn conditions_ranges_and_heads_are_about_the_coded_bytes() {
    let (origin, gw) = with_codings().await;
    let whole = asking(&gw, "/a", "gzip").send().await;
    let tag = etag(&whole);
    let ask = || asking(&gw, "/a", "gzip");
    let reply = ask().header("If-None-Match", &tag).send().await.expect_status(304);
    reply.expect_header("etag", &tag).expect_header("vary", "Accept-Encoding").expect_body("");
    let part = ask().header("Range", "bytes=2-9").send().await.expect_status(206);
    let range = format!("bytes 2-9/{}", whole.body.len());
    let part = part.expect_header("content-range", &range).expect_header("etag", &tag);
    part.expect_header("content-encoding", "gzip").expect_body(&whole.body[2..10]);
    let part = ask().header("Range", "bytes=-4").header("If-Range", &tag).send().await;
    part.expect_status(206).expect_body(&whole.body[whole.body.len() - 4..]);
    let beyond = format!("bytes={}-", whole.body.len());
    let reply = ask().header("Range", &beyond).send().await.expect_status(416);
    reply.expect_header("content-range", &format!("bytes */{}", whole.body.len()));
    let head = gw.request("HEAD", "/a").header("Accept-Encoding", "gzip").send().await;
    for name in ["content-encoding", "content-length", "etag", "vary", "content-type"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
    head.expect_body("");
    assert_eq!(origin.calls("/a"), 1);
}

#[tokio::test]
async fn client_that_has_the_answer_in_another_form_is_not_sent_it_again() {
    let (_origin, gw) = with_codings().await;
    let plain = gw.get("/a").send().await;
    let zstd = asking(&gw, "/a", "zstd").send().await;
    for had in [&plain, &zstd] {
        let ask = || asking(&gw, "/a", "gzip, br, zstd");
        let reply = ask().header("If-None-Match", &etag(had)).send().await;
        reply.expect_status(304).expect_header("etag", &etag(had));
        let rest = ask().header("Range", "bytes=10-").header("If-Range", &etag(had)).send().await;
        rest.expect_status(206).expect_body(&had.body[10..]);
    }
    let only_gzip = asking(&gw, "/a", "gzip").header("If-None-Match", &etag(&zstd)).send().await;
    only_gzip.expect_status(200).expect_header("content-encoding", "gzip");
}

#[tokio::test]
async fn what_must_or_need_not_be_compressed_leaves_as_it_is() {
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT]).await;
    let text = || Answer::json(body(0));
    origin.on("/forbidden", text().header("Cache-Control", "max-age=60, no-transform"));
    origin.on("/coded", text().header("Content-Encoding", "x-own"));
    origin.on("/image", Answer::status(200).header("Content-Type", "image/png").body(body(0)));
    origin.on("/small", Answer::json("[1]"));
    origin.on("/missing", Answer::status(404).header("Content-Type", "text/plain").body(body(0)));
    origin.on("/random", Answer::json(random()));
    origin.json("/a", body(0));
    let paths = ["/forbidden", "/coded", "/image", "/small", "/missing", "/random"];
    for path in paths {
        asking(&gw, path, "gzip").send().await;
        // The hit asks for codings too.
        asking(&gw, path, "gzip").send().await;
    }
    // They are made one after the other: when the last are there, none of the others will come.
    asking(&gw, "/a", "gzip").send().await;
    until_made(&gw, 1).await;
    for path in paths {
        let reply = asking(&gw, path, "gzip, br, zstd").send().await;
        let coding = reply.header("content-encoding");
        assert_eq!(coding, (path == "/coded").then_some("x-own"), "{path}");
        let varies = ["/small", "/random"].contains(&path);
        assert_eq!(reply.header("vary"), varies.then_some("Accept-Encoding"), "{path}");
    }
    let tried = gw.metric("farmgate_coding_duration_seconds_count", &[("coding", "gzip")]).await;
    assert_eq!(tried, Some(2.0), "what saves nothing is tried once");
}

/// Text without anything to save in 90 %: as good as random bytes in all of ASCII and beyond.
fn random() -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    };
    std::iter::repeat_with(next).take(256).flatten().collect()
}

#[tokio::test]
async fn policy_says_which_codings_there_are_and_which_comes_first() {
    let policies = "cache: {policies: {off: {fresh: 1h, compress: []}, \
                    two: {fresh: 1h, compress: [gzip, zstd]}}}";
    let route = |name: &str| {
        format!(
            "{{name: {name}, path_prefix: /{name}, pool: service, auth: {{anonymous: true}}, \
             cache: {name}}}"
        )
    };
    let (origin, gw) = serve(policies, &[&route("off"), &route("two")]).await;
    origin.otherwise(Answer::json(body(0)));
    for path in ["/off", "/two"] {
        asking(&gw, path, "br").send().await.expect_status(200);
    }
    wait_for_metric(&gw, "farmgate_codings_total", &[("coding", "zstd")], |made| made == 1.0).await;
    let off = asking(&gw, "/off", "gzip, br, zstd").send().await.expect_body(body(0));
    off.expect_no_header("content-encoding").expect_no_header("vary");
    let two = asking(&gw, "/two", "br, zstd, gzip").send().await;
    two.expect_header("content-encoding", "gzip");
    assert_eq!(gw.metric("farmgate_codings_total", &[("coding", "br")]).await, Some(0.0));
}

#[tokio::test]
async fn one_who_waits_for_the_fetch_gets_the_answer_as_it_is() {
    let (origin, gw) = serve(&kept("fresh: 1h"), &[KEPT]).await;
    origin.on("/a", Answer::json(body(0)).hold());
    let waiting = harness::launch(2, |_| asking(&gw, "/a", "br").send());
    wait_for_metric(&gw, "farmgate_fill_waiters", &[], |waiters| waiters == 2.0).await;
    origin.wait_for_in_flight(1).await;
    origin.release("/a");
    for reply in waiting.await.unwrap() {
        let reply = reply.expect_no_header("content-encoding").expect_body(body(0));
        reply.expect_header("vary", "Accept-Encoding");
    }
}

#[tokio::test]
async fn refreshed_answer_gets_new_codings_and_a_confirmed_one_keeps_its_own() {
    let policy = "fresh: 200ms, stale_while_revalidate: 1h";
    let (origin, gw) = serve(&kept(policy), &[KEPT]).await;
    origin.on("/a", Answer::json(body(0)).header("ETag", "\"0\""));
    gw.get("/a").send().await.expect_body(body(0));
    until_made(&gw, 1).await;
    let fills = |result| [("route", "kept"), ("origin", "revalidation"), ("result", result)];
    let confirm = Answer::status(304).no_body().header("ETag", "\"0\"");
    origin.on("/a", confirm.header("Vary", "accept-encoding"));
    time_passes(std::time::Duration::from_millis(250)).await;
    asking(&gw, "/a", "br").send().await.expect_header("etag", "\"0-br\"");
    wait_for_metric(&gw, "farmgate_fills_total", &fills("stored"), |fills| fills == 1.0).await;
    let confirmed = asking(&gw, "/a", "br").send().await.expect_header("etag", "\"0-br\"");
    assert_eq!(decoded("br", &confirmed.body), body(0));
    until_made(&gw, 1).await;
    origin.on("/a", Answer::json(body(1)).header("ETag", "\"1\""));
    time_passes(std::time::Duration::from_millis(250)).await;
    asking(&gw, "/a", "br").send().await.expect_header("etag", "\"0-br\"");
    until_made(&gw, 2).await;
    let renewed = asking(&gw, "/a", "br").send().await.expect_header("etag", "\"1-br\"");
    assert_eq!(decoded("br", &renewed.body), body(1));
}

#[tokio::test]
async fn answer_in_the_envelope_with_a_weak_tag_or_variants_has_codings_as_well() {
    let route = "{name: kept, path_prefix: /, pool: service, auth: {anonymous: true}, cache: kept, \
                 envelope: true}";
    let (origin, gw) = serve(&kept("fresh: 1h"), &[route]).await;
    origin.on("/wrapped", Answer::json(body(0)));
    let text = Answer::status(200).header("Content-Type", "text/csv").body(body(0));
    origin.on("/weak", text.header("ETag", "W/\"w\"").header("Repr-Digest", "sha-256=:AA==:"));
    origin.on("/varied", Answer::json(body(2)).header("Vary", "Accept-Language"));
    for (count, path) in ["/wrapped", "/weak", "/varied"].iter().enumerate() {
        let plain = gw.get(path).send().await;
        until_made(&gw, count + 1).await;
        for coding in CODINGS {
            let reply = asking(&gw, path, coding).send().await;
            assert_eq!(decoded(coding, &reply.body), plain.text(), "{path} {coding}");
            let reply = reply.expect_no_header("repr-digest");
            assert!(etag(&reply).starts_with('"'), "{path} {coding}");
        }
    }
    let varied = asking(&gw, "/varied", "gzip").send().await;
    varied.expect_header("vary", "Accept-Language, Accept-Encoding");
    assert_eq!(origin.calls("/varied"), 1, "no coding is a variant");
    asking(&gw, "/varied", "gzip").header("Accept-Language", "de").send().await;
    assert_eq!(origin.calls("/varied"), 2);
}

#[tokio::test]
async fn codings_are_served_over_http2_and_to_clients_of_http_1_0() {
    let (origin, authority) = (Origin::start().await, Authority::new());
    origin.json("/a", body(0));
    let listeners = "listeners: [{address: '{listen}'}, {address: '{tls_listen}', \
                     tls: {certificate_file: '{dir}/tls/farm.crt', key_file: '{dir}/tls/farm.key'}}]";
    let yaml = conf(&kept("fresh: 1h"), &[KEPT]);
    let yaml = yaml.replace("listeners: [{address: '{listen}'}]", listeners);
    let launcher = gateway().with(yaml).pool("service", origin.address());
    let gw = launcher.certificate("farm", &authority.issue([NAME])).start().await;
    let client = Https::http2(gw.tls_address(), NAME, &authority);
    let ask = || Request::get("/a").header("Accept-Encoding", "gzip, br");
    client.send(ask()).await.expect_status(200).expect_no_header("content-encoding");
    until_made(&gw, 1).await;
    let hit = client.send(ask()).await.expect_header("content-encoding", "br");
    assert_eq!(decoded("br", &hit.body), body(0));
    let same = client.send(ask().header("If-None-Match", &etag(&hit))).await;
    same.expect_status(304);
    let part = client.send(ask().header("Range", "bytes=0-3")).await.expect_status(206);
    part.expect_body(&hit.body[..4]);
    // What came over TLS is another answer.
    gw.get("/a").host(NAME).send().await.expect_status(200);
    until_made(&gw, 2).await;
    let mut old = gw.connect().await;
    old.write_raw("GET /a HTTP/1.0\r\nHost: farm.example\r\nAccept-Encoding: br\r\n\r\n").await;
    let text = old.read_until_close().await;
    assert!(text.ends_with(&hit.body), "the whole coding, to its end");
}
