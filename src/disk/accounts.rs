//! The user and group files of the system: which groups are private to one user, and which groups
//! and home a user has.
//!
//! Debian gives each user a group of the same name and no other members. Write access for that
//! group gives no other user write access, so files that a user creates under umask 0002 can be
//! trusted.
//!
//! **Invariants.** Only `/etc/passwd` and `/etc/group` count. An account from another source, such
//! as LDAP, has no private group here, because its members cannot be listed reliably. The files
//! are read again whenever they change, so the next check notices a new member.
//!
//! **Failure.** If a file cannot be read, no group is private.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::namespace::is_unknown_group;
use super::real::RealFs;
use super::{Fs, Stamp, read};

/// One user per line: name, password, user id, group id, …
const PASSWD: &str = "/etc/passwd";
/// One group per line: name, password, group id, members.
const GROUP: &str = "/etc/group";
/// Size limit of either file, in bytes.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Debian's group `users`: its number is low, but its members are ordinary users.
const USERS: u32 = 100;
/// The lowest user and group id of ordinary users in Debian; lower ones belong to the system.
const ORDINARY_MIN: u32 = 1000;

/// The accounts as last read, with the stamps of the two files at that time.
static LAST: Mutex<Option<([Stamp; 2], Accounts)>> = Mutex::new(None);

#[derive(Debug, Default)]
struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct User {
    name: String,
    id: u32,
    group: u32,
    home: PathBuf,
}

#[derive(Debug)]
struct Group {
    name: String,
    id: u32,
    members: Vec<String>,
}

/// What a process needs to become a user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The id of the primary group.
    pub(crate) group: u32,
    /// The ids of all groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: PathBuf,
}

/// Returns whether `group` is the private group of the user `owner` on this system: it has the
/// user's name, is the user's primary group, and has no other member.
pub(super) fn is_private_group(owner: u32, group: u32) -> bool {
    look_up(|accounts| accounts.is_private_group(owner, group)).unwrap_or(false)
}

/// Returns whether `group` is a group of the system, such as `ssl-cert`: it has a low number, is not
/// that of all users, and is not the primary group of an ordinary user.
///
/// In a user namespace, such as that of a service with `PrivateUsers=yes`, all foreign groups have the
/// same id. It counts as a group of the system: root has chosen the group of a file of root.
pub(super) fn is_system_group(group: u32) -> bool {
    is_unknown_group(group) || look_up(|accounts| accounts.is_system_group(group)).unwrap_or(false)
}

/// Returns the account of a user, if the files contain one and can be read.
pub(crate) fn account(user: u32) -> Option<Account> {
    look_up(|accounts| accounts.account(user)).flatten()
}

/// Passes the current accounts to `find`; returns `None` if they cannot be read.
fn look_up<T>(find: impl FnOnce(&Accounts) -> T) -> Option<T> {
    let stamp = |path| RealFs.meta(Path::new(path)).map(|meta| meta.stamp);
    let stamps = [stamp(PASSWD).ok()?, stamp(GROUP).ok()?];
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.as_ref().is_none_or(|(known, _)| *known != stamps) {
        let text = |path| read(&RealFs, Path::new(path), BYTES_MAX);
        let (users, groups) = (text(PASSWD).ok()?, text(GROUP).ok()?);
        let (users, groups) = (String::from_utf8_lossy(&users), String::from_utf8_lossy(&groups));
        *last = Some((stamps, Accounts::parse(&users, &groups)));
    }
    last.as_ref().map(|(_, accounts)| find(accounts))
}

impl Accounts {
    /// Parses the two files; lines of another form are skipped.
    fn parse(passwd: &str, group: &str) -> Accounts {
        Accounts {
            users: passwd.lines().filter_map(User::parse).collect(),
            groups: group.lines().filter_map(Group::parse).collect(),
        }
    }

    fn account(&self, user: u32) -> Option<Account> {
        let user = self.users.iter().find(|known| known.id == user)?;
        let is_member = |group: &&Group| group.members.contains(&user.name);
        let others = self.groups.iter().filter(is_member).map(|group| group.id);
        let mut groups: Vec<u32> = std::iter::once(user.group).chain(others).collect();
        groups.sort_unstable();
        groups.dedup();
        Some(Account { group: user.group, groups, home: user.home.clone() })
    }

