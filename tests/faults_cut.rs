//! Links that are cut, sessions and controllers that are killed, hosts that go down: on real hosts, at exact bytes. Whatever
//! happens, a file is old or new, the next run does what is due, and nothing is reported that is not so.

mod common;
mod proxy;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::Project;
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
        let ran = self.project.run(&["apply", "--yes", "--parallel", "100", "--report", "json=r.json"]);
        assert!(code.contains(&ran.code), "{ran}");
        self.report("r.json")
    }

    fn report(&self, name: &str) -> BTreeMap<String, Value> {
        let report: Value = serde_json::from_str(&self.project.read(name)).unwrap();
        let all = report["hosts"].as_array().unwrap();
        let hosts: BTreeMap<String, Value> =
            all.iter().map(|host| (host["host"].as_str().unwrap().to_owned(), host.clone())).collect();
        assert_eq!((hosts.len(), all.len()), (self.proxies.len(), self.proxies.len()), "every host once");
        hosts
    }

    /// Starts an `apply` that goes on while things happen to it.
    fn begin_apply(&self) -> Going {
        Going(
            Command::new(env!("CARGO_BIN_EXE_snowmelt"))
                .args(["apply", "--yes", "--parallel", "100", "--report", "text=-", "--report", "json=r.json"])
                .current_dir(self.project.path(""))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    /// Waits until nobody holds a lock, and nothing of an act is left in memory.
    fn settle(&self) {
        self.host().ask(
            "for lock in /var/lib/snowmelt/test/*/lock; do [ ! -e $lock ] || flock -w 60 $lock true || exit 1; done
             tries=0; while [ -n \"$(ls -d /run/snowmelt* 2>/dev/null)\" ]; do
                 tries=$((tries + 1)); [ $tries -lt 200 ] || { ls -la /run/snowmelt*; exit 1; }; sleep 0.05
             done",
        );
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
    const NAMES: usize = 48;
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
        |direction: usize| stage.proxies.values().map(|proxy| proxy.carried()[direction]).min().unwrap() - 600;
    let (up, down) = (carried(0), carried(1));
    assert!(up > 80_000 && down > 10_000, "{up} up, {down} down");

    for (number, proxy) in (0..).zip(stage.proxies.values()) {
        // Two of three are cut on the way up: there lies the upload.
        let fault = match number % 3 {
            2 => Fault { down: Some(down * number / NAMES as u64), ..Fault::default() },
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
    let ended_alone: Vec<String> = stage
        .proxies
        .keys()
        .filter(|name| {
            let run = host.exec(&format!("cat /var/lib/snowmelt/test/{name}/run")).stdout;
            run.contains("\nended ") && !run.contains("\nfollowed")
        })
        .cloned()
        .collect();

    let healed = stage.apply(&[0]);
    let new = contents(host, "/etc/cut");
    assert!(new.values().all(|sum| *sum == new["a000"] && *sum != old), "all are new: {new:?}");
    assert!(now.values().all(|sum| *sum == old || *sum == new["a000"]), "each was old or new: {now:?}");
    assert_eq!(contents(host, "/var/cut"), new, "what follows from a change was done for all");
    assert_eq!(
        host.ask("ls -A /etc/cut"),
        stage.proxies.keys().cloned().collect::<Vec<_>>().join("\n"),
        "nothing else"
    );
    for name in &ended_alone {
        let notes = healed[name]["notes"].to_string();
        assert!(notes.contains("went on alone") || !said.is_empty(), "{name}: {notes}");
    }
    stage.settle();
    if holds {
        assert!(!ended_alone.is_empty() && ended_alone.len() < NAMES, "runs were killed before and after their act");
    }
}

#[test]
fn a_link_cut_at_any_byte_leaves_old_or_new_and_the_next_run_does_the_rest() {
    at_every_byte(false);
}

#[test]
fn a_controller_killed_at_any_byte_leaves_old_or_new_and_the_next_run_does_the_rest() {
    at_every_byte(true);
}
