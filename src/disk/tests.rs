//! The disk operations on the real file system, and on one that lacks calls or fails.

use super::*;

fn disk() -> (tempfile::TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tmp")).unwrap();
    let disk = Disk::new(Arc::new(RealFs), folder.path().join("tmp"), COMMAND_PREFIX);
    (folder, disk)
}

#[test]
fn create_does_not_replace_a_file() {
    let (folder, disk) = disk();
    let path = folder.path().join("a");
    disk.create(&path, b"one").unwrap();
    assert_eq!(disk.create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(disk.read(&path, 9).unwrap(), b"one");
    assert_eq!(disk.list(&folder.path().join("tmp")).unwrap(), []);
}

#[test]
fn rewrite_fails_if_the_file_was_moved_away() {
    let (folder, disk) = disk();
    let path = folder.path().join("a");
    assert_eq!(disk.rewrite(&path, None, b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
    disk.create(&path, b"one").unwrap();
    assert_eq!(disk.rewrite(&path, None, b"two").unwrap(), Committed::Done);
    assert_eq!(disk.read(&path, 9).unwrap(), b"two");
    assert_eq!(disk.list(&folder.path().join("tmp")).unwrap(), []);
}

#[test]
fn rename_does_not_replace_a_file() {
    let (folder, disk) = disk();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    disk.create(&a, b"a").unwrap();
    disk.create(&b, b"b").unwrap();
    assert_eq!(disk.rename(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    disk.unlink(&b).unwrap();
    disk.rename(&a, &b).unwrap();
    assert_eq!(disk.find(&a).unwrap(), None);
}

#[test]
fn reads_have_a_size_limit_and_follow_no_link() {
    let (folder, disk) = disk();
    let path = folder.path().join("a");
    disk.create(&path, b"four").unwrap();
    assert_eq!(disk.read(&path, 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    let link = folder.path().join("link");
    disk.link(&path, &link).unwrap();
    assert!(disk.read(&link, 9).is_err());
    assert_eq!(disk.find(&link).unwrap().unwrap().kind, FileKind::Link);
}

#[test]
fn folder_of_a_bare_name_is_the_working_directory() {
    assert_eq!(parent(Path::new("a")), Some(Path::new(".")));
    assert_eq!(parent(Path::new("a/b")), Some(Path::new("a")));
    assert_eq!(parent(Path::new("/a")), Some(Path::new("/")));
    assert_eq!(parent(Path::new("/")), None);
}

#[test]
fn files_and_folders_are_private() {
    let (folder, disk) = disk();
    disk.make_folders(&folder.path().join("x/y")).unwrap();
    disk.create(&folder.path().join("x/y/z"), b"").unwrap();
    assert_eq!(disk.find(&folder.path().join("x/y")).unwrap().unwrap().mode, 0o700);
    assert_eq!(disk.find(&folder.path().join("x/y/z")).unwrap().unwrap().mode, 0o600);
}

#[test]
fn name_of_an_existing_folder_is_synced_once() {
    let folder = tempfile::tempdir().unwrap();
    let (path, fs) = (folder.path().join("x"), Arc::new(counting::CountingFs::default()));
    let disk = Disk::new(fs.clone(), folder.path().join("unused"), COMMAND_PREFIX);
    std::fs::create_dir(&path).unwrap();
    for disk in [&disk, &disk, &disk.clone()] {
        disk.make_folders(&path).unwrap();
        assert_eq!(fs.syncs(), 1);
    }
    disk.remove_folder(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    disk.make_folders(&path).unwrap();
    assert_eq!(fs.syncs(), 2);
    // Another folder has taken the name.
    std::fs::rename(&path, folder.path().join("y")).unwrap();
    std::fs::create_dir(&path).unwrap();
    disk.make_folders(&path).unwrap();
    assert_eq!(fs.syncs(), 3);
}

#[test]
fn links_and_plain_renames_replace_unsupported_renames() {
    let fs = model::ModelFs::new(Arc::default(), Arc::new(|| jiff::Timestamp::UNIX_EPOCH));
    for folder in ["/tmp", "/a"] {
        fs.put_folder(Path::new(folder));
    }
    for (fs, renames) in [(fs.with_old_kernel(), false), (fs, true)] {
        let disk = Disk::new(Arc::new(fs), "/tmp".into(), COMMAND_PREFIX);
        assert_eq!(disk.probe().unwrap().renames, renames);
        let [a, b, c] = ["/a/a", "/a/b", "/a/c"].map(Path::new);
        disk.create(a, b"a").unwrap();
        disk.create(b, b"b").unwrap();
        assert_eq!(disk.rename(a, b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(disk.rename_to_unique(a, b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        disk.rename_to_unique(b, c).unwrap();
        assert_eq!(disk.rewrite(b, None, b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(disk.rewrite(c, None, b"cc").unwrap(), Committed::Done);
        assert_eq!(
            (disk.read(a, 9).unwrap(), disk.read(c, 9).unwrap()),
            (b"a".into(), b"cc".into())
        );
        assert_eq!(disk.list(Path::new("/tmp")).unwrap(), []);
    }
}

#[test]
fn rewrite_keeps_a_displaced_file() {
    let (folder, disk) = disk();
    let (path, foreign) = (folder.path().join("a"), folder.path().join("b"));
    disk.create(&path, b"known").unwrap();
    disk.create(&foreign, b"foreign").unwrap();
    let known = disk.find(&path).unwrap().unwrap().stamp.inode;
    disk.unlink(&path).unwrap();
    disk.rename(&foreign, &path).unwrap();
    let Committed::Displaced(kept) = disk.rewrite(&path, Some(known), b"new").unwrap() else {
        panic!("mistaken for the expected file")
    };
    assert_eq!(
        (disk.read(&path, 9).unwrap(), disk.read(&kept, 9).unwrap()),
        (b"new".into(), b"foreign".into())
    );
}

#[test]
fn nothing_is_removed_from_a_folder_whose_fsync_failed() {
    use model::{InjectedFault, ModelFs};
    let fs = ModelFs::new(Arc::default(), Arc::new(|| jiff::Timestamp::UNIX_EPOCH));
    for folder in ["/tmp", "/a"] {
        fs.put_folder(Path::new(folder));
    }
    let disk = Disk::new(Arc::new(fs.clone()), "/tmp".into(), COMMAND_PREFIX);
    let (a, b) = (Path::new("/a/a"), Path::new("/a/b"));
    disk.create(a, b"a").unwrap();
    // Create, append, fsync and rename succeed; the fsync of the folder fails.
    fs.faults().set(InjectedFault::AllCalls(4, io::ErrorKind::StorageFull));
    assert!(disk.create(b, b"b").is_err());
    assert_eq!(disk.unsynced.all(), [Path::new("/a")]);
    assert!(disk.unlink(a).is_err());
    fs.faults().set(InjectedFault::None);
    assert!(disk.find(a).unwrap().is_some());
    disk.unlink(a).unwrap();
    assert!(!disk.has_unsynced_folders());
    assert_eq!(disk.list(Path::new("/a")).unwrap().len(), 1);
}

/// Returns an access control list that gives user 1 these permissions, as Linux stores it.
fn list_with_another_user(permissions: u16) -> Vec<u8> {
    // Tag, permissions and id of the owner, user 1, the group, the mask and all others.
    let entries: [(u16, u16, u32); 5] = [
        (1, 6, u32::MAX),
        (2, permissions, 1),
        (4, 4, u32::MAX),
        (16, permissions, u32::MAX),
        (32, 0, u32::MAX),
    ];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

#[test]
fn acl_with_another_user_is_not_mistaken_for_a_private_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    crate::testing::write_private(&path, "x");
    assert!(!RealFs.meta(&path).unwrap().has_acl);
    let flags = rustix::fs::XattrFlags::empty();
    let list = list_with_another_user(6);
    if rustix::fs::setxattr(&path, "system.posix_acl_access", &list, flags).is_err() {
        return crate::testing::skip("this file system does not support access control lists");
    }
    let meta = RealFs.meta(&path).unwrap();
    assert_eq!(meta.mode, 0o660, "the group bits show the mask of the list");
    assert!(meta.has_acl && trust::check(&path, &meta, trust::own_user()).is_err());
}

#[test]
fn key_that_a_list_lets_another_user_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    crate::testing::write_private(&path, "x");
    let flags = rustix::fs::XattrFlags::empty();
    let list = list_with_another_user(4);
    if rustix::fs::setxattr(&path, "system.posix_acl_access", &list, flags).is_err() {
        return crate::testing::skip("this file system does not support access control lists");
    }
    let meta = RealFs.meta(&path).unwrap();
    assert_eq!((meta.mode, meta.has_acl), (0o640, true));
    let check = |has_acl| {
        trust::check_key(&path, &Meta { owner: trust::ROOT, group: 1, has_acl, ..meta }, 7)
    };
    assert!(check(true).is_err());
    check(false).unwrap();
}
