//! What decides whether anybody can still log in to a host: the vocabulary in which a kind says that a change of it may lock
//! everybody out, and how that change is taken back. Knows paths and names, no host and no engine.

/// How what a step did is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenBack {
    /// By putting back what it kept aside: files, links, directories.
    Kept,
    /// By this shell.
    By(String),
    /// Not at all: a package's scripts, a user's command.
    Never,
}

/// Folders and files that decide who may log in, how, and from where. A folder ends with `/`.
const PATHS: &[&str] = &[
    "/etc/ssh/",
    "/etc/sudoers",
    "/etc/sudoers.d/",
    "/etc/doas.conf",
    "/etc/doas.d/",
    "/etc/pam.conf",
    "/etc/pam.d/",
    "/etc/security/",
    "/etc/nologin",
    "/etc/shells",
    "/etc/login.defs",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/nsswitch.conf",
    "/etc/sssd/",
    "/etc/hosts.allow",
    "/etc/hosts.deny",
    "/etc/nftables.conf",
    "/etc/nftables.d/",
    "/etc/nftables/",
    "/etc/iptables/",
    "/etc/sysconfig/iptables",
    "/etc/sysconfig/ip6tables",
    "/etc/sysconfig/nftables.conf",
    "/etc/ufw/",
    "/etc/firewalld/",
    "/etc/network/",
    "/etc/netplan/",
    "/etc/systemd/network/",
    "/etc/NetworkManager/",
    "/etc/sysconfig/network",
    "/etc/sysconfig/network-scripts/",
];

/// Whether what lies at this path decides who can log in: the settings of sshd, sudo, PAM, accounts, packet filters and the
/// network, and everybody's `.ssh`.
pub fn decides(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let is = |known: &str| match known.strip_suffix('/') {
        Some(folder) => path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')),
        None => path == known,
    };
    PATHS.iter().any(|known| is(known)) || path.ends_with("/.ssh") || path.contains("/.ssh/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_in_is_known_by_its_paths() {
        for path in [
            "/etc/ssh/sshd_config",
            "/etc/ssh/sshd_config.d/10-us.conf",
            "/etc/ssh",
            "/etc/ssh/",
            "/etc/sudoers",
            "/etc/sudoers.d/deploy",
            "/home/deploy/.ssh/authorized_keys",
            "/root/.ssh",
            "/etc/nftables.conf",
        ] {
            assert!(decides(path), "{path}");
        }
        for path in ["/etc/sshd", "/etc/sudoers.dist", "/etc/nginx/nginx.conf", "/etc", "/srv/x.ssh/y", "/etc/hosts"] {
            assert!(!decides(path), "{path}");
        }
    }
}
