//! `investigator`: the users who may sign actions and use the API.

mod acl;
mod add;
mod change;
mod list;
mod permit;
pub(super) mod who;

use super::source::DataSource;
use crate::cli::failure::Failure;
use crate::exit::Exit;
use acl::AclList;
use add::Add;
#[cfg(feature = "platform")]
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
