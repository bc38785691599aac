//! What `ssh_config` says about a host: from our own reader where it understands all of it, else from `ssh -G`.
//!
//! `ssh -G` is the authority on its own configuration, and costs a process a host. Most configurations hold nothing that our
//! reader does not read exactly, so it is asked first and `ssh` only about the rest. Where `ssh` is not installed, what was
//! not understood is said loudly.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use super::config_file::{self, Reading};
use super::guard::shown;
use super::settings::{self, Settings};
use crate::catalog::connection::Connection;
use crate::transport::{Failure, Phase, Shared};

/// How long `ssh -G` may take; `Match exec` may run anything.
const LONGEST: Duration = Duration::from_secs(20);

/// Settings of the host called `name`, the inventory's included.
///
/// # Errors
/// A name or a setting that means nothing; a configuration that ssh refuses.
pub(crate) async fn resolve(shared: &Arc<Shared>, name: &str, connection: &Connection) -> Result<Settings, Failure> {
    settings::check_name("host name", name)?;
    for (what, value) in [("address", &connection.address), ("user name", &connection.user)] {
        if let Some(value) = value {
            settings::check_name(what, value)?;
        }
    }
    let own = read(shared, name)?;
    let lines = if own.strange.is_empty() {
        own.lines
    } else {
        match ask_ssh(shared, name, connection).await? {
            Some(lines) => lines,
            None => {
                for strange in &own.strange {
                    shared.warn(&format!(
                        "ssh_config: {strange} is not understood and was ignored: install ssh for all of it"
                    ));
                }
                own.lines
            }
        }
    };
    let (settings, strange) =
        Settings::defaults(name, &shared.options).configure(name, &lines, connection, &shared.options)?;
    for strange in strange {
        shared.warn(&format!("ssh_config, {name}: {strange}"));
    }
    let (user, host, port, route) = (&settings.user, &settings.host, settings.port, &settings.route);
    tracing::debug!("{name}: as {user} to {host}:{port}, {route}");
    tracing::trace!("{name}: {settings:?}");
    Ok(settings)
}

/// What our reader makes of the files that ssh would read.
fn read(shared: &Shared, name: &str) -> Result<Reading, Failure> {
    let home = &shared.options.home;
    let folder = home.join(".ssh");
    let fail = |problem: String| Failure::new(Phase::Resolve, format!("{name}: {problem}"));
    let Some(file) = &shared.options.ssh_config else {
        let mut reading = config_file::read(&folder.join("config"), &folder, home, name).map_err(fail)?;
        let etc = Path::new("/etc/ssh");
        let system = config_file::read(&etc.join("ssh_config"), etc, home, name).map_err(fail)?;
        reading.lines.extend(system.lines);
        reading.strange.extend(system.strange);
        return Ok(reading);
    };
    config_file::read(file, &folder, home, name).map_err(fail)
}

