//! Scans of watched jobs: how many calls they take, and what they find without an event.

use super::*;

/// Number of scans of which one examines the files of a job.
const SCANS: u16 = 4;

/// The watches on some folders.
#[derive(Default)]
struct Watches(BTreeMap<OsString, FileId>);

impl JobWatches for Watches {
    fn folder_id(&self, name: &OsStr) -> Option<FileId> {
        self.0.get(name).copied()
    }

    fn scans(&self) -> u16 {
        SCANS
    }
}

impl Rig {
    /// Watches folders, and inspects them after that.
    fn watch(&mut self, names: &[&str]) -> Watches {
        let disk = Disk::new(Arc::new(RealFs), self.path("unused"), COMMAND_PREFIX);
        let id = |name: &&str| (name.into(), disk.file_id(&self.path(name)).unwrap().unwrap());
        let watches = Watches(names.iter().map(id).collect());
        self.scan_at(Depth::Files, &watches);
        watches
    }

    fn scan_at(&mut self, depth: Depth, watches: &Watches) -> Vec<String> {
        let now = self.later();
        let changes = self.jobs.scan_watched(depth, watches, now).unwrap();
        self.show(&changes)
    }

    /// Scans as often as it takes to examine each file once; returns the changes.
    fn scan_in_turn(&mut self, watches: &Watches) -> Vec<String> {
        (0..SCANS).flat_map(|_| self.scan_at(Depth::Folders, watches)).collect()
    }

    /// Returns the number of calls that a scan takes.
    fn cost(&mut self, depth: Depth, watches: &Watches) -> usize {
        let now = self.later();
        self.calls.reset();
        assert!(self.jobs.scan_watched(depth, watches, now).unwrap().is_empty());
        assert_eq!(self.calls.reads(), 0);
        self.calls.metas()
    }
}

#[test]
fn watched_job_costs_one_call_and_its_files_are_examined_in_turn() {
    let mut rig = Rig::new();
    let names: Vec<String> = (0..40).map(|number| format!("job{number}")).collect();
    for name in &names {
        rig.job(name, CONFIG, ACTION);
    }
    if !Disk::new(Arc::new(RealFs), rig.path("unused"), COMMAND_PREFIX).is_local(&rig.path("job0"))
    {
        return crate::testing::skip("this file system does not report all changes");
    }
    let watches = rig.watch(&names.iter().map(String::as_str).collect::<Vec<_>>());
    // In each scan, a quarter of the jobs costs three more: the folder again, and both files.
    for _ in 0..2 * SCANS {
        assert_eq!(rig.cost(Depth::Folders, &watches), 40 - 10 + 10 * 3);
    }
    assert_eq!(rig.cost(Depth::Files, &watches), 40 * 3);
    assert_eq!(rig.cost(Depth::Folders, &Watches::default()), 40 * 2);
}

#[test]
fn names_that_change_without_an_event_are_found_by_the_next_scan() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.job("b", CONFIG, ACTION);
    let watches = rig.watch(&["a", "b"]);
    rig.write("a/new", CONFIG.replace('0', "5"));
    fs::rename(rig.path("a/new"), rig.path("a/entity.cfg")).unwrap();
    assert_eq!(rig.scan_at(Depth::Folders, &watches), ["changed a"]);
    // Another folder takes the place of the watched one.
    fs::rename(rig.path("b"), rig.path(".old")).unwrap();
    rig.job("b", CONFIG, ACTION.replace("\"t\"", "\"u\""));
    assert_eq!(rig.scan_at(Depth::Folders, &watches), ["changed b"]);
    // It is not watched, so its files are examined.
    rig.write("b/action.json", ACTION);
    assert_eq!(rig.scan_at(Depth::Folders, &watches), ["changed b"]);
    fs::remove_dir_all(rig.path("b")).unwrap();
    assert_eq!(rig.scan_at(Depth::Folders, &watches), ["removed b"]);
}

#[test]
fn write_without_an_event_is_found_in_turn() {
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.job("b", CONFIG, ACTION);
    let watches = rig.watch(&["a", "b"]);
    rig.write("a/action.json", ACTION.replace("\"t\"", "\"u\""));
    rig.write("b/action.json", ACTION.replace("\"t\"", "\"u\""));
    let mut found = rig.scan_in_turn(&watches);
    found.sort();
    assert_eq!(found, ["changed a", "changed b"]);
    // An event names the job, and a scan after lost events examines all.
    rig.write("a/action.json", ACTION);
    let (hint, now) = (rig.path("a/action.json"), rig.later());
    let changes = rig.jobs.scan_path(&hint, &watches, now).unwrap();
    assert_eq!(rig.show(&changes), ["changed a"]);
    rig.write("b/action.json", ACTION);
    assert_eq!(rig.scan_at(Depth::Files, &watches), ["changed b"]);
}

#[test]
fn write_to_a_file_outside_the_folder_is_found_by_the_next_scan() {
    let mut rig = Rig::new();
    let changed = || ACTION.replace("\"t\"", "\"u\"");
    rig.make(".kept");
    rig.write(".kept/action.json", ACTION);
    for name in ["linked", "named"] {
        rig.make(name);
        rig.write(&format!("{name}/entity.cfg"), CONFIG);
    }
    symlink("../.kept/action.json", rig.path("linked/action.json")).unwrap();
    fs::hard_link(rig.path(".kept/action.json"), rig.path("named/action.json")).unwrap();
    rig.job(".whole", CONFIG, ACTION);
    symlink(".whole", rig.path("whole")).unwrap();
    let watches = rig.watch(&["linked", "named", "whole"]);
    rig.write(".kept/action.json", changed());
    rig.write(".whole/action.json", changed());
    let expected = ["changed linked", "changed named", "changed whole"];
    assert_eq!(rig.scan_at(Depth::Folders, &watches), expected);
}

#[test]
fn invalid_job_is_examined_in_each_scan() {
    let mut rig = Rig::new();
    rig.job("a", "[configuration]\n", ACTION);
    let watches = rig.watch(&["a"]);
    rig.write("a/entity.cfg", CONFIG);
    assert_eq!(rig.scan_at(Depth::Folders, &watches), ["added a"]);
}

#[test]
fn file_mounted_over_another_is_examined_in_each_scan_as_root() {
    if !crate::testing::is_root("only root can mount a file") {
        return;
    }
    let mut rig = Rig::new();
    rig.job("a", CONFIG, ACTION);
    rig.write("other", ACTION);
    let mount = |arguments: &[&str]| {
        std::process::Command::new("mount").args(arguments).current_dir(rig.folder.path()).status()
    };
    if !mount(&["--bind", "other", "a/action.json"]).is_ok_and(|status| status.success()) {
        return crate::testing::skip("mounts are not permitted");
    }
    let watches = rig.watch(&["a"]);
    rig.write("other", ACTION.replace("\"t\"", "\"u\""));
    let found = rig.scan_at(Depth::Folders, &watches);
    let unmount = std::process::Command::new("umount").arg(rig.path("a/action.json")).status();
    assert!(unmount.unwrap().success());
    assert_eq!(found, ["changed a"]);
}
