//! How is a stored answer shown?

use std::time::SystemTime;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cache::invalidation::Verdict;
use crate::cache::object::Object;
use crate::cache::windows::Freshness;
use crate::clock::Now;
use crate::state::State;

/// What is shown of one answer.
pub(super) fn shown(state: &State, object: &Object, now: Now) -> Value {
    let labels = &object.labels;
    let verdict = state.store.invalidations().verdict(object);
    let (windows, covered) = match verdict {
        Verdict::Holds => (object.windows, None),
        Verdict::StaleSince(at, cause) => (object.windows.stale_since(at), Some(cause)),
        Verdict::Invalid(cause) => (object.windows, Some(cause)),
    };
    let state = match (verdict, windows.freshness(now.wall)) {
        (Verdict::Invalid(_), _) => "invalid",
        (_, Freshness::Fresh) => "fresh",
        (_, Freshness::Stale) => "stale",
        (_, Freshness::StaleOnError) => "stale_on_error",
        (_, Freshness::Expired) => "expired",
    };
    let vary: Vec<&str> = object.variance.fields().iter().map(|name| name.as_str()).collect();
    json!({
        "route": labels.route,
        "host": labels.host,
        "path": labels.path,
        "query": labels.query,
        "tags": labels.tags,
        "state": state,
        "why": covered.map(|cause| cause.told(labels)),
        "status": object.head.status.as_u16(),
        "upstream_status": object.upstream_status.as_u16(),
        "stored_at": moment(object.windows.stored_at),
        "age_seconds": windows.age(now.wall).as_secs(),
        "fresh_until": moment(windows.fresh_until),
        "stale_until": moment(windows.stale_until),
        "error_until": moment(windows.error_until),
        "vary": vary,
        "bytes": object.cost_bytes(),
        "hits": object.usage.hits(),
        "last_refresh": last_refresh(object),
    })
}

/// When it was last fetched or confirmed, and whether something came to nothing since.
fn last_refresh(object: &Object) -> Value {
    let is_confirmed = object.upstream_status == StatusCode::NOT_MODIFIED;
    let failed = object.refresh_after > object.windows.stored_at;
    json!({
        "asked_at": moment(object.asked_at),
        "took_ms": u64::try_from(object.took.as_millis()).unwrap_or(u64::MAX),
        "ended": if is_confirmed { "confirmed" } else { "fetched" },
        "failed_since": failed,
        "not_again_before": failed.then(|| moment(object.refresh_after)),
    })
}

/// A time as people and programs read it.
pub(super) fn moment(at: SystemTime) -> Value {
    let at = Timestamp::try_from(at).and_then(|at| at.round(jiff::Unit::Millisecond));
    at.map_or(Value::Null, |at| Value::String(at.to_string()))
}
