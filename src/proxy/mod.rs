//! How does Pingora serve a request with all this?
//!
//! [`GatewayProxy`] converts between Pingora's phases and the modules below: each callback calls
//! one of them and keeps the result. Whether a request may go on is decided in `admission`; what
//! the gateway answers itself is written in `respond`.
//!
//! ```text
//! client ─ early_request_filter ─ request_filter ─┬─ refused ──────────── respond::refuse
//!                                                 ├─ pinned ── cache hit ─ response_filter ─ client
//!                                                 ├─ collected ────────── respond::answer
//!                                                 └─ streams ─ upstream_peer ─ … ─ response_filter
//! subrequest of an exchange ─ request_filter ─ upstream_peer ─ … ─ channel to the exchange
//! ```

mod access_line;
pub mod ahead;
mod body;
mod changes;
pub mod coder;
pub mod ctx;
pub mod edge;
mod errand;
pub mod exchange;
pub mod fill;
mod headers;
mod interim;
mod landing;
mod last_peer;
mod missed;
mod record;
pub mod refresh;
mod request_id;
mod respond;
mod serve;
mod upstream;
pub mod warm;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use pingora_cache::key::CacheKey;
use pingora_cache::storage::HitHandler;
use pingora_cache::{CacheMeta, ForcedFreshness};
use pingora_proxy::{FailToProxy, ProxyHttp, Session};

pub use errand::prewarm_errand;
pub use headers::prewarm_head;
pub use request_id::new_request_id;

use crate::admission::{self, Refused};
use crate::cache::coding;
use crate::cache::store::Pinned;
use crate::clock::Now;
use crate::refusal::Refusal;
use crate::snapshot::Live;
use crate::state::State;
use ahead::Ahead;
use ctx::Ctx;
use exchange::Dispatch;
use fill::Filler;
use refresh::Refresher;
use serve::Plan;

/// The gateway, as Pingora sees it.
pub struct GatewayProxy {
    live: Live,
    state: Arc<State>,
    filler: Arc<Filler>,
    refresher: Arc<Refresher>,
    ahead: Arc<Ahead>,
}

impl GatewayProxy {
    /// A proxy over what is live and what outlives it.
    #[must_use]
    pub fn new(
        live: Live,
        state: Arc<State>,
        filler: Arc<Filler>,
        refresher: Arc<Refresher>,
        ahead: Arc<Ahead>,
    ) -> Self {
        Self { live, state, filler, refresher, ahead }
    }

    async fn carry_out(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        plan: std::result::Result<Plan, Box<Refused>>,
    ) -> Result<bool> {
        match plan {
            Ok(Plan::Pinned | Plan::Stream) => return Ok(false),
            Ok(Plan::Collected(object)) => {
                respond::answer(session, ctx, &object, Now::read()).await?;
            }
            Ok(Plan::Own(content)) => respond::own(session, ctx, content, Now::read()).await?,
            Ok(Plan::Overflow(overflow)) => {
                respond::overflow(session, ctx, *overflow, Now::read()).await?;
            }
            Err(refused) => respond::refuse(session, ctx, &self.state, *refused).await?,
        }
        Ok(true)
    }
}

#[async_trait]
impl ProxyHttp for GatewayProxy {
    type CTX = Ctx;

    fn new_ctx(&self) -> Ctx {
        Ctx::new(self.live.load_full(), Now::read())
    }

