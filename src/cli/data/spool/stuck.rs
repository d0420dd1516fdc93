//! Finds the stuck files of a scheduler's spool, and the reason for each.
//!
//! A scheduler scans its spool every few seconds, and an action ends at its `expireafter`. With any
//! scheduler, a file that should have moved on five minutes ago is stuck.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::entry::{FAIL, Period, action, is_numbered};
use super::listing::FolderListing;
use crate::chain::Chain;
use crate::cli::text::duration;
use crate::clock::elapsed;
use crate::disk::{Disk, DiskError, FileKind};
use crate::invocation::Program;
use crate::spool::Folder;

/// Time after which a file that should have moved counts as stuck.
const OVERDUE_SPAN: SignedDuration = SignedDuration::from_mins(5);
/// Maximum number of files of a folder that are checked, in the order of their names.
const FILES_MAX: usize = 1000;
/// Size limit of a file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A stuck file. The fields are the keys of the JSON output.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct StuckFile {
    /// The path of the folder, relative to the spool.
    pub(super) folder: &'static str,
    pub(super) name: String,
    /// The reason, and a remedy.
    pub(super) why: String,
    /// A command that shows more about the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<String>,
}

/// Returns the stuck files, and the number of files that were not checked. `is_complete` is whether all
/// folders could be listed.
pub(super) fn find(
    disk: &Disk,
    root: &Path,
    folders: &[FolderListing],
    is_complete: bool,
    now: Timestamp,
) -> (Vec<StuckFile>, usize) {
    let waiting = command_counts(folders, &[Folder::Ready, Folder::CommandInflight]);
    let answered = command_counts(folders, &[Folder::Returned]);
    let (mut stuck, mut unchecked) = (Vec::new(), 0);
    for listing in folders.iter().filter(|listing| listing.spool_folder.is_active()) {
        unchecked += listing.names.len().saturating_sub(FILES_MAX);
        for name in listing.names.iter().take(FILES_MAX) {
            let path = root.join(listing.folder).join(name);
            let mut report = |StuckReason { text: why, database_knows }: StuckReason| {
                let command = || Program::Data.command_here(&["commands", action(name)]);
                let command = database_knows.then(command);
                stuck.push(StuckFile { folder: listing.folder, name: name.clone(), why, command });
            };
            if !is_numbered(name) && !name.ends_with(FAIL) {
                report("unknown file name: remove the file".into());
                continue;
            }
            // An unreadable file is reported, and does not prevent the check of other files.
            let meta = match disk.find(&path) {
                Ok(Some(meta)) => meta,
                // The file has moved on.
                Ok(None) => continue,
                Err(error) => {
                    report(unreadable(&error));
                    continue;
                }
            };
            let age = SignedDuration::try_from(elapsed(meta.stamp.changed, now));
            let file = CheckedFile {
                name,
                age: age.unwrap_or(SignedDuration::MAX),
                commands: waiting.get(action(name)).copied().unwrap_or(0),
                answered: answered.get(action(name)).copied().unwrap_or(0),
                is_complete,
            };
            let why = match meta.kind {
                FileKind::File => {
                    file.reason(listing.spool_folder, now, || disk.read(&path, FILE_BYTES_MAX))
                }
                FileKind::Folder | FileKind::Link | FileKind::Device | FileKind::Special => {
                    Some("it is not a regular file".into())
                }
            };
            if let Some(why) = why {
                report(why);
            }
        }
    }
    (stuck, unchecked)
}

/// Returns the number of files in these folders for the commands of each action.
fn command_counts<'a>(
    folders: &'a [FolderListing],
    spool_folders: &[Folder],
) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for listing in folders.iter().filter(|listing| spool_folders.contains(&listing.spool_folder)) {
        for name in &listing.names {
            *counts.entry(action(name)).or_default() += 1;
        }
    }
    counts
}

/// A file in a folder that the scheduler processes.
struct CheckedFile<'a> {
    name: &'a str,
    /// Time since the file last changed.
    age: SignedDuration,
    /// Number of commands of its action that wait for an answer in the spool.
    commands: usize,
    /// Number of commands of its action that are answered or have expired, but are not stored in
    /// the database yet, according to file names.
    answered: usize,
    /// Whether all folders with its commands could be listed.
    is_complete: bool,
}

