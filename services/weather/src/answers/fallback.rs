//! Who is asked instead, when a provider that the client did not choose has failed? Pure.

use jiff::civil::Date;

use crate::domain::ask::{Ask, ProviderName, Question};
use crate::domain::day::Day;
use crate::domain::report::Report;

/// The question that NASA POWER can answer instead of Open-Meteo. It knows no coming time, so
/// hours and ranges that reach beyond `today` have no other source.
#[must_use]
pub fn instead_of(ask: &Ask, today: Date) -> Option<Ask> {
    let past = match ask.question {
        Question::Current => true,
        Question::Hourly => false,
        Question::Daily { end, .. } => end <= today,
    };
    let other = Ask { provider: ProviderName::NasaPower, ..ask.clone() };
    (ask.provider == ProviderName::OpenMeteo && past).then_some(other)
}

/// Whether an answer from elsewhere says anything at all; days within the lag do not.
#[must_use]
pub fn is_of_use(report: &Report) -> bool {
    match report {
        Report::Current(_) => true,
        Report::Hourly(hours) => !hours.is_empty(),
        Report::Daily(days) => !days.iter().all(Day::is_empty),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::domain::place::{Cell, Zone};
    use jiff::civil::date;

    const TODAY: Date = date(2026, 11, 24);

    fn ask(provider: ProviderName, question: Question) -> Ask {
        let zone = Zone::named("Africa/Nairobi").unwrap();
        Ask { provider, question, cell: Cell::of(-1.29, 36.82), zone }
    }

    fn until(end: Date) -> Question {
        Question::Daily { start: date(2026, 11, 1), end }
    }

    #[test]
    fn only_past_time_has_another_source() {
        for (question, expected) in [
            (Question::Current, true),
            (Question::Hourly, false),
            (until(TODAY), true),
            (until(date(2026, 11, 25)), false),
        ] {
            let other = instead_of(&ask(ProviderName::OpenMeteo, question), TODAY);
            let expected = expected.then(|| ask(ProviderName::NasaPower, question));
            assert_eq!(other, expected, "{question:?}");
        }
        assert_eq!(instead_of(&ask(ProviderName::NasaPower, until(TODAY)), TODAY), None);
    }

    #[test]
    fn days_of_which_nothing_is_known_are_of_no_use() {
        let mut day = Day {
            day: TODAY,
            t_min_c: None,
            t_max_c: None,
            precipitation_mm: None,
            wind_speed_max_mps: None,
        };
        assert!(!is_of_use(&Report::Daily(vec![day])));
        day.t_max_c = Some(1.0);
        assert!(is_of_use(&Report::Daily(vec![day])));
    }
}
