//! A project's folder as a [`Project`]: the only place that opens project files.
//!
//! Reads everything, in parallel, and reports every mistake of every file in one run. What the files mean is said by the
//! modules that read each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::connection_keys::Paths;
use super::groups::Groups;
use super::inventory;
use super::levels;
use super::model::{Group, Project, Role, RoleFiles, Spec};
use super::names;
use super::role;
use super::secrets;
use super::settings::{self, Settings};
use super::spec;
use super::yaml::{self, Node};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::{Source, Span};

/// The largest file of a role that is taken, in bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// How many files a role may have.
const MAX_FILES: usize = 20_000;
/// How much all files of a role may be together, in bytes.
const MAX_ROLE: u64 = 512 * 1024 * 1024;
/// How deep a role's folders may be nested.
const MAX_DEPTH: usize = 32;

/// What loading depends on besides the files.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions<'a> {
    /// The home folder of who runs this: what `~/` stands for in connection settings.
    pub home: Option<&'a Path>,
    /// Values from the command line: `role.parameter=value`.
    pub sets: &'a [String],
}

/// The project's root: `start` or the nearest folder above it with a `snowmelt.yml`.
pub fn find_root(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|folder| folder.join(settings::FILE).is_file()).map(Path::to_owned)
}

/// Loads a project. It is there also when mistakes were found, as far as it could be read; it must not be used on hosts then
/// ([`Diagnostics::has_errors`]).
pub fn load(root: &Path, options: &LoadOptions<'_>) -> (Option<Project>, Diagnostics) {
    let mut found = Diagnostics::new();
    let project = Loader { root }.project(options, &mut found);
    (project, found)
}

struct Loader<'a> {
    root: &'a Path,
}

