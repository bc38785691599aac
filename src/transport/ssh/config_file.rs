//! A small reader of ssh_config(5): exactly what it understands, and a list of what it does not.
//!
//! It understands `Host`, `Include` and the keywords that decide how a host is reached. Whoever uses it must look at
//! [`Reading::strange`]: when there is anything in it (`Match`, above all), only `ssh -G` knows the whole truth.

use std::path::{Path, PathBuf};

use crate::transport::known_hosts::fits;

/// How deep files may include each other, as in ssh.
const DEEPEST: usize = 16;

/// Keywords that decide how a host is reached; [`super::settings`] knows what they mean.
const UNDERSTOOD: &[&str] = &[
    "certificatefile",
    "connecttimeout",
    "globalknownhostsfile",
    "hashknownhosts",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "knownhostscommand",
    "port",
    "proxycommand",
    "proxyjump",
    "revokedhostkeys",
    "serveralivecountmax",
    "serveraliveinterval",
    "stricthostkeychecking",
    "updatehostkeys",
    "user",
    "userknownhostsfile",
    "verifyhostkeydns",
];

/// Keywords that make no difference to a program that runs commands without a terminal and forwards nothing, and those that
/// choose algorithms and methods, which are fixed here whatever `ssh` would say.
const NO_MATTER: &[&str] = &[
    "addkeystoagent",
    "batchmode",
    "casignaturealgorithms",
    "challengeresponseauthentication",
    "checkhostip",
    "ciphers",
    "clearallforwardings",
    "compression",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "gssapikeyexchange",
    "hostbasedauthentication",
    "hostkeyalgorithms",
    "ipqos",
    "kbdinteractiveauthentication",
    "kexalgorithms",
    "localcommand",
    "localforward",
    "loglevel",
    "logverbose",
    "macs",
    "nohostauthenticationforlocalhost",
    "numberofpasswordprompts",
    "passwordauthentication",
    "permitlocalcommand",
    "permitremoteopen",
    "preferredauthentications",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "pubkeyauthentication",
    "rekeylimit",
    "remotecommand",
    "remoteforward",
    "requesttty",
    "sendenv",
    "sessiontype",
    "setenv",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "tcpkeepalive",
    "tunnel",
    "tunneldevice",
    "visualhostkey",
    "xauthlocation",
];

/// What a file says about one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Keywords, in lower case, with their arguments, in written order: the first of a keyword counts.
    pub(crate) lines: Vec<(String, Vec<String>)>,
    /// What was not understood: keyword and place.
    pub(crate) strange: Vec<String>,
}

/// Reads what `file` says about `host`; `folder` is where relative includes are looked for, `home` is `~`. A file that does
/// not exist says nothing.
///
/// # Errors
/// It exists and cannot be read.
pub(crate) fn read(file: &Path, folder: &Path, home: &Path, host: &str) -> Result<Reading, String> {
    let mut reading = Reading::default();
    let reader = Reader { folder, home, host };
    reader.file(file, true, 0, &mut reading)?;
    Ok(reading)
}

struct Reader<'a> {
    folder: &'a Path,
    home: &'a Path,
    host: &'a str,
}

impl Reader<'_> {
    fn file(&self, file: &Path, mut applies: bool, depth: usize, reading: &mut Reading) -> Result<(), String> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("{} cannot be read: {error}", file.display())),
        };
        let outer = applies;
        for (index, line) in text.lines().enumerate() {
            let strange = |what: &str| format!("{what} ({}:{})", file.display(), index + 1);
            let Some(words) = words(line) else {
                reading.strange.push(strange("a quote without its end"));
                continue;
            };
            let Some((keyword, arguments)) = words.split_first() else { continue };
            let keyword = keyword.to_ascii_lowercase();
            match keyword.as_str() {
                "host" => applies = outer && self.is_meant(arguments),
                "match" => {
                    applies = false;
                    reading.strange.push(strange("Match"));
                }
                _ if !applies && keyword != "include" => {}
                "include" => {
                    for pattern in arguments {
                        let Some(files) = self.included(pattern) else {
                            reading.strange.push(strange("Include with a pattern in a folder's name"));
                            continue;
                        };
                        if depth == DEEPEST {
                            return Err(format!("{}: files include each other too deeply", file.display()));
                        }
                        // A file that is included for other hosts may still hold what nobody here understands.
                        for file in files {
                            self.file(&file, applies, depth + 1, reading)?;
                        }
                    }
                }
                _ if arguments.is_empty() => reading.strange.push(strange(&format!("{keyword} without a value"))),
                known if UNDERSTOOD.contains(&known) => reading.lines.push((keyword, arguments.to_vec())),
                known if NO_MATTER.contains(&known) => {}
                _ => reading.strange.push(strange(&keyword)),
            }
        }
        Ok(())
    }

    /// Whether a `Host` line means this host: a pattern fits, case and all, and no negated one does.
    fn is_meant(&self, patterns: &[String]) -> bool {
        let mut found = false;
        for pattern in patterns {
            match pattern.strip_prefix('!') {
                Some(negated) if fits(negated, self.host) => return false,
                Some(_) => {}
                None => found |= fits(pattern, self.host),
            }
        }
        found
    }

    /// The files an include means, sorted as a shell would; `None` when the pattern is more than this reader can follow.
    fn included(&self, pattern: &str) -> Option<Vec<PathBuf>> {
        let path = match pattern.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => self.folder.join(pattern),
        };
        let wild = |text: &str| text.contains(['*', '?', '[', '%', '$', '~']);
        let name = path.file_name()?.to_str()?;
        let parent = path.parent()?;
        if wild(parent.to_str()?) || name.contains(['[', '%', '$']) {
            return None;
        }
        if !wild(name) {
            return Some(vec![path]);
        }
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let is_meant = |path: &PathBuf| {
            let found = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            fits(name, found) && (!found.starts_with('.') || name.starts_with('.'))
        };
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_meant).collect();
        files.sort();
        Some(files)
    }
}

