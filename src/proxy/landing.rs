//! What does an exchange come to, and for whom?

use std::sync::Arc;
use std::time::Duration;

use http::header;
use pingora::http::ResponseHeader;

use super::errand::Errand;
use super::exchange::{Collected, Exchanged};
use crate::answer::{self, Asked};
use crate::cache;
use crate::cache::object::Object;
use crate::cache::outcome::Outcome;
use crate::cache::windows::Freshness;
use crate::clock::Now;
use crate::refusal::Refusal;

/// Largest body of a failure that is remembered for others.
const REMEMBERED_BODY_BYTES_MAX: usize = 4 * 1024;

/// Failures are remembered, unless the body alone would make that dear.
pub(super) fn is_worth_remembering(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Failed(object) => object.body.len() <= REMEMBERED_BODY_BYTES_MAX,
        // Who has how many calls left is asked anew: it costs nothing, and a tenth is for clients.
        Outcome::Refused(Refusal::BudgetSpent { .. }) => false,
        Outcome::Refused(_) | Outcome::TooLarge => true,
        Outcome::Stored(_) | Outcome::Given(_) | Outcome::Personal(_) => false,
    }
}

/// What an exchange that began then comes to, for all who want its answer.
pub(super) fn settle(
    errand: &Errand,
    exchanged: Result<Exchanged, Refusal>,
    stored: Option<&Object>,
    began: Now,
) -> Outcome {
    let now = Now::read();
    let asked = Asked {
        method: &http::Method::GET,
        host: &errand.host,
        uri: &errand.head.uri,
        headers: &errand.head.headers,
        wants_part: errand.wants_part,
        is_authorized: errand.is_authorized,
        at: began.wall,
    };
    let outcome = match (exchanged, stored) {
        (Ok(Exchanged::Whole(collected)), Some(stored))
            if collected.head.status == http::StatusCode::NOT_MODIFIED =>
        {
            answer::confirm(&errand.policy, asked, stored, &collected.head, now)
        }
        (Ok(Exchanged::Whole(Collected { head, body })), _) => {
            answer::shape(&errand.dispatch.route, asked, &head, &body, now)
        }
        (Ok(Exchanged::TooLarge(_)), _) => Outcome::TooLarge,
        (Err(refusal), _) => Outcome::Refused(refusal),
    };
    with_history(outcome, stored, now.instant.saturating_duration_since(began.instant))
}

/// What is stored is the next copy of what was: its use is counted on.
fn with_history(outcome: Outcome, stored: Option<&Object>, took: Duration) -> Outcome {
    let Outcome::Stored(object) = outcome else { return outcome };
    let mut object = Arc::unwrap_or_clone(object);
    if let Some(stored) = stored {
        object.usage = stored.usage.clone();
    }
    object.took = took;
    Outcome::Stored(Arc::new(object))
}

/// Whether a 304 has a strong tag that is not the one of the kept answer.
pub(super) fn is_about_another(head: &ResponseHeader, stored: &Object) -> bool {
    let is_strong = |tag: &&http::HeaderValue| !tag.as_bytes().starts_with(b"W/");
    let told = head.headers.get(header::ETAG).filter(is_strong);
    head.status == http::StatusCode::NOT_MODIFIED
        && told.is_some_and(|told| stored.validators.etag.as_ref() != Some(told))
}

/// Whether an outcome that another request caused answers this one.
pub(super) fn fits(outcome: &Outcome, errand: &Errand) -> bool {
    match outcome {
        // A part is for who asked for it.
        Outcome::Stored(object) | Outcome::Given(object) | Outcome::Personal(object)
            if object.head.status == http::StatusCode::PARTIAL_CONTENT =>
        {
            false
        }
        // A refresh may be refused the calls that are kept for clients.
        Outcome::Refused(Refusal::BudgetSpent { .. }) => false,
        // What has to be confirmed for each request is for the one who asked, unless the policy has
        // times of its own.
        Outcome::Stored(object) if errand.policy.follows_upstream() => {
            let demand = cache::demand(&errand.policy, &errand.head.headers);
            object.variance.selects(&errand.head.headers)
                && demand.freshness(&object.windows, Now::read().wall) == Freshness::Fresh
        }
        Outcome::Stored(object) | Outcome::Given(object) => {
            object.variance.selects(&errand.head.headers)
        }
        // Where each principal has answers of its own, who waits is the one it concerns.
        Outcome::Personal(object) => {
            !errand.policy.shared
                && !errand.is_anonymous
                && object.variance.selects(&errand.head.headers)
        }
        // An upstream that fails in another language fails all the same.
        Outcome::Failed(_) | Outcome::Refused(_) | Outcome::TooLarge => true,
    }
}
