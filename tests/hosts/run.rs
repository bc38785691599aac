//! What the hosts of one test process have in common: a network, a folder, an owner, and that nothing of it stays behind.
//!
//! Knows Docker and nothing of what is inside a host. Three things clean up: a set of hosts when it is dropped; a watchdog,
//! which sees the end of this process however it comes; and the next run, which removes what belongs to no living process.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

/// The label of everything that is ours in Docker; its value is the owner.
const LABEL: &str = "snowmelt-test.owner";
const NAME: &str = "snowmelt-test";

/// What systemd needs beyond Docker's defaults, with the rest that a machine of one's own can do. `--privileged` would do,
/// but is not allowed everywhere.
const CAPABILITIES: [&str; 7] =
    ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_BOOT", "SYS_NICE", "DAC_READ_SEARCH", "AUDIT_CONTROL"];

/// The run that this process is.
pub(crate) struct Run {
    /// For keys and configuration; removed at the end.
    pub(crate) folder: PathBuf,
    owner: String,
    network: String,
    first_address: Ipv4Addr,
    used_addresses: AtomicU32,
    /// Not read: that its standard input is closed when this process ends is what it waits for.
    _watchdog: Child,
}

/// This process's run, begun with the first call.
pub(crate) fn current() -> &'static Run {
    static RUN: OnceLock<Run> = OnceLock::new();
    RUN.get_or_init(begin)
}

/// The name of the image for hosts, if there are a Docker daemon and an image that was built from the present inputs.
pub(crate) fn image() -> Result<String, String> {
    static IMAGE: OnceLock<Result<String, String>> = OnceLock::new();
    IMAGE.get_or_init(find_image).clone()
}

/// Creates a container that is not started yet: its name, and the address it will have.
pub(crate) fn create(hostname: &str) -> (String, Ipv4Addr) {
    let run = current();
    let number = run.used_addresses.fetch_add(1, Ordering::Relaxed);
    let address = Ipv4Addr::from_bits(run.first_address.to_bits() + number);
    let container = format!("{}-{number}", run.network);
    let (label, ip) = (format!("{LABEL}={}", run.owner), address.to_string());
    let image = image().expect("nobody asks for a host where none can be had");
    let mut arguments = vec!["create", "--name", &container, "--hostname", hostname, "--label", &label];
    arguments.extend(["--network", &run.network, "--ip", &ip, "--cgroupns", "private"]);
    arguments.extend(CAPABILITIES.iter().flat_map(|capability| ["--cap-add", capability]));
    for option in ["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"] {
        arguments.extend(["--security-opt", option]);
    }
    // A `reboot` on the host ends the container; Docker starts it again.
    arguments.extend(["--restart", "unless-stopped", "--stop-signal", "SIGRTMIN+3"]);
    arguments.extend(["--tmpfs", "/run:exec", "--tmpfs", "/tmp:exec", &image]);
    docker(&arguments);
    (container, address)
}

/// Removes containers. What cannot be removed now is the watchdog's.
pub(crate) fn remove<'a>(containers: impl Iterator<Item = &'a str>) {
    let _ = Command::new("docker").args(["rm", "--force", "--volumes"]).args(containers).output();
}

/// What `docker` prints for these arguments, without white space around it.
///
/// # Panics
/// If it does not succeed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    try_docker(arguments).unwrap_or_else(|error| panic!("docker {}: {error}", arguments.join(" ")))
}

fn try_docker(arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new("docker").args(arguments).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(text.trim().to_owned()) } else { Err(error.trim().to_owned()) }
}

fn find_image() -> Result<String, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/build.sh");
    let release = env::var("SNOWMELT_TEST_RELEASE").unwrap_or_else(|_| "bookworm".to_owned());
    match Command::new("bash").args([script, "--check", &release]).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(format!("bash cannot be run: {error}")),
    }
}

fn begin() -> Run {
    remove_what_the_dead_left();
    let owner = owner_of(process::id()).expect("this process is alive");
    let network = format!("{NAME}-{}", process::id());
    let folder = env::temp_dir().join(format!("{NAME}-{owner}"));
    let watchdog = watch(&owner, &folder);
    fs::create_dir(&folder).expect("a folder for the run");
    let first_address = create_network(&network, &owner);
    Run { folder, owner, network, first_address, used_addresses: AtomicU32::new(0), _watchdog: watchdog }
}

/// A process's number and when it started, so that a number given out again is not mistaken for it. `None` once it is dead.
fn owner_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything; the start is the 22nd.
    let started = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{pid}.{started}"))
}

fn is_dead(owner: &str) -> bool {
    let pid = owner.split('.').next().and_then(|pid| pid.parse().ok());
    pid.and_then(owner_of).as_deref() != Some(owner)
}

fn remove_what_the_dead_left() {
    let (filter, label) = (format!("label={LABEL}"), format!(r#"{{{{.Label "{LABEL}"}}}}"#));
    let containers = docker(&["ps", "--all", "--filter", &filter, "--format", &format!("{{{{.ID}}}} {label}")]);
    let dead: Vec<&str> = ids_of_the_dead(&containers).collect();
    if !dead.is_empty() {
        remove(dead.into_iter());
    }
    let networks = docker(&["network", "ls", "--filter", &filter, "--format", &format!("{{{{.ID}}}} {label}")]);
    for network in ids_of_the_dead(&networks) {
        // Their watchdog may be doing the same at this moment.
        let _ = try_docker(&["network", "rm", network]);
    }
    for entry in fs::read_dir(env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('-')).is_some_and(is_dead) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// From lines of an id and an owner.
fn ids_of_the_dead(lines: &str) -> impl Iterator<Item = &str> {
    lines.lines().filter_map(|line| line.split_once(' ')).filter(|(_, owner)| is_dead(owner)).map(|(id, _)| id)
}

/// Starts the process that waits for the end of this one and then cleans up. It is in a process group of its own, so that
/// Ctrl-C does not end it too, and holds none of our files, so that nobody who reads our output waits for it.
fn watch(owner: &str, folder: &std::path::Path) -> Child {
    let script = r#"
        trap '' INT TERM HUP
        cat
        containers=$(docker ps --all --quiet --filter "label=$1")
        [ -z "$containers" ] || docker rm --force --volumes $containers
        networks=$(docker network ls --quiet --filter "label=$1")
        [ -z "$networks" ] || docker network rm $networks
        rm -rf "$2""#;
    Command::new("sh")
        .args(["-c", script, "watchdog", &format!("{LABEL}={owner}")])
        .arg(folder)
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the watchdog starts")
}

/// A network with no way out, on the first of 256 ranges that is free: the first address for a host on it.
fn create_network(name: &str, owner: &str) -> Ipv4Addr {
    let label = format!("{LABEL}={owner}");
    let start = process::id() % 256;
    for number in (start..256).chain(0..start) {
        // 10.208.0.0/12 in parts of 4096 addresses.
        let range = Ipv4Addr::new(10, 208, 0, 0).to_bits() + number * 4096;
        let subnet = format!("{}/20", Ipv4Addr::from_bits(range));
        match try_docker(&["network", "create", "--internal", "--label", &label, "--subnet", &subnet, name]) {
            Ok(_) => return Ipv4Addr::from_bits(range + 11),
            Err(error) if error.contains("overlap") => {}
            Err(error) => panic!("docker network create {subnet}: {error}"),
        }
    }
    panic!("no range in 10.208.0.0/12 is free")
}
