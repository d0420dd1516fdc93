//! Somebody else's file in the place of one that was being rewritten.
//!
//! An exchange leaves in the scratch folder what had the name before. Mostly that is
//! the file that was read, which is removed. If somebody has put another one in its
//! place meanwhile, it is theirs and is kept; and should the process die just then,
//! the next one must be able to tell the two apart. So the temporary's name says
//! which files it may stand for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Context, Disk, DiskError};

/// What stands between the words of such a name: temporary, own inode, known inode, name of the place.
const MARK: char = '~';
/// How many words it has.
const WORDS: usize = 4;

impl Disk {
    /// Gives a temporary a name that tells, also after the death of this process, what it may stand
    /// for: itself, or the `known` file in the place of `path`. Anything else was displaced.
    pub(super) fn mark(
        &self,
        temporary: &Path,
        path: &Path,
        known: u64,
    ) -> Result<PathBuf, DiskError> {
        let marked = self.find(temporary).and_then(|meta| {
            let own = meta.map_or(known, |meta| meta.stamp.inode);
            let mut name = temporary.file_name().unwrap_or_default().to_owned();
            name.push(format!("{MARK}{own}{MARK}{known}{MARK}"));
            name.push(path.file_name().unwrap_or_default());
            let marked = temporary.with_file_name(name);
            self.rename_to_own(temporary, &marked).context("rename", temporary)?;
            Ok(marked)
        });
        if marked.is_err() {
            self.abandon(temporary);
        }
        marked
    }

    /// Returns the name of the file that somebody put in the place of one that was being rewritten, if
    /// that is what a file of the scratch folder is.
    pub(crate) fn displaced(&self, temporary: &Path) -> Result<Option<OsString>, DiskError> {
        let name = temporary.file_name().unwrap_or_default().to_string_lossy();
        let mut words = name.splitn(WORDS, MARK).skip(1);
        let (Some(own), Some(known), Some(place)) = (words.next(), words.next(), words.next())
        else {
            return Ok(None);
        };
        let Some(meta) = self.find(temporary)? else { return Ok(None) };
        let is = |inode: &str| inode.parse() == Ok(meta.stamp.inode);
        Ok((!is(own) && !is(known)).then(|| place.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::{DAEMON_PREFIX, RealFs, Rewritten};

    #[test]
    fn after_a_crash_only_what_was_displaced_is_somebody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let (path, other) = (folder.path().join("a.json"), folder.path().join("b.json"));
        disk.create(&path, b"known").unwrap();
        let known = disk.find(&path).unwrap().unwrap().stamp.inode;
        let temporary = || disk.temporary(b"new").unwrap();
        // Before the exchange, and after it.
        let marked = disk.mark(&temporary(), &path, known).unwrap();
        assert_eq!(disk.displaced(&marked).unwrap(), None);
        disk.exchange(&marked, &path, Some(known)).unwrap();
        assert_eq!(disk.displaced(&marked).unwrap(), None);
        // Another one is there by then.
        let known = disk.find(&path).unwrap().unwrap().stamp.inode;
        disk.create(&other, b"foreign").unwrap();
        disk.unlink(&path).unwrap();
        disk.shift(&other, &path).unwrap();
        let marked = disk.mark(&temporary(), &path, known).unwrap();
        disk.exchange(&marked, &path, Some(known)).unwrap();
        assert_eq!(disk.displaced(&marked).unwrap(), Some("a.json".into()));
        // As rewriting does it; and a name that nobody marked is nobody's.
        assert!(matches!(disk.rewrite(&path, Some(u64::MAX), b"x"), Ok(Rewritten::Displaced(_))));
        assert_eq!(disk.displaced(&temporary()).unwrap(), None);
    }
}
