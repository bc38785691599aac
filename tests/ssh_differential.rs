//! The real `ssh` and snowmelt, given the same configuration, the same known_hosts and the same server, must both accept or
//! both refuse. Where snowmelt is stricter on purpose the case says so.

mod sshd;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use snowmelt::catalog::connection::Connection;
use snowmelt::transport::{End, Endpoint, Exec, Phase, TransportOptions, Transports};
use sshd::Sshd;

/// What is compared: whether a login came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Refused,
}

use Verdict::{Accepted, Refused};

/// A known_hosts to try: `{host}`, `{rsa}`, `{ca}`, `{other}` are keys, `{at}` is how ssh writes the server's name and port.
struct Case {
    known: &'static str,
    more: &'static str,
    expected: Verdict,
}

const STRICT: &str = "StrictHostKeyChecking yes";
const ACCEPT_NEW: &str = "StrictHostKeyChecking accept-new";

const UNENDED: &str = "a last line without its end";

fn case(known: &'static str, more: &'static str, expected: Verdict) -> Case {
    Case { known, more, expected }
}

fn write(sshd: &Sshd, case: &Case) -> PathBuf {
    let keys = [("{host}", "host"), ("{rsa}", "host_rsa"), ("{ca}", "ca"), ("{other}", "other")];
    let mut known = case.known.replace("{at}", &format!("[127.0.0.1]:{}", sshd.port));
    for (token, name) in keys {
        known = known.replace(token, &sshd.public_key(name));
    }
    std::fs::write(sshd.path("known_hosts"), known).unwrap();
    let folder = sshd.folder.path().display();
    let config = format!(
        "Host target\nHostName 127.0.0.1\nPort {}\nIdentityFile {folder}/user\nIdentitiesOnly yes\nIdentityAgent none\n\
         UserKnownHostsFile {folder}/known_hosts\nGlobalKnownHostsFile /dev/null\nBatchMode yes\nUser {}\n{}\n",
        sshd.port,
        sshd::me(),
        case.more
    );
    let file = sshd.path("ssh_config");
    std::fs::write(&file, config).unwrap();
    file
}

