//! The way from files to a catalog, with kinds of its own: what is declared, and every message about what is wrong.

use std::sync::Arc;

use super::model::Project;
use super::resolve::Resolver;
use super::testing::{brief, folder, load_folder};
use crate::base::secret::Secret;
use crate::resource::Answer;
use crate::resource::facts::OsFamily;
use crate::resource::probe::ProbeAnswer;
use crate::resource::{Attribute, Facts, Identity, Kind, Mistake, Observed, Resource, State, Table, Type, Want};

struct Test(&'static Table);

impl Kind for Test {
    fn table(&self) -> &'static Table {
        self.0
    }

    fn path<'a>(&self, resource: &'a Resource) -> Option<&'a str> {
        matches!(self.0.name, "file" | "directory").then(|| resource.identity())
    }

    fn watch(&self, resource: &Resource) -> Option<String> {
        (self.0.name != "command").then(|| format!("watch {}", resource.identity()))
    }

    fn mistakes(&self, resource: &Resource) -> Vec<Mistake> {
        let guarded = ["unless", "creates", "on_change", "always"].iter().any(|name| resource.wants.contains_key(name));
        if self.0.name != "command" || resource.is_check || guarded {
            return Vec::new();
        }
        let hint = Some("add `creates`, or `always: true`".to_owned());
        vec![Mistake { attribute: Some("run"), message: "this command has no guard".to_owned(), hint }]
    }

    fn read(&self, _: &[&Resource], _: &Answer<'_>) -> Vec<Observed> {
        Vec::new()
    }
}

const fn table(name: &'static str, head: Type, has_state: bool, attributes: &'static [Attribute]) -> Table {
    let identity = Identity { name: "name", ty: head, doc: "" };
    let is_port = matches!(name.as_bytes(), b"port");
    Table {
        name,
        summary: "",
        source: "",
        identity,
        in_roles: !is_port,
        in_specs: true,
        has_state,
        attributes,
        examples: &[],
    }
}

const OWNER: Attribute = Attribute::state("owner", Type::Text, "");
const MODE: Attribute = Attribute::state("mode", Type::Mode, "");
static PACKAGE: Table = table("package", Type::Text, true, &[Attribute::state("version", Type::Version, "")]);
static FILE: Table = table(
    "file",
    Type::Path,
    true,
    &[
        OWNER,
        MODE,
        Attribute::state("content", Type::Content, ""),
        Attribute::state("template", Type::Template, ""),
        Attribute::state("source", Type::Source, ""),
        Attribute::check("size", Type::Int, ""),
        Attribute::act("parents", Type::Bool, ""),
    ],
);
static DIRECTORY: Table = table(
    "directory",
    Type::Path,
    true,
    &[
        OWNER,
        MODE,
        Attribute::state("purge", Type::Bool, ""),
        Attribute::act("source", Type::Source, ""),
        Attribute::act("file_mode", Type::Mode, ""),
    ],
);
static SERVICE: Table = table(
    "service",
    Type::Text,
    false,
    &[
        Attribute::state("running", Type::Bool, ""),
        Attribute::act("validate", Type::Command, ""),
        Attribute::act("reload_on", Type::Watch, ""),
        Attribute::act("restart_on", Type::Watch, ""),
    ],
);
static COMMAND: Table = table(
    "command",
    Type::Text,
    false,
    &[
        Attribute::setting("run", Type::Command, ""),
        Attribute::act("unless", Type::Command, ""),
        Attribute::act("creates", Type::Path, ""),
        Attribute::act("on_change", Type::Watch, ""),
        Attribute::act("always", Type::Bool, ""),
        Attribute::setting("env", Type::Map(&Type::Text), ""),
        Attribute::setting("timeout", Type::Duration, ""),
        Attribute::check("exit_status", Type::Int, ""),
        Attribute::check("stdout", Type::Text, ""),
        Attribute::setting("stdin", Type::Text, "").secret(),
    ],
);
static USER: Table = table(
    "user",
    Type::Text,
    true,
    &[
        Attribute::state("shell", Type::Path, ""),
        Attribute::state("groups", Type::List(&Type::Text), ""),
        Attribute::state("kind", Type::Enum(&["human", "system"]), ""),
    ],
);
static PORT: Table = table("port", Type::Text, false, &[Attribute::check("listening", Type::Bool, "")]);
static KINDS: &[&dyn Kind] =
    &[&Test(&PACKAGE), &Test(&FILE), &Test(&DIRECTORY), &Test(&SERVICE), &Test(&COMMAND), &Test(&USER), &Test(&PORT)];

const INVENTORY: &str = "groups:\n  web:\n    roles: [r]\n    hosts: [h1]\n";

/// A project with these files over an inventory that gives `h1` the role `r`.
fn project(files: &[(&str, &str)]) -> Project {
    let mut all = vec![("snowmelt.yml", "project: test\n")];
    if !files.iter().any(|(path, _)| *path == "inventory.yml") {
        all.push(("inventory.yml", INVENTORY));
    }
    all.extend(files);
    let root = folder(&all);
    let (project, found) = load_folder(root.path(), &[]);
    assert_eq!(found.render(), "");
    project.unwrap()
}

fn debian() -> Facts {
    Facts { os_family: OsFamily::Debian, memory_mib: 2048, ..Facts::default() }
}

/// A resource in one line, as tests compare it.
fn line(resource: &Resource) -> String {
    let mut out = resource.address.to_string();
    if resource.state == State::Absent {
        out.push_str(" absent");
    }
    for (name, want) in &resource.wants {
        let text = match want {
            Want::Exactly(value) => format!("{value}"),
            Want::Content(content) => format!("{:?}", String::from_utf8_lossy(content.bytes())),
            Want::Matches(matcher) => format!("<{matcher}>"),
        };
        out.push_str(&format!(" {name}={text}"));
    }
    out
}

