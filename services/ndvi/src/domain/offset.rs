//! What has to be added to a stored digital number before it means reflectance?
//!
//! Since processing baseline 04.00 (25 January 2022) ESA stores reflectance with 1000 added.
//! Collections differ in whether they undo that, and the flags of Earth Search's
//! `sentinel-2-l2a` contradict each other on some items. Ignoring the offset makes a field of
//! NDVI 0.83 read 0.55, taking it off twice makes it 1.74. So the decision follows a table, is
//! checked against the pixels where the metadata leave a doubt, and is published with its reason:
//!
//! | collection | baseline | `boa_offset_applied` | offset |
//! | --- | --- | --- | --- |
//! | `sentinel-2-c1-l2a` | any | - | as declared, else -1000 from baseline 04.00 on |
//! | `sentinel-2-l2a` | before 04.00 | - | 0 |
//! | `sentinel-2-l2a` | from 04.00 on | true | 0, whatever is declared |
//! | `sentinel-2-l2a` | from 04.00 on | false or missing | -1000 if the pixels agree, else 0 |
//! | `sentinel-2-l2a` | unknown | not true | 0 if declared 0 or acquired before 2022-01-25, else as the pixels say |

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::band::Band;
use super::statistics::{NO_DATA, ndvi};

/// The offset that baseline 04.00 brought, in digital numbers.
pub const BOA_ADD_OFFSET_DN: i32 = -1_000;

/// Largest share of pixels that may look wrong before an offset is doubted.
pub const SUSPECT_SHARE_MAX: f64 = 0.01;

/// 2022-01-25T00:00:00Z, when baseline 04.00 went live.
const BASELINE_04_00_LIVE: Timestamp = Timestamp::constant(1_643_068_800, 0);

/// A processing baseline such as 05.09.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Baseline {
    major: u8,
    minor: u8,
}

impl Baseline {
    /// The first baseline with the offset.
    pub const WITH_OFFSET: Self = Self { major: 4, minor: 0 };

    /// The baseline that a product name carries, as in `..._N0509_...`.
    #[must_use]
    pub fn of_product(name: &str) -> Option<Self> {
        name.split('_').find_map(|part| {
            let digits = part.strip_prefix('N').filter(|digits| digits.len() == 4)?;
            let (major, minor) = digits.split_at_checked(2)?;
            Some(Self { major: two_digits(major)?, minor: two_digits(minor)? })
        })
    }
}

impl FromStr for Baseline {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self { major: two_digits(major).ok_or(())?, minor: two_digits(minor).ok_or(())? })
    }
}

fn two_digits(text: &str) -> Option<u8> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// How a collection treats the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Collection {
    /// Earth Search's first collection: offset sometimes taken off already, flags not always true.
    EarthSearchL2a,
    /// Earth Search's Collection 1: raw numbers and a declared offset that is true.
    EarthSearchC1L2a,
}

/// What the metadata of a scene say about its offset.
#[derive(Clone, Debug, PartialEq)]
pub struct OffsetFacts {
    /// The collection of the scene.
    pub collection: Collection,
    /// Its processing baseline, when known.
    pub baseline: Option<Baseline>,
    /// `earthsearch:boa_offset_applied`.
    pub already_applied: Option<bool>,
    /// `raster:bands[0].offset / scale`, rounded.
    pub declared_dn: Option<i32>,
    /// When the scene was acquired.
    pub acquired_at: Timestamp,
}

/// Why an offset was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffsetReason {
    /// The collection's declared offset, which is true.
    Declared,
    /// No offset was declared; the baseline has it.
    #[serde(rename = "baseline_from_04_00")]
    BaselineWithOffset,
    /// The baseline is older than the offset.
    #[serde(rename = "baseline_before_04_00")]
    BaselineWithoutOffset,
    /// The collection says that it took the offset off already.
    AlreadyApplied,
    /// The baseline is unknown and an offset of 0 is declared.
    BaselineUnknownDeclaredZero,
    /// The baseline is unknown and the scene is older than the offset.
    BaselineUnknownEarlyDate,
    /// The metadata leave a doubt and the pixels fit the offset.
    PixelsAgree,
    /// The metadata leave a doubt and the pixels contradict the offset.
    PixelsDisagree,
}