impl Loader<'_> {
    fn project(&self, options: &LoadOptions<'_>, found: &mut Diagnostics) -> Option<Project> {
        let settings = self.required(settings::FILE, found);
        if settings.is_none() && !self.exists(settings::FILE) {
            // This is no project: nothing else about the folder is of interest.
            return None;
        }
        let settings = settings.and_then(|(_, node)| settings::read(&node, found));
        let inventory = self.required(inventory::FILE, found);
        let names = self.role_names(found);
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let roles = self.roles(&names, found);
        role::check_requires(&roles, &known, found);
        let specs = self.specs(&known, &roles, found);
        let secrets = self.secrets(found);
        let mut sets = Vec::new();
        for text in options.sets {
            match levels::read_set(text) {
                Ok(set) => sets.push(set),
                Err(wrong) => found.extend(wrong),
            }
        }
        let paths = Paths { root: self.root, home: options.home };
        let (_, node) = inventory?;
        let inventory = inventory::read(&node, paths, &known, found);
        let groups = Groups::new(&inventory.parts, found);
        let hosts = levels::hosts(&inventory, &groups, &roles, &sets, paths, found);
        let groups = inventory
            .groups
            .iter()
            .zip(&groups.members)
            .map(|((name, group), members)| {
                let hosts = levels::members(&inventory, members);
                (name.clone(), Group { name: name.clone(), span: group.span.clone(), hosts })
            })
            .collect();
        let settings = settings?;
        let Settings { project: name, memory, login_within } = settings;
        Some(Project { name, memory, login_within, hosts, groups, roles, specs, secrets })
    }

    /// A file that every project has.
    fn required(&self, path: &str, found: &mut Diagnostics) -> Option<(Arc<Source>, Node)> {
        if !self.exists(path) {
            let error = Diagnostic::placeless(format!("there is no {path} in {}", self.root.display()));
            found.push(error.hint("`snowmelt init` begins a project"));
            return None;
        }
        self.yaml(path, found)
    }

    fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.root.join(path)).is_ok()
    }

    /// Reads and parses a YAML file; `path` is relative to the root.
    fn yaml(&self, path: &str, found: &mut Diagnostics) -> Option<(Arc<Source>, Node)> {
        let source = found.take(self.text(path))?;
        match yaml::parse(&source) {
            Ok(node) => Some((source, node)),
            Err(wrong) => {
                found.extend(wrong);
                None
            }
        }
    }

    fn text(&self, path: &str) -> Result<Arc<Source>, Diagnostic> {
        let nowhere = Span::start_of(&Source::new(path, ""));
        let bytes = read_regular(&self.root.join(path), yaml::MAX_BYTES as u64).map_err(|why| {
            Diagnostic::error(&nowhere, format!("cannot read the file: {why}"))
                .hint("it must be a regular file of text that you may read")
        })?;
        decode(path, bytes)
    }

    /// The folders in `roles/`; hidden ones are left out.
    fn role_names(&self, found: &mut Diagnostics) -> Vec<String> {
        let mut roles = Vec::new();
        for name in self.list("roles", found) {
            let path = format!("roles/{name}");
            if !self.root.join(&path).is_dir() {
                continue;
            }
            let place = Span::start_of(&Source::new(format!("{path}/role.yml"), ""));
            if !names::check(&name, &place, "role", found) {
                continue;
            }
            if !self.exists(&format!("{path}/role.yml")) {
                found.push(
                    Diagnostic::error(&place, format!("the role `{name}` has no role.yml"))
                        .hint("create it, or move the folder out of roles/"),
                );
            }
            roles.push(name);
        }
        roles
    }

    /// The names in a folder, sorted; hidden ones are left out. A folder that is not there is empty.
    fn list(&self, folder: &str, found: &mut Diagnostics) -> Vec<String> {
        match list(&self.root.join(folder)) {
            Ok(names) => names.into_iter().filter(|name| !name.starts_with('.')).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let place = Span::start_of(&Source::new(folder, ""));
                found.push(Diagnostic::error(&place, format!("cannot read the folder: {}", reason(&error))));
                Vec::new()
            }
        }
    }

    fn roles(&self, names: &[String], found: &mut Diagnostics) -> BTreeMap<String, Role> {
        let read: Vec<(Option<Role>, Diagnostics)> = names
            .par_iter()
            .map(|name| {
                let mut found = Diagnostics::new();
                (self.role(name, &mut found), found)
            })
            .collect();
        let mut roles = BTreeMap::new();
        for (role, wrong) in read {
            found.extend(wrong);
            roles.extend(role.map(|role| (role.name.clone(), role)));
        }
        roles
    }

    fn role(&self, name: &str, found: &mut Diagnostics) -> Option<Role> {
        let folder = format!("roles/{name}");
        let files = self.role_files(&folder, found);
        let spec = self.spec(&format!("{folder}/spec.yml"), found);
        if !self.exists(&format!("{folder}/role.yml")) {
            return None;
        }
        let (source, node) = self.yaml(&format!("{folder}/role.yml"), found)?;
        Some(role::read(name, &source, &node, files, spec, found))
    }

    fn spec(&self, path: &str, found: &mut Diagnostics) -> Option<Spec> {
        let (source, node) = if self.exists(path) { self.yaml(path, found)? } else { return None };
        Some(spec::read(&source, &node, found))
    }

    fn specs(&self, known: &[&str], roles: &BTreeMap<String, Role>, found: &mut Diagnostics) -> BTreeMap<String, Spec> {
        let mut specs = BTreeMap::new();
        for file in self.list("specs", found) {
            let path = format!("specs/{file}");
            let place = Span::start_of(&Source::new(&path, ""));
            let Some(name) = file.strip_suffix(".yml") else {
                if file.ends_with(".yaml") {
                    let hint = format!("rename it to {}.yml", file.trim_end_matches(".yaml"));
                    found.push(Diagnostic::error(&place, "a spec's file ends in .yml").hint(hint));
                }
                continue;
            };
            if !known.contains(&name) {
                let unknown = Diagnostic::unknown(&place, "role", name, known.iter().copied());
                found.push(Diagnostic { message: format!("a spec for the unknown role `{name}`"), ..unknown });
                continue;
            }
            if let Some(spec) = self.spec(&path, found) {
                if let Some(role) = roles.get(name) {
                    role::check_spec(&spec, role, found);
                }
                specs.insert(name.to_owned(), spec);
            }
        }
        specs
    }

    fn secrets(&self, found: &mut Diagnostics) -> BTreeMap<String, secrets::Scope> {
        let mut scopes = BTreeMap::new();
        for file in self.list(secrets::FOLDER, found) {
            let path = format!("{}/{file}", secrets::FOLDER);
            let place = Span::start_of(&Source::new(&path, ""));
            let Some(name) = file.strip_suffix(".yml") else {
                found.push(Diagnostic::error(&place, "this is no file of secrets: their names end in .yml").hint(
                    match file.ends_with(secrets::ENCRYPTED) {
                        true => {
                            format!("a file that is encrypted as a whole belongs to its role: {}", secrets::FILE_FORM)
                        }
                        false => "move it out of secrets/, so that nobody takes it for encrypted".to_owned(),
                    },
                ));
                continue;
            };
            if !secrets::check_name(name, &place, found) {
                continue;
            }
            if let Some((source, node)) = self.yaml(&path, found) {
                scopes.extend(secrets::read(name, &source, &node, found).map(|scope| (name.to_owned(), scope)));
            }
        }
        secrets::check_files(&scopes, found);
        scopes
    }

    fn role_files(&self, folder: &str, found: &mut Diagnostics) -> RoleFiles {
        let mut walk = Walk { root: self.root, project: None, folder, out: RoleFiles::default(), count: 0, bytes: 0 };
        for kind in ["files", "templates"] {
            let path = self.root.join(folder).join(kind);
            let inside = if self.exists(&format!("{folder}/{kind}")) {
                walk.folder(&path, kind, &mut Vec::new())
            } else {
                Ok(())
            };
            found.take(inside);
        }
        walk.out
    }
}

