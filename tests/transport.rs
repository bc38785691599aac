//! The transport against a real OpenSSH server and a shell on this machine.

mod sshd;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use snowmelt::catalog::connection::{Connection, HostKeyChecking, TransportKind};
use snowmelt::transport::{Answer, End, Endpoint, Exec, Failure, Phase, Session, TransportOptions, Transports};
use sshd::Sshd;

fn options(home: PathBuf) -> TransportOptions {
    TransportOptions { ssh_program: None, ..TransportOptions::new(home, &sshd::me()) }
}

fn endpoint(sshd: &Sshd) -> Endpoint {
    Endpoint {
        name: "web001".to_owned(),
        connection: Connection {
            address: Some("127.0.0.1".to_owned()),
            port: Some(sshd.port),
            identity_file: vec![sshd.path("user")],
            known_hosts: Some(sshd.path("known_hosts")),
            ..Connection::default()
        },
    }
}

fn local() -> Endpoint {
    let connection = Connection { transport: TransportKind::Local, ..Connection::default() };
    Endpoint { name: "here".to_owned(), connection }
}

fn exec<'a>(program: &'a str, input: impl Into<Bytes>) -> Exec<'a> {
    let (idle, deadline) = (Duration::from_secs(30), Duration::from_secs(60));
    Exec { program, input: input.into(), idle, deadline, limit: 8 << 20, on_output: None }
}

async fn open(sshd: &Sshd, endpoint: &Endpoint) -> Result<Session, Failure> {
    Transports::new(options(sshd.folder.path().to_owned())).connect(endpoint).await
}

async fn refused(sshd: &Sshd, endpoint: &Endpoint) -> Failure {
    open(sshd, endpoint).await.err().expect("refused")
}

fn said(text: &str) -> Answer {
    Answer { stdout: text.as_bytes().to_vec(), stderr: Vec::new(), end: End::Exit(0) }
}

/// What must be the same whatever carries the bytes.
async fn behaves(session: &mut Session) {
    let answer = session.exec(exec("cat; printf '%s\\n' \"it's!\" >&2; exit 3", "in\0put")).await.unwrap();
    assert_eq!(answer, Answer { stdout: b"in\0put".to_vec(), stderr: b"it's!\n".to_vec(), end: End::Exit(3) });

    let large = Bytes::from(vec![b'x'; 3 << 20]);
    assert_eq!(session.exec(exec("cat", large.clone())).await.unwrap().stdout, large, "read and written at once");
    assert_eq!(session.exec(exec("echo ignored", large)).await.unwrap().end, End::Exit(0), "input nobody reads");

    assert_eq!(session.exec(exec("kill -TERM $$", "")).await.unwrap().end, End::Signal("TERM".to_owned()));
    let mut seen = Vec::new();
    let mut see = |bytes: &[u8]| seen.extend_from_slice(bytes);
    let exec_seen = Exec { on_output: Some(&mut see), limit: 4, ..exec("printf abcdef", "") };
    let answer = session.exec(exec_seen).await.unwrap();
    assert_eq!((answer.end, answer.stdout.as_slice(), seen.as_slice()), (End::TooMuch, &b"abcd"[..], &b"abcd"[..]));

    let silent = Exec { idle: Duration::from_millis(200), ..exec("sleep 60", "") };
    assert_eq!(session.exec(silent).await.unwrap().end, End::IdleTimeout);
    let busy = Exec { deadline: Duration::from_millis(400), ..exec("while :; do echo x; sleep 0.1; done", "") };
    assert_eq!(session.exec(busy).await.unwrap().end, End::Deadline);
    assert_eq!(
        session.exec(exec("sleep 5 & echo started", "")).await.unwrap(),
        said("started\n"),
        "its child holds stdout"
    );
    assert_eq!(session.channels(), 8);
}

#[tokio::test]
async fn a_local_shell_behaves() {
    let transports = Transports::new(options("/nonexistent".into()));
    let mut session = transports.connect(&local()).await.unwrap();
    behaves(&mut session).await;
    session.close().await;
}