/// The offset to apply to a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetDecision {
    /// To be added to each digital number.
    pub dn: i32,
    /// Why.
    pub reason: OffsetReason,
    /// The pixels speak against what the metadata say.
    pub suspect: bool,
}

/// What the pixels that were read say about an offset of -1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffsetEvidence {
    /// Pixels with data in both bands.
    pub valid: u64,
    /// Of these, pixels whose red reflectance would become negative.
    pub red_negative: u64,
    /// Of these, pixels whose NDVI would leave [-1, 1].
    pub ndvi_out_of_range: u64,
}

impl OffsetEvidence {
    /// Looks at every pixel that was read in both bands, not only at those of the field: dark
    /// pixels, which tell most, may lie beside it.
    #[must_use]
    pub fn collect(red: &Band, nir: &Band) -> Self {
        let mut evidence = Self::default();
        for (column, row, red_dn) in red.pixels() {
            let nir_dn = nir.at(column, row).unwrap_or(NO_DATA);
            if red_dn == NO_DATA || nir_dn == NO_DATA {
                continue;
            }
            evidence.valid += 1;
            if i32::from(red_dn) + BOA_ADD_OFFSET_DN < 0 {
                evidence.red_negative += 1;
            }
            let value = ndvi(red_dn, nir_dn, BOA_ADD_OFFSET_DN);
            if value.is_some_and(|value| !(-1.0..=1.0).contains(&value)) {
                evidence.ndvi_out_of_range += 1;
            }
        }
        evidence
    }

    /// Whether too many pixels would make no sense.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of pixels are far below 2^52")]
    fn contradicts(&self) -> bool {
        let wrong = self.red_negative.max(self.ndvi_out_of_range);
        wrong as f64 > self.valid as f64 * SUSPECT_SHARE_MAX
    }
}

/// Chooses the offset of a scene by the table above. The evidence is about -1000, the only
/// offset in use. It is collected only where it can matter, and can overrule metadata only where
/// they leave a doubt; elsewhere it makes the offset suspect.
#[must_use]
pub fn decide(facts: &OffsetFacts, collect: impl FnOnce() -> OffsetEvidence) -> OffsetDecision {
    match by_metadata(facts) {
        Some((dn, reason)) => {
            let suspect = dn == BOA_ADD_OFFSET_DN && collect().contradicts();
            OffsetDecision { dn, reason, suspect }
        }
        None if collect().contradicts() => {
            OffsetDecision { dn: 0, reason: OffsetReason::PixelsDisagree, suspect: true }
        }
        None => {
            let (dn, reason) = (BOA_ADD_OFFSET_DN, OffsetReason::PixelsAgree);
            OffsetDecision { dn, reason, suspect: false }
        }
    }
}

