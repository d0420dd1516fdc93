//! `investigator`: who may sign actions and ask the API.

mod acl;
mod add;
mod change;
mod list;
mod permit;
pub(super) mod who;

use super::place::Source;
use crate::cli::failure::Failure;
use crate::exit::Exit;
use acl::AclList;
use add::Add;
#[cfg(feature = "platform")]
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
