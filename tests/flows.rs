//! The flags that steer a run, the reports it leaves, and Ctrl-C: the program as people call it, on several hosts that are all
//! this machine.

mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Project, Ran};

const INVENTORY: &str = "\
defaults: {transport: local}
groups:
  web:
    roles: [x]
    hosts: ['web[1:3]']
  db:
    roles: [x, y]
    vars: {x: {word: for databases}}
    hosts: {db1: {vars: {x: {word: for db1}}}}
  all-of-them: {groups: [web, db]}
";

/// Hosts web1 to web3 with the role `x`, db1 with `x` and `y`; each has a folder of its own, and its memory in the project.
fn fleet(resources: &str) -> Project {
    let project = Project::new();
    let (root, memory) = (project.path(""), project.path("memory"));
    for host in ["web1", "web2", "web3", "db1"] {
        std::fs::create_dir(project.path(host)).unwrap();
    }
    let root = root.display();
    let params = "params:\n  word: {type: string, default: anywhere}\n";
    project
        .file("snowmelt.yml", &format!("project: test\nmemory: {}\n", memory.display()))
        .file("inventory.yml", INVENTORY)
        .file("roles/x/role.yml", &format!("{params}resources:\n{}", resources.replace("ROOT", &root.to_string())))
        .file("roles/y/role.yml", &format!("resources:\n  - file: {root}/{{{{ host.name }}}}/y\n    content: y\n"))
}

const A_FILE: &str = "  - file: ROOT/{{ host.name }}/x\n    content: \"{{ word }}\\n\"\n    tags: [words]\n";

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON: {error}\n{text}"))
}

/// Names and outcomes of the hosts of a JSON report, in its order.
fn hosts(report: &str) -> Vec<(String, String)> {
    let report = json(report);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    report["hosts"].as_array().unwrap().iter().map(|host| (text(&host["host"]), text(&host["outcome"]))).collect()
}

#[test]
fn a_limit_names_hosts_groups_and_roles_and_excludes_them() {
    let project = fleet(A_FILE);
    for (limit, expected) in [
        ("web2", "web2"),
        ("web2,db1", "web2 db1"),
        ("web*", "web1 web2 web3"),
        ("web[1:2]", "web1 web2"),
        ("group:db", "db1"),
        ("role:y", "db1"),
        ("role:x,!web*", "db1"),
        ("!db1,!web[2:3]", "web1"),
    ] {
        let ran = project.run(&["plan", "--limit", limit, "--report", "json"]).code(1);
        let names: Vec<String> = hosts(&ran.stdout).into_iter().map(|(host, _)| host).collect();
        assert_eq!(names.join(" "), expected, "{limit}");
    }
}

#[test]
fn the_nearest_value_wins_and_show_says_where_it_stands() {
    let project = fleet(A_FILE);
    project.run(&["apply", "--yes"]).code(0);
    let words = || ["web1/x", "db1/x"].map(|path| project.read(path));
    assert_eq!(words(), ["anywhere\n", "for db1\n"]);
    let address = format!("x/file:{}", project.path("db1/x").display());
    project.run(&["show", "db1", &address]).code(0).says(&["for db1", "inventory.yml:9:36"]);
    project.run(&["apply", "--yes", "--set", "x.word=now", "--limit", "db1"]).code(0);
    assert_eq!(words(), ["anywhere\n", "now\n"]);
    project.run(&["show", "db1", &address, "--set", "x.word=now"]).code(0).says(&["now", "--set"]);
}

#[test]
fn what_is_not_selected_is_told_and_left_alone() {
    let project = fleet(A_FILE);
    let only = format!("y/file:{}", project.path("db1/y").display());
    project.run(&["apply", "--yes", "--limit", "db1", "--only", &only]).code(1).says(&["--only"]);
    assert!(project.path("db1/y").exists() && !project.path("db1/x").exists());
    project.run(&["apply", "--yes", "--limit", "web1", "--tags", "words"]).code(0);
    assert!(project.path("web1/x").exists());
    project.run(&["apply", "--yes", "--limit", "web2", "--tags", "other"]).code(2).says(&["--tags other", "words"]);
}

#[test]
fn equal_findings_are_shown_once_for_all_their_hosts() {
    let project = fleet("  - file: ROOT/the-same\n    content: \"{{ word }}\\n\"\n");
    let plan = project.run(&["plan", "--limit", "group:web"]).code(1);
    assert_eq!(plan.stdout.matches("+anywhere").count(), 1, "{plan}");
    plan.says(&["web[1:3]", "3 hosts"]);
    let run = project.run(&["run", "-l", "web*", "--", "echo", "alike"]).code(0);
    assert_eq!(run.stdout.matches("alike").count(), 1, "{run}");
    run.says(&["web[1:3]"]);
    let run = project.run(&["run", "--", "sh", "-c", "exit 3"]).code(1);
    run.says(&["3"]);
}

