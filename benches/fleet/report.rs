//! What the benchmark prints: Markdown tables, as they stand in docs/performance.md. It refuses to know how anything was measured.

use std::fs;
use std::process::Command;

use crate::measure::{Candidate, Cost, Series};

/// What is promised beside what was measured.
#[derive(Default)]
pub(crate) struct Bounds {
    rows: Vec<String>,
    missing: Vec<String>,
}

impl Bounds {
    /// A figure that shall be at most `bound`, with its least and most where it was measured several times.
    pub(crate) fn at_most(&mut self, what: &str, bound: f64, unit: &str, (middle, least, most): (f64, f64, f64)) {
        let verdict = if middle <= bound { "ok" } else { "**not**" };
        let range = if least < most { format!(" ({least:.2}–{most:.2})") } else { String::new() };
        self.rows.push(format!("| {what} | ≤ {bound}{unit} | {middle:.2}{unit}{range} | {verdict} |"));
    }

    /// Something that was not measured, and why.
    pub(crate) fn missing(&mut self, what: &str, why: &str) {
        self.missing.push(format!("- {what}: {why}"));
    }

    /// All of it.
    pub(crate) fn print(&self) {
        println!("\n## What is promised\n\n| | bound | measured | |\n|---|---|---|---|");
        self.rows.iter().for_each(|row| println!("{row}"));
        println!("\nNot measured:\n");
        self.missing.iter().for_each(|row| println!("{row}"));
    }
}

/// One line per candidate; ratios to the first, round by round.
pub(crate) fn table(title: &str, candidates: &[Candidate], costs: &[Series]) {
    println!("\n## {title}\n");
    println!("| | wall s | × | CPU here s | × | CPU on the hosts s | × |\n|---|---|---|---|---|---|---|");
    let first = &costs[0];
    let parts: [fn(&Cost) -> f64; 3] = [|cost| cost.wall, |cost| cost.cpu, |cost| cost.hosts];
    for (candidate, cost) in candidates.iter().zip(costs) {
        let cells = parts.map(|part| {
            let (middle, least, most) = cost.of(part);
            let digits = if middle < 10.0 { 3 } else { 0 };
            if middle == 0.0 {
                return "– | –".to_owned();
            }
            format!("{middle:.digits$} ({least:.digits$}–{most:.digits$}) | {:.2}", cost.times(first, part).0)
        });
        println!("| {} | {} |", candidate.name, cells.join(" | "));
    }
}

/// What all of this was measured on, and how busy it is with other things.
pub(crate) fn machine() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("# Measured {}\n", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]));
    println!("- {cores} cores of {}", model.trim_start_matches([' ', '\t', ':']));
    println!("- Linux {}", read("/proc/sys/kernel/osrelease").trim());
    println!("- {}", said("ssh", &["-V"]));
    println!("- {}", said(env!("CARGO_BIN_EXE_snowmelt"), &["--version"]));
    load("at the beginning");
}

/// How busy the machine is.
pub(crate) fn load(when: &str) {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("- load {when}: {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "));
}

/// The first line that a program prints, wherever it prints it.
pub(crate) fn said(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return format!("no {program}") };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
}
