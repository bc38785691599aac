//! Where secrets are used: which parameter of which role on which host takes which.

use super::super::model::Project;
use super::super::params;
use super::super::role;
use super::super::yaml::{Data, Node};
use crate::base::span::Span;

/// One reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Use {
    /// The secret: `scope/name`.
    pub secret: String,
    /// The role instance and its parameter: `shop.db_password`.
    pub parameter: String,
    /// The host.
    pub host: String,
    /// Where it is written.
    pub span: Span,
}

/// All references that count, host by host: what a nearer level replaces does not.
pub fn uses(project: &Project) -> Vec<Use> {
    let mut out = Vec::new();
    for host in &project.hosts {
        for used in role::with_required(&host.roles, &project.roles) {
            let Some(role) = project.roles.get(&used.role) else { continue };
            for (name, param) in &role.params {
                let given = host.values.get(&(used.instance.clone(), name.clone()));
                let Some(node) = params::layered(param, given.map(Vec::as_slice).unwrap_or_default()) else { continue };
                let mut found = Vec::new();
                references(&node, &mut found);
                out.extend(found.into_iter().map(|(secret, span)| Use {
                    secret,
                    parameter: format!("{}.{name}", used.instance),
                    host: host.name.clone(),
                    span,
                }));
            }
        }
    }
    out
}

fn references(node: &Node, out: &mut Vec<(String, Span)>) {
    match &node.data {
        Data::Map(entries) => match &entries[..] {
            [(key, value)] if key.text == "secret" && value.as_text().is_some() => {
                out.extend(value.as_text().map(|text| (text.to_owned(), value.span.clone())));
            }
            _ => entries.iter().for_each(|(_, value)| references(value, out)),
        },
        Data::List(items) => items.iter().for_each(|item| references(item, out)),
        Data::Scalar(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::with_files;
    use super::*;

    #[test]
    fn only_the_nearest_reference_counts() {
        let files = [
            ("roles/shop/role.yml", "params:\n  db: {type: secret}\n  tokens: {type: map, of: secret, default: {}}\n"),
            (
                "inventory.yml",
                "groups:\n  g:\n    roles: [shop]\n    vars: {shop: {db: {secret: a/all}}}\n    \
                 hosts: {h1: {vars: {shop: {db: {secret: a/own}, tokens: {x: {secret: b/x}}}}}, h2: {}}\n",
            ),
        ];
        let (project, found) = with_files(&files, &[]);
        assert_eq!(found, "");
        let all = uses(&project.unwrap());
        let shown: Vec<String> =
            all.iter().map(|used| format!("{} {} {}", used.host, used.parameter, used.secret)).collect();
        assert_eq!(shown, ["h1 shop.db a/own", "h1 shop.tokens b/x", "h2 shop.db a/all"]);
        assert_eq!(all[2].span.line(), 4);
    }
}
