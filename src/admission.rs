//! May this request go on?
//!
//! The one decision of the edge, without a socket and without a Pingora session: first [`locate`]
//! the route, which says whether the body is needed, then [`admit`] the request.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;

use crate::auth::{AuthError, NonceError, Principal, Scheme};
use crate::clock::Now;
use crate::envelope::StatusForm;
use crate::ratelimit::{Quota, Remaining, RetryAfter};
use crate::refusal::Refusal;
use crate::route::{Match, Route, canonical_path};
use crate::snapshot::Snapshot;
use crate::state::State;

/// A request that has arrived, as far as the decision needs it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The request's head.
    pub head: &'a Parts,
    /// The whole body where [`Located::needs_body`] says so, else nothing.
    pub body: &'a [u8],
    /// When it arrived.
    pub now: Now,
}

/// A request whose route is known.
#[derive(Clone, Debug)]
pub struct Located {
    /// The route.
    pub route: Arc<Route>,
    /// The host that the route took, lower case, without port.
    pub host: String,
    /// The methods of the path, when it takes others than this.
    other_methods: Option<String>,
}

/// A request that may go on.
#[derive(Debug)]
pub struct Admission {
    /// Its route.
    pub route: Arc<Route>,
    /// The host that the route took.
    pub host: String,
    /// Who is calling.
    pub principal: Principal,
    /// What is left of the principal's quota.
    pub charged: Option<Charged>,
}

/// A charge to a quota.
#[derive(Debug)]
pub struct Charged {
    /// The quota's name.
    pub name: String,
    /// What it allows.
    pub quota: Quota,
    /// What is left.
    pub remaining: Remaining,
}

/// A request that may not go on.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What the client is told.
    pub refusal: Refusal,
    /// In which form.
    pub status_form: StatusForm,
    /// Name of the route, when one was found.
    pub route: Option<Arc<Route>>,
    /// `WWW-Authenticate`, where a credential would help.
    pub challenge: Option<&'static str>,
    /// The quota that is used up.
    pub limited: Option<(String, Quota, RetryAfter)>,
    /// What only the log is told.
    pub reason: Option<Cow<'static, str>>,
}

impl Refused {
    /// A refusal without anything that belongs to a route.
    #[must_use]
    pub fn plain(refusal: Refusal, status_form: StatusForm) -> Self {
        Self { refusal, status_form, route: None, challenge: None, limited: None, reason: None }
    }

    fn by(route: &Arc<Route>, refusal: Refusal) -> Self {
        let challenge = route.authenticator.challenge(&refusal);
        let plain = Self::plain(refusal, route.status_form);
        Self { route: Some(route.clone()), challenge, ..plain }
    }
}

impl Located {
    /// Whether [`admit`] needs the request's body: its signature covers it.
    #[must_use]
    pub fn needs_body(&self, head: &Parts) -> bool {
        self.route.authenticator.needs_body(head)
    }
}

/// Finds the route of a request.
///
/// # Errors
///
/// A refusal when host or path cannot be read or no route takes them. A wrong method is not
/// refused here: who may not call at all is not told which methods there are.
pub fn locate(snapshot: &Snapshot, head: &Parts) -> Result<Located, Box<Refused>> {
    let refuse = |refusal| Box::new(Refused::plain(refusal, snapshot.status_form));
    let Some(host) = host_of(head) else {
        let why = "The Host header is missing or malformed.".into();
        return Err(refuse(Refusal::BadRequest(why)));
    };
    let Some(path) = canonical_path(head.uri.path()) else {
        let why = "The path can be read in two ways; send it without dots and odd escapes.".into();
        return Err(refuse(Refusal::BadRequest(why)));
    };
    match snapshot.routes.find(&host, &path, &head.method) {
        Match::Found(route) => Ok(Located { route, host, other_methods: None }),
        Match::OtherMethods { route, allow } => {
            Ok(Located { route, host, other_methods: Some(allow) })
        }
        Match::Nothing => Err(refuse(Refusal::NoRoute)),
    }
}

