//! Reads JUnit files back with a parser and holds them against what consumers ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quick_xml::Reader;

use super::super::sample;
use super::*;

/// An element as read back.
#[derive(Debug, Default)]
struct Node {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
    children: Vec<Node>,
}

impl Node {
    fn all(&self, name: &str) -> Vec<&Node> {
        let mut found: Vec<&Node> = self.children.iter().flat_map(|child| child.all(name)).collect();
        if self.name == name {
            found.insert(0, self);
        }
        found
    }

    fn get(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }
}

fn parse(text: &str) -> Node {
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(text.chars().all(legal), "XML 1.0 forbids a character in {text:?}");
    let mut reader = Reader::from_str(text);
    let mut open = vec![Node::default()];
    let node = |start: &BytesStart<'_>| {
        let mut node = Node { name: String::from_utf8(start.name().as_ref().to_vec()).unwrap(), ..Node::default() };
        for attribute in start.attributes() {
            let attribute = attribute.unwrap();
            let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
            let value =
                quick_xml::escape::unescape(std::str::from_utf8(&attribute.value).unwrap()).unwrap().into_owned();
            assert!(node.attributes.insert(key, value).is_none(), "an attribute is there twice");
        }
        node
    };
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => open.push(node(&start)),
            Event::Empty(start) => {
                let child = node(&start);
                open.last_mut().unwrap().children.push(child);
            }
            Event::End(_) => {
                let child = open.pop().unwrap();
                open.last_mut().unwrap().children.push(child);
            }
            Event::Text(text) => open.last_mut().unwrap().text.push_str(std::str::from_utf8(&text).unwrap()),
            Event::GeneralRef(name) => {
                let name = format!("&{};", std::str::from_utf8(&name).unwrap());
                open.last_mut().unwrap().text.push_str(&quick_xml::escape::unescape(&name).unwrap());
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open.len(), 1, "an element is not closed");
    open.pop().unwrap().children.pop().unwrap()
}

fn shown(run: &RunResult) -> Node {
    let text = render(run, &Options::default());
    assert!(!text.contains("]]>"), "{text}");
    parse(&text)
}

/// What must hold of every file.
fn check_shape(root: &Node) {
    assert_eq!(root.name, "testsuites");
    let count = |node: &Node, name: &str| node.all(name).len().to_string();
    for node in root.all("testsuite").into_iter().chain([root]) {
        assert_eq!(node.get("tests"), count(node, "testcase"));
        assert_eq!(node.get("failures"), count(node, "failure"));
        assert_eq!(node.get("errors"), count(node, "error"));
        assert_eq!(node.get("skipped"), count(node, "skipped"));
        assert!(node.get("time").parse::<f64>().is_ok() && node.get("time").contains('.'));
        assert!(!node.get("name").trim().is_empty());
    }
    let mut names = BTreeSet::new();
    for suite in root.all("testsuite") {
        assert_ne!(suite.get("tests"), "0", "a suite without cases is dropped by some");
        for case in suite.all("testcase") {
            assert!(!case.get("name").is_empty());
            assert_eq!(case.get("classname").matches('.').count(), 1, "{case:?}");
            assert!(names.insert((case.get("classname"), case.get("name"))), "twice: {case:?}");
            assert!(case.children.len() <= 1);
        }
    }
}

fn case<'a>(root: &'a Node, classname: &str, name: &str) -> &'a Node {
    let all = root.all("testcase");
    let found = all.iter().find(|case| case.get("classname") == classname && case.get("name") == name);
    found.unwrap_or_else(|| panic!("no case {classname} {name} in {root:#?}"))
}

#[test]
fn the_file_looks_like_this() {
    sample::golden("verify.xml", &render(&sample::every_verdict(), &Options::default()));
}

#[test]
fn every_sample_is_well_formed_and_counts_what_it_holds() {
    let nobody = sample::run(Verb::Verify, vec![]);
    let all = [sample::every_verdict(), sample::forty_alike(), sample::hostile(), sample::nothing(), sample::plan()];
    for run in all.into_iter().chain([sample::applied(), nobody]) {
        check_shape(&shown(&run));
    }
}

