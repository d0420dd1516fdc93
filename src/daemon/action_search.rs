//! Determines which run an action belongs to, after a search for an unanswered POST found the action.

use super::index::{Index, Key};
use super::settings::Parts;
use crate::names::ActionId;
use crate::spool::{Family, SpoolError};
use crate::stage::fetch;

/// Returns whether an action that a search found belongs to another run: an unfinished run has it,
/// or its results were fetched for another run, which may be finished or removed. If the results were
/// fetched for this run, the action is its own: a crash left an older duplicate of its entry, and the
/// search was made for this duplicate.
pub(super) fn belongs_to_other(
    key: &Key,
    action: ActionId,
    index: &Index,
    parts: &Parts,
) -> Result<bool, SpoolError> {
    if index.is_held(key, action) {
        return Ok(true);
    }
    let link = fetch::link_of(&parts.settings.directory, action);
    if parts.spool.disk().find(&link)?.is_none() {
        return Ok(false);
    }
    let own = parts.spool.view().counting(&key.1, Family::Command)?;
    let is_own = own.is_some_and(|run| run.record().action_id == Some(action));
    Ok(!is_own)
}
