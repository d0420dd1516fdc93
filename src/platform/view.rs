//! Rows as JSON, in the form that the API and the spool share.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::action::Counters as Counted;
use crate::action::{Action, Investigator, Permissions};
use crate::data::{
    ActionRow, AgentRow, CommandCounts, CommandRow, Id, InvalidColumns, InvestigatorRow,
};
use crate::go::json::ParseError;
use crate::go::time::Time;

/// Why a row cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewError {
    /// An action's columns are not what an action holds.
    #[error("action {id} in the database is damaged")]
    Action { id: crate::data::Id, source: ParseError },
    /// What was posted of an action cannot be read.
    #[error("action {id} in the database has columns that cannot be read: {invalid}")]
    InvalidColumns { id: crate::data::Id, invalid: InvalidColumns },
    /// A column holds no JSON.
    #[error("a column of the database holds no JSON")]
    Json {
        #[from]
        source: serde_json::Error,
    },
}

/// The columns that hold what the investigators signed, and their signatures.
pub(crate) const SIGNED: [&str; 9] = [
    "name",
    "target",
    "description",
    "threat",
    "operations",
    "validfrom",
    "expireafter",
    "syntaxversion",
    "pgpsignatures",
];

/// Returns an action as it was posted, with who signed it.
///
/// # Errors
/// A part of what was posted cannot be read.
pub(crate) fn posted(row: &ActionRow, signers: &[InvestigatorRow]) -> Result<Action, ViewError> {
    if row.invalid.is_any_unreadable(&SIGNED) {
        return Err(ViewError::InvalidColumns { id: row.id, invalid: row.invalid.clone() });
    }
    let text = format!(
        r#"{{"description":{},"threat":{},"operations":{},"pgpsignatures":{}}}"#,
        row.description, row.threat, row.operations, row.pgpsignatures
    );
    let parts = Action::parse(text.as_bytes())
        .map_err(|source| ViewError::Action { id: row.id, source })?;
    Ok(shown(row, signers, parts))
}