#[tokio::test]
async fn an_ssh_server_behaves() {
    if !sshd::available("an_ssh_server_behaves") {
        return;
    }
    let sshd = Sshd::start("");
    sshd.known_hosts();
    let mut session = open(&sshd, &endpoint(&sshd)).await.unwrap();
    behaves(&mut session).await;
    session.close().await;
}

#[tokio::test]
async fn an_unknown_host_is_refused_before_anything_is_offered() {
    if !sshd::available("an_unknown_host_is_refused_before_anything_is_offered") {
        return;
    }
    let sshd = Sshd::start("");
    let failure = refused(&sshd, &endpoint(&sshd)).await;
    assert_eq!(failure.phase, Phase::HostKey);
    assert!(failure.message.contains("web001") && failure.message.contains("SHA256:"), "{failure:?}");
    assert!(!sshd.log().contains("publickey") && !sshd.log().contains("userauth"), "{}", sshd.log());

    let mut new = endpoint(&sshd);
    new.connection.host_key_checking = Some(HostKeyChecking::AcceptNew);
    open(&sshd, &new).await.unwrap();
    open(&sshd, &endpoint(&sshd)).await.unwrap().close().await;

    let wrong = format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.public_key("host_rsa"));
    std::fs::write(sshd.path("known_hosts"), wrong).unwrap();
    let failure = refused(&sshd, &new).await;
    assert_eq!(failure.phase, Phase::HostKey);
    assert!(failure.message.contains("known by another"), "{failure:?}");
}

#[tokio::test]
async fn a_key_that_is_not_taken_is_named() {
    if !sshd::available("a_key_that_is_not_taken_is_named") {
        return;
    }
    let sshd = Sshd::start("");
    sshd.known_hosts();
    let mut stranger = endpoint(&sshd);
    stranger.connection.identity_file = vec![sshd.path("other"), sshd.path("missing")];
    let failure = refused(&sshd, &stranger).await;
    assert_eq!(failure.phase, Phase::Authenticate);
    for part in ["other", "missing does not exist", "takes publickey", "127.0.0.1"] {
        assert!(failure.message.contains(part), "{part}: {failure:?}");
    }
}

#[tokio::test]
async fn what_does_not_answer_is_named_by_phase() {
    if !sshd::available("what_does_not_answer_is_named_by_phase") {
        return;
    }
    let sshd = Sshd::start("");
    let mut nobody = endpoint(&sshd);
    nobody.connection.port = Some(1);
    assert_eq!(refused(&sshd, &nobody).await.phase, Phase::Connect);
    nobody.connection.address = Some("no-such-host.invalid".to_owned());
    assert_eq!(refused(&sshd, &nobody).await.phase, Phase::Resolve);
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut mute = endpoint(&sshd);
    mute.connection.port = Some(silent.local_addr().unwrap().port());
    mute.connection.connect_timeout = Some(Duration::from_millis(300));
    assert_eq!(refused(&sshd, &mute).await.phase, Phase::Handshake);
}

/// A configuration in which `web001` is the server, and what else is written about it.
fn configured(sshd: &Sshd, more: &str) -> (TransportOptions, Endpoint) {
    let folder = sshd.folder.path().display();
    let config = format!(
        "{more}\nHost *\nIdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known_hosts\n\
         GlobalKnownHostsFile none\nPort {}\n",
        sshd.port
    );
    let file = sshd.path("ssh_config");
    std::fs::write(&file, config).unwrap();
    let options = TransportOptions { ssh_config: Some(file), ..options(sshd.folder.path().to_owned()) };
    (options, Endpoint { name: "web001".to_owned(), connection: Connection::default() })
}

async fn runs(session: &mut Session) {
    assert_eq!(session.exec(exec("printf hello", "")).await.unwrap(), said("hello"));
}

