//! The computed values of a role (`let`): texts with `{{ }}`, and `match`.

use std::sync::Arc;

use super::model::Role;
use super::params;
use super::render::{Engine, Trouble};
use super::scope::{Scope, Variable, to_jinja, traced};
use super::spelling;
use super::yaml::{Data, Key, Node};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::nearest;
use crate::base::value::Value;

/// Adds the computed values of a role to its names, in order. One that is not known in this run, or has a mistake, is an unknown
/// name. With `is_static`, every branch is looked at and every name checked.
pub(crate) fn bind(engine: &Engine, role: &Role, scope: Scope, is_static: bool, out: &mut Diagnostics) -> Arc<Scope> {
    let mut scope = Arc::new(scope);
    for (name, node, _) in &role.lets {
        let reader = Lets { engine, role, scope: &scope, is_static };
        if is_static {
            reader.look(node, out);
        }
        let value = match reader.value(node) {
            Ok(value) => Variable::Known(to_jinja(&value)),
            Err(Trouble::Unknown) => Variable::Unknown,
            Err(Trouble::Wrong(mistake)) => {
                out.push(*mistake);
                Variable::Unknown
            }
        };
        scope = scope.with(name, value);
    }
    scope
}

struct Lets<'a> {
    engine: &'a Engine,
    role: &'a Role,
    scope: &'a Arc<Scope>,
    is_static: bool,
}

impl Lets<'_> {
    fn value(&self, node: &Node) -> Result<Value, Trouble> {
        match &node.data {
            Data::Scalar(scalar) if scalar.text.contains("{{") || scalar.text.contains("{%") => {
                self.engine.string(&scalar.text, &node.span, self.scope)
            }
            Data::Scalar(scalar) => Ok(params::any_scalar(scalar)),
            Data::List(items) => items.iter().map(|item| self.value(item)).collect::<Result<_, _>>().map(Value::List),
            Data::Map(entries) => match subject(entries) {
                Some(subject) => self.matched(node, subject, entries),
                None => {
                    let pairs = entries.iter().map(|(key, item)| Ok((key.text.clone(), self.value(item)?)));
                    pairs.collect::<Result<_, Trouble>>().map(Value::Map)
                }
            },
        }
    }

    fn matched(&self, node: &Node, subject: &Node, entries: &[(Key, Node)]) -> Result<Value, Trouble> {
        let code = code(subject)?;
        let (text, trace) = traced(|| -> Result<_, Trouble> {
            let value = self.engine.expression(code, &subject.span, self.scope)?;
            Ok(super::filters::text(&value))
        });
        super::entry::without_secrets(&trace, "match", &subject.span)?;
        let text = text?.map_err(|_| Diagnostic::error(&subject.span, "`match` compares a text, and this is none"))?;
        let arm = |name: &str| entries.iter().find(|(key, _)| key.text == name && key.text != "match");
        match arm(&text).or_else(|| arm("default")) {
            Some((_, value)) => self.value(value),
            None => Err(Diagnostic::error(
                &params::first_line(&node.span),
                format!("no arm of this `match` is for `{text}`"),
            )
            .hint(format!("add `{text}: …` or `default: …`"))
            .into()),
        }
    }

    /// Looks at every branch, for the sake of the names in it.
    fn look(&self, node: &Node, out: &mut Diagnostics) {
        debug_assert!(self.is_static);
        match &node.data {
            Data::Scalar(scalar) => {
                if scalar.text.contains("{{") {
                    out.take(spelling::string(self.engine, self.role, &scalar.text, &node.span, self.scope, false));
                }
            }
            Data::List(items) => items.iter().for_each(|item| self.look(item, out)),
            Data::Map(entries) => {
                if let Some(subject) = subject(entries) {
                    self.look_at_match(subject, entries, out);
                }
                let arms = entries.iter().filter(|(key, _)| key.text != "match" || subject(entries).is_none());
                arms.for_each(|(_, value)| self.look(value, out));
            }
        }
    }

    fn look_at_match(&self, subject: &Node, entries: &[(Key, Node)], out: &mut Diagnostics) {
        let Ok(code) = code(subject) else { return };
        out.take(spelling::expression(self.engine, self.role, code, &subject.span, self.scope));
        let Some((path, answers)) = spelling::closed(code) else { return };
        for (key, _) in entries.iter().filter(|(key, _)| key.text != "match" && key.text != "default") {
            if !answers.contains(&key.text.as_str()) {
                let found = Diagnostic::error(&key.span, format!("`facts.{path}` is never \"{}\"", key.text));
                out.push(match nearest::hint(&key.text, answers.iter().copied()) {
                    Some(hint) => found.hint(hint),
                    None => found,
                });
            }
        }
    }
}

/// What a `match` looks at, if a map is one.
pub(crate) fn subject(entries: &[(Key, Node)]) -> Option<&Node> {
    entries.iter().find(|(key, node)| key.text == "match" && matches!(node.data, Data::Scalar(_))).map(|(_, node)| node)
}

fn code(subject: &Node) -> Result<&str, Trouble> {
    match &subject.data {
        Data::Scalar(scalar) if scalar.text.contains("{{") => {
            Err(Diagnostic::error(&subject.span, "`match` takes an expression, without braces")
                .hint(format!("write match: {}", scalar.text.replace("{{", "").replace("}}", "").trim()))
                .into())
        }
        Data::Scalar(scalar) => Ok(&scalar.text),
        _ => Err(Diagnostic::error(&subject.span, "`match` takes an expression").into()),
    }
}
