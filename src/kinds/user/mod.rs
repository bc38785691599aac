//! A user account.
//!
//! # What it declares
//! A user that shall exist, with the attributes that are written; all others are left as they are. A new user without `group`
//! gets a group of the same name. `groups` is the whole list of additional groups, unless `append: true` makes it "at
//! least these". Groups must exist: declare them before.
//!
//! `password` is a hash as `mkpasswd` or `openssl passwd -6` make it, and must be a secret. `locked` is separate from it: a locked
//! account keeps its hash behind a `!`. It says nothing of keys, nor of the day on which an account expires.
//!
//! # What is read
//! All users in one question to `getent`, which asks directories such as LDAP too; `/etc/passwd` where there is no `getent`. One
//! more question for the groups of those whose groups are declared, or `id` for each where `getent` cannot tell. `/etc/shadow` only for those whose `password` or `locked` is declared.
//!
//! # What is changed
//! `useradd`, `usermod` and `userdel`, or on systems that have only busybox `adduser`, `addgroup` and `deluser`; there an account that exists can
//! get groups, a password and a lock, and for the rest the step says which package is missing. A hash never stands in an argument
//! that other users could see. The home directory is made with a new user (`manage_home`), moved with `move_home: true`, and removed only with
//! `remove_home: true`.
//!
//! # Example
//! ```yaml
//! - group: app
//! - user: app
//!   group: app
//!   groups: [adm]
//!   append: true
//!   home: /srv/app
//!   shell: /usr/sbin/nologin
//!   system: true
//! - user: intern
//!   state: absent
//!   remove_home: true
//! ```

mod acting;
mod reading;

use crate::base::value::Value;
use crate::resource::accounts;
use crate::resource::{
    Answer, Attribute, Compare, Due, Example, Identity, Kind, Mistake, Need, Observed, Resource, Spoil, State, Step,
    Table, TakenBack, Type, Want, Work,
};

const UID: Attribute = Attribute::state("uid", Type::Int, "The user's number.");
const GROUP: Attribute = Attribute::state("group", Type::Text, "The primary group, by name.");
const GROUPS: Attribute = Attribute::state("groups", Type::List(&Type::Text), "The additional groups, in any order.")
    .compared(Compare::SameItems);
const APPEND: Attribute =
    Attribute::setting("append", Type::Bool, "Whether further additional groups are all right. Default: false.");
const HOME: Attribute = Attribute::state("home", Type::Path, "The home directory.");
const SHELL: Attribute = Attribute::state("shell", Type::Path, "The login shell.");
const COMMENT: Attribute = Attribute::state("comment", Type::Text, "The full name, or what the account is for.");
const PASSWORD: Attribute = Attribute::state(
    "password",
    Type::Text,
    "The hash of the password, a secret. `*`: none fits. Needs root to be read.",
)
.secret();
const LOCKED: Attribute = Attribute::state(
    "locked",
    Type::Bool,
    "Whether no password fits (`usermod -L`). Keys still do. Needs root to be read.",
);
const SYSTEM: Attribute = Attribute::act(
    "system",
    Type::Bool,
    "Whether a new user gets a number from the range for the system's own, and no home directory. Default: false.",
);
const MANAGE_HOME: Attribute = Attribute::act(
    "manage_home",
    Type::Bool,
    "Whether the home directory is made with a new user. Default: true, but false for one of the system's own.",
);
const MOVE_HOME: Attribute =
    Attribute::act("move_home", Type::Bool, "Whether files move along when `home` changes. Default: false.");
const REMOVE_HOME: Attribute = Attribute::act(
    "remove_home",
    Type::Bool,
    "With `state: absent`: whether home directory and mail go too. Default: false.",
);

