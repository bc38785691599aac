//! Entries: one item of a role's `resources` or a spec's `checks`, and the table of a kind, to resources.
//!
//! Blocks, `each`, `when` and lists are expanded here; every attribute is typed by the kind's table. What concerns several
//! resources (uniqueness, watches) is [`super::link`]'s business, and which values there are is [`super::resolve`]'s.

mod attributes;
mod values;

use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Value as Jinja, ValueKind};

use super::model::Role;
use super::params::first_line;
use super::render::{Engine, Trouble};
use super::scope::{Scope, Trace, Variable, from_jinja, to_jinja, traced};
use super::tree;
use super::yaml::{Data, Key, Node};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::secret::SecretFile;
use crate::base::span::Span;
use crate::base::value::Value;
use crate::resource::want::{Severity, State};
use crate::resource::{Address, Attribute, Content, Identity, Kind, Refresh, Resource, Type};

/// Items one `each` may have: a bound for mistakes.
const MOST_ITEMS: usize = 10_000;

/// Keys any entry may have.
const COMMON: &[&str] = &["each", "id", "sensitive", "severity", "state", "tags", "when", "within"];

/// Keys a block may have.
const BLOCK: &[&str] = &["checks", "each", "resources", "tags", "when"];

/// A resource on its way into the catalog.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// What is known of it; its watches are still to come.
    pub(crate) resource: Resource,
    /// Where its attributes were written.
    pub(crate) places: IndexMap<&'static str, Span>,
    /// What it watches, as written.
    pub(crate) watched: Vec<Watched>,
    /// Whether something about it is not known in this run, so that its kind cannot judge it.
    pub(crate) partial: bool,
}

/// One thing that is watched, as written.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    /// What a change calls for.
    pub(crate) refresh: Refresh,
    /// A path, an address or an id.
    pub(crate) target: String,
    /// Where it was written.
    pub(crate) span: Span,
}

/// Says why the secret with a name is not there, if it is not.
pub(crate) type Missing<'a> = Box<dyn Fn(&str) -> Option<String> + 'a>;

/// Decrypts a file of the role that is encrypted as a whole, asked for at a place.
pub(crate) type OpenFile<'a> = Box<dyn Fn(&str, &[u8], &Span) -> Result<SecretFile, Diagnostic> + 'a>;

/// Makes content of such a file, and says why it is not there, if it is not.
pub(crate) type Opener<'a> = dyn Fn(&str, &[u8], &Span) -> Result<(Content, Option<String>), Diagnostic> + 'a;

/// Turns the entries of one instance of a role into drafts.
pub(crate) struct Builder<'a> {
    /// All kinds there are.
    pub(crate) kinds: &'a [&'static dyn Kind],
    /// The role.
    pub(crate) role: &'a Role,
    /// The instance's name.
    pub(crate) instance: &'a str,
    /// Renders for the role.
    pub(crate) engine: &'a Engine,
    /// Whether the entries are checks of a spec.
    pub(crate) is_spec: bool,
    /// Whether nothing is known but the names: every branch is looked at, and every name in it is checked.
    pub(crate) is_static: bool,
    /// Says why a secret is not there.
    pub(crate) missing: Missing<'a>,
    /// Decrypts files.
    pub(crate) open: OpenFile<'a>,
    /// What was found so far.
    pub(crate) drafts: Vec<Draft>,
    /// Mistakes so far.
    pub(crate) mistakes: Diagnostics,
    /// Whether something was left out because it is not known in this run.
    pub(crate) incomplete: bool,
}

/// What an entry takes over from the blocks around it.
#[derive(Clone)]
struct Around {
    scope: Arc<Scope>,
    tags: Vec<String>,
}

