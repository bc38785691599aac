//! `snowmelt plan`: what apply would do.

use super::args::{Global, Limit, Narrow, Pace, Reports, Set};
use super::output::{self, Screen};
use super::progress::Progress;
use super::{End, project};
use crate::resource::result::exit;
use crate::verbs;

/// Show what apply would do, with diffs; nothing is changed
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  snowmelt plan\n  snowmelt plan -l web001.example.com --only nginx/file:/etc/nginx/nginx.conf\n  snowmelt plan --set nginx.workers=8\n\nEnds with 1 when something is due.")]
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
    let settings = project::settings(global, &asked)?;
    output::prepare(&args.reports.report)?;
    let progress = Progress::new(settings.hosts.len(), screen.shows_progress);
    let result = verbs::block_on(verbs::plan(&settings, &progress));
    drop(progress);
    let code = screen.deliver(&result, &args.reports.report, &screen.options);
    Ok(if settings.interrupt.is_set() { exit::INTERRUPTED } else { code })
}
