//! `snowmelt demo`: the main job on three sandboxes, for someone who sees it for the first time.
//!
//! Engine, scripts and files are the real ones; only the hosts are folders behind the local transport. Every stage is held
//! against what it promises, and the demo fails if one does not keep it.

use std::path::{Path, PathBuf};

use super::embedded::{self, Names};
use super::failure::Failure;
use super::output::{self, Screen};
use super::{End, project};
use crate::base::clean;
use crate::report::{self, FORMATS, Options};
use crate::resource::Address;
use crate::resource::result::{ResourceResult, RunResult, exit};
use crate::verbs::{self, Settings};

const EXAMPLES: &str = "\
Examples:
  snowmelt demo
  snowmelt demo --folder /tmp/try";

/// See it work: three sandboxes converge, one is changed by hand, the drift is found and healed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Where to put it [default: a new folder among the temporary ones]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Plays it through.
pub(super) fn run(args: &Args, screen: &Screen) -> End {
    let stage = Stage::build(args, screen)?;
    match stage.play() {
        Ok(()) => Ok(exit::FINE),
        Err(Unkept::Promise(what)) => {
            screen.print_error(&format!("the demo did not go as promised: {}\n", clean::lines(&what)));
            screen.print_error(&format!("  = its folder is {}\n", clean::line(&stage.folder.display().to_string())));
            Ok(exit::WRONG)
        }
        Err(Unkept::Interrupted) => Ok(exit::INTERRUPTED),
        Err(Unkept::Failure(failure)) => Err(failure),
    }
}

/// Why the demo ended early.
enum Unkept {
    /// A stage did not do what it promises.
    Promise(String),
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// It could not go on.
    Failure(Failure),
}

impl From<Failure> for Unkept {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

struct Stage<'a> {
    screen: &'a Screen,
    /// Holds the project and the sandboxes.
    folder: PathBuf,
    settings: Settings,
}

impl<'a> Stage<'a> {
    fn build(args: &Args, screen: &'a Screen) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| Failure::new(format!("cannot make a folder for the demo: {error}"), "");
        let folder = match &args.folder {
            Some(folder) => {
                std::fs::create_dir_all(folder).map_err(cannot)?;
                folder.canonicalize().map_err(cannot)?
            }
            None => tempfile::Builder::new().prefix("snowmelt-demo-").tempdir().map_err(cannot)?.keep(),
        };
        let hosts = folder.join("hosts");
        let shown = hosts.to_str().ok_or_else(|| Failure::new("the folder's name is not valid UTF-8", ""))?;
        let root = folder.join("project");
        // What the hosts remember stays in the demo's folder too: nothing is left elsewhere.
        let memory = format!("{}/memory", shown.trim_end_matches("/hosts"));
        let names = Names { project: "demo", folder: shown, memory: &memory };
        embedded::write(embedded::DEMO, &root, &names).map_err(|(path, error)| {
            Failure::new(format!("cannot write {}: {error}", path.display()), "give --folder a new or empty folder")
        })?;
        let loaded = project::load_from(&root, &[], screen)?;
        let all = (0..loaded.hosts.len()).collect();
        let settings = project::defaults(&root, loaded, all, &[], screen);
        Ok(Self { screen, folder, settings })
    }

