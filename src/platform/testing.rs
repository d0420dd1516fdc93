//! What the tests of the platform share.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory that is soon full; only root can mount it.
#[derive(Debug)]
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of `size_kib` KiB at `path`.
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
        // A file that is still open keeps a plain unmount from succeeding.
        let mut unmount = Command::new("umount");
        unmount.arg("--lazy").arg(&self.0).status().unwrap();
    }
}
