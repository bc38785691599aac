//! The command line: arguments in, exit code out.
//!
//! [`crate::report`], what is done by [`crate::verbs`].

mod apply;
mod args;
mod demo;
mod editor;
mod embedded;
mod explain;
mod failure;
mod hosts;
mod init;
mod keys;
mod output;
mod plan;
mod progress;
mod project;
mod prompt;
mod revision;
mod run;
mod secret;
mod secret_file;
mod show;
mod verify;

use clap::{Parser, Subcommand};

use crate::base::redact::Redactor;
use crate::resource::result::exit;
use failure::Failure;
pub use output::LogWriter;
use output::Screen;

/// Keeps Linux servers as they were declared, and finds the ones that have drifted.
#[derive(Debug, Parser)]
#[command(name = "snowmelt", version, max_term_width = 100, after_help = EXAMPLES, propagate_version = false)]
pub struct Cli {
    #[command(flatten)]
    global: args::Global,
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  snowmelt demo                       see it work, on three sandboxes in a temporary folder
  snowmelt init servers               start a project
  snowmelt plan                       what would be done, everywhere
  snowmelt apply -l 'web*'            do it, after asking
  snowmelt verify --report junit=x.xml

Exit codes: 0 as declared or done, 1 something is not as it should be, 2 usage or
configuration error (nothing was touched), 3 something could not be told.";

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Args),
    Demo(demo::Args),
    Hosts(hosts::Args),
    Show(show::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    Verify(verify::Args),
    Run(run::Args),
    Secret(secret::Args),
    Explain(explain::Args),
}

impl Cli {
    /// How much is to be logged: the number of `-v`.
    pub fn verbosity(&self) -> u8 {
        self.global.verbose
    }

    /// Does what was asked for; a reason why it could not begin is shown. Nothing is written that the redactor knows.
    pub fn run(self, redactor: Redactor) -> u8 {
        let screen = Screen::new(&self.global, redactor);
        let global = &self.global;
        let end = match self.verb {
            Verb::Init(args) => init::run(&args, &screen),
            Verb::Demo(args) => demo::run(&args, &screen),
            Verb::Hosts(args) => hosts::run(&args, global, &screen),
            Verb::Show(args) => show::run(&args, global, &screen),
            Verb::Plan(args) => plan::run(&args, global, &screen),
            Verb::Apply(args) => apply::run(&args, global, &screen),
            Verb::Verify(args) => verify::run(&args, global, &screen),
            Verb::Run(args) => run::run(&args, global, &screen),
            Verb::Secret(args) => secret::run(&args, global, &screen),
            Verb::Explain(args) => explain::run(&args, &screen),
        };
        match end {
            Ok(code) => code,
            Err(failure) => {
                screen.complain(&failure);
                exit::USAGE
            }
        }
    }
}

/// What a verb ends with: an exit code, or a reason why it could not begin.
type End = Result<u8, Failure>;

#[cfg(test)]
mod tests;
