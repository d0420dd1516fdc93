//! `investigator add`: adds an investigator after checking the key.

use std::path::{Path, PathBuf};

use super::who::label;
use crate::chain::{excerpt, is_unsafe};
use crate::cli::data::failure::DataFailure;
use crate::cli::data::source::DataSource;
use crate::cli::failure::Failure;
use crate::cli::input::InputError;
use crate::cli::workspace::Workspace;
use crate::cli::{env, input, output};
use crate::clock::{Clock, SystemClock};
use crate::data::{DataError, InvestigatorRow, Permissions, SCHEDULER, Store};
use crate::disk::input_file::InputFile;
use crate::disk::trust;
use crate::disk::trusted_paths::{Content, TrustedPath};
use crate::exit::Exit;
use crate::pgp::{Fingerprint, KeyIds, KeyText, PublicKey};

/// Size limit of a key, in bytes.
const KEY_BYTES_MAX: u64 = 1024 * 1024;
/// Maximum length of a name: the width of the column.
const NAME_CHARS_MAX: usize = 1024;
/// Maximum length of an invalid fingerprint in the error, in bytes.
const SHOWN_BYTES_MAX: usize = 80;

/// Add an investigator, who may then sign actions with the given key
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  gpg --armor --export bob@example.net > bob.asc
  mig-data investigator add 'Bob Kelso' --key bob.asc")]
#[command(
    override_usage = "mig-data investigator add [OPTIONS] (--key FILE | --fingerprint FP) NAME"
)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(super) struct Add {
    /// Name of the investigator
    #[arg(value_name = "NAME")]
    name: String,
    /// File with the armored public key
    #[arg(long, value_name = "FILE", group = "which")]
    key: Option<PathBuf>,
    /// Fingerprint of a key in the GnuPG home
    #[arg(long, value_name = "FP", group = "which")]
    fingerprint: Option<String>,
    /// Permissions, or names of sets
    #[arg(long, value_name = "LIST", default_value = "default")]
    permissions: Permissions,
}

/// The key named on the command line.
struct GivenKey {
    fingerprint: Fingerprint,
    /// The public key; empty if only the fingerprint is known.
    armored: Vec<u8>,
}

impl Add {
    pub(super) fn run(&self, source: &DataSource) -> Result<Exit, Failure> {
        check_name(&self.name)?;
        // The key comes first, so that its faults are reported without a database.
        let key = self.given_key(source)?;
        let store = source.write()?;
        check_shared(&store, &key)?;
        if let Some(one) = store.investigator(key.fingerprint.as_str())? {
            return add_key(&store, &one, &key);
        }
        let (fingerprint, now) = (key.fingerprint.as_str(), SystemClock.now());
        store
            .insert_investigator(&self.name, fingerprint, &key.armored, self.permissions, now)
            .map_err(|error| match error {
                DataError::Duplicate { .. } => DataFailure::Raced,
                other => other.into(),
            })?;
        let added = store.investigator(fingerprint)?;
        let name = added.as_ref().map_or_else(|| self.name.clone(), label);
        let with = if key.armored.is_empty() { "only the fingerprint" } else { "the key" };
        output::answer(format!(
            "added {name} with {with} {fingerprint}, permissions: {}",
            self.permissions
        ))?;
        if key.armored.is_empty() {
            output::message(
                "the key is not in your GnuPG home, so it was not checked, and its signatures are \
                 rejected until you add the investigator again with --key",
            );
        }
        Ok(Exit::Done)
    }

