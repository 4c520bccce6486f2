//! Is this GeoJSON the outline of a field, and how large is it?
//!
//! An [`Outline`] exists only when it has passed every check, so nothing behind it has to ask
//! again. Positions are WGS84 longitude and latitude in degrees (RFC 7946).

use geo::{BoundingRect, Coord, GeodesicArea, LineString, MultiPolygon, Polygon, Rect, Validation};
use geojson::{Geometry, GeometryValue, Position};

/// Most positions in one outline, all rings together; checking for crossings is quadratic.
pub const POSITIONS_MAX: usize = 2_000;

/// Most rings in one outline, holes included.
pub const RINGS_MAX: usize = 64;

/// Longest boundary of an outline in kilometres: a sliver may be small in area and still touch
/// a great many pixels.
pub const PERIMETER_KM_MAX: f64 = 500.0;

/// Largest extent of an outline in kilometres, north to south or west to east: one Sentinel-2
/// tile is 110 km wide.
pub const EXTENT_KM_MAX: f64 = 110.0;

/// Default of the largest area in hectares.
pub const AREA_HA_MAX_DEFAULT: f64 = 2_500.0;

const SQUARE_METRES_PER_HECTARE: f64 = 10_000.0;
const KM_PER_DEGREE: f64 = 111.32;

/// A field's outline: closed, simple, of a sane size.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    shape: MultiPolygon<f64>,
    bounds: Rect<f64>,
    area_ha: f64,
}

impl Outline {
    /// Checks a GeoJSON geometry and measures it.
    ///
    /// # Errors
    /// The first fault found, as a sentence for the person who drew the outline.
    pub fn new(geometry: Geometry, area_ha_max: f64) -> Result<Self, OutlineError> {
        let parts = match geometry.value {
            GeometryValue::Polygon { coordinates } => vec![coordinates],
            GeometryValue::MultiPolygon { coordinates } => coordinates,
            other => return Err(OutlineError::Kind { found: other.type_name() }),
        };
        check_size(&parts)?;
        let shape =
            MultiPolygon(parts.iter().map(|rings| polygon(rings)).collect::<Result<_, _>>()?);
        let bounds = shape.bounding_rect().ok_or(OutlineError::Empty)?;
        check_extent(&bounds)?;
        shape.check_validation().map_err(|why| OutlineError::NotSimple(why.to_string()))?;
        let area_ha = check_measures(&shape, area_ha_max)?;
        Ok(Self { shape, bounds, area_ha })
    }

    /// The polygons, in degrees.
    #[must_use]
    pub fn shape(&self) -> &MultiPolygon<f64> {
        &self.shape
    }

    /// Geodesic area on WGS84 in hectares, holes taken out.
    #[must_use]
    pub fn area_ha(&self) -> f64 {
        self.area_ha
    }

    /// Whether a `[west, south, east, north]` box in degrees has a point in common with this
    /// outline's own box.
    #[must_use]
    pub fn meets(&self, [west, south, east, north]: [f64; 4]) -> bool {
        self.bounds.min().x <= east
            && self.bounds.max().x >= west
            && self.bounds.min().y <= north
            && self.bounds.max().y >= south
    }

    /// The outline as GeoJSON.
    #[must_use]
    pub fn to_geojson(&self) -> Geometry {
        Geometry::new(GeometryValue::from(&self.shape))
    }
}

