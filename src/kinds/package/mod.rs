//! A package of the distribution: installed in a version that will do, held back, or gone.
//!
//! # What it declares
//! The name of a package as the distribution's package manager knows it (`nginx`, on Debian also `libc6:i386`). By default it
//! shall be installed, in whatever version: what is installed is not upgraded behind your back. `version` says which versions
//! will do: `>=1.18`, `>=1.18, <2` (all of them), or one exactly. **An epoch or a revision that a constraint does not name does
//! not count**: `1.22.1` is satisfied by `1.22.1-9+deb12u1`, and `>=9.2` is not satisfied by `1:7.9p1-10`. Versions are ordered as
//! the host's own package manager orders them (dpkg, rpm, pacman, apk).
//!
//! # What is read
//! One query for all packages: `dpkg-query`, `rpm -q`, `pacman -Q` or apk's database. Whether a package is held comes from the
//! same query, from dnf's versionlock or zypper's locks, from pacman's `IgnorePkg`, or from an exact version in
//! `/etc/apk/world`. A package that is unpacked but not configured is not installed, and not gone either.
//!
//! # What is changed
//! Packages that are due and stand next to each other are one transaction. Every name and version is resolved before it begins:
//! `no package 'ngnix' in the package lists`. The lists are refreshed once if a name is missing in them or the sources are newer.
//! Nobody is asked anything; configuration files that were changed by hand are kept (`--force-confdef --force-confold`). A
//! package is downgraded only if its constraint demands it. **Nothing undeclared is removed**: a transaction that would is refused, and
//! says what it would remove. What an interrupted transaction left, also of packages that nobody declared, is noted by every verb
//! and finished first (`dpkg --configure -a`); the step says so. A lock is waited for up to a minute.
//!
//! dnf, yum, zypper, apk and pacman choose the newest version below the upper bound of `version`. yum and dnf hold by their
//! versionlock plugin, which must be installed; pacman cannot hold.
//!
//! A held package is changed or removed only if `hold` is declared with it (`hold: false` also beside `state: absent`).
//!
//! # Example
//! ```yaml
//! - package: [curl, rsync]
//! - package: nginx
//!   version: ">=1.18, <2"
//!   hold: true
//! - package: telnetd
//!   state: absent
//!   purge: true
//! ```

mod apt;
mod others;
mod plan;
mod reading;
mod version;

use plan::Plan;
use version::{Constraint, Scheme};

use crate::base::quote;
use crate::base::value::Value;
use crate::resource::{
    Answer, Attribute, Due, Example, Identity, Kind, Mistake, Need, Observed, Reading, Resource, Spoil, State, Step,
    Table, Type, Work,
};

const VERSION: Attribute = Attribute::state(
    "version",
    Type::Version,
    "Which versions will do: `>=1.18`, `>=1.18, <2`, or exactly `1.22.1`. An epoch or revision that is not named does not count.",
);
const HOLD: Attribute = Attribute::state(
    "hold",
    Type::Bool,
    "Whether upgrades leave the package alone (`apt-mark hold`, versionlock, `addlock`).",
);
const PURGE: Attribute = Attribute::act(
    "purge",
    Type::Bool,
    "With `state: absent`: whether its configuration files go too. Default: false. rpm has no such thing.",
);
const RECOMMENDS: Attribute = Attribute::act(
    "recommends",
    Type::Bool,
    "Whether what the package recommends is installed with it. Default: true, as Debian does.",
);

