//! What a kind does about resources that are due: steps, run on the host in declared order.
//!
//! A kind writes what to do; when it may be done (still as observed, a user's guard, after a change) is written around it by
//! the engine.

use super::content::Content;
use super::observed::Observed;
use super::probe::Probe;
use super::want::Resource;
use crate::base::digest::Digest;

/// A resource that is due.
#[derive(Clone, Copy)]
pub struct Due<'a> {
    /// What is declared.
    pub resource: &'a Resource,
    /// What was read; in an undecided resource less is known than in a due one.
    pub observed: &'a Observed,
    /// Names of the attributes that differ (`state` among them); of an undecided resource, all that were declared.
    pub differs: &'a [&'static str],
}

impl Due<'_> {
    /// Whether this attribute is among those that differ.
    pub fn differs(&self, attribute: &str) -> bool {
        self.differs.contains(&attribute)
    }
}

/// One step: it brings about one or several resources of a kind, together.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Which of the due resources, by their place in the slice the kind was given.
    pub items: Vec<usize>,
    /// What it does, for people: `install nginx, curl`.
    pub title: String,
    /// What is done.
    pub work: Work,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// POSIX shell, run by `sh -eu` as the acting user, input empty, output kept for messages. The helper functions of the
    /// act prelude are there.
    Shell(String),
    /// Files, directories' and links' places in the file system: written by the engine, atomically, each under its guard.
    Files(Vec<FileWrite>),
    /// A user's command under its guards.
    Run {
        /// The command.
        run: Probe,
        /// All of them must allow it.
        guards: Vec<Guard>,
    },
}

/// One file to put in place, or only to set owner and mode of.
#[derive(Clone, Debug, PartialEq)]
pub struct FileWrite {
    /// Which of the due resources it belongs to.
    pub item: usize,
    /// The absolute path.
    pub path: String,
    /// The new content; none leaves it alone.
    pub content: Option<Content>,
    /// Whether the content is only for a file that is not there: one that is there by then keeps its own.
    pub if_missing: bool,
    /// The owner by name (or number); none leaves it alone, and means root for a new file.
    pub owner: Option<String>,
    /// The group by name (or number); none leaves it alone, and means root for a new file.
    pub group: Option<String>,
    /// Permissions, four octal digits; none leaves them alone, and means 0644 for a new file (0600 for sensitive content).
    pub mode: Option<String>,
    /// Whether missing parent directories are made (root:root 0755).
    pub parents: bool,
    /// Shell text that must succeed before the file goes live; `%s` stands for the new file beside its target.
    pub validate: Option<String>,
    /// What must still be so.
    pub still: Still,
}

/// What was observed of a file and must still be so when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Still {
    /// Nothing: what is there does not matter.
    Anything,
    /// There was no file.
    Absent,
    /// A regular file with this content.
    Digest(Digest),
}

/// A user's guard of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Guard {
    /// Run only if this does not hold.
    Unless(Probe),
    /// Run only if this holds.
    OnlyIf(Probe),
    /// Run only if this path does not exist.
    Creates(String),
    /// Run only if what the resource watches differs from when it last ran.
    OnChange,
}
