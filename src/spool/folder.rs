//! The eight folders, and where they are.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::chain::escape;
use crate::names::RunId;

/// The two halves of a run's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// The action, until it is over.
    Action,
    /// Its results, from then on.
    Command,
}

impl Family {
    /// Returns the folders of the family, the one that counts less first where two records
    /// of a run are equally new.
    pub(crate) const fn folders(self) -> [Folder; 4] {
        match self {
            Family::Action => {
                [Folder::New, Folder::Invalid, Folder::ActionInflight, Folder::ActionDone]
            }
            Family::Command => {
                [Folder::Ready, Folder::CommandInflight, Folder::Returned, Folder::CommandDone]
            }
        }
    }
}

/// A state: the folder that says what is to be done next with a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub(crate) enum Folder {
    /// Is to be sent.
    New,
    Invalid,
    /// Accepted by the API, runs on the fleet.
    ActionInflight,
    /// The action is over.
    ActionDone,
    /// Its results can be fetched.
    Ready,
    /// Its results are being fetched.
    CommandInflight,
    /// The results are on disk, plugins are still owed.
    Returned,
    CommandDone,
}

impl Folder {
    /// Every folder, in the order in which a run passes them: a reader that goes this way
    /// misses no run that moves on meanwhile.
    pub(crate) const ALL: [Folder; 8] = [
        Folder::New,
        Folder::ActionInflight,
        Folder::ActionDone,
        Folder::Invalid,
        Folder::Ready,
        Folder::CommandInflight,
        Folder::Returned,
        Folder::CommandDone,
    ];

    /// Returns the path below the spool, which is also the name people read.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Folder::New => "action/new",
            Folder::Invalid => "action/invalid",
            Folder::ActionInflight => "action/inflight",
            Folder::ActionDone => "action/done",
            Folder::Ready => "command/ready",
            Folder::CommandInflight => "command/inflight",
            Folder::Returned => "command/returned",
            Folder::CommandDone => "command/done",
        }
    }

    /// Returns the family that the folder belongs to.
    pub(crate) const fn family(self) -> Family {
        match self {
            Folder::New | Folder::Invalid | Folder::ActionInflight | Folder::ActionDone => {
                Family::Action
            }
            Folder::Ready | Folder::CommandInflight | Folder::Returned | Folder::CommandDone => {
                Family::Command
            }
        }
    }

    /// Tells whether a stage acts on what is there, so that changes there must be noticed at once.
    pub(crate) const fn is_active(self) -> bool {
        match self {
            Folder::New
            | Folder::ActionInflight
            | Folder::Ready
            | Folder::CommandInflight
            | Folder::Returned => true,
            Folder::Invalid | Folder::ActionDone | Folder::CommandDone => false,
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

impl From<Folder> for &'static str {
    fn from(folder: Folder) -> &'static str {
        folder.path()
    }
}

impl TryFrom<String> for Folder {
    type Error = String;

    fn try_from(path: String) -> Result<Folder, String> {
        let found = Folder::ALL.into_iter().find(|folder| folder.path() == path);
        found.ok_or_else(|| format!("there is no folder {}", escape(&path)))
    }
}

/// Where the parts of a spool are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    /// Returns the layout of the spool at `root`.
    pub(crate) fn new(root: PathBuf) -> Layout {
        Layout(root)
    }

    /// Returns the spool's own folder.
    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// Returns the path of a folder.
    pub(crate) fn folder(&self, folder: Folder) -> PathBuf {
        self.0.join(folder.path())
    }

    /// Returns the path of a run's file in a folder.
    pub(crate) fn run(&self, folder: Folder, id: &RunId) -> PathBuf {
        self.0.join(folder.path()).join(id.file_name())
    }

    /// Returns the folder of what is not finished.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.0.join(".tmp")
    }

    /// Returns the folder of the jobs' last slots.
    pub(crate) fn slots(&self) -> PathBuf {
        self.0.join(".slots")
    }

    /// Returns the file that a runner holds locked for life.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join(".lock")
    }

    /// Returns the file that tells what a runner tries again, and when.
    pub(crate) fn retry_report(&self) -> PathBuf {
        self.0.join(".retries")
    }

    /// Returns the folder of the spool that an event's path lies in, with the name there.
    pub(crate) fn locate<'a>(&self, path: &'a Path) -> Option<(Folder, &'a std::ffi::OsStr)> {
        let parent = path.parent()?;
        let folder = Folder::ALL.into_iter().find(|f| self.folder(*f) == parent)?;
        Some((folder, path.file_name()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_in_its_family() {
        for folder in Folder::ALL {
            assert!(folder.family().folders().contains(&folder), "{folder}");
        }
    }

    #[test]
    fn a_path_is_located_in_its_folder() {
        let layout = Layout::new("/spool".into());
        let path = Path::new("/spool/command/ready/x.json");
        assert_eq!(layout.locate(path), Some((Folder::Ready, "x.json".as_ref())));
        assert_eq!(layout.locate(Path::new("/spool/command/x.json")), None);
    }
}
