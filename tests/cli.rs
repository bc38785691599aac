//! The program as people and scripts meet it: what it prints where, and how it ends.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn snowmelt(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command.env_remove("CLICOLOR_FORCE").env_remove("SNOWMELT_LOG").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let begun = snowmelt(folder.path(), &["init"]);
    assert_eq!(begun.status.code(), Some(0), "{}", text(&begun.stderr));
    folder
}

#[test]
fn a_project_is_begun_once() {
    let folder = project();
    let again = snowmelt(folder.path(), &["init"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("snowmelt.yml exists already"), "{}", text(&again.stderr));
    assert!(again.stdout.is_empty());
}

#[test]
fn hosts_are_listed_for_people_and_for_scripts() {
    let folder = project();
    let names = snowmelt(folder.path(), &["hosts", "-q"]);
    assert_eq!((names.status.code(), text(&names.stdout).as_str()), (Some(0), "localhost\n"));
    let table = text(&snowmelt(folder.path(), &["hosts"]).stdout);
    assert!(table.contains("localhost  local       hello  here"), "{table}");
}

#[test]
fn nothing_begins_with_a_wrong_argument_or_without_a_project() {
    let folder = project();
    let nowhere = tempfile::tempdir().unwrap();
    for (folder, arguments, said) in [
        (nowhere.path(), &["plan"][..], "there is no snowmelt.yml"),
        (folder.path(), &["plan", "-l", "nobody"], "nobody"),
        (folder.path(), &["plan", "--report", "junt=x.xml"], "did you mean `junit`?"),
        (folder.path(), &["plan", "--report", "text", "--report", "json"], "cannot share standard output"),
        (folder.path(), &["plan", "--report", "json=snowmelt.yml/x"], "cannot make the folder"),
        (folder.path(), &["plan", "--only", "file:["], "error"),
        (folder.path(), &["apply"], "give --yes"),
        (folder.path(), &["run"], "COMMAND"),
        (folder.path(), &["explain", "fiel"], "did you mean `file`?"),
    ] {
        let ended = snowmelt(folder, arguments);
        let told = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(said), "{arguments:?}: {told}");
        assert!(ended.stdout.is_empty(), "{arguments:?}");
    }
    assert!(!folder.path().join("sandbox").exists(), "nothing was touched");
}

#[test]
fn a_command_reaches_the_host_word_by_word_and_its_end_decides() {
    let folder = project();
    let told = snowmelt(folder.path(), &["run", "--", "printf", "<%s>", "a b", "$HOME;'"]);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    assert!(text(&told.stdout).starts_with("localhost\n  <a b><$HOME;'>\n"), "{}", text(&told.stdout));
    let failed = snowmelt(folder.path(), &["run", "--", "sh", "-c", "exit 7"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stdout).contains("exit status 7"));
}

#[test]
fn nobody_reading_is_no_error() {
    let folder = project();
    let mut command = Command::new(env!("CARGO_BIN_EXE_snowmelt"));
    command.current_dir(folder.path()).args(["run", "--", "seq", "100000"]).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), text(&ended.stderr).as_str()), (Some(0), ""));
}
