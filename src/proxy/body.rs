//! How is a request's body read, when a filter has to see it?

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header;
use pingora_proxy::Session;

use crate::admission::{Located, Refused};
use crate::refusal::Refusal;

/// Pingora keeps this much of a body for the upstream after a filter has read it.
const REPLAYED_BODY_BYTES_MAX: usize = 64 * 1024;

/// A body that says that it is too long is refused before a byte of it is read.
pub(super) fn check_length(session: &Session, located: &Located) -> Result<(), Box<Refused>> {
    let body_bytes_max = located.route.body_bytes_max;
    let declared = session.req_header().headers.get(header::CONTENT_LENGTH);
    let declared = declared.map(|value| value.to_str().ok()?.parse::<usize>().ok());
    let refusal = match declared {
        Some(None) => Refusal::BadRequest("The length of the body is not one number.".into()),
        Some(Some(length)) if length > body_bytes_max => Refusal::BodyTooLarge { body_bytes_max },
        Some(Some(_)) | None => return Ok(()),
    };
    Err(Box::new(Refused::plain(refusal, located.route.status_form)))
}

/// On a streaming route Pingora has to hand the body on that was read here.
pub(super) fn signed_body_bytes_max(located: &Located) -> usize {
    let body_bytes_max = located.route.body_bytes_max;
    if located.route.collects() {
        body_bytes_max
    } else {
        body_bytes_max.min(REPLAYED_BODY_BYTES_MAX)
    }
}

/// Reads a whole body, in time.
///
/// # Errors
///
/// When it is too long, late or broken; the client's connection is closed then, where it is of no more
/// use.
pub(super) async fn read_body(
    session: &mut Session,
    body_bytes_max: usize,
    deadline: Instant,
) -> Result<Bytes, Refusal> {
    let deadline = tokio::time::Instant::from_std(deadline);
    let late = || Refusal::BadRequest("The request body did not arrive whole and in time.".into());
    if session.req_header().headers.contains_key(header::EXPECT) {
        session.write_continue_response().await.map_err(|_| late())?;
    }
    let mut body = BytesMut::new();
    loop {
        let read = tokio::time::timeout_at(deadline, session.read_request_body()).await;
        match read {
            Ok(Ok(Some(piece))) => body.extend_from_slice(&piece),
            Ok(Ok(None)) => return Ok(body.freeze()),
            Ok(Err(_)) | Err(_) => {
                session.set_keepalive(None);
                return Err(late());
            }
        }
        if body.len() > body_bytes_max {
            return Err(Refusal::BodyTooLarge { body_bytes_max });
        }
    }
}
