//! What did the client ask, and what does it get to see?

pub mod answer;
mod plot;
mod points;
pub mod query;
mod view;
mod week;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use chassis::clock::Now;
use chassis::envelope::Failure;
use chassis::openapi::Envelope;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answers::Answers;
use crate::answers::answer::{Answered, Asked};
use crate::domain::ask::{Ask, ProviderName};
use crate::domain::report::{Report, coming_hours, newest_hours};
use crate::domain::week::weeks;
use crate::http::answer::{Freshness, no_answer, reported};
use crate::http::query::{Pairs, QueryRules};
use crate::http::view::{CurrentView, DailyView, HourlyView, WeeklyView};
use crate::providers::Provider;
use crate::time::timestamp;
use crate::warm::WarmPoints;

/// How long each kind of answer counts as fresh.
#[derive(Clone, Copy, Debug)]
pub struct FreshTimes {
    /// For the newest observation.
    pub current: Duration,
    /// For hours.
    pub hourly: Duration,
    /// For days.
    pub daily: Duration,
    /// For weeks, which are made of days.
    pub weekly: Duration,
}

/// What the handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Where answers come from.
    pub answers: Answers,
    /// What a client may ask.
    pub rules: Arc<QueryRules>,
    /// How long answers count as fresh.
    pub fresh: FreshTimes,
    /// What is fetched before anybody asks.
    pub points: WarmPoints,
}

/// What the document says of the whole.
#[derive(utoipa::OpenApi)]
#[openapi(info(title = "weather", description = "Current, hourly, daily and weekly weather."))]
struct Document;

/// The routes of the service, documented.
pub fn routes(weather: Weather) -> OpenApiRouter {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(current))
        .routes(routes!(hourly))
        .routes(routes!(daily))
        .routes(routes!(weekly))
        .routes(routes!(week::week))
        .merge(points::routes())
        .with_state(weather)
}

/// The newest observation at a place.
#[utoipa::path(
    get, path = "/api/v1/weather/current/", params(query::PlaceParams),
    responses((status = 200, description = "The newest observation.", body = inline(Envelope<CurrentView>)))
)]
async fn current(State(weather): State<Weather>, Query(pairs): Query<Pairs>) -> Response {
    let asked = match query::current(&pairs, &weather.rules) {
        Ok(asked) => asked,
        Err(faults) => return Failure::fields(faults).into_response(),
    };
    weather
        .respond(&asked, weather.fresh.current, Now::read(), |ask, report, _| match report {
            Report::Current(observation) => Some(CurrentView::new(ask, observation)),
            Report::Hourly(_) | Report::Daily(_) => None,
        })
        .await
}

/// Hours from the running one on.
#[utoipa::path(
    get, path = "/api/v1/weather/hourly/", params(query::PlaceParams, query::HoursParams),
    responses((status = 200, description = "Hours, oldest first.", body = inline(Envelope<HourlyView>)))
)]
async fn hourly(State(weather): State<Weather>, Query(pairs): Query<Pairs>) -> Response {
    let now = Now::read();
    let (asked, count) = match query::hourly(&pairs, &weather.rules) {
        Ok(asked) => asked,
        Err(faults) => return Failure::fields(faults).into_response(),
    };
    weather
        .respond(&asked, weather.fresh.hourly, now, |ask, report, provider| match report {
            Report::Hourly(hours) => {
                let hours = match ask.provider {
                    ProviderName::OpenMeteo => coming_hours(hours, timestamp(now), count),
                    ProviderName::NasaPower => newest_hours(hours, count),
                };
                Some(HourlyView::new(ask, hours, provider.time_standard(ask.question)))
            }
            Report::Current(_) | Report::Daily(_) => None,
        })
        .await
}

/// The days of a range.
#[utoipa::path(
    get, path = "/api/v1/weather/daily/", params(query::PlaceParams, query::RangeParams),
    responses((status = 200, description = "Days, oldest first.", body = inline(Envelope<DailyView>)))
)]
async fn daily(State(weather): State<Weather>, Query(pairs): Query<Pairs>) -> Response {
    let now = Now::read();
    let providers = weather.answers.providers();
    let (asked, _, _) = match query::daily(&pairs, &weather.rules, providers, timestamp(now)) {
        Ok(asked) => asked,
        Err(faults) => return Failure::fields(faults).into_response(),
    };
    weather
        .respond(&asked, weather.fresh.daily, now, |ask, report, provider| match report {
            Report::Daily(days) => {
                let expected_until = query::expected_until(ask, provider, timestamp(now));
                let standard = provider.time_standard(ask.question);
                Some(DailyView::new(ask, days, expected_until, standard))
            }
            Report::Current(_) | Report::Hourly(_) => None,
        })
        .await
}

/// The days of a range, by weeks from Monday to Sunday.
#[utoipa::path(
    get, path = "/api/v1/weather/weekly/", params(query::PlaceParams, query::RangeParams),
    responses((status = 200, description = "Weeks, oldest first.", body = inline(Envelope<WeeklyView>)))
)]
async fn weekly(State(weather): State<Weather>, Query(pairs): Query<Pairs>) -> Response {
    let now = Now::read();
    let providers = weather.answers.providers();
    let (asked, start, end) = match query::daily(&pairs, &weather.rules, providers, timestamp(now))
    {
        Ok(asked) => asked,
        Err(faults) => return Failure::fields(faults).into_response(),
    };
    weather
        .respond(&asked, weather.fresh.weekly, now, |ask, report, provider| match report {
            Report::Daily(days) => {
                let expected_until = query::expected_until(ask, provider, timestamp(now));
                let standard = provider.time_standard(ask.question);
                Some(WeeklyView::new(ask, &weeks(days, start, end), expected_until, standard))
            }
            Report::Current(_) | Report::Hourly(_) => None,
        })
        .await
}

impl Weather {
    /// Finds the answer and shows it as `view` says, with the headers that tell its age. The
    /// question and provider given to `view` are those that were answered.
    async fn respond<V: serde::Serialize>(
        &self,
        asked: &Asked,
        fresh_for: Duration,
        now: Now,
        view: impl FnOnce(&Ask, &Report, &dyn Provider) -> Option<V>,
    ) -> Response {
        let Answered { ask, kept, origin, fresh_for } =
            match self.answers.answer(asked, fresh_for, now).await {
                Ok(answered) => answered,
                Err(failure) => return no_answer(&failure),
            };
        let provider = self.answers.providers().named(ask.provider);
        let Some(view) = view(&ask, &kept.report, provider) else {
            tracing::error!(kind = ask.question.kind(), "the answer is of another kind");
            return Failure::internal().into_response();
        };
        let freshness = Freshness { origin, age: kept.age(now), fresh_for };
        reported(&view, freshness, provider.attribution())
    }
}
