//! Values of parameters: from what is written in the inventory and in a role's defaults to typed values.
//!
//! A scalar is typed by the wanted type from its written text, never by YAML. Values in the inventory and defaults are data:
//! `{{ }}` means nothing in them. What a value is used for is not known here.

use indexmap::IndexMap;

use super::model::{Given, Param, RoleFiles, Shape, ShapeType};
use super::yaml::{Data, Key, Node, Scalar};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::nearest;
use crate::base::secret::Secret;
use crate::base::span::Span;
use crate::base::value::Value;

/// What typing needs to know beside the shape.
#[derive(Clone, Copy)]
pub(crate) struct Typing<'a> {
    /// The files of the role, for values of type `file`.
    pub(crate) files: &'a RoleFiles,
    /// Gives the secret with this name, which is asked for at this place.
    pub(crate) secret: &'a dyn Fn(&str, &Span) -> Result<Secret, Diagnostic>,
}

/// The value of a parameter from all that was given for it, nearest level first, and its default. Nothing if it was neither
/// given nor has a default.
pub(crate) fn layered(param: &Param, given: &[Given]) -> Option<Node> {
    let mut levels = given.iter().map(|given| &given.node).chain(&param.default);
    let nearest = levels.next()?.clone();
    if !param.deep {
        return Some(nearest);
    }
    Some(levels.fold(nearest, |near, far| merge(far, &near)))
}

/// Maps put into each other; anything else is replaced by the nearer one.
fn merge(far: &Node, near: &Node) -> Node {
    let (Data::Map(far_entries), Data::Map(near_entries)) = (&far.data, &near.data) else { return near.clone() };
    let mut entries = far_entries.clone();
    for (key, node) in near_entries {
        match entries.iter_mut().find(|(known, _)| known.text == key.text) {
            Some((known, old)) => (*known, *old) = (key.clone(), merge(old, node)),
            None => entries.push((key.clone(), node.clone())),
        }
    }
    Node { span: near.span.clone(), data: Data::Map(entries) }
}

