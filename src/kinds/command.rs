//! A command: run when its guards say that it is due, or, in a spec, run to see what it answers.
//!
//! # What it declares
//! The kind's key is a name for people and addresses; `run` is what is run, by `sh -c` (without `run`, the name is). In a role at
//! least one guard says when it is due: `creates` (a path that it makes), `unless` (a command that succeeds when it need not run), `only_if` (a
//! command that must succeed), `on_change` (it runs once for each change of what it watches, remembered on the host). Several
//! guards must all allow it. `always: true` runs it on every apply, and says so: it cannot be observed.
//!
//! A guard has three answers: exit status 0 holds, 1 to 125 does not, and 126, 127, a signal or its deadline of 30 seconds could
//! not tell; `unknown_on` adds statuses that mean the same.
//!
//! In a spec the command itself is the question: `exit_status`, `stdout` and `stderr` are what it must answer. A line end at the
//! end of its output need not be written.
//!
//! # What is read
//! `creates` is looked at; the guards (in a spec: the command) are run, as `user`, in `cwd`, with `env` and `stdin`. **So they must
//! not change anything.** A command that is not found is unknown, unless `exit_status: 127` is asked for.
//!
//! # What is changed
//! What the command changes. Its guards are asked once more right before. It is killed at its `timeout`, and runs at most once in an
//! apply.
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

use std::time::Duration;

use crate::base::clean;
use crate::base::quote;
use crate::base::value::Value;
use crate::resource::login;
use crate::resource::{
    Answer, Attribute, Due, Example, Existence, Guard, Identity, Kind, Mistake, Need, Observed, Probe, ProbeAnswer,
    ProbeEnd, Reading, Resource, Spoil, Step, Table, Type, Want, Work,
};

const RUN: Attribute = Attribute::setting("run", Type::Command, "What is run, by `sh -c`. Default: the name.");
const CREATES: Attribute = Attribute::act("creates", Type::Path, "It is due while this path does not exist.");
const UNLESS: Attribute = Attribute::act("unless", Type::Command, "It is due while this command fails.");
const ONLY_IF: Attribute = Attribute::act("only_if", Type::Command, "It is due only while this command succeeds.");
const ON_CHANGE: Attribute = Attribute::act(
    "on_change",
    Type::Watch,
    "It is due when one of these (paths on the host, addresses of resources) is not what it was when the command last succeeded.",
);
const ALWAYS: Attribute = Attribute::act("always", Type::Bool, "It runs on every apply; nothing can be verified.");
const UNKNOWN_ON: Attribute = Attribute::act(
    "unknown_on",
    Type::List(&Type::Int),
    "Exit statuses by which a guard says that it could not tell, beside 126 and 127.",
);
const USER: Attribute =
    Attribute::setting("user", Type::Text, "Whom it and its guards run as. Default: the acting user.");
const CWD: Attribute = Attribute::setting("cwd", Type::Path, "Where it and its guards run. Default: `/`.");
const ENV: Attribute = Attribute::setting("env", Type::Map(&Type::Text), "What is added to their environment.");
const STDIN: Attribute =
    Attribute::setting("stdin", Type::Text, "What it reads; may be a secret. Default: nothing.").secret();
const TIMEOUT: Attribute =
    Attribute::setting("timeout", Type::Duration, "When it is killed. Default: 10m in a role, 30s in a spec.");
const EXIT_STATUS: Attribute = Attribute::check("exit_status", Type::Int, "The status it ends with.");
const STDOUT: Attribute = Attribute::check("stdout", Type::Text, "What it prints, at most 256 KiB.").secret();
const STDERR: Attribute =
    Attribute::check("stderr", Type::Text, "What it writes to standard error, at most 16 KiB.").secret();

