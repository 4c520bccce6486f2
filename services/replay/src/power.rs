//! What does NASA POWER answer to `/api/temporal/daily/point` and `.../hourly/point`?
//!
//! The nearest JSON recording answers and shows its own coordinates. Days and known parameters it
//! does not hold are the header's fill value, the provider's own sign for "no value". With a
//! shift the last recorded day is [`LATENCY_DAYS`] before today, since POWER lags.
//!
//! No hours are recorded. They are made of the days of the same name: rain is spread evenly, and
//! every hour has the day's value of anything else.

use std::path::Path;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use jiff::{Span, tz::TimeZone};
use serde_json::{Map, Value, json};

use crate::answers::{POWER_FAILED, RECORDING_HEADER, json_response};
use crate::clock::Moment;
use crate::params::Params;
use crate::power_recording::{CsvRecording, DAY_FORM, JsonRecording};
use crate::recorded::{DataError, distance, files_named};

/// Days the near-real-time values lag behind today ("several days" in POWER's documents).
const LATENCY_DAYS: i64 = 3;
/// Parameters the provider takes for one point.
const PARAMETERS_MAX: usize = 20;
/// Parameters it takes when hours are asked for.
const HOURLY_PARAMETERS_MAX: usize = 15;
/// Hours of a day.
const HOURS: i8 = 24;
/// The parameter that is a sum, and its unit at the hourly pace.
const RAIN: (&str, &str) = ("PRECTOTCORR", "mm/hour");
/// Days of one answer: the provider's record starts in 1981.
const DAYS_MAX: i32 = 20_000;

/// At which pace values are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One value a day, by `YYYYMMDD`.
    Daily,
    /// One value an hour, by `YYYYMMDDHH`.
    Hourly,
}

impl Pace {
    /// The parameters of one request: hours take fewer.
    fn parameters_max(self) -> usize {
        match self {
            Self::Daily => PARAMETERS_MAX,
            Self::Hourly => HOURLY_PARAMETERS_MAX,
        }
    }
}

/// Parameters known besides the recorded ones, with units and long name.
const KNOWN: [(&str, &str, &str); 8] = [
    ("T2M", "C", "Temperature at 2 Meters"),
    ("T2M_MIN", "C", "Temperature at 2 Meters Minimum"),
    ("T2M_MAX", "C", "Temperature at 2 Meters Maximum"),
    ("PRECTOTCORR", "mm/day", "Precipitation Corrected"),
    ("RH2M", "%", "Relative Humidity at 2 Meters"),
    ("WS10M", "m/s", "Wind Speed at 10 Meters"),
    ("WS10M_MAX", "m/s", "Wind Speed at 10 Meters Maximum"),
    ("PS", "kPa", "Surface Pressure"),
];

/// The recordings of POWER.
pub(crate) struct Power {
    json: Vec<JsonRecording>,
    csv: Vec<CsvRecording>,
}

/// Why a question is not answered.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// 422 with these messages under the usual header.
    Rejected(String),
    /// 422 for a reserved user name, which comes without the header.
    ReservedUser,
    /// 501, replay's own: no recording holds this.
    NotRecorded(&'static str),
}

struct Asked<'p> {
    pace: Pace,
    time_standard: String,
    point: (f64, f64),
    parameters: Vec<&'p str>,
    start: Date,
    end: Date,
}

impl Power {
    /// Reads `nasa_power_daily_*.json` and `nasapower_vcr_*.json` below `data/weather`.
    pub(crate) fn load(data: &Path) -> Result<Self, DataError> {
        let weather = data.join("weather");
        let mut power = Self { json: Vec::new(), csv: Vec::new() };
        for path in files_named(&weather, "nasa_power_daily_")? {
            power.json.push(JsonRecording::load(data, &path)?);
        }
        for path in files_named(&weather, "nasapower_vcr_")? {
            power.csv.extend(CsvRecording::load(data, &path)?);
        }
        if power.json.is_empty() {
            return Err(DataError::shape(&weather, "no nasa_power_daily_ file"));
        }
        Ok(power)
    }

