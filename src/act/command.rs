//! The script of a step that runs a user's command: its guards first, then the command, and what its end means.

use std::fmt::Write as _;

use super::refresh;
use crate::base::quote;
use crate::observe::{Memory, with_environment};
use crate::resource::{Guard, Probe, Refresh, Resource};

/// The shell of step `number`, which runs the command of a resource if its guards allow it. `memory` holds for which state of what
/// it watches it ran last.
pub(super) fn script(resource: &Resource, run: &Probe, guards: &[Guard], memory: &Memory, number: usize) -> String {
    let mut text = String::from("mkdir -p \"$d/probes\"\nprobes_in \"$d/probes\"\n");
    let words = |probe: &Probe| {
        let (user, cwd) = (probe.user.as_deref().unwrap_or_default(), probe.cwd.as_deref().unwrap_or_default());
        (
            probe.timeout.as_secs().max(1),
            quote::sh(user).into_owned(),
            quote::sh(cwd).into_owned(),
            quote::always(&with_environment(probe)),
        )
    };
    let unknown_on: Vec<String> = resource.kind.unknown_statuses(resource).iter().map(ToString::to_string).collect();
    let unknown_on = quote::always(&unknown_on.join(" "));
    for guard in guards {
        let _ = match guard {
            Guard::Creates(path) => {
                let path = quote::sh(path);
                writeln!(text, "if [ -e {path} ] || [ -L {path} ]; then exit 90; fi")
            }
            Guard::Unless(probe) => {
                let (seconds, user, cwd, command) = words(probe);
                writeln!(text, "if holds {seconds} {user} {cwd} {unknown_on} {command}; then exit 90; fi")
            }
            Guard::OnlyIf(probe) => {
                let (seconds, user, cwd, command) = words(probe);
                writeln!(text, "holds {seconds} {user} {cwd} {unknown_on} {command} || exit 90")
            }
            Guard::OnChange => {
                let address = resource.address.to_string();
                let known = memory.ran.get(&address).map(String::as_str).unwrap_or("never");
                let digest = refresh::digest(resource, |refresh| refresh == Refresh::Run);
                let record = format!(
                    "printf 'ran\\t%s\\t%s\\n' {} \"$digest\" >\"$d/steps/{number}.record\"",
                    quote::always(&address)
                );
                writeln!(text, "digest=$({digest})\n[ \"$digest\" != {known} ] || exit 90\n{record}")
            }
        };
    }
    if let Some(stdin) = &run.stdin {
        let _ = writeln!(text, "printf %s {} >\"$d/probes/run.i\"", quote::always(&String::from_utf8_lossy(stdin)));
    }
    let (seconds, user, cwd, command) = words(run);
    let _ = writeln!(text, "input=/dev/null; [ ! -e \"$d/probes/run.i\" ] || input=$d/probes/run.i");
    let _ = writeln!(text, "result=0; id=run");
    let _ = writeln!(
        text,
        "( cd {} || exit 203; limited {seconds} {user} {command} ) <\"$input\" || result=$?",
        if cwd == "''" { "/" } else { &cwd }
    );
    text.push_str(
        "case $result in\n0) exit 0 ;;\n200) fail 'it was ended at its deadline' ;;\n201) fail 'only root may become another user' ;;\n\
         202) fail 'there is no such user' ;;\n203) fail 'its folder cannot be entered' ;;\n*) fail \"it ended with status $result\" ;;\nesac\n",
    );
    text
}
