//! What goes on beside the requests, so that keys stay true and their use is known?

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Keys;
use crate::clock::Now;

/// How often the key file is looked at: a revocation is in force within one second.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often it is looked for keys whose last use the file does not know.
const WRITE_EVERY: Duration = Duration::from_secs(30);

impl Keys {
    /// Keeps the keys true until `shutdown`: takes over changes of the key file, asks the
    /// operator's tables about remembered keys, and writes back when keys were last used, at the
    /// end once more.
    pub async fn run_background(
        &self,
        clock: impl Fn() -> Now + Sync,
        shutdown: impl Future<Output = ()>,
    ) {
        let work = async { tokio::join!(self.look(), self.recheck_often(&clock), self.write()) };
        tokio::select! {
            _ = work => {}
            () = shutdown => {}
        }
        self.flush().await;
    }

    async fn look(&self) {
        if self.store.is_none() {
            return;
        }
        let mut ticks = every(LOOK_EVERY);
        let mut is_read = true;
        loop {
            ticks.tick().await;
            match self.refresh().await {
                Ok(_) if !is_read => {
                    tracing::info!("key file can be read again");
                    is_read = true;
                }
                Err(error) if is_read => {
                    tracing::warn!(%error, "key file lost; the keys read last stay valid");
                    is_read = false;
                }
                Ok(_) | Err(_) => {}
            }
        }
    }

    async fn recheck_often(&self, clock: &(impl Fn() -> Now + Sync)) {
        if self.slow.is_none() {
            return;
        }
        let mut ticks = every(self.recheck_every);
        loop {
            ticks.tick().await;
            // The loss of the database is told where it is asked.
            let _lost_or_not = self.recheck(clock()).await;
        }
    }

    async fn write(&self) {
        if self.store.is_none() {
            return;
        }
        let mut ticks = every(WRITE_EVERY);
        loop {
            ticks.tick().await;
            self.write_used(false).await;
        }
    }
}

/// Ticks that are late do not come in a burst.
fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
