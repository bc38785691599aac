//! The report for people: what is not as it should be, worst first, then one line per host, then the totals.
//!
//! What is as declared is folded away. What several hosts have in common is said once, under all their names.

mod finding;
mod paint;
mod summary;

use std::fmt::Write as _;

use indexmap::IndexMap;
use unicode_width::UnicodeWidthStr;

use super::{Options, groups};
use crate::base::clean;
use crate::resource::result::RunResult;
use finding::{Finding, Remark};
pub(super) use paint::{Paint, Tone};

/// How many lines of one diff or output are shown unless everything was asked for.
const LINES_SHOWN: usize = 60;

/// Renders a run.
pub(super) fn render(run: &RunResult, options: &Options) -> String {
    let paint = Paint { color: options.color };
    let mut out = String::new();
    for section in sections(run, options) {
        let names: Vec<&str> = section.hosts.iter().map(|host| run.hosts[*host].host.as_str()).collect();
        let _ = writeln!(out, "{}", paint.bold(&clean::line(&groups::hosts(&names))));
        let column = section.findings.iter().map(|finding| finding.word.len()).max().unwrap_or(0);
        for finding in &section.findings {
            write_finding(&mut out, finding, column, &paint, options);
        }
        out.push('\n');
    }
    summary::write(&mut out, run, &paint, options);
    if options.ci { without_commands(&out) } else { out }
}

/// Findings that the same hosts share.
struct Section {
    hosts: Vec<usize>,
    findings: Vec<Finding>,
}

/// Everything there is to say, said once for all hosts it holds for; the worst first.
fn sections(run: &RunResult, options: &Options) -> Vec<Section> {
    let mut hosts_of: IndexMap<Finding, Vec<usize>> = IndexMap::new();
    for (index, host) in run.hosts.iter().enumerate() {
        for finding in finding::of_host(run.verb, host, options) {
            let hosts = hosts_of.entry(finding).or_default();
            if hosts.last() != Some(&index) {
                hosts.push(index);
            }
        }
    }
    let mut by_hosts: IndexMap<Vec<usize>, Vec<Finding>> = IndexMap::new();
    for (finding, hosts) in hosts_of {
        by_hosts.entry(hosts).or_default().push(finding);
    }
    let sections = by_hosts.into_iter().map(|(hosts, mut findings)| {
        findings.sort_by_key(|finding| finding.rank);
        Section { hosts, findings }
    });
    let mut sections: Vec<Section> = sections.collect();
    sections.sort_by_key(|section| {
        (section.findings.iter().map(|finding| finding.rank).min(), section.hosts.first().copied())
    });
    sections
}

fn write_finding(out: &mut String, finding: &Finding, column: usize, paint: &Paint, options: &Options) {
    let mut head = format!("  {}  ", paint.tone(finding.tone, &format!("{:column$}", finding.word)));
    let mut used = column + 4;
    for part in [&finding.what, &finding.inline] {
        let separate = if used > column + 4 { "  " } else { "" };
        if part.is_empty() {
            continue;
        }
        // What does not fit goes to a line of its own, below what it is about.
        if !separate.is_empty() && used + 2 + part.width() > options.width {
            let _ = write!(head, "\n{:indent$}", "", indent = column + 6);
            used = column + 6;
        } else {
            head.push_str(separate);
            used += separate.len();
        }
        head.push_str(part);
        used += part.width();
    }
    if let Some(place) = &finding.place {
        if used + 2 + place.width() > options.width {
            let _ = write!(head, "\n{:indent$}{}", "", paint.dim(place), indent = column + 6);
        } else {
            let _ = write!(head, "  {}", paint.dim(place));
        }
    }
    let _ = writeln!(out, "{head}");
    let names = finding.remarks.iter().filter_map(|remark| match remark {
        Remark::Attribute { name, .. } => Some(name.width()),
        _ => None,
    });
    let names = names.max().unwrap_or(0);
    for remark in &finding.remarks {
        write_remark(out, remark, column + 6, names, paint, options);
    }
}

fn write_remark(out: &mut String, remark: &Remark, indent: usize, names: usize, paint: &Paint, options: &Options) {
    match remark {
        Remark::Attribute { name, text } => {
            let fill = names.saturating_sub(name.width());
            let _ = writeln!(out, "{:indent$}{name}{:fill$}  {text}", "", "");
        }
        Remark::Hint(text) => {
            let _ = writeln!(out, "{:indent$}{} {text}", "", paint.dim("="));
        }
        Remark::Diff(text) => {
            for line in folded(text, options) {
                let shown = match line.bytes().next() {
                    Some(b'+') => paint.tone(Tone::Good, &line),
                    Some(b'-') => paint.tone(Tone::Bad, &line),
                    Some(b'@') => paint.dim(&line),
                    _ => line,
                };
                let _ = writeln!(out, "{:indent$}  {shown}", "");
            }
        }
        Remark::Output(text) => {
            for line in folded(text, options) {
                let _ = writeln!(out, "{:indent$}{} {line}", "", paint.dim("|"));
            }
        }
    }
}

