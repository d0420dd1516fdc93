//! Why a platform cannot be started, used or stopped.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::scheduler::ScheduleError;
use super::spool::SpoolError;
use crate::data::DataError;
use crate::disk::DiskError;
use crate::disk::trust::Distrust;
use crate::pgp::{Fingerprint, ImportError, VerifyError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum PlatformError {
    #[error("cannot use the platform's data folder")]
    Disk(#[from] DiskError),
    /// Other users can change a link on the way to a folder, or its target.
    #[error("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Distrusted { faults: Vec<Distrust> },
    /// Another platform uses the data folder.
    #[error("another platform uses data folder {}", path.display())]
    Busy { path: PathBuf },
    #[error("cannot use the platform's database")]
    Data(#[from] DataError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The files that a crash has lost cannot be created again.
    #[error("cannot resume from spool {}", path.display())]
    Recover { path: PathBuf, source: ScheduleError },
    /// The address is in use, or does not belong to this host.
    #[error("cannot listen on {address}: choose another one with listen = … in [api]")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot register the agent")]
    Register(#[source] DataError),
    /// A thread cannot be started, or has panicked.
    #[error("cannot run the platform's {thread}")]
    Thread {
        /// The part of the platform that the thread runs.
        thread: &'static str,
        source: io::Error,
    },
    #[error("cannot use GnuPG with home {}", home.display())]
    Engine {
        /// The GnuPG home with the investigators' keys.
        home: PathBuf,
        source: VerifyError,
    },
    /// Another investigator already has this key.
    #[error("an investigator with the key {fingerprint} already exists")]
    Known { fingerprint: Fingerprint },
    /// A process of GnuPG does not end.
    #[error("cannot end the processes that GnuPG started for {}: run `gpgconf --homedir {} --kill all`", home.display(), home.display())]
    Keyring { home: PathBuf, source: io::Error },
    #[error("cannot use the key of investigator {name}")]
    Key { name: String, source: ImportError },
}
