//! What is one case of the standard, and does the gateway keep to it?

use std::time::Duration;

use futures::future::join_all;
use harness::{Answer, Gateway, Origin, Reply, Request};

use crate::fixtures::{conf, gateway, time_passes};

/// A policy that follows the upstream and lets clients say what they take.
pub(super) const FOLLOWED: &str = "fresh: upstream, obey_clients: true, share: everyone";

/// A sentence of the standard, and the requests that show it.
pub(super) struct Case {
    name: &'static str,
    steps: Vec<Step>,
    /// What the origin answers from here on.
    answer: Fields,
    status: u16,
    /// What the next request says.
    asks: Fields,
    method: &'static str,
    wait: Duration,
    target: &'static str,
}

type Fields = Vec<(String, String)>;

/// One request, what the origin would answer, and what must come of it.
struct Step {
    wait: Duration,
    method: &'static str,
    target: &'static str,
    asks: Fields,
    status: u16,
    answer: Fields,
    wanted: Wanted,
    has: Vec<(String, String)>,
    has_not: Vec<&'static str>,
    age: Option<i64>,
    ttl: Option<i64>,
    sends: Vec<(String, String)>,
}

/// What must come of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// The origin's answer to it.
    Fetched,
    /// An answer to an earlier one.
    Reused,
    /// An answer to an earlier one; the origin may be asked for a newer one meanwhile.
    Stale,
    /// An answer to an earlier one, which the origin was asked to confirm.
    Confirmed,
    /// This status, from the gateway itself.
    Refused(u16),
    /// This status, made of an earlier answer.
    Made(u16),
}

/// A case of this name; its origin answers 200 and says nothing.
pub(super) fn case(name: &'static str) -> Case {
    Case {
        name,
        steps: Vec::new(),
        answer: Vec::new(),
        status: 200,
        asks: Vec::new(),
        method: "GET",
        wait: Duration::ZERO,
        target: "",
    }
}

/// `Name: value` on each line; `@N` is the date N seconds from now.
fn fields(text: &str) -> Fields {
    let field = |line: &str| {
        let (name, value) = line.split_once(':').expect("a field");
        let date = value.trim().strip_prefix('@').and_then(|seconds| seconds.parse::<i64>().ok());
        let value = date.map_or_else(|| value.trim().to_owned(), date_in);
        (name.trim().to_owned(), value)
    };
    text.split('\n').filter(|line| !line.trim().is_empty()).map(field).collect()
}

