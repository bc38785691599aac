//! What can be said of a role without any value: which facts it asks for, and mistakes in code that no host may ever run.

use std::sync::Arc;

use super::lets;
use super::model::{Host, Project, Role, Shape};
use super::params;
use super::resolve::Resolver;
use super::scope::{Scope, Variable};
use super::spelling;
use super::tokens::{self, Piece};
use super::yaml::{Data, Node};
use crate::base::clean;
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::Span;
use crate::resource::Facts;
use crate::resource::probe::{Probe, ProbeAnswer, ProbeEnd};

/// Which facts of a host must be read before it can be resolved. The built-in ones always are.
#[derive(Clone, Debug)]
pub struct FactNeeds {
    /// Own facts of its roles that are asked for, too.
    pub own: Vec<OwnNeed>,
}

/// An own fact of a role that must be read.
#[derive(Clone, Debug)]
pub struct OwnNeed {
    /// The command that prints it.
    pub probe: Probe,
    /// The key under which [`Facts::own`] holds it.
    key: String,
    /// The fact's name in the role.
    name: String,
    /// What it is.
    shape: Shape,
    /// Where it is declared.
    span: Span,
}

/// The key under which [`Facts::own`] holds an own fact of an instance of a role.
pub(crate) fn own_key(instance: &str, fact: &str) -> String {
    format!("{instance}/{fact}")
}

/// Puts the answers to the probes of own facts, in the order of the needs, into the facts.
///
/// # Errors
/// The facts that could not be read, or are not of their type, with the place of their declaration.
pub fn take_own_facts(
    needs: &FactNeeds,
    answers: &[Option<ProbeAnswer>],
    facts: &mut Facts,
) -> Result<(), Diagnostics> {
    let mut out = Diagnostics::new();
    for (at, need) in needs.own.iter().enumerate() {
        let value =
            printed(answers.get(at).and_then(Option::as_ref)).and_then(|text| params::own_fact(&need.shape, &text));
        match value {
            Ok(value) => drop(facts.own.insert(need.key.clone(), value)),
            Err(why) => {
                out.push(Diagnostic::error(&need.span, format!("the fact `{}` is not known: {why}", need.name)))
            }
        }
    }
    if out.has_errors() { Err(out) } else { Ok(()) }
}

/// What a command printed, if it succeeded.
fn printed(answer: Option<&ProbeAnswer>) -> Result<String, String> {
    let Some(answer) = answer else { return Err("the host did not answer".to_owned()) };
    match &answer.end {
        ProbeEnd::Exit(0) if answer.truncated => Err("its command prints too much".to_owned()),
        ProbeEnd::Exit(0) => {
            String::from_utf8(answer.stdout.clone()).map_err(|_| "what it printed is no text".to_owned())
        }
        ProbeEnd::Exit(status) => {
            let said = clean::utf8(&answer.stderr);
            let said = said.lines().next().map(|line| format!(": {line}")).unwrap_or_default();
            Err(format!("its command exited with {status}{said}"))
        }
        ProbeEnd::Signal(signal) => Err(format!("its command was killed by signal {signal}")),
        ProbeEnd::Deadline => Err("its command ran into its deadline".to_owned()),
        ProbeEnd::NotRun(why) => Err(format!("its command was not run: {why}")),
    }
}

/// The needs of all roles of a host.
pub(crate) fn of_host(resolver: &Resolver, host: &Host) -> Option<FactNeeds> {
    let (mut needed, mut own) = (false, Vec::new());
    for used in resolver.instances(host) {
        let Some(role) = resolver.project.roles.get(&used.role) else { continue };
        let Some(uses) = resolver.uses.get(&used.role) else { continue };
        needed |= !uses.facts.is_empty();
        let wanted = |name: &str| uses.facts.iter().any(|used| used.as_deref().is_none_or(|used| used == name));
        own.extend(role.facts.values().filter(|fact| wanted(&fact.name)).map(|fact| OwnNeed {
            probe: Probe::new(fact.command.as_str()),
            key: own_key(&used.instance, &fact.name),
            name: fact.name.clone(),
            shape: fact.shape.clone(),
            span: fact.span.clone(),
        }));
    }
    needed.then_some(FactNeeds { own })
}

/// What the code of a role asks for.
#[derive(Debug)]
pub(crate) struct Uses {
    /// Names right below `facts`; nothing for `facts` as a whole.
    facts: Vec<Option<String>>,
    /// Whether it asks for `hosts(…)`.
    pub(crate) hosts: bool,
}

/// What a role, its templates and its specs ask for.
pub(crate) fn uses(project: &Project, role: &Role) -> Uses {
    let code = code_of(project, role);
    let facts = code.iter().flat_map(|code| spelling::facts_used(code)).map(|name| name.map(str::to_owned)).collect();
    Uses { facts, hosts: code.iter().any(|code| spelling::uses(code, "hosts")) }
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
    let specs =
        role.spec.iter().chain(resolver.project.specs.get(&role.name)).map(|spec| (spec.checks.as_slice(), true));
    for (nodes, is_spec) in [(role.resources.as_slice(), false)].into_iter().chain(specs) {
        let mut builder = resolver.builder(role, &role.name, is_spec, true);
        builder.entries(nodes, &Arc::clone(&scope));
        super::link::mistakes(&builder.drafts, &mut builder.mistakes);
        out.extend(builder.mistakes);
    }
    for mut mistake in
        engine.template_list().filter_map(|name| engine.template_mistake(name, &Span::start_of(&role.source)))
    {
        // Who renders it has been found to be wrong already, and is named there.
        if !out.iter().any(|known| known.span == mistake.span) {
            mistake.related.clear();
            out.push(mistake);
        }
    }
    out
}

/// All code of a role and its specs; of its templates, all.
fn code_of(project: &Project, role: &Role) -> Vec<String> {
    let mut out = Vec::new();
    let specs = role.spec.iter().chain(project.specs.get(&role.name)).flat_map(|spec| &spec.checks);
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
