//! Secrets from the command that writes them to the file on the host, and every place where they must not be.

mod common;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use common::{Project, Ran};

/// Holds what quoting, escaping and templates like to change.
const PASSWORD: &str = "it's \"$HOME\" & 100% <Ünsafe>";
const TOKEN: &str = "tok-5f3a9c1e7b";

const ROLE: &str = "params: {password: {type: secret}, token: {type: secret}}\n\
    let: {shouted: \"{{ token | upper }}\"}\n\
    resources:\n";

/// A project with a key and the secrets `shop/password` and `shop/token`, which the role `x` takes.
fn project(resources: &str) -> Project {
    let project = Project::local("");
    let resources = resources.replace("DIR", &project.path("host").display().to_string());
    std::fs::create_dir(project.path("host")).unwrap();
    project.write("roles/x/role.yml", &format!("{ROLE}{resources}"));
    project.write(
        "inventory.yml",
        "groups:\n  all-of-it:\n    roles: [x]\n    vars: {x: {password: {secret: shop/password}, token: {secret: shop/token}}}\n    \
         hosts: {here: {transport: local}}\n",
    );
    run(&project, &["secret", "key"], None).code(0);
    run(&project, &["secret", "init", "shop"], None).code(0).says(&["for 1 recipient"]);
    run(&project, &["secret", "add", "shop/password"], Some(&format!("{PASSWORD}\n"))).code(0);
    run(&project, &["secret", "add", "shop/token"], Some(TOKEN)).code(0);
    project
}

/// Runs the program with a home folder of its own, and asserts that it prints no secret.
#[track_caller]
fn run(project: &Project, arguments: &[&str], stdin: Option<&str>) -> Ran {
    run_as(project, &project.path("home"), arguments, stdin)
}

#[track_caller]
fn run_as(project: &Project, home: &std::path::Path, arguments: &[&str], stdin: Option<&str>) -> Ran {
    let mut command = project.command(arguments);
    command.env("HOME", home).env_remove("XDG_CONFIG_HOME").env_remove("SNOWMELT_IDENTITY");
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
        // A program that refuses at once does not read.
        let _ = pipe.write_all(text.as_bytes());
    }
    let out = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    let ran = Ran { code: out.status.code().unwrap_or(-1), stdout: text(out.stdout), stderr: text(out.stderr) };
    assert_clean(&arguments.join(" "), &format!("{}{}", ran.stdout, ran.stderr));
    ran
}

/// The forms in which the secrets could show, their parts among them.
fn forms() -> Vec<String> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let mut forms = vec!["it's".to_owned(), "Ünsafe".to_owned(), "it'\\''s".to_owned(), "it&apos;s".to_owned()];
    for secret in [PASSWORD, TOKEN] {
        forms.extend([secret.to_owned(), secret.to_uppercase(), hex::encode(secret)]);
        forms.push(serde_json::Value::from(secret).to_string());
        for offset in 0..3 {
            let encoded = base64.encode([vec![0; offset], secret.as_bytes().to_vec()].concat());
            forms.push(encoded[4..encoded.len() - 4].to_owned());
        }
    }
    forms
}

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    for form in forms() {
        assert!(!text.contains(&form), "{what}: `{form}` in\n{text}");
    }
}

