//! The machine's file system, with a count of what was asked of it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Entry, Fs, FsFile, Lock, Meta, RealFs, Space};

/// A file system that counts.
#[derive(Debug, Default)]
pub(crate) struct CountingFs {
    metas: AtomicUsize,
    reads: AtomicUsize,
    names: AtomicUsize,
    space: Mutex<Option<Space>>,
    meanwhile: Meanwhile,
}

/// What happens when a folder is made.
#[derive(Default)]
struct Meanwhile(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl CountingFs {
    /// Returns how many names were looked at.
    pub(crate) fn metas(&self) -> usize {
        self.metas.load(Ordering::Relaxed)
    }

    /// Returns how many files were read.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// Returns how many names the folders had that were listed.
    pub(crate) fn names(&self) -> usize {
        self.names.load(Ordering::Relaxed)
    }

    /// Says from now on that so much of the disk is free.
    pub(crate) fn set_space(&self, space: Space) {
        *self.space.lock().unwrap() = Some(space);
    }

    /// Does something when the next folder is made, as somebody else would at that moment.
    pub(crate) fn when_a_folder_is_made(&self, act: impl FnOnce() + Send + 'static) {
        *self.meanwhile.0.lock().unwrap() = Some(Box::new(act));
    }

    /// Begins to count anew.
    pub(crate) fn reset(&self) {
        self.metas.store(0, Ordering::Relaxed);
        self.reads.store(0, Ordering::Relaxed);
        self.names.store(0, Ordering::Relaxed);
    }
}

impl Fs for CountingFs {
    fn reader(&self, path: &Path) -> io::Result<Box<dyn io::Read + Send>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        RealFs.reader(path)
    }

    fn meta(&self, path: &Path) -> io::Result<Meta> {
        self.metas.fetch_add(1, Ordering::Relaxed);
        RealFs.meta(path)
    }

    fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        RealFs.link_target(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let entries = RealFs.list(path)?;
        self.names.fetch_add(entries.len(), Ordering::Relaxed);
        Ok(entries)
    }

    fn visit(&self, path: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        RealFs.visit(path, &mut |name| {
            self.names.fetch_add(1, Ordering::Relaxed);
            each(name);
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        RealFs.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        RealFs.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.replace(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.hard_link(from, to)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        match *self.space.lock().unwrap() {
            Some(space) => Ok(space),
            None => RealFs.space(path),
        }
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        RealFs.exchange(one, other)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        RealFs.unlink(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        RealFs.sync_folder(path)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        if let Some(act) = self.meanwhile.0.lock().unwrap().take() {
            act();
        }
        RealFs.make_folder(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        RealFs.remove_folder(path)
    }

    fn link(&self, target: &Path, path: &Path) -> io::Result<()> {
        RealFs.link(target, path)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        RealFs.lock(path)
    }
}
