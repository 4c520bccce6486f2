//! How does a test start the service and ask it?

use std::net::SocketAddr;

use harness::{Answer, Directory, Origin, PATIENCE, Process, Program, Reply, Request, metric};
use jiff::ToSpan as _;
use jiff::civil::Date;
use replay::{Options, Replay, Running};

/// A running service with a database of its own.
pub(crate) struct Weather {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// The service, not started, with nothing of this process's environment. All providers are at one
/// address.
pub(crate) fn program(directory: &Directory, provider: &str) -> Program {
    let database = directory.path().join("weather.db");
    Program::at(env!("CARGO_BIN_EXE_weather"))
        .clean_env()
        .directory(directory.path())
        .env("PORT", "0")
        .env("WEATHER_DATABASE_URL", format!("sqlite://{}", database.display()))
        .env("OPEN_METEO_BASE_URL", provider)
        .env("OPEN_METEO_ARCHIVE_BASE_URL", provider)
        .env("OPEN_METEO_HISTORICAL_BASE_URL", provider)
        .env("NASA_POWER_BASE_URL", provider)
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

    /// Waits until the sum of the series of this name with these labels is what `wanted` says.
    pub(crate) async fn wait_for_metric(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        wanted: impl Fn(f64) -> bool,
    ) {
        patiently(name, async || wanted(self.metric(name, labels).await).then_some(())).await;
    }

    /// The sum of the series of this name with these labels; 0 when there is none.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metric(&self.get("/metrics").await.text(), name, labels).unwrap_or(0.0)
    }
}

/// Looks again and again until `look` finds something.
pub(crate) async fn patiently<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, found).await {
        Ok(found) => found,
        Err(_elapsed) => panic!("waited in vain for {what}"),
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
pub(crate) fn berlin_day(ahead: i64) -> Date {
    let today =
        jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::get("Europe/Berlin").unwrap());
    today.date().checked_add(ahead.days()).unwrap()
}

pub(crate) const CURRENT: &str = "/api/v1/weather/current/?lat=52.52&lon=13.42&tz=Europe/Berlin";
pub(crate) const FORECAST: &str = "/v1/forecast";
pub(crate) const ARCHIVE: &str = "/v1/archive";

/// The question for days in Berlin, `from` and `to` days after today.
pub(crate) fn daily(from: i64, to: i64) -> String {
    let (start, end) = (berlin_day(from), berlin_day(to));
    let place = "lat=52.52&lon=13.42&tz=Europe/Berlin";
    format!("/api/v1/weather/daily/?{place}&start={start}&end={end}")
}

/// Days in Open-Meteo's form, as many as `query` asks for; every value is `value`, but those of
/// the days in `lacking` are not known.
pub(crate) fn days_of(query: &str, value: f64, lacking: &[Date]) -> String {
    let date = |name: &str| -> Date {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name));
        pair.expect("a day").parse().expect("a day")
    };
    let (start, end) = (date("start_date="), date("end_date="));
    let days: Vec<Date> = start.series(1.day()).take_while(|day| *day <= end).collect();
    let values: Vec<_> = days.iter().map(|day| (!lacking.contains(day)).then_some(value)).collect();
    serde_json::json!({
        "utc_offset_seconds": 3600,
        "daily_units": {
            "temperature_2m_max": "°C",
            "temperature_2m_min": "°C",
            "precipitation_sum": "mm",
            "wind_speed_10m_max": "m/s",
        },
        "daily": {
            "time": days,
            "temperature_2m_max": values,
            "temperature_2m_min": values,
            "precipitation_sum": values,
            "wind_speed_10m_max": values,
        },
    })
    .to_string()
}

/// Answers every question for days at `path` with `value`, but for those in `lacking`.
pub(crate) fn answer_days(origin: &Origin, path: &str, value: f64, lacking: Vec<Date>) {
    origin.rule(path, move |request, _| Answer::json(days_of(request.query(), value, &lacking)));
}

pub(crate) fn address(origin: &Origin) -> String {
    format!("http://{}", origin.address())
}
