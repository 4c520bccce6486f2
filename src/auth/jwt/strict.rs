//! Is this one JSON object in which no name comes twice?
//!
//! Two parsers that read a name twice may each believe another one of the two values; what the
//! gateway checked must be what the service behind it reads. So a document that has a name twice,
//! at any depth, known or not, is refused. Depth is bounded by `serde_json` (128), so no document
//! can use up the stack.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The members of a JSON object.
pub(super) type Object = Map<String, Value>;

/// Reads one object out of UTF-8 text; `None` for anything else.
pub(super) fn object(text: &[u8]) -> Option<Object> {
    let text = std::str::from_utf8(text).ok()?;
    match serde_json::from_str(text).ok()? {
        Strict(Value::Object(members)) => Some(members),
        Strict(_) => None,
    }
}

/// Any JSON value without a repeated name.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Strict)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let Strict(value) = members.next_value()?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_the_library_reads_it() {
        let text = r#" {"a":[1,-2,3.5,true,null,{"b":"\u00e9"}],"c":{"a":18446744073709551615}} "#;
        let read = object(text.as_bytes()).map(Value::Object);
        assert_eq!(read, serde_json::from_str(text).ok());
    }

    #[test]
    fn a_name_that_comes_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"b":2,"a":3}}"#,
            r#"{"x":[[{"a":1,"a":2}]]}"#,
        ] {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
        assert!(object(br#"{"a":{"a":{"a":1}},"A":2}"#).is_some());
    }

    #[test]
    fn what_is_no_single_object_is_refused() {
        let deep = "[".repeat(100_000);
        let nested = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
        for text in ["", "1", "[]", "\"{}\"", "{}{}", "{},", "{'a':1}", "{\"a\":NaN}", &deep] {
            assert_eq!(object(text.as_bytes()), None);
        }
        assert_eq!(object(nested.as_bytes()), None);
        for bytes in [&b"{\"a\":\"\xff\"}"[..], b"\xef\xbb\xbf{}", b"{\"a\":\"\\ud800\"}", b"{}\0"]
        {
            assert_eq!(object(bytes), None, "{bytes:?}");
        }
        assert!(object(b"{}").is_some());
    }
}
