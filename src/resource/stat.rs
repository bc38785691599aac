//! Reads what stands at many paths with one `stat` per few hundred of them: shared by the kinds that are about paths.
//!
//! It knows types, permissions, owners and targets of links, and which path could not be looked at and why. It does not know
//! what any kind makes of that, and reads no content.
//!
//! The trick that every batch here uses: a tool that is given many paths answers with one line per path that could be read,
//! the name last, and complains with one line per path that could not, in the same order. So the k-th complaint is about the
//! k-th path without an answer. That is the same for GNU and busybox tools, and only the reason behind the last `: ` is read.

use std::collections::{BTreeSet, HashMap, HashSet};

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

/// Paths per command: well below the kernel's limits for arguments, however long the paths are.
const CHUNK_PATHS: usize = 500;
const CHUNK_BYTES: usize = 64 * 1024;

/// The paths of these resources, each once, in order.
pub fn paths<'a>(batch: &[&'a Resource]) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    batch.iter().map(|resource| resource.identity()).filter(|path| seen.insert(*path)).collect()
}

/// Calls the shell function `function` with all these paths, a few hundred at a time.
pub fn call(function: &str, paths: &[&str]) -> String {
    chunks(paths).map(|chunk| format!("{function} {}\n", quote::words(chunk))).collect()
}

/// The groups in which [`call`] hands out paths.
pub fn chunks<'p, 'a>(paths: &'p [&'a str]) -> impl Iterator<Item = &'p [&'a str]> {
    let mut rest = paths;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |path: &&&str| {
            bytes += path.len() + 1;
            bytes <= CHUNK_BYTES
        };
        let count = rest.iter().take(CHUNK_PATHS).take_while(fits).count().max(1).min(rest.len());
        let (chunk, tail) = rest.split_at(count);
        rest = tail;
        (!chunk.is_empty()).then_some(chunk)
    })
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

/// Shell that reads what stands at these paths, for [`read()`].
pub fn fragment(paths: &[&str]) -> String {
    // The complaints are held back, so that they cannot land in the middle of a line of the answer. `%U` and `%G` are the
    // last fields before the name because they alone could hold something unexpected; neither can hold a colon.
    let function = "\
read_stat() {
  { e=$(stat -c '%f:%u:%g:%s:%U:%G:%n' -- \"$@\" 2>&1 >&3); r=$?; } 3>&1
  printf '\\000%s\\000%s\\000' \"$r\" \"$e\"
}
";
    format!("{function}{}", call("read_stat", paths))
}

/// Reads the answer to [`fragment`] for the same paths.
pub fn read<'a>(paths: &[&'a str], answer: &mut Sections<'_>) -> HashMap<&'a str, Found> {
    let mut found = HashMap::with_capacity(paths.len());
    for chunk in chunks(paths) {
        let parsed = Batch::next(answer, "stat").map(|batch| {
            let lines = batch.answers.iter().filter_map(|line| parse_stat(line)).collect::<HashMap<_, _>>();
            (lines, batch)
        });
        let (mut metas, batch) = match parsed {
            Ok(parsed) => parsed,
            Err(why) => {
                found.extend(chunk.iter().map(|path| (*path, Found::Unknown(why.clone()))));
                continue;
            }
        };
        let missing: Vec<&'a str> = chunk.iter().copied().filter(|path| !metas.contains_key(*path)).collect();
        for (path, reason) in missing.iter().zip(batch.complaints(missing.len())) {
            let is_absent = matches!(reason.as_str(), "no such file or directory" | "not a directory");
            found.insert(*path, if is_absent { Found::Nothing } else { Found::Unknown(reason) });
        }
        for path in chunk {
            if let Some(meta) = metas.remove(*path) {
                found.insert(*path, Found::Is(meta));
            }
        }
    }
    found
}

fn parse_stat(line: &str) -> Option<(String, Meta)> {
    let mut fields = line.splitn(7, ':');
    let mode = u32::from_str_radix(fields.next()?, 16).ok()?;
    let (uid, gid) = (fields.next()?.to_owned(), fields.next()?.to_owned());
    let size = fields.next()?.parse().ok()?;
    // Both GNU and busybox print this word where the number has no name.
    let name = |name: &str, id: &str| if name == "UNKNOWN" { id.to_owned() } else { name.to_owned() };
    let (owner, group) = (name(fields.next()?, &uid), name(fields.next()?, &gid));
    let (file_type, mode) = (FileType::from_mode(mode)?, format!("{:04o}", mode & 0o7777));
    Some((fields.next()?.to_owned(), Meta { file_type, mode, owner, uid, group, gid, size }))
}

