//! In how little room does an answer fit, and what does it cost there?
//!
//! What comes from an upstream holds on to more than itself: a field's value to the whole head that
//! it was read from, a body to the buffer that it was collected in. A stored answer is copied out of
//! both, so that its cost can be told.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

use super::coding::Coded;
use super::object::{Object, Validators};

/// What a shared piece of memory costs beside its bytes.
const SHARED_BYTES: usize = 40;

/// What a place for one field costs in a map of fields, its share of the index included.
const FIELD_BYTES: usize = size_of::<HeaderName>() + size_of::<HeaderValue>() + 40;

impl Object {
    /// The same object in as little room as it fits in; where it has the body of `known`, which is
    /// compact, that is shared.
    #[must_use]
    pub fn compact(&self, known: Option<&Self>) -> Self {
        let body = match known.filter(|known| self.has_body_of(known)) {
            Some(known) => known.body.clone(),
            None => Bytes::copy_from_slice(&self.body),
        };
        Self {
            head: compact_head(&self.head),
            body,
            validators: own(&self.validators),
            ..self.clone()
        }
    }

    /// What the object costs of the store's budget once it is compact, in bytes.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        let values: usize = self.head.headers.values().map(HeaderValue::len).sum();
        let fields = self.head.headers.capacity() * FIELD_BYTES;
        let validators = [&self.validators.etag, &self.validators.last_modified];
        let validators: usize =
            validators.into_iter().flatten().map(|value| value.len() + SHARED_BYTES).sum();
        let codings = self.codings().iter().map(|coded| {
            coded.body.len() + coded.etag.len() + size_of::<Coded>() + 2 * SHARED_BYTES
        });
        [
            size_of::<Self>() + SHARED_BYTES,
            self.body.len() + SHARED_BYTES,
            values + SHARED_BYTES,
            fields,
            validators,
            self.labels.cost_bytes() + SHARED_BYTES,
            SHARED_BYTES,
        ]
        .into_iter()
        .chain(codings)
        .map(allocated)
        .sum()
    }
}

/// What the allocator takes for so many bytes: its sizes are an eighth apart, and it keeps some of
/// what was freed.
fn allocated(bytes: usize) -> usize {
    bytes + bytes / 8 + 8
}

/// A head whose fields share one piece of memory. It writes its names as any head without a memory
/// of their case does, which is how [`answer`](crate::answer) writes them.
fn compact_head(head: &ResponseHeader) -> ResponseHeader {
    let mut text = BytesMut::with_capacity(head.headers.values().map(HeaderValue::len).sum());
    head.headers.values().for_each(|value| text.extend_from_slice(value.as_bytes()));
    let mut text = text.freeze();
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for (name, value) in &head.headers {
        let mut own = HeaderValue::from_maybe_shared(text.split_to(value.len()))
            .unwrap_or_else(|_| value.clone());
        own.set_sensitive(value.is_sensitive());
        headers.append(name.clone(), own);
    }
    let mut parts = http::Response::new(()).into_parts().0;
    (parts.status, parts.version, parts.headers) = (head.status, head.version, headers);
    ResponseHeader::from(parts)
}

fn own(validators: &Validators) -> Validators {
    let own = |value: &HeaderValue| {
        HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
    };
    Validators {
        etag: validators.etag.as_ref().map(own),
        last_modified: validators.last_modified.as_ref().map(own),
    }
}
