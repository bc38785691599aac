//! What hosts answered to one command, as text for people: equal answers once, under the names of all who gave them.

use std::fmt::Write as _;

use indexmap::IndexMap;

use super::text::{Paint, Tone};
use super::{Options, groups};
use crate::base::clean;
use crate::resource::result::Trouble;

/// One host's answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its name.
    pub host: &'a str,
    /// What the command did, or why it could not be run.
    pub end: Result<Ended<'a>, &'a Trouble>,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ended<'a> {
    /// Its exit status.
    pub status: u32,
    /// What it wrote to standard output.
    pub stdout: &'a [u8],
    /// What it wrote to standard error.
    pub stderr: &'a [u8],
}

/// Renders the answers of all hosts, in the order of the hosts that gave them first.
pub fn render(answers: &[Answer<'_>], options: &Options) -> String {
    let paint = Paint { color: options.color };
    let mut groups: IndexMap<String, Vec<&str>> = IndexMap::new();
    for answer in answers {
        groups.entry(body(answer, &paint)).or_default().push(answer.host);
    }
    let mut out = String::new();
    for (body, hosts) in &groups {
        let _ = writeln!(out, "{}", paint.bold(&clean::line(&groups::hosts(hosts))));
        out.push_str(body);
        out.push('\n');
    }
    let failed = answers.iter().filter(|answer| matches!(answer.end, Ok(ended) if ended.status != 0)).count();
    let unreached = answers.iter().filter(|answer| answer.end.is_err()).count();
    let mut parts = vec![format!("{} {}", answers.len() - failed - unreached, paint.tone(Tone::Good, "ok"))];
    if failed > 0 {
        parts.push(format!("{failed} {}", paint.tone(Tone::Bad, "failed")));
    }
    if unreached > 0 {
        parts.push(format!("{unreached} {}", paint.tone(Tone::Doubt, "without an answer")));
    }
    let noun = if answers.len() == 1 { "host" } else { "hosts" };
    let _ = writeln!(out, "{} {} {noun}: {}", paint.bold("run"), answers.len(), parts.join(", "));
    if options.ci { super::text::without_commands(&out) } else { out }
}

fn body(answer: &Answer<'_>, paint: &Paint) -> String {
    let mut out = String::new();
    match answer.end {
        Ok(ended) => {
            for line in clean::lines(&clean::utf8(ended.stdout)).lines() {
                let _ = writeln!(out, "  {line}");
            }
            for line in clean::lines(&clean::utf8(ended.stderr)).lines() {
                let _ = writeln!(out, "  {} {line}", paint.dim("stderr:"));
            }
            if ended.status != 0 {
                let _ = writeln!(out, "  {}", paint.tone(Tone::Bad, &format!("exit status {}", ended.status)));
            } else if out.is_empty() {
                let _ = writeln!(out, "  {}", paint.dim("no output"));
            }
        }
        Err(trouble) => {
            let told = format!("{}: {}", clean::line(&trouble.phase), clean::line(&trouble.message));
            let _ = writeln!(out, "  {}", paint.tone(Tone::Doubt, &told));
            if let Some(hint) = &trouble.hint {
                let _ = writeln!(out, "  {} {}", paint.dim("="), clean::line(hint));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_answers_are_shown_once() {
        let up = Ended { status: 0, stdout: b"up 3 days\n", stderr: b"" };
        let bad = Ended { status: 127, stdout: b"", stderr: b"sh: \x1b[1mnope: not found\n" };
        let trouble = Trouble { phase: "connect".into(), message: "timed out".into(), hint: None };
        let answers = [
            Answer { host: "web1", end: Ok(up) },
            Answer { host: "web2", end: Ok(bad) },
            Answer { host: "web3", end: Ok(up) },
            Answer { host: "web4", end: Err(&trouble) },
        ];
        let shown = render(&answers, &Options::default());
        assert_eq!(
            shown,
            "web1, web3 (2 hosts)\n  up 3 days\n\nweb2\n  stderr: sh: \\x1b[1mnope: not found\n  exit status 127\n\n\
             web4\n  connect: timed out\n\nrun 4 hosts: 2 ok, 1 failed, 1 without an answer\n"
        );
    }
}