/// A line's words: separated by blanks, the keyword also by one `=`; double quotes hold a word together; `#` begins a
/// comment. `None` when a quote has no end.
fn words(line: &str) -> Option<Vec<String>> {
    let blank = |c: char| c == ' ' || c == '\t' || c == '\r' || c == '\x0c';
    let line = line.trim_matches(blank);
    if line.is_empty() || line.starts_with('#') {
        return Some(Vec::new());
    }
    let end = line.find(|c| blank(c) || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(blank);
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(blank);
    let mut words = vec![keyword.to_owned()];
    // A command is the rest of its line.
    if ["proxycommand", "knownhostscommand"].iter().any(|known| keyword.eq_ignore_ascii_case(known)) {
        words.extend((!rest.is_empty()).then(|| rest.to_owned()));
        return Some(words);
    }
    let mut rest = rest;
    while !rest.is_empty() {
        let word;
        if let Some(quoted) = rest.strip_prefix('"') {
            (word, rest) = quoted.split_once('"')?;
        } else if rest.starts_with('#') {
            break;
        } else {
            (word, rest) = rest.split_at(rest.find(blank).unwrap_or(rest.len()));
        }
        words.push(word.to_owned());
        rest = rest.trim_start_matches(blank);
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, host: &str) -> (Vec<String>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        std::fs::write(folder.path().join("d/b.conf"), "User b\n").unwrap();
        std::fs::write(folder.path().join("d/a.conf"), "Host *.example.com\nUser a\n").unwrap();
        std::fs::write(folder.path().join("d/.c.conf"), "User hidden\n").unwrap();
        let reading = read(&file, folder.path(), folder.path(), host).unwrap();
        let lines = reading.lines.iter().map(|(keyword, words)| format!("{keyword} {}", words.join("|")));
        (lines.collect(), reading.strange.len())
    }

    #[test]
    fn blocks_apply_to_the_hosts_they_name() {
        let text = "User everyone\nHost web* !web9\n  Port=2222 # why\n\tHostName = \"a b\"\nHost db\nUser db\nHost *\nUser x\n";
        assert_eq!(
            lines(text, "web1"),
            (vec!["user everyone".into(), "port 2222".into(), "hostname a b".into(), "user x".into()], 0)
        );
        assert_eq!(lines(text, "WEB1").0, ["user everyone", "user x"]);
        assert_eq!(lines(text, "web9").0, ["user everyone", "user x"]);
        assert_eq!(lines(text, "db").0, ["user everyone", "user db", "user x"]);
    }

    #[test]
    fn includes_are_read_where_they_stand() {
        let text = "Host web*\nInclude d/*.conf\nHost *\nUser z\n";
        assert_eq!(lines(text, "web.example.com").0, ["user a", "user b", "user z"]);
        assert_eq!(lines(text, "web").0, ["user b", "user z"]);
        assert_eq!(lines(text, "db.example.com").0, ["user z"]);
        assert_eq!(lines("Include nothing/here\nInclude ~/d/b.conf", "x").0, ["user b"]);
    }

    #[test]
    fn commands_keep_their_quotes_and_lists_their_words() {
        let text = "ProxyCommand nc \"%h\" %p # not a comment\nUserKnownHostsFile \"a b\" c\n";
        assert_eq!(lines(text, "x").0, ["proxycommand nc \"%h\" %p # not a comment", "userknownhostsfile a b|c"]);
    }

    #[test]
    fn what_is_not_understood_is_said() {
        assert_eq!(lines("Match all\nUser x\n", "h"), (vec![], 1));
        assert_eq!(lines("PKCS11Provider /bin/x\nUser \"x\nPort\nInclude */x\n", "h"), (vec![], 4));
        assert_eq!(lines("Host other\nPKCS11Provider /bin/x\n", "h"), (vec![], 0));
        assert_eq!(lines("ForwardAgent yes\n", "h"), (vec![], 0));
    }

    #[test]
    fn a_circle_of_includes_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, "Include config\n").unwrap();
        assert!(read(&file, folder.path(), folder.path(), "h").is_err());
    }
}
