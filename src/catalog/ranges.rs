//! Names with ranges: `web[001:040].example.com` stands for forty hosts, and forty hosts are shown as one such name.
//!
//! Knows text only, nothing of inventories.

use std::collections::{HashMap, HashSet};

/// How many names one pattern may stand for.
pub const MAX_NAMES: usize = 100_000;

/// Why a pattern stands for nothing: where in it (bytes), what is wrong, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeError {
    /// Offset of the first byte that is wrong.
    pub start: usize,
    /// Offset behind it.
    pub end: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Whether a text holds a range, and so is not a plain name or a glob: `[…:…]`.
pub fn has_range(pattern: &str) -> bool {
    pattern.split('[').skip(1).any(|rest| rest.split(']').next().is_some_and(|inside| inside.contains(':')))
}

/// All names that a pattern stands for, in order; the last range turns fastest. A range is `[first:last]` or
/// `[first:last:step]` of numbers (both ends included; `001` keeps its width) or of letters.
pub fn expand(pattern: &str) -> Result<Vec<String>, RangeError> {
    let mut names = vec![String::new()];
    let mut at = 0;
    while let Some(open) = pattern[at..].find(['[', ']']).map(|found| at + found) {
        let close = match pattern[open..].find(']') {
            Some(close) if close > 0 => open + close,
            _ => {
                let hint = "a range is written `[001:040]`";
                return Err(RangeError::new(open, open + 1, "a bracket without its counterpart", hint));
            }
        };
        let words = words(pattern, open + 1, close)?;
        if names.len().saturating_mul(words.len()) > MAX_NAMES {
            let hint = format!("at most {MAX_NAMES} are read from one pattern");
            return Err(RangeError::new(0, pattern.len(), "the pattern stands for too many hosts", &hint));
        }
        let literal = &pattern[at..open];
        names = names.iter().flat_map(|name| words.iter().map(move |word| format!("{name}{literal}{word}"))).collect();
        at = close + 1;
    }
    for name in &mut names {
        name.push_str(&pattern[at..]);
    }
    Ok(names)
}

impl RangeError {
    fn new(start: usize, end: usize, message: &str, hint: &str) -> Self {
        Self { start, end, message: message.to_owned(), hint: hint.to_owned() }
    }
}

/// The words of the range between `start` and `end`, the brackets left out.
fn words(pattern: &str, start: usize, end: usize) -> Result<Vec<String>, RangeError> {
    let inside = &pattern[start..end];
    let fail = |message: &str, hint: &str| Err(RangeError::new(start, end, message, hint));
    let parts: Vec<&str> = inside.split(':').collect();
    let (first, last, step) = match parts[..] {
        [first, last] => (first, last, "1"),
        [first, last, step] => (first, last, step),
        _ => return fail("not a range", "a range is written `[001:040]`, `[a:f]` or, with a step, `[1:9:2]`"),
    };
    let step = match step.parse::<usize>() {
        Ok(step) if step > 0 => step,
        _ => return fail("the step of a range must be a number above 0", "for example `[1:9:2]`"),
    };
    let is_letter = |text: &str| text.len() == 1 && text.as_bytes()[0].is_ascii_alphabetic();
    if is_letter(first) && is_letter(last) {
        let (a, z) = (first.as_bytes()[0], last.as_bytes()[0]);
        if a.is_ascii_lowercase() != z.is_ascii_lowercase() || a > z {
            return fail("a range must go upwards", "for example `[a:f]`, both in the same case");
        }
        return Ok((a..=z).step_by(step).map(|letter| char::from(letter).to_string()).collect());
    }
    let (Some(from), Some(to)) = (number(first), number(last)) else {
        return fail(
            "a range goes from number to number or from letter to letter",
            "for example `[001:040]` or `[a:f]`",
        );
    };
    if from > to {
        return fail("a range must go upwards", &format!("write `[{last}:{first}]`"));
    }
    let padded = |text: &str| text.len() > 1 && text.starts_with('0');
    let width = if padded(first) || padded(last) { first.len() } else { 0 };
    if width > 0 && last.len() != width {
        let width = first.len().max(last.len());
        let hint = format!("write `[{from:0width$}:{to:0width$}]`");
        return fail("both ends of a range with leading zeros must have the same number of digits", &hint);
    }
    if (to - from) / step as u64 >= MAX_NAMES as u64 {
        return fail("the range stands for too many hosts", &format!("at most {MAX_NAMES} are read from one pattern"));
    }
    Ok((from..=to).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Names as people read them: those that differ in one number are one range, several are separated by `, `. Each name is
/// shown once, in the order in which they first appear; for host names `expand` of the parts gives the same set back.
pub fn compress(names: &[&str]) -> String {
    let all: HashSet<&str> = names.iter().copied().collect();
    let mut shown: HashMap<&str, bool> = all.iter().map(|name| (*name, false)).collect();
    let mut parts = Vec::new();
    for name in names {
        if shown.get(name) != Some(&false) {
            continue;
        }
        let best =
            numbers_in(name).filter_map(|run| longest(name, run, &shown)).max_by_key(|chain| chain.to - chain.from);
        match best {
            Some(chain) if chain.to > chain.from => {
                for number in chain.from..=chain.to {
                    if let Some(done) = shown.get_mut(chain.name(number).as_str()) {
                        *done = true;
                    }
                }
                parts.push(chain.to_string());
            }
            _ => {
                shown.insert(name, true);
                parts.push((*name).to_owned());
            }
        }
    }
    parts.join(", ")
}

/// Names that differ in one number only, without a gap.
struct Chain<'a> {
    before: &'a str,
    after: &'a str,
    width: usize,
    from: u64,
    to: u64,
}

impl Chain<'_> {
    fn name(&self, number: u64) -> String {
        format!("{}{number:0width$}{}", self.before, self.after, width = self.width)
    }
}

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { before, after, width, from, to } = self;
        write!(f, "{before}[{from:0width$}:{to:0width$}]{after}")
    }
}

