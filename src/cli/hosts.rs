//! `snowmelt hosts`: who is in the inventory, and the keys they are known by.

use std::collections::HashSet;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use super::args::{Global, Limit, Set};
use super::failure::Failure;
use super::output::Screen;
use super::{End, project};
use crate::base::clean;
use crate::catalog::connection::TransportKind;
use crate::catalog::model::Host;
use crate::resource::result::{Trouble, exit};
use crate::transport::{Forgotten, HostKey};
use crate::verbs::{self, Settings};

const EXAMPLES: &str = "\
Examples:
  snowmelt hosts
  snowmelt hosts -l 'group:web,!web003*'
  snowmelt hosts -q -l role:nginx       names only, for scripts
  snowmelt hosts trust web001           look at a new host's key and write it down
  snowmelt hosts forget web001          it was rebuilt, and has another one";

/// How many hosts one after the other may have to be trusted: the longest way, and its end.
const ROUNDS: usize = 9;

/// List hosts, how they are reached, and their roles; trust and forget their keys
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Look at the keys of hosts, ask, and write them to known_hosts; nobody logs in
    Trust(Trust),
    /// Remove the keys of hosts from known_hosts; what it was stays beside it as .old
    Forget(Forget),
}

#[derive(Debug, clap::Args)]
struct Trust {
    /// Names, globs, group:NAME, as for --limit
    #[arg(value_name = "HOST", required_unless_present = "limit")]
    hosts: Vec<String>,
    #[command(flatten)]
    limit: Limit,
    /// Do not ask
    #[arg(short, long, conflicts_with = "fingerprint")]
    yes: bool,
    /// Trust a key with this fingerprint and no other, without asking (repeatable)
    #[arg(long, value_name = "SHA256:…")]
    fingerprint: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Forget {
    /// Names, globs, group:NAME, as for --limit
    #[arg(value_name = "HOST", required_unless_present = "limit")]
    hosts: Vec<String>,
    #[command(flatten)]
    limit: Limit,
}

/// Lists the hosts, or trusts or forgets their keys.
pub(super) fn run(args: &Args, global: &Global, screen: &Screen) -> End {
    match &args.action {
        None => list(&args.limit, global, screen),
        Some(Action::Trust(args)) => trust(args, global, screen),
        Some(Action::Forget(args)) => forget(args, global, screen),
    }
}

fn list(limit: &Limit, global: &Global, screen: &Screen) -> End {
    let mut loaded = project::load(global, &Set::default(), screen)?;
    let chosen = project::select(&mut loaded.project, limit)?;
    let hosts: Vec<&Host> = chosen.iter().filter_map(|index| loaded.project.hosts.get(*index)).collect();
    screen.print(&if global.quiet { names(&hosts) } else { table(&hosts) });
    Ok(exit::FINE)
}

/// What trusting and forgetting begin with. Roles are not looked at.
fn settings(hosts: &[String], limit: &Limit, global: &Global, screen: &Screen) -> Result<Settings, Failure> {
    let mut loaded = project::load(global, &Set::default(), screen)?;
    let limit = Limit { limit: hosts.iter().chain(&limit.limit).cloned().collect(), connect: limit.connect.clone() };
    let chosen = project::select(&mut loaded.project, &limit)?;
    Ok(project::defaults(&loaded.root, loaded.project, chosen, &global.identity, screen))
}

fn trust(args: &Trust, global: &Global, screen: &Screen) -> End {
    if let Some(wrong) = args.fingerprint.iter().find(|text| !is_fingerprint(text)) {
        let hint = "write it as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` shows it on the host: SHA256:…";
        return Err(Failure::new(format!("`{wrong}` is no fingerprint of a key"), hint));
    }
    if !args.yes && args.fingerprint.is_empty() && !screen.can_ask {
        let hint = "standard input is no terminal: give the --fingerprint, or --yes to trust whatever is shown";
        return Err(Failure::new("nobody can be asked whether to trust a key", hint));
    }
    let settings = settings(&args.hosts, &args.limit, global, screen)?;
    let mut waiting = settings.hosts.clone();
    let mut code = exit::FINE;
    // Keys that were refused, so that nobody is asked about a shared jump host again and again.
    let mut refused: HashSet<(String, String)> = HashSet::new();
    // Each round comes one host nearer.
    for _ in 0..ROUNDS {
        if waiting.is_empty() {
            break;
        }
        let keys = project::with_progress(&settings, screen, async |settings, events| {
            verbs::host_keys(settings, &waiting, events).await
        })?;
        let mut trusted: HashSet<(String, String)> = HashSet::new();
        let mut again = Vec::new();
        for (index, key) in waiting.iter().copied().zip(keys) {
            let host = &settings.project.hosts[index].name;
            let key = match key {
                Ok(key) => key,
                Err(trouble) => {
                    screen.print(&told(&trouble));
                    code = worse(code, if trouble.phase == "host key" { exit::WRONG } else { exit::UNKNOWN });
                    continue;
                }
            };
            if key.is_known {
                screen.print(&format!("{}: known already\n", shown(&key)));
                continue;
            }
            let id = (key.host.clone(), key.fingerprint.clone());
            if !trusted.contains(&id) {
                let agreed = if refused.contains(&id) { Some(false) } else { agrees(args, &key, host, screen)? };
                if agreed.is_none() {
                    return Ok(exit::INTERRUPTED);
                }
                if agreed == Some(false) {
                    refused.insert(id);
                    code = worse(code, exit::WRONG);
                    continue;
                }
                if let Err(failure) = settings.transports.trust(&key) {
                    return Err(Failure::new(failure.message, failure.hint.unwrap_or_default()));
                }
                let file = key.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
                screen.print(&format!("{}: written to {}\n", shown(&key), clean::line(&file)));
                trusted.insert(id);
            }
            // What was shown may have been a jump host: then the host itself comes next, else it is known now.
            if !is_of(&key, host) {
                again.push(index);
            }
        }
        waiting = again;
    }
    Ok(project::exit_code(&settings, code))
}

/// Whether a key is trusted: by its fingerprint, by --yes, or by whoever is asked. None after Ctrl-C.
fn agrees(args: &Trust, key: &HostKey, host: &str, screen: &Screen) -> Result<Option<bool>, Failure> {
    let on_the_way = if is_of(key, host) { String::new() } else { format!(", on the way to {}", clean::line(host)) };
    if !args.fingerprint.is_empty() {
        let is_right = args.fingerprint.iter().any(|given| given.trim_end_matches('=') == key.fingerprint);
        if !is_right {
            screen.print(&format!("{}{on_the_way}: not the fingerprint that was given; not trusted\n", shown(key)));
        }
        return Ok(Some(is_right));
    }
    if args.yes {
        return Ok(Some(true));
    }
    screen.print_error(&format!(
        "{}{on_the_way}\n  compare it on the host: ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub\n",
        shown(key)
    ));
    let agreed = screen.person.agrees("trust this key?")?;
    if agreed != Some(true) {
        screen.print(&format!("{}: not trusted\n", shown(key)));
    }
    Ok(agreed)
}

fn forget(args: &Forget, global: &Global, screen: &Screen) -> End {
    let settings = settings(&args.hosts, &args.limit, global, screen)?;
    let all = project::with_progress(&settings, screen, async |settings, _| verbs::forget(settings).await)?;
    let mut code = exit::FINE;
    for (index, one) in settings.hosts.iter().zip(all) {
        let host = clean::line(&settings.project.hosts[*index].name);
        match one {
            Ok(forgotten) => {
                screen.print(&format!("{host}: {}\n", what_was_forgotten(&forgotten)));
                code = worse(code, if forgotten.left.is_empty() { exit::FINE } else { exit::WRONG });
            }
            Err(trouble) => {
                screen.print(&told(&trouble));
                code = worse(code, exit::WRONG);
            }
        }
    }
    Ok(project::exit_code(&settings, code))
}

fn what_was_forgotten(forgotten: &Forgotten) -> String {
    let name = clean::line(&forgotten.name);
    let list = |places: &[String]| clean::line(&places.join(", ")).into_owned();
    let mut text = match forgotten.removed.as_slice() {
        [] => format!("nothing was known of {name}"),
        removed => format!("{name} is not known any more ({})", list(removed)),
    };
    if !forgotten.left.is_empty() {
        let _ =
            write!(text, "; still known by a file of the system, which is yours to change: {}", list(&forgotten.left));
    }
    text
}

fn told(trouble: &Trouble) -> String {
    let hint = trouble.hint.as_ref().map(|hint| format!("  = {}\n", clean::line(hint))).unwrap_or_default();
    format!("{}: {}\n{hint}", clean::line(&trouble.phase), clean::line(&trouble.message))
}

fn shown(key: &HostKey) -> String {
    clean::line(&format!("{} {} {}", key.host, key.kind, key.fingerprint)).into_owned()
}

/// Whether a key is the host's own, and not one of a host on the way.
fn is_of(key: &HostKey, host: &str) -> bool {
    key.endpoint.eq_ignore_ascii_case(host)
}

/// The exit code of both: what is wrong counts more than what could not be told.
fn worse(one: u8, other: u8) -> u8 {
    let rank = |code: u8| [exit::FINE, exit::UNKNOWN, exit::WRONG].iter().position(|known| *known == code);
    if rank(other) > rank(one) { other } else { one }
}

fn is_fingerprint(text: &str) -> bool {
    let digest = text.strip_prefix("SHA256:").map(|digest| digest.trim_end_matches('='));
    digest.is_some_and(|digest| {
        digest.len() == 43 && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
    })
}

fn names(hosts: &[&Host]) -> String {
    hosts.iter().map(|host| format!("{}\n", clean::line(&host.name))).collect()
}

fn table(hosts: &[&Host]) -> String {
    let rows: Vec<[String; 4]> = hosts
        .iter()
        .map(|host| {
            let roles: Vec<&str> = host.roles.iter().map(|role| role.instance.as_str()).collect();
            let cells = [host.name.clone(), reached(host), roles.join(", "), host.groups.join(", ")];
            cells.map(|cell| clean::line(&cell).into_owned())
        })
        .collect();
    let head = ["host", "reached by", "roles", "groups"].map(str::to_owned);
    let all: Vec<&[String; 4]> = std::iter::once(&head).chain(&rows).collect();
    let widths = [0, 1, 2].map(|column| all.iter().map(|row| row[column].width()).max().unwrap_or(0));
    let mut out = String::new();
    for row in all {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell}{:fill$}  ", "", fill = width - cell.width());
        }
        line.push_str(&row[3]);
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let noun = if rows.len() == 1 { "host" } else { "hosts" };
    let _ = writeln!(out, "{} {noun}", rows.len());
    out
}

/// `local`, or `ssh deploy@192.0.2.41:2222`, as far as the inventory says.
fn reached(host: &Host) -> String {
    let connection = &host.connection;
    if connection.transport == TransportKind::Local {
        return "local".to_owned();
    }
    let user = connection.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
    let port = connection.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("ssh {user}{}{port}", connection.address.as_ref().unwrap_or(&host.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_one() {
        let right = format!("SHA256:{}", "a+/".repeat(14) + "b");
        assert!(is_fingerprint(&right) && is_fingerprint(&format!("{right}=")));
        for wrong in ["", "SHA256:", "SHA256:abc", "MD5:aa:bb", &right[7..], &format!("{right}b"), &format!("{right} ")]
        {
            assert!(!is_fingerprint(wrong), "{wrong}");
        }
    }

    #[test]
    fn the_worst_decides() {
        assert_eq!(worse(exit::FINE, exit::UNKNOWN), exit::UNKNOWN);
        assert_eq!(worse(exit::WRONG, exit::UNKNOWN), exit::WRONG);
        assert_eq!(worse(exit::UNKNOWN, exit::WRONG), exit::WRONG);
        assert_eq!(worse(exit::WRONG, exit::FINE), exit::WRONG);
    }
}
