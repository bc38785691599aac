//! What snowmelt costs beside `ssh` and its peers, as ratios measured in one run: `cargo bench --bench fleet [-- PART...]`.
//!
//! Real hosts (Debian with systemd and sshd in containers) and the real program. Prints tables and asserts no time: a busy
//! machine makes everything slower, and ratios much less so. Parts: `client`, `fleet`, `replay`, `thousand`, `dead`, `growth`,
//! `peers`; all of them if none is named. `BENCH_HOSTS` (20) and `BENCH_ROUNDS` (5) in the environment change the size.

mod measure;
mod mix;
mod peers;
mod replay;
mod report;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hosts::{Host, Hosts};
use measure::{Candidate, middle, side_by_side, warm_up};
use mix::Mix;
use replay::Replayers;
use report::{Bounds, table};
use snowmelt::act::Selection;
use snowmelt::catalog::Resolver;
use snowmelt::catalog::load::{self, LoadOptions};
use snowmelt::resource::result::{HostOutcome, HostResult};
use snowmelt::transport::{TransportOptions, Transports};
use snowmelt::verbs::{Events, Interrupt, Revision, Settings, runtime, verify};

const SNOWMELT: &str = env!("CARGO_BIN_EXE_snowmelt");

/// What our client agrees on with sshd by default, so that nobody wins by cheaper cryptography.
const SAME_CIPHERS: &str = "-o KexAlgorithms=curve25519-sha256 -o Ciphers=chacha20-poly1305@openssh.com";

const PARTS: [&str; 7] = ["client", "fleet", "replay", "thousand", "dead", "growth", "peers"];

fn main() {
    let asked: BTreeSet<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let Some(unknown) = asked.iter().find(|word| !PARTS.contains(&word.as_str())) {
        eprintln!("no part `{unknown}`: there are {}", PARTS.join(", "));
        std::process::exit(2);
    }
    let wants = |part: &str| asked.is_empty() || asked.contains(part);
    let rounds = setting("BENCH_ROUNDS", 5);
    let began = Instant::now();
    let mut bounds = Bounds::default();
    report::machine();
    if wants("client") {
        client(rounds, &mut bounds);
    }
    if PARTS[1..].iter().any(|part| wants(part)) {
        match Hosts::up(setting("BENCH_HOSTS", 20)) {
            Some(hosts) => with_hosts(&hosts, &wants, rounds, &mut bounds),
            None => bounds
                .missing("everything that needs a host", "there is no Docker with the image of tests/hosts/build.sh"),
        }
    }
    PARTS.into_iter().filter(|part| !wants(part)).for_each(|part| bounds.missing(part, "was not asked for"));
    bounds.missing("a lint verb", "there is none yet; loading and checking all roles stands for it");
    bounds.missing(
        "hosts on machines of their own",
        "hosts and controller share the cores, so what the hosts do is in every wall time but those of the replaying servers",
    );
    bounds.missing("a slow network", "everything is on one machine; each exchange that is saved saves a round trip");
    bounds.print();
    println!();
    report::load("at the end");
    println!("- took {:.0} s", began.elapsed().as_secs_f64());
}

