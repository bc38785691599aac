//! Hosts in a bad way: a package manager that is locked or was interrupted, children that hold on to what they inherited, one
//! session at a time, odd settings.

mod common;

use std::time::Duration;

use common::{Project, invariants};
use hosts::{Host, Hosts};

fn project(hosts: &Hosts, user: &str, resources: &str) -> Project {
    let role = format!("resources:\n{resources}");
    Project::new().file("inventory.yml", &hosts.inventory(user, &["x"])).file("roles/x/role.yml", &role)
}

/// Waits until shell text succeeds on the host.
#[track_caller]
fn until(host: &Host, condition: &str) {
    host.ask(&format!(
        "tries=0; until {condition}; do tries=$((tries + 1)); [ $tries -lt 600 ] || exit 1; sleep 0.05; done"
    ));
}

#[test]
fn another_package_transaction_is_waited_for() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    host.spoil("apt-get -q update && (DEBIAN_FRONTEND=noninteractive setsid apt-get -q -y install snow-slow >/dev/null 2>&1 &)");
    until(host, "[ -e /run/snow-slow.started ]");
    let project = project(&hosts, "root", "  - package: snow-dep\n");
    let mut going = project.start(&["apply", "--yes"]);
    until(host, "pgrep -f 'Lock::Timeout.* snow-dep' >/dev/null");
    assert_ne!(host.exec("dpkg-query -W snow-dep").code, 0);
    host.spoil("touch /run/snow-slow.go");
    assert_eq!(going.wait().unwrap().code(), Some(0));
    assert_eq!(host.ask("dpkg-query -W -f '${Status}' snow-slow snow-dep"), "install ok installed".repeat(2));
}

#[test]
fn whoever_holds_the_package_lock_for_ever_is_named() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    // dpkg's locks are of the kind that only system calls make. F_SETLK, F_WRLCK.
    host.spoil(
        "apt-get -q update; setsid perl -e '
            open F, \">>/var/lib/dpkg/lock-frontend\"; $l = pack(\"ssx4qqi\", 1, 0, 0, 0, 0); fcntl(F, 6, $l) or die;
            open G, \">/run/holder\"; print G $$; close G; sleep 600' >/dev/null 2>&1 &",
    );
    until(host, "[ -s /run/holder ]");
    let pid = host.ask("cat /run/holder");
    let project = project(&hosts, "root", "  - package: snow-dep\n");
    project
        .run(&["apply", "--yes"])
        .code(1)
        .says(&["Could not get lock /var/lib/dpkg/lock-frontend", &format!("held by process {pid}")]);
    host.spoil(&format!("test -e /var/lib/dpkg/lock-frontend && kill {pid}"));
    project.run(&["apply", "--yes"]).code(0);
}

#[test]
fn an_interrupted_package_transaction_is_found_and_finished() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    let project = project(&hosts, "root", "  - package: snow-slow\n  - package: snow-dep\n");
    host.spoil("apt-get -q update && (DEBIAN_FRONTEND=noninteractive setsid apt-get -q -y install snow-slow >/dev/null 2>&1 &)");
    until(host, "[ -e /run/snow-slow.started ]");
    host.spoil("pkill -KILL apt-get; pkill -KILL dpkg; touch /run/snow-slow.go");
    until(host, "! pgrep snow-slow >/dev/null");
    assert!(host.ask("dpkg-query -W -f '${db:Status-Abbrev}' snow-slow").starts_with("iF"), "it was interrupted");
    invariants::looks(&project, &hosts, &["verify"]).code(1).says(&["package:snow-slow"]);
    let said = ["snow-slow is ", "dpkg --configure -a"];
    invariants::looks(&project, &hosts, &["plan"]).code(1).says(&said);
    // The same where something else was interrupted than what is declared.
    project.write("roles/x/role.yml", "resources:\n  - package: cron\n");
    invariants::looks(&project, &hosts, &["verify"]).code(0).says(&said);
    project.write("roles/x/role.yml", "resources:\n  - package: snow-slow\n  - package: snow-dep\n");
    project.run(&["apply", "--yes"]).code(0);
    assert_eq!(
        host.ask("dpkg-query -W -f '${Status}' snow-slow snow-dep; dpkg --audit"),
        "install ok installed".repeat(2)
    );
    project.run(&["verify"]).code(0);
}

