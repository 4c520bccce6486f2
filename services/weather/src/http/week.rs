//! How does a week look? Seven days as a picture.

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use chassis::clock::Now;
use chassis::envelope::Failure;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use utoipa::IntoParams;

use super::Weather;
use super::answer::{Freshness, drawn, no_answer};
use super::plot::Plot;
use super::query::{self, Pairs, QueryRules};
use crate::answers::answer::Answered;
use crate::domain::ask::ProviderName;
use crate::domain::place::Zone;
use crate::domain::report::Report;
use crate::time::timestamp;

/// From the first day of a week to its last.
const LAST_DAY_AFTER: i64 = 6;

/// Which week is wanted, for documents.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
struct WeekParams {
    /// First of the seven days. Unless given: today at the place, or the last week of a provider
    /// that knows no coming days.
    start: Option<Date>,
}

/// Seven days as a picture: temperatures, precipitation and wind.
#[utoipa::path(
    get, path = "/api/v1/weather/week.svg", params(query::PlaceParams, WeekParams),
    responses(
        (status = 200, description = "An SVG. Days without data are gaps.", body = String, content_type = "image/svg+xml"),
        (status = 304, description = "The client has this picture: `If-None-Match` names its `ETag`.")
    )
)]
pub(super) async fn week(
    State(weather): State<Weather>,
    Query(pairs): Query<Pairs>,
    headers: HeaderMap,
) -> Response {
    let now = Now::read();
    let providers = weather.answers.providers();
    let named = pairs.iter().rev().find(|(key, _)| key == "provider");
    let named = named.and_then(|(_, name)| ProviderName::named(name.trim()));
    let provider = providers.named(named.unwrap_or(weather.rules.default_provider));
    let last_day = |today| *provider.days_available(today).end();
    let pairs = with_range(pairs, &weather.rules, timestamp(now), last_day);
    let (asked, start, end) = match query::daily(&pairs, &weather.rules, providers, timestamp(now))
    {
        Ok(asked) => asked,
        Err(faults) => return Failure::fields(faults).into_response(),
    };
    let answered = weather.answers.answer(&asked, weather.fresh.daily, now).await;
    let Answered { ask, kept, origin, fresh_for } = match answered {
        Ok(answered) => answered,
        Err(failure) => return no_answer(&failure),
    };
    let provider = providers.named(ask.provider);
    let Report::Daily(days) = kept.report.as_ref() else {
        tracing::error!(kind = ask.question.kind(), "the answer is of another kind");
        return Failure::internal().into_response();
    };
    let expected_until = query::expected_until(&ask, provider, timestamp(now));
    let attribution = provider.attribution();
    let plot = Plot { ask: &ask, days, start, end, expected_until, attribution };
    // Seven days are drawn in less time than a change of threads takes.
    match plot.svg() {
        Ok(svg) => {
            let freshness = Freshness { origin, age: kept.age(now), fresh_for };
            drawn(svg, freshness, attribution, &headers)
        }
        Err(error) => {
            tracing::error!(%error, "a week could not be drawn");
            Failure::internal().into_response()
        }
    }
}

/// The question for the days of a week: with its end, and with its start if that is not given.
/// `last_day` is the last one that the provider can answer for, seen from today. What is wrong
/// with the question is told as for any range of days.
fn with_range(
    mut pairs: Pairs,
    rules: &QueryRules,
    now: Timestamp,
    last_day: impl FnOnce(Date) -> Date,
) -> Pairs {
    let last =
        |name: &str| pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.trim());
    let given = last("start");
    let zone = last("tz").and_then(Zone::named);
    let today = zone.as_ref().unwrap_or(&rules.default_zone).day_of(now);
    let newest = last_day(today).checked_sub(LAST_DAY_AFTER.days()).unwrap_or(today);
    let default = today.min(newest);
    let start = given.and_then(|text| text.parse::<Date>().ok()).unwrap_or(default);
    let end = start.checked_add(LAST_DAY_AFTER.days()).unwrap_or(start);
    let has_start = given.is_some();
    pairs.retain(|(key, _)| key != "end");
    pairs.push(("end".to_owned(), end.to_string()));
    if !has_start {
        pairs.push(("start".to_owned(), default.to_string()));
    }
    pairs
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::domain::ask::ProviderName;

    #[track_caller]
    fn check(query: &[(&str, &str)], start: Option<&str>, end: &str) {
        check_until(16, query, start, end);
    }

    #[track_caller]
    fn check_until(days_ahead: i64, query: &[(&str, &str)], start: Option<&str>, end: &str) {
        let rules = QueryRules {
            default_zone: Zone::named("Africa/Nairobi").unwrap(),
            default_provider: ProviderName::OpenMeteo,
            range_days_max: 366,
        };
        let pairs: Pairs =
            query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        // It is 00:30 on the 24th in Nairobi, and still the 23rd in London.
        let now = "2026-11-23T21:30:00Z".parse().unwrap();
        let ranged =
            with_range(pairs, &rules, now, |today| today.checked_add(days_ahead.days()).unwrap());
        let last = |name: &str| {
            ranged.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        assert_eq!((last("start"), last("end")), (start, Some(end)), "{query:?}");
    }

    #[test]
    fn week_begins_today_at_the_place_unless_asked_otherwise() {
        check(&[], Some("2026-11-24"), "2026-11-30");
        check(&[("tz", "Europe/London")], Some("2026-11-23"), "2026-11-29");
        check(&[("start", "2026-11-01")], Some("2026-11-01"), "2026-11-07");
    }

    #[test]
    fn week_of_a_provider_without_a_forecast_ends_with_its_last_day() {
        check_until(0, &[], Some("2026-11-18"), "2026-11-24");
        check_until(0, &[("start", "2026-11-24")], Some("2026-11-24"), "2026-11-30");
    }

    #[test]
    fn end_of_a_week_cannot_be_asked_for() {
        check(&[("end", "2027-01-01")], Some("2026-11-24"), "2026-11-30");
    }

    #[test]
    fn faults_are_left_for_the_check_of_ranges() {
        check(&[("start", "soon")], Some("soon"), "2026-11-30");
        check(&[("start", "9999-12-31")], Some("9999-12-31"), "9999-12-31");
        check(&[("tz", "Mars/Base")], Some("2026-11-24"), "2026-11-30");
    }
}
