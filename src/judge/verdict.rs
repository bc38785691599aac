//! One host: every resource of its catalog gets its verdict.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::compare::{Comparison, compare, wanted};
use super::current::{Stale, stale};
use super::diff;
use crate::base::clean;
use crate::base::digest::Digest;
use crate::base::redact::MASK;
use crate::catalog::Catalog;
use crate::observe::{FileReading, Memory, Observations};
use crate::resource::result::{AttributeResult, OTHERWISE, Verdict};
use crate::resource::{Existence, Need, Observed, Refresh, Resource, State, Want};

/// What is held of one resource.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Of the resource as a whole.
    pub verdict: Verdict,
    /// Of each attribute that was declared; `state` first where it says something.
    pub attributes: Vec<AttributeResult>,
    /// Names of the attributes that differ, or that are undecided.
    pub differs: Vec<&'static str>,
    /// That it does not run its current configuration.
    pub stale: Option<Stale>,
    /// What it will be refreshed for if this run acts: watched resources that are due.
    pub follows: Vec<(Refresh, usize)>,
}

impl Judged {
    /// Whether something is to be done about it (or may be, once it is decided).
    pub fn is_due(&self) -> bool {
        self.verdict.is_wrong() || matches!(self.verdict, Verdict::Undecided { .. })
    }
}

/// Of when the verdicts speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Of now, whatever is due.
    AsItIs,
    /// Of a run: when the turn of a resource comes, what is due before it has been brought about.
    ARun,
}

/// Judges every resource, in order.
pub fn judge(catalog: &Catalog, observations: &Observations, outlook: Outlook) -> Vec<Judged> {
    let memory = observations.memory.as_ref().ok();
    let mut judged: Vec<Judged> = Vec::with_capacity(catalog.resources.len());
    for (index, resource) in catalog.resources.iter().enumerate() {
        let context = Context { catalog, resource, memory, outlook, earlier: &judged };
        let one = context.judge(index, observations);
        judged.push(one);
    }
    explain_staleness(catalog, &mut judged);
    judged
}

/// Stands for all that was found of a resource and is held against what is declared: two readings that an act would overwrite
/// alike, but that people see otherwise, have two digests. Of a file that is edited it is the whole file.
pub fn found(resource: &Resource, index: usize, observations: &Observations, judged: &Judged) -> Digest {
    let observed = &observations.observed[index];
    let mut text = format!("{:?}\n", observed.existence);
    for attribute in &judged.attributes {
        let name = attribute.name.as_str();
        // What is shown of a reading may be shortened or hidden.
        let told = match observed.reading(name) {
            Some(reading) => writeln!(text, "{name} {reading:?}"),
            None => writeln!(text, "{name} {}", attribute.got),
        };
        debug_assert!(told.is_ok(), "writing to memory does not fail");
    }
    if let Some(path) = resource.kind.edits(resource) {
        match observations.files.get(path) {
            Some(FileReading::Content(bytes)) => text.push_str(&Digest::of(bytes).to_string()),
            other => text.push_str(&format!("{other:?}")),
        }
    }
    Digest::of(text)
}

struct Context<'a> {
    catalog: &'a Catalog,
    resource: &'a Resource,
    memory: Option<&'a Memory>,
    outlook: Outlook,
    earlier: &'a [Judged],
}

