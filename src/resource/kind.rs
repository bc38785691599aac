//! What a kind is: its table, and the pure functions by which it is read and brought about.
//!
//! A kind never compares, never connects, and never sees variables, templates or secrets. Adding one is one file in `kinds/`
//! and one line in its list.

use super::attribute::{Attribute, Type};
use super::login::{self, TakenBack};
use super::observed::{Need, Observed};
use super::paths::Paths;
use super::probe::{Probe, ProbeAnswer};
use super::step::{Due, Step};
use super::want::Resource;

/// What is fixed about a kind.
#[derive(Debug)]
pub struct Table {
    /// The key people write.
    pub name: &'static str,
    /// Half a sentence for lists of kinds.
    pub summary: &'static str,
    /// The kind's own file (`include_str!`): its `//!` lines are the published page.
    pub source: &'static str,
    /// What the kind's key holds.
    pub identity: Identity,
    /// Whether roles may declare it.
    pub in_roles: bool,
    /// Whether specs may check it.
    pub in_specs: bool,
    /// Whether `state: present|absent` means anything for it.
    pub has_state: bool,
    /// All other keys, in the order in which they are documented and formatted.
    pub attributes: &'static [Attribute],
    /// Declarations that are documented, and proven on live hosts.
    pub examples: &'static [Example],
}

/// What the kind's own key holds.
#[derive(Debug)]
pub struct Identity {
    /// What it is called in messages: `path`.
    pub name: &'static str,
    /// What may be written.
    pub ty: Type,
    /// One sentence for the page.
    pub doc: &'static str,
}

/// A declaration that is shown on the page and proven on live hosts: applied, found in sync, spoilt, found, healed.
#[derive(Debug)]
pub struct Example {
    /// Entries of a role's `resources` (or, for a kind that only checks, of a spec's `checks`), YAML.
    pub yaml: &'static str,
    /// Ways to break it by hand.
    pub spoils: &'static [Spoil],
}

/// One way to break an example, and how a stranger would see that it is whole.
#[derive(Debug)]
pub struct Spoil {
    /// The address that must be reported, `kind:identity#attribute`.
    pub address: &'static str,
    /// Shell that breaks just that, run as root on the host. What only a spec checks must be whole again after a reboot.
    pub spoil: &'static str,
    /// Shell that succeeds exactly when it is whole, with the distribution's own tools.
    pub oracle: &'static str,
}

/// A mistake in what was declared, found by the kind itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// The attribute to point at; none for the resource.
    pub attribute: Option<&'static str>,
    /// A lowercase fragment.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What a change of something watched calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refresh {
    /// A command of its own (`on_change`).
    Run,
    /// A reload.
    Reload,
    /// A restart.
    Restart,
}

/// What a host has said to a batch of resources of one kind.
pub struct Answer<'a> {
    /// What the fragment printed; it is complete.
    pub text: &'a [u8],
    /// The answers to each resource's probes, in order.
    pub probes: &'a [Vec<ProbeAnswer>],
    /// What stands at the paths that resources are about ([`Kind::path`]).
    pub paths: &'a Paths,
}

/// One kind of thing.
pub trait Kind: Sync + Send {
    /// What is fixed about it.
    fn table(&self) -> &'static Table;

    /// The identity of a resource, from what its key holds and its other attributes.
    fn identity(&self, head: &str, _resource: &Resource) -> String {
        head.to_owned()
    }

    /// What is wrong with a declaration beyond the type of each attribute: a combination, a missing guard.
    fn mistakes(&self, _resource: &Resource) -> Vec<Mistake> {
        Vec::new()
    }

    /// Whether there is a state to judge at all. A command that always runs has none: it is reported as not observable, and
    /// `apply` runs it every time.
    fn is_observable(&self, _resource: &Resource) -> bool {
        true
    }

