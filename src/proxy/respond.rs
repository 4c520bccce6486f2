//! What do we answer ourselves? The one place that writes an answer that no upstream gave.
//!
//! Pingora's own `respond_error` closes the client's connection; a burst of refusals would become
//! a burst of handshakes. Everything here keeps it, once the request's body is out of the way.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora_proxy::Session;

use super::ctx::Ctx;
use super::exchange::Overflow;
use super::headers;
use super::request_id;
use crate::admission::Refused;
use crate::cache::object::Object;
use crate::clock::Now;
use crate::endpoint::Content;
use crate::envelope;
use crate::state::State;

/// Most bytes of an unwanted body that are read to keep a connection.
const DRAIN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long that may take.
const DRAIN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// Answers with a refusal.
///
/// # Errors
///
/// When the client cannot be written to.
pub(super) async fn refuse(
    session: &mut Session,
    ctx: &mut Ctx,
    state: &State,
    refused: Refused,
) -> pingora::Result<()> {
    let (head, body) = compose(ctx, state, refused)?;
    drain(session).await;
    write(session, head, body).await
}

/// The head and body of a refusal, which is counted and noted for the log.
///
/// # Errors
///
/// When a header field cannot be written.
pub(super) fn compose(
    ctx: &mut Ctx,
    state: &State,
    refused: Refused,
) -> pingora::Result<(ResponseHeader, Bytes)> {
    let Refused { refusal, status_form, route, challenge, limited, reason } = refused;
    state.metrics.refusals.with_label_values(&[refusal.code()]).inc();
    ctx.refused = Some(refusal.code());
    ctx.reason = reason;
    ctx.route = ctx.route.take().or(route);
    let body = envelope::refuse(status_form, &refusal, &ctx.request_id);
    let mut head = ResponseHeader::build(refusal.status(), Some(8))?;
    head.insert_header(header::CONTENT_TYPE, envelope::CONTENT_TYPE)?;
    head.insert_header(header::CONTENT_LENGTH, body.len())?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    head.insert_header(request_id::REQUEST_ID, &*ctx.request_id)?;
    if let Some(challenge) = challenge {
        head.insert_header(header::WWW_AUTHENTICATE, challenge)?;
    }
    if let Some(seconds) = refusal.retry_after_seconds() {
        head.insert_header(header::RETRY_AFTER, seconds)?;
    }
    if let crate::refusal::Refusal::MethodNotAllowed { allow, .. } = &refusal {
        head.insert_header(header::ALLOW, allow.as_str())?;
    }
    if let Some((limit, retry_after)) = limited {
        headers::tell_limited(&mut head, &limit, retry_after)?;
    }
    Ok((head, body))
}

/// Answers with a collected answer that has nothing to do with the cache.
///
/// # Errors
///
/// When the client cannot be written to.
pub(super) async fn answer(
    session: &mut Session,
    ctx: &Ctx,
    object: &Arc<Object>,
    now: Now,
) -> pingora::Result<()> {
    let mut head = object.head.clone();
    headers::tell_client(&mut head, ctx, now)?;
    write(session, head, object.body.clone()).await
}

/// Answers with a body of the gateway's own that is no refusal.
///
/// # Errors
///
/// When the client cannot be written to.
pub(super) async fn own(
    session: &mut Session,
    ctx: &Ctx,
    content: Content,
    now: Now,
) -> pingora::Result<()> {
    let Content { media_type, body } = content;
    let mut head = ResponseHeader::build(StatusCode::OK, Some(8))?;
    head.insert_header(header::CONTENT_TYPE, media_type)?;
    head.insert_header(header::CONTENT_LENGTH, body.len())?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    if session.req_header().method == Method::OPTIONS
        && let Some(route) = &ctx.route
    {
        head.insert_header(header::ALLOW, route.allow())?;
    }
    headers::tell_client(&mut head, ctx, now)?;
    drain(session).await;
    write(session, head, body).await
}

/// Passes on an answer that was too long to collect: what was read, then the rest as it comes.
///
/// # Errors
///
/// When the client cannot be written to, or the upstream breaks off: then the client sees an
/// incomplete answer, which is what it is.
pub(super) async fn overflow(
    session: &mut Session,
    ctx: &Ctx,
    overflow: Overflow,
    now: Now,
) -> pingora::Result<()> {
    let Overflow { mut head, read, mut rest } = overflow;
    headers::strip_hop(&mut head);
    headers::tell_client(&mut head, ctx, now)?;
    let asked = session.req_header();
    if asked.version == Version::HTTP_10 {
        head.remove_header(&header::TRANSFER_ENCODING);
    }
    let is_head = asked.method == Method::HEAD;
    session.write_response_header(Box::new(head), is_head).await?;
    if is_head {
        return Ok(());
    }
    for piece in read {
        session.write_response_body(Some(piece), false).await?;
    }
    loop {
        match rest.next_piece().await {
            Some(Some(piece)) => session.write_response_body(Some(piece), false).await?,
            Some(None) => break,
            None => {
                return pingora::Error::e_explain(
                    pingora::ErrorType::ReadError,
                    "the upstream broke off",
                );
            }
        }
    }
    rest.finish().await;
    session.write_response_body(None, true).await
}

async fn write(session: &mut Session, head: ResponseHeader, body: Bytes) -> pingora::Result<()> {
    let bodiless = session.req_header().method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    session.write_response_header(Box::new(head), bodiless).await?;
    if !bodiless {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// Reads what is left of the request's body, so that the next request can begin behind it; a
/// client that sends more than that, or waits to be asked for it, loses its connection.
async fn drain(session: &mut Session) {
    if session.as_downstream().is_http2() || session.as_downstream_mut().is_body_done() {
        return;
    }
    if session.req_header().headers.contains_key(header::EXPECT) {
        session.set_keepalive(None);
        return;
    }
    let work = async {
        let mut drained = 0;
        loop {
            match session.as_downstream_mut().read_request_body().await {
                Ok(Some(piece)) => drained += piece.len(),
                Ok(None) => return session.as_downstream_mut().is_body_done(),
                // Where a broken body ends nobody knows: what follows must not pass for a request.
                Err(_) => return false,
            }
            if drained > DRAIN_BYTES_MAX {
                return false;
            }
        }
    };
    let done = tokio::time::timeout(DRAIN_TIMEOUT, work).await.unwrap_or(false);
    if !done {
        session.set_keepalive(None);
    }
}
