//! A disk that the runner's own expired files have filled: a start removes them, and the runner
//! works.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs::{self, File, FileTimes};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::NEVER;
use crate::rig::disk::SmallDisk;
use crate::rig::process::Process;
use crate::rig::{Rig, make_folder, wait, wait_until, write};

/// The age of the documents.
const AGE: Duration = Duration::from_secs(40 * 86_400);

/// A runner that has everything on one small disk: spool, results, log and GnuPG home.
struct SmallInstallation {
    // Dropped first: after a failure it shows its log, which is in the folder of the rig.
    disk: SmallDisk,
    rig: Rig,
}

impl SmallInstallation {
    /// Returns an installation whose runner has run and stopped, if a disk can be mounted here.
    fn new() -> Option<SmallInstallation> {
        let mut rig = Rig::new();
        let place = rig.path("s");
        make_folder(&place);
        let Some(disk) = SmallDisk::mount(&rig, place.clone(), "nr_inodes=400") else {
            eprintln!("skipped: this test must mount a disk");
            return None;
        };
        for name in ["d", "d/plugins", "d/results", "d/runners", "d/runners/job", "g"] {
            make_folder(&disk.path(name));
        }
        rig.log_to_file(&place.join("log"));
        let metrics = place.join("metrics.prom");
        rig.configure(&format!(
            "[retention]\nresults = 30d\n[metrics]\ntextfile = {}",
            metrics.display()
        ));
        rig.write_config("runner.cfg", "s/d", "spool");
        add_job(&disk.path("d/runners/job"));
        let copied = Command::new("sh")
            .args(["-c", "cd \"$0\" && tar -c --exclude='S.*' . | tar -x -C \"$1\""])
            .args([rig.key.home(), &disk.path("g")])
            .status();
        assert!(copied.unwrap().success());
        let migrc = fs::read_to_string(rig.path("migrc")).unwrap();
        let home = |path: &Path| format!("home = {}", path.display());
        write(&rig.path("migrc"), migrc.replace(&home(rig.key.home()), &home(&place.join("g"))));
        let installation = SmallInstallation { disk, rig };
        let runner = installation.start();
        installation.wait_logged("\"ready\"");
        wait_until("metrics", || installation.disk.path("metrics.prom").exists());
        runner.stop(Signal::TERM);
        installation.end_gpg_agent();
        Some(installation)
    }

    fn start(&self) -> Process {
        let command = self.disk.within(&self.rig.mig_runner("runner.cfg", &[]));
        Process::start(command, &self.rig.path("logs"), "runner")
    }

    fn trigger(&self) -> Output {
        self.disk.within(&self.rig.mig_runner("runner.cfg", &["trigger", "job"])).output().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.disk.path("log")).unwrap_or_default()
    }

    fn wait_logged(&self, text: &str) {
        wait_until(text, || self.log().contains(text));
    }

    fn end_gpg_agent(&self) {
        let home = self.rig.path("s/g").into_os_string().into_encoded_bytes();
        let is_agent = |process: &PathBuf| {
            let words = fs::read(process.join("cmdline")).unwrap_or_default();
            let has = |text: &[u8]| words.windows(text.len()).any(|part| part == text);
            has(b"gpg-agent") && has(&home)
        };
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let agents: Vec<PathBuf> = processes.filter(is_agent).collect();
        let mut gpgconf = Command::new("gpgconf");
        gpgconf.arg("--homedir").arg(self.rig.path("s/g")).args(["--kill", "all"]);
        assert!(self.disk.within(&gpgconf).status().unwrap().success());
        // Its sockets use files of the disk until its last thread has ended. It may stay as a zombie,
        // and is one already while other threads than the first are ending.
        let has_ended = |agent: &PathBuf| {
            let stat = fs::read_to_string(agent.join("stat")).unwrap_or_default();
            let threads = fs::read_dir(agent.join("task")).map_or(0, Iterator::count);
            stat.is_empty() || stat.contains(") Z ") && threads <= 1
        };
        wait_until("the end of the agent", || agents.iter().all(has_ended));
    }

    /// Adds a new job, removes the metrics, and fills the disk to its last file with expired
    /// documents.
    ///
    /// A start creates the slot records of new jobs, the metrics and perhaps the retry report; it
    /// continues if it cannot. GnuPG creates locks and the sockets of its agent; if it cannot, the
    /// runner looks for the key again later. The lock of the spool was created with the spool.
    fn fill(&self) {
        let new = self.disk.path("d/runners/new");
        make_folder(&new);
        add_job(&new);
        fs::remove_file(self.disk.path("metrics.prom")).unwrap();
        let day = self.disk.path("d/results/20260101");
        make_folder(&day);
        let old = FileTimes::new().set_modified(SystemTime::now() - AGE);
        let full =
            (1..).find_map(|number| match File::create(day.join(format!("{number}.json"))) {
                Ok(document) => document.set_times(old).err(),
                Err(error) => Some(error),
            });
        assert_eq!(full.unwrap().kind(), ErrorKind::StorageFull);
    }

    /// Checks that a triggered run is sent.
    fn check_run(&self) {
        let triggered = wait("a spool with room", || {
            Some(self.trigger()).filter(|output| output.status.success())
        });
        let file = format!("{}.json", String::from_utf8(triggered.stdout).unwrap().trim());
        wait_until("the end of the run", || {
            self.disk.entries("d/spool/action/inflight").contains(&file)
                || self.disk.entries("d/spool/command/done").contains(&file)
        });
        wait_until("metrics", || self.disk.path("metrics.prom").exists());
        wait_until("the action", || self.rig.database().is_completed("mig-runner: job"));
    }
}

/// Writes the files of a job that is never due.
fn add_job(folder: &Path) {
    write(&folder.join("entity.cfg"), format!("[configuration]\n{NEVER}\nexpiry = 30m\n"));
    write(&folder.join("action.json"), crate::rig::action("/nonexistent").to_string());
}

#[test]
fn start_on_a_full_disk_removes_expired_documents_and_finds_the_key() {
    let Some(installation) = SmallInstallation::new() else { return };
    installation.fill();
    assert!(!installation.trigger().status.success(), "the disk is full");
    let runner = installation.start();
    installation.wait_logged("cannot use the key yet; removing expired files first");
    installation.wait_logged("removed expired files");
    installation.check_run();
    runner.stop(Signal::TERM);
    installation.end_gpg_agent();
}

#[test]
fn runner_starts_on_a_full_disk_without_its_log_file() {
    let Some(installation) = SmallInstallation::new() else { return };
    fs::remove_file(installation.disk.path("log")).unwrap();
    installation.fill();
    let runner = installation.start();
    // The file is created as soon as there is room.
    installation.wait_logged("log file is writable again; earlier lines went to stderr");
    let messages = runner.messages();
    for text in ["cannot write log file; logging to stderr", "No space left", "\"starting\""] {
        assert!(messages.contains(text), "{text}: {messages}");
    }
    installation.check_run();
    // A rename as by logrotate, when no new file can be created.
    fs::rename(installation.disk.path("log"), installation.disk.path("log.old")).unwrap();
    let filler = installation.disk.path("filler");
    make_folder(&filler);
    (0..).find(|number| File::create(filler.join(number.to_string())).is_err());
    runner.signal(Signal::HUP);
    wait_until("the log on stderr", || runner.messages().contains("cannot reopen the log"));
    fs::remove_dir_all(&filler).unwrap();
    runner.signal(Signal::HUP);
    installation.wait_logged("reloading");
    runner.stop(Signal::TERM);
    installation.end_gpg_agent();
}
