-- The newest known values of each day, in published units; NULL where the provider had none.
CREATE TABLE IF NOT EXISTS weather_daily_value (
    provider   VARCHAR(32) NOT NULL,
    cell_lat   INT         NOT NULL,
    cell_lon   INT         NOT NULL,
    tz         VARCHAR(64) NOT NULL,
    day        VARCHAR(16) NOT NULL,
    t_min      DOUBLE,
    t_max      DOUBLE,
    precip     DOUBLE,
    wind_max   DOUBLE,
    fetched_at BIGINT      NOT NULL,
    PRIMARY KEY (provider, cell_lat, cell_lon, tz, day),
    KEY weather_daily_value_by_age (fetched_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