#[tokio::test]
async fn ssh_config_is_read_with_and_without_ssh() {
    if !sshd::available("ssh_config_is_read_with_and_without_ssh") {
        return;
    }
    let sshd = Sshd::start("");
    sshd.known_hosts();
    for (more, reader, ssh) in [
        ("Host web*\nHostName 127.0.0.1", true, true),
        ("Host web*\nHostName %h.invalid\nHost *\nHostName 127.0.0.1", false, false),
        // Only ssh itself understands these.
        ("Match host web001\nHostName 127.0.0.1", false, true),
        ("Match exec \"test %n = web001\"\nHostName 127.0.0.1", false, true),
    ] {
        let (options, endpoint) = configured(&sshd, more);
        let warnings = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = warnings.clone();
        let warn: snowmelt::transport::Warn =
            std::sync::Arc::new(move |text: &str| heard.lock().unwrap().push(text.to_owned()));
        let options = TransportOptions { warn: Some(warn), ..options };
        let own = Transports::new(options.clone()).connect(&endpoint).await;
        assert_eq!(own.is_ok(), reader, "{more}: {:?}", own.err());
        let warned = warnings.lock().unwrap().join("\n");
        assert_eq!(
            warned.contains("Match is not understood") || warned.contains("Match ("),
            more.contains("Match"),
            "{warned}"
        );
        let with_ssh =
            Transports::new(TransportOptions { ssh_program: Some("ssh".into()), ..options }).connect(&endpoint).await;
        assert_eq!(with_ssh.is_ok(), ssh, "{more}: {:?}", with_ssh.err());
    }
    let (options, endpoint) = configured(&sshd, "Match nonsense\nNoSuchKeyword yes");
    let options = TransportOptions { ssh_program: Some("ssh".into()), ..options };
    let failure = Transports::new(options).connect(&endpoint).await.err().unwrap();
    assert_eq!(failure.phase, Phase::Resolve, "{failure:?}");
}

#[tokio::test]
async fn jump_hosts_are_verified_and_shared() {
    if !sshd::available("jump_hosts_are_verified_and_shared") {
        return;
    }
    let sshd = Sshd::start("");
    sshd.known_hosts();
    let hosts = "Host web001 first second\nHostName 127.0.0.1\n";
    let (options, endpoint) = configured(&sshd, &format!("{hosts}Host web001\nProxyJump first,second\n"));
    let transports = Transports::new(options);
    let (one, two) = tokio::join!(transports.connect(&endpoint), transports.connect(&endpoint));
    runs(&mut one.unwrap()).await;
    runs(&mut two.unwrap()).await;
    let logins = sshd.log().matches("Accepted publickey").count();
    assert_eq!(logins, 4, "two jump hosts and twice the host: {}", sshd.log());

    // Each hop is verified under its own name.
    let (options, endpoint) =
        configured(&sshd, &format!("Host first\nHostKeyAlias elsewhere\n{hosts}Host web001\nProxyJump first\n"));
    let failure = Transports::new(options).connect(&endpoint).await.err().unwrap();
    assert_eq!(failure.phase, Phase::HostKey);
    assert!(failure.message.starts_with("jump host first"), "{failure:?}");

    // Nobody is reached through himself, and circles end.
    let (options, endpoint) = configured(&sshd, &format!("{hosts}Host *\nProxyJump web001\n"));
    runs(&mut Transports::new(options).connect(&endpoint).await.unwrap()).await;
    let (options, endpoint) =
        configured(&sshd, &format!("Host web001\nProxyJump first\nHost first\nProxyJump web001\n{hosts}"));
    let failure = Transports::new(options).connect(&endpoint).await.err().unwrap();
    assert!(failure.message.contains("circle"), "{failure:?}");
}

