//! Secrets on a real host, over SSH and with sudo: they reach the files they are meant for, and no other place, here or there.
//! What is so is asked of the host through Docker, and judged by looking for the bytes.

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use common::{Project, Ran};
use hosts::{Host, Hosts};

/// Holds what quoting, escaping and templates like to change.
const PASSWORD: &str = "it's \"$HOME\" & 100% <Ünsafe>";
const TOKEN: &str = "tok-5f3a9c1e7b-Zq";
/// Of `correct horse`, as `openssl passwd -6` makes it.
const HASH: &str =
    "$6$2Tn8VqYc9dKe$rB5cXlYwm0Zk3v9Qe7uJx1Hf6sNpLtGaWiOoDyVbKzMqRjEhUgCnAxPd4T2S8FfIlYvBmZkXwJtHqRsGp1NuL.";

const ROLE: &str = "params: {password: {type: secret}, token: {type: secret}, hash: {type: secret}}\n\
resources:\n\
- file: /etc/shop/app.conf\n  template: app.conf.j2\n  parents: true\n\
- file: /etc/shop/tls.key\n  source: tls.key.age\n  group: www-data\n  mode: \"0640\"\n\
- directory: /etc/shop/keys\n  source: keys\n\
- file: /etc/shop/plain\n  content: \"plain\\n\"\n\
- user: ada\n  password: \"{{ hash }}\"\n  shell: /bin/bash\n  comment: Ada\n\
- command: log in\n  run: cat >/etc/shop/seen; sleep 0.2\n  creates: /etc/shop/seen\n  stdin: \"{{ token }}\"\n";

/// Tells everything it knows, in every form a shell has a tool for.
const INDISCREET: &str = "- command: tell\n  always: true\n  stdin: \"{{ password }} and {{ token }}\"\n  run: |\n    \
    cat >&2; cd /etc/shop\n    for f in app.conf tls.key keys/store; do cat $f; base64 $f; base64 -w0 $f; od -An -v -tx1 $f | tr -d ' \\n'; echo; done\n    \
    getent shadow ada; exit 1\n";

