//! Why a verb could not begin: always exit code 2, and nothing was touched.

use crate::base::clean;
use crate::base::diagnostic::Diagnostics;

/// A reason, as text for people.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    text: String,
}

impl Failure {
    /// A message (a lowercase fragment) and what to do about it.
    pub(super) fn new(message: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        let mut text = format!("error: {}\n", clean::lines(message.as_ref()));
        if !hint.as_ref().is_empty() {
            text.push_str(&format!("  = {}\n", clean::lines(hint.as_ref())));
        }
        Self { text }
    }

    /// The text, with its final line end.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl From<Diagnostics> for Failure {
    fn from(found: Diagnostics) -> Self {
        Self { text: found.render() }
    }
}
