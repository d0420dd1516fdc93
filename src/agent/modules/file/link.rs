//! Resolution of symbolic links, step by step, so that an error can name the path that is missing.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Maximum number of links to follow, as in Go.
const LINKS_MAX: usize = 255;

#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("cannot inspect {}", path.display())]
    Inspect { path: PathBuf, source: io::Error },
    #[error("too many symbolic links")]
    TooMany,
}

/// Returns the path without links to which `path` leads. Unlike `fs::canonicalize`, it leaves a
/// relative path relative.
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
        let failed = |source| LinkError::Inspect { path: next.clone(), source };
        if !fs::symlink_metadata(&next).map_err(failed)?.is_symlink() {
            done = next;
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(LinkError::TooMany);
        }
        let target = fs::read_link(&next).map_err(failed)?;
        for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
            todo.push_front(part);
        }
    }
    Ok(done)
}

/// Returns the parts of a path, among them the root.
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
        assert_eq!(lost, format!("cannot inspect {}", root.join("gone").display()));
        assert!(matches!(resolve(&root.join("loop")), Err(LinkError::TooMany)));
    }
}
