//! Searches for an action whose POST was not answered: which run does a found action belong to?

use super::index::{Index, Key};
use super::settings::Parts;
use crate::names::ActionId;
use crate::spool::{Family, SpoolError};
use crate::stage::fetch;

/// Returns whether an action that was found belongs to another run: an unfinished run has it, or
/// its results were fetched for another run, which may be finished or removed. Results of this run
/// mean only that a crash left an older duplicate of its entry, whose search this is.
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
