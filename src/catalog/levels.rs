//! Which of several levels holds for a host: `--set`, the host, its groups, the defaults.
//!
//! The nearest wins. Two groups of which none is nearer must agree. Values whose maps are merged keep all levels.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::connection::Connection;
use super::connection_keys::{self, Paths};
use super::groups::Groups;
use super::inventory::{Inventory, Layer, Vars};
use super::model::{Given, Host, Role, RoleUse};
use super::role;
use super::yaml::{self, Key, Node};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::{Source, Span};

/// A value given on the command line.
#[derive(Debug)]
pub(crate) struct SetValue {
    instance: Key,
    param: Key,
    node: Node,
}

/// Reads `--set role.param=value`; the value is YAML.
pub(crate) fn read_set(text: &str) -> Result<SetValue, Diagnostics> {
    let source = Source::new("--set", text);
    let name = text.split('=').next().unwrap_or_default();
    let Some((dot, equals)) = name.find('.').zip(text.find('=')).filter(|(dot, equals)| *dot > 0 && dot + 1 < *equals)
    else {
        let mut found = Diagnostics::new();
        found.push(
            Diagnostic::error(&Span::new(&source, 0, name.len()), format!("`{text}` does not give a value"))
                .hint("write `--set role.parameter=value`; the value is YAML: `--set 'nginx.names=[a, b]'`"),
        );
        return Err(found);
    };
    let key =
        |start: usize, end: usize| Key { text: text[start..end].to_owned(), span: Span::new(&source, start, end) };
    let node = yaml::parse_range(&source, equals + 1..text.len())?;
    Ok(SetValue { instance: key(0, dot), param: key(dot + 1, equals), node })
}

/// The hosts with what holds for them; what contradicts or is nobody's is added to `found`.
pub(crate) fn hosts(
    inventory: &Inventory,
    groups: &Groups,
    roles: &BTreeMap<String, Role>,
    sets: &[SetValue],
    paths: Paths<'_>,
    found: &mut Diagnostics,
) -> Vec<Host> {
    let nearest_first = by_host(inventory, groups, &groups.nearest_first);
    let farthest_first = by_host(inventory, groups, &groups.farthest_first);
    let mut hosts: Vec<Host> = inventory
        .hosts
        .iter()
        .enumerate()
        .map(|(number, (name, declared))| Host {
            name: name.clone(),
            span: declared.span.clone(),
            groups: nearest_first[number].iter().map(|group| group_name(inventory, *group).to_owned()).collect(),
            roles: roles_of(inventory, &farthest_first[number], &declared.layers),
            connection: Connection::default(),
            values: BTreeMap::new(),
        })
        .collect();
    let instances: Vec<BTreeMap<String, String>> = hosts
        .iter()
        .map(|host| {
            role::with_required(&host.roles, roles).into_iter().map(|given| (given.instance, given.role)).collect()
        })
        .collect();
    check_names(inventory, groups, roles, sets, &instances, found);
    let mut judge = Judge { inventory, groups, reported: HashSet::new(), found };
    for (number, host) in hosts.iter_mut().enumerate() {
        let mine = Mine { number, name: &host.name, groups: &nearest_first[number] };
        host.connection = judge.connection(&mine, paths);
        host.values = judge.values(&mine, &instances[number], roles, sets);
    }
    hosts
}

/// For each host its groups, in the order of `order`.
fn by_host(inventory: &Inventory, groups: &Groups, order: &[usize]) -> Vec<Vec<usize>> {
    let mut of = vec![Vec::new(); inventory.hosts.len()];
    for &group in order {
        for &host in &groups.members[group] {
            of[host].push(group);
        }
    }
    of
}

fn group_name(inventory: &Inventory, group: usize) -> &str {
    inventory.groups.get_index(group).map_or("", |(name, _)| name)
}

