//! What an SSH agent holds (draft-miller-ssh-agent, section 4.4).
//!
//! The library's listing fails as a whole when one identity cannot be parsed, so the listing is read here and such an
//! identity is left out. Signing is the library's.

use std::path::Path;
use std::time::Duration;

use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use russh::keys::{Certificate, key};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How long an agent may take to say what it holds; it may not be asked to confirm that.
const LISTING: Duration = Duration::from_secs(5);
/// The largest answer that is read, as the library does.
const LARGEST: usize = 256 * 1024;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;

/// An agent and what it offered.
pub(crate) struct Agent {
    /// For signing.
    pub(crate) client: AgentClient<UnixStream>,
    /// Its identities, in its order.
    pub(crate) identities: Vec<AgentIdentity>,
}

/// Connects to the agent at `socket`, tells it which session it will sign for, and asks what it holds.
///
/// # Errors
/// Why it did not answer, safe to show.
pub(crate) async fn open(socket: &Path, binding: Option<&AgentSessionBinding>) -> Result<Agent, String> {
    match tokio::time::timeout(LISTING, ask(socket, binding)).await {
        Ok(Ok(agent)) => Ok(agent),
        Ok(Err(error)) => Err(format!("the agent at {} does not answer: {error}", socket.display())),
        Err(_) => Err(format!("the agent at {} does not answer", socket.display())),
    }
}

async fn ask(socket: &Path, binding: Option<&AgentSessionBinding>) -> std::io::Result<Agent> {
    let mut stream = UnixStream::connect(socket).await?;
    if let Some(binding) = binding {
        // An agent that does not know the request shows its unconstrained keys all the same.
        let _ = AgentClient::connect(&mut stream).bind_session(binding, false).await;
    }
    stream.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES]).await?;
    let length = stream.read_u32().await? as usize;
    if length > LARGEST {
        return Err(std::io::Error::other("its answer is too large"));
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await?;
    let identities =
        identities(&answer).ok_or_else(|| std::io::Error::other("it is locked, or its answer is no list"))?;
    Ok(Agent { client: AgentClient::connect(stream), identities })
}

/// The identities of an answer that can be parsed; `None` when it is no list.
fn identities(answer: &[u8]) -> Option<Vec<AgentIdentity>> {
    let (&IDENTITIES_ANSWER, mut rest) = answer.split_first()? else { return None };
    let count = take_u32(&mut rest)?;
    let mut identities = Vec::new();
    for _ in 0..count {
        let blob = take_string(&mut rest)?;
        let comment = String::from_utf8_lossy(take_string(&mut rest)?).into_owned();
        identities.extend(identity(blob, comment));
    }
    Some(identities)
}

fn identity(blob: &[u8], comment: String) -> Option<AgentIdentity> {
    let kind = take_string(&mut { blob })?;
    if kind.ends_with(b"-cert-v01@openssh.com") {
        let certificate = Certificate::from_bytes(blob).ok()?;
        return Some(AgentIdentity::Certificate { certificate, comment });
    }
    let key = key::parse_public_key(blob).ok()?;
    Some(AgentIdentity::PublicKey { key, comment })
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_be_bytes(*bytes))
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_u32(rest)? as usize;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(bytes: &[u8]) -> Vec<u8> {
        let mut out = (bytes.len() as u32).to_be_bytes().to_vec();
        out.extend_from_slice(bytes);
        out
    }

    fn answer(blobs: &[Vec<u8>]) -> Vec<u8> {
        let mut out = vec![IDENTITIES_ANSWER];
        out.extend((blobs.len() as u32).to_be_bytes());
        for blob in blobs {
            out.extend(string(blob));
            out.extend(string(b"a comment"));
        }
        out
    }

    #[test]
    fn what_cannot_be_parsed_is_left_out() {
        let good = [string(b"ssh-ed25519"), string(&[1; 32])].concat();
        let strange = [string(b"ssh-quantum@example.com"), string(b"x")].concat();
        let broken = string(b"ssh-ed25519-cert-v01@openssh.com");
        let found = identities(&answer(&[strange, good, broken, Vec::new()])).unwrap();
        let comments: Vec<&str> = found.iter().map(AgentIdentity::comment).collect();
        // The first is a type that the library keeps as opaque.
        assert!(comments.len() <= 2 && !comments.is_empty(), "{found:?}");
        assert!(found.iter().any(|identity| identity.public_key().algorithm().as_str() == "ssh-ed25519"));
    }

    #[test]
    fn what_is_no_list_is_said() {
        for bytes in [&[5u8][..], &[], &[IDENTITIES_ANSWER], &[IDENTITIES_ANSWER, 0, 0, 0, 1, 0, 0, 0, 9]] {
            assert!(identities(bytes).is_none(), "{bytes:?}");
        }
    }
}
