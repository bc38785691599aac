//! The private keys of this machine, with which secrets are decrypted: where they are, and that nobody else can read them.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::output::Screen;
use super::project;
use crate::base::clean;
use crate::base::diagnostic::Diagnostic;
use crate::catalog::model::Project;
use crate::catalog::secrets::vault::Ask;
use crate::catalog::secrets::{Identity, Keys, Vault};

/// No file of keys is larger.
const LARGEST: u64 = 1 << 20;

/// A file that may hold keys.
struct Candidate {
    path: PathBuf,
    /// Whether somebody named it; it must be there and be in order then.
    is_named: bool,
    /// Whether it is ours alone; what ssh keeps may have its reasons.
    is_ours: bool,
}

/// The secrets of a project, with the keys of this machine. Nothing is read before the first secret is asked for.
pub(super) fn vault(project: &Project, named: &[PathBuf], screen: &Screen) -> Vault {
    let candidates = candidates(named);
    let load = Box::new(move || load(&candidates));
    let person = screen.person.clone();
    let ask = screen.can_ask.then(|| -> Box<Ask> { Box::new(move |what| person.ask(what)) });
    Vault::new(project.secrets.clone(), Keys { load, ask }, screen.redactor.clone())
}

/// Where a key for secrets is kept unless told otherwise.
pub(super) fn default_file() -> Option<PathBuf> {
    let configured =
        std::env::var_os("XDG_CONFIG_HOME").filter(|path| Path::new(path).is_absolute()).map(PathBuf::from);
    let folder = configured.or_else(|| project::home().map(|home| home.join(".config")))?;
    Some(folder.join("snowmelt/identity"))
}

/// The files named by arguments, else by the environment, else the usual ones.
fn candidates(named: &[PathBuf]) -> Vec<Candidate> {
    let told = std::env::var_os("SNOWMELT_IDENTITY").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named: Vec<PathBuf> = if named.is_empty() { told.into_iter().collect() } else { named.to_vec() };
    if !named.is_empty() {
        return named.into_iter().map(|path| Candidate { path, is_named: true, is_ours: true }).collect();
    }
    let ours = default_file().map(|path| Candidate { path, is_named: false, is_ours: true });
    let ssh =
        project::home().into_iter().flat_map(|home| ["id_ed25519", "id_rsa"].map(|name| home.join(".ssh").join(name)));
    ours.into_iter().chain(ssh.map(|path| Candidate { path, is_named: false, is_ours: false })).collect()
}

/// Writes a new file of keys, which only its owner can read, and its folder.
///
/// # Errors
/// It cannot be written, or is there already.
pub(super) fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn load(candidates: &[Candidate]) -> Result<(Vec<Identity>, Vec<String>), Diagnostic> {
    let (mut keys, mut notes) = (Vec::new(), Vec::new());
    for candidate in candidates {
        let shown = clean::line(&candidate.path.display().to_string()).into_owned();
        match read(&candidate.path) {
            Ok(text) => match Identity::parse(&text, &shown) {
                Ok(found) => keys.extend(found),
                Err(why) if candidate.is_ours => {
                    return Err(Diagnostic::placeless(format!("{shown} holds no key for secrets: {why}")).hint(
                        "`snowmelt secret key` makes one; SSH keys of type ed25519 and RSA can be used as well",
                    ));
                }
                Err(why) => notes.push(format!("{shown}: {why}")),
            },
            Err(Unread::Missing) if !candidate.is_named => {}
            Err(Unread::Missing) => {
                return Err(Diagnostic::placeless(format!("there is no file {shown} with a key for secrets"))
                    .hint("look at --identity and SNOWMELT_IDENTITY"));
            }
            Err(Unread::Open) if candidate.is_ours => {
                return Err(Diagnostic::placeless(format!("{shown} can be read by others, so its key is not used"))
                    .hint(format!("chmod 600 {}", crate::base::quote::sh(&shown))));
            }
            Err(Unread::Open) => notes.push(format!("{shown} can be read by others and is not used")),
            Err(Unread::Failed(why)) if candidate.is_ours => {
                return Err(Diagnostic::placeless(format!("{shown} cannot be read: {why}")));
            }
            Err(Unread::Failed(why)) => notes.push(format!("{shown} cannot be read: {why}")),
        }
    }
    Ok((keys, notes))
}

enum Unread {
    Missing,
    /// Its group or everybody may read or change it.
    Open,
    Failed(String),
}

fn read(path: &Path) -> Result<Zeroizing<String>, Unread> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Unread::Missing,
        _ => Unread::Failed(error.to_string()),
    };
    let file = File::open(path).map_err(failed)?;
    // Of the file that was opened, whatever its name leads to by now.
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(Unread::Open);
    }
    let mut text = Zeroizing::new(String::with_capacity(8192));
    file.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, mode: u32, text: &str) -> PathBuf {
        let path = folder.join(name);
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_and_others_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let key = Identity::generate().to_text().unwrap();
        let good = file(folder.path(), "good", 0o600, &format!("# ada\n{}\n", *key));
        let open = file(folder.path(), "open", 0o640, &key);
        let none = file(folder.path(), "none", 0o600, "hello\n");
        let all = |files: &[(&PathBuf, bool, bool)]| {
            let candidates: Vec<Candidate> = files
                .iter()
                .map(|(path, is_named, is_ours)| Candidate {
                    path: (*path).clone(),
                    is_named: *is_named,
                    is_ours: *is_ours,
                })
                .collect();
            load(&candidates).map(|(keys, notes)| (keys.len(), notes.len())).map_err(|wrong| wrong.render())
        };
        assert_eq!(all(&[(&good, true, true)]), Ok((1, 0)));
        assert_eq!(all(&[(&good, true, true), (&open, false, false), (&none, false, false)]), Ok((1, 2)));
        assert!(all(&[(&open, true, true)]).unwrap_err().contains("= chmod 600 "));
        assert!(all(&[(&none, true, true)]).unwrap_err().contains("holds no key"));
        let missing = folder.path().join("missing");
        assert_eq!(all(&[(&missing, false, true)]), Ok((0, 0)));
        assert!(all(&[(&missing, true, true)]).unwrap_err().contains("there is no file"));
        assert!(!all(&[(&open, true, true)]).unwrap_err().contains(&key[..]));
    }
}
