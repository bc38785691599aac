//! What a run of due packages comes to, whichever package manager does it.

use super::version::Constraint;
use super::{HOLD, PURGE, RECOMMENDS, VERSION};
use crate::base::value::Value;
use crate::resource::{Due, Reading, State};

/// A package that comes, or changes its version.
#[derive(Debug)]
pub(super) struct Install<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The constraints on its version as they were written.
    pub(super) text: &'a str,
    /// The same, read.
    pub(super) constraints: Vec<Constraint>,
    /// Whether what it recommends comes with it.
    pub(super) recommends: bool,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    /// Whether an interrupted transaction is to be finished first.
    pub(super) finishes: bool,
    /// What comes.
    pub(super) install: Vec<Install<'a>>,
    /// What goes.
    pub(super) remove: Vec<&'a str>,
    /// What goes with its configuration files.
    pub(super) purge: Vec<&'a str>,
    /// What is held now, but declared to be held or not: it may be let go of for this.
    pub(super) released: Vec<&'a str>,
    /// What is held afterwards.
    pub(super) hold: Vec<&'a str>,
    /// What is no longer held.
    pub(super) unhold: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    /// Of these packages.
    pub(super) fn of(due: &[Due<'a>]) -> Self {
        let mut plan = Self::default();
        for one in due {
            plan.add(one);
        }
        plan
    }

    fn add(&mut self, due: &Due<'a>) {
        let (resource, name) = (due.resource, due.resource.identity());
        let is_true = |attribute| due.observed.reading(attribute) == Some(&Reading::Is(Value::Bool(true)));
        let status = match due.observed.reading("status") {
            Some(Reading::Is(Value::Text(status))) => status.as_str(),
            _ => "",
        };
        self.finishes |= is_true("interrupted");
        let purge = resource.truth(&PURGE) == Some(true);
        let is_released = resource.truth(&HOLD).is_some() && is_true(HOLD.name);
        if resource.state == State::Absent {
            if is_released {
                self.released.push(name);
            }
            if status != "config-files" {
                self.remove.push(name);
            }
            if purge {
                self.purge.push(name);
            }
            return;
        }
        let is_half_way = matches!(status, "unpacked" | "half-configured");
        self.finishes |= is_half_way;
        if (due.differs("state") && !is_half_way) || due.differs(VERSION.name) {
            let text = resource.text(&VERSION).unwrap_or_default();
            let constraints =
                if text.is_empty() { Vec::new() } else { Constraint::parse_all(text).unwrap_or_default() };
            let recommends = resource.truth(&RECOMMENDS) != Some(false);
            if is_released {
                self.released.push(name);
            }
            self.install.push(Install { name, text, constraints, recommends });
        }
        match resource.truth(&HOLD) {
            Some(true) => self.hold.push(name),
            Some(false) if due.differs(HOLD.name) => self.unhold.push(name),
            _ => {}
        }
    }

    /// What it does, for people.
    pub(super) fn title(&self) -> String {
        let mut parts = Vec::new();
        if self.finishes {
            parts.push("finish what was interrupted (dpkg --configure -a)".to_owned());
        }
        let mut add = |word: &str, names: &[&str]| {
            if !names.is_empty() {
                parts.push(format!("{word} {}", names.join(", ")));
            }
        };
        let install: Vec<&str> = self.install.iter().map(|item| item.name).collect();
        let remove: Vec<&str> = self.remove.iter().copied().filter(|name| !self.purge.contains(name)).collect();
        let hold: Vec<&str> = self.hold.clone();
        add("install", &install);
        add("remove", &remove);
        add("purge", &self.purge);
        add("hold", &hold);
        add("unhold", &self.unhold);
        parts.join("; ")
    }
}
