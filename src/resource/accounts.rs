//! Names of users and groups, and how many of them are looked up at once: shared by the kinds that are about accounts or owners.
//!
//! It knows the databases (`passwd`, `group`, `shadow`) as lines of fields, and not what any field means.

use std::collections::HashMap;

use super::batch::{self, Sections};
use super::{Attribute, Due, Mistake, Resource, State};
use crate::base::clean;

/// A database of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Users.
    Passwd,
    /// Groups.
    Group,
    /// Passwords; only root may read it.
    Shadow,
}

impl Database {
    fn name(self) -> &'static str {
        match self {
            Self::Passwd => "passwd",
            Self::Group => "group",
            Self::Shadow => "shadow",
        }
    }
}

/// What was found under a name: its fields, nothing, or why that could not be told.
pub type Entry = Result<Option<Vec<String>>, String>;

/// Shell of a step that changes accounts, to begin with: what the tools will write is kept aside, where that is asked for.
pub const KEEP: &str = "\
(cd /etc && for file in passwd shadow group gshadow subuid subgid; do keep \"/etc/$file\"; done)
";

/// Shell that defines what [`look_up`] calls. `getent` asks directories (LDAP, sssd) too; where it is missing there are none, and
/// the file is all there is. Status 13: the file may not be read, which `getent` would report as a name that is not there.
pub const LOOK_UP: &str = "\
look_up() {
  d=$1
  shift
  if [ ! -r \"/etc/$d\" ]; then
    r=13 o=
  elif command -v getent >/dev/null 2>&1; then
    o=$(getent \"$d\" \"$@\")
    r=$?
  else
    r=0 o= all=:
    for n; do all=$all$n:; done
    while IFS= read -r l || [ -n \"$l\" ]; do
      case $all in *\":${l%%:*}:\"*) o=\"$o$l
\" ;; esac
    done <\"/etc/$d\"
  fi
  printf '%s\\000%s\\000' \"$o\" \"$r\"
}
";

/// Shell for a step: `exists DATABASE NAME`. What an earlier step of the same act has made or removed (a package brings its
/// user, a user takes its group along) is found there as it is.
pub const EXISTS: &str = "\
exists() {
  if have getent; then getent \"$1\" \"$2\" >/dev/null; else cut -d: -f1 \"/etc/$1\" | grep -qFx -e \"$2\"; fi
}
";

/// Shell that looks these names up, for [`read()`]; behind [`LOOK_UP`].
pub fn look_up(database: Database, names: &[&str]) -> String {
    batch::call(&format!("look_up {}", database.name()), names)
}

/// Reads the answer to [`look_up`] for the same names.
pub fn read<'a>(database: Database, names: &[&'a str], answer: &mut Sections<'_>) -> HashMap<&'a str, Entry> {
    let mut entries = HashMap::with_capacity(names.len());
    for chunk in batch::chunks(names) {
        let (lines, status) = (answer.piece(), answer.piece());
        let text = clean::utf8(lines.unwrap_or_default());
        let mut found: HashMap<&str, Vec<String>> = HashMap::new();
        for line in text.lines() {
            let fields: Vec<String> = line.split(':').map(str::to_owned).collect();
            // The first entry of a name is the one that counts. `getent` also takes a number for a name: that is not asked for.
            if let Some((name, _)) = line.split_once(':') {
                found.entry(name).or_insert(fields);
            }
        }
        let missing = match status {
            // 2: some name was not found.
            Some(b"0" | b"2") => Ok(None),
            Some(b"13") => Err(format!("/etc/{} may not be read", database.name())),
            Some(b"126" | b"127") => Err("`getent` cannot be run".to_owned()),
            _ => Err(format!("the {} database could not be read", database.name())),
        };
        for name in chunk {
            let entry = found.remove(name).map_or_else(|| missing.clone(), |fields| Ok(Some(fields)));
            entries.insert(*name, entry);
        }
    }
    entries
}

