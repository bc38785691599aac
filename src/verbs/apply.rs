//! `apply`: observe, judge, act and observe again, at most three times.
//!
//! What is reported as changed was seen to be so afterwards. A run whose connection is lost goes on at the host; we come back
//! and look how it ended before saying anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::conversation::{Conversation, Read, Stop, failed, nonce, not_told, trouble, unreachable};
use super::fleet::{self, Found};
use super::proof::Proofs;
use super::verify::wait_for_checks;
use super::{Events, Settings, results};
use crate::act::{
    self, Act, ActOutcome, ActStep, Actor, Agreement, Begun, Composed, Login, Selection, Situation, StepOutcome,
};
use crate::catalog::Catalog;
use crate::judge;
use crate::observe::LastRun;
use crate::resource::Resource;
use crate::resource::result::{Action, HostOutcome, ResourceResult, RunResult, Verb, Verdict};
use crate::transport::{End, Exec};
use crate::wire::{self, Frames};

/// How often a host is acted on in one run: once, again for what could only be decided then, and once more.
const PASSES: usize = 3;

/// How much an act may print.
const ANSWER_LIMIT: usize = 64 << 20;

/// How the program that receives an act ends when there is no room for it, and when it did not arrive whole.
const NO_SPACE: u32 = 74;
const CUT: u32 = 75;

/// How the program that follows an act ends when the act is gone without an end: killed.
const RUN_IS_GONE: u32 = 76;

/// Brings every host to what is declared.
pub async fn apply(settings: &Settings, events: &Arc<dyn Events>) -> RunResult {
    fleet::each(
        settings,
        Verb::Apply,
        events,
        Arc::new(|settings, index, events| Box::pin(one(settings, index, events))),
    )
    .await
}

async fn one(settings: Settings, index: usize, events: Arc<dyn Events>) -> Result<Found, Stop> {
    let host = &settings.project.hosts[index];
    let mut conversation = Conversation::open(&settings, events.as_ref(), host).await?;
    let catalog = conversation.catalog().await?;
    let mut read = conversation.read(&catalog).await?;
    let mut notes = results::notes(&settings, &read);
    let mut progress = Progress::new(&read);
    let mut outcome = HostOutcome::Judged;
    let selection = selection(&settings, &host.name, &read);
    for pass in 0..PASSES {
        let Some(act) = progress.compose(&settings, &selection, &conversation, &read)? else { break };
        if let Err(stop) = may_act(&settings, &read) {
            outcome = stopped(stop);
            break;
        }
        if pass == 0 {
            conversation.add_diffs(&mut read).await?;
            progress.before = results::of(&read, Verb::Apply);
        }
        events.host_phase(&host.name, "act");
        let (pass, bytes) = (pass + 1, act.payload.len());
        tracing::debug!("{}: act, pass {pass}: {} steps in {bytes} bytes", host.name, act.steps.len());
        for (number, step) in act.steps.iter().enumerate() {
            tracing::debug!("{}: step {number}: {}", host.name, step.title);
        }
        match conversation.act(&act, &catalog).await {
            // It was not begun: what was due is still due, and what earlier passes did is still so.
            Ok(Acted::NotBegun(stop)) => {
                outcome = stopped(stop);
                break;
            }
            Ok(Acted::Begun { told, read: after }) => {
                progress.take(&act, &told, &read, &after);
                let boots = (&read.observations.host.boot, &after.observations.host.boot);
                if let (Some(before), Some(now)) = boots
                    && before != now
                {
                    notes.push("the host was restarted during this run".to_owned());
                }
                read = *after;
                if progress.has_failed() || act.steps.is_empty() {
                    break;
                }
            }
            Err(Stop::Failed(trouble)) => {
                outcome = HostOutcome::Failed(trouble);
                progress.lose(&act);
                break;
            }
            Err(Stop::Unreachable(trouble)) => {
                outcome = HostOutcome::Unreachable(trouble);
                progress.lose(&act);
                break;
            }
        }
    }
    if outcome == HostOutcome::Judged {
        wait_for_checks(&mut conversation, &mut read).await?;
    }
    let found = Found {
        resources: progress.results(&read),
        notes,
        roles: catalog.roles.clone(),
        outcome,
        channels: conversation.channels(),
    };
    conversation.session.close().await;
    Ok(found)
}