/// Collects the files of a role.
struct Walk<'a> {
    root: &'a Path,
    /// The root without symbolic links, once one has been met.
    project: Option<PathBuf>,
    /// The role's folder, relative to the root.
    folder: &'a str,
    out: RoleFiles,
    count: usize,
    bytes: u64,
}

impl Walk<'_> {
    /// Takes all files below `path`, which is `relative` to the role. `above` are the real folders on the way.
    fn folder(&mut self, path: &Path, relative: &str, above: &mut Vec<PathBuf>) -> Result<(), Diagnostic> {
        let names = match self
            .inside(path, relative)
            .and_then(|real| Ok((real, list(path).map_err(|e| self.bad(relative, &reason(&e)))?)))
        {
            Ok((real, _)) if above.contains(&real) || above.len() >= MAX_DEPTH => {
                let why = "its folders are nested too deeply or lead back to themselves";
                return Err(self.bad(relative, why).hint("remove the symbolic link that leads upwards"));
            }
            Ok((real, names)) => {
                above.push(real);
                names
            }
            Err(error) => return Err(error),
        };
        for name in names {
            let (path, relative) = (path.join(&name), format!("{relative}/{name}"));
            if path.is_dir() {
                self.folder(&path, &relative, above)?;
            } else {
                self.file(&path, &relative)?;
            }
        }
        above.pop();
        Ok(())
    }

    fn file(&mut self, path: &Path, relative: &str) -> Result<(), Diagnostic> {
        self.count += 1;
        if self.count > MAX_FILES {
            return Err(self
                .bad(relative, &format!("the role has more than {MAX_FILES} files"))
                .hint("ship them as one archive"));
        }
        if path.is_symlink() && path.exists() {
            self.inside(path, relative)?;
        }
        let bytes = match read_regular(path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(why) => {
                self.out.unreadable.insert(relative.to_owned(), why);
                return Ok(());
            }
        };
        self.bytes += bytes.len() as u64;
        if self.bytes > MAX_ROLE {
            let why = format!("the role's files are more than {} MiB together", MAX_ROLE >> 20);
            return Err(self.bad(relative, &why).hint("let hosts fetch large files themselves"));
        }
        let Some((kind, name)) = relative.split_once('/') else { return Ok(()) };
        if kind == "templates" && name.ends_with(secrets::ENCRYPTED) {
            let why =
                "a template is not encrypted as a whole, as everybody checks it: keep the values in it as secrets";
            self.out.unreadable.insert(relative.to_owned(), why.to_owned());
        } else if kind == "templates" {
            match decode(&format!("{}/{relative}", self.folder), bytes) {
                // Valid UTF-8 may hold a NUL, which no text does.
                Ok(source) if source.text.contains('\0') => {
                    self.out.unreadable.insert(relative.to_owned(), "the file is not text".to_owned());
                }
                Ok(source) => drop(self.out.templates.insert(name.to_owned(), source)),
                Err(error) => drop(self.out.unreadable.insert(relative.to_owned(), error.message)),
            }
        } else {
            let executable = fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o100 != 0);
            self.out.files.insert(name.to_owned(), (bytes.into(), executable));
        }
        Ok(())
    }

    /// The real path of something that must be in the project: what a symbolic link leads to outside would differ on the
    /// next person's machine.
    fn inside(&mut self, path: &Path, relative: &str) -> Result<PathBuf, Diagnostic> {
        let real = fs::canonicalize(path).map_err(|error| self.bad(relative, &reason(&error)))?;
        if self.project.is_none() {
            self.project = fs::canonicalize(self.root).ok();
        }
        if self.project.as_ref().is_some_and(|project| real.starts_with(project)) {
            return Ok(real);
        }
        let why = format!("a symbolic link that leaves the project, to {}", real.display());
        Err(self.bad(relative, &why).hint("copy what it leads to into the project"))
    }

    fn bad(&self, relative: &str, why: &str) -> Diagnostic {
        let place = Span::start_of(&Source::new(format!("{}/{relative}", self.folder), ""));
        Diagnostic::error(&place, why.to_owned())
    }
}

