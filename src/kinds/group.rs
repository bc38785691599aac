//! A group of users.
//!
//! # What it declares
//! A group that shall exist, and its number if that matters. Who is in it is declared with each `user`.
//!
//! # What is read
//! All groups in one question to `getent`, which asks directories such as LDAP too; `/etc/group` where there is no `getent`.
//!
//! # What is changed
//! `groupadd`, `groupmod` and `groupdel`, or busybox's `addgroup` and `delgroup`. With another number the group keeps its
//! name; files that belong to the old number are not touched.
//!
//! # Example
//! ```yaml
//! - group: app
//!   gid: 4200
//! - group: games
//!   state: absent
//! ```

use crate::base::quote;
use crate::resource::accounts::{self, Database, EXISTS, KEEP, LOOK_UP};
use crate::resource::batch::{self, Sections};
use crate::resource::{
    Answer, Attribute, Compare, Due, Example, Identity, Kind, Mistake, Need, Observed, Reading, Resource, Spoil, State,
    Step, Table, TakenBack, Type, Work,
};

const GID: Attribute = Attribute::state("gid", Type::Int, "Its number.");
const MEMBERS: Attribute = Attribute::check(
    "members",
    Type::List(&Type::Text),
    "Names of the users who have it as an additional group, in any order.",
)
.compared(Compare::SameItems);
const SYSTEM: Attribute = Attribute::act(
    "system",
    Type::Bool,
    "Whether a new group gets a number from the range for the system's own. Default: false.",
);

static TABLE: Table = Table {
    name: "group",
    summary: "a group of users",
    source: include_str!("group.rs"),
    identity: Identity { name: "name", ty: Type::Text, doc: "The group's name." },
    in_roles: true,
    in_specs: true,
    has_state: true,
    attributes: &[GID, MEMBERS, SYSTEM],
    examples: &[
        Example {
            yaml: "- group: ex-team\n  gid: 4211\n",
            spoils: &[
                Spoil {
                    address: "group:ex-team#state",
                    spoil: "groupdel ex-team",
                    oracle: "getent group ex-team >/dev/null",
                },
                Spoil {
                    address: "group:ex-team#gid",
                    spoil: "groupmod -g 4212 ex-team",
                    oracle: "test \"$(getent group ex-team | cut -d: -f3)\" = 4211",
                },
            ],
        },
        Example {
            yaml: "- group: ex-gone\n  state: absent\n",
            spoils: &[Spoil {
                address: "group:ex-gone#state",
                spoil: "groupadd ex-gone",
                oracle: "! getent group ex-gone >/dev/null",
            }],
        },
    ],
};

/// The kind `group`.
pub(super) struct Group;

impl Kind for Group {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut add = |attribute: Option<&Attribute>, message: String, hint: &str| {
            let attribute = attribute.map(|attribute| attribute.name);
            mistakes.push(Mistake { attribute, message, hint: Some(hint.to_owned()) });
        };
        let name = resource.identity();
        if !accounts::is_new_account_name(name) {
            add(
                None,
                format!("`{name}` is no name of a group"),
                "no space, no `:`, `,` or `/`, no `-` in front, no number",
            );
        }
        if resource.int(&GID).is_some_and(|gid| u32::try_from(gid).is_err()) {
            add(Some(&GID), "there is no such number".to_owned(), "write one from 0 to 4294967295");
        }
        if resource.state == State::Absent && name == "root" && !resource.is_check {
            add(None, "`root` cannot be removed".to_owned(), "name the group that shall go");
        }
        if resource.state == State::Absent && !resource.wants.is_empty() {
            add(None, "a group that shall be absent has no attributes".to_owned(), "remove them, or `state: absent`");
        }
        mistakes
    }

    fn fragment(&self, batch: &[&Resource]) -> String {
        format!("{LOOK_UP}{}", accounts::look_up(Database::Group, &batch::names(batch)))
    }

    fn read(&self, batch: &[&Resource], answer: &Answer<'_>) -> Vec<Observed> {
        let found = accounts::read(Database::Group, &batch::names(batch), &mut Sections::of(answer.text));
        let observe = |resource: &&Resource| match &found[resource.identity()] {
            Err(why) => Observed::unknown(why.clone()),
            Ok(None) => Observed::absent(),
            Ok(Some(fields)) => {
                let unread = || Reading::Unknown("its entry is not readable".to_owned());
                let gid = fields.get(2).and_then(|gid| gid.parse::<i64>().ok());
                let gid = gid.map_or_else(unread, |gid| Reading::Is(gid.into()));
                let members = fields.get(3).map(|names| names.split(',').filter(|name| !name.is_empty()).collect());
                let members = members.map_or_else(unread, Reading::Is);
                Observed::present([(GID.name, gid), (MEMBERS.name, members)])
            }
        };
        batch.iter().map(observe).collect()
    }

    fn steps(&self, due: &[Due<'_>]) -> Vec<Step> {
        let items: Vec<usize> = (0..due.len()).collect();
        let shell: String = due.iter().map(bring_about).collect();
        let title = accounts::title(due);
        vec![Step { items, title, work: Work::Shell(format!("{KEEP}{EXISTS}{ACT}{shell}")) }]
    }

    // Which groups may log in or become root is said in files of sshd and sudo: any may be among them.
    fn may_lock_out(&self, resource: &Resource, _user: &str) -> bool {
        resource.state == State::Absent
    }

    fn taken_back(&self, _due: &Due<'_>) -> TakenBack {
        TakenBack::Kept
    }

    fn provides(&self, resource: &Resource, need: &Need) -> bool {
        resource.state == State::Present && *need == Need::Group(resource.identity().to_owned())
    }
}