static TABLE: Table = Table {
    name: "user",
    summary: "a user account",
    source: include_str!("mod.rs"),
    identity: Identity { name: "name", ty: Type::Text, doc: "The login name." },
    in_roles: true,
    in_specs: true,
    has_state: true,
    attributes: &[
        UID,
        GROUP,
        GROUPS,
        APPEND,
        HOME,
        SHELL,
        COMMENT,
        PASSWORD,
        LOCKED,
        SYSTEM,
        MANAGE_HOME,
        MOVE_HOME,
        REMOVE_HOME,
    ],
    examples: &[
        Example {
            yaml: "- user: ex-worker\n  uid: 4221\n  group: daemon\n  groups: [adm, games]\n  home: /srv/ex worker\n  \
                   shell: /bin/sh\n  comment: \"It's $(id), really\"\n  password: \"$6$salt$hash\"\n  locked: true\n  \
                   sensitive: true\n",
            spoils: &[
                Spoil {
                    address: "user:ex-worker#state",
                    spoil: "userdel -r ex-worker",
                    oracle: "getent passwd ex-worker >/dev/null",
                },
                Spoil {
                    address: "user:ex-worker#uid",
                    spoil: "usermod -u 4222 ex-worker",
                    oracle: "test \"$(id -u ex-worker)\" = 4221",
                },
                Spoil {
                    address: "user:ex-worker#group",
                    spoil: "usermod -g mail ex-worker",
                    oracle: "test \"$(id -gn ex-worker)\" = daemon",
                },
                Spoil {
                    address: "user:ex-worker#groups",
                    spoil: "usermod -G adm,mail ex-worker",
                    oracle: "test \"$(id -Gn ex-worker | tr ' ' '\\n' | sort | tr '\\n' ' ')\" = 'adm daemon games '",
                },
                Spoil {
                    address: "user:ex-worker#home",
                    spoil: "usermod -d /nonexistent ex-worker",
                    oracle: "test \"$(getent passwd ex-worker | cut -d: -f6)\" = '/srv/ex worker'",
                },
                Spoil {
                    address: "user:ex-worker#shell",
                    spoil: "usermod -s /bin/false ex-worker",
                    oracle: "test \"$(getent passwd ex-worker | cut -d: -f7)\" = /bin/sh",
                },
                Spoil {
                    address: "user:ex-worker#comment",
                    spoil: "usermod -c somebody ex-worker",
                    oracle: "test \"$(getent passwd ex-worker | cut -d: -f5)\" = \"It's \\$(id), really\"",
                },
                Spoil {
                    address: "user:ex-worker#password",
                    spoil: "usermod -p '!$6$other$hash' ex-worker",
                    oracle: "test \"$(getent shadow ex-worker | cut -d: -f2)\" = '!$6$salt$hash'",
                },
                Spoil {
                    address: "user:ex-worker#locked",
                    spoil: "usermod -U ex-worker",
                    oracle: "passwd -S ex-worker | grep -q '^ex-worker L'",
                },
            ],
        },
        Example {
            yaml: "- user: ex-leaver\n  state: absent\n  remove_home: true\n",
            spoils: &[Spoil {
                address: "user:ex-leaver#state",
                spoil: "useradd -m ex-leaver",
                oracle: "! getent passwd ex-leaver >/dev/null && test ! -e /home/ex-leaver",
            }],
        },
    ],
};

/// The kind `user`.
pub(super) struct User;

