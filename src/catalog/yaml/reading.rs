//! From serde-saphyr to the tree.
//!
//! The parser hands over typed scalars and, for collections, only their beginning; the text and the whole extent are taken
//! from the source.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Location, Options, Spanned};

use super::{Data, Key, MAX_BYTES, Node, Scalar, mistakes};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::{Source, Span};

/// How deep maps and lists may be nested: the parser recurses, and threads have small stacks.
pub(super) const MAX_DEPTH: usize = 32;
/// How many values a file may hold.
const MAX_NODES: usize = 1_000_000;
/// How many parser events aliases may be replaced by, which stops "billion laughs".
const MAX_REPLAYED: usize = 100_000;

/// What serde-saphyr hands over. Whether a plain scalar looked like a number to it does not matter: its text is then taken
/// from the source.
pub(super) enum Raw {
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

/// Parses a text.
pub(super) fn read(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Spanned<Raw>, Error> {
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

/// What was read as nodes. `base` is where the text begins in its source.
pub(super) fn tree(source: &Arc<Source>, base: usize, raw: Spanned<Raw>) -> (Node, Diagnostics) {
    let mut builder = Builder { source, base, found: Diagnostics::new() };
    let node = builder.node(raw);
    (node, builder.found)
}

/// Turns what was read into nodes. `base` is where the text begins in its source.
struct Builder<'a> {
    source: &'a Arc<Source>,
    base: usize,
    found: Diagnostics,
}

impl Builder<'_> {
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
            _ if self.source.text[map.start()..].starts_with("{{") => mistakes::unquoted(self.source, map.start()),
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
