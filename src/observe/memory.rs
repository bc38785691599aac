//! What a host remembers of earlier runs: the record that tells "the declaration moved" from "the host moved".
//!
//! `<state>/<project>/<host>/record` is text, tab-separated, a line an event; the last line about an address wins. An act
//! replaces it by a compacted one with the next epoch and then appends to it, so a run that dies leaves a record of what was
//! done. `run` beside it tells how the last act ended.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::base::clean;
use crate::resource::Refresh;
use crate::wire::Frames;

/// What was applied to one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// First digits of the digest of the whole declaration.
    pub digest: String,
    /// First digits of the digest of each attribute's declaration.
    pub attributes: BTreeMap<String, String>,
    /// The commit that declared it, `-` without one; `+` behind it where the work tree was not clean.
    pub commit: String,
    /// Who applied it.
    pub who: String,
    /// When, in seconds since 1970.
    pub when: i64,
}

/// The record, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Counts acts. 0 where there never was one.
    pub epoch: u64,
    /// The commit of the last act, as in [`Applied::commit`].
    pub commit: Option<String>,
    /// By address.
    pub applied: BTreeMap<String, Applied>,
    /// Reloads and restarts that a run of ours owes.
    pub due: BTreeMap<String, Refresh>,
    /// For commands that run on a change: the digest of what they watch when they last ran.
    pub ran: BTreeMap<String, String>,
    /// For services: the digest of what they watch when we last had them take it, and the run of theirs it counts for.
    pub refreshed: BTreeMap<String, (String, String)>,
    /// How the last act ended.
    pub last: LastRun,
    /// Which act that was.
    pub run: Option<String>,
    /// Its steps, as far as they came.
    pub steps: BTreeMap<usize, StepMark>,
}

/// What the host wrote down about a step of the last act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepMark {
    /// It was done.
    Done,
    /// There was nothing to do.
    Nothing,
    /// It failed.
    Failed,
}

/// How the last act on the host ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LastRun {
    /// There was none.
    #[default]
    None,
    /// It ended, and whoever started it saw that.
    Followed,
    /// It ended, but nobody was there to see it: who, when, and what it says of itself.
    Unfollowed(String),
    /// It is still going on: who began it and when.
    Going(String),
    /// It ended without saying how: killed, or the host went down.
    Broken(String),
}

impl Memory {
    /// From the frame `memory`: whether `run` and `record` could be read and whether the lock is held, then both of them.
    ///
    /// # Errors
    /// Why the record could not be read, as a lowercase fragment. A record that is not there is an empty one.
    pub fn read(frames: &Frames) -> Result<Self, String> {
        let text = clean::utf8(&frames.get("memory").ok_or("the answer was cut")?.body);
        let (states, text) = text.split_once('\n').unwrap_or((&text, ""));
        let [has_run, has_record, lock] = states.split(' ').collect::<Vec<_>>()[..] else {
            return Err("what was applied to this host cannot be read: the answer is none".to_owned());
        };
        // No run holds a tab, so this is where the record begins, even if the last line of the run was cut.
        let at = if has_record == "0" { text.find("epoch\t").unwrap_or(text.len()) } else { text.len() };
        let (run, record) = text.split_at(if has_run == "0" { at } else { 0 });
        let mut memory = match has_record {
            "0" => Self::parse(record).ok_or_else(|| {
                let host = frames.get("host").map(|frame| clean::utf8(&frame.body).into_owned()).unwrap_or_default();
                let folder = host.lines().find_map(|line| line.strip_prefix("remembers ")).unwrap_or_default();
                format!(
                    "what was applied to this host cannot be read: {}/record is damaged; look at it, and move it away: then what \
                     is as declared is remembered anew",
                    clean::line(folder)
                )
            })?,
            "1" => Self::default(),
            _ => {
                return Err("what was applied to this host cannot be read: permission denied; \
                            apply as the user who applied before, or as root"
                    .to_owned());
            }
        };
        if has_run == "0" {
            memory.last = last_run(run, lock == "held");
            memory.run = run.lines().find_map(|line| line.strip_prefix("id ")).map(str::to_owned);
            memory.steps = run.lines().filter_map(step_mark).collect();
        }
        Ok(memory)
    }

