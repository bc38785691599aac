//! What to say about text that is no YAML, or not YAML as it is read here.
//!
//! Translates the parser's messages into what to do; knows nothing of what a file is about.

use std::collections::HashMap;
use std::sync::Arc;

use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Location};

use super::reading::{self, MAX_DEPTH};
use super::{Data, Node, one};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::{Source, Span};

/// The message for text that the parser refused.
pub(super) fn explain(source: &Arc<Source>, base: usize, text: &str, error: &Error) -> Diagnostics {
    let error = innermost(error);
    if let Error::DuplicateMappingKey { key, location } = error {
        return duplicates(source, base, text, key.as_deref(), location);
    }
    let mut at = error.location().map_or(0, |location| offset(text, &location));
    if text[..at].ends_with('\t') {
        // What is wrong is the tab, not what stands behind it.
        at = text[..at].trim_end_matches('\t').len();
    }
    if let Some(braces) = template_near(text, at) {
        return one(unquoted(source, base + braces));
    }
    let first = text[at..].chars().next().map_or(0, char::len_utf8);
    let span = Span::new(source, base + at, base + at + first);
    let (message, hint) = wording(error);
    let found = Diagnostic::error(&span, message);
    one(match hint {
        Some(hint) => found.hint(hint),
        None => found,
    })
}

fn innermost(error: &Error) -> &Error {
    match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => innermost(error),
        other => other,
    }
}

