//! Which points are kept warm, and how does a client change that?
//!
//! `GET` lists them under `data`, each with `lat`, `lon` and `tz`: the form in which the gateway
//! reads points. `PUT` adds those of its body, `DELETE` takes off the one that its query names;
//! both may be repeated.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use chassis::envelope::{self, Failure, FieldErrors};
use chassis::openapi::Envelope;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::point::{Point, PointState};
use crate::http::Weather;
use crate::http::query::{self, Pairs, QueryRules};
use crate::store::StoreError;

/// Faulty points that are named in one answer.
const FAULTS_MAX: usize = 20;

/// What names the list in a body and in faults.
const POINTS: &str = "points";

/// A point and how fetching for it went.
#[derive(Serialize, ToSchema)]
struct PointView {
    /// Degrees north of the centre of its cell.
    lat: f64,
    /// Degrees east of the centre of its cell.
    lon: f64,
    /// IANA time zone in whose calendar its days are counted.
    tz: String,
    /// When all its answers were last fetched.
    last_ok: Option<String>,
    /// Why the newest attempt failed.
    last_error: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct RegisteredView {
    /// Points in the request.
    registered: usize,
}

#[derive(Serialize, ToSchema)]
struct RemovedView {
    /// Whether the point was listed.
    removed: bool,
}

/// A body of `PUT`, for documents.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct PointsBody {
    /// The points to be added.
    points: Vec<PointBody>,
}

#[derive(ToSchema)]
#[expect(dead_code, reason = "only its description is used")]
struct PointBody {
    /// Degrees north.
    lat: f64,
    /// Degrees east.
    lon: f64,
    /// IANA time zone in whose calendar its days are counted.
    tz: Option<String>,
}

/// The parameters that name a point, for documents.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct PointParams {
    /// Degrees north.
    #[param(minimum = -90, maximum = 90)]
    lat: f64,
    /// Degrees east.
    #[param(minimum = -180, maximum = 180)]
    lon: f64,
    /// IANA time zone in whose calendar its days are counted.
    tz: Option<String>,
}

/// The routes of points, documented; with a slash at the end they are the same.
pub(super) fn routes() -> OpenApiRouter<Weather> {
    OpenApiRouter::new()
        .routes(routes!(list, register, remove))
        .route("/api/v1/weather/points/", get(list).put(register).delete(remove))
}

impl PointView {
    fn new(state: PointState) -> Self {
        let time = |time| Timestamp::try_from(time).ok().map(|time| time.to_string());
        Self {
            lat: state.point.cell.lat(),
            lon: state.point.cell.lon(),
            tz: state.point.zone.name().to_owned(),
            last_ok: state.last_ok.and_then(time),
            last_error: state.last_error,
        }
    }
}

/// The points that are kept warm.
#[utoipa::path(
    get, path = "/api/v1/weather/points",
    responses((status = 200, description = "From south to north.", body = inline(Envelope<Vec<PointView>>)))
)]
async fn list(State(weather): State<Weather>) -> Response {
    match weather.points.list().await {
        Ok(states) => {
            uncached(envelope::ok(&states.into_iter().map(PointView::new).collect::<Vec<_>>()))
        }
        Err(error) => refused(&error),
    }
}

/// Keeps more points warm.
#[utoipa::path(
    put, path = "/api/v1/weather/points", request_body = inline(PointsBody),
    responses((status = 200, description = "They are listed.", body = inline(Envelope<RegisteredView>)))
)]
async fn register(State(weather): State<Weather>, body: Bytes) -> Response {
    let points_max = weather.points.points_max();
    let points = match points_of(&body, points_max, &weather.rules) {
        Ok(points) => points,
        Err(faults) => return Failure::fields(faults).into_response(),
    };
    match weather.points.register(&points).await {
        Ok(true) => uncached(envelope::ok(&RegisteredView { registered: points.len() })),
        Ok(false) => Failure::fields(too_many(points_max)).into_response(),
        Err(error) => refused(&error),
    }
}

/// Keeps a point warm no longer.
#[utoipa::path(
    delete, path = "/api/v1/weather/points", params(PointParams),
    responses((status = 200, description = "It is not listed.", body = inline(Envelope<RemovedView>)))
)]
async fn remove(State(weather): State<Weather>, Query(pairs): Query<Pairs>) -> Response {
    let point = match query::point(&pairs, &weather.rules) {
        Ok(point) => point,
        Err(faults) => return Failure::fields(faults).into_response(),
    };
    match weather.points.remove(&point).await {
        Ok(removed) => uncached(envelope::ok(&RemovedView { removed })),
        Err(error) => refused(&error),
    }
}

