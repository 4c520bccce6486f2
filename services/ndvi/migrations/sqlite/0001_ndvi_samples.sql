-- NDVI samples that others computed. Instants are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE ndvi_samples (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    farm_id TEXT NOT NULL,
    timestamp_us INTEGER NOT NULL,
    mean REAL NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    -- An absent source is stored as an empty text: NULLs would never count as equal below.
    source TEXT NOT NULL DEFAULT '',
    geometry TEXT,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    CHECK (-1.0 <= min AND min <= mean AND mean <= max AND max <= 1.0)
) STRICT;

-- A sample sent twice is stored once. The leading columns serve the query by farm and time.
CREATE UNIQUE INDEX ndvi_samples_once
    ON ndvi_samples (farm_id, timestamp_us, source, mean, min, max);
