//! A shell on this machine.
//!
//! The program runs in a process group of its own, so that a key pressed at the terminal does not reach it, and giving up
//! ends all of it.

use std::process::Stdio;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use super::command::{Command, Refusal};
use super::conversation::{self, Event, Hear, Speak};
use super::{Answer, End, Exec, Failure, Phase};

/// Runs one command.
pub(crate) async fn run(command: &Command, exec: Exec<'_>) -> Result<Answer, Refusal> {
    if command.terminal.is_some() {
        let failure =
            Failure::new(Phase::Become, "another user is become at a terminal only, and there is none to give");
        let hint = "allow it without a password, or without a terminal; or run snowmelt as that user";
        return Err(failure.hint(hint).into());
    }
    let spawned = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(&command.line)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child =
        spawned.map_err(|error| Failure::new(Phase::Execute, format!("sh could not be started: {error}")))?;
    let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Failure::new(Phase::Execute, "sh was started without its pipes").into());
    };
    let group = Group(child.id().and_then(|id| Pid::from_raw(id as i32)));
    let hearing = Process { child, stdout: Some(stdout), stderr: Some(stderr), ended: false, group };
    conversation::hold(command, exec, hearing, Input(Some(stdin))).await
}

struct Process {
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    ended: bool,
    group: Group,
}

impl Hear for Process {
    async fn hear(&mut self) -> Event {
        loop {
            let mut out = Vec::with_capacity(32 * 1024);
            let mut err = Vec::with_capacity(4 * 1024);
            tokio::select! {
                read = read(&mut self.stdout, &mut out), if self.stdout.is_some() => match read {
                    true => return Event::Out(Bytes::from(out)),
                    false => self.stdout = None,
                },
                read = read(&mut self.stderr, &mut err), if self.stderr.is_some() => match read {
                    true => return Event::Err(Bytes::from(err)),
                    false => self.stderr = None,
                },
                status = self.child.wait(), if !self.ended => {
                    self.ended = true;
                    self.group.0 = None;
                    return match status {
                        Ok(status) => Event::Ended(end(status)),
                        Err(error) => Event::Closed(Some(format!("its end could not be awaited: {error}"))),
                    };
                }
                else => return Event::Closed(None),
            }
        }
    }
}

/// Reads some bytes; whether there were any.
async fn read(from: &mut Option<impl AsyncReadExt + Unpin>, into: &mut Vec<u8>) -> bool {
    match from {
        Some(from) => from.read_buf(into).await.is_ok_and(|count| count > 0),
        None => std::future::pending().await,
    }
}

fn end(status: std::process::ExitStatus) -> End {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(code as u32),
        (None, Some(number)) => {
            let known = [
                (1, "HUP"),
                (2, "INT"),
                (3, "QUIT"),
                (6, "ABRT"),
                (9, "KILL"),
                (11, "SEGV"),
                (13, "PIPE"),
                (15, "TERM"),
            ];
            let name = known.iter().find(|(known, _)| *known == number);
            End::Signal(name.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned()))
        }
        (None, None) => End::Lost("it ended in an unknown way".to_owned()),
    }
}

/// The program's process group, ended with it when it is given up.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may just have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

struct Input(Option<ChildStdin>);

impl Speak for Input {
    async fn say(&mut self, bytes: Bytes) -> std::io::Result<()> {
        match &mut self.0 {
            Some(stdin) => stdin.write_all(&bytes).await,
            None => Ok(()),
        }
    }

    async fn finish(&mut self) -> std::io::Result<()> {
        self.0 = None;
        Ok(())
    }
}
