//! What else is missing beside the first key that is missing?
//!
//! Serde looks for the required keys of a struct one after the other and stops at the first that is
//! not there. So a key that is missing is reported once and then feigned: it gets a value of the
//! right type, and decoding goes on to the next. The feigned value never leaves the loader, for the
//! mapping that lacks the key is cut before the result is handed out.
//!
//! A type that reads a text asks for `deserialize_newtype_struct` with an example of its text as
//! the name, as [`scalar`](super::scalar) does. A type that cannot be feigned costs nothing but
//! the names of the further keys that are missing beside it.

use serde::de::{self, DeserializeSeed, Visitor};

use super::decode_error::DecodeError;
use super::text::Text;

/// Gives whatever is asked for.
#[derive(Clone, Copy, Default)]
pub(super) struct Feigned {
    example: &'static str,
    depth: usize,
}

type Decoded<T> = Result<T, DecodeError>;

impl Feigned {
    fn inside(self) -> Decoded<Self> {
        if self.depth >= DEPTH_MAX {
            return Err(DecodeError::problem("nested too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

macro_rules! feign {
    ($($method:ident $visit:ident($value:expr),)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
            visitor.$visit($value)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Feigned {
    type Error = DecodeError;

    feign! {
        deserialize_bool visit_bool(false),
        deserialize_i8 visit_i8(1),
        deserialize_i16 visit_i16(1),
        deserialize_i32 visit_i32(1),
        deserialize_i64 visit_i64(1),
        deserialize_u8 visit_u8(1),
        deserialize_u16 visit_u16(1),
        deserialize_u32 visit_u32(1),
        deserialize_u64 visit_u64(1),
        deserialize_f32 visit_f32(1.0),
        deserialize_f64 visit_f64(1.0),
        deserialize_char visit_char('a'),
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_str(self.example)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_str(self.example)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        example: &'static str,
        visitor: V,
    ) -> Decoded<V::Value> {
        visitor.visit_newtype_struct(Self { example, ..self.inside()? })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_seq(Repeated { item: self, left: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Decoded<V::Value> {
        visitor.visit_seq(Repeated { item: self.inside()?, left: len })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Decoded<V::Value> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_map(Fields { fields: [].iter(), value: self })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        visitor.visit_map(Fields { fields: fields.iter(), value: self.inside()? })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        let name = variants.first().copied().unwrap_or_default();
        visitor.visit_enum(Variant { name, content: self.inside()? })
    }

    serde::forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct identifier ignored_any
    }
}

struct Repeated {
    item: Feigned,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Repeated {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Decoded<Option<T::Value>> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(self.item).map(Some)
    }
}

struct Fields {
    fields: std::slice::Iter<'static, &'static str>,
    value: Feigned,
}

impl<'de> de::MapAccess<'de> for Fields {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Decoded<Option<K::Value>> {
        let field = self.fields.next();
        field.map(|text| seed.deserialize(Text { text, plain: true })).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Decoded<V::Value> {
        seed.deserialize(self.value)
    }
}

struct Variant {
    name: &'static str,
    content: Feigned,
}

impl<'de> de::EnumAccess<'de> for Variant {
    type Error = DecodeError;
    type Variant = Feigned;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Decoded<(V::Value, Feigned)> {
        let name = seed.deserialize(Text { text: self.name, plain: true })?;
        Ok((name, self.content))
    }
}

impl<'de> de::VariantAccess<'de> for Feigned {
    type Error = DecodeError;

    fn unit_variant(self) -> Decoded<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Decoded<T::Value> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Decoded<V::Value> {
        de::Deserializer::deserialize_tuple(self, len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        de::Deserializer::deserialize_struct(self, "", fields, visitor)
    }
}

/// The deepest nesting of what is feigned.
const DEPTH_MAX: usize = 16;
