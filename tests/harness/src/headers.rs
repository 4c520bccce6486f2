//! The header fields of a message, in the order in which they stood on the wire.

/// Header fields in wire order; names keep their case and are compared without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of the first field of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The values of all fields of this name, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// Whether there is a field of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All fields as (name, value), in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Adds a field at the end, beside others of the same name.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Replaces all fields of this name by one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
        self.push(name, value);
    }

    /// Writes every field as one `name: value` line.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
    }

    /// Whether a list-valued field such as `Connection` holds this token.
    pub(crate) fn holds_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .iter()
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case() {
        let mut headers = Headers::default();
        headers.push("Set-Cookie", "a");
        headers.push("set-cookie", "b");
        assert_eq!(headers.get("SET-COOKIE"), Some("a"));
        assert_eq!(headers.all("Set-Cookie"), ["a", "b"]);
        headers.set("SET-COOKIE", "c");
        assert_eq!(headers.all("set-cookie"), ["c"]);
    }

    #[test]
    fn tokens_are_found_inside_a_list() {
        let mut headers = Headers::default();
        headers.push("Connection", "keep-alive, Close");
        assert!(headers.holds_token("connection", "close"));
        assert!(!headers.holds_token("connection", "upgrade"));
    }
}
