//! `snowmelt secret`: begin, fill, change and check the files of secrets.
//!
//! A value comes from standard input, a prompt or an editor, never from an argument: arguments are seen by every user of the
//! machine and kept by shells.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::args::{Global, Set};
use super::failure::Failure;
use super::output::{self, Screen};
use super::project::Loaded;
use super::{End, editor, keys, project, secret_file};
use crate::base::clean;
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::redact;
use crate::base::span::{Source, Span};
use crate::catalog::secrets::edit::{self, Place};
use crate::catalog::secrets::uses::{self, Use};
use crate::catalog::secrets::{self, Identity, NoSecret, Recipient, Scope, Vault, seal, vault};
use crate::resource::result::exit;

const EXAMPLES: &str = "\
Examples:
  snowmelt secret key                              make a key for this machine
  snowmelt secret init shop                        begin secrets/shop.yml, for that key
  snowmelt secret add shop/db                      add a value, asking for it
  openssl rand -hex 32 | snowmelt secret add shop/session
  snowmelt secret add roles/web/files/tls.key.age --file tls.key
                                                   encrypt a file as a whole
  snowmelt secret rekey shop                       after a change of its recipients
  snowmelt secret check";

/// Keep secrets in the project, encrypted: init, add, edit, rekey, check, uses, key
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a private key for this machine, and print its public half
    Key,
    /// Begin secrets/SCOPE.yml, for these recipients or for the keys of this machine
    Init {
        /// The scope: who may read it, is said for it as a whole
        scope: String,
        /// Who may read it: age1…, or the line of an SSH public key (repeatable)
        #[arg(long, value_name = "KEY")]
        recipient: Vec<String>,
        /// Let a passphrase open it as well
        #[arg(long)]
        passphrase: bool,
    },
    /// Add a value, or a file that is encrypted as a whole, from standard input, a file or asked for
    Add {
        /// SCOPE/NAME of a value, or the path of an encrypted file: roles/ROLE/files/NAME.age
        secret: String,
        /// Take it from this file
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The scope for whose recipients a file is encrypted, where there are several
        #[arg(long)]
        scope: Option<String>,
        /// Replace what is there
        #[arg(long)]
        replace: bool,
    },
    /// Change a value or an encrypted file in $EDITOR, in memory only
    Edit {
        /// SCOPE/NAME, or the path of an encrypted file
        secret: String,
    },
    /// Encrypt a scope anew for its present recipients, its files, too
    Rekey {
        /// The scope
        scope: String,
    },
    /// Check that every reference resolves, everything can be decrypted, and nothing is left over
    Check,
    /// Tell where secrets are used
    Uses {
        /// SCOPE/NAME, or the path of an encrypted file; without it, all
        secret: Option<String>,
    },
}

/// Does what was asked for; no host is contacted.
pub(super) fn run(args: &Args, global: &Global, screen: &Screen) -> End {
    if let What::Key = args.what {
        return make_key(screen);
    }
    let loaded = project::load(global, &Set::default(), screen)?;
    let vault = keys::vault(&loaded.project, &global.identity, screen);
    match &args.what {
        What::Key => Ok(exit::FINE),
        What::Init { scope, recipient, passphrase } => init(&loaded, &vault, scope, recipient, *passphrase, screen),
        What::Add { secret, file, scope, replace } => {
            let given = Given { file: file.as_deref(), scope: scope.as_deref(), replace: *replace };
            match secret_file::path_of(&loaded, secret) {
                Some(path) => secret_file::add(&loaded, &vault, &path, &given, screen),
                None => add(&loaded, &vault, secret, &given, screen),
            }
        }
        What::Edit { secret } => match secret_file::path_of(&loaded, secret) {
            Some(path) => secret_file::change(&loaded, &vault, &path, screen),
            None => change(&loaded, &vault, secret, screen),
        },
        What::Rekey { scope } => rekey(&loaded, &vault, scope, screen),
        What::Check => check(&loaded, &vault, screen),
        What::Uses { secret } => {
            let secret =
                secret.as_ref().map(|name| secret_file::path_of(&loaded, name).unwrap_or_else(|| name.clone()));
            tell_uses(&loaded, &vault, secret.as_deref(), screen)
        }
    }
}

