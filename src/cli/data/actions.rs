//! `actions` and `commands`: what was run, and who answered.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::DataFailure;
use super::investigator::who::called;
use super::listing::{Line, Listing, UNREADABLE, marked, or_mark};
use super::place::Source;
use crate::chain::excerpt;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::text::{duration, wrapped};
use crate::clock::{Clock, SystemClock, after, elapsed};
use crate::data::{
    ActionRow, ActionStatus, Answer, CommandStatus, Counters, Id, InvestigatorRow, NEVER_FINISHED,
    NEVER_STARTED, Odd, Store,
};
use crate::exit::Exit;

/// How many actions are shown unless the command line says otherwise.
const COUNT_DEFAULT: usize = 20;
/// How far every client of MIG dates an action back when it sends it.
const CLIENTS_MARGIN: Duration = Duration::from_secs(60);
/// How much of a name or a target is shown to people.
const SHOWN_BYTES_MAX: usize = 400;

/// Show what was run, the latest first
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mig-data actions -n 5
  mig-data actions --status inflight --json")]
pub(super) struct Actions {
    /// How many
    #[arg(short, value_name = "N", default_value_t = COUNT_DEFAULT)]
    n: usize,
    /// Only those with this status
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<ActionStatus>,
    /// As a JSON list, with all that is known
    #[arg(long)]
    json: bool,
}

/// Show an action, its counters, and who answered
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data commands 28052712325240")]
pub(super) struct Commands {
    /// The action's number
    #[arg(value_name = "ID")]
    id: String,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

fn status(text: &str) -> Result<ActionStatus, String> {
    let known = ActionStatus::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| {
        format!("an action is {}", ActionStatus::ALL.map(ActionStatus::as_str).join(", "))
    })
}

impl Actions {
    /// Tells them.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        let (store, now) = (source.read()?, SystemClock.now());
        let head = "| action         | status    | age    | done      | name";
        let mut listing = Listing::new(self.json, head);
        for action in store.actions(self.status).take(self.n) {
            let action = action?;
            // Nothing belongs to an action whose number cannot be read.
            let counters = match action.odd.has_lost("id") {
                true => Counters::default(),
                false => store.counters(action.id)?,
            };
            listing.row(&Shown::of(action, &counters, now))?;
        }
        listing.end()?;
        Ok(Exit::Done)
    }
}

impl Commands {
    /// Tells them.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        let id = number(&self.id)?;
        let (store, now) = (source.read()?, SystemClock.now());
        let action = store.action(id)?.ok_or(DataFailure::NoAction { id })?;
        let (counters, signers) = (store.counters(id)?, store.signers(id)?);
        let shown = Shown::of(action, &counters, now);
        if self.json {
            return whole(&store, id, &shown);
        }
        for line in page(&shown, &signers) {
            output::answer(line)?;
        }
        output::answer("")?;
        let mut listing = Listing::new(false, "| status    | took   | found | agent");
        for answer in store.answers(id) {
            listing.row(&Answered::of(answer?))?;
        }
        listing.end()?;
        Ok(Exit::Done)
    }
}

/// Writes an action with all of its answers as one JSON object.
fn whole(store: &Store, id: Id, action: &Shown) -> Result<Exit, Failure> {
    let text = output::json_line(action)?;
    // The answers may be too many for one text.
    let open = text.strip_suffix('}').unwrap_or(&text);
    output::raw(&format!("{open},\"commands\":"))?;
    let mut listing = Listing::new(true, "");
    for answer in store.answers(id) {
        listing.row(&Answered::of(answer?))?;
    }
    listing.end()?;
    output::raw("}\n")?;
    Ok(Exit::Done)
}

/// Returns what people are told of an action before its answers.
fn page(shown: &Shown, signers: &[InvestigatorRow]) -> Vec<String> {
    let or_never = |name: &str, time: Option<Timestamp>| match shown.odd.has_lost(name) {
        true => UNREADABLE.to_owned(),
        false => time.map_or("-".to_owned(), |time| time.to_string()),
    };
    let or_unreadable =
        |time: Option<Timestamp>| time.map_or(UNREADABLE.to_owned(), |time| time.to_string());
    let signed: Vec<String> = signers.iter().map(called).collect();
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
        ("commands", counted(&shown.counters)),
    ];
    let mark = (!shown.odd.is_empty()).then(|| ("! odd", shown.odd.to_string()));
    let mut lines = vec![format!("action {}", number_or_mark(shown.id))];
    for (key, value) in rows.into_iter().chain(mark) {
        lines.extend(wrapped(&value, &format!("  {key:<10} "), &" ".repeat(13)));
    }
    lines
}

