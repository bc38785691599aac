//! A project in a temporary folder, and the program run on it as a user would.

// Each test file is a crate of its own and uses the part it needs.
#![allow(dead_code, unreachable_pub, reason = "not every test file uses all of it")]

pub mod invariants;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A project under test.
pub struct Project {
    folder: tempfile::TempDir,
}

/// How the program ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// What a run of the program took.
#[derive(Debug)]
pub struct Measured {
    pub code: i32,
    /// The most memory that was resident, in KiB.
    pub peak: u64,
    /// The most open files that were seen.
    pub descriptors: usize,
}

impl Project {
    /// A project with nothing but a name.
    pub fn new() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        project.file("snowmelt.yml", "project: test\n")
    }

    /// One host, this machine, whose memory is inside the project; the role `x` with these resources.
    pub fn local(resources: &str) -> Self {
        let project = Self::new();
        let memory = project.path("memory");
        project
            .file("snowmelt.yml", &format!("project: test\nmemory: {}\n", memory.display()))
            .file("inventory.yml", "groups:\n  all-of-it:\n    roles: [x]\n    hosts: {here: {transport: local}}\n")
            .file("roles/x/role.yml", &format!("resources:\n{resources}"))
    }

    /// Writes a file.
    pub fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// Writes a file of a project in use.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Copies a role and its spec from the repository.
    pub fn role(self, name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&root.join("roles").join(name), &self.path("roles").join(name));
        let spec = format!("specs/{name}.yml");
        if root.join(&spec).exists() {
            std::fs::create_dir_all(self.path("specs")).unwrap();
            std::fs::copy(root.join(&spec), self.path(&spec)).unwrap();
        }
        self
    }

    /// Where something of the project is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The text of a file.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program with these arguments, in the project.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["NO_COLOR", "CLICOLOR_FORCE", "CI", "GITHUB_ACTIONS", "SSH_AUTH_SOCK"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let out = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
        Ran { code: out.status.code().unwrap_or(-1), stdout: text(&out.stdout), stderr: text(&out.stderr) }
    }

    /// Runs the program with a limit of open files, output thrown away, and sees how much it takes.
    pub fn measured(&self, files: usize, arguments: &[&str]) -> Measured {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_snowmelt")]).args(arguments).current_dir(self.folder.path());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut measured = Measured { code: -1, peak: 0, descriptors: 0 };
        let folder = PathBuf::from(format!("/proc/{}", child.id()));
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                measured.code = status.code().unwrap_or(-1);
                return measured;
            }
            let status = std::fs::read_to_string(folder.join("status")).unwrap_or_default();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let peak = peak.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
            measured.peak = measured.peak.max(peak.unwrap_or_default());
            let open = std::fs::read_dir(folder.join("fd")).map_or(0, Iterator::count);
            measured.descriptors = measured.descriptors.max(open);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Starts the program, output thrown away.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

impl Ran {
    /// Fails the test unless the program ended with this code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Fails the test unless all of these stand in what was printed.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stdout.contains(part) || self.stderr.contains(part), "`{part}` is missing\n{self}");
        }
        self
    }

    /// Fails the test if any of these stands in what was printed.
    #[track_caller]
    pub fn hides(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(!self.stdout.contains(part) && !self.stderr.contains(part), "`{part}` was printed\n{self}");
        }
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// The addresses that a JSON report says are not as they should be, sorted, `host role/kind:identity#attribute`.
pub fn wrong(report: &str) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_str(report).unwrap();
    let mut found = Vec::new();
    for host in report["hosts"].as_array().unwrap() {
        for resource in host["resources"].as_array().unwrap() {
            for attribute in resource["attributes"].as_array().unwrap() {
                if matches!(attribute["verdict"].as_str().unwrap(), "pending" | "drifted" | "failed") {
                    let (host, address) = (host["host"].as_str().unwrap(), resource["address"].as_str().unwrap());
                    found.push(format!("{host} {address}#{}", attribute["name"].as_str().unwrap()));
                }
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
