//! Questions at the terminal: one at a time, with nothing drawn over them, and a terminal that is afterwards what it was before,
//! also after Ctrl-C, which ends a question at once. What a secret is answered with is not shown.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::progress::Progress;
use crate::base::clean;
use crate::verbs::Interrupt;

/// The longest answer that a terminal hands over at once.
const LONGEST: usize = 4096;

/// The person at the terminal. A clone is the same one.
#[derive(Clone, Default)]
pub(super) struct Person(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Held while a question stands there.
    asking: Mutex<()>,
    /// What is going on meanwhile, if anything.
    run: Mutex<Option<(Arc<Progress>, Interrupt)>>,
    /// What the terminal was like before the question that stands there.
    before: Mutex<Option<Termios>>,
}

/// What came of a question.
enum Answer {
    Given(Zeroizing<String>),
    None,
    Interrupted,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person")
    }
}

impl Person {
    /// From now on this run makes room for questions, and is asked to end by Ctrl-C at one.
    pub(super) fn watches(&self, progress: &Arc<Progress>, interrupt: &Interrupt) {
        *lock(&self.0.run) = Some((Arc::clone(progress), interrupt.clone()));
    }

    /// The run is over: a question that still stands there is taken back.
    pub(super) fn is_done(&self) {
        *lock(&self.0.run) = None;
        self.0.restore();
    }

    /// Asks something that is answered with yes or no, and shows the answer. None after Ctrl-C: then whoever asks is to end.
    /// Nothing may be going on meanwhile.
    ///
    /// # Errors
    /// There is no terminal that could be asked.
    pub(super) fn agrees(&self, question: &str) -> Result<Option<bool>, Failure> {
        let _turn = lock(&self.0.asking);
        match self.0.ask(&format!("{question} [y/N] "), true) {
            Ok(Answer::Given(text)) => Ok(Some(is_yes(&text))),
            // Who closes standard input has not agreed.
            Ok(Answer::None) => Ok(Some(false)),
            Ok(Answer::Interrupted) => Ok(None),
            Err(error) => Err(Failure::new(format!("the terminal cannot be asked: {error}"), "give --yes")),
        }
    }

    /// Asks for something that is not shown while it is typed; `what` is what for, without a colon. After Ctrl-C there is no
    /// answer to anything: a run is asked to end, and where there is none the program is.
    pub(super) fn ask(&self, what: &str) -> Option<Zeroizing<String>> {
        let _turn = lock(&self.0.asking);
        let run = lock(&self.0.run).clone();
        if run.as_ref().is_some_and(|(_, interrupt)| interrupt.level() > 0) {
            return None;
        }
        let question = format!("{}: ", clean::line(what));
        let answer = match &run {
            Some((progress, _)) => progress.aside(|| self.0.ask(&question, false)),
            None => self.0.ask(&question, false),
        };
        match answer {
            Ok(Answer::Given(text)) => Some(text),
            Ok(Answer::None) | Err(_) => None,
            Ok(Answer::Interrupted) => {
                match run {
                    Some((_, interrupt)) => drop(interrupt.ask()),
                    // Whoever started us sees that it was Ctrl-C.
                    None => drop(kill_process(getpid(), Signal::INT)),
                }
                None
            }
        }
    }
}

impl Shared {
    fn ask(&self, question: &str, is_shown: bool) -> io::Result<Answer> {
        let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let interrupt = before.special_codes[SpecialCodeIndex::VINTR];
        let mut quiet = before.clone();
        // Ctrl-C does not end the program here, which would leave the terminal as it is, but the answer.
        quiet.local_modes -= LocalModes::ISIG;
        if !is_shown {
            quiet.local_modes -= LocalModes::ECHO;
        }
        quiet.special_codes[SpecialCodeIndex::VEOL] = interrupt;
        *lock(&self.before) = Some(before);
        // What was typed before the question was not meant for it.
        let answer = tcsetattr(&terminal, OptionalActions::Flush, &quiet)
            .map_err(io::Error::from)
            .and_then(|()| terminal.write_all(question.as_bytes()))
            .and_then(|()| read(&mut terminal, interrupt));
        self.restore();
        // The end of the line was not shown either, or was none.
        if !is_shown || !matches!(answer, Ok(Answer::Given(_))) {
            let _ = terminal.write_all(b"\n");
        }
        answer
    }

    fn restore(&self) {
        if let Some(before) = lock(&self.before).take()
            && let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty")
        {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
        }
    }
}

/// Whether an answer agrees; everything that is no clear yes does not.
fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Reads one line, which the terminal hands over when it ends.
fn read(terminal: &mut impl Read, interrupt: u8) -> io::Result<Answer> {
    let mut text = Zeroizing::new(Vec::with_capacity(2 * LONGEST));
    loop {
        let mut bytes = Zeroizing::new([0u8; LONGEST]);
        let count = match terminal.read(&mut *bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        text.extend_from_slice(&bytes[..count]);
        if text.len() > LONGEST {
            return Err(io::Error::other("the answer is too long"));
        }
        // Zero is what a terminal does not take for a key.
        if interrupt != 0 && text.last() == Some(&interrupt) {
            return Ok(Answer::Interrupted);
        }
        if count == 0 && text.is_empty() {
            return Ok(Answer::None);
        }
        if count == 0 || text.last() == Some(&b'\n') {
            let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(text.len());
            return Ok(match std::str::from_utf8(&text[..end]) {
                Ok(text) => Answer::Given(Zeroizing::new(text.to_owned())),
                Err(_) => Answer::None,
            });
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere does no harm to what is kept here.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands over these pieces, then says that there is no more.
    struct Typed(Vec<&'static [u8]>);

    impl Read for Typed {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            into[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    fn typed(pieces: &[&'static [u8]]) -> Option<String> {
        match read(&mut Typed(pieces.to_vec()), 3).unwrap() {
            Answer::Given(text) => Some(text.as_str().to_owned()),
            Answer::None => None,
            Answer::Interrupted => Some("interrupted".to_owned()),
        }
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(is_yes("y\n") && is_yes(" YES \n"));
        for no in ["", "\n", "n", "yy", "yes please", "ja"] {
            assert!(!is_yes(no), "{no}");
        }
    }

    #[test]
    fn a_line_is_an_answer() {
        assert_eq!(typed(&[b"a b \xc3\xa9\n"]).as_deref(), Some("a b é"));
        assert_eq!(typed(&[b"a", b"b\r\n"]).as_deref(), Some("ab"));
        assert_eq!(typed(&[b"\n"]).as_deref(), Some(""));
        assert_eq!(typed(&[b"ab"]).as_deref(), Some("ab"), "Ctrl-D twice");
        assert_eq!(typed(&[]), None, "Ctrl-D");
        assert_eq!(typed(&[b"\xff\n"]), None);
        assert_eq!(typed(&[b"ab\x03"]).as_deref(), Some("interrupted"));
        assert!(read(&mut Typed(vec![&[b'x'; LONGEST], b"y"]), 3).is_err());
    }
}
