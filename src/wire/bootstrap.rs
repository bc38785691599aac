//! The fixed programs that receive a script or a payload, and start it only when all of it has arrived.
//!
//! A shell that reads its program from a pipe executes what came before a cut, and its read-ahead swallows or executes what
//! follows. So the program is an argument (under 1 KiB, one line), and standard input is data.

use crate::base::digest::Digest;

use super::nonce::Nonce;

/// Ends a script for [`observe`]: the last line says that it is whole. It has no line end, so that with its last byte missing
/// the script is not whole.
pub fn script_with_end(script: &str, end: &Nonce) -> Vec<u8> {
    format!("{script}\n#{end}").into_bytes()
}

/// Reads a script that ends with the mark `end` and runs it. Exits 75 when the script was cut.
///
/// `end` stands in the process list of the host; it must not be the nonce of the frames.
pub fn observe(end: &Nonce) -> String {
    format!(
        "s=$(cat); case $s in *\"#{end}\") eval \"$s\" ;; \
         *) echo \"snowmelt: the script did not arrive whole\" >&2; exit 75 ;; esac"
    )
}

/// Receives a tar archive of `length` bytes with this digest into a private folder in memory, unpacks it and runs its
/// `start.sh` with the folder as the argument. Exits 74 without a folder or its space, 75 when the archive was cut.
pub fn act(payload: &[u8]) -> String {
    let (length, digest) = (payload.len(), Digest::of(payload));
    // /run is tmpfs and root's; a user has XDG_RUNTIME_DIR; /dev/shm is tmpfs for everybody; /tmp is the last resort.
    format!(
        "umask 077; d=; for b in /run \"$XDG_RUNTIME_DIR\" /dev/shm /tmp; do [ -n \"$b\" ] && [ -d \"$b\" ] && [ -w \"$b\" ] || continue; \
         d=$(mktemp -d \"$b/snowmelt-act.XXXXXX\" 2>/dev/null) && break; done; \
         [ -n \"$d\" ] || {{ echo \"snowmelt: no folder to work in\" >&2; exit 74; }}; \
         cat >\"$d/p\" || {{ rm -rf \"$d\"; echo \"snowmelt: no space for the steps in $b\" >&2; exit 74; }}; \
         set -- $(wc -c <\"$d/p\") $(sha256sum <\"$d/p\"); \
         [ \"$1\" = {length} ] && [ \"$2\" = {digest} ] || {{ rm -rf \"$d\"; echo \"snowmelt: the steps did not arrive whole\" >&2; exit 75; }}; \
         tar -xf \"$d/p\" -C \"$d\" || {{ rm -rf \"$d\"; echo \"snowmelt: cannot unpack the steps in $b\" >&2; exit 74; }}; \
         rm -f \"$d/p\"; exec sh \"$d/start.sh\" \"$d\""
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn feed(shell: &[&str], program: &str, input: &[u8]) -> (String, Option<i32>) {
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .arg("-c")
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The program may end before it has read everything.
        let _ = stdin.write_all(input);
        drop(stdin);
        let out = child.wait_with_output().unwrap();
        (String::from_utf8_lossy(&out.stdout).into_owned(), out.status.code())
    }

    const SHELLS: &[&[&str]] = &[&["dash"], &["bash", "--posix"]];

    #[test]
    fn both_are_one_short_line() {
        let end = Nonce::random().unwrap();
        for program in [observe(&end), act(b"x")] {
            assert!(program.len() < 1024 && !program.contains('\n') && !program.contains('!'), "{}", program.len());
            assert!(!program.contains('\''), "it is quoted with single quotes by the transport");
        }
    }

    #[test]
    fn a_cut_script_does_nothing_at_every_offset() {
        let end = Nonce::fixed("e0e0e0");
        let whole = script_with_end("echo one\necho two\nexit 3", &end);
        for shell in SHELLS {
            for cut in 0..whole.len() {
                let (out, code) = feed(shell, &observe(&end), &whole[..cut]);
                assert_eq!((out.as_str(), code), ("", Some(75)), "{shell:?} cut at {cut}");
            }
            assert_eq!(feed(shell, &observe(&end), &whole), ("one\ntwo\n".to_owned(), Some(3)), "{shell:?}");
        }
    }

    #[test]
    fn a_cut_payload_does_nothing() {
        let mut tar = tar::Builder::new(Vec::new());
        let script = b"echo ran; rm -rf \"$1\"\n";
        let mut header = tar::Header::new_gnu();
        header.set_size(script.len() as u64);
        header.set_mode(0o600);
        header.set_cksum();
        tar.append_data(&mut header, "start.sh", &script[..]).unwrap();
        let payload = tar.into_inner().unwrap();
        for shell in SHELLS {
            for cut in (0..payload.len()).step_by(97) {
                let (out, code) = feed(shell, &act(&payload), &payload[..cut]);
                assert_eq!((out.as_str(), code), ("", Some(75)), "{shell:?} cut at {cut}");
            }
            assert_eq!(feed(shell, &act(&payload), &payload), ("ran\n".to_owned(), Some(0)), "{shell:?}");
        }
    }
}