static TABLE: Table = Table {
    name: "package",
    summary: "a package of the distribution",
    source: include_str!("mod.rs"),
    identity: Identity { name: "name", ty: Type::Text, doc: "The package's name; for dpkg also `name:architecture`." },
    in_roles: true,
    in_specs: true,
    has_state: true,
    attributes: &[VERSION, HOLD, PURGE, RECOMMENDS],
    examples: &[
        Example {
            yaml: "- package: snow-hello\n  version: \">=1, <2\"\n  hold: true\n",
            spoils: &[
                Spoil {
                    address: "package:snow-hello#state",
                    spoil: "dpkg --remove snow-hello",
                    oracle: "dpkg-query -W -f '${db:Status-Status}' snow-hello | grep -qx installed",
                },
                Spoil {
                    address: "package:snow-hello#version",
                    spoil: "apt-get install -y --allow-change-held-packages snow-hello=2.0 && apt-mark hold snow-hello",
                    oracle: "dpkg-query -W -f '${Version}' snow-hello | grep -qx 1.0",
                },
                Spoil {
                    address: "package:snow-hello#hold",
                    spoil: "apt-mark unhold snow-hello",
                    oracle: "apt-mark showhold | grep -qx snow-hello",
                },
            ],
        },
        Example {
            yaml: "- package: snow-order\n  state: absent\n  purge: true\n",
            spoils: &[Spoil {
                address: "package:snow-order#state",
                spoil: "apt-get update && apt-get install -y snow-order",
                oracle: "! dpkg-query -W -f '${db:Status-Status}' snow-order 2>/dev/null | grep -qx installed",
            }],
        },
    ],
};

/// Packages whose scripts touch the way in, or whose absence closes it.
const WAYS_IN: &[&str] = &[
    "openssh-server",
    "openssh",
    "dropbear",
    "dropbear-bin",
    "sudo",
    "doas",
    "opendoas",
    "sssd",
    "libpam-modules",
    "libpam-runtime",
    "pam",
    "nftables",
    "iptables",
    "iptables-persistent",
    "iptables-services",
    "ufw",
    "firewalld",
    "ifupdown",
    "netplan.io",
    "network-manager",
    "NetworkManager",
];

/// The kind `package`.
pub(super) struct Package;

impl Kind for Package {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut add = |attribute: Option<&Attribute>, message: String, hint: &str| {
            mistakes.push(Mistake { attribute: attribute.map(|a| a.name), message, hint: Some(hint.to_owned()) });
        };
        let name = resource.identity();
        if !is_name(name) {
            let hint =
                "letters, digits, `+`, `-`, `.` and `_`, and for dpkg `:` and an architecture; no pattern, no version";
            add(None, format!("`{name}` is no name of a package"), hint);
        }
        if let Some(text) = resource.text(&VERSION) {
            match Constraint::parse_all(text) {
                Err(why) => add(Some(&VERSION), why, "write `>=1.18`, `>=1.18, <2` or `1.22.1`"),
                Ok(all) if all.iter().filter(|one| one.relation.is_upper()).count() > 1 => {
                    add(Some(&VERSION), "more than one upper bound".to_owned(), "keep the lower one");
                }
                Ok(_) => {}
            }
        }
        let absent = resource.state == State::Absent;
        for attribute in [&VERSION, &HOLD, &RECOMMENDS] {
            // `hold: false` lets go of one that is held, so that it can be removed.
            let is_release = attribute.name == HOLD.name && resource.truth(&HOLD) == Some(false);
            if absent && !resource.is_check && resource.want(attribute).is_some() && !is_release {
                let message = format!("`{}` says nothing of a package that shall be absent", attribute.name);
                add(Some(attribute), message, "leave it out");
            }
        }
        if !absent && resource.want(&PURGE).is_some() {
            add(
                Some(&PURGE),
                "`purge` is for packages that shall be absent".to_owned(),
                "add `state: absent`, or leave it out",
            );
        }
        mistakes
    }

    fn fragment(&self, batch: &[&Resource]) -> String {
        reading::fragment(batch)
    }

    fn read(&self, batch: &[&Resource], answer: &Answer<'_>) -> Vec<Observed> {
        reading::read(batch, answer.text)
    }

    fn remarks(&self, answer: &[u8]) -> Vec<String> {
        reading::remarks(answer)
    }

    fn steps(&self, due: &[Due<'_>]) -> Vec<Step> {
        let manager = due.iter().find_map(|one| match one.observed.reading("manager") {
            Some(Reading::Is(Value::Text(manager))) => Some(manager.as_str()),
            _ => None,
        });
        let manager = manager.unwrap_or_default();
        let plan = Plan::of(due);
        let shell = if manager == "apt" { Some(apt::shell(&plan)) } else { others::shell(&plan, manager) };
        let shell = shell.unwrap_or_else(|| "fail 'no package manager that is known here'\n".to_owned());
        vec![Step { items: (0..due.len()).collect(), title: plan.title(), work: Work::Shell(shell) }]
    }

    fn may_lock_out(&self, resource: &Resource, _user: &str) -> bool {
        WAYS_IN.contains(&resource.identity())
    }

    fn provides(&self, resource: &Resource, _need: &Need) -> bool {
        resource.state == State::Present
    }

    fn watch(&self, resource: &Resource) -> Option<String> {
        Some(format!("name={}\n{WATCH}", quote::sh(resource.identity())))
    }

    fn version_holds(&self, constraints: &str, version: &str, manager: &str) -> Result<bool, String> {
        let scheme = Scheme::of(manager).ok_or_else(|| format!("versions of {manager} are not known here"))?;
        let constraints = Constraint::parse_all(constraints)?;
        Ok(constraints.iter().all(|one| one.holds(version, scheme)))
    }
}

