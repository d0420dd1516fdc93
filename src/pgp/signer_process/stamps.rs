//! The states of the files in a GnuPG home on which an opened key depends.
//!
//! They change when the operator removes, revokes, extends or disables the key, changes its
//! passphrase or edits the configuration. Comparing them takes a few microseconds.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::pgp::wire;

/// The files of a home: the keyring in each of its forms, the trust database, which also says which keys
/// are disabled, the folder of the secret keys, and the configuration.
const FILES: [&str; 8] = [
    "pubring.kbx",
    "pubring.gpg",
    "public-keys.d/pubring.db",
    "trustdb.gpg",
    SECRET_KEYS,
    "gpg.conf",
    "gpg-agent.conf",
    "common.conf",
];
const SECRET_KEYS: &str = "private-keys-v1.d";
/// The configuration of the whole system.
const SYSTEM_FILES: [&str; 2] = ["/etc/gnupg/gpg.conf", "/etc/gnupg/common.conf"];

/// Files and their states at one time.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::pgp) struct Stamps(Vec<Stamp>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    #[serde(with = "wire::path")]
    path: PathBuf,
    /// `None` if there is no such file.
    state: Option<State>,
}

/// What changes when a file is replaced or written.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamps {
    /// Returns the present states of the files of a home.
    pub(super) fn of(home: &Path) -> Stamps {
        let paths = FILES.iter().map(|name| home.join(name));
        Stamps(paths.chain(SYSTEM_FILES.map(PathBuf::from)).map(Stamp::of).collect())
    }

    /// Adds the secret key with this keygrip. GnuPG may write it in place, which does not change its
    /// folder.
    pub(super) fn add_secret_key(&mut self, home: &Path, keygrip: &str) {
        self.0.push(Stamp::of(home.join(SECRET_KEYS).join(format!("{keygrip}.key"))));
    }

    /// Returns whether all files are as they were.
    pub(in crate::pgp) fn are_current(&self) -> bool {
        self.0.iter().all(|stamp| State::of(&stamp.path) == stamp.state)
    }
}

impl Stamp {
    fn of(path: PathBuf) -> Stamp {
        let state = State::of(&path);
        Stamp { path, state }
    }
}

impl State {
    fn of(path: &Path) -> Option<State> {
        let found = path.metadata().ok()?;
        Some(State {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests edit the files of a home")]

    use super::*;

    #[test]
    fn each_change_of_a_file_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for folder in [SECRET_KEYS, "public-keys.d"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        let stamps = || {
            let mut stamps = Stamps::of(home.path());
            stamps.add_secret_key(home.path(), "AA");
            stamps
        };
        for name in FILES.into_iter().chain(["private-keys-v1.d/AA.key"]) {
            if name == SECRET_KEYS {
                continue;
            }
            let missing = stamps();
            std::fs::write(path(name), "one").unwrap();
            assert!(!missing.are_current(), "{name}");
            let one = stamps();
            assert!(one.are_current(), "{name}");
            std::fs::write(path(name), "longer").unwrap();
            assert!(!one.are_current(), "{name}");
            let longer = stamps();
            std::fs::write(path("new"), "longer").unwrap();
            std::fs::rename(path("new"), path(name)).unwrap();
            assert!(!longer.are_current(), "{name}");
            let replaced = stamps();
            std::fs::remove_file(path(name)).unwrap();
            assert!(!replaced.are_current(), "{name}");
        }
        let before = stamps();
        std::fs::write(path("private-keys-v1.d/BB.key"), "").unwrap();
        assert!(!before.are_current());
        let same = stamps();
        std::fs::write(path("unrelated"), "").unwrap();
        let read: Stamps = serde_json::from_slice(&serde_json::to_vec(&same).unwrap()).unwrap();
        assert!(read == same && read.are_current());
    }
}
