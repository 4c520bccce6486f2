//! How does the canonical string that a client says it has signed differ from the gateway's?

use super::recipe::{Guess, Layout, Line, Lines, Recipe, explained};
use super::report::{LineDifference, Part};
use super::text::compared;

/// A client's canonical string beside the gateway's.
pub(super) struct Claim {
    pub(super) lines: Vec<LineDifference>,
    pub(super) notes: Vec<String>,
    /// Whether the signature was made from the text.
    fits: bool,
}

impl Claim {
    /// Compares `text` line by line, and asks whether the signature comes from it at all.
    pub(super) fn new(
        text: &str,
        received: Lines<'_>,
        bases: &[Recipe<'_>],
        guesses: &[Guess],
    ) -> Self {
        let mut notes = Vec::new();
        // A file ends with a line feed that the client need not have signed.
        let bare = text.strip_suffix('\n').unwrap_or(text);
        let bare = bare.strip_suffix('\r').unwrap_or(bare);
        let unix = bare.replace("\r\n", "\n");
        if unix != bare {
            notes.push("the lines of the client's string end in CRLF".to_owned());
        }
        let lines = Lines::of(&unix);
        if lines.is_none() {
            let count = unix.split('\n').count();
            notes.push(format!("the client's string has {count} line(s); it should have six"));
        }
        let fits = [text, bare].iter().any(|text| made_from(text, bases, guesses));
        notes.push(if fits {
            "the signature was made from the client's string".to_owned()
        } else {
            "the signature was not made from the client's string with this secret".to_owned()
        });
        let lines = lines.map_or_else(Vec::new, |signed| differences(signed, received));
        Self { lines, notes, fits }
    }

    /// The sentence that the comparison alone gives; none when it says too little.
    pub(super) fn verdict(&self) -> Option<String> {
        if self.lines.is_empty() {
            return None;
        }
        let differing: Vec<&LineDifference> = self.lines.iter().filter(|line| !line.same).collect();
        if differing.is_empty() {
            let same = "both canonical strings are the same, so it was made with another secret";
            return (!self.fits).then(|| same.to_owned());
        }
        let names: Vec<&str> = differing.iter().map(|line| line.line).collect();
        let values: Vec<String> =
            differing.iter().map(|line| compared(&line.signed, &line.received)).collect();
        let (names, values) = (names.join(" and the "), values.join("; "));
        Some(format!("the canonical strings differ in the {names}: {values}"))
    }
}

fn differences(signed: Lines<'_>, received: Lines<'_>) -> Vec<LineDifference> {
    let difference = |line: Line| LineDifference {
        line: line.name(),
        same: signed.get(line) == received.get(line),
        signed: signed.get(line).to_owned(),
        received: received.get(line).to_owned(),
    };
    Line::ALL.map(difference).into()
}

/// Whether the signature comes from this text, with the secret or the signature read in any way.
fn made_from(text: &str, bases: &[Recipe<'_>], guesses: &[Guess]) -> bool {
    let lines = Lines { method: text, path: "", query: "", timestamp: "", nonce: "", body: "" };
    let layout = Layout { joint: "", ..Layout::RIGHT };
    let bases: Vec<Recipe<'_>> =
        bases.iter().map(|base| Recipe { lines, layout, ..*base }).collect();
    let of_the_making =
        |guess: &&Guess| matches!(guess.part, Part::Secret | Part::Signature | Part::Digest);
    bases.iter().any(Recipe::fits)
        || guesses
            .iter()
            .filter(of_the_making)
            .any(|guess| !explained(&bases, std::slice::from_ref(guess)).is_empty())
}
