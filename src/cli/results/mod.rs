//! `results`: what a run found, one finding a line, and who did not answer.
//!
//! The document is gone through command by command: first for what was found, then,
//! if there is any, for those that failed, did not answer or met errors. So nothing
//! is kept in memory, however many agents there are.

mod diff;
mod documents;
mod reading;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::failure::Failure;
use super::hand::Hand;
use super::installation::Installation;
use super::{outcome, output};
use crate::action::{Command, CommandStatus, Finding, Summary, findings};
use crate::chain::excerpt;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::names::{ActionId, JobName, RunId};
use crate::spool::{Delivery, Record};
use diff::{Change, Diff};
use documents::{Document, Documents};

/// How much is shown of a finding or an error to people, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// Show what a run found, one finding a line, and who did not answer
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mig-runner results setuid
  mig-runner results setuid setuid.20261122T041500Z --json | jq .what
  mig-runner results setuid --diff")]
pub(crate) struct Results {
    /// The job, whether its folder is still there or not
    #[arg(value_name = "JOB")]
    job: JobName,
    /// The run, or its action's id [default: the last one with results]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Only what is new or gone since the run before
    #[arg(long)]
    diff: bool,
}

impl Results {
    /// Shows the results.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub(crate) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let hand = Hand::look(installation)?;
        let directory = installation.directory.as_path();
        let documents = Documents { hand: &hand, directory, job: &self.job };
        let document = match &self.run {
            Some(run) => documents.of(run)?,
            None => match documents.last() {
                // Neither a job nor a document has that name: it is misspelt.
                Err(Failure::NoResults { .. }) if !installation.has_job(&self.job)? => {
                    return Err(installation.no_job(&self.job, SystemClock.now())?);
                }
                last => last?,
            },
        };
        let before = if self.diff { documents.before(&document)? } else { None };
        if self.diff && before.is_none() {
            output::message("there are no results of a run before: all is new");
        }
        let record = documents.run(&document)?;
        let path = directory.join(&document.path);
        let report = Report { hand: &hand, path, action: document.action, json: self.json };
        let diff = self.diff.then(|| before.map(|before: Document| directory.join(before.path)));
        report.show(record.as_ref(), diff)
    }
}

/// Shows what a run that has ended found.
///
/// # Errors
/// As [`Results::run`].
pub(crate) fn show(hand: &Hand<'_>, record: &Record, directory: &Path) -> Result<Exit, Failure> {
    let (Some(document), Some(action)) = (&record.document, record.action_id) else {
        return outcome::show(record);
    };
    let report = Report { hand, path: directory.join(document), action, json: false };
    report.show(Some(record), None)
}

/// Shows one document.
struct Report<'a> {
    hand: &'a Hand<'a>,
    path: PathBuf,
    action: ActionId,
    json: bool,
}

/// A line of the answer, as JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'a> {
    /// What an agent found.
    Finding {
        agent: &'a str,
        module: &'a str,
        label: &'a str,
        what: &'a str,
        element: &'a serde_json::Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        change: Option<Change>,
    },
    /// An agent that did not do all that was asked, or did not answer.
    Agent { agent: &'a str, outcome: &'static str, status: &'a str, errors: Vec<&'a str> },
    /// What it came to.
    Summary {
        run: Option<&'a RunId>,
        action: ActionId,
        document: String,
        summary: Summary,
        plugins: &'a [Delivery],
    },
}

