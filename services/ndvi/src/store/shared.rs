//! What do both databases do in the same words?
//!
//! Fields, observations and jobs have the same tables in both, so that their statements are the
//! same but for how a claim locks its row. The types of a store give each statement its connection:
//! `read` one of the pool, `write` a transaction that may write, `queueing` one that nobody else
//! queues a job beside.

/// Jobs that are given up by one claim before it leaves the rest to the next.
pub(super) const GIVEN_UP_MAX: u32 = 64;

/// Jobs that are forgotten by one statement, so that it never holds its locks for long.
pub(super) const FORGET_MAX: i64 = 500;

pub(super) const PUT_FIELD: &str = "INSERT INTO ndvi_fields (id, geometry, area_ha, revision, updated_at) \
     VALUES ($1, $2, $3, 1, $4) \
     ON CONFLICT (id) DO UPDATE SET geometry = excluded.geometry, area_ha = excluded.area_ha, \
     revision = ndvi_fields.revision + 1, updated_at = excluded.updated_at \
     WHERE ndvi_fields.geometry <> excluded.geometry \
     RETURNING id, geometry, area_ha, revision, updated_at";

pub(super) const FIELD: &str =
    "SELECT id, geometry, area_ha, revision, updated_at FROM ndvi_fields WHERE id = $1";

pub(super) const PUT_SURVEY: &str = "INSERT INTO ndvi_surveys (field_id, revision, engine_version, \
     start_day, end_day, max_cloud_percent, surveyed_at, unread_count) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (field_id, revision, engine_version, start_day, end_day, \
     COALESCE(max_cloud_percent, -1.0)) DO UPDATE \
     SET surveyed_at = excluded.surveyed_at, unread_count = excluded.unread_count \
     WHERE excluded.surveyed_at >= ndvi_surveys.surveyed_at";

pub(super) const PUT_SEEN: &str = "INSERT INTO ndvi_observations (field_id, revision, \
     engine_version, scene_id, acquired_at, scene_cloud_cover_percent, mean, min, max, std, \
     median, p10, p25, p75, p90, pixel_count, valid_count, valid_pixel_fraction, cloud_fraction, \
     offset_dn, offset_reason, pixel_rule, flags) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
     $19, $20, $21, $22, $23) \
     ON CONFLICT (field_id, revision, engine_version, scene_id) DO UPDATE SET \
     acquired_at = excluded.acquired_at, \
     scene_cloud_cover_percent = excluded.scene_cloud_cover_percent, mean = excluded.mean, \
     min = excluded.min, max = excluded.max, std = excluded.std, median = excluded.median, \
     p10 = excluded.p10, p25 = excluded.p25, p75 = excluded.p75, p90 = excluded.p90, \
     pixel_count = excluded.pixel_count, valid_count = excluded.valid_count, \
     valid_pixel_fraction = excluded.valid_pixel_fraction, \
     cloud_fraction = excluded.cloud_fraction, offset_dn = excluded.offset_dn, \
     offset_reason = excluded.offset_reason, pixel_rule = excluded.pixel_rule, \
     flags = excluded.flags";

pub(super) const SEEN: &str = "SELECT scene_id, acquired_at, scene_cloud_cover_percent, mean, min, \
     max, std, median, p10, p25, p75, p90, pixel_count, valid_count, valid_pixel_fraction, \
     cloud_fraction, offset_dn, offset_reason, pixel_rule, flags FROM ndvi_observations \
     WHERE field_id = $1 AND revision = $2 AND engine_version = $3 \
     AND acquired_at >= $4 AND acquired_at < $5 ORDER BY acquired_at, scene_id LIMIT $6";

pub(super) const SURVEYS: &str = "SELECT id, start_day, end_day, max_cloud_percent, surveyed_at, \
     unread_count FROM ndvi_surveys WHERE field_id = $1 AND revision = $2 \
     AND engine_version = $3 AND start_day <= $5 AND end_day >= $4 \
     ORDER BY surveyed_at DESC, id DESC LIMIT $6";

/// The columns of a job that a row of it has.
macro_rules! job_columns {
    () => {
        "id, field_id, revision, work, state, attempts, error, token, created_at, updated_at"
    };
}

pub(super) const SAME_JOB: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM ndvi_jobs WHERE digest = $1 AND state IN ('queued', 'running')"
);

