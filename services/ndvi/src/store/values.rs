//! How do an instant, a day and a word look in each database?

use std::time::Duration;

use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Postgres, Sqlite, Type};

/// 2000-01-01T00:00:00Z, where Postgres begins to count.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;

/// The first instant that Postgres knows: 24 November 4714 BC.
const POSTGRES_FIRST_US: i64 = -211_813_488_000_000_000;

/// Its first day.
const POSTGRES_EPOCH_DAY: Date = date(2000, 1, 1);

/// Identifiers of `timestamptz` and `date` in `pg_type`, the same in every server.
const TIMESTAMPTZ: PgTypeInfo = PgTypeInfo::with_oid(Oid(1184));
const DATE: PgTypeInfo = PgTypeInfo::with_oid(Oid(1082));

/// An instant in microseconds since 1970-01-01T00:00:00Z: an integer in SQLite, a `timestamptz` in
/// Postgres, exact in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Micros(i64);

impl Micros {
    /// Before every instant.
    pub(super) const FIRST: Self = Self(i64::MIN);

    /// After every instant.
    pub(super) const LAST: Self = Self(i64::MAX);

    pub(super) fn of(instant: Timestamp) -> Self {
        Self(instant.as_microsecond())
    }

    /// The first instant of a day, UTC.
    pub(super) fn of_day(day: Date) -> Self {
        let zoned = day.to_zoned(jiff::tz::TimeZone::UTC);
        zoned.map_or(Self::LAST, |zoned| Self::of(zoned.timestamp()))
    }

    /// The first instant after a day, UTC.
    pub(super) fn after_day(day: Date) -> Self {
        day.checked_add(1.day()).map_or(Self::LAST, Self::of_day)
    }

    pub(super) fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(micros(by)))
    }

    pub(super) fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(micros(by)))
    }

    /// The instant; `None` for one that nobody can have written.
    pub(super) fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.0).ok()
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Type<Sqlite> for Micros {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(found: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(found)
    }
}

impl Encode<'_, Sqlite> for Micros {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<'_, Sqlite>>::encode_by_ref(&self.0, buffer)
    }
}

impl Decode<'_, Sqlite> for Micros {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        <i64 as Decode<'_, Sqlite>>::decode(value).map(Self)
    }
}

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        TIMESTAMPTZ
    }
}

impl Encode<'_, Postgres> for Micros {
    /// What the server cannot count is its `-infinity` or `infinity`, which no table takes.
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let counted = match self.0 {
            i64::MAX => i64::MAX,
            early if early < POSTGRES_FIRST_US + POSTGRES_EPOCH_US => i64::MIN,
            other => other.saturating_sub(POSTGRES_EPOCH_US),
        };
        buffer.extend(&counted.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Micros {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let counted = i64::from_be_bytes(binary(&value)?.try_into()?);
        Ok(Self(counted.saturating_add(POSTGRES_EPOCH_US)))
    }
}

/// A day: a text in SQLite, a `date` in Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Day(pub(super) Date);

impl Type<Sqlite> for Day {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Day {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <String as Encode<'_, Sqlite>>::encode(self.0.to_string(), buffer)
    }
}

impl Decode<'_, Sqlite> for Day {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<'_, Sqlite>>::decode(value)?;
        Ok(Self(text.parse()?))
    }
}

impl Type<Postgres> for Day {
    fn type_info() -> PgTypeInfo {
        DATE
    }
}

impl Encode<'_, Postgres> for Day {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let days = self.0.duration_since(POSTGRES_EPOCH_DAY).as_hours() / 24;
        buffer.extend(&i32::try_from(days)?.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Day {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let days = i32::from_be_bytes(binary(&value)?.try_into()?);
        Ok(Self(POSTGRES_EPOCH_DAY.checked_add(SignedDuration::from_hours(24 * i64::from(days)))?))
    }
}

/// Prepared statements answer in binary; any other form was not asked for.
fn binary<'a>(value: &PgValueRef<'a>) -> Result<&'a [u8], BoxDynError> {
    match value.format() {
        PgValueFormat::Binary => value.as_bytes(),
        PgValueFormat::Text => Err("a value came as text".into()),
    }
}

/// A count as the databases have it. None is ever so large.
pub(super) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The word that a value without fields is written as, such as `pixels_agree`.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The value that was written as this word.
pub(super) fn of_word<T: DeserializeOwned>(word: String) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::domain::offset::OffsetReason;

    #[test]
    fn words_are_read_as_they_were_written() {
        assert_eq!(word(&OffsetReason::BaselineWithOffset), "baseline_from_04_00");
        let read: Option<OffsetReason> = of_word("baseline_from_04_00".to_owned());
        assert_eq!(read, Some(OffsetReason::BaselineWithOffset));
        assert_eq!(of_word::<OffsetReason>("a_guess".to_owned()), None);
    }

    #[test]
    fn day_ends_where_the_next_begins() {
        let day = date(2021, 6, 17);
        assert_eq!(Micros::after_day(day), Micros::of_day(date(2021, 6, 18)));
        assert_eq!(Micros::of_day(day).timestamp().unwrap().to_string(), "2021-06-17T00:00:00Z");
    }
}
