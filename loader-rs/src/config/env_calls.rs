//! Replaces calls of `env()` by their text, and refuses what the evaluator cannot compute without a panic.

use super::MAX_DEPTH;
use super::evaluator::{Evaluator, PlaceOf};
use hcl::edit::Span;
use hcl::edit::expr::{BinaryOp, BinaryOperator, Expression, FuncCall, Traversal};
use hcl::edit::template::Template;
use hcl::edit::visit_mut::{VisitMut, visit_binary_op_mut, visit_expr_mut, visit_traversal_mut};
use serde_json::json;

pub(super) const USAGE: &str =
    "env() takes a name, and perhaps a default, both in double quotes: env(\"NAME\", \"default\")";

/// Prepares what `visit` shows for the evaluator; the error says why it cannot be computed.
pub(super) fn replace(
    evaluator: &mut Evaluator,
    place_of: PlaceOf,
    visit: impl FnOnce(&mut EnvCalls),
) -> Result<(), String> {
    let mut calls = EnvCalls { evaluator, place_of, problem: None };
    visit(&mut calls);
    calls.problem.map_or(Ok(()), Err)
}

pub(super) struct EnvCalls<'e, 'a> {
    evaluator: &'e mut Evaluator<'a>,
    place_of: PlaceOf<'e>,
    problem: Option<String>,
}

impl EnvCalls<'_, '_> {
    pub(super) fn expression(&mut self, expression: &mut Expression) {
        self.visit_expr_mut(expression);
    }

    pub(super) fn template(&mut self, template: &mut Template) {
        self.visit_template_mut(template);
    }

    fn text_of(&mut self, call: &FuncCall, at: Option<usize>) -> Option<String> {
        let arguments: Option<Vec<&str>> = call.args.iter().map(|argument| argument.as_str()).collect();
        let (name, default) = match arguments.as_deref() {
            Some([name]) => (*name, None),
            Some([name, default]) => (*name, Some(*default)),
            _ => {
                self.problem.get_or_insert(USAGE.to_string());
                return None;
            }
        };
        // A name with these bytes would make `std::env::var` fail in its own way; nothing can be set under it.
        let plain_name = !name.is_empty() && !name.contains(['=', '\0']);
        let found = if plain_name { (self.evaluator.env)(name) } else { None };
        if found.is_none() && default.is_none() {
            let at = (self.place_of)(at);
            self.evaluator.unset.push(json!({ "variable": name, "line": at.line, "column": at.column }));
        }
        Some(found.unwrap_or_else(|| default.unwrap_or("").to_string()))
    }
}

impl VisitMut for EnvCalls<'_, '_> {
    fn visit_expr_mut(&mut self, node: &mut Expression) {
        let at = node.span().map(|span| span.start);
        visit_expr_mut(self, node);
        if let Expression::FuncCall(call) = node
            && call.name.namespace.is_empty()
            && call.name.name.as_str() == "env"
            && let Some(text) = self.text_of(call, at)
        {
            *node = Expression::from(text);
        }
    }

    fn visit_binary_op_mut(&mut self, node: &mut BinaryOp) {
        use BinaryOperator::{Div, Minus, Mod, Mul, Plus};
        if matches!(*node.operator, Plus | Minus | Mul | Div | Mod) {
            let message = format!("arithmetic ({}) is not supported; write the result", node.operator.as_str());
            self.problem.get_or_insert(message);
        }
        visit_binary_op_mut(self, node);
    }

    fn visit_traversal_mut(&mut self, node: &mut Traversal) {
        // The evaluator calls itself for every [*].
        if node.operators.len() > MAX_DEPTH {
            self.problem.get_or_insert(format!("too long; at most {MAX_DEPTH} of [ ] and . may follow a value"));
            node.operators.clear();
        }
        visit_traversal_mut(self, node);
    }
}
