//! The lock-out guard on real hosts: what changes how one gets in is proven by a second login, or taken back by the host itself.
//! That a host can be reached again is asked of OpenSSH, what is on it of its own tools, through Docker.

mod common;

use std::time::{Duration, Instant};

use common::{Project, Ran};
use hosts::{Host, Hosts};

/// As short as it may be: these tests wait for it.
const SETTINGS: &str = "project: test\nlogin_within: 6s\n";

/// A project that reaches one host as `deploy`, who becomes root by sudo.
fn project(hosts: &Hosts, host: &Host, resources: &str) -> Project {
    let inventory = hosts.inventory("deploy", &["way-in"]);
    let others = hosts.iter().map(|host| host.name.as_str()).filter(|name| *name != host.name);
    let is_other = |line: &&str| !others.clone().any(|name| line.trim_start().starts_with(&format!("{name}:")));
    let inventory: String = inventory.lines().filter(is_other).map(|line| format!("{line}\n")).collect();
    Project::new()
        .file("snowmelt.yml", SETTINGS)
        .file("inventory.yml", &inventory)
        .file("roles/way-in/role.yml", &format!("resources:\n{resources}"))
}

/// How many logins a host has let in.
fn logins(host: &Host) -> usize {
    host.sshd_log().matches("Accepted publickey").count()
}

#[track_caller]
fn lets_in(host: &Host) {
    let answer = host.ssh("deploy", "sudo -n id -un");
    assert_eq!((answer.code, answer.stdout.trim()), (0, "root"), "{}: {}", host.name, answer.stderr);
}

#[track_caller]
fn applied(project: &Project, code: i32) -> Ran {
    let ran = project.run(&["apply", "--yes"]);
    assert_eq!(ran.code, code, "{ran}");
    ran
}

#[test]
fn a_change_that_locks_nobody_out_is_proven_by_a_second_login() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    let resources = "  - file: /etc/ssh/sshd_config.d/us.conf\n    content: \"X11Forwarding no\\n\"\n    \
                     validate: sshd -t -f %s\n  - service: ssh\n    running: true\n    reload_on: [/etc/ssh/**]\n";
    let project = project(&hosts, host, resources);
    let before = logins(host);
    applied(&project, 0).says(&["changed"]);
    assert_eq!(host.ask("sshd -T | grep -i x11forwarding"), "x11forwarding no");
    assert_eq!(logins(host) - before, 2, "one to act, one to prove");
    assert_eq!(host.ask("ls -d /run/snowmelt* 2>/dev/null; true"), "");
    // Nothing to do: nothing to prove.
    let before = logins(host);
    applied(&project, 0).hides(&["changed"]);
    assert_eq!(logins(host) - before, 1);
}

/// A change that locks `deploy` out, and how one sees on the host that it was taken back.
struct Case {
    resources: &'static str,
    /// Shell that succeeds when all is as before.
    oracle: &'static str,
    /// What the report must say.
    says: &'static [&'static str],
}

