//! Gives out the secrets of a project: opened when they are first asked for, kept in memory only, each at most once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use super::seal::{self, Closed, Identity, Opened, Recipient};
use super::{ENCRYPTED, FOLDER, Listed, Scope, Sealed, path};
use crate::base::diagnostic::Diagnostic;
use crate::base::nearest;
use crate::base::redact::Redactor;
use crate::base::secret::{DigestKey, Secret, SecretFile};
use crate::base::span::{Source, Span};

/// Why a secret is not given out.
#[derive(Clone, Debug, PartialEq)]
pub enum NoSecret {
    /// No key on this machine opens it; why, as a lowercase fragment.
    NoKey(String),
    /// The project or this machine is not in order. Without a place, it belongs to where the secret is asked for.
    Wrong(Box<Diagnostic>),
}

/// Reads the private keys of this machine: those that can be used, and why others cannot. An error is one that must be put
/// right first.
pub type LoadKeys = dyn Fn() -> Result<(Vec<Identity>, Vec<String>), Diagnostic> + Send + Sync;

/// Asks the person at the terminal for a passphrase; the text says for what.
pub type Ask = dyn Fn(&str) -> Option<Zeroizing<String>> + Send + Sync;

/// Where private keys come from.
pub struct Keys {
    /// Reads them.
    pub load: Box<LoadKeys>,
    /// Asks for their passphrases; none where nobody can be asked.
    pub ask: Option<Box<Ask>>,
}

/// The most bytes a file may hold that is secret as a whole: all that is written is searched for them.
pub const LARGEST_FILE: usize = 64 << 10;

/// The secrets of a project.
pub struct Vault {
    scopes: BTreeMap<String, Scope>,
    keys: Keys,
    redactor: Redactor,
    state: Mutex<State>,
}

/// What was found out so far.
#[derive(Default)]
struct State {
    identities: Option<Result<Vec<Identity>, Diagnostic>>,
    /// Why some keys cannot be used, for whoever misses one.
    notes: Vec<String>,
    /// Passphrases that were asked for, by what for: the key, or none if it was not given or wrong.
    unlocked: HashMap<String, Option<Identity>>,
    digest_keys: HashMap<String, Result<DigestKey, NoSecret>>,
    secrets: HashMap<String, Result<Secret, NoSecret>>,
    files: HashMap<String, Result<SecretFile, NoSecret>>,
}

impl Vault {
    /// The secrets of these scopes. What is opened is made known to the redactor.
    pub fn new(scopes: BTreeMap<String, Scope>, keys: Keys, redactor: Redactor) -> Self {
        Self { scopes, keys, redactor, state: Mutex::default() }
    }

    /// The scopes.
    pub fn scopes(&self) -> &BTreeMap<String, Scope> {
        &self.scopes
    }

