//! Encryption: age, for X25519 and SSH keys. The one place that knows the `age` crate.
//!
//! What is encrypted is not the bare value: a first line says which secret it is, so that a ciphertext that was copied to
//! another name is refused, and for whom it was encrypted, so that a change of the recipients is noticed. age does not tell who
//! encrypted something: whoever may change the project's files may put other values there, as in any other file of it.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::{ExposeSecret as _, SecretString};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::base::digest::Digest;
use crate::base::secret::DigestKey;

/// What every ciphertext begins with.
pub const ARMOR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// What a ciphertext begins with that is not armored.
const BARE: &str = "age-encryption.org/";

/// The first word of what is encrypted, and the version of its form.
const MARK: &str = "snowmelt 1";

/// Somebody values can be encrypted for.
#[derive(Clone)]
pub struct Recipient {
    text: String,
    key: RecipientKey,
}

#[derive(Clone)]
enum RecipientKey {
    Age(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
}

impl Recipient {
    /// A public key as it is written; a comment behind it does not count.
    ///
    /// # Errors
    /// Why it is none, as a lowercase fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.split_whitespace().take(if text.starts_with("ssh-") { 2 } else { 1 }).collect::<Vec<_>>();
        let text = text.join(" ");
        let key = match text.parse::<age::x25519::Recipient>() {
            Ok(key) => Some(RecipientKey::Age(key)),
            Err(_) => text.parse::<age::ssh::Recipient>().ok().map(RecipientKey::Ssh),
        };
        match key {
            Some(key) => Ok(Self { text, key }),
            None => Err(format!("`{text}` is no public key that age can encrypt for")),
        }
    }

