//! `farmgate cache`, as people and programs see it.

use harness::{Finished, Gateway, Program};
use serde_json::Value;

use super::{HOST, TOKEN, got, keeping, numbered};

/// Runs `farmgate cache` on the configuration of a gateway.
async fn cache(gw: &Gateway, words: &[&str]) -> Finished {
    let conf = gw.directory().join("conf/gateway.yaml");
    let program = Program::at(env!("CARGO_BIN_EXE_farmgate")).clean_env().arg("cache");
    let program = program.args(words.iter().copied()).arg("--config").arg(conf);
    program.env("ADMIN_TOKEN", TOKEN).run().await
}

#[tokio::test]
async fn commands_show_and_purge_what_the_running_gateway_keeps() {
    let (origin, gw) = keeping("fresh: 1h").await;
    numbered(&origin, "/x", &[("Surrogate-Key", "t")]);
    got(&gw, "/x").await;
    got(&gw, "/x").await;
    let top = cache(&gw, &["top"]).await.expect_code(0);
    assert_eq!(top.stdout[0].split_whitespace().collect::<Vec<_>>()[..2], ["HITS", "BYTES"]);
    let line: Vec<&str> = top.stdout[1].split_whitespace().collect();
    assert_eq!((line[0], line[2], line[5]), ("1", "fresh", "a.example/x"));
    let shown = cache(&gw, &["show", "/x", "--host", HOST]).await.expect_code(0);
    assert!(shown.stdout.iter().any(|line| line.split_whitespace().eq(["tags", "t"])), "{shown:?}");

    let purged = cache(&gw, &["purge", "--tag", "t"]).await.expect_code(0);
    assert_eq!(purged.stdout, ["tag t: purged, on 1 gateway(s)"]);
    assert_eq!(got(&gw, "/x").await, "2");
    let why = cache(&gw, &["why", "https://a.example/x", "--json"]).await.expect_code(0);
    let why: Value = serde_json::from_str(&why.stdout.join("\n")).unwrap();
    assert_eq!(why["misses"][0]["detail"], "purged by tag t");

    let soft = cache(&gw, &["purge", "--all", "--soft"]).await.expect_code(0);
    assert_eq!(soft.stdout, ["everything: stale from now on, on 1 gateway(s)"]);
    let warmed = cache(&gw, &["warm", "/x", "--host", HOST]).await.expect_code(0);
    assert_eq!(warmed.stdout[1].split_whitespace().collect::<Vec<_>>(), ["stored", "/x"]);
    assert_eq!((got(&gw, "/x").await.as_str(), origin.calls("/x")), ("3", 3));
}

#[tokio::test]
async fn commands_say_what_is_in_their_way() {
    let (_origin, mut gw) = keeping("fresh: 1h").await;
    let nothing = cache(&gw, &["show", "/x", "--host", HOST]).await.expect_code(1);
    assert_eq!(nothing.stderr, ["farmgate: nothing is kept for a.example/x"]);
    cache(&gw, &["purge"]).await.expect_code(2);
    cache(&gw, &["purge", "--all", "--tag", "t"]).await.expect_code(2);
    gw.stop().await;
    let gone = cache(&gw, &["top"]).await.expect_code(1);
    assert!(gone.stderr[0].starts_with("farmgate: no gateway answers at 127.0.0.1:"), "{gone:?}");
    let path = gw.directory().join("conf/gateway.yaml");
    let conf = std::fs::read_to_string(&path).unwrap().replace(", token: 'env:ADMIN_TOKEN'", "");
    gw.rewrite_conf(&conf);
    let closed = cache(&gw, &["top"]).await.expect_code(78);
    assert!(closed.stderr[0].contains("no `admin.token`"), "{closed:?}");
}
