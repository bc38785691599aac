//! How package managers order versions, and what a constraint such as `>=1.18, <2` asks for.
//!
//! Four orderings: dpkg's (apt), rpm's (dnf, yum, zypper), libalpm's (pacman) and apk's. Nothing here knows a package, a host
//! or a shell.

use std::cmp::Ordering;

/// One of the four orderings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// dpkg: `[epoch:]upstream[-revision]`; `~` sorts before everything, even the end.
    Dpkg,
    /// rpm: `[epoch:]version[-release]`; `~` before everything, `^` after the end and before anything else.
    Rpm,
    /// libalpm: `[epoch:]version[-release]`; a release counts only where both have one.
    Alpm,
    /// apk: digits, a letter, suffixes such as `_rc1` and `_p2`, `-r` and a revision.
    Apk,
}

impl Scheme {
    /// The ordering of a package manager, by the word for it.
    pub(super) fn of(manager: &str) -> Option<Self> {
        match manager {
            "apt" => Some(Self::Dpkg),
            "dnf" | "yum" | "zypper" => Some(Self::Rpm),
            "pacman" => Some(Self::Alpm),
            "apk" => Some(Self::Apk),
            _ => None,
        }
    }

    /// Which of two versions is newer.
    pub(super) fn compare(self, a: &str, b: &str) -> Ordering {
        if self == Self::Apk {
            return apk_key(a).cmp(&apk_key(b));
        }
        let (a, b) = (Parts::of(a), Parts::of(b));
        let part: fn(&[u8], &[u8]) -> Ordering = match self {
            Self::Dpkg => dpkg_part,
            Self::Rpm => rpm_part,
            _ => alpm_part,
        };
        let epochs = number(a.epoch.unwrap_or("0")).cmp(&number(b.epoch.unwrap_or("0")));
        let releases = || match (a.release, b.release) {
            (Some(a), Some(b)) => part(a.as_bytes(), b.as_bytes()),
            _ if self == Self::Alpm => Ordering::Equal,
            // dpkg: no revision is the same as the revision 0; rpm: a release beats none.
            (a, b) => part(a.unwrap_or_default().as_bytes(), b.unwrap_or_default().as_bytes()),
        };
        epochs.then_with(|| part(a.version.as_bytes(), b.version.as_bytes())).then_with(releases)
    }
}

/// What a constraint asks of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// `1.2` or `=1.2`
    Exactly,
    /// `>=1.2`
    AtLeast,
    /// `>1.2`
    MoreThan,
    /// `<=1.2`
    AtMost,
    /// `<1.2`
    LessThan,
}

impl Relation {
    /// As people, rpm, apk and pacman write it.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Exactly => "=",
            Self::AtLeast => ">=",
            Self::MoreThan => ">",
            Self::AtMost => "<=",
            Self::LessThan => "<",
        }
    }

    /// As `dpkg --compare-versions` writes it.
    pub(super) fn dpkg(self) -> &'static str {
        match self {
            Self::Exactly => "eq",
            Self::AtLeast => "ge",
            Self::MoreThan => "gt",
            Self::AtMost => "le",
            Self::LessThan => "lt",
        }
    }

    /// Whether it sets an upper bound (an exact version does).
    pub(super) fn is_upper(self) -> bool {
        matches!(self, Self::Exactly | Self::AtMost | Self::LessThan)
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Exactly => ordering.is_eq(),
            Self::AtLeast => ordering.is_ge(),
            Self::MoreThan => ordering.is_gt(),
            Self::AtMost => ordering.is_le(),
            Self::LessThan => ordering.is_lt(),
        }
    }
}

/// One constraint on a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Constraint {
    /// How it compares.
    pub(super) relation: Relation,
    /// With what.
    pub(super) version: String,
}

