//! Scans of job folders that are created, changed and broken as operators do.

#![expect(clippy::disallowed_methods, reason = "tests change job folders as operators do")]

mod links;
mod shared;
mod watched;

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::time::Duration;

use super::*;
use crate::clock::after;
use crate::disk::counting::CountingFs;
use crate::disk::{COMMAND_PREFIX, RealFs};

const CONFIG: &str = "[configuration]\nschedule = \"0 * * * *\"\n";
const ACTION: &str = r#"{"name":"n","target":"t","operations":[]}"#;
/// Longer than the quiet span.
const LATER_SPAN: Duration = Duration::from_secs(60);

struct Rig {
    folder: tempfile::TempDir,
    jobs: Jobs,
    calls: Arc<CountingFs>,
}

impl Rig {
    fn new() -> Rig {
        Rig::of_user(rustix::process::geteuid().as_raw())
    }

    fn of_user(user: u32) -> Rig {
        let folder = crate::testing::private_folder();
        let calls = Arc::new(CountingFs::default());
        let disk = Disk::new(calls.clone(), folder.path().join("unused"), COMMAND_PREFIX);
        let jobs = Jobs::new(disk, folder.path().to_owned(), user, TimeZone::UTC);
        Rig { folder, jobs, calls }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn make(&self, job: &str) {
        fs::create_dir(self.path(job)).unwrap();
        self.chmod(job, 0o700);
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(path), text).unwrap();
        self.chmod(path, 0o600);
    }

    fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), Permissions::from_mode(mode)).unwrap();
    }

    fn job(&self, job: &str, config: impl AsRef<[u8]>, action: impl AsRef<[u8]>) {
        self.make(job);
        self.write(&format!("{job}/entity.cfg"), config);
        self.write(&format!("{job}/action.json"), action);
    }

    /// Returns the time of the last change of a job's folder or files.
    fn touched(&self, job: &str) -> Timestamp {
        let path = self.path(job);
        let files = [path.join("entity.cfg"), path.join("action.json"), path];
        let disk = Disk::new(Arc::new(RealFs), self.path("unused"), COMMAND_PREFIX);
        let changed = |path: &PathBuf| Some(disk.find(path).ok()??.stamp.changed);
        files.iter().filter_map(changed).max().unwrap()
    }

    fn later(&self) -> Timestamp {
        let (names, _) = self.jobs.loader.list().unwrap();
        let touched = names.iter().map(|name| self.touched(name.to_str().unwrap()));
        after(touched.max().unwrap_or(Timestamp::UNIX_EPOCH), LATER_SPAN)
    }

    /// Scans all folders, long after the last change, and returns the changes.
    fn scan(&mut self) -> Vec<String> {
        let now = self.later();
        let changes = self.jobs.scan(now).unwrap();
        self.show(&changes)
    }

    fn show(&self, changes: &[Change]) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        let shown = changes.iter().flat_map(|change| match change {
            Change::Added(job) => vec![format!("added {}", job.name)],
            Change::Changed { new, .. } => vec![format!("changed {}", new.name)],
            Change::Removed(job) => vec![format!("removed {}", job.name)],
            Change::Broken { rejection, .. } => rejection.lines(),
            Change::Skipped(path) => vec![format!("skipped {}", path.display())],
        });
        shown.map(|line| line.replace(&folder, "")).collect()
    }
}

#[test]
fn folders_are_jobs_but_dot_files_are_not() {
    let mut rig = Rig::new();
    rig.job("b", CONFIG, ACTION);
    rig.job("a", CONFIG, ACTION);
    rig.job(".a.swp", "nonsense", ACTION);
    assert_eq!(rig.scan(), ["added a", "added b"]);
    assert_eq!(rig.scan(), [""; 0]);
    let job = rig.jobs.get(&"a".parse().unwrap()).unwrap();
    assert_eq!((&*job.action, job.config.expiry.as_secs()), (ACTION, 300));
    assert_eq!(rig.jobs.iter().count(), 2);
}

#[test]
fn change_of_either_file_is_found() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.scan();
    rig.write("a/entity.cfg", CONFIG.replace('0', "5"));
    assert_eq!(rig.scan(), ["changed a"]);
    rig.write("a/action.json", ACTION.replace("\"t\"", "\"u\""));
    assert_eq!(rig.scan(), ["changed a"]);
    fs::create_dir_all(rig.path("a/results/20261122")).unwrap();
    assert_eq!(rig.scan(), [""; 0]);
    fs::rename(rig.path("a"), rig.path("b")).unwrap();
    assert_eq!(rig.scan(), ["removed a", "added b"]);
    fs::remove_dir_all(rig.path("b")).unwrap();
    assert_eq!(rig.scan(), ["removed b"]);
}

#[test]
fn folder_that_replaces_another_is_found() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.scan();
    fs::rename(rig.path("a"), rig.path(".old")).unwrap();
    rig.job("a", CONFIG, ACTION.replace("\"t\"", "\"u\""));
    assert_eq!(rig.scan(), ["changed a"]);
}

