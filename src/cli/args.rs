//! Arguments that several verbs share, each written once.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::base::nearest;
use crate::report;

/// How many hosts are worked on at a time, unless told otherwise.
pub(super) const PARALLEL: usize = 25;
/// How long one host may take, unless told otherwise.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3600);

/// What every verb takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(super) struct Global {
    /// The project's folder [default: the nearest one above with a snowmelt.yml]
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) project: Option<PathBuf>,
    /// A private key (of age or SSH) that decrypts secrets, instead of the usual ones (repeatable)
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) identity: Vec<PathBuf>,
    /// When to use colour: auto, always, never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub(super) color: Color,
    /// Show only what is not as it should be, and the totals
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Show everything; twice: log what is done (-vvv: in detail)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

/// When to use colour: on a terminal unless the environment forbids it, always, never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    // Not documented one by one: that would turn every page of help into the long form.
    Auto,
    Always,
    Never,
}

/// Which hosts, and how they are reached.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Hosts")]
pub(super) struct Limit {
    /// Only these hosts: names, globs, group:NAME, role:NAME; `!` excludes (repeatable, or separated by commas)
    #[arg(short, long, value_name = "HOSTS", value_delimiter = ',')]
    pub(super) limit: Vec<String>,
    /// Connection settings for this run, nearer than the inventory's: user=root,become=false (repeatable)
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub(super) connect: Vec<String>,
}

/// Values from the command line.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Hosts")]
pub(super) struct Set {
    /// A value of a parameter, nearer than any other; YAML (repeatable)
    #[arg(long, value_name = "ROLE.PARAM=VALUE")]
    pub(super) set: Vec<String>,
}

/// How many hosts at a time, and for how long.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hosts")]
pub(super) struct Pace {
    /// How many hosts are worked on at a time
    #[arg(long, value_name = "N", default_value_t = PARALLEL as u16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) parallel: u16,
    /// How long one host may take (90s, 10m, 1h)
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    pub(super) timeout: Duration,
}

/// Which resources; narrows acting, never observing.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "What to act on")]
pub(super) struct Narrow {
    /// Act only on what has one of these tags
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    pub(super) tags: Vec<String>,
    /// Act only on this resource: role/kind:identity (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    pub(super) only: Vec<String>,
    /// Restart this service, although it was stale before this run (repeatable)
    #[arg(long, value_name = "ADDRESS")]
    pub(super) restart: Vec<String>,
    /// Go on although the host was last applied from a newer or unknown commit
    #[arg(long)]
    pub(super) older: bool,
}

/// Where results go.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Results")]
pub(super) struct Reports {
    /// Write a report: text, json, junit; DIR/ writes one file per host; `-` is standard output (repeatable)
    #[arg(long, value_name = "FORMAT[=FILE]", value_parser = parse_report)]
    pub(super) report: Vec<Report>,
}

/// One `--report`.
#[derive(Clone)]
pub(super) struct Report {
    /// The format.
    pub(super) format: &'static report::Format,
    /// Where it goes.
    pub(super) target: Target,
}

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Standard output.
    Stdout,
    /// This file.
    File(PathBuf),
    /// This folder, one file per host.
    Folder(PathBuf),
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={:?}", self.format.name, self.target)
    }
}

fn parse_report(text: &str) -> Result<Report, String> {
    let (name, target) = match text.split_once('=') {
        None | Some((_, "-")) => (text.strip_suffix("=-").unwrap_or(text), Target::Stdout),
        Some((_, "")) => return Err("the file's name is missing after `=`".to_owned()),
        Some((name, folder)) if folder.ends_with('/') => (name, Target::Folder(PathBuf::from(folder))),
        Some((name, file)) => (name, Target::File(PathBuf::from(file))),
    };
    let Some(format) = report::find(name) else {
        let hint = nearest::hint(name, report::FORMATS.iter().map(|format| format.name)).unwrap_or_default();
        return Err(format!("unknown format `{name}`: {hint}"));
    };
    Ok(Report { format, target })
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and s, m or h: 90s, 10m, 1h".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    match number.checked_mul(seconds) {
        Some(total @ 1..=604_800) => Ok(Duration::from_secs(total)),
        _ => Err("it must be at least a second and at most a week".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_format_and_a_place() {
        let target = |text: &str| parse_report(text).map(|report| (report.format.name, report.target));
        assert_eq!(target("junit"), Ok(("junit", Target::Stdout)));
        assert_eq!(target("json=-"), Ok(("json", Target::Stdout)));
        assert_eq!(target("junit=a/b.xml"), Ok(("junit", Target::File("a/b.xml".into()))));
        assert_eq!(target("junit=a/"), Ok(("junit", Target::Folder("a/".into()))));
        assert_eq!(target("json=a=b"), Ok(("json", Target::File("a=b".into()))));
        assert_eq!(target("junt=x").unwrap_err(), "unknown format `junt`: did you mean `junit`?");
        assert!(target("junit=").is_err() && target("").is_err() && target("=x").is_err());
    }

    #[test]
    fn durations_have_a_unit_and_bounds() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in
            ["", "5", "s", "-5s", "0s", "8d", "1.5h", "99999999999999999999h", "18446744073709551615h", "5µ", "é"]
        {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
