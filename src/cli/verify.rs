//! `snowmelt verify`: compare with what is declared, and with the specs.

use super::args::{Global, Limit, Pace, Reports, Set};
use super::output::{self, Screen};
use super::progress::Progress;
use super::{End, project};
use crate::resource::result::exit;
use crate::verbs;

/// Compare every host with what its roles declare and its specs expect
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  snowmelt verify\n  snowmelt verify -l group:web,!web003 --report junit=reports/snowmelt.xml\n\nEnds with 1 when something has drifted or failed, with 3 when something could not be told.")]
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
    let settings = project::settings(global, &asked)?;
    output::prepare(&args.reports.report)?;
    let progress = Progress::new(settings.hosts.len(), screen.shows_progress);
    let result = verbs::block_on(verbs::verify(&settings, &progress));
    drop(progress);
    let code = screen.deliver(&result, &args.reports.report, &screen.options);
    Ok(if settings.interrupt.is_set() { exit::INTERRUPTED } else { code })
}
