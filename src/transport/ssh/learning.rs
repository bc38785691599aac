//! `UpdateHostKeys` of ssh_config(5): a host that has proven who it is says which keys it has. Those that are new, and that it
//! proves to have, are written down beside the known one; those that it has no more are forgotten. So a host can change its
//! keys without anybody being warned.
//!
//! As in ssh only where the key it has shown stands in the user's own file, on a line about this host alone: what patterns,
//! authorities, the system's files or a program say is not changed.

use std::path::PathBuf;
use std::sync::Arc;

use russh::client::Handle;

use super::guard::{Guard, Notebook, shown};
use super::host_key::Policy;
use super::settings::Settings;
use crate::transport::Shared;
use crate::transport::known_hosts::{self, KnownHosts};

/// More keys than these are nobody's.
const MOST: usize = 64;

/// What has to be known to learn from one host.
pub(crate) struct Lesson {
    shared: Arc<Shared>,
    /// The host as it stands in messages.
    at: String,
    name: String,
    file: PathBuf,
    others: Vec<PathBuf>,
    hash_names: bool,
}

impl Lesson {
    /// `None` where nothing is to be learned.
    pub(crate) fn new(shared: &Arc<Shared>, settings: &Settings, policy: &Policy) -> Option<Self> {
        let (file, more) = settings.known_hosts.split_first().filter(|_| settings.update_host_keys)?;
        Some(Self {
            shared: shared.clone(),
            at: policy.shown.clone(),
            name: policy.name.clone(),
            file: file.clone(),
            others: more.iter().chain(&settings.global_known_hosts).cloned().collect(),
            hash_names: settings.hash_known_hosts,
        })
    }

    /// Learns what there is to be learned. Whatever goes wrong is a warning: the host is known as it was.
    pub(crate) async fn learn(self, handle: &Handle<Guard>, notebook: &Notebook) {
        let (announced, accepted) = notebook.with(|notes| (notes.announced.take(), notes.accepted.clone()));
        let (Some(announced), Some(accepted)) = (announced, accepted) else { return };
        let keys: Option<Vec<(String, Vec<u8>)>> =
            announced.iter().map(|key| Some((key.algorithm().to_string(), key.to_bytes().ok()?))).collect();
        let Some(keys) = keys.filter(|keys| keys.len() <= MOST) else { return };
        let Some(new) = self.new_ones(&keys, &accepted) else { return };
        let unproven: Vec<_> = announced
            .iter()
            .zip(&keys)
            .filter(|(_, (_, blob))| new.contains(blob))
            .map(|(key, _)| key.clone())
            .collect();
        let proof = tokio::time::timeout(self.shared.options.login_timeout, handle.hostkeys_prove(unproven)).await;
        let problem = match proof {
            Ok(Ok(())) => known_hosts::replace(&self.file, &self.name, &keys, self.hash_names).err(),
            // A connection that is gone by then teaches nothing.
            Ok(Err(_)) if handle.is_closed() => None,
            Ok(Err(error)) => Some(format!("it did not prove to have them: {}", shown(&error.to_string()))),
            Err(_) => Some("it did not prove in time to have them".to_owned()),
        };
        self.shared.ssh.forget_known_hosts();
        if let Some(problem) = problem {
            self.shared.warn(&format!("{} has other keys than before, which were not learned: {problem}", self.at));
        }
    }

    /// Those of its keys that have to be proven; `None` when nothing is to be changed.
    fn new_ones(&self, keys: &[(String, Vec<u8>)], accepted: &[u8]) -> Option<Vec<Vec<u8>>> {
        let (mut own, mut others) = (KnownHosts::default(), KnownHosts::default());
        own.load(&self.file).ok()?;
        for file in &self.others {
            others.load(file).ok()?;
        }
        let known = own.simply_known(&self.name)?;
        let blobs: Vec<Vec<u8>> = keys.iter().map(|(_, blob)| blob.clone()).collect();
        let is_own = known.contains(&accepted) && blobs.iter().any(|blob| blob == accepted);
        if !is_own || others.simply_known(&self.name)? != Vec::<&[u8]>::new() || own.others_have(&self.name, &blobs) {
            return None;
        }
        let has_old = known.iter().any(|known| !blobs.iter().any(|blob| blob == known));
        let new: Vec<Vec<u8>> = blobs.iter().filter(|blob| !known.contains(&blob.as_slice())).cloned().collect();
        (has_old || !new.is_empty()).then_some(new)
    }
}
