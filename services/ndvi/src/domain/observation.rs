//! What did one scene see of one field?

use serde::{Deserialize, Serialize};

use super::band::Band;
use super::cloud::{ClassSet, is_cloud};
use super::footprint::{Footprint, PixelRule};
use super::offset::{OffsetDecision, OffsetEvidence, OffsetFacts, OffsetReason, decide};
use super::percents::Percents;
use super::statistics::{NO_DATA, Summary, ndvi};

/// SCL class of a pixel that the classification does not cover.
const SCL_NO_DATA: u16 = 0;

/// The bands of a scene, read where the field is.
#[derive(Clone, Debug)]
pub struct Bands {
    /// B04.
    pub red: Band,
    /// B08, on the same grid.
    pub nir: Band,
    /// Scene classification on its own grid, when the scene has one.
    pub scl: Option<Band>,
}

/// Statistics of one field in one scene.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Observation {
    /// NDVI of the valid pixels; absent numbers are null.
    #[serde(flatten)]
    pub ndvi: Numbers,
    /// Pixels of the field in the scene.
    pub pixel_count: u64,
    /// Of these, pixels with data that the classification lets count.
    pub valid_count: u64,
    /// `valid_count / pixel_count`; null without pixels.
    pub valid_pixel_fraction: Option<f64>,
    /// Share of the field's pixels that are cloud, from 0 to 1; null without a classification.
    pub cloud_fraction: Option<f64>,
    /// Added to each digital number.
    pub offset_dn: i32,
    /// Why that offset.
    pub offset_reason: OffsetReason,
    /// Which rule chose the pixels.
    pub pixel_rule: PixelRule,
    /// What a reader should know about these numbers.
    pub flags: Vec<Flag>,
}

/// The numbers of a [`Summary`], or null for each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Numbers {
    /// At least one pixel is valid.
    Some(Summary),
    /// No pixel is valid.
    None(Absent),
}

/// The keys of a [`Summary`] without values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Absent {
    mean: (),
    min: (),
    max: (),
    std: (),
    median: (),
    p10: (),
    p25: (),
    p75: (),
    p90: (),
}

impl Numbers {
    /// The summary, when there is one.
    #[must_use]
    pub fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Some(summary) => Some(summary),
            Self::None(_) => None,
        }
    }
}

/// What a reader should know about an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// No pixel centre lies in the field; the touched pixels were taken.
    SubpixelField,
    /// A part of the field lies beyond the edge of the scene.
    ClippedByScene,
    /// The whole field lies beyond the edge of the scene.
    OutsideScene,
    /// The scene has no classification: clouds are not masked.
    CloudMaskUnavailable,
    /// No pixel of the field is valid.
    NoValidPixels,
    /// The pixels speak against the scene's metadata about the offset.
    OffsetSuspect,
    /// The metadata left the offset in doubt and the pixels decided.
    OffsetFromPixels,
}

/// An observation with every whole percentile.
#[derive(Clone, Debug, PartialEq)]
pub struct CloseObservation {
    /// The observation.
    pub observation: Observation,
    /// Of the valid pixels; `None` without any.
    pub percents: Option<Percents>,
}

/// Computes the statistics of a field in a scene: processor work, to be kept off async threads.
#[must_use]
pub fn observe(
    bands: &Bands,
    footprint: &Footprint,
    facts: &OffsetFacts,
    masked: ClassSet,
) -> Observation {
    measured(bands, footprint, facts, masked, |_| ()).0
}

/// The same with every whole percentile.
#[must_use]
pub fn observe_closely(
    bands: &Bands,
    footprint: &Footprint,
    facts: &OffsetFacts,
    masked: ClassSet,
) -> CloseObservation {
    let (observation, percents) = measured(bands, footprint, facts, masked, Percents::of);
    CloseObservation { observation, percents }
}

