//! The small projects that the program brings along, and how they are written into a folder.

use std::io;
use std::path::Path;

/// A project: the path and text of each file.
pub(super) type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($folder:literal: $($path:literal from $source:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../fixtures/", $folder, "/", $source)))),+]
    };
}

/// What `snowmelt init` writes.
pub(super) const INIT: Files = files!("init":
    "snowmelt.yml" from "snowmelt.yml",
    "inventory.yml" from "inventory.yml",
    "roles/hello/role.yml" from "roles/hello/role.yml",
    "roles/hello/templates/greeting.txt.j2" from "roles/hello/templates/greeting.txt.j2",
    "specs/hello.yml" from "specs/hello.yml",
    "README.md" from "README.md",
    ".gitignore" from "gitignore",
);

/// What `snowmelt demo` works on.
pub(super) const DEMO: Files = files!("demo":
    "snowmelt.yml" from "snowmelt.yml",
    "inventory.yml" from "inventory.yml",
    "roles/site/role.yml" from "roles/site/role.yml",
    "roles/site/templates/site.conf.j2" from "roles/site/templates/site.conf.j2",
    "roles/site/files/index.html" from "roles/site/files/index.html",
    "specs/site.yml" from "specs/site.yml",
);

/// The names and folders that differ from one written project to the next.
pub(super) struct Names<'a> {
    /// The project's name.
    pub(super) project: &'a str,
    /// The folder its sandboxes are in, absolute.
    pub(super) folder: &'a str,
    /// The folder in which its hosts remember, absolute; not every project says so.
    pub(super) memory: &'a str,
}

/// Writes the files into a folder. Nothing that exists is overwritten.
///
/// # Errors
/// The file that exists or cannot be written.
pub(super) fn write(files: Files, into: &Path, names: &Names<'_>) -> Result<(), (std::path::PathBuf, io::Error)> {
    for (path, text) in files {
        let path = into.join(path);
        let text = text
            .replace("PROJECT", names.project)
            .replace("FOLDER", &quoted(names.folder))
            .replace("MEMORY", &quoted(names.memory));
        let written = || -> io::Result<()> {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
            io::Write::write_all(&mut file, text.as_bytes())
        };
        written().map_err(|error| (path.clone(), error))?;
    }
    Ok(())
}

/// A folder's name as it stands between double quotes in YAML.
fn quoted(folder: &str) -> String {
    folder.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::load::{self, LoadOptions};

    #[test]
    fn the_projects_load_without_a_word() {
        for files in [INIT, DEMO] {
            let folder = tempfile::Builder::new().prefix("a \"b' c").tempdir().unwrap();
            let root = folder.path();
            write(files, root, &Names { project: "try", folder: root.to_str().unwrap(), memory: "/m" }).unwrap();
            let (project, found) = load::load(root, &LoadOptions::default());
            assert!(found.is_empty(), "{}", found.render());
            assert!(!project.unwrap().hosts.is_empty());
        }
    }

    #[test]
    fn every_fixture_is_brought_along() {
        for (folder, files) in [("init", INIT), ("demo", DEMO)] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
            assert_eq!(count(&root), files.len(), "{folder}");
        }
    }

    fn count(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }
}
