//! Which statements do both databases understand?
//!
//! Fields, observations and jobs have the same tables in both, but for the types of instants and
//! days. Samples have not: the operator's table in Postgres is older than this service.

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

pub(super) const SEEN: &str = "SELECT * FROM (SELECT scene_id, acquired_at, \
     scene_cloud_cover_percent, mean, min, max, std, median, p10, p25, p75, p90, pixel_count, valid_count, valid_pixel_fraction, \
     cloud_fraction, offset_dn, offset_reason, pixel_rule, flags FROM ndvi_observations \
     WHERE field_id = $1 AND revision = $2 AND engine_version = $3 \
     AND acquired_at >= $4 AND acquired_at < $5 ORDER BY acquired_at DESC, scene_id DESC \
     LIMIT $6) AS newest ORDER BY acquired_at, scene_id";

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
            crate::store::statements::job_columns!()
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

pub(super) use {claim, job_columns};
