//! `apply` on a terminal: it shows the plan, asks, and begins with nothing that was not in it.

mod common;

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use common::Project;

/// Runs `snowmelt apply` on a terminal of its own (script(1), which every Debian has). When it asks, `meanwhile` happens, and
/// then it is answered. Its exit code, and all that it printed.
fn apply(project: &Project, meanwhile: impl FnOnce(), answer: &str) -> (i32, String) {
    let command = format!("{} apply", env!("CARGO_BIN_EXE_snowmelt"));
    let mut child = Command::new("script")
        .args(["-qefc", &command, "/dev/null"])
        .current_dir(project.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains("[y/N]") {
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "it ended without asking: {}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    meanwhile();
    stdin.write_all(answer.as_bytes()).unwrap();
    stdin.flush().unwrap();
    stdout.read_to_end(&mut seen).unwrap();
    drop(stdin);
    (child.wait().unwrap().code().unwrap(), String::from_utf8_lossy(&seen).into_owned())
}

fn project() -> Project {
    let project = Project::local("");
    let file = |name: &str| format!("  - file: {}\n    content: \"{name}\\n\"\n", project.path(name).display());
    project.write("roles/x/role.yml", &format!("resources:\n{}{}", file("f"), file("g")));
    project.write("g", "g\n");
    project
}

#[test]
fn a_yes_applies_what_was_shown() {
    let project = project();
    let (code, shown) = apply(&project, || (), "y\n");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("create") && shown.contains("apply to here?"), "{shown}");
    assert_eq!(project.read("f"), "f\n");
}

#[test]
fn anything_else_changes_nothing() {
    let project = project();
    let (code, shown) = apply(&project, || (), "\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("nothing was changed"), "{shown}");
    assert!(!project.path("f").exists() && !project.path("memory").exists());
}

#[test]
fn what_was_not_in_the_plan_is_left_alone() {
    let project = project();
    let (code, shown) = apply(&project, || project.write("g", "by hand\n"), "y\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("not in the plan that was agreed to"), "{shown}");
    assert_eq!((project.read("f"), project.read("g")), ("f\n".into(), "by hand\n".into()));
}
