//! `snowmelt hosts`: who is in the inventory.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::args::{Global, Limit, Set};
use super::output::Screen;
use super::{End, project};
use crate::base::clean;
use crate::catalog::connection::TransportKind;
use crate::catalog::model::Host;
use crate::resource::result::exit;

const EXAMPLES: &str = "\
Examples:
  snowmelt hosts
  snowmelt hosts -l 'group:web,!web003*'
  snowmelt hosts -q -l role:nginx       names only, for scripts";

/// List hosts, how they are reached, and their roles
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    limit: Limit,
}

/// Lists the hosts.
pub(super) fn run(args: &Args, global: &Global, screen: &Screen) -> End {
    let loaded = project::load(global, &Set::default(), screen)?;
    let project = &loaded.project;
    let chosen = project::select(project, &args.limit)?;
    let hosts: Vec<&Host> = chosen.iter().filter_map(|index| project.hosts.get(*index)).collect();
    screen.print(&if global.quiet { names(&hosts) } else { table(&hosts) });
    Ok(exit::FINE)
}

fn names(hosts: &[&Host]) -> String {
    hosts.iter().map(|host| format!("{}\n", clean::line(&host.name))).collect()
}

fn table(hosts: &[&Host]) -> String {
    let rows: Vec<[String; 4]> = hosts
        .iter()
        .map(|host| {
            let roles: Vec<&str> = host.roles.iter().map(|role| role.instance.as_str()).collect();
            let cells = [host.name.clone(), reached(host), roles.join(", "), host.groups.join(", ")];
            cells.map(|cell| clean::line(&cell).into_owned())
        })
        .collect();
    let head = ["host", "reached by", "roles", "groups"].map(str::to_owned);
    let all: Vec<&[String; 4]> = std::iter::once(&head).chain(&rows).collect();
    let widths = [0, 1, 2].map(|column| all.iter().map(|row| row[column].width()).max().unwrap_or(0));
    let mut out = String::new();
    for row in all {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell}{:fill$}  ", "", fill = width - cell.width());
        }
        line.push_str(&row[3]);
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let noun = if rows.len() == 1 { "host" } else { "hosts" };
    let _ = writeln!(out, "{} {noun}", rows.len());
    out
}

/// `local`, or `ssh deploy@192.0.2.41:2222`, as far as the inventory says.
fn reached(host: &Host) -> String {
    let connection = &host.connection;
    if connection.transport == TransportKind::Local {
        return "local".to_owned();
    }
    let user = connection.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let port = connection.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("ssh {user}{}{port}", connection.address.as_ref().unwrap_or(&host.name))
}
