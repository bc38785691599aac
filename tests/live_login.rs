//! Logging in and becoming another user on real hosts, in every way that sshd, PAM, sudo, su and doas know. What came about is
//! asked of the host (`id`, its journal), never of snowmelt alone.
//!
//! All tests share three hosts; each has users of its own there.

mod common;

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::Bytes;
use common::Project;
use hosts::{Host, Hosts};
use snowmelt::catalog::connection::{BecomeMethod, Connection};
use snowmelt::transport::{Answer, End, Endpoint, Exec, Failure, Phase, Session, TransportOptions, Transports};
use zeroize::Zeroizing;

/// A password in which every program between here and PAM could find something special.
const PASSWORD: &str = "p w'd \"$x` %s\\n#é";
const ROOT_PASSWORD: &str = "root's own";
const PASSPHRASE: &str = "a phrase to pass";

/// Users, what sshd wants of them, and what sudoers says of them.
const USERS: &[(&str, &str, &str)] = &[
    ("pass", "password", ""),
    ("kbd", "keyboard-interactive", ""),
    ("key-pass", "publickey,password", ""),
    ("key-kbd", "publickey,keyboard-interactive", ""),
    ("kbd-key", "keyboard-interactive,publickey", ""),
    ("pass-wrong", "password", ""),
    ("nobody-asked", "publickey,password", ""),
    ("phrase", "publickey", ""),
    ("sudo-pass", "publickey", "ALL=(ALL) ALL"),
    ("sudo-wrong", "publickey", "ALL=(ALL) ALL"),
    ("sudo-none", "publickey", ""),
    ("sudo-mixed", "publickey", "ALL=(ALL) ALL"),
    ("su-pass", "publickey", ""),
    ("su-wrong", "publickey", ""),
    ("doas-free", "publickey", ""),
    ("doas-pass", "publickey", ""),
    ("doas-wrong", "publickey", ""),
    ("tty-free", "publickey", "ALL=(ALL) NOPASSWD: ALL\nDefaults:tty-free requiretty"),
    ("tty-pty", "publickey", "ALL=(ALL) NOPASSWD: ALL\nDefaults:tty-pty requiretty, use_pty"),
    ("tty-pass", "publickey", "ALL=(ALL) ALL\nDefaults:tty-pass requiretty, use_pty"),
    ("tty-wrong", "publickey", "ALL=(ALL) ALL\nDefaults:tty-wrong requiretty"),
    ("tty-never", "publickey", "ALL=(ALL) NOPASSWD: ALL\nDefaults:tty-never requiretty"),
    ("tty-cut", "publickey", "ALL=(ALL) NOPASSWD: ALL\nDefaults:tty-cut requiretty, use_pty"),
    ("at-once", "publickey,password", "ALL=(ALL) ALL"),
];

/// The hosts, set up once; `None` where there is no Docker.
fn set() -> Option<&'static Hosts> {
    static SET: OnceLock<Option<Hosts>> = OnceLock::new();
    if let Err(reason) = hosts::available() {
        hosts::skip(&reason);
        return None;
    }
    let set = SET.get_or_init(|| {
        let hosts = Hosts::up(3)?;
        let phrase = hosts.key().with_file_name("phrase");
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-a", "4", "-C", "phrase", "-N", PASSPHRASE, "-f"]).arg(&phrase);
        assert!(make.status().unwrap().success());
        let public = std::fs::read_to_string(phrase.with_extension("pub")).unwrap();
        std::thread::scope(|scope| {
            for host in hosts.iter() {
                scope.spawn(|| furnish(host, public.trim()));
            }
        });
        Some(hosts)
    });
    set.as_ref()
}

