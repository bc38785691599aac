//! Files and folders of a role that become content on a host (`source:`).

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::entry::{Draft, Opener};
use super::model::Role;
use super::secrets;
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::Span;
use crate::base::value::Value;
use crate::resource::want::Want;
use crate::resource::{Address, Attribute, Content, Kind, Type};

/// What a `source` names.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file: its path, and its bytes.
    File(String, Arc<[u8]>),
    /// A folder, its path with a slash at the end.
    Folder(String),
}

/// Attributes that everything below a folder takes over from it.
const PASSED_ON: &[&str] = &["owner", "group"];

/// Attributes that the folders below a folder take over, too.
const PASSED_TO_FOLDERS: &[&str] = &["owner", "group", "mode", "purge"];

/// What a `source` names below the role's `files/`.
///
/// # Errors
/// It is not there, or cannot be read.
pub(crate) fn find(role: &Role, text: &str, place: &Span) -> Result<Found, Diagnostic> {
    let path = text.trim_start_matches("./").trim_end_matches('/');
    let files = &role.files.files;
    if let Some((bytes, _)) = files.get(path).filter(|_| !text.ends_with('/')) {
        return Ok(Found::File(path.to_owned(), Arc::clone(bytes)));
    }
    let folder = format!("{path}/");
    let below = |name: &str| path.is_empty() || path == "." || name.starts_with(&folder);
    let unreadable = role.files.unreadable.iter().filter_map(|(name, why)| Some((name.strip_prefix("files/")?, why)));
    for (name, why) in unreadable {
        if name == path || below(name) {
            return Err(Diagnostic::error(place, format!("files/{name} cannot be used: {why}")));
        }
    }
    if files.keys().any(|name| below(name)) {
        return Ok(Found::Folder(if path.is_empty() || path == "." { String::new() } else { folder }));
    }
    let found = Diagnostic::unknown(place, "file of the role", text, files.keys().map(String::as_str));
    Err(if found.hint.is_some() { found } else { found.hint("it would be in the role's folder files/") })
}

/// Whether the kind with this attribute has content of its own, so that a folder cannot be its source.
pub(crate) fn takes_content(kinds: &[&'static dyn Kind], attribute: &Attribute) -> bool {
    let mut tables = kinds.iter().map(|kind| kind.table().attributes);
    let own = tables.find(|attributes| attributes.iter().any(|own| std::ptr::eq(own, attribute)));
    own.is_some_and(|attributes| attributes.iter().any(|own| own.ty == Type::Content))
}

/// The folders and files of the role's `folder`, declared below the directory of `top`; those that are encrypted as a whole
/// under their names without the ending.
pub(crate) fn expand(
    kinds: &[&'static dyn Kind],
    role: &Role,
    top: &Draft,
    folder: &str,
    open: &Opener<'_>,
    mistakes: &mut Diagnostics,
) -> Vec<Draft> {
    let Some(file) = kinds.iter().find(|kind| kind.table().attributes.iter().any(|own| own.ty == Type::Content)) else {
        return Vec::new();
    };
    let root = top.resource.identity().trim_end_matches('/').to_owned();
    let mut folders = BTreeSet::new();
    let mut out = Vec::new();
    for (name, (bytes, executable)) in &role.files.files {
        let Some(path) = name.strip_prefix(folder) else { continue };
        let place = top.places.get("source").unwrap_or(&top.resource.span);
        let plain = path.strip_suffix(secrets::ENCRYPTED).filter(|plain| !plain.is_empty() && !plain.ends_with('/'));
        if let Some(twin) = name.strip_suffix(secrets::ENCRYPTED).filter(|twin| role.files.files.contains_key(*twin)) {
            let message =
                format!("files/{twin} lies beside files/{name}: both would be {root}/{}", plain.unwrap_or(path));
            mistakes.push(Diagnostic::error(place, message).hint("remove the one that is not encrypted"));
            continue;
        }
        let content = match plain.map(|_| open(name, bytes, place)) {
            None => Some((Content::new(Arc::clone(bytes), top.resource.sensitive), None)),
            Some(opened) => mistakes.take(opened),
        };
        let Some((content, blocked)) = content else { continue };
        for (at, _) in path.match_indices('/') {
            if folders.insert(path[..at].to_owned()) {
                out.push(child(top, top.resource.kind, &format!("{root}/{}", &path[..at]), PASSED_TO_FOLDERS));
            }
        }
        let mut draft = child(top, *file, &format!("{root}/{}", plain.unwrap_or(path)), PASSED_ON);
        draft.resource.blocked = draft.resource.blocked.take().or(blocked);
        let wants = &mut draft.resource.wants;
        for own in file.table().attributes {
            match (own.name, own.ty) {
                (name, Type::Content) => {
                    wants.insert(name, Want::Content(content.clone()));
                }
                (name @ "mode", _) => {
                    let default = Value::from(if *executable { "0755" } else { "0644" });
                    let given = match top.resource.wants.get("file_mode") {
                        Some(Want::Exactly(given)) => Some(given),
                        _ => None,
                    };
                    let mode = given.unwrap_or(&default);
                    let mode = if plain.is_some() { private(mode, given.is_some()) } else { mode.clone() };
                    wants.insert(name, Want::Exactly(mode));
                }
                _ => {}
            }
        }
        out.push(draft);
    }
    out
}

/// Permissions of a secret file among files that others may read: nothing for others, and for the group only what was asked
/// for.
fn private(mode: &Value, is_given: bool) -> Value {
    let bits = mode.as_text().and_then(|text| u32::from_str_radix(text, 8).ok()).unwrap_or(0o600);
    Value::from(format!("{:04o}", bits & if is_given { 0o7770 } else { 0o7700 }))
}

fn child(top: &Draft, kind: &'static dyn Kind, path: &str, passed: &[&str]) -> Draft {
    let mut resource = top.resource.clone();
    resource.kind = kind;
    resource.head = path.to_owned();
    resource.id = None;
    resource.watches = Vec::new();
    resource.address = Address::new(&top.resource.address.role, kind.table().name, path);
    resource.wants = IndexMap::new();
    for attribute in kind.table().attributes.iter().filter(|attribute| passed.contains(&attribute.name)) {
        if let Some(want) = top.resource.wants.get(attribute.name) {
            resource.wants.insert(attribute.name, want.clone());
        }
    }
    Draft { resource, places: IndexMap::new(), watched: Vec::new(), partial: top.partial }
}
