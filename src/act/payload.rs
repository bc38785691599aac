//! The archive that carries an act: scripts and blobs, as tar.

use std::collections::BTreeSet;

use crate::resource::Content;

/// A tar archive under construction. Everything in it is readable by its owner only.
pub(super) struct Payload {
    tar: tar::Builder<Vec<u8>>,
    blobs: BTreeSet<String>,
}

impl Payload {
    pub(super) fn new() -> Self {
        Self { tar: tar::Builder::new(Vec::new()), blobs: BTreeSet::new() }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When the archive cannot hold it (a name that is too long).
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        // The moment is not told, so that equal acts are equal bytes.
        header.set_mtime(0);
        header.set_cksum();
        self.tar.append_data(&mut header, name, bytes)
    }

    /// Adds a content once, under its digest; the name it has in the archive.
    ///
    /// # Errors
    /// As for [`Payload::add`].
    pub(super) fn add_blob(&mut self, content: &Content) -> std::io::Result<String> {
        let name = format!("blobs/{}", content.digest());
        if self.blobs.insert(name.clone()) {
            self.add(&name, content.bytes())?;
        }
        Ok(name)
    }

    /// The bytes of the archive.
    ///
    /// # Errors
    /// Never in practice: it is written to memory.
    pub(super) fn finish(self) -> std::io::Result<Vec<u8>> {
        self.tar.into_inner()
    }
}