pub(super) const LAST_JOB: &str = concat!(
    "SELECT ",
    job_columns!(),
    " FROM ndvi_jobs WHERE field_id = $1 AND revision = $2 AND kind = $3 AND created_at > $4 \
     ORDER BY created_at DESC, seq DESC LIMIT 1"
);

pub(super) const WAITING: &str =
    "SELECT COUNT(*) FROM ndvi_jobs WHERE state IN ('queued', 'running')";

pub(super) const OLDEST: &str =
    "SELECT MIN(created_at) FROM ndvi_jobs WHERE state IN ('queued', 'running')";

pub(super) const QUEUE: &str = concat!(
    "INSERT INTO ndvi_jobs (id, field_id, revision, kind, work, digest, state, due_at, \
     created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, 'queued', $7, $7, $7) RETURNING ",
    job_columns!()
);

pub(super) const DUE: &str = "SELECT 1 FROM ndvi_jobs WHERE state IN ('queued', 'running') \
     AND due_at <= $1 LIMIT 1";

/// Takes the job that has been due for longest, or fails it when its attempts are used up. What
/// stands in the parentheses locks the row that was found.
macro_rules! claim {
    ($lock:literal) => {
        concat!(
            "WITH next AS MATERIALIZED (SELECT seq FROM ndvi_jobs \
             WHERE state IN ('queued', 'running') AND due_at <= $1 \
             ORDER BY due_at, seq LIMIT 1 ",
            $lock,
            ") UPDATE ndvi_jobs SET token = token + 1, due_at = $2, updated_at = $1, \
             state = CASE WHEN attempts >= $3 THEN 'failed' ELSE 'running' END, \
             error = CASE WHEN attempts < $3 THEN error \
             ELSE $4 || COALESCE(' An earlier one said: ' || error, '') END, \
             attempts = CASE WHEN attempts >= $3 THEN attempts ELSE attempts + 1 END \
             WHERE seq IN (SELECT seq FROM next) RETURNING ",
            crate::store::shared::job_columns!()
        )
    };
}

pub(super) const EXTEND: &str =
    "UPDATE ndvi_jobs SET due_at = $3 WHERE id = $1 AND token = $2 AND state = 'running'";

pub(super) const FINISH: &str = "UPDATE ndvi_jobs SET state = $3, due_at = $4, error = $5, \
     updated_at = $6 WHERE id = $1 AND token = $2 AND state = 'running'";

pub(super) const JOB: &str = concat!("SELECT ", job_columns!(), " FROM ndvi_jobs WHERE id = $1");

pub(super) const FORGET: &str = "DELETE FROM ndvi_jobs WHERE seq IN (SELECT seq FROM ndvi_jobs \
     WHERE state IN ('done', 'failed') AND updated_at < $1 ORDER BY updated_at LIMIT $2)";

/// Keeps fields in `$store`.
macro_rules! keep_fields {
    ($store:ty) => {
        #[async_trait]
        impl FieldStore for $store {
            async fn put_field(&self, draft: &FieldDraft) -> Result<(Field, Put), StoreError> {
                let mut write = self.write().await?;
                let put: Option<FieldRow> = sqlx::query_as(shared::PUT_FIELD)
                    .bind(draft.id.as_str())
                    .bind(draft.outline.to_geojson().to_string())
                    .bind(draft.outline.area_ha())
                    .bind(Micros::of(draft.at))
                    .fetch_optional(&mut **write)
                    .await?;
                let (row, put) = match put {
                    Some(row) if row.revision == 1 => (row, Put::Created),
                    Some(row) => (row, Put::Replaced),
                    None => {
                        let kept = sqlx::query_as(shared::FIELD).bind(draft.id.as_str());
                        (kept.fetch_one(&mut **write).await?, Put::Unchanged)
                    }
                };
                write.commit().await?;
                Ok((row.read()?, put))
            }

            async fn field(&self, id: &FieldId) -> Result<Option<Field>, StoreError> {
                let mut read = self.read().await?;
                let row: Option<FieldRow> = sqlx::query_as(shared::FIELD)
                    .bind(id.as_str())
                    .fetch_optional(&mut **read)
                    .await?;
                row.map(FieldRow::read).transpose()
            }
        }
    };
}

