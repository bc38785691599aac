//! Connection settings from the command line, `user=root,become=false`: for a host that was just rebuilt, or is reached in
//! another way today. They are nearer than anything in the inventory.

use std::path::Path;
use std::sync::Arc;

use super::connection_keys::{self, Paths};
use super::model::Host;
use super::yaml::{Data, Node, Scalar};
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::span::{Source, Span};

/// The flag, as messages name it.
const FLAG: &str = "--connect";

/// Sets what `texts` say in the connections of these hosts. Relative paths begin at `here`, `~/` is `home`.
///
/// # Errors
/// A setting that there is none of, a value that means nothing, one address for several hosts. No connection is changed then.
pub fn set(texts: &[String], here: &Path, home: Option<&Path>, hosts: &mut [&mut Host]) -> Result<(), Diagnostics> {
    let paths = Paths { root: here, home };
    let mut found = Diagnostics::new();
    let mut settings: Vec<(String, Node)> = Vec::new();
    for text in texts {
        read(&Source::new(FLAG, text.as_str()), hosts.len(), &mut settings, &mut found);
    }
    let mut trial = super::connection::Connection::default();
    for (key, node) in &settings {
        connection_keys::set(&mut trial, key, node, paths, &mut found);
    }
    if found.has_errors() {
        return Err(found);
    }
    for host in hosts {
        for (key, node) in &settings {
            connection_keys::set(&mut host.connection, key, node, paths, &mut found);
        }
    }
    Ok(())
}

/// Reads the settings of one text. A part without `=` goes on with the value before it: `proxy_jump=a,b`.
fn read(source: &Arc<Source>, hosts: usize, settings: &mut Vec<(String, Node)>, found: &mut Diagnostics) {
    let begun = settings.len();
    let mut start = 0;
    for part in source.text.split(',') {
        let (at, end) = (start, start + part.len());
        start = end + 1;
        let Some((key, _)) = part.split_once('=') else {
            let last = settings.get_mut(begun..).and_then(<[_]>::last_mut).filter(|_| !part.is_empty());
            match last {
                Some((key, node)) if key == "proxy_jump" => extend(node, part),
                Some((key, node)) if key == "identity_file" => {
                    let item = scalar(source, at, end);
                    match &mut node.data {
                        Data::List(items) => items.push(item),
                        _ => *node = Node { span: node.span.clone(), data: Data::List(vec![node.clone(), item]) },
                    }
                }
                _ => found.push(
                    Diagnostic::error(&Span::new(source, at, end), format!("`{part}` does not give a setting a value"))
                        .hint("write `--connect user=root,become=false`"),
                ),
            }
            continue;
        };
        let span = Span::new(source, at, at + key.len());
        if !connection_keys::KEYS.contains(&key) {
            let what = "connection setting";
            found.push(Diagnostic::unknown(&span, what, key, connection_keys::KEYS.iter().copied()));
        } else if key == "address" && hosts > 1 {
            found.push(
                Diagnostic::error(&span, format!("one address cannot be that of {hosts} hosts"))
                    .hint("choose one host with --limit"),
            );
        } else {
            settings.push((key.to_owned(), scalar(source, at + key.len() + 1, end)));
        }
    }
}

fn scalar(source: &Arc<Source>, start: usize, end: usize) -> Node {
    let text = source.text[start..end].to_owned();
    Node { span: Span::new(source, start, end), data: Data::Scalar(Scalar { text, quoted: false }) }
}

fn extend(node: &mut Node, part: &str) {
    if let Data::Scalar(scalar) = &mut node.data {
        scalar.text.push(',');
        scalar.text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::connection::Connection;
    use crate::catalog::model::Host;
    use std::collections::BTreeMap;

    fn hosts(count: usize) -> Vec<Host> {
        let connection = Connection { user: Some("deploy".into()), become_other: true, ..Connection::default() };
        let span = Span::start_of(&Source::new("inventory.yml", ""));
        let (groups, roles, values) = (Vec::new(), Vec::new(), BTreeMap::new());
        let host = Host { name: "h".into(), span, groups, roles, connection, values };
        vec![host; count]
    }

    fn after(texts: &[&str], count: usize) -> Result<Connection, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let mut all = hosts(count);
        let mut chosen: Vec<&mut Host> = all.iter_mut().collect();
        set(&texts, Path::new("/here"), Some(Path::new("/home/me")), &mut chosen).map_err(|found| found.render())?;
        Ok(all.remove(0).connection)
    }

    #[test]
    fn what_is_given_wins_and_the_rest_stays() {
        let found = after(&["user=root,become=false", "port=2222"], 2).unwrap();
        assert_eq!((found.user.as_deref(), found.become_other, found.port), (Some("root"), false, Some(2222)));
        let found = after(&["become_user=app"], 1).unwrap();
        assert_eq!((found.user.as_deref(), found.become_other), (Some("deploy"), true));
        let found = after(&["proxy_jump=a,b@[::1]:22,address=2001:db8::1,identity_file=~/k,key"], 1).unwrap();
        assert_eq!(found.proxy_jump.as_deref(), Some("a,b@[::1]:22"));
        assert_eq!(found.address.as_deref(), Some("2001:db8::1"));
        assert_eq!(found.identity_file, [Path::new("/home/me/k"), Path::new("/here/key")]);
        assert_eq!(after(&["user=a", "user=b"], 1).unwrap().user.as_deref(), Some("b"), "the last one counts");
    }

    #[test]
    fn what_means_nothing_is_an_error_that_says_what_would() {
        for (text, said) in [
            ("usr=root", "did you mean `user`?"),
            ("user", "does not give a setting a value"),
            ("", "does not give a setting a value"),
            ("user=root,", "does not give a setting a value"),
            ("user=root,become", "does not give a setting a value"),
            ("user=-oProxyCommand=x", "cannot begin with `-`"),
            ("user=", "user"),
            ("port=0", "not a port"),
            ("become=yes", "boolean"),
            ("transport=telnet", "telnet"),
            ("=x", "connection setting"),
            ("address=192.0.2.1", "one address cannot be that of 2 hosts"),
        ] {
            let wrong = after(&[text], 2).expect_err(text);
            assert!(wrong.contains(said), "{text}: {wrong}");
        }
    }
}
