//! Databases, spools, keyrings and configurations that other users can change.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use super::{PROGRAM, fails};
use crate::home::{CommandOutput, Home, writable_above};

/// The user and group id of the unprivileged user `nobody`.
const NOBODY: u32 = 65534;

fn run(home: &Home, arguments: &[&str]) -> CommandOutput {
    CommandOutput::of(&mut home.command_of(PROGRAM, arguments))
}

#[test]
fn database_in_a_folder_in_which_others_can_create_its_journal_is_refused() {
    let home = Home::new();
    std::fs::create_dir(home.path("d")).unwrap();
    assert_eq!(run(&home, &["-d", "sqlite:d/mig.db", "schema", "init"]).exit, 0);
    let folder = home.path("d").canonicalize().unwrap();
    for (mode, reason) in [
        (0o1777, format!("{} is shared by all users", folder.display())),
        (0o777, writable_above(&folder)),
    ] {
        home.chmod("d", mode);
        fails(&run(&home, &["-d", "sqlite:d/mig.db", "agents"]), 77, &[&reason]);
        fails(&run(&home, &["-d", "sqlite:d/new.db", "schema", "init"]), 77, &[&reason]);
        assert!(!home.path("d/new.db").exists());
    }
    home.chmod("d", 0o700);
    assert_eq!(run(&home, &["-d", "sqlite:d/mig.db", "agents"]).exit, 0);
}

#[test]
fn spool_and_keyring_that_others_can_change_are_refused() {
    let home = Home::new();
    for name in ["spool/action/new", "spool/action/inflight", "spool/command/inflight", "g"] {
        std::fs::create_dir_all(home.path(name)).unwrap();
    }
    for name in ["spool/action", "spool/command", "spool", "g"] {
        home.chmod(name, 0o700);
    }
    assert_eq!(run(&home, &["spool", "spool"]).exit, 0);
    for name in ["spool", "spool/action/new"] {
        home.chmod(name, 0o777);
        let path = home.path(name).canonicalize().unwrap();
        let remedy = format!("run `chmod go-w {}`", path.display());
        fails(&run(&home, &["spool", "spool"]), 77, &[&remedy]);
        home.chmod(name, 0o700);
    }
    assert_eq!(run(&home, &["-d", "sqlite:mig.db", "schema", "init"]).exit, 0);
    home.write("g/gpg.conf", "");
    home.chmod("g/gpg.conf", 0o666);
    let key = "0123456789ABCDEF0123456789ABCDEF01234567";
    let add = ["-d", "sqlite:mig.db", "investigator", "add", "--fingerprint", key, "Ann"];
    let mut command = home.command_of(PROGRAM, &add);
    let said = CommandOutput::of(command.env("GNUPGHOME", home.path("g")));
    fails(&said, 77, &["chmod go-w", "gpg.conf"]);
}

#[test]
fn configuration_that_others_can_write_is_refused() {
    let home = Home::new();
    home.write("a.cfg", "[directories]\ndata = .\nspool = .\n");
    home.chmod("a.cfg", 0o666);
    for command in [&["schema", "init"][..], &["agents"], &["spool"]] {
        let said = run(&home, &[&["-c", "a.cfg"], command].concat());
        fails(&said, 77, &["chmod go-w", "a.cfg"]);
    }
    assert!(!home.path("mig.db").exists());
}

#[test]
fn private_configuration_of_root_names_the_database_of_a_user_as_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    std::fs::create_dir(home.path("d")).unwrap();
    let text = format!("[directories]\ndata = {}\n", home.path("d").display());
    home.write("root/a.cfg", &text);
    chown(home.path("d"), Some(NOBODY), Some(NOBODY)).unwrap();
    home.chmod("", 0o755);
    home.chmod("root", 0o700);
    // The command reads and checks it before it becomes the user, who may not enter root's folder.
    let said = run(&home, &["-c", "root/a.cfg", "schema", "init"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!(home.path("d/mig.db").metadata().unwrap().uid(), NOBODY);
    // Root's configuration and that of the owner count, but not that of a third user.
    home.write("a.cfg", &text);
    let config = |owner| chown(home.path("a.cfg"), Some(owner), Some(owner)).unwrap();
    config(NOBODY);
    assert_eq!(run(&home, &["-c", "a.cfg", "agents"]).exit, 0);
    config(NOBODY - 1);
    let said = run(&home, &["-c", "a.cfg", "agents"]);
    fails(&said, 77, &["a.cfg belongs to user 65533", "only user 65534 and root may own it"]);
}

#[test]
fn folder_of_another_user_is_not_used_for_temporary_files_as_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new();
    let key = home.key();
    let key = home.gpg(&["--armor", "--export", &key]).stdout;
    home.write("key.asc", &String::from_utf8(key).unwrap());
    std::fs::create_dir(home.path("t")).unwrap();
    chown(home.path("t"), Some(NOBODY), Some(NOBODY)).unwrap();
    assert_eq!(run(&home, &["-d", "sqlite:mig.db", "schema", "init"]).exit, 0);
    let add = ["-d", "sqlite:mig.db", "investigator", "add", "--key", "key.asc", "Ann"];
    let mut command = home.command_of(PROGRAM, &add);
    let said = CommandOutput::of(command.env("TMPDIR", home.path("t")));
    assert!(said.exit != 0 && said.err.contains("t belongs to user 65534"), "{said:?}");
    assert!(Path::new(&home.path("t")).read_dir().unwrap().next().is_none());
}
