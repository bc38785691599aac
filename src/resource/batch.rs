//! What fragments have in common: one call of a tool for many things, and its answer read piece by piece.
//!
//! The trick that every batch here uses: a tool that is given many names answers with one line per name that it could read,
//! and complains with one line per name that it could not, in the same order. So the k-th complaint is about the k-th name
//! without an answer. That is the same for GNU and busybox tools, and only the reason behind the last `: ` is read.
//!
//! It does not know what any tool says.

use std::collections::HashSet;

use super::Resource;
use crate::base::{clean, quote};

/// Names per command: well below the kernel's limits for arguments, however long they are.
const CHUNK_NAMES: usize = 500;
const CHUNK_BYTES: usize = 64 * 1024;

/// What these resources are about, each once, in order.
pub fn names<'a>(batch: &[&'a Resource]) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    batch.iter().map(|resource| resource.identity()).filter(|name| seen.insert(*name)).collect()
}

/// Calls the shell function `function` with all these names, a few hundred at a time.
pub fn call(function: &str, names: &[&str]) -> String {
    chunks(names).map(|chunk| format!("{function} {}\n", quote::words(chunk))).collect()
}

/// The groups in which [`call`] hands out names.
pub fn chunks<'p, 'a>(names: &'p [&'a str]) -> impl Iterator<Item = &'p [&'a str]> {
    let mut rest = names;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |name: &&&str| {
            bytes += name.len() + 1;
            bytes <= CHUNK_BYTES
        };
        let count = rest.iter().take(CHUNK_NAMES).take_while(fits).count().max(1).min(rest.len());
        let (chunk, tail) = rest.split_at(count);
        rest = tail;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// The answer of a fragment, read piece by piece: pieces end with a NUL, which no name and no line of a tool can hold.
pub struct Sections<'a> {
    rest: &'a [u8],
}

impl<'a> Sections<'a> {
    /// From the beginning.
    pub fn of(answer: &'a [u8]) -> Self {
        Self { rest: answer }
    }

    /// The next piece; none when the answer is at its end.
    pub fn piece(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let piece = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Some(piece)
    }

    /// The pieces up to an empty one.
    pub fn list(&mut self) -> Vec<&'a [u8]> {
        std::iter::from_fn(|| self.piece().filter(|piece| !piece.is_empty())).collect()
    }
}

/// What one tool said about many names: its answers, its complaints.
pub struct Batch {
    /// Lines of standard output.
    pub answers: Vec<String>,
    /// Lines of standard error.
    complaints: Vec<String>,
}

impl Batch {
    /// The next batch of the answer: standard error, exit status and standard output, each ended by a NUL. The complaints come
    /// first because a shell holds back what the tool answers: many tools write line by line, and each write to the connection
    /// is a packet.
    ///
    /// # Errors
    /// Why nothing can be told: the tool is missing, or the answer is not one.
    pub fn next(answer: &mut Sections<'_>, tool: &str) -> Result<Self, String> {
        let mut lines = || {
            let text = clean::utf8(answer.piece()?);
            Some(text.lines().map(str::to_owned).collect::<Vec<_>>())
        };
        let (Some(complaints), Some(status), Some(answers)) = (lines(), lines(), lines()) else {
            return Err(format!("the answer of `{tool}` is incomplete"));
        };
        match status.first().map(String::as_str) {
            Some("127") => Err(format!("no program `{tool}`")),
            Some("126") => Err(format!("`{tool}` cannot be run")),
            _ => Ok(Self { answers, complaints }),
        }
    }

    /// The reason of each of the `count` names without an answer, in their order: a lowercase fragment. Where there are not
    /// as many complaints as names, none can be trusted.
    pub fn complaints(&self, count: usize) -> Vec<String> {
        if self.complaints.len() != count {
            return vec!["could not be read".to_owned(); count];
        }
        self.complaints.iter().map(|line| reason(line)).collect()
    }
}

/// The reason in a tool's complaint: what stands behind the last colon, as a lowercase fragment.
fn reason(complaint: &str) -> String {
    let reason = complaint.rsplit(": ").next().unwrap_or(complaint);
    let mut chars = reason.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_of_names_are_a_few_commands() {
        let names: Vec<String> = (0..1_700).map(|n| format!("/nowhere/{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(chunks(&names).count(), 4);
        assert_eq!(chunks(&["x"; 0]).count(), 0);
        let long = "x".repeat(40_000);
        assert_eq!(chunks(&[&*long, &*long, &*long]).map(<[_]>::len).collect::<Vec<_>>(), [1, 1, 1]);
    }
}
