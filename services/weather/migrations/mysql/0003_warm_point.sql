-- Points whose answers are fetched before anybody asks.
CREATE TABLE IF NOT EXISTS weather_warm_point (
    cell_lat   INT         NOT NULL,
    cell_lon   INT         NOT NULL,
    tz         VARCHAR(64) NOT NULL,
    last_ok    BIGINT,
    last_error VARCHAR(512),
    PRIMARY KEY (cell_lat, cell_lon, tz)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