const CASES: &[Case] = &[
    // sshd takes it as valid.
    Case {
        resources: "  - file: /etc/ssh/sshd_config.d/us.conf\n    content: \"DenyUsers deploy\\n\"\n    validate: sshd -t -f %s\n  \
                    - service: ssh\n    reload_on: [/etc/ssh/**]\n",
        oracle: "test ! -e /etc/ssh/sshd_config.d/us.conf && ! sshd -T | grep -qi denyusers && systemctl is-active ssh",
        says: &["nobody could log in after it", "authenticate"],
    },
    // visudo takes it as well.
    Case {
        resources: "  - file: /etc/sudoers.d/zz-us\n    content: \"deploy ALL=(ALL) !ALL\\n\"\n    mode: \"0440\"\n    \
                    validate: visudo -cf %s\n",
        oracle: "test ! -e /etc/sudoers.d/zz-us && su deploy -c 'sudo -n true'",
        says: &["nobody could log in after it", "become"],
    },
    // The rules cut the connection that set them as well.
    Case {
        resources: "  - file: /etc/nftables.conf\n    content: |\n      #!/usr/sbin/nft -f\n      flush ruleset\n      table inet filter {\n        \
                    chain input { type filter hook input priority 0; policy accept; tcp dport 22 drop; }\n      }\n  \
                    - service: nftables\n    running: true\n    enabled: true\n    reload_on: [/etc/nftables.conf]\n",
        oracle: "! nft list ruleset | grep -q 'dport 22' && ! grep -q 'dport 22' /etc/nftables.conf && ! systemctl is-enabled -q nftables \
                 && ! systemctl is-active -q nftables",
        says: &["nobody could log in after it"],
    },
    // Rules that no file holds.
    Case {
        resources: "  - command: close the door\n    run: nft 'add table ip doorkeeper; add chain ip doorkeeper in { type filter hook input priority 0; }; add rule ip doorkeeper in tcp dport 22 reject'\n    \
                    unless: nft list table ip doorkeeper\n",
        oracle: "! nft list ruleset | grep -q doorkeeper",
        says: &["nobody could log in after it", "what this did cannot be put back"],
    },
    Case {
        resources: "  - user: deploy\n    shell: /usr/sbin/nologin\n",
        oracle: "getent passwd deploy | grep -q '/bin/bash$' && test \"$(stat -c '%U %G %a' /etc/passwd /etc/shadow)\" = \"$(printf 'root root 644\\nroot shadow 640')\"",
        says: &["nobody could log in after it"],
    },
    Case {
        resources: "  - service: ssh\n    running: false\n    enabled: false\n",
        oracle: "systemctl is-active -q ssh && systemctl is-enabled -q ssh",
        says: &["nobody could log in after it"],
    },
    Case {
        resources: "  - directory: /etc/ssh\n    mode: \"0755\"\n  - file: /etc/ssh/test_authorized_keys\n    content: \"ssh-ed25519 AAAA nobody\\n\"\n",
        oracle: "test \"$(stat -c '%U %a' /etc/ssh/test_authorized_keys)\" = 'root 644' && ! grep -q nobody /etc/ssh/test_authorized_keys",
        says: &["nobody could log in after it"],
    },
    // Declared after what takes it up.
    Case {
        resources: "  - file: /etc/ssh/sshd_config.d/us.conf\n    content: \"# none\\n\"\n  - service: ssh\n    running: true\n    validate: sshd -t\n    \
                    reload_on: [/etc/ssh/**]\n  - line: AllowUsers root\n    file: /etc/ssh/sshd_config\n",
        oracle: "test ! -e /etc/ssh/sshd_config.d/us.conf && ! grep -q AllowUsers /etc/ssh/sshd_config && systemctl is-active ssh",
        says: &["nobody could log in after it", "authenticate"],
    },
    // No program comes of a login.
    Case {
        resources: "  - file: /home/deploy/.bashrc\n    content: \"exit 1\\n\"\n",
        oracle: "grep -q PS1 /home/deploy/.bashrc && test \"$(stat -c %U /home/deploy/.bashrc)\" = deploy",
        says: &["nobody could log in after it"],
    },
];

#[test]
fn what_somebody_else_changed_about_logins_is_not_taken_up_by_the_way() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    let project = project(&hosts, host, "  - service: ssh\n    running: true\n    reload_on: [/etc/ssh/**]\n");
    applied(&project, 0);
    host.spoil("sleep 1; echo 'DenyUsers deploy' >/etc/ssh/sshd_config.d/them.conf");
    applied(&project, 1).says(&["--restart"]);
    lets_in(host);
    // Whoever asks for it is locked out by what was there, and told so.
    let ran = project.run(&["apply", "--yes", "--restart", "way-in/service:ssh"]);
    assert_eq!(ran.code, 1, "{ran}");
    ran.says(&["nothing could be put back"]);
}

#[test]
fn a_host_that_nobody_can_reach_any_more_takes_the_change_back() {
    let Some(hosts) = Hosts::up(CASES.len()) else { return };
    std::thread::scope(|scope| {
        for (host, case) in hosts.iter().zip(CASES) {
            let hosts = &hosts;
            scope.spawn(move || {
                // What comes after it is not begun.
                let resources = format!("{}  - file: /etc/after\n    content: x\n", case.resources);
                let project = project(hosts, host, &resources);
                applied(&project, 1).says(case.says).says(&["/etc/after"]);
                host.ask(case.oracle);
                host.ask("test ! -e /etc/after");
                lets_in(host);
                assert_eq!(host.ask("ls -d /run/snowmelt* 2>/dev/null; find /etc -name '*.snowmelt-*'; true"), "");
                // It is due as before: nothing was remembered as applied.
                project.run(&["plan"]).code(1).hides(&["drifted"]);
            });
        }
    });
}

#[test]
fn whoever_is_killed_while_the_host_waits_leaves_it_open() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    let resources = "  - file: /etc/ssh/sshd_config.d/us.conf\n    content: \"DenyUsers deploy\\n\"\n  \
                     - service: ssh\n    restart_on: [/etc/ssh/**]\n";
    let project = project(&hosts, host, resources);
    let mut apply = project.start(&["apply", "--yes"]);
    let began = Instant::now();
    while host.exec("sshd -T | grep -qi 'denyusers deploy'").code != 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "it was not applied");
    }
    apply.kill().unwrap();
    apply.wait().unwrap();
    while host.exec("systemctl list-units --no-legend 'snowmelt-*' | grep -q .").code == 0 {
        assert!(began.elapsed() < Duration::from_secs(40), "the host waits for ever");
        std::thread::sleep(Duration::from_millis(200));
    }
    host.ask("test ! -e /etc/ssh/sshd_config.d/us.conf");
    lets_in(host);
    // The next one who looks is told.
    project.run(&["plan"]).code(1).says(&["went on alone", "prove that a login still works"]);
}
