//! A port that is listened on: by whom, and at which addresses. For specs.
//!
//! # What it declares
//! A port and its protocol, `80/tcp` or `53/udp`. `listening: true` says that somebody listens, `listening: false` that nobody
//! does. `address` is the list of all addresses at which somebody listens, in any order: `address: 127.0.0.1` fails when the
//! port is open to the world as well. A socket at `::` mostly takes IPv4 connections too; it is then listed as `::` alone.
//! `process` names programs that must be among those that hold the socket.
//!
//! # What is read
//! `/proc/net/tcp`, `tcp6`, `udp` and `udp6`, once for all ports. Only if a `process` is asked for, the file descriptors of all processes
//! are searched, which takes root: without it, that is unknown.
//!
//! # What is changed
//! Nothing: ports are only checked.
//!
//! # Example
//! ```yaml
//! - port: 80/tcp
//!   listening: true
//!   process: nginx
//! - port: 5432/tcp
//!   listening: true
//!   address: [127.0.0.1, "::1"]
//! - port: 23/tcp
//!   listening: false
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::process::as_wanted;
use crate::base::clean;
use crate::base::value::Value;
use crate::resource::{
    Attribute, Compare, Example, Identity, Kind, Mistake, Observed, ProbeAnswer, Reading, Resource, Table, Type,
};

const LISTENING: Attribute = Attribute::check("listening", Type::Bool, "Whether somebody listens.");
const ADDRESS: Attribute = Attribute::check(
    "address",
    Type::List(&Type::Text),
    "All addresses at which somebody listens, in any order: `0.0.0.0`, `127.0.0.1`, `::`.",
)
.compared(Compare::SameItems);
const PROCESS: Attribute = Attribute::check(
    "process",
    Type::List(&Type::Text),
    "Programs that must be among those that hold the socket. Reading it takes root.",
)
.compared(Compare::Includes);

static TABLE: Table = Table {
    name: "port",
    summary: "a TCP or UDP port that is listened on",
    source: include_str!("port.rs"),
    identity: Identity { name: "port", ty: Type::Text, doc: "A port and its protocol: `80/tcp`, `53/udp`." },
    in_roles: false,
    in_specs: true,
    has_state: false,
    attributes: &[LISTENING, ADDRESS, PROCESS],
    examples: &[Example { yaml: "- port: 22/tcp\n  listening: true\n  process: sshd\n", spoils: &[] }],
};

/// Sockets of every port are few beside connections: only what listens is printed. Sections end with a NUL: whether it could be
/// read, the sockets, our user, who holds them.
const SOCKETS: &str = r#"[ ! -r /proc/net/tcp ] || ! command -v grep >/dev/null || printf readable
sockets=$(grep -H -s -e ' 0A ' -e ' 07 ' /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6)
printf '\000%s\000' "$sockets"
id -u
printf '\000'
"#;

/// `<inode> <pid> <name>` for each holder. An open file may be called anything: its line ends must not be taken for lines.
const HOLDERS: &str = r#"q=
! ls -q / >/dev/null 2>&1 || q=q
{
	printf '%s\n\n' "$sockets"
	ls -l$q /proc/[0-9]*/fd
} | awk '
	!listed && /^$/ { listed = 1; next }
	!listed { sub(/^[^:]*:/, ""); wanted[$10] = 1; next }
	/^\/proc\/[0-9]+\/fd:$/ { split($0, part, "/"); pid = part[3]; next }
	/ -> socket:\[[0-9]+\]$/ {
		inode = $NF
		gsub(/[^0-9]/, "", inode)
		if (!(inode in wanted)) next
		name = ""
		file = "/proc/" pid "/comm"
		if ((getline name < file) > 0) print inode, pid, name
		close(file)
	}'
"#;

/// The kind `port`.
pub(super) struct Port;

