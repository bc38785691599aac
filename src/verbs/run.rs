//! `run`: one command on many hosts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::conversation::{Conversation, Stop, not_told};
use super::{Events, Settings};
use crate::resource::result::Trouble;
use crate::transport::{End, Exec};

/// How much of the output of a command is kept.
const OUTPUT_LIMIT: usize = 4 << 20;

/// What a command answered on each host, in the order asked for.
#[derive(Clone, Debug)]
pub struct CommandResult {
    /// Host by host.
    pub hosts: Vec<(String, Result<CommandAnswer, Trouble>)>,
}

/// What a command answered on one host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandAnswer {
    /// Its exit status.
    pub status: u32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// Runs `command`, shell text, on every host that was asked for.
pub async fn run(settings: &Settings, command: &str, events: &Arc<dyn Events>) -> CommandResult {
    let permits = Arc::new(Semaphore::new(settings.parallel.max(1)));
    let mut tasks = JoinSet::new();
    for (order, index) in settings.hosts.iter().copied().enumerate() {
        let (settings, events, permits, command) =
            (settings.clone(), Arc::clone(events), Arc::clone(&permits), command.to_owned());
        tasks.spawn(async move {
            let permit = tokio::select! {
                permit = permits.acquire_owned() => permit.ok(),
                () = settings.interrupt.reached(1) => None,
            };
            if permit.is_none() {
                return (order, Err(Trouble { phase: "start".into(), message: "the run was interrupted".into(), hint: None }));
            }
            let answer = tokio::select! {
                answer = one(&settings, index, &command, events.as_ref()) => answer,
                () = settings.interrupt.reached(2) => Err(Stop::Unreachable(Trouble { phase: "interrupt".into(), message: "let go; the command may still run".into(), hint: None })),
            };
            (order, answer.map_err(|stop| match stop {
                Stop::Unreachable(trouble) | Stop::Failed(trouble) => trouble,
            }))
        });
    }
    let mut answers: Vec<Option<Result<CommandAnswer, Trouble>>> = settings.hosts.iter().map(|_| None).collect();
    while let Some(joined) = tasks.join_next().await {
        if let Ok((order, answer)) = joined {
            answers[order] = Some(answer);
        }
    }
    let lost = || {
        Err(Trouble {
            phase: "internal".into(),
            message: "a defect of snowmelt ended this host's task; please report it".into(),
            hint: None,
        })
    };
    let names = settings.hosts.iter().map(|index| settings.project.hosts[*index].name.clone());
    CommandResult { hosts: names.zip(answers.into_iter().map(|answer| answer.unwrap_or_else(lost))).collect() }
}

async fn one(settings: &Settings, index: usize, command: &str, events: &dyn Events) -> Result<CommandAnswer, Stop> {
    let host = &settings.project.hosts[index];
    events.host_started(&host.name);
    let mut conversation = Conversation::open(settings, events, host).await?;
    let deadline: Duration = settings.act_deadline;
    let exec =
        Exec { program: command, input: Bytes::new(), idle: deadline, deadline, limit: OUTPUT_LIMIT, on_output: None };
    let answer = conversation.session.exec(exec).await.map_err(super::conversation::unreachable)?;
    conversation.session.close().await;
    match answer.end {
        End::Exit(status) => Ok(CommandAnswer { status, stdout: answer.stdout, stderr: answer.stderr }),
        _ => Err(not_told(&answer, "run", deadline)),
    }
}
