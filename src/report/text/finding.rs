//! What there is to say about a host: one finding for everything that is not simply as declared.
//!
//! Two hosts with equal findings are shown together, so a finding holds nothing that differs between hosts without need. All
//! text in it has been cleaned for a terminal.

use super::super::Options;
use super::paint::Tone;
use crate::base::clean;
use crate::resource::result::{
    Action, AttributeResult, HostOutcome, HostResult, OTHERWISE, ResourceResult, Trouble, Verb, Verdict,
};
use crate::resource::want::{ABSENT, Severity};

/// The longest value that is shown whole, in characters.
const VALUE_SHOWN: usize = 80;

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Finding {
    /// Where it stands among others: the least first.
    pub(super) rank: (u8, u8),
    /// What it is, in a word: `drifted`, `create`.
    pub(super) word: &'static str,
    /// What the word means.
    pub(super) tone: Tone,
    /// What it is about: an address; empty for the host itself.
    pub(super) what: String,
    /// What fits behind it on the same line.
    pub(super) inline: String,
    /// `file:line` of the declaration, where the reader is likely to go there next.
    pub(super) place: Option<String>,
    /// What stands below it.
    pub(super) remarks: Vec<Remark>,
}

/// A line or block below a finding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Remark {
    /// One attribute.
    Attribute {
        /// Its name.
        name: String,
        /// What about it.
        text: String,
    },
    /// A unified diff.
    Diff(String),
    /// What a command printed.
    Output(String),
    /// What to do.
    Hint(String),
}

/// All findings about a host.
pub(super) fn of_host(verb: Verb, host: &HostResult, options: &Options) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &host.outcome {
        HostOutcome::Judged => {}
        HostOutcome::Unreachable(trouble) => findings.push(of_trouble("unreachable", Tone::Doubt, trouble)),
        HostOutcome::Failed(trouble) => findings.push(of_trouble("failed", Tone::Bad, trouble)),
        HostOutcome::NotStarted(why) => {
            findings.push(Finding { inline: clean::line(why).into_owned(), ..bare(1, "not started", Tone::Doubt) });
        }
    }
    findings.extend(host.resources.iter().filter_map(|resource| of_resource(verb, resource, options)));
    if !options.quiet {
        let note = |note: &String| Finding { inline: clean::line(note).into_owned(), ..bare(9, "note", Tone::Quiet) };
        findings.extend(host.notes.iter().map(note));
    }
    findings
}

/// The word that stands for a resource in findings and in counts, and what the word means.
pub(super) fn word_of(verb: Verb, resource: &ResourceResult) -> (&'static str, Tone) {
    match &resource.action {
        Action::Changed { .. } => ("changed", Tone::Change),
        Action::Failed { .. } => ("failed", Tone::Bad),
        Action::NotReached => ("not reached", Tone::Bad),
        Action::NotSelected(_) => ("left", Tone::Bad),
        Action::Lost(_) => ("lost", Tone::Doubt),
        Action::None => match &resource.verdict {
            Verdict::Pending | Verdict::Drifted if verb == Verb::Plan => planned_word(resource),
            // Apply has not been there yet: what a spec misses may be what is about to be done.
            Verdict::Failed if verb == Verb::Plan => ("unmet", Tone::Doubt),
            Verdict::InSync => (resource.verdict.word(), Tone::Good),
            Verdict::Pending | Verdict::Drifted | Verdict::Failed => (resource.verdict.word(), Tone::Bad),
            Verdict::Undecided { .. } | Verdict::Unknown(_) => (resource.verdict.word(), Tone::Doubt),
            Verdict::NotObservable => (resource.verdict.word(), Tone::Quiet),
        },
    }
}

/// What apply would do, in a word.
fn planned_word(resource: &ResourceResult) -> (&'static str, Tone) {
    match wrong_state(&resource.attributes) {
        Some(state) if state.want == "absent" => ("remove", Tone::Bad),
        // What has no state of its own is something to be done.
        Some(state) if state.want != "present" => ("run", Tone::Change),
        Some(_) if in_the_way(&resource.attributes).is_some() => ("change", Tone::Change),
        Some(_) => ("create", Tone::Good),
        None => ("change", Tone::Change),
    }
}

/// The attribute that says whether the thing exists, if that is not as declared.
pub(super) fn wrong_state(attributes: &[AttributeResult]) -> Option<&AttributeResult> {
    attributes.iter().find(|attribute| attribute.name == "state" && attribute.verdict.is_wrong())
}

