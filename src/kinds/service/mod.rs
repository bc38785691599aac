//! A service (or another unit) of the init system: whether it starts with the host, whether it runs, and whether it runs with the
//! configuration that is on disk.
//!
//! # What it declares
//! A unit as systemd knows it: `nginx` is `nginx.service`; timers, sockets, mounts and instances are written out
//! (`backup.timer`, `app@blue`). `enabled`, `running` and `masked` are held against the host; what is not written is not
//! managed. `reload_on` and `restart_on` name what the service takes its configuration from: files on disk (they begin with
//! `/`; `/etc/nginx/**` is everything below) or declared resources (`package:nginx`).
//!
//! # What is read
//! One `systemctl is-active` for units of which only `running` is declared, one `systemctl show` for all others, and for what is
//! not simply active; from many units on, `systemctl list-units` and `list-unit-files`, which is quicker. A
//! unit that is still starting or stopping is unknown, one that fails again and again does not run. A unit that is not there
//! is neither enabled nor running: that is not as declared, or undecided where an earlier resource is due that may provide it.
//!
//! Whether a service runs its configuration is a state, not an event: it is due for a reload or restart while something it
//! watches is newer than what it runs. That survives a run that dies half-way, and finds the file that somebody changed by
//! hand without a reload.
//!
//! What a run of ours changed, or left undone, is reloaded or restarted without a question. What was so before us is reloaded, but
//! not restarted: nobody's first `apply` restarts the database. It is `left`, in a plan as well, until it is named:
//! `snowmelt apply --restart service:NAME`. When something it watches is due in the same run, it is refreshed for that.
//!
//! Under OpenRC `rc-status` and the runlevels are read; with init scripts, each script's `status` and the links in
//! `/etc/rc?.d`. There, nothing tells since when a service runs its configuration: only what a run of ours changes is reloaded.
//!
//! # What is changed
//! Services that are due and stand next to each other are enabled together and started together. Units that changed on disk are
//! read again first (`daemon-reload`). A reload or restart comes once, after the last watched resource, and only if `validate`
//! succeeds with everything in place; if it fails, what this run changed is put back. What cannot reload is restarted, and
//! the output says so. A service that does not run afterwards is a failure, with the last lines of its journal.
//!
//! # Example
//! ```yaml
//! - service: nginx
//!   enabled: true
//!   running: true
//!   validate: nginx -t
//!   reload_on: [/etc/nginx/**]
//!   restart_on: [package:nginx]
//! - service: apt-daily.timer
//!   masked: true
//!   running: false
//! ```

mod acting;
mod reading;

use crate::resource::{
    Answer, Attribute, Due, Example, Identity, Kind, Mistake, Need, Observed, Refresh, Resource, Spoil, Step, Table,
    TakenBack, Type, Work,
};

const ENABLED: Attribute = Attribute::state("enabled", Type::Bool, "Whether it starts with the host.");
const RUNNING: Attribute = Attribute::state("running", Type::Bool, "Whether it runs (systemd: is active).");
const MASKED: Attribute =
    Attribute::state("masked", Type::Bool, "Whether it cannot be started at all, by nobody and nothing. systemd only.");
const VALIDATE: Attribute = Attribute::act(
    "validate",
    Type::Command,
    "A command that must succeed, with all that is watched in place, before a reload or restart: `nginx -t`.",
);
const RELOAD_ON: Attribute = Attribute::act(
    "reload_on",
    Type::Watch,
    "What it is reloaded for: paths (globs) on the host, addresses of resources.",
);
const RESTART_ON: Attribute = Attribute::act(
    "restart_on",
    Type::Watch,
    "What it is restarted for: paths (globs) on the host, addresses of resources.",
);

static TABLE: Table = Table {
    name: "service",
    summary: "a service of the init system: enabled, running, current",
    source: include_str!("mod.rs"),
    identity: Identity { name: "name", ty: Type::Text, doc: "The unit; without a suffix, `.service` is meant." },
    in_roles: true,
    in_specs: true,
    has_state: false,
    attributes: &[ENABLED, RUNNING, MASKED, VALIDATE, RELOAD_ON, RESTART_ON],
    examples: &[
        Example {
            yaml: "- file: /etc/systemd/system/ex-service.service\n  content: |\n    [Service]\n    ExecStart=/bin/sleep infinity\n    [Install]\n    \
                   WantedBy=multi-user.target\n- service: ex-service\n  enabled: true\n  running: true\n",
            spoils: &[
                Spoil {
                    address: "service:ex-service#enabled",
                    spoil: "systemctl disable ex-service",
                    oracle: "systemctl is-enabled -q ex-service",
                },
                Spoil {
                    address: "service:ex-service#running",
                    spoil: "systemctl stop ex-service",
                    oracle: "systemctl is-active -q ex-service",
                },
            ],
        },
        Example {
            yaml: "- service: systemd-tmpfiles-clean.timer\n  masked: true\n  running: false\n",
            spoils: &[Spoil {
                address: "service:systemd-tmpfiles-clean.timer#masked",
                spoil: "systemctl unmask systemd-tmpfiles-clean.timer",
                oracle: "test \"$(systemctl is-enabled systemd-tmpfiles-clean.timer)\" = masked",
            }],
        },
    ],
};

