//! `verify`: does every host match its roles and their specs? Changes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::conversation::{Conversation, Read, Stop};
use super::fleet::{self, Found};
use super::{Events, Settings, results};
use crate::catalog::Catalog;
use crate::resource::result::{HostOutcome, RunResult, Verb, Verdict};

/// How long to wait before looking again at a check that may still come true.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads and judges every host.
pub async fn verify(settings: &Settings, events: &Arc<dyn Events>) -> RunResult {
    fleet::each(
        settings,
        Verb::Verify,
        events,
        Arc::new(|settings, index, events| Box::pin(one(settings, index, events))),
    )
    .await
}

async fn one(settings: Settings, index: usize, events: Arc<dyn Events>) -> Result<Found, Stop> {
    let host = &settings.project.hosts[index];
    let mut conversation = Conversation::open(&settings, events.as_ref(), host).await?.bare();
    let catalog = conversation.catalog().await?;
    let mut read = conversation.read(&catalog).await?;
    wait_for_checks(&mut conversation, &mut read).await?;
    conversation.add_diffs(&mut read).await?;
    let found = Found {
        resources: results::of(&read, Verb::Verify),
        notes: results::notes(&settings, &read),
        roles: catalog.roles.clone(),
        outcome: HostOutcome::Judged,
        channels: conversation.channels(),
    };
    conversation.session.close().await;
    Ok(found)
}

/// Looks again at the checks that do not hold yet, until they do or their time is up. Only they are read again.
pub(super) async fn wait_for_checks(conversation: &mut Conversation<'_>, read: &mut Read) -> Result<(), Stop> {
    let began = Instant::now();
    loop {
        let open: Vec<usize> = read
            .catalog
            .resources
            .iter()
            .enumerate()
            .filter(|(index, resource)| {
                let is_open = matches!(read.judged[*index].verdict, Verdict::Failed | Verdict::Unknown(_));
                is_open && resource.within.is_some_and(|within| began.elapsed() < within)
            })
            .map(|(index, _)| index)
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
        let part = Arc::new(Catalog {
            host: read.catalog.host.clone(),
            roles: read.catalog.roles.clone(),
            resources: open.iter().map(|index| read.catalog.resources[*index].clone()).collect(),
        });
        let again = conversation.read(&part).await?;
        for ((index, judged), observed) in open.iter().zip(again.judged).zip(again.observations.observed) {
            read.judged[*index] = judged;
            read.observations.observed[*index] = observed;
        }
    }
}
