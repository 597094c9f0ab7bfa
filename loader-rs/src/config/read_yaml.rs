//! Reads YAML 1.2 with the core schema: `yes` and `on` are text, and `<<` is not known.

use super::evaluator::Evaluator;
use super::{MAX_DEPTH, Place, SyntaxError, bad_entry, entry, error, node, not_settings, too_deep};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Value as Json, json};
use std::borrow::Cow;
use std::collections::HashMap;

/// Values that a file may have once its aliases stand for what they mean: aliases of aliases grow without a bound.
const MAX_NODES: usize = 20_000;

pub(super) fn read(source: &str, evaluator: &mut Evaluator) -> Result<Json, SyntaxError> {
    let mut builder =
        Builder { evaluator, open: Vec::new(), anchors: HashMap::new(), nodes: 0, documents: 0, root: None };
    for event in Parser::new_from_str(source) {
        let (event, Span { start, .. }) = event.map_err(|error| syntax_error(source, &error))?;
        builder.event(event, place(start))?;
    }
    match builder.root {
        Some(root) if root["type"] == "object" => Ok(root),
        Some(root) if root["type"] != "null" => Err(not_settings(place_of(&root))),
        // Nothing but comments: all defaults.
        _ => Ok(node(Place::START, "object", "entries", json!([]))),
    }
}

/// A list or a group that is not closed yet.
struct Open {
    at: Place,
    /// Number of its anchor, or 0.
    anchor: usize,
    /// How many nodes there were before it.
    nodes_before: usize,
    content: Content,
}

enum Content {
    List(Vec<Json>),
    /// Entries, and the name that waits for its value (or why it is none).
    Group(Vec<Json>, Option<(Place, Result<String, String>)>),
}

struct Builder<'e, 'a> {
    evaluator: &'e mut Evaluator<'a>,
    open: Vec<Open>,
    /// Nodes by the number of their anchor, and of how many values they consist.
    anchors: HashMap<usize, (Json, usize)>,
    nodes: usize,
    documents: usize,
    root: Option<Json>,
}

impl Builder<'_, '_> {
    fn event(&mut self, event: Event, at: Place) -> Result<(), SyntaxError> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a second document begins here (---); a configuration is one document".to_string();
                    return Err(SyntaxError { at, message });
                }
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag, at)?,
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some((value, nodes)) => self.add(value, nodes, at)?,
                None => self.add(error(at, "this alias stands for a value that contains it"), 1, at)?,
            },
            Event::SequenceStart(anchor, tag) => self.begin(Content::List(Vec::new()), anchor, tag, at)?,
            Event::MappingStart(anchor, tag) => self.begin(Content::Group(Vec::new(), None), anchor, tag, at)?,
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn begin(&mut self, content: Content, anchor: usize, tag: Option<Cow<Tag>>, at: Place) -> Result<(), SyntaxError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            return Err(SyntaxError { at, message: unknown_tag(&tag) });
        }
        self.open.push(Open { at, anchor, nodes_before: self.nodes, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), SyntaxError> {
        let Some(Open { at, anchor, nodes_before, content }) = self.open.pop() else { return Ok(()) };
        let node = match content {
            Content::List(items) => node(at, "list", "items", Json::Array(items)),
            Content::Group(entries, _) => node(at, "object", "entries", Json::Array(entries)),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - nodes_before + 1));
        }
        self.add(node, 1, at)
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<Cow<Tag>>,
        at: Place,
    ) -> Result<(), SyntaxError> {
        if self.awaits_name() {
            self.name(text, style, at);
            return Ok(());
        }
        let value = match tag.as_deref() {
            Some(tag) if !tag.is_yaml_core_schema() => error(at, &unknown_tag(tag)),
            Some(tag) if tag.suffix == "str" => self.evaluator.text(text, at),
            None if style != ScalarStyle::Plain => self.evaluator.text(text, at),
            _ => core_value(text, at).unwrap_or_else(|| self.evaluator.text(text, at)),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), 1));
        }
        self.add(value, 1, at)
    }

    fn awaits_name(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Group(_, None), .. }))
    }

    fn name(&mut self, text: &str, style: ScalarStyle, at: Place) {
        let name = if text == "<<" && style == ScalarStyle::Plain {
            Err("merging with << is not part of YAML 1.2; write the settings out".to_string())
        } else {
            self.evaluator.name(text, at)
        };
        if let Some(Open { content: Content::Group(_, waiting), .. }) = self.open.last_mut() {
            *waiting = Some((at, name));
        }
    }

    /// Puts a finished node of `nodes` values where it belongs.
    fn add(&mut self, value: Json, nodes: usize, at: Place) -> Result<(), SyntaxError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message = format!("too large: with its aliases followed, the file has more than {MAX_NODES} values");
            return Err(SyntaxError { at, message });
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(value),
            Some(Content::List(items)) => items.push(value),
            Some(Content::Group(entries, waiting)) => match waiting.take() {
                Some((name_at, Ok(name))) => entries.push(entry(name_at, &name, value)),
                Some((name_at, Err(message))) => entries.push(bad_entry(name_at, &message)),
                None => *waiting = Some((at, Err("the name of a setting must be text".to_string()))),
            },
        }
        Ok(())
    }
}