fn date_in(seconds: i64) -> String {
    let then = jiff::Timestamp::now().as_second() + seconds;
    let then =
        jiff::Timestamp::from_second(then).expect("a time").to_zoned(jiff::tz::TimeZone::UTC);
    then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

impl Case {
    /// From here on the origin answers 200 with these fields.
    pub(super) fn answers(self, text: &str) -> Self {
        Self { answer: fields(text), status: 200, ..self }
    }

    /// From here on the origin's status is this one.
    pub(super) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The next request says this.
    pub(super) fn asks(self, text: &str) -> Self {
        Self { asks: fields(text), ..self }
    }

    /// The next request has this method.
    pub(super) fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// From here on the requests are for what this adds to the case's own path.
    pub(super) fn at(self, target: &'static str) -> Self {
        Self { target, ..self }
    }

    /// The next request comes so much later.
    pub(super) fn after_ms(self, wait: u64) -> Self {
        Self { wait: Duration::from_millis(wait), ..self }
    }

    /// The request must reach the origin.
    pub(super) fn fetched(self) -> Self {
        self.step(Wanted::Fetched)
    }

    /// The request must not reach the origin.
    pub(super) fn reused(self) -> Self {
        self.step(Wanted::Reused)
    }

    /// The client must not wait for the origin.
    pub(super) fn served_stale(self) -> Self {
        self.step(Wanted::Stale)
    }

    /// The origin must be asked whether the stored answer still holds; it says so, with these fields.
    pub(super) fn confirmed(mut self, text: &str) -> Self {
        let (answer, status) = (std::mem::replace(&mut self.answer, fields(text)), self.status);
        let stepped = Self { status: 304, ..self }.step(Wanted::Confirmed);
        Self { answer, status, ..stepped }
    }

    /// The gateway must refuse.
    pub(super) fn refused(self, status: u16) -> Self {
        self.step(Wanted::Refused(status))
    }

    /// The gateway must answer with this status from what is stored.
    pub(super) fn made(self, status: u16) -> Self {
        self.step(Wanted::Made(status))
    }

    /// The last answer must have these fields.
    pub(super) fn with(mut self, text: &str) -> Self {
        self.last().has.extend(fields(text));
        self
    }

    /// The last answer must not have this field.
    pub(super) fn without(mut self, name: &'static str) -> Self {
        self.last().has_not.push(name);
        self
    }

    /// The last answer must be so many seconds old, or a little older: dates have whole seconds.
    pub(super) fn aged(mut self, seconds: i64) -> Self {
        self.last().age = Some(seconds);
        self
    }

    /// The last answer must be told to be a hit with so many seconds left, or a little less.
    pub(super) fn left(mut self, seconds: i64) -> Self {
        self.last().ttl = Some(seconds);
        self
    }

    /// The origin must have been sent these fields.
    pub(super) fn sends(mut self, text: &str) -> Self {
        self.last().sends.extend(fields(text));
        self
    }

    fn last(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a request before it")
    }

    fn step(mut self, wanted: Wanted) -> Self {
        self.steps.push(Step {
            wait: std::mem::take(&mut self.wait),
            method: std::mem::replace(&mut self.method, "GET"),
            target: self.target,
            asks: std::mem::take(&mut self.asks),
            status: self.status,
            answer: self.answer.clone(),
            wanted,
            has: Vec::new(),
            has_not: Vec::new(),
            age: None,
            ttl: None,
            sends: Vec::new(),
        });
        self
    }

    async fn run(&self, number: usize, origin: &Origin, gw: &Gateway) -> Result<(), String> {
        for (index, step) in self.steps.iter().enumerate() {
            let path = format!("/{number}{}", step.target);
            step.run(&path, index, origin, gw)
                .await
                .map_err(|problem| format!("{}: request {}: {problem}", self.name, index + 1))?;
        }
        Ok(())
    }
}

impl Step {
    async fn run(
        &self,
        target: &str,
        index: usize,
        origin: &Origin,
        gw: &Gateway,
    ) -> Result<(), String> {
        if !self.wait.is_zero() {
            time_passes(self.wait).await;
        }
        let own = format!("answer {index}");
        let mut answer = Answer::status(self.status);
        for (name, value) in &self.answer {
            answer = answer.header(name, &value.replace("{path}", target));
        }
        // The origin does not look at queries.
        let path = target.split('?').next().unwrap_or(target);
        origin
            .on(path, if self.status == 304 { answer.no_body() } else { answer.body(own.clone()) });
        let before = origin.calls(path);
        let request = Request::to(gw.address(), self.method, target).headers(self.asks.clone());
        let reply = request.send().await;
        let calls = origin.calls(path) - before;
        self.judge(&reply, calls, &own)?;
        if let Some(last) = origin.requests(path).last() {
            for (name, value) in &self.sends {
                if last.header(name) != Some(value) {
                    return Err(format!("the origin was sent {name} {:?}", last.header(name)));
                }
            }
        }
        let age = reply.header("age").and_then(|age| age.parse::<i64>().ok());
        if self.age.is_some_and(|wanted| !age.is_some_and(|age| is_just_past(wanted, age))) {
            return Err(format!("Age is {age:?} and not {:?}", self.age));
        }
        let told = reply.header("cache-status").and_then(|told| {
            told.strip_prefix("farmgate; hit; ttl=")?.split(';').next()?.parse::<i64>().ok()
        });
        if self.ttl.is_some_and(|wanted| !told.is_some_and(|left| is_just_past(left, wanted))) {
            return Err(format!("{:?} and not {:?} left", reply.header("cache-status"), self.ttl));
        }
        for (name, value) in &self.has {
            if reply.header(name) != Some(value) {
                return Err(format!("{name} is {:?} and not {value:?}", reply.header(name)));
            }
        }
        match self.has_not.iter().find(|name| reply.header(name).is_some()) {
            Some(name) => Err(format!("{name} is {:?}", reply.header(name))),
            None => Ok(()),
        }
    }

    fn judge(&self, reply: &Reply, calls: usize, own: &str) -> Result<(), String> {
        let is_bodiless = self.method == "HEAD" || matches!(reply.status, 204 | 304);
        let is_own = is_bodiless || reply.text() == own;
        let is_stored = is_bodiless || reply.text() != own;
        let is_right = match self.wanted {
            Wanted::Fetched => calls >= 1 && is_own && reply.status == self.status,
            Wanted::Reused => calls == 0 && is_stored && reply.status == self.status,
            Wanted::Stale => is_stored && reply.status == self.status,
            Wanted::Confirmed => calls == 1 && is_stored && reply.status < 300,
            Wanted::Refused(status) => calls == 0 && reply.status == status,
            Wanted::Made(status) => is_stored && reply.status == status,
        };
        if is_right {
            return Ok(());
        }
        let (status, cache) = (reply.status, reply.header("cache-status"));
        Err(format!(
            "wanted {:?}, the origin was asked {calls} times, status {status}, body {:?}, {cache:?}",
            self.wanted,
            reply.text()
        ))
    }
}

fn is_just_past(from: i64, to: i64) -> bool {
    (0..=5).contains(&(to - from))
}

/// Plays all cases at once, each on a path of its own, and tells of each that is not kept to.
pub(super) async fn check(policy: &str, cases: impl IntoIterator<Item = Case>) {
    let origin = Origin::start().await;
    let sections = format!("cache: {{policies: {{kept: {{{policy}}}}}}}");
    let route = "{name: kept, path_prefix: /, pool: service, auth: {anonymous: true}, cache: kept}";
    let yaml = conf(&sections, &[route]);
    let gw = gateway().with(yaml).pool("service", origin.address()).start().await;
    let cases: Vec<Case> = cases.into_iter().collect();
    let runs = cases.iter().enumerate().map(|(number, case)| case.run(number, &origin, &gw));
    let failed: Vec<String> = join_all(runs).await.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), cases.len(), failed.join("\n"));
}
