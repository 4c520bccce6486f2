//! What does a request in the form of the Statistical API ask, and can it be answered?
//!
//! Whatever is not honoured is refused by its name: an ignored script or filter would answer
//! another question than the one that was asked.

use chassis::envelope::FieldErrors;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::outline::Outline;
use crate::http::body;
use crate::scenes::stac::Search;

/// The one collection that is read.
const DATA_TYPE: &str = "sentinel-2-l2a";
/// Spellings of longitude and latitude in degrees.
const DEGREES: [&str; 3] = [
    "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
    "http://www.opengis.net/def/crs/EPSG/0/4326",
    "urn:ogc:def:crs:OGC::CRS84",
];
/// Most percentiles of an answer.
const PERCENTILES_MAX: usize = 32;
/// Longest interval of aggregation.
const INTERVAL_DAYS_MAX: i64 = 366;

/// A question that can be answered.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) search: Search,
    /// In order of time.
    pub(super) intervals: Vec<Interval>,
    pub(super) order: Order,
    /// In percent.
    pub(super) percentiles: Vec<u8>,
}

/// From an instant, included, to another, excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Interval {
    from: Timestamp,
    to: Timestamp,
}

impl Interval {
    pub(super) fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// Which scene of an interval goes before the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    MostRecent,
    LeastRecent,
    LeastCloud,
}

/// What becomes of a last interval that reaches beyond the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Skip,
    Shorten,
    Extend,
}

type Object = Map<String, Value>;

/// Reads and checks a request: processor work, to be kept off async threads.
pub(super) fn read(
    object: &Object,
    area_ha_max: f64,
    range_days_max: u32,
) -> Result<Asked, FieldErrors> {
    let mut faults = FieldErrors::new();
    known(object, FieldErrors::NON_FIELD, &["input", "aggregation", "calculations"], &mut faults);
    let input = child(object, "input", "input", &mut faults);
    let outline = input.and_then(|input| {
        known(input, "input", &["bounds", "data"], &mut faults);
        outline(input, area_ha_max, &mut faults)
    });
    let data = input.and_then(|input| data(input, &mut faults));
    let aggregation = child(object, "aggregation", "aggregation", &mut faults);
    let intervals =
        aggregation.and_then(|aggregation| intervals(aggregation, range_days_max, &mut faults));
    let percentiles = match object.get("calculations").filter(|value| !value.is_null()) {
        Some(calculations) => percentiles(calculations, &mut faults),
        None => Vec::new(),
    };
    match (outline, data, intervals) {
        (Some(outline), Some(data), Some((whole, mut intervals))) if faults.is_empty() => {
            let Data { range, max_cloud_percent, order } = data;
            // The narrower of both times counts, as a filter of the data within each interval.
            let range = range.unwrap_or(whole);
            intervals.retain(|interval| interval.from < range.to && range.from < interval.to);
            for interval in &mut intervals {
                interval.from = interval.from.max(range.from);
                interval.to = interval.to.min(range.to);
            }
            let (start, end) = days(&intervals, whole);
            let search = Search { outline, start, end, max_cloud_percent };
            Ok(Asked { search, intervals, order, percentiles })
        }
        _ => Err(faults),
    }
}

/// The days that the intervals touch.
fn days(intervals: &[Interval], whole: Interval) -> (Date, Date) {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let from = intervals.first().map_or(whole.from, |interval| interval.from);
    let to = intervals.last().map_or(whole.to, |interval| interval.to);
    // The end is excluded: midnight belongs to the day before.
    let last = to.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(to);
    (day(from), day(last).max(day(from)))
}

fn outline(input: &Object, area_ha_max: f64, faults: &mut FieldErrors) -> Option<Outline> {
    let bounds = child(input, "bounds", "input.bounds", faults)?;
    known(bounds, "input.bounds", &["geometry", "properties"], faults);
    if let Some(properties) = member(bounds, "properties", "input.bounds.properties", faults) {
        known(properties, "input.bounds.properties", &["crs"], faults);
        let crs = properties.get("crs");
        if crs.is_some_and(|crs| crs.as_str().is_none_or(|crs| !DEGREES.contains(&crs))) {
            let text = "Only longitude and latitude are read: leave crs out or write CRS84.";
            faults.push("input.bounds.properties.crs", text);
        }
    }
    let Some(geometry) = bounds.get("geometry") else {
        faults.push("input.bounds.geometry", body::REQUIRED);
        return None;
    };
    let outline = serde_json::from_value(geometry.clone())
        .map_err(|error| format!("Not a GeoJSON geometry: {error}."))
        .and_then(|geometry| {
            Outline::new(geometry, area_ha_max).map_err(|error| error.to_string())
        });
    outline.map_err(|text| faults.push("input.bounds.geometry", text)).ok()
}

/// What is asked of the scenes.
struct Data {
    range: Option<Interval>,
    max_cloud_percent: Option<f64>,
    order: Order,
}

