//! May this address come in at all?
//!
//! Estimates over `pingora_limits`, in constant memory however many addresses call. Its sketches
//! can count an address too high when it shares cells with others, never too low: enough to turn a
//! flood away, and not a promise to anyone. What a principal was promised is in
//! [`Buckets`](super::Buckets).
//!
//! `pingora_limits::rate::Rate` has three traits that stay in this file:
//!
//! * It reads its own clock, so it cannot be told the time. Tests use an interval that outlasts
//!   them.
//! * It reads that clock before it loads the time of its last reset, without a lock. When another
//!   thread resets in between, the difference wraps: a panic with overflow checks, without them a
//!   sketch emptied too early. Each sketch is therefore behind a lock, which also makes looking and
//!   counting one step.
//! * It counts what it is shown. Here it is shown accepted requests only, so a client over the
//!   rate is held to the rate and not shut out.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pingora_limits::inflight::{Guard, Inflight};
use pingora_limits::rate::{Rate, RateComponents};

use crate::refusal::Refusal;

/// Rate sketches, and locks, that share the addresses between them. A sketch is two tables of
/// 4 x 1,024 counters: 64 KiB, 1 MiB in all.
const SHARDS: usize = 16;

/// How long the rate looks back.
const INTERVAL: Duration = Duration::from_secs(1);

/// When a refused address may try again. The estimates look back no further.
const RETRY_AFTER: Duration = INTERVAL;

/// What one address may do. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShieldLimits {
    /// The most requests per second.
    pub requests_per_second_max: Option<u32>,
    /// The most requests that are being answered at one time.
    pub in_flight_max: Option<u32>,
}

/// Why an address was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShieldRefusal {
    /// It sends more requests per second than an address may.
    #[error("the address sends too many requests per second")]
    Rate,
    /// It has as many unanswered requests as an address may.
    #[error("the address has too many requests in flight")]
    InFlight,
}

impl From<ShieldRefusal> for Refusal {
    /// Both look the same to the client; the difference is for metrics and the log.
    fn from(_: ShieldRefusal) -> Self {
        Self::AddressLimited { retry_after: RETRY_AFTER }
    }
}

/// One admitted request. Dropping it takes the request out of its address's in-flight count.
#[derive(Debug)]
#[must_use = "the request counts as in flight until this is dropped"]
pub struct InFlight(#[expect(dead_code, reason = "held for its Drop")] Option<Guard>);

/// The estimates of all addresses, for the life of the process.
pub struct Shield {
    rates: [Mutex<Rate>; SHARDS],
    interval: Duration,
    in_flight: Inflight,
    hasher: RandomState,
}

impl Shield {
    /// A shield that has seen nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::with_interval(INTERVAL)
    }

    fn with_interval(interval: Duration) -> Self {
        Self {
            rates: std::array::from_fn(|_| Mutex::new(Rate::new(interval))),
            interval,
            in_flight: Inflight::new(),
            hasher: RandomState::new(),
        }
    }

    /// Admits one request from `address`, or turns it away without counting it.
    ///
    /// An IPv6 client owns a whole /64, so its addresses count as one.
    ///
    /// # Errors
    /// [`ShieldRefusal`] when the address is over either limit.
    pub fn admit(&self, limits: ShieldLimits, address: IpAddr) -> Result<InFlight, ShieldRefusal> {
        let network = network(address);
        let guard = match limits.in_flight_max {
            Some(in_flight_max) => Some(self.enter(network, in_flight_max)?),
            None => None,
        };
        if let Some(requests_per_second_max) = limits.requests_per_second_max {
            self.count(network, requests_per_second_max)?;
        }
        Ok(InFlight(guard))
    }

    fn enter(&self, network: u128, in_flight_max: u32) -> Result<Guard, ShieldRefusal> {
        let (guard, in_flight) = self.in_flight.incr(network, 1);
        // A refused guard is dropped here and takes its count along.
        if exceeds(in_flight, in_flight_max) { Err(ShieldRefusal::InFlight) } else { Ok(guard) }
    }

    #[expect(clippy::indexing_slicing, reason = "a remainder of SHARDS is below SHARDS")]
    fn count(&self, network: u128, requests_per_second_max: u32) -> Result<(), ShieldRefusal> {
        let shard = &self.rates[self.hasher.hash_one(network) as usize % SHARDS];
        let rate = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let requests_max = f64::from(requests_per_second_max) * self.interval.as_secs_f64();
        if rate.rate_with(&network, requests_in_interval) + 1.0 > requests_max {
            return Err(ShieldRefusal::Rate);
        }
        rate.observe(&network, 1);
        Ok(())
    }
}

