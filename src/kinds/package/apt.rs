//! The transaction of apt and dpkg, as shell.

use std::fmt::Write as _;

use super::plan::Plan;
use crate::base::quote;

/// What each transaction begins with: nobody is asked anything, conffiles that were changed by hand are kept, services are left
/// to their declarations, and a lock is waited for (apt then says who holds it).
const FUNCTIONS: &str = r#"
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true UCF_FORCE_CONFFOLD=1
export NEEDRESTART_MODE=l APT_LISTCHANGES_FRONTEND=none
refreshed=

run_apt() {
	apt-get -y -q -o DPkg::Lock::Timeout=60 -o Dpkg::Use-Pty=0 \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

# refresh: fetches the package lists, once. The lock of the lists is not waited for by apt itself.
refresh() {
	[ -z "$refreshed" ] || return 0
	refreshed=yes
	tries=0
	until out=$(run_apt update 2>&1); do
		tries=$((tries + 1))
		case $out in *'Could not get lock'*) [ "$tries" -ge 30 ] || { sleep 2; continue; } ;; esac
		printf '%s\n' "$out" 'the package lists could not be refreshed; going on with those that are there'
		return 0
	done
	touch /var/lib/apt/lists
}

# finish: what an interrupted transaction left. dpkg does not wait for its lock by itself.
finish() {
	tries=0
	until out=$(dpkg --force-confdef --force-confold --configure -a 2>&1); do
		tries=$((tries + 1))
		case $out in *'locked by another process'*) [ "$tries" -ge 30 ] || { sleep 2; continue; } ;; esac
		printf '%s\n' "$out"
		exit 1
	done
	printf '%s\n' "$out"
}

# missing NAME...: those that cannot be installed from the lists.
missing() {
	apt-cache policy "$@" 2>/dev/null | awk -v wanted="$*" '
		/^[^ ]/ { name = $1; sub(/:$/, "", name) }
		/^  Candidate:/ && $2 != "(none)" { known[name] = 1 }
		END {
			count = split(wanted, names, " ")
			for (i = 1; i <= count; i++) {
				base = names[i]
				sub(/:.*/, "", base)
				if (!(names[i] in known) && !(base in known)) print names[i]
			}
		}'
}

# resolve NAME...: fails, naming them, if some cannot be installed. Refreshes the lists if that may help.
resolve() {
	if [ -n "$(find /etc/apt/sources.list /etc/apt/sources.list.d -newer /var/lib/apt/lists 2>/dev/null | head -n 1)" ]; then
		refresh
	fi
	unknown=$(missing "$@")
	[ -z "$unknown" ] || { refresh; unknown=$(missing "$@"); }
	for name in $unknown; do
		providers=$(apt-cache showpkg "$name" 2>/dev/null | sed -n '/^Reverse Provides:/,$s/^\([^ ]*\) .*(=.*/\1/p' | sort -u | head -n 5)
		if [ -n "$providers" ]; then
			printf '`%s` is a virtual package; declare one that provides it: %s\n' "$name" "$(echo $providers)"
		else
			printf 'no package `%s` in the package lists\n' "$name"
		fi
	done
	[ -z "$unknown" ] || exit 1
}

# satisfies VERSION RELATION=VERSION...: an epoch or a revision that is not named does not count.
satisfies() {
	found=$1
	shift
	for constraint; do
		wanted=${constraint#*=}
		version=$found
		case $wanted in *:*) ;; *) version=${version#*:} ;; esac
		case $wanted in *-*) ;; *) version=${version%-*} ;; esac
		dpkg --compare-versions "$version" "${constraint%%=*}" "$wanted" || return 1
	done
}

# best NAME CONSTRAINT...: sets $best to the version to install: apt's own choice if that will do, else the newest that does.
best() {
	name=$1
	shift
	best=$(apt-cache policy "$name" 2>/dev/null | sed -n 's/^  Candidate: //p')
	if [ "$best" != '(none)' ] && satisfies "$best" "$@"; then return 0; fi
	best=
	for offer in $(apt-cache madison "$name" 2>/dev/null | awk '{ print $3 }'); do
		if satisfies "$offer" "$@" && { [ -z "$best" ] || dpkg --compare-versions "$offer" gt "$best"; }; then
			best=$offer
		fi
	done
	[ -n "$best" ]
}

