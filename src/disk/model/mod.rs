//! A file system in memory that forgets what was not synced, and that fails at the calls that a
//! test chooses.
//!
//! Each change of names is atomic. After a power cut, changes that were not fsynced have happened
//! or not, in any combination, and data that was not fsynced is missing, zeros, truncated or
//! complete. If only the process dies, everything survives.

mod calls;
mod fault_injection;
mod tests;
mod tree;

use std::collections::BTreeSet;
use std::hash::Hasher;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

pub(crate) use fault_injection::{CallKind, FaultInjector, InjectedFault};
use tree::{Body, Inode, Torn, Tree};

use super::fs::{Entry, FreeSpace, Safeguard};

/// The clock of the files.
pub(crate) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A file system in memory; clones share its content.
#[derive(Clone)]
pub(crate) struct ModelFs {
    shared: Arc<Shared>,
}

struct Shared {
    tree: Mutex<Tree>,
    locks: Arc<Mutex<BTreeSet<Inode>>>,
    faults: Arc<FaultInjector>,
    now: Now,
    ticks: Mutex<u32>,
    left_out: Option<Safeguard>,
    old_kernel: bool,
    space: Mutex<FreeSpace>,
}

impl std::fmt::Debug for ModelFs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ModelFs")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ModelFs {
    /// Returns an empty file system with `now` as its clock; `faults` counts its calls.
    pub(crate) fn new(faults: Arc<FaultInjector>, now: Now) -> ModelFs {
        let tree = Tree::new(now());
        ModelFs::of(Shared {
            tree: Mutex::new(tree),
            locks: Arc::default(),
            faults,
            now,
            ticks: Mutex::new(0),
            left_out: None,
            old_kernel: false,
            space: Mutex::new(FreeSpace { bytes: 0.5, files: 0.5 }),
        })
    }

    fn of(shared: Shared) -> ModelFs {
        ModelFs { shared: Arc::new(shared) }
    }

    /// Returns a copy of this file system that disables a safeguard of its users.
    pub(crate) fn without(&self, safeguard: Safeguard) -> ModelFs {
        ModelFs::of(Shared { left_out: Some(safeguard), ..self.copy(self.tree().clone()) })
    }

    /// Returns a copy of this file system that supports only plain renames and hard links.
    pub(crate) fn with_old_kernel(&self) -> ModelFs {
        ModelFs::of(Shared { old_kernel: true, ..self.copy(self.tree().clone()) })
    }

    fn copy(&self, tree: Tree) -> Shared {
        let shared = &self.shared;
        Shared {
            tree: Mutex::new(tree),
            locks: Arc::default(),
            faults: Arc::new(FaultInjector::new()),
            now: Arc::clone(&shared.now),
            ticks: Mutex::new(*lock(&shared.ticks)),
            left_out: shared.left_out,
            old_kernel: shared.old_kernel,
            space: Mutex::new(*lock(&shared.space)),
        }
    }

    pub(crate) fn faults(&self) -> &Arc<FaultInjector> {
        &self.shared.faults
    }

    pub(crate) fn set_free_space(&self, space: FreeSpace) {
        *lock(&self.shared.space) = space;
    }

    /// Makes everything durable, as an operating system eventually does.
    pub(crate) fn sync_all(&self) {
        self.tree().sync_all();
    }

    /// Returns, for each change of names that is not durable, whether it affects more than the
    /// folder `minor`.
    pub(crate) fn pending(&self, minor: &Path) -> Vec<bool> {
        let tree = self.tree();
        let minor = tree.find(minor).ok();
        tree.pending(minor)
    }

    /// Hashes all visible files except those in the folder `minor`.
    pub(crate) fn digest(&self, minor: &Path, hasher: &mut impl Hasher) {
        let tree = self.tree();
        let minor = tree.find(minor).ok();
        tree.digest(minor, hasher);
    }

    /// Returns the state after a power cut. Of the changes of names that are not durable, number N
    /// survives if `kept(N)`; numbers from `draw` decide what remains of unsynced data. The clock
    /// of the returned file system is `now`.
    pub(crate) fn after_cut(
        &self,
        now: &Now,
        kept: impl FnMut(usize) -> bool,
        mut draw: impl FnMut() -> u64,
    ) -> ModelFs {
        let torn = || match draw() % 4 {
            0 => Torn::Absent,
            1 => Torn::Zeros,
            2 => Torn::Half,
            _ => Torn::Whole,
        };
        let tree = self.tree().after_cut(kept, torn);
        ModelFs::of(Shared { now: Arc::clone(now), ..self.copy(tree) })
    }

    /// Writes a file in place and durably, without counting a call.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let now = self.now();
        let mut tree = self.tree();
        if let Some(parent) = path.parent() {
            put_folders(&mut tree, parent, now);
        }
        let data = bytes.to_vec();
        let body = Body::File { durable: data.clone(), data, synced: true };
        let (folder, name) = tree.locate(path).unwrap();
        match tree.get(folder, &name) {
            Some(inode) => {
                let node = tree.nodes.get_mut(&inode).unwrap();
                (node.body, node.changed, node.modified) = (body, now, now);
            }
            None => {
                let inode = tree.add(body, 0o600, now);
                tree.change(&[(folder, &name, Some(inode))], now);
            }
        }
        tree.sync_folder(folder);
    }

    /// Creates a folder and those above it, without counting a call.
    pub(crate) fn put_folder(&self, path: &Path) {
        let now = self.now();
        put_folders(&mut self.tree(), path, now);
    }

    /// Creates a named pipe, without counting a call.
    pub(crate) fn put_pipe(&self, path: &Path) {
        let now = self.now();
        let mut tree = self.tree();
        let (folder, name) = tree.locate(path).unwrap();
        let inode = tree.add(Body::Pipe, 0o600, now);
        tree.change(&[(folder, &name, Some(inode))], now);
    }

    /// Sets the permissions of a file or folder.
    pub(crate) fn chmod(&self, path: &Path, mode: u32) {
        let now = self.now();
        let mut tree = self.tree();
        let inode = tree.find(path).unwrap();
        let node = tree.nodes.get_mut(&inode).unwrap();
        (node.mode, node.changed) = (mode, now);
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        lock(&self.shared.tree)
    }

    /// Returns a different time for each change, as a file system with nanosecond times does.
    fn now(&self) -> Timestamp {
        let mut ticks = lock(&self.shared.ticks);
        *ticks += 1;
        (self.shared.now)() + Duration::from_nanos(u64::from(*ticks))
    }

    fn change(&self) -> io::Result<MutexGuard<'_, Tree>> {
        self.shared.faults.count(CallKind::Change)?;
        Ok(self.tree())
    }

    fn read(&self) -> io::Result<MutexGuard<'_, Tree>> {
        self.shared.faults.count(CallKind::Read)?;
        Ok(self.tree())
    }

    /// Moves a file, replacing an existing one, without counting a call.
    pub(crate) fn mv(&self, from: &Path, to: &Path) {
        self.rename_in(&mut self.tree(), from, to, true).unwrap();
    }

    /// Lists a folder without counting a call; a missing folder is empty.
    pub(crate) fn names(&self, path: &Path) -> Vec<Entry> {
        let tree = self.tree();
        tree.find(path).map(|folder| calls::entries(&tree, folder)).unwrap_or_default()
    }

    /// Removes a file without counting a call.
    pub(crate) fn rm(&self, path: &Path) {
        let mut tree = self.tree();
        let (folder, name) = tree.locate(path).unwrap();
        tree.change(&[(folder, &name, None)], self.now());
    }

    fn rename_to(&self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let mut tree = self.change()?;
        self.rename_in(&mut tree, from, to, replace)
    }

    fn rename_in(&self, tree: &mut Tree, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let now = self.now();
        let inode = tree.find(from)?;
        let ((old, old_name), (new, new_name)) = (tree.locate(from)?, tree.locate(to)?);
        if tree.get(new, &new_name).is_some() && !replace {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if let Some(node) = tree.nodes.get_mut(&inode) {
            node.changed = now;
        }
        tree.change(&[(new, &new_name, Some(inode)), (old, &old_name, None)], now);
        Ok(())
    }
}

fn put_folders(tree: &mut Tree, path: &Path, now: Timestamp) {
    if tree.find(path).is_ok() {
        return;
    }
    put_folders(tree, path.parent().unwrap(), now);
    let (folder, name) = tree.locate(path).unwrap();
    let inode = tree.add(Body::Folder, 0o700, now);
    tree.change(&[(folder, &name, Some(inode))], now);
    tree.sync_folder(folder);
}
