//! The value of a node: its text by the type that is wanted of it, rendered first where it holds an expression.

use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::Value as Jinja;

use super::{Around, Builder};
use crate::base::diagnostic::Diagnostic;
use crate::base::span::Span;
use crate::base::value::Value;
use crate::catalog::params::first_line;
use crate::catalog::render::Trouble;
use crate::catalog::scope::Scope;
use crate::catalog::typed::Form;
use crate::catalog::yaml::{Data, Node, Scalar};
use crate::catalog::{spelling, typed};
use crate::resource::Type;

impl Builder<'_> {
    pub(super) fn text(&self, node: &Node, name: &str, around: &Around) -> Result<Option<String>, Trouble> {
        Ok(self.value(node, &Type::Text, name, around)?.map(|value| value.to_string()))
    }

    /// The value of a node by its type; none if an expression came out as nothing, which is as if it had not been written.
    pub(super) fn value(&self, node: &Node, ty: &Type, name: &str, around: &Around) -> Result<Option<Value>, Trouble> {
        let wrong = |found: &str| {
            let message = format!("`{name}` takes {}, found {found}", expected(ty));
            Trouble::from(Diagnostic::error(&first_line(&node.span), message))
        };
        match (ty, &node.data) {
            (Type::List(item), Data::List(nodes)) => {
                let mut values = Vec::new();
                for node in nodes {
                    values.extend(self.value(node, item, name, around)?);
                }
                Ok(Some(Value::List(values)))
            }
            (Type::Map(item), Data::Map(entries)) => {
                let mut map = IndexMap::new();
                for (key, node) in entries {
                    if let Some(value) = self.value(node, item, name, around)? {
                        map.insert(key.text.clone(), value);
                    }
                }
                Ok(Some(Value::Map(map)))
            }
            (_, Data::Scalar(scalar)) => self.scalar(scalar, node, ty, name, around),
            (_, Data::List(_)) => Err(wrong("a list")),
            (_, Data::Map(_)) => Err(wrong("a map")),
        }
    }

    pub(super) fn scalar(
        &self,
        scalar: &Scalar,
        node: &Node,
        ty: &Type,
        name: &str,
        around: &Around,
    ) -> Result<Option<Value>, Trouble> {
        if scalar.is_null() {
            return Err(Diagnostic::error(&node.span, format!("`{name}` has no value"))
                .hint("write a value, leave the key out, or quote the text if it is meant as a text")
                .into());
        }
        let text = scalar.text.as_str();
        if !text.contains("{{") && !text.contains("{%") {
            let form = if scalar.quoted { Form::Quoted } else { Form::Plain };
            let item = if let Type::List(item) = ty { item } else { ty };
            let value = typed::scalar(item, text, form, name, &node.span)?;
            return Ok(Some(if matches!(ty, Type::List(_)) { Value::List(vec![value]) } else { value }));
        }
        if self.is_static {
            spelling::string(self.engine, self.role, text, &node.span, &around.scope, *ty == Type::Command)?;
        }
        let value = match ty {
            Type::Command | Type::List(Type::Command) => self.engine.command(text, &node.span, &around.scope)?,
            _ => self.engine.string(text, &node.span, &around.scope)?,
        };
        rendered(value, ty, name, &node.span).map_err(Trouble::from)
    }

    pub(super) fn expression(&self, code: &str, place: &Span, scope: &Arc<Scope>) -> Result<Jinja, Trouble> {
        if self.is_static {
            spelling::expression(self.engine, self.role, code, place, scope)?;
        }
        self.engine.expression(code, place, scope)
    }
}

/// A value that `{{ }}` gave, by its type.
pub(super) fn rendered(value: Value, ty: &Type, name: &str, span: &Span) -> Result<Option<Value>, Diagnostic> {
    let wrong = |value: &Value| {
        Diagnostic::error(span, format!("`{name}` takes {}, and this gives {}", expected(ty), value.type_name()))
    };
    Ok(Some(match (ty, value) {
        (_, Value::Null) => return Ok(None),
        (Type::List(item), Value::List(values)) => {
            let typed: Vec<Option<Value>> =
                values.into_iter().map(|value| rendered(value, item, name, span)).collect::<Result<_, _>>()?;
            Value::List(typed.into_iter().flatten().collect())
        }
        (Type::List(item), value) => Value::List(rendered(value, item, name, span)?.into_iter().collect()),
        (Type::Map(item), Value::Map(values)) => {
            let mut map = IndexMap::new();
            for (key, value) in values {
                if let Some(value) = rendered(value, item, name, span)? {
                    map.insert(key, value);
                }
            }
            Value::Map(map)
        }
        (_, value @ (Value::List(_) | Value::Map(_))) => return Err(wrong(&value)),
        (Type::Map(_), value) => return Err(wrong(&value)),
        (Type::Bool, value @ (Value::Int(_) | Value::Float(_))) => return Err(wrong(&value)),
        (ty, Value::Secret(secret)) => typed::scalar(ty, secret.expose(), Form::Rendered, name, span)
            // A message about a secret must not show it.
            .map_err(|_| {
                Diagnostic::error(span, format!("`{name}` takes {}, and this secret is none", expected(ty)))
            })?,
        (ty, value) => typed::scalar(ty, &value.to_string(), Form::Rendered, name, span)?,
    }))
}

/// What a type takes, for messages.
pub(super) fn expected(ty: &Type) -> &'static str {
    match ty {
        Type::Int => "a whole number",
        Type::Bool => "true or false",
        Type::Path => "an absolute path",
        Type::Mode => "permissions",
        Type::Enum(_) => "one word",
        Type::Version => "a version",
        Type::Duration => "a length of time",
        Type::Command => "a command",
        Type::Template => "the name of a template",
        Type::Source => "the path of a file of the role",
        Type::Watch | Type::List(_) => "a list",
        Type::Map(_) => "a map",
        Type::Text | Type::Content => "a text",
    }
}
