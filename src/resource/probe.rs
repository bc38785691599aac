//! A user's own command, run only to be read: a guard, a check, a fact.
//!
//! The engine runs probes after everything cheap has been read, four at a time, each into a bounded file and under a
//! deadline, and hands the answers to the kind.

use std::time::Duration;

/// A command to run on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Shell text, given to `sh -c` as one word.
    pub command: String,
    /// Whom to run it as; none for whoever reads the rest.
    pub user: Option<String>,
    /// Where to run it; none for `/`.
    pub cwd: Option<String>,
    /// Additional environment.
    pub env: Vec<(String, String)>,
    /// What it reads; none for nothing.
    pub stdin: Option<Vec<u8>>,
    /// When it is killed.
    pub timeout: Duration,
}

impl Probe {
    /// A command with the usual deadline of 30 seconds and nothing else.
    pub fn new(command: impl Into<String>) -> Self {
        let (user, cwd, stdin) = (None, None, None);
        Self { command: command.into(), user, cwd, env: Vec::new(), stdin, timeout: Duration::from_secs(30) }
    }
}

/// How a probe ended and what it printed.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeAnswer {
    /// How it ended.
    pub end: ProbeEnd,
    /// What it wrote to standard output, at most 256 KiB.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, at most 16 KiB.
    pub stderr: Vec<u8>,
    /// Whether it wrote more than was kept.
    pub truncated: bool,
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeEnd {
    /// By itself, with this status; 126 and 127 mean that it did not run.
    Exit(u8),
    /// By this signal.
    Signal(u8),
    /// It was killed at its deadline.
    Deadline,
    /// It was not run, and why.
    NotRun(String),
}
