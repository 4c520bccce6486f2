//! What happens to a client's request: admitted, and then?
//!
//! The order of questions, each answered by one module: is the head acceptable, may the address
//! come in, which route, who is calling and how often, and at last where the answer comes from.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Method, header};
use pingora_proxy::Session;

use super::GatewayProxy;
use super::changes::Change;
use super::ctx::{CacheResult, Ctx};
use super::errand::{Errand, Keeping, Wanted, wanted};
use super::exchange::{Exchanged, Origin, Overflow};
use super::fill::Obtained;
use super::headers;
use crate::admission::{self, Admission, Arrival, Identified, Located, Refused};
use crate::answer::{self, Asked};
use crate::cache::object::Object;
use crate::cache::outcome::Outcome;
use crate::cache::{self, Forwarded, Lookup};
use crate::clock::Now;
use crate::endpoint;
use crate::refusal::Refusal;
use crate::route::{Endpoint, Route, Target};

/// Pingora keeps this much of a body for the upstream after a filter has read it.
const REPLAYED_BODY_BYTES_MAX: usize = 64 * 1024;

/// Where the answer to an admitted request comes from.
pub(super) enum Plan {
    /// It is in `Ctx::pinned`; Pingora's cache serves it.
    Pinned,
    /// It was collected for this request.
    Collected(Arc<Object>),
    /// It is too long to collect.
    Overflow(Box<Overflow>),
    /// It is this, and no upstream is asked.
    Own(Bytes),
    /// It streams from the upstream.
    Stream,
}

impl GatewayProxy {
    /// Admits a client's request and finds where its answer comes from.
    pub(super) async fn serve(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
    ) -> Result<Plan, Box<Refused>> {
        self.greet(session, ctx)?;
        let identified = self.identify(session, ctx).await?;
        // Also a refusal from here on has a name in the log.
        ctx.callers = identified.callers.clone();
        let (route, head) = (identified.route.clone(), session.req_header());
        // What is at hand is known before the quotas are charged: a quota may count hits or misses.
        let wanted = wanted(&identified, head, ctx.is_tls);
        let found = wanted.as_ref().map(|Wanted { policy, key, .. }| {
            cache::lookup(self.state.store, policy, key, &head.headers, ctx.started)
        });
        let is_hit = matches!(found, Some(Lookup::Fresh(_) | Lookup::Stale(_)));
        let admission = self.charge(session, ctx, identified, is_hit).await?;
        let Admission { host, charged, login, .. } = admission;
        (ctx.charged, ctx.login) = (charged, login);
        ctx.change = Change::of(session.req_header(), &host);
        ctx.deadline = Some(ctx.deadline_on(&route));
        let refuse = |refusal| Box::new(Refused::plain(refusal, route.status_form));
        if let Target::Endpoint(endpoint) = route.target {
            return self.answer_itself(session, ctx, &route, endpoint).map_err(refuse);
        }
        if route.cache.is_some() && !route.caches(&session.req_header().method) {
            ctx.forwarded = Forwarded::Method;
        }
        if !route.collects() {
            return Ok(Plan::Stream);
        }
        let (Some(wanted), Some(found)) = (wanted, found) else {
            return self.collect(session, ctx, &route, &host).await.map_err(refuse);
        };
        let keeping = Keeping { route: &route, host: &host, head: session.req_header(), wanted };
        self.answer_kept(ctx, keeping, found).await.map_err(refuse)
    }

    /// Answers from what is kept, or has it fetched.
    async fn answer_kept(
        &self,
        ctx: &mut Ctx,
        keeping: Keeping<'_>,
        found: Lookup,
    ) -> Result<Plan, Refusal> {
        match found {
            Lookup::Fresh(object) => {
                if keeping.wanted.policy.refresh_ahead {
                    self.ahead.watch(&object, || keeping.errand(ctx).ok());
                }
                Ok(pin(ctx, object, CacheResult::Hit))
            }
            Lookup::Stale(object)
            | Lookup::Miss { why: Forwarded::Stale, on_error: Some(object) }
                if self.is_stretched(&keeping, &object, ctx.started) =>
            {
                Ok(pin(ctx, object, CacheResult::Stretched))
            }
            Lookup::Stale(object) if object.refresh_after > ctx.started.wall => {
                Ok(pin(ctx, object, CacheResult::Stale))
            }
            Lookup::Stale(object) => {
                let errand = keeping.errand(ctx)?;
                Ok(self.serve_stale(ctx, object, errand))
            }
            Lookup::Miss { .. } if keeping.takes_only_what_is_kept() => Err(Refusal::NotCached),
            Lookup::Miss { why, on_error } => {
                ctx.forwarded = why;
                let errand = keeping.errand(ctx)?;
                self.fetch(ctx, errand, on_error).await
            }
        }
    }