fn number_or_mark(id: Option<i64>) -> String {
    id.map_or(UNREADABLE.to_owned(), |id| id.to_string())
}

/// Returns how many commands have which status, in words.
fn counted(counters: &[(String, i64)]) -> String {
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

/// Reads the number of an action.
fn number(text: &str) -> Result<Id, DataFailure> {
    let wrong = |_| DataFailure::ActionNumber { text: excerpt(text, SHOWN_BYTES_MAX).into_owned() };
    text.parse().map(Id::new).map_err(wrong)
}

/// An action, as it is shown; values that cannot be read are missing.
#[derive(Debug, Serialize)]
struct Shown {
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
    #[serde(skip_serializing_if = "Odd::is_empty")]
    odd: Odd,
    #[serde(skip)]
    age: String,
}

fn by_status<S: serde::Serializer>(
    counters: &[(String, i64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counters.iter().map(|(status, count)| (status, count)))
}

impl Shown {
    fn of(action: ActionRow, counters: &Counters, now: Timestamp) -> Shown {
        let odd = action.odd;
        let operations = odd.readable("operations", action.operations);
        let starttime = odd.readable("starttime", real(action.starttime)).flatten();
        let finishtime = odd.readable("finishtime", real(action.finishtime)).flatten();
        let validfrom = odd.readable("validfrom", action.validfrom);
        Shown {
            id: odd.readable("id", action.id.number()),
            name: odd.readable("name", action.name),
            target: odd.readable("target", action.target),
            status: odd.readable("status", action.status),
            validfrom,
            expireafter: odd.readable("expireafter", action.expireafter),
            starttime,
            finishtime,
            operations: operations.and_then(|text| RawValue::from_string(text).ok()),
            counters: by_each_status(counters),
            odd,
            age: begun(starttime, validfrom)
                .map_or(UNREADABLE.to_owned(), |begun| duration(elapsed(begun, now).as_secs())),
        }
    }
}

/// Returns when an action began: when the scheduler took it up. Of one that was not taken up only its
/// validity is known, which clients let begin some time before they send it.
fn begun(starttime: Option<Timestamp>, validfrom: Option<Timestamp>) -> Option<Timestamp> {
    starttime.or_else(|| validfrom.map(|from| after(from, CLIENTS_MARGIN)))
}

/// Returns how many commands have each status: the known ones in order, then any others.
fn by_each_status(counters: &Counters) -> Vec<(String, i64)> {
    let known = CommandStatus::ALL.map(|status| (status.as_str().to_owned(), counters.of(status)));
    let is_other = |status: &str| CommandStatus::parse(status).is_none();
    let others = counters.iter().filter(|(status, _)| is_other(status));
    known.into_iter().chain(others.map(|(status, count)| (status.to_owned(), count))).collect()
}

/// Returns a time unless it is one that stands for none.
fn real(time: Option<Timestamp>) -> Option<Timestamp> {
    // Databases keep the marks without their nanoseconds.
    let is = |time: Timestamp, mark: Timestamp| time.as_second().abs_diff(mark.as_second()) <= 1;
    time.filter(|time| !is(*time, NEVER_STARTED) && !is(*time, NEVER_FINISHED))
}

impl Line for Shown {
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
        let (id, status) = (number_or_mark(self.id), or_mark(self.status.as_ref()));
        let line = format!("| {id:<14} | {status:<9} | {:<6} | {done:<9} | {name}", self.age);
        marked(line, &self.odd)
    }
}

/// A command, as it is shown; values that cannot be read are missing.
#[derive(Debug, Serialize)]
struct Answered {
    id: Option<i64>,
    status: Option<String>,
    found: bool,
    agentid: Option<i64>,
    agent: Option<String>,
    queueloc: Option<String>,
    starttime: Option<Timestamp>,
    finishtime: Option<Timestamp>,
    #[serde(skip_serializing_if = "Odd::is_empty")]
    odd: Odd,
}

impl Answered {
    fn of(answer: Answer) -> Answered {
        let odd = answer.odd;
        Answered {
            id: odd.readable("id", answer.command.number()),
            status: odd.readable("status", answer.status),
            found: answer.found,
            agentid: odd.readable("agentid", answer.agent.number()),
            agent: odd.readable("agent", answer.name),
            queueloc: odd.readable("queueloc", answer.queueloc),
            starttime: odd.readable("starttime", answer.starttime),
            finishtime: odd.readable("finishtime", real(answer.finishtime)).flatten(),
            odd,
        }
    }
}

impl Line for Answered {
    fn line(&self) -> String {
        let is_unreadable = self.odd.has_lost_any(&["starttime", "finishtime"]);
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
        marked(format!("| {status:<9} | {took:<6} | {found:<5} | {agent}"), &self.odd)
    }
}
