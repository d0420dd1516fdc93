//! A real disk that is too small.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Rig;
use super::process::Process;

/// Mounts the disk, says so, and stays, because the mount goes with the last process that sees it.
const MOUNT: &str =
    "mount -t tmpfs -o mode=700,\"$1\" tmpfs \"$0\" && echo mounted && exec sleep 86400";
/// What takes all the room.
pub(crate) const FILLER: &str = "filler";

/// A small disk in a world of its own, in which commands can be run.
pub(crate) struct SmallDisk {
    holder: Process,
    place: PathBuf,
    is_root: bool,
}

impl SmallDisk {
    /// Returns a disk at `place` with these options of a tmpfs, if one can be mounted here.
    pub(crate) fn mount(rig: &Rig, place: PathBuf, size: &str) -> Option<SmallDisk> {
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
        unshare.args(&options).args(["sh", "-c", MOUNT]).arg(&place).arg(size);
        let holder = Process::start(unshare, &rig.path("logs"), "holder");
        holder.wait_for("the mount", |log| log.contains("mounted").then_some(()));
        Some(SmallDisk { holder, place, is_root })
    }

    /// Returns a command as it runs where the disk is seen.
    pub(crate) fn within(&self, command: &Command) -> Command {
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
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.pid().as_raw_nonzero());
        Path::new(&root).join(self.place.strip_prefix("/").unwrap()).join(name)
    }

    /// Fills the disk to its last byte.
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.path(FILLER)).unwrap();
        let zeros = [0; 4096];
        let full = loop {
            if let Err(error) = filler.write(&zeros) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    /// Returns the names in a folder on the disk.
    pub(crate) fn entries(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}
