//! What does not go on in a scheduler's spool, and why.
//!
//! A scheduler looks at its spool every few seconds, and an action ends at its `expireafter`.
//! So what should have moved on five minutes ago is stuck, whoever the scheduler is.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::entry::{FAIL, Period, action, is_numbered};
use super::look::Listing;
use crate::chain::Chain;
use crate::cli::layout::span;
use crate::clock::elapsed;
use crate::disk::{Disk, DiskError, FileKind};
use crate::invocation::Program;
use crate::spool::Folder;

/// How long a step may take.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);
/// How many files of a folder are looked into, the first by name.
const FILES_MAX: usize = 1000;
/// The most that is read of a file.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Something that does not go on.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Stuck {
    /// The folder; its path.
    pub(super) folder: &'static str,
    pub(super) name: String,
    /// Why, and what helps.
    pub(super) why: String,
    /// The command that shows more, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<String>,
}

/// Finds what is stuck, and tells how many files were not looked into.
pub(super) fn find(
    disk: &Disk,
    root: &Path,
    folders: &[Listing],
    now: Timestamp,
) -> (Vec<Stuck>, usize) {
    let waiting = commands(folders, &[Folder::Ready, Folder::CommandInflight]);
    let answered = commands(folders, &[Folder::Returned]);
    let (mut stuck, mut more) = (Vec::new(), 0);
    for listing in folders.iter().filter(|listing| listing.place.is_active()) {
        more += listing.names.len().saturating_sub(FILES_MAX);
        for name in listing.names.iter().take(FILES_MAX) {
            let path = root.join(listing.folder).join(name);
            let mut tell = |Why { text: why, database_knows }: Why| {
                let command = || Program::Data.command_here(&["commands", action(name)]);
                let command = database_knows.then(command);
                stuck.push(Stuck { folder: listing.folder, name: name.clone(), why, command });
            };
            if !is_numbered(name) && !name.ends_with(FAIL) {
                tell("its name is that of no action and no command: remove it".into());
                continue;
            }
            // A file that cannot be read does not hide other files.
            let meta = match disk.find(&path) {
                Ok(Some(meta)) => meta,
                // Gone means moved on.
                Ok(None) => continue,
                Err(error) => {
                    tell(unreadable(&error));
                    continue;
                }
            };
            let age = SignedDuration::try_from(elapsed(meta.stamp.changed, now));
            let seen = Seen {
                name,
                age: age.unwrap_or(SignedDuration::MAX),
                commands: waiting.get(action(name)).copied().unwrap_or(0),
                answered: answered.get(action(name)).copied().unwrap_or(0),
            };
            let why = match meta.kind {
                FileKind::File => seen.why(listing.place, now, || disk.read(&path, FILE_BYTES_MAX)),
                FileKind::Folder | FileKind::Link | FileKind::Special => {
                    Some("it is no regular file".into())
                }
            };
            if let Some(why) = why {
                tell(why);
            }
        }
    }
    (stuck, more)
}

/// Returns how many commands of each action have a file in these folders.
fn commands<'a>(folders: &'a [Listing], places: &[Folder]) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    for listing in folders.iter().filter(|listing| places.contains(&listing.place)) {
        for name in &listing.names {
            *counts.entry(action(name)).or_default() += 1;
        }
    }
    counts
}

/// A file that was seen in a folder where something is to be done with it.
struct Seen<'a> {
    name: &'a str,
    /// How long it is there.
    age: SignedDuration,
    /// How many commands of its action wait for an answer in the spool.
    commands: usize,
    /// How many of them are answered or given up, and not in the database yet, as far as names tell.
    answered: usize,
}

impl Seen<'_> {
    /// Returns why it is stuck, if it is.
    fn why(
        &self,
        place: Folder,
        now: Timestamp,
        read: impl FnOnce() -> Result<Vec<u8>, DiskError>,
    ) -> Option<Why> {
        if self.name.ends_with(FAIL) {
            let why = "the scheduler could not read it: see what it is, then remove it";
            return Some(why.into());
        }
        let since = span(self.age.unsigned_abs().as_secs());
        let is_late = self.age > PATIENCE;
        match place {
            // All that is to be known is how long it is there.
            Folder::Ready => {
                let why = format!("was not given to the agent for {since}: {DEAF}");
                return is_late.then(|| why.into());
            }
            Folder::Returned => {
                let why = format!("its answer is not in the database since {since}: {DEAF}");
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
        let period = match place {
            Folder::CommandInflight => Period::of_command(&text),
            _ => Period::of_action(&text),
        };
        match period {
            Err(error) => Some(unreadable(&error)),
            Ok(period) => self.overdue(place, period, now),
        }
    }

    /// Returns what is overdue.
    fn overdue(&self, place: Folder, period: Period, now: Timestamp) -> Option<Why> {
        let (from, until) = (period.from, period.until);
        let is_over = period.is_long_over(now, PATIENCE);
        match place {
            Folder::New if is_over => {
                Some(format!("it expired at {until} and was never sent: {DEAF}").into())
            }
            Folder::New if self.age > PATIENCE && from < now => {
                let since = span(self.age.unsigned_abs().as_secs());
                Some(format!("is not sent for {since}: {DEAF}").into())
            }
            Folder::ActionInflight if is_over => Some(self.unfinished(until)),
            Folder::CommandInflight if is_over => Some(
                format!("its action expired at {until}, and it was not given up: {DEAF}").into(),
            ),
            _ => None,
        }
    }

    /// Returns what is known of an action that expired and is not over.
    fn unfinished(&self, until: Timestamp) -> Why {
        match (self.commands, self.answered) {
            // Only the database knows whether there were any, and whether one is still `sent`.
            (0, 0) => Why {
                text: format!(
                    "it expired at {until}, and the spool has no command of it; this shows whether \
                     it had any, and whether one was never answered:"
                ),
                database_knows: true,
            },
            (0, answered) => {
                format!("it expired at {until}, and {answered} of its commands are not in the database: {DEAF}")
                    .into()
            }
            (open, _) => {
                format!("it expired at {until}, and {open} of its commands are not done: {DEAF}").into()
            }
        }
    }
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> Why {
    format!("it cannot be read: {}", Chain(error)).into()
}

/// Why a file is stuck.
struct Why {
    text: String,
    /// Whether the database has more about its action.
    database_knows: bool,
}

impl From<String> for Why {
    fn from(text: String) -> Why {
        Why { text, database_knows: false }
    }
}

impl From<&str> for Why {
    fn from(text: &str) -> Why {
        text.to_owned().into()
    }
}

/// What may be the matter if nothing goes on.
const DEAF: &str = "the scheduler does not run, or its log tells why";
