//! A message for the person who wrote the project: what, where, and what to do about it.
//!
//! Knows how such a message looks, not who finds it. Loading collects many of them ([`Diagnostics`]) before it gives up, so
//! that one run shows every mistake.

use std::fmt::Write as _;

use super::clean;
use super::nearest;
use super::span::Span;

/// One mistake (or warning), with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// A lowercase sentence fragment without a full stop.
    pub message: String,
    /// Where; none for what stands in no file.
    pub span: Option<Span>,
    /// Other places that belong to it, each with what it is ("first declared here").
    pub related: Vec<(Span, String)>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the text at its places must not be shown: a secret stands there.
    pub is_private: bool,
}

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The run goes on.
    Warning,
    /// The project cannot be used.
    Error,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(span: &Span, message: impl Into<String>) -> Self {
        Self { span: Some(span.clone()), ..Self::placeless(message) }
    }

    /// An error that stands in no file.
    pub fn placeless(message: impl Into<String>) -> Self {
        Self {
            level: Level::Error,
            message: message.into(),
            span: None,
            related: Vec::new(),
            hint: None,
            is_private: false,
        }
    }

    /// A warning at a place.
    pub fn warning(span: &Span, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(span, message) }
    }

    /// An error about a name that is not known: `unknown role nginxx`, with the nearest known name as the hint, or all
    /// names when none is near and there are few.
    pub fn unknown<'a>(span: &Span, what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let found = Self::error(span, format!("unknown {what} `{name}`"));
        match nearest::hint(name, known) {
            Some(hint) => found.hint(hint),
            None => found,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, without the text at its places: a secret stands there.
    #[must_use]
    pub fn private(self) -> Self {
        Self { is_private: true, ..self }
    }

    /// Adds another place that belongs to it.
    #[must_use]
    pub fn related(mut self, span: &Span, what: impl Into<String>) -> Self {
        self.related.push((span.clone(), what.into()));
        self
    }

    /// The message as people read it, without colour:
    ///
    /// ```text
    /// error: unknown attribute `ownr` of file
    ///   --> roles/nginx/role.yml:12:5
    ///    |
    /// 12 |     ownr: root
    ///    |     ^^^^
    ///    = did you mean `owner`?
    /// ```
    pub fn render(&self) -> String {
        let mut out = String::new();
        let level = match self.level {
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let _ = writeln!(out, "{level}: {}", clean::lines(&self.message));
        if let Some(span) = &self.span {
            excerpt(&mut out, "-->", span, "", self.is_private);
        }
        for (span, what) in &self.related {
            excerpt(&mut out, ":::", span, what, self.is_private);
        }
        if let Some(hint) = &self.hint {
            let width = self.span.as_ref().map_or(1, |span| span.line().to_string().len());
            let _ = writeln!(out, "{:width$} = {}", "", clean::lines(hint));
        }
        out
    }
}

fn excerpt(out: &mut String, arrow: &str, span: &Span, label: &str, is_private: bool) {
    let line = span.line();
    let width = line.to_string().len();
    let _ = writeln!(out, "{:width$}{arrow} {span}", "");
    let text = clean::line(&span.line_text().replace('\t', " ")).into_owned();
    if is_private || text.trim().is_empty() && span.text().is_empty() {
        return;
    }
    let first_line = span.text().lines().next().unwrap_or("");
    let column = span.column() - 1;
    // A very long line (minified YAML, a key) is cut around the place.
    let (skip, marks) = if column > 100 { (column - 60, "…") } else { (0, "") };
    let shown: String = text.chars().skip(skip).take(160).collect();
    let carets = first_line.chars().count().clamp(1, 120);
    let indent = column - skip + marks.chars().count();
    let _ = writeln!(out, "{:width$} |", "");
    let _ = writeln!(out, "{line} | {marks}{shown}");
    let _ = writeln!(out, "{:width$} | {:indent$}{} {label}", "", "", "^".repeat(carets));
    while out.ends_with(" \n") {
        out.truncate(out.len() - 2);
        out.push('\n');
    }
}

/// The mistakes of one loading, in the order found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics {
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; the same message at the same place is kept once (a role is resolved for many hosts).
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.found.contains(&diagnostic) {
            self.found.push(diagnostic);
        }
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, other: Diagnostics) {
        for diagnostic in other.found {
            self.push(diagnostic);
        }
    }

    /// Keeps the error and yields nothing, so that loading goes on: `let x = diagnostics.take(parse(…))?`.
    pub fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(diagnostic) => {
                self.push(diagnostic);
                None
            }
        }
    }

    /// Whether anything was found that forbids going on.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|d| d.level == Level::Error)
    }

    /// Whether nothing was found at all.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.found.iter()
    }

    /// All of them as text, a blank line between two, and the count of errors when there are several.
    pub fn render(&self) -> String {
        let mut out = self.found.iter().map(Diagnostic::render).collect::<Vec<_>>().join("\n");
        let errors = self.found.iter().filter(|d| d.level == Level::Error).count();
        if errors > 1 {
            let _ = write!(out, "\n{errors} errors\n");
        }
        out
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::span::Source;

    #[test]
    fn shows_place_line_and_hint() {
        let source = Source::new("roles/nginx/role.yml", "a: 1\nb:\n  ownr: root\n");
        let at = source.text.find("ownr").unwrap();
        let shown =
            Diagnostic::unknown(&Span::new(&source, at, at + 4), "attribute", "ownr", ["owner", "mode"]).render();
        assert_eq!(
            shown,
            "error: unknown attribute `ownr`\n --> roles/nginx/role.yml:3:3\n  |\n3 |   ownr: root\n  |   ^^^^\n  = did you mean `owner`?\n"
        );
    }

    #[test]
    fn hostile_source_text_does_not_reach_the_terminal() {
        let source = Source::new("a.yml", "x: \u{1b}[31mred\n");
        let shown = Diagnostic::error(&Span::new(&source, 3, 4), "bad").render();
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }

    #[test]
    fn the_same_message_is_kept_once() {
        let source = Source::new("a.yml", "x\n");
        let mut all = Diagnostics::new();
        all.push(Diagnostic::error(&Span::start_of(&source), "bad"));
        all.push(Diagnostic::error(&Span::start_of(&source), "bad"));
        assert_eq!(all.iter().count(), 1);
    }
}
