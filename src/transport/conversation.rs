//! One program's conversation: its input is sent while its output and errors are drained, under an idle deadline and a
//! whole one. How the bytes travel is the business of the two halves it is given.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::bounded::HeadTail;
use super::command::{Command, Refusal};
use super::{Answer, End, Exec, Failure, Phase};
use crate::base::clean;

/// Once a program has ended, how long its output may stay silent before somebody else is taken to hold it open.
const SETTLE: Duration = Duration::from_secs(2);
/// How much of a program's standard error is kept at each end.
const STDERR_HALF: usize = 32 * 1024;
/// How much output beyond the limit is thrown away before the program is given up.
const DRAIN: usize = 16 * 1024 * 1024;
/// How much is sent at once; after each piece the program counts as alive.
const PIECE: usize = 32 * 1024;

/// What can be heard from a program.
pub(crate) enum Event {
    /// Standard output.
    Out(Bytes),
    /// Standard error.
    Err(Bytes),
    /// It ended so.
    Ended(End),
    /// Nothing more will come, and why, if the connection is gone with it.
    Closed(Option<String>),
    /// The host will not run anything.
    Refused,
}

/// The half that hears. Waiting must lose nothing when it is given up half way.
pub(crate) trait Hear {
    /// The next thing to be heard; after [`Event::Closed`] it is not asked again.
    async fn hear(&mut self) -> Event;
}

/// The half that speaks.
pub(crate) trait Speak {
    /// Sends all of it.
    async fn say(&mut self, bytes: Bytes) -> std::io::Result<()>;
    /// Closes the input.
    async fn finish(&mut self) -> std::io::Result<()>;
}

/// Lets a program have its input and say its piece.
///
/// # Errors
/// The program did not start: its mark never came although something ended.
pub(crate) async fn hold(
    command: &Command,
    mut exec: Exec<'_>,
    mut hearing: impl Hear,
    speaking: impl Speak,
) -> Result<Answer, Refusal> {
    let progress = Progress::default();
    let deadline = Instant::now() + exec.deadline;
    let (orders, inbox) = mpsc::unbounded_channel();
    let mut orders = Some(orders);
    let mut input = Some(std::mem::take(&mut exec.input));
    if command.prompt.is_none() {
        order(&mut orders, input.take());
    }
    let sending = send(speaking, inbox, progress.clone());
    tokio::pin!(sending);
    let mut sent = false;
    let mut answered = false;

    let mut output = Output::new(exec.limit);
    let mut errors = Errors::new(&command.mark);
    let mut ended: Option<End> = None;
    let end = loop {
        let quiet = progress.last() + if ended.is_some() { SETTLE.min(exec.idle) } else { exec.idle };
        let event = tokio::select! {
            event = hearing.hear() => event,
            () = &mut sending, if !sent => {
                sent = true;
                continue;
            }
            () = tokio::time::sleep_until(quiet.min(deadline)) => match ended {
                // Somebody it left behind holds its output open.
                Some(end) => break end,
                None if Instant::now() >= deadline => break End::Deadline,
                // Sending may have made progress while this slept.
                None if Instant::now() < progress.last() + exec.idle => continue,
                None => break End::IdleTimeout,
            },
        };
        progress.touch();
        match event {
            Event::Out(bytes) => {
                let fresh = output.push(&bytes);
                if let Some(see) = exec.on_output.as_mut().filter(|_| !fresh.is_empty()) {
                    see(fresh);
                }
                if output.dropped > DRAIN {
                    break End::TooMuch;
                }
            }
            Event::Err(bytes) => {
                errors.push(&bytes);
                if errors.has_begun() {
                    order(&mut orders, input.take());
                } else if let Some(prompt) = &command.prompt {
                    match (errors.count(prompt), &command.password) {
                        (0, _) => {}
                        (1, Some(_)) if answered => {}
                        (1, Some(password)) => {
                            answered = true;
                            // What is not sent any more was not wanted: the end tells.
                            let _ = orders
                                .as_ref()
                                .map(|orders| orders.send(Bytes::from(format!("{}\n", password.as_str()))));
                        }
                        _ => return Err(command.asked_in_vain()),
                    }
                }
            }
            Event::Ended(end) => ended = Some(end),
            Event::Closed(why) => match ended {
                Some(end) => break end,
                None => break End::Lost(why.unwrap_or_else(|| "the channel closed without an exit status".to_owned())),
            },
            Event::Refused => {
                return Err(Failure::new(Phase::Execute, "the host refused to run a program")
                    .hint("look at ForceCommand and at the shell of the account")
                    .into());
            }
        }
    };
    let end = if output.dropped > 0 { End::TooMuch } else { end };
    match errors.finish() {
        Ok(stderr) => Ok(Answer { stdout: output.kept, stderr, end }),
        Err(stderr) => {
            // nologin and its like explain themselves on standard output.
            let said = if stderr.trim_ascii().is_empty() { &output.kept } else { &stderr };
            match end {
                End::Exit(status) => Err(command.refused(&format!("exit status {status}"), said)),
                End::Signal(name) => Err(command.refused(&format!("signal {}", clean::line(&name)), said)),
                // The mark may have been on its way.
                end => Ok(Answer { stdout: output.kept, stderr, end }),
            }
        }
    }
}

