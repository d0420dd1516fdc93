//! `agents --target`: the agents that an action with this target would be sent to.
//!
//! A target is a condition in SQL, of which nobody knows what it does before it has
//! been done. The real platform lets the database evaluate it, as a role that can only
//! read; so it is done here. For an embedded database the platform for one host parses
//! and evaluates it itself, in the language that its manual describes.

use super::failure::DataFailure;
use crate::cli::failure::Failure;
use crate::data::{AgentRow, DataError, Store};
use crate::standalone::target::Target;

/// Returns the agents that a target selects.
pub(super) fn select<'a>(
    store: &'a Store,
    target: &str,
) -> Result<impl Iterator<Item = Result<AgentRow, DataError>> + 'a, Failure> {
    let target = Target::parse(target).map_err(|error| DataFailure::Target(Box::new(error)))?;
    Ok(store.reachable_agents().filter(move |agent| match agent {
        Ok(agent) => target.matches(agent),
        Err(_) => true,
    }))
}
