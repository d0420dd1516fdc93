//! The investigator that a command is about, named by name, number or fingerprint.

use crate::cli::data::failure::DataFailure;
use crate::cli::failure::Failure;
use crate::data::{Id, InvestigatorRow, SCHEDULER, Store};
use crate::pgp::Fingerprint;

/// Whom a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct Who {
    /// The name, the number or the fingerprint
    #[arg(value_name = "INVESTIGATOR")]
    who: String,
}

impl Who {
    /// Finds the one investigator.
    pub(super) fn find(&self, store: &Store) -> Result<InvestigatorRow, Failure> {
        let mut named = store.investigators_named(&self.who)?;
        if named.len() > 1 {
            let ids = named.iter().map(|one| one.id).collect();
            return Err(DataFailure::Several { name: self.who.clone(), ids }.into());
        }
        if let Some(one) = named.pop() {
            return Ok(one);
        }
        let found = match (self.who.parse().map(Id::new), Fingerprint::parse(&self.who)) {
            (Ok(id), _) => store.investigator_of(id)?,
            (_, Some(fingerprint)) => store.investigator(fingerprint.as_str())?,
            _ => None,
        };
        found.ok_or_else(|| DataFailure::NoInvestigator { who: self.who.clone() }.into())
    }

    /// Finds the one investigator, who is to be changed.
    pub(super) fn find_to_change(&self, store: &Store) -> Result<InvestigatorRow, Failure> {
        let one = self.find(store)?;
        if one.name == SCHEDULER {
            return Err(DataFailure::Scheduler.into());
        }
        match one.odd.has_lost("id") {
            true => Err(DataFailure::NoNumber { name: one.name }.into()),
            false => Ok(one),
        }
    }
}

/// Returns how an investigator is called in messages.
pub(crate) fn called(one: &InvestigatorRow) -> String {
    match one.odd.has_lost("id") {
        true => format!("{} (?)", one.name),
        false => format!("{} ({})", one.name, one.id),
    }
}
