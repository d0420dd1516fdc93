//! A temporary shortage of the host has no permanent effect.

#![expect(clippy::disallowed_methods, reason = "the tests fill disks and control modules by files")]

use std::path::Path;

use super::*;
use crate::platform::testing::SmallDisk;
use crate::testing::is_root;

/// More than the database can store without growing.
const LARGE_BYTES: usize = 300_000;
/// Size of the disk that is filled.
const DISK_KIB: u32 = 4096;

on_each_database!(
    module_that_met_a_shortage_is_run_again,
    permanent_shortage_is_reported_at_the_end
);

fn module_that_met_a_shortage_is_run_again(kind: Kind) {
    let (investigator, mut rig) = (TestInvestigator::new(), Rig::start(kind, "exit 1"));
    rig.add_investigator(&investigator);
    for status in [71, 74, 75, 127] {
        let mark = rig.tables.folder().join("mark");
        std::fs::remove_file(&mark).ok();
        rig.restart(&format!(
            "cat >/dev/null; [ -e {mark} ] || {{ : > {mark}; exit {status}; }}; echo '{FOUND}'",
            mark = mark.display()
        ));
        let id = rig.post(&investigator, &investigator.action("status='online'", "file", 60));
        let command = rig.wait(&investigator, id, "completed");
        assert!(mark.exists());
        assert_eq!(command["status"], "success", "{status}: {command}");
    }
}

fn permanent_shortage_is_reported_at_the_end(kind: Kind) {
    let (investigator, rig) = (TestInvestigator::new(), Rig::start(kind, "exit 75"));
    rig.add_investigator(&investigator);
    let id = rig.post(&investigator, &investigator.action("status='online'", "file", 8));
    let command = rig.wait(&investigator, id, "completed");
    assert_eq!(command["status"], "failed", "{command}");
    let text = command["results"][0]["errors"][0].as_str().unwrap();
    assert!(text.contains("the module ended with exit status: 75"), "{text}");
}

/// Fills a disk completely, until dropped.
struct Filler(PathBuf);

impl Filler {
    fn new(folder: &Path) -> Filler {
        let path = folder.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        for size in [1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        Filler(path)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn platform_resumes_after_a_full_disk_as_root() {
    if !is_root("it mounts a small file system") {
        return;
    }
    let tables = Tables::new(Kind::Sqlite);
    let data = tables.folder().join("data");
    crate::testing::make_private(&data);
    let disk = SmallDisk::mount(&data, DISK_KIB);
    let mut rig = Rig { tables, platform: None, timeout: "5m", clock: Arc::new(SystemClock) };
    let go = rig.tables.folder().join("go");
    let large = "x".repeat(LARGE_BYTES);
    let found = FOUND.replace("\"s\":[]", &format!("\"s\":[\"{large}\"]"));
    let answer = rig.tables.folder().join("answer");
    std::fs::write(&answer, &found).unwrap();
    rig.restart(&format!(
        "cat >/dev/null; until [ -e {} ]; do sleep 0.1; done; cat {}",
        go.display(),
        answer.display()
    ));
    let investigator = TestInvestigator::new();
    rig.add_investigator(&investigator);
    let first = rig.post(&investigator, &investigator.action("status='online'", "file", 600));
    rig.wait(&investigator, first, "inflight");
    let filler = Filler::new(&data);
    // An answer that does not fit into the database stays in the spool.
    std::fs::write(&go, "").unwrap();
    let returned = rig.tables.folder().join("spool/command/returned");
    let (begun, stop) = (Instant::now(), crate::wake::Stop::new());
    while std::fs::read_dir(&returned).unwrap().next().is_none() {
        assert!(begun.elapsed() < PATIENCE, "no answer arrived");
        stop.wait(Duration::from_millis(50));
    }
    let mut action = investigator.action("status='online'", "file", 600);
    let parameters = json!({"searches": {}, "large": large});
    let operations = json!({"operations": [{"module": "file", "parameters": parameters}]});
    let parsed = Action::parse(operations.to_string().as_bytes()).unwrap();
    (action.operations, action.signatures) = (parsed.operations, None);
    action.sign_with(&investigator.keyring).unwrap();
    let (status, json) = rig.try_post(&investigator, &action);
    assert_eq!(status, 503, "{json}");
    drop(filler);
    let second = rig.post(&investigator, &action);
    for id in [first, second] {
        let command = rig.wait(&investigator, id, "completed");
        assert_eq!(command["status"], "success");
        assert_eq!(command["results"][0]["elements"]["s"][0].as_str().unwrap().len(), LARGE_BYTES);
    }
    // The folder can be removed only when nothing is mounted in it.
    rig.stop();
    drop(disk);
}
