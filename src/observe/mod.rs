//! One script that reads everything, and the observations its answer holds.
//!
//! Pure: a catalog becomes shell text ([`Script::compose`]), frames become [`Observations`]. Everything declared for a host is read in one go;
//! what each kind prints is understood by the kind itself. Nothing here judges.

mod answer;
mod contents;
mod facts;
mod memory;
mod place;
mod probes;
mod script;
mod watched;

pub use answer::{HostState, Observations};
pub use contents::{FileReading, content_script, read_contents};
pub use facts::{facts_script, read_facts};
pub use memory::{Applied, LastRun, Memory, StepMark, applied_line};
pub use place::Place;
pub use probes::with_environment;
pub use script::{SHARED, Script};
pub use watched::Watched;
