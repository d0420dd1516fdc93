//! `investigator disable`, `enable` and `apikey`.

use super::who::{Who, called};
use crate::cli::data::failure::DataFailure;
use crate::cli::data::place::Source;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::data::{ApiKey, DataError, InvestigatorStatus};
use crate::exit::Exit;

/// Take the rights; the real platform notices within five minutes
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data investigator disable 'Bob Kelso'")]
pub(super) struct Disable {
    #[command(flatten)]
    who: Who,
}

/// Give the rights back
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data investigator enable 2")]
pub(super) struct Enable {
    #[command(flatten)]
    who: Who,
}

/// Make an API key, shown this once, instead of one that is there
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-data investigator apikey 'Bob Kelso'")]
pub(super) struct NewApiKey {
    #[command(flatten)]
    who: Who,
}

impl Disable {
    /// Disables the investigator.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        set(&self.who, InvestigatorStatus::Disabled, source)
    }
}

impl Enable {
    /// Enables the investigator.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        set(&self.who, InvestigatorStatus::Active, source)
    }
}

fn set(who: &Who, status: InvestigatorStatus, source: &Source) -> Result<Exit, Failure> {
    let store = source.write()?;
    let one = who.find_to_change(&store)?;
    let is_new = store.set_investigator_status(one.id, status, SystemClock.now())?;
    let already = if is_new { "now" } else { "already" };
    output::answer(format!("{} is {already} {}", called(&one), status.as_str()))?;
    Ok(Exit::Done)
}

impl NewApiKey {
    /// Makes the key.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        let store = source.write()?;
        let one = self.who.find_to_change(&store)?;
        let key = ApiKey::make().map_err(|source| DataError::Chance { source })?;
        if !store.set_api_key(one.id, &key, SystemClock.now())? {
            return Err(DataFailure::NoInvestigator { who: called(&one) }.into());
        }
        output::answer(key.expose())?;
        output::message(format!(
            "{} now has this API key: it is shown this once; useapikeyauth in .migrc takes it",
            called(&one)
        ));
        Ok(Exit::Done)
    }
}
