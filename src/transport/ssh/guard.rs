//! What answers the host while the library talks to it: its key is judged, its banner and farewell are kept, every channel
//! that it would like to open with us is refused.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, Error};

use super::Run;
use super::host_key::{Policy, Trust};
use super::known_hosts_command::KnownHostsCommand;
use crate::base::clean;
use crate::transport::known_hosts::{self, KnownHosts};
use crate::transport::{Failure, HostKey, Shared};

/// How much of a banner or farewell is kept, in characters.
const SHOWN: usize = 300;

/// What was learned about a connection while nobody was asking.
#[derive(Default)]
pub(crate) struct Notes {
    /// The key it showed, when that was all that was asked for.
    pub(crate) key: Option<HostKey>,
    /// The keys it says it has, once it has let us in.
    pub(crate) announced: Option<Vec<PublicKey>>,
    /// The plain key that it has proven to have.
    pub(crate) accepted: Option<Vec<u8>>,
    /// Why its key was refused.
    pub(crate) refusal: Option<Failure>,
    /// What it says before a login, cleaned and shortened.
    pub(crate) banner: Option<String>,
    /// Why it ended, cleaned.
    pub(crate) farewell: Option<String>,
}

/// Notes, shared between the connection's own task and ours.
#[derive(Clone, Default)]
pub(crate) struct Notebook(Arc<Mutex<Notes>>);

impl Notebook {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The host's counterpart.
pub(crate) struct Guard {
    pub(crate) shared: Arc<Shared>,
    pub(crate) policy: Policy,
    pub(crate) known: Arc<KnownHosts>,
    /// A program that says more about the key it shows.
    pub(crate) command: Option<KnownHostsCommand>,
    pub(crate) hash_names: bool,
    pub(crate) notebook: Notebook,
    /// The key that was accepted: a later key exchange must show the same.
    pub(crate) accepted: Option<Vec<u8>>,
    /// Whether its key is only looked at: it is noted and refused.
    pub(crate) only_look: bool,
}

impl Guard {
    async fn judge(&self, shown: &PublicKeyOrCertificate) -> Result<Trust, Failure> {
        let mut known = self.known.clone();
        if let Some(command) = &self.command {
            let more = command.ask(&known, &self.policy.name, &self.policy.name, Some(shown)).await;
            known = Arc::new(more.map_err(|problem| self.policy.cannot_tell(&problem))?);
        }
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self.policy.judge_key(&known, key),
            PublicKeyOrCertificate::Certificate(certificate) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
                self.policy.judge_certificate(&known, certificate, now)
            }
        }
    }

    fn host_key(&self, shown: &PublicKeyOrCertificate, blob: Vec<u8>, is_known: bool) -> HostKey {
        let key = shown.public_key();
        HostKey {
            endpoint: self.policy.called.clone(),
            host: self.policy.shown.clone(),
            kind: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            is_known,
            file: self.policy.files.first().cloned(),
            name: self.policy.name.clone(),
            blob,
            hash_name: self.hash_names,
        }
    }

    fn write_down(&self, shown: &PublicKeyOrCertificate, blob: &[u8]) {
        let Some(file) = self.policy.files.first() else { return };
        let kind = shown.public_key().algorithm().to_string();
        let written = known_hosts::append(file, &self.policy.name, &kind, blob, self.hash_names);
        Run::forget_known_hosts(&self.shared.ssh);
        if let Err(problem) = written {
            self.shared.warn(&format!("{} was accepted as new, but {problem}", self.policy.shown));
        }
    }
}

impl Handler for Guard {
    type Error = Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let blob = shown.public_key().to_bytes().unwrap_or_default();
        if let Some(accepted) = &self.accepted {
            return Ok(*accepted == blob);
        }
        match self.judge(shown).await {
            Ok(trust) if self.only_look => {
                let key = self.host_key(shown, blob, trust == Trust::Known);
                self.notebook.with(|notes| notes.key = Some(key));
                Ok(false)
            }
            Ok(trust) => {
                let key = shown.public_key();
                let (kind, fingerprint) = (key.algorithm(), key.fingerprint(HashAlg::Sha256));
                let how = if trust == Trust::New { "accepted as new" } else { "known" };
                tracing::debug!("{}: its key {kind} {fingerprint} is {how}", self.policy.shown);
                if trust == Trust::New {
                    self.write_down(shown, &blob);
                }
                if let PublicKeyOrCertificate::PublicKey { .. } = shown {
                    self.notebook.with(|notes| notes.accepted = Some(blob.clone()));
                }
                self.accepted = Some(blob);
                Ok(true)
            }
            Err(refusal) => {
                self.notebook.with(|notes| notes.refusal = Some(refusal));
                Ok(false)
            }
        }
    }

    async fn openssh_ext_host_keys_announced(&mut self, keys: Vec<PublicKey>, _: &mut Session) -> Result<(), Error> {
        // Only the first time counts: it could go on for ever.
        self.notebook.with(|notes| {
            notes.announced.get_or_insert(keys);
        });
        Ok(())
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Error> {
        self.notebook.with(|notes| notes.banner = Some(shown(banner)));
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Error>) -> Result<(), Error> {
        let farewell = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => format!("the host said goodbye: {}", shown(&info.message)),
            DisconnectReason::Error(Error::KeepaliveTimeout) => "the host stopped answering".to_owned(),
            DisconnectReason::Error(Error::Disconnect | Error::HUP) => "the connection was closed".to_owned(),
            DisconnectReason::Error(Error::IO(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                "the host closed the connection without a word".to_owned()
            }
            DisconnectReason::Error(error) => format!("the connection broke: {}", shown(&error.to_string())),
        };
        self.notebook.with(|notes| notes.farewell = Some(farewell));
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }

    // The library accepts these by default. Nobody here asked for any of them: dropping the handle refuses.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Error> {
        Ok(())
    }
}

/// What a host said, fit to stand in a message.
pub(crate) fn shown(text: &str) -> String {
    let text = clean::line(text.trim()).into_owned();
    clean::shorten(&text, SHOWN).into_owned()
}
