//! Which resources a run may act on. Selecting narrows acting, never observing.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};

use crate::resource::Resource;

/// What `--tags`, `--only` and `--restart` said.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    tags: Vec<String>,
    only: Vec<Pattern>,
    restart: Vec<Pattern>,
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
    /// From what was typed. An address may be a glob, and may leave out the role.
    pub fn new(tags: &[String], only: &[String], restart: &[String]) -> Self {
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
        Self { tags: tags.to_vec(), only: patterns(only), restart: patterns(restart), confirmed: None }
    }

    /// The same, among these resources: what is the address of one of them stands for that one alone, whatever it would match
    /// as a glob.
    pub(super) fn among(&self, resources: &[Resource]) -> Self {
        let exact = |patterns: &[Pattern]| -> Vec<Pattern> {
            let is_exact = |pattern: &Pattern| resources.iter().any(|resource| pattern.names(&Names::of(resource)));
            let alone = |pattern: &Pattern| match is_exact(pattern) {
                true => Pattern { glob: None, ..pattern.clone() },
                false => pattern.clone(),
            };
            patterns.iter().map(alone).collect()
        };
        Self { only: exact(&self.only), restart: exact(&self.restart), ..self.clone() }
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

    /// Whether a restart of it was asked for by its own name, and not by a glob that others match as well.
    pub fn names_for_restart(&self, resource: &Resource) -> bool {
        let names = Names::of(resource);
        !resource.is_check && self.restart.iter().any(|pattern| pattern.names(&names))
    }

    /// What was typed and selects none of these resources: the flag and its value.
    pub fn unmatched(&self, resources: &[Resource]) -> Vec<(&'static str, String)> {
        // A check is not acted on, so there is nothing in it to select.
        let acting = || resources.iter().filter(|resource| !resource.is_check);
        let tags = self.tags.iter().filter(|tag| !acting().any(|resource| resource.tags.contains(tag)));
        let mut none: Vec<_> = tags.map(|tag| ("--tags", tag.clone())).collect();
        for (flag, patterns) in [("--only", &self.only), ("--restart", &self.restart)] {
            let of_none =
                |pattern: &&Pattern| !acting().any(|resource| matches(std::slice::from_ref(*pattern), resource));
            none.extend(patterns.iter().filter(of_none).map(|pattern| (flag, pattern.text.clone())));
        }
        none
    }
}

/// What was typed for addresses.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    /// None where it is no glob, and can only be an address.
    glob: Option<GlobMatcher>,
}

/// What a resource is called.
struct Names<'a> {
    full: String,
    local: String,
    id: Option<&'a str>,
}

impl<'a> Names<'a> {
    fn of(resource: &'a Resource) -> Self {
        Self { full: resource.address.to_string(), local: resource.address.local(), id: resource.id.as_deref() }
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        [self.full.as_str(), self.local.as_str()].into_iter().chain(self.id)
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        let glob = GlobBuilder::new(text).literal_separator(false).build().ok().map(|glob| glob.compile_matcher());
        Self { text: text.to_owned(), glob }
    }

    /// Whether it is the address itself.
    fn names(&self, names: &Names<'_>) -> bool {
        names.all().any(|name| name == self.text)
    }

    fn matches(&self, names: &Names<'_>) -> bool {
        self.names(names) || self.glob.as_ref().is_some_and(|glob| names.all().any(|name| glob.is_match(name)))
    }
}

fn matches(patterns: &[Pattern], resource: &Resource) -> bool {
    let names = Names::of(resource);
    patterns.iter().any(|pattern| pattern.matches(&names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use crate::resource::testing::resource;

    #[test]
    fn an_address_selects_itself_and_nothing_else() {
        let link = kinds::find("link").unwrap();
        let all = ["/db\\.x", "/db.x", "/[a]", "/a", "/{b,c}", "/b", "/d*", "/dd", "/e?", "/[", "/e"]
            .map(|path| resource(link, path, &[]));
        let selected = |only: &str| -> Vec<&str> {
            let selection = Selection::new(&[], &[only.to_owned()], &[]).among(&all);
            all.iter().filter(|one| selection.excludes(one).is_none()).map(Resource::identity).collect()
        };
        for one in &all {
            for address in [one.address.to_string(), one.address.local()] {
                assert_eq!(selected(&address), [one.identity()], "{address}");
                let both = std::slice::from_ref(&address);
                let selection = Selection::new(&[], both, both);
                assert_eq!(selection.unmatched(&all), []);
            }
        }
        assert_eq!(selected("link:/[bd]*"), ["/db\\.x", "/db.x", "/b", "/d*", "/dd"]);
        assert_eq!(Selection::new(&[], &["link:[".into()], &[]).unmatched(&all), [("--only", "link:[".to_owned())]);
    }
}
