//! Replaces calls of `env()` by their text, and refuses what the evaluator cannot compute without a panic.

use super::Tree;
use hcl::edit::Span;
use hcl::edit::expr::{BinaryOp, BinaryOperator, Expression, FuncCall};
use hcl::edit::visit_mut::{VisitMut, visit_binary_op_mut, visit_expr_mut};
use serde_json::json;

/// Prepares an expression that begins at byte `at` for the evaluator; the error says why it cannot be computed.
pub(super) fn replace(tree: &mut Tree, expression: &mut Expression, at: usize) -> Result<(), String> {
    let mut calls = EnvCalls { tree, at, problem: None };
    calls.visit_expr_mut(expression);
    calls.problem.map_or(Ok(()), Err)
}

struct EnvCalls<'t, 'a> {
    tree: &'t mut Tree<'a>,
    at: usize,
    problem: Option<String>,
}

impl EnvCalls<'_, '_> {
    fn text_of(&mut self, call: &FuncCall, at: usize) -> Option<String> {
        let arguments: Option<Vec<&str>> = call.args.iter().map(|argument| argument.as_str()).collect();
        let (name, default) = match arguments.as_deref() {
            Some([name]) => (*name, None),
            Some([name, default]) => (*name, Some(*default)),
            _ => {
                let message =
                    "env() takes a name, and perhaps a default, both in double quotes: env(\"NAME\", \"default\")";
                self.problem.get_or_insert(message.to_string());
                return None;
            }
        };
        // A name with these bytes would make `std::env::var` fail in its own way; nothing can be set under it.
        let plain_name = !name.is_empty() && !name.contains(['=', '\0']);
        let found = if plain_name { (self.tree.env)(name) } else { None };
        if found.is_none() && default.is_none() {
            let (line, column) = self.tree.lines.position(at);
            self.tree.unset.push(json!({ "variable": name, "line": line, "column": column }));
        }
        Some(found.unwrap_or_else(|| default.unwrap_or("").to_string()))
    }
}

impl VisitMut for EnvCalls<'_, '_> {
    fn visit_expr_mut(&mut self, node: &mut Expression) {
        let at = node.span().map_or(self.at, |span| span.start);
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
}
