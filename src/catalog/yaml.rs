//! YAML text as a tree that knows where everything stands.
//!
//! Scalars keep their written text: what `4` or `no` or `1.10` means is decided by whoever knows the wanted type, never here.
//! The language is YAML 1.2 without tags and merge keys; input is bounded in size, depth and what its aliases grow to. Knows
//! nothing of what a file is about.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Location, Options, Spanned};

use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::{Source, Span};

/// The largest YAML file that is read, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How deep maps and lists may be nested: the parser recurses, and threads have small stacks.
const MAX_DEPTH: usize = 32;
/// How many values a file may hold.
const MAX_NODES: usize = 1_000_000;
/// How many parser events aliases may be replaced by, which stops "billion laughs".
const MAX_REPLAYED: usize = 100_000;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub data: Data,
}

/// What a [`Node`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Text.
    Scalar(Scalar),
    /// Items in order.
    List(Vec<Node>),
    /// Entries in written order; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text: of a plain scalar exactly as written (`0644`, `1.10`, `no`, empty), of a quoted or block scalar its content.
    pub text: String,
    /// Whether it was quoted (or a block scalar), and so cannot be meant as anything but text.
    pub quoted: bool,
}

/// A key and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key's text.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// Reads a file. An empty one is an empty map; anything else at the top is an error.
pub fn parse(source: &Arc<Source>) -> Result<Node, Diagnostics> {
    let node = parse_range(source, 0..source.text.len())?;
    match node.data {
        Data::Map(_) => Ok(node),
        Data::Scalar(ref scalar) if scalar.text.is_empty() && !scalar.quoted => {
            Ok(Node { span: Span::start_of(source), data: Data::Map(Vec::new()) })
        }
        _ => Err(one(Diagnostic::error(&node.span, format!("expected a map, found {}", node.describe()))
            .hint("a file consists of `key: value` lines"))),
    }
}

/// Reads a part of a text as one value of any kind: what follows `=` on a command line.
pub fn parse_range(source: &Arc<Source>, range: Range<usize>) -> Result<Node, Diagnostics> {
    let base = range.start;
    let text = &source.text[range];
    if text.len() > MAX_BYTES {
        return Err(one(Diagnostic::error(&Span::start_of(source), "the file is too large")
            .hint(format!("at most {} MiB of YAML are read", MAX_BYTES / 1024 / 1024))));
    }
    if let Some(at) = text.find('\0') {
        return Err(one(Diagnostic::error(&Span::new(source, base + at, base + at + 1), "a NUL byte in a text file")));
    }
    match read(text, DuplicateKeyPolicy::Error) {
        Ok(raw) => Builder { source, base, found: Diagnostics::new() }.build(raw),
        Err(error) => Err(explain(source, base, text, &error)),
    }
}

impl Node {
    /// The text of a scalar.
    pub fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a map.
    pub fn entries(&self) -> Option<&[(Key, Node)]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// A key of a map and its value.
    pub fn entry(&self, key: &str) -> Option<&(Key, Node)> {
        self.entries()?.iter().find(|(candidate, _)| candidate.text == key)
    }

    /// Whether nothing is there: an empty value, `~` or `null`, not quoted.
    pub fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar(Scalar { text, quoted: false }) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for messages: `a list`.
    pub fn describe(&self) -> &'static str {
        match &self.data {
            _ if self.is_null() => "nothing",
            Data::Scalar(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// Whether another node says the same, wherever it stands.
    pub fn same(&self, other: &Node) -> bool {
        match (&self.data, &other.data) {
            (Data::Scalar(a), Data::Scalar(b)) => a == b,
            (Data::List(a), Data::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Data::Map(a), Data::Map(b)) => {
                a.len() == b.len() && a.iter().all(|(key, value)| other.get(&key.text).is_some_and(|b| value.same(b)))
            }
            _ => false,
        }
    }

    /// The entries, or an error that says what was expected (`the host's settings`). Nothing at all is no entry.
    pub fn expect_map(&self, what: &str, found: &mut Diagnostics) -> Option<&[(Key, Node)]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ if self.is_null() => Some(&[]),
            _ => self.unexpected(what, "a map", found),
        }
    }

