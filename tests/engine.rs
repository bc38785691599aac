//! The engine against this machine's own shell, without any transport: observe, judge, act, observe again.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use indexmap::IndexMap;
use snowmelt::act::{Act, ActOutcome, Actor, Begun, Login, Selection, Situation, StepOutcome, compose};
use snowmelt::base::span::{Source, Span};
use snowmelt::base::value::Value;
use snowmelt::catalog::Catalog;
use snowmelt::judge::{Judged, Outlook, judge};
use snowmelt::kinds;
use snowmelt::observe::{Observations, Place, Script};
use snowmelt::resource::result::Verdict;
use snowmelt::resource::{Address, Content, Refresh, Resource, Severity, State, Want, Watch};
use snowmelt::wire::{self, Frames, Nonce};

/// The shells a host may have.
const SHELLS: &[&str] = &["dash", "bash", "busybox sh"];

struct Host {
    folder: tempfile::TempDir,
    place: Place,
    shell: &'static str,
    /// Whether it is reached by a login; nobody here gives a second one.
    has_login: bool,
}

impl Host {
    fn login(&self) -> Option<Login<'_>> {
        self.has_login.then_some(Login { user: "me", within: Duration::from_secs(1) })
    }

    fn new(shell: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let memory = folder.path().join("memory").to_string_lossy().into_owned();
        let place = Place { folder: Some(memory), project: "p".into(), host: "h".into() };
        Self { folder, place, shell, has_login: false }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn exec(&self, program: &str, input: &[u8], nonce: &Nonce) -> Frames {
        let mut words = self.shell.split(' ');
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .arg("-c")
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let feeder = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let out = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        let mut frames = Frames::new(nonce);
        frames.push(&out.stdout);
        frames
    }

    fn observe(&self, catalog: &Catalog) -> (Observations, Vec<Judged>) {
        let (nonce, end) = (Nonce::random().unwrap(), Nonce::random().unwrap());
        let script = Script::compose(catalog, &self.place, &nonce);
        let frames = self.exec(&wire::observe(&end), &wire::script_with_end(&script.text, &end), &nonce);
        let observations = Observations::read(catalog, &frames);
        assert!(observations.is_whole);
        let judged = judge(catalog, &observations, Outlook::ARun);
        (observations, judged)
    }

    fn compose(&self, catalog: &Catalog, observations: &Observations, judged: &[Judged]) -> Option<Act> {
        let situation = Situation { catalog, observations, judged, place: &self.place, login: self.login() };
        let actor = Actor { who: "me@here".into(), commit: "-".into(), now: 1 };
        compose(situation, &Selection::default(), &BTreeSet::new(), &actor, &Nonce::random().unwrap()).unwrap().act
    }

    fn act(&self, act: &Act, catalog: &Catalog) -> (ActOutcome, Observations, Vec<Judged>) {
        let frames = self.exec(&wire::act(&act.payload), &act.payload, &act.nonce);
        let outcome = ActOutcome::read(act, &frames);
        let observations = Observations::read(catalog, &frames);
        let judged = judge(catalog, &observations, Outlook::ARun);
        (outcome, observations, judged)
    }
}

