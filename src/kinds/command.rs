//! A command that is run when its guards say so; in a spec, a command whose answer is checked.
//!
//! # What it declares
//! In a role, something that shall have been done, and how to tell: the key is its name, `run` the shell text (the name, if
//! there is no `run`). At least one guard is needed, because a command without one can neither be verified nor be run without
//! harm every night: `creates` (a path that exists once it was done), `unless` (a command that succeeds when there is nothing
//! to do), `only_if` (a command that succeeds when there is), `on_change` (addresses or paths: run once for each of their
//! states). With several, all of them must allow it. `always: true` says out loud that it runs on every apply; it is never
//! verified.
//!
//! In a spec, the command itself is run, and what it answers is held against `exit_status`, `stdout` and `stderr`.
//!
//! # What is read
//! The guards, or the command of a spec: four at a time, each under its deadline, with nothing on standard input and at most
//! 256 KiB of output kept. They must only read. A guard answers in three ways: status 0 holds, 1 to 125 does not; 126, 127, a
//! signal or the deadline mean that it could not tell, and so do the statuses in `unknown_on`. What could not be told is
//! reported as unknown, and nothing is run for it.
//!
//! # What is changed
//! Whatever `run` does. The guards are asked once more right before it. It runs at most once in an apply, and the guards are
//! asked again afterwards: a command whose guard still says that it is due is reported as failed.
//!
//! # Example
//! ```yaml
//! - command: migrate the schema
//!   run: /opt/app/bin/migrate --yes
//!   unless: /opt/app/bin/migrate --is-current
//!   user: app
//! - command: newaliases
//!   on_change: [/etc/aliases]
//! ```
//! and in a spec
//! ```yaml
//! - command: nginx -t
//!   exit_status: 0
//! ```

use std::time::Duration;

use crate::base::clean;
use crate::base::quote;
use crate::base::value::Value;
use crate::resource::{
    Attribute, Due, Example, Guard, Identity, Kind, Mistake, Need, Observed, Probe, ProbeAnswer, ProbeEnd, Reading,
    Resource, Spoil, Step, Table, Type, Want, Work,
};

const RUN: Attribute = Attribute::setting("run", Type::Command, "The command, for `sh -c`. Default: the name.");
const CREATES: Attribute = Attribute::act("creates", Type::Path, "Run it only while this path does not exist.");
const UNLESS: Attribute = Attribute::act("unless", Type::Command, "Run it only while this command does not succeed.");
const ONLY_IF: Attribute = Attribute::act("only_if", Type::Command, "Run it only while this command succeeds.");
const ON_CHANGE: Attribute = Attribute::act(
    "on_change",
    Type::Watch,
    "Run it when one of these (addresses, or paths on the host) is not what it was when it last ran.",
);
const ALWAYS: Attribute =
    Attribute::act("always", Type::Bool, "Run it on every apply. It is then reported as not observable.");
const UNKNOWN_ON: Attribute = Attribute::act(
    "unknown_on",
    Type::List(&Type::Int),
    "Statuses by which a guard says that it could not tell, beside 126 and 127.",
);
const EXIT_STATUS: Attribute = Attribute::check("exit_status", Type::Int, "The status it must end with.");
const STDOUT: Attribute = Attribute::check("stdout", Type::Text, "What it must write to standard output.");
const STDERR: Attribute = Attribute::check("stderr", Type::Text, "What it must write to standard error.");
const USER: Attribute = Attribute::setting("user", Type::Text, "Whom it and its guards run as. Default: root.");
const CWD: Attribute = Attribute::setting("cwd", Type::Path, "Where it and its guards run. Default: `/`.");
const ENV: Attribute =
    Attribute::setting("env", Type::Map(&Type::Text), "Additional environment of it and its guards.");
const STDIN: Attribute = Attribute::setting("stdin", Type::Text, "What it reads. Default: nothing.");
const TIMEOUT: Attribute = Attribute::setting(
    "timeout",
    Type::Duration,
    "When it is ended. Default: 10m in a role, 30s in a spec; guards always have 30s.",
);

static TABLE: Table = Table {
    name: "command",
    summary: "a command under guards; in a spec, what a command answers",
    source: include_str!("command.rs"),
    identity: Identity {
        name: "name",
        ty: Type::Command,
        doc: "What it is called; also the command, where there is no `run`.",
    },
    in_roles: true,
    in_specs: true,
    has_state: false,
    attributes: &[
        RUN,
        CREATES,
        UNLESS,
        ONLY_IF,
        ON_CHANGE,
        ALWAYS,
        UNKNOWN_ON,
        EXIT_STATUS,
        STDOUT,
        STDERR,
        USER,
        CWD,
        ENV,
        STDIN,
        TIMEOUT,
    ],
    examples: &[Example {
        yaml: "- command: note the release\n  run: mkdir -p /srv/snowmelt-examples/command; echo 1.0 >/srv/snowmelt-examples/command/release\n  \
               unless: grep -qx 1.0 /srv/snowmelt-examples/command/release 2>/dev/null\n",
        spoils: &[Spoil {
            address: "command:note the release#state",
            spoil: "echo 0.9 >/srv/snowmelt-examples/command/release",
            oracle: "test \"$(cat /srv/snowmelt-examples/command/release)\" = 1.0",
        }],
    }],
};

