//! What a file shall hold: a digest to compare, bytes to ship, and whether they may be shown.

use std::sync::Arc;

use crate::base::digest::Digest;
use crate::base::secret::{self, Secret, SecretFile};

/// The content of a file as declared, already rendered.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    bytes: Arc<[u8]>,
    digest: Digest,
    /// Whether it must not be shown, compared in public or kept: it holds a secret, or was declared `sensitive`.
    pub sensitive: bool,
    taint: Option<Arc<Taint>>,
}

/// What secrets had a say in.
#[derive(Clone, PartialEq, Eq)]
pub struct Taint {
    /// The secrets.
    pub secrets: Vec<Secret>,
    /// The same content with something else in the place of the secrets: lines that differ are those that must be masked. None
    /// where there is no such content; then all must be.
    pub decoy: Option<Arc<[u8]>>,
}

impl Content {
    /// These bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>, sensitive: bool) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), bytes, sensitive, taint: None }
    }

    /// These bytes, which secrets went into.
    pub fn tainted(bytes: impl Into<Arc<[u8]>>, taint: Taint) -> Self {
        Self { taint: Some(Arc::new(taint)), ..Self::new(bytes, true) }
    }

    /// A file that is secret as a whole.
    pub fn secret_file(file: &SecretFile) -> Self {
        Self::tainted(Arc::clone(&file.bytes), Taint { secrets: vec![file.secret.clone()], decoy: None })
    }

    /// This content after an edit of its text.
    ///
    /// # Errors
    /// Why it cannot be edited.
    pub fn edited(&self, edit: impl Fn(&str) -> Result<String, String>) -> Result<Self, String> {
        let bytes = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
            edit(text).map(|text| Arc::from(text.into_bytes()))
        };
        let taint = self.taint.as_ref().map(|taint| {
            let decoy = taint.decoy.as_ref().and_then(|decoy| bytes(decoy).ok());
            Arc::new(Taint { secrets: taint.secrets.clone(), decoy })
        });
        Ok(Self { taint, ..Self::new(bytes(&self.bytes)?, self.sensitive) })
    }

    /// The bytes.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Their SHA-256.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What secrets had a say in, if there were any.
    pub fn taint(&self) -> Option<&Taint> {
        self.taint.as_deref()
    }

    /// What the record on the host holds of it.
    pub fn remembered(&self) -> String {
        match &self.taint {
            Some(taint) => secret::digest(&taint.secrets, &self.bytes),
            None => self.digest.short(),
        }
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} bytes, {:?})", self.bytes.len(), self.digest)
    }
}