#[test]
fn all_faults_of_a_job_are_reported() {
    let mut rig = Rig::new();
    let config = "[configuration]\nschedule = \"0 25 * * *\"\ntimezone = Mars/Phobos\nexpiry = 5\nplugins = x\n";
    rig.job("a", config, "{");
    let lines = rig.scan();
    for (line, begin) in lines.iter().zip([
        "a/entity.cfg:2: hour: \"25\" is invalid",
        "a/entity.cfg:3: unknown time zone \"Mars/Phobos\"",
        "a/entity.cfg:4: expiry = \"5\": write a duration",
        "a/entity.cfg:5: unknown key plugins",
        "a/action.json cannot be read as an action",
    ]) {
        assert!(line.starts_with(begin), "{begin:?}: {lines:#?}");
    }
    assert_eq!(lines.len(), 5, "{lines:#?}");
}

#[test]
fn unchanged_job_costs_two_calls_and_no_read() {
    let mut rig = Rig::new();
    for number in 0..50 {
        rig.job(&format!("job{number}"), CONFIG, ACTION);
    }
    rig.scan();
    let now = rig.later();
    rig.calls.reset();
    assert!(rig.jobs.scan(now).unwrap().is_empty());
    assert_eq!((rig.calls.metas(), rig.calls.reads()), (100, 0));
}

#[test]
fn folder_copied_in_piece_by_piece_is_enabled_when_complete() {
    let mut rig = Rig::new();
    rig.make("a");
    rig.write("a/action.json", &ACTION[..20]);
    let touched = rig.touched("a");
    assert!(rig.jobs.scan(touched).unwrap().is_empty());
    assert_eq!(rig.jobs.next_recheck(), Some(after(touched, super::super::change::QUIET_SPAN)));
    rig.write("a/action.json", ACTION);
    let touched = rig.touched("a");
    assert!(rig.jobs.scan(touched).unwrap().is_empty());
    rig.write("a/entity.cfg", CONFIG);
    let touched = rig.touched("a");
    let changes = rig.jobs.scan_path(&rig.path("a/entity.cfg"), &NoWatches, touched).unwrap();
    assert_eq!(rig.show(&changes), ["added a"]);
    assert_eq!(rig.jobs.next_recheck(), None);
}

#[test]
fn incomplete_job_is_reported_once_and_never_read() {
    let mut rig = Rig::new();
    rig.make("a");
    rig.write("a/action.json", "nonsense");
    let touched = rig.touched("a");
    assert!(rig.jobs.scan(touched).unwrap().is_empty());
    let next_recheck = rig.jobs.next_recheck().unwrap();
    let missing = "a/entity.cfg is missing, the job is incomplete: add it, or remove the folder";
    let changes = rig.jobs.recheck_invalid(&NoWatches, next_recheck);
    assert_eq!(rig.show(&changes), [missing]);
    assert_eq!((rig.scan(), rig.jobs.next_recheck()), (Vec::new(), None));
    assert_eq!((rig.calls.reads(), rig.jobs.rejections().count()), (0, 1));
}

#[test]
fn only_the_folder_of_an_event_is_inspected() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.job("b", CONFIG, ACTION);
    let now = rig.later();
    let mut changed = |path: &str| {
        let changes = rig.jobs.scan_path(&rig.folder.path().join(path), &NoWatches, now).unwrap();
        rig.show(&changes)
    };
    assert_eq!(changed(".a"), [""; 0]);
    assert_eq!(changed("../elsewhere"), [""; 0]);
    assert_eq!(changed("none"), [""; 0]);
    assert_eq!(changed("b"), ["added b"]);
    assert_eq!(changed(""), ["added a"]);
}

#[test]
fn invalid_job_is_reported_once_and_affects_no_other() {
    let mut rig = Rig::new();
    rig.job("a", "[configuration]\nshedule = x\n", "{");
    rig.job("b", CONFIG, ACTION);
    assert_eq!(
        rig.scan(),
        [
            "a/entity.cfg:1: schedule is missing: write schedule = \"0 * * * *\" in [configuration]",
            "a/entity.cfg:2: unknown key shedule in [configuration] (did you mean schedule?)",
            "a/action.json cannot be read as an action: line 1, column 2: unexpected end of JSON input",
            "added b"
        ]
    );
    let reads = rig.calls.reads();
    assert_eq!((rig.scan(), rig.calls.reads()), (Vec::new(), reads));
    rig.write("a/entity.cfg", CONFIG);
    rig.write("a/action.json", ACTION);
    assert_eq!(rig.scan(), ["added a"]);
}

#[test]
fn writable_folder_or_file_is_reported_with_the_remedy() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.chmod("a", 0o707);
    let expected = "a can be written by others: run `chmod go-w ";
    assert_eq!(rig.scan(), [format!("{expected}a`")]);
    rig.chmod("a", 0o755);
    assert_eq!(rig.scan(), ["added a"]);
    rig.chmod("a/action.json", 0o666);
    let expected = "a/action.json can be written by others: run `chmod go-w a/action.json`";
    assert_eq!(rig.scan(), [expected]);
    rig.chmod("a/action.json", 0o444);
    assert_eq!(rig.scan(), ["added a"]);
}

