//! What happens on a busy day, line by line, and did each line hold?
//!
//! Each line asks the running system, measures, and checks what it tells. A line that does not
//! hold is shown with what was seen instead, and the story goes on.

mod cold;
mod crowd;
mod field;
mod identity;
mod limits;
mod outage;
mod reload;
mod stuck;

use std::time::Duration;

use harness::Reply;
use tokio::time::{Instant, timeout};

use crate::error::{DemoError, SceneError};
use crate::measure::written;
use crate::screen::Screen;
use crate::stack::Stack;
use crate::stage::Stage;

/// So much of an unexpected answer is shown.
const SAID_CHARS_MAX: usize = 240;

/// The time to live of the policy `brief` in demo/conf/gateway.yaml.
pub(crate) const BRIEF_FRESH: Duration = Duration::from_secs(2);

/// The quota `user` in demo/conf/gateway.yaml: requests a minute.
pub(crate) const QUOTA_REQUESTS: usize = 1_000;

/// Longest time for one line of the story.
const SCENE_TIME_MAX: Duration = Duration::from_secs(90);

/// How long a program that ended has to be noticed before a line is blamed.
const DEATH_NOTICE: Duration = Duration::from_millis(600);

/// The place that the gateway fetches before anyone asks, as demo/conf/gateway.yaml says.
pub(crate) const NAIROBI: &str = "/api/v1/weather/current/?lat=-1.2921&lon=36.8219";

/// A place that one client asks about, and later many.
pub(crate) const NAKURU: &str = "/api/v1/weather/current/?lat=-0.3031&lon=36.0800";

/// What a line of the story found.
#[derive(Debug, Default)]
pub(crate) struct Told {
    figure: String,
    here: String,
    list: Vec<String>,
    missed: Vec<String>,
}

impl Told {
    /// The figure that stands at the right edge.
    fn figure(figure: impl Into<String>) -> Self {
        Self { figure: figure.into(), ..Self::default() }
    }

    /// What happens here, with the measured figures.
    fn here(self, here: impl Into<String>) -> Self {
        Self { here: here.into(), ..self }
    }

    /// Lines below that.
    fn list(self, list: Vec<String>) -> Self {
        Self { list, ..self }
    }

    /// Something that must be true for the line to hold; else what was seen.
    fn check(mut self, held: bool, seen: impl FnOnce() -> String) -> Self {
        if !held {
            self.missed.push(seen());
        }
        self
    }

    /// Every answer must have this status.
    fn check_statuses<'a>(self, replies: impl IntoIterator<Item = &'a Reply>, status: u16) -> Self {
        let (mut others, mut all, mut first) = (0, 0, None);
        for reply in replies {
            all += 1;
            if reply.status != status {
                others += 1;
                first = first.or(Some(reply));
            }
        }
        self.check(others == 0 && all > 0, || {
            let said = first.map(|reply| format!("{}: {}", reply.status, reply.text()));
            let said: String = said.unwrap_or_default().chars().take(SAID_CHARS_MAX).collect();
            format!("{others} of {all} answers had not status {status}; the first of them {said}")
        })
    }
}

/// Tells the whole story; whether every line held.
///
/// # Errors
/// When a program ends by itself.
pub(crate) async fn tell(
    stage: &Stage,
    stack: &mut Stack,
    ready: Duration,
) -> Result<bool, DemoError> {
    let screen = stage.screen;
    screen.title("The story");
    screen.note(INTRODUCTION);
    screen.note(build_note());
    screen.blank();
    let mut teller = Teller { stack, screen, started: Instant::now(), told: 0, missed: Vec::new() };
    teller.scene("A place nobody asked about yet", cold::MISS_BEFORE, cold::miss(stage)).await?;
    teller.scene("The same place again", cold::HIT_BEFORE, cold::hits(stage)).await?;
    teller
        .scene(
            "200 clients at once, the answer just expired",
            crowd::EXPIRED_BEFORE,
            crowd::expired(stage),
        )
        .await?;
    teller
        .scene("200 clients at once, nothing in the cache", crowd::COLD_BEFORE, crowd::cold(stage))
        .await?;
    teller
        .scene(
            "A pre-warmed place, first client ever",
            cold::WARM_BEFORE,
            cold::prewarmed(stage, ready),
        )
        .await?;
    teller.scene("The provider is down", outage::BEFORE, outage::provider_down(stage)).await?;
    teller.scene("One client asks far too often", limits::BEFORE, limits::burst(stage)).await?;
    teller
        .scene("500 requests stuck in a slow upstream", stuck::BEFORE, stuck::metrics_answer(stage))
        .await?;
    tell_of_identity(&mut teller, stage).await?;
    teller.scene("NDVI of a real field", field::BEFORE, field::statistics(stage)).await?;
    teller
        .scene("A broken configuration is loaded", reload::BEFORE, reload::refused(stage))
        .await?;
    Ok(teller.end())
}