impl Context<'_> {
    fn judge(&self, index: usize, observations: &Observations) -> Judged {
        let resource = self.resource;
        let mut one = Judged {
            verdict: Verdict::InSync,
            attributes: Vec::new(),
            differs: Vec::new(),
            stale: None,
            follows: Vec::new(),
        };
        if let Some(why) = &resource.blocked {
            one.verdict = Verdict::Unknown(why.clone());
            return one;
        }
        if !resource.is_check && !resource.kind.is_observable(resource) {
            one.verdict = Verdict::NotObservable;
            return one;
        }
        match resource.kind.edits(resource) {
            Some(path) => self.judge_edit(&mut one, path, observations.files.get(path)),
            None => self.judge_readings(&mut one, observations, index),
        }
        if !resource.is_check {
            self.judge_change_watch(&mut one, &observations.watched[index]);
            self.judge_guard(&mut one);
            let runs = observations.observed[index].runs.as_ref();
            match stale(resource, &observations.watched[index], runs, self.memory) {
                Ok(None) => {}
                Ok(Some(stale)) => {
                    let verdict = if stale.is_ours { Verdict::Pending } else { Verdict::Drifted };
                    one.add("current", verdict, "the configuration on disk", &stale.why, None);
                    one.stale = Some(stale);
                }
                Err(why) => one.add("current", Verdict::Unknown(why), "the configuration on disk", "", None),
            }
        }
        one.verdict = overall(&one.attributes);
        one
    }

    fn judge_edit(&self, one: &mut Judged, path: &str, reading: Option<&FileReading>) {
        let edit = |old: Option<&str>| self.resource.kind.edit(self.resource, old);
        let want = match self.resource.state {
            State::Present => "present",
            State::Absent => "absent",
        };
        let old = match reading {
            Some(FileReading::Content(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => Some(text),
                Err(_) => {
                    return one.add("state", Verdict::Unknown(format!("{path} is not UTF-8 text")), want, "", None);
                }
            },
            Some(FileReading::Absent) => None,
            // Where nothing is to be written, nothing is missing.
            Some(FileReading::NoFolder) if edit(None).is_ok_and(|new| new.is_empty()) => None,
            Some(FileReading::NoFolder) => {
                let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned();
                let need = Need::Parent(folder);
                return one.add("state", self.unready("state", &need), want, &need.to_string(), None);
            }
            Some(FileReading::Unknown(why)) => {
                return one.add("state", Verdict::Unknown(format!("{path}: {why}")), want, "", None);
            }
            None => return one.add("state", Verdict::Unknown(format!("{path} was not read")), want, "", None),
        };
        match edit(old) {
            Ok(new) if new == old.unwrap_or_default() => one.add("state", Verdict::InSync, want, want, None),
            Ok(new) => match edit(Some(&new)) {
                Ok(again) if again == new => {
                    let diff = diff::unified(path, old.unwrap_or_default().as_bytes(), new.as_bytes());
                    let diff = (!self.is_private(path)).then_some(diff);
                    one.add("state", self.wrong("state"), want, OTHERWISE, diff);
                }
                _ => {
                    let why = "its own result would be edited again; make `match` match the text it writes".to_owned();
                    one.add("state", Verdict::Unknown(why), want, "", None);
                }
            },
            Err(_) if old.is_none() => {
                let need = Need::File(path.to_owned());
                one.add("state", self.unready("state", &need), want, &need.to_string(), None);
            }
            Err(why) => one.add("state", Verdict::Unknown(why), want, "", None),
        }
    }

    /// Whether what is around an edit must not be shown: the file as a whole is declared to hold secrets.
    fn is_private(&self, path: &str) -> bool {
        let holds = |other: &Resource| {
            other.kind.path(other) == Some(path) && other.content().is_some_and(|content| content.sensitive)
        };
        self.resource.holds_secret() || self.catalog.resources.iter().any(holds)
    }

    fn judge_readings(&self, one: &mut Judged, observations: &Observations, index: usize) {
        let observed = &observations.observed[index];
        let table = self.resource.kind.table();
        // What has no state of its own is something to be done, unless it is a thing that cannot be there yet.
        let is_thing = table.has_state || matches!(observed.existence, Existence::Unready(_));
        let (present, absent) = if is_thing { ("present", "absent") } else { ("done", "not done") };
        let want = match self.resource.state {
            State::Present => present,
            State::Absent => absent,
        };
        let (verdict, got) = match (&observed.existence, self.resource.state) {
            (Existence::Unknown(why), _) => (Verdict::Unknown(why.clone()), String::new()),
            (Existence::Unready(need), _) => (self.unready("state", need), need.to_string()),
            (Existence::Other(what), _) => (self.wrong("state"), what.clone()),
            (Existence::Absent, State::Present) => (self.wrong("state"), absent.to_owned()),
            (Existence::Absent, State::Absent) => (Verdict::InSync, absent.to_owned()),
            (Existence::Present, State::Absent) => (self.wrong("state"), present.to_owned()),
            (Existence::Present, State::Present) => {
                if table.has_state || self.resource.compared().next().is_none() {
                    one.add("state", Verdict::InSync, want, present, None);
                }
                return self.judge_attributes(one, observed);
            }
        };
        one.add("state", verdict, want, &got, None);
        if self.resource.state == State::Present {
            self.list_attributes(one);
        }
    }

    /// The attributes of something that is not there (or of which that could not be told): they cannot be compared, but
    /// belong to what is declared, and a plan shows them.
    fn list_attributes(&self, one: &mut Judged) {
        for (attribute, want) in self.resource.compared() {
            let hidden = self.resource.hides(attribute.name);
            let shown = if hidden { MASK.to_owned() } else { wanted(want) };
            let path = self.resource.kind.path(self.resource);
            let diff = match (want, path) {
                (Want::Content(content), Some(path)) if !hidden => Some(diff::unified(path, b"", content.bytes())),
                _ => None,
            };
            one.add(attribute.name, Verdict::NotObservable, &shown, "", diff);
        }
    }

    fn judge_attributes(&self, one: &mut Judged, observed: &Observed) {
        for (attribute, want) in self.resource.compared() {
            let compared = compare(self.resource, attribute, want, observed);
            let verdict = match compared.comparison {
                Comparison::Same => Verdict::InSync,
                Comparison::Differs => self.wrong(attribute.name),
                Comparison::Unready(need) => self.unready(attribute.name, &need),
                Comparison::Unknown(why) => Verdict::Unknown(why),
            };
            let hidden = self.resource.hides(attribute.name);
            let shown = |text: String| if hidden && !text.is_empty() { MASK.to_owned() } else { text };
            one.add(attribute.name, verdict, &shown(compared.want), &shown(compared.got), None);
        }
    }

    /// A command that runs when something changes: due while what it watches is not what it last ran for.
    fn judge_change_watch(&self, one: &mut Judged, watched: &[Option<crate::observe::Watched>]) {
        let mut seen = Vec::new();
        for (watch, watched) in self.resource.watches.iter().zip(watched) {
            if watch.refresh != Refresh::Run {
                continue;
            }
            // What it watches is about to change: then so is the answer.
            let is_changing = |member: &&usize| {
                self.outlook == Outlook::ARun && self.earlier.get(**member).is_some_and(Judged::is_due)
            };
            if let Some(member) = watch.members.iter().rev().find(is_changing) {
                let after = self.catalog.resources[*member].address.clone();
                one.set_state(Verdict::Undecided { after, why: format!("{} may change", watch.target) }, "done", "");
                return;
            }
            match watched {
                Some(watched) => seen.push(watched),
                None => {
                    return one.set_state(Verdict::Unknown(format!("{} could not be read", watch.target)), "done", "");
                }
            }
        }
        // Its other guards must allow it as well: what they hold back is not due.
        if seen.is_empty() || !one.differs.contains(&"state") {
            return;
        }
        let digest = crate::observe::Watched::digest(seen).to_string();
        let ran = self.memory.and_then(|memory| memory.ran.get(&self.resource.address.to_string()));
        if ran == Some(&digest) {
            one.set_state(Verdict::InSync, "done for what it watches", "done for what it watches");
        } else {
            one.set_state(self.wrong("state"), "done for what it watches", "not done since that changed");
        }
    }

    /// What a user's guard said may be different once something earlier has been applied.
    fn judge_guard(&self, one: &mut Judged) {
        if self.outlook == Outlook::AsItIs || self.resource.kind.probes(self.resource).is_empty() {
            return;
        }
        if let Some(nearest) = (0..self.earlier.len()).rev().find(|index| self.earlier[*index].is_due()) {
            let after = self.catalog.resources[nearest].address.clone();
            one.set_state(
                Verdict::Undecided { after, why: "its guard may answer otherwise then".to_owned() },
                "done",
                "",
            );
        }
    }

    /// What a deviation of this attribute is called.
    fn wrong(&self, attribute: &str) -> Verdict {
        if self.resource.is_check {
            return Verdict::Failed;
        }
        let Some(memory) = self.memory else { return Verdict::Drifted };
        let Some(applied) = memory.applied.get(&self.resource.address.to_string()) else { return Verdict::Pending };
        let declared = self.resource.digest_of(attribute);
        if applied.attributes.get(attribute) == declared.as_ref() { Verdict::Drifted } else { Verdict::Pending }
    }

    /// Undecided if something earlier that is due may provide what is missing. Else it is known that what needs it cannot be as
    /// declared; only without a program to ask, nothing is known.
    fn unready(&self, attribute: &str, need: &Need) -> Verdict {
        let provider = (0..self.earlier.len()).rev().find(|index| {
            let resource = &self.catalog.resources[*index];
            self.earlier[*index].is_due() && !resource.is_check && resource.kind.provides(resource, need)
        });
        match provider {
            Some(index) if !self.resource.is_check => {
                Verdict::Undecided { after: self.catalog.resources[index].address.clone(), why: need.to_string() }
            }
            _ if matches!(need, Need::Tool(_)) => Verdict::Unknown(need.to_string()),
            _ => self.wrong(attribute),
        }
    }
}

