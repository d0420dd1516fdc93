//! Looking at the spool: what hints name, and all of it now and then.
//!
//! **Invariant.** A file is read again only if its inode, size or time of change
//! is new, so that our own moves and our own reading lead to no work.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use slog::{info, warn};

use super::engine::Engine;
use super::index::Key;
use super::trouble::Place;
use crate::chain::escape;
use crate::clock::{after, elapsed};
use crate::disk::Stamp;
use crate::disk::ignored_names::is_ignored;
use crate::spool::look::run_id;
use crate::spool::{Family, Folder, Record, Run, Seen, SpoolError, Transition};
use crate::stage::claim;

/// How long after a run entered `action/new` the runner sees it for the first time, at the most.
const TRIGGER_SPAN: Duration = Duration::from_secs(60);
/// What the log says of a folder that cannot be listed.
pub(super) const UNSEEN: &str = "cannot look at the spool";

/// Names that are not in the index: what they stood for when they were last read, and those to look
/// at again.
#[derive(Debug, Default)]
pub(crate) struct UnindexedFiles {
    known: HashMap<(Folder, OsString), Stamp>,
    young: Vec<(Timestamp, Folder, OsString)>,
    /// The state of a file that has not changed since it was too young.
    settled: Option<Stamp>,
}

impl UnindexedFiles {
    /// Has young files judged when nothing has changed for a while from `now` on, at the latest.
    pub(super) fn hurry(&mut self, now: Timestamp) {
        let latest = after(now, claim::WRITING);
        self.young.iter_mut().for_each(|(at, ..)| *at = latest.min(*at));
    }

    /// Returns how many names are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len().saturating_add(self.young.len())
    }
}

impl Engine {
    /// Looks at every name in the folders that a stage acts on, and has `action/done` reviewed if
    /// something there may have been missed.
    pub(super) fn scan(&mut self) {
        self.review_troubles();
        for folder in Folder::ALL {
            if folder.is_active() {
                match self.parts.spool.names(folder) {
                    Ok(names) => {
                        self.troubles.over(&Place::Folder(folder));
                        self.look_at_all(folder, &names);
                    }
                    Err(error) => self.troubled(UNSEEN, Place::Folder(folder), &error),
                }
            }
        }
        self.review();
        self.forget_what_left();
    }

    /// Makes the folders that were removed; returns whether there were any.
    pub(super) fn mend(&mut self) -> bool {
        match self.parts.spool.mend() {
            Ok(mended) => {
                self.troubles.over(&Place::Spool);
                mended
            }
            Err(error) => {
                self.troubled("cannot make folders", Place::Spool, &error);
                false
            }
        }
    }

    pub(super) fn look_at_all(&mut self, folder: Folder, names: &[OsString]) {
        self.listed = Some((folder, false));
        for name in names {
            self.look(folder, name);
        }
        self.listed = None;
    }

    /// Forgets runs and other files that are gone without a hint.
    fn forget_what_left(&mut self) {
        let spool = &self.parts.spool;
        let is_there =
            |(folder, name): &(Folder, OsString)| !matches!(spool.stamp(*folder, name), Ok(None));
        self.unindexed.known.retain(|place, _| is_there(place));
        self.index.forget_away(self.parts.clock.now(), self.parts.settings.settle);
        let known: Vec<_> =
            self.index.iter().map(|(key, live)| (key.clone(), live.folder)).collect();
        for (key, folder) in known {
            let name = key.1.file_name();
            if matches!(self.parts.spool.stamp(folder, name.as_ref()), Ok(None)) {
                self.look(folder, name.as_ref());
            }
        }
    }

    /// Looks at what a hint names; tells whether it lies in the spool.
    pub(crate) fn look_at_path(&mut self, path: &Path) -> bool {
        let Some((folder, name)) = self.parts.spool.layout().locate(path) else { return false };
        let name = name.to_owned();
        let is_hidden = name.as_encoded_bytes().starts_with(b".") || is_ignored(&name);
        if !is_hidden && !self.is_own_move(folder, &name) {
            self.look(folder, &name);
        }
        true
    }