/// Services without which, or with other settings of which, nobody may get in: logins, packet filters, the network.
const WAYS_IN: &[&str] = &[
    "ssh",
    "sshd",
    "dropbear",
    "sssd",
    "nslcd",
    "nftables",
    "iptables",
    "ip6tables",
    "netfilter-persistent",
    "ufw",
    "firewalld",
    "networking",
    "network",
    "systemd-networkd",
    "NetworkManager",
];

/// The kind `service`.
pub(super) struct Service;

impl Kind for Service {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut add = |attribute: Option<&Attribute>, message: String, hint: &str| {
            mistakes.push(Mistake { attribute: attribute.map(|a| a.name), message, hint: Some(hint.to_owned()) });
        };
        let name = resource.identity();
        if !is_unit(name) {
            let hint = "letters, digits and `:-_.\\@`; of a template, an instance: `app@blue`";
            add(None, format!("`{name}` is no name of a unit"), hint);
        }
        if resource.truth(&MASKED) == Some(true) {
            for attribute in [&ENABLED, &RUNNING] {
                if resource.truth(attribute) == Some(true) {
                    let message = format!("what is masked cannot be {}", attribute.name);
                    add(Some(attribute), message, "a masked unit can be started by nobody; leave one of them out");
                }
            }
        }
        let watches = [&RELOAD_ON, &RESTART_ON].iter().any(|attribute| resource.want(attribute).is_some());
        if resource.want(&VALIDATE).is_some() && !watches {
            let hint = "add `reload_on` or `restart_on` with the files that it validates";
            add(Some(&VALIDATE), "nothing is validated: the service watches nothing".to_owned(), hint);
        }
        if !watches && resource.compared().next().is_none() {
            let hint = "add `enabled: true`, `running: true`, `reload_on` or `restart_on`";
            add(None, "this says nothing about the service".to_owned(), hint);
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
        let (shell, title) = acting::change(due);
        vec![Step { items: (0..due.len()).collect(), title, work: Work::Shell(shell) }]
    }

    fn provides(&self, resource: &Resource, need: &Need) -> bool {
        matches!(need, Need::File(_) | Need::Parent(_)) && resource.truth(&RUNNING) == Some(true)
    }

    fn may_lock_out(&self, resource: &Resource, _user: &str) -> bool {
        let name = resource.identity();
        let name = name.strip_suffix(".service").or_else(|| name.strip_suffix(".socket")).unwrap_or(name);
        WAYS_IN.contains(&name)
    }

    fn taken_back(&self, due: &Due<'_>) -> TakenBack {
        TakenBack::By(acting::taken_back(due))
    }

    fn refresh(&self, resource: &Resource, how: Refresh) -> Option<String> {
        acting::refresh(resource.identity(), how)
    }

    fn invocation(&self, resource: &Resource) -> Option<String> {
        Some(acting::invocation(resource.identity()))
    }

    fn validation<'a>(&self, resource: &'a Resource) -> Option<&'a str> {
        resource.text(&VALIDATE)
    }
}

/// The name of the unit that is meant.
fn unit(name: &str) -> String {
    const SUFFIXES: [&str; 11] =
        ["service", "socket", "timer", "mount", "automount", "swap", "target", "path", "slice", "scope", "device"];
    match name.rsplit_once('.') {
        Some((_, suffix)) if SUFFIXES.contains(&suffix) => name.to_owned(),
        _ => format!("{name}.service"),
    }
}

