//! How services are read: one question to the init system for all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{ENABLED, MASKED, RELOAD_ON, RESTART_ON, RUNNING, unit};
use crate::base::clean;
use crate::base::quote;
use crate::base::value::Value;
use crate::resource::{Attribute, Need, Observed, Reading, Resource, RunsSince};

/// Up to this many units `systemctl show` is the quickest; each unit that nothing has loaded costs it some milliseconds.
const SHOWN: usize = 16;

/// Of units that shall only run the cheapest question is asked, a word for each; what is not simply active is shown.
///
/// Sections end with a NUL: the init system, the units shown, what is shown of them, names that /etc/rc?.d starts, units
/// that are loaded, unit files, why nothing was answered, units that are active.
const SYSTEMD: &str = r#"P=Id,LoadState,ActiveState,SubState,Result,UnitFileState,Type,ActiveEnterTimestamp,StateChangeTimestamp
	P=$P,ReloadResult,InvocationID
	more=$shown active= loaded= files=
	ask_active() {
		for state in $(systemctl is-active -- "$@"); do
			[ $# != 0 ] || break
			if [ "$state" = active ]; then active="$active $1"; else more="$more $1"; fi
			shift
		done
		more="$more $*"
	}
	[ -z "$asked" ] || ask_active $asked
	if [ $# -gt 0 ]; then
		loaded=$(systemctl list-units --all --plain --no-legend --full -- "$@")
		files=$(systemctl list-unit-files --plain --no-legend --full -- "$@" | grep -v ' alias ')
		# An alias, an instance, a generated unit: only `show` knows it.
		for unit; do
			case "
$files" in *"
$unit "*) ;; *) more="$more $unit" ;; esac
		done
	fi
	out= why=
	if [ -n "${more# }" ]; then
		out=$(systemctl show --timestamp=us+utc -p "$P" -- $more) || out=$(systemctl show -p "$P" -- $more)
		[ -n "$out" ] || why=$(systemctl show -p Id -- $more 2>&1 >/dev/null)
	fi
	started=
	for link in /etc/rc[2345].d/S[0-9][0-9]*; do
		started="$started${link##*/S[0-9][0-9]}
"
	done
	printf '%s\000' systemd "$more" "$out" "$started" "$loaded" "$files" "$why" "$active"
"#;

/// OpenRC: what it knows of all its services, what its runlevels hold.
const OPENRC: &str = r#"printf 'openrc\000'
	rc-status -s
	printf '\000'
	for link in /etc/runlevels/*/*; do echo "${link##*/}"; done
"#;

/// Scripts in /etc/init.d: each is asked; what the runlevels hold.
const SYSV: &str = r#"printf 'sysv\000'
	for name in $asked $shown "$@"; do
		name=${name%.service}
		if [ ! -e "/etc/init.d/$name" ]; then
			echo "$name -"
		else
			"/etc/init.d/$name" status >/dev/null 2>&1
			echo "$name $?"
		fi
	done
	printf '\000'
	for link in /etc/rc[2345].d/S[0-9][0-9]*; do echo "${link##*/S[0-9][0-9]}"; done
"#;

/// The shell that reads these services.
pub(super) fn fragment(batch: &[&Resource]) -> String {
    let units = |which: &dyn Fn(&Resource) -> bool| -> BTreeSet<String> {
        batch.iter().filter(|resource| which(resource)).map(|resource| unit(resource.identity())).collect()
    };
    let wants =
        |resource: &Resource, any: &[&Attribute]| any.iter().any(|attribute| resource.want(attribute).is_some());
    let watching = units(&|resource| wants(resource, &[&RELOAD_ON, &RESTART_ON]));
    let more = units(&|resource| wants(resource, &[&ENABLED, &MASKED]) || !wants(resource, &[&RUNNING]));
    let more: BTreeSet<String> = more.difference(&watching).cloned().collect();
    let asked = units(&|_| true).into_iter().filter(|unit| !watching.contains(unit) && !more.contains(unit)).collect();
    let (shown, listed) = if more.len() + watching.len() <= SHOWN {
        (watching.union(&more).cloned().collect(), BTreeSet::new())
    } else {
        (watching, more)
    };
    // Names of units need no quoting where they are split into words again: `mistakes` lets no other through.
    let words = |units: BTreeSet<String>| quote::always(&Vec::from_iter(units).join(" "));
    format!(
        "asked={}\nshown={}\nset -- {}\nif [ -d /run/systemd/system ]; then\n\t{SYSTEMD}elif command -v rc-service >/dev/null 2>&1; then\n\t\
         {OPENRC}elif [ -d /etc/init.d ]; then\n\t{SYSV}else\n\tprintf 'none\\000'\nfi\n",
        words(asked),
        words(shown),
        quote::words(&listed)
    )
}

/// Whether something is so.
#[derive(Clone, Debug, Default, PartialEq)]
enum Told {
    Yes,
    /// Not, and in which way if there is more to say than that.
    No(String),
    #[default]
    Silent,
    Unknown(String),
}

impl Told {
    fn no() -> Self {
        Self::No(String::new())
    }

    fn when(truth: bool) -> Self {
        if truth { Self::Yes } else { Self::no() }
    }

    /// What stands in the way of "yes" is said where "yes" is wanted; elsewhere "no" is all there is to it.
    fn reading(&self, want: Option<bool>) -> Reading {
        match self {
            Self::Yes => Reading::Is(true.into()),
            Self::No(how) if want == Some(true) && !how.is_empty() => Reading::Is(Value::Text(how.clone())),
            Self::No(_) => Reading::Is(false.into()),
            Self::Silent => Reading::Unknown("the init system did not say".to_owned()),
            Self::Unknown(why) => Reading::Unknown(why.clone()),
        }
    }
}

/// What is known of one service.
#[derive(Clone, Debug, Default, PartialEq)]
struct Service {
    exists: bool,
    enabled: Told,
    running: Told,
    masked: Told,
    runs: Option<RunsSince>,
}

/// Reads the answer of [`fragment`].
pub(super) fn read(batch: &[&Resource], answer: &[u8]) -> Vec<Observed> {
    let text = clean::utf8(answer);
    let sections: Vec<&str> = text.split('\0').collect();
    let section = |at: usize| sections.get(at).copied().unwrap_or_default();
    let init = section(0);
    let services = match init {
        "systemd" => systemd(&section),
        "openrc" => openrc(section(1), section(2)),
        "sysv" => sysv(section(1), section(2)),
        "none" => Err("no init system that is known here: systemd, OpenRC or scripts in /etc/init.d".to_owned()),
        _ => Err("the init system did not answer".to_owned()),
    };
    let one = |resource: &&Resource| {
        let mut observed = match &services {
            Err(why) => Observed::unknown(why.clone()),
            Ok(services) => {
                let name = unit(resource.identity());
                let plain = name.strip_suffix(".service").unwrap_or(&name);
                match services.get(if init == "systemd" { name.as_str() } else { plain }) {
                    Some(service) => observe(resource, service),
                    // OpenRC lists all that there are; systemd was asked for each.
                    None if init == "openrc" => observe(resource, &missing()),
                    None => Observed::unknown(format!("the init system said nothing of {name}")),
                }
            }
        };
        observed.readings.insert("init", Reading::Is(init.into()));
        observed
    };
    batch.iter().map(one).collect()
}

fn missing() -> Service {
    Service { enabled: Told::no(), running: Told::no(), masked: Told::no(), ..Service::default() }
}

fn observe(resource: &Resource, service: &Service) -> Observed {
    let asked = |attribute: &Attribute| resource.want(attribute).is_some();
    let no_unit = || Need::Unit(unit(resource.identity()));
    if !service.exists && ![&ENABLED, &RUNNING, &MASKED].iter().any(|attribute| asked(attribute)) {
        return Observed::unready(no_unit());
    }
    let told = [(&ENABLED, &service.enabled), (&RUNNING, &service.running), (&MASKED, &service.masked)];
    let readings = told.map(|(attribute, told)| {
        // What does not exist is neither enabled nor running, but it can be masked.
        let needs_unit = attribute.name != MASKED.name && asked(attribute) && resource.truth(attribute) != Some(false);
        let is_unready = needs_unit && !service.exists;
        let reading = if is_unready { Reading::Unready(no_unit()) } else { told.reading(resource.truth(attribute)) };
        (attribute.name, reading)
    });
    Observed { runs: service.runs.clone(), ..Observed::present(readings) }
}

fn systemd<'a>(section: &impl Fn(usize) -> &'a str) -> Result<BTreeMap<String, Service>, String> {
    let (names, shown, started, loaded, files, why, active) =
        (section(1), section(2), section(3), section(4), section(5), section(6).trim(), section(7));
    if !why.is_empty() {
        return Err(clean::shorten(why, 300).into_owned());
    }
    let started: BTreeSet<&str> = started.lines().collect();
    let mut services = BTreeMap::new();
    for line in files.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(state)) = (words.next(), words.next()) else { continue };
        let (enabled, masked) = unit_file(state, name, &started);
        // Nothing has loaded it: then it does not run.
        services.insert(
            name.to_owned(),
            Service { exists: true, enabled, masked, running: Told::no(), ..Service::default() },
        );
    }
    for line in loaded.lines() {
        let mut words = line.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).split_whitespace();
        let (Some(name), Some(_), Some(active), Some(sub)) = (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        if let Some(service) = services.get_mut(name) {
            service.running = activity(active, sub, "");
        }
    }
    for name in active.split_whitespace() {
        services.insert(name.to_owned(), Service { exists: true, running: Told::Yes, ..Service::default() });
    }
    let blocks: Vec<Shown<'_>> = shown.split("\n\n").map(Shown).filter(|block| !block.0.trim().is_empty()).collect();
    let names: Vec<&str> = names.split_whitespace().collect();
    for (at, name) in names.iter().enumerate() {
        let block = if blocks.len() == names.len() {
            blocks.get(at)
        } else {
            blocks.iter().find(|block| block.get("Id") == *name)
        };
        if let Some(block) = block {
            services.insert((*name).to_owned(), block.service(name, &started));
        }
    }
    Ok(services)
}

