//! A real OpenSSH server on the loopback interface, for tests: its own keys, its own configuration, run and logged in to by
//! whoever runs the tests. It is stopped when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SSHD: &str = "/usr/sbin/sshd";

/// A running server and the folder it lives in.
pub(crate) struct Sshd {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    process: Child,
}

/// Whether there is an sshd to test with. Where it is missing the test says so loudly, and fails if it must not be skipped.
pub(crate) fn available(test: &str) -> bool {
    let missing = [SSHD, "/usr/bin/ssh-keygen"].into_iter().find(|program| !Path::new(program).exists());
    let Some(missing) = missing else { return true };
    assert!(std::env::var_os("SNOWMELT_NO_SKIP").is_none(), "{test}: {missing} is missing and nothing may be skipped");
    eprintln!("SKIPPED {test}: {missing} is missing (install openssh-server)");
    false
}

/// The login name of whoever runs the tests.
pub(crate) fn me() -> String {
    let out = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8(out.stdout).expect("a name").trim().to_owned()
}

impl Sshd {
    /// Starts one that lets in the key `user` in its folder, with more lines of sshd_config.
    pub(crate) fn start(more: &str) -> Self {
        Self::start_in(folder(), more)
    }

    /// Starts one whose programs find those of its folder first.
    pub(crate) fn start_in_with_path(folder: tempfile::TempDir) -> Self {
        let path = format!("SetEnv PATH={}:/usr/bin:/bin:/usr/sbin:/sbin", folder.path().display());
        Self::start_in(folder, &path)
    }

    /// Starts one with the keys that lie in a folder already.
    pub(crate) fn start_in(folder: tempfile::TempDir, more: &str) -> Self {
        // sshd refuses to run as root without it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let path = folder.path();
        let mut last = String::new();
        for _ in 0..20 {
            let port = free_port();
            let config = format!(
                "{more}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nPidFile none\n\
                 AuthorizedKeysFile {0}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
                 KbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxStartups 100\nLogLevel VERBOSE\n",
                path.display()
            );
            let file = path.join("sshd_config");
            std::fs::write(&file, config).expect("sshd_config");
            let log = std::fs::File::create(path.join("log")).expect("a log");
            let mut process = Command::new(SSHD)
                .args(["-D", "-e", "-f"])
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("sshd starts");
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(10) {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { folder, port, process };
                }
                if process.try_wait().expect("sshd can be waited for").is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = process.kill();
            let _ = process.wait();
            last = std::fs::read_to_string(path.join("log")).unwrap_or_default();
        }
        panic!("sshd does not start: {last}");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it wrote so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The public key in a file of its folder, without the comment.
    pub(crate) fn public_key(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.path(&format!("{name}.pub"))).expect("a public key");
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Writes a known_hosts that knows it by its key.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        let path = self.path("known_hosts");
        std::fs::write(&path, format!("[127.0.0.1]:{} {}\n", self.port, self.public_key("host"))).expect("known_hosts");
        path
    }

    /// The server's own process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A folder with keys in it: `host`, `host_rsa`, `user` who is let in, and `other` who is not.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("snowmelt-sshd").tempdir().expect("a folder");
    let path = folder.path();
    for (name, kind) in [("host", "ed25519"), ("host_rsa", "rsa"), ("user", "ed25519"), ("other", "ed25519")] {
        keygen(path, name, kind, "");
    }
    std::fs::copy(path.join("user.pub"), path.join("authorized_keys")).expect("authorized_keys");
    folder
}

/// Makes a key pair.
pub(crate) fn keygen(folder: &Path, name: &str, kind: &str, passphrase: &str) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", passphrase, "-C", name, "-f"]).arg(folder.join(name));
    if kind == "rsa" {
        command.args(["-b", "2048"]);
    }
    assert!(command.status().expect("ssh-keygen runs").success(), "a key {name}");
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
