//! `snowmelt apply`: bring about what is declared, after asking.

use std::io::BufRead as _;
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::{Global, Limit, Narrow, Pace, Reports, Set, Target};
use super::failure::Failure;
use super::output::{self, Screen};
use super::progress::Progress;
use super::{End, project};
use crate::report::{FORMATS, Options};
use crate::resource::result::{ResourceResult, RunResult, exit};
use crate::verbs;

const EXAMPLES: &str = "\
Examples:
  snowmelt apply -l web001.example.com
  snowmelt apply -l 'group:web,!web003*' --tags config
  snowmelt apply --yes --report junit=reports/snowmelt.xml";

/// Bring hosts into the declared state: show the plan, ask once, act, observe again
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
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Plans, asks, applies and reports.
pub(super) fn run(args: &Args, global: &Global, screen: &Screen) -> End {
    if !args.yes && !screen.can_ask {
        let hint = "standard input is no terminal: look at `snowmelt plan`, then give --yes";
        return Err(Failure::new("nobody can be asked whether to apply", hint));
    }
    let asked = project::Asked { limit: &args.limit, set: &args.set, pace: &args.pace, narrow: Some(&args.narrow) };
    let settings = project::settings(global, &asked)?;
    output::prepare(&args.reports.report)?;
    let progress = Progress::new(settings.hosts.len(), screen.shows_progress);
    let (was_shown, was_declined) = (AtomicBool::new(false), AtomicBool::new(false));
    let takes_stdout = args.reports.report.iter().any(|report| report.target == Target::Stdout);
    let confirm = |plan: &RunResult| {
        if args.yes {
            return true;
        }
        was_shown.store(true, Ordering::Relaxed);
        let agreed = progress.suspend(|| ask(plan, screen, takes_stdout));
        was_declined.store(!agreed, Ordering::Relaxed);
        agreed
    };
    let result = verbs::block_on(verbs::apply(&settings, &confirm, &progress));
    drop(progress);
    if was_declined.into_inner() {
        screen.print_error("nothing was changed\n");
        return Ok(result.exit_code());
    }
    // Who has just read the diffs in the plan does not need them again.
    let options = Options { no_diffs: was_shown.into_inner() && !screen.options.verbose, ..screen.options.clone() };
    let code = screen.deliver(&result, &args.reports.report, &options);
    Ok(if settings.interrupt.is_set() { exit::INTERRUPTED } else { code })
}

/// Shows the plan and waits for a yes.
fn ask(plan: &RunResult, screen: &Screen, takes_stdout: bool) -> bool {
    let shown = FORMATS[0].render(plan, &screen.options);
    let question = format!("\n{} [y/N] ", question(plan));
    if screen.stdout_is_terminal && !takes_stdout {
        screen.print(&shown);
        screen.print(&question);
    } else {
        screen.print_error(&shown);
        screen.print_error(&question);
    }
    let mut answer = String::new();
    // Who closes standard input has not agreed.
    std::io::stdin().lock().read_line(&mut answer).is_ok() && is_yes(&answer)
}

fn question(plan: &RunResult) -> String {
    let is_due = |resource: &ResourceResult| resource.verdict.is_wrong() && !resource.is_check;
    let due = plan.hosts.iter().filter(|host| host.resources.iter().any(is_due));
    let names: Vec<&str> = due.map(|host| host.host.as_str()).collect();
    match names.as_slice() {
        [one] => format!("apply to {}?", crate::base::clean::line(one)),
        several => format!("apply to {} hosts?", several.len()),
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(is_yes("y\n") && is_yes(" YES \n"));
        for no in ["", "\n", "n", "yy", "yes please", "ja"] {
            assert!(!is_yes(no), "{no}");
        }
    }
}
