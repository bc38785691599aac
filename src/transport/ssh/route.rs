//! The stream to a host's port: straight, through other hosts, or through a command.
//!
//! A jump host is connected once per run and shared: each host behind it costs one forwarded channel there, not a login. Its
//! key is verified under its own name, and it is resolved like any other host.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::guard::{Notebook, shown};
use super::settings::{self, Route, Settings};
use super::severable::Stream;
use super::{Link, lookup, open};
use crate::base::clean;
use crate::catalog::connection::Connection;
use crate::transport::{Failure, Phase, Shared};

/// How many hosts deep a way may be.
const DEEPEST: usize = 8;
/// How long a jump host that could not be reached is not tried again.
const DOWN: Duration = Duration::from_secs(30);

/// The jump hosts of a run, by the way to them.
#[derive(Default)]
pub(crate) struct Hops(Mutex<HashMap<String, Arc<tokio::sync::Mutex<Slot>>>>);

#[derive(Default)]
enum Slot {
    #[default]
    Untried,
    Up(Arc<Link>),
    Down(Failure, Instant),
}

/// A stream, and until when the host must have proven who it is: the time to reach a jump host is not the host's.
pub(crate) struct Dialed {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) deadline: Instant,
}

/// Opens the stream to a host's port.
pub(crate) async fn dial(
    shared: &Arc<Shared>,
    settings: &Settings,
    at: &str,
    notebook: &Notebook,
) -> Result<Dialed, Failure> {
    let hop = match &settings.route {
        Route::Jump(hops) => Some(hop(shared, settings, hops).await?),
        Route::Direct | Route::Command(_) => None,
    };
    let deadline = Instant::now() + settings.connect_timeout;
    let stream = match (&settings.route, hop) {
        (Route::Command(command), _) => through_command(command, at, notebook)?,
        (_, Some(hop)) => through_host(hop, settings, at, deadline).await?,
        (_, None) => straight(settings, at, deadline).await?,
    };
    Ok(Dialed { stream, deadline })
}

async fn straight(settings: &Settings, at: &str, deadline: Instant) -> Result<Box<dyn Stream>, Failure> {
    let fail = |phase, what: String, hint: &str| Failure::new(phase, format!("{at}: {what}")).hint(hint);
    let lookup = tokio::net::lookup_host((settings.host.as_str(), settings.port));
    let addresses: Vec<_> = match tokio::time::timeout_at(deadline, lookup).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            let hint = "correct the name, or give the host an address";
            return Err(fail(Phase::Resolve, format!("no address: {error}"), hint));
        }
        Err(_) => return Err(fail(Phase::Resolve, "no answer from the name server".to_owned(), "look at resolv.conf")),
    };
    let mut last = "no address".to_owned();
    for (index, address) in addresses.iter().enumerate() {
        // Said once is enough where the inventory gives the address.
        let place = if at.contains(&address.to_string()) { String::new() } else { format!("{address}: ") };
        // What is left is shared between the addresses that are left, so that a dead first one does not cost everything.
        let left = deadline.saturating_duration_since(Instant::now()) / (addresses.len() - index) as u32;
        match tokio::time::timeout(left, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small packets wait for an acknowledgement otherwise: 40 ms a program.
                let _ = stream.set_nodelay(true);
                return Ok(Box::new(stream));
            }
            Ok(Err(error)) => last = format!("{place}{error}"),
            Err(_) => last = format!("{place}no answer within {:.1} s", left.as_secs_f32()),
        }
    }
    Err(fail(
        Phase::Connect,
        last,
        "look whether the host is up, sshd listens on that port and no firewall is in between",
    ))
}