/// What would be done about what was read, and what is left out.
pub(super) fn compose(
    settings: &Settings,
    selection: &Selection,
    spent: &BTreeSet<usize>,
    conversation: &Conversation<'_>,
    read: &Read,
) -> Result<Composed, Stop> {
    let actor = Actor {
        who: settings.who.clone(),
        commit: settings.revision.recorded(),
        now: jiff::Timestamp::now().as_second(),
    };
    let situation = Situation {
        catalog: &read.catalog,
        observations: &read.observations,
        judged: &read.judged,
        place: &conversation.place,
        login: conversation.session.login().map(|user| Login { user, within: settings.project.login_within }),
    };
    act::compose(situation, selection, spent, &actor, &nonce()?)
        .map_err(|error| failed("act", format!("the steps cannot be packed: {error}"), None))
}

/// What may be acted on: of what is due now, only what was agreed to, and only while it is found as it was shown. What becomes
/// due, or is found otherwise, by the act itself belongs to it.
fn selection(settings: &Settings, host: &str, read: &Read) -> Selection {
    let Some(confirmed) = &settings.confirmed else { return settings.selection.clone() };
    let shown = confirmed.get(host);
    let agreement = |(index, resource): (usize, &Resource)| {
        let (address, judged) = (resource.address.to_string(), &read.judged[index]);
        let agreement = match shown.and_then(|shown| shown.get(&address)) {
            _ if !judged.is_due() => Agreement::Given,
            Some(found) if *found == Some(judge::found(resource, index, &read.observations, judged)) => {
                Agreement::Given
            }
            Some(_) => Agreement::Outdated,
            None => Agreement::None,
        };
        (address, agreement)
    };
    let resources = read.catalog.resources.iter().enumerate().filter(|(_, resource)| !resource.is_check);
    settings.selection.confirmed(resources.map(agreement).collect())
}

fn stopped(stop: Stop) -> HostOutcome {
    match stop {
        Stop::Unreachable(trouble) => HostOutcome::Unreachable(trouble),
        Stop::Failed(trouble) => HostOutcome::Failed(trouble),
    }
}

/// Whether this checkout may act on the host: it must know what was applied there last. A plan says as much in a note.
fn may_act(settings: &Settings, read: &Read) -> Result<(), Stop> {
    let memory = match &read.observations.memory {
        Ok(memory) => memory,
        Err(why) => return Err(failed("act", why.clone(), None)),
    };
    match results::foreign(settings, memory).filter(|_| !settings.older) {
        None => Ok(()),
        Some(message) => {
            Err(failed("act", message, Some("update the checkout, or say --older if it shall be reverted")))
        }
    }
}

/// What an act that was sent came to.
enum Acted {
    /// It was begun: how it went, and the closing observation.
    Begun { told: ActOutcome, read: Box<Read> },
    /// It was not, and why.
    NotBegun(Stop),
}

impl Acted {
    fn of(told: ActOutcome, read: Read) -> Self {
        match not_begun(&told.begun) {
            None => Self::Begun { told, read: Box::new(read) },
            Some(stop) => Self::NotBegun(stop),
        }
    }
}

/// Why an act was not begun; none when it was.
fn not_begun(begun: &Begun) -> Option<Stop> {
    let by = |who: &str| if who.is_empty() { "somebody".to_owned() } else { who.to_owned() };
    Some(match begun {
        Begun::Yes => return None,
        Begun::Locked(who) => {
            failed("act", format!("locked by {}", by(who)), Some("wait until that run has ended, then run again"))
        }
        Begun::Moved(who) => failed(
            "act",
            format!("{} acted on this host after it was read; nothing was done", by(who)),
            Some("run again"),
        ),
        Begun::NoMemory(why) => failed(
            "act",
            why.clone(),
            Some("nothing was done: without its record, a later run could not tell drift from a change"),
        ),
        Begun::NotTold => Stop::Unreachable(trouble(
            "act",
            "the connection was lost before the steps had arrived; nothing was done".to_owned(),
            Some("run again"),
        )),
    })
}

