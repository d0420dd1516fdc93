//! Names that file systems, editors, package managers and people leave behind in any folder.
//!
//! They are never an entry of a spool, a job or the content of a folder that must be empty. The manual
//! (mig-runner(8), "Files that are ignored") has the same list.

use std::ffi::OsStr;

/// Folders that the file system, a storage system or a desktop makes in a folder by itself.
const FOLDERS: [&str; 18] = [
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
/// Files with a name of their own: of a file system, a desktop, a version control system, an editor.
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
/// What the home of a new user has, and what a runner's user needs there.
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
/// How names begin of files that were removed while they were open, of trash and of metadata.
const BEGINNINGS: [&str; 6] = [".nfs", ".fuse_hidden", ".Trash-", "._", ".#", ".~lock."];
/// How names end of copies that editors and package managers keep.
const ENDINGS: [&str; 22] = [
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
/// The ending of an entry of a spool and of an action: a name that has it is never a leftover, unless
/// it is hidden.
const ENTRY: &str = ".json";

/// Returns whether a name is that of a file or folder that was left behind.
pub(crate) fn is_leftover(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_hidden = name.starts_with('.');
    if name.ends_with(ENTRY) && !is_hidden {
        return false;
    }
    let is_named = |names: &[&str]| names.contains(&name.as_ref());
    // An editor's copy that it saves automatically.
    let is_saved = name.len() > 2 && name.starts_with('#') && name.ends_with('#');
    is_folder_of_system(name.as_ref())
        || is_named(&FILES)
        || is_named(&HOME)
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || is_saved
        || is_hidden && is_swap(&name)
        || is_readme(&name)
}

/// Returns whether a folder of this name is made by a file system or a program, and so is not a job.
pub(crate) fn is_folder_of_system(name: &str) -> bool {
    FOLDERS.contains(&name)
}

/// Returns whether a name ends like a swap file of vi: `.swp`, then `.swo` and so on.
fn is_swap(name: &str) -> bool {
    let Some((_, ending)) = name.rsplit_once('.') else { return false };
    ending.len() == 3
        && ending.starts_with("sw")
        && ending.ends_with(|c: char| c.is_ascii_lowercase())
}

/// Returns whether a file explains its folder: `README`, in any case and with any ending.
fn is_readme(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    stem.eq_ignore_ascii_case("readme")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_told_from_what_is_put_there() {
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
            assert!(is_leftover(name.as_ref()), "{name}");
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
            assert!(!is_leftover(name.as_ref()), "{name}");
        }
    }
}
