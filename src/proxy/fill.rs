//! How does an answer come to be: fetched once, for all who want it?
//!
//! A cold miss, a refresh and a pre-warm are the same thing, a flight: one exchange with the
//! upstream, shaped by the route's rules, stored, and handed to all who wait. They differ in who
//! waits.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header;
use pingora::http::RequestHeader;
use prometheus::IntGauge;

use super::coder::Coder;
use super::errand::Errand;
use super::exchange::{Collected, Dispatch, Exchange, Exchanged, Origin};
use super::headers;
use super::landing::{fits, is_about_another, is_worth_remembering, settle};
use crate::cache::flight::{Boarding, Lead, Passenger};
use crate::cache::invalidation::Verdict;
use crate::cache::key::Key;
use crate::cache::object::Object;
use crate::cache::outcome::Outcome;
use crate::cache::{self, Lookup};
use crate::clock::Now;
use crate::metrics::observe;
use crate::refusal::Refusal;
use crate::state::State;

/// How often a request looks for an answer of its own after another's did not fit it.
const ROUNDS_MAX: usize = 3;

/// Fetches answers.
pub struct Filler {
    state: Arc<State>,
    /// Puts requests to upstreams.
    pub exchange: Exchange,
    /// Compresses what was stored.
    pub coder: Arc<Coder>,
}

/// An outcome, and whose work it was.
pub struct Obtained {
    /// How the fetch ended.
    pub outcome: Outcome,
    /// Whether another request's fetch is shared.
    pub collapsed: bool,
    /// Whether nothing was fetched at all, because the upstream failed a moment ago.
    pub remembered: bool,
}

impl Filler {
    /// A filler that is given its proxy later, through [`Exchange::attach`].
    #[must_use]
    pub fn new(state: Arc<State>) -> Self {
        let coder = Arc::new(Coder::new(state.clone()));
        Self { state, exchange: Exchange::default(), coder }
    }

    /// Gets the answer for a client: joins the flight that fetches it, or leads one.
    pub async fn obtain(self: &Arc<Self>, errand: &Errand) -> Obtained {
        for _ in 0..ROUNDS_MAX {
            let flight = self.flight_of(errand);
            let (outcome, remembered) = match self.state.flights.board(flight, now()) {
                Boarding::Lead(lead) => return self.lead(lead, errand).await,
                Boarding::Join(passenger) => (self.wait(passenger).await, false),
                Boarding::Known(outcome) => (Some(outcome), true),
                Boarding::Full => break,
            };
            match outcome {
                // A change came while it was on its way: it is nobody's who came after that.
                Some(outcome) if self.is_outdated(&outcome) => {}
                Some(outcome) if fits(&outcome, errand) => {
                    return Obtained { outcome, collapsed: !remembered, remembered };
                }
                // It is somebody else's, or for nobody who did not ask; so would the next one be.
                Some(Outcome::Personal(_)) => break,
                Some(Outcome::Stored(_)) if errand.policy.follows_upstream() => break,
                _ => {}
            }
            if let Lookup::Fresh(object) = self.lookup(errand) {
                let outcome = Outcome::Stored(object);
                return Obtained { outcome, collapsed: true, remembered: false };
            }
        }
        let outcome = self.fetch(errand).await;
        self.count(errand, &outcome);
        Obtained { outcome, collapsed: false, remembered: false }
    }

    /// Fetches a stored answer anew for nobody in particular, and says how that ended; nothing, if it
    /// is being fetched, or needs no fetch any more.
    pub async fn refresh(self: &Arc<Self>, errand: &Errand) -> Option<Outcome> {
        let Boarding::Lead(lead) = self.state.flights.board(self.flight_of(errand), now()) else {
            return None;
        };
        // Another refresh may have ended since this one was called for.
        if !self.is_due(errand) {
            return None;
        }
        Some(self.fly(lead, errand).await)
    }

