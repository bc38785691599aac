//! Hosts that cannot be reached, refuse, lie, hang or die: each is named with the phase it failed in, and no other host is
//! affected by it.

mod common;
#[path = "sshd/mod.rs"]
mod sshd;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;

use common::{Project, Ran};
use sshd::Sshd;

/// An inventory that is written host by host; every host gets the role `x`, which declares one file in the project's folder.
struct Fleet {
    project: Project,
    inventory: String,
    servers: BTreeMap<String, Sshd>,
}

impl Fleet {
    fn new() -> Self {
        let project = Project::new();
        let folder = project.path("").display().to_string();
        project.write("snowmelt.yml", &format!("project: test\nmemory: {folder}memory\n"));
        let role = format!("resources:\n  - file: {folder}{{{{ host.name }}}}\n    content: \"hello\\n\"\n");
        project.write("roles/x/role.yml", &role);
        let inventory =
            "defaults: {connect_timeout: 2s}\ngroups:\n  all-of-it:\n    roles: [x]\n    hosts:\n".to_owned();
        Self { project, inventory, servers: BTreeMap::new() }
    }

    fn host(&mut self, name: &str, settings: &str) {
        writeln!(self.inventory, "      {name}: {{{settings}}}").unwrap();
    }

    /// A host with an OpenSSH server of its own. What its commands are run by may be said, and more settings.
    fn served(&mut self, name: &str, command: &str, more: &str) -> &Sshd {
        let force = if command.is_empty() { String::new() } else { format!("ForceCommand {command}") };
        let server = Sshd::start(&force);
        let (folder, known) = (server.folder.path().display().to_string(), server.known_hosts());
        let known = known.display();
        let mut settings = format!(
            "address: 127.0.0.1, port: {}, user: {}, identity_file: {folder}/user, known_hosts: {known}",
            server.port,
            sshd::me()
        );
        for setting in more.replace("FOLDER", &folder).split(", ").filter(|setting| !setting.is_empty()) {
            // The later one counts.
            let key = setting.split(':').next().unwrap_or_default();
            settings =
                settings.split(", ").filter(|old| !old.starts_with(&format!("{key}:"))).collect::<Vec<_>>().join(", ");
            settings.push_str(&format!(", {setting}"));
        }
        self.host(name, &settings);
        self.servers.entry(name.to_owned()).or_insert(server)
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.project.write("inventory.yml", &self.inventory);
        self.project.run(arguments)
    }
}

