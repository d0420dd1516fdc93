//! `actions` and `commands`: lists of actions, and the answers to one of them.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::DataFailure;
use super::investigator::who::label;
use super::listing::{Listing, TableRow, UNREADABLE, marked, or_mark};
use super::source::DataSource;
use crate::action::CommandStatus;
use crate::chain::excerpt;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::text::{duration, wrapped};
use crate::clock::{Clock, SystemClock, after, elapsed};
use crate::data::{
    ActionRow, ActionStatus, AgentAnswer, CommandCounts, Id, InvalidColumns, InvestigatorRow,
    NEVER_FINISHED, NEVER_STARTED, Store,
};
use crate::exit::Exit;

/// Default number of actions in the list.
const COUNT_DEFAULT: usize = 20;
/// Time by which MIG clients backdate the start of an action's period.
const CLIENTS_MARGIN: Duration = Duration::from_secs(60);
/// Maximum length of a name or target in the text output, in bytes.
const SHOWN_BYTES_MAX: usize = 400;

/// List actions, newest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mig-data actions -n 5
  mig-data actions --status inflight --json")]
pub(super) struct Actions {
    /// Maximum number of actions
    #[arg(short, value_name = "N", default_value_t = COUNT_DEFAULT)]
    n: usize,
    /// Only actions with this status
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<ActionStatus>,
    /// Print a JSON list with all columns
    #[arg(long)]
    json: bool,
}

/// Show an action, its signers, and the answer of each agent
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data commands 28052712325240")]
pub(super) struct Commands {
    /// Number of the action
    #[arg(value_name = "ID")]
    id: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn status(text: &str) -> Result<ActionStatus, String> {
    let known = ActionStatus::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| {
        format!("use one of {}", ActionStatus::ALL.map(ActionStatus::as_str).join(", "))
    })
}

impl Actions {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let (store, now) = (source.read()?, SystemClock.now());
        let head = "| action         | status    | age    | done      | name";
        let mut listing = Listing::new(self.json, head);
        for action in store.actions(self.status).take(self.n) {
            let action = action?;
            // The commands of an action are found by its id, which may be unreadable.
            let counts = match action.invalid.is_unreadable("id") {
                true => CommandCounts::default(),
                false => store.command_counts(action.id)?,
            };
            listing.row(&ShownAction::new(action, &counts, now))?;
        }
        listing.end()?;
        Ok(Exit::Done)
    }
}

impl Commands {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let id = number(&self.id)?;
        let (store, now) = (source.read()?, SystemClock.now());
        let action = store.action(id)?.ok_or(DataFailure::NoAction { id })?;
        let (counts, signers) = (store.command_counts(id)?, store.signers(id)?);
        let shown = ShownAction::new(action, &counts, now);
        if self.json {
            return print_json(&store, id, &shown);
        }
        for line in detail_lines(&shown, &signers) {
            output::answer(line)?;
        }
        output::answer("")?;
        let mut listing = Listing::new(false, "| status    | took   | found | agent");
        for answer in store.answers(id) {
            listing.row(&ShownAnswer::new(answer?))?;
        }
        listing.end()?;
        Ok(Exit::Done)
    }
}

/// Prints an action with all of its answers as one JSON object.
fn print_json(store: &Store, id: Id, action: &ShownAction) -> Result<Exit, Failure> {
    let text = output::json_line(action)?;
    // The answers are appended one by one: there may be too many for memory.
    let open = text.strip_suffix('}').unwrap_or(&text);
    output::raw(&format!("{open},\"commands\":"))?;
    let mut listing = Listing::new(true, "");
    for answer in store.answers(id) {
        listing.row(&ShownAnswer::new(answer?))?;
    }
    listing.end()?;
    output::raw("}\n")?;
    Ok(Exit::Done)
}