/// Why a geometry cannot be used as an outline.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OutlineError {
    /// A point, a line or a collection.
    #[error("Expected a Polygon or MultiPolygon, got {found}.")]
    Kind {
        /// The GeoJSON type that was sent.
        found: &'static str,
    },
    /// No ring at all.
    #[error("The geometry has no ring.")]
    Empty,
    /// More positions than can be checked in reasonable time.
    #[error("The geometry has {found} positions, more than {POSITIONS_MAX}: simplify it.")]
    TooManyPositions {
        /// How many were sent.
        found: usize,
    },
    /// More rings than can be checked in reasonable time.
    #[error("The geometry has {found} rings, more than {RINGS_MAX}: send fewer at a time.")]
    TooManyRings {
        /// How many were sent.
        found: usize,
    },
    /// A ring that encloses nothing.
    #[error("A ring has {found} positions; a closed ring has at least 4.")]
    ShortRing {
        /// How many positions it has.
        found: usize,
    },
    /// The last position of a ring differs from its first.
    #[error("A ring is not closed: its last position must repeat its first, {first:?}.")]
    NotClosed {
        /// Longitude and latitude of the first position.
        first: [f64; 2],
    },
    /// A position with fewer than two numbers.
    #[error("A position has {found} numbers; it needs a longitude and a latitude.")]
    ShortPosition {
        /// How many numbers it has.
        found: usize,
    },
    /// Not a latitude: most often the two numbers were swapped.
    #[error(
        "Position {position:?} has a latitude outside -90..90: GeoJSON positions are [longitude, latitude]."
    )]
    Latitude {
        /// The position as sent.
        position: [f64; 2],
    },
    /// Not a longitude, or one that continues past the antimeridian.
    #[error(
        "Position {position:?} has a longitude outside -180..180: outlines across the antimeridian must be split there."
    )]
    Longitude {
        /// The position as sent.
        position: [f64; 2],
    },
    /// Half the world wide: an outline that crosses the antimeridian without being split.
    #[error("The geometry crosses the antimeridian: split it there and send each side alone.")]
    Antimeridian,
    /// Larger than any field.
    #[error("The geometry is {found_km:.0} km wide or high, more than {EXTENT_KM_MAX} km.")]
    Extent {
        /// The larger of both extents.
        found_km: f64,
    },
    /// A boundary longer than any field's.
    #[error("The boundary is {found_km:.0} km long, more than {PERIMETER_KM_MAX} km.")]
    Perimeter {
        /// Length of all rings.
        found_km: f64,
    },
    /// Crossing or overlapping rings.
    #[error("The geometry is not simple: {0}.")]
    NotSimple(String),
    /// No area.
    #[error("The geometry has no area.")]
    NoArea,
    /// More area than the operator allows.
    #[error("The area is {found_ha:.1} ha, more than {area_ha_max} ha.")]
    TooLarge {
        /// Area of the outline.
        found_ha: f64,
        /// Largest area allowed.
        area_ha_max: f64,
    },
}

fn check_size(parts: &[Vec<Vec<Position>>]) -> Result<(), OutlineError> {
    let rings = parts.iter().map(Vec::len).sum();
    if rings == 0 || parts.iter().any(Vec::is_empty) {
        return Err(OutlineError::Empty);
    }
    if rings > RINGS_MAX {
        return Err(OutlineError::TooManyRings { found: rings });
    }
    let positions = parts.iter().flatten().map(Vec::len).sum();
    if positions > POSITIONS_MAX {
        return Err(OutlineError::TooManyPositions { found: positions });
    }
    Ok(())
}

fn polygon(rings: &[Vec<Position>]) -> Result<Polygon<f64>, OutlineError> {
    let mut rings = rings.iter().map(|ring| closed_ring(ring)).collect::<Result<Vec<_>, _>>()?;
    let holes = rings.split_off(1.min(rings.len()));
    let exterior = rings.pop().ok_or(OutlineError::Empty)?;
    Ok(Polygon::new(exterior, holes))
}

fn closed_ring(ring: &[Position]) -> Result<LineString<f64>, OutlineError> {
    let coords = ring.iter().map(coord).collect::<Result<Vec<_>, _>>()?;
    if coords.len() < 4 {
        return Err(OutlineError::ShortRing { found: coords.len() });
    }
    match (coords.first(), coords.last()) {
        (Some(first), Some(last)) if first != last => {
            Err(OutlineError::NotClosed { first: [first.x, first.y] })
        }
        _ => Ok(LineString(coords)),
    }
}

