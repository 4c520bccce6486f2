//! May an answer be kept, and for how long may it be used?
//!
//! Pure: status, header fields and times in, a verdict out. A policy either sets its own times, or
//! follows what the upstream says: then the rules are those of RFC 9111, sections 3 and 4.2, and of
//! RFC 5861.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};

use super::coding::Coding;
use super::date::date_in;
use super::directives::Directives;
use super::query::QueryRules;
use super::said::{Received, Said, said_to_all};
use super::windows::{Grace, Windows};

/// Statuses that say nothing that a cache could miss: those of RFC 9110, section 15, but for the
/// one that answers a condition.
const UNDERSTOOD: [u16; 41] = [
    200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403, 404,
    405, 406, 407, 408, 409, 410, 411, 413, 414, 415, 417, 421, 422, 426, 429, 451, 500, 501, 502,
    503, 504, 505,
];

/// Statuses whose answers may be kept though nothing says so (RFC 9110, section 15.1).
const HEURISTIC: [u16; 12] = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501];

/// How a route's answers are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long an answer is fresh.
    pub lifetime: Lifetime,
    /// How much longer it is used, unless the upstream's word counts and says otherwise.
    pub grace: Grace,
    /// How long a failure is remembered.
    pub error_for: Duration,
    /// Whether all principals share one answer.
    pub shared: bool,
    /// Whether answers that are asked for much are fetched anew before they turn stale.
    pub refresh_ahead: bool,
    /// Whether a client may say in `Cache-Control` what it takes.
    pub obeys_clients: bool,
    /// Which queries ask for the same.
    pub query: Arc<QueryRules>,
    /// Largest body that is kept.
    pub object_bytes_max: usize,
    /// In which codings answers leave, the preferred first.
    pub compress: Arc<[Coding]>,
}

/// How long an answer is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// So long, whatever the upstream says.
    Fixed(Duration),
    /// As long as the upstream says.
    Upstream {
        /// How long an answer is fresh that does not say; zero where it must be confirmed at once.
        unsaid: Duration,
        /// Whether such an answer is fresh for a tenth of the time since its `Last-Modified`, and
        /// at most so long (RFC 9111, section 4.2.2).
        heuristic_max: Option<Duration>,
    },
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored and used within these windows.
    Store(Windows),
    /// The upstream failed: who waits gets this answer, and nobody asks again for a moment.
    Failure,
    /// It is given to the one who asked, and to nobody else.
    Personal,
    /// It is given to who waits, and not kept: the reason, as a metrics label.
    Uncacheable(&'static str),
}

impl Policy {
    /// Whether the upstream's word counts.
    #[must_use]
    pub fn follows_upstream(&self) -> bool {
        matches!(self.lifetime, Lifetime::Upstream { .. })
    }
}

/// Decides what becomes of an upstream's answer under a policy.
#[must_use]
pub fn judge(policy: &Policy, received: &Received<'_>) -> Verdict {
    let Lifetime::Fixed(lifetime) = policy.lifetime else { return follow(policy, received) };
    let Received { status, headers, now, .. } = *received;
    if status.is_server_error() {
        return Verdict::Failure;
    }
    if let Some(reason) = forbidden(headers, &said_to_all(headers), false) {
        return Verdict::Uncacheable(reason);
    }
    match status {
        StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION => {
            Verdict::Store(Windows::open(now, Duration::ZERO, lifetime, policy.grace))
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            // A "there is nothing" is kept only as long as a failure: what is missing may appear.
            let brief = Windows::open(now, Duration::ZERO, policy.error_for, Grace::default());
            Verdict::Store(brief)
        }
        _ => Verdict::Uncacheable("status"),
    }
}

/// The windows of a stored answer that the upstream has confirmed, by what it says now; `None` where
/// it says that the answer is not to be kept any more.
#[must_use]
pub fn confirmed(policy: &Policy, received: &Received<'_>) -> Option<Windows> {
    let said = Said::of(received.headers);
    let passes_over_no_store = said.directives.has("must-understand");
    match policy.lifetime {
        Lifetime::Fixed(lifetime) => {
            forbidden(received.headers, &said_to_all(received.headers), false)
                .is_none()
                .then(|| Windows::open(received.now, Duration::ZERO, lifetime, policy.grace))
        }
        Lifetime::Upstream { .. } => {
            forbidden(received.headers, &said.directives, passes_over_no_store)
                .is_none()
                .then(|| windows(policy, received, &said))
        }
    }
}

