//! The spool: eight folders through which every run moves by renames.
//!
//! ```text
//! launch ─▶ action/new ──submit──▶ action/inflight ──collect──▶ action/done
//!               └───────▶ action/invalid               └─▶ command/ready ──fetch──▶
//!     command/inflight ──▶ command/returned ──deliver──▶ command/done
//! ```
//!
//! A run has one file, `ID.json`, in one folder of the family `action/` and, once its action has
//! ended, one in the family `command/`. The folder says what to do next; the record in the file
//! says what is known. Everything that the runner must remember about a run is in these files.
//!
//! **Invariants.**
//! * The disk is the only truth. Memory holds nothing that a restart could not read back.
//! * In each family, one file of a run counts. If a crash or a copy leaves several, the one with
//!   the highest `seq` counts; if `seq` is equal, the one in the later folder
//!   ([`Family::folders`]).
//! * Only [`transitions`] and [`commit`] move runs, and they write only through [`Disk`].
//! * One process writes: the one that holds the lock. Readers need no lock, and neither do
//!   operators who rename files, because every visible file is complete at every moment.
//!
//! **Failure.** A disk error leaves the entry where it is. A file that is not a valid entry goes to
//! `action/invalid` with a reason, and does not affect any other entry.
//!
//! # Folders
//!
//! * `action/new`: runs to be sent. They leave when the API accepts the action (to
//!   `action/inflight`), when it refuses the action or the deadline passes (to `action/invalid`),
//!   or when a newer run of the job takes their place (to `action/done`).
//! * `action/inflight`: actions that run on the fleet. They leave to `action/done`: at once if the
//!   job is `sendonly`, otherwise when the action has ended and a file exists in `command/ready`.
//! * `action/done`: actions that have ended, that `sendonly` jobs sent, or that were superseded.
//!   Retention removes them.
//! * `action/invalid`: dead letters. The reason is in the record, or in `NAME.reason` beside a file
//!   that is not a record. The operator retries them, or retention removes them.
//! * `command/ready`: runs whose results can be fetched. They leave to `command/inflight` when the
//!   fetch begins.
//! * `command/inflight`: runs whose results are being fetched, including back-off. They leave to
//!   `command/returned` when the document is complete, or to `command/done` when the fetch is given
//!   up.
//! * `command/returned`: runs whose document is stored and owed to plugins. They leave to
//!   `command/done` when every plugin has accepted it or was given up.
//! * `command/done`: finished runs. Retention removes them.
//!
//! Names that begin with a dot are not entries:
//!
//! * `.lock` marks the folder as a spool. The runner locks it for its whole life and never deletes
//!   it.
//! * `.tmp` contains files that are being written.
//! * `.degraded` is a file that the runner locks while its disk fails, so that `status` reports
//!   degraded.
//! * `.slots` contains the last slot of each job ([`slots`]).
//! * `.retries` says which failed work is retried and when, for `status` and the operator
//!   ([`retry_report`]). Earlier versions called it `.agenda`.
//!
//! # Commit points
//!
//! There are three ways to change a file. Each is committed by the fsync of a folder: if the
//! machine stops before that fsync, the old state or the new one may come back; after it, only the
//! new one.
//!
//! * **Create**: write a temporary file in `.tmp`, fsync it, rename it to a free name, fsync the
//!   folder.
//! * **Rewrite**: write a temporary file, fsync it, exchange it with the old file, fsync the
//!   folder, unlink the old file. If another process had put its own file under that name
//!   meanwhile, that displaced file is kept as a dead letter instead of being unlinked. After a
//!   crash in between, the displaced file is still in `.tmp`, and the next start makes it a dead
//!   letter.
//! * **Rename** to a free name, fsync the new folder.
//!
//! The changes of several runs are committed together ([`Spool::commit`]): each step is taken for all
//! of them before the next one, and a folder is synced once. They do not depend on each other, so a
//! crash may leave any part of them. What depends on a change begins when all of it is durable.
//!
//! A move that changes the record creates the new file first and unlinks the old one afterwards. A
//! crash in between leaves two files of the run, but never none. Unlinks are not fsynced: a lost
//! unlink brings back only an older file, which does not count.
//!
//! # Transitions, and what a crash leaves
//!
//! Each entry lists the durable operations in order, then what a crash leaves and how the runner
//! recovers. **Both files** means an older file beside the one that counts: the runner fsyncs the
//! folder of the one that counts and removes the older one ([`Spool::settle`], at start and
//! whenever the run is next handled).
//!
//! * **launch**, to `new`: 1 create in `new`; 2 write the slot stamp. Before 1: nothing; the slot
//!   is found due again, or missed if it is too late. Between: a run without a stamp; the run's id
//!   counts as the stamp.
//! * **claim**, within `new`: 1 rename to the run's id; 2 rewrite as a record. Between: a plain
//!   action under a run's id; it is rewritten as the record of that run.
//! * **adopt**, to `action/inflight`: 1 create in `action/inflight`; 2 unlink the original's file.
//!   Between: both; the original's file yields the same id again, and only that file is removed.
//! * **Renewed**, **Noted**, within `new`: rewrite. The old record or the new one; the stage
//!   decides again, and a lost note is made again.
//! * **Signed**, within `new`: rewrite with text, signature and `fate` = `unknown`; then POST.
//!   Before the rewrite: the action was not sent; it is signed anew. After it: the action may have
//!   been sent; the platform is searched, and the run is neither posted nor signed until it is
//!   known that the platform does not have the action.
//! * **Accepted**, `new` to `action/inflight`: 1 create in `action/inflight`; 2 unlink in `new`.
//!   Before 1: as after Signed; the search finds the action. Between: both files.
//! * **Refused**, `new` to `invalid`: 1 create in `invalid`; 2 unlink in `new`. Before 1: as after
//!   Signed. Between: both files.
//! * **Superseded**, `new` to `action/done`: 1 create in `action/done`, marked as collected; 2
//!   unlink in `new`. Before 1: no change; the stage decides again. Between: both files.
//! * **SentOnly**, **Collected**, `action/inflight` to `action/done`: 1 create in `command/ready`
//!   (not for SentOnly); 2 create in `action/done`; 3 unlink in `action/inflight`. Between 1 and 2:
//!   a command record of an action that still seems to run; the run is collected again and keeps
//!   its command record. Between 2 and 3: both files.
//! * **Marked**, within `action/done`: 1 create in `command/ready`; 2 rewrite. Between: the mark is
//!   missing; the run is marked again and keeps its command record.
//! * **Misplaced**, to `invalid`: 1 create in `invalid`; 2 unlink. Between: both files.
//! * **Begun**, `ready` to `command/inflight`: 1 create in `command/inflight` with the document's
//!   path; 2 unlink in `ready`. Before 1: no path; one is chosen anew. Between: both files.
//! * **FetchNoted**, within `command/inflight`: rewrite. The record has the note or not; both are
//!   correct.
//! * **Fetched**, `command/inflight` to `returned`: 1 the document gets its name; 2 create in
//!   `returned`; 3 unlink in `command/inflight`. Before 1: a partial document; the fetch resumes
//!   after its last complete command. Between 1 and 2: a complete document; an existing document
//!   ends the fetch, once its folder is fsynced. Between 2 and 3: both files.
//! * **FetchGivenUp**, `command/inflight` to `command/done`: 1 create in `command/done`; 2 unlink.
//!   Between: both files.
//! * **Delivered**, within `returned`: the plugin exits; rewrite. Between: a plugin that accepted
//!   the results but still counts as owed; it runs again, with the same ids.
//! * **Finished**, `returned` to `command/done`: create and unlink, or one rename if the record
//!   does not change. Both files, or one of the two; a lost rename is made again.
//! * **reject**, to `invalid`: 1 create `NAME.reason`; 2 rename the file. Between: a reason without
//!   its file; the file is examined again and finds its reason in place.
//!
//! # Recovery at start
//!
//! Visible is not durable: a rename made by a process that died can be seen, and could still be
//! lost. Therefore [`Spool::open`] works in this order: take the lock; check that only the runner's
//! user can write the spool and that it is on one device; fsync the folders; empty `.tmp`, keeping
//! displaced files as dead letters; remove a `.agenda` of an earlier version; leave one file of
//! each run in each family. Only then does any stage act on what the folders show.

