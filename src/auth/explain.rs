//! Which part of a signed request differs from what its client signed?
//!
//! For an operator who has the client's secret and a captured request. The answer that the gateway
//! would give comes from the verifier itself. What the client did instead is found by trial: each
//! part of the signature is made in the other ways that clients are known to make it, one at a
//! time and then two together. An explanation never holds a secret; the expected signature is
//! as good as a credential for this request, so it shows itself only where it is asked for.

use std::time::Duration;

use http::request::Parts;

use super::client::{ClientRule, sign};
use super::error::SignatureError;
use super::rule::{RuleError, check_id};
use super::signature::{self, SignatureRule, SignatureVerifier, decoded};
use crate::clock::Now;

mod claim;
mod guesses;
mod queries;
mod recipe;
mod report;
mod secrets;
mod seen;
mod text;
mod verdict;

use self::claim::Claim;
use self::guesses::guesses;
use self::recipe::{Change, Guess, Layout, Lines, Recipe, explained};
pub use self::report::{
    Answer, Asked, Deviation, ExpectedSignature, Explanation, LineDifference, Part, SecretText,
};
use self::seen::{Seen, value};
pub use self::text::printable_text;
use self::verdict::{advice, notes, verdict};

/// Explains what becomes of a signed request and why.
///
/// # Errors
///
/// [`RuleError`] for a skew that is too wide, or for more secrets than a client may have.
pub fn explain(
    parts: &Parts,
    body: &[u8],
    asked: &Asked<'_>,
    now: Now,
) -> Result<Explanation, RuleError> {
    let refused = refusal(parts, body, asked, now)?;
    let seen = Seen::of(parts, body);
    let keys = asked.keys();
    let signature = decoded(seen.signature.as_bytes());
    let base = Recipe {
        lines: seen.lines(),
        layout: Layout::RIGHT,
        key: None,
        uses_sha512: false,
        signature: signature.as_ref().map(<[u8; 32]>::as_slice),
    };
    let mut bases: Vec<Recipe<'_>> =
        keys.iter().map(|key| Recipe { key: Some(key.bytes()), ..base }).collect();
    if bases.is_empty() {
        bases.push(base);
    }
    let fitting = bases.iter().position(Recipe::fits);
    let guesses = guesses(&seen.received(parts, body, asked));
    let may_search = fitting.is_none() && !seen.is_incomplete();
    let found = if may_search { explained(&bases, &guesses) } else { Vec::new() };
    let deviations: Vec<Deviation> =
        found.into_iter().map(|guess| deviation(guess, base.lines)).collect();
    let canonical = base.text();
    let claim = asked.claimed.map(|text| Claim::new(text, base.lines, &bases, &guesses));
    let mut notes = notes(asked, &keys, fitting, refused.is_none());
    notes.extend(claim.iter().flat_map(|claim| claim.notes.clone()));
    Ok(Explanation {
        holds: refused.is_none(),
        verdict: verdict(refused.as_ref(), fitting.is_some(), &deviations, claim.as_ref(), &seen),
        advice: advice(refused.as_ref(), &deviations, &seen),
        answer: Answer {
            status: refused.as_ref().map(|_| 403),
            code: refused.as_ref().map(SignatureError::code),
            reason: refused.as_ref().map(ToString::to_string),
        },
        expected: keys.first().and_then(|key| sign(key, &canonical)).map(ExpectedSignature),
        canonical,
        deviations,
        lines: claim.map(|claim| claim.lines).unwrap_or_default(),
        notes,
    })
}

/// What the gateway's own verifier says to the request, if the client is configured.
fn refusal(
    parts: &Parts,
    body: &[u8],
    asked: &Asked<'_>,
    now: Now,
) -> Result<Option<SignatureError>, RuleError> {
    let sent = value(&parts.headers, &signature::CLIENT).0;
    // An id that no configuration can have is unknown to this verifier too.
    let id = sent.filter(|id| check_id(id).is_ok()).unwrap_or_else(|| "-".to_owned());
    let secrets = asked.keys().into_iter().map(Into::into).collect();
    let clients = vec![ClientRule { id, secrets, scopes: String::new() }];
    let rule = SignatureRule { clients, skew: asked.skew, nonce_kept: Duration::ZERO };
    let verifier = SignatureVerifier::new(rule)?;
    Ok(verifier.verify(parts, body, asked.methods, now).err())
}

fn deviation(guess: &Guess, lines: Lines<'_>) -> Deviation {
    let changed = match &guess.change {
        Change::Lines(changes) => changes.iter().find(|(line, text)| lines.get(*line) != text),
        Change::Layout(_) | Change::Key(_) | Change::Signature(_) | Change::Sha512(_) => None,
    };
    Deviation {
        part: guess.part,
        what: guess.what.to_string(),
        signed: changed.map(|(_, text)| text.clone()),
        received: changed.map(|(line, _)| lines.get(*line).to_owned()),
        advice: guess.advice,
    }
}

#[cfg(test)]
mod tests;
