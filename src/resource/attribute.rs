//! One row of a kind's table: an attribute's name, type, side, comparison and documentation.
//!
//! From the rows follow the parser, the schema, the published page, the matchers a spec may use and what is compared. A kind
//! declares them as constants and reads its wants through them, so that the compiler knows every name.

/// An attribute of a kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attribute {
    /// The key people write.
    pub name: &'static str,
    /// What may be written.
    pub ty: Type,
    /// Where it may be written, and whether it is compared.
    pub side: Side,
    /// How a reading is held against what is wanted.
    pub compare: Compare,
    /// One or two sentences for the page, Markdown.
    pub doc: &'static str,
    /// Whether a secret may stand in it: its kind keeps it off argument lists and environments. Content always may.
    pub takes_secret: bool,
}

impl Attribute {
    /// What shall be (in a role) or must be found (in a spec), compared for equality.
    pub const fn state(name: &'static str, ty: Type, doc: &'static str) -> Self {
        let compare = match ty {
            Type::Version => Compare::Version,
            _ => Compare::Equal,
        };
        Self { name, ty, side: Side::State, compare, doc, takes_secret: false }
    }

    /// Something only a spec can ask for.
    pub const fn check(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Self { side: Side::Check, ..Self::state(name, ty, doc) }
    }

    /// How a role acts; never compared.
    pub const fn act(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Self { side: Side::Act, ..Self::state(name, ty, doc) }
    }

    /// How it is read or run, in roles and specs; never compared.
    pub const fn setting(name: &'static str, ty: Type, doc: &'static str) -> Self {
        Self { side: Side::Setting, ..Self::state(name, ty, doc) }
    }

    /// The same with another comparison.
    #[must_use]
    pub const fn compared(self, compare: Compare) -> Self {
        Self { compare, ..self }
    }

    /// The same, in which a secret may stand.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { takes_secret: true, ..self }
    }

    /// Whether it is held against a reading.
    pub const fn is_compared(&self) -> bool {
        matches!(self.side, Side::State | Side::Check)
    }
}

/// What may be written for an attribute. The text of a scalar is typed by this, never by YAML.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Type {
    /// Any text without NUL.
    Text,
    /// A whole number.
    Int,
    /// `true` or `false`.
    Bool,
    /// An absolute path: no NUL, no line end, no `..`; doubled and trailing slashes are dropped.
    Path,
    /// Quoted octal permissions, `"0644"`; becomes four octal digits.
    Mode,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// A version, or constraints on it: `1.18`, `>=1.18`, `>=1.18, <2`.
    Version,
    /// `10s`, `5m`, `1h`; becomes whole seconds ([`crate::base::value::Value::Int`]).
    Duration,
    /// A shell command: what `{{ }}` puts into it is quoted.
    Command,
    /// Text of the file itself; becomes [`super::Want::Content`] in a role.
    Content,
    /// A template of the role (under `templates/`), rendered: another way to write `content`.
    Template,
    /// A file or tree of the role (under `files/`), byte for byte: another way to write `content`.
    Source,
    /// Addresses of resources, or paths (globs) on the host.
    Watch,
    /// A list; a single value stands for a list of one.
    List(&'static Type),
    /// Values by name.
    Map(&'static Type),
}

/// Where an attribute may be written, and whether it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Role and spec; compared.
    State,
    /// Spec only; compared.
    Check,
    /// Role only; says how to act.
    Act,
    /// Role and spec; says how to read or run.
    Setting,
}

/// How a reading is held against the value that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The same value.
    Equal,
    /// The same items in any order.
    SameItems,
    /// At least the wanted items.
    Includes,
    /// Version constraints, by the ordering of the package manager that the kind also reads as `manager`; decided by
    /// [`super::Kind::version_holds`].
    Version,
}
