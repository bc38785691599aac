//! A directory: owner, group, permissions, and that nothing undeclared is in it.
//!
//! # What it declares
//! A path that shall be a directory. A new one is root:root 0755, whatever the umask; what is not written is not managed
//! afterwards. Parents are made only with `parents: true`. With `purge: true` every name directly in it must belong to
//! something declared: a file, a link or a directory at or below it.
//!
//! `state: absent` removes an empty directory; `recurse: true` removes it with all that is in it.
//!
//! # What is read
//! One `stat` for all directories; the names in those that are purged, or whose `entries` a spec asks for. Something else in
//! the place of a directory, a symbolic link too, is not as declared, whatever the `state`: `apply` says so, and neither
//! follows, replaces nor removes it.
//!
//! # What is changed
//! Owner and permissions are changed on the directory itself, never through a symbolic link that was put in its place. A purge
//! removes exactly the names that were read and shown, and directories among them only if they are empty, or with
//! `recurse: true`. Nothing that is recursive leaves the file system.
//!
//! # Example
//! ```yaml
//! - directory: /srv/app
//!   owner: app
//!   group: app
//!   mode: "0750"
//! - directory: /etc/nginx/sites-enabled
//!   purge: true
//! - directory: /srv/old-app
//!   state: absent
//!   recurse: true
//! ```
//! In a spec:
//! ```yaml
//! - directory: /etc/cron.d
//!   entries: {not: {contains: miner}}
//! ```

use std::collections::HashMap;

use crate::base::value::Value;
use crate::base::{clean, quote};
use crate::resource::accounts;
use crate::resource::batch::{self, Sections};
use crate::resource::paths::{self, FileType, Found};
use crate::resource::{
    Answer, Attribute, Compare, Due, Example, Identity, Kind, Mistake, Need, Observed, Reading, Resource, Spoil, State,
    Step, Table, Type, Work,
};

const OWNER: Attribute =
    Attribute::state("owner", Type::Text, "The owner's name, or number. A new directory is root's.");
const GROUP: Attribute =
    Attribute::state("group", Type::Text, "The group's name, or number. A new directory is root's.");
const MODE: Attribute = Attribute::state("mode", Type::Mode, "Permissions, quoted: `\"0755\"`, `\"2775\"`.");
const PURGE: Attribute = Attribute::state(
    "purge",
    Type::Bool,
    "Whether everything directly in it has to be declared, and goes if it is not. Default: false.",
);
const ENTRIES: Attribute =
    Attribute::check("entries", Type::List(&Type::Text), "The names in it, `.` and `..` left out, in any order.")
        .compared(Compare::SameItems);
const PARENTS: Attribute =
    Attribute::act("parents", Type::Bool, "Whether missing parents are made (root:root 0755). Default: false.");
const RECURSE: Attribute = Attribute::act(
    "recurse",
    Type::Bool,
    "Whether a directory that is to go, or is purged from this one, may go with all that is in it. Default: false.",
);
const SOURCE: Attribute = Attribute::act(
    "source",
    Type::Source,
    "A folder under `files/` of the role: every folder and file in it is declared below this directory, with its owner and group.",
);
const FILE_MODE: Attribute = Attribute::act(
    "file_mode",
    Type::Mode,
    "Permissions of the files from `source`. Default: `\"0755\"` for what is executable in the repository, else `\"0644\"`. One that is encrypted gets nothing for others, and by default nothing for the group.",
);

