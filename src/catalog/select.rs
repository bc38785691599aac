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

#[cfg(test)]
mod tests {
    use super::super::testing::{brief, good};
    use super::*;

    const INVENTORY: &str = "\
groups:
  web: {roles: [nginx], hosts: [\"web[1:3].example.com\"]}
  web-tokyo: {hosts: [web1.example.com]}
  shop: {roles: [{app: shop}], hosts: [shop1]}
  empty: {}
hosts: [lone]
";

    fn selected(limits: &[&str]) -> Result<String, String> {
        let project = good(INVENTORY, &[]);
        let limits: Vec<String> = limits.iter().map(|limit| (*limit).to_owned()).collect();
        let hosts = select(&project, &limits).map_err(|wrong| brief(&wrong.render()).join("\n"))?;
        Ok(hosts.iter().map(|host| project.hosts[*host].name.split('.').next().unwrap()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn limits_and_their_hosts() {
        for (limits, hosts) in [
            (&[][..], "web1 web2 web3 shop1 lone"),
            (&["all"], "web1 web2 web3 shop1 lone"),
            (&["lone"], "lone"),
            (&["lone,web2.example.com"], "web2 lone"),
            (&["lone", "web2.example.com"], "web2 lone"),
            (&["web*"], "web1 web2 web3"),
            (&["web[12].*"], "web1 web2"),
            (&["{lone,shop1}"], "shop1 lone"),
            (&["web[2:3].example.com"], "web2 web3"),
            (&["group:web"], "web1 web2 web3"),
            (&["group:web-*"], "web1"),
            (&["role:nginx"], "web1 web2 web3"),
            (&["role:base"], "web1 web2 web3"),
            (&["role:app"], "shop1"),
            (&["role:sh*"], "shop1"),
            (&["!group:web"], "shop1 lone"),
            (&["web*, !web2*"], "web1 web3"),
            (&["!web2*", "web*"], "web1 web3"),
            (&["web[7:9]*, web1*"], "ERR"),
        ] {
            match selected(limits) {
                Ok(found) => assert_eq!(found, hosts, "{limits:?}"),
                Err(message) => assert_eq!(hosts, "ERR", "{limits:?}: {message}"),
            }
        }
    }

    #[test]
    fn what_names_nothing_is_an_error() {
        for (limits, complaint) in [
            (&["shop2"][..], "the limit names no host: `shop2` = did you mean `shop1`?"),
            (
                &["db*"],
                "the limit names no host: `db*` = known: lone, shop1, web1.example.com, web2.example.com, web3.example.com",
            ),
            (&["web"], "the limit names no host: `web` = for the group, write `group:web`"),
            (&["nginx"], "the limit names no host: `nginx` = for the role, write `role:nginx`"),
            (&["group:wbe"], "the limit names no group: `wbe` = did you mean `web`?"),
            (&["group:empty"], "the limit `group:empty` names no host = see `snowmelt hosts`"),
            (&["role:ngnix"], "the limit names no role: `ngnix` = did you mean `nginx`?"),
            (&["all,!lonee"], "the limit names no host: `lonee` = did you mean `lone`?"),
            (&["lone,!lone"], "the limit `lone,!lone` leaves no host = see `snowmelt hosts`"),
            (&[""], "the limit is empty = leave it out for all hosts"),
            (&["web[3:1]*"], "the limit `web[3:1]*`: a range must go upwards = write `[1:3]`"),
            (
                &["web[1"],
                "the limit `web[1`: unclosed character class; missing ']' = a pattern uses `*`, `?`, `[…]`, `{a,b}`",
            ),
        ] {
            assert_eq!(selected(limits).unwrap_err(), complaint, "{limits:?}");
        }
    }
}
