//! Frames: answers between marks, parsed as they stream.
//!
//! ```text
//! <line end>@NONCE begin ID<line end> …body… <line end>@NONCE end ID STATUS<line end>
//! ```
//! The body may hold any bytes. What stands outside frames is noise. A frame that begins before another has ended ends the
//! other one as incomplete.

use std::collections::HashMap;

use super::nonce::Nonce;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What printed it, as the script named it.
    pub id: String,
    /// The bytes between the marks.
    pub body: Vec<u8>,
    /// The exit status behind the end mark.
    pub status: u8,
}

/// Collects frames from a stream of bytes.
#[derive(Debug)]
pub struct Frames {
    mark: Vec<u8>,
    buffer: Vec<u8>,
    /// Up to here the buffer was searched for marks.
    searched: usize,
    open: Option<String>,
    found: HashMap<String, Frame>,
    order: Vec<String>,
}

impl Frames {
    /// A collector for frames with this nonce.
    pub fn new(nonce: &Nonce) -> Self {
        Self {
            mark: format!("\n@{nonce} ").into_bytes(),
            // A mark at the very beginning has no line end before it.
            buffer: vec![b'\n'],
            searched: 0,
            open: None,
            found: HashMap::new(),
            order: Vec::new(),
        }
    }

    /// The shell functions that print marks: `b ID` and `e ID STATUS`. Each write to a connection is a packet, so an end mark
    /// waits for the next mark, or for `flush`. The frame `done` is the last one.
    pub fn functions(nonce: &Nonce) -> String {
        format!(
            "M=\nflush() {{ printf %s \"$M\"; M=; }}\nb() {{ M=\"$M\n@{nonce} begin $1\n\"; flush; }}\n\
             e() {{ M=\"\n@{nonce} end $1 $2\n\"; [ \"$1\" != done ] || flush; }}\n"
        )
    }

    /// Takes the next bytes of the stream. Returns the ids of the frames that were completed by them, in order.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.buffer.extend_from_slice(bytes);
        let mut completed = Vec::new();
        while let Some(at) = find(&self.buffer[self.searched..], &self.mark).map(|at| at + self.searched) {
            let line_start = at + self.mark.len();
            let Some(line_len) = self.buffer[line_start..].iter().position(|byte| *byte == b'\n') else {
                self.searched = at;
                return completed;
            };
            let line = String::from_utf8_lossy(&self.buffer[line_start..line_start + line_len]).into_owned();
            let body = self.buffer[..at].to_vec();
            // The line end of this mark may be the one before the next mark.
            self.buffer.drain(..line_start + line_len);
            self.searched = 0;
            completed.extend(self.take_mark(&line, body));
        }
        self.searched = self.buffer.len().saturating_sub(self.mark.len());
        if self.open.is_none() {
            // Noise outside frames is not kept.
            self.buffer.drain(..self.searched);
            self.searched = 0;
        }
        completed
    }

    /// Takes a mark and what stood before it; the id of the frame that it completes.
    fn take_mark(&mut self, line: &str, body: Vec<u8>) -> Option<String> {
        let mut words = line.split(' ');
        match (words.next(), words.next()) {
            (Some("begin"), Some(id)) => {
                self.open = Some(id.to_owned());
                None
            }
            (Some("end"), Some(id)) if self.open.as_deref() == Some(id) => {
                self.open = None;
                let status = words.next()?.parse().ok()?;
                // The body begins with the line end of its begin mark.
                let body = body.get(1..).unwrap_or_default().to_vec();
                self.order.push(id.to_owned());
                self.found.insert(id.to_owned(), Frame { id: id.to_owned(), body, status });
                Some(id.to_owned())
            }
            _ => {
                self.open = None;
                None
            }
        }
    }

    /// The frame with this id, if it is complete.
    pub fn get(&self, id: &str) -> Option<&Frame> {
        self.found.get(id)
    }

    /// All complete frames in the order in which they ended.
    pub fn iter(&self) -> impl Iterator<Item = &Frame> {
        self.order.iter().filter_map(|id| self.found.get(id))
    }

    /// Whether nothing at all was recognized.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut from = 0;
    while let Some(at) = haystack.get(from..)?.iter().position(|byte| byte == first) {
        let start = from + at;
        if haystack[start + 1..].starts_with(rest) {
            return Some(start);
        }
        from = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(parts: &[(&str, &[u8], u8)]) -> Vec<u8> {
        let mut out = b"Welcome!\nmotd\n".to_vec();
        for (id, body, status) in parts {
            out.extend(format!("\n@n0 begin {id}\n").bytes());
            out.extend(*body);
            out.extend(format!("\n@n0 end {id} {status}\n").bytes());
        }
        out
    }

    #[test]
    fn noise_is_not_an_answer_and_bodies_are_exact() {
        let mut frames = Frames::new(&Nonce::fixed("n0"));
        frames.push(&stream(&[("a", b"", 0), ("b", b"x\n\n", 7), ("c", b"\0\xff", 0)]));
        let all: Vec<_> = frames.iter().map(|frame| (frame.id.as_str(), frame.body.as_slice(), frame.status)).collect();
        assert_eq!(all, [("a", &b""[..], 0), ("b", &b"x\n\n"[..], 7), ("c", &b"\0\xff"[..], 0)]);
    }

    #[test]
    fn a_frame_without_its_end_is_none() {
        let whole = stream(&[("a", b"body", 0)]);
        for cut in 0..whole.len() {
            let mut frames = Frames::new(&Nonce::fixed("n0"));
            frames.push(&whole[..cut]);
            assert_eq!(frames.get("a"), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_foreign_mark_is_part_of_the_body() {
        let mut frames = Frames::new(&Nonce::fixed("n0"));
        frames.push(&stream(&[("a", b"\n@n1 end a 0\n", 0)]));
        assert_eq!(frames.get("a").unwrap().body, b"\n@n1 end a 0\n");
    }

    #[test]
    fn a_real_shell_prints_what_is_understood() {
        let nonce = Nonce::random().unwrap();
        let script = format!("{}b x\nprintf 'no line end'\ne x 0\nb y\ne y 3\nflush\n", Frames::functions(&nonce));
        let out = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        let mut frames = Frames::new(&nonce);
        assert_eq!(frames.push(&out.stdout), ["x", "y"]);
        assert_eq!(frames.get("x").unwrap().body, b"no line end");
        assert_eq!((frames.get("y").unwrap().body.as_slice(), frames.get("y").unwrap().status), (&b""[..], 3));
    }

    proptest! {
        #[test]
        fn the_size_of_the_pieces_does_not_matter(body in proptest::collection::vec(any::<u8>(), 0..60), size in 1usize..30) {
            let whole = stream(&[("a", &body, 0), ("b", b"2", 1)]);
            let mut frames = Frames::new(&Nonce::fixed("n0"));
            for piece in whole.chunks(size) {
                frames.push(piece);
            }
            prop_assert_eq!(&frames.get("a").unwrap().body, &body);
            prop_assert_eq!(frames.get("b").unwrap().status, 1);
        }
    }
}
