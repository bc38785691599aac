//! `inventory.yml`: which hosts there are, in which groups, and what each level gives to them.
//!
//! Reads the declarations; [`super::levels`] says which of them holds for a host.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::connection::Connection;
use super::connection_keys::{self, Paths};
use super::groups::Parts;
use super::model::RoleUse;
use super::names;
use super::ranges;
use super::yaml::{self, Data, Key, Node};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::Span;

/// The file.
pub(crate) const FILE: &str = "inventory.yml";

/// How many hosts an inventory may name.
const MAX_HOSTS: usize = 100_000;

/// The inventory as declared.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// What holds for every host, farther than any group.
    pub(crate) defaults: Layer,
    /// The hosts, in the order in which they are first named.
    pub(crate) hosts: IndexMap<String, HostDeclared>,
    /// The groups, in written order.
    pub(crate) groups: IndexMap<String, GroupDeclared>,
    /// What they consist of, in the same order.
    pub(crate) parts: IndexMap<String, Parts>,
}

/// A host as declared: what each place that gives it settings says.
#[derive(Debug)]
pub(crate) struct HostDeclared {
    /// Where it is first named.
    pub(crate) span: Span,
    /// Its own settings, from every place that names it with some.
    pub(crate) layers: Vec<Arc<Layer>>,
}

/// A group as declared.
#[derive(Debug)]
pub(crate) struct GroupDeclared {
    /// Where it is declared.
    pub(crate) span: Span,
    /// What it gives to its hosts.
    pub(crate) layer: Layer,
}

/// What one level gives to hosts.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    /// Connection settings.
    pub(crate) connection: Vec<(Key, Node)>,
    /// Roles, in order.
    pub(crate) roles: Vec<RoleUse>,
    /// Values by role instance.
    pub(crate) vars: Vec<Vars>,
}

/// The values of one role instance.
#[derive(Debug)]
pub(crate) struct Vars {
    /// The instance.
    pub(crate) instance: Key,
    /// Values by parameter.
    pub(crate) values: Vec<(Key, Node)>,
}

/// Reads the inventory; mistakes are added to `found`, and what is right is kept.
pub(crate) fn read(node: &Node, paths: Paths<'_>, known_roles: &[&str], found: &mut Diagnostics) -> Inventory {
    let mut reader = Reader { inventory: Inventory::default(), paths, known_roles, instances: BTreeMap::new(), found };
    let entries = node.entries().unwrap_or_default();
    yaml::check_keys(entries, "key of the inventory", &["defaults", "groups", "hosts"], reader.found);
    for (key, value) in entries {
        match key.text.as_str() {
            "defaults" => reader.defaults(value),
            "groups" => reader.groups(value),
            "hosts" => {
                reader.hosts(value);
            }
            _ => {}
        }
    }
    reader.inventory
}

