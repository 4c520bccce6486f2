//! How does a catalogue lead from one page to a wrong one?

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use bytes::Bytes;
use serde_json::Value;

use crate::answers::SEARCH_BODY_BYTES_MAX;
use crate::fault::SearchFault;

/// Keeps the body of a search, which a link to the same page repeats.
pub(super) async fn remembered(request: Request) -> (Request, Option<Bytes>) {
    let (parts, body) = request.into_parts();
    match to_bytes(body, SEARCH_BODY_BYTES_MAX).await {
        Ok(bytes) => {
            let request = Request::from_parts(parts, Body::from(bytes.clone()));
            (request, Some(bytes))
        }
        // Too large, or broken off: an empty body is no search either.
        Err(_) => (Request::from_parts(parts, Body::empty()), None),
    }
}

/// The page with another link to the next one; anything but a page stays as it is.
pub(super) fn after(body: Bytes, fault: SearchFault, asked: Option<&[u8]>) -> Bytes {
    let Ok(mut page) = serde_json::from_slice::<Value>(&body) else { return body };
    let Some(page_members) = page.as_object_mut() else { return body };
    let links = page_members.get_mut("links").and_then(Value::as_array_mut);
    let next = links
        .into_iter()
        .flatten()
        .find(|link| link.get("rel").and_then(Value::as_str) == Some("next"));
    let Some(next_body) = next.and_then(|link| link.get_mut("body")) else { return body };
    match fault {
        SearchFault::WrongNext => {
            if let Some(members) = next_body.as_object_mut() {
                members.insert("next".to_owned(), Value::from("no,such,item"));
            }
        }
        SearchFault::EndlessNext => {
            let asked = asked.and_then(|asked| serde_json::from_slice(asked).ok());
            *next_body = asked.unwrap_or(Value::Null);
            for total in ["numberMatched", "context"] {
                page_members.remove(total);
            }
        }
    }
    page.to_string().into()
}