async fn through_host(
    hop: Arc<Link>,
    settings: &Settings,
    at: &str,
    deadline: Instant,
) -> Result<Box<dyn Stream>, Failure> {
    let fail = |what: String| {
        Failure::new(Phase::Connect, format!("{at}: through {}: {what}", hop.at))
            .hint("look whether the jump host reaches that port and its sshd has AllowTcpForwarding")
    };
    let opening = hop.handle.channel_open_direct_tcpip(settings.host.clone(), u32::from(settings.port), "127.0.0.1", 0);
    match tokio::time::timeout_at(deadline, opening).await {
        Ok(Ok(channel)) => Ok(Box::new(Held { stream: channel.into_stream(), _held: hop })),
        Ok(Err(error)) => Err(fail(shown(&error.to_string()))),
        Err(_) => Err(fail("no answer in time".to_owned())),
    }
}

fn through_command(command: &str, at: &str, notebook: &Notebook) -> Result<Box<dyn Stream>, Failure> {
    let fail = |what: String| {
        Failure::new(Phase::Connect, format!("{at}: ProxyCommand {what}")).hint("try the command by hand")
    };
    let spawned = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = spawned.map_err(|error| fail(format!("could not be started: {error}")))?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(fail("was started without its pipes".to_owned()));
    };
    let notebook = notebook.clone();
    tokio::spawn(async move {
        // What it says last explains why it ended; the rest is read so that it is not held up.
        let mut stderr = stderr;
        let mut bytes = [0u8; 1024];
        while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
            let said = shown(&String::from_utf8_lossy(&bytes[..count]));
            notebook.with(|notes| notes.farewell = Some(format!("ProxyCommand said: {said}")));
        }
    });
    Ok(Box::new(Held { stream: tokio::io::join(stdout, stdin), _held: child }))
}

/// The last of `hops`, reached through those before it; shared by everybody who goes the same way.
async fn hop(shared: &Arc<Shared>, settings: &Settings, hops: &[String]) -> Result<Arc<Link>, Failure> {
    let way = format!("{} {:?} {:?}", hops.join(","), settings.hop_identity_files, settings.hop_known_hosts);
    let slot = {
        let mut all = shared.ssh.hops.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(way).or_default().clone()
    };
    // Whoever goes round in a circle would wait for himself below.
    if !slot.try_lock().is_ok_and(|slot| matches!(&*slot, Slot::Up(_))) {
        check_way(shared, settings, hops.to_vec()).await?;
    }
    let mut slot = slot.lock().await;
    match &*slot {
        Slot::Up(link) if !link.handle.is_closed() => return Ok(link.clone()),
        Slot::Down(failure, since) if since.elapsed() < DOWN => return Err(failure.clone()),
        _ => {}
    }
    match connect_hop(shared, settings, hops).await {
        Ok(link) => {
            let link = Arc::new(link);
            *slot = Slot::Up(link.clone());
            Ok(link)
        }
        Err(mut failure) => {
            failure.message = format!("jump host {}", failure.message);
            *slot = Slot::Down(failure.clone(), Instant::now());
            Err(failure)
        }
    }
}

/// Boxed, because a hop may itself lie behind hops.
fn connect_hop<'a>(
    shared: &'a Arc<Shared>,
    settings: &'a Settings,
    hops: &'a [String],
) -> Pin<Box<dyn Future<Output = Result<Link, Failure>> + Send + 'a>> {
    Box::pin(async move {
        let (host, hop) = resolve_hop(shared, settings, hops).await?;
        open(shared, &host, &hop).await
    })
}

/// The last of `hops`: its name and how it is reached, which is through those before it.
async fn resolve_hop(
    shared: &Arc<Shared>,
    settings: &Settings,
    hops: &[String],
) -> Result<(String, Settings), Failure> {
    let Some((last, before)) = hops.split_last() else {
        return Err(Failure::new(Phase::Resolve, format!("{}: a jump through nobody", settings.host)));
    };
    let (user, host, port) = read_hop(last)?;
    let mut connection = Connection { user, port, ..Connection::default() };
    // What the inventory says of the host's keys holds for its way as well: it has no other place to say it.
    connection.known_hosts.clone_from(&settings.hop_known_hosts);
    connection.host_key_checking = settings.hop_host_key_checking;
    let mut hop = lookup::resolve(shared, &host, &connection).await?;
    hop.identity_files.splice(0..0, settings.hop_identity_files.iter().cloned());
    hop.hop_identity_files.clone_from(&settings.hop_identity_files);
    if !before.is_empty() {
        hop.route = Route::Jump(before.to_vec());
    }
    Ok((host, hop))
}

