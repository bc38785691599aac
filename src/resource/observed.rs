//! What was read of a resource. "Could not tell" is never "absent" and never a default value.

use std::collections::BTreeMap;

use crate::base::value::Value;

/// What was read of one attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// It has this value. Of the content of a file that is held against declared content, the value is the SHA-256 in
    /// hexadecimal; where a matcher asks for it, the text.
    Is(Value),
    /// It has none.
    Absent,
    /// It cannot be read before something else is there.
    Unready(Need),
    /// It could not be told, and why: a lowercase fragment.
    Unknown(String),
}

/// Whether the thing exists.
#[derive(Clone, Debug, PartialEq)]
pub enum Existence {
    /// It does.
    Present,
    /// It does not.
    Absent,
    /// Something else is in its place, and what: `a directory`. Whatever is declared of it, that is not so.
    Other(String),
    /// It cannot be told before something else is there.
    Unready(Need),
    /// It could not be told, and why.
    Unknown(String),
}

/// What must be there before something can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A program.
    Tool(String),
    /// A unit of the init system.
    Unit(String),
    /// A user.
    User(String),
    /// A group.
    Group(String),
    /// A directory.
    Parent(String),
    /// A file to edit.
    File(String),
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tool(name) => write!(f, "no program `{name}`"),
            Self::Unit(name) => write!(f, "no unit {name}"),
            Self::User(name) => write!(f, "no user {name}"),
            Self::Group(name) => write!(f, "no group {name}"),
            Self::Parent(path) => write!(f, "no directory {path}"),
            Self::File(path) => write!(f, "no file {path}"),
        }
    }
}

/// Since when something runs, for kinds that can be reloaded and restarted. Times are in microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunsSince {
    /// When what runs took its configuration: the start, or the last reload that succeeded.
    pub configured: i64,
    /// When it was started.
    pub started: i64,
    /// Identifies this run of it (systemd: InvocationID and StateChangeTimestamp): the record of a reload counts only while
    /// this is unchanged.
    pub invocation: String,
}

/// What was read of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Whether it exists.
    pub existence: Existence,
    /// Readings by attribute name.
    pub readings: BTreeMap<&'static str, Reading>,
    /// Since when it runs, if it is running and that is known.
    pub runs: Option<RunsSince>,
}

impl Observed {
    /// It exists, with these readings.
    pub fn present(readings: impl IntoIterator<Item = (&'static str, Reading)>) -> Self {
        Self { existence: Existence::Present, readings: readings.into_iter().collect(), runs: None }
    }

    /// It does not exist.
    pub fn absent() -> Self {
        Self { existence: Existence::Absent, readings: BTreeMap::new(), runs: None }
    }

    /// Something else is in its place.
    pub fn other(what: impl Into<String>) -> Self {
        Self { existence: Existence::Other(what.into()), readings: BTreeMap::new(), runs: None }
    }

    /// Nothing could be told of it.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self { existence: Existence::Unknown(why.into()), readings: BTreeMap::new(), runs: None }
    }

    /// It cannot be read before something else is there.
    pub fn unready(need: Need) -> Self {
        Self { existence: Existence::Unready(need), readings: BTreeMap::new(), runs: None }
    }

    /// What was read of an attribute.
    pub fn reading(&self, attribute: &str) -> Option<&Reading> {
        self.readings.get(attribute)
    }
}
