//! How services are enabled, started, reloaded and restarted, as shell for each init system.

use std::fmt::Write as _;

use super::{ENABLED, MASKED, RUNNING, unit};
use crate::base::quote;
use crate::resource::{Due, Refresh};

/// systemd. Units that changed on disk are read again before anything is done to them; a failure shows what the unit last said.
const SYSTEMD: &str = r#"
unit_says() {
	systemctl --no-pager --full -n 20 status -- "$1" 2>&1 || :
}
reread() {
	case $(systemctl show -p NeedDaemonReload -- "$@") in *=yes*) systemctl daemon-reload ;; esac
}
must_run() {
	for unit; do
		state=$(systemctl is-active -- "$unit" || :)
		case $state in
		active | reloading | refreshing) ;;
		*)
			unit_says "$unit"
			[ "$(systemctl show -p Type -- "$unit")" != Type=oneshot ] || say "$unit runs once and ends (Type=oneshot without RemainAfterExit): leave \`running\` out"
			fail "$unit is $state"
			;;
		esac
	done
}
svc_unmask() { systemctl unmask -- "$@"; }
svc_mask() { systemctl mask -- "$@"; }
svc_enable() {
	systemctl enable -- "$@"
	for unit; do
		case $(systemctl is-enabled -- "$unit" 2>/dev/null || :) in
		static | transient) fail "$unit cannot be enabled: it has no [Install] section; leave \`enabled\` out" ;;
		esac
	done
}
svc_disable() { systemctl disable -- "$@"; }
svc_start() {
	systemctl start -- "$@" || :
	must_run "$@"
}
svc_stop() { systemctl stop -- "$@"; }
svc_is_running() { systemctl is-active -q -- "$1"; }
svc_reload() {
	if [ "$(systemctl show -p CanReload -- "$1")" = CanReload=no ]; then
		say "$1 cannot reload: it is restarted"
		svc_restart "$1"
		return
	fi
	systemctl reload -- "$1" || { unit_says "$1"; fail "$1 did not reload"; }
	must_run "$1"
}
svc_restart() {
	systemctl restart -- "$1" || :
	must_run "$1"
}
"#;

/// OpenRC.
const OPENRC: &str = r#"
reread() { :; }
svc_unmask() { :; }
svc_mask() { fail 'OpenRC cannot mask a service'; }
svc_enable() { for name; do rc-update add "${name%.service}" default; done; }
svc_disable() { for name; do rc-update -a del "${name%.service}"; done; }
svc_start() { for name; do rc-service "${name%.service}" start; svc_is_running "$name" || fail "$name does not run"; done; }
svc_stop() { for name; do rc-service "${name%.service}" stop; done; }
svc_is_running() { rc-service "${1%.service}" status >/dev/null 2>&1; }
svc_reload() {
	case " $(rc-service "${1%.service}" describe 2>&1) " in
	*reload*) rc-service "${1%.service}" reload ;;
	*) say "$1 cannot reload: it is restarted"; rc-service "${1%.service}" restart ;;
	esac
	svc_is_running "$1" || fail "$1 does not run"
}
svc_restart() { rc-service "${1%.service}" restart; svc_is_running "$1" || fail "$1 does not run"; }
"#;

/// Scripts in /etc/init.d, with Debian's or Red Hat's tool for their links.
const SYSV: &str = r#"
reread() { :; }
svc_unmask() { :; }
svc_mask() { fail 'an init script cannot be masked'; }
svc_enable() {
	for name; do
		name=${name%.service}
		if have update-rc.d; then update-rc.d "$name" defaults && update-rc.d "$name" enable; else chkconfig "$name" on; fi
	done
}
svc_disable() {
	for name; do
		if have update-rc.d; then update-rc.d "${name%.service}" disable; else chkconfig "${name%.service}" off; fi
	done
}
svc_start() { for name; do "/etc/init.d/${name%.service}" start; svc_is_running "$name" || fail "$name does not run"; done; }
svc_stop() { for name; do "/etc/init.d/${name%.service}" stop; done; }
svc_is_running() { "/etc/init.d/${1%.service}" status >/dev/null 2>&1; }
svc_reload() {
	"/etc/init.d/${1%.service}" reload || { say "$1 did not reload: it is restarted"; "/etc/init.d/${1%.service}" restart; }
	svc_is_running "$1" || fail "$1 does not run"
}
svc_restart() { "/etc/init.d/${1%.service}" restart; svc_is_running "$1" || fail "$1 does not run"; }
"#;