fn pem() -> String {
    let noise: Vec<u8> = (0..1200_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let text = STANDARD.encode(noise);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

fn store() -> Vec<u8> {
    (0..900_u32).map(|n| (n.wrapping_mul(2_246_822_519) >> 11) as u8).collect()
}

/// The forms in which something of the secrets could show. A long one counts line by line.
fn forms() -> Vec<String> {
    let pem = pem();
    let mut all: Vec<Vec<u8>> = [PASSWORD, TOKEN, HASH].iter().map(|text| text.as_bytes().to_vec()).collect();
    all.extend(pem.lines().filter(|line| line.len() == 64).map(|line| line.as_bytes().to_vec()));
    all.extend(store().chunks(57).map(<[u8]>::to_vec));
    let mut forms = Vec::new();
    for bytes in all {
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let json = serde_json::Value::from(text).to_string();
            let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
            forms.extend([text.to_owned(), json[1..json.len() - 1].to_owned(), percent, text.replace('\'', r"'\''")]);
            forms.push(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
        }
        let decimal = format!("{bytes:?}");
        forms.extend([hex::encode(&bytes), decimal[1..decimal.len() - 1].to_owned()]);
        for offset in 0..3 {
            let shifted = [vec![0; offset], bytes.clone()].concat();
            for encoded in [STANDARD.encode(&shifted), URL_SAFE.encode(&shifted)] {
                forms.push(encoded[4..encoded.len() - 4].to_owned());
            }
        }
    }
    forms.sort();
    forms.dedup();
    forms.retain(|form| form.len() >= 6);
    forms
}

/// A project of these hosts and everything that the program says about it.
struct Story {
    project: Project,
    forms: Vec<String>,
    finder: AhoCorasick,
}

impl Story {
    fn new(hosts: &Hosts) -> Self {
        let vars = "    vars: {shop: {password: {secret: shop/password}, token: {secret: shop/token}, hash: {secret: shop/hash}}}\n";
        let inventory = hosts.inventory("deploy", &["shop"]).replacen("    roles:", &format!("{vars}    roles:"), 1);
        let project = Project::new().file("inventory.yml", &inventory).file("roles/shop/role.yml", ROLE).file(
            "roles/shop/templates/app.conf.j2",
            "port = 80\npassword = {{ password }}\nbasic = {{ (\"x:\" ~ token) | b64encode }}\nworkers = 4\n",
        );
        let forms = forms();
        let finder = AhoCorasick::new(&forms).unwrap();
        let story = Self { project, forms, finder };
        story.run(&["secret", "key"], "").code(0);
        story.run(&["secret", "init", "shop"], "").code(0);
        for (name, value) in [("shop/password", PASSWORD), ("shop/token", TOKEN), ("shop/hash", HASH)] {
            story.run(&["secret", "add", name], value).code(0);
        }
        story.run(&["secret", "add", "roles/shop/files/tls.key.age"], &pem()).code(0);
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("store");
        std::fs::write(&path, store()).unwrap();
        let path = path.to_str().unwrap();
        story.run(&["secret", "add", "roles/shop/files/keys/store.age", "--file", path], "").code(0);
        story
    }

    /// Runs the program; nothing that it says may hold a secret.
    #[track_caller]
    fn run(&self, arguments: &[&str], stdin: &str) -> Ran {
        self.run_as("home", &[], arguments, stdin)
    }

    #[track_caller]
    fn run_as(&self, home: &str, env: &[(&str, &str)], arguments: &[&str], stdin: &str) -> Ran {
        let mut command = self.project.command(arguments);
        command.env("HOME", self.project.path(home)).env_remove("XDG_CONFIG_HOME").env_remove("SNOWMELT_IDENTITY");
        command.envs(env.iter().copied());
        // A file and not a pipe: nobody has to read while this writes.
        let file = self.project.path("stdin");
        std::fs::write(&file, stdin).unwrap();
        let file = std::fs::File::open(&file).unwrap();
        let out = command.stdin(if stdin.is_empty() { Stdio::null() } else { file.into() }).output().unwrap();
        std::fs::remove_file(self.project.path("stdin")).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
        let ran = Ran { code: out.status.code().unwrap_or(-1), stdout: text(&out.stdout), stderr: text(&out.stderr) };
        self.assert_clean(&arguments.join(" "), &format!("{}\n{}", ran.stdout, ran.stderr));
        ran
    }

    #[track_caller]
    fn assert_clean(&self, what: &str, text: &str) {
        if let Some(found) = self.finder.find(text) {
            let (at, end) = (found.start(), found.end());
            let start = (0..=at.saturating_sub(200)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            panic!("{what}: `{}` in\n{}", &text[at..end], &text[start..end]);
        }
    }

    #[track_caller]
    fn assert_folder_clean(&self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => self.assert_folder_clean(&path),
                false => self.assert_clean(
                    &path.display().to_string(),
                    &String::from_utf8_lossy(&std::fs::read(&path).unwrap()),
                ),
            }
        }
    }
}

/// Writes down the arguments and the environment of every process there is, again and again, until it is told to stop.
const WATCH: &str = r#"$| = 1; my %seen; while (!-e "/run/stop-watching") { for my $p (glob "/proc/[0-9]*") { for my $f ("cmdline", "environ") { open(my $h, "<", "$p/$f") or next; local $/; my $t = <$h>; next unless defined $t; $t =~ tr/\0/\n/; print "$t\n" unless $seen{$t}++; } } select(undef, undef, undef, 0.0005); }"#;

struct Watcher<'a>(&'a Host);