fn make_key(screen: &Screen) -> End {
    let path = keys::default_file().ok_or_else(|| Failure::new("there is no home folder to keep a key in", ""))?;
    let shown = path.display().to_string();
    let identity = Identity::generate();
    let (Some(text), Some(public)) = (identity.to_text(), identity.recipient()) else {
        return Err(Failure::new("no key could be made", ""));
    };
    keys::write_new(&path, &Zeroizing::new(format!("# public key: {}\n{}\n", public.text(), *text))).map_err(
        |error| {
            let hint = match error.kind() {
                std::io::ErrorKind::AlreadyExists => "it holds a key already; its first line says the public half",
                _ => "",
            };
            Failure::new(format!("cannot write {shown}: {error}"), hint)
        },
    )?;
    screen.print_error(&format!("{shown} holds the private key: keep a copy in a safe place. Its public half:\n"));
    screen.print(&format!("{}\n", public.text()));
    Ok(exit::FINE)
}

fn init(loaded: &Loaded, vault: &Vault, scope: &str, given: &[String], passphrase: bool, screen: &Screen) -> End {
    check_name(scope)?;
    let path = file(loaded, scope);
    if path.exists() {
        return Err(Failure::new(format!("{} exists already", secrets::path(scope)), "add recipients to it by hand"));
    }
    let mut recipients = Vec::new();
    for text in given {
        Recipient::parse(text).map_err(|why| Failure::new(why, "give age1…, ssh-ed25519 … or ssh-rsa …"))?;
        // With its comment: it says whose key it is.
        recipients.push(text.trim().to_owned());
    }
    if given.is_empty() && !passphrase {
        recipients = vault.own_recipients().map_err(failure)?.iter().map(|own| own.text().to_owned()).collect();
    }
    let own = passphrase.then(Identity::generate);
    recipients.extend(own.as_ref().and_then(Identity::recipient).map(|own| own.text().to_owned()));
    if recipients.is_empty() {
        let hint = "`snowmelt secret key` makes a key for this machine; or give --recipient or --passphrase";
        return Err(Failure::new("nobody could read these secrets", hint));
    }
    let parsed: Vec<Recipient> = recipients.iter().filter_map(|text| Recipient::parse(text).ok()).collect();
    let key = seal::new_digest_key().map_err(plain)?;
    let sealed = seal::seal(scope, &key, &parsed.iter().collect::<Vec<_>>()).map_err(plain)?;
    let mut text = edit::begin(scope, &recipients);
    text = edit::put(&text, Place::Top("digest_key"), &sealed).map_err(plain)?;
    if let Some(own) = own {
        let passphrase = ask_twice(&format!("passphrase for {}", secrets::path(scope)), screen)?;
        let sealed = seal::seal_identity(&own, &passphrase).map_err(plain)?;
        text = edit::put(&text, Place::Top("identity"), &sealed).map_err(plain)?;
    }
    write(&path, &text)?;
    let count = recipients.len();
    screen.print(&format!("{}: for {count} {}\n", secrets::path(scope), plural(count, "recipient")));
    Ok(exit::FINE)
}

/// How something is added.
pub(super) struct Given<'a> {
    pub(super) file: Option<&'a Path>,
    pub(super) scope: Option<&'a str>,
    pub(super) replace: bool,
}

fn add(loaded: &Loaded, vault: &Vault, name: &str, given: &Given<'_>, screen: &Screen) -> End {
    let (scope, own) = scope_of(vault, name)?;
    check_name(own)?;
    if given.scope.is_some_and(|named| named != scope.name) {
        return Err(Failure::new(format!("{name} is in the scope {}", scope.name), "--scope is for files"));
    }
    if scope.secrets.contains_key(own) && !given.replace {
        let hint = "`snowmelt secret edit` changes it, --replace replaces it";
        return Err(Failure::new(format!("{name} exists already"), hint));
    }
    let value = match given.file {
        None if screen.can_ask => ask_twice(&format!("value of {name}"), screen)?,
        file => text(&bytes_of(file)?)?,
    };
    let value = accepted(&value)?;
    put(loaded, scope, own, value)?;
    if is_word(value) {
        screen.print_error(&format!(
            "{name} is a plain word: soon guessed, and wherever the word stands in a report there will be {}\n",
            redact::MASK
        ));
    }
    screen.print(&format!("{name}: in {}\n", secrets::path(&scope.name)));
    Ok(exit::FINE)
}