/// Roles of the farthest group first, of the host itself last, each instance once.
fn roles_of(inventory: &Inventory, groups: &[usize], own: &[Arc<Layer>]) -> Vec<RoleUse> {
    let mut roles: Vec<RoleUse> = Vec::new();
    let layers = groups.iter().map(|group| &inventory.groups[*group].layer).chain(own.iter().map(Arc::as_ref));
    for given in layers.flat_map(|layer| &layer.roles) {
        if !roles.iter().any(|known| known.instance == given.instance) {
            roles.push(given.clone());
        }
    }
    roles
}

/// Checks that values are given to instances that are there and to parameters that their roles have.
fn check_names(
    inventory: &Inventory,
    groups: &Groups,
    roles: &BTreeMap<String, Role>,
    sets: &[SetValue],
    instances: &[BTreeMap<String, String>],
    found: &mut Diagnostics,
) {
    let everywhere: BTreeMap<&str, &str> = all(instances.iter());
    for (number, (name, group)) in inventory.groups.iter().enumerate() {
        if group.layer.vars.is_empty() {
            continue;
        }
        let members = &groups.members[number];
        // A group may be empty for now; then its values must be for something that exists.
        let there =
            if members.is_empty() { everywhere.clone() } else { all(members.iter().map(|host| &instances[*host])) };
        check_vars(inventory, &group.layer.vars, &format!("group `{name}`"), &there, &everywhere, roles, found);
    }
    let mut layers: HashMap<*const Layer, (&Layer, BTreeMap<&str, &str>, &str)> = HashMap::new();
    let mut order = Vec::new();
    for (number, (name, host)) in inventory.hosts.iter().enumerate() {
        for layer in host.layers.iter().filter(|layer| !layer.vars.is_empty()) {
            let entry = layers.entry(Arc::as_ptr(layer)).or_insert_with(|| {
                order.push(Arc::as_ptr(layer));
                (layer, BTreeMap::new(), name)
            });
            entry.1.extend(instances[number].iter().map(|(instance, role)| (instance.as_str(), role.as_str())));
        }
    }
    for (layer, there, name) in order.iter().filter_map(|layer| layers.get(layer)) {
        check_vars(inventory, &layer.vars, &format!("host `{name}`"), there, &everywhere, roles, found);
    }
    for set in sets.iter().filter(|set| !inventory.unknown.contains(&set.instance.text)) {
        match everywhere.get(set.instance.text.as_str()) {
            Some(role) => check_param(&set.param, roles.get(*role), found),
            None => found.push(unknown_instance(&set.instance, &everywhere)),
        }
    }
}

fn all<'a>(instances: impl Iterator<Item = &'a BTreeMap<String, String>>) -> BTreeMap<&'a str, &'a str> {
    instances.flatten().map(|(instance, role)| (instance.as_str(), role.as_str())).collect()
}

fn check_vars(
    inventory: &Inventory,
    vars: &[Vars],
    whose: &str,
    there: &BTreeMap<&str, &str>,
    everywhere: &BTreeMap<&str, &str>,
    roles: &BTreeMap<String, Role>,
    found: &mut Diagnostics,
) {
    for vars in vars.iter().filter(|vars| !inventory.unknown.contains(&vars.instance.text)) {
        let instance = &vars.instance;
        let Some(role) = there.get(instance.text.as_str()) else {
            found.push(if everywhere.contains_key(instance.text.as_str()) {
                let hint = "add it to its `roles`, or remove the values";
                let message = format!("{whose} has no role instance `{}`", instance.text);
                Diagnostic::error(&instance.span, message).hint(hint)
            } else {
                unknown_instance(instance, there)
            });
            continue;
        };
        for (param, _) in &vars.values {
            check_param(param, roles.get(*role), found);
        }
    }
}