/// A plain scalar by the core schema (YAML 1.2.2, section 10.3.2); `None` for text.
fn core_value(text: &str, at: Place) -> Option<Json> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(node(at, "null", "value", Json::Null)),
        "true" | "True" | "TRUE" => return Some(node(at, "bool", "value", json!(true))),
        "false" | "False" | "FALSE" => return Some(node(at, "bool", "value", json!(false))),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(error(at, "not a number that can be used"));
    }
    let number = if let Some(digits) = text.strip_prefix("0x") {
        u64::from_str_radix(digits, 16).ok().map(|number| json!(number))
    } else if let Some(digits) = text.strip_prefix("0o") {
        u64::from_str_radix(digits, 8).ok().map(|number| json!(number))
    } else if is_decimal(unsigned) {
        let digits = text.strip_prefix('+').unwrap_or(text);
        match (digits.parse::<u64>(), digits.parse::<i64>(), digits.parse::<f64>()) {
            (Ok(number), ..) => Some(json!(number)),
            (_, Ok(number), _) => Some(json!(number)),
            (.., Ok(number)) if number.is_finite() => Some(json!(number)),
            _ => return Some(error(at, "too large for a number")),
        }
    } else {
        None
    };
    number.map(|number| node(at, "number", "value", number))
}

/// `(\. [0-9]+ | [0-9]+ (\. [0-9]*)?) ([eE] [-+]? [0-9]+)?`
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) =
        text.split_once(['e', 'E']).map_or((text, None), |(before, after)| (before, Some(after)));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    has_digits
        && is_digits(whole)
        && is_digits(fraction)
        && exponent.is_none_or(|text| !text.is_empty() && is_digits(text))
}

fn unknown_tag(tag: &Tag) -> String {
    format!("the tag {tag} is not known; remove it")
}

fn syntax_error(source: &str, error: &ScanError) -> SyntaxError {
    let at = place(*error.marker());
    if error.info() == "recursion limit exceeded" {
        return too_deep(at);
    }
    let tab = if error.info().contains("tab") { tab_of_indentation(source, at.line) } else { None };
    SyntaxError { at: tab.unwrap_or(at), message: plain(error.info()) }
}

/// The parser names the line before the tab: the first tab that indents, from `line` on.
fn tab_of_indentation(source: &str, line: usize) -> Option<Place> {
    source.lines().enumerate().skip(line - 1).find_map(|(index, text)| {
        let indent = &text[..text.len() - text.trim_start().len()];
        indent
            .find('\t')
            .map(|_| Place { line: index + 1, column: indent.chars().take_while(|c| *c != '\t').count() + 1 })
    })
}

/// Says in words what the parser's terser messages mean.
fn plain(message: &str) -> String {
    let text = match message {
        _ if message.contains("tab") => "a tab cannot be used here; indent with spaces",
        _ if message.contains("unknown anchor") => {
            "this alias has no anchor; write &name in front of the value it stands for"
        }
        _ if message.contains("end of stream") || message == "unexpected eof" => {
            "the file ends within a text or a bracket; is a quote or a bracket left open?"
        }
        "mapping values are not allowed in this context" => {
            "a second \":\" in this line, or a line that is indented too far; put text with \": \" in quotes"
        }
        "illegal placement of ':' indicator" => "no \":\" may stand here; is a bracket or a quote above left open?",
        "invalid indentation in quoted scalar" => {
            "this text goes on in a line that is not indented; is its quote left open?"
        }
        "simple key expect ':'" | "simple key expected" => "a \":\" is missing between the name and the value",
        "while parsing a block mapping, did not find expected key" => {
            "not a setting; is this line indented like its neighbours?"
        }
        "while parsing a flow sequence, expected ',' or ']'" => "a comma or ] is missing before this",
        "while parsing a flow mapping, did not find expected ',' or '}'" => "a comma or } is missing before this",
        "while parsing a quoted scalar, found unknown escape character" => {
            "an escape that YAML does not know; use single quotes for text with backslashes"
        }
        _ => message.strip_prefix("while ").and_then(|rest| rest.split_once(", ")).map_or(message, |(_, what)| what),
    };
    text.to_string()
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

fn place_of(node: &Json) -> Place {
    let number = |field: &str| node[field].as_u64().map_or(1, |number| number as usize);
    Place { line: number("line"), column: number("column") }
}
