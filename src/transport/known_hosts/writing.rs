//! Changes of a known_hosts file: a key is written down, a host is forgotten. Nobody who reads it meanwhile sees half of a
//! change, and writers wait for each other.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;

use super::{BASE64, Entry, Marker, Place, entry, hmac_sha1};

/// Writes a host's key down at the end of a file, which is created with its folder when it is missing. The file is locked
/// against other writers; a last line without its end gets one first.
///
/// # Errors
/// What kept it from being written.
pub(crate) fn append(file: &Path, name: &str, kind: &str, blob: &[u8], hashed: bool) -> Result<(), String> {
    let name = if hashed { hash(name)? } else { name.to_owned() };
    let line = format!("{name} {kind} {}\n", BASE64.encode(blob));
    write_line(file, &line).map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

/// Removes the lines that name a host, hashed ones too, as `ssh-keygen -R` does: what the file was stays beside it as
/// `.old`, lines about authorities and revoked keys stay where they are. Returns where the lines stood.
///
/// # Errors
/// What kept it from being read or written; the file is as it was then.
pub(crate) fn forget(file: &Path, name: &str) -> Result<Vec<Place>, String> {
    match remove_lines(file, &name.to_ascii_lowercase()) {
        Ok(places) => Ok(places),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(format!("{} cannot be changed: {error}", file.display())),
    }
}

/// Has a host be known by these keys and no others (types and blobs): lines with other keys of it go, missing ones are added at
/// the end. What the file was stays beside it as `.old`.
///
/// # Errors
/// What kept it from being read or written; the file is as it was then.
pub(crate) fn replace(file: &Path, name: &str, keys: &[(String, Vec<u8>)], hashed: bool) -> Result<(), String> {
    let lower = name.to_ascii_lowercase();
    let is_about = |entry: &Entry| entry.marker == Marker::Plain && entry.hosts.contain(&lower);
    let has = |entry: &Entry, blob: &[u8]| entry.key.as_ref().is_some_and(|key| key.blob == blob);
    let goes = |entry: &Entry| is_about(entry) && !keys.iter().any(|(_, blob)| has(entry, blob));
    let more = |kept: &[Entry]| {
        let mut more = String::new();
        for (kind, blob) in keys {
            if !kept.iter().any(|entry| is_about(entry) && has(entry, blob)) {
                let name = if hashed { hash(name).map_err(std::io::Error::other)? } else { name.to_owned() };
                more.push_str(&format!("{name} {kind} {}\n", BASE64.encode(blob)));
            }
        }
        Ok(more)
    };
    rewrite(file, goes, more).map(drop).map_err(|error| format!("{} cannot be changed: {error}", file.display()))
}

fn write_line(file: &Path, line: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut open = locked(file, std::fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600))?;
    let mut text = String::new();
    if open.seek(SeekFrom::End(0))? > 0 {
        open.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        open.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    text.push_str(line);
    // One write, so that a reader never sees half a line of ours.
    open.write_all(text.as_bytes())?;
    open.sync_all()
}

fn remove_lines(file: &Path, name: &str) -> std::io::Result<Vec<Place>> {
    rewrite(file, |entry| entry.marker == Marker::Plain && entry.hosts.contain(name), |_| Ok(String::new()))
}

/// Writes a file without the lines that go, and with more of them at its end, given those that stay. Returns where those stood
/// that went; a file of which nothing goes and to which nothing comes is not touched.
fn rewrite(
    file: &Path,
    goes: impl Fn(&Entry) -> bool,
    more: impl FnOnce(&[Entry]) -> std::io::Result<String>,
) -> std::io::Result<Vec<Place>> {
    // A link is followed, so that what it points to is changed and the link stays.
    let file = std::fs::canonicalize(file)?;
    let mut open = locked(&file, std::fs::OpenOptions::new().read(true).write(true))?;
    let mut bytes = Vec::new();
    open.read_to_end(&mut bytes)?;
    let mut kept = Vec::with_capacity(bytes.len());
    let (mut removed, mut stay) = (Vec::new(), Vec::new());
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let place = Place { file: file.clone(), line: index + 1 };
        match std::str::from_utf8(line).ok().and_then(|line| entry(line.trim_end_matches('\n'), place)) {
            Some(entry) if goes(&entry) => removed.push(entry.place),
            found => {
                stay.extend(found);
                kept.extend_from_slice(line);
            }
        }
    }
    let more = more(&stay)?;
    if removed.is_empty() && more.is_empty() {
        return Ok(removed);
    }
    if !more.is_empty() && !kept.is_empty() && !kept.ends_with(b"\n") {
        kept.push(b'\n');
    }
    kept.extend_from_slice(more.as_bytes());
    let folder = file.parent().unwrap_or(Path::new("/"));
    let mode = std::fs::Permissions::from_mode(open.metadata()?.mode() & 0o7777);
    let old = old_name(&file);
    let mut backup = tempfile::NamedTempFile::new_in(folder)?;
    backup.write_all(&bytes)?;
    backup.as_file().set_permissions(mode.clone())?;
    backup.persist(&old).map_err(|error| error.error)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(&kept)?;
    new.as_file().set_permissions(mode)?;
    new.as_file().sync_all()?;
    new.persist(&file).map_err(|error| error.error)?;
    Ok(removed)
}