fn change(loaded: &Loaded, vault: &Vault, name: &str, screen: &Screen) -> End {
    let (scope, sealed) = vault.find(name).map_err(failure)?;
    let opened = vault.reopen(scope, sealed, name).map_err(failure)?;
    let (_, own) = scope_of(vault, name)?;
    let edited = editor::edit(own, &opened.value)?;
    // Editors end a file with a line end, whether or not the value has one.
    let value = if opened.value.ends_with('\n') { &edited[..] } else { accepted(&edited)? };
    if value == opened.value.as_str() {
        screen.print(&format!("{name}: unchanged\n"));
        return Ok(exit::FINE);
    }
    put(loaded, scope, own, accepted(value).map(|_| value)?)?;
    screen.print(&format!("{name}: changed\n"));
    Ok(exit::FINE)
}

fn rekey(loaded: &Loaded, vault: &Vault, name: &str, screen: &Screen) -> End {
    let Some(scope) = vault.scopes().get(name) else {
        return Err(failure(vault.find(&format!("{name}/")).err().unwrap_or(NoSecret::NoKey(String::new()))));
    };
    let path = file(loaded, name);
    let recipients = scope.keys();
    let mut text = scope.source.text.clone();
    for (own, sealed) in &scope.secrets {
        let full = format!("{name}/{own}");
        let opened = vault.reopen(scope, sealed, &full).map_err(failure)?;
        let sealed = seal::seal(&full, &opened.value, &recipients).map_err(plain)?;
        text = edit::put(&text, Place::Secret(own), &sealed).map_err(plain)?;
    }
    let key = match &scope.digest_key {
        Some(sealed) => vault.reopen(scope, sealed, name).map_err(failure)?.value,
        None => seal::new_digest_key().map_err(plain)?,
    };
    let sealed = seal::seal(name, &key, &recipients).map_err(plain)?;
    text = edit::put(&text, Place::Top("digest_key"), &sealed).map_err(plain)?;
    // All is encrypted before anything is written; should the writing end half way, the next rekey goes through with it.
    let files = secret_file::sealed_anew(loaded, vault, scope)?;
    for (own, sealed) in &files {
        text = edit::put(&text, Place::File(own), &seal::stamp(sealed.as_bytes(), &recipients)).map_err(plain)?;
    }
    for (own, sealed) in &files {
        write(&loaded.root.join(own), sealed)?;
    }
    write(&path, &text)?;
    let (values, count) = (scope.secrets.len(), recipients.len());
    let told = match files.len() {
        0 => String::new(),
        files => format!(" and {files} {}", plural(files, "file")),
    };
    screen.print(&format!(
        "{}: {values} {}{told} for {count} {}\n",
        secrets::path(name),
        plural(values, "value"),
        plural(count, "recipient")
    ));
    screen.print_error("who could read them before has seen them: change the values, too, if somebody was removed\n");
    Ok(exit::FINE)
}

/// What was found, with the code it calls for.
pub(super) type Finding = (u8, String);

fn check(loaded: &Loaded, vault: &Vault, screen: &Screen) -> End {
    let all = uses::uses(&loaded.project);
    let mut findings: Vec<Finding> = Vec::new();
    for one in &all {
        if let Err(NoSecret::Wrong(wrong)) = vault.find(&one.secret) {
            let wrong = Diagnostic { span: Some(one.span.clone()), ..*wrong };
            findings.push((exit::WRONG, wrong.render()));
        }
    }
    let mut count = 0;
    for scope in vault.scopes().values() {
        for (own, sealed) in &scope.secrets {
            count += 1;
            let name = format!("{}/{own}", scope.name);
            findings.extend(check_value(vault, scope, sealed, &name));
            if !all.iter().any(|one| one.secret == name) {
                let hint = "remove it, or give it to a parameter: {secret: …}";
                let unused = Diagnostic::error(&sealed.span, format!("{name} is used by no host")).hint(hint);
                findings.push((exit::WRONG, unused.render()));
            }
        }
        if let Some(sealed) = &scope.digest_key {
            findings.extend(check_value(vault, scope, sealed, &scope.name));
        }
        count += scope.files.len();
    }
    findings.extend(secret_file::check(loaded, vault));
    // A role given to many hosts is wrong once.
    let mut seen = std::collections::BTreeSet::new();
    findings.retain(|(_, text)| seen.insert(text.clone()));
    for (_, text) in &findings {
        screen.print(text);
    }
    let codes: Vec<u8> = findings.iter().map(|(code, _)| *code).collect();
    let scopes = vault.scopes().len();
    screen.print(&format!(
        "{count} {} in {scopes} {}, {} {}\n",
        plural(count, "secret"),
        plural(scopes, "scope"),
        findings.len(),
        plural(findings.len(), "finding")
    ));
    Ok(match () {
        () if codes.contains(&exit::WRONG) => exit::WRONG,
        () if codes.contains(&exit::UNKNOWN) || count == 0 => exit::UNKNOWN,
        () => exit::FINE,
    })
}

