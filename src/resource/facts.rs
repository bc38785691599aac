//! What a host is: the facts that roles may ask for.
//!
//! Facts with a known set of answers are enums, so that a misspelt one is an error before any host is contacted. How they are
//! read is the observer's business.

use indexmap::IndexMap;

use crate::base::value::Value;

/// The facts of one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The distribution's family; decides paths and names.
    pub os_family: OsFamily,
    /// `ID` of /etc/os-release: `debian`, `ubuntu`, `rocky`.
    pub os_id: String,
    /// `VERSION_ID`: `12`, `22.04`; empty where there is none (Arch, Debian sid).
    pub os_release: String,
    /// `VERSION_CODENAME`: `bookworm`.
    pub os_codename: String,
    /// The machine, as Debian calls it: `amd64`, `arm64`.
    pub arch: String,
    /// The name the host calls itself.
    pub hostname: String,
    /// Its IP addresses, loopback and link-local ones left out.
    pub addresses: Vec<String>,
    /// Memory in MiB.
    pub memory_mib: i64,
    /// CPUs that are online.
    pub cpus: i64,
    /// What runs services.
    pub init: InitSystem,
    /// What installs packages.
    pub package_manager: PackageManager,
    /// A role's own facts, by name.
    pub own: IndexMap<String, Value>,
}

macro_rules! closed {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* #[doc = "Something else."] #[default] Other }

        impl $name {
            /// Every answer that can be given.
            pub const WORDS: &'static [&'static str] = &[$($word,)* "other"];

            /// The word people write.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* Self::Other => "other" }
            }

            /// From the word; `Other` when it is none of them.
            pub fn from_word(word: &str) -> Self {
                match word { $($word => Self::$variant,)* _ => Self::Other }
            }
        }
    };
}

closed! {
    /// A family of distributions.
    OsFamily {
        /// Debian, Ubuntu and what derives from them.
        Debian = "debian",
        /// Red Hat, Fedora, Rocky, Alma, Amazon Linux.
        Redhat = "redhat",
        /// SUSE and openSUSE.
        Suse = "suse",
        /// Arch Linux.
        Arch = "arch",
        /// Alpine Linux.
        Alpine = "alpine",
    }
}

closed! {
    /// What runs services.
    InitSystem {
        /// systemd is PID 1.
        Systemd = "systemd",
        /// OpenRC.
        Openrc = "openrc",
        /// Scripts in /etc/init.d.
        Sysv = "sysv",
    }
}

closed! {
    /// What installs packages.
    PackageManager {
        /// dpkg and apt.
        Apt = "apt",
        /// rpm and dnf.
        Dnf = "dnf",
        /// rpm and yum.
        Yum = "yum",
        /// rpm and zypper.
        Zypper = "zypper",
        /// pacman.
        Pacman = "pacman",
        /// apk.
        Apk = "apk",
    }
}

/// Facts with a known set of answers, by the path people write (`facts.os.family`), with those answers.
pub const CLOSED: &[(&str, &[&str])] =
    &[("os.family", OsFamily::WORDS), ("init", InitSystem::WORDS), ("package_manager", PackageManager::WORDS)];

/// All paths below `facts.` besides a role's own.
pub const PATHS: &[&str] = &[
    "os.family",
    "os.id",
    "os.release",
    "os.codename",
    "arch",
    "hostname",
    "addresses",
    "memory_mib",
    "cpus",
    "init",
    "package_manager",
];

impl Facts {
    /// As expressions and templates see them, under `facts`.
    pub fn to_value(&self) -> Value {
        let map = |pairs: Vec<(&str, Value)>| {
            Value::Map(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<IndexMap<_, _>>())
        };
        let os = map(vec![
            ("family", self.os_family.word().into()),
            ("id", self.os_id.as_str().into()),
            ("release", self.os_release.as_str().into()),
            ("codename", self.os_codename.as_str().into()),
        ]);
        let mut all = map(vec![
            ("os", os),
            ("arch", self.arch.as_str().into()),
            ("hostname", self.hostname.as_str().into()),
            ("addresses", self.addresses.iter().map(String::as_str).collect()),
            ("memory_mib", self.memory_mib.into()),
            ("cpus", self.cpus.into()),
            ("init", self.init.word().into()),
            ("package_manager", self.package_manager.word().into()),
        ]);
        if let Value::Map(all) = &mut all {
            all.extend(self.own.clone());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(prefix: &str, value: &Value, out: &mut Vec<String>) {
        let Value::Map(map) = value else { return out.push(prefix.trim_end_matches('.').to_owned()) };
        for (name, value) in map {
            paths(&format!("{prefix}{name}."), value, out);
        }
    }

    #[test]
    fn the_published_paths_are_the_ones_there_are() {
        let mut found = Vec::new();
        paths("", &Facts::default().to_value(), &mut found);
        assert_eq!(found, PATHS);
        assert!(CLOSED.iter().all(|(path, _)| PATHS.contains(path)));
    }
}
