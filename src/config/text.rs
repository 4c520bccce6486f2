//! How does one scalar of the file become a number, a truth value or a text?
//!
//! Plain scalars follow the core schema of YAML 1.2 (10.3.2), where a type asks for them: `yes` is
//! not a truth value, `0o17` and `0x1f` are whole numbers, `"8080"` in quotes is a text and never a
//! number. A text may be written plain, whatever it looks like: `1h`, `8080`.

use serde::de::{self, Visitor};

use super::decode_error::DecodeError;
use super::fault::{listed, quoted};
use super::tree::is_null;

/// Decodes one scalar, or one key.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) plain: bool,
}

type Decoded<T> = Result<T, DecodeError>;

impl Text<'_> {
    fn is_null(self) -> bool {
        is_null(self.text, self.plain)
    }

    fn refuse<T>(self, wanted: &str) -> Decoded<T> {
        let found = if self.is_null() { "nothing".to_owned() } else { quoted(self.text) };
        Err(DecodeError::problem(format!("write {wanted}, not {found}")))
    }

    /// A whole number of the core schema, between two bounds.
    fn integer<T: TryFrom<i128>>(self, min: i128, max: i128) -> Decoded<T> {
        let number = integer(self.text);
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) if self.plain => Ok(number),
            Some(_) => {
                Err(DecodeError::problem(format!("write the number without quotes: {}", self.text)))
            }
            None if max <= u32::MAX.into() => {
                self.refuse(&format!("a whole number from {min} to {max}"))
            }
            None if min == 0 => self.refuse("a whole number, 0 or more"),
            None => self.refuse("a whole number"),
        }
    }

    fn float(self) -> Decoded<f64> {
        match float(self.text) {
            Some(number) if self.plain => Ok(number),
            Some(_) => {
                Err(DecodeError::problem(format!("write the number without quotes: {}", self.text)))
            }
            None => self.refuse("a number, such as 0.5"),
        }
    }
}

/// `[-+]?[0-9]+`, `0o[0-7]+` or `0x[0-9a-fA-F]+`.
fn integer(text: &str) -> Option<i128> {
    let (digits, radix) = match (text.strip_prefix("0o"), text.strip_prefix("0x")) {
        (Some(digits), _) => (digits, 8),
        (None, Some(digits)) => (digits, 16),
        (None, None) => (text, 10),
    };
    if radix != 10 && !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, and finite.
fn float(text: &str) -> Option<f64> {
    // Rust reads the same numbers, and the words `inf` and `nan`, which no setting means.
    let looks_right = text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    text.parse().ok().filter(|number: &f64| looks_right && number.is_finite())
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $number:ident,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
            visitor.$visit(self.integer($number::MIN.into(), $number::MAX.into())?)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Text<'_> {
    type Error = DecodeError;

    integers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        if !self.plain {
            return visitor.visit_str(self.text);
        }
        if self.is_null() {
            return visitor.visit_unit();
        }
        let number = integer(self.text);
        if let Some(number) = boolean(self.text) {
            visitor.visit_bool(number)
        } else if let Some(number) = number.and_then(|number| u64::try_from(number).ok()) {
            visitor.visit_u64(number)
        } else if let Some(number) = number.and_then(|number| i64::try_from(number).ok()) {
            visitor.visit_i64(number)
        } else if let Some(number) = float(self.text) {
            visitor.visit_f64(number)
        } else {
            visitor.visit_str(self.text)
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match boolean(self.text) {
            Some(value) if self.plain => visitor.visit_bool(value),
            _ => self.refuse("true or false, without quotes"),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        let mut chars = self.text.chars();
        match (chars.next(), chars.next()) {
            (Some(only), None) => visitor.visit_char(only),
            _ => self.refuse("a single character"),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        if self.is_null() {
            return self.refuse("a text");
        }
        visitor.visit_str(self.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        if self.is_null() { visitor.visit_unit() } else { self.refuse("nothing") }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Decoded<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Decoded<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    /// A key may be one of a closed set of words.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        if self.is_null() {
            return self.refuse(&listed(variants));
        }
        visitor.visit_enum(de::value::StrDeserializer::new(self.text))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_str(self.text)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { seq tuple tuple_struct map struct }
}
