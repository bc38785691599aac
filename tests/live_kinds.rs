//! Every kind on a real host: its examples are applied and stay; each way to break them by hand is found, by its address and no
//! other, and healed. Generic over the list of kinds: a new kind brings its examples and is proven. What is so is asked of the
//! distribution's own tools (a spoil's oracle), through Docker, never of snowmelt.

mod common;

use common::{Project, invariants, wrong};
use hosts::{Host, Hosts};
use snowmelt::base::quote;
use snowmelt::kinds;
use snowmelt::resource::{Spoil, Table};

fn tables() -> impl Iterator<Item = &'static Table> {
    kinds::ALL.iter().map(|kind| kind.table())
}

fn spoils(table: &Table) -> impl Iterator<Item = &'static Spoil> {
    table.examples.iter().flat_map(|example| example.spoils)
}

/// One role with the examples of every kind; its spec has those of the kinds that only check.
fn catalogue(hosts: &Hosts) -> Project {
    let examples = |in_roles: bool| -> String {
        let tables = tables().filter(|table| table.in_roles == in_roles);
        tables.flat_map(|table| table.examples).map(|example| example.yaml).collect()
    };
    let list = |key: &str, entries: &str| format!("{key}:\n{entries}");
    Project::new()
        .file("inventory.yml", &hosts.inventory("root", &["x"]))
        .file("roles/x/role.yml", &list("resources", &examples(true)))
        .file("specs/x.yml", &list("checks", &examples(false)))
}

/// The addresses whose oracles find them whole.
fn whole<'a>(host: &Host, spoils: impl Iterator<Item = &'a Spoil>) -> Vec<String> {
    let asked: String = spoils
        .map(|spoil| format!("if ( {}\n) >&2; then echo {}; fi\n", spoil.oracle, quote::sh(spoil.address)))
        .collect();
    host.ask(&asked).lines().map(str::to_owned).collect()
}

fn addresses<'a>(spoils: impl Iterator<Item = &'a Spoil>) -> Vec<String> {
    spoils.map(|spoil| spoil.address.to_owned()).collect()
}

#[test]
fn every_example_is_brought_about_and_healed_however_it_is_spoilt() {
    let Some(hosts) = Hosts::up(1) else { return };
    prove_the_catalogue(&hosts);
}

/// The tools that GNU wrote are busybox's, and so is `sh`; those that are Debian's own (`apt-get`, `useradd`) stay.
#[test]
fn the_same_where_the_tools_are_those_of_busybox() {
    let Some(hosts) = Hosts::up(1) else { return };
    hosts[0].ask(
        "apt-get update && apt-get install -y busybox && ln -sfn busybox /bin/sh && ln -s /bin/busybox /usr/local/bin/awk && \
         gnu=$(dpkg -L coreutils diffutils findutils grep gzip sed tar | sed -n 's,.*bin/,,p' | sort -u) && \
         for tool in $(printf '%s\n' $gnu $(busybox --list) | sort | uniq -d); do ln -s /bin/busybox /usr/local/bin/$tool; done",
    );
    assert_eq!(hosts[0].ask("readlink -f $(command -v sh stat sha256sum grep awk) | sed s,.*/,, | uniq"), "busybox");
    prove_the_catalogue(&hosts);
}

fn prove_the_catalogue(hosts: &Hosts) {
    let host = &hosts[0];
    let project = catalogue(hosts);
    let all = || tables().flat_map(spoils);
    project.run(&["apply", "--yes"]).code(0);
    assert_eq!(whole(host, all()), addresses(all()), "applied");
    let before = host.exec_channels();
    project.run(&["apply", "--yes"]).code(0).hides(&["changed"]);
    assert_eq!(host.exec_channels() - before, 1, "nothing was due");
    // Looking writes nothing, whatever is looked at.
    invariants::looks(&project, hosts, &["verify"]).code(0);
    invariants::looks(&project, hosts, &["plan"]).code(0);

    // Round n: the nth spoil of every kind, all together; a kind with fewer sits out.
    for round in 0.. {
        let spoilt: Vec<(&Table, &Spoil)> =
            tables().filter_map(|table| Some((table, spoils(table).nth(round)?))).collect();
        if spoilt.is_empty() {
            break;
        }
        let spoils = || spoilt.iter().map(|(_, spoil)| *spoil);
        for spoil in spoils() {
            host.spoil(spoil.spoil);
        }
        let when = format!("round {round}");
        assert_eq!(whole(host, spoils()), [""; 0], "{when}: spoilt");
        invariants::looks(&project, hosts, &["verify", "--report", "json=found.json"]).code(1);
        let mut expected: Vec<String> = spoils().map(|spoil| format!("h1 x/{}", spoil.address)).collect();
        expected.sort();
        assert_eq!(wrong(&project.read("found.json")), expected, "{when}");
        if spoilt.iter().any(|(table, _)| !table.in_roles) {
            host.reboot();
        }
        project.run(&["apply", "--yes"]).code(0);
        assert_eq!(whole(host, all()), addresses(all()), "{when}: healed");
        project.run(&["verify"]).code(0);
    }
}

