//! `results`: the findings of a run, one per line, and the agents that failed or did not answer.
//!
//! The document is read command by command: first for the findings, then, if there are any, for the
//! commands that failed, expired or had errors. No results are kept in memory, so the number of
//! agents does not matter.

mod diff;
mod documents;
#[cfg(any(test, fuzzing))]
pub(in crate::cli::runner) mod fuzz;
mod reading;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::installation::Installation;
use super::outcome;
use super::spool_access::SpoolAccess;
use crate::action::{Command, Finding, Summary, findings};
use crate::chain::excerpt;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::names::{ActionId, JobName, RunId};
use crate::spool::{Delivery, Record};
use diff::{Change, Diff};
use documents::{Document, Documents, NoResults, Unread};
use reading::InvalidDocument;

/// Length limit of a finding or an error in the text output, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// Show the findings of a run, and agents that did not answer
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mig-runner results setuid
  mig-runner results setuid setuid.20261122T041500Z --json | jq .what
  mig-runner results setuid --diff")]
pub(super) struct Results {
    /// The job; its folder need not exist any more
    #[arg(value_name = "JOB")]
    job: JobName,
    /// Run id or action id [default: the last run with results]
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Show only changes since the previous run
    #[arg(long)]
    diff: bool,
}

impl Results {
    /// Shows the results. The first file or folder that could not be read decides the exit status.
    pub(super) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let unread = Unread::default();
        let shown = self.show(installation, &unread);
        let mut failures = unread.into_failures();
        if let Err(failure) = &shown
            && failure.downcast_ref::<NoResults>().is_some()
            && !failures.is_empty()
        {
            // What could not be read may have contained them.
            return Err(failures.swap_remove(0));
        }
        let lines: BTreeSet<String> = failures.iter().flat_map(Failure::lines).collect();
        lines.into_iter().for_each(output::message);
        shown.map(|exit| failures.first().map_or(exit, Failure::exit))
    }

    fn show(&self, installation: &Installation, unread: &Unread) -> Result<Exit, Failure> {
        let spool = SpoolAccess::for_reading(installation)?;
        let directory = installation.directory.as_path();
        let documents = Documents { spool: &spool, directory, job: &self.job, unread };
        let document = match &self.run {
            Some(run) => documents.of(run)?,
            None => match documents.last() {
                Some(last) => last,
                // Neither a job nor a document has this name: it is misspelt.
                None if !installation.has_job(&self.job)? => {
                    return Err(installation.no_job(&self.job, SystemClock.now())?);
                }
                None => return Err(documents.no_results().into()),
            },
        };
        let previous = if self.diff { documents.previous(&document) } else { None };
        if self.diff && previous.is_none() {
            output::message("no previous run has results: everything is new");
        }
        let record = documents.run(&document)?;
        let path = directory.join(&document.path);
        let report = Report { spool: &spool, path, action: document.action, json: self.json };
        let previous = previous.map(|previous: Document| directory.join(previous.path));
        let diff = self.diff.then_some(previous);
        report.show(record.as_ref(), diff)
    }
}

/// Shows the results of a run that has ended.
pub(super) fn show(
    spool: &SpoolAccess<'_>,
    record: &Record,
    directory: &Path,
) -> Result<Exit, Failure> {
    let (Some(document), Some(action)) = (&record.document, record.action_id) else {
        return outcome::show(record);
    };
    let report = Report { spool, path: directory.join(document), action, json: false };
    report.show(Some(record), None)
}

/// The output for one document.
struct Report<'a> {
    spool: &'a SpoolAccess<'a>,
    path: PathBuf,
    action: ActionId,
    json: bool,
}

/// A line of the JSON output.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum JsonLine<'a> {
    Finding {
        agent: &'a str,
        module: &'a str,
        label: &'a str,
        what: &'a str,
        element: &'a serde_json::Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        change: Option<Change>,
    },
    /// An agent that failed, had errors or did not answer.
    Agent { agent: &'a str, outcome: &'static str, status: &'a str, errors: Vec<&'a str> },
    Summary {
        run: Option<&'a RunId>,
        action: ActionId,
        document: String,
        summary: Summary,
        plugins: &'a [Delivery],
    },
}