/// The lines of a text, the rest of a very long one as a line that says how many there are.
fn folded(text: &str, options: &Options) -> Vec<String> {
    let count = text.lines().count();
    let limit = if options.verbose || count <= LINES_SHOWN + 1 { count } else { LINES_SHOWN };
    let mut lines: Vec<String> = text.lines().take(limit).map(|line| line.trim_end().to_owned()).collect();
    if count > limit {
        lines.push(format!("… {} more lines (-v shows them)", count - limit));
    }
    lines
}

/// Takes the meaning from lines that CI systems read as commands: `::name::` at the front of a line (GitHub), `##[…]`,
/// `##vso[…]` and `##teamcity[…]` anywhere in one.
pub(super) fn without_commands(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let rest = line.trim_start();
        let (indent, rest) = line.split_at(line.len() - rest.len());
        out.push_str(indent);
        let rest = match rest.strip_prefix("::") {
            Some(command) => format!("\\x3a:{command}"),
            None => rest.to_owned(),
        };
        let tame = ["##[", "##vso[", "##teamcity["]
            .iter()
            .fold(rest, |rest, command| rest.replace(command, &command.replace("##", "#\\x23")));
        out.push_str(&tame);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::sample;
    use super::*;
    use crate::resource::result::{Action, Verb};

    fn shown(run: &RunResult) -> String {
        render(run, &Options::default())
    }

    /// Compares with a file in `fixtures/reports`; `SNOWMELT_BLESS=1` writes it.
    fn golden(name: &str, got: &str) {
        super::super::sample::golden(name, got);
    }

    #[test]
    fn the_reports_of_every_verb_look_like_this() {
        golden("verify.txt", &shown(&sample::every_verdict()));
        golden("plan.txt", &shown(&sample::plan()));
        golden("apply.txt", &shown(&sample::applied()));
        golden("forty.txt", &shown(&sample::forty_alike()));
        golden("verify-color.txt", &render(&sample::every_verdict(), &Options { color: true, ..Options::default() }));
    }

    #[test]
    fn what_hosts_share_is_said_once() {
        let text = shown(&sample::forty_alike());
        assert_eq!(text.matches("worker_processes auto").count(), 1, "{text}");
        assert!(text.contains("(40 hosts)"), "{text}");
        assert!(text.contains("(39 hosts)"), "the summary groups hosts that are alike: {text}");
    }

    #[test]
    fn nothing_a_host_says_commands_the_terminal_or_the_ci_system() {
        let options = Options { ci: true, ..Options::default() };
        let text = render(&sample::hostile(), &options);
        for line in text.lines() {
            assert!(!line.trim_start().starts_with("::"), "{line}");
            assert!(!line.contains("##["), "{line}");
            assert!(!line.contains('\u{1b}'), "{line}");
        }
        assert!(text.contains("\\x3a:error::owned"), "still readable: {text}");
    }

    #[test]
    fn a_title_keeps_what_it_says_beyond_the_address() {
        let mut run = sample::applied();
        Arc::make_mut(&mut run.hosts[1].resources[0]).action =
            Action::Changed { title: "install nginx /etc/nginx/nginx.conf".into() };
        assert!(shown(&run).contains("nginx.conf  install nginx /etc/nginx/nginx.conf\n"), "{}", shown(&run));
    }

    #[test]
    fn a_failed_check_in_a_plan_says_what_was_expected_and_is_no_step() {
        let mut run = sample::every_verdict();
        run.verb = Verb::Plan;
        let text = shown(&run);
        assert!(text.contains("unmet      nginx/port:80/tcp [high]  listening expected true, found false"), "{text}");
        assert!(text.contains("web001.example.com  due "), "{text}");
    }

    #[test]
    fn a_plan_says_what_is_in_the_way() {
        let mut run = sample::plan();
        let created = run.hosts.iter_mut().flat_map(|host| &mut host.resources).find_map(|resource| {
            let state = Arc::make_mut(resource).attributes.iter_mut().find(|attribute| attribute.name == "state")?;
            (state.want == "present" && state.got == "absent").then(|| state.got = "a directory".into())
        });
        assert!(created.is_some(), "something is created: {}", shown(&sample::plan()));
        let (before, after) = (shown(&sample::plan()), shown(&run));
        assert!(!before.contains("in the place of") && after.contains("  in the place of a directory"), "{after}");
        assert!(before.matches("  create ").count() == after.matches("  create ").count() + 1, "{after}");
    }

    #[test]
    fn a_run_that_checked_nothing_says_so() {
        assert!(shown(&sample::nothing()).contains("nothing was checked"));
    }

    #[test]
    fn a_long_diff_is_folded_unless_all_is_wanted() {
        let mut run = sample::forty_alike();
        let long: String = (0..200).map(|n| format!("+line {n}\n")).collect();
        Arc::make_mut(&mut run.hosts[0].resources[1]).attributes[2].diff = Some(long);
        assert!(shown(&run).contains("… 140 more lines"));
        assert!(render(&run, &Options { verbose: true, ..Options::default() }).contains("+line 199"));
    }

    #[test]
    fn quiet_leaves_what_is_wrong_and_the_totals() {
        let text = render(&sample::every_verdict(), &Options { quiet: true, ..Options::default() });
        assert!(text.contains("drifted") && text.contains("unreachable"));
        assert!(!text.contains("an earlier run by alice"));
    }
}
