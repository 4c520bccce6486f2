//! Does a policy with `fresh: upstream` keep to RFC 9111, 9110, 5861, 9211 and 9213? Each case is
//! named after the sentence that it shows.

mod age;
mod case;
mod changes;
mod client;
mod conditions;
mod confirming;
mod fields;
mod freshness;
mod parts;
mod ranges;
mod stale;
mod storing;
mod variants;