/// The names in a folder, sorted. One that is no UTF-8 is an error: it could not be named in a role.
fn list(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_string();
        names.insert(name.map_err(|name| io::Error::other(format!("the name {name:?} is not UTF-8")))?);
    }
    Ok(names.into_iter().collect())
}

/// The bytes of a regular file, or why there are none.
fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    // Asked before opening: opening a FIFO would wait for a writer.
    let metadata = fs::metadata(path).map_err(|error| reason(&error))?;
    if !metadata.is_file() {
        return Err(if metadata.is_dir() { "it is a folder" } else { "it is not a regular file" }.to_owned());
    }
    let too_large = || format!("it is larger than {} MiB", limit >> 20);
    if metadata.len() > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    let file = fs::File::open(path).map_err(|error| reason(&error))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// What went wrong, without Rust's "(os error 13)".
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_lowercase().chain(rest).collect())
}

/// Bytes as text, or the place of the first byte that is none.
fn decode(path: &str, bytes: Vec<u8>) -> Result<Arc<Source>, Diagnostic> {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return Ok(Source::new(path, text)),
        Err(error) => error.into_bytes(),
    };
    let valid = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let source = Source::new(path, String::from_utf8_lossy(&bytes));
    let place = Span::new(&source, valid, valid + '\u{fffd}'.len_utf8());
    let (message, hint) = match bytes.as_slice() {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => ("the file is UTF-16", "save it as UTF-8"),
        _ if bytes.contains(&0) => ("the file is not text", "only text can stand here; binary files belong in files/"),
        _ => ("the file is not UTF-8", "save it as UTF-8"),
    };
    Err(Diagnostic::error(&place, message).hint(hint))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::testing::{brief, folder, load_folder};
    use super::*;

    const SETTINGS: (&str, &str) = ("snowmelt.yml", "project: test\n");
    const INVENTORY: (&str, &str) = ("inventory.yml", "");

    fn complaints(root: &tempfile::TempDir) -> Vec<String> {
        let real = fs::canonicalize(root.path()).unwrap();
        let (_, found) = load_folder(root.path(), &[]);
        brief(&found.render()).iter().map(|line| line.replace(&real.display().to_string(), "ROOT")).collect()
    }

    #[test]
    fn a_project_is_found_from_below_its_root() {
        let root = folder(&[SETTINGS, ("roles/a/files/x", "")]);
        assert_eq!(find_root(&root.path().join("roles/a/files")).as_deref(), Some(root.path()));
        assert_eq!(find_root(Path::new("/nonexistent/folder")), None);
    }

    #[test]
    fn files_and_templates_come_with_the_role() {
        let root = folder(&[
            SETTINGS,
            INVENTORY,
            ("roles/a/role.yml", ""),
            ("roles/a/files/bin/run", "#!/bin/sh\n"),
            ("roles/a/files/.hidden", "x"),
            ("roles/a/templates/a.j2", "{{ x }}\n"),
            ("roles/.git/x", "ignored"),
            ("roles/README.md", "ignored"),
        ]);
        let a = root.path().join("roles/a");
        fs::set_permissions(a.join("files/bin/run"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(a.join("files/data"), [0, 255]).unwrap();
        fs::write(a.join("templates/bad.j2"), [b'x', 255]).unwrap();
        symlink("bin/run", a.join("files/link")).unwrap();
        symlink("bin", a.join("files/folder")).unwrap();
        symlink("nowhere", a.join("files/dangling")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(a.join("files/pipe")).status().unwrap();
        assert!(made.success());
        let (project, found) = load_folder(root.path(), &[]);
        assert_eq!(found.render(), "");
        let files = &project.unwrap().roles["a"].files;
        let names: Vec<&str> = files.files.keys().map(String::as_str).collect();
        assert_eq!(names, [".hidden", "bin/run", "data", "folder/run", "link"]);
        assert_eq!((&*files.files["bin/run"].0, files.files["bin/run"].1), (&b"#!/bin/sh\n"[..], true));
        assert_eq!((&*files.files["data"].0, files.files["data"].1), (&[0, 255][..], false));
        assert_eq!(files.templates["a.j2"].text, "{{ x }}\n");
        assert_eq!(files.templates["a.j2"].path, Path::new("roles/a/templates/a.j2"));
        let unreadable: Vec<String> = files.unreadable.iter().map(|(path, why)| format!("{path}: {why}")).collect();
        assert_eq!(
            unreadable,
            [
                "files/dangling: no such file or directory",
                "files/pipe: it is not a regular file",
                "templates/bad.j2: the file is not UTF-8",
            ]
        );
    }

    #[test]
    fn links_must_not_leave_the_project_or_lead_back() {
        let outside = folder(&[("secret", "x")]);
        let root = folder(&[
            SETTINGS,
            INVENTORY,
            ("roles/a/role.yml", ""),
            ("roles/b/role.yml", ""),
            ("roles/c/role.yml", ""),
        ]);
        for role in ["a", "b", "c"] {
            fs::create_dir(root.path().join("roles").join(role).join("files")).unwrap();
        }
        symlink(outside.path().join("secret"), root.path().join("roles/a/files/x")).unwrap();
        symlink(outside.path(), root.path().join("roles/b/files/x")).unwrap();
        symlink("../files", root.path().join("roles/c/files/x")).unwrap();
        let outside = fs::canonicalize(outside.path()).unwrap();
        let outside = outside.display();
        assert_eq!(
            complaints(&root),
            [
                format!("a symbolic link that leaves the project, to {outside}/secret @ roles/a/files/x:1:1 = copy what it leads to into the project"),
                format!("a symbolic link that leaves the project, to {outside} @ roles/b/files/x:1:1 = copy what it leads to into the project"),
                "its folders are nested too deeply or lead back to themselves @ roles/c/files/x:1:1 = remove the symbolic link that leads upwards".to_owned(),
            ]
        );
    }

    #[test]
    fn what_is_missing_or_no_text_is_named() {
        let init = "`snowmelt init` begins a project";
        let root = folder(&[]);
        let here = root.path().display();
        let (project, found) = load_folder(root.path(), &[]);
        assert!(project.is_none());
        assert_eq!(brief(&found.render()), [format!("there is no snowmelt.yml in {here} = {init}")]);
        let root = folder(&[SETTINGS, ("roles/a/files/x", ""), ("roles/b c/role.yml", "")]);
        let put = |path: &str, bytes: &[u8]| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        put("inventory.yml", b"a: 1\nb: \xff\n");
        put("roles/bin/role.yml", b"\x7fELF\x00\xff\xff");
        put("roles/wide/role.yml", &[0xff, 0xfe, b'a', 0]);
        fs::create_dir_all(root.path().join("roles/dir/role.yml")).unwrap();
        assert_eq!(
            complaints(&root),
            [
                "the file is not UTF-8 @ inventory.yml:2:4 = save it as UTF-8",
                "the role `a` has no role.yml @ roles/a/role.yml:1:1 = create it, or move the folder out of roles/",
                "`b c` cannot be the name of a role @ roles/b c/role.yml:1:1 = letters, digits, `_` and `-`, at most 100 of them, the first a letter, a digit or `_`",
                "the file is not text @ roles/bin/role.yml:1:6 = only text can stand here; binary files belong in files/",
                "cannot read the file: it is a folder @ roles/dir/role.yml:1:1 = it must be a regular file of text that you may read",
                "the file is UTF-16 @ roles/wide/role.yml:1:1 = save it as UTF-8",
            ]
        );
    }

    #[test]
    fn files_that_are_too_large_are_not_read() {
        let root = folder(&[SETTINGS, INVENTORY, ("roles/a/role.yml", ""), ("roles/a/files/big", "")]);
        let grow = |path: &str, size: u64| {
            fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(root.path().join(path))
                .unwrap()
                .set_len(size)
                .unwrap();
        };
        grow("roles/a/files/big", MAX_FILE + 1);
        let (project, _) = load_folder(root.path(), &[]);
        assert_eq!(project.unwrap().roles["a"].files.unreadable["files/big"], "it is larger than 64 MiB");
        grow("roles/a/role.yml", yaml::MAX_BYTES as u64 + 1);
        assert!(
            complaints(&root)[0].starts_with("cannot read the file: it is larger than 4 MiB @ roles/a/role.yml:1:1")
        );
    }

    /// The YAML examples of a page: the first line of each names its file.
    fn examples(page: &str) -> Vec<(&str, &str)> {
        let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        blocks.map(|block| (block.lines().next().unwrap().strip_prefix("# ").unwrap(), block)).collect()
    }

    #[test]
    fn the_examples_of_the_documentation_load() {
        let mut files = vec![
            ("roles/base/role.yml", "params: {ntp: {type: list, of: string, default: []}}\n"),
            ("roles/app/role.yml", "params: {port: {type: int}}\n"),
        ];
        files.extend(examples(include_str!("../../docs/inventory.md")));
        files.extend(examples(include_str!("../../docs/roles.md")));
        let root = folder(&files);
        let (project, found) = load_folder(root.path(), &[]);
        assert_eq!(found.render(), "");
        let project = project.unwrap();
        assert_eq!((project.hosts.len(), project.roles.len()), (42, 5));
    }

    #[test]
    fn a_thousand_roles_of_twenty_resources() {
        let resources: String = (0..20)
            .map(|i| format!("  - file: /etc/app/{i}.conf\n    content: \"{{{{ port }}}}\"\n    mode: \"0644\"\n"))
            .collect();
        let role = format!("params: {{port: {{type: int, default: 80}}}}\nresources:\n{resources}");
        let paths: Vec<String> = (0..1000).map(|i| format!("roles/role{i}/role.yml")).collect();
        let roles: Vec<String> = (0..1000).map(|i| format!("role{i}")).collect();
        let inventory = format!("groups: {{all-of-it: {{roles: [{}], hosts: [\"h[1:20]\"]}}}}", roles.join(", "));
        let mut files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), role.as_str())).collect();
        files.extend([SETTINGS, ("inventory.yml", &inventory)]);
        let root = folder(&files);
        let (project, found) = load_folder(root.path(), &[]);
        assert_eq!(found.render(), "");
        let project = project.unwrap();
        assert_eq!(project.roles.values().map(|role| role.resources.len()).sum::<usize>(), 20_000);
        assert_eq!(project.hosts[19].roles.len(), 1000);
    }
}
