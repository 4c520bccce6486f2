//! Is the client's question one that can be asked? Pure.
//!
//! All faults of fields are told at once, in the order lat, lon, tz, provider, start, end, hours.
//! Faults between fields are told once the fields are right. Of a repeated key the last counts.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};

use chassis::envelope::FieldErrors;
use utoipa::IntoParams;

use crate::answers::answer::Asked;
use crate::domain::ask::{Ask, ProviderName, Question};
use crate::domain::place::{Cell, Zone};
use crate::domain::point::Point;
use crate::providers::{Provider, Providers};

/// The pairs of a query string in their order.
pub type Pairs = Vec<(String, String)>;

/// Most hours a client may ask for.
const HOURS_MAX: usize = 168;

/// Hours given to a client that does not say.
const HOURS_DEFAULT: usize = 48;

/// The parameters of every question, for documents.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct PlaceParams {
    /// Degrees north.
    #[param(minimum = -90, maximum = 90)]
    lat: f64,
    /// Degrees east.
    #[param(minimum = -180, maximum = 180)]
    lon: f64,
    /// IANA time zone in whose calendar days are counted.
    tz: Option<String>,
    /// `open_meteo` or `nasa_power`. When it is named, no other one answers.
    provider: Option<String>,
}

/// How many hours are wanted, for documents.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct HoursParams {
    /// Hours from the running one on; of `nasa_power` the newest known ones.
    #[param(minimum = 1, maximum = 168, default = 48)]
    hours: Option<u32>,
}

/// Which days are wanted, for documents.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct RangeParams {
    /// First day.
    start: Date,
    /// Last day, not before the first.
    end: Date,
}

const REQUIRED: &str = "This field is required.";

/// What a client may ask and what is assumed when it does not say.
#[derive(Clone, Debug)]
pub struct QueryRules {
    /// Zone of a client that names none.
    pub default_zone: Zone,
    /// Provider of a client that names none.
    pub default_provider: ProviderName,
    /// Most days between start and end.
    pub range_days_max: i32,
}

/// The point that is to be kept warm, or no longer.
///
/// # Errors
/// Faults by field.
pub fn point(pairs: &[(String, String)], rules: &QueryRules) -> Result<Point, FieldErrors> {
    let mut reader = Reader::new(pairs);
    let place = reader.place(rules);
    reader.finish(place.map(|place| Point { cell: place.cell, zone: place.zone }))
}

/// The question of `/current/`.
///
/// # Errors
/// Faults by field.
pub fn current(pairs: &[(String, String)], rules: &QueryRules) -> Result<Asked, FieldErrors> {
    let mut reader = Reader::new(pairs);
    let place = reader.place(rules);
    reader.finish(place.map(|place| place.ask(Question::Current)))
}

/// The question of `/hourly/` and how many hours are wanted.
///
/// # Errors
/// Faults by field.
pub fn hourly(
    pairs: &[(String, String)],
    rules: &QueryRules,
) -> Result<(Asked, usize), FieldErrors> {
    let mut reader = Reader::new(pairs);
    let place = reader.place(rules);
    let hours = reader.hours();
    reader.finish(place.zip(hours).map(|(place, hours)| (place.ask(Question::Hourly), hours)))
}

/// The question of `/daily/` and `/weekly/`, with its first and last day.
///
/// # Errors
/// Faults by field, or between start and end.
pub fn daily(
    pairs: &[(String, String)],
    rules: &QueryRules,
    providers: &Providers,
    now: Timestamp,
) -> Result<(Asked, Date, Date), FieldErrors> {
    let mut reader = Reader::new(pairs);
    let place = reader.place(rules);
    let (start, end) = (reader.date("start"), reader.date("end"));
    let dates = start.zip(end);
    let (place, (start, end)) = reader.finish(place.zip(dates))?;
    range(start, end, rules.range_days_max)?;
    available(start, end, &place.zone, providers.named(place.provider), now)?;
    Ok((place.ask(Question::Daily { start, end }), start, end))
}

/// The last day for which `provider` should have data: today at the place, less its lag.
#[must_use]
pub fn expected_until(ask: &Ask, provider: &dyn Provider, now: Timestamp) -> Date {
    let today = ask.zone.day_of(now);
    today.checked_sub(i64::from(provider.lag_days()).days()).unwrap_or(today)
}

