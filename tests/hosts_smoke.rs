//! The test hosts are what the other tests take them for. Says nothing about snowmelt.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{self, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use hosts::Hosts;

#[test]
fn systemd_and_every_user_are_there() {
    let Some(hosts) = hosts::shared() else { return };
    for host in hosts.iter() {
        assert_eq!(host.ask("cat /proc/1/comm"), "systemd");
        assert_eq!(host.ask("systemctl is-system-running"), "running");
        assert_eq!(host.ask("hostname"), host.name);
        for user in ["root", "deploy", "nosudo"] {
            let output = host.ssh(user, "id -un");
            assert_eq!((output.code, output.stdout.as_str()), (0, format!("{user}\n").as_str()), "{}", output.stderr);
        }
        assert_eq!(host.ssh("deploy", "sudo -n id -un").stdout, "root\n");
        assert_ne!(host.ssh("nosudo", "sudo -n id -un").code, 0);
    }
    assert_ne!(hosts[0].ask("cat /etc/machine-id"), hosts[1].ask("cat /etc/machine-id"));
    let seen =
        hosts[0].exec(&format!("ssh-keyscan -t ed25519 {} | grep -v '^#' | cut -d' ' -f2-", hosts[1].address)).stdout;
    let own = hosts[1].ask("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub");
    assert_eq!(seen.trim(), own, "one host reaches another");
}

#[test]
fn files_that_docker_mounts_can_be_replaced() {
    let Some(hosts) = Hosts::up(1) else { return };
    for file in ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"] {
        hosts[0].spoil(&format!("cp {file} {file}.new && echo '# by hand' >>{file}.new && mv {file}.new {file}"));
        assert_eq!(hosts[0].ask(&format!("stat -c %a {file}")), "644");
    }
    hosts[0].reboot();
    assert_eq!(hosts[0].ask("tail -n 1 /etc/hosts"), "# by hand");
}

#[test]
fn packages_install_without_a_network() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    let install = |what: &str| host.exec(&format!("DEBIAN_FRONTEND=noninteractive apt-get install -y {what}"));
    let version = |package: &str| host.ask(&format!("dpkg-query -W -f '${{Version}}' {package}"));
    assert_ne!(install("snow-hello").code, 0, "the lists are empty at first");
    host.ask("apt-get update");

    assert_eq!(install("snow-hello=1.0").code, 0);
    assert_eq!((version("snow-hello"), version("snow-dep")), ("1.0".into(), "1.0".into()));
    assert_eq!(host.exec("systemctl is-active snow-hello").stdout, "inactive\n");
    host.ask("systemctl start snow-hello");
    assert_eq!(host.ask("cat /run/snow-hello.greeting"), "1.0");
    host.spoil("echo greeting=hand >/etc/snow-hello.conf");
    host.ask("systemctl reload snow-hello");
    host.ask("until grep -qx hand /run/snow-hello.greeting; do sleep 0.05; done");
    assert_eq!(host.exec("systemctl is-active snow-hello").stdout, "active\n");

    assert_eq!(install("snow-order").code, 0);
    assert_eq!(version("snow-order"), "1:0.5");
    assert_ne!(install("snow-broken").code, 0);
    host.spoil("touch /etc/snow-broken.fixed /run/snow-slow.go && dpkg --configure -a");
    assert_eq!(install("snow-slow").code, 0);
    assert_eq!(host.ask("ls /run/snow-slow.*"), "/run/snow-slow.done\n/run/snow-slow.go\n/run/snow-slow.started");
    for (package, service) in [("nginx-light", "nginx"), ("systemd-timesyncd", ""), ("chrony", ""), ("busybox", "cron")]
    {
        let output = install(package);
        assert_eq!(output.code, 0, "{}", output.stderr);
        let service = if service.is_empty() { package } else { service };
        assert_eq!(host.exec(&format!("systemctl is-active {service}")).stdout, "active\n", "{service}");
    }
}

#[test]
fn exec_channels_are_counted_exactly() {
    let Some(hosts) = Hosts::up(2) else { return };
    let (host, other) = (&hosts[0], &hosts[1]);
    assert_eq!(host.exec_channels(), 0);
    for count in 1..=5 {
        assert_eq!(host.ssh("deploy", "true").code, 0);
        assert_eq!(host.exec_channels(), count);
    }
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(host.ssh("root", "exit 7").code, 7));
        }
    });
    assert_eq!(host.exec_channels(), 25);
    host.reboot();
    assert_eq!(host.exec_channels(), 25, "counts outlive a reboot");
    assert_eq!(other.exec_channels(), 0);
}

#[test]
fn a_host_can_be_lost_and_comes_back() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    let answers = || {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(hosts.ssh_config()).args(["-o", "ConnectTimeout=1", &host.name, "true"]);
        ssh.output().expect("ssh can be run").status.success()
    };
    assert!(answers());
    host.spoil("touch /run/gone /root/stays");
    host.reboot();
    assert!(answers(), "it keeps its address");
    assert_eq!(host.exec("ls /run/gone /root/stays").stdout, "/root/stays\n");
    host.stop();
    assert!(!answers());
    host.start();
    host.pause();
    assert!(!answers());
    host.resume();
    assert!(answers());
    host.cut();
    assert!(!answers());
    host.mend();
    assert!(answers());
    host.pause(); // and so it is removed
}

#[test]
fn the_inventory_names_every_host() {
    let Some(hosts) = hosts::shared() else { return };
    let text = hosts.inventory("deploy", &["base", "nginx"]);
    assert!(text.contains("become: true") && text.contains("roles: [base, nginx]"), "{text}");
    for host in hosts.iter() {
        assert!(text.contains(&format!("{}: {{address: {}, port: 22}}", host.name, host.address)), "{text}");
    }
    assert!(hosts.inventory("root", &[]).contains("become: false"));
    assert!(hosts.known_hosts().exists() && hosts.key().exists());
}

#[test]
fn a_process_that_is_killed_leaves_nothing() {
    const NAME: &str = "a_process_that_is_killed_leaves_nothing";
    const CHILD: &str = "SNOWMELT_TEST_IS_KILLED";
    if env::var_os(CHILD).is_some() {
        let _hosts = Hosts::up(1);
        let _ = Command::new("kill").args(["-KILL", &process::id().to_string()]).status();
        return;
    }
    let Some(_) = hosts::shared() else { return };
    let mut child = Command::new(env::current_exe().expect("this test program"));
    let mut child = child.args(["--exact", NAME]).env(CHILD, "1").stdout(Stdio::null()).spawn().expect("it starts");
    let status = child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(9), "it was killed with its host up");

    let name = format!("name=snowmelt-test-{}", child.id());
    let left = || {
        let mut names = String::new();
        for what in [["ps", "--all"].as_slice(), &["network", "ls"]] {
            let output = Command::new("docker").args(what).args(["--quiet", "--filter", &name]).output();
            names += &String::from_utf8_lossy(&output.expect("docker can be run").stdout);
        }
        names
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !left().is_empty() {
        assert!(Instant::now() < deadline, "still there: {}", left());
        thread::sleep(Duration::from_millis(100));
    }
}
