//! How one host is reached over SSH, once the inventory, `ssh_config` and the defaults have had their say.

use std::path::PathBuf;
use std::time::Duration;

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
    /// The name to look its key up by instead.
    pub(crate) host_key_alias: Option<String>,
    pub(crate) host_key_checking: HostKeyChecking,
    /// Whether names are written to known_hosts as hashes.
    pub(crate) hash_known_hosts: bool,
    /// Until the host has proven who it is.
    pub(crate) connect_timeout: Duration,
    pub(crate) alive_interval: Duration,
    pub(crate) alive_count: usize,
    /// How the bytes get to its port.
    pub(crate) route: Route,
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
            host_key_alias: None,
            host_key_checking: HostKeyChecking::Strict,
            hash_known_hosts: false,
            connect_timeout: options.connect_timeout,
            alive_interval: Duration::from_secs(15),
            alive_count: 3,
            route: Route::Direct,
        }
    }

    /// Lets the inventory win.
    ///
    /// # Errors
    /// A setting that means nothing.
    pub(crate) fn overlay(mut self, connection: &Connection) -> Result<Self, Failure> {
        if let Some(address) = &connection.address {
            self.host = address.to_ascii_lowercase();
        }
        if let Some(user) = &connection.user {
            self.user.clone_from(user);
        }
        if let Some(port) = connection.port {
            self.port = port;
        }
        if !connection.identity_file.is_empty() {
            self.identity_files.clone_from(&connection.identity_file);
            self.identities_only = true;
        }
        if let Some(file) = &connection.known_hosts {
            self.known_hosts = vec![file.clone()];
        }
        if let Some(checking) = connection.host_key_checking {
            self.host_key_checking = checking;
        }
        if let Some(timeout) = connection.connect_timeout {
            self.connect_timeout = timeout;
        }
        if let Some(jump) = &connection.proxy_jump {
            self.route = route(jump);
        }
        Ok(self)
    }
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
