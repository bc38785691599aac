//! Changes of the text of a file of secrets: one entry at a time, everything else (comments, order, spelling) left as it is.
//!
//! Pure: text in, text out. Every change is read back and compared before it counts, so that a file written in an unusual way
//! is refused rather than spoiled.

use super::super::yaml::{self, Key, Node};
use crate::base::span::Source;

/// Where a ciphertext stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place<'a> {
    /// A key of the file itself: `digest_key`, `identity`.
    Top(&'a str),
    /// A secret by its name.
    Secret(&'a str),
    /// A file by its path; what is put there stands for its ciphertext.
    File(&'a str),
}

impl<'a> Place<'a> {
    /// The section it is in, if it is in one, and its name there.
    fn parts(self) -> (Option<&'static str>, &'a str) {
        match self {
            Self::Top(name) => (None, name),
            Self::Secret(name) => (Some("secrets"), name),
            Self::File(path) => (Some("files"), path),
        }
    }
}

/// The text with this ciphertext at its place, added or replaced.
///
/// # Errors
/// The file is written in a way that cannot be changed here; what to do, as a lowercase fragment.
pub fn put(text: &str, place: Place<'_>, armored: &str) -> Result<String, String> {
    let before = read(text)?;
    let unusual = || "it is written in a form that cannot be changed here: write a map a line per key".to_owned();
    let changed = match place.parts() {
        (None, name) => match before.entry(name) {
            Some((key, _)) => replaced(text, key, armored),
            None => Some(format!("{}{}", ended(text), block("", name, armored))),
        },
        (Some(section), name) => match before.entry(section) {
            None => Some(format!("{}{section}:\n{}", ended(text), block("  ", name, armored))),
            Some((section, entries)) => match entries.entry(name) {
                Some((key, _)) => replaced(text, key, armored),
                None => added(text, section, entries, name, armored),
            },
        },
    };
    let changed = changed.ok_or_else(unusual)?;
    let after = read(&changed).map_err(|_| unusual())?;
    if values(&after) == expected(values(&before), place, armored) { Ok(changed) } else { Err(unusual()) }
}

/// The text of a new file.
pub fn begin(scope: &str, recipients: &[String]) -> String {
    let mut text = format!(
        "# The secrets of {scope}: `snowmelt secret` writes this file. Who may read them is said here; after a\n"
    );
    text.push_str(&format!("# change of it: snowmelt secret rekey {scope}\nrecipients:\n"));
    for recipient in recipients {
        text.push_str(&format!("  - {recipient}\n"));
    }
    text
}

fn read(text: &str) -> Result<Node, String> {
    yaml::parse(&Source::new("secrets", text)).map_err(|found| found.render())
}

/// An entry: a value of one line beside its key, others below it.
fn block(indent: &str, name: &str, value: &str) -> String {
    let value = value.trim();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    // What JSON quotes, YAML understands.
    let name = if name.chars().all(is_plain) { name.to_owned() } else { serde_json::Value::from(name).to_string() };
    if !value.contains('\n') {
        return format!("{indent}{name}: \"{value}\"\n");
    }
    let mut out = format!("{indent}{name}: |\n");
    for line in value.lines() {
        out.push_str(&format!("{indent}  {line}\n"));
    }
    out
}

/// The lines of an entry, from its key to the last line that belongs to it, replaced.
fn replaced(text: &str, key: &Key, armored: &str) -> Option<String> {
    let (start, end, indent) = extent(text, key)?;
    Some(format!("{}{}{}", &text[..start], block(indent, &key.text, armored), &text[end..]))
}

fn added(text: &str, section: &Key, secrets: &Node, name: &str, armored: &str) -> Option<String> {
    let (at, indent) = match secrets.entries().and_then(<[_]>::last) {
        Some((last, _)) => {
            let (_, end, indent) = extent(text, last)?;
            (end, indent)
        }
        None => {
            let (start, end, _) = extent(text, section)?;
            // Also where it is written as `{}`.
            let entry = block("  ", name, armored);
            return Some(format!("{}{}:\n{entry}{}", &text[..start], section.text, &text[end..]));
        }
    };
    Some(format!("{}{}{}", ended(&text[..at]), block(indent, name, armored), &text[at..]))
}

/// Where an entry begins and ends, in whole lines, and how far it is indented; none if something stands before its key.
fn extent<'a>(text: &'a str, key: &Key) -> Option<(usize, usize, &'a str)> {
    let start = text[..key.span.start()].rfind('\n').map_or(0, |at| at + 1);
    let indent = &text[start..key.span.start()];
    if !indent.chars().all(|c| c == ' ') {
        return None;
    }
    let mut end = start + text[start..].find('\n').map_or(text.len() - start, |at| at + 1);
    let mut at = end;
    for line in text[end..].split_inclusive('\n') {
        at += line.len();
        let depth = line.len() - line.trim_start_matches(' ').len();
        if line.trim().is_empty() {
            continue;
        }
        if depth <= indent.len() {
            break;
        }
        end = at;
    }
    Some((start, end, indent))
}

fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

/// All texts of a file with where they stand.
fn values(node: &Node) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (key, value) in node.entries().unwrap_or_default() {
        match (value.entries(), value.as_list()) {
            (Some(entries), _) => {
                all.extend(entries.iter().map(|(own, value)| (format!("{}/{}", key.text, own.text), text_of(value))))
            }
            (_, Some(items)) => all.extend(items.iter().map(|item| (key.text.clone(), text_of(item)))),
            _ if value.is_null() => {}
            _ => all.push((key.text.clone(), text_of(value))),
        }
    }
    all.sort();
    all
}

