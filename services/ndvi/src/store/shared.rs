//! What do both databases do in the same way?
//!
//! The driver's types differ from database to database, so that each macro writes one trait for one
//! store. A store brings what differs: `read` takes a connection of the pool, `write` begins a
//! transaction that may write, `queueing` one beside which nobody else queues a job, and `CLAIM` says
//! how the row of a claimed job is locked.

/// Keeps fields in `$store`.
macro_rules! keep_fields {
    ($store:ty) => {
        #[async_trait]
        impl FieldStore for $store {
            async fn put_field(&self, draft: &FieldDraft) -> Result<(Field, Put), StoreError> {
                let mut write = self.write().await?;
                let put: Option<FieldRow> = sqlx::query_as(statements::PUT_FIELD)
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
                        let kept = sqlx::query_as(statements::FIELD).bind(draft.id.as_str());
                        (kept.fetch_one(&mut **write).await?, Put::Unchanged)
                    }
                };
                write.commit().await?;
                Ok((row.read()?, put))
            }

            async fn field(&self, id: &FieldId) -> Result<Option<Field>, StoreError> {
                let mut read = self.read().await?;
                let row: Option<FieldRow> = sqlx::query_as(statements::FIELD)
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
                    sqlx::query(statements::PUT_SEEN)
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
                sqlx::query(statements::PUT_SURVEY)
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
                let rows: Vec<SeenRow> = sqlx::query_as(statements::SEEN)
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
                let rows: Vec<SurveyRow> = sqlx::query_as(statements::SURVEYS)
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
                let same: Option<JobRow> = sqlx::query_as(statements::SAME_JOB)
                    .bind(draft.digest.as_slice())
                    .fetch_optional(&mut **write)
                    .await?;
                if let Some(same) = same {
                    return Ok(Queued::Already(same.read()?));
                }
                let last: Option<JobRow> = sqlx::query_as(statements::LAST_JOB)
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
                    sqlx::query_scalar(statements::WAITING).fetch_one(&mut **write).await?;
                if waiting >= i64::from(waiting_max) {
                    return Ok(Queued::Full);
                }
                let queued: JobRow = sqlx::query_as(statements::QUEUE)
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
                for _ in 0..statements::GIVEN_UP_MAX {
                    // Looks without the right to write first, so that workers without work
                    // disturb nobody.
                    let mut read = self.read().await?;
                    let due: Option<i32> = sqlx::query_scalar(statements::DUE)
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
                let done = sqlx::query(statements::EXTEND)
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
                let done = sqlx::query(statements::FINISH)
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
                let row: Option<JobRow> = sqlx::query_as(statements::JOB)
                    .bind(id.as_str())
                    .fetch_optional(&mut **read)
                    .await?;
                row.map(JobRow::read).transpose()
            }

            async fn waiting(&self) -> Result<u64, StoreError> {
                let mut read = self.read().await?;
                let count: i64 =
                    sqlx::query_scalar(statements::WAITING).fetch_one(&mut **read).await?;
                Ok(count.unsigned_abs())
            }

            async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
                let mut read = self.read().await?;
                let oldest: Option<Micros> =
                    sqlx::query_scalar(statements::OLDEST).fetch_one(&mut **read).await?;
                let damaged = || StoreError::Damaged { what: "the age of", id: "a job".to_owned() };
                oldest.map(|oldest| oldest.timestamp().ok_or_else(damaged)).transpose()
            }

            async fn forget_jobs(&self, before: Timestamp) -> Result<u64, StoreError> {
                let mut write = self.write().await?;
                let done = sqlx::query(statements::FORGET)
                    .bind(Micros::of(before))
                    .bind(statements::FORGET_MAX)
                    .execute(&mut **write)
                    .await?;
                write.commit().await?;
                Ok(done.rows_affected())
            }
        }
    };
}

pub(super) use {keep_fields, keep_jobs, keep_observations};
