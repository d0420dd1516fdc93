//! The spool: eight folders that a run moves through, by renames.
//!
//! ```text
//! launch ─▶ action/new ──submit──▶ action/inflight ──collect──▶ action/done
//!               └───────▶ action/invalid               └─▶ command/ready ──fetch──▶
//!     command/inflight ──▶ command/returned ──deliver──▶ command/done
//! ```
//!
//! **Invariants.** The disk is the truth; nothing is in memory that a restart
//! could not read back. A run has one file in one folder of each family; where a
//! crash leaves two, the one with the highest `seq` counts. Only [`transitions`] moves
//! runs, and only through [`Disk`]. One process at a time writes, the one that
//! holds the lock; readers and people need none, because every file is whole at
//! every moment.
//!
//! **Failure.** An error of the disk leaves the entry where it is. A file that
//! is no record goes to `action/invalid` with its reason and stops no other.
//!
//! # Every transition, and what a crash makes of it
//!
//! A *create* is: temporary, write, fsync, rename to a free name, fsync of the
//! folder. A *rewrite* is: temporary, write, fsync, exchange, fsync of the folder,
//! unlink of the old file; where another file was there by then, burial of that one.
//! It is rejected at the next start if a crash comes before. Both are committed by their fsync of the folder: before
//! it the machine may come back with the old state or with the new one, after it
//! with the new one only. Temporaries that are left are swept at start.
//!
//! | transition | durable operations, in order | what a crash leaves | recovery |
//! | --- | --- | --- | --- |
//! | launch: → new | 1 create in `new`; 2 stamp of the slot | before 1 nothing; between 1 and 2 a run without a stamp | before: the slot is found again, if it is on time; between: the run's id counts as the stamp |
//! | claim: new → new | 1 rename to the run's id; 2 rewrite as a record | between: an action under a claimed name | it is made a record, under that id |
//! | adopt: → action/inflight | 1 create in `action/inflight`; 2 unlink of the original's file | between: both | the file gives the same id again, and only it is removed |
//! | Renewed, Noted: new | rewrite | the old record or the new one | the stage decides anew; a lost note is made again |
//! | Signed: new | 1 rewrite with text, signature and `fate` = unknown; then the POST | before 1: not sent; after 1: perhaps sent | before: signed anew; after: searched for, neither posted nor signed before it is known that it is not there |
//! | Accepted: new → action/inflight | 1 create in `action/inflight`; 2 unlink in `new` | before 1: as after Signed; between: both files | before: the search finds it; between: the higher `seq` counts, the other is removed after an fsync of the winner's folder |
//! | Refused: new → invalid | 1 create in `invalid`; 2 unlink in `new` | before 1: as after Signed; between: both | as Accepted |
//! | SentOnly, Collected: action/inflight → action/done | 1 create in `command/ready`, not for SentOnly; 2 create in `action/done`; 3 unlink in `action/inflight` | between 1 and 2: a command record of an action that seems to run; between 2 and 3: both files | between 1 and 2: collected again, the command record stays; then as Accepted |
//! | Marked: action/done | 1 create in `command/ready`; 2 rewrite | between: no mark | marked again, the command record stays |
//! | Misplaced: → invalid | 1 create in `invalid`; 2 unlink | both | as Accepted |
//! | Begun: ready → command/inflight | 1 create in `command/inflight` with the document's place; 2 unlink in `ready` | before 1: no place chosen; between: both | before: it is chosen anew; between: as Accepted |
//! | FetchNoted: command/inflight | rewrite | a note more or less | none needed |
//! | Fetched: command/inflight → returned | 1 the document has its name; 2 create in `returned`; 3 unlink in `command/inflight` | before 1: a part; between 1 and 2: a document that is complete | the part goes on at its last whole command; a document that is there ends the fetch, once its folder is fsynced; then as Accepted |
//! | FetchGivenUp: command/inflight → command/done | 1 create in `command/done`; 2 unlink | both | as Accepted |
//! | Delivered: returned | the plugin ends; rewrite | between: a plugin that took the results and is owed | it is run again, with the same ids |
//! | Finished: returned → command/done | create and unlink, or one rename if nothing changes | both, or one of the two | as Accepted; a rename that was lost is made again |
//! | burial: → invalid | 1 create of the reason; 2 rename of the file | between: a reason without a file | the file is judged again, and finds its reason there |
//!
//! Beside the folders are names that begin with a dot: `.tmp`, what is being written; `.slots`, the
//! last slot of each job; `.lock`, held by the runner; [`.retries`](retry_report), what it tries again and when,
//! for others to read.
//!
//! At start the folders are fsynced before anything in them is believed: what a
//! process that died had renamed can be seen, and could still be lost.