/// The host through which another one is reached, if any: its name and how it is reached itself. The way is checked first.
pub(crate) async fn before(shared: &Arc<Shared>, settings: &Settings) -> Result<Option<(String, Settings)>, Failure> {
    let Route::Jump(hops) = &settings.route else { return Ok(None) };
    check_way(shared, settings, hops.clone()).await?;
    resolve_hop(shared, settings, hops).await.map(Some)
}

/// Follows a way to its beginning without connecting anywhere.
async fn check_way(shared: &Arc<Shared>, settings: &Settings, mut hops: Vec<String>) -> Result<(), Failure> {
    let mut depth = 0;
    loop {
        if depth == DEEPEST {
            let what = format!("{}: its jump hosts go round in a circle, or more than {DEEPEST} deep", settings.host);
            return Err(Failure::new(Phase::Resolve, what)
                .hint("look at ProxyJump in ssh_config and proxy_jump in the inventory"));
        }
        depth += 1;
        match resolve_hop(shared, settings, &hops).await?.1.route {
            Route::Jump(next) => hops = next,
            Route::Direct | Route::Command(_) => return Ok(()),
        }
    }
}

/// Reads `[user@]host[:port]` or `ssh://[user@]host[:port]`; an IPv6 address with a port stands in brackets.
pub(crate) fn read_hop(text: &str) -> Result<(Option<String>, String, Option<u16>), Failure> {
    let bad = || {
        let shown = clean::line(text);
        Failure::new(Phase::Resolve, format!("`{shown}` is no jump host")).hint("write it as user@host:port")
    };
    let rest = text.strip_prefix("ssh://").map(|rest| rest.trim_end_matches('/')).unwrap_or(text);
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, rest),
    };
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(bad)?;
            (host, after.strip_prefix(':').map(str::to_owned).or((!after.is_empty()).then(String::new)))
        }
        None if rest.matches(':').count() > 1 => (rest, None),
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port.to_owned())),
            None => (rest, None),
        },
    };
    let port = port.map(|port| port.parse::<u16>().map_err(|_| bad())).transpose()?;
    settings::check_name("jump host", host)?;
    if let Some(user) = &user {
        settings::check_name("user name", user)?;
    }
    Ok((user, host.to_owned(), port))
}

/// A stream, and something that must live as long as it.
struct Held<S, H> {
    stream: S,
    _held: H,
}

impl<S: AsyncRead + Unpin, H: Unpin> AsyncRead for Held<S, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Held<S, H> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_read_as_ssh_reads_it() {
        let some = |text: &str| Some(text.to_owned());
        for (text, hop) in [
            ("bastion", (None, "bastion".to_owned(), None)),
            ("me@bastion:2222", (some("me"), "bastion".to_owned(), Some(2222))),
            ("ssh://me@bastion:22/", (some("me"), "bastion".to_owned(), Some(22))),
            ("[2001:db8::1]:2222", (None, "2001:db8::1".to_owned(), Some(2222))),
            ("2001:db8::1", (None, "2001:db8::1".to_owned(), None)),
            ("a@b@host", (some("a@b"), "host".to_owned(), None)),
        ] {
            assert_eq!(read_hop(text), Ok(hop), "{text}");
        }
        for text in
            ["", "-oProxyCommand=x", "host:port", "host:99999", "[::1", "[::1]x", "a b", "-x@host", "$(id)@host"]
        {
            assert!(read_hop(text).is_err(), "{text}");
        }
    }
}
