//! One line of a file that something else owns the rest of.
//!
//! # What it declares
//! That a line with exactly this text is in the file `file`. With `match`, a regular expression, it takes the place of the line
//! that matches: **of several, the last**, so write an expression that only the line you mean can match. The declared line must
//! match it too, or every run would add another one; that is checked before any host is contacted. A line that is new is put behind the last
//! line that `after` matches, or before the first that `before` matches; if none does, or neither is given, at the end.
//!
//! `state: absent` means that no line has this text or, with `match`, that no line matches.
//!
//! Where snowmelt can own the whole file, declare the `file`.
//!
//! # What is read
//! The file, once for all lines declared of it, up to 1 MiB. Expressions are matched against one line at a time, without its
//! end. A missing file is an error, unless `create: true` says that it is made.
//!
//! # What is changed
//! All lines that are due in a file are changed together, and it is replaced as a whole, like a `file`. Owner, permissions, all
//! other lines and their ends (also `\r\n`) stay as they are. A last line without an end gets one when something is put behind it.
//!
//! # Example
//! ```yaml
//! - line: PermitRootLogin no
//!   file: /etc/ssh/sshd_config
//!   match: "^#?PermitRootLogin "
//! - line: 192.0.2.10 db.internal
//!   file: /etc/hosts
//!   after: "^127\\.0\\.0\\.1\\s"
//! - line: every PermitEmptyPasswords
//!   file: /etc/ssh/sshd_config
//!   match: "^PermitEmptyPasswords "
//!   state: absent
//! ```

use regex::Regex;

use crate::base::quote;
use crate::resource::{
    Answer, Attribute, Example, Identity, Kind, Mistake, Need, Observed, Resource, Spoil, State, Table, Type,
};

const FILE: Attribute = Attribute::setting("file", Type::Path, "The file. Required.");
const MATCH: Attribute = Attribute::setting(
    "match",
    Type::Text,
    "A regular expression for the line whose place it takes; with `state: absent`, for all lines that go.",
);
const AFTER: Attribute = Attribute::act(
    "after",
    Type::Text,
    "A regular expression: a new line is put behind the last line that it matches.",
);
const BEFORE: Attribute = Attribute::act(
    "before",
    Type::Text,
    "A regular expression: a new line is put before the first line that it matches.",
);
const CREATE: Attribute = Attribute::act("create", Type::Bool, "Whether a missing file is made. Default: false.");

static TABLE: Table = Table {
    name: "line",
    summary: "one line of a file",
    source: include_str!("line.rs"),
    identity: Identity { name: "text", ty: Type::Text, doc: "The line, without its end." },
    in_roles: true,
    in_specs: true,
    has_state: true,
    attributes: &[FILE, MATCH, AFTER, BEFORE, CREATE],
    examples: &[Example {
        yaml: "- directory: /srv/snowmelt-examples/line\n  parents: true\n\
               - line: \"it's = $(one)\"\n  file: /srv/snowmelt-examples/line/lines.conf\n  match: \"^it's\"\n  create: true\n\
               - line: two\n  file: /srv/snowmelt-examples/line/lines.conf\n  before: \"^it's\"\n\
               - line: all that begin so\n  file: /srv/snowmelt-examples/line/lines.conf\n  match: ^gone\n  state: absent\n",
        spoils: &[
            Spoil {
                address: "line:/srv/snowmelt-examples/line/lines.conf:^it's#state",
                spoil: "sed -i \"s/^it's.*/it's = three/\" /srv/snowmelt-examples/line/lines.conf",
                oracle: "grep -qFx \"it's = \\$(one)\" /srv/snowmelt-examples/line/lines.conf",
            },
            Spoil {
                address: "line:/srv/snowmelt-examples/line/lines.conf:two#state",
                spoil: "sed -i /^two/d /srv/snowmelt-examples/line/lines.conf",
                oracle: "test \"$(head -n 1 /srv/snowmelt-examples/line/lines.conf)\" = two",
            },
            Spoil {
                address: "line:/srv/snowmelt-examples/line/lines.conf:^gone#state",
                spoil: "printf 'gone 1\\ngone 2' >>/srv/snowmelt-examples/line/lines.conf",
                oracle: "! grep -q ^gone /srv/snowmelt-examples/line/lines.conf",
            },
        ],
    }],
};

