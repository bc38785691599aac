//! SSH servers that run nothing: each question is answered with what a real host has answered to the same question before.
//!
//! Beside them only the client's own work shows. They do the cryptography and nothing else, so what they take of this machine's
//! CPU is the same whoever asks. The first time a question comes up, a real host is asked, through Docker.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use hosts::{Host, Hosts};
use russh::keys::{Algorithm, PrivateKey, key::safe_rng};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Preferred, cipher, kex};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// As many servers as there are hosts, under the same names.
pub(crate) struct Replayers {
    folder: tempfile::TempDir,
    ports: Vec<u16>,
    identity: PathBuf,
    _runtime: Runtime,
}

/// What was asked and answered before. A question is the standard input without what differs each time.
type Answers = Arc<Mutex<HashMap<String, Vec<u8>>>>;

impl Replayers {
    /// Starts `count` of them; `host` is who is asked.
    pub(crate) fn start(count: usize, hosts: &Hosts, host: &Host) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key");
        let public = key.public_key().to_openssh().expect("it can be written");
        // What sshd would agree on with both clients.
        let preferred = Preferred {
            kex: vec![kex::CURVE25519, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER].into(),
            cipher: vec![cipher::CHACHA20_POLY1305].into(),
            ..Preferred::DEFAULT
        };
        let config = Arc::new(Config {
            keys: vec![key],
            auth_rejection_time: std::time::Duration::ZERO,
            nodelay: true,
            preferred,
            ..Config::default()
        });
        let answers = Answers::default();
        let serve = |_| runtime.block_on(serve(&config, &answers, &host.container));
        let ports: Vec<u16> = (0..count).map(serve).collect();
        let mut known = String::new();
        let mut ssh = String::new();
        for (number, port) in (1..).zip(&ports) {
            let _ = writeln!(known, "[127.0.0.1]:{port} {public}");
            let _ = writeln!(ssh, "Host h{number}\n  HostName 127.0.0.1\n  Port {port}");
        }
        let identity = hosts.key();
        let _ = write!(
            ssh,
            "Host *\n  User root\n  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n  \
             GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  BatchMode yes\n  LogLevel ERROR\n",
            identity.display(),
            folder.path().join("known_hosts").display(),
        );
        fs::write(folder.path().join("known_hosts"), known).expect("known_hosts is written");
        fs::write(folder.path().join("ssh_config"), ssh).expect("ssh_config is written");
        Self { folder, ports, identity, _runtime: runtime }
    }

    /// For OpenSSH's client.
    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.folder.path().join("ssh_config")
    }

    /// An inventory with `count` hosts that are these servers in turn.
    pub(crate) fn inventory(&self, count: usize, role: &str) -> String {
        let known: &Path = &self.folder.path().join("known_hosts");
        let mut text = format!(
            "defaults: {{transport: ssh, user: root, become: false, identity_file: {:?}, known_hosts: {known:?}}}\n\
             groups:\n  test:\n    roles: [{role}]\n    hosts:\n",
            self.identity,
        );
        for (number, port) in (1..=count).zip(self.ports.iter().cycle()) {
            let _ = writeln!(text, "      h{number}: {{address: 127.0.0.1, port: {port}}}");
        }
        text
    }
}

async fn serve(config: &Arc<Config>, answers: &Answers, container: &str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (config, answers, container) = (Arc::clone(config), Arc::clone(answers), container.to_owned());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let one = Replayer {
                answers: Arc::clone(&answers),
                container: container.clone(),
                line: String::new(),
                input: Vec::new(),
            };
            let config = Arc::clone(&config);
            tokio::spawn(async move { russh::server::run_stream(config, stream, one).await.ok()?.await.ok() });
        }
    });
    port
}

struct Replayer {
    answers: Answers,
    container: String,
    line: String,
    input: Vec<u8>,
}

impl Replayer {
    /// What `word` stands before in this text, up to a character that is no hexadecimal digit: what is random in a question.
    fn nonce<'a>(text: &'a str, word: &str) -> Option<&'a str> {
        let rest = &text[text.find(word)? + word.len()..];
        rest.find(|c: char| !c.is_ascii_hexdigit()).map(|end| &rest[..end]).filter(|nonce| nonce.len() >= 16)
    }

    /// Standard output, and what is said on standard error first.
    fn answer(&self) -> (Vec<u8>, String) {
        let input = String::from_utf8_lossy(&self.input).into_owned();
        let began = Self::nonce(&self.line, "snowmelt-began-\"\"");
        let error = began.map(|nonce| format!("snowmelt-began-{nonce}\n")).unwrap_or_default();
        let Some(frame) = Self::nonce(&input, "\n@") else {
            return (self.replay(&format!("{}{input}", if began.is_some() { "" } else { &self.line }), &input), error);
        };
        let end = input.rfind('#').unwrap_or(input.len());
        // All servers are the same host, which has one name.
        let host = input.lines().find(|line| line.starts_with("HOST=")).unwrap_or("HOST=");
        let question = input[..end].replace(frame, "NONCE").replacen(host, "HOST=", 1);
        let output = self.replay(&question, &input);
        let text = String::from_utf8_lossy(&output);
        let old = Self::nonce(&text, "@").unwrap_or_default();
        (text.replace(old, frame).into_bytes(), error)
    }

    fn replay(&self, question: &str, input: &str) -> Vec<u8> {
        let mut answers = self.answers.lock().expect("nobody panics here");
        answers.entry(question.to_owned()).or_insert_with(|| ask(&self.container, &self.line, input)).clone()
    }
}

fn ask(container: &str, line: &str, input: &str) -> Vec<u8> {
    let mut child = Command::new("docker")
        .args(["exec", "-i", container, "sh", "-c", line])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("docker runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends").stdout
}

impl Handler for Replayer {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        line: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.line = String::from_utf8_lossy(line).into_owned();
        self.input.clear();
        session.channel_success(channel)
    }

    async fn data(&mut self, _: ChannelId, data: &[u8], _: &mut Session) -> Result<(), Self::Error> {
        self.input.extend_from_slice(data);
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        let (output, error) = tokio::task::block_in_place(|| self.answer());
        if !error.is_empty() {
            session.extended_data(channel, 1, error.into_bytes())?;
        }
        session.data(channel, output)?;
        session.exit_status_request(channel, 0)?;
        session.eof(channel)?;
        session.close(channel)
    }
}
