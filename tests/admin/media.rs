//! A database on a read-only medium, and one that another process has locked.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Admin, DatabaseKind, PROGRAM, fails};
use crate::home::CommandOutput;

/// Creates a database with one agent in the folder `db`.
fn filled() -> (Admin, PathBuf) {
    let admin = Admin::new(DatabaseKind::File);
    admin.agent(1, "alive", "linux.a", "online", 1);
    let folder = admin.home.path("db");
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(admin.home.path("mig.db"), folder.join("mig.db")).unwrap();
    let names = names(&folder);
    assert_eq!(names, ["mig.db"], "the log has been merged");
    (admin, folder)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// Runs a command on the database as a user to whom the permissions of files apply.
fn run_without_root_rights(admin: &Admin, arguments: &[&str]) -> CommandOutput {
    let arguments = [&["-d", "sqlite:db/mig.db"], arguments].concat();
    if !is_root() {
        return admin.run_with(&arguments);
    }
    // As root without its capabilities.
    let line = ["--inh-caps=-all", "--bounding-set=-all", PROGRAM];
    CommandOutput::of(&mut admin.home.command_of("setpriv", &[&line[..], &arguments].concat()))
}

#[test]
fn database_in_a_read_only_folder_is_read() {
    let (admin, folder) = filled();
    chmod(&folder, 0o500);
    let said = run_without_root_rights(&admin, &["agents"]);
    assert!(said.exit == 0 && said.out.ends_with("| alive\n"), "{said:?}");
    let said = run_without_root_rights(&admin, &["agents", "offline", "--fail-if-any"]);
    assert_eq!(said.exit, 0, "{said:?}");
    assert_eq!(run_without_root_rights(&admin, &["schema", "check"]).exit, 0);
    assert_eq!(names(&folder), ["mig.db"]);
    // A backup may contain an empty log, which has nothing to merge.
    chmod(&folder, 0o700);
    std::fs::write(folder.join("mig.db-wal"), "").unwrap();
    chmod(&folder, 0o500);
    let said = run_without_root_rights(&admin, &["agents"]);
    assert!(said.exit == 0 && said.out.ends_with("| alive\n"), "{said:?}");
    let said = run_without_root_rights(&admin, &["investigator", "disable", "1"]);
    fails(&said, 74, &["db/mig.db"]);
    chmod(&folder, 0o700);
}

#[test]
fn read_only_file_is_read() {
    let (admin, folder) = filled();
    chmod(&folder.join("mig.db"), 0o400);
    let said = run_without_root_rights(&admin, &["agents"]);
    assert!(said.exit == 0 && said.out.ends_with("| alive\n"), "{said:?}");
}

/// Inserts an agent whose row is only in the log, as in a copy of a database in use.
fn log_an_agent(folder: &Path, with_index: bool) {
    let work = folder.join("mig.db");
    let open = rusqlite::Connection::open(&work).unwrap();
    let copy = "insert into agents select 2, 'logged', 'linux.b', mode, version, pid, starttime, \
                destructiontime, heartbeattime, refreshtime, status, environment, tags, loadername from agents";
    open.execute_batch(copy).unwrap();
    let beside = |name: &str| (folder.join(name), folder.join(format!("copy-{name}")));
    for name in ["mig.db", "mig.db-wal", "mig.db-shm"] {
        let (from, to) = beside(name);
        std::fs::copy(from, to).unwrap();
    }
    drop(open);
    for name in ["mig.db", "mig.db-wal", "mig.db-shm"] {
        let (to, from) = beside(name);
        std::fs::rename(from, to).unwrap();
    }
    if !with_index {
        std::fs::remove_file(folder.join("mig.db-shm")).unwrap();
    }
}

#[test]
fn log_that_cannot_be_read_is_named() {
    let (admin, folder) = filled();
    log_an_agent(&folder, false);
    chmod(&folder, 0o500);
    let said = run_without_root_rights(&admin, &["agents"]);
    fails(
        &said,
        74,
        &["in a folder without write access", "db/mig.db-wal holds changes", "copy both"],
    );
    chmod(&folder, 0o700);
    let said = run_without_root_rights(&admin, &["agents"]);
    assert!(said.exit == 0 && said.out.contains("| logged\n"), "{said:?}");
}

#[test]
fn log_with_its_index_is_read_in_a_read_only_folder() {
    let (admin, folder) = filled();
    log_an_agent(&folder, true);
    chmod(&folder, 0o500);
    let said = run_without_root_rights(&admin, &["agents"]);
    assert!(said.exit == 0 && said.out.contains("| logged\n"), "{said:?}");
    chmod(&folder, 0o700);
}

#[test]
fn database_on_a_read_only_file_system_is_read_as_root() {
    if !is_root() {
        eprintln!("skipped: needs root to mount a file system");
        return;
    }
    let (admin, folder) = filled();
    let on_read_only = |arguments: &str| {
        let script = format!(
            "mount --bind db db && mount -o remount,bind,ro db && exec {PROGRAM} -d sqlite:db/mig.db {arguments}"
        );
        CommandOutput::of(&mut admin.home.command_of("unshare", &["-m", "sh", "-c", &script]))
    };
    if !Command::new("unshare").args(["-m", "true"]).status().unwrap().success() {
        eprintln!("skipped: this root user may not mount");
        return;
    }
    let said = on_read_only("agents");
    assert!(said.exit == 0 && said.out.ends_with("| alive\n"), "{said:?}");
    log_an_agent(&folder, false);
    fails(&on_read_only("agents"), 74, &["db/mig.db-wal holds changes"]);
}

#[test]
fn locked_database_is_reported() {
    let (admin, folder) = filled();
    let owner = rusqlite::Connection::open(folder.join("mig.db")).unwrap();
    owner.execute_batch("pragma locking_mode = exclusive; begin exclusive").unwrap();
    let said = run_without_root_rights(&admin, &["agents"]);
    fails(&said, 75, &["db/mig.db is locked by another process", "try again"]);
}
