//! What is wrong with a project is said in full, with its place and what to do, before any host is contacted.

mod common;

use std::net::TcpListener;

use common::{Project, Ran};

/// The one host, behind a door that nobody may knock at.
const HOST: &str = "hosts: {h1: {address: 127.0.0.1, port: PORT, connect_timeout: 1s}}";

/// A project with these files over one that is sound. `HOST` stands for the one host.
struct Tried {
    project: Project,
    host: String,
    door: TcpListener,
}

fn tried(files: &[(&str, &str)]) -> Tried {
    let door = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    door.set_nonblocking(true).unwrap();
    let host = HOST.replace("PORT", &door.local_addr().unwrap().port().to_string());
    let project = Project::new();
    project.write("inventory.yml", &format!("groups:\n  web:\n    roles: [x]\n    {host}\n"));
    project.write("roles/x/role.yml", "description: x\n");
    for (path, text) in files {
        project.write(path, &text.replace("HOST", &host));
    }
    Tried { project, host, door }
}

impl Tried {
    fn is_contacted(&self) -> bool {
        self.door.accept().is_ok()
    }

    /// What is said when it is applied, which must not begin.
    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let Ran { code, stdout, stderr } = self.project.run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(!self.is_contacted(), "the host was contacted in spite of\n{stderr}");
        stderr
    }
}

#[track_caller]
fn says(files: &[(&str, &str)], expected: &str) {
    let tried = tried(files);
    let host = tried.host.clone();
    assert_eq!(tried.refused(&["apply", "--yes"]).replace(&host, "HOST"), expected);
}

/// As [`says`], for a role of these lines.
#[track_caller]
fn role_says(role: &str, expected: &str) {
    says(&[("roles/x/role.yml", role)], expected);
}

#[test]
fn a_sound_project_does_contact_its_host() {
    let tried = tried(&[]);
    tried.project.run(&["apply", "--yes", "--timeout", "1s"]).code(3);
    assert!(tried.is_contacted());
}

#[test]
fn an_unknown_key() {
    says(
        &[("inventory.yml", "gruops:\n  web: {HOST}\n")],
        "\
error: unknown key `gruops` of the inventory
 --> inventory.yml:1:1
  |
1 | gruops:
  | ^^^^^^
  = did you mean `groups`?
",
    );
    role_says(
        "resources:\n  - file: /etc/motd\n    ownr: root\n",
        "\
error: unknown attribute `ownr` of file
 --> roles/x/role.yml:3:5
  |
3 |     ownr: root
  |     ^^^^
  = did you mean `owner`?
",
    );
    says(
        &[("snowmelt.yml", "project: test\nmemroy: /x\n")],
        "\
error: unknown setting `memroy`
 --> snowmelt.yml:2:1
  |
2 | memroy: /x
  | ^^^^^^
  = did you mean `memory`?
",
    );
}

#[test]
fn an_unknown_kind() {
    role_says(
        "resources:\n  - flie: /etc/motd\n    mode: \"0644\"\n",
        "\
error: unknown kind `flie`
 --> roles/x/role.yml:2:5
  |
2 |   - flie: /etc/motd
  |     ^^^^
  = did you mean `file`?
",
    );
}

#[test]
fn an_unknown_role() {
    says(
        &[("inventory.yml", "groups:\n  web:\n    roles: [ngnix]\n    HOST\n"), ("roles/nginx/role.yml", "{}\n")],
        "\
error: unknown role `ngnix`
 --> inventory.yml:3:13
  |
3 |     roles: [ngnix]
  |             ^^^^^
  = did you mean `nginx`?
",
    );
    role_says(
        "requires: [bsae]\n",
        "\
error: unknown role `bsae`
 --> roles/x/role.yml:1:12
  |
1 | requires: [bsae]
  |            ^^^^
  = known: x
",
    );
    says(
        &[("specs/y.yml", "checks: []\n")],
        "\
error: a spec for the unknown role `y`
 --> specs/y.yml:1:1
  = did you mean `x`?
",
    );
}

