//! The kinds of things that can be declared and checked: one file each, one line each.

mod command;
mod directory;
mod file;
mod link;
mod package;
#[cfg(test)]
mod testing;

use crate::resource::Kind;

/// Every kind, in the order in which they are documented.
#[rustfmt::skip]
pub const ALL: &[&dyn Kind] = &[
    &file::File,
    &directory::Directory,
    &link::Link,
    &package::Package,
    &command::Command,
];

/// The kind with this name.
pub fn find(name: &str) -> Option<&'static dyn Kind> {
    ALL.iter().copied().find(|kind| kind.table().name == name)
}
