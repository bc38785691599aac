//! YAML text as a tree that knows where everything stands.
//!
//! Scalars keep their written text: what `4` or `no` or `1.10` means is decided by whoever knows the wanted type, never here.
//! The language is YAML 1.2 without tags and merge keys; input is bounded in size, depth and what its aliases grow to. Knows
//! nothing of what a file is about.

mod mistakes;
mod reading;

use std::ops::Range;
use std::sync::Arc;

use serde_saphyr::options::DuplicateKeyPolicy;

use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::{Source, Span};

/// The largest YAML file that is read, in bytes.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;

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
        let found = Diagnostic::error(&Span::new(source, base + at, base + at + 1), "a NUL byte in a text file");
        return Err(one(found.hint("remove it; binary files belong in files/")));
    }
    match reading::read(text, DuplicateKeyPolicy::Error) {
        Ok(raw) => {
            let (node, found) = reading::tree(source, base, raw);
            if found.has_errors() { Err(found) } else { Ok(node) }
        }
        Err(error) => Err(mistakes::explain(source, base, text, &error)),
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

#[cfg(test)]
mod tests {
    use super::reading::MAX_DEPTH;
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
            ("a: x\0y\n", "a NUL byte in a text file", "1:5"),
            ("a:\n  - b: 1\n   c: 2\n", "this line is indented like none above it", "3:4"),
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
                "unknown key `list` of a thing",
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
