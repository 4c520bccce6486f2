-- Answers of the providers as they came, one row a call.
-- Cells are hundredths of a degree, so that equal cells are equal numbers.
-- Times are milliseconds since the Unix epoch; days are 'YYYY-MM-DD', or '' where a kind has none.
CREATE TABLE provider_fetch (
    id          INTEGER PRIMARY KEY,
    provider    TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    cell_lat    INTEGER NOT NULL,
    cell_lon    INTEGER NOT NULL,
    tz          TEXT    NOT NULL,
    range_start TEXT    NOT NULL,
    range_end   TEXT    NOT NULL,
    fetched_at  INTEGER NOT NULL,
    http_status INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    weight      REAL    NOT NULL,
    body        BLOB    NOT NULL
);

CREATE INDEX provider_fetch_by_ask ON provider_fetch
    (provider, kind, cell_lat, cell_lon, tz, range_start, range_end, fetched_at);
CREATE INDEX provider_fetch_by_age ON provider_fetch (fetched_at);

-- The newest known values of each day, in published units; NULL where the provider had none.
CREATE TABLE daily_value (
    provider   TEXT    NOT NULL,
    cell_lat   INTEGER NOT NULL,
    cell_lon   INTEGER NOT NULL,
    tz         TEXT    NOT NULL,
    day        TEXT    NOT NULL,
    t_min      REAL,
    t_max      REAL,
    precip     REAL,
    wind_max   REAL,
    fetched_at INTEGER NOT NULL,
    PRIMARY KEY (provider, cell_lat, cell_lon, tz, day)
) WITHOUT ROWID;

CREATE INDEX daily_value_by_age ON daily_value (fetched_at);
