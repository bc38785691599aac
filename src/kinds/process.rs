//! Processes of one name: whether any run, how many, as whom, with which arguments. For specs.
//!
//! # What it declares
//! The name of a program, as `ps -C` and `pgrep -x` know it: `nginx`, `sshd`. The kernel keeps 15 bytes of a name; a longer
//! one must also be in the command line, as a program or a script. Where the name says too little (`python3`), `pattern` is a regular expression that the command line must
//! match, and the kind's key is only what the check is called.
//!
//! `args` is the command lines, one line each, equal ones once, arguments separated by spaces: `args: {contains: "-o ro"}` and
//! `args: {matches: "^/usr/sbin/x -o ro$"}` hold if one of them is such. `user` is the effective one.
//!
//! # What is read
//! `/proc/*/status`, and `/proc/*/cmdline` if it is needed, once for all processes. Threads of the kernel and dead processes that nobody
//! has waited for do not count, nor does what belongs to snowmelt itself: its shells and what they wait for, their sudo. The sshd
//! of our connection counts, and so does a daemon that a step of `apply` left running. Processes of containers count: the host
//! runs them.
//!
//! # What is changed
//! Nothing: processes are only checked.
//!
//! # Example
//! ```yaml
//! - process: nginx
//!   running: true
//!   count: {at_least: 2}
//!   user: [root, www-data]
//! - process: the queue worker
//!   pattern: "python3 .*/worker\\.py"
//!   running: true
//! - process: telnetd
//!   running: false
//! ```

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::base::clean;
use crate::base::value::Value;
use crate::resource::{
    Answer, Attribute, Compare, Example, Identity, Kind, Mistake, Observed, Reading, Resource, Spoil, Table, Type,
};

const RUNNING: Attribute = Attribute::check("running", Type::Bool, "Whether there is at least one.");
const COUNT: Attribute = Attribute::check("count", Type::Int, "How many there are.");
const USER: Attribute =
    Attribute::check("user", Type::List(&Type::Text), "All users as whom they run, by name or number, in any order.")
        .compared(Compare::SameItems);
const ARGS: Attribute = Attribute::check("args", Type::Text, "Their command lines, a line each, equal ones once.");
const PATTERN: Attribute = Attribute::setting(
    "pattern",
    Type::Text,
    "A regular expression that the command line must match. The name is then not looked at.",
);

static TABLE: Table = Table {
    name: "process",
    summary: "running processes of one name",
    source: include_str!("process.rs"),
    identity: Identity {
        name: "name",
        ty: Type::Text,
        doc: "The program's name; with `pattern`, what the check is called.",
    },
    in_roles: false,
    in_specs: true,
    has_state: false,
    attributes: &[RUNNING, COUNT, USER, ARGS, PATTERN],
    examples: &[
        Example { yaml: "- process: sshd\n  running: true\n  count: {at_least: 1}\n", spoils: &[] },
        Example {
            yaml: "- process: cron\n  running: true\n",
            spoils: &[Spoil {
                address: "process:cron#running",
                spoil: "systemctl stop cron",
                oracle: "pgrep -x cron >/dev/null",
            }],
        },
        Example {
            yaml: "- process: systemd-journald\n  running: true\n  count: 1\n  user: root\n  \
                   args: {matches: \"/systemd-journald$\"}\n",
            spoils: &[Spoil {
                address: "process:systemd-journald#count",
                spoil: "cp /bin/sleep /run/systemd-journald && { /run/systemd-journald 600 </dev/null >/dev/null 2>&1 & } && \
                        until test \"$(pgrep -c -x systemd-journal)\" = 2; do sleep 0.1; done",
                oracle: "test \"$(pgrep -c -x systemd-journal)\" = 1",
            }],
        },
    ],
};

/// How many bytes of a name the kernel keeps.
const KEPT: usize = 15;

/// Sections end with a NUL: whether other people's processes are seen, our own processes (this shell; in an act those that it
/// consists of), /proc/*/status, users, command lines.
const STATUS: &str = r#"[ ! -r /proc/1/status ] || printf seen
printf '\000%s\000' "$$ ${ACT_PROCESSES:-}"
grep -s -H -E '^(Name|State|PPid|Uid|VmSize):' /proc/[0-9]*/status
printf '\000'
"#;