    fn is_due(&self, errand: &Errand) -> bool {
        match (errand.dispatch.origin, self.lookup(errand)) {
            (Origin::Ahead, Lookup::Fresh(object)) => {
                object.windows.is_near_its_end(Now::read().wall)
            }
            (_, Lookup::Stale(object)) => object.refresh_after <= Now::read().wall,
            _ => false,
        }
    }

    /// Fetches an answer on schedule and says how that ended; waits if it is being fetched.
    pub async fn prewarm(self: &Arc<Self>, errand: &Errand) -> Outcome {
        // What is still on disk after a restart can be confirmed, and stands in for a failure.
        self.state.recall(&errand.key, Now::read()).await;
        for _ in 0..ROUNDS_MAX {
            let outcome = match self.state.flights.board(self.flight_of(errand), now()) {
                Boarding::Lead(lead) => return self.fly(lead, errand).await,
                Boarding::Join(passenger) => {
                    passenger.outcome().await.unwrap_or(Outcome::Refused(Refusal::UpstreamBroken))
                }
                Boarding::Known(outcome) => outcome,
                Boarding::Full => break,
            };
            // What was on its way when it was purged warms nothing.
            if !self.is_outdated(&outcome) {
                return outcome;
            }
        }
        let outcome = self.fetch(errand).await;
        self.count(errand, &outcome);
        outcome
    }

    /// Leads a flight, unless another one stored the answer between the look-up and now.
    async fn lead(self: &Arc<Self>, lead: Lead<Outcome>, errand: &Errand) -> Obtained {
        if let Lookup::Fresh(object) = self.lookup(errand) {
            let outcome = Outcome::Stored(object);
            lead.land(outcome.clone(), None);
            return Obtained { outcome, collapsed: true, remembered: false };
        }
        let outcome = self.take_off(lead, errand.clone()).await;
        Obtained { outcome, collapsed: false, remembered: false }
    }

    fn has_stand_in(&self, errand: &Errand) -> bool {
        let stored = self.state.store.select(&errand.key, &errand.head.headers);
        stored.is_some_and(|stored| {
            !stored.upstream_status.is_server_error()
                && Now::read().wall < stored.windows.error_until
        })
    }

    fn has_whole(&self, errand: &Errand) -> bool {
        let stored = self.state.store.select(&errand.key, &errand.head.headers);
        stored.is_some_and(|stored| {
            stored.head.status == http::StatusCode::OK
                && Now::read().wall < stored.windows.usable_until()
        })
    }

    /// The flight that fetches this answer. A credential that nobody verified might bring another one,
    /// so that those who have it share a flight of their own.
    pub(super) fn flight_of(&self, errand: &Errand) -> Key {
        let flight = self.state.store.flight_key(&errand.key, &errand.head.headers);
        match errand.head.headers.get(header::AUTHORIZATION).filter(|_| errand.is_authorized) {
            Some(credential) => flight.variant(credential.as_bytes()),
            None => flight,
        }
    }

