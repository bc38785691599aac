//! Bytes to a host and back: over SSH, or to a shell on this machine.
//!
//! [`Transports`] is shared by a whole run and opens a [`Session`] per host; a session runs shell texts, one per channel, and
//! hands back what they printed and how they ended. Nothing here knows what a resource, a script's answer or a verdict is,
//! and nothing here decides whether to try again once a program may have started.
//!
//! What a host sends is hostile: banners, prompts and disconnect messages are cleaned before they stand in a message, sizes
//! are bounded, every wait has a deadline. A connection that ends without an exit status is [`End::Lost`], never a failure
//! of the program: it may still run.

mod bounded;
mod command;
mod conversation;
mod known_hosts;
mod local;
mod passwords;
mod ssh;
mod terminal;

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use zeroize::Zeroizing;

use self::command::{Command, Elevation, Lack, Refusal};
use crate::base::clean;
use crate::catalog::connection::{Connection, TransportKind};

/// One host: its name in the inventory and how to reach it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name in the inventory, which is also what stands in messages.
    pub name: String,
    /// How to reach it.
    pub connection: Connection,
}

/// Asks the person at the terminal for a secret; the text says for what, without a colon. `None`: they gave none.
pub type Ask = Arc<dyn Fn(&str) -> Option<Zeroizing<String>> + Send + Sync>;

/// Takes a warning that does not stop anything; each is given once per run.
pub type Warn = Arc<dyn Fn(&str) + Send + Sync>;

/// What the transport may use of the world around it: it reads no environment by itself.
#[derive(Clone)]
pub struct TransportOptions {
    /// Home folder of whoever runs this: keys and known hosts are below `.ssh` in it.
    pub home: PathBuf,
    /// Login name of whoever runs this: the default user for SSH, as in ssh.
    pub user: String,
    /// The agent's socket (`SSH_AUTH_SOCK`).
    pub auth_sock: Option<PathBuf>,
    /// How to ask for a passphrase or a password; `None` where there is no terminal.
    pub ask: Option<Ask>,
    /// Where warnings go.
    pub warn: Option<Warn>,
    /// The `ssh` program that resolves `ssh_config` (`ssh -G`); `None`: the built-in reader does, with a warning about
    /// what it does not understand.
    pub ssh_program: Option<PathBuf>,
    /// Another file than `~/.ssh/config`, as `ssh -F`.
    pub ssh_config: Option<PathBuf>,
    /// How long connecting may take until the host has proven who it is, where neither inventory nor `ssh_config` says.
    pub connect_timeout: Duration,
    /// How long the host may take to answer each step of a login.
    pub login_timeout: Duration,
    /// How many logins to one address may be under way at once: sshd drops connections beyond its `MaxStartups` (10).
    pub logins_per_endpoint: usize,
}

impl TransportOptions {
    /// The defaults, for the person called `user` who lives in `home`: no agent, nobody to ask, `ssh` found by its name.
    pub fn new(home: PathBuf, user: &str) -> Self {
        Self {
            home,
            user: user.to_owned(),
            auth_sock: None,
            ask: None,
            warn: None,
            ssh_program: Some(PathBuf::from("ssh")),
            ssh_config: None,
            connect_timeout: Duration::from_secs(15),
            login_timeout: Duration::from_secs(30),
            logins_per_endpoint: 8,
        }
    }
}

/// What one run shares between its hosts: settings looked up, keys unlocked, passwords asked. A clone is the same thing.
#[derive(Clone)]
pub struct Transports {
    shared: Arc<Shared>,
}

/// Everything that is asked, read or limited once per run.
pub(crate) struct Shared {
    pub(crate) options: TransportOptions,
    pub(crate) ssh: ssh::Run,
    pub(crate) passwords: passwords::Passwords,
    warned: Mutex<HashSet<String>>,
}

