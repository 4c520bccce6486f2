//! Which values may be written short, as one text, or long, as a mapping?

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::ScalarError;

/// Decodes `T` from one text by `short`, or from the mapping `M` by `long`. `wanted` says what to
/// write where neither stands.
pub(in crate::config) fn text_or_mapping<'de, D, T, M>(
    deserializer: D,
    wanted: &'static str,
    short: fn(&str) -> Result<T, ScalarError>,
    long: fn(M) -> T,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    M: Deserialize<'de>,
{
    deserializer.deserialize_any(TextOrMapping { wanted, short, long, made: PhantomData })
}

struct TextOrMapping<T, M> {
    wanted: &'static str,
    short: fn(&str) -> Result<T, ScalarError>,
    long: fn(M) -> T,
    made: PhantomData<(T, M)>,
}

impl<'de, T, M: Deserialize<'de>> Visitor<'de> for TextOrMapping<T, M> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.short)(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(self.long)
    }
}
