//! What a command costs: time, CPU here, CPU on the hosts, memory, in rounds in which the candidates take turns.
//!
//! It refuses to know what is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hosts::Host;

/// What one run of a command cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of CPU of the command and everything that it started here.
    pub(crate) cpu: f64,
    /// Seconds of CPU of all hosts together.
    pub(crate) hosts: f64,
}

/// A command with a name.
pub(crate) struct Candidate {
    /// As it stands in the table.
    pub(crate) name: String,
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    /// Where it is run.
    pub(crate) folder: PathBuf,
}

impl Candidate {
    pub(crate) fn new(name: &str, folder: &Path, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { name: name.to_owned(), words, folder: folder.to_owned() }
    }

    /// Runs it once, which must succeed.
    pub(crate) fn run(&self, hosts: &[Host]) -> Cost {
        self.try_run(hosts).unwrap_or_else(|said| panic!("{} did not succeed: {said}", self.name))
    }

    /// Runs it once; what it said if it did not succeed.
    pub(crate) fn try_run(&self, hosts: &[Host]) -> Result<Cost, String> {
        // bash tells the times of a child and its children to the millisecond; std has no way to ask.
        const TIMED: &str = "TIMEFORMAT='%3R %3U %3S'; time \"$@\" >out.txt 2>err.txt";
        let before = cpu_of(hosts);
        let output = Command::new("bash")
            .args(["-c", TIMED, "bash"])
            .args(&self.words)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        if !output.status.success() {
            let said =
                ["out.txt", "err.txt"].map(|name| fs::read_to_string(self.folder.join(name)).unwrap_or_default());
            return Err(format!("{}: {}", output.status, said.join("")));
        }
        // What the hosts still do for a session that has ended belongs to it.
        thread::sleep(Duration::from_millis(200));
        let times = String::from_utf8_lossy(&output.stderr).into_owned();
        let times: Vec<f64> = times.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [wall, user, system] = times[..] else { panic!("bash did not tell the time: {times:?}") };
        Ok(Cost { wall, cpu: user + system, hosts: cpu_of(hosts) - before })
    }
}

/// The costs of several runs of one candidate, one per round.
pub(crate) struct Series(Vec<Cost>);

impl Series {
    /// The middle of one part of the cost, and the least and the most of it.
    pub(crate) fn of(&self, part: fn(&Cost) -> f64) -> (f64, f64, f64) {
        spread(self.0.iter().map(part).collect())
    }

    /// This part of the cost as a multiple of another candidate's, round by round.
    pub(crate) fn times(&self, other: &Self, part: fn(&Cost) -> f64) -> (f64, f64, f64) {
        spread(self.0.iter().zip(&other.0).map(|(one, other)| part(one) / part(other)).collect())
    }
}

/// The middle of some numbers, and the least and the most of them.
pub(crate) fn spread(numbers: Vec<f64>) -> (f64, f64, f64) {
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (middle(numbers), least, most)
}

/// Runs all candidates once, for nothing.
pub(crate) fn warm_up(candidates: &[Candidate]) {
    for candidate in candidates {
        candidate.run(&[]);
    }
}

/// Runs all candidates in turn for `rounds` rounds, so that a machine that gets slower gets slower for all of them.
pub(crate) fn side_by_side(candidates: &[Candidate], rounds: usize, hosts: &[Host]) -> Vec<Series> {
    let mut costs: Vec<Series> = candidates.iter().map(|_| Series(Vec::new())).collect();
    for _ in 0..rounds {
        for (candidate, series) in candidates.iter().zip(&mut costs) {
            series.0.push(candidate.run(hosts));
        }
    }
    costs
}

/// The median of some numbers.
pub(crate) fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Seconds of CPU that the containers have used so far.
fn cpu_of(hosts: &[Host]) -> f64 {
    hosts.iter().map(cpu_of_host).sum()
}

fn cpu_of_host(host: &Host) -> f64 {
    let id = container_id(host);
    // The first is cgroup v1, the others v2 with Docker's two ways of naming.
    if let Ok(text) = fs::read_to_string(format!("/sys/fs/cgroup/cpuacct/docker/{id}/cpuacct.usage")) {
        return text.trim().parse::<f64>().expect("nanoseconds") / 1e9;
    }
    for folder in [format!("docker/{id}"), format!("system.slice/docker-{id}.scope")] {
        if let Ok(text) = fs::read_to_string(format!("/sys/fs/cgroup/{folder}/cpu.stat")) {
            let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
            return usage.and_then(|usage| usage.parse::<f64>().ok()).expect("microseconds") / 1e6;
        }
    }
    panic!("the CPU time of a container is not to be found in /sys/fs/cgroup")
}

fn container_id(host: &Host) -> String {
    use std::cell::RefCell;
    use std::collections::HashMap;
    thread_local!(static IDS: RefCell<HashMap<String, String>> = RefCell::default());
    IDS.with_borrow_mut(|ids| {
        let ask = || {
            let output = Command::new("docker").args(["inspect", "-f", "{{.Id}}", &host.container]).output();
            String::from_utf8_lossy(&output.expect("docker runs").stdout).trim().to_owned()
        };
        ids.entry(host.container.clone()).or_insert_with(ask).clone()
    })
}

/// Runs a program, which must succeed, and returns how long it took and the most memory that it had, in MiB.
pub(crate) fn memory_of(candidate: &Candidate) -> (Duration, f64) {
    let (program, arguments) = candidate.words.split_first().expect("a program");
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(&candidate.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut most = 0;
    let status = loop {
        // The high-water mark survives until the process is gone; what it grew in its last moment is missed.
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let mark =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(mark.unwrap_or(0));
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{} ended with {status}", candidate.name);
    (began.elapsed(), f64::from(most) / 1024.0)
}
