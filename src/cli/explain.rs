//! `snowmelt explain`: the kinds and their pages.

use std::fmt::Write as _;

use super::End;
use super::failure::Failure;
use super::output::Screen;
use crate::base::nearest;
use crate::kinds;
use crate::report::page;
use crate::resource::result::exit;

/// Explain the kinds of things that can be declared and checked
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  snowmelt explain\n  snowmelt explain file")]
pub(super) struct Args {
    /// A kind; without it, all are listed
    kind: Option<String>,
}

/// Shows a page, or the list of pages.
pub(super) fn run(args: &Args, screen: &Screen) -> End {
    let Some(name) = &args.kind else {
        screen.print(&list());
        return Ok(exit::FINE);
    };
    let Some(kind) = kinds::find(name) else {
        let known = kinds::ALL.iter().map(|kind| kind.table().name);
        return Err(Failure::new(format!("unknown kind `{name}`"), nearest::hint(name, known).unwrap_or_default()));
    };
    screen.print(&page::render(kind.table()));
    Ok(exit::FINE)
}

fn list() -> String {
    let tables = || kinds::ALL.iter().map(|kind| kind.table());
    let width = tables().map(|table| table.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for table in tables() {
        let _ = writeln!(out, "{:width$}  {}", table.name, table.summary);
    }
    out.push_str("\nsnowmelt explain KIND shows the page of one\n");
    out
}
