//! Folders, file systems and file types that will not have a file: what is refused is left as it was and its cause is named, and
//! nothing is ever written elsewhere. Everything happens below one folder, in a mount namespace of its own.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::{Project, Ran};
use snowmelt::base::span::{Source, Span};
use snowmelt::base::value::Value;
use snowmelt::kinds;
use snowmelt::resource::{Address, Due, Observed, Resource, Severity, State, Want, Work};

/// Whether this test can be made here. Says loudly if not; fails if nothing may be skipped.
fn is_root(test: &str) -> bool {
    let can = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !can {
        assert!(std::env::var_os("SNOWMELT_NO_SKIP").is_none(), "{test}: needs root and may not be skipped");
        eprintln!("SKIPPED {test}: it needs root, for mounts and owners");
    }
    can
}

/// A project whose role declares one file, `place/x` with the content `new`, and what else is given.
fn project(more: &str) -> Project {
    let project = Project::local("");
    let place = project.path("place");
    fs::create_dir(&place).unwrap();
    let role = format!("resources:\n  - file: {}/x\n    content: new\n{more}", place.display());
    project.write("roles/x/role.yml", &role);
    project
}

/// `apply`, after `before` in the same private mount namespace, in which `place` is the folder of the file; `after` then tells
/// what is there.
fn apply_in_namespace(project: &Project, before: &str, after: &str) -> (Ran, String) {
    let script = format!(
        "mount --make-rprivate / && cd place && {before}\ncd ..\n{} apply --yes >out 2>err; echo $? >code; cd place; {after}",
        env!("CARGO_BIN_EXE_snowmelt")
    );
    let Output { stdout, stderr, .. } =
        Command::new("unshare").args(["-m", "sh", "-c", &script]).current_dir(project.path("")).output().unwrap();
    let code = project.read("code").trim().parse().unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr)));
    let ran = Ran { code, stdout: project.read("out"), stderr: project.read("err") };
    (ran, String::from_utf8_lossy(&stdout).trim().to_owned())
}

#[test]
fn a_file_system_that_cannot_hold_it_keeps_the_old_one() {
    if !is_root("a_file_system_that_cannot_hold_it_keeps_the_old_one") {
        return;
    }
    let tmpfs = |options: &str| format!("mount -t tmpfs -o {options} none . && cd $PWD && printf old >x");
    let cases = [
        // The disk is full to the last block.
        (format!("{} && head -c 1M /dev/zero >filler 2>/dev/null; true", tmpfs("size=64k")), "No space left on device"),
        // There is room, but no inode for the new file.
        (
            format!("{} && n=0 && while touch n$n 2>/dev/null; do n=$((n + 1)); done", tmpfs("nr_inodes=20")),
            "No space left on device",
        ),
        (format!("{} && mount -o remount,ro .", tmpfs("size=1m")), "Read-only file system"),
    ];
    for (before, cause) in cases {
        let project = project("");
        let (ran, left) = apply_in_namespace(&project, &before, "cat x; ls -A | grep -c snowmelt");
        ran.code(1).says(&[cause, "place/x was not changed"]);
        assert_eq!(left, "old0", "{before}");
    }
}

#[test]
fn an_immutable_file_is_left_alone() {
    if !is_root("an_immutable_file_is_left_alone") {
        return;
    }
    let project = project("");
    let x = project.path("place/x");
    fs::write(&x, "old").unwrap();
    if !Command::new("chattr").arg("+i").arg(&x).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED an_immutable_file_is_left_alone: the file system has no immutable files");
        return;
    }
    let ran = project.run(&["apply", "--yes"]);
    assert!(Command::new("chattr").arg("-i").arg(&x).status().unwrap().success());
    ran.code(1).says(&["Operation not permitted", "place/x was not changed"]);
    assert_eq!(fs::read_to_string(&x).unwrap(), "old");
    assert_eq!(fs::read_dir(project.path("place")).unwrap().count(), 1);
}

