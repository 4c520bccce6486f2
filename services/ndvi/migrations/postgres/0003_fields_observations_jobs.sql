-- Fields, what scenes showed of them, and work.

CREATE TABLE ndvi_fields (
    id text PRIMARY KEY,
    -- GeoJSON as it was written, so that equal outlines are equal texts.
    geometry text NOT NULL,
    area_ha double precision NOT NULL,
    -- Counts the outlines that the field has had.
    revision bigint NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE ndvi_observations (
    field_id text NOT NULL,
    revision bigint NOT NULL,
    engine_version text NOT NULL,
    scene_id text COLLATE "C" NOT NULL,
    acquired_at timestamptz NOT NULL,
    scene_cloud_cover_percent double precision,
    -- All of these or none: a field without a valid pixel has no numbers. An NDVI may leave
    -- [-1, 1] where an offset was taken off, but it is a number.
    mean double precision CHECK (mean > '-Infinity' AND mean < 'Infinity'),
    min double precision CHECK (min > '-Infinity' AND min < 'Infinity'),
    max double precision CHECK (max > '-Infinity' AND max < 'Infinity'),
    std double precision CHECK (std > '-Infinity' AND std < 'Infinity'),
    median double precision CHECK (median > '-Infinity' AND median < 'Infinity'),
    p10 double precision CHECK (p10 > '-Infinity' AND p10 < 'Infinity'),
    p25 double precision CHECK (p25 > '-Infinity' AND p25 < 'Infinity'),
    p75 double precision CHECK (p75 > '-Infinity' AND p75 < 'Infinity'),
    p90 double precision CHECK (p90 > '-Infinity' AND p90 < 'Infinity'),
    pixel_count bigint NOT NULL,
    valid_count bigint NOT NULL,
    valid_pixel_fraction double precision,
    cloud_fraction double precision,
    offset_dn integer NOT NULL,
    offset_reason text NOT NULL,
    pixel_rule text NOT NULL,
    -- A JSON array of words.
    flags text NOT NULL,
    PRIMARY KEY (field_id, revision, engine_version, scene_id)
);

CREATE INDEX ndvi_observations_by_time
    ON ndvi_observations (field_id, revision, engine_version, acquired_at, scene_id);

CREATE TABLE ndvi_surveys (
    id bigserial PRIMARY KEY,
    field_id text NOT NULL,
    revision bigint NOT NULL,
    engine_version text NOT NULL,
    start_day date NOT NULL,
    end_day date NOT NULL,
    max_cloud_percent double precision,
    surveyed_at timestamptz NOT NULL,
    unread_count bigint NOT NULL
);

-- A survey that is repeated takes the place of the former one. NULLs would never count as equal.
CREATE UNIQUE INDEX ndvi_surveys_once ON ndvi_surveys
    (field_id, revision, engine_version, start_day, end_day, (COALESCE(max_cloud_percent, -1.0)));

CREATE TABLE ndvi_jobs (
    -- The order in which jobs were queued.
    seq bigserial PRIMARY KEY,
    id text NOT NULL UNIQUE,
    field_id text NOT NULL,
    revision bigint NOT NULL,
    kind text NOT NULL,
    work text NOT NULL,
    digest bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
    attempts bigint NOT NULL DEFAULT 0,
    error text,
    -- Grows with each claim: who shows an older one has lost the job.
    token bigint NOT NULL DEFAULT 0,
    -- When the job may be claimed: a queued one's time, a running one's end of lease.
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX ndvi_jobs_once ON ndvi_jobs (digest) WHERE state IN ('queued', 'running');
CREATE INDEX ndvi_jobs_due ON ndvi_jobs (due_at, seq) WHERE state IN ('queued', 'running');
CREATE INDEX ndvi_jobs_cooldown ON ndvi_jobs (field_id, revision, kind, created_at);
CREATE INDEX ndvi_jobs_ended ON ndvi_jobs (updated_at) WHERE state IN ('done', 'failed');
