//! `secrets/<scope>.yml`: values under encryption, and for whom they are encrypted; and which files of roles, encrypted as a
//! whole, belong to a scope.
//!
//! Here such a file is read into a [`Scope`]; [`seal`] knows the encryption, [`vault`] gives out values, [`edit`] changes the
//! text of a file, [`uses`] tells where a secret is used. Which keys there are on this machine, and who may be asked, is not
//! known here.

pub mod edit;
pub mod seal;
pub mod uses;
pub mod vault;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::names;
use super::yaml::{self, Node};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::{Source, Span};
pub use seal::{Identity, Recipient};
pub use vault::{Keys, NoSecret, Vault};

/// The keys of a file.
const KEYS: &[&str] = &["recipients", "identity", "digest_key", "secrets", "files"];

/// The folder of the files.
pub const FOLDER: &str = "secrets";

/// What the name of a file ends in that is encrypted as a whole.
pub const ENCRYPTED: &str = ".age";

/// The secrets of one file.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Its name, which is the file's.
    pub name: String,
    /// Its file.
    pub source: Arc<Source>,
    /// For whom its values are to be encrypted.
    pub recipients: Vec<(Recipient, Span)>,
    /// A private key of the scope's own under a passphrase, where one was asked for.
    pub identity: Option<Sealed>,
    /// What keys the digests that hosts remember.
    pub digest_key: Option<Sealed>,
    /// The values by name.
    pub secrets: IndexMap<String, Sealed>,
    /// Files of roles that are encrypted as a whole, by their path in the project.
    pub files: IndexMap<String, Listed>,
}

/// A file that belongs to a scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// What [`seal::stamp`] said when it was encrypted; empty if it was encrypted by other means.
    pub stamp: String,
    /// Where it is listed.
    pub span: Span,
}

/// A text under encryption.
#[derive(Clone, Debug, PartialEq)]
pub struct Sealed {
    /// The armored ciphertext.
    pub armored: String,
    /// The key it stands at.
    pub span: Span,
}

/// The path of a scope's file in the project.
pub fn path(scope: &str) -> String {
    format!("{FOLDER}/{scope}.yml")
}

/// Whether this may name a scope or a secret; else an error is added.
pub fn check_name(name: &str, span: &Span, found: &mut Diagnostics) -> bool {
    names::check(name, span, "secret", found)
}

/// Reads the file of a scope. A mistake is added to `found`.
pub fn read(name: &str, source: &Arc<Source>, node: &Node, found: &mut Diagnostics) -> Option<Scope> {
    let entries = node.entries()?;
    yaml::check_keys(entries, "key of a file of secrets", KEYS, found);
    let sealed = |key: &str, found: &mut Diagnostics| {
        let (key, node) = node.entry(key)?;
        sealed(&key.span, node, found)
    };
    let mut scope = Scope {
        name: name.to_owned(),
        source: Arc::clone(source),
        recipients: recipients(source, node, found),
        identity: sealed("identity", found),
        digest_key: sealed("digest_key", found),
        secrets: IndexMap::new(),
        files: files(node, found),
    };
    for (key, node) in node.get("secrets").filter(|node| !node.is_null()).and_then(Node::entries).unwrap_or_default() {
        if check_name(&key.text, &key.span, found)
            && let Some(sealed) = self::sealed(&key.span, node, found)
        {
            scope.secrets.insert(key.text.clone(), sealed);
        }
    }
    if let Some(node) = node.get("secrets").filter(|node| !node.is_null() && node.entries().is_none()) {
        found.push(
            Diagnostic::error(&node.span, format!("`secrets` is a map of names to values, not {}", node.describe()))
                .hint(format!("`snowmelt secret add {name}/NAME` writes it")),
        );
    }
    Some(scope)
}

fn files(node: &Node, found: &mut Diagnostics) -> IndexMap<String, Listed> {
    let mut files = IndexMap::new();
    let Some(section) = node.get("files").filter(|node| !node.is_null()) else { return files };
    let Some(entries) = section.entries() else {
        let message = format!("`files` is a map of paths, not {}", section.describe());
        found.push(Diagnostic::error(&section.span, message).hint(format!("write `{FILE_FORM}:`, a line each")));
        return files;
    };
    for (key, node) in entries {
        match role_file(&key.text) {
            None => found.push(
                Diagnostic::error(&key.span, format!("`{}` is no encrypted file of a role", key.text))
                    .hint(format!("write its path in the project: {FILE_FORM}")),
            ),
            Some(_) => {
                let stamp = if node.is_null() { Some("") } else { node.expect_text("what stands for the file", found) };
                let listed = stamp.map(|stamp| Listed { stamp: stamp.to_owned(), span: key.span.clone() });
                files.extend(listed.map(|listed| (key.text.clone(), listed)));
            }
        }
    }
    files
}

