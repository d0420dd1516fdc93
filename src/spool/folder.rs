//! The eight folders and the other paths of a spool.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::chain::escape;
use crate::names::RunId;

/// The two groups of folders; a run has at most one file that counts in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// The action, from its launch until it has ended.
    Action,
    /// The results of an action that has ended.
    Command,
}

impl Family {
    /// Returns the folders of the family. If two records of a run have the same `seq`, the one in
    /// the later of these folders counts.
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

/// The state of a run: the folder of its file, which says what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub(crate) enum Folder {
    /// Runs to be sent.
    New,
    /// Dead letters.
    Invalid,
    /// Actions that the API accepted and that run on the fleet.
    ActionInflight,
    /// Actions that have ended.
    ActionDone,
    /// Runs whose results can be fetched.
    Ready,
    /// Runs whose results are being fetched.
    CommandInflight,
    /// Runs whose results are stored and owed to plugins.
    Returned,
    /// Finished runs.
    CommandDone,
}

impl Folder {
    /// Every folder, in the order in which runs pass through them: a reader that follows this order
    /// misses no run that moves on during the reading.
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

    /// Returns the path relative to the spool, which is also the folder's name in output.
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

    /// Returns whether a stage acts on the entries here, so that changes must be noticed at once.
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

/// The paths of the parts of a spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Layout {
        Layout(root)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn folder(&self, folder: Folder) -> PathBuf {
        self.0.join(folder.path())
    }

    /// Returns the path that the file of a run has in `folder`.
    pub(crate) fn run(&self, folder: Folder, id: &RunId) -> PathBuf {
        self.0.join(folder.path()).join(id.file_name())
    }

    /// Returns the folder of temporary files.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.0.join(".tmp")
    }

    /// Returns the folder with the last slot of each job.
    pub(crate) fn slots(&self) -> PathBuf {
        self.0.join(".slots")
    }

    /// Returns the file that the runner locks for its whole life.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join(".lock")
    }

    /// Returns the file that the runner locks while its disk fails.
    pub(crate) fn degraded(&self) -> PathBuf {
        self.0.join(".degraded")
    }

    /// Returns the file that says which failed work is retried and when.
    pub(crate) fn retry_report(&self) -> PathBuf {
        self.0.join(".retries")
    }

    /// Returns the path that the retry report had in earlier versions.
    pub(super) fn former_retry_report(&self) -> PathBuf {
        self.0.join(".agenda")
    }

    /// Returns the folder of the spool that contains `path`, and the file name.
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
    fn every_folder_belongs_to_its_family() {
        for folder in Folder::ALL {
            assert!(folder.family().folders().contains(&folder), "{folder}");
        }
    }

    #[test]
    fn path_is_located_in_its_folder() {
        let layout = Layout::new("/spool".into());
        let path = Path::new("/spool/command/ready/x.json");
        assert_eq!(layout.locate(path), Some((Folder::Ready, "x.json".as_ref())));
        assert_eq!(layout.locate(Path::new("/spool/command/x.json")), None);
    }
}
