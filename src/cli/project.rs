//! From arguments to a loaded project, and to what the flows are told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::args::{self, Global, Limit, Narrow, Pace, Set};
use super::failure::Failure;
use super::keys;
use super::output::Screen;
use super::progress::Progress;
use super::revision;
use crate::act::Selection;
use crate::base::clean;
use crate::base::diagnostic::{Diagnostic, Diagnostics};
use crate::base::nearest;
use crate::catalog::Resolver;
use crate::catalog::load::{self, LoadOptions};
use crate::catalog::model::Project;
use crate::catalog::{overrides, select};
use crate::resource::result::exit;
use crate::transport::{TransportOptions, Transports};
use crate::verbs::{Events, Interrupt, Settings, runtime};

/// How long one exchange that only reads may take.
const READ_DEADLINE: Duration = Duration::from_secs(300);

/// A project and where it was found.
pub(super) struct Loaded {
    /// Its folder.
    pub(super) root: PathBuf,
    /// What it declares.
    pub(super) project: Project,
}

/// What the shared arguments of a verb say.
pub(super) struct Asked<'a> {
    pub(super) limit: &'a Limit,
    pub(super) set: &'a Set,
    pub(super) pace: &'a Pace,
    pub(super) narrow: Option<&'a Narrow>,
}

/// Loads the project; warnings are shown, mistakes end it.
pub(super) fn load(global: &Global, set: &Set, screen: &Screen) -> Result<Loaded, Failure> {
    let root = match &global.project {
        Some(folder) => folder.clone(),
        None => {
            let here =
                std::env::current_dir().map_err(|error| Failure::new(format!("no current folder: {error}"), ""))?;
            load::find_root(&here).ok_or_else(|| {
                let message = format!("there is no snowmelt.yml in {} or above it", here.display());
                Failure::new(
                    message,
                    "`snowmelt init` begins a project; --project DIR names one; `snowmelt demo` needs none",
                )
            })?
        }
    };
    let project = load_from(&root, &set.set, screen)?;
    Ok(Loaded { root, project })
}

/// Loads the project in this folder.
pub(super) fn load_from(root: &Path, sets: &[String], screen: &Screen) -> Result<Project, Failure> {
    let home = home();
    let (project, mut found) = load::load(root, &LoadOptions { home: home.as_deref(), sets });
    match project {
        Some(project) if !found.has_errors() => {
            screen.print_error(&found.render());
            Ok(project)
        }
        Some(project) => {
            found.extend(Resolver::new(Arc::new(project)).check_others(&found));
            Err(Failure::from(found))
        }
        None => Err(Failure::from(found)),
    }
}

/// The hosts that `--limit` selects, reached as `--connect` says.
pub(super) fn select(project: &mut Project, limit: &Limit) -> Result<Vec<usize>, Failure> {
    let chosen = select::select(project, &limit.limit).map_err(failure_of)?;
    if !limit.connect.is_empty() {
        let here = std::env::current_dir().map_err(|error| Failure::new(format!("no current folder: {error}"), ""))?;
        let hosts = project.hosts.iter_mut().enumerate().filter(|(index, _)| chosen.contains(index));
        let mut hosts: Vec<_> = hosts.map(|(_, host)| host).collect();
        overrides::set(&limit.connect, &here, home().as_deref(), &mut hosts)?;
    }
    Ok(chosen)
}

/// Everything that the flows are told.
pub(super) fn settings(global: &Global, asked: &Asked<'_>, screen: &Screen) -> Result<Settings, Failure> {
    let Loaded { root, mut project } = load(global, asked.set, screen)?;
    let hosts = select(&mut project, asked.limit)?;
    let selection = match asked.narrow {
        Some(narrow) => Selection::new(&narrow.tags, &narrow.only, &narrow.restart),
        None => Selection::default(),
    };
    let settings = defaults(&root, project, hosts, &global.identity, screen);
    check(&settings, screen)?;
    check_selection(&selection, &settings)?;
    Ok(Settings {
        parallel: usize::from(asked.pace.parallel),
        deadline: asked.pace.timeout.min(READ_DEADLINE),
        act_deadline: asked.pace.timeout,
        selection,
        older: asked.narrow.is_some_and(|narrow| narrow.older),
        ..settings
    })
}

/// Every mistake that can be found without a host is found before one is contacted: in all roles, and in what is declared for
/// the selected hosts.
fn check(settings: &Settings, screen: &Screen) -> Result<(), Failure> {
    let found = settings.resolver.check(&settings.hosts);
    if found.has_errors() {
        return Err(Failure::from(found));
    }
    screen.print_error(&found.render());
    Ok(())
}