fn wording(error: &Error) -> (String, Option<String>) {
    let (message, hint) = match error {
        Error::Budget { breach: serde_saphyr::budget::BudgetBreach::Depth { .. }, .. } => {
            return ("nested too deeply".into(), Some(format!("at most {MAX_DEPTH} levels are read")));
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            ("the file grows too large", "its aliases (`*name`) or the number of its values exceed what is read")
        }
        Error::MultipleDocuments { .. } => {
            ("a second document in one file", "remove the `---` line, or split the file")
        }
        Error::MergeKeyNotAllowed { .. } => ("merge keys (`<<`) are not part of YAML 1.2", "write the entries out"),
        Error::UnsupportedTag { .. } | Error::InvalidScalar { .. } | Error::InvalidBooleanStrict { .. } => {
            ("tags (`!name`) have no meaning here", "write the value without a tag; quote text that begins with `!`")
        }
        Error::UnknownAnchor { .. } => {
            ("an alias (`*name`) of something that is not there", "quote text that begins with `*`")
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => ("an alias inside of what it stands for", "write it out"),
        other => return parser_wording(other),
    };
    (message.into(), Some(hint.into()))
}

fn parser_wording(error: &Error) -> (String, Option<String>) {
    let shown = error.to_string();
    let shown = shown.split(" at line ").next().unwrap_or_default().to_owned();
    const KNOWN: &[(&str, &str, &str)] = &[
        ("tabs disallowed", "a tab where only spaces may stand", "indent with spaces"),
        (
            "mapping values are not allowed",
            "a `:` where no key can stand",
            "quote a value that contains `: `, or check the indentation",
        ),
        (
            "did not find expected key",
            "not indented like the lines around it, or text behind a value",
            "check the indentation; quote text that begins with `{`, `[` or a quote",
        ),
        (
            "did not find expected '-' indicator",
            "this line is indented like none above it",
            "keys of one entry stand below each other",
        ),
        ("block sequence entries are not allowed", "a list item where none can stand", "put `- ` on a line of its own"),
        ("recursion limit", "nested too deeply", "at most 32 levels are read"),
        ("unexpected character", "text cannot begin with this character", "quote it"),
        (
            "trailing content after",
            "text behind the closing quote",
            "quote the whole value; write `''` for a `'` inside of `'…'`",
        ),
        (
            "multiline quoted scalar",
            "a quote that is not closed",
            "add the closing quote, or indent the lines of the value",
        ),
        ("unclosed bracket", "a bracket that is not closed", "add the closing bracket, or quote the text"),
    ];
    match KNOWN.iter().find(|(part, ..)| shown.contains(part)) {
        Some((_, message, hint)) => ((*message).into(), Some((*hint).into())),
        None => (format!("not valid YAML: {shown}"), None),
    }
}

/// Every key that is given twice, with both places. The parser stops at the first, so the text is read once more.
fn duplicates(source: &Arc<Source>, base: usize, text: &str, key: Option<&str>, at: &Location) -> Diagnostics {
    let mut found = Diagnostics::new();
    if let Ok(raw) = reading::read(text, DuplicateKeyPolicy::LastWins) {
        repeated(&reading::tree(source, base, raw).0, &mut found);
    }
    if found.is_empty() {
        // Numbers that are equal but written differently (`80`, `0x50`) are found by the parser only.
        let at = base + offset(text, at);
        let key = key.unwrap_or_default();
        found.push(duplicate(&Span::new(source, at, at + key.len()), key));
    }
    found
}

fn repeated(node: &Node, found: &mut Diagnostics) {
    match &node.data {
        Data::Scalar(_) => {}
        Data::List(items) => items.iter().for_each(|item| repeated(item, found)),
        Data::Map(entries) => {
            let mut seen = HashMap::new();
            for (key, value) in entries {
                if let Some(first) = seen.insert(&key.text, &key.span) {
                    found.push(duplicate(&key.span, &key.text).related(first, "first given here"));
                }
                repeated(value, found);
            }
        }
    }
}

fn duplicate(span: &Span, key: &str) -> Diagnostic {
    Diagnostic::error(span, format!("the key `{key}` is given twice")).hint("remove one of the two")
}

/// The byte a parser's place points at. It counts characters where it has no bytes.
fn offset(text: &str, at: &Location) -> usize {
    let byte = at.span().byte_offset().map(|byte| byte as usize).unwrap_or_else(|| {
        let line = (at.line() as usize).saturating_sub(1);
        let start = text.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
        let column = (at.column() as usize).saturating_sub(1);
        start + text[start..].chars().take(column).map(char::len_utf8).sum::<usize>()
    });
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

/// Where a value begins with an unquoted `{{`, on the line of a mistake or the last one written before it.
fn template_near(text: &str, at: usize) -> Option<usize> {
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let before = text[..line_start].trim_end();
    let before_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    [line_start, before_start].into_iter().find_map(|start| {
        let line = text[start..].lines().next().unwrap_or("");
        line.match_indices("{{").map(|(at, _)| at).find(|&at| begins_a_value(&line[..at])).map(|at| start + at)
    })
}

/// Whether what stands before a place in its line makes that place the beginning of a value.
fn begins_a_value(before: &str) -> bool {
    let inside_quotes = before.matches('"').count() % 2 == 1 || before.matches('\'').count() % 2 == 1;
    let before = before.trim_end();
    !inside_quotes && !before.contains(" #") && (before.is_empty() || before.ends_with([':', '-', '[', ',', '{']))
}

/// "Quote it", with the line as it should be.
pub(super) fn unquoted(source: &Arc<Source>, braces: usize) -> Diagnostic {
    let start = source.text[..braces].rfind('\n').map_or(0, |newline| newline + 1);
    let line = source.text[start..].lines().next().unwrap_or("");
    let (before, value) = line.split_at(braces - start);
    let in_flow = before.contains(['[', '{', ',']);
    let end = match value.find("}}") {
        Some(close) if in_flow => close + 2,
        _ => value.find(" #").unwrap_or(value.len()),
    };
    let (value, after) = value.split_at(value[..end].trim_end().len());
    let quote = if value.contains('"') { '\'' } else { '"' };
    let quoted = if quote == '\'' { value.replace('\'', "''") } else { value.to_owned() };
    let span = Span::new(source, braces, braces + value.len());
    Diagnostic::error(&span, "a value that begins with `{{` must be quoted")
        .hint(format!("quote it: `{}{quote}{quoted}{quote}{after}`", before.trim_start()))
}
