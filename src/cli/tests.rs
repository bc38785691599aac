//! The command line as a whole: what it takes, what it refuses, what is documented.

use clap::CommandFactory as _;

use super::*;

fn parse(line: &str) -> Result<Cli, String> {
    let words = std::iter::once("snowmelt").chain(line.split_whitespace());
    Cli::try_parse_from(words).map_err(|error| error.to_string())
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn what_people_type_is_understood() {
    for line in [
        "plan",
        "plan -l web*,!web003 --set nginx.workers=4 --only nginx/file:/etc/x#mode --tags a,b",
        "apply --yes --parallel 5 --timeout 10m --restart nginx/service:nginx --older",
        "verify --report junit=a.xml --report json=- --report text",
        "--color never -q verify --project x",
        "run -l web -- uptime -p",
        "hosts --limit group:web --limit !web003",
        "hosts trust web001 web002 --yes",
        "hosts trust -l group:web --fingerprint SHA256:x",
        "hosts forget web001 --project x",
        "plan --connect user=root,become=false --connect port=2222",
        "show web001 nginx/file:/etc/x --set nginx.workers=4",
        "explain file",
        "secret init shop --recipient age1x --passphrase",
        "secret add shop/db --replace",
        "secret check --identity key",
        "secret uses",
        "init servers",
        "demo",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "",
        "aply",
        "run -l web",
        "run uptime",
        "plan --parallel 0",
        "plan --timeout soon",
        "plan --report pdf",
        "plan --color sometimes",
        "verify --restart x",
        "plan --yes",
        "hosts trust",
        "hosts forget",
        "hosts trust web001 --yes --fingerprint SHA256:x",
        "hosts -l web trust web001",
        "secret",
        "secret add",
        "secret add shop/db hunter2",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn every_verb_and_flag_is_documented() {
    let docs = include_str!("../../docs/cli.md");
    let command = Cli::command();
    for verb in command.get_subcommands() {
        let name = verb.get_name();
        assert!(docs.contains(&format!("### snowmelt {name}\n")), "docs/cli.md has no section for {name}");
        for part in verb.get_subcommands() {
            let words = format!("`snowmelt {name} {}", part.get_name());
            assert!(docs.contains(&words), "docs/cli.md does not mention {words}");
        }
        let of_parts = verb.get_subcommands().flat_map(clap::Command::get_arguments);
        for argument in verb.get_arguments().chain(of_parts).chain(command.get_arguments()) {
            let Some(long) = argument.get_long().filter(|long| *long != "help" && *long != "version") else { continue };
            assert!(docs.contains(&format!("`--{long}")), "docs/cli.md does not mention --{long} ({name})");
        }
    }
}
