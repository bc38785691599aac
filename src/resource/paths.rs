//! What stands at paths: each path that a resource of any kind is about is looked at once, all of them with one `stat` per few
//! hundred.
//!
//! It knows types, permissions, owners and targets of links, and which path could not be looked at and why. It does not know
//! what any kind makes of that, and reads no content.

use std::collections::{BTreeSet, HashMap};

use super::batch::{self, Batch, Sections};
use super::want::Want;
use super::{Attribute, Reading, Resource};
use crate::base::{clean, quote};

/// What stands at a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Something; a symbolic link is not followed.
    Is(Meta),
    /// Nothing.
    Nothing,
    /// It could not be told, and why.
    Unknown(String),
}

/// Metadata of one path.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// What it is.
    pub file_type: FileType,
    /// Permissions with set-user-ID, set-group-ID and sticky bit: four octal digits.
    pub mode: String,
    /// The owner's name; its number where there is no name.
    pub owner: String,
    /// The owner's number.
    pub uid: String,
    /// The group's name; its number where there is no name.
    pub group: String,
    /// The group's number.
    pub gid: String,
    /// Bytes.
    pub size: i64,
}

/// What can stand at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A block device.
    Block,
    /// A character device.
    Char,
}

impl FileType {
    /// The words a spec may use for them.
    pub const WORDS: &'static [&'static str] = &["file", "directory", "link", "fifo", "socket", "block", "char"];

    /// The word a spec uses for it.
    pub fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    /// The same, with where it points if it is a link.
    pub fn pointing(self, target: Option<&String>) -> String {
        match target.filter(|_| self == Self::Link) {
            Some(target) => format!("{} to {target}", self.phrase()),
            None => self.phrase().to_owned(),
        }
    }

    /// As it reads in a sentence: `a symbolic link`.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Link => "a symbolic link",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::Block => "a block device",
            Self::Char => "a character device",
        }
    }

    /// From the type bits of `st_mode`.
    fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & 0o170_000 {
            0o100_000 => Self::File,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Link,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            0o060_000 => Self::Block,
            0o020_000 => Self::Char,
            _ => return None,
        })
    }
}

/// What stands at a number of paths.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    found: HashMap<String, Found>,
    targets: HashMap<String, String>,
}

