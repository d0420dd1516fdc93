//! Names of files that file systems, editors, package managers and users leave in any folder.
//!
//! Such a file is never an entry of a spool or a job, and a folder that must be empty may contain
//! it. The manual has the same list (mig-runner(8), "Files that are ignored").

use std::ffi::OsStr;

/// Folders that a file system, a storage system or a desktop creates by itself.
const SYSTEM_FOLDERS: [&str; 18] = [
    "lost+found",
    ".snapshot",
    ".snapshots",
    "~snapshot",
    "#snapshot",
    ".zfs",
    ".Trash",
    ".Trashes",
    "#recycle",
    "@eaDir",
    "$RECYCLE.BIN",
    "System Volume Information",
    ".fseventsd",
    ".Spotlight-V100",
    ".TemporaryItems",
    ".glusterfs",
    ".stfolder",
    ".stversions",
];
/// Files with a fixed name, of a file system, a desktop, a version control system or an editor.
const FILES: [&str; 17] = [
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    ".directory",
    ".gitkeep",
    ".gitignore",
    ".gitattributes",
    ".keep",
    ".placeholder",
    ".autorelabel",
    "CACHEDIR.TAG",
    "aquota.user",
    "aquota.group",
    "quota.user",
    "quota.group",
    "4913",
    "nohup.out",
];
/// Files in the home folder of a new user, and files that the runner's user needs there.
const HOME: [&str; 9] = [
    ".bashrc",
    ".bash_logout",
    ".bash_history",
    ".profile",
    ".cache",
    ".config",
    ".ssh",
    ".gnupg",
    ".migrc",
];
/// Prefixes of files that were removed while they were open, of trash and of metadata.
const PREFIXES: [&str; 6] = [".nfs", ".fuse_hidden", ".Trash-", "._", ".#", ".~lock."];
/// Suffixes of copies that editors and package managers keep.
const SUFFIXES: [&str; 22] = [
    "~",
    ".bak",
    ".orig",
    ".rej",
    ".save",
    ".dpkg-old",
    ".dpkg-dist",
    ".dpkg-new",
    ".dpkg-tmp",
    ".dpkg-bak",
    ".dpkg-backup",
    ".dpkg-remove",
    ".ucf-dist",
    ".ucf-old",
    ".ucf-new",
    ".rpmsave",
    ".rpmnew",
    ".rpmorig",
    ".pacnew",
    ".pacsave",
    ".pacorig",
    ".apk-new",
];
/// The suffix of spool entries and actions. A name with this suffix is not ignored unless it is
/// hidden.
const ENTRY_SUFFIX: &str = ".json";

/// Returns whether a file or folder with this name is ignored.
pub(crate) fn is_ignored(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_hidden = name.starts_with('.');
    if name.ends_with(ENTRY_SUFFIX) && !is_hidden {
        return false;
    }
    let is_named = |names: &[&str]| names.contains(&name.as_ref());
    // An editor's automatic copy.
    let is_autosave = name.len() > 2 && name.starts_with('#') && name.ends_with('#');
    is_system_folder(name.as_ref())
        || is_named(&FILES)
        || is_named(&HOME)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        || is_autosave
        || is_hidden && is_swap(&name)
        || is_readme(&name)
}

/// Returns whether a folder with this name was created by a file system or a program and thus is
/// not a job.
pub(crate) fn is_system_folder(name: &str) -> bool {
    SYSTEM_FOLDERS.contains(&name)
}

/// Returns whether a name has the suffix of a swap file of vi: `.swp`, `.swo` and so on.
fn is_swap(name: &str) -> bool {
    let Some((_, suffix)) = name.rsplit_once('.') else { return false };
    suffix.len() == 3
        && suffix.starts_with("sw")
        && suffix.ends_with(|c: char| c.is_ascii_lowercase())
}

/// Returns whether a name is `README`, in any case and with any suffix.
fn is_readme(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    stem.eq_ignore_ascii_case("readme")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_in_the_list_are_ignored() {
        for name in [
            "lost+found",
            ".snapshot",
            ".zfs",
            "README",
            "readme.md",
            "README.Debian",
            ".gitkeep",
            ".DS_Store",
            ".nfs000000000123",
            ".Trash-1000",
            "runner.cfg~",
            ".runner.cfg.swp",
            ".x.swo",
            "#x.json#",
            ".#x.json",
            "x.json.bak",
            "x.orig",
            "x.rej",
            "x.dpkg-dist",
            "x.rpmsave",
            "x.ucf-dist",
            "4913",
            "._x.json",
            "$RECYCLE.BIN",
            ".bashrc",
            "x.pacnew",
            ".x.json.swp",
        ] {
            assert!(is_ignored(name.as_ref()), "{name}");
        }
        for name in [
            "x.json",
            "README.json",
            "x.bak.json",
            "setuid",
            "bak",
            "orig",
            "letter",
            ".lock",
            ".tmp",
            "#",
            "##",
            "swp",
            "x.swp",
            "snapshot",
            "49131",
            "read",
            ".hidden",
            "nfs",
        ] {
            assert!(!is_ignored(name.as_ref()), "{name}");
        }
    }
}
