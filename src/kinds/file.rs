//! A regular file: its content, owner, group and permissions.
//!
//! # What it declares
//! A path, and what shall be there. Content is written in place (`content`), rendered from a template of the role (`template`)
//! or taken from the role byte for byte (`source`; a file that ends in `.age` is a secret as a whole, and is decrypted first).
//! Without any of the three the content is not managed: a missing file is made empty. What is not written is not managed; a new
//! file is root:root 0644 (0600 when it holds a secret), whatever the umask. Parent directories are made only with
//! `parents: true`.
//!
//! `state: absent` means that nothing stands at the path: a symbolic link there counts, and is removed itself. A directory there
//! is not as declared either, but is left alone: to remove it, declare a `directory` with `state: absent`.
//!
//! # What is read
//! One `stat` for all files, and one `sha256sum` for those whose content is declared. Symbolic links are not followed: a link
//! or a directory in the place of a file is not as declared; `apply` says so, and never replaces it. A spec can ask for `type`, `size` and, with matchers, for
//! the text of a file of up to 1 MiB. What may not be read is unknown, not absent.
//!
//! # What is changed
//! New content is written to a sibling (`.name.…`), gets its owner and permissions, passes `validate`, and is then renamed over
//! the old one: there is always the old file or the new one, whole. A file that somebody changed since it was read is left
//! alone. Owner, group and permissions that are not declared stay as they were; access lists (ACLs), capabilities and extended
//! attributes go over to the new file, as far as the host has tools that know them, unless a former owner had set them. Only the
//! bits of `mode` are declared: with an access list, those of the group are the list's mask.
//!
//! # Example
//! ```yaml
//! - file: /etc/motd
//!   content: "Managed by snowmelt.\n"
//! - file: /etc/sudoers.d/deploy
//!   template: sudoers.j2
//!   mode: "0440"
//!   validate: visudo -cf %s
//! - file: /etc/nginx/sites-enabled/default
//!   state: absent
//! ```
//! In a spec:
//! ```yaml
//! - file: /var/log/app.log
//!   size: {less_than: 100000000}
//!   content: {not: {matches: "(?m)^PANIC"}}
//! ```

use std::collections::HashMap;

use base64::Engine as _;

use crate::base::digest::Digest;
use crate::base::quote;
use crate::base::value::Value;
use crate::resource::accounts;
use crate::resource::batch::{self, Batch, Sections};
use crate::resource::paths::{self, FileType, Found, Meta, Paths};
use crate::resource::{
    Answer, Attribute, Content, Due, Example, Existence, FileWrite, Identity, Kind, Mistake, Need, Observed, Reading,
    Resource, Spoil, State, Step, Still, Table, Type, Want, Work,
};

const CONTENT: Attribute = Attribute::state(
    "content",
    Type::Content,
    "The whole content. In a spec also matchers: `contains`, `matches`, `not`, on the text of a file of up to 1 MiB.",
);
const TEMPLATE: Attribute =
    Attribute::act("template", Type::Template, "A template under `templates/` of the role, rendered: the content.");
const SOURCE: Attribute = Attribute::act(
    "source",
    Type::Source,
    "A file under `files/` of the role, byte for byte: the content. One that ends in `.age` is decrypted.",
);
const OWNER: Attribute = Attribute::state("owner", Type::Text, "The owner's name, or number. A new file is root's.");
const GROUP: Attribute = Attribute::state("group", Type::Text, "The group's name, or number. A new file is root's.");
const MODE: Attribute = Attribute::state("mode", Type::Mode, "Permissions, quoted: `\"0644\"`.");
const TYPE: Attribute = Attribute::check(
    "type",
    Type::Enum(FileType::WORDS),
    "What stands at the path. Asked for, anything that stands there counts as present; a link is not followed.",
);
const SIZE: Attribute = Attribute::check("size", Type::Int, "Bytes.");
const PARENTS: Attribute = Attribute::act(
    "parents",
    Type::Bool,
    "Whether missing parent directories are made (root:root 0755). Default: false.",
);
const VALIDATE: Attribute = Attribute::act(
    "validate",
    Type::Command,
    "A command that must succeed before new content goes live; `%s` stands for the new file, which lies beside its target.",
);

