//! What a run found and did, as plain data: all that a report may know.
//!
//! Values in here are text that was shown to be safe to keep (no secrets), but not cleaned for any sink: a report cleans what
//! it writes for where it goes.

use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::want::Severity;
use crate::base::digest::Digest;

/// One run of one verb over some hosts.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// `plan`, `apply`, `verify`.
    pub verb: Verb,
    /// The project's name.
    pub project: String,
    /// The commit that was declared, if the project is in git; `-dirty` is appended where it was.
    pub commit: Option<String>,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// How long it took.
    pub took: Duration,
    /// Every host that was asked for, exactly once, in the order of the inventory.
    pub hosts: Vec<HostResult>,
}

/// What a run was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// What apply would do.
    Plan,
    /// Bring about what is declared.
    Apply,
    /// Compare only.
    Verify,
}

impl Verb {
    /// The word people type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Verify => "verify",
        }
    }
}

/// One host of a run.
#[derive(Clone, Debug)]
pub struct HostResult {
    /// Its name in the inventory.
    pub host: String,
    /// Where it was reached.
    pub address: Option<String>,
    /// Its roles (instances), in order.
    pub roles: Vec<String>,
    /// How far it came.
    pub outcome: HostOutcome,
    /// Every resource and check, in declared order; empty when nothing could be read. Hosts with equal results share them:
    /// most results of a thousand hosts are the same.
    pub resources: Vec<Arc<ResourceResult>>,
    /// What else there is to say about the host, each a sentence fragment ("an earlier run ended unfollowed …").
    pub notes: Vec<String>,
    /// How long it took.
    pub took: Duration,
    /// Exec channels that were opened.
    pub channels: usize,
}

/// How far a host came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostOutcome {
    /// It was read and judged.
    Judged,
    /// It could not be reached, or the link was lost before anything could be told.
    Unreachable(Trouble),
    /// It was reached, but could not be read or acted on as a whole: another holder of the lock, an older commit.
    Failed(Trouble),
    /// It was not begun: the run was interrupted, or stopped for another host's sake.
    NotStarted(String),
}

/// What went wrong with a host as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Where in the flow: `connect`, `authenticate`, `observe`, `act`.
    pub phase: String,
    /// What happened: a lowercase fragment.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// One resource or check on one host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourceResult {
    /// Its name.
    pub address: Address,
    /// Whether it stands in a spec.
    pub is_check: bool,
    /// How much it matters.
    pub severity: Severity,
    /// The file that declares it, relative to the project.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// How it is now: after the run, for `apply`.
    pub verdict: Verdict,
    /// Each attribute that was declared (`state` first, where the kind has one), as it is now.
    pub attributes: Vec<AttributeResult>,
    /// How it was before `apply` acted; the same as `attributes` where it did nothing.
    pub before: Vec<AttributeResult>,
    /// What `apply` did about it.
    pub action: Action,
    /// Stands for all that was found of it, also what is hidden: what somebody agreed to overwrite. Never shown.
    pub found: Option<Digest>,
}

/// What an attribute (or a resource: its worst attribute) is held to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// As declared.
    InSync,
    /// Not as declared, because it was never applied or the declaration moved since.
    Pending,
    /// Not as declared, because the host moved since it was applied.
    Drifted,
    /// In a spec: not as expected.
    Failed,
    /// It cannot be told before another resource has been applied.
    Undecided {
        /// The nearest earlier one that may provide what is missing.
        after: Address,
        /// What is missing.
        why: String,
    },
    /// It could not be told, and why.
    Unknown(String),
    /// There is nothing to judge: a command that always runs.
    NotObservable,
}

impl Verdict {
    /// The word for it in every report and in messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::InSync => "in sync",
            Self::Pending => "pending",
            Self::Drifted => "drifted",
            Self::Failed => "failed",
            Self::Undecided { .. } => "undecided",
            Self::Unknown(_) => "unknown",
            Self::NotObservable => "not observable",
        }
    }

    /// Whether something is known not to be as it should.
    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Pending | Self::Drifted | Self::Failed)
    }
}

/// What is found as the state of a part of a file that is not as declared: it may be missing, or be there in another way.
pub const OTHERWISE: &str = "otherwise";