/// Names of the users there are, wherever the host has them from; a host without `getent` has them from its file.
const ACCOUNTS: &str = r#"users=$(grep -s -h '^Uid:' /proc/[0-9]*/status | awk '!seen[$3]++ { print $3 }')
if [ -n "$users" ]; then getent passwd $users || cat /etc/passwd; fi
"#;

/// The kind `process`.
pub(super) struct Process;

impl Kind for Process {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut add = |attribute: Option<&'static str>, message: String, hint: &str| {
            mistakes.push(Mistake { attribute, message, hint: Some(hint.to_owned()) });
        };
        if let Some(Err(error)) = resource.text(&PATTERN).map(Regex::new) {
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            add(
                Some(PATTERN.name),
                format!("`pattern` is no regular expression: {why}"),
                "write `\\\\.` for a dot that is meant",
            );
        } else if resource.want(&PATTERN).is_none() && resource.identity().contains(['/', ' ']) {
            let message = format!("`{}` is no name of a program", resource.identity());
            add(None, message, "name the program without its folder and arguments, or add a `pattern`");
        }
        if resource.compared().next().is_none() {
            add(None, "this asks nothing of the processes".to_owned(), "add `running: true` or `running: false`");
        }
        mistakes
    }

    fn fragment(&self, batch: &[&Resource]) -> String {
        let asks = |attributes: &[&Attribute]| batch.iter().any(|r| attributes.iter().any(|a| r.want(a).is_some()));
        let mut text = STATUS.to_owned();
        if asks(&[&USER]) {
            text.push_str(ACCOUNTS);
        }
        text.push_str("printf '\\000'\n");
        let is_cut = |resource: &&Resource| resource.want(&PATTERN).is_none() && resource.identity().len() > KEPT;
        if asks(&[&ARGS, &PATTERN]) || batch.iter().any(is_cut) {
            // Every line of an argument gets its file in front: no argument can pass for another process.
            text.push_str("grep -a -s -H '' /proc/[0-9]*/cmdline | tr '\\000' ' '\n");
        }
        text
    }

    fn read(&self, batch: &[&Resource], answer: &Answer<'_>) -> Vec<Observed> {
        let text = clean::utf8(answer.text);
        let sections: Vec<&str> = text.split('\0').collect();
        let section = |at: usize| sections.get(at).copied().unwrap_or_default();
        let unknown = |why: &str| batch.iter().map(|_| Observed::unknown(why)).collect();
        if section(0) != "seen" {
            return unknown("/proc hides the processes of others; to see them takes root");
        }
        let mut all = processes(section(2));
        let ours: Vec<&str> = section(1).split_whitespace().collect();
        if sections.len() < 5 || !ours.first().is_some_and(|shell| all.contains_key(shell)) {
            return unknown("the processes in /proc could not be listed");
        }
        let reader: BTreeSet<&str> = ours.iter().flat_map(|one| readers(&all, one)).collect();
        for line in section(4).lines() {
            let Some((pid, line)) = of_process(line, "cmdline:") else { continue };
            if let Some(process) = all.get_mut(pid) {
                let separator = if process.args.is_empty() { "" } else { "\n" };
                process.args.push_str(separator);
                process.args.push_str(line);
            }
        }
        let users = account_names(section(3));
        let live =
            |(pid, process): &(&&str, &One<'_>)| process.has_memory && !process.is_dead && !reader.contains(**pid);
        let live: Vec<&One<'_>> = all.iter().filter(live).map(|(_, process)| process).collect();
        batch.iter().map(|resource| observe(resource, &live, &users)).collect()
    }
}

/// One process.
#[derive(Debug, Default)]
struct One<'a> {
    name: &'a str,
    parent: &'a str,
    /// Its effective user, as a number.
    uid: &'a str,
    args: String,
    /// Threads of the kernel have none.
    has_memory: bool,
    is_dead: bool,
}

impl One<'_> {
    /// Whether this is its name. Of a longer one than the kernel keeps, only the command line has the rest; where that is
    /// empty, what was kept has to do.
    fn is_called(&self, name: &str) -> bool {
        let called = |word: &str| word.rsplit('/').next().is_some_and(|last| last.trim_end_matches(':') == name);
        if name.len() <= KEPT {
            return self.name == name;
        }
        as_wanted(self.name, &[name]) == name && (self.args.is_empty() || self.args.split(' ').any(called))
    }
}