    /// The secret called `scope/name`.
    ///
    /// # Errors
    /// Why it is not given out.
    pub fn secret(&self, name: &str) -> Result<Secret, NoSecret> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = state.secrets.get(name) {
            return known.clone();
        }
        let secret = self.find(name).and_then(|(scope, sealed)| {
            let mut opened = self.open(&mut state, scope, sealed, name)?;
            let key = self.digest_key(&mut state, scope)?;
            Ok(Secret::new(name, std::mem::take(&mut *opened.value)).keyed(key))
        });
        if let Ok(secret) = &secret {
            self.redactor.learn(secret);
        }
        state.secrets.insert(name.to_owned(), secret.clone());
        secret
    }

    /// A file that is encrypted as a whole, by its path in the project.
    ///
    /// # Errors
    /// Why it is not given out.
    pub fn file(&self, path: &str, ciphertext: &[u8]) -> Result<SecretFile, NoSecret> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = state.files.get(path) {
            return known.clone();
        }
        let file = self.find_file(path).and_then(|(scope, listed)| {
            let bytes = self.open_file(&mut state, scope, listed, path, ciphertext)?;
            let key = self.digest_key(&mut state, scope)?;
            let text = std::str::from_utf8(&bytes).unwrap_or_default().to_owned();
            Ok(SecretFile { bytes: bytes.as_slice().into(), secret: Secret::new(path, text).keyed(key) })
        });
        state.files.insert(path.to_owned(), file.clone());
        file
    }

    /// Opens a file of a scope, again at each call.
    ///
    /// # Errors
    /// Why it stays closed.
    pub fn reopen_file(&self, path: &str, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoSecret> {
        let (scope, listed) = self.find_file(path)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.open_file(&mut state, scope, listed, path, ciphertext)
    }

    /// The scope that a file belongs to.
    ///
    /// # Errors
    /// None lists it; what to do is said.
    pub fn find_file(&self, path: &str) -> Result<(&Scope, &Listed), NoSecret> {
        let mut listed = self.scopes.values().filter_map(|scope| Some((scope, scope.files.get(path)?)));
        listed.next().ok_or_else(|| {
            let found = Diagnostic::placeless(format!("{path} belongs to no scope of secrets"));
            let hint = format!(
                "`snowmelt secret add {path} --file FILE` encrypts FILE there; what is to reach hosts \
                                encrypted needs a name that does not end in {ENCRYPTED}"
            );
            NoSecret::Wrong(Box::new(found.hint(hint)))
        })
    }

    fn open_file(
        &self,
        state: &mut State,
        scope: &Scope,
        listed: &Listed,
        path: &str,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, NoSecret> {
        let wrong = |why: &str| {
            let place = Span::start_of(&Source::new(path, ""));
            let found = Diagnostic::error(&place, format!("this cannot be decrypted: {why}"));
            let again = format!("`snowmelt secret add {path} --replace --file FILE` encrypts it anew");
            NoSecret::Wrong(Box::new(found.related(&listed.span, "it belongs to this scope").hint(match why {
                seal::DAMAGED => format!("take it from an earlier commit; or {again}"),
                _ => again,
            })))
        };
        let attempt = |identities: &[Identity]| match seal::open_file(ciphertext, identities) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Closed::NoKey) => Ok(None),
            Err(Closed::Broken(why)) => Err(wrong(&why)),
        };
        let bytes = self.open_with(state, scope, path, attempt).map_err(|why| match why {
            // Who added a recipient by hand looks for the mistake at their own key.
            NoSecret::NoKey(why) if listed.stamp != seal::stamp(ciphertext, &scope.keys()) => {
                NoSecret::NoKey(format!("{why}; `snowmelt secret rekey {}` is due", scope.name))
            }
            other => other,
        })?;
        if bytes.len() > LARGEST_FILE {
            return Err(wrong(&format!("it holds more than {} KiB", LARGEST_FILE >> 10)));
        }
        self.redactor.learn_bytes(&bytes);
        Ok(bytes)
    }

    /// Opens one text of a scope, again at each call; `name` is what it was encrypted as.
    ///
    /// # Errors
    /// Why it stays closed.
    pub fn reopen(&self, scope: &Scope, sealed: &Sealed, name: &str) -> Result<Opened, NoSecret> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = self.open(&mut state, scope, sealed, name)?;
        self.redactor.learn(&Secret::new(name, opened.value.to_string()));
        Ok(opened)
    }

    /// Where a secret stands.
    ///
    /// # Errors
    /// There is no such scope or name; the nearest is named.
    pub fn find(&self, name: &str) -> Result<(&Scope, &Sealed), NoSecret> {
        let wrong =
            |message: String, hint: String| NoSecret::Wrong(Box::new(Diagnostic::placeless(message).hint(hint)));
        let (scope_name, own) = name.split_once('/').unwrap_or((name, ""));
        let Some(scope) = self.scopes.get(scope_name) else {
            let hint = nearest::hint(scope_name, self.scopes.keys().map(String::as_str))
                .unwrap_or_else(|| format!("`snowmelt secret init {scope_name}` begins {FOLDER}/{scope_name}.yml"));
            return Err(wrong(format!("unknown scope of secrets `{scope_name}`"), hint));
        };
        match scope.secrets.get(own) {
            Some(sealed) => Ok((scope, sealed)),
            None => {
                let hint = nearest::hint(own, scope.secrets.keys().map(String::as_str))
                    .unwrap_or_else(|| format!("`snowmelt secret add {name}` adds it"));
                Err(wrong(format!("there is no secret `{own}` in {}", path(scope_name)), hint))
            }
        }
    }

    /// The public halves of this machine's keys, as far as they are told without a passphrase.
    ///
    /// # Errors
    /// The keys are not in order.
    pub fn own_recipients(&self) -> Result<Vec<Recipient>, NoSecret> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.identities(&mut state)?.iter().filter_map(Identity::recipient).collect())
    }

    fn digest_key(&self, state: &mut State, scope: &Scope) -> Result<DigestKey, NoSecret> {
        if let Some(known) = state.digest_keys.get(&scope.name) {
            return known.clone();
        }
        let missing = || {
            let found = Diagnostic::error(&Span::start_of(&scope.source), "the `digest_key` is missing");
            NoSecret::Wrong(Box::new(found.hint(format!("`snowmelt secret rekey {}` makes one", scope.name))))
        };
        let key = scope.digest_key.as_ref().ok_or_else(missing).and_then(|sealed| {
            let opened = self.open(state, scope, sealed, &scope.name)?;
            seal::digest_key(&opened.value).ok_or_else(|| broken(scope, sealed, "it is no key for digests"))
        });
        state.digest_keys.insert(scope.name.clone(), key.clone());
        key
    }

    fn open(&self, state: &mut State, scope: &Scope, sealed: &Sealed, name: &str) -> Result<Opened, NoSecret> {
        let recipients = scope.keys();
        let attempt = |identities: &[Identity]| match seal::open(name, &sealed.armored, identities, &recipients) {
            Ok(opened) => Ok(Some(opened)),
            Err(Closed::NoKey) => Ok(None),
            Err(Closed::Broken(why)) => Err(broken(scope, sealed, &why)),
        };
        self.open_with(state, scope, name, attempt)
    }

    /// Tries the keys that need no passphrase, then those that do.
    fn open_with<T>(
        &self,
        state: &mut State,
        scope: &Scope,
        name: &str,
        attempt: impl Fn(&[Identity]) -> Result<Option<T>, NoSecret>,
    ) -> Result<T, NoSecret> {
        let identities = self.identities(state)?;
        let recipients = scope.keys();
        if let Some(opened) = attempt(&identities)? {
            return Ok(opened);
        }
        for identity in &identities {
            let Identity::Locked(locked) = identity else { continue };
            if !recipients.iter().any(|recipient| recipient.text() == locked.public) {
                continue;
            }
            let unlock = |passphrase: &str| locked.unlock(passphrase);
            if let Some(identity) = self.unlock(state, &locked.name, unlock)
                && let Some(opened) = attempt(&[identity])?
            {
                return Ok(opened);
            }
        }
        if let Some(own) = &scope.identity {
            let unlock = |passphrase: &str| seal::open_identity(&own.armored, passphrase).ok();
            if let Some(identity) = self.unlock(state, &path(&scope.name), unlock)
                && let Some(opened) = attempt(&[identity])?
            {
                return Ok(opened);
            }
        }
        let notes = if state.notes.is_empty() { String::new() } else { format!(" ({})", state.notes.join("; ")) };
        Err(NoSecret::NoKey(format!("no key for {name}{notes}")))
    }

    fn identities(&self, state: &mut State) -> Result<Vec<Identity>, NoSecret> {
        if state.identities.is_none() {
            state.identities = Some((self.keys.load)().map(|(identities, notes)| {
                state.notes = notes;
                identities
            }));
        }
        match &state.identities {
            Some(Ok(identities)) => Ok(identities.clone()),
            Some(Err(wrong)) => Err(NoSecret::Wrong(Box::new(wrong.clone()))),
            None => Ok(Vec::new()),
        }
    }

    /// Unlocks something, asking for its passphrase once per run.
    fn unlock(&self, state: &mut State, what: &str, unlock: impl Fn(&str) -> Option<Identity>) -> Option<Identity> {
        if let Some(known) = state.unlocked.get(what) {
            return known.clone();
        }
        let (identity, note) = match self.keys.ask.as_ref().map(|ask| ask(&format!("passphrase of {what}"))) {
            None => (None, Some(format!("{what} is under a passphrase, and nobody can be asked for it"))),
            Some(None) => (None, Some(format!("no passphrase was given for {what}"))),
            Some(Some(passphrase)) => match unlock(&passphrase) {
                Some(identity) => (Some(identity), None),
                None => (None, Some(format!("the passphrase does not unlock {what}"))),
            },
        };
        state.notes.extend(note);
        state.unlocked.insert(what.to_owned(), identity.clone());
        identity
    }
}