impl Conversation<'_> {
    /// Sends an act, follows it, and reads its closing observation.
    async fn act(&mut self, act: &Act, catalog: &Arc<Catalog>) -> Result<Acted, Stop> {
        let mut frames = Frames::new(&act.nonce);
        let (events, host) = (self.events, self.host.name.clone());
        let (ask, asked) = mpsc::unbounded_channel();
        let mut take = |bytes: &[u8]| {
            for id in frames.push(bytes) {
                if let Some(number) = act::asks_for_login(&id) {
                    // Nobody listens any more: then the host takes it back.
                    let _ = ask.send(number);
                }
                let step = id.strip_prefix('s').and_then(|number| number.parse::<usize>().ok());
                if let Some(step) = step.and_then(|number| act.steps.get(number)) {
                    events.host_step(&host, &step.title);
                }
            }
        };
        let deadline = self.settings.act_deadline;
        let exec = Exec {
            program: &wire::act(&act.payload),
            input: Bytes::from(act.payload.clone()),
            idle: deadline,
            deadline,
            limit: ANSWER_LIMIT,
            on_output: Some(&mut take),
        };
        let mut proofs = Proofs::new(self.settings, self.events, self.host, &self.place, act);
        let answer = tokio::select! {
            answer = self.session.exec(exec) => Some(answer),
            () = proofs.give(asked) => None,
        };
        let Proofs { channels, refused, .. } = proofs;
        self.earlier_channels += channels;
        let refused = refused.as_deref();
        let answer = match answer {
            Some(Ok(answer)) => answer,
            Some(Err(failure)) if failure.before_anything_ran => return Ok(Acted::NotBegun(unreachable(failure))),
            Some(Err(failure)) => return Err(unreachable(failure)),
            // Our own connection went with the others.
            None => return self.come_back(act, catalog, ActOutcome::read(act, &frames), refused).await,
        };
        let told = ActOutcome::read(act, &frames).because(act, refused);
        if told.is_whole {
            return Ok(Acted::of(told, self.judged(catalog, &frames)));
        }
        match (&told.begun, &answer.end) {
            (refused @ (Begun::Locked(_) | Begun::Moved(_) | Begun::NoMemory(_)), _) => {
                not_begun(refused).map(Acted::NotBegun).ok_or_else(|| not_told(&answer, "act", deadline))
            }
            (_, End::Lost(_) | End::IdleTimeout | End::Signal(_) | End::Deadline | End::Exit(RUN_IS_GONE)) => {
                self.come_back(act, catalog, told, refused).await
            }
            (Begun::NotTold, End::Exit(NO_SPACE | CUT | 126 | 127)) => {
                Ok(Acted::NotBegun(not_told(&answer, "act", deadline)))
            }
            (Begun::NotTold, _) => Err(not_told(&answer, "act", deadline)),
            _ => self.come_back(act, catalog, told, refused).await,
        }
    }

    /// The connection was lost while the act went on, or the act was killed. Connects again, waits until the host's lock is
    /// free, and looks.
    async fn come_back(
        &mut self,
        act: &Act,
        catalog: &Arc<Catalog>,
        told: ActOutcome,
        refused: Option<&str>,
    ) -> Result<Acted, Stop> {
        self.events.host_phase(&self.host.name, "reconnect");
        let began = Instant::now();
        let mut looks = 0;
        let mut pause = Duration::from_millis(500);
        let mut last = trouble(
            "act",
            "the connection was lost during the act".to_owned(),
            Some("what it had begun goes on; run again to see how it ended"),
        );
        while began.elapsed() < self.settings.act_deadline {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
            if act.wants_proof() {
                // Being here again is the proof, if it is still waited for.
                let mut proofs = Proofs::new(self.settings, self.events, self.host, &self.place, act);
                proofs.come_back().await;
                self.earlier_channels += proofs.channels;
            }
            let again = match Conversation::open(self.settings, self.events, self.host).await {
                Ok(mut again) => again.read(catalog).await.map(|read| (again, read)),
                Err(stop) => Err(stop),
            };
            match again {
                Ok((again, read)) => {
                    self.replace(again);
                    let Ok(memory) = &read.observations.memory else { continue };
                    // What had arrived may begin a moment after the connection was lost.
                    let is_ours = memory.run.as_deref() == Some(act.run.to_string().as_str());
                    let may_come = !is_ours && looks == 0;
                    looks += 1;
                    if may_come || matches!(memory.last, LastRun::Going(_)) {
                        continue;
                    }
                    if is_ours && matches!(memory.last, LastRun::Unfollowed(_)) {
                        let script = act::seen_script(act, &self.place, &nonce()?);
                        // If that does not arrive, the next run says once more how this one ended.
                        let _ = self.ask(&script, "act").await;
                    }
                    let told = told.completed(act, memory).because(act, refused);
                    return Ok(Acted::of(told, read));
                }
                Err(Stop::Unreachable(why) | Stop::Failed(why)) => {
                    last.message = format!(
                        "the connection was lost during the act, and the host cannot be reached again: {}",
                        why.message
                    );
                    // A host that was cut off for good is not waited for as long as a long act is.
                    if began.elapsed() > Duration::from_secs(60) {
                        break;
                    }
                }
            }
        }
        Err(Stop::Unreachable(last))
    }
}

