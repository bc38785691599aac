//! How one host is reached over SSH, once the inventory, `ssh_config` and the defaults have had their say.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::known_hosts_command::KnownHostsCommand;
use crate::catalog::connection::{Connection, HostKeyChecking};
use crate::transport::{Failure, Phase, TransportOptions};

/// Everything that one connection needs to know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Name or address to connect to, which is also the name its key is looked up by.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    /// Private keys, in order.
    pub(crate) identity_files: Vec<PathBuf>,
    /// Whether only those are offered, and nothing else that an agent holds.
    pub(crate) identities_only: bool,
    /// Certificates for keys, beside those that lie next to a key as `-cert.pub`.
    pub(crate) certificate_files: Vec<PathBuf>,
    /// The agent's socket.
    pub(crate) agent: Option<PathBuf>,
    /// Files of known hosts; new ones are written to the first.
    pub(crate) known_hosts: Vec<PathBuf>,
    /// More of them, which are never written to.
    pub(crate) global_known_hosts: Vec<PathBuf>,
    /// A program that says more of them.
    pub(crate) known_hosts_command: Option<KnownHostsCommand>,
    /// A file of keys that are revoked for every host.
    pub(crate) revoked_keys: Option<PathBuf>,
    /// The name to look its key up by instead.
    pub(crate) host_key_alias: Option<String>,
    pub(crate) host_key_checking: HostKeyChecking,
    /// Whether names are written to known_hosts as hashes.
    pub(crate) hash_known_hosts: bool,
    /// Whether keys that a host proves to have beside the known one are learned, and those that it has no more are forgotten.
    pub(crate) update_host_keys: bool,
    /// Until the host has proven who it is.
    pub(crate) connect_timeout: Duration,
    pub(crate) alive_interval: Duration,
    pub(crate) alive_count: usize,
    /// How the bytes get to its port.
    pub(crate) route: Route,
    /// Keys to try on the way there as well, before those of `ssh_config`.
    pub(crate) hop_identity_files: Vec<PathBuf>,
    /// Where the keys of the hosts on the way are known, when the inventory says.
    pub(crate) hop_known_hosts: Option<PathBuf>,
    /// What to do with new hosts on the way, when the inventory says.
    pub(crate) hop_host_key_checking: Option<HostKeyChecking>,
}

/// The way to a host's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Straight.
    Direct,
    /// Through these hosts, the nearest first: `[user@]host[:port]`.
    Jump(Vec<String>),
    /// Through a command's standard input and output.
    Command(String),
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("straight"),
            Self::Jump(hosts) => write!(f, "through {}", hosts.join(", ")),
            Self::Command(command) => write!(f, "through `{command}`"),
        }
    }
}

