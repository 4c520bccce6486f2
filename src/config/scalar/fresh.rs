//! How long is a stored answer fresh, and who says so?

use std::str::FromStr;

use super::{Period, ScalarError, read_from_text};

/// A time such as `1h`, or the word `upstream` where each answer says it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// So long, whatever the upstream says.
    For(Period),
    /// As long as the upstream says.
    Upstream,
}

impl FromStr for Fresh {
    type Err = ScalarError;

    fn from_str(text: &str) -> Result<Self, ScalarError> {
        if text == "upstream" {
            return Ok(Self::Upstream);
        }
        let period = text.parse().map_err(|ScalarError(problem)| {
            ScalarError::new(format!("{problem}, or `upstream` to follow what each answer says"))
        });
        period.map(Self::For)
    }
}

read_from_text! {
    Fresh: "1m",
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn it_is_a_time_or_the_word_upstream() {
        assert_eq!("upstream".parse::<Fresh>().unwrap(), Fresh::Upstream);
        let minute = Fresh::For(Period::from(Duration::from_secs(60)));
        assert_eq!("1m".parse::<Fresh>().unwrap(), minute);
        for text in ["0s", "Upstream", "", "1"] {
            let problem = text.parse::<Fresh>().unwrap_err().to_string();
            assert!(
                problem.ends_with("or `upstream` to follow what each answer says"),
                "{problem}"
            );
        }
    }
}
