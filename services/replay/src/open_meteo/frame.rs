//! How do recorded times become the times of the answer?
//!
//! Open-Meteo takes one offset, that of the zone at the moment of the request, and applies it to
//! every timestamp of the answer. Without a shift the moment is the one of the recording. With a
//! shift it is now, and the recorded week moves by whole local days so that it starts today.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use super::Host;
use super::asked::{AskedDays, AskedZone};
use super::recording::Recording;
use super::refusal::Refusal;
use crate::clock::Moment;

/// Days the forecast host reaches back and ahead of today.
const FORECAST_REACH_DAYS: (i64, i64) = (92, 16);
/// First day of the archive.
const ARCHIVE_FIRST: Date = jiff::civil::date(1940, 1, 1);
/// Spacing of `current` in seconds, to which a shifted one is floored.
const CURRENT_INTERVAL_S: i64 = 900;

/// The time frame of one answer.
#[derive(Debug)]
pub(super) struct Frame {
    host: Host,
    /// The zone as the answer names it.
    pub(super) zone_name: String,
    pub(super) abbreviation: String,
    /// Seconds east of UTC of every time in the answer.
    pub(super) offset_s: i32,
    /// Seconds from recorded local times to the answer's, apart from whole days.
    skew_s: i64,
    /// Whole days from recorded times to the answer's.
    shift_days: i64,
    today: Date,
    /// The `current` time of a shifted answer.
    present: Option<DateTime>,
}

impl Frame {
    pub(super) fn new(
        host: Host,
        recording: &Recording,
        asked: &AskedZone,
        moment: Moment,
    ) -> Result<Self, Refusal> {
        let shifted = moment.shift && host == Host::Forecast;
        let instant = match recording.recorded_at() {
            Some(recorded) if !shifted => recorded,
            _ => moment.now,
        };
        let (zone_name, zone) = match asked {
            AskedZone::Auto => (recording.zone_name.clone(), recording.zone.clone()),
            AskedZone::Named(name, zone) => (name.clone(), zone.clone()),
        };
        let offset_s = zone.to_offset(instant).seconds();
        let anchor_s =
            if shifted { recording.zone.to_offset(instant).seconds() } else { recording.offset_s };
        let shift_days = match (shifted, recording.first_day()) {
            (true, Some(first)) => days_between(first, local(&recording.zone, instant).date()),
            _ => 0,
        };
        let now = local(&zone, instant);
        let abbreviation = if zone_name == recording.zone_name && offset_s == recording.offset_s {
            recording.abbreviation.clone()
        } else {
            abbreviation(&zone_name, &zone, instant)
        };
        Ok(Self {
            host,
            zone_name,
            abbreviation,
            offset_s,
            skew_s: i64::from(offset_s) - i64::from(anchor_s),
            shift_days,
            today: now.date(),
            present: shifted.then(|| floored(now)),
        })
    }

    /// First and last day of the answer; the window of no days is first = last + 1.
    pub(super) fn days(&self, asked: &AskedDays) -> Result<(Date, Date), Refusal> {
        match *asked {
            AskedDays::Window { past, forecast } => Ok((self.day(-past), self.day(forecast - 1))),
            AskedDays::Range(first, last) => {
                let (from, to) = match self.host {
                    Host::Forecast => {
                        (self.day(-FORECAST_REACH_DAYS.0), self.day(FORECAST_REACH_DAYS.1))
                    }
                    Host::Archive => (ARCHIVE_FIRST, self.today),
                };
                for (key, date) in [("start_date", first), ("end_date", last)] {
                    if !(from..=to).contains(&date) {
                        return Err(Refusal::DateRange { key, from, to });
                    }
                }
                Ok((first, last))
            }
        }
    }

    fn day(&self, ahead: i64) -> Date {
        self.today.saturating_add(Span::new().days(ahead))
    }

    /// The answer's time of a recorded local time.
    pub(super) fn replayed(&self, recorded: DateTime) -> DateTime {
        recorded
            .saturating_add(SignedDuration::from_secs(self.skew_s))
            .saturating_add(Span::new().days(self.shift_days))
    }

    /// The recorded hour that holds the answer's local time. In zones that are half an hour off,
    /// the hour it lies in.
    pub(super) fn recorded_hour(&self, answered: DateTime) -> DateTime {
        let recorded = answered
            .saturating_sub(SignedDuration::from_secs(self.skew_s))
            .saturating_sub(Span::new().days(self.shift_days));
        recorded.date().at(recorded.hour(), 0, 0, 0)
    }

    /// The recorded day served as the answer's day.
    pub(super) fn recorded_day(&self, answered: Date) -> Date {
        answered.saturating_sub(Span::new().days(self.shift_days))
    }

    /// The time of `current`: the present quarter of an hour when shifted, the recorded otherwise.
    pub(super) fn current(&self, recorded: DateTime) -> DateTime {
        self.present.unwrap_or_else(|| self.replayed(recorded))
    }
}

fn local(zone: &TimeZone, instant: Timestamp) -> DateTime {
    zone.to_datetime(instant)
}

fn days_between(from: Date, to: Date) -> i64 {
    from.until(to).map_or(0, |span| i64::from(span.get_days()))
}

fn floored(now: DateTime) -> DateTime {
    let into = (i64::from(now.minute()) * 60 + i64::from(now.second())) % CURRENT_INTERVAL_S;
    let whole = now.date().at(now.hour(), now.minute(), now.second(), 0);
    whole.saturating_sub(SignedDuration::from_secs(into))
}

fn abbreviation(name: &str, zone: &TimeZone, instant: Timestamp) -> String {
    if name == "GMT" {
        return name.to_owned();
    }
    zone.to_offset_info(instant).abbreviation().to_owned()
}
