//! By what does an operator know an answer?
//!
//! A key is a digest and says nothing. These are the words that an answer is shown with and purged
//! by.

use http::{HeaderMap, HeaderName};

/// `Surrogate-Key`: tags with spaces between them, as Fastly and Varnish read it.
pub const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// `Cache-Tag`: tags with commas between them, as Cloudflare and Akamai read it.
pub const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// Most tags of one answer.
pub const TAGS_MAX: usize = 128;

/// Most bytes of all tags of one answer.
pub const TAGS_BYTES_MAX: usize = 8 * 1024;

/// What an answer is shown with and purged by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Name of the route.
    pub route: String,
    /// Host without port, lower case.
    pub host: String,
    /// Path as it was asked for at the upstream.
    pub path: String,
    /// Query as it was asked for at the upstream, without the question mark.
    pub query: String,
    /// What the upstream says that the answer is made of, each once, in its order.
    pub tags: Vec<String>,
}

impl Labels {
    /// Bytes that the labels cost.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(|tag| tag.len() + size_of::<String>()).sum();
        let texts = [&self.route, &self.host, &self.path, &self.query];
        size_of::<Self>() + texts.iter().map(|text| text.len()).sum::<usize>() + tags
    }
}

/// The tags in an upstream's answer, of both fields.
///
/// `None` when there are more than [`TAGS_MAX`], or more than [`TAGS_BYTES_MAX`] of text, or when one
/// cannot be read: an answer that a purge might miss is better not kept.
#[must_use]
pub fn tags(headers: &HeaderMap) -> Option<Vec<String>> {
    let mut tags: Vec<String> = Vec::new();
    let mut bytes = 0;
    for (name, separator) in [(&SURROGATE_KEY, ' '), (&CACHE_TAG, ',')] {
        for value in headers.get_all(name) {
            for tag in value.to_str().ok()?.split(separator).map(str::trim) {
                if tag.is_empty() || tags.iter().any(|known| known == tag) {
                    continue;
                }
                bytes += tag.len();
                if tags.len() >= TAGS_MAX || bytes > TAGS_BYTES_MAX {
                    return None;
                }
                tags.push(tag.to_owned());
            }
        }
    }
    Some(tags)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http::HeaderValue;

    use super::*;

    fn read(fields: &[(&'static str, &str)]) -> Option<Vec<String>> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        tags(&headers)
    }

    #[test]
    fn tags_of_both_fields_are_read_each_once() {
        let found = read(&[
            ("surrogate-key", "field-7  farm/2 field-7"),
            ("cache-tag", "ndvi, field-7"),
            ("cache-tag", "two words,,x"),
        ]);
        assert_eq!(found.unwrap(), ["field-7", "farm/2", "ndvi", "two words", "x"]);
        assert_eq!(read(&[]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn more_tags_than_are_kept_are_no_tags_at_all() {
        let many = |count: usize| {
            let tags: Vec<String> = (0..count).map(|tag| tag.to_string()).collect();
            read(&[("surrogate-key", &tags.join(" "))])
        };
        assert_eq!(many(TAGS_MAX).unwrap().len(), TAGS_MAX);
        assert_eq!(many(TAGS_MAX + 1), None);
        assert_eq!(read(&[("cache-tag", &"x".repeat(TAGS_BYTES_MAX + 1))]), None);
    }
}