/// The functions for the init system that the host has.
fn functions() -> String {
    format!("if [ -d /run/systemd/system ]; then\n{SYSTEMD}\nelif have rc-service; then\n{OPENRC}\nelse\n{SYSV}\nfi\n")
}

/// What is done about due services: the shell, and the words for it.
pub(super) fn change(due: &[Due<'_>]) -> (String, String) {
    // In this order: a masked unit can be neither enabled nor started, and what shall be masked is stopped before.
    let changes = [
        (&MASKED, false, "unmask"),
        (&ENABLED, true, "enable"),
        (&ENABLED, false, "disable"),
        (&RUNNING, false, "stop"),
        (&MASKED, true, "mask"),
        (&RUNNING, true, "start"),
    ];
    let units = |picked: &dyn Fn(&Due<'_>) -> bool| -> Vec<String> {
        due.iter().filter(|one| picked(one)).map(|one| unit(one.resource.identity())).collect()
    };
    let mut shell = functions();
    let _ = writeln!(shell, "reread {}", quote::words(units(&|_| true)));
    let mut titles = Vec::new();
    for (attribute, wanted, word) in changes {
        // Of a service that could not be read, everything that is declared is brought about: each of these may be repeated.
        let is_due = |one: &Due<'_>| {
            (one.differs(attribute.name) || one.differs("state")) && one.resource.truth(attribute) == Some(wanted)
        };
        let units = units(&is_due);
        if units.is_empty() {
            continue;
        }
        let _ = writeln!(shell, "svc_{word} {}", quote::words(&units));
        let names: Vec<&str> = due.iter().filter(|one| is_due(one)).map(|one| one.resource.identity()).collect();
        titles.push(format!("{word} {}", names.join(", ")));
    }
    (shell, titles.join("; "))
}

/// What is done when [`change`] has locked everybody out: the opposite, last things first. What differed was not as declared.
pub(super) fn taken_back(due: &Due<'_>) -> String {
    let name = unit(due.resource.identity());
    let name = quote::sh(&name);
    let mut shell = functions();
    let _ = writeln!(shell, "reread {name}");
    let changes = [(&RUNNING, "stop", "start"), (&ENABLED, "disable", "enable"), (&MASKED, "unmask", "mask")];
    let declared = |attribute| due.resource.truth(attribute).filter(|_| due.differs(attribute.name));
    // What was masked cannot be started before it is unmasked.
    let masked = declared(&MASKED) == Some(true);
    let order: &[usize] = if masked { &[2, 1, 0] } else { &[0, 1, 2] };
    for (attribute, if_true, if_false) in order.iter().map(|at| changes[*at]) {
        if let Some(wanted) = declared(attribute) {
            let _ = writeln!(shell, "svc_{} {name}", if wanted { if_true } else { if_false });
        }
    }
    shell
}

/// The shell of a reload or restart. What does not run has nothing to take up: its start will.
pub(super) fn refresh(name: &str, how: Refresh) -> Option<String> {
    let word = match how {
        Refresh::Reload => "reload",
        Refresh::Restart => "restart",
        Refresh::Run => return None,
    };
    let name = unit(name);
    let name = quote::sh(&name);
    let functions = functions();
    Some(format!(
        "{functions}reread {name}\nif svc_is_running {name}; then svc_{word} {name}; else say {name} does not run: nothing to {word}; fi\n"
    ))
}

/// Shell that prints what identifies the run of a service, as its reading has it.
pub(super) fn invocation(name: &str) -> String {
    let name = unit(name);
    let name = quote::sh(&name);
    format!(
        "if [ -d /run/systemd/system ]; then\n\
         shown=$(systemctl show --timestamp=us+utc -p InvocationID,StateChangeTimestamp -- {name} 2>/dev/null) ||\n\
         \tshown=$(systemctl show -p InvocationID,StateChangeTimestamp -- {name})\n\
         printf '%s %s\\n' \"$(printf '%s\\n' \"$shown\" | sed -n 's/^InvocationID=//p')\" \
         \"$(printf '%s\\n' \"$shown\" | sed -n 's/^StateChangeTimestamp=//p')\"\nfi\n"
    )
}