fn furnish(host: &Host, phrase: &str) {
    let mut sshd = "KbdInteractiveAuthentication no\n".to_owned();
    let (mut passwords, mut sudoers, mut script) = (format!("root:{ROOT_PASSWORD}\n"), String::new(), String::new());
    for (user, methods, rule) in USERS {
        sshd += &format!("Match User {user}\n  AuthenticationMethods {methods}\n");
        sshd += "  PasswordAuthentication yes\n  KbdInteractiveAuthentication yes\n";
        if matches!(*user, "phrase" | "at-once") {
            sshd += "  AuthorizedKeysFile /etc/ssh/phrase_keys\n";
        }
        if *user == "tty-never" {
            sshd += "  PermitTTY no\n";
        }
        script += &format!("useradd -m -s /bin/bash {user}; ");
        passwords += &format!("{user}:{PASSWORD}\n");
        if *user == "sudo-mixed" && host.name != "h1" {
            sudoers += "sudo-mixed ALL=(ALL) NOPASSWD: ALL\n";
        } else if !rule.is_empty() {
            sudoers += &format!("{user} {rule}\n");
        }
    }
    let doas = "permit nopass doas-free as root\npermit doas-pass as root\npermit doas-wrong as root\n";
    let files = [
        ("/etc/ssh/sshd_config.d/login.conf", sshd.as_str(), "600"),
        ("/etc/ssh/phrase_keys", phrase, "644"),
        ("/etc/sudoers.d/login", &sudoers, "440"),
        ("/etc/doas.conf", doas, "600"),
        ("/run/passwords", &passwords, "600"),
        ("/root/secrets", &format!("{PASSWORD}\n{ROOT_PASSWORD}\n"), "600"),
    ];
    for (path, text, mode) in files {
        let text = base64::engine::general_purpose::STANDARD.encode(format!("{text}\n"));
        script += &format!("echo {text} | base64 -d | grep . >{path}; chmod {mode} {path}; ");
    }
    host.spoil(&format!(
        "set -e; {script} chpasswd </run/passwords; rm /run/passwords; visudo -cq; doas -C /etc/doas.conf; sshd -t; \
         systemctl restart ssh"
    ));
}

/// What was asked of the person at the terminal.
type Asked = Arc<Mutex<Vec<String>>>;

/// Transports of a run with somebody who answers each question that holds a text with what stands beside it.
fn answering(answers: &[(&'static str, &'static str)]) -> (Transports, Asked) {
    let asked = Asked::default();
    let (heard, answers) = (asked.clone(), answers.to_vec());
    let mut options = alone();
    options.ask = Some(Arc::new(move |question: &str| {
        heard.lock().unwrap().push(question.to_owned());
        let answer = answers.iter().find(|(part, _)| question.contains(part));
        answer.map(|(_, answer)| Zeroizing::new((*answer).to_owned()))
    }));
    (Transports::new(options), asked)
}

/// Nobody is there, and nothing of whoever runs the tests is used.
fn alone() -> TransportOptions {
    let options = TransportOptions::new("/nonexistent".into(), "nobody");
    TransportOptions { ssh_program: None, ssh_config: Some("/nonexistent/config".into()), ..options }
}

fn count(asked: &Asked) -> usize {
    asked.lock().unwrap().len()
}

fn endpoint(hosts: &Hosts, host: &Host, user: &str) -> Endpoint {
    let key = if matches!(user, "phrase" | "at-once") { hosts.key().with_file_name("phrase") } else { hosts.key() };
    let connection = Connection {
        address: Some(host.address.to_string()),
        port: Some(host.port),
        user: Some(user.to_owned()),
        identity_file: vec![key],
        known_hosts: Some(hosts.known_hosts()),
        ..Connection::default()
    };
    Endpoint { name: host.name.clone(), connection }
}

fn becoming(mut endpoint: Endpoint, method: BecomeMethod, user: Option<&str>) -> Endpoint {
    endpoint.connection.become_other = true;
    endpoint.connection.become_method = Some(method);
    endpoint.connection.become_user = user.map(str::to_owned);
    endpoint
}

fn exec<'a>(program: &'a str, input: impl Into<Bytes>) -> Exec<'a> {
    let (idle, deadline) = (Duration::from_secs(30), Duration::from_secs(60));
    Exec { program, input: input.into(), idle, deadline, limit: 8 << 20, on_output: None }
}

async fn run(transports: &Transports, endpoint: &Endpoint, program: &str) -> Result<Answer, Failure> {
    let mut session = transports.connect(endpoint).await?;
    let answer = session.exec(exec(program, "")).await?;
    session.close().await;
    Ok(answer)
}

