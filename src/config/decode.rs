//! How does one node of the file become one value of a config type?
//!
//! A strict `serde::Deserializer`: what stands in the file must be of the type that is wanted, and
//! every message says what to write. An error names the node at fault, so that
//! the document can cut it out and go on.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use serde::de::{self, DeserializeSeed, Visitor};

use super::decode_error::{DecodeError, Site};
use super::fault::{listed, quoted};
use super::feign::Feigned;
use super::text::Text;
use super::tree::{Entry, Node, Value};

/// What one round of decoding sees of the tree.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Nodes that are treated as if they were not there.
    pub(super) cut: BTreeSet<usize>,
    /// Keys that are treated as if they were there, by the mapping that lacks them.
    pub(super) feigned: BTreeMap<usize, Vec<&'static str>>,
}

impl View {
    fn shows(&self, node: &Node) -> bool {
        !self.cut.contains(&node.id)
    }

    /// Whether a fault of this node may only follow from faults below it.
    pub(super) fn touches(&self, node: &Node) -> bool {
        self.cut.range(node.id + 1..node.end).next().is_some()
            || self.feigned.range(node.id..node.end).next().is_some()
    }
}

/// Decodes one node.
#[derive(Clone, Copy)]
pub(super) struct NodeDecoder<'a> {
    node: &'a Node,
    view: &'a View,
}

type Decoded<T> = Result<T, DecodeError>;

impl<'a> NodeDecoder<'a> {
    pub(super) fn new(node: &'a Node, view: &'a View) -> Self {
        Self { node, view }
    }

    /// Decodes the node, and names it in errors that a type raises once it has its parts.
    fn decode<T: DeserializeSeed<'a>>(self, seed: T) -> Decoded<T::Value> {
        seed.deserialize(self).map_err(|error| error.at(self.here()))
    }

    fn here(&self) -> Site {
        Site::Node(self.node.id)
    }

    fn refuse<T>(&self, wanted: &str) -> Decoded<T> {
        let found = match &self.node.value {
            _ if self.node.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        };
        Err(DecodeError::problem(format!("write {wanted}, not {found}")).at(self.here()))
    }

    fn scalar<T>(&self, wanted: &str, read: impl FnOnce(Text<'a>) -> Decoded<T>) -> Decoded<T> {
        match &self.node.value {
            Value::Scalar { text, plain } => {
                read(Text { text, plain: *plain }).map_err(|error| error.at(self.here()))
            }
            Value::Sequence(_) | Value::Mapping(_) => self.refuse(wanted),
        }
    }

    fn items<V: Visitor<'a>>(&self, visitor: V) -> Decoded<V::Value> {
        match &self.node.value {
            Value::Sequence(items) => visitor
                .visit_seq(Items { items: items.iter(), view: self.view })
                .map_err(|error| error.at(self.here())),
            Value::Scalar { .. } | Value::Mapping(_) => {
                self.refuse("a list, each item after \"- \"")
            }
        }
    }

    fn tuple<V: Visitor<'a>>(&self, len: usize, visitor: V) -> Decoded<V::Value> {
        let found = self.node.items().iter().filter(|item| self.view.shows(item)).count();
        if matches!(self.node.value, Value::Sequence(_)) && found != len {
            let problem = format!("write a list of {len} values, not of {found}");
            return Err(DecodeError::problem(problem).at(self.here()));
        }
        self.items(visitor)
    }

    /// Shows the entries to `visitor`; `fields` are the keys of a struct, empty for a map.
    fn entries<V>(&self, fields: &'static [&'static str], visitor: V) -> Decoded<V::Value>
    where
        V: Visitor<'a>,
    {
        let feigned = self.view.feigned.get(&self.node.id).map_or(&[][..], Vec::as_slice);
        let entries = Entries {
            decoder: *self,
            entries: self.node.entries().iter(),
            feigned: feigned.iter(),
            fields,
            value: None,
        };
        visitor.visit_map(entries).map_err(|error| error.at(self.here()))
    }
}

macro_rules! scalars {
    ($($method:ident: $wanted:literal,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
            self.scalar($wanted, |text| text.$method(visitor))
        })*
    };
}

