//! The text that a login shell is given: how a program becomes one line that every shell reads the same way, how another
//! user is become, and how "it was refused" is told from "the program failed".
//!
//! The login shell may be bash, dash, zsh, fish or csh. They agree on single quotes only while the quoted text holds no
//! quote, no backslash pair, no `!` and no line end; a program that holds any is sent encoded.
//!
//! Before the program starts, `sh` writes a mark to standard error. Without the mark it was somebody else who ended: `sudo`
//! that refused, a login shell that is `nologin`, a forced command. The mark is written so that the command line itself,
//! which `sudo` repeats when it refuses, does not contain it.

use zeroize::Zeroizing;

use crate::base::{clean, quote};
use crate::catalog::connection::{BecomeMethod, Connection};

use super::terminal::Terminal;
use super::{Failure, Phase};

/// Whom to become, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Elevation {
    /// Nobody else.
    Stay,
    /// Another user.
    Become {
        /// By which program.
        method: BecomeMethod,
        /// Whom.
        user: String,
    },
}

impl Elevation {
    /// What the settings ask for, for somebody who logged in as `login`: becoming oneself is nothing to do.
    pub(crate) fn of(connection: &Connection, login: &str) -> Self {
        let user = connection.become_user.as_deref().unwrap_or("root");
        if !connection.become_other || user == login {
            return Self::Stay;
        }
        Self::Become { method: connection.become_method.unwrap_or(BecomeMethod::Sudo), user: user.to_owned() }
    }

    /// Whether the password is asked for at a terminal only: doas has no other way.
    pub(crate) fn asks_at_a_terminal(&self) -> bool {
        matches!(self, Self::Become { method: BecomeMethod::Doas, .. })
    }
}

/// A line for a login shell, and what to expect of it.
pub(crate) struct Command {
    /// The line.
    pub(crate) line: String,
    /// Written to standard error, with a line end, just before the program starts.
    pub(crate) mark: String,
    /// Written to standard error when a password is wanted. The program's input must then wait for the mark, or it would be
    /// read as the password.
    pub(crate) prompt: Option<String>,
    /// What to answer the prompt with, once.
    pub(crate) password: Option<Zeroizing<String>>,
    /// The terminal that it needs, if it does.
    pub(crate) terminal: Option<Terminal>,
    elevation: Elevation,
}

/// A program that did not start.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What to tell.
    pub(crate) failure: Failure,
    /// What would make a difference.
    pub(crate) lack: Lack,
}

/// What a refusal is due to, as far as something can be done about it from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// Something else.
    Other,
    /// A password is wanted.
    Password,
    /// Another password is: the one given is wrong.
    RightPassword,
    /// A terminal is wanted.
    Terminal,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, lack: Lack::Other }
    }
}

impl Command {
    /// The line that runs `program`; with a password, whoever makes another user of us may ask for one. With `terminal`, the
    /// number of bytes that the program's input has, it is a line to be run at a terminal.
    ///
    /// # Errors
    /// A NUL in the program or the user, which no command line can hold.
    pub(crate) fn new(
        program: &str,
        elevation: &Elevation,
        password: Option<Zeroizing<String>>,
        terminal: Option<usize>,
    ) -> Result<Self, String> {
        let nonce = nonce();
        if program.contains('\0') {
            return Err("a program cannot contain a NUL byte".to_owned());
        }
        let terminal = terminal.map(|length| Terminal::new(&nonce, length));
        let text = match &terminal {
            Some(terminal) => terminal.wrap(&format!("echo snowmelt-began-\"\"{nonce}"), program),
            None => format!("echo snowmelt-began-\"\"{nonce} >&2; {program}"),
        };
        let text = quote::always(&for_any_shell(&text));
        let mut prompt = None;
        // In the language whose refusals are understood below.
        let line = match elevation {
            Elevation::Stay => format!("exec sh -c {text}"),
            Elevation::Become { method, user } => {
                let user = word(user)?;
                match (method, &password) {
                    (BecomeMethod::Sudo, None) => format!("exec env LC_ALL=C sudo -n -u {user} -- sh -c {text}"),
                    (BecomeMethod::Sudo, Some(_)) => {
                        // sudo writes one `%` for two: a shell that repeats its command line does not write the prompt.
                        prompt = Some(format!("snowmelt-%-{nonce}:"));
                        format!("exec env LC_ALL=C sudo -S -p 'snowmelt-%%-{nonce}:' -u {user} -- sh -c {text}")
                    }
                    (BecomeMethod::Su, _) => {
                        prompt = Some("Password: ".to_owned());
                        format!("exec env LC_ALL=C su -s /bin/sh -c {text} {user}")
                    }
                    (BecomeMethod::Doas, None) => format!("exec env LC_ALL=C doas -n -u {user} -- sh -c {text}"),
                    (BecomeMethod::Doas, Some(_)) => {
                        // `doas (us@host) password: `, or what the host's PAM says instead.
                        prompt = Some("assword: ".to_owned());
                        format!("exec env LC_ALL=C doas -u {user} -- sh -c {text}")
                    }
                }
            }
        };
        Ok(Self {
            line,
            mark: format!("snowmelt-began-{nonce}"),
            prompt,
            password,
            terminal,
            elevation: elevation.clone(),
        })
    }

