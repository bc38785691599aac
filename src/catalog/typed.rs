//! Values of attributes: from a written or rendered scalar to a value of the attribute's type.
//!
//! The text decides, never YAML: `0644` without quotes is refused because its text already says that something is wrong.

use crate::base::diagnostic::Diagnostic;
use crate::base::nearest;
use crate::base::span::Span;
use crate::base::value::Value;
use crate::resource::Type;

use super::params;

/// How a text came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Written without quotes.
    Plain,
    /// Written in quotes, or as a block.
    Quoted,
    /// Made by `{{ }}`: it says nothing about what its author meant it to be.
    Rendered,
}

/// A scalar as a value of this type. `name` is the attribute's, for messages. Types that are not scalars never come here.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn scalar(ty: &Type, text: &str, form: Form, name: &str, span: &Span) -> Result<Value, Diagnostic> {
    let wrong = |expected: &str| Diagnostic::error(span, format!("`{name}` takes {expected}, found `{text}`"));
    if text.contains('\0') {
        return Err(Diagnostic::error(span, format!("`{name}` holds a NUL character")));
    }
    match ty {
        Type::Int => match params::int(text) {
            Some(_) if form == Form::Quoted => Err(wrong("a whole number").hint(format!("drop the quotes: {text}"))),
            Some(number) => Ok(Value::Int(number)),
            None => Err(match comparison(text) {
                Some(matcher) => wrong("a whole number").hint(format!("a spec compares by {matcher}")),
                None => wrong("a whole number"),
            }),
        },
        Type::Bool => match params::bool(text) {
            Some(truth) if form != Form::Quoted => Ok(Value::Bool(truth)),
            _ => Err(match params::bool_hint(text) {
                Some(hint) => wrong("true or false").hint(hint),
                None => wrong("true or false"),
            }),
        },
        Type::Path => params::path(text).map(Value::Text).map_err(|why| Diagnostic::error(span, why)),
        Type::Mode => mode(text, form, name, span),
        Type::Enum(words) if words.contains(&text) => Ok(Value::from(text)),
        Type::Enum(words) => {
            let found = wrong(&format!("one of {}", words.join(", ")));
            let hint = nearest::hint(text, words.iter().copied()).filter(|hint| hint.starts_with("did you mean"));
            Err(match hint {
                Some(hint) => found.hint(hint),
                None => found,
            })
        }
        Type::Version => version(text)
            .map(Value::Text)
            .ok_or_else(|| wrong("a version").hint("write 1.18, >=1.18, or several constraints: >=1.18, <2")),
        Type::Duration => duration(text).map(Value::Int).ok_or_else(|| {
            let unit = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
            wrong("a length of time").hint(if unit {
                format!("add a unit: {text}s")
            } else {
                "write 10s, 5m or 1h".to_owned()
            })
        }),
        _ => Ok(Value::from(text)),
    }
}

/// `>=2`, as people who know versions write it, as a matcher.
fn comparison(text: &str) -> Option<String> {
    let words = [(">=", "at_least"), ("<=", "at_most"), (">", "more_than"), ("<", "less_than")];
    words.iter().find_map(|(sign, word)| {
        let number = text.strip_prefix(sign)?.trim();
        params::int(number).map(|number| format!("{{{word}: {number}}}"))
    })
}

/// Whole seconds of `10s`, `5m`, `1h`, `2d`.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86400,
        _ => return None,
    };
    params::int(&text[..text.len() - 1]).filter(|number| *number >= 0)?.checked_mul(unit)
}

fn mode(text: &str, form: Form, name: &str, span: &Span) -> Result<Value, Diagnostic> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    match (octal, form) {
        (true, Form::Plain) => {
            Err(Diagnostic::error(span, format!("`{name}` needs quotes: YAML takes {text} for a number"))
                .hint(format!("write {name}: \"{text:0>4}\"")))
        }
        (true, _) => Ok(Value::Text(format!("{text:0>4}"))),
        (false, _) => Err(Diagnostic::error(span, format!("`{name}` takes octal permissions, found `{text}`"))
            .hint("write four octal digits in quotes, such as \"0644\"")),
    }
}

