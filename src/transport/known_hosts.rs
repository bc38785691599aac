//! The known_hosts format of OpenSSH: which keys a host is known by, which are revoked, which authorities may vouch for it.
//!
//! The format is that of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT", read as OpenSSH reads it: fields are separated by spaces or
//! tabs, a line that cannot be read is skipped, names are compared without regard to case. Two things are stricter here: a
//! file that exists but cannot be read is an error and not "nothing is known", and a `@revoked` line whose key cannot be
//! read refuses the host, because nobody can say which key it meant.
//!
//! Keys are compared as the bytes that go over the wire, so that a key type this program cannot parse is still a key that a
//! host is known by. Nothing here connects or verifies a signature; writing is the business of [`writing`].

mod writing;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};

use crate::base::clean;

pub(crate) use writing::{append, forget, replace};

/// One line that says something about hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    marker: Marker,
    hosts: Hosts,
    /// `None`: it cannot be read, which only a revoked one survives.
    key: Option<Key>,
    /// Where it stands, for messages.
    pub(crate) place: Place,
}

/// A file and a line in it, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    file: PathBuf,
    line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Plain,
    Authority,
    Revoked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// HMAC-SHA1 of the name, keyed by the salt.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// Lower-case patterns, each with whether it is negated.
    Patterns(Vec<(bool, String)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    kind: String,
    blob: Vec<u8>,
}

/// What is known of a name and the key it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is known by this key.
    Known,
    /// Nothing is known about it.
    Unknown,
    /// It is known by other keys only: these.
    Changed(Vec<Place>),
    /// This key is not to be trusted any more.
    Revoked(Place),
    /// There is a revoked line about it that cannot be read.
    Unreadable(Place),
}

/// Lines of one or more files, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownHosts {
    entries: Vec<Entry>,
}

impl KnownHosts {
    /// Adds the lines of a file; a file that does not exist has none.
    ///
    /// # Errors
    /// It exists and cannot be read.
    pub(crate) fn load(&mut self, file: &Path) -> Result<(), String> {
        match std::fs::read(file) {
            Ok(bytes) => {
                self.parse(&bytes, file);
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
        }
    }

    /// Adds a file of keys that are revoked for every host (`RevokedHostKeys`): one public key a line.
    ///
    /// # Errors
    /// It cannot be read, or it is a binary revocation list, which is not understood: nobody can say what it revokes.
    pub(crate) fn load_revoked(&mut self, file: &Path) -> Result<(), String> {
        let bytes = std::fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let text = std::str::from_utf8(&bytes).ok().filter(|_| !bytes.starts_with(b"SSHKRL"));
        let Some(text) = text else {
            return Err(format!(
                "{} is a binary revocation list; only a list of public keys is understood",
                file.display()
            ));
        };
        for (index, line) in text.lines().enumerate() {
            let place = Place { file: file.to_owned(), line: index + 1 };
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                self.entries.extend(entry(&format!("@revoked * {line}"), place));
            }
        }
        Ok(())
    }

