//! Hosts that are down, silent, hostile or half set up, next to good ones: each is told with its phase, none holds up another,
//! and every host is in every report.

mod common;

use std::net::TcpListener;

use common::{Project, invariants};
use hosts::Hosts;

/// An inventory of these hosts: `name: {settings}`.
fn inventory(hosts: &Hosts, lines: &[(&str, String)]) -> String {
    let mut text = format!(
        "defaults: {{user: root, identity_file: {}, known_hosts: {}, connect_timeout: 2s}}\ngroups:\n  test:\n    roles: [x]\n    hosts:\n",
        hosts.key().display(),
        hosts.known_hosts().display()
    );
    for (name, settings) in lines {
        text.push_str(&format!("      {name}: {{{settings}}}\n"));
    }
    text
}

fn at(hosts: &Hosts, index: usize, more: &str) -> String {
    format!("address: {}, port: {}{more}", hosts[index].address, hosts[index].port)
}

const ROLE: &str = "resources:\n  - file: /etc/hostname\n    owner: root\n";

/// The JSON outcome of each host: name, outcome, phase, message.
fn outcomes(report: &str) -> Vec<(String, String, String, String)> {
    let report: serde_json::Value = serde_json::from_str(report).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let of = |host: &serde_json::Value| {
        let trouble = &host["trouble"];
        (text(&host["host"]), text(&host["outcome"]), text(&trouble["phase"]), text(&trouble["message"]))
    };
    report["hosts"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn every_bad_host_is_told_and_no_good_one_suffers() {
    let Some(hosts) = Hosts::up(3) else { return };
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // The key of another host in the place of this one's.
    let other = std::fs::read_to_string(hosts.known_hosts()).unwrap();
    let lines: Vec<&str> = other.lines().filter(|line| !line.starts_with('#')).collect();
    let key_of = |line: &str| line.split_once(' ').unwrap().1.to_owned();
    let name_of = |line: &str| line.split_once(' ').unwrap().0.to_owned();
    let swapped = format!("{} {}\n", name_of(lines[0]), key_of(lines[1]));
    // A login without a shell, one without sudo, one whose shell talks before it does anything.
    hosts[1].spoil("useradd -m -s /usr/sbin/nologin noshell");
    hosts[1]
        .spoil("useradd -m -s /bin/bash noisy && echo 'echo Welcome; echo @0000 begin record' >/home/noisy/.bashrc");
    hosts[2].spoil("echo 'DenyUsers root' >/etc/ssh/sshd_config.d/deny.conf && systemctl restart ssh");

    let project = Project::new().file("roles/x/role.yml", ROLE);
    project.write("other_known_hosts", &swapped);
    project.write(
        "inventory.yml",
        &inventory(
            &hosts,
            &[
                ("good", at(&hosts, 0, "")),
                ("closed", format!("address: 127.0.0.1, port: {closed}")),
                ("silent", format!("address: 127.0.0.1, port: {}", silent.local_addr().unwrap().port())),
                ("unknown", "address: no-such-host.invalid".to_owned()),
                ("swapped", at(&hosts, 0, &format!(", known_hosts: {}", project.path("other_known_hosts").display()))),
                ("denied", at(&hosts, 2, "")),
                ("noshell", at(&hosts, 1, ", user: noshell")),
                ("nosudo", at(&hosts, 1, ", user: nosudo, become: true")),
                ("noisy", at(&hosts, 1, ", user: noisy")),
            ],
        ),
    );
    let ran = project.run(&["verify", "--report", "text", "--report", "json=r.json", "--report", "junit=r.xml"]);
    assert_eq!(ran.code, 3, "{ran}");
    let names = ["good", "closed", "silent", "unknown", "swapped", "denied", "noshell", "nosudo", "noisy"];
    invariants::reported(&project, "r.json", &names);
    hosts.iter().for_each(invariants::nothing_left);
    let found = outcomes(&project.read("r.json"));
    let phases: Vec<(&str, &str, &str)> =
        found.iter().map(|(host, outcome, phase, _)| (host.as_str(), outcome.as_str(), phase.as_str())).collect();
    assert_eq!(
        phases,
        [
            ("good", "judged", ""),
            ("closed", "unreachable", "connect"),
            ("silent", "unreachable", "handshake"),
            ("unknown", "unreachable", "resolve"),
            ("swapped", "unreachable", "host key"),
            ("denied", "unreachable", "authenticate"),
            ("noshell", "unreachable", "execute"),
            ("nosudo", "unreachable", "become"),
            ("noisy", "judged", ""),
        ],
        "{ran}"
    );
    assert!(found.iter().all(|(_, outcome, _, message)| outcome == "judged" || !message.is_empty()));
    let junit = project.read("r.xml");
    for (host, outcome, ..) in &found {
        assert!(ran.stdout.contains(host.as_str()) && junit.contains("<testsuite id="), "{host}");
        assert!(junit.contains(&format!("classname=\"snowmelt.{host}\"")), "{host} is not in the JUnit report");
        assert!(outcome == "judged" || junit.contains("<error"), "{host}");
    }
    // Refused means: before anything was offered.
    assert!(!hosts[0].sshd_log().contains("swapped"));
}

#[test]
fn a_command_that_hangs_and_a_host_that_dies_hold_up_nobody() {
    let Some(hosts) = Hosts::up(2) else { return };
    let project = Project::new()
        .file("roles/x/role.yml", ROLE)
        .file("roles/x/spec.yml", "checks:\n  - command: hostname\n    exit_status: 0\n  - command: test ! -e /hang || sleep 60\n    timeout: 2s\n    exit_status: 0\n");
    project.write("inventory.yml", &inventory(&hosts, &[("h1", at(&hosts, 0, "")), ("h2", at(&hosts, 1, ""))]));
    project.run(&["apply", "--yes"]).code(0);
    hosts[0].spoil("touch /hang");
    invariants::looks(&project, &hosts, &["verify"]).code(3).says(&["h1", "2s"]);

    // The session of one host is killed in the middle of its reading.
    hosts[0].spoil("rm /hang");
    project.write(
        "roles/x/spec.yml",
        "checks:\n  - command: if test -e /die; then pkill -9 -x sshd; sleep 9; fi\n    exit_status: 0\n",
    );
    hosts[1].spoil("touch /die");
    let ran = project.run(&["verify", "--report", "text", "--report", "json=r.json"]).code(3);
    let found = outcomes(&project.read("r.json"));
    assert_eq!((found[0].1.as_str(), found[1].0.as_str()), ("judged", "h2"), "{ran}");
    assert!(found[1].1 == "unreachable" || ran.stdout.contains("the answer was cut"), "{ran}");
}