/// What `systemctl show` prints of one unit.
struct Shown<'a>(&'a str);

impl Shown<'_> {
    fn get(&self, property: &str) -> &str {
        self.0.lines().find_map(|line| line.strip_prefix(property)?.strip_prefix('=')).unwrap_or_default()
    }

    fn service(&self, name: &str, started: &BTreeSet<&str>) -> Service {
        let (load, active) = (self.get("LoadState"), self.get("ActiveState"));
        if load == "not-found" && active != "active" {
            return missing();
        }
        if load.is_empty() || active.is_empty() {
            return Service { exists: true, ..Service::default() };
        }
        let state = self.get("UnitFileState");
        let (enabled, masked) =
            unit_file(if load == "masked" && state.is_empty() { "masked" } else { state }, name, started);
        let running = match activity(active, self.get("SubState"), self.get("Result")) {
            Told::No(how) if how.is_empty() && matches!(load, "error" | "bad-setting") => {
                Told::No(format!("stopped, and its unit file cannot be loaded ({load})"))
            }
            Told::No(how) if how.is_empty() && load == "masked" => {
                Told::No("stopped, and masked: nothing starts it before `masked: false` is declared".to_owned())
            }
            told => told,
        };
        let runs = (active == "active" || active == "reloading").then(|| self.runs()).flatten();
        Service { exists: true, enabled, running, masked, runs }
    }

    /// A reload leaves no time of its own that survives a daemon-reload, but it changes the state; ReloadResult tells whether the last
    /// one succeeded.
    fn runs(&self) -> Option<RunsSince> {
        if self.get("Type") == "oneshot" {
            return None;
        }
        let started = micros(self.get("ActiveEnterTimestamp"))?;
        let changed = micros(self.get("StateChangeTimestamp")).filter(|_| self.get("ReloadResult") == "success");
        let invocation = format!("{} {}", self.get("InvocationID"), self.get("StateChangeTimestamp"));
        Some(RunsSince { configured: changed.unwrap_or(started).max(started), started, invocation })
    }
}

