//! What a host remembers: pending or drifted, older commits, orphans, tags. On this machine's own shell.

mod common;

use std::process::Command;

use common::{Project, wrong};

fn verdicts(project: &Project, arguments: &[&str]) -> Vec<(String, String)> {
    let report = serde_json::from_str::<serde_json::Value>(&project.run(arguments).stdout).unwrap();
    let resources = report["hosts"][0]["resources"].as_array().unwrap().clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    resources.iter().map(|resource| (text(&resource["address"]), text(&resource["verdict"]))).collect()
}

fn file(project: &Project, name: &str, content: &str) -> String {
    format!("  - file: {}\n    content: \"{content}\\n\"\n", project.path(name).display())
}

fn git(project: &Project, arguments: &[&str]) -> String {
    let out = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(project.path("."))
        .output()
        .unwrap();
    assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

#[test]
fn what_moved_is_told_apart() {
    let project = Project::local("");
    let declare =
        |content: &str| project.write("roles/x/role.yml", &format!("resources:\n{}", file(&project, "f", content)));
    let verdict = || verdicts(&project, &["verify", "--report", "json"])[0].1.clone();
    declare("one");
    assert_eq!(verdict(), "pending", "never applied");
    project.run(&["apply", "--yes"]).code(0);
    assert_eq!(verdict(), "in_sync");
    declare("two");
    assert_eq!(verdict(), "pending", "the declaration moved");
    declare("one");
    project.write("f", "three\n");
    assert_eq!(verdict(), "drifted", "the host moved");
    project.run(&["plan"]).code(1).says(&["changed on the host since it was applied"]);
}

#[test]
fn what_is_as_declared_already_is_remembered_from_the_first_apply_on() {
    let project = Project::local("");
    project.write("f", "one\n");
    project.write("roles/x/role.yml", &format!("resources:\n{}", file(&project, "f", "one")));
    project.run(&["apply", "--yes"]).code(0).hides(&["changed"]);
    project.write("f", "by hand\n");
    assert_eq!(verdicts(&project, &["verify", "--report", "json"])[0].1, "drifted");
}

#[test]
fn an_older_or_unknown_commit_does_not_revert_a_newer_one() {
    let project = Project::local("");
    project.write(".gitignore", "f\nmemory\n");
    let declare = |content: &str| {
        project.write("roles/x/role.yml", &format!("resources:\n{}", file(&project, "f", content)));
        git(&project, &["add", "-A"]);
        git(&project, &["commit", "-qm", content]);
        git(&project, &["rev-parse", "HEAD"])
    };
    git(&project, &["init", "-q", "-b", "main"]);
    let one = declare("one");
    project.run(&["apply", "--yes"]).code(0);
    let two = declare("two");
    project.run(&["apply", "--yes"]).code(0);
    assert!(project.read("memory/test/here/record").contains(&two));

    git(&project, &["checkout", "-q", &one]);
    let plan = |remark: &str| drop(project.run(&["plan"]).code(1).says(&[remark, "apply refuses", "--older"]));
    plan("this checkout is older");
    project.run(&["plan", "--older"]).code(1).hides(&["apply refuses"]);
    project.run(&["apply", "--yes"]).code(1).says(&["this checkout is older", "--older"]);
    assert_eq!(project.read("f"), "two\n");

    git(&project, &["checkout", "-q", "--orphan", "other"]);
    declare("other");
    plan("this checkout does not know it");
    project.run(&["apply", "--yes"]).code(1).says(&["this checkout does not know it", "--older"]);
    assert_eq!(project.read("f"), "two\n");
    project.run(&["apply", "--yes", "--older"]).code(0);
    assert_eq!(project.read("f"), "other\n");

    std::fs::rename(project.path(".git"), project.path("git")).unwrap();
    project.write("f", "by hand\n");
    plan("this project is in no git here");
    project.run(&["apply", "--yes"]).code(1).says(&["this project is in no git here", "--older"]);
    assert_eq!(project.read("f"), "by hand\n");
}

#[test]
fn what_no_role_declares_any_more_is_named() {
    let project = Project::local("");
    project.write("roles/x/role.yml", &format!("resources:\n{}{}", file(&project, "f", "f"), file(&project, "g", "g")));
    project.run(&["apply", "--yes"]).code(0);
    project.write("roles/x/role.yml", &format!("resources:\n{}", file(&project, "f", "f")));
    project.run(&["verify"]).code(0).says(&["declared no more", "/g"]);
    // What was taken away is nothing that anybody must look after.
    let path = |name: &str| project.path(name).display().to_string();
    let line = |state: &str| format!("  - line: a=1\n    file: {}\n    match: ^a=\n{state}", path("f"));
    let absent = |name: &str| format!("  - file: {}\n    state: absent\n", path(name));
    project.write("f", "b\n");
    project.write("roles/x/role.yml", &format!("resources:\n{}", line("")));
    project.run(&["apply", "--yes"]).code(0);
    project.write("roles/x/role.yml", &format!("resources:\n{}{}", line("    state: absent\n"), absent("g")));
    project.run(&["apply", "--yes"]).code(0).says(&["declared no more", "/f"]);
    project.write("roles/x/role.yml", &format!("resources:\n{}", absent("f")));
    project.run(&["apply", "--yes"]).code(0).hides(&["declared no more"]);
    project.write("roles/x/role.yml", &format!("resources:\n{}", file(&project, "h", "h")));
    project.run(&["apply", "--yes"]).code(0).hides(&["declared no more"]);
}

#[test]
fn tags_narrow_acting_and_never_observing() {
    let project = Project::local("");
    let (f, g) = (file(&project, "f", "f"), file(&project, "g", "g"));
    project.write("roles/x/role.yml", &format!("resources:\n{f}    tags: [web]\n{g}"));
    project.run(&["apply", "--yes", "--tags", "web", "--report", "json=r.json"]).code(1);
    assert!(project.path("f").exists() && !project.path("g").exists());
    assert_eq!(wrong(&project.read("r.json")).len(), 1, "what was not selected is still in the report");
    let only = format!("file:{}", project.path("g").display());
    project.run(&["apply", "--yes", "--only", &only]).code(0);
    assert!(project.path("g").exists());
}

#[test]
fn a_plan_says_what_apply_leaves_out() {
    let project = Project::local("");
    let (f, g) = (file(&project, "f", "f"), file(&project, "g", "g"));
    project.write("roles/x/role.yml", &format!("resources:\n{f}    tags: [web]\n{g}"));
    let only = format!("file:{}", project.path("f").display());
    for narrow in [["--tags", "web"], ["--only", &only]] {
        let actions = |verb: &[&str]| {
            let arguments = [verb, &narrow, &["--report", "json"]].concat();
            let ran = project.run(&arguments).code(1);
            let report = serde_json::from_str::<serde_json::Value>(&ran.stdout).unwrap();
            let resources = report["hosts"][0]["resources"].as_array().unwrap().clone();
            resources.iter().map(|resource| resource["action"].clone()).collect::<Vec<_>>()
        };
        let shown = project.run(&["plan", narrow[0], narrow[1]]).code(1).says(&["1 to create", "left"]);
        let left = format!("not selected by {}", narrow[0]);
        assert_eq!(shown.stdout.matches(&left).count(), 1, "{shown}");
        let planned = actions(&["plan"]);
        assert_eq!(planned[0]["result"], "none", "{planned:?}");
        assert_eq!(planned[1], actions(&["apply", "--yes"])[1]);
        std::fs::remove_file(project.path("f")).unwrap();
    }
}

#[test]
fn a_command_runs_once_for_each_state_of_what_it_watches() {
    let project = Project::local("");
    let log = project.path("log");
    let declare = |content: &str| {
        let watched = project.path("f");
        let command = format!(
            "  - command: note\n    run: echo ran >>{}\n    on_change: [{}]\n",
            log.display(),
            watched.display()
        );
        project.write("roles/x/role.yml", &format!("resources:\n{}{command}", file(&project, "f", content)));
    };
    let runs = || std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    declare("one");
    project.run(&["apply", "--yes"]).code(0);
    project.run(&["apply", "--yes"]).code(0);
    assert_eq!(runs(), 1);
    declare("two");
    project.run(&["apply", "--yes"]).code(0);
    assert_eq!(runs(), 2);
    project.write("f", "by hand\n");
    project.run(&["verify"]).code(1).says(&["command:note"]);
    project.run(&["apply", "--yes"]).code(0);
    project.run(&["verify"]).code(0);
}

#[test]
fn two_that_fight_are_named() {
    let project = Project::local("");
    let path = project.path("f");
    let command =
        format!("  - command: undo\n    run: echo theirs >{0}\n    unless: grep -q theirs {0}\n", path.display());
    project.write("roles/x/role.yml", &format!("resources:\n{}{command}", file(&project, "f", "ours")));
    project.run(&["apply", "--yes"]).code(1).says(&["x/command:undo", "it fights with x/file:"]);
}

#[test]
fn a_command_whose_guard_stays_due_did_not_have_its_effect() {
    let project = Project::local("  - command: nothing\n    run: \"true\"\n    unless: \"false\"\n");
    project.run(&["apply", "--yes"]).code(1).says(&["did not have the effect"]);
}

#[test]
fn what_always_runs_is_said_and_never_verified() {
    let project = Project::local("");
    let log = project.path("log");
    project.write(
        "roles/x/role.yml",
        &format!("resources:\n  - command: echo ran >>{}\n    always: true\n", log.display()),
    );
    project.run(&["verify", "-v"]).code(0).says(&["not observable"]);
    assert!(!log.exists());
    project.run(&["apply", "--yes"]).code(0);
    assert_eq!(project.read("log"), "ran\n");
}

#[test]
fn a_check_may_take_its_time() {
    let project = Project::local("");
    let flag = project.path("flag");
    project.write("roles/x/role.yml", "resources: []\n");
    project.write(
        "roles/x/spec.yml",
        &format!("checks:\n  - command: test -e {}\n    exit_status: 0\n    within: 20s\n", flag.display()),
    );
    let mut run = project.start(&["verify"]);
    std::fs::write(&flag, "").unwrap();
    assert!(run.wait().unwrap().success());
}

#[test]
fn of_a_step_that_failed_only_what_is_not_as_declared_has_failed() {
    let project = Project::local("");
    project.write("full/below", "");
    let link = |name: &str| format!("  - link: {}\n    to: x\n    force: true\n", project.path(name).display());
    project.write("roles/x/role.yml", &format!("resources:\n{}{}", link("made"), link("full")));
    let ran = project.run(&["apply", "--yes"]).code(1).says(&["not empty"]);
    let line = |name: &str| {
        let path = format!("x/link:{}", project.path(name).display());
        ran.stdout
            .lines()
            .find(|line| line.contains(&path))
            .map(|line| line.trim_start().to_owned())
            .unwrap_or_default()
    };
    assert!(line("made").starts_with("changed") && line("full").starts_with("failed"), "{ran}");
    std::fs::remove_dir_all(project.path("full")).unwrap();
    project.run(&["apply", "--yes"]).code(0);
    std::fs::remove_file(project.path("made")).unwrap();
    assert_eq!(verdicts(&project, &["verify", "--report", "json"])[0].1, "drifted", "it was remembered");
}

#[test]
fn what_a_damaged_record_cannot_tell_is_never_made_up() {
    let project = Project::local("");
    let role = format!("{}{}", file(&project, "f", "one"), file(&project, "g", "two"));
    project.write("roles/x/role.yml", &format!("resources:\n{role}"));
    project.run(&["apply", "--yes"]).code(0);
    let whole = project.read("memory/test/here/record");
    project.write("f", "by hand");
    let damages = [0, 3, whole.len() / 3, whole.len() / 2, whole.len() - 1]
        .map(|length| whole.as_bytes()[..length].to_vec())
        .into_iter()
        .chain([vec![0; 300], whole.replace('\t', " ").into_bytes(), whole.replace('1', "\u{fffd}").into_bytes()]);
    for damaged in damages {
        std::fs::write(project.path("memory/test/here/record"), &damaged).unwrap();
        let shown = String::from_utf8_lossy(&damaged);
        // What is wrong is seen on the host, whatever is remembered.
        let ran = project.run(&["verify", "--report", "json=r.json"]);
        assert_eq!(ran.code, 1, "{shown:?}: {ran}");
        assert!(project.read("r.json").contains("\"got\":"), "{shown:?}");
        // And is either brought about, or refused with the name of the file.
        let ran = project.run(&["apply", "--yes"]);
        match ran.code {
            0 => assert_eq!(project.read("f"), "one\n", "{shown:?}"),
            _ => assert!(ran.stdout.contains("record") && project.read("f") == "by hand", "{shown:?}: {ran}"),
        }
        project.write("f", "by hand");
    }
}