static TABLE: Table = Table {
    name: "command",
    summary: "a command under its guards, or what a command answers",
    source: include_str!("command.rs"),
    identity: Identity { name: "name", ty: Type::Command, doc: "What it is called; without `run` also what is run." },
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
        USER,
        CWD,
        ENV,
        STDIN,
        TIMEOUT,
        EXIT_STATUS,
        STDOUT,
        STDERR,
    ],
    examples: &[
        Example {
            yaml: "- command: make the marker\n  run: mkdir -p /srv/snowmelt-examples/command && echo made >/srv/snowmelt-examples/command/marker\n  \
                   creates: /srv/snowmelt-examples/command/marker\n",
            spoils: &[Spoil {
                address: "command:make the marker#state",
                spoil: "rm /srv/snowmelt-examples/command/marker",
                oracle: "grep -qx made /srv/snowmelt-examples/command/marker",
            }],
        },
        Example {
            yaml: "- command: count to three\n  run: mkdir -p /srv/snowmelt-examples/command && seq 3 >/srv/snowmelt-examples/command/numbers\n  \
                   unless: test \"$(wc -l </srv/snowmelt-examples/command/numbers)\" = 3\n",
            spoils: &[Spoil {
                address: "command:count to three#state",
                spoil: "echo 4 >>/srv/snowmelt-examples/command/numbers",
                oracle: "test \"$(tail -n 1 /srv/snowmelt-examples/command/numbers)\" = 3",
            }],
        },
    ],
};

/// The kind `command`.
pub(super) struct Command;

