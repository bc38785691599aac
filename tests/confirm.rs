//! `apply` on a terminal: it shows the plan, asks, and begins with nothing that was not in it.

mod common;

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use common::Project;

/// Runs `snowmelt apply` on a terminal of its own (script(1), which every Debian has). When it asks, `meanwhile` happens, and
/// then it is answered. Its exit code, and all that it printed.
fn apply(project: &Project, meanwhile: impl FnOnce(), answer: &str) -> (i32, String) {
    // A question that is not ended by its answer ends with 124.
    let command = format!("timeout --foreground 20 {} apply", env!("CARGO_BIN_EXE_snowmelt"));
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
fn ctrl_c_at_the_question_ends_it_at_once() {
    let project = project();
    for typed in ["\x03", "y\x03"] {
        let (code, shown) = apply(&project, || (), typed);
        assert_eq!(code, 130, "{shown}");
        assert!(shown.contains("nothing was changed"), "{shown}");
        assert!(!project.path("f").exists() && !project.path("memory").exists());
    }
}

#[test]
fn what_is_found_otherwise_than_the_plan_showed_is_left_alone() {
    let project = project();
    project.write("g", "old\n");
    project.write("f", "old\n");
    let (code, shown) = apply(&project, || project.write("g", "by a colleague\n"), "y\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("changed since the plan was shown"), "{shown}");
    assert_eq!((project.read("f"), project.read("g")), ("f\n".into(), "by a colleague\n".into()));
    // What was not there when it was shown, and what is hidden.
    std::fs::remove_file(project.path("g")).unwrap();
    let (code, _) = apply(&project, || project.write("g", "by a colleague\n"), "y\n");
    assert_eq!((code, project.read("g")), (1, "by a colleague\n".into()));
    let role = project.read("roles/x/role.yml");
    project.write("roles/x/role.yml", &format!("{role}    sensitive: true\n"));
    let (code, shown) = apply(&project, || project.write("g", "by another\n"), "y\n");
    assert_eq!((code, project.read("g")), (1, "by another\n".into()), "{shown}");
}

#[test]
fn an_edit_of_a_file_that_changed_since_is_left_alone() {
    let project = Project::local("");
    let line = |path: &str| format!("  - line: a=1\n    file: {}\n    match: ^a=\n", project.path(path).display());
    project.write("roles/x/role.yml", &format!("resources:\n{}{}", line("f"), line("g")));
    project.write("f", "a=0\n");
    project.write("g", "a=0\n");
    let (code, shown) = apply(&project, || project.write("g", "a=2\n"), "y\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("changed since the plan was shown"), "{shown}");
    assert_eq!((project.read("f"), project.read("g")), ("a=1\n".into(), "a=2\n".into()));
}

#[test]
fn what_the_act_itself_changes_is_no_change_since_the_plan() {
    let project = Project::local("");
    let (folder, file) = (project.path("d"), project.path("d/f"));
    let log = project.path("log");
    project.write(
        "roles/x/role.yml",
        &format!(
            "resources:\n  - directory: {}\n  - file: {1}\n    content: \"f\\n\"\n  - line: a\n    file: {1}.x\n    create: true\n  - command: note\n    run: echo ran >>{2}\n    unless: test -e {2}\n",
            folder.display(),
            file.display(),
            log.display()
        ),
    );
    let (code, shown) = apply(&project, || (), "y\n");
    assert_eq!(code, 0, "{shown}");
    assert_eq!((project.read("d/f"), project.read("log")), ("f\n".into(), "ran\n".into()));
}

#[test]
fn what_becomes_due_after_a_plan_in_which_nothing_was_is_left_alone() {
    let project = Project::local("");
    let path = |name: &str| project.path(name).display().to_string();
    // Guards are asked after files were read: what this one does happens between the plan and the act.
    let guard = format!("test -e {0} || {{ touch {0}; echo theirs >{1}; }}", path("seen"), path("g"));
    project.write(
        "roles/x/role.yml",
        &format!(
            "resources:\n  - command: note\n    run: \"true\"\n    unless: {guard:?}\n  - file: {}\n    content: \"g\\n\"\n",
            path("g")
        ),
    );
    project.write("g", "g\n");
    let command = format!("{} apply", env!("CARGO_BIN_EXE_snowmelt"));
    let out =
        Command::new("script").args(["-qefc", &command, "/dev/null"]).current_dir(project.path(".")).output().unwrap();
    let shown = String::from_utf8_lossy(&out.stdout);
    assert_eq!(project.read("g"), "theirs\n", "{shown}");
    assert!(shown.contains("not in the plan"), "{shown}");
    assert_eq!(out.status.code(), Some(1), "{shown}");
}

#[test]
fn what_was_not_in_the_plan_is_left_alone() {
    let project = project();
    let (code, shown) = apply(&project, || project.write("g", "by hand\n"), "y\n");
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("not in the plan that was agreed to"), "{shown}");
    assert_eq!((project.read("f"), project.read("g")), ("f\n".into(), "by hand\n".into()));
}