/// That a file is listed once.
pub fn check_files(scopes: &BTreeMap<String, Scope>, found: &mut Diagnostics) {
    let mut known: BTreeMap<&str, &Span> = BTreeMap::new();
    for (path, listed) in scopes.values().flat_map(|scope| &scope.files) {
        match known.get(path.as_str()) {
            None => drop(known.insert(path, &listed.span)),
            Some(first) => found.push(
                Diagnostic::error(&listed.span, format!("{path} belongs to a second scope"))
                    .related(first, "it is listed here first")
                    .hint("keep the one for whose recipients it is encrypted"),
            ),
        }
    }
}

/// How the path of an encrypted file looks.
pub const FILE_FORM: &str = "roles/ROLE/files/NAME.age";

/// The role and the path below its `files/` that the path of an encrypted file names.
pub fn role_file(path: &str) -> Option<(&str, &str)> {
    let (role, name) = path.strip_prefix("roles/")?.split_once("/files/")?;
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\n', '\0']);
    let is_named = name.strip_suffix(ENCRYPTED).is_some_and(|stem| !stem.is_empty() && !stem.ends_with('/'));
    (is_named && !role.contains('/') && is_plain(role) && name.split('/').all(is_plain)).then_some((role, name))
}

/// Where a file of a role is in the project.
pub fn file_path(role: &str, name: &str) -> String {
    format!("roles/{role}/files/{name}")
}

fn recipients(source: &Arc<Source>, node: &Node, found: &mut Diagnostics) -> Vec<(Recipient, Span)> {
    let list = node.get("recipients").and_then(Node::as_list).unwrap_or_default();
    if list.is_empty() {
        let place = node.entry("recipients").map_or_else(|| Span::start_of(source), |(key, _)| key.span.clone());
        found.push(
            Diagnostic::error(&place, "nobody can read these secrets: there are no `recipients`")
                .hint("list public keys: `- age1…` or `- ssh-ed25519 …`"),
        );
    }
    let mut recipients = Vec::new();
    for node in list {
        let Some(text) = node.expect_text("a recipient", found) else { continue };
        match Recipient::parse(text) {
            Ok(recipient) => recipients.push((recipient, node.span.clone())),
            Err(why) => found.push(
                Diagnostic::error(&node.span, why).hint("a public key: age1…, ssh-ed25519 … or ssh-rsa …, in one line"),
            ),
        }
    }
    recipients
}

fn sealed(span: &Span, node: &Node, found: &mut Diagnostics) -> Option<Sealed> {
    let text = node.as_text().map(str::trim).unwrap_or_default();
    if !text.starts_with(seal::ARMOR) {
        found.push(
            Diagnostic::error(span, "this is not encrypted")
                .hint("`snowmelt secret add SCOPE/NAME` writes a value; one that stood here must be changed now")
                .private(),
        );
        return None;
    }
    Some(Sealed { armored: text.to_owned(), span: span.clone() })
}

impl Scope {
    /// For whom values are encrypted, without places.
    pub fn keys(&self) -> Vec<&Recipient> {
        self.recipients.iter().map(|(recipient, _)| recipient).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{brief, with_files};

    #[test]
    fn mistakes_in_a_file_of_secrets_have_a_place() {
        let armor = "|\n    -----BEGIN AGE ENCRYPTED FILE-----\n    -----END AGE ENCRYPTED FILE-----\n";
        let key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        for (text, complaint) in [
            (format!("recipients: [{key}]\ndigest_key: {armor}secrets:\n"), vec![]),
            (
                String::new(),
                vec![
                    "nobody can read these secrets: there are no `recipients` @ secrets/a.yml:1:1 = list public keys: `- age1…` or `- ssh-ed25519 …`",
                ],
            ),
            (
                format!("recipients: [age1x, ssh-dss x, {key}]\ndigest_key: {armor}"),
                vec![
                    "`age1x` is no public key that age can encrypt for @ secrets/a.yml:1:14 = a public key: age1…, ssh-ed25519 … or ssh-rsa …, in one line",
                    "`ssh-dss x` is no public key that age can encrypt for @ secrets/a.yml:1:21 = a public key: age1…, ssh-ed25519 … or ssh-rsa …, in one line",
                ],
            ),
            (
                format!("recipients: [{key}]\ndigest_key: {armor}secrets:\n  db: hunter2\n"),
                vec![
                    "this is not encrypted @ secrets/a.yml:6:3 = `snowmelt secret add SCOPE/NAME` writes a value; one that stood here must be changed now",
                ],
            ),
            (
                format!("recipients: [{key}]\ndigest_key: {armor}secret: {{}}\n"),
                vec!["unknown key `secret` of a file of secrets @ secrets/a.yml:5:1 = did you mean `secrets`?"],
            ),
            (
                format!("recipients: [{key}]\ndigest_key: {armor}secrets: [x]\n"),
                vec![
                    "`secrets` is a map of names to values, not a list @ secrets/a.yml:5:10 = `snowmelt secret add a/NAME` writes it",
                ],
            ),
        ] {
            let (_, found) = with_files(&[("secrets/a.yml", &text)], &[]);
            assert_eq!(brief(&found), complaint, "{text}");
            assert!(!found.contains("hunter2"), "{found}");
        }
    }
}