/// Returns the text lines about an action that precede its answers.
fn detail_lines(shown: &ShownAction, signers: &[InvestigatorRow]) -> Vec<String> {
    let or_never = |name: &str, time: Option<Timestamp>| match shown.invalid.is_unreadable(name) {
        true => UNREADABLE.to_owned(),
        false => time.map_or("-".to_owned(), |time| time.to_string()),
    };
    let or_unreadable =
        |time: Option<Timestamp>| time.map_or(UNREADABLE.to_owned(), |time| time.to_string());
    let signed: Vec<String> = signers.iter().map(label).collect();
    let text = |text: Option<&String>| excerpt(or_mark(text), SHOWN_BYTES_MAX).into_owned();
    let (from, until) = (or_unreadable(shown.validfrom), or_unreadable(shown.expireafter));
    let rows = [
        ("name", text(shown.name.as_ref())),
        ("status", text(shown.status.as_ref())),
        ("target", text(shown.target.as_ref())),
        ("signed by", if signed.is_empty() { "-".to_owned() } else { signed.join(", ") }),
        ("valid", format!("{from} to {until}")),
        ("started", or_never("starttime", shown.starttime)),
        ("finished", or_never("finishtime", shown.finishtime)),
        ("commands", count_text(&shown.counters)),
    ];
    let mark = (!shown.invalid.is_empty()).then(|| ("! invalid", shown.invalid.to_string()));
    let mut lines = vec![format!("action {}", id_or_mark(shown.id))];
    for (key, value) in rows.into_iter().chain(mark) {
        lines.extend(wrapped(&value, &format!("  {key:<10} "), &" ".repeat(13)));
    }
    lines
}

fn id_or_mark(id: Option<i64>) -> String {
    id.map_or(UNREADABLE.to_owned(), |id| id.to_string())
}

/// Returns the number of all commands and of those with each status, as text.
fn count_text(counters: &[(String, i64)]) -> String {
    let all: i64 = counters.iter().map(|(_, count)| count).sum();
    let parts = counters.iter().filter(|(_, count)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(status, count)| {
            let status = if status.is_empty() { UNREADABLE } else { status };
            format!("{count} {}", excerpt(status, SHOWN_BYTES_MAX))
        })
        .collect();
    if parts.is_empty() { "0".to_owned() } else { format!("{all}: {}", parts.join(", ")) }
}

fn number(text: &str) -> Result<Id, DataFailure> {
    let invalid =
        |_| DataFailure::ActionNumber { text: excerpt(text, SHOWN_BYTES_MAX).into_owned() };
    text.parse().map(Id::new).map_err(invalid)
}

/// An action in the output. Unreadable values are `None`. The fields are the keys of the JSON
/// output.
#[derive(Debug, Serialize)]
struct ShownAction {
    id: Option<i64>,
    name: Option<String>,
    target: Option<String>,
    status: Option<String>,
    validfrom: Option<Timestamp>,
    expireafter: Option<Timestamp>,
    starttime: Option<Timestamp>,
    finishtime: Option<Timestamp>,
    operations: Option<Box<RawValue>>,
    #[serde(serialize_with = "by_status")]
    counters: Vec<(String, i64)>,
    #[serde(rename = "odd", skip_serializing_if = "InvalidColumns::is_empty")]
    invalid: InvalidColumns,
    #[serde(skip)]
    age: String,
}