/// A selection that selects nothing is a slip of the pen, and a run that does nothing because of it must not look like one
/// that had nothing to do. Where it depends on facts what is declared, it cannot be told here.
fn check_selection(selection: &Selection, settings: &Settings) -> Result<(), Failure> {
    let mut unmatched = selection.unmatched(&[]);
    if unmatched.is_empty() {
        return Ok(());
    }
    let (mut tags, mut addresses, mut local) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let is_all = settings.resolver.foresee(&settings.hosts, |resources| {
        let here = selection.unmatched(resources);
        unmatched.retain(|one| here.contains(one));
        for resource in resources.iter().filter(|resource| !resource.is_check) {
            tags.extend(resource.tags.iter().cloned());
            addresses.insert(resource.address.to_string());
            local.insert(resource.address.local());
        }
    });
    let Some((flag, text)) = unmatched.first().filter(|_| is_all) else { return Ok(()) };
    let known = match text.split(':').next() {
        _ if *flag == "--tags" => &tags,
        Some(kind) if kind.contains('/') => &addresses,
        _ => &local,
    };
    let hint = nearest::hint(text, known.iter().map(String::as_str));
    let hint = hint.unwrap_or_else(|| "`snowmelt show HOST` lists what is declared".to_owned());
    Err(Failure::new(format!("nothing declared for these hosts is selected by `{flag} {text}`"), hint))
}

/// What the flows are told where no argument says anything else.
pub(super) fn defaults(
    root: &Path,
    project: Project,
    hosts: Vec<usize>,
    identities: &[PathBuf],
    screen: &Screen,
) -> Settings {
    let project = Arc::new(project);
    Settings {
        resolver: Arc::new(resolver(&project, identities, screen)),
        project,
        hosts,
        parallel: args::PARALLEL,
        deadline: READ_DEADLINE,
        act_deadline: args::TIMEOUT,
        transports: Transports::new(transport_options(screen)),
        who: who(),
        revision: revision::of(root),
        selection: Selection::default(),
        confirmed: None,
        older: false,
        interrupt: Interrupt::default(),
    }
}

/// A resolver for the project, with the keys of this machine for its secrets.
pub(super) fn resolver(project: &Arc<Project>, identities: &[PathBuf], screen: &Screen) -> Resolver {
    let vault = Arc::new(keys::vault(project, identities, screen));
    let files = Arc::clone(&vault);
    Resolver::new(Arc::clone(project))
        .secrets(Box::new(move |name| vault.secret(name)))
        .secret_files(Box::new(move |path, bytes| files.file(path, bytes)))
}

/// Runs a flow with a progress line.
pub(super) fn with_progress<T>(
    settings: &Settings,
    screen: &Screen,
    flow: impl AsyncFnOnce(&Settings, &Arc<dyn Events>) -> T,
) -> Result<T, Failure> {
    let progress = Arc::new(Progress::new(settings.hosts.len(), screen.shows_progress, screen.redactor.clone()));
    screen.person.watches(&progress, &settings.interrupt);
    let events: Arc<dyn Events> = Arc::clone(&progress) as Arc<dyn Events>;
    let (told, out) = (Arc::clone(&progress), screen.clone());
    let on_interrupt = move |times: u8| {
        let text = match times {
            1 => "\ninterrupted: no new host is begun; Ctrl-C again lets go of those under way\n",
            2 => "\nlet go; what was begun on a host goes on there\n",
            _ => return,
        };
        told.suspend(|| out.print_error(text));
    };
    let result = runtime::block_on(&settings.interrupt, on_interrupt, flow(settings, &events));
    screen.person.is_done();
    progress.finish();
    result.map_err(|error| Failure::new(format!("cannot start: {error}"), ""))
}

/// The exit code of a run that came to this code, had it not been interrupted.
pub(super) fn exit_code(settings: &Settings, code: u8) -> u8 {
    if settings.interrupt.level() > 0 { exit::INTERRUPTED } else { code }
}

fn failure_of(wrong: Diagnostic) -> Failure {
    let mut found = Diagnostics::new();
    found.push(wrong);
    Failure::from(found)
}

/// What the transport may use of the world.
pub(super) fn transport_options(screen: &Screen) -> TransportOptions {
    let mut options = TransportOptions::new(home().unwrap_or_else(|| PathBuf::from("/")), &user());
    options.auth_sock = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from);
    let out = screen.clone();
    options.warn = Some(Arc::new(move |text: &str| out.print_error(&format!("warning: {}\n", clean::line(text)))));
    if screen.can_ask {
        let person = screen.person.clone();
        options.ask = Some(Arc::new(move |what| person.ask(what)));
    }
    options
}

pub(super) fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

fn user() -> String {
    // Asked for more than once, and where the environment does not tell, it costs a process.
    static USER: OnceLock<String> = OnceLock::new();
    let told = |name: &str| std::env::var(name).ok().filter(|user| !user.is_empty());
    let ask = || {
        told("USER")
            .or_else(|| told("LOGNAME"))
            .or_else(|| first_line_of("id", "-un"))
            .unwrap_or_else(|| "unknown".to_owned())
    };
    USER.get_or_init(ask).clone()
}

/// `user@machine`, as hosts remember who acted.
pub(super) fn who() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    let machine = machine.filter(|name| !name.is_empty()).or_else(|| first_line_of("uname", "-n"));
    format!("{}@{}", user(), machine.unwrap_or_else(|| "unknown".to_owned()))
}

fn first_line_of(program: &str, argument: &str) -> Option<String> {
    let output = std::process::Command::new(program).arg(argument).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned).filter(|line| !line.is_empty())
}
