//! A real file system that is small, to test a full disk.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Rig;
use super::process::Process;

/// Mounts the disk, prints a line and keeps running, because the mount is removed with the last
/// process in its namespace.
const MOUNT: &str =
    "mount -t tmpfs -o mode=700,\"$1\" tmpfs \"$0\" && echo mounted && exec sleep 86400";
/// The file that fills the disk.
pub(crate) const FILLER: &str = "filler";

/// A small disk in its own mount namespace, in which commands can be run.
pub(crate) struct SmallDisk {
    holder: Process,
    place: PathBuf,
    is_root: bool,
}

impl SmallDisk {
    /// Mounts a tmpfs of this size at `place`; `None` if this system does not allow it.
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

    /// Returns a command that runs in the namespace of the disk.
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

    /// Returns a path on the disk as seen from outside its namespace.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.pid().as_raw_nonzero());
        Path::new(&root).join(self.place.strip_prefix("/").unwrap()).join(name)
    }

    /// Fills the disk completely.
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
