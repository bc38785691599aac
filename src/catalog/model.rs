//! The project as written: inventory, roles and specs, with places, before any host is looked at.
//!
//! Structure has been checked (keys are known, roles and groups exist); values have not been typed and nothing has been
//! rendered: that needs a host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::connection::Connection;
use super::secrets;
use super::yaml::Node;
use crate::base::span::{Source, Span};
use crate::resource::facts::OsFamily;

/// A whole project.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its name, from `snowmelt.yml`: names the record on hosts.
    pub name: String,
    /// The folder in which hosts remember, where it is not the usual one.
    pub memory: Option<String>,
    /// How long a host waits for a second login after a change of how one gets in, before it takes the change back.
    pub login_within: Duration,
    /// Hosts in the order in which the inventory first names them.
    pub hosts: Vec<Host>,
    /// Groups by name, `all` not among them.
    pub groups: IndexMap<String, Group>,
    /// Roles by name.
    pub roles: BTreeMap<String, Role>,
    /// The specs of `specs/`, by the role they are about (a role's own `spec.yml` is in the role).
    pub specs: BTreeMap<String, Spec>,
    /// The files of `secrets/`, by scope.
    pub secrets: BTreeMap<String, secrets::Scope>,
}

/// A host as the inventory declares it, groups already taken into account.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Where it is named.
    pub span: Span,
    /// The groups it is in, the nearest first: a group before the groups that contain it.
    pub groups: Vec<String>,
    /// Its roles in order, without those that are only required.
    pub roles: Vec<RoleUse>,
    /// How to reach it.
    pub connection: Connection,
    /// Values by role instance and parameter, each with where it comes from. The nearest level has won already; values for
    /// parameters with `merge: deep` keep all levels, nearest first.
    pub values: BTreeMap<(String, String), Vec<Given>>,
}

/// A role given to a host, as an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleUse {
    /// The role's name.
    pub role: String,
    /// The instance's name; the role's own where none was given.
    pub instance: String,
    /// Where it was given.
    pub span: Span,
}

/// A value given to a parameter at some level.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The value as written.
    pub node: Node,
    /// Who gave it: `host web041.example.com`, `group web`, `--set`.
    pub origin: String,
}

/// A group of hosts.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Every host in it, directly or through other groups, in the order of the inventory.
    pub hosts: Vec<String>,
}

/// A role as written.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name, which is its folder's.
    pub name: String,
    /// `role.yml`.
    pub source: Arc<Source>,
    /// What it is for.
    pub description: Option<String>,
    /// Families of distributions it can be applied to; empty for all.
    pub platforms: Vec<OsFamily>,
    /// Roles that must be there, and come before it.
    pub requires: Vec<(String, Span)>,
    /// Its parameters.
    pub params: IndexMap<String, Param>,
    /// Computed values, in order.
    pub lets: Vec<(String, Node, Span)>,
    /// Its own facts.
    pub facts: IndexMap<String, OwnFact>,
    /// The entries of `resources`, as written.
    pub resources: Vec<Node>,
    /// What must hold beyond that: its own `spec.yml`.
    pub spec: Option<Spec>,
    /// Files below `files/` and `templates/`, by path relative to those folders.
    pub files: RoleFiles,
}

/// The files a role brings along.
#[derive(Clone, Debug, Default)]
pub struct RoleFiles {
    /// Below `files/`: bytes and whether the owner may execute it. Folders are not listed.
    pub files: BTreeMap<String, (Arc<[u8]>, bool)>,
    /// Below `templates/`.
    pub templates: BTreeMap<String, Arc<Source>>,
    /// What could not be read as a regular file or as UTF-8, by path relative to the role (`files/x`), and why. It is an error
    /// only for who asks for it.
    pub unreadable: BTreeMap<String, String>,
}

/// A parameter of a role.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// What it is for.
    pub description: Option<String>,
    /// What it may be.
    pub shape: Shape,
    /// Its value where nobody gives one.
    pub default: Option<Node>,
    /// Whether it may be left out without a default; then it is null.
    pub optional: bool,
    /// Whether maps given at several levels are merged (`merge: deep`) or the nearest replaces the rest.
    pub deep: bool,
}

/// What a value may be: a parameter's type with its limits.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The type.
    pub ty: ShapeType,
    /// The least number, or length.
    pub min: Option<f64>,
    /// The greatest number, or length.
    pub max: Option<f64>,
    /// What the whole text must match (anchored at both ends).
    pub pattern: Option<regex::Regex>,
}

/// The type of a value.
#[derive(Clone, Debug)]
pub enum ShapeType {
    /// `string`
    String,
    /// `int`
    Int,
    /// `float`
    Float,
    /// `bool`
    Bool,
    /// `path`: absolute.
    Path,
    /// `enum` with its `values`.
    Enum(Vec<String>),
    /// `list` of `of`.
    List(Box<Shape>),
    /// `map` of free names to `of`.
    Map(Box<Shape>),
    /// A map with known names: `of` is a map of parameters.
    Record(IndexMap<String, Param>),
    /// `secret`
    Secret,
    /// `file`: a file of the role.
    File,
    /// Nothing said about the items: anything.
    Any,
}

/// A fact that a role reads itself.
#[derive(Clone, Debug)]
pub struct OwnFact {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// A command that only reads; what it prints, without the final line end, is the value.
    pub command: String,
    /// What the value is.
    pub shape: Shape,
}

/// A spec as written.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its file.
    pub source: Arc<Source>,
    /// The entries of `checks`.
    pub checks: Vec<Node>,
}