#[test]
fn one_session_at_a_time_and_odd_settings_change_no_verdict() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    let project = project(
        &hosts,
        "deploy",
        "  - package: cron\n  - service: cron\n    running: true\n  - file: /etc/x\n    content: x\n  - command: count\n    run: \"id -u >/etc/count\"\n    \
         unless: test -s /etc/count\n",
    );
    host.spoil(
        "sed -i '1i MaxSessions 1' /etc/ssh/sshd_config.d/test.conf && systemctl restart ssh
         mount -o remount,noexec /tmp && mount -o remount,noexec /run
         printf 'LANG=ja_JP.UTF-8\\nLC_ALL=de_DE.UTF-8\\nTZ=Asia/Kathmandu\\nGREP_OPTIONS=--color=always\\nPOSIXLY_CORRECT=1\\n' >>/etc/environment
         printf 'echo noise; echo noise >&2; cd /tmp; set -o noglob; alias ls=false\\n' | tee -a /etc/bash.bashrc >~deploy/.bashrc",
    );
    project.run(&["plan"]).code(1);
    project.run(&["apply", "--yes"]).code(0);
    project.run(&["apply", "--yes"]).code(0).hides(&["changed"]);
    project.run(&["verify"]).code(0);
    assert_eq!(host.ask("cat /etc/count; cat /etc/x"), "0\nx");
}

#[test]
fn a_child_that_holds_its_output_holds_up_nothing() {
    let Some(hosts) = Hosts::up(1) else { return };
    let project = project(
        &hosts,
        "root",
        "  - command: leave one behind\n    run: (sleep 300 &) ; (setsid sleep 301 &) ; touch /run/left\n    creates: /run/left\n",
    );
    project.write("specs/x.yml", "checks:\n  - command: \"sleep 302 & echo said\"\n    stdout: said\n");
    let began = std::time::Instant::now();
    project.run(&["apply", "--yes"]).code(0);
    project.run(&["verify"]).code(0);
    // Far less than what was left behind sleeps; not a measure of speed.
    assert!(began.elapsed() < Duration::from_secs(120));
}

#[test]
fn a_clock_that_is_off_is_noted_and_changes_no_verdict() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    let project = project(&hosts, "root", "  - file: /etc/x\n    content: x\n");
    project.run(&["apply", "--yes"]).code(0);
    // A container has no clock of its own: what tells the time is exchanged.
    host.spoil("printf '#!/bin/sh\\nexec /bin/date -d @4102444800 \"$@\"\\n' >/usr/local/bin/date && chmod 755 /usr/local/bin/date");
    project.run(&["verify"]).code(0).says(&["its clock is", "seconds ahead"]);
    project.run(&["apply", "--yes"]).code(0).hides(&["changed"]);
}

#[test]
fn what_does_not_validate_is_put_back_with_all_it_had() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    host.spoil(
        "apt-get -q update && apt-get -q -y install snow-hello acl attr && mkdir -p /srv/app/old /srv/app/theirs && cd /srv/app && \
         printf old | tee kept gone theirs/x >/dev/null && chmod 640 kept && setfacl -m u:nosudo:r kept && \
         setfattr -n user.who -v me kept && setcap cap_net_raw=ep kept && touch -d 2001-01-01 kept && ln -s kept link && \
         touch -h -d 2001-01-01 link && printf in >old/in && chown -R nosudo theirs && chmod 600 theirs/x",
    );
    let project = project(
        &hosts,
        "deploy",
        "  - file: /srv/app/kept\n    content: new\n  - file: /srv/app/gone\n    state: absent\n  - file: /srv/app/made\n    content: new\n  \
         - directory: /srv/app/folder\n  - file: /srv/app/folder/x\n    content: new\n  - link: /srv/app/link\n    to: elsewhere\n  \
         - directory: /srv/app/old\n    state: absent\n    recurse: true\n  - file: /srv/app/theirs/x\n    content: new\n    owner: root\n  \
         - service: snow-hello\n    running: true\n    validate: ls -lR /srv/app >/run/seen; /bin/false\n    reload_on: [\"/srv/app/**\"]\n",
    );
    // Times of folders are new: something was renamed in them.
    let all = "cd /srv/app && find . ! -type d -printf '%p %M %U %G %s %T@ %l\\n' | sort; find . -type d -printf '%p %M %U %G\\n' | sort; \
               getfacl -pc kept; getfattr -d kept; getcap kept; cat kept gone theirs/x old/in";
    let before = host.ask(all);
    invariants::looks(&project, &hosts, &["plan"]).code(1);
    project
        .run(&["apply", "--yes", "--report", "json=r.json"])
        .code(1)
        .says(&["is put back"])
        .hides(&["could not all"]);
    let seen = host.ask("cat /run/seen");
    assert!(["made", "folder", "elsewhere"].iter().all(|name| seen.contains(name)) && !seen.contains("gone"), "{seen}");
    assert_eq!(host.ask(all), before);
    assert_ne!(host.exec("systemctl is-active --quiet snow-hello").code, 0);
    invariants::reported(&project, "r.json", &["h1"]);
    invariants::nothing_left(host);
}