impl Builder<'_> {
    /// Adds the resources of these entries.
    pub(crate) fn entries(&mut self, nodes: &[Node], scope: &Arc<Scope>) {
        let around = Around { scope: Arc::clone(scope), tags: Vec::new() };
        self.all(nodes, &around);
    }

    fn all(&mut self, nodes: &[Node], around: &Around) {
        for node in nodes {
            match &node.data {
                Data::Map(entries) => self.each(node, entries, around),
                _ => self.mistakes.push(
                    Diagnostic::error(&first_line(&node.span), "an entry is a map: a kind and its attributes")
                        .hint("write `- package: nginx`"),
                ),
            }
        }
    }

    fn each(&mut self, node: &Node, entries: &[(Key, Node)], around: &Around) {
        let Some(each) = value_of(entries, "each") else { return self.when(node, entries, around) };
        let items = self.items(each, around);
        let Some((name, items)) = self.settle(items) else { return };
        for item in items {
            let around = Around { scope: around.scope.with(&name, item), tags: around.tags.clone() };
            self.when(node, entries, &around);
        }
    }

    /// The variable of an `each` and its values.
    fn items(&self, node: &Node, around: &Around) -> Result<(String, Vec<Variable>), Trouble> {
        let form = "write `each: item in items`";
        let text = self.code(node, "each")?;
        let (name, code) = text
            .split_once(" in ")
            .ok_or_else(|| Diagnostic::error(&node.span, "`each` names no variable").hint(form))?;
        let name = name.trim();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err(Diagnostic::error(&node.span, format!("`{name}` cannot be the name of a variable"))
                .hint(form)
                .into());
        }
        let (value, trace) = traced(|| self.expression(code, &node.span, &around.scope));
        without_secrets(&trace, "each", &node.span)?;
        let value = match value {
            Err(Trouble::Unknown) if self.is_static => return Ok((name.to_owned(), vec![Variable::Unknown])),
            other => other?,
        };
        let wrong = |message: String| Trouble::from(Diagnostic::error(&node.span, message));
        let values: Vec<Jinja> = match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                value.try_iter().map_err(|error| wrong(error.to_string()))?.take(MOST_ITEMS + 1).collect()
            }
            ValueKind::Map => named(&value).map_err(wrong)?,
            kind => return Err(wrong(format!("`each` goes over a list or a map, and this is a {kind}"))),
        };
        if values.len() > MOST_ITEMS {
            return Err(wrong(format!("`each` would go over more than {MOST_ITEMS} items")));
        }
        Ok((name.to_owned(), values.into_iter().map(Variable::Known).collect()))
    }

    fn when(&mut self, node: &Node, entries: &[(Key, Node)], around: &Around) {
        if let Some(when) = value_of(entries, "when") {
            let holds = self.condition(when, around);
            match self.settle_or_static(holds) {
                Some(true) => {}
                _ => return,
            }
        }
        let inner = if self.is_spec { "checks" } else { "resources" };
        let block = entries.iter().find(|(key, _)| key.text == "resources" || key.text == "checks");
        let Some((key, inside)) = block else { return self.entry(node, entries, around) };
        for (key, _) in entries.iter().filter(|(key, _)| !BLOCK.contains(&key.text.as_str())) {
            self.mistakes.push(Diagnostic::unknown(&key.span, "key of a block", &key.text, BLOCK.iter().copied()));
        }
        if key.text != inner {
            let place = if self.is_spec { "a spec" } else { "a role" };
            self.mistakes
                .push(Diagnostic::error(&key.span, format!("a block of {place} has `{inner}`, not `{}`", key.text)));
            return;
        }
        let Data::List(nodes) = &inside.data else {
            self.mistakes
                .push(Diagnostic::error(&first_line(&inside.span), format!("`{inner}` takes a list of entries")));
            return;
        };
        let mut around = around.clone();
        if let Some(tags) = value_of(entries, "tags") {
            let tags = self.tags(tags, &around);
            around.tags.extend(self.settle(tags).unwrap_or_default());
        }
        self.all(nodes, &around);
    }

    fn condition(&self, node: &Node, around: &Around) -> Result<bool, Trouble> {
        let code = self.code(node, "when")?;
        let (value, trace) = traced(|| self.expression(code, &node.span, &around.scope));
        without_secrets(&trace, "when", &node.span)?;
        let value = value?;
        match value.kind() {
            ValueKind::String => {
                Err(Diagnostic::error(&node.span, "`when` gives a text, which is neither true nor false")
                    .hint(format!("compare it: when: {code} == \"…\""))
                    .into())
            }
            _ => Ok(value.is_true()),
        }
    }

    /// The text of a key that holds an expression.
    fn code<'n>(&self, node: &'n Node, key: &str) -> Result<&'n str, Trouble> {
        let wrong = |message: String| Diagnostic::error(&first_line(&node.span), message);
        let Data::Scalar(scalar) = &node.data else {
            return Err(wrong(format!("`{key}` takes one expression")).hint("join several with `and`").into());
        };
        let text = scalar.text.trim();
        if text.is_empty() {
            return Err(wrong(format!("`{key}` has no expression")).into());
        }
        if text.contains("{{") {
            let bare = text.replace("{{", "").replace("}}", "");
            let bare = bare.split_whitespace().collect::<Vec<_>>().join(" ");
            return Err(wrong(format!("`{key}` is an expression already, without braces"))
                .hint(format!("write {key}: {bare}"))
                .into());
        }
        Ok(&scalar.text)
    }

    fn entry(&mut self, node: &Node, entries: &[(Key, Node)], around: &Around) {
        let kind = self.kind(node, entries);
        let Some((kind, key, head)) = self.mistakes.take(kind) else { return };
        let table = kind.table();
        let allowed = if self.is_spec { table.in_specs } else { table.in_roles };
        if !allowed {
            let (here, there) =
                if self.is_spec { ("a spec", "a role's resources") } else { ("a role", "a spec's checks") };
            self.mistakes.push(
                Diagnostic::error(&key.span, format!("`{}` cannot stand in {here}", table.name))
                    .hint(format!("it belongs into {there}")),
            );
            return;
        }
        let heads = self.heads(kind, head, around);
        let Some(heads) = self.settle_heads(heads) else { return };
        for head in heads {
            let (draft, trace) = traced(|| self.draft(kind, key, &head, entries, around));
            if let Some((mut draft, tree)) = draft {
                draft.resource.blocked = trace.secrets.iter().find_map(|secret| (self.missing)(secret.name()));
                self.finish(draft, tree);
            }
        }
    }

    /// The texts of the kind's key; none for one that is not known in this run.
    fn heads(&self, kind: &dyn Kind, node: &Node, around: &Around) -> Result<Vec<Option<String>>, Trouble> {
        let identity: &'static Identity = &kind.table().identity;
        let nodes = match &node.data {
            Data::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        let mut out = Vec::new();
        for node in nodes {
            let (value, trace) = traced(|| self.value(node, &Type::List(&identity.ty), identity.name, around));
            if !trace.secrets.is_empty() {
                return Err(Diagnostic::error(&node.span, "a secret cannot be part of an address").into());
            }
            match value {
                Ok(Some(value)) => {
                    out.extend(value.as_list().unwrap_or_default().iter().map(|item| Some(item.to_string())));
                }
                Ok(None) => {
                    let message = format!("`{}` needs a {} here", kind.table().name, identity.name);
                    return Err(Diagnostic::error(&node.span, message).into());
                }
                Err(Trouble::Unknown) => out.push(None),
                Err(wrong) => return Err(wrong),
            }
        }
        match out.iter().flatten().any(String::is_empty) {
            true => Err(Diagnostic::error(&node.span, format!("the {} is empty", identity.name)).into()),
            false => Ok(out),
        }
    }

    fn settle_heads(&mut self, heads: Result<Vec<Option<String>>, Trouble>) -> Option<Vec<Option<String>>> {
        let heads = self.settle(heads)?;
        self.incomplete |= heads.iter().any(Option::is_none);
        Some(heads)
    }

    /// The kind an entry means: the key of which all other keys are attributes.
    fn kind<'n>(
        &self,
        node: &Node,
        entries: &'n [(Key, Node)],
    ) -> Result<(&'static dyn Kind, &'n Key, &'n Node), Diagnostic> {
        let fits = |kind: &dyn Kind, own: &Key| {
            let others = entries.iter().filter(|(key, _)| key.text != own.text);
            others
                .filter(|(key, _)| attribute(kind, &key.text).is_some() || COMMON.contains(&key.text.as_str()))
                .count()
        };
        let mut candidates: Vec<(usize, &'static dyn Kind, &Key, &Node)> = entries
            .iter()
            .filter_map(|(key, value)| {
                let kind = self.kinds.iter().find(|kind| kind.table().name == key.text)?;
                Some((fits(*kind, key), *kind, key, value))
            })
            .collect();
        candidates.sort_by_key(|(fit, ..)| std::cmp::Reverse(*fit));
        match candidates[..] {
            [(best, _, first, _), (second, _, other, _), ..] if best == second => {
                Err(Diagnostic::error(&first.span, format!("this could be a `{}` or a `{}`", first.text, other.text))
                    .hint("an entry is about one thing: write two entries"))
            }
            [(_, kind, key, value), ..] => Ok((kind, key, value)),
            [] => {
                let unknown = entries.iter().find(|(key, _)| !COMMON.contains(&key.text.as_str()));
                let names = self.kinds.iter().map(|kind| kind.table().name);
                Err(match unknown {
                    Some((key, _)) => Diagnostic::unknown(&key.span, "kind", &key.text, names),
                    None => Diagnostic::error(&first_line(&node.span), "this entry has no kind")
                        .hint(format!("known: {}", names.collect::<Vec<_>>().join(", "))),
                })
            }
        }
    }

    /// A draft of one resource, and the folder of the role whose content goes below it.
    fn draft(
        &mut self,
        kind: &'static dyn Kind,
        key: &Key,
        head: &Option<String>,
        entries: &[(Key, Node)],
        around: &Around,
    ) -> Option<(Draft, Option<String>)> {
        let name = head.clone().unwrap_or_default();
        let mut draft = Draft {
            resource: Resource {
                kind,
                address: Address::new(self.instance, kind.table().name, &name),
                head: name.clone(),
                id: None,
                is_check: self.is_spec,
                state: State::Present,
                wants: IndexMap::new(),
                watches: Vec::new(),
                keeps: Vec::new(),
                tags: around.tags.clone(),
                severity: Severity::default(),
                sensitive: false,
                secrets: IndexMap::new(),
                within: None,
                span: key.span.clone(),
                blocked: None,
            },
            places: IndexMap::new(),
            watched: Vec::new(),
            partial: head.is_none(),
        };
        let mut sound = true;
        let mut tree = None;
        let before = self.incomplete;
        // `sensitive` is read first: content needs to know it.
        let (first, rest): (Vec<_>, Vec<_>) = entries.iter().partition(|(key, _)| key.text == "sensitive");
        for (own, node) in first.into_iter().chain(rest).filter(|(own, _)| own.text != key.text) {
            let attribute = attribute(kind, &own.text);
            let (result, trace) = traced(|| match attribute {
                Some(attribute) => self.attribute(attribute, own, node, around, &mut draft, &mut tree),
                None => self.common(own, node, around, &mut draft),
            });
            let result = result.and_then(|()| attributes::taint(attribute, own, node, &trace, &mut draft.resource));
            match result {
                Ok(()) => {}
                Err(Trouble::Unknown) => draft.partial = true,
                Err(Trouble::Wrong(mistake)) => {
                    self.mistakes.push(*mistake);
                    sound = false;
                }
            }
        }
        self.incomplete = before || !sound || draft.partial;
        if !sound || head.is_none() {
            return None;
        }
        draft.resource.address.identity = kind.identity(&name, &draft.resource);
        Some((draft, tree))
    }

    fn finish(&mut self, draft: Draft, tree: Option<String>) {
        match tree.filter(|_| draft.resource.state == State::Present) {
            Some(folder) => {
                let open = |name: &str, bytes: &[u8], place: &Span| {
                    if self.is_static {
                        return Ok((Content::new(Vec::new(), true), None));
                    }
                    let file = (self.open)(name, bytes, place)?;
                    Ok((Content::secret_file(&file), (self.missing)(file.secret.name())))
                };
                let mut mistakes = Diagnostics::new();
                let below = tree::expand(self.kinds, self.role, &draft, &folder, &open, &mut mistakes);
                self.incomplete |= mistakes.has_errors();
                self.mistakes.extend(mistakes);
                self.drafts.push(draft);
                self.drafts.extend(below);
            }
            None => self.drafts.push(draft),
        }
    }

    fn settle<T>(&mut self, result: Result<T, Trouble>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Trouble::Wrong(mistake)) => {
                self.mistakes.push(*mistake);
                self.incomplete = true;
                None
            }
            Err(Trouble::Unknown) => {
                self.incomplete = true;
                None
            }
        }
    }

    /// A condition; one that is not known holds where every branch is looked at.
    fn settle_or_static(&mut self, result: Result<bool, Trouble>) -> Option<bool> {
        match (result, self.is_static) {
            (Err(Trouble::Unknown), true) => Some(true),
            (Ok(_), true) => Some(true),
            (other, _) => self.settle(other),
        }
    }
}

