//! What does an answer say of its own use, and how old is it?
//!
//! The words of RFC 9111, sections 4.2 and 5, and of RFC 9213 for what is said to gateways alone.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::date::date_in;
use super::directives::{Directives, Invalid, delta_seconds, elements};

/// What is said to caches near the origin, and to no others (RFC 9213, section 3).
const TARGETED: HeaderName = HeaderName::from_static("cdn-cache-control");

/// An answer of the upstream.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// Whether it was asked for with a credential that the gateway did not verify.
    pub is_authorized: bool,
    /// When it was asked for.
    pub asked_at: SystemTime,
    /// When it came.
    pub now: SystemTime,
}

/// What an answer says of its own use: to gateways if there is a field for them, else to all caches.
pub(super) struct Said {
    pub(super) directives: Directives,
    is_targeted: bool,
}

impl Received<'_> {
    /// When the answer was made; an answer that does not say was made when it came.
    pub(super) fn date(&self) -> SystemTime {
        date_in(self.headers, &header::DATE).unwrap_or(self.now)
    }

    /// How old it was when it came (RFC 9111, section 4.2.3).
    pub(super) fn age(&self) -> Duration {
        let apparent = self.now.duration_since(self.date()).unwrap_or_default();
        let delay = self.now.duration_since(self.asked_at).unwrap_or_default();
        let told = self.headers.get(header::AGE).and_then(|age| age.to_str().ok());
        // Of several, the first one counts; one that is no number does not (section 5.1).
        let told = told.and_then(|age| delta_seconds(elements(age).first()?));
        apparent.max(told.unwrap_or_default() + delay)
    }
}

impl Said {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match targeted(headers) {
            Some(directives) => Self { directives, is_targeted: true },
            None => Self { directives: said_to_all(headers), is_targeted: false },
        }
    }

    /// How long the answer says that it is fresh (RFC 9111, section 4.2.1).
    pub(super) fn explicit(
        &self,
        headers: &HeaderMap,
        date: SystemTime,
    ) -> Result<Option<Duration>, Invalid> {
        for name in ["s-maxage", "max-age"] {
            if let Some(lifetime) = self.directives.seconds(name)? {
                return Ok(Some(lifetime));
            }
        }
        if self.is_targeted || !headers.contains_key(header::EXPIRES) {
            return Ok(None);
        }
        let expires = date_in(headers, &header::EXPIRES).ok_or(Invalid)?;
        Ok(Some(expires.duration_since(date).unwrap_or_default()))
    }
}

pub(super) fn said_to_all(headers: &HeaderMap) -> Directives {
    Directives::of(headers, &header::CACHE_CONTROL)
}

/// What is said to gateways alone: a dictionary of structured fields. One that is empty or cannot be
/// read is not there (RFC 9213, section 2.1).
fn targeted(headers: &HeaderMap) -> Option<Directives> {
    let mut lines = headers.get_all(TARGETED).iter();
    let mut text = lines.next()?.as_bytes().to_vec();
    for line in lines {
        text.extend_from_slice(b", ");
        text.extend_from_slice(line.as_bytes());
    }
    let read = sfv::Parser::parse_dictionary(&text).ok()?;
    let directives = read.iter().map(|(name, member)| {
        let argument = match member {
            sfv::ListEntry::Item(item) => match &item.bare_item {
                sfv::BareItem::Boolean(true) => None,
                sfv::BareItem::Integer(number) => Some(number.to_string()),
                sfv::BareItem::String(text) | sfv::BareItem::Token(text) => Some(text.clone()),
                _ => Some("?".to_owned()),
            },
            sfv::ListEntry::InnerList(_) => Some("?".to_owned()),
        };
        (name.as_str(), argument)
    });
    Some(Directives::listed(directives)).filter(|directives| !directives.is_empty())
}
