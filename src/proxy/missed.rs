//! Why is this request fetched, as an operator is told it?

use std::time::SystemTime;

use super::errand::Errand;
use crate::cache::Forwarded;
use crate::cache::invalidation::Verdict;
use crate::cache::key::TargetKey;
use crate::cache::misses::Miss;
use crate::state::State;

/// A request that is fetched; what is kept may be replaced by that, so it is looked at before.
pub(super) struct Missed {
    target: TargetKey,
    miss: Miss,
}

impl Missed {
    /// What is known of why before the fetch.
    pub(super) fn of(state: &State, errand: &Errand, why: Forwarded, at: SystemTime) -> Self {
        let uri = &errand.head.uri;
        let target = TargetKey::exact(&errand.host, uri.path(), uri.query().unwrap_or_default());
        let detail = detail(state, errand, why);
        Self { target, miss: Miss { at, why, detail, ended: "" } }
    }

    /// Keeps it, with how the fetch ended.
    pub(super) fn ended(self, state: &State, ended: &'static str) {
        state.misses.add(self.target, Miss { ended, ..self.miss });
    }
}

fn detail(state: &State, errand: &Errand, why: Forwarded) -> String {
    let kept = state.store.newest(errand.key.as_bytes());
    let covered = kept.as_ref().and_then(|kept| match state.store.invalidations().verdict(kept) {
        Verdict::Invalid(cause) | Verdict::StaleSince(_, cause) => Some(cause.told(&kept.labels)),
        Verdict::Holds => None,
    });
    match (why, covered, kept) {
        (Forwarded::VaryMiss, _, Some(kept)) => {
            let fields: Vec<&str> =
                kept.variance.fields().iter().map(|name| name.as_str()).collect();
            format!("vary: {}", fields.join(", "))
        }
        (Forwarded::UriMiss | Forwarded::Stale, Some(covered), _) => covered,
        (Forwarded::UriMiss, None, _) => "evicted or never stored".to_owned(),
        (Forwarded::Stale, None, _) => "its time was over".to_owned(),
        (Forwarded::Request, ..) => "the client takes no such answer".to_owned(),
        _ => String::new(),
    }
}
