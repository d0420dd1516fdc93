//! The real file system with counters of its calls, for tests.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::{Entry, FolderStamp, FreeSpace, Fs, FsFile, Lock, Meta, RealFs};

/// A file system that counts its calls.
#[derive(Debug, Default)]
pub(crate) struct CountingFs {
    metas: AtomicUsize,
    reads: AtomicUsize,
    names: AtomicUsize,
    syncs: Arc<Syncs>,
    space: Mutex<Option<FreeSpace>>,
    on_make_folder: OnMakeFolder,
}

/// The fsyncs of files and folders.
#[derive(Debug, Default)]
struct Syncs {
    /// Number of fsyncs of files.
    files: AtomicUsize,
    /// Whether they fail.
    fail: AtomicBool,
    /// The folder of each fsync of a folder.
    folders: Mutex<Vec<PathBuf>>,
}

/// A file whose fsyncs are counted.
#[derive(Debug)]
struct CountedFile {
    file: Box<dyn FsFile>,
    syncs: Arc<Syncs>,
}

impl FsFile for CountedFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs.files.fetch_add(1, Ordering::Relaxed);
        if self.syncs.fail.load(Ordering::Relaxed) {
            return Err(io::Error::other("a failing disk"));
        }
        self.file.sync()
    }

    fn cut(&mut self, size: u64) -> io::Result<()> {
        self.file.cut(size)
    }
}

/// An action to run when the next folder is created.
#[derive(Default)]
struct OnMakeFolder(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl std::fmt::Debug for OnMakeFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnMakeFolder")
    }
}

impl CountingFs {
    /// Returns the number of names whose metadata was read.
    pub(crate) fn metas(&self) -> usize {
        self.metas.load(Ordering::Relaxed)
    }

    /// Returns the number of files that were opened for reading.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// Returns the number of names in the folders that were listed.
    pub(crate) fn names(&self) -> usize {
        self.names.load(Ordering::Relaxed)
    }

    /// Returns how often a folder was synced.
    pub(crate) fn folder_syncs(&self, path: &Path) -> usize {
        self.syncs.folders.lock().unwrap().iter().filter(|synced| *synced == path).count()
    }

    /// Returns the number of fsyncs of files and folders.
    pub(crate) fn syncs(&self) -> usize {
        self.syncs.files.load(Ordering::Relaxed) + self.syncs.folders.lock().unwrap().len()
    }

    /// Makes the fsyncs of files fail from now on.
    pub(crate) fn fail_file_syncs(&self) {
        self.syncs.fail.store(true, Ordering::Relaxed);
    }

    fn counted(&self, file: Box<dyn FsFile>) -> Box<dyn FsFile> {
        Box::new(CountedFile { file, syncs: Arc::clone(&self.syncs) })
    }

    /// Reports this free space from now on.
    pub(crate) fn set_free_space(&self, space: FreeSpace) {
        *self.space.lock().unwrap() = Some(space);
    }

    /// Runs `act` just before the next folder is created, as another process might.
    pub(crate) fn on_next_make_folder(&self, act: impl FnOnce() + Send + 'static) {
        *self.on_make_folder.0.lock().unwrap() = Some(Box::new(act));
    }

    /// Sets all counters to zero.
    pub(crate) fn reset(&self) {
        self.metas.store(0, Ordering::Relaxed);
        self.reads.store(0, Ordering::Relaxed);
        self.names.store(0, Ordering::Relaxed);
        self.syncs.files.store(0, Ordering::Relaxed);
        self.syncs.folders.lock().unwrap().clear();
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

    fn folder_stamp(&self, path: &Path) -> io::Result<Option<FolderStamp>> {
        self.metas.fetch_add(1, Ordering::Relaxed);
        RealFs.folder_stamp(path)
    }

    fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        RealFs.link_target(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let entries = RealFs.list(path)?;
        self.names.fetch_add(entries.len(), Ordering::Relaxed);
        Ok(entries)
    }

    fn for_each_name(&self, path: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        RealFs.for_each_name(path, &mut |name| {
            self.names.fetch_add(1, Ordering::Relaxed);
            each(name);
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(self.counted(RealFs.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(self.counted(RealFs.open(path)?))
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

    fn free_space(&self, path: &Path) -> io::Result<FreeSpace> {
        match *self.space.lock().unwrap() {
            Some(space) => Ok(space),
            None => RealFs.free_space(path),
        }
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        RealFs.exchange(one, other)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        RealFs.unlink(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.syncs.folders.lock().unwrap().push(path.to_owned());
        RealFs.sync_folder(path)
    }

    fn syncs_at_once(&self) -> usize {
        RealFs.syncs_at_once()
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        if let Some(act) = self.on_make_folder.0.lock().unwrap().take() {
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
