//! What can be said of a role without any value: which facts it asks for, and mistakes in code that no host may ever run.

use std::sync::Arc;

use super::lets;
use super::model::{Host, Role, Shape};
use super::resolve::{Resolver, own_fact_key};
use super::scope::{Scope, Variable};
use super::spelling;
use super::tokens::{self, Piece};
use super::yaml::{Data, Node};
use crate::base::diagnostic::Diagnostics;
use crate::base::span::Span;

/// Which facts of a host must be read before it can be resolved.
#[derive(Clone, Debug, Default)]
pub struct FactNeeds {
    /// Whether any of the built-in facts is asked for.
    pub facts: bool,
    /// Own facts of its roles that are asked for.
    pub own: Vec<OwnFactNeed>,
}

/// An own fact of a role that must be read.
#[derive(Clone, Debug)]
pub struct OwnFactNeed {
    /// The key for [`crate::resource::Facts::own`].
    pub key: String,
    /// The instance of the role.
    pub instance: String,
    /// The fact's name in the role.
    pub name: String,
    /// The command that prints it.
    pub command: String,
    /// What it is; see [`super::params::own_fact`].
    pub shape: Shape,
    /// Where it is declared.
    pub span: Span,
}

impl FactNeeds {
    /// Whether nothing needs to be read.
    pub fn is_empty(&self) -> bool {
        !self.facts && self.own.is_empty()
    }
}

/// The needs of all roles of a host.
pub(crate) fn of_host(resolver: &Resolver, host: &Host) -> FactNeeds {
    let mut needs = FactNeeds::default();
    for used in resolver.instances(host) {
        let Some(role) = resolver.project.roles.get(&used.role) else { continue };
        needs.facts |= !role.platforms.is_empty();
        let mut wanted: Vec<&str> = Vec::new();
        for code in code_of(resolver, role) {
            for name in spelling::facts_used(&code) {
                let own: Vec<&str> = match name {
                    Some(name) => role.facts.keys().map(String::as_str).filter(|own| *own == name).collect(),
                    None => role.facts.keys().map(String::as_str).collect(),
                };
                needs.facts |= own.is_empty() || name.is_none();
                wanted.extend(own);
            }
        }
        for (name, fact) in role.facts.iter().filter(|(name, _)| wanted.contains(&name.as_str())) {
            needs.own.push(OwnFactNeed {
                key: own_fact_key(&used.instance, name),
                instance: used.instance.clone(),
                name: name.clone(),
                command: fact.command.clone(),
                shape: fact.shape.clone(),
                span: fact.span.clone(),
            });
        }
    }
    needs
}

/// Whether a role asks for `hosts(…)`.
pub(crate) fn uses_hosts(resolver: &Resolver, role: &Role) -> bool {
    code_of(resolver, role).iter().any(|code| spelling::uses(code, "hosts"))
}

/// The mistakes in a role and its specs, with nothing known but the names.
pub(crate) fn of_role(resolver: &Resolver, role: &Role) -> Diagnostics {
    let mut out = Diagnostics::new();
    let mut scope = Scope::default();
    for name in role.params.keys().map(String::as_str).chain(["facts", "host", "hosts"]) {
        scope.set(name, Variable::Unknown);
    }
    let Some(engine) = resolver.engines.get(role.name.as_str()) else { return out };
    let scope = lets::bind(engine, role, scope, true, &mut out);
    for mistake in
        engine.template_list().filter_map(|name| engine.template_mistake(name, &Span::start_of(&role.source)))
    {
        out.push(mistake);
    }
    let specs =
        role.spec.iter().chain(resolver.project.specs.get(&role.name)).map(|spec| (spec.checks.as_slice(), true));
    for (nodes, is_spec) in [(role.resources.as_slice(), false)].into_iter().chain(specs) {
        let mut builder = resolver.builder(role, &role.name, is_spec, true);
        builder.entries(nodes, &Arc::clone(&scope));
        super::link::mistakes(&builder.drafts, &mut builder.mistakes);
        out.extend(builder.mistakes);
    }
    out
}

/// All code of a role and its specs; of its templates, all.
fn code_of(resolver: &Resolver, role: &Role) -> Vec<String> {
    let mut out = Vec::new();
    let specs = role.spec.iter().chain(resolver.project.specs.get(&role.name)).flat_map(|spec| &spec.checks);
    for node in role.resources.iter().chain(specs).chain(role.lets.iter().map(|(_, node, _)| node)) {
        collect(node, false, &mut out);
    }
    for source in role.files.templates.values() {
        out.extend(tokens::template_code(&source.text).into_iter().map(|(code, _)| code.to_owned()));
    }
    out
}

fn collect(node: &Node, is_code: bool, out: &mut Vec<String>) {
    match &node.data {
        Data::Scalar(scalar) if is_code => out.push(scalar.text.clone()),
        Data::Scalar(scalar) => {
            for piece in tokens::pieces(&scalar.text).unwrap_or_default() {
                if let Piece::Code(code, _) = piece {
                    out.push(code.to_owned());
                }
            }
        }
        Data::List(items) => items.iter().for_each(|item| collect(item, false, out)),
        Data::Map(entries) => {
            for (key, value) in entries {
                collect(value, matches!(key.text.as_str(), "when" | "each" | "match"), out);
            }
        }
    }
}