/// Orders the program's input to be sent and closed after it; the second time there is none left to order.
fn order(orders: &mut Option<mpsc::UnboundedSender<Bytes>>, input: Option<Bytes>) {
    if let Some(input) = input
        && let Some(orders) = orders.take()
    {
        // Whoever does not listen any more did not want it.
        let _ = orders.send(input);
    }
}

/// Sends what is ordered and closes the input after it. A program that does not want its input is no error: how it ended
/// tells.
async fn send(mut speaking: impl Speak, mut inbox: mpsc::UnboundedReceiver<Bytes>, progress: Progress) {
    while let Some(mut bytes) = inbox.recv().await {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            if speaking.say(piece).await.is_err() {
                return;
            }
            progress.touch();
        }
    }
    // The same holds for closing it.
    let _ = speaking.finish().await;
}

/// When a byte last went either way.
#[derive(Clone)]
struct Progress(Arc<Mutex<Instant>>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Progress {
    fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Standard output up to a limit.
struct Output {
    kept: Vec<u8>,
    limit: usize,
    dropped: usize,
}

impl Output {
    fn new(limit: usize) -> Self {
        Self { kept: Vec::new(), limit, dropped: 0 }
    }

    /// Keeps what there is room for and returns it.
    fn push<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let room = self.limit - self.kept.len();
        let (fresh, rest) = bytes.split_at(bytes.len().min(room));
        self.kept.extend_from_slice(fresh);
        self.dropped += rest.len();
        fresh
    }
}

/// Standard error: what came before the program's mark, then what the program itself says.
struct Errors {
    mark: Vec<u8>,
    before: Vec<u8>,
    after: Option<HeadTail>,
}

impl Errors {
    fn new(mark: &str) -> Self {
        Self { mark: format!("{mark}\n").into_bytes(), before: Vec::new(), after: None }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(after) = &mut self.after {
            return after.push(bytes);
        }
        self.before.extend_from_slice(bytes);
        if let Some(at) = find(&self.before, &self.mark) {
            let mut after = HeadTail::new(STDERR_HALF);
            after.push(&self.before[at + self.mark.len()..]);
            self.after = Some(after);
            self.before = Vec::new();
        } else if self.before.len() > 2 * STDERR_HALF {
            // A shell that talks before it starts: only its end can hold the mark's beginning.
            let keep = self.before.len() - STDERR_HALF;
            self.before.drain(..keep);
        }
    }

    /// Whether the program has started.
    fn has_begun(&self) -> bool {
        self.after.is_some()
    }

    /// How often something was said before it started.
    fn count(&self, text: &str) -> usize {
        self.before.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
    }

    /// The program's errors, or what was said in its place when it never started.
    fn finish(self) -> Result<Vec<u8>, Vec<u8>> {
        match self.after {
            Some(after) => Ok(after.finish()),
            None => Err(self.before),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::command::Elevation;

    struct Script(Vec<Event>);

    impl Hear for Script {
        async fn hear(&mut self) -> Event {
            if self.0.is_empty() { std::future::pending().await } else { self.0.remove(0) }
        }
    }

    struct Deaf;

    impl Speak for Deaf {
        async fn say(&mut self, _: Bytes) -> std::io::Result<()> {
            std::future::pending().await
        }
        async fn finish(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn exec(limit: usize) -> Exec<'static> {
        let (idle, deadline) = (Duration::from_millis(50), Duration::from_secs(600));
        Exec { program: "true", input: Bytes::from_static(b"x"), idle, deadline, limit, on_output: None }
    }

    fn run(limit: usize, events: impl Fn(&Command) -> Vec<Event>) -> Result<Answer, Failure> {
        let command = Command::new("true", &Elevation::Stay, None, None).unwrap();
        let script = Script(events(&command));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(hold(&command, exec(limit), script, Deaf)).map_err(|refusal| refusal.failure)
    }

    fn mark(command: &Command) -> Event {
        Event::Err(Bytes::from(format!("noise\n{}\n", command.mark)))
    }

    fn out(text: &'static str) -> Event {
        Event::Out(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn an_answer_is_what_came_after_the_mark() {
        let answer = run(10, |command| {
            let (first, second) = command.mark.split_at(9);
            let first = Event::Err(Bytes::from(first.to_owned()));
            let second = Event::Err(Bytes::from(format!("{second}\nwarning")));
            vec![first, out("ab"), second, Event::Ended(End::Exit(3)), out("c"), Event::Closed(None)]
        });
        assert_eq!(answer, Ok(Answer { stdout: b"abc".to_vec(), stderr: b"warning".to_vec(), end: End::Exit(3) }));
    }

    #[test]
    fn a_program_that_never_began_is_a_failure() {
        let noise = || Event::Err(Bytes::from_static(b"This account is currently not available.\n"));
        let failure = run(10, |_| vec![noise(), Event::Ended(End::Exit(1)), Event::Closed(None)]).unwrap_err();
        assert!(failure.before_anything_ran && failure.message.contains("not available"), "{failure:?}");
        let aloud = || out("not available\n");
        let failure = run(100, |_| vec![aloud(), Event::Ended(End::Exit(1)), Event::Closed(None)]).unwrap_err();
        assert!(failure.message.contains("not available"), "{failure:?}");
        let answer = run(10, |_| vec![noise(), Event::Closed(Some("reset".into()))]).unwrap();
        assert_eq!(answer.end, End::Lost("reset".into()), "the mark may have been on its way");
    }

    #[test]
    fn what_is_held_open_after_the_end_is_let_go() {
        let answer = run(10, |command| vec![mark(command), Event::Ended(End::Exit(0))]).unwrap();
        assert_eq!(answer.end, End::Exit(0));
    }

    #[test]
    fn silence_and_floods_are_given_up() {
        assert_eq!(run(10, |command| vec![mark(command)]).unwrap().end, End::IdleTimeout);
        let answer =
            run(3, |command| vec![mark(command), out("abcd"), Event::Ended(End::Exit(0)), Event::Closed(None)]);
        assert_eq!(answer, Ok(Answer { stdout: b"abc".to_vec(), stderr: Vec::new(), end: End::TooMuch }));
        static MEGABYTE: [u8; 1 << 20] = [0; 1 << 20];
        let flood = |command: &Command| {
            let flood = (0..20).map(|_| Event::Out(Bytes::from_static(&MEGABYTE)));
            std::iter::once(mark(command)).chain(flood).collect()
        };
        let answer = run(1000, flood).unwrap();
        assert_eq!((answer.end, answer.stdout.len()), (End::TooMuch, 1000));
    }
}
