//! Composes an act: which steps, in which order, under which guards.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;

use super::command;
use super::files;
use super::lockout::{self, Guarded, Login};
use super::payload::Payload;
use super::refresh::{self, Cause};
use super::selection::Selection;
use crate::base::digest::Digest;
use crate::base::quote;
use crate::catalog::Catalog;
use crate::judge::Judged;
use crate::observe::{Applied, FileReading, Memory, Observations, Place, SHARED, Script, applied_line};
use crate::resource::result::{Action, Verdict};
use crate::resource::{Content, Due, FileWrite, Need, Refresh, Resource, Step, Still, TakenBack, Work};
use crate::wire::Nonce;

const PRELUDE: &str = include_str!("prelude.sh");
const START: &str = include_str!("start.sh");
const RUN: &str = include_str!("run.sh");

/// Who acts, and what for.
#[derive(Clone, Debug)]
pub struct Actor {
    /// `user@machine`.
    pub who: String,
    /// The commit that is applied, `+` behind it where the work tree was not clean; `-` without one.
    pub commit: String,
    /// The moment, in seconds since 1970.
    pub now: i64,
}

/// What composing came to.
#[derive(Debug)]
pub struct Composed {
    /// The act; none when there is nothing to do or to remember.
    pub act: Option<Act>,
    /// What is due but left out, and why.
    pub left_out: BTreeMap<usize, Action>,
}

/// An act, ready to be sent.
#[derive(Debug)]
pub struct Act {
    /// The archive.
    pub payload: Vec<u8>,
    /// What its frames are marked with.
    pub nonce: Nonce,
    /// The word by which the host remembers this act.
    pub run: Nonce,
    /// Its steps in order: step `n` answers with the frame `s<n>`.
    pub steps: Vec<ActStep>,
}

impl Act {
    /// Whether it waits for a second login.
    pub fn wants_proof(&self) -> bool {
        self.steps.iter().any(|step| step.proves_login)
    }
}

/// One step of an act.
#[derive(Clone, Debug, PartialEq)]
pub struct ActStep {
    /// The resources it brings about, by their index in the catalog.
    pub resources: Vec<usize>,
    /// What it does, for people.
    pub title: String,
    /// The earlier steps whose changes are put back when it fails.
    pub puts_back: Vec<usize>,
    /// Whether it validates, reloads, restarts or proves, and so has an effect only if something changed.
    pub is_refresh: bool,
    /// Whether it waits for a second login, to prove that the steps it would put back have locked nobody out.
    pub proves_login: bool,
}

/// A step before it has its number.
struct Slot {
    /// Where in declared order it belongs: the index of the last resource it is about.
    position: usize,
    /// Among those at the same place: a validation before a start before a refresh.
    rank: u8,
    resources: Vec<usize>,
    title: String,
    work: SlotWork,
}

enum SlotWork {
    Kind(Work),
    Validate(String),
    Refresh {
        resource: usize,
        standing: Option<Refresh>,
    },
    /// That one can still log in after what these slots did.
    Prove {
        after: Vec<usize>,
    },
}

impl SlotWork {
    /// What cannot be done, and is known to: it is tried in its turn like everything else, and ends the run with this message.
    fn failing(why: &str) -> Self {
        Self::Kind(Work::Shell(format!("fail {}\n", quote::always(why))))
    }
}

/// One host as it was declared, read and judged.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// What is declared.
    pub catalog: &'a Catalog,
    /// What was read.
    pub observations: &'a Observations,
    /// What is held of it.
    pub judged: &'a [Judged],
    /// Where the host remembers.
    pub place: &'a Place,
    /// Who logged in to act; nobody where it is this machine.
    pub login: Option<Login<'a>>,
}

