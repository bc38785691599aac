//! What snowmelt costs beside `ssh` and its peers, as ratios measured in one run: `cargo bench --bench fleet [-- PART...]`.
//!
//! Real hosts (Debian with systemd and sshd in containers) and the real program. Prints tables and asserts no time: a busy
//! machine makes everything slower, and ratios much less so. Parts: `fleet`, `growth`, `thousand`, `client`, `peers`.
//! `BENCH_HOSTS` (20) and `BENCH_ROUNDS` (5) in the environment change the size.

mod measure;
mod mix;
mod peers;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hosts::{Host, Hosts};
use measure::{Candidate, Cost, middle, side_by_side};
use mix::Mix;
use snowmelt::catalog::Resolver;
use snowmelt::catalog::load::{self, LoadOptions};

const SNOWMELT: &str = env!("CARGO_BIN_EXE_snowmelt");

/// What our client agrees on with sshd by default, so that nobody wins by cheaper cryptography.
const SAME_CIPHERS: &str = "-o KexAlgorithms=curve25519-sha256 -o Ciphers=chacha20-poly1305@openssh.com";

fn main() {
    let asked: BTreeSet<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |part: &str| asked.is_empty() || asked.contains(part);
    let rounds = setting("BENCH_ROUNDS", 5);
    if wants("client") {
        client(rounds);
    }
    if ["fleet", "growth", "thousand", "peers"].into_iter().all(|part| !wants(part)) {
        return;
    }
    let Some(hosts) = Hosts::up(setting("BENCH_HOSTS", 20)) else { return };
    let mix = Mix::new(100, &hosts[0]);
    hosts.iter().for_each(|host| mix.prepare(host));
    let bench = Project::new(&hosts, &mix.role());
    bench.converge();
    if wants("fleet") {
        fleet(&hosts, &mix, &bench, rounds);
    }
    if wants("peers") {
        peers::compare(&hosts, &mix, &bench, rounds);
    }
    if wants("thousand") {
        thousand(&hosts, &mix);
    }
    if wants("growth") {
        growth(&hosts, rounds);
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// A project with one role, in a folder and a git repository of its own.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(hosts: &Hosts, role: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().expect("a folder") };
        project.write("snowmelt.yml", "project: bench\n");
        project.write("inventory.yml", &hosts.inventory("root", &["bench"]));
        project.write("roles/bench/role.yml", role);
        let git = |arguments: &[&str]| {
            let status = Command::new("git").arg("-C").arg(project.path()).args(arguments).status();
            assert!(status.expect("git runs").success());
        };
        project.write(".gitignore", "*.txt\n*.sh\n");
        git(&["init", "--quiet"]);
        git(&["add", "."]);
        git(&["-c", "user.name=b", "-c", "user.email=b@example.com", "commit", "--quiet", "-m", "bench"]);
        project
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        fs::write(&path, text).expect("the file is written");
        path
    }

    fn snowmelt(&self, name: &str, words: &[&str]) -> Candidate {
        Candidate::new(name, self.path(), &[&[SNOWMELT], words].concat())
    }

    /// `ssh` under `xargs`, which pipes `script` to a shell on each of these hosts.
    fn xargs_ssh(&self, name: &str, hosts: &Hosts, options: &str, script: &str, names: &str) -> Candidate {
        let script = self.write("read.sh", script);
        let ssh = format!("exec ssh -F {} {options} {{}} sh <{}", hosts.ssh_config().display(), script.display());
        let line = format!("printf '%s\\n' {names} | xargs -P20 -I{{}} sh -c '{ssh}'");
        Candidate::new(name, self.path(), &["bash", "-c", &line])
    }

    /// Makes the hosts as declared, and proves it.
    fn converge(&self) {
        for words in [&["apply", "--yes"][..], &["verify"]] {
            self.snowmelt(words[0], words).run(&[]);
        }
    }
}

