//! SSH servers in a bad way or with settings that few have: each is coped with, or named with its cause and its remedy.

mod sshd;

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use bytes::Bytes;
use snowmelt::catalog::connection::Connection;
use snowmelt::transport::{Answer, End, Endpoint, Exec, Failure, Phase, Session, TransportOptions, Transports};
use sshd::Sshd;

fn endpoint(sshd: &Sshd) -> Endpoint {
    let connection = Connection {
        address: Some("127.0.0.1".to_owned()),
        port: Some(sshd.port),
        identity_file: vec![sshd.path("user")],
        known_hosts: Some(sshd.known_hosts()),
        ..Connection::default()
    };
    Endpoint { name: "web001".to_owned(), connection }
}

async fn connect(sshd: &Sshd, endpoint: &Endpoint) -> Result<Session, Failure> {
    let options =
        TransportOptions { ssh_program: None, ..TransportOptions::new(sshd.folder.path().to_owned(), &sshd::me()) };
    Transports::new(options).connect(endpoint).await
}

async fn run(session: &mut Session, program: &str, input: impl Into<Bytes>) -> Answer {
    let (idle, deadline) = (Duration::from_secs(30), Duration::from_secs(60));
    let exec = Exec { program, input: input.into(), idle, deadline, limit: 64 << 20, on_output: None };
    session.exec(exec).await.unwrap()
}

#[tokio::test]
async fn keys_are_exchanged_anew_in_the_middle_of_everything() {
    if !sshd::available("keys_are_exchanged_anew_in_the_middle_of_everything") {
        return;
    }
    // After so much, and after so long: while much goes up and comes back, and while little is said for a while.
    for (limit, seconds) in [("1M", 0), ("default 1", 3)] {
        let sshd = Sshd::start(&format!("RekeyLimit {limit}\nLogLevel DEBUG1"));
        let mut session = connect(&sshd, &endpoint(&sshd)).await.unwrap();
        let input: Vec<u8> = (0..12_u32 << 20).map(|number| (number % 251) as u8).collect();
        let program = format!("n=0; while [ $n -lt {seconds} ]; do n=$((n + 1)); sleep 1; echo x; done >&2; cat");
        let answer = run(&mut session, &program, input.clone()).await;
        assert!(answer.end == End::Exit(0) && answer.stdout == input, "{limit}: {:?}", answer.end);
        assert_eq!(run(&mut session, "echo still here", "").await.stdout, b"still here\n");
        let exchanges = sshd.log().matches("rekey out after").count();
        assert!(exchanges >= 3, "{limit}: {exchanges}\n{}", sshd.log());
    }
}

#[tokio::test]
async fn a_server_that_only_knows_what_is_broken_is_refused_with_both_lists() {
    if !sshd::available("a_server_that_only_knows_what_is_broken_is_refused_with_both_lists") {
        return;
    }
    for (settings, theirs, ours) in [
        ("KexAlgorithms diffie-hellman-group1-sha1", "diffie-hellman-group1-sha1", "curve25519-sha256"),
        ("Ciphers 3des-cbc", "3des-cbc", "aes256-gcm@openssh.com"),
        ("HostKeyAlgorithms ssh-rsa\nHostKey FOLDER/host_rsa", "ssh-rsa", "ssh-ed25519"),
        ("Ciphers aes128-ctr\nMACs hmac-md5", "hmac-md5", "hmac-sha2-256"),
    ] {
        let folder = sshd::folder();
        let settings = settings.replace("FOLDER", &folder.path().display().to_string());
        let sshd = Sshd::start_in(folder, &settings);
        let failure = connect(&sshd, &endpoint(&sshd)).await.err().expect("refused");
        assert_eq!(failure.phase, Phase::Handshake, "{failure:?}");
        assert!(failure.message.contains(theirs) && failure.message.contains(ours), "{failure:?}");
        assert!(failure.hint.is_some(), "{failure:?}");
        assert!(!sshd.log().contains("publickey"), "nothing was offered");
    }
}

#[tokio::test]
async fn one_try_is_enough_where_there_is_only_one() {
    if !sshd::available("one_try_is_enough_where_there_is_only_one") {
        return;
    }
    let sshd = Sshd::start("MaxAuthTries 1");
    assert_eq!(run(&mut connect(&sshd, &endpoint(&sshd)).await.unwrap(), "echo in", "").await.stdout, b"in\n");
    // A wrong key uses the try up.
    let mut two = endpoint(&sshd);
    two.connection.identity_file = vec![sshd.path("other"), sshd.path("user")];
    let failure = connect(&sshd, &two).await.err().expect("refused");
    assert_eq!(failure.phase, Phase::Authenticate, "{failure:?}");
    assert!(failure.message.contains("Too many authentication failures"), "{failure:?}");
    assert!(failure.hint.as_ref().unwrap().contains("identity_file"), "{failure:?}");
}

#[tokio::test]
async fn a_banner_that_drips_is_given_up_in_time() {
    if !sshd::available("a_banner_that_drips_is_given_up_in_time") {
        return;
    }
    let dripping = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let sshd = Sshd::start("");
    let mut slow = endpoint(&sshd);
    slow.connection.port = Some(dripping.local_addr().unwrap().port());
    slow.connection.connect_timeout = Some(Duration::from_secs(1));
    std::thread::spawn(move || {
        let (mut stream, _) = dripping.accept().unwrap();
        for byte in b"SSH-2.0-OpenSSH_9.2p1 a comment that takes its time, and then some more\r\n".iter().cycle() {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    let began = Instant::now();
    let failure = connect(&sshd, &slow).await.err().expect("given up");
    assert_eq!(failure.phase, Phase::Handshake, "{failure:?}");
    assert!(failure.message.contains("within 1 s"), "{failure:?}");
    // Not a measure of speed: the banner would take a quarter of a minute.
    assert!(began.elapsed() < Duration::from_secs(10));
}
