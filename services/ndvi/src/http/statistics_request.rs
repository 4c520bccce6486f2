//! What does a request for statistics ask?

use chassis::envelope::FieldErrors;
use geojson::Geometry;
use jiff::civil::Date;
use serde_json::{Map, Value};

use super::asked::{DATE_FORMAT, interval_fault};
use super::query::day;
use super::{Rules, body};
use crate::domain::outline::Outline;
use crate::scenes::stac::Search;

/// Reads and checks a request: processor work for outlines of many positions, to be kept off
/// async threads.
pub(super) fn read(object: &Map<String, Value>, rules: &Rules) -> Result<Search, FieldErrors> {
    let mut faults = FieldErrors::new();
    let outline =
        body::required(object, "geometry", &mut faults, |value| outline(value, rules.area_ha_max));
    let start = body::required(object, "start", &mut faults, date);
    let end = body::required(object, "end", &mut faults, date);
    let max_cloud_percent = body::optional(object, "max_cloud", &mut faults, |value| {
        body::number_within(value, 0.0, 100.0)
    });
    let interval = start.zip(end);
    let fault = interval.and_then(|(start, end)| interval_fault(start, end, rules.range_days_max));
    if let Some(fault) = fault {
        faults.push(FieldErrors::NON_FIELD, fault);
    }
    match (outline, start, end) {
        (Some(outline), Some(start), Some(end)) if faults.is_empty() => {
            Ok(Search { outline, start, end, max_cloud_percent })
        }
        _ => Err(faults),
    }
}

fn outline(value: &Value, area_ha_max: f64) -> Result<Outline, String> {
    let geometry: Geometry = serde_json::from_value(value.clone())
        .map_err(|error| format!("Not a GeoJSON geometry: {error}."))?;
    Outline::new(geometry, area_ha_max).map_err(|error| error.to_string())
}

fn date(value: &Value) -> Result<Date, String> {
    value.as_str().and_then(day).ok_or_else(|| DATE_FORMAT.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is a failed test"
    )]
    use serde_json::json;

    use super::super::tests::RULES;
    use super::*;

    fn asked(mut changes: Value) -> Result<Search, Value> {
        let mut whole = json!({
            "geometry": {"type": "Polygon", "coordinates": [
                [[13.1, 48.2], [13.11, 48.2], [13.11, 48.21], [13.1, 48.2]]
            ]},
            "start": "2021-06-01", "end": "2021-09-30",
        });
        whole.as_object_mut().unwrap().append(changes.as_object_mut().unwrap());
        read(whole.as_object().unwrap(), &RULES)
            .map_err(|faults| serde_json::to_value(faults).unwrap())
    }

    #[test]
    fn cloud_bound_is_optional_and_in_percent() {
        assert_eq!(asked(json!({})).unwrap().max_cloud_percent, None);
        assert_eq!(asked(json!({"max_cloud": 0.8})).unwrap().max_cloud_percent, Some(0.8));
        let faults = asked(json!({"max_cloud": 101})).unwrap_err();
        assert_eq!(faults["max_cloud"][0], "Ensure this value is less than or equal to 100.0.");
    }

    #[test]
    fn empty_object_names_every_required_field() {
        let faults = read(&Map::new(), &RULES).unwrap_err();
        let text = serde_json::to_string(&faults).unwrap();
        for field in ["geometry", "start", "end"] {
            assert!(text.contains(&format!(r#""{field}":["This field is required."]"#)), "{text}");
        }
    }

    #[test]
    fn interval_has_an_order_and_a_length() {
        let reversed = asked(json!({"end": "2021-05-31"})).unwrap_err();
        assert_eq!(reversed["non_field_errors"][0], "start must be on or before end.");
        assert!(asked(json!({"end": "2022-06-02"})).is_ok());
        let long = asked(json!({"end": "2022-06-03"})).unwrap_err();
        assert_eq!(long["non_field_errors"][0], "The interval is longer than 366 days.");
    }

    #[test]
    fn text_that_is_no_geometry_is_refused() {
        for geometry in [json!("field"), json!({"type": "Polygon"}), json!({"type": "Feature"})] {
            let faults = asked(json!({ "geometry": geometry })).unwrap_err();
            let text = faults["geometry"][0].as_str().unwrap();
            assert!(text.starts_with("Not a GeoJSON geometry"), "{text}");
        }
    }

    #[test]
    fn date_with_a_time_is_refused() {
        let faults = asked(json!({"start": "2021-06-01T00:00:00"})).unwrap_err();
        assert!(faults["start"][0].as_str().unwrap().starts_with("Date has wrong format."));
    }
}