impl Report<'_> {
    /// Shows the document. With `diff`, shows its differences from the given document, or from an
    /// empty one.
    fn show(
        &self,
        record: Option<&Record>,
        diff: Option<Option<PathBuf>>,
    ) -> Result<Exit, Failure> {
        let ((summary, has_failures), changes) = match diff {
            None => (self.print_findings(&mut |_, _| Show::Plain)?, None),
            Some(previous) => {
                let (found, diff) = self.print_changes(previous.as_deref())?;
                (found, Some(diff.counts()))
            }
        };
        if has_failures {
            self.read(&mut |command, _| self.print_agent(command))?;
        }
        // The record has the counts that the platform reported last.
        let summary = record.and_then(|record| record.summary).unwrap_or(summary);
        let run = record.map(|record| &record.id);
        if self.json {
            let (action, document) = (self.action, self.path.display().to_string());
            let plugins = record.map_or(&[][..], |record| &record.plugins);
            print_json(&JsonLine::Summary { run, action, document, summary, plugins })?;
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

    /// Calls `each` with every command and its text.
    fn read(
        &self,
        each: &mut dyn FnMut(&Command, &str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        read(self.spool, &self.path, each)
    }

    /// Prints each finding as `how` decides. Returns the counts, and whether some agents failed,
    /// had errors or did not answer.
    fn print_findings(
        &self,
        how: &mut dyn FnMut(&str, &Finding) -> Show,
    ) -> Result<(Summary, bool), Failure> {
        let (mut summary, mut sent, mut has_failures) = (Summary::default(), 0, false);
        self.read(&mut |command, text| {
            summary.add(command);
            has_failures |= problem(command).is_some();
            sent = command.counters.sent.max(sent);
            for finding in findings(text) {
                let shown = how(&command.agent, &finding);
                self.print_finding(&command.agent, &finding, shown)?;
            }
            Ok(())
        })?;
        summary.close(sent);
        Ok((summary, has_failures))
    }

    /// Prints what changed since the `previous` document; returns what [`Report::print_findings`]
    /// returns, and the comparison.
    fn print_changes(&self, previous: Option<&Path>) -> Result<((Summary, bool), Diff), Failure> {
        let mut diff = Diff::default();
        if let Some(previous) = previous {
            read(self.spool, previous, &mut |command, text| {
                findings(text).iter().for_each(|finding| diff.add_old(&command.agent, finding));
                Ok(())
            })?;
        }
        self.read(&mut |command, _| {
            diff.add_command(command);
            Ok(())
        })?;
        let found =
            self.print_findings(&mut |agent, finding| Show::of(diff.compare_new(agent, finding)))?;
        if let Some(previous) = previous {
            read(self.spool, previous, &mut |command, text| {
                for finding in findings(text) {
                    let shown = Show::of(diff.compare_old(&command.agent, &finding));
                    self.print_finding(&command.agent, &finding, shown)?;
                }
                Ok(())
            })?;
        }
        Ok((found, diff))
    }

    fn print_finding(&self, agent: &str, finding: &Finding, shown: Show) -> Result<(), Failure> {
        let change = match shown {
            Show::Nothing => return Ok(()),
            Show::Plain => None,
            Show::Changed(change) => Some(change),
        };
        let Finding { module, label, what, element } = finding;
        if self.json {
            return print_json(&JsonLine::Finding { agent, module, label, what, element, change });
        }
        let mark = match change {
            // Only counted; without --diff they are shown.
            Some(Change::Unchanged) => return Ok(()),
            Some(change) => format!("{:<7}  ", change.word()),
            None => String::new(),
        };
        let what = excerpt(what, TEXT_BYTES_MAX);
        output::answer(format!(
            "{mark}{}  {}  {}  {what}",
            or_dash(agent),
            or_dash(module),
            or_dash(label)
        ))
    }

    /// Prints an agent that failed, had errors or did not answer.
    fn print_agent(&self, command: &Command) -> Result<(), Failure> {
        let Some(outcome) = problem(command) else { return Ok(()) };
        let (agent, status) = (command.agent.as_str(), command.status.as_str());
        let errors = command.results.iter().flat_map(|result| &result.errors);
        let errors: Vec<&str> = errors.map(String::as_str).collect();
        if self.json {
            return print_json(&JsonLine::Agent { agent, outcome, status, errors });
        }
        let why = match outcome {
            "expired" => "did not answer in time".to_owned(),
            "unanswered" => format!("did not answer before the results were fetched ({status})"),
            _ if errors.is_empty() => status.to_owned(),
            _ => errors.join("; "),
        };
        output::answer(format!("{}  {outcome}  {}", or_dash(agent), excerpt(&why, TEXT_BYTES_MAX)))
    }
}

fn print_json(line: &JsonLine<'_>) -> Result<(), Failure> {
    output::raw(&format!("{}\n", output::json_line(line)?))
}

/// Returns why an answer is missing or incomplete, in one word.
fn problem(command: &Command) -> Option<&'static str> {
    if command.too_large.is_some() {
        Some("toolarge")
    } else if command.is_expired() {
        Some("expired")
    } else if !command.is_answered() {
        Some("unanswered")
    } else if command.is_failed() {
        Some("failed")
    } else if command.results.iter().any(|result| !result.errors.is_empty()) {
        // All operations completed, but could not search everywhere.
        Some("incomplete")
    } else {
        None
    }
}

#[derive(Debug, Clone, Copy)]
enum Show {
    Plain,
    /// With its change since the previous run.
    Changed(Change),
    /// Not shown: it was shown before.
    Nothing,
}

impl Show {
    fn of(change: Option<Change>) -> Show {
        change.map_or(Show::Nothing, Show::Changed)
    }
}

/// Calls `each` with every command of a document and its text.
fn read(
    spool: &SpoolAccess<'_>,
    path: &Path,
    each: &mut dyn FnMut(&Command, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    reading::read(&spool.disk, path, &mut |text| {
        let command = Command::parse(text).map_err(|source| InvalidDocument {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        each(&command, text)
    })
    .map(drop)
}

/// Returns a text, or `-` if it is empty.
fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
