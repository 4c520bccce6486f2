//! How is a signature made, step by step, so that each step can be tried in another way?

use std::borrow::Cow;

use hmac::{Hmac, Mac};
use sha2::{Sha256, Sha512};

use super::report::Part;

/// One of the six fields of the canonical string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Method,
    Path,
    Query,
    Timestamp,
    Nonce,
    Body,
}

impl Line {
    /// All of them, in the order of the contract.
    pub(super) const ALL: [Self; 6] =
        [Self::Method, Self::Path, Self::Query, Self::Timestamp, Self::Nonce, Self::Body];

    /// What an operator calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Path => "path",
            Self::Query => "query",
            Self::Timestamp => "timestamp",
            Self::Nonce => "nonce",
            Self::Body => "body hash",
        }
    }
}

/// The texts of the six fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lines<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) nonce: &'a str,
    pub(super) body: &'a str,
}

impl<'a> Lines<'a> {
    pub(super) fn get(&self, line: Line) -> &'a str {
        match line {
            Line::Method => self.method,
            Line::Path => self.path,
            Line::Query => self.query,
            Line::Timestamp => self.timestamp,
            Line::Nonce => self.nonce,
            Line::Body => self.body,
        }
    }

    pub(super) fn set(&mut self, line: Line, text: &'a str) {
        match line {
            Line::Method => self.method = text,
            Line::Path => self.path = text,
            Line::Query => self.query = text,
            Line::Timestamp => self.timestamp = text,
            Line::Nonce => self.nonce = text,
            Line::Body => self.body = text,
        }
    }

    /// Takes a canonical string apart. Only the path can hold line feeds itself.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        let mut last = text.rsplitn(5, '\n');
        let (body, nonce, timestamp) = (last.next()?, last.next()?, last.next()?);
        let query = last.next()?;
        let (method, path) = last.next()?.split_once('\n')?;
        Some(Self { method, path, query, timestamp, nonce, body })
    }
}

/// How the six fields become one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) order: [Line; 6],
    pub(super) joint: &'static str,
    pub(super) end: &'static str,
    pub(super) skips_empty: bool,
}

impl Layout {
    /// The contract's.
    pub(super) const RIGHT: Self =
        Self { order: Line::ALL, joint: "\n", end: "", skips_empty: false };
}

/// Everything that a signature is made of, and the signature it is to be.
#[derive(Clone, Copy)]
pub(super) struct Recipe<'a> {
    pub(super) lines: Lines<'a>,
    pub(super) layout: Layout,
    /// `None` when the secret cannot be read as the contract wants it.
    pub(super) key: Option<&'a [u8]>,
    pub(super) uses_sha512: bool,
    /// `None` when the signature cannot be read as the contract wants it.
    pub(super) signature: Option<&'a [u8]>,
}

impl Recipe<'_> {
    /// Whether the signature comes out.
    pub(super) fn fits(&self) -> bool {
        let (Some(key), Some(signature)) = (self.key, self.signature) else { return false };
        // HMAC takes a key of any length, so neither of these fails.
        if self.uses_sha512 {
            Hmac::<Sha512>::new_from_slice(key).is_ok_and(|mac| self.makes(mac, signature))
        } else {
            Hmac::<Sha256>::new_from_slice(key).is_ok_and(|mac| self.makes(mac, signature))
        }
    }

    fn makes(&self, mut mac: impl Mac, signature: &[u8]) -> bool {
        self.pieces(|piece| mac.update(piece.as_bytes()));
        mac.verify_slice(signature).is_ok()
    }

    /// The text that is signed.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.pieces(|piece| text.push_str(piece));
        text
    }

    fn pieces(&self, mut take: impl FnMut(&str)) {
        let mut is_first = true;
        for line in self.layout.order {
            let text = self.lines.get(line);
            if self.layout.skips_empty && text.is_empty() {
                continue;
            }
            if !is_first {
                take(self.layout.joint);
            }
            is_first = false;
            take(text);
        }
        take(self.layout.end);
    }
}

/// One step that a client may have taken in another way.
pub(super) struct Guess {
    pub(super) part: Part,
    /// Completes "it was ..".
    pub(super) what: Cow<'static, str>,
    /// What to change in the client.
    pub(super) advice: &'static str,
    pub(super) change: Change,
    /// Whether it is too rare, or one of too many, to be tried together with another.
    pub(super) alone: bool,
}

/// What is done in another way.
pub(super) enum Change {
    Lines(Vec<(Line, String)>),
    Layout(Layout),
    Key(Vec<u8>),
    Signature(Vec<u8>),
    Sha512(Vec<u8>),
}

impl Guess {
    pub(super) fn line(
        part: Part,
        line: Line,
        what: impl Into<Cow<'static, str>>,
        text: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Self::new(part, what, Change::Lines(vec![(line, text.into())]), advice)
    }

    pub(super) fn new(
        part: Part,
        what: impl Into<Cow<'static, str>>,
        change: Change,
        advice: &'static str,
    ) -> Self {
        Self { part, what: what.into(), advice, change, alone: false }
    }

    pub(super) fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// Whether it changes anything at all.
    pub(super) fn differs_from(&self, lines: Lines<'_>) -> bool {
        match &self.change {
            Change::Lines(changes) => changes.iter().any(|(line, text)| lines.get(*line) != text),
            Change::Layout(_) | Change::Key(_) | Change::Signature(_) | Change::Sha512(_) => true,
        }
    }

    fn applied<'a>(&'a self, mut recipe: Recipe<'a>) -> Recipe<'a> {
        match &self.change {
            Change::Lines(changes) => {
                for (line, text) in changes {
                    recipe.lines.set(*line, text);
                }
            }
            Change::Layout(layout) => recipe.layout = *layout,
            Change::Key(key) => recipe.key = Some(key),
            Change::Signature(signature) => recipe.signature = Some(signature),
            Change::Sha512(signature) => {
                recipe.uses_sha512 = true;
                recipe.signature = Some(signature);
            }
        }
        recipe
    }
}

/// The guesses that make the signature come out: one, or else two of different parts.
pub(super) fn explained<'g>(bases: &[Recipe<'_>], guesses: &'g [Guess]) -> Vec<&'g Guess> {
    let fits = |chosen: &[&Guess]| {
        let applied = |base: &Recipe<'_>| {
            chosen.iter().fold(*base, |recipe, guess| guess.applied(recipe)).fits()
        };
        bases.iter().any(applied)
    };
    let bytes = bases.first().map_or(0, |base| base.text().len());
    let is_short = bytes <= MANY_TEXT_BYTES_MAX;
    let single = guesses.iter().find(|guess| (is_short || !guess.alone) && fits(&[guess]));
    if single.is_some() || !is_short {
        return single.into_iter().collect();
    }
    let together: Vec<&Guess> = guesses.iter().filter(|guess| !guess.alone).collect();
    for (index, first) in together.iter().enumerate() {
        for second in together.iter().skip(index + 1).filter(|guess| guess.part != first.part) {
            if fits(&[first, second]) {
                return vec![first, second];
            }
        }
    }
    Vec::new()
}

/// The longest text for which thousands of guesses are tried: rare ones, and two together.
const MANY_TEXT_BYTES_MAX: usize = 64 * 1024;