impl Settings {
    /// What holds where neither inventory nor `ssh_config` says anything: what ssh does.
    pub(crate) fn defaults(host: &str, options: &TransportOptions) -> Self {
        let folder = options.home.join(".ssh");
        let in_folder = |names: &[&str]| names.iter().map(|name| folder.join(name)).collect();
        Self {
            host: host.to_ascii_lowercase(),
            port: 22,
            user: options.user.clone(),
            identity_files: in_folder(&["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"]),
            identities_only: false,
            certificate_files: Vec::new(),
            agent: options.auth_sock.clone(),
            known_hosts: in_folder(&["known_hosts", "known_hosts2"]),
            global_known_hosts: vec!["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()],
            known_hosts_command: None,
            revoked_keys: None,
            host_key_alias: None,
            host_key_checking: HostKeyChecking::Strict,
            hash_known_hosts: false,
            update_host_keys: true,
            connect_timeout: options.connect_timeout,
            alive_interval: Duration::from_secs(15),
            alive_count: 3,
            route: Route::Direct,
            hop_identity_files: Vec::new(),
            hop_known_hosts: None,
            hop_host_key_checking: None,
        }
    }

    /// Lets `ssh_config` speak (`lines`: keywords in lower case with their arguments, of which the first counts), and then
    /// the inventory, which wins. Returns what was not understood as well.
    ///
    /// # Errors
    /// A setting that means nothing.
    pub(crate) fn configure(
        mut self,
        name: &str,
        lines: &[(String, Vec<String>)],
        connection: &Connection,
        options: &TransportOptions,
    ) -> Result<(Self, Vec<String>), Failure> {
        let first = |keyword: &str| lines.iter().find(|(known, _)| known == keyword).map(|(_, words)| words.as_slice());
        let word = |keyword: &str| first(keyword).and_then(|words| words.first()).map(String::as_str);
        let mut strange = Vec::new();
        let bad = |keyword: &str, value: &str| {
            let value = crate::base::clean::line(value);
            Failure::new(Phase::Resolve, format!("{name}: ssh_config: {keyword} cannot be `{value}`"))
        };

        // What tokens stand for comes first.
        if let Some(user) = connection.user.as_deref().or(word("user")) {
            self.user = user.to_owned();
        }
        if let Some(port) = word("port") {
            self.port = port.parse().map_err(|_| bad("Port", port))?;
        }
        self.port = connection.port.unwrap_or(self.port);
        let mut tokens = Tokens { home: &options.home, name, host: name, user: "", port: 0, local_user: &options.user };
        if let Some(address) = &connection.address {
            self.host = address.to_ascii_lowercase();
        } else if let Some(host) = word("hostname") {
            self.host = tokens.expand(host).map_err(|why| bad("HostName", &why))?.to_ascii_lowercase();
        }
        let (host, user) = (self.host.clone(), self.user.clone());
        tokens = Tokens { host: &host, user: &user, port: self.port, ..tokens };
        let mut paths = |words: &[String]| -> Vec<PathBuf> {
            let mut paths = Vec::new();
            for word in words.iter().filter(|word| !word.eq_ignore_ascii_case("none")) {
                match tokens.path(word) {
                    Ok(path) => paths.push(path),
                    Err(why) => strange.push(why),
                }
            }
            paths
        };

        let all = |keyword: &str| -> Vec<String> {
            let of = lines.iter().filter(|(known, _)| known == keyword);
            of.filter_map(|(_, words)| words.first().cloned()).collect()
        };
        if !connection.identity_file.is_empty() {
            self.identity_files.clone_from(&connection.identity_file);
            self.identities_only = true;
        } else {
            if first("identityfile").is_some() {
                self.identity_files = paths(&all("identityfile"));
            }
            self.identities_only = matches!(word("identitiesonly"), Some("yes" | "true"));
        }
        self.certificate_files = paths(&all("certificatefile"));
        if let Some(agent) = word("identityagent") {
            match agent {
                "SSH_AUTH_SOCK" => {}
                "none" => self.agent = None,
                agent => self.agent = paths(&[agent.to_owned()]).pop(),
            }
        }
        if let Some(file) = &connection.known_hosts {
            self.known_hosts = vec![file.clone()];
        } else if let Some(files) = first("userknownhostsfile") {
            self.known_hosts = paths(files);
        }
        if let Some(files) = first("globalknownhostsfile") {
            self.global_known_hosts = paths(files);
        }
        if let Some(file) = word("revokedhostkeys").filter(|file| *file != "none") {
            // One that cannot be found would be one that is not obeyed.
            self.revoked_keys = Some(tokens.path(file).map_err(|why| bad("RevokedHostKeys", &why))?);
        }
        self.host_key_alias = word("hostkeyalias").filter(|alias| *alias != "none").map(str::to_ascii_lowercase);
        if let Some(line) = first("knownhostscommand").map(|words| words.join(" ")).filter(|line| line != "none") {
            let alias = self.host_key_alias.as_deref().unwrap_or(name).to_owned();
            // One that cannot be run would be one that is not obeyed.
            let command = KnownHostsCommand::new(&line, tokens.all(alias));
            self.known_hosts_command = Some(command.map_err(|why| bad("KnownHostsCommand", &why))?);
        }
        self.hash_known_hosts = matches!(word("hashknownhosts"), Some("yes" | "true"));
        // As ssh: by itself only where nothing else is said about known hosts.
        let is_usual = match first("userknownhostsfile") {
            None => true,
            Some([file]) => paths(std::slice::from_ref(file)) == [options.home.join(".ssh/known_hosts")],
            Some(_) => false,
        };
        let is_usual = is_usual && matches!(word("verifyhostkeydns"), None | Some("no" | "false"));
        let updates = match word("updatehostkeys") {
            Some(text) => matches!(text, "yes" | "true"),
            None => is_usual,
        };
        self.update_host_keys = updates && connection.known_hosts.is_none();
        let accepts_new = matches!(word("stricthostkeychecking"), Some("accept-new" | "no" | "off" | "false"));
        self.host_key_checking = match connection.host_key_checking {
            Some(checking) => checking,
            // `no` would also accept a key that changed, which nothing here does.
            None if accepts_new => HostKeyChecking::AcceptNew,
            None => HostKeyChecking::Strict,
        };

        let seconds = |keyword: &str| match word(keyword) {
            None | Some("none" | "0") => Ok(None),
            Some(text) => duration(text).map(Some).ok_or_else(|| bad(keyword, text)),
        };
        if let Some(timeout) = connection.connect_timeout.or(seconds("connecttimeout")?) {
            self.connect_timeout = timeout;
        }
        if let Some(interval) = seconds("serveraliveinterval")? {
            self.alive_interval = interval;
            if let Some(count) = word("serveralivecountmax") {
                self.alive_count = count.parse().map_err(|_| bad("ServerAliveCountMax", count))?;
            }
        }

        // Whichever of the two stands first counts.
        let proxy = lines.iter().find(|(keyword, _)| keyword == "proxyjump" || keyword == "proxycommand");
        self.route = match (&connection.proxy_jump, proxy) {
            (Some(jump), _) => route(jump),
            (None, Some((keyword, words))) if keyword == "proxyjump" => route(&words.join(",")),
            (None, Some((_, words))) => match words.join(" ") {
                command if command.eq_ignore_ascii_case("none") => Route::Direct,
                command => Route::Command(tokens.expand(&command).map_err(|why| bad("ProxyCommand", &why))?),
            },
            (None, None) => Route::Direct,
        };
        if let Route::Jump(hops) = &self.route
            && let Some((user, host, port)) = hops.last().map(|hop| super::route::read_hop(hop)).transpose()?
        {
            // A jump host that is set for everybody holds for itself too. ssh refuses to go there at all; here it is one of
            // the hosts of the inventory and is reached straight.
            let same = host.eq_ignore_ascii_case(&self.host) || host.eq_ignore_ascii_case(name);
            if same && port.is_none_or(|port| port == self.port) && user.is_none_or(|user| user == self.user) {
                self.route = Route::Direct;
            }
        }
        self.hop_identity_files.clone_from(&connection.identity_file);
        self.hop_known_hosts.clone_from(&connection.known_hosts);
        self.hop_host_key_checking = connection.host_key_checking;
        strange.extend(unsupported(lines));
        Ok((self, strange))
    }
}

/// What `%` tokens of ssh_config(5) stand for.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    home: &'a std::path::Path,
    /// As the host is called by us.
    name: &'a str,
    host: &'a str,
    user: &'a str,
    port: u16,
    local_user: &'a str,
}

