//! The second login by which a host learns that a change has locked nobody out. It is a login like the first one: a connection
//! of its own, the same key, the same way to become another user.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use super::conversation::{Conversation, Stop, nonce};
use super::{Events, Settings};
use crate::act::{self, Act};
use crate::catalog::model::Host;
use crate::observe::Place;
use crate::transport::Phase;

/// Between two attempts: a service that takes new settings may be away for a moment.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a host may take to put everything back and to say so.
const GRACE: Duration = Duration::from_secs(10);

/// The proofs that one act asks for.
pub(super) struct Proofs<'a> {
    settings: &'a Settings,
    events: &'a dyn Events,
    host: &'a Host,
    place: Place,
    act: &'a Act,
    /// How many exec channels they took.
    pub(super) channels: usize,
    /// Why the last of them could not be given, or not at once.
    pub(super) refused: Option<String>,
}

impl<'a> Proofs<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        events: &'a dyn Events,
        host: &'a Host,
        place: &Place,
        act: &'a Act,
    ) -> Self {
        Self { settings, events, host, place: place.clone(), act, channels: 0, refused: None }
    }

    /// Gives each proof when it is asked for: `asked` tells the number of the step. Ends only when one could not be given, and
    /// the host should have said by now what it did about it: the first connection is lost as well.
    pub(super) async fn give(&mut self, mut asked: UnboundedReceiver<usize>) {
        while let Some(number) = asked.recv().await {
            self.events.host_phase(&self.host.name, "prove a login");
            let began = Instant::now();
            let within = self.settings.project.login_within;
            let mut is_given = false;
            self.refused = None;
            while let Some(left) = within.checked_sub(began.elapsed()) {
                match tokio::time::timeout(left, self.log_in(Some(number))).await {
                    // If it came too late, after the host had taken everything back, the earlier ones say why.
                    Ok(Ok(_)) => {
                        is_given = true;
                        break;
                    }
                    Ok(Err(Stop::Unreachable(why) | Stop::Failed(why))) => {
                        // While sshd takes its old settings again nothing listens; that is not why.
                        if self.refused.is_none() || why.phase != Phase::Connect.to_string() {
                            self.refused = Some(format!("the second login failed: {}: {}", why.phase, why.message));
                        }
                    }
                    Err(_) => {
                        self.refused
                            .get_or_insert_with(|| "the second login did not come to an end in time".to_owned());
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
            self.events.host_phase(&self.host.name, "act");
            if !is_given {
                return tokio::time::sleep(GRACE).await;
            }
        }
        std::future::pending().await
    }

    /// After the first connection was lost: learns whether the host waits, and for what, and gives that proof.
    pub(super) async fn come_back(&mut self) {
        // Where nothing is waited for, or nobody gets in, the host knows what to do.
        if let Ok(Some(number)) = self.log_in(None).await {
            let _ = self.log_in(Some(number)).await;
        }
    }

    /// Logs in anew and says so. Returns the number of the step for which the host waits.
    async fn log_in(&mut self, proves: Option<usize>) -> Result<Option<usize>, Stop> {
        let mut conversation = Conversation::open(self.settings, self.events, self.host).await?;
        let script = act::login_script(&self.act.run, &self.place, &nonce()?, proves);
        let frames = conversation.ask(&script, "prove a login").await;
        self.channels += conversation.channels();
        conversation.session.close().await;
        Ok(act::asked(&frames?))
    }
}
