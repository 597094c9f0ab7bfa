//! The HCL front end: text in, a JSON tree out in which every value knows its line and column.
//!
//! Blocks and objects become the same `object` node, so that `otlp { }` and `otlp = { }` are equal; the labels of a
//! block become objects of their own (`discovery "instrument" { }` is `discovery { instrument { } }`). What the
//! settings are, and whether they make sense, is decided in TypeScript: a value that cannot be computed is a node of
//! type `error`, so that all mistakes of a file are reported at once. Lines and columns count from 1, columns in
//! characters.
//!
//! `env("NAME")` and `env("NAME", "default")` are replaced before anything is computed. Their arguments are plain text,
//! so the variables that a file reads can be told from the file alone.

mod env_calls;

use hcl::Value;
use hcl::edit::expr::{Expression, Object, ObjectKey};
use hcl::edit::structure::{Block, Body, Structure};
use hcl::edit::{Span, parser};
use hcl::eval::{Context, ErrorKind, Evaluate};
use serde_json::{Value as Json, json};

/// Longest file that is read, in bytes: far above any real one.
const MAX_SOURCE: usize = 1 << 20;

/// Parses and evaluates `source` with the variables of this process.
///
/// `Ok` is `{"root": node, "unset": [{"variable", "line", "column"}]}`, `Err` is a list of `{"line", "column", "message"}`;
/// both are JSON.
pub fn parse(source: &str) -> Result<String, String> {
    parse_with(source, &|name| std::env::var(name).ok())
}

fn parse_with(source: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    if source.len() > MAX_SOURCE {
        let message = format!("the file has {} bytes; at most {MAX_SOURCE} are read", source.len());
        return Err(json!([{ "line": 1, "column": 1, "message": message }]).to_string());
    }
    let body = parser::parse_body(source).map_err(|error| {
        let (at, message) = (error.location(), plain(error.message()));
        json!([{ "line": at.line(), "column": at.column(), "message": message }]).to_string()
    })?;
    let mut tree = Tree { lines: Lines::new(source), env, unset: Vec::new() };
    let root = tree.body(&body, 0);
    Ok(json!({ "root": root, "unset": tree.unset }).to_string())
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
    message.strip_prefix("invalid ").map_or_else(|| message.to_string(), |rest| format!("not a valid {rest}"))
}

/// Turns byte offsets into lines and columns.
struct Lines<'a> {
    source: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(source: &'a str) -> Self {
        let after_newline = source.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { source, starts: std::iter::once(0).chain(after_newline).collect() }
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let before = self.source.get(self.starts[line - 1]..offset).unwrap_or("");
        (line, before.chars().count() + 1)
    }
}

/// Builds the nodes; `at` is the byte offset where a node begins.
struct Tree<'a> {
    lines: Lines<'a>,
    env: &'a dyn Fn(&str) -> Option<String>,
    unset: Vec<Json>,
}

impl Tree<'_> {
    fn node(&self, at: usize, kind: &str, field: &str, value: Json) -> Json {
        let (line, column) = self.lines.position(at);
        json!({ "type": kind, "line": line, "column": column, field: value })
    }

    fn entry(&self, at: usize, key: &str, value: Json) -> Json {
        let (line, column) = self.lines.position(at);
        json!({ "key": key, "line": line, "column": column, "value": value })
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
                    let mut node = self.value(&value, at);
                    if !matches!(expression, Expression::Null(_) | Expression::Bool(_) | Expression::Number(_)) {
                        node["computed"] = Json::Bool(true);
                    }
                    node
                }
                Err(message) => self.node(at, "error", "message", json!(message)),
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
                Err(message) => {
                    let error = self.node(key_at, "error", "message", json!(message));
                    self.entry(key_at, "", error)
                }
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
        let mut expression = expression.clone();
        env_calls::replace(self, &mut expression, at)?;
        hcl::Expression::from(expression).evaluate(&Context::new()).map_err(|error| explain(error.kind()))
    }

    fn value(&self, value: &Value, at: usize) -> Json {
        match value {
            Value::Null => self.node(at, "null", "value", Json::Null),
            Value::Bool(flag) => self.node(at, "bool", "value", json!(flag)),
            Value::String(text) => self.node(at, "string", "value", json!(text)),
            Value::Number(number) => {
                let number = match (number.as_u64(), number.as_i64()) {
                    (Some(number), _) => json!(number),
                    (None, Some(number)) => json!(number),
                    (None, None) => json!(number.as_f64()),
                };
                self.node(at, "number", "value", number)
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| self.value(item, at)).collect();
                self.node(at, "list", "items", Json::Array(items))
            }
            Value::Object(object) => {
                let entries = object.iter().map(|(key, item)| self.entry(at, key, self.value(item, at))).collect();
                self.node(at, "object", "entries", Json::Array(entries))
            }
        }
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

/// Never shows a value: it may come from a variable that holds a secret.
fn explain(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::UndefinedVar(name) => {
            let name = name.as_str();
            format!("{name} is not known here; write \"{name}\" in double quotes if it is meant as text")
        }
        ErrorKind::UndefinedFunc(name) => {
            format!("{name}() is not known; the only function is env(\"NAME\") or env(\"NAME\", \"default\")")
        }
        ErrorKind::Unexpected(_, expected) => {
            format!("cannot be computed: {expected} is needed here")
        }
        ErrorKind::UnaryOp(operator, _) => {
            format!("cannot be computed: {operator} does not fit this value")
        }
        ErrorKind::BinaryOp(_, operator, _) => {
            format!("cannot be computed: {operator} does not fit these values")
        }
        ErrorKind::Index(index) => format!("cannot be computed: the list has no item {index}"),
        ErrorKind::NoSuchKey(_) => "cannot be computed: the object has no such name".to_string(),
        ErrorKind::KeyExists(_) => "cannot be computed: a name is given twice".to_string(),
        ErrorKind::FuncCall(..) | ErrorKind::Message(_) => "cannot be computed".to_string(),
        _ => "cannot be computed".to_string(),
    }
}

#[cfg(test)]
mod tests;