static TABLE: Table = Table {
    name: "file",
    summary: "a regular file: content, owner, group, permissions",
    source: include_str!("file.rs"),
    identity: Identity { name: "path", ty: Type::Path, doc: "The absolute path." },
    in_roles: true,
    in_specs: true,
    has_state: true,
    attributes: &[CONTENT, TEMPLATE, SOURCE, OWNER, GROUP, MODE, TYPE, SIZE, PARENTS, VALIDATE],
    examples: &[
        Example {
            yaml: "- file: /srv/snowmelt-examples/file/it's $(here).conf\n  content: \"one\\ntwo\\n\"\n  owner: root\n  \
                   group: www-data\n  mode: \"0640\"\n  parents: true\n  validate: grep -q one %s\n",
            spoils: &[
                Spoil {
                    address: "file:/srv/snowmelt-examples/file/it's $(here).conf#state",
                    spoil: "rm \"/srv/snowmelt-examples/file/it's \\$(here).conf\"",
                    oracle: "test -f \"/srv/snowmelt-examples/file/it's \\$(here).conf\"",
                },
                Spoil {
                    address: "file:/srv/snowmelt-examples/file/it's $(here).conf#content",
                    spoil: "echo three >>\"/srv/snowmelt-examples/file/it's \\$(here).conf\"",
                    oracle: "printf 'one\\ntwo\\n' | cmp -s - \"/srv/snowmelt-examples/file/it's \\$(here).conf\"",
                },
                Spoil {
                    address: "file:/srv/snowmelt-examples/file/it's $(here).conf#owner",
                    spoil: "chown daemon \"/srv/snowmelt-examples/file/it's \\$(here).conf\"",
                    oracle: "test \"$(stat -c %U \"/srv/snowmelt-examples/file/it's \\$(here).conf\")\" = root",
                },
                Spoil {
                    address: "file:/srv/snowmelt-examples/file/it's $(here).conf#group",
                    spoil: "chgrp root \"/srv/snowmelt-examples/file/it's \\$(here).conf\"",
                    oracle: "test \"$(stat -c %G \"/srv/snowmelt-examples/file/it's \\$(here).conf\")\" = www-data",
                },
                Spoil {
                    address: "file:/srv/snowmelt-examples/file/it's $(here).conf#mode",
                    spoil: "chmod 4755 \"/srv/snowmelt-examples/file/it's \\$(here).conf\"",
                    oracle: "test \"$(stat -c %a \"/srv/snowmelt-examples/file/it's \\$(here).conf\")\" = 640",
                },
            ],
        },
        Example {
            yaml: "- file: /srv/snowmelt-examples/file-gone\n  state: absent\n",
            spoils: &[Spoil {
                address: "file:/srv/snowmelt-examples/file-gone#state",
                spoil: "ln -s /etc/hostname /srv/snowmelt-examples/file-gone",
                oracle: "test ! -L /srv/snowmelt-examples/file-gone && test -f /etc/hostname",
            }],
        },
    ],
};

/// The kind `file`.
pub(super) struct File;

