//! What does the file say, and what is wrong with it, all at once and with positions?
//!
//! Serde stops at the first error. So the document is decoded in rounds: each error is written
//! down, what caused it is cut out of the view, and decoding starts again, until a round succeeds.
//! What only follows from an earlier fault is cut without a word.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::decode::{NodeDecoder, View};
use super::decode_error::{DecodeError, Kind, Site};
use super::environment::Environment;
use super::expand::{Expanded, expand};
use super::fault::{ConfigFault, quoted};
use super::read::{FAULTS_MAX, read};
use super::tree::{Node, Position, TextFault, Value, push_index, push_key};

/// One parsed file.
#[derive(Debug)]
pub struct Document {
    file: PathBuf,
    root: Node,
    text_faults: Vec<TextFault>,
    /// Ids of the values that could not be expanded; they are told already.
    broken: Vec<usize>,
    view: View,
}

impl Document {
    /// Reads the text of a file; `file` is only the name that faults carry.
    ///
    /// # Errors
    /// The one fault that stops everything: text that is not YAML, is empty, holds several
    /// documents, or passes a bound (1 MiB, 64 levels, 100,000 values with aliases expanded).
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigFault> {
        match read(text) {
            Ok((root, text_faults)) => Ok(Self {
                file: file.to_path_buf(),
                root,
                text_faults,
                broken: Vec::new(),
                view: View::default(),
            }),
            Err(fault) => Err(at_position(file, fault)),
        }
    }

    /// Puts the environment's values for `${NAME}` and `${NAME:-default}` into the values of the
    /// file, and writes down what cannot be expanded. Once is enough: what comes from the
    /// environment must not be expanded again.
    ///
    /// A plain value that becomes empty counts as one that was left out.
    pub fn expand(&mut self, environment: &Environment) {
        let Expanded { faults, broken, .. } = expand(&mut self.root, environment);
        self.text_faults.extend(faults);
        self.broken = broken;
    }

    /// Decodes the whole file, and finds everything that is wrong with its form.
    ///
    /// The value is whole only when there are no faults. Otherwise it is what is left once the
    /// faulty parts are cut out, and a required key that is missing from the root is filled in with
    /// an example or an empty list: good enough to look for further faults, never to be served.
    /// There is no value when the root itself cannot be decoded or when there are more than 100
    /// faults; then the last fault says so.
    pub fn decode<T: DeserializeOwned>(&mut self) -> (Option<T>, Vec<ConfigFault>) {
        self.view = View { cut: self.broken.iter().copied().collect(), ..View::default() };
        let mut faults = self.text_faults.clone();
        let decoded = self.decode_in_rounds(&mut faults);
        let more = decoded.is_err() || faults.len() > FAULTS_MAX;
        faults.truncate(FAULTS_MAX);
        faults.sort_by_key(|fault| fault.at);
        let mut faults: Vec<_> =
            faults.into_iter().map(|fault| at_position(&self.file, fault)).collect();
        if more {
            let problem = "there are more faults; mend those above, then check again";
            faults.push(ConfigFault::of_file(&self.file, problem));
            return (None, faults);
        }
        (decoded.ok().flatten(), faults)
    }

    /// A fault that shows only once the parts are put together, at the value that `path` names, or
    /// at the nearest thing around it that exists.
    ///
    /// A path is written as `routes[2].pool`. The numbers count what [`decode`](Self::decode)
    /// returned; the fault shows the numbers of the file, where more items may stand.
    #[must_use]
    pub fn fault(&self, path: &str, problem: impl Into<String>) -> ConfigFault {
        let Walk { node, path, .. } = self.walk(path);
        at_position(&self.file, TextFault { at: node.at, path, problem: problem.into() })
    }

    /// Whether the value that `path` names stands in the file, or should, and was left out of what
    /// [`decode`](Self::decode) returned because of a fault that is already told.
    #[must_use]
    pub fn was_cut(&self, path: &str) -> bool {
        self.walk(path).cut
    }

    /// Whether the value that `path` names was decoded with everything that is in it. When a list
    /// or a section is not whole, that a name is not found in it is not a fault to tell.
    #[must_use]
    pub fn is_whole(&self, path: &str) -> bool {
        let walk = self.walk(path);
        !walk.cut && (!walk.found || !self.view.touches(walk.node))
    }

    /// One round after the other, until one succeeds. `Ok(None)` when the root had to be cut.
    fn decode_in_rounds<T: DeserializeOwned>(
        &mut self,
        faults: &mut Vec<TextFault>,
    ) -> Result<Option<T>, TooManyFaults> {
        for _ in 0..ROUNDS_MAX {
            match T::deserialize(NodeDecoder::new(&self.root, &self.view)) {
                Ok(value) => {
                    if !self.cut_what_was_feigned() {
                        return Ok(Some(value));
                    }
                }
                Err(error) => faults.extend(self.recover(error)),
            }
            if self.view.cut.contains(&self.root.id) {
                return Ok(None);
            }
            if faults.len() > FAULTS_MAX {
                break;
            }
        }
        Err(TooManyFaults)
    }

