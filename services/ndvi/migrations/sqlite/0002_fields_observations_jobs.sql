-- Fields, what scenes showed of them, and work. Instants are microseconds since
-- 1970-01-01T00:00:00Z, days are written YYYY-MM-DD.

CREATE TABLE ndvi_fields (
    id TEXT PRIMARY KEY,
    geometry TEXT NOT NULL,
    area_ha REAL NOT NULL,
    -- Counts the outlines that the field has had.
    revision INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE ndvi_observations (
    field_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    engine_version TEXT NOT NULL,
    scene_id TEXT NOT NULL,
    acquired_at INTEGER NOT NULL,
    scene_cloud_cover_percent REAL,
    -- All of these or none: a field without a valid pixel has no numbers. An NDVI may leave
    -- [-1, 1] where an offset was taken off, but it is a number.
    mean REAL CHECK (abs(mean) <= 1e308),
    min REAL CHECK (abs(min) <= 1e308),
    max REAL CHECK (abs(max) <= 1e308),
    std REAL CHECK (abs(std) <= 1e308),
    median REAL CHECK (abs(median) <= 1e308),
    p10 REAL CHECK (abs(p10) <= 1e308),
    p25 REAL CHECK (abs(p25) <= 1e308),
    p75 REAL CHECK (abs(p75) <= 1e308),
    p90 REAL CHECK (abs(p90) <= 1e308),
    pixel_count INTEGER NOT NULL,
    valid_count INTEGER NOT NULL,
    valid_pixel_fraction REAL,
    cloud_fraction REAL,
    offset_dn INTEGER NOT NULL,
    offset_reason TEXT NOT NULL,
    pixel_rule TEXT NOT NULL,
    -- A JSON array of words.
    flags TEXT NOT NULL,
    PRIMARY KEY (field_id, revision, engine_version, scene_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX ndvi_observations_by_time
    ON ndvi_observations (field_id, revision, engine_version, acquired_at, scene_id);

CREATE TABLE ndvi_surveys (
    id INTEGER PRIMARY KEY,
    field_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    engine_version TEXT NOT NULL,
    start_day TEXT NOT NULL,
    end_day TEXT NOT NULL,
    max_cloud_percent REAL,
    surveyed_at INTEGER NOT NULL,
    unread_count INTEGER NOT NULL
) STRICT;

-- A survey that is repeated takes the place of the former one. NULLs would never count as equal.
CREATE UNIQUE INDEX ndvi_surveys_once ON ndvi_surveys
    (field_id, revision, engine_version, start_day, end_day, COALESCE(max_cloud_percent, -1.0));

CREATE TABLE ndvi_jobs (
    -- The order in which jobs were queued.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    field_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL,
    work TEXT NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    -- Grows with each claim: who shows an older one has lost the job.
    token INTEGER NOT NULL DEFAULT 0,
    -- When the job may be claimed: a queued one's time, a running one's end of lease.
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX ndvi_jobs_once ON ndvi_jobs (digest) WHERE state IN ('queued', 'running');
CREATE INDEX ndvi_jobs_due ON ndvi_jobs (due_at, seq) WHERE state IN ('queued', 'running');
CREATE INDEX ndvi_jobs_cooldown ON ndvi_jobs (field_id, revision, kind, created_at);
CREATE INDEX ndvi_jobs_ended ON ndvi_jobs (updated_at) WHERE state IN ('done', 'failed');
