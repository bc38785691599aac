//! From files to one host's ordered, typed, unique resources.
//!
//! `load` reads the project's files; `yaml` turns text into a tree with places; `inventory`, `role` and `spec` turn trees into
//! the [`model`]; `resolve` turns the model and one host (with its facts, where something asks for them) into a [`Catalog`].
//! No host is contacted here, and every mistake is reported with its place before one is.

pub mod connection;
mod connection_keys;
mod entry;
mod filters;
mod fold;
mod groups;
mod inventory;
mod lets;
mod levels;
mod link;
pub mod load;
mod matchers;
pub mod model;
mod names;
pub mod needs;
pub mod origins;
pub mod overrides;
pub mod params;
pub mod ranges;
mod render;
pub mod resolve;
pub mod role;
mod schema;
mod scope;
pub mod secrets;
pub mod select;
pub mod settings;
pub mod spec;
mod spelling;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tokens;
mod tree;
mod typed;
pub mod yaml;

pub use resolve::Resolver;

use crate::resource::Resource;

/// Everything that is declared for one host, resolved.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// The host's name in the inventory.
    pub host: String,
    /// Its roles (instances), in the order in which they are applied.
    pub roles: Vec<String>,
    /// The roles' resources in declared order, then the checks of their specs.
    pub resources: Vec<Resource>,
}
