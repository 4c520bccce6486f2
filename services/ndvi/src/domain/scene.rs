//! Which scene is this, and which of two that show the same should be used?

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::offset::{Baseline, Collection, OffsetFacts};

/// One acquisition of one tile, with the addresses of its bands.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Identifier in the catalogue.
    pub id: String,
    /// When it was acquired.
    pub acquired_at: Timestamp,
    /// Cloud cover of the whole scene in percent, 0 to 100; it says little about one field.
    pub cloud_cover_percent: Option<f64>,
    /// `[west, south, east, north]` in degrees.
    pub bounds: Option<[f64; 4]>,
    /// Grid square, such as `MGRS-33UUP`.
    pub grid_square: Option<String>,
    /// What the metadata say about the offset.
    pub offset_facts: OffsetFacts,
    /// Address of band 4, red.
    pub red: String,
    /// Address of band 8, near infrared.
    pub nir: String,
    /// Address of the scene classification.
    pub scl: Option<String>,
}

impl Scene {
    /// The UTC day of the acquisition.
    #[must_use]
    pub fn day(&self) -> Date {
        self.acquired_at.to_zoned(TimeZone::UTC).date()
    }

    /// The addresses of its bands.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        [Some(&self.red), Some(&self.nir), self.scl.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    /// How good a copy of an acquisition this is: Collection 1 first, then the higher baseline;
    /// the identifier, which ends in the processing sequence, breaks ties.
    fn rank(&self) -> (Collection, Option<Baseline>, &str) {
        (self.offset_facts.collection, self.offset_facts.baseline, &self.id)
    }
}

/// Keeps one copy of each acquisition of a grid square and day, in order of time.
///
/// One field may still be seen twice on a day, by two neighbouring squares: these are two views
/// with pixels of their own.
#[must_use]
pub fn best_copies(scenes: Vec<Scene>) -> Vec<Scene> {
    let mut best: BTreeMap<(String, Date), Scene> = BTreeMap::new();
    let mut unplaced = Vec::new();
    for scene in scenes {
        let Some(square) = scene.grid_square.clone() else {
            unplaced.push(scene);
            continue;
        };
        let key = (square, scene.day());
        if best.get(&key).is_none_or(|kept| kept.rank() < scene.rank()) {
            best.insert(key, scene);
        }
    }
    let mut kept: Vec<Scene> = best.into_values().chain(unplaced).collect();
    kept.sort_by(|a, b| (a.acquired_at, &a.id).cmp(&(b.acquired_at, &b.id)));
    kept
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    /// A scene that says nothing special.
    pub(crate) fn scene(id: &str, acquired_at: &str, square: &str) -> Scene {
        let acquired_at = acquired_at.parse().unwrap();
        Scene {
            id: id.to_owned(),
            acquired_at,
            cloud_cover_percent: None,
            bounds: None,
            grid_square: Some(square.to_owned()),
            offset_facts: OffsetFacts {
                collection: Collection::EarthSearchL2a,
                baseline: "03.01".parse().ok(),
                already_applied: None,
                declared_dn: None,
                acquired_at,
            },
            red: "http://host/red.tif".to_owned(),
            nir: "http://host/nir.tif".to_owned(),
            scl: None,
        }
    }

    fn ids(scenes: Vec<Scene>) -> Vec<String> {
        best_copies(scenes).into_iter().map(|scene| scene.id).collect()
    }

    #[test]
    fn collection_one_wins_over_the_older_copy() {
        let old = scene("old", "2023-06-17T10:05:59Z", "MGRS-33UUP");
        let mut new = scene("new", "2023-06-17T10:06:01Z", "MGRS-33UUP");
        new.offset_facts.collection = Collection::EarthSearchC1L2a;
        assert_eq!(ids(vec![new.clone(), old.clone()]), ["new"]);
        assert_eq!(ids(vec![old, new]), ["new"]);
    }

    #[test]
    fn higher_baseline_wins_within_a_collection() {
        let old = scene("S2_0", "2021-06-17T10:05:59Z", "MGRS-33UUP");
        let mut new = scene("S2_1", "2021-06-17T10:05:59Z", "MGRS-33UUP");
        new.offset_facts.baseline = "05.00".parse().ok();
        assert_eq!(ids(vec![new, old]), ["S2_1"]);
    }

    #[test]
    fn other_days_and_squares_are_kept_in_order() {
        let scenes = vec![
            scene("c", "2021-06-19T10:05:59Z", "MGRS-33UUP"),
            scene("b", "2021-06-17T10:06:10Z", "MGRS-33UVP"),
            scene("a", "2021-06-17T10:05:59Z", "MGRS-33UUP"),
        ];
        assert_eq!(ids(scenes), ["a", "b", "c"]);
    }
}
