//! Composes the one script that reads a host.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::answer::FileReading;
use crate::base::quote;
use crate::catalog::Catalog;
use crate::resource::{Kind, Probe, Resource};
use crate::wire::{Frames, Nonce};

/// The functions every script begins with.
const PRELUDE: &str =
    concat!(include_str!("watch.sh"), "\n", include_str!("probes.sh"), "\n", include_str!("prelude.sh"));

/// The functions that an act has in common with an observation: watching, and running users' commands.
pub const SHARED: &str = concat!(include_str!("watch.sh"), "\n", include_str!("probes.sh"));

/// How many probes run at a time.
const PROBES_AT_A_TIME: usize = 4;

/// Where on a host its memory is kept: `<folder>/<project>/<host>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder; without one /var/lib/snowmelt, or below the user's own state folder where that is not root.
    pub folder: Option<String>,
    /// The project's name.
    pub project: String,
    /// The host's name in the inventory.
    pub host: String,
}

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

/// The files of which a part is declared, each once, in a fixed order.
pub(super) fn edited_files(catalog: &Catalog) -> Vec<&str> {
    let edits = catalog.resources.iter().filter(|resource| resource.blocked.is_none());
    let paths: BTreeSet<&str> = edits.filter_map(|resource| resource.kind.edits(resource)).collect();
    paths.into_iter().collect()
}

impl Script {
    /// The script that reads everything declared for a host, and what the host remembers.
    pub fn compose(catalog: &Catalog, place: &Place, nonce: &Nonce) -> Self {
        let mut text = opening(place, nonce);
        text.push_str("memory\n");
        for (number, batch) in batches(catalog).iter().enumerate() {
            let fragment = batch.kind.fragment(&members(catalog, batch));
            if !fragment.is_empty() {
                frame(&mut text, &format!("k{number}"), &fragment);
            }
        }
        for (number, path) in edited_files(catalog).iter().enumerate() {
            frame(&mut text, &format!("f{number}"), &format!("slurp {}", quote::sh(path)));
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
        text.push_str("b done\ne done 0\n");
        Self { text, nonce: nonce.clone() }
    }
}

/// What every script begins with: the marks, where the host remembers, the functions.
pub fn opening(place: &Place, nonce: &Nonce) -> String {
    format!("{}{}{PRELUDE}\n", Frames::functions(nonce), place.settings())
}

impl Place {
    /// The variables by which scripts know it.
    pub fn settings(&self) -> String {
        let folder = quote::always(self.folder.as_deref().unwrap_or_default());
        format!("MEMORY={folder}\nPROJECT={}\nHOST={}\n", quote::always(&self.project), quote::always(&self.host))
    }
}

fn frame(text: &mut String, id: &str, shell: &str) {
    let _ = writeln!(text, "b {id}\n(\n{shell}\n) </dev/null 2>/dev/null\ne {id} $?");
}

/// The part that runs users' commands, if there are any.
pub(super) fn run_probes(probes: &[(String, Probe)]) -> String {
    if probes.is_empty() {
        return String::new();
    }
    let mut text = "scratch || exit 74\n".to_owned();
    for (id, probe) in probes {
        if let Some(stdin) = &probe.stdin {
            // The input of a command is text of the project without NUL.
            let _ = writeln!(text, "printf %s {} >\"$D/{id}.i\"", quote::always(&String::from_utf8_lossy(stdin)));
        }
    }
    for worker in 0..PROBES_AT_A_TIME.min(probes.len()) {
        text.push_str("(\n");
        for (id, probe) in probes.iter().skip(worker).step_by(PROBES_AT_A_TIME) {
            let user = quote::sh(probe.user.as_deref().unwrap_or_default());
            let cwd = quote::sh(probe.cwd.as_deref().unwrap_or_default());
            let seconds = probe.timeout.as_secs().max(1);
            let _ = writeln!(text, "probe {id} {seconds} {user} {cwd} {}", quote::always(&with_environment(probe)));
        }
        text.push_str(") </dev/null >/dev/null 2>&1 &\n");
    }
    text.push_str("wait\n");
    for (id, _) in probes {
        let _ = writeln!(text, "report {id}");
    }
    text
}

/// The command with its environment set before it.
pub fn with_environment(probe: &Probe) -> String {
    let exports = probe.env.iter().map(|(name, value)| format!("export {name}={}\n", quote::sh(value)));
    exports.collect::<String>() + &probe.command
}

/// The script that reads the content of files for a diff.
pub fn content_script(paths: &[&str], place: &Place, nonce: &Nonce) -> Script {
    let mut text = opening(place, nonce);
    for (number, path) in paths.iter().enumerate() {
        frame(&mut text, &format!("f{number}"), &format!("slurp {}", quote::sh(path)));
    }
    Script { text, nonce: nonce.clone() }
}

/// The answers to [`content_script`], in the order of its paths.
pub fn read_contents(paths: &[&str], frames: &Frames) -> Vec<FileReading> {
    (0..paths.len()).map(|number| FileReading::from_frame(frames.get(&format!("f{number}")))).collect()
}
