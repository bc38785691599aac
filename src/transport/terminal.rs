//! A program at a terminal: what a terminal takes from it, and how it is given back.
//!
//! Some of those who make another user of us want a terminal: `sudo` where sudoers has `requiretty`, `doas` when it asks for
//! a password. A terminal echoes, changes line ends, has no end of input and one stream for output and errors. So the program
//! is wrapped in shell text that makes the terminal raw before it says that it has begun, hands the program as many bytes of
//! input as there are and then an end, and sends its output as it comes, then a mark with how it ended, then its errors. The
//! program itself sees pipes. [`Unmixed`] takes that apart again, so that nobody else has to know.

use bytes::{Bytes, BytesMut};

use super::End;
use super::conversation::{Event, Hear, Speak};
use crate::base::quote;

/// How much of a program's standard error is kept on the host until it has ended.
const STDERR_MOST: usize = 64 * 1024;

/// What one program at a terminal needs.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    /// Written after the output, with the status and a line end.
    mark: String,
    /// How many bytes of input there are.
    length: usize,
    nonce: String,
}

impl Terminal {
    pub(crate) fn new(nonce: &str, length: usize) -> Self {
        Self { mark: format!("snowmelt-ended-{nonce} "), length, nonce: nonce.to_owned() }
    }

    /// Shell text that runs `program` at a terminal; `begin` writes the mark that it has begun.
    pub(crate) fn wrap(&self, begin: &str, program: &str) -> String {
        let (length, nonce, program) = (self.length, &self.nonce, quote::always(program));
        // `head` does not end on an empty terminal, not even when it wants nothing of it.
        let run = match length {
            0 => "sh -c \"$p\" </dev/null".to_owned(),
            length => format!("head -c {length} | sh -c \"$p\""),
        };
        // Descriptor 5 is the way to the terminal; the errors wait in `tail` until the last of them has been written, which
        // is after the mark because whoever writes the mark holds them open.
        format!(
            "stty raw -echo 2>/dev/null; {begin}; p={program}; \
             {{ {{ {{ {run}; echo \"snowmelt-ended-\"{nonce} $?; }} 2>&1 >&5 5>&- | tail -c {STDERR_MOST} 5>&-; }} 5>&1; }} | cat"
        )
    }
}

/// Hears a program at a terminal as if there were none.
pub(crate) struct Unmixed<H> {
    hearing: H,
    state: State,
    began: Vec<u8>,
    ended: Vec<u8>,
    pending: BytesMut,
    next: Option<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing of the program was heard yet.
    Before,
    /// Its output.
    Output,
    /// Its errors.
    Errors,
}

impl<H: Hear> Unmixed<H> {
    /// `began` is the mark that the program has begun.
    pub(crate) fn new(hearing: H, began: &str, terminal: &Terminal) -> Self {
        Self {
            hearing,
            state: State::Before,
            began: format!("{began}\n").into_bytes(),
            ended: terminal.mark.clone().into_bytes(),
            pending: BytesMut::new(),
            next: None,
        }
    }

    /// What can be told of what has arrived, if anything.
    fn take(&mut self) -> Option<Event> {
        match self.state {
            State::Before => {
                let at = find(&self.pending, &self.began).map(|at| at + self.began.len());
                if at.is_some() {
                    self.state = State::Output;
                }
                let keep = match at {
                    Some(_) => 0,
                    None => overlap(&self.pending, &self.began),
                };
                let text = self.pending.split_to(at.unwrap_or(self.pending.len() - keep));
                (!text.is_empty()).then(|| Event::Err(text.freeze()))
            }
            State::Output => match find(&self.pending, &self.ended) {
                Some(0) => {
                    let line = self.pending.iter().position(|byte| *byte == b'\n')?;
                    let line = self.pending.split_to(line + 1);
                    let status = std::str::from_utf8(&line[self.ended.len()..line.len() - 1]).ok();
                    self.state = State::Errors;
                    Some(match status.and_then(|status| status.trim().parse().ok()) {
                        Some(status) => Event::Ended(End::Exit(status)),
                        None => Event::Closed(Some("the mark of its end holds no status".to_owned())),
                    })
                }
                at => {
                    let whole = at.unwrap_or(self.pending.len() - overlap(&self.pending, &self.ended));
                    let text = self.pending.split_to(whole);
                    (!text.is_empty()).then(|| Event::Out(text.freeze()))
                }
            },
            State::Errors => {
                let text = self.pending.split();
                (!text.is_empty()).then(|| Event::Err(text.freeze()))
            }
        }
    }

    /// What is left when no more will come: it was no mark after all.
    fn rest(&mut self) -> Option<Event> {
        let text = self.pending.split().freeze();
        let event = if self.state == State::Output { Event::Out(text.clone()) } else { Event::Err(text.clone()) };
        (!text.is_empty()).then_some(event)
    }
}

