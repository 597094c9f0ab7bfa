//! The front end of configuration files: HCL, YAML or JSON in, one JSON tree out in which every value knows its line and
//! column.
//!
//! Blocks and objects become the same `object` node, so that `otlp { }` and `otlp = { }` are equal; the labels of a
//! block become objects of their own (`discovery "instrument" { }` is `discovery { instrument { } }`). What the
//! settings are, and whether they make sense, is decided in TypeScript: a value that cannot be computed is a node of
//! type `error`, so that all mistakes of a file are reported at once. Lines and columns count from 1, columns in
//! characters.

mod env_calls;
mod evaluator;
mod lines;
mod read_hcl;
mod read_json;
mod read_yaml;

use evaluator::Evaluator;
use lines::Place;
use serde_json::{Value as Json, json};

/// Longest file that is read, in bytes: far above any real one.
const MAX_SOURCE: usize = 1 << 20;
/// Deepest nesting that is read, as in HCL's parser.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Copy, Debug)]
pub enum Format {
    Hcl,
    Yaml,
    Json,
}

impl Format {
    /// The format by its number across the C interface.
    pub fn from_number(number: u32) -> Option<Self> {
        [Format::Hcl, Format::Yaml, Format::Json].get(number as usize).copied()
    }
}

/// What hinders reading a file from its place on.
struct SyntaxError {
    at: Place,
    message: String,
}

/// Parses and evaluates `source` with the variables of this process.
///
/// `Ok` is `{"root": node, "unset": [{"variable", "line", "column"}]}`, `Err` is a list of `{"line", "column", "message"}`;
/// both are JSON.
pub fn parse(source: &str, format: Format) -> Result<String, String> {
    parse_with(source, format, &|name| std::env::var(name).ok())
}

fn parse_with(source: &str, format: Format, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut evaluator = Evaluator::new(env);
    read(source, format, &mut evaluator)
        .map(|root| json!({ "root": root, "unset": evaluator.unset }).to_string())
        .map_err(|SyntaxError { at, message }| {
            json!([{ "line": at.line, "column": at.column, "message": message }]).to_string()
        })
}

fn read(source: &str, format: Format, evaluator: &mut Evaluator) -> Result<Json, SyntaxError> {
    if source.len() > MAX_SOURCE {
        let message = format!("the file has {} bytes; at most {MAX_SOURCE} are read", source.len());
        return Err(SyntaxError { at: Place::START, message });
    }
    match format {
        Format::Hcl => read_hcl::read(source, evaluator),
        Format::Yaml => read_yaml::read(source, evaluator),
        Format::Json => read_json::read(source, evaluator),
    }
}

fn too_deep(at: Place) -> SyntaxError {
    SyntaxError { at, message: format!("nested too deeply; at most {MAX_DEPTH} levels are read") }
}

/// What stands in a file instead of settings.
fn not_settings(at: Place) -> SyntaxError {
    SyntaxError { at, message: "a configuration is a group of settings, such as log_level and span".to_string() }
}

fn node(at: Place, kind: &str, field: &str, value: Json) -> Json {
    json!({ "type": kind, "line": at.line, "column": at.column, field: value })
}

fn entry(at: Place, key: &str, value: Json) -> Json {
    json!({ "key": key, "line": at.line, "column": at.column, "value": value })
}

fn error(at: Place, message: &str) -> Json {
    node(at, "error", "message", json!(message))
}

/// An entry whose name cannot be used.
fn bad_entry(at: Place, message: &str) -> Json {
    entry(at, "", error(at, message))
}

#[cfg(test)]
mod tests;
