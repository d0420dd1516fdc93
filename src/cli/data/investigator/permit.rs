//! `investigator permissions`: changes the permissions of an investigator for the API.

use super::who::{InvestigatorName, label};
use crate::cli::data::failure::DataFailure;
use crate::cli::data::source::DataSource;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::data::{InvestigatorRow, Permissions};
use crate::exit::Exit;

/// Set, add or remove permissions for the API
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mig-data investigator permissions 'Bob Kelso' --add investigator
  mig-data investigator permissions 2 --set default")]
#[command(override_usage = "mig-data investigator permissions [OPTIONS] <INVESTIGATOR>")]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(super) struct Permit {
    #[command(flatten)]
    who: InvestigatorName,
    /// New permissions, or names of sets
    #[arg(long, value_name = "LIST", group = "what", conflicts_with_all = ["add", "remove"])]
    set: Option<Permissions>,
    /// Permissions to add
    #[arg(long, value_name = "LIST", group = "what")]
    add: Option<Permissions>,
    /// Permissions to remove
    #[arg(long, value_name = "LIST", group = "what")]
    remove: Option<Permissions>,
}

impl Permit {
    /// Changes the permissions, and prints the old and the new ones.
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        let (add, remove) = (self.add.unwrap_or_default(), self.remove.unwrap_or_default());
        let both = add.common(remove);
        if !both.names().is_empty() {
            return Err(DataFailure::AddedAndRemoved { both }.into());
        }
        let store = source.write()?;
        let one = self.who.find_to_change(&store)?;
        let is_readable = !one.invalid.is_unreadable("permissions");
        let (wanted, from) = match self.set {
            Some(set) => (set, None),
            None if is_readable => {
                (one.permissions.with(add).without(remove), Some(one.permissions))
            }
            None => return Err(DataFailure::NoPermissions { who: label(&one) }.into()),
        };
        if is_readable && wanted == one.permissions {
            output::answer(format!("{} already has: {}", label(&one), shown(wanted)))?;
            return Ok(Exit::Done);
        }
        if !store.set_permissions(one.id, wanted, from, SystemClock.now())? {
            return Err(DataFailure::Changed { who: label(&one) }.into());
        }
        output::answer(format!(
            "{} had: {}; now has: {}",
            label(&one),
            before(&one, is_readable),
            shown(wanted)
        ))?;
        Ok(Exit::Done)
    }
}

fn before(one: &InvestigatorRow, is_readable: bool) -> String {
    if is_readable { shown(one.permissions) } else { "an unreadable value".to_owned() }
}

/// Returns the names of permissions, with their number if bits without a name are set.
fn shown(permissions: Permissions) -> String {
    match permissions.has_unknown() {
        true => format!("{permissions} (number {})", permissions.bits()),
        false => permissions.to_string(),
    }
}
