//! Real hosts to test on: Debian with systemd and sshd in containers, up in about a second, gone when the test is over.
//!
//! ```no_run
//! let Some(hosts) = hosts::Hosts::up(2) else { return }; // skipped, loudly, where there is no Docker
//! std::fs::write("inventory.yml", hosts.inventory("deploy", &["nginx"])).unwrap();
//! hosts[0].spoil("chmod 600 /etc/hosts");
//! assert_eq!(hosts[0].ask("stat -c %a /etc/hosts"), "600");
//! ```
//!
//! [`Host::exec`], [`Host::ask`] and [`Host::spoil`] go through Docker, never through what is being tested: they are the
//! independent witness. Nothing here knows snowmelt, but for the few words of [`Hosts::inventory`]. What is in the image, and
//! which packages a host can install without a network, is said in `build.sh` and `packages.sh`.
//!
//! This is a crate and not a module, so that every test file and benchmark may use the part of it that it needs.

mod run;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, io, thread};

/// Some hosts of one test, named `h1`, `h2` and so on. A slice of [`Host`]; dropping it removes them.
pub struct Hosts {
    hosts: Vec<Host>,
    folder: PathBuf,
}

/// One host. It has the users `root`, `deploy` (sudo without a password) and `nosudo` (none), all with [`Hosts::key`].
pub struct Host {
    /// Its name in the inventory, in `ssh_config` and as its own host name: `h1`.
    pub name: String,
    /// The address it keeps, also over a reboot. There is a route to it from this machine and from the other hosts.
    pub address: Ipv4Addr,
    /// The port of its sshd.
    pub port: u16,
    /// The name of its container.
    pub container: String,
    ssh_config: PathBuf,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it wrote to standard output, bytes that are no UTF-8 replaced.
    pub stdout: String,
    /// The same for standard error.
    pub stderr: String,
}

/// Whether hosts can be had on this machine, and if not, why not.
pub fn available() -> Result<(), String> {
    run::image().map(|_| ())
}

/// Says on standard error, past the capture of the test harness, that the current test is skipped.
///
/// # Panics
/// With `SNOWMELT_NO_SKIP=1` in the environment: then nothing may be skipped.
pub fn skip(reason: &str) {
    assert!(env::var_os("SNOWMELT_NO_SKIP").is_none_or(|value| value != "1"), "may not be skipped: {reason}");
    let thread = thread::current();
    // Nobody is there to be told if this fails.
    let _ = writeln!(io::stderr(), "SKIPPED: {}: {reason}", thread.name().unwrap_or("a test"));
}

/// Two hosts for all tests of this process together, or `None`, said loudly. For tests that change nothing and count
/// nothing; the others take their own from [`Hosts::up`].
pub fn shared() -> Option<&'static Hosts> {
    static SHARED: OnceLock<Option<Hosts>> = OnceLock::new();
    if let Err(reason) = available() {
        skip(&reason); // each test says so for itself
        return None;
    }
    SHARED.get_or_init(|| Hosts::up(2)).as_ref()
}

impl Hosts {
    /// Starts `count` hosts and waits until their systemd has finished booting, or `None`, said loudly ([`skip`]). Their
    /// release is `SNOWMELT_TEST_RELEASE`, else bookworm.
    ///
    /// # Panics
    /// If Docker is there, but a host does not come up: that is no reason to skip.
    pub fn up(count: usize) -> Option<Hosts> {
        static SETS: AtomicUsize = AtomicUsize::new(1);
        if let Err(reason) = available() {
            skip(&reason);
            return None;
        }
        let folder = run::current().folder.join(format!("set{}", SETS.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&folder).expect("a folder for the keys");
        make_key(&folder.join("key"), "snowmelt-test");
        let names: Vec<String> = (1..=count).map(|number| format!("h{number}")).collect();
        let start = |name: &String| start(name, &folder);
        let hosts = thread::scope(|scope| {
            let starting: Vec<_> = names.iter().map(|name| scope.spawn(move || start(name))).collect();
            starting.into_iter().map(|one| one.join().expect("the host has not come up")).collect()
        });
        let hosts = Hosts { hosts, folder };
        hosts.write_ssh_files();
        Some(hosts)
    }

    /// The private key that every user of every host accepts.
    pub fn key(&self) -> PathBuf {
        self.folder.join("key")
    }

    /// A file with the host keys of these hosts, under their names and their addresses.
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// A configuration for OpenSSH's client, in which the hosts have their names: `ssh -F … h1`.
    pub fn ssh_config(&self) -> PathBuf {
        self.folder.join("ssh_config")
    }

    /// An `inventory.yml` with these hosts in the group `test`, which has `roles`. They are reached over SSH as `user`, who
    /// becomes root.
    pub fn inventory(&self, user: &str, roles: &[&str]) -> String {
        let mut text = format!(
            "defaults:\n  transport: ssh\n  user: {user}\n  become: {}\n  identity_file: {:?}\n  known_hosts: {:?}\n\
             groups:\n  test:\n    roles: [{}]\n    hosts:\n",
            user != "root",
            self.key(),
            self.known_hosts(),
            roles.join(", "),
        );
        for host in &self.hosts {
            let _ = writeln!(text, "      {}: {{address: {}, port: {}}}", host.name, host.address, host.port);
        }
        text
    }

    fn write_ssh_files(&self) {
        let mut known_hosts = String::new();
        let mut config = String::new();
        for Host { name, address, port, .. } in &self.hosts {
            let key =
                fs::read_to_string(host_folder(&self.folder, name).join("ssh_host_ed25519_key.pub")).expect("its key");
            let _ = writeln!(known_hosts, "{name},{address} {}", key.trim_end());
            let _ = writeln!(config, "Host {name}\n  HostName {address}\n  Port {port}");
        }
        let _ = write!(
            config,
            "Host *\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  BatchMode yes\n  LogLevel ERROR\n",
            self.key().display(),
            self.known_hosts().display(),
        );
        fs::write(self.known_hosts(), known_hosts).expect("known_hosts is written");
        fs::write(self.ssh_config(), config).expect("ssh_config is written");
    }
}

impl Deref for Hosts {
    type Target = [Host];