impl Kind for Port {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut add = |attribute: Option<&'static str>, message: String, hint: &str| {
            mistakes.push(Mistake { attribute, message, hint: Some(hint.to_owned()) });
        };
        if parse(resource.identity()).is_none() {
            let message = format!("`{}` is no port with its protocol", resource.identity());
            add(None, message, "write `80/tcp` or `53/udp`, with a number from 1 to 65535");
        }
        if resource.compared().next().is_none() {
            add(None, "this asks nothing of the port".to_owned(), "add `listening: true` or `listening: false`");
        }
        for address in resource.texts(&ADDRESS).unwrap_or_default() {
            if address.parse::<IpAddr>().is_err() {
                let hint = "write an address: `0.0.0.0`, `127.0.0.1`, `\"::\"`";
                add(Some(ADDRESS.name), format!("`{address}` is no IP address"), hint);
            }
        }
        mistakes
    }

    fn fragment(&self, batch: &[&Resource]) -> String {
        let holders = batch.iter().any(|resource| resource.want(&PROCESS).is_some());
        format!("{SOCKETS}{}", if holders { HOLDERS } else { "" })
    }

    fn read(&self, batch: &[&Resource], answer: &[u8], _probes: &[Vec<ProbeAnswer>]) -> Vec<Observed> {
        let text = clean::utf8(answer);
        let sections: Vec<&str> = text.split('\0').collect();
        let section = |at: usize| sections.get(at).copied().unwrap_or_default();
        if sections.len() < 4 || section(0) != "readable" {
            return batch.iter().map(|_| Observed::unknown("the sockets in /proc/net cannot be read")).collect();
        }
        let sockets: Vec<Socket> = section(1).lines().filter_map(Socket::parse).collect();
        let mut holders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for line in section(3).lines() {
            let mut words = line.splitn(3, ' ');
            if let (Some(inode), Some(_), Some(name)) = (words.next(), words.next(), words.next()) {
                holders.entry(inode).or_default().insert(name);
            }
        }
        let is_root = section(2).trim() == "0";
        batch.iter().map(|resource| observe(resource, &sockets, &holders, is_root)).collect()
    }
}

fn observe(
    resource: &Resource,
    sockets: &[Socket],
    holders: &BTreeMap<&str, BTreeSet<&str>>,
    is_root: bool,
) -> Observed {
    let Some((port, is_tcp)) = parse(resource.identity()) else {
        return Observed::unknown("it is no port with its protocol");
    };
    let mine: Vec<&Socket> = sockets.iter().filter(|socket| socket.port == port && socket.is_tcp == is_tcp).collect();
    if mine.is_empty() {
        let nothing = [(ADDRESS.name, Reading::Absent), (PROCESS.name, Reading::Absent)];
        return Observed::present(nothing.into_iter().chain([(LISTENING.name, Reading::Is(false.into()))]));
    }
    let addresses: BTreeSet<String> = mine.iter().map(|socket| socket.address.to_string()).collect();
    let wanted = resource.texts(&PROCESS).unwrap_or_default();
    let names: BTreeSet<String> = mine
        .iter()
        .filter_map(|socket| holders.get(socket.inode.as_str()))
        .flatten()
        .map(|name| as_wanted(name, &wanted).to_owned())
        .collect();
    let process = match (names.is_empty(), is_root) {
        (false, _) => Reading::Is(names.into_iter().collect::<Value>()),
        (true, false) => Reading::Unknown("permission denied: to see who holds a socket takes root".to_owned()),
        (true, true) => Reading::Unknown("no process that can be seen holds the socket".to_owned()),
    };
    Observed::present([
        (LISTENING.name, Reading::Is(true.into())),
        (ADDRESS.name, Reading::Is(addresses.into_iter().collect::<Value>())),
        (PROCESS.name, process),
    ])
}

/// `80/tcp`: the port, and whether it is TCP.
fn parse(identity: &str) -> Option<(u16, bool)> {
    let (port, protocol) = identity.split_once('/')?;
    let is_tcp = match protocol {
        "tcp" => true,
        "udp" => false,
        _ => return None,
    };
    let is_plain = port.bytes().all(|digit| digit.is_ascii_digit()) && !port.starts_with('0');
    port.parse().ok().filter(|_| is_plain).map(|port| (port, is_tcp))
}

/// A socket that listens.
#[derive(Debug, PartialEq)]
struct Socket {
    is_tcp: bool,
    address: IpAddr,
    port: u16,
    inode: String,
}

impl Socket {
    /// A line of /proc/net/tcp (proc(5)) behind the name of its file: number, local, remote, state, queues, timer,
    /// retransmissions, user, timeout, inode. None for a socket that does not listen.
    fn parse(line: &str) -> Option<Self> {
        let (file, line) = line.split_once(':')?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote, state, inode) = (fields.get(1)?, fields.get(2)?, *fields.get(3)?, fields.get(9)?);
        let is_tcp = file.contains("/tcp");
        // An unconnected UDP socket receives from everybody, which is as much listening as there is.
        let is_open = remote.bytes().all(|b| b == b'0' || b == b':');
        if !is_open || state != if is_tcp { "0A" } else { "07" } {
            return None;
        }
        let (address, port) = local.split_once(':')?;
        let address = parse_address(address)?;
        Some(Self { is_tcp, address, port: u16::from_str_radix(port, 16).ok()?, inode: (*inode).to_owned() })
    }
}

