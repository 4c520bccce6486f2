//! How does the YAML text become a tree, and what is wrong with it as text?
//!
//! The tree is built here from the parser's events rather than by a ready-made loader, for three
//! reasons. The depth is bounded before the tree exists, so no file can overflow the stack when the
//! tree is walked or dropped. Duplicate keys are all reported, not only the first. Keys keep their
//! own positions.

use std::collections::BTreeMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::fault::quoted;
use super::tree::{Entry, Node, Position, TextFault, Value, push_index, push_key};

/// Reads one document. With the tree come the faults that left a tree to go on with.
///
/// # Errors
/// The first fault after which nothing more can be read: text that is not YAML, or a bound that is
/// passed.
pub(super) fn read(text: &str) -> Result<(Node, Vec<TextFault>), TextFault> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(root_fault(format!(
            "the file has {} bytes; keep it under {TEXT_BYTES_MAX} by moving parts of it into files \
             of their own",
            text.len()
        )));
    }
    let mut builder = Builder::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| TextFault {
            at: position(*error.marker()),
            path: builder.path(),
            problem: format!(
                "this is not YAML: {}; check the indentation, the quotes and the colons up to here",
                error.info()
            ),
        })?;
        builder.take(event, span)?;
    }
    match builder.root {
        Some(root) if !root.is_null() => Ok((root, builder.faults)),
        _ => Err(root_fault("the file says nothing; write its keys here".to_owned())),
    }
}

fn root_fault(problem: String) -> TextFault {
    TextFault { at: Position { line: 1, column: 1 }, path: String::new(), problem }
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

/// The tree as far as it is read.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    /// The nodes that an alias may repeat; `None` while a node is still open.
    anchors: BTreeMap<usize, Option<Rc<Node>>>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    faults: Vec<TextFault>,
}

/// A collection that is not closed yet.
struct Open {
    id: usize,
    at: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, seen: BTreeMap<String, usize>, key: Option<Key> },
}

