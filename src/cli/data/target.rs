//! `agents --target`: the agents that an action with this target would be sent to.
//!
//! A target is a condition in SQL, of which nobody knows what it does before it has
//! been done. The real platform lets the database evaluate it, as a role that can only
//! read; so it is done here. For an embedded database the platform for one host parses
//! and evaluates it itself, in the language that its manual describes.

use super::failure::DataFailure;
use crate::cli::failure::Failure;
use crate::data::{AgentRow, DataError, Store};

/// The agents that a target selects.
type Selected<'a> = Box<dyn Iterator<Item = Result<AgentRow, DataFailure>> + 'a>;

/// Returns the agents that a target selects.
pub(super) fn select<'a>(store: &'a Store, target: &str) -> Result<Selected<'a>, Failure> {
    if store.evaluates_targets() {
        let agents = store.targeted_agents(target);
        return Ok(Box::new(agents.map(|agent| agent.map_err(refused))));
    }
    embedded(store, target)
}

/// Says of a condition that the database refuses that it is this.
fn refused(error: DataError) -> DataFailure {
    match error {
        DataError::Query { source, .. } => DataFailure::Target(source),
        other => other.into(),
    }
}

/// Returns the agents of an embedded database that a target selects.
#[cfg(feature = "platform")]
fn embedded<'a>(store: &'a Store, target: &str) -> Result<Selected<'a>, Failure> {
    use crate::platform::target::Target;

    let target = Target::parse(target).map_err(|error| DataFailure::Target(Box::new(error)))?;
    let agents = store.reachable_agents().filter(move |agent| match agent {
        Ok(agent) => target.matches(agent),
        Err(_) => true,
    });
    Ok(Box::new(agents.map(|agent| agent.map_err(DataFailure::from))))
}

/// Refuses: without the platform for one host nobody here knows the language of targets.
#[cfg(not(feature = "platform"))]
fn embedded<'a>(_store: &'a Store, _target: &str) -> Result<Selected<'a>, Failure> {
    Err(DataFailure::NoTargets.into())
}
