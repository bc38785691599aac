//! Edits of a file that is itself declared become part of its content.
//!
//! A `line` in a file that a `file` declares as a whole would fight with it for ever. So the declared content is taken through
//! every edit of the same path, in declared order, and the file is held against the outcome.

use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::resource::{Content, Resource, State, Want};

/// Folds the edits of each declared file into its content.
///
/// # Errors
/// An edit of a file that is declared absent, or of content that is no text, or that cannot be made.
pub(super) fn fold_edits(resources: &mut [Resource]) -> Result<(), Diagnostics> {
    let mut found = Diagnostics::new();
    let edits: Vec<(usize, String)> = resources
        .iter()
        .enumerate()
        .filter(|(_, resource)| !resource.is_check)
        .filter_map(|(index, resource)| Some((index, resource.kind.edits(resource)?.to_owned())))
        .collect();
    for (edit, path) in edits {
        let file = resources.iter().position(|resource| {
            !resource.is_check && resource.kind.has_content() && resource.kind.path(resource) == Some(path.as_str())
        });
        let Some(file) = file else { continue };
        match folded(&resources[file], &resources[edit]) {
            Ok(Some(content)) => {
                let slot = resources[file].wants.values_mut().find(|want| matches!(want, Want::Content(_)));
                if let Some(slot) = slot {
                    *slot = Want::Content(content);
                }
            }
            Ok(None) => {}
            Err(message) => {
                found.push(
                    Diagnostic::error(&resources[edit].span, message)
                        .related(&resources[file].span, "the file is declared here"),
                );
            }
        }
    }
    if found.has_errors() { Err(found) } else { Ok(()) }
}

/// The declared content after one edit; none where no content is declared, or none that can be decrypted here.
fn folded(file: &Resource, edit: &Resource) -> Result<Option<Content>, String> {
    if file.state == State::Absent {
        return Err(format!("{} is edited here, and declared absent", file.identity()));
    }
    let Some(content) = file.content().filter(|_| file.blocked.is_none()) else { return Ok(None) };
    if std::str::from_utf8(content.bytes()).is_err() {
        return Err(format!("{} is not UTF-8 text", file.identity()));
    }
    let mut edited = content.edited(|text| edit.kind.edit(edit, Some(text)))?;
    edited.sensitive |= edit.holds_secret();
    Ok(Some(edited))
}
