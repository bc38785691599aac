//! How accounts are read: `getent` for all of them at once, by database.

use std::collections::HashMap;

use super::{APPEND, COMMENT, GROUP, GROUPS, HOME, LOCKED, PASSWORD, SHELL, UID};
use crate::base::clean;
use crate::resource::accounts::{self, Database, Entry, LOOK_UP};
use crate::resource::batch::{self, Sections};
use crate::resource::{Attribute, Observed, Reading, Resource};

/// The shell that reads these accounts.
pub(super) fn fragment(batch: &[&Resource]) -> String {
    let asked = Asked::of(batch);
    let mut script = format!("{LOOK_UP}{}", accounts::look_up(Database::Passwd, &asked.all));
    if !asked.shadow.is_empty() {
        script.push_str(&accounts::look_up(Database::Shadow, &asked.shadow));
    }
    if !asked.groups.is_empty() {
        script.push_str(READ_GROUPS);
        script.push_str(&batch::call("read_groups", &asked.groups));
    }
    script
}

/// Reads the answer of [`fragment`].
pub(super) fn read(batch: &[&Resource], answer: &[u8]) -> Vec<Observed> {
    let asked = Asked::of(batch);
    let mut answer = Sections::of(answer);
    let found = accounts::read(Database::Passwd, &asked.all, &mut answer);
    let shadow = accounts::read(Database::Shadow, &asked.shadow, &mut answer);
    let groups = read_groups(&asked.groups, &mut answer);
    let observe = |resource: &&Resource| {
        let name = resource.identity();
        let fields = match &found[name] {
            Err(why) => return Observed::unknown(why.clone()),
            Ok(None) => return Observed::absent(),
            Ok(Some(fields)) => fields,
        };
        let unread = || Reading::Unknown("its entry is not readable".to_owned());
        let field = |index: usize| fields.get(index).map_or_else(unread, |text| Reading::Is(text.as_str().into()));
        let uid = fields.get(2).and_then(|uid| uid.parse::<i64>().ok());
        let mut observed = Observed::present([
            (UID.name, uid.map_or_else(unread, |uid| Reading::Is(uid.into()))),
            (COMMENT.name, field(4)),
            (HOME.name, field(5)),
            (SHELL.name, field(6)),
        ]);
        if let Some(groups) = groups.get(name) {
            observed.readings.extend(memberships(resource, groups));
        }
        if let Some(entry) = shadow.get(name) {
            observed.readings.extend(passwords(entry));
        }
        observed
    };
    batch.iter().map(observe).collect()
}

/// The names of a batch, by what has to be read of them.
struct Asked<'a> {
    all: Vec<&'a str>,
    shadow: Vec<&'a str>,
    groups: Vec<&'a str>,
}