    /// Returns whether a hint is about a run that the engine itself moved to `action/done`.
    fn is_own_move(&self, folder: Folder, name: &OsStr) -> bool {
        folder == Folder::ActionDone
            && self
                .parts
                .spool
                .stamp(folder, name)
                .is_ok_and(|stamp| self.review.is_own(name, stamp))
    }

    /// Looks again at files that were too young to be judged.
    pub(crate) fn look_at_young(&mut self, now: Timestamp) {
        let (due, later) =
            std::mem::take(&mut self.unindexed.young).into_iter().partition(|(at, ..)| *at <= now);
        self.unindexed.young = later;
        let due: Vec<(Timestamp, Folder, OsString)> = due;
        for (_, folder, name) in due {
            self.unindexed.settled = self.unindexed.known.remove(&(folder, name.clone()));
            self.look(folder, &name);
        }
        self.unindexed.settled = None;
    }

    /// Returns when the next young file can be judged.
    pub(crate) fn next_young(&self) -> Option<Timestamp> {
        self.unindexed.young.iter().map(|(at, ..)| *at).min()
    }

    fn look(&mut self, folder: Folder, name: &OsStr) {
        if let Err(error) = self.try_look(folder, name) {
            // What could not be done about it is tried again at the next look.
            self.unindexed.known.remove(&(folder, name.to_owned()));
            if folder.family() == Family::Action {
                // It may be in `action/done` by now, which scans do not list.
                self.review.renew();
            }
            let place = Place::Entry(folder, name.to_string_lossy().into_owned());
            self.troubled("cannot look at entry", place, &error);
        }
    }

    fn try_look(&mut self, folder: Folder, name: &OsStr) -> Result<(), SpoolError> {
        let stamp = self.parts.spool.stamp(folder, name)?;
        if stamp.is_some() && stamp == self.known_stamp(folder, name) {
            return Ok(());
        }
        let seen = self.parts.spool.see(folder, name)?;
        if let Some(stamp) = stamp.filter(|_| !matches!(seen, Seen::Run(_))) {
            self.unindexed.known.insert((folder, name.to_owned()), stamp);
        }
        match seen {
            Seen::Gone => self.departed(folder, name),
            Seen::Run(run) => self.arrived(*run),
            Seen::Action { text } => match stamp {
                Some(stamp) => self.claim(name, text, stamp),
                None => Ok(()),
            },
            Seen::Newer(version) => {
                warn!(self.parts.log, "entry of a newer version is left alone";
                    "folder" => %folder, "version" => version,
                    "name" => escape(&name.to_string_lossy()).as_ref());
                Ok(())
            }
            Seen::Unreadable { reason } => {
                warn!(self.parts.log, "entry waits until the runner may read it"; "folder" => %folder,
                    "name" => escape(&name.to_string_lossy()).as_ref(), "reason" => reason);
                Ok(())
            }
            Seen::Foreign => {
                warn!(self.parts.log, "file is no entry and is left alone: entries end in .json";
                    "folder" => %folder, "name" => escape(&name.to_string_lossy()).as_ref());
                Ok(())
            }
            Seen::Damaged { reason, changed } => {
                let now = self.parts.clock.now();
                // A file that a clock which was ahead dated later than now is judged as soon as the others.
                let judged = after(changed.min(now), claim::WRITING);
                let is_settled = stamp.is_some() && self.unindexed.settled == stamp;
                if folder == Folder::New && now < judged && !is_settled {
                    self.unindexed.young.push((judged, folder, name.to_owned()));
                    return Ok(());
                }
                self.parts.spool.reject(folder, name, &reason)
            }
        }
    }

