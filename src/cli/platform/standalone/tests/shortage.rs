//! A temporary shortage of the platform has no lasting effect.

#![expect(clippy::disallowed_methods, reason = "the tests fill disks and tell modules what to do")]

use std::path::Path;

use super::*;
use crate::platform::testing::SmallDisk;
use crate::testing::is_root;

/// Larger than what the database can take without growing.
const LARGE_BYTES: usize = 300_000;
/// The size of the disk that is filled.
const DISK_KIB: u32 = 4096;

on_each_database!(
    a_module_that_lacked_something_is_run_again,
    a_module_that_lacks_something_to_the_end_says_so
);

fn a_module_that_lacked_something_is_run_again(kind: Kind) {
    let (somebody, mut rig) = (Somebody::new(), Rig::start(kind, "exit 1"));
    rig.admit(&somebody);
    for status in [71, 74, 75, 127] {
        let mark = rig.tables.folder().join("mark");
        std::fs::remove_file(&mark).ok();
        rig.restart(&format!(
            "cat >/dev/null; [ -e {mark} ] || {{ : > {mark}; exit {status}; }}; echo '{FOUND}'",
            mark = mark.display()
        ));
        let id = rig.post(&somebody, &somebody.action("status='online'", "file", 60));
        let command = rig.wait(&somebody, id, "completed");
        assert!(mark.exists());
        assert_eq!(command["status"], "success", "{status}: {command}");
    }
}

fn a_module_that_lacks_something_to_the_end_says_so(kind: Kind) {
    let (somebody, rig) = (Somebody::new(), Rig::start(kind, "exit 75"));
    rig.admit(&somebody);
    let id = rig.post(&somebody, &somebody.action("status='online'", "file", 8));
    let command = rig.wait(&somebody, id, "completed");
    assert_eq!(command["status"], "failed", "{command}");
    let text = command["results"][0]["errors"][0].as_str().unwrap();
    assert!(text.contains("the module ended with exit status: 75"), "{text}");
}

/// Fills a disk to its last byte, until this is dropped.
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
fn a_database_on_a_full_disk_refuses_nothing_and_goes_on_as_root() {
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
    let somebody = Somebody::new();
    rig.admit(&somebody);
    let first = rig.post(&somebody, &somebody.action("status='online'", "file", 600));
    rig.wait(&somebody, first, "inflight");
    let filler = Filler::new(&data);
    // An answer that does not fit into the tables stays in the spool.
    std::fs::write(&go, "").unwrap();
    let returned = rig.tables.folder().join("spool/command/returned");
    let (begun, stop) = (Instant::now(), crate::wake::Stop::new());
    while std::fs::read_dir(&returned).unwrap().next().is_none() {
        assert!(begun.elapsed() < PATIENCE, "no answer came");
        stop.wait(Duration::from_millis(50));
    }
    let mut action = somebody.action("status='online'", "file", 600);
    let parameters = json!({"searches": {}, "large": large});
    let operations = json!({"operations": [{"module": "file", "parameters": parameters}]});
    let parsed = Action::parse(operations.to_string().as_bytes()).unwrap();
    (action.operations, action.signatures) = (parsed.operations, None);
    action.sign_with(&somebody.keyring).unwrap();
    let (status, json) = rig.try_post(&somebody, &action);
    assert_eq!(status, 503, "{json}");
    drop(filler);
    let second = rig.post(&somebody, &action);
    for id in [first, second] {
        let command = rig.wait(&somebody, id, "completed");
        assert_eq!(command["status"], "success");
        assert_eq!(command["results"][0]["elements"]["s"][0].as_str().unwrap().len(), LARGE_BYTES);
    }
    // The folder can be removed only when nothing is mounted in it.
    rig.stop();
    drop(disk);
}
