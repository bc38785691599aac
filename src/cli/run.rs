//! `snowmelt run`: one command on several hosts.

use super::args::{Global, Limit, Pace};
use super::output::Screen;
use super::{End, project};
use crate::base::{clean, quote};
use crate::report::answers::{self, Answer, Ended};
use crate::resource::result::exit;
use crate::verbs;

const EXAMPLES: &str = "\
Examples:
  snowmelt run -l web -- uptime
  snowmelt run -l 'role:nginx' -- sh -c 'nginx -v 2>&1 | head -1'

Each word behind -- reaches the command as one word, whatever is in it.";

/// Run a command on hosts; equal answers are shown once
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    pace: Pace,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command and shows what came of it.
pub(super) fn run(args: &Args, global: &Global, screen: &Screen) -> End {
    let set = super::args::Set::default();
    let asked = project::Asked { limit: &args.limit, set: &set, pace: &args.pace, narrow: None };
    let settings = project::settings(global, &asked, screen)?;
    let command = quote::words(&args.command);
    let result = project::with_progress(&settings, screen, async |settings, events| {
        verbs::run(settings, &command, events).await
    })?;
    let answers: Vec<Answer<'_>> = result
        .hosts
        .iter()
        .map(|(host, end)| Answer {
            host,
            end: end.as_ref().map(|end| Ended { status: end.status, stdout: &end.stdout, stderr: &end.stderr }),
        })
        .collect();
    screen.print(&answers::render(&answers, &screen.options));
    if let Some(hint) = hint(&args.command, &answers) {
        screen.print_error(&hint);
    }
    Ok(project::exit_code(&settings, code(&answers)))
}

/// Whoever quotes a whole line of shell has it taken for the name of one program.
fn hint(command: &[String], answers: &[Answer<'_>]) -> Option<String> {
    let [line] = command else { return None };
    let is_shell = line.contains(|c: char| c.is_whitespace() || "|;&<>$`*?".contains(c));
    let is_missing = |answer: &Answer<'_>| matches!(answer.end, Ok(ended) if ended.status == 127);
    (is_shell && answers.iter().any(is_missing)).then(|| {
        format!(
            "hint: {0} was taken for the name of one program; a line of shell is run by\n      snowmelt run -- sh -c {0}\n",
            quote::always(&clean::line(line))
        )
    })
}

fn code(answers: &[Answer<'_>]) -> u8 {
    if answers.iter().any(|answer| matches!(answer.end, Ok(ended) if ended.status != 0)) {
        exit::WRONG
    } else if answers.is_empty() || answers.iter().any(|answer| answer.end.is_err()) {
        exit::UNKNOWN
    } else {
        exit::FINE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::result::Trouble;

    #[test]
    fn a_line_of_shell_in_one_word_is_noticed() {
        let ended = |status| Answer { host: "a", end: Ok(Ended { status, stdout: b"", stderr: b"" }) };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let hint = |command: &[&str], status| hint(&words(command), &[ended(0), ended(status)]);
        assert!(hint(&["ls | wc -l"], 127).unwrap().contains("sh -c 'ls | wc -l'"));
        assert_eq!(hint(&["ls | wc -l"], 1), None, "there is such a program");
        assert_eq!(hint(&["nope"], 127), None);
        assert_eq!(hint(&["nope", "a b"], 127), None);
    }

    #[test]
    fn a_failure_wins_over_a_host_without_an_answer() {
        let trouble = Trouble { phase: "connect".into(), message: "timed out".into(), hint: None };
        let ended = |status| Answer { host: "a", end: Ok(Ended { status, stdout: b"", stderr: b"" }) };
        let silent = Answer { host: "b", end: Err(&trouble) };
        assert_eq!(code(&[ended(0)]), exit::FINE);
        assert_eq!(code(&[ended(0), silent]), exit::UNKNOWN);
        assert_eq!(code(&[silent, ended(1)]), exit::WRONG);
        assert_eq!(code(&[]), exit::UNKNOWN);
    }
}
