//! How do several gateways share one memory, and what happens while it is gone?
//!
//! One connection carries all calls of the process. Every call has a time limit. The first one that
//! fails gives the connection up: from then on calls fail at once, without waiting, until
//! [`Redis::keep`], which runs beside the requests, has made another. So a Redis that is dead costs
//! one request one time limit, and the others nothing.
//!
//! What a failed call means is decided by its caller, one choice a use. Redis replicates behind its
//! answers: what a master said last before it died may be lost with it, as with any use of
//! sentinels.

mod address;
mod connect;
mod error;
mod health;
mod memory;
mod rules;
mod script;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{sleep, timeout};

pub use address::{RedisUrl, RedisUrlError};
use connect::Connector;
pub use error::RedisFault;
use health::{BACKOFF_MIN, backoff, evicting, is_master};
pub use memory::SharedMemory;
pub use rules::{PREFIX_DEFAULT, RedisRules, TIMEOUT_DEFAULT, Use};
pub(super) use script::Script;

/// How often an idle connection is tried.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A problem that does not end the connection is logged once in so many heartbeats.
const QUIET_HEARTBEATS: u32 = 10;

/// The memory that processes share.
pub struct Redis {
    url: RedisUrl,
    prefix: String,
    timeout: Duration,
    connector: Mutex<Connector>,
    live: ArcSwapOption<MultiplexedConnection>,
    /// Told when `live` was taken away.
    lost: Notify,
    up: watch::Sender<bool>,
    /// How often a connection was made.
    connections: AtomicU64,
    /// Failures since the last call that succeeded.
    strikes: AtomicU32,
    /// Why there is no connection.
    problem: ArcSwapOption<RedisFault>,
    /// Whether a problem that does not end the connection was logged lately.
    logged: AtomicBool,
    errors: [AtomicU64; Use::ALL.len()],
}

impl Redis {
    /// Reads the rules; the first connection is made by [`keep`](Self::keep) or
    /// [`connect`](Self::connect).
    ///
    /// # Errors
    /// When the authorities are no PEM, or the address cannot be used.
    pub fn new(rules: RedisRules) -> Result<Arc<Self>, RedisFault> {
        if rules.url.tls && rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another thread may have been faster, with the same one.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let connector = Connector::new(&rules.url, rules.ca_pem.as_deref())?;
        Ok(Arc::new(Self {
            url: rules.url,
            prefix: rules.prefix,
            timeout: rules.timeout,
            connector: Mutex::new(connector),
            live: ArcSwapOption::empty(),
            lost: Notify::new(),
            up: watch::Sender::new(false),
            connections: AtomicU64::new(0),
            strikes: AtomicU32::new(0),
            problem: ArcSwapOption::empty(),
            logged: AtomicBool::new(false),
            errors: Default::default(),
        }))
    }

