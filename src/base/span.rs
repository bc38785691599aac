//! Where something was written: a file and a range of its bytes.
//!
//! A [`Span`] is cheap to clone and carries its source, so that a message can be printed long after loading without any
//! registry of files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A file of the project as it was read: its path as users know it, and its text.
#[derive(Debug)]
pub struct Source {
    /// The path relative to the project, with `/`; for text that is in no file, a name such as `--set`.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
    /// Where its lines end, once somebody has asked for a line: a report asks for that of every resource of every host.
    line_ends: OnceLock<Box<[usize]>>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.text == other.text
    }
}

impl Eq for Source {}

impl Source {
    /// A source to point spans at.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { path: path.into(), text: text.into(), line_ends: OnceLock::new() })
    }
}

/// A range of bytes in a [`Source`].
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    source: Arc<Source>,
    start: usize,
    end: usize,
}

impl Span {
    /// The bytes `start..end` of `source`. Offsets outside the text or inside a character are moved to the nearest
    /// place that can be shown, so that a span can always be printed.
    pub fn new(source: &Arc<Source>, start: usize, end: usize) -> Self {
        let fit = |offset: usize| {
            let mut offset = offset.min(source.text.len());
            while !source.text.is_char_boundary(offset) {
                offset -= 1;
            }
            offset
        };
        let start = fit(start);
        Self { source: Arc::clone(source), start, end: fit(end).max(start) }
    }

    /// The beginning of a file: for messages about the file as a whole.
    pub fn start_of(source: &Arc<Source>) -> Self {
        Self::new(source, 0, 0)
    }

    /// The part of this span that begins `from` bytes into it and is `len` bytes long.
    pub fn part(&self, from: usize, len: usize) -> Self {
        Self::new(&self.source, self.start + from, self.start + from + len)
    }

    /// The file this span is in.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The path of the file, relative to the project.
    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// Offset of the first byte.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Offset behind the last byte.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The text itself.
    pub fn text(&self) -> &str {
        &self.source.text[self.start..self.end]
    }

    /// Line of the first byte, counted from 1.
    pub fn line(&self) -> usize {
        let find = || self.source.text.match_indices('\n').map(|(at, _)| at).collect();
        self.source.line_ends.get_or_init(find).partition_point(|end| *end < self.start) + 1
    }

    /// Column of the first character in its line, counted in characters from 1.
    pub fn column(&self) -> usize {
        let line_start = self.source.text[..self.start].rfind('\n').map_or(0, |at| at + 1);
        self.source.text[line_start..self.start].chars().count() + 1
    }

    /// The whole line in which the span begins, without its line end.
    pub fn line_text(&self) -> &str {
        let text = &self.source.text;
        let start = text[..self.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[self.start..].find('\n').map_or(text.len(), |at| self.start + at);
        text[start..end].trim_end_matches('\r')
    }
}

impl fmt::Display for Span {
    /// `path:line:column`, the form editors and terminals make clickable.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path().display(), self.line(), self.column())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_lines_and_characters() {
        let source = Source::new("a.yml", "über: 1\nzwei: äö x\n");
        let at = source.text.find('x').unwrap();
        let span = Span::new(&source, at, at + 1);
        assert_eq!(span.to_string(), "a.yml:2:10");
        assert_eq!(span.line_text(), "zwei: äö x");
        assert_eq!(span.text(), "x");
    }

    #[test]
    fn offsets_that_cannot_be_shown_are_moved() {
        let source = Source::new("a", "ä");
        assert_eq!(Span::new(&source, 1, 99).text(), "ä");
    }
}
