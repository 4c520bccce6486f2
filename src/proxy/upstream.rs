//! How is a peer reached, and what does it mean when that fails?

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use pingora_proxy::Session;

use super::ctx::Ctx;
use super::exchange::Origin;
use crate::clock::Now;
use crate::metrics::{Metrics, observe};
use crate::refusal::Refusal;
use crate::state::State;
use crate::upstream::Purpose;

/// When a full pool is worth another try.
const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(1);

/// How much earlier than its request an attempt ends.
const READ_MARGIN: Duration = Duration::from_millis(10);

/// Counts the request in at its pool, and its first call with the pool's budget.
///
/// # Errors
///
/// [`Refusal::Overloaded`] when the pool has as many in flight as it may, [`Refusal::BudgetSpent`]
/// when it may take no more calls for now.
pub(super) async fn enter(state: &State, ctx: &mut Ctx) -> std::result::Result<(), Refusal> {
    let Some(pool) = ctx.pool() else { return Err(Refusal::Internal) };
    let Some(in_flight) = pool.state.enter(pool.in_flight_max) else {
        return Err(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER });
    };
    spend(state, ctx).await?;
    ctx.attempts.in_flight = Some(in_flight);
    ctx.attempts.is_paid = true;
    Ok(())
}

/// Counts the next attempt with the pool's budget; the first one is counted when it enters.
///
/// # Errors
///
/// When the pool may take no more calls for now.
pub(super) async fn pay(state: &State, ctx: &mut Ctx) -> Result<()> {
    if std::mem::take(&mut ctx.attempts.is_paid) {
        return Ok(());
    }
    let Err(refusal) = spend(state, ctx).await else { return Ok(()) };
    let _first_reason_stays = ctx.failure.set(refusal);
    Error::e_explain(ErrorType::InternalError, "the calls of the pool are used up")
}

async fn spend(state: &State, ctx: &Ctx) -> std::result::Result<(), Refusal> {
    let Some(pool) = ctx.pool() else { return Err(Refusal::Internal) };
    let purpose = match ctx.origin {
        Origin::Client => Purpose::Client,
        Origin::Revalidation | Origin::Ahead | Origin::Prewarm => Purpose::Background,
    };
    let spent = state.calls.spend(pool, purpose, Now::read()).await;
    spent.map_err(|retry_after| {
        let labels = [pool.name.as_str(), ctx.origin.as_str()];
        state.metrics.upstream.budget_refusals.with_label_values(&labels).inc();
        Refusal::BudgetSpent { retry_after }
    })
}

/// The peer for the next attempt.
///
/// # Errors
///
/// When every peer was tried.
pub(super) fn next_peer(ctx: &mut Ctx, now: Now) -> Result<Box<HttpPeer>> {
    let Some((route, pool)) = ctx.route.clone().zip(ctx.pool().cloned()) else {
        return Error::e_explain(ErrorType::InternalError, "a request without a pool");
    };
    let Some(picked) = pool.pick(&ctx.attempts.tried, now.instant) else {
        return Error::e_explain(ErrorType::ConnectNoRoute, "every peer was tried");
    };
    ctx.attempts.tried.push(picked.address);
    ctx.attempts.began = Some(now.instant);
    // Each attempt sends the body from its beginning.
    ctx.body_bytes = 0;
    let server_name = pool.tls.as_ref().map(|tls| tls.server_name.clone()).unwrap_or_default();
    let mut peer = HttpPeer::new(picked.address, pool.tls.is_some(), server_name);
    let left = ctx.time_left(now.instant).unwrap_or(route.timeout);
    peer.options.connection_timeout = Some(pool.connect_timeout.min(left));
    peer.options.total_connection_timeout = Some(pool.connect_timeout.min(left));
    // A little before the deadline, so that it is this attempt that fails, and is counted so.
    peer.options.read_timeout = Some(left.saturating_sub(READ_MARGIN).max(READ_MARGIN));
    peer.options.write_timeout = Some(left);
    peer.options.idle_timeout = Some(pool.idle_timeout);
    Ok(Box::new(peer))
}

/// A peer could not be reached: it is passed over for a while, and another is tried.
pub(super) fn unreachable(
    metrics: &Metrics,
    session: &mut Session,
    ctx: &mut Ctx,
    peer: &HttpPeer,
    mut error: Box<Error>,
    now: Now,
) -> Box<Error> {
    let Some(pool) = ctx.pool().cloned() else { return error };
    metrics.upstream.attempts.with_label_values(&[&pool.name, "unreachable"]).inc();
    ctx.attempts.began = None;
    let is_late = ctx.time_left(now.instant).is_some_and(|left| left.is_zero());
    // A client that took all the time for its body says nothing about the peer.
    if let Some(address) = peer_address(peer).filter(|_| !is_late) {
        pool.state.eject(address, pool.eject_for, now.instant);
        tracing::warn!(pool = pool.name, peer = %address, %error, "peer is unreachable");
    }
    let again = may_try_another(ctx);
    error.set_retry(again || give_up(session, ctx, &error, now));
    error
}

/// Whether the client has the head of its answer; an interim one is none.
pub(super) fn is_answered(session: &Session) -> bool {
    session.response_written().is_some_and(|head| {
        !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS
    })
}

/// Whether the pool has a peer that this request did not try, and the request an attempt left.
fn may_try_another(ctx: &Ctx) -> bool {
    let tried = ctx.attempts.tried.len();
    ctx.pool().is_some_and(|pool| tried < pool.attempts_max && tried < pool.peers().len())
}

