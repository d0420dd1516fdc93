//! Samples of metadata that is trusted or not.

use super::*;
use crate::disk::Stamp;

fn meta(owner: u32, mode: u32) -> Meta {
    let changed = jiff::Timestamp::UNIX_EPOCH;
    let stamp = Stamp { inode: 1, size: 0, changed };
    let (kind, modified, device, group) = (FileKind::File, changed, 1, u32::MAX);
    let (hard_links, has_acl) = (1, false);
    Meta { kind, stamp, modified, device, hard_links, owner, group, mode, has_acl }
}

#[test]
fn files_that_others_can_write_are_not_trusted() {
    let path = Path::new("/x");
    for (owner, mode, trusted) in [
        (7, 0o700, true),
        (0, 0o755, true),
        (8, 0o700, false),
        (7, 0o720, false),
        (7, 0o702, false),
    ] {
        assert_eq!(check(path, &meta(owner, mode), 7).is_ok(), trusted, "{owner} {mode:o}");
    }
}

#[test]
fn folder_above_may_be_sticky_and_is_not_given_away() {
    let path = Path::new("/x");
    let folder = |owner, mode| Meta { kind: FileKind::Folder, ..meta(owner, mode) };
    assert!(check_above(path, &folder(0, 0o1777), 7).is_ok());
    assert!(check_above(path, &folder(7, 0o1770), 7).is_ok());
    assert!(check_above(path, &folder(0, 0o777), 7).is_err());
    let fault = check_above(path, &folder(8, 0o1777), 7).unwrap_err().to_string();
    let own = "only user 7 and root may own it; use a file or folder of either";
    assert_eq!(fault, format!("/x belongs to user 8, who could change it: {own}"));
    let fault = check_above(path, &folder(8, 0o1777), 0).unwrap_err().to_string();
    assert!(fault.ends_with("only root may own it; use a file or folder of root"), "{fault}");
}

#[test]
fn no_command_is_named_for_a_folder_of_root_above_a_path() {
    let folder = |owner| Meta { kind: FileKind::Folder, ..meta(owner, 0o775) };
    let fault = |owner, user| check_above(Path::new("/x"), &folder(owner), user).unwrap_err();
    for user in [0, 7] {
        let text = fault(0, user).to_string();
        assert!(text.starts_with("users other than root can write to /x, and so"), "{text}");
        assert!(!text.contains('`'), "{text}");
    }
    assert_eq!(fault(7, 7), Distrust::Writable { path: "/x".into() });
}

#[test]
fn folder_of_root_above_a_log_may_belong_to_a_group_of_the_system() {
    let is_good = |owner, group, mode, has_acl| {
        let meta = Meta { kind: FileKind::Folder, group, has_acl, ..meta(owner, mode) };
        check_above_log(Path::new("/x"), &meta, 7).is_ok()
    };
    assert!(is_good(0, 1, 0o775, false), "as /var/log in Ubuntu");
    assert!(!is_good(0, 1, 0o775, true), "a list that may add any user");
    assert!(!is_good(0, 1, 0o777, false), "all users");
    assert!(!is_good(0, 100, 0o775, false), "the group of all users");
    assert!(!is_good(7, 1, 0o775, false), "a folder of another owner");
}

#[test]
fn only_descriptors_and_devices_of_root_are_exempt() {
    for name in ["-", "/dev/stdin", "/dev/fd/0", "/dev/fd/63", "/proc/self/fd/9"] {
        assert!(is_open_descriptor(Path::new(name)), "{name}");
    }
    for name in ["/dev/shm/x", "/dev/fd", "/dev/fd/3/x", "/dev/fd/../shm/x", "/dev/null", "/proc/1"]
    {
        assert!(!is_open_descriptor(Path::new(name)), "{name}");
    }
    let device = |owner| Meta { kind: FileKind::Device, ..meta(owner, 0o666) };
    assert!(check(Path::new("/x"), &device(0), 7).is_ok());
    assert!(check(Path::new("/x"), &device(7), 7).is_err());
}

