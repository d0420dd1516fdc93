//! Reports about spools with files as schedulers leave them.

#![expect(clippy::disallowed_methods, reason = "tests fill a spool, and age its files")]

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::report::SpoolOwner;
use super::*;
use crate::disk::{COMMAND_PREFIX, RealFs};

/// Creates the folders of a spool of the original's scheduler.
fn scheduler_spool() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["action/new", "action/inflight", "action/done", "action/invalid"] {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    for name in ["command/inflight", "command/returned"] {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    folder
}

fn put(root: &Path, name: &str, text: &str) {
    std::fs::write(root.join(name), text).unwrap();
}

fn action(until: Timestamp) -> String {
    format!(
        r#"{{"id":28052712325240,"name":"n","validfrom":"2026-11-22T00:53:00Z","expireafter":"{until}"}}"#
    )
}

fn read(root: &Path, now: Timestamp) -> Result<SpoolReport, Failure> {
    SpoolReport::read(&Disk::new(Arc::new(RealFs), root.to_owned(), COMMAND_PREFIX), root, now)
}

#[test]
fn healthy_spool_has_no_stuck_files() {
    let spool = scheduler_spool();
    let (root, now) = (spool.path(), SystemClock.now());
    let text = action(now + SignedDuration::from_mins(1));
    put(root, "action/inflight/28052712325240.json", &text);
    let command = format!(r#"{{"id":1,"action":{text}}}"#);
    put(root, "command/inflight/28052712325240-28052718749058.json", &command);
    put(root, "command/returned/28052718747847", "{}");
    for done in ["28052712325129.json", "28052712325147.json"] {
        put(root, &format!("action/done/{done}"), "{}");
    }
    put(root, "action/invalid/1795309296123456789.json", "what was sent");
    let report = read(root, now).unwrap();
    assert_eq!((report.of, report.process), (SpoolOwner::MigScheduler, None));
    assert_eq!(report.stuck, []);
    let done = report.folders.iter().find(|listing| listing.folder == "action/done").unwrap();
    assert_eq!((done.entries, done.oldest.is_some()), (2, true));
    let folders: Vec<&str> = report.folders.iter().map(|listing| listing.folder).collect();
    assert_eq!(folders.len(), 6, "{folders:?}");
    let page = page::lines(&report);
    assert!(page.iter().all(|(_, line)| line.chars().count() <= 80 || line.contains("spool")));
}

#[test]
fn overdue_files_are_reported_with_the_reason() {
    let spool = scheduler_spool();
    let root = spool.path();
    let ended = SystemClock.now();
    let text = action(ended);
    put(root, "action/new/28052712325241.json", &action(ended + SignedDuration::from_hours(2)));
    put(root, "action/inflight/28052712325240.json", &text);
    put(root, "action/inflight/28052712325242.json", &text);
    put(root, "action/inflight/28052712325243.json", "{");
    put(root, "action/inflight/28052712325244.json", &text);
    put(root, "command/returned/28052712325244-28052718749060.json", "{}");
    put(
        root,
        "command/inflight/28052712325240-28052718749058.json",
        &format!(r#"{{"action":{text}}}"#),
    );
    put(root, "command/returned/28052718747847", "{}");
    put(root, "command/returned/28052718747848.fail", "{");
    put(root, "command/returned/notes.txt", "");
    // Six minutes after the last file was written, however long the writing took.
    let later = SystemClock.now() + SignedDuration::from_mins(6);
    let report = read(root, later).unwrap();
    let reported: Vec<(&str, &str, &str)> = report
        .stuck
        .iter()
        .map(|stuck| (stuck.folder, stuck.name.as_str(), stuck.why.as_str()))
        .collect();
    let has = |at: usize, folder: &str, name: &str, why: &str| {
        let (one, other, text) = reported[at];
        assert!(one == folder && other == name && text.contains(why), "{reported:#?}");
    };
    has(0, "action/new", "28052712325241.json", "waiting to be sent for 6m");
    has(1, "action/inflight", "28052712325240.json", "1 of its commands are unfinished");
    has(2, "action/inflight", "28052712325242.json", "the spool has no commands of it");
    let command = report.stuck[2].command.as_deref();
    assert!(command.is_some_and(|line| line.ends_with(" commands 28052712325242")), "{command:?}");
    assert!(page::lines(&report).iter().any(|(_, line)| command == Some(line.trim_start())));
    assert_eq!(report.stuck.iter().filter(|stuck| stuck.command.is_some()).count(), 1);
    has(3, "action/inflight", "28052712325243.json", "it cannot be read: EOF");
    let why = "1 of its commands are not stored in the database";
    has(4, "action/inflight", "28052712325244.json", why);
    has(5, "command/inflight", "28052712325240-28052718749058.json", "has not given it up");
    has(
        6,
        "command/returned",
        "28052712325244-28052718749060.json",
        "not stored in the database for",
    );
    has(7, "command/returned", "28052718747847", "not stored in the database for 6m");
    has(8, "command/returned", "28052718747848.fail", "could not read it");
    has(9, "command/returned", "notes.txt", "unknown file name");
    assert_eq!(reported.len(), 10, "{reported:#?}");
    assert!(reported.iter().all(|file| !file.2.contains("commands are done")), "{reported:#?}");
    assert_eq!(read(root, ended).unwrap().stuck.len(), 3, "damaged files are reported at once");
}

/// On an original platform, the number of an action shows when the API was started, which may be
/// weeks ago.
#[test]
fn age_is_that_of_the_file_not_of_its_number() {
    let spool = scheduler_spool();
    let root = spool.path();
    // The later number belongs to the older file.
    for (name, minutes) in [("28052712325129.json", 3), ("28052712325236.json", 7)] {
        let path = root.join("action/done").join(name);
        std::fs::write(&path, "{}").unwrap();
        let written = std::time::SystemTime::now() - std::time::Duration::from_secs(minutes * 60);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    }
    put(root, "command/returned/notes.txt", "");
    let report = read(root, SystemClock.now()).unwrap();
    let listing = |folder: &str| report.folders.iter().find(|one| one.folder == folder).unwrap();
    let done = listing("action/done");
    assert_eq!(done.oldest.as_deref(), Some("28052712325236.json"));
    assert!((420..500).contains(&done.age_s.unwrap()), "{done:?}");
    let returned = listing("command/returned");
    assert_eq!(returned.oldest.as_deref(), Some("notes.txt"), "unknown files have an age too");
}

/// An unreadable file is reported, and does not hide other files.
#[test]
fn unreadable_file_does_not_hide_others() {
    use std::os::unix::ffi::OsStrExt;
    let spool = scheduler_spool();
    let root = spool.path();
    put(root, "action/inflight/1.json", "{");
    // A sparse file larger than any action.
    let large = std::fs::File::create(root.join("action/inflight/2.json")).unwrap();
    large.set_len(1 << 40).unwrap();
    put(root, "action/inflight/3.json", "\u{0}");
    let name = std::ffi::OsStr::from_bytes(b"4\xff.json");
    std::fs::write(root.join("action/inflight").join(name), "{}").unwrap();
    put(root, "action/inflight/5.json", "{}");
    let report = read(root, SystemClock.now()).unwrap();
    let reported: Vec<(&str, &str)> =
        report.stuck.iter().map(|stuck| (stuck.name.as_str(), stuck.why.as_str())).collect();
    assert_eq!(reported.len(), 5, "{reported:#?}");
    let unreadable =
        reported.iter().filter(|file| file.1.starts_with("it cannot be read: ")).count();
    assert_eq!(unreadable, 4, "{reported:#?}");
    assert!(reported.contains(&("4\u{fffd}.json", "unknown file name: remove the file")));
}

#[test]
fn other_folders_are_distinguished_from_a_schedulers_spool() {
    let spool = scheduler_spool();
    let now = SystemClock.now();
    put(spool.path(), ".lock", "mig-standalone 1\n");
    assert_eq!(read(spool.path(), now).unwrap().of, SpoolOwner::MigStandalone);
    put(spool.path(), ".lock", "mig-runner 1\n");
    let error = read(spool.path(), now).unwrap_err().to_string();
    assert!(error.contains("is a runner's spool: `mig-runner -c FILE status`"), "{error}");
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("spool")).unwrap();
    put(home.path(), "spool/.lock", "mig-runner 1\n");
    let error = read(home.path(), now).unwrap_err();
    assert!(error.to_string().contains("runner"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = read(empty.path(), now).unwrap_err();
    assert_eq!(error.exit(), Exit::NoInput, "{error}");
    let error = read(&empty.path().join("none"), now).unwrap_err().to_string();
    assert!(error.contains("it does not exist"), "{error}");
}

#[test]
fn unreadable_folder_and_lock_do_not_hide_the_rest() {
    let spool = scheduler_spool();
    let (root, now) = (spool.path(), SystemClock.now());
    put(root, "action/inflight/28052712325240.json", &action(now - SignedDuration::from_mins(9)));
    put(root, "action/inflight/notes.txt", "");
    // A loop of links cannot be followed by any user, and a folder is not read as a lock file.
    std::fs::remove_dir(root.join("command/inflight")).unwrap();
    std::os::unix::fs::symlink("inflight", root.join("command/inflight")).unwrap();
    std::fs::create_dir(root.join(".lock")).unwrap();
    let report = read(root, now).unwrap();
    assert_eq!((report.of, report.first_fault), (SpoolOwner::Unknown, Some(Exit::Io)));
    assert_eq!(report.unreadable.len(), 2, "{:?}", report.unreadable);
    assert!(report.folders.iter().all(|listing| listing.folder != "command/inflight"));
    let whys: Vec<&str> = report.stuck.iter().map(|stuck| stuck.why.as_str()).collect();
    assert_eq!(whys.len(), 2, "{whys:?}");
    assert!(whys[0].ends_with("its commands are unknown, because a folder cannot be listed"));
    let page = page::lines(&report);
    assert!(page.iter().any(|(_, line)| line == "Unreadable"));
    assert!(page.iter().any(|(_, line)| line.starts_with("Spool of an unknown program")));
}