#[test]
fn an_unknown_group() {
    says(
        &[("inventory.yml", "groups:\n  web: {HOST}\n  all-of-it: {groups: [wbe]}\n")],
        "\
error: unknown group `wbe`
 --> inventory.yml:3:24
  |
3 |   all-of-it: {groups: [wbe]}
  |                        ^^^
  = did you mean `web`?
",
    );
    role_says(
        "resources:\n  - each: h in hosts('wbe')\n    package: \"{{ h.name }}\"\n",
        "\
error: unknown group `wbe`
 --> roles/x/role.yml:2:16
  |
2 |   - each: h in hosts('wbe')
  |                ^^^^^^^^^^^^
  = did you mean `web`?
",
    );
}

#[test]
fn an_unknown_parameter() {
    let role = ("roles/x/role.yml", "params: {port: {type: int, default: 80}}\n");
    says(
        &[role, ("inventory.yml", "groups:\n  web:\n    roles: [x]\n    vars: {x: {prot: 80}}\n    HOST\n")],
        "\
error: unknown parameter `prot` of role x
 --> inventory.yml:4:16
  |
4 |     vars: {x: {prot: 80}}
  |                ^^^^
  = did you mean `port`?
",
    );
    assert_eq!(
        tried(&[role]).refused(&["plan", "--set", "x.prot=80"]),
        "\
error: unknown parameter `prot` of role x
 --> --set:1:3
  |
1 | x.prot=80
  |   ^^^^
  = did you mean `port`?
"
    );
}

#[test]
fn an_unknown_variable() {
    let params = "params: {port: {type: int, default: 80}}\nresources:\n  - file: /etc/x\n";
    role_says(
        &format!("{params}    content: \"{{{{ prot }}}}\"\n"),
        "\
error: `prot` is not defined
 --> roles/x/role.yml:4:18
  |
4 |     content: \"{{ prot }}\"
  |                  ^^^^
  = did you mean `port`?
",
    );
    says(
        &[
            ("roles/x/role.yml", &format!("{params}    template: x.j2\n")),
            ("roles/x/templates/x.j2", "# {{ port }}\n{{ host.nmae }}\n"),
        ],
        "\
error: `host.nmae` is not defined
 --> roles/x/templates/x.j2:2:4
  |
2 | {{ host.nmae }}
  |    ^^^^^^^^^
 ::: roles/x/role.yml:4:15
  |
4 |     template: x.j2
  |               ^^^^ rendered from here
  = did you mean `name`?
",
    );
}

#[test]
fn a_value_of_the_wrong_type() {
    let role = ("roles/x/role.yml", "params:\n  port: {type: int, default: 80}\n");
    says(
        &[role, ("inventory.yml", "groups:\n  web:\n    roles: [x]\n    vars: {x: {port: http}}\n    HOST\n")],
        "\
error: expected a whole number, found `http`
 --> inventory.yml:4:22
  |
4 |     vars: {x: {port: http}}
  |                      ^^^^
 ::: roles/x/role.yml:2:3
  |
2 |   port: {type: int, default: 80}
  |   ^^^^ `port` of role x is declared here
",
    );
    role_says(
        "resources:\n  - service: ssh\n    running: yes\n",
        "\
error: `running` takes true or false, found `yes`
 --> roles/x/role.yml:3:14
  |
3 |     running: yes
  |              ^^^
  = write `true`, without quotes
",
    );
    says(
        &[
            ("roles/x/role.yml", "resources: []\n"),
            ("roles/x/spec.yml", "checks:\n  - process: sshd\n    count: \">=2\"\n"),
            ("inventory.yml", "groups:\n  web:\n    roles: [x]\n    HOST\n"),
        ],
        "\
error: `count` takes a whole number, found `>=2`
 --> roles/x/spec.yml:3:12
  |
3 |     count: \">=2\"
  |            ^^^^^
  = a spec compares by {at_least: 2}
",
    );
}

#[test]
fn a_missing_parameter() {
    says(
        &[
            ("roles/x/role.yml", "params:\n  port: {type: int}\n"),
            ("inventory.yml", "groups:\n  web:\n    roles: [x]\n    HOST\n"),
        ],
        "\
error: `x` needs a value for `port` on h1
 --> inventory.yml:3:13
  |
3 |     roles: [x]
  |             ^
 ::: roles/x/role.yml:2:3
  |
2 |   port: {type: int}
  |   ^^^^ declared here, without a default
  = write vars: {x: {port: …}} for a group or the host; it is a whole number
",
    );
}

