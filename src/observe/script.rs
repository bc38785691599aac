//! Composes the one script that reads a host.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use super::place::Place;
use super::probes::run_probes;
use crate::base::quote;
use crate::catalog::Catalog;
use crate::resource::paths::Paths;
use crate::resource::{Kind, Probe, Resource};
use crate::wire::{Frames, Nonce};

/// The functions every script begins with.
const PRELUDE: &str =
    concat!(include_str!("watch.sh"), "\n", include_str!("probes.sh"), "\n", include_str!("prelude.sh"));

/// The functions that an act has in common with an observation: watching, and running users' commands.
pub const SHARED: &str = concat!(include_str!("watch.sh"), "\n", include_str!("probes.sh"));

/// A script and the nonce of its frames.
#[derive(Clone, Debug)]
pub struct Script {
    /// POSIX shell.
    pub text: String,
    /// What its frames are marked with.
    pub nonce: Nonce,
}

/// Resources of one kind, which are read together, by their index in the catalog.
pub(super) struct Batch {
    pub(super) kind: &'static dyn Kind,
    pub(super) members: Vec<usize>,
}

/// The batches of a catalog. A resource that is blocked is not read.
pub(super) fn batches(catalog: &Catalog) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (index, resource) in catalog.resources.iter().enumerate().filter(|(_, resource)| resource.blocked.is_none()) {
        let name = resource.kind.table().name;
        match batches.iter_mut().find(|batch| batch.kind.table().name == name) {
            Some(batch) => batch.members.push(index),
            None => batches.push(Batch { kind: resource.kind, members: vec![index] }),
        }
    }
    batches
}

/// The resources of a batch.
pub(super) fn members<'a>(catalog: &'a Catalog, batch: &Batch) -> Vec<&'a Resource> {
    batch.members.iter().map(|index| &catalog.resources[*index]).collect()
}

/// The paths that resources are about, each once, in their order.
pub(super) fn looked_at(catalog: &Catalog) -> Vec<&str> {
    let mut seen = HashSet::new();
    let read = catalog.resources.iter().filter(|resource| resource.blocked.is_none());
    read.filter_map(|resource| resource.kind.path(resource)).filter(|path| seen.insert(*path)).collect()
}

/// The files of which a part is declared, each once, in a fixed order.
pub(super) fn edited_files(catalog: &Catalog) -> Vec<&str> {
    let edits = catalog.resources.iter().filter(|resource| resource.blocked.is_none());
    let paths: BTreeSet<&str> = edits.filter_map(|resource| resource.kind.edits(resource)).collect();
    paths.into_iter().collect()
}

impl Script {
    /// The script that reads everything declared for a host, and what the host remembers.
    pub fn compose(catalog: &Catalog, place: &Place, nonce: &Nonce) -> Self {
        let mut text = "memory\n".to_owned();
        let paths = looked_at(catalog);
        if !paths.is_empty() {
            frame(&mut text, "paths", &Paths::fragment(&paths));
        }
        for (number, batch) in batches(catalog).iter().enumerate() {
            let fragment = batch.kind.fragment(&members(catalog, batch));
            if !fragment.is_empty() {
                frame(&mut text, &format!("k{number}"), &fragment);
            }
        }
        for (number, path) in edited_files(catalog).iter().enumerate() {
            content(&mut text, number, path);
        }
        for (index, resource) in catalog.resources.iter().enumerate().filter(|(_, r)| r.blocked.is_none()) {
            for (number, watch) in resource.watches.iter().enumerate() {
                frame(&mut text, &format!("w{index}.{number}"), &watch.shell);
            }
        }
        let probes: Vec<(String, Probe)> = catalog
            .resources
            .iter()
            .enumerate()
            .filter(|(_, r)| r.blocked.is_none())
            .flat_map(|(index, resource)| {
                let probes = resource.kind.probes(resource).into_iter().enumerate();
                probes.map(move |(number, probe)| (format!("{index}.{number}"), probe))
            })
            .collect();
        text.push_str(&run_probes(&probes));
        Self::of(place, nonce, &text)
    }

    /// A script with this body: before it the marks, where the host remembers, and the functions; behind it the frame `done`,
    /// without which the end of the last frame before it is not told.
    pub fn of(place: &Place, nonce: &Nonce, body: &str) -> Self {
        let text = format!(
            "{}{}{PRELUDE}\n{}\nb done\ne done 0\n",
            Frames::functions(nonce),
            place.settings(),
            body.trim_end()
        );
        Self { text, nonce: nonce.clone() }
    }
}

/// The content of file number `number`. It needs no subshell: the function is one of ours.
pub(super) fn content(text: &mut String, number: usize, path: &str) {
    let _ = writeln!(text, "b f{number}\nslurp {} 2>/dev/null\ne f{number} $?", quote::sh(path));
}

fn frame(text: &mut String, id: &str, shell: &str) {
    let _ = writeln!(text, "b {id}\n(\n{shell}\n) </dev/null 2>/dev/null\ne {id} $?");
}