    /// Whether a stale answer is served as it is, because its pool may take few more calls.
    fn is_stretched(&self, keeping: &Keeping<'_>, object: &Object, now: Now) -> bool {
        let pool = keeping.route.pool().filter(|pool| pool.budget.is_some());
        pool.is_some_and(|pool| {
            object.windows.is_stretched(self.state.calls.stretch(pool, now), now.wall)
        })
    }

    /// Answers what no upstream is asked.
    fn answer_itself(
        &self,
        session: &Session,
        ctx: &Ctx,
        route: &Route,
        endpoint: Endpoint,
    ) -> Result<Plan, Refusal> {
        let asked = endpoint::Asked {
            method: &session.req_header().method,
            callers: &ctx.callers,
            request_id: &ctx.request_id,
            now: ctx.started,
        };
        let tokens = ctx.snapshot.tokens.as_ref();
        let body = endpoint::answer(endpoint, &asked, tokens, route.status_form)?;
        if endpoint == Endpoint::Token && asked.method != Method::OPTIONS {
            self.state.metrics.auth.tokens_issued.inc();
        }
        Ok(Plan::Own(body))
    }

    /// Fetches an answer that is only wrapped, for this request alone.
    async fn collect(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        route: &Arc<Route>,
        host: &str,
    ) -> Result<Plan, Refusal> {
        let body = match ctx.body.take() {
            Some(body) => body,
            None => read_body(session, route.body_bytes_max, ctx.deadline_on(route)).await?,
        };
        let head = headers::fetch_head(session.req_header(), host).ok_or(Refusal::Internal)?;
        let bytes_max = route.envelope.map_or(0, |rule| rule.body_bytes_max);
        let exchanged = self.filler.exchange.run(head, body, ctx.dispatch(route), bytes_max).await;
        match exchanged {
            Err(refusal) => {
                // It may have changed something before it broke off.
                let own = ctx.change.as_ref().map(Change::own);
                own.into_iter().for_each(|own| self.state.store.invalidate(own, Now::read().wall));
                Err(refusal)
            }
            Ok(Exchanged::TooLarge(overflow)) => {
                self.invalidate(ctx, &overflow.head);
                Ok(Plan::Overflow(Box::new(overflow)))
            }
            Ok(Exchanged::Whole(whole)) => {
                self.invalidate(ctx, &whole.head);
                let head = session.req_header();
                let asked = Asked {
                    method: &head.method,
                    host,
                    uri: &head.uri,
                    headers: &head.headers,
                    is_authorized: false,
                    at: ctx.started.wall,
                };
                match answer::shape(route, asked, &whole.head, &whole.body, Now::read()) {
                    Outcome::Given(object)
                    | Outcome::Stored(object)
                    | Outcome::Personal(object)
                    | Outcome::Failed(object) => Ok(Plan::Collected(object)),
                    Outcome::Refused(refusal) => Err(refusal),
                    Outcome::TooLarge => Err(Refusal::Internal),
                }
            }
        }
    }