fn declared(files: &[(&str, &str)]) -> Vec<Resource> {
    let project = project(files);
    let resolver = Resolver::with_kinds(Arc::new(project.clone()), KINDS);
    assert_eq!(resolver.check(&(0..project.hosts.len()).collect::<Vec<_>>()).render(), "");
    let catalog = resolver.resolve(&project.hosts[0], Some(&debian()));
    catalog.unwrap_or_else(|found| panic!("{}", found.render())).resources
}

/// What a role with these lines declares.
fn lines(role: &str) -> Vec<String> {
    declared(&[("roles/r/role.yml", role)]).iter().map(line).collect()
}

/// The messages about a project, before any host is contacted and for a Debian host.
fn mistakes(files: &[(&str, &str)]) -> String {
    let project = project(files);
    let resolver = Resolver::with_kinds(Arc::new(project.clone()), KINDS);
    let found = resolver.check(&(0..project.hosts.len()).collect::<Vec<_>>());
    if found.has_errors() {
        return found.render();
    }
    resolver.resolve(&project.hosts[0], Some(&debian())).map_or_else(|found| found.render(), |_| String::new())
}

fn early(files: &[(&str, &str)]) -> String {
    let project = project(files);
    Resolver::with_kinds(Arc::new(project.clone()), KINDS).check(&(0..project.hosts.len()).collect::<Vec<_>>()).render()
}

