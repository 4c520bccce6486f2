//! Does the scene classification let a pixel count?
//!
//! The classes are those of Sen2Cor's scene classification layer (SCL), 20 m: 0 no data,
//! 1 saturated, 2 dark, 3 cloud shadow, 4 vegetation, 5 bare, 6 water, 7 unclassified, 8 and 9
//! cloud of medium and high probability, 10 thin cirrus, 11 snow.

/// Classes that are kept out of statistics unless configured otherwise: everything that hides
/// the ground. Water stays in.
pub const MASKED_DEFAULT: [u8; 8] = [0, 1, 2, 3, 8, 9, 10, 11];

/// Number of classes.
pub const CLASSES: u8 = 12;

/// Cloud proper: medium and high probability and thin cirrus, not shadow.
const CLOUD: ClassSet = ClassSet(1 << 8 | 1 << 9 | 1 << 10);

/// A set of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassSet(u16);

impl ClassSet {
    /// The set of these classes; `None` when one of them does not exist.
    #[must_use]
    pub fn of(classes: &[u8]) -> Option<Self> {
        classes
            .iter()
            .try_fold(Self(0), |set, class| (*class < CLASSES).then_some(Self(set.0 | 1 << class)))
    }

    /// Whether the set holds a class. A number that is no class is in no set.
    #[must_use]
    pub fn holds(self, class: u16) -> bool {
        class < u16::from(CLASSES) && self.0 >> class & 1 == 1
    }
}

impl Default for ClassSet {
    fn default() -> Self {
        MASKED_DEFAULT.iter().fold(Self(0), |set, class| Self(set.0 | 1 << class))
    }
}

/// Whether a class is cloud.
#[must_use]
pub fn is_cloud(class: u16) -> bool {
    CLOUD.holds(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_mask_keeps_the_visible_ground() {
        let kept: Vec<u16> = (0..12).filter(|class| !ClassSet::default().holds(*class)).collect();
        assert_eq!(kept, [4, 5, 6, 7]);
    }

    #[test]
    fn invented_class_is_refused() {
        assert_eq!(ClassSet::of(&[3, 12]), None);
        assert_eq!(ClassSet::of(&MASKED_DEFAULT), Some(ClassSet::default()));
        assert!(!ClassSet::default().holds(200));
    }

    #[test]
    fn shadow_is_masked_but_is_not_cloud() {
        assert!(ClassSet::default().holds(3) && !is_cloud(3));
        assert!([8, 9, 10].into_iter().all(is_cloud));
    }
}
