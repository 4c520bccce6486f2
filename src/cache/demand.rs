//! What does a client take from a cache?
//!
//! The request directives of RFC 9111, section 5.2.1, for routes where a client may say so.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

use super::directives::Directives;
use super::windows::{Freshness, Windows};

/// What a request asks of a stored answer. One that says nothing takes whatever is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Only what the upstream confirms for this request.
    pub no_cache: bool,
    /// Nothing of it is to be kept.
    pub no_store: bool,
    /// Only what is there already.
    pub only_if_cached: bool,
    /// Nothing older than this.
    max_age: Option<Duration>,
    /// Nothing that is fresh for less than this.
    min_fresh: Option<Duration>,
    /// Also what is stale by no more than this.
    max_stale: Option<Duration>,
}

impl Demand {
    /// Reads what a request says. A directive that cannot be read asks for nothing, but for an age
    /// that cannot: then nothing is young enough.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let said = Directives::of(headers, &header::CACHE_CONTROL);
        if said.is_empty() {
            // Pragma counts where nothing else is said (RFC 9111, section 5.4).
            let no_cache = Directives::of(headers, &header::PRAGMA).has("no-cache");
            return Self { no_cache, ..Self::default() };
        }
        let any = Duration::MAX;
        let max_stale = match said.has_unqualified("max-stale") {
            true => Some(any),
            false => said.seconds("max-stale").ok().flatten(),
        };
        Self {
            no_cache: said.has("no-cache"),
            no_store: said.has("no-store"),
            only_if_cached: said.has("only-if-cached"),
            max_age: said.seconds("max-age").unwrap_or(Some(Duration::ZERO)),
            min_fresh: said.seconds("min-fresh").ok().flatten(),
            max_stale,
        }
    }

    /// How usable an answer with these windows is for this request at `now`.
    #[must_use]
    pub fn freshness(&self, windows: &Windows, now: SystemTime) -> Freshness {
        let own = windows.freshness(now);
        let is_too_old = self.max_age.is_some_and(|max| windows.age(now) > max);
        if self.no_cache || is_too_old && self.max_stale.is_none() {
            return Freshness::Expired;
        }
        let left = windows.fresh_until.duration_since(now).unwrap_or_default();
        if self.min_fresh.is_some_and(|min| left < min) {
            return Freshness::Expired;
        }
        match (own, self.max_stale) {
            (Freshness::StaleOnError | Freshness::Expired, Some(max))
                if windows.may_be_stale
                    && now.duration_since(windows.fresh_until).unwrap_or_default() <= max =>
            {
                Freshness::Stale
            }
            _ => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::super::windows::Grace;
    use super::*;

    fn demand(name: &'static str, value: &'static str) -> Demand {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        Demand::of(&headers)
    }

    /// An answer of 100 s, asked for when it is so old.
    #[track_caller]
    fn check(value: &'static str, age: u64, wanted: Freshness) {
        let born = UNIX_EPOCH + Duration::from_secs(1_000);
        let windows =
            Windows::open(born, Duration::ZERO, Duration::from_secs(100), Grace::default());
        let found =
            demand("cache-control", value).freshness(&windows, born + Duration::from_secs(age));
        assert_eq!(found, wanted, "{value} at {age}");
    }

    #[test]
    fn client_gets_nothing_older_or_staler_than_it_takes() {
        use Freshness::{Expired, Fresh, Stale};
        for (value, age, wanted) in [
            ("x", 99, Fresh),
            ("x", 100, Expired),
            ("no-cache", 0, Expired),
            ("max-age=50", 50, Fresh),
            ("max-age=50", 51, Expired),
            ("max-age=50, max-stale", 51, Fresh),
            ("max-age=x", 1, Expired),
            ("max-age=0", 0, Fresh),
            ("min-fresh=10", 90, Fresh),
            ("min-fresh=10", 91, Expired),
            ("max-stale", 1_000_000, Stale),
            ("max-stale=10", 110, Stale),
            ("max-stale=10", 111, Expired),
            ("max-stale=10", 50, Fresh),
        ] {
            check(value, age, wanted);
        }
    }

    #[test]
    fn nobody_gets_stale_what_must_be_confirmed() {
        let born = UNIX_EPOCH + Duration::from_secs(1_000);
        let windows = Windows::strict(born, Duration::ZERO, Duration::from_secs(100));
        let later = born + Duration::from_secs(101);
        let found = demand("cache-control", "max-stale").freshness(&windows, later);
        assert_eq!(found, Freshness::Expired);
    }

    #[test]
    fn pragma_counts_where_nothing_else_is_said() {
        assert!(demand("pragma", "no-cache").no_cache);
        let mut headers = HeaderMap::new();
        headers.insert("pragma", HeaderValue::from_static("no-cache"));
        headers.insert("cache-control", HeaderValue::from_static("max-age=5"));
        assert!(!Demand::of(&headers).no_cache);
        assert!(demand("cache-control", "no-store, only-if-cached").only_if_cached);
    }
}