/// One attribute of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttributeResult {
    /// Its name; `state` for existence, `current` for whether a service runs what its files say.
    pub name: String,
    /// What it is held to be.
    pub verdict: Verdict,
    /// What was expected, for people.
    pub want: String,
    /// What was found, for people.
    pub got: String,
    /// A unified diff from what was found to what was expected, where there is one.
    pub diff: Option<String>,
}

/// What `apply` did about a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing was due.
    None,
    /// It was brought about, and the closing observation confirms it.
    Changed {
        /// What was done: `install nginx`.
        title: String,
    },
    /// A step about it failed, or did not have the effect it should.
    Failed {
        /// What was tried.
        title: String,
        /// Why, with the output.
        message: String,
    },
    /// It is due, but an earlier step failed.
    NotReached,
    /// It is due, but was not selected by `--tags` or `--only`, or needs `--restart`.
    NotSelected(String),
    /// Something was begun and its end is not known.
    Lost(String),
}

impl ResourceResult {
    /// Whether apply changed it.
    pub fn is_changed(&self) -> bool {
        matches!(self.action, Action::Changed { .. })
    }
}

impl RunResult {
    /// Changes every text in it that came from a host, or that something was rendered into.
    pub fn each_text(&mut self, change: &mut dyn FnMut(&mut String)) {
        for host in &mut self.hosts {
            match &mut host.outcome {
                HostOutcome::Judged => {}
                HostOutcome::Unreachable(trouble) | HostOutcome::Failed(trouble) => {
                    change(&mut trouble.message);
                    trouble.hint.iter_mut().for_each(&mut *change);
                }
                HostOutcome::NotStarted(why) => change(why),
            }
            host.notes.iter_mut().for_each(&mut *change);
            for resource in &mut host.resources {
                let resource = Arc::make_mut(resource);
                resource.verdict.each_text(change);
                match &mut resource.action {
                    Action::None | Action::NotReached => {}
                    Action::Changed { title } => change(title),
                    Action::Failed { title, message } => {
                        change(title);
                        change(message);
                    }
                    Action::NotSelected(why) | Action::Lost(why) => change(why),
                }
                for attribute in resource.attributes.iter_mut().chain(&mut resource.before) {
                    attribute.verdict.each_text(change);
                    change(&mut attribute.want);
                    change(&mut attribute.got);
                    attribute.diff.iter_mut().for_each(&mut *change);
                }
            }
        }
    }
}

impl Verdict {
    fn each_text(&mut self, change: &mut dyn FnMut(&mut String)) {
        match self {
            Self::Undecided { why, .. } | Self::Unknown(why) => change(why),
            Self::InSync | Self::Pending | Self::Drifted | Self::Failed | Self::NotObservable => {}
        }
    }
}

/// Exit codes, the same for every verb.
pub mod exit {
    /// As declared, or done.
    pub const FINE: u8 = 0;
    /// Something is not as it should be: drift, a failed check, a failed step.
    pub const WRONG: u8 = 1;
    /// Usage, configuration or internal error; nothing was touched.
    pub const USAGE: u8 = 2;
    /// Nothing is known to be wrong, but something could not be told.
    pub const UNKNOWN: u8 = 3;
    /// Interrupted by Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

impl RunResult {
    /// The exit code the run calls for: see [`exit`]. A run that checked nothing is not fine.
    pub fn exit_code(&self) -> u8 {
        let resources = || self.hosts.iter().flat_map(|host| host.resources.iter().map(Arc::as_ref));
        let is_wrong = |resource: &ResourceResult| {
            let undone = matches!(resource.action, Action::Failed { .. } | Action::NotReached | Action::NotSelected(_));
            resource.verdict.is_wrong() || undone
        };
        let failed = |host: &HostResult| matches!(host.outcome, HostOutcome::Failed(_));
        if resources().any(is_wrong) || self.hosts.iter().any(failed) {
            return exit::WRONG;
        }
        let is_open = |resource: &ResourceResult| {
            let untold = matches!(resource.verdict, Verdict::Unknown(_) | Verdict::Undecided { .. });
            untold || matches!(resource.action, Action::Lost(_))
        };
        let not_judged = self.hosts.iter().any(|host| host.outcome != HostOutcome::Judged);
        if not_judged || resources().any(is_open) || resources().next().is_none() {
            return exit::UNKNOWN;
        }
        exit::FINE
    }
}
