//! `plan`: what apply would do, by the code that apply uses.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::apply::compose;
use super::conversation::{Conversation, Stop};
use super::fleet::{self, Found};
use super::{Events, Settings, results};
use crate::resource::result::{HostOutcome, RunResult, Verb};

/// Reads and judges every host, as `apply` would before it acts. Changes nothing.
pub async fn plan(settings: &Settings, events: &Arc<dyn Events>) -> RunResult {
    fleet::each(
        settings,
        Verb::Plan,
        events,
        Arc::new(|settings, index, events| Box::pin(one(settings, index, events))),
    )
    .await
}

async fn one(settings: Settings, index: usize, events: Arc<dyn Events>) -> Result<Found, Stop> {
    let host = &settings.project.hosts[index];
    let mut conversation = Conversation::open(&settings, events.as_ref(), host).await?;
    let catalog = conversation.catalog().await?;
    let mut read = conversation.read(&catalog).await?;
    conversation.add_diffs(&mut read).await?;
    // Nothing has been agreed to yet, and nothing has run.
    let composed = compose(&settings, &settings.selection, &BTreeSet::new(), &conversation, &read)?;
    let found = Found {
        resources: results::planned(&read, composed.left_out),
        notes: results::notes(&settings, &read),
        roles: catalog.roles.clone(),
        outcome: HostOutcome::Judged,
        channels: conversation.channels(),
    };
    conversation.session.close().await;
    Ok(found)
}