/// What stands where something else is declared: `a directory`.
fn in_the_way(attributes: &[AttributeResult]) -> Option<&str> {
    let state = wrong_state(attributes).filter(|state| state.want == "present")?;
    Some(state.got.as_str()).filter(|got| !["", ABSENT, OTHERWISE].contains(got))
}

fn bare(class: u8, word: &'static str, tone: Tone) -> Finding {
    let (what, inline) = (String::new(), String::new());
    Finding { rank: (class, 0), word, tone, what, inline, place: None, remarks: Vec::new() }
}

fn of_trouble(word: &'static str, tone: Tone, trouble: &Trouble) -> Finding {
    let mut lines = trouble.message.lines();
    let first = lines.next().unwrap_or_default();
    let rest: Vec<&str> = lines.collect();
    let mut remarks = Vec::new();
    if !rest.is_empty() {
        remarks.push(Remark::Output(clean::lines(&rest.join("\n")).into_owned()));
    }
    remarks.extend(trouble.hint.iter().map(|hint| Remark::Hint(clean::line(hint).into_owned())));
    let inline = match first {
        "" => clean::line(&trouble.phase).into_owned(),
        _ => format!("{}: {}", clean::line(&trouble.phase), clean::line(first)),
    };
    Finding { inline, remarks, ..bare(0, word, tone) }
}

fn of_resource(verb: Verb, resource: &ResourceResult, options: &Options) -> Option<Finding> {
    let (word, tone) = word_of(verb, resource);
    let is_folded = match word {
        "in sync" => true,
        "not observable" => !options.verbose,
        "changed" => options.quiet,
        _ => false,
    };
    if is_folded {
        return None;
    }
    let mut address = clean::line(&resource.address.to_string()).into_owned();
    if resource.severity != Severity::Medium {
        address.push_str(&format!(" [{}]", resource.severity.name()));
    }
    let class = match tone {
        // A plan, and what apply did, read best in the order in which things are done.
        Tone::Good | Tone::Change | Tone::Bad if verb != Verb::Verify && !resource.is_check => 2,
        Tone::Bad | Tone::Good | Tone::Change => 3,
        Tone::Doubt => 4,
        Tone::Quiet => 8,
    };
    let severity = if verb == Verb::Verify { Severity::Critical as u8 - resource.severity as u8 } else { 0 };
    let mut finding = Finding { rank: (class, severity), what: address, ..bare(class, word, tone) };
    let is_elsewhere = matches!(resource.action, Action::NotReached | Action::NotSelected(_) | Action::Lost(_));
    if matches!(tone, Tone::Bad | Tone::Doubt) && verb != Verb::Plan && !is_elsewhere {
        finding.place = Some(clean::line(&format!("{}:{}", resource.file, resource.line)).into_owned());
    }
    explain(&mut finding, verb, resource, options);
    Some(finding)
}

/// Says why: on the same line where that is enough, else below.
fn explain(finding: &mut Finding, verb: Verb, resource: &ResourceResult, options: &Options) {
    match &resource.action {
        Action::Changed { title } => {
            finding.inline = title_beside(title, resource);
            finding.remarks = differences(&resource.before, Style::Change, options);
        }
        Action::Failed { title, message } => {
            finding.inline = title_beside(title, resource);
            finding.remarks.push(Remark::Output(clean::lines(message).into_owned()));
        }
        Action::NotReached => finding.inline = "an earlier step failed".to_owned(),
        Action::NotSelected(why) | Action::Lost(why) => {
            finding.inline = clean::line(why).into_owned();
            finding.remarks = differences(&resource.attributes, Style::Change, options);
        }
        Action::None => explain_verdict(finding, verb, resource, options),
    }
}

/// The title of a step beside the address it is about, which need not be said twice: `write` for `write /etc/motd`.
fn title_beside(title: &str, resource: &ResourceResult) -> String {
    let verb = title.strip_suffix(&resource.address.identity).and_then(|verb| verb.strip_suffix(' '));
    // `install curl nginx` is about both: only a lone verb may stand alone.
    let short = verb.filter(|verb| !verb.is_empty() && !verb.contains(' '));
    clean::line(short.unwrap_or(title)).into_owned()
}

