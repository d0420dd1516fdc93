//! Finds and ends leftover processes: descendants of a started process that left its process group.
//!
//! A signal to a process group does not reach a process that has created its own session or group,
//! as `setsid` and `timeout` do. Such a process is found in two ways: it descends from the started
//! process, or it has inherited the [`ProcessMark`] in its environment. The mark also finds a
//! process whose parent has ended.
//!
//! A subreaper (`PR_SET_CHILD_SUBREAPER`) would need no mark. But it would also adopt the orphans
//! of GnuPG's library and its agent, which serves other programs; this process must neither end
//! those nor wait for them.
//!
//! **Failure.** A process of another user is not found, nor is one that cleared its environment
//! after its parent had ended.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::deadline::Deadline;

/// The environment variable with the mark.
const VARIABLE: &str = "MIG_DELIVERY";
/// Size limit of a file in `/proc/PID`, in bytes. The mark is near the beginning of an environment.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// The index of the start time in `/proc/PID/stat`, counted after the name of the program.
const START_TIME: usize = 19;
/// Maximum number of searches, if each of them finds new processes.
const ROUNDS_MAX: u32 = 10;

/// A value in the environment of a process that its descendants inherit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessMark(String);

impl ProcessMark {
    /// Returns a mark that no other process has.
    pub(crate) fn new() -> ProcessMark {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        ProcessMark(format!("{}{}", own(), NUMBER.fetch_add(1, Ordering::Relaxed)))
    }

    /// Returns the value of the variable.
    pub(crate) fn value(&self) -> &str {
        &self.0
    }
}

/// Returns the prefix of all marks of this process: its process id and, because ids are reused, its
/// start time.
fn own() -> &'static str {
    static OWN: OnceLock<String> = OnceLock::new();
    OWN.get_or_init(|| {
        let pid = std::process::id();
        let stat = i32::try_from(pid).ok().and_then(|pid| read(pid, "stat")).unwrap_or_default();
        let text = String::from_utf8_lossy(&stat);
        let words = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
        let started = words.and_then(|mut words| words.nth(START_TIME)).unwrap_or("0");
        format!("{pid}-{started}-")
    })
}

/// Leftover processes, each with a handle that never refers to another process.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    found: Vec<OwnedFd>,
    known: BTreeSet<i32>,
}

impl Leftovers {
    /// Adds the descendants of `root` and all processes with its mark, except `root` itself;
    /// returns whether any of them are new.
    pub(crate) fn find(&mut self, root: Pid, mark: Option<&ProcessMark>) -> bool {
        let entry = mark.map(|mark| format!("{VARIABLE}={}", mark.0));
        let is_marked =
            |variable: &[u8]| entry.as_ref().is_some_and(|entry| variable == entry.as_bytes());
        self.add(Some(root.as_raw_nonzero().get()), &is_marked)
    }

    /// Adds the processes with any mark of this process; returns whether any of them are new.
    fn find_own(&mut self) -> bool {
        let begin = format!("{VARIABLE}={}", own());
        self.add(None, &|variable: &[u8]| variable.starts_with(begin.as_bytes()))
    }

    fn add(&mut self, root: Option<i32>, is_marked: &dyn Fn(&[u8]) -> bool) -> bool {
        let is_other =
            |pid: &i32| Some(*pid) != root && !self.known.contains(pid) && !is_self(*pid);
        let open = |pid| {
            let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
            Some((pid, handle))
        };
        let new = members(root, is_marked).into_iter().filter(is_other);
        let mut opened: Vec<_> = new.filter_map(open).collect();
        if opened.is_empty() {
            return false;
        }
        // A process id may have been reused before its handle was opened.
        let members = members(root, is_marked);
        opened.retain(|(pid, _)| members.contains(pid));
        let is_new = !opened.is_empty();
        for (pid, handle) in opened {
            self.known.insert(pid);
            self.found.push(handle);
        }
        is_new
    }

    /// Sends a signal to all. Processes that have ended or belong to another user are skipped.
    pub(crate) fn signal(&self, signal: Signal) {
        for handle in &self.found {
            pidfd_send_signal(handle, signal).ok();
        }
    }

    /// Kills all, and the processes that they start in the meantime.
    pub(crate) fn kill(&mut self, root: Pid, mark: Option<&ProcessMark>) {
        self.signal(Signal::KILL);
        for _ in 0..ROUNDS_MAX {
            if !self.find(root, mark) {
                break;
            }
            self.signal(Signal::KILL);
        }
    }

    /// Waits until all have ended, but at most for `span`.
    fn wait(&self, span: Duration) {
        let deadline = Deadline::after(span);
        for handle in &self.found {
            deadline.first_readable(&[handle.as_fd()]).ok();
        }
    }
}