#[test]
fn drift_is_a_failure_and_what_could_not_be_told_an_error() {
    let root = shown(&sample::every_verdict());
    let mode = case(&root, "nginx.web001_example_com", "file:/etc/nginx/nginx.conf#mode");
    assert_eq!((mode.get("file"), mode.get("line")), ("roles/nginx/role.yml", "14"));
    let failure = &mode.children[0];
    assert_eq!((failure.name.as_str(), failure.get("type")), ("failure", "drifted"));
    assert_eq!(failure.get("message"), "expected 0644, found 0600");
    assert!(failure.text.contains("snowmelt apply --limit web001.example.com --only nginx/file:/etc/nginx/nginx.conf"));
    let content = case(&root, "nginx.web001_example_com", "file:/etc/nginx/nginx.conf#content");
    assert!(content.children[0].text.contains("-worker_processes 8;\n+worker_processes auto;\n"));
    let port = case(&root, "nginx.web001_example_com", "port:80/tcp#listening");
    assert_eq!(port.children[0].get("type"), "failed");
    let unknown = case(&root, "base.web001_example_com", "command:ntp is in sync#state");
    assert_eq!((unknown.children[0].name.as_str(), unknown.children[0].get("type")), ("error", "unknown"));
    let always = case(&root, "base.web001_example_com", "command:warm the cache");
    assert_eq!(always.children[0].name, "skipped");
    assert!(case(&root, "base.web001_example_com", "package:ntp#state").children.is_empty());
}

#[test]
fn a_host_that_is_down_is_one_error_and_a_host_that_is_up_has_the_same_case() {
    let root = shown(&sample::every_verdict());
    let down = case(&root, "snowmelt.web003_example_com", "host reachable");
    assert_eq!((down.children[0].name.as_str(), down.children[0].get("type")), ("error", "unreachable"));
    assert!(down.children[0].get("message").contains("connection refused"));
    assert!(down.children[0].text.contains("hint: is sshd running"));
    assert!(case(&root, "snowmelt.web001_example_com", "host reachable").children.is_empty());
}

#[test]
fn nothing_checked_is_not_green() {
    for run in [sample::nothing(), sample::run(Verb::Verify, vec![])] {
        assert_eq!(shown(&run).get("errors"), "1");
    }
}

#[test]
fn what_became_of_a_step_is_told() {
    let root = shown(&sample::applied());
    let failed = case(&root, "nginx.web002_example_com", "package:nginxx#state");
    assert!(failed.children[0].text.contains("E: Unable to locate package nginxx"));
    let left = case(&root, "nginx.web002_example_com", "service:nginx#state");
    assert_eq!(left.children[0].name, "skipped");
    let lost = case(&root, "nginx.web002_example_com", "user:shop");
    assert_eq!((lost.children[0].name.as_str(), lost.children[0].get("type")), ("error", "lost"));
    let changed = case(&root, "nginx.web002_example_com", "file:/etc/nginx/nginx.conf#mode");
    assert!(changed.children.is_empty(), "what was put right is green");
}

#[test]
fn attributes_of_what_does_not_exist_are_skipped() {
    let root = shown(&sample::plan());
    let state = case(&root, "nginx.web001_example_com", "file:/etc/nginx/nginx.conf#state");
    assert_eq!(state.children[0].name, "failure");
    let mode = case(&root, "nginx.web001_example_com", "file:/etc/nginx/nginx.conf#mode");
    assert_eq!(mode.children[0].name, "skipped");
}

#[test]
fn names_hold_no_values() {
    let mut run = sample::every_verdict();
    let names = |run: &RunResult| -> Vec<String> {
        shown(run).all("testcase").iter().map(|case| case.get("name").to_owned()).collect()
    };
    let before = names(&run);
    for attribute in
        run.hosts.iter_mut().flat_map(|host| &mut host.resources).flat_map(|r| &mut Arc::make_mut(r).attributes)
    {
        (attribute.got, attribute.want) = ("other".into(), "another".into());
    }
    assert_eq!(names(&run), before);
}