impl Shared {
    /// Gives a warning, unless it was given before.
    pub(crate) fn warn(&self, text: &str) {
        let fresh = self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned());
        if let Some(warn) = self.options.warn.as_ref().filter(|_| fresh) {
            warn(text);
        }
    }
}

impl Transports {
    /// A run's transports. Nothing is read or connected yet.
    pub fn new(options: TransportOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                options,
                ssh: ssh::Run::default(),
                passwords: passwords::Passwords::default(),
                warned: Mutex::default(),
            }),
        }
    }

    /// Opens a session with a host: for SSH connected, its key verified, logged in; on this machine nothing to do yet.
    ///
    /// # Errors
    /// What stopped it, by phase. No program has run on the host then.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Session, Failure> {
        let connection = &endpoint.connection;
        let (kind, user) = match connection.transport {
            TransportKind::Local => (Kind::Local, self.shared.options.user.clone()),
            TransportKind::Ssh => {
                let link = ssh::connect(&self.shared, endpoint).await?;
                let user = link.user().to_owned();
                (Kind::Ssh(Box::new(link)), user)
            }
        };
        let elevation = Elevation::of(connection, &user);
        Ok(Session {
            shared: self.shared.clone(),
            name: endpoint.name.clone(),
            user,
            kind,
            elevation,
            at_terminal: false,
            channels: 0,
        })
    }
}

/// The key that a host shows to whoever connects, before anybody has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// The name of the host it is about: the inventory's, or a jump host's.
    pub endpoint: String,
    /// Whose it is: name, address and port, for messages.
    pub host: String,
    /// Its type: `ssh-ed25519`.
    pub kind: String,
    /// `SHA256:` and its digest, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// Whether it is trusted already.
    pub is_known: bool,
    /// The file it would be written to.
    pub file: Option<PathBuf>,
    /// The name it would be written under.
    name: String,
    blob: Vec<u8>,
    hash_name: bool,
}

/// What came of forgetting a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The name it was known by: `[192.0.2.1]:2222`.
    pub name: String,
    /// The lines that were removed, `file:line`.
    pub removed: Vec<String>,
    /// Lines in the system's files, which are not ours to change.
    pub left: Vec<String>,
}

impl Transports {
    /// The key that a host shows; where a host on the way there is not known yet, that one's. Nobody logs in to the host it
    /// is about.
    ///
    /// # Errors
    /// What stopped it; in phase [`Phase::HostKey`] a key that contradicts what is known, or was revoked.
    pub async fn host_key(&self, endpoint: &Endpoint) -> Result<HostKey, Failure> {
        match endpoint.connection.transport {
            TransportKind::Local => Err(no_keys(endpoint)),
            TransportKind::Ssh => ssh::look(&self.shared, endpoint).await,
        }
    }

    /// Writes a key down as known.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn trust(&self, key: &HostKey) -> Result<(), Failure> {
        let fail = |problem: String| Failure::new(Phase::HostKey, format!("{}: {problem}", key.host));
        let file = key.file.as_ref().ok_or_else(|| fail("there is no file of known hosts to write to".to_owned()))?;
        known_hosts::append(file, &key.name, &key.kind, &key.blob, key.hash_name).map_err(fail)?;
        self.shared.ssh.forget_known_hosts();
        Ok(())
    }

    /// Forgets the keys that a host is known by.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub async fn forget(&self, endpoint: &Endpoint) -> Result<Forgotten, Failure> {
        match endpoint.connection.transport {
            TransportKind::Local => Err(no_keys(endpoint)),
            TransportKind::Ssh => ssh::forget(&self.shared, endpoint).await,
        }
    }
}

fn no_keys(endpoint: &Endpoint) -> Failure {
    Failure::new(Phase::Resolve, format!("{}: this machine has no host key to itself", clean::line(&endpoint.name)))
        .hint("leave it out: only hosts that are reached by ssh show one")
}

