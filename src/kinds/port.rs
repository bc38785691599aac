//! A port that is listened on: by whom, whose, and at which addresses. For specs.
//!
//! # What it declares
//! A port and its protocol, `80/tcp` or `53/udp`; a number alone is TCP. `listening: true` says that somebody listens, `listening:
//! false` that nobody does: for UDP, that a socket is bound to the port and not connected. `address` is the list of all
//! addresses at which somebody listens, in any order: `address: 127.0.0.1` fails when the port is open to the world as well. `user`
//! is the list of all users whose sockets those are. `process` names programs that must be among those that hold the
//! sockets; others may be, because programs hand sockets to helpers that come and go.
//!
//! A socket at `::` mostly takes IPv4 connections too; it is then listed as `::` alone. IPv4 addresses in IPv6 clothes
//! (`::ffff:127.0.0.1`) are listed as IPv4.
//!
//! # What is read
//! `/proc/net/tcp`, `tcp6`, `udp` and `udp6`, once for all ports: the sockets of the network in which commands run. Only if a
//! `process` is asked for, the file descriptors of all processes are searched, which takes root. A socket that is held by no
//! process that can be seen (but by the kernel, in another container, by another user) makes `process` unknown, never "nothing".
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
//!   address: [127.0.0.1, "::1"]
//!   user: postgres
//! - port: 23/tcp
//!   listening: false
//! ```

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::process::{account_names, as_wanted};
use crate::base::clean;
use crate::base::value::Value;
use crate::resource::batch::Sections;
use crate::resource::{
    Answer, Attribute, Compare, Example, Identity, Kind, Mistake, Observed, Reading, Resource, Spoil, Table, Type,
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
    "Programs that must be among those that hold the sockets. Reading it takes root.",
)
.compared(Compare::Includes);
const USER: Attribute = Attribute::check(
    "user",
    Type::List(&Type::Text),
    "All users whose sockets they are, by name or number, in any order.",
)
.compared(Compare::SameItems);

static TABLE: Table = Table {
    name: "port",
    summary: "a TCP or UDP port that is listened on",
    source: include_str!("port.rs"),
    identity: Identity { name: "port", ty: Type::Text, doc: "Number and protocol: `80/tcp`, `53/udp`, `443` (TCP)." },
    in_roles: false,
    in_specs: true,
    has_state: false,
    attributes: &[LISTENING, ADDRESS, PROCESS, USER],
    examples: &[
        Example { yaml: "- port: 22\n  listening: true\n  process: sshd\n  user: root\n", spoils: &[] },
        Example {
            yaml: "- port: 9999/tcp\n  listening: false\n",
            spoils: &[Spoil {
                address: "port:9999/tcp#listening",
                spoil: "perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Listen => 1, LocalAddr => \"127.0.0.1\", \
                        LocalPort => 9999) or die; sleep 600' </dev/null >/dev/null 2>&1 & \
                        until ss -Hltn 'sport = 9999' | grep -q .; do sleep 0.1; done",
                oracle: "test -z \"$(ss -Hltn 'sport = 9999')\"",
            }],
        },
    ],
};

/// The kind `port`.
pub(super) struct Port;

