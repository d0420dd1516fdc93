//! Paths as Go writes them: cleaned, joined, without their last part.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Returns the shortest path that means the same by its text alone, as Go's `Clean` does.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".to_owned(),
        (false, rest) => rest,
    }
}

/// Returns the path of the entry `name` of `folder`.
pub(super) fn join(folder: &Path, name: &OsStr) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
}

/// Returns the folder that `path` is in.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_by_go() {
        for (path, cleaned) in [
            ("", "."),
            ("a/", "a"),
            ("./a", "a"),
            ("a/../b", "b"),
            ("a/../../b", "../b"),
            ("..//../x", "../../x"),
            ("/..//a/./b/", "/a/b"),
            ("/", "/"),
            ("/../..", "/"),
            ("a/..", "."),
        ] {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }

    #[test]
    fn the_working_folder_is_not_named() {
        assert_eq!(join(Path::new("."), OsStr::new("x")), Path::new("x"));
        assert_eq!(join(Path::new("/"), OsStr::new("x")), Path::new("/x"));
        assert_eq!(folder(Path::new("x")), Path::new("."));
        assert_eq!(folder(Path::new("/x")), Path::new("/"));
        assert_eq!(folder(Path::new("/")), Path::new("/"));
    }
}
