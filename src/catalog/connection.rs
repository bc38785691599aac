//! How a host is to be reached: the connection settings of the inventory, after groups and hosts have had their say.
//!
//! Plain data. Reading it from YAML is the inventory's business, acting on it the transport's. A setting that nobody wrote
//! is `None`, so that `~/.ssh/config` can speak where the inventory is silent.

use std::path::PathBuf;
use std::time::Duration;

/// The settings of one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connection {
    /// How bytes get there.
    pub transport: TransportKind,
    /// Name or address to connect to; without it the host's name.
    pub address: Option<String>,
    /// Login name.
    pub user: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Private keys to try, in order, `~` already expanded. With at least one, no other key is offered.
    pub identity_file: Vec<PathBuf>,
    /// The file of known host keys; without it what ssh would use.
    pub known_hosts: Option<PathBuf>,
    /// What to do with a host that is not known yet.
    pub host_key_checking: Option<HostKeyChecking>,
    /// `user@bastion:port`, or several separated by commas, as in ssh; `none` for a direct connection.
    pub proxy_jump: Option<String>,
    /// How long connecting may take, until the host has identified itself.
    pub connect_timeout: Option<Duration>,
    /// Whether to become another user after login.
    pub become_other: bool,
    /// Whom to become.
    pub become_user: Option<String>,
    /// How to become that user.
    pub become_method: Option<BecomeMethod>,
}

/// How bytes get to a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportKind {
    /// SSH.
    #[default]
    Ssh,
    /// A shell on this machine.
    Local,
}

/// What to do with a host whose key is not in `known_hosts`. A key that contradicts it is refused always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKeyChecking {
    /// Refuse.
    Strict,
    /// Write it down and go on.
    AcceptNew,
}

/// A program that runs a shell as another user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BecomeMethod {
    /// `sudo -n`.
    Sudo,
    /// `su`.
    Su,
    /// `doas -n`.
    Doas,
}
