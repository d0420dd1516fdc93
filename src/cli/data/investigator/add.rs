//! `investigator add`: a new one, whose key is looked at first.

use std::path::PathBuf;

use super::called;
use crate::chain::{excerpt, is_unsafe};
use crate::cli::data::failure::DataFailure;
use crate::cli::data::place::Source;
use crate::cli::failure::Failure;
use crate::cli::{env, output};
use crate::clock::{Clock, SystemClock};
use crate::data::{DataError, InvestigatorRow, Permissions, SCHEDULER, Store};
use crate::disk::input_file::InputFile;
use crate::exit::Exit;
use crate::pgp::{Fingerprint, PublicKey};

/// The longest key that is read.
const KEY_BYTES_MAX: u64 = 1024 * 1024;
/// The longest name: the width of the column.
const NAME_CHARS_MAX: usize = 1024;
/// How much of what is no fingerprint is shown.
const SHOWN_BYTES_MAX: usize = 80;

/// Add an investigator: who signs with this key may run actions
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  gpg --armor --export bob@example.net > bob.asc
  mig-data investigator add 'Bob Kelso' --key bob.asc")]
#[command(
    override_usage = "mig-data investigator add [OPTIONS] (--key FILE | --fingerprint FP) NAME"
)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(super) struct Add {
    /// What the investigator is called
    #[arg(value_name = "NAME")]
    name: String,
    /// The armored public key
    #[arg(long, value_name = "FILE", group = "which")]
    key: Option<PathBuf>,
    /// The fingerprint of a key in the GnuPG home
    #[arg(long, value_name = "FP", group = "which")]
    fingerprint: Option<String>,
    /// What is permitted: names, sets
    #[arg(long, value_name = "LIST", default_value = "default")]
    permissions: Permissions,
}

/// What is known of a key.
struct Found {
    fingerprint: Fingerprint,
    armored: Vec<u8>,
}

impl Add {
    /// Adds the investigator.
    pub(super) fn run(&self, source: &Source) -> Result<Exit, Failure> {
        check(&self.name)?;
        // The key first: what is wrong with it needs no database to be told.
        let found = self.found()?;
        let store = source.write()?;
        if let Some(one) = store.investigator(found.fingerprint.as_str())? {
            return complete(&store, &one, &found);
        }
        let (fingerprint, now) = (found.fingerprint.as_str(), SystemClock.now());
        store
            .insert_investigator(&self.name, fingerprint, &found.armored, self.permissions, now)
            .map_err(|error| match error {
            DataError::Duplicate { .. } => DataFailure::Raced,
            other => other.into(),
        })?;
        let added = store.investigator(fingerprint)?;
        let name = added.as_ref().map_or_else(|| self.name.clone(), called);
        let (with, alone) = match found.armored.is_empty() {
            true => ("by the fingerprint", " alone"),
            false => ("with the key", ""),
        };
        output::answer(format!(
            "added {name} {with} {fingerprint}{alone} for: {}",
            self.permissions
        ))?;
        if found.armored.is_empty() {
            output::message(
                "your GnuPG home lacks this key, so it was not checked, and nothing signed with it \
                 counts: add it again with --key",
            );
        }
        Ok(Exit::Done)
    }

    /// Reads the key that the command line names.
    fn found(&self) -> Result<Found, Failure> {
        if let Some(file) = &self.key {
            let armored = InputFile::read(file, KEY_BYTES_MAX).map_err(Failure::Input)?.bytes;
            let key = read_key(&armored, &file.display().to_string())?;
            return Ok(Found { fingerprint: key.fingerprint, armored });
        }
        // One of the two is there: the command line demands it.
        let text = self.fingerprint.as_deref().unwrap_or_default();
        let fingerprint = Fingerprint::parse(text).ok_or_else(|| DataFailure::Fingerprint {
            text: excerpt(text, SHOWN_BYTES_MAX).into_owned(),
        })?;
        let home = env::gnupg_home().unwrap_or_default();
        let place = format!("the GnuPG home {}", home.display());
        let exported = PublicKey::export(&home, &fingerprint)
            .map_err(|source| DataFailure::Key { place: place.clone(), source })?;
        let Some(armored) = exported else {
            return Ok(Found { fingerprint, armored: Vec::new() });
        };
        // A subkey's fingerprint finds its key, too; the platform knows keys by their primary one.
        let key = read_key(&armored, &place)?;
        Ok(Found { fingerprint: key.fingerprint, armored })
    }
}

/// Reads the key in an armored text from `place`.
///
/// # Errors
/// There is not exactly one, or the platform could not verify what it signs.
pub(in crate::cli) fn read_key(armored: &[u8], place: &str) -> Result<PublicKey, Failure> {
    let temporary = env::temporary().unwrap_or_else(|| PathBuf::from("/tmp"));
    let key = PublicKey::read(&temporary, armored);
    key.map_err(|source| DataFailure::Key { place: place.to_owned(), source }.into())
}

/// Gives an investigator who is known by the fingerprint alone the key; refuses one who has it.
fn complete(store: &Store, one: &InvestigatorRow, found: &Found) -> Result<Exit, Failure> {
    let is_given = !found.armored.is_empty()
        && store.set_investigator_key(one.id, &found.armored, SystemClock.now())?;
    if !is_given {
        let (fingerprint, name, id) = (found.fingerprint.clone(), one.name.clone(), one.id);
        return Err(DataFailure::Known { fingerprint, name, id }.into());
    }
    let fingerprint = &found.fingerprint;
    output::answer(format!("{} is there already, and now has the key {fingerprint}", called(one)))?;
    Ok(Exit::Done)
}

/// Checks that a name can be told and told apart.
fn check(name: &str) -> Result<(), DataFailure> {
    let why = if name.trim().is_empty() {
        "it is empty"
    } else if name.trim() != name {
        "it begins or ends with a space"
    } else if name.chars().any(is_unsafe) {
        "it has control characters"
    } else if name.chars().count() > NAME_CHARS_MAX {
        "it has over 1024 characters"
    } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
        "it is a number, which would be taken for that of another"
    } else if name == SCHEDULER {
        "it is that of the scheduler's own"
    } else {
        return Ok(());
    };
    Err(DataFailure::Name { why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_told() {
        assert!(check("Bob Kelso").is_ok() && check("Zoë").is_ok());
        for wrong in ["", " ", "Bob ", "a\nb", "17", "migscheduler", &"x".repeat(1025)] {
            assert!(matches!(check(wrong), Err(DataFailure::Name { .. })), "{wrong:?}");
        }
    }
}