mod arrivals;
mod commit;
mod dead_letters;
mod duplicates;
pub(crate) mod entry;
pub(crate) mod finished;
pub(crate) mod folder;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod inspect;
mod lock;
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

use slog::{Logger, o, warn};

pub(crate) use commit::RunChange;
pub(crate) use entry::{Run, Seen, run_id};
pub(crate) use folder::{Family, Folder, Layout};
pub(crate) use inspect::inspect;
use inspect::{check_links, is_vacant};
pub(crate) use record::{Delivery, DeliveryState, Fate, Launch, Origin, Record, Settings};
pub(crate) use retry_report::{RetryAttempt, RetryReport, RetryTime};
pub(crate) use slots::SlotStamp;
pub(crate) use transitions::Transition;
pub(crate) use view::View;

use self::lock::SpoolLock;
use crate::chain::Chain;
use crate::disk::{DAEMON_PREFIX, Disk, DiskError, Fs, trust};
use crate::invocation::Program;
use crate::names::RunId;

/// Content of the lock file: marks the folder as a spool, and states its format.
const MARK: &[u8] = b"mig-runner 1\n";

/// The spool, locked for writing.
#[derive(Debug)]
pub(crate) struct Spool {
    layout: Layout,
    disk: Disk,
    owner: u32,
    log: Logger,
    lock: SpoolLock,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    #[error(transparent)]
    Disk {
        #[from]
        source: DiskError,
    },
    #[error("another runner has locked the spool {}: stop it first, or stand by with `{}`", path.display(), Program::Runner.command_here(&["run", "--standby"]))]
    Locked { path: PathBuf },
    /// The path of the spool now leads to another folder than the locked one.
    #[error("the spool {} is no longer the one that this runner has locked: another file system is mounted over it, or it was moved or removed; put it back and start the runner again", path.display())]
    Replaced { path: PathBuf },
    #[error("{} is not empty and is not a spool: set `spool` in the [runner] section to a folder of its own", path.display())]
    NotASpool { path: PathBuf },
    /// Another version of this program created the spool.
    #[error("{} has a format that this version does not know", path.display())]
    Newer { path: PathBuf },
    #[error("the spool is not safe: {}", faults.join("; "))]
    Unsafe {
        /// Each with its remedy.
        faults: Vec<String>,
    },
    #[error("{} is on another device than the rest of the spool: a move between them would not be atomic", path.display())]
    Devices { path: PathBuf },
    #[error("{} is a symbolic link, and moves between the folders of a spool must be atomic: put the folder itself there, or make the whole spool a link", path.display())]
    Link { path: PathBuf },
    #[error("cannot read the file of {id}: {reason}")]
    Unreadable { id: RunId, reason: String },
    /// Another process moved the run away.
    #[error("{id} is no longer in {folder}")]
    Gone { id: RunId, folder: Folder },
    #[error("{id} already exists in {folder}")]
    Taken { id: RunId, folder: Folder },
    #[error("too many dead letters named {}: remove some from action/invalid", name.display())]
    Crowded { name: OsString },
    /// A bug in the caller.
    #[error("no transition {transition:?} begins in {from}")]
    NoTransition { from: Folder, transition: Transition },
    /// A bug: every report can be encoded.
    #[error("cannot encode the retry report as JSON")]
    RetryReport { source: serde_json::Error },
    /// A bug: every record can be encoded.
    #[error("cannot encode {id} as JSON")]
    Encode { id: RunId, source: serde_json::Error },
}

