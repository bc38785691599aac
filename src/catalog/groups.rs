//! How groups hang together: who is in them, and which of two is nearer to its hosts.
//!
//! A group is nearer than the groups that contain it, and an `all_of` group is nearer than its parts. Knows numbers and names
//! of groups, nothing of what they give to hosts.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::Span;

/// What a group consists of, as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    /// Hosts that it names itself.
    pub(crate) hosts: BTreeSet<usize>,
    /// Groups that it contains.
    pub(crate) groups: Vec<(String, Span)>,
    /// The groups whose common hosts it consists of; none for a group that names its hosts.
    pub(crate) all_of: Option<Vec<(String, Span)>>,
}

/// The groups, looked through. Groups are numbered in the order of the inventory.
#[derive(Debug)]
pub(crate) struct Groups {
    /// The hosts of each group, directly or through others.
    pub(crate) members: Vec<BTreeSet<usize>>,
    /// For each group the groups that are farther from its hosts than it is.
    farther: Vec<BTreeSet<usize>>,
    /// All groups, a nearer one always before a farther one; else as in the inventory.
    pub(crate) nearest_first: Vec<usize>,
    /// All groups, a farther one always before a nearer one; else as in the inventory.
    pub(crate) farthest_first: Vec<usize>,
}

impl Groups {
    /// Looks the groups through. Unknown names and loops are added to `found` and left out.
    pub(crate) fn new(parts: &IndexMap<String, Parts>, found: &mut Diagnostics) -> Self {
        let count = parts.len();
        let mut inner: Vec<Vec<(usize, &Span)>> = vec![Vec::new(); count];
        for (group, part) in parts.values().enumerate() {
            for (name, span) in part.groups.iter().chain(part.all_of.iter().flatten()) {
                match parts.get_index_of(name) {
                    Some(other) => inner[group].push((other, span)),
                    None => found.push(Diagnostic::unknown(span, "group", name, parts.keys().map(String::as_str))),
                }
            }
        }
        let inside_out = inside_out(parts, &mut inner, found);
        let mut members: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count];
        let mut farther: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); count];
        for &group in &inside_out {
            members[group] = match &parts[group].all_of {
                Some(_) => common(inner[group].iter().map(|(part, _)| &members[*part])),
                None => {
                    let contained = inner[group].iter().flat_map(|(part, _)| &members[*part]);
                    parts[group].hosts.iter().chain(contained).copied().collect()
                }
            };
            for (part, _) in &inner[group] {
                match parts[group].all_of {
                    Some(_) => farther[group].insert(*part),
                    None => farther[*part].insert(group),
                };
            }
        }
        close(&mut farther);
        let nearest_first = order(count, |a, b| farther[a].contains(&b));
        let farthest_first = order(count, |a, b| farther[b].contains(&a));
        Self { members, farther, nearest_first, farthest_first }
    }

    /// Whether group `a` is nearer to their hosts than group `b`.
    pub(crate) fn is_nearer(&self, a: usize, b: usize) -> bool {
        self.farther[a].contains(&b)
    }
}

/// The groups, each after the ones it consists of. What would close a loop is reported and removed.
fn inside_out(
    parts: &IndexMap<String, Parts>,
    inner: &mut [Vec<(usize, &Span)>],
    found: &mut Diagnostics,
) -> Vec<usize> {
    let mut out = Vec::with_capacity(inner.len());
    let mut done = vec![false; inner.len()];
    for start in 0..inner.len() {
        // Each entry of the path is a group and how many of its parts have been looked at.
        let mut path: Vec<(usize, usize)> = if done[start] { Vec::new() } else { vec![(start, 0)] };
        while let Some(&(group, next)) = path.last() {
            let Some(&(part, span)) = inner[group].get(next) else {
                done[group] = true;
                out.push(group);
                path.pop();
                continue;
            };
            let depth = path.len() - 1;
            if let Some(from) = path.iter().position(|(seen, _)| *seen == part) {
                let mut names: Vec<&str> = path[from..].iter().map(|(group, _)| name(parts, *group)).collect();
                names.push(name(parts, part));
                found.push(
                    Diagnostic::error(span, format!("groups consist of each other in a loop: {}", names.join(" → ")))
                        .hint("remove one of them from the other"),
                );
                inner[group].remove(next);
                continue;
            }
            path[depth].1 += 1;
            if !done[part] {
                path.push((part, 0));
            }
        }
    }
    out
}

fn name(parts: &IndexMap<String, Parts>, group: usize) -> &str {
    parts.get_index(group).map_or("", |(name, _)| name)
}

fn common<'a>(mut sets: impl Iterator<Item = &'a BTreeSet<usize>>) -> BTreeSet<usize> {
    let first = sets.next().cloned().unwrap_or_default();
    sets.fold(first, |common, set| common.intersection(set).copied().collect())
}

/// Makes the relation transitive. It has no loop: `all_of` groups contain no groups, and loops of one kind are gone.
fn close(farther: &mut [BTreeSet<usize>]) {
    for group in 0..farther.len() {
        let mut todo: Vec<usize> = farther[group].iter().copied().collect();
        while let Some(other) = todo.pop() {
            let new: Vec<usize> = farther[other].difference(&farther[group]).copied().collect();
            farther[group].extend(&new);
            todo.extend(new);
        }
    }
}

/// All groups so that `before(a, b)` puts `a` first; among those that are free to come, the lowest number.
fn order(count: usize, before: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut waiting: Vec<usize> =
        (0..count).map(|group| (0..count).filter(|&other| before(other, group)).count()).collect();
    let mut free: BTreeSet<usize> = (0..count).filter(|&group| waiting[group] == 0).collect();
    let mut out = Vec::with_capacity(count);
    while let Some(group) = free.pop_first() {
        out.push(group);
        for other in (0..count).filter(|&other| before(group, other)) {
            waiting[other] -= 1;
            if waiting[other] == 0 {
                free.insert(other);
            }
        }
    }
    out
}
