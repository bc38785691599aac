//! How installed packages are read: one query for all of them, by whichever package manager the host has.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::version::Scheme;
use super::{HOLD, PURGE, VERSION};
use crate::base::clean;
use crate::base::quote;
use crate::resource::{Existence, Observed, Reading, Resource, State};

/// Asks the package manager whose database is in use: rpm may be installed on Debian, and dpkg on Fedora. Sections end with a
/// NUL: its name, what is installed, why that may be wrong, what is held, what was interrupted.
const QUERY: &str = r#"
have() { command -v "$1" >/dev/null 2>&1; }
if have dpkg-query && [ -s /var/lib/dpkg/status ]; then
	all=$(dpkg-query -W -f '${Package}\t${Architecture}\t${db:Status-Status}\t${Version}\t${db:Status-Want}\n' "$@")
	# 1: some of them are not known.
	case $? in 0 | 1) why= ;; *) why=$(dpkg-query -W "$1" 2>&1 >/dev/null) ;; esac
	printf 'apt\000%s\000%s\000\000' "$all" "$why"
	for update in /var/lib/dpkg/updates/[0-9]*; do [ ! -e "$update" ] || { echo interrupted && break; }; done
	# Almost never: a look that costs little comes first, for the list is long.
	if grep -q -e ' half-configured$' -e ' half-installed$' -e ' unpacked$' /var/lib/dpkg/status; then
		sed -n '/^Package: /h;/^Status: .* \(half-configured\|half-installed\|unpacked\)$/{G;s/^.* \([a-z-]*\)\nPackage: /\1 /p;}' /var/lib/dpkg/status
	fi
elif have apk && [ -s /lib/apk/db/installed ]; then
	printf 'apk\000'
	grep '^[PV]:' /lib/apk/db/installed
	case $? in 0 | 1) why= ;; *) why='the package database cannot be read' ;; esac
	printf '\000%s\000' "$why"
	cat /etc/apk/world
	printf '\000'
elif have pacman && [ -s /var/lib/pacman/local/ALPM_DB_VERSION ]; then
	printf 'pacman\000'
	pacman -Q "$@" 2>&1
	printf '\000\000'
	pacman-conf IgnorePkg
	printf '\000'
elif have rpm; then
	if have zypper; then manager=zypper; elif have dnf; then manager=dnf; else manager=yum; fi
	printf '%s\000' "$manager"
	rpm -q --qf '%{NAME}\t%{ARCH}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n' "$@" 2>&1
	printf '\000\000'
	case $manager in
	zypper) cat /etc/zypp/locks ;;
	*) cat /etc/dnf/plugins/versionlock.list /etc/yum/pluginconf.d/versionlock.list /etc/dnf/versionlock.toml ;;
	esac
	printf '\000'
else
	printf 'none\000'
fi
"#;

/// The shell that reads these packages.
pub(super) fn fragment(batch: &[&Resource]) -> String {
    let names: BTreeSet<&str> = batch.iter().map(|resource| resource.identity()).collect();
    format!("set -- {}\n{QUERY}", quote::words(names))
}

/// What the fragment printed, by section.
struct Answer<'a> {
    manager: &'a str,
    installed: Vec<&'a str>,
    why: &'a str,
    held: Vec<&'a str>,
    /// What an interrupted transaction left: packages behind their states, or that there is a journal.
    interrupted: Vec<&'a str>,
}

/// One installed package.
#[derive(Debug, Default)]
struct Installed {
    version: String,
    /// dpkg's word for how far it is installed.
    status: String,
    is_held: bool,
}

/// Reads the answer of [`fragment`].
pub(super) fn read(batch: &[&Resource], answer: &[u8]) -> Vec<Observed> {
    let text = clean::utf8(answer);
    let answer = Answer::of(&text);
    if let Some(why) = answer.trouble() {
        return batch.iter().map(|_| Observed::unknown(why.clone())).collect();
    }
    batch.iter().map(|resource| answer.observed(resource)).collect()
}

/// What there is to say of the package manager itself.
pub(super) fn remarks(answer: &[u8]) -> Vec<String> {
    let text = clean::utf8(answer);
    let left = Answer::of(&text).interrupted;
    let Some(first) = left.first() else { return Vec::new() };
    let mut packages: Vec<String> =
        left.iter().filter_map(|line| line.split_once(' ')).map(|(state, name)| format!("{name} is {state}")).collect();
    let more = packages.split_off(packages.len().min(5)).len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = if packages.is_empty() { (*first).to_owned() } else { packages.join(", ") };
    vec![format!(
        "dpkg has not finished what it began ({what}{more}): if nobody else is at it, the next apply that changes packages finishes \
         it first, or run `dpkg --configure -a`"
    )]
}

impl<'a> Answer<'a> {
    fn of(text: &'a str) -> Self {
        let mut sections = text.split('\0');
        let mut section = || sections.next().unwrap_or_default();
        Self {
            manager: section(),
            installed: section().lines().collect(),
            why: section().trim(),
            held: section().lines().map(str::trim).collect(),
            interrupted: section().lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
        }
    }

    /// Why nothing can be told of any package.
    fn trouble(&self) -> Option<String> {
        match self.manager {
            "none" => Some("no package manager that is known here: dpkg, rpm, apk or pacman".to_owned()),
            "" => Some("the package manager did not answer".to_owned()),
            _ if !self.why.is_empty() => Some(clean::shorten(self.why, 300).into_owned()),
            "dnf" | "yum" | "zypper" => self.complaint(|_| false),
            "pacman" => self.complaint(|line| line.ends_with("was not found")),
            _ => None,
        }
    }

