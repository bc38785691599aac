//! Links that are cut, sessions and controllers that are killed, hosts that go down: on real hosts, at exact bytes. Whatever
//! happens, a file is old or new, the next run does what is due, and nothing is reported that is not so.

mod common;
mod proxy;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::{Project, invariants};
use hosts::{Host, Hosts};
use proxy::{Fault, Proxy};
use serde_json::Value;

/// Long enough for anything that is waited for here.
const LONG: Duration = Duration::from_secs(60);

/// A host with several names, each reached through a proxy of its own.
struct Stage {
    hosts: Hosts,
    proxies: BTreeMap<String, Proxy>,
    project: Project,
}

impl Stage {
    fn up(names: usize, user: &str) -> Option<Self> {
        let hosts = Hosts::up(1)?;
        let host = &hosts[0];
        let target = SocketAddr::from((host.address, host.port));
        let proxies: BTreeMap<String, Proxy> =
            (0..names).map(|number| (format!("a{number:03}"), Proxy::to(target))).collect();
        let key = host.ask("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub");
        let project = Project::new().file("known_hosts", &format!("* {key}\n"));
        let mut inventory = format!(
            "defaults:\n  user: {user}\n  become: {}\n  identity_file: {:?}\n  known_hosts: {:?}\n\
             groups:\n  test:\n    roles: [x]\n    hosts:\n",
            user != "root",
            hosts.key(),
            project.path("known_hosts"),
        );
        for (name, proxy) in &proxies {
            inventory.push_str(&format!("      {name}: {{address: 127.0.0.1, port: {}}}\n", proxy.port));
        }
        Some(Self { hosts, proxies, project: project.file("inventory.yml", &inventory) })
    }

    fn host(&self) -> &Host {
        &self.hosts[0]
    }

    fn proxy(&self) -> &Proxy {
        self.proxies.values().next().unwrap()
    }

    /// `apply` of all names, and what it says about each in its report.
    fn apply(&self, code: &[i32]) -> BTreeMap<String, Value> {
        let ran =
            self.project.run(&["apply", "--yes", "--parallel", "100", "--timeout", "90s", "--report", "json=r.json"]);
        assert!(code.contains(&ran.code), "{ran}");
        self.report("r.json")
    }

    fn report(&self, name: &str) -> BTreeMap<String, Value> {
        let names: Vec<&str> = self.proxies.keys().map(String::as_str).collect();
        invariants::reported(&self.project, name, &names)
    }

