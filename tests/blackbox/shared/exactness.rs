//! Is a quota exact, seen from outside, by one gateway and by two together?
//!
//! Nothing here trusts the gateway's clock. When a request was decided is known from outside only
//! to lie between the moment at which it was sent and the moment at which it was known to be
//! accepted: when it arrived at the origin, or else when its answer arrived. So
//!
//! * an excess is proved only where more requests than the limit have all of that time within one
//!   window, wherever in it they were decided;
//! * a refusal is proved to be needless only where fewer requests than the limit can have been
//!   accepted in the window before it, whenever it was decided.
//!
//! Neither can fail because a machine is slow: that makes the times longer, which proves less. How
//! much is accepted in all says something only where enough was asked for. A run in which the
//! machine did not manage that says nothing about it, and is made again. Where enough was asked for,
//! 99 % follows from the second rule: each window has a refusal, the windows before these refusals
//! hold the limit each, and no request is in two of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use harness::{Answer, Connection, Gateway, Origin, RedisServer, Request, burst};

use super::{launcher_with, over};

/// More than the 200 up to which each request is logged by itself: the counts of the gateway are
/// grouped by time here, which is where an error would be.
const LIMIT: usize = 250;
const WINDOW: Duration = Duration::from_secs(1);
const WINDOWS: u32 = 3;
const CONNECTIONS: usize = 64;

/// What the gateway may be late in giving a request free: 1 % of the window.
const LATE_MAX: Duration = Duration::from_millis(10);

const RUNS_MAX: usize = 3;

/// One request: sent and decided in this time.
#[derive(Clone, Copy, Debug)]
struct Call {
    sent: Instant,
    decided: Instant,
    accepted: bool,
}

/// Who arrived at the origin, and when.
type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

/// The calls of one run.
struct Run(Vec<Call>);

impl Run {
    fn accepted(&self) -> impl Iterator<Item = &Call> {
        self.0.iter().filter(|call| call.accepted)
    }

    /// The most requests that were accepted within one window for sure.
    fn most_in_a_window(&self) -> usize {
        let within = |first: &Call| {
            let end = first.sent + WINDOW;
            self.accepted().filter(|call| call.sent >= first.sent && call.decided < end).count()
        };
        self.accepted().map(within).max().unwrap_or_default()
    }

    /// The fewest requests that can explain a refusal: what may have been accepted in the window
    /// before it. `None` where nothing was refused.
    fn fewest_at_a_refusal(&self) -> Option<usize> {
        let before = |refused: &Call| {
            let counts = |call: &&Call| {
                call.sent <= refused.decided && call.decided + WINDOW + LATE_MAX >= refused.sent
            };
            self.accepted().filter(counts).count()
        };
        self.0.iter().filter(|call| !call.accepted).map(before).min()
    }

    /// How many were accepted in the first windows, which begin with the first of them.
    fn accepted_in_all(&self) -> usize {
        let Some(first) = self.accepted().map(|call| call.sent).min() else { return 0 };
        self.accepted().filter(|call| call.decided < first + WINDOWS * WINDOW).count()
    }

    /// Whether so much was asked for that each window was used up in its first half, so that for
    /// some time nothing was accepted and everything refused: then, and only then, nothing that
    /// could be accepted was missed for want of a request.
    fn asks_for_enough(&self) -> bool {
        let Some(first) = self.accepted().map(|call| call.sent).min() else { return false };
        (0..WINDOWS).all(|number| {
            let start = first + number * WINDOW;
            let (from, to) = (start + WINDOW / 2, start + WINDOW * 4 / 5);
            let is_then = |call: &Call| call.sent >= from + LATE_MAX && call.decided <= to;
            let may_be_then = |call: &Call| call.sent <= to && call.decided >= from;
            !self.accepted().any(may_be_then) && self.0.iter().any(is_then)
        })
    }

    /// What can be told of any run.
    fn expect_exact(&self) {
        let most = self.most_in_a_window();
        assert!(most <= LIMIT, "{most} requests were accepted within one window");
        let fewest = self.fewest_at_a_refusal();
        assert!(fewest >= Some(LIMIT) || fewest.is_none(), "refused after {fewest:?} at most");
    }
}

/// Gateways of one quota, and an origin that notes arrivals.
struct Bench {
    gateways: Vec<SocketAddr>,
    origin: Origin,
    arrivals: Arrivals,
}

impl Bench {
    async fn new() -> Self {
        let (origin, arrivals) = (Origin::start().await, Arrivals::default());
        let noted = arrivals.clone();
        origin.rule("/", move |request, _| {
            noted.lock().unwrap().insert(request.query().to_owned(), Instant::now());
            Answer::json("1")
        });
        Self { gateways: Vec::new(), origin, arrivals }
    }

    /// Starts a gateway. Each run has a client of its own, and begins with an empty window.
    async fn gateway(&mut self, state: &str) -> Gateway {
        let sections = format!(
            "downstream: {{trusted_proxies: [127.0.0.1]}}\n\
             limits: {{quotas: {{few: {LIMIT}/s}}}}\nstate: {state}"
        );
        let route = "{name: open, path_prefix: /, pool: service, quotas: [few], \
                     auth: {anonymous: true}}";
        // The origin shares a thread with the clients: nobody gives up on it because it is late.
        let pool =
            format!("connect_timeout: 20s\npeers: [{{address: '{}'}}]", self.origin.address());
        let launcher = launcher_with(&self.origin, &sections, &[route]).pool("service", pool);
        let gw = launcher.start().await;
        self.gateways.push(gw.address());
        gw
    }