    /// The answer to `params`, refusals included.
    pub(crate) fn respond(&self, pace: Pace, params: &Params, moment: Moment) -> Response {
        self.answer(pace, params, moment).unwrap_or_else(|refusal| match refusal {
            Refusal::Rejected(message) => {
                refused(StatusCode::UNPROCESSABLE_ENTITY, &json!({"header": POWER_FAILED, "messages": [message]}))
            }
            Refusal::ReservedUser => refused(
                StatusCode::UNPROCESSABLE_ENTITY,
                &json!({"messages": ["Please supply a different user name; reserved names are not allowed."]}),
            ),
            Refusal::NotRecorded(what) => refused(
                StatusCode::NOT_IMPLEMENTED,
                &json!({"header": POWER_FAILED, "messages": [format!("replay has no recording for {what}")]}),
            ),
        })
    }

    fn answer(&self, pace: Pace, params: &Params, moment: Moment) -> Result<Response, Refusal> {
        let asked = Asked::parse(pace, params)?;
        if params.first("format").is_some_and(|format| format.eq_ignore_ascii_case("csv")) {
            return self.csv_answer(params);
        }
        if pace == Pace::Daily && asked.time_standard != "LST" {
            return Err(Refusal::NotRecorded("time-standard=UTC as JSON"));
        }
        let by_distance = |a: &&JsonRecording, b: &&JsonRecording| {
            distance(asked.point, a.point).total_cmp(&distance(asked.point, b.point))
        };
        let recording =
            self.json.iter().min_by(by_distance).ok_or(Refusal::NotRecorded("this point"))?;
        let body = asked.pick(recording, shift_days(recording, moment))?;
        let mut response = json_response(StatusCode::OK, body.to_string());
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(named(response, &recording.file))
    }

    fn csv_answer(&self, params: &Params) -> Result<Response, Refusal> {
        let recording = self.csv.iter().find(|recording| recording.answers(params));
        let recording = recording.ok_or(Refusal::NotRecorded("this question as CSV"))?;
        let mut response = recording.body.clone().into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv"));
        for (name, value) in &recording.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        Ok(named(response, &recording.file))
    }
}

impl<'p> Asked<'p> {
    fn parse(pace: Pace, params: &'p Params) -> Result<Self, Refusal> {
        if params.first("user").is_some_and(|user| user.eq_ignore_ascii_case("anonymous")) {
            return Err(Refusal::ReservedUser);
        }
        let parameters = params.list("parameters");
        let most = pace.parameters_max();
        if parameters.is_empty() || parameters.len() > most {
            return Err(rejected(format!("parameters must name 1 to {most} parameters.")));
        }
        let community = required(params, "community")?;
        if !["AG", "RE", "SB"].iter().any(|known| known.eq_ignore_ascii_case(community)) {
            return Err(incorrect(community));
        }
        let point = (degrees(params, "latitude", 90.0)?, degrees(params, "longitude", 180.0)?);
        let (start, end) = (day(params, "start")?, day(params, "end")?);
        let days = start.until(end).map_or(i32::MAX, |span| span.get_days());
        if !(0..DAYS_MAX).contains(&days) {
            return Err(rejected("The end date must not be before the start date.".to_owned()));
        }
        if let Some(format) = params.first("format")
            && !["JSON", "CSV"].iter().any(|known| known.eq_ignore_ascii_case(format))
        {
            return Err(Refusal::NotRecorded("this format"));
        }
        let time_standard = params.first("time-standard").unwrap_or("LST").to_uppercase();
        Ok(Self { pace, time_standard, point, parameters, start, end })
    }

    /// The recorded answer cut to the asked parameters and days.
    fn pick(&self, recording: &JsonRecording, shift: i64) -> Result<Value, Refusal> {
        let (mut values, mut descriptions) = (Map::new(), Map::new());
        for parameter in &self.parameters {
            let name = parameter.to_uppercase();
            let description = recording.description(&name).or_else(|| known(&name));
            let description = description.ok_or_else(|| incorrect(parameter))?;
            descriptions.insert(name.clone(), self.paced(&name, description));
            let recorded = recording.values.get(&name);
            let mut column = Map::new();
            let days = self.start.series(Span::new().days(1)).take_while(|day| *day <= self.end);
            for day in days {
                let of = key(day.saturating_sub(Span::new().days(shift)));
                let value = recorded.and_then(|column| column.get(&of));
                self.enter(&mut column, &name, day, value.unwrap_or(&recording.fill_value));
            }
            values.insert(name, Value::Object(column));
        }
        let mut body = recording.body.clone();
        put(&mut body, "/properties/parameter", Value::Object(values));
        put(&mut body, "/parameters", Value::Object(descriptions));
        put(&mut body, "/header/start", Value::String(key(self.start)));
        put(&mut body, "/header/end", Value::String(key(self.end)));
        put(&mut body, "/header/time_standard", Value::String(self.time_standard.clone()));
        Ok(body)
    }