    /// The key without its comment.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn as_age(&self) -> &dyn age::Recipient {
        match &self.key {
            RecipientKey::Age(key) => key,
            RecipientKey::Ssh(key) => key,
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Somebody's private key.
#[derive(Clone)]
pub enum Identity {
    /// A key of age.
    Age(Arc<age::x25519::Identity>),
    /// An SSH key.
    Ssh(Arc<age::ssh::Identity>),
    /// An SSH key under a passphrase.
    Locked(Arc<Locked>),
}

/// An SSH key under a passphrase.
pub struct Locked {
    /// What it is called when its passphrase is asked for.
    pub name: String,
    /// Its public half, as a recipient is written.
    pub public: String,
    key: age::ssh::EncryptedKey,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// A new key of age.
    pub fn generate() -> Self {
        Self::Age(Arc::new(age::x25519::Identity::generate()))
    }

    /// The keys in a file: SSH's format, or keys of age a line each, with comments behind `#`.
    ///
    /// # Errors
    /// Why there are none, as a lowercase fragment that shows nothing of the file.
    pub fn parse(text: &str, name: &str) -> Result<Vec<Self>, String> {
        if text.trim_start().starts_with("-----BEGIN") {
            return ssh(text, name).map(|key| vec![key]);
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Option<Vec<Self>> = lines.map(|line| Some(Self::Age(Arc::new(line.parse().ok()?)))).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(keys),
            _ => Err("it holds neither a private key of SSH nor lines `AGE-SECRET-KEY-1…`".to_owned()),
        }
    }

    /// The public half of a key of age.
    pub fn recipient(&self) -> Option<Recipient> {
        match self {
            Self::Age(key) => Recipient::parse(&key.to_public().to_string()).ok(),
            Self::Ssh(_) | Self::Locked(_) => None,
        }
    }

    /// A key of age as its file holds it.
    pub fn to_text(&self) -> Option<Zeroizing<String>> {
        match self {
            Self::Age(key) => Some(Zeroizing::new(key.to_string().expose_secret().to_owned())),
            Self::Ssh(_) | Self::Locked(_) => None,
        }
    }

    fn as_age(&self) -> Option<&dyn age::Identity> {
        match self {
            Self::Age(key) => Some(&**key),
            Self::Ssh(key) => Some(&**key),
            Self::Locked(_) => None,
        }
    }
}

impl Locked {
    /// The key without its passphrase; none if that is another.
    pub fn unlock(&self, passphrase: &str) -> Option<Identity> {
        let key = self.key.decrypt(SecretString::from(passphrase.to_owned())).ok()?;
        Some(Identity::Ssh(Arc::new(key.into())))
    }
}

fn ssh(text: &str, name: &str) -> Result<Identity, String> {
    // Its reader wants a line end behind the last line.
    let text = Zeroizing::new(format!("{}\n", text.trim()));
    match age::ssh::Identity::from_buffer(text.as_bytes(), None) {
        Ok(age::ssh::Identity::Encrypted(key)) => match public_half(&text) {
            Some(public) => Ok(Identity::Locked(Arc::new(Locked { name: name.to_owned(), public, key }))),
            None => Err("its public half cannot be read".to_owned()),
        },
        Ok(age::ssh::Identity::Unsupported(_)) => {
            Err("age cannot use this kind of key; ed25519 and RSA keys can be used".to_owned())
        }
        Ok(key) => Ok(Identity::Ssh(Arc::new(key))),
        Err(_) => Err("it is no private key of SSH that can be read".to_owned()),
    }
}

/// The public half that stands in the clear in OpenSSH's format: <https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key>.
fn public_half(text: &str) -> Option<String> {
    let inner: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let bytes = STANDARD.decode(inner).ok()?;
    let mut rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
    let mut field = || {
        let length = usize::try_from(u32::from_be_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
        let field = rest.get(4..4 + length)?;
        rest = &rest[4 + length..];
        Some(field)
    };
    // The cipher, the way from passphrase to key, and its options.
    for _ in 0..3 {
        field()?;
    }
    let (_count, mut rest) = rest.split_at_checked(4)?;
    let length = usize::try_from(u32::from_be_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
    rest = rest.get(4..4 + length)?;
    let word = usize::try_from(u32::from_be_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
    let kind = std::str::from_utf8(rest.get(4..4 + word)?).ok()?;
    Some(format!("{kind} {}", STANDARD.encode(rest)))
}

/// Why a ciphertext stays closed.
#[derive(Clone, Debug, PartialEq)]
pub enum Closed {
    /// None of the keys is one it was encrypted for.
    NoKey,
    /// It is not what it should be; why, as a lowercase fragment.
    Broken(String),
}

/// What was encrypted.
pub struct Opened {
    /// The value.
    pub value: Zeroizing<String>,
    /// Whether it was encrypted for just those who are recipients now.
    pub is_current: bool,
}

/// Encrypts the value of `name` for these recipients.
///
/// # Errors
/// Why it could not be, as a lowercase fragment.
pub fn seal(name: &str, value: &str, recipients: &[&Recipient]) -> Result<String, String> {
    let plain = Zeroizing::new(format!("{MARK} {name} {}\n{value}", fingerprint(recipients)));
    let all = recipients.iter().map(|recipient| recipient.as_age());
    let encryptor = age::Encryptor::with_recipients(all).map_err(|_| "there is nobody to encrypt for".to_owned())?;
    encrypt(encryptor, plain.as_bytes())
}

/// Encrypts a private key of age with a passphrase.
///
/// # Errors
/// As for [`seal`].
pub fn seal_identity(identity: &Identity, passphrase: &str) -> Result<String, String> {
    let text = identity.to_text().ok_or("only a key of age can be kept under a passphrase")?;
    let encryptor = age::Encryptor::with_user_passphrase(SecretString::from(passphrase.to_owned()));
    encrypt(encryptor, text.as_bytes())
}

fn encrypt(encryptor: age::Encryptor, plain: &[u8]) -> Result<String, String> {
    let written = || -> std::io::Result<Vec<u8>> {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(plain)?;
        writer.finish()?.finish()
    };
    let bytes = written().map_err(|error| format!("it could not be encrypted: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "it could not be encrypted".to_owned())
}

/// Decrypts the value of `name`; `recipients` are those of its scope now.
///
/// # Errors
/// Why it stays closed.
pub fn open(name: &str, armored: &str, identities: &[Identity], recipients: &[&Recipient]) -> Result<Opened, Closed> {
    let plain = decrypt(armored.as_bytes(), By::Key, identities.iter().filter_map(Identity::as_age))?;
    let broken = |why: &str| Closed::Broken(why.to_owned());
    let plain = std::str::from_utf8(&plain).map_err(|_| broken("it holds something that is no text"))?;
    let (head, value) = plain.split_once('\n').ok_or_else(|| broken("it was not written by snowmelt"))?;
    let words: Vec<&str> = head.strip_prefix(MARK).unwrap_or_default().split_whitespace().collect();
    match words[..] {
        [own, _] if own != name => Err(Closed::Broken(format!("it is the value of `{own}`, copied here"))),
        [_, _] if value.contains('\0') => Err(broken("it holds a NUL")),
        [_, fingerprint] => Ok(Opened {
            value: Zeroizing::new(value.to_owned()),
            is_current: fingerprint == self::fingerprint(recipients),
        }),
        _ => Err(broken("it was not written by snowmelt")),
    }
}

/// The private key of a scope that is kept under a passphrase.
///
/// # Errors
/// [`Closed::NoKey`] for another passphrase.
pub fn open_identity(armored: &str, passphrase: &str) -> Result<Identity, Closed> {
    let identity = age::scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    let key = std::iter::once(&identity as &dyn age::Identity);
    let plain = decrypt(armored.as_bytes(), By::Passphrase, key).map_err(|closed| match closed {
        // A wrong passphrase and a damaged stanza look the same.
        Closed::Broken(why) if why == DAMAGED => Closed::NoKey,
        other => other,
    })?;
    let text = std::str::from_utf8(&plain).unwrap_or_default();
    let keys = Identity::parse(text, "").map_err(|_| Closed::Broken("it holds no private key".to_owned()))?;
    keys.into_iter().next().ok_or(Closed::NoKey)
}

/// Why what lost a part, or was changed, cannot be opened.
pub const DAMAGED: &str = "it is cut short or damaged";

/// Encrypts a whole file for these recipients. Nothing is added to it: `age -d` gives it back.
///
/// # Errors
/// As for [`seal`].
pub fn seal_file(bytes: &[u8], recipients: &[&Recipient]) -> Result<String, String> {
    let all = recipients.iter().map(|recipient| recipient.as_age());
    let encryptor = age::Encryptor::with_recipients(all).map_err(|_| "there is nobody to encrypt for".to_owned())?;
    encrypt(encryptor, bytes)
}

/// Decrypts a whole file, armored or not.
///
/// # Errors
/// Why it stays closed.
pub fn open_file(ciphertext: &[u8], identities: &[Identity]) -> Result<Zeroizing<Vec<u8>>, Closed> {
    if !is_ciphertext(ciphertext) {
        return Err(Closed::Broken("it is not encrypted with age".to_owned()));
    }
    decrypt(ciphertext, By::Key, identities.iter().filter_map(Identity::as_age))
}

/// Whether this is, or began as, something that age encrypted.
pub fn is_ciphertext(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(ARMOR.as_bytes()) || bytes.starts_with(BARE.as_bytes())
}

/// Stands for a ciphertext and those it was made for, so that a change of either is noticed. It says nothing of the content.
pub fn stamp(ciphertext: &[u8], recipients: &[&Recipient]) -> String {
    Digest::of(format!("{} {}", fingerprint(recipients), Digest::of(ciphertext))).short()
}

/// What a ciphertext is to be opened by.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Key,
    Passphrase,
}

fn decrypt<'a>(
    ciphertext: &[u8],
    by: By,
    identities: impl Iterator<Item = &'a dyn age::Identity>,
) -> Result<Zeroizing<Vec<u8>>, Closed> {
    let closed = |error: age::DecryptError| match error {
        age::DecryptError::NoMatchingKeys => Closed::NoKey,
        age::DecryptError::ExcessiveWork { .. } => {
            Closed::Broken("its passphrase would take far too long to try".to_owned())
        }
        _ => Closed::Broken(DAMAGED.to_owned()),
    };
    let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(ciphertext)).map_err(closed)?;
    if by == By::Key && decryptor.is_scrypt() {
        return Err(Closed::Broken("it is encrypted with a passphrase, not for recipients".to_owned()));
    }
    let mut reader = decryptor.decrypt(identities).map_err(closed)?;
    // What is read cannot be longer: no copy is left behind by growing.
    let mut plain = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
    reader.read_to_end(&mut plain).map_err(|_| Closed::Broken(DAMAGED.to_owned()))?;
    Ok(plain)
}

/// A new key for digests, as it is kept.
///
/// # Errors
/// There is no randomness.
pub fn new_digest_key() -> Result<Zeroizing<String>, String> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(|error| format!("no randomness: {error}"))?;
    Ok(Zeroizing::new(hex::encode(key.as_slice())))
}

/// The key that [`new_digest_key`] made.
pub fn digest_key(text: &str) -> Option<DigestKey> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).ok()?;
    Some(DigestKey::new(key))
}

/// Stands for a set of recipients.
fn fingerprint(recipients: &[&Recipient]) -> String {
    let mut all: Vec<&str> = recipients.iter().map(|recipient| recipient.text()).collect();
    all.sort_unstable();
    all.dedup();
    Digest::of(all.join("\n")).short()
}
