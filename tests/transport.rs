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
