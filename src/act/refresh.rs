//! The scripts of reloads, restarts and the validations before them.

use std::fmt::Write as _;

use crate::resource::{Refresh, Resource};

/// The shell of a validation: what `steps` changed must pass it, or is put back.
pub(super) fn validation(command: &str, steps: &[usize]) -> String {
    let numbers = numbers(steps);
    let mut text = format!("changed {numbers} || exit 90\nif (\n{command}\n) </dev/null; then exit 0; fi\n");
    text.push_str("say 'its validation failed; what this run changed is put back'\n");
    for step in steps.iter().rev() {
        let _ = writeln!(text, "put_back \"$d/kept/{step}\" || say 'it could not all be put back'");
    }
    text.push_str("exit 95\n");
    text
}

/// What calls for a refresh, by the steps of this act that do if they change anything.
pub(super) struct Cause {
    pub(super) reload: Vec<usize>,
    pub(super) restart: Vec<usize>,
    /// What was called for already when the host was read.
    pub(super) standing: Option<Refresh>,
}

/// The shell of a reload or restart. It remembers what was taken, and that nothing is owed any more.
pub(super) fn refresh(resource: &Resource, cause: &Cause, number: usize) -> Option<String> {
    let reload = resource.kind.refresh(resource, Refresh::Reload)?;
    let restart = resource.kind.refresh(resource, Refresh::Restart)?;
    let mut text = match cause.standing {
        Some(Refresh::Restart) => "how=restart\n".to_owned(),
        Some(_) => "how=reload\n".to_owned(),
        None => "how=\n".to_owned(),
    };
    if !cause.reload.is_empty() {
        let _ = writeln!(text, "if [ -z \"$how\" ] && changed {}; then how=reload; fi", numbers(&cause.reload));
    }
    if !cause.restart.is_empty() {
        let _ = writeln!(text, "if changed {}; then how=restart; fi", numbers(&cause.restart));
    }
    let address = resource.address.to_string();
    let address = crate::base::quote::always(&address);
    let record = format!("\"$d/steps/{number}.record\"");
    let _ = writeln!(text, "printf 'done\\t%s\\n' {address} >>{record}");
    text.push_str("[ -n \"$how\" ] || exit 90\n");
    let _ = writeln!(text, "digest=$({})", digest(resource, |refresh| refresh != Refresh::Run));
    let _ = writeln!(text, "case $how in\nreload)\n(\n{reload}\n)\n;;\nrestart)\n(\n{restart}\n)\n;;\nesac");
    if let Some(invocation) = resource.kind.invocation(resource) {
        let _ = writeln!(text, "invocation=$(\n{invocation}\n)");
        let _ = writeln!(text, "printf 'refreshed\\t%s\\t%s\\t%s\\n' {address} \"$digest\" \"$invocation\" >>{record}");
    }
    Some(text)
}

/// Shell that prints the digest of what a resource watches, as the controller computes it.
pub(super) fn digest(resource: &Resource, counts: impl Fn(Refresh) -> bool) -> String {
    let shells = resource.watches.iter().filter(|watch| counts(watch.refresh)).map(|watch| watch.shell.as_str());
    format!("{{\n{}\n}} 2>/dev/null | watch_digest", shells.collect::<Vec<_>>().join("\n"))
}

fn numbers(steps: &[usize]) -> String {
    steps.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}
