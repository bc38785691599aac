//! `KnownHostsCommand` of ssh_config(5): a program that says which keys a host is known by, as lines of known_hosts.
//!
//! It is run as ssh runs it: without a shell, once before the key exchange (`ORDER`), so that the host is asked for a key that
//! is known, and once for the key that was shown (`HOSTNAME`). What it says counts for that host alone.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use tokio::io::AsyncReadExt as _;

use super::guard::shown;
use crate::transport::known_hosts::KnownHosts;

/// How long it may take.
const LONGEST: Duration = Duration::from_secs(20);
/// How much it may say.
const MOST: usize = 4 * 1024 * 1024;

/// The program, and what its tokens stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownHostsCommand {
    words: Vec<String>,
    tokens: Vec<(char, String)>,
}

impl KnownHostsCommand {
    /// Reads its line; `tokens` are those that do not depend on a key.
    ///
    /// # Errors
    /// What cannot be understood.
    pub(crate) fn new(line: &str, tokens: Vec<(char, String)>) -> Result<Self, String> {
        let words = split(line).ok_or_else(|| format!("{line} (a quote without its end)"))?;
        if !words.first().is_some_and(|program| program.starts_with('/')) {
            return Err(format!("{line} (it must be an absolute path)"));
        }
        let command = Self { words, tokens };
        command.expand("", "", "", "", "")?;
        Ok(command)
    }

    /// What is known of `name` with what the program says, which is asked for `asked`; `key` is the key the host has shown, if it
    /// has already.
    ///
    /// # Errors
    /// The program failed: nobody can say what is known then.
    pub(crate) async fn ask(
        &self,
        known: &KnownHosts,
        asked: &str,
        name: &str,
        key: Option<&PublicKeyOrCertificate>,
    ) -> Result<KnownHosts, String> {
        let words = match key {
            None => self.expand("ORDER", asked, "NONE", "NONE", "NONE")?,
            Some(key) => {
                let (kind, blob) = match key {
                    PublicKeyOrCertificate::PublicKey { key, .. } => (key.algorithm().to_string(), key.to_bytes()),
                    PublicKeyOrCertificate::Certificate(certificate) => {
                        (certificate.algorithm().to_certificate_type(), certificate.to_bytes())
                    }
                };
                let text = BASE64.encode(blob.map_err(|_| "the host's key cannot be read")?);
                let fingerprint = key.public_key().fingerprint(HashAlg::Sha256).to_string();
                self.expand("HOSTNAME", asked, &kind, &fingerprint, &text)?
            }
        };
        let lines =
            run(&words).await.map_err(|problem| format!("KnownHostsCommand {}: {problem}", shown(&words[0])))?;
        let mut known = known.clone();
        known.parse_about(&lines, Path::new("KnownHostsCommand"), name);
        Ok(known)
    }

    fn expand(
        &self,
        reason: &str,
        name: &str,
        kind: &str,
        fingerprint: &str,
        key: &str,
    ) -> Result<Vec<String>, String> {
        let given = [('I', reason), ('H', name), ('t', kind), ('f', fingerprint), ('K', key), ('%', "%")];
        let all = given.iter().copied().chain(self.tokens.iter().map(|(token, value)| (*token, value.as_str())));
        let all: Vec<(char, &str)> = all.collect();
        let word = |word: &String| {
            let mut out = String::with_capacity(word.len());
            let mut characters = word.chars();
            while let Some(c) = characters.next() {
                if c == '$' && characters.as_str().starts_with('{') {
                    return Err(format!("{word} (variables are not understood)"));
                }
                if c != '%' {
                    out.push(c);
                    continue;
                }
                let token = characters.next();
                match all.iter().find(|(known, _)| Some(*known) == token) {
                    Some((_, value)) => out.push_str(value),
                    None => return Err(format!("{word} (a token that is not understood)")),
                }
            }
            Ok(out)
        };
        self.words.iter().map(word).collect()
    }
}

async fn run(words: &[String]) -> Result<Vec<u8>, String> {
    let mut command = tokio::process::Command::new(&words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("was started without its pipes".to_owned());
    };
    let (mut lines, mut said) = (Vec::new(), Vec::new());
    let ending = async {
        let (mut stdout, mut stderr) = (stdout.take(MOST as u64 + 1), stderr.take(64 * 1024));
        let (out, _) = tokio::join!(stdout.read_to_end(&mut lines), stderr.read_to_end(&mut said));
        out?;
        drop((stdout, stderr));
        child.wait().await
    };
    let status = match tokio::time::timeout(LONGEST, ending).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Err(format!("broke: {error}")),
        Err(_) => return Err(format!("did not end within {} s", LONGEST.as_secs())),
    };
    if lines.len() > MOST {
        return Err("says too much".to_owned());
    }
    if !status.success() {
        return Err(format!("failed ({status}): {}", shown(&String::from_utf8_lossy(&said))));
    }
    Ok(lines)
}

/// Splits a line into words as ssh does: quotes of both kinds, a backslash before a quote, a backslash or a blank.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', _) => {
                let escapes = |next: char| matches!(next, '\'' | '"' | '\\') || quote.is_none() && next == ' ';
                let next = characters.next_if(|next| escapes(*next));
                word.get_or_insert_default().push(next.unwrap_or('\\'));
            }
            (' ' | '\t', None) => words.extend(word.take()),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(line: &str) -> Result<KnownHostsCommand, String> {
        KnownHostsCommand::new(line, vec![('h', "web1".to_owned()), ('p', "22".to_owned())])
    }

    #[test]
    fn a_line_is_split_and_filled_in() {
        let command = new("/bin/x '%h %p' \"a\\\"b\" c\\ d %t%% '' e\\f").unwrap();
        let words = command.expand("ORDER", "[web1]:22", "k %h", "f", "K").unwrap();
        assert_eq!(words, ["/bin/x", "web1 22", "a\"b", "c d", "k %h%", "", "e\\f"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["", "x", "./x", "/bin/x 'a", "/bin/x %Z", "/bin/x %", "/bin/x ${HOME}"] {
            assert!(new(line).is_err(), "{line}");
        }
    }

    #[tokio::test]
    async fn only_what_it_says_of_the_host_counts() {
        let key = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQE=";
        let command = new(&format!("/bin/sh -c \"printf '%%s\\n' 'web1 {key}' 'web2 {key}'; exit ${{0#x}}\" x0"));
        assert!(command.is_err(), "a variable of the environment is meant");
        let command = new(&format!("/usr/bin/printf '%%s\\n' 'web1 {key}' '[web1]:5 {key}'")).unwrap();
        let known = command.ask(&KnownHosts::default(), "web1", "[web1]:5", None).await;
        let known = known.unwrap();
        assert_eq!(known.places("[web1]:5").count(), 1);
        assert_eq!(known.places("web1").count(), 0);
        let failed = new("/bin/false").unwrap().ask(&KnownHosts::default(), "h", "h", None).await;
        assert!(failed.unwrap_err().contains("/bin/false: failed"));
    }
}
