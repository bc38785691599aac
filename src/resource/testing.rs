//! What tests of kinds share: resources made by hand, and scripts run for real under every shell with either family of tools.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, OnceLock};

use indexmap::IndexMap;

use super::paths::Paths;
use super::{Address, Answer, Due, Existence, Kind, Observed, Resource, Severity, State, Step, Want, Work};
use crate::base::span::{Source, Span};
use crate::base::value::Value;

/// A resource of a role as the catalog would make it, with exact values.
pub(crate) fn resource(kind: &'static dyn Kind, head: &str, values: &[(&'static str, Value)]) -> Resource {
    let wants = values.iter().map(|(name, value)| (*name, Want::Exactly(value.clone())));
    with_wants(kind, head, wants.collect())
}

/// A resource of a role with these wants.
pub(crate) fn with_wants(kind: &'static dyn Kind, head: &str, wants: IndexMap<&'static str, Want>) -> Resource {
    let mut resource = Resource {
        kind,
        address: Address::new("role", kind.table().name, head),
        head: head.to_owned(),
        id: None,
        is_check: false,
        state: State::Present,
        wants,
        watches: Vec::new(),
        keeps: Vec::new(),
        tags: Vec::new(),
        severity: Severity::Medium,
        sensitive: false,
        secrets: IndexMap::new(),
        within: None,
        span: Span::start_of(&Source::new("roles/role/role.yml", "")),
        blocked: None,
    };
    resource.address.identity = kind.identity(head, &resource);
    resource
}

/// The same, which shall not exist.
pub(crate) fn absent(mut resource: Resource) -> Resource {
    resource.state = State::Absent;
    resource
}

/// The same in a spec.
pub(crate) fn check(mut resource: Resource) -> Resource {
    resource.is_check = true;
    resource
}

/// The steps for one resource when all that was declared differs: of a thing that is there its attributes, else its state.
pub(crate) fn steps(resource: &Resource, observed: &Observed) -> Vec<Step> {
    steps_together(&[(resource, observed)])
}

/// The same for several resources of one kind that stand next to each other.
pub(crate) fn steps_together(run: &[(&Resource, &Observed)]) -> Vec<Step> {
    let differs: Vec<Vec<&'static str>> =
        run.iter().map(|(resource, observed)| differing(resource, observed)).collect();
    let due = run.iter().zip(&differs).map(|((resource, observed), differs)| Due { resource, observed, differs });
    run.first().map(|(resource, _)| resource.kind.steps(&due.collect::<Vec<_>>())).unwrap_or_default()
}

fn differing(resource: &Resource, observed: &Observed) -> Vec<&'static str> {
    let is_there = observed.existence == Existence::Present;
    if is_there == (resource.state == State::Absent) {
        return vec!["state"];
    }
    resource.compared().map(|(attribute, _)| attribute.name).collect()
}