#[test]
fn an_error_in_a_template_is_told_once() {
    says(
        &[
            ("roles/x/role.yml", "resources:\n  - file: /etc/x\n    template: x.j2\n"),
            ("roles/x/templates/x.j2", "a\n{% if host.name %}\nb\n"),
        ],
        "\
error: syntax error: a block is not closed
 --> roles/x/templates/x.j2:3:1
  |
3 | b
  | ^
 ::: roles/x/role.yml:3:15
  |
3 |     template: x.j2
  |               ^^^^ rendered from here
  = close each `{% if %}` with `{% endif %}`, each `{% for %}` with `{% endfor %}`
",
    );
    // Whether or not anybody renders it.
    says(
        &[("roles/x/templates/x.j2", "{% for name %}\n")],
        "\
error: syntax error: unexpected end of block, expected in
 --> roles/x/templates/x.j2:1:13
  |
1 | {% for name %}
  |             ^^
",
    );
}

#[test]
fn declarations_that_contradict() {
    role_says(
        "resources:\n  - package: nginx\n  - package: [curl, nginx]\n    state: absent\n",
        "\
error: `package:nginx` is declared twice, and `state` differs
 --> roles/x/role.yml:3:5
  |
3 |   - package: [curl, nginx]
  |     ^^^^^^^
 ::: roles/x/role.yml:2:5
  |
2 |   - package: nginx
  |     ^^^^^^^ declared here
  = two declarations of the same thing must agree in what both say
",
    );
}

#[test]
fn groups_that_disagree() {
    says(
        &[
            ("roles/x/role.yml", "params: {port: {type: int}}\n"),
            (
                "inventory.yml",
                "groups:\n  web: {roles: [x], vars: {x: {port: 80}}, hosts: [h1]}\n  tokyo: {vars: {x: {port: 81}}, HOST}\n",
            ),
        ],
        "\
error: groups `web` and `tokyo` disagree about `x.port` of h1, and neither is nearer
 --> inventory.yml:3:28
  |
3 |   tokyo: {vars: {x: {port: 81}}, HOST}
  |                            ^^
 ::: inventory.yml:2:38
  |
2 |   web: {roles: [x], vars: {x: {port: 80}}, hosts: [h1]}
  |                                      ^^ given by `web`
  = give it to the host, or to a group with `all_of: [web, tokyo]`: these are nearer than both
",
    );
}

#[test]
fn a_loop() {
    says(
        &[
            ("roles/x/role.yml", "requires: [y]\n"),
            ("roles/y/role.yml", "requires: [z]\n"),
            ("roles/z/role.yml", "requires: [x]\n"),
        ],
        "\
error: roles require each other in a loop: x → y → z → x
 --> roles/z/role.yml:1:12
  |
1 | requires: [x]
  |            ^
  = remove one of these requirements, or move what both need into a role of its own
",
    );
    says(
        &[("inventory.yml", "groups:\n  a: {groups: [b], HOST}\n  b: {groups: [a]}\n")],
        "\
error: groups consist of each other in a loop: a → b → a
 --> inventory.yml:3:16
  |
3 |   b: {groups: [a]}
  |                ^
  = remove one of them from the other
",
    );
}

