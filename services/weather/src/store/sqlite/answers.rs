//! Which statements store and find answers in SQLite?

use std::time::SystemTime;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use crate::domain::ask::Ask;
use crate::domain::day::Day;
use crate::domain::report::Report;
use crate::store::columns::{DayRow, from_millis, millis, range, to_millis, whole};
use crate::store::sqlite::SqliteStore;
use crate::store::{Record, StoreError, Stored, WeatherStore};

/// Rows deleted by one statement, so that deleting never holds the writer's lock for long.
const FORGET_MAX: i64 = 500;

#[async_trait]
impl WeatherStore for SqliteStore {
    async fn append(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        for record in records {
            insert_fetch(&mut transaction, record).await?;
            if let Report::Daily(days) = &record.fetched.report {
                for day in days {
                    upsert_day(&mut transaction, record, day).await?;
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
            "SELECT body, fetched_at FROM provider_fetch \
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
            "SELECT day, t_min, t_max, precip, wind_max, fetched_at FROM daily_value \
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
        let answers = sqlx::query(
            "DELETE FROM provider_fetch WHERE id IN \
             (SELECT id FROM provider_fetch WHERE fetched_at < ? LIMIT ?)",
        )
        .bind(to_millis(before))
        .bind(FORGET_MAX)
        .execute(&mut **connection)
        .await?;
        let days = sqlx::query(
            "DELETE FROM daily_value WHERE (provider, cell_lat, cell_lon, tz, day) IN \
             (SELECT provider, cell_lat, cell_lon, tz, day FROM daily_value \
              WHERE fetched_at < ? LIMIT ?)",
        )
        .bind(to_millis(before))
        .bind(FORGET_MAX)
        .execute(&mut **connection)
        .await?;
        Ok(answers.rows_affected() + days.rows_affected())
    }
}

async fn insert_fetch(
    connection: &mut SqliteConnection,
    record: &Record,
) -> Result<(), StoreError> {
    let (ask, fetched) = (&record.ask, &record.fetched);
    let (start, end) = range(ask);
    sqlx::query(
        "INSERT INTO provider_fetch (fetch_id, provider, kind, cell_lat, cell_lon, tz, \
         range_start, range_end, fetched_at, http_status, duration_ms, weight, body) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (fetch_id) DO NOTHING",
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

async fn upsert_day(
    connection: &mut SqliteConnection,
    record: &Record,
    day: &Day,
) -> Result<(), StoreError> {
    let ask = &record.ask;
    sqlx::query(
        "INSERT INTO daily_value \
         (provider, cell_lat, cell_lon, tz, day, t_min, t_max, precip, wind_max, fetched_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (provider, cell_lat, cell_lon, tz, day) DO UPDATE SET \
         t_min = excluded.t_min, t_max = excluded.t_max, precip = excluded.precip, \
         wind_max = excluded.wind_max, fetched_at = excluded.fetched_at \
         WHERE excluded.fetched_at >= daily_value.fetched_at",
    )
    .bind(ask.provider.as_str())
    .bind(ask.cell.lat_hundredths())
    .bind(ask.cell.lon_hundredths())
    .bind(ask.zone.name())
    .bind(day.day.to_string())
    .bind(day.t_min_c)
    .bind(day.t_max_c)
    .bind(day.precipitation_mm)
    .bind(day.wind_speed_max_mps)
    .bind(to_millis(record.fetched_at))
    .execute(connection)
    .await?;
    Ok(())
}
