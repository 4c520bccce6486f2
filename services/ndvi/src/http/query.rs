//! Which samples does a query string ask for?

use chassis::envelope::FieldErrors;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::domain::sample::FarmId;
use crate::store::SampleQuery;

/// Samples in an answer unless asked otherwise.
const LIMIT_DEFAULT: u32 = 100;

/// Most samples in an answer.
pub(super) const LIMIT_MAX: u32 = 1_000;

/// Keys that make a request a query; any other key is ignored, as it always was.
const KEYS: [&str; 4] = ["farm_id", "start", "end", "limit"];

/// Reads the pairs of a query string; the last of equal keys counts. `None` when nothing is
/// asked.
pub(super) fn query(pairs: &[(String, String)]) -> Option<Result<SampleQuery, FieldErrors>> {
    let value =
        |key: &str| pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.trim());
    let asked = KEYS.iter().any(|key| value(key).is_some());
    asked.then(|| read(value))
}

fn read<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Result<SampleQuery, FieldErrors> {
    let mut faults = FieldErrors::new();
    let farm_id = match value("farm_id").filter(|text| !text.is_empty()) {
        None => Err("This field is required."),
        Some(text) => FarmId::parse(text).ok_or("Must be a valid UUID."),
    };
    let farm_id = farm_id.map_err(|text| faults.push("farm_id", text)).ok();
    let mut instant = |key: &'static str, of_day: fn(Date) -> Option<Timestamp>| {
        let text = value(key).filter(|text| !text.is_empty())?;
        let instant = text.parse().ok().or_else(|| day(text).and_then(of_day));
        if instant.is_none() {
            faults.push(
                key,
                "Datetime has wrong format. Use one of these formats instead: \
                 YYYY-MM-DD, YYYY-MM-DDThh:mm:ss[.uuuuuu](+HH:MM|-HH:MM|Z).",
            );
        }
        instant
    };
    let start = instant("start", first_instant);
    let end = instant("end", last_instant);
    let limit = match value("limit").filter(|text| !text.is_empty()).map(str::parse) {
        None => LIMIT_DEFAULT,
        Some(Ok(limit)) if (1..=LIMIT_MAX).contains(&limit) => limit,
        Some(Ok(_)) => {
            faults.push("limit", format!("Ensure this value is between 1 and {LIMIT_MAX}."));
            LIMIT_DEFAULT
        }
        Some(Err(_)) => {
            faults.push("limit", "A valid integer is required.");
            LIMIT_DEFAULT
        }
    };
    if start.zip(end).is_some_and(|(start, end)| start > end) {
        faults.push(FieldErrors::NON_FIELD, "start must be on or before end.");
    }
    match farm_id {
        Some(farm_id) if faults.is_empty() => Ok(SampleQuery { farm_id, start, end, limit }),
        _ => Err(faults),
    }
}

/// A day written as YYYY-MM-DD and in no other way.
pub(super) fn day(text: &str) -> Option<Date> {
    let date: Date = text.parse().ok()?;
    (date.to_string() == text).then_some(date)
}

fn first_instant(date: Date) -> Option<Timestamp> {
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// The last microsecond of a day: the resolution of stored samples.
fn last_instant(date: Date) -> Option<Timestamp> {
    let time = jiff::civil::time(23, 59, 59, 999_999_000);
    date.to_datetime(time).to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const FARM: (&str, &str) = ("farm_id", "6f9619ff-8b86-d011-b42d-00cf4fc964ff");

    fn asked(pairs: &[(&str, &str)]) -> Option<Result<SampleQuery, String>> {
        let owned: Vec<_> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        query(&owned).map(|read| read.map_err(|faults| serde_json::to_string(&faults).unwrap()))
    }

    #[test]
    fn nothing_asked_is_no_query() {
        assert!(asked(&[]).is_none());
        assert!(asked(&[("format", "json")]).is_none());
    }

    #[test]
    fn days_cover_their_whole_day() {
        let query =
            asked(&[FARM, ("start", "2021-06-17"), ("end", "2021-06-17")]).unwrap().unwrap();
        assert_eq!(query.start.unwrap().to_string(), "2021-06-17T00:00:00Z");
        assert_eq!(query.end.unwrap().to_string(), "2021-06-17T23:59:59.999999Z");
        assert_eq!(query.limit, LIMIT_DEFAULT);
    }

    #[test]
    fn query_without_a_farm_is_refused() {
        let faults = asked(&[("limit", "5")]).unwrap().unwrap_err();
        assert_eq!(faults, r#"{"farm_id":["This field is required."]}"#);
    }

    #[test]
    fn wrong_values_are_named_together() {
        let pairs = [("farm_id", "7"), ("start", "2021-6-1"), ("end", "yesterday"), ("limit", "0")];
        let faults = asked(&pairs).unwrap().unwrap_err();
        for part in
            ["valid UUID", r#""start":["Datetime"#, r#""end":["Datetime"#, "between 1 and 1000"]
        {
            assert!(faults.contains(part), "{faults}");
        }
    }

    #[test]
    fn reversed_interval_is_refused() {
        let pairs = [FARM, ("start", "2021-06-18"), ("end", "2021-06-17T10:00:00Z")];
        let faults = asked(&pairs).unwrap().unwrap_err();
        assert_eq!(faults, r#"{"non_field_errors":["start must be on or before end."]}"#);
    }

    #[test]
    fn last_of_equal_keys_counts() {
        let query = asked(&[FARM, ("limit", "5"), ("limit", "7")]).unwrap().unwrap();
        assert_eq!(query.limit, 7);
    }
}
