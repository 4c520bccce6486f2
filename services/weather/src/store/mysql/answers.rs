//! Which statements store and find answers in MySQL?

use std::time::SystemTime;

use async_trait::async_trait;
use sqlx::mysql::MySqlConnection;
use sqlx::{MySql, QueryBuilder};

use crate::domain::ask::Ask;
use crate::domain::day::Day;
use crate::domain::report::Report;
use crate::store::columns::{DayRow, from_millis, millis, range, to_millis, whole};
use crate::store::mysql::MySqlStore;
use crate::store::{Record, StoreError, Stored, WeatherStore};

/// Rows deleted by one statement, so that deleting never holds locks for long.
const FORGET_MAX: i64 = 500;

/// Days written by one statement.
const DAYS_PER_STATEMENT_MAX: usize = 64;

/// Size of a body that every server takes: `max_allowed_packet` is 1 MiB in the oldest ones.
const BODY_BYTES_ALWAYS: usize = 512 * 1024;

/// More than a statement has besides the body.
const STATEMENT_BYTES: usize = 16 * 1024;

#[async_trait]
impl WeatherStore for MySqlStore {
    async fn append(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        check_packets(&mut transaction, records).await?;
        for record in records {
            insert_fetch(&mut transaction, record).await?;
            if let Report::Daily(days) = &record.fetched.report {
                for days in days.chunks(DAYS_PER_STATEMENT_MAX) {
                    upsert_days(&mut transaction, record, days).await?;
                }
            }
        }
        Ok(transaction.commit().await?)
    }

    async fn newest(
        &self,
        ask: &Ask,
        not_before: SystemTime,
    ) -> Result<Option<Stored>, StoreError> {
        let mut connection = self.database.acquire().await?;
        let (start, end) = range(ask);
        let row: Option<(Vec<u8>, i64)> = sqlx::query_as(
            "SELECT body, fetched_at FROM weather_provider_fetch \
             WHERE provider = ? AND kind = ? AND cell_lat = ? AND cell_lon = ? AND tz = ? \
               AND range_start = ? AND range_end = ? AND fetched_at >= ? \
             ORDER BY fetched_at DESC LIMIT 1",
        )
        .bind(ask.provider.as_str())
        .bind(ask.question.kind())
        .bind(ask.cell.lat_hundredths())
        .bind(ask.cell.lon_hundredths())
        .bind(ask.zone.name())
        .bind(start)
        .bind(end)
        .bind(to_millis(not_before))
        .fetch_optional(&mut **connection)
        .await?;
        Ok(row.map(|(body, millis)| Stored { body, fetched_at: from_millis(millis) }))
    }

    async fn newest_days(
        &self,
        ask: &Ask,
        not_before: SystemTime,
    ) -> Result<Option<(Vec<Day>, SystemTime)>, StoreError> {
        let Some((start, end)) = ask.question.range() else { return Ok(None) };
        let mut connection = self.database.acquire().await?;
        let rows: Vec<DayRow> = sqlx::query_as(
            "SELECT day, t_min, t_max, precip, wind_max, fetched_at FROM weather_daily_value \
             WHERE provider = ? AND cell_lat = ? AND cell_lon = ? AND tz = ? \
               AND day BETWEEN ? AND ? AND fetched_at >= ? \
             ORDER BY day",
        )
        .bind(ask.provider.as_str())
        .bind(ask.cell.lat_hundredths())
        .bind(ask.cell.lon_hundredths())
        .bind(ask.zone.name())
        .bind(start.to_string())
        .bind(end.to_string())
        .bind(to_millis(not_before))
        .fetch_all(&mut **connection)
        .await?;
        Ok(whole(&rows, start, end))
    }

