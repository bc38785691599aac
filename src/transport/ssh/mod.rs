//! SSH: connected, verified, logged in, and then one channel per program.
//!
//! The protocol is the library's (russh). What OpenSSH's users rely on beyond it is here: their configuration, known_hosts,
//! agents and keys, a limit on logins under way, retries while nothing has been sent, and errors that say how far it came.

mod agent;
mod authenticate;
mod config_file;
mod guard;
mod host_key;
mod keys;
mod known_hosts_command;
mod learning;
mod lookup;
mod route;
mod settings;
mod severable;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use russh::client::{Config, Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect, Error, Preferred, Pty, compression};
use tokio::sync::Semaphore;

use self::guard::{Guard, Notebook, shown};
use self::host_key::Policy;
use self::learning::Lesson;
use self::route::Dialed;
use self::settings::Settings;
use self::severable::{Knife, severable};
use super::command::{Command, Refusal};
use super::conversation::{self, Event, Hear, Speak};
use super::known_hosts::{self, KnownHosts};
use super::terminal::{Endless, Unmixed};
use super::{Answer, End, Endpoint, Exec, Failure, Forgotten, HostKey, Phase, Shared};
use crate::base::clean;
use crate::catalog::connection::HostKeyChecking;

/// How much a channel may send ahead of us: the bound of what a host can make us hold beyond the limits of a program.
const WINDOW: u32 = 256 * 1024;
/// How often a connection that was dropped before its key exchange is tried, the first time included.
const MOST_CONNECTS: u32 = 4;

/// A terminal that changes nothing and shows nothing of what is typed.
const RAW: &[(Pty, u32)] = &[
    (Pty::ICRNL, 0),
    (Pty::INLCR, 0),
    (Pty::IGNCR, 0),
    (Pty::ISTRIP, 0),
    (Pty::INPCK, 0),
    (Pty::PARMRK, 0),
    (Pty::IXON, 0),
    (Pty::IXOFF, 0),
    (Pty::IXANY, 0),
    (Pty::ISIG, 0),
    (Pty::ICANON, 0),
    (Pty::IEXTEN, 0),
    (Pty::ECHO, 0),
    (Pty::ECHONL, 0),
    (Pty::OPOST, 0),
    (Pty::ONLCR, 0),
    (Pty::PARENB, 0),
    (Pty::CS8, 1),
];

/// What the SSH connections of a run share.
pub(crate) struct Run {
    pub(crate) keys: keys::Keyring,
    hops: route::Hops,
    /// Questions to `ssh -G` under way.
    lookups: Semaphore,
    /// Logins under way, by address and port.
    logins: Mutex<HashMap<(String, u16), Arc<Semaphore>>>,
    /// Files of known hosts that were read, by their paths.
    known: Mutex<HashMap<KnownFiles, Arc<KnownHosts>>>,
}

/// Files of known hosts, and one of revoked keys.
type KnownFiles = (Vec<PathBuf>, Option<PathBuf>);

impl Default for Run {
    fn default() -> Self {
        Self {
            keys: keys::Keyring::default(),
            hops: route::Hops::default(),
            lookups: Semaphore::new(4),
            logins: Mutex::default(),
            known: Mutex::default(),
        }
    }
}

impl Run {
    fn login(&self, settings: &Settings, most: usize) -> Arc<Semaphore> {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let endpoint = (settings.host.clone(), settings.port);
        logins.entry(endpoint).or_insert_with(|| Arc::new(Semaphore::new(most.max(1)))).clone()
    }

    fn known_hosts(&self, files: KnownFiles) -> Result<Arc<KnownHosts>, String> {
        let mut cache = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.get(&files) {
            return Ok(known.clone());
        }
        let mut known = KnownHosts::default();
        for file in &files.0 {
            known.load(file)?;
        }
        if let Some(file) = &files.1 {
            known.load_revoked(file)?;
        }
        let known = Arc::new(known);
        cache.insert(files, known.clone());
        Ok(known)
    }