fn resource(kind: &str, identity: &str, wants: &[(&'static str, Want)]) -> Resource {
    let source = Source::new("role.yml", "x");
    Resource {
        kind: kinds::find(kind).unwrap(),
        address: Address::new("r", kind, identity),
        head: identity.to_owned(),
        id: None,
        is_check: false,
        state: State::Present,
        wants: wants.iter().cloned().collect::<IndexMap<_, _>>(),
        watches: Vec::new(),
        keeps: Vec::new(),
        tags: Vec::new(),
        severity: Severity::Medium,
        sensitive: false,
        secrets: IndexMap::new(),
        within: None,
        span: Span::start_of(&source),
        blocked: None,
    }
}

fn file(path: &str, content: &str, mode: &str) -> Resource {
    let content = Want::Content(Content::new(content.as_bytes(), false));
    resource("file", path, &[("content", content), ("mode", Want::Exactly(Value::from(mode)))])
}

fn catalog(resources: Vec<Resource>) -> Catalog {
    Catalog { host: "h".into(), roles: vec!["r".into()], resources }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn mode(path: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    Path::new(path).metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_file_is_made_found_in_sync_spoilt_found_and_healed() {
    for shell in SHELLS {
        let host = Host::new(shell);
        let names = ["plain", "it's $(id) `x` \"q\"", "-dash", "ünï"];
        let files = || names.iter().map(|name| file(&host.path(name), &format!("{name}\n"), "0640")).collect();
        let catalog = catalog(files());
        let (observations, judged) = host.observe(&catalog);
        assert!(judged.iter().all(|one| one.verdict == Verdict::Pending), "{shell}: {judged:#?}");
        let act = host.compose(&catalog, &observations, &judged).unwrap();
        let (outcome, observations, judged) = host.act(&act, &catalog);
        assert_eq!(outcome.begun, Begun::Yes, "{shell}");
        assert_eq!(outcome.steps, [StepOutcome::Done], "{shell}");
        assert!(judged.iter().all(|one| one.verdict == Verdict::InSync), "{shell}: {judged:#?}");
        for name in names {
            assert_eq!(read(&host.path(name)), format!("{name}\n"));
            assert_eq!(mode(&host.path(name)), 0o640);
        }
        assert!(host.compose(&catalog, &observations, &judged).is_none(), "{shell}: nothing is due any more");

        std::fs::write(host.path("plain"), "by hand\n").unwrap();
        let (observations, judged) = host.observe(&catalog);
        assert_eq!(judged[0].verdict, Verdict::Drifted, "{shell}");
        assert_eq!(judged[0].differs, ["content"]);
        assert!(judged[1..].iter().all(|one| one.verdict == Verdict::InSync));
        let act = host.compose(&catalog, &observations, &judged).unwrap();
        let (_, _, judged) = host.act(&act, &catalog);
        assert_eq!(judged[0].verdict, Verdict::InSync);
        assert_eq!((read(&host.path("plain")), mode(&host.path("plain"))), ("plain\n".into(), 0o640));
        let left: Vec<_> =
            std::fs::read_dir(host.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), names.len() + 1, "{shell}: something was left behind: {left:?}");
    }
}

#[test]
fn a_moved_declaration_is_pending_and_a_moved_host_is_drifted() {
    let host = Host::new("dash");
    let path = host.path("x");
    let first = catalog(vec![file(&path, "one\n", "0644")]);
    let (observations, judged) = host.observe(&first);
    host.act(&host.compose(&first, &observations, &judged).unwrap(), &first);
    let second = catalog(vec![file(&path, "two\n", "0644")]);
    assert_eq!(host.observe(&second).1[0].verdict, Verdict::Pending);
    std::fs::write(&path, "three\n").unwrap();
    assert_eq!(host.observe(&first).1[0].verdict, Verdict::Drifted);
}

#[test]
fn a_file_without_content_takes_what_an_earlier_step_made() {
    for shell in SHELLS {
        let host = Host::new(shell);
        let text = |text: String| Want::Exactly(Value::from(text));
        let (made, new) = (host.path("made"), host.path("new"));
        let make = [("run", text(format!("echo made >'{made}'"))), ("creates", text(made.clone()))];
        let bare = |path: &str| resource("file", path, &[("mode", text("0604".into()))]);
        let catalog = catalog(vec![resource("command", "make it", &make), bare(&made), bare(&new)]);
        let (observations, judged) = host.observe(&catalog);
        let act = host.compose(&catalog, &observations, &judged).unwrap();
        let (outcome, _, judged) = host.act(&act, &catalog);
        assert!(judged.iter().all(|one| one.verdict == Verdict::InSync), "{shell}: {outcome:?}");
        assert_eq!((read(&made), read(&new)), ("made\n".into(), String::new()), "{shell}");
        assert_eq!((mode(&made), mode(&new)), (0o604, 0o604), "{shell}");
    }
}

#[test]
fn a_step_says_whether_it_reloads_or_restarts() {
    let host = Host::new("dash");
    let (config, program) = (host.path("config"), host.path("program"));
    let told = |config_text: &str, program_text: &str| {
        std::fs::write(&config, config_text).unwrap();
        std::fs::write(&program, program_text).unwrap();
        let mut service = resource("service", "app", &[]);
        for (refresh, member, path) in [(Refresh::Reload, 0, &config), (Refresh::Restart, 1, &program)] {
            let watch =
                Watch { refresh, target: path.clone(), members: vec![member], shell: format!("watch_path '{path}'") };
            service.watches.push(watch);
        }
        let catalog =
            catalog(vec![file(&config, "as declared", "0644"), file(&program, "as declared", "0644"), service]);
        let (observations, judged) = host.observe(&catalog);
        let act = host.compose(&catalog, &observations, &judged).unwrap();
        act.steps.last().unwrap().title.clone()
    };
    assert_eq!(told("other", "as declared"), "reload service:app");
    assert_eq!(told("as declared", "other"), "restart service:app");
    assert_eq!(told("other", "other"), "reload or restart service:app");
}

#[test]
fn what_was_changed_since_it_was_read_is_not_overwritten() {
    for (made_before, made_after) in [(None, "theirs\n"), (Some("old\n"), "theirs\n")] {
        let host = Host::new("dash");
        let path = host.path("x");
        if let Some(text) = made_before {
            std::fs::write(&path, text).unwrap();
        }
        let catalog = catalog(vec![file(&path, "ours\n", "0644"), file(&host.path("y"), "y\n", "0644")]);
        let (observations, judged) = host.observe(&catalog);
        let act = host.compose(&catalog, &observations, &judged).unwrap();
        std::fs::write(&path, made_after).unwrap();
        let (outcome, _, judged) = host.act(&act, &catalog);
        let StepOutcome::Failed(log) = &outcome.steps[0] else { panic!("{outcome:?}") };
        assert!(log.contains("nothing was overwritten") && log.contains(&path), "{log}");
        assert_eq!(read(&path), made_after);
        assert!(judged[0].verdict.is_wrong());
        assert!(!Path::new(&host.path("y")).exists(), "the guards of a step come before all of its work");
    }
}

#[test]
fn what_a_guard_said_is_told_as_it_is_and_left_open_before_a_run() {
    let host = Host::new("dash");
    let command =
        |name: &'static str, unless: &str| resource("command", name, &[("unless", Want::Exactly(Value::from(unless)))]);
    let commands = || vec![command("holds", "true"), command("does not", "false")];
    let is_wrong = |judged: &[Judged]| judged.iter().map(|one| one.verdict.is_wrong()).collect::<Vec<_>>();
    let after_a_file = catalog([vec![file(&host.path("x"), "x", "0644")], commands()].concat());
    let (observations, judged) = host.observe(&after_a_file);
    assert!(judged[1..].iter().all(|one| matches!(one.verdict, Verdict::Undecided { .. })), "{judged:#?}");
    let now = judge(&after_a_file, &observations, Outlook::AsItIs);
    assert_eq!(is_wrong(&now), [true, false, true], "{now:#?}");
    let alone = host.observe(&catalog(commands())).1;
    assert_eq!(is_wrong(&alone), [false, true], "{alone:#?}");
}

#[test]
fn a_second_controller_and_a_stale_observation_are_refused() {
    let host = Host::new("dash");
    let catalog = catalog(vec![file(&host.path("x"), "x\n", "0644")]);
    let (observations, judged) = host.observe(&catalog);
    let one = host.compose(&catalog, &observations, &judged).unwrap();
    let other = host.compose(&catalog, &observations, &judged).unwrap();
    assert_eq!(host.act(&one, &catalog).0.begun, Begun::Yes);
    assert_eq!(host.act(&other, &catalog).0.begun, Begun::Moved("me@here".into()));

    let lock = format!("{}/p/h/lock", host.place.folder.as_ref().unwrap());
    std::fs::write(host.path("x"), "by hand\n").unwrap();
    let (observations, judged) = host.observe(&catalog);
    let act = host.compose(&catalog, &observations, &judged).unwrap();
    let mut holder = Command::new("flock")
        .args([&lock, "sh", "-c", "echo held; read -r _"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
    assert_eq!(host.act(&act, &catalog).0.begun, Begun::Locked("me@here".into()));
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert_eq!(host.act(&act, &catalog).0.begun, Begun::Yes);
}

#[test]
fn a_cut_payload_leaves_everything_as_it_was() {
    let host = Host::new("dash");
    let path = host.path("x");
    std::fs::write(&path, "old\n").unwrap();
    let catalog = catalog(vec![file(&path, &"new\n".repeat(20_000), "0644")]);
    let (observations, judged) = host.observe(&catalog);
    let act = host.compose(&catalog, &observations, &judged).unwrap();
    for cut in (0..act.payload.len()).step_by(4096) {
        let frames = host.exec(&wire::act(&act.payload), &act.payload[..cut], &act.nonce);
        assert_eq!(ActOutcome::read(&act, &frames).begun, Begun::NotTold, "cut at {cut}");
        assert_eq!(read(&path), "old\n");
    }
    assert_eq!(host.act(&act, &catalog).0.begun, Begun::Yes);
}

#[test]
fn what_may_lock_out_is_proven_once_after_each_row_of_it_or_taken_back() {
    for shell in SHELLS {
        let host = Host { has_login: true, ..Host::new(shell) };
        let keys = host.path(".ssh/authorized_keys");
        std::fs::create_dir(host.path(".ssh")).unwrap();
        std::fs::write(&keys, "old\n").unwrap();
        let paths =
            [host.path("before"), keys.clone(), host.path(".ssh/config"), host.path("between"), host.path(".ssh/rc")];
        let catalog = catalog(paths.iter().map(|path| file(path, "new\n", "0640")).collect());
        let (observations, judged) = host.observe(&catalog);
        let act = host.compose(&catalog, &observations, &judged).unwrap();
        let shape: Vec<(&[usize], &[usize])> =
            act.steps.iter().map(|step| (step.resources.as_slice(), step.puts_back.as_slice())).collect();
        let expected: [(&[usize], &[usize]); 6] =
            [(&[0], &[]), (&[1, 2], &[]), (&[], &[1]), (&[3], &[]), (&[4], &[]), (&[], &[1, 4])];
        assert_eq!(shape, expected, "{shell}");
        assert!(act.wants_proof());

        let (outcome, _, judged) = host.act(&act, &catalog);
        let [StepOutcome::Done, StepOutcome::PutBack(why), StepOutcome::Failed(_), rest @ ..] = &outcome.steps[..]
        else {
            panic!("{shell}: {outcome:?}")
        };
        assert!(why.contains("nobody could log in"), "{shell}: {why}");
        assert!(rest.iter().all(|step| *step == StepOutcome::NotReached), "{shell}: {rest:?}");
        assert_eq!((read(&paths[0]), read(&keys)), ("new\n".into(), "old\n".into()), "{shell}");
        assert!(paths[2..].iter().all(|path| !Path::new(path).exists()), "{shell}");
        // Never applied: so nobody changed it by hand.
        assert!(judged[1..].iter().all(|one| one.verdict == Verdict::Pending), "{shell}: {judged:#?}");
    }
}

#[test]
fn on_this_machine_nobody_has_to_log_in() {
    let host = Host::new("sh");
    std::fs::create_dir(host.path(".ssh")).unwrap();
    let catalog = catalog(vec![file(&host.path(".ssh/authorized_keys"), "new\n", "0600")]);
    let (observations, judged) = host.observe(&catalog);
    let act = host.compose(&catalog, &observations, &judged).unwrap();
    assert!(!act.wants_proof());
    assert_eq!(host.act(&act, &catalog).0.steps, [StepOutcome::Done]);
}