/// What systemd takes for a unit's name (systemd.unit(5)), and no option, pattern or template.
fn is_unit(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let unit = unit(name);
    let stem = unit.rsplit_once('.').map_or("", |(stem, _)| stem);
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= 255
        && name.chars().all(fits)
        && !stem.is_empty()
        && !stem.ends_with('@')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::value::Value;
    use crate::resource::testing::{assert_parses, everywhere, resource, said, shell, steps_together};
    use crate::resource::{Existence, Reading, RunsSince};

    fn service(name: &str, values: &[(&'static str, Value)]) -> Resource {
        resource(&Service, name, values)
    }

    fn both(name: &str, truth: bool) -> Resource {
        service(name, &[("enabled", truth.into()), ("running", truth.into()), ("masked", truth.into())])
    }

    fn read_one(resource: &Resource, answer: &str) -> Observed {
        Service.read(&[resource], &said(answer.as_bytes())).remove(0)
    }

    /// What `systemctl show` of systemd 252 prints, with these properties.
    fn shown(unit: &str, properties: &str) -> String {
        let defaults = "Type=notify\nResult=success\nReloadResult=success\nLoadState=loaded\nActiveState=active\nSubState=running\n\
            UnitFileState=enabled\nStateChangeTimestamp=Sat 2026-11-21 09:36:40.728464 UTC\n\
            ActiveEnterTimestamp=Sat 2026-11-21 09:36:39.728464 UTC\nInvocationID=db3096";
        let overridden = |line: &&str| !properties.lines().any(|p| p.split('=').next() == line.split('=').next());
        let kept: Vec<&str> = defaults.lines().filter(overridden).collect();
        format!("systemd\0{unit}\0Id={unit}\n{}\n{properties}\n\0cron\n\0\0\0", kept.join("\n"))
    }

    fn readings(observed: &Observed) -> [String; 3] {
        ["enabled", "running", "masked"].map(|name| match observed.reading(name) {
            Some(Reading::Is(value)) => value.to_string(),
            Some(Reading::Unknown(why)) => format!("unknown: {why}"),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn systemds_answers() {
        let cases: &[(&str, [&str; 3], [&str; 3])] = &[
            ("", ["true", "true", "false"], ["true", "true", "false"]),
            ("UnitFileState=disabled\nActiveState=inactive\nSubState=dead", ["false", "false", "false"], ["false"; 3]),
            ("UnitFileState=indirect", ["false", "true", "false"], ["false", "true", "false"]),
            (
                "UnitFileState=static\nActiveState=failed\nResult=exit-code",
                ["static: the unit has no [Install] section and cannot be enabled", "failed (exit-code)", "false"],
                ["false"; 3],
            ),
            ("UnitFileState=generated", ["true", "true", "false"], ["true", "true", "false"]),
            (
                "UnitFileState=masked\nLoadState=masked\nActiveState=inactive",
                [
                    "masked: it cannot be enabled before `masked: false` is declared",
                    "stopped, and masked: nothing starts it before `masked: false` is declared",
                    "true",
                ],
                ["false", "false", "true"],
            ),
            (
                "ActiveState=activating\nSubState=start",
                ["true", "unknown: is still activating (start)", "false"],
                ["true", "unknown: is still activating (start)", "false"],
            ),
            (
                "ActiveState=activating\nSubState=auto-restart",
                ["true", "failing again and again (auto-restart)", "false"],
                ["true", "false", "false"],
            ),
            (
                "UnitFileState=enabled-runtime\nActiveState=reloading",
                ["enabled until the next boot only", "true", "false"],
                ["false", "true", "false"],
            ),
            (
                "LoadState=bad-setting\nActiveState=inactive",
                ["true", "stopped, and its unit file cannot be loaded (bad-setting)", "false"],
                ["true", "false", "false"],
            ),
        ];
        for (properties, wanted_true, wanted_false) in cases {
            let answer = shown("cron.service", properties);
            assert_eq!(readings(&read_one(&both("cron", true), &answer)), *wanted_true, "{properties}");
            assert_eq!(readings(&read_one(&both("cron", false), &answer)), *wanted_false, "{properties}");
        }
    }

    #[test]
    fn a_unit_that_is_not_there_is_neither_enabled_nor_running() {
        let answer = shown("no.service", "LoadState=not-found\nActiveState=inactive\nUnitFileState=");
        let denied = read_one(&service("no", &[("enabled", false.into()), ("running", false.into())]), &answer);
        assert_eq!(
            (denied.existence.clone(), readings(&denied)),
            (Existence::Present, ["false"; 3].map(str::to_owned))
        );
        let need = Existence::Unready(Need::Unit("no.service".into()));
        let wanted = read_one(&both("no", true), &answer);
        let no_unit = Some(&Reading::Unready(Need::Unit("no.service".into())));
        assert_eq!([wanted.reading("enabled"), wanted.reading("running")], [no_unit; 2]);
        assert_eq!(wanted.reading("masked"), Some(&Reading::Is(false.into())));
        assert_eq!(read_one(&service("no", &[]), &answer).existence, need);
        let masked = read_one(&service("no", &[("masked", true.into())]), &answer);
        assert_eq!(masked.reading("masked"), Some(&Reading::Is(false.into())));
    }

    #[test]
    fn since_when_it_runs() {
        let runs = |properties: &str| read_one(&both("cron", true), &shown("cron.service", properties)).runs;
        let at = 1_795_253_799_728_464;
        let reloaded = RunsSince {
            configured: at + 1_000_000,
            started: at,
            invocation: "db3096 Sat 2026-11-21 09:36:40.728464 UTC".into(),
        };
        assert_eq!(runs(""), Some(reloaded.clone()));
        assert_eq!(runs("ReloadResult=exit-code").unwrap().configured, at);
        assert_eq!(runs("Type=oneshot"), None);
        assert_eq!(runs("ActiveState=inactive"), None);
        assert_eq!(runs("ActiveEnterTimestamp="), None);
        // systemd 241 has no --timestamp.
        let old = "ActiveEnterTimestamp=Sat 2026-11-21 09:36:39 UTC\nStateChangeTimestamp=Sat 2026-11-21 09:36:39 UTC";
        assert_eq!(runs(old).unwrap().configured, at / 1_000_000 * 1_000_000);
    }

    #[test]
    fn many_units_are_listed() {
        let names: Vec<Resource> = (0..40).map(|n| both(&format!("u{n}"), true)).collect();
        let batch: Vec<&Resource> = names.iter().collect();
        let fragment = Service.fragment(&batch);
        assert!(fragment.starts_with("asked=''\nshown=''\nset -- u0.service u1.service"), "{fragment}");
        assert_parses(&fragment);
        let watching = service("w", &[("reload_on", ["/etc/w"].into_iter().collect())]);
        let with: Vec<&Resource> = batch.iter().copied().chain([&watching]).collect();
        let opening =
            |batch: &[&Resource]| Service.fragment(batch).lines().take(3).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(opening(&with)[1], "shown='w.service'");
        let only_running = service("r", &[("running", true.into())]);
        let also_enabled = service("r", &[("enabled", true.into())]);
        assert_eq!(opening(&[&only_running, &watching]), ["asked='r.service'", "shown='w.service'", "set -- "]);
        assert_eq!(opening(&[&only_running, &also_enabled]), ["asked=''", "shown='r.service'", "set -- "]);
        let answer = "systemd\0 x.service\0Id=x.service\nLoadState=not-found\nActiveState=inactive\n\0\0\
            u0.service loaded active running Unit 0\n\u{25cf} u1.service loaded failed failed Unit 1\n\0\
            u0.service enabled enabled\nu1.service disabled enabled\nu2.service masked enabled\n\0";
        let read = |name: &str| read_one(&both(name, true), answer);
        assert_eq!(readings(&read("u0")), ["true", "true", "false"]);
        assert_eq!(readings(&read("u1")), ["false", "failed", "false"]);
        assert!(readings(&read("u2"))[0].starts_with("masked: "), "{:?}", read("u2"));
        assert_eq!(readings(&read("u2"))[1..], ["false", "true"]);
        assert!(matches!(read("x").reading("running"), Some(Reading::Unready(_))));
        assert!(matches!(read("u9").existence, Existence::Unknown(_)));
    }

    #[test]
    fn what_only_runs_is_asked_the_cheapest_question() {
        let runs = |name: &str, truth: bool| service(name, &[("running", truth.into())]);
        let answer = "systemd\0 down.service\0Id=down.service\nLoadState=loaded\nActiveState=failed\nResult=exit-code\n\0\0\0\0\0 up.service";
        let running = |name: &str, truth: bool| read_one(&runs(name, truth), answer).reading("running").cloned();
        assert_eq!(running("up", true), Some(Reading::Is(true.into())));
        assert_eq!(running("up", false), Some(Reading::Is(true.into())));
        assert_eq!(running("down", true), Some(Reading::Is("failed (exit-code)".into())));
        assert!(matches!(read_one(&runs("silent", true), answer).existence, Existence::Unknown(_)));
        // Of two that are asked for, the second is there in no answer: it is shown.
        let batch = [runs("a", true), runs("b", true)];
        let script = format!(
            "systemctl() {{ case $1 in is-active) echo active ;; *) echo \"$@\" ;; esac; }}\n{}",
            Service.fragment(&batch.iter().collect::<Vec<_>>()).replace("[ -d /run/systemd/system ]", "true")
        );
        for (shell, answer) in everywhere(&script) {
            let answer = String::from_utf8(answer).unwrap();
            let sections: Vec<&str> = answer.split('\0').collect();
            assert_eq!((sections[1].trim(), sections[7].trim()), ("b.service", "a.service"), "{shell}: {answer}");
        }
    }

    #[test]
    fn openrcs_and_init_scripts_answers() {
        let openrc = "openrc\0 nginx                     [  started  ]\n sshd [  stopped  ]\n chronyd [  crashed  ]\n\0sshd\n*\n\0";
        assert_eq!(readings(&read_one(&both("nginx", true), openrc)), ["false", "true", "false"]);
        assert_eq!(readings(&read_one(&both("sshd", true), openrc)), ["true", "false", "false"]);
        assert_eq!(readings(&read_one(&both("chronyd", true), openrc))[1], "crashed");
        assert!(matches!(read_one(&both("nope", true), openrc).reading("running"), Some(Reading::Unready(_))));
        let sysv = "sysv\0nginx 0\ncron 3\ndead 1\nodd 150\nnope -\n\0cron\n\0";
        assert_eq!(readings(&read_one(&both("nginx", true), sysv)), ["false", "true", "false"]);
        assert_eq!(readings(&read_one(&both("cron", false), sysv)), ["true", "false", "false"]);
        assert!(readings(&read_one(&both("dead", true), sysv))[1].starts_with("dead"));
        assert!(readings(&read_one(&both("odd", true), sysv))[1].starts_with("unknown"));
        assert!(matches!(read_one(&both("nope", true), sysv).reading("running"), Some(Reading::Unready(_))));
    }

    #[test]
    fn what_was_not_answered_is_unknown() {
        for answer in [
            "",
            "none\0",
            "systemd\0cron.service\0\0\0\0\0Failed to connect to bus",
            "systemd\0\0\0\0\0\0",
            "openrc\0\0\0",
        ] {
            let observed = read_one(&both("cron", true), answer);
            assert!(matches!(observed.existence, Existence::Unknown(_)), "{answer:?}: {observed:?}");
        }
    }

    #[test]
    fn every_shell_asks_this_machine() {
        let one = both("no-such-service", true);
        for (shell, answer) in everywhere(&Service.fragment(&[&one])) {
            let observed = Service.read(&[&one], &said(&answer)).remove(0);
            let is_known = matches!(observed.reading("running"), Some(Reading::Is(_)));
            assert!(!is_known, "{shell}: {observed:?}");
            assert!(observed.reading("init").is_some(), "{shell}");
        }
    }

    #[test]
    fn due_services_are_acted_on_together() {
        let (a, b) = (both("a", true), service("b.timer", &[("enabled", true.into()), ("running", false.into())]));
        let unread = Observed::unready(Need::Unit("a.service".into()));
        let steps = steps_together(&[(&a, &unread), (&b, &unread)]);
        assert_eq!(steps.len(), 1);
        assert_eq!(steps[0].title, "enable a, b.timer; stop b.timer; mask a; start a");
        let text = shell(&steps);
        assert_parses(&text);
        assert!(text.ends_with("reread a.service b.timer\nsvc_enable a.service b.timer\nsvc_stop b.timer\nsvc_mask a.service\nsvc_start a.service\n\n"), "{text}");
        for how in [Refresh::Reload, Refresh::Restart] {
            assert_parses(&Service.refresh(&a, how).unwrap());
        }
        assert_parses(&Service.invocation(&a).unwrap());
        assert_eq!(Service.refresh(&a, Refresh::Run), None);
    }

    #[test]
    fn names_and_combinations_that_cannot_be_meant() {
        for name in ["$(id)", "; rm", "--now", "-x", "a b", "app@", "app@.service", "*", "a/b", "", ".service"] {
            assert_eq!(Service.mistakes(&service(name, &[("running", true.into())])).len(), 1, "{name}");
        }
        for name in ["nginx", "app@blue", "apt-daily.timer", "dbus-org.freedesktop.login1", "a:b", "x\\x2dy.mount"] {
            assert_eq!(Service.mistakes(&service(name, &[("running", true.into())])), [], "{name}");
        }
        assert_eq!(Service.mistakes(&both("a", true)).len(), 2);
        assert_eq!(Service.mistakes(&service("a", &[])).len(), 1);
        assert_eq!(Service.mistakes(&service("a", &[("running", true.into()), ("validate", "x".into())])).len(), 1);
    }

    #[test]
    fn a_unit_has_a_suffix() {
        for (name, expected) in
            [("nginx", "nginx.service"), ("a.timer", "a.timer"), ("org.x", "org.x.service"), ("a@1.2", "a@1.2.service")]
        {
            assert_eq!(unit(name), expected);
        }
    }
}