    /// Has the files read again at the next question: something was added.
    pub(crate) fn forget_known_hosts(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A host that is logged in to.
pub(crate) struct Link {
    handle: Handle<Guard>,
    notebook: Notebook,
    user: String,
    at: String,
    /// What may be learned about its keys, until it was.
    lesson: Mutex<Option<Lesson>>,
    /// Held last: letting go of it ends the connection.
    _knife: Knife,
}

/// Connects, verifies the host and logs in.
pub(crate) async fn connect(shared: &Arc<Shared>, endpoint: &Endpoint) -> Result<Link, Failure> {
    let settings = lookup::resolve(shared, &endpoint.name, &endpoint.connection).await?;
    open(shared, &endpoint.name, &settings).await
}

/// The key that the first host shows which is not known yet, on the way to a host or that host itself; when all are known,
/// the host's own. Nobody logs in to the host that it is about, only to those before it.
pub(crate) async fn look(shared: &Arc<Shared>, endpoint: &Endpoint) -> Result<HostKey, Failure> {
    let settings = lookup::resolve(shared, &endpoint.name, &endpoint.connection).await?;
    let mut next = route::before(shared, &settings).await?;
    let mut way = vec![(endpoint.name.clone(), settings)];
    while let Some((name, settings)) = next {
        next = route::before(shared, &settings).await?;
        way.push((name, settings));
    }
    // The nearest first: each is reached through those that were found to be known.
    for (name, settings) in way.iter().skip(1).rev() {
        let key = show(shared, name, settings).await.map_err(|mut failure| {
            failure.message = format!("jump host {}", failure.message);
            failure
        })?;
        if !key.is_known {
            return Ok(key);
        }
    }
    show(shared, &way[0].0, &way[0].1).await
}

/// The key of one host, to which the way is known.
async fn show(shared: &Arc<Shared>, name: &str, settings: &Settings) -> Result<HostKey, Failure> {
    let (at, known) = known_to(shared, name, settings)?;
    // A new key is not refused here, but it is not taken either.
    let policy = Policy { checking: HostKeyChecking::AcceptNew, ..policy(name, &at, settings) };
    let mut attempt = 0;
    loop {
        attempt += 1;
        let notebook = Notebook::default();
        match handshake(shared, settings, &policy, &known, &notebook, true).await {
            Ok(_) => return Err(Failure::new(Phase::HostKey, format!("{at}: it showed no key"))),
            Err((failure, again)) => match notebook.with(|notes| notes.key.take()) {
                Some(key) => return Ok(key),
                None if again && attempt < MOST_CONNECTS => tokio::time::sleep(backoff(attempt)).await,
                None => return Err(failure),
            },
        }
    }
}

/// Forgets the keys that a host is known by. Returns where they stood, and where there are more that are not ours to remove.
pub(crate) async fn forget(shared: &Arc<Shared>, endpoint: &Endpoint) -> Result<Forgotten, Failure> {
    let settings = lookup::resolve(shared, &endpoint.name, &endpoint.connection).await?;
    let at = place(&endpoint.name, &settings);
    let name = policy(&endpoint.name, &at, &settings).name;
    let fail = |problem: String| Failure::new(Phase::HostKey, format!("{at}: {problem}"));
    let mut removed = Vec::new();
    for file in &settings.known_hosts {
        let places = known_hosts::forget(file, &name).map_err(fail)?;
        removed.extend(places.iter().map(ToString::to_string));
    }
    shared.ssh.forget_known_hosts();
    let mut global = KnownHosts::default();
    for file in &settings.global_known_hosts {
        global.load(file).map_err(fail)?;
    }
    let left = global.places(&name).map(ToString::to_string).collect();
    Ok(Forgotten { name, removed, left })
}

/// A host as it stands in messages, and what is known of it and all others.
fn known_to(shared: &Shared, name: &str, settings: &Settings) -> Result<(String, Arc<KnownHosts>), Failure> {
    let at = place(name, settings);
    let files: Vec<PathBuf> = settings.known_hosts.iter().chain(&settings.global_known_hosts).cloned().collect();
    let known = shared.ssh.known_hosts((files, settings.revoked_keys.clone())).map_err(|problem| {
        Failure::new(Phase::HostKey, format!("{at}: {problem}"))
            .hint("a host cannot be verified while that file cannot be read")
    })?;
    Ok((at, known))
}

/// Opens a link to a host that others may lie behind.
async fn open(shared: &Arc<Shared>, name: &str, settings: &Settings) -> Result<Link, Failure> {
    let (at, known) = known_to(shared, name, settings)?;
    let policy = policy(name, &at, settings);
    let login = shared.ssh.login(settings, shared.options.logins_per_endpoint);
    // The semaphore is never closed; a permit is only a courtesy to the host's MaxStartups.
    let _permit = login.acquire().await.ok();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let notebook = Notebook::default();
        match handshake(shared, settings, &policy, &known, &notebook, false).await {
            Ok((mut handle, knife)) => {
                authenticate::log_in(shared, settings, &at, &mut handle, &notebook).await?;
                let lesson = Lesson::new(shared, settings, &policy);
                let lesson = Mutex::new(lesson);
                return Ok(Link { handle, notebook, user: settings.user.clone(), at, lesson, _knife: knife });
            }
            Err((failure, true)) if attempt < MOST_CONNECTS => {
                tracing::debug!("{failure}: trying again");
                tokio::time::sleep(backoff(attempt)).await;
            }
            Err((failure, _)) => return Err(failure),
        }
    }
}

/// One attempt, up to a verified host. The error says whether the host dropped us before anything was agreed, which is what
/// sshd does with more logins than its MaxStartups and the only thing worth another try.
///
/// `only_look`: the key is written into the notebook and refused, so that nobody logs in.
async fn handshake(
    shared: &Arc<Shared>,
    settings: &Settings,
    policy: &Policy,
    known: &Arc<KnownHosts>,
    notebook: &Notebook,
    only_look: bool,
) -> Result<(Handle<Guard>, Knife), (Failure, bool)> {
    let at = policy.shown.as_str();
    let dialed = route::dial(shared, settings, at, notebook).await;
    let Dialed { stream, deadline } = dialed.map_err(|failure| (failure, false))?;
    let (stream, knife) = severable(stream);
    let mut order = known.clone();
    if let Some(command) = &settings.known_hosts_command {
        // ssh asks for the name without its port here.
        let more = command.ask(known, &settings.host, &policy.name, None).await;
        order = Arc::new(more.map_err(|problem| (policy.cannot_tell(&problem), false))?);
    }
    let guard = Guard {
        shared: shared.clone(),
        policy: policy.clone(),
        known: known.clone(),
        command: settings.known_hosts_command.clone(),
        hash_names: settings.hash_known_hosts,
        notebook: notebook.clone(),
        accepted: None,
        only_look,
    };
    let connecting = russh::client::connect_stream(config(settings, policy, &order), stream, guard);
    match tokio::time::timeout_at(deadline, connecting).await {
        Ok(Ok(handle)) => Ok((handle, knife)),
        Ok(Err(error)) => match notebook.with(|notes| notes.refusal.take()) {
            Some(refusal) => Err((refusal, false)),
            None => Err(broken_handshake(at, &error, notebook)),
        },
        Err(_) => {
            let seconds = settings.connect_timeout.as_secs_f32();
            let failure = Failure::new(Phase::Handshake, format!("{at}: no key exchange within {seconds} s"))
                .hint("something listens there, but it does not speak SSH, or not in time");
            Err((failure, false))
        }
    }
}

fn broken_handshake(at: &str, error: &Error, notebook: &Notebook) -> (Failure, bool) {
    let fail = |what: String| Failure::new(Phase::Handshake, format!("{at}: {what}"));
    match error {
        Error::NoCommonAlgo { kind, ours, theirs } => {
            let theirs = shown(&theirs.join(","));
            let what = format!("no {kind:?} algorithm in common: it offers {theirs}, we take {}", ours.join(","));
            (fail(what).hint("the host's SSH is too old or set up too narrowly: update it"), false)
        }
        Error::IO(_) | Error::HUP | Error::Disconnect | Error::RecvError | Error::SendError => {
            let why = notebook.with(|notes| notes.farewell.clone()).unwrap_or_else(|| match error {
                Error::IO(error) => error.to_string(),
                _ => "it closed the connection".to_owned(),
            });
            let hint = "sshd drops connections beyond MaxStartups; fail2ban and hosts.deny do the same";
            (fail(format!("dropped before the key exchange: {why}")).hint(hint), true)
        }
        error => (fail(format!("key exchange failed: {}", shown(&error.to_string()))), false),
    }
}

fn config(settings: &Settings, policy: &Policy, known: &KnownHosts) -> Arc<Config> {
    let (key, host_key_certificates) = policy.algorithms(known);
    let preferred = Preferred {
        key: key.into(),
        host_key_certificates: host_key_certificates.into(),
        // A compressed stream can grow a thousandfold while it is unpacked.
        compression: vec![compression::NONE].into(),
        ..Preferred::DEFAULT
    };
    Arc::new(Config {
        window_size: WINDOW,
        channel_buffer_size: 32,
        keepalive_interval: Some(settings.alive_interval),
        keepalive_max: settings.alive_count,
        nodelay: true,
        preferred,
        ..Config::default()
    })
}

fn policy(called: &str, at: &str, settings: &Settings) -> Policy {
    let (name, bare) = match &settings.host_key_alias {
        Some(alias) => (alias.to_ascii_lowercase(), None),
        None => {
            let bare = (settings.port != 22).then(|| settings.host.clone());
            (known_hosts::name(&settings.host, settings.port), bare)
        }
    };
    let principal = settings.host_key_alias.as_ref().unwrap_or(&settings.host).to_ascii_lowercase();
    let (checking, files) = (settings.host_key_checking, settings.known_hosts.clone());
    Policy { called: called.to_owned(), shown: at.to_owned(), name, bare, principal, checking, files }
}

/// A host as it stands in messages.
fn place(name: &str, settings: &Settings) -> String {
    let host = if settings.host.contains(':') { format!("[{}]", settings.host) } else { settings.host.clone() };
    let address = format!("{host}:{}", settings.port);
    let address = clean::line(&address);
    if name.eq_ignore_ascii_case(&settings.host) {
        address.into_owned()
    } else {
        format!("{} ({address})", clean::line(name))
    }
}

/// Longer each time, and never the same for two hosts.
fn backoff(attempt: u32) -> Duration {
    let mut random = [0u8; 2];
    // Without randomness all hosts wait equally long.
    let _ = getrandom::fill(&mut random);
    let jitter = u64::from(u16::from_le_bytes(random)) * 300 / u64::from(u16::MAX);
    Duration::from_millis(150 * (1 << attempt.min(5)) + jitter * u64::from(attempt))
}

impl Link {
    /// Who we are there.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Runs one command in a channel of its own.
    pub(crate) async fn run(&self, command: &Command, exec: Exec<'_>) -> Result<Answer, Refusal> {
        let opening = async {
            let mut tries = 0;
            let mut channel = loop {
                match self.handle.channel_open_session().await {
                    // Where MaxSessions is 1: sshd lets a session go a moment after it has told how it ended.
                    Err(Error::ChannelOpenFailure(_)) if tries < 20 => tries += 1,
                    opened => break opened?,
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            if command.terminal.is_some() {
                channel.request_pty(true, "dumb", 80, 24, 0, 0, RAW).await?;
                loop {
                    match channel.wait().await {
                        Some(ChannelMsg::Success) => break,
                        Some(ChannelMsg::Failure) => return Ok(None),
                        Some(_) => {}
                        None => return Err(Error::Disconnect),
                    }
                }
            }
            channel.exec(true, command.line.as_bytes()).await?;
            Ok::<_, Error>(Some(channel))
        };
        let channel = match tokio::time::timeout(exec.idle.min(exec.deadline), opening).await {
            Ok(Ok(Some(channel))) => channel,
            Ok(Ok(None)) => return Err(self.no_terminal().into()),
            Ok(Err(error)) => return Err(self.no_channel(&shown(&error.to_string())).into()),
            Err(_) => return Err(self.no_channel("no answer").into()),
        };
        // It says which keys it has before it opens a channel.
        let lesson = self.lesson.lock().unwrap_or_else(PoisonError::into_inner).take();
        let learning = async {
            if let Some(lesson) = lesson {
                lesson.learn(&self.handle, &self.notebook).await;
            }
        };
        tokio::join!(self.converse(command, exec, channel), learning).0
    }

    async fn converse(&self, command: &Command, exec: Exec<'_>, channel: Channel<Msg>) -> Result<Answer, Refusal> {
        let (read, write) = channel.split();
        let hearing = Hearing { read, notebook: self.notebook.clone() };
        let speaking = Speaking { write };
        match &command.terminal {
            None => conversation::hold(command, exec, hearing, speaking).await,
            Some(terminal) => {
                let hearing = Unmixed::new(hearing, &command.mark, terminal);
                conversation::hold(command, exec, hearing, Endless(speaking)).await
            }
        }
    }

    fn no_terminal(&self) -> Failure {
        let what = format!("{}: another user is become at a terminal only, and sshd gives none", self.at);
        Failure::new(Phase::Become, what).hint(
            "look at PermitTTY in sshd_config and at `no-pty` or `restrict` in authorized_keys; or let sudo do without: \
             `Defaults:LOGIN !requiretty`",
        )
    }

    fn no_channel(&self, why: &str) -> Failure {
        let farewell =
            self.notebook.with(|notes| notes.farewell.clone()).map(|text| format!(" ({text})")).unwrap_or_default();
        Failure::new(Phase::Execute, format!("{}: no channel for a program: {why}{farewell}", self.at))
            .hint("sshd's MaxSessions may be 0, or the connection may be gone")
    }

    /// Says goodbye.
    pub(crate) async fn close(self) {
        let goodbye = self.handle.disconnect(Disconnect::ByApplication, "", "");
        // A host that does not listen any more is left.
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
    }
}

struct Hearing {
    read: ChannelReadHalf,
    notebook: Notebook,
}

impl Hear for Hearing {
    async fn hear(&mut self) -> Event {
        loop {
            match self.read.wait().await {
                Some(ChannelMsg::Data { data }) => return Event::Out(data),
                Some(ChannelMsg::ExtendedData { data, ext: 1 }) => return Event::Err(data),
                Some(ChannelMsg::ExitStatus { exit_status }) => return Event::Ended(End::Exit(exit_status)),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    return Event::Ended(End::Signal(shown(&format!("{signal_name:?}"))));
                }
                Some(ChannelMsg::Failure) => return Event::Refused,
                Some(ChannelMsg::Close) => return Event::Closed(None),
                None => return Event::Closed(self.notebook.with(|notes| notes.farewell.clone())),
                Some(_) => {}
            }
        }
    }
}

struct Speaking {
    write: ChannelWriteHalf<Msg>,
}

impl Speak for Speaking {
    async fn say(&mut self, bytes: Bytes) -> std::io::Result<()> {
        self.write.data_bytes(bytes).await.map_err(std::io::Error::other)
    }

    async fn finish(&mut self) -> std::io::Result<()> {
        self.write.eof().await.map_err(std::io::Error::other)
    }
}
