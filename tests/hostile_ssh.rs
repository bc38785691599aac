//! SSH servers that mean harm: whatever they send, the answer is bounded, clean and never a result that nobody measured.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::keys::{Algorithm, PrivateKey, key::safe_rng};
use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session};
use russh::{Channel, ChannelId, Disconnect};
use snowmelt::catalog::connection::{Connection, HostKeyChecking};
use snowmelt::transport::{Answer, End, Endpoint, Exec, Failure, Phase, TransportOptions, Transports};

/// What the server does when it is asked to run something.
#[derive(Clone, Copy, Debug)]
enum Deed {
    SayNothing,
    RefuseToRun,
    CloseWithoutStatus,
    ForgeStatusWithoutMark,
    FloodOutput,
    FloodErrors,
    HoldOpenAfterStatus,
    HangUpWithEscapes,
    OpenChannels,
}

#[derive(Clone)]
struct Villain {
    deed: Deed,
    lets_in: bool,
}

impl Handler for Villain {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(Some(format!("\u{1b}]0;owned\u{7}{}", "x".repeat(5000))))
    }

    async fn auth_publickey(&mut self, _: &str, _: russh::server::VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(if self.lets_in { Auth::Accept } else { Auth::reject() })
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
        let line = String::from_utf8_lossy(line).into_owned();
        let nonce = line.split("\"\"").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        let mark = format!("snowmelt-began-{nonce}\n");
        let (handle, deed) = (session.handle(), self.deed);
        if !matches!(deed, Deed::RefuseToRun) {
            session.channel_success(channel)?;
        }
        tokio::spawn(async move { perform(deed, &handle, channel, mark).await });
        Ok(())
    }
}

async fn perform(deed: Deed, handle: &Handle, channel: ChannelId, mark: String) -> Option<()> {
    let flood = Bytes::from(vec![b'A'; 32 * 1024]);
    if !matches!(deed, Deed::ForgeStatusWithoutMark | Deed::SayNothing | Deed::RefuseToRun) {
        handle.extended_data(channel, 1, mark.into_bytes()).await.ok()?;
    }
    match deed {
        Deed::SayNothing => {}
        Deed::RefuseToRun => handle.channel_failure(channel).await.ok()?,
        Deed::CloseWithoutStatus => handle.close(channel).await.ok()?,
        Deed::ForgeStatusWithoutMark => {
            handle.extended_data(channel, 1, b"\x1b[2Jnot today\r\n".to_vec()).await.ok()?;
            handle.exit_status_request(channel, 0).await.ok()?;
            handle.close(channel).await.ok()?;
        }
        Deed::FloodOutput => loop {
            handle.data(channel, flood.clone()).await.ok()?;
        },
        Deed::FloodErrors => {
            for _ in 0..2000 {
                handle.extended_data(channel, 1, flood.clone()).await.ok()?;
            }
            handle.exit_status_request(channel, 0).await.ok()?;
            handle.close(channel).await.ok()?;
        }
        Deed::HoldOpenAfterStatus => handle.exit_status_request(channel, 4).await.ok()?,
        Deed::HangUpWithEscapes => {
            let words = "\u{1b}[31mgo \u{202e}away".to_owned();
            handle.disconnect(Disconnect::ByApplication, words, "en".to_owned()).await.ok()?;
        }
        Deed::OpenChannels => {
            assert!(handle.channel_open_agent().await.is_err(), "nobody forwards an agent");
            assert!(handle.channel_open_forwarded_tcpip("localhost", 1, "localhost", 1).await.is_err());
            assert!(handle.channel_open_session().await.is_err());
            assert!(handle.channel_open_x11("localhost", 1).await.is_err());
            handle.exit_status_request(channel, 9).await.ok()?;
            handle.close(channel).await.ok()?;
        }
    }
    Some(())
}

async fn serve(deed: Deed, lets_in: bool) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
    let config = Arc::new(Config { keys: vec![key], auth_rejection_time: Duration::ZERO, ..Config::default() });
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let running = russh::server::run_stream(config.clone(), stream, Villain { deed, lets_in }).await;
            tokio::spawn(async move { running.ok()?.await.ok() });
        }
    });
    (port, serving)
}

async fn meet(deed: Deed, lets_in: bool) -> Result<Answer, Failure> {
    let (port, serving) = serve(deed, lets_in).await;
    let home = tempfile::tempdir().unwrap();
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap();
    let identity = home.path().join("key");
    key.write_openssh_file(&identity, Default::default()).unwrap();
    let connection = Connection {
        address: Some("127.0.0.1".to_owned()),
        port: Some(port),
        identity_file: vec![identity],
        host_key_checking: Some(HostKeyChecking::AcceptNew),
        ..Connection::default()
    };
    let options = TransportOptions { ssh_program: None, ..TransportOptions::new(home.path().to_owned(), "me") };
    let endpoint = Endpoint { name: "villain".to_owned(), connection };
    let exec = Exec {
        program: "true",
        input: Bytes::from(vec![0; 100_000]),
        idle: Duration::from_millis(500),
        deadline: Duration::from_secs(60),
        limit: 1000,
        on_output: None,
    };
    let mut session = Transports::new(options).connect(&endpoint).await?;
    let outcome = session.exec(exec).await;
    serving.abort();
    outcome
}

fn is_clean(text: &str) {
    assert!(!text.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}']) && text.len() < 2000, "{text:?}");
}

#[tokio::test]
async fn no_deed_is_taken_for_a_result() {
    for deed in [Deed::SayNothing, Deed::CloseWithoutStatus, Deed::HangUpWithEscapes] {
        let answer = meet(deed, true).await;
        match answer.as_ref().map(|answer| &answer.end) {
            Ok(End::Lost(why)) => is_clean(why),
            Ok(End::IdleTimeout) => {}
            other => panic!("{deed:?}: {other:?}"),
        }
    }
    for deed in [Deed::RefuseToRun, Deed::ForgeStatusWithoutMark] {
        let failure = meet(deed, true).await.unwrap_err();
        assert!(failure.before_anything_ran && failure.phase == Phase::Execute, "{deed:?}: {failure:?}");
        is_clean(&failure.message);
    }
}

#[tokio::test]
async fn floods_are_bounded() {
    let answer = meet(Deed::FloodOutput, true).await.unwrap();
    assert_eq!((answer.end, answer.stdout.len()), (End::TooMuch, 1000));
    let answer = meet(Deed::FloodErrors, true).await.unwrap();
    assert_eq!(answer.end, End::Exit(0));
    assert!(answer.stderr.len() < 70_000, "{}", answer.stderr.len());
    assert_eq!(meet(Deed::HoldOpenAfterStatus, true).await.unwrap().end, End::Exit(4));
}

#[tokio::test]
async fn nothing_is_opened_towards_us() {
    assert_eq!(meet(Deed::OpenChannels, true).await.unwrap().end, End::Exit(9));
}

#[tokio::test]
async fn what_it_says_before_a_login_is_cleaned() {
    let failure = meet(Deed::SayNothing, false).await.unwrap_err();
    assert_eq!(failure.phase, Phase::Authenticate);
    assert!(failure.message.contains("\\x1b]0;owned"), "{failure:?}");
    is_clean(&failure.message);
}
