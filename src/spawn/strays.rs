//! Finds and ends processes that left the process group of the one that we started.
//!
//! A signal to a process group does not reach a process that has made itself a session or a group of
//! its own, as `setsid` and `timeout` do. Such a process is found in two ways: it descends from the
//! process that we started, or it has inherited the [`Mark`] in its environment. The mark also finds
//! a process whose parent has ended.
//!
//! Being the reaper of orphans would find them without a mark, but GnuPG's library leaves orphans
//! too, and its agent serves other programs: neither may be ended, or waited for, by us.
//!
//! **Failure.** A process that has another user, or that cleared its environment after its parent had
//! ended, is not found.

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

/// The variable that holds the mark.
const VARIABLE: &str = "MIG_DELIVERY";
/// The most that is read of a file of a process: a mark stands near the beginning of its environment.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Where the time at which a process started stands in its state, after its name.
const STARTED: usize = 19;
/// How often processes are looked for, if there are new ones each time.
const ROUNDS_MAX: u32 = 10;

/// What a process and all that it starts have in their environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark(String);

impl Mark {
    /// Returns a mark that no other process has.
    pub(crate) fn new() -> Mark {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Mark(format!("{}{}", own(), NUMBER.fetch_add(1, Ordering::Relaxed)))
    }

    /// Returns the value of the variable.
    pub(crate) fn value(&self) -> &str {
        &self.0
    }
}

/// Returns what all marks of this process begin with: its number, and when it started, because
/// numbers come again.
fn own() -> &'static str {
    static OWN: OnceLock<String> = OnceLock::new();
    OWN.get_or_init(|| {
        let pid = std::process::id();
        let stat = i32::try_from(pid).ok().and_then(|pid| read(pid, "stat")).unwrap_or_default();
        let text = String::from_utf8_lossy(&stat);
        let words = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
        let started = words.and_then(|mut words| words.nth(STARTED)).unwrap_or("0");
        format!("{pid}-{started}-")
    })
}

/// Processes that were found, each by a handle that never becomes another process's.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    found: Vec<OwnedFd>,
    known: BTreeSet<i32>,
}

impl Strays {
    /// Adds the descendants of `root` and all with its mark, without `root`; returns whether there are
    /// any that were not known.
    pub(crate) fn look(&mut self, root: Pid, mark: Option<&Mark>) -> bool {
        let entry = mark.map(|mark| format!("{VARIABLE}={}", mark.0));
        let is_marked =
            |variable: &[u8]| entry.as_ref().is_some_and(|entry| variable == entry.as_bytes());
        self.take(Some(root.as_raw_nonzero().get()), &is_marked)
    }

    /// Adds what has any mark of this process.
    fn look_for_own(&mut self) -> bool {
        let begin = format!("{VARIABLE}={}", own());
        self.take(None, &|variable: &[u8]| variable.starts_with(begin.as_bytes()))
    }

    fn take(&mut self, root: Option<i32>, is_marked: &dyn Fn(&[u8]) -> bool) -> bool {
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
        // A number may have become another process's before it was opened.
        let members = members(root, is_marked);
        opened.retain(|(pid, _)| members.contains(pid));
        let is_new = !opened.is_empty();
        for (pid, handle) in opened {
            self.known.insert(pid);
            self.found.push(handle);
        }
        is_new
    }

    /// Sends a signal to all. It fails for those that have ended, or that are not ours to end.
    pub(crate) fn signal(&self, signal: Signal) {
        for handle in &self.found {
            pidfd_send_signal(handle, signal).ok();
        }
    }

    /// Kills all, and what they start meanwhile.
    pub(crate) fn kill(&mut self, root: Pid, mark: Option<&Mark>) {
        self.signal(Signal::KILL);
        for _ in 0..ROUNDS_MAX {
            if !self.look(root, mark) {
                break;
            }
            self.signal(Signal::KILL);
        }
    }

