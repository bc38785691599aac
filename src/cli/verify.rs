//! `snowmelt verify`: compare with what is declared, and with the specs.

use super::args::{Global, Limit, Pace, Reports, Set};
use super::output::{self, Screen};
use super::{End, project};
use crate::verbs;

const EXAMPLES: &str = "\
Examples:
  snowmelt verify
  snowmelt verify -l group:web,!web003 --report junit=reports/snowmelt.xml

Ends with 1 when something has drifted or failed, with 3 when something could not be told.";

/// Compare every host with what its roles declare and its specs expect
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    set: Set,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    reports: Reports,
}

/// Verifies and reports.
pub(super) fn run(args: &Args, global: &Global, screen: &Screen) -> End {
    let asked = project::Asked { limit: &args.limit, set: &args.set, pace: &args.pace, narrow: None };
    let settings = project::settings(global, &asked, screen)?;
    output::prepare(&args.reports.report)?;
    let result = project::with_progress(&settings, screen, verbs::verify)?;
    let code = screen.deliver(&result, &args.reports.report, &screen.options);
    Ok(project::exit_code(&settings, code))
}