/// Keeps observations in `$store`.
macro_rules! keep_observations {
    ($store:ty) => {
        #[async_trait]
        impl ObservationStore for $store {
            async fn put_seen(
                &self,
                series: &Series,
                survey: &Survey,
                seen: &[Seen],
            ) -> Result<(), StoreError> {
                let mut write = self.write().await?;
                for one in seen {
                    let Observation { ndvi, flags, .. } = &one.observation;
                    let number = |of: fn(&Summary) -> f64| ndvi.summary().map(of);
                    sqlx::query(shared::PUT_SEEN)
                        .bind(series.field.as_str())
                        .bind(series.revision)
                        .bind(series.engine_version.as_str())
                        .bind(one.scene_id.as_str())
                        .bind(Micros::of(one.acquired_at))
                        .bind(one.scene_cloud_cover_percent)
                        .bind(number(|summary| summary.mean))
                        .bind(number(|summary| summary.min))
                        .bind(number(|summary| summary.max))
                        .bind(number(|summary| summary.std))
                        .bind(number(|summary| summary.median))
                        .bind(number(|summary| summary.p10))
                        .bind(number(|summary| summary.p25))
                        .bind(number(|summary| summary.p75))
                        .bind(number(|summary| summary.p90))
                        .bind(count(one.observation.pixel_count))
                        .bind(count(one.observation.valid_count))
                        .bind(one.observation.valid_pixel_fraction)
                        .bind(one.observation.cloud_fraction)
                        .bind(one.observation.offset_dn)
                        .bind(word(&one.observation.offset_reason))
                        .bind(word(&one.observation.pixel_rule))
                        .bind(serde_json::to_string(flags).unwrap_or_default())
                        .execute(&mut **write)
                        .await?;
                }
                sqlx::query(shared::PUT_SURVEY)
                    .bind(series.field.as_str())
                    .bind(series.revision)
                    .bind(series.engine_version.as_str())
                    .bind(Day(survey.start))
                    .bind(Day(survey.end))
                    .bind(survey.max_cloud_percent)
                    .bind(Micros::of(survey.at))
                    .bind(i64::from(survey.unread_count))
                    .execute(&mut **write)
                    .await?;
                Ok(write.commit().await?)
            }

            async fn seen(
                &self,
                series: &Series,
                start: Date,
                end: Date,
                limit: u32,
            ) -> Result<Vec<Seen>, StoreError> {
                let mut read = self.read().await?;
                let rows: Vec<SeenRow> = sqlx::query_as(shared::SEEN)
                    .bind(series.field.as_str())
                    .bind(series.revision)
                    .bind(series.engine_version.as_str())
                    .bind(Micros::of_day(start))
                    .bind(Micros::after_day(end))
                    .bind(i64::from(limit))
                    .fetch_all(&mut **read)
                    .await?;
                rows.into_iter().map(SeenRow::read).collect()
            }

            async fn surveys(
                &self,
                series: &Series,
                start: Date,
                end: Date,
                limit: u32,
            ) -> Result<Vec<Survey>, StoreError> {
                let mut read = self.read().await?;
                let rows: Vec<SurveyRow> = sqlx::query_as(shared::SURVEYS)
                    .bind(series.field.as_str())
                    .bind(series.revision)
                    .bind(series.engine_version.as_str())
                    .bind(Day(start))
                    .bind(Day(end))
                    .bind(i64::from(limit))
                    .fetch_all(&mut **read)
                    .await?;
                rows.into_iter().map(SurveyRow::read).collect()
            }
        }
    };
}

