//! Things of recorded answers as the rows that they came from, in SQL that every database reads.

use std::fmt::Write;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::Value;

use super::recording::Thing;

/// The investigator of nearly all recordings.
const RUNNER: i64 = 1;

/// When the environment of an agent was read of which this is not told.
const REFRESHED: &str = "2026-11-22T00:53:39.877428Z";

/// Returns the row of an action, of which all or only a part was told, with its signatures.
pub(super) fn action(action: &Thing, is_whole: bool) -> String {
    let id = action.id();
    let status = if is_whole { action.text("status") } else { "completed".to_owned() };
    let json = |name| quoted(action.raw(name));
    let at = |name| time(action.time(name));
    let mut sql = format!(
        "insert into actions values ({id}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, 2, {});\n",
        quoted(&action.text("name")),
        quoted(&action.text("target")),
        json("description"),
        json("threat"),
        json("operations"),
        at("validfrom"),
        at("expireafter"),
        at("starttime"),
        at("finishtime"),
        at("lastupdatetime"),
        quoted(&status),
        json("pgpsignatures"),
    );
    // An action that was just accepted does not say who signed it.
    let mut signers: Vec<i64> = action.things("investigators").iter().map(Thing::id).collect();
    if signers.is_empty() {
        signers.push(RUNNER);
    }
    for signer in signers {
        writeln!(sql, "insert into signatures values ({id}, {signer}, 's');").unwrap();
    }
    sql
}

/// Returns the row of a command, up to its status, which is the last column.
pub(super) fn command(command: &Thing) -> String {
    format!(
        "insert into commands (id, actionid, agentid, results, starttime, finishtime, status) \
         values ({}, {}, {}, {}, {}, {}, ",
        command.id(),
        command.thing("action").id(),
        command.thing("agent").id(),
        quoted(command.raw("results")),
        time(command.time("starttime")),
        time(command.time("finishtime")),
    )
}

/// Returns the row of an agent, up to its status, which is the last column.
pub(super) fn agent(agent: &Thing, is_whole: bool) -> String {
    let id = agent.id();
    let queueloc = if is_whole { agent.text("queueloc") } else { format!("linux.{id}") };
    let at = |name| time(agent.time(name));
    // The table also has the values that an answer leaves out.
    let mode = if is_whole { agent.text("mode") } else { "daemon".to_owned() };
    let is_told = agent.time("refreshts").as_second() > 0;
    let refreshed = if is_told { at("refreshts") } else { time(REFRESHED.parse().unwrap()) };
    format!(
        "insert into agents (id, name, queueloc, mode, version, pid, starttime, destructiontime, \
         heartbeattime, refreshtime, environment, tags, loadername, status) \
         values ({id}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, '', ",
        quoted(&agent.text("name")),
        quoted(&queueloc),
        quoted(&mode),
        quoted(&agent.text("version")),
        agent.number("pid"),
        at("starttime"),
        at("destructiontime"),
        at("heartbeatts"),
        refreshed,
        quoted(agent.raw("environment")),
        quoted(agent.raw("tags")),
    )
}

/// Returns a text as it stands in a statement.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns a time as it stands in a statement: in microseconds, as databases keep it.
pub(super) fn time(time: Timestamp) -> String {
    let round = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::HalfEven);
    let time = time.round(round).unwrap();
    time.strftime("'%Y-%m-%dT%H:%M:%S.%6fZ'").to_string()
}

/// Returns what an investigator may do as the database has it.
pub(super) fn bits(permissions: &Value) -> i64 {
    let names = [
        "search",
        "action",
        "action_create",
        "command",
        "agent",
        "dashboard",
        "loader",
        "loader_status",
        "loader_expect",
        "loader_key",
        "loader_new",
        "manifest",
        "manifest_sign",
        "manifest_new",
        "manifest_status",
        "manifest_loaders",
        "investigator",
        "investigator_create",
        "investigator_update",
    ];
    let held = |(place, name): (usize, &&str)| (permissions[*name] == true).then_some(1 << place);
    names.iter().enumerate().filter_map(held).sum()
}
