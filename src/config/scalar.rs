//! Which values of the file are written as one text, and what does each of them mean?
//!
//! Each type parses while it is decoded, so that nothing behind the loader has to check again, and
//! each refusal says what to write instead.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Visitor};

mod address;
mod amount;
mod decimal;
mod fresh;
mod moment;
mod request;
mod secret;
mod short;
mod url;

pub use address::{ListenAddress, Network, PeerAddress};
pub use amount::{ByteSize, Period, Rate};
pub use decimal::Decimal;
pub use fresh::Fresh;
pub use moment::Moment;
pub use request::{HostName, MethodName, PathPrefix};
pub use secret::{Secret, SecretRef};
pub(super) use short::text_or_mapping;
pub use url::UrlRef;

/// A text that is not what a type takes: what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScalarError(String);

impl ScalarError {
    fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// Decodes a type from its text.
///
/// The example goes where serde wants the name of a newtype: a deserializer that has to make a
/// value up, to see what else is missing, takes it from there.
fn from_text<'de, T, D>(
    deserializer: D,
    example: &'static str,
    read: fn(&str) -> Result<T, ScalarError>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_newtype_struct(example, FromText { example, read, made: PhantomData })
}

struct FromText<T> {
    example: &'static str,
    read: fn(&str) -> Result<T, ScalarError>,
    made: PhantomData<T>,
}

impl<'de, T> Visitor<'de> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text such as {:?}", self.example)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, text: D) -> Result<T, D::Error> {
        text.deserialize_str(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).map_err(E::custom)
    }
}

/// Makes a type with `FromStr` one that serde reads from its text.
macro_rules! read_from_text {
    ($($type:ident: $example:literal,)*) => {
        $(impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::config::scalar::from_text(deserializer, $example, str::parse)
            }
        })*
    };
}
use read_from_text;
