//! A document as a tree in which every key, scalar, list and map knows its place.
//!
//! The tree holds texts, not values: see `scalar`. Anchors, aliases, merge keys, tags and further documents
//! are refused rather than supported. A configuration without them can be read by people top to bottom, and
//! a few lines of aliases that unfold into millions of nodes cannot happen at all.

use crate::yaml::{Problem, shown, without_bom};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use std::collections::HashMap;

/// The longest text that is read, in bytes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// The most nodes a document may have.
pub const MAX_NODES: usize = 1_000_000;
/// The deepest nesting, which bounds the recursion of everybody who walks the tree.
pub const MAX_DEPTH: usize = 64;
/// Structural problems that are collected before giving up.
const MAX_PROBLEMS: usize = 100;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line from 1.
    pub line: usize,
    /// Column from 1, in characters.
    pub column: usize,
}

/// A node with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub mark: Mark,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A map, in the order of the file, repeated keys included.
    Mapping(Vec<Entry>),
}

/// A scalar as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text after unquoting and folding.
    pub text: String,
    /// True when it was neither quoted nor a block, so that it may be a number, a bool or nothing.
    pub plain: bool,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key is.
    pub mark: Mark,
    /// The place of the first key of this name, when this one repeats it.
    pub repeats: Option<Mark>,
    /// The value.
    pub value: Node,
}

/// Reads one document. An empty text is an empty scalar.
///
/// # Errors
/// All that a configuration must not contain, or the first place where the text is no YAML.
pub fn parse(file: &str, text: &str) -> Result<Node, Vec<Problem>> {
    if text.len() > MAX_BYTES {
        let found = format!("{} bytes", text.len());
        return Err(vec![Problem::of_file(file, found, format!("at most {MAX_BYTES} bytes"))]);
    }
    let mut builder = Builder { file, frames: Vec::new(), root: None, nodes: 0, problems: Vec::new() };
    let mut parser = Parser::new_from_str(without_bom(text));
    let mut documents = 0;
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let wanted = "valid YAML".to_owned();
                let found = format!("a syntax error ({})", error.info());
                builder.problem(mark(error.marker()), found, wanted, None);
                break;
            }
        };
        let at = mark(&span.start);
        let proceed = match event {
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => true,
            Event::StreamEnd => false,
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    builder.problem(at, "a second document".into(), "one document".into(), None);
                }
                documents == 1
            }
            event => builder.take(at, event),
        };
        if !proceed || builder.problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    if builder.problems.is_empty() {
        let empty = || Node { mark: Mark { line: 1, column: 1 }, kind: Kind::Scalar(Scalar::nothing()) };
        Ok(builder.root.unwrap_or_else(empty))
    } else {
        Err(builder.problems)
    }
}

impl Scalar {
    fn nothing() -> Self {
        Self { text: String::new(), plain: true }
    }
}

/// The parser counts columns from 0.
fn mark(marker: &Marker) -> Mark {
    Mark { line: marker.line(), column: marker.col() + 1 }
}

/// An open list or map. Kept on a stack of our own, so a deep text cannot exhaust the machine's.
enum Frame {
    Sequence { mark: Mark, items: Vec<Node> },
    Mapping { mark: Mark, entries: Vec<Entry>, seen: HashMap<String, Mark>, key: Option<(String, Mark)> },
}

struct Builder<'a> {
    file: &'a str,
    frames: Vec<Frame>,
    root: Option<Node>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl Builder<'_> {
    /// Takes one event; `false` means that reading on makes no sense.
    fn take(&mut self, at: Mark, event: Event<'_>) -> bool {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let wanted = format!("at most {MAX_NODES}");
            self.problem(at, format!("more than {MAX_NODES} values"), wanted, None);
            return false;
        }
        let nothing = Kind::Scalar(Scalar::nothing());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse(at, anchor, tag.is_some());
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let scalar = Scalar { text: text.into_owned(), plain };
                self.place(Node { mark: at, kind: Kind::Scalar(scalar) });
            }
            Event::Alias(_) => {
                let hint = "write the value out, or use `defaults`".to_owned();
                self.problem(at, "an alias (`*…`)".into(), "the value itself".into(), Some(hint));
                self.place(Node { mark: at, kind: nothing });
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse(at, anchor, tag.is_some());
                return self.open(at, Frame::Sequence { mark: at, items: Vec::new() });
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse(at, anchor, tag.is_some());
                let (entries, seen) = (Vec::new(), HashMap::new());
                return self.open(at, Frame::Mapping { mark: at, entries, seen, key: None });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.frames.pop() {
                Some(Frame::Sequence { mark, items }) => {
                    self.place(Node { mark, kind: Kind::Sequence(items) });
                }
                Some(Frame::Mapping { mark, entries, .. }) => {
                    self.place(Node { mark, kind: Kind::Mapping(entries) });
                }
                None => return false,
            },
            _ => {}
        }
        true
    }

    fn open(&mut self, at: Mark, frame: Frame) -> bool {
        if self.frames.len() >= MAX_DEPTH {
            let wanted = format!("at most {MAX_DEPTH} levels");
            self.problem(at, "a deeper nesting".into(), wanted, None);
            return false;
        }
        self.frames.push(frame);
        true
    }

    /// Puts a finished node where it belongs: into the open list, as key or value into the open map.
    fn place(&mut self, node: Node) {
        match self.frames.last_mut() {
            None => self.root = Some(node),
            Some(Frame::Sequence { items, .. }) => items.push(node),
            Some(Frame::Mapping { entries, seen, key: key @ Some(_), .. }) => {
                if let Some((key, mark)) = key.take() {
                    let repeats = seen.get(&key).copied();
                    if repeats.is_none() {
                        seen.insert(key.clone(), mark);
                    }
                    entries.push(Entry { key, mark, repeats, value: node });
                }
            }
            Some(Frame::Mapping { key, .. }) => {
                let (text, merge) = match node.kind {
                    Kind::Scalar(scalar) => {
                        let merge = scalar.plain && scalar.text == "<<";
                        (Some(scalar.text), merge)
                    }
                    Kind::Sequence(_) | Kind::Mapping(_) => (None, false),
                };
                let is_text = text.is_some();
                *key = Some((text.unwrap_or_default(), node.mark));
                if merge {
                    let hint = "write the keys out, or use `defaults`".to_owned();
                    self.problem(node.mark, "a merge key (`<<`)".into(), "plain keys".into(), Some(hint));
                } else if !is_text {
                    self.problem(node.mark, "a list or map as a key".into(), "a plain key".into(), None);
                }
            }
        }
    }

    fn refuse(&mut self, at: Mark, anchor: usize, tagged: bool) {
        if anchor > 0 {
            let hint = "remove it; aliases are not read either".to_owned();
            self.problem(at, "an anchor (`&…`)".into(), "a plain value".into(), Some(hint));
        }
        if tagged {
            let hint = "remove it, and quote the value if it is a text".to_owned();
            self.problem(at, "a tag (`!…`)".into(), "a plain value".into(), Some(hint));
        }
    }

    fn problem(&mut self, at: Mark, found: String, wanted: String, hint: Option<String>) {
        let (line, column) = (at.line, at.column);
        let path = self.path();
        self.problems.push(Problem { file: self.file.to_owned(), line, column, path, found, wanted, hint });
    }

    /// Where we are, such as `spokes[0].apis`.
    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.frames {
            match frame {
                Frame::Sequence { items, .. } => path.push_str(&format!("[{}]", items.len())),
                Frame::Mapping { key: Some((key, _)), .. } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&shown(key));
                }
                Frame::Mapping { key: None, .. } => {}
            }
        }
        path
    }
}
