//! The last line of defence: takes secrets out of text that is about to leave the program.
//!
//! Types keep secrets from where they do not belong. What comes back from a host (the output of a command, a line of a file) is
//! not typed, so everything that is written anywhere goes through a [`Redactor`], which knows the secrets of this run in all the
//! forms in which they are likely to come back. It knows nothing of where text goes.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
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

/// The fewest bytes beside a `…` that are taken for a part of a secret.
const SHORTEST_PART: usize = 4;

/// What is longer than this is looked for piece by piece: otherwise what a long secret is looked for by grows with each of its
/// forms, and a part of it would not be found.
const LONGEST_WHOLE: usize = 512;

/// How long a piece is, and how much of it the one before it holds, too: as much as base64 needs to be found without a gap.
const PIECE: usize = 96;
const OVERLAP: usize = 6;

/// How many bytes are looked for together as decimal numbers.
const DECIMALS: usize = 12;

/// How many characters of base64 programs put into a line.
const BASE64_LINES: [usize; 2] = [64, 76];

/// Knows secrets and finds them in text. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Not wiped: they are needed until the last word has been written.
    forms: BTreeSet<String>,
    /// Built at the first question after something was learned.
    finder: Option<Arc<Finder>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

impl Redactor {
    /// From now on this secret is masked, as a whole and line by line.
    pub fn learn(&self, secret: &Secret) {
        self.learn_bytes(secret.expose().as_bytes());
    }

    /// The same for something secret that need not be text.
    pub fn learn_bytes(&self, bytes: &[u8]) {
        if bytes.len() < SHORTEST {
            return;
        }
        let mut found = BTreeSet::new();
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                // A carriage return alone ends a line as well, where a terminal shows it.
                let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| line.len() >= SHORTEST);
                for part in [text, text.trim()].into_iter().chain(lines) {
                    pieces(part).for_each(|piece| found.extend(forms(piece)));
                }
            }
            Err(_) => {
                let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
                let runs = bytes.split(|byte| !is_text(byte)).filter_map(|run| std::str::from_utf8(run).ok());
                for run in runs.map(str::trim).filter(|run| run.len() >= SHORTEST) {
                    pieces(run).for_each(|piece| found.extend(forms(piece)));
                }
                let starts = (0..bytes.len()).step_by(PIECE - OVERLAP);
                starts.for_each(|start| found.extend(encoded(&bytes[start..bytes.len().min(start + PIECE)])));
            }
        }
        for bytes in [bytes, bytes.trim_ascii()] {
            let whole = STANDARD_NO_PAD.encode(bytes);
            for width in BASE64_LINES.into_iter().filter(|width| whole.len() > *width) {
                // All of it is ASCII.
                found.extend(whole.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned()));
            }
        }
        found.retain(|form| form.len() >= SHORTEST);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.forms.extend(found);
        known.finder = None;
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
        let finder = match &known.finder {
            Some(finder) => Arc::clone(finder),
            None => match Finder::new(&known.forms) {
                Some(finder) => Arc::clone(known.finder.insert(Arc::new(finder))),
                // Too much to look for at once: better nothing is said than a secret.
                None => return Cow::Borrowed(MASK),
            },
        };
        drop(known);
        // Two secrets may overlap; what either covers is hidden.
        let mut hidden: Vec<(usize, usize)> =
            finder.automaton.find_overlapping_iter(text).map(|found| (found.start(), found.end())).collect();
        hidden.extend(finder.cut_short(text));
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

/// What is looked for, ready to be looked for.
struct Finder {
    automaton: AhoCorasick,
    forms: Vec<String>,
    /// Which forms begin with these bytes, and which end with them.
    heads: HashMap<[u8; SHORTEST_PART], Vec<usize>>,
    tails: HashMap<[u8; SHORTEST_PART], Vec<usize>>,
    longest: usize,
}