    fn deref(&self) -> &[Host] {
        &self.hosts
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        run::remove(self.hosts.iter().map(|host| host.container.as_str()));
        // What is left goes with the folder of the run.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Host {
    /// Runs shell text as root on the host, through Docker, whatever the outcome.
    pub fn exec(&self, text: &str) -> Output {
        Output::of(Command::new("docker").args(["exec", &self.container, "sh", "-c", text]))
    }

    /// What shell text, which must succeed, prints on the host, without white space around it.
    pub fn ask(&self, text: &str) -> String {
        let output = self.exec(text);
        assert_eq!(output.code, 0, "{} on {}: {}{}", text, self.name, output.stdout, output.stderr);
        output.stdout.trim().to_owned()
    }

    /// Changes the host by hand with shell text that must succeed.
    pub fn spoil(&self, text: &str) {
        self.ask(text);
    }

    /// Runs a command over OpenSSH's client: what snowmelt is compared with.
    pub fn ssh(&self, user: &str, command: &str) -> Output {
        Output::of(Command::new("ssh").arg("-F").arg(&self.ssh_config).args(["-l", user, &self.name, command]))
    }

    /// What sshd has logged, line by line, everything up to now, boots before this one included.
    pub fn sshd_log(&self) -> String {
        // Since 9.8 the session is logged by a program of its own. Without --sync the last lines may still be on their way.
        self.ask("journalctl --sync && journalctl --quiet --no-pager --output=cat -t sshd -t sshd-session")
    }

    /// How many exec channels sshd has opened since the host was made. Take it before and after; what [`Host::exec`] does is
    /// not among them.
    pub fn exec_channels(&self) -> usize {
        self.sshd_log().lines().filter(|line| line.starts_with("Starting session: command ")).count()
    }

    /// Shuts the host down, starts it and waits until it has booted. /run and /tmp are empty then.
    pub fn reboot(&self) {
        run::docker(&["restart", "--time", "20", &self.container]);
        self.wait_until_booted();
    }

    /// Shuts the host down: nobody has its address any more.
    pub fn stop(&self) {
        run::docker(&["stop", "--time", "20", &self.container]);
    }

    /// Starts a stopped host and waits until it has booted.
    pub fn start(&self) {
        run::docker(&["start", &self.container]);
        self.wait_until_booted();
    }

    /// Freezes every process of the host: connections stay open and nothing answers.
    pub fn pause(&self) {
        run::docker(&["pause", &self.container]);
    }

    /// Lets a frozen host go on.
    pub fn resume(&self) {
        run::docker(&["unpause", &self.container]);
    }

    /// Takes the host off the network in the middle of whatever goes on; its processes run on.
    pub fn cut(&self) {
        self.ask("ip link set eth0 down");
    }

    /// Puts a host that was cut off back on the network.
    pub fn mend(&self) {
        self.ask("ip link set eth0 up");
    }

    /// Returns how systemd says it went: `running`, or `degraded` if a unit has failed.
    fn wait_until_booted(&self) -> String {
        // systemd cannot be waited for before it answers at all; from then on it says itself when it is done.
        let output = self.exec(
            "n=0; while [ $n -lt 600 ]; do s=$(systemctl is-system-running --wait 2>/dev/null); \
             case $s in running | degraded) echo $s; exit 0 ;; esac; n=$((n + 1)); sleep 0.05; done; \
             echo \"$s\"; systemctl list-jobs; exit 1",
        );
        assert_eq!(output.code, 0, "{} has not booted: {}{}", self.name, output.stdout, output.stderr);
        output.stdout.trim().to_owned()
    }
}

impl Output {
    fn of(command: &mut Command) -> Output {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

fn start(name: &str, folder: &Path) -> Host {
    let own = host_folder(folder, name);
    fs::create_dir(&own).expect("a folder for the host");
    make_key(&own.join("ssh_host_ed25519_key"), name);
    fs::copy(folder.join("key.pub"), own.join("test_authorized_keys")).expect("the key is copied");

    let (container, address) = run::create(name);
    run::docker(&["cp", &format!("{}/.", own.display()), &format!("{container}:/etc/ssh/")]);
    run::docker(&["start", &container]);
    let host = Host { name: name.to_owned(), address, port: 22, container, ssh_config: folder.join("ssh_config") };
    let state = host.wait_until_booted();
    let sshd = host.exec("systemctl is-active ssh").stdout;
    let healthy = state == "running" && sshd.trim() == "active";
    assert!(healthy, "{name}: {state}, sshd {sshd}{}", host.ask("systemctl --failed; journalctl -b -p warning"));
    host
}

/// The files of a host that go into its /etc/ssh.
fn host_folder(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}

fn make_key(path: &Path, comment: &str) {
    let output =
        Output::of(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]).arg(path));
    assert_eq!(output.code, 0, "ssh-keygen: {}", output.stderr);
}