/// What a step does about these accounts, for people: `make app, web; remove intern`.
pub fn title(due: &[Due<'_>]) -> String {
    let verb = |due: &Due<'_>| match due.resource.state {
        State::Absent => "remove",
        State::Present if due.differs("state") => "make",
        State::Present => "change",
    };
    let about = |wanted: &str| {
        let names: Vec<&str> =
            due.iter().filter(|due| verb(due) == wanted).map(|due| due.resource.identity()).collect();
        (!names.is_empty()).then(|| format!("{wanted} {}", names.join(", ")))
    };
    ["make", "change", "remove"].into_iter().filter_map(about).collect::<Vec<_>>().join("; ")
}

/// What is wrong with the name of a user or group that was written; the host would take some of them for something else.
pub fn account_mistake(resource: &Resource, attribute: &Attribute) -> Option<Mistake> {
    let written = resource.text(attribute).map(|name| vec![name]).or_else(|| resource.texts(attribute))?;
    let strange = written.into_iter().find(|name| !is_account_name(name))?;
    Some(Mistake {
        attribute: Some(attribute.name),
        message: format!("`{strange}` is no name of a user or group"),
        hint: Some("write a name or a number; owner and group are two attributes".to_owned()),
    })
}

/// Whether this can be the name (or number) of a user or group: it ends no field of the account databases, and no tool takes
/// it for an option.
pub fn is_account_name(name: &str) -> bool {
    let is_strange = |c: char| c.is_control() || ":,/".contains(c);
    !name.is_empty() && !name.starts_with('-') && name.trim() == name && !name.contains(is_strange)
}

/// Whether an account can be made under this name: also no number, which every tool would take for one, and no space.
pub fn is_new_account_name(name: &str) -> bool {
    is_account_name(name) && !name.contains(char::is_whitespace) && !name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing::{as_nobody, everywhere};

    #[test]
    fn real_databases_read_the_same_everywhere() {
        let names = ["root", "daemon", "no-such-user", "$(id)", "0"];
        let script = format!("{LOOK_UP}{}{}", look_up(Database::Passwd, &names), look_up(Database::Group, &names));
        for (shell, answer) in everywhere(&script) {
            let mut answer = Sections::of(&answer);
            for database in [Database::Passwd, Database::Group] {
                let found = read(database, &names, &mut answer);
                let id = |name: &str| found[name].clone().map(|fields| fields.map(|fields| fields[2].clone()));
                assert_eq!(id("root"), Ok(Some("0".into())), "{shell}");
                assert_eq!(id("daemon"), Ok(Some("1".into())), "{shell}");
                for missing in ["no-such-user", "$(id)", "0"] {
                    assert_eq!(id(missing), Ok(None), "{shell}");
                }
            }
        }
    }

    #[test]
    fn passwords_that_may_not_be_read_are_not_missing() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("{LOOK_UP}{}", look_up(Database::Shadow, &["root"]));
        for (shell, answer) in as_nobody(folder.path(), &script) {
            let found = read(Database::Shadow, &["root"], &mut Sections::of(&answer));
            assert_eq!(found["root"], Err("/etc/shadow may not be read".into()), "{shell}");
        }
    }

    #[test]
    fn captured_answers() {
        let entry = |answer: &[u8]| read(Database::Passwd, &["app"], &mut Sections::of(answer))["app"].clone();
        let found = entry(b"app:x:1:2:A, B:/srv/app:/bin/sh\napp:x:9:9::/:/x\n\x000\x00").unwrap().unwrap();
        assert_eq!((&*found[2], &*found[4], found.len()), ("1", "A, B", 7));
        assert_eq!(entry(b"other:x:1:2:::\n\x002\x00"), Ok(None));
        for broken in [b"".as_slice(), b"app:x:1", b"\x003\x00", b"\x00127\x00"] {
            assert!(entry(broken).is_err(), "{broken:?}");
        }
    }
}