static TABLE: Table = Table {
    name: "directory",
    summary: "a directory: owner, group, permissions, nothing undeclared in it",
    source: include_str!("directory.rs"),
    identity: Identity { name: "path", ty: Type::Path, doc: "The absolute path." },
    in_roles: true,
    in_specs: true,
    has_state: true,
    attributes: &[OWNER, GROUP, MODE, PURGE, ENTRIES, PARENTS, RECURSE, SOURCE, FILE_MODE],
    examples: &[
        Example {
            yaml: "- directory: /srv/snowmelt-examples/directory/a b\n  owner: daemon\n  group: www-data\n  \
                   mode: \"2750\"\n  parents: true\n  purge: true\n\
                   - directory: /srv/snowmelt-examples/directory/a b/kept\n",
            spoils: &[
                Spoil {
                    address: "directory:/srv/snowmelt-examples/directory/a b/kept#state",
                    spoil: "rmdir '/srv/snowmelt-examples/directory/a b/kept'",
                    oracle: "test -d '/srv/snowmelt-examples/directory/a b/kept'",
                },
                Spoil {
                    address: "directory:/srv/snowmelt-examples/directory/a b#owner",
                    spoil: "chown root '/srv/snowmelt-examples/directory/a b'",
                    oracle: "test \"$(stat -c %U '/srv/snowmelt-examples/directory/a b')\" = daemon",
                },
                Spoil {
                    address: "directory:/srv/snowmelt-examples/directory/a b#group",
                    spoil: "chgrp root '/srv/snowmelt-examples/directory/a b'",
                    oracle: "test \"$(stat -c %G '/srv/snowmelt-examples/directory/a b')\" = www-data",
                },
                Spoil {
                    address: "directory:/srv/snowmelt-examples/directory/a b#mode",
                    spoil: "chmod 01777 '/srv/snowmelt-examples/directory/a b'",
                    oracle: "test \"$(stat -c %a '/srv/snowmelt-examples/directory/a b')\" = 2750",
                },
                Spoil {
                    address: "directory:/srv/snowmelt-examples/directory/a b#purge",
                    spoil: "touch '/srv/snowmelt-examples/directory/a b/-rf' '/srv/snowmelt-examples/directory/a b/.hidden'",
                    oracle: "test \"$(ls -A '/srv/snowmelt-examples/directory/a b')\" = kept",
                },
            ],
        },
        Example {
            yaml: "- directory: /srv/snowmelt-examples/directory-gone\n  state: absent\n  recurse: true\n",
            spoils: &[Spoil {
                address: "directory:/srv/snowmelt-examples/directory-gone#state",
                spoil: "mkdir -p /srv/snowmelt-examples/directory-gone/below; \
                        touch /srv/snowmelt-examples/directory-gone/below/file",
                oracle: "test ! -e /srv/snowmelt-examples/directory-gone",
            }],
        },
    ],
};

/// The kind `directory`.
pub(super) struct Directory;