impl Default for Shield {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Shield {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shield").field("interval", &self.interval).finish_non_exhaustive()
    }
}

/// The estimated requests of the last interval: this interval's, and the part of the previous
/// interval's that a sliding window would still cover if they had come evenly.
fn requests_in_interval(rate: RateComponents) -> f64 {
    let previous = rate.prev_samples as f64 * (1.0 - rate.current_interval_fraction);
    previous + rate.curr_samples as f64
}

fn exceeds(count: isize, max: u32) -> bool {
    usize::try_from(count).is_ok_and(|count| count > max as usize)
}

/// The network that counts as one client: an IPv4 address, or an IPv6 /64.
#[must_use]
pub fn network(address: IpAddr) -> u128 {
    const V6_NETWORK_BITS: u32 = 64;
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        // The host bits go; what is left cannot equal an IPv4 address but for ::/64 itself, which
        // no client has.
        IpAddr::V6(v6) => v6.to_bits() >> V6_NETWORK_BITS << V6_NETWORK_BITS,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    /// A shield whose interval outlasts the test; 1 per second is then 1,000 in the interval.
    fn shield() -> Shield {
        Shield::with_interval(Duration::from_secs(1_000))
    }

    fn rate(requests_per_second_max: u32) -> ShieldLimits {
        ShieldLimits {
            requests_per_second_max: Some(requests_per_second_max),
            ..ShieldLimits::default()
        }
    }

    fn in_flight(in_flight_max: u32) -> ShieldLimits {
        ShieldLimits { in_flight_max: Some(in_flight_max), ..ShieldLimits::default() }
    }

    #[test]
    fn address_over_its_rate_is_turned_away_alone() {
        let shield = shield();
        for _ in 0..1_000 {
            assert!(shield.admit(rate(1), HERE).is_ok());
        }
        assert_eq!(shield.admit(rate(1), HERE).unwrap_err(), ShieldRefusal::Rate);
        assert!(shield.admit(rate(1), THERE).is_ok());
    }

    #[test]
    fn refused_requests_do_not_count() {
        let shield = shield();
        let admitted = (0..1_500).filter(|_| shield.admit(rate(1), HERE).is_ok()).count();
        assert_eq!(admitted, 1_000);
        // Had the refused 500 been counted, a limit of 1,500 would refuse at once.
        for _ in 0..1_000 {
            assert!(shield.admit(rate(2), HERE).is_ok());
        }
        assert!(shield.admit(rate(2), HERE).is_err());
    }

    #[test]
    fn request_leaves_the_count_when_its_guard_drops() {
        let shield = shield();
        let first = shield.admit(in_flight(2), HERE).unwrap();
        let _second = shield.admit(in_flight(2), HERE).unwrap();
        assert_eq!(shield.admit(in_flight(2), HERE).unwrap_err(), ShieldRefusal::InFlight);
        assert!(shield.admit(in_flight(2), THERE).is_ok());
        drop(first);
        assert!(shield.admit(in_flight(2), HERE).is_ok());
    }

    #[test]
    fn request_over_the_rate_is_not_left_in_flight() {
        let shield = shield();
        let both = ShieldLimits { in_flight_max: Some(1), ..rate(0) };
        assert_eq!(shield.admit(both, HERE).unwrap_err(), ShieldRefusal::Rate);
        assert!(shield.admit(in_flight(1), HERE).is_ok());
    }

    #[test]
    fn no_limits_admit_everything() {
        let shield = shield();
        let guards = (0..5_000).map(|_| shield.admit(ShieldLimits::default(), HERE));
        assert!(guards.collect::<Result<Vec<_>, _>>().is_ok());
    }

    #[test]
    fn addresses_of_one_v6_network_count_as_one() {
        let at = |network: u16, host: u16| {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host))
        };
        assert_eq!(network(at(1, 1)), network(at(1, 2)));
        assert_ne!(network(at(1, 1)), network(at(2, 1)));
    }

    #[test]
    fn mapped_v4_address_counts_as_the_v4_address() {
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), network(HERE));
        assert_ne!(network(HERE), network(THERE));
    }

    #[test]
    fn concurrent_requests_share_one_rate_exactly() {
        let shield = shield();
        let admitted = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if shield.admit(rate(1), HERE).is_ok() {
                            admitted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 1_000);
    }

    #[test]
    fn both_refusals_are_one_to_the_client() {
        let refusal = Refusal::from(ShieldRefusal::InFlight);
        assert_eq!(refusal, Refusal::from(ShieldRefusal::Rate));
        assert_eq!(refusal.code(), "address_limited");
        assert_eq!(refusal.retry_after_seconds(), Some(1));
    }
}
