//! What does a row of the database say, whichever database it is from?

use serde_json::value::RawValue;
use sqlx::FromRow;

use super::error::StoreError;
use super::values::{Day, Micros, of_word};
use super::{Seen, Survey};
use crate::domain::field::{Field, FieldId};
use crate::domain::job::{Claim, Job, JobId};
use crate::domain::observation::{Absent, Numbers, Observation};
use crate::domain::sample::{Extremes, FarmId, Sample};
use crate::domain::statistics::Summary;

#[derive(FromRow)]
pub(super) struct SampleRow {
    id: i64,
    farm_id: String,
    timestamp: Micros,
    mean: f64,
    min: f64,
    max: f64,
    source: Option<String>,
    geometry: Option<String>,
}

impl SampleRow {
    pub(super) fn read(self) -> Result<Sample, StoreError> {
        let id = self.id.to_string();
        self.sample().ok_or(StoreError::Damaged { what: "sample", id })
    }

    fn sample(self) -> Option<Sample> {
        let geometry = self.geometry.map(RawValue::from_string).transpose().ok()?;
        Some(Sample {
            farm_id: FarmId::parse(&self.farm_id)?,
            timestamp: self.timestamp.timestamp()?,
            values: Extremes::new(self.mean, self.min, self.max)?,
            source: self.source.filter(|source| !source.is_empty()),
            geometry,
        })
    }
}

#[derive(FromRow)]
pub(super) struct FieldRow {
    pub(super) id: String,
    geometry: String,
    area_ha: f64,
    pub(super) revision: i64,
    updated_at: Micros,
}

impl FieldRow {
    pub(super) fn read(self) -> Result<Field, StoreError> {
        let id = self.id.clone();
        self.field().ok_or(StoreError::Damaged { what: "field", id })
    }

    fn field(self) -> Option<Field> {
        Some(Field {
            id: FieldId::parse(&self.id)?,
            geometry: self.geometry.parse().ok()?,
            area_ha: self.area_ha,
            revision: self.revision,
            updated_at: self.updated_at.timestamp()?,
        })
    }
}

#[derive(FromRow)]
pub(super) struct SeenRow {
    scene_id: String,
    acquired_at: Micros,
    scene_cloud_cover_percent: Option<f64>,
    mean: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    std: Option<f64>,
    median: Option<f64>,
    p10: Option<f64>,
    p25: Option<f64>,
    p75: Option<f64>,
    p90: Option<f64>,
    pixel_count: i64,
    valid_count: i64,
    valid_pixel_fraction: Option<f64>,
    cloud_fraction: Option<f64>,
    offset_dn: i32,
    offset_reason: String,
    pixel_rule: String,
    flags: String,
}

impl SeenRow {
    pub(super) fn read(self) -> Result<Seen, StoreError> {
        let id = self.scene_id.clone();
        self.seen().ok_or(StoreError::Damaged { what: "observation of scene", id })
    }

    fn seen(self) -> Option<Seen> {
        Some(Seen {
            acquired_at: self.acquired_at.timestamp()?,
            scene_cloud_cover_percent: self.scene_cloud_cover_percent,
            observation: Observation {
                ndvi: self.numbers()?,
                pixel_count: u64::try_from(self.pixel_count).ok()?,
                valid_count: u64::try_from(self.valid_count).ok()?,
                valid_pixel_fraction: self.valid_pixel_fraction,
                cloud_fraction: self.cloud_fraction,
                offset_dn: self.offset_dn,
                offset_reason: of_word(self.offset_reason)?,
                pixel_rule: of_word(self.pixel_rule)?,
                flags: serde_json::from_str(&self.flags).ok()?,
            },
            scene_id: self.scene_id,
        })
    }

    /// All numbers or none; `None` when some are missing.
    fn numbers(&self) -> Option<Numbers> {
        let Some(mean) = self.mean else {
            let rest = [self.min, self.max, self.std, self.median, self.p10, self.p25];
            let rest = rest.into_iter().chain([self.p75, self.p90]);
            return (rest.flatten().count() == 0).then(|| Numbers::None(Absent::default()));
        };
        Some(Numbers::Some(Summary {
            mean,
            min: self.min?,
            max: self.max?,
            std: self.std?,
            median: self.median?,
            p10: self.p10?,
            p25: self.p25?,
            p75: self.p75?,
            p90: self.p90?,
        }))
    }
}

#[derive(FromRow)]
pub(super) struct SurveyRow {
    id: i64,
    start_day: Day,
    end_day: Day,
    max_cloud_percent: Option<f64>,
    surveyed_at: Micros,
    unread_count: i64,
}

impl SurveyRow {
    pub(super) fn read(self) -> Result<Survey, StoreError> {
        let damaged = || StoreError::Damaged { what: "survey", id: self.id.to_string() };
        Ok(Survey {
            start: self.start_day.0,
            end: self.end_day.0,
            max_cloud_percent: self.max_cloud_percent,
            at: self.surveyed_at.timestamp().ok_or_else(damaged)?,
            unread_count: u32::try_from(self.unread_count).map_err(|_| damaged())?,
        })
    }
}

#[derive(FromRow)]
pub(super) struct JobRow {
    id: String,
    field_id: String,
    revision: i64,
    work: String,
    state: String,
    attempts: i64,
    error: Option<String>,
    token: i64,
    created_at: Micros,
    updated_at: Micros,
}

impl JobRow {
    /// Whether a claim found that the job has had all its attempts.
    pub(super) fn was_given_up(&self) -> bool {
        self.state == "failed"
    }

    pub(super) fn claim(self) -> Result<Claim, StoreError> {
        let token = self.token;
        Ok(Claim { job: self.read()?, token })
    }

    pub(super) fn read(self) -> Result<Job, StoreError> {
        let id = self.id.clone();
        self.job().ok_or(StoreError::Damaged { what: "job", id })
    }

    fn job(self) -> Option<Job> {
        Some(Job {
            id: JobId::parse(&self.id)?,
            field: FieldId::parse(&self.field_id)?,
            revision: self.revision,
            work: serde_json::from_str(&self.work).ok()?,
            state: of_word(self.state)?,
            attempts: u32::try_from(self.attempts).ok()?,
            error: self.error,
            created_at: self.created_at.timestamp()?,
            updated_at: self.updated_at.timestamp()?,
        })
    }
}