/// Composes the act that brings about what is due and selected. `spent` holds commands that ran already: a command runs at most
/// once.
///
/// # Errors
/// When the payload cannot hold it.
pub fn compose(
    situation: Situation<'_>,
    selection: &Selection,
    spent: &BTreeSet<usize>,
    actor: &Actor,
    nonce: &Nonce,
) -> io::Result<Composed> {
    let Situation { catalog, observations, judged, place, login } = situation;
    let mut composer = Composer {
        catalog,
        observations,
        judged,
        login,
        due: Vec::new(),
        left_out: BTreeMap::new(),
        slots: Vec::new(),
    };
    let selection = &selection.among(&catalog.resources);
    composer.choose(selection, spent);
    composer.kinds();
    composer.edits();
    composer.refreshes(selection);
    composer.slots.sort_by_key(|slot| (slot.position, slot.rank));
    composer.proofs();

    let memory = observations.memory.clone().unwrap_or_default();
    let adopts = composer.adopted(&memory).next().is_some();
    let left_out = std::mem::take(&mut composer.left_out);
    if composer.slots.is_empty() && !adopts {
        return Ok(Composed { act: None, left_out });
    }
    let record = composer.record(memory.clone(), actor);
    let act = composer.write(record, &memory, actor, place, nonce)?;
    Ok(Composed { act: Some(act), left_out })
}

struct Composer<'a> {
    catalog: &'a Catalog,
    observations: &'a Observations,
    judged: &'a [Judged],
    login: Option<Login<'a>>,
    due: Vec<usize>,
    left_out: BTreeMap<usize, Action>,
    slots: Vec<Slot>,
}