/// Fails unless every shell can parse the script.
pub(crate) fn assert_parses(script: &str) {
    for (name, shell, _) in combinations() {
        let output = Command::new(shell[0]).args(&shell[1..]).args(["-n", "-c", script]).output().expect("it starts");
        assert!(output.status.success(), "{name}: {}\n{script}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The shell of steps that are shell.
pub(crate) fn shell(steps: &[Step]) -> String {
    let text = |step: &Step| match &step.work {
        Work::Shell(text) => format!("{text}\n"),
        other => panic!("no shell: {other:?}"),
    };
    steps.iter().map(text).collect()
}

/// What a script prints under dash, bash and busybox ash, each with the host's own tools and with busybox tools only.
pub(crate) fn everywhere(script: &str) -> Vec<(String, Vec<u8>)> {
    run_everywhere(script, None)
}

/// What a kind reads of these resources, all of one kind, under each of them.
pub(crate) fn read_everywhere(batch: &[&Resource]) -> Vec<(String, Vec<Observed>)> {
    read_all(batch, None)
}

/// The same as somebody who owns nothing, to whom `folder` is opened.
pub(crate) fn read_as_nobody(folder: &Path, batch: &[&Resource]) -> Vec<(String, Vec<Observed>)> {
    open_to_nobody(folder, |uid| read_all(batch, uid))
}

fn read_all(batch: &[&Resource], uid: Option<u32>) -> Vec<(String, Vec<Observed>)> {
    let kind = batch[0].kind;
    let paths: Vec<&str> = batch.iter().filter_map(|resource| kind.path(resource)).collect();
    let answers =
        run_everywhere(&kind.fragment(batch), uid).into_iter().zip(run_everywhere(&Paths::fragment(&paths), uid));
    let read = |((name, text), (_, looked)): ((String, Vec<u8>), (String, Vec<u8>))| {
        let paths = Paths::read(&paths, &looked);
        (name, kind.read(batch, &Answer { paths: &paths, ..said(&text) }))
    };
    answers.map(read).collect()
}

/// An answer that consists of what the fragment printed.
pub(crate) fn said(text: &[u8]) -> Answer<'_> {
    static NOWHERE: LazyLock<Paths> = LazyLock::new(Paths::default);
    Answer { text, probes: &[], paths: &NOWHERE }
}

/// The same as somebody who owns nothing, to whom `folder` is opened.
pub(crate) fn as_nobody(folder: &Path, script: &str) -> Vec<(String, Vec<u8>)> {
    open_to_nobody(folder, |uid| run_everywhere(script, uid))
}

fn open_to_nobody<T>(folder: &Path, run: impl FnOnce(Option<u32>) -> T) -> T {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("folder is ours");
    run(is_root.then_some(65_534))
}

/// Runs a script of an act behind the prelude that the engine gives it. Whether it succeeded, and what it printed.
pub(crate) fn act(shell: &[&str], path: &str, script: &str) -> (bool, String) {
    let (program, arguments) = shell.split_first().expect("a shell");
    // The tools under test are those of `path` alone.
    let prelude = include_str!("../act/prelude.sh").replace("\nPATH=/usr/local/sbin:", "\nNOT_PATH=");
    let output = Command::new(program)
        .args(arguments)
        .args(["-eu", "-c", &format!("RUN=test d=/nonexistent TOUCHED= CHANGED=' '\n{prelude}\n{script}")])
        .env_clear()
        .envs([("PATH", path), ("LC_ALL", "C"), ("TZ", "UTC")])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the shell starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// What a script of an act prints under every shell where, beside busybox, only these programs are there; each prints how it
/// was called.
pub(crate) fn with_stubs(programs: &[&str], script: &str) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().expect("a folder for stubs");
    let tools = ["cat", "cut", "grep", "mkdir", "cp", "mv", "rm", "printf", "sort", "tr"];
    for tool in tools {
        std::os::unix::fs::symlink("/bin/busybox", folder.path().join(tool)).expect("the folder is empty");
    }
    for program in programs {
        let path = folder.path().join(program);
        std::fs::write(&path, "#!/bin/sh\necho \"${0##*/}\" \"$@\"\ncat\n").expect("the folder is ours");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("the folder is ours");
    }
    let path = folder.path().display().to_string();
    let shells = [vec!["/usr/bin/dash"], vec!["/bin/bash", "--posix"], vec!["/bin/busybox", "ash"]];
    shells.into_iter().map(|shell| (format!("{shell:?}"), act(&shell, &path, script).1)).collect()
}

/// Every combination of shell and tools: name, shell, PATH.
pub(crate) fn combinations() -> Vec<(String, Vec<&'static str>, String)> {
    let host = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
    let shells = [vec!["/usr/bin/dash"], vec!["/bin/bash", "--posix"], vec!["/bin/busybox", "ash"]];
    let tools = [("host", host), ("busybox", busybox_tools().display().to_string())];
    let both =
        |shell: Vec<&'static str>| tools.clone().map(|(name, path)| (format!("{shell:?} {name}"), shell.clone(), path));
    shells.into_iter().flat_map(both).collect()
}

fn run_everywhere(script: &str, uid: Option<u32>) -> Vec<(String, Vec<u8>)> {
    let run = |(name, shell, path): (String, Vec<&str>, String)| {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg("-c").arg(format!("(\n{script}\n) </dev/null 2>/dev/null"));
        command.env_clear().envs([("PATH", &*path), ("LC_ALL", "C"), ("TZ", "UTC")]).current_dir("/");
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        (name, command.output().expect("the shell starts").stdout)
    };
    combinations().into_iter().map(run).collect()
}

/// A folder with busybox under every name it answers to. It is made once on a machine, and kept.
fn busybox_tools() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("/proc is mounted"));
        let folder = std::env::temp_dir().join(format!("snowmelt-busybox-tools-{uid}"));
        if !folder.exists() {
            let fresh = tempfile::tempdir().expect("a folder for tools");
            std::fs::set_permissions(fresh.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .expect("it is ours");
            let mut install = Command::new("/bin/busybox");
            let done = install.args(["--install", "-s"]).arg(fresh.path()).status().expect("busybox is installed");
            assert!(done.success());
            // Another process may have been faster, which is as good.
            std::fs::rename(fresh.keep(), &folder).ok();
        }
        folder
    })
}
