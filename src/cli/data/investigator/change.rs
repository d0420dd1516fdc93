//! `investigator disable`, `enable` and `apikey`.

use super::who::{InvestigatorName, label};
use crate::cli::data::failure::DataFailure;
use crate::cli::data::source::DataSource;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::data::{ApiKey, DataError, InvestigatorStatus};
use crate::exit::Exit;

/// Withdraw all rights; the original API notices within five minutes
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data investigator disable 'Bob Kelso'")]
pub(super) struct Disable {
    #[command(flatten)]
    who: InvestigatorName,
}

/// Restore the rights of a disabled investigator
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data investigator enable 2")]
pub(super) struct Enable {
    #[command(flatten)]
    who: InvestigatorName,
}

/// Generate an API key and show it once; it replaces an existing key
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data investigator apikey 'Bob Kelso'")]
pub(super) struct NewApiKey {
    #[command(flatten)]
    who: InvestigatorName,
}

impl Disable {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        set_status(&self.who, InvestigatorStatus::Disabled, source)
    }
}

impl Enable {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        set_status(&self.who, InvestigatorStatus::Active, source)
    }
}

fn set_status(
    who: &InvestigatorName,
    status: InvestigatorStatus,
    source: &DataSource,
) -> Result<Exit, Failure> {
    let store = source.write()?;
    let one = who.find_to_change(&store)?;
    let is_new = store.set_investigator_status(one.id, status, SystemClock.now())?;
    let already = if is_new { "now" } else { "already" };
    output::answer(format!("{} is {already} {}", label(&one), status.as_str()))?;
    Ok(Exit::Done)
}

impl NewApiKey {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let store = source.write()?;
        let one = self.who.find_to_change(&store)?;
        let key = ApiKey::generate().map_err(|source| DataError::Random { source })?;
        if !store.set_api_key(one.id, &key, SystemClock.now())? {
            return Err(DataFailure::NoInvestigator { who: label(&one) }.into());
        }
        output::answer(key.expose())?;
        output::message(format!(
            "new API key of {}, shown only once: set it as useapikeyauth in .migrc",
            label(&one)
        ));
        Ok(Exit::Done)
    }
}