/// An open session with one host.
pub struct Session {
    shared: Arc<Shared>,
    name: String,
    user: String,
    kind: Kind,
    elevation: Elevation,
    /// Whether another user is become at a terminal only, as far as is known.
    at_terminal: bool,
    channels: usize,
}

enum Kind {
    Local,
    Ssh(Box<ssh::Link>),
}

/// Sees output as it arrives.
pub type OnOutput<'a> = &'a mut (dyn FnMut(&[u8]) + Send);

/// One program to run on a host.
pub struct Exec<'a> {
    /// POSIX shell text, run by `sh -c` as the user to become. It reaches `sh` unchanged whatever the login shell is.
    pub program: &'a str,
    /// What it reads from its standard input, which is then closed.
    pub input: Bytes,
    /// Given up after no byte went either way for this long.
    pub idle: Duration,
    /// Given up after this long in all.
    pub deadline: Duration,
    /// How many bytes of its standard output are kept.
    pub limit: usize,
    /// Sees its standard output, up to `limit`, as it arrives.
    pub on_output: Option<OnOutput<'a>>,
}

/// What a program printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its standard output, at most the limit asked for.
    pub stdout: Vec<u8>,
    /// Its standard error: the first and the last 32 KiB.
    pub stderr: Vec<u8>,
    /// How it ended.
    pub end: End,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Exit(u32),
    /// Killed by this signal (`TERM`, `KILL`, …).
    Signal(String),
    /// The connection ended, and why: the program may still run.
    Lost(String),
    /// Given up: nothing came or went for too long. It may still run.
    IdleTimeout,
    /// Given up: it took too long in all. It may still run.
    Deadline,
    /// Its output was larger than the limit. It may still run.
    TooMuch,
}

impl Session {
    /// Runs one shell text on the host in one channel: sends the input, closes it, reads output and errors as they come.
    ///
    /// # Errors
    /// The program did not start: no channel, the login shell or `sudo` refused. Whatever happened once it had started is
    /// in the answer's [`End`].
    pub async fn exec(&mut self, mut exec: Exec<'_>) -> Result<Answer, Failure> {
        let key = passwords::key(&self.elevation, &self.user);
        let known = match &key {
            Some(key) => self.shared.passwords.known(key),
            None => None,
        };
        let first =
            Exec { on_output: exec.on_output.as_deref_mut().map(|see| see as _), input: exec.input.clone(), ..exec };
        let refusal = match self.attempt(first, known).await {
            Ok(answer) => return Ok(answer),
            Err(refusal) => refusal,
        };
        let (Some(key), Lack::Password) = (key, refusal.lack) else { return Err(refusal.failure.on(&self.name)) };
        match self.password(&key).await {
            Ok(Some(password)) => {
                self.attempt(exec, Some(password)).await.map_err(|refusal| refusal.failure.on(&self.name))
            }
            Ok(None) => Err(refusal.failure.on(&self.name)),
            Err(failure) => Err(failure.on(&self.name)),
        }
    }

    /// The password for `key`, once a host has taken it: whoever is first tries it here, with a program that does nothing,
    /// while all others wait.
    async fn password(&mut self, key: &str) -> Result<Option<Zeroizing<String>>, Failure> {
        let shared = self.shared.clone();
        let mut proof = shared.passwords.prove(&shared, key, &self.name).await;
        let password = match proof.password() {
            Ok(Some(password)) => password,
            Ok(None) => return Ok(None),
            Err(why) => return Err(Failure::new(Phase::Become, why).hint("run it again with the right password")),
        };
        if proof.is_proven() {
            return Ok(Some(password));
        }
        let within = shared.options.login_timeout;
        let nothing =
            Exec { program: "true", input: Bytes::new(), idle: within, deadline: within, limit: 4096, on_output: None };
        match self.attempt(nothing, Some(password.clone())).await {
            Ok(Answer { end: End::Exit(_), .. }) => {
                proof.proven();
                Ok(Some(password))
            }
            Ok(answer) => {
                Err(Failure::new(Phase::Become, format!("trying the password came to nothing: {:?}", answer.end)))
            }
            Err(refusal) => {
                if refusal.lack == Lack::RightPassword {
                    proof.wrong(&self.name);
                }
                Err(refusal.failure)
            }
        }
    }