/// The kind.
pub(super) struct Command;

impl Kind for Command {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mistake = |attribute, message: &str, hint: &str| {
            vec![Mistake { attribute, message: message.to_owned(), hint: Some(hint.to_owned()) }]
        };
        if resource.is_check {
            if resource.compared().next().is_none() {
                return mistake(
                    None,
                    "nothing is expected of this command",
                    "add `exit_status: 0`, or what `stdout` must be",
                );
            }
            return Vec::new();
        }
        let guarded =
            [&CREATES, &UNLESS, &ONLY_IF, &ON_CHANGE].into_iter().find(|guard| resource.want(guard).is_some());
        match (resource.truth(&ALWAYS) == Some(true), guarded) {
            (false, None) => mistake(
                None,
                "this command has no guard: nothing could tell whether it still has to be run",
                "add `creates`, `unless`, `only_if` or `on_change`; or say `always: true`",
            ),
            (true, Some(guard)) => mistake(
                Some(ALWAYS.name),
                &format!("`always` and `{}` contradict each other", guard.name),
                "leave one of them out",
            ),
            _ => Vec::new(),
        }
    }

    fn is_observable(&self, resource: &Resource) -> bool {
        resource.truth(&ALWAYS) != Some(true)
    }

    fn fragment(&self, batch: &[&Resource]) -> String {
        let paths: Vec<&str> = batch.iter().filter_map(|resource| resource.text(&CREATES)).collect();
        if paths.is_empty() {
            return String::new();
        }
        // Whether a path is not there can be told only where its folder may be searched.
        format!(
            "for path in {}; do\nif [ -e \"$path\" ] || [ -L \"$path\" ]; then echo there; continue; fi\nfolder=${{path%/*}}\n\
             while [ -n \"$folder\" ] && [ ! -e \"$folder\" ]; do folder=${{folder%/*}}; done\n\
             if [ -x \"${{folder:-/}}\" ]; then echo gone; else echo hidden; fi\ndone",
            quote::words(paths)
        )
    }

    fn probes(&self, resource: &Resource) -> Vec<Probe> {
        if resource.is_check {
            return vec![Probe { timeout: timeout(resource, 30), ..run(resource) }];
        }
        [&UNLESS, &ONLY_IF].into_iter().filter_map(|guard| guard_probe(resource, guard)).collect()
    }

    fn unknown_statuses(&self, resource: &Resource) -> Vec<u8> {
        let statuses = resource.value(&UNKNOWN_ON).and_then(Value::as_list).unwrap_or_default();
        statuses.iter().filter_map(Value::as_int).filter_map(|status| u8::try_from(status).ok()).collect()
    }

    fn read(&self, batch: &[&Resource], answer: &[u8], probes: &[Vec<ProbeAnswer>]) -> Vec<Observed> {
        let text = clean::utf8(answer);
        let mut paths = text.lines();
        let mut read_one = |resource: &&Resource, answers: &Vec<ProbeAnswer>| {
            let path = resource.text(&CREATES).map(|_| paths.next().unwrap_or_default().to_owned());
            if resource.is_check { checked(resource, answers) } else { guarded(resource, path.as_deref(), answers) }
        };
        batch.iter().zip(probes).map(|(resource, answers)| read_one(resource, answers)).collect()
    }

    fn steps(&self, due: &[Due<'_>]) -> Vec<Step> {
        let step = |(item, due): (usize, &Due<'_>)| {
            let resource = due.resource;
            let mut guards = Vec::new();
            guards.extend(resource.text(&CREATES).map(|path| Guard::Creates(path.to_owned())));
            guards.extend(guard_probe(resource, &UNLESS).map(Guard::Unless));
            guards.extend(guard_probe(resource, &ONLY_IF).map(Guard::OnlyIf));
            guards.extend(resource.want(&ON_CHANGE).map(|_| Guard::OnChange));
            let run = Probe { timeout: timeout(resource, 600), ..run(resource) };
            Step { items: vec![item], title: format!("run {}", resource.identity()), work: Work::Run { run, guards } }
        };
        due.iter().enumerate().map(step).collect()
    }

    /// A command may bring about anything.
    fn provides(&self, _resource: &Resource, _need: &Need) -> bool {
        true
    }
}

