//! The kinds of things that can be declared and checked: one file each, one line each.

mod command;
mod directory;
mod file;
mod group;
mod line;
mod link;
mod package;
mod port;
mod process;
mod service;
mod user;

use crate::resource::Kind;

/// Every kind, in the order in which they are documented.
#[rustfmt::skip]
pub const ALL: &[&dyn Kind] = &[
    &file::File,
    &directory::Directory,
    &link::Link,
    &line::Line,
    &package::Package,
    &service::Service,
    &user::User,
    &group::Group,
    &command::Command,
    &port::Port,
    &process::Process,
];

/// The kind with this name.
pub fn find(name: &str) -> Option<&'static dyn Kind> {
    ALL.iter().copied().find(|kind| kind.table().name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::resource::Side;

    fn tables() -> impl Iterator<Item = &'static crate::resource::Table> {
        ALL.iter().map(|kind| kind.table())
    }

    /// The source of kinds that the list leaves out would be compiled and never found.
    #[test]
    fn every_file_is_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kinds");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<String> = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.retain(|name| !["mod", "testing"].contains(&name.as_str()));
        names.sort();
        let mut listed: Vec<&str> = tables().map(|table| table.name).collect();
        listed.sort_unstable();
        assert_eq!(names, listed);
    }

    /// An entry is of the kind of which all its other keys are attributes: no two kinds may fit.
    #[test]
    fn an_entry_can_mean_one_kind_only() {
        let has = |table: &crate::resource::Table, name: &str| table.attributes.iter().any(|one| one.name == name);
        for one in tables() {
            for other in tables().filter(|other| other.name != one.name) {
                assert!(!(has(one, other.name) && has(other, one.name)), "{} and {}", one.name, other.name);
            }
        }
    }

    #[test]
    fn names_are_used_once_and_are_documented() {
        let mut kinds = HashSet::new();
        for table in tables() {
            assert!(kinds.insert(table.name), "{} is there twice", table.name);
            let mut names = HashSet::from(["id", "when", "each", "tags", "state", "severity", "sensitive", "within"]);
            for attribute in table.attributes {
                assert!(names.insert(attribute.name), "{}: {} has two meanings", table.name, attribute.name);
                assert!(attribute.doc.ends_with(['.', ')']), "{}: {} ends no sentence", table.name, attribute.name);
            }
        }
    }

    #[test]
    fn every_page_has_its_headings_in_order() {
        for table in tables() {
            let page: String = table.source.lines().map_while(|line| line.strip_prefix("//!")).collect();
            let all = ["# What it declares", "# What is read", "# What is changed", "# Example"];
            // A kind that only checks declares and changes nothing.
            let headings = if table.in_roles { &all[..] } else { &[all[1], all[3]] };
            let places: Vec<Option<usize>> = headings.iter().map(|heading| page.find(heading)).collect();
            assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{}: {places:?}", table.name);
        }
    }

    /// What nobody has broken on a live host was never proven to be found and healed.
    #[test]
    fn everything_that_can_be_declared_is_spoilt_by_an_example() {
        for table in tables().filter(|table| table.in_roles) {
            let spoils = || table.examples.iter().flat_map(|example| example.spoils);
            let is_spoilt = |name: &str| {
                let end = format!("#{name}");
                spoils().any(|spoil| {
                    spoil.address.starts_with(&format!("{}:", table.name)) && spoil.address.ends_with(&end)
                })
            };
            let states = table.attributes.iter().filter(|attribute| attribute.side == Side::State);
            for name in states.map(|attribute| attribute.name).chain(table.has_state.then_some("state")) {
                assert!(is_spoilt(name), "{}#{name}", table.name);
            }
            for spoil in spoils() {
                assert!(crate::resource::Address::parse(spoil.address, "role").is_some(), "{}", spoil.address);
                assert!(!spoil.oracle.contains("snowmelt ") && !spoil.spoil.contains("snowmelt "), "{}", spoil.address);
            }
        }
    }
}
