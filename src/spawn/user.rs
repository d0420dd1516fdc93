//! Lets a process that root started become another user, permanently.
//!
//! The kernel keeps the ids of a user for each thread. So the change is made while the process has
//! one thread, and all later threads inherit it.
//!
//! **Invariant.** When [`become_user`] returns, no id of the process is root's, none can become so
//! again, the process has no capability, and no other process of the user can trace it.
//!
//! The process is not replaced by a new one: after `exec`, the user could trace it, and reach what
//! root has opened. A program that it starts later can be traced. It gets no descriptor that this
//! process has opened or inherited, except its standard streams, and no terminal: see
//! [`super::session`].

use std::fs::File;
use std::io::{self, Read};

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::protect::protect_memory;

/// The state of this process, as the kernel reports it.
const STATUS: &str = "/proc/self/status";
/// Size limit of that report, in bytes.
const STATUS_BYTES_MAX: u64 = 64 * 1024;
/// The first descriptor after the standard streams.
const FIRST_DESCRIPTOR: i32 = 3;

/// Makes this process a process of `user`, with the primary group `group` and these groups.
///
/// # Errors
/// The process has several threads, root may not change its ids here, the change could be reversed,
/// or the process cannot be protected. The process must then end.
pub(crate) fn become_user(user: u32, group: u32, groups: &[u32]) -> io::Result<()> {
    if status()?.field("Threads:") != ["1"] {
        return Err(io::Error::other("the process has several threads"));
    }
    keep_descriptors();
    let gids: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(group));
    // The user comes last: only root can change the groups.
    set_thread_groups(&gids)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    // The kernel has reset it to `fs.suid_dumpable`.
    protect_memory()?;
    check_permanent(user, group)
}

/// Passes no open descriptor on to programs that this process starts, except the standard streams. A
/// shell of root may have left files open, for instance with `exec 9>FILE`.
fn keep_descriptors() {
    close_fds::set_fds_cloexec(FIRST_DESCRIPTOR, &[]);
}

/// Checks that the process is that of `user`, and remains so.
fn check_permanent(user: u32, group: u32) -> io::Result<()> {
    let status = status()?;
    let is_all = |key: &str, wanted: &str| {
        let found = status.field(key);
        !found.is_empty() && found.iter().all(|value| *value == wanted)
    };
    let is_changed = is_all("Uid:", &user.to_string()) && is_all("Gid:", &group.to_string());
    let is_powerless = ["CapEff:", "CapPrm:"].iter().all(|key| is_all(key, "0000000000000000"));
    let can_return = set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_ok();
    if is_changed && is_powerless && !can_return {
        return Ok(());
    }
    Err(io::Error::other("the process still has rights of root"))
}

struct Status(String);

fn status() -> io::Result<Status> {
    let mut text = String::new();
    File::open(STATUS)?.take(STATUS_BYTES_MAX).read_to_string(&mut text)?;
    Ok(Status(text))
}

impl Status {
    /// Returns the values of a field; none if the kernel does not report it.
    fn field(&self, key: &str) -> Vec<&str> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default().split_whitespace().collect()
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::{FdFlags, fcntl_getfd};

    use super::*;

    #[test]
    fn process_with_several_threads_keeps_its_user() {
        let other = std::thread::spawn(|| become_user(1, 1, &[1]));
        let error = other.join().unwrap().unwrap_err();
        assert!(error.to_string().contains("several threads"), "{error}");
        assert!(status().unwrap().field("Threads:") != ["1"]);
    }

    #[test]
    fn inherited_descriptors_are_not_passed_on() {
        let file = tempfile::tempfile().unwrap();
        // As a shell leaves it open.
        let inherited = rustix::io::dup(&file).unwrap();
        assert!(!fcntl_getfd(&inherited).unwrap().contains(FdFlags::CLOEXEC));
        keep_descriptors();
        assert!(fcntl_getfd(&inherited).unwrap().contains(FdFlags::CLOEXEC));
    }

    #[test]
    fn rights_of_root_are_noticed_as_root() {
        if !crate::testing::is_root("only root has rights to lose") {
            return;
        }
        let error = check_permanent(0, 0).unwrap_err();
        assert!(error.to_string().contains("rights of root"), "{error}");
        assert!(check_permanent(1, 1).is_err());
    }
}
