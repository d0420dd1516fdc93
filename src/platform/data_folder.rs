//! The platform's data folder: the keyrings with the investigators' keys, and the database, unless
//! that is on a server.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::admit::{AdmitError, admit};
use super::error::PlatformError;
use crate::clock::Clock;
use crate::data::{self, DataError, Permissions, Store};
use crate::disk::{DAEMON_PREFIX, Disk, FolderLock, RealFs};
use crate::pgp::{Fingerprint, Verifier, end_gpg_agent};

/// The subfolder in which files are written before they get their names.
pub(super) const SCRATCH: &str = ".tmp";

/// A platform's database and keyrings.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) store: Arc<Store>,
    /// The folder with a GnuPG home for each key.
    pub(super) home: PathBuf,
    pub(super) disk: Disk,
}

impl Data {
    /// Opens the data folder and the database, and creates what is missing, private to its owner.
    pub(crate) fn open(
        folder: &Path,
        server: Option<&data::DatabaseServer>,
    ) -> Result<Data, PlatformError> {
        let disk = Disk::new(Arc::new(RealFs), folder.join(SCRATCH), DAEMON_PREFIX);
        let home = folder.join("gnupg");
        // First: if the server cannot be reached, no folder is created.
        let served = match server {
            Some(server) => Some(Store::connect(&disk, server)?),
            None => None,
        };
        disk.make_folders(&folder.join(SCRATCH))?;
        disk.make_folder(&home)?;
        let store = match served {
            Some(store) => store,
            None => Store::open(&disk, &folder.join("mig.db"))?,
        };
        store.create_or_check_tables()?;
        Ok(Data { store: Arc::new(store), home, disk })
    }

    /// Locks the folder against other platforms, until the result is dropped.
    pub(super) fn lock(&self, folder: &Path) -> Result<FolderLock, PlatformError> {
        FolderLock::acquire(&self.disk, folder).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => PlatformError::Busy { path: folder.to_owned() },
            _ => error.into(),
        })
    }

    /// Adds an investigator with an armored public key.
    pub(crate) fn add_investigator(
        &self,
        name: &str,
        armored: &[u8],
        permissions: Permissions,
        clock: &dyn Clock,
    ) -> Result<Fingerprint, PlatformError> {
        let fingerprint =
            admit(&self.store, &self.verifier(), armored).map_err(|error| match error {
                AdmitError::Key(source) => PlatformError::Key { name: name.to_owned(), source },
                AdmitError::Data(error) => error.into(),
            })?;
        match self.store.insert_investigator(
            name,
            fingerprint.as_str(),
            armored,
            permissions,
            clock.now(),
        ) {
            Err(DataError::Duplicate { .. }) => Err(PlatformError::Known { fingerprint }),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(fingerprint),
        }
    }

    /// Ends the processes that GnuPG has started for the keyring.
    pub(crate) fn end_agents(&self) -> Result<(), PlatformError> {
        end_gpg_agent(&self.home)
            .map_err(|source| PlatformError::Keyring { home: self.home.clone(), source })
    }

    pub(super) fn verifier(&self) -> Verifier {
        Verifier::new(&self.home)
    }
}
