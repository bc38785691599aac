//! Reads the answer to a script: frames become observations.

use std::collections::BTreeMap;

use super::facts;
use super::memory::Memory;
use super::script::{batches, edited_files, members};
use super::watched::Watched;
use crate::base::clean;
use crate::catalog::Catalog;
use crate::resource::facts::OsFamily;
use crate::resource::{Observed, ProbeAnswer, ProbeEnd};
use crate::wire::{Frame, Frames};

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
}

/// A file of which a part is declared, or of which a diff is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileReading {
    /// Its content.
    Content(Vec<u8>),
    /// It does not exist; its folder does.
    Absent,
    /// Neither it nor its folder exists.
    NoFolder,
    /// It could not be read, and why.
    Unknown(String),
}

impl FileReading {
    /// From the frame of `slurp`, whose statuses it knows.
    pub(super) fn from_frame(frame: Option<&Frame>) -> Self {
        const LIMIT: usize = 1 << 20;
        let Some(frame) = frame else { return Self::Unknown("the answer was cut".to_owned()) };
        match frame.status {
            0 if frame.body.len() > LIMIT => Self::Unknown("larger than 1 MiB".to_owned()),
            0 => Self::Content(frame.body.clone()),
            1 => Self::Absent,
            2 => Self::Unknown("not a regular file".to_owned()),
            5 => Self::NoFolder,
            _ => Self::Unknown("permission denied".to_owned()),
        }
    }
}

impl Observations {
    /// Reads the answer to the script that was composed of this catalog.
    pub fn read(catalog: &Catalog, frames: &Frames) -> Self {
        let cut = || Observed::unknown("the answer was cut before this was read");
        let mut observed: Vec<Observed> = catalog.resources.iter().map(|_| cut()).collect();
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
            let has_fragment = !batch.kind.fragment(&resources).is_empty();
            let answer = match frames.get(&format!("k{number}")) {
                Some(frame) => frame.body.as_slice(),
                None if has_fragment => continue,
                None => &[],
            };
            let Some(probes) = probes else { continue };
            let read = batch.kind.read(&resources, answer, &probes);
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
    }
}

/// The answer of one probe; none if its frames are not complete. The statuses are those of `probe` in the prelude.
pub(super) fn probe_answer(frames: &Frames, id: &str) -> Option<ProbeAnswer> {
    const STDOUT_LIMIT: usize = 262_144;
    const STDERR_LIMIT: usize = 16_384;
    let status = frames.get(&format!("p{id}s"))?;
    let mut stdout = frames.get(&format!("p{id}o"))?.body.clone();
    let mut stderr = frames.get(&format!("p{id}e"))?.body.clone();
    let truncated = stdout.len() > STDOUT_LIMIT || stderr.len() > STDERR_LIMIT;
    stdout.truncate(STDOUT_LIMIT);
    stderr.truncate(STDERR_LIMIT);
    let code: Option<u8> = String::from_utf8_lossy(&status.body).trim().parse().ok();
    let end = match code {
        None => ProbeEnd::NotRun("it could not be started".to_owned()),
        Some(200) => ProbeEnd::Deadline,
        Some(201) => ProbeEnd::NotRun("only root may become another user".to_owned()),
        Some(202) => ProbeEnd::NotRun("there is no such user".to_owned()),
        Some(203) => ProbeEnd::NotRun("its folder cannot be entered".to_owned()),
        Some(code) if code > 128 && code <= 192 => ProbeEnd::Signal(code - 128),
        Some(code) => ProbeEnd::Exit(code),
    };
    Some(ProbeAnswer { end, stdout, stderr, truncated })
}
