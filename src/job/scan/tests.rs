//! Job folders as people make, change and break them.

#![expect(clippy::disallowed_methods, reason = "tests do what people do to job folders")]

mod elsewhere;

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
/// Longer than any folder has to be left alone.
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

    /// When the folder or a file of a job was last touched.
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

    /// Looks at all, long after the last touch, and tells what changed.
    fn look(&mut self) -> Vec<String> {
        let now = self.later();
        let changes = self.jobs.look(now).unwrap();
        self.tell(&changes)
    }

    fn tell(&self, changes: &[Change]) -> Vec<String> {
        let folder = format!("{}/", self.folder.path().display());
        let told = changes.iter().flat_map(|change| match change {
            Change::Added(job) => vec![format!("added {}", job.name)],
            Change::Changed { new, .. } => vec![format!("changed {}", new.name)],
            Change::Removed(job) => vec![format!("removed {}", job.name)],
            Change::Broken { rejection, .. } => rejection.lines(),
            Change::Skipped(path) => vec![format!("skipped {}", path.display())],
        });
        told.map(|line| line.replace(&folder, "")).collect()
    }
}

#[test]
fn folders_are_jobs_and_dot_files_are_none() {
    let mut rig = Rig::new();
    rig.job("b", CONFIG, ACTION);
    rig.job("a", CONFIG, ACTION);
    rig.job(".a.swp", "nonsense", ACTION);
    assert_eq!(rig.look(), ["added a", "added b"]);
    assert_eq!(rig.look(), [""; 0]);
    let job = rig.jobs.get(&"a".parse().unwrap()).unwrap();
    assert_eq!((&*job.action, job.config.expiry.as_secs()), (ACTION, 300));
    assert_eq!(rig.jobs.iter().count(), 2);
}

#[test]
fn a_change_of_either_file_is_found() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.look();
    rig.write("a/entity.cfg", CONFIG.replace('0', "5"));
    assert_eq!(rig.look(), ["changed a"]);
    rig.write("a/action.json", ACTION.replace("\"t\"", "\"u\""));
    assert_eq!(rig.look(), ["changed a"]);
    fs::create_dir_all(rig.path("a/results/20261122")).unwrap();
    assert_eq!(rig.look(), [""; 0]);
    fs::rename(rig.path("a"), rig.path("b")).unwrap();
    assert_eq!(rig.look(), ["removed a", "added b"]);
    fs::remove_dir_all(rig.path("b")).unwrap();
    assert_eq!(rig.look(), ["removed b"]);
}

#[test]
fn a_folder_that_replaces_another_is_found() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.look();
    fs::rename(rig.path("a"), rig.path(".old")).unwrap();
    rig.job("a", CONFIG, ACTION.replace("\"t\"", "\"u\""));
    assert_eq!(rig.look(), ["changed a"]);
}

#[test]
fn one_fault_hides_no_other() {
    let mut rig = Rig::new();
    let config = "[configuration]\nschedule = \"0 25 * * *\"\ntimezone = Mars/Phobos\nexpiry = 5\nplugins = x\n";
    rig.job("a", config, "{");
    let told = rig.look();
    for (line, begin) in told.iter().zip([
        "a/entity.cfg:2: hour: \"25\" is not understood",
        "a/entity.cfg:3: \"Mars/Phobos\" is no time zone",
        "a/entity.cfg:4: expiry = \"5\": write a duration",
        "a/entity.cfg:5: unknown key plugins",
        "a/action.json cannot be read as an action",
    ]) {
        assert!(line.starts_with(begin), "{begin:?}: {told:#?}");
    }
    assert_eq!(told.len(), 5, "{told:#?}");
}

#[test]
fn an_unchanged_job_costs_two_calls_and_no_read() {
    let mut rig = Rig::new();
    for number in 0..50 {
        rig.job(&format!("job{number}"), CONFIG, ACTION);
    }
    rig.look();
    let now = rig.later();
    rig.calls.reset();
    assert!(rig.jobs.look(now).unwrap().is_empty());
    assert_eq!((rig.calls.metas(), rig.calls.reads()), (100, 0));
}