    /// Adds lines; those that cannot be read are skipped.
    pub(crate) fn parse(&mut self, bytes: &[u8], file: &Path) {
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let place = Place { file: file.to_owned(), line: index + 1 };
            self.entries.extend(entry(line, place));
        }
    }

    /// Adds those of the lines that say something about `name`.
    pub(crate) fn parse_about(&mut self, bytes: &[u8], file: &Path, name: &str) {
        let before = self.entries.len();
        self.parse(bytes, file);
        let name = name.to_ascii_lowercase();
        let added = self.entries.split_off(before);
        self.entries.extend(added.into_iter().filter(|entry| entry.hosts.contain(&name)));
    }

    /// What is known of `name` (as [`name`] writes it) showing the plain key `blob`.
    pub(crate) fn judge(&self, name: &str, blob: &[u8]) -> Verdict {
        if let Some(verdict) = self.revoked(name, &[blob]) {
            return verdict;
        }
        let mut others = Vec::new();
        for entry in self.about(name, Marker::Plain) {
            match &entry.key {
                Some(key) if key.blob == blob => return Verdict::Known,
                _ => others.push(entry.place.clone()),
            }
        }
        if others.is_empty() { Verdict::Unknown } else { Verdict::Changed(others) }
    }

    /// Whether one of these keys is revoked for `name`.
    pub(crate) fn revoked(&self, name: &str, blobs: &[&[u8]]) -> Option<Verdict> {
        self.about(name, Marker::Revoked).find_map(|entry| match &entry.key {
            None => Some(Verdict::Unreadable(entry.place.clone())),
            Some(key) if blobs.contains(&key.blob.as_slice()) => Some(Verdict::Revoked(entry.place.clone())),
            Some(_) => None,
        })
    }

    /// Whether `authority` may vouch for `name`.
    pub(crate) fn is_authority(&self, name: &str, authority: &[u8]) -> bool {
        self.about(name, Marker::Authority).any(|entry| entry.key.as_ref().is_some_and(|key| key.blob == authority))
    }

    /// Whether any authority may vouch for `name`.
    pub(crate) fn has_authority(&self, name: &str) -> bool {
        self.about(name, Marker::Authority).next().is_some()
    }

    /// The types of the keys that `name` is known by, such as `ssh-ed25519`.
    pub(crate) fn key_types(&self, name: &str) -> Vec<&str> {
        self.about(name, Marker::Plain).filter_map(|entry| entry.key.as_ref()).map(|key| key.kind.as_str()).collect()
    }

    /// Where the keys stand that `name` is known by.
    pub(crate) fn places(&self, name: &str) -> impl Iterator<Item = &Place> {
        self.about(name, Marker::Plain).map(|entry| &entry.place)
    }

    /// The keys that `name` is known by, when it is known by lines of its own; `None` when something else is said of it as well:
    /// a pattern or a list of names, an authority, a revoked key.
    pub(crate) fn simply_known(&self, name: &str) -> Option<Vec<&[u8]>> {
        let name = name.to_ascii_lowercase();
        let about = self.entries.iter().filter(|entry| entry.hosts.contain(&name));
        about
            .map(|entry| {
                let is_one = match &entry.hosts {
                    Hosts::Hashed { .. } => true,
                    Hosts::Patterns(patterns) => patterns.as_slice() == [(false, name.clone())],
                };
                let key = entry.key.as_ref().filter(|_| is_one && entry.marker == Marker::Plain);
                key.map(|key| key.blob.as_slice())
            })
            .collect()
    }

    /// Whether any other name than this is known by one of these keys.
    pub(crate) fn others_have(&self, name: &str, blobs: &[Vec<u8>]) -> bool {
        let name = name.to_ascii_lowercase();
        let others = self.entries.iter().filter(|entry| !entry.hosts.contain(&name));
        others.filter_map(|entry| entry.key.as_ref()).any(|key| blobs.contains(&key.blob))
    }

    fn about(&self, name: &str, marker: Marker) -> impl Iterator<Item = &Entry> {
        let name = name.to_ascii_lowercase();
        self.entries.iter().filter(move |entry| entry.marker == marker && entry.hosts.contain(&name))
    }
}

/// How a host and port are written in the file: the port only when it is not 22.
pub(crate) fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

