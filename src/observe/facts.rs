//! Reads what a host is.

use std::fmt::Write as _;

use super::place::Place;
use super::probes::{probe_answer, run_probes};
use super::script::Script;
use crate::base::clean;
use crate::resource::facts::{InitSystem, OsFamily, PackageManager};
use crate::resource::{Facts, Probe, ProbeAnswer};
use crate::wire::{Frames, Nonce};

/// Shell that prints the facts; /proc and /sys are read, few processes are started.
const FACTS: &str = include_str!("facts.sh");

/// The script that reads the facts, and runs the commands of roles' own facts.
pub fn facts_script(own: &[Probe], place: &Place, nonce: &Nonce) -> Script {
    let mut text = String::new();
    let _ = writeln!(text, "b facts\n(\n{FACTS}\n) </dev/null 2>/dev/null\ne facts $?");
    let probes: Vec<(String, Probe)> =
        own.iter().enumerate().map(|(i, probe)| (i.to_string(), probe.clone())).collect();
    text.push_str(&run_probes(&probes));
    Script::of(place, nonce, &text)
}

/// The answer to [`facts_script`]: the facts (without roles' own), and the answer to each of the commands.
///
/// # Errors
/// When the answer was cut: a lowercase fragment.
pub fn read_facts(own: usize, frames: &Frames) -> Result<(Facts, Vec<Option<ProbeAnswer>>), String> {
    let frame = frames.get("facts").ok_or("the answer was cut before the facts were read")?;
    let text = clean::utf8(&frame.body);
    let answers = (0..own).map(|number| probe_answer(frames, &number.to_string())).collect();
    Ok((parse(&text), answers))
}

fn parse(text: &str) -> Facts {
    let all = |name: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::trim).collect()
    };
    let one = |name: &str| all(name).first().copied().unwrap_or_default();
    let number = |name: &str| one(name).parse::<i64>().unwrap_or(0);
    let unquoted = |name: &str| one(name).trim_matches(['"', '\'']).to_owned();
    let (id, like) = (unquoted("ID"), unquoted("ID_LIKE"));
    Facts {
        os_family: family(&id, &like),
        os_id: id,
        os_release: unquoted("VERSION_ID"),
        os_codename: unquoted("VERSION_CODENAME"),
        arch: architecture(one("machine")),
        hostname: one("hostname").to_owned(),
        addresses: all("address").into_iter().map(str::to_owned).collect(),
        memory_mib: number("memory_kib") / 1024,
        cpus: number("cpus"),
        init: InitSystem::from_word(one("init")),
        package_manager: PackageManager::from_word(one("package_manager")),
        own: indexmap::IndexMap::new(),
    }
}

/// The family, from lines of an os-release file.
pub(super) fn family_of(text: &str) -> OsFamily {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
    };
    family(&value("ID"), &value("ID_LIKE"))
}

/// `ID` decides, else the first word of `ID_LIKE` that is known (os-release(5)).
fn family(id: &str, like: &str) -> OsFamily {
    let known = |word: &str| match word {
        "debian" | "ubuntu" | "raspbian" | "linuxmint" | "kali" => Some(OsFamily::Debian),
        "rhel" | "fedora" | "centos" | "rocky" | "almalinux" | "amzn" | "ol" => Some(OsFamily::Redhat),
        "suse" | "sles" | "opensuse" | "opensuse-leap" | "opensuse-tumbleweed" => Some(OsFamily::Suse),
        "arch" | "manjaro" => Some(OsFamily::Arch),
        "alpine" => Some(OsFamily::Alpine),
        _ => None,
    };
    std::iter::once(id).chain(like.split_whitespace()).find_map(known).unwrap_or_default()
}

/// `uname -m` in Debian's words, which are the ones that stand in URLs and package names most often.
fn architecture(machine: &str) -> String {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" => "armhf",
        "i686" | "i586" | "i386" => "i386",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_captured_answers() {
        let debian = parse(
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n\
             machine=x86_64\nhostname=h1\nmemory_kib=2048000\ncpus=2\ninit=systemd\npackage_manager=apt\naddress=10.0.0.5\n",
        );
        assert_eq!((debian.os_family, debian.os_release.as_str()), (OsFamily::Debian, "12"));
        assert_eq!((debian.arch.as_str(), debian.memory_mib, debian.cpus), ("amd64", 2000, 2));
        assert_eq!((debian.init, debian.package_manager), (InitSystem::Systemd, PackageManager::Apt));
        assert_eq!(debian.addresses, ["10.0.0.5"]);
        let rocky = parse("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\nmachine=aarch64\n");
        assert_eq!((rocky.os_family, rocky.arch.as_str(), rocky.os_codename.as_str()), (OsFamily::Redhat, "arm64", ""));
        let unknown = parse("ID=plan9\nID_LIKE=\"x ubuntu\"\ncpus=many\n");
        assert_eq!((unknown.os_family, unknown.cpus), (OsFamily::Debian, 0));
        assert_eq!(parse("").os_family, OsFamily::Other);
    }

    #[test]
    fn every_shell_reads_the_same_of_this_machine() {
        let nonce = Nonce::fixed("n");
        let place = Place { folder: None, project: "p".into(), host: "h".into() };
        let script = facts_script(&[Probe::new("echo own; exit 3")], &place, &nonce);
        let read = |shell: &[&str]| {
            let out =
                std::process::Command::new(shell[0]).args(&shell[1..]).arg("-c").arg(&script.text).output().unwrap();
            let mut frames = Frames::new(&nonce);
            frames.push(&out.stdout);
            read_facts(1, &frames).unwrap()
        };
        let (facts, own) = read(&["dash"]);
        assert!(facts.memory_mib > 0 && facts.cpus > 0 && !facts.hostname.is_empty(), "{facts:?}");
        let own = own[0].as_ref().unwrap();
        assert_eq!((own.stdout.as_slice(), &own.end), (&b"own\n"[..], &crate::resource::ProbeEnd::Exit(3)));
        assert_eq!(read(&["bash", "--posix"]).0, facts);
    }
}
