-- Answers of the providers as they came, one row a call.
-- Cells are hundredths of a degree, so that equal cells are equal numbers.
-- Times are milliseconds since the Unix epoch; days are 'YYYY-MM-DD', or '' where a kind has none.
--
-- Every migration here is one statement that does no harm when it is run again: this server ends
-- a transaction with each change of a table, so one that was cut off is run once more.
CREATE TABLE IF NOT EXISTS weather_provider_fetch (
    id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    fetch_id    BINARY(16)      NOT NULL,
    provider    VARCHAR(32)     NOT NULL,
    kind        VARCHAR(16)     NOT NULL,
    cell_lat    INT             NOT NULL,
    cell_lon    INT             NOT NULL,
    tz          VARCHAR(64)     NOT NULL,
    range_start VARCHAR(16)     NOT NULL,
    range_end   VARCHAR(16)     NOT NULL,
    fetched_at  BIGINT          NOT NULL,
    http_status SMALLINT UNSIGNED NOT NULL,
    duration_ms BIGINT          NOT NULL,
    weight      DOUBLE          NOT NULL,
    body        MEDIUMBLOB      NOT NULL,
    UNIQUE KEY weather_provider_fetch_by_identity (fetch_id),
    KEY weather_provider_fetch_by_ask
        (provider, kind, cell_lat, cell_lon, tz, range_start, range_end, fetched_at),
    KEY weather_provider_fetch_by_age (fetched_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
