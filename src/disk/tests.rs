//! The three operations on the real file system, and on one that lacks or fails something.

use super::*;

fn disk() -> (tempfile::TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tmp")).unwrap();
    let disk = Disk::new(Arc::new(RealFs), folder.path().join("tmp"), HAND_PREFIX);
    (folder, disk)
}

#[test]
fn a_name_that_is_taken_stays_what_it_is() {
    let (folder, disk) = disk();
    let path = folder.path().join("a");
    disk.create(&path, b"one").unwrap();
    assert_eq!(disk.create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(disk.read(&path, 9).unwrap(), b"one");
    assert_eq!(disk.list(&folder.path().join("tmp")).unwrap(), []);
}

#[test]
fn what_was_moved_away_is_not_rewritten() {
    let (folder, disk) = disk();
    let path = folder.path().join("a");
    assert_eq!(disk.rewrite(&path, None, b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
    disk.create(&path, b"one").unwrap();
    assert_eq!(disk.rewrite(&path, None, b"two").unwrap(), Rewritten::Known);
    assert_eq!(disk.read(&path, 9).unwrap(), b"two");
    assert_eq!(disk.list(&folder.path().join("tmp")).unwrap(), []);
}

#[test]
fn a_move_replaces_nothing() {
    let (folder, disk) = disk();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    disk.create(&a, b"a").unwrap();
    disk.create(&b, b"b").unwrap();
    assert_eq!(disk.shift(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    disk.unlink(&b).unwrap();
    disk.shift(&a, &b).unwrap();
    assert_eq!(disk.find(&a).unwrap(), None);
}

#[test]
fn reads_are_bounded_and_follow_no_link() {
    let (folder, disk) = disk();
    let path = folder.path().join("a");
    disk.create(&path, b"four").unwrap();
    assert_eq!(disk.read(&path, 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    let link = folder.path().join("link");
    disk.link(&path, &link).unwrap();
    assert!(disk.read(&link, 9).is_err());
    assert_eq!(disk.find(&link).unwrap().unwrap().kind, Kind::Link);
}

#[test]
fn a_bare_name_is_in_the_working_folder() {
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
fn where_renames_are_missing_links_and_plain_renames_do() {
    let fs = model::ModelFs::new(Arc::default(), Arc::new(|| jiff::Timestamp::UNIX_EPOCH));
    for folder in ["/tmp", "/a"] {
        fs.put_folder(Path::new(folder));
    }
    for (fs, renames) in [(fs.with_old_kernel(), false), (fs, true)] {
        let disk = Disk::new(Arc::new(fs), "/tmp".into(), HAND_PREFIX);
        assert_eq!(disk.survey().unwrap().renames, renames);
        let [a, b, c] = ["/a/a", "/a/b", "/a/c"].map(Path::new);
        disk.create(a, b"a").unwrap();
        disk.create(b, b"b").unwrap();
        assert_eq!(disk.shift(a, b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(disk.shift_to_own(a, b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        disk.shift_to_own(b, c).unwrap();
        assert_eq!(disk.rewrite(b, None, b"x").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(disk.rewrite(c, None, b"cc").unwrap(), Rewritten::Known);
        assert_eq!(
            (disk.read(a, 9).unwrap(), disk.read(c, 9).unwrap()),
            (b"a".into(), b"cc".into())
        );
        assert_eq!(disk.list(Path::new("/tmp")).unwrap(), []);
    }
}

#[test]
fn what_was_put_in_the_place_of_a_file_is_not_lost() {
    let (folder, disk) = disk();
    let (path, stranger) = (folder.path().join("a"), folder.path().join("b"));
    disk.create(&path, b"known").unwrap();
    disk.create(&stranger, b"foreign").unwrap();
    let known = disk.find(&path).unwrap().unwrap().stamp.inode;
    disk.unlink(&path).unwrap();
    disk.shift(&stranger, &path).unwrap();
    let Rewritten::Displaced(kept) = disk.rewrite(&path, Some(known), b"new").unwrap() else {
        panic!("taken for the known one")
    };
    assert_eq!(
        (disk.read(&path, 9).unwrap(), disk.read(&kept, 9).unwrap()),
        (b"new".into(), b"foreign".into())
    );
}

#[test]
fn after_a_failed_fsync_of_a_folder_nothing_is_removed_from_it_before_one_succeeds() {
    use model::{Blow, ModelFs};
    let fs = ModelFs::new(Arc::default(), Arc::new(|| jiff::Timestamp::UNIX_EPOCH));
    for folder in ["/tmp", "/a"] {
        fs.put_folder(Path::new(folder));
    }
    let disk = Disk::new(Arc::new(fs.clone()), "/tmp".into(), HAND_PREFIX);
    let (a, b) = (Path::new("/a/a"), Path::new("/a/b"));
    disk.create(a, b"a").unwrap();
    // Create, append, sync, rename, and the sync of the folder fails.
    fs.fuse().set(Blow::FailOn(4, io::ErrorKind::StorageFull));
    assert!(disk.create(b, b"b").is_err());
    assert_eq!(disk.suspects.all(), [Path::new("/a")]);
    assert!(disk.unlink(a).is_err());
    fs.fuse().set(Blow::Never);
    assert!(disk.find(a).unwrap().is_some());
    disk.unlink(a).unwrap();
    assert!(!disk.has_suspects());
    assert_eq!(disk.list(Path::new("/a")).unwrap().len(), 1);
}

/// Returns an access control list that lets user 1 read and write, as Linux keeps it.
fn list_with_another_user() -> Vec<u8> {
    // Tag, permissions and id of the owner, user 1, the group, the mask and all others.
    let entries: [(u16, u16, u32); 5] =
        [(1, 6, u32::MAX), (2, 6, 1), (4, 4, u32::MAX), (16, 6, u32::MAX), (32, 0, u32::MAX)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

#[test]
fn a_user_in_an_access_control_list_is_not_mistaken_for_a_private_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    crate::testing::write_private(&path, "x");
    assert!(!RealFs.meta(&path).unwrap().has_acl);
    let flags = rustix::fs::XattrFlags::empty();
    let list = list_with_another_user();
    if rustix::fs::setxattr(&path, "system.posix_acl_access", &list, flags).is_err() {
        return crate::testing::skip("this file system keeps no access control lists");
    }
    let meta = RealFs.meta(&path).unwrap();
    assert_eq!(meta.mode, 0o660, "the group bits show the list's mask");
    assert!(meta.has_acl && guard::others_write(&meta));
}
