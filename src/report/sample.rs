//! Runs built by hand, for the tests of every format.

use std::sync::Arc;
use std::time::Duration;

use crate::resource::Address;
use crate::resource::result::{
    Action, AttributeResult, HostOutcome, HostResult, ResourceResult, RunResult, Trouble, Verb, Verdict,
};
use crate::resource::want::Severity;

pub(super) fn run(verb: Verb, hosts: Vec<HostResult>) -> RunResult {
    RunResult {
        verb,
        project: "shop".into(),
        commit: Some("1df2bad".into()),
        started: 1_763_717_700,
        took: Duration::from_millis(1234),
        hosts,
    }
}

pub(super) fn host(name: &str, resources: Vec<ResourceResult>) -> HostResult {
    HostResult {
        host: name.into(),
        address: Some("192.0.2.7".into()),
        roles: vec!["base".into(), "nginx".into()],
        outcome: HostOutcome::Judged,
        resources: resources.into_iter().map(Arc::new).collect(),
        notes: Vec::new(),
        took: Duration::from_millis(412),
        channels: 1,
    }
}

pub(super) fn unreachable(name: &str) -> HostResult {
    let trouble = Trouble {
        phase: "connect".into(),
        message: "connection refused (192.0.2.9 port 22)".into(),
        hint: Some("is sshd running, and is the port right?".into()),
    };
    HostResult { outcome: HostOutcome::Unreachable(trouble), resources: Vec::new(), channels: 0, ..host(name, vec![]) }
}

pub(super) fn attribute(name: &str, verdict: Verdict, got: &str, want: &str) -> AttributeResult {
    AttributeResult { name: name.into(), verdict, want: want.into(), got: got.into(), diff: None }
}

/// A resource with the verdict of its worst attribute, given as the last one that is not in sync.
pub(super) fn resource(address: &str, line: usize, attributes: Vec<AttributeResult>) -> ResourceResult {
    let address = Address::parse(address, "base").unwrap();
    let worst = attributes.iter().rev().map(|a| a.verdict.clone()).find(|v| *v != Verdict::InSync);
    ResourceResult {
        file: format!("roles/{}/role.yml", address.role),
        address,
        is_check: false,
        severity: Severity::Medium,
        line,
        verdict: worst.unwrap_or(Verdict::InSync),
        before: attributes.clone(),
        attributes,
        action: Action::None,
        found: None,
    }
}

pub(super) fn in_sync(address: &str) -> ResourceResult {
    resource(address, 3, vec![attribute("state", Verdict::InSync, "present", "present")])
}

pub(super) const DIFF: &str = "\
@@ -1,4 +1,4 @@
 user www-data;
-worker_processes 8;
+worker_processes auto;
 events {}
";

pub(super) fn drifted_file() -> ResourceResult {
    let mut content = attribute("content", Verdict::Drifted, "sha256:aa", "sha256:bb");
    content.diff = Some(DIFF.into());
    let state = attribute("state", Verdict::InSync, "present", "present");
    let mode = attribute("mode", Verdict::Drifted, "0600", "0644");
    resource("nginx/file:/etc/nginx/nginx.conf", 14, vec![state, mode, content])
}

fn unknown(address: &str, why: &str) -> ResourceResult {
    resource(address, 21, vec![attribute("state", Verdict::Unknown(why.into()), "", "present")])
}

/// One verify run with every verdict there is, and a host that is down.
pub(super) fn every_verdict() -> RunResult {
    let mut check = resource("nginx/port:80/tcp", 2, vec![attribute("listening", Verdict::Failed, "false", "true")]);
    (check.is_check, check.severity, check.file) = (true, Severity::High, "specs/nginx.yml".into());
    let after = Address::new("nginx", "package", "nginx");
    let undecided = Verdict::Undecided { after, why: "the unit nginx does not exist yet".into() };
    let service = resource("nginx/service:nginx", 30, vec![attribute("running", undecided, "", "true")]);
    let mode = resource("base/file:/etc/motd", 9, vec![attribute("mode", Verdict::Drifted, "0600", "0644")]);
    let pending = resource("base/package:curl", 5, vec![attribute("state", Verdict::Pending, "absent", "present")]);
    let always = resource("base/command:warm the cache", 40, vec![]);
    let always = ResourceResult { verdict: Verdict::NotObservable, ..always };
    let mut first = host(
        "web001.example.com",
        vec![in_sync("base/package:ntp"), mode, pending, drifted_file(), service, always, check],
    );
    first.resources.push(unknown("base/command:ntp is in sync", "no such tool: timedatectl").into());
    first.notes.push("an earlier run by alice@laptop ended unfollowed at 09:12".into());
    let second = host("web002.example.com", vec![in_sync("base/package:ntp"), drifted_file()]);
    run(Verb::Verify, vec![first, second, unreachable("web003.example.com")])
}

