//! One host: connect, learn what is declared for it, read it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Events, Settings};
use crate::base::clean;
use crate::base::diagnostic::Diagnostics;
use crate::base::secret::KEYED;
use crate::catalog::Catalog;
use crate::catalog::model::Host;
use crate::catalog::resolve::{self, FactNeeds};
use crate::judge::{self, Judged, Outlook, judge};
use crate::observe::{self, FileReading, Observations, Place, Script};
use crate::resource::result::Trouble;
use crate::resource::{Facts, Probe};
use crate::transport::{Answer, End, Endpoint, Exec, Failure, Session};
use crate::wire::{self, Frames, Nonce};

/// The phase in which a host has not answered yet.
pub(super) const CONNECT: &str = "connect";

/// How much of an answer is taken before a host is given up as flooding us.
const ANSWER_LIMIT: usize = 64 << 20;

/// An open conversation with one host.
pub(super) struct Conversation<'a> {
    pub(super) settings: &'a Settings,
    pub(super) events: &'a dyn Events,
    pub(super) host: &'a Host,
    pub(super) place: Place,
    pub(super) session: Session,
    outlook: Outlook,
    /// Exec channels of sessions that were lost.
    pub(super) earlier_channels: usize,
}

/// Why a host cannot be gone on with.
pub(super) enum Stop {
    /// It was not reached, or the link was lost before anything could be told.
    Unreachable(Trouble),
    /// It was reached, but cannot be read or acted on as a whole.
    Failed(Trouble),
}

/// A host, read and judged.
pub(super) struct Read {
    pub(super) catalog: Arc<Catalog>,
    pub(super) observations: Observations,
    pub(super) judged: Vec<Judged>,
}

impl<'a> Conversation<'a> {
    /// Connects, to judge with an act in view.
    pub(super) async fn open(settings: &'a Settings, events: &'a dyn Events, host: &'a Host) -> Result<Self, Stop> {
        events.host_phase(&host.name, CONNECT);
        let endpoint = Endpoint { name: host.name.clone(), connection: host.connection.clone() };
        let session = settings.transports.connect(&endpoint).await.map_err(unreachable)?;
        let place = Place {
            folder: settings.project.memory.clone(),
            project: settings.project.name.clone(),
            host: host.name.clone(),
        };
        Ok(Self { settings, events, host, place, session, outlook: Outlook::ARun, earlier_channels: 0 })
    }

    /// The same, to judge what is so now.
    pub(super) fn bare(self) -> Self {
        Self { outlook: Outlook::AsItIs, ..self }
    }

    /// What is declared for the host; asks it for facts where that depends on them.
    pub(super) async fn catalog(&mut self) -> Result<Arc<Catalog>, Stop> {
        let resolver = &self.settings.resolver;
        let facts = match resolver.fact_needs(self.host) {
            None => None,
            Some(needs) => Some(self.facts(&needs).await?),
        };
        resolver.resolve(self.host, facts.as_ref()).map(Arc::new).map_err(|found| undeclared(&found))
    }

    /// Asks the host for its facts, and for those that its roles read themselves.
    async fn facts(&mut self, needs: &FactNeeds) -> Result<Facts, Stop> {
        self.events.host_phase(&self.host.name, "facts");
        let probes: Vec<Probe> = needs.own.iter().map(|own| own.probe.clone()).collect();
        let script = observe::facts_script(&probes, &self.place, &nonce()?);
        let frames = self.ask(&script, "facts").await?;
        let (mut facts, answers) =
            observe::read_facts(probes.len(), &frames).map_err(|why| failed("facts", why, None))?;
        resolve::take_own_facts(needs, &answers, &mut facts).map_err(|found| undeclared(&found))?;
        Ok(facts)
    }

    /// Reads and judges everything that is declared.
    pub(super) async fn read(&mut self, catalog: &Arc<Catalog>) -> Result<Read, Stop> {
        self.events.host_phase(&self.host.name, "observe");
        let script = Script::compose(catalog, &self.place, &nonce()?);
        let frames = self.ask(&script, "observe").await?;
        let read = self.judged(catalog, &frames);
        if let Some(family) = read.observations.host.family {
            let wrong = self.settings.resolver.wrong_platforms(self.host, family);
            if wrong.has_errors() {
                return Err(undeclared(&wrong));
            }
        }
        Ok(read)
    }

    /// Judges what the frames of an observation hold.
    pub(super) fn judged(&self, catalog: &Arc<Catalog>, frames: &Frames) -> Read {
        let observations = Observations::read(catalog, frames);
        let judged = judge(catalog, &observations, self.outlook);
        Read { catalog: Arc::clone(catalog), observations, judged }
    }

