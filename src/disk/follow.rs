//! Where a path leads: symbolic links are followed one by one, and every name that was passed is judged.
//!
//! A link may stand for a file or folder that is kept elsewhere. It is trusted under the same rule as
//! the thing itself: the target, the folders above it and the folder that holds the link must belong
//! to the runner's user or to root, and no other user may be able to write them. The mode of a link
//! says nothing: it is always 0777.
//!
//! Folders above `top`, the folder that the caller trusts, are not judged. A link that leads out of
//! `top` is judged up to the root of the file system. There, a folder with the sticky bit (such as
//! `/tmp`) may be writable by others, because they can neither rename nor remove what is not theirs.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::guard::{self, Distrust, ROOT};
use super::{Context, Disk, DiskError, Fs, Kind, Meta};

/// How many links a path may pass: as many as Linux allows.
const LINKS_MAX: usize = 40;
/// The bit that keeps users from renaming and removing the files of others in a folder.
const STICKY: u32 = 0o1000;

/// What a path leads to, all links followed.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The path without any link below `top`.
    pub(crate) path: PathBuf,
    pub(crate) meta: Meta,
    top: Option<PathBuf>,
    links: Vec<(PathBuf, Meta)>,
}

/// A path while it is being resolved.
struct Walk<'a> {
    fs: &'a dyn Fs,
    path: PathBuf,
    meta: Option<Meta>,
    links: Vec<(PathBuf, Meta)>,
}

impl Disk {
    /// Follows `path`; `None` if it is not there. What is above `top`, if there is one, is taken as it is.
    ///
    /// # Errors
    /// A link leads to nothing, there are too many links, or something cannot be looked at.
    pub(crate) fn follow(
        &self,
        path: &Path,
        top: Option<&Path>,
    ) -> Result<Option<Followed>, DiskError> {
        follow(self.fs.as_ref(), path, top)
    }

    /// Returns who could change where a link leads, or its target; of a path without links nothing is
    /// judged.
    ///
    /// # Errors
    /// As for [`Disk::follow`].
    pub(crate) fn distrust_of_links(
        &self,
        path: &Path,
        user: u32,
    ) -> Result<Vec<Distrust>, DiskError> {
        match self.follow(path, None)? {
            Some(found) if found.is_linked() => found.distrust(self, user),
            _ => Ok(Vec::new()),
        }
    }
}

/// As [`Disk::follow`], on a file system.
fn follow(fs: &dyn Fs, path: &Path, top: Option<&Path>) -> Result<Option<Followed>, DiskError> {
    let absolute = |path: &Path| std::path::absolute(path).context("find", path);
    let named = absolute(path)?;
    let mut walk = Walk { fs, path: PathBuf::from("/"), meta: None, links: Vec::new() };
    let (mut below, mut top) = (named.as_path(), top.map(absolute).transpose()?);
    if let Some(above) = &mut top
        && let Ok(rest) = named.strip_prefix(&above)
    {
        if !walk.go(above).context("follow", path)? {
            return Ok(None);
        }
        walk.links.clear();
        (below, *above) = (rest, walk.path.clone());
    }
    if !walk.go(below).context("follow", path)? {
        return Ok(None);
    }
    let meta = match walk.meta {
        Some(meta) => meta,
        None => fs.meta(&walk.path).context("look at", path)?,
    };
    Ok(Some(Followed { path: walk.path, meta, top, links: walk.links }))
}

impl Walk<'_> {
    /// Goes on from where it is; returns whether everything was there.
    fn go(&mut self, path: &Path) -> io::Result<bool> {
        let mut ahead: VecDeque<OsString> = VecDeque::new();
        self.plan(path, &mut ahead);
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
                    return self.missing(&next);
                }
                Err(error) => return Err(error),
            };
            if meta.kind == Kind::Link {
                if self.links.len() >= LINKS_MAX {
                    return Err(io::Error::other("it passes too many links"));
                }
                let target = self.fs.link_target(&next)?;
                self.links.push((next, meta));
                self.plan(&target, &mut ahead);
            } else {
                (self.path, self.meta) = (next, Some(meta));
            }
        }
        Ok(true)
    }

    /// Puts the names of a path in front of those that are left.
    fn plan(&mut self, path: &Path, ahead: &mut VecDeque<OsString>) {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => ahead.push_front(name.to_owned()),
                Component::ParentDir => ahead.push_front("..".into()),
                Component::RootDir => (self.path, self.meta) = (PathBuf::from("/"), None),
                Component::CurDir | Component::Prefix(_) => {}
            }
        }
    }

    /// A name is missing: that is an error only if a link led there.
    fn missing(&self, path: &Path) -> io::Result<bool> {
        match self.links.is_empty() {
            true => Ok(false),
            false => {
                let text = format!("the link leads to {}, which is not there", path.display());
                Err(io::Error::new(io::ErrorKind::NotFound, text))
            }
        }
    }
}

impl Followed {
    /// Returns whether a link was passed.
    pub(crate) fn is_linked(&self) -> bool {
        !self.links.is_empty()
    }

    /// Returns who else than `user` and root could change the target or where a link leads.
    pub(crate) fn distrust(&self, disk: &Disk, user: u32) -> Result<Vec<Distrust>, DiskError> {
        let mut faults = Vec::new();
        for (link, meta) in &self.links {
            if meta.owner != user && meta.owner != ROOT {
                let path = link.clone();
                faults.push(Distrust::Link { path, owner: meta.owner, trusted: user });
            }
            if let Some(holder) = link.parent() {
                self.judge(disk, holder, user, &mut faults)?;
            }
        }
        faults.extend(guard::trust(&self.path, &self.meta, user).err());
        if let Some(above) = self.path.parent().filter(|_| Some(&self.path) != self.top.as_ref()) {
            self.judge(disk, above, user, &mut faults)?;
        }
        Ok(faults)
    }

    /// Judges a folder and those above it.
    fn judge(
        &self,
        disk: &Disk,
        folder: &Path,
        user: u32,
        faults: &mut Vec<Distrust>,
    ) -> Result<(), DiskError> {
        let is_below_top = |path: &Path| self.top.as_ref().is_some_and(|top| path.starts_with(top));
        let is_inside = is_below_top(folder);
        let judged = folder.ancestors().take_while(|at| !is_inside || is_below_top(at));
        for folder in judged {
            let Some(meta) = disk.find(folder)? else { continue };
            let is_kept = !is_inside && meta.mode & STICKY != 0;
            let fault = guard::trust(folder, &meta, user).err();
            let fault =
                fault.filter(|fault| !is_kept || !matches!(fault, Distrust::Writable { .. }));
            faults.extend(fault.filter(|fault| !faults.contains(fault)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