fn data(input: &Object, faults: &mut FieldErrors) -> Option<Data> {
    let list = input.get("data").and_then(Value::as_array);
    let [Value::Object(data)] = list.map(Vec::as_slice).unwrap_or_default() else {
        faults.push("input.data", "Exactly one collection is read: a list with one object.");
        return None;
    };
    known(data, "input.data", &["type", "id", "dataFilter"], faults);
    if data.get("type").and_then(Value::as_str) != Some(DATA_TYPE) {
        faults.push("input.data.type", format!("Only \"{DATA_TYPE}\" is read."));
    }
    let nothing = Object::new();
    let filter = member(data, "dataFilter", "input.data.dataFilter", faults).unwrap_or(&nothing);
    known(
        filter,
        "input.data.dataFilter",
        &["timeRange", "maxCloudCoverage", "mosaickingOrder"],
        faults,
    );
    let range = filter.get("timeRange").filter(|value| !value.is_null());
    let range = match range {
        Some(range) => Some(time_range(range, "input.data.dataFilter.timeRange", faults)?),
        None => None,
    };
    let max_cloud_percent = body::optional(filter, "maxCloudCoverage", faults, |value| {
        body::number_within(value, 0.0, 100.0)
    });
    let order = match filter.get("mosaickingOrder").map(|order| order.as_str()) {
        None | Some(Some("mostRecent")) => Order::MostRecent,
        Some(Some("leastRecent")) => Order::LeastRecent,
        Some(Some("leastCC")) => Order::LeastCloud,
        Some(_) => {
            let text = "Choose mostRecent, leastRecent or leastCC.";
            faults.push("input.data.dataFilter.mosaickingOrder", text);
            return None;
        }
    };
    Some(Data { range, max_cloud_percent, order })
}

fn time_range(value: &Value, name: &'static str, faults: &mut FieldErrors) -> Option<Interval> {
    let at = |key: &str| value.get(key)?.as_str()?.parse::<Timestamp>().ok();
    match at("from").zip(at("to")) {
        Some((from, to)) if from < to => Some(Interval { from, to }),
        Some(_) => {
            faults.push(name, "from must be before to.");
            None
        }
        None => {
            faults.push(name, "from and to are needed, as in 2021-06-17T00:00:00Z.");
            None
        }
    }
}

fn intervals(
    aggregation: &Object,
    range_days_max: u32,
    faults: &mut FieldErrors,
) -> Option<(Interval, Vec<Interval>)> {
    known(aggregation, "aggregation", &["timeRange", "aggregationInterval"], faults);
    let name = "aggregation.timeRange";
    let Some(range) = aggregation.get("timeRange") else {
        faults.push(name, body::REQUIRED);
        return None;
    };
    let whole = time_range(range, name, faults)?;
    let day = SignedDuration::from_hours(24);
    if whole.to.duration_since(whole.from) > day * i32::try_from(range_days_max).unwrap_or(i32::MAX)
    {
        faults.push(name, format!("The interval is longer than {range_days_max} days."));
        return None;
    }
    let interval =
        child(aggregation, "aggregationInterval", "aggregation.aggregationInterval", faults)?;
    known(interval, "aggregation.aggregationInterval", &["of", "lastIntervalBehavior"], faults);
    let of = interval.get("of").and_then(Value::as_str).and_then(whole_days);
    let Some(of) = of else {
        let text = format!("Write whole days from P1D to P{INTERVAL_DAYS_MAX}D.");
        faults.push("aggregation.aggregationInterval.of", text);
        return None;
    };
    let last = match interval.get("lastIntervalBehavior").map(|last| last.as_str()) {
        None | Some(Some("SKIP")) => Last::Skip,
        Some(Some("SHORTEN")) => Last::Shorten,
        Some(Some("EXTEND")) => Last::Extend,
        Some(_) => {
            let text = "Choose SKIP, SHORTEN or EXTEND.";
            faults.push("aggregation.aggregationInterval.lastIntervalBehavior", text);
            return None;
        }
    };
    Some((whole, split(whole, day * of, last)))
}

/// The intervals of a time, each `of` long but perhaps the last. The time has at most
/// `range_days_max` days and an interval at least one, which bounds their number.
fn split(whole: Interval, of: SignedDuration, last: Last) -> Vec<Interval> {
    let mut intervals = Vec::new();
    let mut from = whole.from;
    while from < whole.to {
        let Ok(to) = from.checked_add(of) else { break };
        if to <= whole.to || last == Last::Extend {
            intervals.push(Interval { from, to });
        } else if last == Last::Shorten {
            intervals.push(Interval { from, to: whole.to });
        }
        from = to;
    }
    intervals
}

/// `P1D` to `P366D`.
fn whole_days(text: &str) -> Option<i32> {
    let digits = text.strip_prefix('P')?.strip_suffix('D')?;
    let days: i64 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    (1..=INTERVAL_DAYS_MAX).contains(&days).then(|| i32::try_from(days).ok())?
}