/// Metadata by number: the name of an owner costs the host a look into its databases, again for each path. So names are asked
/// for only once, of the first path of each pair of owner and group. Then the names of those that are links, and their
/// targets in the same order; each list ends with an empty entry. Where `readlink` takes one path only, the first failure ends
/// the list: it is short then, and counts for nothing. That it knows no `-z` is asked only when it has failed: a process less,
/// nearly everywhere. No path that is asked for holds a line end.
const LOOK: &str = "\
look() {
  { o=$(stat -c '%u:%g:%f:%s:%n' -- \"$@\" 2>&3); r=$?; } 3>&1
  set --
  i=$IFS
  IFS='
'
  set -f
  k=none known= n=
  for l in $o; do
    case $l in \"$k\"*) continue ;; esac
    k=${l#*:*:}
    k=${l%\"$k\"}
    case $known in *\" $k\"*) continue ;; esac
    known=\"$known $k\"
    set -- \"$@\" \"${l#*:*:*:*:}\"
  done
  [ $# = 0 ] || n=$(stat -c '%u:%U:%g:%G' -- \"$@\")
  set --
  for l in $o; do
    case ${l#*:*:} in a???:*) set -- \"$@\" \"${l#*:*:*:*:}\" ;; esac
  done
  set +f
  IFS=$i
  printf '\\000%s\\000%s\\000%s\\000' \"$r\" \"$o\" \"$n\"
  if [ $# != 0 ]; then
    printf '%s\\000' \"$@\" ''
    readlink -z -- \"$@\" || case $(readlink --help 2>&1) in
    *--zero*) ;;
    *) for p; do readlink -n -- \"$p\" || break; printf '\\000'; done ;;
    esac
    printf '\\000'
  else
    printf '\\000\\000'
  fi
}
";

impl Paths {
    /// Shell that reads what stands at these paths, for [`Paths::read`].
    pub fn fragment(paths: &[&str]) -> String {
        format!("{LOOK}{}", batch::call("look", paths))
    }

    /// Reads the answer to [`Paths::fragment`] for the same paths.
    pub fn read(paths: &[&str], answer: &[u8]) -> Self {
        let mut answer = Sections::of(answer);
        let mut all = Self::default();
        for chunk in batch::chunks(paths) {
            all.read_stat(chunk, &mut answer);
            all.read_targets(chunk, &mut answer);
        }
        all
    }

    /// What stands at this path.
    pub fn at(&self, path: &str) -> &Found {
        static NOT_ASKED: std::sync::LazyLock<Found> =
            std::sync::LazyLock::new(|| Found::Unknown("it was not looked at".to_owned()));
        self.found.get(path).unwrap_or(&NOT_ASKED)
    }

    /// Where the symbolic link at this path points; none if it is no link, or its target could not be read.
    pub fn target(&self, path: &str) -> Option<&String> {
        self.targets.get(path)
    }

    fn read_stat(&mut self, chunk: &[&str], answer: &mut Sections<'_>) {
        let batch = Batch::next(answer, "stat");
        let names = Names::read(&answer.piece().map(clean::utf8).unwrap_or_default());
        let batch = match batch {
            Ok(batch) => batch,
            Err(why) => {
                self.found.extend(chunk.iter().map(|path| ((*path).to_owned(), Found::Unknown(why.clone()))));
                return;
            }
        };
        let mut lines: HashMap<&str, Found> =
            batch.answers.iter().filter_map(|line| parse_stat(line, &names)).collect();
        let missing: Vec<&str> = chunk.iter().copied().filter(|path| !lines.contains_key(*path)).collect();
        for (path, reason) in missing.iter().zip(batch.complaints(missing.len())) {
            let is_absent = matches!(reason.as_str(), "no such file or directory" | "not a directory");
            self.found.insert((*path).to_owned(), if is_absent { Found::Nothing } else { Found::Unknown(reason) });
        }
        self.found.extend(chunk.iter().filter_map(|path| Some(((*path).to_owned(), lines.remove(path)?))));
    }

    fn read_targets(&mut self, chunk: &[&str], answer: &mut Sections<'_>) {
        let (names, ends) = (answer.list(), answer.list());
        if names.len() != ends.len() {
            return;
        }
        let pairs: HashMap<_, _> = names.into_iter().zip(ends).collect();
        let target = |path: &&str| Some(((*path).to_owned(), clean::utf8(pairs.get(path.as_bytes())?).into_owned()));
        self.targets.extend(chunk.iter().filter_map(target));
    }
}

/// The names of owners and groups, by number.
#[derive(Default)]
struct Names {
    users: HashMap<String, String>,
    groups: HashMap<String, String>,
}

impl Names {
    /// From lines `uid:name:gid:name`. Neither name can hold a colon.
    fn read(text: &str) -> Self {
        // Both GNU and busybox print this word where the number has no name.
        let named = |name: &str, id: &str| if name == "UNKNOWN" { id.to_owned() } else { name.to_owned() };
        let mut names = Self::default();
        for line in text.lines() {
            let mut fields = line.split(':');
            if let (Some(uid), Some(user), Some(gid), Some(group)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            {
                names.users.insert(uid.to_owned(), named(user, uid));
                names.groups.insert(gid.to_owned(), named(group, gid));
            }
        }
        names
    }
}

fn parse_stat<'l>(line: &'l str, names: &Names) -> Option<(&'l str, Found)> {
    let mut fields = line.splitn(5, ':');
    let (uid, gid) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    let mode = u32::from_str_radix(fields.next()?, 16).ok()?;
    let size = fields.next()?.parse().ok()?;
    let (file_type, mode) = (FileType::from_mode(mode)?, format!("{:04o}", mode & 0o7777));
    let found = match (names.users.get(&uid).cloned(), names.groups.get(&gid).cloned()) {
        (Some(owner), Some(group)) => Found::Is(Meta { file_type, mode, owner, uid, group, gid, size }),
        // What the name was to be read of went in between.
        _ => Found::Unknown("the names of its owner and group could not be read".to_owned()),
    };
    Some((fields.next()?, found))
}

/// Shell that tells the helpers of an act (`enter`, `parents`) which directories these paths lead through: themselves and all
/// above them.
pub fn look_at(paths: &[&str]) -> String {
    let mut all = BTreeSet::from(["/"]);
    for path in paths {
        let mut above = *path;
        while !above.is_empty() && all.insert(above) {
            above = above.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }
    format!("look_at {}\n", quote::words(all))
}

/// The owner or group of something as it compares with what is wanted: by number where a number was written, else by name.
pub fn principal(resource: &Resource, attribute: &Attribute, name: &str, number: &str) -> Reading {
    let wants_number = match resource.want(attribute) {
        Some(Want::Exactly(value)) => {
            value.as_text().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        }
        _ => false,
    };
    Reading::Is(if wants_number { number } else { name }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing::{as_nobody, everywhere};

    const GNU: &[u8] = b"stat: cannot statx '/nope/x': No such file or directory\n\
        stat: cannot statx '/f/x': Not a directory\n\
        stat: cannot statx '/root: No such file or directory': Permission denied\x001\x00\
        0:0:81a4:3:/f\n0:0:a1ff:1:/l\n33:7777:43ed:4096:/d\x000:root:0:root\n33:www-data:7777:UNKNOWN\n\x00";
    const BUSYBOX: &[u8] = b"stat: can't stat '/nope/x': No such file or directory\n\
        stat: can't stat '/f/x': Not a directory\n\
        stat: can't stat '/root: No such file or directory': Permission denied\x001\x00\
        0:0:81a4:3:/f\n0:0:a1ff:1:/l\n33:7777:43ed:4096:/d\x000:root:0:root\n33:www-data:7777:UNKNOWN\n\x00";
    const ASKED: &[&str] = &["/f", "/nope/x", "/l", "/f/x", "/root: No such file or directory", "/d"];

    #[test]
    fn captured_answers_of_both_families_read_the_same() {
        for answer in [GNU, BUSYBOX] {
            let found = Paths::read(ASKED, answer);
            assert_eq!(found.at("/nope/x"), &Found::Nothing);
            assert_eq!(found.at("/f/x"), &Found::Nothing);
            assert_eq!(found.at("/root: No such file or directory"), &Found::Unknown("permission denied".into()));
            let Found::Is(meta) = found.at("/d") else { panic!("{found:?}") };
            let seen = (meta.file_type, &*meta.mode, &*meta.owner, &*meta.group, meta.size);
            assert_eq!(seen, (FileType::Directory, "1755", "www-data", "7777", 4096));
        }
    }

    #[test]
    fn what_does_not_add_up_is_unknown_and_never_absent() {
        let asked = ["/f", "/g"];
        let unknown = |answer: &[u8]| {
            let found = Paths::read(&asked, answer);
            asked.iter().all(|path| matches!(found.at(path), Found::Unknown(_)))
        };
        assert!(unknown(b""));
        assert!(unknown(b"\x000\x000:0:81a4:3:/f\n"), "cut off");
        assert!(
            unknown(b"stat: cannot statx '/f': No such file or directory\x001\x00\x00\x00"),
            "one complaint for two paths"
        );
        assert!(unknown(b"\x000\x00garbage\n0:0:x\x000:root:0:root\x00"));
        assert!(unknown(b"\x000\x000:0:81a4:3:/f\n0:0:81a4:3:/g\x00\x00"), "no names");
        let found = Paths::read(&["/f"], b"sh: stat: not found\x00127\x00\x00\x00");
        assert_eq!(found.at("/f"), &Found::Unknown("no program `stat`".into()));
    }

    #[test]
    fn real_tools_under_every_shell_agree() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let names = ["0:0:a1ff:x:y", "it's", "a b", "$(id)", "-rf", "back\\slash", "ümlaut", "none/below", "none"];
        for name in &names[..7] {
            std::fs::write(at(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("to: 'here'\n", at("link")).unwrap();
        let mut all: Vec<String> = names.iter().map(|name| at(name)).collect();
        all.push(at("link"));
        let paths: Vec<&str> = all.iter().map(String::as_str).collect();
        for (shell, answer) in everywhere(&Paths::fragment(&paths)) {
            let found = Paths::read(&paths, &answer);
            for path in &paths[..7] {
                assert!(
                    matches!(found.at(path), Found::Is(meta) if meta.size == 1),
                    "{shell}: {path} {:?}",
                    found.at(path)
                );
            }
            assert_eq!((found.at(paths[7]), found.at(paths[8])), (&Found::Nothing, &Found::Nothing), "{shell}");
            assert_eq!(found.targets, HashMap::from([(paths[9].to_owned(), "to: 'here'\n".to_owned())]), "{shell}");
        }
    }

    #[test]
    fn no_permission_is_not_absence() {
        let folder = tempfile::tempdir().unwrap();
        let (closed, below) = (folder.path().join("closed"), folder.path().join("closed/file"));
        std::fs::create_dir(&closed).unwrap();
        let set_mode =
            |mode| std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        set_mode(0o000);
        let below = below.to_str().unwrap();
        for (shell, answer) in as_nobody(folder.path(), &Paths::fragment(&[below])) {
            assert_eq!(
                Paths::read(&[below], &answer).at(below),
                &Found::Unknown("permission denied".into()),
                "{shell}"
            );
        }
        set_mode(0o700);
    }

    #[test]
    fn owners_are_named_once_however_odd_the_paths() {
        let folder = tempfile::tempdir().unwrap();
        let owned = |name: &str, uid: u32, gid: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, "").unwrap();
            // Only root may give files away; whoever else runs this still reads names of its own.
            let (uid, gid) = match std::os::unix::fs::chown(&path, Some(uid), Some(gid)) {
                Ok(()) => (uid, gid),
                Err(_) => {
                    let meta = std::fs::metadata(&path).unwrap();
                    (std::os::unix::fs::MetadataExt::uid(&meta), std::os::unix::fs::MetadataExt::gid(&meta))
                }
            };
            (path.to_str().unwrap().to_owned(), uid.to_string(), gid.to_string())
        };
        let made =
            [owned("a", 0, 0), owned("b * c", 0, 33), owned("0:1:2:3", 54_321, 0), owned("last", 54_321, 54_321)];
        let paths: Vec<&str> = made.iter().map(|(path, ..)| path.as_str()).collect();
        let name = |database: &str, number: &str| {
            let entry = std::process::Command::new("getent").args([database, number]).output().unwrap().stdout;
            let entry = String::from_utf8(entry).unwrap();
            if entry.is_empty() { number.to_owned() } else { entry.split(':').next().unwrap().to_owned() }
        };
        for (shell, answer) in everywhere(&Paths::fragment(&paths)) {
            let found = Paths::read(&paths, &answer);
            for (path, uid, gid) in &made {
                let Found::Is(meta) = found.at(path) else { panic!("{shell} {path}: {found:?}") };
                assert_eq!((&meta.uid, &meta.gid), (uid, gid), "{shell} {path}");
                assert_eq!((&meta.owner, &meta.group), (&name("passwd", uid), &name("group", gid)), "{shell} {path}");
            }
        }
    }

    #[test]
    fn thousands_of_paths_that_are_not_there() {
        let names: Vec<String> = (0..1_700).map(|n| format!("/nowhere/{n}")).collect();
        let paths: Vec<&str> = names.iter().map(String::as_str).collect();
        for (shell, answer) in everywhere(&Paths::fragment(&paths)) {
            let found = Paths::read(&paths, &answer);
            assert!(paths.iter().all(|path| found.at(path) == &Found::Nothing), "{shell}");
        }
    }
}
