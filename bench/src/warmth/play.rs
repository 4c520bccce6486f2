//! What do the clients of one stream get, under one policy?

use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::join_all;
use harness::{Answer, Gateway, Origin};
use serde::Serialize;

use super::arrivals::Arrival;

/// How answers are kept warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Warmth {
    /// Hot answers are fetched before they turn stale.
    Ahead,
    /// Stale ones are served while they are refreshed.
    Stale,
    /// Neither.
    None,
}

impl Warmth {
    pub(super) const ALL: [Self; 3] = [Self::Ahead, Self::Stale, Self::None];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ahead => "refresh_ahead",
            Self::Stale => "stale_while_revalidate",
            Self::None => "neither",
        }
    }

    fn policy(self, fresh: Duration) -> String {
        let ms = fresh.as_millis();
        let more = match self {
            Self::Ahead => "refresh_ahead: true",
            Self::Stale => "stale_while_revalidate: 1h",
            Self::None => "stale_while_revalidate: 0s",
        };
        format!("{{fresh: {ms}ms, share: everyone, {more}}}")
    }
}

/// What the clients got, and what it cost.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Told {
    /// Clients that came after the warm-up.
    pub(super) clients: usize,
    /// Those of them that had to wait for a fetch.
    pub(super) misses: usize,
    /// Those of them that got a stale answer.
    pub(super) stale: usize,
    /// The longest that one of them waited, in milliseconds.
    pub(super) slowest_ms: f64,
    /// Calls at the upstream, from the beginning.
    pub(super) calls: usize,
}

/// Sends the stream to a gateway of its own; who comes before `warm_up` is not counted.
#[allow(clippy::disallowed_methods, reason = "clients come in real time")]
pub(super) async fn play(
    program: &Path,
    warmth: Warmth,
    arrivals: &[Arrival],
    (fresh, delay): (Duration, Duration),
    warm_up: Duration,
) -> Told {
    let origin = Origin::start().await;
    origin.otherwise(Answer::json(r#"{"temperature":21}"#).delay(delay));
    let conf = format!(
        "listeners: [{{address: '{{listen}}'}}]\nadmin: {{address: '{{admin}}'}}\n\
         state: {{dir: '{{dir}}/var'}}\ncache: {{policies: {{kept: {}}}}}\n\
         limits: {{shield: {{requests_per_second_max: 100000}}}}\n\
         routes: [{{name: kept, path_prefix: /, pool: service, auth: {{anonymous: true}}, cache: kept}}]\n",
        warmth.policy(fresh)
    );
    let gw = Gateway::binary(program).with(conf).pool("service", origin.address()).start().await;
    let began = Instant::now();
    let clients = arrivals.iter().map(|Arrival { at, key }| {
        let (request, at) = (gw.get(&format!("/{key}")), *at);
        tokio::spawn(async move {
            tokio::time::sleep_until((began + at).into()).await;
            let reply = request.send().await;
            let status = reply.header("cache-status").unwrap_or_default().to_owned();
            (at, status, reply.elapsed)
        })
    });
    let mut told = Told::default();
    for (at, status, elapsed) in join_all(clients).await.into_iter().flatten() {
        if at < warm_up {
            continue;
        }
        told.clients += 1;
        told.misses += usize::from(!status.starts_with("farmgate; hit"));
        told.stale += usize::from(status.contains("detail="));
        told.slowest_ms = told.slowest_ms.max(elapsed.as_secs_f64() * 1_000.0);
    }
    told.calls = origin.calls_total();
    told
}