    /// Waits until all have ended, for a span at most.
    fn wait(&self, span: Duration) {
        let deadline = Deadline::after(span);
        for handle in &self.found {
            deadline.first_readable(&[handle.as_fd()]).ok();
        }
    }
}

/// Ends all processes that have a mark of this one: each gets SIGTERM, and SIGKILL if it has not
/// ended within `span`.
pub(crate) fn end_own(span: Duration) {
    let mut strays = Strays::default();
    if !strays.look_for_own() {
        return;
    }
    strays.signal(Signal::TERM);
    strays.wait(span);
    for _ in 0..ROUNDS_MAX {
        strays.signal(Signal::KILL);
        if !strays.look_for_own() {
            break;
        }
    }
}

fn is_self(pid: i32) -> bool {
    u32::try_from(pid) == Ok(std::process::id())
}

/// Returns the descendants of `root` and all processes that are marked.
fn members(root: Option<i32>, is_marked: &dyn Fn(&[u8]) -> bool) -> BTreeSet<i32> {
    let mut parents = Vec::new();
    let mut members = BTreeSet::new();
    for pid in numbers() {
        // A process that ends meanwhile needs no signal.
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

/// Returns the numbers of all processes that this one can see.
fn numbers() -> Vec<i32> {
    let Ok(entries) = PathBuf::from("/proc").read_dir() else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Returns the parent of a process that has not ended.
fn parent(pid: i32) -> Option<i32> {
    let bytes = read(pid, "stat")?;
    let text = String::from_utf8_lossy(&bytes);
    // The second word is the program's name, which may hold anything, in parentheses.
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

    /// Starts a script with a mark; returns it with the processes that it names, one a line.
    fn start(script: &str, mark: &Mark, count: usize) -> (Child, Vec<i32>) {
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
    fn all_that_descends_or_is_marked_is_found_and_nothing_else() {
        let (mark, other) = (Mark::new(), Mark::new());
        assert_ne!(mark, other);
        // A session of its own, an orphan in one, and one that has cleared its environment.
        let script = "setsid sh -c 'echo $$; exec sleep 600' & \
            (setsid sh -c 'echo $$; exec sleep 600' &) ; \
            env -i setsid /bin/sh -c 'echo $$; exec /bin/sleep 600' & wait";
        let (mut child, named) = start(script, &mark, 3);
        let (mut stranger, spared) = start("echo $$; exec sleep 600", &other, 1);
        let root = Pid::from_child(&child);
        let mut strays = Strays::default();
        assert!(strays.look(root, Some(&mark)));
        assert!(named.iter().all(|pid| strays.known.contains(pid)), "{named:?} {strays:?}");
        assert!(!strays.known.contains(&spared[0]));
        assert!(!strays.known.contains(&root.as_raw_nonzero().get()));
        assert!(!strays.look(root, Some(&mark)), "all are known");
        child.kill().unwrap();
        child.wait().unwrap();
        strays.kill(root, Some(&mark));
        for pid in named {
            assert!(ends(pid), "{pid} lives on");
        }
        assert!(parent(spared[0]).is_some());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }

    #[test]
    fn without_a_mark_only_descendants_are_found() {
        let (mut child, named) =
            start("setsid sh -c 'echo $$; exec sleep 600' & wait", &Mark::new(), 1);
        let root = Pid::from_child(&child);
        let mut strays = Strays::default();
        assert!(strays.look(root, None));
        assert!(strays.known.contains(&named[0]));
        strays.kill(root, None);
        assert!(ends(named[0]));
        child.wait().unwrap();
    }

    #[test]
    fn the_parent_of_a_process_is_told_until_it_has_ended() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert_eq!(parent(pid), i32::try_from(std::process::id()).ok());
        child.kill().unwrap();
        assert!(ends(pid), "a zombie has ended");
        child.wait().unwrap();
        assert_eq!(parent(pid), None);
    }
}
