//! `status`: the jobs, and what is where in the spool and why.
//!
//! Read without the lock, with or without a runner. Of the folders of what is over
//! only the names are read, however many there are; of each job the record of the
//! last run.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::failure::Failure;
use super::hand::Hand;
use super::installation::{Installation, machine_zone};
use super::next::in_zone;
use super::{output, page};
use crate::action::Summary;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::job::Job;
use crate::names::{JobName, RunId};
use crate::spool::{Delivery, DeliveryState, Family, Folder, Record, View};

/// How many records of a folder are read, the oldest first.
const RECORDS_MAX: usize = 1000;

/// Show the jobs and the spool; exit status 1 if something needs a person
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner status --json | jq .attention")]
pub(crate) struct Status {
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// All that `status` tells.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The process of the runner, if one runs.
    pub(super) process: Option<u32>,
    /// The configuration.
    pub(super) config: String,
    /// The runner's directory.
    pub(super) directory: String,
    /// What needs a person.
    pub(super) attention: Vec<String>,
    /// The jobs.
    pub(super) jobs: Vec<JobReport>,
    /// What is in each folder.
    pub(super) spool: Vec<FolderReport>,
    /// What is not over, and the dead letters.
    pub(super) waiting: Vec<Waiting>,
    /// How many more there are of these.
    pub(super) more: usize,
}

/// A job.
#[derive(Debug, Serialize)]
pub(super) struct JobReport {
    /// Its name.
    pub(super) name: JobName,
    /// Its schedule.
    pub(super) schedule: String,
    /// Whether its slots pass without a run.
    pub(super) paused: bool,
    /// Its next slot, in its zone; none if it is finished.
    pub(super) next: Option<String>,
    /// Its last run.
    pub(super) last: Option<Last>,
}

/// The last run of a job.
#[derive(Debug, Serialize)]
pub(super) struct Last {
    /// Its id.
    pub(super) run: RunId,
    /// Its slot, in the job's zone.
    pub(super) slot: String,
    /// Where it is.
    #[serde(serialize_with = "path")]
    pub(super) folder: Folder,
    /// What the results came to.
    pub(super) summary: Option<Summary>,
    /// What became of the deliveries.
    pub(super) plugins: Vec<Delivery>,
    /// The results document, below the runner's directory.
    pub(super) document: Option<String>,
    /// What went wrong last.
    pub(super) error: Option<String>,
}

/// A folder of the spool.
#[derive(Debug, Serialize)]
pub(super) struct FolderReport {
    /// Which.
    #[serde(serialize_with = "path")]
    pub(super) folder: Folder,
    /// How many entries it has.
    pub(super) entries: usize,
    /// The run with the earliest slot.
    pub(super) oldest: Option<RunId>,
}

/// An entry that is not over.
#[derive(Debug, Serialize)]
pub(super) struct Waiting {
    /// Where it is.
    #[serde(serialize_with = "path")]
    pub(super) folder: Folder,
    /// The run, or the name of a file that is none.
    pub(super) name: String,
    /// Why it is there.
    pub(super) why: String,
}

fn path<S: Serializer>(folder: &Folder, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(folder.path())
}

impl Status {
    /// Shows the report.
    ///
    /// # Errors
    /// The jobs or the spool cannot be read.
    pub(crate) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let report = Report::read(installation, SystemClock.now())?;
        if self.json {
            let text = serde_json::to_string_pretty(&report).map_err(Failure::Encode)?;
            output::raw(&format!("{text}\n"))?;
        } else {
            for line in page::lines(&report) {
                output::answer(line)?;
            }
        }
        Ok(if report.attention.is_empty() { Exit::Done } else { Exit::Attention })
    }
}

/// What is in each folder, in the order of the flow.
struct Entries(Vec<Listing>);

/// What is in a folder.
struct Listing {
    folder: Folder,
    /// The runs, by slot.
    runs: Vec<RunId>,
    /// The names that are none.
    others: Vec<String>,
}

impl Report {
    fn read(installation: &Installation, now: Timestamp) -> Result<Report, Failure> {
        let hand = Hand::look(installation)?;
        let view = hand.view();
        let mut jobs = installation.jobs(machine_zone().0)?;
        // What changed is of no interest: nothing was known before.
        drop(jobs.look(now)?);
        let mut attention = Vec::new();
        for rejection in jobs.rejections() {
            attention.extend(
                rejection.lines().iter().map(|line| format!("job {}: {line}", rejection.name())),
            );
        }
        let entries = Entries::read(&view)?;
        let last = entries.last_runs();
        let mut reports = Vec::new();
        for job in jobs.iter() {
            let report = JobReport::read(job, last.get(job.name.as_str()).copied(), &view, now)?;
            attention.extend(report.attention());
            reports.push(report);
        }
        let dead = entries.0.iter().find(|listing| listing.folder == Folder::Invalid);
        let dead = dead.map_or(0, Listing::len);
        if dead > 0 {
            let noun = if dead == 1 { "dead letter" } else { "dead letters" };
            attention
                .push(format!("{dead} {noun} in action/invalid: `mig-runner retry`, or remove"));
        }
        let (waiting, more) = entries.waiting(&hand)?;
        Ok(Report {
            process: hand.disk.holder(&hand.layout.lock())?,
            config: installation.file.display().to_string(),
            directory: installation.directory.display().to_string(),
            attention,
            jobs: reports,
            spool: entries.0.iter().map(Listing::report).collect(),
            waiting,
            more,
        })
    }
}

