//! Declared × observed → verdicts. Pure; the same for plan, apply and verify, but that verify says what is so now, and the others
//! what will be so when the turn of a resource comes.
//!
//! A verdict never says more than what was read: what could not be told is unknown with its reason, what depends on something
//! that is not there yet is undecided and names what may provide it.

mod compare;
mod current;
mod diff;
mod matcher;
mod verdict;

pub use diff::{hidden, masked, unified};
pub use verdict::{Judged, Outlook, found, judge};
