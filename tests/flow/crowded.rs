//! A disk that the runner's own old files have filled: a start removes them, and works.

#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

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

/// How old the documents are.
const AGE: Duration = Duration::from_secs(40 * 86_400);

/// A runner that has everything on one small disk: spool, results, log and GnuPG home.
struct Crowded {
    rig: Rig,
    disk: SmallDisk,
}

impl Crowded {
    /// Returns an installation that was in use until it was stopped, if a disk can be mounted here.
    fn new() -> Option<Crowded> {
        let mut rig = Rig::new();
        let place = rig.path("s");
        make_folder(&place);
        let Some(disk) = SmallDisk::mount(&rig, place.clone(), "nr_inodes=400") else {
            eprintln!("skipped: it takes a mount of its own");
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
        let crowded = Crowded { rig, disk };
        let runner = crowded.start();
        crowded.wait_logged("\"ready\"");
        runner.stop(Signal::TERM);
        crowded.end_agent();
        Some(crowded)
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

    fn end_agent(&self) {
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
        // Its sockets take up files until it has closed them. Nobody may have waited for it.
        let has_ended = |agent: &PathBuf| {
            let stat = fs::read_to_string(agent.join("stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        wait_until("the end of the agent", || agents.iter().all(has_ended));
    }

    /// Adds a job that no runner has seen, removes what a start makes unless it is there, and fills the disk
    /// to its last file with old documents.
    ///
    /// A start makes or replaces the stamps of new jobs, the metrics and, if something is tried again, its
    /// report. That they cannot be made ends no start. GnuPG makes locks and its agent's sockets: the key is
    /// looked for again. The lock of the spool was made with the spool.
    fn fill(&self) {
        let young = self.disk.path("d/runners/young");
        make_folder(&young);
        add_job(&young);
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

    /// Checks that a run that is triggered comes to its end.
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
fn a_disk_full_of_old_documents_is_cleared_at_start_and_the_key_is_found_again() {
    let Some(crowded) = Crowded::new() else { return };
    crowded.fill();
    assert!(!crowded.trigger().status.success(), "the disk is full");
    let runner = crowded.start();
    crowded.wait_logged("cannot use the key yet, what is old is removed first");
    crowded.wait_logged("removed what was old");
    crowded.check_run();
    runner.stop(Signal::TERM);
    crowded.end_agent();
}

#[test]
fn a_log_file_that_cannot_be_made_on_a_full_disk_does_not_end_the_start() {
    let Some(crowded) = Crowded::new() else { return };
    fs::remove_file(crowded.disk.path("log")).unwrap();
    crowded.fill();
    let runner = crowded.start();
    // It is made as soon as there is room.
    crowded.wait_logged("log file is writable again; earlier lines went to stderr");
    let said = runner.messages();
    for text in ["cannot write log file; logging to stderr", "No space left", "\"starting\""] {
        assert!(said.contains(text), "{text}: {said}");
    }
    crowded.check_run();
    // After a rename, as logrotate does it, where no new file can be made.
    fs::rename(crowded.disk.path("log"), crowded.disk.path("log.old")).unwrap();
    let filler = crowded.disk.path("filler");
    make_folder(&filler);
    (0..).find(|number| File::create(filler.join(number.to_string())).is_err());
    runner.signal(Signal::HUP);
    wait_until("the log on stderr", || runner.messages().contains("cannot reopen the log"));
    fs::remove_dir_all(&filler).unwrap();
    runner.signal(Signal::HUP);
    crowded.wait_logged("reloading");
    runner.stop(Signal::TERM);
    crowded.end_agent();
}
