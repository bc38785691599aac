//! What templates and expressions can do beside minijinja's own filters, and how a value becomes text.
//!
//! The names are published in `docs/templates.md`. Everything here is a plain function of its arguments: no host, no files,
//! no clock, so that the same values always give the same bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

use super::scope::{Raw, SecretText};
use crate::base::quote;

/// Every filter that exists, ours and minijinja's.
pub(crate) const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "b64decode",
    "b64encode",
    "basename",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "dirname",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "quote",
    "raw",
    "regex_replace",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "to_json",
    "to_yaml",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

/// Minijinja's filters that are not offered: they escape for HTML, or show what is for debugging.
const REMOVED: &[&str] = &["e", "escape", "pprint", "safe", "tojson"];

/// Every test (`is defined`) that exists.
pub(crate) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// Every function that exists besides `hosts`.
pub(crate) const FUNCTIONS: &[&str] = &["dict", "namespace", "range"];

/// Adds ours to an environment and takes away what is not offered.
pub(crate) fn register(env: &mut Environment<'_>) {
    for name in REMOVED {
        env.remove_filter(name);
    }
    env.remove_global("debug");
    env.add_filter("to_json", to_json);
    env.add_filter("to_yaml", |value: &Value| yaml(value, 0).map(|text| text.trim_end().to_owned()));
    env.add_filter("b64encode", |value: &Value| Ok::<_, Error>(STANDARD.encode(text(value)?)));
    env.add_filter("b64decode", b64decode);
    env.add_filter("quote", shell);
    env.add_filter("raw", |value: &Value| Ok::<_, Error>(Value::from_object(Raw(text(value)?))));
    env.add_filter("regex_replace", regex_replace);
    env.add_filter("basename", |path: &Value| text(path).map(|path| basename(&path).to_owned()));
    env.add_filter("dirname", |path: &Value| text(path).map(|path| dirname(&path).to_owned()));
    env.add_filter("string", text);
    env.add_filter("join", join);
}

/// The text a value becomes in `{{ }}`: the same for ever.
///
/// # Errors
/// Nothing, a list and a map have no text of their own.
pub(crate) fn text(value: &Value) -> Result<String, Error> {
    if let Some(secret) = value.downcast_object_ref::<SecretText>() {
        return Ok(secret.expose().to_owned());
    }
    if let Some(raw) = value.downcast_object_ref::<Raw>() {
        return Ok(raw.0.clone());
    }
    let refuse = |what: &str, hint: &str| Err(Error::new(ErrorKind::InvalidOperation, format!("{what}; {hint}")));
    match value.kind() {
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Bool => Ok(if value.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::Number if value.is_integer() => Ok(value.to_string()),
        ValueKind::Number => f64::try_from(value.clone()).map(|number| number.to_string()),
        ValueKind::Undefined => Ok(String::new()),
        ValueKind::None => {
            refuse("nothing was given for this value", "use `| default(…, true)`, or ask `is not none` first")
        }
        ValueKind::Map => refuse("a map has no text of its own", "use `| to_json`, or one of its values"),
        ValueKind::Seq | ValueKind::Iterable => {
            refuse("a list has no text of its own", "use `| join(\" \")` or `| to_json`")
        }
        _ => Ok(value.to_string()),
    }
}

/// One shell word; of a list, a word for each item.
pub(crate) fn shell(value: &Value) -> Result<String, Error> {
    let refuse_nul = |text: String| match text.contains('\0') {
        true => Err(Error::new(ErrorKind::InvalidOperation, "a NUL character cannot be part of a command")),
        false => Ok(text),
    };
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            let words: Vec<String> =
                value.try_iter()?.map(|item| text(&item).and_then(refuse_nul)).collect::<Result<_, _>>()?;
            Ok(quote::words(words))
        }
        _ => Ok(quote::sh(&refuse_nul(text(value)?)?).into_owned()),
    }
}

fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    let plain = json(value)?;
    let written = match indent {
        None | Some(0) => serde_json::to_string(&plain),
        Some(indent) => {
            let spaces = vec![b' '; indent.min(16)];
            let mut out = Vec::new();
            let formatter = serde_json::ser::PrettyFormatter::with_indent(&spaces);
            let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
            serde::Serialize::serialize(&plain, &mut serializer).map(|()| String::from_utf8_lossy(&out).into_owned())
        }
    };
    written.map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// A value as JSON knows it. Secrets are shown: what is made of them is tainted.
fn json(value: &Value) -> Result<serde_json::Value, Error> {
    use serde_json::Value as Json;
    Ok(match value.kind() {
        ValueKind::Undefined => return Err(Error::new(ErrorKind::UndefinedError, "the value is not defined")),
        ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => Json::from(i64::try_from(value.clone())?),
        ValueKind::Number => Json::from(f64::try_from(value.clone())?),
        ValueKind::Seq | ValueKind::Iterable => {
            Json::Array(value.try_iter()?.map(|item| json(&item)).collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let mut map = serde_json::Map::new();
            for key in value.try_iter()? {
                map.insert(text(&key)?, json(&value.get_item(&key)?)?);
            }
            Json::Object(map)
        }
        _ => Json::String(text(value)?),
    })
}

/// Block style YAML; texts are quoted unless they cannot be anything else.
fn yaml(value: &Value, depth: usize) -> Result<String, Error> {
    if depth > 50 {
        return Err(Error::new(ErrorKind::BadSerialization, "nested too deeply"));
    }
    let pad = "  ".repeat(depth);
    let nested = |item: &Value| -> Result<String, Error> {
        let written = yaml(item, depth + 1)?;
        let block =
            matches!(item.kind(), ValueKind::Map | ValueKind::Seq | ValueKind::Iterable) && item.len() != Some(0);
        Ok(if block { format!("\n{written}") } else { format!(" {}\n", written.trim()) })
    };
    let mut out = String::new();
    match value.kind() {
        ValueKind::Map if value.len() != Some(0) => {
            for key in value.try_iter()? {
                out.push_str(&format!("{pad}{}:{}", scalar(&text(&key)?), nested(&value.get_item(&key)?)?));
            }
        }
        ValueKind::Map => out.push_str("{}\n"),
        ValueKind::Seq | ValueKind::Iterable if value.len() != Some(0) => {
            for item in value.try_iter()? {
                out.push_str(&format!("{pad}-{}", nested(&item)?));
            }
        }
        ValueKind::Seq | ValueKind::Iterable => out.push_str("[]\n"),
        ValueKind::None => out.push_str("null\n"),
        ValueKind::Undefined => return Err(Error::new(ErrorKind::UndefinedError, "the value is not defined")),
        ValueKind::Bool | ValueKind::Number => out.push_str(&format!("{}\n", text(value)?)),
        _ => out.push_str(&format!("{}\n", scalar(&text(value)?))),
    }
    Ok(out)
}

/// A text as a YAML scalar: plain where every reader of YAML 1.1 and 1.2 takes it for text, else in double quotes.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./@".contains(c));
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if plain && !words.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

fn b64decode(value: &Value) -> Result<String, Error> {
    let wrong = |why: String| Error::new(ErrorKind::InvalidOperation, why);
    let bytes = STANDARD.decode(text(value)?.trim()).map_err(|error| wrong(format!("this is no base64: {error}")))?;
    String::from_utf8(bytes).map_err(|_| wrong("what was decoded is no UTF-8 text".to_owned()))
}

fn regex_replace(value: &Value, pattern: &str, with: &str) -> Result<String, Error> {
    let regex = regex::Regex::new(pattern)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("invalid regular expression: {error}")))?;
    Ok(regex.replace_all(&text(value)?, with).into_owned())
}

fn join(value: &Value, with: Option<&str>, options: Kwargs) -> Result<String, Error> {
    let attribute: Option<String> = options.get("attribute")?;
    options.assert_all_used()?;
    let mut out = Vec::new();
    for item in value.try_iter()? {
        out.push(match &attribute {
            Some(name) => text(&item.get_attr(name)?)?,
            None => text(&item)?,
        });
    }
    Ok(out.join(with.unwrap_or_default()))
}

