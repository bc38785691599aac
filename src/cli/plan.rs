//! `snowmelt plan`: what apply would do.

use super::args::{Global, Limit, Narrow, Pace, Reports, Set};
use super::output::{self, Screen};
use super::{End, project};
use crate::verbs;

const EXAMPLES: &str = "\
Examples:
  snowmelt plan
  snowmelt plan -l web001.example.com --only nginx/file:/etc/nginx/nginx.conf
  snowmelt plan --set nginx.workers=8

Ends with 1 when something is due.";

/// Show what apply would do, with diffs; nothing is changed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    narrow: Narrow,
    #[command(flatten)]
    set: Set,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    reports: Reports,
}

/// Plans and reports.
pub(super) fn run(args: &Args, global: &Global, screen: &Screen) -> End {
    let asked = project::Asked { limit: &args.limit, set: &args.set, pace: &args.pace, narrow: Some(&args.narrow) };
    let settings = project::settings(global, &asked, screen)?;
    output::prepare(&args.reports.report)?;
    let result = project::with_progress(&settings, screen, verbs::plan)?;
    let code = screen.deliver(&result, &args.reports.report, &screen.options);
    Ok(project::exit_code(&settings, code))
}
