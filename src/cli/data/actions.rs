//! `actions` and `commands`: what was run, and who answered.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::DataFailure;
use super::listing::{Line, Listing};
use super::place::Source;
use crate::chain::excerpt;
use crate::cli::failure::Failure;
use crate::cli::layout::{span, wrapped};
use crate::cli::output;
use crate::clock::{Clock, SystemClock, elapsed};
use crate::data::{
    ActionRow, ActionStatus, Answer, CommandStatus, Counters, Id, InvestigatorRow, NEVER_FINISHED,
    NEVER_STARTED, Store,
};
use crate::exit::Exit;

/// How many actions are shown unless the command line says otherwise.
const COUNT_DEFAULT: usize = 20;
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
            let counters = store.counters(action.id)?;
            listing.row(&Shown::of(&action, &counters, now)?)?;
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
        let shown = Shown::of(&action, &counters, now)?;
        if self.json {
            return whole(&store, &shown);
        }
        for line in page(&action, &shown, &signers) {
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
fn whole(store: &Store, action: &Shown) -> Result<Exit, Failure> {
    let text = serde_json::to_string(action).map_err(Failure::Encode)?;
    // The answers may be too many for one text.
    let open = text.strip_suffix('}').unwrap_or(&text);
    output::raw(&format!("{open},\"commands\":"))?;
    let mut listing = Listing::new(true, "");
    for answer in store.answers(Id::new(action.id)) {
        listing.row(&Answered::of(answer?))?;
    }
    listing.end()?;
    output::raw("}\n")?;
    Ok(Exit::Done)
}

/// Returns what people are told of an action before its answers.
fn page(action: &ActionRow, shown: &Shown, signers: &[InvestigatorRow]) -> Vec<String> {
    let or_never = |time: Option<Timestamp>| time.map_or("-".to_owned(), |time| time.to_string());
    let signed: Vec<String> =
        signers.iter().map(|signer| format!("{} ({})", signer.name, signer.id)).collect();
    let rows = [
        ("name", excerpt(&action.name, SHOWN_BYTES_MAX).into_owned()),
        ("status", action.status.clone()),
        ("target", excerpt(&action.target, SHOWN_BYTES_MAX).into_owned()),
        ("signed by", if signed.is_empty() { "-".to_owned() } else { signed.join(", ") }),
        ("valid", format!("{} to {}", action.validfrom, action.expireafter)),
        ("started", or_never(shown.starttime)),
        ("finished", or_never(shown.finishtime)),
        ("commands", counted(&shown.counters)),
    ];
    let mut lines = vec![format!("action {}", action.id)];
    for (key, value) in rows {
        lines.extend(wrapped(&value, &format!("  {key:<10} "), &" ".repeat(13)));
    }
    lines
}

/// Returns how many commands have which status, in words.
fn counted(counters: &[(&'static str, i64)]) -> String {
    let all: i64 = counters.iter().map(|(_, count)| count).sum();
    let parts = counters.iter().filter(|(_, count)| *count > 0);
    let parts: Vec<String> = parts.map(|(status, count)| format!("{count} {status}")).collect();
    if parts.is_empty() { "0".to_owned() } else { format!("{all}: {}", parts.join(", ")) }
}

/// Reads the number of an action.
fn number(text: &str) -> Result<Id, DataFailure> {
    let wrong = |_| DataFailure::ActionNumber { text: excerpt(text, SHOWN_BYTES_MAX).into_owned() };
    text.parse().map(Id::new).map_err(wrong)
}

/// An action, as it is told.
#[derive(Debug, Serialize)]
struct Shown {
    id: i64,
    name: String,
    target: String,
    status: String,
    validfrom: Timestamp,
    expireafter: Timestamp,
    starttime: Option<Timestamp>,
    finishtime: Option<Timestamp>,
    operations: Box<RawValue>,
    #[serde(serialize_with = "by_status")]
    counters: Vec<(&'static str, i64)>,
    #[serde(skip)]
    age: String,
}

fn by_status<S: serde::Serializer>(
    counters: &[(&'static str, i64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counters.iter().copied())
}

impl Shown {
    fn of(action: &ActionRow, counters: &Counters, now: Timestamp) -> Result<Shown, Failure> {
        let operations = RawValue::from_string(action.operations.clone())
            .map_err(|source| DataFailure::Operations { id: action.id, source })?;
        Ok(Shown {
            id: action.id.number(),
            name: action.name.clone(),
            target: action.target.clone(),
            status: action.status.clone(),
            validfrom: action.validfrom,
            expireafter: action.expireafter,
            starttime: real(action.starttime),
            finishtime: real(action.finishtime),
            operations,
            counters: CommandStatus::ALL
                .map(|status| (status.as_str(), counters.of(status)))
                .to_vec(),
            age: span(elapsed(action.validfrom, now).as_secs()),
        })
    }
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
        let done = format!("{}/{all}", all - sent);
        let name = excerpt(&self.name, SHOWN_BYTES_MAX);
        format!("| {:<14} | {:<9} | {:<6} | {done:<9} | {name}", self.id, self.status, self.age)
    }
}

/// What became of an action at an agent, as it is told.
#[derive(Debug, Serialize)]
struct Answered {
    id: i64,
    status: String,
    found: bool,
    agentid: i64,
    agent: String,
    queueloc: String,
    starttime: Timestamp,
    finishtime: Option<Timestamp>,
}

impl Answered {
    fn of(answer: Answer) -> Answered {
        Answered {
            id: answer.command.number(),
            status: answer.status,
            found: answer.found,
            agentid: answer.agent.number(),
            agent: answer.name,
            queueloc: answer.queueloc,
            starttime: answer.starttime,
            finishtime: real(answer.finishtime),
        }
    }
}

impl Line for Answered {
    fn line(&self) -> String {
        let took = self
            .finishtime
            .map_or("-".to_owned(), |finish| span(elapsed(self.starttime, finish).as_secs()));
        let found = match self.status.as_str() {
            "success" if self.found => "yes",
            "success" => "no",
            _ => "-",
        };
        format!("| {:<9} | {took:<6} | {found:<5} | {}", self.status, self.agent)
    }
}
