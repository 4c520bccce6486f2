//! What is kept, why is it not, and how does it go?

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::asked::{Meant, Place, PurgeBody, WarmBody};
use super::entry::{moment, shown};
use crate::cache::key::TargetKey;
use crate::cache::labels::Labels;
use crate::cache::note::{Grade, Purge};
use crate::cache::object::Object;
use crate::cache::outcome::Outcome;
use crate::clock::Now;
use crate::proxy::fill::Filler;
use crate::proxy::warm::Target;
use crate::route::Match;
use crate::snapshot::{Live, Snapshot};
use crate::state::State;

/// Most targets of one request that are fetched.
const WARMED_MAX: usize = 64;

/// Most of what was purged that is fetched anew: what was asked for most.
const REFILLED_MAX: usize = 100;

/// Targets that are fetched at once.
const AT_ONCE_MAX: usize = 4;

/// Most answers that are listed, and how many unless the operator says.
const LISTED_MAX: usize = 1_000;
const LISTED: usize = 20;

/// A status, and what is wrong.
type Problem = (StatusCode, String);

/// Answers what is asked of the cache.
pub(super) struct CacheDesk {
    live: Live,
    state: Arc<State>,
    filler: Arc<Filler>,
}

impl CacheDesk {
    pub(super) fn new(live: Live, state: Arc<State>, filler: Arc<Filler>) -> Self {
        Self { live, state, filler }
    }

    /// Purges what the body names, here and on the other gateways.
    pub(super) async fn purge(&self, body: &[u8]) -> Result<Value, Problem> {
        let body: PurgeBody = read(body)?;
        let snapshot = self.live.load_full();
        let meant = Meant::read(&body, &snapshot).map_err(bad)?;
        let hot = if body.refill { self.hot(&meant) } else { Vec::new() };
        let grade = if body.soft { Grade::Soft } else { Grade::Hard };
        let applied =
            self.state.purges.purge(&[Purge { scope: meant.scope(), grade }], Now::read()).await;
        let refilled = hot.len();
        if refilled > 0 {
            let filler = self.filler.clone();
            let hot: Vec<_> = hot.into_iter().map(|(place, key)| (place, Of::Key(key))).collect();
            tokio::spawn(async move { fetch(&filler, &snapshot, &hot).await });
        }
        let (by, name) = meant.told();
        tracing::info!(by, name, soft = body.soft, refilled, applied_by = applied.by, "purged");
        Ok(json!({
            "by": by,
            "name": name,
            "soft": body.soft,
            "refilling": refilled,
            "applied_by": applied.by,
            "missing": applied.missing,
            "waits_for_redis": applied.is_waiting,
        }))
    }

    /// Fetches what the body names, now.
    pub(super) async fn warm(&self, body: &[u8]) -> Result<Value, Problem> {
        let body: WarmBody = read(body)?;
        let urls: Vec<String> = body.url.into_iter().chain(body.urls).collect();
        if urls.is_empty() || urls.len() > WARMED_MAX {
            return Err(bad(format!("name one `url`, or up to {WARMED_MAX} `urls`")));
        }
        let snapshot = self.live.load_full();
        let place = |url: &String| {
            let place = Place::read(url, body.host.as_deref())?;
            Ok((place, Of::Scheme(is_tls(url, &snapshot))))
        };
        let places: Result<Vec<(Place, Of)>, String> = urls.iter().map(place).collect();
        let places = places.map_err(bad)?;
        let ended = fetch(&self.filler, &snapshot, &places).await;
        let warmed = urls.iter().zip(ended).map(|(url, ended)| json!({"url": url, "ended": ended}));
        Ok(json!({ "warmed": warmed.collect::<Vec<Value>>() }))
    }

