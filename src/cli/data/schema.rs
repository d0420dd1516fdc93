//! `schema`: the platform's tables, printed, made and compared.

use super::place::Source;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::data::schema::{self, Extent};
use crate::exit::Exit;

/// Print the platform's tables, make them, or compare with them
#[derive(Debug, clap::Args)]
pub(super) struct Schema {
    #[command(subcommand)]
    what: What,
}

/// What is to be done.
#[derive(Debug, clap::Subcommand)]
enum What {
    Print(Print),
    Init(Init),
    Check(Check),
}

/// Print the tables, their indexes and the roles as SQL for PostgreSQL
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data schema print | psql mig")]
struct Print {}

/// Make the tables that are missing, all or none; what is there stays
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  mig-data -d postgres://postgres@localhost/mig schema init --roles")]
struct Init {
    /// The platform's roles and their rights, too
    #[arg(long)]
    roles: bool,
}

/// Tell how the tables differ from the platform's; status 1 if so
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data -c /etc/mig/scheduler.cfg schema check")]
struct Check {
    /// The platform's roles and their rights, too
    #[arg(long)]
    roles: bool,
}

/// Returns how much of the schema is meant.
fn extent(roles: bool) -> Extent {
    if roles { Extent::TablesAndRoles } else { Extent::Tables }
}

impl Schema {
    /// Does it.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        match &self.what {
            What::Print(Print {}) => {
                output::raw(schema::TEXT)?;
                Ok(Exit::Done)
            }
            What::Init(init) => init.run(source),
            What::Check(check) => check.run(source),
        }
    }
}

impl Init {
    fn run(&self, source: &Source) -> Result<Exit, Failure> {
        let (place, extent) = (source.place()?, extent(self.roles));
        // A file that is not there is made with all of its tables.
        let missing = match source.is_made()? {
            true => source.read()?.schema_differences(extent)?.len(),
            false => usize::MAX,
        };
        let store = source.make()?;
        store.init_schema(extent)?;
        let what =
            if self.roles { "the tables and roles of MIG are" } else { "the tables of MIG are" };
        let left = store.schema_differences(extent)?;
        output::answer(format!("{what} in {place}: {}", made(missing, left.len())))?;
        for difference in &left {
            output::message(difference);
        }
        Ok(if left.is_empty() { Exit::Done } else { Exit::Attention })
    }
}

/// Returns what was made, in words.
fn made(missing: usize, left: usize) -> String {
    match (missing.saturating_sub(left), left) {
        (0, 0) => "nothing was missing".to_owned(),
        (_, 0) => "what was missing was made".to_owned(),
        (_, left) => format!("{left} differences are left, which only a person can mend"),
    }
}

impl Check {
    fn run(&self, source: &Source) -> Result<Exit, Failure> {
        let place = source.place()?;
        let differences = source.read()?.schema_differences(extent(self.roles))?;
        for difference in &differences {
            output::answer(difference)?;
        }
        if differences.is_empty() {
            output::answer(format!("the tables in {place} are the platform's"))?;
            return Ok(Exit::Done);
        }
        Ok(Exit::Attention)
    }
}