    /// Whether a change came while the answer was on its way.
    fn is_outdated(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Stored(object) | Outcome::Given(object) | Outcome::Personal(object) => {
                self.state.store.invalidations().verdict(object) != Verdict::Holds
            }
            _ => false,
        }
    }

    fn lookup(&self, errand: &Errand) -> Lookup {
        let Errand { key, policy, head, .. } = errand;
        cache::lookup(self.state.store, policy, key, &head.headers, Now::read())
    }

    /// Leads a flight that lasts even if the client that caused it leaves.
    async fn take_off(self: &Arc<Self>, lead: Lead<Outcome>, errand: Errand) -> Outcome {
        let passenger = lead.passenger();
        let filler = self.clone();
        tokio::spawn(async move {
            filler.fly(lead, &errand).await;
        });
        self.wait(passenger).await.unwrap_or(Outcome::Refused(Refusal::Internal))
    }

    /// Waits for a client, which is seen to wait until then, or until it leaves.
    async fn wait(&self, passenger: Passenger<Outcome>) -> Option<Outcome> {
        let _waiter = Waiter::count(&self.state.metrics.cache.fill_waiters);
        passenger.outcome().await
    }

    async fn fly(&self, lead: Lead<Outcome>, errand: &Errand) -> Outcome {
        let outcome = match self.fetch(errand).await {
            // What may stand in for a failure is not replaced by one.
            Outcome::Stored(object)
                if object.upstream_status.is_server_error() && self.has_stand_in(errand) =>
            {
                Outcome::Failed(object)
            }
            // Nor is the whole by a part.
            Outcome::Stored(object)
                if object.head.status == http::StatusCode::PARTIAL_CONTENT
                    && self.has_whole(errand) =>
            {
                Outcome::Given(object)
            }
            Outcome::Stored(object) if !self.store(errand, object.clone()) => {
                Outcome::Given(object)
            }
            outcome => outcome,
        };
        if !matches!(outcome, Outcome::Stored(_)) {
            self.leave_alone(errand);
        }
        self.count(errand, &outcome);
        let known_until = is_worth_remembering(&outcome).then(|| now() + errand.policy.error_for);
        lead.land(outcome.clone(), known_until);
        if matches!(outcome, Outcome::Stored(_))
            && let Some(stored) = self.state.store.peek(&errand.key, &errand.head.headers)
        {
            self.coder.push(&errand.policy, &errand.key, &stored);
        }
        outcome
    }

    fn store(&self, errand: &Errand, object: Arc<Object>) -> bool {
        match errand.dispatch.origin {
            Origin::Prewarm => self.state.store.put_wanted(&errand.key, object),
            Origin::Client | Origin::Revalidation | Origin::Ahead => {
                self.state.store.put(&errand.key, object)
            }
        }
    }

    /// What is stored stays as it is, and is not refreshed by the next client again.
    fn leave_alone(&self, errand: &Errand) {
        if let Some(stored) = self.state.store.select(&errand.key, &errand.head.headers) {
            let refresh_after = Now::read().wall + errand.policy.error_for;
            self.state.store.leave_alone(&errand.key, &stored, refresh_after);
        }
    }

    async fn fetch(&self, errand: &Errand) -> Outcome {
        let began = Now::read();
        let route = &errand.dispatch.route;
        let stored = self.state.store.select(&errand.key, &errand.head.headers);
        let mut head = RequestHeader::clone(&errand.head);
        // A 304 says that an answer still holds; that nothing was there cannot hold.
        let stored = stored.filter(|stored| stored.head.status == http::StatusCode::OK);
        if let Some(stored) = &stored {
            headers::make_conditional(&mut head, &stored.validators);
        }
        let bytes_max = route
            .envelope
            .map_or(0, |rule| rule.body_bytes_max)
            .max(errand.policy.object_bytes_max);
        let ask = |head| self.exchange.run(head, Bytes::new(), errand.dispatch.clone(), bytes_max);
        let exchanged = match ask(head).await {
            // It confirms another answer than the one that is kept (RFC 9111, section 4.3.4).
            Ok(Exchanged::Whole(Collected { head, .. }))
                if stored.as_ref().is_some_and(|stored| is_about_another(&head, stored)) =>
            {
                ask(RequestHeader::clone(&errand.head)).await
            }
            exchanged => exchanged,
        };
        let outcome = settle(errand, exchanged, stored.as_deref(), began);
        let metrics = &self.state.metrics;
        observe(
            &metrics.cache.fill_seconds.with_label_values(&[&route.name]),
            now().saturating_duration_since(began.instant),
        );
        outcome
    }

    fn count(&self, errand: &Errand, outcome: &Outcome) {
        let Dispatch { route, origin, .. } = &errand.dispatch;
        let labels = [route.name.as_str(), origin.as_str(), outcome.as_str()];
        self.state.metrics.cache.fills.with_label_values(&labels).inc();
    }
}

/// A client that waits for a fetch.
struct Waiter<'a> {
    waiters: &'a IntGauge,
}

impl<'a> Waiter<'a> {
    fn count(waiters: &'a IntGauge) -> Self {
        waiters.inc();
        Self { waiters }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiters.dec();
    }
}

fn now() -> Instant {
    Now::read().instant
}