fn run(resource: &Resource) -> Probe {
    let text = |attribute: &Attribute| resource.text(attribute).map(str::to_owned);
    let env = match resource.value(&ENV) {
        Some(Value::Map(map)) => map.iter().map(|(name, value)| (name.clone(), value.to_string())).collect(),
        _ => Vec::new(),
    };
    Probe {
        command: text(&RUN).unwrap_or_else(|| resource.head.clone()),
        user: text(&USER),
        cwd: text(&CWD),
        env,
        stdin: text(&STDIN).map(String::into_bytes),
        timeout: timeout(resource, 30),
    }
}

/// A guard runs where and as whom its command runs, but reads nothing and has its own deadline.
fn guard_probe(resource: &Resource, guard: &Attribute) -> Option<Probe> {
    let command = resource.text(guard)?.to_owned();
    Some(Probe { command, stdin: None, timeout: Duration::from_secs(30), ..run(resource) })
}

fn timeout(resource: &Resource, default: u64) -> Duration {
    let seconds = resource.int(&TIMEOUT).and_then(|seconds| u64::try_from(seconds).ok());
    Duration::from_secs(seconds.unwrap_or(default).max(1))
}

/// Whether there is something to do: one guard that says no decides; else one that could not tell does.
fn guarded(resource: &Resource, path: Option<&str>, answers: &[ProbeAnswer]) -> Observed {
    let unknown_on = Command.unknown_statuses(resource);
    let mut unknown = None;
    let mut allows = |allowed: Result<bool, String>| match allowed {
        Ok(allowed) => allowed,
        Err(why) => {
            unknown.get_or_insert(why);
            true
        }
    };
    let by_path = match path {
        None | Some("gone") => true,
        Some("there") => false,
        Some(_) => allows(Err("`creates`: permission denied".to_owned())),
    };
    let mut answers = answers.iter();
    let mut ask = |guard: &Attribute, wanted: bool| match resource.text(guard).and_then(|_| answers.next()) {
        None => true,
        Some(answer) => allows(
            holds(answer, &unknown_on).map(|holds| holds == wanted).map_err(|why| format!("`{}` {why}", guard.name)),
        ),
    };
    let (by_unless, by_only_if) = (ask(&UNLESS, false), ask(&ONLY_IF, true));
    match unknown {
        _ if !(by_path && by_unless && by_only_if) => Observed::present([]),
        Some(why) => Observed::unknown(why),
        None => Observed::absent(),
    }
}

/// A guard is three-valued.
fn holds(answer: &ProbeAnswer, unknown_on: &[u8]) -> Result<bool, String> {
    let said = clean::utf8(&answer.stderr);
    let said = said.trim();
    let said = if said.is_empty() { String::new() } else { format!(": {}", clean::shorten(said, 200)) };
    match &answer.end {
        ProbeEnd::Exit(0) => Ok(true),
        ProbeEnd::Exit(126 | 127) => Err(format!("could not be run{said}")),
        ProbeEnd::Exit(status) if unknown_on.contains(status) => Err(format!("could not tell (status {status}){said}")),
        ProbeEnd::Exit(_) => Ok(false),
        ProbeEnd::Signal(signal) => Err(format!("was ended by signal {signal}{said}")),
        ProbeEnd::Deadline => Err("was ended at its deadline".to_owned()),
        ProbeEnd::NotRun(why) => Err(format!("was not run: {why}")),
    }
}