    /// Writes a day's value under the day, or under each of its hours.
    fn enter(&self, column: &mut Map<String, Value>, name: &str, day: Date, value: &Value) {
        if self.pace == Pace::Daily {
            column.insert(key(day), value.clone());
            return;
        }
        let rain = value.as_f64().filter(|sum| name == RAIN.0 && *sum >= 0.0);
        let value = rain.map_or_else(|| value.clone(), |sum| json!(sum / f64::from(HOURS)));
        for hour in 0..HOURS {
            column.insert(format!("{}{hour:02}", key(day)), value.clone());
        }
    }

    /// The description of a parameter at the pace that is asked for.
    fn paced(&self, name: &str, mut description: Value) -> Value {
        if self.pace == Pace::Hourly && name == RAIN.0 {
            put(&mut description, "/units", Value::String(RAIN.1.to_owned()));
        }
        description
    }
}

/// Days by which recorded days move: none, or such that the last one is a few days ago.
fn shift_days(recording: &JsonRecording, moment: Moment) -> i64 {
    if !moment.shift {
        return 0;
    }
    let today = TimeZone::UTC.to_datetime(moment.now).date();
    let since = recording.last_day.until(today).map_or(0, |span| i64::from(span.get_days()));
    since - LATENCY_DAYS
}

fn put(body: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = body.pointer_mut(pointer) {
        *place = value;
    }
}

fn key(day: Date) -> String {
    day.strftime(DAY_FORM).to_string()
}

fn known(name: &str) -> Option<Value> {
    let (_, units, longname) = KNOWN.iter().find(|(known, ..)| *known == name)?;
    Some(json!({"units": units, "longname": longname}))
}

fn required<'p>(params: &'p Params, key: &str) -> Result<&'p str, Refusal> {
    params.first(key).ok_or_else(|| rejected(format!("{key} is required.")))
}

fn degrees(params: &Params, key: &str, most: f64) -> Result<f64, Refusal> {
    let text = required(params, key)?;
    let degrees = text.parse::<f64>().ok().filter(|degrees| degrees.abs() <= most);
    degrees.ok_or_else(|| incorrect(text))
}

fn day(params: &Params, key: &str) -> Result<Date, Refusal> {
    let text = required(params, key)?;
    let date = Date::strptime(DAY_FORM, text).ok().filter(|_| text.len() == "YYYYMMDD".len());
    date.ok_or_else(|| incorrect(text))
}

fn incorrect(given: &str) -> Refusal {
    rejected(format!("One of your parameters is incorrect: {given}."))
}

fn rejected(message: String) -> Refusal {
    Refusal::Rejected(message)
}

fn refused(status: StatusCode, body: &Value) -> Response {
    json_response(status, body.to_string())
}

