//! Rows of the database as JSON, in the form that the API and the spool share.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::action::Counters as ActionCounters;
use crate::action::{Action, CommandStatus, Investigator, Permissions};
use crate::data::{
    ActionRow, AgentRow, CommandCounts, CommandRow, Id, InvalidColumns, InvestigatorRow,
};
use crate::go::json::ParseError;
use crate::go::time::Time;

/// Why a row cannot be converted to JSON.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewError {
    /// A column does not contain a valid part of an action.
    #[error("action {id} in the database is damaged")]
    Action { id: crate::data::Id, source: ParseError },
    /// Columns of an action cannot be read.
    #[error("action {id} in the database has columns that cannot be read: {invalid}")]
    Unreadable { id: crate::data::Id, invalid: InvalidColumns },
    #[error("a column of the database does not contain JSON")]
    Json {
        #[from]
        source: serde_json::Error,
    },
}

/// The columns with the parts of an action that were posted, including the signatures.
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

/// Returns an action as it was posted, with its signers.
///
/// # Errors
/// A part that was posted cannot be read.
pub(crate) fn posted(row: &ActionRow, signers: &[InvestigatorRow]) -> Result<Action, ViewError> {
    if row.invalid.is_any_unreadable(&SIGNED) {
        return Err(ViewError::Unreadable { id: row.id, invalid: row.invalid.clone() });
    }
    let text = format!(
        r#"{{"description":{},"threat":{},"operations":{},"pgpsignatures":{}}}"#,
        row.description, row.threat, row.operations, row.pgpsignatures
    );
    let parts = Action::parse(text.as_bytes())
        .map_err(|source| ViewError::Action { id: row.id, source })?;
    Ok(with_columns(row, signers, parts))
}

/// Returns the readable parts of an action, with its signers. A column that cannot be read is left
/// empty: one damaged action must not hide the others in a list.
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
    with_columns(row, signers, parts)
}

/// Completes an action whose other parts are in `parts`.
fn with_columns(row: &ActionRow, signers: &[InvestigatorRow], parts: Action) -> Action {
    let time = |column, time: Timestamp| time_or_zero(&row.invalid, column, Some(time));
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

/// Returns a time; the zero time if the column is empty or cannot be read.
fn time_or_zero(invalid: &InvalidColumns, column: &str, time: Option<Timestamp>) -> Time {
    time.filter(|_| !invalid.is_unreadable(column)).map_or(Time::ZERO, Time::from)
}

/// Returns an action with its state.
pub(crate) fn action(
    row: &ActionRow,
    signers: &[InvestigatorRow],
    counters: &CommandCounts,
) -> Action {
    let time = |column, time| time_or_zero(&row.invalid, column, time);
    Action {
        status: row.status.clone(),
        start_time: time("starttime", row.starttime),
        finish_time: time("finishtime", row.finishtime),
        last_update_time: time("lastupdatetime", row.lastupdatetime),
        counters: action_counters(counters),
        ..readable(row, signers)
    }
}

/// Returns a completed action without its operations and signatures.
pub(crate) fn summary(row: &ActionRow, counters: &CommandCounts) -> Action {
    Action { operations: None, signatures: None, ..action(row, &[], counters) }
}

fn action_counters(counters: &CommandCounts) -> ActionCounters {
    let of = |status| counters.of(status);
    let (sent, inflight) = (counters.all(), of(CommandStatus::Sent));
    ActionCounters {
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

/// Returns an investigator without the key.
pub(crate) fn investigator(row: &InvestigatorRow) -> Investigator {
    Investigator {
        id: row.id.float(),
        name: row.name.clone(),
        fingerprint: row.fingerprint.clone(),
        status: row.status.clone(),
        created_at: time_or_zero(&row.invalid, "createdat", Some(row.createdat)),
        last_modified: time_or_zero(&row.invalid, "lastmodified", Some(row.lastmodified)),
        permissions: permissions(row.permissions),
        ..Investigator::default()
    }
}

/// Returns the permissions by name; the bits are in the order of the original's table.
fn permissions(of: crate::data::Permissions) -> Permissions {
    let bit = |index: u32| of.bits().checked_shr(index).unwrap_or(0) & 1 == 1;
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

/// Returns permissions as bits: the inverse of [`permissions`].
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

/// An agent, in the original's form.
#[derive(Debug, Serialize)]
pub(crate) struct AgentView {
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

/// An unknown environment, as the original writes it.
const NO_ENVIRONMENT: &str = r#"{"isproxied":false,"aws":{}}"#;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Returns an agent with all its columns.
pub(crate) fn agent(row: &AgentRow) -> Result<AgentView, ViewError> {
    let time = |column, time| time_or_zero(&row.invalid, column, time).to_string();
    Ok(AgentView {
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

/// Returns an agent without its refresh time, which the original does not read in a search without
/// a target.
pub(crate) fn agent_without_refresh(row: &AgentRow) -> Result<AgentView, ViewError> {
    Ok(AgentView { refreshts: Time::ZERO.to_string(), ..agent(row)? })
}

impl AgentView {
    pub(crate) fn id(&self) -> Id {
        Id::new(self.id)
    }
}

/// Returns the agent of a command, with fewer columns.
fn commanded(row: &AgentRow) -> Result<AgentView, ViewError> {
    let zero = Time::ZERO.to_string();
    Ok(AgentView {
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

/// Returns an agent's tags; `None` for null.
fn tags(row: &AgentRow) -> Result<Option<Box<RawValue>>, ViewError> {
    let tags = RawValue::from_string(row.tags.clone())?;
    Ok(Some(tags).filter(|tags| tags.get() != "null"))
}

/// A command, in the original's form.
#[derive(Debug, Serialize)]
pub(crate) struct CommandView {
    id: i64,
    action: Box<RawValue>,
    agent: AgentView,
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
) -> Result<CommandView, ViewError> {
    let action = Action { counters: action_counters(counters), ..readable(action, signers) };
    Ok(CommandView {
        id: row.id.number(),
        action: RawValue::from_string(action.to_json())?,
        agent: commanded(agent)?,
        status: row.status.clone(),
        results: RawValue::from_string(row.results.clone())?,
        starttime: time_or_zero(&row.invalid, "starttime", Some(row.starttime)).to_string(),
        finishtime: time_or_zero(&row.invalid, "finishtime", row.finishtime).to_string(),
    })
}

/// Returns a command that was requested by its id. In this case the original's response contains
/// less of the action than a search, and other columns of the agent.
pub(crate) fn command_alone(
    row: &CommandRow,
    action: &ActionRow,
    agent: &AgentRow,
) -> Result<CommandView, ViewError> {
    let shown_agent = AgentView {
        queueloc: agent.queueloc.clone(),
        mode: agent.mode.clone(),
        environment: RawValue::from_string(NO_ENVIRONMENT.to_owned())?,
        tags: None,
        ..commanded(agent)?
    };
    Ok(CommandView {
        agent: shown_agent,
        ..command(row, action, &[], &CommandCounts::default(), agent)?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_survive_conversion_to_bits() {
        for index in 0..19 {
            let one = crate::data::Permissions::new(1 << index);
            assert_eq!(bits(&permissions(one)), one, "{one}");
        }
        let all = crate::data::Permissions::new((1 << 19) - 1);
        assert_eq!(bits(&permissions(all)), all);
    }
}