impl Kind for Directory {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mut mistakes: Vec<Mistake> =
            [&OWNER, &GROUP].iter().filter_map(|attribute| accounts::account_mistake(resource, attribute)).collect();
        let mut add = |attribute: Option<&Attribute>, message: &str, hint: &str| {
            let (attribute, hint) = (attribute.map(|attribute| attribute.name), Some(hint.to_owned()));
            mistakes.push(Mistake { attribute, message: message.to_owned(), hint });
        };
        let is_root = resource.identity() == "/";
        if is_root && resource.state == State::Absent {
            add(None, "`/` cannot be removed", "name the directory that shall go");
        }
        if is_root && resource.truth(&PURGE) == Some(true) {
            add(Some(&PURGE), "`/` cannot be purged", "name the directory in which everything is declared");
        }
        if resource.state == State::Absent {
            let written = TABLE.attributes.iter().find(|one| one.name != RECURSE.name && resource.want(one).is_some());
            if let Some(attribute) = written {
                let hint = "remove it, or `state: absent`";
                add(Some(attribute), "a directory that shall be absent has no attributes", hint);
            }
        } else if resource.truth(&RECURSE) == Some(true) && resource.truth(&PURGE) != Some(true) {
            let hint = "it goes with `state: absent` or `purge: true`";
            add(Some(&RECURSE), "nothing is removed here, so `recurse` says nothing", hint);
        }
        mistakes
    }

    fn path<'a>(&self, resource: &'a Resource) -> Option<&'a str> {
        Some(resource.identity())
    }

    fn fragment(&self, batch: &[&Resource]) -> String {
        let listed = listed(batch);
        let mut script = String::new();
        if !listed.is_empty() {
            script.push_str(READ_ENTRIES);
            script.push_str(&batch::call("read_entries", &listed));
        }
        script
    }

    fn read(&self, batch: &[&Resource], answer: &Answer<'_>) -> Vec<Observed> {
        let (paths, mut sections) = (answer.paths, Sections::of(answer.text));
        let entries: HashMap<&str, Listing> =
            listed(batch).into_iter().map(|path| (path, read_entries(&mut sections))).collect();
        let observe = |resource: &&Resource| {
            let path = resource.identity();
            let meta = match paths.at(path) {
                Found::Unknown(why) => return Observed::unknown(why.clone()),
                Found::Nothing => return Observed::absent(),
                Found::Is(meta) => meta,
            };
            if meta.file_type != FileType::Directory {
                return Observed::other(meta.file_type.pointing(paths.target(path)));
            }
            let mut observed = Observed::present([
                (OWNER.name, paths::principal(resource, &OWNER, &meta.owner, &meta.uid)),
                (GROUP.name, paths::principal(resource, &GROUP, &meta.group, &meta.gid)),
                (MODE.name, Reading::Is(meta.mode.as_str().into())),
            ]);
            if let Some(listing) = entries.get(path) {
                observed.readings.insert(PURGE.name, purged(resource, listing));
                observed.readings.insert(ENTRIES.name, names(listing));
            } else if resource.want(&PURGE).is_some() {
                observed.readings.insert(PURGE.name, Reading::Is(false.into()));
            }
            observed
        };
        batch.iter().map(observe).collect()
    }

    fn steps(&self, due: &[Due<'_>]) -> Vec<Step> {
        let of = |state: State| -> Vec<usize> {
            due.iter().enumerate().filter(|(_, due)| due.resource.state == state).map(|(item, _)| item).collect()
        };
        let (present, mut absent) = (of(State::Present), of(State::Absent));
        // What lies in another directory of the run is declared after it, and goes before it.
        absent.reverse();
        let titled = |verb: &str, items: &[usize]| {
            let paths: Vec<&str> = items.iter().map(|item| due[*item].resource.identity()).collect();
            format!("{verb} {}", paths.join(", "))
        };
        let mut steps = Vec::new();
        if !present.is_empty() {
            let paths: Vec<&str> = present.iter().map(|item| due[*item].resource.identity()).collect();
            let body: String = present.iter().map(|item| bring_about(&due[*item])).collect();
            let work = Work::Shell(format!("{ACT}{}{body}", paths::look_at(&paths)));
            let is_new = present.iter().any(|item| due[*item].differs("state"));
            let title = titled(if is_new { "make" } else { "set" }, &present);
            steps.push(Step { items: present, title, work });
        }
        if !absent.is_empty() {
            let paths: Vec<&str> = absent.iter().map(|item| due[*item].resource.identity()).collect();
            let body: String = absent.iter().map(|item| remove(&due[*item])).collect();
            let work = Work::Shell(format!("{ACT}{}{body}", paths::look_at(&paths)));
            steps.push(Step { title: titled("remove", &absent), items: absent, work });
        }
        steps
    }

    fn provides(&self, resource: &Resource, need: &Need) -> bool {
        let (Need::Parent(needed), State::Present) = (need, resource.state) else { return false };
        let path = resource.identity();
        let is_above = || path.starts_with(&format!("{}/", needed.trim_end_matches('/')));
        needed == path || (resource.truth(&PARENTS) == Some(true) && is_above())
    }
}

/// The names in a directory, or why they could not be read.
type Listing = Result<Vec<Vec<u8>>, String>;

/// The directories of a batch whose entries are asked for.
fn listed<'a>(batch: &[&'a Resource]) -> Vec<&'a str> {
    let is_listed = |resource: &&Resource| resource.truth(&PURGE) != Some(false) && resource.want(&PURGE).is_some();
    let asked = batch.iter().copied().filter(|resource| is_listed(resource) || resource.want(&ENTRIES).is_some());
    batch::names(&asked.collect::<Vec<_>>())
}