impl Judged {
    fn add(&mut self, name: &'static str, verdict: Verdict, want: &str, got: &str, diff: Option<String>) {
        if verdict.is_wrong() || matches!(verdict, Verdict::Undecided { .. }) {
            self.differs.push(name);
        }
        let (want, got) = (clean::shorten(want, 500).into_owned(), clean::shorten(got, 500).into_owned());
        self.attributes.push(AttributeResult { name: name.to_owned(), verdict, want, got, diff });
    }

    /// Replaces what is held of the state.
    fn set_state(&mut self, verdict: Verdict, want: &str, got: &str) {
        self.attributes.retain(|attribute| attribute.name != "state");
        self.differs.retain(|name| *name != "state");
        self.add("state", verdict, want, got, None);
    }
}

/// The verdict of a resource: that of its worst attribute. Known deviations come before what could not be told, so that they
/// are acted on and seen.
fn overall(attributes: &[AttributeResult]) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::InSync => 0,
        Verdict::NotObservable => 1,
        Verdict::Unknown(_) => 2,
        Verdict::Undecided { .. } => 3,
        Verdict::Pending => 4,
        Verdict::Drifted => 5,
        Verdict::Failed => 6,
    };
    attributes
        .iter()
        .map(|attribute| &attribute.verdict)
        .max_by_key(|verdict| rank(verdict))
        .cloned()
        .unwrap_or(Verdict::InSync)
}