/// The kind `line`.
pub(super) struct Line;

impl Kind for Line {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn identity(&self, head: &str, resource: &Resource) -> String {
        let which = resource.text(&MATCH).unwrap_or(head);
        format!("{}:{which}", resource.text(&FILE).unwrap_or_default())
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut add = |attribute: Option<&Attribute>, message: String, hint: &str| {
            let attribute = attribute.map(|attribute| attribute.name);
            mistakes.push(Mistake { attribute, message, hint: Some(hint.to_owned()) });
        };
        let text = resource.head.as_str();
        if resource.text(&FILE).is_none() {
            add(None, "the line of which file?".to_owned(), "add `file: /path`");
        }
        if text.is_empty() {
            add(None, "an empty line is nothing to look for".to_owned(), "write its text");
        }
        if text.contains(['\n', '\r']) {
            add(None, "this is more than one line".to_owned(), "declare each line, or the `file`");
        }
        for attribute in [&MATCH, &AFTER, &BEFORE] {
            if let Some(Err(why)) = resource.text(attribute).map(expression) {
                add(Some(attribute), why, "write a regular expression; `\\` before a character that shall mean itself");
            }
        }
        if resource.text(&AFTER).is_some() && resource.text(&BEFORE).is_some() {
            add(Some(&BEFORE), "a line cannot be told to be both after and before".to_owned(), "keep one of the two");
        }
        match (resource.state, resource.text(&MATCH).map(expression)) {
            (State::Present, Some(Ok(regex))) if !regex.is_match(text) => {
                let message =
                    format!("`match` does not match the line itself, which would be added again by every run: {text}");
                add(Some(&MATCH), message, "make it match the line before and after the change");
            }
            (State::Absent, _) => {
                let placed =
                    [&AFTER, &BEFORE, &CREATE].into_iter().find(|attribute| resource.want(attribute).is_some());
                if let Some(attribute) = placed {
                    let message = format!("`{}` says nothing about a line that shall be absent", attribute.name);
                    add(Some(attribute), message, "remove it");
                }
            }
            _ => {}
        }
        mistakes
    }

    fn read(&self, batch: &[&Resource], _answer: &Answer<'_>) -> Vec<Observed> {
        // Whether it is there follows from the file, which is read once for all that is declared of it.
        batch.iter().map(|_| Observed::present([])).collect()
    }

    fn edits<'a>(&self, resource: &'a Resource) -> Option<&'a str> {
        resource.text(&FILE)
    }

    fn edit(&self, resource: &Resource, old: Option<&str>) -> Result<String, String> {
        let text = resource.head.as_str();
        let regex = resource.text(&MATCH).map(expression).transpose()?;
        let is_meant = |line: &str| match &regex {
            Some(regex) => regex.is_match(content(line)),
            None => content(line) == text,
        };
        let is_present = resource.state == State::Present;
        let Some(old) = old else {
            return match (is_present, resource.truth(&CREATE)) {
                (true, Some(true)) => Ok(format!("{text}\n")),
                (true, _) => Err("there is no such file; `create: true` makes it".to_owned()),
                (false, _) => Ok(String::new()),
            };
        };
        let mut lines: Vec<&str> = old.split_inclusive('\n').collect();
        if !is_present {
            lines.retain(|line| !is_meant(line));
            return Ok(lines.concat());
        }
        let replacement;
        match lines.iter().rposition(|line| is_meant(line)) {
            Some(index) => {
                replacement = format!("{text}{}", end(lines[index]));
                lines[index] = &replacement;
                Ok(lines.concat())
            }
            None if lines.iter().any(|line| content(line) == text) => Ok(old.to_owned()),
            None => insert(lines, text, resource),
        }
    }

    fn provides(&self, resource: &Resource, need: &Need) -> bool {
        let creates = resource.state == State::Present && resource.truth(&CREATE) == Some(true);
        matches!(need, Need::File(path) if creates && resource.text(&FILE) == Some(path))
    }

    fn watch(&self, resource: &Resource) -> Option<String> {
        resource.text(&FILE).map(|path| format!("watch_path {}", quote::sh(path)))
    }
}