    /// Fetches the content of what differs and may be shown, and writes the diffs into the judgement.
    pub(super) async fn add_diffs(&mut self, read: &mut Read) -> Result<(), Stop> {
        let wanted: Vec<(usize, String)> = read
            .catalog
            .resources
            .iter()
            .enumerate()
            .filter(|(index, resource)| {
                !resource.sensitive && resource.kind.has_content() && read.judged[*index].differs.contains(&"content")
            })
            .filter_map(|(index, resource)| Some((index, resource.kind.path(resource)?.to_owned())))
            .filter(|(index, _)| {
                let content = read.catalog.resources[*index].content();
                content.is_some_and(|content| !content.sensitive || content.taint().is_some())
            })
            .collect();
        // Where no line could be shown, a private key need not travel.
        let is_hidden = |index: usize| {
            let taint = read.catalog.resources[index].content().and_then(|content| content.taint());
            taint.is_some_and(|taint| taint.decoy.is_none())
        };
        let (hidden, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(index, _)| is_hidden(*index));
        for (index, _) in hidden {
            set_diff(&mut read.judged[index], &judge::hidden());
        }
        if wanted.is_empty() {
            return Ok(());
        }
        self.events.host_phase(&self.host.name, "compare");
        let paths: Vec<&str> = wanted.iter().map(|(_, path)| path.as_str()).collect();
        let script = observe::content_script(&paths, &self.place, &nonce()?);
        let frames = self.ask(&script, "compare").await?;
        for ((index, path), reading) in wanted.iter().zip(observe::read_contents(&paths, &frames)) {
            let FileReading::Content(found) = reading else { continue };
            let resource = &read.catalog.resources[*index];
            let Some(content) = resource.content() else { continue };
            // While the declaration stays the same, what differs was made by hand. Once it moves, an old secret may go.
            let was_tainted = read.observations.memory.as_ref().is_ok_and(|memory| {
                let applied = memory.applied.get(&resource.address.to_string());
                let told = applied.and_then(|applied| applied.attributes.get("content"));
                told.is_some_and(|told| told.starts_with(KEYED) && *told != content.remembered())
            });
            let diff = match content.taint() {
                None if !was_tainted => judge::unified(path, &found, content.bytes()),
                taint => judge::masked(path, &found, content.bytes(), taint, was_tainted),
            };
            set_diff(&mut read.judged[*index], &diff);
        }
        Ok(())
    }

    /// One exchange that acts on nothing.
    pub(super) async fn ask(&mut self, script: &Script, phase: &str) -> Result<Frames, Stop> {
        tracing::debug!("{}: {phase}", self.host.name);
        tracing::trace!("{}: {}", self.host.name, script.text);
        let end = nonce()?;
        let mut frames = Frames::new(&script.nonce);
        let mut take = |bytes: &[u8]| {
            frames.push(bytes);
        };
        let answer = self
            .session
            .exec(Exec {
                program: &wire::observe(&end),
                input: Bytes::from(wire::script_with_end(&script.text, &end)),
                idle: self.settings.deadline,
                deadline: self.settings.deadline,
                limit: ANSWER_LIMIT,
                on_output: Some(&mut take),
            })
            .await
            .map_err(unreachable)?;
        if frames.get("done").is_some() || !frames.is_empty() {
            return Ok(frames);
        }
        Err(not_told(&answer, phase, self.settings.deadline))
    }

    /// How many exec channels were opened.
    pub(super) fn channels(&self) -> usize {
        self.earlier_channels + self.session.channels()
    }

    /// Goes on with another session in the place of one that was lost.
    pub(super) fn replace(&mut self, other: Conversation<'a>) {
        self.earlier_channels += self.session.channels();
        self.session = other.session;
    }
}

/// What is wrong when a host gave no answer at all.
pub(super) fn not_told(answer: &Answer, phase: &str, deadline: Duration) -> Stop {
    let stderr = clean::utf8(&answer.stderr);
    let said = stderr.trim();
    let said = if said.is_empty() { String::new() } else { format!(": {}", clean::shorten(said, 600)) };
    let seconds = deadline.as_secs();
    match &answer.end {
        End::Exit(126 | 127) => failed(
            phase,
            format!("the host has no `sh` that could be run{said}"),
            Some("snowmelt needs `sh` and the usual base tools on a host"),
        ),
        End::Exit(75) => Stop::Unreachable(trouble(
            phase,
            "the link was cut before the script had arrived; nothing was run".to_owned(),
            Some("run again"),
        )),
        End::Exit(status) => failed(
            phase,
            format!("the host answered nothing that is understood (status {status}){said}"),
            Some("a forced command or a restricted login shell does this"),
        ),
        End::Signal(signal) => failed(phase, format!("the script was ended by signal {signal}{said}"), None),
        End::Lost(why) => {
            Stop::Unreachable(trouble(phase, format!("the connection was lost: {why}"), Some("run again")))
        }
        End::IdleTimeout | End::Deadline => Stop::Unreachable(trouble(
            phase,
            format!("no answer within {seconds}s"),
            Some("a file system or a command on the host may hang; --timeout sets how long to wait"),
        )),
        End::TooMuch => failed(phase, format!("the host sent more than {} MiB", ANSWER_LIMIT >> 20), None),
    }
}

pub(super) fn nonce() -> Result<Nonce, Stop> {
    Nonce::random().map_err(|error| failed("prepare", format!("no randomness: {error}"), None))
}

pub(super) fn unreachable(failure: Failure) -> Stop {
    Stop::Unreachable(Trouble { phase: failure.phase.to_string(), message: failure.message, hint: failure.hint })
}

pub(super) fn failed(phase: &str, message: impl Into<String>, hint: Option<&str>) -> Stop {
    Stop::Failed(trouble(phase, message.into(), hint))
}

pub(super) fn trouble(phase: &str, message: String, hint: Option<&str>) -> Trouble {
    Trouble { phase: phase.to_owned(), message, hint: hint.map(str::to_owned) }
}

/// Mistakes of the project that show only with this host's facts.
fn undeclared(found: &Diagnostics) -> Stop {
    failed("declare", found.render(), None)
}

/// Writes a diff beside what was held of the content.
fn set_diff(judged: &mut Judged, diff: &str) {
    for attribute in judged.attributes.iter_mut().filter(|attribute| attribute.name == "content") {
        attribute.diff = Some(diff.to_owned());
    }
}
