//! The last line of defence: takes secrets out of text that is about to leave the program.
//!
//! Types keep secrets from where they do not belong. What comes back from a host (the output of a command, a line of a file) is
//! not typed, so everything that is written anywhere goes through a [`Redactor`], which knows the secrets of this run in all the
//! forms in which they are likely to come back. It knows nothing of where text goes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::clean;
use super::secret::Secret;

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// The shortest text that is taken for a secret: anything shorter is part of ordinary text too often. A secret of a project has
/// at least this many bytes.
pub const SHORTEST: usize = 6;

/// The fewest characters beside a `…` that are taken for a part of a secret.
const SHORTEST_PART: usize = 4;

/// Knows secrets and finds them in text. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Not wiped: they are needed until the last word has been written.
    forms: BTreeSet<String>,
    /// Built at the first question after something was learned.
    automaton: Option<Arc<AhoCorasick>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// From now on this secret is masked, as a whole and line by line.
    pub fn learn(&self, secret: &Secret) {
        let text = secret.expose();
        let lines = text.lines().map(str::trim).filter(|line| line.len() >= SHORTEST);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in std::iter::once(text).chain(std::iter::once(text.trim())).chain(lines) {
            known.forms.extend(forms(part));
        }
        known.automaton = None;
    }

    /// Whether there is nothing to look for.
    pub fn knows_nothing(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).forms.is_empty()
    }

    /// The text without secrets.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.forms.is_empty() {
            return Cow::Borrowed(text);
        }
        let automaton = match &known.automaton {
            Some(automaton) => Arc::clone(automaton),
            None => match build(&known.forms) {
                Some(automaton) => Arc::clone(known.automaton.insert(automaton)),
                // Too much to look for at once: better nothing is said than a secret.
                None => return Cow::Borrowed(MASK),
            },
        };
        // Two secrets may overlap; what either covers is hidden.
        let mut hidden: Vec<(usize, usize)> =
            automaton.find_overlapping_iter(text).map(|found| (found.start(), found.end())).collect();
        hidden.extend(cut_short(text, &known.forms));
        drop(known);
        if hidden.is_empty() {
            return Cow::Borrowed(text);
        }
        hidden.sort_unstable();
        let mut out = String::with_capacity(text.len());
        let mut at = None;
        for (start, end) in hidden {
            if at.is_none_or(|at| start > at) {
                out.push_str(&text[at.unwrap_or(0)..start]);
                out.push_str(MASK);
            }
            at = at.max(Some(end));
        }
        out.push_str(&text[at.unwrap_or(0)..]);
        Cow::Owned(out)
    }
}

fn build(forms: &BTreeSet<String>) -> Option<Arc<AhoCorasick>> {
    let patterns = forms.iter().map(|form| form.as_bytes());
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        // `upper` and `lower` are filters, and hexadecimal digits come in both.
        .ascii_case_insensitive(true)
        .build(patterns)
        .ok()
        .map(Arc::new)
}

/// Beginnings of secrets before a `…`, and their ends behind one: what was shortened where one stood.
fn cut_short(text: &str, forms: &BTreeSet<String>) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, mark) in text.match_indices('…') {
        let (before, behind) = (&text[..at], &text[at + mark.len()..]);
        for form in forms {
            let cuts = || form.char_indices().map(|(cut, _)| cut).chain([form.len()]);
            let is_beginning = |cut: &usize| *cut >= SHORTEST_PART && before.ends_with(&form[..*cut]);
            if let Some(cut) = cuts().rfind(is_beginning) {
                found.push((at - cut, at));
            }
            let is_end = |cut: &usize| form.len() - cut >= SHORTEST_PART && behind.starts_with(&form[*cut..]);
            if let Some(cut) = cuts().find(is_end) {
                found.push((at + mark.len(), at + mark.len() + form.len() - cut));
            }
        }
    }
    found
}

