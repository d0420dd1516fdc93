//! Samples of metadata that is trusted or not.

use super::*;
use crate::disk::Stamp;

fn meta(owner: u32, mode: u32) -> Meta {
    let changed = jiff::Timestamp::UNIX_EPOCH;
    let stamp = Stamp { inode: 1, size: 0, changed };
    let (kind, modified, device, group) = (FileKind::File, changed, 1, u32::MAX);
    Meta { kind, stamp, modified, device, owner, group, mode, has_acl: false }
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
    assert!(fault.starts_with("/x belongs to user 8") && !fault.contains("chown"), "{fault}");
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