    /// Starts an `apply` that goes on while things happen to it.
    fn begin_apply(&self) -> Going {
        Going(
            Command::new(env!("CARGO_BIN_EXE_snowmelt"))
                .args([
                    "apply",
                    "--yes",
                    "--parallel",
                    "100",
                    "--timeout",
                    "90s",
                    "--report",
                    "text=-",
                    "--report",
                    "json=r.json",
                ])
                .current_dir(self.project.path(""))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    /// Waits until nobody holds a lock; nothing of an act is left then.
    fn settle(&self) {
        self.host().ask(
            "for lock in /var/lib/snowmelt/test/*/lock; do [ ! -e $lock ] || flock -w 60 $lock true || exit 1; done",
        );
        invariants::nothing_left(self.host());
    }

    /// Runs a verb that only looks: it writes nothing, whatever state the host is in.
    fn looks(&self, verb: &str) -> common::Ran {
        invariants::looks(&self.project, &self.hosts, &[verb])
    }
}

struct Going(Child);

impl Going {
    #[track_caller]
    fn ends(self, code: i32) -> String {
        let Output { status, stdout, stderr } = self.0.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(code), "{said}");
        said
    }
}

/// Waits until shell text succeeds on the host.
#[track_caller]
fn until(host: &Host, condition: &str) {
    host.ask(&format!(
        "tries=0; until {condition}; do tries=$((tries + 1)); [ $tries -lt 600 ] || exit 1; sleep 0.05; done"
    ));
}

/// A file and what follows from it, for each name.
const FILE_AND_HANDLER: &str = "resources:\n  - file: \"/etc/cut/{{ host.name }}\"\n    source: big\n  - command: handle\n    \
    run: \"cp /etc/cut/{{ host.name }} /var/cut/{{ host.name }}\"\n    on_change: [\"/etc/cut/{{ host.name }}\"]\n";

/// Text that fills some 20 packets.
fn big(word: &str) -> String {
    (0..3000).map(|number| format!("{word} line {number}\n")).collect()
}

/// The digest of what each name has in a folder.
fn contents(host: &Host, folder: &str) -> BTreeMap<String, String> {
    let sums = host.ask(&format!("cd {folder} && sha256sum *"));
    sums.lines().map(|line| line.split_once("  ").unwrap()).map(|(sum, name)| (name.into(), sum.into())).collect()
}

/// A fleet of names, whose runs through their proxies end at different bytes: what may be and what follows.
fn at_every_byte(holds: bool) {
    const NAMES: usize = 36;
    let Some(stage) = Stage::up(NAMES, "root") else { return };
    let host = stage.host();
    stage.project.write("roles/x/role.yml", FILE_AND_HANDLER);
    host.spoil("mkdir /etc/cut /var/cut");
    let apply = |word: &str, codes: &[i32]| {
        stage.project.write("roles/x/files/big", &big(word));
        stage.apply(codes)
    };
    apply("older", &[0]);
    for proxy in stage.proxies.values() {
        proxy.next(Fault::default());
    }
    apply("olden", &[0]);
    let old = contents(host, "/etc/cut")["a000"].clone();
    // What the shortest of these equal runs took, less what packets differ in by chance.
    let carried =
        |direction: usize| stage.proxies.values().map(|proxy| proxy.carried()[direction]).min().unwrap() - 400;
    let (up, down) = (carried(0), carried(1));
    assert!(up > 80_000 && down > 10_000, "{up} up, {down} down");

    for (number, proxy) in (0..).zip(stage.proxies.values()) {
        // Two of three are cut on the way up: there lies the upload. The end of what comes down tells of the act.
        let fault = match number % 6 {
            2 => Fault { down: Some(down * number / NAMES as u64), ..Fault::default() },
            5 => Fault { down: Some(down - 40 * number), ..Fault::default() },
            _ => Fault { up: Some(up * (number + 1) / NAMES as u64), ..Fault::default() },
        };
        proxy.next(Fault { holds, ..fault });
    }
    let said = if holds {
        stage.project.write("roles/x/files/big", &big("newer"));
        let mut going = stage.begin_apply();
        for (name, proxy) in &stage.proxies {
            assert!(proxy.wait(LONG), "{name} was not held: {:?}", proxy.carried());
        }
        going.0.kill().unwrap();
        going.0.wait().unwrap();
        BTreeMap::new()
    } else {
        apply("newer", &[1, 3])
    };
    stage.settle();
    let now = contents(host, "/etc/cut");
    let is_new = |name: &str| now[name] != old;
    for (name, report) in &said {
        let file = &report["resources"][0];
        let claims_new = file["verdict"] == "in_sync";
        assert_eq!(claims_new, is_new(name), "{name}: {report:#}");
        assert!(file["action"]["result"] != "changed" || is_new(name), "{name}: {report:#}");
    }
    assert!(now.values().any(|sum| *sum == old) && now.values().any(|sum| *sum != old), "before and after the act");

    stage.apply(&[0]);
    let new = contents(host, "/etc/cut");
    assert!(new.values().all(|sum| *sum == new["a000"] && *sum != old), "all are new: {new:?}");
    assert!(now.values().all(|sum| *sum == old || *sum == new["a000"]), "each was old or new: {now:?}");
    assert_eq!(contents(host, "/var/cut"), new, "what follows from a change was done for all");
    assert_eq!(
        host.ask("ls -A /etc/cut"),
        stage.proxies.keys().cloned().collect::<Vec<_>>().join("\n"),
        "nothing else"
    );
    stage.settle();
}

#[test]
fn a_link_cut_at_any_byte_leaves_old_or_new_and_the_next_run_does_the_rest() {
    at_every_byte(false);
}

#[test]
fn a_controller_killed_at_any_byte_leaves_old_or_new_and_the_next_run_does_the_rest() {
    at_every_byte(true);
}

const SLOW: &str = "resources:\n  - package: snow-slow\n";

/// Cuts the connection of an apply in the middle of a package transaction, lets that go on, and hears the program out.
fn cut_during_a_transaction(stage: &Stage, cut: impl FnOnce(&Stage)) {
    let host = stage.host();
    stage.project.write("roles/x/role.yml", SLOW);
    let going = stage.begin_apply();
    until(host, "[ -e /run/snow-slow.started ]");
    let logins = || host.sshd_log().matches("Accepted publickey").count();
    let before = logins();
    cut(stage);
    until_that(|| logins() > before);
    // It is back, and waits.
    host.spoil("touch /run/snow-slow.go");
    let said = going.ends(0);
    assert!(said.contains("changed"), "{said}");
    assert_eq!(host.ask("dpkg-query -W -f '${Status}' snow-slow; dpkg --audit"), "install ok installed");
    stage.settle();
    stage.project.run(&["verify"]).code(0).hides(&["earlier run"]);
}

#[track_caller]
fn until_that(condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "it did not come to that");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const KILL_SESSIONS: &str = "pkill -KILL -f '^sshd: .*@notty'";

#[test]
fn a_cut_link_stops_no_transaction_and_its_end_is_still_reported() {
    let Some(stage) = Stage::up(1, "root") else { return };
    cut_during_a_transaction(&stage, |stage| stage.proxy().cut());
}

#[test]
fn a_killed_session_and_logind_stop_no_transaction() {
    let Some(stage) = Stage::up(1, "deploy") else { return };
    stage.host().spoil(
        "mkdir -p /etc/systemd/logind.conf.d && printf '[Login]\\nKillUserProcesses=yes\\n' >/etc/systemd/logind.conf.d/kill.conf && \
         systemctl restart systemd-logind",
    );
    cut_during_a_transaction(&stage, |stage| stage.host().spoil(KILL_SESSIONS));
}

#[test]
fn a_run_that_nobody_followed_is_told_by_the_next_one() {
    let Some(stage) = Stage::up(1, "root") else { return };
    let host = stage.host();
    stage.project.write("roles/x/role.yml", SLOW);
    let mut going = stage.begin_apply();
    until(host, "[ -e /run/snow-slow.started ]");
    going.0.kill().unwrap();
    going.0.wait().unwrap();
    until(host, "! pgrep -f '^sshd: .*@notty' >/dev/null");
    stage.project.run(&["verify"]).code(1).says(&["a run is going on"]);
    host.spoil("touch /run/snow-slow.go");
    stage.settle();
    stage.project.run(&["apply", "--yes"]).code(0).says(&["went on alone", "1 steps were done"]).hides(&["changed"]);
}

#[test]
fn without_systemd_run_a_session_of_its_own_carries_the_act() {
    let Some(stage) = Stage::up(1, "root") else { return };
    stage.host().spoil("chmod -x /usr/bin/systemd-run");
    cut_during_a_transaction(&stage, |stage| stage.host().spoil(KILL_SESSIONS));
    // What it starts does not hold its lock, and lives on.
    daemon_holds_no_lock(&stage);
}

#[test]
fn a_daemon_that_a_step_starts_lives_on_and_holds_no_lock() {
    let Some(stage) = Stage::up(1, "deploy") else { return };
    daemon_holds_no_lock(&stage);
}

fn daemon_holds_no_lock(stage: &Stage) {
    let role = |more: &str| {
        format!(
            "resources:\n  - command: start it\n    run: sleep 98765 & echo $! >/run/daemon\n    creates: /run/daemon\n{more}"
        )
    };
    stage.project.write("roles/x/role.yml", &role(""));
    stage.apply(&[0]);
    stage.project.write("roles/x/role.yml", &role("  - file: /etc/after\n    content: after\n"));
    stage.apply(&[0]);
    assert_eq!(stage.host().ask("tr '\\0' ' ' </proc/$(cat /run/daemon)/cmdline"), "sleep 98765");
}

#[test]
fn a_second_controller_is_told_who_acts_and_may_still_look() {
    let Some(stage) = Stage::up(1, "root") else { return };
    let host = stage.host();
    stage.project.write("roles/x/role.yml", SLOW);
    let going = stage.begin_apply();
    until(host, "[ -e /run/snow-slow.started ]");
    let me = host.ask("sed -n 's/^begun [0-9]* //p' /var/lib/snowmelt/test/a000/run");
    assert!(me.contains('@'), "{me}");
    for verb in [&["verify"][..], &["plan"]] {
        stage.project.run(verb).code(1).says(&["a run is going on", &me]);
    }
    stage.project.run(&["apply", "--yes"]).code(1).says(&[&format!("locked by {me}")]);
    host.spoil("touch /run/snow-slow.go");
    going.ends(0);
    // Looking, as often as it may be, keeps nobody from acting.
    host.spoil(
        "(while [ ! -e /run/enough ]; do flock -s -n /var/lib/snowmelt/test/a000/lock true; done) >/dev/null 2>&1 &",
    );
    for number in 0..5 {
        stage.project.write("roles/x/role.yml", &format!("resources:\n  - file: /etc/x\n    content: \"{number}\"\n"));
        stage.apply(&[0]);
    }
    host.spoil("touch /run/enough");
}

#[test]
fn a_reboot_in_the_middle_is_told_and_the_next_run_heals() {
    let Some(stage) = Stage::up(1, "root") else { return };
    let host = stage.host();
    stage.project.write(
        "roles/x/role.yml",
        "resources:\n  - file: /etc/x\n    content: x\n  - package: snow-slow\n  - file: /etc/y\n    content: y\n",
    );
    let going = stage.begin_apply();
    until(host, "[ -e /run/snow-slow.started ]");
    host.reboot();
    let said = going.ends(1);
    assert!(said.contains("lost") && said.contains("snow-slow"), "{said}");
    assert!(said.contains("the host was restarted during this run"), "{said}");
    let report = &stage.report("r.json")["a000"];
    let action = |number: usize| report["resources"][number]["action"]["result"].as_str().unwrap().to_owned();
    assert_eq!([action(0), action(1)], ["changed", "lost"], "{report:#}");
    assert_ne!(action(2), "changed");
    assert_eq!(host.exec("cat /etc/x").stdout, "x");
    assert_ne!(host.exec("test -e /etc/y").code, 0);

    stage.looks("verify").code(1).says(&["ended without saying how"]);
    stage.looks("plan").code(1).says(&["ended without saying how", "dpkg --configure -a"]);
    host.spoil("touch /run/snow-slow.go");
    stage.project.run(&["apply", "--yes"]).code(0).says(&["ended without saying how"]);
    assert_eq!(host.ask("dpkg-query -W -f '${Status}' snow-slow; dpkg --audit; cat /etc/y"), "install ok installedy");
    stage.project.run(&["verify"]).code(0).hides(&["without saying how"]);
}

#[test]
fn a_restart_is_owed_until_it_was_done() {
    let Some(stage) = Stage::up(1, "root") else { return };
    let host = stage.host();
    let role = |greeting: &str, wait: &str| {
        format!(
            "resources:\n  - package: snow-hello\n  - file: /etc/snow-hello.conf\n    content: greeting={greeting}\n  \
             - command: wait\n    run: {wait}\n    always: true\n  - service: snow-hello\n    running: true\n    restart_on: [/etc/snow-hello.conf]\n"
        )
    };
    stage.project.write("roles/x/role.yml", &role("zero", "true"));
    stage.apply(&[0]);
    let greeting = || host.ask("cat /run/snow-hello.greeting");
    type Way<'a> = &'a dyn Fn(&mut Going);
    let ways: [(&str, Way<'_>); 3] = [
        // All that runs on the host is killed, as by the kernel when it is out of memory.
        ("one", &|_| host.spoil("systemctl kill --kill-who=all -s KILL 'snowmelt-*'")),
        // The controller is killed, and what it began with it.
        ("two", &|going| {
            going.0.kill().unwrap();
            host.spoil("systemctl kill --kill-who=all -s KILL 'snowmelt-*'");
        }),
        ("three", &|_| host.reboot()),
    ];
    for (word, end) in ways {
        host.spoil("rm -f /run/waits /run/waits.go");
        stage.project.write(
            "roles/x/role.yml",
            &role(word, "touch /run/waits; until [ -e /run/waits.go ]; do sleep 0.05; done"),
        );
        let mut going = stage.begin_apply();
        until(host, "[ -e /run/waits ]");
        end(&mut going);
        let _ = going.0.wait();
        assert_eq!(host.ask("cat /etc/snow-hello.conf"), format!("greeting={word}"));
        stage.project.write("roles/x/role.yml", &role(word, "true"));
        if word != "three" {
            assert_ne!(greeting(), word);
            for verb in ["verify", "plan"] {
                stage.project.run(&[verb]).code(1).says(&["service:snow-hello", "ended without saying how"]);
            }
        }
        stage.apply(&[0]);
        assert_eq!(greeting(), word);
        stage.settle();
    }
}

#[test]
fn what_was_not_read_after_an_act_is_unknown() {
    let Some(mut stage) = Stage::up(1, "root") else { return };
    let role = "resources:\n  - file: /etc/x\n    content: x\n  - command: wait\n    run: touch /run/waits; until [ -e /run/go ]; do sleep 0.05; done\n    always: true\n";
    stage.project.write("roles/x/role.yml", role);
    let arguments = ["apply", "--yes", "--timeout", "6s", "--report", "json=r.json"];
    let mut child = stage.project.start(&arguments);
    until(stage.host(), "[ -e /run/waits ]");
    // The way to the host is gone, and stays away.
    stage.proxies.clear();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let report: Value = serde_json::from_str(&stage.project.read("r.json")).unwrap();
    let host = &report["hosts"][0];
    assert_eq!(host["outcome"], "unreachable");
    for resource in host["resources"].as_array().unwrap() {
        assert_eq!(
            (&resource["verdict"], &resource["action"]["result"]),
            (&"unknown".into(), &"lost".into()),
            "{resource:#}"
        );
    }
    assert_eq!(stage.host().ask("cat /etc/x"), "x");
    stage.host().spoil("touch /run/go");
}