#[test]
fn blocks_lists_and_conditions_expand() {
    let role = "
params:
  vhosts:
    type: map
    default: {shop: {port: 80}, blog: {port: 0}}
    of: {port: {type: int}}
  extra: {type: list, of: string, default: [curl, jq]}
  shell: {type: path, optional: true}
let:
  dir: {match: facts.os.family, debian: /etc/sites, default: /etc/other}
  link: \"{{ dir }}/on\"
resources:
  - package: [nginx, vim]
    version: '>=1.10'
  - package: \"{{ extra }}\"
  - each: vhost in vhosts
    when: vhost.port > 0
    tags: [sites]
    resources:
      - file: \"{{ link }}/{{ vhost.name }}\"
        content: \"{{ vhost.port }}\\n\"
        mode: \"644\"
        tags: web
  - each: n in range(2)
    command: step {{ n }}
    run: echo {{ n }} {{ host.name }} {{ extra }}
    creates: /x//y/
    env: {A: \"{{ n }}\", B: on}
    timeout: 2m
  - when: facts.memory_mib > 4096
    package: big
  - user: ada
    shell: \"{{ shell }}\"
    groups: adm
    state: absent
";
    assert_eq!(
        lines(role),
        [
            "r/package:nginx version=>=1.10",
            "r/package:vim version=>=1.10",
            "r/package:curl",
            "r/package:jq",
            "r/file:/etc/sites/on/shop content=\"80\\n\" mode=0644",
            "r/command:step 0 run=echo 0 h1 curl jq creates=/x/y env={A: 0, B: on} timeout=120",
            "r/command:step 1 run=echo 1 h1 curl jq creates=/x/y env={A: 1, B: on} timeout=120",
            "r/user:ada absent groups=[adm]",
        ]
    );
    let all = declared(&[("roles/r/role.yml", role)]);
    assert_eq!(all[4].tags, ["sites", "web"]);
}

#[test]
fn roles_come_in_order_with_their_own_values() {
    let files = [
        (
            "inventory.yml",
            "groups:\n  web:\n    roles: [{r: two}, r, other]\n    vars: {r: {port: 1}, two: {port: 2}}\n    hosts: [h1]\n  peers: {roles: [r], vars: {r: {port: 3}}, hosts: {h2: {address: 192.0.2.2}}}\n",
        ),
        ("roles/base/role.yml", "resources: [{package: curl}]\n"),
        (
            "roles/r/role.yml",
            "requires: [base]\nparams: {port: {type: int}}\nresources:\n  - file: /etc/{{ port }}\n    content: \"{% raw %}\"\n",
        ),
        (
            "roles/other/role.yml",
            "resources:\n  - package: curl\n    version: '1.2'\n  - each: h in hosts('peers')\n    file: /etc/{{ h.name }}\n    template: t\n",
        ),
        ("roles/other/templates/t", "{{ h.address }} {{ h['values'].r.port }} {{ host.groups | join(',') }}\n"),
    ];
    let broken = mistakes(&files);
    assert!(broken.contains("only `{{ }}` is filled in here"), "{broken}");
    let mut files = files;
    files[2].1 = "requires: [base]\nparams: {port: {type: int}}\nresources:\n  - file: /etc/{{ port }}\n";
    let all = declared(&files);
    assert_eq!(
        all.iter().map(line).collect::<Vec<_>>(),
        [
            "base/package:curl version=1.2",
            "two/file:/etc/2",
            "r/file:/etc/1",
            "other/file:/etc/h2 content=\"192.0.2.2 3 web\\n\""
        ]
    );
}

#[test]
fn files_and_trees_of_the_role_become_content() {
    let files = [
        (
            "roles/r/role.yml",
            "resources:\n  - file: /etc/one\n    source: one\n  - directory: /srv/tree\n    source: tree/\n    owner: app\n    purge: true\n",
        ),
        ("roles/r/files/one", "{{ not rendered }}\n"),
        ("roles/r/files/tree/a", "A"),
        ("roles/r/files/tree/sub/b", "B"),
    ];
    let all = declared(&files);
    assert_eq!(
        all.iter().map(line).collect::<Vec<_>>(),
        [
            "r/file:/etc/one content=\"{{ not rendered }}\\n\"",
            "r/directory:/srv/tree owner=app purge=true",
            "r/file:/srv/tree/a owner=app mode=0644 content=\"A\"",
            "r/directory:/srv/tree/sub owner=app purge=true",
            "r/file:/srv/tree/sub/b owner=app mode=0644 content=\"B\"",
        ]
    );
    assert_eq!(all[1].keeps, ["a", "sub"]);
    assert_eq!(all[3].keeps, ["b"]);
}

#[test]
fn watches_name_paths_and_addresses() {
    let role = "
resources:
  - package: nginx
  - directory: /etc/nginx
  - file: /etc/nginx/conf.d/a
    id: main
  - file: /etc/other
  - service: nginx
    reload_on: [/etc/nginx/**, '/var/lib/it''s']
    restart_on: [package:nginx, main, r/file:/etc/other]
  - command: rebuild
    on_change: /etc/other
";
    let all = declared(&[("roles/r/role.yml", role)]);
    let watches: Vec<String> =
        all[4].watches.iter().map(|w| format!("{:?} {} {:?} {}", w.refresh, w.target, w.members, w.shell)).collect();
    assert_eq!(
        watches,
        [
            "Reload /etc/nginx/** [1, 2] watch_path '/etc/nginx/**'",
            "Reload /var/lib/it's [] watch_path '/var/lib/it'\\''s'",
            "Restart package:nginx [0] watch nginx",
            "Restart main [2] watch /etc/nginx/conf.d/a",
            "Restart r/file:/etc/other [3] watch /etc/other",
        ]
    );
    assert_eq!(format!("{:?}", all[5].watches[0].refresh), "Run");
}

#[test]
fn specs_take_matchers_and_are_told_apart_from_what_is_declared() {
    let spec = "
checks:
  - file: /etc/a
    content: {contains: \"port {{ port }}\", not: {matches: '^x'}}
  - file: /etc/a
    mode: {any_of: [\"0644\", \"640\"]}
    size: {at_least: 10, less_than: 20}
    severity: high
    within: 10s
  - command: id
    exit_status: 0
    stdout: {any_of: [x, {matches: 'a+'}]}
    timeout: 1m
  - user: ada
    groups: {contains: [adm, sudo]}
  - port: \"{{ port }}/tcp\"
    listening: true
";
    let files = [
        ("roles/r/role.yml", "params: {port: {type: int, default: 80}}\nresources: [{file: /etc/a}]\n"),
        ("specs/r.yml", spec),
    ];
    let all = declared(&files);
    assert_eq!(
        all.iter().map(line).collect::<Vec<_>>(),
        [
            "r/file:/etc/a",
            "r/file:/etc/a~2 content=<contains \"port 80\" and not matches /^x/>",
            "r/file:/etc/a~3 mode=<\"0644\" or \"0640\"> size=<at least 10 and less than 20>",
            "r/command:id exit_status=0 stdout=<\"x\" or matches /a+/> timeout=60",
            "r/user:ada groups=<contains \"adm\" and contains \"sudo\">",
            "r/port:80/tcp listening=true",
        ]
    );
    assert_eq!(all.iter().map(|r| r.is_check).collect::<Vec<_>>(), [false, true, true, true, true, true]);
    assert_eq!(all[2].severity.name(), "high");
    assert_eq!(all[2].within.map(|within| within.as_secs()), Some(10));
}

#[test]
fn secrets_are_never_shown_and_block_only_what_needs_them() {
    let files = [
        (
            "inventory.yml",
            "groups:\n  web:\n    roles: [r]\n    vars: {r: {password: {secret: shop/db}}}\n    hosts: [h1]\n",
        ),
        (
            "roles/r/role.yml",
            "params: {password: {type: secret}}\nlet: {line: \"pw={{ password }}\"}\nresources:\n  - file: /etc/a\n    content: \"{{ line | upper }}\"\n  - command: x\n    stdin: \"{{ password }}\"\n    always: true\n  - file: /etc/b\n    template: t\n  - package: curl\n",
        ),
        ("roles/r/templates/t", "{% if true %}{{ password | b64encode }}{% endif %}"),
    ];
    let project = project(&files);
    let blocked =
        Resolver::with_kinds(Arc::new(project.clone()), KINDS).resolve(&project.hosts[0], None).unwrap().resources;
    let why: Vec<Option<&str>> = blocked.iter().map(|resource| resource.blocked.as_deref()).collect();
    assert_eq!(why, [Some("no key for shop/db"), Some("no key for shop/db"), Some("no key for shop/db"), None]);
    let provider = Box::new(|name: &str| Ok(Secret::new(name, "hunter2".to_owned())));
    let resolver = Resolver::with_kinds(Arc::new(project.clone()), KINDS).secrets(provider);
    let all = resolver.resolve(&project.hosts[0], None).unwrap().resources;
    assert_eq!(
        all.iter().map(|resource| (line(resource), resource.hides("stdin"))).collect::<Vec<_>>(),
        [
            ("r/file:/etc/a content=\"PW=HUNTER2\"".to_owned(), false),
            ("r/command:x stdin=hunter2 always=true".to_owned(), true),
            ("r/file:/etc/b content=\"aHVudGVyMg==\"".to_owned(), false),
            ("r/package:curl".to_owned(), false),
        ]
    );
    assert!(all[0].content().unwrap().sensitive && all[2].content().unwrap().sensitive);
    assert!(!all[1].hides("always") && !all[0].hides("mode"), "what holds no secret is shown");
    let decoy = |at: usize| all[at].content().unwrap().taint().unwrap().decoy.clone().unwrap();
    assert!(decoy(0).starts_with("\u{fffd}SHOP/DB".as_bytes()) && !decoy(2).starts_with(b"aHVu"));
    assert!(!format!("{all:?}").contains("hunter2"));
    let shown = format!("{:?}", resolver.show(&project.hosts[0], None, None).unwrap());
    assert!(!shown.to_lowercase().contains("hunter2") && !shown.contains("aHVu"), "{shown}");
}

#[test]
fn a_secret_stands_only_where_it_cannot_be_seen() {
    let refused = |what: &str| format!("a secret (shop/db) cannot stand in `{what}`");
    for (resource, expected) in [
        ("{file: /x, content: \"{{ pw }}\"}", None),
        ("{command: x, always: true, stdin: \"{{ pw }}\"}", None),
        ("{command: x, always: true, run: \"echo {{ pw }}\"}", Some(refused("run"))),
        ("{command: x, always: true, run: \"echo {{ pw | b64encode | raw }}\"}", Some(refused("run"))),
        ("{command: x, unless: \"test {{ made.deep }} = x\"}", Some(refused("unless"))),
        ("{command: x, always: true, env: {A: \"{{ pw }}\"}}", Some(refused("env"))),
        ("{service: x, validate: \"check {{ pw }}\"}", Some(refused("validate"))),
        ("{file: /x, owner: \"{{ pw }}\"}", Some(refused("owner"))),
        ("{file: /x, tags: [\"{{ pw }}\"]}", Some(refused("tags"))),
        ("{file: /x, id: \"{{ pw }}\"}", Some(refused("id"))),
        ("{file: /x, template: \"{{ pw }}\"}", Some(refused("template"))),
        ("{file: /x, when: (pw | trim) == \"a\"}", Some(refused("when"))),
        ("{file: \"/x/{{ i }}\", each: i in pw | upper | list}", Some(refused("each"))),
        ("{file: \"/x/{{ pw }}\"}", Some("a secret cannot be part of an address".to_owned())),
        ("{package: \"{{ made.number }}\"}", Some("a secret cannot be part of an address".to_owned())),
        ("{package: \"{{ made.plain }}\"}", None),
    ] {
        let role = format!(
            "params: {{pw: {{type: secret}}}}\nlet:\n  made: {{deep: [\"{{{{ pw }}}}\"], number: \"{{{{ pw | upper | length }}}}\", plain: x}}\n\
             resources:\n  - {resource}\n"
        );
        let files = [
            (
                "inventory.yml",
                "groups:\n  g:\n    roles: [r]\n    vars: {r: {pw: {secret: shop/db}}}\n    hosts: [h1]\n",
            ),
            ("roles/r/role.yml", role.as_str()),
        ];
        let project = Arc::new(project(&files));
        let with_key = Resolver::with_kinds(Arc::clone(&project), KINDS)
            .secrets(Box::new(|name: &str| Ok(Secret::new(name, "hunter2".to_owned()))));
        // Without a key the same is refused: a mistake must not depend on who looks.
        for resolver in [with_key, Resolver::with_kinds(project, KINDS)] {
            let found = resolver.check(&[0]).render();
            let said: Vec<&str> = found.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
            assert_eq!(said, expected.iter().map(String::as_str).collect::<Vec<_>>(), "{resource}\n{found}");
            assert!(!found.contains("hunter2"), "{found}");
        }
    }
    let files = [
        ("inventory.yml", "groups:\n  g:\n    roles: [r]\n    vars: {r: {pw: {secret: shop/db}}}\n    hosts: [h1]\n"),
        ("roles/r/role.yml", "params: {pw: {type: secret}}\nlet: {a: {match: pw, default: x}}\n"),
    ];
    assert!(mistakes(&files).contains(&refused("match")), "{}", mistakes(&files));
}

#[test]
fn show_tells_where_values_come_from() {
    let files = [
        ("inventory.yml", "groups:\n  web:\n    roles: [r]\n    vars: {r: {a: x}}\n    hosts: [h1]\n"),
        (
            "roles/r/role.yml",
            "params: {a: {type: string}, b: {type: int, default: 1}}\nresources: [{package: \"{{ a }}\", id: main}, {service: s, restart_on: main}]\n",
        ),
    ];
    let project = project(&files);
    let resolver = Resolver::with_kinds(Arc::new(project.clone()), KINDS);
    let shown = resolver.show(&project.hosts[0], None, Some("service:s")).unwrap();
    let values: Vec<String> = shown.roles[0]
        .values
        .iter()
        .map(|value| format!("{}={} {:?}", value.name, value.value, value.origins))
        .collect();
    assert_eq!(
        values,
        ["a=x [(\"group web\", \"inventory.yml:4:19\")]", "b=1 [(\"default of role r\", \"roles/r/role.yml:1:53\")]"]
    );
    assert_eq!(shown.resources[0].watches, [("main".to_owned(), vec!["r/package:x".to_owned()])]);
    let missing = resolver.show(&project.hosts[0], None, Some("service:t")).unwrap_err().render();
    assert!(missing.contains("nothing on h1 has the address `service:t`"), "{missing}");
}

#[test]
fn facts_are_read_only_if_something_asks_for_them() {
    let needs = |role: &str| {
        let project = project(&[("roles/r/role.yml", role)]);
        let resolver = Resolver::with_kinds(Arc::new(project.clone()), KINDS);
        resolver
            .fact_needs(&project.hosts[0])
            .map(|needs| needs.own.into_iter().map(|own| own.probe.command).collect::<Vec<_>>())
    };
    let own = "facts: {v: {command: uname -r}, w: {command: id -u, type: int}}\n";
    assert_eq!(needs("resources: [{package: facts}]\n"), None);
    assert_eq!(needs(own), None);
    assert_eq!(needs("resources: [{package: a, when: facts.cpus > 1}]\n"), Some(vec![]));
    // Every observation tells the family: platforms cost no exchange.
    assert_eq!(needs("platforms: [debian]\n"), None);
    assert_eq!(
        needs(&format!("{own}resources: [{{package: \"a{{{{ facts.v }}}}\"}}]\n")),
        Some(vec!["uname -r".to_owned()])
    );
}

#[test]
fn own_facts_are_typed_and_belong_to_their_role() {
    use super::resolve::take_own_facts;
    use crate::resource::probe::ProbeEnd;
    let role = "facts: {uid: {command: id -u, type: int}}\nresources: [{package: \"p{{ facts.uid + 1 }}\"}]\n";
    let project = project(&[("roles/r/role.yml", role)]);
    let resolver = Resolver::with_kinds(Arc::new(project.clone()), KINDS);
    let needs = resolver.fact_needs(&project.hosts[0]).unwrap();
    let answer = |text: &str, end| {
        [Some(ProbeAnswer { end, stdout: text.into(), stderr: b"sh: no\nx".to_vec(), truncated: false })]
    };
    let mut facts = debian();
    take_own_facts(&needs, &answer("41\n", ProbeEnd::Exit(0)), &mut facts).unwrap();
    assert_eq!(line(&resolver.resolve(&project.hosts[0], Some(&facts)).unwrap().resources[0]), "r/package:p42");
    let wrong =
        |answers: &[Option<ProbeAnswer>]| brief(&take_own_facts(&needs, answers, &mut debian()).unwrap_err().render());
    let place = "roles/r/role.yml:1:9";
    assert_eq!(
        wrong(&answer("x\n", ProbeEnd::Exit(0))),
        [format!("the fact `uid` is not known: expected a whole number, found `x` @ {place}")]
    );
    assert_eq!(
        wrong(&answer("", ProbeEnd::Exit(1))),
        [format!("the fact `uid` is not known: its command exited with 1: sh: no @ {place}")]
    );
    assert_eq!(wrong(&[None]), [format!("the fact `uid` is not known: the host did not answer @ {place}")]);
    let undecided = resolver.resolve(&project.hosts[0], None).unwrap_err().render();
    assert_eq!(undecided, "error: what is declared for h1 depends on its facts\n");
}

/// A role of these resources, and the messages about it in brief.
fn wrong(resources: &str) -> Vec<String> {
    let role = format!(
        "params:\n  port: {{type: int, default: 80}}\n  names: {{type: list, of: string, default: [a]}}\nresources:\n{resources}"
    );
    brief(&mistakes(&[("roles/r/role.yml", &role), ("roles/r/templates/t.j2", "x"), ("roles/r/files/d/x", "x")]))
}

#[test]
fn every_mistake_in_a_role_has_its_place_and_a_hint() {
    let at = |line: usize, column: usize| format!(" @ roles/r/role.yml:{line}:{column}");
    for (resources, expected) in [
        ("  - pakage: x\n", format!("unknown kind `pakage`{} = did you mean `package`?", at(5, 5))),
        (
            "  - file: /a\n    ownr: x\n",
            format!("unknown attribute `ownr` of file{} = did you mean `owner`?", at(6, 5)),
        ),
        (
            "  - file: /a\n    mode: 0644\n",
            format!("`mode` needs quotes: YAML takes 0644 for a number{} = write mode: \"0644\"", at(6, 11)),
        ),
        ("  - file: a\n", format!("expected an absolute path, found `a`{}", at(5, 11))),
        ("  - file: /a\n    template: t.j\n", format!("unknown template `t.j`{} = did you mean `t.j2`?", at(6, 15))),
        (
            "  - file: /a\n    source: e/x\n",
            format!("unknown file `e/x` of the role{} = did you mean `d/x`?", at(6, 13)),
        ),
        ("  - file: /a\n    source: d\n", format!("this is a folder, and a file is expected{}", at(6, 13))),
        (
            "  - file: /a\n    template: t.j2\n    content: x\n",
            format!(
                "`content` says what the content is a second time{} = keep one of content, template and source",
                at(7, 5)
            ),
        ),
        (
            "  - file: /a\n    content: {contains: x}\n",
            format!(
                "`content` takes a value here, not a map{} = matchers such as `contains` belong into a spec",
                at(6, 14)
            ),
        ),
        (
            "  - file: /a\n    size: 3\n",
            format!(
                "`size` of file can only be checked, not brought about{} = it belongs into a spec's checks",
                at(6, 5)
            ),
        ),
        (
            "  - file: /a\n    within: 3s\n",
            format!("`within` belongs into a spec{} = it says how long a check may take to hold", at(6, 5)),
        ),
        (
            "  - file: /a\n    owner:\n",
            format!(
                "`owner` has no value{} = write a value, leave the key out, or quote the text if it is meant as a text",
                at(6, 10)
            ),
        ),
        (
            "  - service: a\n    state: absent\n",
            format!("`service` has no `state`{} = its attributes: running, validate, reload_on, restart_on", at(6, 5)),
        ),
        (
            "  - service: a\n    running: yes\n",
            format!("`running` takes true or false, found `yes`{} = write `true`, without quotes", at(6, 14)),
        ),
        (
            "  - package: a\n    state: gone\n",
            format!("`state` takes one of present, absent, found `gone`{}", at(6, 12)),
        ),
        (
            "  - package: a\n    severity: hi\n",
            format!(
                "`severity` takes one of info, low, medium, high, critical, found `hi`{} = did you mean `high`?",
                at(6, 15)
            ),
        ),
        ("  - package: \"{{ prt }}\"\n", format!("`prt` is not defined{} = did you mean `port`?", at(5, 18))),
        (
            "  - package: a\n    when: \"{{ port == 80 }}\"\n",
            format!("`when` is an expression already, without braces{} = write when: port == 80", at(6, 11)),
        ),
        ("  - package: a\n    when: prt == 80\n", format!("`prt` is not defined{} = did you mean `port`?", at(6, 11))),
        (
            "  - package: a\n    when: port = 80\n",
            format!("syntax error: unexpected input after expression{} = compare with `==`", at(6, 16)),
        ),
        (
            "  - package: a\n    when: names[0]\n",
            format!(
                "`when` gives a text, which is neither true nor false{} = compare it: when: names[0] == \"…\"",
                at(6, 11)
            ),
        ),
        (
            "  - package: a\n    when: facts.os.famly == 'debian'\n",
            format!("unknown fact `os.famly`{} = did you mean `os.family`?", at(6, 17)),
        ),
        (
            "  - package: a\n    when: facts.os.family == 'debain'\n",
            format!("`facts.os.family` is never \"debain\"{} = did you mean `debian`?", at(6, 30)),
        ),
        (
            "  - package: a\n    when: facts.init in ['sistemd', 'sysv']\n",
            format!("`facts.init` is never \"sistemd\"{} = did you mean `systemd`?", at(6, 26)),
        ),
        (
            "  - package: a\n    when: port is defind\n",
            format!("unknown test `defind`{} = did you mean `defined`?", at(6, 19)),
        ),
        ("  - package: \"{{ port | uper }}\"\n", format!("unknown filter `uper`{} = did you mean `upper`?", at(5, 25))),
        (
            "  - each: x of names\n    package: a\n",
            format!("`each` names no variable{} = write `each: item in items`", at(5, 11)),
        ),
        (
            "  - each: x in port\n    package: \"{{ x }}\"\n",
            format!("`each` goes over a list or a map, and this is a number{}", at(5, 11)),
        ),
        (
            "  - each: x in range(20000)\n    package: \"{{ x }}\"\n",
            format!("`each` would go over more than 10000 items{}", at(5, 11)),
        ),
        (
            "  - command: a\n    run: echo '{{ port }}'\n    always: true\n",
            format!(
                "`{{{{ port }}}}` stands between quotes of the shell{} = drop the quotes, snowmelt quotes it; or add `| raw` to put it in as it is",
                at(6, 18)
            ),
        ),
        (
            "  - command: a\n    run: b\n",
            format!("this command has no guard{} = add `creates`, or `always: true`", at(6, 5)),
        ),
        (
            "  - command: a\n    always: true\n    timeout: 10\n",
            format!("`timeout` takes a length of time, found `10`{} = add a unit: 10s", at(7, 14)),
        ),
        ("  - port: 80/tcp\n", format!("`port` cannot stand in a role{} = it belongs into a spec's checks", at(5, 5))),
        (
            "  - package: a\n    service: b\n",
            format!(
                "this could be a `package` or a `service`{} = an entry is about one thing: write two entries",
                at(5, 5)
            ),
        ),
        (
            "  - when: true\n",
            format!(
                "this entry has no kind{} = known: package, file, directory, service, command, user, port",
                at(5, 5)
            ),
        ),
        (
            "  - when: true\n    resurces: []\n",
            format!(
                "unknown kind `resurces`{} = known: command, directory, file, package, port, service, user",
                at(6, 5)
            ),
        ),
        (
            "  - service: a\n    reload_on: [package:nginx]\n  - package: nginxx\n",
            format!("`package:nginx` is not declared on this host{} = did you mean `package:nginxx`?", at(6, 17)),
        ),
        (
            "  - service: a\n    reload_on: [pakage:nginx]\n",
            format!("unknown kind `pakage`{} = did you mean `package`?", at(6, 17)),
        ),
        (
            "  - service: a\n    reload_on: [command:c]\n  - command: c\n    always: true\n",
            format!("`command:c` cannot be watched{} = watch a path on the host that changes with it", at(6, 17)),
        ),
        (
            "  - service: a\n    reload_on: '/a/[b'\n",
            format!("`/a/[b` is no pattern of paths: unclosed character class; missing ']'{}", at(6, 16)),
        ),
        (
            "  - file: /a\n    mode: \"0644\"\n  - file: /a/\n    mode: \"0600\"\n",
            format!(
                "`file:/a` is declared twice, and `mode` differs{} = two declarations of the same thing must agree in what both say",
                at(8, 5)
            ),
        ),
        (
            "  - file: /a\n    id: x\n  - file: /b\n    id: x\n",
            format!(
                "the id `x` is given twice{} = over `each`, make it different: id: \"… {{{{ item.name }}}}\"",
                at(7, 5)
            ),
        ),
        (
            "  - user: a\n    kind: humn\n",
            format!("`kind` takes one of human, system, found `humn`{} = did you mean `human`?", at(6, 11)),
        ),
        ("  - user: [a, '']\n", format!("the name is empty{}", at(5, 11))),
    ] {
        let found = wrong(resources);
        assert_eq!(found, [expected], "{resources}");
    }
}

#[test]
fn mistakes_in_specs_say_where_things_belong() {
    let check = |checks: &str| {
        let spec = format!("checks:\n{checks}");
        brief(&mistakes(&[("roles/r/role.yml", "description: x\n"), ("specs/r.yml", &spec)]))
    };
    let at = |line: usize, column: usize| format!(" @ specs/r.yml:{line}:{column}");
    for (checks, expected) in [
        (
            "  - file: /a\n    parents: true\n",
            format!(
                "`parents` of file says how to act, and a spec does not act{} = it belongs into the role's resources",
                at(3, 5)
            ),
        ),
        (
            "  - file: /a\n    content: {contans: x}\n",
            format!("unknown matcher `contans`{} = did you mean `contains`?", at(3, 15)),
        ),
        (
            "  - file: /a\n    content: {matches: 'a('}\n",
            format!(
                "invalid regular expression: unclosed group{} = a literal ( [ {{ . * + ? | \\ ^ $ is written with a backslash before it",
                at(3, 24)
            ),
        ),
        ("  - file: /a\n    size: {at_least: big}\n", format!("expected a number, found `big`{}", at(3, 22))),
        (
            "  - file: /a\n    size: {contains: 1}\n",
            format!(
                "`size` is neither a text nor a list{} = `contains` looks for a part of a text, or an item of a list",
                at(3, 12)
            ),
        ),
        ("  - file: /a\n    mode: {any_of: \"0644\"}\n", format!("`any_of` takes a list{}", at(3, 20))),
        ("  - file: /a\n    mode: {at_least: 3}\n", format!("`mode` is no number{}", at(3, 22))),
        (
            "  - port: 80\n    listening: maybe\n",
            format!("`listening` takes true or false, found `maybe`{}", at(3, 16)),
        ),
    ] {
        assert_eq!(check(checks), [expected], "{checks}");
    }
}

#[test]
fn contradictions_between_roles_show_both_places() {
    let files = [
        ("inventory.yml", "groups:\n  web:\n    roles: [a, b]\n    hosts: [h1]\n"),
        ("roles/a/role.yml", "resources:\n  - package: nginx\n    version: '1'\n"),
        ("roles/b/role.yml", "resources:\n  - package: nginx\n    state: absent\n"),
    ];
    assert_eq!(
        mistakes(&files),
        "error: `package:nginx` is declared twice, and `state` differs
 --> roles/b/role.yml:2:5
  |
2 |   - package: nginx
  |     ^^^^^^^
 ::: roles/a/role.yml:2:5
  |
2 |   - package: nginx
  |     ^^^^^^^ declared here by a
  = two declarations of the same thing must agree in what both say
"
    );
}

#[test]
fn values_are_typed_by_the_schema() {
    let role = "
params:
  s: {type: string, default: 1.10}
  i: {type: int, min: 1, max: 9, default: 4}
  b: {type: bool, default: false}
  p: {type: path, default: /a//b}
  e: {type: enum, values: [one, two], default: one}
  l: {type: list, of: int, default: [1]}
  m: {type: map, merge: deep, of: {x: {type: int}, y: {type: string, default: no}}, default: {d: {x: 0}}}
  w: {type: string, pattern: 'auto|[0-9]+', default: auto}
  f: {type: file, default: t}
resources:
  - package: \"{{ s }} {{ i }} {{ b }} {{ p }} {{ e }} {{ l | to_json }} {{ m | to_json }} {{ w }} {{ f }}\"
";
    let given = |vars: &str| {
        let inventory = format!("groups:\n  web:\n    roles: [r]\n    vars:\n      r: {{{vars}}}\n    hosts: [h1]\n");
        let files = [("roles/r/role.yml", role), ("inventory.yml", &inventory), ("roles/r/templates/t", "")];
        let project = project(&files);
        let catalog = Resolver::with_kinds(Arc::new(project.clone()), KINDS).resolve(&project.hosts[0], None);
        catalog.map(|catalog| catalog.resources[0].identity().to_owned()).map_err(|found| brief(&found.render()))
    };
    let at = |column: usize| format!(" @ inventory.yml:5:{column}");
    assert_eq!(given("").unwrap(), r#"1.10 4 false /a/b one [1] {"d":{"x":0,"y":"no"}} auto t"#);
    assert_eq!(
        given("s: 007, i: 9, b: true, e: two, l: [], m: {k: {x: 1, y: on}}, w: 4").unwrap(),
        r#"007 9 true /a/b two [] {"d":{"x":0,"y":"no"},"k":{"x":1,"y":"on"}} 4 t"#
    );
    for (vars, expected) in [
        ("i: x", format!("expected a whole number, found `x`{}", at(14))),
        ("i: \"4\"", format!("expected a whole number, found `4`{} = drop the quotes: 4", at(14))),
        ("i: 10", format!("at most 9 expected, found 10{}", at(14))),
        ("i: 0", format!("at least 1 expected, found 0{}", at(14))),
        ("i:", format!("expected a whole number, found nothing{} = write a value, or leave the key out", at(12))),
        ("i: [1]", format!("expected a whole number, found a list{}", at(14))),
        ("b: yes", format!("expected true or false, found `yes`{} = write `true`, without quotes", at(14))),
        ("p: a", format!("expected an absolute path, found `a`{}", at(14))),
        ("e: onee", format!("`onee` is none of the values of this parameter{} = did you mean `one`?", at(14))),
        ("l: 1", format!("expected a list, found `1`{}", at(14))),
        ("l: [1, x]", format!("expected a whole number, found `x`{}", at(18))),
        ("m: {k: {y: a}}", format!("`x` is missing here{} = write `x: …`, a whole number", at(18))),
        ("m: {k: {x: 1, zzz: 2}}", format!("unknown key `zzz`{} = known: x, y", at(25))),
        ("w: many", format!("`many` does not match the pattern `auto|[0-9]+`{}", at(14))),
        ("w: 4auto", format!("`4auto` does not match the pattern `auto|[0-9]+`{}", at(14))),
        ("f: tt", format!("unknown file `tt` of the role{} = did you mean `t`?", at(14))),
        (
            "s: {secret: a/b}",
            format!("this parameter does not take a secret{} = declare it with `type: secret` in the role", at(14)),
        ),
    ] {
        assert_eq!(given(vars), Err(vec![expected]), "{vars}");
    }
}

#[test]
fn a_missing_parameter_says_where_to_write_it() {
    let files = [("roles/r/role.yml", "params:\n  port: {type: int}\nresources: [{package: \"{{ port }}\"}]\n")];
    assert_eq!(
        mistakes(&files),
        "error: `r` needs a value for `port` on h1
 --> inventory.yml:3:13
  |
3 |     roles: [r]
  |             ^
 ::: roles/r/role.yml:2:3
  |
2 |   port: {type: int}
  |   ^^^^ declared here, without a default
  = write vars: {r: {port: …}} for a group or the host; it is a whole number
"
    );
    let secret = [
        ("inventory.yml", "groups:\n  web:\n    roles: [r]\n    vars: {r: {pw: hunter2}}\n    hosts: [h1]\n"),
        ("roles/r/role.yml", "params: {pw: {type: secret}}\n"),
    ];
    assert_eq!(
        brief(&mistakes(&secret)),
        [
            "a secret is never written into the project @ inventory.yml:4:20 = write {secret: scope/name}, and keep the value in secrets/scope.yml"
        ]
    );
}

#[test]
fn mistakes_show_before_facts_are_known_if_no_fact_can_mend_them() {
    let early = |role: &str| brief(&early(&[("roles/r/role.yml", role)]));
    // Whatever the facts are.
    let always = "params: {n: {type: int, default: 1}}\nresources:\n  - {package: a, when: facts.cpus > 1}\n  - {each: x in n, package: b}\n";
    assert_eq!(early(always), ["`each` goes over a list or a map, and this is a number @ roles/r/role.yml:4:12"]);
    // Only for some: nothing is said before the host was asked.
    let some = "platforms: [debian, redhat]\nlet:\n  m: {match: facts.os.family, debian: [a], redhat: 1}\nresources:\n  - {each: x in m, package: \"{{ x }}\"}\n";
    assert_eq!(early(some), Vec::<String>::new());
    let arms = "let:\n  m: {match: facts.os.family, debian: a, redhat: b}\nresources: [{package: \"{{ m }}\"}]\n";
    assert_eq!(early(arms), Vec::<String>::new());
    // What depends on a fact that is not known is left alone, and so is who watches it.
    let watched =
        "resources:\n  - {package: \"a{{ facts.os.release }}\"}\n  - {service: s, restart_on: 'package:a12'}\n";
    assert_eq!(early(watched), Vec::<String>::new());
    // A word no fact can ever be.
    let word = "let:\n  m: {match: facts.os.family, debain: a, default: b}\nresources: [{package: \"{{ m }}\"}]\n";
    assert_eq!(early(word), ["`facts.os.family` is never \"debain\" @ roles/r/role.yml:2:31 = did you mean `debian`?"]);
    // A branch that no host takes.
    let dead = "resources:\n  - when: false\n    package: \"{{ nobody }}\"\n";
    assert_eq!(early(dead).len(), 1);
}

#[test]
fn roles_that_no_host_has_are_checked_and_so_are_templates() {
    let files = [
        ("roles/r/role.yml", "description: x\n"),
        ("roles/unused/role.yml", "params: {port: {type: int}}\nresources:\n  - file: /a\n    template: a\n"),
        (
            "roles/unused/templates/a",
            "{% if port > 1 %}\n{% include 'b' %}\n{% endif %}{% for x in [1] %}{{ loop.index }}{{ x }}{% endfor %}\n",
        ),
        ("roles/unused/templates/b", "{{ prt }}\n"),
        ("specs/unused.yml", "checks:\n  - port: \"{{ prot }}\"\n"),
    ];
    assert_eq!(
        brief(&early(&files)),
        [
            "`prt` is not defined @ roles/unused/templates/b:1:4 = did you mean `port`?",
            "`prot` is not defined @ specs/unused.yml:2:15 = did you mean `port`?"
        ]
    );
}

#[test]
fn platforms_and_match_without_an_arm_are_errors_for_the_host() {
    let files = [("roles/r/role.yml", "platforms: [redhat]\n")];
    let project = project(&files);
    let resolver = Resolver::with_kinds(Arc::new(project.clone()), KINDS);
    assert!(resolver.wrong_platforms(&project.hosts[0], OsFamily::Redhat).is_empty());
    assert_eq!(
        brief(&resolver.wrong_platforms(&project.hosts[0], OsFamily::Debian).render()),
        ["role `r` is not made for debian, which is what h1 runs @ inventory.yml:3:13 = its platforms: redhat"]
    );
    let files =
        [("roles/r/role.yml", "let:\n  a: {match: facts.os.family, redhat: x}\nresources: [{package: \"{{ a }}\"}]\n")];
    assert_eq!(
        brief(&mistakes(&files)),
        ["no arm of this `match` is for `debian` @ roles/r/role.yml:2:6 = add `debian: …` or `default: …`"]
    );
}

#[test]
fn unknown_groups_are_named() {
    let role = "resources:\n  - {each: h in hosts('wbe'), package: \"{{ h.name }}\"}\n";
    assert_eq!(
        brief(&mistakes(&[("roles/r/role.yml", role)])),
        ["unknown group `wbe` @ roles/r/role.yml:2:17 = did you mean `web`?"]
    );
}

#[test]
fn a_thousand_resources_of_one_entry() {
    let role = "params: {names: {type: list, of: string, default: []}}
resources:
  - directory: /etc/many
    purge: true
  - each: n in range(1000)
    file: /etc/many/{{ n }}
    template: t
    owner: root
  - service: s
    reload_on: /etc/many/**
";
    let all = declared(&[("roles/r/role.yml", role), ("roles/r/templates/t", "{{ n }} {{ host.name }}\n")]);
    assert_eq!(all.len(), 1002);
    assert_eq!((all[0].keeps.len(), all[1001].watches[0].members.len()), (1000, 1001));
    assert_eq!(line(&all[1000]), "r/file:/etc/many/999 content=\"999 h1\\n\" owner=root");
}

#[test]
fn the_roles_of_this_repository_are_sound() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![("inventory.yml".to_owned(), "groups:\n  web:\n    roles: [base, nginx]\n    vars:\n      nginx: {vhosts: {shop: {server_name: shop.example.com}}}\n      base: {ntp: [ntp.example.com], admins: {ada: {keys: [ssh-ed25519 AAAA]}}}\n    hosts: [h1]\n".to_owned())];
    for folder in ["roles", "specs"] {
        walk(&root.join(folder), folder, &mut files);
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let project = project(&files);
    let resolver = Resolver::new(Arc::new(project.clone()));
    assert_eq!(resolver.check(&[0]).render(), "");
    let catalog =
        resolver.resolve(&project.hosts[0], Some(&debian())).unwrap_or_else(|found| panic!("{}", found.render()));
    assert_eq!(catalog.roles, ["base", "nginx"]);
    let addresses: Vec<String> = catalog.resources.iter().map(|resource| resource.address.to_string()).collect();
    assert!(addresses.contains(&"nginx/file:/etc/nginx/sites-enabled/shop.conf".to_owned()), "{addresses:?}");
}

fn walk(folder: &std::path::Path, name: &str, files: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path(), &name, files),
            false => files.push((name, std::fs::read_to_string(entry.path()).unwrap())),
        }
    }
}