impl Kind for Port {
    fn table(&self) -> &'static Table {
        &TABLE
    }

    fn identity(&self, head: &str, _resource: &Resource) -> String {
        parse(head).map_or_else(|| head.to_owned(), |(number, protocol)| format!("{number}/{}", protocol.word()))
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let mistake = |attribute: Option<&'static str>, message: String, hint: &str| Mistake {
            attribute,
            message,
            hint: Some(hint.to_owned()),
        };
        let mut mistakes = Vec::new();
        if parse(resource.identity()).is_none() {
            let message = format!("`{}` is no port", clean::line(resource.identity()));
            mistakes.push(mistake(None, message, "write a number from 1 to 65535 and a protocol: `80/tcp`, `53/udp`"));
        }
        if resource.compared().next().is_none() {
            mistakes.push(mistake(None, "nothing is asked of this port".to_owned(), "add `listening: true`"));
        }
        for text in resource.texts(&ADDRESS).unwrap_or_default() {
            match text.parse::<IpAddr>() {
                Ok(address) if address.to_canonical().to_string() == text => {}
                Ok(address) => {
                    let hint = format!("write `{}`", address.to_canonical());
                    mistakes.push(mistake(Some(ADDRESS.name), format!("`{text}` is not how it is found"), &hint));
                }
                Err(_) => {
                    let message = format!("`{}` is no IP address", clean::line(text));
                    let hint = "write one, without a port: `127.0.0.1`, `0.0.0.0`, `\"::\"`";
                    mistakes.push(mistake(Some(ADDRESS.name), message, hint));
                }
            }
        }
        mistakes
    }

    fn fragment(&self, batch: &[&Resource]) -> String {
        fragment("/proc/net", batch)
    }

    fn read(&self, batch: &[&Resource], answer: &Answer<'_>) -> Vec<Observed> {
        let mut sections = Sections::of(answer.text);
        let mut text = || sections.piece().map(clean::utf8).unwrap_or_default();
        let (order, table, holders, accounts) = (text(), text(), text(), text());
        let is_big_endian = order.split_whitespace().nth(1) == Some("256");
        let table = Sockets::read(&table, is_big_endian);
        let holders = Holders::read(&holders);
        let names = account_names(&accounts);
        let observe = |resource: &&Resource| {
            let Some((number, protocol)) = parse(resource.identity()) else {
                return Observed::unknown("the port has no number");
            };
            let sockets = match table.on(number, protocol) {
                Ok(sockets) => sockets,
                Err(why) => return Observed::unknown(why),
            };
            let mut observed = Observed::present([(LISTENING.name, Reading::Is((!sockets.is_empty()).into()))]);
            let mut add = |attribute: &Attribute, reading: &dyn Fn() -> Reading| {
                let reading = if sockets.is_empty() { Reading::Absent } else { reading() };
                observed.readings.insert(attribute.name, reading);
            };
            add(&ADDRESS, &|| is(sockets.iter().map(|socket| socket.address.to_string())));
            if resource.want(&PROCESS).is_some() {
                let wanted = resource.texts(&PROCESS).unwrap_or_default();
                add(&PROCESS, &|| holders.of(sockets, &wanted));
            }
            if resource.want(&USER).is_some() {
                let by_number = resource.texts(&USER).unwrap_or_default();
                let name = |uid: &str| match names.get(uid) {
                    Some(name) if !by_number.contains(&uid) => (*name).to_owned(),
                    _ => uid.to_owned(),
                };
                add(&USER, &|| is(sockets.iter().map(|socket| name(&socket.uid))));
            }
            observed
        };
        batch.iter().map(observe).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// The number and protocol that were written.
fn parse(text: &str) -> Option<(u16, Protocol)> {
    let (number, protocol) = match text.split_once('/') {
        None => (text, Protocol::Tcp),
        Some((number, "tcp")) => (number, Protocol::Tcp),
        Some((number, "udp")) => (number, Protocol::Udp),
        Some(_) => return None,
    };
    let is_plain = number.bytes().all(|digit| digit.is_ascii_digit()) && !number.starts_with('0');
    number.parse().ok().filter(|_| is_plain).map(|number| (number, protocol))
}

/// Shell whose answer is four pieces, each ended by a NUL: the order of bytes in a number, the sockets, who holds them, the
/// accounts that own them. What no check asks for is left empty.
fn fragment(folder: &str, batch: &[&Resource]) -> String {
    let asks = |attribute: &Attribute| batch.iter().any(|resource| resource.want(attribute).is_some());
    let holders = if asks(&PROCESS) { "read_holders\n" } else { "" };
    let accounts = if asks(&USER) { "read_accounts\n" } else { "" };
    format!("{FUNCTIONS}read_sockets {folder}\n{holders}printf '\\000'\n{accounts}printf '\\000'\n")
}

/// Lines of `read_sockets`: the path of a file that was read (or `- ` and the path of one that is not there), sockets `s
/// address:port uid inode` of that file, and `end`, without which the list is not whole. Established connections, of which there
/// may be very many, are left on the host. The numbers in those files are in the host's order of bytes, which `od` shows.
///
/// Lines of `read_holders`: `h inode name`, and `denied` if open files of some process may not be seen. A name behind an
/// arrow could be chosen by anyone who makes a file; so only a line without any `/` is a socket. Complaints are held back, as they
/// would land in the middle of lines. Where processes of others are hidden, process 1 is as well.
const FUNCTIONS: &str = r#"read_sockets() {
  printf '\001\000' | od -d
  printf '\000'
  files=
  for file in tcp tcp6 udp udp6; do
    if [ -e "$1/$file" ]; then files="$files $1/$file"; else echo "- $1/$file"; fi
  done
  sockets=$(awk '
    FNR == 1 { print FILENAME; next }
    $4 == "0A" && FILENAME ~ /tcp/ || $4 == "07" && FILENAME ~ /udp/ { print "s", $2, $8, $10 }
    END { print "end" }
  ' $files)
  printf '%s\n\000' "$sockets"
}
read_holders() {
  if read -r first </proc/1/comm; then :; else echo denied; fi
  {
    printf '%s\n' "$sockets"
    { complaints=$(ls -ln /proc/[0-9]*/fd 2>&1 >&3); } 3>&1
    printf '%s\n' "$complaints"
  } | awk '
    $1 == "s" && NF == 4 { wanted[$4] = 1; next }
    /^\/proc\/[0-9]+\/fd:$/ { split($0, part, "/"); process = part[3]; next }
    /^l[^\/]* [0-9]+ -> socket:\[[0-9]+\]$/ {
      inode = $NF
      gsub(/[^0-9]/, "", inode)
      if (!(inode in wanted) || (process, inode) in seen) next
      seen[process, inode] = 1
      file = "/proc/" process "/comm"
      if ((getline name < file) > 0) print "h", inode, name
      close(file)
    }
    /^ls: .*[Pp]ermission denied$/ { denied = 1 }
    END { if (denied) print "denied"; print "end" }
  '
}
read_accounts() {
  users=$(printf '%s\n' "$sockets" | awk '$1 == "s" && !seen[$3]++ { print $3 }')
  if [ -n "$users" ]; then getent passwd $users || cat /etc/passwd; fi
}
"#;

struct Socket {
    address: IpAddr,
    uid: String,
    inode: String,
}

/// All sockets that wait for somebody, or which files could not be read.
struct Sockets {
    by_port: HashMap<(u16, Protocol), Vec<Socket>>,
    /// Names of the files that were read, or are not there.
    known: HashSet<String>,
    is_whole: bool,
}

impl Sockets {
    fn read(text: &str, is_big_endian: bool) -> Self {
        let mut sockets = Self { by_port: HashMap::new(), known: HashSet::new(), is_whole: false };
        let mut file = "";
        for line in text.lines() {
            if let Some(path) = line.strip_prefix("- ") {
                // Without IPv6 there are no files for it; that there is no IPv4 would be news.
                let name = path.rsplit('/').next().unwrap_or_default();
                sockets.known.extend(name.ends_with('6').then(|| name.to_owned()));
            } else if line.starts_with('/') {
                file = line.rsplit('/').next().unwrap_or_default();
                sockets.known.insert(file.to_owned());
            } else if line == "end" {
                sockets.is_whole = true;
            } else if let Some((port, socket)) = Socket::read(line, is_big_endian) {
                let protocol = if file.starts_with("tcp") { Protocol::Tcp } else { Protocol::Udp };
                sockets.by_port.entry((port, protocol)).or_default().push(socket);
            } else {
                // A line that is not understood might be the port that is asked for.
                sockets.known.remove(file);
            }
        }
        sockets
    }

    /// The sockets on a port.
    fn on(&self, number: u16, protocol: Protocol) -> Result<&[Socket], String> {
        let word = protocol.word();
        let files = [word.to_owned(), format!("{word}6")];
        match files.iter().find(|file| !self.is_whole || !self.known.contains(*file)) {
            Some(file) => Err(format!("/proc/net/{file} could not be read")),
            None => Ok(self.by_port.get(&(number, protocol)).map(Vec::as_slice).unwrap_or_default()),
        }
    }
}

impl Socket {
    /// From `s address:port uid inode`.
    fn read(line: &str, is_big_endian: bool) -> Option<(u16, Self)> {
        let mut fields = line.strip_prefix("s ")?.split(' ');
        let (address, port) = fields.next()?.split_once(':')?;
        let address = decode_address(address, is_big_endian)?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.to_owned());
        let (uid, inode) = (number(fields.next()?)?, number(fields.next()?)?);
        Some((u16::from_str_radix(port, 16).ok()?, Self { address, uid, inode }))
    }
}