/// No file below this folder holds a secret.
#[track_caller]
fn assert_folder_clean(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_folder_clean(&path);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            assert_clean(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn a_secret_reaches_the_host_and_no_other_place() {
    let project = project(
        "  - file: DIR/app.conf\n    template: app.conf.j2\n  \
         - file: DIR/plain\n    content: \"plain\\n\"\n  \
         - command: log in\n    run: cat >DIR/seen\n    creates: DIR/seen\n    stdin: \"{{ password }}\"\n",
    );
    project.write(
        "roles/x/templates/app.conf.j2",
        "# the shop\nport = 80\npassword = {{ password }}\nbasic = {{ (\"x:\" ~ token) | b64encode }}\n{{ shouted }}\nworkers = 4\n",
    );
    let encrypted = project.read("secrets/shop.yml");
    assert_clean("secrets/shop.yml", &encrypted);
    run(&project, &["secret", "check"], None).code(0).says(&["2 secrets in 1 scope, 0 findings"]);
    run(&project, &["secret", "uses"], None).code(0).says(&["shop/token\n  x.token  on here"]);
    run(&project, &["show", "here"], None).code(0).says(&["*** ("]);
    run(&project, &["plan", "-v"], None).code(1);
    let reports = ["--report", "text", "--report", "json=out/run.json", "--report", "junit=out/junit.xml"];
    run(&project, &[&["-vvv", "apply", "--yes"][..], &reports].concat(), None).code(0);

    let content = project.read("host/app.conf");
    assert!(content.contains(&format!("password = {PASSWORD}\n")) && content.contains("TOK-5F3A9C1E7B\n"), "{content}");
    assert_eq!(project.read("host/seen"), PASSWORD);
    let mode = |name: &str| project.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("host/app.conf"), mode("host/plain")), (0o600, 0o644));
    run(&project, &["verify"], None).code(0);

    // What the host remembers: no digest that a guess could be held against.
    assert_folder_clean(&project.path("memory"));
    let record = project.read("memory/test/here/record");
    assert!(record.contains("content=~"), "{record}");
    let plain = sha256(content.as_bytes());
    assert!(!record.contains(&plain[..12]), "{record}");

    // Only lines that hold a secret are masked, and of what is to go nothing is shown.
    project.write("host/app.conf", &content.replace("workers = 4", "workers = 5"));
    let drifted = run(&project, &[&["-vv", "verify", "-v"][..], &reports].concat(), None).code(1);
    drifted.says(&["-workers = 5", "+workers = 4", " ***", "drifted"]);
    project.write("host/app.conf", &content.replace(PASSWORD, "anoldpassword"));
    run(&project, &["plan", "-v"], None).code(1).says(&["-***", "+***", " port = 80"]).hides(&["anoldpassword"]);
    // Not even when the declaration forgets that there was a secret.
    project.write("roles/x/templates/app.conf.j2", "# the shop\nport = 80\n");
    run(&project, &["plan", "-v"], None).code(1).says(&["-***", " port = 80"]).hides(&["anoldpassword"]);
    assert_folder_clean(&project.path("out"));
}

fn sha256(bytes: &[u8]) -> String {
    snowmelt::base::digest::Digest::of(bytes).to_string()
}

#[test]
fn what_a_host_says_is_redacted_in_every_report() {
    let project = project(
        "  - command: tell\n    run: cat >&2; exit 1\n    always: true\n    stdin: \"{{ password }} and {{ token }}\"\n",
    );
    project.write(
        "specs/x.yml",
        &format!(
            "checks:\n  - command: say it\n    run: printf %s {TOKEN} | od -An -tx1 | tr -d ' \\n'; echo {TOKEN}\n    stdout: other\n"
        ),
    );
    let reports = ["--report", "text=-", "--report", "json=out/run.json", "--report", "junit=out/junit.xml"];
    let failed = run(&project, &[&["-vvv", "apply", "--yes"][..], &reports].concat(), None);
    failed.code(1).says(&["***"]);
    assert_folder_clean(&project.path("out"));
    assert!(project.read("out/run.json").contains("***") && project.read("out/junit.xml").contains("***"));
}

