//! A role's head: `role.yml` without the meaning of its resources, and what several roles must agree on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::model::{OwnFact, Param, Role, RoleFiles, RoleUse, Shape, ShapeType, Spec};
use super::names;
use super::schema;
use super::yaml::{self, Data, Key, Node};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::{Source, Span};
use crate::resource::facts::OsFamily;

const KEYS: &[&str] = &["description", "platforms", "requires", "params", "let", "facts", "resources"];

/// Reads `role.yml`; mistakes are added to `found`, and what is right is kept.
pub fn read(
    name: &str,
    source: &Arc<Source>,
    node: &Node,
    files: RoleFiles,
    spec: Option<Spec>,
    found: &mut Diagnostics,
) -> Role {
    yaml::check_keys(node.entries().unwrap_or_default(), "key of a role", KEYS, found);
    let description = node.get("description").and_then(|text| text.expect_text("the description", found));
    let role = Role {
        name: name.to_owned(),
        source: Arc::clone(source),
        description: description.map(str::to_owned),
        platforms: platforms(node.get("platforms"), found),
        requires: requires(node.get("requires"), found),
        params: node.get("params").map(|params| schema::params(params, "`params`", found)).unwrap_or_default(),
        lets: lets(node.get("let"), found),
        facts: facts(node.get("facts"), found),
        resources: entries(node.get("resources"), "`resources`", found),
        spec,
        files,
    };
    check_clashes(&role, found);
    role
}

/// A host's roles in the order in which they are applied: each after the roles it requires, which are added where the host
/// has no instance of them.
pub fn with_required(uses: &[RoleUse], roles: &BTreeMap<String, Role>) -> Vec<RoleUse> {
    let mut ordered = Vec::with_capacity(uses.len());
    let mut begun = BTreeSet::new();
    for given in uses {
        place(given, uses, roles, &mut begun, &mut ordered);
    }
    ordered
}

/// Puts a role behind what it requires. A loop, which is an error of its own, is cut.
fn place(
    given: &RoleUse,
    uses: &[RoleUse],
    roles: &BTreeMap<String, Role>,
    begun: &mut BTreeSet<String>,
    ordered: &mut Vec<RoleUse>,
) {
    if !begun.insert(given.instance.clone()) {
        return;
    }
    for (name, span) in roles.get(&given.role).map(|role| role.requires.as_slice()).unwrap_or_default() {
        let mut present = uses.iter().filter(|other| other.role == *name).peekable();
        if present.peek().is_none() && roles.contains_key(name) {
            let required = RoleUse { role: name.clone(), instance: name.clone(), span: span.clone() };
            place(&required, uses, roles, begun, ordered);
        }
        for other in present {
            place(other, uses, roles, begun, ordered);
        }
    }
    ordered.push(given.clone());
}

/// The entries of `resources` or `checks`: a list of maps.
pub(crate) fn entries(node: Option<&Node>, what: &str, found: &mut Diagnostics) -> Vec<Node> {
    let items = node.and_then(|node| node.expect_list(what, found)).unwrap_or_default();
    for item in items {
        if !matches!(item.data, Data::Map(_)) {
            found.push(
                Diagnostic::error(&item.span, format!("an entry of {what} must be a map, not {}", item.describe()))
                    .hint("for example `- package: nginx`"),
            );
        }
    }
    items.iter().filter(|item| matches!(item.data, Data::Map(_))).cloned().collect()
}

/// Checks `requires` over all roles: each role is there, and none needs itself. `known` are the names of all roles, also of
/// those that could not be read.
pub(crate) fn check_requires(roles: &BTreeMap<String, Role>, known: &[&str], found: &mut Diagnostics) {
    for role in roles.values() {
        for (name, span) in &role.requires {
            if !known.contains(&name.as_str()) {
                found.push(Diagnostic::unknown(span, "role", name, known.iter().copied()));
            }
        }
    }
    let mut done = BTreeSet::new();
    for name in roles.keys() {
        walk(roles, name, &mut Vec::new(), &mut done, found);
    }
}