/// Refuses a secret in something that decides or is seen by others: `what` is the key.
pub(crate) fn without_secrets(trace: &Trace, what: &str, place: &Span) -> Result<(), Trouble> {
    let Some(secret) = trace.secrets.first() else { return Ok(()) };
    let found = Diagnostic::error(place, format!("a secret ({}) cannot stand in `{what}`", secret.name()));
    Err(match what {
        "when" | "each" | "match" => found.hint("what is declared must not depend on who can decrypt it"),
        _ => found.hint(
            "on the host it would be seen in an argument list or an environment; give it by `stdin`, or in a file by `content` or `template`",
        ),
    }
    .into())
}

fn named(map: &Jinja) -> Result<Vec<Jinja>, String> {
    let keys = map.try_iter().map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    for key in keys {
        let item = from_jinja(&map.get_item(&key).map_err(|error| error.to_string())?)?;
        let mut entries = IndexMap::from([("name".to_owned(), from_jinja(&key)?)]);
        match item {
            Value::Map(inner) => entries.extend(inner.into_iter().filter(|(name, _)| name != "name")),
            other => drop(entries.insert("value".to_owned(), other)),
        }
        out.push(to_jinja(&Value::Map(entries)));
    }
    Ok(out)
}

fn attribute(kind: &dyn Kind, name: &str) -> Option<&'static Attribute> {
    kind.table().attributes.iter().find(|attribute| attribute.name == name)
}

fn attribute_names(kind: &dyn Kind) -> Vec<&'static str> {
    kind.table().attributes.iter().map(|attribute| attribute.name).collect()
}

fn value_of<'n>(entries: &'n [(Key, Node)], name: &str) -> Option<&'n Node> {
    entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)
}
