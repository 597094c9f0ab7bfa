//! Reads HCL.

use super::evaluator::{Evaluator, computed, to_node};
use super::lines::{Lines, Place};
use super::{SyntaxError, bad_entry, entry, error, node};
use hcl::Value;
use hcl::edit::expr::{Expression, Object, ObjectKey};
use hcl::edit::structure::{Block, Body, Structure};
use hcl::edit::template::{Element, HeredocTemplate};
use hcl::edit::visit::{Visit, visit_heredoc_template};
use hcl::edit::{Span, parser};
use serde_json::{Value as Json, json};

pub(super) fn read(source: &str, evaluator: &mut Evaluator) -> Result<Json, SyntaxError> {
    let body = parser::parse_body(source).map_err(|error| {
        let at = error.location();
        SyntaxError { at: Place { line: at.line(), column: at.column() }, message: plain(error.message()) }
    })?;
    let lines = Lines::new(source);
    let mut swallowed = SwallowedEnd(None);
    swallowed.visit_body(&body);
    if let SwallowedEnd(Some(offset)) = swallowed {
        let message = "an empty heredoc; write \"\" instead".to_string();
        return Err(SyntaxError { at: lines.place(offset), message });
    }
    Ok(HclReader { lines, evaluator }.body(&body, 0))
}

/// Finds an empty heredoc whose end the parser overlooked, because a later one ends with the same word (`hcl-edit` 0.10.0):
/// it would hide all settings between the two.
struct SwallowedEnd(Option<usize>);

impl Visit for SwallowedEnd {
    fn visit_heredoc_template(&mut self, node: &HeredocTemplate) {
        if let Some(Element::Literal(text)) = node.template.get(0)
            && text.lines().next().is_some_and(|line| line.trim() == node.delimiter.as_str())
        {
            self.0 = self.0.or(node.span().map(|span| span.start)).or(Some(0));
        }
        visit_heredoc_template(self, node);
    }
}

/// Says in words what the parser's terser messages mean.
fn plain(message: &str) -> String {
    if message.contains("redefined") {
        return "this name is already given above, in the same block; remove one of the two".to_string();
    }
    if message.contains("nesting depth") {
        return "nested too deeply; at most 64 levels are read".to_string();
    }
    if message == "unexpected token" {
        return "cannot be read from here on; is a quote or a bracket left open?".to_string();
    }
    if message == "expected `{`" {
        return "expected `{` of a block; a setting needs `=` between its name and its value".to_string();
    }
    if message.contains("block body") {
        return "expected `}`, or the next line; a block on one line holds a single setting".to_string();
    }
    if message.starts_with("invalid attribute") {
        return "expected `=` and a value; a block on one line holds one setting and no other block".to_string();
    }
    message.strip_prefix("invalid ").map_or_else(|| message.to_string(), |rest| format!("not a valid {rest}"))
}

/// Builds the nodes; `at` is the byte offset where a node begins.
struct HclReader<'s, 'e, 'a> {
    lines: Lines<'s>,
    evaluator: &'e mut Evaluator<'a>,
}

impl HclReader<'_, '_, '_> {
    fn node(&self, at: usize, kind: &str, field: &str, value: Json) -> Json {
        node(self.lines.place(at), kind, field, value)
    }

    fn entry(&self, at: usize, key: &str, value: Json) -> Json {
        entry(self.lines.place(at), key, value)
    }

    fn body(&mut self, body: &Body, at: usize) -> Json {
        let entries = body
            .iter()
            .map(|structure| match structure {
                Structure::Attribute(attribute) => {
                    let key_at = attribute.key.span().map_or(at, |span| span.start);
                    let value = self.expression(&attribute.value, key_at);
                    self.entry(key_at, attribute.key.as_str(), value)
                }
                Structure::Block(block) => self.block(block, at),
            })
            .collect();
        self.node(at, "object", "entries", Json::Array(entries))
    }

    fn block(&mut self, block: &Block, at: usize) -> Json {
        let at = block.ident.span().map_or(at, |span| span.start);
        let mut value = self.body(&block.body, at);
        for label in block.labels.iter().rev() {
            let label_at = label.span().map_or(at, |span| span.start);
            let inner = self.entry(label_at, label.as_str(), value);
            value = self.node(at, "object", "entries", json!([inner]));
            value["labels"] = Json::Bool(true);
        }
        self.entry(at, block.ident.as_str(), value)
    }

    fn expression(&mut self, expression: &Expression, at: usize) -> Json {
        let at = expression.span().map_or(at, |span| span.start);
        match expression {
            Expression::Array(items) => {
                let items = items.iter().map(|item| self.expression(item, at)).collect();
                self.node(at, "list", "items", Json::Array(items))
            }
            Expression::Object(object) => self.object(object, at),
            Expression::Parenthesis(inner) => self.expression(inner.inner(), at),
            Expression::String(text) => self.node(at, "string", "value", json!(text.as_str())),
            _ => match self.evaluate(expression, at) {
                Ok(value) => {
                    let node = to_node(&value, self.lines.place(at));
                    match expression {
                        Expression::Null(_) | Expression::Bool(_) | Expression::Number(_) => node,
                        _ => computed(node),
                    }
                }
                Err(message) => error(self.lines.place(at), &message),
            },
        }
    }

    fn object(&mut self, object: &Object, at: usize) -> Json {
        let mut entries = Vec::with_capacity(object.len());
        for (key, value) in object.iter() {
            let value_at = value.expr().span().map_or(at, |span| span.start);
            let key_at = self.key_offset(key, value_at);
            let name = match key {
                ObjectKey::Ident(ident) => Ok(ident.as_str().to_string()),
                ObjectKey::Expression(expression) => self.evaluate(expression, key_at).and_then(key_text),
            };
            entries.push(match name {
                Ok(name) => {
                    let value = self.expression(value.expr(), value_at);
                    self.entry(key_at, &name, value)
                }
                Err(message) => bad_entry(self.lines.place(key_at), &message),
            });
        }
        self.node(at, "object", "entries", Json::Array(entries))
    }

    /// The parser forgets where a bare key stands: it is looked for in front of its value.
    fn key_offset(&self, key: &ObjectKey, value_at: usize) -> usize {
        match key {
            ObjectKey::Expression(expression) => expression.span().map_or(value_at, |span| span.start),
            ObjectKey::Ident(ident) => {
                let before = self.lines.source.get(..value_at).unwrap_or("").trim_end();
                let name = before.strip_suffix(['=', ':']).unwrap_or("").trim_end();
                if name.ends_with(ident.as_str()) { name.len() - ident.len() } else { value_at }
            }
        }
    }

    fn evaluate(&mut self, expression: &Expression, at: usize) -> Result<Value, String> {
        let lines = &self.lines;
        self.evaluator.evaluate(expression, &|offset| lines.place(offset.unwrap_or(at)))
    }
}

/// The names of an object are text; numbers are taken by their digits, as HCL does.
fn key_text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("the name of a setting must be text".to_string()),
    }
}