/// The points of `{"points": [{"lat": …, "lon": …, "tz": …}, …]}`, checked like those of a query.
fn points_of(
    body: &[u8],
    points_max: usize,
    rules: &QueryRules,
) -> Result<Vec<Point>, FieldErrors> {
    let fault = |text: String| FieldErrors::one(POINTS, text);
    let form = r#"Write {"points": [{"lat": -1.29, "lon": 36.82, "tz": "Africa/Nairobi"}]}."#;
    let body: Value =
        serde_json::from_slice(body).map_err(|error| fault(format!("{error}. {form}")))?;
    let listed = body.get(POINTS).and_then(Value::as_array);
    let listed = listed.ok_or_else(|| fault(form.to_owned()))?;
    if listed.len() > points_max {
        return Err(too_many(points_max));
    }
    let mut faults = FieldErrors::new();
    let mut points = Vec::with_capacity(listed.len());
    for (place, value) in listed.iter().enumerate() {
        let pairs = value.as_object().map(pairs_of).unwrap_or_default();
        match query::point(&pairs, rules) {
            Ok(point) => points.push(point),
            Err(wrong) => {
                for (field, texts) in wrong.iter() {
                    for text in texts {
                        faults.push(POINTS, format!("Point {}: {field}: {text}", place + 1));
                    }
                }
                if place + 1 - points.len() >= FAULTS_MAX {
                    break;
                }
            }
        }
    }
    if faults.is_empty() { Ok(points) } else { Err(faults) }
}

fn pairs_of(point: &Map<String, Value>) -> Pairs {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Null => None,
        other => Some(other.to_string()),
    };
    point.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

fn too_many(points_max: usize) -> FieldErrors {
    let text = format!(
        "No more than {points_max} points are kept warm. Delete some or raise \
         WEATHER_WARM_POINTS_MAX."
    );
    FieldErrors::one(POINTS, text)
}

fn refused(error: &StoreError) -> Response {
    tracing::warn!(%error, "the list of points is out of reach");
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "The list of points is out of reach")
        .with_header(RETRY_AFTER, HeaderValue::from(1_u64))
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .into_response()
}

fn uncached(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test panics")]
    use super::*;
    use crate::domain::ask::ProviderName;
    use crate::domain::place::{Cell, Zone};

    fn read(body: &str) -> Result<Vec<Point>, String> {
        let rules = QueryRules {
            default_zone: Zone::utc(),
            default_provider: ProviderName::OpenMeteo,
            range_days_max: 30,
        };
        points_of(body.as_bytes(), 3, &rules)
            .map_err(|faults| serde_json::to_string(&faults).unwrap())
    }

    #[test]
    fn points_are_read_as_numbers_or_texts() {
        let body = r#"{"points": [{"lat": 1, "lon": "2.5"}, {"lat": -1.291, "lon": 36.8, "tz": "africa/nairobi"}]}"#;
        let points = read(body).unwrap();
        assert_eq!(points[0], Point { cell: Cell::of(1.0, 2.5), zone: Zone::utc() });
        assert_eq!(points[1].zone.name(), "Africa/Nairobi");
        assert_eq!(read(r#"{"points": []}"#).unwrap(), []);
    }

    #[test]
    fn faults_name_the_point() {
        for (body, told) in [
            ("[", "Write {"),
            ("[]", "Write {"),
            (r#"{"points": [1]}"#, "Point 1: lat: This field is required."),
            (
                r#"{"points": [{"lat": 1, "lon": 2}, {"lat": 91, "lon": 2, "tz": "Mars"}]}"#,
                "Point 2: lat: Ensure this value is less than or equal to 90.0.",
            ),
            (r#"{"points": [{"lat": 1, "lon": 2, "tz": "Mars"}]}"#, "tz: Invalid timezone."),
            (r#"{"points": [1, 2, 3, 4]}"#, "No more than 3 points"),
        ] {
            let error = read(body).unwrap_err();
            assert!(error.contains(told), "{body}: {error}");
        }
    }
}