    /// The path on the host that the resource is about, if it is about one. What stands there is looked at for all kinds
    /// together, and is in each [`Answer`].
    fn path<'a>(&self, _resource: &'a Resource) -> Option<&'a str> {
        None
    }

    /// Whether the content of [`Kind::path`] can be shown as a diff.
    fn has_content(&self) -> bool {
        false
    }

    /// Shell that reads all these resources at once and prints what [`Kind::read`] understands. It runs in a subshell
    /// without input under `LC_ALL=C`; what it writes to standard error is not seen. Nothing, for kinds that need none.
    fn fragment(&self, _batch: &[&Resource]) -> String {
        String::new()
    }

    /// The user's commands whose answers are needed.
    fn probes(&self, _resource: &Resource) -> Vec<Probe> {
        Vec::new()
    }

    /// Exit statuses by which a guard of this resource says that it could not tell, beside 126 and 127.
    fn unknown_statuses(&self, _resource: &Resource) -> Vec<u8> {
        Vec::new()
    }

    /// Reads the answer: one observation for each resource of the batch, in order.
    fn read(&self, batch: &[&Resource], answer: &Answer<'_>) -> Vec<Observed>;

    /// What the answer says of the host beyond what is declared, which everybody should know: a fragment of a sentence each.
    fn remarks(&self, _answer: &[u8]) -> Vec<String> {
        Vec::new()
    }

    /// For kinds that edit a part of a file: which file.
    fn edits<'a>(&self, _resource: &'a Resource) -> Option<&'a str> {
        None
    }

    /// For kinds that edit a part of a file: the file's text after the edit. Must not change its own result.
    ///
    /// # Errors
    /// Why it cannot be edited, as a lowercase fragment.
    fn edit(&self, _resource: &Resource, old: Option<&str>) -> Result<String, String> {
        Ok(old.unwrap_or_default().to_owned())
    }

    /// What to do about a run of due resources, which stand next to each other in declared order. Together the steps name
    /// every one of them. Not called for kinds that edit.
    fn steps(&self, _due: &[Due<'_>]) -> Vec<Step> {
        Vec::new()
    }

    /// Whether bringing this resource about may provide what another one needs.
    fn provides(&self, _resource: &Resource, _need: &Need) -> bool {
        false
    }

    /// Shell that prints a line `<time> <digest> <name>` for what a watcher of this resource watches: the time of its last
    /// change (`stat`'s `%y` form, or seconds since 1970), a digest or version without spaces, a name. None if it cannot be watched.
    fn watch(&self, resource: &Resource) -> Option<String> {
        self.path(resource).map(|path| format!("watch_path {}", crate::base::quote::sh(path)))
    }

    /// Shell that reloads or restarts it.
    fn refresh(&self, _resource: &Resource, _how: Refresh) -> Option<String> {
        None
    }

    /// Shell that prints the [`super::RunsSince::invocation`] of what runs now, exactly as a reading has it.
    fn invocation(&self, _resource: &Resource) -> Option<String> {
        None
    }

    /// Shell that must succeed, with everything watched in place, before a reload or restart.
    fn validation<'a>(&self, _resource: &'a Resource) -> Option<&'a str> {
        None
    }

    /// Whether a change of it may keep `user`, who logs in to act, from logging in again.
    fn may_lock_out(&self, resource: &Resource, user: &str) -> bool {
        self.path(resource).or_else(|| self.edits(resource)).is_some_and(|path| login::decides(path, user))
    }

    /// How what the steps did about a due resource is taken back when nobody can log in afterwards.
    fn taken_back(&self, due: &Due<'_>) -> TakenBack {
        match self.path(due.resource).or_else(|| self.edits(due.resource)) {
            Some(_) => TakenBack::Kept,
            None => TakenBack::Never,
        }
    }

    /// Whether `version` satisfies the constraints, by the ordering of the package manager `manager`. Asked only for
    /// attributes compared by [`super::Compare::Version`].
    ///
    /// # Errors
    /// Why that cannot be told.
    fn version_holds(&self, _constraints: &str, _version: &str, _manager: &str) -> Result<bool, String> {
        Err("this kind has no versions".to_owned())
    }
}
