//! `agents --target`: the agents that a target selects.
//!
//! A target is a condition in arbitrary SQL. As in the original platform, a PostgreSQL server
//! evaluates it as a role that can only read. For an SQLite file, this program parses and evaluates
//! it as `mig-standalone` does, in the language described in that program's manual.

use super::failure::DataFailure;
use crate::cli::failure::Failure;
use crate::data::{AgentRow, DataError, Store};

type SelectedAgents<'a> = Box<dyn Iterator<Item = Result<AgentRow, DataFailure>> + 'a>;

/// Returns the online and idle agents that a target selects.
pub(super) fn select<'a>(store: &'a Store, target: &str) -> Result<SelectedAgents<'a>, Failure> {
    if store.evaluates_targets() {
        let agents = store.targeted_agents(target);
        return Ok(Box::new(agents.map(|agent| agent.map_err(target_error))));
    }
    select_in_file(store, target)
}

/// Converts the error of a query with a target: the server rejected the target.
fn target_error(error: DataError) -> DataFailure {
    match error {
        DataError::Query { source, .. } => DataFailure::Target(source),
        other => other.into(),
    }
}

#[cfg(feature = "platform")]
fn select_in_file<'a>(store: &'a Store, target: &str) -> Result<SelectedAgents<'a>, Failure> {
    use crate::platform::target::Target;

    let target = Target::parse(target).map_err(|error| DataFailure::Target(Box::new(error)))?;
    let agents = store.live_agents().filter(move |agent| match agent {
        Ok(agent) => target.matches(agent),
        Err(_) => true,
    });
    Ok(Box::new(agents.map(|agent| agent.map_err(DataFailure::from))))
}

/// Fails: the evaluation of targets is part of the feature `platform`.
#[cfg(not(feature = "platform"))]
fn select_in_file<'a>(_store: &'a Store, _target: &str) -> Result<SelectedAgents<'a>, Failure> {
    Err(DataFailure::NoTargets.into())
}
