//! Which states the model can be in after a power cut.

use super::*;
use crate::disk::{COMMAND_PREFIX, Disk, Fs};

fn fs() -> ModelFs {
    let fs = ModelFs::new(Arc::new(FaultInjector::new()), Arc::new(|| Timestamp::UNIX_EPOCH));
    for folder in ["/a", "/b", "/tmp"] {
        fs.put_folder(Path::new(folder));
    }
    fs
}

/// Returns the possible contents of `/a` and `/b` after a power cut.
fn cuts(fs: &ModelFs) -> Vec<String> {
    let now: Now = Arc::new(|| Timestamp::UNIX_EPOCH);
    let mut seen = Vec::new();
    for kept in 0..1_usize << fs.pending(Path::new("/")).len() {
        for torn in 0..4 {
            let after = fs.after_cut(&now, |at| kept >> at & 1 == 1, || torn);
            let mut shown = Vec::new();
            for folder in ["/a", "/b"] {
                for entry in after.list(Path::new(folder)).unwrap() {
                    let path = Path::new(folder).join(entry.name);
                    let bytes = crate::disk::read(&after, &path, 99).unwrap();
                    let bytes = String::from_utf8(bytes).unwrap().replace('\0', "0");
                    shown.push(format!("{}={bytes}", path.display()));
                }
            }
            seen.push(shown.join(" "));
        }
    }
    seen.sort();
    seen.dedup();
    seen
}

#[test]
fn unsynced_changes_may_be_lost_in_every_way() {
    let fs = fs();
    fs.create(Path::new("/a/x")).unwrap().append(b"data").unwrap();
    assert_eq!(cuts(&fs), ["", "/a/x=", "/a/x=0000", "/a/x=da", "/a/x=data"]);
    fs.sync_folder(Path::new("/a")).unwrap();
    assert_eq!(cuts(&fs), ["/a/x=", "/a/x=0000", "/a/x=da", "/a/x=data"]);
    fs.open(Path::new("/a/x")).unwrap().sync().unwrap();
    assert_eq!(cuts(&fs), ["/a/x=data"]);
}

#[test]
fn rename_loses_no_file_and_may_leave_two_names() {
    let fs = fs();
    fs.put(Path::new("/a/x"), b"1");
    fs.rename(Path::new("/a/x"), Path::new("/b/x")).unwrap();
    assert_eq!(cuts(&fs), ["/a/x=1", "/b/x=1"]);
    fs.sync_folder(Path::new("/b")).unwrap();
    assert_eq!(cuts(&fs), ["/a/x=1 /b/x=1", "/b/x=1"]);
    fs.sync_folder(Path::new("/a")).unwrap();
    assert_eq!(cuts(&fs), ["/b/x=1"]);
}

#[test]
fn disk_operations_are_atomic_and_durable_when_they_return() {
    // An operation, the states allowed while it runs, and the final state.
    type Case = (fn(&Disk), &'static [&'static str], &'static str);
    let cases: [Case; 3] = [
        (
            |disk| drop(disk.create(Path::new("/a/y"), b"22")),
            &["/a/x=1", "/a/x=1 /a/y=22"],
            "/a/x=1 /a/y=22",
        ),
        (
            |disk| drop(disk.rewrite(Path::new("/a/x"), None, b"22")),
            &["/a/x=1", "/a/x=22"],
            "/a/x=22",
        ),
        (
            |disk| drop(disk.rename(Path::new("/a/x"), Path::new("/b/x"))),
            &["/a/x=1", "/b/x=1", "/a/x=1 /b/x=1"],
            "/b/x=1",
        ),
    ];
    for (at, (operation, allowed, end)) in cases.into_iter().enumerate() {
        for old_kernel in [false, true] {
            for changes in 0.. {
                let fs = fs();
                let fs = if old_kernel { fs.with_old_kernel() } else { fs };
                fs.put(Path::new("/a/x"), b"1");
                fs.sync_all();
                let disk = Disk::new(Arc::new(fs.clone()), "/tmp".into(), COMMAND_PREFIX);
                fs.faults().set(InjectedFault::Death(changes));
                operation(&disk);
                let cuts = cuts(&fs_alive(&fs));
                if !fs.faults().has_failed() {
                    let last = cuts.iter().all(|cut| cut.ends_with(end));
                    assert!(last, "{at} {old_kernel}: {cuts:?}");
                    break;
                }
                for cut in &cuts {
                    assert!(allowed.contains(&cut.as_str()), "{at} {old_kernel} {changes}: {cut}");
                }
            }
        }
    }
}

/// Returns the same file system as a new process sees it.
fn fs_alive(fs: &ModelFs) -> ModelFs {
    ModelFs::of(fs.copy(fs.tree().clone()))
}
