//! What keeps the state true that outlives a request?

use std::sync::Arc;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::task::JoinSet;

use crate::clock::Now;
use crate::state::State;

/// Keeps connections, keys and revocations, on a runtime of its own: what is slow there delays no
/// request.
pub struct Keeper {
    state: Arc<State>,
}

impl Keeper {
    /// The keeper of this state.
    #[must_use]
    pub fn new(state: Arc<State>) -> Self {
        Self { state }
    }
}

#[async_trait]
impl BackgroundService for Keeper {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut kept = JoinSet::new();
        if let Some(redis) = &self.state.redis {
            kept.spawn(redis.clone().keep());
        }
        let state = self.state.clone();
        kept.spawn(async move { state.nonces.keep(Now::read).await });
        let state = self.state.clone();
        kept.spawn(async move { state.revocations.keep(Now::read).await });
        let state = self.state.clone();
        kept.spawn(async move { state.purges.keep(Now::read).await });
        let state = self.state.clone();
        kept.spawn(async move { state.purges.reclaim().await });
        let (key_sets, stop) = (self.state.key_sets.clone(), shutdown.clone());
        kept.spawn(async move { key_sets.run(stop).await });
        let (state, mut stop) = (self.state.clone(), shutdown.clone());
        kept.spawn(async move {
            let stopped = async move { drop(stop.changed().await) };
            state.keys.run_background(Now::read, stopped).await;
        });
        let stopped = async { drop(shutdown.changed().await) };
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                // What has nothing to keep ends at once; what panics is missed from then on.
                Some(ended) = kept.join_next() => if let Err(error) = ended {
                    tracing::error!(%error, "a keeper of state is lost; restart the gateway");
                },
                () = &mut stopped => break,
            }
        }
        // The keys have something to write down before they end; the others just end.
        self.state.keys.flush().await;
    }
}
