//! The flows: what happens between a project and its hosts, for each verb. The only place where the pure floors and the
//! transport meet.
//!
//! A flow knows nothing of terminals and files: what happens is told to [`Events`], what was found is a result.

mod apply;
mod conversation;
mod fleet;
mod keys;
mod plan;
mod proof;
mod results;
mod run;
pub mod runtime;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::act::Selection;
use crate::base::digest::Digest;
use crate::catalog::Resolver;
use crate::catalog::model::Project;
use crate::resource::result::HostResult;
use crate::transport::Transports;

pub use apply::apply;
pub use keys::{forget, host_keys};
pub use plan::plan;
pub use run::{CommandAnswer, CommandResult, run};
pub use verify::verify;

/// What every flow is told.
#[derive(Clone)]
pub struct Settings {
    /// What is declared.
    pub project: Arc<Project>,
    /// Resolves it for each host.
    pub resolver: Arc<Resolver>,
    /// The hosts to go to, by their index in the project, in order.
    pub hosts: Vec<usize>,
    /// How many hosts at a time.
    pub parallel: usize,
    /// How long one exchange with a host may take.
    pub deadline: Duration,
    /// How long the steps on a host may take.
    pub act_deadline: Duration,
    /// The way to hosts.
    pub transports: Transports,
    /// `user@machine` of whoever acts.
    pub who: String,
    /// What is applied from.
    pub revision: Revision,
    /// What may be acted on.
    pub selection: Selection,
    /// By host, what somebody saw in a plan and agreed to; `apply` begins with nothing else.
    pub confirmed: Option<Arc<Confirmed>>,
    /// Whether an older commit may replace a newer one.
    pub older: bool,
    /// Set from outside when the run shall end.
    pub interrupt: Interrupt,
}

/// By host, the addresses that a plan showed, each with what was found there ([`crate::resource::result::ResourceResult`]).
pub type Confirmed = BTreeMap<String, BTreeMap<String, Option<Digest>>>;

/// The commit that is applied, and how another one relates to it.
#[derive(Clone)]
pub struct Revision {
    /// The commit; none outside git.
    pub commit: Option<String>,
    /// Whether the work tree differs from it.
    pub is_dirty: bool,
    /// How a commit found on a host relates to ours.
    pub relation: Arc<dyn Fn(&str) -> Relation + Send + Sync>,
}

/// How a commit found on a host relates to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Ours, or one that ours is built on.
    Known,
    /// One that is built on ours: ours is older.
    Newer,
    /// This checkout does not have it, or it is on another branch.
    Unknown,
}

impl Revision {
    /// Outside git.
    pub fn none() -> Self {
        Self { commit: None, is_dirty: false, relation: Arc::new(|_| Relation::Unknown) }
    }

    /// As the record on a host has it: `+` behind a commit whose work tree was not clean, `-` without one.
    fn recorded(&self) -> String {
        match &self.commit {
            Some(commit) if self.is_dirty => format!("{commit}+"),
            Some(commit) => commit.clone(),
            None => "-".to_owned(),
        }
    }

    /// As people read it.
    fn shown(&self) -> Option<String> {
        let commit = self.commit.as_ref()?;
        Some(if self.is_dirty { format!("{commit}-dirty") } else { commit.clone() })
    }
}

/// A request to end: once to begin no new host, twice to let go of those that are under way.
#[derive(Clone, Default)]
pub struct Interrupt {
    level: Arc<AtomicU8>,
    changed: Arc<tokio::sync::Notify>,
}

impl Interrupt {
    /// Asks once more. Returns how often that has happened.
    pub fn ask(&self) -> u8 {
        let level = self.level.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        self.changed.notify_waiters();
        level
    }

    /// How often it was asked.
    pub fn level(&self) -> u8 {
        self.level.load(Ordering::SeqCst)
    }

    /// Comes back when it was asked at least `level` times.
    async fn reached(&self, level: u8) {
        loop {
            let changed = self.changed.notified();
            if self.level() >= level {
                return;
            }
            changed.await;
        }
    }
}

/// Sees what happens while it happens. Called from several tasks at once.
pub trait Events: Send + Sync {
    /// A host is begun.
    fn host_started(&self, _host: &str) {}
    /// A host has come to the next part of its way: `connect`, `observe`, `act`.
    fn host_phase(&self, _host: &str, _phase: &str) {}
    /// A step on a host begins or ends: its title.
    fn host_step(&self, _host: &str, _title: &str) {}
    /// A host is done.
    fn host_done(&self, _result: &HostResult) {}
}

/// Sees nothing.
pub struct Silent;
impl Events for Silent {}
