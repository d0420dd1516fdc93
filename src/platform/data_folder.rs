//! The data folder of a platform: its tables, unless they are on a server, and the keyring with the
//! investigators' keys.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::PlatformError;
use crate::clock::Clock;
use crate::data::{self, DataError, Permissions, Store};
use crate::disk::{DAEMON_PREFIX, Disk, Lock, RealFs};
use crate::pgp::{Fingerprint, Verifier, end_gpg_agent};

/// The folder of the data folder where files are made.
pub(super) const SCRATCH: &str = ".tmp";

/// GnuPG's options in the keyring. Verifying with public keys takes no agent, and one that GnuPG starts all the
/// same would outlive a platform that is killed.
const KEYRING_OPTIONS: &[u8] = b"no-autostart\n";

/// What a platform keeps: its tables and its keyring.
#[derive(Debug)]
pub(crate) struct Data {
    pub(super) store: Arc<Store>,
    /// The home of the keyring.
    pub(super) home: PathBuf,
    pub(super) disk: Disk,
}

impl Data {
    /// Opens the data folder; makes it, private to its owner, if it is not there. The tables
    /// are in the folder too, unless they are on a server.
    pub(crate) fn open(
        folder: &Path,
        server: Option<&data::Server>,
    ) -> Result<Data, PlatformError> {
        let disk = Disk::new(Arc::new(RealFs), folder.join(SCRATCH), DAEMON_PREFIX);
        let home = folder.join("gnupg");
        // First, so that a server that is away leaves no folder behind.
        let served = match server {
            Some(server) => Some(Store::connect(&disk, server)?),
            None => None,
        };
        disk.make_folders(&folder.join(SCRATCH))?;
        disk.make_folder(&home)?;
        let options = home.join("gpg.conf");
        // The operator's own options stay.
        if disk.find(&options)?.is_none() {
            disk.create(&options, KEYRING_OPTIONS)?;
        }
        let store = match served {
            Some(store) => store,
            None => Store::open(&disk, &folder.join("mig.db"))?,
        };
        store.make_ready()?;
        Ok(Data { store: Arc::new(store), home, disk })
    }

    /// Keeps other platforms from using the folder as long as the answer lives.
    pub(super) fn lock(&self, folder: &Path) -> Result<Lock, PlatformError> {
        self.disk.lock(folder).map_err(|error| match error.kind() {
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
        let fingerprint = self
            .verifier()
            .import(armored)
            .map_err(|source| PlatformError::Key { name: name.to_owned(), source })?;
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

    /// Ends what GnuPG has started for the keyring.
    ///
    /// # Errors
    /// A process does not end.
    pub(crate) fn end_agents(&self) -> Result<(), PlatformError> {
        end_gpg_agent(&self.home)
            .map_err(|source| PlatformError::Keyring { home: self.home.clone(), source })
    }

    pub(super) fn verifier(&self) -> Verifier {
        Verifier::new(&self.home)
    }
}