/// An address as the kernel writes it: four bytes at a time, each four as a number of the host.
fn decode_address(text: &str, is_big_endian: bool) -> Option<IpAddr> {
    let mut bytes = hex::decode(text).ok()?;
    if !is_big_endian {
        bytes.chunks_mut(4).for_each(<[u8]>::reverse);
    }
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some(address.to_canonical())
}

/// Names of the processes that hold sockets, by inode.
struct Holders<'a> {
    names: HashMap<&'a str, Vec<&'a str>>,
    is_denied: bool,
}

impl<'a> Holders<'a> {
    fn read(text: &'a str) -> Self {
        let mut holders = Self { names: HashMap::new(), is_denied: false };
        for line in text.lines() {
            match line.strip_prefix("h ").and_then(|rest| rest.split_once(' ')) {
                Some((inode, name)) => holders.names.entry(inode).or_default().push(name),
                None => holders.is_denied |= line == "denied",
            }
        }
        holders
    }

    fn of(&self, sockets: &[Socket], wanted: &[&str]) -> Reading {
        let names: Option<Vec<&Vec<&str>>> =
            sockets.iter().map(|socket| self.names.get(socket.inode.as_str())).collect();
        match names {
            Some(names) => is(names.into_iter().flatten().map(|name| as_wanted(name, wanted).to_owned())),
            None if self.is_denied => Reading::Unknown("permission denied".to_owned()),
            None => Reading::Unknown("no process that can be seen holds the socket".to_owned()),
        }
    }
}

