//! What is declared for one host, as text for people: roles, values with where they come from, resources as they were rendered.

use std::fmt::Write as _;

use super::Options;
use super::text::{Paint, Tone};
use crate::base::clean;
use crate::catalog::origins::{Shown, ShownResource, ShownRole};

/// Renders it.
pub fn render(shown: &Shown, options: &Options) -> String {
    let paint = Paint { color: options.color };
    let mut out = format!("{}\n", paint.bold(&clean::line(&shown.host)));
    for role in &shown.roles {
        write_role(&mut out, role, &paint);
    }
    for resource in &shown.resources {
        write_resource(&mut out, resource, &paint);
    }
    if shown.incomplete {
        let _ = writeln!(out, "\n{}", paint.dim("what depends on the host's facts is not shown"));
    }
    out
}

fn write_role(out: &mut String, role: &ShownRole, paint: &Paint) {
    let of = if role.role == role.instance { String::new() } else { format!(" (role {})", role.role) };
    let head = format!("role {}{of}", role.instance);
    let _ = writeln!(out, "\n{}  {}", paint.bold(&clean::line(&head)), paint.dim(&clean::line(&role.place)));
    for value in &role.values {
        let origins: Vec<String> = value.origins.iter().map(|(who, place)| format!("{who} {place}")).collect();
        let text = clean::lines(&value.value).replace('\n', "\n      ");
        let _ = writeln!(out, "  {}: {text}", clean::line(&value.name));
        let _ = writeln!(out, "      {}", paint.dim(&clean::line(&origins.join(", "))));
    }
}

fn write_resource(out: &mut String, resource: &ShownResource, paint: &Paint) {
    let check = if resource.is_check { " (check)" } else { "" };
    let id = resource.id.as_ref().map(|id| format!(" (id {id})")).unwrap_or_default();
    let head = format!("{}{check}{id}", resource.address);
    let _ = writeln!(out, "\n{}  {}", paint.bold(&clean::line(&head)), paint.dim(&clean::line(&resource.place)));
    for (name, value) in &resource.attributes {
        let text = clean::lines(value);
        match text.trim_end_matches('\n') {
            many if many.contains('\n') => {
                let _ = writeln!(out, "  {}: |\n    {}", clean::line(name), many.replace('\n', "\n    "));
            }
            one => {
                let _ = writeln!(out, "  {}: {one}", clean::line(name));
            }
        }
    }
    for (watched, members) in &resource.watches {
        let members = if members.is_empty() { "nothing declared".to_owned() } else { members.join(", ") };
        let _ = writeln!(out, "  watches {}: {}", clean::line(watched), clean::line(&members));
    }
    if let Some(why) = &resource.blocked {
        let _ = writeln!(out, "  {}", paint.tone(Tone::Doubt, &format!("unknown: {}", clean::line(why))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::origins::ShownValue;

    #[test]
    fn values_and_resources_stand_with_where_they_come_from() {
        let value = ShownValue {
            name: "workers".into(),
            value: "8".into(),
            origins: vec![("host web3".into(), "inventory.yml:9:5".into())],
        };
        let role = ShownRole {
            instance: "shop".into(),
            role: "app".into(),
            place: "inventory.yml:3:5".into(),
            values: vec![value],
        };
        let resource = ShownResource {
            address: "shop/file:/etc/shop".into(),
            id: None,
            is_check: true,
            place: "specs/app.yml:2:5".into(),
            attributes: vec![("mode".into(), "0644".into()), ("content".into(), "a\n\u{1b}b\n".into())],
            watches: vec![("/etc/**".into(), vec![])],
            blocked: Some("no key for shop/db".into()),
        };
        let shown = Shown { host: "web3".into(), roles: vec![role], resources: vec![resource], incomplete: true };
        assert_eq!(
            render(&shown, &Options::default()),
            "web3\n\nrole shop (role app)  inventory.yml:3:5\n  workers: 8\n      host web3 inventory.yml:9:5\n\n\
             shop/file:/etc/shop (check)  specs/app.yml:2:5\n  mode: 0644\n  content: |\n    a\n    \\x1bb\n  \
             watches /etc/**: nothing declared\n  unknown: no key for shop/db\n\n\
             what depends on the host's facts is not shown\n"
        );
    }
}
