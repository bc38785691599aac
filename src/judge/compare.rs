//! Holds one reading against what is wanted of one attribute.

use super::matcher;
use crate::base::value::Value;
use crate::resource::{Attribute, Compare, Need, Observed, Reading, Resource, Want};

/// How a reading compares with what is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Comparison {
    /// As wanted.
    Same,
    /// Otherwise.
    Differs,
    /// It cannot be told before something else is there.
    Unready(Need),
    /// It cannot be told, and why.
    Unknown(String),
}

/// Compares, and says what was wanted and found in words.
pub(super) fn compare(resource: &Resource, attribute: &Attribute, want: &Want, observed: &Observed) -> Compared {
    let reading = observed.reading(attribute.name);
    // Of several things that were asked for, those that are not so: what is found does not always show it at a glance.
    let asked = match (want, reading) {
        (Want::Matches(matcher), Some(Reading::Is(value))) if !matcher::holds(matcher, value) => {
            matcher::unmet(matcher, value).to_string()
        }
        _ => wanted(want),
    };
    let (comparison, got) = match reading {
        None => (Comparison::Unknown("it was not read".to_owned()), String::new()),
        Some(Reading::Unknown(why)) => (Comparison::Unknown(why.clone()), String::new()),
        Some(Reading::Unready(need)) => (Comparison::Unready(need.clone()), need.to_string()),
        Some(Reading::Absent) => (against(resource, attribute, want, &Value::Null, observed), "nothing".to_owned()),
        Some(Reading::Is(value)) => (against(resource, attribute, want, value, observed), found(want, value)),
    };
    Compared { comparison, want: asked, got }
}

/// The outcome of [`compare`].
pub(super) struct Compared {
    pub(super) comparison: Comparison,
    pub(super) want: String,
    pub(super) got: String,
}

fn against(resource: &Resource, attribute: &Attribute, want: &Want, value: &Value, observed: &Observed) -> Comparison {
    let same = match want {
        Want::Matches(matcher) => matcher::holds(matcher, value),
        Want::Content(content) => value.as_text() == Some(content.digest().to_string().as_str()),
        Want::Exactly(wanted) => match attribute.compare {
            Compare::Equal => equal(wanted, value),
            Compare::SameItems => same_items(wanted, value),
            Compare::Includes => includes(wanted, value),
            Compare::Version => return version(resource, wanted, value, observed),
        },
    };
    if same { Comparison::Same } else { Comparison::Differs }
}

fn version(resource: &Resource, wanted: &Value, found: &Value, observed: &Observed) -> Comparison {
    let Some(found) = found.as_text() else { return Comparison::Differs };
    let manager = match observed.reading("manager") {
        Some(Reading::Is(Value::Text(manager))) => manager.as_str(),
        _ => return Comparison::Unknown("the package manager is not known".to_owned()),
    };
    match resource.kind.version_holds(wanted.as_text().unwrap_or_default(), found, manager) {
        Ok(true) => Comparison::Same,
        Ok(false) => Comparison::Differs,
        Err(why) => Comparison::Unknown(why),
    }
}

fn equal(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Secret(secret), Value::Text(text)) => secret.expose() == text,
        _ => wanted == found,
    }
}

fn items(value: &Value) -> Vec<String> {
    let mut items: Vec<String> = value.as_list().unwrap_or_default().iter().map(Value::to_string).collect();
    items.sort_unstable();
    items.dedup();
    items
}

fn same_items(wanted: &Value, found: &Value) -> bool {
    items(wanted) == items(found)
}

fn includes(wanted: &Value, found: &Value) -> bool {
    let found = items(found);
    items(wanted).iter().all(|item| found.contains(item))
}

/// What was wanted, for people.
pub(super) fn wanted(want: &Want) -> String {
    match want {
        Want::Exactly(value) => shown(value),
        Want::Content(content) => format!("{:?}", content.digest()),
        Want::Matches(matcher) => matcher.to_string(),
    }
}

fn found(want: &Want, value: &Value) -> String {
    match (want, value) {
        (Want::Content(_), Value::Text(digest)) => format!("sha256:{}", &digest[..digest.len().min(12)]),
        _ => shown(value),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() => "\"\"".to_owned(),
        Value::Null => "nothing".to_owned(),
        other => other.to_string(),
    }
}
