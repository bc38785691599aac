//! `snowmelt.yml`: what is said once about a project as a whole.

use std::time::Duration;

use super::names;
use super::typed;
use super::yaml::{self, Node};
use crate::base::diagnostic::{Diagnostic, Diagnostics};

/// The file that marks the root of a project.
pub const FILE: &str = "snowmelt.yml";

/// The project's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The project's name. Hosts remember under it what was applied, so it must not change with the folder or the machine.
    pub project: String,
    /// The folder in which hosts remember, where it is not the usual one: an absolute path.
    pub memory: Option<String>,
    /// How long a host waits for a second login after a change of how one gets in, before it takes the change back.
    pub login_within: Duration,
}

/// Long enough for a login through a slow network, short enough to wait for.
const LOGIN_WITHIN: Duration = Duration::from_secs(45);

/// Reads the settings; a mistake is added to `found`.
pub fn read(node: &Node, found: &mut Diagnostics) -> Option<Settings> {
    let entries = node.entries()?;
    yaml::check_keys(entries, "setting", &["project", "memory", "login_within"], found);
    let Some(project) = node.get("project") else {
        found.push(
            Diagnostic::error(&node.span, "the setting `project` is missing")
                .hint("add `project: <name>`; hosts remember under this name what was applied"),
        );
        return None;
    };
    let name = project.expect_text("the project's name", found)?;
    let memory = match node.get("memory") {
        None => None,
        Some(memory) => {
            let path = memory.expect_text("the folder in which hosts remember", found)?;
            if !path.starts_with('/') || path.trim_matches('/').is_empty() || path.contains(['\0', '\n']) {
                found.push(
                    Diagnostic::error(&memory.span, "the folder in which hosts remember must be an absolute path")
                        .hint("for example `/var/lib/snowmelt`"),
                );
                return None;
            }
            Some(path.trim_end_matches('/').to_owned())
        }
    };
    let login_within = match node.get("login_within") {
        None => LOGIN_WITHIN,
        Some(within) => seconds(within, found)?,
    };
    names::check(name, &project.span, "project", found).then(|| Settings {
        project: name.to_owned(),
        memory,
        login_within,
    })
}

/// From five seconds to ten minutes.
fn seconds(node: &Node, found: &mut Diagnostics) -> Option<Duration> {
    let text = node.expect_text("how long a host waits for a second login", found)?;
    let seconds = typed::duration(text).and_then(|seconds| u64::try_from(seconds).ok());
    if let Some(seconds) = seconds.filter(|seconds| (5..=600).contains(seconds)) {
        return Some(Duration::from_secs(seconds));
    }
    let message = format!("`{text}` is not how long a host can wait for a second login");
    found.push(Diagnostic::error(&node.span, message).hint("from `5s` to `10m`; without it, 45 seconds"));
    None
}

#[cfg(test)]
mod tests {
    use super::super::testing::{brief, folder, load_folder};

    #[test]
    fn the_project_needs_a_name_that_can_stand_in_a_path() {
        for (text, complaint) in [
            ("project: shop-fleet\n", ""),
            (
                "",
                "the setting `project` is missing @ snowmelt.yml:1:1 = add `project: <name>`; hosts remember under this name what was applied",
            ),
            (
                "project: ../etc\n",
                "`../etc` cannot be the name of a project @ snowmelt.yml:1:10 = letters, digits, `_` and `-`, at most 100 of them, the first a letter, a digit or `_`",
            ),
            (
                "project: [a]\n",
                "the project's name must be text, not a list @ snowmelt.yml:1:10 = write a single value",
            ),
            (
                "project: a\nmemory: here\n",
                "the folder in which hosts remember must be an absolute path @ snowmelt.yml:2:9 = for example `/var/lib/snowmelt`",
            ),
            (
                "project: a\nmemory: /\n",
                "the folder in which hosts remember must be an absolute path @ snowmelt.yml:2:9 = for example `/var/lib/snowmelt`",
            ),
            ("project: a\nlogin_within: 20s\n", ""),
            (
                "project: a\nlogin_within: 2h\n",
                "`2h` is not how long a host can wait for a second login @ snowmelt.yml:2:15 = from `5s` to `10m`; without it, 45 seconds",
            ),
            ("project: a\nprojct: b\n", "unknown setting `projct` @ snowmelt.yml:2:1 = did you mean `project`?"),
        ] {
            let root = folder(&[("snowmelt.yml", text), ("inventory.yml", "")]);
            let (project, found) = load_folder(root.path(), &[]);
            assert_eq!(brief(&found.render()).join("\n"), complaint, "{text:?}");
            assert_eq!(project.is_some(), complaint.is_empty() || complaint.contains("projct"), "{text:?}");
        }
    }
}
