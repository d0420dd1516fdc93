//! The spool's disk is full for a while: a real one, which is too small.

#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::lives::{JOB, NOTE};
use crate::rig::process::Process;
use crate::rig::{Rig, make_folder, wait, wait_until};

/// Mounts the disk, says so, and stays, because the mount goes with the last process that sees it.
const MOUNT: &str =
    "mount -t tmpfs -o size=1m,mode=700 tmpfs \"$0\" && echo mounted && exec sleep 86400";
/// What to do where nothing can be mounted.
const REMEDY: &str = "not tried: the spool on a full disk. It takes a mount of its own: run as root, or allow user \
                      namespaces (in a container --cap-add=SYS_ADMIN)";
/// What takes all the room.
const FILLER: &str = "filler";

/// A small disk in a world of its own, in which commands can be run.
struct SmallDisk {
    holder: Process,
    place: PathBuf,
    is_root: bool,
}

impl SmallDisk {
    /// Returns a disk at `place`, if one can be mounted here.
    fn mount(rig: &Rig, place: PathBuf) -> Option<SmallDisk> {
        let is_root = rustix::process::geteuid().is_root();
        let mut options = vec!["--mount", "--propagation", "private"];
        if !is_root {
            options.push("--map-root-user");
        }
        if !Command::new("unshare")
            .args(&options)
            .args(["sh", "-c", "mount -t tmpfs tmpfs /mnt"])
            .output()
            .ok()?
            .status
            .success()
        {
            return None;
        }
        let mut unshare = Command::new("unshare");
        unshare.args(&options).args(["sh", "-c", MOUNT]).arg(&place);
        let holder = Process::start(unshare, &rig.path("logs"), "holder");
        holder.wait_for("the mount", |log| log.contains("mounted").then_some(()));
        Some(SmallDisk { holder, place, is_root })
    }

    /// Returns a command as it runs where the disk is seen.
    fn within(&self, command: &Command) -> Command {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["--target", &self.holder.pid().as_raw_nonzero().to_string(), "--mount"]);
        if !self.is_root {
            nsenter.args(["--user", "--preserve-credentials"]);
        }
        nsenter.arg("--").arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => nsenter.env(name, value),
                None => nsenter.env_remove(name),
            };
        }
        nsenter
    }

    /// Returns a path on the disk as it is seen from outside.
    fn path(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.pid().as_raw_nonzero());
        Path::new(&root).join(self.place.strip_prefix("/").unwrap()).join(name)
    }

    /// Fills the disk to its last byte.
    fn fill(&self) {
        let mut filler = File::create(self.path(FILLER)).unwrap();
        let zeros = [0; 4096];
        let full = loop {
            if let Err(error) = filler.write(&zeros) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    fn entries(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Returns what `status` says.
fn status(rig: &Rig, disk: &SmallDisk) -> Value {
    let output = disk.within(&rig.mig_runner("runner.cfg", &["status", "--json"])).output();
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}

#[test]
fn a_spool_on_a_full_disk_loses_nothing_and_catches_up_by_itself() {
    let mut rig = Rig::new();
    rig.scan_every(1);
    make_folder(&rig.home("spool"));
    rig.plugin("note", NOTE);
    rig.job("job", JOB);
    let Some(disk) = SmallDisk::mount(&rig, rig.home("spool")) else {
        // Also where the test runner keeps what tests print to itself.
        return writeln!(std::io::stderr(), "{REMEDY}").unwrap();
    };
    let command = disk.within(&rig.mig_runner("runner.cfg", &[]));
    let runner = Process::start(command, &rig.path("logs"), "runner");
    runner.wait_said("ready", &[]);
    let trigger = || disk.within(&rig.mig_runner("runner.cfg", &["trigger", "job"])).output();
    let triggered = trigger().unwrap();
    assert!(triggered.status.success(), "{triggered:?}");
    let file = format!("{}.json", String::from_utf8(triggered.stdout).unwrap().trim());
    let is_in = |folder: &str| disk.entries(folder).contains(&file);
    wait_until("an action in flight", || is_in("action/inflight"));
    wait_until("the agent's answer", || rig.database().is_completed("mig-runner: job"));
    assert_eq!(status(&rig, &disk)["degraded"], false);

    disk.fill();
    let place = |folder: &str| disk.path(folder).join(&file);
    fs::rename(place("action/inflight"), place("action/done")).unwrap();
    let failed = runner.wait_said("cannot look at entry", &[("error", "No space left")]);
    assert!(failed["folder"].as_str().unwrap().contains(&file), "{failed}");
    let report = wait("a degraded runner", || {
        Some(status(&rig, &disk)).filter(|report| report["degraded"] == true)
    });
    let attention = report["attention"].to_string();
    assert!(attention.contains("degraded") && attention.contains("nearly full"), "{attention}");
    // What cannot be written down is not begun.
    assert!(!trigger().unwrap().status.success());
    assert!(is_in("action/done") && disk.entries("command/ready").is_empty());

    fs::remove_file(disk.path(FILLER)).unwrap();
    wait_until("the end of the run", || is_in("command/done"));
    runner.wait_said("the disk does again what it is asked", &[]);
    wait_until("a runner at ease", || status(&rig, &disk)["degraded"] == false);
    // It scans every second, and tells of it every half minute at the most.
    assert!(runner.said("cannot look at entry", &[]).len() <= 3);
    runner.stop(Signal::TERM);
    assert_eq!(disk.entries(".tmp"), [""; 0]);
    assert_eq!(rig.database().names(), ["mig-runner: job"]);
    assert_eq!(rig.left("notes").lines().count(), 1);
}
