//! The file system calls of the model.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::tree::{Body, Inode, Tree};
use super::{ModelFs, lock};
use crate::disk::fs::{Entry, FileKind, FreeSpace, Fs, FsFile, Lock, Meta, Safeguard, Stamp};
use crate::disk::trust;

/// The device of all files.
const DEVICE: u64 = 7;

/// A file that is open for writing.
#[derive(Debug)]
struct ModelFile {
    fs: ModelFs,
    inode: Inode,
}

impl ModelFile {
    fn edit(&self, edit: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>, &mut bool)) -> io::Result<()> {
        let now = self.fs.now();
        let mut tree = self.fs.change()?;
        let node = tree.nodes.get_mut(&self.inode).unwrap();
        if let Body::File { data, durable, synced } = &mut node.body {
            edit(data, durable, synced);
        }
        (node.changed, node.modified) = (now, now);
        Ok(())
    }
}

impl FsFile for ModelFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.edit(|data, _, synced| {
            data.extend(bytes);
            *synced = false;
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let kept = self.fs.keeps(Safeguard::FileSync);
        self.edit(|data, durable, synced| {
            if kept {
                (*durable, *synced) = (data.clone(), true);
            }
        })
    }

    fn cut(&mut self, size: u64) -> io::Result<()> {
        self.edit(|data, _, synced| {
            data.truncate(usize::try_from(size).unwrap());
            *synced = false;
        })
    }
}

/// A lock that is released when it is dropped.
#[derive(Debug)]
struct ModelLock {
    locks: Arc<Mutex<BTreeSet<Inode>>>,
    inode: Inode,
}

impl Drop for ModelLock {
    fn drop(&mut self) {
        lock(&self.locks).remove(&self.inode);
    }
}

impl Fs for ModelFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let now = self.now();
        let mut tree = self.change()?;
        let (folder, name) = tree.locate(path)?;
        if tree.get(folder, &name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let body = Body::File { data: Vec::new(), durable: Vec::new(), synced: false };
        let inode = tree.add(body, 0o600, now);
        tree.change(&[(folder, &name, Some(inode))], now);
        Ok(Box::new(ModelFile { fs: self.clone(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let inode = self.read()?.find(path)?;
        Ok(Box::new(ModelFile { fs: self.clone(), inode }))
    }

    fn reader(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let tree = self.read()?;
        let node = &tree.nodes[&tree.find(path)?];
        match &node.body {
            Body::File { .. } if node.mode & 0o400 == 0 => {
                Err(io::ErrorKind::PermissionDenied.into())
            }
            Body::File { data, .. } => Ok(Box::new(Cursor::new(data.clone()))),
            Body::Folder | Body::Link | Body::Pipe => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.shared.old_kernel {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.rename_to(from, to, false)
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.rename_to(from, to, true)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        if self.shared.old_kernel {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let now = self.now();
        let mut tree = self.change()?;
        let (first, second) = (tree.find(one)?, tree.find(other)?);
        let ((here, name), (there, other_name)) = (tree.locate(one)?, tree.locate(other)?);
        for inode in [first, second] {
            tree.nodes.get_mut(&inode).unwrap().changed = now;
        }
        tree.change(&[(there, &other_name, Some(first)), (here, &name, Some(second))], now);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.change()?;
        let inode = tree.find(from)?;
        if matches!(tree.nodes[&inode].body, Body::Folder) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (folder, name) = tree.locate(to)?;
        if tree.get(folder, &name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        tree.change(&[(folder, &name, Some(inode))], self.now());
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.change()?;
        let inode = tree.find(path)?;
        if matches!(tree.nodes[&inode].body, Body::Folder) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (folder, name) = tree.locate(path)?;
        tree.change(&[(folder, &name, None)], self.now());
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let kept = self.keeps(Safeguard::FolderSync);
        let mut tree = self.change()?;
        let inode = tree.find(path)?;
        if kept {
            tree.sync_folder(inode);
        }
        Ok(())
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let now = self.now();
        let mut tree = self.change()?;
        let (folder, name) = tree.locate(path)?;
        if tree.get(folder, &name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = tree.add(Body::Folder, 0o700, now);
        tree.change(&[(folder, &name, Some(inode))], now);
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut tree = self.change()?;
        let inode = tree.find(path)?;
        if tree.names(inode).next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (folder, name) = tree.locate(path)?;
        tree.change(&[(folder, &name, None)], self.now());
        Ok(())
    }

    fn link(&self, _target: &Path, path: &Path) -> io::Result<()> {
        let now = self.now();
        let mut tree = self.change()?;
        let (folder, name) = tree.locate(path)?;
        if tree.get(folder, &name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = tree.add(Body::Link, 0o777, now);
        tree.change(&[(folder, &name, Some(inode))], now);
        Ok(())
    }

    /// The model does not store the target of a link, because the spool has no links.
    fn link_target(&self, _path: &Path) -> io::Result<PathBuf> {
        Err(io::ErrorKind::InvalidInput.into())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let tree = self.read()?;
        let folder = tree.find(path)?;
        Ok(entries(&tree, folder))
    }

    fn meta(&self, path: &Path) -> io::Result<Meta> {
        let tree = self.read()?;
        let inode = tree.find(path)?;
        let node = &tree.nodes[&inode];
        let size = match &node.body {
            Body::File { data, .. } => data.len() as u64,
            Body::Folder | Body::Link | Body::Pipe => 0,
        };
        Ok(Meta {
            kind: kind(&node.body),
            stamp: Stamp { inode, size, changed: node.changed },
            modified: node.modified,
            device: DEVICE,
            hard_links: 1,
            owner: trust::own_user(),
            group: u32::MAX,
            mode: node.mode,
            has_acl: false,
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let inode = self.read()?.find(path)?;
        if !lock(&self.shared.locks).insert(inode) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Lock::new(ModelLock { locks: Arc::clone(&self.shared.locks), inode }))
    }

    fn free_space(&self, _path: &Path) -> io::Result<FreeSpace> {
        drop(self.read()?);
        Ok(*lock(&self.shared.space))
    }

    fn keeps(&self, safeguard: Safeguard) -> bool {
        self.shared.left_out != Some(safeguard)
    }
}

pub(super) fn entries(tree: &Tree, folder: Inode) -> Vec<Entry> {
    let entry = |(name, inode): (&OsString, Inode)| Entry {
        name: name.clone(),
        kind: kind(&tree.nodes[&inode].body),
    };
    tree.names(folder).map(entry).collect()
}

fn kind(body: &Body) -> FileKind {
    match body {
        Body::File { .. } => FileKind::File,
        Body::Folder => FileKind::Folder,
        Body::Link => FileKind::Link,
        Body::Pipe => FileKind::Special,
    }
}
