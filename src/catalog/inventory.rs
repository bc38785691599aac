//! `inventory.yml`: which hosts there are, in which groups, and what each level gives to them.
//!
//! Reads the declarations; [`super::levels`] says which of them holds for a host.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Instances of roles that are not known, which has been reported: nothing is said of what is given to them.
    pub(crate) unknown: BTreeSet<String>,
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
                self.inventory.unknown.insert(instance.to_owned());
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::connection::{BecomeMethod, HostKeyChecking, TransportKind};
    use super::super::testing::{brief, good, with_inventory};
    use super::*;

    #[test]
    fn hosts_groups_and_roles_in_order() {
        let project = good(
            "\
groups:
  canary: {hosts: {web3: {vars: {nginx: {workers: 8}}}}}
  web:
    roles: [base, nginx, {app: shop}, {app: blog}, base]
    hosts: [\"web[1:3]\", web1]
  everything: {groups: [web, db], roles: [base]}
  db: {hosts: [db1]}
  both: {all_of: [web, canary], roles: [app]}
hosts:
  lone: {roles: [app]}
  db1: {}
",
            &[],
        );
        let hosts: Vec<&str> = project.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(hosts, ["web3", "web1", "web2", "db1", "lone"]);
        let groups: Vec<String> =
            project.groups.values().map(|group| format!("{}: {}", group.name, group.hosts.join(" "))).collect();
        assert_eq!(
            groups,
            ["canary: web3", "web: web3 web1 web2", "everything: web3 web1 web2 db1", "db: db1", "both: web3"]
        );
        assert_eq!(project.hosts[0].groups, ["both", "canary", "web", "everything"]);
        let roles: Vec<&str> = project.hosts[0].roles.iter().map(|given| given.instance.as_str()).collect();
        assert_eq!(roles, ["base", "nginx", "shop", "blog", "app"]);
        assert_eq!(project.hosts[4].roles[0].role, "app");
        assert_eq!(project.hosts[4].groups, Vec::<String>::new());
        assert_eq!(project.hosts[1].span.text(), "\"web[1:3]\"");
    }

    #[test]
    fn connection_settings_come_from_the_nearest_level() {
        let project = good(
            "\
defaults: {user: deploy, become: true, identity_file: ~/.ssh/id_ed25519, connect_timeout: 10s}
groups:
  web: {port: 2222, hosts: [a, b], host_key_checking: accept-new}
  inner: {hosts: [b], port: 22, become: false, become_method: doas, become_user: app, proxy_jump: me@gate:22}
  outer: {groups: [inner], port: 23}
  both: {all_of: [web, inner], port: 24}
hosts:
  c: {transport: local, address: 192.0.2.1, identity_file: [keys/a, /keys/b], known_hosts: hosts.txt, connect_timeout: 500ms}
",
            &[],
        );
        let host = |name: &str| project.hosts.iter().find(|host| host.name == name).unwrap().connection.clone();
        assert_eq!(
            host("a"),
            Connection {
                user: Some("deploy".into()),
                port: Some(2222),
                identity_file: vec![PathBuf::from("/home/me/.ssh/id_ed25519")],
                connect_timeout: Some(Duration::from_secs(10)),
                become_other: true,
                host_key_checking: Some(HostKeyChecking::AcceptNew),
                ..Connection::default()
            }
        );
        let b = host("b");
        assert_eq!((b.port, b.become_other, b.become_method), (Some(24), false, Some(BecomeMethod::Doas)));
        assert_eq!((b.become_user.as_deref(), b.proxy_jump.as_deref()), (Some("app"), Some("me@gate:22")));
        let c = host("c");
        assert_eq!((c.transport, c.address.as_deref()), (TransportKind::Local, Some("192.0.2.1")));
        assert!(c.identity_file[0].is_absolute() && c.identity_file[0].ends_with("keys/a"));
        assert_eq!(c.identity_file[1], PathBuf::from("/keys/b"));
        assert!(c.known_hosts.unwrap().ends_with("hosts.txt"));
        assert_eq!(c.connect_timeout, Some(Duration::from_millis(500)));
    }

    #[test]
    fn a_mistyped_role_is_shown_in_full() {
        let (_, found) = with_inventory("groups:\n  web:\n    roles: [base, ngnix]\n", &[]);
        assert_eq!(
            found,
            "\
error: unknown role `ngnix`
 --> inventory.yml:3:19
  |
3 |     roles: [base, ngnix]
  |                   ^^^^^
  = did you mean `nginx`?
"
        );
    }

    #[test]
    fn a_bad_range_is_pointed_at() {
        let (_, found) = with_inventory("groups: {web: {hosts: [\"web[5:1].example.com\"]}}\n", &[]);
        assert_eq!(
            found,
            "\
error: a range must go upwards
 --> inventory.yml:1:29
  |
1 | groups: {web: {hosts: [\"web[5:1].example.com\"]}}
  |                             ^^^
  = write `[1:5]`
"
        );
    }

    #[test]
    fn loops_of_groups_are_named_whole() {
        let (_, found) = with_inventory(
            "groups:\n  a: {groups: [b]}\n  b: {all_of: [c, d]}\n  c: {groups: [a]}\n  d: {groups: [d]}\n",
            &[],
        );
        assert_eq!(
            brief(&found),
            [
                "groups consist of each other in a loop: a → b → c → a @ inventory.yml:4:16 = remove one of them from the other",
                "groups consist of each other in a loop: d → d @ inventory.yml:5:16 = remove one of them from the other",
            ]
        );
    }

    #[test]
    fn mistakes() {
        for (text, complaint) in [
            ("group: {}", "unknown key `group` of the inventory @ I:1:1 = did you mean `groups`?"),
            ("groups: [web]", "`groups` must be a map, not a list @ I:1:9 = write `key: value` lines"),
            (
                "groups: {all: {}}",
                "`all` cannot be the name of a group: it means every host @ I:1:10 = connection settings for every host go into `defaults`",
            ),
            ("groups: {web: {host: [a]}}", "unknown key `host` of a group @ I:1:16 = did you mean `hosts`?"),
            (
                "groups: {web: {hosts: web1}}",
                "`hosts` must be a list or a map, not text @ I:1:23 = write `hosts: [\"web1\"]`",
            ),
            (
                "groups: {web: {hosts: [{a: {port: 1}}]}}",
                "a host with settings in a list of hosts @ I:1:24 = write all hosts as a map: `hosts: {web1: {address: …}, web2: {}}`",
            ),
            (
                "groups: {web: {hosts: [a b]}}",
                "`a b` cannot be the name of a host @ I:1:24 = letters, digits, `.`, `-`, `_` and `:`; not `all`; a port goes into `port`, an address into `address`",
            ),
            ("groups: {web: {hosts: {a: {prot: 22}}}}", "unknown key `prot` of a host @ I:1:28 = did you mean `port`?"),
            ("groups: {web: {groups: [wbe]}}", "unknown group `wbe` @ I:1:25 = did you mean `web`?"),
            (
                "groups: {a: {}, w: {all_of: [a]}}",
                "`all_of` needs at least two groups @ I:1:29 = it is for the hosts that are in all of them: `all_of: [web, tokyo]`",
            ),
            (
                "groups: {a: {}, b: {}, c: {all_of: [a, b], hosts: [x]}}",
                "a group with `all_of` cannot have `hosts` @ I:1:44 = remove `hosts`, or make it a group of its own",
            ),
            (
                "groups: {web: {roles: [[a]]}}",
                "a role is a name, or one `role: instance` @ I:1:24 = for example `roles: [base, {app: shop}, {app: blog}]`",
            ),
            (
                "groups: {web: {roles: [{app: a/b}]}}",
                "`a/b` cannot be the name of a role instance @ I:1:30 = letters, digits, `_` and `-`, at most 100 of them, the first a letter, a digit or `_`",
            ),
            (
                "groups: {web: {roles: [{app: nginx}]}}",
                "the instance `nginx` of role app has the name of another role @ I:1:24 = choose another name: values and addresses name instances",
            ),
            (
                "groups: {web: {roles: [{app: x}, {base: x}]}}",
                "`x` is an instance of role app and of role base @ I:1:34 = choose another name for one of them: values and addresses name instances",
            ),
            (
                "groups: {web: {hosts: [a], vars: {workers: 4}}}",
                "values are given by role and parameter @ I:1:44 = write `vars: {<role>: {workers: …}}`",
            ),
            (
                "defaults: {vars: {}}",
                "`vars` cannot stand in `defaults` @ I:1:12 = these are connection settings; give it to a group that contains the others: `everything: {groups: […]}`",
            ),
            ("defaults: {usr: x}", "unknown connection setting `usr` @ I:1:12 = did you mean `user`?"),
            ("defaults: {port: 70000}", "`70000` is not a port @ I:1:18 = a number from 1 to 65535"),
            ("defaults: {transport: shh}", "unknown transport `shh` @ I:1:23 = did you mean `ssh`?"),
            (
                "defaults: {user: -oProxyCommand=x}",
                "the user cannot begin with `-` or contain blanks @ I:1:18 = write the name alone; further settings have keys of their own",
            ),
            (
                "defaults: {become: yes}",
                "`become` must be a boolean @ I:1:20 = write `true` or `false`, without quotes",
            ),
            ("defaults: {connect_timeout: 10}", "`10` is not a duration @ I:1:29 = write `10s`"),
            (
                "defaults: {connect_timeout: soon}",
                "`soon` is not a duration @ I:1:29 = a number and `ms`, `s` or `m`: `10s`",
            ),
            (
                "defaults: {identity_file: ~bob/key}",
                "only `~/`, the own home folder, is expanded @ I:1:27 = write the whole path",
            ),
            (
                "hosts: [\"a[1:100001]\"]",
                "the range stands for too many hosts @ I:1:12 = at most 100000 are read from one pattern",
            ),
            (
                "hosts: [\"a[1:60000]\", \"b[1:60000]\"]",
                "the inventory names more than 100000 hosts @ I:1:23 = split it into several projects",
            ),
        ] {
            let (_, found) = with_inventory(text, &[]);
            assert_eq!(brief(&found).join("\n"), complaint.replace("@ I:", "@ inventory.yml:"), "{text}");
        }
    }
}