impl CheckedFile<'_> {
    /// Returns why the file is stuck, or `None` if it is not.
    fn reason(
        &self,
        spool_folder: Folder,
        now: Timestamp,
        read: impl FnOnce() -> Result<Vec<u8>, DiskError>,
    ) -> Option<StuckReason> {
        if self.name.ends_with(FAIL) {
            let why = "the scheduler could not read it: check its contents, then remove it";
            return Some(why.into());
        }
        let since = duration(self.age.unsigned_abs().as_secs());
        let is_late = self.age > OVERDUE_SPAN;
        match spool_folder {
            // The age alone decides, so the contents are not read.
            Folder::Ready => {
                let why = format!("not fetched by the agent for {since}: {CHECK_SCHEDULER}");
                return is_late.then(|| why.into());
            }
            Folder::Returned => {
                let why =
                    format!("answer not stored in the database for {since}: {CHECK_SCHEDULER}");
                return is_late.then(|| why.into());
            }
            Folder::New | Folder::ActionInflight | Folder::CommandInflight => {}
            Folder::Invalid | Folder::ActionDone | Folder::CommandDone => return None,
        }
        let text = match read() {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(unreadable(&error)),
        };
        let period = match spool_folder {
            Folder::CommandInflight => Period::of_command(&text),
            _ => Period::of_action(&text),
        };
        match period {
            Err(error) => Some(unreadable(&error)),
            Ok(period) => self.overdue(spool_folder, period, now),
        }
    }

    /// Returns why the file is stuck according to the period in which its action may run.
    fn overdue(&self, spool_folder: Folder, period: Period, now: Timestamp) -> Option<StuckReason> {
        let (from, until) = (period.from, period.until);
        let is_over = period.ended_before(now, OVERDUE_SPAN);
        match spool_folder {
            Folder::New if is_over => {
                Some(format!("it expired at {until} and was never sent: {CHECK_SCHEDULER}").into())
            }
            Folder::New if self.age > OVERDUE_SPAN && from < now => {
                let since = duration(self.age.unsigned_abs().as_secs());
                Some(format!("waiting to be sent for {since}: {CHECK_SCHEDULER}").into())
            }
            Folder::ActionInflight if is_over => Some(self.unfinished(until)),
            Folder::CommandInflight if is_over => Some(
                format!(
                    "its action expired at {until}, but the scheduler has not given it up: \
                     {CHECK_SCHEDULER}"
                )
                .into(),
            ),
            _ => None,
        }
    }

    /// Returns the reason for an action that has expired but has not finished.
    fn unfinished(&self, until: Timestamp) -> StuckReason {
        if !self.is_complete {
            let why = "its commands are unknown, because a folder cannot be listed";
            return format!("it expired at {until}; {why}").into();
        }
        match (self.commands, self.answered) {
            // Only the database shows whether it had commands, and whether one is still `sent`.
            (0, 0) => StuckReason {
                text: format!(
                    "it expired at {until}, and the spool has no commands of it; this shows whether \
                     it had any, and whether any are unanswered:"
                ),
                database_knows: true,
            },
            (0, answered) => format!(
                "it expired at {until}, and {answered} of its commands are not stored in the \
                 database: {CHECK_SCHEDULER}"
            )
            .into(),
            (open, _) => format!(
                "it expired at {until}, and {open} of its commands are unfinished: {CHECK_SCHEDULER}"
            )
            .into(),
        }
    }
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> StuckReason {
    format!("it cannot be read: {}", Chain(error)).into()
}

struct StuckReason {
    text: String,
    /// Whether the database can show more about the action.
    database_knows: bool,
}

impl From<String> for StuckReason {
    fn from(text: String) -> StuckReason {
        StuckReason { text, database_knows: false }
    }
}

impl From<&str> for StuckReason {
    fn from(text: &str) -> StuckReason {
        text.to_owned().into()
    }
}

/// The remedy for files that the scheduler does not process.
const CHECK_SCHEDULER: &str = "check that the scheduler runs, and read its log";
