//! How is an observation, or its absence, shown to clients?

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::buckets::{Bucket, Gap};
use crate::domain::footprint::PixelRule;
use crate::domain::observation::Flag;
use crate::domain::offset::OffsetReason;
use crate::domain::seen::Seen;

/// One day of a series. A day without a value has nulls and a reason.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BucketView {
    /// The day that was asked for, UTC.
    bucket_date: Date,
    mean: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    /// Pixels that the numbers are made of.
    sample_count: Option<u64>,
    /// Share of the field hidden by cloud, 0 to 1; null when the scene has no classification.
    cloud_fraction: Option<f64>,
    /// When the scene was acquired: it may be some days from the bucket, and stand in several.
    acquired_at: Option<Timestamp>,
    scene_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reason: Option<Gap>,
    #[serde(flatten)]
    #[schema(value_type = Detail)]
    detail: Option<Detail>,
}

/// What else is known of a value; absent without one.
#[derive(Debug, Serialize, ToSchema)]
struct Detail {
    #[schema(required = false)]
    std: f64,
    #[schema(required = false)]
    median: f64,
    #[schema(required = false)]
    p10: f64,
    #[schema(required = false)]
    p90: f64,
    #[schema(required = false)]
    pixel_count: u64,
    #[schema(required = false)]
    valid_pixel_fraction: Option<f64>,
    #[schema(required = false)]
    scene_cloud_cover_percent: Option<f64>,
    #[schema(required = false)]
    offset_dn: i32,
    #[schema(value_type = String, required = false)]
    offset_reason: OffsetReason,
    #[schema(value_type = String, required = false)]
    pixel_rule: PixelRule,
    #[schema(value_type = Vec<String>, required = false)]
    flags: Vec<Flag>,
}

impl BucketView {
    pub(super) fn new(bucket: &Bucket<'_>) -> Self {
        match bucket.seen {
            Ok(seen) => Self::seen(bucket.date, seen),
            Err(gap) => Self::gap(bucket.date, gap),
        }
    }

    /// What was seen on a day.
    pub(super) fn seen(bucket_date: Date, seen: &Seen) -> Self {
        let Seen { scene_id, acquired_at, scene_cloud_cover_percent, observation } = seen;
        let summary = observation.ndvi.summary();
        Self {
            bucket_date,
            mean: summary.map(|summary| summary.mean),
            min: summary.map(|summary| summary.min),
            max: summary.map(|summary| summary.max),
            sample_count: Some(observation.valid_count),
            cloud_fraction: observation.cloud_fraction,
            acquired_at: Some(*acquired_at),
            scene_id: Some(scene_id.clone()),
            reason: None,
            detail: summary.map(|summary| Detail {
                std: summary.std,
                median: summary.median,
                p10: summary.p10,
                p90: summary.p90,
                pixel_count: observation.pixel_count,
                valid_pixel_fraction: observation.valid_pixel_fraction,
                scene_cloud_cover_percent: *scene_cloud_cover_percent,
                offset_dn: observation.offset_dn,
                offset_reason: observation.offset_reason,
                pixel_rule: observation.pixel_rule,
                flags: observation.flags.clone(),
            }),
        }
    }

    fn gap(bucket_date: Date, gap: Gap) -> Self {
        Self {
            bucket_date,
            mean: None,
            min: None,
            max: None,
            sample_count: None,
            cloud_fraction: None,
            acquired_at: None,
            scene_id: None,
            reason: Some(gap),
            detail: None,
        }
    }
}
