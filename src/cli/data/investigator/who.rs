//! The investigator that a command is about, given by name, number or fingerprint.

use crate::cli::data::failure::DataFailure;
use crate::cli::failure::Failure;
use crate::data::{Id, InvestigatorRow, SCHEDULER, Store};
use crate::pgp::Fingerprint;

/// The investigator to show or change.
#[derive(Debug, clap::Args)]
pub(super) struct InvestigatorName {
    /// Name, number or fingerprint
    #[arg(value_name = "INVESTIGATOR")]
    text: String,
}

impl InvestigatorName {
    /// Finds the investigator.
    ///
    /// # Errors
    /// There is no such investigator, or there are several with this name.
    pub(super) fn find(&self, store: &Store) -> Result<InvestigatorRow, Failure> {
        let mut named = store.investigators_named(&self.text)?;
        if named.len() > 1 {
            let ids = named.iter().map(|one| one.id).collect();
            return Err(DataFailure::Several { name: self.text.clone(), ids }.into());
        }
        if let Some(one) = named.pop() {
            return Ok(one);
        }
        let found = match (self.text.parse().map(Id::new), Fingerprint::parse(&self.text)) {
            (Ok(id), _) => store.investigator_by_id(id)?,
            (_, Some(fingerprint)) => store.investigator(fingerprint.as_str())?,
            _ => None,
        };
        found.ok_or_else(|| DataFailure::NoInvestigator { who: self.text.clone() }.into())
    }

    /// Finds an investigator who may be changed: not the scheduler's own, and with a readable
    /// number.
    pub(super) fn find_to_change(&self, store: &Store) -> Result<InvestigatorRow, Failure> {
        let one = self.find(store)?;
        if one.name == SCHEDULER {
            return Err(DataFailure::Scheduler.into());
        }
        match one.invalid.is_unreadable("id") {
            true => Err(DataFailure::NoNumber { name: one.name }.into()),
            false => Ok(one),
        }
    }
}

/// Returns the name and number of an investigator, for messages.
pub(in crate::cli::data) fn label(one: &InvestigatorRow) -> String {
    match one.invalid.is_unreadable("id") {
        true => format!("{} (?)", one.name),
        false => format!("{} ({})", one.name, one.id),
    }
}