/// Runs a program on all hosts at once as `user`, who becomes whom `more` says.
async fn everywhere(
    hosts: &Hosts,
    transports: &Transports,
    user: &str,
    program: &str,
    more: impl Fn(Endpoint) -> Endpoint,
) -> Vec<Result<Answer, Failure>> {
    let endpoints: Vec<_> = hosts.iter().map(|host| more(endpoint(hosts, host, user))).collect();
    let [first, second, third] = endpoints.as_slice() else { panic!("there are three hosts") };
    let (first, second, third) = tokio::join!(
        run(transports, first, program),
        run(transports, second, program),
        run(transports, third, program)
    );
    vec![first, second, third]
}

#[track_caller]
fn all_said(answers: Vec<Result<Answer, Failure>>, text: &str) {
    for answer in answers {
        let answer = answer.unwrap_or_else(|failure| panic!("{failure}: {:?}", failure.hint));
        assert_eq!((String::from_utf8_lossy(&answer.stdout).as_ref(), answer.end), (text, End::Exit(0)));
    }
}

/// The hosts' whole journals up to now.
struct Journals(Vec<String>);

impl Journals {
    fn read(hosts: &[Host]) -> Self {
        let read = |host: &Host| host.ask("journalctl --sync && journalctl --quiet --no-pager --output=cat");
        Self(std::thread::scope(|scope| {
            let readers: Vec<_> = hosts.iter().map(|host| scope.spawn(move || read(host))).collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect()
        }))
    }

    /// How many lines of each host hold all of these.
    fn count(&self, parts: &[&str]) -> Vec<usize> {
        let fits = |line: &&str| parts.iter().all(|part| line.contains(part));
        self.0.iter().map(|journal| journal.lines().filter(fits).count()).collect()
    }

    /// How many there are on all hosts together.
    fn sum(&self, parts: &[&str]) -> usize {
        self.count(parts).iter().sum()
    }
}