/// What the metadata alone decide; `None` where they leave a doubt.
fn by_metadata(facts: &OffsetFacts) -> Option<(i32, OffsetReason)> {
    use OffsetReason as Why;
    let with_offset = facts.baseline.map(|baseline| baseline >= Baseline::WITH_OFFSET);
    match (facts.collection, with_offset) {
        (Collection::EarthSearchC1L2a, with_offset) => match (facts.declared_dn, with_offset) {
            (Some(dn), _) => Some((dn, Why::Declared)),
            (None, Some(true)) => Some((BOA_ADD_OFFSET_DN, Why::BaselineWithOffset)),
            (None, Some(false)) => Some((0, Why::BaselineWithoutOffset)),
            (None, None) => None,
        },
        (Collection::EarthSearchL2a, Some(false)) => Some((0, Why::BaselineWithoutOffset)),
        (Collection::EarthSearchL2a, _) if facts.already_applied == Some(true) => {
            Some((0, Why::AlreadyApplied))
        }
        (Collection::EarthSearchL2a, Some(true)) => None,
        (Collection::EarthSearchL2a, None) if facts.declared_dn == Some(0) => {
            Some((0, Why::BaselineUnknownDeclaredZero))
        }
        (Collection::EarthSearchL2a, None) => {
            (facts.acquired_at < BASELINE_04_00_LIVE).then_some((0, Why::BaselineUnknownEarlyDate))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::super::band::tests::one_tile;
    use super::*;

    const RAW: OffsetEvidence =
        OffsetEvidence { valid: 10_000, red_negative: 100, ndvi_out_of_range: 3 };
    const SHIFTED: OffsetEvidence =
        OffsetEvidence { valid: 10_000, red_negative: 5_700, ndvi_out_of_range: 900 };

    fn facts(baseline: &str, flag: Option<bool>, declared_dn: Option<i32>) -> OffsetFacts {
        OffsetFacts {
            collection: Collection::EarthSearchL2a,
            baseline: baseline.parse().ok(),
            already_applied: flag,
            declared_dn,
            acquired_at: "2023-10-08T18:02:55Z".parse().unwrap(),
        }
    }

    fn in_c1(facts: OffsetFacts) -> OffsetFacts {
        OffsetFacts { collection: Collection::EarthSearchC1L2a, ..facts }
    }

    #[track_caller]
    fn check(facts: &OffsetFacts, evidence: &OffsetEvidence, expected: (i32, OffsetReason, bool)) {
        let OffsetDecision { dn, reason, suspect } = decide(facts, || *evidence);
        assert_eq!((dn, reason, suspect), expected);
    }

    #[test]
    fn old_baseline_has_no_offset() {
        let why = OffsetReason::BaselineWithoutOffset;
        check(&facts("02.14", Some(false), Some(0)), &SHIFTED, (0, why, false));
        check(&facts("03.01", None, Some(-1_000)), &RAW, (0, why, false));
    }

    #[test]
    fn applied_flag_beats_the_declared_offset() {
        let recorded = facts("05.09", Some(true), Some(-1_000));
        check(&recorded, &SHIFTED, (0, OffsetReason::AlreadyApplied, false));
    }

    #[test]
    fn n1_offset_is_applied_when_pixels_agree() {
        for flag in [Some(false), None] {
            let doubtful = facts("05.09", flag, Some(-1_000));
            check(&doubtful, &RAW, (-1_000, OffsetReason::PixelsAgree, false));
        }
    }

    #[test]
    fn offset_is_not_applied_twice_when_the_flag_errs() {
        let doubtful = facts("05.09", Some(false), Some(-1_000));
        check(&doubtful, &SHIFTED, (0, OffsetReason::PixelsDisagree, true));
    }

    #[test]
    fn collection_one_is_believed() {
        let raw = in_c1(facts("05.00", None, Some(-1_000)));
        check(&raw, &RAW, (-1_000, OffsetReason::Declared, false));
        check(&raw, &SHIFTED, (-1_000, OffsetReason::Declared, true));
        let silent = in_c1(facts("05.00", None, None));
        check(&silent, &RAW, (-1_000, OffsetReason::BaselineWithOffset, false));
    }

    #[test]
    fn unknown_baseline_falls_back_on_declaration_and_date() {
        let declared = facts("", Some(false), Some(0));
        check(&declared, &RAW, (0, OffsetReason::BaselineUnknownDeclaredZero, false));
        let late = facts("", None, None);
        check(&late, &RAW, (-1_000, OffsetReason::PixelsAgree, false));
        let early = OffsetFacts { acquired_at: "2022-01-24T23:59:59Z".parse().unwrap(), ..late };
        check(&early, &RAW, (0, OffsetReason::BaselineUnknownEarlyDate, false));
    }

    #[test]
    fn evidence_counts_impossible_pixels() {
        let red = one_tile(&[1_200, 400, 0, 1_300], 2, 2);
        let nir = one_tile(&[3_000, 1_700, 2_000, 900], 2, 2);
        let evidence = OffsetEvidence::collect(&red, &nir);
        let expected = OffsetEvidence { valid: 3, red_negative: 1, ndvi_out_of_range: 2 };
        assert_eq!(evidence, expected);
    }

    #[test]
    fn baselines_are_read_from_both_places() {
        let baseline: Baseline = "05.09".parse().unwrap();
        let product = "S2A_MSIL2A_20231008T175231_N0509_R141_T13TDE_20231008T233154.SAFE";
        assert_eq!(Baseline::of_product(product), Some(baseline));
        assert_eq!(Baseline::of_product("S2B_MSIL2A_20210617T100559_R022_T33UUP"), None);
        assert!("5.9".parse::<Baseline>().is_err());
        assert!(baseline > Baseline::WITH_OFFSET);
    }
}
