//! Diffs of content, as people read them; lines in which secrets had a say are masked.

use std::collections::BTreeSet;

use similar::{ChangeTag, TextDiff};

use crate::base::redact::MASK;
use crate::resource::content::Taint;

/// How many lines of a diff are kept; the rest is counted.
const LINES: usize = 400;

/// A unified diff from what was found to what was wanted, with `path` in its head. Content that is no text is told by its
/// size alone.
pub fn unified(path: &str, found: &[u8], wanted: &[u8]) -> String {
    let Some((found, wanted)) = texts(found, wanted) else { return binary(found, wanted) };
    written(path, found, wanted, |_, _| false)
}

/// The same where secrets had a say in what is wanted (`taint`), or in what was there before (`was_tainted`).
///
/// A line of what is wanted is masked if it would be another with other secrets. Of what was found nobody knows which lines
/// hold an old secret: as soon as a masked line is to be written, no line that is to go is shown.
pub fn masked(path: &str, found: &[u8], wanted: &[u8], taint: Option<&Taint>, was_tainted: bool) -> String {
    if taint.is_some_and(|taint| taint.decoy.is_none()) {
        return hidden();
    }
    let Some((found, wanted)) = texts(found, wanted) else { return binary(found, wanted) };
    let Some(tainted) = taint.map_or(Some(BTreeSet::new()), |taint| tainted_lines(wanted, taint)) else {
        return hidden();
    };
    let diff = TextDiff::from_lines(found, wanted);
    let is_written = |change: similar::Change<&str>| {
        change.tag() == ChangeTag::Insert && change.new_index().is_some_and(|index| tainted.contains(&index))
    };
    let hides_found = was_tainted || diff.iter_all_changes().any(is_written);
    let holds_secret =
        |line: &str| taint.is_some_and(|taint| taint.secrets.iter().any(|one| holds(line, one.expose())));
    written(path, found, wanted, |change, line| match change.tag() {
        ChangeTag::Delete => hides_found || holds_secret(line),
        ChangeTag::Insert | ChangeTag::Equal => {
            change.new_index().is_some_and(|index| tainted.contains(&index)) || holds_secret(line)
        }
    })
}

/// What is said instead of a diff where no line may be shown.
pub fn hidden() -> String {
    "content differs; all of it depends on secrets\n".to_owned()
}

/// The lines that differ from those of the same content with other secrets; none where that content could not be made.
fn tainted_lines(wanted: &str, taint: &Taint) -> Option<BTreeSet<usize>> {
    let decoy = std::str::from_utf8(taint.decoy.as_ref()?).ok()?;
    let diff = TextDiff::from_lines(decoy, wanted);
    let inserted = diff.iter_all_changes().filter(|change| change.tag() == ChangeTag::Insert);
    Some(inserted.filter_map(|change| change.new_index()).collect())
}

/// Whether a line of a secret stands in this line.
fn holds(line: &str, secret: &str) -> bool {
    secret.lines().map(str::trim).any(|part| part.len() >= crate::base::redact::SHORTEST && line.contains(part))
}

fn texts<'a>(found: &'a [u8], wanted: &'a [u8]) -> Option<(&'a str, &'a str)> {
    Some((std::str::from_utf8(found).ok()?, std::str::from_utf8(wanted).ok()?))
}

fn binary(found: &[u8], wanted: &[u8]) -> String {
    format!("binary content differs: {} bytes found, {} bytes declared\n", found.len(), wanted.len())
}

