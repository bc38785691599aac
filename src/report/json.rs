//! The report for machines: everything a run found, as the documented schema `snowmelt.run/1` (`docs/reports.md`).
//!
//! Keys stand in a fixed order. Text is not cleaned but escaped: what a terminal would obey or hide is a `\u` escape, so that
//! the file can be looked at with `cat` and a program still gets every character.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

use super::Options;
use crate::base::clean;
use crate::resource::result::{
    Action, AttributeResult, HostOutcome, HostResult, ResourceResult, RunResult, Trouble, Verdict,
};

/// The name and version of the schema. Keys may be added to it; what is there keeps its meaning.
pub(super) const SCHEMA: &str = "snowmelt.run/1";

/// Renders a run.
pub(super) fn render(run: &RunResult, _: &Options) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Escaping(PrettyFormatter::new()));
    // Writing to memory cannot fail, and nothing in here is refused by JSON: no map has keys that are not text, no number is
    // not finite.
    let written = Run::of(run).serialize(&mut serializer);
    bytes.push(b'\n');
    match (written, String::from_utf8(bytes)) {
        (Ok(()), Ok(text)) => text,
        _ => format!("{{\"schema\": \"{SCHEMA}\", \"error\": \"the result could not be written as JSON\"}}\n"),
    }
}

#[derive(Serialize)]
struct Run<'a> {
    schema: &'static str,
    tool: Tool,
    verb: &'static str,
    project: &'a str,
    commit: Option<&'a str>,
    started: Option<String>,
    seconds: f64,
    exit_code: u8,
    hosts: Vec<Host<'a>>,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Host<'a> {
    host: &'a str,
    address: Option<&'a str>,
    roles: &'a [String],
    outcome: &'static str,
    trouble: Option<HostTrouble<'a>>,
    notes: &'a [String],
    seconds: f64,
    channels: usize,
    resources: Vec<Resource<'a>>,
}

#[derive(Serialize)]
struct HostTrouble<'a> {
    phase: Option<&'a str>,
    message: &'a str,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct Resource<'a> {
    address: String,
    role: &'a str,
    kind: &'a str,
    identity: &'a str,
    is_check: bool,
    severity: &'static str,
    file: &'a str,
    line: usize,
    #[serde(flatten)]
    verdict: Judgement<'a>,
    action: Act<'a>,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Vec<Attribute<'a>>>,
}

#[derive(Serialize)]
struct Judgement<'a> {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

#[derive(Serialize)]
struct Act<'a> {
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct Attribute<'a> {
    name: &'a str,
    #[serde(flatten)]
    verdict: Judgement<'a>,
    want: &'a str,
    got: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<&'a str>,
}

impl<'a> Run<'a> {
    fn of(run: &'a RunResult) -> Self {
        Self {
            schema: SCHEMA,
            tool: Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
            verb: run.verb.name(),
            project: &run.project,
            commit: run.commit.as_deref(),
            started: jiff::Timestamp::from_second(run.started).ok().map(|time| time.to_string()),
            seconds: milliseconds(run.took),
            exit_code: run.exit_code(),
            hosts: run.hosts.iter().map(Host::of).collect(),
        }
    }
}

impl<'a> Host<'a> {
    fn of(host: &'a HostResult) -> Self {
        let told = |trouble: &'a Trouble| HostTrouble {
            phase: Some(&trouble.phase),
            message: &trouble.message,
            hint: trouble.hint.as_deref(),
        };
        let (outcome, trouble) = match &host.outcome {
            HostOutcome::Judged => ("judged", None),
            HostOutcome::Unreachable(trouble) => ("unreachable", Some(told(trouble))),
            HostOutcome::Failed(trouble) => ("failed", Some(told(trouble))),
            HostOutcome::NotStarted(why) => {
                ("not_started", Some(HostTrouble { phase: None, message: why, hint: None }))
            }
        };
        Self {
            host: &host.host,
            address: host.address.as_deref(),
            roles: &host.roles,
            outcome,
            trouble,
            notes: &host.notes,
            seconds: milliseconds(host.took),
            channels: host.channels,
            resources: host.resources.iter().map(|resource| Resource::of(resource)).collect(),
        }
    }
}