#[tokio::test]
async fn a_proxy_command_carries_the_bytes() {
    if !sshd::available("a_proxy_command_carries_the_bytes") {
        return;
    }
    let sshd = Sshd::start("");
    sshd.known_hosts();
    let folder = sshd.folder.path().display();
    // `ssh -W` is the proxy that everybody has.
    let proxy = format!(
        "Host web001\nHostName 127.0.0.1\nProxyCommand ssh -F none -p %p -i {folder}/user -o UserKnownHostsFile={folder}/known_hosts -W %h:%p 127.0.0.1"
    );
    let (options, endpoint) = configured(&sshd, &proxy);
    runs(&mut Transports::new(options).connect(&endpoint).await.unwrap()).await;

    let (options, endpoint) = configured(&sshd, "Host web001\nProxyCommand echo 'no \u{1b}[31mway' >&2; exit 1");
    let failure = Transports::new(options).connect(&endpoint).await.err().unwrap();
    assert_eq!(failure.phase, Phase::Handshake);
    assert!(!failure.message.contains('\u{1b}'), "{failure:?}");
}

#[tokio::test]
async fn more_logins_than_the_server_takes_all_come_through() {
    if !sshd::available("more_logins_than_the_server_takes_all_come_through") {
        return;
    }
    let sshd = Sshd::start("MaxStartups 4:50:12");
    sshd.known_hosts();
    let transports = Transports::new(options(sshd.folder.path().to_owned()));
    let endpoint = endpoint(&sshd);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (transports, endpoint) = (transports.clone(), endpoint.clone());
        tasks.spawn(async move { runs(&mut transports.connect(&endpoint).await.unwrap()).await });
    }
    tasks.join_all().await;
}

/// An agent of its own, ended when it is dropped.
struct Agent {
    socket: PathBuf,
    process: std::process::Child,
}

