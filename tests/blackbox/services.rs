//! Does a real service behind the gateway know who calls, and does it turn others away?

use std::net::SocketAddr;
use std::path::Path;

use harness::{Answer, Directory, Gateway, Origin, Process, Program, Request, metric};

use crate::fixtures::{api_key, conf, gateway, token};

const CURRENT: &str = "/api/v1/weather/current/?lat=52.52&lon=13.42&tz=Europe/Berlin";

/// What a provider answers.
const FORECAST: &str =
    include_str!("../../services/weather/tests/data/open_meteo_forecast_berlin_20211124.json");

/// What the gateway and the service share.
const SECRET: &str = "what the gateway and its services share";

/// The weather service, asking callers for the gateway's token and nothing else.
struct Weather {
    process: Process,
    address: SocketAddr,
    _provider: Origin,
    _directory: Directory,
}

impl Weather {
    async fn start() -> Self {
        let beside = Path::new(env!("CARGO_BIN_EXE_farmgate")).with_file_name("weather");
        assert!(beside.is_file(), "the service is not built: cargo build -p weather");
        let (provider, directory) = (Origin::start().await, Directory::new());
        provider.otherwise(Answer::json(FORECAST));
        let process = Program::at(beside)
            .clean_env()
            .directory(directory.path())
            .env("PORT", "0")
            .env("OPEN_METEO_BASE_URL", format!("http://{}", provider.address()))
            .env("INTERNAL_TOKEN_SECRET", SECRET)
            .start();
        let line = process.wait_for_line(|line| line.contains("\"listening\"")).await;
        let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON log line");
        let address = line["address"].as_str().expect("an address").parse().expect("an address");
        Self { process, address, _provider: provider, _directory: directory }
    }

    fn get(&self, target: &str) -> Request<SocketAddr> {
        Request::to(self.address, "GET", target)
    }
}

/// A gateway before it, with the issuer and the audience of the shipped configuration.
async fn before(weather: &Weather) -> Gateway {
    let key = api_key("key-1", "key", "user: '42', scopes: [read]");
    let sections = format!(
        "auth:\n  jwt: [{{keys: ['env:JWT_SECRET'], token_type: access}}]\n  \
         api_keys: {{keys: [{key}]}}\n  \
         internal: {{secret: 'env:INTERNAL_TOKEN_SECRET', issuer: farmgate, audience: services}}\n"
    );
    let route = "{name: weather, path_prefix: /api/v1/weather, pool: service, \
                 auth: {any: [jwt, api_key]}, credentials: internal}";
    let launcher = gateway().env("INTERNAL_TOKEN_SECRET", SECRET).with(conf(&sections, &[route]));
    launcher.pool("service", weather.address).start().await
}

#[tokio::test]
async fn service_answers_the_gateway_and_nobody_beside_it() {
    let weather = Weather::start().await;
    let gw = before(&weather).await;
    gw.get(CURRENT).bearer(&token("7")).send().await.expect_status(200);
    gw.get(CURRENT).api_key("key").send().await.expect_status(200);
    weather.process.wait_for_line(|line| line.contains("\"client_id\":\"key-1\"")).await;
    gw.get(CURRENT).send().await.expect_status(401);

    let unauthorized = r#"{"status":1,"message":"Unauthorized","data":null,"errors":null}"#;
    for request in [
        weather.get(CURRENT),
        weather.get(CURRENT).api_key("key"),
        weather.get(CURRENT).bearer(&token("7")),
    ] {
        request.send().await.expect_status(401).expect_body(unauthorized);
    }
    let text = weather.get("/metrics").send().await.expect_status(200).text();
    let labels = [("scheme", "internal"), ("outcome", "accepted")];
    assert_eq!(metric(&text, "auth_requests_total", &labels), Some(2.0));
}