impl<'a> Asked<'a> {
    fn of(batch: &[&'a Resource]) -> Self {
        let wanting = |attributes: [&Attribute; 2]| {
            let wants = |resource: &&'a Resource| attributes.iter().any(|attribute| resource.want(attribute).is_some());
            batch::names(&batch.iter().copied().filter(wants).collect::<Vec<_>>())
        };
        Self { all: batch::names(batch), shadow: wanting([&PASSWORD, &LOCKED]), groups: wanting([&GROUP, &GROUPS]) }
    }
}

/// glibc's `getent` tells the numbers of the groups of all users at once, directories that cannot be listed included. Elsewhere
/// `id` is asked for each: one list per user, the primary group first. A name of a group may hold a space: where `id` can, it
/// ends each with a NUL.
const READ_GROUPS: &str = "\
read_groups() {
  if m=$(getent initgroups \"$@\") && p=$(getent passwd \"$@\" | cut -d: -f1,4); then
    n=$(printf '%s\\n' \"$m\" \"$p\" | tr ' :' '\\n\\n' | grep '^[0-9][0-9]*$' | sort -u)
    printf 'numbers\\000%s\\000%s\\000' \"$m\" \"$p\"
    if [ -n \"$n\" ]; then getent group $n; fi
    printf '\\000'
    return 0
  fi
  printf 'names\\000'
  case $(id --help 2>&1) in *--zero*) z=z ;; *) z= ;; esac
  for u; do
    if [ -n \"$z\" ]; then
      id -Gnz -- \"$u\"
    else
      for g in $(id -Gn \"$u\"); do printf '%s\\000' \"$g\"; done
    fi
    printf '\\000'
  done
}
";

/// The groups of each of these users, the primary one first; none of a user of whom they could not be read.
fn read_groups<'a>(names: &[&'a str], answer: &mut Sections<'_>) -> HashMap<&'a str, Vec<String>> {
    let mut groups: HashMap<&str, Vec<String>> = names.iter().map(|name| (*name, Vec::new())).collect();
    for chunk in batch::chunks(names) {
        match answer.piece() {
            Some(b"numbers") => {
                let (Some(additional), Some(primary), Some(named)) = (answer.piece(), answer.piece(), answer.piece())
                else {
                    break;
                };
                groups.extend(by_number(chunk, &clean::utf8(additional), &clean::utf8(primary), &clean::utf8(named)));
            }
            Some(b"names") => {
                for name in chunk {
                    let list = answer.list().into_iter().map(|group| clean::utf8(group).into_owned());
                    groups.insert(name, list.collect());
                }
            }
            _ => break,
        }
    }
    groups
}

/// The groups of these users, from lines `user number…` of the additional ones, `user:number` of the primary one, and the entries
/// of all of them. A group without a name goes by its number.
fn by_number<'a>(users: &[&'a str], additional: &str, primary: &str, named: &str) -> HashMap<&'a str, Vec<String>> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    for line in named.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) {
            names.entry(number).or_insert(name);
        }
    }
    let words = |line| str::split_once(line, ' ').unwrap_or((line, ""));
    let additional: HashMap<&str, &str> = additional.lines().map(words).collect();
    let primary: HashMap<&str, &str> = primary.lines().filter_map(|line| line.split_once(':')).collect();
    let groups = |user: &&'a str| {
        let (first, others) = (*primary.get(user)?, additional.get(user)?.split_whitespace());
        let all = std::iter::once(first).chain(others.filter(|number| *number != first));
        Some((*user, all.map(|number| (*names.get(number).unwrap_or(&number)).to_owned()).collect()))
    };
    users.iter().filter_map(groups).collect()
}

fn memberships(resource: &Resource, groups: &[String]) -> [(&'static str, Reading); 2] {
    let Some((primary, _)) = groups.split_first() else {
        let unread = Reading::Unknown("its groups could not be read".to_owned());
        return [(GROUP.name, unread.clone()), (GROUPS.name, unread)];
    };
    let wanted = resource.texts(&GROUPS).unwrap_or_default();
    let is_append = resource.truth(&APPEND) == Some(true);
    // The primary group counts as additional only where it is asked for as such.
    let counts = |group: &&String| {
        let is_wanted = wanted.contains(&group.as_str());
        is_wanted || (!is_append && *group != primary)
    };
    let additional = groups.iter().filter(counts).map(String::as_str).collect();
    [(GROUP.name, Reading::Is(primary.as_str().into())), (GROUPS.name, Reading::Is(additional))]
}

fn passwords(entry: &Entry) -> [(&'static str, Reading); 2] {
    let both = |reading: Reading| [(PASSWORD.name, reading.clone()), (LOCKED.name, reading)];
    match entry {
        Err(why) => both(Reading::Unknown(why.clone())),
        Ok(None) => both(Reading::Absent),
        Ok(Some(fields)) => match fields.get(1) {
            None => both(Reading::Unknown("its entry is not readable".to_owned())),
            Some(field) => {
                let locked = field.starts_with(['!', '*']);
                [
                    (PASSWORD.name, Reading::Is(field.trim_start_matches('!').into())),
                    (LOCKED.name, Reading::Is(locked.into())),
                ]
            }
        },
    }
}