#[test]
fn odd_login_shells_and_environments_change_no_verdict_and_the_others_are_named() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    // fish without what it needs for its pages and completions.
    host.spoil(
        "apt-get -q update && apt-get -q -y install tcsh busybox && cd /opt/repo && dpkg -i --force-depends fish_*.deb fish-common_*.deb libpcre2-32-0_*.deb
         mkdir -p /srv/jail
         for user in csh=/bin/tcsh fish=/usr/bin/fish ash=/usr/local/bin/ash pathless=/bin/sh rbash=/bin/rbash jailed=/bin/sh gone=/bin/nowhere; do
             name=${user%%=*}; useradd -m -s ${user#*=} $name; mkdir -p /home/$name/.ssh /home/$name/.config/fish
             cp ~deploy/.ssh/authorized_keys /etc/ssh/test_authorized_keys /home/$name/.ssh/ 2>/dev/null
             echo \"$name ALL=(ALL) NOPASSWD: ALL\" >/etc/sudoers.d/$name
             echo 'echo welcome' | tee /home/$name/.cshrc /home/$name/.config/fish/config.fish >/home/$name/.bashrc
             chown -R $name: /home/$name
         done
         ln -s /usr/bin/busybox /usr/local/bin/ash
         printf 'Match User jailed\\n  ChrootDirectory /srv/jail\\nMatch User pathless\\n  SetEnv PATH=/nowhere\\n' >/etc/ssh/sshd_config.d/zz.conf
         systemctl restart ssh",
    );
    let good = ["csh", "fish", "ash"];
    let bad = [
        ("pathless", "execute", "not found", "PATH"),
        ("rbash", "execute", "restricted", "login shell"),
        ("jailed", "execute", "/bin/sh: No such file", "ChrootDirectory"),
        ("gone", "authenticate", "refused", "authorized_keys"),
    ];
    let mut inventory = hosts.inventory("deploy", &["x"]);
    let key = host.ask("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub");
    for name in good.iter().chain(bad.iter().map(|(name, ..)| name)) {
        inventory.push_str(&format!("      {name}: {{address: {}, user: {name}}}\n", host.address));
    }
    let project = project(
        &hosts,
        "deploy",
        "  - file: \"/etc/of/{{ host.name }}\"\n    content: \"it's `a` $test! \\\\ of\\n{{ host.name }}\"\n    parents: true\n  \
         - command: who\n    run: \"id -u >/etc/of/{{ host.name }}.id\"\n    creates: \"/etc/of/{{ host.name }}.id\"\n",
    )
    .file("known_hosts", &format!("{} {key}\n", host.address));
    project.write(
        "inventory.yml",
        &inventory.replace(&format!("{:?}", hosts.known_hosts()), &format!("{:?}", project.path("known_hosts"))),
    );
    let ran = project.run(&["apply", "--yes", "--report", "json=r.json"]).code(3);
    let names: Vec<&str> = ["h1"].into_iter().chain(good).chain(bad.map(|(name, ..)| name)).collect();
    let reported = invariants::reported(&project, "r.json", &names);
    for name in good {
        assert_eq!(reported[name]["outcome"], "judged", "{name}: {}\n{ran}", reported[name]);
        assert_eq!(
            host.ask(&format!("cat /etc/of/{name} /etc/of/{name}.id")),
            format!("it's `a` $test! \\ of\n{name}0")
        );
    }
    for (name, phase, message, hint) in bad {
        let trouble = &reported[name]["trouble"];
        assert_eq!(trouble["phase"], phase, "{name}: {trouble}");
        assert!(trouble["message"].as_str().unwrap().contains(message), "{name}: {trouble}");
        assert!(trouble["hint"].as_str().unwrap().contains(hint), "{name}: {trouble}");
        assert_ne!(host.exec(&format!("test -e /etc/of/{name}")).code, 0);
    }
    invariants::looks(&project, &hosts, &["verify"]).code(3).says(&["8 hosts: 4 ok, 4 unreachable"]);
}

