//! One script that reads everything, and the observations its answer holds.
//!
//! Pure: a catalog becomes shell text ([`Script::compose`]), frames become [`Observations`]. Everything declared for a host is read in one go;
//! what each kind prints is understood by the kind itself. Nothing here judges.

mod answer;
mod facts;
mod memory;
mod script;
mod watched;

pub use answer::{FileReading, HostState, Observations};
pub use facts::{facts_script, read_facts};
pub use memory::{Applied, LastRun, Memory, StepMark, applied_line};
pub use script::{Place, SHARED, Script, content_script, opening, read_contents, with_environment};
pub use watched::Watched;
