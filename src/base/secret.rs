//! A value that must never be shown: no `Display`, no `Serialize`, and a `Debug` that hides it.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A secret text. It is wiped from memory with its last clone. What it stands for in messages is its name.
#[derive(Clone)]
pub struct Secret {
    name: Arc<str>,
    value: Arc<Zeroizing<String>>,
}

impl Secret {
    /// The secret `value`, called `name` (its `scope/name`) in messages.
    pub fn new(name: &str, value: String) -> Self {
        Self { name: name.into(), value: Arc::new(Zeroizing::new(value)) }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret itself. Every use of this is a place where it may leak: rendering, and the redactor.
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.value.as_bytes() == other.value.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_name_only() {
        assert_eq!(format!("{:?}", Secret::new("shop/db", "hunter2".into())), "Secret(shop/db)");
    }
}