    /// The first error in the list of packages that does not only say that one is missing.
    fn complaint(&self, is_expected: impl Fn(&str) -> bool) -> Option<String> {
        let mut errors = self.installed.iter().filter(|line| line.starts_with("error:"));
        errors.find(|line| !is_expected(line)).map(|line| clean::shorten(line, 300).into_owned())
    }

    fn observed(&self, resource: &Resource) -> Observed {
        let name = resource.identity();
        let manager = ("manager", Reading::Is(self.manager.into()));
        let found = match self.manager {
            "apt" => self.dpkg(name),
            "apk" => self.apk(name),
            "pacman" => self.pacman(name),
            _ => self.rpm(name),
        };
        let mut observed = match found {
            None if !self.says_absent(name) => Observed::unknown(format!("{} said nothing of it", self.manager)),
            None => Observed::absent(),
            Some(found) => {
                let mut observed = Observed::present([
                    (VERSION.name, Reading::Is(found.version.into())),
                    (HOLD.name, Reading::Is(found.is_held.into())),
                    ("status", Reading::Is(found.status.as_str().into())),
                ]);
                observed.existence = existence(&found.status, resource);
                observed
            }
        };
        observed.readings.extend([manager, ("interrupted", Reading::Is((!self.interrupted.is_empty()).into()))]);
        observed
    }

    /// Whether it was said that a package which is in no row is not installed. dpkg and apk list everything they were asked for.
    fn says_absent(&self, name: &str) -> bool {
        let line = match self.manager {
            "apt" | "apk" => return true,
            "pacman" => format!("error: package '{name}' was not found"),
            _ => format!("package {name} is not installed"),
        };
        self.installed.contains(&line.as_str())
    }

    fn dpkg(&self, name: &str) -> Option<Installed> {
        let (name, arch) = name.split_once(':').map_or((name, None), |(name, arch)| (name, Some(arch)));
        let rows = self.installed.iter().filter_map(|line| {
            let mut columns = line.split('\t');
            let mut column = || columns.next();
            let is_it = column()? == name;
            let its_arch = column()?;
            let (status, version, want) = (column()?, column()?, column()?);
            let fits =
                arch.is_none_or(|arch| arch == its_arch || its_arch == "all" || arch == "native" || arch == "any");
            let is_there = is_it && fits && status != "not-installed";
            let (status, version) = (status.to_owned(), version.to_owned());
            is_there.then(|| Installed { version, status, is_held: want == "hold" })
        });
        // Of several architectures: one that is whole.
        rows.max_by_key(|row| row.status == "installed")
    }

    fn rpm(&self, name: &str) -> Option<Installed> {
        let rows = self.installed.iter().filter_map(|line| {
            let mut columns = line.split('\t');
            let (its_name, arch, version) = (columns.next()?, columns.next()?, columns.next()?);
            let is_it =
                its_name == name || name.strip_prefix(its_name).and_then(|rest| rest.strip_prefix('.')) == Some(arch);
            // Epoch 0 is what everybody leaves out.
            is_it.then(|| version.strip_prefix("0:").unwrap_or(version).to_owned())
        });
        // Kernels are there in several versions: the newest counts.
        let newest = rows.reduce(|a, b| if Scheme::Rpm.compare(&a, &b) == Ordering::Less { b } else { a });
        newest.map(|version| Installed { version, status: String::new(), is_held: self.rpm_is_held(name) })
    }

    /// versionlock lists hold `name-epoch:version-release.arch` (dnf 4, yum) or `name = "…"` (dnf 5); zypper's locks
    /// `solvable_name: …`.
    fn rpm_is_held(&self, name: &str) -> bool {
        self.held.iter().any(|line| {
            let versioned = line.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
            versioned.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '*'))
                || line.strip_prefix("solvable_name:").is_some_and(|locked| locked.trim() == name)
                || line
                    .strip_prefix("name")
                    .and_then(|rest| rest.trim_start().strip_prefix('='))
                    .is_some_and(|locked| locked.trim().trim_matches('"') == name)
        })
    }

    fn pacman(&self, name: &str) -> Option<Installed> {
        let row = self.installed.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let is_held = self.held.contains(&name);
        row.map(|version| Installed { version: version.trim().to_owned(), status: String::new(), is_held })
    }

    fn apk(&self, name: &str) -> Option<Installed> {
        let mut lines = self.installed.iter();
        lines.find(|line| line.strip_prefix("P:") == Some(name))?;
        let version = lines.next()?.strip_prefix("V:")?.to_owned();
        // What /etc/apk/world asks for in one exact version stays in it.
        let pin = |line: &&&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        Some(Installed { version, status: String::new(), is_held: self.held.iter().find(pin).is_some() })
    }
}

/// What is neither whole nor gone is due whichever is declared.
fn existence(status: &str, resource: &Resource) -> Existence {
    let wants_present = resource.state == State::Present;
    match status {
        "" | "installed" | "triggers-awaited" | "triggers-pending" => Existence::Present,
        "config-files" if wants_present || resource.truth(&PURGE) != Some(true) => Existence::Absent,
        _ if wants_present => Existence::Absent,
        _ => Existence::Present,
    }
}
