//! Where is a server, when the way to it may hold a password?

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::secret::SecretRef;
use super::{ScalarError, read_from_text};
use crate::config::Environment;

/// A URL as it stands, or the place where it is kept: `env:NAME` or `file:PATH`.
///
/// `Debug` shows only the kind.
#[derive(Clone, PartialEq, Eq)]
pub struct UrlRef(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Url(String),
    Kept(SecretRef),
}

impl UrlRef {
    /// Fetches the URL. A relative path starts at `base_dir`.
    ///
    /// # Errors
    /// What is wrong with the place, or that what is kept there is no text.
    pub fn resolve(&self, base_dir: &Path, environment: &Environment) -> Result<String, String> {
        match &self.0 {
            Source::Url(url) => Ok(url.clone()),
            Source::Kept(place) => {
                let kept = place.resolve(base_dir, environment)?;
                let text = std::str::from_utf8(kept.as_bytes()).map(str::trim);
                text.map(str::to_owned).map_err(|_| "what is kept there is no URL".to_owned())
            }
        }
    }
}

impl FromStr for UrlRef {
    type Err = ScalarError;

    /// The error never repeats the text, which may hold a password.
    fn from_str(text: &str) -> Result<Self, ScalarError> {
        if let Some((scheme, rest)) = text.split_once("://") {
            let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            if !scheme.is_empty() && scheme.bytes().all(is_scheme) && !rest.is_empty() {
                return Ok(Self(Source::Url(text.to_owned())));
            }
        }
        text.parse().map(Source::Kept).map(Self).map_err(|_| {
            ScalarError::new(
                "this is no URL; write one, such as redis://127.0.0.1:6379, or where it is kept: \
                 env:NAME or file:PATH",
            )
        })
    }
}

impl fmt::Debug for UrlRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Url(_) => "UrlRef(..)",
            Source::Kept(_) => "UrlRef(kept elsewhere)",
        })
    }
}

read_from_text! {
    UrlRef: "redis://127.0.0.1:6379",
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn urls_are_taken_as_they_stand_and_never_shown() {
        let Ok(url) = "redis://:hidden@127.0.0.1:6379/0".parse::<UrlRef>() else {
            panic!("this is a URL");
        };
        assert_eq!(
            url.resolve(Path::new(""), &Environment::default()),
            Ok("redis://:hidden@127.0.0.1:6379/0".to_owned())
        );
        assert!(!format!("{url:?}").contains("hidden"));
        assert!("env:REDIS_URL".parse::<UrlRef>().is_ok());
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_repeated() {
        for text in ["", "127.0.0.1:6379", "hidden", "://x", "redis://", "env:"] {
            let Err(error) = text.parse::<UrlRef>() else { panic!("{text} is no URL") };
            assert!(!error.to_string().contains("hidden"));
        }
    }
}