impl Constraint {
    /// Reads constraints separated by commas; all of them are meant.
    ///
    /// # Errors
    /// What is wrong, as a lowercase fragment.
    pub(super) fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        text.split(',').map(|one| Self::parse(one.trim())).collect()
    }

    fn parse(text: &str) -> Result<Self, String> {
        const SIGNS: [(&str, Relation); 6] = [
            (">=", Relation::AtLeast),
            ("<=", Relation::AtMost),
            ("==", Relation::Exactly),
            ("=", Relation::Exactly),
            (">", Relation::MoreThan),
            ("<", Relation::LessThan),
        ];
        let sign = SIGNS.iter().find(|(sign, _)| text.starts_with(sign));
        let (relation, rest) =
            sign.map_or((Relation::Exactly, text), |(sign, relation)| (*relation, &text[sign.len()..]));
        let version = rest.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || ".+-~^:_".contains(c);
        if !version.starts_with(|c: char| c.is_ascii_alphanumeric()) || !version.chars().all(fits) {
            return Err(format!("`{text}` is no version and no constraint on one"));
        }
        Ok(Self { relation, version: version.to_owned() })
    }

    /// Whether a version satisfies it. An epoch or a revision that the constraint does not name does not count: people know
    /// the version of the software, seldom how often it was packaged.
    pub(super) fn holds(&self, version: &str, scheme: Scheme) -> bool {
        let found = if self.names_epoch() { version } else { without_epoch(version) };
        let found = if self.names_revision() { found } else { without_revision(found) };
        self.relation.holds(scheme.compare(found, &self.version))
    }

    /// Whether an epoch is written.
    pub(super) fn names_epoch(&self) -> bool {
        self.version.contains(':')
    }

    /// Whether a revision (release) is written.
    pub(super) fn names_revision(&self) -> bool {
        self.version.contains('-')
    }
}

fn without_epoch(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_, rest)| rest)
}

fn without_revision(version: &str) -> &str {
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

struct Parts<'a> {
    epoch: Option<&'a str>,
    version: &'a str,
    release: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let is_epoch = |epoch: &str| epoch.bytes().all(|b| b.is_ascii_digit());
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if is_epoch(epoch) => (Some(epoch), rest),
            _ => (None, text),
        };
        let (version, release) =
            rest.rsplit_once('-').map_or((rest, None), |(version, release)| (version, Some(release)));
        Self { epoch, version, release }
    }
}

/// Digits as a number; what does not fit is the largest there is.
fn number(digits: &str) -> i128 {
    if digits.is_empty() { 0 } else { digits.parse().unwrap_or(i128::MAX) }
}

