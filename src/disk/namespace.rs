//! The user namespace of this process: whose files have the overflow ids.
//!
//! A user namespace knows some users and groups of the host. Linux shows the files of all others with
//! the overflow ids, normally 65534.
//!
//! - **Groups.** A service with `PrivateUsers=yes` sees a group such as `ssl-cert` in this way.
//! - **Owners.** In a namespace that an ordinary user has created, for instance with `unshare`, root of
//!   the host is not known. Its files cannot be told from those of other users, so all of them count as
//!   root's. A namespace that knows root makes no such exception.
//!
//! The kernel lets the map of a namespace be set once, before programs run in it.

use std::fs::File;
use std::io::{self, Read};
use std::sync::OnceLock;

use super::trust::ROOT;

/// The ids of this process's user namespace. Each line contains the first id of a range, the first id
/// outside of the namespace, and the number of ids.
const USER_MAP: &str = "/proc/self/uid_map";
const GROUP_MAP: &str = "/proc/self/gid_map";
const OVERFLOW_USER: &str = "/proc/sys/kernel/overflowuid";
const OVERFLOW_GROUP: &str = "/proc/sys/kernel/overflowgid";
/// The overflow ids unless an administrator has changed them.
const OVERFLOW_DEFAULT: u32 = 65534;
/// Size limit of these files, in bytes.
const BYTES_MAX: u64 = 64 * 1024;

/// The user id that stands for root of the host, if the namespace does not know that user.
static ROOT_OF_HOST: OnceLock<Option<u32>> = OnceLock::new();
/// The group id that stands for all groups that the namespace does not know, if there are any.
static UNKNOWN_GROUP: OnceLock<Option<u32>> = OnceLock::new();

/// Returns the owner of a file that Linux shows as `user`: root, if that stands for root of the host.
pub(super) fn owner(user: u32) -> u32 {
    let find = || {
        let map = Map::read(USER_MAP)?;
        let unknown = map.unknown(OVERFLOW_USER);
        unknown.filter(|_| !map.has_outside(ROOT))
    };
    if *ROOT_OF_HOST.get_or_init(find) == Some(user) { ROOT } else { user }
}

/// Returns whether `group` stands for all groups that the namespace does not know.
pub(super) fn is_unknown_group(group: u32) -> bool {
    let find = || Map::read(GROUP_MAP)?.unknown(OVERFLOW_GROUP);
    *UNKNOWN_GROUP.get_or_init(find) == Some(group)
}

/// The ranges of a map: first id, first id outside, number.
struct Map(Vec<[u32; 3]>);

impl Map {
    fn read(path: &str) -> Option<Map> {
        read(path).ok().map(|text| Map::parse(&text))
    }

    fn parse(text: &str) -> Map {
        let range = |line: &str| {
            let mut fields = line.split_whitespace().map(|field| field.parse().ok());
            Some([fields.next()??, fields.next()??, fields.next()??])
        };
        Map(text.lines().filter_map(range).collect())
    }

    /// Returns the overflow id unless it is also a known id.
    fn unknown(&self, path: &str) -> Option<u32> {
        // A service with `ProcSubset=pid` cannot read this file.
        let overflow = read(path).ok().and_then(|text| text.trim().parse().ok());
        let overflow = overflow.unwrap_or(OVERFLOW_DEFAULT);
        (!self.has(overflow)).then_some(overflow)
    }

    fn has(&self, id: u32) -> bool {
        self.0.iter().any(|[first, _, number]| is_in(id, *first, *number))
    }

    fn has_outside(&self, id: u32) -> bool {
        self.0.iter().any(|[_, outside, number]| is_in(id, *outside, *number))
    }
}

fn is_in(id: u32, first: u32, number: u32) -> bool {
    id.checked_sub(first).is_some_and(|offset| offset < number)
}

fn read(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_id_is_unknown_unless_it_is_mapped() {
        let unknown = |map: &str| Map::parse(map).unknown("/nonexistent");
        assert_eq!(
            unknown("         0          0          1\n       998        998          1\n"),
            Some(65534)
        );
        assert_eq!(unknown("         0       1000          1\n"), Some(65534));
        assert_eq!(unknown("0 0 4294967295"), None, "no namespace");
        assert_eq!(unknown("0 100000 65536"), None, "a container with a user of this id");
    }

    #[test]
    fn root_of_the_host_is_known_if_its_id_is_mapped() {
        let knows_root = |map: &str| Map::parse(map).has_outside(ROOT);
        assert!(knows_root("0 0 1\n998 998 1\n") && knows_root("5 0 1"));
        assert!(!knows_root("0 1000 1") && !knows_root("0 100000 65536"));
    }

    #[test]
    fn owner_outside_of_a_namespace_is_not_changed() {
        // This test runs in the namespace of the host, or in one of a container that knows its users.
        if Map::read(USER_MAP).is_none_or(|map| !map.has(OVERFLOW_DEFAULT)) {
            return;
        }
        assert_eq!(owner(OVERFLOW_DEFAULT), OVERFLOW_DEFAULT);
        assert!(!is_unknown_group(OVERFLOW_DEFAULT));
    }
}
