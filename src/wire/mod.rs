//! How bytes travel: the one place that knows the wire.
//!
//! A script is never executed while it arrives: a fixed bootstrap (the argument of the exec request) reads standard input to
//! its end, checks that all of it came, and only then runs it. Answers come back in *frames* between marks that carry a
//! nonce of this run, so that noise of a login shell, or a host that tries to forge an answer, is not mistaken for one; a
//! frame without its end mark is incomplete and counts as not told.
//!
//! Nothing here knows what is asked or answered.

mod bootstrap;
mod frame;
mod nonce;

pub use bootstrap::{act, observe, script_with_end};
pub use frame::{Frame, Frames};
pub use nonce::Nonce;