/// The verdict where the upstream's word counts (RFC 9111, section 3). What must not be kept must not
/// serve those who wait for it either (section 4), but for failures.
fn follow(policy: &Policy, received: &Received<'_>) -> Verdict {
    let Received { status, headers, is_authorized, now, .. } = *received;
    let said = Said::of(headers);
    let says = |name| said.directives.has(name);
    let is_understood = UNDERSTOOD.contains(&status.as_u16());
    let must_understand = says("must-understand");
    let reason = forbidden(headers, &said.directives, must_understand && is_understood);
    let explicit = said.explicit(headers, received.date());
    let is_kept_for_a_time = matches!(explicit, Ok(Some(lifetime)) if !lifetime.is_zero());
    if status.is_server_error() && !is_kept_for_a_time {
        let is_somebodys = is_authorized || !matches!(reason, None | Some("no_store"));
        return if is_somebodys { Verdict::Personal } else { Verdict::Failure };
    }
    let is_final = !status.is_informational() && status != StatusCode::NOT_MODIFIED;
    if !is_final || must_understand && !is_understood || reason.is_some() {
        return Verdict::Personal;
    }
    if is_authorized && !["public", "must-revalidate", "s-maxage"].into_iter().any(says) {
        return Verdict::Personal;
    }
    let is_said = !matches!(explicit, Ok(None)) || says("public");
    if !is_said && !HEURISTIC.contains(&status.as_u16()) {
        return Verdict::Personal;
    }
    let windows = windows(policy, received, &said);
    let is_usable = windows.fresh_until.max(windows.stale_until).max(windows.error_until) > now;
    let can_be_confirmed =
        headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
    if is_usable || can_be_confirmed { Verdict::Store(windows) } else { Verdict::Personal }
}

/// Why a shared cache must not keep an answer (RFC 9111, sections 3 and 4.1). A cookie is somebody's,
/// whatever else is said; whoever understands the status may pass over the `no-store` beside
/// `must-understand` (section 5.2.2.3).
fn forbidden(
    headers: &HeaderMap,
    directives: &Directives,
    passes_over_no_store: bool,
) -> Option<&'static str> {
    if directives.has("no-store") && !passes_over_no_store {
        return Some("no_store");
    }
    // Some fields only, or all of it: the answer is not taken apart.
    if directives.has("private") {
        return Some("private");
    }
    if headers.contains_key(header::SET_COOKIE) {
        return Some("set_cookie");
    }
    let mut varied = headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok());
    varied.any(|value| value.split(',').any(|name| name.trim() == "*")).then_some("vary_all")
}

fn windows(policy: &Policy, received: &Received<'_>, said: &Said) -> Windows {
    let Received { headers, now, .. } = *received;
    let age = received.age();
    let directives = &said.directives;
    // What cannot be read has ended already (RFC 9111, section 4.2.1).
    let explicit = said.explicit(headers, received.date()).unwrap_or(Some(Duration::ZERO));
    let lifetime = explicit.unwrap_or_else(|| policy.unsaid(received));
    if directives.has("no-cache") {
        return Windows::strict(now, age, Duration::ZERO);
    }
    let strict = ["must-revalidate", "proxy-revalidate", "s-maxage"];
    if strict.iter().any(|name| directives.has(name)) {
        return Windows::strict(now, age, lifetime);
    }
    let said_or = |name, otherwise| directives.seconds(name).ok().flatten().unwrap_or(otherwise);
    let grace = Grace {
        while_revalidate: said_or("stale-while-revalidate", policy.grace.while_revalidate),
        if_error: said_or("stale-if-error", policy.grace.if_error),
    };
    Windows::open(now, age, lifetime, grace)
}

