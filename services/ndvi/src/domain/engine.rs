//! Which rules computed an observation?

use super::cloud::{CLASSES, ClassSet};

/// The word for this way to compute NDVI: from the scenes of a STAC catalogue.
pub const ENGINE: &str = "stac";

/// Names the rules: the version of the program and, when it is not the default, which classes were
/// left out. Observations of different rules are never mixed in one series.
#[must_use]
pub fn engine_version(masked: ClassSet) -> String {
    let version = env!("CARGO_PKG_VERSION");
    if masked == ClassSet::default() {
        return version.to_owned();
    }
    let classes: Vec<String> = (0..CLASSES)
        .filter(|class| masked.holds(u16::from(*class)))
        .map(|class| class.to_string())
        .collect();
    format!("{version}+masked.{}", classes.join("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn another_mask_is_another_engine() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(engine_version(ClassSet::default()), version);
        let other = engine_version(ClassSet::of(&[3, 8, 9]).unwrap());
        assert_eq!(other, format!("{version}+masked.3.8.9"));
    }
}