fn unknown_instance(instance: &Key, known: &BTreeMap<&str, &str>) -> Diagnostic {
    let unknown = Diagnostic::unknown(&instance.span, "role instance", &instance.text, known.keys().copied());
    if unknown.hint.is_some() {
        return unknown;
    }
    unknown.hint("values are given by role: name one that is in `roles` of these hosts")
}

/// A role that could not be read has been reported and is not checked.
fn check_param(param: &Key, role: Option<&Role>, found: &mut Diagnostics) {
    let Some(role) = role.filter(|role| !role.params.contains_key(&param.text)) else { return };
    if let Some((.., span)) = role.lets.iter().find(|(name, ..)| *name == param.text) {
        found.push(
            Diagnostic::error(
                &param.span,
                format!("`{}` is computed by role {} and cannot be given", param.text, role.name),
            )
            .related(span, "computed here")
            .hint("give the parameters it is computed from, or make it a parameter"),
        );
        return;
    }
    let what = format!("parameter of role {}", role.name);
    let unknown = Diagnostic::unknown(&param.span, &what, &param.text, role.params.keys().map(String::as_str));
    found.push(if role.params.is_empty() { unknown.hint("the role has no parameters") } else { unknown });
}

/// Who says something about a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// The n-th `--set`; a later one wins.
    Set(usize),
    Host,
    Group(usize),
    Defaults,
}

/// What one level says.
#[derive(Clone, Copy)]
struct Offer<'a> {
    level: Level,
    node: &'a Node,
}

/// The host that is looked at.
struct Mine<'a> {
    number: usize,
    name: &'a str,
    /// Its groups, the nearest first.
    groups: &'a [usize],
}

struct Judge<'a> {
    inventory: &'a Inventory,
    groups: &'a Groups,
    /// Pairs of places that are known to contradict: a group has many hosts.
    reported: HashSet<(usize, usize)>,
    found: &'a mut Diagnostics,
}

impl<'a> Judge<'a> {
    fn connection(&mut self, mine: &Mine<'_>, paths: Paths<'_>) -> Connection {
        let mut offers: BTreeMap<&str, Vec<Offer<'a>>> = BTreeMap::new();
        for (level, layer) in self.layers(mine) {
            for (key, node) in &layer.connection {
                offers.entry(&key.text).or_default().push(Offer { level, node });
            }
        }
        let mut connection = Connection::default();
        for (key, offers) in offers {
            if let Some(winner) = self.judge(mine, key, offers, false).first() {
                // Its value has been checked where it is declared.
                connection_keys::set(&mut connection, key, winner.node, paths, &mut Diagnostics::new());
            }
        }
        connection
    }

    fn values(
        &mut self,
        mine: &Mine<'_>,
        instances: &BTreeMap<String, String>,
        roles: &BTreeMap<String, Role>,
        sets: &'a [SetValue],
    ) -> BTreeMap<(String, String), Vec<Given>> {
        let mut offers: BTreeMap<(&str, &str), Vec<Offer<'a>>> = BTreeMap::new();
        for (number, set) in sets.iter().enumerate().rev() {
            let offer = Offer { level: Level::Set(number), node: &set.node };
            offers.entry((&set.instance.text, &set.param.text)).or_default().push(offer);
        }
        for (level, layer) in self.layers(mine) {
            for vars in &layer.vars {
                for (param, node) in &vars.values {
                    offers.entry((&vars.instance.text, &param.text)).or_default().push(Offer { level, node });
                }
            }
        }
        let mut values = BTreeMap::new();
        for ((instance, name), offers) in offers {
            let role = instances.get(instance).and_then(|role| roles.get(role));
            let Some(param) = role.and_then(|role| role.params.get(name)) else { continue };
            let kept = self.judge(mine, &format!("{instance}.{name}"), offers, param.deep);
            let given =
                kept.iter().map(|offer| Given { node: offer.node.clone(), origin: self.origin(offer.level, mine) });
            values.insert((instance.to_owned(), name.to_owned()), given.collect());
        }
        values
    }

