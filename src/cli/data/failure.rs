//! Why a command of `mig-data` failed, and the exit status that follows.

use std::io;
use std::path::PathBuf;

use crate::cli::failure::Explain;
use crate::cli::workspace::as_user;
use crate::data::{DataError, Id, Permissions, UrlError};
use crate::disk::DiskError;
use crate::exit::Exit;
use crate::invocation::Program;
use crate::pgp::{Fingerprint, PublicKeyError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum DataFailure {
    #[error(transparent)]
    Data(#[from] DataError),
    /// The default configuration does not exist, and the command line names no database.
    #[error("there is no configuration at {}", path.display())]
    Unconfigured {
        /// The default path.
        path: PathBuf,
    },
    #[error("there is no database at {}: `{}` creates it, as mig-standalone does at its first start",
        path.display(), Program::Data.command_here(&["schema", "init"]))]
    NoDatabase { path: PathBuf },
    /// The file belongs to another user and is private.
    #[error("the database {} belongs to user {owner}: run this command with `{}`", path.display(), as_user(*owner))]
    Owner { path: PathBuf, owner: u32 },
    #[error("\"{text}\" is not a database: write {form}")]
    Url {
        /// The text, safe to print.
        text: String,
        /// The accepted forms.
        form: &'static str,
    },
    #[error(transparent)]
    ServerUrl(UrlError),
    /// A host with a heartbeat since `--seen` cannot have been silent for longer than that.
    #[error("--silent must be shorter than --seen")]
    Spans,
    #[error("cannot use this target")]
    Target(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Only the platform's code can evaluate targets for an SQLite database.
    #[cfg(not(feature = "platform"))]
    #[error(
        "targets of an SQLite database need the feature `platform`, without which this program was built"
    )]
    NoTargets,
    #[error("there is no action {id}: `{}` lists them", Program::Data.command_here(&["actions"]))]
    NoAction { id: Id },
    #[error("\"{text}\" is not an action number: `{}` lists them", Program::Data.command_here(&["actions"]))]
    ActionNumber {
        /// The text, safe to print.
        text: String,
    },
    #[error("there is no investigator {who}: `{}` lists them",
        Program::Data.command_here(&["investigator", "list"]))]
    NoInvestigator {
        /// The name, number or fingerprint on the command line.
        who: String,
    },
    /// A row is changed by its number, so one without a readable number cannot be changed.
    #[error(
        "the number of investigator {name} in the database cannot be read: correct it there first"
    )]
    NoNumber { name: String },
    #[error("{} investigators are named {name}: use the number instead, one of {}", ids.len(), numbers(ids))]
    Several { name: String, ids: Vec<Id> },
    /// The key already belongs to an investigator.
    #[error("investigator {name} ({id}) already has the key {fingerprint}")]
    Known { fingerprint: Fingerprint, name: String, id: Id },
    /// A part of the key belongs to another investigator.
    #[error(
        "a part of the key {fingerprint} has the id of a part of the key of investigator {name} ({id}): use a key without this part"
    )]
    Shared { fingerprint: Fingerprint, name: String, id: Id },
    /// The investigator did not exist when it was looked up, but the insertion found a duplicate.
    #[error("another process has just added an investigator with this key")]
    Raced,
    #[error("invalid name of an investigator: {why}")]
    Name { why: &'static str },
    #[error(
        "\"{text}\" is not a fingerprint: write 40 hexadecimal digits, as gpg --fingerprint shows them"
    )]
    Fingerprint {
        /// The text, safe to print.
        text: String,
    },
    #[error("cannot use the key in {place}")]
    Key { place: String, source: PublicKeyError },
    /// The scheduler cannot work without its own investigator.
    #[error(
        "migscheduler is the scheduler's own investigator, which stops duplicate agents: it cannot be changed"
    )]
    Scheduler,
    #[error("--add and --remove both contain: {both}")]
    AddedAndRemoved { both: Permissions },
    /// `--add` and `--remove` need the current permissions.
    #[error("the permissions of {who} in the database cannot be read: use --set")]
    NoPermissions { who: String },
    /// The permissions changed between reading and writing them.
    #[error("another process has just changed the permissions of {who}: check them and try again")]
    Changed { who: String },
    /// With this access list, agents would refuse every action.
    #[error(
        "no action could have {minimum} signatures: the database has {active} active investigators"
    )]
    Acl {
        /// Number of signatures that an action would need.
        minimum: u32,
        /// Number of investigators who can sign.
        active: usize,
    },
    #[error("{} is not a scheduler's spool: {why}", path.display())]
    NoSpool { path: PathBuf, why: &'static str },
    #[error("{} is a runner's spool: `{}`, with that runner's configuration, shows its contents",
        path.display(), Program::Runner.command(&["-c", "FILE", "status"]))]
    RunnerSpool { path: PathBuf },
}