impl<H: Hear> Hear for Unmixed<H> {
    async fn hear(&mut self) -> Event {
        loop {
            if let Some(event) = self.take() {
                return event;
            }
            if let Some(event) = self.next.take() {
                return event;
            }
            match self.hearing.hear().await {
                Event::Out(bytes) | Event::Err(bytes) => self.pending.extend_from_slice(&bytes),
                // How the wrapping ended says nothing once it has said how the program did.
                Event::Ended(_) if self.state == State::Errors => {}
                other => match self.rest() {
                    Some(rest) => {
                        self.next = Some(other);
                        return rest;
                    }
                    None => return other,
                },
            }
        }
    }
}

/// Speaks to a program at a terminal, whose input ends by itself.
pub(crate) struct Endless<S>(pub(crate) S);

impl<S: Speak> Speak for Endless<S> {
    async fn say(&mut self, bytes: Bytes) -> std::io::Result<()> {
        self.0.say(bytes).await
    }

    async fn finish(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// How many bytes at the end of `text` may be the beginning of `mark`.
fn overlap(text: &[u8], mark: &[u8]) -> usize {
    (1..mark.len().min(text.len() + 1)).rev().find(|count| text.ends_with(&mark[..*count])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Script(Vec<Event>);

    impl Hear for Script {
        async fn hear(&mut self) -> Event {
            if self.0.is_empty() { Event::Closed(None) } else { self.0.remove(0) }
        }
    }

    /// What is heard of these bytes when they arrive in pieces of this size: output, errors, how it ended.
    fn heard(bytes: &[u8], piece: usize, last: Vec<Event>) -> (Vec<u8>, Vec<u8>, Option<End>) {
        let mut events: Vec<Event> =
            bytes.chunks(piece).map(|piece| Event::Out(Bytes::copy_from_slice(piece))).collect();
        events.extend(last);
        let mut unmixed = Unmixed::new(Script(events), "snowmelt-began-1", &Terminal::new("1", 5));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut out, mut err, mut end) = (Vec::new(), Vec::new(), None);
        loop {
            match runtime.block_on(unmixed.hear()) {
                Event::Out(bytes) => out.extend_from_slice(&bytes),
                Event::Err(bytes) => err.extend_from_slice(&bytes),
                Event::Ended(status) => end = Some(status),
                Event::Closed(_) | Event::Refused => return (out, err, end),
            }
        }
    }

    #[test]
    fn output_errors_and_status_are_told_apart_however_they_arrive() {
        let all = b"lecture\nsnowmelt-began-1\nab\0\r\nsnowmelt-ended-2 snowmelt-endedsnowmelt-ended-1 3\nwarning\n";
        for piece in 1..all.len() {
            let (out, err, end) = heard(all, piece, vec![Event::Ended(End::Exit(0))]);
            assert_eq!(String::from_utf8_lossy(&out), "ab\0\r\nsnowmelt-ended-2 snowmelt-ended", "{piece}");
            assert_eq!(String::from_utf8_lossy(&err), "lecture\nsnowmelt-began-1\nwarning\n", "{piece}");
            assert_eq!(end, Some(End::Exit(3)), "{piece}");
        }
    }

    #[test]
    fn what_never_began_or_ended_is_told_as_it_came() {
        let refused = heard(b"you must have a tty", 4, vec![Event::Ended(End::Exit(1))]);
        assert_eq!(refused, (Vec::new(), b"you must have a tty".to_vec(), Some(End::Exit(1))));
        let cut = heard(b"snowmelt-began-1\nab snowmelt-end", 4, Vec::new());
        assert_eq!(cut, (b"ab snowmelt-end".to_vec(), b"snowmelt-began-1\n".to_vec(), None));
    }

    #[test]
    fn the_wrapping_gives_a_program_its_input_and_keeps_its_streams_apart() {
        use std::io::{Read, Write};
        use std::process::{Command, Stdio};
        let program = "printf 'a\\0'; cat; printf \"%s\" \"it's\" >&2; sleep 60 2>/dev/null >/dev/null & exit 7";
        for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
            for (length, input) in [(3, &b"x\0y"[..]), (0, b"")] {
                let text = Terminal::new("1", length).wrap("echo snowmelt-began-\"\"1", program);
                let mut command = Command::new(shell[0]);
                command.args(&shell[1..]).arg("-c").arg(text);
                let Ok(mut child) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else { continue };
                // The input is never closed, as at a terminal.
                let mut stdin = child.stdin.take().unwrap();
                stdin.write_all(input).unwrap();
                let mut bytes = Vec::new();
                child.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
                let (out, err, end) = heard(&bytes, 1000, Vec::new());
                assert_eq!(out, [b"a\0", input].concat(), "{shell:?}");
                assert_eq!(String::from_utf8_lossy(&err), "snowmelt-began-1\nit's", "{shell:?}");
                assert_eq!(end, Some(End::Exit(7)), "{shell:?}");
                child.wait().unwrap();
            }
        }
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(out in prop::collection::vec(any::<u8>(), 0..200), piece in 1usize..50) {
            let all = [b"snowmelt-began-1\n", out.as_slice(), b"snowmelt-ended-1 0\n"].concat();
            let (heard, _, end) = heard(&all, piece, Vec::new());
            prop_assert_eq!(heard, out);
            prop_assert_eq!(end, Some(End::Exit(0)));
        }
    }
}