    /// Why the program did not start, when its mark never came: `status` is how the login shell, or what it ran, ended.
    pub(crate) fn refused(&self, status: &str, stderr: &[u8]) -> Refusal {
        let mut said = String::from_utf8_lossy(stderr).into_owned();
        if let Some(prompt) = &self.prompt {
            said = said.replace(prompt.as_str(), "");
        }
        let shown = clean::lines(said.trim());
        let shown = clean::shorten(&shown, 400).replace('\n', "; ");
        let said_it = if shown.is_empty() { "and said nothing".to_owned() } else { format!("and said: {shown}") };
        let (method, user) = match &self.elevation {
            Elevation::Become { method, user } if !is_of_the_login_shell(&said) => (*method, user),
            _ => {
                let hint = match status {
                    "exit status 127" => {
                        "the host must have a `sh` that the account's login shell finds: look at its PATH"
                    }
                    _ => {
                        "look at the account's login shell and at ForceCommand and ChrootDirectory in sshd_config: they must run what they are given"
                    }
                };
                let message = format!("the login shell ended with {status} before the program began, {said_it}");
                return Failure::new(Phase::Execute, message).hint(hint).into();
            }
        };
        let failure =
            Failure::new(Phase::Become, format!("{} did not make us {user} ({status}), {said_it}", tool(method)));
        let lack = if is_wrong(&said) {
            Lack::RightPassword
        } else if wants_terminal(&said) {
            Lack::Terminal
        } else if wants_password(&said) {
            Lack::Password
        } else {
            Lack::Other
        };
        Refusal { failure: failure.hint(advice(method, user, &said)), lack }
    }

    /// A prompt came, and there is no answer to it.
    pub(crate) fn asked_in_vain(&self) -> Refusal {
        let (method, user) = match &self.elevation {
            Elevation::Become { method, user } => (tool(*method), user.as_str()),
            Elevation::Stay => ("sh", "somebody else"),
        };
        let (what, lack) = match self.password {
            Some(_) => ("does not take the password", Lack::RightPassword),
            None => ("wants a password", Lack::Password),
        };
        let failure = Failure::new(Phase::Become, format!("{method} {what} to make us {user}"));
        let hint = match lack {
            Lack::RightPassword => AGAIN,
            _ => "run it at a terminal, where it can be asked for, or allow it without a password",
        };
        Refusal { failure: failure.hint(hint), lack }
    }
}

/// What to do after a wrong password.
const AGAIN: &str = "nothing is tried with it again, lest the account be locked on every host: run it again";

/// Whether sudo, su or doas says that a password was wrong.
fn is_wrong(said: &str) -> bool {
    ["incorrect password", "Authentication failure", "Authentication failed"].iter().any(|text| said.contains(text))
}

/// Whether sudo, su or doas says that it works at a terminal only.
fn wants_terminal(said: &str) -> bool {
    ["must have a tty", "a tty is required", "must be run from a terminal"].iter().any(|text| said.contains(text))
}

/// Whether sudo, su or doas says that it does nothing without a password.
fn wants_password(said: &str) -> bool {
    let texts = [
        "password is required",
        "password is needed",
        "terminal is required",
        "Authorization required",
        "Authentication required",
    ];
    texts.iter().any(|text| said.contains(text))
}

