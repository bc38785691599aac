//! Which hosts a run is about: `--limit`.
//!
//! A limit is a list, separated by commas, of host names, ranges (`web[001:010].example.com`), globs (`web*`),
//! `group:name` and `role:name` (globs, too; a role's name or an instance's, required roles included), and `all`. Several
//! limits are taken together: a host is selected if one of them names it and no `!…` does. With nothing but `!…`, all others
//! are.

use std::collections::HashSet;

use globset::{GlobBuilder, GlobMatcher};

use super::model::{Host, Project};
use super::{ranges, role};
use crate::base::diagnostic::Diagnostic;
use crate::base::nearest;

/// The hosts that the limits select, as numbers into `project.hosts`, in the order of the inventory. Without limits: all. A
/// part of a limit that names nothing is an error, and so is an empty selection.
pub fn select(project: &Project, limits: &[String]) -> Result<Vec<usize>, Diagnostic> {
    let parts: Vec<&str> =
        limits.iter().flat_map(|limit| split(limit)).map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() && !limits.is_empty() {
        return Err(Diagnostic::placeless("the limit is empty").hint("leave it out for all hosts"));
    }
    let only_excludes = parts.iter().all(|part| part.starts_with('!'));
    let mut chosen = vec![only_excludes; project.hosts.len()];
    for excludes in [false, true] {
        for part in parts.iter().filter(|part| part.starts_with('!') == excludes) {
            for host in matching(project, part.trim_start_matches('!').trim())? {
                chosen[host] = !excludes;
            }
        }
    }
    let selected: Vec<usize> = (0..chosen.len()).filter(|host| chosen[*host]).collect();
    if selected.is_empty() && !limits.is_empty() {
        let shown = limits.join(" ");
        return Err(Diagnostic::placeless(format!("the limit `{shown}` leaves no host")).hint("see `snowmelt hosts`"));
    }
    Ok(selected)
}

/// The parts between commas that are not inside of brackets or braces.
fn split(limit: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    limit
        .split(|c: char| {
            depth += match c {
                '[' | '{' => 1,
                ']' | '}' => -1,
                _ => 0,
            };
            c == ',' && depth <= 0
        })
        .collect()
}

fn matching(project: &Project, part: &str) -> Result<Vec<usize>, Diagnostic> {
    if part == "all" {
        return Ok((0..project.hosts.len()).collect());
    }
    if let Some(group) = part.strip_prefix("group:") {
        let wanted = Pattern::new(group, part)?;
        let known: Vec<&str> = project.groups.keys().map(String::as_str).collect();
        if !known.iter().any(|name| wanted.fits(name)) {
            return Err(nothing("group", group, known));
        }
        return non_empty(part, find(project, |host| host.groups.iter().any(|name| wanted.fits(name))));
    }
    if let Some(name) = part.strip_prefix("role:") {
        let wanted = Pattern::new(name, part)?;
        let known: Vec<&str> = project.roles.keys().map(String::as_str).collect();
        let hosts = find(project, |host| {
            let roles = role::with_required(&host.roles, &project.roles);
            roles.iter().any(|given| wanted.fits(&given.role) || wanted.fits(&given.instance))
        });
        if hosts.is_empty() && !known.iter().any(|role| wanted.fits(role)) {
            return Err(nothing("role", name, known));
        }
        return non_empty(part, hosts);
    }
    let wanted = Pattern::new(part, part)?;
    let hosts = find(project, |host| wanted.fits(&host.name));
    if hosts.is_empty() {
        let known = project.hosts.iter().map(|host| host.name.as_str());
        if project.groups.contains_key(part) {
            return Err(nothing("host", part, []).hint(format!("for the group, write `group:{part}`")));
        }
        if project.roles.contains_key(part) {
            return Err(nothing("host", part, []).hint(format!("for the role, write `role:{part}`")));
        }
        return Err(nothing("host", part, known));
    }
    Ok(hosts)
}

fn find(project: &Project, fits: impl Fn(&Host) -> bool) -> Vec<usize> {
    project.hosts.iter().enumerate().filter(|(_, host)| fits(host)).map(|(number, _)| number).collect()
}

fn non_empty(part: &str, hosts: Vec<usize>) -> Result<Vec<usize>, Diagnostic> {
    if hosts.is_empty() {
        return Err(Diagnostic::placeless(format!("the limit `{part}` names no host")).hint("see `snowmelt hosts`"));
    }
    Ok(hosts)
}

fn nothing<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Diagnostic {
    let found = Diagnostic::placeless(format!("the limit names no {what}: `{name}`"));
    found.hint(nearest::hint(name, known).unwrap_or_else(|| "see `snowmelt hosts`".to_owned()))
}

/// A name, a range or a glob.
enum Pattern {
    Names(HashSet<String>),
    Glob(Box<GlobMatcher>),
}

impl Pattern {
    fn new(text: &str, limit: &str) -> Result<Self, Diagnostic> {
        let bad = |why: String, hint: String| Diagnostic::placeless(format!("the limit `{limit}`: {why}")).hint(hint);
        if ranges::has_range(text) {
            let names = ranges::expand(text).map_err(|error| bad(error.message, error.hint))?;
            return Ok(Self::Names(names.into_iter().collect()));
        }
        if !text.contains(['*', '?', '[', '{', '\\']) {
            return Ok(Self::Names([text.to_owned()].into()));
        }
        let glob = GlobBuilder::new(text).literal_separator(false).build();
        let glob =
            glob.map_err(|error| bad(error.kind().to_string(), "a pattern uses `*`, `?`, `[…]`, `{a,b}`".into()))?;
        Ok(Self::Glob(Box::new(glob.compile_matcher())))
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Names(names) => names.contains(name),
            Self::Glob(glob) => glob.is_match(name),
        }
    }
}