/// The forms in which a text may come back. Short ones are left out: they are part of ordinary text too often.
fn forms(text: &str) -> Vec<String> {
    let debug = format!("{text:?}");
    let json = json(text);
    let mut forms = vec![
        text.to_owned(),
        text.replace('\n', "\r\n"),
        hex::encode(text),
        percent(text, false),
        percent(text, true),
        // Shells, with either kind of quotes.
        text.replace('\'', r"'\''"),
        text.replace('\'', r#"'"'"'"#),
        escape(text, &['\\', '"', '$', '`']),
        // YAML in single quotes.
        text.replace('\'', "''"),
        // JSON, and JSON in JSON.
        self::json(&json),
        json,
        xml(text, "&apos;"),
        xml(text, "&#39;"),
        debug[1..debug.len() - 1].to_owned(),
        clean::line(text).into_owned(),
        clean::lines(text).into_owned(),
    ];
    for offset in 0..3 {
        let mut shifted = vec![0; offset];
        shifted.extend_from_slice(text.as_bytes());
        // Characters that also hold bits of what stands before or behind are not part of the form.
        let (from, to) = ((offset * 8).div_ceil(6), shifted.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            forms.extend(encoded.get(from..to).map(str::to_owned));
        }
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

fn escape(text: &str, special: &[char]) -> String {
    text.chars().flat_map(|c| special.contains(&c).then_some('\\').into_iter().chain([c])).collect()
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn xml(text: &str, apostrophe: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', apostrophe)
}

/// `%20`, or `+` for a space as in forms.
fn percent(text: &str, is_form: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' if is_form => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn knowing(secrets: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        for secret in secrets {
            redactor.learn(&Secret::new("s/x", (*secret).to_owned()));
        }
        redactor
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = r#"it's <"a"> & $5 50%/ü"#;
        let redactor = knowing(&[secret]);
        for text in [
            secret.to_owned(),
            secret.to_uppercase().replace('Ü', "ü"),
            STANDARD.encode(format!("x{secret}y")),
            STANDARD.encode(format!("xy{secret}")),
            STANDARD.encode(format!("xyz{secret}yz")),
            URL_SAFE_NO_PAD.encode(secret),
            hex::encode(secret),
            hex::encode_upper(secret),
            percent(secret, false),
            percent(secret, true).to_lowercase(),
            super::super::quote::always(secret),
            serde_json::Value::from(secret).to_string(),
            serde_json::json!({"a": serde_json::json!({"b": secret}).to_string()}).to_string(),
            xml(secret, "&apos;"),
            format!("{secret:?}"),
        ] {
            let shown = redactor.redact(&text).into_owned();
            assert!(shown.contains(MASK) && shown.len() <= MASK.len() + 20, "{text}: {shown}");
        }
        assert_eq!(redactor.redact("nothing of the kind"), "nothing of the kind");
    }

    #[test]
    fn secrets_of_several_lines_are_found_line_by_line() {
        let redactor = knowing(&["-----BEGIN-----\n  c2VjcmV0\nab\n-----END-----\n"]);
        assert_eq!(redactor.redact("   | c2VjcmV0\n   | ab\n"), "   | ***\n   | ab\n");
    }

    #[test]
    fn overlapping_and_neighbouring_secrets_leave_nothing() {
        let redactor = knowing(&["abcdefgh", "efghijkl"]);
        assert_eq!(redactor.redact("-abcdefghijkl-"), "-***-");
        assert_eq!(redactor.redact("abcdefghefghijkl"), "***");
        assert_eq!(redactor.redact("abcdefgh"), "***");
    }

    #[test]
    fn what_is_left_of_a_shortened_secret_is_hidden() {
        let redactor = knowing(&["correct horse battery"]);
        assert_eq!(redactor.redact("pw=correct ho…ttery!"), "pw=***…***!");
        assert_eq!(redactor.redact("cor…y"), "cor…y");
    }

    #[test]
    fn who_knows_nothing_changes_nothing() {
        assert!(matches!(Redactor::default().redact("…hunter2"), Cow::Borrowed("…hunter2")));
        assert!(Redactor::default().knows_nothing());
        assert!(knowing(&["ab"]).knows_nothing(), "too short to be told from other text");
    }
}
