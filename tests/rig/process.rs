//! A process with a log, in a group of its own, that does not outlive its test.

#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use super::{wait, wait_until};

/// How long a process may take from TERM or INT to its end.
const STOP_SPAN: Duration = Duration::from_secs(5);

/// A process and what it says.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    messages: PathBuf,
}

impl Process {
    /// Starts a process whose log goes to a file of its own in the folder `logs`.
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

    /// Returns what it has written to its standard output.
    pub(crate) fn output(&self) -> String {
        self.text()
    }

    fn text(&self) -> String {
        String::from_utf8(fs::read(&self.log).unwrap()).unwrap()
    }

    /// Returns what it wrote to the standard error.
    pub(crate) fn messages(&self) -> String {
        fs::read_to_string(&self.messages).unwrap()
    }

    /// Waits until `found` finds something in its log.
    pub(crate) fn wait_for<T>(&self, what: &str, found: impl Fn(&str) -> Option<T>) -> T {
        wait(what, || found(&self.text()))
    }

    /// Returns the records of its log that have this message and, under these keys, texts that hold these.
    pub(crate) fn said(&self, message: &str, values: &[(&str, &str)]) -> Vec<Value> {
        let text = self.text();
        // The last line may not be whole yet.
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

    /// Waits until it has said so; returns the first such record.
    pub(crate) fn wait_said(&self, message: &str, values: &[(&str, &str)]) -> Value {
        wait(&format!("the record {message:?} {values:?}"), || {
            self.said(message, values).into_iter().next()
        })
    }

    /// Waits until it has said so this often.
    pub(crate) fn wait_said_times(&self, times: usize, message: &str, values: &[(&str, &str)]) {
        wait_until(&format!("{times} times the record {message:?} {values:?}"), || {
            self.said(message, values).len() >= times
        });
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it is ready; tells whether it came to that. One whose predecessor was killed may find
    /// the spool locked: what that was about to start holds the lock as well, until it is another program.
    pub(crate) fn is_ready(&mut self) -> bool {
        let is_ready = wait("the record \"ready\"", || {
            let has_ended = self.has_ended();
            let is_ready = !self.said("ready", &[]).is_empty();
            (is_ready || has_ended).then_some(is_ready)
        });
        assert!(
            is_ready || self.messages().contains("another runner holds"),
            "{}",
            self.messages()
        );
        is_ready
    }

    /// Tells whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it ends.
    pub(crate) fn wait(mut self) -> ExitStatus {
        wait("the end of a process", || self.child.try_wait().unwrap())
    }

    /// Asks it to stop, and checks that it does so in time and in order.
    pub(crate) fn stop(self, signal: Signal) {
        let begun = Instant::now();
        self.signal(signal);
        let status = self.wait();
        assert!(begun.elapsed() < STOP_SPAN, "{:?}", begun.elapsed());
        assert!(status.success(), "{status}");
    }

    /// Kills it, and it alone, as the system does when memory is short.
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
        // Whatever it started ends with it. Nobody is left in the group of one that has ended.
        kill_process_group(self.pid(), Signal::KILL).ok();
        self.child.wait().unwrap();
    }
}
