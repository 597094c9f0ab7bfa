//! Reads JSON (RFC 8259), without the liberties that its parser can take.

use super::evaluator::Evaluator;
use super::lines::Lines;
use super::{MAX_DEPTH, Place, SyntaxError, bad_entry, entry, error, node, not_settings, too_deep};
use jsonc_parser::ast::{ObjectPropName, Value};
use jsonc_parser::common::Ranged as _;
use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::{Number, Value as Json, json};

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn read(source: &str, evaluator: &mut Evaluator) -> Result<Json, SyntaxError> {
    let lines = Lines::new(source);
    let parsed = parse_to_ast(source, &CollectOptions::default(), &STRICT).map_err(|error| {
        // The parser counts columns in its own way.
        SyntaxError { at: lines.place(error.range().start), message: plain(&error) }
    })?;
    // The parser lets control characters in texts pass.
    if parsed.value.is_some()
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(source)
    {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_string();
        return Err(SyntaxError { at: Place { line: error.line(), column: error.column() }, message });
    }
    let mut reader = JsonReader { lines, evaluator };
    match &parsed.value {
        Some(root @ Value::Object(_)) => reader.value(root, 0),
        Some(other) => Err(not_settings(reader.lines.place(other.range().start))),
        None => Err(not_settings(Place::START)),
    }
}

/// Says in words what hinders.
fn plain(error: &ParseError) -> String {
    use ParseErrorKind as Kind;
    let text = match error.kind() {
        Kind::CommentsNotAllowed => "JSON has no comments; remove it, or write the file as YAML or HCL",
        Kind::TrailingCommasNotAllowed => "no comma may stand behind the last one; remove it",
        Kind::ExpectedComma => "a comma is missing here",
        Kind::ExpectedStringObjectProperty => "the name of a setting must stand in double quotes",
        Kind::SingleQuotedStringsNotAllowed => "text must stand in double quotes",
        Kind::UnexpectedWord | Kind::UnexpectedToken => "not known; text must stand in double quotes",
        Kind::UnterminatedObject => "this { is never closed; a } is missing",
        Kind::UnterminatedArray => "this [ is never closed; a ] is missing",
        Kind::NestingDepthExceeded => return too_deep(Place::START).message,
        kind => return kind.to_string().to_lowercase(),
    };
    text.to_string()
}

struct JsonReader<'s, 'e, 'a> {
    lines: Lines<'s>,
    evaluator: &'e mut Evaluator<'a>,
}

impl JsonReader<'_, '_, '_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<Json, SyntaxError> {
        let at = self.lines.place(value.range().start);
        if depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        Ok(match value {
            Value::StringLit(text) => self.evaluator.text(&text.value, at),
            Value::NumberLit(number) => match number.value.parse::<Number>() {
                Ok(number) => node(at, "number", "value", Json::Number(number)),
                Err(_) => error(at, "too large for a number"),
            },
            Value::BooleanLit(flag) => node(at, "bool", "value", json!(flag.value)),
            Value::NullKeyword(_) => node(at, "null", "value", Json::Null),
            Value::Array(list) => {
                let items = list.elements.iter().map(|item| self.value(item, depth + 1)).collect::<Result<_, _>>()?;
                node(at, "list", "items", Json::Array(items))
            }
            Value::Object(object) => {
                let mut entries = Vec::with_capacity(object.properties.len());
                for property in &object.properties {
                    let (name, start) = match &property.name {
                        ObjectPropName::String(text) => (&*text.value, text.range.start),
                        ObjectPropName::Word(word) => (word.value, word.range.start),
                    };
                    let name_at = self.lines.place(start);
                    entries.push(match self.evaluator.name(name, name_at) {
                        Ok(name) => entry(name_at, &name, self.value(&property.value, depth + 1)?),
                        Err(message) => bad_entry(name_at, &message),
                    });
                }
                node(at, "object", "entries", Json::Array(entries))
            }
        })
    }
}
