//! Restart is a state, not an event: does a service run what its files say?
//!
//! A service is due when something it watches changed after it took its configuration. Times alone can mislead (`touch`, a
//! file moved into place with its old time), so when the record holds the digest of what was watched at our last reload, and
//! the service is still in that very run, the digest decides.

use crate::observe::{Memory, Watched};
use crate::resource::{Refresh, Resource, RunsSince};

/// That a service does not run its current configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// What is called for.
    pub refresh: Refresh,
    /// Whether a run of ours owes it; else it was so before us.
    pub is_ours: bool,
    /// What changed, for people.
    pub why: String,
    /// The names of what changed.
    pub names: Vec<String>,
}

/// Judges a resource that watches. `None`: it is current, or does not run, or watches nothing it could be refreshed for.
///
/// # Errors
/// What could not be told, as a lowercase fragment.
pub(super) fn stale(
    resource: &Resource,
    watched: &[Option<Watched>],
    runs: Option<&RunsSince>,
    memory: Option<&Memory>,
) -> Result<Option<Stale>, String> {
    let address = resource.address.to_string();
    let Some(runs) = runs else { return Ok(None) };
    let refreshing: Vec<_> =
        resource.watches.iter().zip(watched).filter(|(watch, _)| watch.refresh != Refresh::Run).collect();
    if refreshing.is_empty() {
        return Ok(None);
    }
    let mut seen = Vec::new();
    for (watch, watched) in refreshing {
        let watched = watched.as_ref().ok_or_else(|| format!("{} could not be read", watch.target))?;
        seen.push((watch.refresh, watched));
    }
    let owed = memory.and_then(|memory| memory.due.get(&address)).copied();
    let record = memory.and_then(|memory| memory.refreshed.get(&address));
    let digest = Watched::digest(seen.iter().map(|(_, watched)| *watched)).to_string();
    let by_digest = record.filter(|(_, invocation)| *invocation == runs.invocation).map(|(known, _)| *known != digest);
    if by_digest == Some(false) && owed.is_none() {
        return Ok(None);
    }

    let mut newer: Vec<(Refresh, String)> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for (refresh, watched) in &seen {
        let since = if *refresh == Refresh::Restart { runs.started } else { runs.configured };
        if let Some((time, name)) = watched.newest.as_ref().filter(|(time, _)| *time > since) {
            newer.push((*refresh, format!("{name} changed {}", after(*time, since))));
            names.push(name.clone());
        }
    }
    let by_time = newer.iter().map(|(refresh, _)| *refresh).max();
    let gentlest = seen.iter().map(|(refresh, _)| *refresh).min();
    let refresh = match (owed.max(by_time), by_digest) {
        (Some(refresh), _) => refresh,
        // The content is another, and no time tells what changed: the gentlest that is declared.
        (None, Some(true)) => gentlest.unwrap_or(Refresh::Reload),
        _ => return Ok(None),
    };
    let why = match (newer.is_empty(), owed) {
        (false, _) => newer.into_iter().map(|(_, why)| why).collect::<Vec<_>>().join(", "),
        (true, Some(_)) => "an earlier run changed what it watches and did not come to this".to_owned(),
        (true, None) => "what it watches is not what it was started with".to_owned(),
    };
    Ok(Some(Stale { refresh, is_ours: owed.is_some(), why, names }))
}

/// `3m 5s after it was started`, for a difference of two times in microseconds.
fn after(time: i64, since: i64) -> String {
    let seconds = (time - since).max(0) / 1_000_000;
    let shown = match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86400, seconds % 86400 / 3600),
    };
    format!("{shown} after it took its configuration")
}
