//! SQL statements that insert the rows from which recorded responses were built.

use std::fmt::Write;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::Value;

use super::recording::Resource;
use crate::data::Permissions;

/// The investigator in nearly all recordings.
const RUNNER: i64 = 1;

/// The refresh time of an agent whose recordings do not contain it.
const REFRESHED: &str = "2026-11-22T00:53:39.877428Z";

/// Returns the statements for an action, recorded completely or in part, and its signatures.
pub(super) fn action(action: &Resource, is_whole: bool) -> String {
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
    // The response to an action that was just accepted does not contain its signers.
    let mut signers: Vec<i64> =
        action.resources("investigators").iter().map(Resource::id).collect();
    if signers.is_empty() {
        signers.push(RUNNER);
    }
    for signer in signers {
        writeln!(sql, "insert into signatures values ({id}, {signer}, 's');").unwrap();
    }
    sql
}

/// Returns the statement for a command, up to the status, which is the last column.
pub(super) fn command(command: &Resource) -> String {
    format!(
        "insert into commands (id, actionid, agentid, results, starttime, finishtime, status) \
         values ({}, {}, {}, {}, {}, {}, ",
        command.id(),
        command.resource("action").id(),
        command.resource("agent").id(),
        quoted(command.raw("results")),
        time(command.time("starttime")),
        time(command.time("finishtime")),
    )
}

/// Returns the statement for an agent, up to the status, which is the last column.
pub(super) fn agent(agent: &Resource, is_whole: bool) -> String {
    let id = agent.id();
    let queueloc = if is_whole { agent.text("queueloc") } else { format!("linux.{id}") };
    let at = |name| time(agent.time(name));
    // The table also has values that a response omits.
    let mode = if is_whole { agent.text("mode") } else { "daemon".to_owned() };
    let is_recorded = agent.time("refreshts").as_second() > 0;
    let refreshed = if is_recorded { at("refreshts") } else { time(REFRESHED.parse().unwrap()) };
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

/// Formats a text as an SQL literal.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Formats a time as an SQL literal, in microseconds, as databases store it.
pub(super) fn time(time: Timestamp) -> String {
    let round = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::HalfEven);
    let time = time.round(round).unwrap();
    time.strftime("'%Y-%m-%dT%H:%M:%S.%6fZ'").to_string()
}

/// Returns permissions as the bits that the database stores.
pub(super) fn bits(permissions: &Value) -> i64 {
    let all: Permissions = "all".parse().unwrap();
    let held = all.names().into_iter().filter(|name| permissions[*name] == true);
    held.collect::<Vec<_>>().join(",").parse::<Permissions>().unwrap().bits()
}
