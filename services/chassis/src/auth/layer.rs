//! What happens to a request on its way to its handler?

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::gate::Auth;
use super::refusal::Refusal;
use crate::access::Caller;
use crate::clock::Now;

/// Lets a request in whose credential holds and reaches far enough, with its
/// [`Principal`](super::Principal) as an extension.
pub(crate) async fn admit(State(auth): State<Auth>, mut request: Request, next: Next) -> Response {
    let Some(gate) = auth.gate_of(request.uri().path()) else { return next.run(request).await };
    let template = request.extensions().get::<MatchedPath>();
    let need = auth.need(request.method(), template.map(MatchedPath::as_str));
    let (scheme, outcome) = gate.identify(request.headers(), Now::read()).await;
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
    let outcome = outcome.and_then(|principal| {
        caller.tell_client(principal.client_id.clone());
        if principal.may(need) { Ok(principal) } else { Err(Refusal::Scope(need)) }
    });
    gate.metrics.count(scheme, outcome.as_ref().err().map(|refusal| refusal.outcome()));
    match outcome {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(refusal) => {
            caller.tell_refusal(refusal.to_string());
            refusal.into_response()
        }
    }
}