/// What an earlier step of the same act has made or removed is taken as it is: packages bring users, folders and files, commands
/// make files, users take their groups and homes along.
#[test]
fn resources_that_touch_each_other_come_about_and_go_in_one_run() {
    let Some(hosts) = Hosts::up(1) else { return };
    let project = Project::new().file("inventory.yml", &hosts.inventory("deploy", &["x"]));
    for (resources, oracle) in [(MADE, MADE_ORACLE), (UNMADE, UNMADE_ORACLE)] {
        project.write("roles/x/role.yml", &format!("resources:\n{resources}"));
        project.run(&["apply", "--yes"]).code(0);
        assert_eq!(hosts[0].ask(&format!("set -e; {oracle}")), "");
        project.run(&["apply", "--yes"]).code(0).hides(&["changed"]);
        project.run(&["verify"]).code(0);
    }
}

const MADE: &str = r#"
  - package: chrony
  - user: _chrony
    shell: /bin/sh
    groups: [adm]
  - directory: /etc/chrony/conf.d
    purge: true
    owner: _chrony
  - file: /etc/chrony/chrony.conf
    content: "driftfile /var/lib/chrony/chrony.drift\n"
    owner: _chrony
  - line: rtcsync
    file: /etc/chrony/chrony.conf
  - line: "a line"
    file: /etc/chrony/conf.d/one.conf
    create: true
  - file: /etc/chrony/conf.d/one.conf
    mode: "0600"
  - link: /etc/chrony/conf.d/two.conf
    to: one.conf
  - service: chrony
    running: true
    restart_on: [/etc/chrony/**]
  - user: ex-bob
    home: /srv/ex-bob
  - group: ex-bob
    gid: 4300
  - command: the marker of ex-bob
    run: id -un >/srv/ex-bob/marker
    creates: /srv/ex-bob/marker
    user: ex-bob
  - file: /srv/ex-bob/marker
    mode: "0604"
"#;
const MADE_ORACLE: &str = r#"
test "$(getent passwd _chrony | cut -d: -f7)" = /bin/sh
id -nG _chrony | grep -qw adm
test "$(ls /etc/chrony/conf.d)" = "$(printf 'one.conf\ntwo.conf')"
test "$(stat -c %U /etc/chrony/conf.d)" = _chrony
test "$(tail -n 1 /etc/chrony/chrony.conf)" = rtcsync
test "$(stat -c %a /etc/chrony/conf.d/one.conf; cat /etc/chrony/conf.d/two.conf)" = "$(printf '600\na line')"
systemctl is-active -q chrony
test "$(getent group ex-bob | cut -d: -f3)" = 4300
test "$(stat -c '%a %G' /srv/ex-bob/marker; cat /srv/ex-bob/marker)" = "$(printf '604 ex-bob\nex-bob')"
"#;

const UNMADE: &str = r#"
  - service: chrony
    running: false
  - package: chrony
    state: absent
    purge: true
  - user: _chrony
    state: absent
  - group: _chrony
    state: absent
  - link: /etc/chrony/conf.d/two.conf
    state: absent
  - file: /etc/chrony/conf.d/one.conf
    state: absent
  - directory: /etc/chrony
    state: absent
    recurse: true
  - user: ex-bob
    state: absent
    remove_home: true
  - group: ex-bob
    state: absent
  - directory: /srv/ex-bob
    state: absent
    recurse: true
"#;
const UNMADE_ORACLE: &str = r#"
test ! -e /etc/chrony
test ! -e /srv/ex-bob
test -z "$(getent passwd _chrony ex-bob; getent group _chrony ex-bob)"
test -z "$(systemctl cat chrony 2>/dev/null)"
"#;