async fn tell_of_identity(teller: &mut Teller<'_>, stage: &Stage) -> Result<(), DemoError> {
    teller
        .scene(
            "A signed Nextcloud request, and its replay",
            identity::SIGNED_BEFORE,
            identity::replayed(stage),
        )
        .await?;
    teller
        .scene("64 clients fetch a token at once", identity::TOKEN_BEFORE, identity::minted(stage))
        .await?;
    teller.scene("What a credential costs", identity::COST_BEFORE, identity::cost(stage)).await?;
    Ok(())
}

const INTRODUCTION: &str = "\"Before\" is the Django gateway as its operator described it, or as it was measured once on two \
     cores where a figure stands. \"Here\" is measured now, by clients on this machine that open a \
     connection for each request unless a line says otherwise. The weather's provider is a \
     recording: it answers 2.2 s late, and with the same week for every place.";

/// A reader must not take a debug build's figures for the program's best.
fn build_note() -> &'static str {
    if cfg!(debug_assertions) {
        "The programs are debug builds, without optimisation; `make bench` measures release builds."
    } else {
        "The programs are release builds."
    }
}

struct Teller<'a> {
    stack: &'a mut Stack,
    screen: Screen,
    started: Instant,
    told: usize,
    missed: Vec<String>,
}

impl Teller<'_> {
    async fn scene(
        &mut self,
        title: &str,
        before: &str,
        scene: impl Future<Output = Result<Told, SceneError>>,
    ) -> Result<(), DemoError> {
        self.told += 1;
        self.screen.progress(self.told, title);
        let told = tokio::select! {
            told = timeout(SCENE_TIME_MAX, scene) => told,
            dead = self.stack.death() => return Err(dead),
        };
        let told = match told {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => {
                // A line can fail because a program has just ended: that is the news then.
                if let Ok(dead) = timeout(DEATH_NOTICE, self.stack.death()).await {
                    return Err(dead);
                }
                Told::default().check(false, || error.to_string())
            }
            Err(_elapsed) => Told::default().check(false, || {
                format!("not told to its end within {} s", SCENE_TIME_MAX.as_secs())
            }),
        };
        self.show(title, before, &told);
        Ok(())
    }

    fn show(&mut self, title: &str, before: &str, told: &Told) {
        let held = told.missed.is_empty();
        self.screen.verdict(held, self.told, title, &told.figure);
        self.screen.paragraph("Before", before);
        if !told.here.is_empty() {
            self.screen.paragraph("Here", &told.here);
        }
        for line in &told.list {
            self.screen.paragraph("", line);
        }
        for missed in &told.missed {
            self.screen.paragraph("But", missed);
        }
        if !held {
            self.missed.push(format!("{} {title}: {}", self.told, told.missed.join("; ")));
        }
        self.screen.blank();
    }

    fn end(self) -> bool {
        let took = written(self.started.elapsed());
        if self.missed.is_empty() {
            self.screen.success(&format!("All {} lines held, told in {took}.", self.told));
            return true;
        }
        let (missed, told) = (self.missed.len(), self.told);
        self.screen.failure(&format!("{missed} of {told} lines did not hold:"));
        for line in &self.missed {
            self.screen.paragraph("", line);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_line_keeps_what_was_seen_instead() {
        let told = Told::figure("1 ms").check(true, || "one".into()).check(false, || "two".into());
        assert_eq!(told.missed, ["two"]);
    }

    #[test]
    fn no_answer_at_all_does_not_pass_for_good_ones() {
        assert_eq!(Told::default().check_statuses([], 200).missed.len(), 1);
    }
}