fn explain_verdict(finding: &mut Finding, verb: Verb, resource: &ResourceResult, options: &Options) {
    match &resource.verdict {
        Verdict::Undecided { after, why } => {
            let after = if after.role == resource.address.role { after.local() } else { after.to_string() };
            finding.inline = format!("after {}: {}", clean::line(&after), value(why));
            return;
        }
        Verdict::Unknown(why) => {
            finding.inline = value(why);
            return;
        }
        _ => {}
    }
    let style = match verb {
        _ if resource.is_check => Style::Expected,
        Verb::Plan => Style::Change,
        _ => Style::Declared,
    };
    if verb == Verb::Plan && !resource.is_check {
        // Who reads a plan wants to know whose work goes: nobody's, or what somebody did by hand.
        let moved = matches!(resource.verdict, Verdict::Drifted);
        finding.inline = if moved { "changed on the host since it was applied".to_owned() } else { String::new() };
    }
    if style == Style::Change {
        let with = if finding.inline.is_empty() { created_with(&resource.attributes) } else { String::new() };
        let place = in_the_way(&resource.attributes).map(|what| format!("in the place of {}", value(what)));
        let parts = [std::mem::take(&mut finding.inline), place.unwrap_or_default(), with];
        finding.inline = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    }
    let mut remarks = differences(&resource.attributes, style, options);
    if let [Remark::Attribute { name, text }] = remarks.as_slice()
        && finding.inline.is_empty()
    {
        finding.inline = if name == "state" { text.clone() } else { format!("{name} {text}") };
        remarks.clear();
    }
    finding.remarks = remarks;
}

/// How a difference is worded.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// `0600, declared 0644`
    Declared,
    /// `expected true, found false`
    Expected,
    /// `0600 → 0644`
    Change,
}

fn differences(attributes: &[AttributeResult], style: Style, options: &Options) -> Vec<Remark> {
    let (mut remarks, mut diffs) = (Vec::new(), Vec::new());
    let state = wrong_state(attributes);
    if let Some(state) = state.filter(|_| style != Style::Change) {
        remarks.push(Remark::Attribute { name: "state".to_owned(), text: difference(state, style) });
    }
    let is_created = state.is_some_and(|state| state.want != "absent");
    for attribute in attributes.iter().filter(|attribute| attribute.name != "state") {
        let name = clean::line(&attribute.name).into_owned();
        match (&attribute.diff, &attribute.verdict) {
            (Some(diff), verdict) if (verdict.is_wrong() || is_created) && !options.no_diffs => {
                if !is_created {
                    diffs.push(Remark::Attribute { name, text: "differs".to_owned() });
                }
                diffs.push(Remark::Diff(without_header(&clean::lines(diff)).to_owned()));
            }
            (Some(_), verdict) if verdict.is_wrong() && is_created => {}
            (Some(_), verdict) if verdict.is_wrong() => {
                remarks.push(Remark::Attribute { name, text: "differs".to_owned() });
            }
            // What does not exist has no attributes that could differ.
            _ if is_created => {}
            (_, verdict) if verdict.is_wrong() && state.is_none() => {
                remarks.push(Remark::Attribute { name, text: difference(attribute, style) });
            }
            (_, Verdict::Unknown(why)) if state.is_none() => {
                remarks.push(Remark::Attribute { name, text: format!("unknown: {}", value(why)) });
            }
            (_, Verdict::Undecided { after, why }) if state.is_none() => {
                let text = format!("undecided after {}: {}", clean::line(&after.to_string()), value(why));
                remarks.push(Remark::Attribute { name, text });
            }
            _ => {}
        }
    }
    // What takes one line stands before what takes many.
    remarks.append(&mut diffs);
    remarks
}

/// What something that does not exist yet will be like, besides what its diff says: `mode 0644, owner root`.
fn created_with(attributes: &[AttributeResult]) -> String {
    if wrong_state(attributes).is_none_or(|state| state.want == "absent") {
        return String::new();
    }
    let plain = attributes.iter().filter(|attribute| attribute.name != "state" && attribute.diff.is_none());
    let parts: Vec<String> =
        plain.map(|attribute| format!("{} {}", clean::line(&attribute.name), value(&attribute.want))).collect();
    parts.join(", ")
}

fn difference(attribute: &AttributeResult, style: Style) -> String {
    let (got, want) = (value(&attribute.got), value(&attribute.want));
    match style {
        Style::Declared => format!("{got}, declared {want}"),
        Style::Expected => format!("expected {want}, found {got}"),
        Style::Change => format!("{got} → {want}"),
    }
}

/// A value as one line that is not too long; an empty one is made visible.
fn value(text: &str) -> String {
    match text {
        "" => "\"\"".to_owned(),
        _ => clean::line(&clean::shorten(text, VALUE_SHOWN)).into_owned(),
    }
}

/// A unified diff without the two lines that name its files: both are the file that the finding is about.
fn without_header(diff: &str) -> &str {
    let Some(rest) = diff.strip_prefix("--- ").and_then(|rest| rest.split_once('\n')) else { return diff };
    let Some(rest) = rest.1.strip_prefix("+++ ").and_then(|rest| rest.split_once('\n')) else { return diff };
    rest.1
}