mod arrivals;
mod dead_letters;
mod doubles;
pub(crate) mod finished;
pub(crate) mod folder;
mod held;
mod inspect;
pub(crate) mod look;
mod prune;
pub(crate) mod record;
mod recover;
pub(crate) mod retry_report;
mod slots;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod transitions;
pub(crate) mod view;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slog::{Logger, o};

pub(crate) use folder::{Family, Folder, Layout};
pub(crate) use inspect::inspect;
use inspect::{check_links, is_vacant};
pub(crate) use look::{Run, Seen, run_id};
pub(crate) use record::{Delivery, DeliveryState, Fate, Launch, Origin, Record, Settings};
pub(crate) use retry_report::{Again, Attempt, RetryReport};
pub(crate) use slots::SlotStamp;
pub(crate) use transitions::Transition;
pub(crate) use view::View;

use self::held::Held;
use crate::disk::{DAEMON_PREFIX, Disk, DiskError, Fs, trust};
use crate::invocation::Program;
use crate::names::RunId;

/// What the lock file says: that this is a spool, and of which form.
const MARK: &[u8] = b"mig-runner 1\n";

/// The spool, held for writing.
#[derive(Debug)]
pub(crate) struct Spool {
    layout: Layout,
    disk: Disk,
    owner: u32,
    log: Logger,
    held: Held,
}

/// What can go wrong with the spool.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// The disk did not do what it was asked.
    #[error(transparent)]
    Disk {
        #[from]
        source: DiskError,
    },
    /// Another process has the lock.
    #[error("another runner holds the spool {}: stop it first, or stand by with `{}`", path.display(), Program::Runner.command_here(&["run", "--standby"]))]
    Locked { path: PathBuf },
    /// What the path of the spool names is not what was locked.
    #[error("the spool {} is no longer the one that this runner has locked: another file system is mounted over it, or it was moved or removed; put it back and start the runner again", path.display())]
    Replaced { path: PathBuf },
    /// A folder with files in it is no spool of ours.
    #[error("{} is not empty and is no spool: set `spool` in the [runner] section to a folder of its own", path.display())]
    NotASpool { path: PathBuf },
    /// The spool was made by another version.
    #[error("{} is not of a form that this version knows", path.display())]
    Newer { path: PathBuf },
    /// Others could change the spool.
    #[error("the spool is not safe: {}", faults.join("; "))]
    Unsafe {
        /// Each fault, with what to do.
        faults: Vec<String>,
    },
    /// The folders cannot be renamed between.
    #[error("{} is on another device than the rest of the spool: a move between them would not be atomic", path.display())]
    Devices { path: PathBuf },
    /// A folder of the spool is a link.
    #[error("{} is a link, and moves between the folders of a spool must be atomic: put the folder itself there, or make the whole spool a link", path.display())]
    Link { path: PathBuf },
    /// Somebody moved the run away.
    #[error("{id} is no longer in {folder}")]
    Gone { id: RunId, folder: Folder },
    /// A run of this id is there already.
    #[error("{id} is in {folder} already")]
    Taken { id: RunId, folder: Folder },
    /// There are too many dead letters of one name.
    #[error("too many dead letters named {}: remove some from action/invalid", name.display())]
    Crowded { name: OsString },
    /// A run cannot go this way: a fault of the program.
    #[error("there is no way {transition:?} from {from}")]
    NoTransition { from: Folder, transition: Transition },
    /// What is tried again cannot be written as JSON: a fault of the program.
    #[error("cannot write what is tried again as JSON")]
    RetryReport { source: serde_json::Error },
    /// A record cannot be written as JSON: a fault of the program.
    #[error("cannot write {id} as JSON")]
    Encode { id: RunId, source: serde_json::Error },
}