/// A resource that was acted on.
struct Tried {
    /// What was not as declared before it was acted on first.
    found: Vec<String>,
    /// How often it was acted on.
    times: usize,
}

/// What was done so far, over the passes.
struct Progress {
    before: Vec<ResourceResult>,
    actions: BTreeMap<usize, Action>,
    /// Commands that ran: none runs twice.
    spent: BTreeSet<usize>,
    /// What was acted on: due again with what was found before is a fight.
    tried: BTreeMap<usize, Tried>,
    left_out: BTreeMap<usize, Action>,
    /// Whether the last act was lost sight of: then what was read before it says nothing any more.
    is_lost: bool,
}

impl Progress {
    fn new(read: &Read) -> Self {
        Self {
            before: results::of(read, Verb::Apply),
            actions: BTreeMap::new(),
            spent: BTreeSet::new(),
            tried: BTreeMap::new(),
            left_out: BTreeMap::new(),
            is_lost: false,
        }
    }

    /// The next act; none when nothing is to be done.
    fn compose(
        &mut self,
        settings: &Settings,
        selection: &Selection,
        conversation: &Conversation<'_>,
        read: &Read,
    ) -> Result<Option<Act>, Stop> {
        let composed = compose(settings, selection, &self.spent, conversation, read)?;
        self.left_out = composed.left_out;
        Ok(composed.act)
    }

    /// Takes in how an act went.
    fn take(&mut self, act: &Act, told: &ActOutcome, before: &Read, after: &Read) {
        for (step, went) in act.steps.iter().zip(&told.steps) {
            for index in &step.resources {
                let action = match went {
                    StepOutcome::Done => Action::Changed { title: step.title.clone() },
                    StepOutcome::Nothing => continue,
                    StepOutcome::Failed(_) if got_through(after, step, *index) => {
                        Action::Changed { title: step.title.clone() }
                    }
                    StepOutcome::Failed(log) => Action::Failed { title: step.title.clone(), message: log.clone() },
                    StepOutcome::PutBack(log) => {
                        Action::Failed { title: step.title.clone(), message: format!("it was put back:\n{log}") }
                    }
                    StepOutcome::NotReached => Action::NotReached,
                    StepOutcome::NotTold => Action::Lost(format!("{}: its end was not told", step.title)),
                };
                let resource = &before.catalog.resources[*index];
                if resource.kind.edits(resource).is_none()
                    && !resource.kind.probes(resource).is_empty()
                    && !step.is_refresh
                {
                    self.spent.insert(*index);
                }
                if before.judged[*index].verdict == Verdict::NotObservable {
                    self.spent.insert(*index);
                }
                if let Action::Changed { .. } = action {
                    // A refresh that follows a start is part of it.
                    if step.is_refresh && matches!(self.actions.get(index), Some(Action::Failed { .. })) {
                        continue;
                    }
                }
                self.actions.insert(*index, action);
            }
        }
        self.find_fights(act, told, before, after);
    }

    /// A resource that was brought about in this run, and is due again with what was found before, is undone by something.
    fn find_fights(&mut self, act: &Act, told: &ActOutcome, before: &Read, after: &Read) {
        let done =
            act.steps.iter().zip(&told.steps).filter(|(step, went)| **went == StepOutcome::Done && !step.is_refresh);
        let acted: BTreeSet<usize> = done.flat_map(|(step, _)| step.resources.iter().copied()).collect();
        for index in &acted {
            let tried =
                self.tried.entry(*index).or_insert_with(|| Tried { found: deviations(before, *index), times: 0 });
            tried.times += 1;
        }
        let is_again = |(index, tried): (&usize, &Tried)| {
            // A command runs once: whatever its guard said before, it must be content afterwards.
            let is_same = is_command(after, *index) || deviations(after, *index) == tried.found;
            (is_same && after.judged[*index].verdict.is_wrong()).then_some((*index, tried.times))
        };
        let again: Vec<(usize, usize)> = self.tried.iter().filter_map(is_again).collect();
        for (index, times) in again {
            // What a command did in this very act says nothing of the others in it: it may just have had no effect.
            let may_fight = !is_command(after, index) || !acted.contains(&index);
            let rival = acted
                .iter()
                .filter(|other| may_fight && **other != index)
                .filter_map(|other| Some((nearness(after, index, *other)?, *other)))
                .min_by_key(|(nearness, _)| *nearness)
                .map(|(_, other)| other);
            let state = deviations(after, index).join(", ");
            let message = match rival {
                Some(rival) => {
                    let other = &after.catalog.resources[rival].address;
                    format!("it fights with {other}: afterwards it was again {state}")
                }
                None if times > 1 || is_command(after, index) => {
                    format!("it did not have the effect it should: afterwards it was still {state}")
                }
                // One more pass may decide it: a package's script may have undone it after our step.
                None => continue,
            };
            let title = act.steps.iter().find(|step| step.resources.contains(&index)).map(|step| step.title.clone());
            let title = title.or_else(|| match self.actions.get(&index) {
                Some(Action::Changed { title }) => Some(title.clone()),
                _ => None,
            });
            self.actions.insert(index, Action::Failed { title: title.unwrap_or_default(), message });
        }
    }

