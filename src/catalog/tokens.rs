//! A reader of `{{ … }}` that needs no values: where code stands in a text, and the words of that code.
//!
//! It knows just enough of Jinja to find names, filters, tests and comparisons with their places, so that mistakes are shown
//! before anything is rendered. What code means is minijinja's business.

/// A part of a text with `{{ }}` in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Piece<'a> {
    /// Text that stands for itself.
    Text(&'a str),
    /// An expression (what stands between the braces), and its offset in the whole text.
    Code(&'a str, usize),
}

/// Splits a YAML string at its `{{ }}`.
///
/// # Errors
/// The offset of a `{{` that is never closed.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, usize> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|found| at + found) {
        let end = code_end(text, open + 2, "}}").ok_or(open)?;
        if open > at {
            out.push(Piece::Text(&text[at..open]));
        }
        out.push(Piece::Code(&text[open + 2..end], open + 2));
        at = end + 2;
    }
    if at < text.len() {
        out.push(Piece::Text(&text[at..]));
    }
    Ok(out)
}

/// Where a Jinja statement such as `{% if … %}` stands in a YAML string. Other text with `{%` in it (a format of `stat`) is
/// none.
pub(crate) fn statement(text: &str) -> Option<usize> {
    const WORDS: &[&str] = &[
        "if", "elif", "else", "endif", "for", "endfor", "set", "endset", "include", "extends", "import", "from",
        "macro", "endmacro", "block", "endblock", "raw", "endraw", "with", "endwith", "filter", "call",
    ];
    let mut at = 0;
    while let Some(open) = text[at..].find("{%").map(|found| at + found) {
        let rest = text[open + 2..].trim_start_matches(['-', '+']).trim_start();
        let word = rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
        if WORDS.contains(&word) && rest.contains("%}") {
            return Some(open);
        }
        at = open + 2;
    }
    None
}

/// The code of a template, `{{ }}` and `{% %}` alike: each part with its offset. Comments and `{% raw %}` are left out.
pub(crate) fn template_code(text: &str) -> Vec<(&str, usize)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|found| at + found) {
        let close = match text.as_bytes().get(open + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => {
                at = text[open..].find("#}").map_or(text.len(), |found| open + found + 2);
                continue;
            }
            _ => {
                at = open + 1;
                continue;
            }
        };
        let Some(end) = code_end(text, open + 2, close) else { break };
        let code = &text[open + 2..end];
        at = end + 2;
        if close == "%}" && code.trim_matches(|c: char| c.is_whitespace() || c == '-' || c == '+') == "raw" {
            at = text[at..].find("endraw").map_or(text.len(), |found| at + found);
            continue;
        }
        out.push((code, open + 2));
    }
    out
}

/// The offset of `close` behind `from`, outside of quotes and braces.
fn code_end(text: &str, from: usize, close: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut quote) = (from, 0_usize, None);
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, _) if depth == 0 && text.as_bytes()[at..].starts_with(close.as_bytes()) => return Some(at),
            (None, b'{') => depth += 1,
            (None, b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word<'a> {
    /// A name or keyword.
    Name(&'a str),
    /// A quoted text, escapes left as they are.
    Quoted(&'a str),
    /// Digits.
    Number,
    /// Any other character; `==` and `!=` are one.
    Sign(&'a str),
}

/// A token and its offset in the code.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    /// What it is.
    pub(crate) word: Word<'a>,
    /// Offset of its first byte.
    pub(crate) at: usize,
    /// Its length in bytes.
    pub(crate) len: usize,
}

impl<'a> Token<'a> {
    /// The name, if it is one.
    pub(crate) fn name(&self) -> Option<&'a str> {
        match self.word {
            Word::Name(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it is this sign.
    pub(crate) fn is(&self, sign: &str) -> bool {
        self.word == Word::Sign(sign)
    }
}

/// The tokens of an expression or a statement.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let bytes = code.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let from = at;
        let word = match bytes[at] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                at += count(&bytes[at..], |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                Word::Name(&code[from..at])
            }
            byte if byte.is_ascii_digit() => {
                at += count(&bytes[at..], |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                Word::Number
            }
            quote @ (b'"' | b'\'') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(bytes.len());
                Word::Quoted(code.get(from + 1..at - 1).unwrap_or(""))
            }
            b'=' | b'!' if bytes.get(at + 1) == Some(&b'=') => {
                at += 2;
                Word::Sign(&code[from..at])
            }
            _ => {
                at += code[at..].chars().next().map_or(1, char::len_utf8);
                Word::Sign(&code[from..at])
            }
        };
        out.push(Token { word, at: from, len: at - from });
    }
    out
}

fn count(bytes: &[u8], part: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| part(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_braces_and_not_at_those_in_quotes() {
        let split = pieces("a {{ x }}{{ \"}}\" ~ {'a': {'b': 1}} }} b").unwrap();
        assert_eq!(
            split,
            [
                Piece::Text("a "),
                Piece::Code(" x ", 4),
                Piece::Code(" \"}}\" ~ {'a': {'b': 1}} ", 11),
                Piece::Text(" b")
            ]
        );
        assert_eq!(pieces("a {{ x").unwrap_err(), 2);
        assert_eq!(pieces("${#a} {%a}").unwrap(), [Piece::Text("${#a} {%a}")]);
    }

    #[test]
    fn knows_statements_from_formats() {
        assert_eq!(statement("a {% if x %}b{% endif %}"), Some(2));
        assert_eq!(statement("a {%- for x in y %}"), Some(2));
        assert_eq!(statement("stat -c '{%a}' /x"), None);
        assert_eq!(statement("${x%%if}"), None);
    }

    #[test]
    fn comments_and_raw_parts_are_no_code() {
        let code = template_code("{# {{ a }} #}{% raw %}{{ b }}{% endraw %}{{ c }} { {% if d %}");
        let texts: Vec<&str> = code.iter().map(|(text, _)| text.trim()).collect();
        assert_eq!(texts, ["c", "if d"]);
    }

    #[test]
    fn a_text_that_ends_early_is_no_panic() {
        assert_eq!(tokens("a == 'b").len(), 3);
        assert_eq!(tokens("'a\\").len(), 1);
        assert_eq!(tokens("'ä\\ü").len(), 1);
        assert_eq!(tokens("ä | ö").len(), 3);
        assert!(template_code("{{ 'x").is_empty());
    }
}
