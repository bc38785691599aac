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

/// Folders and files that decide who may log in, how, and from where, and whether a shell comes of it. A folder ends with `/`.
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
    "/etc/profile",
    "/etc/profile.d/",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/zsh/",
    "/etc/environment",
    "/etc/ld.so.preload",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d/",
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

/// Whether what lies at this path decides whether `user` can log in: the settings of sshd, sudo, PAM, accounts, packet filters,
/// the network and shells; everybody's `.ssh`; what the user's own shell reads; and the folders that all of these lie in, whose
/// owner and mode sshd and sudo look at.
pub fn decides(path: &str, user: &str) -> bool {
    let path = path.trim_end_matches('/');
    let is_above = |inner: &str| inner.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    let home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
    if path == home || is_above(&home) || PATHS.iter().any(|known| is_above(known.trim_end_matches('/'))) {
        return true;
    }
    if path.strip_prefix(&home).is_some_and(|rest| rest.starts_with("/.")) {
        return true;
    }
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
            "/home/deploy",
            "/home/",
            "/",
            "/etc",
            "/home/deploy/.bashrc",
            "/etc/profile.d/us.sh",
        ] {
            assert!(decides(path, "deploy"), "{path}");
        }
        for path in [
            "/etc/sshd",
            "/etc/sudoers.dist",
            "/etc/nginx/nginx.conf",
            "/srv/x.ssh/y",
            "/etc/hosts",
            "/home/deploy/app/x",
            "/home/deployer/.bashrc",
            "/home/deployer",
            "/var",
        ] {
            assert!(!decides(path, "deploy"), "{path}");
        }
        assert!(decides("/root/.profile", "root") && !decides("/root/.profile", "deploy"));
    }
}