fn coord(position: &Position) -> Result<Coord<f64>, OutlineError> {
    let &[x, y, ..] = position.as_slice() else {
        return Err(OutlineError::ShortPosition { found: position.len() });
    };
    if !(-90.0..=90.0).contains(&y) {
        return Err(OutlineError::Latitude { position: [x, y] });
    }
    if !(-180.0..=180.0).contains(&x) {
        return Err(OutlineError::Longitude { position: [x, y] });
    }
    Ok(Coord { x, y })
}

fn check_extent(bounds: &Rect<f64>) -> Result<(), OutlineError> {
    if bounds.width() > 180.0 {
        return Err(OutlineError::Antimeridian);
    }
    let nearest_to_equator = if bounds.min().y <= 0.0 && bounds.max().y >= 0.0 {
        0.0
    } else {
        bounds.min().y.abs().min(bounds.max().y.abs())
    };
    let wide_km = bounds.width() * KM_PER_DEGREE * nearest_to_equator.to_radians().cos();
    let found_km = wide_km.max(bounds.height() * KM_PER_DEGREE);
    if found_km > EXTENT_KM_MAX { Err(OutlineError::Extent { found_km }) } else { Ok(()) }
}

fn check_measures(shape: &MultiPolygon<f64>, area_ha_max: f64) -> Result<f64, OutlineError> {
    let found_km = shape.geodesic_perimeter() / 1_000.0;
    if found_km > PERIMETER_KM_MAX {
        return Err(OutlineError::Perimeter { found_km });
    }
    let area_ha = shape.iter().map(area_square_metres).sum::<f64>() / SQUARE_METRES_PER_HECTARE;
    if area_ha <= 0.0 {
        return Err(OutlineError::NoArea);
    }
    if area_ha > area_ha_max {
        return Err(OutlineError::TooLarge { found_ha: area_ha, area_ha_max });
    }
    Ok(area_ha)
}

