//! A symbolic link.
//!
//! # What it declares
//! A path that shall be a symbolic link, and where it points (`to`), exactly as it is written: relative or absolute, and
//! whether or not anything is there.
//!
//! # What is read
//! What stands at each path, with one `stat` for all, and where those that are links point. Something else in the place of
//! the link is not as declared; it is left alone, and `apply` says so, unless `force: true` says that it may go.
//!
//! # What is changed
//! The new link is made under another name and renamed over the old one: there is no moment without a link. With `force: true` a
//! file is replaced in the same way; a directory only if it is empty. `state: absent` removes the link, never what it points to;
//! something else at the path is not as declared then, too, and stays without `force: true`.
//!
//! # Example
//! ```yaml
//! - link: /etc/localtime
//!   to: /usr/share/zoneinfo/Asia/Tokyo
//! - link: /etc/nginx/sites-enabled/shop
//!   to: ../sites-available/shop
//! - link: /etc/nginx/sites-enabled/default
//!   state: absent
//! ```

use crate::base::quote;
use crate::resource::batch;
use crate::resource::paths::{self, FileType, Found};
use crate::resource::{
    Answer, Attribute, Due, Example, Identity, Kind, Mistake, Need, Observed, Reading, Resource, Spoil, State, Step,
    Table, Type, Work,
};

const TO: Attribute = Attribute::state("to", Type::Text, "Where it points, exactly as `readlink` prints it.");
const FORCE: Attribute = Attribute::act(
    "force",
    Type::Bool,
    "Whether a file, or an empty directory, in its place may be replaced. Default: false.",
);
const PARENTS: Attribute = Attribute::act(
    "parents",
    Type::Bool,
    "Whether missing parent directories are made (root:root 0755). Default: false.",
);

static TABLE: Table = Table {
    name: "link",
    summary: "a symbolic link",
    source: include_str!("link.rs"),
    identity: Identity { name: "path", ty: Type::Path, doc: "The absolute path of the link itself." },
    in_roles: true,
    in_specs: true,
    has_state: true,
    attributes: &[TO, FORCE, PARENTS],
    examples: &[
        Example {
            yaml: "- link: /srv/snowmelt-examples/link/current one\n  to: ../-release 2\n  parents: true\n  force: true\n",
            spoils: &[
                Spoil {
                    address: "link:/srv/snowmelt-examples/link/current one#state",
                    spoil: "rm '/srv/snowmelt-examples/link/current one'",
                    oracle: "test -L '/srv/snowmelt-examples/link/current one'",
                },
                Spoil {
                    address: "link:/srv/snowmelt-examples/link/current one#to",
                    spoil: "ln -sfn /etc '/srv/snowmelt-examples/link/current one'",
                    oracle: "test \"$(readlink '/srv/snowmelt-examples/link/current one')\" = '../-release 2'",
                },
                Spoil {
                    address: "link:/srv/snowmelt-examples/link/current one#state",
                    spoil: "rm '/srv/snowmelt-examples/link/current one'; echo x >'/srv/snowmelt-examples/link/current one'",
                    oracle: "test \"$(readlink '/srv/snowmelt-examples/link/current one')\" = '../-release 2'",
                },
            ],
        },
        Example {
            yaml: "- link: /srv/snowmelt-examples/link-gone\n  state: absent\n",
            spoils: &[Spoil {
                address: "link:/srv/snowmelt-examples/link-gone#state",
                spoil: "ln -s /etc /srv/snowmelt-examples/link-gone",
                oracle: "test ! -L /srv/snowmelt-examples/link-gone && test -d /etc",
            }],
        },
    ],
};

/// The kind `link`.
pub(super) struct Link;

