//! Retention: removes finished runs, dead letters and results after the time for which they are
//! kept.
//!
//! A thread of its own reads names, and removes documents, which no other part of the runner needs
//! then. The engine removes runs and dead letters, a few in each turn, so that moves never wait for
//! a big spool.
//!
//! **Failure.** A file that cannot be removed stays until the next time, and the failure is logged.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use slog::{Logger, debug, error, info, warn};

use super::Event;
use super::expired_runs::{ExpiredRuns, expired_runs};
use super::index::Index;
use super::settings::Parts;
use crate::chain::Chain;
use crate::clock::after;
use crate::config::runner::RetentionSettings;
use crate::disk::{Disk, DiskError};
use crate::names::{JobName, RunId};
use crate::spool::{Family, Folder, Layout, Spool, SpoolError, View, run_id};
use crate::stage::archive::{Archive, ResultsFolder};
use crate::stage::document::part_path;
use crate::stage::prune::{ClockTrust, DAY, cutoff, due};

/// Delay after the start before the first search, unless the disk is nearly full; and the minimum
/// time between two searches.
const SEARCH_SPAN_MIN: Duration = Duration::from_secs(60);
/// Time between two searches.
const SEARCH_SPAN: Duration = Duration::from_secs(3600);
/// Maximum number of runs and dead letters removed in one turn of the engine.
const BATCH: usize = 32;
/// Maximum number of runs removed between two searches.
const RUNS_MAX: usize = 10_000;

/// Searches for expired files and removes them. Its times are measured from the engine's start, by
/// a clock that is never set.
#[derive(Debug)]
pub(super) struct Pruner {
    /// The running time of the machine when the engine started.
    started: Duration,
    /// When the next search is due.
    next_search: Duration,
    /// When the last search began.
    last_search: Option<Duration>,
    trust: ClockTrust,
    is_searching: bool,
    plan: RemovalPlan,
    removed: Removed,
}

/// The result of a search.
#[derive(Debug, Default)]
pub(crate) struct RemovalPlan {
    runs: VecDeque<RunId>,
    /// Runs are removed if their slot and their last change are before this time.
    runs_before: Timestamp,
    dead_letters: VecDeque<OsString>,
    /// Dead letters are removed if their last change is before this time.
    dead_letters_before: Timestamp,
    /// Number of documents that the search has removed.
    documents: usize,
    /// Whether more runs have expired than the plan lists.
    is_cut: bool,
}

/// The numbers of runs and dead letters that the engine has removed.
#[derive(Debug, Default)]
struct Removed {
    runs: usize,
    dead_letters: usize,
}

/// The result of a turn.
#[derive(Debug)]
pub(super) struct PrunerTurn {
    /// When the next turn is due; `None`: when the search ends, which is an event.
    pub(super) next: Option<Timestamp>,
    /// Whether this turn completed the removal of a plan.
    pub(super) has_completed: bool,
}

/// A search for expired files, in a thread of its own.
struct Search {
    disk: Disk,
    layout: Layout,
    owner: u32,
    directory: PathBuf,
    retention: RetentionSettings,
    results: Vec<ResultsFolder>,
    /// Documents of unfinished runs.
    needed: BTreeSet<String>,
    unfinished: BTreeSet<RunId>,
    now: Timestamp,
    log: Logger,
}

impl Pruner {
    /// Returns a pruner that has not searched yet. `started` is the running time of the machine.
    pub(super) fn new(started: Duration) -> Pruner {
        Pruner {
            started,
            next_search: SEARCH_SPAN_MIN,
            last_search: None,
            trust: ClockTrust::default(),
            is_searching: false,
            plan: RemovalPlan::default(),
            removed: Removed::default(),
        }
    }

    /// Makes the next search due as soon as allowed: the disk is nearly full.
    pub(super) fn search_soon(&mut self) {
        let soon =
            self.last_search.map_or(Duration::ZERO, |last| last.saturating_add(SEARCH_SPAN_MIN));
        self.next_search = self.next_search.min(soon);
    }

    /// Distrusts the clock at start if it is far from the time at which the spool last changed: it
    /// may have jumped while no runner was running.
    pub(super) fn check_clock_at_start(
        &mut self,
        spool: &Spool,
        now: Timestamp,
    ) -> Result<(), DiskError> {
        let mut last: Option<Timestamp> = None;
        for folder in Folder::ALL {
            let found = spool.disk().find(&spool.layout().folder(folder))?;
            last = last.max(found.map(|meta| meta.modified));
        }
        if last.is_some_and(|last| now > after(last, DAY) || last > after(now, DAY)) {
            self.trust.suspend(Duration::ZERO);
        }
        Ok(())
    }