#[test]
fn a_folder_copied_in_piece_by_piece_is_enabled_when_it_is_whole() {
    let mut rig = Rig::new();
    rig.make("a");
    rig.write("a/action.json", &ACTION[..20]);
    let touched = rig.touched("a");
    assert!(rig.jobs.look(touched).unwrap().is_empty());
    assert_eq!(rig.jobs.wake(), Some(after(touched, super::super::change::QUIET_SPAN)));
    rig.write("a/action.json", ACTION);
    let touched = rig.touched("a");
    assert!(rig.jobs.look(touched).unwrap().is_empty());
    rig.write("a/entity.cfg", CONFIG);
    let touched = rig.touched("a");
    let changes = rig.jobs.look_into(&rig.path("a/entity.cfg"), touched).unwrap();
    assert_eq!(rig.tell(&changes), ["added a"]);
    assert_eq!(rig.jobs.wake(), None);
}

#[test]
fn an_incomplete_job_is_reported_once_and_never_read() {
    let mut rig = Rig::new();
    rig.make("a");
    rig.write("a/action.json", "nonsense");
    let touched = rig.touched("a");
    assert!(rig.jobs.look(touched).unwrap().is_empty());
    let wake = rig.jobs.wake().unwrap();
    let missing = "a/entity.cfg is missing, the job is incomplete: add it, or remove the folder";
    let changes = rig.jobs.look_at_bad(wake);
    assert_eq!(rig.tell(&changes), [missing]);
    assert_eq!((rig.look(), rig.jobs.wake()), (Vec::new(), None));
    assert_eq!((rig.calls.reads(), rig.jobs.rejections().count()), (0, 1));
}

#[test]
fn a_hint_is_looked_at_alone() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.job("b", CONFIG, ACTION);
    let now = rig.later();
    let mut told = |path: &str| {
        let changes = rig.jobs.look_into(&rig.folder.path().join(path), now).unwrap();
        rig.tell(&changes)
    };
    assert_eq!(told(".a"), [""; 0]);
    assert_eq!(told("../elsewhere"), [""; 0]);
    assert_eq!(told("none"), [""; 0]);
    assert_eq!(told("b"), ["added b"]);
    assert_eq!(told(""), ["added a"]);
}

#[test]
fn a_bad_job_stops_no_other_and_is_reported_once() {
    let mut rig = Rig::new();
    rig.job("a", "[configuration]\nshedule = x\n", "{");
    rig.job("b", CONFIG, ACTION);
    assert_eq!(
        rig.look(),
        [
            "a/entity.cfg:1: schedule is missing: write schedule = \"0 * * * *\" in [configuration]",
            "a/entity.cfg:2: unknown key shedule in [configuration] (did you mean schedule?)",
            "a/action.json cannot be read as an action: line 1, column 2: unexpected end of JSON input",
            "added b"
        ]
    );
    let reads = rig.calls.reads();
    assert_eq!((rig.look(), rig.calls.reads()), (Vec::new(), reads));
    rig.write("a/entity.cfg", CONFIG);
    rig.write("a/action.json", ACTION);
    assert_eq!(rig.look(), ["added a"]);
}

#[test]
fn whoever_could_change_a_job_is_named_with_the_remedy() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.chmod("a", 0o707);
    let said = "a can be written by others (mode 0707): run chmod go-w ";
    assert_eq!(rig.look(), [format!("{said}a")]);
    rig.chmod("a", 0o755);
    assert_eq!(rig.look(), ["added a"]);
    rig.chmod("a/action.json", 0o666);
    let said = "a/action.json can be written by others (mode 0666): run chmod go-w a/action.json";
    assert_eq!(rig.look(), [said]);
    rig.chmod("a/action.json", 0o444);
    assert_eq!(rig.look(), ["added a"]);
}

#[test]
fn the_owners_private_group_may_write() {
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
    assert_eq!(rig.look(), ["added a"]);
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
    assert_eq!(rig.look(), ["a can be written by others (mode 0770): run chmod go-w a"]);
}

