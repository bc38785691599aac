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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::span::Source;

    #[test]
    fn names_fit_where_they_are_used() {
        let span = Span::start_of(&Source::new("a", ""));
        let mut found = Diagnostics::new();
        for (name, thing, value, host) in [
            ("web-1", true, false, true),
            ("web_1", true, true, true),
            ("1a", true, false, true),
            ("", false, false, false),
            ("-x", false, false, false),
            ("a.b", false, false, true),
            ("2001:db8::1", false, false, true),
            ("::1", false, false, true),
            ("all", true, true, false),
            ("hosts", true, false, true),
            ("a/b", false, false, false),
            ("é", false, false, false),
            ("a\n", false, false, false),
        ] {
            assert_eq!(check(name, &span, "role", &mut found), thing, "{name:?}");
            assert_eq!(check_value(name, &span, "variable", &mut found), value, "{name:?}");
            assert_eq!(check_host(name, &span, &mut found), host, "{name:?}");
        }
    }
}
