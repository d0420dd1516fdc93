//! `schema`: the platform's tables, printed, made and compared.

use super::place::Source;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::data::SCHEMA;
use crate::exit::Exit;

/// Print the tables of the platform, make them, or compare a database with them
#[derive(Debug, clap::Args)]
pub(super) struct Schema {
    #[command(subcommand)]
    what: What,
}

/// What is to be done.
#[derive(Debug, clap::Subcommand)]
enum What {
    Print(Print),
}

/// Print the tables, their indexes and the roles as SQL
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data schema print | psql mig")]
struct Print {}

impl Schema {
    /// Does it.
    pub(super) fn run(&self, _source: &Source) -> Result<Exit, Failure> {
        match &self.what {
            What::Print(Print {}) => {
                output::raw(SCHEMA)?;
                Ok(Exit::Done)
            }
        }
    }
}