/// The name of the program that makes somebody else of us.
fn tool(method: BecomeMethod) -> &'static str {
    match method {
        BecomeMethod::Sudo => "sudo",
        BecomeMethod::Su => "su",
        BecomeMethod::Doas => "doas",
    }
}

/// Whether it was the login shell, or who started it, that spoke, before it came to sudo and the like: a restricted shell, one
/// that is not there, one that does not find the base tools, `nologin`.
fn is_of_the_login_shell(said: &str) -> bool {
    said.lines().map(str::to_lowercase).any(|line| {
        let is_of_env = ["env: not found", "env: command not found", "unknown command: env"];
        is_of_env.iter().any(|part| line.contains(part))
            || line.ends_with(": restricted")
            || line.contains("currently not available")
            || (line.starts_with('/') && line.ends_with(": no such file or directory"))
    })
}

/// What to do, from what the tool said. It speaks the host's language, so an unknown message gets the general answer.
fn advice(method: BecomeMethod, user: &str, said: &str) -> String {
    let tool = tool(method);
    let has = |text: &str| said.contains(text);
    if is_wrong(said) {
        return AGAIN.to_owned();
    }
    if has("not enabled") {
        return format!("{tool} has no configuration that lets the login user become {user}");
    }
    if has("not found") || has("No such file") {
        return format!("install {tool} on the host, or set become_method, or log in as {user} with become: false");
    }
    if wants_terminal(said) {
        return match method {
            BecomeMethod::Sudo => {
                "sudoers has requiretty: add `Defaults:LOGIN !requiretty` for the login user".to_owned()
            }
            _ => format!("{tool} works at a terminal only: use another become_method, or log in as {user}"),
        };
    }
    if wants_password(said) {
        let rule = match method {
            BecomeMethod::Doas => format!("doas.conf: `permit nopass LOGIN as {user}`"),
            _ => format!("sudoers: `LOGIN ALL=({user}) NOPASSWD: ALL`"),
        };
        return format!(
            "run it at a terminal, where the password can be asked for, or allow it without a password ({rule})"
        );
    }
    if has("not allowed") || has("not in the sudoers") || has("not permitted") {
        return format!("sudoers must let the login user run `sh` as {user}: `LOGIN ALL=({user}) NOPASSWD: ALL`");
    }
    if has("unknown user") {
        return format!("there is no user {user} on the host: look at become_user");
    }
    format!("log in and try `{tool}` by hand")
}

/// Text in which no shell finds anything special between single quotes. It is itself when it is harmless, else a text that
/// decodes and runs it.
fn for_any_shell(program: &str) -> String {
    let harmless = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && !matches!(byte, b'\'' | b'\\' | b'!');
    if program.bytes().all(harmless) {
        return program.to_owned();
    }
    let mut encoded = String::with_capacity(program.len() * 2);
    for byte in program.bytes() {
        // Inside the double quotes of the decoder these are special as well.
        if harmless(byte) && !matches!(byte, b'"' | b'$' | b'`') {
            encoded.push(byte as char);
        } else {
            encoded.push_str(&format!("\\0{byte:03o}"));
        }
    }
    format!("eval \"$(printf %b \"{encoded}\")\"")
}

/// A user name as one word of any shell.
fn word(user: &str) -> Result<String, String> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_-.@$".contains(c);
    if user.is_empty() || user.starts_with('-') || !user.chars().all(harmless) {
        return Err(format!("`{}` is no user name", clean::line(user)));
    }
    Ok(quote::always(user))
}

