//! `snowmelt apply`: bring about what is declared, after asking.

use std::sync::Arc;

use super::args::{Global, Limit, Narrow, Pace, Reports, Set, Target};
use super::failure::Failure;
use super::output::{self, Screen};
use super::{End, project};
use crate::report::FORMATS;
use crate::resource::result::{Action, HostResult, ResourceResult, RunResult, Verdict, exit};
use crate::verbs::{self, Confirmed};

const EXAMPLES: &str = "\
Examples:
  snowmelt apply -l web001.example.com
  snowmelt apply -l 'group:web,!web003*' --tags config
  snowmelt apply --yes --report junit=reports/snowmelt.xml";

/// Bring hosts into the declared state: show the plan, ask once, act, observe again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
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

/// Plans, asks, applies and reports.
pub(super) fn run(args: &Args, global: &Global, screen: &Screen) -> End {
    if !args.yes && !screen.can_ask {
        let hint = "standard input is no terminal: look at `snowmelt plan`, then give --yes";
        return Err(Failure::new("nobody can be asked whether to apply", hint));
    }
    let asked = project::Asked { limit: &args.limit, set: &args.set, pace: &args.pace, narrow: Some(&args.narrow) };
    let mut settings = project::settings(global, &asked, screen)?;
    output::prepare(&args.reports.report)?;
    let mut options = screen.options.clone();
    if !args.yes {
        let plan = project::with_progress(&settings, screen, verbs::plan)?;
        if settings.interrupt.level() > 0 {
            return Ok(exit::INTERRUPTED);
        }
        if is_anything_due(&plan) {
            let takes_stdout = args.reports.report.iter().any(|report| report.target == Target::Stdout);
            show(&plan, screen, takes_stdout);
            match screen.person.agrees(&question(&plan))? {
                Some(true) => {}
                agreed => {
                    screen.print_error("nothing was changed\n");
                    return Ok(if agreed.is_none() { exit::INTERRUPTED } else { plan.exit_code() });
                }
            }
            // Who has just read the diffs does not need them again.
            options.no_diffs = !options.verbose;
        }
        settings.confirmed = Some(Arc::new(shown(&plan)));
    }
    let result = project::with_progress(&settings, screen, verbs::apply)?;
    let code = screen.deliver(&result, &args.reports.report, &options);
    Ok(project::exit_code(&settings, code))
}

/// Shows the plan that is asked about.
fn show(plan: &RunResult, screen: &Screen, takes_stdout: bool) {
    let text = format!("{}\n", FORMATS[0].render(&screen.redacted(plan), &screen.options));
    if screen.stdout_is_terminal && !takes_stdout {
        screen.print(&text);
    } else {
        screen.print_error(&text);
    }
}

/// What the plan said would, or might, be done, and what it found there.
fn shown(plan: &RunResult) -> Confirmed {
    let may_act = |resource: &&Arc<ResourceResult>| {
        let is_open = matches!(resource.verdict, Verdict::Undecided { .. } | Verdict::NotObservable);
        !resource.is_check && (resource.verdict.is_wrong() || is_open)
    };
    let addresses = |host: &HostResult| {
        host.resources.iter().filter(may_act).map(|one| (one.address.to_string(), one.found)).collect()
    };
    plan.hosts.iter().map(|host| (host.host.clone(), addresses(host))).collect()
}

/// What apply would, or might, change: nobody is asked about what it leaves, and what always runs.
fn is_due(resource: &ResourceResult) -> bool {
    let is_open = matches!(resource.verdict, Verdict::Undecided { .. });
    !resource.is_check && resource.action == Action::None && (resource.verdict.is_wrong() || is_open)
}

fn is_anything_due(plan: &RunResult) -> bool {
    plan.hosts.iter().any(|host| host.resources.iter().any(|resource| is_due(resource)))
}

fn question(plan: &RunResult) -> String {
    let due = plan.hosts.iter().filter(|host| host.resources.iter().any(|resource| is_due(resource)));
    let names: Vec<&str> = due.map(|host| host.host.as_str()).collect();
    match names.as_slice() {
        [one] => format!("apply to {}?", crate::base::clean::line(one)),
        several => format!("apply to {} hosts?", several.len()),
    }
}