fn by_status<S: serde::Serializer>(
    counters: &[(String, i64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counters.iter().map(|(status, count)| (status, count)))
}

impl ShownAction {
    fn new(action: ActionRow, counts: &CommandCounts, now: Timestamp) -> ShownAction {
        let invalid = action.invalid;
        let operations = invalid.readable("operations", action.operations);
        let starttime = invalid.readable("starttime", actual_time(action.starttime)).flatten();
        let finishtime = invalid.readable("finishtime", actual_time(action.finishtime)).flatten();
        let validfrom = invalid.readable("validfrom", action.validfrom);
        ShownAction {
            id: invalid.readable("id", action.id.number()),
            name: invalid.readable("name", action.name),
            target: invalid.readable("target", action.target),
            status: invalid.readable("status", action.status),
            validfrom,
            expireafter: invalid.readable("expireafter", action.expireafter),
            starttime,
            finishtime,
            operations: operations.and_then(|text| RawValue::from_string(text).ok()),
            counters: counts_by_status(counts),
            invalid,
            age: start(starttime, validfrom)
                .map_or(UNREADABLE.to_owned(), |start| duration(elapsed(start, now).as_secs())),
        }
    }
}

/// Returns the time from which the age of an action counts: when the scheduler took it up. For an
/// action that has not been taken up, only the start of its period is known, which clients backdate
/// by [`CLIENTS_MARGIN`].
fn start(starttime: Option<Timestamp>, validfrom: Option<Timestamp>) -> Option<Timestamp> {
    starttime.or_else(|| validfrom.map(|from| after(from, CLIENTS_MARGIN)))
}

/// Returns the number of commands with each status: the known ones in order, then all others.
fn counts_by_status(counts: &CommandCounts) -> Vec<(String, i64)> {
    let known = CommandStatus::ALL.map(|status| (status.as_str().to_owned(), counts.of(status)));
    let is_other = |status: &str| CommandStatus::parse(status).is_none();
    let others = counts.iter().filter(|(status, _)| is_other(status));
    known.into_iter().chain(others.map(|(status, count)| (status.to_owned(), count))).collect()
}

/// Returns a time, or `None` if it stands for something that has not happened.
fn actual_time(time: Option<Timestamp>) -> Option<Timestamp> {
    // Databases do not store the nanoseconds of the two special times.
    let is = |time: Timestamp, mark: Timestamp| time.as_second().abs_diff(mark.as_second()) <= 1;
    time.filter(|time| !is(*time, NEVER_STARTED) && !is(*time, NEVER_FINISHED))
}

impl TableRow for ShownAction {
    fn line(&self) -> String {
        let all: i64 = self.counters.iter().map(|(_, count)| count).sum();
        let sent: i64 = self
            .counters
            .iter()
            .filter(|(status, _)| *status == CommandStatus::Sent.as_str())
            .map(|(_, count)| count)
            .sum();
        let done = match self.id {
            Some(_) => format!("{}/{all}", all - sent),
            None => UNREADABLE.to_owned(),
        };
        let name = excerpt(or_mark(self.name.as_ref()), SHOWN_BYTES_MAX);
        let (id, status) = (id_or_mark(self.id), or_mark(self.status.as_ref()));
        let line = format!("| {id:<14} | {status:<9} | {:<6} | {done:<9} | {name}", self.age);
        marked(line, &self.invalid)
    }
}

/// The answer of an agent in the output. Unreadable values are `None`. The fields are the keys of
/// the JSON output.
#[derive(Debug, Serialize)]
struct ShownAnswer {
    id: Option<i64>,
    status: Option<String>,
    found: bool,
    agentid: Option<i64>,
    agent: Option<String>,
    queueloc: Option<String>,
    starttime: Option<Timestamp>,
    finishtime: Option<Timestamp>,
    #[serde(rename = "odd", skip_serializing_if = "InvalidColumns::is_empty")]
    invalid: InvalidColumns,
}

impl ShownAnswer {
    fn new(answer: AgentAnswer) -> ShownAnswer {
        let invalid = answer.invalid;
        let finishtime = actual_time(answer.finishtime);
        ShownAnswer {
            id: invalid.readable("id", answer.command.number()),
            status: invalid.readable("status", answer.status),
            found: answer.found,
            agentid: invalid.readable("agentid", answer.agent.number()),
            agent: invalid.readable("agent", answer.name),
            queueloc: invalid.readable("queueloc", answer.queueloc),
            starttime: invalid.readable("starttime", answer.starttime),
            finishtime: invalid.readable("finishtime", finishtime).flatten(),
            invalid,
        }
    }
}

impl TableRow for ShownAnswer {
    fn line(&self) -> String {
        let is_unreadable = self.invalid.is_any_unreadable(&["starttime", "finishtime"]);
        let took = match (self.starttime, self.finishtime) {
            _ if is_unreadable => UNREADABLE.to_owned(),
            (Some(start), Some(finish)) => duration(elapsed(start, finish).as_secs()),
            _ => "-".to_owned(),
        };
        let status = or_mark(self.status.as_ref());
        let found = match status {
            "success" if self.found => "yes",
            "success" => "no",
            _ => "-",
        };
        let agent = or_mark(self.agent.as_ref());
        marked(format!("| {status:<9} | {took:<6} | {found:<5} | {agent}"), &self.invalid)
    }
}
