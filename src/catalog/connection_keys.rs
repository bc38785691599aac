//! Connection settings in the inventory: which keys there are and how their values are read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connection::{BecomeMethod, Connection, HostKeyChecking, TransportKind};
use super::yaml::Node;
use crate::base::diagnostic::{Diagnostic, Diagnostics};

/// All keys, as they may stand in `defaults`, in a group and in a host.
pub(crate) const KEYS: &[&str] = &[
    "transport",
    "address",
    "user",
    "port",
    "identity_file",
    "known_hosts",
    "host_key_checking",
    "proxy_jump",
    "connect_timeout",
    "become",
    "become_user",
    "become_method",
];

/// What paths are relative to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paths<'a> {
    /// The project's root.
    pub(crate) root: &'a Path,
    /// The home folder of who runs this; what `~/` stands for.
    pub(crate) home: Option<&'a Path>,
}

/// Sets one setting; a value that is wrong is added to `found` and leaves the setting alone.
pub(crate) fn set(into: &mut Connection, key: &str, node: &Node, paths: Paths<'_>, found: &mut Diagnostics) {
    match key {
        "transport" => {
            let known = [("ssh", TransportKind::Ssh), ("local", TransportKind::Local)];
            if let Some(transport) = word(node, "transport", &known, found) {
                into.transport = transport;
            }
        }
        "address" => into.address = argument(node, "the address", found),
        "user" => into.user = argument(node, "the user", found),
        "port" => into.port = port(node, found),
        "identity_file" => {
            let items = node.as_list().unwrap_or(std::slice::from_ref(node));
            into.identity_file = items.iter().filter_map(|item| path(item, "an identity file", paths, found)).collect();
        }
        "known_hosts" => into.known_hosts = path(node, "the file of known hosts", paths, found),
        "host_key_checking" => {
            let known = [("strict", HostKeyChecking::Strict), ("accept-new", HostKeyChecking::AcceptNew)];
            into.host_key_checking = word(node, "host key checking", &known, found);
        }
        "proxy_jump" => into.proxy_jump = argument(node, "the jump host", found),
        "connect_timeout" => into.connect_timeout = duration(node, found),
        "become" => {
            if let Some(become_other) = node.expect_bool("`become`", found) {
                into.become_other = become_other;
            }
        }
        "become_user" => into.become_user = argument(node, "the user to become", found),
        "become_method" => {
            let known = [("sudo", BecomeMethod::Sudo), ("su", BecomeMethod::Su), ("doas", BecomeMethod::Doas)];
            into.become_method = word(node, "way to become another user", &known, found);
        }
        _ => {}
    }
}

fn word<T: Copy>(node: &Node, what: &str, known: &[(&str, T)], found: &mut Diagnostics) -> Option<T> {
    let text = node.expect_text(what, found)?;
    let value = known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if value.is_none() {
        found.push(Diagnostic::unknown(&node.span, what, text, known.iter().map(|(word, _)| *word)));
    }
    value
}

/// Text that may become an argument of ssh: no blanks, and no `-` in front that would make it an option.
fn argument(node: &Node, what: &str, found: &mut Diagnostics) -> Option<String> {
    let text = node.expect_text(what, found)?;
    if text.starts_with('-') || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        found.push(
            Diagnostic::error(&node.span, format!("{what} cannot begin with `-` or contain blanks"))
                .hint("write the name alone; further settings have keys of their own"),
        );
        return None;
    }
    Some(text.to_owned())
}

fn port(node: &Node, found: &mut Diagnostics) -> Option<u16> {
    let text = node.expect_text("the port", found)?;
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    if port.is_none() {
        found.push(Diagnostic::error(&node.span, format!("`{text}` is not a port")).hint("a number from 1 to 65535"));
    }
    port
}

fn path(node: &Node, what: &str, paths: Paths<'_>, found: &mut Diagnostics) -> Option<PathBuf> {
    let text = node.expect_text(what, found)?;
    match (text.strip_prefix("~/"), paths.home) {
        (Some(rest), Some(home)) => Some(home.join(rest)),
        (None, _) if !text.starts_with('~') => Some(paths.root.join(text)),
        (Some(_), None) => {
            found.push(
                Diagnostic::error(&node.span, "`~` stands for the home folder, and there is none")
                    .hint("set HOME, or write the whole path"),
            );
            None
        }
        _ => {
            found.push(
                Diagnostic::error(&node.span, "only `~/`, the own home folder, is expanded")
                    .hint("write the whole path"),
            );
            None
        }
    }
}

fn duration(node: &Node, found: &mut Diagnostics) -> Option<Duration> {
    let text = node.expect_text("the timeout", found)?;
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let milliseconds = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let duration = milliseconds
        .and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit))
        .filter(|milliseconds| (1..=86_400_000).contains(milliseconds))
        .map(Duration::from_millis);
    if duration.is_none() {
        let hint = match number.parse::<u64>() {
            Ok(number) if unit.is_empty() => format!("write `{number}s`"),
            _ => "a number and `ms`, `s` or `m`: `10s`".to_owned(),
        };
        found.push(Diagnostic::error(&node.span, format!("`{text}` is not a duration")).hint(hint));
    }
    duration
}
