//! The names that expressions and templates see, with their values, and what was touched while something was evaluated.
//!
//! Two things must not get lost on the way from a value to a text: that a secret went into it, and that a fact went into it
//! which is not known in this run. Both are noted on the thread that evaluates, by the values themselves when they are read,
//! so that no filter can wash them off. To find out which lines of a text a secret had a say in, a text can be made a second
//! time with something else in the place of every secret ([`decoyed`]).

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Enumerator, Object, ObjectRepr, Value as Jinja, ValueKind};

use crate::base::secret::Secret;
use crate::base::value::Value;

/// What was touched during an evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Trace {
    /// Secrets that were read.
    pub(crate) secrets: Vec<Secret>,
    /// Whether a value was asked for that is not known in this run.
    pub(crate) unknown: bool,
}

thread_local! {
    static TRACE: RefCell<Trace> = RefCell::default();
    static DECOYED: Cell<bool> = const { Cell::new(false) };
}

/// Evaluates something and tells what it touched. Nested calls each see their own part; secrets reach the outer ones, too.
pub(crate) fn traced<T>(evaluate: impl FnOnce() -> T) -> (T, Trace) {
    let outer = TRACE.take();
    let result = evaluate();
    let inner = TRACE.replace(outer);
    inner.secrets.iter().for_each(touch_secret);
    (result, inner)
}

/// Evaluates something with a stand-in for every secret. What it touches leaves no trace.
pub(crate) fn decoyed<T>(evaluate: impl FnOnce() -> T) -> T {
    let outer = TRACE.take();
    DECOYED.set(true);
    let result = evaluate();
    DECOYED.set(false);
    TRACE.set(outer);
    result
}

/// Notes that a secret has a say in what is being evaluated.
pub(crate) fn touch_secret(secret: &Secret) {
    TRACE.with_borrow_mut(|trace| {
        if !trace.secrets.contains(secret) {
            trace.secrets.push(secret.clone());
        }
    });
}

fn touch_unknown() -> Option<Jinja> {
    TRACE.with_borrow_mut(|trace| trace.unknown = true);
    Some(Jinja::from(()))
}

/// A secret in an expression. Reading its text leaves a trace.
pub(crate) struct SecretText {
    secret: Secret,
    decoy: String,
}

impl SecretText {
    /// The text, noted as touched.
    pub(crate) fn expose(&self) -> &str {
        if DECOYED.get() {
            return &self.decoy;
        }
        touch_secret(&self.secret);
        self.secret.expose()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.secret.fmt(f)
    }
}

impl Object for SecretText {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expose())
    }
}

/// Text that is put into a command as it is (`| raw`).
#[derive(Debug)]
pub(crate) struct Raw(pub(crate) String);

impl Object for Raw {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name's value.
#[derive(Clone)]
pub(crate) enum Variable {
    /// Known.
    Known(Jinja),
    /// It depends on a fact that is not known in this run.
    Unknown,
}

/// Names and their values; an inner scope sees those of the outer one.
#[derive(Default)]
pub(crate) struct Scope {
    names: IndexMap<String, Variable>,
    outer: Option<Arc<Scope>>,
}

impl fmt::Debug for Scope {
    /// The names only: values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.names().join(", "))
    }
}

impl Scope {
    /// A scope inside this one, with one more name.
    pub(crate) fn with(self: &Arc<Self>, name: &str, value: Variable) -> Arc<Scope> {
        Arc::new(Scope { names: IndexMap::from([(name.to_owned(), value)]), outer: Some(Arc::clone(self)) })
    }

    /// Adds a name.
    pub(crate) fn set(&mut self, name: &str, value: Variable) {
        self.names.insert(name.to_owned(), value);
    }

    /// The value of a name. Asking for one that is not known in this run leaves a trace.
    pub(crate) fn get(&self, name: &str) -> Option<Jinja> {
        match self.names.get(name) {
            Some(Variable::Known(value)) => Some(value.clone()),
            Some(Variable::Unknown) => touch_unknown(),
            None => self.outer.as_ref()?.get(name),
        }
    }

    /// All names that can be seen.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.outer.as_ref().map(|outer| outer.names()).unwrap_or_default();
        names.extend(self.names.keys().map(String::as_str));
        names
    }
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        self.get(key)
    }
}

/// A map of which some values are not known in this run: facts before a host was asked.
#[derive(Debug)]
struct Guessed {
    known: IndexMap<String, Jinja>,
    unknown: Vec<String>,
}

