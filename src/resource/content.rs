//! What a file shall hold: a digest to compare, bytes to ship, and whether they may be shown.

use std::sync::Arc;

use crate::base::digest::Digest;

/// The content of a file as declared, already rendered.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    bytes: Arc<[u8]>,
    digest: Digest,
    /// Whether it must not be shown, compared in public or kept: it holds a secret, or was declared `sensitive`.
    pub sensitive: bool,
}

impl Content {
    /// These bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>, sensitive: bool) -> Self {
        let bytes = bytes.into();
        Self { digest: Digest::of(&bytes), bytes, sensitive }
    }

    /// The bytes.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Their SHA-256.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Content({} bytes, {:?})", self.bytes.len(), self.digest)
    }
}
