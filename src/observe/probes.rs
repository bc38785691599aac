//! Users' own commands: the part of a script that runs them, and what they answered.

use std::fmt::Write as _;

use crate::base::quote;
use crate::resource::{Probe, ProbeAnswer, ProbeEnd};
use crate::wire::Frames;

/// How many probes run at a time.
const PROBES_AT_A_TIME: usize = 4;

/// The part that runs users' commands, if there are any.
pub(super) fn run_probes(probes: &[(String, Probe)]) -> String {
    if probes.is_empty() {
        return String::new();
    }
    let mut text = "flush\nscratch || exit 74\n".to_owned();
    for (id, probe) in probes {
        if let Some(stdin) = &probe.stdin {
            // The input of a command is text of the project without NUL.
            let _ = writeln!(text, "printf %s {} >\"$D/{id}.i\"", quote::always(&String::from_utf8_lossy(stdin)));
        }
    }
    for worker in 0..PROBES_AT_A_TIME.min(probes.len()) {
        text.push_str("(\n");
        for (id, probe) in probes.iter().skip(worker).step_by(PROBES_AT_A_TIME) {
            let user = quote::sh(probe.user.as_deref().unwrap_or_default());
            let cwd = quote::sh(probe.cwd.as_deref().unwrap_or_default());
            let seconds = probe.timeout.as_secs().max(1);
            let _ = writeln!(text, "probe {id} {seconds} {user} {cwd} {}", quote::always(&with_environment(probe)));
        }
        text.push_str(") </dev/null >/dev/null 2>&1 &\n");
    }
    text.push_str("wait\n");
    for (id, _) in probes {
        let _ = writeln!(text, "report {id}");
    }
    text
}

/// The command with its environment set before it.
pub fn with_environment(probe: &Probe) -> String {
    let exports = probe.env.iter().map(|(name, value)| format!("export {name}={}\n", quote::sh(value)));
    exports.collect::<String>() + &probe.command
}

/// The answer of one probe; none if its frames are not complete. The statuses are those of `probe` in the prelude.
pub(super) fn probe_answer(frames: &Frames, id: &str) -> Option<ProbeAnswer> {
    const STDOUT_LIMIT: usize = 262_144;
    const STDERR_LIMIT: usize = 16_384;
    let status = frames.get(&format!("p{id}s"))?;
    let mut stdout = frames.get(&format!("p{id}o"))?.body.clone();
    let mut stderr = frames.get(&format!("p{id}e"))?.body.clone();
    let truncated = stdout.len() > STDOUT_LIMIT || stderr.len() > STDERR_LIMIT;
    stdout.truncate(STDOUT_LIMIT);
    stderr.truncate(STDERR_LIMIT);
    let code: Option<u8> = String::from_utf8_lossy(&status.body).trim().parse().ok();
    let end = match code {
        None => ProbeEnd::NotRun("it could not be started".to_owned()),
        Some(200) => ProbeEnd::Deadline,
        Some(201) => ProbeEnd::NotRun("only root may become another user".to_owned()),
        Some(202) => ProbeEnd::NotRun("there is no such user".to_owned()),
        Some(203) => ProbeEnd::NotRun("its folder cannot be entered".to_owned()),
        Some(code) if code > 128 && code <= 192 => ProbeEnd::Signal(code - 128),
        Some(code) => ProbeEnd::Exit(code),
    };
    Some(ProbeAnswer { end, stdout, stderr, truncated })
}
