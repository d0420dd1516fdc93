//! What does not go on in a scheduler's spool, and why.
//!
//! A scheduler looks at its spool every few seconds, and an action ends at its `expireafter`.
//! So what should have moved on five minutes ago is stuck, whoever the scheduler is.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::entry::{FAIL, Period, action, made};
use super::look::Listing;
use crate::chain::Chain;
use crate::cli::failure::Failure;
use crate::cli::layout::span;
use crate::clock::elapsed;
use crate::disk::{Disk, DiskError, Kind};
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
    /// The file.
    pub(super) name: String,
    /// Why, and what helps.
    pub(super) why: String,
}

/// Finds what is stuck, and tells how many files were not looked into.
pub(super) fn find(
    disk: &Disk,
    root: &Path,
    folders: &[Listing],
    now: Timestamp,
) -> Result<(Vec<Stuck>, usize), Failure> {
    let waiting = commands(folders);
    let (mut stuck, mut more) = (Vec::new(), 0);
    for listing in folders.iter().filter(|listing| listing.place.is_active()) {
        more += listing.names.len().saturating_sub(FILES_MAX);
        for name in listing.names.iter().take(FILES_MAX) {
            let path = root.join(listing.folder).join(name);
            // Gone means moved on.
            let Some(meta) = disk.find(&path)? else { continue };
            let age = SignedDuration::try_from(elapsed(meta.stamp.changed, now));
            let seen = Seen {
                name,
                age: age.unwrap_or(SignedDuration::MAX),
                commands: waiting.get(action(name)).copied().unwrap_or(0),
            };
            let why = match meta.kind {
                Kind::File => seen.why(listing.place, now, || disk.read(&path, FILE_BYTES_MAX))?,
                Kind::Folder | Kind::Link | Kind::Special => {
                    Some("it is no regular file".to_owned())
                }
            };
            stuck.extend(why.map(|why| Stuck { folder: listing.folder, name: name.clone(), why }));
        }
    }
    Ok((stuck, more))
}

/// Returns how many commands of each action are not done.
fn commands(folders: &[Listing]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    let open = [Folder::Ready, Folder::CommandInflight];
    for listing in folders.iter().filter(|listing| open.contains(&listing.place)) {
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
    /// How many commands of its action are not done.
    commands: usize,
}

impl Seen<'_> {
    /// Returns why it is stuck, if it is.
    fn why(
        &self,
        place: Folder,
        now: Timestamp,
        read: impl FnOnce() -> Result<Vec<u8>, DiskError>,
    ) -> Result<Option<String>, Failure> {
        if self.name.ends_with(FAIL) {
            let why = "the scheduler could not read it: see what it is, then remove it";
            return Ok(Some(why.to_owned()));
        }
        if made(self.name).is_none() {
            return Ok(Some("its name is that of no action and no command: remove it".to_owned()));
        }
        let since = span(self.age.unsigned_abs().as_secs());
        let is_late = self.age > PATIENCE;
        match place {
            // All that is to be known is how long it is there.
            Folder::Ready => {
                let why = format!("was not given to the agent for {since}: {DEAF}");
                return Ok(is_late.then_some(why));
            }
            Folder::Returned => {
                let why = format!("its answer is not in the database since {since}: {DEAF}");
                return Ok(is_late.then_some(why));
            }
            Folder::New | Folder::ActionInflight | Folder::CommandInflight => {}
            Folder::Invalid | Folder::ActionDone | Folder::CommandDone => return Ok(None),
        }
        let text = match read() {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let period = match place {
            Folder::CommandInflight => Period::of_command(&text),
            _ => Period::of_action(&text),
        };
        Ok(match period {
            Err(error) => Some(format!("it cannot be read: {}", Chain(&error))),
            Ok(period) => self.overdue(place, period, now),
        })
    }

    /// Returns what is overdue.
    fn overdue(&self, place: Folder, period: Period, now: Timestamp) -> Option<String> {
        let (from, until) = (period.from, period.until);
        let is_over = period.is_long_over(now, PATIENCE);
        match place {
            Folder::New if is_over => {
                Some(format!("it expired at {until} and was never sent: {DEAF}"))
            }
            Folder::New if self.age > PATIENCE && from < now => {
                let since = span(self.age.unsigned_abs().as_secs());
                Some(format!("is not sent for {since}: {DEAF}"))
            }
            Folder::ActionInflight if is_over && self.commands > 0 => Some(format!(
                "it expired at {until}, and {} of its commands are not done: {DEAF}",
                self.commands
            )),
            Folder::ActionInflight if is_over => {
                Some(format!("it expired at {until}, its commands are done, and it is not: {DEAF}"))
            }
            Folder::CommandInflight if is_over => {
                Some(format!("its action expired at {until}, and it was not given up: {DEAF}"))
            }
            _ => None,
        }
    }
}

/// What may be the matter if nothing goes on.
const DEAF: &str = "the scheduler does not run, or its log tells why";
