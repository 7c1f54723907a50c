//! YAML text into trees: anchors, merge keys and marks are resolved, and what does not belong is told with its place.
//!
//! Each limit holds against a file that means harm: a small text that unfolds into a large tree, or a deep one.

use std::collections::BTreeMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::node::{Entry, Kind, Map, Mark, NODE_WEIGHT, Node, Place, Scalar, Value};
use super::scalar;

/// The longest text of one file, in bytes.
pub const TEXT_MAX: usize = 4 << 20;
/// The deepest nesting of lists and mappings.
pub const DEPTH_MAX: usize = 64;
/// What the tree of one file may weigh with its aliases unfolded, in bytes.
pub const WEIGHT_MAX: usize = 32 << 20;
/// The most items of one list or keys of one mapping: what is looked through for each of them stays fast.
pub const ITEMS_MAX: usize = 4096;
/// The most flaws that are told of one file.
const FLAWS_MAX: usize = 200;
/// The documents of one file.
pub const DOCUMENTS_MAX: usize = 64;

/// Something that is wrong with a text.
pub type Flaw = (Place, String);

/// The documents of a text, and what is wrong although they could be read; or what keeps it from being read.
pub fn parse(text: &str, source: usize) -> Result<(Vec<Node>, Vec<Flaw>), Flaw> {
    let start = Place { source, line: 0, column: 0 };
    if text.len() > TEXT_MAX {
        return Err((start, format!("the file is longer than {} MiB: split it", TEXT_MAX >> 20)));
    }
    // Editors on Windows put a mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut options = Options::default();
    options.block_nesting_limit = DEPTH_MAX;
    options.flow_nesting_limit = DEPTH_MAX;
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder::new(source);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| explain(text, source, &error))?;
        builder.take(event, span)?;
    }
    Ok((builder.documents, builder.flaws))
}

fn explain(text: &str, source: usize, error: &ScanError) -> Flaw {
    let place = Place { source, line: error.marker().line(), column: error.marker().col() + 1 };
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let indented_by_tab = line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
    let hint = if indented_by_tab { "; indent with spaces, not with tabs" } else { "" };
    (place, format!("this is no YAML: {}{hint}", error.info()))
}

/// A list or mapping that is not at its end yet.
struct Frame {
    place: Place,
    mark: Option<Mark>,
    anchor: usize,
    weight: usize,
    /// Items of a list; keys and values of a mapping.
    items: usize,
    kind: Open,
}

enum Open {
    List(Vec<Node>),
    Map { map: Map, key: Option<(String, Place)>, merged: Option<Node> },
}

struct Builder {
    source: usize,
    documents: Vec<Node>,
    flaws: Vec<Flaw>,
    open: Vec<Frame>,
    anchors: BTreeMap<usize, (Node, usize)>,
    weight: usize,
}

