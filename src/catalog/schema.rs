//! The schema of parameters: what a role says its values may be. Giving values a type by it happens elsewhere.

use indexmap::IndexMap;

use super::model::{Param, Shape, ShapeType};
use super::names;
use super::yaml::{self, Key, Node};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::Span;

const TYPES: &[&str] = &["string", "int", "float", "bool", "path", "enum", "list", "map", "secret", "file"];
const SHAPE_KEYS: &[&str] = &["type", "of", "values", "min", "max", "pattern"];
const PARAM_KEYS: &[&str] =
    &["type", "of", "values", "min", "max", "pattern", "optional", "default", "merge", "description"];

/// Reads `params`, or the fields of an `of`: names and what their values may be.
pub(crate) fn params(node: &Node, what: &str, found: &mut Diagnostics) -> IndexMap<String, Param> {
    let mut params = IndexMap::new();
    for (key, value) in node.expect_map(what, found).unwrap_or_default() {
        let named = names::check_value(&key.text, &key.span, "parameter", found);
        if let Some(param) = param(key, value, found)
            && named
        {
            params.insert(key.text.clone(), param);
        }
    }
    params
}

fn param(key: &Key, node: &Node, found: &mut Diagnostics) -> Option<Param> {
    if !matches!(node.data, yaml::Data::Map(_)) {
        found.push(
            Diagnostic::error(
                &node.span,
                format!("the parameter `{}` must be a map, not {}", key.text, node.describe()),
            )
            .hint(format!("for example `{}: {{type: string, default: …}}`", key.text)),
        );
        return None;
    }
    let entries = node.entries()?;
    yaml::check_keys(entries, "key of a parameter", PARAM_KEYS, found);
    let shape = shape(node, &key.span, found)?;
    let optional = node.get("optional").and_then(|optional| optional.expect_bool("`optional`", found)).unwrap_or(false);
    let default = node.get("default").cloned();
    if let (true, Some((default, _))) = (optional, node.entry("default")) {
        found.push(
            Diagnostic::error(&default.span, format!("the parameter `{}` is optional and has a default", key.text))
                .hint("remove one of them: without a value, an optional parameter is null, others are their default"),
        );
    }
    let deep = node.get("merge").is_some_and(|merge| deep(merge, &shape, found));
    let description = node.get("description").and_then(|text| text.expect_text("the description", found));
    let description = description.map(str::to_owned);
    Some(Param { name: key.text.clone(), span: key.span.clone(), description, shape, default, optional, deep })
}

fn deep(merge: &Node, shape: &Shape, found: &mut Diagnostics) -> bool {
    match merge.expect_text("`merge`", found) {
        Some("deep") if matches!(shape.ty, ShapeType::Map(_)) => return true,
        Some("deep") => {
            found.push(
                Diagnostic::error(&merge.span, "only maps can be merged")
                    .hint("remove `merge`: the value of the nearest level replaces the others"),
            );
        }
        Some("replace") | None => {}
        Some(other) => found.push(Diagnostic::unknown(&merge.span, "way to merge", other, ["deep", "replace"])),
    }
    false
}

/// Reads a type with its limits. `place` is where a missing type is reported.
pub(crate) fn shape(node: &Node, place: &Span, found: &mut Diagnostics) -> Option<Shape> {
    let Some(ty) = node.get("type") else {
        found.push(
            Diagnostic::error(place, "the type is missing").hint(format!("add `type:`, one of {}", TYPES.join(", "))),
        );
        return None;
    };
    let name = ty.expect_text("the type", found)?;
    let Some(ty) = type_named(name, node, found) else {
        if !TYPES.contains(&name) {
            found.push(Diagnostic::unknown(&ty.span, "type", name, TYPES.iter().copied()));
        }
        return None;
    };
    for (key, types) in [
        ("of", &["list", "map"][..]),
        ("values", &["enum"]),
        ("pattern", &["string", "path"]),
        ("min", &["string", "path", "int", "float", "list", "map"]),
        ("max", &["string", "path", "int", "float", "list", "map"]),
    ] {
        if let Some((key, _)) = node.entry(key).filter(|_| !types.contains(&name)) {
            found.push(
                Diagnostic::error(&key.span, format!("`{}` means nothing for type {name}", key.text))
                    .hint(format!("it is for {}", types.join(", "))),
            );
        }
    }
    let (min, max) = (limit(node.get("min"), found), limit(node.get("max"), found));
    if let (Some(low), Some(high), Some((key, _))) = (min, max, node.entry("max"))
        && low > high
    {
        found.push(
            Diagnostic::error(&key.span, format!("`max` is below `min`, which is {low}")).hint("exchange the two"),
        );
    }
    Some(Shape { ty, min, max, pattern: node.get("pattern").and_then(|node| pattern(node, found)) })
}