    /// Asks over all connections, one call after the other on each, for a little more than the
    /// windows last.
    async fn run(&self, number: usize) -> Run {
        let end = Instant::now() + WINDOWS * WINDOW + WINDOW / 10;
        let client = format!("203.0.113.{number}");
        let calls = burst(CONNECTIONS, async |index| {
            let mut connection = Connection::open(self.gateways[index % self.gateways.len()]).await;
            let mut calls = Vec::new();
            while Instant::now() < end {
                let id = format!("{number}-{index}-{}", calls.len());
                let request = Request::get(&format!("/?{id}"));
                calls.push(self.call(&mut connection, request, &id, &client).await);
            }
            calls
        });
        let run = Run(calls.await.into_iter().flatten().collect());
        let arrived = self.arrivals.lock().unwrap().drain().count();
        assert_eq!(arrived, run.accepted().count(), "what arrived was accepted, and nothing else");
        run
    }

    async fn call(
        &self,
        connection: &mut Connection,
        ask: Request,
        id: &str,
        client: &str,
    ) -> Call {
        let sent = Instant::now();
        let reply = connection.send(ask.header("X-Forwarded-For", client)).await;
        let answered = Instant::now();
        match reply.status {
            200 => {
                let decided = self.arrivals.lock().unwrap()[id];
                Call { sent, decided, accepted: true }
            }
            429 => Call { sent, decided: answered, accepted: false },
            other => panic!("{other}: {}", reply.text()),
        }
    }

    async fn expect_exact(&self) {
        for number in 1..=RUNS_MAX {
            let run = self.run(number).await;
            run.expect_exact();
            if run.asks_for_enough() {
                let (given, wanted) = (run.accepted_in_all(), WINDOWS as usize * LIMIT);
                assert!(given * 100 >= wanted * 99, "{given} of {wanted} were accepted");
                return;
            }
        }
    }
}

#[tokio::test]
async fn quota_of_one_gateway_is_exact_in_every_window() {
    let mut bench = Bench::new().await;
    let _gateway = bench.gateway("{dir: '{dir}/var'}").await;
    bench.expect_exact().await;
}

#[tokio::test]
async fn quota_of_two_gateways_is_exact_in_every_window() {
    let (server, mut bench) = (RedisServer::start().await, Bench::new().await);
    // A call that Redis does not answer would be refused with another status, and be seen.
    let state = over(&server, &["quotas: refuse"]);
    let _gateways = [bench.gateway(&state).await, bench.gateway(&state).await];
    bench.expect_exact().await;
}

/// Calls that were sent at these milliseconds and decided a few later.
fn calls(start: Instant, at_ms: impl IntoIterator<Item = u64>, accepted: bool) -> Vec<Call> {
    let call = |ms| {
        let sent = start + Duration::from_millis(ms);
        Call { sent, decided: sent + Duration::from_millis(3), accepted }
    };
    at_ms.into_iter().map(call).collect()
}

#[test]
fn one_request_too_many_in_a_window_is_noticed() {
    let start = Instant::now();
    let full = (0..LIMIT as u64).map(|n| n * 2);
    let run = Run(calls(start, full.clone().chain([1_001]), true));
    assert_eq!(run.most_in_a_window(), LIMIT);
    // It was sent within the window, and may have been decided behind it: nothing is proved.
    let run = Run(calls(start, full.clone().chain([998]), true));
    assert_eq!(run.most_in_a_window(), LIMIT);
    let run = Run(calls(start, full.chain([990]), true));
    assert_eq!(run.most_in_a_window(), LIMIT + 1);
}

#[test]
fn needless_refusal_is_noticed() {
    let (start, full) = (Instant::now(), (0..LIMIT as u64).map(|n| n * 2));
    let run = |refused_ms| {
        let accepted = calls(start, full.clone(), true);
        Run([accepted, calls(start, [refused_ms], false)].concat())
    };
    assert_eq!(run(900).fewest_at_a_refusal(), Some(LIMIT));
    // Within what the gateway may be late.
    assert_eq!(run(1_013).fewest_at_a_refusal(), Some(LIMIT));
    assert_eq!(run(1_015).fewest_at_a_refusal(), Some(LIMIT - 1));
}

#[test]
fn run_that_used_no_window_up_is_told_from_one_that_did() {
    let start = Instant::now();
    // One request in so many milliseconds is accepted at the beginning of each window.
    let run = |every_ms: u64, refused_ms: &[u64]| {
        let window = |start_ms: u64| (0..LIMIT as u64).map(move |n| start_ms + n * every_ms);
        let accepted = [0, 1_000, 2_000].into_iter().flat_map(window);
        let accepted = calls(start, accepted, true);
        Run([accepted, calls(start, refused_ms.iter().copied(), false)].concat())
    };
    let in_each = [600, 1_700, 2_510];
    assert!(run(1, &in_each).asks_for_enough());
    assert_eq!(run(1, &in_each).accepted_in_all(), 3 * LIMIT);
    assert!(!run(2, &in_each).asks_for_enough());
    assert!(!run(1, &in_each[..2]).asks_for_enough());
    assert!(!run(1, &[600, 1_900, 2_510]).asks_for_enough());
}