impl Finder {
    fn new(forms: &BTreeSet<String>) -> Option<Self> {
        let forms: Vec<String> = forms.iter().cloned().collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            // `upper` and `lower` are filters, and hexadecimal digits come in both.
            .ascii_case_insensitive(true)
            .build(forms.iter().map(|form| form.as_bytes()))
            .ok()?;
        let (mut heads, mut tails) = (HashMap::<_, Vec<usize>>::new(), HashMap::<_, Vec<usize>>::new());
        for (index, form) in forms.iter().enumerate() {
            heads.entry(*form.as_bytes().first_chunk()?).or_default().push(index);
            tails.entry(*form.as_bytes().last_chunk()?).or_default().push(index);
        }
        let longest = forms.iter().map(String::len).max().unwrap_or(0);
        Some(Self { automaton, forms, heads, tails, longest })
    }

    /// Beginnings of secrets before a `…`, and their ends behind one: what was shortened where one stood.
    fn cut_short(&self, text: &str) -> Vec<(usize, usize)> {
        let bytes = text.as_bytes();
        let among = |known: &HashMap<[u8; SHORTEST_PART], Vec<usize>>,
                     key: Option<&[u8; SHORTEST_PART]>,
                     fits: &dyn Fn(&[u8]) -> bool| {
            let indexes = key.and_then(|key| known.get(key)).map(Vec::as_slice).unwrap_or_default();
            indexes.iter().any(|index| fits(self.forms[*index].as_bytes()))
        };
        let mut found = Vec::new();
        for (at, mark) in text.match_indices('…') {
            let begins = |start: &usize| {
                let part = &bytes[*start..at];
                among(&self.heads, part.first_chunk(), &|form| form.starts_with(part))
            };
            found.extend((at.saturating_sub(self.longest)..at).find(begins).map(|start| (start, at)));
            let behind = at + mark.len();
            let ends = |end: &usize| {
                let part = &bytes[behind..*end];
                among(&self.tails, part.last_chunk(), &|form| form.ends_with(part))
            };
            found.extend((behind..=bytes.len().min(behind + self.longest)).rev().find(ends).map(|end| (behind, end)));
        }
        // What fits byte by byte could begin within a character only if a form did.
        found.retain(|(start, end)| text.is_char_boundary(*start) && text.is_char_boundary(*end));
        found
    }
}

/// A text as a whole, or, if it is long, in pieces that overlap.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let (length, overlap) = if text.len() > LONGEST_WHOLE { (PIECE, OVERLAP) } else { (text.len(), 0) };
    let boundary = |at: usize| (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    let starts = (0..text.len()).step_by((length - overlap).max(1));
    starts.map(move |start| &text[boundary(start)..boundary(text.len().min(start + length))])
}

