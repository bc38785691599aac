//! A large fleet on a bad day: some hosts are dead, some slow, all behind one bastion, and the program may hold few files open.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use common::{Measured, Project, invariants};
use hosts::Hosts;
use serde_json::Value;

/// How many hosts: names of one real host, behind another.
const FLEET: usize = 1000;
/// Of twenty hosts this one is dead, and this one slow.
const DEAD: usize = 7;
const SLOW: usize = 13;
/// How much memory the program may take for them, in KiB.
const MEMORY: u64 = 150 * 1024;

#[test]
fn dead_and_slow_hosts_behind_a_bastion_are_all_reported() {
    let Some(hosts) = Hosts::up(2) else { return };
    let (bastion, target) = (&hosts[0], &hosts[1]);
    // As sshd has it where nobody has thought of it: of more than ten that log in at a time some are turned away.
    for host in hosts.iter() {
        host.spoil("sed -i 's/^MaxStartups.*/MaxStartups 10:30:100/' /etc/ssh/sshd_config.d/test.conf && systemctl restart ssh");
    }
    // sshd runs this before the command of a session.
    target.spoil("mkdir -p ~nosudo/.ssh && echo 'sleep 3' >~nosudo/.ssh/rc && chown -R nosudo: ~nosudo/.ssh");
    let key = |number: usize| hosts[number].ask("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub");
    let known_hosts = format!("{} {}\n{} {}\n", bastion.address, key(0), target.address, key(1));
    let project = Project::new()
        .file("known_hosts", &known_hosts)
        .file("roles/x/role.yml", "resources:\n  - file: /etc/hostname\n    mode: \"0644\"\n");
    let mut inventory = format!(
        "defaults:\n  user: root\n  identity_file: {:?}\n  known_hosts: {:?}\n  connect_timeout: 20s\n  proxy_jump: root@{}\n\
         groups:\n  test:\n    roles: [x]\n    hosts:\n",
        hosts.key(),
        project.path("known_hosts"),
        bastion.address,
    );
    for number in 0..FLEET {
        let more = match number % 20 {
            // Nobody listens there.
            DEAD => ", port: 1",
            SLOW => ", user: nosudo",
            _ => "",
        };
        let _ = writeln!(inventory, "      w{number:04}: {{address: {}{more}}}", target.address);
    }
    project.write("inventory.yml", &inventory);
    let before = (bastion.sshd_log(), target.exec_channels());
    let arguments = ["verify", "--quiet", "--parallel", "100", "--report", "json=r.json"];
    let Measured { code, peak, descriptors } = project.measured(256, &arguments);
    let report: Value = serde_json::from_str(&project.read("r.json")).unwrap();
    let all = report["hosts"].as_array().unwrap();
    let names: BTreeSet<&str> = all.iter().map(|host| host["host"].as_str().unwrap()).collect();
    assert_eq!((all.len(), names.len()), (FLEET, FLEET), "every host exactly once");
    for (number, host) in all.iter().enumerate() {
        let expected = if number % 20 == DEAD { "unreachable" } else { "judged" };
        assert_eq!(host["outcome"], expected, "{host:#}");
    }
    assert_eq!(code, 3);
    assert_eq!(target.exec_channels() - before.1, FLEET - FLEET / 20, "one exchange each");
    let logins =
        bastion.sshd_log().matches("Accepted publickey").count() - before.0.matches("Accepted publickey").count();
    assert!(logins <= 10, "the bastion was logged in to {logins} times");
    hosts.iter().for_each(invariants::nothing_left);
    assert!(peak < MEMORY, "{peak} KiB");
    assert!(descriptors < 256, "{descriptors} descriptors");
}

/// A host that accepts and says nothing is listed first, and one host is worked on at a time. The silent one lets go only when the
/// other has been worked on: had it kept its place, that would not come before its time is up.
#[test]
fn a_silent_host_does_not_keep_its_place() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let project = Project::new();
    let marker = project.path("marker");
    let project = project
        .file(
            "inventory.yml",
            &format!(
                "groups:\n  test:\n    roles: [x]\n    hosts:\n      a: {{address: 127.0.0.1, port: {port}, connect_timeout: 100s}}\n      \
                 b: {{transport: local}}\n"
            ),
        )
        .file("roles/x/role.yml", "resources:\n  - file: /etc/passwd\n")
        .file("specs/x.yml", &format!("checks:\n  - command: touch {}\n    exit_status: 0\n", marker.display()));
    let mut running = project.start(&["verify", "--parallel", "1", "--report", "json=r.json"]);
    let (held, _) = silent.accept().unwrap();
    while !marker.exists() && running.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop((held, silent));
    running.wait().unwrap();
    let report: Value = serde_json::from_str(&project.read("r.json")).unwrap();
    let seconds = report["hosts"][0]["seconds"].as_f64().unwrap();
    assert_eq!(
        (report["hosts"][0]["outcome"].as_str(), report["hosts"][1]["outcome"].as_str()),
        (Some("unreachable"), Some("judged"))
    );
    assert!(marker.exists() && seconds < 100.0, "the silent host was given up before the other had its turn");
}