    fn play(&self) -> Result<(), Unkept> {
        let folder = clean::line(&self.folder.display().to_string()).into_owned();
        self.say(&format!(
            "Three hosts, web001 to web003. Here each of them is a folder below {folder}/hosts;\n\
             scripts, files and checks are the real ones. Their project is {folder}/project.\n"
        ));

        self.step(1, "None of them has anything yet. Apply what is declared.", "snowmelt apply --yes");
        let brief = Options { no_diffs: true, quiet: true, ..self.screen.options.clone() };
        let applied = self.apply()?;
        self.show(&applied, &brief);
        self.promise(applied.exit_code() == exit::FINE, &applied, "apply converges all three hosts")?;

        self.step(2, "Is everything as declared?", "snowmelt verify");
        let verified = self.verify()?;
        self.show(&verified, &self.screen.options);
        self.promise(verified.exit_code() == exit::FINE, &verified, "verify finds everything as declared")?;

        let file = self.folder.join("hosts/web002/etc/site/site.conf");
        let place = file.parent().unwrap_or(&self.folder).to_string_lossy().into_owned();
        let command =
            format!("cd {} && echo 'tokens on' >> site.conf && chmod 600 site.conf", crate::base::quote::sh(&place));
        self.step(3, "At night somebody changes web002 by hand.", &command);
        self.by_hand(&command)?;

        let junit = self.folder.join("reports/junit.xml");
        let shown = clean::line(&junit.display().to_string()).into_owned();
        self.step(4, "In the morning verify finds just that.", &format!("snowmelt verify --report junit={shown}"));
        let drifted = self.verify()?;
        self.show(&drifted, &self.screen.options);
        let is_that_alone = |found: &[(&str, Address)]| match found {
            [(host, address)] => *host == "web002" && address.identity == file.to_string_lossy(),
            _ => false,
        };
        self.promise(
            is_that_alone(&wrong(&drifted)),
            &drifted,
            "verify finds the changed file on web002 and nothing else",
        )?;
        self.write_junit(&drifted, &junit)?;

        self.step(5, "Apply heals it, and touches nothing else.", "snowmelt apply --yes");
        let healed = self.apply()?;
        self.show(&healed, &Options { no_diffs: false, ..self.screen.options.clone() });
        self.promise(healed.exit_code() == exit::FINE, &healed, "apply heals the file")?;
        self.promise(is_that_alone(&changed(&healed)), &healed, "apply changes that file and nothing else")?;

        self.step(6, "As declared again?", "snowmelt verify");
        let again = self.verify()?;
        self.show(&again, &self.screen.options);
        self.promise(again.exit_code() == exit::FINE, &again, "verify finds everything as declared again")?;

        let program = std::env::current_exe().map_or_else(|_| "snowmelt".into(), |path| path.display().to_string());
        let program = clean::line(&crate::base::quote::sh(&program)).into_owned();
        self.say(&format!(
            "\n{}\n  {shown}   what a CI system reads\n\nGo on yourself:\n  cd {}\n  {program} plan --set site.workers=16\n  \
             {program} hosts\n  {program} explain file\n\nA project of your own: {program} init servers\n",
            self.bold("Every stage kept its promise."),
            crate::base::quote::sh(&format!("{folder}/project")),
        ));
        Ok(())
    }

    fn apply(&self) -> Result<RunResult, Unkept> {
        self.ended(project::with_progress(&self.settings, self.screen, verbs::apply)?)
    }

    fn verify(&self) -> Result<RunResult, Unkept> {
        self.ended(project::with_progress(&self.settings, self.screen, verbs::verify)?)
    }

    fn ended(&self, result: RunResult) -> Result<RunResult, Unkept> {
        if self.settings.interrupt.level() > 0 { Err(Unkept::Interrupted) } else { Ok(result) }
    }

    fn by_hand(&self, command: &str) -> Result<(), Unkept> {
        let done = std::process::Command::new("sh").arg("-c").arg(command).status();
        match done {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Unkept::Promise(format!("the change by hand ended with {status}"))),
            Err(error) => Err(Unkept::Promise(format!("the change by hand could not be made: {error}"))),
        }
    }

    fn write_junit(&self, result: &RunResult, path: &Path) -> Result<(), Unkept> {
        let junit = report::find("junit").map(|format| format.render(result, &Options::default())).unwrap_or_default();
        output::write_file(path, &junit)
            .map_err(|(path, error)| Unkept::Promise(format!("cannot write the JUnit file {path}: {error}")))
    }

    /// Holds a stage against what it promises; what was found is shown whole if it does not keep it.
    fn promise(&self, kept: bool, result: &RunResult, promise: &str) -> Result<(), Unkept> {
        if kept {
            return Ok(());
        }
        self.screen.print_error(&FORMATS[0].render(result, &Options { verbose: true, ..self.screen.options.clone() }));
        Err(Unkept::Promise(promise.to_owned()))
    }

    fn say(&self, text: &str) {
        self.screen.print(text);
    }

    fn bold(&self, text: &str) -> String {
        report::bold(text, &self.screen.options)
    }

    fn step(&self, number: usize, what: &str, command: &str) {
        self.say(&format!("\n{}\n  $ {command}\n", self.bold(&format!("{number}. {what}"))));
    }

    /// Shows a report, set in so that it stands out from the story.
    fn show(&self, result: &RunResult, options: &Options) {
        self.say("\n");
        let narrower = Options { width: options.width.saturating_sub(2), ..options.clone() };
        for line in FORMATS[0].render(result, &narrower).lines() {
            self.say(&if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") });
        }
    }
}

/// Everything that is not as it should be, by host and address.
fn wrong(run: &RunResult) -> Vec<(&str, Address)> {
    found(run, |resource| resource.verdict.is_wrong())
}

/// Everything that apply changed.
fn changed(run: &RunResult) -> Vec<(&str, Address)> {
    found(run, ResourceResult::is_changed)
}

fn found(run: &RunResult, is_meant: impl Fn(&ResourceResult) -> bool) -> Vec<(&str, Address)> {
    let all = run.hosts.iter().flat_map(|host| host.resources.iter().map(|resource| (host.host.as_str(), resource)));
    all.filter(|(_, resource)| is_meant(resource)).map(|(host, resource)| (host, resource.address.clone())).collect()
}
