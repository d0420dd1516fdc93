//! What follows from a search for an action whose POST was not answered: above all, whose it is.

use jiff::Timestamp;
use slog::{error, info};

use super::engine::Engine;
use super::index::Key;
use super::workers::SearchError;
use crate::api::Found;
use crate::chain::Chain;
use crate::names::ActionId;
use crate::spool::{Family, SpoolError};
use crate::stage::{Pause, Verdict, fetch, submit};

impl Engine {
    /// Says what follows from a search that began at `began`.
    pub(super) fn searched(
        &mut self,
        key: &Key,
        found: Result<Found, SearchError>,
        began: Timestamp,
        now: Timestamp,
    ) -> Verdict {
        let found = match found {
            Ok(found) => Ok(found),
            Err(SearchError::Api(error)) => Err(error),
            Err(SearchError::Disk(error)) => {
                error!(self.parts.log, "cannot find out whose action it is"; "run" => %key.1,
                    "error" => Chain(&error));
                return Verdict::paused(Pause::Run(None));
            }
        };
        let other = match &found {
            Ok(Found::Action { id, .. }) => self.holder_of(key, *id),
            Ok(Found::None | Found::TooMany) | Err(_) => Ok(None),
        };
        match other {
            Ok(None) => match self.index.get(key) {
                Some(live) => submit::searched(
                    &live.facts,
                    found,
                    began,
                    &self.submit_context(key, live, now),
                ),
                None => Verdict::paused(Pause::None),
            },
            Ok(Some(other)) => {
                info!(self.parts.log, "the action that was found is another run's";
                    "run" => %key.1, "action" => other.0);
                if let Some(tries) = self.index.tries(key) {
                    tries.others.insert(other);
                }
                Verdict::paused(Pause::None)
            }
            Err(error) => {
                error!(self.parts.log, "cannot find out whose action it is"; "run" => %key.1,
                    "error" => Chain(&error));
                Verdict::paused(Pause::Run(None))
            }
        }
    }

    /// Returns the action that was found if it is not this run's: another run that is not over holds
    /// it, or its results have been fetched for another run, which may be finished or removed. Results
    /// of the same run mean that only an older double of its entry, left by a crash, still looks.
    fn holder_of(&self, key: &Key, action: ActionId) -> Result<Option<ActionId>, SpoolError> {
        if self.index.is_held(key, action) {
            return Ok(Some(action));
        }
        let link = fetch::link_of(&self.parts.settings.directory, action);
        if self.parts.spool.disk().find(&link)?.is_none() {
            return Ok(None);
        }
        let own = self.parts.spool.view().counting(&key.1, Family::Command)?;
        let is_own = own.is_some_and(|run| run.record().action_id == Some(action));
        Ok((!is_own).then_some(action))
    }
}
