//! What a spec asks of an attribute: from `{contains: …}`, `{at_least: …}` and their like to a matcher.
//!
//! How a scalar becomes a value is asked of the caller; whether a matcher holds is the judge's business.

use regex::{Regex, RegexBuilder};

use super::params::{self, first_line};
use super::render::Trouble;
use super::typed;
use super::yaml::{Data, Key, Node};
use crate::base::diagnostic::Diagnostic;
use crate::base::value::Value;
use crate::resource::matcher::{Matcher, Ordering};
use crate::resource::{Attribute, Type};

/// Keys of a matcher.
pub(crate) const KEYS: &[&str] =
    &["all_of", "any_of", "at_least", "at_most", "contains", "equals", "less_than", "matches", "more_than", "not"];

const ORDERINGS: [Ordering; 4] = [Ordering::AtLeast, Ordering::AtMost, Ordering::MoreThan, Ordering::LessThan];

/// The value of a written node, of this type; none if it came out as nothing.
pub(crate) type Typed<'a> = dyn Fn(&Node, &Type) -> Result<Option<Value>, Trouble> + 'a;

/// Whether a node asks for more than a value: it is a map, and the attribute is none (or all keys are those of a matcher).
pub(crate) fn is_matcher(node: &Node, ty: &Type) -> bool {
    match &node.data {
        Data::Map(entries) if matches!(ty, Type::Map(_)) => {
            !entries.is_empty() && entries.iter().all(|(key, _)| KEYS.contains(&key.text.as_str()))
        }
        Data::Map(_) => true,
        _ => false,
    }
}

/// Reads a matcher for an attribute.
///
/// # Errors
/// The first mistake in it, or that something in it is not known in this run.
pub(crate) fn read(node: &Node, attribute: &Attribute, typed: &Typed<'_>) -> Result<Matcher, Trouble> {
    let Data::Map(entries) = &node.data else { return equals(node, &attribute.ty, typed) };
    if !is_matcher(node, &attribute.ty) {
        return equals(node, &attribute.ty, typed);
    }
    let mut all: Vec<Matcher> =
        entries.iter().map(|(key, value)| one(key, value, attribute, typed)).collect::<Result<_, _>>()?;
    match (all.len(), all.pop()) {
        (1, Some(only)) => Ok(only),
        (_, Some(last)) => {
            all.push(last);
            Ok(Matcher::AllOf(all))
        }
        (_, None) => Err(Diagnostic::error(&node.span, "an empty matcher asks for nothing")
            .hint(format!("known: {}", KEYS.join(", ")))
            .into()),
    }
}

fn one(key: &Key, node: &Node, attribute: &Attribute, typed: &Typed<'_>) -> Result<Matcher, Trouble> {
    let list = || match &node.data {
        Data::List(items) if !items.is_empty() => {
            items.iter().map(|item| read(item, attribute, typed)).collect::<Result<Vec<_>, _>>()
        }
        _ => Err(Diagnostic::error(&first_line(&node.span), format!("`{}` takes a list", key.text)).into()),
    };
    if let Some(ordering) = ORDERINGS.into_iter().find(|ordering| ordering.key() == key.text) {
        return number(node, attribute, typed).map(|number| Matcher::Number(ordering, number));
    }
    match key.text.as_str() {
        "equals" => equals(node, &attribute.ty, typed),
        "not" => Ok(Matcher::Not(Box::new(read(node, attribute, typed)?))),
        "any_of" => Ok(Matcher::AnyOf(list()?)),
        "all_of" => Ok(Matcher::AllOf(list()?)),
        "matches" => regex(node, typed).map(Matcher::Matches),
        "contains" => contains(key, node, attribute, typed),
        other => Err(Diagnostic::unknown(&key.span, "matcher", other, KEYS.iter().copied()).into()),
    }
}

fn equals(node: &Node, ty: &Type, typed: &Typed<'_>) -> Result<Matcher, Trouble> {
    typed(node, ty)?.map(Matcher::Equals).ok_or_else(|| nothing(node))
}

fn contains(key: &Key, node: &Node, attribute: &Attribute, typed: &Typed<'_>) -> Result<Matcher, Trouble> {
    let item = match attribute.ty {
        Type::List(item) => *item,
        Type::Text | Type::Command | Type::Content | Type::Template | Type::Source | Type::Path | Type::Version => {
            Type::Text
        }
        _ => {
            return Err(Diagnostic::error(&key.span, format!("`{}` is neither a text nor a list", attribute.name))
                .hint("`contains` looks for a part of a text, or an item of a list")
                .into());
        }
    };
    let one = |node: &Node| typed(node, &item)?.map(Matcher::Contains).ok_or_else(|| nothing(node));
    match &node.data {
        Data::List(items) => Ok(Matcher::AllOf(items.iter().map(one).collect::<Result<_, _>>()?)),
        _ => one(node),
    }
}

fn regex(node: &Node, typed: &Typed<'_>) -> Result<Regex, Trouble> {
    let Some(Value::Text(text)) = typed(node, &Type::Text)? else { return Err(nothing(node)) };
    RegexBuilder::new(&text).multi_line(true).size_limit(4 << 20).build().map_err(|error| {
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Diagnostic::error(&node.span, format!("invalid regular expression: {why}"))
            .hint("a literal ( [ { . * + ? | \\ ^ $ is written with a backslash before it")
            .into()
    })
}

fn number(node: &Node, attribute: &Attribute, typed: &Typed<'_>) -> Result<f64, Trouble> {
    let wrong = |text: &str| -> Trouble {
        let expected = if attribute.ty == Type::Duration { "a length of time, such as 10s" } else { "a number" };
        Diagnostic::error(&node.span, format!("expected {expected}, found `{text}`")).into()
    };
    if !matches!(attribute.ty, Type::Int | Type::Duration | Type::Text) {
        return Err(Diagnostic::error(&node.span, format!("`{}` is no number", attribute.name)).into());
    }
    match typed(node, &Type::Text)? {
        Some(Value::Text(text)) if attribute.ty == Type::Duration => {
            typed::duration(&text).map(|seconds| seconds as f64).ok_or_else(|| wrong(&text))
        }
        Some(Value::Text(text)) => params::float(&text).ok_or_else(|| wrong(&text)),
        _ => Err(nothing(node)),
    }
}

fn nothing(node: &Node) -> Trouble {
    Diagnostic::error(&node.span, "nothing is written here").hint("write a value, or leave the key out").into()
}