#[test]
fn every_report_goes_where_it_was_asked_for() {
    let project = fleet(A_FILE);
    let reports = ["--report", "json=out/r.json", "--report", "junit=out/r.xml", "--report", "junit=each/"];
    let ran = project.run(&[&["verify", "--report", "text"], &reports[..]].concat()).code(1);
    assert!(ran.stdout.contains("verify 4 hosts"), "{ran}");
    let names = ["web1", "web2", "web3", "db1"];
    assert_eq!(hosts(&project.read("out/r.json")).iter().map(|(host, _)| host.as_str()).collect::<Vec<_>>(), names);
    let mut files: Vec<String> = std::fs::read_dir(project.path("each"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["TEST-db1.xml", "TEST-web1.xml", "TEST-web2.xml", "TEST-web3.xml"]);
    for file in files.iter().map(|file| format!("each/{file}")).chain(["out/r.xml".to_owned()]) {
        let lint = Command::new("xmllint").args(["--noout"]).arg(project.path(&file)).status().unwrap();
        assert!(lint.success(), "{file}");
    }
    // A report on standard output is all that stands there.
    let ran = project.run(&["verify", "--report", "json=-"]).code(1);
    assert_eq!(hosts(&ran.stdout).len(), names.len());
    // What cannot be written is found before any host is contacted.
    project.write("out/file", "");
    let ran = project.run(&["apply", "--yes", "--report", "json=out/file/r.json"]).code(2);
    ran.says(&["out/file"]);
    assert!(!project.path("web1/x").exists());
}

#[test]
fn colour_and_progress_are_for_terminals() {
    let project = fleet(A_FILE);
    let escapes = |ran: &Ran| ran.stdout.contains('\u{1b}') || ran.stderr.contains('\u{1b}');
    assert!(!escapes(&project.run(&["plan"])));
    assert!(escapes(&project.run(&["plan", "--color", "always"])));
    let run = |variable: &str, value: &str, arguments: &[&str]| {
        let output = project.command(arguments).env(variable, value).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains('\u{1b}')
    };
    assert!(run("CLICOLOR_FORCE", "1", &["plan"]));
    assert!(!run("NO_COLOR", "1", &["plan"]));
    assert!(run("NO_COLOR", "1", &["plan", "--color", "always"]), "what is asked for wins");
}

/// A verify whose every host takes until a file is there, begun and waited for.
fn waiting(arguments: &[&str]) -> (Project, Child) {
    let project = fleet(A_FILE).file(
        "roles/x/spec.yml",
        "checks:\n  - command: wait\n    run: touch {{ here }}/begun; until test -e {{ here }}/go; do sleep 0.05; done\n    exit_status: 0\n",
    );
    let root = project.path("").display().to_string();
    let role = project.read("roles/x/role.yml");
    let lets = format!("let:\n  here: \"{root}/{{{{ host.name }}}}\"\nresources:");
    project.write("roles/x/role.yml", &role.replace("resources:", &lets));
    let child = project
        .command(arguments)
        .args(["--report", "json=r.json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while !project.path("web1/begun").exists() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    (project, child)
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    // Two at once may be one.
    std::thread::sleep(Duration::from_millis(200));
}

#[test]
fn the_first_interrupt_begins_no_new_host() {
    let (project, child) = waiting(&["verify", "--parallel", "1"]);
    interrupt(&child);
    std::fs::write(project.path("web1/go"), "").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let found = hosts(&project.read("r.json"));
    let outcomes: Vec<&str> = found.iter().map(|(_, outcome)| outcome.as_str()).collect();
    assert_eq!(outcomes, ["judged", "not_started", "not_started", "not_started"], "{found:?}");
    assert!(!project.path("web2/begun").exists());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no new host is begun"));
}

#[test]
fn the_second_interrupt_lets_go_and_names_what_goes_on() {
    let (project, child) = waiting(&["verify", "--parallel", "2"]);
    interrupt(&child);
    interrupt(&child);
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "it does not let go");
    assert_eq!(output.status.code(), Some(130));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("web1") && stdout.contains("let go"), "{stdout}");
    assert_eq!(hosts(&project.read("r.json")).len(), 4, "every host is in the report");
    for host in ["web1", "web2"] {
        std::fs::write(project.path(&format!("{host}/go")), "").unwrap();
    }
}

#[test]
fn what_is_known_to_be_wrong_is_never_unknown() {
    for (declared, there, found, why) in [
        ("link: ROOT/x\n    to: y", "mkdir ROOT/x", "a directory", "ROOT/x is no symbolic link; force: true"),
        ("link: ROOT/x\n    to: y", "touch ROOT/x", "a file", "ROOT/x is no symbolic link; force: true"),
        ("file: ROOT/x\n    content: new", "mkdir ROOT/x", "a directory", "ROOT/x is a folder, not a file"),
        ("file: ROOT/x\n    mode: \"0644\"", "mkdir ROOT/x", "a directory", "ROOT/x is a folder, not a file"),
        (
            "file: ROOT/x\n    content: new",
            "ln -s y ROOT/x",
            "a symbolic link to y",
            "ROOT/x is a symbolic link; declare",
        ),
        ("file: ROOT/x\n    state: absent", "mkdir ROOT/x", "a directory", "ROOT/x is a folder, not a file"),
        ("link: ROOT/x\n    state: absent", "mkdir ROOT/x", "a directory", "ROOT/x is no symbolic link; force: true"),
        ("directory: ROOT/x", "touch ROOT/x", "a file", "ROOT/x is no directory"),
        ("directory: ROOT/x\n    state: absent", "touch ROOT/x", "a file", "ROOT/x is no directory"),
        ("directory: ROOT/x", "ln -s y ROOT/x", "a symbolic link to y", "ROOT/x is a symbolic link; declare"),
        ("line: a\n    file: ROOT/no/x", "touch ROOT/x", "no directory ROOT/no", "no directory ROOT/no"),
        ("line: a\n    file: ROOT/no", "touch ROOT/x", "no file ROOT/no", "there is no such file; `create: true`"),
    ] {
        let project = Project::local("");
        let root = project.path("").display().to_string();
        let root = root.trim_end_matches('/');
        let at = |text: &str| text.replace("ROOT", root);
        project.write("roles/x/role.yml", &format!("resources:\n  - {}\n", at(declared)));
        let make = at(there);
        assert!(Command::new("sh").args(["-c", &make]).status().unwrap().success());
        let is = || Command::new("stat").args(["-c", "%F %i %y", &at("ROOT/x")]).output().unwrap().stdout;
        let was = is();
        project
            .run(&["verify", "--report", "text", "--report", "junit=v.xml"])
            .code(1)
            .says(&["pending", &at(found)])
            .hides(&["unknown"]);
        let report = project.read("v.xml");
        let told = format!("found {}", at(found));
        assert!(report.contains("<failure") && report.contains(&told) && !report.contains("<error"), "{report}");
        project.run(&["apply", "--yes"]).code(1).says(&["failed", &at(why)]).hides(&["unknown"]);
        assert_eq!(is(), was, "{declared}");
    }
    // What is not there needs no line taken out of it.
    let project = Project::local("");
    let root = project.path("").display().to_string();
    let role = format!("resources:\n  - line: a\n    file: {root}/no/x\n    state: absent\n");
    project.write("roles/x/role.yml", &role);
    project.run(&["verify"]).code(0);
}

#[test]
fn a_service_without_a_unit_is_wrong_unless_something_may_bring_it() {
    let role = "resources:\n  - service: no-such-unit\n    running: true\n    enabled: true\n";
    let project = Project::local("");
    project.write("roles/x/role.yml", role);
    project.run(&["verify"]).code(1).says(&["no unit no-such-unit.service"]).hides(&["unknown"]);
    project.write("specs/x.yml", "checks:\n  - service: no-such-unit\n    running: true\n");
    project.run(&["verify"]).code(1).says(&["failed", "no unit no-such-unit.service"]).hides(&["unknown"]);
    let provider = "  - command: bring it\n    run: 'true'\n    unless: 'false'\n";
    project.write("roles/x/role.yml", &role.replace("resources:\n", &format!("resources:\n{provider}")));
    project.run(&["plan"]).says(&["undecided", "after command:bring it: no unit no-such-unit.service"]);
}

#[test]
fn an_address_that_was_shown_can_be_given_back() {
    let project = fleet("  - line: \"10.0.0.1 db.internal\"\n    file: ROOT/hosts\n    match: 'db\\.internal'\n");
    project.write("hosts", "10.0.0.9 db.internal\n");
    let shown = project.run(&["verify", "-l", "web1", "--report", "junit=-"]).code(1).stdout;
    let command = shown.split("to put it right: snowmelt ").nth(1).unwrap().lines().next().unwrap();
    let command = command.replace("&apos;", "'");
    let line = format!("{} {command} --yes", env!("CARGO_BIN_EXE_snowmelt"));
    let pasted = Command::new("sh").args(["-c", &line]).current_dir(project.path("")).output().unwrap();
    assert!(pasted.status.success(), "{line}: {pasted:?}");
    assert_eq!(project.read("hosts"), "10.0.0.1 db.internal\n");
    project.run(&["plan", "--only", "line:["]).code(2).says(&["--only line:["]);
}
