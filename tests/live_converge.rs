//! The main job on real hosts: `base` and `nginx` converge, stay, drift, are found and healed. What is so is asked of the
//! distribution's own tools, through Docker, never of snowmelt.

mod common;

use common::{Project, invariants, wrong};
use hosts::{Host, Hosts};

/// A project that gives these hosts `base` and `nginx` with one virtual host.
fn web(hosts: &Hosts, user: &str) -> Project {
    let inventory = hosts.inventory(user, &["base", "nginx"]);
    let vars = "    vars:\n      base:\n        timezone: Asia/Tokyo\n        ntp: [192.0.2.1]\n        admins: {ayumi: {comment: Ayumi, keys: [ssh-ed25519 AAAA ayumi]}}\n      \
                nginx: {workers: 2, vhosts: {shop: {server_name: shop.example.com, port: 8080}}}\n";
    let inventory = inventory.replacen("    roles:", &format!("{vars}    roles:"), 1);
    Project::new().role("base").role("nginx").file("inventory.yml", &inventory)
}

#[track_caller]
fn channels(host: &Host, before: usize) -> usize {
    host.exec_channels() - before
}

#[test]
fn base_and_nginx_converge_in_five_channels_and_stay_in_one() {
    let Some(hosts) = Hosts::up(2) else { return };
    let project = web(&hosts, "deploy");
    let before: Vec<usize> = hosts.iter().map(Host::exec_channels).collect();
    project.run(&["apply", "--yes"]).code(0);
    for (host, before) in hosts.iter().zip(&before) {
        assert!(channels(host, *before) <= 5, "{} channels", channels(host, *before));
        assert_eq!(host.ask("systemctl is-active nginx chrony"), "active\nactive");
        assert_eq!(host.ask("systemctl is-enabled nginx chrony"), "enabled\nenabled");
        assert_eq!(host.ask("readlink /etc/localtime"), "/usr/share/zoneinfo/Asia/Tokyo");
        assert_eq!(
            host.ask("stat -c '%a %U %G' /etc/nginx/nginx.conf /etc/sudoers.d/admin"),
            "644 root root\n440 root root"
        );
        assert_eq!(host.ask("getent group admin | cut -d: -f4"), "ayumi");
        assert_eq!(host.ask("stat -c '%a %U' /home/ayumi/.ssh/authorized_keys"), "600 ayumi");
        assert_eq!(host.ask("ls /etc/nginx/sites-enabled"), "shop.conf");
        assert_eq!(host.ask("printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' | timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/8080; cat >&3; cat <&3' | tail -1"), "ok");
        host.ask("nginx -t");
    }

    let before: Vec<usize> = hosts.iter().map(Host::exec_channels).collect();
    let started = hosts[0].ask("systemctl show -p ActiveEnterTimestamp nginx chrony");
    project.run(&["apply", "--yes"]).code(0).says(&["in sync"]).hides(&["changed"]);
    assert!(hosts.iter().zip(&before).all(|(host, before)| channels(host, *before) == 1));
    assert_eq!(hosts[0].ask("systemctl show -p ActiveEnterTimestamp nginx chrony"), started, "nothing was restarted");
    invariants::looks(&project, &hosts, &["verify"]).code(0);
    invariants::looks(&project, &hosts, &["plan", "--report", "json=p.json"]).code(0);
    invariants::reported(&project, "p.json", &["h1", "h2"]);
}

#[test]
fn without_facts_a_run_that_changes_nothing_is_one_exchange() {
    let Some(hosts) = Hosts::up(1) else { return };
    let project = Project::new()
        .file("inventory.yml", &hosts.inventory("root", &["x"]))
        .file("roles/x/role.yml", "resources:\n  - file: /etc/x\n    content: x\n  - package: cron\n  - service: cron\n    running: true\n    enabled: true\n");
    project.run(&["apply", "--yes"]).code(0);
    for verb in [&["apply", "--yes"][..], &["plan"], &["verify"]] {
        let before = hosts[0].exec_channels();
        project.run(verb).code(0);
        assert_eq!(channels(&hosts[0], before), 1, "{verb:?}");
    }
}