    /// Connects now, unless there is a connection. A connection lives on the runtime that made it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn connect(&self) -> Result<(), RedisFault> {
        let mut connector = self.connector.lock().await;
        if self.live.load().is_some() {
            return Ok(());
        }
        let mut connection = connector.connect().await?;
        self.look_at(&mut connection).await?;
        self.live.store(Some(Arc::new(connection)));
        self.problem.store(None);
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.up.send_replace(true);
        tracing::info!(redis = %self.url, "Redis is connected");
        Ok(())
    }

    /// Keeps a connection for as long as the process lives: makes one, looks after it, and makes
    /// another when it was lost. Runs beside the requests, once a process.
    pub async fn keep(self: Arc<Self>) {
        let mut heartbeats = 0_u32;
        loop {
            if self.live.load().is_none() {
                sleep(self.backoff()).await;
                if let Err(fault) = self.connect().await {
                    self.strike(&fault);
                }
            } else if timeout(HEARTBEAT, self.lost.notified()).await.is_err() {
                heartbeats = heartbeats.wrapping_add(1);
                if heartbeats.is_multiple_of(QUIET_HEARTBEATS) {
                    self.logged.store(false, Ordering::Relaxed);
                }
                // What it says does not matter: a failure has given the connection up.
                drop(self.probe().await);
            }
        }
    }

    /// Whether there is a connection that has not failed.
    #[must_use]
    pub fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    /// Why there is no connection.
    #[must_use]
    pub fn problem(&self) -> Option<Arc<RedisFault>> {
        self.problem.load_full()
    }

    /// How many calls of this use have failed since the start, those without a connection included.
    #[must_use]
    pub fn errors(&self, by: Use) -> u64 {
        self.counter(by).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// How often a connection was made since the start. Behind another connection there may be
    /// another server, or the same one without its data.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Tells of each time the connection is made or lost.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// How long a caller that was refused should wait: until the next try is likely over.
    pub(super) fn retry_after(&self) -> Duration {
        self.backoff().max(BACKOFF_MIN) + self.timeout
    }

    /// The key for a name, apart from those of whoever else uses the server.
    pub(super) fn key(&self, name: &str) -> String {
        [self.prefix.as_str(), name].concat()
    }

    /// A connection apart from the one that is shared, for a call that waits.
    pub(super) async fn another_connection(&self) -> Result<MultiplexedConnection, RedisFault> {
        self.connector.lock().await.connect().await
    }

    /// Sends one command.
    pub(super) async fn call<T: FromRedisValue>(
        &self,
        by: Use,
        command: &Cmd,
    ) -> Result<T, RedisFault> {
        self.run(by, async |mut connection| command.query_async(&mut connection).await).await
    }

    /// Sends several commands at once.
    pub(super) async fn call_all<T: FromRedisValue>(
        &self,
        by: Use,
        commands: &Pipeline,
    ) -> Result<T, RedisFault> {
        self.run(by, async |mut connection| commands.query_async(&mut connection).await).await
    }

    /// Runs a script.
    pub(super) async fn call_script<T: FromRedisValue>(
        &self,
        by: Use,
        script: &Script,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<T, RedisFault> {
        self.run(by, async |mut connection| script.run(&mut connection, keys, arguments).await)
            .await
    }

    async fn run<T>(
        &self,
        by: Use,
        work: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, RedisFault> {
        let Some(live) = self.live.load_full() else {
            self.count(by);
            return Err(RedisFault::Down);
        };
        let fault = match timeout(self.timeout, work(MultiplexedConnection::clone(&live))).await {
            Ok(Ok(answer)) => {
                if by != Use::Probe && self.strikes.load(Ordering::Relaxed) != 0 {
                    self.strikes.store(0, Ordering::Relaxed);
                }
                return Ok(answer);
            }
            Ok(Err(error)) => RedisFault::of(&error),
            Err(_elapsed) => RedisFault::Timeout(self.timeout),
        };
        self.count(by);
        if fault.ends_the_connection() {
            self.give_up(&live, &fault);
        } else if !self.logged.swap(true, Ordering::Relaxed) {
            tracing::error!(redis = %self.url, used_for = by.as_str(), %fault, "Redis refuses");
        }
        Err(fault)
    }

    /// Gives a connection up, once: of the calls that fail on it, the first one does.
    fn give_up(&self, live: &Arc<MultiplexedConnection>, fault: &RedisFault) {
        let held = self.live.compare_and_swap(live, None);
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, live)) {
            self.up.send_replace(false);
            self.strike(fault);
            self.lost.notify_one();
        }
    }

    /// Counts a failure of the connection. Of an outage the first one is logged, and the first one
    /// that does not pass by itself.
    fn strike(&self, fault: &RedisFault) {
        let known = self.problem.swap(Some(Arc::new(fault.clone())));
        self.strikes.fetch_add(1, Ordering::Relaxed);
        if fault.wants_someone() && !known.as_ref().is_some_and(|known| known.wants_someone()) {
            tracing::error!(redis = %self.url, %fault, "Redis is gone");
        } else if known.is_none() {
            tracing::warn!(redis = %self.url, %fault, "Redis is gone");
        }
    }

    fn backoff(&self) -> Duration {
        backoff(self.strikes.load(Ordering::Relaxed))
    }

    /// Looks whether the connection still leads to a server that can serve.
    async fn probe(&self) -> Result<(), RedisFault> {
        if self.url.service.is_none() {
            return self.call(Use::Probe, &redis::cmd("PING")).await;
        }
        // A master that was replaced while it lived on answers every PING.
        let role: redis::Value = self.call(Use::Probe, &redis::cmd("ROLE")).await?;
        if is_master(&role) {
            return Ok(());
        }
        let fault = RedisFault::NotServing("it is the master no more".to_owned());
        if let Some(live) = self.live.load_full() {
            self.give_up(&live, &fault);
        }
        Err(fault)
    }

    /// Looks at a new connection before it is used, and warns of a server that forgets by itself.
    async fn look_at(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisFault> {
        let mut asking = redis::cmd("INFO");
        asking.arg("memory");
        let limit = self.timeout.max(BACKOFF_MIN);
        let answer = timeout(limit, asking.query_async::<String>(connection)).await;
        let told = match answer.map_err(|_elapsed| RedisFault::Timeout(limit))? {
            Ok(told) => told,
            Err(error) => match RedisFault::of(&error) {
                // Whoever may not ask this may still do all the rest.
                RedisFault::Refused(_) => return Ok(()),
                fault => return Err(fault),
            },
        };
        if let Some(policy) = evicting(&told) {
            tracing::warn!(
                redis = %self.url, policy,
                "this Redis drops keys when its memory is full, and a nonce that it drops can be \
                 used again; set its maxmemory-policy to noeviction"
            );
        }
        Ok(())
    }

    fn count(&self, by: Use) {
        if let Some(counter) = self.counter(by) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counter(&self, by: Use) -> Option<&AtomicU64> {
        self.errors.get(by as usize)
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("url", &self.url).field("up", &self.is_up()).finish()
    }
}
