//! What must hold whatever happened: every host is in the report once, nothing of a run stays behind, and looking writes nothing.

use std::collections::BTreeMap;

use hosts::Host;
use serde_json::Value;

use super::{Project, Ran};

/// Where nothing may change under a plan or a verify.
const WATCHED: &str = "/etc /var /usr /opt /srv /root /home /tmp";

/// What every login writes, whoever logs in.
const LOGINS: &str = "^/var/log/(journal|wtmp|lastlog|btmp)";

/// The hosts of a JSON report of the project; fails unless each of `names` is there exactly once and nobody else is.
#[track_caller]
pub fn reported(project: &Project, report: &str, names: &[&str]) -> BTreeMap<String, Value> {
    let report: Value = serde_json::from_str(&project.read(report)).unwrap();
    let hosts = report["hosts"].as_array().unwrap();
    let mut found: Vec<&str> = hosts.iter().map(|host| host["host"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut wanted = names.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "every requested host exactly once");
    hosts.iter().map(|host| (host["host"].as_str().unwrap().to_owned(), host.clone())).collect()
}

/// Fails if anything that a run makes for itself is still there. What goes on alone at the host is waited for.
#[track_caller]
pub fn nothing_left(host: &Host) {
    let left = host.ask(
        "tries=0; while [ -n \"$(ls -d /run/snowmelt* /dev/shm/snowmelt* /run/user/*/snowmelt* 2>/dev/null)\" ]; do
             tries=$((tries + 1)); [ $tries -lt 200 ] || break; sleep 0.05
         done
         ls -d /run/snowmelt* /dev/shm/snowmelt* /run/user/*/snowmelt* 2>/dev/null
         find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -name '.*snowmelt-*' -print",
    );
    assert_eq!(left, "", "left behind on {}", host.name);
}

/// Runs a verb that only looks, and fails if anything was written on one of the hosts: by name, time of change, owner, mode and
/// size of everything.
#[track_caller]
pub fn looks(project: &Project, hosts: &[Host], arguments: &[&str]) -> Ran {
    // The time that overlayfs tells of a folder may become another one later; only that it is new says something.
    let listing = |host: &Host, since: &str| {
        let folder =
            format!("-type d \\( -newermt @{since} -printf '%p was written to\\n' -o -printf '%p %M %U %G\\n' \\)");
        host.ask(&format!(
            "find {WATCHED} -xdev \\( {folder} -o -printf '%p %C@ %M %U %G %s\\n' \\) 2>/dev/null | \
             grep -Ev '{LOGINS}' | grep -v '^/var/log ' | sort"
        ))
    };
    let since = hosts[0].ask("date +%s.%N");
    let before: Vec<String> = hosts.iter().map(|host| listing(host, &since)).collect();
    let ran = project.run(arguments);
    for (host, before) in hosts.iter().zip(before) {
        let after = listing(host, &since);
        let [was, is] = [&before, &after].map(|text| text.lines().collect::<std::collections::BTreeSet<_>>());
        let changed: Vec<_> = was.symmetric_difference(&is).take(20).collect();
        assert!(before == after, "{arguments:?} wrote on {}: {changed:#?}\n{ran}", host.name);
        nothing_left(host);
    }
    ran
}

/// Fails if one of these secrets stands in what was printed, or in any report in the project's folder.
#[track_caller]
pub fn keeps_secret(project: &Project, ran: &Ran, secrets: &[&str]) {
    let mut texts = vec![("stdout".to_owned(), ran.stdout.clone()), ("stderr".to_owned(), ran.stderr.clone())];
    for entry in std::fs::read_dir(project.path("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| ["json", "xml", "txt"].iter().any(|one| extension == *one)) {
            texts.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
    for (place, text) in texts {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} stands in {place}");
        }
    }
}
