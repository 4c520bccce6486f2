//! What is left of a request when it is over: one line in the log, and its counts.

use http::Version;
use pingora::Error;
use pingora_proxy::Session;

use super::access_line::{self, AccessLine};
use super::ctx::Ctx;
use super::exchange::Origin;
use crate::clock::Now;
use crate::metrics::{Metrics, observe};

/// Methods that have a label of their own; a client cannot invent others.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The longest part of what a client chose that stands in a line: heads that are refused for their
/// length are logged as well.
const SHOWN_BYTES_MAX: usize = 2 * 1024;

/// Counts a request and writes its line. Subrequests are counted where they are fetched.
pub(super) fn finished(
    metrics: &Metrics,
    session: &Session,
    error: Option<&Error>,
    ctx: &Ctx,
    now: Now,
) {
    if session.subrequest_ctx.is_some() {
        if let Some(error) = error {
            let route = ctx.route.as_ref().map_or("", |route| &route.name);
            let origin = ctx.origin.as_str();
            tracing::warn!(route, origin, request_id = &*ctx.request_id, %error, "no answer");
        }
        return;
    }
    let head = session.req_header();
    let status = session.response_written().map_or(0, |head| head.status.as_u16());
    let elapsed = now.instant.saturating_duration_since(ctx.started.instant);
    let route = ctx.route.as_ref().map_or("none", |route| &route.name);
    let method = METHODS.iter().find(|known| **known == head.method.as_str());
    let labels = [route, method.copied().unwrap_or("other"), &status.to_string()];
    metrics.requests.with_label_values(&labels).inc();
    metrics.requests_in_flight.dec();
    let cache = ctx.cache.as_str();
    observe(&metrics.request_seconds.with_label_values(&[route, cache]), elapsed);
    if ctx.route.as_ref().is_some_and(|route| route.cache.is_some()) && ctx.refused.is_none() {
        metrics.cache.lookups.with_label_values(&[route, cache]).inc();
    }
    debug_assert_eq!(ctx.origin, Origin::Client, "only subrequests have another origin");
    if AccessLine::is_wanted() {
        let principal = ctx.callers.first();
        let line = AccessLine {
            timestamp: now.wall.try_into().unwrap_or(jiff::Timestamp::UNIX_EPOCH),
            level: "INFO",
            target: access_line::TARGET,
            request_id: &ctx.request_id,
            client: ctx.client,
            method: shown(head.method.as_str()),
            host: shown(ctx.host(session)),
            path: shown(head.uri.path()),
            version: version_name(head.version),
            status,
            bytes: session.body_bytes_sent(),
            duration_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            route,
            scheme: principal.map_or("none", |principal| principal.scheme.as_str()),
            principal: principal.map(|principal| &*principal.id),
            cache,
            peer: ctx.attempts.tried.last().copied(),
            refused: ctx.refused,
            reason: ctx.reason.as_deref(),
            error: error.map(ToString::to_string),
            generation: ctx.snapshot.generation,
        };
        line.write();
    }
}

fn shown(text: &str) -> &str {
    text.split_at(text.floor_char_boundary(SHOWN_BYTES_MAX)).0
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

impl Ctx {
    fn host<'a>(&self, session: &'a Session) -> &'a str {
        let head = session.req_header();
        let named = head.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        named.or_else(|| head.uri.host()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_two_characters() {
        assert_eq!(shown("/a"), "/a");
        let long = format!("{}\u{e9}", "x".repeat(SHOWN_BYTES_MAX - 1));
        assert_eq!(shown(&long), "x".repeat(SHOWN_BYTES_MAX - 1));
    }
}