/// What the command of a spec answered.
fn checked(resource: &Resource, answers: &[ProbeAnswer]) -> Observed {
    let Some(answer) = answers.first() else { return Observed::unknown("it was not run") };
    let status = match &answer.end {
        ProbeEnd::Exit(status) => i64::from(*status),
        ProbeEnd::Signal(signal) => 128 + i64::from(*signal),
        ProbeEnd::Deadline => return Observed::unknown("it was ended at its deadline"),
        ProbeEnd::NotRun(why) => return Observed::unknown(format!("it was not run: {why}")),
    };
    let is_expected =
        matches!(resource.want(&EXIT_STATUS), Some(Want::Exactly(Value::Int(wanted))) if *wanted == status);
    if matches!(answer.end, ProbeEnd::Exit(126 | 127)) && !is_expected {
        let said = clean::utf8(&answer.stderr);
        return Observed::unknown(format!("it could not be run: {}", clean::shorten(said.trim(), 200)));
    }
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Reading::Is(Value::from(text)),
        Err(_) => Reading::Unknown("it is not UTF-8 text".to_owned()),
    };
    Observed::present([
        (EXIT_STATUS.name, Reading::Is(Value::Int(status))),
        (STDOUT.name, text(&answer.stdout)),
        (STDERR.name, text(&answer.stderr)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Existence;
    use crate::resource::testing::resource;

    fn answer(end: ProbeEnd) -> ProbeAnswer {
        ProbeAnswer { end, stdout: b"out\n".to_vec(), stderr: b"err\n".to_vec(), truncated: false }
    }

    fn command(values: &[(&'static str, Value)]) -> Resource {
        resource(&Command, "do it", values)
    }

    fn existence(resource: &Resource, path: &str, ends: &[ProbeEnd]) -> Existence {
        let answers = ends.iter().cloned().map(answer).collect();
        Command.read(&[resource], path.as_bytes(), &[answers]).remove(0).existence
    }

    #[test]
    fn a_guard_answers_in_three_ways() {
        let unless = command(&[("unless", "x".into()), ("unknown_on", Value::List(vec![Value::Int(3)]))]);
        for (end, expected) in [
            (ProbeEnd::Exit(0), Ok(true)),
            (ProbeEnd::Exit(1), Ok(false)),
            (ProbeEnd::Exit(125), Ok(false)),
            (ProbeEnd::Exit(126), Err(())),
            (ProbeEnd::Exit(127), Err(())),
            (ProbeEnd::Exit(3), Err(())),
            (ProbeEnd::Signal(11), Err(())),
            (ProbeEnd::Deadline, Err(())),
            (ProbeEnd::NotRun("x".into()), Err(())),
        ] {
            let found = existence(&unless, "", std::slice::from_ref(&end));
            match expected {
                Ok(true) => assert_eq!(found, Existence::Present, "{end:?}"),
                Ok(false) => assert_eq!(found, Existence::Absent, "{end:?}"),
                Err(()) => assert!(matches!(found, Existence::Unknown(_)), "{end:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn all_guards_must_allow_it_and_a_no_decides() {
        let all = command(&[("creates", "/x".into()), ("unless", "u".into()), ("only_if", "o".into())]);
        let (yes, no, lost) = (ProbeEnd::Exit(0), ProbeEnd::Exit(1), ProbeEnd::Deadline);
        assert_eq!(existence(&all, "gone\n", &[no.clone(), yes.clone()]), Existence::Absent);
        assert_eq!(existence(&all, "there\n", &[no.clone(), yes.clone()]), Existence::Present);
        assert_eq!(existence(&all, "gone\n", &[yes.clone(), lost.clone()]), Existence::Present);
        assert_eq!(existence(&all, "gone\n", &[lost.clone(), no.clone()]), Existence::Present);
        assert!(matches!(existence(&all, "gone\n", &[lost, yes.clone()]), Existence::Unknown(_)));
        assert!(matches!(existence(&all, "hidden\n", &[no, yes]), Existence::Unknown(_)));
    }

    #[test]
    fn a_command_without_a_guard_is_a_mistake() {
        assert_eq!(command(&[]).kind.mistakes(&command(&[])).len(), 1);
        assert!(Command.mistakes(&command(&[("always", true.into())])).is_empty());
        assert_eq!(Command.mistakes(&command(&[("always", true.into()), ("unless", "x".into())])).len(), 1);
        let check = Resource { is_check: true, ..command(&[]) };
        assert_eq!(Command.mistakes(&check).len(), 1);
    }

    #[test]
    fn a_check_reads_what_was_answered() {
        let check = Resource { is_check: true, ..command(&[("exit_status", Value::Int(0))]) };
        let read = |check: &Resource, end| Command.read(&[check], b"", &[vec![answer(end)]]).remove(0);
        let read_status = |end| read(&check, end).reading("exit_status").cloned();
        assert_eq!(read_status(ProbeEnd::Exit(2)), Some(Reading::Is(Value::Int(2))));
        assert_eq!(read_status(ProbeEnd::Signal(11)), Some(Reading::Is(Value::Int(139))));
        assert_eq!(read(&check, ProbeEnd::Exit(0)).reading("stdout"), Some(&Reading::Is("out\n".into())));
        assert!(matches!(read(&check, ProbeEnd::Exit(127)).existence, Existence::Unknown(_)));
        assert!(matches!(read(&check, ProbeEnd::Deadline).existence, Existence::Unknown(_)));
        let missing = Resource { is_check: true, ..command(&[("exit_status", Value::Int(127))]) };
        assert_eq!(read(&missing, ProbeEnd::Exit(127)).reading("exit_status"), Some(&Reading::Is(Value::Int(127))));
    }

    #[test]
    fn every_shell_sees_the_same_paths() {
        let there = command(&[("creates", "/etc/passwd".into())]);
        let gone = command(&[("creates", "/nonexistent dir/$(id)".into())]);
        let fragment = Command.fragment(&[&there, &gone]);
        for shell in ["dash", "bash", "busybox"] {
            let mut run = std::process::Command::new(shell);
            if shell == "busybox" {
                run.arg("sh");
            }
            let out = run.arg("-c").arg(&fragment).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&out.stdout), "there\ngone\n", "{shell}");
        }
    }
}