/// When a package was last unpacked. apk keeps no such time: there, only the version tells.
const WATCH: &str = r#"if [ -s /var/lib/dpkg/status ]; then
	version=$(dpkg-query -W -f '${Version} ' "$name" 2>/dev/null)
	for list in "/var/lib/dpkg/info/$name.list" "/var/lib/dpkg/info/$name":*.list; do
		[ ! -e "$list" ] || echo "$(stat -c %.9Y "$list") ${version%% *} $name"
	done
elif [ -s /lib/apk/db/installed ]; then
	sed -n "/^P:$name\$/{n;s/^V:\(.*\)/0 \1 $name/p;}" /lib/apk/db/installed
elif [ -s /var/lib/pacman/local/ALPM_DB_VERSION ]; then
	version=$(pacman -Q "$name" | cut -d ' ' -f 2)
	[ -z "$version" ] || echo "$(stat -c %Y "/var/lib/pacman/local/$name-$version/desc") $version $name"
else
	rpm -q --qf '%{INSTALLTIME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{NAME}\n' "$name" | grep '^[0-9]'
fi
"#;

/// What every package manager takes for one name and nothing else: no option, pattern, version, or apt's `name-` for "remove".
fn is_name(name: &str) -> bool {
    let (base, arch) = name.split_once(':').unwrap_or((name, "any"));
    let fits = |c: char| c.is_ascii_alphanumeric() || "+._-".contains(c);
    base.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && base.chars().all(fits)
        && !base.ends_with('-')
        && !arch.is_empty()
        && arch.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Existence;
    use crate::resource::testing::{absent, assert_parses, everywhere, resource, said, shell, steps_together};

    fn package(name: &str, values: &[(&'static str, Value)]) -> Resource {
        resource(&Package, name, values)
    }

    /// Where dpkg is dpkg, and not an applet of busybox.
    fn with_hosts_tools(script: &str) -> Vec<(String, Vec<u8>)> {
        everywhere(script).into_iter().filter(|(name, _)| name.ends_with(" host")).collect()
    }

    fn read_one(resource: &Resource, answer: &str) -> Observed {
        Package.read(&[resource], &said(answer.as_bytes())).remove(0)
    }

    fn text(observed: &Observed, attribute: &str) -> String {
        match observed.reading(attribute) {
            Some(Reading::Is(value)) => value.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_shell_reads_this_machines_packages() {
        let mut resources: Vec<Resource> = (0..1000).map(|n| package(&format!("no-such-package-{n}"), &[])).collect();
        resources.push(package("dpkg", &[]));
        resources.push(package("libc6", &[]));
        let batch: Vec<&Resource> = resources.iter().collect();
        for (shell, answer) in with_hosts_tools(&Package.fragment(&batch)) {
            let observed = Package.read(&batch, &said(&answer));
            assert_eq!(observed.len(), 1002, "{shell}");
            assert!(observed[..1000].iter().all(|one| one.existence == Existence::Absent), "{shell}");
            assert_eq!(observed[1000].existence, Existence::Present, "{shell}");
            assert!(!text(&observed[1001], "version").is_empty(), "{shell}");
            assert_eq!(text(&observed[1000], "manager"), "apt", "{shell}");
        }
    }

    #[test]
    fn dpkgs_answers() {
        let answer = "apt\0cron\tamd64\tinstalled\t3.0pl1-162\tinstall\nlibc6\tamd64\tinstalled\t2.36-9\thold\n\
            libc6\ti386\tconfig-files\t2.36-8\tdeinstall\nmta\t\tnot-installed\t\tunknown\nhalf\tall\thalf-configured\t1.0\tinstall\n\
            gone\tall\tconfig-files\t1.0\tdeinstall\n\0\0\0interrupted\n";
        let read = |name: &str| read_one(&package(name, &[]), answer);
        assert_eq!(
            (text(&read("cron"), "version"), text(&read("cron"), "hold")),
            ("3.0pl1-162".into(), "false".into())
        );
        assert_eq!((text(&read("libc6"), "version"), text(&read("libc6"), "hold")), ("2.36-9".into(), "true".into()));
        for name in ["mta", "nginx", "half", "gone", "libc6:i386"] {
            assert_eq!(read(name).existence, Existence::Absent, "{name}");
        }
        assert_eq!(text(&read("cron"), "interrupted"), "true");
        let purged = |name| read_one(&absent(package(name, &[("purge", true.into())])), answer).existence;
        assert_eq!(
            (purged("gone"), purged("half"), purged("nginx")),
            (Existence::Present, Existence::Present, Existence::Absent)
        );
        assert_eq!(read_one(&absent(package("gone", &[])), answer).existence, Existence::Absent);
    }

    /// Taken down from the tools: rpm 4.18.0 with a database that holds one nginx and two kernels, pacman 6.0.2 with none.
    #[test]
    fn what_rpm_and_pacman_really_print() {
        let rpm = "yum\0nginx\tnoarch\t2:1.20.1-14.el9\npackage nope is not installed\n\
            kernelx\tnoarch\t0:5.14.0-70.el9\nkernelx\tnoarch\t0:5.14.0-362.el9\nnginx\tnoarch\t2:1.20.1-14.el9\n\0\0\0";
        let read = |name: &str, answer: &str| read_one(&package(name, &[]), answer);
        for name in ["nginx", "nginx.noarch"] {
            assert_eq!(text(&read(name, rpm), "version"), "2:1.20.1-14.el9", "{name}");
        }
        assert_eq!(text(&read("kernelx", rpm), "version"), "5.14.0-362.el9");
        assert_eq!(read("nope", rpm).existence, Existence::Absent);
        let pacman = "pacman\0error: package 'nope' was not found\n\0\0\0";
        assert_eq!(read("nope", pacman).existence, Existence::Absent);
    }

    #[test]
    fn rpms_pacmans_and_apks_answers() {
        let rpm = "dnf\0nginx\tx86_64\t2:1.20.1-14.el9\npackage nope is not installed\nkernel\tx86_64\t0:5.14.0-70.el9\n\
            kernel\tx86_64\t0:5.14.0-362.el9\n\0\0nginx-2:1.20.1-14.el9.*\n\0";
        let read = |name: &str, answer: &str| read_one(&package(name, &[]), answer);
        assert_eq!(text(&read("nginx", rpm), "version"), "2:1.20.1-14.el9");
        assert_eq!(
            (text(&read("nginx", rpm), "hold"), text(&read("kernel", rpm), "hold")),
            ("true".into(), "false".into())
        );
        assert_eq!(text(&read("kernel.x86_64", rpm), "version"), "5.14.0-362.el9");
        assert_eq!(read("nope", rpm).existence, Existence::Absent);
        let zypper = "zypper\0nginx\tx86_64\t0:1.21.5-1\n\0\0type: package\nsolvable_name: nginx\n\0";
        assert_eq!(text(&read("nginx", zypper), "hold"), "true");
        let dnf5 = "dnf\0nginx\tx86_64\t0:1.26-1\n\0\0[[packages]]\nname = \"nginx\"\n\0";
        assert_eq!(text(&read("nginx", dnf5), "hold"), "true");
        let pacman = "pacman\0nginx 1.26.1-2\nerror: package 'nope' was not found\n\0\0nginx\n\0";
        assert_eq!(
            (text(&read("nginx", pacman), "version"), text(&read("nginx", pacman), "hold")),
            ("1.26.1-2".into(), "true".into())
        );
        assert_eq!(read("nope", pacman).existence, Existence::Absent);
        let apk = "apk\0P:musl\nV:1.2.4-r2\nP:nginx\nV:1.24.0-r6\n\0\0nginx=1.24.0-r6\nmusl\n\0";
        assert_eq!(
            (text(&read("nginx", apk), "version"), text(&read("nginx", apk), "hold")),
            ("1.24.0-r6".into(), "true".into())
        );
        assert_eq!(
            (text(&read("musl", apk), "hold"), read("nope", apk).existence),
            ("false".into(), Existence::Absent)
        );
    }

    #[test]
    fn a_database_that_cannot_be_read_is_unknown_and_never_absent() {
        for (answer, why) in [
            ("", "did not answer"),
            ("none\0", "no package manager"),
            ("apt\0\0dpkg-query: error: parsing file '/var/lib/dpkg/status'\0\0", "parsing file"),
            (
                "dnf\0error: cannot open Packages database in /var/lib/rpm\npackage nginx is not installed\n\0\0\0",
                "cannot open",
            ),
            ("pacman\0error: failed to initialize alpm library\n\0\0\0", "alpm"),
        ] {
            let observed = read_one(&package("nginx", &[]), answer);
            assert!(matches!(&observed.existence, Existence::Unknown(text) if text.contains(why)), "{observed:?}");
        }
    }

    #[test]
    fn a_tool_that_is_not_what_its_name_says_is_unknown() {
        // busybox has an applet `rpm` that knows no --qf.
        for answer in ["yum\0rpm: invalid option\nUsage: rpm -i\n\0\0\0", "pacman\0usage\n\0\0\0", "dnf\0\0\0\0"] {
            let observed = read_one(&package("nginx", &[]), answer);
            assert!(
                matches!(&observed.existence, Existence::Unknown(why) if why.contains("said nothing")),
                "{observed:?}"
            );
        }
    }

    #[test]
    fn hostile_names_and_versions_are_refused_before_any_host_sees_them() {
        for name in ["$(id)", "; rm -rf /", "-y", "nginx-", "ngin*", "a b", "nginx=1", "", "a:", "@group", "ä"] {
            assert_eq!(Package.mistakes(&package(name, &[])).len(), 1, "{name}");
        }
        for name in ["g++", "libc6:i386", "python3.11", "libstdc++6", "NetworkManager", "_x"] {
            assert_eq!(Package.mistakes(&package(name, &[])), [], "{name}");
        }
        assert_eq!(Package.mistakes(&package("a", &[("version", "1.*".into())])).len(), 1);
        assert_eq!(Package.mistakes(&package("a", &[("version", "<2, 1".into())])).len(), 1);
        assert_eq!(Package.mistakes(&absent(package("a", &[("version", "1".into()), ("hold", true.into())]))).len(), 2);
        assert_eq!(Package.mistakes(&package("a", &[("purge", true.into())])).len(), 1);
        assert_eq!(Package.mistakes(&absent(package("a", &[("hold", false.into())]))), []);
    }

    #[test]
    fn a_hold_is_let_go_of_only_where_that_is_declared() {
        let gone = |values: &[(&'static str, Value)]| {
            let gone = absent(package("libc6", values));
            let held = read_one(&gone, "apt\0libc6\tamd64\tinstalled\t2.36-9\thold\n\0\0\0");
            shell(&steps_together(&[(&gone, &held)]))
        };
        assert!(gone(&[("hold", false.into())]).contains("apt-mark unhold libc6\n"));
        assert!(!gone(&[]).contains("apt-mark unhold"));
    }

    #[test]
    fn one_transaction_for_all_that_is_due() {
        let nginx = package("nginx", &[("version", ">=1.18, <2".into()), ("hold", true.into())]);
        let (curl, exim) =
            (package("curl", &[("recommends", false.into())]), absent(package("exim4", &[("purge", true.into())])));
        for manager in ["apt", "dnf", "yum", "zypper", "apk", "pacman"] {
            let missing = match manager {
                "pacman" => "error: package 'nginx' was not found\n",
                _ => "package nginx is not installed\n",
            };
            let gone = read_one(&nginx, &format!("{manager}\0{missing}\0\0\0"));
            let steps = steps_together(&[(&nginx, &gone), (&curl, &gone), (&exim, &gone)]);
            assert_eq!(steps.len(), 1);
            assert_eq!(steps[0].items, [0, 1, 2]);
            assert_eq!(steps[0].title, "install nginx, curl; purge exim4; hold nginx");
            let shell = shell(&steps);
            assert_parses(&shell);
            let expected: &[&str] = match manager {
                "apt" => &[
                    "resolve nginx curl\n",
                    "choose nginx '>=1.18, <2' ge=1.18 lt=2\n",
                    "install='' remove=' exim4'",
                    "install=' curl' remove='' ",
                    "dpkg --purge exim4\n",
                    "apt-mark hold nginx\n",
                ],
                "dnf" => &[
                    "rpm -e --test exim4\n",
                    "dnf -y install  'nginx < 2'\n",
                    "install_weak_deps=False curl\n",
                    "versionlock add nginx",
                ],
                "yum" => &["yum -y install  'nginx < 2'\n", "yum -y remove exim4\n"],
                "zypper" => &["--oldpackage  'nginx<2'\n", "--no-recommends curl\n", "addlock nginx\n"],
                "apk" => &["add  'nginx<2'\n", "--purge del exim4\n", "apk_hold nginx\n"],
                _ => &["-S --noconfirm --needed  'nginx<2'\n", "pacman -Rn --noconfirm exim4\n", "pacman has no holds"],
            };
            for part in expected {
                assert!(shell.contains(part), "{manager}: {part} in\n{shell}");
            }
        }
    }

    #[test]
    fn what_was_interrupted_is_finished_and_said() {
        let half = package("half", &[]);
        let observed = read_one(&half, "apt\0half\tall\thalf-configured\t1.0\tinstall\n\0\0\0");
        let steps = steps_together(&[(&half, &observed)]);
        assert_eq!(steps[0].title, "finish what was interrupted (dpkg --configure -a)");
        assert!(shell(&steps).contains("\nfinish\n") && !shell(&steps).contains("\ntransaction -o"));
    }

    #[test]
    fn what_was_interrupted_is_remarked_whoever_is_declared() {
        let remarks =
            |left: &str| Package.remarks(format!("apt\0cron\tamd64\tinstalled\t3\tinstall\n\0\0\0{left}").as_bytes());
        assert_eq!(remarks(""), [""; 0]);
        assert!(remarks("interrupted\n")[0].contains("(interrupted)"));
        let many: String = (0..9).map(|number| format!("half-configured p{number}\n")).collect();
        let remark = remarks(&format!("interrupted\n{many}")).remove(0);
        assert!(
            remark.contains("(p0 is half-configured, p1") && remark.contains("p4 is half-configured and 4 more)"),
            "{remark}"
        );
        assert_eq!(Package.remarks(b"dnf\0nginx\tx86_64\t2:1.20.1-14.el9\n\0\0\0"), [""; 0]);
        assert_eq!(Package.remarks(b""), [""; 0]);
    }

    #[test]
    fn tells_when_a_package_was_unpacked() {
        let watch = Package.watch(&package("dpkg", &[])).unwrap();
        for (shell, answer) in with_hosts_tools(&watch) {
            let answer = String::from_utf8(answer).unwrap();
            let words: Vec<&str> = answer.split_whitespace().collect();
            assert!(words.len() == 3 && words[0].parse::<f64>().is_ok() && words[2] == "dpkg", "{shell}: {answer}");
        }
        for (_, answer) in with_hosts_tools(&Package.watch(&package("no-such-package", &[])).unwrap()) {
            assert_eq!(answer, b"");
        }
    }
}
