//! Retention: what is finished and was kept for long enough goes, a little at a time.
//!
//! A thread of its own reads names and removes documents, which nobody else needs
//! then. Runs and dead letters the engine removes, a few each turn, so that no
//! transition waits for a big spool.
//!
//! **Failure.** What cannot be removed stays until the next time; the log says so.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use slog::{Logger, debug, error, info, warn};

use super::Event;
use super::engine::Engine;
use super::oldest::{Oldest, oldest};
use crate::chain::Chain;
use crate::clock::after;
use crate::config::runner::RetentionSettings;
use crate::disk::{Disk, DiskError};
use crate::names::{JobName, RunId};
use crate::spool::{Family, Folder, Layout, SpoolError, View, run_id};
use crate::stage::archive::{Archive, Shelf};
use crate::stage::document::part_path;
use crate::stage::prune::{DAY, Trust, cutoff, due};

/// How long after the start something is removed for the first time, unless the disk is nearly full; and
/// how long it is at the least between two times.
const FIRST_SPAN: Duration = Duration::from_secs(60);
/// How long it is from then on between two times.
const EVERY_SPAN: Duration = Duration::from_secs(3600);
/// How many runs and letters go in one turn of the engine.
const BATCH: usize = 32;
/// How many runs are removed between two looks for what is old.
const RUNS_MAX: usize = 10_000;

/// How far retention has come.
#[derive(Debug)]
pub(crate) struct Pruning {
    pub(super) next: Duration,
    /// When it was looked for what is old the last time.
    pub(super) last: Option<Duration>,
    trust: Trust,
    planning: bool,
    plan: Plan,
    removed: Removed,
}

/// What the engine is to remove.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    runs: VecDeque<RunId>,
    runs_before: Timestamp,
    letters: VecDeque<OsString>,
    letters_before: Timestamp,
    documents: usize,
    /// Whether more runs are due than this plan has.
    is_cut: bool,
}

#[derive(Debug, Default)]
struct Removed {
    runs: usize,
    letters: usize,
}

impl Pruning {
    pub(crate) fn new() -> Pruning {
        Pruning {
            next: FIRST_SPAN,
            last: None,
            trust: Trust::default(),
            planning: false,
            plan: Plan::default(),
            removed: Removed::default(),
        }
    }

    /// Looks for what is old as soon as possible: the disk is nearly full.
    pub(super) fn hasten(&mut self) {
        let soon = self.last.map_or(Duration::ZERO, |last| last.saturating_add(FIRST_SPAN));
        self.next = self.next.min(soon);
    }
}

/// What is read and removed beside the engine.
struct Survey {
    disk: Disk,
    layout: Layout,
    owner: u32,
    directory: PathBuf,
    retention: RetentionSettings,
    shelves: Vec<Shelf>,
    needed: BTreeSet<String>,
    /// Runs that are not finished.
    open: BTreeSet<RunId>,
    now: Timestamp,
    log: Logger,
}

impl Engine {
    /// Distrusts the clock at start if it is far from when the spool last changed: it may have jumped
    /// while nobody looked.
    pub(crate) fn compare_clock(&mut self, now: Timestamp) -> Result<(), DiskError> {
        let mut last: Option<Timestamp> = None;
        for folder in Folder::ALL {
            let found = self.parts.spool.disk().find(&self.parts.spool.layout().folder(folder))?;
            last = last.max(found.map(|meta| meta.modified));
        }
        if last.is_some_and(|last| now > after(last, DAY) || last > after(now, DAY)) {
            self.pruning.trust.suspend(Duration::ZERO);
        }
        Ok(())
    }