fn check_value(vault: &Vault, scope: &Scope, sealed: &secrets::Sealed, name: &str) -> Option<Finding> {
    match vault.reopen(scope, sealed, name) {
        Ok(opened) if !opened.is_current => {
            let found = Diagnostic::error(&sealed.span, format!("{name} was not encrypted for the present recipients"));
            Some((exit::WRONG, found.hint(format!("snowmelt secret rekey {}", scope.name)).render()))
        }
        Ok(opened) => accepted(&opened.value).err().map(|wrong| (exit::WRONG, format!("{name}: {}", wrong.text()))),
        Err(NoSecret::NoKey(why)) => Some((exit::UNKNOWN, format!("unknown: {why}\n"))),
        Err(NoSecret::Wrong(wrong)) => Some((exit::WRONG, wrong.render())),
    }
}

fn tell_uses(loaded: &Loaded, vault: &Vault, only: Option<&str>, screen: &Screen) -> End {
    match only {
        Some(path) if secrets::role_file(path).is_some() => drop(vault.find_file(path).map_err(failure)?),
        Some(name) => drop(vault.find(name).map_err(failure)?),
        None => {}
    }
    let mut all = uses::uses(&loaded.project);
    all.extend(secret_file::uses(loaded).0);
    let mut by_name: BTreeMap<String, Vec<&Use>> = BTreeMap::new();
    for scope in vault.scopes().values() {
        by_name.extend(scope.secrets.keys().map(|own| (format!("{}/{own}", scope.name), Vec::new())));
        by_name.extend(scope.files.keys().map(|path| (path.clone(), Vec::new())));
    }
    for one in &all {
        by_name.entry(one.secret.clone()).or_default().push(one);
    }
    for (name, used) in by_name.iter().filter(|(name, _)| only.is_none_or(|only| only == name.as_str())) {
        screen.print(&format!("{name}\n"));
        if used.is_empty() {
            screen.print("  used by no host\n");
        }
        let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for one in used {
            places.entry(&one.parameter).or_default().push(&one.host);
        }
        for (parameter, hosts) in places {
            screen.print(&format!("  {parameter}  on {}\n", hosts.join(", ")));
        }
    }
    Ok(exit::FINE)
}

/// Writes a value into the file of its scope.
fn put(loaded: &Loaded, scope: &Scope, own: &str, value: &str) -> Result<(), Failure> {
    let sealed = seal::seal(&format!("{}/{own}", scope.name), value, &scope.keys()).map_err(plain)?;
    let text = edit::put(&scope.source.text, Place::Secret(own), &sealed)
        .map_err(|why| Failure::new(format!("{}: {why}", secrets::path(&scope.name)), ""))?;
    write(&file(loaded, &scope.name), &text)
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    output::write_file(path, text).map_err(|(path, error)| Failure::new(format!("cannot write {path}: {error}"), ""))
}

pub(super) fn file(loaded: &Loaded, scope: &str) -> PathBuf {
    loaded.root.join(secrets::path(scope))
}

/// A scope and the name in it.
fn scope_of<'a>(vault: &'a Vault, name: &'a str) -> Result<(&'a Scope, &'a str), Failure> {
    let Some((scope, own)) = name.split_once('/').filter(|(scope, own)| !scope.is_empty() && !own.is_empty()) else {
        return Err(Failure::new(format!("`{name}` is no name of a secret"), "it has two parts: scope/name"));
    };
    match vault.scopes().get(scope) {
        Some(found) => Ok((found, own)),
        None => Err(failure(vault.find(name).err().unwrap_or(NoSecret::NoKey(String::new())))),
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    let mut found = Diagnostics::new();
    let nowhere = Span::start_of(&Source::new("", ""));
    if secrets::check_name(name, &nowhere, &mut found) {
        return Ok(());
    }
    let hint = "letters, digits, `_` and `-`, at most 100 of them, the first a letter, a digit or `_`";
    Err(Failure::new(format!("`{name}` cannot be the name of a secret or a scope"), hint))
}