/// One question for three hosts, three logins of this kind by the word of sshd, and the account is the right one by `id`.
async fn logs_in(user: &str, accepted: &[&str]) {
    let Some(hosts) = set() else { return };
    let (transports, asked) = answering(&[("SSH password of", PASSWORD)]);
    all_said(everywhere(hosts, &transports, user, "id -un", |endpoint| endpoint).await, &format!("{user}\n"));
    assert_eq!(count(&asked), 1, "{asked:?}");
    let journals = Journals::read(hosts);
    for accepted in accepted {
        assert_eq!(journals.count(&[&format!("{accepted} for {user} from")]), [1, 1, 1], "{accepted}");
    }
    assert_eq!(journals.sum(&["Failed", &format!(" for {user} from")]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_by_password() {
    logs_in("pass", &["Accepted password"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_by_questions() {
    logs_in("kbd", &["Accepted keyboard-interactive/pam"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_by_key_and_password() {
    logs_in("key-pass", &["Partial publickey", "Accepted password"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_by_key_and_questions() {
    logs_in("key-kbd", &["Partial publickey", "Accepted keyboard-interactive/pam"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_by_questions_and_key() {
    logs_in("kbd-key", &["Partial keyboard-interactive/pam", "Accepted publickey"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_is_asked_for_once() {
    let Some(hosts) = set() else { return };
    let (transports, asked) = answering(&[("passphrase of", PASSPHRASE)]);
    all_said(everywhere(hosts, &transports, "phrase", "id -un", |endpoint| endpoint).await, "phrase\n");
    assert_eq!(count(&asked), 1, "{asked:?}");
    let key = hosts.key().with_file_name("phrase.pub");
    let shown = Command::new("ssh-keygen").arg("-lf").arg(key).output().unwrap().stdout;
    let shown = String::from_utf8(shown).unwrap();
    let fingerprint = shown.split(' ').nth(1).unwrap();
    assert_eq!(Journals::read(hosts).count(&["Accepted publickey for phrase from", fingerprint]), [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_nobody_can_answer_fails_at_once_and_says_why() {
    let Some(hosts) = set() else { return };
    let host = &hosts[0];
    let transports = Transports::new(alone());
    let start = Instant::now();
    let failure = run(&transports, &endpoint(hosts, host, "nobody-asked"), "true").await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(failure.phase, Phase::Authenticate);
    let key = hosts.key().display().to_string();
    for part in ["h1", &format!("took {key} from nobody-asked"), "wants password", "no terminal to ask"] {
        assert!(failure.message.contains(part), "{part}: {failure:?}");
    }
    assert!(failure.hint.unwrap().contains("run it at a terminal"));

    let mut stranger = endpoint(hosts, host, "pass");
    stranger.connection.identity_file = vec![hosts.key().with_file_name("no-such-key")];
    let failure = run(&transports, &stranger, "true").await.unwrap_err();
    for part in ["no-such-key does not exist", "it takes password", "no terminal to ask"] {
        assert!(failure.message.contains(part), "{part}: {failure:?}");
    }
    assert_eq!(Journals::read(hosts).sum(&["Failed password for nobody-asked"]), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_password_is_tried_on_one_host() {
    let Some(hosts) = set() else { return };
    let (transports, asked) = answering(&[("SSH password of", "wrong")]);
    let answers = everywhere(hosts, &transports, "pass-wrong", "true", |endpoint| endpoint).await;
    let failures: Vec<Failure> = answers.into_iter().map(Result::unwrap_err).collect();
    assert_eq!(
        failures.iter().filter(|failure| failure.message.contains("is not tried here")).count(),
        2,
        "{failures:?}"
    );
    assert_eq!(count(&asked), 1, "{asked:?}");
    assert_eq!(Journals::read(hosts).sum(&["Failed password for pass-wrong"]), 1);
}

/// Looks on a host for passwords where every user could see them (command lines) or root could (environments), as fast as
/// the host can, until it is told to stop.
struct Watcher<'a>(&'a Host);

impl<'a> Watcher<'a> {
    fn begin(host: &'a Host) -> Self {
        host.spoil(
            "cat >/root/watch <<'END'
while [ ! -e /run/watch.stop ]; do
    grep -lasF -f /root/secrets /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>/run/watch.found
    echo >>/run/watch.rounds
    sleep 0.02
done
END
            (setsid sh /root/watch >/dev/null 2>&1 &)
            until [ -s /run/watch.rounds ]; do sleep 0.05; done",
        );
        Self(host)
    }

    /// Proves that it sees what there is to see, and returns how often it has looked and what it found before that.
    fn end(self) -> (usize, String) {
        let found = self.0.ask("cat /run/watch.found");
        let rounds = self.0.ask("wc -l </run/watch.rounds").parse().unwrap();
        self.0.ask("sh -c 'sleep 5; :' x \"$(head -n 1 /root/secrets)\" & until [ -s /run/watch.found ]; do sleep 0.05; done; touch /run/watch.stop");
        (rounds, found)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sudo_su_and_doas_take_a_password_that_nobody_else_sees() {
    let Some(hosts) = set() else { return };
    let watcher = Watcher::begin(&hosts[0]);
    let tools = [
        ("sudo-pass", BecomeMethod::Sudo, "sudo password of sudo-pass", PASSWORD, "sudo-pass : PWD="),
        ("tty-pass", BecomeMethod::Sudo, "sudo password of tty-pass", PASSWORD, "tty-pass : TTY=pts/"),
        ("su-pass", BecomeMethod::Su, "password of root", ROOT_PASSWORD, "(to root) su-pass on none"),
        ("doas-pass", BecomeMethod::Doas, "doas password of doas-pass", PASSWORD, "doas-pass ran command sh -c "),
    ];
    for (user, method, question, answer, _) in tools {
        let (transports, asked) = answering(&[(question, answer)]);
        let program = "id -un; id -u; sleep 0.5";
        let answers = everywhere(hosts, &transports, user, program, |endpoint| becoming(endpoint, method, None)).await;
        all_said(answers, "root\n0\n");
        assert_eq!(count(&asked), 1, "{asked:?}");
    }
    let (rounds, found) = watcher.end();
    assert!(rounds > 10, "it looked {rounds} times");
    assert_eq!(found, "", "a password was to be seen");
    let journals = Journals::read(hosts);
    for (user, _, _, _, log) in tools {
        assert!(journals.count(&[log]).iter().all(|count| *count > 0), "{user}: {:?}", journals.count(&[log]));
        assert_eq!(journals.sum(&["authentication failure", user]), 0, "{user}");
    }
    assert_eq!(journals.sum(&[PASSWORD]) + journals.sum(&[ROOT_PASSWORD]), 0, "a password was logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_password_nobody_is_asked() {
    let Some(hosts) = set() else { return };
    for (user, method, whom, name) in [
        ("deploy", BecomeMethod::Sudo, None, "root"),
        ("deploy", BecomeMethod::Sudo, Some("nosudo"), "nosudo"),
        ("root", BecomeMethod::Sudo, Some("nosudo"), "nosudo"),
        ("root", BecomeMethod::Su, Some("nosudo"), "nosudo"),
        ("doas-free", BecomeMethod::Doas, None, "root"),
        ("tty-free", BecomeMethod::Sudo, None, "root"),
        ("tty-free", BecomeMethod::Sudo, Some("nosudo"), "nosudo"),
    ] {
        let (transports, asked) = answering(&[]);
        let host = becoming(endpoint(hosts, &hosts[1], user), method, whom);
        all_said(vec![run(&transports, &host, "id -un").await], &format!("{name}\n"));
        assert_eq!(count(&asked), 0, "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_password_is_asked_for_none_is_sent() {
    let Some(hosts) = set() else { return };
    let (transports, asked) = answering(&[("sudo password of sudo-mixed", PASSWORD)]);
    for host in hosts.iter() {
        let host = becoming(endpoint(hosts, host, "sudo-mixed"), BecomeMethod::Sudo, None);
        let mut session = transports.connect(&host).await.unwrap();
        let answer = session.exec(exec("id -un; cat", "what it reads")).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer.stdout), "root\nwhat it reads");
    }
    assert_eq!(count(&asked), 1, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_stops_the_fleet() {
    let Some(hosts) = set() else { return };
    for (user, method) in [
        ("sudo-wrong", BecomeMethod::Sudo),
        ("tty-wrong", BecomeMethod::Sudo),
        ("su-wrong", BecomeMethod::Su),
        ("doas-wrong", BecomeMethod::Doas),
    ] {
        let (transports, asked) = answering(&[("password of", "wrong")]);
        let answers = everywhere(hosts, &transports, user, "true", |endpoint| becoming(endpoint, method, None)).await;
        let failures: Vec<Failure> = answers.into_iter().map(Result::unwrap_err).collect();
        assert!(failures.iter().all(|failure| failure.phase == Phase::Become), "{failures:?}");
        let others = failures.iter().filter(|failure| failure.message.contains("is not tried here")).count();
        assert_eq!(others, 2, "{user}: {failures:?}");
        assert_eq!(count(&asked), 1, "{asked:?}");
    }
    let journals = Journals::read(hosts);
    for user in ["sudo-wrong", "tty-wrong", "su-wrong", "doas-wrong"] {
        // PAM has one line for a failure.
        assert_eq!(journals.sum(&["authentication failure;", user]), 1, "{user}");
    }
}

/// What must be as without a terminal.
async fn behaves(session: &mut Session) {
    let every: Vec<u8> = (0..=255u8).cycle().take(100_000).collect();
    let answer = session.exec(exec("cat; printf '%s\\n' \"it's!\" >&2; exit 3", every.clone())).await.unwrap();
    assert!(answer.stdout == every, "{} bytes came back of {}", answer.stdout.len(), every.len());
    assert_eq!((answer.stderr.as_slice(), answer.end), (&b"it's!\n"[..], End::Exit(3)));
    let large = Bytes::from(vec![b'\x04'; 3 << 20]);
    let answer = session.exec(exec("cat", large.clone())).await.unwrap();
    assert!(answer.stdout == large && answer.end == End::Exit(0), "{:?} {}", answer.end, answer.stdout.len());
    let answer = session.exec(exec("echo ignored", large)).await.unwrap();
    assert_eq!((answer.stdout.as_slice(), answer.end), (&b"ignored\n"[..], End::Exit(0)), "input nobody reads");
    let answer = session.exec(exec("sleep 20 & echo started", "")).await.unwrap();
    assert_eq!((answer.stdout.as_slice(), answer.end), (&b"started\n"[..], End::Exit(0)), "its child holds stdout");
    let silent = Exec { idle: Duration::from_millis(500), ..exec("sleep 60", "") };
    assert_eq!(session.exec(silent).await.unwrap().end, End::IdleTimeout);
    let answer = session.exec(exec("[ -t 0 ] || [ -t 1 ] || [ -t 2 ] || echo no terminal", "")).await.unwrap();
    assert_eq!(answer.stdout, b"no terminal\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_every_byte_arrives() {
    let Some(hosts) = set() else { return };
    for user in ["tty-free", "tty-pty"] {
        let (transports, _) = answering(&[]);
        let host = becoming(endpoint(hosts, &hosts[2], user), BecomeMethod::Sudo, None);
        let mut session = transports.connect(&host).await.unwrap();
        behaves(&mut session).await;
        assert_eq!(session.channels(), 7, "that there must be a terminal is learned once");
    }
    assert!(Journals::read(&hosts[2..]).sum(&["tty-free : TTY=pts/"]) > 0, "the host saw a terminal");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sshd_gives_no_terminal_that_is_said() {
    let Some(hosts) = set() else { return };
    let (transports, _) = answering(&[]);
    let host = becoming(endpoint(hosts, &hosts[0], "tty-never"), BecomeMethod::Sudo, None);
    let failure = run(&transports, &host, "true").await.unwrap_err();
    assert_eq!(failure.phase, Phase::Become);
    assert!(failure.message.contains("sshd gives none") && failure.hint.unwrap().contains("PermitTTY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_become_another_is_told_so() {
    let Some(hosts) = set() else { return };
    let (transports, _) = answering(&[("password of", PASSWORD)]);
    let host = becoming(endpoint(hosts, &hosts[0], "sudo-none"), BecomeMethod::Sudo, None);
    let failure = run(&transports, &host, "true").await.unwrap_err();
    assert_eq!(failure.phase, Phase::Become);
    assert!(failure.message.contains("not in the sudoers"), "{failure:?}");
}

/// A project with one file to put on these hosts as `user`.
fn project(hosts: &Hosts, user: &str) -> Project {
    let key = if user == "at-once" { hosts.key().with_file_name("phrase") } else { hosts.key() };
    let inventory = hosts.inventory(user, &["x"]);
    let inventory = inventory.replace(&format!("{:?}", hosts.key()), &format!("{key:?}"));
    let role =
        format!("resources:\n  - file: /etc/by-{user}\n    content: |\n      one\n      two\n    mode: '0640'\n");
    // A name of its own: hosts remember by it, and refuse to be acted on by two at once.
    let name = format!("project: by-{user}\n");
    Project::new().file("snowmelt.yml", &name).file("inventory.yml", &inventory).file("roles/x/role.yml", &role)
}

#[test]
fn requiretty_is_no_obstacle_to_an_apply() {
    let Some(hosts) = set() else { return };
    let project = project(hosts, "tty-pty");
    project.run(&["plan"]).code(1);
    project.run(&["apply", "--yes"]).code(0);
    for host in hosts.iter() {
        assert_eq!(host.ask("stat -c '%U %a' /etc/by-tty-pty && cat /etc/by-tty-pty"), "root 640\none\ntwo");
    }
    project.run(&["verify"]).code(0);
}

#[test]
fn what_was_begun_at_a_terminal_goes_on_without_it() {
    let Some(hosts) = set() else { return };
    let host = &hosts[1];
    let project = project(hosts, "tty-cut");
    let run =
        "echo begun >>/root/tty-cut; until [ -e /root/tty-cut.go ]; do sleep 0.05; done; echo done >>/root/tty-cut";
    let role = format!("resources:\n  - command: wait\n    run: {run:?}\n    creates: /root/tty-cut\n");
    project.write("roles/x/role.yml", &role);
    let mut going = project.start(&["apply", "--yes", "-l", &host.name]);
    host.ask("until [ -s /root/tty-cut ]; do sleep 0.05; done");
    assert_ne!(host.ask("pgrep -c -u tty-cut sshd"), "0");
    host.spoil("pkill -KILL -u tty-cut sshd; sleep 0.5; touch /root/tty-cut.go");
    assert_eq!(going.wait().unwrap().code(), Some(0));
    assert_eq!(host.ask("cat /root/tty-cut"), "begun\ndone");
}

/// snowmelt at a terminal of its own (script(1)).
struct AtTerminal {
    child: Child,
    stdin: Option<ChildStdin>,
    seen: String,
}

impl AtTerminal {
    fn start(project: &Project, arguments: &str) -> Self {
        // What the shell says afterwards is how it ended and what the terminal is like.
        let line = format!("{} {arguments}; echo ended $?; stty -a", env!("CARGO_BIN_EXE_snowmelt"));
        let mut command = Command::new("script");
        command.args(["-qf", "-E", "always", "-c", &line, "/dev/null"]).current_dir(project.path("."));
        command.env("TERM", "xterm").env("COLUMNS", "120").env_remove("CI").env_remove("SSH_AUTH_SOCK");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        Self { child, stdin, seen: String::new() }
    }

    /// Reads on until this text stands at the end of what is to be seen.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let from = self.seen.len();
        let mut bytes = self.seen.clone().into_bytes();
        while !bytes[from..].ends_with(text.as_bytes()) {
            let mut byte = [0];
            let stdout = self.child.stdout.as_mut().unwrap();
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "`{text}` never came:\n{}", String::from_utf8_lossy(&bytes));
            bytes.push(byte[0]);
        }
        self.seen = String::from_utf8(bytes).unwrap();
    }

    /// Types, once nothing else was shown for a moment: a prompt must stay as it is.
    #[track_caller]
    fn answer(&mut self, text: &str) {
        // Longer than it takes to draw a progress line anew.
        std::thread::sleep(Duration::from_millis(350));
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
        let mut byte = [0];
        let stdout = self.child.stdout.as_mut().unwrap();
        assert_eq!(stdout.read(&mut byte).unwrap(), 1);
        assert!(matches!(byte[0], b'\r' | b'\n'), "after the prompt came {:?}:\n{}", byte[0] as char, self.seen);
    }

    /// What was seen until the end.
    fn end(mut self) -> String {
        let mut rest = Vec::new();
        self.child.stdout.as_mut().unwrap().read_to_end(&mut rest).unwrap();
        drop(self.stdin.take());
        self.child.wait().unwrap();
        self.seen + &String::from_utf8_lossy(&rest)
    }
}

#[test]
fn at_a_terminal_everything_is_asked_for_once() {
    let Some(hosts) = set() else { return };
    let project = project(hosts, "at-once");
    let mut terminal = AtTerminal::start(&project, "apply --yes");
    let key = hosts.key().with_file_name("phrase");
    terminal.until(&format!("passphrase of {}: ", key.display()));
    terminal.answer(&format!("{PASSPHRASE}\n"));
    for question in ["SSH password of at-once (for h", "sudo password of at-once (for h"] {
        terminal.until(question);
        terminal.until("): ");
        terminal.answer(&format!("{PASSWORD}\n"));
    }
    let seen = terminal.end();
    assert!(seen.contains("ended 0"), "{seen}");
    assert!(!seen.contains(PASSWORD) && !seen.contains(PASSPHRASE), "{seen}");
    assert_eq!(seen.matches("password of").count() + seen.matches("passphrase of").count(), 3, "{seen}");
    assert!(!seen.contains(" -echo "), "{seen}");
    for host in hosts.iter() {
        assert_eq!(host.ask("stat -c %U /etc/by-at-once && cat /etc/by-at-once"), "root\none\ntwo");
    }
}

#[test]
fn ctrl_c_at_a_prompt_ends_the_run_and_leaves_the_terminal_as_it_was() {
    let Some(hosts) = set() else { return };
    let project = project(hosts, "at-once");
    let mut terminal = AtTerminal::start(&project, "plan");
    terminal.until("phrase: ");
    terminal.answer("half of it\u{3}");
    let start = Instant::now();
    let seen = terminal.end();
    assert!(start.elapsed() < Duration::from_secs(10), "{seen}");
    assert!(seen.contains("ended 130"), "{seen}");
    for flag in ["echo", "isig", "icanon"] {
        assert!(seen.split_ascii_whitespace().any(|word| word == flag), "{flag}: {seen}");
    }
    assert_eq!(seen.matches("passphrase of").count(), 1, "{seen}");
}