/// A regular expression as it was written, for one line.
fn expression(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        // The crate draws the place over several lines; its last line says what is wrong.
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
        format!("`{text}` is no regular expression: {why}")
    })
}

/// A line without its end.
fn content(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// The end of a line: `\n`, `\r\n`, or nothing at the end of a file.
fn end(line: &str) -> &str {
    &line[content(line).len()..]
}

/// Puts a new line where it belongs.
fn insert(lines: Vec<&str>, text: &str, resource: &Resource) -> Result<String, String> {
    let place = |attribute: &Attribute| resource.text(attribute).map(expression).transpose();
    let (after, before) = (place(&AFTER)?, place(&BEFORE)?);
    let behind =
        after.and_then(|regex| lines.iter().rposition(|line| regex.is_match(content(line)))).map(|last| last + 1);
    let ahead = before.and_then(|regex| lines.iter().position(|line| regex.is_match(content(line))));
    let at = behind.or(ahead).unwrap_or(lines.len());
    // A file keeps the ends of lines that it has.
    let line_end = if lines.first().is_some_and(|line| line.ends_with("\r\n")) { "\r\n" } else { "\n" };
    let mut new = lines[..at].concat();
    if !new.is_empty() && !new.ends_with('\n') {
        new.push_str(line_end);
    }
    new.push_str(text);
    new.push_str(line_end);
    new.push_str(&lines[at..].concat());
    Ok(new)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::value::Value;
    use crate::resource::testing::{absent, resource};

    fn line(text: &str, values: &[(&'static str, &str)]) -> Resource {
        let mut all = vec![("file", Value::from("/etc/x"))];
        all.extend(values.iter().map(|(name, value)| match *value {
            "true" => (*name, Value::from(true)),
            text => (*name, Value::from(text)),
        }));
        resource(&Line, text, &all)
    }

    #[test]
    fn edits_one_line_and_leaves_the_rest() {
        type Case<'a> = (&'a str, &'a [(&'static str, &'a str)], &'a str, &'a str);
        let cases: &[Case<'_>] = &[
            ("b", &[], "a\nb\nc\n", "a\nb\nc\n"),
            ("b", &[], "a\nc\n", "a\nc\nb\n"),
            ("b", &[], "", "b\n"),
            ("b", &[], "a", "a\nb\n"),
            ("b", &[], " b\nbb\n", " b\nbb\nb\n"),
            ("b", &[], "a\nb", "a\nb"),
            ("k 2", &[("match", "^#?k ")], "#k 0\nk 1\nz\n", "#k 0\nk 2\nz\n"),
            ("k 2", &[("match", "^#?k ")], "#k 0\nz", "k 2\nz"),
            ("k 2", &[("match", "^k ")], "k 1", "k 2"),
            ("k 2", &[("match", "^k ")], "z\n", "z\nk 2\n"),
            ("k 2", &[("match", "^k \\d$")], "k 2\nk 1\n", "k 2\nk 2\n"),
            ("b", &[("after", "^a")], "a1\na2\nc\n", "a1\na2\nb\nc\n"),
            ("b", &[("after", "^c")], "a\nc", "a\nc\nb\n"),
            ("b", &[("before", "^c")], "a\nc1\nc2\n", "a\nb\nc1\nc2\n"),
            ("b", &[("before", "^z")], "a\n", "a\nb\n"),
            ("b", &[], "a\r\nc\r\n", "a\r\nc\r\nb\r\n"),
            ("b", &[], "a\r\nb\r\n", "a\r\nb\r\n"),
            ("k 2", &[("match", "^k .$")], "k 1\r\nz\r\n", "k 2\r\nz\r\n"),
            ("$(id) $1", &[("match", "\\$")], "$0\n", "$(id) $1\n"),
        ];
        for (text, values, old, new) in cases {
            let one = line(text, values);
            assert_eq!(Line.edit(&one, Some(old)).as_deref(), Ok(*new), "{text:?} {values:?} {old:?}");
            assert_eq!(Line.edit(&one, Some(new)).as_deref(), Ok(*new), "again: {text:?} {values:?} {old:?}");
        }
    }

    #[test]
    fn removes_every_line_that_is_meant() {
        let gone = absent(line("b", &[]));
        assert_eq!(Line.edit(&gone, Some("b\na\r\nb\r\nbb\nb")).as_deref(), Ok("a\r\nbb\n"));
        let gone = absent(line("all of them", &[("match", "^b")]));
        assert_eq!(Line.edit(&gone, Some("b\na\nbb")).as_deref(), Ok("a\n"));
        assert_eq!(Line.edit(&gone, None).as_deref(), Ok(""), "a missing file has no lines");
    }

    #[test]
    fn a_missing_file_is_made_only_when_told() {
        assert!(Line.edit(&line("b", &[]), None).unwrap_err().contains("create: true"));
        let create = line("b", &[("create", "true")]);
        assert_eq!(Line.edit(&create, None).as_deref(), Ok("b\n"));
        assert!(Line.provides(&create, &Need::File("/etc/x".into())));
        assert!(!Line.provides(&line("b", &[]), &Need::File("/etc/x".into())));
    }

    #[test]
    fn is_named_by_file_and_what_is_looked_for() {
        assert_eq!(line("b", &[]).identity(), "/etc/x:b");
        assert_eq!(line("b", &[("match", "^b")]).identity(), "/etc/x:^b");
        assert_eq!(Line.edits(&line("b", &[])), Some("/etc/x"));
    }

    #[test]
    fn mistakes_are_named() {
        let messages = |resource: &Resource| -> Vec<String> {
            Line.mistakes(resource).into_iter().map(|mistake| mistake.message).collect()
        };
        let first = |resource: &Resource, part: &str| {
            let all = messages(resource);
            assert!(all.len() == 1 && all[0].contains(part), "{all:?}");
        };
        first(&resource(&Line, "x", &[]), "which file");
        first(&line("", &[]), "an empty line");
        first(&line("a\nb", &[]), "more than one line");
        first(&line("Port 22", &[("match", "^Port 23")]), "does not match the line itself");
        first(&line("x", &[("match", "(")]), "unclosed group");
        first(&line("x", &[("after", "[")]), "no regular expression");
        first(&line("x", &[("after", "a"), ("before", "b")]), "both");
        first(&absent(line("x", &[("create", "true")])), "`create`");
        assert_eq!(messages(&absent(line("anything", &[("match", "^Port 23")]))), [""; 0]);
        assert_eq!(messages(&line("Port 22", &[("match", "^#?Port ")])), [""; 0]);
    }

    proptest! {
        #[test]
        fn editing_again_changes_nothing(
            old in "([ab#\t ]{0,3}(\n|\r\n|\r)?){0,6}",
            text in "[ab# ]{1,3}",
            regex in prop::option::of(prop::sample::select(vec!["", "^", "^#?a", "b", "b$", "\\s", ".*", "^$", "^a|b ?"])),
            place in prop::option::of((any::<bool>(), "[ab#]{1,2}")),
            is_absent: bool,
        ) {
            let mut values: Vec<(&'static str, &str)> = Vec::new();
            values.extend(regex.map(|regex| ("match", regex)));
            values.extend(place.as_ref().map(|(after, regex)| (if *after { "after" } else { "before" }, regex.as_str())));
            let mut one = line(&text, &values);
            if is_absent {
                one = absent(one);
            }
            prop_assume!(Line.mistakes(&one).is_empty());
            let once = Line.edit(&one, Some(&old)).unwrap();
            let twice = Line.edit(&one, Some(&once)).unwrap();
            prop_assert_eq!(&once, &twice);
            let holds = once.split_inclusive('\n').any(|line| content(line) == text);
            prop_assert!(is_absent || holds);
        }
    }
}