    /// Reads a record; none if it does not begin as one does. Later lines that make no sense (of a later version, or cut) are
    /// passed over.
    fn parse(text: &str) -> Option<Self> {
        let mut memory = Self::default();
        let first: Vec<&str> = text.lines().next()?.split('\t').collect();
        let ["epoch", epoch, _] = first.as_slice() else { return None };
        epoch.parse::<u64>().ok()?;
        for line in text.lines() {
            let words: Vec<&str> = line.split('\t').collect();
            match words.as_slice() {
                ["epoch", epoch, commit] => {
                    memory.epoch = epoch.parse().unwrap_or(0);
                    memory.commit = (*commit != "-").then(|| (*commit).to_owned());
                }
                ["applied", address, digest, attributes, commit, who, when] => {
                    let pairs = attributes.split(',').filter_map(|pair| pair.split_once('='));
                    let applied = Applied {
                        digest: (*digest).to_owned(),
                        attributes: pairs.map(|(name, digest)| (name.to_owned(), digest.to_owned())).collect(),
                        commit: (*commit).to_owned(),
                        who: (*who).to_owned(),
                        when: when.parse().unwrap_or(0),
                    };
                    memory.applied.insert((*address).to_owned(), applied);
                }
                ["due", address, refresh] => {
                    let refresh = if *refresh == "restart" { Refresh::Restart } else { Refresh::Reload };
                    let owed = memory.due.entry((*address).to_owned()).or_insert(refresh);
                    *owed = refresh.max(*owed);
                }
                ["done", address] => {
                    memory.due.remove(*address);
                }
                ["ran", address, digest] => {
                    memory.ran.insert((*address).to_owned(), (*digest).to_owned());
                }
                ["refreshed", address, digest, invocation] => {
                    memory.refreshed.insert((*address).to_owned(), ((*digest).to_owned(), (*invocation).to_owned()));
                }
                _ => {}
            }
        }
        Some(memory)
    }

    /// The compacted record with which the next act begins.
    pub fn to_text(&self) -> String {
        let mut text = format!("epoch\t{}\t{}\n", self.epoch, self.commit.as_deref().unwrap_or("-"));
        for (address, applied) in &self.applied {
            text.push_str(&applied_line(address, applied));
        }
        for (address, refresh) in &self.due {
            let word = if *refresh == Refresh::Restart { "restart" } else { "reload" };
            let _ = writeln!(text, "due\t{address}\t{word}");
        }
        for (address, digest) in &self.ran {
            let _ = writeln!(text, "ran\t{address}\t{digest}");
        }
        for (address, (digest, invocation)) in &self.refreshed {
            let _ = writeln!(text, "refreshed\t{address}\t{digest}\t{invocation}");
        }
        text
    }
}

/// The line of the record that says what was applied to a resource. Addresses hold neither tabs nor line ends.
pub fn applied_line(address: &str, applied: &Applied) -> String {
    let Applied { digest, attributes, commit, who, when } = applied;
    let pairs: Vec<String> = attributes.iter().map(|(name, digest)| format!("{name}={digest}")).collect();
    let who = who.replace(['\t', '\n'], " ");
    format!("applied\t{address}\t{digest}\t{}\t{commit}\t{who}\t{when}\n", pairs.join(","))
}

/// `done 3 install nginx`
fn step_mark(line: &str) -> Option<(usize, StepMark)> {
    let mut words = line.splitn(3, ' ');
    let mark = match words.next()? {
        "done" => StepMark::Done,
        "nothing" => StepMark::Nothing,
        "failed" => StepMark::Failed,
        _ => return None,
    };
    Some((words.next()?.parse().ok()?, mark))
}