impl Kind for Link {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mistake = |attribute: Option<&Attribute>, message: &str, hint: &str| {
            let (attribute, hint) = (attribute.map(|attribute| attribute.name), Some(hint.to_owned()));
            vec![Mistake { attribute, message: message.to_owned(), hint }]
        };
        let is_present = resource.state == State::Present;
        match resource.want(&TO) {
            None if is_present && !resource.is_check => mistake(None, "a link points somewhere", "add `to: …`"),
            Some(_) if !is_present => {
                mistake(Some(&TO), "a link that shall be absent points nowhere", "remove it, or `state: absent`")
            }
            _ if resource.text(&TO) == Some("") => mistake(Some(&TO), "a link cannot point to nothing", "write a path"),
            _ => Vec::new(),
        }
    }

    fn path<'a>(&self, resource: &'a Resource) -> Option<&'a str> {
        Some(resource.identity())
    }

    fn read(&self, batch: &[&Resource], answer: &Answer<'_>) -> Vec<Observed> {
        let paths = answer.paths;
        let observe = |resource: &&Resource| {
            let path = resource.identity();
            match paths.at(path) {
                Found::Unknown(why) => Observed::unknown(why.clone()),
                Found::Nothing => Observed::absent(),
                Found::Is(meta) if meta.file_type == FileType::Link => {
                    let unread = || Reading::Unknown("its target could not be read".to_owned());
                    let to = paths.target(path).map_or_else(unread, |target| Reading::Is(target.as_str().into()));
                    Observed::present([(TO.name, to)])
                }
                Found::Is(meta) => Observed::other(meta.file_type.phrase()),
            }
        };
        batch.iter().map(observe).collect()
    }

    fn steps(&self, due: &[Due<'_>]) -> Vec<Step> {
        let paths =
            |items: &[usize]| items.iter().map(|item| due[*item].resource.identity()).collect::<Vec<_>>().join(", ");
        let step = |state: State| {
            let has_state = |(_, due): &(usize, &Due<'_>)| due.resource.state == state;
            let items: Vec<usize> = due.iter().enumerate().filter(has_state).map(|(item, _)| item).collect();
            let verb = if state == State::Present { "link" } else { "remove" };
            let body: String = items.iter().map(|item| bring_about(due[*item].resource)).collect();
            let resources: Vec<&Resource> = items.iter().map(|item| due[*item].resource).collect();
            let text = format!("{ACT}{}{body}", paths::look_at(&batch::names(&resources)));
            (!items.is_empty()).then(|| Step {
                title: format!("{verb} {}", paths(&items)),
                items,
                work: Work::Shell(text),
            })
        };
        [State::Present, State::Absent].into_iter().filter_map(step).collect()
    }

    fn provides(&self, resource: &Resource, need: &Need) -> bool {
        let path = resource.identity();
        let Some((folder, name)) = path.rsplit_once('/').filter(|_| resource.state == State::Present) else {
            return false;
        };
        match need {
            Need::File(needed) | Need::Parent(needed) => needed == path,
            Need::Tool(tool) => tool == name && (folder.ends_with("/bin") || folder.ends_with("/sbin")),
            Need::Unit(unit) => {
                folder.ends_with("/systemd/system") && (unit == name || name.strip_suffix(".service") == Some(unit))
            }
            Need::User(_) | Need::Group(_) => false,
        }
    }
}

/// What the steps of this kind begin with. Where `mv` could take the name of a link to a directory for the directory, the old
/// link has to go first.
const ACT: &str = "\
case $(mv --help 2>&1) in *-T*) swap='mv -fT' ;; *) swap= ;; esac
make_room() {
  if [ -L \"$1\" ] || [ ! -e \"$1\" ]; then return 0; fi
  [ -n \"$2\" ] || fail \"$PWD/$1 is no symbolic link; force: true lets it be replaced\"
  [ ! -d \"$1\" ] || rmdir -- \"$1\" || fail \"$PWD/$1 is a directory and not empty; remove it first\"
}
make_link() (
  above=${1%/*} name=${1##*/} new=.${1##*/}.snowmelt-$RUN
  if [ -n \"$4\" ]; then parents \"${above:-/}\"; fi
  enter \"${above:-/}\"
  keep \"$1\"
  make_room \"$name\" \"$3\"
  leaves \"${above%/}/$new\"
  ln -s -- \"$2\" \"$new\" || exit 1
  if [ -n \"$swap\" ] && $swap -- \"$new\" \"$name\"; then exit 0; fi
  if [ -z \"$swap\" ] && ! is_foreign \"$above\" && rm -f -- \"$name\" && mv -f -- \"$new\" \"$name\"; then exit 0; fi
  rm -f -- \"$new\"
  fail \"$1 was not changed\"
)
remove_link() (
  # An earlier step of the same run may have removed it, and the directory that it was in.
  if [ ! -e \"$1\" ] && [ ! -L \"$1\" ]; then exit 0; fi
  above=${1%/*} name=${1##*/}
  enter \"${above:-/}\"
  keep \"$1\"
  make_room \"$name\" \"$2\"
  rm -f -- \"$name\"
)
";

fn bring_about(resource: &Resource) -> String {
    let path = quote::sh(resource.identity());
    let flag = |attribute: &Attribute| if resource.truth(attribute) == Some(true) { attribute.name } else { "''" };
    if resource.state == State::Absent {
        return format!("remove_link {path} {}\n", flag(&FORCE));
    }
    let to = quote::sh(resource.text(&TO).unwrap_or_default());
    format!("make_link {path} {to} {} {}\n", flag(&FORCE), flag(&PARENTS))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;
    use crate::base::value::Value;
    use crate::resource::Existence;
    use crate::resource::paths::Paths;
    use crate::resource::testing::{
        absent, act, combinations, read_as_nobody, read_everywhere, resource, said, shell, steps,
    };

    fn link(path: &Path, to: &str, more: &[(&'static str, Value)]) -> Resource {
        let values: Vec<_> = [("to", Value::from(to))].into_iter().chain(more.iter().cloned()).collect();
        resource(&Link, path.to_str().unwrap(), &values)
    }

    #[test]
    fn every_shell_and_tool_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, to) in [("it's", "a b"), ("-n", "-n"), ("$(id)", "two\nlines\n"), ("loop", "loop"), ("dir", "/etc")]
        {
            symlink(to, at(name)).unwrap();
        }
        std::fs::write(at("file"), "").unwrap();
        let mut all: Vec<Resource> = ["it's", "-n", "$(id)", "loop", "dir", "file", "none"]
            .iter()
            .map(|name| link(&at(name), "x", &[]))
            .collect();
        all.push(link(&at("file"), "x", &[("force", true.into())]));
        let batch: Vec<&Resource> = all.iter().collect();
        for (name, observed) in read_everywhere(&batch) {
            let to = |text: &str| Observed::present([("to", Reading::Is(text.into()))]);
            let wanted = [
                to("a b"),
                to("-n"),
                to("two\nlines\n"),
                to("loop"),
                to("/etc"),
                Observed::other("a file"),
                Observed::absent(),
                Observed::other("a file"),
            ];
            assert_eq!(observed, wanted, "{name}");
        }
    }

    #[test]
    fn a_link_that_may_not_be_seen_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        symlink("x", closed.join("link")).unwrap();
        std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let one = link(&closed.join("link"), "x", &[]);
        for (name, observed) in read_as_nobody(folder.path(), &[&one]) {
            assert_eq!(observed, [Observed::unknown("permission denied")], "{name}");
        }
        std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }

    #[test]
    fn answers_that_are_none_leave_nothing_known() {
        let one = link(Path::new("/l"), "x", &[]);
        let unread = Observed::present([("to", Reading::Unknown("its target could not be read".into()))]);
        let link = b"\x000\x000:0:a1ff:1:/l\x000:root:0:root\x00".as_slice();
        for tail in [b"".as_slice(), b"/l\0\0", b"/l\0\0\0", b"\0\0"] {
            let paths = Paths::read(&["/l"], &[link, tail].concat());
            assert_eq!(Link.read(&[&one], &Answer { paths: &paths, ..said(b"") })[0], unread, "{tail:?}");
        }
        assert!(matches!(
            Link.read(&[&one], &Answer { paths: &Paths::read(&["/l"], b""), ..said(b"") })[0].existence,
            Existence::Unknown(_)
        ));
    }

    #[test]
    fn replaces_atomically_and_never_writes_into_a_directory() {
        for (name, shell_words, path) in combinations() {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap();
            let at = |name: &str| root.join(name);
            std::fs::create_dir(at("dir")).unwrap();
            symlink("dir", at("to dir")).unwrap();
            std::fs::write(at("file"), "x").unwrap();
            std::fs::create_dir(at("empty")).unwrap();
            std::fs::create_dir_all(at("full/below")).unwrap();
            let run = |one: &Resource| {
                let present = Observed::present([]);
                act(&shell_words, &path, &shell(&steps(one, &present)))
            };
            for target in ["to dir", "file", "empty", "a/b/-new $(id)"] {
                let one = link(&at(target), "-it's $(id)", &[("parents", true.into()), ("force", true.into())]);
                let (ok, output) = run(&one);
                assert!(ok, "{name}: {output}");
                assert_eq!(std::fs::read_link(at(target)).unwrap(), Path::new("-it's $(id)"), "{name}");
            }
            assert_eq!(std::fs::read_dir(at("dir")).unwrap().count(), 0, "{name}: nothing was put into it");
            let (ok, output) = run(&link(&at("full"), "x", &[("force", true.into())]));
            assert!(!ok && output.contains("not empty") && at("full/below").exists(), "{name}: {output}");
            std::fs::write(at("made meanwhile"), "x").unwrap();
            for one in [
                link(&at("made meanwhile"), "x", &[]),
                absent(resource(&Link, at("made meanwhile").to_str().unwrap(), &[])),
            ] {
                let (ok, output) = run(&one);
                assert!(
                    !ok && output.contains("is no symbolic link") && at("made meanwhile").is_file(),
                    "{name}: {output}"
                );
            }
            let (ok, output) = run(&absent(resource(&Link, at("to dir").to_str().unwrap(), &[])));
            assert!(ok && at("to dir").symlink_metadata().is_err() && at("dir").exists(), "{name}: {output}");
            let (ok, output) = run(&absent(resource(&Link, at("no folder/link").to_str().unwrap(), &[])));
            assert!(ok && output.is_empty(), "{name}: {output}");
            let left: Vec<_> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let count = |resource: &Resource| Link.mistakes(resource).len();
        let path = Path::new("/l");
        assert_eq!(count(&resource(&Link, "/l", &[])), 1);
        assert_eq!(count(&link(path, "", &[])), 1);
        assert_eq!(count(&absent(link(path, "x", &[]))), 1);
        assert_eq!(count(&link(path, "x", &[])), 0);
        assert_eq!(count(&absent(resource(&Link, "/l", &[]))), 0);
        let mut check = resource(&Link, "/l", &[]);
        check.is_check = true;
        assert_eq!(count(&check), 0);
    }
}
