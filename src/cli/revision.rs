//! The commit that is applied, asked from git.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::verbs::{Relation, Revision};

/// The revision of the project in this folder; none where there is no git, or no commit yet.
pub(super) fn of(root: &Path) -> Revision {
    // Only the project's own folder counts: it may be a part of a larger repository.
    let status = git(root, &["status", "--porcelain=v2", "--branch", "--", "."]).unwrap_or_default();
    let (about, changes): (Vec<&str>, Vec<&str>) = status.lines().partition(|line| line.starts_with("# "));
    let commit = about.iter().find_map(|line| line.strip_prefix("# branch.oid ")).filter(|commit| is_commit(commit));
    let Some(commit) = commit.map(str::to_owned) else {
        return Revision::none();
    };
    let is_dirty = !changes.is_empty();
    let known: Mutex<HashMap<String, Relation>> = Mutex::default();
    let (folder, ours) = (root.to_owned(), commit.clone());
    let relation = move |theirs: &str| {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(theirs.to_owned()).or_insert_with(|| relation(&folder, &ours, theirs))
    };
    Revision { commit: Some(commit), is_dirty, relation: Arc::new(relation) }
}

/// How a commit that a host remembers relates to ours. What the host says is not trusted to be a commit.
fn relation(root: &Path, ours: &str, theirs: &str) -> Relation {
    if !is_commit(theirs) {
        return Relation::Unknown;
    }
    let is_ancestor = |older: &str, newer: &str| git(root, &["merge-base", "--is-ancestor", older, newer]).is_some();
    if theirs == ours || is_ancestor(theirs, ours) {
        Relation::Known
    } else if is_ancestor(ours, theirs) {
        Relation::Newer
    } else {
        Relation::Unknown
    }
}

fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What git prints; none if it fails or is not there.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    // Looking must not write: another git may be at work in the same folder.
    command.env("GIT_OPTIONAL_LOCKS", "0");
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &Path, arguments: &[&str]) {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        let status = Command::new("git").arg("-C").arg(folder).args(who).args(arguments).stdout(Stdio::null()).status();
        assert!(status.unwrap().success(), "{arguments:?}");
    }

    #[test]
    fn commits_are_known_newer_or_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        run(root, &["init", "-q"]);
        assert_eq!(of(root).commit, None, "no commit yet");
        run(root, &["commit", "-q", "--allow-empty", "-m", "one"]);
        let first = of(root).commit.unwrap();
        run(root, &["commit", "-q", "--allow-empty", "-m", "two"]);
        let second = of(root);
        assert!(!second.is_dirty);
        assert_eq!((second.relation)(&first), Relation::Known);
        assert_eq!((second.relation)(second.commit.as_deref().unwrap()), Relation::Known);
        run(root, &["checkout", "-q", &first]);
        assert_eq!((of(root).relation)(second.commit.as_deref().unwrap()), Relation::Newer);
        for stranger in ["0123456789012345678901234567890123456789", "--help", "-", "", "HEAD"] {
            assert_eq!((second.relation)(stranger), Relation::Unknown, "{stranger}");
        }
        std::fs::write(root.join("new"), "").unwrap();
        assert!(of(root).is_dirty);
    }

    #[test]
    fn outside_git_there_is_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of(folder.path()).commit, None);
    }
}