/// Shell that reads where these paths point, as far as they are symbolic links, for [`read_targets`].
pub fn targets_fragment(paths: &[&str]) -> String {
    // First the names of those that are links, then their targets in the same order; each list ends with an empty entry.
    // Where `readlink` takes one path only, the first failure ends the list: it is short then, and counts for nothing. That it
    // knows no `-z` is asked only when it has failed: a process less, nearly everywhere.
    let function = "\
read_targets() {
  n=0 kept=
  for p; do n=$((n + 1)); if [ -L \"$p\" ]; then kept=\"$kept \\\"\\${$n}\\\"\"; fi; done
  eval \"set -- $kept\"
  if [ $# != 0 ]; then
    printf '%s\\000' \"$@\"
    printf '\\000'
    readlink -z -- \"$@\" || case $(readlink --help 2>&1) in
    *--zero*) ;;
    *) for p; do readlink -n -- \"$p\" || break; printf '\\000'; done ;;
    esac
  else
    printf '\\000'
  fi
  printf '\\000'
}
";
    format!("{function}{}", call("read_targets", paths))
}

/// Reads the answer to [`targets_fragment`] for the same paths: where each link points. A path that is not in the map is no
/// link, or its target could not be read.
pub fn read_targets<'a>(paths: &[&'a str], answer: &mut Sections<'_>) -> HashMap<&'a str, String> {
    let mut targets = HashMap::new();
    for chunk in chunks(paths) {
        let (names, ends) = (answer.list(), answer.list());
        if names.len() != ends.len() {
            continue;
        }
        let pairs: HashMap<_, _> = names.into_iter().zip(ends).collect();
        let target = |path: &&'a str| Some((*path, clean::utf8(pairs.get(path.as_bytes())?).into_owned()));
        targets.extend(chunk.iter().filter_map(target));
    }
    targets
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

/// The answer of a fragment, read piece by piece: pieces end with a NUL, which no name and no line of a tool can hold.
pub struct Sections<'a> {
    rest: &'a [u8],
}

impl<'a> Sections<'a> {
    /// From the beginning.
    pub fn of(answer: &'a [u8]) -> Self {
        Self { rest: answer }
    }

    /// The next piece; none when the answer is at its end.
    pub fn piece(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let piece = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Some(piece)
    }

    /// The pieces up to an empty one.
    pub fn list(&mut self) -> Vec<&'a [u8]> {
        std::iter::from_fn(|| self.piece().filter(|piece| !piece.is_empty())).collect()
    }
}

/// What one tool said about many paths: its answers, its complaints.
pub struct Batch {
    /// Lines of standard output.
    pub answers: Vec<String>,
    /// Lines of standard error.
    complaints: Vec<String>,
}

impl Batch {
    /// The next batch of the answer: standard output, exit status and standard error, each ended by a NUL.
    ///
    /// # Errors
    /// Why nothing can be told: the tool is missing, or the answer is not one.
    pub fn next(answer: &mut Sections<'_>, tool: &str) -> Result<Self, String> {
        let mut lines = || {
            let text = clean::utf8(answer.piece()?);
            Some(text.lines().map(str::to_owned).collect::<Vec<_>>())
        };
        let (Some(answers), Some(status), Some(complaints)) = (lines(), lines(), lines()) else {
            return Err(format!("the answer of `{tool}` is incomplete"));
        };
        match status.first().map(String::as_str) {
            Some("127") => Err(format!("no program `{tool}`")),
            Some("126") => Err(format!("`{tool}` cannot be run")),
            _ => Ok(Self { answers, complaints }),
        }
    }

    /// The next batch of the answer of a fragment that sends what its tool has complained about first: standard error, exit
    /// status and standard output, each ended by a NUL.
    ///
    /// # Errors
    /// Why nothing can be told, as for [`Batch::next`].
    pub fn complaints_first(answer: &mut Sections<'_>, tool: &str) -> Result<Self, String> {
        let Self { answers, complaints } = Self::next(answer, tool)?;
        Ok(Self { answers: complaints, complaints: answers })
    }

    /// The reason of each of the `count` paths without an answer, in their order: a lowercase fragment. Where there are not
    /// as many complaints as paths, none can be trusted.
    pub fn complaints(&self, count: usize) -> Vec<String> {
        if self.complaints.len() != count {
            return vec!["could not be read".to_owned(); count];
        }
        self.complaints.iter().map(|line| reason(line)).collect()
    }
}

