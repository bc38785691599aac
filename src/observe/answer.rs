//! Reads the answer to a script: frames become observations.

use std::collections::BTreeMap;

use super::contents::FileReading;
use super::facts;
use super::memory::Memory;
use super::probes::probe_answer;
use super::script::{batches, edited_files, looked_at, members};
use super::watched::Watched;
use crate::base::clean;
use crate::catalog::Catalog;
use crate::resource::facts::OsFamily;
use crate::resource::paths::Paths;
use crate::resource::{Answer, Observed, ProbeAnswer};
use crate::wire::Frames;

/// Everything that was read of a host at one time. It is valid until something acts, and is never patched.
#[derive(Clone, Debug)]
pub struct Observations {
    /// Of each resource of the catalog, in its order.
    pub observed: Vec<Observed>,
    /// The files of which a part is declared, by path.
    pub files: BTreeMap<String, FileReading>,
    /// What each resource watches, in the order of its watches. None where it could not be read.
    pub watched: Vec<Vec<Option<Watched>>>,
    /// What the host remembers, or why that could not be read.
    pub memory: Result<Memory, String>,
    /// The host itself.
    pub host: HostState,
    /// What kinds noticed beside what is declared.
    pub remarks: Vec<String>,
    /// Whether the answer came to its end.
    pub is_whole: bool,
}

/// What was read of the host itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostState {
    /// The user who read.
    pub uid: Option<u32>,
    /// Identifies this boot.
    pub boot: Option<String>,
    /// The host's clock, in seconds since 1970.
    pub now: Option<i64>,
    /// The family of its distribution; none if that was not told.
    pub family: Option<OsFamily>,
    /// Other tools that keep hosts as declared and are at work there now: `puppet 4711`, name and process.
    pub busy: Vec<String>,
}

impl Observations {
    /// Reads the answer to the script that was composed of this catalog.
    pub fn read(catalog: &Catalog, frames: &Frames) -> Self {
        let cut = || Observed::unknown("the answer was cut before this was read");
        let mut observed: Vec<Observed> = catalog.resources.iter().map(|_| cut()).collect();
        let mut remarks = Vec::new();
        let looked_at = looked_at(catalog);
        let paths = frames.get("paths").map(|frame| Paths::read(&looked_at, &frame.body));
        let nowhere = Paths::default();
        for (number, batch) in batches(catalog).iter().enumerate() {
            let resources = members(catalog, batch);
            let probes: Option<Vec<Vec<ProbeAnswer>>> = batch
                .members
                .iter()
                .map(|index| {
                    let count = catalog.resources[*index].kind.probes(&catalog.resources[*index]).len();
                    (0..count).map(|probe| probe_answer(frames, &format!("{index}.{probe}"))).collect()
                })
                .collect();
            let answer = match frames.get(&format!("k{number}")) {
                Some(frame) => frame.body.as_slice(),
                None if !batch.kind.fragment(&resources).is_empty() => continue,
                None => &[],
            };
            let Some(probes) = probes else { continue };
            let is_about_paths = resources.iter().any(|resource| resource.kind.path(resource).is_some());
            let paths = match &paths {
                Some(paths) => paths,
                None if is_about_paths => continue,
                None => &nowhere,
            };
            let read = batch.kind.read(&resources, &Answer { text: answer, probes: &probes, paths });
            remarks.extend(batch.kind.remarks(answer));
            for (index, one) in batch.members.iter().zip(read) {
                observed[*index] = one;
            }
        }
        for (index, resource) in catalog.resources.iter().enumerate() {
            if let Some(why) = &resource.blocked {
                observed[index] = Observed::unknown(why.clone());
            }
        }
        let files = edited_files(catalog)
            .iter()
            .enumerate()
            .map(|(number, path)| ((*path).to_owned(), FileReading::from_frame(frames.get(&format!("f{number}")))))
            .collect();
        let watched = catalog
            .resources
            .iter()
            .enumerate()
            .map(|(index, resource)| {
                let watches = resource.watches.iter().enumerate();
                watches
                    .map(|(number, watch)| {
                        let frame = frames.get(&format!("w{index}.{number}"))?;
                        Some(Watched::read(watch, &frame.body))
                    })
                    .collect()
            })
            .collect();
        Self {
            observed,
            files,
            watched,
            memory: Memory::read(frames),
            host: host_state(frames),
            remarks,
            is_whole: frames.get("done").is_some(),
        }
    }
}

fn host_state(frames: &Frames) -> HostState {
    let body = frames.get("host").map(|frame| clean::utf8(&frame.body).into_owned()).unwrap_or_default();
    let word = |name: &str| body.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    HostState {
        uid: word("uid ").and_then(|uid| uid.parse().ok()),
        boot: word("boot ").map(str::to_owned),
        now: word("now ").and_then(|now| now.parse().ok()),
        family: frames.get("host").map(|_| facts::family_of(&body)),
        busy: body.lines().filter_map(|line| line.strip_prefix("busy ")).map(str::to_owned).collect(),
    }
}