/// The percentiles of `calculations.ndvi.statistics.default.percentiles.k`, none where nothing is
/// said.
fn percentiles(calculations: &Value, faults: &mut FieldErrors) -> Vec<u8> {
    const NAME: &str = "calculations";
    let Some(outputs) = calculations.as_object() else {
        faults.push(NAME, "An object with the outputs is needed.");
        return Vec::new();
    };
    // The output and the band by name go before the words for all of them.
    let nothing = Object::new();
    known(outputs, NAME, &["ndvi", "default"], faults);
    let output = either(outputs, "ndvi", NAME, faults).unwrap_or(&nothing);
    known(output, NAME, &["statistics"], faults);
    let bands = member(output, "statistics", NAME, faults).unwrap_or(&nothing);
    known(bands, NAME, &["B0", "default"], faults);
    let band = either(bands, "B0", NAME, faults).unwrap_or(&nothing);
    known(band, NAME, &["percentiles"], faults);
    let Some(asked) = member(band, "percentiles", NAME, faults) else { return Vec::new() };
    known(asked, NAME, &["k"], faults);
    let list = asked.get("k").and_then(Value::as_array).filter(|k| k.len() <= PERCENTILES_MAX);
    let percents = list.and_then(|list| list.iter().map(percent).collect::<Option<Vec<u8>>>());
    percents.unwrap_or_else(|| {
        let text = format!("k holds at most {PERCENTILES_MAX} whole numbers from 1 to 99.");
        faults.push(NAME, text);
        Vec::new()
    })
}

/// The member of this name, or the one for all.
fn either<'o>(
    object: &'o Object,
    key: &str,
    name: &'static str,
    faults: &mut FieldErrors,
) -> Option<&'o Object> {
    let key = if object.contains_key(key) { key } else { "default" };
    member(object, key, name, faults)
}

/// A member that may be missing or null; anything but an object is noted.
fn member<'o>(
    object: &'o Object,
    key: &str,
    name: &'static str,
    faults: &mut FieldErrors,
) -> Option<&'o Object> {
    match object.get(key)? {
        Value::Object(member) => Some(member),
        Value::Null => None,
        _ => {
            faults.push(name, format!("{key} must be an object."));
            None
        }
    }
}

/// 10 and 10.0 are the same percentile.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number was checked to be whole and between 1 and 99"
)]
fn percent(value: &Value) -> Option<u8> {
    let number = value.as_f64()?;
    ((1.0..=99.0).contains(&number) && number.fract() == 0.0).then_some(number as u8)
}

fn child<'o>(
    object: &'o Object,
    key: &str,
    name: &'static str,
    faults: &mut FieldErrors,
) -> Option<&'o Object> {
    match object.get(key) {
        Some(Value::Object(child)) => Some(child),
        None => {
            faults.push(name, body::REQUIRED);
            None
        }
        Some(_) => {
            faults.push(name, "An object is needed.");
            None
        }
    }
}

/// Notes every member that is not one of `keys`.
fn known(object: &Object, name: &'static str, keys: &[&str], faults: &mut FieldErrors) {
    for key in object.keys().filter(|key| !keys.contains(&key.as_str())) {
        let shown = key.get(..key.floor_char_boundary(64)).unwrap_or_default();
        faults.push(name, format!("{shown} is not supported here: leave it out."));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ends(from: &str, to: &str, days: i64, last: Last) -> Vec<String> {
        let whole = Interval { from: at(from), to: at(to) };
        let intervals = split(whole, SignedDuration::from_hours(24 * days), last);
        intervals.iter().map(|interval| interval.to.to_string()).collect()
    }

    #[test]
    fn last_interval_is_skipped_shortened_or_extended() {
        let asked = |last| ends("2021-06-01T00:00:00Z", "2021-06-08T00:00:00Z", 3, last);
        let (fourth, seventh) = ("2021-06-04T00:00:00Z", "2021-06-07T00:00:00Z");
        assert_eq!(asked(Last::Skip), [fourth, seventh]);
        assert_eq!(asked(Last::Shorten), [fourth, seventh, "2021-06-08T00:00:00Z"]);
        assert_eq!(asked(Last::Extend), [fourth, seventh, "2021-06-10T00:00:00Z"]);
    }

    #[test]
    fn interval_ends_before_the_next_begins() {
        let day = Interval { from: at("2021-06-17T00:00:00Z"), to: at("2021-06-18T00:00:00Z") };
        assert!(day.holds(day.from) && !day.holds(day.to));
        let june = at("2021-06-17T00:00:00Z").to_zoned(TimeZone::UTC).date();
        assert_eq!(days(&[day], day), (june, june));
    }

    #[test]
    fn intervals_are_whole_days() {
        assert_eq!((whole_days("P1D"), whole_days("P366D")), (Some(1), Some(366)));
        for wrong in ["P0D", "P367D", "P-1D", "P1M", "PT24H", "1D", "P+1D", "PD"] {
            assert_eq!(whole_days(wrong), None, "{wrong}");
        }
    }
}
