//! The state of the model: what is visible, and which part of it is durable.
//!
//! **Names.** Each change of names is atomic and stays in a list until a folder that it affects is
//! synced. A rename between two folders becomes durable in the new folder when that is synced; the
//! removal from the old folder may still be lost, and then the file has two names. The removal of a
//! name never becomes durable before the name that replaces it.
//!
//! **Data.** Data that was not synced after it was written can be lost, wholly or in part.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Component, Path};

use jiff::Timestamp;

/// The number of a node.
pub(super) type Inode = u64;
const ROOT: Inode = 1;

/// The kind of a node, and for a file its visible and its durable content.
#[derive(Debug, Clone)]
pub(super) enum Body {
    File { data: Vec<u8>, durable: Vec<u8>, synced: bool },
    Folder,
    Link,
    Pipe,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) mode: u32,
    pub(super) changed: Timestamp,
    pub(super) modified: Timestamp,
}

/// The change of one name.
#[derive(Debug, Clone)]
struct Effect {
    folder: Inode,
    name: OsString,
    /// The node that it refers to now; `None` if it was removed.
    to: Option<Inode>,
}

type Names = BTreeMap<(Inode, OsString), Inode>;

#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<Inode, Node>,
    visible: Names,
    durable: Names,
    pending: Vec<Vec<Effect>>,
    next: Inode,
}

/// What remains of unsynced data after a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Torn {
    /// The state at the last sync.
    Absent,
    /// The right length, filled with zeros.
    Zeros,
    /// The first half of the new data.
    Half,
    Whole,
}

impl Tree {
    pub(super) fn new(now: Timestamp) -> Tree {
        let root = Node { body: Body::Folder, mode: 0o700, changed: now, modified: now };
        Tree {
            nodes: BTreeMap::from([(ROOT, root)]),
            visible: Names::new(),
            durable: Names::new(),
            pending: Vec::new(),
            next: ROOT + 1,
        }
    }

    /// Returns the folder of `path` and its name there.
    pub(super) fn locate(&self, path: &Path) -> io::Result<(Inode, OsString)> {
        let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.find(parent)?;
        match self.nodes[&folder].body {
            Body::Folder => Ok((folder, name.to_owned())),
            Body::File { .. } | Body::Link | Body::Pipe => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Returns the node at `path`.
    pub(super) fn find(&self, path: &Path) -> io::Result<Inode> {
        let mut at = ROOT;
        for component in path.components() {
            at = match component {
                Component::RootDir | Component::CurDir => at,
                Component::Normal(name) => *self
                    .visible
                    .get(&(at, name.to_owned()))
                    .ok_or(io::Error::from(io::ErrorKind::NotFound))?,
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
            };
        }
        Ok(at)
    }

    pub(super) fn get(&self, folder: Inode, name: &OsStr) -> Option<Inode> {
        self.visible.get(&(folder, name.to_owned())).copied()
    }

    pub(super) fn names(&self, folder: Inode) -> impl Iterator<Item = (&OsString, Inode)> {
        let mine = move |((at, _), _): &(&(Inode, OsString), &Inode)| *at == folder;
        self.visible
            .range((folder, OsString::new())..)
            .take_while(mine)
            .map(|((_, name), inode)| (name, *inode))
    }

    pub(super) fn add(&mut self, body: Body, mode: u32, now: Timestamp) -> Inode {
        let inode = self.next;
        self.next += 1;
        self.nodes.insert(inode, Node { body, mode, changed: now, modified: now });
        inode
    }

    /// Changes names atomically and sets the modification time of their folders to `now`. Additions
    /// must come before removals.
    pub(super) fn change(&mut self, effects: &[(Inode, &OsStr, Option<Inode>)], now: Timestamp) {
        for (folder, ..) in effects {
            self.nodes.get_mut(folder).unwrap().modified = now;
        }
        let effects: Vec<Effect> = effects
            .iter()
            .map(|(folder, name, to)| Effect { folder: *folder, name: (*name).to_owned(), to: *to })
            .collect();
        apply(&mut self.visible, &effects);
        self.pending.push(effects);
    }

    /// Makes the names in a folder durable.
    pub(super) fn sync_folder(&mut self, folder: Inode) {
        for at in 0..self.pending.len() {
            let removes = |effect: &Effect| effect.folder == folder && effect.to.is_none();
            let whole = self.pending[at].iter().any(removes);
            let (now, later) = std::mem::take(&mut self.pending[at])
                .into_iter()
                .partition(|effect| effect.folder == folder || (whole && effect.to.is_some()));
            let now: Vec<Effect> = now;
            self.pending[at] = later;
            for effect in &now {
                for earlier in &mut self.pending[..at] {
                    earlier.retain(|old| (old.folder, &old.name) != (effect.folder, &effect.name));
                }
            }
            apply(&mut self.durable, &now);
        }
        self.pending.retain(|effects| !effects.is_empty());
    }

    pub(super) fn sync_all(&mut self) {
        self.durable = self.visible.clone();
        self.pending.clear();
        for node in self.nodes.values_mut() {
            if let Body::File { data, durable, synced } = &mut node.body {
                (*durable, *synced) = (data.clone(), true);
            }
        }
    }

    /// Returns, for each change of names that is not durable, whether it affects more than the
    /// folder `minor`.
    pub(super) fn pending(&self, minor: Option<Inode>) -> Vec<bool> {
        let is_minor = |effect: &Effect| Some(effect.folder) == minor;
        self.pending.iter().map(|effects| !effects.iter().all(is_minor)).collect()
    }

    /// Hashes all visible files except those in the folder `minor`: names, content, permissions,
    /// and times to the second.
    pub(super) fn digest(&self, minor: Option<Inode>, hasher: &mut impl Hasher) {
        for ((folder, name), inode) in &self.visible {
            if Some(*folder) == minor {
                continue;
            }
            let node = &self.nodes[inode];
            (folder, name, inode, node.mode, node.changed.as_second()).hash(hasher);
            if let Body::File { data, .. } = &node.body {
                data.hash(hasher);
            }
        }
    }

    /// Returns the state after a power cut. `kept` decides which of the changes that are not
    /// durable survive, and `torn` what remains of unsynced data.
    pub(super) fn after_cut(
        &self,
        mut kept: impl FnMut(usize) -> bool,
        mut torn: impl FnMut() -> Torn,
    ) -> Tree {
        let mut names = self.durable.clone();
        for (at, effects) in self.pending.iter().enumerate() {
            if kept(at) {
                apply(&mut names, effects);
            }
        }
        let mut tree = Tree { visible: names, ..self.clone() };
        for node in tree.nodes.values_mut() {
            if let Body::File { data, durable, synced: false } = &mut node.body {
                *data = match torn() {
                    Torn::Absent => durable.clone(),
                    Torn::Zeros => vec![0; data.len()],
                    Torn::Half => {
                        let more = data.len().saturating_sub(durable.len()) / 2;
                        data[..data.len().min(durable.len() + more)].to_vec()
                    }
                    Torn::Whole => data.clone(),
                };
            }
        }
        tree.sync_all();
        tree
    }
}

fn apply(names: &mut Names, effects: &[Effect]) {
    for effect in effects {
        let key = (effect.folder, effect.name.clone());
        match effect.to {
            Some(inode) => drop(names.insert(key, inode)),
            None => drop(names.remove(&key)),
        }
    }
}