/// Hands a client's request to the last peer, which refuses it; answers whether it is tried. A
/// subrequest needs no such peer: its exchange is told the reason.
fn give_up(session: &mut Session, ctx: &mut Ctx, error: &Error, now: Now) -> bool {
    let is_first = ctx.attempts.given_up.is_none();
    if !is_first || session.subrequest_ctx.is_some() || is_answered(session) {
        return false;
    }
    if *error.esource() == ErrorSource::Downstream {
        // Where a broken body ends nobody knows: the connection is of no more use.
        session.set_keepalive(None);
    }
    ctx.attempts.given_up = refusal_of(error, ctx, now);
    ctx.attempts.given_up.is_some()
}

/// An attempt broke after its connection stood. When the request can be repeated and nothing was
/// answered, it is tried again: the peer counts as untried when the connection was an old one that it
/// had closed meanwhile, else another is taken.
pub(super) fn broken(
    metrics: &Metrics,
    ctx: &mut Ctx,
    peer: &HttpPeer,
    session: &mut Session,
    error: Box<Error>,
    client_reused: bool,
    now: Now,
) -> Box<Error> {
    failed(metrics, ctx);
    let mut error = error.more_context(format!("peer {peer}"));
    let repeatable = session.req_header().method.is_idempotent()
        && !session.as_ref().retry_buffer_truncated()
        && !is_answered(session);
    let is_closed = matches!(
        error.etype(),
        ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::WriteError
    ) && *error.esource() == ErrorSource::Upstream;
    error.retry.decide_reuse(client_reused);
    let again = if repeatable && error.retry() {
        ctx.attempts.tried.pop();
        true
    } else {
        repeatable && is_closed && may_try_another(ctx)
    };
    error.set_retry(again || give_up(session, ctx, &error, now));
    error
}

/// The head of an answer arrived.
pub(super) fn answered(metrics: &Metrics, ctx: &mut Ctx, now: Now) {
    let began = ctx.attempts.began.take();
    let (Some(pool), Some(began)) = (ctx.pool(), began) else { return };
    metrics.upstream.attempts.with_label_values(&[&pool.name, "answered"]).inc();
    let seconds = metrics.upstream.seconds.with_label_values(&[&pool.name]);
    observe(&seconds, now.instant.saturating_duration_since(began));
    if let Some(address) = ctx.attempts.tried.last() {
        pool.state.restore(*address);
    }
}

/// An attempt that reached its peer brought no answer.
pub(super) fn failed(metrics: &Metrics, ctx: &mut Ctx) {
    let began = ctx.attempts.began.take();
    if let (Some(pool), Some(_)) = (ctx.pool(), began) {
        metrics.upstream.attempts.with_label_values(&[&pool.name, "failed"]).inc();
    }
}

/// Counts a streamed body, and hides Pingora's empty last piece from an HTTP/1.1 upstream, which
/// would get two ends of one body.
///
/// # Errors
///
/// When the body is longer than the route takes.
pub(super) fn count_body(
    body: &mut Option<Bytes>,
    end_of_stream: bool,
    ctx: &mut Ctx,
) -> Result<()> {
    ctx.body_bytes += body.as_ref().map_or(0, Bytes::len);
    if end_of_stream && body.as_ref().is_some_and(Bytes::is_empty) {
        *body = None;
    }
    let body_bytes_max = ctx.route.as_ref().map_or(usize::MAX, |route| route.body_bytes_max);
    if ctx.body_bytes > body_bytes_max {
        let _first_reason_stays = ctx.failure.set(Refusal::BodyTooLarge { body_bytes_max });
        return Error::e_explain(ErrorType::HTTPStatus(413), "the request body is too large");
    }
    Ok(())
}

/// What the client is told of an error; `None` when it is the client that is gone.
pub(super) fn refusal_of(error: &Error, ctx: &Ctx, now: Now) -> Option<Refusal> {
    if let Some(known) = ctx.failure.get() {
        return Some(known.clone());
    }
    if ctx.time_left(now.instant).is_some_and(|left| left.is_zero()) {
        return Some(Refusal::UpstreamTimeout);
    }
    match (error.etype(), error.esource()) {
        (
            ErrorType::WriteError | ErrorType::ReadError | ErrorType::ConnectionClosed,
            ErrorSource::Downstream,
        ) => None,
        (_, ErrorSource::Downstream) => {
            Some(Refusal::BadRequest("The request could not be read.".into()))
        }
        (
            ErrorType::ConnectTimedout
            | ErrorType::ConnectRefused
            | ErrorType::ConnectNoRoute
            | ErrorType::ConnectError
            | ErrorType::SocketError
            | ErrorType::BindError
            | ErrorType::TLSHandshakeFailure
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::InvalidCert,
            _,
        ) => Some(Refusal::UpstreamUnavailable),
        (ErrorType::ReadTimedout | ErrorType::WriteTimedout, _) => Some(Refusal::UpstreamTimeout),
        (_, ErrorSource::Upstream) => Some(Refusal::UpstreamBroken),
        (_, ErrorSource::Internal | ErrorSource::Unset) => Some(Refusal::Internal),
    }
}

fn peer_address(peer: &HttpPeer) -> Option<SocketAddr> {
    peer._address.as_inet().copied()
}
