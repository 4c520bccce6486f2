-- Points whose answers are fetched before anybody asks.
-- Cells are hundredths of a degree; times are milliseconds since the Unix epoch.
CREATE TABLE warm_point (
    cell_lat   INTEGER NOT NULL,
    cell_lon   INTEGER NOT NULL,
    tz         TEXT    NOT NULL,
    last_ok    INTEGER,
    last_error TEXT,
    PRIMARY KEY (cell_lat, cell_lon, tz)
) WITHOUT ROWID;

-- Who of several processes does what only one should do, and until when.
CREATE TABLE lease (
    name       TEXT    NOT NULL PRIMARY KEY,
    holder     TEXT    NOT NULL,
    held_until INTEGER NOT NULL
) WITHOUT ROWID;