fn observe(resource: &Resource, live: &[&One<'_>], users: &BTreeMap<&str, &str>) -> Observed {
    let pattern = resource.text(&PATTERN).map(Regex::new);
    let mine: Vec<&&One<'_>> = match &pattern {
        Some(Ok(pattern)) => live.iter().filter(|process| pattern.is_match(process.args.trim_end())).collect(),
        Some(Err(_)) => return Observed::unknown("its pattern is no regular expression"),
        None => live.iter().filter(|process| process.is_called(resource.identity())).collect(),
    };
    let by_number = resource.texts(&USER).unwrap_or_default();
    let name = |process: &&&One<'_>| match users.get(process.uid) {
        Some(name) if !by_number.contains(&process.uid) => (*name).to_owned(),
        _ => process.uid.to_owned(),
    };
    let names: BTreeSet<String> = mine.iter().map(name).collect();
    let mut args: Vec<&str> = mine.iter().map(|process| process.args.trim_end()).collect();
    args.sort_unstable();
    args.dedup();
    let count = i64::try_from(mine.len()).unwrap_or(i64::MAX);
    let some = |value: Value| if mine.is_empty() { Reading::Absent } else { Reading::Is(value) };
    Observed::present([
        (RUNNING.name, Reading::Is((count > 0).into())),
        (COUNT.name, Reading::Is(count.into())),
        (USER.name, some(names.into_iter().collect())),
        (ARGS.name, some(args.join("\n").into())),
    ])
}

/// The name of a program as it was asked for, where the kernel kept only its first 15 bytes.
pub(super) fn as_wanted<'a>(name: &'a str, wanted: &[&'a str]) -> &'a str {
    let is_it = |full: &&&str| name.len() == KEPT && full.len() > KEPT && full.as_bytes().starts_with(name.as_bytes());
    wanted.iter().find(is_it).copied().unwrap_or(name)
}

/// Names of accounts by number, from lines of `passwd`. The first one counts, as it does for the host.
pub(super) fn account_names(text: &str) -> BTreeMap<&str, &str> {
    let mut names = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(uid)) = (fields.next(), fields.nth(1)) {
            names.entry(uid).or_insert(name);
        }
    }
    names
}

/// `/proc/12/status:Name: x`: the process and what stands behind its file. A process that went away while it was read has fewer
/// lines, which is none of anybody's business.
fn of_process<'a>(line: &'a str, file: &str) -> Option<(&'a str, &'a str)> {
    let (pid, rest) = line.strip_prefix("/proc/")?.split_once('/')?;
    Some((pid, rest.strip_prefix(file)?))
}

fn processes(status: &str) -> BTreeMap<&str, One<'_>> {
    let mut all: BTreeMap<&str, One<'_>> = BTreeMap::new();
    for line in status.lines() {
        let Some((pid, line)) = of_process(line, "status:") else { continue };
        let Some((field, value)) = line.split_once(':') else { continue };
        let (process, value) = (all.entry(pid).or_default(), value.trim());
        match field {
            "Name" => process.name = value,
            "State" => process.is_dead = value.starts_with(['Z', 'X']),
            "PPid" => process.parent = value,
            "Uid" => process.uid = value.split_whitespace().nth(1).unwrap_or_default(),
            _ => process.has_memory = true,
        }
    }
    all
}

/// What belongs to a process of ours: itself, what it started, and the shells and sudo that it was started by. A daemon that a
/// step left running has lost its parent, and does not belong to it.
fn readers<'a>(all: &BTreeMap<&'a str, One<'a>>, ours: &'a str) -> BTreeSet<&'a str> {
    const STARTERS: [&str; 12] =
        ["sh", "dash", "bash", "ash", "zsh", "ksh", "fish", "busybox", "sudo", "su", "doas", "timeout"];
    let mut readers = BTreeSet::from([ours]);
    let mut above = all.get(ours).map(|process| process.parent);
    while let Some((pid, process)) = above.and_then(|pid| Some((pid, all.get(pid)?))) {
        if !STARTERS.contains(&process.name) || !readers.insert(pid) {
            break;
        }
        above = Some(process.parent);
    }
    loop {
        // Only what our own shell started; a shell above us may have started others.
        let below = all.iter().filter(|(pid, process)| {
            !readers.contains(*pid) && (process.parent == ours || is_below(all, process.parent, ours))
        });
        let below: Vec<&str> = below.map(|(pid, _)| *pid).collect();
        if below.is_empty() {
            return readers;
        }
        readers.extend(below);
    }
}

