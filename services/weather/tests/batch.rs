//! Are many points asked for in few calls, and does each get what is its own?
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed test panics"
)]

use std::sync::Arc;
use std::time::Duration;

use chassis::client::{ClientSettings, client};
use chassis::clock::Now;
use harness::{Answer, Origin};
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde_json::{Value, json};
use weather::domain::ask::{Ask, ProviderName, Question};
use weather::domain::place::{Cell, Zone};
use weather::domain::report::Report;
use weather::metrics::WeatherMetrics;
use weather::providers::Provider;
use weather::providers::budget::{Budget, BudgetLimits};
use weather::providers::failure::ProviderError;
use weather::providers::line::{Host, Line};
use weather::providers::open_meteo::{OpenMeteo, OpenMeteoHosts, OpenMeteoSettings};

const FORECAST: &str = "/v1/forecast";
const ARCHIVE: &str = "/v1/archive";

/// A provider whose hosts are all at `origin`, with this many weighted calls a day.
fn open_meteo(origin: &Origin, day: f64, client_share: f64) -> OpenMeteo {
    let base_url = format!("http://{}", origin.address());
    let client = client(&ClientSettings {
        base_url: base_url.clone(),
        connect_timeout: Duration::from_secs(20),
        idle_connections_max: 4,
        user_agent: "test".to_owned(),
    });
    let host = Host { client: client.unwrap(), base_url };
    let hosts = OpenMeteoHosts { forecast: host.clone(), archive: host.clone(), historical: host };
    let limits = BudgetLimits { day, client_share, ..BudgetLimits::default() };
    let budget = Arc::new(Budget::new(ProviderName::OpenMeteo, limits));
    let line = Line::new(budget, 4, 1 << 20, WeatherMetrics::detached().unwrap());
    let settings = OpenMeteoSettings {
        deadline: Duration::from_secs(20),
        background_deadline: Duration::from_secs(20),
        api_key: None,
    };
    OpenMeteo::new(hosts, line, settings)
}

fn ask(question: Question, lat: f64) -> Ask {
    let zone = Zone::named("Africa/Nairobi").unwrap();
    Ask { provider: ProviderName::OpenMeteo, question, cell: Cell::of(lat, 36.8), zone }
}

/// The value of a query's pair, percent-decoded as far as these tests need.
fn pair<'a>(query: &'a str, name: &str) -> Vec<&'a str> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default();
    value.split("%2C").collect()
}

/// One object for one point, an array for several; the value is the point's latitude.
fn bodies(query: &str, of_point: impl Fn(f64) -> Value) -> String {
    let latitudes = pair(query, "latitude=");
    let all: Vec<Value> = latitudes.iter().map(|lat| of_point(lat.parse().unwrap())).collect();
    match all.as_slice() {
        [one] => one.to_string(),
        several => json!(several).to_string(),
    }
}

fn current(lat: f64) -> Value {
    json!({
        "utc_offset_seconds": 10800,
        "current_units": {"temperature_2m": "°C", "wind_speed_10m": "m/s"},
        "current": {"time": "2026-11-24T10:00", "temperature_2m": lat, "wind_speed_10m": 1.0},
    })
}

fn temperature(report: &Report) -> f64 {
    let Report::Current(observation) = report else { panic!("{report:?}") };
    observation.temperature_c.unwrap()
}

#[tokio::test]
async fn neighbours_in_the_list_share_one_call() {
    let origin = Origin::start().await;
    origin.rule(FORECAST, |request, _| Answer::json(bodies(request.query(), current)));
    let provider = open_meteo(&origin, 0.0, 0.0);
    let asks: Vec<Ask> =
        [1.0, 2.0, 3.0].into_iter().map(|lat| ask(Question::Current, lat)).collect();
    let fetched = provider.fetch_many(&asks, Now::read()).await;
    assert_eq!((fetched.len(), origin.calls(FORECAST)), (3, 1));
    for ((fetched, asked), expected) in fetched.iter().zip(&asks).zip([1.0, 2.0, 3.0]) {
        let fetched = fetched.as_ref().unwrap();
        assert_eq!(temperature(&fetched.report), expected);
        // Each part is stored as an answer of its own.
        assert_eq!(provider.read(asked, &fetched.body).unwrap(), fetched.report);
    }
}

