//! A value that must never be shown: no `Display`, no `Serialize`, and a `Debug` that hides it.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A secret text. It is wiped from memory with its last clone. What it stands for in messages is its name.
#[derive(Clone)]
pub struct Secret {
    name: Arc<str>,
    value: Arc<Zeroizing<String>>,
    key: Option<DigestKey>,
}

impl Secret {
    /// The secret `value`, called `name` (its `scope/name`) in messages.
    pub fn new(name: &str, value: String) -> Self {
        Self { name: name.into(), value: Arc::new(Zeroizing::new(value)), key: None }
    }

    /// The same, with the key of its scope for digests that are kept elsewhere.
    #[must_use]
    pub fn keyed(self, key: DigestKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// A text that these secrets went into: a secret called by all their names.
    pub fn made_of(parts: &[Secret], text: String) -> Self {
        let names: Vec<&str> = parts.iter().map(Secret::name).collect();
        let key = parts.iter().find_map(|part| part.key.clone());
        Self { key, ..Self::new(&names.join(" "), text) }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The secret itself. Every use of this is a place where it may leak: rendering, and the redactor.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// The key for digests of what it went into.
    pub fn key(&self) -> Option<&DigestKey> {
        self.key.as_ref()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value.as_bytes() == other.value.as_bytes()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

/// A file that is secret as a whole, decrypted. Its bytes need not be text.
#[derive(Clone)]
pub struct SecretFile {
    /// What it holds.
    pub bytes: Arc<[u8]>,
    /// Stands for it: called by its path in the project, with the key of its scope; its text, if it is text.
    pub secret: Secret,
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFile({})", self.secret.name)
    }
}

/// What a digest begins with that was made with a key.
pub const KEYED: &str = "~";

/// A digest of what secrets went into, as it may be kept where others read it: made with the first key that one of them has.
/// Without any, it says only that there were secrets.
pub fn digest(secrets: &[Secret], bytes: impl AsRef<[u8]>) -> String {
    let key = secrets.iter().find_map(Secret::key);
    format!("{KEYED}{}", key.map(|key| key.digest(bytes)).unwrap_or_default())
}

/// Keys digests of what secrets went into. A plain digest of a short secret tells it to whoever tries all short texts; one made
/// with a key that stays with the project's people tells nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestKey(Arc<Zeroizing<[u8; 32]>>);

impl DigestKey {
    /// This key.
    pub fn new(key: [u8; 32]) -> Self {
        Self(Arc::new(Zeroizing::new(key)))
    }

    /// The first 12 hexadecimal digits of the HMAC-SHA256 of these bytes.
    pub fn digest(&self, bytes: impl AsRef<[u8]>) -> String {
        // A key of any length fits; there is no other error.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else { return String::new() };
        mac.update(bytes.as_ref());
        hex::encode(&mac.finalize().into_bytes()[..6])
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_name_only() {
        let secret = Secret::new("shop/db", "hunter2".to_owned()).keyed(DigestKey::new([7; 32]));
        assert_eq!(format!("{secret:?} {:?}", secret.key().unwrap()), "Secret(shop/db) DigestKey");
    }

    #[test]
    fn what_is_made_of_secrets_has_their_names_and_a_key() {
        let parts =
            [Secret::new("a/b", "x".to_owned()), Secret::new("a/c", "y".to_owned()).keyed(DigestKey::new([7; 32]))];
        let made = Secret::made_of(&parts, "xy".to_owned());
        assert_eq!((made.name(), made.expose(), made.key().is_some()), ("a/b a/c", "xy", true));
    }

    #[test]
    fn digests_depend_on_the_key() {
        // RFC 4231, test case 2, has a shorter key, which HMAC pads with zeros.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        assert_eq!(DigestKey::new(key).digest("what do ya want for nothing?"), "5bdcc146bf60");
        assert_ne!(DigestKey::new([1; 32]).digest("a"), DigestKey::new([2; 32]).digest("a"));
    }
}
