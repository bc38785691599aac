//! `snowmelt show`: what is declared for a host, rendered, and where each value came from.

use super::args::{Global, Set};
use super::output::Screen;
use super::{End, project};

const EXAMPLES: &str = "\
Examples:
  snowmelt show web001.example.com
  snowmelt show web001.example.com nginx/file:/etc/nginx/nginx.conf";

/// Show what is declared for a host, rendered, with where each value came from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The host
    host: String,
    /// One resource: role/kind:identity
    address: Option<String>,
    #[command(flatten)]
    set: Set,
}

/// Shows it.
pub(super) fn run(args: &Args, global: &Global, screen: &Screen) -> End {
    let mut project = project::load(global)?;
    project::set_values(&mut project, &args.set)?;
    let shown = project::show(&project, &args.host, args.address.as_deref())?;
    screen.print(&shown);
    Ok(crate::resource::result::exit::FINE)
}