    /// The items, or an error that says what was expected. Nothing at all is no item.
    pub fn expect_list(&self, what: &str, found: &mut Diagnostics) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ if self.is_null() => Some(&[]),
            _ => self.unexpected(what, "a list", found),
        }
    }

    /// The text of a scalar that is not empty, or an error that says what was expected.
    pub fn expect_text(&self, what: &str, found: &mut Diagnostics) -> Option<&str> {
        match &self.data {
            Data::Scalar(scalar) if !self.is_null() && !scalar.text.is_empty() => Some(&scalar.text),
            _ => self.unexpected(what, "text", found),
        }
    }

    /// `true` or `false`, or an error.
    pub fn expect_bool(&self, what: &str, found: &mut Diagnostics) -> Option<bool> {
        match &self.data {
            Data::Scalar(scalar) if !scalar.quoted && scalar.text == "true" => Some(true),
            Data::Scalar(scalar) if !scalar.quoted && scalar.text == "false" => Some(false),
            _ => {
                found.push(
                    Diagnostic::error(&self.span, format!("{what} must be a boolean"))
                        .hint("write `true` or `false`, without quotes"),
                );
                None
            }
        }
    }

    fn unexpected<T>(&self, what: &str, wanted: &str, found: &mut Diagnostics) -> Option<T> {
        let hint = match wanted {
            "a list" => "write `[…, …]`, or a line `- …` for each item",
            "a map" => "write `key: value` lines",
            _ => "write a single value",
        };
        let message = format!("{what} must be {wanted}, not {}", self.describe());
        found.push(Diagnostic::error(&self.span, message).hint(hint));
        None
    }
}

/// Reports every key that is not among `known`, each with the nearest known one. `what` names such a key: `key of a role`.
pub fn check_keys(entries: &[(Key, Node)], what: &str, known: &[&str], found: &mut Diagnostics) {
    for (key, _) in entries {
        if !known.contains(&key.text.as_str()) {
            found.push(Diagnostic::unknown(&key.span, what, &key.text, known.iter().copied()));
        }
    }
}

fn one(diagnostic: Diagnostic) -> Diagnostics {
    let mut all = Diagnostics::new();
    all.push(diagnostic);
    all
}

/// What serde-saphyr hands over. Whether a plain scalar looked like a number to it does not matter: its text is then taken
/// from the source.
enum Raw {
    Nothing,
    Typed,
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Typed)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

fn read(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Spanned<Raw>, Error> {
    let options: Options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_recorded_anchor_events: MAX_NODES,
            max_total_scalar_bytes: 4 * MAX_BYTES,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED,
        },
        duplicate_keys: duplicate_keys,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// Turns what was read into nodes. `base` is where the text begins in its source.
struct Builder<'a> {
    source: &'a Arc<Source>,
    base: usize,
    found: Diagnostics,
}

