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
    /// Which one, counted from 1, where a spec checks the same thing several times: `file:/etc/motd~2`.
    pub nth: u32,
    /// One attribute of it; none for the resource as a whole.
    pub attribute: Option<String>,
}

impl Address {
    /// The address of a resource.
    pub fn new(role: &str, kind: &str, identity: &str) -> Self {
        Self { role: role.to_owned(), kind: kind.to_owned(), identity: identity.to_owned(), nth: 1, attribute: None }
    }

    /// The address of one of its attributes.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Self {
        Self { attribute: Some(name.to_owned()), ..self.clone() }
    }

    /// `kind:identity`, which is how a resource of the same role is named.
    pub fn local(&self) -> String {
        let nth = if self.nth > 1 { format!("~{}", self.nth) } else { String::new() };
        format!("{}:{}{nth}", self.kind, escape(&self.identity))
    }

    /// Reads an address. `role` is what an address without a role belongs to. None if it has no `kind:identity`.
    pub fn parse(text: &str, role: &str) -> Option<Self> {
        let colon = text.find(':')?;
        let (head, rest) = (&text[..colon], &text[colon + 1..]);
        let (role, kind) = head.rsplit_once('/').unwrap_or((role, head));
        let (identity, attribute) = split_attribute(rest);
        let (identity, nth) = split_nth(identity);
        let named = !kind.is_empty() && !identity.is_empty();
        named.then(|| Self {
            role: role.to_owned(),
            kind: kind.to_owned(),
            identity: unescape(identity),
            nth,
            attribute: attribute.map(str::to_owned),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.role, self.local())?;
        match &self.attribute {
            Some(attribute) => write!(f, "#{attribute}"),
            None => Ok(()),
        }
    }
}

fn escape(identity: &str) -> String {
    let escaped = identity.replace('\\', "\\\\").replace('#', "\\#").replace('\n', "\\n").replace('\t', "\\t");
    // An identity that ends as if it were numbered.
    match split_nth(&escaped) {
        (head, nth) if nth > 1 => format!("{head}\\{}", &escaped[head.len()..]),
        _ => escaped,
    }
}

/// Takes a number such as `~2` off an escaped identity.
fn split_nth(identity: &str) -> (&str, u32) {
    let numbered = identity.rsplit_once('~').filter(|(head, _)| !head.is_empty() && !head.ends_with('\\'));
    let canonical = |digits: &str| digits.parse().ok().filter(|nth: &u32| *nth > 1 && nth.to_string() == digits);
    match numbered.and_then(|(head, digits)| Some((head, canonical(digits)?))) {
        Some((head, nth)) => (head, nth),
        None => (identity, 1),
    }
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
        let second = Address { nth: 2, ..Address::new("nginx", "file", "/etc/a") };
        assert_eq!(second.attribute("mode").to_string(), "nginx/file:/etc/a~2#mode");
        assert_eq!(Address::parse("nginx/file:/etc/a~2", "x"), Some(second));
        assert_eq!(Address::new("nginx", "file", "/etc/a~2").to_string(), r"nginx/file:/etc/a\~2");
        assert_eq!(Address::parse("nginx", "x"), None);
        assert_eq!(Address::parse(":x", "x"), None);
    }

    proptest! {
        #[test]
        fn any_identity_survives(identity in "[^\0]{1,20}(~[0-9]{1,3})?") {
            let address = Address::new("r", "file", &identity);
            prop_assert_eq!(Address::parse(&address.to_string(), "other"), Some(address));
        }
    }
}