    /// Removes what is due; returns when it is worth coming back.
    pub(crate) fn prune(&mut self, now: Timestamp, events: &Sender<Event>) -> Option<Timestamp> {
        let running = self.parts.clock.running().saturating_sub(self.began_running);
        self.pruning.trust.note(now, running);
        if !self.pruning.plan.is_done() {
            self.remove_some();
            return Some(now);
        }
        if running >= self.pruning.next && !self.pruning.planning {
            self.pruning.next = running.saturating_add(EVERY_SPAN);
            self.pruning.last = Some(running);
            if self.pruning.trust.holds(running) {
                self.survey(now, running, events.clone());
            } else {
                warn!(self.parts.log, "nothing is removed: the clock has jumped");
            }
        }
        let next = after(now, self.pruning.next.saturating_sub(running));
        // The plan is an event.
        (!self.pruning.planning).then_some(next)
    }

    fn survey(&mut self, now: Timestamp, running: Duration, events: Sender<Event>) {
        let settings = &self.parts.settings;
        let needed = self.index.iter().filter_map(|(_, live)| live.facts.document.clone());
        let survey = Survey {
            disk: self.parts.spool.disk().clone(),
            layout: self.parts.spool.layout().clone(),
            owner: crate::disk::trust::own_user(),
            directory: settings.directory.clone(),
            retention: settings.retention,
            shelves: self.parts.calendar.shelves(settings.retention.results),
            needed: needed.collect(),
            open: self.index.iter().map(|((_, id), _)| id.clone()).collect(),
            now,
            log: self.parts.log.clone(),
        };
        let read = move || {
            let plan = survey.run().unwrap_or_else(|error| {
                error!(survey.log, "cannot look for what is old"; "error" => Chain(&error));
                Plan::default()
            });
            // The engine has gone only when the process is about to.
            events.send(Event::Planned(plan)).ok();
        };
        match thread::Builder::new().name("prune".to_owned()).spawn(read) {
            Ok(_) => self.pruning.planning = true,
            Err(error) => {
                error!(self.parts.log, "cannot look for what is old"; "error" => Chain(&error));
                self.pruning.next = running.saturating_add(FIRST_SPAN);
            }
        }
    }

    /// Takes what is to be removed.
    pub(crate) fn planned(&mut self, plan: Plan) {
        self.pruning.planning = false;
        self.pruning.removed = Removed::default();
        debug!(self.parts.log, "looked for what is old"; "runs" => plan.runs.len(),
            "letters" => plan.letters.len());
        if plan.is_done() && plan.documents > 0 {
            info!(self.parts.log, "removed what was old"; "documents" => plan.documents);
        }
        self.pruning.plan = plan;
    }

    fn remove_some(&mut self) {
        for _ in 0..BATCH {
            let plan = &mut self.pruning.plan;
            let removed = if let Some(id) = plan.runs.pop_front() {
                let before = plan.runs_before;
                self.remove_run(&id, before)
                    .map(|gone| self.pruning.removed.runs += usize::from(gone))
            } else if let Some(name) = plan.letters.pop_front() {
                let before = plan.letters_before;
                self.remove_letter(&name, before)
                    .map(|gone| self.pruning.removed.letters += usize::from(gone))
            } else {
                break;
            };
            if let Err(error) = removed {
                error!(self.parts.log, "cannot remove what is old"; "error" => Chain(&error));
            }
        }
        let (plan, removed) = (&self.pruning.plan, &self.pruning.removed);
        if plan.is_done() && removed.runs + removed.letters + plan.documents > 0 {
            info!(self.parts.log, "removed what was old"; "runs" => removed.runs,
                "letters" => removed.letters, "documents" => plan.documents);
            self.tally.renew();
            if plan.is_cut && removed.runs > 0 {
                // The rest goes at once, and not an hour later.
                self.pruning.next = Duration::ZERO;
            }
        }
    }

    fn remove_run(&self, id: &RunId, before: Timestamp) -> Result<bool, SpoolError> {
        let is_live = |family| self.index.get(&(family, id.clone())).is_some();
        if self.is_ahead(id) || is_live(Family::Action) || is_live(Family::Command) {
            return Ok(false);
        }
        let Some(record) = self.parts.spool.discard(id, before)? else { return Ok(false) };
        // What was fetched before the fetch was given up is of no use now.
        if let Some(document) = &record.document {
            let part = part_path(&self.parts.settings.directory.join(document));
            let disk = self.parts.spool.disk();
            if disk.find(&part)?.is_some() {
                disk.unlink(&part)?;
            }
        }
        Ok(true)
    }

