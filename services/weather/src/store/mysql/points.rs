//! Which statements list points in MySQL?

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::point::{Point, PointState};
use crate::store::columns::{PointRow, count, millis, to_millis};
use crate::store::mysql::MySqlStore;
use crate::store::{PointStore, StoreError};

/// What the one process that fetches for points holds.
const LEASE: &str = "warm";

#[async_trait]
impl PointStore for MySqlStore {
    async fn points(&self, points_max: usize) -> Result<Vec<PointState>, StoreError> {
        let mut connection = self.database.acquire().await?;
        let rows: Vec<PointRow> = sqlx::query_as(
            "SELECT cell_lat, cell_lon, tz, last_ok, last_error FROM weather_warm_point \
             ORDER BY cell_lat, cell_lon, tz LIMIT ?",
        )
        .bind(count(points_max))
        .fetch_all(&mut **connection)
        .await?;
        Ok(rows.into_iter().filter_map(PointRow::state).collect())
    }

    async fn register(&self, points: &[Point], points_max: usize) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        for point in points {
            sqlx::query(
                "INSERT INTO weather_warm_point (cell_lat, cell_lon, tz) VALUES (?, ?, ?) \
                 ON DUPLICATE KEY UPDATE tz = tz",
            )
            .bind(point.cell.lat_hundredths())
            .bind(point.cell.lon_hundredths())
            .bind(point.zone.name())
            .execute(&mut **transaction)
            .await?;
        }
        let listed: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM weather_warm_point")
            .fetch_one(&mut **transaction)
            .await?;
        let fits = listed <= count(points_max);
        if fits {
            transaction.commit().await?;
        }
        Ok(fits)
    }

    async fn remove(&self, point: &Point) -> Result<bool, StoreError> {
        let mut connection = self.database.acquire().await?;
        let removed = sqlx::query(
            "DELETE FROM weather_warm_point WHERE cell_lat = ? AND cell_lon = ? AND tz = ?",
        )
        .bind(point.cell.lat_hundredths())
        .bind(point.cell.lon_hundredths())
        .bind(point.zone.name())
        .execute(&mut **connection)
        .await?;
        Ok(removed.rows_affected() > 0)
    }

    async fn mark(&self, states: &[PointState]) -> Result<(), StoreError> {
        let mut transaction = self.database.begin().await?;
        for state in states {
            sqlx::query(
                "UPDATE weather_warm_point SET last_ok = COALESCE(?, last_ok), last_error = ? \
                 WHERE cell_lat = ? AND cell_lon = ? AND tz = ?",
            )
            .bind(state.last_ok.map(to_millis))
            .bind(state.last_error.as_deref())
            .bind(state.point.cell.lat_hundredths())
            .bind(state.point.cell.lon_hundredths())
            .bind(state.point.zone.name())
            .execute(&mut **transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn lead(&self, holder: &str, lasting: Duration) -> Result<bool, StoreError> {
        let mut connection = self.database.acquire().await?;
        // The server's clock counts, since those of several machines differ. Assignments are made
        // from left to right: the time is set where the holder is the present one by then.
        sqlx::query(
            "INSERT INTO weather_lease (name, holder, held_until) \
             VALUES (?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) + ?) \
             ON DUPLICATE KEY UPDATE \
             holder = IF(held_until <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), \
                         VALUES(holder), holder), \
             held_until = IF(holder = VALUES(holder), VALUES(held_until), held_until)",
        )
        .bind(LEASE)
        .bind(holder)
        .bind(millis(lasting))
        .execute(&mut **connection)
        .await?;
        let leader: Option<String> =
            sqlx::query_scalar("SELECT holder FROM weather_lease WHERE name = ?")
                .bind(LEASE)
                .fetch_optional(&mut **connection)
                .await?;
        Ok(leader.as_deref() == Some(holder))
    }
}