fn numbers(ids: &[Id]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Explain for DataFailure {
    fn hints(&self) -> Vec<String> {
        match self {
            DataFailure::Unconfigured { .. } => [
                ("for a configuration elsewhere:", ["-c", "FILE", "COMMAND"]),
                ("for the database itself:", ["-d", "postgres://USER@HOST/mig", "COMMAND"]),
                ("for a file of mig-standalone:", ["-d", "sqlite:DATA/mig.db", "COMMAND"]),
            ]
            .map(|(purpose, options)| format!("{purpose:<30}  {}", Program::Data.command(&options)))
            .to_vec(),
            _ => Vec::new(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            DataFailure::Data(error) => error.exit(),
            DataFailure::Unconfigured { .. } => Exit::Config,
            #[cfg(not(feature = "platform"))]
            DataFailure::NoTargets => Exit::Unavailable,
            DataFailure::Owner { .. } => Exit::Permission,
            DataFailure::Url { .. }
            | DataFailure::ServerUrl(_)
            | DataFailure::Spans
            | DataFailure::AddedAndRemoved { .. }
            | DataFailure::ActionNumber { .. } => Exit::Usage,
            DataFailure::NoDatabase { .. }
            | DataFailure::NoAction { .. }
            | DataFailure::NoInvestigator { .. }
            | DataFailure::NoSpool { .. } => Exit::NoInput,
            DataFailure::Target(_)
            | DataFailure::Several { .. }
            | DataFailure::Known { .. }
            | DataFailure::Shared { .. }
            | DataFailure::Raced
            | DataFailure::NoNumber { .. }
            | DataFailure::NoPermissions { .. }
            | DataFailure::Changed { .. }
            | DataFailure::Name { .. }
            | DataFailure::Fingerprint { .. }
            | DataFailure::Scheduler
            | DataFailure::Acl { .. }
            | DataFailure::RunnerSpool { .. } => Exit::Data,
            DataFailure::Key { source: PublicKeyError::Folder(error), .. } => error.exit(),
            DataFailure::Key { source, .. } if !source.is_verdict() => Exit::System,
            DataFailure::Key { .. } => Exit::Data,
        }
    }
}

impl Explain for DataError {
    fn exit(&self) -> Exit {
        match self {
            // The folder in which the file would be created does not exist.
            DataError::File { source } if source.kind() == io::ErrorKind::NotFound => {
                Exit::CannotCreate
            }
            DataError::File { source } => source.exit(),
            DataError::NotFile { .. } | DataError::Foreign { .. } => Exit::NoInput,
            DataError::Permissions { .. }
            | DataError::PasswordFile { .. }
            | DataError::Distrusted { .. } => Exit::Permission,
            DataError::Open { .. } | DataError::Unmerged { .. } => Exit::Io,
            DataError::Version { .. } => Exit::Config,
            DataError::Locked { .. } => Exit::Locked,
            DataError::Role { .. } if self.is_temporary() => Exit::Unavailable,
            DataError::Connect { .. } | DataError::Lost { .. } | DataError::Query { .. } => {
                Exit::Unavailable
            }
            DataError::Role { .. } => Exit::Permission,
            DataError::Passwords { .. } | DataError::Schema { .. } => Exit::Config,
            DataError::Random { .. } => Exit::System,
            DataError::Duplicate { .. } | DataError::Column { .. } => Exit::Data,
        }
    }
}

impl From<DiskError> for DataFailure {
    fn from(error: DiskError) -> DataFailure {
        DataFailure::Data(DataError::File { source: error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::failure::Failure;

    fn exit(failure: impl Into<Failure>) -> Exit {
        failure.into().exit()
    }

    #[test]
    fn temporary_shortage_has_its_own_exit_status() {
        use rusqlite::ffi;
        for (code, expected) in [
            (ffi::SQLITE_FULL, Exit::Io),
            (ffi::SQLITE_IOERR_WRITE, Exit::Io),
            (ffi::SQLITE_NOMEM, Exit::System),
            (ffi::SQLITE_BUSY, Exit::Locked),
            (ffi::SQLITE_LOCKED, Exit::Locked),
        ] {
            let source = || {
                let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
                Box::new(failure) as Box<dyn std::error::Error + Send + Sync>
            };
            let path = PathBuf::from("mig.db");
            let query = || DataError::Query { query: "insert_action", source: source() };
            assert_eq!(exit(query()), expected, "{code}");
            assert_eq!(exit(DataError::Open { path, source: source() }), expected, "{code}");
            assert_eq!(exit(DataError::Role { role: "r", source: source() }), expected, "{code}");
            assert_eq!(exit(DataFailure::Target(Box::new(query()))), expected, "{code}");
            #[cfg(feature = "platform")]
            assert_eq!(exit(crate::platform::PlatformError::Data(query())), expected, "{code}");
        }
        assert_eq!(exit(DataError::Locked { path: "mig.db".into() }), Exit::Locked);
    }

    #[test]
    fn key_that_gnupg_could_not_check_is_not_refused() {
        let key = |source| DataFailure::Key { place: "FILE".to_owned(), source };
        let engine = || PublicKeyError::GnuPg(gpgme::Error::NOT_PROCESSED);
        assert_eq!(exit(key(engine())), Exit::System);
        assert_eq!(exit(key(PublicKeyError::SelfSignature)), Exit::Data);
        #[cfg(feature = "platform")]
        {
            use crate::pgp::ImportError;
            use crate::platform::PlatformError;
            let key = |source| PlatformError::Key { name: "n".to_owned(), source };
            for (source, expected) in [
                (ImportError::Key(engine()), Exit::System),
                (ImportError::Key(PublicKeyError::SelfSignature), Exit::Data),
                (ImportError::Shared { owner: "o".to_owned() }, Exit::Data),
            ] {
                assert_eq!(exit(key(source)), expected);
            }
        }
    }
}
