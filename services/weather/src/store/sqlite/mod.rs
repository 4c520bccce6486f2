//! How are answers kept in SQLite?

use std::str::FromStr as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use jiff::civil::Date;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use crate::domain::ask::Ask;
use crate::domain::day::Day;
use crate::domain::report::Report;
use crate::store::{Record, StoreError, Stored, WeatherStore};

/// How long a statement waits for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a caller waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// Rows deleted by one statement, so that deleting never holds the writer's lock for long.
const FORGET_MAX: i64 = 500;

/// A file, opened in write-ahead mode so that readers do not wait for the writer.
#[derive(Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, creating it if need be, and brings its tables to the present version.
    ///
    /// # Errors
    /// [`StoreError`] when the address is wrong, the file cannot be opened or is of a newer
    /// version.
    pub async fn open(url: &str, connections_max: u32) -> Result<Self, StoreError> {
        let unusable = |why: String| StoreError::Url { url: url.to_owned(), why };
        // The driver takes any other address as the name of a file.
        if !url.starts_with("sqlite:") {
            return Err(unusable("only SQLite is known".to_owned()));
        }
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| unusable(error.to_string()))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open { url: url.to_owned(), source })?;
        sqlx::migrate!("./migrations")
            .run(&pool)
            .await
            .map_err(|source| StoreError::Migrate { url: url.to_owned(), source })?;
        Ok(Self { pool })
    }

    /// Closes the file once running statements have ended.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[async_trait]
impl WeatherStore for SqliteStore {
    async fn append(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for record in records {
            insert_fetch(&mut transaction, record).await?;
            if let Report::Daily(days) = &record.fetched.report {
                for day in days {
                    upsert_day(&mut transaction, record, day).await?;
                }
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn newest(
        &self,
        ask: &Ask,
        not_before: SystemTime,
    ) -> Result<Option<Stored>, StoreError> {
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
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|(body, millis)| Stored { body, fetched_at: from_millis(millis) }))
    }

    async fn newest_days(
        &self,
        ask: &Ask,
        not_before: SystemTime,
    ) -> Result<Option<(Vec<Day>, SystemTime)>, StoreError> {
        let Some((start, end)) = ask.question.range() else { return Ok(None) };
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
        .fetch_all(&self.pool)
        .await?;
        let days: Vec<Day> = rows.iter().filter_map(DayRow::day).collect();
        let whole = days.len() == asked_days(start, end);
        let oldest = rows.iter().map(|row| row.fetched_at).min().filter(|_| whole);
        Ok(oldest.map(|oldest| (days, from_millis(oldest))))
    }

    async fn forget(&self, before: SystemTime) -> Result<u64, StoreError> {
        let answers = sqlx::query(
            "DELETE FROM provider_fetch WHERE id IN \
             (SELECT id FROM provider_fetch WHERE fetched_at < ? LIMIT ?)",
        )
        .bind(to_millis(before))
        .bind(FORGET_MAX)
        .execute(&self.pool)
        .await?;
        let days = sqlx::query(
            "DELETE FROM daily_value WHERE (provider, cell_lat, cell_lon, tz, day) IN \
             (SELECT provider, cell_lat, cell_lon, tz, day FROM daily_value \
              WHERE fetched_at < ? LIMIT ?)",
        )
        .bind(to_millis(before))
        .bind(FORGET_MAX)
        .execute(&self.pool)
        .await?;
        Ok(answers.rows_affected() + days.rows_affected())
    }
}

#[derive(sqlx::FromRow)]
struct DayRow {
    day: String,
    t_min: Option<f64>,
    t_max: Option<f64>,
    precip: Option<f64>,
    wind_max: Option<f64>,
    fetched_at: i64,
}

impl DayRow {
    fn day(&self) -> Option<Day> {
        Some(Day {
            day: self.day.parse().ok()?,
            t_min_c: self.t_min,
            t_max_c: self.t_max,
            precipitation_mm: self.precip,
            wind_speed_max_mps: self.wind_max,
        })
    }
}

fn asked_days(start: Date, end: Date) -> usize {
    usize::try_from((end - start).get_days() + 1).unwrap_or(0)
}

async fn insert_fetch(
    connection: &mut SqliteConnection,
    record: &Record,
) -> Result<(), StoreError> {
    let (ask, fetched) = (&record.ask, &record.fetched);
    let (start, end) = range(ask);
    sqlx::query(
        "INSERT INTO provider_fetch (provider, kind, cell_lat, cell_lon, tz, range_start, \
         range_end, fetched_at, http_status, duration_ms, weight, body) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(ask.provider.as_str())
    .bind(ask.question.kind())
    .bind(ask.cell.lat_hundredths())
    .bind(ask.cell.lon_hundredths())
    .bind(ask.zone.name())
    .bind(start)
    .bind(end)
    .bind(to_millis(record.fetched_at))
    .bind(fetched.http_status)
    .bind(i64::try_from(fetched.took.as_millis()).unwrap_or(i64::MAX))
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

/// First and last day as text; empty where the question has none, so that the index is exact.
fn range(ask: &Ask) -> (String, String) {
    ask.question
        .range()
        .map_or_else(Default::default, |(start, end)| (start.to_string(), end.to_string()))
}

fn to_millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn from_millis(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
