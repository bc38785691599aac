//! Is the house in order? Floors import downwards only, every file says what it is for, lists are complete.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors, lowest first. A floor may use itself and what stands before it.
const FLOORS: &[&str] = &[
    "base",
    "resource",
    "kinds",
    "catalog",
    "wire",
    "observe",
    "judge",
    "act",
    "lint",
    "history",
    "transport",
    "drivers",
    "verbs",
    "report",
    "cli",
];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_for_tests(&path) {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned(), text));
        }
    }
}

/// Files that are compiled for tests only have one of these names.
fn is_for_tests(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| ["testing", "tests", "sample"].iter().any(|name| stem == *name))
}

/// The floor a file belongs to; none for `lib.rs` and `main.rs`.
fn floor(path: &Path) -> Option<usize> {
    let name = path.components().nth(1)?.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
    FLOORS.iter().position(|floor| *floor == name)
}

/// Code without its tests, which may look anywhere.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod ").map_or(text, |at| &text[..at])
}

/// The floors that a text names by `crate::…`, also inside braces.
fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(inner) = rest.strip_prefix('{') {
            let inner = inner.split('}').next().unwrap_or_default();
            found.extend(inner.split(',').map(|part| part.trim().split("::").next().unwrap_or_default().to_owned()));
        } else {
            found.push(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned());
        }
    }
    found
}

#[test]
fn floors_import_downwards_only() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(own) = floor(&path) else { continue };
        for used in uses(without_tests(&text)) {
            match FLOORS.iter().position(|floor| *floor == used) {
                Some(other) if other > own => wrong.push(format!("{}: {} uses {used}", path.display(), FLOORS[own])),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_floor_has_two_directions_between_transport_and_the_pure_ones() {
    for (path, text) in sources() {
        if path.starts_with("src/transport") {
            let others: Vec<String> = uses(without_tests(&text))
                .into_iter()
                .filter(|used| {
                    FLOORS.contains(&used.as_str()) && !["base", "catalog", "transport"].contains(&used.as_str())
                })
                .collect();
            assert!(others.is_empty(), "{} uses {others:?}", path.display());
        }
        if path.starts_with("src/report") {
            let others: Vec<String> = uses(without_tests(&text))
                .into_iter()
                .filter(|used| {
                    FLOORS.contains(&used.as_str())
                        && !["base", "resource", "catalog", "report"].contains(&used.as_str())
                })
                .collect();
            assert!(others.is_empty(), "{} uses {others:?}", path.display());
        }
    }
}

#[test]
fn kinds_do_not_know_each_other() {
    for (path, text) in
        sources().into_iter().filter(|(path, _)| path.starts_with("src/kinds") && !path.ends_with("mod.rs"))
    {
        let code = without_tests(&text);
        assert!(!code.contains("crate::kinds::"), "{} uses another kind", path.display());
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in sources() {
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(!head.is_empty(), "{} does not open with what it is responsible for", path.display());
    }
}

#[test]
fn only_the_surface_prints_and_reads_the_environment() {
    let forbidden = ["println!", "eprintln!", "print!(", "eprint!(", "std::env::", "use std::env"];
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if path.starts_with("src/cli") || path.ends_with("main.rs") {
            continue;
        }
        let code = without_tests(&text);
        wrong.extend(
            forbidden.iter().filter(|word| code.contains(*word)).map(|word| format!("{}: {word}", path.display())),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_who_may_touches_files_and_waits() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let code = without_tests(&text);
        let may_open = ["src/catalog/load.rs", "src/cli", "src/transport", "src/main.rs"];
        if code.contains("std::fs") && !may_open.iter().any(|allowed| path.starts_with(allowed)) {
            wrong.push(format!("{}: std::fs", path.display()));
        }
        let may_wait = ["src/verbs", "src/transport", "src/drivers", "src/cli", "src/main.rs"];
        let waits = ["tokio::", "russh::", "async fn"].iter().any(|word| code.contains(word));
        if waits && !may_wait.iter().any(|allowed| path.starts_with(allowed)) {
            wrong.push(format!("{}: async", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_is_left_lying_about() {
    // Put together here, so that this file does not find itself.
    let marks = ["TO", "FIX", "XX"].iter().zip(["DO", "ME", "X"]).map(|(a, b)| format!("{a}{b}")).collect::<Vec<_>>();
    for (path, text) in sources() {
        // The template of mktemp.
        let text = text.replace(&"X".repeat(6), "");
        for mark in marks.iter().map(String::as_str).chain([
            "dbg!(",
            "todo!(",
            "unimplemented!(",
            "#[ignore",
            "allow(dead_code",
            "allow(unused",
        ]) {
            assert!(!text.contains(mark), "{}: {mark}", path.display());
        }
    }
}

#[test]
fn every_shell_file_parses() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for folder in ["src/act", "src/observe"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sh") {
                seen += 1;
                let out = std::process::Command::new("sh").arg("-n").arg(&path).output().unwrap();
                assert!(out.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&out.stderr));
            }
        }
    }
    assert!(seen >= 6, "{seen} shell files");
}

#[test]
fn what_the_list_of_faults_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let named: Vec<(&str, &str)> = page.split('`').filter_map(|word| word.split_once("::")).collect();
    assert!(named.len() > 40, "{} tests", named.len());
    for (suite, test) in named {
        let text = fs::read_to_string(root.join(format!("tests/{suite}.rs"))).unwrap_or_default();
        assert!(text.contains(&format!("fn {test}()")), "docs/faults.md names {suite}::{test}, which is not there");
    }
}
