//! Verdicts → one script and its payload; and what the host said about it.
//!
//! All due steps of a host go in one payload, in declared order. It is started detached, under a lock, only when all of it has
//! arrived; the first failure stops the rest; it ends with a new observation. The guards of a step (still as observed, a
//! user's guard, after a change) are written here, never by a kind. Pure: nothing here connects.

mod command;
mod compose;
mod files;
mod lockout;
mod outcome;
mod payload;
mod refresh;
mod selection;

pub use compose::{Act, ActStep, Actor, Composed, Situation, compose};
pub use lockout::{Login, asked, asks_for_login, login_script};
pub use outcome::{ActOutcome, Begun, StepOutcome, seen_script};
pub use selection::{Agreement, Selection};
