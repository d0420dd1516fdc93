//! Resolves symbolic links one by one and checks the ownership of every name on the way.
//!
//! The operator may replace a file or folder by a link to another place. A link is trusted under
//! the same rule as a file: the target, the folders above it and the folder that contains the link
//! must belong to the runner's user or to root, and no other user may be able to write to them. The
//! mode of a link has no meaning: it is always 0777.
//!
//! Folders above `top`, the folder that the caller trusts, are not checked. A link that leads out
//! of `top` is checked up to the root of the file system, where [`trust::check_above`] applies.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::trust::{self, Distrust, ROOT};
use super::{Context, Disk, DiskError, FileKind, Fs, Meta};

/// Maximum number of links on a path, as in Linux.
pub(super) const LINKS_MAX: usize = 40;

/// A path with all links followed.
#[derive(Debug)]
pub(crate) struct ResolvedPath {
    /// The path, without any link below `top`.
    pub(crate) path: PathBuf,
    pub(crate) meta: Meta,
    top: Option<PathBuf>,
    links: Vec<(PathBuf, Meta)>,
}

/// Checks a folder that is above a trusted path, for a user.
pub(super) type CheckAbove<'a> = &'a dyn Fn(&Path, &Meta, u32) -> Result<(), Distrust>;

/// The state of resolving a path.
struct Resolver<'a> {
    fs: &'a dyn Fs,
    path: PathBuf,
    meta: Option<Meta>,
    links: Vec<(PathBuf, Meta)>,
    /// The first name that does not exist.
    missing: Option<PathBuf>,
}

impl Disk {
    /// Resolves `path`; `None` if it does not exist. The folders above `top` are not checked.
    ///
    /// # Errors
    /// A link is dangling, there are too many links, or a file or folder cannot be accessed.
    pub(crate) fn resolve(
        &self,
        path: &Path,
        top: Option<&Path>,
    ) -> Result<Option<ResolvedPath>, DiskError> {
        let fs = self.fs.as_ref();
        let (resolver, top) = walk(fs, path, top)?;
        if resolver.missing.is_none() {
            return resolver.end(top).context("access", path).map(Some);
        }
        resolver.check_missing().context("resolve", path).map(|()| None)
    }

    /// Resolves `path` as far as it exists, even behind a dangling link; returns whether all of it
    /// exists.
    ///
    /// # Errors
    /// There are too many links, or a file or folder cannot be accessed.
    pub(super) fn resolve_existing(
        &self,
        path: &Path,
        top: Option<&Path>,
    ) -> Result<(ResolvedPath, bool), DiskError> {
        let (resolver, top) = walk(self.fs.as_ref(), path, top)?;
        let exists = resolver.missing.is_none();
        Ok((resolver.end(top).context("access", path)?, exists))
    }

    /// Checks who can change the links on a path or their targets. A path without links is not
    /// checked.
    pub(crate) fn check_links(&self, path: &Path, user: u32) -> Result<Vec<Distrust>, DiskError> {
        match self.resolve(path, None)? {
            Some(found) if found.is_linked() => found.check_trust(self, user),
            _ => Ok(Vec::new()),
        }
    }
}

/// Walks `path` as far as it exists; returns `top` with all links followed as well.
fn walk<'a>(
    fs: &'a dyn Fs,
    path: &Path,
    top: Option<&Path>,
) -> Result<(Resolver<'a>, Option<PathBuf>), DiskError> {
    let absolute = |path: &Path| std::path::absolute(path).context("resolve", path);
    let named = absolute(path)?;
    let path_to_root = PathBuf::from("/");
    let mut resolver =
        Resolver { fs, path: path_to_root, meta: None, links: Vec::new(), missing: None };
    let (mut below, mut top) = (named.as_path(), top.map(absolute).transpose()?);
    if let Some(above) = &mut top
        && let Ok(rest) = named.strip_prefix(&above)
    {
        resolver.advance(above).context("resolve", path)?;
        if resolver.missing.is_some() {
            return Ok((resolver, top));
        }
        resolver.links.clear();
        (below, *above) = (rest, resolver.path.clone());
    }
    resolver.advance(below).context("resolve", path)?;
    Ok((resolver, top))
}

