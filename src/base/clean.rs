//! Makes bytes from a host, or from a file, safe to show.
//!
//! Every byte that comes from a server is hostile: it may hold terminal escapes, bidirectional overrides, carriage returns
//! that hide text, or bytes that are no UTF-8. What is cleaned stays readable: a control character becomes its `\xNN` form.

use std::borrow::Cow;

/// Text for one line: every control character, line ends included, becomes visible.
pub fn line(text: &str) -> Cow<'_, str> {
    visible(text, |_| false)
}

/// Text of several lines: line feeds and tabs stay, everything else that is not shown as itself becomes visible.
pub fn lines(text: &str) -> Cow<'_, str> {
    visible(text, |c| c == '\n' || c == '\t')
}

/// Bytes as text: valid UTF-8 as it is, any other byte as `\xNN`. Not yet safe to show: pass it through [`line()`] or
/// [`lines()`].
pub fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(out)
}

/// At most `limit` characters, the middle replaced by `…` when it is longer.
pub fn shorten(text: &str, limit: usize) -> Cow<'_, str> {
    let count = text.chars().count();
    if count <= limit {
        return Cow::Borrowed(text);
    }
    let head = limit.saturating_sub(1) * 2 / 3;
    let tail = limit.saturating_sub(1) - head;
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - tail).collect();
    Cow::Owned(format!("{start}…{end}"))
}

/// Whether a character must not reach a terminal as itself: controls (C0, C1, DEL), bidirectional marks and overrides,
/// zero-width and other invisible format characters, line and paragraph separators.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn visible(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|c| is_hidden(c) && !keep(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            _ if !is_hidden(c) || keep(c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            _ => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_stays_hidden() {
        assert_eq!(line("a\u{1b}[31mb\rc\nd\u{202e}e\u{9b}"), "a\\x1b[31mb\\rc\\nd\\u{202e}e\\x9b");
        assert_eq!(lines("a\tb\nc\r"), "a\tb\nc\\r");
        assert_eq!(line("grün 雪"), "grün 雪");
    }

    #[test]
    fn bytes_that_are_no_text_stay_visible() {
        assert_eq!(utf8(b"a\xffb\xc3"), "a\\xffb\\xc3");
        assert_eq!(utf8("ä".as_bytes()), "ä");
    }

    #[test]
    fn long_text_loses_its_middle() {
        assert_eq!(shorten("abcdefghij", 7), "abcd…ij");
        assert_eq!(shorten("abc", 7), "abc");
    }
}
