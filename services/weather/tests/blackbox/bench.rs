//! How does a test start the service and ask it?

use std::net::SocketAddr;

use harness::{Directory, Process, Program, Reply, Request, metric};
use replay::{Options, Replay, Running};

/// A running service with a database of its own.
pub(crate) struct Weather {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// The service, not started, with nothing of this process's environment.
pub(crate) fn program(directory: &Directory, provider: &str) -> Program {
    let database = directory.path().join("weather.db");
    Program::at(env!("CARGO_BIN_EXE_weather"))
        .clean_env()
        .directory(directory.path())
        .env("PORT", "0")
        .env("WEATHER_DATABASE_URL", format!("sqlite://{}", database.display()))
        .env("OPEN_METEO_BASE_URL", provider)
}

impl Weather {
    pub(crate) async fn start(program: Program) -> Self {
        let process = program.start();
        let line = process.wait_for_line(|line| line.contains("\"listening\"")).await;
        let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON log line");
        let address = line["address"].as_str().expect("an address").parse().expect("an address");
        Self { process, address }
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.request("GET", target).send().await
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> Request<SocketAddr> {
        Request::to(self.address, method, target)
    }

    /// The sum of the series of this name with these labels; 0 when there is none.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metric(&self.get("/metrics").await.text(), name, labels).unwrap_or(0.0)
    }
}

/// The recorded week under its own dates.
pub(crate) fn recorded() -> Running {
    Replay::start(Options::default()).expect("replay starts")
}

/// The recorded week as if it began today.
pub(crate) fn shifted() -> Running {
    Replay::start(Options { shift: true, ..Options::default() }).expect("replay starts")
}

/// The calendar day in Berlin that lies `ahead` days after today.
pub(crate) fn berlin_day(ahead: i64) -> jiff::civil::Date {
    use jiff::ToSpan as _;
    let today =
        jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
    today.date().checked_add(ahead.days()).unwrap()
}

pub(crate) const CURRENT: &str = "/api/v1/weather/current/?lat=52.52&lon=13.42&tz=Europe/Berlin";
pub(crate) const FORECAST: &str = "/v1/forecast";
