//! What the terminal is like, and how reports get where they belong.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use super::args::{Color, Global, Report, Target};
use super::failure::Failure;
use super::prompt::Person;
use crate::base::clean;
use crate::base::redact::Redactor;
use crate::report::{self, Options};
use crate::resource::result::{RunResult, exit};

/// Columns where no terminal says how many there are.
const WIDTH: usize = 100;

/// The terminal, or what stands in its place.
#[derive(Clone, Debug)]
pub(super) struct Screen {
    /// How text is to be rendered for standard output.
    pub(super) options: Options,
    /// Whether standard output is a terminal.
    pub(super) stdout_is_terminal: bool,
    /// Whether somebody can be asked.
    pub(super) can_ask: bool,
    /// Whether progress may be shown on standard error.
    pub(super) shows_progress: bool,
    /// Takes secrets out of all that is written.
    pub(super) redactor: Redactor,
    /// Who can be asked.
    pub(super) person: Person,
    stderr_color: bool,
}

impl Screen {
    /// Looks at the environment.
    pub(super) fn new(global: &Global, redactor: Redactor) -> Self {
        let env = |name: &str| std::env::var(name).ok();
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let stdout_is_terminal = stdout.is_terminal();
        let ci = is_ci(&env);
        let options = Options {
            color: is_colored(global.color, stdout_is_terminal, &env),
            width: width(&stdout, &env),
            verbose: global.verbose > 0,
            no_diffs: false,
            quiet: global.quiet,
            ci,
        };
        Self {
            options,
            stdout_is_terminal,
            can_ask: io::stdin().is_terminal() && (stdout_is_terminal || stderr.is_terminal()),
            // Log lines and a progress line would tear each other apart.
            shows_progress: stderr.is_terminal() && !ci && !global.quiet && global.verbose < 2,
            redactor,
            person: Person::default(),
            stderr_color: is_colored(global.color, stderr.is_terminal(), &env),
        }
    }

    /// Writes to standard output. Nobody reading any more is no error: a run that acts must not die of `| head`.
    pub(super) fn print(&self, text: &str) {
        write_quietly(&mut io::stdout().lock(), &self.redactor.redact(text));
    }

    /// Writes to standard error.
    pub(super) fn print_error(&self, text: &str) {
        write_quietly(&mut io::stderr().lock(), &self.redactor.redact(text));
    }

    /// Shows why a verb could not begin.
    pub(super) fn complain(&self, failure: &Failure) {
        let text = failure.text();
        match text.strip_prefix("error") {
            Some(rest) if self.stderr_color => self.print_error(&format!("\u{1b}[1;31merror\u{1b}[0m{rest}")),
            _ => self.print_error(text),
        }
    }

    /// Writes all reports of a run and says what the program ends with.
    pub(super) fn deliver(&self, run: &RunResult, reports: &[Report], options: &Options) -> u8 {
        let mut code = run.exit_code();
        let run = &*self.redacted(run);
        if !reports.iter().any(|report| report.target == Target::Stdout) {
            self.print(&report::FORMATS[0].render(run, options));
        }
        for report in reports {
            if let Err((path, error)) = self.write_report(run, report, options) {
                let place = clean::line(&path).into_owned();
                self.complain(&Failure::new(format!("cannot write the report {place}: {error}"), ""));
                code = if code == exit::FINE { exit::USAGE } else { code };
            }
        }
        code
    }

    /// A run without secrets. What is written is looked at once more; but a report wraps, escapes and shortens.
    pub(super) fn redacted<'a>(&self, run: &'a RunResult) -> Cow<'a, RunResult> {
        if self.redactor.knows_nothing() {
            return Cow::Borrowed(run);
        }
        let mut run = run.clone();
        run.each_text(&mut |text| {
            if let Cow::Owned(redacted) = self.redactor.redact(text) {
                *text = redacted;
            }
        });
        Cow::Owned(run)
    }

    fn write_report(&self, run: &RunResult, report: &Report, options: &Options) -> Result<(), (String, io::Error)> {
        // A file is read by other programs, later: no colour, and no width of this terminal.
        let plain = Options { color: false, width: WIDTH, ..options.clone() };
        match &report.target {
            Target::Stdout => self.print(&report.format.render(run, options)),
            Target::File(path) => {
                write_file(path, self.redactor.redact(&report.format.render(run, &plain)).as_bytes())?
            }
            Target::Folder(folder) => {
                for (name, text) in report.format.render_each(run, &plain) {
                    write_file(&folder.join(name), self.redactor.redact(&text).as_bytes())?;
                }
            }
        }
        Ok(())
    }
}

/// Takes the pieces of one message of a log and writes it, redacted, when it is whole: a secret may lie across two pieces.
#[derive(Debug)]
pub struct LogWriter<W: Write = io::Stderr> {
    redactor: Redactor,
    message: Vec<u8>,
    out: W,
}

impl LogWriter {
    /// For one message on standard error.
    pub fn new(redactor: Redactor) -> Self {
        Self { redactor, message: Vec::new(), out: io::stderr() }
    }
}

impl<W: Write> Write for LogWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.message.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for LogWriter<W> {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.message);
        // There is no better place left to say that it failed.
        let _ = self.out.write_all(self.redactor.redact(&text).as_bytes()).and_then(|()| self.out.flush());
    }
}