impl SpoolError {
    /// Returns what kind of failure of the disk it was, if of the disk.
    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            SpoolError::Disk { source } => source.kind(),
            _ => io::ErrorKind::Other,
        }
    }
}

impl Spool {
    /// Opens the spool at `root` for writing, makes it if there is none, and puts in order what a
    /// crash left.
    ///
    /// # Errors
    /// See [`SpoolError`]: nothing was moved unless the lock was had.
    pub(crate) fn open(fs: Arc<dyn Fs>, root: &Path, log: &Logger) -> Result<Spool, SpoolError> {
        let layout = Layout::new(root.to_owned());
        let disk = Disk::new(fs, layout.scratch(), DAEMON_PREFIX);
        let held = claim(&disk, &layout)?;
        let owner = trust::own_user();
        let log = log.new(o!("part" => "spool"));
        let spool = Spool { layout, disk, owner, log, held };
        inspect(&spool.disk, &spool.layout, spool.owner)?;
        let survey = spool.disk.probe()?;
        spool.recover(survey)?;
        Ok(spool)
    }

    /// Returns where the spool's parts are.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the disk that the spool is on.
    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Makes an entry that somebody else put into a folder as durable as our own.
    pub(crate) fn secure(&self, folder: Folder) -> Result<(), SpoolError> {
        Ok(self.disk.sync_folder(&self.layout.folder(folder))?)
    }
}

/// Tells whether there is a spool already, where there is none yet.
///
/// # Errors
/// There is something else, or a spool of another version.
pub(crate) fn is_spool(disk: &Disk, layout: &Layout) -> Result<bool, SpoolError> {
    let mark = layout.lock();
    if disk.find(&mark)?.is_some() {
        return match disk.read(&mark, 64)? == MARK {
            true => Ok(true),
            false => Err(SpoolError::Newer { path: mark }),
        };
    }
    match is_vacant(disk, layout)? {
        true => Ok(false),
        false => Err(SpoolError::NotASpool { path: layout.root().to_owned() }),
    }
}

/// Makes what is missing of a spool, marks it as one and locks it.
fn claim(disk: &Disk, layout: &Layout) -> Result<Held, SpoolError> {
    check_links(disk, layout)?;
    if !is_spool(disk, layout)? {
        found(disk, layout)?;
    }
    let held = Held::take(disk, layout)?;
    for folder in Folder::ALL {
        disk.make_folders(&layout.folder(folder))?;
    }
    disk.make_folders(&layout.scratch())?;
    disk.make_folders(&layout.slots())?;
    Ok(held)
}

/// Marks a folder as a spool: from then on files in it are no strangers to the first runner.
///
/// # Errors
/// The disk does not take it.
pub(crate) fn found(disk: &Disk, layout: &Layout) -> Result<(), DiskError> {
    disk.make_folders(&layout.scratch())?;
    match disk.create(&layout.lock(), MARK) {
        // Another runner was a moment faster; the lock decides.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{open, reopen, spool};
    use super::*;

    #[test]
    fn a_new_spool_has_the_eight_folders_and_no_other() {
        let (folder, _spool) = spool();
        let root = folder.path().join("spool");
        for family in ["action", "command"] {
            let mut names: Vec<_> = std::fs::read_dir(root.join(family))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            let expected: &[&str] = if family == "action" {
                &["done", "inflight", "invalid", "new"]
            } else {
                &["done", "inflight", "ready", "returned"]
            };
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn a_spool_has_one_writer() {
        let (folder, spool) = spool();
        assert!(matches!(open(folder.path()), Err(SpoolError::Locked { .. })));
        drop(spool);
        drop(reopen(folder.path()).unwrap());
    }
}