/// Area of a polygon whose rings may run in either direction, as GeoJSON in the wild does.
fn area_square_metres(part: &Polygon<f64>) -> f64 {
    let of_ring =
        |ring: &LineString<f64>| Polygon::new(ring.clone(), vec![]).geodesic_area_signed().abs();
    of_ring(part.exterior()) - part.interiors().iter().map(of_ring).sum::<f64>()
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is a failed test"
    )]
    use super::*;

    fn outline(json: &str) -> Result<Outline, OutlineError> {
        Outline::new(json.parse().unwrap(), AREA_HA_MAX_DEFAULT)
    }

    #[track_caller]
    fn refused(json: &str, text: &str) {
        let why = outline(json).unwrap_err().to_string();
        assert!(why.contains(text), "{why}");
    }

    fn square(west: f64, south: f64, size: f64) -> String {
        let (east, north) = (west + size, south + size);
        format!(
            "[[[{west},{south}],[{east},{south}],[{east},{north}],[{west},{north}],[{west},{south}]]]"
        )
    }

    fn polygon_of(coordinates: &str) -> String {
        format!(r#"{{"type":"Polygon","coordinates":{coordinates}}}"#)
    }

    #[test]
    fn small_square_is_accepted() {
        let outline = outline(&polygon_of(&square(13.1, 48.2, 0.01))).unwrap();
        assert!((outline.area_ha() - 82.6).abs() < 0.2, "{}", outline.area_ha());
        assert!(outline.meets([13.0, 48.0, 13.105, 48.205]));
        assert!(!outline.meets([14.0, 48.0, 15.0, 49.0]));
    }

    #[test]
    fn winding_of_the_ring_does_not_matter() {
        let clockwise = "[[[13.1,48.2],[13.1,48.21],[13.11,48.21],[13.11,48.2],[13.1,48.2]]]";
        let one = outline(&polygon_of(clockwise)).unwrap();
        let other = outline(&polygon_of(&square(13.1, 48.2, 0.01))).unwrap();
        assert!((one.area_ha() - other.area_ha()).abs() < 0.01);
    }

    #[test]
    fn swapped_axes_are_named_as_such() {
        refused(
            &polygon_of("[[[48.2,113.1],[48.3,113.1],[48.3,113.2],[48.2,113.1]]]"),
            "[longitude, latitude]",
        );
    }

    #[test]
    fn open_ring_is_refused() {
        refused(&polygon_of("[[[13.1,48.2],[13.2,48.2],[13.2,48.3],[13.1,48.3]]]"), "not closed");
    }

    #[test]
    fn ring_of_three_positions_is_refused() {
        refused(&polygon_of("[[[13.1,48.2],[13.2,48.2],[13.1,48.2]]]"), "at least 4");
    }

    #[test]
    fn bow_tie_is_not_simple() {
        refused(
            &polygon_of("[[[13.1,48.2],[13.11,48.21],[13.11,48.2],[13.1,48.21],[13.1,48.2]]]"),
            "not simple",
        );
    }

    #[test]
    fn hole_outside_its_field_is_refused() {
        let field = square(13.1, 48.2, 0.01);
        let hole = square(13.2, 48.2, 0.01);
        let both = format!("{},{}", field.strip_suffix(']').unwrap(), &hole[1..]);
        refused(&polygon_of(&both), "not simple");
    }

    #[test]
    fn overlapping_parts_are_refused() {
        let parts = format!("[{},{}]", square(13.1, 48.2, 0.01), square(13.105, 48.205, 0.01));
        refused(&format!(r#"{{"type":"MultiPolygon","coordinates":{parts}}}"#), "not simple");
    }

    #[test]
    fn antimeridian_crossing_is_refused() {
        refused(
            &polygon_of("[[[179.99,1],[-179.99,1],[-179.99,1.01],[179.99,1.01],[179.99,1]]]"),
            "antimeridian",
        );
        refused(&polygon_of(&square(179.995, 1.0, 0.01)), "antimeridian");
    }

    #[test]
    fn more_area_than_allowed_is_refused() {
        refused(&polygon_of(&square(13.1, 48.2, 0.1)), "more than 2500 ha");
    }

    #[test]
    fn flat_ring_is_refused() {
        refused(&polygon_of("[[[13.1,48.2],[13.2,48.2],[13.1,48.2],[13.1,48.2]]]"), "geometry");
    }

    #[test]
    fn far_apart_parts_are_refused() {
        let parts = format!("[{},{}]", square(13.1, 48.2, 0.01), square(36.8, -1.3, 0.01));
        refused(&format!(r#"{{"type":"MultiPolygon","coordinates":{parts}}}"#), "more than 110 km");
    }

    #[test]
    fn zigzag_with_a_long_boundary_is_refused() {
        let teeth = (0..400).map(|tooth| {
            let lon = 13.0 + f64::from(tooth) * 1e-5;
            format!("[{lon},48.0],[{},48.1]", lon + 5e-6)
        });
        let ring: Vec<String> = teeth.chain(["[13.004,47.9],[13.0,48.0]".to_owned()]).collect();
        refused(&polygon_of(&format!("[[{}]]", ring.join(","))), "boundary");
    }

    #[test]
    fn point_is_not_an_outline() {
        refused(r#"{"type":"Point","coordinates":[13.1,48.2]}"#, "got Point");
    }

    #[test]
    fn too_many_positions_are_refused() {
        let ring = vec!["[13.1,48.2]"; POSITIONS_MAX + 1].join(",");
        refused(&polygon_of(&format!("[[{ring}]]")), "simplify");
    }

    #[test]
    fn outline_is_written_back_as_geojson() {
        let json =
            outline(&polygon_of(&square(13.1, 48.2, 0.01))).unwrap().to_geojson().to_string();
        assert!(json.contains("MultiPolygon") && json.contains("[13.1,48.2]"), "{json}");
    }
}
