//! Who is calling, and may they?

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::charge::Failure;
use super::{Arrival, Located, Refused};
use crate::auth::{
    ApiKeyTable, AuthError, JwtVerifier, KeyError, Principal, Scheme, Token, TokenError, Verified,
    Witness,
};
use crate::clock::Now;
use crate::ratelimit::{RetryAfter, network};
use crate::refusal::Refusal;
use crate::route::{Limit, Route};
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::state::keys::{FailureGuard, FailureToken, Flow};

/// A request whose caller is known and may do what it asks.
#[derive(Debug)]
pub struct Identified {
    /// Its route.
    pub route: Arc<Route>,
    /// The host that the route took.
    pub host: String,
    /// Everybody whose credential was verified, the first of the fixed order first.
    pub callers: Arc<[Principal]>,
    /// What the bearer token says, where there is one.
    pub token: Option<Arc<Token>>,
    /// The methods of the path, when it takes others than this.
    pub(super) other_methods: Option<String>,
}

impl Identified {
    /// All callers as one text: what must not be shared is kept apart by it.
    #[must_use]
    pub fn identity(&self) -> String {
        let keys: Vec<String> = self.callers.iter().map(Principal::identity_key).collect();
        keys.join("\n\n")
    }
}

/// Tells who is calling a located request, and whether they may. The nonce of a signed request is
/// spent here, and nowhere else.
///
/// # Errors
///
/// The refusal, with everything that its answer carries.
pub async fn identify(
    snapshot: &Snapshot,
    state: &State,
    located: Located,
    arrival: &Arrival<'_>,
) -> Result<Identified, Box<Refused>> {
    let Located { route, host, other_methods } = located;
    let failures = snapshot.failures.as_ref();
    let verified = match verify(state, &route, arrival, failures).await {
        Ok(verified) => verified,
        Err(error) => return Err(refuse(state, &route, arrival, failures, &error).await),
    };
    let callers: Arc<[Principal]> =
        std::iter::once(verified.principal).chain(verified.also).collect();
    for caller in &*callers {
        state.metrics.auth.accepted(caller.scheme.as_str());
    }
    let identified = Identified { route, host, callers, token: verified.token, other_methods };
    authorize(&identified, arrival)?;
    Ok(identified)
}

async fn verify(
    state: &State,
    route: &Route,
    arrival: &Arrival<'_>,
    failures: Option<&Arc<Limit>>,
) -> Result<Verified, AuthError> {
    let witness = Asking { state, failures, client: arrival.client, now: arrival.now };
    let verified =
        route.authenticator.authenticate(&witness, arrival.head, arrival.body, arrival.now).await?;
    if let Some(nonce) = &verified.nonce {
        state.nonces.claim(nonce, arrival.now).await?;
    }
    Ok(verified)
}

/// What the process remembers of credentials, asked for one request.
struct Asking<'a> {
    state: &'a State,
    failures: Option<&'a Arc<Limit>>,
    client: IpAddr,
    now: Now,
}

impl Witness for Asking<'_> {
    async fn token(
        &self,
        verifier: &JwtVerifier,
        token: &[u8],
        now: Now,
    ) -> Result<Arc<Token>, TokenError> {
        let is_revoked = |token: &Token| self.state.is_revoked(token);
        self.state.tokens.verify(verifier, token, now, is_revoked).await
    }

    async fn api_key(
        &self,
        table: &ApiKeyTable,
        key: &[u8],
        now: Now,
    ) -> Result<Principal, KeyError> {
        self.state.keys.verify(Some(table), key, &self, now).await
    }
}

/// A wrong key costs its address a failure, which is taken before the key can cost anything.
impl FailureGuard for &Asking<'_> {
    type Token = Option<Failure>;

    async fn reserve(&self) -> Result<Self::Token, Duration> {
        let Some(limit) = self.failures else { return Ok(None) };
        let taken = Failure::take(self.state, limit, self.client, self.now).await;
        taken.map_err(|RetryAfter(retry_after)| retry_after)
    }

    fn flow(&self) -> Flow {
        network(self.client)
    }
}