/// What the steps of this kind begin with: the tools of the host, under one name each.
const ACT: &str = "\
make_group() {
  name=$1 gid=$2 system=$3
  if exists group \"$name\"; then
    if [ -n \"$gid\" ]; then number_group \"$name\" \"$gid\"; fi
    return 0
  fi
  set --
  if [ -n \"$gid\" ]; then set -- -g \"$gid\"; fi
  if have groupadd; then
    groupadd ${system:+-r} \"$@\" -- \"$name\"
  elif have addgroup; then
    addgroup ${system:+-S} \"$@\" \"$name\"
  else
    fail \"no program groupadd or addgroup\"
  fi
}
number_group() {
  have groupmod || fail \"no program groupmod: the package is called shadow or passwd\"
  groupmod -g \"$2\" -- \"$1\"
}
remove_group() {
  exists group \"$1\" || return 0
  if have groupdel; then groupdel -- \"$1\"; else delgroup \"$1\"; fi
}
";

fn bring_about(due: &Due<'_>) -> String {
    let resource = due.resource;
    let name = quote::sh(resource.identity());
    let gid = resource.int(&GID).map_or_else(|| "''".to_owned(), |gid| gid.to_string());
    if resource.state == State::Absent {
        format!("remove_group {name}\n")
    } else if due.differs("state") {
        let system = if resource.truth(&SYSTEM) == Some(true) { "system" } else { "''" };
        format!("make_group {name} {gid} {system}\n")
    } else {
        format!("number_group {name} {gid}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::testing::{absent, read_everywhere, resource, said, shell, steps, with_stubs};

    #[test]
    fn real_groups_read_the_same_everywhere() {
        let all = ["root", "nogroup", "no-such-group"].map(|name| resource(&Group, name, &[]));
        let batch: Vec<&Resource> = all.iter().collect();
        for (name, observed) in read_everywhere(&batch) {
            assert_eq!(observed[0].reading("gid"), Some(&Reading::Is(0.into())), "{name}");
            assert_eq!(observed[1].reading("gid"), Some(&Reading::Is(65534.into())), "{name}");
            assert_eq!(observed[2], Observed::absent(), "{name}");
        }
    }

    #[test]
    fn captured_answers() {
        let one = resource(&Group, "app", &[]);
        let read = |answer: &[u8]| Group.read(&[&one], &said(answer)).remove(0);
        let members = |names: &[&str]| Some(Reading::Is(names.iter().copied().collect()));
        assert_eq!(read(b"app:x:5:a,b\n\x000\x00").reading("members").cloned(), members(&["a", "b"]));
        assert_eq!(read(b"app:x:5:\n\x000\x00").reading("members").cloned(), members(&[]));
        assert!(matches!(read(b"app:x:y\n\x000\x00").reading("gid"), Some(Reading::Unknown(_))));
        assert!(matches!(read(b"").existence, crate::resource::Existence::Unknown(_)));
    }

    #[test]
    fn uses_the_tools_that_are_there() {
        let new = resource(&Group, "app", &[("gid", 42.into()), ("system", true.into())]);
        let gone = absent(resource(&Group, "app", &[]));
        let there = Observed::present([]);
        let [make, change, remove] =
            [shell(&steps(&new, &Observed::absent())), shell(&steps(&new, &there)), shell(&steps(&gone, &there))];
        // Whether `getent` knows the group, the script, what shadow's and what busybox's tools are told.
        let no_tool = "no program groupmod: the package is called shadow or passwd\n";
        let cases = [
            (false, &make, "groupadd -r -g 42 -- app\n", "addgroup -S -g 42 app\n"),
            (true, &make, "groupmod -g 42 -- app\n", no_tool),
            (true, &change, "groupmod -g 42 -- app\n", no_tool),
            (true, &remove, "groupdel -- app\n", "delgroup app\n"),
            (false, &remove, "", ""),
        ];
        for (exists, script, shadow, busybox) in cases {
            let known: &[&str] = if exists { &["getent"] } else { &[] };
            for (name, output) in with_stubs(&[known, &["groupadd", "groupmod", "groupdel"]].concat(), script) {
                assert_eq!(output, shadow, "{name}");
            }
            for (name, output) in with_stubs(&[known, &["addgroup", "delgroup"]].concat(), script) {
                assert_eq!(output, busybox, "{name}");
            }
        }
    }

    #[test]
    fn the_title_says_what_is_done() {
        let (new, old, gone) = (resource(&Group, "a", &[]), resource(&Group, "b", &[]), resource(&Group, "c", &[]));
        let gone = absent(gone);
        let (nothing, there) = (Observed::absent(), Observed::present([]));
        let all = [(&gone, &there, "state"), (&new, &nothing, "state"), (&old, &there, "gid")];
        let differs = all.map(|(_, _, name)| [name]);
        let due: Vec<Due<'_>> = all
            .iter()
            .zip(&differs)
            .map(|((resource, observed, _), differs)| Due { resource, observed, differs })
            .collect();
        assert_eq!(Group.steps(&due)[0].title, "make a; change b; remove c");
    }

    #[test]
    fn mistakes_are_named() {
        let count = |resource: &Resource| Group.mistakes(resource).len();
        for name in ["", "1000", "a b", "-r", "a:b", "a\nb"] {
            assert_eq!(count(&resource(&Group, name, &[])), 1, "{name:?}");
        }
        assert_eq!(count(&resource(&Group, "app", &[("gid", (-1).into())])), 1);
        assert_eq!(count(&absent(resource(&Group, "root", &[]))), 1);
        assert_eq!(count(&absent(resource(&Group, "app", &[("gid", 1.into())]))), 1);
        assert_eq!(count(&resource(&Group, "app", &[("gid", 1.into())])), 0);
    }
}