/// The reason in a tool's complaint: what stands behind the last colon, as a lowercase fragment.
fn reason(complaint: &str) -> String {
    let reason = complaint.rsplit(": ").next().unwrap_or(complaint);
    let mut chars = reason.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing::{as_nobody, everywhere};

    fn found<'a>(paths: &[&'a str], answer: &[u8]) -> HashMap<&'a str, Found> {
        read(paths, &mut Sections::of(answer))
    }

    const GNU: &[u8] =
        b"81a4:0:0:3:root:root:/f\na1ff:0:0:1:root:root:/l\n43ed:33:7777:4096:www-data:UNKNOWN:/d\n\x001\x00\
        stat: cannot statx '/nope/x': No such file or directory\nstat: cannot statx '/f/x': Not a directory\n\
        stat: cannot statx '/root: No such file or directory': Permission denied\x00";
    const BUSYBOX: &[u8] =
        b"81a4:0:0:3:root:root:/f\na1ff:0:0:1:root:root:/l\n43ed:33:7777:4096:www-data:UNKNOWN:/d\n\x001\x00\
        stat: can't stat '/nope/x': No such file or directory\nstat: can't stat '/f/x': Not a directory\n\
        stat: can't stat '/root: No such file or directory': Permission denied\x00";
    const ASKED: &[&str] = &["/f", "/nope/x", "/l", "/f/x", "/root: No such file or directory", "/d"];

    #[test]
    fn captured_answers_of_both_families_read_the_same() {
        for answer in [GNU, BUSYBOX] {
            let found = found(ASKED, answer);
            assert_eq!(found["/nope/x"], Found::Nothing);
            assert_eq!(found["/f/x"], Found::Nothing);
            assert_eq!(found["/root: No such file or directory"], Found::Unknown("permission denied".into()));
            let Found::Is(meta) = &found["/d"] else { panic!("{found:?}") };
            let seen = (meta.file_type, &*meta.mode, &*meta.owner, &*meta.group, meta.size);
            assert_eq!(seen, (FileType::Directory, "1755", "www-data", "7777", 4096));
        }
    }

    #[test]
    fn what_does_not_add_up_is_unknown_and_never_absent() {
        let asked = ["/f", "/g"];
        let unknown = |answer: &[u8]| {
            let found = found(&asked, answer);
            asked.iter().all(|path| matches!(found[path], Found::Unknown(_)))
        };
        assert!(unknown(b""));
        assert!(unknown(b"81a4:0:0:3:root:root:/f\n"), "cut off");
        assert!(
            unknown(b"\x001\x00stat: cannot statx '/f': No such file or directory\x00"),
            "one complaint for two paths"
        );
        assert!(unknown(b"garbage\n81a4:x\n\x000\x00\x00"));
        assert_eq!(
            found(&["/f"], b"\x00127\x00sh: stat: not found\x00")["/f"],
            Found::Unknown("no program `stat`".into())
        );
    }

    #[test]
    fn real_tools_under_every_shell_agree() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let names = ["plain", "it's", "a b", "$(id)", "-rf", "back\\slash", "ümlaut", "none/below", "none"];
        for name in &names[..7] {
            std::fs::write(at(name), "x").unwrap();
        }
        std::os::unix::fs::symlink("to: 'here'\n", at("link")).unwrap();
        let mut all: Vec<String> = names.iter().map(|name| at(name)).collect();
        all.push(at("link"));
        let paths: Vec<&str> = all.iter().map(String::as_str).collect();
        let script = format!("{}{}", fragment(&paths), targets_fragment(&paths));
        for (shell, answer) in everywhere(&script) {
            let mut sections = Sections::of(&answer);
            let found = read(&paths, &mut sections);
            for path in &paths[..7] {
                assert!(matches!(&found[path], Found::Is(meta) if meta.size == 1), "{shell}: {path} {:?}", found[path]);
            }
            assert_eq!((&found[paths[7]], &found[paths[8]]), (&Found::Nothing, &Found::Nothing), "{shell}");
            let targets = read_targets(&paths, &mut sections);
            assert_eq!(targets, HashMap::from([(paths[9], "to: 'here'\n".to_owned())]), "{shell}");
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
        for (shell, answer) in as_nobody(folder.path(), &fragment(&[below])) {
            assert_eq!(found(&[below], &answer)[below], Found::Unknown("permission denied".into()), "{shell}");
        }
        set_mode(0o700);
    }

    #[test]
    fn thousands_of_paths_are_a_few_commands() {
        let names: Vec<String> = (0..1_700).map(|n| format!("/nowhere/{n}")).collect();
        let paths: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(chunks(&paths).count(), 4);
        assert_eq!(chunks(&["x"; 0]).count(), 0);
        let long = "x".repeat(40_000);
        assert_eq!(chunks(&[&*long, &*long, &*long]).map(<[_]>::len).collect::<Vec<_>>(), [1, 1, 1]);
        for (shell, answer) in everywhere(&fragment(&paths)) {
            let found = found(&paths, &answer);
            assert!(paths.iter().all(|path| found[path] == Found::Nothing), "{shell}");
        }
    }
}
