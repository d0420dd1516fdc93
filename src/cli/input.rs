//! Files that an operator names, which may hold secrets: configurations, actions, passphrases.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

#[cfg(feature = "data")]
use super::env;
use super::failure::{Explain, Failure};
#[cfg(feature = "data")]
use crate::data::{DatabaseServer, Store};
use crate::disk::input_file;
use crate::disk::trust::{self, Distrust};
use crate::disk::trusted_paths::{self, Content, TrustedPath};
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

/// Returns access to the files that the user of this process names. It does not leave this file, in
/// which nothing is written: commands that write get their disk from a workspace.
fn disk() -> Disk {
    Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX)
}

/// Fails if a user other than `user` and root can change one of the paths, or read a secret.
pub(super) fn check_paths(paths: &[TrustedPath], user: u32) -> Result<(), Failure> {
    refuse(trusted_paths::faults(&disk(), paths, user)?)
}

/// Adds the password that the user's environment has for a server.
#[cfg(feature = "data")]
pub(super) fn with_credentials(server: DatabaseServer) -> Result<DatabaseServer, Failure> {
    Ok(server.with_credentials(&disk(), &env::postgres_credentials())?)
}

/// Connects to a server, with the password from the environment if the configuration has none.
#[cfg(feature = "data")]
pub(super) fn connect(server: DatabaseServer) -> Result<Store, Failure> {
    check_paths(server.trusted_path().as_slice(), trust::own_user())?;
    Ok(Store::connect(&disk(), &with_credentials(server)?)?)
}

/// The contents of a file, wiped from memory when dropped.
pub(crate) struct InputFile {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    input: input_file::InputFile,
}

impl InputFile {
    /// Reads a file or a pipe that the command line names. Links are followed, because configurations
    /// are often links.
    pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<InputFile, DiskError> {
        input_file::InputFile::read(path, bytes_max).map(InputFile::from)
    }

    /// As [`InputFile::read`], for a file that a configuration or the environment names: it is not
    /// waited for.
    pub(super) fn read_configured(path: &Path, bytes_max: u64) -> Result<InputFile, DiskError> {
        input_file::InputFile::read_configured(path, bytes_max).map(InputFile::from)
    }

    fn from(mut input: input_file::InputFile) -> InputFile {
        InputFile { bytes: Zeroizing::new(std::mem::take(&mut input.bytes)), input }
    }

    /// Fails if a user other than this process's and root can read the file, which holds a secret.
    pub(crate) fn check_secret(&self) -> Result<(), Failure> {
        refuse(self.secret_fault()?.into_iter().collect())
    }

    /// Returns the first reason why another user can read or change the file, which holds a secret.
    pub(super) fn secret_fault(&self) -> Result<Option<Distrust>, DiskError> {
        self.input.check_secret(&disk(), trust::own_user())
    }

    /// Fails if a user can change the file, or read a secret in it, other than root and `owner`, the
    /// owner of the place that the command works in. Users other than root may also use files of
    /// their own.
    pub(crate) fn check_trust(&self, content: Content, owner: u32) -> Result<(), Failure> {
        let user = trust::own_user();
        let own = self.input.owner().filter(|of_file| *of_file == user && user != trust::ROOT);
        refuse(self.input.faults(&disk(), content, own.unwrap_or(owner))?)
    }
}

/// Fails if there are faults.
pub(crate) fn refuse(faults: Vec<Distrust>) -> Result<(), Failure> {
    if faults.is_empty() { Ok(()) } else { Err(InputError::UnsafePermissions { faults }.into()) }
}
