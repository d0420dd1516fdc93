//! What an attack may cost: memory of the platform with all its processes, and the time of valid
//! requests.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{request, token};
use crate::rig::{Rig, pause};

/// Time limit for a valid request during an attack.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
/// Maximum memory of the platform during an attack, in KiB.
const MEMORY_KIB_MAX: u64 = 150 << 10;
/// Number of valid requests of a measurement.
const VALID_REQUESTS: usize = 20;
/// Delay between two measurements of the memory.
const MEMORY_PAUSE: Duration = Duration::from_millis(20);

/// Ends an attack, even if a check fails.
pub(super) struct EndOnDrop<'a>(pub(super) &'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A platform during attacks.
pub(super) struct Attacked<'a> {
    rig: &'a Rig,
    peak_kib: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<'a> Attacked<'a> {
    pub(super) fn new(rig: &'a Rig) -> Attacked<'a> {
        let (peak_kib, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (peak_kib, is_over) = (Arc::clone(&peak_kib), Arc::clone(&is_over));
            let root = rig.platform_pid().as_raw_nonzero().get();
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    peak_kib.fetch_max(memory_kib(root), Ordering::Relaxed);
                    pause(MEMORY_PAUSE);
                }
            })
        };
        Attacked { rig, peak_kib, is_over, thread: Some(thread) }
    }

    /// Checks that valid requests are answered in time, and that the memory was small so far.
    pub(super) fn assert_serves(&self, attack: &str) {
        assert_in_time(attack, || {
            let answer = request(&self.rig.address, &dashboard(self.rig, "close"));
            assert!(answer.starts_with("HTTP/1.1 200 "), "{attack}: {answer}");
        });
        self.assert_small(attack);
    }

    /// Checks that the memory of the platform and all its processes was small so far.
    pub(super) fn assert_small(&self, attack: &str) {
        let kib = self.peak_kib.load(Ordering::Relaxed);
        println!("{attack}: {kib} KiB");
        assert!(kib > 0 && kib <= MEMORY_KIB_MAX, "{attack}: {kib} KiB");
    }
}

impl Drop for Attacked<'_> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Returns a valid request; `connection` is `close` or `keep-alive`.
pub(super) fn dashboard(rig: &Rig, connection: &str) -> String {
    format!(
        "GET /api/v1/dashboard HTTP/1.1\r\nHost: {}\r\nX-PGPAUTHORIZATION: {}\r\n\
         Connection: {connection}\r\n\r\n",
        rig.address,
        token(rig)
    )
}

/// Checks that the slowest of several requests is answered in time. The machine may be busy with
/// other things for a moment, so a second measurement decides.
pub(super) fn assert_in_time(attack: &str, mut request: impl FnMut()) {
    let mut slowest = || {
        let times = (0..VALID_REQUESTS).map(|_| {
            let begun = Instant::now();
            request();
            begun.elapsed()
        });
        times.max().unwrap()
    };
    let first = slowest();
    println!("{attack}: {first:?}");
    if first > ANSWER_TIME_MAX {
        let second = slowest();
        assert!(second <= ANSWER_TIME_MAX, "{attack}: {first:?}, then {second:?}");
    }
}

/// Returns the most memory that each process of a tree has had so far, in total, in KiB. Memory that
/// they share counts for each of them.
fn memory_kib(root: i32) -> u64 {
    let mut processes = HashMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        // Fails for a process that has ended.
        let status = fs::read_to_string(entry.path().join("status"));
        if let (Some(pid), Ok(status)) = (pid, status) {
            processes.insert(pid, (value(&status, "PPid:"), value(&status, "VmHWM:")));
        }
    }
    let parent =
        |pid: i32| processes.get(&pid).and_then(|(parent, _)| i32::try_from((*parent)?).ok());
    let is_in_tree =
        |pid: i32| std::iter::successors(Some(pid), |pid| parent(*pid)).any(|pid| pid == root);
    let tree = processes.iter().filter(|(pid, _)| is_in_tree(**pid));
    tree.filter_map(|(_, (_, kib))| *kib).sum()
}

/// Returns the number in a line of the status of a process; the kernel has no memory.
fn value(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