    /// Removes a batch of files, or starts a search if one is due.
    pub(super) fn turn(
        &mut self,
        parts: &Parts,
        index: &Index,
        now: Timestamp,
        events: &Sender<Event>,
    ) -> PrunerTurn {
        let running = parts.clock.running().saturating_sub(self.started);
        self.trust.note(now, running);
        if !self.plan.is_empty() {
            let has_completed = self.remove_batch(parts, index);
            return PrunerTurn { next: Some(now), has_completed };
        }
        if running >= self.next_search && !self.is_searching {
            self.next_search = running.saturating_add(SEARCH_SPAN);
            self.last_search = Some(running);
            if self.trust.is_trusted(running) {
                let started = Search::new(parts, index, now).start(events.clone());
                self.is_searching = started.is_ok();
                if let Err(error) = started {
                    error!(parts.log, "cannot search for expired files"; "error" => Chain(&error));
                    self.next_search = running.saturating_add(SEARCH_SPAN_MIN);
                }
            } else {
                warn!(parts.log, "clock has jumped; not removing expired files");
            }
        }
        let next = after(now, self.next_search.saturating_sub(running));
        PrunerTurn { next: (!self.is_searching).then_some(next), has_completed: false }
    }

    /// Stores the result of a search.
    pub(super) fn search_ended(&mut self, plan: RemovalPlan, log: &Logger) {
        self.is_searching = false;
        self.removed = Removed::default();
        debug!(log, "searched for expired files"; "runs" => plan.runs.len(),
            "dead_letters" => plan.dead_letters.len());
        if plan.is_empty() && plan.documents > 0 {
            info!(log, "removed expired files"; "documents" => plan.documents);
        }
        self.plan = plan;
    }

    /// Removes the next files of the plan; returns whether that completed a plan of which files
    /// were removed.
    fn remove_batch(&mut self, parts: &Parts, index: &Index) -> bool {
        for _ in 0..BATCH {
            let plan = &mut self.plan;
            let removed = if let Some(id) = plan.runs.pop_front() {
                remove_run(&id, plan.runs_before, parts, index)
                    .map(|removed| self.removed.runs += usize::from(removed))
            } else if let Some(name) = plan.dead_letters.pop_front() {
                remove_dead_letter(&name, plan.dead_letters_before, parts)
                    .map(|removed| self.removed.dead_letters += usize::from(removed))
            } else {
                break;
            };
            if let Err(error) = removed {
                error!(parts.log, "cannot remove expired file"; "error" => Chain(&error));
            }
        }
        let (plan, removed) = (&self.plan, &self.removed);
        let has_completed =
            plan.is_empty() && removed.runs + removed.dead_letters + plan.documents > 0;
        if has_completed {
            info!(parts.log, "removed expired files"; "runs" => removed.runs,
                "dead_letters" => removed.dead_letters, "documents" => plan.documents);
            if plan.is_cut && removed.runs > 0 {
                // The next search starts at once, not an hour later, to find the other expired
                // runs.
                self.next_search = Duration::ZERO;
            }
        }
        has_completed
    }
}

fn remove_run(
    id: &RunId,
    before: Timestamp,
    parts: &Parts,
    index: &Index,
) -> Result<bool, SpoolError> {
    let is_unfinished = |family| index.get(&(family, id.clone())).is_some();
    if is_only_record_of_slot(id, parts)
        || is_unfinished(Family::Action)
        || is_unfinished(Family::Command)
    {
        return Ok(false);
    }
    let Some(record) = parts.spool.remove_finished(id, before)? else { return Ok(false) };
    // The pages that were fetched before the fetch was given up are no longer needed.
    if let Some(document) = &record.document {
        let part = part_path(&parts.settings.directory.join(document));
        let disk = parts.spool.disk();
        if disk.find(&part)?.is_some() {
            disk.unlink(&part)?;
        }
    }
    Ok(true)
}

fn remove_dead_letter(
    name: &OsString,
    before: Timestamp,
    parts: &Parts,
) -> Result<bool, SpoolError> {
    if run_id(name).is_some_and(|id| is_only_record_of_slot(&id, parts)) {
        return Ok(false);
    }
    parts.spool.remove_dead_letter(name, before)
}

/// Returns whether only the entry itself prevents its slot from being launched again, because the
/// recorded last slot of its job is earlier.
fn is_only_record_of_slot(id: &RunId, parts: &Parts) -> bool {
    let job = id.stem().parse::<JobName>();
    let last = job.ok().and_then(|job| parts.calendar.last_slot(&job));
    id.is_scheduled() && last.is_some_and(|last| id.slot() > last)
}

impl RemovalPlan {
    fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.dead_letters.is_empty()
    }
}