fn named(mut response: Response, file: &str) -> Response {
    if let Ok(value) = HeaderValue::try_from(file) {
        response.headers_mut().insert(RECORDING_HEADER, value);
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is the test's failure"
    )]
    use super::*;
    use crate::recorded::read_json;
    use crate::server::recorded_data_dir;

    const FRANKFURT: &str = "community=RE&latitude=50.11&longitude=8.68&format=JSON";

    async fn ask(query: &str, shift: bool) -> (StatusCode, Response) {
        ask_at(Pace::Daily, query, shift).await
    }

    async fn ask_at(pace: Pace, query: &str, shift: bool) -> (StatusCode, Response) {
        let uri = format!("/?{query}").parse().unwrap();
        let pairs = axum::extract::Query::try_from_uri(&uri).unwrap().0;
        let moment = Moment { now: "2026-07-10T10:00:00Z".parse().unwrap(), shift };
        let power = Power::load(&recorded_data_dir()).unwrap();
        let response = power.respond(pace, &Params::new(pairs), moment);
        (response.status(), response)
    }

    async fn json(query: &str, shift: bool) -> (StatusCode, Value) {
        json_of(ask(query, shift).await).await
    }

    async fn json_of((status, response): (StatusCode, Response)) -> (StatusCode, Value) {
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn recorded_question_gets_the_recorded_answer() {
        let query = format!("{FRANKFURT}&parameters=T2M,PRECTOTCORR&start=20240101&end=20240107");
        let path = recorded_data_dir().join("weather/nasa_power_daily_frankfurt_202401.json");
        let recorded: Value = read_json(&path).unwrap();
        assert_eq!(json(&query, false).await, (StatusCode::OK, recorded["body"].clone()));
    }

    #[tokio::test]
    async fn what_was_not_recorded_is_the_fill_value() {
        let query = format!("{FRANKFURT}&parameters=t2m,WS10M&start=20240107&end=20240108");
        let (_, answer) = json(&query, false).await;
        let values = &answer["properties"]["parameter"];
        assert_eq!(values["T2M"], json!({"20240107": 0.45, "20240108": -999.0}));
        assert_eq!(values["WS10M"], json!({"20240107": -999.0, "20240108": -999.0}));
        assert_eq!(answer["parameters"]["WS10M"]["units"], "m/s");
        assert_eq!(answer["header"]["end"], "20240108");
    }

    #[tokio::test]
    async fn shifted_recording_ends_some_days_ago() {
        let query = format!("{FRANKFURT}&parameters=T2M&start=20260707&end=20260708");
        let (_, answer) = json(&query, true).await;
        let column = &answer["properties"]["parameter"]["T2M"];
        assert_eq!(*column, json!({"20260707": 0.45, "20260708": -999.0}));
    }

    #[tokio::test]
    async fn hours_are_made_of_the_recorded_days() {
        let query = format!(
            "{FRANKFURT}&parameters=T2M,PRECTOTCORR&start=20240107&end=20240108&time-standard=UTC"
        );
        let (status, answer) = json_of(ask_at(Pace::Hourly, &query, false).await).await;
        assert_eq!((status, &answer["header"]["time_standard"]), (StatusCode::OK, &json!("UTC")));
        let values = &answer["properties"]["parameter"];
        assert_eq!(values["T2M"].as_object().unwrap().len(), 48);
        assert_eq!(values["T2M"]["2024010723"], 0.45);
        assert_eq!(values["T2M"]["2024010800"], -999.0);
        assert_eq!(values["PRECTOTCORR"]["2024010700"], 0.28 / 24.0);
        assert_eq!(answer["parameters"]["PRECTOTCORR"]["units"], "mm/hour");
    }

    #[tokio::test]
    async fn refusals_are_worded_as_recorded() {
        let path = recorded_data_dir().join("weather/nasa_power_errors.json");
        let recorded: Value = read_json(&path).unwrap();
        let days = "start=20240101&end=20240107";
        let unknown = json(&format!("{FRANKFURT}&parameters=FOO&{days}"), false).await;
        assert_eq!(
            unknown,
            (StatusCode::UNPROCESSABLE_ENTITY, recorded["cases"][0]["body"].clone())
        );
        let reserved =
            json(&format!("{FRANKFURT}&parameters=T2M&{days}&user=anonymous"), false).await;
        assert_eq!(
            reserved,
            (StatusCode::UNPROCESSABLE_ENTITY, recorded["cases"][1]["body"].clone())
        );
    }

    #[tokio::test]
    async fn malformed_questions_are_refused() {
        for query in [
            format!("{FRANKFURT}&start=20240101&end=20240102"),
            format!("{FRANKFURT}&parameters=T2M&start=2024-01-01&end=20240102"),
            format!("{FRANKFURT}&parameters=T2M&start=20240103&end=20240102"),
            "community=XX&latitude=1&longitude=1&parameters=T2M&start=20240101&end=20240102"
                .to_owned(),
            "community=AG&latitude=91&longitude=1&parameters=T2M&start=20240101&end=20240102"
                .to_owned(),
        ] {
            let (status, _) = ask(&query, false).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        }
    }

    #[tokio::test]
    async fn csv_answers_its_own_question_only() {
        let own = "parameters=T2M,T2M_MIN,T2M_MAX,RH2M,WS10M&community=SB&start=19830101\
                   &end=19830101&longitude=-179.5&latitude=-89.5&format=csv";
        let (status, response) = ask(&format!("{own}&time-standard=LST"), false).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(response.headers()["x-archive-time"], "1.027");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert!(body.ends_with(b"1983,1,1,-25.24,-25.67,-24.88,94.43,2.32\r\n"));
        let (other, _) = ask(&own.replace("T2M,", ""), false).await;
        assert_eq!(other, StatusCode::NOT_IMPLEMENTED);
    }
}