fn old_name(file: &Path) -> PathBuf {
    let mut old = file.as_os_str().to_owned();
    old.push(".old");
    PathBuf::from(old)
}

/// Opens a file and waits until nobody else writes to it. Whoever was waited for may have replaced the file: then the new
/// one is opened.
fn locked(file: &Path, how: &std::fs::OpenOptions) -> std::io::Result<File> {
    loop {
        let open = how.open(file)?;
        open.lock()?;
        let ours = open.metadata()?;
        match std::fs::metadata(file) {
            Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => return Ok(open),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

fn hash(name: &str) -> Result<String, String> {
    let mut salt = [0u8; 20];
    getrandom::fill(&mut salt).map_err(|error| format!("no random bytes: {error}"))?;
    Ok(format!("|1|{}|{}", BASE64.encode(salt), BASE64.encode(hmac_sha1(&salt, name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQE=";

    #[test]
    fn a_host_is_forgotten_as_ssh_keygen_does_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        let hashed = hash("[web1]:2222").unwrap();
        let text = format!(
            "# a comment\n[web1]:2222,x {KEY}\nweb1 {KEY}\n{hashed} {KEY}\n@revoked [web1]:2222 {KEY}\n\
             @cert-authority * {KEY}\nnonsense\n\u{e9}\n!x,[web1]:* {KEY} and more"
        );
        std::fs::write(&file, &text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let places = forget(&file, "[WEB1]:2222").unwrap();
        let shown: Vec<usize> = places.iter().map(|place| place.line).collect();
        assert_eq!(shown, [2, 4, 9]);
        let left =
            format!("# a comment\nweb1 {KEY}\n@revoked [web1]:2222 {KEY}\n@cert-authority * {KEY}\nnonsense\n\u{e9}\n");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), left);
        assert_eq!(std::fs::read_to_string(folder.path().join("known_hosts.old")).unwrap(), text);
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");

        assert_eq!(forget(&file, "[web1]:2222").unwrap(), [], "there is nothing any more");
        assert_eq!(
            std::fs::read_to_string(folder.path().join("known_hosts.old")).unwrap(),
            text,
            "and nothing is lost"
        );
        assert_eq!(forget(&folder.path().join("none"), "web1").unwrap(), []);
        assert!(forget(folder.path(), "web1").is_err(), "a folder is no file");
    }

    #[test]
    fn whoever_waited_for_a_writer_writes_to_the_file_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        std::fs::write(&file, format!("a {KEY}\n")).unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = &file;
                scope.spawn(move || append(file, &format!("h{number}"), "ssh-rsa", b"x", false).unwrap());
                scope.spawn(move || forget(file, "a").unwrap());
            }
        });
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.lines().count(), 8, "{text}");
    }
}
