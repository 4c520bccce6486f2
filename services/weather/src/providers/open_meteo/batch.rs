//! Which questions fit into one call, and which part of the answer belongs to whom? Pure.

use axum::body::Bytes;
use serde_json::value::RawValue;

use crate::domain::ask::{Ask, Question};
use crate::providers::failure::ProviderError;

/// Points in one call at most: an answer about so many points and a year of days stays below the
/// bound of a body, and the address below that of any server.
const POINTS_PER_CALL_MAX: u8 = 50;

/// How many points of this weight each fit into a call that may weigh `largest`; at least one.
#[must_use]
pub fn points_max(weight: f64, largest: f64) -> usize {
    let fits = |points: &u8| f64::from(*points) * weight <= largest;
    usize::from((1..=POINTS_PER_CALL_MAX).take_while(fits).last().unwrap_or(1))
}

/// Places in `asks` that can be asked together: same question, same zone, and no more of them than
/// `points_max` says (at least one). Groups come in the order of their first ask.
#[must_use]
pub fn groups(asks: &[Ask], points_max: impl Fn(Question) -> usize) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, ask) in asks.iter().enumerate() {
        let joins = |group: &&mut Vec<usize>| {
            let first = group.first().and_then(|first| asks.get(*first));
            group.len() < points_max(ask.question)
                && first.is_some_and(|first| {
                    first.question == ask.question && first.zone.name() == ask.zone.name()
                })
        };
        match groups.iter_mut().rev().find(joins) {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
}

/// The answers for `count` points, each as if it had been asked for alone. One point is answered
/// with an object, several with an array in the order in which they were asked.
///
/// # Errors
/// [`ProviderError::InvalidResponse`] when it is not JSON or holds another number of answers.
pub fn split(body: &Bytes, count: usize) -> Result<Vec<Bytes>, ProviderError> {
    if count == 1 {
        return Ok(vec![body.clone()]);
    }
    let parts: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| ProviderError::invalid(format!("it is not the JSON expected: {error}")))?;
    if parts.len() != count {
        return Err(ProviderError::invalid(format!(
            "{count} points were asked for, {} were answered",
            parts.len()
        )));
    }
    // Copies, so that one kept part does not hold the whole body in memory.
    Ok(parts.into_iter().map(|part| Bytes::copy_from_slice(part.get().as_bytes())).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::domain::ask::ProviderName;
    use crate::domain::place::{Cell, Zone};

    fn ask(question: Question, lat: f64, zone: &str) -> Ask {
        Ask {
            provider: ProviderName::OpenMeteo,
            question,
            cell: Cell::of(lat, 36.8),
            zone: Zone::named(zone).unwrap(),
        }
    }

    #[test]
    fn only_the_place_may_differ_within_a_call() {
        let (nairobi, berlin) = ("Africa/Nairobi", "Europe/Berlin");
        let asks = [
            ask(Question::Current, 1.0, nairobi),
            ask(Question::Hourly, 1.0, nairobi),
            ask(Question::Current, 2.0, nairobi),
            ask(Question::Current, 3.0, berlin),
            ask(Question::Current, 4.0, nairobi),
            ask(Question::Current, 5.0, nairobi),
        ];
        assert_eq!(groups(&asks, |_| 3), [vec![0, 2, 4], vec![1], vec![3], vec![5]]);
    }

    #[test]
    fn call_is_no_heavier_than_the_budget_allows() {
        assert_eq!(points_max(1.0, f64::INFINITY), 50);
        assert_eq!(points_max(10.4, 420.0), 40);
        assert_eq!(points_max(10.4, 5.0), 1);
    }

    #[test]
    fn each_point_gets_its_part() {
        let body = Bytes::from_static(br#"[{"a": 1.50}, {"a": [2]}]"#);
        let parts = split(&body, 2).unwrap();
        assert_eq!(parts, [&br#"{"a": 1.50}"#[..], br#"{"a": [2]}"#]);
        let alone = Bytes::from_static(b"{}");
        assert_eq!(split(&alone, 1).unwrap(), [&b"{}"[..]]);
    }

    #[test]
    fn other_number_of_answers_is_refused() {
        for body in [&b"[{}]"[..], b"[{},{},{}]", b"{}", b"[{},{}] timeoutReached"] {
            let parts = split(&Bytes::from_static(body), 2);
            assert!(matches!(parts, Err(ProviderError::InvalidResponse { .. })), "{body:?}");
        }
    }
}