impl Resolver<'_> {
    /// Resolves `path` from the current position, as far as it exists.
    fn advance(&mut self, path: &Path) -> io::Result<()> {
        let mut ahead: VecDeque<OsString> = VecDeque::new();
        self.push_front(path, &mut ahead);
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                self.path.pop();
                self.meta = None;
                continue;
            }
            let next = self.path.join(&name);
            let meta = match self.fs.meta(&next) {
                Ok(meta) => meta,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.missing = Some(next);
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            if meta.kind == FileKind::Link {
                if self.links.len() >= LINKS_MAX {
                    return Err(io::Error::other("too many symbolic links"));
                }
                let target = self.fs.link_target(&next)?;
                self.links.push((next, meta));
                self.push_front(&target, &mut ahead);
            } else {
                (self.path, self.meta) = (next, Some(meta));
            }
        }
        Ok(())
    }

    /// Returns the last name that exists.
    fn end(self, top: Option<PathBuf>) -> io::Result<ResolvedPath> {
        let meta = match self.meta {
            Some(meta) => meta,
            None => self.fs.meta(&self.path)?,
        };
        Ok(ResolvedPath { path: self.path, meta, top, links: self.links })
    }

    /// Puts the names of a path in front of the names that remain to be resolved.
    fn push_front(&mut self, path: &Path, ahead: &mut VecDeque<OsString>) {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => ahead.push_front(name.to_owned()),
                Component::ParentDir => ahead.push_front("..".into()),
                Component::RootDir => (self.path, self.meta) = (PathBuf::from("/"), None),
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    /// Returns an error for a missing name if a link points to it.
    fn check_missing(&self) -> io::Result<()> {
        let Some(path) = self.missing.as_ref().filter(|_| !self.links.is_empty()) else {
            return Ok(());
        };
        let text = format!("the link points to {}, which does not exist", path.display());
        Err(io::Error::new(io::ErrorKind::NotFound, text))
    }
}

impl ResolvedPath {
    /// Returns whether there is a link on the path below `top`.
    pub(crate) fn is_linked(&self) -> bool {
        !self.links.is_empty()
    }

    /// Checks that only `user` and root can change the target and the links on the way; returns the
    /// faults.
    pub(crate) fn check_trust(&self, disk: &Disk, user: u32) -> Result<Vec<Distrust>, DiskError> {
        self.check_trust_with(disk, user, &trust::check_above)
    }

    /// As [`ResolvedPath::check_trust`], with another check of the folders above.
    pub(super) fn check_trust_with(
        &self,
        disk: &Disk,
        user: u32,
        check_above: CheckAbove<'_>,
    ) -> Result<Vec<Distrust>, DiskError> {
        let mut faults = self.link_faults(disk, user, check_above)?;
        faults.extend(trust::check(&self.path, &self.meta, user).err());
        if let Some(above) = self.path.parent().filter(|_| Some(&self.path) != self.top.as_ref()) {
            self.check_folders(disk, above, user, check_above, &mut faults)?;
        }
        Ok(faults)
    }

    /// As [`ResolvedPath::check_trust_with`], for a folder in which a trusted path is or may be created:
    /// the folder itself is above that path.
    pub(super) fn check_as_folder_above(
        &self,
        disk: &Disk,
        user: u32,
        check_above: CheckAbove<'_>,
    ) -> Result<Vec<Distrust>, DiskError> {
        let mut faults = self.link_faults(disk, user, check_above)?;
        self.check_folders(disk, &self.path, user, check_above, &mut faults)?;
        Ok(faults)
    }

    /// Returns the faults of the links on the way.
    fn link_faults(
        &self,
        disk: &Disk,
        user: u32,
        check_above: CheckAbove<'_>,
    ) -> Result<Vec<Distrust>, DiskError> {
        let mut faults = Vec::new();
        for (link, meta) in &self.links {
            if meta.owner != user && meta.owner != ROOT {
                let path = link.clone();
                faults.push(Distrust::Link { path, owner: meta.owner, trusted: user });
            }
            if let Some(folder) = link.parent() {
                self.check_folders(disk, folder, user, check_above, &mut faults)?;
            }
        }
        Ok(faults)
    }

    /// Checks a folder and those above it.
    fn check_folders(
        &self,
        disk: &Disk,
        folder: &Path,
        user: u32,
        check_above: CheckAbove<'_>,
        faults: &mut Vec<Distrust>,
    ) -> Result<(), DiskError> {
        let is_below_top = |path: &Path| self.top.as_ref().is_some_and(|top| path.starts_with(top));
        let is_inside = is_below_top(folder);
        let checked = folder.ancestors().take_while(|at| !is_inside || is_below_top(at));
        for folder in checked {
            let Some(meta) = disk.find(folder)? else { continue };
            let check: CheckAbove<'_> = if is_inside { &trust::check } else { check_above };
            let fault = check(folder, &meta, user).err();
            faults.extend(fault.filter(|fault| !faults.contains(fault)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
