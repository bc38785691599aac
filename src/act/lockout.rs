//! The lock-out guard: what changes how one gets in is proven by a second login, or taken back by the host itself.
//!
//! Which steps those are is found here, before they are sent. On the host the run waits after them, under its lock, until
//! somebody who has logged in anew says so; if nobody does in time, it puts back what the steps kept aside, sets services to
//! what they were, and restores the rules of packet filters. So a host that nobody can reach any more needs nobody.

use std::fmt::Write as _;
use std::time::Duration;

use crate::base::quote;
use crate::observe::{Place, Script};
use crate::resource::TakenBack;
use crate::wire::{Frames, Nonce};

/// The functions of a guarded run.
pub(super) const LOCKOUT: &str = include_str!("lockout.sh");

/// Who logged in to act.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// The user.
    pub user: &'a str,
    /// How long the host waits for a second login.
    pub within: Duration,
}

/// What the step is called that waits for one.
pub(super) const TITLE: &str = "prove that a login still works";

/// A step that changed how one gets in, and how that is taken back.
pub(super) struct Guarded {
    /// Its number.
    pub(super) number: usize,
    /// What it does, for people.
    pub(super) title: String,
    /// How each of its resources is taken back; empty for a refresh.
    pub(super) back: Vec<TakenBack>,
    /// For a refresh: the shell that has the service take its old configuration again.
    pub(super) again: Option<String>,
}

/// What is said when nobody came.
pub(super) const REFUSED: &str = "nobody could log in after it";

/// The shell that takes back what these steps did, the last first; then services take what is in place again.
pub(super) fn taking_back(steps: &[Guarded]) -> String {
    let mut text = format!(". \"$d/lockout.sh\"\nsay {}\n", quote::always(REFUSED));
    for Guarded { number, title, back, .. } in steps.iter().rev() {
        let mut shell = String::new();
        if back.contains(&TakenBack::Kept) {
            let _ = writeln!(
                shell,
                "( put_back \"$d/kept/{number}\" ) || say 'not all of it could be put back: '{}",
                quote::always(title)
            );
        }
        for back in back {
            match back {
                TakenBack::Kept => {}
                TakenBack::By(by) => {
                    let _ = writeln!(
                        shell,
                        "( set -e\n{by}\n) || say 'it could not be put back: '{}",
                        quote::always(title)
                    );
                }
                TakenBack::Never => {
                    let _ = writeln!(
                        shell,
                        "say 'what this did cannot be put back, rules of the packet filters excepted: '{}",
                        quote::always(title)
                    );
                    break;
                }
            }
        }
        if !shell.is_empty() {
            let _ = write!(text, "if tried {number}; then\n{shell}fi\n");
        }
    }
    for Guarded { number, title, again, .. } in steps {
        if let Some(again) = again {
            let _ = write!(
                text,
                "if tried {number}; then\n( set -e\n{again}\n) || say 'this did not work with what was put back: '{}\nfi\n",
                quote::always(title)
            );
        }
    }
    if steps.iter().all(|step| step.back.iter().all(|back| *back == TakenBack::Never)) {
        text.push_str("say 'nothing could be put back: what was taken up was there before this run'\n");
    }
    text.push_str("put_rules_back\n");
    text
}

/// The lines by which a run waits for a second login, after the steps it is about.
pub(super) fn waiting(number: usize, steps: &[Guarded]) -> String {
    let numbers: Vec<String> = steps.iter().map(|step| step.number.to_string()).collect();
    format!("prove {number} {} {}\n", quote::always(TITLE), numbers.join(" "))
}

/// The step for which a host waits, from the name of the frame by which it asks for a second login.
pub fn asks_for_login(frame: &str) -> Option<usize> {
    frame.strip_prefix("proof")?.parse().ok()
}

/// The script by which somebody who has logged in anew says so. Its frame `asked` holds the number of the step for which the
/// run waits, if it does; `proves` is the one that this login comes after.
pub fn login_script(run: &Nonce, place: &Place, nonce: &Nonce, proves: Option<usize>) -> Script {
    let proven = match proves {
        Some(number) => format!("[ \"$asked\" != {number} ] || : >\"$f/login/proven\""),
        None => ":".to_owned(),
    };
    let text = format!(
        "state_folder\nasked= f=\nif grep -q '^id {run}$' \"$S/run\"; then f=$(sed -n 's/^folder //p' \"$S/run\"); fi\n\
         [ -z \"$f\" ] || read -r asked 2>/dev/null <\"$f/login/asked\"\n{proven}\nstatus=$?\n\
         b asked\nprintf %s \"$asked\"\ne asked $status\n"
    );
    Script::of(place, nonce, &text)
}

/// The step for which a run waits, from the answer to [`login_script`].
pub fn asked(frames: &Frames) -> Option<usize> {
    let frame = frames.get("asked").filter(|frame| frame.status == 0)?;
    std::str::from_utf8(&frame.body).ok()?.trim().parse().ok()
}
