//! How does Pingora's cache get at what is stored?
//!
//! The [`Store`] is the [`Storage`] of pingora-cache, so that Pingora serves a hit with its own
//! handling of `HEAD`, conditions and ranges. The front of the gateway has looked the object up
//! already and pins it to the key, so that a hit is one look-up and an object that is evicted
//! meanwhile is still served whole.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use pingora::http::ResponseHeader;
use pingora_cache::key::{CacheHashKey, CacheKey};
use pingora_cache::storage::{
    HandleHit, HandleMiss, HitHandler, MissFinishType, MissHandler, PurgeOutcome, PurgeTarget,
};
use pingora_cache::trace::SpanHandle;
use pingora_cache::{CacheMeta, PurgeType, Storage};

use super::object::{Checked, Object, Validators, Variance};
use super::store::{Pinned, Store};
use super::windows::Windows;

#[async_trait]
impl Storage for Store {
    async fn lookup(
        &'static self,
        key: &CacheKey,
        _trace: &SpanHandle,
    ) -> pingora::Result<Option<(CacheMeta, HitHandler)>> {
        let (object, coding) = match key.extensions.get::<Pinned>() {
            Some(Pinned(object, coding)) => (Some(object.clone()), *coding),
            None => (self.newest(&key.combined_bin()), None),
        };
        Ok(object.map(|object| {
            let body = object.body_in(coding).clone();
            let hit: HitHandler = Box::new(Hit { body, next: None });
            (object.meta(coding), hit)
        }))
    }

    async fn get_miss_handler(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> pingora::Result<MissHandler> {
        Ok(Box::new(Miss {
            store: self,
            key: key.combined_bin(),
            head: meta.response_header_copy(),
            windows: windows_of(meta),
            body: BytesMut::new(),
        }))
    }

    async fn purge(
        &'static self,
        target: PurgeTarget<'_>,
        _type: PurgeType,
        _trace: &SpanHandle,
    ) -> pingora::Result<PurgeOutcome> {
        let purged = match target {
            PurgeTarget::Active(key) => self.purge_key(&key.combined_bin()),
            PurgeTarget::Exact(entry) => self.purge_key(&entry.key().combined_bin()),
        };
        Ok(if purged { PurgeOutcome::Purged(None) } else { PurgeOutcome::NotFound })
    }

    async fn update_meta(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> pingora::Result<bool> {
        let bytes = key.combined_bin();
        let Some(object) = self.newest(&bytes) else { return Ok(false) };
        let head = meta.response_header_copy();
        let updated = Object { head, windows: windows_of(meta), ..Object::clone(&object) };
        Ok(self.put_asked(bytes, Arc::new(updated)))
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync + 'static) {
        self
    }
}

/// Hands a stored body on, whole or a part of it.
struct Hit {
    body: Bytes,
    /// What is still to be read; `None` before the first read and seek, empty when done.
    next: Option<Bytes>,
}

#[async_trait]
impl HandleHit for Hit {
    async fn read_body(&mut self) -> pingora::Result<Option<Bytes>> {
        let body = self.next.take().unwrap_or_else(|| self.body.clone());
        self.next = Some(Bytes::new());
        Ok((!body.is_empty()).then_some(body))
    }

    async fn finish(
        self: Box<Self>,
        _storage: &'static (dyn Storage + Sync),
        _key: &CacheKey,
        _trace: &SpanHandle,
    ) -> pingora::Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        true
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> pingora::Result<()> {
        let end = end.unwrap_or(self.body.len()).min(self.body.len());
        if start >= end {
            return pingora::Error::e_explain(
                pingora::ErrorType::InternalError,
                format!("seek to {start} of {end} bytes"),
            );
        }
        self.next = Some(self.body.slice(start..end));
        Ok(())
    }

    fn get_eviction_weight(&self) -> usize {
        self.body.len()
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

/// Collects a body and stores it when it is complete; dropped before, it leaves no trace.
struct Miss {
    store: &'static Store,
    key: [u8; 16],
    head: ResponseHeader,
    windows: Windows,
    body: BytesMut,
}

#[async_trait]
impl HandleMiss for Miss {
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> pingora::Result<()> {
        if self.body.len() + data.len() > self.store.object_bytes_max() {
            return pingora::Error::e_explain(
                pingora::ErrorType::InternalError,
                "the body is larger than the store can keep",
            );
        }
        self.body.extend_from_slice(&data);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> pingora::Result<MissFinishType> {
        let size = self.body.len();
        let object = Object {
            head: self.head,
            body: self.body.freeze(),
            codings: None,
            windows: self.windows,
            validators: Validators::default(),
            variance: Variance::default(),
            upstream_status: StatusCode::OK,
            target: None,
            labels: Arc::default(),
            usage: Arc::default(),
            took: Duration::ZERO,
            asked_at: self.windows.stored_at,
            refresh_after: self.windows.stored_at,
            checked: Checked::default(),
        };
        self.store.put_asked(self.key, Arc::new(object));
        Ok(MissFinishType::Created(size))
    }
}

fn windows_of(meta: &CacheMeta) -> Windows {
    let after = |seconds: u32| -> SystemTime {
        meta.fresh_until() + Duration::from_secs(u64::from(seconds))
    };
    Windows {
        stored_at: meta.created(),
        born_at: meta.created(),
        may_be_stale: true,
        fresh_until: meta.fresh_until(),
        stale_until: after(meta.stale_while_revalidate_sec()),
        error_until: after(meta.stale_if_error_sec()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn a_hit_reads_the_part_that_was_sought() {
        let mut hit = Hit { body: Bytes::from_static(b"0123456789"), next: None };
        hit.seek(2, Some(5)).unwrap();
        assert_eq!(hit.read_body().await.unwrap().unwrap(), "234");
        assert!(hit.read_body().await.unwrap().is_none());
        hit.seek(8, Some(100)).unwrap();
        assert_eq!(hit.read_body().await.unwrap().unwrap(), "89");
        assert!(hit.seek(10, None).is_err());
    }
}