impl Kind for File {
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
        if resource.identity() == "/" {
            add(None, "`/` is a directory", "declare a `directory`");
        }
        if let Some(validate) = resource.text(&VALIDATE) {
            if !validate.contains("%s") {
                add(Some(&VALIDATE), "`validate` does not say where the new file is", "write `%s` in its place");
            }
            if resource.content().is_none() {
                add(Some(&VALIDATE), "there is no content to validate", "declare `content`, `template` or `source`");
            }
        }
        if resource.state == State::Absent {
            let written = TABLE.attributes.iter().find(|attribute| resource.want(attribute).is_some());
            if let Some(attribute) = written {
                add(Some(attribute), "a file that shall be absent has no attributes", "remove it, or `state: absent`");
            }
        }
        mistakes
    }

    fn path<'a>(&self, resource: &'a Resource) -> Option<&'a str> {
        Some(resource.identity())
    }

    fn has_content(&self) -> bool {
        true
    }

    fn fragment(&self, batch: &[&Resource]) -> String {
        let asked = Asked::of(batch);
        let mut script = String::new();
        if !asked.digests.is_empty() {
            script.push_str(READ_DIGESTS);
            script.push_str(&batch::call("read_digests", &asked.digests));
        }
        if !asked.texts.is_empty() {
            script.push_str(READ_TEXTS);
            script.push_str(&batch::call("read_texts", &asked.texts));
        }
        script
    }

    fn read(&self, batch: &[&Resource], answer: &Answer<'_>) -> Vec<Observed> {
        let asked = Asked::of(batch);
        let (paths, mut sections) = (answer.paths, Sections::of(answer.text));
        let digests = read_digests(&asked.digests, paths, &mut sections);
        let texts = read_texts(&asked.texts, &mut sections);
        let observe = |resource: &&Resource| {
            let path = resource.identity();
            let meta = match paths.at(path) {
                Found::Unknown(why) => return Observed::unknown(why.clone()),
                Found::Nothing => return Observed::absent(),
                Found::Is(meta) => meta,
            };
            let mut observed = Observed::present([
                (OWNER.name, paths::principal(resource, &OWNER, &meta.owner, &meta.uid)),
                (GROUP.name, paths::principal(resource, &GROUP, &meta.group, &meta.gid)),
                (MODE.name, Reading::Is(meta.mode.as_str().into())),
                (TYPE.name, Reading::Is(meta.file_type.word().into())),
                (SIZE.name, Reading::Is(meta.size.into())),
            ]);
            observed.existence = existence(resource, meta, paths.target(path));
            if let Some(want) = resource.want(&CONTENT) {
                let content = match want {
                    Want::Content(_) => digests.get(path),
                    _ => texts.get(path),
                };
                let reading = match content {
                    _ if meta.file_type != FileType::File => {
                        Reading::Unknown(format!("is {}, not a file", meta.file_type.phrase()))
                    }
                    Some(Ok(content)) => Reading::Is(content.as_str().into()),
                    Some(Err(why)) => Reading::Unknown(why.clone()),
                    None => Reading::Unknown("could not be read".to_owned()),
                };
                observed.readings.insert(CONTENT.name, reading);
            }
            observed
        };
        batch.iter().map(observe).collect()
    }

    fn steps(&self, due: &[Due<'_>]) -> Vec<Step> {
        let numbered = || due.iter().enumerate();
        let of = |state: State| -> Vec<usize> {
            numbered().filter(|(_, due)| due.resource.state == state).map(|(item, _)| item).collect()
        };
        let names = |items: &[usize]| items.iter().map(|item| due[*item].resource.identity()).collect::<Vec<_>>();
        let mut steps = Vec::new();
        let (present, absent) = (of(State::Present), of(State::Absent));
        if !present.is_empty() {
            let writes = present.iter().map(|item| write(*item, &due[*item])).collect();
            let title = format!("write {}", names(&present).join(", "));
            steps.push(Step { items: present, title, work: Work::Files(writes) });
        }
        if !absent.is_empty() {
            let names = names(&absent);
            let remove = |path: &&str| format!("take_away {}\n", quote::sh(path));
            let removals: String = names.iter().map(remove).collect();
            let work = Work::Shell(format!("{}{removals}", paths::look_at(&names)));
            steps.push(Step { title: format!("remove {}", names.join(", ")), items: absent, work });
        }
        steps
    }

    fn provides(&self, resource: &Resource, need: &Need) -> bool {
        let path = resource.identity();
        let Some((folder, name)) = path.rsplit_once('/').filter(|_| resource.state == State::Present) else {
            return false;
        };
        match need {
            Need::File(needed) => needed == path,
            Need::Tool(tool) => tool == name && (folder.ends_with("/bin") || folder.ends_with("/sbin")),
            Need::Unit(unit) => is_unit_folder(folder) && (unit == name || name.strip_suffix(".service") == Some(unit)),
            Need::Parent(needed) => {
                let is_above = format!("{folder}/").starts_with(&format!("{}/", needed.trim_end_matches('/')));
                is_above && resource.truth(&PARENTS) == Some(true)
            }
            Need::User(_) | Need::Group(_) => false,
        }
    }
}

/// Whether the init system looks for units here.
fn is_unit_folder(folder: &str) -> bool {
    folder.ends_with("/systemd/system") || folder == "/etc/init.d"
}

