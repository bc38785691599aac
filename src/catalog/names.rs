//! What names may look like: they stand in addresses, in paths on hosts and in expressions.

use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::Span;

/// Words that mean something in expressions and so cannot be names of values.
const RESERVED: &[&str] = &[
    "facts", "host", "hosts", "loop", "self", "true", "false", "none", "True", "False", "None", "null", "and", "or",
    "not", "in", "is", "if", "else",
];

/// Whether `name` may name a project, role, instance or group (`what`); else an error is added.
pub(crate) fn check(name: &str, span: &Span, what: &str, found: &mut Diagnostics) -> bool {
    let good = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && name.len() <= 100;
    if !good {
        found.push(
            Diagnostic::error(span, format!("`{name}` cannot be the name of a {what}"))
                .hint("letters, digits, `_` and `-`, at most 100 of them, the first a letter, a digit or `_`"),
        );
    }
    good
}

/// Whether `name` may name a value in expressions (`what`: a parameter, a variable); else an error is added.
pub(crate) fn check_value(name: &str, span: &Span, what: &str, found: &mut Diagnostics) -> bool {
    if RESERVED.contains(&name) {
        found.push(
            Diagnostic::error(span, format!("`{name}` has a meaning of its own and cannot be the name of a {what}"))
                .hint("choose another name"),
        );
        return false;
    }
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !good {
        found.push(
            Diagnostic::error(span, format!("`{name}` cannot be the name of a {what}"))
                .hint("letters, digits and `_`, the first not a digit: the name is used in expressions"),
        );
    }
    good
}

/// Whether `name` may name a host: what stands in host names and IP addresses.
pub(crate) fn check_host(name: &str, span: &Span, found: &mut Diagnostics) -> bool {
    let good = name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
        && name.len() <= 253;
    if name == "all" || !good {
        found.push(Diagnostic::error(span, format!("`{name}` cannot be the name of a host")).hint(
            "letters, digits, `.`, `-`, `_` and `:`; not `all`; a port goes into `port`, an address into `address`",
        ));
        return false;
    }
    true
}
