//! Lets a person change a secret in their editor, without it ever reaching a disk: in a folder of their own, in memory.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use zeroize::Zeroizing;

use super::failure::Failure;
use crate::base::quote;

/// `statfs` calls tmpfs by this number (`linux/magic.h`).
const TMPFS: rustix::fs::FsWord = 0x0102_1994;

/// The text after it was edited; `name` is what the file is called meanwhile.
pub(super) fn edit(name: &str, text: &str) -> Result<Zeroizing<String>, Failure> {
    let told = |name: &str| std::env::var(name).ok().filter(|editor| !editor.trim().is_empty());
    let editor = told("VISUAL").or_else(|| told("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let cannot = |error: std::io::Error| Failure::new(format!("cannot lay the value out for the editor: {error}"), "");
    let memory = memory().ok_or_else(|| {
        let hint = "mount a tmpfs at /dev/shm; or replace the value: snowmelt secret add --replace";
        Failure::new("there is no folder in memory, and a secret is not written to a disk", hint)
    })?;
    let folder = Folder(
        tempfile::Builder::new()
            .prefix("snowmelt-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(memory)
            .map_err(cannot)?,
    );
    let path = folder.0.path().join(name);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)?;
    drop(file);
    // An editor may come with arguments of its own, so that a shell has to take it apart.
    let run = format!("{editor} {}", quote::sh(&path.to_string_lossy()));
    let ended = Command::new("sh").arg("-c").arg(&run).status().map_err(cannot)?;
    if !ended.success() {
        return Err(Failure::new(format!("the editor `{editor}` ended with {ended}"), "nothing was changed"));
    }
    std::fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| {
        Failure::new(format!("cannot read what was edited: {error}"), "nothing was changed; a secret is UTF-8 text")
    })
}

/// A folder whose files are overwritten before they go, those that the editor left beside it, too.
struct Folder(tempfile::TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.0.path()).into_iter().flatten().flatten() {
            wipe(&entry.path());
        }
    }
}

fn wipe(path: &Path) {
    let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    // A file that cannot be overwritten goes with its folder, and memory forgets.
    if let Ok(mut file) = std::fs::OpenOptions::new().write(true).open(path)
        && let (true, Ok(metadata)) = (is_file, file.metadata())
    {
        let zeros = vec![0; usize::try_from(metadata.len()).unwrap_or(0)];
        let _ = file.write_all(&zeros).and_then(|()| file.sync_all());
    }
}

/// A folder in memory.
fn memory() -> Option<PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()).map(PathBuf::from);
    own.into_iter().chain([PathBuf::from("/dev/shm")]).find(|path| is_in_memory(path))
}

fn is_in_memory(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|system| system.f_type == TMPFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_edited_is_wiped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        std::fs::write(&path, "hunter2").unwrap();
        wipe(&path);
        assert_eq!(std::fs::read(&path).unwrap(), [0; 7]);
        assert!(!is_in_memory(Path::new("/proc")));
    }
}