    fn remove_letter(&self, name: &OsString, before: Timestamp) -> Result<bool, SpoolError> {
        if run_id(name).is_some_and(|id| self.is_ahead(&id)) {
            return Ok(false);
        }
        self.parts.spool.discard_letter(name, before)
    }

    /// Tells whether only the entry itself keeps its slot from being fired again.
    fn is_ahead(&self, id: &RunId) -> bool {
        let job = id.stem().parse::<JobName>();
        let last = job.ok().and_then(|job| self.parts.calendar.last_slot(&job));
        id.is_scheduled() && last.is_some_and(|last| id.slot() > last)
    }
}

impl Plan {
    fn is_done(&self) -> bool {
        self.runs.is_empty() && self.letters.is_empty()
    }
}

impl Survey {
    /// Removes documents, and finds the runs and letters that are due.
    fn run(&self) -> Result<Plan, SpoolError> {
        // What moved on may come back after a loss of power; what is removed here must not be its
        // only other trace.
        for folder in Folder::ALL {
            self.disk.sync_folder(&self.layout.folder(folder))?;
        }
        let mut plan = Plan { documents: self.documents(), ..Plan::default() };
        if let Some(before) = cutoff(self.retention.done, self.now) {
            plan.runs_before = before;
            let view = View::new(&self.layout, &self.disk, self.owner);
            let Oldest { runs, is_cut } =
                oldest(&view, self.retention.done, self.now, &self.open, RUNS_MAX)?;
            (plan.runs, plan.is_cut) = (runs.into(), is_cut);
        }
        if let Some(before) = cutoff(self.retention.invalid, self.now) {
            plan.letters_before = before;
            plan.letters = self.letters()?.into();
        }
        Ok(plan)
    }

    fn documents(&self) -> usize {
        let (disk, directory) = (&self.disk, self.directory.as_path());
        let archive = Archive { disk, directory, needed: &self.needed, now: self.now };
        let mut removed = 0;
        for shelf in &self.shelves {
            match archive.prune(shelf) {
                Ok(count) => removed += count,
                Err(error) => error!(self.log, "cannot remove old results";
                    "path" => %shelf.folder.display(), "error" => Chain(&error)),
            }
        }
        removed
    }

    /// Returns the dead letters that are due. Their names may tell anything: when they came is asked
    /// of their files.
    fn letters(&self) -> Result<Vec<OsString>, SpoolError> {
        let folder = self.layout.folder(Folder::Invalid);
        let mut letters = Vec::new();
        for name in self.letter_names(&folder)? {
            if let Some(meta) = self.disk.find(&folder.join(&name))? {
                let stem = run_id(&name).map(|id| id.stem().to_owned()).unwrap_or_default();
                letters.push((meta.stamp.changed, stem, name));
            }
        }
        let due =
            due(letters, self.retention.invalid, self.now, |(at, ..)| *at, |(_, stem, _)| stem);
        Ok(due.into_iter().map(|(.., name)| name).collect())
    }

    /// Returns the names of dead letters; also of a reason whose letter is gone.
    fn letter_names(&self, folder: &Path) -> Result<BTreeSet<OsString>, DiskError> {
        let entries = self.disk.list(folder)?;
        let names: BTreeSet<OsString> = entries.into_iter().map(|entry| entry.name).collect();
        let is_letter = |name: &&OsString| {
            let Some(text) = name.to_str() else { return true };
            let letter = text.strip_suffix(".reason").unwrap_or(text);
            !text.starts_with('.')
                && (letter == text || !names.contains(letter.as_ref() as &std::ffi::OsStr))
        };
        Ok(names.iter().filter(is_letter).cloned().collect())
    }
}