    fn is_system_group(&self, group: u32) -> bool {
        let is_ordinary = |user: &User| user.group == group && user.id >= ORDINARY_MIN;
        group < ORDINARY_MIN
            && group != USERS
            && self.groups.iter().any(|known| known.id == group)
            && !self.users.iter().any(is_ordinary)
    }

    fn is_private_group(&self, owner: u32, group: u32) -> bool {
        let Some(user) = self.users.iter().find(|user| user.id == owner) else { return false };
        // Several group names may share an id; the members of each of them can write.
        let mut groups = self.groups.iter().filter(|known| known.id == group).peekable();
        user.group == group
            && groups.peek().is_some_and(|first| first.name == user.name)
            && groups.all(|known| known.members.iter().all(|member| *member == user.name))
            && self.users.iter().all(|other| other.group != group || other.id == owner)
    }
}

impl User {
    fn parse(line: &str) -> Option<User> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let (id, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        let home = fields.nth(1).unwrap_or_default().into();
        Some(User { name, id, group, home })
    }
}

impl Group {
    fn parse(line: &str) -> Option<Group> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let id = fields.nth(1)?.parse().ok()?;
        let members = fields.next()?.split(',').filter(|member| !member.is_empty());
        Some(Group { name, id, members: members.map(str::to_owned).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0::/root:/bin/sh\nann:x:7:7::/:/bin/sh\nbob:x:8:100::/:/bin/sh\n";

    #[test]
    fn group_with_the_owners_name_and_no_other_member_is_private() {
        let group = |line: &str| Accounts::parse(PASSWD, line).is_private_group(7, 7);
        assert!(group("ann:x:7:\n") && group("ann:x:7:ann"));
        assert!(!group("ann:x:7:bob"), "another member");
        assert!(!group("ann:x:7:ann,bob"), "another member besides the owner");
        assert!(!group("staff:x:7:"), "another name");
        assert!(!group("ann:x:7:\nstaff:x:7:bob"), "a second name with a member");
        assert!(!group(""), "a group that is not in the file");
        assert!(!group("ann:x:7\n# comment"), "a line without members");
    }

    #[test]
    fn primary_group_of_two_users_is_not_private() {
        let users = format!("{PASSWD}carl:x:9:7::/:/bin/sh\n");
        assert!(!Accounts::parse(&users, "ann:x:7:").is_private_group(7, 7));
        let alias = format!("{PASSWD}ann2:x:7:7::/:/bin/sh\n");
        assert!(Accounts::parse(&alias, "ann:x:7:").is_private_group(7, 7), "the same user");
    }

    #[test]
    fn only_the_owners_primary_group_is_private() {
        let accounts = Accounts::parse(PASSWD, "root:x:0:\nann:x:7:\nbob:x:8:\nusers:x:100:");
        assert!(accounts.is_private_group(0, 0));
        assert!(!accounts.is_private_group(7, 100) && !accounts.is_private_group(7, 0));
        assert!(!accounts.is_private_group(8, 8), "not the primary group");
        assert!(!accounts.is_private_group(99, 99), "no such user");
    }

    #[test]
    fn group_of_the_system_is_not_that_of_ordinary_users() {
        let users = format!("{PASSWD}carl:x:1000:50::/:/bin/sh\n");
        let accounts =
            Accounts::parse(&users, "ssl:x:40:ann\nstaff:x:50:\nusers:x:100:ann\nc:x:1000:");
        assert!(accounts.is_system_group(40));
        for (group, why) in [
            (50, "the primary group of an ordinary user"),
            (100, "the group of all users"),
            (1000, "an ordinary user's number"),
            (41, "no such group"),
        ] {
            assert!(!accounts.is_system_group(group), "{why}");
        }
    }

    #[test]
    fn account_has_the_groups_of_its_user() {
        let accounts = Accounts::parse(PASSWD, "ann:x:7:\nstaff:x:50:bob,ann\nusers:x:100:bob");
        let ann = Account { group: 7, groups: vec![7, 50], home: "/".into() };
        assert_eq!(accounts.account(7), Some(ann));
        let bob = Account { group: 100, groups: vec![50, 100], home: "/".into() };
        assert_eq!(accounts.account(8), Some(bob));
        assert_eq!(accounts.account(9), None);
    }

    #[test]
    fn accounts_of_this_system_are_read() {
        // This id is reserved on every system.
        assert!(!is_private_group(0, u32::MAX));
        assert!(!LAST.lock().unwrap().as_ref().unwrap().1.users.is_empty());
    }
}