impl Typing<'_> {
    /// The typed value of a parameter. Every mistake goes to `out`.
    pub(crate) fn param(&self, param: &Param, node: &Node, out: &mut Diagnostics) -> Option<Value> {
        if param.optional && is_null(node) {
            return Some(Value::Null);
        }
        self.typed(node, &param.shape, out)
    }

    /// A value of this shape. Every mistake goes to `out`.
    pub(crate) fn typed(&self, node: &Node, shape: &Shape, out: &mut Diagnostics) -> Option<Value> {
        let value = match (&shape.ty, &node.data) {
            (ShapeType::Any, _) => any(node),
            (ShapeType::Secret, _) => out.take(self.secret(node))?,
            (_, Data::Map(entries)) if is_secret_reference(entries) && !matches!(shape.ty, ShapeType::Record(_)) => {
                out.push(
                    Diagnostic::error(&node.span, "this parameter does not take a secret")
                        .hint("declare it with `type: secret` in the role"),
                );
                return None;
            }
            (ShapeType::List(of), Data::List(items)) => {
                let typed: Vec<Option<Value>> = items.iter().map(|item| self.typed(item, of, out)).collect();
                Value::List(typed.into_iter().collect::<Option<_>>()?)
            }
            (ShapeType::Map(of), Data::Map(entries)) => {
                let typed: Vec<Option<(String, Value)>> =
                    entries.iter().map(|(key, item)| Some((key.text.clone(), self.typed(item, of, out)?))).collect();
                Value::Map(typed.into_iter().collect::<Option<_>>()?)
            }
            (ShapeType::Record(fields), Data::Map(entries)) => self.record(node, fields, entries, out)?,
            (_, Data::Scalar(scalar)) if scalar.is_null() => {
                let empty = matches!(shape.ty, ShapeType::String);
                let hint = if empty { "write \"\" for an empty text" } else { "write a value, or leave the key out" };
                out.push(Diagnostic::error(&node.span, format!("expected {}, found nothing", shape.name())).hint(hint));
                return None;
            }
            (_, Data::Scalar(scalar)) => out.take(self.scalar(scalar, &node.span, shape))?,
            (_, data) => {
                out.push(mismatch(&node.span, shape, data));
                return None;
            }
        };
        out.take(limits(value, shape, &node.span))
    }

    fn record(
        &self,
        node: &Node,
        fields: &IndexMap<String, Param>,
        entries: &[(Key, Node)],
        out: &mut Diagnostics,
    ) -> Option<Value> {
        let mut sound = true;
        for (key, _) in entries.iter().filter(|(key, _)| !fields.contains_key(&key.text)) {
            out.push(Diagnostic::unknown(&key.span, "key", &key.text, fields.keys().map(String::as_str)));
            sound = false;
        }
        let mut map = IndexMap::new();
        for (name, field) in fields {
            let written = entries.iter().find(|(key, _)| key.text == *name).map(|(_, node)| node);
            let value = match written.or(field.default.as_ref()) {
                Some(node) => self.param(field, node, out),
                None if field.optional => Some(Value::Null),
                None => {
                    out.push(
                        Diagnostic::error(&first_line(&node.span), format!("`{name}` is missing here"))
                            .related(&field.span, "declared here, without a default")
                            .hint(format!("write `{name}: …`, {}", field.shape.name())),
                    );
                    None
                }
            };
            match value {
                Some(value) => drop(map.insert(name.clone(), value)),
                None => sound = false,
            }
        }
        sound.then_some(Value::Map(map))
    }

    fn scalar(&self, scalar: &Scalar, span: &Span, shape: &Shape) -> Result<Value, Diagnostic> {
        let text = scalar.text.as_str();
        let wrong = || Diagnostic::error(span, format!("expected {}, found `{text}`", shape.name()));
        let unquoted = |parsed: Option<Value>| match parsed {
            Some(_) if scalar.quoted => Err(wrong().hint(format!("drop the quotes: {text}"))),
            Some(value) => Ok(value),
            None => Err(wrong()),
        };
        match &shape.ty {
            ShapeType::String => Ok(Value::from(text)),
            ShapeType::Int => unquoted(int(text).map(Value::Int)),
            ShapeType::Float => unquoted(float(text).map(Value::Float)),
            ShapeType::Bool => unquoted(bool(text).map(Value::Bool)).map_err(|found| match bool_hint(text) {
                Some(hint) => found.hint(hint),
                None => found,
            }),
            ShapeType::Path => path(text).map(Value::Text).map_err(|why| Diagnostic::error(span, why)),
            ShapeType::Enum(words) if words.iter().any(|word| word == text) => Ok(Value::from(text)),
            ShapeType::Enum(words) => Err(match nearest::hint(text, words.iter().map(String::as_str)) {
                Some(hint) => {
                    Diagnostic::error(span, format!("`{text}` is none of the values of this parameter")).hint(hint)
                }
                None => wrong(),
            }),
            ShapeType::File => self.file(text, span),
            _ => Err(wrong()),
        }
    }

    fn secret(&self, node: &Node) -> Result<Value, Diagnostic> {
        let wrong = |message: &str| {
            Diagnostic::error(&node.span, message)
                .hint("write {secret: scope/name}, and keep the value in secrets/scope.yml")
        };
        let Data::Map(entries) = &node.data else {
            return Err(wrong("a secret is never written into the project").private());
        };
        match &entries[..] {
            [(key, Node { data: Data::Scalar(scalar), span })] if key.text == "secret" => {
                match scalar.text.split_once('/') {
                    Some((scope, name)) if !scope.is_empty() && !name.is_empty() && !name.contains('/') => {
                        (self.secret)(&scalar.text, span).map(Value::Secret)
                    }
                    _ => Err(Diagnostic::error(span, format!("`{}` is no name of a secret", scalar.text))
                        .hint("it has two parts: scope/name")),
                }
            }
            _ => Err(wrong("expected a secret")),
        }
    }

    fn file(&self, text: &str, span: &Span) -> Result<Value, Diagnostic> {
        let RoleFiles { files, templates, unreadable } = self.files;
        if files.contains_key(text) || templates.contains_key(text) {
            return Ok(Value::from(text));
        }
        for folder in ["files", "templates"] {
            if let Some(why) = unreadable.get(&format!("{folder}/{text}")) {
                return Err(Diagnostic::error(span, format!("{folder}/{text} cannot be used: {why}")));
            }
        }
        let known = files.keys().chain(templates.keys()).map(String::as_str);
        Err(Diagnostic::unknown(span, "file of the role", text, known))
    }
}

