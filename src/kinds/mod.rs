//! The kinds of things that can be declared and checked: one file each, one line each.

mod command;
mod directory;
mod file;
mod link;
mod package;
mod port;
mod process;
mod service;

use crate::resource::Kind;

/// Every kind, in the order in which they are documented.
#[rustfmt::skip]
pub const ALL: &[&dyn Kind] = &[
    &file::File,
    &directory::Directory,
    &link::Link,
    &package::Package,
    &service::Service,
    &command::Command,
    &port::Port,
    &process::Process,
];

/// The kind with this name.
pub fn find(name: &str) -> Option<&'static dyn Kind> {
    ALL.iter().copied().find(|kind| kind.table().name == name)
}
