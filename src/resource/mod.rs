//! The vocabulary that kinds are written in, and that everything above speaks.
//!
//! A *resource* is one thing a role declares or a spec checks, on one host: its kind, its identity, and what is *wanted* of
//! each attribute. A kind reads it (a *fragment* of shell, answered by *readings*) and brings it about (*steps*, or an
//! *edit* of a file). Nothing here connects, compares or knows any kind.

pub mod accounts;
pub mod address;
pub mod attribute;
pub mod batch;
pub mod content;
pub mod facts;
pub mod kind;
pub mod login;
pub mod matcher;
pub mod observed;
pub mod paths;
pub mod probe;
pub mod result;
pub mod step;
#[cfg(test)]
pub(crate) mod testing;
pub mod want;

pub use address::Address;
pub use attribute::{Attribute, Compare, Side, Type};
pub use content::Content;
pub use facts::Facts;
pub use kind::{Answer, Example, Identity, Kind, Mistake, Refresh, Spoil, Table};
pub use login::TakenBack;
pub use matcher::Matcher;
pub use observed::{Existence, Need, Observed, Reading, RunsSince};
pub use probe::{Probe, ProbeAnswer, ProbeEnd};
pub use step::{Due, FileWrite, Guard, Step, Still, Work};
pub use want::{ABSENT, Resource, Severity, State, Want, Watch};