impl Builder {
    fn new(source: usize) -> Self {
        Self {
            source,
            documents: Vec::new(),
            flaws: Vec::new(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            weight: 0,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "no other event says anything of a tree")]
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Flaw> {
        let place = Place { source: self.source, line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar_value(&text, style, tag.as_deref());
                let node = Node { place, mark: mark(tag.as_deref()), value };
                let weight = NODE_WEIGHT + text.len();
                self.remember(anchor, &node, weight)?;
                self.add(node, weight, Some(text.into_owned()))
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor);
                // Looked at before anything is copied.
                let fits = known.is_some_and(|(_, weight)| self.weight + weight <= WEIGHT_MAX);
                match known {
                    None => Err((
                        place,
                        "this alias stands inside of what it stands for: give the part its own anchor"
                            .to_owned(),
                    )),
                    Some((_, weight)) if !fits => self.charge(*weight, place),
                    Some((node, weight)) => self.add(node.clone(), *weight, None),
                }
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(place, anchor, tag.as_deref(), Open::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => self.open(
                place,
                anchor,
                tag.as_deref(),
                Open::Map { map: Map::new(), key: None, merged: None },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn charge(&mut self, weight: usize, place: Place) -> Result<(), Flaw> {
        self.weight += weight;
        if self.weight > WEIGHT_MAX {
            let limit = WEIGHT_MAX >> 20;
            return Err((
                place,
                format!("with its aliases the file unfolds to more than {limit} MiB: use fewer of them"),
            ));
        }
        Ok(())
    }

    fn remember(&mut self, anchor: usize, node: &Node, weight: usize) -> Result<(), Flaw> {
        if anchor > 0 {
            self.charge(weight, node.place)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        Ok(())
    }

    fn open(&mut self, place: Place, anchor: usize, tag: Option<&Tag>, kind: Open) -> Result<(), Flaw> {
        if self.open.len() >= DEPTH_MAX {
            return Err((place, format!("this is nested more than {DEPTH_MAX} levels deep")));
        }
        self.open.push(Frame { place, mark: mark(tag), anchor, weight: NODE_WEIGHT, items: 0, kind });
        Ok(())
    }

    fn close(&mut self, place: Place) -> Result<(), Flaw> {
        let Some(frame) = self.open.pop() else { return Err((place, "this ends nothing".to_owned())) };
        let value = match frame.kind {
            Open::List(items) => Value::List(items),
            Open::Map { mut map, merged, .. } => {
                if let Some(node) = merged {
                    merge(&mut map, node)?;
                }
                Value::Map(map)
            }
        };
        let node = Node { place: frame.place, mark: frame.mark, value };
        self.remember(frame.anchor, &node, frame.weight)?;
        // What is inside was charged when it was added.
        self.weight -= frame.weight - NODE_WEIGHT;
        self.add(node, frame.weight, None)
    }

    /// Puts a node where it belongs: `written` is the text of a scalar as it stands there.
    fn add(&mut self, node: Node, weight: usize, written: Option<String>) -> Result<(), Flaw> {
        self.charge(weight, node.place)?;
        let Some(frame) = self.open.last_mut() else {
            if self.documents.len() >= DOCUMENTS_MAX {
                return Err((
                    node.place,
                    format!("there are more than {DOCUMENTS_MAX} documents in this file"),
                ));
            }
            self.documents.push(node);
            return Ok(());
        };
        frame.weight += weight;
        frame.items += 1;
        if frame.items > 2 * ITEMS_MAX || (frame.items > ITEMS_MAX && matches!(frame.kind, Open::List(_))) {
            return Err((
                node.place,
                format!("there are more than {ITEMS_MAX} items in one list or mapping"),
            ));
        }
        match &mut frame.kind {
            Open::List(items) => items.push(node),
            Open::Map { map, key, merged } => match key.take() {
                None => *key = Some(key_of(&node, written)?),
                Some((name, place)) if name == "<<" => {
                    if merged.replace(node).is_some() {
                        flaw(&mut self.flaws, place, "<< stands here twice: write <<: [*a, *b]".to_owned());
                    }
                }
                Some((name, place)) => {
                    if let Some(first) = map.get(&name) {
                        let line = first.key.line;
                        let message = format!("the key {name:?} stands in line {line} already: name it once");
                        flaw(&mut self.flaws, place, message);
                    } else {
                        map.insert(name, Entry { key: place, node });
                    }
                }
            },
        }
        Ok(())
    }
}

fn flaw(flaws: &mut Vec<Flaw>, place: Place, message: String) {
    if flaws.len() < FLAWS_MAX {
        flaws.push((place, message));
    }
}

fn key_of(node: &Node, written: Option<String>) -> Result<(String, Place), Flaw> {
    match (written, &node.value) {
        (Some(text), _) => Ok((text, node.place)),
        (None, Value::Scalar(scalar)) => Ok((scalar.text.clone(), node.place)),
        (None, Value::Null | Value::List(_) | Value::Map(_)) => {
            Err((node.place, "a key must be text, not a list or a mapping".to_owned()))
        }
    }
}

/// Adds what a merge key brings and the mapping does not have.
fn merge(map: &mut Map, node: Node) -> Result<(), Flaw> {
    let place = node.place;
    let parts = match node.value {
        Value::Null => return Ok(()),
        Value::Map(other) => vec![other],
        Value::List(items) => items
            .into_iter()
            .map(|item| match item.value {
                Value::Map(other) => Ok(other),
                Value::Null | Value::Scalar(_) | Value::List(_) => Err(()),
            })
            .collect::<Result<_, _>>()
            .map_err(|()| not_mergeable(place))?,
        Value::Scalar(_) => return Err(not_mergeable(place)),
    };
    for (key, entry) in parts.into_iter().flatten() {
        map.entry(key).or_insert(entry);
    }
    Ok(())
}

fn not_mergeable(place: Place) -> Flaw {
    (place, "<< takes a mapping or a list of mappings, by their aliases".to_owned())
}

fn mark(tag: Option<&Tag>) -> Option<Mark> {
    let tag = tag.filter(|tag| tag.handle() == "!")?;
    match tag.suffix() {
        "reset" => Some(Mark::Reset),
        "override" => Some(Mark::Override),
        _ => None,
    }
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let as_text = || Value::Scalar(Scalar { text: text.to_owned(), kind: Kind::Text });
    match tag.filter(|tag| tag.is_yaml_core_schema()).map(Tag::suffix) {
        Some("str") => as_text(),
        Some(_) => scalar::resolve(text),
        None if style == ScalarStyle::Plain => scalar::resolve(text),
        None => as_text(),
    }
}
