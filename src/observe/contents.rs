//! The content of files: of those that are edited, and of those that a diff is made of.

use super::place::Place;
use super::script::{Script, content};
use crate::wire::{Frame, Frames, Nonce};

/// A file of which a part is declared, or of which a diff is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileReading {
    /// Its content.
    Content(Vec<u8>),
    /// It does not exist; its folder does.
    Absent,
    /// Neither it nor its folder exists.
    NoFolder,
    /// It could not be read, and why.
    Unknown(String),
}

impl FileReading {
    /// From the frame of `slurp`, whose statuses it knows.
    pub(super) fn from_frame(frame: Option<&Frame>) -> Self {
        const LIMIT: usize = 1 << 20;
        let Some(frame) = frame else { return Self::Unknown("the answer was cut".to_owned()) };
        match frame.status {
            0 if frame.body.len() > LIMIT => Self::Unknown("larger than 1 MiB".to_owned()),
            0 => Self::Content(frame.body.clone()),
            1 => Self::Absent,
            2 => Self::Unknown("not a regular file".to_owned()),
            5 => Self::NoFolder,
            _ => Self::Unknown("permission denied".to_owned()),
        }
    }
}

/// The script that reads the content of files for a diff.
pub fn content_script(paths: &[&str], place: &Place, nonce: &Nonce) -> Script {
    let mut text = String::new();
    for (number, path) in paths.iter().enumerate() {
        content(&mut text, number, path);
    }
    Script::of(place, nonce, &text)
}

/// The answers to [`content_script`], in the order of its paths.
pub fn read_contents(paths: &[&str], frames: &Frames) -> Vec<FileReading> {
    (0..paths.len()).map(|number| FileReading::from_frame(frames.get(&format!("f{number}")))).collect()
}