/// The paths of a batch, by what has to be read of them.
struct Asked<'a> {
    digests: Vec<&'a str>,
    texts: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    fn of(batch: &[&'a Resource]) -> Self {
        let wanting = |test: fn(&Want) -> bool| {
            let wants: Vec<&'a Resource> =
                batch.iter().copied().filter(|resource| resource.want(&CONTENT).is_some_and(test)).collect();
            batch::names(&wants)
        };
        let (digests, texts) =
            (wanting(|want| matches!(want, Want::Content(_))), wanting(|want| !matches!(want, Want::Content(_))));
        Self { digests, texts }
    }
}

/// Whether what stands there counts as the file.
fn existence(resource: &Resource, meta: &Meta, target: Option<&String>) -> Existence {
    match (meta.file_type, resource.state) {
        (FileType::File, _) => Existence::Present,
        _ if resource.want(&TYPE).is_some() => Existence::Present,
        (FileType::Directory, _) => Existence::Other(meta.file_type.phrase().to_owned()),
        (_, State::Absent) => Existence::Present,
        (other, _) => Existence::Other(other.pointing(target)),
    }
}

/// Only what is a regular file is read: a named pipe would wait for somebody to write into it. What is kept is noted by its
/// number, as `set` in the loop would copy all of them each time. The digests are collected before they are sent: `sha256sum`
/// writes line by line, and each write to the connection is a packet. So here the complaints come first.
const READ_DIGESTS: &str = "\
read_digests() {
  n=0 kept=
  for p; do n=$((n + 1)); if [ -f \"$p\" ] && [ ! -L \"$p\" ]; then kept=\"$kept \\\"\\${$n}\\\"\"; fi; done
  eval \"set -- $kept\"
  r=0 s=
  if [ $# != 0 ]; then { s=$(sha256sum -- \"$@\" 2>&3); r=$?; } 3>&1; fi
  printf '\\000%s\\000%s\\000' \"$r\" \"$s\"
}
";

/// Texts travel in base64, so that no content can end its piece of the answer early; the dot behind each says that it was
/// read to its end. What can be read is known before, as the status of `head` is lost in the pipe.
const READ_TEXTS: &str = "\
read_texts() {
  for p; do
    if [ -f \"$p\" ] && [ ! -L \"$p\" ]; then
      if [ -r \"$p\" ]; then { head -c 1048577 -- \"$p\" && echo .; } | base64; else printf '!'; fi
    fi
    printf '\\000'
  done
}
";

const TEXT_LIMIT: usize = 1024 * 1024;

type Contents<'a> = HashMap<&'a str, Result<String, String>>;

/// Reads the digests of those paths that are regular files.
fn read_digests<'a>(paths: &[&'a str], found: &Paths, answer: &mut Sections<'_>) -> Contents<'a> {
    let mut contents = Contents::new();
    for chunk in batch::chunks(paths) {
        let batch = match Batch::next(answer, "sha256sum") {
            Ok(batch) => batch,
            Err(why) => {
                contents.extend(chunk.iter().map(|path| (*path, Err(why.clone()))));
                continue;
            }
        };
        let digests: HashMap<String, String> = batch.answers.iter().filter_map(|line| parse_digest(line)).collect();
        let is_file = |path: &str| matches!(found.at(path), Found::Is(meta) if meta.file_type == FileType::File);
        let silent: Vec<&'a str> =
            chunk.iter().copied().filter(|path| is_file(path) && !digests.contains_key(*path)).collect();
        let reasons = batch.complaints(silent.len());
        contents.extend(silent.into_iter().zip(reasons.into_iter().map(Err)));
        contents.extend(chunk.iter().filter_map(|path| Some((*path, Ok(digests.get(*path)?.clone())))));
    }
    contents
}

/// A line of `sha256sum`: digest, two characters, name; with a backslash in front where backslashes in the name are doubled.
fn parse_digest(line: &str) -> Option<(String, String)> {
    let (line, is_escaped) = match line.strip_prefix('\\') {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let (hex, name) = (line.get(..64)?, line.get(66..)?);
    Digest::from_hex(hex)?;
    let name = if is_escaped { name.replace("\\\\", "\\") } else { name.to_owned() };
    Some((name, hex.to_owned()))
}

fn read_texts<'a>(paths: &[&'a str], answer: &mut Sections<'_>) -> Contents<'a> {
    let text = |piece: Option<&[u8]>| -> Option<Result<String, String>> {
        let piece = piece.filter(|piece| !piece.is_empty())?;
        if piece == b"!" {
            return Some(Err("permission denied".to_owned()));
        }
        let compact: Vec<u8> = piece.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let mut bytes = base64::engine::general_purpose::STANDARD.decode(compact).ok()?;
        if !bytes.ends_with(b".\n") {
            return None;
        }
        bytes.truncate(bytes.len() - 2);
        if bytes.len() > TEXT_LIMIT {
            return Some(Err("larger than 1 MiB".to_owned()));
        }
        Some(String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned()))
    };
    paths.iter().filter_map(|path| Some((*path, text(answer.piece())?))).collect()
}