impl<'a> Watcher<'a> {
    fn start(host: &'a Host) -> Self {
        let run = "exec perl /root/watch.pl >/root/watched";
        host.spoil(&format!("cat >/root/watch.pl <<'END'\n{WATCH}\nEND"));
        let started = Command::new("docker").args(["exec", "-d", &host.container, "sh", "-c", run]).status().unwrap();
        assert!(started.success());
        Self(host)
    }

    /// What it saw.
    fn stop(self) -> String {
        // It sees what others do: something short among it.
        self.0.ask(
            "for n in 1 2 3 4 5; do SEEN=in-the-environment sleep 0.05 && sh -c ': in-the-arguments; sleep 0.05'; done",
        );
        self.0.spoil("touch /run/stop-watching; sleep 0.2");
        let seen = self.0.ask("cat /root/watched");
        assert!(
            seen.contains("SEEN=in-the-environment") && seen.contains(": in-the-arguments"),
            "the watcher is blind"
        );
        self.0.spoil("rm /root/watched /root/watch.pl");
        seen
    }
}

#[test]
fn no_byte_of_a_secret_is_anywhere_but_in_its_file() {
    let Some(hosts) = Hosts::up(1) else { return };
    let (host, story) = (&hosts[0], Story::new(&hosts));
    let project = &story.project;
    let watcher = Watcher::start(host);
    let reports = ["--report", "text=out/run.txt", "--report", "json=out/run.json", "--report", "junit=out/junit.xml"];
    let with_reports = |arguments: &[&'static str]| [arguments, &reports].concat();

    // Nothing is known yet; then all of it arrives; then nothing is to be done.
    story.run(&with_reports(&["plan", "-v"]), "").code(1).says(&[
        "shell /bin/bash",
        "password ***",
        "mode 0640",
        "content ***",
    ]);
    story.run_as("home", &[("SNOWMELT_LOG", "trace")], &with_reports(&["apply", "--yes", "-v"]), "").code(0);
    story.run(&with_reports(&["-vvv", "apply", "--yes"]), "").code(0);
    story.run(&["plan"], "").code(0);
    story.run(&with_reports(&["verify"]), "").code(0);
    story.run(&["show", "h1"], "").code(0).says(&["shell: /bin/bash", "password: ***", "mode: 0640"]);
    let content =
        format!("port = 80\npassword = {PASSWORD}\nbasic = {}\nworkers = 4\n", STANDARD.encode(format!("x:{TOKEN}")));
    assert_eq!(host.exec("cat /etc/shop/app.conf").stdout, content);
    assert_eq!(host.exec("cat /etc/shop/tls.key").stdout, pem());
    assert_eq!(host.ask("base64 -w0 /etc/shop/keys/store"), STANDARD.encode(store()));
    assert_eq!(host.ask("cat /etc/shop/seen; getent shadow ada | cut -d: -f2"), format!("{TOKEN}{HASH}"));
    assert_eq!(
        host.ask("stat -c '%a %U %G' /etc/shop/app.conf /etc/shop/tls.key /etc/shop/keys/store /etc/shop/plain"),
        "600 root root\n640 root www-data\n600 root root\n644 root root"
    );

    // A host that tells all it has.
    project.write("roles/shop/role.yml", &format!("{ROLE}{INDISCREET}"));
    let told = story.run_as("home", &[("SNOWMELT_LOG", "trace")], &with_reports(&["apply", "--yes", "-v"]), "").code(1);
    told.says(&["port = 80", "***"]);
    let tell = "cat /etc/shop/app.conf; od -An -tx1 -v -w4096 /etc/shop/seen | tr -d ' '";
    let answers = story.run(&["run", "--", "sudo", "sh", "-c", tell], "").code(0);
    assert!(answers.stdout.contains("port = 80"), "{answers:?}");
    project.write("roles/shop/role.yml", ROLE);

    // Drift: what is secret is masked, what is beside it is shown.
    host.spoil("sed -i s/workers.*/workers=9/ /etc/shop/app.conf; chmod 666 /etc/shop/tls.key; echo x >>/etc/shop/tls.key; usermod -s /bin/sh -p '$6$other$hash' ada");
    let drifted = story.run(&with_reports(&["-vvv", "verify", "-v"]), "").code(1);
    drifted.says(&["-workers=9", "+workers = 4", "0666", "/bin/sh", "***", "all of it depends on secrets"]);
    let report = project.read("out/run.json");
    assert!(!report.contains("$6$other"), "an old hash is as secret: {report}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let user = report["hosts"][0]["resources"].as_array().unwrap().iter().find(|one| one["address"] == "shop/user:ada");
    let told: Vec<String> = user.unwrap()["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["verdict"] != "in_sync")
        .map(|one| format!("{} {} {}", one["name"], one["want"], one["got"]))
        .collect();
    for part in ["\"shell\" \"/bin/bash\" \"/bin/sh\"", "\"password\" \"***\" \"***\""] {
        assert!(told.iter().any(|one| one == part), "{part}: {told:?}");
    }

    // Mistakes beside a secret.
    let template = project.read("roles/shop/templates/app.conf.j2");
    for wrong in [
        "{{ password.nope }}",
        "{{ (password ~ token) | int }}",
        "{{ token | nope }}",
        "{{ password + 1 }}",
        "{% if password %}{{ [token] | sum }}",
    ] {
        project.write("roles/shop/templates/app.conf.j2", &format!("{template}{wrong}\n"));
        let ran = story.run_as("home", &[("SNOWMELT_LOG", "trace")], &["plan", "-v"], "");
        assert!(ran.code == 2 && ran.stderr.contains("app.conf.j2:5"), "{wrong}: {ran:?}");
    }
    project.write("roles/shop/templates/app.conf.j2", &template);
    // What nobody can decrypt is left alone, the rest runs.
    host.spoil("rm /etc/shop/plain");
    story.run_as("nobody", &[], &with_reports(&["apply", "--yes"]), "").code(3).says(&["no key for shop/password"]);
    assert_eq!(host.ask("cat /etc/shop/plain; tail -n 1 /etc/shop/tls.key"), "plain\nx");
    story.run(&with_reports(&["apply", "--yes"]), "").code(0);

    story.assert_clean("arguments and environments", &watcher.stop());
    story.assert_folder_clean(&project.path("out"));
    story.assert_folder_clean(&project.path("roles"));
    story.assert_folder_clean(&project.path("secrets"));
    story.assert_clean("the log of the host", &host.ask("journalctl --sync; journalctl --no-pager -a"));

    // On the disk of the host: the files, and nothing else.
    let intended = ["/etc/shadow", "/etc/shop/app.conf", "/etc/shop/seen", "/etc/shop/tls.key"];
    let patterns = story.forms.join("\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("patterns");
    std::fs::write(&file, format!("{patterns}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let copied = Command::new("docker")
        .args(["cp", "-q", file.to_str().unwrap(), &format!("{}:/patterns", host.container)])
        .status();
    assert!(copied.unwrap().success());
    let found =
        host.exec("grep -rlaF -f /patterns /etc /var /run /root /home /tmp /dev/shm /opt /srv /usr/local").stdout;
    // What usermod kept of the old accounts may be as old as the hash, or older.
    let mut found: Vec<&str> = found.lines().filter(|path| *path != "/etc/shadow-").collect();
    found.sort_unstable();
    assert_eq!(found, intended);
    let record = host.ask("cat $(find /var/lib/snowmelt -name record)");
    assert!(
        record.contains("shop/user:ada") && record.contains("password=~") && record.contains("content=~"),
        "{record}"
    );
    for secret in [content.as_bytes(), pem().as_bytes(), &store(), HASH.as_bytes(), TOKEN.as_bytes()] {
        let digest = snowmelt::base::digest::Digest::of(secret).to_string();
        assert!(!record.contains(&digest[..12]), "{record}");
    }
}