/// A map with these values, and with these names that will have a value one day.
pub(crate) fn guessed(known: IndexMap<String, Jinja>, unknown: Vec<String>) -> Jinja {
    Jinja::from_object(Guessed { known, unknown })
}

impl Object for Guessed {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        let key = key.as_str()?;
        match self.known.get(key) {
            Some(value) => Some(value.clone()),
            None if self.unknown.iter().any(|name| name == key) => touch_unknown(),
            None => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        touch_unknown();
        Enumerator::Values(self.known.keys().map(Jinja::from).collect())
    }
}

/// A value as expressions see it.
pub(crate) fn to_jinja(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(truth) => Jinja::from(*truth),
        Value::Int(number) => Jinja::from(*number),
        Value::Float(number) => Jinja::from(*number),
        Value::Text(text) => Jinja::from(text.as_str()),
        Value::List(items) => items.iter().map(to_jinja).collect(),
        Value::Map(map) => Jinja::from_pairs(map.iter().map(|(name, item)| (name.as_str(), to_jinja(item)))),
        Value::Secret(secret) => {
            // In one line and of another length than nearly every secret, so that lengths and line ends differ as well.
            let decoy = format!("\u{fffd}{}\u{fffd}", secret.name());
            Jinja::from_object(SecretText { secret: secret.clone(), decoy })
        }
    }
}

/// What an expression gave, as a value.
///
/// # Errors
/// Why it is none, as a lowercase fragment.
pub(crate) fn from_jinja(value: &Jinja) -> Result<Value, String> {
    if let Some(secret) = value.downcast_object_ref::<SecretText>() {
        touch_secret(&secret.secret);
        return Ok(Value::Secret(secret.secret.clone()));
    }
    if let Some(raw) = value.downcast_object_ref::<Raw>() {
        return Ok(Value::Text(raw.0.clone()));
    }
    let items = |value: &Jinja| value.try_iter().map_err(|error| error.to_string());
    Ok(match value.kind() {
        ValueKind::None | ValueKind::Undefined => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => match value.as_i64().filter(|_| value.is_integer()) {
            Some(number) => Value::Int(number),
            None => Value::Float(f64::try_from(value.clone()).map_err(|error| error.to_string())?),
        },
        ValueKind::String => Value::Text(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Seq | ValueKind::Iterable => {
            Value::List(items(value)?.map(|item| from_jinja(&item)).collect::<Result<_, _>>()?)
        }
        ValueKind::Map => {
            let mut map = IndexMap::new();
            for key in items(value)? {
                let item = value.get_item(&key).map_err(|error| error.to_string())?;
                map.insert(super::filters::text(&key).map_err(|error| error.to_string())?, from_jinja(&item)?);
            }
            Value::Map(map)
        }
        _ => return Err(format!("this expression gives {}, which is no value", value.kind())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_a_secret_leaves_a_trace_through_nesting() {
        let secret = to_jinja(&Value::Secret(Secret::new("shop/db", "hunter2".to_owned())));
        let ((), outer) = traced(|| {
            let (text, inner) = traced(|| secret.to_string());
            assert_eq!((text.as_str(), inner.secrets[0].name()), ("hunter2", "shop/db"));
        });
        assert_eq!(outer.secrets.len(), 1);
        let ((), after) = traced(|| ());
        assert_eq!(after, Trace::default());
        let scope = Arc::new(Scope::default()).with("password", Variable::Known(secret));
        assert!(!format!("{scope:?}").contains("hunter2"));
        let (text, nothing) = traced(|| decoyed(|| scope.get("password").unwrap().to_string()));
        assert_eq!((text.as_str(), nothing), ("\u{fffd}shop/db\u{fffd}", Trace::default()));
    }

    #[test]
    fn values_come_back_as_they_went_in() {
        let map = IndexMap::from([("b".to_owned(), Value::Int(1)), ("a".to_owned(), Value::Null)]);
        let value = Value::List(vec!["x".into(), Value::Float(1.5), Value::Bool(true), Value::Map(map)]);
        assert_eq!(from_jinja(&to_jinja(&value)), Ok(value));
    }

    #[test]
    fn unknown_names_are_noted_only_when_asked_for() {
        let mut scope = Scope::default();
        scope.set("a", Variable::Unknown);
        scope.set("b", Variable::Known(Jinja::from(1)));
        let scope = Arc::new(scope).with("c", Variable::Known(Jinja::from(2)));
        assert!(!traced(|| scope.get("b")).1.unknown);
        assert!(traced(|| scope.get("a")).1.unknown);
        assert_eq!(scope.names(), ["a", "b", "c"]);
    }
}