/// The runs of digits in a name that can be counted. A name with brackets would not be read back, so it has none.
fn numbers_in(name: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let bytes = if name.contains(['[', ']', ',', ' ']) { &[][..] } else { name.as_bytes() };
    let starts = (0..bytes.len()).filter(|&i| bytes[i].is_ascii_digit() && (i == 0 || !bytes[i - 1].is_ascii_digit()));
    starts.map(|start| (start, bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count()))
}

/// The longest chain through `name` that varies the digits at `(start, len)`, over names that are not shown yet.
fn longest<'a>(name: &'a str, (start, len): (usize, usize), shown: &HashMap<&str, bool>) -> Option<Chain<'a>> {
    let digits = &name[start..start + len];
    let here = number(digits)?;
    let chain = |width: usize| {
        let mut chain = Chain { before: &name[..start], after: &name[start + len..], width, from: here, to: here };
        // A number that has outgrown the width would be read back as an end with more digits.
        let there = |chain: &Chain<'_>, number: u64| {
            (width == 0 || number.to_string().len() <= width) && shown.get(chain.name(number).as_str()) == Some(&false)
        };
        while chain.from > 0 && there(&chain, chain.from - 1) {
            chain.from -= 1;
        }
        while there(&chain, chain.to + 1) {
            chain.to += 1;
        }
        chain
    };
    let padded = chain(len);
    if digits.len() > 1 && digits.starts_with('0') {
        return Some(padded);
    }
    let plain = chain(0);
    Some(if plain.to - plain.from > padded.to - padded.from { plain } else { padded })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_and_what_they_stand_for() {
        for (pattern, names) in [
            ("web1", "web1"),
            ("web[1:3]", "web1 web2 web3"),
            ("web[08:10].example.com", "web08.example.com web09.example.com web10.example.com"),
            ("[a:c]x", "ax bx cx"),
            ("n[1:9:4]", "n1 n5 n9"),
            ("r[1:2]h[0:1]", "r1h0 r1h1 r2h0 r2h1"),
            ("web[9:11]", "web9 web10 web11"),
        ] {
            assert_eq!(expand(pattern).unwrap().join(" "), names, "{pattern}");
        }
    }

    #[test]
    fn bad_patterns_say_what_is_wrong_and_where() {
        for (pattern, part, message) in [
            ("web[1", "[", "a bracket without its counterpart"),
            ("web1]", "]", "a bracket without its counterpart"),
            ("web[]", "", "not a range"),
            ("web[5:1]", "5:1", "a range must go upwards"),
            ("web[a:F]", "a:F", "a range must go upwards"),
            ("web[1:x]", "1:x", "a range goes from number to number or from letter to letter"),
            ("web[1:2:0]", "1:2:0", "the step of a range must be a number above 0"),
            ("web[1:-2]", "1:-2", "a range goes from number to number or from letter to letter"),
            ("web[001:40]", "001:40", "both ends of a range with leading zeros must have the same number of digits"),
            ("web[1:100001]", "1:100001", "the range stands for too many hosts"),
            ("a[1:1000]b[1:1000]", "a[1:1000]b[1:1000]", "the pattern stands for too many hosts"),
            (
                "w[1:99999999999999999999]",
                "1:99999999999999999999",
                "a range goes from number to number or from letter to letter",
            ),
        ] {
            let error = expand(pattern).unwrap_err();
            assert_eq!((&pattern[error.start..error.end], error.message.as_str()), (part, message), "{pattern}");
        }
        assert_eq!(expand("w[1:040]").unwrap_err().hint, "write `[001:040]`");
    }

    #[test]
    fn names_are_shown_as_ranges() {
        for (names, shown) in [
            ("", ""),
            ("web1", "web1"),
            ("web001 web002 web003", "web[001:003]"),
            ("web3 web1 web2", "web[1:3]"),
            ("web001 web003", "web001, web003"),
            ("web098.x web099.x web100.x db1", "web[098:100].x, db1"),
            ("n8 n9 n10 n11", "n[8:11]"),
            ("web1.dc2 web1.dc3 web2.dc2", "web1.dc[2:3], web2.dc2"),
            ("web1 web1", "web1"),
            ("web1 web01 web2", "web[1:2], web01"),
            ("w999 w1000", "w[999:1000]"),
        ] {
            let names: Vec<&str> = names.split_whitespace().collect();
            assert_eq!(compress(&names), shown, "{names:?}");
        }
    }

    proptest! {
        #[test]
        fn compressed_names_expand_to_themselves(names in prop::collection::hash_set("[a-b]{1,2}[0-9]{0,3}(\\.[xy][0-9]{1,2})?", 0..40)) {
            let given: Vec<&str> = names.iter().map(String::as_str).collect();
            let shown = compress(&given);
            let mut back: Vec<String> =
                shown.split(", ").filter(|part| !part.is_empty()).flat_map(|part| expand(part).unwrap()).collect();
            back.sort();
            let mut expected: Vec<String> = names.into_iter().collect();
            expected.sort();
            prop_assert_eq!(back, expected, "{}", shown);
        }

        #[test]
        fn no_pattern_panics(pattern in "[\\[\\]:a-c0-9ü.-]{0,16}") {
            let _ = expand(&pattern);
            let _ = compress(&[&pattern, "a1", "a2"]);
        }
    }
}
