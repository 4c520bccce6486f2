//! What do programs read of parameters, bodies, and answers whose shapes are made while they are
//! written?

#![expect(dead_code, reason = "only the descriptions of these are used")]

use jiff::Timestamp;
use jiff::civil::Date;
use utoipa::{IntoParams, ToSchema};

/// What the document says of the whole.
#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "ndvi",
    description = "NDVI of field outlines from Sentinel-2, and samples that others sent."
))]
pub(super) struct Document;

/// A GeoJSON Polygon or MultiPolygon in WGS84 longitude and latitude (RFC 7946).
#[derive(ToSchema)]
pub(super) struct Outline {
    /// `Polygon` or `MultiPolygon`.
    r#type: String,
    /// Rings of positions, or polygons of them.
    coordinates: Vec<serde_json::Value>,
}

/// A request for statistics.
#[derive(ToSchema)]
pub(super) struct StatisticsBody {
    geometry: Outline,
    /// First day, UTC.
    start: Date,
    /// Last day, UTC.
    end: Date,
    /// Largest cloud cover of a whole scene in percent, 0 to 100.
    max_cloud: Option<f64>,
}

/// Statistics of an outline.
#[derive(ToSchema)]
pub(super) struct StatisticsAnswer {
    /// `ok`, or `partial` when a scene could not be read.
    status: String,
    engine_version: String,
    /// Geodesic area in hectares.
    area_ha: f64,
    start: Date,
    end: Date,
    max_cloud: Option<f64>,
    /// One entry a scene, in order of time.
    scenes: Vec<SceneAnswer>,
    /// Scenes that are listed in a form that cannot be read.
    unusable_scene_count: u64,
}

/// What one scene shows of an outline. The numbers are null without a valid pixel, and absent
/// where the scene could not be read.
#[derive(ToSchema)]
pub(super) struct SceneAnswer {
    scene_id: String,
    acquired_at: Timestamp,
    /// Of the whole scene, in percent.
    scene_cloud_cover_percent: Option<f64>,
    /// `ok` or `failed`.
    status: String,
    #[schema(required = false)]
    mean: Option<f64>,
    #[schema(required = false)]
    min: Option<f64>,
    #[schema(required = false)]
    max: Option<f64>,
    /// Standard deviation of the population.
    #[schema(required = false)]
    std: Option<f64>,
    #[schema(required = false)]
    median: Option<f64>,
    #[schema(required = false)]
    p10: Option<f64>,
    #[schema(required = false)]
    p25: Option<f64>,
    #[schema(required = false)]
    p75: Option<f64>,
    #[schema(required = false)]
    p90: Option<f64>,
    /// Pixels of the outline in the scene.
    pixel_count: Option<u64>,
    /// Of these, pixels with data that the classification lets count.
    valid_count: Option<u64>,
    /// `valid_count / pixel_count`.
    #[schema(required = false)]
    valid_pixel_fraction: Option<f64>,
    /// Share of the pixels that are cloud, 0 to 1; null without a classification.
    #[schema(required = false)]
    cloud_fraction: Option<f64>,
    /// Added to each digital number.
    offset_dn: Option<i32>,
    /// Why that offset.
    offset_reason: Option<String>,
    /// `centre`, or `all_touched` for a field without a pixel's centre.
    pixel_rule: Option<String>,
    flags: Option<Vec<String>>,
    /// Why it could not be read.
    error: Option<String>,
}

/// A sample that somebody else computed.
#[derive(ToSchema)]
pub(super) struct SampleBody {
    /// A UUID.
    farm_id: String,
    /// RFC 3339, with an offset.
    timestamp: String,
    #[schema(minimum = -1, maximum = 1)]
    mean: f64,
    #[schema(minimum = -1, maximum = 1)]
    min: f64,
    #[schema(minimum = -1, maximum = 1)]
    max: f64,
    /// Where the values come from.
    source: Option<String>,
    /// Any JSON.
    geometry: Option<serde_json::Value>,
}

/// That a sample is kept.
#[derive(ToSchema)]
pub(super) struct SampleCreated {
    /// `created`, also when the same sample was kept before.
    status: String,
}

/// Samples of a farm, newest first; without parameters a hint under `message`.
#[derive(ToSchema)]
pub(super) struct SamplesAnswer {
    samples: Option<Vec<SampleBody>>,
    count: Option<u64>,
    /// More samples match than are shown.
    truncated: Option<bool>,
    /// How to ask.
    message: Option<String>,
}

/// Which samples are wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SampleParams {
    /// A UUID.
    farm_id: Option<String>,
    /// Not before: a day or an instant.
    start: Option<String>,
    /// Not after: a day or an instant.
    end: Option<String>,
    /// At most so many.
    limit: Option<u32>,
}

/// Which field.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct FarmParams {
    /// 1 to 64 letters, digits, dots, dashes and underscores.
    id: String,
}

/// Which job.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct JobParams {
    /// 32 hexadecimal digits.
    id: String,
}

/// How far back an observation may lie.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LatestParams {
    /// Days back from today.
    lookback_days: Option<u32>,
    /// Largest cloud cover of a whole scene in percent.
    max_cloud: Option<f64>,
}

/// Which series.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SeriesParams {
    /// First day, UTC.
    start: Option<Date>,
    /// Last day, UTC; today if left out.
    end: Option<Date>,
    /// Days from one bucket to the next.
    #[param(minimum = 1, maximum = 30, default = 7)]
    step_days: Option<u32>,
    /// Largest cloud cover of a whole scene in percent.
    max_cloud: Option<f64>,
    /// `v1`.
    representation: Option<String>,
}

/// Which picture.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RasterParams {
    /// The day, UTC; the newest one with a value if left out.
    date: Option<Date>,
    /// Longer side in pixels.
    #[param(minimum = 128, maximum = 1024)]
    size: Option<u32>,
    /// Largest cloud cover of a whole scene in percent.
    max_cloud: Option<f64>,
    /// `fixed` from -1 to 1, or `histogram` over the field's own values.
    stretch: Option<String>,
    /// Whether the colours are explained beside the field.
    legend: Option<bool>,
}

/// What is to be looked at in the background.
#[derive(ToSchema)]
pub(super) struct RefreshBody {
    /// First day, UTC.
    start: Option<Date>,
    /// Last day, UTC.
    end: Option<Date>,
    /// Largest cloud cover of a whole scene in percent.
    max_cloud: Option<f64>,
}

/// What is to be painted in the background.
#[derive(ToSchema)]
pub(super) struct PaintBody {
    /// The day, UTC; the newest one with a value if left out.
    date: Option<Date>,
    /// Longer side in pixels.
    #[schema(minimum = 128, maximum = 1024)]
    size: Option<u32>,
    /// Largest cloud cover of a whole scene in percent.
    max_cloud: Option<f64>,
}

/// The day of the scene, for titiler's clients.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DayParams {
    /// The day of the scene, UTC.
    datetime: Date,
}