fn type_named(name: &str, node: &Node, found: &mut Diagnostics) -> Option<ShapeType> {
    Some(match name {
        "string" => ShapeType::String,
        "int" => ShapeType::Int,
        "float" => ShapeType::Float,
        "bool" => ShapeType::Bool,
        "path" => ShapeType::Path,
        "secret" => ShapeType::Secret,
        "file" => ShapeType::File,
        "enum" => ShapeType::Enum(words(node, found)?),
        "list" => ShapeType::List(Box::new(items(node.get("of"), found))),
        "map" => ShapeType::Map(Box::new(items(node.get("of"), found))),
        _ => return None,
    })
}

fn words(node: &Node, found: &mut Diagnostics) -> Option<Vec<String>> {
    let Some(values) = node.get("values") else {
        found.push(
            Diagnostic::error(&node.span, "an enum needs `values`")
                .hint("for example `{type: enum, values: [on-failure, always]}`"),
        );
        return None;
    };
    let items = values.expect_list("`values`", found)?;
    if items.is_empty() {
        found.push(Diagnostic::error(&values.span, "`values` is empty").hint("name at least one value"));
    }
    let mut words: Vec<String> = Vec::new();
    for item in items {
        let Some(word) = item.expect_text("a value of an enum", found) else { continue };
        if words.iter().any(|known| known == word) {
            found.push(Diagnostic::error(&item.span, format!("the value `{word}` is named twice")).hint("remove one"));
        }
        words.push(word.to_owned());
    }
    Some(words)
}

/// What the items of a list or map are: a type's name, a type with limits (its `type` is text), or the fields of a map.
fn items(of: Option<&Node>, found: &mut Diagnostics) -> Shape {
    let ty = match of {
        None => ShapeType::Any,
        Some(node) if node.as_text().is_some() => {
            let name = node.expect_text("`of`", found).unwrap_or("string");
            match name {
                "list" => ShapeType::List(Box::new(any())),
                "map" => ShapeType::Map(Box::new(any())),
                "enum" => {
                    found.push(
                        Diagnostic::error(&node.span, "an enum needs `values`")
                            .hint("write `of: {type: enum, values: […]}`"),
                    );
                    ShapeType::Any
                }
                _ => type_named(name, node, found).unwrap_or_else(|| {
                    found.push(Diagnostic::unknown(&node.span, "type", name, TYPES.iter().copied()));
                    ShapeType::Any
                }),
            }
        }
        Some(node) if node.get("type").is_some_and(|ty| ty.as_text().is_some()) => {
            yaml::check_keys(node.entries().unwrap_or_default(), "key of a type", SHAPE_KEYS, found);
            return shape(node, &node.span, found).unwrap_or_else(any);
        }
        Some(node) => ShapeType::Record(params(node, "`of`", found)),
    };
    Shape { ty, ..any() }
}

fn any() -> Shape {
    Shape { ty: ShapeType::Any, min: None, max: None, pattern: None }
}

fn limit(node: Option<&Node>, found: &mut Diagnostics) -> Option<f64> {
    let node = node?;
    let number = node.as_text().and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite());
    if number.is_none() {
        found.push(
            Diagnostic::error(&node.span, format!("a limit must be a number, not {}", node.describe()))
                .hint("for example `min: 1`"),
        );
    }
    number
}

fn pattern(node: &Node, found: &mut Diagnostics) -> Option<regex::Regex> {
    let text = node.expect_text("the pattern", found)?;
    match regex::RegexBuilder::new(&format!("^(?:{text})$")).size_limit(1 << 20).build() {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or("").trim().trim_start_matches("error: ").to_owned();
            found.push(Diagnostic::error(&node.span, format!("not a regular expression: {why}")).hint(
                "the syntax is that of https://docs.rs/regex; the whole value must match, no `^` and `$` are needed",
            ));
            None
        }
    }
}