fn basename(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path)
}

fn dirname(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", _)) => "/",
        Some((parent, _)) => parent,
        None if path.starts_with('/') => "/",
        None => ".",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn render(template: &str) -> Result<String, String> {
        let mut env = Environment::new();
        register(&mut env);
        env.set_formatter(|out, _, value| Ok(out.write_str(&text(value)?)?));
        let context = context! {
            t => "it's", list => vec!["b", "a c"], n => 4, f => 1.5, yes => true, none => Value::from(()),
            map => Value::from_pairs([("z", Value::from(1)), ("a", Value::from(vec!["no", "x"])), ("e", Value::from_pairs(Vec::<(String, Value)>::new()))]),
        };
        env.render_str(template, context).map_err(|error| error.detail().unwrap_or_default().to_owned())
    }

    #[test]
    fn values_have_one_text_each() {
        for (template, expected) in [
            ("{{ n }} {{ f }} {{ 2.0 }} {{ yes }} {{ t }}", "4 1.5 2 true it's"),
            ("{{ map | to_json }}", r#"{"z":1,"a":["no","x"],"e":{}}"#),
            ("{{ '<&>' | to_json }}", r#""<&>""#),
            ("{{ list | to_json(indent=2) }}", "[\n  \"b\",\n  \"a c\"\n]"),
            ("{{ map | to_yaml }}", "z: 1\na:\n  - \"no\"\n  - x\ne: {}"),
            ("{{ [{'a': 1, 'b': [true]}] | to_yaml }}", "-\n  a: 1\n  b:\n    - true"),
            ("{{ t | b64encode }} {{ 'aXQncw==' | b64decode }}", "aXQncw== it's"),
            ("{{ t | quote }} {{ list | quote }}", r"'it'\''s' b 'a c'"),
            (
                "{{ '/a/b/c.txt' | basename }} {{ '/a/b/' | dirname }} {{ '/a' | dirname }} {{ 'a' | dirname }}",
                "c.txt /a / .",
            ),
            ("{{ 'a1b22' | regex_replace('[0-9]+', '-') }}", "a-b-"),
            ("{{ [true, 1, 'x'] | join(',') }} {{ [{'n': 'q'}] | join(attribute='n') }}", "true,1,x q"),
            ("{{ yes | string }}", "true"),
        ] {
            assert_eq!(render(template).unwrap(), expected, "{template}");
        }
    }

    #[test]
    fn what_has_no_text_says_what_to_do() {
        for (template, expected) in [
            ("{{ list }}", "a list has no text of its own; use `| join(\" \")` or `| to_json`"),
            ("{{ map }}", "a map has no text of its own; use `| to_json`, or one of its values"),
            ("{{ none }}", "nothing was given for this value; use `| default(…, true)`, or ask `is not none` first"),
            ("{{ 'ä!' | b64decode }}", "this is no base64: Invalid symbol 195, offset 0."),
            (
                "{{ 'x' | regex_replace('(', '') }}",
                "invalid regular expression: regex parse error:\n    (\n    ^\nerror: unclosed group",
            ),
        ] {
            assert_eq!(render(template).unwrap_err(), expected, "{template}");
        }
    }

    #[test]
    fn the_published_names_are_the_ones_there_are() {
        let mut env = Environment::new();
        register(&mut env);
        let exists = |kind: &str, name: &str| {
            env.compile_expression(&format!("'{name}' is {kind}")).unwrap().eval(()).unwrap().is_true()
        };
        assert!(FILTERS.is_sorted() && TESTS.is_sorted());
        assert_eq!(FILTERS.iter().find(|name| !exists("filter", name)), None);
        assert_eq!(TESTS.iter().find(|name| !exists("test", name)), None);
        assert_eq!(REMOVED.iter().find(|name| exists("filter", name)), None);
        let page = include_str!("../../docs/templates.md");
        assert_eq!(FILTERS.iter().find(|name| !page.contains(&format!("`{name}`"))), None);
    }
}
