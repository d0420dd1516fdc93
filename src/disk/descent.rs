//! Walks a path one name at a time, from open folder to open folder.
//!
//! Each name is opened in the folder that was opened before it, and is checked by its descriptor.
//! So the folder that is checked is the folder that is entered, even if another process replaces
//! names on the path meanwhile. A link is opened itself and checked, then its target is walked.
//!
//! Commands that root runs use it to find out to whom a folder belongs, and who could replace it
//! (see [`Exposure`]).

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Dir, Mode, OFlags, getxattr, mkdirat, openat, readlinkat};
use rustix::io::Errno;

use super::fs::GROUP_ANY;
use super::real::ACL;
use super::symlinks::LINKS_MAX;
use super::trust::{self, Distrust, ROOT, STICKY};
use super::{Context, DiskError, FileKind, Meta};

/// Number of names that are tried for a folder with an unused name.
#[cfg(any(test, feature = "data"))]
const NAMES_MAX: u32 = 100;
/// The mode of the folders that are created.
const PRIVATE: Mode = Mode::RWXU;
/// Flags that open a name itself, for its metadata only.
const NAME: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A path as far as it exists.
#[derive(Debug)]
pub(crate) struct Descent {
    /// The last name that exists.
    last: OwnedFd,
    /// The metadata of that name.
    meta: Meta,
    /// The path that leads to it, without links.
    path: PathBuf,
    /// Every name on the way, links included, with the metadata of its descriptor.
    steps: Vec<(PathBuf, Meta)>,
    /// The names that do not exist.
    missing: VecDeque<OsString>,
}

/// A name on a path that users other than root and the owner of the last name could replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Exposure {
    Owner {
        path: PathBuf,
        owner: u32,
    },
    Writable {
        path: PathBuf,
        owner: u32,
        /// Whether it is a folder above the path that was walked to.
        is_above: bool,
    },
}

impl Exposure {
    fn path(&self) -> &PathBuf {
        match self {
            Exposure::Owner { path, .. } | Exposure::Writable { path, .. } => path,
        }
    }
}

impl Descent {
    /// Walks `path` as far as it exists.
    pub(crate) fn to(path: &Path) -> Result<Descent, DiskError> {
        let walk = || {
            let mut ahead = VecDeque::new();
            push_front(&std::path::absolute(path)?, &mut ahead);
            let mut descent = Descent::root()?;
            let mut links = 0;
            while let Some(name) = ahead.pop_front() {
                let Some(target) = descent.enter(&name)? else { continue };
                links += 1;
                if links > LINKS_MAX {
                    return Err(io::Error::other("too many symbolic links"));
                }
                if target.is_absolute() {
                    descent.restart()?;
                }
                push_front(&target, &mut ahead);
            }
            Ok(descent)
        };
        walk().context("open", path)
    }

    fn root() -> io::Result<Descent> {
        let root = PathBuf::from("/");
        let last = openat(CWD, &root, NAME | OFlags::DIRECTORY, Mode::empty())?;
        let meta = meta(&last)?;
        let steps = vec![(root.clone(), meta)];
        Ok(Descent { last, meta, path: root, steps, missing: VecDeque::new() })
    }

    /// Returns to the root of the file system; the names on the way so far still count.
    fn restart(&mut self) -> io::Result<()> {
        let root = Descent::root()?;
        (self.last, self.meta, self.path) = (root.last, root.meta, root.path);
        Ok(())
    }

    /// Enters `name` in the current folder, or notes that it is missing. If it is a link, stays in
    /// the folder and returns the target.
    fn enter(&mut self, name: &OsStr) -> io::Result<Option<PathBuf>> {
        if !self.missing.is_empty() {
            self.missing.push_back(name.to_owned());
            return Ok(None);
        }
        let found = match openat(&self.last, name, NAME, Mode::empty()) {
            // Below a file, nothing exists either.
            Err(Errno::NOENT | Errno::NOTDIR) => {
                self.missing.push_back(name.to_owned());
                return Ok(None);
            }
            found => found?,
        };
        let meta = meta(&found)?;
        let path = match name == ".." {
            true => self.path.parent().unwrap_or(&self.path).to_owned(),
            false => self.path.join(name),
        };
        self.steps.push((path.clone(), meta));
        if meta.kind == FileKind::Link {
            let target = readlinkat(&found, "", Vec::new())?.into_bytes();
            return Ok(Some(OsString::from_vec(target).into()));
        }
        (self.last, self.meta, self.path) = (found, meta, path);
        Ok(None)
    }