/// An observation and what `more` makes of the valid values.
fn measured<T>(
    bands: &Bands,
    footprint: &Footprint,
    facts: &OffsetFacts,
    masked: ClassSet,
    more: impl FnOnce(&[f64]) -> T,
) -> (Observation, T) {
    let offset = offset_of(bands, facts);
    let capacity = usize::try_from(footprint.pixels_inside).unwrap_or_default();
    let mut values = Vec::with_capacity(capacity);
    let mut cloudy = 0_u64;
    for reading in readings(bands, footprint, offset.dn, masked) {
        cloudy += u64::from(reading.cloudy);
        values.extend(reading.ndvi);
    }
    let valid_count = values.len() as u64;
    let more = more(&values);
    let observation = Observation {
        ndvi: Summary::of(values).map_or(Numbers::None(Absent::default()), Numbers::Some),
        pixel_count: footprint.pixels_inside,
        valid_count,
        valid_pixel_fraction: share(valid_count, footprint.pixels_inside),
        cloud_fraction: bands.scl.as_ref().and_then(|_| share(cloudy, footprint.pixels_inside)),
        offset_dn: offset.dn,
        offset_reason: offset.reason,
        pixel_rule: footprint.rule,
        flags: flags(footprint, valid_count, bands.scl.is_some(), offset),
    };
    (observation, more)
}

/// What has to be added to the digital numbers of these bands.
pub(super) fn offset_of(bands: &Bands, facts: &OffsetFacts) -> OffsetDecision {
    decide(facts, || OffsetEvidence::collect(&bands.red, &bands.nir))
}

/// What a scene says about one pixel of a field.
pub(super) struct Reading {
    pub(super) column: u32,
    pub(super) row: u32,
    pub(super) cloudy: bool,
    /// `None` without data, or when the class does not count.
    pub(super) ndvi: Option<f64>,
}

/// Reads every pixel of a field: the one place that decides which of them count.
pub(super) fn readings(
    bands: &Bands,
    footprint: &Footprint,
    offset_dn: i32,
    masked: ClassSet,
) -> impl Iterator<Item = Reading> {
    footprint.pixels().map(move |(column, row)| {
        let class = bands.scl.as_ref().map(|scl| class_at(scl, &bands.red, column, row));
        let counts = !class.is_some_and(|class| masked.holds(class));
        let dn = |band: &Band| band.at(column, row).unwrap_or(NO_DATA);
        let ndvi = counts.then(|| ndvi(dn(&bands.red), dn(&bands.nir), offset_dn)).flatten();
        Reading { column, row, cloudy: class.is_some_and(is_cloud), ndvi }
    })
}

/// The class at the centre of a pixel, looked up on the classification's own grid: the nearest
/// class, never a mixture.
fn class_at(scl: &Band, red: &Band, column: u32, row: u32) -> u16 {
    let centre = red.grid.centre_of(column, row);
    scl.grid.cell_of(centre).and_then(|(column, row)| scl.at(column, row)).unwrap_or(SCL_NO_DATA)
}

