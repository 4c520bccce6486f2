-- Building an index over old rows may take longer than any request may. Nobody writes meanwhile,
-- everybody reads.
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '10s';

-- A sample sent twice is stored once. NULLs would never count as equal.
CREATE UNIQUE INDEX ndvi_samples_once
    ON ndvi_samples (farm_id, "timestamp", (COALESCE(source, '')), mean, min, max) WHERE once;

CREATE INDEX ndvi_samples_by_time ON ndvi_samples (farm_id, "timestamp", id);