impl Kind for Command {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut add = |attribute: Option<&Attribute>, message: &str, hint: &str| {
            let (message, hint) = (message.to_owned(), Some(hint.to_owned()));
            mistakes.push(Mistake { attribute: attribute.map(|a| a.name), message, hint });
        };
        let has = |attribute: &Attribute| resource.want(attribute).is_some();
        if let Some(Value::Map(env)) = resource.value(&ENV) {
            for name in env.keys().filter(|name| !is_variable(name)) {
                add(
                    Some(&ENV),
                    &format!("`{name}` is no name of a variable"),
                    "letters, digits and `_`, not beginning with a digit",
                );
            }
        }
        if resource.is_check {
            if resource.compared().next().is_none() {
                add(None, "this asks nothing of the command", "add `exit_status: 0`, or what `stdout` must be");
            }
            return mistakes;
        }
        let guarded = [&CREATES, &UNLESS, &ONLY_IF, &ON_CHANGE].into_iter().find(|attribute| has(attribute));
        match (guarded, resource.truth(&ALWAYS)) {
            (None, Some(true)) => {}
            (Some(_), Some(true)) => {
                add(Some(&ALWAYS), "a command with a guard does not always run", "leave out `always`, or the guards");
            }
            (None, _) => add(
                None,
                "nothing says when this command is due",
                "add `creates`, `unless`, `only_if` or `on_change`; or say `always: true` to run it on every apply",
            ),
            (Some(_), _) => {}
        }
        if has(&UNKNOWN_ON) && !has(&UNLESS) && !has(&ONLY_IF) {
            add(
                Some(&UNKNOWN_ON),
                "there is no guard that could say so",
                "`unknown_on` is about `unless` and `only_if`",
            );
        }
        if statuses(resource).iter().any(|status| !(1..=255).contains(status)) {
            add(Some(&UNKNOWN_ON), "an exit status is a number from 1 to 255", "0 means that the guard holds");
        }
        if resource.int(&TIMEOUT).is_some_and(|seconds| seconds < 1) {
            add(Some(&TIMEOUT), "the deadline is before the start", "write `10s`, `5m` or `1h`");
        }
        mistakes
    }

    fn is_observable(&self, resource: &Resource) -> bool {
        resource.truth(&ALWAYS) != Some(true)
    }

    fn fragment(&self, batch: &[&Resource]) -> String {
        let paths: Vec<&str> = batch.iter().filter_map(|resource| resource.text(&CREATES)).collect();
        if paths.is_empty() {
            return String::new();
        }
        format!("{EXISTS}for path in {}; do exists \"$path\"; done\n", quote::words(paths))
    }

    fn probes(&self, resource: &Resource) -> Vec<Probe> {
        if resource.is_check {
            return vec![run(resource)];
        }
        [&UNLESS, &ONLY_IF].iter().filter_map(|attribute| guard(resource, attribute)).collect()
    }

    fn unknown_statuses(&self, resource: &Resource) -> Vec<u8> {
        statuses(resource).into_iter().filter_map(|status| u8::try_from(status).ok()).collect()
    }

    fn read(&self, batch: &[&Resource], answer: &Answer<'_>) -> Vec<Observed> {
        let mut created = answer.text.split(|byte| *byte == b'\n');
        let none = Vec::new();
        let one = |(at, resource): (usize, &&Resource)| {
            let probes = answer.probes.get(at).unwrap_or(&none);
            if resource.is_check {
                return probes.first().map_or_else(not_run, |probe| answered(resource, probe));
            }
            let created = resource.text(&CREATES).map(|path| match created.next() {
                Some(b"yes") => Told::No,
                Some(b"no") => Told::Yes,
                Some(b"denied") => Told::Unknown(format!("whether {path} exists: permission denied")),
                _ => Told::Unknown(format!("whether {path} exists was not answered")),
            });
            due(resource, created, probes)
        };
        batch.iter().enumerate().map(one).collect()
    }

    fn steps(&self, due: &[Due<'_>]) -> Vec<Step> {
        let step = |(at, one): (usize, &Due<'_>)| {
            let resource = one.resource;
            let guards = [
                resource.text(&CREATES).map(|path| Guard::Creates(path.to_owned())),
                guard(resource, &UNLESS).map(Guard::Unless),
                guard(resource, &ONLY_IF).map(Guard::OnlyIf),
                resource.want(&ON_CHANGE).map(|_| Guard::OnChange),
            ];
            let work = Work::Run { run: run(resource), guards: guards.into_iter().flatten().collect() };
            Step { items: vec![at], title: format!("run {}", resource.identity()), work }
        };
        due.iter().enumerate().map(step).collect()
    }

    fn may_lock_out(&self, resource: &Resource, user: &str) -> bool {
        let words = run(resource).command;
        let mut words = words.split(|c: char| c.is_whitespace() || ";&|()`$'\"<>=".contains(c));
        words.any(|word| {
            let is_path = word.len() > 1 && word.starts_with('/');
            WAYS_IN.contains(&word.rsplit('/').next().unwrap_or(word)) || (is_path && login::decides(word, user))
        })
    }

    fn provides(&self, resource: &Resource, need: &Need) -> bool {
        let created = resource.text(&CREATES);
        match need {
            // What it leaves behind is not known; what it is said to create is.
            Need::File(path) | Need::Parent(path) => {
                created.is_none_or(|made| made == path || made.starts_with(&format!("{path}/")))
            }
            Need::Tool(_) | Need::Unit(_) | Need::User(_) | Need::Group(_) => true,
        }
    }
}

/// Programs that change who gets in, and from where.
const WAYS_IN: &[&str] = &[
    "nft",
    "iptables",
    "ip6tables",
    "iptables-restore",
    "ip6tables-restore",
    "ufw",
    "firewall-cmd",
    "ip",
    "ifconfig",
    "route",
    "ifup",
    "ifdown",
    "netplan",
    "nmcli",
    "networkctl",
    "pam-auth-update",
    "authselect",
];