    fn given_key(&self, source: &DataSource) -> Result<GivenKey, Failure> {
        if let Some(file) = &self.key {
            let armored = InputFile::read(file, KEY_BYTES_MAX).map_err(InputError::Argument)?.bytes;
            // GnuPG reads the unknown key with the rights of the owner of the database. A database on
            // a server has no owner on this host: there, the user of this process keeps all rights.
            source.enter()?;
            let key = read_key(&armored, &file.display().to_string())?;
            return Ok(GivenKey { fingerprint: key.fingerprint, armored });
        }
        // The command line requires one of the two options.
        let text = self.fingerprint.as_deref().unwrap_or_default();
        let fingerprint = Fingerprint::parse(text).ok_or_else(|| DataFailure::Fingerprint {
            text: excerpt(text, SHOWN_BYTES_MAX).into_owned(),
        })?;
        source.enter()?;
        let home = env::gnupg_home().unwrap_or_default();
        // GnuPG runs programs that the files in its home name.
        if home != Path::new("") {
            Workspace::enter_unchanged(&[&home])?;
            input::check_paths(&[TrustedPath::new(&home, Content::Tree)], trust::own_user())?;
        }
        let place = format!("the GnuPG home {}", home.display());
        let exported = PublicKey::export(&home, &fingerprint)
            .map_err(|source| DataFailure::Key { place: place.clone(), source })?;
        let Some(armored) = exported else {
            return Ok(GivenKey { fingerprint, armored: Vec::new() });
        };
        // GnuPG finds a key by the fingerprint of a subkey too, but the platform needs the primary
        // one.
        let key = read_key(&armored, &place)?;
        Ok(GivenKey { fingerprint: key.fingerprint, armored })
    }
}

/// Reads the key in an armored text. `place` names the source of the text in errors.
///
/// # Errors
/// The text does not contain exactly one key, or the platform cannot verify the key's signatures.
pub(in crate::cli) fn read_key(armored: &[u8], place: &str) -> Result<PublicKey, Failure> {
    let temporary = env::temporary().unwrap_or_else(|| PathBuf::from("/tmp"));
    let key = PublicKey::read(&temporary, armored);
    key.map_err(|source| DataFailure::Key { place: place.to_owned(), source }.into())
}

/// Checks that no part of a key belongs to another investigator: a signature names the key that made
/// it only by its id.
fn check_shared(store: &Store, key: &GivenKey) -> Result<(), Failure> {
    let fingerprint = &key.fingerprint;
    let ids = |fingerprint: &str, armored: &[u8]| {
        KeyIds::new(fingerprint, KeyText::read(armored).ok().as_ref())
    };
    let own = ids(fingerprint.as_str(), &key.armored);
    let mut others = store.investigators()?.into_iter();
    let other = others.find(|other| {
        other.fingerprint != fingerprint.as_str()
            && own.meet(&ids(&other.fingerprint, &other.publickey))
    });
    match other {
        Some(InvestigatorRow { name, id, .. }) => {
            Err(DataFailure::Shared { fingerprint: fingerprint.clone(), name, id }.into())
        }
        None => Ok(()),
    }
}

/// Adds the key to an investigator who has only a fingerprint; fails if a key is stored already.
fn add_key(store: &Store, one: &InvestigatorRow, key: &GivenKey) -> Result<Exit, Failure> {
    let is_added = !key.armored.is_empty()
        && store.set_investigator_key(one.id, &key.armored, SystemClock.now())?;
    if !is_added {
        let (fingerprint, name, id) = (key.fingerprint.clone(), one.name.clone(), one.id);
        return Err(DataFailure::Known { fingerprint, name, id }.into());
    }
    let fingerprint = &key.fingerprint;
    output::answer(format!(
        "added the key {fingerprint} to the existing investigator {}",
        label(one)
    ))?;
    Ok(Exit::Done)
}

/// Checks that a name is unambiguous and can be displayed.
fn check_name(name: &str) -> Result<(), DataFailure> {
    let why = if name.trim().is_empty() {
        "it is empty"
    } else if name.trim() != name {
        "it begins or ends with a space"
    } else if name.chars().any(is_unsafe) {
        "it contains control characters"
    } else if name.chars().count() > NAME_CHARS_MAX {
        "it has more than 1024 characters"
    } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
        "it is a number, which commands would interpret as the number of an investigator"
    } else if name == SCHEDULER {
        "it is reserved for the scheduler's own investigator"
    } else {
        return Ok(());
    };
    Err(DataFailure::Name { why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_names_are_rejected() {
        assert!(check_name("Bob Kelso").is_ok() && check_name("Zoë").is_ok());
        for wrong in ["", " ", "Bob ", "a\nb", "17", "migscheduler", &"x".repeat(1025)] {
            assert!(matches!(check_name(wrong), Err(DataFailure::Name { .. })), "{wrong:?}");
        }
    }
}