impl Kind for User {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mut mistakes: Vec<Mistake> =
            [&GROUP, &GROUPS].iter().filter_map(|attribute| accounts::account_mistake(resource, attribute)).collect();
        let mut add = |attribute: Option<&Attribute>, message: &str, hint: &str| {
            let attribute = attribute.map(|attribute| attribute.name);
            mistakes.push(Mistake { attribute, message: message.to_owned(), hint: Some(hint.to_owned()) });
        };
        let name = resource.identity();
        if !accounts::is_new_account_name(name) {
            let hint = "no space, no `:`, `,` or `/`, no `-` in front, no number";
            add(None, &format!("`{name}` is no name of a user"), hint);
        }
        if resource.int(&UID).is_some_and(|uid| u32::try_from(uid).is_err()) {
            add(Some(&UID), "there is no such number", "write one from 0 to 4294967295");
        }
        for attribute in [&HOME, &SHELL, &COMMENT] {
            if resource.text(attribute).is_some_and(|text| text.contains([':', '\n'])) {
                add(Some(attribute), "a colon or a line end would end its field in /etc/passwd", "write it without");
            }
        }
        if let Some(want) = resource.want(&PASSWORD) {
            if !resource.hides(PASSWORD.name) {
                let hint = "write `{secret: scope/name}`, or `sensitive: true` on the user";
                add(Some(&PASSWORD), "the hash of a password must not be shown", hint);
            }
            let hash = password(resource).unwrap_or_default();
            if hash.starts_with('!') {
                add(
                    Some(&PASSWORD),
                    "a `!` in front of a hash locks the account",
                    "write `locked: true`, and the hash without it",
                );
            }
            if !hash.starts_with('!') && matches!(want, Want::Exactly(_)) && !is_hash(hash) {
                let hint = "make one with `mkpasswd` or `openssl passwd -6`: one line that begins with `$`";
                add(Some(&PASSWORD), "this is no hash of a password", hint);
            }
            if hash == "*" && resource.truth(&LOCKED) == Some(false) {
                add(Some(&LOCKED), "no password fits `*`, which is what locked means", "remove it");
            }
        }
        if resource.truth(&APPEND) == Some(true) && resource.want(&GROUPS).is_none() {
            add(Some(&APPEND), "`append` says how `groups` are meant", "write `groups: […]`");
        }
        if resource.truth(&MOVE_HOME) == Some(true) && resource.want(&HOME).is_none() {
            add(Some(&MOVE_HOME), "where shall the home directory move?", "write `home: /path`");
        }
        let is_absent = resource.state == State::Absent;
        let is_odd = |attribute: &&Attribute| {
            resource.want(attribute).is_some() && is_absent != (attribute.name == REMOVE_HOME.name)
        };
        if let Some(attribute) = TABLE.attributes.iter().filter(|_| is_absent).find(is_odd) {
            add(Some(attribute), "a user that shall be absent has no attributes", "remove it, or `state: absent`");
        }
        if is_absent && name == "root" && !resource.is_check {
            add(None, "`root` cannot be removed", "name the user that shall go, or lock root: `locked: true`");
        }
        if !is_absent && resource.want(&REMOVE_HOME).is_some() {
            add(Some(&REMOVE_HOME), "nothing is removed here", "it goes with `state: absent`");
        }
        mistakes
    }

    fn fragment(&self, batch: &[&Resource]) -> String {
        reading::fragment(batch)
    }

    fn read(&self, batch: &[&Resource], answer: &Answer<'_>) -> Vec<Observed> {
        reading::read(batch, answer.text)
    }

    fn steps(&self, due: &[Due<'_>]) -> Vec<Step> {
        let title = accounts::title(due);
        vec![Step { items: (0..due.len()).collect(), title, work: Work::Shell(acting::change(due)) }]
    }

    fn may_lock_out(&self, resource: &Resource, user: &str) -> bool {
        [user, "root"].contains(&resource.identity())
    }

    fn taken_back(&self, _due: &Due<'_>) -> TakenBack {
        TakenBack::Kept
    }

    fn provides(&self, resource: &Resource, need: &Need) -> bool {
        let name = resource.identity();
        resource.state == State::Present
            && match need {
                Need::User(user) => user == name,
                Need::Group(group) => group == name && resource.want(&GROUP).is_none(),
                Need::Parent(path) => makes_home(resource) && is_in_home(resource, path),
                Need::Tool(_) | Need::Unit(_) | Need::File(_) => false,
            }
    }
}