#[test]
fn without_a_key_the_rest_runs_and_nothing_is_claimed() {
    let project = project(
        "  - file: DIR/secret\n    content: \"{{ password }}\"\n  - file: DIR/plain\n    content: \"plain\\n\"\n",
    );
    let nobody = project.path("nobody");
    let applied = run_as(&project, &nobody, &["apply", "--yes"], None);
    applied.code(3).says(&["no key for shop/password", "unknown"]);
    assert!(project.path("host/plain").exists() && !project.path("host/secret").exists());
    run_as(&project, &nobody, &["verify"], None).code(3);
    run_as(&project, &nobody, &["secret", "check"], None).code(3).says(&["no key for shop/token"]);
    run_as(&project, &nobody, &["secret", "edit", "shop/token"], None).code(2).says(&["no key for shop/token"]);
    let key = project.path("home/.config/snowmelt/identity");
    let key = key.to_str().unwrap();
    run_as(&project, &nobody, &["verify", "--identity", key], None).code(1);
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = run_as(&project, &nobody, &["verify", "--identity", key], None);
    refused.code(2).says(&["can be read by others", "chmod 600"]);
}

#[test]
fn mistakes_are_found_before_a_host_is_contacted() {
    let project = project("  - command: x\n    run: \"login {{ password }}\"\n    always: true\n");
    run(&project, &["plan"], None).code(2).says(&["a secret (shop/password) cannot stand in `run`", "stdin"]);
    let inventory = project.read("inventory.yml");
    project.write("roles/x/role.yml", &format!("{ROLE}  - file: /x\n    content: \"{{{{ token }}}}\"\n"));
    project.write("inventory.yml", &inventory.replace("shop/token", "shop/tokne"));
    run(&project, &["plan"], None).code(2).says(&[
        "there is no secret `tokne`",
        "did you mean `token`?",
        "inventory.yml:4:",
    ]);
    run(&project, &["secret", "check"], None)
        .code(1)
        .says(&["there is no secret `tokne`", "shop/token is used by no host"]);
    project.write("inventory.yml", &inventory.replace("shop/token", "shpo/token"));
    run(&project, &["plan"], None).code(2).says(&["unknown scope of secrets `shpo`", "did you mean `shop`?"]);
    project.write("inventory.yml", &inventory);

    // A ciphertext at another name.
    let text = project.read("secrets/shop.yml");
    let (head, entries) = text.split_once("secrets:\n").unwrap();
    let swapped = entries.replace("  password:", "  a:").replace("  token:", "  password:").replace("  a:", "  token:");
    project.write("secrets/shop.yml", &format!("{head}secrets:\n{swapped}"));
    run(&project, &["plan"], None).code(2).says(&["it is the value of `shop/", "copied here"]);
    run(&project, &["secret", "check"], None).code(1).says(&["copied here"]);
    project.write("secrets/shop.yml", &text.replace("digest_key:", "digestkey:"));
    run(&project, &["plan"], None).code(2).says(&["did you mean `digest_key`?"]);
}