    fn has_failed(&self) -> bool {
        self.actions.values().any(|action| matches!(action, Action::Failed { .. } | Action::Lost(_)))
    }

    /// The act was begun, and nothing was read after it.
    fn lose(&mut self, act: &Act) {
        self.is_lost = true;
        for step in &act.steps {
            for index in &step.resources {
                self.actions.insert(*index, Action::Lost(step.title.clone()));
            }
        }
    }

    /// The results: how everything is now, how it was, and what was done.
    fn results(mut self, read: &Read) -> Vec<ResourceResult> {
        let now = results::of(read, Verb::Apply);
        now.into_iter()
            .enumerate()
            .map(|(index, mut result)| {
                result.before = std::mem::take(&mut self.before[index].attributes);
                if self.is_lost {
                    forget(&mut result);
                }
                result.action = match self.actions.remove(&index) {
                    // It was done, but what was seen afterwards says otherwise.
                    Some(Action::Changed { title }) if result.verdict.is_wrong() => {
                        let found = result.attributes.iter().find(|attribute| attribute.verdict.is_wrong());
                        let found = found.map(|attribute| {
                            format!("{} is {}, declared {}", attribute.name, attribute.got, attribute.want)
                        });
                        Action::Failed {
                            title,
                            message: format!("it was done, but afterwards {}", found.unwrap_or_default()),
                        }
                    }
                    Some(action) => action,
                    None => match self.left_out.remove(&index) {
                        Some(action) if result.verdict != Verdict::InSync => action,
                        _ if result.verdict.is_wrong() && !result.is_check => Action::NotReached,
                        _ => Action::None,
                    },
                };
                result
            })
            .collect()
    }
}

/// Whether this resource is as declared after a step that failed for others of its resources.
fn got_through(after: &Read, step: &ActStep, index: usize) -> bool {
    let is_done = |index: usize| after.judged[index].verdict == Verdict::InSync;
    is_done(index) && !step.resources.iter().all(|other| is_done(*other))
}

/// What is not as declared about a resource, in words.
fn deviations(read: &Read, index: usize) -> Vec<String> {
    let attributes = read.judged[index].attributes.iter().filter(|attribute| attribute.verdict.is_wrong());
    attributes.map(|attribute| format!("{}: {} instead of {}", attribute.name, attribute.got, attribute.want)).collect()
}

/// An observation is valid until something acts.
fn forget(result: &mut ResourceResult) {
    let unknown = || Verdict::Unknown("it was not read again after the act".to_owned());
    result.verdict = unknown();
    for attribute in &mut result.attributes {
        attribute.verdict = unknown();
        attribute.got.clear();
        attribute.diff = None;
    }
}

/// Whether one resource may undo the other, the likeliest first: it is about the same path; one lies in the other; it is a
/// command, which may touch anything.
fn nearness(read: &Read, one: usize, other: usize) -> Option<u8> {
    let path = |index: usize| {
        let resource = &read.catalog.resources[index];
        resource.kind.path(resource).or_else(|| resource.kind.edits(resource))
    };
    let is_in = |inner: &str, outer: &str| inner.starts_with(&format!("{outer}/"));
    match (path(one), path(other)) {
        (Some(one), Some(other)) if one == other => Some(0),
        (Some(one), Some(other)) if is_in(one, other) || is_in(other, one) => Some(1),
        (Some(_), Some(_)) => None,
        _ => (is_command(read, one) || is_command(read, other)).then_some(2),
    }
}

fn is_command(read: &Read, index: usize) -> bool {
    let resource = &read.catalog.resources[index];
    !resource.kind.probes(resource).is_empty()
}