impl Tokens<'_> {
    /// The text with its tokens replaced; the error is the text with what is not understood.
    fn expand(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match characters.next() {
                Some('%') => out.push('%'),
                Some('h') => out.push_str(self.host),
                Some('n' | 'k') => out.push_str(self.name),
                Some('p') => out.push_str(&self.port.to_string()),
                Some('r') => out.push_str(self.user),
                Some('u') => out.push_str(self.local_user),
                Some('d') => out.push_str(&self.home.display().to_string()),
                Some('i') => out.push_str(&rustix::process::getuid().as_raw().to_string()),
                _ => return Err(format!("{text} (a token that is not understood)")),
            }
        }
        Ok(out)
    }

    /// Those that a program may be given, with what they stand for; `alias` is the name the host's key is known by.
    fn all(&self, alias: String) -> Vec<(char, String)> {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let hostname = hostname.trim();
        vec![
            ('h', self.host.to_owned()),
            ('n', self.name.to_owned()),
            ('k', alias),
            ('p', self.port.to_string()),
            ('r', self.user.to_owned()),
            ('u', self.local_user.to_owned()),
            ('d', self.home.display().to_string()),
            ('i', rustix::process::getuid().as_raw().to_string()),
            ('l', hostname.to_owned()),
            ('L', hostname.split('.').next().unwrap_or_default().to_owned()),
        ]
    }

    fn path(&self, text: &str) -> Result<PathBuf, String> {
        if text.contains("${") || text.starts_with('$') || text.starts_with('~') && !text.starts_with("~/") {
            return Err(format!("`{text}` is not understood as a path and was ignored"));
        }
        let text = self.expand(text).map_err(|why| format!("{why} was ignored"))?;
        Ok(match text.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => PathBuf::from(text),
        })
    }
}