    /// One attempt; at a terminal once the host has said that it must be.
    async fn attempt(&mut self, mut exec: Exec<'_>, password: Option<Zeroizing<String>>) -> Result<Answer, Refusal> {
        let asks_there = password.is_some() && self.elevation.asks_at_a_terminal();
        if !(self.at_terminal || asks_there) {
            let first = Exec {
                on_output: exec.on_output.as_deref_mut().map(|see| see as _),
                input: exec.input.clone(),
                ..exec
            };
            match self.attempt_so(first, password.clone(), false).await {
                Err(refusal) if refusal.lack == Lack::Terminal => self.at_terminal = true,
                outcome => return outcome,
            }
        }
        self.attempt_so(exec, password, true).await
    }

    async fn attempt_so(
        &mut self,
        exec: Exec<'_>,
        password: Option<Zeroizing<String>>,
        at_terminal: bool,
    ) -> Result<Answer, Refusal> {
        let terminal = at_terminal.then_some(exec.input.len());
        let command = Command::new(exec.program, &self.elevation, password, terminal)
            .map_err(|message| Failure::new(Phase::Execute, format!("{}: {message}", self.name)))?;
        self.channels += 1;
        let (sent, began) = (exec.input.len(), Instant::now());
        let outcome = match &mut self.kind {
            Kind::Local => local::run(&command, exec).await,
            Kind::Ssh(link) => link.run(&command, exec).await,
        };
        let (name, number, took) = (&self.name, self.channels, began.elapsed().as_millis());
        match &outcome {
            Ok(answer) => {
                let (came, end) = (answer.stdout.len(), &answer.end);
                tracing::debug!("{name}: exchange {number}: {sent} bytes went, {came} came, {end:?} after {took} ms");
                tracing::trace!("{name}: its errors: {}", clean::lines(&clean::utf8(&answer.stderr)));
            }
            Err(refusal) => tracing::debug!("{name}: exchange {number} was not begun: {}", refusal.failure),
        }
        outcome
    }

    /// Who logged in; nobody where it is this machine.
    pub fn login(&self) -> Option<&str> {
        matches!(self.kind, Kind::Ssh(_)).then_some(self.user.as_str())
    }

    /// How many channels were opened so far, which is how many programs were run or refused.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Says goodbye. Dropping a session ends it as well, without telling the host.
    pub async fn close(self) {
        if let Kind::Ssh(link) = self.kind {
            link.close().await;
        }
    }
}

/// Why a host could not be reached, or a program not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{phase}: {message}")]
pub struct Failure {
    /// How far it came.
    pub phase: Phase,
    /// What went wrong, host included; safe to show.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether nothing can have run on the host.
    pub before_anything_ran: bool,
}

impl Failure {
    /// A failure before anything ran.
    pub(crate) fn new(phase: Phase, message: impl Into<String>) -> Self {
        Self { phase, message: message.into(), hint: None, before_anything_ran: true }
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With the host's name at the front of the message, unless it is there already.
    fn on(mut self, name: &str) -> Self {
        if !self.message.starts_with(name) {
            self.message = format!("{name}: {}", self.message);
        }
        self
    }
}

/// The steps from a name to a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Settings and addresses are looked up.
    Resolve,
    /// A TCP connection is made.
    Connect,
    /// Versions and keys are exchanged.
    Handshake,
    /// The host proves who it is.
    HostKey,
    /// We prove who we are.
    Authenticate,
    /// Another user is become.
    Become,
    /// The program is started.
    Execute,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::HostKey => "host key",
            Self::Authenticate => "authenticate",
            Self::Become => "become",
            Self::Execute => "execute",
        })
    }
}
