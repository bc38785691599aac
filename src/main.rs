//! The `snowmelt` program: arguments, one match on the verb, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use snowmelt::base::redact::Redactor;
use snowmelt::cli::{Cli, LogWriter};
use snowmelt::resource::result::exit;
use tracing_subscriber::EnvFilter;

/// Parsing and judging make and drop many small strings on several threads, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    report_panics();
    let cli = Cli::parse();
    let redactor = Redactor::default();
    log(cli.verbosity(), redactor.clone());
    let run = std::panic::AssertUnwindSafe(|| cli.run(redactor));
    match std::panic::catch_unwind(run) {
        Ok(code) => ExitCode::from(code),
        Err(_) => ExitCode::from(exit::USAGE),
    }
}

/// Says where the program broke, but not with what: the message of a panic may hold anything, a secret too.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
        eprintln!("error: snowmelt {} broke{place}", env!("CARGO_PKG_VERSION"));
        eprintln!("  = this is a defect of snowmelt, please report it with this line and what you ran");
    }));
}

/// Logs to standard error from the second `-v` on, or as `SNOWMELT_LOG` says.
fn log(verbosity: u8, redactor: Redactor) {
    let level = match verbosity {
        0 | 1 => "off",
        2 => "snowmelt=debug",
        _ => "snowmelt=trace",
    };
    let filter = EnvFilter::try_from_env("SNOWMELT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || LogWriter::new(redactor.clone())).init();
}
