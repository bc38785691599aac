//! A resource: one thing that a role declares, or a spec checks, on one host.

use std::time::Duration;

use indexmap::IndexMap;

use super::address::Address;
use super::attribute::{Attribute, Side, Type};
use super::content::Content;
use super::kind::{Kind, Refresh};
use super::matcher::Matcher;
use crate::base::digest::Digest;
use crate::base::secret::{self, Secret};
use crate::base::span::Span;
use crate::base::value::Value;

/// What the record on the host holds of the state of something that was taken away.
pub const ABSENT: &str = "absent";

/// What is wanted of one attribute.
#[derive(Clone, Debug)]
pub enum Want {
    /// Exactly this (or, for a constraint such as a version, what this text says).
    Exactly(Value),
    /// Exactly these bytes in the file.
    Content(Content),
    /// What a spec asks for.
    Matches(Matcher),
}

/// Whether a thing shall exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It shall.
    #[default]
    Present,
    /// It shall not.
    Absent,
}

/// How much a deviation matters. The worst is reported first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Little.
    Low,
    /// The default.
    #[default]
    Medium,
    /// Much.
    High,
    /// Drop everything.
    Critical,
}

impl Severity {
    /// All, least first, with the words people write.
    pub const ALL: [(&'static str, Severity); 5] = [
        ("info", Self::Info),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("critical", Self::Critical),
    ];

    /// The word people write.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// Something whose change calls for a reload, a restart or a command: an entry of `reload_on`, `restart_on`, `on_change`.
#[derive(Clone, Debug)]
pub struct Watch {
    /// What the change calls for.
    pub refresh: Refresh,
    /// As it was written: a path (glob) or an address.
    pub target: String,
    /// Resources of the same catalog that it covers, by their index.
    pub members: Vec<usize>,
    /// Shell that prints a line `<time> <digest> <name>` for each thing watched (see [`Kind::watch`]).
    pub shell: String,
}

/// One thing on one host, with everything resolved: no variable, no template, no secret reference is left in it.
#[derive(Clone)]
pub struct Resource {
    /// What it is.
    pub kind: &'static dyn Kind,
    /// Its full name; the identity is in here.
    pub address: Address,
    /// What the kind's key holds; the identity is made from it, and mostly is it.
    pub head: String,
    /// Another name for it, given as `id`.
    pub id: Option<String>,
    /// Whether it stands in a spec: it is checked, never acted on.
    pub is_check: bool,
    /// Whether it shall exist.
    pub state: State,
    /// What was written, in written order, by attribute name.
    pub wants: IndexMap<&'static str, Want>,
    /// What it watches.
    pub watches: Vec<Watch>,
    /// Declared identities that live below this one (what `purge` must not remove): file names relative to a directory.
    pub keeps: Vec<String>,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// How much a deviation matters.
    pub severity: Severity,
    /// Whether none of its values must be shown.
    pub sensitive: bool,
    /// Secrets that went into its attributes, by the attribute; content knows of its own.
    pub secrets: IndexMap<&'static str, Vec<Secret>>,
    /// In a spec: how long to wait for it to hold.
    pub within: Option<Duration>,
    /// Where it was declared.
    pub span: Span,
    /// Why it cannot be judged on this run (a secret without key): it is reported `unknown` and never acted on.
    pub blocked: Option<String>,
}

impl Resource {
    /// The identity: a path, a package name.
    pub fn identity(&self) -> &str {
        &self.address.identity
    }

    /// What was written for an attribute, whatever form it has.
    pub fn want(&self, attribute: &Attribute) -> Option<&Want> {
        self.wants.get(attribute.name)
    }

    /// The exact value written for an attribute.
    pub fn value(&self, attribute: &Attribute) -> Option<&Value> {
        match self.want(attribute) {
            Some(Want::Exactly(value)) => Some(value),
            _ => None,
        }
    }

    /// The text written for an attribute.
    pub fn text(&self, attribute: &Attribute) -> Option<&str> {
        self.value(attribute).and_then(Value::as_text)
    }

    /// The truth value written for an attribute.
    pub fn truth(&self, attribute: &Attribute) -> Option<bool> {
        self.value(attribute).and_then(Value::as_bool)
    }

    /// The whole number (or seconds of a duration) written for an attribute.
    pub fn int(&self, attribute: &Attribute) -> Option<i64> {
        self.value(attribute).and_then(Value::as_int)
    }

    /// The texts written for a list of texts; none when it was not written.
    pub fn texts(&self, attribute: &Attribute) -> Option<Vec<&str>> {
        let items = self.value(attribute)?.as_list()?;
        Some(items.iter().filter_map(Value::as_text).collect())
    }

    /// The content that was declared (as text, a template or a file).
    pub fn content(&self) -> Option<&Content> {
        self.wants.values().find_map(|want| match want {
            Want::Content(content) => Some(content),
            _ => None,
        })
    }

    /// The attributes that are compared, in the order of the kind's table, with what is wanted of them.
    pub fn compared(&self) -> impl Iterator<Item = (&'static Attribute, &Want)> {
        let attributes = self.kind.table().attributes.iter().filter(|attribute| attribute.is_compared());
        attributes.filter_map(|attribute| Some((attribute, self.wants.get(attribute.name)?)))
    }

    /// A digest of what is declared of one attribute (`state` included): what the record on the host holds. Where secrets went
    /// into it, it begins with [`secret::KEYED`].
    pub fn digest_of(&self, attribute: &str) -> Option<String> {
        if attribute == "state" {
            return Some(match self.state {
                State::Present => Digest::of(format!("{:?} {}", self.state, self.head)).short(),
                State::Absent => ABSENT.to_owned(),
            });
        }
        Some(match self.wants.get(attribute)? {
            Want::Exactly(value) => self.kept(attribute, &canonical(value)),
            Want::Content(content) => content.remembered(),
            Want::Matches(matcher) => self.kept(attribute, &matcher.to_string()),
        })
    }

    fn kept(&self, attribute: &str, text: &str) -> String {
        self.secrets.get(attribute).map_or_else(|| Digest::of(text).short(), |secrets| secret::digest(secrets, text))
    }

    /// Whether what is declared and found of this attribute must not be shown. The others of the resource may be.
    pub fn hides(&self, attribute: &str) -> bool {
        self.sensitive
            || self.secrets.contains_key(attribute)
            || match self.wants.get(attribute) {
                Some(Want::Exactly(value)) => value.is_secret(),
                Some(Want::Content(content)) => content.sensitive,
                Some(Want::Matches(_)) | None => false,
            }
    }

    /// Whether anything of it must not be shown, content aside.
    pub fn holds_secret(&self) -> bool {
        self.sensitive || !self.secrets.is_empty()
    }

    /// A digest of everything that is declared of it and would be compared: when it moves, the declaration moved.
    pub fn digest(&self) -> Digest {
        let mut text = format!("{:?} {}\n", self.state, self.head);
        for (name, _) in &self.wants {
            let attribute = self.kind.table().attributes.iter().find(|attribute| attribute.name == *name);
            let counts = attribute.is_some_and(|a| a.is_compared() || (a.side == Side::Act && a.ty == Type::Command));
            if let Some(digest) = self.digest_of(name).filter(|_| counts) {
                text.push_str(&format!("{name} {digest}\n"));
            }
        }
        Digest::of(text)
    }
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.address, self.state)?;
        for (name, want) in &self.wants {
            match self.hides(name) {
                true => write!(f, " {name}=***")?,
                false => write!(f, " {name}={want:?}")?,
            }
        }
        Ok(())
    }
}

/// The text whose digest stands for a value; the type is part of it, and a secret counts with its bytes.
fn canonical(value: &Value) -> String {
    match value {
        Value::Secret(secret) => format!("secret {}", secret.expose()),
        other => format!("{other:?}"),
    }
}
