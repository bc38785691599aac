//! The transactions of dnf, yum, zypper, apk and pacman: one table, one way through it.
//!
//! These resolve names and constraints themselves. The newest version below the upper bound is chosen; whether it also satisfies
//! a lower bound is seen when the host is read again.

use std::fmt::Write as _;

use super::plan::{Install, Plan};
use super::version::{Constraint, Relation};
use crate::base::quote;

/// How one package manager is spoken to. Names are put behind each command; `""` is what it does not have.
struct Manager {
    word: &'static str,
    install: &'static str,
    /// Options that leave out what is only recommended.
    no_recommends: &'static str,
    /// What an installation prints when a name is not in its lists.
    unknown: &'static str,
    /// Fetches the lists.
    refresh: &'static str,
    /// Fails, saying why, if others would have to go too.
    may_remove: &'static str,
    remove: &'static str,
    purge: &'static str,
    hold: &'static str,
    unhold: &'static str,
    /// What stands between a name and its version; the second if the constraint names no revision.
    exactly: (&'static str, &'static str),
    /// What stands between a name, a sign and a version.
    space: &'static str,
}

const MANAGERS: [Manager; 5] = [
    Manager {
        word: "dnf",
        install: "dnf -y install",
        no_recommends: "--setopt=install_weak_deps=False",
        unknown: "No match for argument",
        refresh: "dnf -y --refresh makecache",
        may_remove: "rpm -e --test",
        remove: "dnf -y --setopt=clean_requirements_on_remove=False remove",
        purge: "",
        hold: "dnf -y versionlock add",
        unhold: "dnf -y versionlock delete",
        exactly: ("-", "-"),
        space: " ",
    },
    Manager {
        word: "yum",
        install: "yum -y install",
        no_recommends: "",
        unknown: "No package ",
        refresh: "yum -y makecache",
        may_remove: "rpm -e --test",
        remove: "yum -y remove",
        purge: "",
        hold: "yum -y versionlock add",
        unhold: "yum -y versionlock delete",
        exactly: ("-", "-"),
        space: " ",
    },
    Manager {
        word: "zypper",
        install: "zypper --non-interactive install --oldpackage",
        no_recommends: "--no-recommends",
        unknown: "not found",
        refresh: "zypper --non-interactive refresh",
        may_remove: "rpm -e --test",
        remove: "zypper --non-interactive remove",
        purge: "",
        hold: "zypper --non-interactive addlock",
        unhold: "zypper --non-interactive removelock",
        exactly: ("=", "="),
        space: "",
    },
    Manager {
        word: "apk",
        install: "apk --no-interactive add",
        no_recommends: "",
        unknown: "no such package",
        refresh: "apk update",
        may_remove: "",
        remove: "apk --no-interactive del",
        purge: "apk --no-interactive --purge del",
        hold: "apk_hold",
        unhold: "apk --no-interactive add",
        exactly: ("=", "~"),
        space: "",
    },
    Manager {
        word: "pacman",
        install: "pacman -S --noconfirm --needed",
        no_recommends: "",
        unknown: "target not found",
        refresh: "pacman -Sy --noconfirm",
        may_remove: "",
        remove: "pacman -R --noconfirm",
        purge: "pacman -Rn --noconfirm",
        hold: "fail 'pacman has no holds: set IgnorePkg in /etc/pacman.conf for'",
        unhold: "fail 'pacman has no holds: take it out of IgnorePkg in /etc/pacman.conf:'",
        exactly: ("=", "="),
        space: "",
    },
];

const FUNCTIONS: &str = r#"
# bring UNKNOWN REFRESH COMMAND...: runs the command; if it does not know a name, refreshes the lists and tries once more.
bring() {
	unknown=$1 refresh=$2
	shift 2
	status=0
	out=$("$@" 2>&1) || status=$?
	printf '%s\n' "$out"
	case $out in *"$unknown"*) ;; *) return "$status" ;; esac
	$refresh || say 'the package lists could not be refreshed'
	"$@" || fail 'see above: a name is not in the package lists, which were just refreshed'
}

# apk_hold NAME...: keeps each in the version that is installed.
apk_hold() {
	for name; do
		version=$(sed -n "/^P:$name\$/{n;s/^V://p;}" /lib/apk/db/installed)
		[ -n "$version" ] || fail "$name is not installed"
		apk --no-interactive add "$name=$version"
	done
}
"#;

/// The shell of a plan; none for a package manager that is not known.
pub(super) fn shell(plan: &Plan<'_>, manager: &str) -> Option<String> {
    let manager = MANAGERS.iter().find(|known| known.word == manager)?;
    let mut text = FUNCTIONS.to_owned();
    let mut line = |command: &str, names: &[&str]| {
        if !command.is_empty() && !names.is_empty() {
            let _ = writeln!(text, "{command} {}", quote::words(names));
        }
    };
    line(manager.unhold, &plan.released);
    let (purge, remove): (Vec<&str>, Vec<&str>) =
        plan.remove.iter().partition(|name| plan.purge.contains(*name) && !manager.purge.is_empty());
    let all: Vec<&str> = plan.remove.clone();
    line(manager.may_remove, &all);
    line(manager.remove, &remove);
    line(manager.purge, &purge);
    for recommends in [true, false] {
        let items = plan.install.iter().filter(|item| item.recommends == recommends);
        let specs: Vec<String> = items.map(|item| manager.spec(item)).collect();
        let options = if recommends { "" } else { manager.no_recommends };
        let specs: Vec<&str> = specs.iter().map(String::as_str).collect();
        let (unknown, refresh) = (quote::always(manager.unknown), quote::always(manager.refresh));
        line(&format!("bring {unknown} {refresh} {} {options}", manager.install), &specs);
    }
    line(manager.hold, &plan.hold);
    line(manager.unhold, &plan.unhold);
    Some(text)
}

impl Manager {
    /// A package with what is asked of its version, as this manager takes it: the upper bound if there is one.
    fn spec(&self, item: &Install<'_>) -> String {
        let bound = item.constraints.iter().find(|one| one.relation.is_upper()).or(item.constraints.first());
        let Some(Constraint { relation, version }) = bound else { return item.name.to_owned() };
        if *relation == Relation::Exactly {
            let sign = if version.contains('-') { self.exactly.0 } else { self.exactly.1 };
            return format!("{}{sign}{version}", item.name);
        }
        format!("{}{space}{}{space}{version}", item.name, relation.sign(), space = self.space)
    }
}
