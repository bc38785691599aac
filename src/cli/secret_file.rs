//! `snowmelt secret` for files that are encrypted as a whole: what a scope lists under `files`.
//!
//! The ciphertext is a plain age file beside the role's other files, armored, so that `age -d` opens it as well. Its plaintext
//! comes from a file, standard input or an editor, and is written nowhere.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use super::output::Screen;
use super::project::Loaded;
use super::secret::{Finding, Given, bytes_of, failure, file, plain, plural, write};
use super::{End, editor};
use crate::base::diagnostic::Diagnostic;
use crate::base::nearest;
use crate::base::redact;
use crate::base::span::{Source, Span};
use crate::catalog::Resolver;
use crate::catalog::secrets::edit::{self, Place};
use crate::catalog::secrets::uses::Use;
use crate::catalog::secrets::{self, ENCRYPTED, NoSecret, Scope, Vault, seal};
use crate::resource::result::exit;

/// The path in the project that somebody means who names a file from where they stand; none for what is no encrypted file.
pub(super) fn path_of(loaded: &Loaded, text: &str) -> Option<String> {
    if !text.ends_with(ENCRYPTED) {
        return None;
    }
    if secrets::role_file(text).is_some() {
        return Some(text.to_owned());
    }
    let inside = || {
        let whole = std::env::current_dir().ok()?.join(text);
        let mut path = PathBuf::new();
        for part in whole.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => drop(path.pop()),
                other => path.push(other),
            }
        }
        // The folder may not be there yet; the project is.
        let path = path.strip_prefix(loaded.root.canonicalize().ok()?).ok()?;
        path.to_str().map(str::to_owned)
    };
    Some(inside().unwrap_or_else(|| text.to_owned()))
}

/// Encrypts a file for a scope, and lists it there.
pub(super) fn add(loaded: &Loaded, vault: &Vault, path: &str, given: &Given<'_>, screen: &Screen) -> End {
    let Some((role, _)) = secrets::role_file(path) else {
        let hint = format!("it lies among the files of its role: {}", secrets::FILE_FORM);
        return Err(Failure::new(format!("`{path}` is no encrypted file of a role"), hint));
    };
    let roles = &loaded.project.roles;
    if !roles.contains_key(role) {
        let hint = nearest::hint(role, roles.keys().map(String::as_str)).unwrap_or_default();
        return Err(Failure::new(format!("there is no role `{role}`"), hint));
    }
    let scope = scope(vault, path, given.scope)?;
    let target = loaded.root.join(path);
    if target.exists() && !given.replace {
        let hint = format!(
            "`snowmelt secret edit` changes it, --replace replaces it; one that age encrypted is added to secrets/{}.yml by hand: `files: {{{path}: \"\"}}`",
            scope.name
        );
        return Err(Failure::new(format!("{path} exists already"), hint));
    }
    let bytes = bytes_of(given.file)?;
    if seal::is_ciphertext(&bytes) {
        let hint = "give what is in it: age -d FILE | snowmelt secret add …";
        return Err(Failure::new("this is encrypted already", hint));
    }
    if bytes.trim_ascii().len() < redact::SHORTEST {
        let message = format!("it holds fewer than {} bytes", redact::SHORTEST);
        return Err(Failure::new(
            message,
            "so short a text is part of ordinary text too often to be kept out of reports",
        ));
    }
    put(loaded, scope, path, &bytes)?;
    let count = scope.keys().len();
    screen.print(&format!("{path}: for {count} {} of {}\n", plural(count, "recipient"), scope.name));
    let open = [target.with_extension("")].into_iter().chain(given.file.map(Path::to_owned)).find(|path| {
        let inside = path.canonicalize().ok().zip(loaded.root.canonicalize().ok());
        inside.is_some_and(|(path, root)| path.starts_with(root))
    });
    if let Some(open) = open {
        let shown = open.display();
        screen.print_error(&format!("{shown} is still there, not encrypted: remove it before it is committed\n"));
    }
    Ok(exit::FINE)
}

/// The scope a file is listed in, or is to be.
fn scope<'a>(vault: &'a Vault, path: &str, named: Option<&str>) -> Result<&'a Scope, Failure> {
    let listed = vault.find_file(path).ok().map(|(scope, _)| scope);
    let scopes = vault.scopes();
    match (listed, named) {
        (Some(listed), Some(named)) if listed.name != named => {
            let hint = format!("remove it from {} first", secrets::path(&listed.name));
            Err(Failure::new(format!("{path} belongs to the scope {}", listed.name), hint))
        }
        (Some(listed), _) => Ok(listed),
        (None, Some(named)) => {
            scopes.get(named).ok_or_else(|| failure(vault.find(named).err().unwrap_or(NoSecret::NoKey(String::new()))))
        }
        (None, None) => match scopes.values().collect::<Vec<_>>()[..] {
            [only] => Ok(only),
            [] => Err(Failure::new("there is no scope of secrets", "`snowmelt secret init SCOPE` begins one")),
            _ => {
                let known = scopes.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                Err(Failure::new("for whom is it encrypted?", format!("--scope names one of {known}")))
            }
        },
    }
}

/// Lets a person change a file that is text.
pub(super) fn change(loaded: &Loaded, vault: &Vault, path: &str, screen: &Screen) -> End {
    let (scope, _) = vault.find_file(path).map_err(failure)?;
    let opened = vault.reopen_file(path, ciphertext(loaded, path)?).map_err(failure)?;
    let text = std::str::from_utf8(&opened).map_err(|_| {
        let hint = format!("`snowmelt secret add {path} --replace --file FILE` replaces it");
        Failure::new(format!("{path} is not text"), hint)
    })?;
    let name = Path::new(path).file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let edited = editor::edit(&name, text)?;
    if *edited == *text {
        screen.print(&format!("{path}: unchanged\n"));
        return Ok(exit::FINE);
    }
    put(loaded, scope, path, edited.as_bytes())?;
    screen.print(&format!("{path}: changed\n"));
    Ok(exit::FINE)
}

