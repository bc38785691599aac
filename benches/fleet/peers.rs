//! Other tools on the same hosts with the same resources, nothing to do, as far as they are in the PATH.
//!
//! Each is used as its documentation recommends for speed: Ansible with pipelining, kept connections and a fork per host;
//! pyinfra and Serverspec with all hosts at once. They take minutes for what the others take seconds for, so they run on
//! `BENCH_PEER_HOSTS` (5) hosts, once each after what they do once, and not longer than `BENCH_PEER_SECONDS` (150).

use std::fmt::Write as _;

use hosts::Hosts;

use crate::measure::{Candidate, side_by_side};
use crate::mix::Mix;
use crate::report::{Bounds, said, table};
use crate::{Project, setting};

/// Prints a table with the tools that there are.
pub(crate) fn compare(hosts: &Hosts, mix: &Mix, bench: &Project, bounds: &mut Bounds) {
    let count = setting("BENCH_PEER_HOSTS", 5).min(hosts.len());
    let limit = format!("{}", setting("BENCH_PEER_SECONDS", 150));
    let config = hosts.ssh_config().display().to_string();
    let hosts = &hosts[..count];
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();

    bench.write("peers/playbook.yml", &mix.playbook());
    bench.write("peers/hosts.ini", &names.join("\n"));
    bench.write(
        "peers/ansible.cfg",
        &format!(
            "[defaults]\nforks = 20\nretry_files_enabled = false\nstdout_callback = default\ninterpreter_python = auto_silent\n\
             [ssh_connection]\npipelining = true\nssh_args = -F {config} -o ControlMaster=auto -o ControlPersist=60s\n"
        ),
    );
    bench.write("peers/deploy.py", &mix.deploy());
    let mut inventory = "hosts = [\n".to_owned();
    for name in &names {
        let _ = writeln!(inventory, "  ('{name}', {{'ssh_config_file': '{config}', 'ssh_user': 'root'}}),");
    }
    bench.write("peers/inventory.py", &format!("{inventory}]\n"));
    bench.write("peers/bench_spec.rb", &mix.serverspec(&config));

    let version = |program: &str, arguments: &[&str]| said(program, arguments);
    let listed = names.join(" ");
    let tools = [
        (
            "ansible-playbook",
            version("ansible-playbook", &["--version"]),
            "ANSIBLE_CONFIG=peers/ansible.cfg exec ansible-playbook -i peers/hosts.ini peers/playbook.yml".to_owned(),
        ),
        (
            "pyinfra",
            version("pyinfra", &["--version"]),
            "cd peers && exec pyinfra -y --parallel 20 inventory.py deploy.py".to_owned(),
        ),
        (
            "rspec",
            format!("Serverspec on rspec {}", version("rspec", &["--version"])),
            format!(
                "printf '%s\\n' {listed} | xargs -P20 -I{{}} env TARGET_HOST={{}} rspec --default-path peers peers/bench_spec.rb"
            ),
        ),
    ];
    let mut candidates = vec![bench.snowmelt("snowmelt apply", &["apply", "--yes", "-l", &names.join(",")])];
    for (program, shown, line) in tools {
        let there = std::process::Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        if !there.is_ok_and(|output| output.status.success()) {
            bounds.missing(program, "it is not in the PATH");
            continue;
        }
        // Without ControlPersist's process, which outlives what it was made for, nobody would wait for the end of the output.
        let candidate = Candidate::new(&shown, bench.path(), &["timeout", &limit, "bash", "-c", &line]);
        if program.starts_with("ansible") {
            // It needs an interpreter on the hosts, and its module for packages.
            hosts.iter().for_each(|host| {
                host.spoil("apt-get update -q >/dev/null; apt-get install -y -q python3 python3-apt >/dev/null")
            });
        }
        // The first run does what the tool does only once, and shows that it works.
        match candidate.try_run(hosts) {
            Ok(_) => candidates.push(candidate),
            Err(said) if said.starts_with("exit status: 124") => {
                bounds.missing(program, &format!("it took longer than {limit} s (BENCH_PEER_SECONDS)"));
            }
            Err(said) => {
                let end: String = said.chars().rev().take(400).collect::<Vec<_>>().into_iter().rev().collect();
                bounds.missing(program, &format!("it did not succeed: {}", end.replace('\n', " ")));
            }
        }
    }
    let rounds = setting("BENCH_PEER_ROUNDS", 1);
    let costs = side_by_side(&candidates, rounds, hosts);
    table(&format!("Other tools: nothing to do, 100 resources, {count} hosts, {rounds} round(s)"), &candidates, &costs);
}