fn hmac_sha1(salt: &[u8], name: &str) -> Vec<u8> {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<sha1::Sha1>::new_from_slice(salt) else { return Vec::new() };
    mac.update(name.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Reads one line; `None` when it says nothing or cannot be read.
fn entry(line: &str, place: Place) -> Option<Entry> {
    let blank = |c: char| c == ' ' || c == '\t';
    let line = line.trim_matches(|c| blank(c) || c == '\r');
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    let mut field = move || {
        let (field, after) = rest.split_once(blank).unwrap_or((rest, ""));
        rest = after.trim_start_matches(blank);
        field
    };
    let first = field();
    let (marker, hosts) = match first {
        "@cert-authority" => (Marker::Authority, field()),
        "@revoked" => (Marker::Revoked, field()),
        _ if first.starts_with('@') => return None,
        _ => (Marker::Plain, first),
    };
    let hosts = Hosts::read(hosts)?;
    let key = Key::read(field(), field());
    if key.is_none() && marker != Marker::Revoked {
        return None;
    }
    Some(Entry { marker, hosts, key, place })
}

impl Key {
    fn read(kind: &str, base64: &str) -> Option<Self> {
        // A blob names its own type: four bytes of length, then the name.
        let blob = BASE64.decode(base64).ok()?;
        let length = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?) as usize;
        let inner = blob.get(4..4usize.checked_add(length)?)?;
        // A certificate here would stand for nothing: a key or an authority is always a plain key.
        let plain = !kind.contains("-cert-v0") && blob.len() > 4 + length;
        (inner == kind.as_bytes() && plain).then(|| Self { kind: kind.to_owned(), blob })
    }
}

impl Hosts {
    fn read(text: &str) -> Option<Self> {
        if let Some(hashed) = text.strip_prefix("|1|") {
            let (salt, hash) = hashed.split_once('|')?;
            return Some(Self::Hashed { salt: BASE64.decode(salt).ok()?, hash: BASE64.decode(hash).ok()? });
        }
        if text.is_empty() || text.starts_with('|') {
            return None;
        }
        let patterns = text.to_ascii_lowercase();
        let pattern = |text: &str| match text.strip_prefix('!') {
            Some(text) => (true, text.to_owned()),
            None => (false, text.to_owned()),
        };
        Some(Self::Patterns(patterns.split(',').map(pattern).collect()))
    }

    /// A name is meant when a pattern fits and no negated one does.
    fn contain(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => hmac_sha1(salt, name) == *hash,
            Self::Patterns(patterns) => {
                let mut found = false;
                for (negated, pattern) in patterns {
                    if fits(pattern, name) {
                        if *negated {
                            return false;
                        }
                        found = true;
                    }
                }
                found
            }
        }
    }
}

/// Whether a pattern of `*` (anything) and `?` (one character) fits a whole text.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last `*` took one more character.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, taken)) => {
                    retry = Some((star, taken + 1));
                    p = star;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Places as one text, the first few of them.
