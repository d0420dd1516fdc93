//! `investigator`: who may sign actions and ask the API.

mod acl;
mod add;
mod change;
mod list;
mod permit;

use super::failure::DataFailure;
use super::place::Source;
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

/// Add, show and change those who may sign actions and ask the API
#[derive(Debug, clap::Args)]
pub(super) struct Investigator {
    #[command(subcommand)]
    what: What,
}

/// What is to be done.
#[derive(Debug, clap::Subcommand)]
enum What {
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
    /// Does it.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        match &self.what {
            What::Add(add) => add.run(source),
            What::List(list) => list.run(source),
            What::Show(show) => show.run(source),
            What::Disable(disable) => disable.run(source),
            What::Enable(enable) => enable.run(source),
            What::Permit(permit) => permit.run(source),
            What::ApiKey(key) => key.run(source),
            What::Acl(acl) => acl.run(source),
        }
    }
}

/// Whom a command is about.
#[derive(Debug, clap::Args)]
struct Who {
    /// The name, the number or the fingerprint
    #[arg(value_name = "INVESTIGATOR")]
    who: String,
}

impl Who {
    /// Finds the one investigator.
    fn find(&self, store: &Store) -> Result<InvestigatorRow, Failure> {
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
    fn find_to_change(&self, store: &Store) -> Result<InvestigatorRow, Failure> {
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
pub(super) fn called(one: &InvestigatorRow) -> String {
    match one.odd.has_lost("id") {
        true => format!("{} (?)", one.name),
        false => format!("{} ({})", one.name, one.id),
    }
}
