//! What a spec may ask of a value beyond "exactly this".
//!
//! Only the vocabulary: it is read by the catalog and evaluated by the judge.

use std::fmt;

use regex::Regex;

use crate::base::value::Value;

/// A condition on a value.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// Exactly this value.
    Equals(Value),
    /// Text that holds this text, or a list that holds this item.
    Contains(Value),
    /// Text that this regular expression matches somewhere (`^` and `$` are line ends).
    Matches(Regex),
    /// Not so.
    Not(Box<Matcher>),
    /// At least one holds.
    AnyOf(Vec<Matcher>),
    /// All hold.
    AllOf(Vec<Matcher>),
    /// A number (or a length of time in seconds) compared with this one.
    Number(Ordering, f64),
}

/// A comparison of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    /// `at_least`
    AtLeast,
    /// `at_most`
    AtMost,
    /// `more_than`
    MoreThan,
    /// `less_than`
    LessThan,
}

impl Ordering {
    /// The key people write.
    pub fn key(self) -> &'static str {
        match self {
            Self::AtLeast => "at_least",
            Self::AtMost => "at_most",
            Self::MoreThan => "more_than",
            Self::LessThan => "less_than",
        }
    }
}

impl fmt::Display for Matcher {
    /// As it reads behind "expected": `contains "x"`, `not matches /y/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, all: &[Matcher], word: &str| {
            for (i, matcher) in all.iter().enumerate() {
                write!(f, "{}{matcher}", if i > 0 { word } else { "" })?;
            }
            Ok(())
        };
        match self {
            Self::Equals(Value::Text(text)) => write!(f, "{text:?}"),
            Self::Equals(value) => write!(f, "{value}"),
            Self::Contains(Value::Text(text)) => write!(f, "contains {text:?}"),
            Self::Contains(value) => write!(f, "contains {value}"),
            Self::Matches(regex) => write!(f, "matches /{regex}/"),
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::AnyOf(all) => join(f, all, " or "),
            Self::AllOf(all) => join(f, all, " and "),
            Self::Number(ordering, number) => write!(f, "{} {number}", ordering.key().replace('_', " ")),
        }
    }
}