/// 128 random bits as text.
pub(crate) fn nonce() -> String {
    let mut bytes = [0u8; 16];
    // Without randomness the mark is only guessable, and a host that forges it lies about itself alone.
    let _ = getrandom::fill(&mut bytes);
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sudo() -> Elevation {
        Elevation::Become { method: BecomeMethod::Sudo, user: "root".to_owned() }
    }

    #[test]
    fn the_line_is_plain_where_it_can_be() {
        let command = Command::new("cat \"$HOME/x\"", &Elevation::Stay, None, None).unwrap();
        assert!(command.line.starts_with("exec sh -c 'echo snowmelt-began-\"\""), "{}", command.line);
        assert!(command.line.ends_with("; cat \"$HOME/x\"'"), "{}", command.line);
        assert!(!command.line.contains(&command.mark), "sudo repeats the line when it refuses");
    }

    #[test]
    fn nothing_that_a_login_shell_reads_differently_remains() {
        let command = Command::new("printf '%s\\n' \"a!b\"\nexit 3 # ü", &sudo(), None, None).unwrap();
        let inner = command
            .line
            .strip_prefix("exec env LC_ALL=C sudo -n -u 'root' -- sh -c '")
            .unwrap()
            .strip_suffix('\'')
            .unwrap();
        assert!(!inner.contains(['\'', '!', '\n']), "{inner}");
        assert!(inner.is_ascii() && !inner.contains("\\\\"), "{inner}");
    }

    #[test]
    fn becoming_oneself_is_nothing_to_do() {
        let wanted = Connection { become_other: true, ..Connection::default() };
        assert_eq!(Elevation::of(&wanted, "root"), Elevation::Stay);
        assert_eq!(Elevation::of(&wanted, "deploy"), sudo());
        assert_eq!(Elevation::of(&Connection::default(), "deploy"), Elevation::Stay);
    }

    #[test]
    fn what_no_command_line_can_hold_is_refused() {
        assert!(Command::new("a\0b", &Elevation::Stay, None, None).is_err());
        for user in ["", "-x", "a b", "a'b", "a\nb", "ü"] {
            let elevation = Elevation::Become { method: BecomeMethod::Su, user: user.to_owned() };
            assert!(Command::new("true", &elevation, None, None).is_err(), "{user:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let command = Command::new("true", &sudo(), None, None).unwrap();
        for (said, hint) in [
            ("sudo: a password is required", "NOPASSWD"),
            ("bash: exec: sudo: not found", "install sudo"),
            ("sudo: sorry, you must have a tty to run sudo", "requiretty"),
            ("Sorry, user x is not allowed to execute '/bin/sh' as root on y.", "sudoers"),
            ("sudo: unknown user zoe", "become_user"),
            ("doas: doas is not enabled, /etc/doas.conf: No such file or directory", "no configuration"),
            ("sudo: 1 incorrect password attempt", "run it again"),
            ("\u{1b}[31mnein", "by hand"),
        ] {
            let failure = command.refused("exit status 1", said.as_bytes()).failure;
            assert_eq!(failure.phase, Phase::Become);
            assert!(failure.before_anything_ran && failure.hint.as_ref().unwrap().contains(hint), "{failure:?}");
            assert!(!failure.message.contains('\u{1b}'));
        }
    }

    #[test]
    fn every_login_shell_there_is_reads_the_line_alike() {
        let plain = ("printf %s%s%s \"$((1+1))\" `echo x` [ab]x~; exit 7", "2x[ab]x~");
        let encoded = (
            "printf '%s|' 'a\\b' \"it's\" '!!' \"$((1+1))\" `echo x`\nprintf '\\\\' # \u{fc}\nexit 7",
            "a\\b|it's|!!|2|x|\\",
        );
        let mut tried = 0;
        for (program, printed) in [plain, encoded] {
            let command = Command::new(program, &Elevation::Stay, None, None).unwrap();
            for shell in ["sh", "bash", "dash", "zsh", "fish", "tcsh", "csh", "ksh", "mksh"] {
                let mut run = std::process::Command::new(shell);
                let Ok(out) = run.current_dir("/").arg("-c").arg(&command.line).output() else { continue };
                tried += 1;
                assert_eq!(String::from_utf8_lossy(&out.stdout), printed, "{shell}");
                assert_eq!(String::from_utf8_lossy(&out.stderr), format!("{}\n", command.mark), "{shell}");
                assert_eq!(out.status.code(), Some(7), "{shell}");
            }
        }
        assert!(tried > 0, "there is no shell at all");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_real_shell_runs_what_was_meant(text in "[^\0]{0,40}") {
            let program = format!("printf %s {}; exit 7", quote::sh(&text));
            let command = Command::new(&program, &Elevation::Stay, None, None).unwrap();
            let out = std::process::Command::new("sh").arg("-c").arg(&command.line).output().unwrap();
            prop_assert_eq!(String::from_utf8_lossy(&out.stdout), text);
            prop_assert_eq!(String::from_utf8_lossy(&out.stderr), format!("{}\n", command.mark));
            prop_assert_eq!(out.status.code(), Some(7));
        }
    }
}