/// Settings that ssh would honour and this program does not, when they are set to something.
fn unsupported(lines: &[(String, Vec<String>)]) -> Vec<String> {
    let no_match = ["addressfamily", "bindaddress", "bindinterface", "pkcs11provider"];
    let set = |keyword: &&str| {
        let line = lines.iter().find(|(known, _)| known == keyword);
        line.is_some_and(|(_, words)| words.first().is_some_and(|word| word != "none" && word != "any"))
    };
    let ask = lines.iter().find(|(known, _)| known == "updatehostkeys");
    let asks = ask.is_some_and(|(_, words)| words.first().is_some_and(|word| word == "ask"));
    let ask = asks.then(|| "updatehostkeys is `ask`, and nobody is asked: nothing is learned".to_owned());
    no_match
        .iter()
        .filter(|keyword| set(keyword))
        .map(|keyword| format!("{keyword} is not supported and was ignored"))
        .chain(ask)
        .collect()
}

/// Reads a time of ssh_config(5): `90`, `90s`, `5m`, `1h30m`.
fn duration(text: &str) -> Option<Duration> {
    let mut seconds = 0u64;
    let mut number = String::new();
    for c in text.chars() {
        let unit = match c.to_ascii_lowercase() {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    if !number.is_empty() {
        seconds = seconds.checked_add(number.parse().ok()?)?;
    } else if text.is_empty() {
        return None;
    }
    Some(Duration::from_secs(seconds))
}

/// Reads a ProxyJump: hosts separated by commas, or `none`.
pub(crate) fn route(jump: &str) -> Route {
    if jump.trim().eq_ignore_ascii_case("none") || jump.trim().is_empty() {
        return Route::Direct;
    }
    Route::Jump(jump.split(',').map(|hop| hop.trim().to_owned()).collect())
}

/// A name that can be given to other programs and written into messages: no option, no blank, nothing hidden.
///
/// # Errors
/// It is none.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Failure> {
    let strange = |c: char| c.is_whitespace() || crate::base::clean::is_hidden(c) || "'\"`$\\;&<>|(){}".contains(c);
    if name.is_empty() || name.starts_with('-') || name.contains(strange) {
        let shown = crate::base::clean::line(name);
        return Err(Failure::new(Phase::Resolve, format!("`{shown}` is no {what}")).hint("correct it in the inventory"));
    }
    Ok(())
}
