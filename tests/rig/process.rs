//! A process in its own process group, with a log, that is killed at the end of its test.

#![expect(clippy::disallowed_methods, reason = "tests do what operators do")]

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use super::{wait, wait_until};

/// Time limit for a process to end after TERM or INT.
const STOP_SPAN: Duration = Duration::from_secs(5);

/// A process and its output.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    messages: PathBuf,
}

impl Process {
    /// Starts a process whose output goes to its own files in the folder `logs`.
    pub(crate) fn start(mut command: Command, logs: &Path, name: &str) -> Process {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = logs.join(format!("{name}-{number}.log"));
        let messages = logs.join(format!("{name}-{number}.err"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .stderr(File::create(&messages).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        Process { child, log, messages }
    }

    /// Returns its standard output so far.
    pub(crate) fn output(&self) -> String {
        self.text()
    }

    fn text(&self) -> String {
        String::from_utf8(fs::read(&self.log).unwrap()).unwrap()
    }

    /// Returns its standard error so far.
    pub(crate) fn messages(&self) -> String {
        fs::read_to_string(&self.messages).unwrap()
    }

    /// Waits until `found` returns a value for its log.
    pub(crate) fn wait_for<T>(&self, what: &str, found: impl Fn(&str) -> Option<T>) -> T {
        wait(what, || found(&self.text()))
    }

    /// Returns the records of its log with this message whose values for these keys contain these texts.
    pub(crate) fn logged(&self, message: &str, values: &[(&str, &str)]) -> Vec<Value> {
        let text = self.text();
        // The last line may be incomplete.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let records = whole.lines().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        });
        let is_meant = |record: &Value| {
            let has = |(key, part): &(&str, &str)| {
                record[key].as_str().is_some_and(|text| text.contains(part))
            };
            record["message"] == message && values.iter().all(has)
        };
        records.filter(is_meant).collect()
    }

    /// Waits for such a record; returns the first one.
    pub(crate) fn wait_logged(&self, message: &str, values: &[(&str, &str)]) -> Value {
        wait(&format!("the record {message:?} {values:?}"), || {
            self.logged(message, values).into_iter().next()
        })
    }

    /// Waits until there are `times` such records.
    pub(crate) fn wait_logged_times(&self, times: usize, message: &str, values: &[(&str, &str)]) {
        wait_until(&format!("{times} times the record {message:?} {values:?}"), || {
            self.logged(message, values).len() >= times
        });
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it is ready or has ended; returns whether it is ready. If the previous runner was
    /// killed, the spool may still be locked: a process that the runner had just forked holds the lock
    /// until it executes its program.
    pub(crate) fn is_ready(&mut self) -> bool {
        let is_ready = wait("the record \"ready\"", || {
            let has_ended = self.has_ended();
            let is_ready = !self.logged("ready", &[]).is_empty();
            (is_ready || has_ended).then_some(is_ready)
        });
        assert!(
            is_ready || self.messages().contains("another runner has locked"),
            "{}",
            self.messages()
        );
        is_ready
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        wait("the end of a process", || self.child.try_wait().unwrap())
    }

    /// Stops it with a signal, and checks that it ends in time and successfully.
    pub(crate) fn stop(self, signal: Signal) {
        let begun = Instant::now();
        self.signal(signal);
        let status = self.wait();
        assert!(begun.elapsed() < STOP_SPAN, "{:?}", begun.elapsed());
        assert!(status.success(), "{status}");
    }

    /// Kills only this process, as the kernel does when memory is short.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}{}", self.log.display(), self.text(), self.messages());
        }
        // The processes that it started end as well. If it has ended, its group may be empty.
        kill_process_group(self.pid(), Signal::KILL).ok();
        self.child.wait().unwrap();
    }
}
