//! Every kind on a real host: its examples are applied and stay; each way to break them by hand is found, by its address and no
//! other, and healed. Generic over the list of kinds: a new kind brings its examples and is proven. What is so is asked of the
//! distribution's own tools (a spoil's oracle), through Docker, never of snowmelt.

mod common;

use common::{Project, wrong};
use hosts::{Host, Hosts};
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

/// Fails the test unless the oracles of all these say the same.
#[track_caller]
fn witness<'a>(host: &Host, spoils: impl Iterator<Item = &'a Spoil>, is_whole: bool, when: &str) {
    for spoil in spoils {
        let output = host.exec(spoil.oracle);
        assert_eq!(output.code == 0, is_whole, "{when}: {}: {}\n{output:?}", spoil.address, spoil.oracle);
    }
}

#[test]
fn every_example_is_brought_about_and_healed_however_it_is_spoilt() {
    let Some(hosts) = Hosts::up(1) else { return };
    let host = &hosts[0];
    let project = catalogue(&hosts);
    let all = || tables().flat_map(spoils);
    project.run(&["apply", "--yes"]).code(0);
    witness(host, all(), true, "applied");
    let before = host.exec_channels();
    project.run(&["apply", "--yes"]).code(0).hides(&["changed"]);
    assert_eq!(host.exec_channels() - before, 1, "nothing was due");
    project.run(&["verify"]).code(0);

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
        witness(host, spoils(), false, &when);
        project.run(&["verify", "--report", "json=found.json"]).code(1);
        let mut expected: Vec<String> = spoils().map(|spoil| format!("h1 x/{}", spoil.address)).collect();
        expected.sort();
        assert_eq!(wrong(&project.read("found.json")), expected, "{when}");
        if spoilt.iter().any(|(table, _)| !table.in_roles) {
            host.reboot();
        }
        project.run(&["apply", "--yes"]).code(0);
        witness(host, all(), true, &when);
        project.run(&["verify"]).code(0);
    }
}