fn written(path: &str, found: &str, wanted: &str, is_masked: impl Fn(&similar::Change<&str>, &str) -> bool) -> String {
    let diff = TextDiff::from_lines(found, wanted);
    let mut unified = diff.unified_diff();
    let mut lines = vec![format!("--- {path} (found)"), format!("+++ {path} (declared)")];
    for hunk in unified.context_radius(3).iter_hunks() {
        lines.push(hunk.header().to_string());
        for change in hunk.iter_changes() {
            let line = change.value();
            let text = line.strip_suffix('\n').unwrap_or(line);
            let text = if is_masked(&change, line) { MASK } else { text };
            lines.push(format!("{}{text}", change.tag()));
            if change.missing_newline() {
                lines.push("\\ No newline at end of file".to_owned());
            }
        }
    }
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    if more > 0 {
        lines.push(format!("… {more} more lines"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;

    #[test]
    fn goes_from_found_to_declared() {
        let diff = unified("/etc/x", b"a\nb\n", b"a\nc\n");
        assert_eq!(diff, "--- /etc/x (found)\n+++ /etc/x (declared)\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
        let unended = unified("/etc/x", b"a", b"a\n");
        assert!(unended.ends_with("@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"), "{unended}");
        assert_eq!(unified("/x", b"\xff", b"a"), "binary content differs: 1 bytes found, 1 bytes declared\n");
        let long: String = (0..2000).map(|n| format!("{n}\n")).collect();
        assert!(unified("/x", b"", long.as_bytes()).ends_with("… 1603 more lines\n"));
    }

    /// What a diff says below its head, for a template with `§` where the secret `new` goes.
    fn body(found: &str, template: &str, was_tainted: bool) -> String {
        let taint = Taint {
            secrets: vec![Secret::new("s/x", "newsecret".to_owned())],
            decoy: Some(template.replace('§', "decoy").into_bytes().into()),
        };
        let wanted = template.replace('§', "newsecret");
        let diff = masked("/x", found.as_bytes(), wanted.as_bytes(), Some(&taint), was_tainted);
        assert!(!diff.contains("newsecret"), "{diff}");
        diff.splitn(4, '\n').nth(3).unwrap_or_default().to_owned()
    }

    #[test]
    fn only_lines_that_depend_on_secrets_are_masked() {
        for (found, template, expected) in [
            // The line in question is as it should be: the rest is shown.
            ("a\npw=newsecret\nb\n", "a\npw=§\nc\n", " a\n ***\n-b\n+c\n"),
            // It is not: nothing that goes is shown, wherever it stands.
            ("a\npw=old\nb\n", "a\npw=§\nb\n", " a\n-***\n+***\n b\n"),
            (
                "pw=old\n1\n2\n3\n4\n5\n6\n7\n8\n",
                "1\n2\n3\n4\n5\n6\n7\n8\npw=§\n",
                "-***\n 1\n 2\n 3\n@@ -7,3 +6,4 @@\n 6\n 7\n 8\n+***\n",
            ),
            // The secret in a line that should not hold it.
            ("a\nb newsecret\npw=newsecret\n", "a\npw=§\n", " a\n-***\n ***\n"),
            ("pw=newsecret\nx\n", "pw=§\nx\ny\n", " ***\n x\n+y\n"),
        ] {
            assert_eq!(body(found, template, false), expected, "{found}");
        }
        assert_eq!(body("a\npw=newsecret\nold\n", "a\npw=§\n", true), " a\n ***\n-***\n");
    }

    #[test]
    fn what_cannot_be_decided_is_not_shown() {
        let taint = Taint { secrets: vec![Secret::new("s/x", "newsecret".to_owned())], decoy: None };
        let told = masked("/x", b"a\n", b"b\n", Some(&taint), false);
        assert_eq!(told, "content differs; all of it depends on secrets\n");
        assert_eq!(masked("/x", b"\xff", b"\xfe", Some(&taint), false), hidden());
        let whole = Taint { decoy: Some(b"a\n".to_vec().into()), ..taint.clone() };
        assert_eq!(masked("/x", b"\xff", b"b\n", Some(&whole), false), unified("/x", b"\xff", b"b\n"));
        // No secret any more, but there was one.
        let told = masked("/x", b"a\npw=old\n", b"a\n", None, true);
        assert!(told.ends_with(" a\n-***\n"), "{told}");
    }
}
