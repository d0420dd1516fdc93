//! Files that an operator names, which may hold secrets: configurations, actions, passphrases.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::failure::{Explain, Failure};
use crate::disk::input_file;
use crate::disk::trust::{self, Distrust};
#[cfg(feature = "data")]
use crate::disk::trusted_paths::{Content, TrustedPath};
use crate::disk::{COMMAND_PREFIX, Disk, DiskError, RealFs};
use crate::exit::Exit;

/// An input file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InputError {
    /// A file that the program needs to start, such as its configuration.
    #[error(transparent)]
    Config(DiskError),
    /// A file named on the command line.
    #[error(transparent)]
    Argument(DiskError),
    /// Other users can change files or folders, or read a secret.
    #[error("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    UnsafePermissions {
        /// Each fault with its remedy.
        faults: Vec<Distrust>,
    },
}

impl Explain for InputError {
    fn exit(&self) -> Exit {
        match self {
            InputError::Config(error) => unless_forbidden(error, Exit::Config),
            InputError::Argument(error) => unless_forbidden(error, Exit::NoInput),
            InputError::UnsafePermissions { .. } => Exit::Permission,
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            InputError::Config(_) | InputError::Argument(_) => Vec::new(),
            InputError::UnsafePermissions { faults } => {
                faults.iter().map(ToString::to_string).collect()
            }
        }
    }
}

/// Returns `exit`, or the status for missing permissions if access to the file was denied.
pub(crate) fn unless_forbidden(error: &DiskError, exit: Exit) -> Exit {
    if error.exit() == Exit::Permission { Exit::Permission } else { exit }
}

/// Returns access to the files that the user of this process names, for reading only.
pub(super) fn disk() -> Disk {
    Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX)
}

/// The contents of a file, wiped from memory when dropped.
pub(crate) struct InputFile {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    input: input_file::InputFile,
}

impl InputFile {
    /// Reads a file or a pipe. Links are followed, because configurations are often links.
    pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<InputFile, DiskError> {
        let mut input = input_file::InputFile::read(path, bytes_max)?;
        Ok(InputFile { bytes: Zeroizing::new(std::mem::take(&mut input.bytes)), input })
    }

    /// Fails if a user other than this process's and root can read the file, which holds a secret.
    pub(crate) fn check_secret(&self) -> Result<(), Failure> {
        let fault = self.input.check_secret(&disk(), trust::own_user())?;
        refuse(fault.into_iter().collect())
    }

    /// Fails if a user other than this process's and root can change the file, or read a secret in
    /// it. Root may use the file of any user.
    #[cfg(feature = "data")]
    pub(crate) fn check_trust(&self, content: Content) -> Result<(), Failure> {
        let owner = self.input.owner().filter(|_| trust::own_user() == trust::ROOT);
        let path = TrustedPath::new(self.input.named(), content);
        refuse(path.faults(&disk(), owner.unwrap_or_else(trust::own_user))?)
    }
}

/// Fails if there are faults.
pub(crate) fn refuse(faults: Vec<Distrust>) -> Result<(), Failure> {
    if faults.is_empty() { Ok(()) } else { Err(InputError::UnsafePermissions { faults }.into()) }
}
