//! Computes values: expressions of HCL, and texts of YAML and JSON, which are templates of HCL too.
//!
//! `env("NAME")` and `env("NAME", "default")` are replaced before anything is computed. Their arguments are plain text,
//! so the variables that a file reads can be told from the file alone.

use super::{Place, entry, env_calls, error, node};
use hcl::Value;
use hcl::edit::expr::Expression;
use hcl::edit::parser;
use hcl::edit::template::Element;
use hcl::eval::{Context, ErrorKind, Evaluate};
use serde_json::{Value as Json, json};

/// Tells where the expression stands that begins at a byte offset, or of which no offset is known.
pub(super) type PlaceOf<'p> = &'p dyn Fn(Option<usize>) -> Place;

pub(super) struct Evaluator<'a> {
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Variables that were asked for and are not set.
    pub unset: Vec<Json>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Evaluator { env, unset: Vec::new() }
    }

    pub(super) fn evaluate(&mut self, expression: &Expression, place_of: PlaceOf) -> Result<Value, String> {
        let mut expression = expression.clone();
        env_calls::replace(self, place_of, |calls| calls.expression(&mut expression))?;
        hcl::Expression::from(expression).evaluate(&Context::new()).map_err(|error| explain(error.kind()))
    }

    /// The node of a text that stands in YAML or JSON: `env("NAME")` alone, or a template with `${…}` in it.
    pub(super) fn text(&mut self, text: &str, at: Place) -> Json {
        let is_call = text.trim_start().starts_with("env(") && text.trim_end().ends_with(')');
        if !is_call && !text.contains("${") && !text.contains("%{") {
            return node(at, "string", "value", json!(text));
        }
        let value = if is_call { self.call(text.trim(), at) } else { self.template(text, at) };
        match value {
            Ok(value) => computed(to_node(&value, at)),
            Err(message) => error(at, &message),
        }
    }

    /// The name of a setting in YAML or JSON.
    pub(super) fn name(&mut self, text: &str, at: Place) -> Result<String, String> {
        let node = self.text(text, at);
        match (&node["value"], node["message"].as_str()) {
            (_, Some(message)) => Err(message.to_string()),
            (Json::String(name), None) => Ok(name.clone()),
            _ => Err("the name of a setting must be text".to_string()),
        }
    }

    fn call(&mut self, text: &str, at: Place) -> Result<Value, String> {
        let expression = parser::parse_expr(text).map_err(|_| env_calls::USAGE.to_string())?;
        self.evaluate(&expression, &|_| at)
    }

    fn template(&mut self, text: &str, at: Place) -> Result<Value, String> {
        let unreadable = "cannot be read as a template: ${…} holds an expression; write $${ for the characters ${";
        let mut template = parser::parse_template(text).map_err(|_| unreadable.to_string())?;
        env_calls::replace(self, &|_| at, |calls| calls.template(&mut template))?;
        let context = Context::new();
        // A template that is one expression has its value, of whatever type; so it is in HCL.
        let only = match template.get(0) {
            Some(Element::Interpolation(only)) if template.len() == 1 => Some(only.expr.clone()),
            _ => None,
        };
        let value = match only {
            Some(expression) => hcl::Expression::from(expression).evaluate(&context),
            None => hcl::Template::from(template).evaluate(&context).map(Value::String),
        };
        value.map_err(|error| explain(error.kind()))
    }
}

/// Marks a node that was computed: its text may stand for a number or a switch.
pub(super) fn computed(mut node: Json) -> Json {
    node["computed"] = Json::Bool(true);
    node
}

pub(super) fn to_node(value: &Value, at: Place) -> Json {
    match value {
        Value::Null => node(at, "null", "value", Json::Null),
        Value::Bool(flag) => node(at, "bool", "value", json!(flag)),
        Value::String(text) => node(at, "string", "value", json!(text)),
        Value::Number(number) => {
            let number = match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => json!(number),
                (None, Some(number)) => json!(number),
                (None, None) => json!(number.as_f64()),
            };
            node(at, "number", "value", number)
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| to_node(item, at)).collect();
            node(at, "list", "items", Json::Array(items))
        }
        Value::Object(object) => {
            let entries = object.iter().map(|(key, item)| entry(at, key, to_node(item, at))).collect();
            node(at, "object", "entries", Json::Array(entries))
        }
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
            let needed = if *expected == "a boolean" { "true or false" } else { expected };
            format!("cannot be computed: {needed} is needed here")
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