/// Enabled, and masked, by the state of the unit file (systemctl(1), is-enabled).
fn unit_file(state: &str, name: &str, started: &BTreeSet<&str>) -> (Told, Told) {
    let no = |how: &str| Told::No(how.to_owned());
    match state {
        "enabled" => (Told::Yes, Told::no()),
        "enabled-runtime" => (no("enabled until the next boot only"), Told::no()),
        "masked" => (no("masked: it cannot be enabled before `masked: false` is declared"), Told::Yes),
        "masked-runtime" => (no("masked until the next boot"), no("masked until the next boot only")),
        "static" => (no("static: the unit has no [Install] section and cannot be enabled"), Told::no()),
        // From a script in /etc/init.d: its links decide.
        "generated" => (Told::when(started.contains(name.strip_suffix(".service").unwrap_or(name))), Told::no()),
        "transient" => (no("transient: it was made at run time and cannot be enabled"), Told::no()),
        "bad" => (Told::Unknown("its unit file cannot be read".to_owned()), Told::no()),
        _ => (Told::no(), Told::no()),
    }
}

fn activity(active: &str, sub: &str, result: &str) -> Told {
    match active {
        "active" | "reloading" | "refreshing" => Told::Yes,
        "inactive" => Told::no(),
        "failed" if result.is_empty() || result == "success" => Told::No("failed".to_owned()),
        "failed" => Told::No(format!("failed ({result})")),
        "activating" if sub == "auto-restart" => Told::No("failing again and again (auto-restart)".to_owned()),
        "activating" => Told::Unknown(format!("is still activating ({sub})")),
        "deactivating" => Told::Unknown(format!("is still deactivating ({sub})")),
        other => Told::Unknown(format!("is {}", clean::shorten(other, 40))),
    }
}