impl<'a> Composer<'a> {
    fn resource(&self, index: usize) -> &'a Resource {
        &self.catalog.resources[index]
    }

    /// What is due and may be acted on.
    fn choose(&mut self, selection: &Selection, spent: &BTreeSet<usize>) {
        for (index, resource) in self.catalog.resources.iter().enumerate() {
            let judged = &self.judged[index];
            let always = judged.verdict == Verdict::NotObservable;
            if resource.is_check || spent.contains(&index) || !(judged.is_due() || always) {
                continue;
            }
            // Only that it is not current: that is a refresh, which has its own place.
            if judged.differs == ["current"] {
                continue;
            }
            match selection.excludes(resource) {
                Some(why) => {
                    self.left_out.insert(index, Action::NotSelected(why));
                }
                None => self.due.push(index),
            }
        }
    }

    /// The steps of kinds, runs of due resources of one kind together.
    fn kinds(&mut self) {
        let mut from = 0;
        while from < self.due.len() {
            // What may lock somebody out is a step of its own: what is taken back with it is nothing else.
            let sort = |index: usize| (self.resource(index).kind.table().name, self.decides_login(index));
            let first = sort(self.due[from]);
            let run = self.due[from..].iter().take_while(|index| sort(**index) == first).count();
            let members = self.due[from..from + run].to_vec();
            from += run;
            if self.resource(members[0]).kind.edits(self.resource(members[0])).is_some() {
                continue;
            }
            let differs: Vec<Vec<&'static str>> = members.iter().map(|index| self.differs(*index)).collect();
            let dues: Vec<Due<'_>> = members
                .iter()
                .zip(&differs)
                .map(|(index, differs)| Due {
                    resource: self.resource(*index),
                    observed: &self.observations.observed[*index],
                    differs,
                })
                .collect();
            for step in self.resource(members[0]).kind.steps(&dues) {
                let Step { items, title, work } = step;
                let resources: Vec<usize> = items.iter().filter_map(|item| members.get(*item).copied()).collect();
                let position = resources.iter().copied().max().unwrap_or(members[0]);
                let work = SlotWork::Kind(renumber(work, &members));
                self.slots.push(Slot { position, rank: 1, resources, title, work });
            }
        }
    }

    /// What differs of a resource, for its kind: without what the engine sees to itself.
    fn differs(&self, index: usize) -> Vec<&'static str> {
        let differs = &self.judged[index].differs;
        differs.iter().copied().filter(|name| *name != "current").collect()
    }

    /// One step for each file of which parts are due.
    fn edits(&mut self) {
        let mut paths: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for index in &self.due {
            if let Some(path) = self.resource(*index).kind.edits(self.resource(*index)) {
                paths.entry(path).or_default().push(*index);
            }
        }
        for (path, members) in paths {
            // A declared file holds the edits already.
            let whole = self.slots.iter_mut().find(|slot| match &slot.work {
                SlotWork::Kind(Work::Files(writes)) => {
                    writes.iter().any(|write| write.path == path && write.content.is_some() && !write.if_missing)
                }
                _ => false,
            });
            if let Some(whole) = whole {
                whole.resources.extend(members);
                continue;
            }
            // Not there yet: the next pass will know it.
            if members.iter().all(|index| matches!(self.judged[*index].verdict, Verdict::Undecided { .. })) {
                continue;
            }
            let position = members.iter().copied().max().unwrap_or_default();
            let title = format!("edit {path}");
            let (old, still) = match self.observations.files.get(path) {
                Some(FileReading::Content(bytes)) => (Some(bytes.as_slice()), Still::Digest(Digest::of(bytes))),
                Some(FileReading::Absent) => (None, Still::Absent),
                Some(FileReading::NoFolder) => {
                    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
                    let work = SlotWork::failing(&format!("{}: declare it first", Need::Parent(folder.to_owned())));
                    self.slots.push(Slot { position, rank: 1, resources: members, title, work });
                    continue;
                }
                _ => continue,
            };
            let (content, sensitive) = match self.folded(path, old) {
                Ok(folded) => folded,
                Err(why) => {
                    let work = SlotWork::failing(&format!("{path}: {why}"));
                    self.slots.push(Slot { position, rank: 1, resources: members, title, work });
                    continue;
                }
            };
            let write = FileWrite {
                item: position,
                path: path.to_owned(),
                content: Some(Content::new(content.into_bytes(), sensitive)),
                if_missing: false,
                owner: None,
                group: None,
                mode: None,
                parents: false,
                validate: None,
                still,
            };
            let work = SlotWork::Kind(Work::Files(vec![write]));
            self.slots.push(Slot { position, rank: 1, resources: members, title, work });
        }
    }

    /// The text of a file after all its edits, in declared order; those that are due but not selected are left out.
    fn folded(&self, path: &str, old: Option<&[u8]>) -> Result<(String, bool), String> {
        let mut text = old.map(|old| String::from_utf8_lossy(old).into_owned());
        let mut sensitive = false;
        for (index, resource) in self.catalog.resources.iter().enumerate() {
            let counts = !resource.is_check && resource.blocked.is_none() && !self.left_out.contains_key(&index);
            if counts && resource.kind.edits(resource) == Some(path) {
                text = Some(resource.kind.edit(resource, text.as_deref())?);
                sensitive |= resource.holds_secret();
            }
        }
        Ok((text.unwrap_or_default(), sensitive))
    }

    /// Validations and refreshes of what watches something that is due, or is not current.
    fn refreshes(&mut self, selection: &Selection) {
        for (index, resource) in self.catalog.resources.iter().enumerate().filter(|(_, resource)| !resource.is_check) {
            let members: Vec<usize> = resource
                .watches
                .iter()
                .filter(|watch| watch.refresh != Refresh::Run)
                .flat_map(|watch| watch.members.iter().copied())
                .filter(|member| self.due.contains(member))
                .collect();
            let last = members.iter().copied().max();
            if let (Some(command), Some(last)) = (resource.kind.validation(resource), last) {
                let validate = |position| Slot {
                    position,
                    rank: 0,
                    resources: vec![index],
                    title: format!("validate {}", resource.address.local()),
                    work: SlotWork::Validate(command.to_owned()),
                };
                // Before its own start, if that comes first, and before the refresh.
                if self.due.contains(&index) && last > index {
                    self.slots.push(validate(index));
                }
                self.slots.push(Slot { rank: if last > index { 2 } else { 0 }, ..validate(index.max(last)) });
            }
            let stale = self.judged[index].stale.as_ref();
            if members.is_empty() && stale.is_none() {
                continue;
            }
            if let Some(why) = selection.excludes(resource) {
                self.left_out.insert(index, Action::NotSelected(why));
                continue;
            }
            // What somebody else changed about logins cannot be put back: it is not taken up by the way.
            let by_itself = |refresh| refresh != Refresh::Restart && !self.decides_login(index);
            let allowed =
                stale.filter(|stale| stale.is_ours || by_itself(stale.refresh) || selection.restarts(resource));
            if stale.is_some() && allowed.is_none() {
                // What it watches is due as well: then it is refreshed for that, unless that may lock somebody out.
                let is_left = members.is_empty() || self.decides_login(index);
                if is_left && !self.due.contains(&index) {
                    let address = resource.address.to_string();
                    let why = format!("it was so before; restart it with --restart {}", quote::sh(&address));
                    self.left_out.insert(index, Action::NotSelected(why));
                }
                if is_left {
                    continue;
                }
            }
            let standing = allowed.map(|stale| stale.refresh);
            let calls_for = |refresh| {
                let is_due = |member: &usize| self.due.contains(member);
                let watches = resource.watches.iter().filter(|watch| watch.refresh == refresh);
                standing == Some(refresh) || watches.flat_map(|watch| &watch.members).any(is_due)
            };
            // Both may be called for: then the host decides, by what has changed in the end.
            let what = match (calls_for(Refresh::Reload), calls_for(Refresh::Restart)) {
                (_, true) if standing == Some(Refresh::Restart) => "restart",
                (true, true) => "reload or restart",
                (false, true) => "restart",
                _ => "reload",
            };
            self.slots.push(Slot {
                position: index.max(last.unwrap_or(index)),
                rank: 3,
                resources: vec![index],
                title: format!("{what} {}", resource.address.local()),
                work: SlotWork::Refresh { resource: index, standing },
            });
        }
    }

    /// After each row of steps that may lock out whoever logged in, one that has it proven that they did not; it answers for
    /// those of earlier rows as well.
    fn proofs(&mut self) {
        let mut after: Vec<usize> = Vec::new();
        let mut slots: Vec<Slot> = Vec::new();
        let mut is_proven = true;
        for slot in std::mem::take(&mut self.slots) {
            let may_lock_out = self.may_lock_out(&slot);
            if !may_lock_out && !is_proven {
                slots.push(Slot::proof(&slot, after.clone()));
                is_proven = true;
            }
            if may_lock_out {
                after.push(slots.len());
                is_proven = false;
            }
            slots.push(slot);
        }
        if let Some(last) = slots.last().filter(|_| !is_proven) {
            let proof = Slot::proof(last, after);
            slots.push(proof);
        }
        self.slots = slots;
    }

    /// Whether a change of this resource may keep whoever logged in from logging in again.
    fn decides_login(&self, index: usize) -> bool {
        let resource = self.resource(index);
        self.login.is_some_and(|login| resource.kind.may_lock_out(resource, login.user))
    }

    /// Whether what a slot does may: what it changes decides logins, or is taken up by it.
    fn may_lock_out(&self, slot: &Slot) -> bool {
        let decides = |index: &usize| self.decides_login(*index);
        match &slot.work {
            SlotWork::Kind(_) => slot.resources.iter().any(decides),
            SlotWork::Refresh { resource, .. } => {
                let mut watched = self.resource(*resource).watches.iter().flat_map(|watch| &watch.members);
                decides(resource) || watched.any(|member| self.due.contains(member) && decides(member))
            }
            SlotWork::Validate(_) | SlotWork::Prove { .. } => false,
        }
    }

    /// How what the slots before a proof did is taken back.
    fn guarded(&self, after: &[usize]) -> Vec<Guarded> {
        let guarded = |number: &usize| {
            let slot = &self.slots[*number];
            let (back, again) = match &slot.work {
                SlotWork::Refresh { resource, .. } => {
                    let resource = self.resource(*resource);
                    (Vec::new(), resource.kind.refresh(resource, Refresh::Restart))
                }
                _ => (slot.resources.iter().map(|index| self.taken_back(*index)).collect(), None),
            };
            Guarded { number: *number, title: slot.title.clone(), back, again }
        };
        after.iter().map(guarded).collect()
    }

    fn taken_back(&self, index: usize) -> TakenBack {
        let (resource, differs) = (self.resource(index), self.differs(index));
        resource.kind.taken_back(&Due { resource, observed: &self.observations.observed[index], differs: &differs })
    }

    /// Resources that are as declared, but not remembered as such: they are written down, so that a later change of the host
    /// is told from a change of the declaration.
    fn adopted(&self, memory: &'a Memory) -> impl Iterator<Item = (usize, &'a Resource)> + '_ {
        self.catalog.resources.iter().enumerate().filter(|(index, resource)| {
            let known = memory.applied.get(&resource.address.to_string());
            let is_known = known.is_some_and(|applied| applied.digest == resource.digest().short());
            !resource.is_check && self.judged[*index].verdict == Verdict::InSync && !is_known
        })
    }

    /// The record with which the act begins: orphans are kept (they are reported as such), what is in sync is adopted.
    fn record(&self, mut memory: Memory, actor: &Actor) -> String {
        let before = memory.clone();
        memory.epoch += 1;
        memory.commit = Some(actor.commit.clone()).filter(|commit| commit != "-");
        for (_, resource) in self.adopted(&before) {
            memory.applied.insert(resource.address.to_string(), applied(resource, actor));
        }
        memory.to_text()
    }

    fn write(self, record: String, memory: &Memory, actor: &Actor, place: &Place, nonce: &Nonce) -> io::Result<Act> {
        let mut payload = Payload::new();
        let mut order = String::new();
        let mut steps: Vec<ActStep> = Vec::new();
        // What a change will call for is written down before the change is made: a run that dies in between owes it still.
        let mut owes: BTreeMap<usize, String> = BTreeMap::new();
        // Steps whose changes a later one may put back are remembered only when that has passed.
        let answering = self.answering();
        let proofs = self.slots.iter().filter_map(|slot| match &slot.work {
            SlotWork::Prove { after } => after.first().copied(),
            _ => None,
        });
        let first_guarded = proofs.min();
        for (number, slot) in self.slots.iter().enumerate() {
            let mut text = String::from(". \"$d/prelude.sh\"\n");
            if answering.iter().any(|(_, members)| members.contains(&number)) {
                let _ = writeln!(text, "KEEP=\"$d/kept/{number}\"");
            }
            let mut puts_back = Vec::new();
            match &slot.work {
                SlotWork::Kind(Work::Shell(shell)) => text.push_str(shell),
                SlotWork::Kind(Work::Files(writes)) => {
                    let after: Vec<Vec<usize>> =
                        writes.iter().map(|write| self.providers(number, &write.path)).collect();
                    text.push_str(&files::script(number, writes, &after, &mut payload)?);
                }
                SlotWork::Kind(Work::Run { run, guards }) => {
                    text.push_str(&command::script(self.resource(slot.position), run, guards, memory, number));
                }
                SlotWork::Validate(command) => {
                    puts_back = answering.get(&number).cloned().unwrap_or_default();
                    text.push_str(&refresh::validation(command, &puts_back));
                }
                SlotWork::Refresh { resource, standing } => {
                    let cause = self.cause(number, *resource, *standing);
                    let address = &self.resource(*resource).address;
                    for (list, word) in [(&cause.reload, "reload"), (&cause.restart, "restart")] {
                        for step in list {
                            let _ = writeln!(owes.entry(*step).or_default(), "due\t{address}\t{word}");
                        }
                    }
                    match refresh::refresh(self.resource(*resource), &cause, number) {
                        Some(shell) => text.push_str(&shell),
                        None => text.push_str("exit 90\n"),
                    }
                }
                SlotWork::Prove { .. } => {}
            }
            if first_guarded == Some(number) {
                order.push_str(". \"$d/lockout.sh\"\narm\n");
            }
            if let SlotWork::Prove { after } = &slot.work {
                let steps = self.guarded(after);
                text.push_str(&lockout::taking_back(&steps));
                order.push_str(&lockout::waiting(number, &steps));
                puts_back.clone_from(after);
            } else {
                let _ = writeln!(order, "step {number} {}", quote::always(&slot.title));
            }
            payload.add(&format!("steps/{number}.sh"), text.as_bytes())?;
            steps.push(ActStep {
                resources: slot.resources.clone(),
                title: slot.title.clone(),
                puts_back,
                is_refresh: !matches!(slot.work, SlotWork::Kind(_)),
                proves_login: matches!(slot.work, SlotWork::Prove { .. }),
            });
        }
        for (number, slot) in self.slots.iter().enumerate().filter(|(_, slot)| matches!(slot.work, SlotWork::Kind(_))) {
            let lines: String = slot
                .resources
                .iter()
                .map(|index| {
                    applied_line(&self.resource(*index).address.to_string(), &applied(self.resource(*index), actor))
                })
                .collect();
            let holder =
                answering.iter().filter(|(_, members)| members.contains(&number)).map(|(holder, _)| *holder).max();
            // The last one that answers for a step holds its lines.
            payload.add(&format!("applied/{}.{number}", holder.unwrap_or(number)), lines.as_bytes())?;
        }
        for (number, lines) in &owes {
            payload.add(&format!("owes/{number}"), lines.as_bytes())?;
        }
        payload.add("steps.sh", order.as_bytes())?;
        payload.add("record", record.as_bytes())?;
        payload.add("prelude.sh", format!("{PRELUDE}\n{SHARED}\n").as_bytes())?;
        payload.add("start.sh", START.as_bytes())?;
        payload.add("run.sh", RUN.as_bytes())?;
        if first_guarded.is_some() {
            payload.add("lockout.sh", lockout::LOCKOUT.as_bytes())?;
        }
        payload.add("observe.sh", Script::compose(self.catalog, place, nonce).text.as_bytes())?;
        let run = Nonce::random().map_err(io::Error::other)?;
        let who = quote::always(&actor.who.replace(['\n', '\t'], " "));
        let settings = format!(
            "RUN={run}\nNONCE={nonce}\n{}EPOCH={}\nWHO={who}\nWITHIN={}\n",
            place.settings(),
            memory.epoch,
            self.login.map_or(0, |login| login.within.as_secs())
        );
        payload.add("settings", settings.as_bytes())?;
        Ok(Act { payload: payload.finish()?, nonce: nonce.clone(), run, steps })
    }

    /// For each step that may put others back, which those are: for a validation, those before it that bring about what its
    /// service watches.
    fn answering(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut all = BTreeMap::new();
        for (number, slot) in self.slots.iter().enumerate() {
            if let SlotWork::Prove { after } = &slot.work {
                all.insert(number, after.clone());
            }
            let (SlotWork::Validate(_), Some(service)) = (&slot.work, slot.resources.first()) else { continue };
            let members: BTreeSet<usize> =
                self.resource(*service).watches.iter().flat_map(|watch| watch.members.iter().copied()).collect();
            let covers = |slot: &Slot| {
                matches!(slot.work, SlotWork::Kind(_)) && slot.resources.iter().any(|index| members.contains(index))
            };
            let steps =
                self.slots[..number].iter().enumerate().filter(|(_, slot)| covers(slot)).map(|(number, _)| number);
            all.insert(number, steps.collect());
        }
        all
    }

    /// The earlier steps that may have made this path in the meantime.
    fn providers(&self, number: usize, path: &str) -> Vec<usize> {
        let need = Need::File(path.to_owned());
        let provides = |slot: &Slot| {
            slot.resources.iter().any(|index| self.resource(*index).kind.provides(self.resource(*index), &need))
        };
        let earlier = self.slots[..number].iter().enumerate();
        earlier
            .filter(|(_, slot)| matches!(slot.work, SlotWork::Kind(_)) && provides(slot))
            .map(|(number, _)| number)
            .collect()
    }

    /// What calls for the refresh of a resource. What came before its own start is taken by that.
    fn cause(&self, number: usize, index: usize, standing: Option<Refresh>) -> Cause {
        let mut cause = Cause { reload: Vec::new(), restart: Vec::new(), standing };
        for watch in &self.resource(index).watches {
            let list = match watch.refresh {
                Refresh::Run => continue,
                Refresh::Reload => &mut cause.reload,
                Refresh::Restart => &mut cause.restart,
            };
            for (earlier, slot) in self.slots[..number].iter().enumerate() {
                let is_member = slot.resources.iter().any(|resource| watch.members.contains(resource));
                if is_member && matches!(slot.work, SlotWork::Kind(_)) && !list.contains(&earlier) {
                    list.push(earlier);
                }
            }
        }
        cause
    }
}

impl Slot {
    /// A proof that comes right after `last`.
    fn proof(last: &Self, after: Vec<usize>) -> Self {
        let (position, title) = (last.position, lockout::TITLE.to_owned());
        Self { position, rank: 4, resources: Vec::new(), title, work: SlotWork::Prove { after } }
    }
}

/// The items of file writes refer to the due resources of their run; here they become indexes of the catalog.
fn renumber(work: Work, members: &[usize]) -> Work {
    match work {
        Work::Files(writes) => Work::Files(
            writes
                .into_iter()
                .map(|write| FileWrite { item: members.get(write.item).copied().unwrap_or_default(), ..write })
                .collect(),
        ),
        other => other,
    }
}

/// What is remembered of a resource that was applied.
fn applied(resource: &Resource, actor: &Actor) -> Applied {
    let names = std::iter::once("state").chain(resource.compared().map(|(attribute, _)| attribute.name));
    Applied {
        digest: resource.digest().short(),
        attributes: names.filter_map(|name| Some((name.to_owned(), resource.digest_of(name)?))).collect(),
        commit: actor.commit.clone(),
        who: actor.who.clone(),
        when: actor.now,
    }
}