fn range(start: Date, end: Date, days_max: i32) -> Result<(), FieldErrors> {
    if start > end {
        let text = "start must be on or before end.";
        return Err(FieldErrors::one(FieldErrors::NON_FIELD, text));
    }
    if (end - start).get_days() > days_max {
        let text = "Requested range exceeds WEATHER_MAX_RANGE_DAYS.";
        return Err(FieldErrors::one(FieldErrors::NON_FIELD, text));
    }
    Ok(())
}

fn available(
    start: Date,
    end: Date,
    zone: &Zone,
    provider: &dyn Provider,
    now: Timestamp,
) -> Result<(), FieldErrors> {
    let days = provider.days_available(zone.day_of(now));
    let mut faults = FieldErrors::new();
    if start < *days.start() {
        faults.push("start", format!("Days before {} are not available.", days.start()));
    }
    if end > *days.end() {
        faults.push("end", format!("Days after {} are not available yet.", days.end()));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

struct Place {
    cell: Cell,
    zone: Zone,
    provider: ProviderName,
    provider_named: bool,
}

impl Place {
    fn ask(self, question: Question) -> Asked {
        let Self { cell, zone, provider, provider_named } = self;
        Asked { ask: Ask { provider, question, cell, zone }, provider_named }
    }
}

/// Reads fields one after the other and collects what is wrong with them.
struct Reader<'a> {
    pairs: &'a [(String, String)],
    faults: FieldErrors,
}

impl<'a> Reader<'a> {
    fn new(pairs: &'a [(String, String)]) -> Self {
        Self { pairs, faults: FieldErrors::new() }
    }

    fn finish<T>(self, value: Option<T>) -> Result<T, FieldErrors> {
        // Every field that yields nothing has said why.
        value.ok_or(self.faults)
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.trim())
    }

    fn fault<T>(&mut self, field: &'static str, text: impl Into<String>) -> Option<T> {
        self.faults.push(field, text);
        None
    }

    fn place(&mut self, rules: &QueryRules) -> Option<Place> {
        let lat = self.degrees("lat", 90.0);
        let lon = self.degrees("lon", 180.0);
        let zone = self.zone(rules);
        let provider = self.provider();
        let cell = Cell::of(lat?, lon?);
        let (zone, named) = (zone?, provider?);
        let provider = named.unwrap_or(rules.default_provider);
        Some(Place { cell, zone, provider, provider_named: named.is_some() })
    }

    /// A coordinate within ±`limit`. `nan` and `inf` are numbers to a parser, not on a map.
    fn degrees(&mut self, field: &'static str, limit: f64) -> Option<f64> {
        let Some(text) = self.value(field) else { return self.fault(field, REQUIRED) };
        match text.parse::<f64>() {
            Ok(degrees) if degrees > limit => {
                self.fault(field, format!("Ensure this value is less than or equal to {limit:?}."))
            }
            Ok(degrees) if degrees < -limit => self
                .fault(field, format!("Ensure this value is greater than or equal to -{limit:?}.")),
            Ok(degrees) if degrees.is_finite() => Some(degrees),
            _ => self.fault(field, "A valid number is required."),
        }
    }

    fn zone(&mut self, rules: &QueryRules) -> Option<Zone> {
        let Some(name) = self.value("tz") else { return Some(rules.default_zone.clone()) };
        match Zone::named(name) {
            Some(zone) => Some(zone),
            None => self.fault("tz", "Invalid timezone."),
        }
    }

    /// The provider that the client chose; `Some(None)` when it chose none.
    fn provider(&mut self) -> Option<Option<ProviderName>> {
        let name = self.value("provider").unwrap_or_default();
        match ProviderName::named(name) {
            Some(provider) => Some(Some(provider)),
            None if name.is_empty() => Some(None),
            None => self.fault("provider", "Unknown provider."),
        }
    }

    fn date(&mut self, field: &'static str) -> Option<Date> {
        let Some(text) = self.value(field) else { return self.fault(field, REQUIRED) };
        // The calendar's parser takes more forms than the one that clients are told.
        let date = text.parse::<Date>().ok().filter(|date| date.to_string() == text);
        match date {
            Some(date) => Some(date),
            None => self.fault(
                field,
                "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.",
            ),
        }
    }

    fn hours(&mut self) -> Option<usize> {
        let Some(text) = self.value("hours") else { return Some(HOURS_DEFAULT) };
        match text.parse::<i64>().map(usize::try_from) {
            Ok(Ok(hours)) if (1..=HOURS_MAX).contains(&hours) => Some(hours),
            Ok(Ok(hours)) if hours > HOURS_MAX => self
                .fault("hours", format!("Ensure this value is less than or equal to {HOURS_MAX}.")),
            Ok(_) => self.fault("hours", "Ensure this value is greater than or equal to 1."),
            Err(_) => self.fault("hours", "A valid integer is required."),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use std::ops::RangeInclusive;
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::civil::date;

    use crate::domain::report::Report;
    use crate::providers::Fetched;
    use crate::providers::failure::ProviderError;

    /// A provider of which only the calendar counts.
    #[derive(Debug)]
    struct Calendar(ProviderName, i64);

    fn calendars() -> Providers {
        Providers {
            open_meteo: Arc::new(Calendar(ProviderName::OpenMeteo, 16)),
            nasa_power: Arc::new(Calendar(ProviderName::NasaPower, 0)),
        }
    }

    #[async_trait::async_trait]
    impl Provider for Calendar {
        fn name(&self) -> ProviderName {
            self.0
        }

        fn attribution(&self) -> &'static str {
            ""
        }

        fn days_available(&self, today: Date) -> RangeInclusive<Date> {
            today.checked_sub(92.days()).unwrap()..=today.checked_add(self.1.days()).unwrap()
        }

        fn lag_days(&self) -> u8 {
            0
        }

        fn time_standard(&self, _question: Question) -> Option<&'static str> {
            None
        }

        fn deadline(&self) -> Duration {
            Duration::ZERO
        }

        async fn fetch(
            &self,
            _ask: &Ask,
            _now: chassis::clock::Now,
        ) -> Result<Fetched, ProviderError> {
            Err(ProviderError::invalid("a calendar knows no weather"))
        }

        fn read(&self, _ask: &Ask, _body: &[u8]) -> Result<Report, ProviderError> {
            Err(ProviderError::invalid("a calendar knows no weather"))
        }
    }

    fn rules() -> QueryRules {
        QueryRules {
            default_zone: Zone::named("Africa/Nairobi").unwrap(),
            default_provider: ProviderName::OpenMeteo,
            range_days_max: 30,
        }
    }

    fn pairs(query: &str) -> Pairs {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    /// 23 November 2026, 22:30 UTC: already the 24th in Nairobi.
    fn ask_days(query: &str) -> Result<(Asked, Date, Date), FieldErrors> {
        let now = "2026-11-23T22:30:00Z".parse().unwrap();
        daily(&pairs(query), &rules(), &calendars(), now)
    }

    #[track_caller]
    fn check(faults: &FieldErrors, expected: &str) {
        assert_eq!(serde_json::to_string(faults).unwrap(), expected);
    }

    #[test]
    fn missing_coordinates_are_named() {
        check(
            &current(&pairs(""), &rules()).unwrap_err(),
            r#"{"lat":["This field is required."],"lon":["This field is required."]}"#,
        );
    }

    #[test]
    fn faults_come_in_the_order_of_the_contract() {
        let query = "provider=x&tz=Mars/Base&lon=east&lat=90.1";
        check(
            &current(&pairs(query), &rules()).unwrap_err(),
            r#"{"lat":["Ensure this value is less than or equal to 90.0."],"lon":["A valid number is required."],"tz":["Invalid timezone."],"provider":["Unknown provider."]}"#,
        );
    }

    #[test]
    fn numbers_that_are_no_place_are_refused() {
        for (lat, text) in [
            ("nan", "A valid number is required."),
            ("", "A valid number is required."),
            ("inf", "Ensure this value is less than or equal to 90.0."),
            ("-inf", "Ensure this value is greater than or equal to -90.0."),
        ] {
            let faults = current(&pairs(&format!("lat={lat}&lon=0")), &rules()).unwrap_err();
            check(&faults, &format!(r#"{{"lat":["{text}"]}}"#));
        }
    }

    #[test]
    fn defaults_stand_in_for_what_is_not_said() {
        let asked = current(&pairs("lat=1&lon=1&lat=-1.29&provider="), &rules()).unwrap();
        let ask = asked.ask;
        assert!(!asked.provider_named);
        assert_eq!((ask.zone.name(), ask.provider), ("Africa/Nairobi", ProviderName::OpenMeteo));
        assert_eq!(ask.cell, Cell::of(-1.29, 1.0));
        check(
            &current(&pairs("lat=1&lon=1&tz="), &rules()).unwrap_err(),
            r#"{"tz":["Invalid timezone."]}"#,
        );
    }

    #[test]
    fn provider_is_named_in_any_case() {
        let asked = current(&pairs("lat=1&lon=1&provider=NASA_Power"), &rules()).unwrap();
        assert_eq!((asked.ask.provider, asked.provider_named), (ProviderName::NasaPower, true));
    }

    #[test]
    fn days_of_the_named_provider_count() {
        let range = "lat=1&lon=1&start=2026-11-20&end=2026-11-25";
        assert!(ask_days(range).is_ok());
        check(
            &ask_days(&format!("{range}&provider=nasa_power")).unwrap_err(),
            r#"{"end":["Days after 2026-11-24 are not available yet."]}"#,
        );
    }

    #[test]
    fn hours_are_a_whole_number_in_range() {
        let hours = |text: &str| hourly(&pairs(&format!("lat=1&lon=1{text}")), &rules());
        assert_eq!(hours("").unwrap().1, 48);
        assert_eq!(hours("&hours=168").unwrap().1, 168);
        for (wrong, bound) in [
            ("0", "greater than or equal to 1"),
            ("-3", "greater than or equal to 1"),
            ("169", "less than or equal to 168"),
        ] {
            check(
                &hours(&format!("&hours={wrong}")).unwrap_err(),
                &format!(r#"{{"hours":["Ensure this value is {bound}."]}}"#),
            );
        }
        check(&hours("&hours=4.5").unwrap_err(), r#"{"hours":["A valid integer is required."]}"#);
    }

    #[test]
    fn dates_have_one_form_only() {
        let wrong = "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.";
        check(
            &ask_days("lat=1&lon=1&start=20261123&end=2026-02-30").unwrap_err(),
            &format!(r#"{{"start":["{wrong}"],"end":["{wrong}"]}}"#),
        );
    }

    #[test]
    fn faults_between_dates_belong_to_no_field() {
        check(
            &ask_days("lat=1&lon=1&start=2026-11-24&end=2026-11-23").unwrap_err(),
            r#"{"non_field_errors":["start must be on or before end."]}"#,
        );
        check(
            &ask_days("lat=1&lon=1&start=2026-10-24&end=2026-11-24").unwrap_err(),
            r#"{"non_field_errors":["Requested range exceeds WEATHER_MAX_RANGE_DAYS."]}"#,
        );
    }

    #[test]
    fn days_the_provider_lacks_are_refused_by_field() {
        check(
            &ask_days("lat=1&lon=1&start=2026-08-23&end=2026-08-30").unwrap_err(),
            r#"{"start":["Days before 2026-08-24 are not available."]}"#,
        );
        check(
            &ask_days("lat=1&lon=1&start=2026-12-01&end=2026-12-11").unwrap_err(),
            r#"{"end":["Days after 2026-12-10 are not available yet."]}"#,
        );
        assert!(ask_days("lat=1&lon=1&start=2026-12-01&end=2026-12-10").is_ok());
    }

    #[test]
    fn today_is_the_day_at_the_place() {
        let (asked, _, _) = ask_days("lat=1&lon=1&start=2026-11-24&end=2026-11-24").unwrap();
        let now = "2026-11-23T22:30:00Z".parse().unwrap();
        let calendar = Calendar(ProviderName::OpenMeteo, 16);
        assert_eq!(expected_until(&asked.ask, &calendar, now), date(2026, 11, 24));
    }
}
