//! Hosts that say the worst things: escapes, marks of every format, code in every language, a gigabyte of it. All of it is text:
//! nothing obeys it, every report holds it whole, and memory is bounded.

mod common;

use std::process::Command;

use common::{Measured, Project};
use serde_json::Value;

/// What is said: parts that some sink would obey. NUL and bytes that are no UTF-8 are added where they can be.
const HOSTILE: &[&str] = &[
    "\u{1b}[31mred\u{1b}]52;c;aGk=\u{7}",
    "\r\n::set-output name=x::y",
    "\n::error::forged",
    "##[section]x",
    "bidi \u{202e}txt.exe\u{2066}",
    "]]><testcase name=\"forged\"/><!--",
    "{{ 7*7 }}",
    "{% for x in y %}",
    "$(id)",
    "`id`",
    "../../x",
    "\u{85}\u{2028}line",
];

/// Characters that a terminal obeys or hides, and lines that a CI system obeys.
fn assert_clean(text: &str, what: &str) {
    let bad = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
    };
    assert!(!text.contains(bad), "{what}: {:?}", text.chars().find(|c| bad(*c)));
    for line in text.lines() {
        let line = line.trim_start();
        assert!(!line.starts_with("::") && !line.starts_with("##["), "{what}: {line}");
    }
}

/// A local project, verified, with all its reports looked at: what was said on the terminal and in JSON.
fn verified(project: &Project, code: i32) -> (String, Value) {
    let ran = project
        .run(&["verify", "-v", "--report", "text=-", "--report", "json=r.json", "--report", "junit=r.xml"])
        .code(code);
    let (json, xml) = (project.read("r.json"), project.read("r.xml"));
    for (what, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr), ("json", &json), ("junit", &xml)] {
        assert_clean(text, what);
        assert!(!text.contains("uid="), "{what}: something was run");
        assert!(!text.contains(" 49"), "{what}: something was rendered");
    }
    let parsed = Command::new("xmllint").args(["--noout", "r.xml"]).current_dir(project.path("")).output().unwrap();
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
    let cases = Command::new("xmllint")
        .args(["--xpath", "count(//testcase[@name='forged'])", "r.xml"])
        .current_dir(project.path(""))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&cases.stdout).trim(), "0");
    assert!(!project.path("../x").exists() && !project.path("../../x").exists());
    (ran.stdout, serde_json::from_str(&json).unwrap())
}

#[test]
fn what_a_command_prints_is_text_in_every_report() {
    let project = Project::local("  - command: true\n    always: true\n");
    let mut said = HOSTILE.join(" ").into_bytes();
    said.extend_from_slice(b"\0 nul \xff\xfe invalid");
    std::fs::write(project.path("said"), &said).unwrap();
    let said_file = project.path("said");
    let said_file = said_file.display();
    project.write(
        "specs/x.yml",
        &format!("checks:\n  - command: cat {said_file}\n    stdout: nothing\n  - command: cat {said_file} >&2\n    stderr: nothing\n"),
    );
    let (_, report) = verified(&project, 1);
    let got: Vec<&str> = report["hosts"][0]["resources"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|resource| resource["attributes"].as_array().unwrap())
        .filter(|attribute| attribute["verdict"] == "failed")
        .map(|attribute| attribute["got"].as_str().unwrap())
        .collect();
    assert_eq!(got.len(), 2);
    for got in got {
        for part in ["{{ 7*7 }}", "$(id)", "`id`", "../../x", "]]>"] {
            assert!(got.contains(part), "{part} is literal in {got}");
        }
    }
}

#[test]
fn names_and_contents_of_files_are_text_in_every_report() {
    // A folder whose files nobody declared: their names are reported.
    let project = Project::local("");
    let place = project.path("place");
    std::fs::create_dir(&place).unwrap();
    for (number, part) in HOSTILE.iter().enumerate() {
        std::fs::write(place.join(format!("{number}{}", part.replace('/', "_"))), "x").unwrap();
    }
    use std::os::unix::ffi::OsStrExt as _;
    std::fs::write(place.join(std::ffi::OsStr::from_bytes(b"invalid\xff\n::error::x")), "x").unwrap();
    let content = project.path("content");
    std::fs::write(&content, HOSTILE.join("\n")).unwrap();
    project.write(
        "roles/x/role.yml",
        &format!(
            "resources:\n  - directory: {}\n    purge: true\n  - file: {}\n    content: plain\n",
            place.display(),
            content.display()
        ),
    );
    verified(&project, 1);
    // What is no text cannot be named, and so is not removed.
    project.run(&["apply", "--yes"]).code(3).says(&["remove it by hand"]);
    std::fs::remove_file(place.join(std::ffi::OsStr::from_bytes(b"invalid\xff\n::error::x"))).unwrap();
    // And what is done about them reaches these files and no others.
    project.write("place.canary", "x");
    project.run(&["apply", "--yes"]).code(0);
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
    assert_eq!((project.read("content").as_str(), project.read("place.canary").as_str()), ("plain", "x"));
}

#[test]
fn facts_are_values_and_no_templates() {
    let project = Project::local("");
    std::fs::write(project.path("fact"), "{{ 7*7 }} $(id) ../../x\u{1b}[31m").unwrap();
    let (fact, made) = (project.path("fact"), project.path("made"));
    project.write(
        "roles/x/role.yml",
        &format!(
            "facts:\n  said: {{command: cat {}}}\nresources:\n  - file: {}\n    content: \"{{{{ facts.said }}}}\"\n  - command: quoted\n    run: \"printf %s {{{{ facts.said }}}} >{}.run\"\n    creates: {2}.run\n",
            fact.display(),
            made.display(),
            made.display()
        ),
    );
    project.run(&["apply", "--yes"]).code(0);
    assert_eq!(project.read("made"), project.read("fact"));
    assert_eq!(project.read("made.run"), project.read("fact"));
    verified(&project, 0);
}

#[test]
fn a_gigabyte_is_read_in_bounded_memory() {
    let project = Project::local("  - command: true\n    always: true\n");
    project.write(
        "specs/x.yml",
        "checks:\n  - command: head -c 1073741824 /dev/zero | tr '\\0' y\n    stdout: nothing\n  \
         - command: head -c 1073741824 /dev/zero >&2\n    stderr: nothing\n",
    );
    let Measured { code, peak, .. } =
        project.measured(1024, &["verify", "--report", "json=r.json", "--report", "junit=r.xml"]);
    assert!(code == 1 || code == 3, "{code}");
    assert!(peak < 200 * 1024, "{peak} KiB");
    assert!(std::fs::metadata(project.path("r.json")).unwrap().len() < 2 << 20);
}

#[test]
fn a_step_that_prints_a_gigabyte_is_read_in_bounded_memory_and_from_its_end() {
    let project = Project::local(
        "  - command: flood\n    run: head -c 1073741824 /dev/zero | tr '\\0' y; echo; echo the last line; exit 3\n    always: true\n",
    );
    let Measured { code, peak, .. } = project.measured(1024, &["apply", "--yes", "--report", "json=r.json"]);
    assert_eq!(code, 1);
    assert!(peak < 200 * 1024, "{peak} KiB");
    assert!(project.read("r.json").contains("the last line"));
}