/// Returns what can be read of an action, with who signed it. A column that cannot be read is as if
/// nothing had been posted for it: one damaged action must not hide the others of a list.
fn readable(row: &ActionRow, signers: &[InvestigatorRow]) -> Action {
    let part = |name: &str, column: &str| {
        Action::parse(format!(r#"{{"{name}":{column}}}"#).as_bytes()).unwrap_or_default()
    };
    let parts = Action {
        description: part("description", &row.description).description,
        threat: part("threat", &row.threat).threat,
        operations: part("operations", &row.operations).operations,
        signatures: part("pgpsignatures", &row.pgpsignatures).signatures,
        ..Action::default()
    };
    shown(row, signers, parts)
}

fn shown(row: &ActionRow, signers: &[InvestigatorRow], parts: Action) -> Action {
    let time = |column, time: Timestamp| told(&row.invalid, column, Some(time));
    Action {
        id: row.id.float(),
        name: row.name.clone(),
        target: row.target.clone(),
        valid_from: time("validfrom", row.validfrom),
        expire_after: time("expireafter", row.expireafter),
        investigators: (!signers.is_empty()).then(|| signers.iter().map(investigator).collect()),
        syntax_version: u16::try_from(row.syntaxversion).unwrap_or(0),
        ..parts
    }
}

/// Returns a time, or the one that stands for none: a column may have none, or cannot be read.
fn told(odd: &InvalidColumns, column: &str, time: Option<Timestamp>) -> Time {
    time.filter(|_| !odd.is_unreadable(column)).map_or(Time::ZERO, Time::from)
}

/// Returns an action with how far it is.
pub(crate) fn action(
    row: &ActionRow,
    signers: &[InvestigatorRow],
    counters: &CommandCounts,
) -> Action {
    let time = |column, time| told(&row.invalid, column, time);
    Action {
        status: row.status.clone(),
        start_time: time("starttime", row.starttime),
        finish_time: time("finishtime", row.finishtime),
        last_update_time: time("lastupdatetime", row.lastupdatetime),
        counters: counted(counters),
        ..readable(row, signers)
    }
}

/// Returns what is kept of an action that is over: no operations, no signatures.
pub(crate) fn summary(row: &ActionRow, counters: &CommandCounts) -> Action {
    Action { operations: None, signatures: None, ..action(row, &[], counters) }
}

fn counted(counters: &CommandCounts) -> Counted {
    let of = |status| counters.of(status);
    let (sent, inflight) = (counters.all(), of(CommandStatus::Sent));
    Counted {
        sent,
        done: sent.saturating_sub(inflight),
        inflight,
        success: of(CommandStatus::Success),
        cancelled: of(CommandStatus::Cancelled),
        expired: of(CommandStatus::Expired),
        failed: of(CommandStatus::Failed),
        timeout: of(CommandStatus::Timeout),
    }
}

/// Returns an investigator, without the key.
pub(crate) fn investigator(row: &InvestigatorRow) -> Investigator {
    Investigator {
        id: row.id.float(),
        name: row.name.clone(),
        fingerprint: row.fingerprint.clone(),
        status: row.status.clone(),
        created_at: told(&row.invalid, "createdat", Some(row.createdat)),
        last_modified: told(&row.invalid, "lastmodified", Some(row.lastmodified)),
        permissions: permissions(row.permissions),
        ..Investigator::default()
    }
}

/// Returns each permission by its name; the bits are in the order of the platform's table.
fn permissions(of: crate::data::Permissions) -> Permissions {
    let bit = |place: u32| of.bits().checked_shr(place).unwrap_or(0) & 1 == 1;
    Permissions {
        search: bit(0),
        action: bit(1),
        action_create: bit(2),
        command: bit(3),
        agent: bit(4),
        dashboard: bit(5),
        loader: bit(6),
        loader_status: bit(7),
        loader_expect: bit(8),
        loader_key: bit(9),
        loader_new: bit(10),
        manifest: bit(11),
        manifest_sign: bit(12),
        manifest_new: bit(13),
        manifest_status: bit(14),
        manifest_loaders: bit(15),
        investigator: bit(16),
        investigator_create: bit(17),
        investigator_update: bit(18),
    }
}

/// Returns permissions as they are kept: the inverse of [`permissions`].
pub(crate) fn bits(of: &Permissions) -> crate::data::Permissions {
    let held = [
        of.search,
        of.action,
        of.action_create,
        of.command,
        of.agent,
        of.dashboard,
        of.loader,
        of.loader_status,
        of.loader_expect,
        of.loader_key,
        of.loader_new,
        of.manifest,
        of.manifest_sign,
        of.manifest_new,
        of.manifest_status,
        of.manifest_loaders,
        of.investigator,
        of.investigator_create,
        of.investigator_update,
    ];
    let bits = held.iter().rev().fold(0, |bits, held| 2 * bits + i64::from(*held));
    crate::data::Permissions::new(bits)
}

/// An agent, in the platform's form.
#[derive(Debug, Serialize)]
pub(crate) struct Agent {
    id: i64,
    name: String,
    queueloc: String,
    mode: String,
    version: String,
    #[serde(skip_serializing_if = "is_zero")]
    pid: i64,
    starttime: String,
    destructiontime: String,
    heartbeatts: String,
    refreshts: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    environment: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Box<RawValue>>,
}

/// An environment of which nothing is known, as the platform writes it.
const NO_ENVIRONMENT: &str = r#"{"isproxied":false,"aws":{}}"#;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Returns an agent with all that is known of it.
pub(crate) fn agent(row: &AgentRow) -> Result<Agent, ViewError> {
    let time = |column, time| told(&row.invalid, column, time).to_string();
    Ok(Agent {
        queueloc: row.queueloc.clone(),
        mode: row.mode.clone(),
        pid: row.pid,
        starttime: time("starttime", Some(row.starttime)),
        destructiontime: time("destructiontime", row.destructiontime),
        heartbeatts: time("heartbeattime", Some(row.heartbeattime)),
        refreshts: time("refreshtime", Some(row.refreshtime)),
        status: row.status.clone(),
        ..commanded(row)?
    })
}

/// Returns an agent as a search by its columns tells it: the platform does not read when it was refreshed.
pub(crate) fn agent_without_refresh(row: &AgentRow) -> Result<Agent, ViewError> {
    Ok(Agent { refreshts: Time::ZERO.to_string(), ..agent(row)? })
}

impl Agent {
    /// Returns the agent's number.
    pub(crate) fn id(&self) -> Id {
        Id::new(self.id)
    }
}

/// Returns what a command tells of its agent.
fn commanded(row: &AgentRow) -> Result<Agent, ViewError> {
    let zero = Time::ZERO.to_string();
    Ok(Agent {
        id: row.id.number(),
        name: row.name.clone(),
        queueloc: String::new(),
        mode: String::new(),
        version: row.version.clone(),
        pid: 0,
        starttime: zero.clone(),
        destructiontime: zero.clone(),
        heartbeatts: zero.clone(),
        refreshts: zero,
        status: String::new(),
        environment: RawValue::from_string(row.environment.clone())?,
        tags: tags(row)?,
    })
}

/// Returns an agent's tags, if it has any to tell.
fn tags(row: &AgentRow) -> Result<Option<Box<RawValue>>, ViewError> {
    let tags = RawValue::from_string(row.tags.clone())?;
    Ok(Some(tags).filter(|tags| tags.get() != "null"))
}

/// A command, in the platform's form.
#[derive(Debug, Serialize)]
pub(crate) struct Command {
    id: i64,
    action: Box<RawValue>,
    agent: Agent,
    status: String,
    results: Box<RawValue>,
    starttime: String,
    finishtime: String,
}

/// Returns a command of `action` to `agent`.
pub(crate) fn command(
    row: &CommandRow,
    action: &ActionRow,
    signers: &[InvestigatorRow],
    counters: &CommandCounts,
    agent: &AgentRow,
) -> Result<Command, ViewError> {
    let action = Action { counters: counted(counters), ..readable(action, signers) };
    Ok(Command {
        id: row.id.number(),
        action: RawValue::from_string(action.to_json())?,
        agent: commanded(agent)?,
        status: row.status.clone(),
        results: RawValue::from_string(row.results.clone())?,
        starttime: told(&row.invalid, "starttime", Some(row.starttime)).to_string(),
        finishtime: told(&row.invalid, "finishtime", row.finishtime).to_string(),
    })
}

/// Returns a command that was asked for by its number. The platform tells less of its action than in a search,
/// and of its agent other columns.
pub(crate) fn command_alone(
    row: &CommandRow,
    action: &ActionRow,
    agent: &AgentRow,
) -> Result<Command, ViewError> {
    let told = Agent {
        queueloc: agent.queueloc.clone(),
        mode: agent.mode.clone(),
        environment: RawValue::from_string(NO_ENVIRONMENT.to_owned())?,
        tags: None,
        ..commanded(agent)?
    };
    Ok(Command { agent: told, ..command(row, action, &[], &CommandCounts::default(), agent)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_kept_as_they_are_shown() {
        for place in 0..19 {
            let one = crate::data::Permissions::new(1 << place);
            assert_eq!(bits(&permissions(one)), one, "{one}");
        }
        let all = crate::data::Permissions::new((1 << 19) - 1);
        assert_eq!(bits(&permissions(all)), all);
    }
}
