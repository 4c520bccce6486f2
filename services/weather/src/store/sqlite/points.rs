//! Which statements list points in SQLite?

use std::time::Duration;

use async_trait::async_trait;
use chassis::clock::Now;

use crate::domain::point::{Point, PointState};
use crate::store::columns::{PointRow, count, millis, to_millis};
use crate::store::sqlite::SqliteStore;
use crate::store::{PointStore, StoreError};

/// What the one process that fetches for points holds.
const LEASE: &str = "warm";

#[async_trait]
impl PointStore for SqliteStore {
    async fn points(&self, points_max: usize) -> Result<Vec<PointState>, StoreError> {
        let mut connection = self.database.acquire().await?;
        let rows: Vec<PointRow> = sqlx::query_as(
            "SELECT cell_lat, cell_lon, tz, last_ok, last_error FROM warm_point \
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
                "INSERT INTO warm_point (cell_lat, cell_lon, tz) VALUES (?, ?, ?) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(point.cell.lat_hundredths())
            .bind(point.cell.lon_hundredths())
            .bind(point.zone.name())
            .execute(&mut **transaction)
            .await?;
        }
        let listed: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM warm_point")
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
        let removed =
            sqlx::query("DELETE FROM warm_point WHERE cell_lat = ? AND cell_lon = ? AND tz = ?")
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
                "UPDATE warm_point SET last_ok = COALESCE(?, last_ok), last_error = ? \
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
        // Processes that share a file share a clock.
        let now = to_millis(Now::read().wall);
        let mut connection = self.database.acquire().await?;
        let held = sqlx::query(
            "INSERT INTO lease (name, holder, held_until) VALUES (?, ?, ?) \
             ON CONFLICT (name) DO UPDATE \
             SET holder = excluded.holder, held_until = excluded.held_until \
             WHERE lease.holder = excluded.holder OR lease.held_until <= ?",
        )
        .bind(LEASE)
        .bind(holder)
        .bind(now.saturating_add(millis(lasting)))
        .bind(now)
        .execute(&mut **connection)
        .await?;
        Ok(held.rows_affected() > 0)
    }
}
