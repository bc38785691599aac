//! What the host said about an act.

use std::collections::BTreeSet;

use super::compose::Act;
use super::lockout;
use crate::base::clean;
use crate::observe::{LastRun, Memory, Place, Script, StepMark};
use crate::wire::{Frames, Nonce};

/// How an act went, as far as the host told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActOutcome {
    /// Whether it began.
    pub begun: Begun,
    /// How each step went.
    pub steps: Vec<StepOutcome>,
    /// Whether its end was told. If not, it may be going on.
    pub is_whole: bool,
}

/// Whether an act began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It did.
    Yes,
    /// Somebody else is acting: who.
    Locked(String),
    /// Somebody else acted since the host was read: who.
    Moved(String),
    /// The host could not remember it, so nothing was done: why.
    NoMemory(String),
    /// The host said nothing of it.
    NotTold,
}

/// How one step went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// It did what it should.
    Done,
    /// There was nothing to do (a guard, no change).
    Nothing,
    /// It failed: with its output.
    Failed(String),
    /// It was done, and then put back because a validation failed: with that one's output.
    PutBack(String),
    /// It was not reached.
    NotReached,
    /// Its end was not told.
    NotTold,
}

/// The script by which a host that was left alone with an act learns that its end was seen after all.
pub fn seen_script(act: &Act, place: &Place, nonce: &Nonce) -> Script {
    let text = format!("state_folder\nif grep -q '^id {}$' \"$S/run\"; then echo followed >>\"$S/run\"; fi\n", act.run);
    Script::of(place, nonce, &text)
}

impl ActOutcome {
    /// What the host itself remembers of an act that we lost sight of.
    #[must_use]
    pub fn completed(mut self, act: &Act, memory: &Memory) -> Self {
        let is_ours = memory.run.as_deref() == Some(act.run.to_string().as_str());
        if !is_ours {
            self.begun = Begun::NotTold;
            self.steps = act.steps.iter().map(|_| StepOutcome::NotReached).collect();
            return self;
        }
        let has_ended = matches!(memory.last, LastRun::Unfollowed(_) | LastRun::Followed);
        for (number, step) in self
            .steps
            .iter_mut()
            .enumerate()
            .filter(|(_, step)| matches!(step, StepOutcome::NotTold | StepOutcome::NotReached))
        {
            *step = match memory.steps.get(&number) {
                Some(StepMark::Done) => StepOutcome::Done,
                Some(StepMark::Nothing) => StepOutcome::Nothing,
                Some(StepMark::Failed) if act.steps[number].proves_login => {
                    StepOutcome::Failed(lockout::REFUSED.to_owned())
                }
                Some(StepMark::Failed) => StepOutcome::Failed("it failed while the connection was lost".to_owned()),
                None if has_ended => StepOutcome::NotReached,
                None => StepOutcome::NotTold,
            };
        }
        put_back(act, &mut self.steps);
        self.begun = Begun::Yes;
        self
    }

    /// Says why no second login came, where one was waited for in vain.
    #[must_use]
    pub fn because(mut self, act: &Act, refused: Option<&str>) -> Self {
        let Some(refused) = refused else { return self };
        let failed = |number: &usize| matches!(self.steps[*number], StepOutcome::Failed(_));
        let proof = (0..act.steps.len()).filter(|number| act.steps[*number].proves_login).find(failed);
        let Some(proof) = proof else { return self };
        for number in act.steps[proof].puts_back.iter().chain([&proof]) {
            if let StepOutcome::Failed(log) | StepOutcome::PutBack(log) = &mut self.steps[*number] {
                log.push_str(&format!("\n{refused}"));
            }
        }
        self
    }

    /// Reads the frames of an act.
    pub fn read(act: &Act, frames: &Frames) -> Self {
        let end = frames.get("act");
        let text = |body: &[u8]| clean::utf8(body).trim().to_owned();
        let begun = match end.map(|end| (end.status, text(&end.body))) {
            Some((0, _)) => Begun::Yes,
            Some((80, who)) => Begun::Locked(who),
            Some((81, who)) => Begun::Moved(who),
            Some((_, why)) => Begun::NoMemory(why),
            None if frames.is_empty() => Begun::NotTold,
            None => Begun::Yes,
        };
        let has_ended = end.is_some();
        let mut steps: Vec<StepOutcome> = (0..act.steps.len())
            .map(|number| match frames.get(&format!("s{number}")) {
                Some(frame) => match frame.status {
                    0 => StepOutcome::Done,
                    90 => StepOutcome::Nothing,
                    status => {
                        let log = text(&frame.body);
                        StepOutcome::Failed(if log.is_empty() { format!("it ended with status {status}") } else { log })
                    }
                },
                None if has_ended => StepOutcome::NotReached,
                None => StepOutcome::NotTold,
            })
            .collect();
        put_back(act, &mut steps);
        Self { begun, steps, is_whole: frames.get("done").is_some() }
    }
}

/// What was done, and then put back by a later step that failed.
fn put_back(act: &Act, steps: &mut [StepOutcome]) {
    for number in 0..steps.len() {
        let (StepOutcome::Failed(log), puts_back) = (steps[number].clone(), &act.steps[number].puts_back) else {
            continue;
        };
        let done: BTreeSet<usize> =
            puts_back.iter().copied().filter(|step| steps[*step] == StepOutcome::Done).collect();
        for step in done {
            steps[step] = StepOutcome::PutBack(log.clone());
        }
    }
}