fn names(hosts: &[Host]) -> String {
    hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// Nothing to do on all hosts, beside one hand-written script by `ssh`.
fn fleet(hosts: &Hosts, mix: &Mix, bench: &Project, rounds: usize) {
    let ssh = |name: &str, options: &str, script: &str| bench.xargs_ssh(name, hosts, options, script, &names(hosts));
    let candidates = [
        ssh("xargs -P20 ssh, same key exchange and cipher", SAME_CIPHERS, &mix.script()),
        bench.snowmelt("snowmelt verify", &["verify"]),
        bench.snowmelt("snowmelt plan", &["plan"]),
        bench.snowmelt("snowmelt apply", &["apply", "--yes"]),
        bench.snowmelt("snowmelt run -- true", &["run", "--", "true"]),
        ssh("xargs -P20 ssh, its defaults", "", &mix.script()),
    ];
    let costs = side_by_side(&candidates, rounds, hosts);
    table(&format!("nothing to do, 100 resources, {} hosts, {rounds} rounds", hosts.len()), &candidates, &costs);
}

/// From 100 to 1,000 resources on one host.
fn growth(hosts: &Hosts, rounds: usize) {
    let one = &hosts[..1];
    let large = Mix::new(1000, &hosts[0]);
    large.prepare(&hosts[0]);
    let small = Project::new(hosts, &Mix::new(100, &hosts[0]).role());
    let project = Project::new(hosts, &large.role());
    project.snowmelt("apply", &["apply", "--yes", "-l", "h1"]).run(&[]);
    let script =
        |project: &Project, name: &str, mix: &Mix| project.xargs_ssh(name, hosts, SAME_CIPHERS, &mix.script(), "h1");
    let candidates = [
        small.snowmelt("snowmelt verify, 100", &["verify", "-l", "h1"]),
        project.snowmelt("snowmelt verify, 1,000", &["verify", "-l", "h1"]),
        script(&small, "ssh, 100", &Mix::new(100, &hosts[0])),
        script(&project, "ssh, 1,000", &large),
    ];
    let costs = side_by_side(&candidates, rounds, one);
    table("from 100 to 1,000 resources on one host", &candidates, &costs);
}

/// A thousand names for the hosts there are: what the client takes, beside connecting and running nothing.
fn thousand(hosts: &Hosts, mix: &Mix) {
    let project = Project::new(hosts, &mix.role());
    let inventory = hosts.inventory("root", &["bench"]);
    let (head, _) = inventory.split_once("      h1:").expect("the hosts are listed");
    let mut aliases = head.to_owned();
    let mut known = fs::read_to_string(hosts.known_hosts()).expect("known_hosts");
    for number in 0..1000 {
        let Host { address, port, .. } = &hosts[number % hosts.len()];
        let _ = writeln!(aliases, "      a{number:04}: {{address: {address}, port: {port}}}");
    }
    known.push('\n');
    project.write("inventory.yml", &aliases);
    println!("\n## 1,000 hosts (aliases of {})\n", hosts.len());
    println!("| | wall s | resident MiB |\n|---|---|---|");
    for (name, words) in [("run -- true", &["run", "--", "true"][..]), ("verify, 100 resources", &["verify"])] {
        let (took, memory) = measure::memory_of(&project.snowmelt(name, words));
        println!("| {name} | {:.2} | {memory:.1} |", took.as_secs_f64());
    }
}

/// What needs no host: start, size, loading and resolving.
fn client(rounds: usize) {
    println!("\n## The program alone\n\n| | |\n|---|---|");
    let start = (0..50 * rounds).map(|_| {
        let began = Instant::now();
        let output = Command::new(SNOWMELT).arg("--version").output().expect("it starts");
        assert!(output.status.success());
        began.elapsed().as_secs_f64() * 1e3
    });
    println!("| start (`--version`), median | {:.1} ms |", middle(start.collect()));
    let size = fs::metadata(SNOWMELT).expect("it is there").len();
    println!("| stripped binary | {:.1} MiB |", size as f64 / f64::from(1 << 20));

    let project = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = project.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        fs::write(path, text).expect("the file is written");
    };
    write("snowmelt.yml", "project: bench\n");
    let roles: Vec<String> = (0..1000).map(|number| format!("role{number:04}")).collect();
    for role in &roles {
        let mut text = "params:\n  size: {type: int, default: 4}\nresources:\n".to_owned();
        for number in 0..20 {
            let _ = writeln!(
                text,
                "  - file: /etc/{role}/{number}.conf\n    content: \"size={{{{ size }}}}\\n\"\n    mode: \"0644\""
            );
        }
        write(&format!("roles/{role}/role.yml"), &text);
    }
    write(
        "inventory.yml",
        &format!("groups:\n  all-hosts:\n    roles: [{}]\n    hosts: {{h1: {{transport: local}}}}\n", roles.join(", ")),
    );
    let mut took = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        let began = Instant::now();
        let (loaded, found) = load::load(project.path(), &LoadOptions { home: None, sets: &[] });
        took[0].push(began.elapsed());
        let loaded = Arc::new(loaded.unwrap_or_else(|| panic!("{}", found.render())));
        let began = Instant::now();
        let resolver = Resolver::new(Arc::clone(&loaded));
        assert!(!resolver.check(&[0]).has_errors());
        took[1].push(began.elapsed());
        let began = Instant::now();
        let catalog = resolver.resolve(&loaded.hosts[0], None).unwrap_or_else(|found| panic!("{}", found.render()));
        took[2].push(began.elapsed());
        assert_eq!(catalog.resources.len(), 20_000);
    }
    for (what, took) in ["load", "check", "resolve for one host"].into_iter().zip(took) {
        let took = middle(took.iter().map(Duration::as_secs_f64).collect());
        println!("| {what}: 1,000 roles, 20,000 resources | {took:.2} s |");
    }
}

/// One line per candidate; ratios to the first.
fn table(title: &str, candidates: &[Candidate], costs: &[Cost]) {
    println!("\n## {title}\n");
    println!("| | wall s | × | CPU here s | × | CPU on the hosts s | × |\n|---|---|---|---|---|---|---|");
    let first = costs[0];
    for (candidate, cost) in candidates.iter().zip(costs) {
        println!(
            "| {} | {:.3} | {:.2} | {:.3} | {:.2} | {:.3} | {:.2} |",
            candidate.name,
            cost.wall,
            cost.wall / first.wall,
            cost.cpu,
            cost.cpu / first.cpu,
            cost.hosts,
            cost.hosts / first.hosts,
        );
    }
}
