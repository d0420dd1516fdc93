//! Walks over real folders, and the attacks on them.

use std::fs::{create_dir, set_permissions};
use std::os::unix::fs::symlink;

use super::*;
use crate::testing::{as_nobody, is_root, private_folder};

fn chown(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
}

fn mode(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn links_are_followed_and_missing_names_kept() {
    let guard = private_folder();
    let root = guard.path().canonicalize().unwrap();
    create_dir(root.join("real")).unwrap();
    symlink("real", root.join("one")).unwrap();
    symlink(root.join("one"), root.join("two")).unwrap();
    let found = Descent::to(&root.join("two/../two")).unwrap();
    assert_eq!((found.path.clone(), found.is_complete()), (root.join("real"), true));
    assert!(found.steps.iter().any(|(path, _)| *path == root.join("one")));
    assert_eq!(found.exposure(trust::own_user()), None);
    let found = Descent::to(&root.join("two/new/er")).unwrap();
    assert_eq!((found.path.clone(), found.is_complete()), (root.join("real"), false));
    let made = found.create_missing().unwrap();
    assert_eq!((made.path.clone(), made.is_complete()), (root.join("real/new/er"), true));
    assert_eq!(made.path.metadata().unwrap().mode() & 0o7777, 0o700);
    mode(&made.path, 0o755);
    made.make_private().unwrap();
    assert_eq!(made.path.metadata().unwrap().mode() & 0o7777, 0o700);
    symlink("loop", root.join("loop")).unwrap();
    assert!(Descent::to(&root.join("loop")).is_err());
}

#[test]
fn folder_that_appears_meanwhile_does_not_make_the_one_above_private() {
    let guard = private_folder();
    mode(guard.path(), 0o1777);
    let before = Descent::to(&guard.path().join("new")).unwrap();
    create_dir(guard.path().join("new")).unwrap();
    assert_eq!(before.make_private().unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(guard.path().metadata().unwrap().mode() & 0o7777, 0o1777);
    let found = Descent::to(guard.path()).unwrap();
    assert_eq!(found.names().unwrap(), ["new"]);
}

#[test]
fn folder_of_another_user_is_not_made_private_as_root() {
    if !is_root("it changes owners") {
        return;
    }
    let guard = private_folder();
    let folder = guard.path().join("x");
    create_dir(&folder).unwrap();
    mode(&folder, 0o755);
    chown(&folder, 8);
    let error = Descent::to(&folder).unwrap().make_private().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(folder.metadata().unwrap().mode() & 0o7777, 0o755);
    // Root does not create a folder there either.
    let error = Descent::create_unused(&folder, || Ok("y".into())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn folders_that_appear_meanwhile_are_not_used() {
    let guard = private_folder();
    let before = Descent::to(&guard.path().join("new")).unwrap();
    create_dir(guard.path().join("new")).unwrap();
    let error = before.create_missing().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn existing_name_is_never_used_for_a_new_folder() {
    let guard = private_folder();
    let root = guard.path().canonicalize().unwrap();
    // Another user has prepared the first two names.
    create_dir(root.join("one")).unwrap();
    symlink("/etc", root.join("two")).unwrap();
    let mut names = ["one", "two", "three"].into_iter();
    let name = || Ok(names.next().unwrap().into());
    assert_eq!(Descent::create_unused(&root, name).unwrap(), root.join("three"));
    assert_eq!(root.join("three").metadata().unwrap().mode() & 0o7777, 0o700);
    let error = Descent::create_unused(&root, || Ok("one".into())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    mode(&root, 0o777);
    let error = Descent::create_unused(&root, || Ok("four".into())).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    mode(&root, 0o1777);
    assert!(Descent::create_unused(&root, || Ok("four".into())).is_ok());
}

#[test]
fn folder_that_others_can_write_is_exposed_unless_sticky() {
    let guard = private_folder();
    let root = guard.path().canonicalize().unwrap();
    create_dir(root.join("below")).unwrap();
    let exposure = || Descent::to(&root.join("below")).unwrap().exposure(trust::own_user());
    mode(&root, 0o707);
    let (owner, is_above) = (trust::own_user(), true);
    assert_eq!(exposure(), Some(Exposure::Writable { path: root.clone(), owner, is_above }));
    let found = Descent::to(&root).unwrap();
    assert!(matches!(found.exposure(owner), Some(Exposure::Writable { is_above: false, .. })));
    assert_eq!(found.exposure_above(owner), None);
    mode(&root, 0o1707);
    assert_eq!(exposure(), None);
}

#[test]
fn folder_that_cannot_be_read_gets_no_folder_that_is_then_abandoned() {
    if trust::own_user() == ROOT {
        // Root may read every folder: the same test runs as another user below.
        return;
    }
    unreadable_folder_stays_empty();
}

#[test]
fn folder_that_cannot_be_read_stays_empty_as_root() {
    if !is_root("it becomes another user") {
        return;
    }
    as_nobody(
        "disk::descent::tests::folder_that_cannot_be_read_gets_no_folder_that_is_then_abandoned",
        &[],
    );
}

fn unreadable_folder_stays_empty() {
    let guard = private_folder();
    mode(guard.path(), 0o300);
    let error = Descent::create_unused(guard.path(), || Ok("new".into())).unwrap_err();
    let missing = Descent::to(&guard.path().join("other")).unwrap().create_missing().unwrap_err();
    mode(guard.path(), 0o700);
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(missing.kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(Descent::to(guard.path()).unwrap().names().unwrap(), [""; 0]);
}

#[test]
fn group_of_the_system_may_write_above_a_log_as_root() {
    if !is_root("it changes groups") {
        return;
    }
    let guard = private_folder();
    let root = guard.path().canonicalize().unwrap();
    std::os::unix::fs::lchown(&root, None, Some(1)).unwrap();
    mode(&root, 0o775);
    let found = Descent::to(&root.join("log")).unwrap();
    assert_eq!(found.exposure_of_log(7), None);
    assert!(matches!(found.exposure(7), Some(Exposure::Writable { .. })));
    for (group, bits) in [(100, 0o775), (1, 0o777)] {
        std::os::unix::fs::lchown(&root, None, Some(group)).unwrap();
        mode(&root, bits);
        let found = Descent::to(&root.join("log")).unwrap();
        assert!(found.exposure_of_log(7).is_some(), "{group} {bits:o}");
    }
}

#[test]
fn names_of_other_users_are_exposed_as_root() {
    if !is_root("it changes owners") {
        return;
    }
    let guard = private_folder();
    let root = guard.path().canonicalize().unwrap();
    create_dir(root.join("real")).unwrap();
    symlink("real", root.join("link")).unwrap();
    let exposure = |name: &str| Descent::to(&root.join(name)).unwrap().exposure(7);
    assert_eq!(exposure("link"), None);
    chown(&root.join("link"), 8);
    let link = Exposure::Owner { path: root.join("link"), owner: 8 };
    assert_eq!(exposure("link"), Some(link));
    chown(&root, 8);
    let parent = Exposure::Owner { path: root.clone(), owner: 8 };
    assert_eq!(exposure("real"), Some(parent));
    chown(&root, 7);
    chown(&root.join("real"), 7);
    assert_eq!(exposure("real"), None);
    assert_eq!(Descent::to(&root.join("real")).unwrap().owner(), 7);
}