impl Report<'_> {
    /// Shows all of the document; with `diff` compared with another one, or with nothing.
    fn show(
        &self,
        record: Option<&Record>,
        diff: Option<Option<PathBuf>>,
    ) -> Result<Exit, Failure> {
        let ((summary, is_troubled), changes) = match diff {
            None => (self.found(&mut |_, _| Show::Plain)?, None),
            Some(before) => {
                let (found, diff) = self.compare(before.as_deref())?;
                (found, Some(diff.counts()))
            }
        };
        if is_troubled {
            self.read(&mut |command, _| self.agent(command))?;
        }
        // The record has what the platform counted last.
        let summary = record.and_then(|record| record.summary).unwrap_or(summary);
        let run = record.map(|record| &record.id);
        if self.json {
            let (action, document) = (self.action, self.path.display().to_string());
            let plugins = record.map_or(&[][..], |record| &record.plugins);
            self.line(&Line::Summary { run, action, document, summary, plugins })?;
            return Ok(Exit::Done);
        }
        if let Some(changes) = changes {
            output::answer(changes)?;
        }
        let run = run.map_or_else(|| format!("action {}", self.action), ToString::to_string);
        output::answer(format!("{run}: {}", outcome::counts(&summary)))?;
        output::answer(format!("results: {}", self.path.display()))?;
        record.map_or(Ok(Exit::Done), outcome::show)
    }

    /// Goes through the commands; each comes with its text.
    fn read(
        &self,
        each: &mut dyn FnMut(&Command, &str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        read(self.hand, &self.path, each)
    }

    /// Shows what was found, each finding as `how` says, and counts; tells whether there are
    /// agents to be shown, too.
    fn found(
        &self,
        how: &mut dyn FnMut(&str, &Finding) -> Show,
    ) -> Result<(Summary, bool), Failure> {
        let (mut summary, mut sent, mut is_troubled) = (Summary::default(), 0, false);
        self.read(&mut |command, text| {
            summary.add(command);
            is_troubled |= trouble(command).is_some();
            sent = command.counters.sent.max(sent);
            for finding in findings(text) {
                let shown = how(&command.agent, &finding);
                self.finding(&command.agent, &finding, shown)?;
            }
            Ok(())
        })?;
        summary.close(sent);
        Ok((summary, is_troubled))
    }

    fn compare(&self, before: Option<&Path>) -> Result<((Summary, bool), Diff), Failure> {
        let mut diff = Diff::default();
        if let Some(before) = before {
            read(self.hand, before, &mut |command, text| {
                findings(text).iter().for_each(|finding| diff.note(&command.agent, finding));
                Ok(())
            })?;
        }
        self.read(&mut |command, _| {
            diff.arrived(command);
            Ok(())
        })?;
        let found = self.found(&mut |agent, finding| Show::of(diff.compare(agent, finding)))?;
        if let Some(before) = before {
            read(self.hand, before, &mut |command, text| {
                for finding in findings(text) {
                    let shown = Show::of(diff.left(&command.agent, &finding));
                    self.finding(&command.agent, &finding, shown)?;
                }
                Ok(())
            })?;
        }
        Ok((found, diff))
    }

    fn finding(&self, agent: &str, finding: &Finding, shown: Show) -> Result<(), Failure> {
        let change = match shown {
            Show::Nothing => return Ok(()),
            Show::Plain => None,
            Show::Changed(change) => Some(change),
        };
        let Finding { module, label, what, element } = finding;
        if self.json {
            return self.line(&Line::Finding { agent, module, label, what, element, change });
        }
        let mark = match change {
            // They are counted; who wants to see them asks without --diff.
            Some(Change::Unchanged) => return Ok(()),
            Some(change) => format!("{:<7}  ", change.word()),
            None => String::new(),
        };
        let what = excerpt(what, TEXT_BYTES_MAX);
        output::answer(format!("{mark}{}  {}  {}  {what}", or(agent), or(module), or(label)))
    }

    /// Shows an agent that did not do all that was asked, or did not answer.
    fn agent(&self, command: &Command) -> Result<(), Failure> {
        let Some(outcome) = trouble(command) else { return Ok(()) };
        let (agent, status) = (command.agent.as_str(), command.status.as_str());
        let errors = command.results.iter().flat_map(|result| &result.errors);
        let errors: Vec<&str> = errors.map(String::as_str).collect();
        if self.json {
            return self.line(&Line::Agent { agent, outcome, status, errors });
        }
        let why = match outcome {
            "expired" => "did not answer in time".to_owned(),
            "unanswered" => format!("had not answered when results were fetched ({status})"),
            _ if errors.is_empty() => status.to_owned(),
            _ => errors.join("; "),
        };
        output::answer(format!("{}  {outcome}  {}", or(agent), excerpt(&why, TEXT_BYTES_MAX)))
    }

    fn line(&self, line: &Line<'_>) -> Result<(), Failure> {
        let text = serde_json::to_string(line).map_err(Failure::Encode)?;
        output::raw(&format!("{text}\n"))
    }
}

/// Returns what is wrong with an answer, in a word.
fn trouble(command: &Command) -> Option<&'static str> {
    match &command.status {
        status if status.is(CommandStatus::Expired) => Some("expired"),
        _ if !command.is_answered() => Some("unanswered"),
        _ if command.is_failed() => Some("failed"),
        // It went through, but could not look everywhere.
        _ if command.results.iter().any(|result| !result.errors.is_empty()) => Some("incomplete"),
        _ => None,
    }
}

/// How a finding is shown.
#[derive(Debug, Clone, Copy)]
enum Show {
    /// As it is.
    Plain,
    /// With what became of it.
    Changed(Change),
    /// Not: it was shown before.
    Nothing,
}

impl Show {
    fn of(change: Option<Change>) -> Show {
        change.map_or(Show::Nothing, Show::Changed)
    }
}

/// Goes through the commands of a document; each comes with its text.
fn read(
    hand: &Hand<'_>,
    path: &Path,
    each: &mut dyn FnMut(&Command, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    reading::read(&hand.disk, path, &mut |text| {
        let command = Command::parse(text).map_err(|source| Failure::Document {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        each(&command, text)
    })
    .map(drop)
}

/// Returns a text, or the sign for none.
fn or(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
