//! The ground floor: nothing here knows what a server is.
//!
//! Places in files, messages with a place, shell quoting, values, digests and the cleaning of hostile bytes. Every other
//! floor stands on it; it imports nothing of the crate.

pub mod clean;
pub mod diagnostic;
pub mod digest;
pub mod nearest;
pub mod quote;
pub mod redact;
pub mod secret;
pub mod span;
pub mod value;
