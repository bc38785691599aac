//! Addresses: `role/kind:identity#attribute`, the one way to name a resource anywhere.
//!
//! `reload_on`, `--only`, waivers, plans, the record on the host, JUnit names and messages all use it. An identity may hold
//! any printable character; what would end the address early (`#`) is written `\#`.

use std::fmt;

/// Names one resource of a host, or one of its attributes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// The role (instance) that declares it, or whose spec checks it.
    pub role: String,
    /// The kind's name.
    pub kind: String,
    /// What the kind calls its identity: a path, a package name.
    pub identity: String,
    /// One attribute of it; none for the resource as a whole.
    pub attribute: Option<String>,
}

impl Address {
    /// The address of a resource.
    pub fn new(role: &str, kind: &str, identity: &str) -> Self {
        Self { role: role.to_owned(), kind: kind.to_owned(), identity: identity.to_owned(), attribute: None }
    }

    /// The address of one of its attributes.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Self {
        Self { attribute: Some(name.to_owned()), ..self.clone() }
    }

    /// `kind:identity`, which is how a resource of the same role is named.
    pub fn local(&self) -> String {
        format!("{}:{}", self.kind, escape(&self.identity))
    }

    /// Reads an address. `role` is what an address without a role belongs to. None if it has no `kind:identity`.
    pub fn parse(text: &str, role: &str) -> Option<Self> {
        let colon = text.find(':')?;
        let (head, rest) = (&text[..colon], &text[colon + 1..]);
        let (role, kind) = head.rsplit_once('/').unwrap_or((role, head));
        let (identity, attribute) = split_attribute(rest);
        let named = !kind.is_empty() && !identity.is_empty();
        named.then(|| Self {
            role: role.to_owned(),
            kind: kind.to_owned(),
            identity: unescape(identity),
            attribute: attribute.map(str::to_owned),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.role, self.kind, escape(&self.identity))?;
        match &self.attribute {
            Some(attribute) => write!(f, "#{attribute}"),
            None => Ok(()),
        }
    }
}

fn escape(identity: &str) -> String {
    identity.replace('\\', "\\\\").replace('#', "\\#").replace('\n', "\\n").replace('\t', "\\t")
}

fn unescape(identity: &str) -> String {
    let mut out = String::with_capacity(identity.len());
    let mut chars = identity.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

fn split_attribute(text: &str) -> (&str, Option<&str>) {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '#' => return (&text[..at], Some(&text[at + 1..])),
            _ => {}
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_it_writes() {
        let shop = Address::parse("shop/port:8001/tcp", "x").unwrap();
        assert_eq!(shop, Address::new("shop", "port", "8001/tcp"));
        let file = Address::parse("file:/etc/a:b#mode", "nginx").unwrap();
        assert_eq!(file, Address::new("nginx", "file", "/etc/a:b").attribute("mode"));
        assert_eq!(file.to_string(), "nginx/file:/etc/a:b#mode");
        assert_eq!(Address::parse("nginx", "x"), None);
        assert_eq!(Address::parse(":x", "x"), None);
    }

    proptest! {
        #[test]
        fn any_identity_survives(identity in "[^\0]{1,20}") {
            let address = Address::new("r", "file", &identity);
            prop_assert_eq!(Address::parse(&address.to_string(), "other"), Some(address));
        }
    }
}