/// What `ssh -G` makes of them; `None` where there is no ssh.
async fn ask_ssh(
    shared: &Shared,
    name: &str,
    connection: &Connection,
) -> Result<Option<Vec<(String, Vec<String>)>>, Failure> {
    let Some(program) = &shared.options.ssh_program else { return Ok(None) };
    // A few at a time: each is a process, and may run more of them.
    let _permit = shared.ssh.lookups.acquire().await.ok();
    let mut command = tokio::process::Command::new(program);
    command.arg("-G").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    if let Some(file) = &shared.options.ssh_config {
        command.arg("-F").arg(file);
    }
    // Given as options, so that `Match` sees what the inventory says.
    if let Some(port) = connection.port {
        command.args(["-p", &port.to_string()]);
    }
    if let Some(user) = &connection.user {
        command.args(["-l", user]);
    }
    if let Some(address) = &connection.address {
        command.arg("-o").arg(format!("HostName={}", address.replace('%', "%%")));
    }
    command.args(["--", name]);
    let fail = |what: String| {
        Failure::new(Phase::Resolve, format!("{name}: `ssh -G` {what}")).hint(format!("try `ssh -G {name}` by hand"))
    };
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(format!("could not be started: {error}"))),
    };
    let output = match tokio::time::timeout(LONGEST, child.wait_with_output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(fail(format!("broke: {error}"))),
        Err(_) => return Err(fail(format!("did not end within {} s", LONGEST.as_secs()))),
    };
    if !output.status.success() {
        return Err(fail(format!("refuses the configuration: {}", shown(&String::from_utf8_lossy(&output.stderr)))));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = |line: &str| {
        let (keyword, value) = line.split_once(' ')?;
        // ssh separates the files of these lists by blanks and quotes none of them; everything else is one value.
        let is_list = matches!(keyword, "userknownhostsfile" | "globalknownhostsfile");
        let words = if is_list { value.split(' ').map(str::to_owned).collect() } else { vec![value.to_owned()] };
        Some((keyword.to_owned(), words))
    };
    Ok(Some(text.lines().filter_map(line).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{TransportOptions, Transports};

    /// Where our reader understands all of a file, it must come to what `ssh -G` comes to.
    #[tokio::test]
    async fn our_reader_agrees_with_ssh() {
        if std::process::Command::new("ssh").arg("-V").output().is_err() {
            assert!(std::env::var_os("SNOWMELT_NO_SKIP").is_none(), "ssh is missing and nothing may be skipped");
            eprintln!("SKIPPED our_reader_agrees_with_ssh: ssh is missing");
            return;
        }
        let me = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
        let me = String::from_utf8(me).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(folder.path().join("more"), "Host web*\n User included\nHost db\n Port 5\n").unwrap();
        let include = format!("Include {}/mor*", folder.path().display());
        for text in [
            "",
            "User a\nUser b\nPort 1\nHost *\nPort 2",
            "Host web1\n\tHostName=Web1.Example.com\n  IdentityFile ~/.ssh/%h-%r-%p-%n\n IdentityFile \"~/with space\"",
            "Host !web1 *\nUser nobody\nHost web?\nUser somebody",
            "Host WEB*\nHostName %h.example.com\nIdentitiesOnly yes\nIdentityAgent none",
            "IdentityAgent ~/agent\nCertificateFile ~/c-%h\nUserKnownHostsFile ~/.ssh/a ~/.ssh/b\nGlobalKnownHostsFile /x",
            "StrictHostKeyChecking accept-new\nHashKnownHosts yes\nHostKeyAlias Alias\nConnectTimeout 1m30s",
            "StrictHostKeyChecking no\nServerAliveInterval 7\nServerAliveCountMax 9",
            "ProxyJump me@a:22,b\nProxyCommand nc %h %p",
            "ProxyCommand nc \"%h\" %p # no comment\nProxyJump a",
            "ProxyJump none\nHost *\nProxyJump a",
            "ProxyCommand none",
            "KnownHostsCommand /bin/x '%H' \"a b\" # no comment",
            "KnownHostsCommand none",
            "UpdateHostKeys yes\nUserKnownHostsFile ~/x",
            "UpdateHostKeys ask",
            "UserKnownHostsFile ~/.ssh/known_hosts",
            "VerifyHostKeyDNS yes",
            "ForwardAgent yes\nSendEnv LANG LC_*\nCompression yes\nControlMaster auto\nControlPath ~/%C",
            &format!("Host web1\n{include}\nHost *\nUser late"),
            &format!("Host db\n{include}\nHost *\nUser late"),
            "host=web1\nuser = \"a b\"",
            "Host web1 # a comment\nUser x # another",
        ] {
            std::fs::write(&file, format!("{text}\n")).unwrap();
            let home = std::env::home_dir().unwrap();
            let options = TransportOptions { ssh_config: Some(file.clone()), ..TransportOptions::new(home, me.trim()) };
            let shared = Transports::new(options).shared;
            for connection in [
                Connection::default(),
                Connection {
                    user: Some("u".into()),
                    port: Some(99),
                    address: Some("10.0.0.1".into()),
                    ..Connection::default()
                },
            ] {
                let own = read(&shared, "web1").unwrap();
                assert_eq!(own.strange, Vec::<String>::new(), "{text}");
                let theirs = ask_ssh(&shared, "web1", &connection).await.unwrap().unwrap();
                let settle = |lines: &[(String, Vec<String>)]| {
                    let defaults = Settings::defaults("web1", &shared.options);
                    let (mut settings, strange) =
                        defaults.configure("web1", lines, &connection, &shared.options).unwrap();
                    // Kinds of keys that ssh would still look for, and nobody here can use.
                    settings
                        .identity_files
                        .retain(|path| !path.ends_with(".ssh/id_dsa") && !path.ends_with(".ssh/id_xmss"));
                    (settings, strange)
                };
                assert_eq!(settle(&own.lines), settle(&theirs), "{text}");
            }
        }
    }
}