    /// What was used most, or is largest.
    pub(super) fn top(&self, query: &str) -> Result<Value, Problem> {
        let (mut by_bytes, mut count) = (false, LISTED);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                ("by", "hits") => by_bytes = false,
                ("by", "bytes") => by_bytes = true,
                ("by", _) => return Err(bad("write by=hits or by=bytes")),
                ("n", n) => {
                    let n = n.parse().ok().filter(|n| (1..=LISTED_MAX).contains(n));
                    count = n.ok_or_else(|| bad(format!("write n=1 to n={LISTED_MAX}")))?;
                }
                (other, _) => return Err(bad(format!("there is no parameter {other:?}"))),
            }
        }
        let mut objects = self.kept(|_| true);
        objects.sort_by_cached_key(|object| {
            Reverse(if by_bytes { object.cost_bytes() as u64 } else { object.usage.hits() })
        });
        objects.truncate(count);
        let (store, now) = (self.state.store, Now::read());
        Ok(json!({
            "by": if by_bytes { "bytes" } else { "hits" },
            "objects": store.objects(),
            "bytes": store.bytes(),
            "entries": self.shown(&objects, now),
        }))
    }

    /// What is kept for a target.
    pub(super) fn show(&self, query: &str) -> Result<Value, Problem> {
        let place = Place::of_query(query).map_err(bad)?.canonical(&self.live.load());
        let objects = self.kept(|object| place.is_of(&object.labels));
        if objects.is_empty() {
            let problem = format!("nothing is kept for {}{}", place.host, place.target());
            return Err((StatusCode::NOT_FOUND, problem));
        }
        Ok(json!({ "entries": self.shown(&objects, Now::read()) }))
    }

    /// Why requests for a target had to be fetched.
    pub(super) fn why(&self, query: &str) -> Result<Value, Problem> {
        let place = Place::of_query(query).map_err(bad)?;
        // Without a query, the one without a query: each query has misses of its own.
        let place = Place { query: place.query.or(Some(String::new())), ..place };
        let Place { host, path, query } = place.canonical(&self.live.load());
        let target = TargetKey::exact(&host, &path, &query.unwrap_or_default());
        let misses = self.state.misses.of(&target);
        if misses.is_empty() {
            let problem = "no request for it was fetched lately, or others were since".to_owned();
            return Err((StatusCode::NOT_FOUND, problem));
        }
        let shown = misses.iter().map(|miss| {
            json!({
                "at": moment(miss.at),
                "why": miss.why.as_str(),
                "detail": miss.detail,
                "ended": miss.ended,
            })
        });
        Ok(json!({ "misses": shown.collect::<Vec<Value>>() }))
    }

    fn kept(&self, wanted: impl Fn(&Object) -> bool) -> Vec<Arc<Object>> {
        let mut objects = Vec::new();
        self.state.store.for_each(|_, object| {
            if wanted(object) {
                objects.push(object.clone());
            }
        });
        objects
    }

    fn shown(&self, objects: &[Arc<Object>], now: Now) -> Vec<Value> {
        objects.iter().map(|object| shown(&self.state, object, now)).collect()
    }

    /// What was asked for most of all that is meant, with the keys that it is kept under.
    fn hot(&self, meant: &Meant) -> Vec<(Place, [u8; 16])> {
        let mut by_key: HashMap<[u8; 16], (u64, Arc<Object>)> = HashMap::new();
        self.state.store.for_each(|key, object| {
            if object.usage.hits() > 0 && meant.covers(&object.labels) {
                by_key.entry(*key).or_insert_with(|| (0, object.clone())).0 += object.usage.hits();
            }
        });
        let mut hot: Vec<_> = by_key.into_iter().collect();
        hot.sort_by_key(|(_, (hits, _))| Reverse(*hits));
        let place = |(key, (_, object)): ([u8; 16], (u64, Arc<Object>))| {
            let Labels { host, path, query, .. } = Labels::clone(&object.labels);
            (Place { host, path, query: Some(query) }, key)
        };
        hot.into_iter().take(REFILLED_MAX).map(place).collect()
    }
}

/// What is fetched of a place.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// What clients of this scheme are answered: TLS, or not.
    Scheme(bool),
    /// What is kept under this key.
    Key([u8; 16]),
}

/// The scheme of a URL; for a path, that of the clients that the gateway takes.
fn is_tls(url: &str, snapshot: &Snapshot) -> bool {
    match url.trim().split_once("://") {
        Some((scheme, _)) => scheme.eq_ignore_ascii_case("https"),
        None => snapshot.restart.listeners.iter().all(|listener| listener.tls.is_some()),
    }
}

/// Fetches these, a few at a time; says how each ended.
async fn fetch(
    filler: &Arc<Filler>,
    snapshot: &Arc<Snapshot>,
    places: &[(Place, Of)],
) -> Vec<&'static str> {
    let one = async |(place, of): &(Place, Of)| {
        let (host, target) = (place.host.clone(), place.target());
        let Match::Found(route) = snapshot.routes.find(&host, &place.path, &Method::GET) else {
            return "no_route";
        };
        let target = Target { snapshot: snapshot.clone(), route, host, target };
        let outcome = match of {
            Of::Scheme(is_tls) => target.warm(filler, *is_tls).await,
            Of::Key(key) => target.refill(filler, key).await,
        };
        outcome.as_ref().map_or("not_kept", Outcome::as_str)
    };
    let mut ended = Vec::new();
    for some in places.chunks(AT_ONCE_MAX) {
        ended.extend(join_all(some.iter().map(one)).await);
    }
    ended
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| bad(format!("the body: {error}")))
}

fn bad(problem: impl Into<String>) -> Problem {
    (StatusCode::BAD_REQUEST, problem.into())
}
