//! The end of the text report: one line per host, and the totals.

use std::fmt::Write as _;
use std::time::Duration;

use indexmap::IndexMap;
use unicode_width::UnicodeWidthStr;

use super::super::{Options, groups};
use super::finding::word_of;
use super::paint::{Paint, Tone};
use crate::base::clean;
use crate::resource::result::{HostOutcome, HostResult, RunResult, Verb};

/// With more hosts than this, hosts whose lines are alike share one.
const HOSTS_SHOWN: usize = 20;

/// How many resources each word stands for, the most important word first.
type Counts = Vec<(&'static str, Tone, usize)>;

/// Every word a resource can be counted under, the worst first.
const ORDER: &[&str] = &[
    "failed",
    "drifted",
    "pending",
    "lost",
    "not reached",
    "left",
    "create",
    "change",
    "run",
    "remove",
    "unmet",
    "unknown",
    "undecided",
    "changed",
    "in sync",
    "not observable",
];

/// Writes the summary lines and the totals.
pub(super) fn write(out: &mut String, run: &RunResult, paint: &Paint, options: &Options) {
    if !options.quiet {
        write_hosts(out, run, paint);
    }
    write_totals(out, run, paint);
}

fn write_hosts(out: &mut String, run: &RunResult, paint: &Paint) {
    let mut lines: IndexMap<(&'static str, Counts, usize), Vec<usize>> = IndexMap::new();
    for (index, host) in run.hosts.iter().enumerate() {
        let distinct = if run.hosts.len() > HOSTS_SHOWN { 0 } else { index };
        lines.entry((status(run.verb, host).0, counts(run.verb, host), distinct)).or_default().push(index);
    }
    let named: Vec<(String, &Vec<usize>)> = lines
        .values()
        .map(|hosts| {
            let names: Vec<&str> = hosts.iter().map(|index| run.hosts[*index].host.as_str()).collect();
            (clean::line(&groups::hosts(&names)).into_owned(), hosts)
        })
        .collect();
    let names = named.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let words = run.hosts.iter().map(|host| status(run.verb, host).0.len()).max().unwrap_or(0);
    for (name, hosts) in named {
        let host = &run.hosts[hosts[0]];
        let (word, tone) = status(run.verb, host);
        let fill = names - name.width();
        let _ = write!(out, "{name}{:fill$}  {}", "", paint.tone(tone, &format!("{word:words$}")));
        let counted = describe(&counts(run.verb, host), run.verb, paint);
        if !counted.is_empty() {
            let _ = write!(out, "  {counted}");
        }
        let longest = hosts.iter().map(|index| run.hosts[*index].took).max().unwrap_or_default();
        let bound = if hosts.len() > 1 { "≤ " } else { "" };
        let _ = writeln!(out, "  {}", paint.dim(&format!("{bound}{}", seconds(longest))));
    }
}

fn write_totals(out: &mut String, run: &RunResult, paint: &Paint) {
    let mut hosts: Counts = Vec::new();
    let mut resources: Counts = Vec::new();
    for host in &run.hosts {
        let (word, tone) = status(run.verb, host);
        add(&mut hosts, word, tone, 1);
        for (word, tone, count) in counts(run.verb, host) {
            add(&mut resources, word, tone, count);
        }
    }
    sort(&mut resources);
    let total: usize = resources.iter().map(|(_, _, count)| count).sum();
    let parts: Vec<String> = hosts.iter().map(|part| counted(part, paint)).collect();
    let head = format!("{} ", run.verb.name());
    let _ = write!(out, "{}{}", paint.bold(&head), plural(run.hosts.len(), "host"));
    if !parts.is_empty() {
        let _ = write!(out, ": {}", parts.join(", "));
    }
    let took = paint.dim(&format!("in {}", seconds(run.took)));
    // With one host its own line has said it already.
    if run.hosts.len() > 1 && total > 0 {
        let counts = describe(&resources, run.verb, paint);
        let _ = writeln!(out, "\n{:indent$}{}: {counts} {took}", "", plural(total, "resource"), indent = head.len());
    } else {
        let _ = writeln!(out, " {took}");
    }
    if total == 0 {
        let nothing = "nothing was checked";
        let why = match run.hosts.iter().any(|host| host.outcome == HostOutcome::Judged) {
            true => "no role and no spec declares anything for these hosts",
            false if run.hosts.is_empty() => "the inventory has no hosts",
            false => "no host could be judged",
        };
        let _ = writeln!(out, "{}: {why}", paint.tone(Tone::Bad, nothing));
    }
}

/// The one word for a host: the worst that can be said about it.
fn status(verb: Verb, host: &HostResult) -> (&'static str, Tone) {
    match &host.outcome {
        HostOutcome::Unreachable(_) => return ("unreachable", Tone::Doubt),
        HostOutcome::Failed(_) => return ("failed", Tone::Bad),
        HostOutcome::NotStarted(_) => return ("not started", Tone::Doubt),
        HostOutcome::Judged => {}
    }
    let counts = counts(verb, host);
    let is_due = |(word, ..): &(&str, Tone, usize)| matches!(*word, "create" | "change" | "run" | "remove");
    if counts.iter().any(is_due) {
        // In a plan, what a spec misses now is no news while something is due.
        return ("due", Tone::Change);
    }
    match counts.first() {
        None => ("empty", Tone::Doubt),
        Some(("in sync" | "not observable", ..)) => ("ok", Tone::Good),
        Some(("not reached", ..)) => ("failed", Tone::Bad),
        Some((word, tone, _)) => (word, *tone),
    }
}

fn counts(verb: Verb, host: &HostResult) -> Counts {
    let mut counts = Counts::new();
    for resource in &host.resources {
        let (word, tone) = word_of(verb, resource);
        add(&mut counts, word, tone, 1);
    }
    sort(&mut counts);
    counts
}

fn add(counts: &mut Counts, word: &'static str, tone: Tone, more: usize) {
    match counts.iter_mut().find(|(known, _, _)| *known == word) {
        Some((_, _, count)) => *count += more,
        None => counts.push((word, tone, more)),
    }
}

fn sort(counts: &mut Counts) {
    counts.sort_by_key(|(word, _, _)| ORDER.iter().position(|known| known == word));
}

fn describe(counts: &Counts, verb: Verb, paint: &Paint) -> String {
    let part = |(word, tone, count): &(&'static str, Tone, usize)| match *word {
        "create" | "change" | "run" | "remove" if verb == Verb::Plan => {
            format!("{count} {}", paint.tone(*tone, &format!("to {word}")))
        }
        // What is fine needs no colour.
        "in sync" | "not observable" => format!("{count} {word}"),
        _ => counted(&(*word, *tone, *count), paint),
    };
    counts.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn counted((word, tone, count): &(&'static str, Tone, usize), paint: &Paint) -> String {
    format!("{count} {}", paint.tone(*tone, word))
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{:.1}s", time.as_secs_f64()),
        whole => format!("{}m{:02}s", whole / 60, whole % 60),
    }
}