impl Policy {
    /// How long an answer is fresh that does not say (RFC 9111, section 4.2.2).
    fn unsaid(&self, received: &Received<'_>) -> Duration {
        let Lifetime::Upstream { unsaid, heuristic_max } = self.lifetime else {
            return Duration::ZERO;
        };
        if !HEURISTIC.contains(&received.status.as_u16()) {
            return Duration::ZERO;
        }
        let modified = date_in(received.headers, &header::LAST_MODIFIED);
        let (Some(max), Some(modified)) = (heuristic_max, modified) else { return unsaid };
        let unchanged = received.date().duration_since(modified).unwrap_or_default();
        (unchanged / 10).min(max)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use std::time::{SystemTime, UNIX_EPOCH};

    use http::HeaderValue;
    use httpdate::fmt_http_date;

    use super::*;

    const NOW: u64 = 1_000_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn policy(lifetime: Lifetime) -> Policy {
        let second = Duration::from_secs(1);
        Policy {
            lifetime,
            grace: Grace { while_revalidate: 30 * second, if_error: 600 * second },
            error_for: 2 * second,
            shared: true,
            refresh_ahead: false,
            obeys_clients: true,
            query: Arc::default(),
            object_bytes_max: 1 << 20,
            compress: Arc::default(),
        }
    }

    /// A policy that follows the upstream, and keeps nothing that does not say so.
    fn following() -> Policy {
        let upstream = Lifetime::Upstream { unsaid: Duration::ZERO, heuristic_max: None };
        Policy { grace: Grace::default(), ..policy(upstream) }
    }

    /// Fields; a value `@N` is the date N seconds from now.
    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let value = match value.strip_prefix('@').map(|seconds| seconds.parse::<i64>()) {
                Some(Ok(seconds)) => fmt_http_date(at(NOW.checked_add_signed(seconds).unwrap())),
                _ => (*value).to_owned(),
            };
            headers.append(*name, HeaderValue::from_str(&value).unwrap());
        }
        headers
    }

    fn judged(policy: &Policy, status: u16, fields: &[(&'static str, &str)]) -> Verdict {
        let headers = headers(fields);
        let status = StatusCode::from_u16(status).unwrap();
        let now = at(NOW);
        judge(
            policy,
            &Received { status, headers: &headers, is_authorized: false, asked_at: now, now },
        )
    }

    /// For how long an answer of 200 is fresh when its upstream is followed; zero if it is not kept.
    #[track_caller]
    fn fresh_for(fields: &[(&'static str, &str)], wanted: i64) {
        let found = match judged(&following(), 200, fields) {
            Verdict::Store(windows) => windows.ttl_seconds(at(NOW)).max(0),
            _ => 0,
        };
        assert_eq!(found, wanted, "{fields:?}");
    }

    #[test]
    fn policy_with_its_own_times_needs_no_word_of_the_upstream() {
        let policy = policy(Lifetime::Fixed(Duration::from_secs(60)));
        let windows = Windows::open(at(NOW), Duration::ZERO, Duration::from_secs(60), policy.grace);
        for fields in [
            &[][..],
            &[("cache-control", "max-age=5")],
            &[("expires", "0")],
            &[("age", "50"), ("date", "@-50")],
        ] {
            assert_eq!(judged(&policy, 200, fields), Verdict::Store(windows), "{fields:?}");
        }
        for (fields, reason) in [
            (("cache-control", "max-age=5, No-Store"), "no_store"),
            (("cache-control", "private=\"x\""), "private"),
            (("set-cookie", "a=b"), "set_cookie"),
            (("vary", "accept, *"), "vary_all"),
        ] {
            assert_eq!(judged(&policy, 200, &[fields]), Verdict::Uncacheable(reason));
        }
        let brief =
            Windows::open(at(NOW), Duration::ZERO, Duration::from_secs(2), Grace::default());
        assert_eq!(judged(&policy, 404, &[]), Verdict::Store(brief));
        assert_eq!(judged(&policy, 400, &[]), Verdict::Uncacheable("status"));
        let unstored = [("cache-control", "no-store")];
        assert_eq!(judged(&policy, 503, &unstored), Verdict::Failure, "whatever it says");
    }

    #[test]
    fn lifetime_is_the_first_that_is_said_to_gateways_then_to_shared_caches_then_to_all() {
        for (fields, wanted) in [
            (&[("cache-control", "max-age=60")][..], 60),
            (&[("cache-control", "s-maxage=30, max-age=60")], 30),
            (&[("cache-control", "max-age=60, s-maxage=0")], 0),
            (&[("expires", "@60")], 60),
            (&[("expires", "@60"), ("cache-control", "max-age=30")], 30),
            (&[("expires", "@60"), ("cache-control", "public")], 60),
            (&[("cdn-cache-control", "max-age=90"), ("cache-control", "s-maxage=30")], 90),
            (&[("cdn-cache-control", "max-age=90"), ("cache-control", "no-store")], 90),
            (&[("cdn-cache-control", "no-store"), ("cache-control", "max-age=60")], 0),
            (&[("cdn-cache-control", "public"), ("expires", "@60")], 0),
            (&[("cdn-cache-control", "max-age"), ("cache-control", "max-age=60")], 0),
            (&[("cdn-cache-control", "max-age=9.5"), ("cache-control", "max-age=60")], 0),
            (&[("cdn-cache-control", "Max-Age=90"), ("cache-control", "max-age=60")], 60),
            (&[("cdn-cache-control", "max-age=90,"), ("cache-control", "max-age=60")], 60),
            (&[("cdn-cache-control", ""), ("cache-control", "max-age=60")], 60),
        ] {
            fresh_for(fields, wanted);
        }
    }

    #[test]
    fn what_cannot_be_read_is_stale_already() {
        for field in ["max-age=x", "max-age=-1", "max-age=6.5", "max-age", "s-maxage=x, max-age=60"]
        {
            fresh_for(&[("cache-control", field), ("etag", "\"a\""), ("expires", "@60")], 0);
        }
        for expires in ["0", "-1", "tomorrow", "@-60", "Sun, 06 Nov 2044 08:49:37 EST"] {
            fresh_for(&[("expires", expires), ("etag", "\"a\"")], 0);
        }
    }

    #[test]
    fn age_is_what_is_told_or_what_the_date_shows() {
        for (fields, wanted) in [
            (("age", "20"), 40),
            (("age", "20, 50"), 40),
            (("age", "x"), 60),
            (("age", "-20"), 60),
            (("age", "20.5"), 60),
            (("age", "99999999999999999999"), 0),
            (("date", "@-20"), 40),
            (("date", "@20"), 60),
            (("date", "x"), 60),
        ] {
            fresh_for(&[("cache-control", "max-age=60"), fields], wanted);
        }
        // The time until the answer came counts too (RFC 9111, section 4.2.3).
        let fields = headers(&[("cache-control", "max-age=60"), ("age", "20")]);
        let received = Received {
            status: StatusCode::OK,
            headers: &fields,
            is_authorized: false,
            asked_at: at(NOW - 5),
            now: at(NOW),
        };
        let Verdict::Store(windows) = judge(&following(), &received) else { panic!("not kept") };
        assert_eq!((windows.ttl_seconds(at(NOW)), windows.age(at(NOW)).as_secs()), (35, 25));
    }

    #[test]
    fn what_says_nothing_is_kept_as_the_policy_says() {
        let day = Duration::from_secs(86_400);
        let lifetime =
            Lifetime::Upstream { unsaid: Duration::from_secs(7), heuristic_max: Some(day) };
        let policy = Policy { lifetime, ..following() };
        for (status, fields, wanted) in [
            (200, &[][..], 7),
            (200, &[("last-modified", "@-100")], 10),
            (200, &[("last-modified", "@-100000000")], 86_400),
            (200, &[("last-modified", "@-100"), ("date", "@-50")], 0),
            (404, &[("last-modified", "@-100")], 10),
            (201, &[("last-modified", "@-100")], 0),
            (302, &[("last-modified", "@-100")], 0),
            (302, &[("last-modified", "@-100"), ("cache-control", "max-age=3")], 3),
        ] {
            let found = match judged(&policy, status, fields) {
                Verdict::Store(windows) => windows.ttl_seconds(at(NOW)).max(0),
                _ => 0,
            };
            assert_eq!(found, wanted, "{status} {fields:?}");
        }
        // Without a time for such answers, they are kept to be confirmed, if they can be.
        assert_eq!(judged(&following(), 200, &[]), Verdict::Personal);
        let confirmable = judged(&following(), 200, &[("etag", "\"a\"")]);
        assert!(matches!(confirmable, Verdict::Store(windows) if windows.fresh_until <= at(NOW)));
    }

    #[test]
    fn answers_are_kept_by_what_they_say_and_by_their_status() {
        let said = ("cache-control", "max-age=60");
        let kept = |status, fields: &[_]| {
            matches!(judged(&following(), status, fields), Verdict::Store(_))
        };
        for status in [200, 203, 204, 206, 299, 301, 302, 307, 400, 404, 410, 418, 500, 503, 599] {
            assert!(kept(status, &[said]), "{status}");
        }
        assert!(!kept(304, &[said]));
        assert!(kept(201, &[("cache-control", "public"), ("etag", "\"a\"")]));
        assert!(!kept(200, &[("cache-control", "max-age=60, no-store")]));
        assert!(kept(200, &[("cache-control", "max-age=60, no-store, must-understand")]));
        assert!(!kept(299, &[("cache-control", "max-age=60, no-store, must-understand")]));
        assert!(!kept(299, &[("cache-control", "max-age=60, must-understand")]));
        for status in [500, 503] {
            for fields in [&[][..], &[("expires", "0")], &[("cache-control", "no-store")]] {
                assert_eq!(judged(&following(), status, fields), Verdict::Failure, "{fields:?}");
            }
            let somebodys = [("cache-control", "private")];
            assert_eq!(judged(&following(), status, &somebodys), Verdict::Personal);
        }
        let passed_over = "must-understand, no-store, private, max-age=60";
        for name in ["cache-control", "cdn-cache-control"] {
            assert_eq!(judged(&following(), 200, &[(name, passed_over)]), Verdict::Personal);
        }
    }

    #[test]
    fn answer_to_a_credential_is_kept_only_where_it_says_so() {
        for (field, kept) in [
            ("max-age=60", false),
            ("max-age=60, public", true),
            ("max-age=60, must-revalidate", true),
            ("s-maxage=60", true),
            ("max-age=60, private", false),
        ] {
            let fields = headers(&[("cache-control", field)]);
            let (status, now) = (StatusCode::OK, at(NOW));
            let received =
                Received { status, headers: &fields, is_authorized: true, asked_at: now, now };
            let verdict = judge(&following(), &received);
            assert_eq!(matches!(verdict, Verdict::Store(_)), kept, "{field}");
        }
    }

    #[test]
    fn stale_answers_are_used_as_they_say_and_else_as_the_policy_says() {
        let policy = Policy { grace: policy(Lifetime::Fixed(Duration::ZERO)).grace, ..following() };
        for (field, while_revalidate, if_error) in [
            ("max-age=60", 30, 600),
            ("max-age=60, stale-while-revalidate=5", 5, 600),
            ("max-age=60, stale-if-error=0", 30, 0),
            ("max-age=60, stale-while-revalidate=x", 30, 600),
            ("max-age=60, must-revalidate, stale-if-error=5", 0, 0),
            ("max-age=60, proxy-revalidate", 0, 0),
            ("s-maxage=60", 0, 0),
        ] {
            let Verdict::Store(windows) = judged(&policy, 200, &[("cache-control", field)]) else {
                panic!("not kept: {field}")
            };
            let after = |until: SystemTime| until.duration_since(windows.fresh_until).unwrap();
            let found =
                (after(windows.stale_until).as_secs(), after(windows.error_until).as_secs());
            assert_eq!(found, (while_revalidate, if_error), "{field}");
        }
        let fields = [("cache-control", "max-age=60, no-cache"), ("etag", "\"a\"")];
        let Verdict::Store(windows) = judged(&policy, 200, &fields) else { panic!("not kept") };
        assert_eq!(windows, Windows::strict(at(NOW), Duration::ZERO, Duration::ZERO));
    }
}