/// `run` holds `begun <when> <who>`, `id <word>`, `done|nothing|failed <number> <title>` for each step that was reached,
/// `ended <when> <status>`, and `followed` when whoever started it saw it end.
fn last_run(text: &str, held: bool) -> LastRun {
    let line = |word: &str| text.lines().find_map(|line| line.strip_prefix(word)).map(str::trim);
    let Some(begun) = line("begun ") else { return LastRun::None };
    let (when, who) = begun.split_once(' ').unwrap_or((begun, "somebody"));
    let when = when.parse::<i64>().ok().and_then(|when| jiff::Timestamp::from_second(when).ok());
    let when = when.map_or_else(|| "an unknown time".to_owned(), |when| when.to_string());
    let begun = format!("{who} at {when}");
    if held {
        return LastRun::Going(begun);
    }
    if line("ended ").is_none() {
        return LastRun::Broken(begun);
    }
    if line("followed").is_some() {
        return LastRun::Followed;
    }
    let failed: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("failed ")?.split_once(' ')).map(|(_, title)| title).collect();
    let done = text.lines().filter(|line| line.starts_with("done ")).count();
    let what = match failed.first() {
        Some(step) => format!("{done} steps were done, then this failed: {step}"),
        None => format!("{done} steps were done"),
    };
    LastRun::Unfollowed(format!("{begun}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_the_last_line_wins() {
        let text = "epoch\t4\tabc+\napplied\tr/file:/x\td1\tmode=aa,owner=bb\tabc\tme@there\t17\ndue\tr/service:n\treload\n\
                    ran\tr/command:c\tdd\nrefreshed\tr/service:n\tdd\tinv 5\n";
        let memory = Memory::parse(text).unwrap();
        assert_eq!(memory.epoch, 4);
        assert_eq!(memory.applied["r/file:/x"].attributes["owner"], "bb");
        assert_eq!(Memory::parse(&memory.to_text()), Some(memory));
        let later = Memory::parse(&format!("{text}done\tr/service:n\nran\tr/command:c\tee\nnonsense\n")).unwrap();
        for damaged in ["", "epo", "epoch\t4", "epoch\tx\t-\n", "\0\0"] {
            assert_eq!(Memory::parse(damaged), None, "{damaged}");
        }
        assert!(later.due.is_empty());
        assert_eq!(later.ran["r/command:c"], "ee");
    }

    fn told(body: &str) -> Result<Memory, String> {
        let nonce = crate::wire::Nonce::random().unwrap();
        let mut frames = Frames::new(&nonce);
        frames.push(format!("\n@{nonce} begin memory\n{body}\n@{nonce} end memory 0\n").as_bytes());
        Memory::read(&frames)
    }

    #[test]
    fn run_and_record_are_told_apart_whichever_is_there_or_cut() {
        let run = "begun 0 me@there\nid abc\ndone 0 write /x\nended 5 0\nfollowed\n";
        let record = "epoch\t4\tabc\nran\tr/command:epoch\tdd\n";
        let both = told(&format!("0 0 free\n{run}{record}")).unwrap();
        assert_eq!((both.epoch, &both.last, both.run.as_deref()), (4, &LastRun::Followed, Some("abc")));
        assert_eq!((both.steps.len(), both.ran.len()), (1, 1));
        let cut = told(&format!("0 0 held\nbegun 0 me@there\nid abc\ndone 0 wri{record}")).unwrap();
        assert_eq!((cut.epoch, cut.steps.len()), (4, 1));
        assert!(matches!(cut.last, LastRun::Going(_)));
        let alone = told(&format!("1 0 free\n{record}")).unwrap();
        assert_eq!((alone.epoch, alone.last, alone.run), (4, LastRun::None, None));
        let new = told(&format!("0 1 free\n{run}")).unwrap();
        assert_eq!((new.epoch, new.last), (0, LastRun::Followed));
        assert_eq!(told("1 1 free\n").unwrap(), Memory::default());
        for damaged in [format!("0 0 free\n{run}"), format!("0 0 free\n{run}nonsense\n"), "1 0 free\nx".to_owned()] {
            assert!(told(&damaged).unwrap_err().contains("is damaged"), "{damaged}");
        }
        for unread in ["4 4 free\n", "0 4 free\nbegun 0 me\n"] {
            assert!(told(unread).unwrap_err().contains("permission denied"), "{unread}");
        }
        assert!(told("").is_err() && told("nonsense").is_err());
    }

    #[test]
    fn tells_how_the_last_run_ended() {
        let begun = "begun 0 me@there\n";
        assert_eq!(last_run("", false), LastRun::None);
        assert_eq!(last_run(begun, true), LastRun::Going("me@there at 1970-01-01T00:00:00Z".into()));
        assert_eq!(last_run(begun, false), LastRun::Broken("me@there at 1970-01-01T00:00:00Z".into()));
        assert_eq!(last_run(&format!("{begun}ended 5 0\nfollowed\n"), false), LastRun::Followed);
        let unfollowed = last_run(&format!("{begun}done 0 a\nfailed 1 install x\nended 5 1\n"), false);
        let LastRun::Unfollowed(text) = unfollowed else { panic!("{unfollowed:?}") };
        assert_eq!(text, "me@there at 1970-01-01T00:00:00Z: 1 steps were done, then this failed: install x");
    }
}