fn text_of(node: &Node) -> String {
    node.as_text().unwrap_or_default().trim().to_owned()
}

fn expected(mut before: Vec<(String, String)>, place: Place<'_>, armored: &str) -> Vec<(String, String)> {
    let key = match place.parts() {
        (None, name) => name.to_owned(),
        (Some(section), name) => format!("{section}/{name}"),
    };
    before.retain(|(known, _)| *known != key);
    before.push((key, armored.trim().to_owned()));
    before.sort();
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARMOR: &str = "-----BEGIN AGE ENCRYPTED FILE-----\nbmV3\n-----END AGE ENCRYPTED FILE-----\n";
    const NEW: &str =
        "  db: |\n    -----BEGIN AGE ENCRYPTED FILE-----\n    bmV3\n    -----END AGE ENCRYPTED FILE-----\n";

    #[test]
    fn an_entry_is_added_or_replaced_and_the_rest_stays() {
        let head = "# ours\nrecipients:\n  - age1x # ada\n";
        for (before, after) in [
            (head.to_owned(), format!("{head}secrets:\n{NEW}")),
            (format!("{head}secrets:\n"), format!("{head}secrets:\n{NEW}")),
            (format!("{head}secrets: {{}}\n# end"), format!("{head}secrets:\n{NEW}# end")),
            (format!("{head}secrets:\n  db: old"), format!("{head}secrets:\n{NEW}")),
            (
                format!("{head}secrets:\n  # first\n  db: |\n    a\n\n    b\n\n  # second\n  api: x\n"),
                format!("{head}secrets:\n  # first\n{NEW}\n  # second\n  api: x\n"),
            ),
            (
                "secrets:\n  api: |\n    x\n\n# who\nrecipients: [a]\n".to_owned(),
                format!("secrets:\n  api: |\n    x\n{NEW}\n# who\nrecipients: [a]\n"),
            ),
        ] {
            assert_eq!(put(&before, Place::Secret("db"), ARMOR), Ok(after), "{before}");
        }
        let top = put(head, Place::Top("digest_key"), ARMOR).unwrap();
        assert!(top.starts_with(head) && top.contains("\ndigest_key: |\n  -----BEGIN"), "{top}");
        assert_eq!(put(&top, Place::Top("digest_key"), ARMOR), Ok(top));
    }

    #[test]
    fn a_file_stands_in_one_line_whatever_its_name() {
        let head = "recipients: [age1x]\n# ours\nfiles:\n  roles/a/files/x.age: # theirs\n";
        let path = "roles/a/files/it's: \"x\" # y.age";
        let text = put(head, Place::File(path), "0123456789ab").unwrap();
        assert_eq!(text, format!("{head}  \"roles/a/files/it's: \\\"x\\\" # y.age\": \"0123456789ab\"\n"));
        let text = put(&text, Place::File(path), "ba9876543210").unwrap();
        let text = put(&text, Place::File("roles/a/files/x.age"), "12e4").unwrap();
        let files = read(&text).unwrap();
        let file = |path: &str| files.get("files").and_then(|files| files.get(path)?.as_text().map(str::to_owned));
        assert_eq!(file(path).as_deref(), Some("ba9876543210"));
        assert_eq!(file("roles/a/files/x.age").as_deref(), Some("12e4"));
        assert!(put("files: [x]\n", Place::File(path), "x").is_err());
    }

    #[test]
    fn what_it_cannot_change_it_leaves_alone() {
        for text in [
            "secrets: {api: x}\n",
            "secrets: {db: x}\n",
            "secrets: [x]\n",
            "{recipients: [a], secrets: {db: x}}\n",
            "a: [",
            "x: &a {db: x}\nsecrets: *a\n",
        ] {
            assert!(put(text, Place::Secret("db"), ARMOR).is_err(), "{text}");
        }
    }

    #[test]
    fn a_new_file_can_be_read() {
        let text = begin("shop", &["age1x".to_owned(), "ssh-ed25519 AAAA ada@there".to_owned()]);
        let node = read(&text).unwrap();
        assert_eq!(node.get("recipients").and_then(Node::as_list).map(<[_]>::len), Some(2));
    }
}