pub(crate) fn list(places: &[Place]) -> String {
    let mut texts: Vec<String> =
        places.iter().take(3).map(|place| clean::line(&place.to_string()).into_owned()).collect();
    if places.len() > 3 {
        texts.push(format!("{} more", places.len() - 3));
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blob(kind: &str, body: &[u8]) -> Vec<u8> {
        let mut blob = (kind.len() as u32).to_be_bytes().to_vec();
        blob.extend_from_slice(kind.as_bytes());
        blob.extend_from_slice(body);
        blob
    }

    fn key(kind: &str, body: &[u8]) -> String {
        format!("{kind} {}", BASE64.encode(blob(kind, body)))
    }

    fn ed(body: &[u8]) -> String {
        key("ssh-ed25519", body)
    }

    fn known(text: &str) -> KnownHosts {
        let mut known = KnownHosts::default();
        known.parse(text.as_bytes(), Path::new("known_hosts"));
        known
    }

    fn place(line: usize) -> Place {
        Place { file: "known_hosts".into(), line }
    }

    #[test]
    fn lines_mean_what_they_mean_to_openssh() {
        let (a, b) = (ed(b"A"), ed(b"B"));
        let a_blob = blob("ssh-ed25519", b"A");
        let changed = |line: usize| Verdict::Changed(vec![place(line)]);
        for (text, host, verdict) in [
            (format!("h {a}"), "h", Verdict::Known),
            (format!("h\t{a} comment # more"), "h", Verdict::Known),
            (format!("  h   {a}\r"), "h", Verdict::Known),
            (format!("H {a}"), "h", Verdict::Known),
            (format!("h {a}"), "H", Verdict::Known),
            (format!("x,h {a}"), "h", Verdict::Known),
            (format!("*.example.com {a}"), "h.example.com", Verdict::Known),
            (format!("*.example.com,!h.* {a}"), "h.example.com", Verdict::Unknown),
            (format!("!h,* {a}"), "x", Verdict::Known),
            (format!("[h]:2222 {a}"), "[h]:2222", Verdict::Known),
            (format!("[h]:2222 {a}"), "h", Verdict::Unknown),
            (format!("h {b}\nh {a}"), "h", Verdict::Known),
            (format!("# c\n\nh {b}"), "h", changed(3)),
            (format!("h {}", key("ssh-rsa", b"R")), "h", changed(1)),
            (format!("h ssh-ed25519 AAAA\nh {a}"), "h", Verdict::Known),
            (format!("h ssh-rsa {}", a.split(' ').nth(1).unwrap()), "h", Verdict::Unknown),
            (format!("@unknown h {a}"), "h", Verdict::Unknown),
            (format!("@cert-authority h {a}"), "h", Verdict::Unknown),
            (format!("h {a}\n@revoked * {a}"), "h", Verdict::Revoked(place(2))),
            (format!("h {a}\n@revoked x {a}"), "h", Verdict::Known),
            (format!("h {a}\n@revoked * ssh-ed25519 ?"), "h", Verdict::Unreadable(place(2))),
            (String::new(), "h", Verdict::Unknown),
            ("h\n@revoked\n|1|x h\n|2|x|y z\n".to_owned(), "h", Verdict::Unknown),
        ] {
            assert_eq!(known(&text).judge(host, &a_blob), verdict, "{text}");
        }
    }

    #[test]
    fn a_hashed_name_of_openssh_is_recognised() {
        // Written by `ssh-keygen -H` for the name `h`.
        let salt = BASE64.encode([7u8; 20]);
        let hash = BASE64.encode(hmac_sha1(&[7u8; 20], "h"));
        let text = format!("|1|{salt}|{hash} {}", ed(b"A"));
        assert_eq!(known(&text).judge("H", &blob("ssh-ed25519", b"A")), Verdict::Known);
        assert_eq!(known(&text).judge("i", &blob("ssh-ed25519", b"A")), Verdict::Unknown);
    }

    #[test]
    fn bytes_that_are_no_text_cost_their_line_only() {
        let mut text = b"\xff\xfe h\n".to_vec();
        text.extend_from_slice(format!("h {}", ed(b"A")).as_bytes());
        let mut known = KnownHosts::default();
        known.parse(&text, Path::new("known_hosts"));
        assert_eq!(known.judge("h", &blob("ssh-ed25519", b"A")), Verdict::Known);
    }

    #[test]
    fn authorities_and_key_types_are_told() {
        let known =
            known(&format!("@cert-authority *.example.com {}\nh {}\nh {}", ed(b"C"), ed(b"A"), key("ssh-rsa", b"R")));
        let authority = blob("ssh-ed25519", b"C");
        assert!(known.is_authority("h.example.com", &authority) && known.has_authority("h.example.com"));
        assert!(!known.is_authority("h", &authority) && !known.is_authority("h.example.com", b"x"));
        assert_eq!(known.key_types("h"), ["ssh-ed25519", "ssh-rsa"]);
    }

    #[test]
    fn appending_keeps_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ssh/known_hosts");
        let blob = blob("ssh-ed25519", b"A");
        append(&file, "[h]:2222", "ssh-ed25519", &blob, false).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("[h]:2222 {}\n", ed(b"A")));
        std::fs::write(&file, "last line without its end").unwrap();
        append(&file, "h", "ssh-ed25519", &blob, true).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("last line without its end\n|1|"), "{text}");
        assert_eq!(known(&text).judge("h", &blob), Verdict::Known);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(KnownHosts::default().load(&folder.path().join("missing")), Ok(()));
        assert!(KnownHosts::default().load(folder.path()).is_err());
    }

    #[test]
    fn revoked_keys_hold_for_every_host() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("revoked");
        let mut known = known(&format!("h {}", ed(b"A")));
        std::fs::write(&file, format!("# gone\n{} a comment\n", ed(b"A"))).unwrap();
        known.load_revoked(&file).unwrap();
        assert!(matches!(known.judge("h", &blob("ssh-ed25519", b"A")), Verdict::Revoked(_)));
        std::fs::write(&file, b"SSHKRL\n\0").unwrap();
        assert!(known.load_revoked(&file).is_err() && known.load_revoked(&folder.path().join("none")).is_err());
    }

    proptest! {
        #[test]
        fn no_line_panics(text in "[@|!a-z0-9 ,\\[\\]:*?=\\n]{0,80}") {
            known(&text).judge("h", b"x");
        }

        #[test]
        fn a_pattern_fits_what_it_was_made_of(text in "[a-c.]{0,12}", cut in 0usize..12) {
            let cut = cut.min(text.len());
            let starred = format!("{}*", &text[..cut]);
            prop_assert!(fits(&text, &text) && fits(&starred, &text) && fits("*", &text));
            let longer = format!("{text}?");
            prop_assert!(!fits(&longer, &text));
        }
    }
}
