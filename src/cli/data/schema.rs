//! `schema`: prints, creates and checks the platform's tables.

use super::source::DataSource;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::data::schema::{self, SchemaScope};
use crate::exit::Exit;

/// Print, create or check the platform's tables
#[derive(Debug, clap::Args)]
pub(super) struct Schema {
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, clap::Subcommand)]
enum SchemaCommand {
    Print(Print),
    Init(Init),
    Check(Check),
}

/// Print the tables, indexes and roles as SQL for PostgreSQL
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data schema print | psql mig")]
struct Print {}

/// Create missing tables, all or none; existing ones stay unchanged
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  mig-data -d postgres://postgres@localhost/mig schema init --roles")]
struct Init {
    /// Also create the platform's roles with their privileges
    #[arg(long)]
    roles: bool,
}

/// Show how the tables differ from the platform's; status 1 if they do
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data -c /etc/mig/scheduler.cfg schema check")]
struct Check {
    /// Also check the platform's roles and their privileges
    #[arg(long)]
    roles: bool,
}

fn scope(roles: bool) -> SchemaScope {
    if roles { SchemaScope::TablesAndRoles } else { SchemaScope::Tables }
}

impl Schema {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        match &self.command {
            SchemaCommand::Print(Print {}) => {
                output::raw(schema::TEXT)?;
                Ok(Exit::Done)
            }
            SchemaCommand::Init(init) => init.run(source),
            SchemaCommand::Check(check) => check.run(source),
        }
    }
}

impl Init {
    fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let (location, scope) = (source.database_location()?, scope(self.roles));
        // Opening a missing file creates it with all tables.
        let missing = match source.exists()? {
            true => source.read()?.schema_differences(scope)?.len(),
            false => usize::MAX,
        };
        let store = source.create()?;
        store.init_schema(scope)?;
        let what = if self.roles { "tables and roles" } else { "tables" };
        let left = store.schema_differences(scope)?;
        output::answer(init_result(what, &location.to_string(), missing, left.len()))?;
        for difference in &left {
            output::message(difference);
        }
        Ok(if left.is_empty() { Exit::Done } else { Exit::Attention })
    }
}

/// Returns the message for the differences before and after creating the tables.
fn init_result(what: &str, location: &str, missing: usize, left: usize) -> String {
    match (missing.saturating_sub(left), left) {
        (0, 0) => format!("{location} already has all {what}"),
        (_, 0) => format!("created the missing {what} in {location}"),
        (_, left) => format!(
            "the {what} in {location} still have {left} differences, which an administrator must resolve"
        ),
    }
}

impl Check {
    fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let location = source.database_location()?;
        let differences = source.read()?.schema_differences(scope(self.roles))?;
        for difference in &differences {
            output::answer(difference)?;
        }
        if differences.is_empty() {
            output::answer(format!("the tables in {location} match the platform's"))?;
            return Ok(Exit::Done);
        }
        Ok(Exit::Attention)
    }
}
