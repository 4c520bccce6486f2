//! What did each client get, how long did it wait, and how old was it?

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::contender::Contender;
use super::origin::Origin;
use crate::client::{Answer, Client, head, now};

/// One request that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// What was asked for.
    pub(crate) path: String,
    /// When.
    pub(crate) sent_at: Instant,
    /// How long the client waited.
    pub(crate) wait: Duration,
    /// The status.
    pub(crate) status: u16,
    /// Where the answer came from.
    pub(crate) source: Source,
    /// How old it was when it was asked for; none if the origin did not make it.
    pub(crate) age: Option<Duration>,
}

/// Where an answer came from, by what the server says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Stored and fresh.
    Fresh,
    /// Stored, and stale.
    Stale,
    /// The client waited for the origin, or the server refused.
    Elsewhere,
}

/// How long a connection may have been idle to be used again: servers close those that are longer,
/// and a request that meets the end would be nobody's fault.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Clients of one server; each has one connection, and one that is idle asks next.
pub(crate) struct Clients {
    server: std::net::SocketAddr,
    origin: Origin,
    /// With the time since which each is idle.
    idle: Mutex<Vec<(Client, Instant)>>,
}

impl Clients {
    /// So many, connected.
    ///
    /// # Errors
    /// When the server takes no more.
    pub(crate) async fn connect(contender: &Contender, count: usize) -> Result<Arc<Self>, String> {
        let server = contender.server.address();
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let client = Client::connect(server).await.map_err(|error| error.to_string())?;
            idle.push((client, now()));
        }
        Ok(Arc::new(Self { server, origin: contender.origin.clone(), idle: Mutex::new(idle) }))
    }

    /// Asks for a path; connects first if all are busy.
    ///
    /// # Errors
    /// When no answer came.
    pub(crate) async fn ask(&self, path: String) -> Result<Asked, String> {
        let sent_at = now();
        let failed = |error: std::io::Error| format!("{path}: {error}");
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut client = match idle {
            Some((client, since)) if sent_at.saturating_duration_since(since) < IDLE_MAX => client,
            _ => Client::connect(self.server).await.map_err(failed)?,
        };
        let answer = client.ask(&head("GET", &path, self.server, &[])).await.map_err(failed)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((client, answer.at));
        let made_at = self.origin.made_at(&answer.body).filter(|_| answer.status == 200);
        Ok(Asked {
            sent_at,
            wait: answer.at.saturating_duration_since(sent_at),
            status: answer.status,
            source: Source::of(&answer),
            age: made_at.map(|made_at| sent_at.saturating_duration_since(made_at)),
            path,
        })
    }
}

impl Source {
    fn of(answer: &Answer) -> Self {
        Self::said(answer.field("cache-status"), answer.field("x-cache"))
    }

    /// By the gateway's `Cache-Status`, or by nginx's word.
    fn said(cache_status: Option<&str>, x_cache: Option<&str>) -> Self {
        match (cache_status, x_cache) {
            (Some(said), _) if said.contains("; hit") => {
                if said.contains("detail=") {
                    Self::Stale
                } else {
                    Self::Fresh
                }
            }
            (None, Some("HIT")) => Self::Fresh,
            (None, Some("STALE" | "UPDATING")) => Self::Stale,
            _ => Self::Elsewhere,
        }
    }
}

/// The answers to all of these, when each has come.
///
/// # Errors
/// When one did not come, or is not 200 where it has to be.
pub(crate) async fn all(
    mut tasks: tokio::task::JoinSet<Result<Asked, String>>,
) -> Result<Vec<Asked>, String> {
    let mut asked = Vec::with_capacity(tasks.len());
    while let Some(ended) = tasks.join_next().await {
        asked.push(ended.map_err(|error| error.to_string())??);
    }
    Ok(asked)
}

/// Sees to it that each answer is a good one.
///
/// # Errors
/// The first that is not.
pub(crate) fn must_be_good(asked: &[Asked]) -> Result<(), String> {
    match asked.iter().find(|asked| asked.status != 200 || asked.age.is_none()) {
        None => Ok(()),
        Some(Asked { path, status, .. }) => Err(format!("{path} was answered with {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_is_read_from_what_either_server_says() {
        let farmgate = |said| Source::said(Some(said), None);
        assert_eq!(farmgate("farmgate; hit; ttl=2"), Source::Fresh);
        assert_eq!(farmgate("farmgate; hit; ttl=-1; detail=refreshing"), Source::Stale);
        let miss = "farmgate; fwd=uri-miss; fwd-status=200; collapsed";
        assert_eq!(farmgate(miss), Source::Elsewhere);
        let nginx = |said| Source::said(None, Some(said));
        assert_eq!([nginx("HIT"), nginx("UPDATING")], [Source::Fresh, Source::Stale]);
        assert_eq!([nginx("MISS"), nginx("EXPIRED")], [Source::Elsewhere; 2]);
        assert_eq!(Source::said(None, None), Source::Elsewhere);
    }
}
