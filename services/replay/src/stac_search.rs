//! What does the body of a STAC search ask for?

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Items on a page when nothing is asked, as Earth Search gives.
const LIMIT_DEFAULT: usize = 10;
/// Largest page.
const LIMIT_MAX: usize = 10_000;
/// Numbers in one geometry.
const COORDINATES_MAX: usize = 200_000;

/// West, south, east, north in degrees.
pub(crate) type Bbox = [f64; 4];

/// The search body. Members replay cannot honour are refused rather than ignored: an ignored
/// filter would answer with scenes that were not asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    collections: Option<Vec<String>>,
    ids: Option<Vec<String>>,
    bbox: Option<Vec<f64>>,
    intersects: Option<Value>,
    datetime: Option<String>,
    limit: Option<usize>,
    query: Option<WireQuery>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireQuery {
    #[serde(rename = "eo:cloud_cover")]
    cloud_cover: CloudBound,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloudBound {
    lt: Option<f64>,
    lte: Option<f64>,
}

/// What is known of an item to decide whether it matches.
pub(crate) struct Candidate<'i> {
    pub(crate) id: &'i str,
    pub(crate) collection: &'i str,
    pub(crate) bbox: Bbox,
    pub(crate) at: Timestamp,
    pub(crate) cloud_cover: Option<f64>,
}

/// A search that can be answered.
#[derive(Debug)]
pub(crate) struct Search {
    collections: Option<Vec<String>>,
    ids: Option<Vec<String>>,
    area: Option<Bbox>,
    from: Timestamp,
    to: Timestamp,
    cloud: CloudBound,
    /// Items on a page.
    pub(crate) limit: usize,
    /// The token of the page before.
    pub(crate) next: Option<String>,
}

impl Search {
    /// Reads a request body. The error says what to change.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let wire: Wire = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let area = match (&wire.bbox, &wire.intersects) {
            (Some(_), Some(_)) => return Err("bbox and intersects exclude each other".to_owned()),
            (Some(bbox), None) => Some(asked_bbox(bbox)?),
            (None, Some(geometry)) => Some(geometry_bbox(geometry)?),
            (None, None) => None,
        };
        let (from, to) = interval(wire.datetime.as_deref())?;
        let limit = wire.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(format!("limit must be between 1 and {LIMIT_MAX}"));
        }
        Ok(Self {
            collections: wire.collections.filter(|list| !list.is_empty()),
            ids: wire.ids.filter(|list| !list.is_empty()),
            area,
            from,
            to,
            cloud: wire.query.map(|query| query.cloud_cover).unwrap_or_default(),
            limit,
            next: wire.next,
        })
    }

    pub(crate) fn matches(&self, item: &Candidate<'_>) -> bool {
        let named = |list: &Option<Vec<String>>, name: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|wanted| wanted == name))
        };
        named(&self.collections, item.collection)
            && named(&self.ids, item.id)
            && self.area.is_none_or(|area| overlap(area, item.bbox))
            && (self.from..=self.to).contains(&item.at)
            && self.cloud.admits(item.cloud_cover)
    }
}

impl CloudBound {
    fn admits(self, cover: Option<f64>) -> bool {
        let below = self.lt.is_none_or(|bound| cover.is_some_and(|cover| cover < bound));
        below && self.lte.is_none_or(|bound| cover.is_some_and(|cover| cover <= bound))
    }
}

fn overlap([w, s, e, n]: Bbox, [west, south, east, north]: Bbox) -> bool {
    w <= east && e >= west && s <= north && n >= south
}

/// Four numbers, or six with heights.
fn asked_bbox(bbox: &[f64]) -> Result<Bbox, String> {
    let flat = match *bbox {
        [w, s, e, n] | [w, s, _, e, n, _] => [w, s, e, n],
        _ => return Err("bbox must have 4 or 6 numbers".to_owned()),
    };
    let [w, s, e, n] = flat;
    if w <= e && s <= n {
        Ok(flat)
    } else {
        Err("bbox must be west, south, east, north and not cross the antimeridian".to_owned())
    }
}