# choose NAME TEXT CONSTRAINT...: adds NAME=VERSION to $install.
choose() {
	name=$1 text=$2
	shift 2
	if ! best "$name" "$@"; then
		refresh
		best "$name" "$@" || {
			offers=$(apt-cache madison "$name" 2>/dev/null | awk '{ print $3 }' | tr '\n' ' ')
			fail "no version of $name on offer satisfies \`$text\`; there is ${offers:-none}"
		}
	fi
	installed=$(dpkg-query -W -f '${Version}' "$name" 2>/dev/null || :)
	if [ -n "$installed" ] && dpkg --compare-versions "$best" lt "$installed"; then downgrade=--allow-downgrades; fi
	install="$install $name=$best"
}

# transaction OPTION...: $install comes and $remove goes; nothing else is removed.
transaction() {
	going=
	for name in $remove; do going="$going $name-"; done
	if [ -n "$remove" ]; then
		plan=$(run_apt -s "$@" install $install $going 2>&1) || { printf '%s\n' "$plan"; exit 1; }
		others=$(printf '%s\n' "$plan" | awk -v going=" $remove " '
			$1 == "Remv" || $1 == "Purg" { base = $2; sub(/:.*/, "", base); if (!index(going, " " $2 " ") && !index(going, " " base " ") && !index(going, " " base ":")) print $2 }' | tr '\n' ' ')
		[ -z "$others" ] || fail "removing$remove would also remove $others- declare that absent too, or keep what it needs"
	else
		set -- --no-remove "$@"
	fi
	run_apt "$@" install $install $going || {
		status=$?
		say "if something else would have to be removed, declare it \`state: absent\`: nothing undeclared is removed"
		say "if something held would have to be changed, declare \`hold: false\` with it: no hold of somebody else is broken"
		exit "$status"
	}
}
"#;

/// The shell of a plan.
pub(super) fn shell(plan: &Plan<'_>) -> String {
    let mut text = FUNCTIONS.to_owned();
    let list = |names: &[&str]| quote::words(names);
    if plan.finishes {
        text.push_str("finish\n");
    }
    let install: Vec<&str> = plan.install.iter().map(|item| item.name).collect();
    if !install.is_empty() {
        let _ = writeln!(text, "resolve {}", list(&install));
    }
    if !plan.released.is_empty() {
        let _ = writeln!(text, "apt-mark unhold {}", list(&plan.released));
    }
    let mut remove = plan.remove.clone();
    for recommends in [true, false] {
        let items: Vec<_> = plan.install.iter().filter(|item| item.recommends == recommends).collect();
        if items.is_empty() && (remove.is_empty() || !recommends && !plan.install.is_empty()) {
            continue;
        }
        // What goes, goes in the first transaction, so that a replacement is one step for apt.
        let going: String = std::mem::take(&mut remove).iter().map(|name| format!(" {name}")).collect();
        let plain: String =
            items.iter().filter(|item| item.constraints.is_empty()).map(|item| format!(" {}", item.name)).collect();
        let _ = writeln!(text, "install={} remove={} downgrade=", quote::sh(&plain), quote::sh(&going));
        for item in items.iter().filter(|item| !item.constraints.is_empty()) {
            let constraints = item.constraints.iter().map(|one| format!("{}={}", one.relation.dpkg(), one.version));
            let _ = writeln!(text, "choose {} {} {}", item.name, quote::sh(item.text), quote::words(constraints));
        }
        let _ = writeln!(text, "transaction -o APT::Install-Recommends={recommends} $downgrade");
    }
    if !plan.purge.is_empty() {
        let _ = writeln!(text, "dpkg --purge {}", list(&plan.purge));
    }
    if !plan.hold.is_empty() {
        let _ = writeln!(text, "apt-mark hold {}", list(&plan.hold));
    }
    if !plan.unhold.is_empty() {
        let _ = writeln!(text, "apt-mark unhold {}", list(&plan.unhold));
    }
    text
}