/// Whether a path is there, also as a dangling link; a folder that may not be searched is no "no".
const EXISTS: &str = r#"exists() {
	if [ -e "$1" ] || [ -L "$1" ]; then echo yes; return; fi
	folder=${1%/*}
	while [ -n "$folder" ] && [ ! -e "$folder" ]; do folder=${folder%/*}; done
	if [ -d "${folder:-/}" ] && [ ! -x "${folder:-/}" ]; then echo denied; else echo no; fi
}
"#;

/// Whether a guard allows the command.
enum Told {
    Yes,
    No,
    Unready(Need),
    Unknown(String),
}

/// What the guards come to: one that forbids decides, then one that could not tell. `Existence::Present` is "nothing to do".
/// Whether what it watches changed is found by the engine, which remembers: it narrows what is due here.
fn due(resource: &Resource, created: Option<Told>, probes: &[ProbeAnswer]) -> Observed {
    let mut answers = probes.iter();
    let unless = guard(resource, &UNLESS).map(|probe| match holds(resource, &probe, answers.next()) {
        Told::Yes => Told::No,
        Told::No => Told::Yes,
        other => other,
    });
    let only_if = guard(resource, &ONLY_IF).map(|probe| holds(resource, &probe, answers.next()));
    let told: Vec<Told> = [created, unless, only_if].into_iter().flatten().collect();
    let forbidden = told.iter().any(|told| matches!(told, Told::No));
    let untold = told.into_iter().find_map(|told| match told {
        Told::Unready(need) => Some(Existence::Unready(need)),
        Told::Unknown(why) => Some(Existence::Unknown(why)),
        Told::Yes | Told::No => None,
    });
    let existence = match untold {
        _ if forbidden => Existence::Present,
        Some(untold) => untold,
        None => Existence::Absent,
    };
    Observed { existence, ..Observed::present([]) }
}

/// Whether a guard's command holds.
fn holds(resource: &Resource, probe: &Probe, answer: Option<&ProbeAnswer>) -> Told {
    let Some(answer) = answer else { return Told::Unknown("its guard was not run".to_owned()) };
    let shown = clean::shorten(&probe.command, 60);
    match &answer.end {
        ProbeEnd::Exit(0) => Told::Yes,
        ProbeEnd::Exit(127) => Told::Unready(Need::Tool(missing_tool(&probe.command, &answer.stderr))),
        ProbeEnd::Exit(126) => Told::Unknown(format!("its guard `{shown}` cannot be executed")),
        ProbeEnd::Exit(status) if statuses(resource).contains(&i64::from(*status)) => {
            Told::Unknown(format!("its guard `{shown}` ended with {status}, which means that it could not tell"))
        }
        ProbeEnd::Exit(_) => Told::No,
        end => Told::Unknown(format!("its guard `{shown}` {}", ended(end, probe.timeout))),
    }
}

/// The program that a shell says it did not find, else the first word of the command.
fn missing_tool(command: &str, stderr: &[u8]) -> String {
    let said = clean::utf8(stderr);
    let named = said.lines().find_map(|line| {
        let head = line.strip_suffix(": not found").or_else(|| line.strip_suffix(": command not found"))?;
        let head = head.strip_suffix(": No such file or directory").unwrap_or(head);
        head.rsplit(": ").next()
    });
    let tool = named.or_else(|| command.split_whitespace().next()).unwrap_or(command);
    clean::shorten(tool, 100).into_owned()
}

fn ended(end: &ProbeEnd, timeout: Duration) -> String {
    match end {
        ProbeEnd::Exit(status) => format!("ended with {status}"),
        ProbeEnd::Signal(signal) => format!("was killed by signal {signal}"),
        ProbeEnd::Deadline => format!("did not end within {}s", timeout.as_secs()),
        ProbeEnd::NotRun(why) => format!("was not run: {why}"),
    }
}

fn not_run() -> Observed {
    Observed::unknown("the command was not run")
}

/// What a spec's command answered.
fn answered(resource: &Resource, answer: &ProbeAnswer) -> Observed {
    let asked = resource.int(&EXIT_STATUS);
    let command = run(resource);
    match &answer.end {
        ProbeEnd::Exit(status) if asked == Some(i64::from(*status)) || !matches!(status, 126 | 127) => {
            let output = |attribute: &Attribute, bytes: &[u8]| {
                if answer.truncated {
                    return Reading::Unknown("it printed more than is kept".to_owned());
                }
                let text = clean::utf8(bytes);
                // Nobody writes the line end that every output ends with.
                let bare = resource.text(attribute).is_some_and(|wanted| !wanted.ends_with('\n'));
                Reading::Is(text.strip_suffix('\n').filter(|_| bare).unwrap_or(&text).into())
            };
            Observed::present([
                (EXIT_STATUS.name, Reading::Is(i64::from(*status).into())),
                (STDOUT.name, output(&STDOUT, &answer.stdout)),
                (STDERR.name, output(&STDERR, &answer.stderr)),
            ])
        }
        ProbeEnd::Exit(127) => Observed::unready(Need::Tool(missing_tool(&command.command, &answer.stderr))),
        ProbeEnd::Exit(126) => Observed::unknown("it cannot be executed"),
        end => Observed::unknown(format!("it {}", ended(end, command.timeout))),
    }
}

/// The command itself.
fn run(resource: &Resource) -> Probe {
    let command = revealed(resource, &RUN).unwrap_or_else(|| resource.head.clone());
    let default = if resource.is_check { 30 } else { 600 };
    let seconds = resource.int(&TIMEOUT).and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(default);
    let stdin = revealed(resource, &STDIN).map(String::into_bytes);
    Probe { stdin, timeout: Duration::from_secs(seconds), ..probe(resource, command) }
}

/// One of its guards: as the same user, in the same place, without input.
fn guard(resource: &Resource, attribute: &Attribute) -> Option<Probe> {
    revealed(resource, attribute).map(|command| probe(resource, command))
}

fn probe(resource: &Resource, command: String) -> Probe {
    let env = match resource.value(&ENV) {
        Some(Value::Map(map)) => map.iter().map(|(name, value)| (name.clone(), bare(value))).collect(),
        _ => Vec::new(),
    };
    let owned = |attribute: &Attribute| resource.text(attribute).map(str::to_owned);
    Probe { user: owned(&USER), cwd: owned(&CWD), env, ..Probe::new(command) }
}

fn revealed(resource: &Resource, attribute: &Attribute) -> Option<String> {
    match resource.want(attribute)? {
        Want::Exactly(value) => Some(bare(value)),
        _ => None,
    }
}

/// A value as the command sees it, a secret too.
fn bare(value: &Value) -> String {
    match value {
        Value::Secret(secret) => secret.expose().to_owned(),
        other => other.to_string(),
    }
}

/// What a shell takes for the name of a variable.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn statuses(resource: &Resource) -> Vec<i64> {
    let items = resource.value(&UNKNOWN_ON).and_then(Value::as_list).unwrap_or_default();
    items.iter().filter_map(Value::as_int).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing::{check, everywhere, resource, said, steps};

    fn command(values: &[(&'static str, Value)]) -> Resource {
        resource(&Command, "make it so", values)
    }

    fn answer(end: ProbeEnd, stdout: &str, stderr: &str) -> ProbeAnswer {
        ProbeAnswer { end, stdout: stdout.into(), stderr: stderr.into(), truncated: false }
    }

    fn exit(status: u8) -> ProbeAnswer {
        answer(ProbeEnd::Exit(status), "", "")
    }

    fn existence(resource: &Resource, created: &str, probes: &[ProbeAnswer]) -> Existence {
        let answer = Answer { probes: &[probes.to_vec()], ..said(created.as_bytes()) };
        Command.read(&[resource], &answer).remove(0).existence
    }

    #[test]
    fn a_guard_has_three_answers() {
        let unless = command(&[("unless", "test -e x".into()), ("unknown_on", [4_i64].into_iter().collect())]);
        let only_if = command(&[("only_if", "test -e x".into())]);
        let unknown = |existence: &Existence| matches!(existence, Existence::Unknown(_));
        assert_eq!(existence(&unless, "", &[exit(0)]), Existence::Present);
        assert_eq!(existence(&unless, "", &[exit(1)]), Existence::Absent);
        assert_eq!(existence(&unless, "", &[exit(125)]), Existence::Absent);
        assert_eq!(existence(&only_if, "", &[exit(0)]), Existence::Absent);
        assert_eq!(existence(&only_if, "", &[exit(1)]), Existence::Present);
        for end in [
            ProbeEnd::Exit(126),
            ProbeEnd::Exit(4),
            ProbeEnd::Signal(9),
            ProbeEnd::Deadline,
            ProbeEnd::NotRun("no".into()),
        ] {
            assert!(unknown(&existence(&unless, "", &[answer(end.clone(), "", "")])), "{end:?}");
        }
        assert!(unknown(&existence(&unless, "", &[])));
        assert_eq!(existence(&only_if, "", &[exit(4)]), Existence::Present);
    }

    #[test]
    fn a_guard_that_is_not_there_yet_names_what_it_needs() {
        let guarded = command(&[("unless", "/opt/app/bin/migrate --is-current".into())]);
        for (stderr, tool) in [
            ("sh: 1: psql: not found\n", "psql"),
            ("bash: line 1: psql: command not found\n", "psql"),
            ("sh: psql: not found\n", "psql"),
            ("sh: 1: /opt/x: not found\n", "/opt/x"),
            ("", "/opt/app/bin/migrate"),
        ] {
            let found = existence(&guarded, "", &[answer(ProbeEnd::Exit(127), "", stderr)]);
            assert_eq!(found, Existence::Unready(Need::Tool(tool.into())), "{stderr}");
        }
    }

    #[test]
    fn all_guards_must_allow_it_and_one_that_forbids_decides() {
        let all = command(&[("creates", "/x".into()), ("unless", "a".into()), ("only_if", "b".into())]);
        assert_eq!(existence(&all, "no\n", &[exit(1), exit(0)]), Existence::Absent);
        assert_eq!(existence(&all, "yes\n", &[exit(1), exit(0)]), Existence::Present);
        assert_eq!(existence(&all, "no\n", &[exit(0), exit(0)]), Existence::Present);
        assert_eq!(existence(&all, "no\n", &[exit(126), exit(1)]), Existence::Present);
        assert!(matches!(existence(&all, "no\n", &[exit(126), exit(0)]), Existence::Unknown(_)));
        assert!(matches!(existence(&all, "denied\n", &[exit(1), exit(0)]), Existence::Unknown(_)));
        assert!(matches!(existence(&all, "", &[exit(1), exit(0)]), Existence::Unknown(_)));
        let watching = command(&[("on_change", ["/etc/aliases"].into_iter().collect())]);
        assert_eq!(existence(&watching, "", &[]), Existence::Absent);
    }

    #[test]
    fn every_shell_sees_whether_a_path_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(at("$(id) 'x"), "").unwrap();
        std::os::unix::fs::symlink("/nowhere", at("-dangling")).unwrap();
        let paths = [at("$(id) 'x"), at("-dangling"), at("none"), at("none/below/it"), "/none".to_owned()];
        let resources: Vec<Resource> = paths.iter().map(|path| command(&[("creates", path.as_str().into())])).collect();
        let batch: Vec<&Resource> = resources.iter().collect();
        for (shell, answer) in everywhere(&Command.fragment(&batch)) {
            let observed = Command.read(&batch, &said(&answer));
            let found: Vec<bool> = observed.iter().map(|one| one.existence == Existence::Present).collect();
            assert_eq!(found, [true, true, false, false, false], "{shell}");
        }
    }

    #[test]
    fn a_spec_runs_the_command_and_reads_its_answer() {
        let asks = |values: &[(&'static str, Value)]| check(resource(&Command, "nginx -t", values));
        let zero = asks(&[("exit_status", 0.into()), ("stdout", "ok".into()), ("stderr", "two\nlines\n".into())]);
        assert_eq!(Command.probes(&zero), [Probe::new("nginx -t")]);
        let read = |resource: &Resource, answer: ProbeAnswer| {
            Command.read(&[resource], &Answer { probes: &[vec![answer]], ..said(b"") }).remove(0)
        };
        let observed = read(&zero, answer(ProbeEnd::Exit(3), "ok\n", "two\nlines\n"));
        assert_eq!(observed.reading("exit_status"), Some(&Reading::Is(3.into())));
        assert_eq!(observed.reading("stdout"), Some(&Reading::Is("ok".into())));
        assert_eq!(observed.reading("stderr"), Some(&Reading::Is("two\nlines\n".into())));
        let cut = ProbeAnswer { truncated: true, ..exit(0) };
        assert!(matches!(read(&zero, cut).reading("stdout"), Some(Reading::Unknown(_))));
        let missing = answer(ProbeEnd::Exit(127), "", "sh: 1: nginx: not found");
        assert_eq!(read(&zero, missing.clone()).existence, Existence::Unready(Need::Tool("nginx".into())));
        assert!(matches!(read(&zero, answer(ProbeEnd::Deadline, "", "")).existence, Existence::Unknown(_)));
        let gone = asks(&[("exit_status", 127.into())]);
        assert_eq!(read(&gone, missing).reading("exit_status"), Some(&Reading::Is(127.into())));
    }

    #[test]
    fn how_it_is_run() {
        let env = Value::Map(
            [("TOKEN".to_owned(), Value::Secret(crate::base::secret::Secret::new("s/x", "hunter2".into())))]
                .into_iter()
                .collect(),
        );
        let all = command(&[
            ("run", "do it".into()),
            ("unless", "is it".into()),
            ("user", "app".into()),
            ("cwd", "/srv".into()),
            ("env", env),
            ("stdin", "in".into()),
            ("timeout", 5.into()),
        ]);
        let steps = steps(&all, &Observed::absent());
        let Work::Run { run, guards } = &steps[0].work else { panic!("{steps:?}") };
        let env = vec![("TOKEN".to_owned(), "hunter2".to_owned())];
        let guard = Probe { user: Some("app".into()), cwd: Some("/srv".into()), env, ..Probe::new("is it") };
        let expected = Probe {
            command: "do it".into(),
            stdin: Some(b"in".to_vec()),
            timeout: Duration::from_secs(5),
            ..guard.clone()
        };
        assert_eq!((run, guards.as_slice()), (&expected, [Guard::Unless(guard)].as_slice()));
        assert_eq!(steps[0].title, "run make it so");
    }

    #[test]
    fn an_unguarded_command_is_a_mistake() {
        let mistakes = |values: &[(&'static str, Value)]| Command.mistakes(&command(values)).len();
        assert_eq!(mistakes(&[]), 1);
        assert_eq!(mistakes(&[("always", false.into())]), 1);
        assert_eq!(mistakes(&[("always", true.into())]), 0);
        assert_eq!(mistakes(&[("always", true.into()), ("creates", "/x".into())]), 1);
        assert_eq!(mistakes(&[("unless", "x".into())]), 0);
        assert_eq!(mistakes(&[("creates", "/x".into()), ("unknown_on", [3_i64].into_iter().collect())]), 1);
        assert_eq!(mistakes(&[("unless", "x".into()), ("unknown_on", [0_i64].into_iter().collect())]), 1);
        assert_eq!(mistakes(&[("unless", "x".into()), ("timeout", 0.into())]), 1);
        let env = Value::Map([("A;rm".to_owned(), Value::from("x"))].into_iter().collect());
        assert_eq!(mistakes(&[("unless", "x".into()), ("env", env)]), 1);
        assert_eq!(Command.mistakes(&check(command(&[]))).len(), 1);
        assert!(Command.is_observable(&command(&[])) && !Command.is_observable(&command(&[("always", true.into())])));
    }
}