/// A key that waits for its value. The value of a key that was there before is read and dropped.
struct Key {
    text: String,
    at: Position,
    repeated: bool,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), TextFault> {
        let at = position(span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.start_document(at),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(at, tag.as_deref());
                let plain = style == ScalarStyle::Plain;
                if self.wants_key() {
                    self.start_entry(text.into_owned(), at);
                    return Ok(());
                }
                // An empty value has no place of its own; its key is where the operator looks.
                let at = if plain && text.is_empty() { self.key_position(at) } else { at };
                let id = self.number(at)?;
                let value = Value::Scalar { text: text.into_owned(), plain };
                self.close(Node { id, end: id + 1, at, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(at, tag.as_deref());
                self.open(at, anchor, Content::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(at, tag.as_deref());
                let (entries, seen) = (Vec::new(), BTreeMap::new());
                self.open(at, anchor, Content::Mapping { entries, seen, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close_innermost(),
            Event::Alias(anchor) => self.repeat(anchor, at),
        }
    }

    fn start_document(&mut self, at: Position) -> Result<(), TextFault> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(self.fatal(
                at,
                "a second document starts here; one file holds one, so remove the \"---\" or move \
                 what follows into a file of its own",
            ));
        }
        Ok(())
    }

    fn open(&mut self, at: Position, anchor: usize, content: Content) -> Result<(), TextFault> {
        if self.wants_key() {
            return Err(self.fatal(at, "a key cannot be a list or a mapping; write a single word"));
        }
        self.check_depth(self.open.len(), at)?;
        let id = self.number(at)?;
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        self.open.push(Open { id, at, anchor, content });
        Ok(())
    }

    fn close_innermost(&mut self) -> Result<(), TextFault> {
        let Some(Open { id, at, anchor, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::Sequence(items) => Value::Sequence(items),
            Content::Mapping { entries, .. } => Value::Mapping(entries),
        };
        self.close(Node { id, end: self.nodes, at, value }, anchor)
    }

    /// Puts a finished node where it belongs.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), TextFault> {
        if anchor > 0 {
            // The copy counts against the bound, or nested anchors would hold the file many times.
            self.count(node.end - node.id, node.at)?;
            self.anchors.insert(anchor, Some(Rc::new(node.clone())));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key, .. }) => {
                if let Some(Key { text, at, repeated: false }) = key.take() {
                    entries.push(Entry { key: text, key_at: at, value: node });
                }
            }
        }
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Mapping { key: None, .. }, .. }))
    }

    fn key_position(&self, otherwise: Position) -> Position {
        match self.open.last() {
            Some(Open { content: Content::Mapping { key: Some(key), .. }, .. }) => key.at,
            _ => otherwise,
        }
    }

    fn start_entry(&mut self, text: String, at: Position) {
        let Some(Open { content: Content::Mapping { seen, key, .. }, .. }) = self.open.last_mut()
        else {
            return;
        };
        let first_line = seen.get(&text).copied();
        if first_line.is_none() {
            seen.insert(text.clone(), at.line);
        }
        *key = Some(Key { text: text.clone(), at, repeated: first_line.is_some() });
        if let Some(line) = first_line {
            let key = quoted(&text);
            self.record(at, format!("the key {key} stands in line {line} already; remove one"));
        }
    }

    fn refuse_tag(&mut self, at: Position, tag: Option<&Tag>) {
        if tag.is_some() {
            self.record(
                at,
                "remove the tag before this value; to make a number a text, put it in quotes"
                    .to_owned(),
            );
        }
    }

    /// Copies the node that an alias names to where the alias stands.
    fn repeat(&mut self, anchor: usize, at: Position) -> Result<(), TextFault> {
        if self.wants_key() {
            return Err(self.fatal(at, "a key cannot be an alias; write the key itself"));
        }
        let Some(Some(node)) = self.anchors.get(&anchor) else {
            return Err(self.fatal(at, "an alias cannot stand inside the value that it repeats"));
        };
        let (source, depth) = (Rc::clone(node), self.open.len());
        let mut node = self.copy(&source, depth, at)?;
        node.at = at;
        self.close(node, 0)
    }

    /// A copy with ids of its own, so that a fault in one use does not cut the others.
    fn copy(&mut self, node: &Node, depth: usize, at: Position) -> Result<Node, TextFault> {
        let id = self.number(at)?;
        let value = match &node.value {
            Value::Scalar { .. } => node.value.clone(),
            Value::Sequence(items) => {
                self.check_depth(depth, at)?;
                let items = items.iter().map(|item| self.copy(item, depth + 1, at));
                Value::Sequence(items.collect::<Result<_, _>>()?)
            }
            Value::Mapping(entries) => {
                self.check_depth(depth, at)?;
                let entries = entries.iter().map(|Entry { key, key_at, value }| {
                    let value = self.copy(value, depth + 1, at)?;
                    Ok(Entry { key: key.clone(), key_at: *key_at, value })
                });
                Value::Mapping(entries.collect::<Result<_, TextFault>>()?)
            }
        };
        Ok(Node { id, end: self.nodes, at: node.at, value })
    }

    /// The id of a new node.
    fn number(&mut self, at: Position) -> Result<usize, TextFault> {
        let id = self.nodes;
        self.count(1, at)?;
        Ok(id)
    }

    fn count(&mut self, nodes: usize, at: Position) -> Result<(), TextFault> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let problem = format!(
                "the file has more than {NODES_MAX} values, with those that aliases repeat; use \
                 fewer aliases or split the file"
            );
            return Err(self.fatal(at, &problem));
        }
        Ok(())
    }

    fn check_depth(&self, depth: usize, at: Position) -> Result<(), TextFault> {
        if depth >= DEPTH_MAX {
            let problem = format!("this is nested more than {DEPTH_MAX} deep; write it flatter");
            return Err(self.fatal(at, &problem));
        }
        Ok(())
    }

    fn fatal(&self, at: Position, problem: &str) -> TextFault {
        TextFault { at, path: self.path(), problem: problem.to_owned() }
    }

    fn record(&mut self, at: Position, problem: String) {
        if self.faults.len() <= FAULTS_MAX {
            self.faults.push(TextFault { at, path: self.path(), problem });
        }
    }

    /// The way to the place that is being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.content {
                Content::Sequence(items) => push_index(&mut path, items.len()),
                Content::Mapping { key: Some(key), .. } => push_key(&mut path, &key.text),
                Content::Mapping { key: None, .. } => {}
            }
        }
        path
    }
}

/// The longest text of one file.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// The deepest nesting of lists and mappings.
const DEPTH_MAX: usize = 64;
/// The most values of one file, with those that aliases repeat.
const NODES_MAX: usize = 100_000;
/// The most faults of one file that are told at once.
pub(super) const FAULTS_MAX: usize = 100;