impl Builder<'_> {
    fn build(mut self, raw: Spanned<Raw>) -> Result<Node, Diagnostics> {
        let node = self.node(raw);
        if self.found.has_errors() { Err(self.found) } else { Ok(node) }
    }

    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let span = self.span(&raw.defined);
        match raw.value {
            Raw::Nothing | Raw::Typed => {
                if span.text().starts_with(['"', '\'', '|', '>']) {
                    self.found.push(
                        Diagnostic::error(&span, "tags (`!!int`, `!!null`) have no meaning here")
                            .hint("write the value without a tag"),
                    );
                }
                let text = span.text().to_owned();
                Node { span, data: Data::Scalar(Scalar { text, quoted: false }) }
            }
            Raw::Text(text) => {
                let quoted = span.text().starts_with(['"', '\'']) || self.is_block_scalar(&span);
                Node { span, data: Data::Scalar(Scalar { text, quoted }) }
            }
            Raw::List(items) => {
                let items: Vec<Node> = items.into_iter().map(|item| self.node(item)).collect();
                let end = items.last().map_or(span.end(), |item| item.span.end());
                Node { span: self.collection(&span, end, "[]"), data: Data::List(items) }
            }
            Raw::Map(entries) => {
                let mut built: Vec<(Key, Node)> = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = self.key(key, &span);
                    let value = self.node(value);
                    if let Some(key) = key {
                        built.push((key, value));
                    }
                }
                let end = built.last().map_or(span.end(), |(key, value)| value.span.end().max(key.span.end()));
                Node { span: self.collection(&span, end, "{}"), data: Data::Map(built) }
            }
        }
    }

    fn key(&mut self, raw: Spanned<Raw>, map: &Span) -> Option<Key> {
        let node = self.node(raw);
        let message = match node.data {
            Data::Scalar(Scalar { ref text, quoted }) if !text.is_empty() || quoted => {
                return Some(Key { text: text.clone(), span: node.span });
            }
            Data::Scalar(_) => Diagnostic::error(&node.span, "a key is missing before the `:`")
                .hint("write the key, or quote text that begins with `:`"),
            _ if self.source.text[map.start()..].starts_with("{{") => unquoted(self.source, map.start()),
            _ => Diagnostic::error(&node.span, format!("a key must be text, not {}", node.describe()))
                .hint("write `key: value`; quote text that begins with `?`, `[` or `{`"),
        };
        self.found.push(message);
        None
    }

    /// Where a node is defined: for an alias, where its anchor is.
    fn span(&self, at: &Location) -> Span {
        let span = at.span();
        let (start, len) = (span.byte_offset().unwrap_or(0) as usize, span.byte_len().unwrap_or(0) as usize);
        Span::new(self.source, self.base + start, self.base + start + len)
    }

    /// The parser gives a block scalar's span as its content; the line before it says what it is.
    fn is_block_scalar(&self, content: &Span) -> bool {
        let before = &self.source.text[self.base..content.start()];
        let header = before.trim_end_matches([' ', '\r', '\n']).rsplit('\n').next().unwrap_or("");
        let header = header.split(" #").next().unwrap_or("").trim_end();
        let word = header.rsplit([' ', '\t']).next().unwrap_or("");
        before.trim_end_matches(' ').ends_with('\n')
            && word.starts_with(['|', '>'])
            && word[1..].chars().all(|c| c.is_ascii_digit() || c == '+' || c == '-')
    }

    /// The parser gives only the beginning of a collection: it ends where its last item does, or with its bracket.
    fn collection(&self, start: &Span, end: usize, brackets: &str) -> Span {
        let text = &self.source.text;
        let end = end.max(start.end());
        if !brackets.starts_with(start.text()) || start.text().is_empty() {
            return Span::new(self.source, start.start(), end);
        }
        let rest = text[end..].trim_start_matches([' ', '\t', '\r', '\n', ',']);
        let closing = text.len() - rest.len();
        let end = if rest.starts_with(&brackets[1..]) { closing + 1 } else { end };
        Span::new(self.source, start.start(), end)
    }
}