/// A watched file that is itself not as declared explains why its service is not current: one finding, not two. The service is
/// refreshed when the file is put right.
fn explain_staleness(catalog: &Catalog, judged: &mut [Judged]) {
    let mut due_paths: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, resource) in catalog.resources.iter().enumerate().filter(|(index, _)| judged[*index].is_due()) {
        if let Some(path) = resource.kind.path(resource).or_else(|| resource.kind.edits(resource)) {
            due_paths.insert(path, index);
        }
    }
    for (index, resource) in catalog.resources.iter().enumerate() {
        let members = resource.watches.iter().filter(|watch| watch.refresh != Refresh::Run);
        let due = members.flat_map(|watch| watch.members.iter().map(move |member| (watch.refresh, *member)));
        judged[index].follows = due.filter(|(_, member)| judged[*member].is_due()).collect();
        let is_explained = judged[index].stale.as_ref().is_some_and(|stale| {
            !stale.is_ours
                && !stale.names.is_empty()
                && !judged[index].follows.is_empty()
                && stale.names.iter().all(|name| is_explained_by(&due_paths, name))
        });
        if is_explained {
            judged[index].stale = None;
            judged[index].attributes.retain(|attribute| attribute.name != "current");
            judged[index].differs.retain(|name| *name != "current");
            judged[index].verdict = overall(&judged[index].attributes);
        }
    }
}

/// Whether something that is due stands behind the name: the thing itself, or, as a folder's time changes with its entries,
/// something in it.
fn is_explained_by(due_paths: &BTreeMap<&str, usize>, name: &str) -> bool {
    let is_inside = |path: &&str| path.rsplit_once('/').is_some_and(|(folder, _)| folder == name);
    due_paths.contains_key(name) || due_paths.keys().any(is_inside)
}
