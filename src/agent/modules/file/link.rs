//! Where a symbolic link leads, step by step, so that it can be said where it ends in nothing.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::super::reason::reason;

/// How many links may lead to one another, as in Go.
const LINKS_MAX: usize = 255;

/// A path that leads nowhere, in Go's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// Part of it is not there, or closed to us.
    #[error("lstat {}: {}", path.display(), reason(source))]
    Lost {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Links lead to one another.
    #[error("EvalSymlinks: too many links")]
    TooMany,
}

/// Returns the path without links that `path` leads to.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, LinkError> {
    let mut todo: VecDeque<OsString> = parts(path).collect();
    let mut done = PathBuf::new();
    let mut links = 0;
    while let Some(part) = todo.pop_front() {
        if part == ".." && done.file_name().is_some() {
            done.pop();
            continue;
        }
        let next = done.join(&part);
        let lost = |source| LinkError::Lost { path: next.clone(), source };
        if !fs::symlink_metadata(&next).map_err(lost)?.is_symlink() {
            done = next;
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(LinkError::TooMany);
        }
        let target = fs::read_link(&next).map_err(lost)?;
        for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
            todo.push_front(part);
        }
    }
    Ok(done)
}

/// The parts of a path; that it begins at the root is a part as well.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .map(|component| component.as_os_str().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(root.join("a/b")).unwrap();
        symlink("../a/./b", root.join("a/up")).unwrap();
        symlink(root.join("a/up/.."), root.join("far")).unwrap();
        symlink("gone/below", root.join("lost")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(resolve(&root.join("a/up")).unwrap(), root.join("a/b"));
        assert_eq!(resolve(&root.join("far/up")).unwrap(), root.join("a/b"));
        let lost = resolve(&root.join("lost")).unwrap_err().to_string();
        let gone = root.join("gone");
        assert_eq!(lost, format!("lstat {}: no such file or directory", gone.display()));
        let endless = resolve(&root.join("loop")).unwrap_err().to_string();
        assert_eq!(endless, "EvalSymlinks: too many links");
    }
}