#[test]
fn files_of_strangers_are_refused() {
    let me = rustix::process::geteuid().as_raw();
    // Root may give files away; anybody else is a stranger to another runner.
    let (user, owner) = if me == 0 { (0, 12_345) } else { (me + 1, me) };
    let mut rig = Rig::of_user(user);
    rig.job("a", CONFIG, ACTION);
    if me == 0 {
        chown(rig.path("a"), Some(owner), None).unwrap();
    }
    let said = format!("a belongs to user {owner}, not to the runner or root: run chown {user} a");
    assert_eq!(rig.look(), [said]);
}

#[test]
fn what_is_no_folder_of_files_is_refused() {
    let mut rig = Rig::new();
    rig.job(".a", CONFIG, ACTION);
    symlink(rig.path(".b"), rig.path("dangling")).unwrap();
    symlink(rig.path(".a/entity.cfg"), rig.path("link")).unwrap();
    rig.write("readme", "text");
    rig.make("linked");
    symlink(rig.path(".a"), rig.path("linked/entity.cfg")).unwrap();
    rig.make("linked/action.json");
    rig.job("bad\u{1b}name", CONFIG, ACTION);
    assert_eq!(
        rig.look(),
        [
            "bad\\u{1b}name cannot be a job: rename it: a job name may not contain a slash or a control character".to_owned(),
            "skipped link".to_owned(),
            "linked/entity.cfg is no regular file: put the job's file itself there".to_owned(),
            "linked/action.json is no regular file: put the job's file itself there".to_owned(),
            "skipped readme".to_owned(),
        ]
    );
    // What a link leads to may still be on its way.
    let changes = rig.jobs.look(after(rig.later(), LATER_SPAN)).unwrap();
    assert_eq!(
        rig.tell(&changes),
        ["cannot resolve dangling: the link points to .b, which does not exist"]
    );
    assert_eq!(rig.look(), [""; 0]);
}

#[test]
fn a_name_that_is_no_text_is_refused() {
    let mut rig = Rig::new();
    let name = OsStr::from_bytes(b"a\xff");
    fs::create_dir(rig.folder.path().join(name)).unwrap();
    fs::set_permissions(rig.folder.path().join(name), Permissions::from_mode(0o700)).unwrap();
    let now = after(rig.touched("."), LATER_SPAN);
    let changes = rig.jobs.look(now).unwrap();
    let said = "a\u{fffd} cannot be a job, its name is not UTF-8: rename it";
    assert_eq!(rig.tell(&changes), [said]);
}

#[test]
fn what_is_too_large_is_not_read() {
    let mut rig = Rig::new();
    rig.job("a", format!("{CONFIG}{}", ";".repeat(64 * 1024)), ACTION);
    assert_eq!(rig.look(), ["cannot read a/entity.cfg: over 65536 bytes"]);
    assert_eq!(rig.look(), [""; 0]);
}

#[test]
fn without_their_folder_the_jobs_stay() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.look();
    let now = rig.later();
    let away = tempfile::tempdir().unwrap();
    fs::rename(rig.folder.path(), away.path().join("x")).unwrap();
    assert!(rig.jobs.look(now).is_err());
    assert_eq!(rig.jobs.iter().count(), 1);
    fs::rename(away.path().join("x"), rig.folder.path()).unwrap();
    assert_eq!(rig.look(), [""; 0]);
}

/// Folders to be refused, each with all that is said about it in `said.txt`.
#[test]
fn bad_jobs_are_told_with_file_and_line() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/job");
    let mut count = 0;
    for entry in fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        let read = |file| fs::read(path.join(file)).unwrap();
        let mut rig = Rig::new();
        rig.job("a", read("entity.cfg"), read("action.json"));
        let said: String = rig.look().into_iter().map(|line| line + "\n").collect();
        assert_eq!(said, String::from_utf8(read("said.txt")).unwrap(), "{}", path.display());
        count += 1;
    }
    assert!(count > 0);
}
