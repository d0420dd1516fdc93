//! Temporary files in the scratch folder.
//!
//! After the exchange of a rewrite, the temporary's name refers to the file that was at the path
//! before. Usually that is the file that was read, which is then removed. But another process may
//! have put a file of its own there in the meantime. That displaced file must be kept, even if
//! this process dies just then. So the name of the temporary records the inodes of the two files
//! that it may legitimately refer to, and a later process can tell a displaced file from them.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::{Context, Disk, DiskError, FsFile};

/// Separates the fields of such a name: temporary, its own inode, expected inode, name of the file.
const SEPARATOR: char = '~';
const FIELDS: usize = 4;

impl Disk {
    /// Writes a temporary file and makes its content durable.
    pub(super) fn write_temporary(&self, bytes: &[u8]) -> Result<PathBuf, DiskError> {
        let (path, mut file) = self.begin_temporary(bytes)?;
        let synced = file.sync();
        if synced.is_err() {
            self.remove_temporary(&path);
        }
        synced.context("write", &path)?;
        Ok(path)
    }

    /// Writes a temporary file that is not durable yet.
    pub(super) fn begin_temporary(
        &self,
        bytes: &[u8],
    ) -> Result<(PathBuf, Box<dyn FsFile>), DiskError> {
        let unremoved =
            std::mem::take(&mut *self.unremoved.lock().unwrap_or_else(PoisonError::into_inner));
        unremoved.iter().for_each(|temporary| self.remove_temporary(temporary));
        let (path, mut file) = self.create_temporary()?;
        let written = file.append(bytes);
        if written.is_err() {
            self.remove_temporary(&path);
        }
        written.context("write", &path)?;
        Ok((path, file))
    }

    /// Creates a temporary file. A file of a process that died may have the same name, because
    /// process ids are reused.
    pub(super) fn create_temporary(&self) -> Result<(PathBuf, Box<dyn FsFile>), DiskError> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{}-{number}", self.prefix, std::process::id());
            let path = self.scratch.join(name);
            match self.fs.create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return Ok((path.clone(), made.context("create", &path)?)),
            }
        }
    }

    /// Removes a temporary file that is no longer needed. A failure is not reported: the removal is
    /// retried with the next temporary file, and the next start empties the scratch folder.
    pub(super) fn remove_temporary(&self, temporary: &Path) {
        match self.fs.unlink(temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.unremoved
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(temporary.to_owned());
            }
            _ => {}
        }
    }

    /// Renames a temporary file so that its name records its own inode and the `expected` inode of
    /// the file at `path`. After the exchange, a file with any other inode was displaced.
    pub(super) fn record_inodes(
        &self,
        temporary: &Path,
        path: &Path,
        expected: u64,
    ) -> Result<PathBuf, DiskError> {
        let renamed = self.find(temporary).and_then(|meta| {
            let own = meta.map_or(expected, |meta| meta.stamp.inode);
            let mut name = temporary.file_name().unwrap_or_default().to_owned();
            name.push(format!("{SEPARATOR}{own}{SEPARATOR}{expected}{SEPARATOR}"));
            name.push(path.file_name().unwrap_or_default());
            let renamed = temporary.with_file_name(name);
            self.rename_if_unused(temporary, &renamed).context("rename", temporary)?;
            Ok(renamed)
        });
        if renamed.is_err() {
            self.remove_temporary(temporary);
        }
        renamed
    }

    /// Returns the original name of a displaced file; `None` for any other temporary file.
    pub(crate) fn displaced_name(&self, temporary: &Path) -> Result<Option<OsString>, DiskError> {
        let name = temporary.file_name().unwrap_or_default().to_string_lossy();
        let mut fields = name.splitn(FIELDS, SEPARATOR).skip(1);
        let (Some(own), Some(expected), Some(original)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Ok(None);
        };
        let Some(meta) = self.find(temporary)? else { return Ok(None) };
        let is = |inode: &str| inode.parse() == Ok(meta.stamp.inode);
        Ok((!is(own) && !is(expected)).then(|| original.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::{Committed, DAEMON_PREFIX, RealFs};

    #[test]
    fn only_displaced_files_are_reported_as_displaced_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let (path, other) = (folder.path().join("a.json"), folder.path().join("b.json"));
        disk.create(&path, b"known").unwrap();
        let known = disk.find(&path).unwrap().unwrap().stamp.inode;
        let temporary = || disk.write_temporary(b"new").unwrap();
        // Before the exchange, and after it.
        let named = disk.record_inodes(&temporary(), &path, known).unwrap();
        assert_eq!(disk.displaced_name(&named).unwrap(), None);
        disk.exchange(&named, &path, Some(known)).unwrap();
        assert_eq!(disk.displaced_name(&named).unwrap(), None);
        // Another process has put a file there.
        let known = disk.find(&path).unwrap().unwrap().stamp.inode;
        disk.create(&other, b"foreign").unwrap();
        disk.unlink(&path).unwrap();
        disk.rename(&other, &path).unwrap();
        let named = disk.record_inodes(&temporary(), &path, known).unwrap();
        disk.exchange(&named, &path, Some(known)).unwrap();
        assert_eq!(disk.displaced_name(&named).unwrap(), Some("a.json".into()));
        // The same through `rewrite`; and a temporary without recorded inodes.
        assert!(matches!(disk.rewrite(&path, Some(u64::MAX), b"x"), Ok(Committed::Displaced(_))));
        assert_eq!(disk.displaced_name(&temporary()).unwrap(), None);
    }
}