#[expect(clippy::cast_precision_loss, reason = "counts of pixels are far below 2^52")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn flags(
    footprint: &Footprint,
    valid_count: u64,
    has_scl: bool,
    offset: OffsetDecision,
) -> Vec<Flag> {
    let outside = footprint.pixels_inside == 0;
    let by_pixels =
        matches!(offset.reason, OffsetReason::PixelsAgree | OffsetReason::PixelsDisagree);
    [
        (footprint.rule == PixelRule::AllTouched && !outside, Flag::SubpixelField),
        (outside, Flag::OutsideScene),
        (!outside && footprint.pixels_beyond > 0, Flag::ClippedByScene),
        (!has_scl, Flag::CloudMaskUnavailable),
        (!outside && valid_count == 0, Flag::NoValidPixels),
        (offset.suspect, Flag::OffsetSuspect),
        (by_pixels, Flag::OffsetFromPixels),
    ]
    .into_iter()
    .filter_map(|(raised, flag)| raised.then_some(flag))
    .collect()
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a failed unwrap is a failed test"
    )]
    use super::super::band::tests::one_tile;
    use super::super::footprint::Span;
    use super::super::grid::Grid;
    use super::super::offset::Collection;
    use super::*;

    /// An old scene of the first collection: no offset.
    pub(crate) fn facts() -> OffsetFacts {
        OffsetFacts {
            collection: Collection::EarthSearchL2a,
            baseline: "02.14".parse().ok(),
            already_applied: None,
            declared_dn: None,
            acquired_at: "2020-02-19T11:34:25Z".parse().unwrap(),
        }
    }

    /// Four by four pixels of 10 m; the classification has two by two cells of 20 m.
    pub(crate) fn bands(classes: [u16; 4]) -> Bands {
        let mut scl = one_tile(&classes, 2, 2);
        scl.grid = Grid { north: 40.0, pixel_width: 20.0, pixel_height: 20.0, ..scl.grid };
        let red: Vec<u16> = (1..=16).map(|number| number * 100).collect();
        Bands { red: one_tile(&red, 4, 4), nir: one_tile(&[3_200; 16], 4, 4), scl: Some(scl) }
    }

    fn whole_raster() -> Footprint {
        Footprint {
            rule: PixelRule::Centre,
            spans: (0..4).map(|row| Span { row, columns: 0..4 }).collect(),
            pixels_inside: 16,
            pixels_beyond: 0,
        }
    }

    #[test]
    fn n2_mask_is_read_on_its_own_grid() {
        // Only the south-east quarter is clear: pixels (2,2), (3,2), (2,3) and (3,3).
        let seen = observe(&bands([9, 8, 3, 4]), &whole_raster(), &facts(), ClassSet::default());
        assert_eq!((seen.pixel_count, seen.valid_count), (16, 4));
        let expected = ndvi(1_100, 3_200, 0).unwrap();
        assert!((seen.ndvi.summary().unwrap().max - expected).abs() < 1e-12);
    }

    #[test]
    fn n3_classes_are_never_mixed() {
        // Between 4 (vegetation) and 8 (cloud) a smoothing reader would invent 5, 6 and 7.
        let seen = observe(&bands([4, 8, 4, 8]), &whole_raster(), &facts(), ClassSet::default());
        assert_eq!(seen.valid_count, 8);
        assert_eq!(seen.cloud_fraction, Some(0.5));
    }

    #[test]
    fn shadow_is_invalid_without_being_cloud() {
        let seen = observe(&bands([3, 4, 4, 4]), &whole_raster(), &facts(), ClassSet::default());
        assert_eq!((seen.valid_count, seen.cloud_fraction), (12, Some(0.0)));
    }

    #[test]
    fn fully_clouded_field_has_null_numbers_and_a_reason() {
        let seen = observe(&bands([9; 4]), &whole_raster(), &facts(), ClassSet::default());
        assert_eq!(seen.flags, [Flag::NoValidPixels]);
        let json = serde_json::to_value(&seen).unwrap();
        assert_eq!(json.get("mean"), Some(&serde_json::Value::Null));
        assert_eq!(json.get("p90"), Some(&serde_json::Value::Null));
        assert_eq!(json["valid_pixel_fraction"], 0.0);
    }

    #[test]
    fn missing_classification_is_said_aloud() {
        let bands = Bands { scl: None, ..bands([4; 4]) };
        let seen = observe(&bands, &whole_raster(), &facts(), ClassSet::default());
        assert_eq!(seen.flags, [Flag::CloudMaskUnavailable]);
        assert_eq!((seen.valid_count, seen.cloud_fraction), (16, None));
    }

    #[test]
    fn tile_that_was_not_read_counts_as_no_data() {
        let mut bands = bands([4; 4]);
        bands.nir.tiles.clear();
        let seen = observe(&bands, &whole_raster(), &facts(), ClassSet::default());
        assert_eq!((seen.pixel_count, seen.valid_count), (16, 0));
    }
}