impl SpoolError {
    /// Returns the kind of a disk error; `Other` for all other errors.
    pub(crate) fn kind(&self) -> io::ErrorKind {
        match self {
            SpoolError::Disk { source } => source.kind(),
            _ => io::ErrorKind::Other,
        }
    }
}

impl Spool {
    /// Opens the spool at `root` for writing, creates it if it does not exist, and recovers from a
    /// crash.
    ///
    /// # Errors
    /// See [`SpoolError`]. Nothing is moved before the lock is taken.
    pub(crate) fn open(fs: Arc<dyn Fs>, root: &Path, log: &Logger) -> Result<Spool, SpoolError> {
        let layout = Layout::new(root.to_owned());
        let disk = Disk::new(fs, layout.scratch(), DAEMON_PREFIX);
        let lock = create_and_lock(&disk, &layout)?;
        let owner = trust::own_user();
        let log = log.new(o!("part" => "spool"));
        let spool = Spool { layout, disk, owner, log, lock };
        inspect(&spool.disk, &spool.layout, spool.owner)?;
        let probe = spool.disk.probe()?;
        spool.recover(probe)?;
        // While the disk fails, the file cannot be created.
        if let Err(error) = spool.disk.create_lock_file(&spool.layout.degraded()) {
            warn!(spool.log, "cannot create file; status may not show disk errors";
                "error" => Chain(&error));
        }
        Ok(spool)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Makes entries that other processes put into a folder as durable as the runner's own.
    pub(crate) fn sync_folder(&self, folder: Folder) -> Result<(), SpoolError> {
        Ok(self.disk.sync_folder(&self.layout.folder(folder))?)
    }
}

/// Returns whether `layout` is a spool already; `false` if one can be created there.
///
/// # Errors
/// `NotASpool` if the folder has other content, `Newer` if the spool has another format.
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

/// Locks the spool, after creating it if needed, and creates its missing folders.
fn create_and_lock(disk: &Disk, layout: &Layout) -> Result<SpoolLock, SpoolError> {
    check_links(disk, layout)?;
    if !is_spool(disk, layout)? {
        mark_as_spool(disk, layout)?;
    }
    let lock = SpoolLock::take(disk, layout)?;
    for folder in Folder::ALL {
        disk.make_folders(&layout.folder(folder))?;
    }
    disk.make_folders(&layout.scratch())?;
    disk.make_folders(&layout.slots())?;
    Ok(lock)
}

/// Marks a folder as a spool, so that entries put there before the first start are accepted.
pub(crate) fn mark_as_spool(disk: &Disk, layout: &Layout) -> Result<(), DiskError> {
    disk.make_folders(&layout.scratch())?;
    match disk.create(&layout.lock(), MARK) {
        // Another runner was faster; the lock decides which one of them runs.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{open, reopen, spool};
    use super::*;

    #[test]
    fn new_spool_has_exactly_eight_folders() {
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
    fn second_writer_is_refused() {
        let (folder, spool) = spool();
        assert!(matches!(open(folder.path()), Err(SpoolError::Locked { .. })));
        drop(spool);
        drop(reopen(folder.path()).unwrap());
    }
}