/// Keeps jobs in `$store`, which has a statement `CLAIM` of its own.
macro_rules! keep_jobs {
    ($store:ty) => {
        #[async_trait]
        impl JobQueue for $store {
            async fn queue(
                &self,
                draft: &JobDraft,
                cooldown: Duration,
                waiting_max: u32,
            ) -> Result<Queued, StoreError> {
                let mut write = self.queueing().await?;
                let same: Option<JobRow> = sqlx::query_as(shared::SAME_JOB)
                    .bind(draft.digest.as_slice())
                    .fetch_optional(&mut **write)
                    .await?;
                if let Some(same) = same {
                    return Ok(Queued::Already(same.read()?));
                }
                let last: Option<JobRow> = sqlx::query_as(shared::LAST_JOB)
                    .bind(draft.field.as_str())
                    .bind(draft.revision)
                    .bind(draft.work.kind())
                    .bind(Micros::of(draft.at).minus(cooldown))
                    .fetch_optional(&mut **write)
                    .await?;
                if let Some(last) = last {
                    return Ok(Queued::CoolingDown(last.read()?));
                }
                let waiting: i64 =
                    sqlx::query_scalar(shared::WAITING).fetch_one(&mut **write).await?;
                if waiting >= i64::from(waiting_max) {
                    return Ok(Queued::Full);
                }
                let queued: JobRow = sqlx::query_as(shared::QUEUE)
                    .bind(draft.id.as_str())
                    .bind(draft.field.as_str())
                    .bind(draft.revision)
                    .bind(draft.work.kind())
                    .bind(serde_json::to_string(&draft.work).unwrap_or_default())
                    .bind(draft.digest.as_slice())
                    .bind(Micros::of(draft.at))
                    .fetch_one(&mut **write)
                    .await?;
                write.commit().await?;
                Ok(Queued::New(queued.read()?))
            }

            async fn claim(
                &self,
                lease: Duration,
                now: Timestamp,
            ) -> Result<Option<Claim>, StoreError> {
                for _ in 0..shared::GIVEN_UP_MAX {
                    // Looks without the right to write first, so that workers without work
                    // disturb nobody.
                    let mut read = self.read().await?;
                    let due: Option<i32> = sqlx::query_scalar(shared::DUE)
                        .bind(Micros::of(now))
                        .fetch_optional(&mut **read)
                        .await?;
                    drop(read);
                    if due.is_none() {
                        return Ok(None);
                    }
                    let mut write = self.write().await?;
                    let row: Option<JobRow> = sqlx::query_as(Self::CLAIM)
                        .bind(Micros::of(now))
                        .bind(Micros::of(now).plus(lease))
                        .bind(i64::from(ATTEMPTS_MAX))
                        .bind(given_up())
                        .fetch_optional(&mut **write)
                        .await?;
                    write.commit().await?;
                    let Some(row) = row else { return Ok(None) };
                    if !row.was_given_up() {
                        return row.claim().map(Some);
                    }
                }
                Ok(None)
            }

            async fn extend(
                &self,
                claim: &Claim,
                lease: Duration,
                now: Timestamp,
            ) -> Result<bool, StoreError> {
                let mut write = self.write().await?;
                let done = sqlx::query(shared::EXTEND)
                    .bind(claim.job.id.as_str())
                    .bind(claim.token)
                    .bind(Micros::of(now).plus(lease))
                    .execute(&mut **write)
                    .await?;
                write.commit().await?;
                Ok(done.rows_affected() > 0)
            }

            async fn finish(
                &self,
                claim: &Claim,
                verdict: &Verdict,
                now: Timestamp,
            ) -> Result<bool, StoreError> {
                let ending = verdict.ending(claim.job.attempts, now);
                let mut write = self.write().await?;
                let done = sqlx::query(shared::FINISH)
                    .bind(claim.job.id.as_str())
                    .bind(claim.token)
                    .bind(word(&ending.state))
                    .bind(Micros::of(ending.due_at))
                    .bind(ending.error)
                    .bind(Micros::of(now))
                    .execute(&mut **write)
                    .await?;
                write.commit().await?;
                Ok(done.rows_affected() > 0)
            }

            async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
                let mut read = self.read().await?;
                let row: Option<JobRow> = sqlx::query_as(shared::JOB)
                    .bind(id.as_str())
                    .fetch_optional(&mut **read)
                    .await?;
                row.map(JobRow::read).transpose()
            }

            async fn waiting(&self) -> Result<u64, StoreError> {
                let mut read = self.read().await?;
                let count: i64 = sqlx::query_scalar(shared::WAITING).fetch_one(&mut **read).await?;
                Ok(count.unsigned_abs())
            }

            async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
                let mut read = self.read().await?;
                let oldest: Option<Micros> =
                    sqlx::query_scalar(shared::OLDEST).fetch_one(&mut **read).await?;
                let damaged = || StoreError::Damaged { what: "the age of", id: "a job".to_owned() };
                oldest.map(|oldest| oldest.timestamp().ok_or_else(damaged)).transpose()
            }

            async fn forget_jobs(&self, before: Timestamp) -> Result<u64, StoreError> {
                let mut write = self.write().await?;
                let done = sqlx::query(shared::FORGET)
                    .bind(Micros::of(before))
                    .bind(shared::FORGET_MAX)
                    .execute(&mut **write)
                    .await?;
                write.commit().await?;
                Ok(done.rows_affected())
            }
        }
    };
}

pub(super) use {claim, job_columns, keep_fields, keep_jobs, keep_observations};
