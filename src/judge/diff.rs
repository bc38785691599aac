//! Diffs of content, as people read them.

use similar::TextDiff;

/// How many lines of a diff are kept; the rest is counted.
const LINES: usize = 400;

/// A unified diff from what was found to what was wanted, with `path` in its head. Content that is no text is told by its
/// size alone.
pub fn unified(path: &str, found: &[u8], wanted: &[u8]) -> String {
    let (Ok(found_text), Ok(wanted_text)) = (std::str::from_utf8(found), std::str::from_utf8(wanted)) else {
        return format!("binary content differs: {} bytes found, {} bytes declared\n", found.len(), wanted.len());
    };
    let diff = TextDiff::from_lines(found_text, wanted_text);
    let text = diff
        .unified_diff()
        .context_radius(3)
        .header(&format!("{path} (found)"), &format!("{path} (declared)"))
        .to_string();
    let count = text.lines().count();
    if count <= LINES {
        return text;
    }
    let kept: Vec<&str> = text.lines().take(LINES).collect();
    format!("{}\n… {} more lines\n", kept.join("\n"), count - LINES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_from_found_to_declared() {
        let diff = unified("/etc/x", b"a\nb\n", b"a\nc\n");
        assert_eq!(diff, "--- /etc/x (found)\n+++ /etc/x (declared)\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
        assert_eq!(unified("/x", b"\xff", b"a"), "binary content differs: 1 bytes found, 1 bytes declared\n");
        let long: String = (0..2000).map(|n| format!("{n}\n")).collect();
        assert!(unified("/x", b"", long.as_bytes()).ends_with("… 1603 more lines\n"));
    }
}
