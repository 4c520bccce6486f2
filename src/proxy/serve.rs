//! What happens to a client's request: admitted, and then?
//!
//! The order of questions, each answered by one module: is the head acceptable, may the address
//! come in, which route, who is calling and how often, and at last where the answer comes from.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use http::{HeaderMap, Method, header};
use pingora_proxy::Session;
use tokio::sync::mpsc;

use super::GatewayProxy;
use super::body::{check_length, read_body, signed_body_bytes_max};
use super::changes::Change;
use super::ctx::{CacheResult, Ctx};
use super::errand::{Errand, Keeping, Wanted, wanted};
use super::exchange::{Dispatch, Exchanged, Origin, Overflow};
use super::fill::Obtained;
use super::headers;
use super::interim::{INTERIM_MAX, pass_on};
use super::missed::Missed;
use crate::admission::{self, Admission, Arrival, Identified, Refused};
use crate::answer::{self, Asked};
use crate::cache::object::Object;
use crate::cache::outcome::Outcome;
use crate::cache::{self, Forwarded, Lookup};
use crate::clock::Now;
use crate::endpoint;
use crate::refusal::Refusal;
use crate::route::{Endpoint, Route, Target};

/// What is to do for a request whose answer may be kept.
enum Next {
    /// Nothing more.
    Planned(Plan),
    /// This is fetched; the object answers if that fails.
    Fetch(Box<Errand>, Option<Arc<Object>>),
}

/// Where the answer to an admitted request comes from.
pub(super) enum Plan {
    /// It is in `Ctx::pinned`; Pingora's cache serves it.
    Pinned,
    /// It was collected for this request.
    Collected(Arc<Object>),
    /// It is too long to collect.
    Overflow(Box<Overflow>),
    /// It is this, and no upstream is asked.
    Own(endpoint::Content),
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
        let found = match &wanted {
            Some(wanted) => Some(self.look_up(wanted, &head.headers, ctx.started).await),
            None => None,
        };
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
        match self.answer_kept(ctx, keeping, found) {
            Ok(Next::Planned(plan)) => Ok(plan),
            Ok(Next::Fetch(errand, on_error)) => {
                self.fetch(session, ctx, *errand, on_error).await.map_err(refuse)
            }
            Err(refusal) => Err(refuse(refusal)),
        }
    }

    /// Looks in memory, then on the disk.
    async fn look_up(&self, wanted: &Wanted, asked: &HeaderMap, now: Now) -> Lookup {
        let Wanted { policy, key, .. } = wanted;
        let look = || cache::lookup(self.state.store, policy, key, asked, now);
        let tier_hits = |tier| self.state.metrics.cache.tier_hits.with_label_values(&[tier]);
        match look() {
            Lookup::Miss { why: Forwarded::UriMiss, .. } if self.state.recall(key, now).await => {
                let found = look();
                if matches!(found, Lookup::Fresh(_) | Lookup::Stale(_)) {
                    tier_hits("disk").inc();
                }
                found
            }
            found => {
                if matches!(found, Lookup::Fresh(_) | Lookup::Stale(_)) {
                    tier_hits("memory").inc();
                }
                found
            }
        }
    }

    /// Answers from what is kept, or says what to fetch.
    fn answer_kept(
        &self,
        ctx: &mut Ctx,
        keeping: Keeping<'_>,
        found: Lookup,
    ) -> Result<Next, Refusal> {
        match found {
            Lookup::Fresh(object) => {
                if keeping.wanted.policy.refresh_ahead {
                    self.ahead.watch(&object, || keeping.errand(ctx).ok());
                }
                let Wanted { policy, key, .. } = &keeping.wanted;
                self.filler.coder.push(policy, key, &object);
                Ok(Next::Planned(pin(ctx, object, CacheResult::Hit)))
            }
            Lookup::Stale(object)
            | Lookup::Miss { why: Forwarded::Stale, on_error: Some(object) }
                if self.is_stretched(&keeping, &object, ctx.started) =>
            {
                Ok(Next::Planned(pin(ctx, object, CacheResult::Stretched)))
            }
            Lookup::Stale(object) if object.refresh_after > ctx.started.wall => {
                Ok(Next::Planned(pin(ctx, object, CacheResult::Stale)))
            }
            Lookup::Stale(object) => {
                let errand = keeping.errand(ctx)?;
                Ok(Next::Planned(self.serve_stale(ctx, object, errand)))
            }
            Lookup::Miss { .. } if keeping.takes_only_what_is_kept() => Err(Refusal::NotCached),
            Lookup::Miss { why, on_error } => {
                ctx.forwarded = why;
                Ok(Next::Fetch(Box::new(keeping.errand(ctx)?), on_error))
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
        let material = endpoint::Material {
            tokens: ctx.snapshot.tokens.as_ref(),
            catalog: &ctx.snapshot.api_catalog,
            form: route.status_form,
        };
        let content = endpoint::answer(endpoint, &asked, material)?;
        if endpoint == Endpoint::Token && asked.method != Method::OPTIONS {
            self.state.metrics.auth.tokens_issued.inc();
        }
        Ok(Plan::Own(content))
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
        let (interim, mut told) = mpsc::channel(INTERIM_MAX);
        let dispatch = Dispatch { interim: Some(interim), ..ctx.dispatch(route) };
        let exchanging = self.filler.exchange.run(head, body, dispatch, bytes_max);
        let exchanged = pass_on(session, &mut told, exchanging).await;
        match exchanged {
            Err(refusal) => {
                // It may have changed something before it broke off.
                let own = ctx.change.as_ref().map(Change::own);
                self.state.purges.change(own, Now::read()).await;
                Err(refusal)
            }
            Ok(Exchanged::TooLarge(overflow)) => {
                self.invalidate(ctx, &overflow.head).await;
                Ok(Plan::Overflow(Box::new(overflow)))
            }
            Ok(Exchanged::Whole(whole)) => {
                self.invalidate(ctx, &whole.head).await;
                let head = session.req_header();
                let asked = Asked {
                    method: &head.method,
                    host,
                    uri: &head.uri,
                    headers: &head.headers,
                    wants_part: false,
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
        session: &mut Session,
        ctx: &mut Ctx,
        mut errand: Errand,
        on_error: Option<Arc<Object>>,
    ) -> Result<Plan, Refusal> {
        let missed = Missed::of(&self.state, &errand, ctx.forwarded, ctx.started.wall);
        let deadline = tokio::time::Instant::from_std(errand.dispatch.deadline);
        let (interim, mut told) = mpsc::channel(INTERIM_MAX);
        errand.dispatch.interim = Some(interim);
        let obtaining = self.filler.obtain(&errand);
        let obtaining = tokio::time::timeout_at(deadline, pass_on(session, &mut told, obtaining));
        let obtained = obtaining.await.unwrap_or(Obtained {
            outcome: Outcome::Refused(Refusal::UpstreamTimeout),
            collapsed: false,
            remembered: false,
        });
        missed.ended(&self.state, obtained.outcome.as_str());
        // It may have been purged meanwhile.
        let on_error = on_error.filter(|object| !self.state.store.is_invalid(object));
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
            | Outcome::Failed(object) => {
                let asked = &session.req_header().headers;
                if object.cut(asked).is_none() && asked.contains_key(header::RANGE) {
                    // The upstream gave another part than the client asks for: it may ask by itself.
                    return Ok(Plan::Stream);
                }
                Ok(pin(ctx, object, ctx.cache))
            }
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
