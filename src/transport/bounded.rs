//! A buffer that keeps the first and the last bytes of a stream and counts the rest.

use std::collections::VecDeque;

/// Keeps at most `half` bytes from the front and `half` from the back.
pub(crate) struct HeadTail {
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: usize,
}

impl HeadTail {
    pub(crate) fn new(half: usize) -> Self {
        Self { half, head: Vec::new(), tail: VecDeque::new(), dropped: 0 }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = self.half - self.head.len();
        let (head, rest) = bytes.split_at(bytes.len().min(room));
        self.head.extend_from_slice(head);
        // Of a chunk larger than the tail only its end can stay, so the rest of it is never copied.
        let skip = rest.len().saturating_sub(self.half);
        self.dropped += skip;
        self.tail.extend(&rest[skip..]);
        let over = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..over);
        self.dropped += over;
    }

    /// What was kept; where bytes are missing it says how many.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut out = self.head;
        if self.dropped > 0 {
            out.extend_from_slice(format!("\n… {} bytes left out …\n", self.dropped).as_bytes());
        }
        out.extend(self.tail);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(half: usize, chunks: &[&[u8]]) -> String {
        let mut buffer = HeadTail::new(half);
        for chunk in chunks {
            buffer.push(chunk);
        }
        String::from_utf8(buffer.finish()).unwrap()
    }

    #[test]
    fn keeps_both_ends_whatever_the_chunks() {
        assert_eq!(kept(4, &[b"abc", b"def"]), "abcdef");
        assert_eq!(kept(4, &[b"abcdefgh"]), "abcdefgh");
        assert_eq!(kept(4, &[b"abcdefghi"]), "abcd\n… 1 bytes left out …\nfghi");
        assert_eq!(kept(2, &[b"a", b"b", b"c", b"d", b"e", b"f"]), "ab\n… 2 bytes left out …\nef");
        assert_eq!(kept(2, &[]), "");
    }
}