    /// The host's layers, the nearest first.
    fn layers(&self, mine: &Mine<'_>) -> Vec<(Level, &'a Layer)> {
        let inventory = self.inventory;
        let own = inventory.hosts[mine.number].layers.iter().map(|layer| (Level::Host, layer.as_ref()));
        let groups = mine.groups.iter().map(|group| (Level::Group(*group), &inventory.groups[*group].layer));
        own.chain(groups).chain([(Level::Defaults, &inventory.defaults)]).collect()
    }

    /// Of what the levels say, nearest first, that which holds: the winner, or with `deep` all of it.
    fn judge(&mut self, mine: &Mine<'_>, what: &str, mut offers: Vec<Offer<'a>>, deep: bool) -> Vec<Offer<'a>> {
        for (i, first) in offers.iter().enumerate() {
            for second in &offers[i + 1..] {
                if self.is_nearer(first.level, second.level) || self.is_nearer(second.level, first.level) {
                    continue;
                }
                let mut clashes = Vec::new();
                collect_clashes(first.node, second.node, deep, &mut Vec::new(), &mut clashes);
                for (path, a, b) in clashes {
                    let settled = offers.iter().any(|other| {
                        let nearer = |than: &Offer<'_>| self.is_nearer(other.level, than.level);
                        (nearer(first) || nearer(second)) && gives(other.node, &path)
                    });
                    if !settled && self.reported.insert((a.span.start(), b.span.start())) {
                        let what = path.iter().fold(what.to_owned(), |what, key| format!("{what}.{key}"));
                        let clash = self.clash(mine, &what, (first.level, a), (second.level, b));
                        self.found.push(clash);
                    }
                }
            }
        }
        if !deep {
            offers.truncate(1);
        }
        offers
    }

    fn clash(&self, mine: &Mine<'_>, what: &str, first: (Level, &Node), second: (Level, &Node)) -> Diagnostic {
        match (first.0, second.0) {
            (Level::Group(a), Level::Group(b)) => {
                let (a, b) = (group_name(self.inventory, a), group_name(self.inventory, b));
                Diagnostic::error(
                    &second.1.span,
                    format!("groups `{a}` and `{b}` disagree about `{what}` of {}, and neither is nearer", mine.name),
                )
                .related(&first.1.span, format!("given by `{a}`"))
                .hint(format!(
                    "give it to the host, or to a group with `all_of: [{a}, {b}]`: these are nearer than both"
                ))
            }
            _ => Diagnostic::error(&second.1.span, format!("`{what}` of {} is given twice, differently", mine.name))
                .related(&first.1.span, "first given here")
                .hint("keep one of them"),
        }
    }

    fn is_nearer(&self, a: Level, b: Level) -> bool {
        let rank = |level: Level| match level {
            Level::Set(_) => 0,
            Level::Host => 1,
            Level::Group(_) => 2,
            Level::Defaults => 3,
        };
        match (a, b) {
            (Level::Set(a), Level::Set(b)) => a > b,
            (Level::Group(a), Level::Group(b)) => self.groups.is_nearer(a, b),
            _ => rank(a) < rank(b),
        }
    }

    fn origin(&self, level: Level, mine: &Mine<'_>) -> String {
        match level {
            Level::Set(_) => "--set".to_owned(),
            Level::Host => format!("host {}", mine.name),
            Level::Group(group) => format!("group {}", group_name(self.inventory, group)),
            Level::Defaults => "defaults".to_owned(),
        }
    }
}

/// A place in two values where they contradict: the keys that lead there, and both.
type Clash<'a> = (Vec<&'a str>, &'a Node, &'a Node);