impl<'de> de::Deserializer<'de> for NodeDecoder<'de> {
    type Error = DecodeError;

    scalars! {
        deserialize_bool: "true or false",
        deserialize_i8: "a whole number",
        deserialize_i16: "a whole number",
        deserialize_i32: "a whole number",
        deserialize_i64: "a whole number",
        deserialize_u8: "a whole number",
        deserialize_u16: "a whole number",
        deserialize_u32: "a whole number",
        deserialize_u64: "a whole number",
        deserialize_f32: "a number",
        deserialize_f64: "a number",
        deserialize_char: "a single character",
        deserialize_str: "a text",
        deserialize_string: "a text",
        deserialize_bytes: "a text",
        deserialize_byte_buf: "a text",
        deserialize_unit: "nothing",
        deserialize_identifier: "a text",
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.node.value {
            Value::Scalar { .. } => self.scalar("a text", |text| text.deserialize_any(visitor)),
            Value::Sequence(_) => self.items(visitor),
            Value::Mapping(_) => self.entries(&[], visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
            .map_err(|error| error.at(self.here()))
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
        visitor.visit_newtype_struct(self).map_err(|error| error.at(self.here()))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        self.items(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Decoded<V::Value> {
        self.tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Decoded<V::Value> {
        self.tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        match &self.node.value {
            Value::Mapping(_) => self.entries(&[], visitor),
            Value::Scalar { .. } | Value::Sequence(_) => self.refuse("a mapping, \"key: value\""),
        }
    }

    /// A struct of which nothing is written is one of which every key is left out.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        if !self.node.is_null() && !matches!(self.node.value, Value::Mapping(_)) {
            return self.refuse(&format!("a mapping with the keys {}", listed_keys(fields)));
        }
        self.entries(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        let wanted = listed(variants);
        let mut entries = self.node.entries().iter().filter(|entry| self.view.shows(&entry.value));
        let variant = match (&self.node.value, entries.next(), entries.next()) {
            (Value::Scalar { text, .. }, ..) if !self.node.is_null() => {
                Variant { name: text, content: None, decoder: self }
            }
            (Value::Mapping(_), Some(Entry { key, value, .. }), None) => {
                Variant { name: key, content: Some(value), decoder: self }
            }
            (Value::Mapping(_), ..) => return self.refuse(&format!("exactly one of {wanted}")),
            _ => return self.refuse(&wanted),
        };
        visitor.visit_enum(variant).map_err(|error| error.at(self.here()))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Decoded<V::Value> {
        visitor.visit_unit()
    }
}

fn listed_keys(fields: &[&str]) -> String {
    listed(fields).replace(" or ", " and ")
}

/// Hands out the items of a list.
struct Items<'a> {
    items: slice::Iter<'a, Node>,
    view: &'a View,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Decoded<Option<T::Value>> {
        let view = self.view;
        let item = self.items.find(|item| view.shows(item));
        item.map(|node| NodeDecoder { node, view }.decode(seed)).transpose()
    }
}

/// Hands out the entries of a mapping: first those that are there, then those that are feigned.
struct Entries<'a> {
    decoder: NodeDecoder<'a>,
    entries: slice::Iter<'a, Entry>,
    feigned: slice::Iter<'a, &'static str>,
    fields: &'static [&'static str],
    /// The value of the last key; `None` for a feigned one.
    value: Option<&'a Node>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Decoded<Option<K::Value>> {
        let (view, fields) = (self.decoder.view, self.fields);
        // A known key with nothing behind it counts as left out: its section is commented out.
        let left_out =
            |entry: &Entry| entry.value.is_null() && fields.contains(&entry.key.as_str());
        let entry = self.entries.find(|entry| view.shows(&entry.value) && !left_out(entry));
        self.value = entry.map(|entry| &entry.value);
        if let Some(Entry { key, value, .. }) = entry {
            let key = seed.deserialize(Text { text: key, plain: true });
            return key.map(Some).map_err(|error| error.at(Site::Key(value.id)));
        }
        let Some(key) = self.feigned.next() else { return Ok(None) };
        seed.deserialize(Text { text: key, plain: true }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Decoded<V::Value> {
        let NodeDecoder { node: mapping, view } = self.decoder;
        match self.value.take() {
            Some(node) => NodeDecoder { node, view }.decode(seed),
            None => seed
                .deserialize(Feigned::default())
                .map_err(|error| error.at(Site::Feigned(mapping.id))),
        }
    }
}

/// Hands out the one variant that is written.
struct Variant<'a> {
    name: &'a str,
    content: Option<&'a Node>,
    decoder: NodeDecoder<'a>,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Decoded<(V::Value, Self)> {
        let name = seed.deserialize(Text { text: self.name, plain: true });
        let site = self.content.map_or(self.decoder.here(), |content| Site::Key(content.id));
        Ok((name.map_err(|error| error.at(site))?, self))
    }
}

impl<'de> Variant<'de> {
    fn content(&self) -> Decoded<NodeDecoder<'de>> {
        let name = self.name;
        let Some(node) = self.content else {
            return Err(DecodeError::problem(format!(
                "{} does not stand alone; write \"{name}: ..\" with what it needs",
                quoted(name)
            )));
        };
        Ok(NodeDecoder { node, view: self.decoder.view })
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Decoded<()> {
        match self.content {
            Some(content) if !content.is_null() => Err(DecodeError::problem(format!(
                "{} takes nothing; write it alone",
                quoted(self.name)
            ))
            .at(Site::Node(content.id))),
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Decoded<T::Value> {
        self.content()?.decode(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Decoded<V::Value> {
        self.content()?.tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Decoded<V::Value> {
        de::Deserializer::deserialize_struct(self.content()?, "", fields, visitor)
    }
}