/// Looks for a loop below `name`; `path` is how it was reached.
fn walk<'a>(
    roles: &'a BTreeMap<String, Role>,
    name: &'a str,
    path: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
    found: &mut Diagnostics,
) {
    let Some(role) = roles.get(name) else { return };
    if done.contains(name) {
        return;
    }
    path.push(name);
    for (next, span) in &role.requires {
        if let Some(from) = path.iter().position(|seen| seen == next) {
            let mut names: Vec<&str> = path[from..].to_vec();
            names.push(next);
            found.push(
                Diagnostic::error(span, format!("roles require each other in a loop: {}", names.join(" → ")))
                    .hint("remove one of these requirements, or move what both need into a role of its own"),
            );
        } else {
            walk(roles, next, path, done, found);
        }
    }
    path.pop();
    done.insert(name);
}

fn platforms(node: Option<&Node>, found: &mut Diagnostics) -> Vec<OsFamily> {
    let mut families = Vec::new();
    for item in node.and_then(|node| node.expect_list("`platforms`", found)).unwrap_or_default() {
        let Some(word) = item.expect_text("a platform", found) else { continue };
        if !OsFamily::WORDS.contains(&word) {
            found.push(Diagnostic::unknown(&item.span, "platform", word, OsFamily::WORDS.iter().copied()));
        } else {
            families.push(OsFamily::from_word(word));
        }
    }
    families
}

fn requires(node: Option<&Node>, found: &mut Diagnostics) -> Vec<(String, Span)> {
    let mut required: Vec<(String, Span)> = Vec::new();
    for item in node.and_then(|node| node.expect_list("`requires`", found)).unwrap_or_default() {
        if let Some(name) = item.expect_text("a required role", found)
            && !required.iter().any(|(known, _)| known == name)
        {
            required.push((name.to_owned(), item.span.clone()));
        }
    }
    required
}

fn lets(node: Option<&Node>, found: &mut Diagnostics) -> Vec<(String, Node, Span)> {
    let entries = node.and_then(|node| node.expect_map("`let`", found)).unwrap_or_default();
    let mut lets = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if names::check_value(&key.text, &key.span, "variable", found) {
            lets.push((key.text.clone(), value.clone(), key.span.clone()));
        }
    }
    lets
}

fn facts(node: Option<&Node>, found: &mut Diagnostics) -> IndexMap<String, OwnFact> {
    let entries = node.and_then(|node| node.expect_map("`facts`", found)).unwrap_or_default();
    let mut facts = IndexMap::new();
    for (key, value) in entries {
        let named = names::check_value(&key.text, &key.span, "fact", found);
        if let Some(fact) = fact(key, value, found)
            && named
        {
            facts.insert(key.text.clone(), fact);
        }
    }
    facts
}

fn fact(key: &Key, node: &Node, found: &mut Diagnostics) -> Option<OwnFact> {
    let text = Shape { ty: ShapeType::String, min: None, max: None, pattern: None };
    let (command, shape) = if node.as_text().is_some() {
        (node.expect_text("the command of a fact", found)?, text)
    } else {
        let entries = node.expect_map("a fact", found)?;
        let known = ["command", "type", "values", "min", "max", "pattern"];
        yaml::check_keys(entries, "key of a fact", &known, found);
        let Some(command) = node.get("command") else {
            found.push(
                Diagnostic::error(&key.span, format!("the fact `{}` has no `command`", key.text))
                    .hint("a command that only reads; what it prints is the value"),
            );
            return None;
        };
        let command = command.expect_text("the command of a fact", found)?;
        let shape = if node.get("type").is_some() { schema::shape(node, &key.span, found)? } else { text };
        if let (Some(ty), ShapeType::List(_) | ShapeType::Map(_) | ShapeType::Secret | ShapeType::File) =
            (node.get("type"), &shape.ty)
        {
            found.push(
                Diagnostic::error(&ty.span, "a fact cannot have this type")
                    .hint("one of string, int, float, bool, path, enum: a fact is what a command prints"),
            );
        }
        (command, shape)
    };
    Some(OwnFact { name: key.text.clone(), span: key.span.clone(), command: command.to_owned(), shape })
}