impl FailureToken for Option<Failure> {
    async fn give_back(self) {
        if let Some(failure) = self {
            failure.give_back().await;
        }
    }
}

/// The refusal of a credential that does not hold. It counts as a failure of the client's address;
/// an address with too many of them is not told any more what is wrong. A client whose credentials
/// hold never gets here, whoever else shares its address.
async fn refuse(
    state: &State,
    route: &Arc<Route>,
    arrival: &Arrival<'_>,
    failures: Option<&Arc<Limit>>,
    error: &AuthError,
) -> Box<Refused> {
    note(state, arrival, error);
    let reason = Some(error.to_string().into());
    let stopped = match (error, failures) {
        (AuthError::Key(KeyError::TooManyFailures { retry_after }), Some(limit)) => {
            Some((limit, RetryAfter(*retry_after)))
        }
        (error, Some(limit)) if error.is_failure() => {
            let taken = Failure::take(state, limit, arrival.client, arrival.now).await;
            taken.err().map(|retry_after| (limit, retry_after))
        }
        _ => None,
    };
    if let Some((limit, retry_after)) = stopped {
        state.metrics.auth.failures_limited.inc();
        let refusal = Refusal::FailuresLimited { retry_after: retry_after.0 };
        let limited = Some((limit.clone(), retry_after));
        return Box::new(Refused { limited, reason, ..Refused::by(route, refusal) });
    }
    let refusal = match error {
        AuthError::Token(TokenError::NoSubject) if route.integration => {
            Refusal::TokenClaimMissing("subject")
        }
        error => Refusal::from(error),
    };
    Box::new(Refused { reason, ..Refused::by(route, refusal) })
}

/// Counts a credential that does not hold, and writes the line that the operator's log queries look
/// for; that one held, or was missing, is in the access line.
fn note(state: &State, arrival: &Arrival<'_>, error: &AuthError) {
    let field = |name: &str| {
        let value = arrival.head.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    let (request_id, remote_addr) = (arrival.request_id, arrival.client);
    match error {
        AuthError::Missing => {}
        AuthError::Key(reason) if !reason.is_clients_fault() => {
            tracing::warn!(request_id, %remote_addr, %reason, "api_key.auth.unavailable");
        }
        AuthError::Key(reason) => {
            state.metrics.auth.refused(Scheme::ApiKey.as_str());
            tracing::info!(request_id, %remote_addr, %reason, "api_key.auth.failure");
        }
        AuthError::Signature(reason) => {
            state.metrics.auth.refused(Scheme::Signature.as_str());
            let path = cut(arrival.head.uri.path());
            let method = cut(arrival.head.method.as_str());
            let (alias, user_agent) = (field("x-client-id"), cut(field("user-agent")));
            let client_id = Some(field("x-nc-client-id")).filter(|id| !id.is_empty());
            let (code, client_id) = (reason.code(), cut(client_id.unwrap_or(alias)));
            tracing::info!(
                code, path, method, request_id, client_id, %remote_addr, user_agent, %reason,
                "nextcloud_hmac.denied"
            );
        }
        AuthError::BearerMalformed | AuthError::BearerRepeated | AuthError::Token(_) => {
            state.metrics.auth.refused(Scheme::Jwt.as_str());
        }
        AuthError::NonceMemoryFull { .. } | AuthError::NoncesUnavailable { .. } => {}
    }
}

/// The beginning of what a client wrote: a line of log has a bound.
fn cut(text: &str) -> &str {
    const SHOWN_BYTES_MAX: usize = 256;
    let end = (0..=SHOWN_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// Whether a caller who is known may do this.
fn authorize(identified: &Identified, arrival: &Arrival<'_>) -> Result<(), Box<Refused>> {
    let route = &identified.route;
    let refuse = |refusal| Err(Box::new(Refused::by(route, refusal)));
    if route.integration && identified.token.as_ref().is_some_and(|token| !token.has_scope_claim())
    {
        return refuse(Refusal::TokenClaimMissing("scope"));
    }
    for rule in &route.scopes {
        if !rule.holds(&arrival.head.method, identified.callers.iter()) {
            return refuse(Refusal::ScopeMissing(rule.any.clone()));
        }
    }
    Ok(())
}