#[tokio::test]
async fn call_has_a_bounded_number_of_points() {
    let origin = Origin::start().await;
    origin.rule(FORECAST, |request, _| Answer::json(bodies(request.query(), current)));
    let provider = open_meteo(&origin, 0.0, 0.0);
    let asks: Vec<Ask> = (0..60_u8).map(|lat| ask(Question::Current, f64::from(lat))).collect();
    let fetched = provider.fetch_many(&asks, Now::read()).await;
    let points: Vec<usize> = origin
        .requests(FORECAST)
        .iter()
        .map(|request| pair(request.query(), "latitude=").len())
        .collect();
    assert_eq!(points, [50, 10]);
    let temperatures: Vec<f64> =
        fetched.iter().map(|fetched| temperature(&fetched.as_ref().unwrap().report)).collect();
    assert_eq!(temperatures, (0..60_u8).map(f64::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_bad_point_does_not_take_the_others_answers() {
    let origin = Origin::start().await;
    origin.rule(FORECAST, |request, _| {
        if pair(request.query(), "latitude=").contains(&"2") {
            return Answer::status(400).body(r#"{"error":true,"reason":"No data is available"}"#);
        }
        Answer::json(bodies(request.query(), current))
    });
    let provider = open_meteo(&origin, 0.0, 0.0);
    let asks: Vec<Ask> =
        [1.0, 2.0, 3.0].into_iter().map(|lat| ask(Question::Current, lat)).collect();
    let fetched = provider.fetch_many(&asks, Now::read()).await;
    assert_eq!(temperature(&fetched[0].as_ref().unwrap().report), 1.0);
    assert!(matches!(fetched[1], Err(ProviderError::Refused { .. })));
    assert_eq!(temperature(&fetched[2].as_ref().unwrap().report), 3.0);
}

#[tokio::test]
async fn each_point_is_charged_and_clients_keep_their_share() {
    let origin = Origin::start().await;
    origin.rule(FORECAST, |request, _| Answer::json(bodies(request.query(), current)));
    let provider = open_meteo(&origin, 10.0, 0.5);
    let asks = |count: u8| -> Vec<Ask> {
        (0..count).map(|lat| ask(Question::Current, f64::from(lat))).collect()
    };
    // Five fit into the half that clients leave; the sixth is not asked.
    let fetched = provider.fetch_many(&asks(6), Now::read()).await;
    assert!(fetched[..5].iter().all(Result::is_ok));
    assert!(matches!(fetched[5], Err(ProviderError::OverBudget { .. })));
    assert_eq!(origin.calls(FORECAST), 1);
    assert!(provider.fetch(&ask(Question::Current, 9.0), Now::read()).await.is_ok());
}

#[tokio::test]
async fn only_points_with_a_gap_are_asked_again_elsewhere() {
    let origin = Origin::start().await;
    // The archive lacks the wind of the second point; the historical forecast knows it.
    let days = |query: &str, wind: fn(f64) -> Option<f64>| {
        let start: Date = pair(query, "start_date=")[0].parse().unwrap();
        bodies(query, |lat| {
            json!({
                "utc_offset_seconds": 10800,
                "daily_units": {"temperature_2m_max": "°C", "temperature_2m_min": "°C",
                    "precipitation_sum": "mm", "wind_speed_10m_max": "m/s"},
                "daily": {"time": [start], "temperature_2m_max": [lat], "temperature_2m_min": [lat],
                    "precipitation_sum": [0.0], "wind_speed_10m_max": [wind(lat)]},
            })
        })
    };
    origin.rule(ARCHIVE, move |request, _| {
        Answer::json(days(request.query(), |lat| (lat < 1.5).then_some(4.0)))
    });
    origin.rule(FORECAST, move |request, _| Answer::json(days(request.query(), |_| Some(7.0))));
    let provider = open_meteo(&origin, 0.0, 0.0);
    let now = Now::read();
    let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date() - 200.days();
    let question = Question::Daily { start: day, end: day };
    let fetched = provider.fetch_many(&[ask(question, 1.0), ask(question, 2.0)], now).await;
    let winds: Vec<_> = fetched
        .iter()
        .map(|fetched| match &fetched.as_ref().unwrap().report {
            Report::Daily(days) => days[0].wind_speed_max_mps,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(winds, [Some(4.0), Some(7.0)]);
    assert_eq!(pair(origin.requests(FORECAST)[0].query(), "latitude="), ["2"]);
}