impl Agent {
    fn start(sshd: &Sshd, keys: &[&str]) -> Self {
        let socket = sshd.path("agent");
        let mut command = std::process::Command::new("ssh-agent");
        let process = command.args(["-D", "-a"]).arg(&socket).stdout(std::process::Stdio::null()).spawn().unwrap();
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            std::thread::yield_now();
        }
        for key in keys {
            let mut add = std::process::Command::new("ssh-add");
            assert!(add.arg("-q").arg(sshd.path(key)).env("SSH_AUTH_SOCK", &socket).status().unwrap().success());
        }
        Self { socket, process }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn an_agent_is_used_within_its_limits() {
    if !sshd::available("an_agent_is_used_within_its_limits") {
        return;
    }
    let sshd = Sshd::start("");
    sshd.known_hosts();
    for number in 0..7 {
        sshd::keygen(sshd.folder.path(), &format!("many{number}"), "ed25519", "");
    }
    let agent = Agent::start(&sshd, &["many0", "many1", "many2", "many3", "many4", "many5", "many6", "user"]);
    let with_agent =
        TransportOptions { auth_sock: Some(agent.socket.clone()), ..options(sshd.folder.path().to_owned()) };
    // The right key is named: the agent's seven others are not offered.
    let transports = Transports::new(with_agent.clone());
    std::fs::rename(sshd.path("user"), sshd.path("hidden")).unwrap();
    runs(&mut transports.connect(&endpoint(&sshd)).await.unwrap()).await;

    let mut any = endpoint(&sshd);
    any.connection.identity_file.clear();
    let failure = transports.connect(&any).await.err().unwrap();
    assert_eq!(failure.phase, Phase::Authenticate);
    assert!(failure.message.contains("many4") && !failure.message.contains("many5"), "{failure:?}");
    assert!(failure.message.contains("no more than 5"), "{failure:?}");

    let nobody = TransportOptions { auth_sock: Some(sshd.path("nothing")), ..with_agent };
    let failure = Transports::new(nobody).connect(&any).await.err().unwrap();
    assert!(failure.message.contains("does not answer"), "{failure:?}");
}

#[tokio::test]
async fn rsa_keys_sign_with_sha2() {
    if !sshd::available("rsa_keys_sign_with_sha2") {
        return;
    }
    let sshd = Sshd::start("");
    sshd.known_hosts();
    sshd::keygen(sshd.folder.path(), "rsa", "rsa", "");
    std::fs::copy(sshd.path("rsa.pub"), sshd.path("authorized_keys")).unwrap();
    let mut by_rsa = endpoint(&sshd);
    by_rsa.connection.identity_file = vec![sshd.path("rsa")];
    runs(&mut open(&sshd, &by_rsa).await.unwrap()).await;
    let agent = Agent::start(&sshd, &["rsa"]);
    let options = TransportOptions { auth_sock: Some(agent.socket.clone()), ..options(sshd.folder.path().to_owned()) };
    runs(&mut Transports::new(options).connect(&by_rsa).await.unwrap()).await;
}

/// Answers every question with one text, and counts them.
fn answering(text: &'static str) -> (snowmelt::transport::Ask, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let questions = asked.clone();
    let ask = std::sync::Arc::new(move |question: &str| {
        questions.lock().unwrap().push(question.to_owned());
        Some(zeroize::Zeroizing::new(text.to_owned()))
    });
    (ask, asked)
}

#[tokio::test]
async fn a_passphrase_is_asked_for_once_and_only_when_it_helps() {
    if !sshd::available("a_passphrase_is_asked_for_once_and_only_when_it_helps") {
        return;
    }
    let sshd = Sshd::start("");
    sshd.known_hosts();
    sshd::keygen(sshd.folder.path(), "locked", "ed25519", "open sesame");
    let mut locked = endpoint(&sshd);
    locked.connection.identity_file = vec![sshd.path("locked")];

    let (ask, asked) = answering("open sesame");
    let options = TransportOptions { ask: Some(ask), ..options(sshd.folder.path().to_owned()) };
    let transports = Transports::new(options.clone());
    assert_eq!(transports.connect(&locked).await.err().unwrap().phase, Phase::Authenticate);
    assert!(asked.lock().unwrap().is_empty(), "the host does not know the key");

    std::fs::copy(sshd.path("locked.pub"), sshd.path("authorized_keys")).unwrap();
    let (one, two) = tokio::join!(transports.connect(&locked), transports.connect(&locked));
    runs(&mut one.unwrap()).await;
    runs(&mut two.unwrap()).await;
    assert_eq!(asked.lock().unwrap().len(), 1, "{asked:?}");

    let (wrong, asked) = answering("wrong");
    let failure =
        Transports::new(TransportOptions { ask: Some(wrong), ..options.clone() }).connect(&locked).await.err().unwrap();
    assert!(failure.message.contains("does not unlock") && !failure.message.contains("wrong"), "{failure:?}");
    assert_eq!(asked.lock().unwrap().len(), 1);
    let failure = Transports::new(TransportOptions { ask: None, ..options }).connect(&locked).await.err().unwrap();
    assert!(failure.message.contains("no terminal"), "{failure:?}");
}

#[tokio::test]
async fn what_dies_in_the_middle_is_lost_and_not_a_result() {
    if !sshd::available("what_dies_in_the_middle_is_lost_and_not_a_result") {
        return;
    }
    let sshd = Sshd::start("");
    sshd.known_hosts();
    let mut session = open(&sshd, &endpoint(&sshd)).await.unwrap();
    // It ends the sshd process that serves it.
    let answer = session.exec(exec("echo begun; kill -9 $PPID; sleep 30", "")).await.unwrap();
    assert!(matches!(answer.end, End::Lost(_)), "{answer:?}");
    let failure = session.exec(exec("true", "")).await.unwrap_err();
    assert!(failure.before_anything_ran && failure.phase == Phase::Execute, "{failure:?}");
}

#[tokio::test]
async fn an_account_that_runs_something_else_is_no_result() {
    if !sshd::available("an_account_that_runs_something_else_is_no_result") {
        return;
    }
    let sshd = Sshd::start("ForceCommand echo 'backups only'; exit 0");
    sshd.known_hosts();
    let mut session = open(&sshd, &endpoint(&sshd)).await.unwrap();
    let failure = session.exec(exec("true", "")).await.unwrap_err();
    assert!(failure.before_anything_ran && failure.hint.as_ref().unwrap().contains("ForceCommand"), "{failure:?}");
}

/// Stands in for sudo: it wants the password `hunter2` as sudo does, reads no byte too many, and counts wrong ones.
const SUDO: &str = r#"#!/bin/sh
folder=${0%/*}
prompt=
while [ $# -gt 0 ]; do
    case $1 in
        -n) echo 'sudo: a password is required' >&2; exit 1 ;;
        -S) shift ;;
        -p) prompt=$(printf %s "$2" | sed 's/%%/%/g'); shift 2 ;;
        -u) shift 2 ;;
        --) shift; break ;;
        *) echo "unknown $1" >&2; exit 2 ;;
    esac
done
for try in 1 2 3; do
    printf %s "$prompt" >&2
    IFS= read -r answer || { echo 'sudo: no password was provided' >&2; exit 1; }
    [ "$answer" = hunter2 ] && exec "$@"
    echo wrong >> "$folder/wrong"
    echo 'Sorry, try again.' >&2
done
echo 'sudo: 3 incorrect password attempts' >&2
exit 1
"#;

/// A server where `sudo` is a script.
fn with_sudo(script: &str) -> (Sshd, Endpoint) {
    use std::os::unix::fs::PermissionsExt;
    let folder = sshd::folder();
    let path = folder.path().join("sudo");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("SetEnv PATH={}:/usr/bin:/bin:/usr/sbin:/sbin", folder.path().display());
    let sshd = Sshd::start_in(folder, &path);
    sshd.known_hosts();
    let mut endpoint = endpoint(&sshd);
    endpoint.connection.become_other = true;
    endpoint.connection.become_user = Some("somebody".to_owned());
    (sshd, endpoint)
}

#[tokio::test]
async fn a_sudo_password_is_asked_once_and_never_reaches_the_program() {
    if !sshd::available("a_sudo_password_is_asked_once_and_never_reaches_the_program") {
        return;
    }
    let (sshd, endpoint) = with_sudo(SUDO);
    let (ask, asked) = answering("hunter2");
    let transports = Transports::new(TransportOptions { ask: Some(ask), ..options(sshd.folder.path().to_owned()) });
    for channels in [3, 1] {
        let mut session = transports.connect(&endpoint).await.unwrap();
        let answer = session.exec(exec("cat", "what it reads")).await.unwrap();
        assert_eq!(answer, said("what it reads"));
        // The first host is asked without a password, then proves it; the next one is given it at once.
        assert_eq!(session.channels(), channels);
    }
    assert_eq!(asked.lock().unwrap().len(), 1, "{asked:?}");
    assert!(!sshd.log().contains("hunter2"));
}

#[tokio::test]
async fn a_wrong_sudo_password_is_tried_on_one_host_only() {
    if !sshd::available("a_wrong_sudo_password_is_tried_on_one_host_only") {
        return;
    }
    let (sshd, endpoint) = with_sudo(SUDO);
    let (ask, asked) = answering("letmein");
    let transports = Transports::new(TransportOptions { ask: Some(ask), ..options(sshd.folder.path().to_owned()) });
    let (mut one, mut two) =
        (transports.connect(&endpoint).await.unwrap(), transports.connect(&endpoint).await.unwrap());
    let (first, second) = tokio::join!(one.exec(exec("cat", "")), two.exec(exec("cat", "")));
    for failure in [first.unwrap_err(), second.unwrap_err()] {
        assert_eq!(failure.phase, Phase::Become);
        assert!(failure.before_anything_ran && !failure.message.contains("letmein"), "{failure:?}");
    }
    assert_eq!(asked.lock().unwrap().len(), 1);
    assert_eq!(std::fs::read_to_string(sshd.path("wrong")).unwrap(), "wrong\n", "tried once, on one host");

    let transports = Transports::new(options(sshd.folder.path().to_owned()));
    let failure = transports.connect(&endpoint).await.unwrap().exec(exec("cat", "")).await.unwrap_err();
    assert!(failure.hint.as_ref().unwrap().contains("NOPASSWD"), "{failure:?}");
}

#[tokio::test]
async fn a_user_certificate_logs_in() {
    if !sshd::available("a_user_certificate_logs_in") {
        return;
    }
    let folder = sshd::folder();
    let path = folder.path().to_owned();
    sshd::keygen(&path, "ca", "ed25519", "");
    for (name, kind) in [("vouched", "ed25519"), ("vouched_rsa", "rsa")] {
        sshd::keygen(&path, name, kind, "");
        let mut sign = std::process::Command::new("ssh-keygen");
        sign.args(["-q", "-s"])
            .arg(path.join("ca"))
            .args(["-I", "x", "-n", &sshd::me()])
            .arg(path.join(format!("{name}.pub")));
        assert!(sign.output().unwrap().status.success());
    }
    let sshd = Sshd::start_in(folder, &format!("TrustedUserCAKeys {}/ca.pub", path.display()));
    sshd.known_hosts();
    for name in ["vouched", "vouched_rsa"] {
        let mut vouched = endpoint(&sshd);
        vouched.connection.identity_file = vec![sshd.path(name)];
        runs(&mut open(&sshd, &vouched).await.unwrap()).await;
        let agent = Agent::start(&sshd, &[name]);
        let options =
            TransportOptions { auth_sock: Some(agent.socket.clone()), ..options(sshd.folder.path().to_owned()) };
        runs(&mut Transports::new(options).connect(&vouched).await.unwrap()).await;
        drop(agent);
        std::fs::remove_file(sshd.path("agent")).unwrap();
    }
}

/// A link that ends after so many bytes from the client.
async fn cut_after(port: u16, bytes: u64) -> u16 {
    use tokio::io::{AsyncReadExt, copy};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let near = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (from_server, to_server) = server.split();
                let (from_client, to_client) = client.split();
                let (mut there, mut back) = (from_client.take(bytes), from_server);
                let (mut to_server, mut to_client) = (to_server, to_client);
                tokio::select! { _ = copy(&mut there, &mut to_server) => {}, _ = copy(&mut back, &mut to_client) => {} }
            });
        }
    });
    near
}

#[tokio::test]
async fn a_cut_link_is_never_a_result() {
    if !sshd::available("a_cut_link_is_never_a_result") {
        return;
    }
    let sshd = Sshd::start("");
    std::fs::write(sshd.path("known_hosts"), format!("127.0.0.1 {}\n", sshd.public_key("host"))).unwrap();
    let whole = sshd.path("arrived");
    let program = format!("cat > /dev/null; echo whole >> {}; echo done", whole.display());
    let input = Bytes::from(vec![b'x'; 100_000]);
    for bytes in [0, 10, 40, 1_000, 2_000, 2_500, 3_000, 4_000, 8_000, 20_000, 50_000, 99_000] {
        let mut cut = endpoint(&sshd);
        cut.connection.port = Some(cut_after(sshd.port, bytes).await);
        let mut session = match open(&sshd, &cut).await {
            Ok(session) => session,
            Err(failure) => {
                assert!(failure.before_anything_ran && bytes < 4_000, "{bytes}: {failure:?}");
                continue;
            }
        };
        match session.exec(exec(&program, input.clone())).await {
            Ok(answer) => assert!(matches!(answer.end, End::Lost(_)), "{bytes}: {answer:?}"),
            Err(failure) => assert!(failure.before_anything_ran, "{bytes}: {failure:?}"),
        }
    }
    let mut session = open(&sshd, &endpoint(&sshd)).await.unwrap();
    assert_eq!(session.exec(exec(&program, input)).await.unwrap(), said("done\n"));
}

#[tokio::test]
async fn a_host_that_stops_answering_is_lost() {
    if !sshd::available("a_host_that_stops_answering_is_lost") {
        return;
    }
    let sshd = Sshd::start("");
    sshd.known_hosts();
    let quick = "Host web001\nHostName 127.0.0.1\nServerAliveInterval 1\nServerAliveCountMax 1";
    let (options, endpoint) = configured(&sshd, quick);
    let mut session = Transports::new(options).connect(&endpoint).await.unwrap();
    let answer =
        session.exec(exec("(sleep 20; kill -CONT $PPID) & echo $PPID; kill -STOP $PPID; sleep 20", "")).await.unwrap();
    assert_eq!(answer.end, End::Lost("the host stopped answering".to_owned()));
}

#[tokio::test]
async fn a_key_is_looked_at_without_a_login_and_forgotten_again() {
    if !sshd::available("a_key_is_looked_at_without_a_login_and_forgotten_again") {
        return;
    }
    let sshd = Sshd::start("");
    let transports = Transports::new(options(sshd.folder.path().to_owned()));
    let mut endpoint = endpoint(&sshd);
    endpoint.connection.identity_file = vec![sshd.path("other")];
    let key = transports.host_key(&endpoint).await.unwrap();
    let shown = std::process::Command::new("ssh-keygen").arg("-lf").arg(sshd.path("host.pub")).output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&key.fingerprint), "{key:?}");
    assert!(!key.is_known && key.endpoint == "web001" && key.kind == "ssh-ed25519", "{key:?}");
    assert!(!sshd.path("known_hosts").exists(), "looking writes nothing");
    assert!(!sshd.log().contains("Failed") && !sshd.log().contains("Accepted"), "{}", sshd.log());

    transports.trust(&key).unwrap();
    assert!(transports.host_key(&endpoint).await.unwrap().is_known);
    endpoint.connection.identity_file = vec![sshd.path("user")];
    transports.connect(&endpoint).await.unwrap().close().await;

    let forgotten = transports.forget(&endpoint).await.unwrap();
    assert_eq!(forgotten.removed, [format!("{}:1", sshd.path("known_hosts").display())]);
    assert!(!transports.host_key(&endpoint).await.unwrap().is_known);

    std::fs::write(sshd.path("known_hosts"), format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.public_key("other")))
        .unwrap();
    let changed = Transports::new(options(sshd.folder.path().to_owned())).host_key(&endpoint).await.unwrap_err();
    assert_eq!(changed.phase, Phase::HostKey);
    assert!(changed.message.contains("known_hosts:1"), "{changed:?}");
    assert!(changed.hint.unwrap().contains("snowmelt hosts forget"));
}

#[tokio::test]
async fn behind_a_new_jump_host_its_key_comes_first() {
    if !sshd::available("behind_a_new_jump_host_its_key_comes_first") {
        return;
    }
    let (bastion, inner) = (Sshd::start(""), Sshd::start(""));
    // Both let the same key in.
    std::fs::copy(bastion.path("authorized_keys"), inner.path("authorized_keys")).unwrap();
    let transports = Transports::new(options(bastion.folder.path().to_owned()));
    let mut endpoint = endpoint(&bastion);
    endpoint.connection.port = Some(inner.port);
    endpoint.connection.proxy_jump = Some(format!("127.0.0.1:{}", bastion.port));
    let first = transports.host_key(&endpoint).await.unwrap();
    assert_eq!((first.endpoint.as_str(), first.is_known), ("127.0.0.1", false));
    assert!(!bastion.log().contains("Accepted"), "nobody logs in to a host whose key is new");
    transports.trust(&first).unwrap();
    let second = transports.host_key(&endpoint).await.unwrap();
    assert_eq!((second.endpoint.as_str(), second.is_known), ("web001", false));
    assert!(bastion.log().contains("Accepted") && !inner.log().contains("Accepted"));
    transports.trust(&second).unwrap();
    transports.connect(&endpoint).await.unwrap().close().await;
}