fn broken(scope: &Scope, sealed: &Sealed, why: &str) -> NoSecret {
    let found = Diagnostic::error(&sealed.span, format!("this cannot be decrypted: {why}"));
    let hint = format!("take {} from an earlier commit, or write the value anew", path(&scope.name));
    NoSecret::Wrong(Box::new(found.hint(hint)))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::super::testing::with_files;
    use super::super::edit::{self, Place};
    use super::*;

    /// A file of secrets with a digest key and these values.
    fn file(scope: &str, recipients: &[Recipient], values: &[(&str, &str)]) -> String {
        let all: Vec<&Recipient> = recipients.iter().collect();
        let texts: Vec<String> = recipients.iter().map(|recipient| recipient.text().to_owned()).collect();
        let key = seal::seal(scope, &seal::new_digest_key().unwrap(), &all).unwrap();
        let mut text = edit::put(&edit::begin(scope, &texts), Place::Top("digest_key"), &key).unwrap();
        for (name, value) in values {
            let sealed = seal::seal(&format!("{scope}/{name}"), value, &all).unwrap();
            text = edit::put(&text, Place::Secret(name), &sealed).unwrap();
        }
        text
    }

    fn vault(files: &[(&str, &str)], identities: Vec<Identity>, ask: Option<Box<Ask>>) -> Vault {
        let (project, found) = with_files(files, &[]);
        assert_eq!(found, "");
        let load = Box::new(move || Ok((identities.clone(), Vec::new())));
        Vault::new(project.unwrap().secrets, Keys { load, ask }, Redactor::default())
    }

    fn key() -> (Identity, Recipient) {
        let key = Identity::generate();
        let recipient = key.recipient().unwrap();
        (key, recipient)
    }

    fn told(answer: Result<Secret, NoSecret>) -> String {
        match answer {
            Ok(secret) => secret.expose().to_owned(),
            Err(NoSecret::NoKey(why)) => why,
            Err(NoSecret::Wrong(wrong)) => {
                let place = wrong.span.as_ref().map(|span| format!(" @ {span}")).unwrap_or_default();
                format!("{}{place} = {}", wrong.message, wrong.hint.clone().unwrap_or_default())
            }
        }
    }

    /// A pair of keys made by ssh-keygen.
    fn ssh(kind: &str, passphrase: &str) -> (String, Recipient) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", kind, "-a", "1", "-C", "ada@there", "-N", passphrase, "-f"]).arg(&path);
        assert!(command.status().unwrap().success());
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        (std::fs::read_to_string(&path).unwrap(), Recipient::parse(&public).unwrap())
    }

    #[test]
    fn what_was_encrypted_for_a_key_comes_back_and_is_redacted() {
        let (ada, for_ada) = key();
        let (text, for_bob) = ssh("ed25519", "");
        let bob = Identity::parse(&text, "bob").unwrap();
        let (text, for_eve) = ssh("rsa", "");
        let eve = Identity::parse(&text, "eve").unwrap();
        let value = "first line ☃\nsecond line\n";
        let shop = file("shop", &[for_ada, for_bob, for_eve], &[("db", value)]);
        for keys in [vec![ada], bob, eve] {
            let vault = vault(&[("secrets/shop.yml", &shop)], keys, None);
            let secret = vault.secret("shop/db").unwrap();
            assert_eq!((secret.name(), secret.expose(), secret.key().is_some()), ("shop/db", value, true));
            assert_eq!(vault.redactor.redact("x: second line"), "x: ***");
        }
        let stranger = vault(&[("secrets/shop.yml", &shop)], vec![key().0], None);
        assert_eq!(told(stranger.secret("shop/db")), "no key for shop/db");
    }

    #[test]
    fn a_locked_key_is_asked_for_once_and_only_where_it_can_help() {
        let (text, recipient) = ssh("ed25519", "opensesame");
        let locked = Identity::parse(&text, "/home/ada/.ssh/id_ed25519").unwrap();
        let mine = file("mine", &[recipient], &[("a", "value a"), ("b", "value b")]);
        let others = file("others", &[key().1], &[("c", "value c")]);
        let files = [("secrets/mine.yml", mine.as_str()), ("secrets/others.yml", others.as_str())];
        for (passphrase, expected) in [
            (Some("opensesame"), "value a"),
            (Some("wrong"), "no key for mine/a (the passphrase does not unlock /home/ada/.ssh/id_ed25519)"),
            (None, "no key for mine/a (no passphrase was given for /home/ada/.ssh/id_ed25519)"),
        ] {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            let ask: Box<Ask> = Box::new(move |what| {
                count.fetch_add(1, Ordering::Relaxed);
                assert_eq!(what, "passphrase of /home/ada/.ssh/id_ed25519");
                passphrase.map(|text| Zeroizing::new(text.to_owned()))
            });
            let vault = vault(&files, locked.clone(), Some(ask));
            assert_eq!(told(vault.secret("others/c")), "no key for others/c");
            assert_eq!(asked.load(Ordering::Relaxed), 0);
            assert_eq!(told(vault.secret("mine/a")), expected);
            let _ = vault.secret("mine/b");
            assert_eq!(asked.load(Ordering::Relaxed), 1);
        }
        let alone = vault(&files, locked, None);
        assert!(told(alone.secret("mine/a")).contains("nobody can be asked"));
    }

    #[test]
    fn a_scope_can_have_a_key_under_a_passphrase() {
        let (own, recipient) = key();
        let text = file("shop", &[recipient], &[("db", "value of db")]);
        let sealed = seal::seal_identity(&own, "opensesame").unwrap();
        let text = edit::put(&text, Place::Top("identity"), &sealed).unwrap();
        let ask = |passphrase: &'static str| -> Option<Box<Ask>> {
            Some(Box::new(move |_| Some(Zeroizing::new(passphrase.to_owned()))))
        };
        let files = [("secrets/shop.yml", text.as_str())];
        assert_eq!(told(vault(&files, Vec::new(), ask("opensesame")).secret("shop/db")), "value of db");
        let wrong = "no key for shop/db (the passphrase does not unlock secrets/shop.yml)";
        assert_eq!(told(vault(&files, Vec::new(), ask("wrong")).secret("shop/db")), wrong);
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_said_with_its_place() {
        let (ada, recipient) = key();
        let text = file("shop", &[recipient], &[("db", "value of db"), ("api", "value of api")]);
        let hint = "take secrets/shop.yml from an earlier commit, or write the value anew";
        let block = |name: &str| {
            let at = text.find(&format!("  {name}: |\n")).unwrap() + name.len() + 6;
            text[at..].split_inclusive("-----END AGE ENCRYPTED FILE-----\n").next().unwrap().to_owned()
        };
        let (db, api) = (block("db"), block("api"));
        let line = text[..text.find("  db: |").unwrap()].lines().count() + 1;
        let middle = api.lines().nth(2).unwrap().trim();
        let flipped = api.replace(middle, &middle.chars().rev().collect::<String>());
        let cut: String = api.split_inclusive('\n').filter(|line| !line.contains(middle)).collect();
        for (replacement, why) in [
            (api.clone(), "it is the value of `shop/api`, copied here".to_owned()),
            (cut, "it is cut short or damaged".to_owned()),
            (flipped, "it is cut short or damaged".to_owned()),
            ("    -----BEGIN AGE ENCRYPTED FILE-----\n".to_owned(), "it is cut short or damaged".to_owned()),
        ] {
            let text = text.replace(&db, &replacement);
            let vault = vault(&[("secrets/shop.yml", &text)], vec![ada.clone()], None);
            let expected = format!("this cannot be decrypted: {why} @ secrets/shop.yml:{line}:3 = {hint}");
            assert_eq!(told(vault.secret("shop/db")), expected);
        }
        let vault = vault(&[("secrets/shop.yml", &text)], vec![ada], None);
        for (name, said) in [
            ("shop/bd", "there is no secret `bd` in secrets/shop.yml = did you mean `db`?"),
            ("shpo/db", "unknown scope of secrets `shpo` = did you mean `shop`?"),
            ("shop/session", "there is no secret `session` in secrets/shop.yml = known: api, db"),
        ] {
            assert_eq!(told(vault.secret(name)), said);
        }
    }

    #[test]
    fn a_change_of_the_recipients_is_noticed() {
        let (ada, for_ada) = key();
        let text = file("shop", &[for_ada], &[("db", "value of db")]);
        for (extra, is_current) in [(None, true), (Some(key().1), false)] {
            let extra = extra.map(|recipient| format!("  - {}\n", recipient.text())).unwrap_or_default();
            let text = text.replace("digest_key:", &format!("{extra}digest_key:"));
            let vault = vault(&[("secrets/shop.yml", &text)], vec![ada.clone()], None);
            let (scope, sealed) = vault.find("shop/db").unwrap();
            assert_eq!(vault.reopen(scope, sealed, "shop/db").unwrap().is_current, is_current);
        }
    }
}