impl Search {
    fn new(parts: &Parts, index: &Index, now: Timestamp) -> Search {
        let settings = &parts.settings;
        let needed = index.iter().filter_map(|(_, run)| run.facts.document.clone());
        Search {
            disk: parts.spool.disk().clone(),
            layout: parts.spool.layout().clone(),
            owner: crate::disk::trust::own_user(),
            directory: settings.directory.clone(),
            retention: settings.retention,
            results: parts.calendar.results_folders(settings.retention.results),
            needed: needed.collect(),
            unfinished: index.iter().map(|((_, id), _)| id.clone()).collect(),
            now,
            log: parts.log.clone(),
        }
    }

    /// Starts the search in a thread, which sends the plan as an event.
    fn start(self, events: Sender<Event>) -> std::io::Result<()> {
        let search = move || {
            let plan = self.run().unwrap_or_else(|error| {
                error!(self.log, "cannot search for expired files"; "error" => Chain(&error));
                RemovalPlan::default()
            });
            // The receiver is dropped only when the process is about to end.
            events.send(Event::RemovalPlanned(plan)).ok();
        };
        thread::Builder::new().name("prune".to_owned()).spawn(search).map(drop)
    }

    /// Removes expired documents, and finds expired runs and dead letters.
    fn run(&self) -> Result<RemovalPlan, SpoolError> {
        // A power cut may undo a move that is not synced. The files removed below must not be the
        // only other trace of such a run.
        for folder in Folder::ALL {
            self.disk.sync_folder(&self.layout.folder(folder))?;
        }
        let mut plan = RemovalPlan { documents: self.remove_documents(), ..RemovalPlan::default() };
        if let Some(before) = cutoff(self.retention.done, self.now) {
            plan.runs_before = before;
            let view = View::new(&self.layout, &self.disk, self.owner);
            let ExpiredRuns { runs, is_cut } =
                expired_runs(&view, self.retention.done, self.now, &self.unfinished, RUNS_MAX)?;
            (plan.runs, plan.is_cut) = (runs.into(), is_cut);
        }
        if let Some(before) = cutoff(self.retention.invalid, self.now) {
            plan.dead_letters_before = before;
            plan.dead_letters = self.dead_letters()?.into();
        }
        Ok(plan)
    }

    fn remove_documents(&self) -> usize {
        let (disk, directory) = (&self.disk, self.directory.as_path());
        let archive = Archive { disk, directory, needed: &self.needed, now: self.now };
        let mut removed = 0;
        for results in &self.results {
            match archive.prune(results) {
                Ok(count) => removed += count,
                Err(error) => error!(self.log, "cannot remove expired results";
                    "path" => %results.folder.display(), "error" => Chain(&error)),
            }
        }
        removed
    }

    /// Returns the names of expired dead letters. Their age is that of the file's last change,
    /// because their names may contain any time.
    fn dead_letters(&self) -> Result<Vec<OsString>, SpoolError> {
        let folder = self.layout.folder(Folder::Invalid);
        let mut letters = Vec::new();
        for name in self.dead_letter_names(&folder)? {
            if let Some(meta) = self.disk.find(&folder.join(&name))? {
                let stem = run_id(&name).map(|id| id.stem().to_owned()).unwrap_or_default();
                letters.push((meta.stamp.changed, stem, name));
            }
        }
        let due =
            due(letters, self.retention.invalid, self.now, |(at, ..)| *at, |(_, stem, _)| stem);
        Ok(due.into_iter().map(|(.., name)| name).collect())
    }

    /// Returns the names of dead letters, and of `.reason` files whose dead letter is gone.
    fn dead_letter_names(&self, folder: &Path) -> Result<BTreeSet<OsString>, DiskError> {
        let entries = self.disk.list(folder)?;
        let names: BTreeSet<OsString> = entries.into_iter().map(|entry| entry.name).collect();
        let is_letter = |name: &&OsString| {
            let Some(text) = name.to_str() else { return true };
            let letter = text.strip_suffix(".reason").unwrap_or(text);
            !text.starts_with('.') && (letter == text || !names.contains(OsStr::new(letter)))
        };
        Ok(names.iter().filter(is_letter).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_starts_a_search_at_most_once_a_minute() {
        let mut pruner = Pruner::new(Duration::ZERO);
        pruner.search_soon();
        assert_eq!(pruner.next_search, Duration::ZERO);
        pruner.last_search = Some(Duration::from_secs(100));
        pruner.next_search = Duration::from_secs(3700);
        for _ in 0..2 {
            pruner.search_soon();
            assert_eq!(pruner.next_search, Duration::from_secs(160));
        }
    }
}
