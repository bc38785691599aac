//! What tests of kinds share: resources made by hand, and scripts run for real under every shell.

use std::process::Command;

use crate::base::span::{Source, Span};
use crate::base::value::Value;
use crate::resource::{Address, Due, Kind, Observed, Resource, Severity, State, Step, Want, Work};

/// A resource of a role as the catalog would make it, with exact values.
pub(crate) fn resource(kind: &'static dyn Kind, head: &str, values: &[(&'static str, Value)]) -> Resource {
    let mut resource = Resource {
        kind,
        address: Address::new("role", kind.table().name, head),
        head: head.to_owned(),
        id: None,
        is_check: false,
        state: State::Present,
        wants: values.iter().map(|(name, value)| (*name, Want::Exactly(value.clone()))).collect(),
        watches: Vec::new(),
        keeps: Vec::new(),
        tags: Vec::new(),
        severity: Severity::Medium,
        sensitive: false,
        within: None,
        span: Span::start_of(&Source::new("roles/role/role.yml", "")),
        blocked: None,
    };
    resource.address.identity = kind.identity(head, &resource);
    resource
}

/// The same in a spec.
pub(crate) fn check(kind: &'static dyn Kind, head: &str, values: &[(&'static str, Value)]) -> Resource {
    Resource { is_check: true, ..resource(kind, head, values) }
}

/// The same, which shall not exist.
pub(crate) fn absent(resource: Resource) -> Resource {
    Resource { state: State::Absent, ..resource }
}

/// The steps for these resources, as they were observed, all declared attributes being due.
pub(crate) fn steps(due: &[(&Resource, &Observed)]) -> Vec<Step> {
    let differs: Vec<Vec<&'static str>> = due
        .iter()
        .map(|(resource, _)| std::iter::once("state").chain(resource.compared().map(|(a, _)| a.name)).collect())
        .collect();
    let due: Vec<Due<'_>> =
        due.iter().zip(&differs).map(|((resource, observed), differs)| Due { resource, observed, differs }).collect();
    due.first().map(|first| first.resource.kind.steps(&due)).unwrap_or_default()
}

/// The shell of steps that are shell.
pub(crate) fn shell(steps: &[Step]) -> String {
    let text = |step: &Step| match &step.work {
        Work::Shell(text) => text.clone(),
        other => panic!("no shell: {other:?}"),
    };
    steps.iter().map(text).collect()
}

/// The shells that every script must understand.
pub(crate) const SHELLS: [&[&str]; 3] = [&["/usr/bin/dash"], &["/bin/bash", "--posix"], &["/bin/busybox", "ash"]];

/// What a fragment prints under dash, bash and busybox ash, the first behind `prefix` on the PATH.
pub(crate) fn everywhere(prefix: &str, script: &str) -> Vec<(String, Vec<u8>)> {
    let run = |shell: &&[&str]| {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg("-c").arg(format!("(\n{script}\n) </dev/null 2>/dev/null"));
        let path = format!("{prefix}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env_clear().envs([("PATH", path.as_str()), ("LC_ALL", "C"), ("TZ", "UTC")]).current_dir("/");
        (shell[0].to_owned(), command.output().expect("the shell starts").stdout)
    };
    SHELLS.iter().map(run).collect()
}

/// Whether every shell can parse a script.
pub(crate) fn assert_parses(script: &str) {
    for shell in SHELLS {
        let output = Command::new(shell[0]).args(&shell[1..]).args(["-n", "-c", script]).output().expect("it starts");
        assert!(output.status.success(), "{shell:?}: {}\n{script}", String::from_utf8_lossy(&output.stderr));
    }
}
