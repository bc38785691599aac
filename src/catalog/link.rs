//! What concerns several resources of a host: each thing declared once, names that are unique, what watches what, what a
//! purged directory keeps.

use std::collections::HashMap;

use globset::{GlobBuilder, GlobMatcher};

use super::entry::{Draft, Watched};
use super::fold;
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::nearest;
use crate::base::quote;
use crate::base::span::Span;
use crate::base::value::Value;
use crate::resource::want::{Resource, State, Want, Watch};
use crate::resource::{Address, Kind, Mistake, Type};

/// Makes resources of drafts. `incomplete` says that some are not known in this run, so that an address which is nobody's may
/// be one of those. Mistakes go to `out`.
pub(crate) fn link(
    drafts: Vec<Draft>,
    incomplete: bool,
    kinds: &[&'static dyn Kind],
    out: &mut Diagnostics,
) -> Vec<Resource> {
    let (declared, checks): (Vec<_>, Vec<_>) = drafts.into_iter().partition(|draft| !draft.resource.is_check);
    let (mut drafts, aliases) = unique(declared, out);
    drafts.extend(checks);
    number(&mut drafts);
    ids(&drafts, out);
    let watches = watches(&drafts, &aliases, incomplete, kinds, out);
    let keeps = keeps(&drafts);
    for ((draft, watches), keeps) in drafts.iter_mut().zip(watches).zip(keeps) {
        draft.resource.watches = watches;
        draft.resource.keeps = keeps;
    }
    mistakes(&drafts, out);
    let mut resources: Vec<Resource> = drafts.into_iter().map(|draft| draft.resource).collect();
    if let Err(found) = fold::fold_edits(&mut resources) {
        out.extend(found);
    }
    resources
}

/// What a kind itself finds wrong with its resources.
pub(crate) fn mistakes(drafts: &[Draft], out: &mut Diagnostics) {
    for draft in drafts.iter().filter(|draft| !draft.partial) {
        let resource = &draft.resource;
        // What nobody here can decrypt is empty, and no mistake.
        let is_missing = |mistake: &Mistake| {
            resource.blocked.is_some() && mistake.attribute.is_some_and(|name| resource.hides(name))
        };
        for mistake in resource.kind.mistakes(resource).into_iter().filter(|mistake| !is_missing(mistake)) {
            let place = mistake.attribute.and_then(|name| draft.places.get(name)).unwrap_or(&draft.resource.span);
            let found = Diagnostic::error(place, mistake.message);
            out.push(match mistake.hint {
                Some(hint) => found.hint(hint),
                None => found,
            });
        }
    }
}

/// Declarations of the same thing become one where they agree. Gives the addresses of those that went into another one, too.
fn unique(drafts: Vec<Draft>, out: &mut Diagnostics) -> (Vec<Draft>, Vec<(Address, usize)>) {
    let mut kept: Vec<Draft> = Vec::with_capacity(drafts.len());
    let mut places: HashMap<(&'static str, String, String), usize> = HashMap::with_capacity(drafts.len());
    let mut aliases = Vec::new();
    for draft in drafts {
        let address = &draft.resource.address;
        // An act, which has a command of its own, is not a thing: two roles may give theirs the same name.
        let role = if is_act(draft.resource.kind) { address.role.clone() } else { String::new() };
        let key = (draft.resource.kind.table().name, address.identity.clone(), role);
        match places.get(&key) {
            None => {
                places.insert(key, kept.len());
                kept.push(draft);
            }
            Some(&at) => {
                aliases.push((address.clone(), at));
                if let Some(conflict) = conflict(&kept[at], &draft) {
                    out.push(conflict);
                } else {
                    merge(&mut kept[at], draft);
                }
            }
        }
    }
    (kept, aliases)
}

fn is_act(kind: &dyn Kind) -> bool {
    kind.table().attributes.iter().any(|attribute| attribute.name == "run" && attribute.ty == Type::Command)
}

fn conflict(first: &Draft, second: &Draft) -> Option<Diagnostic> {
    let (one, two) = (&first.resource, &second.resource);
    let local = two.address.local();
    let place =
        |draft: &Draft, name: &str| draft.places.get(name).cloned().unwrap_or_else(|| draft.resource.span.clone());
    let contradiction = |name: &str| {
        let by = if one.address.role == two.address.role { String::new() } else { format!(" by {}", one.address.role) };
        Diagnostic::error(&place(second, name), format!("`{local}` is declared twice, and `{name}` differs"))
            .related(&place(first, name), format!("declared here{by}"))
            .hint("two declarations of the same thing must agree in what both say")
    };
    if one.state != two.state {
        return Some(contradiction("state"));
    }
    let mut both = two.wants.iter().filter(|(name, _)| !is_watch(one.kind, name));
    let differs = both.find(|(name, want)| one.wants.get(*name).is_some_and(|other| !same(other, want)));
    differs.map(|(name, _)| contradiction(name))
}

fn is_watch(kind: &dyn Kind, name: &str) -> bool {
    kind.table().attributes.iter().any(|attribute| attribute.name == name && attribute.ty == Type::Watch)
}

fn same(one: &Want, two: &Want) -> bool {
    match (one, two) {
        (Want::Exactly(one), Want::Exactly(two)) => one == two,
        (Want::Content(one), Want::Content(two)) => one == two,
        (Want::Matches(one), Want::Matches(two)) => one.to_string() == two.to_string(),
        _ => false,
    }
}

fn merge(first: &mut Draft, second: Draft) {
    for (name, want) in second.resource.wants {
        match first.resource.wants.get_mut(name) {
            // Both watch something: the union is watched.
            Some(Want::Exactly(Value::List(items))) if is_watch(first.resource.kind, name) => {
                if let Want::Exactly(Value::List(more)) = want {
                    items.extend(more);
                }
            }
            Some(_) => {}
            None => drop(first.resource.wants.insert(name, want)),
        }
    }
    for (name, place) in second.places {
        first.places.entry(name).or_insert(place);
    }
    for tag in second.resource.tags {
        if !first.resource.tags.contains(&tag) {
            first.resource.tags.push(tag);
        }
    }
    first.watched.extend(second.watched);
    first.partial |= second.partial;
    first.resource.sensitive |= second.resource.sensitive;
    for (name, secrets) in second.resource.secrets {
        first.resource.secrets.entry(name).or_default().extend(secrets);
    }
    first.resource.severity = first.resource.severity.max(second.resource.severity);
    first.resource.blocked = first.resource.blocked.take().or(second.resource.blocked);
    first.resource.id = first.resource.id.take().or(second.resource.id);
}

/// Gives the second, third … resource with the same address its number.
fn number(drafts: &mut [Draft]) {
    let mut counts: HashMap<Address, u32> = HashMap::with_capacity(drafts.len());
    for draft in drafts {
        let count = counts.entry(draft.resource.address.clone()).or_insert(0);
        *count += 1;
        draft.resource.address.nth = *count;
    }
}

fn ids(drafts: &[Draft], out: &mut Diagnostics) {
    let mut seen: HashMap<(&str, &str), &Span> = HashMap::new();
    for draft in drafts {
        let Some(id) = &draft.resource.id else { continue };
        if let Some(first) = seen.insert((&draft.resource.address.role, id), &draft.resource.span) {
            out.push(
                Diagnostic::error(&draft.resource.span, format!("the id `{id}` is given twice"))
                    .related(first, "given here first")
                    .hint("over `each`, make it different: id: \"… {{ item.name }}\""),
            );
        }
    }
}

fn watches(
    drafts: &[Draft],
    aliases: &[(Address, usize)],
    incomplete: bool,
    kinds: &[&'static dyn Kind],
    out: &mut Diagnostics,
) -> Vec<Vec<Watch>> {
    if drafts.iter().all(|draft| draft.watched.is_empty()) {
        return vec![Vec::new(); drafts.len()];
    }
    let mut by_address: HashMap<&Address, usize> = aliases.iter().map(|(address, at)| (address, *at)).collect();
    by_address.extend(drafts.iter().enumerate().map(|(at, draft)| (&draft.resource.address, at)));
    let mut find = Finder { drafts, by_address, globs: HashMap::new(), incomplete, kinds };
    drafts
        .iter()
        .map(|draft| {
            draft.watched.iter().filter_map(|watched| out.take(find.watch(draft, watched)).flatten()).collect()
        })
        .collect()
}

struct Finder<'a> {
    drafts: &'a [Draft],
    by_address: HashMap<&'a Address, usize>,
    globs: HashMap<String, GlobMatcher>,
    incomplete: bool,
    kinds: &'a [&'static dyn Kind],
}

impl Finder<'_> {
    fn watch(&mut self, owner: &Draft, watched: &Watched) -> Result<Option<Watch>, Diagnostic> {
        let (members, shell) = if watched.target.starts_with('/') {
            (self.below(watched)?, format!("watch_path {}", quote::always(&watched.target)))
        } else {
            let Some(at) = self.addressed(&owner.resource.address.role, watched)? else { return Ok(None) };
            let member = &self.drafts[at].resource;
            let shell = member.kind.watch(member).ok_or_else(|| {
                Diagnostic::error(&watched.span, format!("`{}` cannot be watched", watched.target))
                    .hint("watch a path on the host that changes with it")
            })?;
            (vec![at], shell)
        };
        Ok(Some(Watch { refresh: watched.refresh, target: watched.target.clone(), members, shell }))
    }

    /// Resources whose path a glob matches.
    fn below(&mut self, watched: &Watched) -> Result<Vec<usize>, Diagnostic> {
        let pattern = watched.target.as_str();
        if !self.globs.contains_key(pattern) {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build().map_err(|error| {
                Diagnostic::error(&watched.span, format!("`{pattern}` is no pattern of paths: {}", error.kind()))
            })?;
            self.globs.insert(pattern.to_owned(), glob.compile_matcher());
        }
        let glob = &self.globs[pattern];
        let itself = pattern.strip_suffix("/**");
        let declared = self.drafts.iter().enumerate().filter(|(_, draft)| !draft.resource.is_check);
        let matched = declared.filter(|(_, draft)| {
            let resource = &draft.resource;
            let path = resource.kind.path(resource).or_else(|| resource.kind.edits(resource));
            path.is_some_and(|path| glob.is_match(path) || Some(path) == itself)
        });
        Ok(matched.map(|(at, _)| at).collect())
    }

    /// The resource with an address or an id.
    fn addressed(&self, role: &str, watched: &Watched) -> Result<Option<usize>, Diagnostic> {
        let text = watched.target.as_str();
        let address = Address::parse(text, role);
        if let Some(at) = address.as_ref().and_then(|address| self.by_address.get(address)) {
            return Ok(Some(*at));
        }
        let with_id = |same_role: bool| {
            self.drafts.iter().position(|draft| {
                let resource = &draft.resource;
                !resource.is_check
                    && resource.id.as_deref() == Some(text)
                    && (!same_role || resource.address.role == role)
            })
        };
        if let Some(at) = with_id(true).or_else(|| with_id(false)) {
            return Ok(Some(at));
        }
        let is_kind = |name: &str| self.kinds.iter().any(|kind| kind.table().name == name);
        if let Some(address) = address.filter(|address| !is_kind(&address.kind)) {
            let names = self.kinds.iter().map(|kind| kind.table().name);
            return Err(Diagnostic::unknown(&watched.span, "kind", &address.kind, names));
        }
        if self.incomplete {
            return Ok(None);
        }
        let declared = self.drafts.iter().filter(|draft| !draft.resource.is_check).map(|draft| &draft.resource);
        let names: Vec<String> = declared
            .flat_map(|resource| {
                let own = resource.address.role == role;
                let name = if own { resource.address.local() } else { resource.address.to_string() };
                [Some(name), resource.id.clone()]
            })
            .flatten()
            .collect();
        let found = Diagnostic::error(&watched.span, format!("`{text}` is not declared on this host"));
        Err(match nearest::hint(text, names.iter().map(String::as_str)) {
            Some(hint) => found.hint(hint),
            None => found.hint("write kind:identity, an id, or a path that starts with /"),
        })
    }
}

/// For each directory that is purged, the names in it that are declared.
fn keeps(drafts: &[Draft]) -> Vec<Vec<String>> {
    let purges = |draft: &Draft| {
        let purge = draft.resource.wants.get("purge");
        draft.resource.state == State::Present && matches!(purge, Some(Want::Exactly(Value::Bool(true))))
    };
    let kept = |draft: &Draft| {
        let Some(directory) = draft.resource.kind.path(&draft.resource).filter(|_| purges(draft)) else {
            return Vec::new();
        };
        let prefix = format!("{}/", directory.trim_end_matches('/'));
        let mut names: Vec<String> = drafts
            .iter()
            .filter(|other| !other.resource.is_check)
            .filter_map(|other| other.resource.kind.path(&other.resource)?.strip_prefix(&prefix))
            .filter_map(|below| below.split('/').next().map(str::to_owned))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    drafts.iter().map(kept).collect()
}