/// Where two values contradict. Maps that are merged contradict only in what both of them say.
fn collect_clashes<'a>(a: &'a Node, b: &'a Node, deep: bool, path: &mut Vec<&'a str>, out: &mut Vec<Clash<'a>>) {
    match (a.entries(), b.entries()) {
        (Some(entries), Some(_)) if deep => {
            for (key, value) in entries {
                if let Some(other) = b.get(&key.text) {
                    path.push(&key.text);
                    collect_clashes(value, other, deep, path, out);
                    path.pop();
                }
            }
        }
        _ if a.same(b) => {}
        _ => out.push((path.clone(), a, b)),
    }
}

/// Whether a value says anything at the end of a path of keys.
fn gives(node: &Node, path: &[&str]) -> bool {
    path.iter().try_fold(node, |node, key| node.get(key)).is_some()
}

/// The names of all hosts of each group, in the order of the inventory.
pub(crate) fn members(inventory: &Inventory, members: &BTreeSet<usize>) -> Vec<String> {
    members.iter().filter_map(|host| inventory.hosts.get_index(*host)).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{brief, good, with_files, with_inventory};

    /// The values of the first host that are given for a parameter, each with its origin.
    fn given(inventory: &str, sets: &[&str], instance: &str, param: &str) -> Vec<String> {
        let project = good(inventory, sets);
        let values = project.hosts[0].values.get(&(instance.to_owned(), param.to_owned()));
        values.into_iter().flatten().map(|given| format!("{}: {}", given.origin, given.node.span.text())).collect()
    }

    #[test]
    fn the_nearest_level_wins() {
        let outer = "outer: {groups: [web], vars: {nginx: {workers: 1}}}";
        let web = "web: {roles: [nginx], hosts: [h], vars: {nginx: {workers: 2}}}";
        let tokyo = "tokyo: {hosts: [h]}";
        let both = "both: {all_of: [web, tokyo], vars: {nginx: {workers: 3}}}";
        let host = "hosts: {h: {vars: {nginx: {workers: 4}}}}";
        for (text, sets, winner) in [
            (format!("groups: {{{outer}, web: {{roles: [nginx], hosts: [h]}}}}"), &[][..], "group outer: 1"),
            (format!("groups: {{{outer}, {web}}}"), &[], "group web: 2"),
            (format!("groups: {{{web}, {outer}}}"), &[], "group web: 2"),
            (format!("groups: {{{outer}, {both}, {web}, {tokyo}}}"), &[], "group both: 3"),
            (format!("groups: {{{outer}, {both}, {web}, {tokyo}}}\n{host}"), &[], "host h: 4"),
            (format!("{host}\ngroups: {{{web}}}"), &["nginx.workers=5"], "--set: 5"),
            (format!("{host}\ngroups: {{{web}}}"), &["nginx.workers=5", "nginx.workers=6"], "--set: 6"),
        ] {
            assert_eq!(given(&text, sets, "nginx", "workers"), [winner], "{text}");
        }
    }

    #[test]
    fn merged_maps_keep_all_levels_nearest_first() {
        let text = "\
groups:
  outer: {groups: [web], vars: {nginx: {vhosts: {a: {port: 1}}}}}
  web: {roles: [nginx], hosts: [h], vars: {nginx: {vhosts: {a: {port: 2}, b: {port: 3}}}}}
  tokyo: {hosts: [h], vars: {nginx: {vhosts: {c: {}, b: {port: 3}}}}}
hosts: {h: {vars: {nginx: {vhosts: {d: {}}}}}}
";
        let levels = given(text, &["nginx.vhosts={e: {}}"], "nginx", "vhosts");
        assert_eq!(
            levels,
            [
                "--set: {e: {}}",
                "host h: {d: {}}",
                "group web: {a: {port: 2}, b: {port: 3}}",
                "group outer: {a: {port: 1}}",
                "group tokyo: {c: {}, b: {port: 3}}",
            ]
        );
    }

    #[test]
    fn values_reach_instances_and_required_roles() {
        let text = "groups: {g: {roles: [nginx, {app: shop}], hosts: [h], vars: {shop: {port: 1}, base: {ntp: [x]}}}}";
        assert_eq!(given(text, &[], "shop", "port"), ["group g: 1"]);
        assert_eq!(given(text, &[], "base", "ntp"), ["group g: [x]"]);
        let text = "groups: {g: {hosts: [h], vars: {shop: {port: 1}}}, a: {roles: [{app: shop}], hosts: [i]}, b: {hosts: [i]}}\n";
        let (_, found) = with_inventory(text, &[]);
        assert_eq!(
            brief(&found),
            [
                "group `g` has no role instance `shop` @ inventory.yml:1:33 = add it to its `roles`, or remove the values"
            ]
        );
    }

    #[test]
    fn groups_that_disagree_are_told_how_to_settle_it() {
        let text = "\
groups:
  web: {roles: [base], hosts: [\"h[1:9]\"], vars: {base: {ntp: [a]}}}
  tokyo: {hosts: [\"h[1:5]\"], vars: {base: {ntp: [b]}}}
";
        let (_, found) = with_inventory(text, &[]);
        assert_eq!(
            found,
            "\
error: groups `web` and `tokyo` disagree about `base.ntp` of h1, and neither is nearer
 --> inventory.yml:3:49
  |
3 |   tokyo: {hosts: [\"h[1:5]\"], vars: {base: {ntp: [b]}}}
  |                                                 ^^^
 ::: inventory.yml:2:62
  |
2 |   web: {roles: [base], hosts: [\"h[1:9]\"], vars: {base: {ntp: [a]}}}
  |                                                              ^^^ given by `web`
  = give it to the host, or to a group with `all_of: [web, tokyo]`: these are nearer than both
"
        );
        for settled in [
            text.replace("[b]", "[a]"),
            text.to_owned() + "  both: {all_of: [web, tokyo], vars: {base: {ntp: [c]}}}\n",
            text.to_owned() + "hosts: {\"h[1:5]\": {vars: {base: {ntp: [c]}}}}\n",
        ] {
            good(&settled, &[]);
        }
        good(text, &["base.ntp=[x]"]);
    }

    #[test]
    fn only_what_both_say_can_contradict() {
        let text = "\
groups:
  web: {roles: [nginx], hosts: [h], port: 1, vars: {nginx: {vhosts: {a: {port: 1, x: 1}}}}}
  tokyo: {hosts: [h], port: 2, vars: {nginx: {vhosts: {a: {port: 2, y: 1}}}}}
";
        let (_, found) = with_inventory(text, &[]);
        let hint = "give it to the host, or to a group with `all_of: [web, tokyo]`: these are nearer than both";
        assert_eq!(
            brief(&found),
            [
                format!(
                    "groups `web` and `tokyo` disagree about `port` of h, and neither is nearer @ inventory.yml:3:29 = {hint}"
                ),
                format!(
                    "groups `web` and `tokyo` disagree about `nginx.vhosts.a.port` of h, and neither is nearer @ inventory.yml:3:66 = {hint}"
                ),
            ]
        );
        good(&(text.to_owned() + "hosts: {h: {port: 3, vars: {nginx: {vhosts: {a: {port: 3}}}}}}\n"), &[]);
    }

    #[test]
    fn a_host_may_be_named_twice_if_its_settings_agree() {
        let text = "groups: {a: {hosts: {h: {port: 1, user: x}}}, b: {hosts: {h: {port: 1, become: true}}}}\n";
        let host = &good(text, &[]).hosts[0];
        assert_eq!((host.connection.port, host.connection.become_other), (Some(1), true));
        let (_, found) = with_inventory("groups: {a: {hosts: {h: {port: 1}}}, b: {hosts: {h: {port: 2}}}}\n", &[]);
        assert_eq!(
            found,
            "\
error: `port` of h is given twice, differently
 --> inventory.yml:1:60
  |
1 | groups: {a: {hosts: {h: {port: 1}}}, b: {hosts: {h: {port: 2}}}}
  |                                                            ^
 ::: inventory.yml:1:32
  |
1 | groups: {a: {hosts: {h: {port: 1}}}, b: {hosts: {h: {port: 2}}}}
  |                                ^ first given here
  = keep one of them
"
        );
    }

    #[test]
    fn values_for_a_mistyped_role_are_no_second_mistake() {
        for roles in ["ngnix", "{ngnix: front}"] {
            let instance = if roles == "ngnix" { "ngnix" } else { "front" };
            let text = format!(
                "groups: {{g: {{roles: [{roles}], vars: {{{instance}: {{workers: 1}}}}, hosts: {{h: {{vars: {{{instance}: {{workers: 2}}}}}}}}}}}}"
            );
            let (_, found) = with_inventory(&text, &[&format!("{instance}.workers=3")]);
            let found = brief(&found);
            assert!(found.len() == 1 && found[0].starts_with("unknown role `ngnix`"), "{found:?}");
        }
    }

    #[test]
    fn values_for_nobody() {
        let inventory =
            |vars: &str| format!("groups: {{g: {{roles: [nginx, {{app: shop}}], hosts: [h], vars: {{{vars}}}}}}}");
        for (vars, complaint) in [
            ("ngnix: {workers: 1}", "unknown role instance `ngnix` @ I:1:62 = did you mean `nginx`?"),
            ("app: {port: 1}", "unknown role instance `app` @ I:1:62 = known: base, nginx, shop"),
            ("nginx: {wrokers: 1}", "unknown parameter `wrokers` of role nginx @ I:1:70 = did you mean `workers`?"),
            (
                "nginx: {user: x}",
                "`user` is computed by role nginx and cannot be given @ I:1:70 = give the parameters it is computed from, or make it a parameter",
            ),
        ] {
            let (_, found) = with_inventory(&inventory(vars), &[]);
            assert_eq!(brief(&found).join("\n"), complaint.replace("@ I:", "@ inventory.yml:"), "{vars}");
        }
        let set = "write `--set role.parameter=value`; the value is YAML: `--set 'nginx.names=[a, b]'`";
        for (text, complaint) in [
            ("ngnix.workers=1", "unknown role instance `ngnix` @ --set:1:1 = did you mean `nginx`?".to_owned()),
            (
                "nginx.wrkers=1",
                "unknown parameter `wrkers` of role nginx @ --set:1:7 = did you mean `workers`?".to_owned(),
            ),
            ("nginx", format!("`nginx` does not give a value @ --set:1:1 = {set}")),
            ("=", format!("`=` does not give a value @ --set:1:1 = {set}")),
            (".=x", format!("`.=x` does not give a value @ --set:1:1 = {set}")),
            ("nginx.=x", format!("`nginx.=x` does not give a value @ --set:1:1 = {set}")),
            ("a=b.c", format!("`a=b.c` does not give a value @ --set:1:1 = {set}")),
            (
                "nginx.workers=[1",
                "a bracket that is not closed @ --set:1:15 = add the closing bracket, or quote the text".to_owned(),
            ),
        ] {
            let (_, found) = with_inventory(&inventory(""), &[text]);
            assert_eq!(brief(&found), [complaint], "{text}");
        }
    }

    #[test]
    fn a_role_that_cannot_be_read_is_reported_once() {
        let (_, found) = with_files(
            &[
                ("roles/broken/role.yml", "a: [1\n"),
                ("inventory.yml", "groups: {g: {roles: [broken], hosts: [h], vars: {broken: {x: 1}}}}"),
                ("specs/broken.yml", "checks: []\n"),
                ("roles/app/role.yml", "requires: [broken]\n"),
            ],
            &[],
        );
        assert_eq!(
            brief(&found),
            ["a bracket that is not closed @ roles/broken/role.yml:1:4 = add the closing bracket, or quote the text"]
        );
    }
}