    /// No modules: answers are compressed never or once, not at each hit.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<()> {
        edge::head_was_read();
        if session.subrequest_ctx.is_some() {
            return Ok(());
        }
        let downstream = &ctx.snapshot.downstream;
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(downstream.keepalive_timeout.as_secs().max(1)));
        }
        session.set_write_timeout(Some(downstream.write_timeout));
        if session.req_header().version == Version::HTTP_10 {
            // Such a client knows no interim answers (RFC 9110, section 15.2).
            session.as_downstream_mut().set_ignore_info_resp(true);
        }
        ctx.request_id = request_id::request_id(&session.req_header().headers);
        self.state.metrics.requests_in_flight.inc();
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        let user_ctx = session.subrequest_ctx.as_ref().and_then(|ctx| ctx.user_ctx());
        if let Some(dispatch) = user_ctx.and_then(|ctx| ctx.downcast_ref::<Dispatch>()) {
            ctx.adopt(dispatch);
            return Ok(false);
        }
        let plan = self.serve(session, ctx).await;
        self.carry_out(session, ctx, plan).await
    }

    /// Marks the connection as used, for the edge to know it again.
    fn persist_connection_context(
        &self,
        _session: &Session,
        _ctx: &Ctx,
    ) -> Option<Box<dyn std::any::Any + Send + Sync>> {
        Some(Box::new(edge::Used))
    }

    fn request_cache_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<()> {
        if let Some(object) = &ctx.pinned {
            let head = session.req_header();
            let policy = ctx.route.as_ref().and_then(|route| route.cache.as_ref());
            ctx.coding = policy.and_then(|policy| {
                coding::choose(object.codings(), object.etag(), &policy.compress, &head.headers)
            });
            let body_bytes = object.body_in(ctx.coding).len();
            // A part is what was cut out for this request already.
            session.ignore_downstream_range = object.head.status == StatusCode::PARTIAL_CONTENT
                || headers::is_whole_wanted(head, object, body_bytes);
            session.cache.enable(self.state.store, None, None, None, None);
        }
        Ok(())
    }

    fn cache_key_callback(&self, _session: &Session, ctx: &mut Ctx) -> Result<CacheKey> {
        let mut key = CacheKey::new("", "");
        if let Some(object) = &ctx.pinned {
            key.extensions.insert(Pinned(object.clone(), ctx.coding));
        }
        Ok(key)
    }

    /// Whether the answer may be served was decided when it was pinned.
    async fn cache_hit_filter(
        &self,
        _session: &mut Session,
        _meta: &CacheMeta,
        _hit: &mut HitHandler,
        _is_fresh: bool,
        _ctx: &mut Ctx,
    ) -> Result<Option<ForcedFreshness>> {
        Ok(Some(ForcedFreshness::ForceFresh))
    }

    async fn proxy_upstream_filter(&self, session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
        let Err(refusal) = upstream::enter(&self.state, ctx).await else { return Ok(true) };
        self.fail(session, ctx, refusal).await?;
        if session.subrequest_ctx.is_some() {
            // Without an answer Pingora would make one up; an error ends the exchange instead.
            return Error::e_explain(ErrorType::InternalError, "the pool takes no more");
        }
        Ok(false)
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
        let Some(refusal) = ctx.attempts.given_up.clone() else {
            upstream::pay(&self.state, ctx).await?;
            return upstream::next_peer(ctx, Now::read());
        };
        let refused = Refused::plain(refusal, ctx.status_form());
        ctx.body_bytes = 0;
        let (head, mut body) = respond::compose(ctx, &self.state, refused)?;
        if session.req_header().method == Method::HEAD {
            body.clear();
        }
        Ok(last_peer::answering(&head, &body))
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        peer: &HttpPeer,
        ctx: &mut Ctx,
        error: Box<Error>,
    ) -> Box<Error> {
        upstream::unreachable(&self.state.metrics, session, ctx, peer, error, Now::read())
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Ctx,
        client_reused: bool,
    ) -> Box<Error> {
        upstream::broken(&self.state.metrics, ctx, peer, session, error, client_reused, Now::read())
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        head: &mut RequestHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        headers::tell_upstream(head, ctx, Now::read())
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Ctx,
    ) -> Result<()> {
        upstream::count_body(body, end_of_stream, ctx)
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        head: &mut ResponseHeader,
        _ctx: &mut Ctx,
    ) -> Result<()> {
        headers::strip_hop(head);
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Ctx,
    ) -> Result<()> {
        if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
            // What comes before the answer passes as it is.
            return Ok(());
        }
        if session.req_header().version == Version::HTTP_10 {
            // Such a client cannot read chunks; the end of the connection ends the body.
            head.remove_header(&header::TRANSFER_ENCODING);
        }
        upstream::answered(&self.state.metrics, ctx, Now::read());
        self.invalidate(ctx, head).await;
        headers::tell_client(head, ctx, Now::read())
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Ctx,
    ) -> FailToProxy {
        let refusal = upstream::refusal_of(error, ctx, Now::read());
        upstream::failed(&self.state.metrics, ctx);
        if *error.esource() == ErrorSource::Downstream {
            session.set_keepalive(None);
        }
        let Some(refusal) = refusal else {
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        };
        let error_code = refusal.status().as_u16();
        let written = upstream::is_answered(session);
        let answered = !written && self.fail(session, ctx, refusal).await.is_ok();
        FailToProxy { error_code, can_reuse_downstream: answered }
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Ctx, _error: &Error) -> bool {
        // The access line says what came of it.
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Ctx) {
        if let Some(login) = ctx.login.take_if(|_| !is_failed_login(session)) {
            admission::refund(&self.state, vec![login]).await;
        }
        record::finished(&self.state.metrics, session, error, ctx, Now::read());
    }
}

impl GatewayProxy {
    /// What a change made invalid is so before the one who changed it has an answer.
    pub(super) async fn invalidate(&self, ctx: &Ctx, head: &ResponseHeader) {
        let Some(change) = &ctx.change else { return };
        let (state, targets) = (self.state.clone(), change.targets(head.status, &head.headers));
        // A task of its own: where the answer breaks off, the others are told all the same.
        let telling = tokio::spawn(async move {
            state.purges.change(targets, Now::read()).await;
        });
        let _was_told = telling.await.is_ok();
    }

    /// Ends a request that has no answer: a client is told, an exchange is left the reason.
    async fn fail(&self, session: &mut Session, ctx: &mut Ctx, refusal: Refusal) -> Result<()> {
        if session.subrequest_ctx.is_some() {
            let _first_reason_stays = ctx.failure.set(refusal);
            return Ok(());
        }
        let refused = Refused::plain(refusal, ctx.status_form());
        respond::refuse(session, ctx, &self.state, refused).await
    }
}

/// Whether the upstream would not let somebody in, with any of the statuses that say so. Who does
/// not wait for the answer may have been told no.
fn is_failed_login(session: &Session) -> bool {
    let head = session.response_written().filter(|_| upstream::is_answered(session));
    head.is_none_or(|head| {
        matches!(
            head.status,
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        )
    })
}