/// A value without the line end that every command and editor puts at its end, if it can be kept as a secret.
fn accepted(text: &str) -> Result<&str, Failure> {
    let value = text.strip_suffix('\n').unwrap_or(text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.contains('\0') {
        return Err(Failure::new("the value holds a NUL", "a secret is text; encode it, for instance with base64"));
    }
    if value.trim().len() < redact::SHORTEST {
        let message = format!("the value is shorter than {} characters", redact::SHORTEST);
        let hint = "so short a text is part of ordinary text too often to be kept out of reports, and soon guessed";
        return Err(Failure::new(message, hint));
    }
    Ok(value)
}

/// Whether a value is what people write in other places as well.
fn is_word(value: &str) -> bool {
    value.len() <= 16 && value.chars().all(char::is_alphabetic) && value.chars().skip(1).all(char::is_lowercase)
}

/// What a file, or standard input, holds.
pub(super) fn bytes_of(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    const LARGEST: usize = vault::LARGEST_FILE;
    // As large as it may get: no copy is left behind by growing.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST + 1));
    let name =
        file.map_or_else(|| "standard input".to_owned(), |path| clean::line(&path.display().to_string()).into_owned());
    let read = match file {
        None => std::io::stdin().lock().take(LARGEST as u64 + 1).read_to_end(&mut bytes),
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(LARGEST as u64 + 1).read_to_end(&mut bytes)),
    };
    match read {
        Ok(read) if read > LARGEST => {
            let hint = "all that is written is searched for it; encrypt just what is secret in it";
            Err(Failure::new(format!("{name} holds more than {} KiB", LARGEST >> 10), hint))
        }
        Ok(0) => Err(Failure::new(format!("{name} is empty"), "give the value there, by --file, or at a terminal")),
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::new(format!("cannot read {name}: {error}"), "")),
    }
}

fn text(bytes: &[u8]) -> Result<Zeroizing<String>, Failure> {
    let hint = format!("a value is text; a file of any kind is encrypted as a whole: {}", secrets::FILE_FORM);
    let text = std::str::from_utf8(bytes).map_err(|_| Failure::new("the value is not UTF-8", hint))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn ask_twice(what: &str, screen: &Screen) -> Result<Zeroizing<String>, Failure> {
    if !screen.can_ask {
        return Err(Failure::new(format!("nobody can be asked for the {what}"), "run this at a terminal"));
    }
    let first = screen.person.ask(what).filter(|text| !text.is_empty());
    let Some(first) = first else { return Err(Failure::new(format!("no {what} was given"), "")) };
    match screen.person.ask(&format!("{what}, once more")) {
        Some(second) if second == first => Ok(first),
        _ => Err(Failure::new("the two are not the same", "nothing was written; try again")),
    }
}

pub(super) fn failure(why: NoSecret) -> Failure {
    match why {
        NoSecret::NoKey(why) => Failure::new(why, "--identity FILE names a key; one of the recipients can add yours"),
        NoSecret::Wrong(wrong) => {
            let mut found = Diagnostics::new();
            found.push(*wrong);
            Failure::from(found)
        }
    }
}

pub(super) fn plain(why: impl AsRef<str>) -> Failure {
    Failure::new(why, "")
}

pub(super) fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_loses_one_line_end_and_must_be_a_secret() {
        assert_eq!(accepted("hunter2\n").ok(), Some("hunter2"));
        assert_eq!(accepted("a longer\nvalue\n\n").ok(), Some("a longer\nvalue\n"));
        assert_eq!(accepted("hunter2\r\n").ok(), Some("hunter2"));
        for bad in ["", "\n", "12345", "12345\n\n", "      ", "hun\0ter2"] {
            assert!(accepted(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_plain_word_is_told_from_what_was_made_by_chance() {
        for word in ["password", "Production", "geheim"] {
            assert!(is_word(word), "{word}");
        }
        for other in ["hunter2", "tok-5f3a", "xKfLqPzT", "correct horse", "kjqzxvwpmnbhytgfr"] {
            assert!(!is_word(other), "{other}");
        }
    }

    #[test]
    fn names_stay_in_their_folder() {
        for bad in ["../x", "a/b", "", ".x", "a b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name("db_password-2").is_ok());
    }
}