/// A list of these, each once, in a fixed order.
fn is(texts: impl Iterator<Item = String>) -> Reading {
    Reading::Is(Value::List(texts.collect::<BTreeSet<_>>().into_iter().map(Value::Text).collect()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;
    use crate::resource::Existence;
    use crate::resource::testing::{as_nobody, check, everywhere, read_everywhere, resource, said};

    fn port(head: &str, values: &[(&'static str, Value)]) -> Resource {
        check(resource(&Port, head, values))
    }

    fn list(texts: &[&str]) -> Value {
        texts.iter().copied().collect()
    }

    fn everything(head: &str) -> Resource {
        port(head, &[("process", list(&[])), ("user", list(&[]))])
    }

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19123 1 00000000e3404f44 100 0 0 10 0                      
   1: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 20001 1 000000006853c9bd 100 0 0 10 0                      
10002: 0100007F:0050 0100007F:0A0A 01 00000000:00000000 00:00000000 00000000     0        0 20002 1 0000000000000000 20 4 30 10 -1                     
";
    const TCP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 19125 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   104        0 20003 1 0000000000000000 100 0 0 10 0
   2: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  4242        0 20004 1 0000000000000000 100 0 0 10 0
   3: B80D0120000000000000000001000000:0050 B80D0120000000000000000002000000:0A0A 01 00000000:00000000 00:00000000 00000000     0        0 20005 1 0000000000000000 20 4 30 10 -1
";
    const UDP: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            
 1001: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 18001 2 0000000000000000 0         
 1002: 0100007F:0044 0100007F:0035 01 00000000:00000000 00:00000000 00000000   101        0 18002 2 0000000000000000 0         
";
    const EMPTY: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    /// What `read_sockets` makes of these files under every shell and tool; a file that is none is left out.
    fn sockets(files: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        everywhere(&format!("{FUNCTIONS}read_sockets {}", folder.path().display()))
    }

    fn shown(resource: &Resource, answer: &[u8]) -> [String; 4] {
        let observed = Port.read(&[resource], &said(answer)).remove(0);
        assert_eq!(observed.existence, Existence::Present, "{resource:?}");
        ["listening", "address", "process", "user"].map(|name| match observed.reading(name) {
            Some(Reading::Is(value)) => value.to_string(),
            Some(Reading::Absent) => "nothing".to_owned(),
            Some(Reading::Unknown(why)) => why.clone(),
            other => format!("{other:?}"),
        })
    }

    #[test]
    fn captured_sockets() {
        for (name, sockets) in sockets(&[("tcp", TCP), ("tcp6", TCP6), ("udp", UDP), ("udp6", EMPTY)]) {
            let holders =
                "h 19123 sshd\nh 19125 sshd\nh 19125 systemd\nh 20001 postgres\nh 18001 systemd-resolve\nend\n";
            let accounts = "root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\npostgres:x:104:1::/:/bin/sh\n";
            let answer = |more: &str| [&sockets, format!("{holders}{more}\0{accounts}\0").as_bytes()].concat();
            let whole = answer("");
            let of = |head: &str| shown(&everything(head), &whole);
            assert_eq!(of("22"), ["true", "[0.0.0.0, ::]", "[sshd, systemd]", "[root]"], "{name}");
            // One of its two sockets is held by nobody who is seen.
            let unseen = "no process that can be seen holds the socket";
            assert_eq!(of("5432/tcp"), ["true", "[127.0.0.1, ::1]", unseen, "[postgres]"], "{name}");
            assert_eq!(shown(&everything("5432"), &answer("denied\n"))[2], "permission denied", "{name}");
            assert_eq!(of("8080/tcp")[..2], ["true", "[127.0.0.1]"], "{name}");
            assert_eq!(of("8080/tcp")[3], "[4242]", "{name}: an account without a name");
            for head in ["80/tcp", "22/udp", "68/udp", "53/tcp"] {
                assert_eq!(of(head), ["false", "nothing", "nothing", "nothing"], "{name} {head}");
            }
            let resolved = port("53/udp", &[("process", list(&["systemd-resolved"])), ("user", list(&["101"]))]);
            assert_eq!(shown(&resolved, &whole), ["true", "[127.0.0.53]", "[systemd-resolved]", "[101]"], "{name}");
            let by_number = port("22/tcp", &[("user", list(&["0"]))]);
            assert_eq!(shown(&by_number, &whole)[3], "[0]", "{name}");
        }
    }

    #[test]
    fn without_ipv6_there_are_no_files_for_it() {
        for (name, sockets) in sockets(&[("tcp", TCP), ("udp", UDP)]) {
            let answer = [&sockets, b"\0\0".as_slice()].concat();
            assert_eq!(shown(&port("22", &[]), &answer)[..2], ["true", "[0.0.0.0]"], "{name}");
            assert_eq!(shown(&port("23", &[]), &answer)[0], "false", "{name}");
        }
    }

    #[test]
    fn a_host_of_the_other_byte_order() {
        let address = |text: &str| decode_address(text, true).map(|address| address.to_string());
        assert_eq!(address("7F000001").as_deref(), Some("127.0.0.1"));
        assert_eq!(address("20010DB8000000000000000000000001").as_deref(), Some("2001:db8::1"));
        for bad in ["", "7F0000", "7F00000100", "7F0000017F000001", "+F000001", "ÄÖ0001", "zzzzzzzz"] {
            assert_eq!(address(bad), None, "{bad}");
        }
        let answer =
            b"0000000   256\n0000002\n\0/n/tcp\ns 7F000001:0016 0 1\n- /n/tcp6\n/n/udp\n- /n/udp6\nend\n\0\0\0";
        assert_eq!(shown(&port("22", &[]), answer)[1], "[127.0.0.1]");
    }

    #[test]
    fn what_could_not_be_read_is_not_closed() {
        let is_unknown = |head: &str, answer: &[u8]| {
            let observed = Port.read(&[&everything(head)], &said(answer)).remove(0);
            matches!(observed.existence, Existence::Unknown(_))
        };
        for answer in
            ["", "\0", "0000000 1\n\0end\n\0\0\0", "0000000 1\n\0/n/tcp\n/n/tcp6\ns 00000000:0016 0 1\n\0\0\0"]
        {
            assert!(is_unknown("23", answer.as_bytes()), "{answer:?}");
        }
        let strange = "0000000 1\n\0/n/tcp\ns 0000:0016 0 1\n- /n/tcp6\n/n/udp\n- /n/udp6\nend\n\0\0\0";
        assert!(is_unknown("23/tcp", strange.as_bytes()) && !is_unknown("23/udp", strange.as_bytes()));
        for files in [&[][..], &[("tcp6", TCP6)], &[("udp", UDP)]] {
            for (name, answer) in sockets(files) {
                assert!(is_unknown("23/tcp", &[&answer, b"\0\0".as_slice()].concat()), "{name} {files:?}");
            }
        }
    }

    #[test]
    fn every_shell_finds_our_own_sockets() {
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let numbers = [tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port()];
        let name = std::fs::read_to_string("/proc/self/comm").unwrap().trim().to_owned();
        let user = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap().trim().to_owned();
        let mut all = vec![everything(&format!("{}", numbers[0])), everything(&format!("{}/udp", numbers[1]))];
        all.extend((1..1_000).map(|number| everything(&format!("{number}/udp"))));
        let batch: Vec<&Resource> = all.iter().collect();
        assert!(Port.fragment(&batch).len() < 4_096, "however many ports there are");
        for (shell, observed) in read_everywhere(&batch) {
            for one in &observed[..2] {
                let read = ["listening", "address", "process", "user"].map(|name| one.reading(name).cloned());
                let wanted = [true.into(), list(&["127.0.0.1"]), list(&[&name]), list(&[&user])];
                assert_eq!(read, wanted.map(|value| Some(Reading::Is(value))), "{shell}");
            }
            assert!(observed.iter().all(|one| one.existence == Existence::Present), "{shell}");
        }
    }

    #[test]
    fn nobody_sees_that_somebody_listens_but_not_who() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = everything(&socket.local_addr().unwrap().port().to_string());
        let folder = tempfile::tempdir().unwrap();
        for (shell, answer) in as_nobody(folder.path(), &Port.fragment(&[&one])) {
            let shown = shown(&one, &answer);
            assert_eq!(shown[..2], ["true", "[127.0.0.1]"], "{shell}");
            // Who runs the tests without being root is the same nobody.
            let own = std::fs::read_to_string("/proc/self/comm").unwrap();
            assert!(shown[2] == "permission denied" || shown[2] == format!("[{}]", own.trim()), "{shell} {shown:?}");
        }
    }

    #[test]
    fn an_open_file_passes_for_no_socket() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = socket.local_addr().unwrap().port().to_string();
        let one = everything(&number);
        let folder = tempfile::tempdir().unwrap();
        let all = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let local = format!(":{:04X}", socket.local_addr().unwrap().port());
        let line = all.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&local)));
        let inode = line.and_then(|line| line.split_whitespace().nth(9)).unwrap();
        let name = folder.path().join(format!("x 5 -> socket:[{inode}]"));
        let file = std::fs::File::create(&name).unwrap();
        let mut other = std::process::Command::new("sleep").arg("86398").stdin(file).spawn().unwrap();
        let answers = everywhere(&Port.fragment(&[&one]));
        other.kill().unwrap();
        other.wait().unwrap();
        for (shell, answer) in answers {
            let observed = Port.read(&[&one], &said(&answer)).remove(0);
            let Some(Reading::Is(names)) = observed.reading("process") else { panic!("{shell} {observed:?}") };
            assert!(!names.to_string().contains("sleep"), "{shell} {names}");
        }
    }

    #[test]
    fn a_number_alone_is_tcp() {
        let identity = |head: &str| port(head, &[]).identity().to_owned();
        assert_eq!(["80", "80/tcp", "53/udp", "x"].map(identity), ["80/tcp", "80/tcp", "53/udp", "x"]);
    }

    #[test]
    fn what_is_no_port_is_a_mistake() {
        let count = |one: &Resource| Port.mistakes(one).len();
        let listens = ("listening", Value::from(true));
        for head in
            ["", "0", "65536", "http/tcp", "80/sctp", "80/TCP", "tcp/80", "080", "+8/tcp", "-1", "$(id)/tcp", "/tcp"]
        {
            assert_eq!(count(&port(head, std::slice::from_ref(&listens))), 1, "{head}");
        }
        assert_eq!(count(&port("65535/udp", &[listens])), 0);
        assert_eq!(count(&port("80", &[])), 1);
        for (address, mistakes) in [("*", 1), ("::0", 1), ("::ffff:127.0.0.1", 1), ("127.0.0.1:80", 1), ("::1", 0)] {
            assert_eq!(count(&port("80", &[("address", list(&[address]))])), mistakes, "{address}");
        }
    }
}
