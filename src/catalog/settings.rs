//! `snowmelt.yml`: what is said once about a project as a whole.

use super::names;
use super::yaml::{self, Node};
use crate::base::diagnostic::{Diagnostic, Diagnostics};

/// The file that marks the root of a project.
pub const FILE: &str = "snowmelt.yml";

/// The project's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The project's name. Hosts remember under it what was applied, so it must not change with the folder or the machine.
    pub project: String,
}

/// Reads the settings; a mistake is added to `found`.
pub fn read(node: &Node, found: &mut Diagnostics) -> Option<Settings> {
    let entries = node.entries()?;
    yaml::check_keys(entries, "setting", &["project"], found);
    let Some(project) = node.get("project") else {
        found.push(
            Diagnostic::error(&node.span, "the setting `project` is missing")
                .hint("add `project: <name>`; hosts remember under this name what was applied"),
        );
        return None;
    };
    let name = project.expect_text("the project's name", found)?;
    names::check(name, &project.span, "project", found).then(|| Settings { project: name.to_owned() })
}
