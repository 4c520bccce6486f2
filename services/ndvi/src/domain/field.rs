//! What is a field that this service keeps: its name, and the state of its outline?

use std::fmt;

use geojson::Geometry;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::outline::Outline;

/// Longest name of a field in bytes.
pub const FIELD_ID_BYTES_MAX: usize = 64;

/// A field's name, given by whoever keeps the list of farms: a number, a UUID or a word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(String);

impl FieldId {
    /// Reads 1 to [`FIELD_ID_BYTES_MAX`] characters of `A-Z a-z 0-9 . _ -`, of which the first is
    /// a letter or a digit; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=FIELD_ID_BYTES_MAX).contains(&text.len());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        (fits && begins && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for FieldId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A number that is another one for each outline that a field ever had. What was computed for one
/// revision says nothing of the next.
pub type Revision = i64;

/// A field as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub id: FieldId,
    /// Its outline as GeoJSON, checked when it came.
    pub geometry: Geometry,
    /// Its area in hectares.
    pub area_ha: f64,
    /// Which of its outlines this is.
    pub revision: Revision,
    /// When this outline came.
    pub updated_at: Timestamp,
}

/// An outline that a field is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldDraft {
    /// Whose.
    pub id: FieldId,
    /// The outline, checked.
    pub outline: Outline,
    /// When it came.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for good in ["17", "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "north_2.b"] {
            assert!(FieldId::parse(good).is_some(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "-x", &"x".repeat(65)] {
            assert!(FieldId::parse(bad).is_none(), "{bad}");
        }
    }
}
