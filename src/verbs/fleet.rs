//! Many hosts at a time: bounded, every one in the result exactly once, none holding up another.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::conversation::{CONNECT, Stop};
use super::{Events, Settings};
use crate::resource::result::{HostOutcome, HostResult, ResourceResult, RunResult, Trouble, Verb};

/// What a flow found on one host that was read.
pub(super) struct Found {
    pub(super) resources: Vec<ResourceResult>,
    pub(super) notes: Vec<String>,
    pub(super) roles: Vec<String>,
    pub(super) outcome: HostOutcome,
    pub(super) channels: usize,
}

/// What goes on with one host.
pub(super) type OneHost = Arc<
    dyn Fn(Settings, usize, Arc<dyn Events>) -> Pin<Box<dyn Future<Output = Result<Found, Stop>> + Send>> + Send + Sync,
>;

/// Runs a flow on every host that was asked for.
pub(super) async fn each(settings: &Settings, verb: Verb, events: &Arc<dyn Events>, one: OneHost) -> RunResult {
    let started = jiff::Timestamp::now().as_second();
    let clock = Instant::now();
    let places =
        Places { all: Arc::new(Semaphore::new(settings.parallel.max(1))), lent: Arc::new(Semaphore::new(MOST_LENT)) };
    let mut tasks = JoinSet::new();
    for (order, index) in settings.hosts.iter().copied().enumerate() {
        let (settings, events, one, places) = (settings.clone(), Arc::clone(events), Arc::clone(&one), places.clone());
        tasks.spawn(async move { (order, guarded(settings, index, events, one, places).await) });
    }
    let mut hosts: Vec<Option<HostResult>> = settings.hosts.iter().map(|_| None).collect();
    let mut known = HashSet::new();
    while let Some(joined) = tasks.join_next().await {
        if let Ok((order, mut result)) = joined {
            share(&mut result.resources, &mut known);
            events.host_done(&result);
            hosts[order] = Some(result);
        }
    }
    let hosts = hosts
        .into_iter()
        .zip(&settings.hosts)
        .map(|(result, index)| {
            result.unwrap_or_else(|| {
                empty(
                    settings,
                    *index,
                    HostOutcome::Failed(internal("its task ended without a result")),
                    Duration::ZERO,
                )
            })
        })
        .collect();
    RunResult {
        verb,
        project: settings.project.name.clone(),
        commit: settings.revision.shown(),
        started,
        took: clock.elapsed(),
        hosts,
    }
}

/// Has results that are known from another host take no memory of their own.
fn share(resources: &mut [Arc<ResourceResult>], known: &mut HashSet<Arc<ResourceResult>>) {
    for resource in resources {
        match known.get(resource) {
            Some(same) => *resource = Arc::clone(same),
            None => drop(known.insert(Arc::clone(resource))),
        }
    }
}

/// How long a host that does not answer keeps others from having its place.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many places may be lent at a time: each is a connection more than was asked for.
const MOST_LENT: usize = 100;

/// How many hosts are worked on at a time.
#[derive(Clone)]
struct Places {
    all: Arc<Semaphore>,
    lent: Arc<Semaphore>,
}

/// Notices when a host has come beyond being connected to.
struct Noticing {
    events: Arc<dyn Events>,
    is_connected: AtomicBool,
}

impl Events for Noticing {
    fn host_started(&self, host: &str) {
        self.events.host_started(host);
    }

    fn host_phase(&self, host: &str, phase: &str) {
        if phase != CONNECT {
            self.is_connected.store(true, Ordering::Relaxed);
        }
        self.events.host_phase(host, phase);
    }

    fn host_step(&self, host: &str, title: &str) {
        self.events.host_step(host, title);
    }

    fn host_done(&self, result: &HostResult) {
        self.events.host_done(result);
    }
}

/// One host, whatever happens to it: waits for its turn, survives a panic, lets go when the run is interrupted twice. While it
/// does not answer, somebody else may have its place: dead hosts cost no work, and many of them must not hold up the living.
async fn guarded(
    settings: Settings,
    index: usize,
    events: Arc<dyn Events>,
    one: OneHost,
    places: Places,
) -> HostResult {
    let interrupt = settings.interrupt.clone();
    let place = tokio::select! {
        place = places.all.acquire_owned() => place.ok(),
        () = interrupt.reached(1) => None,
    };
    if place.is_none() || interrupt.level() > 0 {
        return empty(&settings, index, HostOutcome::NotStarted("the run was interrupted".to_owned()), Duration::ZERO);
    }
    let clock = Instant::now();
    events.host_started(&settings.project.hosts[index].name);
    let noticing = Arc::new(Noticing { events, is_connected: AtomicBool::new(false) });
    let mut task = tokio::spawn(one(settings.clone(), index, Arc::clone(&noticing) as Arc<dyn Events>));
    let lend = async {
        tokio::time::sleep(PATIENCE).await;
        let is_connected = noticing.is_connected.load(Ordering::Relaxed);
        let lent = if is_connected { None } else { places.lent.try_acquire_owned().ok() };
        let _kept = place.filter(|_| lent.is_none());
        std::future::pending::<Infallible>().await
    };
    let ended = tokio::select! {
        ended = &mut task => ended,
        never = lend => match never {},
        () = interrupt.reached(2) => {
            task.abort();
            let why = "let go at the second interrupt; what it had begun goes on, and the next run says how it ended";
            return empty(&settings, index, HostOutcome::Unreachable(Trouble { phase: "interrupt".into(), message: why.into(), hint: None }), clock.elapsed());
        }
    };
    let outcome = match ended {
        Ok(Ok(found)) => {
            let host = &settings.project.hosts[index];
            return HostResult {
                host: host.name.clone(),
                address: host.connection.address.clone(),
                roles: found.roles,
                outcome: found.outcome,
                resources: found.resources.into_iter().map(Arc::new).collect(),
                notes: found.notes,
                took: clock.elapsed(),
                channels: found.channels,
            };
        }
        Ok(Err(Stop::Unreachable(trouble))) => HostOutcome::Unreachable(trouble),
        Ok(Err(Stop::Failed(trouble))) => HostOutcome::Failed(trouble),
        Err(_) => HostOutcome::Failed(internal("a defect of snowmelt ended this host's task; please report it")),
    };
    empty(&settings, index, outcome, clock.elapsed())
}

fn internal(message: &str) -> Trouble {
    Trouble { phase: "internal".to_owned(), message: message.to_owned(), hint: None }
}

fn empty(settings: &Settings, index: usize, outcome: HostOutcome, took: Duration) -> HostResult {
    let host = &settings.project.hosts[index];
    HostResult {
        host: host.name.clone(),
        address: host.connection.address.clone(),
        roles: host.roles.iter().map(|role| role.instance.clone()).collect(),
        outcome,
        resources: Vec::new(),
        notes: Vec::new(),
        took,
        channels: 0,
    }
}