#[test]
fn what_cannot_be_read_is_unknown_and_never_absent_or_fine() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    // A name with no root, and files and folders that are not its own.
    host.spoil("mkdir -m 700 /srv/closed && printf secret >/srv/closed/x && printf secret >/srv/shut && chmod 600 /srv/shut && printf x >/srv/open");
    let project = project(
        &hosts,
        "nosudo",
        "  - file: /srv/open\n    content: x\n  - file: /srv/shut\n    content: secret\n  - file: /srv/closed/x\n    state: absent\n  \
         - line: there\n    file: /srv/shut\n  - directory: /srv/closed\n    purge: true\n",
    );
    project.write("inventory.yml", &hosts.inventory("nosudo", &["x"]).replace("become: true", "become: false"));
    let verdicts = |report: &str| -> Vec<(String, String)> {
        let reported = invariants::reported(&project, report, &["h1"]);
        let resources = reported["h1"]["resources"].as_array().unwrap().clone();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        resources.iter().map(|one| (text(&one["address"]), text(&one["verdict"]))).collect()
    };
    let ran = invariants::looks(&project, &hosts, &["verify", "--report", "json=r.json", "--report", "text"]).code(3);
    let found = verdicts("r.json");
    assert_eq!(found[0].1, "in_sync", "{ran}");
    assert!(found[1..].iter().all(|(_, verdict)| verdict == "unknown"), "{found:?}\n{ran}");
    invariants::keeps_secret(&project, &ran, &["secret\n-", "+secret"]);
    // `apply` acts on nothing that it does not know.
    project.run(&["apply", "--yes", "--report", "json=r.json"]).code(3);
    assert!(verdicts("r.json")[1..].iter().all(|(_, verdict)| verdict == "unknown"));
    assert_eq!(host.ask("cat /srv/shut /srv/closed/x"), "secretsecret");

    // Tools that are not there.
    project.write("inventory.yml", &hosts.inventory("root", &["x"]));
    project.write(
        "roles/x/role.yml",
        "resources:\n  - service: cron\n    running: true\n    enabled: true\n  - package: cron\n  - file: /srv/shut\n    content: secret\n  \
         - user: nosudo\n    shell: /bin/sh\n",
    );
    project.write("specs/x.yml", "checks:\n  - port: 22/tcp\n    listening: true\n  - port: 25/tcp\n    listening: false\n  - process: cron\n    running: true\n");
    project.run(&["verify"]).code(0);
    for (tools, unknown) in [
        ("systemctl", &["x/service:cron"][..]),
        ("dpkg-query", &["x/package:cron"]),
        ("sha256sum", &["x/file:/srv/shut"]),
        ("stat", &["x/file:/srv/shut"]),
        ("getent", &[]),
        ("ss", &[]),
        ("ps", &[]),
    ] {
        host.spoil(&format!("chmod a-x /usr/bin/{tools}"));
        let code = if unknown.is_empty() { 0 } else { 3 };
        let ran = project.run(&["verify", "--report", "json=r.json", "--report", "text"]);
        let found = verdicts("r.json");
        let wrong: Vec<&str> = found
            .iter()
            .filter(|(_, verdict)| !["in_sync", "ok", "passed"].contains(&verdict.as_str()))
            .map(|(address, _)| address.as_str())
            .collect();
        assert_eq!((ran.code, wrong.as_slice()), (code, unknown), "{tools}: {found:?}\n{ran}");
        host.spoil(&format!("chmod a+x /usr/bin/{tools}"));
    }
}

#[test]
fn a_host_that_swallows_everything_is_given_up_in_time() {
    let Some(hosts) = Hosts::up(2) else { return };
    let project = project(&hosts, "root", "  - file: /etc/x\n    content: x\n");
    let inventory = hosts.inventory("root", &["x"]).replace("defaults:\n", "defaults:\n  connect_timeout: 1s\n");
    project.write("inventory.yml", &inventory);
    project.run(&["apply", "--yes"]).code(0);
    hosts[0].cut();
    let began = std::time::Instant::now();
    project.run(&["verify", "--report", "json=r.json"]).code(3);
    // Not a measure of speed: the kernel would go on for two minutes.
    assert!(began.elapsed() < Duration::from_secs(20));
    let reported = invariants::reported(&project, "r.json", &["h1", "h2"]);
    assert_eq!(
        (&reported["h1"]["trouble"]["phase"], &reported["h2"]["outcome"]),
        (&"connect".into(), &"judged".into())
    );
    hosts[0].mend();
    project.run(&["verify"]).code(0);
}

#[test]
fn another_tool_that_is_at_work_is_noted() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    let project = project(&hosts, "deploy", "  - file: /etc/x\n    content: x\n");
    host.spoil("systemd-run -q -u agent sleep 300 && mkdir -p /var/lib/puppet/state && systemctl show -P MainPID agent >/var/lib/puppet/state/agent_catalog_run.lock");
    let agent = host.ask("cat /var/lib/puppet/state/agent_catalog_run.lock");
    project.run(&["apply", "--yes"]).code(0).says(&["puppet is at work", &agent]);
    host.spoil("systemctl stop agent");
    project.run(&["verify"]).code(0).hides(&["puppet"]);
}