/// `Sat 2026-11-21 09:36:39.728464 UTC`, in microseconds since 1970. Old versions print no fraction.
fn micros(time: &str) -> Option<i64> {
    let mut words = time.split_whitespace().skip(1);
    let (date, clock) = (words.next()?, words.next()?);
    let civil: jiff::civil::DateTime = format!("{date}T{clock}").parse().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_microsecond())
}

/// ` nginx    [  started  ]`, for every script there is.
fn openrc(status: &str, enabled: &str) -> Result<BTreeMap<String, Service>, String> {
    let enabled: BTreeSet<&str> = enabled.lines().collect();
    let mut services = BTreeMap::new();
    for line in status.lines() {
        let Some((name, state)) = line.trim().split_once('[') else { continue };
        let (name, state) = (name.trim(), state.trim_end_matches(']').split_whitespace().next().unwrap_or_default());
        let running = match state {
            "started" => Told::Yes,
            "stopped" | "inactive" => Told::no(),
            "crashed" | "failed" => Told::No(state.to_owned()),
            "starting" | "stopping" => Told::Unknown(format!("is still {state}")),
            other => Told::Unknown(format!("is {}", clean::shorten(other, 40))),
        };
        let service = Service {
            exists: true,
            enabled: Told::when(enabled.contains(name)),
            running,
            masked: Told::no(),
            ..Service::default()
        };
        services.insert(name.to_owned(), service);
    }
    if services.is_empty() { Err("rc-status listed no service".to_owned()) } else { Ok(services) }
}

/// `name status`, by the exit statuses that the Linux Standard Base gives to init scripts; `-` where there is no script.
fn sysv(status: &str, started: &str) -> Result<BTreeMap<String, Service>, String> {
    let started: BTreeSet<&str> = started.lines().collect();
    let mut services = BTreeMap::new();
    for line in status.lines() {
        let Some((name, code)) = line.rsplit_once(' ') else { continue };
        let running = match code {
            "0" => Told::Yes,
            "1" | "2" => Told::No("dead, though it left a pid or lock file".to_owned()),
            "3" => Told::no(),
            "-" => {
                services.insert(name.to_owned(), missing());
                continue;
            }
            other => Told::Unknown(format!("its script's `status` ended with {}", clean::shorten(other, 10))),
        };
        let service = Service {
            exists: true,
            enabled: Told::when(started.contains(name)),
            running,
            masked: Told::no(),
            ..Service::default()
        };
        services.insert(name.to_owned(), service);
    }
    Ok(services)
}
