//! Is each day asked of the host that knows it, and is one answer made of all?

use harness::{Answer, Directory, Origin, Program, launch};
use jiff::civil::Date;

use crate::bench::{
    ARCHIVE, CURRENT, FORECAST, Weather, address, answer_days, berlin_day, daily, days_of, program,
};

/// The last day of which the forecast host is not asked, in days after today.
const OLD: i64 = -93;

/// Which value stands for which host.
const FROM_ARCHIVE: f64 = 1.0;
const FROM_FORECAST: f64 = 2.0;
const FROM_HISTORICAL: f64 = 3.0;

struct Hosts {
    forecast: Origin,
    archive: Origin,
    historical: Origin,
}

impl Hosts {
    async fn start(archive_lacks: Vec<Date>) -> Self {
        let hosts = Self {
            forecast: Origin::start().await,
            archive: Origin::start().await,
            historical: Origin::start().await,
        };
        answer_days(&hosts.forecast, FORECAST, FROM_FORECAST, Vec::new());
        answer_days(&hosts.archive, ARCHIVE, FROM_ARCHIVE, archive_lacks);
        answer_days(&hosts.historical, FORECAST, FROM_HISTORICAL, Vec::new());
        hosts
    }

    fn program(&self, directory: &Directory) -> Program {
        program(directory, &address(&self.forecast))
            .env("OPEN_METEO_ARCHIVE_BASE_URL", address(&self.archive))
            .env("OPEN_METEO_HISTORICAL_BASE_URL", address(&self.historical))
            .env("WEATHER_PROVIDER_FALLBACK", "none")
    }
}

fn range(origin: &Origin, path: &str) -> Vec<String> {
    let dates = |query: &str| {
        let pairs = query.split('&').filter(|pair| pair.contains("_date="));
        pairs.collect::<Vec<_>>().join("&")
    };
    origin.requests(path).iter().map(|request| dates(request.query())).collect()
}

fn asked(from: i64, to: i64) -> Vec<String> {
    vec![format!("start_date={}&end_date={}", berlin_day(from), berlin_day(to))]
}

