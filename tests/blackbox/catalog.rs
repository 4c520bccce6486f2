//! Can a client find out which APIs there are, and how each is used?

use harness::Answer;
use serde_json::json;

use crate::fixtures::{conf, gateway, serve};

const CATALOG: &str = "{name: catalog, paths: [/.well-known/api-catalog], endpoint: api_catalog}";
const WEATHER: &str = "{name: weather, path_prefix: /api/v1/weather, pool: service, \
                       auth: {anonymous: true}, api_document: /api/v1/weather/openapi.json}";
const PLAIN: &str = "{name: plain, path_prefix: /plain, pool: service, auth: {anonymous: true}}";

const EXIT_CONFIG: i32 = 78;

#[tokio::test]
async fn apis_are_listed_with_their_documents() {
    let (origin, gw) = serve("", &[CATALOG, WEATHER, PLAIN]).await;
    let document = json!({"openapi": "3.1.0", "info": {"title": "weather"}});
    origin.on("/api/v1/weather/openapi.json", Answer::json(document.to_string()));
    let list = gw.get("/.well-known/api-catalog").header("Accept", "text/html").send().await;
    let list = list.expect_status(200).expect_header(
        "Content-Type",
        r#"application/linkset+json; profile="https://www.rfc-editor.org/info/rfc9727""#,
    );
    let link = json!({"href": "/api/v1/weather/openapi.json", "type": "application/json"});
    let api = json!({"anchor": "/api/v1/weather", "service-desc": [link]});
    assert_eq!(list.json(), json!({ "linkset": [api] }));
    let href = list.json()["linkset"][0]["service-desc"][0]["href"].as_str().unwrap().to_owned();
    let found = gw.get(&href).send().await.expect_status(200);
    assert_eq!(found.json(), document);
}

#[tokio::test]
async fn list_is_public_and_read_only() {
    let (_origin, gw) = serve("", &[CATALOG, WEATHER]).await;
    let head = gw.request("HEAD", "/.well-known/api-catalog").send().await.expect_status(200);
    assert_eq!(head.text(), "");
    let post = gw.post("/.well-known/api-catalog").send().await.expect_status(405);
    post.expect_header("Allow", "GET, HEAD, OPTIONS");
}

#[tokio::test]
async fn document_that_nobody_can_ask_for_or_find_is_a_fault() {
    let lost = WEATHER.replace("weather/openapi", "elsewhere/openapi");
    for (routes, words) in [
        ([CATALOG, lost.as_str()], "no route takes /api/v1/elsewhere/openapi.json"),
        ([PLAIN, WEATHER], "nothing lists it; add a route with `endpoint: api_catalog`"),
    ] {
        let launcher = gateway().with(conf("", &routes));
        let launcher = launcher.pool("service", "peers: [{address: 127.0.0.1:9}]\n");
        let finished = launcher.finish("check").await.expect_code(EXIT_CONFIG);
        let said = finished.stderr.join("\n");
        assert!(said.contains(words) && said.contains("api_document"), "{said}");
    }
}