#[test]
fn a_file_that_is_no_text() {
    for (bytes, message) in [
        (&b"\x7fELF\xff\x01\x01\0\0"[..], "error: the file is not text\n --> roles/x/role.yml:1:5\n"),
        (b"description: caf\xe9\n", "error: the file is not UTF-8\n --> roles/x/role.yml:1:17\n"),
        (b"description: a\0\n", "error: a NUL byte in a text file\n --> roles/x/role.yml:1:15\n"),
        (b"\xff\xfea\0:\0", "error: the file is UTF-16\n --> roles/x/role.yml:1:1\n"),
        (b"description: \x1b[31m\n", "error: text cannot begin with this character\n --> roles/x/role.yml:1:14\n"),
    ] {
        let tried = tried(&[]);
        std::fs::write(tried.project.path("roles/x/role.yml"), bytes).unwrap();
        let said = tried.refused(&["apply", "--yes"]);
        assert!(said.starts_with(message), "{said}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
    let tried = tried(&[("roles/x/role.yml", "resources:\n  - file: /x\n    template: t\n")]);
    std::fs::create_dir(tried.project.path("roles/x/templates")).unwrap();
    std::fs::write(tried.project.path("roles/x/templates/t"), b"\x7fELF\0").unwrap();
    assert_eq!(
        tried.refused(&["apply", "--yes"]),
        "\
error: templates/t cannot be used: the file is not text
 --> roles/x/role.yml:3:15
  |
3 |     template: t
  |               ^
"
    );
}

#[test]
fn a_file_that_cannot_be_read() {
    let says = |spoil: &dyn Fn(&std::path::Path), expected: &str| {
        let tried = tried(&[]);
        let path = tried.project.path("roles/x/role.yml");
        std::fs::remove_file(&path).unwrap();
        spoil(&path);
        let said = tried.refused(&["apply", "--yes"]);
        assert!(said.starts_with(&format!("error: {expected}\n --> roles/x/role.yml:1:1\n")), "{said}");
    };
    says(&|path| std::fs::create_dir(path).unwrap(), "cannot read the file: it is a folder");
    says(
        &|path| std::os::unix::fs::symlink("nowhere", path).unwrap(),
        "cannot read the file: no such file or directory",
    );
    let fifo = |path: &std::path::Path| {
        assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    says(&fifo, "cannot read the file: it is not a regular file");
    let big = |path: &std::path::Path| std::fs::write(path, "# comment\n".repeat(500_000)).unwrap();
    says(&big, "cannot read the file: it is larger than 4 MiB");
    says(&|_| (), "the role `x` has no role.yml");
    let locked = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(path, "{}\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000)).unwrap();
    };
    // Nothing is locked for root.
    let probe = tempfile::NamedTempFile::new().unwrap();
    locked(probe.path());
    if std::fs::read(probe.path()).is_err() {
        says(&locked, "cannot read the file: permission denied");
    }
}

#[test]
fn a_bomb() {
    let mut text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, of) in ["bc", "cd", "de", "ef", "fg", "gh", "hi", "ij"].iter().map(|pair| (&pair[1..], &pair[..1])) {
        let of = if of == "b" { "a" } else { of };
        text.push_str(&format!("{name}: &{name} [*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of}]\n"));
    }
    let said = tried(&[("inventory.yml", &text)]).refused(&["apply", "--yes"]);
    assert!(said.starts_with("error: the file grows too large\n --> inventory.yml:1:"), "{said}");
    let said = tried(&[("inventory.yml", &"[".repeat(100_000))]).refused(&["apply", "--yes"]);
    assert!(said.starts_with("error: nested too deeply\n --> inventory.yml:1:"), "{said}");
    assert!(said.len() < 1000, "{} bytes are said", said.len());
}

#[test]
fn text_that_is_no_yaml() {
    role_says(
        "resources:\n\t- file: /etc/x\n",
        "\
error: a tab where only spaces may stand
 --> roles/x/role.yml:2:1
  |
2 |  - file: /etc/x
  | ^
  = indent with spaces
",
    );
    role_says(
        "resources:\n  - file: /etc/x\n   mode: \"0644\"\n",
        "\
error: this line is indented like none above it
 --> roles/x/role.yml:3:4
  |
3 |    mode: \"0644\"
  |    ^
  = keys of one entry stand below each other
",
    );
    role_says(
        "resources:\n  - file: {{ path }}\n",
        "\
error: a value that begins with `{{` must be quoted
 --> roles/x/role.yml:2:11
  |
2 |   - file: {{ path }}
  |           ^^^^^^^^^^
  = quote it: `- file: \"{{ path }}\"`
",
    );
    role_says(
        "resources: []\nresources: []\n",
        "\
error: the key `resources` is given twice
 --> roles/x/role.yml:2:1
  |
2 | resources: []
  | ^^^^^^^^^
 ::: roles/x/role.yml:1:1
  |
1 | resources: []
  | ^^^^^^^^^ first given here
  = remove one of the two
",
    );
}

#[test]
fn a_bare_mode() {
    role_says(
        "resources:\n  - file: /etc/x\n    mode: 644\n",
        "\
error: `mode` needs quotes: YAML takes 644 for a number
 --> roles/x/role.yml:3:11
  |
3 |     mode: 644
  |           ^^^
  = write mode: \"0644\"
",
    );
}

#[test]
fn an_unguarded_command() {
    role_says(
        "resources:\n  - command: make install\n",
        "\
error: nothing says when this command is due
 --> roles/x/role.yml:2:5
  |
2 |   - command: make install
  |     ^^^^^^^
  = add `creates`, `unless`, `only_if` or `on_change`; or say `always: true` to run it on every apply
",
    );
}

#[test]
fn a_selection_that_selects_nothing() {
    let files = [("roles/x/role.yml", "resources:\n  - file: /etc/motd\n    tags: [greeting]\n")];
    for (arguments, expected) in [
        (["--limit", "h2"], "error: the limit names no host: `h2`\n  = did you mean `h1`?\n"),
        (["--limit", "h1,web*"], "error: the limit names no host: `web*`\n  = known: h1\n"),
        (["--limit", "web"], "error: the limit names no host: `web`\n  = for the group, write `group:web`\n"),
        (["--limit", "group:wbe"], "error: the limit names no group: `wbe`\n  = did you mean `web`?\n"),
        (["--limit", "role:y"], "error: the limit names no role: `y`\n  = did you mean `x`?\n"),
        (["--limit", "!h1"], "error: the limit `!h1` leaves no host\n  = see `snowmelt hosts`\n"),
        (
            ["--tags", "greting"],
            "error: nothing declared for these hosts is selected by `--tags greting`\n  = did you mean `greeting`?\n",
        ),
        (
            ["--only", "file:/etc/modt"],
            "error: nothing declared for these hosts is selected by `--only file:/etc/modt`\n  = did you mean `file:/etc/motd`?\n",
        ),
        (
            ["--restart", "x/service:nginx"],
            "error: nothing declared for these hosts is selected by `--restart x/service:nginx`\n  = known: x/file:/etc/motd\n",
        ),
    ] {
        let arguments = [&["apply", "--yes"], &arguments[..]].concat();
        let said = tried(&files).refused(&arguments);
        // A message without a place begins its hint further left.
        assert_eq!(said.replace("\n   = ", "\n  = "), expected, "{arguments:?}");
    }
}

#[test]
fn several_mistakes_are_told_in_one_run() {
    let files = [
        ("inventory.yml", "groups:\n  web:\n    roles: [x]\n    hots: [h2]\n    vars: {x: {prot: 1}}\n    HOST\n"),
        ("roles/x/role.yml", "params: {port: {type: itn}}\nresources:\n  - file: \"{{ port }}\"\n"),
        ("roles/y/role.yml", "resources:\n  - flie: /etc/x\n  - file: /etc/y\n    mode: 0644\n  - command: touch /x\n"),
        ("roles/y/templates/t", "{{ 1 + }}"),
        ("specs/y.yml", "checks:\n  - port: 80/tcp\n    listning: true\n"),
        ("roles/z/role.yml", "resourcs: []\n"),
    ];
    let said = tried(&files).refused(&["apply", "--yes"]);
    for (message, place) in [
        ("unknown type `itn`", "roles/x/role.yml:1:23"),
        ("unknown key `resourcs` of a role", "roles/z/role.yml:1:1"),
        ("unknown key `hots` of a group", "inventory.yml:4:5"),
        ("unknown parameter `prot` of role x", "inventory.yml:5:16"),
        ("unknown kind `flie`", "roles/y/role.yml:2:5"),
        ("`mode` needs quotes: YAML takes 0644 for a number", "roles/y/role.yml:4:11"),
        ("nothing says when this command is due", "roles/y/role.yml:5:5"),
        ("unknown attribute `listning` of port", "specs/y.yml:3:5"),
        ("syntax error: unexpected end of variable block", "roles/y/templates/t:1:8"),
    ] {
        assert!(said.contains(&format!("error: {message}\n --> {place}\n")), "{message}\n{said}");
    }
    assert!(said.ends_with("\n\n9 errors\n"), "{said}");
}

#[test]
fn no_project() {
    let tried = tried(&[]);
    let said = tried.refused(&["plan", "--project", "roles"]);
    assert!(said.starts_with("error: there is no snowmelt.yml in roles\n"), "{said}");
    assert_eq!(said.matches("error").count(), 1, "{said}");
    std::fs::remove_file(tried.project.path("inventory.yml")).unwrap();
    let said = tried.refused(&["plan"]);
    assert!(said.starts_with("error: there is no inventory.yml in "), "{said}");
}
