//! JUnit XML, in the dialect that the consumers people use agree on (`docs/reports.md` says which, and how a run maps to it).
//!
//! One suite per host, one case per declared attribute. Names are made from addresses and never hold a value, so that a case
//! has the same name in every run. Counts are taken from the cases; what XML cannot hold is made visible.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::Options;
use super::text::without_commands;
use crate::base::clean;
use crate::base::quote;
use crate::resource::result::{
    Action, AttributeResult, HostOutcome, HostResult, ResourceResult, RunResult, Trouble, Verb, Verdict,
};

/// The longest body of a case, in characters: consumers refuse large files.
const BODY_LIMIT: usize = 20_000;

/// Renders a run.
pub(super) fn render(run: &RunResult, _: &Options) -> String {
    let mut suites: Vec<Suite> = run.hosts.iter().map(|host| suite(run, host)).collect();
    if suites.is_empty() {
        let nobody = Case::new("hosts selected", "snowmelt.run");
        let cases = vec![nobody.ended("error", "nothing checked", "no host was selected", String::new())];
        suites.push(Suite { name: run.project.clone(), cases, ..Suite::default() });
    }
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    match write_run(&mut bytes, run, &suites).map(|()| String::from_utf8(bytes)) {
        Ok(Ok(text)) => text,
        _ => String::from("<testsuites name=\"snowmelt\" tests=\"0\"/>\n"),
    }
}

/// One host.
#[derive(Default)]
struct Suite {
    name: String,
    hostname: String,
    timestamp: String,
    seconds: f64,
    properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
}

/// One attribute of one resource, or the host itself.
struct Case {
    name: String,
    classname: String,
    place: Option<(String, usize)>,
    end: Option<End>,
}

/// How a case ended that did not simply succeed.
struct End {
    /// `failure`, `error` or `skipped`: the element's name.
    element: &'static str,
    ty: String,
    message: String,
    body: String,
}

impl Case {
    fn new(name: impl Into<String>, classname: impl Into<String>) -> Self {
        Self { name: name.into(), classname: classname.into(), place: None, end: None }
    }

    fn ended(self, element: &'static str, ty: &str, message: impl Into<String>, body: String) -> Self {
        let end = End { element, ty: ty.to_owned(), message: message.into(), body };
        Self { end: Some(end), ..self }
    }
}

fn suite(run: &RunResult, host: &HostResult) -> Suite {
    let mut cases = vec![reachable(host)];
    for resource in &host.resources {
        cases.extend(cases_of(run, host, resource));
    }
    if cases.len() == 1 && cases[0].end.is_none() {
        let message = "nothing was checked: no role and no spec declares anything for this host";
        let empty = Case::new("something declared", classname("snowmelt", host));
        cases.push(empty.ended("error", "nothing checked", message, String::new()));
    }
    make_unique(&mut cases);
    let mut properties =
        vec![("tool", format!("snowmelt {}", env!("CARGO_PKG_VERSION"))), ("verb", run.verb.name().to_owned())];
    properties.extend(host.roles.iter().map(|role| ("role", role.clone())));
    properties.extend(run.commit.iter().map(|commit| ("commit", commit.clone())));
    properties.extend(host.notes.iter().map(|note| ("note", note.clone())));
    Suite {
        name: host.host.clone(),
        hostname: host.address.clone().unwrap_or_else(|| host.host.clone()),
        timestamp: timestamp(run.started),
        seconds: host.took.as_secs_f64(),
        properties,
        cases,
    }
}

/// The case that every host has, so that one that comes back is seen to come back.
fn reachable(host: &HostResult) -> Case {
    let case = |name: &str| Case::new(name, classname("snowmelt", host));
    let told = |trouble: &Trouble| {
        let hint = trouble.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        let message = format!("{}: {}", trouble.phase, first_line(&trouble.message));
        (message, format!("{}: {}{hint}\n", trouble.phase, trouble.message))
    };
    match &host.outcome {
        HostOutcome::Judged => case("host reachable"),
        HostOutcome::Unreachable(trouble) => {
            let (message, body) = told(trouble);
            case("host reachable").ended("error", "unreachable", message, body)
        }
        HostOutcome::Failed(trouble) => {
            let (message, body) = told(trouble);
            case("host judged").ended("error", "failed", message, body)
        }
        HostOutcome::NotStarted(why) => case("host reachable").ended("error", "not started", why, String::new()),
    }
}

