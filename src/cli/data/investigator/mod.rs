//! `investigator`: the users who may sign actions and use the API.

mod acl;
mod add;
mod change;
mod list;
mod permit;

use super::failure::DataFailure;
use super::place::DataSource;
use crate::cli::failure::Failure;
use crate::data::{Id, InvestigatorRow, SCHEDULER, Store};
use crate::exit::Exit;
use crate::pgp::Fingerprint;
use acl::AclList;
use add::Add;
pub(in crate::cli) use add::read_key;
use change::{Disable, Enable, NewApiKey};
use list::{List, Show};
use permit::Permit;

/// Manage the users who may sign actions and use the API
#[derive(Debug, clap::Args)]
pub(super) struct Investigator {
    #[command(subcommand)]
    command: InvestigatorCommand,
}

#[derive(Debug, clap::Subcommand)]
enum InvestigatorCommand {
    Add(Add),
    List(List),
    Show(Show),
    Disable(Disable),
    Enable(Enable),
    #[command(name = "permissions")]
    Permit(Permit),
    #[command(name = "apikey")]
    ApiKey(NewApiKey),
    Acl(AclList),
}

impl Investigator {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        match &self.command {
            InvestigatorCommand::Add(add) => add.run(source),
            InvestigatorCommand::List(list) => list.run(source),
            InvestigatorCommand::Show(show) => show.run(source),
            InvestigatorCommand::Disable(disable) => disable.run(source),
            InvestigatorCommand::Enable(enable) => enable.run(source),
            InvestigatorCommand::Permit(permit) => permit.run(source),
            InvestigatorCommand::ApiKey(key) => key.run(source),
            InvestigatorCommand::Acl(acl) => acl.run(source),
        }
    }
}

/// The investigator to show or change.
#[derive(Debug, clap::Args)]
struct InvestigatorName {
    /// Name, number or fingerprint
    #[arg(value_name = "INVESTIGATOR")]
    text: String,
}

impl InvestigatorName {
    /// Finds the investigator.
    ///
    /// # Errors
    /// There is no such investigator, or there are several with this name.
    fn find(&self, store: &Store) -> Result<InvestigatorRow, Failure> {
        let mut named = store.investigators_named(&self.text)?;
        if named.len() > 1 {
            let ids = named.iter().map(|one| one.id).collect();
            return Err(DataFailure::Several { name: self.text.clone(), ids }.into());
        }
        if let Some(one) = named.pop() {
            return Ok(one);
        }
        let found = match (self.text.parse().map(Id::new), Fingerprint::parse(&self.text)) {
            (Ok(id), _) => store.investigator_of(id)?,
            (_, Some(fingerprint)) => store.investigator(fingerprint.as_str())?,
            _ => None,
        };
        found.ok_or_else(|| DataFailure::NoInvestigator { who: self.text.clone() }.into())
    }

    /// Finds an investigator who may be changed: not the scheduler's own, and with a readable
    /// number.
    fn find_to_change(&self, store: &Store) -> Result<InvestigatorRow, Failure> {
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
pub(super) fn label(one: &InvestigatorRow) -> String {
    match one.invalid.is_unreadable("id") {
        true => format!("{} (?)", one.name),
        false => format!("{} ({})", one.name, one.id),
    }
}
