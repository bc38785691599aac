//! Private keys in files: read once per run, unlocked at most once, and only when a host would take them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::{Certificate, PrivateKey, PublicKey};

use crate::base::clean;
use crate::transport::Shared;

/// What is in a key file.
#[derive(Clone)]
pub(crate) enum KeyFile {
    /// A key, ready to sign.
    Ready(Arc<PrivateKey>),
    /// A key under a passphrase; its public half where the format shows it.
    Locked(Option<Arc<PublicKey>>),
    /// Only a public key: an agent may hold the rest.
    Public(Arc<PublicKey>),
    /// There is no such file.
    Missing,
    /// It cannot be used, and why.
    Unusable(String),
}

impl KeyFile {
    /// The public half, if it can be told.
    pub(crate) fn public(&self) -> Option<&PublicKey> {
        match self {
            Self::Ready(key) => Some(key.public_key()),
            Self::Locked(key) => key.as_deref(),
            Self::Public(key) => Some(key),
            Self::Missing | Self::Unusable(_) => None,
        }
    }
}

/// The key files of a run.
#[derive(Default)]
pub(crate) struct Keyring {
    files: Mutex<HashMap<PathBuf, KeyFile>>,
    /// Held while a passphrase is asked for, so that one question serves every host.
    asking: tokio::sync::Mutex<HashMap<PathBuf, Result<Arc<PrivateKey>, String>>>,
}

impl Keyring {
    /// What is in the file at `path`; read at the first question.
    pub(crate) fn look(&self, path: &Path) -> KeyFile {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.entry(path.to_owned()).or_insert_with(|| read(path)).clone()
    }

    /// Unlocks the key at `path`, asking for its passphrase at most once per run.
    ///
    /// # Errors
    /// Why it stays locked, safe to show.
    pub(crate) async fn unlock(&self, shared: &Shared, path: &Path) -> Result<Arc<PrivateKey>, String> {
        let mut asked = self.asking.lock().await;
        if let Some(outcome) = asked.get(path) {
            return outcome.clone();
        }
        let outcome = ask(shared, path).await;
        if let Ok(key) = &outcome {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            files.insert(path.to_owned(), KeyFile::Ready(key.clone()));
        }
        asked.insert(path.to_owned(), outcome.clone());
        outcome
    }
}

/// The certificate in a file, if there is one; a file that holds something else is said.
pub(crate) fn certificate(path: &Path) -> Result<Option<Certificate>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => match Certificate::from_openssh(text.trim()) {
            Ok(certificate) => Ok(Some(certificate)),
            Err(error) => Err(format!("{} is no certificate: {error}", show(path))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", show(path))),
    }
}

/// A path, safe to show.
pub(crate) fn show(path: &Path) -> String {
    clean::line(&path.display().to_string()).into_owned()
}

async fn ask(shared: &Shared, path: &Path) -> Result<Arc<PrivateKey>, String> {
    let shown = show(path);
    let Some(ask) = shared.options.ask.clone() else {
        return Err(format!("{shown} is locked with a passphrase and there is no terminal to ask at"));
    };
    let path = path.to_owned();
    let unlocking = tokio::task::spawn_blocking(move || {
        let text = zeroize::Zeroizing::new(
            std::fs::read_to_string(&path).map_err(|error| format!("{shown} cannot be read: {error}"))?,
        );
        let Some(passphrase) = ask(&format!("passphrase of {shown}")) else {
            return Err(format!("no passphrase was given for {shown}"));
        };
        match russh::keys::decode_secret_key(&text, Some(&passphrase)) {
            Ok(key) => Ok(Arc::new(key)),
            Err(_) => Err(format!("the passphrase does not unlock {shown}")),
        }
    });
    unlocking.await.unwrap_or_else(|_| Err("asking for a passphrase failed".to_owned()))
}

fn read(path: &Path) -> KeyFile {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => zeroize::Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return public(path),
        Err(error) => return KeyFile::Unusable(format!("{} cannot be read: {error}", show(path))),
    };
    if let Ok(key) = PublicKey::from_openssh(text.trim()) {
        return KeyFile::Public(Arc::new(key));
    }
    if is_open_to_others(path) {
        return KeyFile::Unusable(format!("{} can be read by others: `chmod 600` it", show(path)));
    }
    if let Ok(key) = PrivateKey::from_openssh(text.as_bytes()) {
        if key.is_encrypted() {
            return KeyFile::Locked(Some(Arc::new(key.public_key().clone())));
        }
        return usable(path, key);
    }
    match russh::keys::decode_secret_key(&text, None) {
        Ok(key) => usable(path, key),
        Err(_) if text.contains("ENCRYPTED") => match public(path) {
            KeyFile::Public(key) => KeyFile::Locked(Some(key)),
            _ => KeyFile::Locked(None),
        },
        Err(error) => KeyFile::Unusable(format!("{} is no private key that can be read: {error}", show(path))),
    }
}

/// A key of a security key can only be used by an agent.
fn usable(path: &Path, key: PrivateKey) -> KeyFile {
    if key.algorithm().as_str().starts_with("sk-") {
        return match public(path) {
            KeyFile::Missing => KeyFile::Public(Arc::new(key.public_key().clone())),
            known => known,
        };
    }
    KeyFile::Ready(Arc::new(key))
}

/// The public half that lies next to a private key.
fn public(path: &Path) -> KeyFile {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    let text = std::fs::read_to_string(Path::new(&name)).unwrap_or_default();
    PublicKey::from_openssh(text.trim()).map_or(KeyFile::Missing, |key| KeyFile::Public(Arc::new(key)))
}

/// As ssh: a key of ours that others may read is not used. One that belongs to somebody else is theirs to care for.
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let ours = rustix::process::geteuid().as_raw();
    std::fs::metadata(path).is_ok_and(|meta| meta.uid() == ours && meta.mode() & 0o077 != 0)
}
