//! What `show` tells: what is declared for a host, rendered, and where each value comes from.
//!
//! Plain data. Secrets are named, never shown; printing is the caller's business.

use super::model::Host;
use super::resolve::{Resolver, View};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::nearest;
use crate::base::redact::MASK;
use crate::resource::want::{Resource, State, Want};
use crate::resource::{Address, Facts};

/// What is declared for a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The host's name.
    pub host: String,
    /// Its roles in order.
    pub roles: Vec<ShownRole>,
    /// What they declare and check, in order.
    pub resources: Vec<ShownResource>,
    /// Whether something is left out because it depends on facts that were not read.
    pub incomplete: bool,
}

/// A role of a host with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownRole {
    /// The instance's name.
    pub instance: String,
    /// The role's name.
    pub role: String,
    /// Where it was given to the host (`file:line:column`).
    pub place: String,
    /// Its parameters.
    pub values: Vec<ShownValue>,
}

/// A parameter with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownValue {
    /// The parameter.
    pub name: String,
    /// The value as people write it.
    pub value: String,
    /// Who gave it, nearest first, each with `file:line:column`; several where maps were merged.
    pub origins: Vec<(String, String)>,
}

/// A resource, rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownResource {
    /// Its address.
    pub address: String,
    /// The alias it was given.
    pub id: Option<String>,
    /// Whether it is a check of a spec.
    pub is_check: bool,
    /// Where it is declared.
    pub place: String,
    /// Its attributes as people write them, `state: absent` among them.
    pub attributes: Vec<(String, String)>,
    /// What it watches, each with the addresses that covers now.
    pub watches: Vec<(String, Vec<String>)>,
    /// Why it cannot be judged now.
    pub blocked: Option<String>,
}

impl Resolver {
    /// What is declared for a host, or only what `address` (a `[role/]kind:identity`, an id, or the name of a role) names.
    /// Without facts, what depends on them is left out; the family counts as known where the roles leave only one.
    ///
    /// # Errors
    /// The mistakes in what is declared, or that nothing has this address.
    pub fn show(&self, host: &Host, facts: Option<&Facts>, address: Option<&str>) -> Result<Shown, Diagnostics> {
        let view = match (facts, &self.families(host)[..]) {
            (Some(facts), _) => View::Known(facts),
            (None, [only]) => View::Assumed(*only),
            (None, _) => View::Nothing,
        };
        let run = self.run(host, view);
        if run.mistakes.has_errors() {
            return Err(run.mistakes);
        }
        let wanted = |resource: &Resource| address.is_none_or(|text| is_named(resource, text));
        let resources: Vec<ShownResource> = run
            .resources
            .iter()
            .filter(|resource| wanted(resource))
            .map(|resource| shown(resource, &run.resources))
            .collect();
        if let Some(text) = address.filter(|_| resources.is_empty()) {
            let names: Vec<String> = run.resources.iter().map(|resource| resource.address.to_string()).collect();
            let facts = if run.incomplete { ", as far as can be told without its facts" } else { "" };
            let found = Diagnostic::placeless(format!("nothing on {} has the address `{text}`{facts}", host.name));
            let mut out = Diagnostics::new();
            out.push(match nearest::hint(text, names.iter().map(String::as_str)) {
                Some(hint) => found.hint(hint),
                None => found,
            });
            return Err(out);
        }
        let roles = self.instances(host).into_iter().filter_map(|used| {
            let role = self.project.roles.get(&used.role)?;
            let values = self.parameters(host, &used, role, &mut Diagnostics::new());
            let values = values.into_iter().map(|(name, parameter)| ShownValue {
                name,
                value: parameter.value.to_string(),
                origins: parameter.origins.into_iter().map(|(origin, span)| (origin, span.to_string())).collect(),
            });
            let place = used.span.to_string();
            Some(ShownRole { instance: used.instance, role: used.role, place, values: values.collect() })
        });
        let about = |role: &ShownRole| {
            address.is_none() || resources.iter().any(|shown| shown.address.starts_with(&format!("{}/", role.instance)))
        };
        let roles = roles.filter(about).collect();
        Ok(Shown { host: host.name.clone(), roles, resources, incomplete: run.incomplete })
    }
}

/// Whether a text names a resource: its address with or without the role, its id, or its role.
fn is_named(resource: &Resource, text: &str) -> bool {
    let role = &resource.address.role;
    resource.id.as_deref() == Some(text)
        || role == text
        || Address::parse(text, role).is_some_and(|address| {
            let whole = Address { attribute: None, ..address };
            whole == resource.address || Address { nth: resource.address.nth, ..whole } == resource.address
        })
}

fn shown(resource: &Resource, all: &[Resource]) -> ShownResource {
    let state = (resource.state == State::Absent).then(|| ("state".to_owned(), "absent".to_owned()));
    let wants = resource.wants.iter().map(|(name, want)| ((*name).to_owned(), written(want, resource.hides(name))));
    ShownResource {
        address: resource.address.to_string(),
        id: resource.id.clone(),
        is_check: resource.is_check,
        place: resource.span.to_string(),
        attributes: state.into_iter().chain(wants).collect(),
        watches: resource
            .watches
            .iter()
            .map(|watch| (watch.target.clone(), watch.members.iter().map(|at| all[*at].address.to_string()).collect()))
            .collect(),
        blocked: resource.blocked.clone(),
    }
}

fn written(want: &Want, is_hidden: bool) -> String {
    match want {
        Want::Content(content) if is_hidden => {
            format!("*** ({} bytes)", content.bytes().len())
        }
        Want::Content(content) => String::from_utf8(content.bytes().to_vec())
            .unwrap_or_else(|_| format!("{} bytes, sha256 {}", content.bytes().len(), content.digest())),
        Want::Exactly(_) | Want::Matches(_) if is_hidden => MASK.to_owned(),
        Want::Exactly(value) => value.to_string(),
        Want::Matches(matcher) => matcher.to_string(),
    }
}
