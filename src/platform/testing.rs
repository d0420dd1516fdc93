//! A small file system for tests of full disks.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system of a few KiB in memory; only root can mount it.
#[derive(Debug)]
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(path: &Path, size_kib: u32) -> SmallDisk {
        let options = format!("size={size_kib}k,mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path);
        assert!(mount.status().unwrap().success(), "{mount:?}");
        SmallDisk(path.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A plain unmount fails while a file is open.
        let mut unmount = Command::new("umount");
        unmount.arg("--lazy").arg(&self.0).status().unwrap();
    }
}