#[test]
fn values_are_added_changed_and_encrypted_anew() {
    let project = project("  - file: DIR/a\n    content: \"{{ token }}\"\n");
    let add = |name: &str, value: &str, code: i32| run(&project, &["secret", "add", name], Some(value)).code(code);
    add("shop/token", "another-token", 2).says(&["shop/token exists already", "--replace"]);
    add("shop/short", "12345\n", 2).says(&["shorter than 6"]);
    add("shop/empty", "", 2).says(&["standard input is empty"]);
    add("shop/../x", "long enough", 2);
    add("shpo/x", "long enough", 2).says(&["did you mean `shop`?"]);
    run(&project, &["secret", "init", "shop"], None).code(2).says(&["exists already"]);
    run(&project, &["secret", "key"], None).code(2);

    // The comment of somebody who reads the file stays.
    let text = project.read("secrets/shop.yml").replace("  token: |", "  # of the payment service\n  token: |");
    project.write("secrets/shop.yml", &text);
    project.write(
        "editor",
        "#!/bin/sh\nset -e\ncase $1 in /dev/shm/*|/run/*) ;; *) exit 1 ;; esac\n\
         [ \"$(stat -c %a \"$1\")$(stat -c %a \"$(dirname \"$1\")\")\" = 600700 ]\n\
         sed -i s/tok-/new-/ \"$1\"\necho \"$(dirname \"$1\")\" >where\n",
    );
    std::fs::set_permissions(project.path("editor"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = project.command(&["secret", "edit", "shop/token"]);
    let editor = project.path("editor");
    let out = command
        .env("HOME", project.path("home"))
        .env_remove("VISUAL")
        .env_remove("XDG_CONFIG_HOME")
        .env("EDITOR", &editor);
    let out = out.output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(!std::path::Path::new(project.read("where").trim()).exists(), "the folder of the editor is gone");
    assert!(project.read("secrets/shop.yml").contains("  # of the payment service\n  token: |"));
    run(&project, &["apply", "--yes"], None).code(0);
    assert_eq!(project.read("host/a"), TOKEN.replace("tok-", "new-"));

    // Somebody joins: noticed until the values are encrypted anew, and then they can read them.
    let bob = project.path("bob");
    let public = run_as(&project, &bob, &["secret", "key"], None).code(0).stdout;
    let text = project.read("secrets/shop.yml").replacen("recipients:\n", &format!("recipients:\n  - {public}"), 1);
    project.write("secrets/shop.yml", &text);
    run(&project, &["secret", "check"], None).code(1).says(&["snowmelt secret rekey shop"]);
    run_as(&project, &bob, &["verify"], None).code(3);
    run_as(&project, &bob, &["secret", "rekey", "shop"], None).code(2).says(&["no key for shop/"]);
    assert_eq!(project.read("secrets/shop.yml"), text, "nothing was written");
    run(&project, &["secret", "rekey", "shop"], None).code(0).says(&["2 values for 2 recipients"]);
    run_as(&project, &bob, &["verify"], None).code(0);
    // What the host remembers still counts: the key for digests is the same.
    run(&project, &["secret", "rekey", "shop"], None).code(0);
    project.write("host/a", "spoilt");
    run(&project, &["verify"], None).code(1).says(&["drifted"]);
}

/// A private key as OpenSSL writes it, and something that is no text.
fn key_and_store() -> (String, Vec<u8>) {
    use base64::Engine as _;
    let noise: Vec<u8> = (0..2400_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let lines: Vec<String> = base64::engine::general_purpose::STANDARD
        .encode(&noise[..1200])
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    (format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")), noise)
}

/// A project whose role ships a private key by itself and a store of keys in a folder.
fn project_with_files() -> Project {
    let project = project(
        "  - file: DIR/tls.key\n    source: tls.key.age\n  - file: DIR/plain\n    content: \"plain\\n\"\n    mode: \"0644\"\n  \
         - directory: DIR/tree\n    source: tree\n    file_mode: \"0644\"\n  \
         - file: DIR/values\n    content: \"{{ password }}{{ token }}\"\n",
    );
    project.write("roles/x/files/tree/motd", "hello\n");
    let (key, store) = key_and_store();
    project.write("tls.key", &key);
    std::fs::write(project.path("store.jks"), store).unwrap();
    let add = |path: &str, from: &str| run(&project, &["secret", "add", path, "--file", from], None);
    add("roles/x/files/tls.key.age", "tls.key").code(0).says(&["for 1 recipient of shop", "tls.key is still there"]);
    add("roles/x/files/tree/sub/store.jks.age", "store.jks").code(0);
    std::fs::remove_file(project.path("tls.key")).unwrap();
    std::fs::remove_file(project.path("store.jks")).unwrap();
    project
}

#[test]
fn a_file_can_be_encrypted_as_a_whole() {
    let project = project_with_files();
    let (key, store) = key_and_store();
    let line = key.lines().nth(3).unwrap();
    let reports = ["--report", "text", "--report", "json=out/run.json", "--report", "junit=out/junit.xml"];
    run(&project, &["secret", "check"], None).code(0).says(&["4 secrets in 1 scope, 0 findings"]);
    run(&project, &["secret", "uses"], None)
        .code(0)
        .says(&["roles/x/files/tls.key.age\n  x/file:", "/tls.key  on here"]);
    run(&project, &["plan", "-v"], None).code(1).says(&["content ***"]).hides(&[line]);
    run(&project, &[&["-vvv", "apply", "--yes"][..], &reports].concat(), None).code(0).hides(&[line]);
    assert_eq!(project.read("host/tls.key"), key);
    assert_eq!(std::fs::read(project.path("host/tree/sub/store.jks")).unwrap(), store);
    let mode = |name: &str| project.path(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("host/tls.key"), mode("host/plain")), (0o600, 0o644));
    // What the folder says of its files gives nothing to others here.
    assert_eq!((mode("host/tree/sub/store.jks"), mode("host/tree/motd")), (0o640, 0o644));
    run(&project, &["verify"], None).code(0);
    let record = project.read("memory/test/here/record");
    assert!(record.contains("/tls.key") && !record.contains(&sha256(key.as_bytes())[..12]), "{record}");
    assert!(!record.contains(&sha256(&store)[..12]), "{record}");

    // No diff, neither of what is there nor of what was.
    project.write("host/tls.key", &key.replace("PRIVATE", "SPOILT"));
    let drifted = run(&project, &[&["verify", "-v"][..], &reports].concat(), None).code(1);
    drifted.says(&["all of it depends on secrets"]).hides(&[line, "SPOILT"]);
    for report in ["out/run.json", "out/junit.xml"] {
        let text = project.read(report);
        assert!(!text.contains(line) && !text.contains("SPOILT"), "{text}");
    }

    // Without a key just these are unknown, and what is on the host stays.
    let nobody = project.path("nobody");
    let unknown = run_as(&project, &nobody, &["apply", "--yes"], None).code(3);
    unknown.says(&["no key for roles/x/files/tls.key.age", "no key for roles/x/files/tree/sub/store.jks.age"]);
    assert!(project.read("host/tls.key").contains("SPOILT"));
    run_as(&project, &nobody, &["secret", "check"], None).code(3).says(&["no key for roles/x/files/tls.key.age"]);
    run(&project, &["apply", "--yes"], None).code(0);
    assert_eq!(project.read("host/tls.key"), key);
}

#[test]
fn encrypted_files_are_added_changed_and_encrypted_anew() {
    let project = project_with_files();
    let (key, store) = key_and_store();
    let path = "roles/x/files/tls.key.age";
    let add = |arguments: &[&str], stdin: Option<&str>, code: i32| {
        run(&project, &[&["secret", "add"][..], arguments].concat(), stdin).code(code)
    };
    add(&[path], Some("another\n"), 2).says(&["exists already", "--replace"]);
    add(&["roles/y/files/a.age"], Some("a value\n"), 2).says(&["no role `y`"]);
    add(&["secrets/a.age"], Some("a value\n"), 2).says(&["roles/ROLE/files/NAME.age"]);
    add(&["roles/x/files/../../a.age"], Some("a value\n"), 2).says(&["roles/ROLE/files/NAME.age"]);
    add(&["roles/x/files/a.age"], Some("abc\n"), 2).says(&["fewer than 6 bytes"]);
    add(&["roles/x/files/a.age", "--scope", "shpo"], Some("a value\n"), 2).says(&["did you mean `shop`?"]);
    add(&["roles/x/files/a.age", "--file", "nowhere"], None, 2).says(&["cannot read nowhere"]);
    add(&["roles/x/files/a.age"], Some(&project.read(path)), 2).says(&["encrypted already"]);
    add(&["shop/bytes", "--file", "/bin/true"], None, 2).says(&["not UTF-8", "roles/ROLE/files/NAME.age"]);
    add(&["shop/word"], Some("production\n"), 0).says(&["a plain word"]);

    // A second scope: now it has to be said for whom.
    run(&project, &["secret", "init", "other"], None).code(0);
    add(&["roles/x/files/a.age"], Some("a value\n"), 2).says(&["for whom", "other, shop"]);
    add(&[path, "--scope", "other", "--replace"], Some("a value\n"), 2).says(&["belongs to the scope shop"]);
    std::fs::remove_file(project.path("secrets/other.yml")).unwrap();

    // Somebody joins.
    let bob = project.path("bob");
    let public = run_as(&project, &bob, &["secret", "key"], None).code(0).stdout;
    let text = project.read("secrets/shop.yml").replacen("recipients:\n", &format!("recipients:\n  - {public}"), 1);
    project.write("secrets/shop.yml", &text);
    let stale = "roles/x/files/tls.key.age was not encrypted for the present recipients";
    run(&project, &["secret", "check"], None).code(1).says(&[stale, "snowmelt secret rekey shop"]);
    run_as(&project, &bob, &["plan"], None)
        .says(&["no key for roles/x/files/tls.key.age", "snowmelt secret rekey shop` is due"]);
    run_as(&project, &bob, &["secret", "rekey", "shop"], None).code(2).says(&["no key for"]);
    assert_eq!(project.read("secrets/shop.yml"), text, "nothing was written");
    run(&project, &["secret", "rekey", "shop"], None).code(0).says(&["3 values and 2 files for 2 recipients"]);
    run_as(&project, &bob, &["apply", "--yes"], None).code(0);
    assert_eq!(project.read("host/tls.key"), key);
    assert_eq!(std::fs::read(project.path("host/tree/sub/store.jks")).unwrap(), store);

    let editor = "#!/bin/sh\nset -e\n[ \"$(basename \"$1\")\" = tls.key ]\nsed -i s/PRIVATE/CHANGED/ \"$1\"\n";
    project.write("editor", editor);
    std::fs::set_permissions(project.path("editor"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let edit = |path: &str| {
        let mut command = project.command(&["secret", "edit", path]);
        command.env("HOME", project.path("home")).env_remove("VISUAL").env_remove("XDG_CONFIG_HOME");
        let out = command.env("EDITOR", project.path("editor")).output().unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    assert_eq!(edit(path), (Some(0), String::new()));
    let (code, said) = edit("roles/x/files/tree/sub/store.jks.age");
    assert!(code == Some(2) && said.contains("is not text") && said.contains("--replace"), "{said}");
    run(&project, &["apply", "--yes"], None).code(0);
    assert_eq!(project.read("host/tls.key"), key.replace("PRIVATE", "CHANGED"));

    // What lies about is found: an open twin, a file of no scope, one that nobody uses, one that is not there.
    project.write("roles/x/files/tls.key", &key);
    project.write("roles/x/files/lost.age", "x");
    add(&["roles/x/files/unused.age"], Some("a value\n"), 0);
    std::fs::remove_file(project.path("roles/x/files/tree/sub/store.jks.age")).unwrap();
    run(&project, &["secret", "check"], None).code(1).says(&[
        "roles/x/files/tls.key.age lies beside it, and this is not encrypted",
        "roles/x/files/lost.age belongs to no scope",
        "roles/x/files/unused.age is used by no host",
        "roles/x/files/tree/sub/store.jks.age is not there",
    ]);
}

#[test]
fn what_is_wrong_with_an_encrypted_file_is_said_with_its_place() {
    let project = project_with_files();
    let path = "roles/x/files/tls.key.age";
    let good = project.read(path);
    let refused = |text: &[u8], parts: &[&str]| {
        std::fs::write(project.path(path), text).unwrap();
        let ran = run(&project, &["plan"], None).code(2);
        ran.says(&["error: this cannot be decrypted", &format!("--> {path}:1:1"), "it is used here"]).says(parts);
        run(&project, &["secret", "check"], None).code(1).says(parts);
    };
    // The line of the armor in the middle is missing; only the beginning is there; a byte is another one.
    let middle = good.lines().nth(12).unwrap();
    refused(good.replace(&format!("{middle}\n"), "").as_bytes(), &["cut short or damaged", "an earlier commit"]);
    refused(&good.as_bytes()[..300], &["cut short or damaged"]);
    refused(good.replace(middle, &middle.chars().rev().collect::<String>()).as_bytes(), &["cut short or damaged"]);
    refused(b"-----BEGIN PRIVATE KEY-----\n", &["it is not encrypted with age", "encrypts it anew"]);
    refused(b"", &["it is not encrypted with age"]);
    refused(passphrase().as_bytes(), &["with a passphrase, not for recipients", "encrypts it anew"]);

    // Bare, as `age` writes it: read as well; for whom it is, is not known until it is encrypted anew.
    let (key, _) = key_and_store();
    let own = run(&project, &["secret", "uses"], None).stdout;
    assert!(own.contains(path));
    let public =
        project.read("secrets/shop.yml").lines().find_map(|line| line.strip_prefix("  - ").map(str::to_owned)).unwrap();
    let recipient: age::x25519::Recipient = public.parse().unwrap();
    let bare = age::encrypt(&recipient, key.as_bytes()).unwrap();
    std::fs::write(project.path(path), &bare).unwrap();
    run(&project, &["apply", "--yes"], None).code(0);
    assert_eq!(project.read("host/tls.key"), key);
    run(&project, &["secret", "check"], None).code(1).says(&["snowmelt secret rekey shop"]);
    refused(&bare[..bare.len() - 20], &["cut short or damaged"]);
    // For somebody else.
    let other = age::x25519::Identity::generate();
    std::fs::write(project.path(path), age::encrypt(&other.to_public(), key.as_bytes()).unwrap()).unwrap();
    run(&project, &["verify"], None).code(3).says(&[
        "unknown",
        "no key for roles/x/files/tls.key.age",
        "snowmelt secret rekey shop` is due",
    ]);
    std::fs::write(project.path(path), &good).unwrap();

    // Without a scope; in two; as a template; and under both names in a folder.
    let listed = project.read("secrets/shop.yml");
    project.write("secrets/shop.yml", &listed.replace("  roles/x/files/tls.key.age", "  roles/x/files/other.age"));
    run(&project, &["plan"], None).code(2).says(&[
        "roles/x/files/tls.key.age belongs to no scope of secrets",
        "roles/x/role.yml:5:",
        "snowmelt secret add roles/x/files/tls.key.age",
    ]);
    project.write("secrets/shop.yml", &listed);
    project.write("secrets/two.yml", listed.split("secrets:").next().unwrap());
    let two = project.read("secrets/two.yml");
    project.write("secrets/two.yml", &format!("{two}files: {{{path}: }}\n"));
    run(&project, &["plan"], None).code(2).says(&[
        "belongs to a second scope",
        "secrets/two.yml:",
        "secrets/shop.yml:",
    ]);
    std::fs::remove_file(project.path("secrets/two.yml")).unwrap();
    project.write("secrets/shop.yml", &listed.replace("  roles/x/files/tls.key.age", "  files/tls.key"));
    run(&project, &["plan"], None)
        .code(2)
        .says(&["`files/tls.key` is no encrypted file of a role", "secrets/shop.yml:"]);
    project.write("secrets/shop.yml", &listed);
    let role = project.read("roles/x/role.yml");
    project.write("roles/x/templates/t.j2.age", "-----BEGIN AGE ENCRYPTED FILE-----\n");
    project.write("roles/x/role.yml", &role.replace("source: tls.key.age", "template: t.j2.age"));
    run(&project, &["plan"], None).code(2).says(&["a template is not encrypted as a whole", "roles/x/role.yml:5:"]);
    project.write("roles/x/role.yml", &role);
    project.write("roles/x/files/tree/sub/store.jks", "open");
    run(&project, &["plan"], None).code(2).says(&[
        "files/tree/sub/store.jks lies beside files/tree/sub/store.jks.age: both would be",
        "remove the one that is not encrypted",
    ]);
}

/// Something that `age -p` encrypted; made here with little work for the passphrase.
fn passphrase() -> String {
    use std::io::Write as _;
    let mut recipient = age::scrypt::Recipient::new(age::secrecy::SecretString::from("opensesame".to_owned()));
    recipient.set_work_factor(2);
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient)).unwrap();
    let armor = age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor).unwrap();
    let mut writer = encryptor.wrap_output(armor).unwrap();
    writer.write_all(b"a private key").unwrap();
    String::from_utf8(writer.finish().unwrap().finish().unwrap()).unwrap()
}

#[test]
fn only_what_holds_a_secret_is_hidden() {
    let project = project(
        "  - file: DIR/app.conf\n    content: \"{{ password }}\\n\"\n    mode: \"0640\"\n  \
         - command: log in\n    run: cat >/dev/null; exit 3\n    cwd: /usr\n    always: true\n    stdin: \"{{ token }}\"\n",
    );
    project.write("specs/x.yml", "checks:\n  - command: tell\n    run: echo told; exit 4\n    exit_status: 0\n    stdout: {not: {contains: \"{{ token }}\"}}\n");
    run(&project, &["show", "here"], None).code(0).says(&["mode: 0640", "cwd: /usr", "stdin: ***", "exit_status: 0"]);
    run(&project, &["apply", "--yes"], None).code(1);
    std::fs::set_permissions(project.path("host/app.conf"), std::fs::Permissions::from_mode(0o666)).unwrap();
    let verified = run(&project, &["verify", "-v", "--report", "json=out.json"], None).code(1);
    verified.says(&["0640", "0666"]);
    let report = project.read("out.json");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let mut shown = Vec::new();
    for resource in report["hosts"][0]["resources"].as_array().unwrap() {
        for attribute in resource["attributes"].as_array().into_iter().flatten() {
            shown.push(format!("{} {} {}", attribute["name"], attribute["want"], attribute["got"]));
        }
    }
    let shown = shown.join("\n");
    for part in [
        "\"mode\" \"0640\" \"0666\"",
        "\"content\" \"***\" \"***\"",
        "\"exit_status\" \"0\" \"4\"",
        "\"stdout\" \"***\" \"***\"",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
}

#[test]
fn what_nobody_here_can_decrypt_is_no_mistake() {
    let project = project(
        "  - user: snow-ada\n    password: \"{{ token }}\"\n  - file: DIR/conf\n    source: conf.age\n  \
         - line: port=2\n    file: DIR/conf\n    match: ^port=\n  - file: DIR/plain\n    content: \"{{ 1 }}\"\n",
    );
    run(&project, &["secret", "add", "roles/x/files/conf.age"], Some("pw=secret-of-conf\nport=1\n")).code(0);
    run(&project, &["plan"], None).code(2).says(&["this is no hash of a password"]);
    let nobody = project.path("nobody");
    let ran = run_as(&project, &nobody, &["plan"], None).code(1);
    ran.says(&["no key for shop/token", "no key for roles/x/files/conf.age", "host/plain"]);
    // With the key the line goes into the content, before it is written.
    run(&project, &["secret", "add", "shop/token", "--replace"], Some("$6$salt$0123456789abcdef")).code(0);
    let only = format!("file:{}", project.path("host/conf").display());
    let applied = run(&project, &["apply", "--yes", "-v", "--only", &only], None);
    applied.says(&["1 changed"]).hides(&["secret-of-conf"]);
    assert_eq!(project.read("host/conf"), "pw=secret-of-conf\nport=2\n");
}