/// Numbers of any length, written in digits.
fn digits_cmp(a: &[u8], b: &[u8]) -> Ordering {
    let strip = |digits: &[u8]| digits.iter().position(|b| *b != b'0').map_or(digits.len(), |zeros| zeros);
    let (a, b) = (&a[strip(a)..], &b[strip(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Takes from the front what fits.
fn take<'a>(text: &mut &'a [u8], fits: impl Fn(u8) -> bool) -> &'a [u8] {
    let end = text.iter().position(|b| !fits(*b)).unwrap_or(text.len());
    let (head, rest) = text.split_at(end);
    *text = rest;
    head
}

fn is_digit(b: u8) -> bool {
    b.is_ascii_digit()
}

fn is_alpha(b: u8) -> bool {
    b.is_ascii_alphabetic()
}

/// dpkg: parts without digits and numbers by turns (deb-version(7)).
fn dpkg_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let weight = |b: Option<&u8>| match b {
        None => 0,
        Some(b'~') => -1,
        Some(b) if is_alpha(*b) => i32::from(*b),
        Some(b) => i32::from(*b) + 256,
    };
    while !a.is_empty() || !b.is_empty() {
        let (left, right) = (take(&mut a, |b| !is_digit(b)), take(&mut b, |b| !is_digit(b)));
        for i in 0..left.len().max(right.len()) {
            let ordering = weight(left.get(i)).cmp(&weight(right.get(i)));
            if ordering.is_ne() {
                return ordering;
            }
        }
        let ordering = digits_cmp(take(&mut a, is_digit), take(&mut b, is_digit));
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

/// rpm: segments of digits or letters; separators only separate (rpm-version(7)).
fn rpm_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let separates = |b: u8| !b.is_ascii_alphanumeric() && b != b'~' && b != b'^';
    while !a.is_empty() || !b.is_empty() {
        take(&mut a, separates);
        take(&mut b, separates);
        let (left, right) = (a.first().copied(), b.first().copied());
        match (left == Some(b'~'), right == Some(b'~')) {
            (true, true) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        match (left, right) {
            (Some(b'^'), Some(b'^')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            // Later than the end, earlier than anything else.
            (Some(b'^'), None) => return Ordering::Greater,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (Some(left), Some(_)) => {
                let ordering = segment(&mut a, &mut b, left);
                if ordering.is_ne() {
                    return ordering;
                }
            }
            _ => break,
        }
    }
    a.len().min(1).cmp(&b.len().min(1))
}

/// libalpm: rpm's ordering of old, but how much separates two segments counts, and a letter at the end is older.
fn alpm_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let separates = |b: u8| !b.is_ascii_alphanumeric();
    if a == b {
        return Ordering::Equal;
    }
    while !a.is_empty() && !b.is_empty() {
        let (left, right) = (take(&mut a, separates).len(), take(&mut b, separates).len());
        let (Some(first), Some(_)) = (a.first().copied(), b.first()) else { break };
        if left != right {
            return left.cmp(&right);
        }
        let ordering = segment(&mut a, &mut b, first);
        if ordering.is_ne() {
            return ordering;
        }
    }
    match (a.first(), b.first()) {
        (None, None) => Ordering::Equal,
        (Some(left), _) if is_alpha(*left) => Ordering::Less,
        (None, Some(right)) if !is_alpha(*right) => Ordering::Less,
        _ => Ordering::Greater,
    }
}

/// Takes and compares one segment from each, of the type of `first`, which begins the left one. Numbers are newer than letters.
fn segment(a: &mut &[u8], b: &mut &[u8], first: u8) -> Ordering {
    if is_digit(first) {
        let (left, right) = (take(a, is_digit), take(b, is_digit));
        return if right.is_empty() { Ordering::Greater } else { digits_cmp(left, right) };
    }
    let (left, right) = (take(a, is_alpha), take(b, is_alpha));
    if right.is_empty() { Ordering::Less } else { left.cmp(right) }
}

/// What apk compares, part by part: each with a rank that says how it stands to a part of another type, and a value.
fn apk_key(version: &str) -> Vec<(u8, i128)> {
    const PRE: u8 = 0;
    const END: u8 = 1;
    const REVISION: u8 = 2;
    const COUNT: u8 = 3;
    const POST: u8 = 4;
    const LETTER: u8 = 5;
    const DIGITS: u8 = 6;
    const BEFORE: [&str; 4] = ["alpha", "beta", "pre", "rc"];
    const AFTER: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];
    let (version, revision) = version.rsplit_once("-r").map_or((version, None), |(v, r)| (v, Some(r)));
    let mut suffixes = version.split('_');
    let numbers = suffixes.next().unwrap_or_default();
    let letters = numbers.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let mut key = Vec::new();
    for (i, part) in numbers[..numbers.len() - letters.len()].split('.').enumerate() {
        // Behind a dot, leading zeros count as in a fraction: 1.06 is older than 1.1.
        let significant = part.trim_start_matches('0');
        let zeros = part.len() - significant.len();
        if i > 0 && zeros > 0 {
            key.push((DIGITS, -i128::try_from(zeros).unwrap_or(i128::MAX)));
        }
        if i == 0 || zeros == 0 || !significant.is_empty() {
            key.push((DIGITS, number(part)));
        }
    }
    key.extend(letters.bytes().map(|letter| (LETTER, i128::from(letter))));
    for suffix in suffixes {
        let name = suffix.trim_end_matches(|c: char| c.is_ascii_digit());
        let place = |list: &[&str]| list.iter().position(|known| *known == name).and_then(|at| i128::try_from(at).ok());
        match place(&BEFORE) {
            Some(at) => key.push((PRE, at)),
            None => key.push((POST, place(&AFTER).unwrap_or(i128::MAX))),
        }
        if name.len() < suffix.len() {
            key.push((COUNT, number(&suffix[name.len()..])));
        }
    }
    key.extend(revision.map(|revision| (REVISION, number(revision))));
    key.push((END, 0));
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Versions from the oldest to the newest; between `=` they are the same.
    const DPKG: &str = "1.0~~ < 1.0~rc1 < 1.0~rc2 < 1.0 = 1.00 = 1.0-0 < 1.0-1~bpo11+1 < 1.0-1 < 1.0-1ubuntu1 < 1.0-1+b1 \
        < 1.0-1+deb12u1 < 1.0a < 1.0+git1 < 1.0-1-1 < 1.0.1 < 0:1.2 < 1.9 < 1.10 < 1.22.1-9 < 1.22.1-9+deb12u9 < 007-1 < 09 \
        < 9.2p1-2 < 99999999999999999999999 < 1:0.5 < 1:0.5-1 < 2:1";
    const RPM: &str = "xyz.4 < xyz10 < xyz10.1 < 1.0~~ < 1.0~rc1 < 1.0~rc1^git1 < 1.0~rc2 < 1.0 = 1.00 < 1.0-1 < 1.0-1.el9 \
        < 1.0-1.el9_2.1 < 1.0-10.el9 < 1.0^ < 1.0^git1~pre < 1.0^git1 < 1.0^git2 < 1.0^20160101~pre < 1.0a = 1.0.a < 1.0.1 \
        < 0:1.2-1 < 1.9 < 1.010 = 1.10 < 2_0 = 2.0 < 2.0.fc1 < 2.0.1 < 20101121 < 20101122 < 99999999999999999999999 \
        < 1:0.5-1";
    const ALPM: &str = "r9.zzz < r12.abc < 1.0a < 1.0b < 1.0beta < 1.0p < 1.0pre < 1.0rc < 1.0 < 1.0.a < 1.0.0 < 1.0.1 < 1.1 \
        < 1.1.a < 1.2-4 < 1.2-4.1 < 0:1.3-1 < 1.5-1 < 1.5-2 < 1.9 < 1.10 < 1.11 < 2.0.1 = 2.0_1 < 2.0..1 = 2.0__1 \
        < 99999999999999999999999 < 1:0.1";
    const APK: &str = "0.1.0_alpha_pre2 < 0.1.0_alpha < 0.1.0_alpha2 < 0.1.0 < 0.1.0-r1 < 0.1.3_alpha < 0.12 < 0.13_beta1 \
        < 0.13_beta5 < 1.006 < 1.0_p9-r0 < 1.0_p10-r0 < 1.0.0_pre20191002222144-r0 < 1.0.0_pre20210530193627-r0 < 1.06-r6 < 1.07 \
        < 1.1 < 1.3_pre1-r1 < 1.3-r0 < 1.3.1-r0 < 1.8.5 < 1.8.5_p2 < 2.5.1-r8 < 2.5.1a-r1 < 2.5.1b < 2.5.2 < 3.7_p1 < 006 < 20060720";

    #[test]
    fn orders_as_the_package_managers_do() {
        // The first three chains are what `dpkg --compare-versions`, `rpm.vercmp` of rpm 4.18 and `alpm_pkg_vercmp` of
        // libalpm 13 said of every pair; the fourth is from apk's own table of test cases.
        for (scheme, chain) in [(Scheme::Dpkg, DPKG), (Scheme::Rpm, RPM), (Scheme::Alpm, ALPM), (Scheme::Apk, APK)] {
            let ranks = chain.split(" < ").enumerate();
            let ranked: Vec<(usize, &str)> =
                ranks.flat_map(|(i, same)| same.split(" = ").map(move |v| (i, v.trim()))).collect();
            for (i, a) in &ranked {
                for (j, b) in &ranked {
                    assert_eq!(scheme.compare(a, b), i.cmp(j), "{scheme:?}: {a} and {b}");
                }
            }
        }
    }

    #[test]
    fn a_missing_release_is_none_of_alpms_business() {
        assert_eq!(Scheme::Alpm.compare("1.2", "1.2-4"), Ordering::Equal);
        assert_eq!(Scheme::Rpm.compare("1.2", "1.2-4"), Ordering::Less);
    }

    #[test]
    fn a_constraint_counts_only_what_it_names() {
        let holds = |constraints: &str, version: &str| {
            let all = Constraint::parse_all(constraints).unwrap();
            all.iter().all(|one| one.holds(version, Scheme::Dpkg))
        };
        for (constraints, version, expected) in [
            (">=1.18", "1.22.1-9+deb12u9", true),
            (">=1.18", "1.18-1", true),
            (">=1.18", "1.18~rc1-1", false),
            ("<=1.18", "1.18-1", true),
            (">1.18", "1.18-1", false),
            (">=1, <2", "1.9-1", true),
            (">=1,<2", "2.0-1", false),
            ("1.22.1", "1.22.1-9", true),
            ("1.22.1-9", "1.22.1-9", true),
            ("= 1.22.1-9", "1.22.1-9+deb12u9", false),
            ("==1.22", "1.22.1-9", false),
            (">=9.2", "1:7.9p1-10", false),
            ("9.2p1", "1:9.2p1-2", true),
            (">=1:1.0", "1:0.5", false),
            ("1:0.5", "1:0.5-3", true),
        ] {
            assert_eq!(holds(constraints, version), expected, "{constraints} of {version}");
        }
    }

    #[test]
    fn what_is_no_constraint_is_refused() {
        for text in ["", ">=", ">=1,", "$(id)", "1.18; id", "~1", "1.*", ">= 1 2", "latest version", "-1"] {
            assert!(Constraint::parse_all(text).is_err(), "{text}");
        }
    }

    #[test]
    fn any_text_can_be_compared() {
        for scheme in [Scheme::Dpkg, Scheme::Rpm, Scheme::Alpm, Scheme::Apk] {
            let odd = ["", "-", ":", "1:", "~", "^", "..", "é", "1-r", "_", "-r1", "a_9", "1:2:3-4-5", "\u{1b}[31m"];
            for (i, a) in odd.iter().enumerate() {
                assert_eq!(scheme.compare(a, a), Ordering::Equal, "{a}");
                for b in &odd[i..] {
                    assert_eq!(scheme.compare(a, b), scheme.compare(b, a).reverse(), "{scheme:?}: {a} and {b}");
                }
            }
        }
    }
}