fn with_hosts(hosts: &Hosts, wants: &dyn Fn(&str) -> bool, rounds: usize, bounds: &mut Bounds) {
    let mix = Mix::new(100, &hosts[0]);
    hosts.iter().for_each(|host| mix.prepare(host));
    let bench = Project::new(&hosts.inventory("root", &["bench"]), &mix.role());
    bench.converge(hosts, bounds);
    if wants("fleet") {
        fleet(hosts, &mix, &bench, rounds, bounds);
    }
    if wants("replay") || wants("thousand") {
        let replayers = Replayers::start(hosts.len(), hosts, &hosts[0]);
        if wants("replay") {
            replay(&replayers, hosts, &mix, rounds, bounds);
        }
        if wants("thousand") {
            thousand(&replayers, hosts, &mix, rounds, bounds);
        }
    }
    if wants("dead") {
        dead(hosts, &mix, rounds, bounds);
    }
    if wants("peers") {
        peers::compare(hosts, &mix, &bench, bounds);
    }
    // Last: it changes the first host.
    if wants("growth") {
        growth(hosts, rounds, bounds);
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
    fn new(inventory: &str, role: &str) -> Self {
        let project = Self { folder: tempfile::tempdir().expect("a folder") };
        project.write("snowmelt.yml", "project: bench\n");
        project.write("inventory.yml", inventory);
        project.write("roles/bench/role.yml", role);
        let git = |arguments: &[&str]| {
            let status = Command::new("git").arg("-C").arg(project.path()).args(arguments).status();
            assert!(status.expect("git runs").success());
        };
        project.write(".gitignore", "*.txt\n*.sh\n*.json\npeers\n");
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
    fn xargs_ssh(&self, name: &str, config: &Path, options: &str, script: &str, names: &str) -> Candidate {
        let script = self.write("read.sh", script);
        let ssh = format!("exec ssh -F {} {options} {{}} sh <{}", config.display(), script.display());
        let line = format!("printf '%s\\n' {names} | xargs -P20 -I{{}} sh -c '{ssh}'");
        Candidate::new(name, self.path(), &["bash", "-c", &line])
    }

    /// Makes the hosts as declared, and proves it; counts the exec channels, as sshd does.
    fn converge(&self, hosts: &[Host], bounds: &mut Bounds) {
        let whats = [
            ("exec channels per host, first converge", 5.0, &["apply", "--yes"][..]),
            ("exec channels per host, nothing is due", 1.0, &["verify"]),
        ];
        for (what, bound, words) in whats {
            let before = hosts[0].exec_channels();
            self.snowmelt(words[0], words).run(&[]);
            let channels = (hosts[0].exec_channels() - before) as f64;
            bounds.at_most(what, bound, "", (channels, channels, channels));
        }
    }
}

fn names(hosts: &[Host]) -> String {
    hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(" ")
}

const VERBS: [(&str, &[&str]); 3] =
    [("snowmelt verify", &["verify"]), ("snowmelt plan", &["plan"]), ("snowmelt apply", &["apply", "--yes"])];

/// Nothing to do on all hosts, beside one hand-written script by `ssh`.
fn fleet(hosts: &Hosts, mix: &Mix, bench: &Project, rounds: usize, bounds: &mut Bounds) {
    let config = hosts.ssh_config();
    let ssh = |name: &str, options: &str| bench.xargs_ssh(name, &config, options, &mix.script(), &names(hosts));
    let mut candidates = vec![ssh("xargs -P20 ssh, same key exchange and cipher", SAME_CIPHERS)];
    candidates.extend(VERBS.map(|(name, words)| bench.snowmelt(name, words)));
    candidates.push(bench.snowmelt("snowmelt run -- true", &["run", "--", "true"]));
    candidates.push(ssh("xargs -P20 ssh, its defaults", ""));
    warm_up(&candidates);
    let costs = side_by_side(&candidates, rounds, hosts);
    table(&format!("Nothing to do, 100 resources, {} hosts, {rounds} rounds", hosts.len()), &candidates, &costs);
    for (candidate, cost) in candidates.iter().zip(&costs).skip(1).take(VERBS.len()) {
        let name = &candidate.name;
        bounds.at_most(&format!("{name}: wall, of `ssh`"), 0.85, " ×", cost.times(&costs[0], |cost| cost.wall));
        bounds.at_most(&format!("{name}: CPU here, of `ssh`"), 0.25, " ×", cost.times(&costs[0], |cost| cost.cpu));
        bounds.at_most(
            &format!("{name}: CPU on the hosts, of the script"),
            1.2,
            " ×",
            cost.times(&costs[0], |cost| cost.hosts),
        );
    }
}

/// The same against servers that do nothing but answer: what the client costs.
fn replay(replayers: &Replayers, hosts: &Hosts, mix: &Mix, rounds: usize, bounds: &mut Bounds) {
    let project = Project::new(&replayers.inventory(hosts.len(), "bench"), &mix.role());
    let config = replayers.ssh_config();
    // All servers answer what the first one was told.
    project.snowmelt("verify", &["verify", "-l", "h1"]).run(&[]);
    let candidates = [
        project.xargs_ssh("xargs -P20 ssh", &config, SAME_CIPHERS, &mix.script(), &names(hosts)),
        project.snowmelt("snowmelt verify", &["verify"]),
        project.snowmelt("snowmelt run -- true", &["run", "--", "true"]),
    ];
    warm_up(&candidates);
    let costs = side_by_side(&candidates, rounds * 2, &[]);
    table(&format!("Replaying servers, {} of them, {} rounds", hosts.len(), rounds * 2), &candidates, &costs);
    bounds.at_most("replaying servers: wall, of `ssh`", 0.6, " ×", costs[1].times(&costs[0], |cost| cost.wall));
    bounds.at_most("replaying servers: CPU here, of `ssh`", 0.2, " ×", costs[1].times(&costs[0], |cost| cost.cpu));
}

/// From 100 to 1,000 resources on one host.
fn growth(hosts: &Hosts, rounds: usize, bounds: &mut Bounds) {
    let mixes = [100, 1000].map(|count| Mix::new(count, &hosts[0]));
    mixes[1].prepare(&hosts[0]);
    let inventory = hosts.inventory("root", &["bench"]);
    let projects = mixes.each_ref().map(|mix| Project::new(&inventory, &mix.role()));
    let config = hosts.ssh_config();
    let began = Instant::now();
    projects[1].snowmelt("apply", &["apply", "--yes", "--older", "-l", "h1"]).run(&[]);
    let first = began.elapsed().as_secs_f64();
    let script =
        |which: usize, name: &str| projects[which].xargs_ssh(name, &config, SAME_CIPHERS, &mixes[which].script(), "h1");
    let candidates = [
        projects[0].snowmelt("snowmelt verify, 100", &["verify", "-l", "h1"]),
        projects[1].snowmelt("snowmelt verify, 1,000", &["verify", "-l", "h1"]),
        script(0, "ssh, 100"),
        script(1, "ssh, 1,000"),
    ];
    warm_up(&candidates);
    let costs = side_by_side(&candidates, rounds * 2, &hosts[..1]);
    table("From 100 to 1,000 resources on one host", &candidates, &costs);
    println!("\nThe first apply of the 900 that were new took {first:.2} s.");
    bounds.at_most("from 100 to 1,000 resources: wall", 2.5, " ×", costs[1].times(&costs[0], |cost| cost.wall));
}

/// A thousand names for the servers there are: what the client takes, beside connecting and running nothing.
fn thousand(replayers: &Replayers, hosts: &Hosts, mix: &Mix, rounds: usize, bounds: &mut Bounds) {
    let project = Project::new(&replayers.inventory(1000, "bench"), &mix.role());
    project.snowmelt("verify", &["verify", "-l", "h1"]).run(&[]);
    let candidates = [
        project.snowmelt("snowmelt run -- true", &["run", "--", "true"]),
        project.snowmelt("snowmelt verify", &["verify"]),
    ];
    warm_up(&candidates);
    let costs = side_by_side(&candidates, rounds.div_ceil(2), &[]);
    table(&format!("1,000 hosts (aliases of {} replaying servers)", hosts.len()), &candidates, &costs);
    bounds.at_most("1,000 hosts: wall, of running nothing", 1.2, " ×", costs[1].times(&costs[0], |cost| cost.wall));
    let (_, replayed) = measure::memory_of(&candidates[1]);

    let inventory = hosts.inventory("root", &["bench"]);
    let (head, _) = inventory.split_once("      h1:").expect("the hosts are listed");
    let mut aliases = head.to_owned();
    for number in 0..1000 {
        let Host { address, port, .. } = &hosts[number % hosts.len()];
        let _ = writeln!(aliases, "      a{number:04}: {{address: {address}, port: {port}}}");
    }
    let project = Project::new(&aliases, &mix.role());
    let (took, real) = measure::memory_of(&project.snowmelt("verify", &["verify"]));
    println!("\n1,000 aliases of {} real hosts: {:.0} s, {real:.0} MiB resident.", hosts.len(), took.as_secs_f64());
    let memory = replayed.max(real);
    bounds.at_most("1,000 hosts: resident", 150.0, " MiB", (memory, memory, memory));
}

/// Hosts that do not answer among those that do: when these are done.
fn dead(hosts: &Hosts, mix: &Mix, rounds: usize, bounds: &mut Bounds) {
    // Accepts and says nothing; the kernel does that without anybody.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("its address").port();
    let real = hosts.inventory("root", &["bench"]).replace("defaults:\n", "defaults:\n  connect_timeout: 10\n");
    let (head, listed) = real.split_once("      h1:").expect("the hosts are listed");
    let with = |count: usize| {
        let mut text = head.to_owned();
        for number in 0..count {
            let _ = writeln!(text, "      dead{number}: {{address: 127.0.0.1, port: {port}}}");
        }
        format!("{text}      h1:{listed}")
    };
    let counts = [0, 3, 30];
    let projects = counts.map(|count| Project::new(&with(count), &mix.role()));
    let mut done: [Vec<f64>; 3] = Default::default();
    // The first run finds nothing in any cache.
    last_done(&projects[0]);
    for _ in 0..rounds.div_ceil(2) {
        for (project, done) in projects.iter().zip(&mut done) {
            done.push(last_done(project));
        }
    }
    println!("\n## Hosts that accept and say nothing, listed before {} that live\n", hosts.len());
    println!("| | the living are done after s |\n|---|---|");
    for (count, done) in counts.iter().zip(&done) {
        println!("| {count} dead | {:.2} |", middle(done.clone()));
    }
    for (count, with) in counts.iter().zip(&done).skip(1) {
        let ratios = with.iter().zip(&done[0]).map(|(with, without)| with / without).collect();
        bounds.at_most(&format!("{count} dead hosts: the others are done after"), 1.2, " ×", measure::spread(ratios));
    }
}

/// When the last host that lives was done, in seconds from the beginning.
fn last_done(project: &Project) -> f64 {
    struct Last(Instant, Mutex<f64>);
    impl Events for Last {
        fn host_done(&self, result: &HostResult) {
            if result.outcome == HostOutcome::Judged {
                *self.1.lock().expect("nobody panics here") = self.0.elapsed().as_secs_f64();
            }
        }
    }
    let (loaded, found) = load::load(project.path(), &LoadOptions { home: None, sets: &[] });
    let loaded = Arc::new(loaded.unwrap_or_else(|| panic!("{}", found.render())));
    let home = project.path().to_owned();
    let settings = Settings {
        resolver: Arc::new(Resolver::new(Arc::clone(&loaded))),
        hosts: (0..loaded.hosts.len()).collect(),
        project: loaded,
        parallel: 25,
        deadline: Duration::from_secs(60),
        act_deadline: Duration::from_secs(60),
        transports: Transports::new(TransportOptions::new(home, "root")),
        who: "bench".to_owned(),
        revision: Revision::none(),
        selection: Selection::default(),
        confirmed: None,
        older: false,
        interrupt: Interrupt::default(),
    };
    let last = Arc::new(Last(Instant::now(), Mutex::default()));
    let events: Arc<dyn Events> = Arc::clone(&last) as Arc<dyn Events>;
    runtime::block_on(&settings.interrupt, |_| {}, verify(&settings, &events)).expect("it runs");
    *last.1.lock().expect("nobody panics here")
}

/// What needs no host: start, size, loading and resolving.
fn client(rounds: usize, bounds: &mut Bounds) {
    println!("\n## The program alone\n\n| | |\n|---|---|");
    let start = (0..50 * rounds).map(|_| {
        let began = Instant::now();
        let output = Command::new(SNOWMELT).arg("--version").output().expect("it starts");
        assert!(output.status.success());
        began.elapsed().as_secs_f64() * 1e3
    });
    let start = measure::spread(start.collect());
    println!("| start (`--version`), median | {:.1} ms |", start.0);
    bounds.at_most("start (`--version`)", 10.0, " ms", start);
    let size = fs::metadata(SNOWMELT).expect("it is there").len();
    let size = size as f64 / f64::from(1 << 20);
    println!("| stripped binary | {size:.1} MiB |");
    bounds.at_most("the program, stripped", 15.0, " MiB", (size, size, size));

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
        // What was checked is not resolved again.
        let resolver = Resolver::new(Arc::clone(&loaded));
        let began = Instant::now();
        let catalog = resolver.resolve(&loaded.hosts[0], None).unwrap_or_else(|found| panic!("{}", found.render()));
        took[2].push(began.elapsed());
        assert_eq!(catalog.resources.len(), 20_000);
    }
    let both = took[0].iter().zip(&took[1]).map(|(load, check)| (*load + *check).as_secs_f64());
    bounds.at_most("1,000 roles, 20,000 resources: load and check", 1.0, " s", measure::spread(both.collect()));
    for (what, took) in ["load", "check", "resolve for one host"].into_iter().zip(took) {
        let took = middle(took.iter().map(Duration::as_secs_f64).collect());
        println!("| {what}: 1,000 roles, 20,000 resources | {took:.2} s |");
    }
}