/// The bounds of a `GeoJSON` geometry of any type.
fn geometry_bbox(geometry: &Value) -> Result<Bbox, String> {
    let unusable = || "intersects must be a GeoJSON geometry with coordinates".to_owned();
    let mut bounds = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    // A work list in place of recursion, so that nesting cannot exhaust the stack.
    let mut open = vec![geometry];
    let mut positions = 0_usize;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                open.extend(object.get("coordinates"));
                open.extend(
                    object.get("geometries").and_then(Value::as_array).into_iter().flatten(),
                );
            }
            Value::Array(list) => match list.as_slice() {
                [Value::Number(x), Value::Number(y), ..] => {
                    let (x, y) = x.as_f64().zip(y.as_f64()).ok_or_else(unusable)?;
                    let [w, s, e, n] = bounds;
                    bounds = [w.min(x), s.min(y), e.max(x), n.max(y)];
                    positions += 1;
                }
                nested => open.extend(nested),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(unusable());
            }
        }
        if positions > COORDINATES_MAX {
            return Err(format!("intersects has more than {COORDINATES_MAX} positions"));
        }
    }
    if positions == 0 { Err(unusable()) } else { Ok(bounds) }
}

/// `A`, `A/B`, `../B` or `A/..`, both ends included.
fn interval(text: Option<&str>) -> Result<(Timestamp, Timestamp), String> {
    let Some(text) = text else { return Ok((Timestamp::MIN, Timestamp::MAX)) };
    let (first, last) = text.split_once('/').unwrap_or((text, text));
    let instant = |part: &str, open: Timestamp| match part {
        "" | ".." => Ok(open),
        part => part.parse().map_err(|_| {
            format!("datetime {part:?} must be RFC 3339, such as 2021-06-17T00:00:00Z, or ..")
        }),
    };
    let (from, to) = (instant(first, Timestamp::MIN)?, instant(last, Timestamp::MAX)?);
    if from <= to { Ok((from, to)) } else { Err("datetime ends before it starts".to_owned()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is the test's failure")]
    use super::*;

    fn matches(body: &str) -> bool {
        Search::parse(body.as_bytes()).unwrap().matches(&Candidate {
            id: "S2B_33UUP_20210617_0_L2A",
            collection: "sentinel-2-l2a",
            bbox: [13.10, 48.27, 13.18, 48.31],
            at: "2021-06-17T10:05:59Z".parse().unwrap(),
            cloud_cover: Some(4.0),
        })
    }

    #[test]
    fn each_member_narrows_the_search() {
        assert!(matches("{}"));
        assert!(!matches(r#"{"collections":["landsat-c2-l2"]}"#));
        assert!(!matches(r#"{"ids":["other"]}"#));
        assert!(matches(r#"{"bbox":[13.17,48.30,14,49]}"#));
        assert!(!matches(r#"{"bbox":[14,48,15,49]}"#));
        assert!(matches(r#"{"query":{"eo:cloud_cover":{"lt":4.1}}}"#));
        assert!(!matches(r#"{"query":{"eo:cloud_cover":{"lt":4.0}}}"#));
        assert!(matches(r#"{"query":{"eo:cloud_cover":{"lte":4.0}}}"#));
    }

    #[test]
    fn interval_may_be_open_at_either_end() {
        assert!(matches(r#"{"datetime":"2021-06-17T00:00:00Z/.."}"#));
        assert!(matches(r#"{"datetime":"../2021-06-17T23:59:59Z"}"#));
        assert!(!matches(r#"{"datetime":"2021-06-18T00:00:00Z/.."}"#));
        assert!(matches(r#"{"datetime":"2021-06-17T10:05:59Z"}"#));
    }

    #[test]
    fn geometry_of_any_nesting_gives_bounds() {
        assert!(matches(r#"{"intersects":{"type":"Point","coordinates":[13.15,48.3]}}"#));
        assert!(!matches(
            r#"{"intersects":{"type":"Polygon","coordinates":[[[1,1],[2,1],[2,2],[1,1]]]}}"#
        ));
        assert!(matches(
            r#"{"intersects":{"type":"GeometryCollection","geometries":[
                {"type":"Point","coordinates":[13.15,48.3]}]}}"#
        ));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for body in [
            r#"{"sortby":[]}"#,
            r#"{"query":{"platform":{"eq":"x"}}}"#,
            r#"{"query":{"eo:cloud_cover":{"gt":1}}}"#,
            r#"{"bbox":[1,2,3]}"#,
            r#"{"bbox":[3,0,1,1]}"#,
            r#"{"bbox":[0,0,1,1],"intersects":{"type":"Point","coordinates":[0,0]}}"#,
            r#"{"intersects":{"type":"Point"}}"#,
            r#"{"datetime":"yesterday"}"#,
            r#"{"datetime":"2021-06-18T00:00:00Z/2021-06-17T00:00:00Z"}"#,
            r#"{"limit":0}"#,
            "[]",
        ] {
            assert!(Search::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