#[test]
fn what_is_no_plain_file_is_refused_and_named() {
    if !is_root("what_is_no_plain_file_is_refused_and_named") {
        return;
    }
    for (before, after, was, cause) in [
        ("printf old >../elsewhere && ln -s ../elsewhere x", "cat ../elsewhere", "old", "is a symbolic link"),
        ("ln -s ../nowhere x", "readlink x; cat ../nowhere 2>&1 | wc -l", "../nowhere\n1", "is a symbolic link"),
        ("mkdir x && printf old >x/y", "cat x/y", "old", "is a folder, not a file"),
        ("mkfifo x", "stat -c %F x", "fifo", "is not a regular file"),
        (
            "printf old >x && printf bound >../bound && mount --bind ../bound x",
            "cat x; umount x; cat x",
            "boundold",
            "mount point",
        ),
    ] {
        let project = project("");
        let (ran, is) = apply_in_namespace(&project, before, after);
        // It is known what is there, so it is tried, and the step says why it cannot be.
        ran.code(1).says(&[cause]);
        assert_eq!(is, was, "{before}");
        let left: Vec<String> = fs::read_dir(project.path("place"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(left, ["x"], "{before}");
    }
}

#[test]
fn another_name_of_the_file_keeps_the_old_content() {
    let project = project("");
    fs::write(project.path("other"), "old").unwrap();
    fs::hard_link(project.path("other"), project.path("place/x")).unwrap();
    project.run(&["apply", "--yes"]).code(0);
    assert_eq!((project.read("place/x"), project.read("other")), ("new".into(), "old".into()));
}

#[test]
fn a_folder_of_somebody_else_is_written_to_but_never_through() {
    if !is_root("a_folder_of_somebody_else_is_written_to_but_never_through") {
        return;
    }
    let project = project("    mode: \"0600\"\n");
    let place = project.path("place");
    std::os::unix::fs::chown(&place, Some(65534), Some(65534)).unwrap();
    // What lies there is not followed, and not trusted.
    project.write("canary", "secret");
    fs::set_permissions(project.path("canary"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink(project.path("canary"), place.join("x")).unwrap();
    project.run(&["apply", "--yes"]).code(1).says(&["is a symbolic link"]);
    assert_eq!(project.read("canary"), "secret");
    fs::remove_file(place.join("x")).unwrap();
    project.run(&["apply", "--yes"]).code(0);
    let made = fs::symlink_metadata(place.join("x")).unwrap();
    assert_eq!((made.uid(), made.mode() & 0o7777), (0, 0o600));
    assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    assert_eq!(fs::metadata(project.path("canary")).unwrap().mode() & 0o7777, 0o640);
}

/// Shell that gives the file `x` everything a file can have beyond owner and mode, and shell that tells what it has.
const GIVE: &str =
    "printf old >x && chmod 750 x && setfacl -m u:1234:r x && setfattr -n user.who -v me x && setcap cap_net_raw=ep x";
const HAS: &str =
    "getfacl -npcE x | tr '\\n' ' '; getfattr --only-values -n user.who x; echo; getcap x; cat x; ls -A | wc -l";

/// Whether the tools for access lists and attributes are there, said as in [`is_root`].
fn has_tools(test: &str) -> bool {
    let missing = ["getfacl", "setfacl", "getfattr", "setfattr", "getcap", "setcap"]
        .into_iter()
        .find(|tool| !Command::new("sh").args(["-c", "command -v $0 >/dev/null", tool]).status().unwrap().success());
    let Some(missing) = missing else { return is_root(test) };
    assert!(std::env::var_os("SNOWMELT_NO_SKIP").is_none(), "{test}: needs {missing} and may not be skipped");
    eprintln!("SKIPPED {test}: {missing} is missing (install acl, attr and libcap2-bin)");
    false
}

/// Shell after which these tools are not there, and shell that brings them back.
fn without(tools: &str) -> [String; 2] {
    ["mount --bind /dev/null", "umount"].map(|does| format!("for tool in {tools}; do {does} /usr/*bin/$tool; done"))
}

#[test]
fn access_lists_capabilities_and_attributes_outlast_a_new_content() {
    if !has_tools("access_lists_capabilities_and_attributes_outlast_a_new_content") {
        return;
    }
    let acl = |mode: &str| {
        let [user, group, other] = [&mode[..3], &mode[3..6], &mode[6..]];
        format!("user::{user} user:1234:r-- group::r-x mask::{group} other::{other}  ")
    };
    for (more, mode) in [("", "rwxr-x---"), ("    mode: \"0640\"\n", "rw-r-----")] {
        let project = project(more);
        let (ran, has) = apply_in_namespace(&project, GIVE, HAS);
        ran.code(0);
        assert_eq!(has, format!("{}me\nx cap_net_raw=ep\nnew1", acl(mode)));
    }
    // Where only the tools of the base system are there, an access list is still seen and kept; with those for capabilities, these
    // and what comes with them.
    for (tools, all) in
        [("getfattr setfattr getfacl setfacl", true), ("getfattr setfattr getfacl setfacl getcap setcap", false)]
    {
        let bare = project("");
        let [before, after] = without(tools);
        let (ran, has) = apply_in_namespace(&bare, &format!("{GIVE} && {before}"), &format!("{after}; {HAS}"));
        ran.code(0);
        assert!(has.starts_with(&acl("rwxr-x---")) && has.ends_with("new1"), "{has}");
        assert_eq!(has.contains("me\nx cap_net_raw=ep\n"), all, "{has}");
    }
}

#[test]
fn what_a_former_owner_granted_does_not_outlast_him() {
    if !has_tools("what_a_former_owner_granted_does_not_outlast_him") {
        return;
    }
    let give = format!("{GIVE} && chown 65534 x && chown 65534 . && setfacl -m u:1234:rw x");
    // His folder, his file: it stays his, with what he granted.
    let kept = project("");
    let (ran, has) = apply_in_namespace(&kept, &give, HAS);
    ran.code(0);
    assert!(has.contains("user:1234:rw- ") && has.ends_with("new1"), "{has}");
    // It becomes root's.
    let taken = project("    owner: root\n    mode: \"0660\"\n");
    let (ran, has) = apply_in_namespace(&taken, &give, HAS);
    ran.code(0);
    assert!(!has.contains("1234") && !has.contains("me\n") && has.ends_with("new1"), "{has}");
    // And what a folder gives to new files lets nobody in before the mode is set: nor after, if the mode does not.
    let fresh = project("    mode: \"0600\"\n    validate: \"getfacl -npcE %s >../seen\"\n");
    let (ran, has) = apply_in_namespace(&fresh, "setfacl -d -m u:1234:rw .", "getfacl -npcE x");
    ran.code(0);
    assert!(has.contains("mask::---") && fresh.read("seen").contains("mask::---"), "{has}");
}

/// How often we write while somebody swaps what we write to.
const RACES: usize = 200;

#[test]
fn whoever_swaps_names_in_a_loop_has_nothing_written_elsewhere() {
    if !is_root("whoever_swaps_names_in_a_loop_has_nothing_written_elsewhere") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(at("secret/conf")).unwrap();
    fs::write(at("secret/canary"), "canary").unwrap();
    fs::write(at("secret/x"), "canary").unwrap();
    for name in ["secret/canary", "secret/x"] {
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::create_dir_all(at("theirs/conf")).unwrap();
    for name in ["theirs", "theirs/conf"] {
        std::os::unix::fs::chown(at(name), Some(65534), Some(65534)).unwrap();
    }
    let before = state(&at("secret"));

    // The name of the file and that of its folder point to the secret, and back, as fast as it goes.
    let done = Arc::new(AtomicBool::new(false));
    let swaps = Arc::new(AtomicUsize::new(0));
    let (theirs, secret) = (at("theirs"), at("secret"));
    let (is_done, counted) = (Arc::clone(&done), Arc::clone(&swaps));
    let swapper = std::thread::spawn(move || {
        while !is_done.load(Ordering::Relaxed) {
            // Now to a file, now to a folder.
            let goal = if counted.load(Ordering::Relaxed) % 2 == 0 { secret.join("x") } else { secret.clone() };
            let _ = symlink(goal, theirs.join("link"));
            let _ = fs::rename(theirs.join("link"), theirs.join("conf/x"));
            let _ = fs::rename(theirs.join("conf"), theirs.join("away"));
            let _ = symlink(&secret, theirs.join("conf"));
            let _ = fs::remove_file(theirs.join("conf"));
            let _ = fs::rename(theirs.join("away"), theirs.join("conf"));
            let _ = fs::remove_file(theirs.join("conf/x"));
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });

    let prelude = format!("{}\n", include_str!("../src/act/prelude.sh"));
    fs::write(at("prelude.sh"), prelude).unwrap();
    fs::write(at("blob"), "ours").unwrap();
    let conf = at("theirs/conf");
    let (conf, root) = (conf.display(), folder.path().display());
    let mut ends = [0_usize; 2];
    // Many writes in one shell: a process each would leave the swapper little to hit.
    let script = format!(
        ". {root}/prelude.sh; d=/nonexistent TOUCHED= CHANGED=' ' kept={root}/kept.$$; look_at / {root} {root}/theirs {conf}\n\
         does() {{ if (set -eu; \"$@\") >/dev/null 2>&1; then echo 0; else echo 1; fi; }}\n\
         n=0; while [ $n -lt {} ]; do n=$((n + 1)); RUN=r$$.$n\n\
         does put {root}/blob {conf} x '' '' 0644 0644 ''; does adjust {conf} x 1 1 0666\n\
         [ $((n % 4)) = 0 ] || continue\n\
         does take_away {conf}/x\n\
         rm -rf $kept*; mkdir $kept; printf %s {conf}/x >$kept/0.path; cp {root}/blob $kept/0.old; does put_back $kept\n\
         rm -rf $kept*; mkdir $kept; printf %s {conf}/x >$kept/0.path; does put_back $kept\ndone",
        RACES / 2
    );
    let shells = ["dash", "bash"]
        .map(|shell| Command::new(shell).args(["-c", &script]).stdout(std::process::Stdio::piped()).spawn().unwrap());
    for shell in shells {
        let out = shell.wait_with_output().unwrap();
        for line in String::from_utf8_lossy(&out.stdout).lines() {
            ends[usize::from(line != "0")] += 1;
        }
    }
    done.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    assert_eq!(state(&at("secret")), before, "nothing was written where a name was pointed to");
    assert_eq!(ends.iter().sum::<usize>(), RACES * 2 + RACES / 4 * 3);
    assert!(ends[0] > 0 && ends[1] > 0 && swaps.load(Ordering::Relaxed) > RACES, "the race was one: {ends:?}");
}

/// Runs every way in which a path is changed, once for each of its commands, with a name swapped just before that: the folder for
/// a link to a secret one, the file for a link to a secret file or folder. Prints `HIT` where that changed anything secret.
const SWAPS: &str = r#"
T=$ROOT/ticks K=0 ACTION=
tick() {
	[ "$K" != 0 ] || return 0
	read -r ticks <"$T"
	ticks=$((ticks + 1))
	echo $ticks >"$T"
	[ $ticks != "$K" ] || (
		K=0
		command cd "$ROOT/theirs" || exit 1
		case $ACTION in
		folder-*) command mv conf away && command ln -s "$ROOT/secret/${ACTION#folder-}" conf ;;
		name-*) command rm -rf conf/x && command ln -s "$ROOT/secret/${ACTION#name-}" conf/x ;;
		esac
	)
}
for tool in rm mv cat ln chmod chown stat mkdir rmdir readlink cp touch id ls sync cd; do
	eval "$tool() { tick; command $tool \"\$@\"; }"
done

secrets() { command find $ROOT/secret -printf '%p %C@ %M %U %G\n'; }

# prepared WHAT: the folder of somebody else, with WHAT at x.
prepared() {
	command rm -rf $ROOT/theirs $ROOT/kept*
	command mkdir -p $ROOT/theirs/conf $ROOT/kept
	printf %s "$conf/x" >$ROOT/kept/0.path
	case $1 in
	file) echo old >$conf/x ;;
	folder) command mkdir $conf/x && echo old >$conf/x/in ;;
	link) command ln -s somewhere $conf/x ;;
	esac
	command chown -R 65534 $ROOT/theirs
}

# swapped WHAT COMMAND...: runs it for each of its commands and each swap.
swapped() {
	what=$1
	shift
	for ACTION in folder-a folder-b name-a/x name-b; do
		K=0
		while :; do
			prepared "$what"
			before=$(secrets)
			K=$((K + 1)) ATTRIBUTES=
			echo 0 >"$T"
			(set -eu; look_above "$conf"; "$@") >/dev/null 2>&1
			read -r ticks <"$T"
			[ "$before" = "$(secrets)" ] || echo "HIT $* at $K: $ACTION"
			[ "$ticks" -ge "$K" ] || break
			echo ran
		done
		K=0
	done
}

put_back_old() { echo older >$ROOT/kept/0.old; put_back $ROOT/kept; }
put_special() { ATTRIBUTES=1; put "$@"; }

mkdir -p $ROOT/secret/a $ROOT/secret/b/x
for name in a/x a/canary b/x/in b/canary; do echo secret >$ROOT/secret/$name; done
conf=$ROOT/theirs/conf d=/nonexistent TOUCHED= CHANGED=' ' RUN=run
swapped nothing put $ROOT/blob $conf x '' '' 0644 0644 ''
swapped nothing put_back_old
swapped file put $ROOT/blob $conf x 0 0 '' 0600 ''
swapped file put_special $ROOT/blob $conf x '' '' 0644 0644 ''
swapped file put_back $ROOT/kept
swapped file adjust $conf x 1 1 0666
for step in file/remove folder/unmake nothing/make nothing/link file/link link/unlink; do
	swapped ${step%/*} . $ROOT/${step#*/}
done
"#;

#[test]
fn a_name_swapped_between_any_two_commands_leads_nowhere_else() {
    if !is_root("a_name_swapped_between_any_two_commands_leads_nowhere_else") {
        return;
    }
    let shells = ["dash", "bash"].map(|shell| {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("blob", "ours");
        write("script", &format!("{}\n{SWAPS}", include_str!("../src/act/prelude.sh")));
        let x = folder.path().join("theirs/conf/x");
        for (name, kind, state, values) in [
            ("make", "directory", State::Present, vec![]),
            ("unmake", "directory", State::Absent, vec![("recurse", Value::from(true))]),
            ("link", "link", State::Present, vec![("to", "elsewhere".into()), ("force", true.into())]),
            ("unlink", "link", State::Absent, vec![("force", true.into())]),
            ("remove", "file", State::Absent, vec![]),
        ] {
            write(name, &shell_of(kind, x.to_str().unwrap(), state, values));
        }
        let mut command = Command::new(shell);
        command.arg(folder.path().join("script")).env("ROOT", folder.path());
        (command.stdout(std::process::Stdio::piped()).spawn().unwrap(), folder)
    });
    for (shell, _folder) in shells {
        let said = String::from_utf8(shell.wait_with_output().unwrap().stdout).unwrap();
        let hits: Vec<&str> = said.lines().filter(|line| line.starts_with("HIT")).collect();
        assert_eq!(hits, [""; 0]);
        assert!(said.matches("ran").count() > 500, "{} runs", said.matches("ran").count());
    }
}

/// The shell by which a kind brings this about.
fn shell_of(kind: &str, path: &str, state: State, values: Vec<(&'static str, Value)>) -> String {
    let resource = Resource {
        kind: kinds::find(kind).unwrap(),
        address: Address::new("r", kind, path),
        head: path.to_owned(),
        id: None,
        is_check: false,
        state,
        wants: values.into_iter().map(|(name, value)| (name, Want::Exactly(value))).collect(),
        watches: Vec::new(),
        keeps: Vec::new(),
        tags: Vec::new(),
        severity: Severity::Medium,
        sensitive: false,
        secrets: indexmap::IndexMap::new(),
        within: None,
        span: Span::start_of(&Source::new("role.yml", "x")),
        blocked: None,
    };
    let observed = if state == State::Present { Observed::absent() } else { Observed::present([]) };
    let due = Due { resource: &resource, observed: &observed, differs: &["state"] };
    match resource.kind.steps(&[due]).remove(0).work {
        Work::Shell(shell) => shell,
        other => panic!("{other:?}"),
    }
}

/// Everything in a folder, with contents, owners and modes.
fn state(folder: &Path) -> Vec<(String, String, u32, u32, u32)> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            let content = fs::read_to_string(entry.path()).unwrap_or_default();
            (entry.file_name().to_string_lossy().into_owned(), content, metadata.mode(), metadata.uid(), metadata.gid())
        })
        .collect();
    all.sort();
    all
}