impl Listing {
    fn len(&self) -> usize {
        self.runs.len() + self.others.len()
    }

    fn report(&self) -> FolderReport {
        FolderReport {
            folder: self.folder,
            entries: self.len(),
            oldest: self.runs.first().cloned(),
        }
    }
}

impl Entries {
    fn read(view: &View<'_>) -> Result<Entries, Failure> {
        let mut found = Vec::new();
        // In the order of the flow: what moves on meanwhile is seen twice, not missed.
        for folder in Folder::ALL {
            let (mut runs, mut others) = (Vec::new(), Vec::new());
            for name in view.names(folder)? {
                match crate::spool::run_id(&name) {
                    Some(id) => runs.push(id),
                    None => others.push(name.to_string_lossy().into_owned()),
                }
            }
            runs.sort_by_key(RunId::slot);
            found.push(Listing { folder, runs, others });
        }
        let mut entries = Entries(found);
        entries.settle();
        Ok(entries)
    }

    /// Of a run that was seen twice, only what is further on stays.
    fn settle(&mut self) {
        for family in [Family::Action, Family::Command] {
            let mut seen = HashSet::new();
            for folder in family.folders().into_iter().rev() {
                for listing in self.0.iter_mut().filter(|listing| listing.folder == folder) {
                    listing.runs.retain(|id| seen.insert(id.clone()));
                }
            }
        }
    }

    /// Returns the last run of each stem.
    fn last_runs(&self) -> BTreeMap<&str, &RunId> {
        let mut last: BTreeMap<&str, &RunId> = BTreeMap::new();
        for id in self.0.iter().flat_map(|listing| &listing.runs) {
            let known = last.entry(id.stem()).or_insert(id);
            if id.slot() > known.slot() {
                *known = id;
            }
        }
        last
    }

    /// Returns what is not over with the reason, and how many more there are.
    fn waiting(&self, hand: &Hand<'_>) -> Result<(Vec<Waiting>, usize), Failure> {
        let (view, mut waiting, mut more) = (hand.view(), Vec::new(), 0);
        for Listing { folder, runs, others } in &self.0 {
            let folder = *folder;
            if !folder.is_active() && folder != Folder::Invalid {
                continue;
            }
            more += runs.len().saturating_sub(RECORDS_MAX);
            for id in runs.iter().take(RECORDS_MAX) {
                let why = match view.take(folder, id)? {
                    Some(run) => why(folder, run.record()).or_else(|| hand.reason(id)),
                    // Moved on, or no record.
                    None => hand.reason(id),
                };
                let why = why.unwrap_or_default();
                waiting.push(Waiting { folder, name: id.to_string(), why });
            }
            for name in others {
                let why = "a file that is no run".to_owned();
                waiting.push(Waiting { folder, name: name.clone(), why });
            }
        }
        Ok((waiting, more))
    }
}

/// Returns why a run is where it is.
fn why(folder: Folder, record: &Record) -> Option<String> {
    if let Some(text) = record.reason.as_ref().or(record.error.as_ref()) {
        return Some(text.clone());
    }
    Some(match folder {
        Folder::New => format!("to be sent before {}", record.settings.deadline),
        Folder::ActionInflight => match record.request.expire_after {
            Some(until) => format!("runs on the fleet until {until}"),
            None => "runs on the fleet".to_owned(),
        },
        Folder::Ready | Folder::CommandInflight => "its results are being fetched".to_owned(),
        Folder::Returned => {
            let owed = record.plugins.iter().filter(|d| d.state == DeliveryState::Owed);
            let names: Vec<&str> = owed.map(|delivery| delivery.plugin.as_str()).collect();
            format!("its results are owed to {}", names.join(", "))
        }
        Folder::Invalid | Folder::ActionDone | Folder::CommandDone => return None,
    })
}

impl JobReport {
    fn read(
        job: &Job,
        last: Option<&RunId>,
        view: &View<'_>,
        now: Timestamp,
    ) -> Result<JobReport, Failure> {
        let last = match last {
            None => None,
            Some(id) => {
                let run = match view.counting(id, Family::Command)? {
                    None => view.counting(id, Family::Action)?,
                    some => some,
                };
                run.map(|run| Last::of(run.folder(), run.into_record(), job))
            }
        };
        let next = job.schedule.next_after(now, &job.zone).map(|next| in_zone(next, &job.zone));
        Ok(JobReport {
            name: job.name.clone(),
            schedule: job.schedule.to_string(),
            paused: job.config.paused,
            next,
            last,
        })
    }

    /// Returns what of its last run was given up.
    fn attention(&self) -> Vec<String> {
        let Some(last) = self.last.as_ref().filter(|last| last.folder == Folder::CommandDone)
        else {
            return Vec::new();
        };
        let mut given_up = Vec::new();
        if last.summary.is_none() {
            given_up.push(format!("job {}: the results of {} were given up", self.name, last.run));
        }
        for delivery in last.plugins.iter().filter(|d| d.state == DeliveryState::GivenUp) {
            let plugin = &delivery.plugin;
            given_up
                .push(format!("job {}: plugin {plugin} was given up for {}", self.name, last.run));
        }
        given_up
    }
}

impl Last {
    fn of(folder: Folder, record: Record, job: &Job) -> Last {
        Last {
            slot: in_zone(record.slot, &job.zone),
            run: record.id,
            folder,
            summary: record.summary,
            plugins: record.plugins,
            document: record.document,
            error: record.reason.or(record.error),
        }
    }
}