#[test]
fn key_may_be_readable_by_a_system_group_if_it_belongs_to_root() {
    // In Debian, 0 is the private group of root, 1 the system's group daemon, 100 that of all users.
    let is_good = |owner, group, mode| {
        check_key(Path::new("/x"), &Meta { group, ..meta(owner, mode) }, 7).is_ok()
    };
    assert!(is_good(0, 0, 0o640) && is_good(0, 1, 0o640) && is_good(7, 1, 0o600));
    assert!(!is_good(7, 1, 0o640) && !is_good(0, u32::MAX, 0o640) && !is_good(0, 0, 0o644));
    assert!(!is_good(0, 100, 0o640), "the group of all users");
    let listed = Meta { group: 0, has_acl: true, ..meta(0, 0o640) };
    assert!(check_key(Path::new("/x"), &listed, 7).is_err(), "a list may add any user");
}

/// The test that another process runs in a user namespace.
const IN_NAMESPACE: &str = "disk::trust::tests::foreign_group_in_a_namespace_is_that_of_a_system";
/// Names the folder of that test.
const FOLDER: &str = "MIG_TEST_NAMESPACE_FOLDER";

#[test]
fn foreign_group_in_a_namespace_is_that_of_a_system() {
    let Some(folder) = crate::testing::given_path(FOLDER) else { return };
    let meta = |path: &Path| crate::disk::RealFs.meta(path).unwrap();
    let key = folder.join("key");
    assert_eq!((meta(&key).owner, meta(&key).group), (0, 65534));
    check_key(&key, &meta(&key), own_user()).unwrap();
    check_above_log(&folder, &meta(&folder), own_user()).unwrap();
}

#[test]
fn group_that_a_namespace_does_not_know_may_read_a_key_as_root() {
    if !crate::testing::is_root("it changes groups") {
        return;
    }
    // As in a service with PrivateUsers=yes, the namespace knows no group but its own.
    let namespace = || {
        let mut command = std::process::Command::new("unshare");
        command.args(["--user", "--map-root-user"]);
        command
    };
    if !namespace().arg("true").output().is_ok_and(|output| output.status.success()) {
        return crate::testing::skip("user namespaces are not available");
    }
    let folder = tempfile::tempdir().unwrap();
    let (key, group) = (folder.path().join("key"), Some(40));
    crate::testing::write_private(&key, "x");
    let program = crate::testing::copy_of_this_program(folder.path());
    for (path, mode) in [(&key, 0o640), (&folder.path().to_owned(), 0o775)] {
        std::os::unix::fs::chown(path, Some(0), group).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(path, mode).unwrap();
    }
    let mut command = namespace();
    command.arg(program).args(["--exact", IN_NAMESPACE]).env(FOLDER, folder.path());
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{output:?}");
}

#[test]
fn no_command_is_named_for_a_shared_folder() {
    let fault = check(Path::new("/tmp"), &meta(0, 0o1777), 0).unwrap_err().to_string();
    assert_eq!(fault, "/tmp is shared by all users: use a folder of its own");
    let fault = check(Path::new("/x"), &meta(0, 0o777), 0).unwrap_err().to_string();
    assert_eq!(fault, "/x can be written by others: run `chmod go-w /x`");
}

#[test]
fn private_group_may_write_unless_an_acl_adds_users() {
    // In Debian, root has a private group: the same name and no members.
    let private = Meta { group: 0, ..meta(0, 0o775) };
    assert!(!others_can_write(&private, 7));
    assert!(others_can_write(&Meta { has_acl: true, ..private }, 7));
    assert!(others_can_write(&Meta { mode: 0o777, ..private }, 7));
    assert!(others_can_write(&Meta { group: u32::MAX, ..private }, 7));
}

#[test]
fn secret_must_be_unreadable_for_others() {
    let path = Path::new("/x");
    assert!(check_secret(path, &meta(7, 0o600), 7).is_ok());
    let error = check_secret(path, &meta(7, 0o640), 7).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/x contains a secret and can be read by others: run `chmod go= /x`"
    );
}