    fn known_stamp(&self, folder: Folder, name: &OsStr) -> Option<Stamp> {
        let run = run_id(name).and_then(|id| self.index.get(&(folder.family(), id)));
        match run {
            Some(live) if live.folder == folder => Some(live.stamp),
            _ => self.unindexed.known.get(&(folder, name.to_owned())).copied(),
        }
    }

    /// A name is gone: the run is elsewhere, or nowhere.
    fn departed(&mut self, folder: Folder, name: &OsStr) -> Result<(), SpoolError> {
        self.unindexed.known.remove(&(folder, name.to_owned()));
        let Some(id) = run_id(name) else { return Ok(()) };
        let key = (folder.family(), id);
        if self.index.get(&key).is_none_or(|live| live.folder != folder) {
            return Ok(());
        }
        info!(self.parts.log, "entry was moved away by hand"; "run" => %key.1, "from" => %folder);
        self.index.forget(&key);
        match self.parts.spool.settle(&key.1, key.0)? {
            Some(run) => self.arrived(run),
            None => Ok(()),
        }
    }

    /// Makes somebody else's rename as durable as ours before anything irreversible follows; for names
    /// that were listed together once is enough.
    pub(super) fn secure(&mut self, folder: Folder) -> Result<(), SpoolError> {
        if self.listed == Some((folder, true)) {
            return Ok(());
        }
        self.parts.spool.secure(folder)?;
        self.listed =
            self.listed.map(|(listed, is_durable)| (listed, is_durable || listed == folder));
        Ok(())
    }

    /// A run is where it was not when we last looked.
    pub(super) fn arrived(&mut self, run: Run) -> Result<(), SpoolError> {
        let (folder, id) = (run.folder(), run.record().id.clone());
        let run = if self.parts.spool.holders(&id, folder.family())?.len() > 1 {
            match self.parts.spool.settle(&id, folder.family())? {
                Some(run) => run,
                None => return Ok(()),
            }
        } else {
            run
        };
        self.secure(run.folder())?;
        let record = run.record();
        if run.folder() == Folder::ActionDone && record.collected.is_none() {
            return self.collect_now(run);
        }
        let key = (run.folder().family(), run.record().id.clone());
        let put_back = self.is_put_back(&key, &run);
        self.remember(run);
        if let (true, Some(tries)) = (put_back, self.index.tries(&key)) {
            tries.put_back = true;
            tries.not_before = Timestamp::MIN;
        }
        Ok(())
    }

    /// Tells whether a person put a run back who had called it off by a rename, of which its record
    /// tells nothing. What waits when the runner starts may have waited all along, and what entered
    /// just now has been triggered.
    fn is_put_back(&self, key: &Key, run: &Run) -> bool {
        let waited = elapsed(run.record().entered, self.parts.clock.now());
        self.has_begun
            && run.folder() == Folder::New
            && self.index.get(key).is_none()
            && waited >= TRIGGER_SPAN
    }

    /// A person does not want to wait for the end of an action: its results are fetched now.
    fn collect_now(&mut self, run: Run) -> Result<(), SpoolError> {
        let now = self.parts.clock.now();
        let mark = |record: &mut Record| {
            record.collected = Some(now);
            if !record.has_results() {
                record.skip_deliveries();
            }
        };
        if run.record().action_id.is_none() {
            let reason = "it was never accepted, so there are no results: move it to action/new";
            let name = run.record().id.file_name();
            return self.parts.spool.reject(Folder::ActionDone, name.as_ref(), reason);
        }
        let id = run.record().id.clone();
        if run.record().has_results() {
            let mut record = run.record().clone();
            mark(&mut record);
            self.parts.spool.make_ready(record)?;
        }
        let marked = self.parts.spool.follow(run, Transition::Marked, mark)?;
        if self.events.is_some() {
            self.review.expect(&id, marked.stamp());
        }
        match self.parts.spool.take(Folder::Ready, &id)? {
            Some(run) => self.arrived(run),
            None => Ok(()),
        }
    }
}