    /// Changes the view so that the next round gets past this error. Returns what to tell.
    ///
    /// Each call cuts a node or feigns a key, and there are only so many of both.
    fn recover(&mut self, error: DecodeError) -> Option<TextFault> {
        let site = error.site.unwrap_or(Site::Node(self.root.id));
        match (site, error.kind) {
            (Site::Feigned(id), _) => {
                self.view.feigned.remove(&id);
                self.view.cut.insert(id);
                None
            }
            (Site::Node(id) | Site::Key(id), Kind::MissingKey(key)) => {
                let Found { node, path, .. } = find(&self.root, id);
                let feigned = self.view.feigned.entry(id).or_default();
                if feigned.contains(&key) {
                    // The type does not look at what it is given; there is nothing more to learn.
                    self.view.cut.insert(id);
                    return None;
                }
                feigned.push(key);
                missing_key(node, path, key)
            }
            (Site::Key(id), Kind::Problem(problem)) => {
                let Found { path, key_at, .. } = find(&self.root, id);
                self.view.cut.insert(id);
                Some(TextFault { at: key_at, path, problem })
            }
            (Site::Node(id), Kind::Problem(problem)) => {
                let Found { node, path, .. } = find(&self.root, id);
                // What is left of a node may be too little, or not fit together any more.
                let follows = self.view.touches(node);
                self.view.feigned.remove(&id);
                self.view.cut.insert(id);
                (!follows).then_some(TextFault { at: node.at, path, problem })
            }
        }
    }

    /// Cuts every mapping below the root that has a feigned key. Returns whether there were any.
    fn cut_what_was_feigned(&mut self) -> bool {
        let root = self.root.id;
        let feigned = std::mem::take(&mut self.view.feigned);
        let mut any = false;
        for (id, keys) in feigned {
            if id == root {
                self.view.feigned.insert(id, keys);
            } else {
                any |= self.view.cut.insert(id);
            }
        }
        any
    }

    fn walk(&self, path: &str) -> Walk<'_> {
        let missing_at_root = self.view.feigned.get(&self.root.id).map_or(&[][..], Vec::as_slice);
        let cut = self.view.cut.contains(&self.root.id)
            || missing_at_root.iter().any(|key| after_key(path, key).is_some());
        let mut walk = Walk { node: &self.root, path: String::new(), found: true, cut };
        let mut rest = path;
        while !rest.is_empty() {
            let Some((child, after)) = self.step(&mut walk, rest) else {
                walk.found = false;
                if !walk.path.is_empty() && !rest.starts_with(['.', '[']) {
                    walk.path.push('.');
                }
                walk.path.push_str(rest);
                break;
            };
            walk.node = child;
            walk.cut |= self.view.cut.contains(&child.id);
            rest = after;
        }
        walk
    }

    /// One step down a path: the child, and what is left of the path.
    fn step<'a, 'p>(&self, walk: &mut Walk<'a>, rest: &'p str) -> Option<(&'a Node, &'p str)> {
        match &walk.node.value {
            Value::Scalar { .. } => None,
            Value::Sequence(items) => {
                let (number, after) = rest.strip_prefix('[')?.split_once(']')?;
                let number: usize = number.parse().ok()?;
                let mut shown =
                    items.iter().enumerate().filter(|(_, item)| !self.view.cut.contains(&item.id));
                let (index, item) = shown.nth(number)?;
                push_index(&mut walk.path, index);
                Some((item, after))
            }
            Value::Mapping(entries) => {
                let rest = rest.strip_prefix('.').unwrap_or(rest);
                // A key may hold dots itself, so the longest key that fits is the one meant.
                let fitting = entries.iter().filter(|e| after_key(rest, &e.key).is_some());
                let entry = fitting.max_by_key(|entry| entry.key.len())?;
                push_key(&mut walk.path, &entry.key);
                Some((&entry.value, after_key(rest, &entry.key)?))
            }
        }
    }
}

/// More faults than are told, or more rounds than are run.
struct TooManyFaults;

/// Where a path leads.
struct Walk<'a> {
    /// The last node on the way that exists.
    node: &'a Node,
    /// The path with the numbers of the file.
    path: String,
    /// Whether the path leads to `node`, and not beyond.
    found: bool,
    /// Whether something on the way is not in what was decoded.
    cut: bool,
}

/// A node, and how it is reached.
struct Found<'a> {
    node: &'a Node,
    key_at: Position,
    path: String,
}

/// The node with this id; the innermost node around it, if there is none.
fn find(root: &Node, id: usize) -> Found<'_> {
    let mut found = Found { node: root, key_at: root.at, path: String::new() };
    while found.node.id != id {
        let inside = |child: &Node| (child.id..child.end).contains(&id);
        let item = found.node.items().iter().enumerate().find(|(_, item)| inside(item));
        let entry = found.node.entries().iter().find(|entry| inside(&entry.value));
        if let Some((index, item)) = item {
            push_index(&mut found.path, index);
            (found.node, found.key_at) = (item, item.at);
        } else if let Some(entry) = entry {
            push_key(&mut found.path, &entry.key);
            (found.node, found.key_at) = (&entry.value, entry.key_at);
        } else {
            break;
        }
    }
    found
}

/// What to tell of a required key; nothing if it is there and was cut.
fn missing_key(mapping: &Node, mut path: String, key: &str) -> Option<TextFault> {
    let entry = mapping.entries().iter().find(|entry| entry.key == key);
    let Some(entry) = entry else {
        let problem = format!("the key {} is missing; add it here", quoted(key));
        return Some(TextFault { at: mapping.at, path, problem });
    };
    push_key(&mut path, key);
    let problem = format!("{} has no value; write one, for it is required", quoted(key));
    entry.value.is_null().then_some(TextFault { at: entry.key_at, path, problem })
}

/// What follows `key` at the start of a path, if `key` is a whole step there.
fn after_key<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    path.strip_prefix(key).filter(|after| after.is_empty() || after.starts_with(['.', '[']))
}

fn at_position(file: &Path, TextFault { at, path, problem }: TextFault) -> ConfigFault {
    ConfigFault { file: file.to_path_buf(), line: at.line, column: at.column, path, problem }
}

/// The most rounds of decoding; a fault takes one, and one for each level that it takes with it.
const ROUNDS_MAX: usize = 2_000;

#[cfg(test)]
mod tests;
