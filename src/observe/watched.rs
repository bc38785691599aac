//! What a watcher sees: when what it watches last changed, and a digest of it.

use globset::{GlobBuilder, GlobMatcher};

use crate::base::digest::Digest;
use crate::resource::Watch;

/// The state of one thing watched (a glob, a package).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The latest change, in microseconds since 1970, and what changed then; none if nothing is there.
    pub newest: Option<(i64, String)>,
    /// `<digest> <name>` of everything, sorted.
    pub digests: Vec<String>,
}

impl Watched {
    /// Reads the lines `<time> <digest> <name>` that a watch's shell prints. What a `**` glob does not match is left out.
    pub fn read(watch: &Watch, answer: &[u8]) -> Self {
        let matcher = matcher(&watch.target);
        let mut watched = Self::default();
        for line in answer.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            let mut words = line.splitn(3, ' ');
            let (Some(time), Some(digest), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
            if matcher.as_ref().is_some_and(|matcher| !covers(matcher, name)) {
                continue;
            }
            let micros = micros(time);
            if micros > 0 && watched.newest.as_ref().is_none_or(|(newest, _)| micros > *newest) {
                watched.newest = Some((micros, name.to_owned()));
            }
            if digest != "-" {
                watched.digests.push(format!("{digest} {name}"));
            }
        }
        watched.digests.sort_unstable();
        watched
    }

    /// One digest over several watches. The host computes the same with [`digest_shell`].
    pub fn digest<'a>(all: impl IntoIterator<Item = &'a Watched>) -> Digest {
        let mut lines: Vec<&str> =
            all.into_iter().flat_map(|watched| watched.digests.iter().map(String::as_str)).collect();
        lines.sort_unstable();
        lines.dedup();
        Digest::of(lines.iter().map(|line| format!("{line}\n")).collect::<String>())
    }
}

/// Whether the glob needs the reader's help, because the shell only expands what stands before its `**`.
fn matcher(target: &str) -> Option<GlobMatcher> {
    let (_, behind) = target.split_once("**")?;
    // `/etc/nginx/**` is everything below, which is what the host listed.
    if behind.is_empty() {
        return None;
    }
    GlobBuilder::new(target).literal_separator(true).build().ok().map(|glob| glob.compile_matcher())
}

fn covers(matcher: &GlobMatcher, name: &str) -> bool {
    matcher.is_match(name)
}

/// `1795252247.475848166` or whole seconds, as microseconds; 0 for anything else.
fn micros(time: &str) -> i64 {
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    let fraction: String = fraction.chars().chain("000000".chars()).take(6).collect();
    match (seconds.parse::<i64>(), fraction.parse::<i64>()) {
        (Ok(seconds), Ok(fraction)) => seconds.saturating_mul(1_000_000).saturating_add(fraction),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Refresh;

    fn watch(target: &str) -> Watch {
        Watch { refresh: Refresh::Reload, target: target.into(), members: Vec::new(), shell: String::new() }
    }

    #[test]
    fn the_newest_counts_and_digests_do_not_depend_on_order() {
        let one = Watched::read(&watch("/e/**"), b"5.25 - /e\n7 - /e/b c\n0 d1 /e/b c\n0 d0 /e/a\n");
        let two = Watched::read(&watch("/e/**"), b"0 d0 /e/a\n9 - /e\n0 d1 /e/b c\n");
        assert_eq!(one.newest, Some((7_000_000, "/e/b c".into())));
        assert_eq!(one.digests, two.digests);
        assert_eq!(Watched::digest([&one]), Watched::digest([&two, &one]));
    }

    #[test]
    fn what_the_glob_does_not_match_is_left_out() {
        let seen = Watched::read(&watch("/e/**/*.conf"), b"5 - /e\n6 - /e/x/y.txt\n0 d /e/x/a.conf\n4 - /e/x/a.conf\n");
        assert_eq!(
            seen,
            Watched { newest: Some((4_000_000, "/e/x/a.conf".into())), digests: vec!["d /e/x/a.conf".into()] }
        );
    }

    #[test]
    fn a_package_is_a_line_too_and_noise_is_none() {
        let seen = Watched::read(&watch("package:nginx"), b"1700000000 1.22.1-9 nginx\nnonsense\n\xff\n");
        assert_eq!(seen.newest, Some((1_700_000_000_000_000, "nginx".into())));
    }
}
