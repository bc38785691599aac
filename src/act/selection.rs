//! Which resources a run may act on. Selecting narrows acting, never observing.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};

use crate::resource::Resource;

/// What `--tags`, `--only` and `--restart` said.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    tags: Vec<String>,
    only: Vec<GlobMatcher>,
    restart: Vec<GlobMatcher>,
    confirmed: Option<BTreeMap<String, Agreement>>,
}

/// Whether somebody who was shown a plan agreed to what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// Yes.
    Given,
    /// To something else: it is not found as it was shown.
    Outdated,
    /// It was not shown.
    None,
}

impl Selection {
    /// From what was typed. Addresses may be globs, and may leave out the role.
    ///
    /// # Errors
    /// The address that is no valid pattern, with the reason.
    pub fn new(tags: &[String], only: &[String], restart: &[String]) -> Result<Self, String> {
        Ok(Self { tags: tags.to_vec(), only: matchers(only)?, restart: matchers(restart)?, confirmed: None })
    }

    /// The same, and by address only what somebody agreed to.
    #[must_use]
    pub fn confirmed(&self, addresses: BTreeMap<String, Agreement>) -> Self {
        Self { confirmed: Some(addresses), ..self.clone() }
    }

    /// Why this resource may not be acted on; none if it may.
    pub(super) fn excludes(&self, resource: &Resource) -> Option<String> {
        if !self.tags.is_empty() && !resource.tags.iter().any(|tag| self.tags.contains(tag)) {
            return Some("not selected by --tags".to_owned());
        }
        if !self.only.is_empty() && !matches(&self.only, resource) {
            return Some("not selected by --only".to_owned());
        }
        let agreement = |confirmed: &BTreeMap<String, Agreement>| {
            confirmed.get(&resource.address.to_string()).copied().unwrap_or(Agreement::None)
        };
        let why = match self.confirmed.as_ref().map_or(Agreement::Given, agreement) {
            Agreement::Given => return None,
            Agreement::Outdated => "it changed since the plan was shown; run again to see it",
            Agreement::None => "it was not in the plan that was agreed to; run again to see it",
        };
        Some(why.to_owned())
    }

    /// Whether a restart of it was asked for by name.
    pub(super) fn restarts(&self, resource: &Resource) -> bool {
        matches(&self.restart, resource)
    }

    /// What was typed and selects none of these resources: the flag and its value.
    pub fn unmatched(&self, resources: &[Resource]) -> Vec<(&'static str, String)> {
        // A check is not acted on, so there is nothing in it to select.
        let acting = || resources.iter().filter(|resource| !resource.is_check);
        let tags = self.tags.iter().filter(|tag| !acting().any(|resource| resource.tags.contains(tag)));
        let mut none: Vec<_> = tags.map(|tag| ("--tags", tag.clone())).collect();
        for (flag, matchers) in [("--only", &self.only), ("--restart", &self.restart)] {
            let of_none =
                |matcher: &&GlobMatcher| !acting().any(|resource| matches(std::slice::from_ref(*matcher), resource));
            none.extend(matchers.iter().filter(of_none).map(|matcher| (flag, matcher.glob().glob().to_owned())));
        }
        none
    }
}

fn matchers(patterns: &[String]) -> Result<Vec<GlobMatcher>, String> {
    let one = |pattern: &String| {
        let glob = GlobBuilder::new(pattern).literal_separator(false).build();
        glob.map(|glob| glob.compile_matcher()).map_err(|error| format!("`{pattern}`: {}", error.kind()))
    };
    patterns.iter().map(one).collect()
}

fn matches(matchers: &[GlobMatcher], resource: &Resource) -> bool {
    let (full, local) = (resource.address.to_string(), resource.address.local());
    matchers.iter().any(|matcher| {
        matcher.is_match(&full)
            || matcher.is_match(&local)
            || resource.id.as_ref().is_some_and(|id| matcher.is_match(id))
    })
}