    /// What can be said of a request before its route is known.
    fn greet(&self, session: &mut Session, ctx: &mut Ctx) -> Result<(), Box<Refused>> {
        let snapshot = ctx.snapshot.clone();
        let head = session.req_header();
        let peer = session.client_addr().and_then(|address| address.as_inet());
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
        let client = snapshot.client_address(peer, &head.headers);
        ctx.client = Some(client);
        ctx.is_tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        ctx.shield = Some(admission::greet(&snapshot, &self.state, client, head)?);
        let refuse = |why: &'static str| {
            let refusal = Refusal::BadRequest(why.into());
            Err(Box::new(Refused::plain(refusal, snapshot.status_form)))
        };
        if !headers::names_a_path(head) {
            return refuse("The target of the request is not a path.");
        }
        let is_http1 = session.as_downstream().as_http1().is_some();
        if is_http1 && headers::has_two_lengths(&head.headers, &session.to_h1_raw()) {
            session.set_keepalive(None);
            return refuse("The request says twice how long its body is.");
        }
        Ok(())
    }

    async fn identify(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
    ) -> Result<Identified, Box<Refused>> {
        let located = admission::locate(&ctx.snapshot, session.req_header())?;
        ctx.route = Some(located.route.clone());
        check_length(session, &located)?;
        if located.needs_body(session.req_header()) {
            let body_bytes_max = signed_body_bytes_max(&located);
            if !located.route.collects() {
                session.enable_retry_buffering();
            }
            let deadline = ctx.deadline_on(&located.route);
            let body = read_body(session, body_bytes_max, deadline).await;
            let form = located.route.status_form;
            ctx.body = Some(body.map_err(|refusal| Box::new(Refused::plain(refusal, form)))?);
        }
        let arrival = arrival(session, ctx);
        admission::identify(&ctx.snapshot, &self.state, located, &arrival).await
    }

    async fn charge(
        &self,
        session: &Session,
        ctx: &Ctx,
        identified: Identified,
        is_hit: bool,
    ) -> Result<Admission, Box<Refused>> {
        let failures = ctx.snapshot.failures.as_ref();
        let arrival = arrival(session, ctx);
        admission::charge(&self.state, identified, &arrival, failures, is_hit).await
    }

    /// Serves a stale answer now, and has it refreshed.
    fn serve_stale(&self, ctx: &mut Ctx, object: Arc<Object>, errand: Errand) -> Plan {
        self.refresher.push(errand.in_background(Origin::Revalidation));
        pin(ctx, object, CacheResult::Stale)
    }

    /// Waits for the flight that fetches the answer; `on_error` is what a failure is answered with.
    async fn fetch(
        &self,
        ctx: &mut Ctx,
        errand: Errand,
        on_error: Option<Arc<Object>>,
    ) -> Result<Plan, Refusal> {
        let deadline = tokio::time::Instant::from_std(errand.dispatch.deadline);
        let obtained = tokio::time::timeout_at(deadline, self.filler.obtain(&errand)).await;
        let obtained = obtained.unwrap_or(Obtained {
            outcome: Outcome::Refused(Refusal::UpstreamTimeout),
            collapsed: false,
            remembered: false,
        });
        if let Some(object) = on_error.filter(|_| obtained.outcome.is_failure()) {
            return Ok(pin(ctx, object, CacheResult::StaleOnError));
        }
        ctx.cache = match (obtained.remembered, obtained.collapsed) {
            (true, _) => CacheResult::Remembered,
            (false, true) => CacheResult::Collapsed,
            (false, false) => CacheResult::Miss,
        };
        ctx.is_stored = matches!(obtained.outcome, Outcome::Stored(_));
        match obtained.outcome {
            Outcome::Stored(object)
            | Outcome::Given(object)
            | Outcome::Personal(object)
            | Outcome::Failed(object) => Ok(pin(ctx, object, ctx.cache)),
            Outcome::Refused(refusal) => Err(refusal),
            Outcome::TooLarge => Ok(Plan::Stream),
        }
    }
}

fn pin(ctx: &mut Ctx, object: Arc<Object>, result: CacheResult) -> Plan {
    if result.is_from_memory() {
        object.usage.hit();
    }
    ctx.pinned = Some(object);
    ctx.cache = result;
    Plan::Pinned
}

fn arrival<'a>(session: &'a Session, ctx: &'a Ctx) -> Arrival<'a> {
    Arrival {
        client: ctx.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        head: session.req_header(),
        body: ctx.body.as_deref().unwrap_or_default(),
        request_id: &ctx.request_id,
        now: ctx.started,
    }
}

/// A body that says that it is too long is refused before a byte of it is read.
fn check_length(session: &Session, located: &Located) -> Result<(), Box<Refused>> {
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
fn signed_body_bytes_max(located: &Located) -> usize {
    let body_bytes_max = located.route.body_bytes_max;
    if located.route.collects() {
        body_bytes_max
    } else {
        body_bytes_max.min(REPLAYED_BODY_BYTES_MAX)
    }
}

async fn read_body(
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
