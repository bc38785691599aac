//! `hosts trust` and `hosts forget`: the keys by which hosts are known. Nobody logs in to the hosts they are about.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Events, Settings};
use crate::resource::result::Trouble;
use crate::transport::{Endpoint, Failure, Forgotten, HostKey};

/// The keys that these hosts show, in the order asked for; for a host behind one that is not known yet, that one's.
pub async fn host_keys(
    settings: &Settings,
    hosts: &[usize],
    events: &Arc<dyn Events>,
) -> Vec<Result<HostKey, Trouble>> {
    let permits = Arc::new(Semaphore::new(settings.parallel.max(1)));
    let mut tasks = JoinSet::new();
    for (order, index) in hosts.iter().copied().enumerate() {
        let (settings, events, permits) = (settings.clone(), Arc::clone(events), Arc::clone(&permits));
        tasks.spawn(async move {
            let permit = tokio::select! {
                permit = permits.acquire_owned() => permit.ok(),
                () = settings.interrupt.reached(1) => None,
            };
            if permit.is_none() {
                return (order, Err(interrupted()));
            }
            let endpoint = endpoint(&settings, index);
            events.host_phase(&endpoint.name, "connect");
            let key = tokio::select! {
                key = settings.transports.host_key(&endpoint) => key.map_err(trouble),
                () = settings.interrupt.reached(1) => Err(interrupted()),
            };
            (order, key)
        });
    }
    let mut keys: Vec<_> = hosts.iter().map(|_| Err(interrupted())).collect();
    while let Some(joined) = tasks.join_next().await {
        if let Ok((order, key)) = joined {
            keys[order] = key;
        }
    }
    keys
}

/// Removes what the hosts that were asked for are known by, one after the other: they share their files.
pub async fn forget(settings: &Settings) -> Vec<Result<Forgotten, Trouble>> {
    let mut all = Vec::new();
    for index in &settings.hosts {
        all.push(settings.transports.forget(&endpoint(settings, *index)).await.map_err(trouble));
    }
    all
}

fn endpoint(settings: &Settings, index: usize) -> Endpoint {
    let host = &settings.project.hosts[index];
    Endpoint { name: host.name.clone(), connection: host.connection.clone() }
}

fn trouble(failure: Failure) -> Trouble {
    Trouble { phase: failure.phase.to_string(), message: failure.message, hint: failure.hint }
}

fn interrupted() -> Trouble {
    Trouble { phase: "interrupt".to_owned(), message: "the run was interrupted".to_owned(), hint: None }
}