/// Decides whether a located request may go on: who is calling, may they, how often, and with this
/// method. A request that is refused is not charged.
///
/// # Errors
///
/// The refusal, with everything that its answer carries.
pub fn admit(
    state: &State,
    located: Located,
    arrival: &Arrival<'_>,
) -> Result<Admission, Box<Refused>> {
    let Located { route, host, other_methods } = located;
    let principal = identify(state, &route, arrival)?;
    if let Some(scope) = &route.scope
        && !principal.has_scope(scope)
    {
        return Err(Box::new(Refused::by(&route, Refusal::ScopeMissing(scope.clone()))));
    }
    let charged = charge(state, &route, &principal, arrival)?;
    if let Some(allow) = other_methods {
        refund(state, &principal, charged, arrival.client);
        let method = arrival.head.method.as_str().to_owned();
        return Err(Box::new(Refused::by(&route, Refusal::MethodNotAllowed { method, allow })));
    }
    Ok(Admission { route, host, principal, charged })
}

fn identify(
    state: &State,
    route: &Arc<Route>,
    arrival: &Arrival<'_>,
) -> Result<Principal, Box<Refused>> {
    let refuse = |error: &AuthError| {
        let reason = Some(error.to_string().into());
        Box::new(Refused { reason, ..Refused::by(route, Refusal::from(error)) })
    };
    let verified = route
        .authenticator
        .authenticate(arrival.head, arrival.body, arrival.now)
        .map_err(|error| refuse(&error))?;
    if let Some(nonce) = &verified.nonce {
        let claimed = state.nonces.claim(nonce, arrival.now);
        claimed.map_err(|error: NonceError| refuse(&error.into()))?;
    }
    Ok(verified.principal)
}

fn charge(
    state: &State,
    route: &Arc<Route>,
    principal: &Principal,
    arrival: &Arrival<'_>,
) -> Result<Option<Charged>, Box<Refused>> {
    let Some(limit) = &route.limit else { return Ok(None) };
    let who = counted_as(principal, arrival.client);
    match state.buckets.charge(&limit.name, limit.quota, &who, arrival.now) {
        Ok(remaining) => {
            Ok(Some(Charged { name: limit.name.clone(), quota: limit.quota, remaining }))
        }
        Err(retry) => {
            let limited = Some((limit.name.clone(), limit.quota, retry));
            let refused = Refused::by(route, Refusal::QuotaExceeded { retry_after: retry.0 });
            Err(Box::new(Refused { limited, ..refused }))
        }
    }
}

fn refund(state: &State, principal: &Principal, charged: Option<Charged>, client: IpAddr) {
    if let Some(Charged { name, quota, remaining }) = charged {
        state.buckets.refund(&name, quota, &counted_as(principal, client), remaining);
    }
}

/// Whoever has no name is counted by address.
fn counted_as(principal: &Principal, client: IpAddr) -> String {
    match principal.scheme {
        Scheme::Anonymous => format!("address:{client}"),
        Scheme::Jwt | Scheme::ApiKey | Scheme::Signature => principal.quota_key(),
    }
}

/// The host that a request names, lower case and without port: from the target when that has one
/// (HTTP/2's `:authority`), else from `Host`.
fn host_of(head: &Parts) -> Option<String> {
    let named = match head.uri.authority() {
        Some(authority) => authority.clone(),
        None => {
            let mut fields = head.headers.get_all(http::header::HOST).iter();
            let value = fields.next()?;
            if fields.next().is_some() {
                return None;
            }
            value.to_str().ok()?.parse::<http::uri::Authority>().ok()?
        }
    };
    if named.as_str().contains('@') || named.host().is_empty() {
        return None;
    }
    Some(named.host().to_ascii_lowercase())
}