/// What is known of a host that could not be read: its phase, its message, its hint.
fn trouble(report: &serde_json::Value, name: &str) -> [String; 3] {
    let hosts = report["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|host| host["host"] == name).unwrap_or_else(|| panic!("{name} is not in the report"));
    assert!(host["resources"].as_array().unwrap().is_empty(), "{host}");
    ["phase", "message", "hint"].map(|key| host["trouble"][key].as_str().unwrap_or_default().to_owned())
}

#[test]
fn each_is_named_with_its_phase_and_the_others_are_unaffected() {
    if !sshd::available("each_is_named_with_its_phase_and_the_others_are_unaffected") {
        return;
    }
    let mut fleet = Fleet::new();
    fleet.served("good", "", "");
    let closed = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    fleet.host("down", &format!("address: 127.0.0.1, port: {closed}"));
    // A listener that never accepts: the kernel does, and then nobody says anything.
    let mute = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = mute.local_addr().unwrap().port();
    fleet.host("mute", &format!("address: 127.0.0.1, port: {port}, connect_timeout: 500ms"));
    fleet.host("nameless", "address: nobody.invalid");
    fleet.served("refusing", "", "identity_file: FOLDER/other");
    let swapped = fleet.served("swapped", "", "");
    let another = format!("[127.0.0.1]:{} {}\n", swapped.port, swapped.public_key("other"));
    std::fs::write(swapped.path("known_hosts"), another).unwrap();
    let strange = fleet.served("strange", "", "");
    std::fs::write(strange.path("known_hosts"), "").unwrap();
    fleet.served("nologin", "echo This account is currently not available.; exit 1", "");
    fleet.served("no-sh", "PATH=/nonexistent; eval \"$SSH_ORIGINAL_COMMAND\"", "");
    fleet.served("noisy", "echo welcome; printf 'no newline'; echo hi >&2; eval \"$SSH_ORIGINAL_COMMAND\"", "");
    fleet.served("hanging", "exec sleep 30", "");
    fleet.served("dying", "eval \"$SSH_ORIGINAL_COMMAND\" | { head -c 20 >/dev/null; kill -9 $PPID; }", "");
    let sudo = "become: true, become_user: somebody";
    // What env and sudo print and end with is what theirs do; neither is asked for anything that it would do.
    fleet.served("no-sudo", "echo \"env: 'sudo': No such file or directory\" >&2; exit 127", sudo);
    fleet.served("asking", "echo 'sudo: a password is required' >&2; exit 1", sudo);
    fleet.host("last", "transport: local");

    let reports = ["--report", "text=r.txt", "--report", "json=r.json", "--report", "junit=r.xml"];
    let apply = [&["apply", "--yes", "--timeout", "3s"], &reports[..]].concat();
    fleet.run(&apply).code(3);
    let report: serde_json::Value = serde_json::from_str(&fleet.project.read("r.json")).unwrap();
    let (text, junit) = (fleet.project.read("r.txt"), fleet.project.read("r.xml"));
    let bad = [
        ("down", "connect", "Connection refused", "whether the host is up"),
        ("mute", "handshake", "no key exchange within 0.5 s", "does not speak SSH"),
        ("nameless", "resolve", "nobody.invalid", "correct the name"),
        ("refusing", "authenticate", "refused ", "authorized_keys"),
        ("swapped", "host key", "is known by another", "ssh-keygen -R"),
        ("strange", "host key", "is not known", "accept-new"),
        ("nologin", "execute", "This account is currently not available.", "login shell"),
        ("no-sh", "execute", "exit status 127", "must have a `sh`"),
        ("hanging", "observe", "no answer within 3s", "--timeout"),
        ("dying", "observe", "the host closed the connection without a word", "run again"),
        ("no-sudo", "become", "No such file or directory", "install sudo"),
        ("asking", "become", "a password is required", "NOPASSWD"),
    ];
    for (name, phase, message, hint) in bad {
        let [found_phase, found_message, found_hint] = trouble(&report, name);
        assert_eq!(found_phase, phase, "{name}: {found_message}");
        assert!(found_message.contains(message) && found_hint.contains(hint), "{name}: {found_message} = {found_hint}");
        assert!(text.contains(&format!("\n{name} ")) && text.contains(&format!("unreachable  {phase}: ")), "{text}");
        let suite = junit.split("<testsuite ").find(|suite| suite.contains(&format!("name=\"{name}\""))).unwrap();
        assert!(suite.contains("tests=\"1\" failures=\"0\" errors=\"1\""), "{suite}");
        assert!(suite.contains(&format!("<error type=\"unreachable\" message=\"{phase}: ")), "{suite}");
        assert!(!fleet.project.path(name).exists(), "{name}");
    }
    // Who cannot show the right key learns nothing about us.
    for (name, is_asked) in [("good", true), ("refusing", true), ("swapped", false), ("strange", false)] {
        let log = fleet.servers[name].log();
        assert_eq!(log.contains("publickey"), is_asked, "{name}: {log}");
    }
    for name in ["good", "noisy", "last"] {
        assert_eq!(fleet.project.read(name), "hello\n");
        assert!(text.contains(&format!("\n{name} ")), "{text}");
        assert!(junit.contains(&format!("name=\"{name}\"")), "{junit}");
    }
    assert!(text.contains("apply 15 hosts: 3 changed, 12 unreachable\n"), "{text}");

    // Something that is known to be wrong weighs more than what could not be told.
    fleet.project.write("last", "by hand\n");
    let verify = [&["verify", "--timeout", "3s"], &reports[..]].concat();
    fleet.run(&verify).code(1).says(&["verify 15 hosts: 2 ok, 12 unreachable, 1 drifted"]);
}

#[test]
fn a_command_beyond_its_deadline_is_unknown_and_the_rest_is_judged() {
    let project = Project::local("  - file: FOLDER/f\n    content: x\n");
    let role = project.read("roles/x/role.yml").replace("FOLDER", &project.path("").display().to_string());
    project.write("roles/x/role.yml", &role);
    let project = project.file(
        "specs/x.yml",
        "checks:\n  - command: sleep 30\n    timeout: 1s\n    exit_status: 0\n  - command: echo quick\n    stdout: \"quick\\n\"\n",
    );
    project.run(&["apply", "--yes"]).code(3).says(&[
        "unknown  x/command:sleep 30",
        "specs/x.yml:2",
        "1 unknown, 1 changed, 1 in sync",
    ]);
}

#[test]
fn a_run_that_could_check_nothing_is_no_success() {
    let project = Project::new().file("inventory.yml", "groups: {}\n");
    project.run(&["verify"]).code(3).says(&["nothing was checked: the inventory has no hosts"]);
    let project = Project::local("  []\n");
    for verb in [&["verify"][..], &["plan"], &["apply", "--yes"]] {
        project.run(verb).code(3).says(&["nothing was checked: no role and no spec declares anything"]);
    }
}

#[test]
fn accounts_as_they_are_found_on_real_hosts() {
    let Some(hosts) = hosts::Hosts::up(1) else { return };
    let host = &hosts[0];
    host.spoil(
        "for name in closed chatty; do useradd -m -s /bin/bash $name && mkdir -p /home/$name/.ssh && \
         cp ~deploy/.ssh/authorized_keys /home/$name/.ssh/ && chown -R $name: /home/$name/.ssh; done; \
         usermod -s /usr/sbin/nologin closed; echo 'echo welcome; echo to you >&2; printf %s \"half a line\"' >/home/chatty/.bashrc; \
         echo 'chatty ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/chatty",
    );
    let mut inventory = hosts.inventory("deploy", &["x"]);
    for (name, settings) in [
        ("unprivileged", "user: nosudo"),
        ("closed", "user: closed, become: false"),
        ("chatty", "user: chatty"),
        ("su-only", "become_method: su"),
        ("nobody", "become_user: nobody-here"),
    ] {
        writeln!(inventory, "      {name}: {{address: {}, {settings}}}", host.address).unwrap();
    }
    // One machine, so each inventory host has a file of its own.
    let project = Project::new()
        .file("inventory.yml", &inventory)
        .file("roles/x/role.yml", "resources:\n  - file: \"/etc/{{ host.name }}\"\n    content: \"hello\\n\"\n");
    let known = project.path("known_hosts");
    let key = host.ask("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub");
    std::fs::write(&known, format!("{} {key}\n", host.address)).unwrap();
    let inventory = inventory.replace(&format!("{:?}", hosts.known_hosts()), &format!("{known:?}"));
    project.write("inventory.yml", &inventory);

    project.run(&["apply", "--yes", "--report", "json=r.json", "--report", "text"]).code(3);
    let report: serde_json::Value = serde_json::from_str(&project.read("r.json")).unwrap();
    for (name, phase, message) in [
        ("unprivileged", "become", "sudo did not make us root"),
        ("closed", "execute", "This account is currently not available."),
        ("su-only", "become", "su "),
        ("nobody", "become", "unknown user"),
    ] {
        let [found, said, _] = trouble(&report, name);
        assert!(found == phase && said.contains(message), "{name}: {found}: {said}");
    }
    assert_eq!(
        host.ask("cat /etc/h1 /etc/chatty; ls /etc/closed /etc/nobody /etc/unprivileged 2>/dev/null || true"),
        "hello\nhello"
    );
}