struct Reader<'a> {
    inventory: Inventory,
    paths: Paths<'a>,
    known_roles: &'a [&'a str],
    /// Which role each instance is of, and where that was first said.
    instances: BTreeMap<String, RoleUse>,
    found: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn defaults(&mut self, node: &Node) {
        let entries = node.expect_map("`defaults`", self.found).unwrap_or_default();
        for (key, _) in entries.iter().filter(|(key, _)| key.text == "vars" || key.text == "roles") {
            self.found.push(
                Diagnostic::error(&key.span, format!("`{}` cannot stand in `defaults`", key.text))
                    .hint("these are connection settings; give it to a group that contains the others: `everything: {groups: […]}`"),
            );
        }
        let known: Vec<&str> = connection_keys::KEYS.iter().copied().chain(["vars", "roles"]).collect();
        yaml::check_keys(entries, "connection setting", &known, self.found);
        self.inventory.defaults.connection = self.connection(entries);
    }

    fn groups(&mut self, node: &Node) {
        for (key, value) in node.expect_map("`groups`", self.found).unwrap_or_default() {
            if key.text == "all" {
                self.found.push(
                    Diagnostic::error(&key.span, "`all` cannot be the name of a group: it means every host")
                        .hint("connection settings for every host go into `defaults`"),
                );
                continue;
            }
            names::check(&key.text, &key.span, "group", self.found);
            self.group(key, value);
        }
    }

    fn group(&mut self, key: &Key, node: &Node) {
        let entries = node.expect_map("a group", self.found).unwrap_or_default();
        let layer = self.layer(entries, "key of a group", &["hosts", "groups", "all_of"]);
        let mut parts = Parts::default();
        if let Some(hosts) = node.get("hosts") {
            parts.hosts.extend(self.hosts(hosts));
        }
        if let Some(groups) = node.get("groups") {
            parts.groups = self.names(groups, "`groups`", "a group");
        }
        if let Some((all_of, list)) = node.entry("all_of") {
            let listed = self.names(list, "`all_of`", "a group");
            if listed.len() < 2 {
                self.found.push(
                    Diagnostic::error(&list.span, "`all_of` needs at least two groups")
                        .hint("it is for the hosts that are in all of them: `all_of: [web, tokyo]`"),
                );
            }
            for (other, _) in entries.iter().filter(|(other, _)| other.text == "hosts" || other.text == "groups") {
                self.found.push(
                    Diagnostic::error(&other.span, format!("a group with `all_of` cannot have `{}`", other.text))
                        .related(&all_of.span, "its hosts are those that are in all of these")
                        .hint(format!("remove `{}`, or make it a group of its own", other.text)),
                );
            }
            parts = Parts { all_of: Some(listed), ..Parts::default() };
        }
        self.inventory.groups.insert(key.text.clone(), GroupDeclared { span: key.span.clone(), layer });
        self.inventory.parts.insert(key.text.clone(), parts);
    }

    /// Reads `hosts`: a list of patterns, or a map of patterns to settings. The numbers of all hosts named.
    fn hosts(&mut self, node: &Node) -> Vec<usize> {
        let mut all = Vec::new();
        match &node.data {
            Data::List(items) => {
                for item in items {
                    if let Data::Map(_) = item.data {
                        self.found.push(
                            Diagnostic::error(&item.span, "a host with settings in a list of hosts")
                                .hint("write all hosts as a map: `hosts: {web1: {address: …}, web2: {}}`"),
                        );
                        continue;
                    }
                    if let Some(pattern) = item.expect_text("a host", self.found) {
                        all.extend(self.named(pattern, &item.span, None));
                    }
                }
            }
            Data::Map(entries) => {
                for (key, value) in entries {
                    let settings = value.expect_map("the settings of a host", self.found).unwrap_or_default();
                    let layer = self.layer(settings, "key of a host", &[]);
                    let layer = (!settings.is_empty()).then(|| Arc::new(layer));
                    all.extend(self.named(&key.text, &key.span, layer));
                }
            }
            Data::Scalar(_) if node.is_null() => {}
            Data::Scalar(_) => self.found.push(
                Diagnostic::error(&node.span, "`hosts` must be a list or a map, not text")
                    .hint(format!("write `hosts: [\"{}\"]`", node.as_text().unwrap_or_default())),
            ),
        }
        all
    }

    fn named(&mut self, pattern: &str, span: &Span, layer: Option<Arc<Layer>>) -> Vec<usize> {
        let names = match ranges::expand(pattern) {
            Ok(names) => names,
            Err(error) => {
                // The place within the pattern is known only where the text stands as written.
                let place = match span.text().find(pattern) {
                    Some(at) => span.part(at + error.start, (error.end - error.start).max(1)),
                    None => span.clone(),
                };
                self.found.push(Diagnostic::error(&place, error.message).hint(error.hint));
                return Vec::new();
            }
        };
        if self.inventory.hosts.len() + names.len() > MAX_HOSTS {
            let new = names.iter().filter(|name| !self.inventory.hosts.contains_key(*name)).count();
            if self.inventory.hosts.len() + new > MAX_HOSTS {
                self.found.push(
                    Diagnostic::error(span, format!("the inventory names more than {MAX_HOSTS} hosts"))
                        .hint("split it into several projects"),
                );
                return Vec::new();
            }
        }
        let mut numbers = Vec::with_capacity(names.len());
        for name in names {
            if !names::check_host(&name, span, self.found) {
                break;
            }
            let entry = self.inventory.hosts.entry(name);
            numbers.push(entry.index());
            let host = entry.or_insert_with(|| HostDeclared { span: span.clone(), layers: Vec::new() });
            host.layers.extend(layer.clone());
        }
        numbers
    }

    /// What a group or a host gives: connection settings, `roles`, `vars`. `others` are keys that are read elsewhere.
    fn layer(&mut self, entries: &[(Key, Node)], what: &str, others: &[&str]) -> Layer {
        let known: Vec<&str> = ["roles", "vars"].iter().chain(others).chain(connection_keys::KEYS).copied().collect();
        yaml::check_keys(entries, what, &known, self.found);
        let get = |name: &str| entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value);
        Layer {
            connection: self.connection(entries),
            roles: get("roles").map(|roles| self.roles(roles)).unwrap_or_default(),
            vars: get("vars").map(|vars| self.vars(vars)).unwrap_or_default(),
        }
    }

    /// The connection settings among `entries`; their values are checked here, once.
    fn connection(&mut self, entries: &[(Key, Node)]) -> Vec<(Key, Node)> {
        let settings: Vec<(Key, Node)> =
            entries.iter().filter(|(key, _)| connection_keys::KEYS.contains(&key.text.as_str())).cloned().collect();
        let mut ignored = Connection::default();
        for (key, value) in &settings {
            connection_keys::set(&mut ignored, &key.text, value, self.paths, self.found);
        }
        settings
    }

    fn roles(&mut self, node: &Node) -> Vec<RoleUse> {
        let mut roles: Vec<RoleUse> = Vec::new();
        for item in node.expect_list("`roles`", self.found).unwrap_or_default() {
            let (role, instance) = match &item.data {
                Data::Map(entries) if entries.len() == 1 => {
                    let (role, instance) = &entries[0];
                    let Some(name) = instance.expect_text("the name of an instance", self.found) else { continue };
                    if !names::check(name, &instance.span, "role instance", self.found) {
                        continue;
                    }
                    (role.clone(), name)
                }
                Data::Scalar(_) => {
                    let Some(name) = item.expect_text("a role", self.found) else { continue };
                    (Key { text: name.to_owned(), span: item.span.clone() }, name)
                }
                _ => {
                    self.found.push(
                        Diagnostic::error(&item.span, "a role is a name, or one `role: instance`")
                            .hint("for example `roles: [base, {app: shop}, {app: blog}]`"),
                    );
                    continue;
                }
            };
            if !self.known_roles.contains(&role.text.as_str()) {
                let known = self.known_roles.iter().copied();
                self.found.push(Diagnostic::unknown(&role.span, "role", &role.text, known));
                continue;
            }
            let given = RoleUse { role: role.text, instance: instance.to_owned(), span: item.span.clone() };
            if self.is_distinct(&given) && !roles.iter().any(|known| known.instance == given.instance) {
                roles.push(given);
            }
        }
        roles
    }

    /// Whether the instance's name means one role only, in the whole inventory.
    fn is_distinct(&mut self, given: &RoleUse) -> bool {
        if given.instance != given.role && self.known_roles.contains(&given.instance.as_str()) {
            self.found.push(
                Diagnostic::error(
                    &given.span,
                    format!("the instance `{}` of role {} has the name of another role", given.instance, given.role),
                )
                .hint("choose another name: values and addresses name instances"),
            );
            return false;
        }
        match self.instances.get(&given.instance) {
            Some(first) if first.role != given.role => {
                self.found.push(
                    Diagnostic::error(
                        &given.span,
                        format!(
                            "`{}` is an instance of role {} and of role {}",
                            given.instance, first.role, given.role
                        ),
                    )
                    .related(&first.span, "first given here")
                    .hint("choose another name for one of them: values and addresses name instances"),
                );
                false
            }
            Some(_) => true,
            None => {
                self.instances.insert(given.instance.clone(), given.clone());
                true
            }
        }
    }

    fn vars(&mut self, node: &Node) -> Vec<Vars> {
        let mut vars = Vec::new();
        for (instance, values) in node.expect_map("`vars`", self.found).unwrap_or_default() {
            if values.entries().is_none() && !values.is_null() {
                self.found.push(
                    Diagnostic::error(&values.span, "values are given by role and parameter")
                        .hint(format!("write `vars: {{<role>: {{{}: …}}}}`", instance.text)),
                );
                continue;
            }
            let values = values.entries().unwrap_or_default().to_vec();
            vars.push(Vars { instance: instance.clone(), values });
        }
        vars
    }

    fn names(&mut self, node: &Node, what: &str, item: &str) -> Vec<(String, Span)> {
        let items = node.expect_list(what, self.found).unwrap_or_default();
        let mut names: Vec<(String, Span)> = Vec::new();
        for node in items {
            if let Some(name) = node.expect_text(item, self.found)
                && !names.iter().any(|(known, _)| known == name)
            {
                names.push((name.to_owned(), node.span.clone()));
            }
        }
        names
    }
}