/// A case for each attribute; one for the resource where that is all there is, or where a step about it went wrong although
/// no attribute shows it.
fn cases_of(run: &RunResult, host: &HostResult, resource: &ResourceResult) -> Vec<Case> {
    let case = |attribute: Option<&str>| {
        let address = attribute.map_or_else(|| resource.address.clone(), |name| resource.address.attribute(name));
        let name = address.to_string();
        let name = name.strip_prefix(&format!("{}/", address.role)).unwrap_or(&name).to_owned();
        let place = Some((resource.file.clone(), resource.line));
        Case { place, ..Case::new(name, classname(&resource.address.role, host)) }
    };
    let mut cases = Vec::new();
    let state = resource.attributes.iter().find(|attribute| attribute.name == "state" && attribute.verdict.is_wrong());
    for attribute in &resource.attributes {
        let case = case(Some(&attribute.name));
        let about = About { run, host, resource, attribute: Some(attribute) };
        cases.push(match state.filter(|state| state.name != attribute.name) {
            Some(_) => {
                case.ended("skipped", "not observable", "its state is not as declared: see there", String::new())
            }
            None => about.judged(case, &attribute.verdict),
        });
    }
    let about = About { run, host, resource, attribute: None };
    let is_shown = cases.iter().any(|case| case.end.as_ref().is_some_and(|end| end.element != "skipped"));
    match &resource.action {
        Action::Failed { title, message } if !is_shown => {
            let message = format!("{}: {}", title, first_line(message));
            cases.push(case(None).ended("failure", "failed", message, about.body()));
        }
        Action::Lost(why) => cases.push(case(None).ended("error", "lost", first_line(why), about.body())),
        _ if cases.is_empty() => cases.push(about.judged(case(None), &resource.verdict)),
        _ => {}
    }
    cases
}

/// What a case is about.
struct About<'a> {
    run: &'a RunResult,
    host: &'a HostResult,
    resource: &'a ResourceResult,
    attribute: Option<&'a AttributeResult>,
}

impl About<'_> {
    fn judged(&self, case: Case, verdict: &Verdict) -> Case {
        match verdict {
            Verdict::InSync => case,
            Verdict::NotObservable => {
                let why = match self.resource.verdict {
                    Verdict::NotObservable => "there is nothing to judge: it always runs",
                    _ => "it cannot be compared before its state is known: see there",
                };
                case.ended("skipped", "not observable", why, String::new())
            }
            Verdict::Unknown(why) => case.ended("error", "unknown", first_line(why), self.body()),
            Verdict::Undecided { after, why } => {
                let message = format!("cannot be told before {after} has been applied: {}", first_line(why));
                case.ended("error", "undecided", message, self.body())
            }
            Verdict::Pending | Verdict::Drifted | Verdict::Failed => match &self.resource.action {
                Action::NotSelected(why) => case.ended("skipped", "not selected", first_line(why), self.body()),
                _ => case.ended("failure", verdict.word(), self.message(), self.body()),
            },
        }
    }

    /// One line: what was expected and what was found.
    fn message(&self) -> String {
        match self.attribute {
            Some(AttributeResult { name, diff: Some(_), .. }) => format!("{name} differs from what is declared"),
            Some(AttributeResult { want, got, .. }) => {
                format!("expected {}, found {}", value(want), value(got))
            }
            None => format!("{} is not as declared", self.resource.address),
        }
    }

    /// Everything a person needs who sees nothing but this case.
    fn body(&self) -> String {
        let mut out = String::new();
        let address = match self.attribute {
            Some(attribute) => self.resource.address.attribute(&attribute.name),
            None => self.resource.address.clone(),
        };
        let _ = writeln!(out, "{address} on {}", self.host.host);
        let _ = writeln!(out, "declared in {}:{}", self.resource.file, self.resource.line);
        if let Some(attribute) = self.attribute {
            match &attribute.verdict {
                Verdict::Unknown(why) => {
                    let _ = writeln!(out, "could not be told: {why}");
                }
                Verdict::Undecided { after, why } => {
                    let _ = writeln!(out, "undecided after {after}: {why}");
                }
                _ => {
                    let _ = writeln!(out, "expected: {}\nfound:    {}", attribute.want, attribute.got);
                }
            }
            if let Some(diff) = &attribute.diff {
                let _ = write!(out, "\n{diff}");
                if !diff.ends_with('\n') {
                    out.push('\n');
                }
            }
        } else if let Verdict::Unknown(why) = &self.resource.verdict {
            let _ = writeln!(out, "could not be told: {why}");
        }
        match &self.resource.action {
            Action::Failed { title, message } => {
                let _ = writeln!(out, "\n{title}: failed\n{message}");
            }
            Action::NotReached => out.push_str("\nnot reached: an earlier step failed\n"),
            Action::NotSelected(why) => {
                let _ = writeln!(out, "\nnot selected: {why}");
            }
            Action::Lost(why) => {
                let _ = writeln!(out, "\nlost: {why}");
            }
            Action::None | Action::Changed { .. } => {}
        }
        if let Some(command) = self.remedy() {
            let _ = writeln!(out, "\nto put it right: {command}");
        }
        clean::shorten(&out, BODY_LIMIT).into_owned()
    }

    /// The command that puts it right, where there is one.
    fn remedy(&self) -> Option<String> {
        let is_due = self.resource.verdict.is_wrong() && !self.resource.is_check && self.run.verb != Verb::Apply;
        let words = ["snowmelt", "apply", "--limit", &self.host.host, "--only", &self.resource.address.to_string()]
            .map(str::to_owned);
        is_due.then(|| quote::words(words))
    }
}

/// `role.host_with_underscores`: consumers split at the last dot, so the host must not have any.
fn classname(role: &str, host: &HostResult) -> String {
    format!("{}.{}", role.replace('.', "_"), host.host.replace('.', "_"))
}

