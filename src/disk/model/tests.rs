//! Which states the model can be in after a power cut.

use super::*;
use crate::disk::{COMMAND_PREFIX, Committed, Disk, DiskError, FileChange, Fs};

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

/// Commits a batch: two files are created in one folder, one in another, one is rewritten and one is
/// moved.
fn commit(disk: &Disk) -> Vec<(char, Result<Committed, DiskError>)> {
    let path = |path: &str| std::path::PathBuf::from(path);
    disk.commit(vec![
        ('1', FileChange::Create { path: path("/a/1"), bytes: b"n".to_vec() }),
        ('2', FileChange::Create { path: path("/a/2"), bytes: b"n".to_vec() }),
        ('3', FileChange::Create { path: path("/b/3"), bytes: b"n".to_vec() }),
        ('4', FileChange::Rewrite { path: path("/a/4"), expected: None, bytes: b"n".to_vec() }),
        ('5', FileChange::Rename { from: path("/a/5"), to: path("/b/5") }),
    ])
}

/// Returns a file system on which [`commit`] works.
fn fs_of_commit(old_kernel: bool) -> ModelFs {
    let fs = if old_kernel { fs().with_old_kernel() } else { fs() };
    fs.put(Path::new("/a/4"), b"o");
    fs.put(Path::new("/a/5"), b"o");
    fs.sync_all();
    fs
}

/// Returns what a state after a power cut says about each change of [`commit`]: `n`ew, `o`ld, or
/// `b`oth, which only a move may be.
fn outcome(cut: &str) -> String {
    let has = |file: &str| cut.split(' ').any(|seen| seen == file);
    let created = |name: &str| if has(&format!("{name}=n")) { 'n' } else { 'o' };
    let moved = match (has("/a/5=o"), has("/b/5=o")) {
        (true, false) => 'o',
        (false, true) => 'n',
        (true, true) => 'b',
        (false, false) => panic!("the moved file is lost: {cut}"),
    };
    assert!(has("/a/4=n") != has("/a/4=o"), "the rewritten file is lost or torn: {cut}");
    let names: Vec<char> = ["/a/1", "/a/2", "/b/3", "/a/4"].map(created).into_iter().collect();
    let expected = names.iter().filter(|state| **state == 'n').count();
    let shown = cut.split(' ').filter(|file| file.ends_with("=n")).count();
    assert_eq!(shown, expected, "a file is torn: {cut}");
    names.into_iter().chain([moved]).collect()
}

#[test]
fn power_cut_during_a_batch_loses_any_part_of_it_and_tears_nothing() {
    for old_kernel in [false, true] {
        let mut before_the_first_sync = BTreeSet::new();
        for changes in 0.. {
            let fs = fs_of_commit(old_kernel);
            let disk = Disk::new(Arc::new(fs.clone()), "/tmp".into(), COMMAND_PREFIX);
            fs.faults().set(InjectedFault::Death(changes));
            let results = commit(&disk);
            let outcomes: BTreeSet<String> =
                cuts(&fs_alive(&fs)).iter().map(|cut| outcome(cut)).collect();
            for (at, (tag, result)) in results.iter().enumerate() {
                // What was reported as durable is.
                let lost = outcomes.iter().find(|outcome| outcome.as_bytes()[at] == b'o');
                assert!(result.is_err() || lost.is_none(), "{changes} {tag}: {lost:?}");
            }
            before_the_first_sync.extend(outcomes);
            if !fs.faults().has_failed() {
                assert!(results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
                break;
            }
        }
        // Every part of the batch can be lost, whatever happens to the rest.
        if !old_kernel {
            let moved = |outcome: &String| outcome.replace('b', "n");
            let parts: BTreeSet<String> = before_the_first_sync.iter().map(moved).collect();
            assert_eq!(parts.len(), 1 << 5, "{parts:?}");
        }
    }
}

#[test]
fn failure_in_a_batch_is_reported_for_the_changes_that_it_affects() {
    for old_kernel in [false, true] {
        for calls in 0.. {
            let fs = fs_of_commit(old_kernel);
            let disk = Disk::new(Arc::new(fs.clone()), "/tmp".into(), COMMAND_PREFIX);
            fs.faults().set(InjectedFault::OneCall(calls, io::ErrorKind::StorageFull));
            let results = commit(&disk);
            let has_failed = fs.faults().has_failed();
            fs.faults().set(InjectedFault::None);
            let failed: Vec<char> =
                results.iter().filter(|(_, result)| result.is_err()).map(|(tag, _)| *tag).collect();
            // One change fails alone; the sync of a folder fails for all changes in it.
            let allowed = [
                vec![],
                vec!['1'],
                vec!['2'],
                vec!['3'],
                vec!['4'],
                vec!['5'],
                vec!['1', '2', '4'],
                vec!['3', '5'],
            ];
            assert!(allowed.contains(&failed), "{calls}: {failed:?}");
            for cut in cuts(&fs_alive(&fs)) {
                let outcome = outcome(&cut);
                for (at, (tag, result)) in results.iter().enumerate() {
                    assert!(
                        result.is_err() || outcome.as_bytes()[at] != b'o',
                        "{calls} {tag}: {cut}"
                    );
                }
            }
            if !has_failed {
                assert!(failed.is_empty());
                break;
            }
        }
    }
}