/// Names in one role must tell things apart: a parameter, a `let` and the variable of an `each` share one space.
fn check_clashes(role: &Role, found: &mut Diagnostics) {
    for (name, _, span) in &role.lets {
        if let Some(param) = role.params.get(name) {
            found.push(
                Diagnostic::error(span, format!("`{name}` is a parameter and computed in `let`"))
                    .related(&param.span, "the parameter")
                    .hint("rename one of them: what is computed cannot be given a value"),
            );
        }
    }
    let specs = role.spec.iter().flat_map(|spec| &spec.checks);
    for entry in role.resources.iter().chain(specs) {
        check_each(entry, &role.params, &role.lets, &mut Vec::new(), found);
    }
}

/// The same for the entries of a spec that stands in `specs/`.
pub(crate) fn check_spec(spec: &Spec, role: &Role, found: &mut Diagnostics) {
    for entry in &spec.checks {
        check_each(entry, &role.params, &role.lets, &mut Vec::new(), found);
    }
}

fn check_each<'a>(
    entry: &'a Node,
    params: &IndexMap<String, Param>,
    lets: &[(String, Node, Span)],
    outer: &mut Vec<(&'a str, Span)>,
    found: &mut Diagnostics,
) {
    let named = entry.get("each").and_then(|each| Some((each, each.as_text()?.split_once(" in ")?.0.trim())));
    if let Some((each, name)) = named {
        let at = each.span.text().find(name).unwrap_or(0);
        let span = each.span.part(at, name.len());
        if names::check_value(name, &span, "variable", found) {
            let clash = params.get(name).map(|param| (param.span.clone(), "the parameter"));
            let clash = clash.or_else(|| {
                lets.iter().find(|(known, ..)| known == name).map(|(.., span)| (span.clone(), "the `let`"))
            });
            let clash = clash.or_else(|| {
                outer.iter().find(|(known, _)| *known == name).map(|(_, span)| (span.clone(), "the outer `each`"))
            });
            if let Some((other, what)) = clash {
                found.push(
                    Diagnostic::error(&span, format!("the variable `{name}` hides another value of this name"))
                        .related(&other, what)
                        .hint("choose another name for the variable"),
                );
            }
        }
        outer.push((name, span));
    }
    for key in ["resources", "checks"] {
        for inner in entry.get(key).and_then(Node::as_list).unwrap_or_default() {
            check_each(inner, params, lets, outer, found);
        }
    }
    if named.is_some() {
        outer.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{brief, good, with_files};
    use super::*;

    #[test]
    fn the_head_of_a_role() {
        let text = "\
description: nginx with vhosts
platforms: [debian, redhat]
requires: [base]
params:
  workers: {type: string, pattern: \"auto|[0-9]+\", default: auto, description: how many}
  names: {type: list, of: string, min: 1, optional: true}
  vhosts:
    type: map
    merge: deep
    of: {server_name: {type: string}, port: {type: int, default: 80}, type: {type: string, optional: true}}
  level: {type: enum, values: [low, high]}
  ports: {type: list, of: {type: int, min: 1, max: 65535}}
let:
  user: {match: facts.os.family, debian: www-data}
  dir: /etc/nginx
facts:
  version: nginx -v 2>&1
  cores: {command: nproc, type: int}
resources:
  - package: nginx
  - each: vhost in vhosts
    resources:
      - file: \"{{ dir }}/{{ vhost.name }}.conf\"
";
        let (project, found) = with_files(&[("roles/web/role.yml", text)], &[]);
        assert_eq!(found, "");
        let role = &project.unwrap().roles["web"];
        assert_eq!(role.description.as_deref(), Some("nginx with vhosts"));
        assert_eq!(role.platforms, [OsFamily::Debian, OsFamily::Redhat]);
        assert_eq!(role.requires[0].0, "base");
        assert_eq!(role.params.keys().collect::<Vec<_>>(), ["workers", "names", "vhosts", "level", "ports"]);
        assert!(role.params["workers"].shape.pattern.as_ref().unwrap().is_match("12"));
        assert!(!role.params["workers"].shape.pattern.as_ref().unwrap().is_match("x12"));
        assert!(role.params["names"].optional && role.params["vhosts"].deep);
        let ShapeType::Map(of) = &role.params["vhosts"].shape.ty else { panic!("{:?}", role.params["vhosts"]) };
        let ShapeType::Record(fields) = &of.ty else { panic!("{of:?}") };
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["server_name", "port", "type"]);
        let ShapeType::List(of) = &role.params["ports"].shape.ty else { panic!() };
        assert_eq!((of.min, of.max, matches!(of.ty, ShapeType::Int)), (Some(1.0), Some(65535.0), true));
        assert_eq!(role.lets.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), ["user", "dir"]);
        assert_eq!(role.facts["version"].command, "nginx -v 2>&1");
        assert!(matches!(role.facts["cores"].shape.ty, ShapeType::Int));
        assert_eq!(role.resources.len(), 2);
    }

    #[test]
    fn an_unknown_key_is_shown_with_the_nearest() {
        let (_, found) = with_files(&[("roles/web/role.yml", "description: x\nresorces: []\n")], &[]);
        assert_eq!(
            found,
            "\
error: unknown key `resorces` of a role
 --> roles/web/role.yml:2:1
  |
2 | resorces: []
  | ^^^^^^^^
  = did you mean `resources`?
"
        );
    }

    #[test]
    fn a_loop_of_requirements_is_named_whole() {
        let (_, found) = with_files(
            &[
                ("roles/a/role.yml", "requires: [b]\n"),
                ("roles/b/role.yml", "requires: [c]\n"),
                ("roles/c/role.yml", "requires: [a, c]\n"),
            ],
            &[],
        );
        let hint = "remove one of these requirements, or move what both need into a role of its own";
        assert_eq!(
            brief(&found),
            [
                format!("roles require each other in a loop: a → b → c → a @ roles/c/role.yml:1:12 = {hint}"),
                format!("roles require each other in a loop: c → c @ roles/c/role.yml:1:15 = {hint}"),
            ]
        );
    }

    #[test]
    fn a_name_means_one_thing() {
        let (_, found) = with_files(
            &[(
                "roles/web/role.yml",
                "params: {port: {type: int}}\nlet: {port: 1, facts: 2}\nresources:\n  - each: port in ports\n    resources:\n      - each: x in y\n        resources: [{each: x in z, resources: []}]\n",
            )],
            &[],
        );
        let shown = found.split("\n\n").nth(1).unwrap();
        assert_eq!(
            shown,
            "\
error: `port` is a parameter and computed in `let`
 --> roles/web/role.yml:2:7
  |
2 | let: {port: 1, facts: 2}
  |       ^^^^
 ::: roles/web/role.yml:1:10
  |
1 | params: {port: {type: int}}
  |          ^^^^ the parameter
  = rename one of them: what is computed cannot be given a value"
        );
        assert_eq!(
            brief(&found),
            [
                "`facts` has a meaning of its own and cannot be the name of a variable @ roles/web/role.yml:2:16 = choose another name",
                "`port` is a parameter and computed in `let` @ roles/web/role.yml:2:7 = rename one of them: what is computed cannot be given a value",
                "the variable `port` hides another value of this name @ roles/web/role.yml:4:11 = choose another name for the variable",
                "the variable `x` hides another value of this name @ roles/web/role.yml:7:28 = choose another name for the variable",
            ]
        );
    }

    #[test]
    fn mistakes_in_a_head() {
        for (text, complaint) in [
            ("platforms: [debain]", "unknown platform `debain` @ P:1:13 = did you mean `debian`?"),
            ("requires: [bse]", "unknown role `bse` @ P:1:12 = did you mean `base`?"),
            (
                "requires: base",
                "`requires` must be a list, not text @ P:1:11 = write `[…, …]`, or a line `- …` for each item",
            ),
            (
                "params: {a: string}",
                "the parameter `a` must be a map, not text @ P:1:13 = for example `a: {type: string, default: …}`",
            ),
            (
                "params: {a: {}}",
                "the type is missing @ P:1:10 = add `type:`, one of string, int, float, bool, path, enum, list, map, secret, file",
            ),
            ("params: {a: {type: strng}}", "unknown type `strng` @ P:1:20 = did you mean `string`?"),
            (
                "params: {a-b: {type: int}}",
                "`a-b` cannot be the name of a parameter @ P:1:10 = letters, digits and `_`, the first not a digit: the name is used in expressions",
            ),
            (
                "params: {host: {type: int}}",
                "`host` has a meaning of its own and cannot be the name of a parameter @ P:1:10 = choose another name",
            ),
            (
                "params: {a: {type: int, defualt: 1}}",
                "unknown key `defualt` of a parameter @ P:1:25 = did you mean `default`?",
            ),
            ("params: {a: {type: int, of: string}}", "`of` means nothing for type int @ P:1:25 = it is for list, map"),
            (
                "params: {a: {type: int, min: 2, max: 1}}",
                "`max` is below `min`, which is 2 @ P:1:33 = exchange the two",
            ),
            ("params: {a: {type: int, min: x}}", "a limit must be a number, not text @ P:1:30 = for example `min: 1`"),
            (
                "params: {a: {type: int, optional: true, default: 1}}",
                "the parameter `a` is optional and has a default @ P:1:41 = remove one of them: without a value, an optional parameter is null, others are their default",
            ),
            (
                "params: {a: {type: int, optional: 1}}",
                "`optional` must be a boolean @ P:1:35 = write `true` or `false`, without quotes",
            ),
            (
                "params: {a: {type: list, merge: deep}}",
                "only maps can be merged @ P:1:33 = remove `merge`: the value of the nearest level replaces the others",
            ),
            ("params: {a: {type: map, merge: dep}}", "unknown way to merge `dep` @ P:1:32 = did you mean `deep`?"),
            (
                "params: {a: {type: enum}}",
                "an enum needs `values` @ P:1:13 = for example `{type: enum, values: [on-failure, always]}`",
            ),
            ("params: {a: {type: enum, values: [x, x]}}", "the value `x` is named twice @ P:1:38 = remove one"),
            ("params: {a: {type: enum, values: []}}", "`values` is empty @ P:1:34 = name at least one value"),
            (
                "params: {a: {type: string, pattern: \"(\"}}",
                "not a regular expression: unclosed group @ P:1:37 = the syntax is that of https://docs.rs/regex; the whole value must match, no `^` and `$` are needed",
            ),
            ("params: {a: {type: list, of: sting}}", "unknown type `sting` @ P:1:30 = did you mean `string`?"),
            (
                "params: {a: {type: list, of: enum}}",
                "an enum needs `values` @ P:1:30 = write `of: {type: enum, values: […]}`",
            ),
            ("params: {a: {type: map, of: {b: {type: itn}}}}", "unknown type `itn` @ P:1:40 = did you mean `int`?"),
            ("let: [a]", "`let` must be a map, not a list @ P:1:6 = write `key: value` lines"),
            (
                "facts: {v: {cmd: x}}",
                "unknown key `cmd` of a fact @ P:1:13 = known: command, max, min, pattern, type, values",
            ),
            (
                "facts: {v: {command: x, type: list}}",
                "a fact cannot have this type @ P:1:31 = one of string, int, float, bool, path, enum: a fact is what a command prints",
            ),
            (
                "resources: [nginx]",
                "an entry of `resources` must be a map, not text @ P:1:13 = for example `- package: nginx`",
            ),
            (
                "resources: {package: nginx}",
                "`resources` must be a list, not a map @ P:1:12 = write `[…, …]`, or a line `- …` for each item",
            ),
        ] {
            let (_, found) = with_files(&[("roles/web/role.yml", text)], &[]);
            let found = brief(&found);
            assert_eq!(found[0], complaint.replace("@ P:", "@ roles/web/role.yml:"), "{text}");
        }
    }

    #[test]
    fn required_roles_come_first_and_an_instance_is_enough() {
        let project = good("groups: {g: {roles: [nginx, {app: shop}], hosts: [h]}}\n", &[]);
        let order = |uses: &[RoleUse]| -> Vec<String> {
            with_required(uses, &project.roles).into_iter().map(|given| given.instance).collect()
        };
        assert_eq!(order(&project.hosts[0].roles), ["base", "nginx", "shop"]);
        let mut named = project.hosts[0].roles.clone();
        named.push(RoleUse { role: "base".into(), instance: "ground".into(), span: named[0].span.clone() });
        assert_eq!(order(&named), ["ground", "nginx", "shop"]);
    }
}