/// Gives a number to names that would be there twice: a role's resource and a spec's check may have one address.
fn make_unique(cases: &mut [Case]) {
    let mut taken: HashSet<(String, String)> = HashSet::new();
    for case in cases {
        // What is compared is what is written: two names must not become one by being cleaned.
        let base = attribute_text(&case.name);
        let classname = attribute_text(&case.classname);
        let mut name = base.clone();
        let mut number = 1;
        while !taken.insert((classname.clone(), name.clone())) {
            number += 1;
            name = format!("{base} ({number})");
        }
        (case.name, case.classname) = (name, classname);
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn value(text: &str) -> String {
    if text.is_empty() { "\"\"".to_owned() } else { clean::shorten(text, 200).into_owned() }
}

/// Seconds since 1970 as UTC without a zone, which is what the schema that most consumers copied asks for.
fn timestamp(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        Err(_) => "1970-01-01T00:00:00".to_owned(),
    }
}

/// Text as an attribute may hold it: one line, and nothing that XML 1.0 forbids.
fn attribute_text(text: &str) -> String {
    legal(&clean::line(text))
}

/// Text as an element may hold it. CI systems print reports, too.
fn body_text(text: &str) -> String {
    legal(&without_commands(&clean::lines(text)))
}

/// Makes visible the last two characters that XML 1.0 forbids, after controls have been made visible.
fn legal(text: &str) -> String {
    text.replace('\u{fffe}', "\\u{fffe}").replace('\u{ffff}', "\\u{ffff}")
}

fn write_run(bytes: &mut Vec<u8>, run: &RunResult, suites: &[Suite]) -> io::Result<()> {
    let mut writer = Writer::new_with_indent(bytes, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let cases: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let mut root = element("testsuites", &[("name", &format!("snowmelt {} {}", run.verb.name(), run.project))]);
    push_counts(&mut root, &cases);
    root.push_attribute(("time", seconds(run.took.as_secs_f64()).as_str()));
    writer.write_event(Event::Start(root))?;
    for (id, suite) in suites.iter().enumerate() {
        write_suite(&mut writer, id, suite)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuites")))?;
    writer.write_indent()
}

fn write_suite(writer: &mut Writer<&mut Vec<u8>>, id: usize, suite: &Suite) -> io::Result<()> {
    let mut start = element(
        "testsuite",
        &[
            ("id", &id.to_string()),
            ("name", &suite.name),
            ("hostname", &suite.hostname),
            ("timestamp", &suite.timestamp),
        ],
    );
    push_counts(&mut start, &suite.cases.iter().collect::<Vec<_>>());
    start.push_attribute(("time", seconds(suite.seconds).as_str()));
    writer.write_event(Event::Start(start))?;
    if !suite.properties.is_empty() {
        writer.write_event(Event::Start(BytesStart::new("properties")))?;
        for (name, value) in &suite.properties {
            writer.write_event(Event::Empty(element("property", &[("name", name), ("value", value)])))?;
        }
        writer.write_event(Event::End(BytesEnd::new("properties")))?;
    }
    for case in &suite.cases {
        write_case(writer, case)?;
    }
    writer.write_event(Event::End(BytesEnd::new("testsuite")))
}

fn write_case(writer: &mut Writer<&mut Vec<u8>>, case: &Case) -> io::Result<()> {
    // A host answers about everything at once, so no case has a time of its own; some consumers insist on the attribute.
    let mut start = element("testcase", &[("classname", &case.classname), ("name", &case.name), ("time", "0.000")]);
    if let Some((file, line)) = &case.place {
        start.push_attribute(("file", attribute_text(file).as_str()));
        start.push_attribute(("line", line.to_string().as_str()));
    }
    let Some(end) = &case.end else { return writer.write_event(Event::Empty(start)) };
    writer.write_event(Event::Start(start))?;
    let inner = element(end.element, &[("type", &end.ty), ("message", &end.message)]);
    if end.body.is_empty() {
        writer.write_event(Event::Empty(inner))?;
    } else {
        writer.write_event(Event::Start(inner))?;
        writer.write_event(Event::Text(BytesText::new(&body_text(&end.body))))?;
        writer.write_event(Event::End(BytesEnd::new(end.element)))?;
    }
    writer.write_event(Event::End(BytesEnd::new("testcase")))
}

/// The start of an element with attributes that have been made fit for XML.
fn element(name: &'static str, attributes: &[(&str, &str)]) -> BytesStart<'static> {
    let mut start = BytesStart::new(name);
    for (key, value) in attributes {
        start.push_attribute((*key, attribute_text(value).as_str()));
    }
    start
}

fn push_counts(start: &mut BytesStart<'_>, cases: &[&Case]) {
    start.push_attribute(("tests", cases.len().to_string().as_str()));
    for (attribute, element) in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")] {
        let count = cases.iter().filter(|case| case.end.as_ref().is_some_and(|end| end.element == element)).count();
        start.push_attribute((attribute, count.to_string().as_str()));
    }
}

fn seconds(time: f64) -> String {
    format!("{time:.3}")
}

#[cfg(test)]
mod tests;
