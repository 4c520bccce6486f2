//! What did the query string ask for?

/// The decoded pairs of a query string, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first value of `key` that is not empty. The providers treat `key=` as absent.
    pub(crate) fn first(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, value)| name == key && !value.is_empty())
            .map(|(_, v)| v.as_str())
    }

    /// All values of `key`, with comma lists and repeated keys flattened.
    pub(crate) fn list(&self, key: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(name, _)| name == key)
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        Params::new(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn comma_lists_and_repeated_keys_read_alike() {
        let commas = params(&[("hourly", "a,b , c")]);
        let repeated = params(&[("hourly", "a"), ("x", "y"), ("hourly", "b"), ("hourly", "c")]);
        assert_eq!(commas.list("hourly"), ["a", "b", "c"]);
        assert_eq!(commas.list("hourly"), repeated.list("hourly"));
    }

    #[test]
    fn empty_value_counts_as_absent() {
        assert_eq!(params(&[("timezone", "")]).first("timezone"), None);
        assert!(params(&[("hourly", ",")]).list("hourly").is_empty());
    }
}