/// Whether a process descends from another. A host may say anything, also that parents go round in a circle.
fn is_below(all: &BTreeMap<&str, One<'_>>, pid: &str, above: &str) -> bool {
    let mut pid = pid;
    for _ in 0..64 {
        match all.get(pid) {
            Some(process) if process.parent == above => return true,
            Some(process) => pid = process.parent,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Existence;
    use crate::resource::testing::{as_nobody, check, everywhere, resource, said};

    fn process(name: &str, values: &[(&'static str, Value)]) -> Resource {
        check(resource(&Process, name, values))
    }

    fn status(pid: u32, name: &str, state: &str, parent: u32, uid: u32, memory: bool) -> String {
        let lines = format!("Name:\t{name}\nState:\t{state}\nPPid:\t{parent}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n");
        let memory = if memory { "VmSize:\t  100 kB\n" } else { "" };
        format!("{lines}{memory}").lines().map(|line| format!("/proc/{pid}/status:{line}\n")).collect()
    }

    fn captured() -> String {
        let all = [
            status(1, "systemd", "S (sleeping)", 0, 0, true),
            status(2, "kthreadd", "S (sleeping)", 0, 0, false),
            status(10, "nginx", "S (sleeping)", 1, 0, true),
            status(11, "nginx", "S (sleeping)", 10, 33, true),
            status(12, "nginx", "Z (zombie)", 10, 33, false),
            status(20, "systemd-resolve", "S (sleeping)", 1, 101, true),
            status(21, "unattended-upgr", "S (sleeping)", 1, 0, true),
            status(22, "wiped-its-comma", "S (sleeping)", 1, 0, true),
            status(30, "python3", "S (sleeping)", 1, 4242, true),
            status(40, "sshd", "S (sleeping)", 1, 0, true),
            status(41, "sudo", "S (sleeping)", 40, 0, true),
            status(42, "sh", "S (sleeping)", 41, 0, true),
            status(43, "grep", "R (running)", 42, 0, true),
            status(50, "sh", "S (sleeping)", 1, 0, true),
        ];
        let args = "/proc/10/cmdline:nginx: master process /usr/sbin/nginx -g daemon off; \n/proc/11/cmdline:nginx: worker process \n\
            /proc/20/cmdline:/lib/systemd/systemd-resolved \n/proc/21/cmdline:/usr/bin/python3 /usr/share/unattended-upgrade-shutdown -w \n\
            /proc/30/cmdline:/usr/bin/python3 /opt/q/worker.py a\n/proc/30/cmdline:/proc/1/cmdline:b \n/proc/99/cmdline:gone \n";
        format!(
            "seen\x0042\0{}\0root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n\0{args}",
            all.concat()
        )
    }

    fn shown(resource: &Resource) -> [String; 4] {
        let observed = Process.read(&[resource], &said(captured().as_bytes())).remove(0);
        ["running", "count", "user", "args"].map(|name| match observed.reading(name) {
            Some(Reading::Is(value)) => value.to_string(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn captured_answers() {
        let nginx = "nginx: master process /usr/sbin/nginx -g daemon off;\nnginx: worker process";
        assert_eq!(shown(&process("nginx", &[])), ["true", "2", "[root, www-data]", nginx]);
        assert_eq!(shown(&process("nginx", &[("user", ["33", "root"].into_iter().collect())]))[2], "[33, root]");
        assert_eq!(shown(&process("systemd-resolved", &[]))[..3], ["true", "1", "[101]"]);
        assert_eq!(shown(&process("systemd-resolver", &[]))[0], "false", "the kernel keeps the same of it");
        assert_eq!(shown(&process("unattended-upgrade-shutdown", &[]))[0], "true", "a script");
        assert_eq!(shown(&process("wiped-its-command-line", &[]))[0], "true");
        assert_eq!(shown(&process("kthreadd", &[]))[..2], ["false", "0"]);
        assert_eq!(shown(&process("ngin", &[])), ["false", "0", "Some(Absent)", "Some(Absent)"]);
        // The reader's own shell, its sudo and its grep do not count; another shell and sshd do.
        let count = |name: &str| shown(&process(name, &[]))[1].clone();
        assert_eq!(["sh", "sudo", "grep", "sshd"].map(count), ["1", "0", "0", "1"]);
        // Of an act: the shell that runs it and the one that follows it, with what they started and were started by. What a step
        // left running has another parent.
        let act = [
            status(1, "systemd", "S", 0, 0, true),
            status(10, "sh", "S", 1, 0, true),
            status(11, "sh", "S", 10, 0, true),
            status(12, "grep", "R", 11, 0, true),
            status(20, "sshd", "S", 1, 0, true),
            status(21, "sudo", "S", 20, 0, true),
            status(22, "sh", "S", 21, 0, true),
            status(23, "sleep", "S", 22, 0, true),
            status(30, "sleep", "S", 1, 0, true),
            status(31, "sh", "S", 20, 0, true),
        ];
        let answer = format!("seen\x0011 10 22 \0{}\0\0", act.concat());
        let count = |name: &str| {
            let observed = Process.read(&[&process(name, &[])], &said(answer.as_bytes())).remove(0);
            observed.reading("count").cloned()
        };
        let counts = ["sh", "sleep", "sudo", "grep", "sshd"].map(count);
        assert_eq!(counts, [1, 1, 0, 0, 1].map(|count| Some(Reading::Is(count.into()))));
        let worker = process("the worker", &[("pattern", "python3 .*/worker\\.py".into())]);
        assert_eq!(shown(&worker)[1..], ["1", "[4242]", "/usr/bin/python3 /opt/q/worker.py a\n/proc/1/cmdline:b"]);
    }

    #[test]
    fn what_cannot_be_listed_is_unknown() {
        for answer in ["", "\x0042\0\0\0", "seen\x0042\0\0\0", "seen\x0042\0/proc/42/status:Name:\tsh\n"] {
            let observed = Process.read(&[&process("nginx", &[])], &said(answer.as_bytes())).remove(0);
            assert!(matches!(observed.existence, Existence::Unknown(_)), "{answer:?}");
        }
        // Parents that go round in a circle.
        let circle = [
            status(42, "sh", "S", 43, 0, true),
            status(43, "sh", "S", 42, 0, true),
            status(44, "x", "S", 45, 0, true),
            status(45, "x", "S", 44, 0, true),
        ];
        let answer = format!("seen\x0042\0{}\0\0", circle.concat());
        let observed = Process.read(&[&process("x", &[])], &said(answer.as_bytes())).remove(0);
        assert_eq!(observed.reading("count"), Some(&Reading::Is(2.into())));
    }

    #[test]
    fn every_shell_finds_a_process_of_ours() {
        let user_name = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
        let user_name = String::from_utf8(user_name).unwrap().trim().to_owned();
        let mut child = std::process::Command::new("sleep").args(["86399"]).spawn().unwrap();
        let resources = [
            process("our sleep", &[("pattern", "^sleep 86399$".into()), ("user", Value::List(Vec::new()))]),
            process("no-such-program", &[]),
            process("no-program-with-such-a-long-name", &[]),
        ];
        let batch: Vec<&Resource> = resources.iter().collect();
        let folder = tempfile::tempdir().unwrap();
        let script = Process.fragment(&batch);
        let answers = [everywhere(&script), as_nobody(folder.path(), &script)].concat();
        child.kill().unwrap();
        child.wait().unwrap();
        for (shell, answer) in answers {
            let observed = Process.read(&batch, &said(&answer));
            assert_eq!(observed[0].reading("count"), Some(&Reading::Is(1.into())), "{shell}");
            assert_eq!(observed[0].reading("args"), Some(&Reading::Is("sleep 86399".into())), "{shell}");
            let runs = |at: usize| observed[at].reading("running").cloned();
            assert_eq!([runs(1), runs(2)], [(); 2].map(|()| Some(Reading::Is(false.into()))), "{shell}");
            let user = observed[0].reading("user").cloned();
            assert_eq!(user, Some(Reading::Is([user_name.as_str()].into_iter().collect())), "{shell}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_a_mistake() {
        let running = ("running", Value::from(true));
        assert_eq!(Process.mistakes(&process("nginx", std::slice::from_ref(&running))), []);
        assert_eq!(Process.mistakes(&process("nginx", &[])).len(), 1);
        assert_eq!(Process.mistakes(&process("/usr/sbin/nginx", std::slice::from_ref(&running))).len(), 1);
        assert_eq!(Process.mistakes(&process("a b", &[running.clone(), ("pattern", "x".into())])), []);
        assert_eq!(Process.mistakes(&process("x", &[running, ("pattern", "(".into())])).len(), 1);
    }
}