/// Names by pattern, so that no process is needed; an empty piece ends each list. What cannot be listed says so, as an empty
/// list would look clean.
const READ_ENTRIES: &str = "\
read_entries() {
  for d; do
    if [ -d \"$d\" ] && [ ! -L \"$d\" ]; then
      if [ -r \"$d\" ] && [ -x \"$d\" ]; then
        printf '+\\000'
        for p in \"${d%/}\"/* \"${d%/}\"/.[!.]* \"${d%/}\"/..?*; do
          if [ -e \"$p\" ] || [ -L \"$p\" ]; then printf '%s\\000' \"${p##*/}\"; fi
        done
      else
        printf '!\\000'
      fi
    fi
    printf '\\000'
  done
}
";

fn read_entries(answer: &mut Sections<'_>) -> Listing {
    let list = answer.list();
    match list.split_first() {
        Some((first, names)) if *first == b"+" => Ok(names.iter().map(|name| name.to_vec()).collect()),
        Some((first, _)) if *first == b"!" => Err("permission denied".to_owned()),
        _ => Err("could not be read".to_owned()),
    }
}

fn names(listing: &Listing) -> Reading {
    match listing {
        Ok(names) => Reading::Is(names.iter().map(|name| clean::utf8(name).into_owned()).collect()),
        Err(why) => Reading::Unknown(why.clone()),
    }
}

/// Whether nothing undeclared is in the directory; else what is, by name.
fn purged(resource: &Resource, listing: &Listing) -> Reading {
    if resource.truth(&PURGE) == Some(false) {
        return Reading::Is(false.into());
    }
    let names = match listing {
        Ok(names) => names,
        Err(why) => return Reading::Unknown(why.clone()),
    };
    let undeclared: Vec<&Vec<u8>> = names.iter().filter(|name| !is_kept(resource, name)).collect();
    // A name that is no text could only be removed under another name than was shown.
    if let Some(name) = undeclared.iter().find(|name| std::str::from_utf8(name).is_err()) {
        return Reading::Unknown(format!("{} in it is undeclared, and no UTF-8; remove it by hand", clean::utf8(name)));
    }
    if undeclared.is_empty() {
        return Reading::Is(true.into());
    }
    let undeclared: Vec<_> = undeclared.iter().map(|name| clean::utf8(name)).collect();
    Reading::Is(format!("undeclared: {}", undeclared.join(", ")).into())
}

/// Whether something declared lies at or below this name.
fn is_kept(resource: &Resource, name: &[u8]) -> bool {
    resource.keeps.iter().any(|kept| kept.split('/').next().unwrap_or_default().as_bytes() == name)
}

/// What the steps of this kind begin with. Everything is done from inside a directory that has been looked at, so that no
/// name can be exchanged for a symbolic link between looking and changing.
const ACT: &str = "\
stand_in() {
  above=${1%/*}
  enter \"${above:-/}\"
  above=$(here)
  cd -P -- \"./${1##*/}\" && [ \"$(here)\" = \"${above%/}/${1##*/}\" ] || fail \"$1 is not the directory it was\"
}
make_directory() (
  above=${1%/*}
  if [ -n \"$3\" ]; then parents \"${above:-/}\"; fi
  enter \"${above:-/}\"
  # An earlier step of the same run (a package) may have made it since it was observed.
  if [ -d \"./${1##*/}\" ] && [ ! -L \"./${1##*/}\" ]; then exit 0; fi
  if [ -L \"./${1##*/}\" ]; then fail \"$1 is a symbolic link; declare a link, or the directory it points to\"; fi
  if [ -e \"./${1##*/}\" ]; then fail \"$1 is no directory; remove it first\"; fi
  keep \"$1\"
  mkdir -m \"$2\" -- \"./${1##*/}\" || exit 1
  set_default_owner \"./${1##*/}\"
  # The setgid bit of the folder above is inherited, and was not declared.
  set_directory \"$1\" '' '' \"$2\"
)
set_directory() (
  stand_in \"$1\"
  if [ -n \"$2$3\" ]; then chown -- \"$2${3:+:$3}\" . || exit 1; fi
  if [ -n \"$4\" ]; then chmod \"0$4\" . || exit 1; fi
)
case $(rm --help 2>&1) in *--one-file-system*) stay=--one-file-system ;; *) stay= ;; esac
remove_tree() {
  keep \"$1\"
  rm -rf $stay -- \"./${1##*/}\" || exit 1
  if [ -e \"./${1##*/}\" ] || [ -L \"./${1##*/}\" ]; then fail \"$1 could not be removed\"; fi
}
remove_entry() {
  keep \"$1\"
  if [ -d \"./${1##*/}\" ] && [ ! -L \"./${1##*/}\" ]; then
    rmdir -- \"./${1##*/}\" || fail \"$1 is not empty; recurse: true removes it with all that is in it\"
  else
    rm -f -- \"./${1##*/}\" || exit 1
  fi
}
purge_directory() (
  d=$1 remove=$2
  shift 2
  stand_in \"$d\"
  for name; do $remove \"$d/$name\"; done
)
remove_directory() (
  # An earlier step of the same run may have removed it: a user took its home along, a package its folders.
  if [ ! -e \"$1\" ] && [ ! -L \"$1\" ]; then exit 0; fi
  if [ ! -L \"$1\" ] && [ ! -d \"$1\" ]; then fail \"$1 is no directory; it was left alone\"; fi
  stand_in \"$1\"
  # By the kernel: a shell would go there by a name that may have been swapped.
  cd -P ..
  $2 \"$1\"
)
";

fn bring_about(due: &Due<'_>) -> String {
    let resource = due.resource;
    let path = quote::sh(resource.identity());
    let word = |attribute: &Attribute| quote::sh(resource.text(attribute).unwrap_or_default()).into_owned();
    let (owner, group, mode) = (word(&OWNER), word(&GROUP), word(&MODE));
    let mut script = String::new();
    if due.differs("state") {
        let new_mode = resource.text(&MODE).unwrap_or("0755");
        let parents = if resource.truth(&PARENTS) == Some(true) { "parents" } else { "''" };
        script.push_str(&format!("make_directory {path} {new_mode} {parents}\n"));
        script.push_str(&format!("set_directory {path} {owner} {group} {mode}\n"));
    } else if [&OWNER, &GROUP, &MODE].iter().any(|attribute| due.differs(attribute.name)) {
        script.push_str(&format!("set_directory {path} {owner} {group} {mode}\n"));
    }
    if let (true, Some(Reading::Is(entries))) = (due.differs(PURGE.name), due.observed.reading(ENTRIES.name)) {
        let names = entries.as_list().unwrap_or_default().iter().filter_map(Value::as_text);
        let undeclared = quote::words(names.filter(|name| !is_kept(resource, name.as_bytes())));
        script.push_str(&format!("purge_directory {path} {} {undeclared}\n", remover(resource)));
    }
    script
}

fn remove(due: &Due<'_>) -> String {
    // `..` of a directory is where it really lies; only its own name is removed there.
    format!("remove_directory {} {}\n", quote::sh(due.resource.identity()), remover(due.resource))
}

fn remover(resource: &Resource) -> &'static str {
    if resource.truth(&RECURSE) == Some(true) { "remove_tree" } else { "remove_entry" }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::Path;

    use super::*;
    use crate::resource::paths::Paths;
    use crate::resource::testing::{
        absent, act, combinations, read_as_nobody, read_everywhere, resource, said, shell, steps,
    };

    fn with(path: &Path, values: &[(&'static str, Value)]) -> Resource {
        resource(&Directory, path.to_str().unwrap(), values)
    }

    fn read_here(resource: &Resource) -> Observed {
        read_everywhere(&[resource]).remove(0).1.remove(0)
    }

    /// Runs what is to be done about a resource, with each shell and tool, on a state that `prepare` makes.
    fn acts(make: impl Fn(&Path) -> Resource, prepare: impl Fn(&Path), check: impl Fn(&str, &Path, bool, &str)) {
        for (name, shell_words, path) in combinations() {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap();
            prepare(&root);
            let resource = make(&root);
            let script = shell(&steps(&resource, &read_here(&resource)));
            let (ok, output) = act(&shell_words, &path, &script);
            check(&name, &root, ok, &output);
        }
    }

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn every_shell_and_tool_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let odd = root.join("it's $(id)");
        std::fs::create_dir(&odd).unwrap();
        for name in ["-rf", "a b", ".hidden", "..odd", "two\nlines", "*"] {
            std::fs::write(odd.join(name), "").unwrap();
        }
        symlink("nowhere", odd.join("dangling")).unwrap();
        symlink(&odd, root.join("link")).unwrap();
        std::fs::create_dir(root.join("empty")).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        let mut all = vec![with(&odd, &[("purge", true.into())]), with(&odd, &[("purge", true.into())])];
        all[0].keeps = ["-rf", "a b", ".hidden", "..odd", "two\nlines", "*", "dangling"].map(str::to_owned).to_vec();
        all[1].keeps = ["-rf", "a b/below/x", ".hidden", "*", "two\nlines", "dangling"].map(str::to_owned).to_vec();
        for (name, purge) in [("link", true), ("empty", true), ("empty", false), ("file", true), ("none", true)] {
            all.push(with(&root.join(name), &[("purge", purge.into())]));
        }
        let batch: Vec<&Resource> = all.iter().collect();
        for (name, observed) in read_everywhere(&batch) {
            let purge = |index: usize| observed[index].reading("purge").cloned();
            assert_eq!(purge(0), Some(Reading::Is(true.into())), "{name}");
            let Some(Reading::Is(found)) = purge(1) else { panic!("{name} {observed:?}") };
            assert_eq!(found.to_string(), "undeclared: ..odd", "{name}");
            assert_eq!(observed[2], Observed::other(format!("a symbolic link to {}", odd.display())), "{name}");
            assert_eq!(purge(3), Some(Reading::Is(true.into())), "{name}");
            assert_eq!(purge(4), Some(Reading::Is(false.into())), "{name}");
            assert_eq!(observed[5], Observed::other("a file"), "{name}");
            assert_eq!(observed[6], Observed::absent(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_listed_is_not_clean() {
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o711)).unwrap();
        let one = with(&closed, &[("purge", true.into())]);
        for (name, observed) in read_as_nobody(folder.path(), &[&one]) {
            assert_eq!(observed[0].reading("purge"), Some(&Reading::Unknown("permission denied".into())), "{name}");
        }
        let path = closed.to_str().unwrap();
        let paths = Paths::read(&[path], format!("\x000\00:0:41c9:9:{path}\00:root:0:root\0").as_bytes());
        let cut = Directory.read(&[&one], &Answer { paths: &paths, ..said(b"") });
        assert_eq!(cut[0].reading("purge"), Some(&Reading::Unknown("could not be read".into())));
    }

    #[test]
    fn a_new_one_is_0755_in_a_setgid_parent_too() {
        let prepare = |root: &Path| {
            std::fs::set_permissions(root, PermissionsExt::from_mode(0o2777)).unwrap();
        };
        acts(
            |root| with(&root.join("a b/it's/-new"), &[("parents", true.into())]),
            prepare,
            |name, root, ok, output| {
                assert!(ok, "{name}: {output}");
                assert_eq!(mode(&root.join("a b/it's/-new")), 0o755, "{name}");
            },
        );
        acts(
            |root| with(&root.join("none/new"), &[]),
            |_| {},
            |name, root, ok, output| {
                assert!(!ok && output.contains("declare it"), "{name}: {output}");
                assert!(!root.join("none").exists(), "{name}");
            },
        );
    }

    #[test]
    fn the_mode_is_exactly_the_declared_one() {
        for (declared, bits) in [("0750", 0o750), ("2775", 0o2775), ("1777", 0o1777), ("0000", 0)] {
            acts(
                |root| with(&root.join("d"), &[("mode", declared.into())]),
                |root| {
                    std::fs::create_dir(root.join("d")).unwrap();
                    std::fs::set_permissions(root.join("d"), PermissionsExt::from_mode(0o7711)).unwrap();
                },
                |name, root, ok, output| {
                    assert!(ok, "{name}: {output}");
                    assert_eq!(mode(&root.join("d")), bits, "{name}");
                },
            );
        }
    }

    #[test]
    fn purges_what_was_shown_and_keeps_the_rest() {
        let prepare = |root: &Path| {
            std::fs::create_dir_all(root.join("d/kept/below")).unwrap();
            std::fs::create_dir(root.join("d/empty")).unwrap();
            for name in ["-rf", ".hidden", "a b", "$(id)", "stays"] {
                std::fs::write(root.join("d").join(name), "x").unwrap();
            }
            std::fs::create_dir(root.join("outside")).unwrap();
            std::fs::write(root.join("outside/file"), "x").unwrap();
            symlink("../outside", root.join("d/link")).unwrap();
        };
        let make = |root: &Path| {
            let mut one = with(&root.join("d"), &[("purge", true.into())]);
            one.keeps = vec!["stays".into(), "kept/below/x".into()];
            one
        };
        acts(make, prepare, |name, root, ok, output| {
            assert!(ok, "{name}: {output}");
            let mut left: Vec<_> =
                std::fs::read_dir(root.join("d")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            left.sort();
            assert_eq!(left, ["kept", "stays"], "{name}");
            assert!(root.join("outside/file").exists(), "{name}");
        });
    }

    #[test]
    fn a_full_directory_goes_only_with_recurse() {
        let prepare = |root: &Path| {
            std::fs::create_dir_all(root.join("d/sub")).unwrap();
            std::fs::create_dir(root.join("outside")).unwrap();
            symlink("../outside", root.join("d/link")).unwrap();
        };
        acts(
            |root| absent(with(&root.join("d"), &[])),
            prepare,
            |name, root, ok, output| {
                assert!(!ok && output.contains("recurse: true") && root.join("d/sub").exists(), "{name}")
            },
        );
        acts(
            |root| absent(with(&root.join("d"), &[("recurse", true.into())])),
            prepare,
            |name, root, ok, output| {
                assert!(ok && !root.join("d").exists() && root.join("outside").exists(), "{name}: {output}");
            },
        );
        acts(
            |root| with(&root.join("d"), &[("purge", true.into())]),
            |root| std::fs::create_dir_all(root.join("d/sub/below")).unwrap(),
            |name, root, ok, output| {
                assert!(!ok && output.contains("recurse: true") && root.join("d/sub/below").exists(), "{name}");
            },
        );
    }

    #[test]
    fn what_an_earlier_step_removed_is_gone() {
        for (name, shell_words, path) in combinations() {
            for gone in ["/no-such-folder", "/no-such-folder/below"] {
                let gone = absent(with(Path::new(gone), &[]));
                let (ok, output) = act(&shell_words, &path, &shell(&steps(&gone, &Observed::present([]))));
                assert!(ok && output.is_empty(), "{name}: {output}");
            }
        }
    }

    #[test]
    fn nothing_is_done_through_a_link_that_was_put_in_its_place() {
        for (name, shell_words, path) in combinations() {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap();
            std::fs::create_dir(root.join("outside")).unwrap();
            std::fs::write(root.join("outside/file"), "x").unwrap();
            std::fs::create_dir(root.join("d")).unwrap();
            std::fs::write(root.join("d/file"), "x").unwrap();
            let values: &[(&str, Value)] = &[("mode", "0700".into()), ("purge", true.into())];
            let kept = with(&root.join("d"), values);
            let gone = absent(with(&root.join("d"), &[("recurse", true.into())]));
            let scripts = [&kept, &gone].map(|resource| shell(&steps(resource, &read_here(resource))));
            std::fs::remove_dir_all(root.join("d")).unwrap();
            symlink("outside", root.join("d")).unwrap();
            let before = mode(&root.join("outside"));
            for script in scripts {
                let (ok, output) = act(&shell_words, &path, &script);
                assert!(!ok && output.contains("is not the directory it was"), "{name}: {output}");
                assert!(root.join("outside/file").exists() && mode(&root.join("outside")) == before, "{name}");
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        let messages = |resource: Resource| -> Vec<String> {
            Directory.mistakes(&resource).into_iter().map(|mistake| mistake.message).collect()
        };
        let root = Path::new("/");
        assert_eq!(messages(absent(with(root, &[]))), ["`/` cannot be removed"]);
        assert_eq!(messages(with(root, &[("purge", true.into())])), ["`/` cannot be purged"]);
        let srv = Path::new("/srv/x");
        assert_eq!(messages(with(srv, &[("recurse", true.into())])).len(), 1);
        assert_eq!(messages(absent(with(srv, &[("mode", "0755".into())]))).len(), 1);
        assert_eq!(messages(absent(with(srv, &[("recurse", true.into())]))), [""; 0]);
        assert_eq!(messages(with(srv, &[("owner", "a:b".into())])).len(), 1);
    }

    #[test]
    fn provides_itself_and_its_parents() {
        let provides = |parents: bool, need: &str| {
            let one = with(Path::new("/srv/a/b"), &[("parents", parents.into())]);
            Directory.provides(&one, &Need::Parent(need.to_owned()))
        };
        assert!(provides(false, "/srv/a/b") && provides(true, "/srv/a"));
        assert!(!provides(false, "/srv/a") && !provides(true, "/srv/a/b/c") && !provides(true, "/srv/a/bc"));
    }
}
