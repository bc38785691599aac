//! The page of a kind, as Markdown: what it is, what can be written, and examples that are proven on real hosts.
//!
//! Everything in it comes from the kind's own file, so a page cannot be out of date.

use std::fmt::Write as _;

use crate::resource::attribute::{Attribute, Side, Type};
use crate::resource::kind::Table;

/// Renders the page.
pub fn render(table: &Table) -> String {
    let mut out = format!("# {}\n\n", table.name);
    let about: Vec<&str> = table.source.lines().map_while(|line| line.strip_prefix("//!")).collect();
    for line in &about {
        let _ = writeln!(out, "{}", line.strip_prefix(' ').unwrap_or(line));
    }
    if about.is_empty() {
        let _ = writeln!(out, "{}", table.summary);
    }
    let place = match (table.in_roles, table.in_specs) {
        (true, true) => "In roles and specs.",
        (true, false) => "In roles.",
        (false, true) => "In specs.",
        (false, false) => "",
    };
    let state = if table.has_state { " `state` is `present` (the default) or `absent`." } else { "" };
    let _ = writeln!(out, "\n{place}{state}\n\n## Attributes\n");
    let identity = &table.identity;
    let _ = writeln!(out, "- `{}`: the {}, {}. {}", table.name, identity.name, type_words(&identity.ty), identity.doc);
    for attribute in table.attributes {
        let _ = writeln!(
            out,
            "- `{}`: {}{}. {}",
            attribute.name,
            type_words(&attribute.ty),
            side(attribute),
            attribute.doc
        );
    }
    if !table.examples.is_empty() {
        out.push_str("\n## Examples\n");
    }
    for example in table.examples {
        let _ = writeln!(out, "\n```yaml\n{}\n```", example.yaml.trim_matches('\n'));
    }
    out
}

fn side(attribute: &Attribute) -> &'static str {
    match attribute.side {
        Side::State | Side::Setting => "",
        Side::Check => ", in specs",
        Side::Act => ", in roles",
    }
}

fn type_words(ty: &Type) -> String {
    match ty {
        Type::Text => "a string".to_owned(),
        Type::Int => "a whole number".to_owned(),
        Type::Bool => "`true` or `false`".to_owned(),
        Type::Path => "an absolute path".to_owned(),
        Type::Mode => "quoted octal permissions such as `\"0644\"`".to_owned(),
        Type::Enum(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Type::Version => "a version or constraints such as `\">=1.18\"`".to_owned(),
        Type::Duration => "a time such as `10s`".to_owned(),
        Type::Command => "a shell command".to_owned(),
        Type::Content => "text".to_owned(),
        Type::Template => "a file below `templates/`".to_owned(),
        Type::Source => "a file or folder below `files/`".to_owned(),
        Type::Watch => "addresses, or paths on the host".to_owned(),
        Type::List(of) => format!("a list, each {}", type_words(of)),
        Type::Map(of) => format!("a map, each {}", type_words(of)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::kind::{Example, Identity};

    #[test]
    fn a_page_is_made_from_the_table_and_the_head_of_the_file() {
        const MODE: Attribute = Attribute::state("mode", Type::Mode, "Permissions.");
        const PARENTS: Attribute = Attribute::act("parents", Type::Bool, "Make parents.");
        let table = Table {
            name: "file",
            summary: "a regular file",
            source: "//! A regular file.\n//!\n//! Replaced atomically.\n\nuse x;\n//! not this\n",
            identity: Identity { name: "path", ty: Type::Path, doc: "Where it is." },
            in_roles: true,
            in_specs: true,
            has_state: true,
            attributes: &[MODE, PARENTS],
            examples: &[Example { yaml: "\n- file: /etc/motd\n", spoils: &[] }],
        };
        assert_eq!(
            render(&table),
            "# file\n\nA regular file.\n\nReplaced atomically.\n\nIn roles and specs. `state` is `present` (the default) or \
             `absent`.\n\n## Attributes\n\n- `file`: the path, an absolute path. Where it is.\n- `mode`: quoted octal \
             permissions such as `\"0644\"`. Permissions.\n- `parents`: `true` or `false`, in roles. Make parents.\n\n\
             ## Examples\n\n```yaml\n- file: /etc/motd\n```\n"
        );
    }
}