#[test]
fn private_group_of_the_owner_may_write() {
    let name = |option| std::process::Command::new("id").arg(option).output().unwrap().stdout;
    if name("-un") != name("-gn") {
        return crate::testing::skip("this user has no private group");
    }
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    // As under umask 0002.
    rig.chmod("a", 0o775);
    rig.chmod("a/entity.cfg", 0o664);
    rig.chmod("a/action.json", 0o664);
    assert_eq!(rig.scan(), ["added a"]);
}

#[test]
fn no_other_group_may_write_as_root() {
    if !crate::testing::is_root("only root can give a file to any group") {
        return;
    }
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.chmod("a", 0o770);
    chown(rig.path("a"), None, Some(65534)).unwrap();
    assert_eq!(rig.scan(), ["a can be written by others: run `chmod go-w a`"]);
}

#[test]
fn files_of_other_users_are_refused() {
    let me = rustix::process::geteuid().as_raw();
    // Root may give files away; without root, this user is another user than the runner's.
    let (user, owner) = if me == 0 { (0, 12_345) } else { (me + 1, me) };
    let mut rig = Rig::of_user(user);
    rig.job("a", CONFIG, ACTION);
    if me == 0 {
        chown(rig.path("a"), Some(owner), None).unwrap();
    }
    let expected = format!("a belongs to user {owner}: run `chown {user} a`");
    assert_eq!(rig.scan(), [expected]);
}

#[test]
fn links_to_nothing_folders_and_bad_names_are_refused() {
    let mut rig = Rig::new();
    rig.job(".a", CONFIG, ACTION);
    symlink(rig.path(".b"), rig.path("dangling")).unwrap();
    symlink(rig.path(".a/entity.cfg"), rig.path("link")).unwrap();
    rig.write("readme", "text");
    rig.make("linked");
    symlink(rig.path(".a"), rig.path("linked/entity.cfg")).unwrap();
    rig.make("linked/action.json");
    rig.job("invalid\u{1b}name", CONFIG, ACTION);
    assert_eq!(
        rig.scan(),
        [
            "invalid\\u{1b}name cannot be a job: rename it: a job name may not contain a slash or a control character".to_owned(),
            "skipped link".to_owned(),
            "linked/entity.cfg is not a regular file: replace it with the job's file".to_owned(),
            "linked/action.json is not a regular file: replace it with the job's file".to_owned(),
            "skipped readme".to_owned(),
        ]
    );
    // The target of a link may still be on its way.
    let changes = rig.jobs.scan(after(rig.later(), LATER_SPAN)).unwrap();
    assert_eq!(
        rig.show(&changes),
        ["cannot resolve dangling: the link points to .b, which does not exist"]
    );
    assert_eq!(rig.scan(), [""; 0]);
}

#[test]
fn name_that_is_not_utf8_is_refused() {
    let mut rig = Rig::new();
    let name = OsStr::from_bytes(b"a\xff");
    fs::create_dir(rig.folder.path().join(name)).unwrap();
    fs::set_permissions(rig.folder.path().join(name), Permissions::from_mode(0o700)).unwrap();
    let now = after(rig.touched("."), LATER_SPAN);
    let changes = rig.jobs.scan(now).unwrap();
    let expected = "a\u{fffd} cannot be a job, its name is not UTF-8: rename it";
    assert_eq!(rig.show(&changes), [expected]);
}

#[test]
fn file_that_is_too_large_is_not_read() {
    let mut rig = Rig::new();
    rig.job("a", format!("{CONFIG}{}", ";".repeat(64 * 1024)), ACTION);
    assert_eq!(rig.scan(), ["cannot read a/entity.cfg: over 65536 bytes"]);
    assert_eq!(rig.scan(), [""; 0]);
}

#[test]
fn jobs_stay_while_their_folder_is_missing() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.scan();
    let now = rig.later();
    let away = tempfile::tempdir().unwrap();
    fs::rename(rig.folder.path(), away.path().join("x")).unwrap();
    assert!(rig.jobs.scan(now).is_err());
    assert_eq!(rig.jobs.iter().count(), 1);
    fs::rename(away.path().join("x"), rig.folder.path()).unwrap();
    assert_eq!(rig.scan(), [""; 0]);
}

/// Checks the invalid jobs in `tests/data/job` against the messages in their `said.txt`.
#[test]
fn faults_name_file_and_line() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/job");
    let mut count = 0;
    for entry in fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        let read = |file| fs::read(path.join(file)).unwrap();
        let mut rig = Rig::new();
        rig.job("a", read("entity.cfg"), read("action.json"));
        let expected: String = rig.scan().into_iter().map(|line| line + "\n").collect();
        assert_eq!(expected, String::from_utf8(read("said.txt")).unwrap(), "{}", path.display());
        count += 1;
    }
    assert!(count > 0);
}