/// What apply would do to a host that has nothing yet, and to one where little is due.
pub(super) fn plan() -> RunResult {
    let pending = |name: &str, want: &str| attribute(name, Verdict::Pending, "", want);
    let mut content = pending("content", "sha256:bb");
    content.diff = Some("@@ -0,0 +1,2 @@\n+user www-data;\n+worker_processes auto;\n".into());
    let state = || attribute("state", Verdict::Pending, "absent", "present");
    let package = resource("nginx/package:nginx", 12, vec![state()]);
    let file = resource("nginx/file:/etc/nginx/nginx.conf", 14, vec![state(), pending("mode", "0644"), content]);
    let gone =
        resource("base/file:/etc/cron.d/old", 7, vec![attribute("state", Verdict::Drifted, "present", "absent")]);
    let after = Address::new("nginx", "package", "nginx");
    let undecided = Verdict::Undecided { after, why: "the unit does not exist yet".into() };
    let service = resource("nginx/service:nginx", 30, vec![attribute("running", undecided, "", "true")]);
    let first = host("web001.example.com", vec![gone, package, file, service]);
    let second = host("web002.example.com", vec![in_sync("base/package:ntp"), drifted_file()]);
    run(Verb::Plan, vec![first, second])
}

/// An apply with everything that can become of a step.
pub(super) fn applied() -> RunResult {
    let mut changed = drifted_file();
    for attribute in &mut changed.attributes {
        (attribute.verdict, attribute.got, attribute.diff) = (Verdict::InSync, attribute.want.clone(), None);
    }
    changed.verdict = Verdict::InSync;
    changed.action = Action::Changed { title: "write /etc/nginx/nginx.conf".into() };
    let pending = |address: &str, action: Action| ResourceResult {
        action,
        ..resource(address, 5, vec![attribute("state", Verdict::Pending, "absent", "present")])
    };
    let message = "exit status 100\nE: Unable to locate package nginxx".to_owned();
    let failed = pending("nginx/package:nginxx", Action::Failed { title: "install nginxx".into(), message });
    let late = pending("nginx/package:curl", Action::NotReached);
    let left = pending("nginx/service:nginx", Action::NotSelected("needs --restart nginx/service:nginx".into()));
    let lost = pending("nginx/user:shop", Action::Lost("the connection was lost while it ran".into()));
    let first = host("web001.example.com", vec![in_sync("base/package:ntp"), changed.clone()]);
    let second = host("web002.example.com", vec![changed, failed, late, left, lost]);
    run(Verb::Apply, vec![first, second])
}

/// Forty hosts with the same drift, one of them with more.
pub(super) fn forty_alike() -> RunResult {
    let names = (1..=40).map(|n| format!("web{n:03}.example.com"));
    let mut hosts: Vec<HostResult> =
        names.map(|name| host(&name, vec![in_sync("base/package:ntp"), drifted_file()])).collect();
    hosts[6].resources.push(unknown("base/command:ntp is in sync", "no such tool: timedatectl").into());
    run(Verb::Verify, hosts)
}

/// Bytes that try to get out of every sink there is.
pub(super) fn hostile() -> RunResult {
    let text = "a\u{1b}[31mred\u{0}\u{202e}txt]]>\r\n::set-output name=x::y\n\u{fffe}\u{9b}<b>&\"'";
    let mut content = attribute("content", Verdict::Drifted, text, text);
    content.diff = Some(format!("@@ -1 +1,2 @@\n-{text}\n ::error::owned\n ##[command]x\n+{text}\n"));
    let identity = format!("/tmp/{text}");
    let mut bad =
        resource("base/file:/x", 1, vec![content, attribute("mode", Verdict::Unknown(text.into()), text, text)]);
    bad.address = Address::new("base", "file", &identity);
    bad.verdict = Verdict::Drifted;
    let mut dup = bad.clone();
    dup.action = Action::Failed { title: text.into(), message: text.into() };
    let mut first = host("evil\u{1b}]0;x\u{7}.example.com", vec![bad, dup]);
    first.notes.push(text.into());
    let mut second = unreachable("down");
    second.outcome = HostOutcome::Failed(Trouble { phase: text.into(), message: text.into(), hint: Some(text.into()) });
    run(Verb::Apply, vec![first, second])
}

/// A run over one host for which nothing is declared.
pub(super) fn nothing() -> RunResult {
    run(Verb::Verify, vec![host("empty.example.com", vec![])])
}

/// Compares with a file in `fixtures/reports`. To look at new output and accept it, run with `SNOWMELT_BLESS=1`.
pub(super) fn golden(name: &str, got: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reports").join(name);
    if std::env::var_os("SNOWMELT_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(want == got, "{} is not what is rendered now:\n{got}", path.display());
}