/// What to write for a file that is due.
fn write(item: usize, due: &Due<'_>) -> FileWrite {
    let Due { resource, observed, .. } = due;
    let text = |attribute: &Attribute| resource.text(attribute).map(str::to_owned);
    let content = match resource.content() {
        Some(content) => (due.differs("state") || due.differs(CONTENT.name)).then(|| content.clone()),
        None => due.differs("state").then(|| Content::new(Vec::new(), resource.sensitive)),
    };
    // Of content that nobody declared there is nothing to protect, and nothing to overwrite either.
    let if_missing = resource.content().is_none();
    let still = match (&observed.existence, observed.reading(CONTENT.name)) {
        (Existence::Absent, _) if !if_missing => Still::Absent,
        (Existence::Present, Some(Reading::Is(Value::Text(hex)))) => {
            Digest::from_hex(hex).map_or(Still::Anything, Still::Digest)
        }
        _ => Still::Anything,
    };
    FileWrite {
        item,
        path: resource.identity().to_owned(),
        content,
        if_missing,
        owner: text(&OWNER),
        group: text(&GROUP),
        mode: text(&MODE),
        parents: resource.truth(&PARENTS) == Some(true),
        validate: text(&VALIDATE),
        still,
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use regex::Regex;

    use super::*;
    use crate::resource::Matcher;
    use crate::resource::testing::{absent, read_as_nobody, read_everywhere, resource, said, shell, steps, with_wants};

    fn declared(path: &str, content: &str) -> Resource {
        let content = Want::Content(Content::new(content.as_bytes(), false));
        with_wants(&File, path, IndexMap::from([("content", content)]))
    }

    fn matching(path: &str, pattern: &str) -> Resource {
        let matcher = Want::Matches(Matcher::Matches(Regex::new(pattern).unwrap()));
        with_wants(&File, path, IndexMap::from([("content", matcher)]))
    }

    fn messages(resource: &Resource) -> Vec<String> {
        File.mistakes(resource).into_iter().map(|mistake| mistake.message).collect()
    }

    #[test]
    fn every_shell_and_tool_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let names = ["plain", "it's", "a b", "$(id)", "-rf", "back\\slash", "ümlaut"];
        for name in names {
            std::fs::write(at(name), name).unwrap();
        }
        std::fs::write(at("binary"), b"\xff\0x").unwrap();
        std::fs::write(at("empty"), b"").unwrap();
        std::fs::write(at("large"), vec![b'x'; TEXT_LIMIT + 1]).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::os::unix::fs::symlink("plain", at("link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());

        let mut all: Vec<Resource> = names.iter().map(|name| declared(&at(name), "")).collect();
        for name in ["folder", "link", "fifo", "none/below"] {
            all.push(declared(&at(name), ""));
        }
        for name in ["plain", "binary", "empty", "large", "none", "fifo"] {
            all.push(matching(&at(name), "x"));
        }
        all.push(absent(resource(&File, &at("link"), &[])));
        all.push(resource(&File, &at("fifo"), &[("type", "fifo".into())]));
        let batch: Vec<&Resource> = all.iter().collect();
        for (name, observed) in read_everywhere(&batch) {
            let other = |what: &str| Existence::Other(what.to_owned());
            for (observed, content) in observed.iter().zip(names) {
                let digest = Digest::of(content).to_string();
                let seen = (&observed.existence, observed.reading("content"));
                assert_eq!(seen, (&Existence::Present, Some(&Reading::Is(digest.into()))), "{name} {content}");
            }
            assert_eq!(observed[7].existence, other("a directory"), "{name}");
            assert_eq!(observed[8].existence, other("a symbolic link to plain"), "{name}");
            assert_eq!(observed[9].existence, other("a named pipe"), "{name}");
            assert_eq!(observed[10], Observed::absent(), "{name}");
            let content = |index: usize| observed[index].reading("content").cloned();
            assert_eq!(content(11), Some(Reading::Is("plain".into())), "{name}");
            assert_eq!(content(12), Some(Reading::Unknown("not UTF-8 text".into())), "{name}");
            assert_eq!(content(13), Some(Reading::Is("".into())), "{name}");
            assert_eq!(content(14), Some(Reading::Unknown("larger than 1 MiB".into())), "{name}");
            assert_eq!(observed[15], Observed::absent(), "{name}");
            assert_eq!(observed[16].existence, other("a named pipe"), "{name}");
            assert_eq!(observed[17].existence, Existence::Present, "{name}");
            assert_eq!(observed[18].reading("type"), Some(&Reading::Is("fifo".into())), "{name}");
            assert_eq!(observed[18].existence, Existence::Present, "{name}");
        }
    }

    #[test]
    fn content_that_may_not_be_read_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for name in ["open", "closed", "more"] {
            std::fs::write(at(name), "x").unwrap();
        }
        let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(at("closed"), mode(0o000)).unwrap();
        std::fs::set_permissions(at("open"), mode(0o644)).unwrap();
        let all = [declared(&at("closed"), ""), declared(&at("open"), ""), matching(&at("closed"), "x")];
        let batch: Vec<&Resource> = all.iter().collect();
        for (name, observed) in read_as_nobody(folder.path(), &batch) {
            let denied = Some(&Reading::Unknown("permission denied".to_owned()));
            assert_eq!(observed[0].reading("content"), denied, "{name}");
            assert_eq!(
                observed[1].reading("content"),
                Some(&Reading::Is(Digest::of("x").to_string().into())),
                "{name}"
            );
            assert_eq!(observed[2].reading("content"), denied, "{name}");
        }
    }

    #[test]
    fn answers_that_are_none_leave_nothing_known() {
        let all = [declared("/etc/x", ""), matching("/etc/y", "x")];
        let batch: Vec<&Resource> = all.iter().collect();
        let looked = b"\x000\x000:0:81a4:3:/etc/x\n0:0:81a4:3:/etc/y\x000:root:0:root\x00";
        let paths = Paths::read(&["/etc/x", "/etc/y"], looked);
        for tail in [b"".as_slice(), b"sh: sha256sum: not found\x00127\x00\x00", b"abc\x000\x00\x00garbage\x00"] {
            let observed = File.read(&batch, &Answer { paths: &paths, ..said(tail) });
            for one in &observed {
                assert!(matches!(one.reading("content"), Some(Reading::Unknown(_))), "{tail:?} {one:?}");
            }
        }
        for one in File.read(&batch, &said(b"")) {
            assert!(matches!(one.existence, Existence::Unknown(_)));
        }
    }

    #[test]
    fn a_thousand_files_in_one_batch() {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<Resource> = (0..1_000)
            .map(|number| {
                let path = folder.path().join(number.to_string());
                std::fs::write(&path, number.to_string()).unwrap();
                declared(path.to_str().unwrap(), "")
            })
            .collect();
        let batch: Vec<&Resource> = all.iter().collect();
        for (name, observed) in read_everywhere(&batch) {
            for (number, one) in observed.iter().enumerate() {
                let digest = Digest::of(number.to_string()).to_string();
                assert_eq!(one.reading("content"), Some(&Reading::Is(digest.into())), "{name}");
            }
        }
    }

    #[test]
    fn writes_what_differs_and_guards_what_was_read() {
        let values: &[(&str, Value)] = &[("owner", "deploy".into()), ("mode", "0640".into())];
        let new = resource(&File, "/etc/x", values);
        let file = |resource: &Resource, observed: &Observed, differs: &[&'static str]| {
            let steps = File.steps(&[Due { resource, observed, differs }]);
            let Work::Files(writes) = &steps[0].work else { panic!("{steps:?}") };
            writes[0].clone()
        };
        let made = file(&new, &Observed::absent(), &["state"]);
        assert_eq!(made.content.as_ref().map(|content| content.bytes().len()), Some(0), "made empty");
        assert!(made.if_missing && made.still == Still::Anything, "what is there by then is only adjusted");
        let as_declared = (made.owner.as_deref(), made.group.as_deref(), made.mode.as_deref());
        assert_eq!(as_declared, (Some("deploy"), None, Some("0640")));
        let filled = file(&declared("/etc/x", "new"), &Observed::absent(), &["state"]);
        assert_eq!((filled.if_missing, filled.still), (false, Still::Absent));

        let there = declared("/etc/x", "new");
        let old = Digest::of("old");
        let observed = Observed::present([("content", Reading::Is(old.to_string().into()))]);
        let written = file(&there, &observed, &["content"]);
        assert_eq!((written.content.is_some(), written.still), (true, Still::Digest(old)));
        assert_eq!(file(&there, &observed, &["mode"]).content, None, "content is left alone");
    }

    #[test]
    fn removes_a_link_and_not_what_it_points_to() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("it's -rf");
        std::fs::write(folder.path().join("kept"), "x").unwrap();
        std::os::unix::fs::symlink("kept", &link).unwrap();
        let gone = absent(resource(&File, link.to_str().unwrap(), &[]));
        let script = shell(&steps(&gone, &Observed::present([])));
        let (ok, output) = crate::resource::testing::act(&["sh"], "/usr/bin:/bin", &script);
        assert!(ok && link.symlink_metadata().is_err() && folder.path().join("kept").exists(), "{output}");
    }

    #[test]
    fn mistakes_are_named() {
        let values = |name: &'static str, value: &str| [(name, Value::from(value))];
        let mut content = declared("/etc/x", "x");
        content.wants.insert("validate", Want::Exactly("true".into()));
        assert_eq!(messages(&content), ["`validate` does not say where the new file is"]);
        let bare = resource(&File, "/etc/x", &values("validate", "visudo -cf %s"));
        assert_eq!(messages(&bare), ["there is no content to validate"]);
        let gone = absent(resource(&File, "/etc/x", &values("owner", "root")));
        assert_eq!(messages(&gone), ["a file that shall be absent has no attributes"]);
        for name in ["", "root:root", "-R", "a\nb", " x"] {
            assert_eq!(messages(&resource(&File, "/etc/x", &values("owner", name))).len(), 1, "{name:?}");
        }
        assert_eq!(messages(&resource(&File, "/etc/x", &values("owner", "DOMAIN\\web admins"))), [""; 0]);
    }

    #[test]
    fn numbers_compare_with_numbers() {
        let paths = Paths::read(&["/x"], b"\x000\x0033:33:81a4:3:/x\x0033:www-data:33:www-data\x00");
        for (owner, found) in [("33", "33"), ("www-data", "www-data"), ("root", "www-data")] {
            let one = resource(&File, "/x", &[("owner", owner.into())]);
            let observed = File.read(&[&one], &Answer { paths: &paths, ..said(b"") });
            assert_eq!(observed[0].reading("owner"), Some(&Reading::Is(found.into())));
        }
    }

    #[test]
    fn provides_itself_a_program_a_unit_and_its_parents() {
        let provides =
            |path: &str, need: Need| File.provides(&resource(&File, path, &[("parents", true.into())]), &need);
        assert!(provides("/etc/x", Need::File("/etc/x".into())));
        assert!(provides("/usr/local/bin/tool", Need::Tool("tool".into())));
        assert!(!provides("/etc/tool", Need::Tool("tool".into())));
        assert!(provides("/etc/systemd/system/app.service", Need::Unit("app.service".into())));
        assert!(provides("/etc/systemd/system/app.service", Need::Unit("app".into())));
        assert!(provides("/srv/a/b/c", Need::Parent("/srv/a".into())));
        assert!(!provides("/srv/a/b/c", Need::Parent("/srv/a/bc".into())));
        assert!(!provides("/srv/ab/c", Need::Parent("/srv/a".into())));
    }
}