fn highest(body: &serde_json::Value) -> Vec<Option<f64>> {
    let days = body["data"]["forecasts"].as_array().unwrap();
    days.iter().map(|day| day["t_max_c"].as_f64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn w2_range_across_the_boundary_is_one_answer_of_two_hosts() {
    let (directory, hosts) = (Directory::new(), Hosts::start(Vec::new()).await);
    let target = daily(OLD - 1, OLD + 2);
    let expected = [FROM_ARCHIVE, FROM_ARCHIVE, FROM_FORECAST, FROM_FORECAST].map(Some);
    let mut weather = Weather::start(hosts.program(&directory)).await;
    let before = weather.get(&target).await.expect_status(200);
    assert_eq!(highest(&before.json()), expected);
    assert_eq!(range(&hosts.archive, ARCHIVE), asked(OLD - 1, OLD));
    assert_eq!(range(&hosts.forecast, FORECAST), asked(OLD + 1, OLD + 2));
    assert_eq!(hosts.historical.calls_total(), 0);
    weather.process.stop().await;

    // What is stored of several hosts is read again.
    hosts.archive.on(ARCHIVE, Answer::status(503));
    let weather = Weather::start(hosts.program(&directory)).await;
    let after = weather.get(&target).await.expect_status(200).expect_header("x-cache", "stale");
    assert_eq!(after.text(), before.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn w2_range_on_one_side_of_the_boundary_is_one_call() {
    let (directory, hosts) = (Directory::new(), Hosts::start(Vec::new()).await);
    let weather = Weather::start(hosts.program(&directory)).await;
    weather.get(&daily(OLD, OLD)).await.expect_status(200);
    assert_eq!((hosts.archive.calls_total(), hosts.forecast.calls_total()), (1, 0));
    weather.get(&daily(OLD + 1, 1)).await.expect_status(200);
    assert_eq!((hosts.archive.calls_total(), hosts.forecast.calls_total()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn w2_what_the_archive_lacks_is_asked_of_the_historical_forecast() {
    let lacking = vec![berlin_day(OLD - 3), berlin_day(OLD - 1)];
    let (directory, hosts) = (Directory::new(), Hosts::start(lacking).await);
    let weather = Weather::start(hosts.program(&directory)).await;
    let body = weather.get(&daily(OLD - 4, OLD)).await.expect_status(200).json();
    let (a, h) = (Some(FROM_ARCHIVE), Some(FROM_HISTORICAL));
    assert_eq!(highest(&body), [a, h, a, h, a]);
    assert_eq!(range(&hosts.historical, FORECAST), asked(OLD - 3, OLD - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn w2_gap_that_cannot_be_filled_stays_a_gap() {
    let (directory, hosts) = (Directory::new(), Hosts::start(vec![berlin_day(OLD)]).await);
    hosts.historical.on(FORECAST, Answer::status(500));
    let weather = Weather::start(hosts.program(&directory)).await;
    let body = weather.get(&daily(OLD - 1, OLD)).await.expect_status(200).json();
    assert_eq!(highest(&body), [Some(FROM_ARCHIVE), None]);
    assert_eq!(body["data"]["forecasts"][1]["availability"], "missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn w2_half_a_range_is_no_answer() {
    let (directory, hosts) = (Directory::new(), Hosts::start(Vec::new()).await);
    hosts.archive.on(ARCHIVE, Answer::status(503));
    let weather = Weather::start(hosts.program(&directory)).await;
    weather.get(&daily(OLD, OLD + 1)).await.expect_status(502);
    let reason = r#"{"error":true,"reason":"No data is available for this location"}"#;
    hosts.archive.on(ARCHIVE, Answer::status(400).body(reason));
    let reply = weather.get(&daily(OLD, OLD + 1)).await.expect_status(400);
    reply.expect_json("/errors/non_field_errors/0", "No data is available for this location");
}

#[tokio::test(flavor = "multi_thread")]
async fn w7_both_hosts_share_one_deadline() {
    let (directory, hosts) = (Directory::new(), Hosts::start(Vec::new()).await);
    hosts.archive.on(ARCHIVE, Answer::json("{}").hold());
    let program = hosts.program(&directory).env("OPEN_METEO_TIMEOUT_MS", "300");
    let weather = Weather::start(program).await;
    weather.get(&daily(OLD, OLD + 1)).await.expect_status(504);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_answer_of_the_archive_is_there_for_the_next_client() {
    let (directory, hosts) = (Directory::new(), Hosts::start(Vec::new()).await);
    let day = berlin_day(OLD);
    let query = format!("start_date={day}&end_date={day}");
    let body = days_of(&query, FROM_ARCHIVE, &[]);
    hosts.archive.on(ARCHIVE, Answer::json(body).hold());
    let program = hosts.program(&directory).env("OPEN_METEO_TIMEOUT_MS", "300");
    let weather = Weather::start(program).await;
    weather.get(&daily(OLD, OLD)).await.expect_status(504);
    hosts.archive.release(ARCHIVE);
    hosts.archive.wait_until_idle().await;
    let body = weather.get(&daily(OLD, OLD)).await.expect_status(200).json();
    assert_eq!(highest(&body), [Some(FROM_ARCHIVE)]);
    assert_eq!(hosts.archive.calls(ARCHIVE), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_archive_leaves_a_permit_to_the_forecast() {
    let (directory, hosts) = (Directory::new(), Hosts::start(Vec::new()).await);
    hosts.archive.on(ARCHIVE, Answer::json("{}").hold());
    let program = hosts.program(&directory).env("OPEN_METEO_TIMEOUT_MS", "5000");
    let weather = Weather::start(program).await;
    let slow = launch(4, |number| {
        let target = daily(OLD, OLD).replace("lat=52.52", &format!("lat={number}"));
        weather.request("GET", &target).send()
    });
    hosts.archive.wait_for_in_flight(3).await;
    weather.get(&daily(0, 1)).await.expect_status(200);
    assert_eq!(hosts.archive.calls(ARCHIVE), 3, "the fourth waits");
    hosts.archive.release(ARCHIVE);
    hosts.archive.wait_for_calls(ARCHIVE, 4).await;
    hosts.archive.release(ARCHIVE);
    for reply in slow.await.expect("4 clients") {
        reply.expect_status(502);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_before_the_archive_are_refused() {
    let (directory, hosts) = (Directory::new(), Hosts::start(Vec::new()).await);
    let weather = Weather::start(hosts.program(&directory)).await;
    let target = "/api/v1/weather/daily/?lat=1&lon=1&start=1939-12-31&end=1940-01-01";
    let reply = weather.get(target).await.expect_status(400);
    reply.expect_json("/errors/start/0", "Days before 1940-01-01 are not available.");
    let target = "/api/v1/weather/daily/?lat=1&lon=1&start=1940-01-01&end=1940-01-01";
    weather.get(target).await.expect_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_a_customer_is_sent_and_never_logged() {
    let (directory, hosts) = (Directory::new(), Hosts::start(vec![berlin_day(OLD)]).await);
    let program =
        hosts.program(&directory).env("OPEN_METEO_API_KEY", "sesame-57").env("RUST_LOG", "debug");
    let weather = Weather::start(program).await;
    weather.get(&daily(OLD, OLD + 1)).await.expect_status(200);
    hosts.forecast.on(FORECAST, Answer::reset());
    weather.get(CURRENT).await.expect_status(502);
    for (origin, path) in
        [(&hosts.archive, ARCHIVE), (&hosts.forecast, FORECAST), (&hosts.historical, FORECAST)]
    {
        assert!(origin.requests(path)[0].query().contains("apikey=sesame-57"));
    }
    assert!(weather.process.stderr_lines().iter().all(|line| !line.contains("sesame-57")));
}