/// Ends all processes that have a mark of this process: each gets SIGTERM, and SIGKILL if it has
/// not ended within `span`.
pub(crate) fn end_own(span: Duration) {
    let mut leftovers = Leftovers::default();
    if !leftovers.find_own() {
        return;
    }
    leftovers.signal(Signal::TERM);
    leftovers.wait(span);
    for _ in 0..ROUNDS_MAX {
        leftovers.signal(Signal::KILL);
        if !leftovers.find_own() {
            break;
        }
    }
}

fn is_self(pid: i32) -> bool {
    u32::try_from(pid) == Ok(std::process::id())
}

/// Returns the descendants of `root` and all marked processes with their descendants.
fn members(root: Option<i32>, is_marked: &dyn Fn(&[u8]) -> bool) -> BTreeSet<i32> {
    let mut parents = Vec::new();
    let mut members = BTreeSet::new();
    for pid in process_ids() {
        // A process that has ended needs no signal.
        let Some(parent) = parent(pid) else { continue };
        parents.push((pid, parent));
        let environment = read(pid, "environ").unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(is_marked) {
            members.insert(pid);
        }
    }
    members.extend(root);
    loop {
        let children = parents.iter().filter(|(_, parent)| members.contains(parent));
        let children: BTreeSet<i32> = children.map(|(pid, _)| *pid).collect();
        if children.is_subset(&members) {
            return members;
        }
        members.extend(children);
    }
}

/// Returns the ids of all visible processes.
fn process_ids() -> Vec<i32> {
    let Ok(entries) = PathBuf::from("/proc").read_dir() else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Returns the parent of a process; `None` if it has ended.
fn parent(pid: i32) -> Option<i32> {
    let bytes = read(pid, "stat")?;
    let text = String::from_utf8_lossy(&bytes);
    // The second field is the name of the program in parentheses, which may contain anything.
    let mut words = text.rsplit_once(')')?.1.split_whitespace();
    let state = words.next()?;
    let parent = words.next()?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(parent)
}

fn read(pid: i32, name: &str) -> Option<Vec<u8>> {
    let file = File::open(format!("/proc/{pid}/{name}")).ok()?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use std::time::Instant;

    use super::*;

    /// Starts a script with a mark; returns it with the process ids that it prints, one per line.
    fn start(script: &str, mark: &ProcessMark, count: usize) -> (Child, Vec<i32>) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).env(VARIABLE, mark.value()).stdout(Stdio::piped());
        let mut child = crate::spawn::start(&mut command).unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(count);
        let named = lines.map(|line| line.unwrap().trim().parse().unwrap()).collect();
        (child, named)
    }

    fn ends(pid: i32) -> bool {
        let begun = Instant::now();
        while parent(pid).is_some() {
            if begun.elapsed() > Duration::from_secs(30) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    #[test]
    fn only_descendants_and_marked_processes_are_found() {
        let (mark, other) = (ProcessMark::new(), ProcessMark::new());
        assert_ne!(mark, other);
        // A process in its own session, an orphan in one, and one that has cleared its environment.
        let script = "setsid sh -c 'echo $$; exec sleep 600' & \
            (setsid sh -c 'echo $$; exec sleep 600' &) ; \
            env -i setsid /bin/sh -c 'echo $$; exec /bin/sleep 600' & wait";
        let (mut child, named) = start(script, &mark, 3);
        let (mut unrelated, spared) = start("echo $$; exec sleep 600", &other, 1);
        let root = Pid::from_child(&child);
        let mut leftovers = Leftovers::default();
        assert!(leftovers.find(root, Some(&mark)));
        assert!(named.iter().all(|pid| leftovers.known.contains(pid)), "{named:?} {leftovers:?}");
        assert!(!leftovers.known.contains(&spared[0]));
        assert!(!leftovers.known.contains(&root.as_raw_nonzero().get()));
        assert!(!leftovers.find(root, Some(&mark)), "all are known");
        child.kill().unwrap();
        child.wait().unwrap();
        leftovers.kill(root, Some(&mark));
        for pid in named {
            assert!(ends(pid), "{pid} is still running");
        }
        assert!(parent(spared[0]).is_some());
        unrelated.kill().unwrap();
        unrelated.wait().unwrap();
    }

    #[test]
    fn without_a_mark_only_descendants_are_found() {
        let (mut child, named) =
            start("setsid sh -c 'echo $$; exec sleep 600' & wait", &ProcessMark::new(), 1);
        let root = Pid::from_child(&child);
        let mut leftovers = Leftovers::default();
        assert!(leftovers.find(root, None));
        assert!(leftovers.known.contains(&named[0]));
        leftovers.kill(root, None);
        assert!(ends(named[0]));
        child.wait().unwrap();
    }

    #[test]
    fn parent_of_a_process_is_found_until_it_has_ended() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert_eq!(parent(pid), i32::try_from(std::process::id()).ok());
        child.kill().unwrap();
        assert!(ends(pid), "a zombie counts as ended");
        child.wait().unwrap();
        assert_eq!(parent(pid), None);
    }
}