impl<'a> Resource<'a> {
    fn of(resource: &'a ResourceResult) -> Self {
        let attributes = |all: &'a [AttributeResult]| all.iter().map(Attribute::of).collect();
        Self {
            address: resource.address.to_string(),
            role: &resource.address.role,
            kind: &resource.address.kind,
            identity: &resource.address.identity,
            is_check: resource.is_check,
            severity: resource.severity.name(),
            file: &resource.file,
            line: resource.line,
            verdict: Judgement::of(&resource.verdict),
            action: Act::of(&resource.action),
            attributes: attributes(&resource.attributes),
            before: (resource.before != resource.attributes).then(|| attributes(&resource.before)),
        }
    }
}

impl<'a> Attribute<'a> {
    fn of(attribute: &'a AttributeResult) -> Self {
        Self {
            name: &attribute.name,
            verdict: Judgement::of(&attribute.verdict),
            want: &attribute.want,
            got: &attribute.got,
            diff: attribute.diff.as_deref(),
        }
    }
}

impl<'a> Judgement<'a> {
    fn of(verdict: &'a Verdict) -> Self {
        let word = match verdict {
            Verdict::InSync => "in_sync",
            Verdict::NotObservable => "not_observable",
            other => other.word(),
        };
        let (why, after) = match verdict {
            Verdict::Unknown(why) => (Some(why.as_str()), None),
            Verdict::Undecided { after, why } => (Some(why.as_str()), Some(after.to_string())),
            _ => (None, None),
        };
        Self { verdict: word, why, after }
    }
}

impl<'a> Act<'a> {
    fn of(action: &'a Action) -> Self {
        let (result, title, message) = match action {
            Action::None => ("none", None, None),
            Action::Changed { title } => ("changed", Some(title.as_str()), None),
            Action::Failed { title, message } => ("failed", Some(title.as_str()), Some(message.as_str())),
            Action::NotReached => ("not_reached", None, None),
            Action::NotSelected(why) => ("not_selected", None, Some(why.as_str())),
            Action::Lost(why) => ("lost", None, Some(why.as_str())),
        };
        Self { result, title, message }
    }
}

/// Seconds, to the millisecond: more digits would only be noise.
fn milliseconds(time: std::time::Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

/// Pretty JSON in which no hidden character is written as itself.
struct Escaping(PrettyFormatter<'static>);

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(clean::is_hidden) {
            writer.write_all(&rest.as_bytes()[..at])?;
            let Some(hidden) = rest[at..].chars().next() else { break };
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + hidden.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn shown(run: &RunResult) -> String {
        render(run, &Options::default())
    }

    #[test]
    fn the_schema_looks_like_this() {
        sample::golden("verify.json", &shown(&sample::every_verdict()));
        sample::golden("apply.json", &shown(&sample::applied()));
    }

    #[test]
    fn every_character_comes_back_and_none_is_hidden() {
        let run = sample::hostile();
        let text = shown(&run);
        assert!(!text.chars().any(|c| clean::is_hidden(c) && c != '\n'), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["hosts"][0]["host"], run.hosts[0].host);
        assert_eq!(read["hosts"][0]["notes"][0], run.hosts[0].notes[0]);
        assert_eq!(read["hosts"][0]["resources"][0]["identity"], run.hosts[0].resources[0].address.identity);
    }

    #[test]
    fn characters_beyond_the_first_plane_are_escaped_as_pairs() {
        let mut run = sample::nothing();
        run.hosts[0].notes.push("tag \u{e0041} end".into());
        let text = shown(&run);
        assert!(text.contains("\\udb40\\udc41"), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["hosts"][0]["notes"][0], "tag \u{e0041} end");
    }

    #[test]
    fn every_key_is_documented() {
        let docs = include_str!("../../docs/reports.md");
        fn keys(value: &serde_json::Value, all: &mut std::collections::BTreeSet<String>) {
            match value {
                serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
                    all.insert(key.clone());
                    keys(value, all);
                }),
                serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, all)),
                _ => {}
            }
        }
        let mut all = std::collections::BTreeSet::new();
        for run in [sample::every_verdict(), sample::applied()] {
            keys(&serde_json::from_str(&shown(&run)).unwrap(), &mut all);
        }
        for key in all {
            assert!(docs.contains(&format!("`{key}`")), "docs/reports.md does not mention `{key}`");
        }
    }
}