impl Scalar {
    /// Whether it was written as nothing at all: empty, `~` or `null`, without quotes.
    pub(crate) fn is_null(&self) -> bool {
        !self.quoted && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Shape {
    /// What it is called in messages: `a whole number`.
    pub(crate) fn name(&self) -> String {
        match &self.ty {
            ShapeType::String => "a string".to_owned(),
            ShapeType::Int => "a whole number".to_owned(),
            ShapeType::Float => "a number".to_owned(),
            ShapeType::Bool => "true or false".to_owned(),
            ShapeType::Path => "an absolute path".to_owned(),
            ShapeType::Enum(words) => format!("one of {}", words.join(", ")),
            ShapeType::List(_) => "a list".to_owned(),
            ShapeType::Map(_) => "a map".to_owned(),
            ShapeType::Record(fields) => {
                format!("a map with {}", fields.keys().cloned().collect::<Vec<_>>().join(", "))
            }
            ShapeType::Secret => "a secret".to_owned(),
            ShapeType::File => "a file of the role".to_owned(),
            ShapeType::Any => "a value".to_owned(),
        }
    }
}

/// A value of no declared type: as YAML 1.2 reads it, except that a number that would not be written back as it stands (`1.10`)
/// stays text.
pub(crate) fn any(node: &Node) -> Value {
    match &node.data {
        Data::Scalar(scalar) => any_scalar(scalar),
        Data::List(items) => Value::List(items.iter().map(any).collect()),
        Data::Map(entries) => Value::Map(entries.iter().map(|(key, item)| (key.text.clone(), any(item))).collect()),
    }
}

/// The same for a scalar.
pub(crate) fn any_scalar(scalar: &Scalar) -> Value {
    if scalar.quoted {
        return Value::from(scalar.text.as_str());
    }
    if scalar.is_null() {
        return Value::Null;
    }
    let text = scalar.text.as_str();
    let number = || float(text).filter(|number| number.to_string() == text).map(Value::Float);
    bool(text)
        .map(Value::Bool)
        .or_else(|| int(text).map(Value::Int))
        .or_else(number)
        .unwrap_or_else(|| Value::from(text))
}

/// The value of an own fact, from what its command printed.
///
/// # Errors
/// Why it is none, as a lowercase fragment.
pub fn own_fact(shape: &Shape, printed: &str) -> Result<Value, String> {
    let text = printed.strip_suffix('\n').unwrap_or(printed);
    let source = crate::base::span::Source::new("fact", text);
    let span = Span::new(&source, 0, text.len());
    let scalar = Scalar { text: text.to_owned(), quoted: matches!(shape.ty, ShapeType::String | ShapeType::Any) };
    let files = RoleFiles::default();
    let typing = Typing { files: &files, secret: &|name, _| Ok(Secret::new(name, String::new())) };
    let node = match &shape.ty {
        ShapeType::List(_) => {
            let item = |line: &str| Node {
                span: span.clone(),
                data: Data::Scalar(Scalar { text: line.to_owned(), quoted: false }),
            };
            Node { span: span.clone(), data: Data::List(text.lines().map(item).collect()) }
        }
        _ => Node { span: span.clone(), data: Data::Scalar(scalar) },
    };
    let mut out = Diagnostics::new();
    typing.typed(&node, shape, &mut out).ok_or_else(|| {
        out.iter().next().map_or_else(|| "not a value of its type".to_owned(), |found| found.message.clone())
    })
}

/// A whole number in decimal, without leading zeros.
pub(crate) fn int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits == "0" || (!digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
    text.parse().ok().filter(|_| plain)
}

/// A number, never an infinite one.
pub(crate) fn float(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && text.bytes().any(|byte| byte.is_ascii_digit());
    text.parse::<f64>().ok().filter(|number| plain && number.is_finite())
}

/// `true` or `false`, and nothing else.
pub(crate) fn bool(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// What to write instead of another language's boolean.
pub(crate) fn bool_hint(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" | "true" | "1" => Some("write `true`, without quotes"),
        "no" | "off" | "n" | "false" | "0" => Some("write `false`, without quotes"),
        _ => None,
    }
}

/// An absolute path without `..`; doubled and trailing slashes are dropped.
///
/// # Errors
/// Why it is none, as a lowercase fragment.
pub(crate) fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err(format!("expected an absolute path, found `{text}`"));
    }
    if text.contains(['\0', '\n', '\r']) {
        return Err("a path cannot hold a line end or a NUL".to_owned());
    }
    if text.split('/').any(|part| part == "..") {
        return Err(format!("`..` cannot be part of a path that is managed: `{text}`"));
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    Ok(format!("/{}", parts.join("/")))
}

/// The first line of a place, so that a message about a whole map points at its beginning.
pub(crate) fn first_line(span: &Span) -> Span {
    span.part(0, span.text().lines().next().map_or(0, |line| line.trim_end().len()))
}

fn limits(value: Value, shape: &Shape, span: &Span) -> Result<Value, Diagnostic> {
    let (size, what) = match &value {
        Value::Int(number) => (*number as f64, ""),
        Value::Float(number) => (*number, ""),
        Value::Text(text) => (text.chars().count() as f64, " characters"),
        Value::List(items) => (items.len() as f64, " items"),
        Value::Map(map) => (map.len() as f64, " entries"),
        _ => return Ok(value),
    };
    if let Some(min) = shape.min.filter(|min| size < *min) {
        return Err(Diagnostic::error(&first_line(span), format!("at least {min}{what} expected, found {size}")));
    }
    if let Some(max) = shape.max.filter(|max| size > *max) {
        return Err(Diagnostic::error(&first_line(span), format!("at most {max}{what} expected, found {size}")));
    }
    match (&value, &shape.pattern) {
        (Value::Text(text), Some(pattern)) if !pattern.is_match(text) => {
            let written = pattern.as_str();
            let written = written.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$")).unwrap_or(written);
            Err(Diagnostic::error(span, format!("`{text}` does not match the pattern `{written}`")))
        }
        _ => Ok(value),
    }
}

fn is_null(node: &Node) -> bool {
    matches!(&node.data, Data::Scalar(scalar) if scalar.is_null())
}

fn is_secret_reference(entries: &[(Key, Node)]) -> bool {
    matches!(entries, [(key, Node { data: Data::Scalar(_), .. })] if key.text == "secret")
}

fn mismatch(span: &Span, shape: &Shape, data: &Data) -> Diagnostic {
    let found = match data {
        Data::Scalar(scalar) => format!("`{}`", scalar.text),
        Data::List(_) => "a list".to_owned(),
        Data::Map(_) => "a map".to_owned(),
    };
    Diagnostic::error(&first_line(span), format!("expected {}, found {found}", shape.name()))
}