/// Four bytes at a time, each four as a number of the host, which is little-endian.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let bytes = hex::decode(hex).ok()?;
    let bytes: Vec<u8> = bytes.chunks(4).flat_map(|word| word.iter().rev().copied()).collect();
    match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => Some(IpAddr::V4(Ipv4Addr::from(four))),
        Err(_) => <[u8; 16]>::try_from(bytes.as_slice()).ok().map(|sixteen| IpAddr::V6(Ipv6Addr::from(sixteen))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::resource::Existence;
    use crate::resource::testing::{check, everywhere, resource};

    fn port(identity: &str, values: &[(&'static str, Value)]) -> Resource {
        check(resource(&Port, identity, values))
    }

    const CAPTURED: &str = "readable\0\
        /proc/net/tcp:   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19123 1 0000 100 0 0 10 0\n\
        /proc/net/tcp:   1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 20001 1 0000 100 0 0 10 0\n\
        /proc/net/tcp:1002: 0100007F:0050 0100007F:0A0A 01 00000000:00000000 00:00000000 00000000     0        0 20002 1 0000\n\
        /proc/net/tcp6:   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19125 1 0000\n\
        /proc/net/tcp6:   1: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 20003 1 0000\n\
        /proc/net/udp: 1001: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 18001 2 0000 0\n\0";

    fn shown(resource: &Resource, holders: &str) -> [String; 3] {
        let observed = Port.read(&[resource], format!("{CAPTURED}{holders}").as_bytes(), &[]).remove(0);
        ["listening", "address", "process"].map(|name| match observed.reading(name) {
            Some(Reading::Is(value)) => value.to_string(),
            Some(Reading::Unknown(why)) => format!("unknown: {why}"),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn captured_answers() {
        let root = "0\n\x0019123 700 sshd\n19125 700 sshd\n19125 1 systemd\n18001 300 systemd-resolve\n";
        assert_eq!(shown(&port("22/tcp", &[]), root), ["true", "[0.0.0.0, ::]", "[sshd, systemd]"]);
        assert_eq!(shown(&port("5432/tcp", &[]), root)[1], "[127.0.0.1, ::1]");
        assert!(shown(&port("5432/tcp", &[]), root)[2].starts_with("unknown"));
        assert_eq!(shown(&port("80/tcp", &[]), root), ["false", "Some(Absent)", "Some(Absent)"]);
        assert_eq!(shown(&port("22/udp", &[]), root)[0], "false");
        let resolved = port("53/udp", &[("process", ["systemd-resolved"].into_iter().collect())]);
        assert_eq!(shown(&resolved, root), ["true", "[127.0.0.53]", "[systemd-resolved]"]);
        assert!(shown(&resolved, "1000\n\0")[2].contains("root"));
        for answer in ["", "\0\x000\n\0", "readable\0"] {
            let observed = Port.read(&[&resolved], answer.as_bytes(), &[]).remove(0);
            assert!(matches!(observed.existence, Existence::Unknown(_)), "{answer:?}");
        }
    }

    #[test]
    fn every_shell_finds_our_own_sockets() {
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("[::1]:0").unwrap());
        let name = std::fs::read_to_string("/proc/self/comm").unwrap().trim().to_owned();
        let process = Value::List(vec![name.as_str().into()]);
        let resources = [
            port(&format!("{}/tcp", tcp.local_addr().unwrap().port()), &[("process", process)]),
            port(&format!("{}/udp", udp.local_addr().unwrap().port()), &[]),
        ];
        let batch: Vec<&Resource> = resources.iter().collect();
        for (shell, answer) in everywhere(&Port.fragment(&batch)) {
            let observed = Port.read(&batch, &answer, &[]);
            let address = |at: usize| observed[at].reading("address").cloned();
            assert_eq!(address(0), Some(Reading::Is(["127.0.0.1"].into_iter().collect())), "{shell}");
            assert_eq!(address(1), Some(Reading::Is(["::1"].into_iter().collect())), "{shell}");
            assert_eq!(
                observed[0].reading("process"),
                Some(&Reading::Is([name.as_str()].into_iter().collect())),
                "{shell}"
            );
        }
    }

    #[test]
    fn what_is_no_port_is_a_mistake() {
        for identity in ["80", "0/tcp", "65536/tcp", "http/tcp", "80/sctp", "080/tcp", "+8/tcp", "$(id)/tcp", "/tcp"] {
            assert_eq!(Port.mistakes(&port(identity, &[("listening", true.into())])).len(), 1, "{identity}");
        }
        assert_eq!(Port.mistakes(&port("80/tcp", &[])).len(), 1);
        assert_eq!(Port.mistakes(&port("80/tcp", &[("address", ["*"].into_iter().collect())])).len(), 1);
        assert_eq!(Port.mistakes(&port("80/tcp", &[("address", ["::1"].into_iter().collect())])), []);
    }
}