    /// Returns whether the whole path exists.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Returns the path of the last name that exists, without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the owner of the last name that exists.
    pub(crate) fn owner(&self) -> u32 {
        self.meta.owner
    }

    /// Returns whether the last name that exists is a folder.
    pub(crate) fn is_folder(&self) -> bool {
        self.meta.kind == FileKind::Folder
    }

    /// Returns the first name on the way that users other than `owner` and root could replace. In
    /// a folder with the sticky bit, such as `/tmp`, they cannot replace the names of others.
    pub(crate) fn exposure(&self, owner: u32) -> Option<Exposure> {
        self.exposures(owner, |_| false).next()
    }

    /// As [`Descent::exposure`], for a log: a group of the system may write to the folders of root.
    pub(crate) fn exposure_of_log(&self, owner: u32) -> Option<Exposure> {
        self.exposures(owner, trust::is_of_system).next()
    }

    /// Checks that only `user`, root and groups of the system can replace this folder of a log.
    pub(super) fn check_above_log(&self, user: u32) -> Result<(), Distrust> {
        match self.exposure_of_log(user) {
            None => Ok(()),
            Some(Exposure::Owner { path, owner }) => {
                Err(Distrust::Foreign { path, owner, trusted: user })
            }
            // The last name is a folder above the log as well.
            Some(Exposure::Writable { path, owner, .. }) => {
                Err(Distrust::writable_above(path, owner))
            }
        }
    }

    /// As [`Descent::exposure`], without the last name: whether it is the one that was walked to
    /// does not depend on who can write to it.
    pub(crate) fn exposure_above(&self, owner: u32) -> Option<Exposure> {
        let last = self.steps.last().map(|(path, _)| path);
        self.exposures(owner, |_| false).find(|exposure| Some(exposure.path()) != last)
    }

    /// Returns the names that users other than `owner` and root could replace. Who can write to a
    /// folder that is `spared` does not matter.
    fn exposures(
        &self,
        owner: u32,
        spared: impl Fn(&Meta) -> bool,
    ) -> impl Iterator<Item = Exposure> {
        let last = self.steps.len().checked_sub(1).filter(|_| self.is_complete());
        self.steps.iter().enumerate().filter_map(move |(index, (path, meta))| {
            let path = || path.clone();
            if meta.owner != owner && meta.owner != ROOT {
                return Some(Exposure::Owner { path: path(), owner: meta.owner });
            }
            let is_open = meta.kind == FileKind::Folder
                && meta.mode & STICKY == 0
                && !spared(meta)
                && trust::others_can_write(meta, owner);
            let is_above = Some(index) != last;
            is_open.then(|| Exposure::Writable { path: path(), owner: meta.owner, is_above })
        })
    }

    /// Creates the missing folders, private to the user of this process and durable.
    ///
    /// # Errors
    /// Another process has created one of them meanwhile.
    pub(crate) fn create_missing(mut self) -> Result<Descent, DiskError> {
        while let Some(name) = self.missing.pop_front() {
            let path = self.path.join(&name);
            self.create(&name, &path).context("create folder", &path)?;
        }
        Ok(self)
    }