    async fn forget(&self, before: SystemTime) -> Result<u64, StoreError> {
        let mut connection = self.database.acquire().await?;
        let mut forgotten = 0;
        for statement in [
            "DELETE FROM weather_provider_fetch WHERE fetched_at < ? ORDER BY fetched_at LIMIT ?",
            "DELETE FROM weather_daily_value WHERE fetched_at < ? ORDER BY fetched_at LIMIT ?",
        ] {
            let done = sqlx::query(statement)
                .bind(to_millis(before))
                .bind(FORGET_MAX)
                .execute(&mut **connection)
                .await?;
            forgotten += done.rows_affected();
        }
        Ok(forgotten)
    }
}

/// A server that is sent too large a packet may close the connection before it says why, so it is
/// asked first what it takes, where an answer is of a size that it may not.
async fn check_packets(
    connection: &mut MySqlConnection,
    records: &[Record],
) -> Result<(), StoreError> {
    let largest = records.iter().map(|record| record.fetched.body.len()).max().unwrap_or(0);
    if largest <= BODY_BYTES_ALWAYS {
        return Ok(());
    }
    let packet_bytes_max: u64 =
        sqlx::query_scalar("SELECT @@session.max_allowed_packet").fetch_one(connection).await?;
    let packet = u64::try_from(largest.saturating_add(STATEMENT_BYTES)).unwrap_or(u64::MAX);
    if packet > packet_bytes_max {
        return Err(StoreError::TooLarge { bytes: largest, packet_bytes_max });
    }
    Ok(())
}

async fn insert_fetch(connection: &mut MySqlConnection, record: &Record) -> Result<(), StoreError> {
    let (ask, fetched) = (&record.ask, &record.fetched);
    let (start, end) = range(ask);
    // IGNORE would also cut a value that does not fit.
    sqlx::query(
        "INSERT INTO weather_provider_fetch (fetch_id, provider, kind, cell_lat, cell_lon, tz, \
         range_start, range_end, fetched_at, http_status, duration_ms, weight, body) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON DUPLICATE KEY UPDATE fetch_id = fetch_id",
    )
    .bind(record.id.as_slice())
    .bind(ask.provider.as_str())
    .bind(ask.question.kind())
    .bind(ask.cell.lat_hundredths())
    .bind(ask.cell.lon_hundredths())
    .bind(ask.zone.name())
    .bind(start)
    .bind(end)
    .bind(to_millis(record.fetched_at))
    .bind(fetched.http_status)
    .bind(millis(fetched.took))
    .bind(fetched.weight)
    .bind(fetched.body.as_ref())
    .execute(connection)
    .await?;
    Ok(())
}

async fn upsert_days(
    connection: &mut MySqlConnection,
    record: &Record,
    days: &[Day],
) -> Result<(), StoreError> {
    let ask = &record.ask;
    let mut statement = QueryBuilder::<MySql>::new(
        "INSERT INTO weather_daily_value \
         (provider, cell_lat, cell_lon, tz, day, t_min, t_max, precip, wind_max, fetched_at) ",
    );
    statement.push_values(days, |mut row, day| {
        row.push_bind(ask.provider.as_str())
            .push_bind(ask.cell.lat_hundredths())
            .push_bind(ask.cell.lon_hundredths())
            .push_bind(ask.zone.name())
            .push_bind(day.day.to_string())
            .push_bind(day.t_min_c)
            .push_bind(day.t_max_c)
            .push_bind(day.precipitation_mm)
            .push_bind(day.wind_speed_max_mps)
            .push_bind(to_millis(record.fetched_at));
    });
    // Assignments are made from left to right, so the time that decides comes last.
    statement.push(
        " ON DUPLICATE KEY UPDATE \
         t_min = IF(VALUES(fetched_at) >= fetched_at, VALUES(t_min), t_min), \
         t_max = IF(VALUES(fetched_at) >= fetched_at, VALUES(t_max), t_max), \
         precip = IF(VALUES(fetched_at) >= fetched_at, VALUES(precip), precip), \
         wind_max = IF(VALUES(fetched_at) >= fetched_at, VALUES(wind_max), wind_max), \
         fetched_at = GREATEST(VALUES(fetched_at), fetched_at)",
    );
    statement.build().execute(connection).await?;
    Ok(())
}