/// The files of a scope, encrypted for its present recipients.
pub(super) fn sealed_anew(loaded: &Loaded, vault: &Vault, scope: &Scope) -> Result<Vec<(String, String)>, Failure> {
    let recipients = scope.keys();
    let anew = |path: &String| {
        let opened = vault.reopen_file(path, ciphertext(loaded, path)?).map_err(failure)?;
        Ok((path.clone(), seal::seal_file(&opened, &recipients).map_err(plain)?))
    };
    scope.files.keys().map(anew).collect()
}

fn put(loaded: &Loaded, scope: &Scope, path: &str, bytes: &[u8]) -> Result<(), Failure> {
    let recipients = scope.keys();
    let sealed = seal::seal_file(bytes, &recipients).map_err(plain)?;
    let stamp = seal::stamp(sealed.as_bytes(), &recipients);
    let text = edit::put(&scope.source.text, Place::File(path), &stamp)
        .map_err(|why| Failure::new(format!("{}: {why}", secrets::path(&scope.name)), ""))?;
    write(&loaded.root.join(path), &sealed)?;
    write(&file(loaded, &scope.name), &text)
}

/// The bytes of an encrypted file, as they were loaded with the project.
fn ciphertext<'a>(loaded: &'a Loaded, path: &str) -> Result<&'a [u8], Failure> {
    bytes(loaded, path).ok_or_else(|| {
        let hint = "take it from an earlier commit; or remove it from `files` of its scope";
        Failure::new(format!("{path} is not there, or cannot be read"), hint)
    })
}

fn bytes<'a>(loaded: &'a Loaded, path: &str) -> Option<&'a [u8]> {
    let (role, name) = secrets::role_file(path)?;
    loaded.project.roles.get(role)?.files.files.get(name).map(|(bytes, _)| &**bytes)
}

/// What is wrong with encrypted files.
pub(super) fn check(loaded: &Loaded, vault: &Vault) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut wrong = |found: Diagnostic| findings.push((exit::WRONG, found.render()));
    let (uses, is_all) = uses(loaded);
    let mut unknown = Vec::new();
    for scope in vault.scopes().values() {
        for (path, listed) in &scope.files {
            let Some(bytes) = bytes(loaded, path) else {
                let found = Diagnostic::error(&listed.span, format!("{path} is not there, or cannot be read"));
                wrong(found.hint("take it from an earlier commit, or remove this line"));
                continue;
            };
            match vault.reopen_file(path, bytes) {
                Ok(_) if listed.stamp != seal::stamp(bytes, &scope.keys()) => {
                    let message = format!("{path} was not encrypted for the present recipients");
                    let hint = format!("snowmelt secret rekey {}", scope.name);
                    wrong(Diagnostic::error(&listed.span, message).hint(hint));
                }
                Ok(_) => {}
                Err(NoSecret::NoKey(why)) => unknown.push((exit::UNKNOWN, format!("unknown: {why}\n"))),
                Err(NoSecret::Wrong(found)) => wrong(*found),
            }
            if is_all && !uses.iter().any(|one| one.secret == *path) {
                let found = Diagnostic::error(&listed.span, format!("{path} is used by no host"));
                wrong(found.hint("remove it, or write `source:` of a file"));
            }
        }
    }
    for (role, name) in
        loaded.project.roles.iter().flat_map(|(role, all)| all.files.files.keys().map(move |name| (role, name)))
    {
        let path = secrets::file_path(role, name);
        let at = Span::start_of(&Source::new(&path, ""));
        if let (true, Err(NoSecret::Wrong(found))) = (name.ends_with(ENCRYPTED), vault.find_file(&path)) {
            wrong(Diagnostic { span: Some(at), ..*found });
        } else if loaded.project.roles[role].files.files.contains_key(&format!("{name}{ENCRYPTED}")) {
            let found = Diagnostic::error(&at, format!("{path}{ENCRYPTED} lies beside it, and this is not encrypted"));
            wrong(found.hint(
                "remove it; what it holds was seen, and is in the history of the repository if it was committed",
            ));
        }
    }
    findings.extend(unknown);
    findings
}

/// Where encrypted files are used, and whether that is all: what is declared may depend on facts.
pub(super) fn uses(loaded: &Loaded) -> (Vec<Use>, bool) {
    let (mut all, mut is_all) = (Vec::new(), true);
    if loaded.project.secrets.values().all(|scope| scope.files.is_empty()) {
        return (all, is_all);
    }
    // Without a key, what a resource waits for is told by its name.
    let resolver = Resolver::new(Arc::new(loaded.project.clone()));
    let hosts: Vec<usize> = (0..loaded.project.hosts.len()).collect();
    // What a mistake keeps from being declared may use a file as well.
    is_all &= !resolver.check(&hosts).has_errors();
    for (index, host) in loaded.project.hosts.iter().enumerate() {
        is_all &= resolver.foresee(&[index], |resources| {
            for resource in resources {
                let secrets = resource.content().and_then(|content| content.taint()).map(|taint| &taint.secrets[..]);
                for secret in secrets.unwrap_or_default().iter().filter(|one| secrets::role_file(one.name()).is_some())
                {
                    let one = Use {
                        secret: secret.name().to_owned(),
                        parameter: resource.address.to_string(),
                        host: host.name.clone(),
                        span: resource.span.clone(),
                    };
                    if !all.contains(&one) {
                        all.push(one);
                    }
                }
            }
        });
    }
    (all, is_all)
}
