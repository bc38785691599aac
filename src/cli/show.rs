//! `snowmelt show`: what is declared for a host, rendered, and where each value came from.

use std::sync::Arc;

use super::args::{Global, Set};
use super::failure::Failure;
use super::output::Screen;
use super::{End, project};
use crate::base::nearest;
use crate::report::shown;
use crate::resource::result::exit;

const EXAMPLES: &str = "\
Examples:
  snowmelt show web001.example.com
  snowmelt show web001.example.com nginx
  snowmelt show web001.example.com nginx/file:/etc/nginx/nginx.conf";

/// Show what is declared for a host, rendered, with where each value came from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The host
    host: String,
    /// Only this: role/kind:identity, an id, or a role
    address: Option<String>,
    #[command(flatten)]
    set: Set,
}

/// Shows it; no host is contacted.
pub(super) fn run(args: &Args, global: &Global, screen: &Screen) -> End {
    let project = Arc::new(project::load(global, &args.set, screen)?.project);
    let Some(host) = project.hosts.iter().find(|host| host.name == args.host) else {
        let known = project.hosts.iter().map(|host| host.name.as_str());
        let hint = nearest::hint(&args.host, known).unwrap_or_else(|| "`snowmelt hosts` lists them".to_owned());
        return Err(Failure::new(format!("unknown host `{}`", args.host), hint));
    };
    let shown = project::resolver(&project, &global.identity, screen).show(host, None, args.address.as_deref())?;
    screen.print(&shown::render(&shown, &screen.options));
    Ok(exit::FINE)
}