/// The text of a version, or of constraints separated by commas, in one form.
fn version(text: &str) -> Option<String> {
    let part = |part: &str| {
        let part = part.trim();
        let number = part.trim_start_matches(['>', '<', '=', '!']);
        let sign = &part[..part.len() - number.len()];
        let number = number.trim();
        let sound = ["", ">=", "<=", ">", "<", "=", "==", "!="].contains(&sign)
            && !number.is_empty()
            && !number.contains(|c: char| c.is_whitespace() || ">=<!,'\"".contains(c));
        sound.then(|| format!("{sign}{number}"))
    };
    Some(text.split(',').map(part).collect::<Option<Vec<_>>>()?.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::span::Source;

    fn typed(ty: Type, text: &str, form: Form) -> Result<Value, String> {
        let source = Source::new("a.yml", text);
        scalar(&ty, text, form, "key", &Span::new(&source, 0, text.len())).map_err(|found| {
            format!("{}{}", found.message, found.hint.map(|hint| format!(" = {hint}")).unwrap_or_default())
        })
    }

    #[test]
    fn text_becomes_values() {
        use Form::{Plain, Quoted, Rendered};
        const WORDS: Type = Type::Enum(&["present", "absent"]);
        for (ty, text, form, expected) in [
            (Type::Text, "1.10", Plain, Value::from("1.10")),
            (Type::Int, "-4", Plain, Value::Int(-4)),
            (Type::Int, "4", Rendered, Value::Int(4)),
            (Type::Bool, "true", Plain, Value::Bool(true)),
            (Type::Bool, "false", Rendered, Value::Bool(false)),
            (Type::Path, "//etc/./x//", Plain, Value::from("/etc/x")),
            (Type::Path, "/", Plain, Value::from("/")),
            (Type::Mode, "644", Quoted, Value::from("0644")),
            (Type::Mode, "2755", Rendered, Value::from("2755")),
            (WORDS, "absent", Plain, Value::from("absent")),
            (Type::Version, ">= 1.18,<2:3~rc1", Plain, Value::from(">=1.18, <2:3~rc1")),
            (Type::Duration, "5m", Plain, Value::Int(300)),
        ] {
            assert_eq!(typed(ty, text, form), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_wrong_text_says_what_to_write() {
        use Form::{Plain, Quoted, Rendered};
        const WORDS: Type = Type::Enum(&["present", "absent"]);
        for (ty, text, form, expected) in [
            (Type::Text, "a\0b", Plain, "`key` holds a NUL character"),
            (Type::Int, "4", Quoted, "`key` takes a whole number, found `4` = drop the quotes: 4"),
            (Type::Int, "0x10", Plain, "`key` takes a whole number, found `0x10`"),
            (Type::Int, "99999999999999999999", Plain, "`key` takes a whole number, found `99999999999999999999`"),
            (Type::Bool, "yes", Plain, "`key` takes true or false, found `yes` = write `true`, without quotes"),
            (Type::Bool, "false", Quoted, "`key` takes true or false, found `false` = write `false`, without quotes"),
            (Type::Path, "etc/x", Plain, "expected an absolute path, found `etc/x`"),
            (Type::Path, "/a/../b", Plain, "`..` cannot be part of a path that is managed: `/a/../b`"),
            (Type::Path, "/a\nb", Quoted, "a path cannot hold a line end or a NUL"),
            (Type::Mode, "0644", Plain, "`key` needs quotes: YAML takes 0644 for a number = write key: \"0644\""),
            (Type::Mode, "755", Plain, "`key` needs quotes: YAML takes 755 for a number = write key: \"0755\""),
            (
                Type::Mode,
                "u=rw",
                Plain,
                "`key` takes octal permissions, found `u=rw` = write four octal digits in quotes, such as \"0644\"",
            ),
            (Type::Mode, "420", Plain, "`key` needs quotes: YAML takes 420 for a number = write key: \"0420\""),
            (WORDS, "absnt", Plain, "`key` takes one of present, absent, found `absnt` = did you mean `absent`?"),
            (
                Type::Version,
                ">=",
                Plain,
                "`key` takes a version, found `>=` = write 1.18, >=1.18, or several constraints: >=1.18, <2",
            ),
            (
                Type::Version,
                "=>1",
                Rendered,
                "`key` takes a version, found `=>1` = write 1.18, >=1.18, or several constraints: >=1.18, <2",
            ),
            (Type::Duration, "10", Plain, "`key` takes a length of time, found `10` = add a unit: 10s"),
            (Type::Duration, "ä", Plain, "`key` takes a length of time, found `ä` = write 10s, 5m or 1h"),
        ] {
            assert_eq!(typed(ty, text, form), Err(expected.to_owned()), "{text}");
        }
    }
}
