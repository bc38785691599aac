//! How accounts are made, changed and removed, with the tools that the host has.

use super::{
    APPEND, COMMENT, GROUP, GROUPS, HOME, LOCKED, MOVE_HOME, PASSWORD, REMOVE_HOME, SHELL, SYSTEM, UID, makes_home,
    password,
};
use crate::base::quote;
use crate::base::value::Value;
use crate::resource::accounts::{EXISTS, KEEP};
use crate::resource::{Attribute, Due, Reading, State};

/// The shell of a step for these accounts.
pub(super) fn change(due: &[Due<'_>]) -> String {
    let shell: String = due.iter().map(bring_about).collect();
    format!("{KEEP}{EXISTS}{ACT}{shell}")
}

/// What the steps of this kind begin with: the tools of the host, under one name each. busybox has no tool that changes an
/// account, and makes no group of the same name for one of the system's own.
const ACT: &str = "\
make_user() {
  name=$1 uid=$2 group=$3 home=$4 shell=$5 comment=$6 system=$7 with_home=$8
  if [ -z \"$group\" ] && exists group \"$name\"; then group=$name; fi
  set --
  if [ -n \"$uid\" ]; then set -- \"$@\" -u \"$uid\"; fi
  if [ -n \"$shell\" ]; then set -- \"$@\" -s \"$shell\"; fi
  if have useradd; then
    if [ -n \"$group\" ]; then set -- \"$@\" -g \"$group\"; else set -- \"$@\" -U; fi
    if [ -n \"$home\" ]; then set -- \"$@\" -d \"$home\"; fi
    if [ -n \"$comment\" ]; then set -- \"$@\" -c \"$comment\"; fi
    if [ -n \"$with_home\" ]; then set -- \"$@\" -m; else set -- \"$@\" -M; fi
    useradd ${system:+-r} \"$@\" -- \"$name\"
  elif have adduser; then
    if [ -z \"$group\" ]; then addgroup ${system:+-S} \"$name\" && group=$name; fi
    if [ -n \"$home\" ]; then set -- \"$@\" -h \"$home\"; fi
    if [ -n \"$comment\" ]; then set -- \"$@\" -g \"$comment\"; fi
    if [ -z \"$with_home\" ]; then set -- \"$@\" -H; fi
    adduser -D ${system:+-S} \"$@\" -G \"$group\" \"$name\"
  else
    fail \"no program useradd or adduser\"
  fi
}
change_user() {
  have usermod || fail \"no program usermod: the package is called shadow or passwd\"
  usermod \"$@\"
}
set_groups() {
  name=$1 append=$2
  shift 2
  if have usermod; then
    usermod ${append:+-a} -G \"$(IFS=,; printf %s \"$*\")\" -- \"$name\"
    return
  fi
  for group; do addgroup \"$name\" \"$group\"; done
  if [ -n \"$append\" ]; then return 0; fi
  primary=$(id -gn \"$name\")
  for group in $(id -Gn \"$name\"); do
    case \" $primary $* \" in *\" $group \"*) ;; *) delgroup \"$name\" \"$group\" ;; esac
  done
}
set_password() {
  printf '%s:%s\\n' \"$1\" \"$2\" | chpasswd -e
}
lock() {
  if have usermod; then usermod -L -- \"$1\"; else passwd -l \"$1\"; fi
}
unlock() {
  if have usermod; then usermod -U -- \"$1\"; else passwd -u \"$1\"; fi
}
remove_user() {
  exists passwd \"$1\" || return 0
  if have userdel; then
    userdel ${2:+-r} -- \"$1\"
    return
  fi
  # Like userdel, and unlike busybox: a home directory that is not the user's own (/, /var/www) stays.
  while IFS=: read -r name secret uid gid comment home shell; do
    if [ -n \"$2\" ] && [ \"$name\" = \"$1\" ] && [ -d \"$home\" ] && [ \"$(stat -c %u -- \"$home\")\" != \"$uid\" ]; then
      fail \"the home directory $home does not belong to $1, and is not removed: leave out remove_home\"
    fi
  done </etc/passwd
  deluser ${2:+--remove-home} \"$1\"
}
";

fn bring_about(due: &Due<'_>) -> String {
    let resource = due.resource;
    let name = quote::sh(resource.identity());
    let flag = |is: bool| if is { "yes" } else { "''" };
    let is_true = |attribute: &Attribute| resource.truth(attribute) == Some(true);
    if resource.state == State::Absent {
        return format!("remove_user {name} {}\n", flag(is_true(&REMOVE_HOME)));
    }
    let is_new = due.differs("state");
    let differs = |attribute: &Attribute| resource.want(attribute).is_some() && (is_new || due.differs(attribute.name));
    let text = |attribute: &Attribute| quote::sh(resource.text(attribute).unwrap_or_default()).into_owned();
    let uid = resource.int(&UID).map(|uid| uid.to_string());
    let mut script = String::new();
    if differs(&LOCKED) && resource.truth(&LOCKED) == Some(false) && password(resource).is_none() {
        let has_none = match due.observed.reading(PASSWORD.name) {
            Some(Reading::Is(Value::Text(hash))) => hash.is_empty() || hash == "*",
            _ => is_new,
        };
        if has_none {
            let why = format!("{} has no password that could be unlocked: declare `password`", resource.identity());
            return format!("fail {}\n", quote::sh(&why));
        }
    }
    let mut options = String::new();
    if let (true, Some(uid)) = (differs(&UID), &uid) {
        options.push_str(&format!(" -u {uid}"));
    }
    for (attribute, option) in [(&GROUP, "-g"), (&HOME, "-d"), (&SHELL, "-s"), (&COMMENT, "-c")] {
        if differs(attribute) {
            options.push_str(&format!(" {option} {}", text(attribute)));
        }
    }
    if differs(&HOME) && is_true(&MOVE_HOME) {
        options.push_str(" -m");
    }
    let change = if options.is_empty() { ":".to_owned() } else { format!("change_user{options} -- {name}") };
    if is_new {
        let uid = uid.as_deref().unwrap_or("''");
        let (group, home, shell, comment) = (text(&GROUP), text(&HOME), text(&SHELL), text(&COMMENT));
        let (system, with_home) = (flag(is_true(&SYSTEM)), flag(makes_home(resource)));
        let make = format!("make_user {name} {uid} {group} {home} {shell} {comment} {system} {with_home}");
        script.push_str(&format!("if exists passwd {name}; then {change}; else {make}; fi\n"));
    } else {
        script.push_str(&format!("{change}\n"));
    }
    if differs(&GROUPS) {
        let groups = quote::words(resource.texts(&GROUPS).unwrap_or_default());
        script.push_str(&format!("set_groups {name} {} {groups}\n", flag(is_true(&APPEND))));
    }
    let was_locked = due.observed.reading(LOCKED.name) == Some(&Reading::Is(true.into()));
    let is_locked = resource.truth(&LOCKED).unwrap_or(was_locked && !is_new);
    match password(resource).filter(|_| differs(&PASSWORD)) {
        // A lock that nobody declared stays.
        Some(hash) => {
            let lock = if is_locked { "!" } else { "" };
            script.push_str(&format!("set_password {name} {}\n", quote::always(&format!("{lock}{hash}"))));
        }
        None if differs(&LOCKED) => script.push_str(&format!("{} {name}\n", if is_locked { "lock" } else { "unlock" })),
        None => {}
    }
    script
}
