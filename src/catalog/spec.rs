//! A spec's head: `specs/<role>.yml`, or a role's own `spec.yml`. What a check means is not known here.

use std::sync::Arc;

use super::model::Spec;
use super::yaml::{self, Node};
use crate::base::diagnostic::Diagnostics;
use crate::base::span::Source;

/// Reads a spec; mistakes are added to `found`.
pub fn read(source: &Arc<Source>, node: &Node, found: &mut Diagnostics) -> Spec {
    yaml::check_keys(node.entries().unwrap_or_default(), "key of a spec", &["checks"], found);
    let checks = super::role::entries(node.get("checks"), "`checks`", found);
    Spec { source: Arc::clone(source), checks }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{brief, with_files};

    #[test]
    fn specs_belong_to_roles() {
        let (project, found) = with_files(
            &[
                ("specs/nginx.yml", "checks:\n  - port: 80/tcp\n"),
                ("roles/app/spec.yml", "checks:\n  - port: 8001/tcp\n  - process: app\n"),
                ("specs/README.md", "how to write them"),
            ],
            &[],
        );
        assert_eq!(found, "");
        let project = project.unwrap();
        assert_eq!(project.specs["nginx"].checks.len(), 1);
        assert_eq!(project.roles["app"].spec.as_ref().unwrap().checks.len(), 2);
    }

    #[test]
    fn mistakes() {
        let (_, found) = with_files(
            &[
                ("specs/ngnix.yml", "checks: []\n"),
                ("specs/base.yaml", "checks: []\n"),
                ("specs/nginx.yml", "check: []\n"),
                ("specs/app.yml", "checks:\n  - port\n  - each: port in [1]\n    checks: []\n"),
            ],
            &[],
        );
        assert_eq!(
            brief(&found),
            [
                "an entry of `checks` must be a map, not text @ specs/app.yml:2:5 = for example `- package: nginx`",
                "the variable `port` hides another value of this name @ specs/app.yml:3:11 = choose another name for the variable",
                "a spec's file ends in .yml @ specs/base.yaml:1:1 = rename it to base.yml",
                "unknown key `check` of a spec @ specs/nginx.yml:1:1 = did you mean `checks`?",
                "a spec for the unknown role `ngnix` @ specs/ngnix.yml:1:1 = did you mean `nginx`?",
            ]
        );
    }
}