#[test]
fn drift_is_named_and_healed_and_only_what_changed_is_reloaded() {
    let Some(hosts) = Hosts::up(2) else { return };
    let project = web(&hosts, "root");
    project.run(&["apply", "--yes"]).code(0);
    let pid = |host: &Host| host.ask("systemctl show -p MainPID --value nginx");
    let started = pid(&hosts[1]);

    hosts[1].spoil("sed -i 's/worker_processes 2/worker_processes 9/' /etc/nginx/nginx.conf && chmod 666 /etc/sudoers.d/admin && systemctl disable --quiet chrony");
    invariants::looks(&project, &hosts, &["verify", "--report", "json=v.json", "--report", "junit=v.xml"])
        .code(1)
        .says(&["-worker_processes 9;", "+worker_processes 2;"]);
    assert_eq!(
        wrong(&project.read("v.json")),
        [
            "h2 base/file:/etc/sudoers.d/admin#mode",
            "h2 base/service:chrony#enabled",
            "h2 nginx/file:/etc/nginx/nginx.conf#content",
            "h2 nginx/file:/etc/nginx/nginx.conf~2#content",
        ]
    );
    assert!(project.read("v.xml").contains("classname=\"nginx.h2\""));

    project.run(&["apply", "--yes"]).code(0);
    assert_eq!(hosts[1].ask("grep -c 'worker_processes 2;' /etc/nginx/nginx.conf; stat -c %a /etc/sudoers.d/admin; systemctl is-enabled chrony"), "1\n440\nenabled");
    assert_eq!(pid(&hosts[1]), started, "nginx was reloaded, not restarted");
    project.run(&["verify"]).code(0);

    // What it runs is known by its content: a newer time alone calls for nothing.
    hosts[1].spoil("touch /etc/nginx/nginx.conf /etc/nginx/mime.types");
    project.run(&["verify"]).code(0);
    // Content that nobody declared counts as well: nginx does not run it.
    hosts[1].spoil("echo '# by hand' >>/etc/nginx/mime.types");
    project.run(&["verify", "--report", "json=v.json"]).code(1);
    assert_eq!(wrong(&project.read("v.json")), ["h2 nginx/service:nginx#current"]);
    project.run(&["apply", "--yes"]).code(0);
    project.run(&["verify"]).code(0);
}

#[test]
fn what_was_stale_before_us_is_restarted_only_by_name() {
    let Some(hosts) = Hosts::up(1) else { return };
    hosts[0].spoil("apt-get update -qq && apt-get install -qq -y snow-hello=2.0 && systemctl start snow-hello && sleep 0.1 && echo greeting=theirs >/etc/snow-hello.conf");
    let started = hosts[0].ask("cat /run/snow-hello.greeting");
    let project = Project::new().file("inventory.yml", &hosts.inventory("root", &["x"])).file(
        "roles/x/role.yml",
        "resources:\n  - file: /etc/snow-hello.conf\n    mode: \"0644\"\n  - service: snow-hello\n    running: true\n    restart_on: [/etc/snow-hello.conf]\n",
    );
    project.run(&["plan"]).code(1).says(&["left", "--restart x/service:snow-hello"]).hides(&["to change"]);
    project.run(&["plan", "--restart", "service:snow-hello"]).code(1).says(&["1 to change"]).hides(&["left"]);
    project.run(&["apply", "--yes"]).code(1).says(&["--restart x/service:snow-hello"]);
    assert_eq!(hosts[0].ask("cat /run/snow-hello.greeting"), started, "nobody's first apply restarts the database");
    project.run(&["apply", "--yes", "--restart", "service:snow-hello"]).code(0).hides(&["is not restarted"]);
    let needless = "--restart x/service:snow-hello: it runs what is on the disk, and is not restarted";
    project.run(&["apply", "--yes", "--restart", "service:snow-hello"]).code(0).says(&[needless]);
    project.run(&["apply", "--yes", "--restart", "service:*"]).code(0).hides(&["is not restarted"]);
    assert_eq!(hosts[0].ask("cat /run/snow-hello.greeting"), "theirs");
    project.run(&["verify"]).code(0);
}

