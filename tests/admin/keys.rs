//! Hostile files of keys, and a `gpg` that hangs.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};

use super::investigators::key;
use super::{Admin, DatabaseKind, fails, on_each_database};
use crate::bomb::bomb;
use crate::home::CommandOutput;

on_each_database!(key_that_contains_the_key_of_another_investigator_is_rejected);

/// Time limit for an expected event.
const PATIENCE: Duration = Duration::from_secs(60);

/// Adds the key `victim` to the key `attacker` as a subkey, and writes the result to a file.
fn add_subkey(admin: &Admin, attacker: &str, victim: &str, file: &str) {
    let list = ["--with-colons", "--with-keygrip", "-K", victim];
    let listed = String::from_utf8(admin.home.gpg(&list).stdout).unwrap();
    let field = |kind: &str, number: usize| {
        let line = listed.lines().find(|line| line.starts_with(kind)).unwrap();
        line.split(':').nth(number).unwrap().to_owned()
    };
    let created = jiff::Timestamp::from_second(field("sec:", 5).parse().unwrap()).unwrap();
    // The time of creation is part of a fingerprint.
    let time = format!("{}!", created.strftime("%Y%m%dT%H%M%S"));
    let mut gpg = Command::new("gpg");
    gpg.args(["--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""]);
    gpg.arg("--homedir").arg(admin.home.path("g")).args(["--command-fd", "0", "--expert"]);
    gpg.args(["--faked-system-time", &time, "--edit-key", attacker]);
    // 13: an existing key, by its keygrip; s: not for signing; 0: does not expire.
    let typed = format!("addkey\n13\n{}\ns\nq\n0\nsave\n", field("grp:", 9));
    admin.home.write("typed", &typed);
    let typed = fs::File::open(admin.home.path("typed")).unwrap();
    assert!(gpg.stdin(typed).output().unwrap().status.success());
    let exported = admin.home.gpg(&["--armor", "--export", attacker]).stdout;
    admin.home.write(file, &String::from_utf8(exported).unwrap());
}

fn key_that_contains_the_key_of_another_investigator_is_rejected(kind: DatabaseKind) {
    let admin = Admin::new(kind);
    let mallory = key(&admin, "mallory.asc", "rsa2048", "never");
    let alice = key(&admin, "alice.asc", "rsa2048", "never");
    add_subkey(&admin, &mallory, &alice, "both.asc");
    admin.output(&["investigator", "add", "Alice", "--key", "alice.asc"]);
    let expected = format!(
        "a part of the key {mallory} has the id of a part of the key of investigator Alice (1): use a key without this part"
    );
    for given in [["--key", "both.asc"], ["--fingerprint", &mallory]] {
        let add = [&["investigator", "add", "Mallory"][..], &given].concat();
        let mut command = admin.command(&[&["-c", "a.cfg"][..], &add].concat());
        let said = CommandOutput::of(command.env("GNUPGHOME", admin.home.path("g")));
        fails(&said, 65, &[&expected]);
    }
    // Nor the other way round.
    admin.sql(&format!("update investigators set pgpfingerprint = '{mallory}', name = 'Mallory'"));
    let both: String = admin.home.read("both.asc").bytes().map(|b| format!("{b:02x}")).collect();
    let bytes =
        if kind == DatabaseKind::Server { format!("'\\x{both}'") } else { format!("x'{both}'") };
    admin.sql(&format!("update investigators set publickey = {bytes}"));
    let said = admin.run(&["investigator", "add", "Alice", "--key", "alice.asc"]);
    fails(&said, 65, &["investigator Mallory (1)"]);
}

#[test]
fn bytes_that_are_no_key_do_not_reach_gnupg() {
    let admin = Admin::new(DatabaseKind::File);
    let bytes = bomb();
    fs::write(admin.home.path("bomb"), &bytes).unwrap();
    let base64 = STANDARD.encode(&bytes);
    for kind in ["PUBLIC KEY BLOCK", "MESSAGE", "SIGNATURE"] {
        let lines: Vec<&str> =
            base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let text = format!(
            "-----BEGIN PGP {kind}-----\n\n{}\n-----END PGP {kind}-----\n",
            lines.join("\n")
        );
        admin.home.write(kind, &text);
    }
    key(&admin, "bob.asc", "rsa2048", "never");
    // A gpgconf that records that it was called.
    admin.home.write("bin/gpgconf", "#!/bin/sh\ntouch called\nexec /usr/bin/gpgconf \"$@\"\n");
    admin.home.chmod("bin/gpgconf", 0o700);
    let path = format!("{}:/usr/bin:/bin", admin.home.path("bin").display());
    for file in ["bomb", "PUBLIC KEY BLOCK", "MESSAGE", "SIGNATURE"] {
        let add = ["-c", "a.cfg", "investigator", "add", "Eve", "--key", file];
        let said = CommandOutput::of(admin.command(&add).env("PATH", &path));
        fails(&said, 65, &["cannot use the key"]);
        assert!(!admin.home.path("called").exists(), "{file}");
    }
    // A real key does reach GnuPG.
    let add = ["-c", "a.cfg", "investigator", "add", "Bob", "--key", "bob.asc"];
    let said = CommandOutput::of(admin.command(&add).env("PATH", &path));
    assert_eq!(said.exit, 0, "{}", said.err);
    assert!(admin.home.path("called").exists());
}

#[test]
fn hanging_gpg_and_its_children_end_with_the_command() {
    let admin = Admin::new(DatabaseKind::File);
    key(&admin, "bob.asc", "rsa2048", "never");
    let bin = admin.home.path("bin");
    let gpg = bin.join("gpg").display().to_string();
    // GnuPG's library asks gpgconf for the path of gpg.
    let gpgconf = format!("#!/bin/sh\n/usr/bin/gpgconf \"$@\" | sed 's,:/usr/bin/gpg$,:{gpg},'\n");
    admin.home.write("bin/gpgconf", &gpgconf);
    let hang = "case \"$*\" in *--version*) exec /usr/bin/gpg \"$@\";; esac\n\
                sleep 1000 & echo $$ $! > started.new; mv started.new started; wait\n";
    admin.home.write("bin/gpg", &format!("#!/bin/sh\n{hang}"));
    for name in ["bin/gpg", "bin/gpgconf"] {
        admin.home.chmod(name, 0o700);
    }
    // A command that is killed leaves its folder, which contains only a public key.
    fs::create_dir(admin.home.path("t")).unwrap();
    admin.home.chmod("t", 0o700);
    for signal in [Signal::TERM, Signal::KILL] {
        let add = ["-c", "a.cfg", "investigator", "add", "Bob", "--key", "bob.asc"];
        let mut command = admin.command(&add);
        command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        let mut child = command.env("TMPDIR", admin.home.path("t")).spawn().unwrap();
        let started = || fs::read_to_string(admin.home.path("started")).ok();
        let pids = wait_for(started);
        fs::remove_file(admin.home.path("started")).unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap();
        for pid in pids.split_whitespace() {
            let stat = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            wait_for(|| (stat().is_empty() || stat().contains(") Z ")).then_some(()));
        }
    }
}

/// Waits until `found` returns a value.
fn wait_for<T>(found: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}
