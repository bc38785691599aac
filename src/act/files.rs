//! The script of a step that writes files: guards first, then one `put` or `adjust` for each.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::payload::Payload;
use crate::base::quote;
use crate::resource::{FileWrite, Still, batch};

/// The shell of a step that writes these files. `after` holds, for each file, the steps of this act that may have made it in
/// the meantime: if one of them changed anything, what was observed says nothing any more.
///
/// # Errors
/// When the payload cannot hold it.
pub(super) fn script(
    number: usize,
    writes: &[FileWrite],
    after: &[Vec<usize>],
    payload: &mut Payload,
) -> std::io::Result<String> {
    let mut text = String::from("TOUCHED=\n");
    let _ = writeln!(text, "look_at {}", quote::words(folders(writes)));
    guards(&mut text, number, writes, after, payload)?;
    let written = writes.iter().filter(|write| write.content.is_some());
    let places: BTreeSet<&str> = written.flat_map(|write| [write.path.as_str(), split(&write.path).0]).collect();
    text.push_str(&batch::call("look_for_attributes", &Vec::from_iter(places)));
    for write in writes {
        let (folder, name) = split(&write.path);
        let (folder, name) = (quote::sh(folder), quote::sh(name));
        if write.parents {
            let _ = writeln!(text, "parents {folder}");
        }
        let word = |text: &Option<String>| quote::sh(text.as_deref().unwrap_or_default()).into_owned();
        let (owner, group, mode) = (word(&write.owner), word(&write.group), word(&write.mode));
        let adjust = format!("adjust {folder} {name} {owner} {group} {mode}\n");
        let Some(content) = &write.content else {
            text.push_str(&adjust);
            continue;
        };
        let blob = payload.add_blob(content)?;
        let default = if content.sensitive { "0600" } else { "0644" };
        let validate = write.validate.as_deref().map(|command| command.replace("%s", "\"$NEW\"")).unwrap_or_default();
        let validate = quote::sh(&validate);
        let put = format!("put \"$d/{blob}\" {folder} {name} {owner} {group} {mode} {default} {validate}\n");
        if write.if_missing {
            let path = quote::sh(&write.path);
            let _ = write!(text, "if [ -e {path} ]; then\n{adjust}else\n{put}fi\n");
        } else {
            text.push_str(&put);
        }
    }
    text.push_str("settle\n");
    Ok(text)
}

fn guards(
    text: &mut String,
    number: usize,
    writes: &[FileWrite],
    after: &[Vec<usize>],
    payload: &mut Payload,
) -> std::io::Result<()> {
    let mut conditions: Vec<&Vec<usize>> = after.iter().collect();
    conditions.sort();
    conditions.dedup();
    for (group, condition) in conditions.into_iter().enumerate() {
        let members: Vec<&FileWrite> =
            writes.iter().zip(after).filter(|(_, after)| *after == condition).map(|(write, _)| write).collect();
        let absent: Vec<&str> =
            members.iter().filter(|write| write.still == Still::Absent).map(|write| write.path.as_str()).collect();
        let sums: String = members
            .iter()
            .filter_map(|write| match write.still {
                Still::Digest(digest) => Some(sum_line(&digest.to_string(), &write.path)),
                _ => None,
            })
            .collect();
        let mut shell = String::new();
        if !absent.is_empty() {
            let _ = writeln!(shell, "still_absent {}", quote::words(absent));
        }
        if !sums.is_empty() {
            let name = format!("steps/{number}.{group}.sums");
            payload.add(&name, sums.as_bytes())?;
            let _ = writeln!(shell, "unchanged \"$d/{name}\"");
        }
        if shell.is_empty() {
            continue;
        }
        if condition.is_empty() {
            text.push_str(&shell);
        } else {
            let numbers: Vec<String> = condition.iter().map(usize::to_string).collect();
            let _ = writeln!(text, "if ! changed {}; then\n{shell}fi", numbers.join(" "));
        }
    }
    Ok(())
}

/// A line for `sha256sum -c`; a name with a backslash is escaped as sha256sum does.
fn sum_line(digest: &str, path: &str) -> String {
    if path.contains('\\') {
        return format!("\\{digest}  {}\n", path.replace('\\', "\\\\"));
    }
    format!("{digest}  {path}\n")
}

fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => ("/", path),
    }
}

/// The folders of these files and everything above them.
fn folders(writes: &[FileWrite]) -> BTreeSet<String> {
    let mut all = BTreeSet::from(["/".to_owned()]);
    for write in writes {
        let mut folder = split(&write.path).0;
        while folder != "/" && !folder.is_empty() {
            all.insert(folder.to_owned());
            folder = split(folder).0;
        }
    }
    all
}