#[test]
fn a_configuration_that_does_not_validate_is_put_back() {
    let Some(hosts) = Hosts::up(1) else { return };
    let project = web(&hosts, "root");
    project.run(&["apply", "--yes"]).code(0);
    let before = hosts[0].ask("cat /etc/nginx/nginx.conf /etc/nginx/sites-enabled/*; ls /etc/nginx/sites-enabled");
    project.write("roles/nginx/templates/vhost.j2", "server { listen {{ vhost.port }}; nonsense; }\n");
    project.run(&["apply", "--yes"]).code(1).says(&["put back", "unknown directive"]);
    assert_eq!(
        hosts[0].ask("cat /etc/nginx/nginx.conf /etc/nginx/sites-enabled/*; ls /etc/nginx/sites-enabled"),
        before
    );
    assert_eq!(hosts[0].ask("systemctl is-active nginx; nginx -t 2>&1 | grep -c successful"), "active\n1");
}

#[test]
fn a_reload_that_was_not_reached_is_made_up_for_by_the_next_run() {
    let Some(hosts) = Hosts::up(1) else { return };
    let project = Project::new().file("inventory.yml", &hosts.inventory("root", &["x"]));
    let role = |content: &str, between: &str| {
        format!(
            "resources:\n  - package: snow-hello\n    version: \"2.0\"\n  - file: /etc/snow-hello.conf\n    content: |\n      {content}\n  \
             - command: between\n    run: {between}\n    unless: {between}\n  - service: snow-hello\n    running: true\n    restart_on: [/etc/snow-hello.conf]\n"
        )
    };
    project.write("roles/x/role.yml", &role("greeting=one", "true"));
    project.run(&["apply", "--yes"]).code(0);
    let greeting = || hosts[0].ask("cat /run/snow-hello.greeting");
    assert_eq!(greeting(), "one");

    // The step between fails: the file is new, the service still runs with the old one, and that is not forgotten.
    project.write("roles/x/role.yml", &role("greeting=two", "/bin/false"));
    project.run(&["apply", "--yes"]).code(1);
    assert_eq!((hosts[0].ask("cat /etc/snow-hello.conf"), greeting()), ("greeting=two".into(), "one".into()));
    project.write("roles/x/role.yml", &role("greeting=two", "true"));
    project.run(&["verify"]).code(1).says(&["service:snow-hello"]);
    project.run(&["apply", "--yes"]).code(0);
    assert_eq!(greeting(), "two");
    project.run(&["verify"]).code(0);
}

#[test]
fn what_an_act_consists_of_is_none_of_the_processes_that_are_checked() {
    let Some(hosts) = Hosts::up(1) else { return };
    let role = "resources:\n  - command: start it\n    run: \"setsid -f sleep 86398 >/dev/null 2>&1; until pgrep -f '^sleep 86[3]98'; do sleep 0.05; done\"\n    unless: pgrep -f 'sleep 86[3]98'\n";
    let spec = "checks:\n  - process: sleep\n    count: 1\n    args: sleep 86398\n  - process: sh\n    running: false\n  \
                - process: sudo\n    running: false\n  - process: our files\n    pattern: snowmelt-act\n    running: false\n";
    for user in ["deploy", "root"] {
        let project = Project::new()
            .file("inventory.yml", &hosts.inventory(user, &["x"]))
            .file("roles/x/role.yml", role)
            .file("specs/x.yml", spec);
        for detached in [true, false] {
            hosts[0].ask("pkill -x sleep || :");
            if !detached {
                hosts[0].ask("mv -f /usr/bin/systemd-run /usr/bin/no-systemd-run");
            }
            project.run(&["apply", "--yes"]).code(0).says(&["changed"]);
            project.run(&["verify"]).code(0);
        }
        hosts[0].ask("mv -f /usr/bin/no-systemd-run /usr/bin/systemd-run");
    }
}