/// Finds out before a run whether its reports can be written, and makes their folders.
///
/// # Errors
/// Which one cannot be, and why; also when two want standard output.
pub(super) fn prepare(reports: &[Report]) -> Result<(), Failure> {
    if reports.iter().filter(|report| report.target == Target::Stdout).count() > 1 {
        return Err(Failure::new("two reports cannot share standard output", "give one a file: --report junit=x.xml"));
    }
    for report in reports {
        let folder = match &report.target {
            Target::Stdout => continue,
            Target::File(path) if path.is_dir() => {
                let message = format!("{} is a folder", path.display());
                return Err(Failure::new(message, "a slash at its end writes one file per host into it"));
            }
            Target::File(path) => path.parent().unwrap_or(Path::new("")),
            Target::Folder(path) => path,
        };
        if !folder.as_os_str().is_empty() {
            std::fs::create_dir_all(folder).map_err(|error| {
                Failure::new(format!("cannot make the folder {} for a report: {error}", folder.display()), "")
            })?;
        }
    }
    Ok(())
}

/// Replaces a file in one step: whoever reads it sees the old or the new one.
///
/// # Errors
/// The path and what went wrong.
pub(super) fn write_file(path: &Path, text: impl AsRef<[u8]>) -> Result<(), (String, io::Error)> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        if path.exists() && !path.is_file() {
            // A device or a pipe (/dev/stderr, a process substitution) is written to, not replaced.
            return std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_ref());
        }
        let mut file = tempfile::Builder::new().prefix(".snowmelt-").tempfile_in(folder)?;
        file.write_all(text.as_ref())?;
        file.as_file().sync_all()?;
        readable_as_usual(file.as_file())?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    written().map_err(|error| (path.display().to_string(), error))
}

/// Temporary files are private; a report is an ordinary file that others (a web server, a CI agent) may read.
fn readable_as_usual(file: &std::fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn write_quietly(stream: &mut impl Write, text: &str) {
    // The only failure worth a word would be a full disk, and there is no better place left to say it.
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

fn is_colored(choice: Color, is_terminal: bool, env: &dyn Fn(&str) -> Option<String>) -> bool {
    let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if set("NO_COLOR") => false,
        Color::Auto if env("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") => true,
        Color::Auto => is_terminal && env("TERM").as_deref() != Some("dumb"),
    }
}

fn is_ci(env: &dyn Fn(&str) -> Option<String>) -> bool {
    let names = ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "TF_BUILD", "TEAMCITY_VERSION", "JENKINS_URL"];
    names.iter().any(|name| env(name).is_some_and(|value| !value.is_empty() && value != "false" && value != "0"))
}

fn width(stdout: &io::Stdout, env: &dyn Fn(&str) -> Option<String>) -> usize {
    let terminal = rustix::termios::tcgetwinsize(stdout).ok().map(|size| usize::from(size.ws_col));
    let told = || env("COLUMNS").and_then(|columns| columns.parse().ok());
    terminal.filter(|columns| *columns > 0).or_else(told).unwrap_or(WIDTH).clamp(40, 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn colour_is_decided_by_the_flag_then_the_environment_then_the_terminal() {
        assert!(is_colored(Color::Auto, true, &env(&[])));
        assert!(!is_colored(Color::Auto, false, &env(&[])));
        assert!(!is_colored(Color::Auto, true, &env(&[("NO_COLOR", "1")])));
        assert!(is_colored(Color::Auto, true, &env(&[("NO_COLOR", "")])), "an empty NO_COLOR does not count");
        assert!(is_colored(Color::Auto, false, &env(&[("CLICOLOR_FORCE", "1")])));
        assert!(!is_colored(Color::Auto, false, &env(&[("CLICOLOR_FORCE", "0")])));
        assert!(!is_colored(Color::Auto, true, &env(&[("TERM", "dumb")])));
        assert!(is_colored(Color::Always, false, &env(&[("NO_COLOR", "1")])));
        assert!(!is_colored(Color::Never, true, &env(&[("CLICOLOR_FORCE", "1")])));
    }

    #[test]
    fn ci_systems_are_known_by_their_variables() {
        assert!(is_ci(&env(&[("CI", "true")])) && is_ci(&env(&[("GITLAB_CI", "1")])));
        assert!(!is_ci(&env(&[("CI", "false")])) && !is_ci(&env(&[])));
    }

    #[test]
    fn a_secret_that_comes_in_pieces_does_not_get_into_the_log() {
        let redactor = Redactor::default();
        redactor.learn_bytes("tok-5f3a☃9c1e".as_bytes());
        let message = "before tok-5f3a☃9c1e between dG9rLTVmM2HimIM5YzFl after\n".as_bytes();
        for first in 0..message.len() {
            for second in (first..message.len()).step_by(7) {
                let mut written = Vec::new();
                let mut log = LogWriter { redactor: redactor.clone(), message: Vec::new(), out: &mut written };
                for piece in [&message[..first], &message[first..second], &message[second..]] {
                    log.write_all(piece).unwrap();
                    log.flush().unwrap();
                }
                drop(log);
                assert_eq!(String::from_utf8_lossy(&written), "before *** between *** after\n", "{first} {second}");
            }
        }
    }

    #[test]
    fn a_file_is_replaced_and_its_folder_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/report.xml");
        write_file(&path, "one").unwrap();
        write_file(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(write_file(&folder.path().join("file/x"), "").is_err());
    }

    #[test]
    fn what_cannot_be_written_is_found_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let to = |target: Target| Report { format: &report::FORMATS[1], target };
        assert!(prepare(&[to(Target::File(file.join("x.json")))]).is_err());
        assert!(prepare(&[to(Target::File(folder.path().into()))]).is_err());
        assert!(prepare(&[to(Target::Stdout), to(Target::Stdout)]).is_err());
        let deep = folder.path().join("new/deep/");
        assert_eq!(prepare(&[to(Target::Stdout), to(Target::Folder(deep.clone()))]), Ok(()));
        assert!(deep.is_dir());
    }
}