    fn create(&mut self, name: &OsStr, path: &Path) -> io::Result<()> {
        // First, because a folder that may not be read cannot be synced either.
        let parent = self.open()?;
        mkdirat(&self.last, name, PRIVATE)?;
        parent.sync_all()?;
        let made = openat(&self.last, name, NAME | OFlags::DIRECTORY, Mode::empty())?;
        let meta = meta(&made)?;
        if meta.owner != trust::own_user() {
            let text = format!("user {} has replaced it", meta.owner);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        self.steps.push((path.to_owned(), meta));
        (self.last, self.meta, self.path) = (made, meta, path.to_owned());
        Ok(())
    }

    /// Creates a new folder with an unused name in the folder `parent`, private to the user of this
    /// process. `name` returns names to try.
    ///
    /// # Errors
    /// Other users could replace the new folder, because they can write to `parent` or to a folder
    /// above it, and its sticky bit is not set. For root, none of these folders may belong to
    /// another user either.
    #[cfg(any(test, feature = "data"))]
    pub(crate) fn create_unused(
        parent: &Path,
        mut name: impl FnMut() -> io::Result<OsString>,
    ) -> Result<PathBuf, DiskError> {
        let mut create = || {
            let found = Descent::to(parent).map_err(io::Error::other)?;
            if !found.is_complete() {
                return Err(io::ErrorKind::NotFound.into());
            }
            // A user trusts the owners of the folders above, having chosen this place. Root does not:
            // its environment may be that of the user who called sudo.
            let user = trust::own_user();
            let counts =
                |exposure: &Exposure| user == ROOT || matches!(exposure, Exposure::Writable { .. });
            if let Some(exposure) = found.exposures(user, |_| false).find(counts) {
                let text = match exposure {
                    Exposure::Owner { path, owner } => {
                        format!("{} belongs to user {owner}", path.display())
                    }
                    Exposure::Writable { path, .. } => {
                        format!("others can write to {}, and it is not sticky", path.display())
                    }
                };
                let text = format!("{text}: use another folder, for instance with TMPDIR");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            found.create_one_of(&mut name)
        };
        create().context("create a folder in", parent)
    }

    #[cfg(any(test, feature = "data"))]
    fn create_one_of(
        mut self,
        name: &mut impl FnMut() -> io::Result<OsString>,
    ) -> io::Result<PathBuf> {
        for _ in 0..NAMES_MAX {
            let name = name()?;
            let path = self.path.join(&name);
            match self.create(&name, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|()| path),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Makes the whole path's folder private to its owner.
    ///
    /// # Errors
    /// The path does not exist as a whole, or its folder belongs to another user.
    pub(crate) fn make_private(&self) -> Result<(), DiskError> {
        let private = Permissions::from_mode(PRIVATE.as_raw_mode());
        let change = || {
            if !self.is_complete() {
                return Err(io::ErrorKind::NotFound.into());
            }
            let folder = self.open()?;
            // By its descriptor: the folder of another user is never changed.
            if folder.metadata()?.uid() != trust::own_user() {
                let text = format!("it belongs to user {}", self.owner());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            folder.set_permissions(private)
        };
        change().context("change the permissions of", &self.path)
    }

    /// Returns the names in the last folder.
    pub(crate) fn names(&self) -> Result<Vec<OsString>, DiskError> {
        let list = || {
            let mut names = Vec::new();
            for entry in Dir::read_from(self.open()?)? {
                let name = entry?.file_name().to_bytes().to_vec();
                names.push(OsString::from_vec(name));
            }
            names.retain(|name| name != "." && name != "..");
            Ok(names)
        };
        list().context("list", &self.path)
    }

    /// Opens a file in the last folder.
    pub(super) fn open_file(&self, name: &OsStr, flags: OFlags, mode: Mode) -> io::Result<File> {
        if !self.is_complete() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(openat(&self.last, name, flags, mode)?.into())
    }

    /// Opens the last folder for reading.
    fn open(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.last, ".", flags, Mode::empty())?.into())
    }
}

/// Puts the names of a path in front of the names that remain to be walked.
fn push_front(path: &Path, ahead: &mut VecDeque<OsString>) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => ahead.push_front(name.to_owned()),
            Component::ParentDir => ahead.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

/// Returns the metadata of an open name.
fn meta(name: &OwnedFd) -> io::Result<Meta> {
    let found = File::from(name.as_fd().try_clone_to_owned()?).metadata()?;
    // The access control list is looked up by the descriptor, not by a path.
    let meta = Meta::of(&found, Path::new(""));
    let has_acl = meta.mode & GROUP_ANY != 0 && meta.kind != FileKind::Link && has_acl(name);
    Ok(Meta { has_acl, ..meta })
}

/// Returns whether an open file or folder has an access control list; yes, if this cannot be
/// determined.
fn has_acl(name: &OwnedFd) -> bool {
    // A descriptor that only names a file has no attributes, but its path does.
    let path = format!("/proc/self/fd/{}", name.as_raw_fd());
    let found = getxattr(path, ACL, &mut [0_u8; 0]);
    !matches!(found, Err(Errno::NODATA | Errno::OPNOTSUPP))
}

#[cfg(test)]
mod tests;
