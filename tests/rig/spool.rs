//! The content of the spool, and what operators do with it.

#![expect(clippy::disallowed_methods, reason = "tests do what operators do")]

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::{POLL_SPAN, Rig, TIMEOUT, wait_until};

/// The folders of a spool, in the order in which a run goes through them.
const FOLDERS: [&str; 8] = [
    "action/new",
    "action/inflight",
    "action/done",
    "action/invalid",
    "command/ready",
    "command/inflight",
    "command/returned",
    "command/done",
];

impl Rig {
    /// Returns the entries in a folder of the spool, without `.json`.
    pub(crate) fn entries(&self, folder: &str) -> Vec<String> {
        let entries = match fs::read_dir(self.home("spool").join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            Err(error) => panic!("{folder}: {error}"),
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> =
            names.map(|name| name.strip_suffix(".json").unwrap_or(&name).to_owned()).collect();
        names.sort();
        names
    }

    /// Returns all entries of the spool, as `folder entry`.
    pub(crate) fn spool(&self) -> Vec<String> {
        let entries = FOLDERS.iter().flat_map(|folder| {
            self.entries(folder).into_iter().map(move |entry| format!("{folder} {entry}"))
        });
        entries.collect()
    }

    /// Waits until a run is in a folder; returns its record.
    pub(crate) fn wait_in(&self, folder: &str, run: &str) -> Value {
        let path = self.entry(folder, run);
        let begun = Instant::now();
        loop {
            // The file is read without checking for it first, because it may be moved in between.
            if let Ok(bytes) = fs::read(&path) {
                return serde_json::from_slice(&bytes).unwrap();
            }
            assert!(
                begun.elapsed() < TIMEOUT,
                "waited in vain for {run} in {folder}: {:#?}",
                self.spool()
            );
            std::thread::sleep(POLL_SPAN);
        }
    }

    /// Waits until a run has finished; returns its results document.
    pub(crate) fn wait_done(&self, run: &str) -> Value {
        self.wait_in("command/done", run);
        let record = self.wait_in("action/done", run);
        assert_eq!(record["id"], run);
        let done = self.wait_in("command/done", run);
        let document = done["document"].as_str().unwrap_or_else(|| panic!("{done}"));
        serde_json::from_slice(&fs::read(self.home(document)).unwrap()).unwrap()
    }

    /// Waits until the spool contains only the finished files of this run. A file is removed from one
    /// folder after it has been created in the next one.
    pub(crate) fn wait_only_finished(&self, run: &str) {
        let rest = [format!("action/done {run}"), format!("command/done {run}")];
        wait_until("a spool with only finished files", || self.spool() == rest);
    }

    /// Moves a run as an operator does.
    pub(crate) fn mv(&self, run: &str, from: &str, to: &str) {
        fs::rename(self.entry(from, run), self.entry(to, run)).unwrap();
    }

    /// Waits until the agent has answered the only action of this name, and ends the collection early.
    pub(crate) fn finish_early(&self, run: &str, name: &str) {
        self.wait_in("action/inflight", run);
        wait_until("the agent's answer", || self.database().is_completed(name));
        self.mv(run, "action/inflight", "action/done");
    }

    /// Checks that runners that have ended left no temporary files.
    pub(crate) fn check_clean(&self) {
        assert_eq!(self.entries(".tmp"), [""; 0]);
        let find = Command::new("find").arg(self.home("")).args(["-name", "*.part*"]).output();
        assert_eq!(String::from_utf8(find.unwrap().stdout).unwrap(), "");
    }

    /// Returns the path of a run in a folder of the spool.
    pub(crate) fn entry(&self, folder: &str, run: &str) -> PathBuf {
        self.home("spool").join(folder).join(format!("{run}.json"))
    }
}