/// The declared hash.
fn password(resource: &Resource) -> Option<&str> {
    match resource.value(&PASSWORD)? {
        Value::Secret(secret) => Some(secret.expose()),
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Whether the path is the home directory or lies in it, where /etc/skel may put directories. Without `home`, a guess at what the
/// host's own defaults are.
fn is_in_home(resource: &Resource, path: &str) -> bool {
    let usual = format!("/home/{}", resource.identity());
    let below = path.strip_prefix(resource.text(&HOME).unwrap_or(&usual));
    below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

/// Whether it looks like what crypt(3) makes, `$id$salt$hash`, or says that no password fits. What is no hash would stand in
/// /etc/shadow as it is: a password in the clear, with which nobody can log in.
fn is_hash(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_graphic() && !":!*;\\".contains(c);
    text == "*" || (text.starts_with('$') && text.matches('$').count() >= 3 && text.chars().all(fits))
}

fn makes_home(resource: &Resource) -> bool {
    resource.truth(&MANAGE_HOME).unwrap_or(resource.truth(&SYSTEM) != Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::resource::testing::{absent, read_as_nobody, read_everywhere, resource, said, shell, steps, with_stubs};
    use crate::resource::{Existence, Reading};

    fn list(items: &[&str]) -> Value {
        items.iter().copied().collect()
    }

    fn hash() -> Value {
        Value::Secret(Secret::new("app/hash", "$6$it's$x".to_owned()))
    }

    #[test]
    fn real_users_read_the_same_everywhere() {
        let all = [
            resource(&User, "root", &[("groups", list(&[])), ("locked", true.into())]),
            resource(&User, "daemon", &[("group", "daemon".into())]),
            resource(&User, "no-such-user", &[("groups", list(&["adm"])), ("locked", true.into())]),
        ];
        let batch: Vec<&Resource> = all.iter().collect();
        let mut first: Option<Vec<Observed>> = None;
        for (name, observed) in read_everywhere(&batch) {
            assert_eq!(observed[0].reading("uid"), Some(&Reading::Is(0.into())), "{name}");
            assert_eq!(observed[0].reading("home"), Some(&Reading::Is("/root".into())), "{name}");
            assert_eq!(observed[0].reading("group"), Some(&Reading::Is("root".into())), "{name}");
            assert_eq!(observed[1].reading("group"), Some(&Reading::Is("daemon".into())), "{name}");
            assert_eq!(observed[2], Observed::absent(), "{name}");
            let wide = std::process::Command::new("id").args(["-Gn", "root"]).output().unwrap().stdout;
            let wide = String::from_utf8(wide).unwrap();
            let additional: Vec<&str> = wide.split_whitespace().skip(1).collect();
            assert_eq!(observed[0].reading("groups"), Some(&Reading::Is(list(&additional))), "{name}");
            assert_eq!(first.get_or_insert_with(|| observed.clone()), &observed, "{name}");
        }
    }

    #[test]
    fn without_root_passwords_are_unknown_and_the_rest_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let one = resource(&User, "root", &[("locked", true.into()), ("shell", "/bin/sh".into())]);
        for (name, observed) in read_as_nobody(folder.path(), &[&one]) {
            let observed = &observed[0];
            let why = Reading::Unknown("/etc/shadow may not be read".to_owned());
            assert_eq!(observed.reading("locked"), Some(&why), "{name}");
            assert_eq!(observed.reading("uid"), Some(&Reading::Is(0.into())), "{name}");
        }
    }

    #[test]
    fn captured_answers() {
        let values = [("groups", list(&["adm"])), ("password", hash())];
        let one = resource(&User, "app", &values);
        let appending = resource(&User, "app", &[&values[..], &[("append", true.into())]].concat());
        let passwd = b"app:x:7:8:It's, me:/srv/app:/bin/sh\n\x002\x00".as_slice();
        let read = |one: &Resource, tail: &[u8]| User.read(&[one], &said(&[passwd, tail].concat())).remove(0);
        let tail = b"app:!$6$x$y:19000:0:99999:7:::\n\x000\x00names\0app\0adm\0www data\0\0";
        let observed = read(&one, tail);
        assert_eq!(observed.reading("password"), Some(&Reading::Is("$6$x$y".into())));
        assert_eq!(observed.reading("locked"), Some(&Reading::Is(true.into())));
        assert_eq!(observed.reading("groups"), Some(&Reading::Is(list(&["adm", "www data"]))));
        assert_eq!(observed.reading("comment"), Some(&Reading::Is("It's, me".into())));
        assert_eq!(read(&appending, tail).reading("groups"), Some(&Reading::Is(list(&["adm"]))));

        let open = read(&one, b"app:$6$x$y:19000\n\x000\x00names\0app\0\0");
        let numbers =
            |tail: &[u8]| read(&one, &[b"app:!:1\n\x000\x00numbers\0", tail].concat()).reading("groups").cloned();
        let tail = b"ap                    9\napp                   4 33 7777 4\0app:8\0adm:x:4:app\nwww data:x:33:\napp:x:8:\n\0";
        assert_eq!(numbers(tail), Some(Reading::Is(list(&["adm", "www data", "7777", "adm"]))));
        assert_eq!(numbers(b"app                  \0app:8\0app:x:8:\n\0"), Some(Reading::Is(list(&[]))));
        for cut in [b"".as_slice(), b"app  4", b"app  4\0", b"app  4\0app:8\0", b"other  4\0app:8\0\0"] {
            assert!(matches!(numbers(cut), Some(Reading::Unknown(_))), "{cut:?}");
        }
        assert_eq!(open.reading("locked"), Some(&Reading::Is(false.into())));
        for cut in [b"".as_slice(), b"app:$6", b"\x003\x00\0"] {
            let observed = read(&one, cut);
            assert!(matches!(observed.reading("password"), Some(Reading::Unknown(_))), "{cut:?}");
            assert!(matches!(observed.reading("groups"), Some(Reading::Unknown(_))), "{cut:?}");
        }
        assert!(matches!(User.read(&[&one], &said(b""))[0].existence, Existence::Unknown(_)));
    }

    #[test]
    fn a_new_user_with_the_tools_that_are_there() {
        let values = [
            ("uid", 42.into()),
            ("home", "/srv/my app".into()),
            ("shell", "/bin/sh".into()),
            ("comment", "It's $(id)".into()),
            ("groups", list(&["adm", "www data"])),
            ("password", hash()),
        ];
        let script = shell(&steps(&resource(&User, "app", &values), &Observed::absent()));
        let shadow = "useradd -u 42 -s /bin/sh -U -d /srv/my app -c It's $(id) -m -- app\n\
                      usermod -G adm,www data -- app\nchpasswd -e\napp:$6$it's$x\n";
        for (name, output) in with_stubs(&["useradd", "usermod", "chpasswd"], &script) {
            assert_eq!(output, shadow, "{name}");
        }
        let busybox = "addgroup app\nadduser -D -u 42 -s /bin/sh -h /srv/my app -g It's $(id) -G app app\n\
                       addgroup app adm\naddgroup app www data\nid -gn app\nchpasswd -e\napp:$6$it's$x\n";
        for (name, output) in with_stubs(&["adduser", "addgroup", "delgroup", "chpasswd", "id"], &script) {
            // What `id` prints is taken for groups: the stub's own words.
            let calls: Vec<&str> = output.lines().filter(|line| !line.starts_with("delgroup")).collect();
            let expected: Vec<&str> = busybox.lines().filter(|line| !line.starts_with("id")).collect();
            assert_eq!(calls, expected, "{name}");
        }
        let system = resource(&User, "app", &[("system", true.into()), ("group", "daemon".into())]);
        for (name, output) in with_stubs(&["useradd"], &shell(&steps(&system, &Observed::absent()))) {
            assert_eq!(output, "useradd -r -g daemon -M -- app\n", "{name}");
        }
        for (name, output) in with_stubs(&[], &script) {
            assert!(output.contains("no program useradd or adduser"), "{name}: {output}");
        }
    }

    #[test]
    fn changes_only_what_differs() {
        let values = [
            ("uid", 42.into()),
            ("home", "/srv/app".into()),
            ("move_home", true.into()),
            ("groups", list(&["adm"])),
            ("append", true.into()),
            ("password", hash()),
            ("comment", "".into()),
        ];
        let one = resource(&User, "app", &values);
        let locked = Observed::present([("locked", Reading::Is(true.into()))]);
        let script =
            |differs: &[&'static str]| shell(&User.steps(&[Due { resource: &one, observed: &locked, differs }]));
        let cases: &[(&[&str], &str)] = &[
            (&["home", "comment"], "usermod -d /srv/app -c  -m -- app\n"),
            (&["groups"], "usermod -a -G adm -- app\n"),
            (&["password"], "chpasswd -e\napp:!$6$it's$x\n"),
        ];
        for (differs, expected) in cases {
            for (name, output) in with_stubs(&["usermod", "chpasswd"], &script(differs)) {
                assert_eq!(output, *expected, "{name}");
            }
        }
        for (name, output) in with_stubs(&["adduser"], &script(&["uid"])) {
            assert!(output.contains("the package is called shadow"), "{name}: {output}");
        }
        let lock = resource(&User, "app", &[("locked", false.into())]);
        let script = shell(&steps(&lock, &locked));
        assert_eq!(with_stubs(&["usermod"], &script)[0].1, "usermod -U -- app\n");
        assert_eq!(with_stubs(&["passwd"], &script)[0].1, "passwd -u app\n");
    }

    #[test]
    fn what_has_no_password_is_not_unlocked() {
        let one = resource(&User, "app", &[("locked", false.into())]);
        let observed = |hash: &str| {
            Observed::present([(PASSWORD.name, Reading::Is(hash.into())), (LOCKED.name, Reading::Is(true.into()))])
        };
        for observed in [Observed::absent(), observed(""), observed("*")] {
            for (name, output) in with_stubs(&["useradd", "usermod"], &shell(&steps(&one, &observed))) {
                assert_eq!(output, "app has no password that could be unlocked: declare `password`\n", "{name}");
            }
        }
        let script = shell(&steps(&one, &observed("$6$x$y")));
        assert_eq!(with_stubs(&["usermod"], &script)[0].1, "usermod -U -- app\n");
    }

    #[test]
    fn provides_itself_its_group_and_its_home() {
        let provides =
            |values: &[(&'static str, Value)], need: Need| User.provides(&resource(&User, "app", values), &need);
        let parent = |path: &str| Need::Parent(path.to_owned());
        assert!(provides(&[], parent("/home/app")) && provides(&[], parent("/home/app/.config")));
        assert!(!provides(&[], parent("/home")) && !provides(&[], parent("/home/apple")));
        let moved = [("home", "/srv/app".into())];
        assert!(provides(&moved, parent("/srv/app")) && !provides(&moved, parent("/home/app")));
        assert!(!provides(&[("system", true.into())], parent("/home/app")));
        assert!(provides(&[], Need::User("app".into())) && provides(&[], Need::Group("app".into())));
        assert!(!provides(&[("group", "adm".into())], Need::Group("adm".into())));
    }

    #[test]
    fn busybox_leaves_a_home_that_is_somebody_elses() {
        // The home directory of `bin`, /bin, is root's.
        let one = absent(resource(&User, "bin", &[("remove_home", true.into())]));
        let script = shell(&steps(&one, &Observed::present([])));
        for (name, output) in with_stubs(&["deluser", "stat"], &script) {
            assert!(output.contains("does not belong to bin") && !output.contains("deluser"), "{name}: {output}");
        }
    }

    #[test]
    fn removes_the_home_only_when_told() {
        let there = Observed::present([]);
        let gone = |values: &[(&'static str, Value)]| shell(&steps(&absent(resource(&User, "app", values)), &there));
        assert_eq!(with_stubs(&["getent", "userdel"], &gone(&[]))[0].1, "userdel -- app\n");
        let with_home = gone(&[("remove_home", true.into())]);
        assert_eq!(with_stubs(&["getent", "userdel"], &with_home)[0].1, "userdel -r -- app\n");
        assert_eq!(with_stubs(&["getent", "deluser"], &with_home)[0].1, "deluser --remove-home app\n");
    }

    #[test]
    fn what_an_earlier_step_made_or_removed_is_taken_as_it_is() {
        let values = [("uid", 42.into()), ("shell", "/bin/sh".into()), ("groups", list(&["adm"]))];
        let made = shell(&steps(&resource(&User, "app", &values), &Observed::absent()));
        for (name, output) in with_stubs(&["getent", "useradd", "usermod"], &made) {
            assert_eq!(output, "usermod -u 42 -s /bin/sh -- app\nusermod -G adm -- app\n", "{name}");
        }
        let made = shell(&steps(&resource(&User, "app", &[]), &Observed::absent()));
        assert_eq!(with_stubs(&["getent", "useradd", "usermod"], &made)[0].1, "");
        let removed = shell(&steps(&absent(resource(&User, "app", &[])), &Observed::present([])));
        assert_eq!(with_stubs(&["userdel"], &removed)[0].1, "");
    }

    #[test]
    fn mistakes_are_named() {
        let count = |values: &[(&'static str, Value)]| User.mistakes(&resource(&User, "app", values)).len();
        assert_eq!(User.mistakes(&resource(&User, "0", &[])).len(), 1);
        assert_eq!(count(&[("password", "$6$x$y".into())]), 1, "not a secret");
        assert_eq!(count(&[("password", hash())]), 0);
        assert_eq!(count(&[("password", Value::Secret(Secret::new("x", "!$6$x".into())))]), 1);
        for text in ["hunter2", "$6$only", "$6$a$b\n", "$6$a:b$c", "$6$a b$c", "", "x"] {
            assert_eq!(count(&[("password", Value::Secret(Secret::new("x", text.into())))]), 1, "{text:?}");
        }
        let star = || Value::Secret(Secret::new("x", "*".into()));
        assert_eq!(count(&[("password", star())]), 0);
        assert_eq!(count(&[("password", star()), ("locked", false.into())]), 1);
        assert_eq!(User.mistakes(&absent(resource(&User, "root", &[]))).len(), 1);
        assert_eq!(count(&[("comment", "a:b".into())]), 1);
        assert_eq!(count(&[("groups", list(&["ok", "a,b"]))]), 1);
        assert_eq!(count(&[("append", true.into())]), 1);
        assert_eq!(count(&[("move_home", true.into())]), 1);
        assert_eq!(count(&[("remove_home", true.into())]), 1);
        let gone = |values: &[(&'static str, Value)]| User.mistakes(&absent(resource(&User, "app", values))).len();
        assert_eq!((gone(&[("uid", 1.into())]), gone(&[("remove_home", true.into())])), (1, 0));
    }
}