fn by_ssh(config: &Path) -> (Verdict, String) {
    let mut command = Command::new("ssh");
    command.arg("-F").arg(config).args(["target", "true"]).stdin(Stdio::null());
    let output = command.output().expect("ssh runs");
    let verdict = if output.status.success() { Accepted } else { Refused };
    (verdict, String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn by_snowmelt(config: &Path, home: &Path) -> (Verdict, String) {
    let options =
        TransportOptions { ssh_config: Some(config.to_owned()), ..TransportOptions::new(home.to_owned(), &sshd::me()) };
    let endpoint = Endpoint { name: "target".to_owned(), connection: Connection::default() };
    let mut session = match Transports::new(options).connect(&endpoint).await {
        Ok(session) => session,
        Err(failure) => {
            assert_eq!(failure.phase, Phase::HostKey, "{failure}");
            return (Refused, failure.to_string());
        }
    };
    let (idle, deadline) = (Duration::from_secs(30), Duration::from_secs(30));
    let exec = Exec { program: "true", input: Bytes::new(), idle, deadline, limit: 100, on_output: None };
    assert_eq!(session.exec(exec).await.unwrap().end, End::Exit(0));
    (Accepted, String::new())
}

async fn compare(sshd: &Sshd, cases: &[Case]) {
    let mut wrong = Vec::new();
    for case in cases {
        // Each starts from the same file: accepting a new host writes to it.
        let config = write(sshd, case);
        let (theirs, their_words) = by_ssh(&config);
        let their_file = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
        let config = write(sshd, case);
        let offers = sshd.log().matches("publickey").count();
        let (ours, our_words) = by_snowmelt(&config, sshd.folder.path()).await;
        if ours == Refused && sshd.log().matches("publickey").count() != offers {
            wrong.push(format!("{}\n{}\n a key was offered to a host that was refused", case.known, case.more));
        }
        let our_file = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
        // A last line without its end is ended here, where ssh spoils it.
        let same_file = our_file == their_file || case.more.contains("HashKnownHosts") || case.known == UNENDED;
        if ours != theirs || ours != case.expected || !same_file {
            wrong.push(format!(
                "{}\n{}\n expected {:?}\n ssh {theirs:?}: {their_words}{their_file}\n snowmelt {ours:?}: {our_words}\n{our_file}",
                case.known, case.more, case.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n---\n"));
}

#[tokio::test]
async fn host_keys_are_judged_as_ssh_judges_them() {
    if !sshd::available("host_keys_are_judged_as_ssh_judges_them") {
        return;
    }
    let sshd = Sshd::start("");
    let mut cases = vec![
        case("", STRICT, Refused),
        case("", ACCEPT_NEW, Accepted),
        case(UNENDED, ACCEPT_NEW, Accepted),
        case("", "StrictHostKeyChecking accept-new\nHashKnownHosts yes", Accepted),
        case("{at} {host}\n", STRICT, Accepted),
        case("{at}\t{host} a comment\n", STRICT, Accepted),
        case("   {at}   {host}\n", STRICT, Accepted),
        case("# {at} {host}\n", STRICT, Refused),
        case("[127.0.0.?]:* {host}\n", STRICT, Accepted),
        case("* {host}\n", STRICT, Accepted),
        case("*,!{at} {host}\n", STRICT, Accepted),
        case("*,!{at},!127.0.0.1 {host}\n", STRICT, Refused),
        case("127.0.0.1 {host}\n", STRICT, Accepted),
        case("127.0.0.1 {other}\n", STRICT, Refused),
        case("127.0.0.1 {other}\n", ACCEPT_NEW, Accepted),
        case("[127.0.0.1]:1 {host}\n", STRICT, Refused),
        case("x,{at} {host}\n", STRICT, Accepted),
        case("{at} {other}\n", STRICT, Refused),
        case("{at} {other}\n", ACCEPT_NEW, Refused),
        case("{at} {other}\n{at} {host}\n", STRICT, Accepted),
        case("{at} {rsa}\n", STRICT, Refused),
        case("{at} {rsa}\n", ACCEPT_NEW, Refused),
        case("{at} ssh-ed25519 AAAA\n{at} {host}\n", STRICT, Accepted),
        case("{at} ssh-ed25519\n{at} nonsense\n{at}\n", ACCEPT_NEW, Accepted),
        case("{at} {host}\n@revoked {at} {host}\n", STRICT, Refused),
        case("@revoked * {host}\n{at} {host}\n", ACCEPT_NEW, Refused),
        case("@revoked * {host}\n", ACCEPT_NEW, Refused),
        case("@revoked elsewhere {host}\n{at} {host}\n", STRICT, Accepted),
        case("@strange {at} {host}\n", STRICT, Refused),
        case("@cert-authority {at} {host}\n", STRICT, Refused),
        case("@cert-authority {at} {ca}\n{at} {host}\n", STRICT, Accepted),
        case("alias {host}\n", "StrictHostKeyChecking yes\nHostKeyAlias alias", Accepted),
        case("ALIAS {host}\n", "StrictHostKeyChecking yes\nHostKeyAlias Alias", Accepted),
        case("{at} {host}\n", "StrictHostKeyChecking yes\nHostKeyAlias alias", Refused),
        case("", "StrictHostKeyChecking accept-new\nHostKeyAlias alias", Accepted),
        case("{at} {host}\n", "StrictHostKeyChecking yes\nMatch user nobody-at-all\nHostKeyAlias alias", Accepted),
    ];
    cases.push(case("\u{0}\u{7f}\n{at} {host}\n", STRICT, Accepted));
    sshd::keygen(sshd.folder.path(), "ca", "ed25519", "");
    compare(&sshd, &cases).await;

    // A file with hashed names, written by OpenSSH itself.
    let hashed = sshd.known_hosts();
    assert!(Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&hashed).output().unwrap().status.success());
    let text: &'static str = std::fs::read_to_string(&hashed).unwrap().leak();
    assert!(text.starts_with("|1|"), "{text}");
    compare(&sshd, &[case(text, STRICT, Accepted)]).await;
}

#[tokio::test]
async fn a_host_with_several_keys_shows_the_known_one() {
    if !sshd::available("a_host_with_several_keys_shows_the_known_one") {
        return;
    }
    let folder = sshd::folder();
    let rsa = format!("HostKey {}/host_rsa", folder.path().display());
    sshd::keygen(folder.path(), "ca", "ed25519", "");
    let sshd = Sshd::start_in(folder, &rsa);
    let cases = [
        case("{at} {host}\n", STRICT, Accepted),
        case("{at} {rsa}\n", STRICT, Accepted),
        case("{at} {rsa}\n", ACCEPT_NEW, Accepted),
        case("127.0.0.1 {rsa}\n", STRICT, Refused),
        case("{at} {rsa}\n@revoked * {host}\n", STRICT, Accepted),
        case("{at} {other}\n", ACCEPT_NEW, Refused),
    ];
    compare(&sshd, &cases).await;
}

#[tokio::test]
async fn certificates_are_judged_as_ssh_judges_them() {
    if !sshd::available("certificates_are_judged_as_ssh_judges_them") {
        return;
    }
    let trusted = "@cert-authority {at} {ca}\n";
    let both = "@cert-authority {at} {ca}\n{at} {host}\n";
    let fine = || {
        vec![
            case(trusted, STRICT, Accepted),
            case("@cert-authority * {ca}\n", ACCEPT_NEW, Accepted),
            case("@cert-authority elsewhere {ca}\n", STRICT, Refused),
            case("@cert-authority {at} {other}\n", STRICT, Refused),
            case("@cert-authority {at} {other}\n{at} {host}\n", STRICT, Accepted),
            case("@cert-authority {at} {ca}\n@revoked * {ca}\n", STRICT, Refused),
            case("@cert-authority {at} {ca}\n@revoked * {host}\n", STRICT, Refused),
            case("@cert-authority {at} {ca}\n@revoked * {ca}\n{at} {host}\n", STRICT, Refused),
            case(both, STRICT, Accepted),
            case("{at} {ca}\n", STRICT, Refused),
        ]
    };
    let unfit = || vec![case(trusted, STRICT, Refused), case(both, STRICT, Accepted)];
    for (arguments, cases) in [
        (&["-h", "-n", "127.0.0.1", "-V", "-1d:+1d"][..], fine()),
        (&["-h", "-n", "elsewhere,127.0.0.1", "-V", "-1d:+1d"], vec![case(trusted, STRICT, Accepted)]),
        (&["-h", "-n", "elsewhere,127.0.*", "-V", "-1d:+1d"], unfit()),
        (&["-h", "-n", "elsewhere", "-V", "-1d:+1d"], unfit()),
        (&["-h", "-n", "127.0.0.1", "-V", "-2d:-1d"], unfit()),
        (&["-h", "-n", "127.0.0.1", "-V", "+1d:+2d"], unfit()),
        (&["-h", "-n", "127.0.0.1", "-V", "-1d:+1d", "-O", "critical:strange=1"], unfit()),
        // Without the plain key snowmelt refuses what older versions of ssh accept: a certificate made out to nobody.
        (&["-h", "-V", "-1d:+1d"], vec![case(both, STRICT, Accepted)]),
    ] {
        let folder = sshd::folder();
        let path = folder.path();
        sshd::keygen(path, "ca", "ed25519", "");
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-s"])
            .arg(path.join("ca"))
            .args(["-I", "a certificate"])
            .args(arguments)
            .arg(path.join("host.pub"));
        assert!(sign.output().unwrap().status.success(), "{arguments:?}");
        let certificate = format!("HostCertificate {}/host-cert.pub", path.display());
        let sshd = Sshd::start_in(folder, &certificate);
        compare(&sshd, &cases).await;
    }
}

/// A program that says what stands beside it in `said`, and takes down what it was called with.
fn known_hosts_command(sshd: &Sshd, arguments: &str) -> String {
    let folder = sshd.folder.path().display();
    let program = sshd.path("command");
    let text = format!("#!/bin/sh\nprintf '%s|' \"$@\" >>{folder}/calls\necho >>{folder}/calls\ncat {folder}/said\n");
    std::fs::write(&program, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    format!("KnownHostsCommand {folder}/command {arguments}")
}

#[tokio::test]
async fn a_known_hosts_command_is_called_and_believed_as_ssh_does() {
    if !sshd::available("a_known_hosts_command_is_called_and_believed_as_ssh_does") {
        return;
    }
    let folder = sshd::folder();
    let rsa = format!("HostKey {}/host_rsa", folder.path().display());
    sshd::keygen(folder.path(), "ca", "ed25519", "");
    let sshd = Sshd::start_in(folder, &rsa);
    let command = known_hosts_command(&sshd, "%I %H %t '%f' \"%K\" %h %n %k %p %r %u %i %l %L 100%% a\\ b");
    let at = format!("[127.0.0.1]:{}", sshd.port);
    let (host, rsa, other) = (sshd.public_key("host"), sshd.public_key("host_rsa"), sshd.public_key("other"));
    for (said, known, more, expected) in [
        ("{at} {host}\n", "", STRICT, Accepted),
        ("* {rsa}\n", "", STRICT, Accepted),
        ("* {host}\n", "", STRICT, Accepted),
        ("", "", STRICT, Refused),
        ("", "{at} {host}\n", STRICT, Accepted),
        ("", "", ACCEPT_NEW, Accepted),
        ("{at} {other}\n", "", STRICT, Refused),
        ("{at} {other}\n", "", ACCEPT_NEW, Refused),
        ("{at} {other}\n", "{at} {host}\n", STRICT, Accepted),
        ("{at} {host}\n", "{at} {other}\n", STRICT, Accepted),
        ("@revoked * {host}\n", "{at} {host}\n", STRICT, Refused),
        // Only the name with its port is asked for.
        ("127.0.0.1 {host}\n", "", STRICT, Refused),
        ("elsewhere {host}\n", "", STRICT, Refused),
        ("alias {host}\n", "", "StrictHostKeyChecking yes\nHostKeyAlias alias", Accepted),
    ] {
        let said = said.replace("{at}", &at).replace("{host}", &host).replace("{rsa}", &rsa).replace("{other}", &other);
        std::fs::write(sshd.path("said"), &said).unwrap();
        let more: &'static str = format!("{more}\n{command}").leak();
        let case = case(known, more, expected);
        let config = write(&sshd, &case);
        let (theirs, their_words) = by_ssh(&config);
        let their_calls = std::fs::read_to_string(sshd.path("calls")).unwrap();
        let their_file = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
        std::fs::remove_file(sshd.path("calls")).unwrap();
        let config = write(&sshd, &case);
        let (ours, our_words) = by_snowmelt(&config, sshd.folder.path()).await;
        let our_calls = std::fs::read_to_string(sshd.path("calls")).unwrap();
        let our_file = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
        std::fs::remove_file(sshd.path("calls")).unwrap();
        assert_eq!((theirs, ours), (expected, expected), "{said}{known}{more}\n{their_words}\n{our_words}");
        assert_eq!(our_calls, their_calls, "{said}{known}{more}");
        assert_eq!(our_file, their_file, "{said}{known}{more}");
    }

    // Before the key exchange ssh looks for the name without its port, and so is shown a key that nobody knows.
    std::fs::write(sshd.path("said"), format!("{at} {rsa}\n")).unwrap();
    let more: &'static str = format!("{STRICT}\n{command}").leak();
    let config = write(&sshd, &case("", more, Accepted));
    assert_eq!((by_ssh(&config).0, by_snowmelt(&config, sshd.folder.path()).await.0), (Refused, Accepted));

    // One that fails, or that is not there, refuses everybody; ssh goes on without one that is not there.
    std::fs::remove_file(sshd.path("said")).unwrap();
    for (more, by_them) in [(command.as_str(), Refused), ("KnownHostsCommand /nonexistent/x", Accepted)] {
        let more: &'static str = format!("{STRICT}\n{more}").leak();
        let config = write(&sshd, &case("{at} {host}\n", more, Refused));
        assert_eq!(by_ssh(&config).0, by_them);
        let (ours, words) = by_snowmelt(&config, sshd.folder.path()).await;
        assert_eq!(ours, Refused);
        assert!(words.contains("KnownHostsCommand /"), "{words}");
    }
}

#[tokio::test]
async fn changed_keys_of_a_host_are_learned_as_ssh_learns_them() {
    if !sshd::available("changed_keys_of_a_host_are_learned_as_ssh_learns_them") {
        return;
    }
    let folder = sshd::folder();
    let rsa = format!("HostKey {}/host_rsa", folder.path().display());
    sshd::keygen(folder.path(), "ca", "ed25519", "");
    let sshd = Sshd::start_in(folder, &rsa);
    let yes = "StrictHostKeyChecking yes\nUpdateHostKeys yes";
    let old = "{at} {other}\n";
    let changes = |known: &str, more: &str, changes: bool| (known.to_owned(), more.to_owned(), changes);
    for (known, more, changes) in [
        changes("# why\n{at} {host}\nelsewhere {ca}\n", yes, true),
        changes("{at} {host}", yes, true),
        changes(&format!("{{at}} {{host}}\n{old}"), yes, true),
        changes(&format!("{{at}} {{host}}\n{{at}} {{rsa}}\n{old}"), yes, true),
        changes("{at} {host}\n{at} {rsa}\n", yes, false),
        changes("{at} {host}\n", STRICT, false),
        changes("{at} {host}\n", "StrictHostKeyChecking yes\nUpdateHostKeys no", false),
        changes("* {host}\n", yes, false),
        changes("{at},a,b {host}\n", yes, false),
        changes("127.0.0.1 {host}\n", yes, false),
        changes("{at} {host}\nelsewhere {rsa}\n", yes, false),
        changes("{at} {host}\n@revoked {at} {other}\n", yes, false),
        changes("{at} {host}\n@cert-authority {at} {ca}\n", yes, false),
        changes("alias {host}\n", &format!("{yes}\nHostKeyAlias alias"), true),
    ] {
        let case = case(String::leak(known), String::leak(more), Accepted);
        let config = write(&sshd, &case);
        let before = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
        let mut ssh = Command::new("ssh");
        // It does not wait for the proof.
        ssh.arg("-F").arg(&config).args(["target", "sleep 0.3"]).stdin(Stdio::null());
        assert!(ssh.output().unwrap().status.success(), "{}", case.known);
        let theirs = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
        let config = write(&sshd, &case);
        assert_eq!(by_snowmelt(&config, sshd.folder.path()).await, (Accepted, String::new()));
        let ours = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
        assert_eq!(ours != before, changes, "{}{}\n{ours}", case.known, case.more);
        let lines = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&ours), lines(&theirs), "{}\n{}\ntheirs\n{theirs}", case.known, case.more);
    }
}
