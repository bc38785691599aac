//! Projects for the tests of this floor, written into a folder that goes away.

use std::path::Path;

use super::load::{LoadOptions, load};
use super::model::Project;
use crate::base::diagnostic::Diagnostics;

/// A folder with files by relative path.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

/// Loads a folder; the project's root and its home are the same in every message.
pub(crate) fn load_folder(root: &Path, sets: &[&str]) -> (Option<Project>, Diagnostics) {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    load(root, &LoadOptions { home: Some(Path::new("/home/me")), sets: &sets })
}

/// The roles that most tests use.
const ROLES: &[(&str, &str)] = &[
    ("snowmelt.yml", "project: test\n"),
    ("roles/base/role.yml", "params:\n  ntp: {type: list, of: string, default: []}\n"),
    (
        "roles/nginx/role.yml",
        "requires: [base]\nparams:\n  workers: {type: string, default: auto}\n  vhosts: {type: map, merge: deep, default: {}}\nlet:\n  user: www-data\n",
    ),
    ("roles/app/role.yml", "params:\n  port: {type: int}\n"),
];

/// A project with the roles `base`, `nginx` (requires base) and `app`, and this inventory.
pub(crate) fn with_inventory(inventory: &str, sets: &[&str]) -> (Option<Project>, String) {
    with_files(&[("inventory.yml", inventory)], sets)
}

/// The same roles, with further files.
pub(crate) fn with_files(files: &[(&str, &str)], sets: &[&str]) -> (Option<Project>, String) {
    let mut all: Vec<(&str, &str)> = ROLES.to_vec();
    if !files.iter().any(|(path, _)| *path == "inventory.yml") {
        all.push(("inventory.yml", ""));
    }
    all.extend(files);
    let root = folder(&all);
    let (project, found) = load_folder(root.path(), sets);
    (project, found.render().replace(&root.path().display().to_string(), "ROOT"))
}

/// The project for an inventory without mistakes.
pub(crate) fn good(inventory: &str, sets: &[&str]) -> Project {
    let (project, found) = with_inventory(inventory, sets);
    assert_eq!(found, "");
    project.unwrap()
}

/// The first line and the hint of each message, for tables of mistakes.
pub(crate) fn brief(rendered: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in rendered.lines() {
        if let Some(message) = line.strip_prefix("error: ") {
            out.push(message.to_owned());
        } else if let (Some(hint), Some(last)) = (line.trim_start().strip_prefix("= "), out.last_mut()) {
            last.push_str(" = ");
            last.push_str(hint);
        } else if let (Some(place), Some(last)) = (line.trim_start().strip_prefix("--> "), out.last_mut()) {
            last.push_str(" @ ");
            last.push_str(place);
        }
    }
    out
}