/// The message for text that the parser refused.
fn explain(source: &Arc<Source>, base: usize, text: &str, error: &Error) -> Diagnostics {
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
    if let Ok(raw) = read(text, DuplicateKeyPolicy::LastWins) {
        let mut builder = Builder { source, base, found: Diagnostics::new() };
        repeated(&builder.node(raw), &mut found);
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
            let mut seen = std::collections::HashMap::new();
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
fn unquoted(source: &Arc<Source>, braces: usize) -> Diagnostic {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Result<Node, String> {
        parse(&Source::new("a.yml", text)).map_err(|found| found.render())
    }

    /// The tree on one line; quoted text in quotes.
    fn shown(node: &Node) -> String {
        match &node.data {
            Data::Scalar(Scalar { text, quoted: true }) => format!("{text:?}"),
            Data::Scalar(Scalar { text, .. }) => text.clone(),
            Data::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
            Data::Map(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{}: {}", key.text, shown(value))).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    #[test]
    fn scalars_keep_their_written_text() {
        for (text, tree) in [
            ("a: 0644\nb: 1.10\nc: no\nd: ~\ne: 0x10\n", "{a: 0644, b: 1.10, c: no, d: ~, e: 0x10}"),
            ("a: .nan\nb: 1e999\nc: TRUE\nd:\ne: # c\n", "{a: .nan, b: 1e999, c: TRUE, d: , e: }"),
            ("a: '0644'\nb: \"x\\n\"\nc: ''\n", "{a: \"0644\", b: \"x\\n\", c: \"\"}"),
            ("a: |\n  x\n  y\nb: >-\n  p\n  q\n", "{a: \"x\\ny\\n\", b: \"p q\"}"),
            ("a: |\n\n  x\nb:\n  - |2-\n    y\n", "{a: \"\\nx\\n\", b: [\"y\"]}"),
            ("a: | # why\n  5\nb: foo |\n", "{a: \"5\\n\", b: foo |}"),
            ("a: plain\n  goes on\n", "{a: plain goes on}"),
            ("80: x\ntrue: y\n~: z\n'': q\n", "{80: x, true: y, ~: z, : q}"),
            ("a: &x {q: 1}\nb: *x\nc: &y [1.0]\nd: *y\n", "{a: {q: 1}, b: {q: 1}, c: [1.0], d: [1.0]}"),
            ("---\na: [x, {y: z}, 'ü']\n...\n", "{a: [x, {y: z}, \"ü\"]}"),
            ("\u{feff}a: 1\r\nb: 2\r\n", "{a: 1, b: 2}"),
            ("a: foo {{ x }}\nb: \"{{ y }}\"\n", "{a: foo {{ x }}, b: \"{{ y }}\"}"),
            ("", "{}"),
            ("# nothing\n", "{}"),
        ] {
            assert_eq!(shown(&parsed(text).unwrap()), tree, "{text:?}");
        }
    }

    #[test]
    fn spans_cover_what_was_written() {
        let node = parsed("ä: {b: [1, 'x'], c: {}}\nd:\n- e: f\n  g: h\ni: &k [ 1 ]\nj: *k\n").unwrap();
        assert_eq!(node.get("ä").unwrap().span.text(), "{b: [1, 'x'], c: {}}");
        assert_eq!(node.get("ä").unwrap().get("b").unwrap().span.text(), "[1, 'x']");
        assert_eq!(node.get("d").unwrap().span.text(), "e: f\n  g: h");
        assert_eq!(node.entry("d").unwrap().0.span.text(), "d");
        assert_eq!(node.get("i").unwrap().span.text(), "[ 1 ]");
        assert_eq!(node.get("j").unwrap().span.text(), "[ 1 ]");
        assert_eq!(node.get("j").unwrap().span.line(), 5);
    }

    #[test]
    fn mistakes_are_shown_with_their_place() {
        for (text, message) in [
            (
                "a: 1\nb: {c: 2, c: 3}\na: 4\n",
                "\
error: the key `c` is given twice
 --> a.yml:2:11
  |
2 | b: {c: 2, c: 3}
  |           ^
 ::: a.yml:2:5
  |
2 | b: {c: 2, c: 3}
  |     ^ first given here
  = remove one of the two

error: the key `a` is given twice
 --> a.yml:3:1
  |
3 | a: 4
  | ^
 ::: a.yml:1:1
  |
1 | a: 1
  | ^ first given here
  = remove one of the two

2 errors
",
            ),
            (
                "a:\n\tb: 1\n",
                "\
error: a tab where only spaces may stand
 --> a.yml:2:1
  |
2 |  b: 1
  | ^
  = indent with spaces
",
            ),
            (
                "r:\n  - file: {{ dir }}/x  # why\n",
                "\
error: a value that begins with `{{` must be quoted
 --> a.yml:2:11
  |
2 |   - file: {{ dir }}/x  # why
  |           ^^^^^^^^^^^
  = quote it: `- file: \"{{ dir }}/x\"  # why`
",
            ),
            (
                "x: {{ a | default(\"b\") }}\n",
                "\
error: a value that begins with `{{` must be quoted
 --> a.yml:1:4
  |
1 | x: {{ a | default(\"b\") }}
  |    ^^^^^^^^^^^^^^^^^^^^^^
  = quote it: `x: '{{ a | default(\"b\") }}'`
",
            ),
            (
                "y: [{{ z }}, 1]\n",
                "\
error: a value that begins with `{{` must be quoted
 --> a.yml:1:5
  |
1 | y: [{{ z }}, 1]
  |     ^^^^^^^
  = quote it: `y: [\"{{ z }}\", 1]`
",
            ),
            (
                "- x\n",
                "\
error: expected a map, found a list
 --> a.yml:1:1
  |
1 | - x
  | ^^^
  = a file consists of `key: value` lines
",
            ),
        ] {
            assert_eq!(parsed(text).unwrap_err(), message, "{text:?}");
        }
    }

    #[test]
    fn every_mistake_has_a_place_and_a_hint() {
        for (text, message, place) in [
            ("80: x\n0x50: y\n", "the key `0x50` is given twice", "2:1"),
            ("a: 1\n---\nb: 2\n", "a second document in one file", "3:1"),
            ("a: [1\n", "a bracket that is not closed", "1:4"),
            ("a: b: c\n", "a `:` where no key can stand", "1:5"),
            ("a: 1\n  b: 2\n", "a `:` where no key can stand", "2:4"),
            ("a: \"x\n", "a quote that is not closed", "2:1"),
            ("a: 'it's'\n", "text behind the closing quote", "1:8"),
            ("a:\n  b: 1\n c: 2\n", "not indented like the lines around it, or text behind a value", "3:2"),
            ("? [a]\n: b\n", "a key must be text, not a list", "1:3"),
            (": b\n", "a key is missing before the `:`", "1:1"),
            ("<<: {a: 1}\n", "merge keys (`<<`) are not part of YAML 1.2", "1:1"),
            ("a: !foo 1\n", "tags (`!name`) have no meaning here", "1:9"),
            ("a: !!int \"5\"\n", "tags (`!!int`, `!!null`) have no meaning here", "1:10"),
            ("a: !!bool x\n", "tags (`!name`) have no meaning here", "1:11"),
            ("a: *.conf\n", "an alias (`*name`) of something that is not there", "1:4"),
            ("a: &r [*r]\n", "an alias inside of what it stands for", "1:8"),
            ("a: @x\n", "text cannot begin with this character", "1:4"),
            ("a: `x`\n", "text cannot begin with this character", "1:4"),
            ("a: - b\n", "a list item where none can stand", "1:4"),
            ("hello\n", "expected a map, found text", "1:1"),
        ] {
            let found = parsed(text).unwrap_err();
            assert!(found.starts_with(&format!("error: {message}\n --> a.yml:{place}\n")), "{text:?}\n{found}");
            assert!(found.contains("\n  = "), "no hint: {text:?}\n{found}");
        }
        let nul = parsed("a: x\0y\n").unwrap_err();
        assert!(nul.starts_with("error: a NUL byte in a text file\n --> a.yml:1:5\n"), "{nul}");
    }

    #[test]
    fn bombs_are_refused() {
        let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..10 {
            let inner = vec![format!("*a{}", i - 1); 10].join(",");
            laughs.push_str(&format!("a{i}: &a{i} [{inner}]\n"));
        }
        assert!(parsed(&laughs).unwrap_err().starts_with("error: the file grows too large\n"));
        let blocks: String = (0..400).map(|depth| format!("{}-\n", " ".repeat(depth))).collect();
        for deep in ["[".repeat(100_000), "{a: ".repeat(100_000), blocks, format!("a: {}", "[".repeat(33))] {
            let found = parsed(&deep).unwrap_err();
            assert!(found.starts_with("error: nested too deeply\n"), "{}", &found[..200.min(found.len())]);
        }
        assert!(parsed(&" ".repeat(MAX_BYTES + 1)).unwrap_err().starts_with("error: the file is too large\n"));
    }

    #[test]
    fn deep_but_allowed_nesting_fits_a_small_stack() {
        let text = format!("a: {}{}", "[".repeat(MAX_DEPTH - 2), "]".repeat(MAX_DEPTH - 2));
        let small = std::thread::Builder::new().stack_size(1024 * 1024);
        small.spawn(move || parsed(&text).map(|_| ()).unwrap()).unwrap().join().unwrap();
    }

    #[test]
    fn helpers_say_what_they_expected() {
        let node = parsed("list: [a]\nmap: {a: b}\nbool: yes\nnothing:\n").unwrap();
        let mut found = Diagnostics::new();
        assert!(node.get("nothing").unwrap().expect_list("`x`", &mut found).unwrap().is_empty());
        assert!(node.get("list").unwrap().expect_map("`vars`", &mut found).is_none());
        assert!(node.get("map").unwrap().expect_list("`hosts`", &mut found).is_none());
        assert!(node.get("nothing").unwrap().expect_text("the name", &mut found).is_none());
        assert!(node.get("bool").unwrap().expect_bool("`become`", &mut found).is_none());
        check_keys(node.entries().unwrap(), "key of a thing", &["lists", "map", "bool", "nothing"], &mut found);
        let messages: Vec<&str> = found.iter().map(|wrong| wrong.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "`vars` must be a map, not a list",
                "`hosts` must be a list, not a map",
                "the name must be text, not nothing",
                "`become` must be a boolean",
                "unknown key of a thing `list`",
            ]
        );
    }

    /// Every span lies in the text, and shows it as it is written.
    fn spans_fit(node: &Node, text: &str) {
        assert!(text.contains(node.span.text()));
        match &node.data {
            Data::Scalar(_) => {}
            Data::List(items) => items.iter().for_each(|item| spans_fit(item, text)),
            Data::Map(entries) => entries.iter().for_each(|(_, value)| spans_fit(value, text)),
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "([a-c]: |- |\\{\\{ |\\}\\} |[\\[\\]{}:,\\-?&*!|>'\"%@`#~<ü\u{1F600}\u{feff}\u{0}]|[ \\t\\n\\r]|[a-c0-9.]{1,4}){0,24}") {
            match parsed(&text) {
                Ok(node) => spans_fit(&node, &text),
                Err(shown) => prop_assert!(shown.starts_with("error: "), "{}", shown),
            }
        }
    }
}
