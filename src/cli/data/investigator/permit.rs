//! `investigator permissions`: what an investigator may ask of the API.

use super::who::{Who, called};
use crate::cli::data::failure::DataFailure;
use crate::cli::data::place::Source;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::data::{InvestigatorRow, Permissions};
use crate::exit::Exit;

/// Set, add or remove what an investigator may ask of the API
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mig-data investigator permissions 'Bob Kelso' --add investigator
  mig-data investigator permissions 2 --set default")]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(super) struct Permit {
    #[command(flatten)]
    who: Who,
    /// All that is permitted from now on: names, sets
    #[arg(long, value_name = "LIST", group = "what", conflicts_with_all = ["add", "remove"])]
    set: Option<Permissions>,
    /// What is permitted besides
    #[arg(long, value_name = "LIST", group = "what")]
    add: Option<Permissions>,
    /// What is no longer permitted
    #[arg(long, value_name = "LIST", group = "what")]
    remove: Option<Permissions>,
}

impl Permit {
    /// Changes the permissions; returns the former ones.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        let (add, remove) = (self.add.unwrap_or_default(), self.remove.unwrap_or_default());
        let both = add.common(remove);
        if !both.names().is_empty() {
            return Err(DataFailure::AddedAndRemoved { both }.into());
        }
        let store = source.write()?;
        let one = self.who.find_to_change(&store)?;
        let is_readable = !one.odd.has_lost("permissions");
        let (wanted, from) = match self.set {
            Some(set) => (set, None),
            None if is_readable => {
                (one.permissions.with(add).without(remove), Some(one.permissions))
            }
            None => return Err(DataFailure::NoPermissions { who: called(&one) }.into()),
        };
        if is_readable && wanted == one.permissions {
            output::answer(format!("{} already had: {}", called(&one), told(wanted)))?;
            return Ok(Exit::Done);
        }
        if !store.set_permissions(one.id, wanted, from, SystemClock.now())? {
            return Err(DataFailure::Changed { who: called(&one) }.into());
        }
        output::answer(format!(
            "{} had: {}; now has: {}",
            called(&one),
            before(&one, is_readable),
            told(wanted)
        ))?;
        Ok(Exit::Done)
    }
}

fn before(one: &InvestigatorRow, is_readable: bool) -> String {
    if is_readable { told(one.permissions) } else { "what cannot be read".to_owned() }
}

/// Returns permissions in words, with their number if names do not say all.
fn told(permissions: Permissions) -> String {
    match permissions.has_unknown() {
        true => format!("{permissions} (the number {})", permissions.bits()),
        false => permissions.to_string(),
    }
}
