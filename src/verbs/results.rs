//! From a judgement to what a report may know.

use std::collections::BTreeMap;

use super::conversation::Read;
use super::{Relation, Settings};
use crate::base::clean;
use crate::catalog::Catalog;
use crate::judge;
use crate::observe::{Applied, LastRun, Memory};
use crate::resource::result::{Action, AttributeResult, ResourceResult, Verb, Verdict};
use crate::resource::{ABSENT, Refresh};

/// The results of a host that was read, and of which nothing is left out, before anything is done about it.
pub(super) fn of(read: &Read, verb: Verb) -> Vec<ResourceResult> {
    results(read, verb, &BTreeMap::new())
}

/// What apply would do about a host that was read, but for what it leaves out.
pub(super) fn planned(read: &Read, mut left_out: BTreeMap<usize, Action>) -> Vec<ResourceResult> {
    let mut results = results(read, Verb::Plan, &left_out);
    for (index, result) in results.iter_mut().enumerate() {
        if let Some(action) = left_out.remove(&index).filter(|_| result.verdict != Verdict::InSync) {
            result.action = action;
        }
    }
    results
}

fn results(read: &Read, verb: Verb, left_out: &BTreeMap<usize, Action>) -> Vec<ResourceResult> {
    let all = read.catalog.resources.iter().zip(&read.judged);
    all.enumerate()
        .map(|(index, (resource, judged))| {
            let mut attributes = judged.attributes.clone();
            let mut verdict = judged.verdict.clone();
            // A reload that will follow is part of what apply would do.
            let follows = judged.follows.iter().filter(|(_, member)| !left_out.contains_key(member)).max();
            if let (Some((refresh, member)), Verb::Plan, None) = (follows, verb, &judged.stale) {
                let after = read.catalog.resources[*member].address.clone();
                let word = if *refresh == Refresh::Restart { "restart" } else { "reload" };
                let follows = Verdict::Undecided { after, why: format!("{word} if that changes") };
                if verdict == Verdict::InSync {
                    verdict = follows.clone();
                }
                attributes.push(AttributeResult {
                    name: "current".to_owned(),
                    verdict: follows,
                    want: "the configuration on disk".to_owned(),
                    got: String::new(),
                    diff: None,
                });
            }
            ResourceResult {
                address: resource.address.clone(),
                is_check: resource.is_check,
                severity: resource.severity,
                file: resource.span.path().to_string_lossy().into_owned(),
                line: resource.span.line(),
                verdict,
                before: attributes.clone(),
                attributes,
                action: Action::None,
                found: (verb == Verb::Plan).then(|| judge::found(resource, index, &read.observations, judged)),
            }
        })
        .collect()
}

/// What there is to say about a host beside its resources.
pub(super) fn notes(settings: &Settings, read: &Read) -> Vec<String> {
    let observations = &read.observations;
    let mut notes = Vec::new();
    match &observations.memory {
        Ok(memory) => {
            notes.extend(last_run(&memory.last));
            notes.extend(orphans(&read.catalog, memory));
            if let Some(foreign) = foreign(settings, memory) {
                let refused = if settings.older { "" } else { "; apply refuses to act from here without --older" };
                notes.push(format!("{foreign}{refused}"));
            }
        }
        Err(why) => notes.push(why.clone()),
    }
    if let Some(now) = observations.host.now {
        let skew = now - jiff::Timestamp::now().as_second();
        if skew.abs() > 300 {
            notes.push(format!("its clock is {} seconds {}", skew.abs(), if skew > 0 { "ahead" } else { "behind" }));
        }
    }
    let busy = observations.host.busy.iter().filter_map(|other| other.split_once(' '));
    notes.extend(busy.map(|(tool, pid)| {
        format!("{tool} is at work there (process {pid}): what both have a say in may be found either way")
    }));
    notes.extend(observations.remarks.iter().cloned());
    notes.extend(needless_restarts(settings, read));
    if !observations.is_whole {
        notes.push("the answer was cut: what came after that is unknown".to_owned());
    }
    notes
}

/// Which services were named by `--restart` in vain: they run what is on the disk, and nothing they watch is about to change.
fn needless_restarts(settings: &Settings, read: &Read) -> Vec<String> {
    let resources = &read.catalog.resources;
    let is_idle = |index: usize| {
        let watched = resources[index].watches.iter().flat_map(|watch| &watch.members);
        let is_due = |index: &usize| read.judged[*index].is_due();
        read.judged[index].stale.is_none() && !watched.chain([&index]).any(is_due)
    };
    let named = (0..resources.len()).filter(|index| settings.selection.names_for_restart(&resources[*index]));
    let say = |index: usize| {
        let address = resources[index].address.to_string();
        format!("--restart {}: it runs what is on the disk, and is not restarted", clean::line(&address))
    };
    named.filter(|index| is_idle(*index)).map(say).collect()
}

/// That what was applied last is not a part of what this checkout declares; none if it is, or nothing is known of it.
pub(super) fn foreign(settings: &Settings, memory: &Memory) -> Option<String> {
    let commit = memory.commit.as_deref()?;
    // A mark tells that the work tree was not clean.
    let why = match (settings.revision.relation)(commit.trim_end_matches('+')) {
        Relation::Known => return None,
        Relation::Newer => "this checkout is older",
        Relation::Unknown if settings.revision.commit.is_none() => "this project is in no git here",
        Relation::Unknown => "this checkout does not know it",
    };
    Some(format!("commit {} was applied here, and {why}", short(commit)))
}

/// The first digits of a commit.
fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

fn last_run(last: &LastRun) -> Option<String> {
    match last {
        LastRun::None | LastRun::Followed => None,
        LastRun::Unfollowed(what) => Some(format!("an earlier run lost its connection and went on alone: {what}")),
        LastRun::Going(who) => Some(format!("a run is going on: {who}")),
        LastRun::Broken(who) => Some(format!("an earlier run ended without saying how: {who}")),
    }
}

/// What was applied once and is declared by nobody any more, but for what was taken away: of that nothing is left.
fn orphans(catalog: &Catalog, memory: &Memory) -> Option<String> {
    let declared: std::collections::BTreeSet<String> = catalog
        .resources
        .iter()
        .filter(|resource| !resource.is_check)
        .map(|resource| resource.address.to_string())
        .collect();
    let is_there = |applied: &Applied| applied.attributes.get("state").is_none_or(|state| state != ABSENT);
    let orphans: Vec<&str> = memory
        .applied
        .iter()
        .filter(|(address, applied)| !declared.contains(*address) && is_there(applied))
        .map(|(address, _)| address.as_str())
        .collect();
    let shown = orphans.iter().take(5).copied().collect::<Vec<_>>().join(", ");
    let more = if orphans.len() > 5 { format!(" and {} more", orphans.len() - 5) } else { String::new() };
    (!orphans.is_empty()).then(|| format!("applied here, but declared no more: {shown}{more}"))
}