/// The forms in which a text may come back. Short ones are left out: they are part of ordinary text too often.
fn forms(text: &str) -> Vec<String> {
    let debug = format!("{text:?}");
    let json = json(text);
    let mut forms = vec![
        text.to_owned(),
        text.replace('\n', "\r\n"),
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
    // The finder takes letters of ASCII in either case; `upper` and `lower` know others.
    if !text.is_ascii() {
        forms.extend([text.to_uppercase(), text.to_lowercase()]);
    }
    forms.extend(encoded(text.as_bytes()));
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// The forms of bytes that have nothing to do with text.
fn encoded(bytes: &[u8]) -> Vec<String> {
    let mut forms = vec![hex::encode(bytes)];
    // As programs that log bytes show them, which leave much out of a long list.
    let decimal: Vec<String> = bytes.iter().map(u8::to_string).collect();
    forms.extend(decimal.chunks(DECIMALS).map(|some| some.join(", ")).filter(|some| some.len() > 3 * SHORTEST));
    for offset in 0..3 {
        let mut shifted = vec![0; offset];
        shifted.extend_from_slice(bytes);
        // Characters that also hold bits of what stands before or behind are not part of the form.
        let (from, to) = ((offset * 8).div_ceil(6), shifted.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            forms.extend(encoded.get(from..to).map(str::to_owned));
        }
    }
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
            secret.to_uppercase(),
            secret.to_lowercase(),
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
    fn what_is_printed_of_a_long_secret_is_found_whatever_part_it_is() {
        let mut state = 1_u64;
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        let noise: Vec<u8> = (0..1500).map(|_| byte()).collect();
        let pem = format!("-----BEGIN KEY-----\r\n{}\r\n-----END KEY-----\r\n", wrapped(&STANDARD.encode(&noise), 64));
        let one_line = STANDARD.encode(&noise);
        for secret in [noise.as_slice(), pem.as_bytes(), one_line.as_bytes()] {
            let redactor = Redactor::default();
            redactor.learn_bytes(secret);
            let base64 = STANDARD.encode(secret);
            let decimal = format!("{secret:?}");
            for text in [
                base64.clone(),
                wrapped(&base64, 76),
                wrapped(&base64, 64),
                hex::encode(secret),
                decimal[1..decimal.len() - 1].to_owned(),
                String::from_utf8_lossy(secret).into_owned(),
            ] {
                // What is no text does not come back as it was.
                if text.contains('\u{fffd}') {
                    continue;
                }
                let shown = redactor.redact(&text).replace(MASK, "");
                let left: usize = shown.split_whitespace().map(str::len).max().unwrap_or(0);
                assert!(left < SHORTEST, "{shown}");
                for start in [0, 100, 333] {
                    let part = &text[start..start + 400];
                    let shown = redactor.redact(part).into_owned();
                    let left: usize = shown.split(['*', '\n', '\r']).map(str::len).max().unwrap_or(0);
                    assert!(left < 2 * PIECE * 5 && shown.contains(MASK), "{start}: {shown}");
                }
            }
        }
    }

    /// How a text may come back from a host, by number.
    fn told(secret: &str, how: usize, before: &str) -> String {
        match how {
            0 => secret.to_owned(),
            1 => STANDARD.encode(format!("{before}{secret}")),
            2 => URL_SAFE_NO_PAD.encode(format!("{before}{secret}")),
            3 => hex::encode(secret),
            4 => hex::encode_upper(secret),
            5 => serde_json::Value::from(secret).to_string(),
            6 => percent(secret, false),
            7 => percent(secret, true),
            8 => super::super::quote::always(secret),
            9 => xml(secret, "&apos;"),
            10 => format!("{secret:?}"),
            11 => wrapped(&STANDARD.encode(secret), 76),
            12 => secret.replace('\n', "\r\n"),
            13 => secret.trim().to_owned(),
            _ => clean::lines(secret).into_owned(),
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(300))]

        /// Whatever the secret, and whatever stands around it: no run of it that is long enough to be taken for one is left.
        #[test]
        fn no_form_of_any_secret_is_let_through(
            secret in "[ -~]{6,40}|[a-zäöü☃'\"\\\\&<%$ \t]{6,30}|([!-~]{6,70}(\n|\r\n)){1,4}",
            how in 0_usize..15,
            before in "[a-z =:]{0,8}",
            behind in "[a-z ]{0,8}",
        ) {
            proptest::prop_assume!(secret.trim().len() >= SHORTEST);
            let redactor = knowing(&[&secret]);
            let text = format!("{before}{}{behind}", told(&secret, how, &before));
            let shown = redactor.redact(&text).into_owned();
            proptest::prop_assert!(shown.contains(MASK), "{text}: {shown}");
            for line in secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST) {
                for form in [line.to_owned(), hex::encode(line), json(line), percent(line, false)] {
                    // What stands around it may hold it by chance, and the mask may.
                    let is_around = before.contains(&form) || behind.contains(&form) || MASK.contains(&form);
                    proptest::prop_assert!(is_around || !shown.contains(&form), "{text}: {shown}");
                }
            }
            // What was redacted once stays as it is.
            let again = redactor.redact(&shown).into_owned();
            proptest::prop_assert!(again.len() <= shown.len() + MASK.len(), "{shown}: {again}");
        }
    }

    fn wrapped(text: &str, width: usize) -> String {
        text.as_bytes().chunks(width).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
    }

    #[test]
    fn line_ends_of_any_kind_hide_nothing() {
        let redactor = knowing(&["first-line\r\nsecond-line\rthird-line\n"]);
        for text in
            ["first-line", "second-line", "third-line", "first-line\nsecond-line", "first-line\\r\\nsecond-line"]
        {
            let shown = redactor.redact(text).into_owned();
            assert!(!shown.contains("line"), "{text}: {shown}");
        }
        // The line end that a program adds or drops.
        let redactor = knowing(&["trailing-newline\n"]);
        assert_eq!(redactor.redact("x trailing-newline y"), "x *** y");
        assert_eq!(redactor.redact(&hex::encode("trailing-newline")), MASK);
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
