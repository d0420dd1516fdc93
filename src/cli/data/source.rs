//! The locations of the database and of the scheduler's spool, from the command line or a
//! configuration.
//!
//! The configuration may be that of any program of a platform: `mig-standalone`, or the original's
//! scheduler or API, which name their database in the same section. All other settings in it are
//! ignored.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::chain::excerpt;
use crate::cli::data::failure::DataFailure;
use crate::cli::failure::Failure;
use crate::cli::input::{self, InputError, InputFile, refuse};
use crate::cli::program;
use crate::cli::workspace::Workspace;
use crate::config::reader::Reader;
use crate::data::{DataError, DatabaseServer, Store, UrlError};
use crate::disk::trusted_paths::Content;
use crate::disk::{Disk, input_file, trust};
use crate::invocation::Program;

/// The default configuration file.
pub(super) const CONFIG_DEFAULT: &str = "/etc/mig/standalone.cfg";
/// The default of the key `data`.
const DATA_DEFAULT: &str = "/var/lib/mig-standalone";
/// The default of the key `spool`: the folder of the original's scheduler.
const SPOOL_DEFAULT: &str = "/var/cache/mig";
/// The name of the database file in the folder `data`.
const DATABASE_NAME: &str = "mig.db";
/// Size limit of a configuration, in bytes.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// The forms of a database on the command line.
const URL_FORMS: &str = "postgres://USER@HOST[:PORT]/NAME or sqlite:FILE";
/// Maximum length of an invalid URL in the error, in bytes.
const SHOWN_BYTES_MAX: usize = 80;

/// The options that name the database or a configuration.
pub(super) struct DataSource {
    config: PathBuf,
    database: Option<String>,
    /// The configuration. It is read once: after the change to another user, that user may be unable to
    /// read it. `None` if it is the default and does not exist.
    read: OnceCell<Option<Configuration>>,
    /// Whether it was checked who can change the configuration, for the same reason once.
    is_trusted: Cell<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DatabaseLocation {
    File(PathBuf),
    Server(Box<DatabaseServer>),
}

impl fmt::Display for DatabaseLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseLocation::File(path) => path.display().fmt(f),
            DatabaseLocation::Server(server) => server.fmt(f),
        }
    }
}

/// A configuration, and the locations in it.
struct Configuration {
    text: InputFile,
    content: Content,
    database: DatabaseLocation,
    spool: PathBuf,
}

impl DataSource {
    pub(super) fn new(config: PathBuf, database: Option<String>) -> DataSource {
        DataSource { config, database, read: OnceCell::new(), is_trusted: Cell::new(false) }
    }

    /// Makes the commands suggested in messages use the same database or configuration.
    pub(super) fn name_in_commands(&self) {
        match &self.database {
            // A URL with a password does not parse, so that no message repeats it.
            Some(url) if parse(url).is_ok() => Program::Data.set_options(&["-d", url]),
            Some(_) => {}
            None => program::set_config(&[Program::Data], &self.config, CONFIG_DEFAULT),
        }
    }

    /// Opens the database for reading only.
    pub(super) fn read(&self) -> Result<Store, Failure> {
        match self.database_location()? {
            DatabaseLocation::File(path) => {
                let workspace = self.enter_folder(&path)?;
                // SQLite creates an index beside the file even if it only reads.
                workspace.check_exposure()?;
                let disk = workspace.disk(PathBuf::new());
                check(&disk, &path)?;
                Ok(Store::open_read_only(&disk, &path)?)
            }
            DatabaseLocation::Server(server) => {
                let store = self.connect(*server)?;
                store.forbid_writes()?;
                Ok(store)
            }
        }
    }

    /// Opens the database for writing; it must exist.
    pub(super) fn write(&self) -> Result<Store, Failure> {
        if let DatabaseLocation::File(path) = self.database_location()? {
            check(&self.enter_folder(&path)?.disk(PathBuf::new()), &path)?;
        }
        self.create()
    }

    /// Enters the folder of the database; a database on a server has none. A database that is not
    /// configured is reported when it is opened.
    pub(super) fn enter(&self) -> Result<(), Failure> {
        match self.database_location() {
            Ok(DatabaseLocation::File(path)) => self.enter_folder(&path).map(drop),
            Ok(DatabaseLocation::Server(_)) | Err(_) => Ok(()),
        }
    }

    /// Returns whether the database file exists; a database on a server is assumed to exist.
    pub(super) fn exists(&self) -> Result<bool, Failure> {
        match self.database_location()? {
            DatabaseLocation::File(path) => {
                Ok(self.enter_folder(&path)?.disk(PathBuf::new()).find(&path)?.is_some())
            }
            DatabaseLocation::Server(_) => Ok(true),
        }
    }

    /// Opens the database for writing; a missing file is created.
    pub(super) fn create(&self) -> Result<Store, Failure> {
        match self.database_location()? {
            DatabaseLocation::File(path) => {
                let workspace = self.enter_folder(&path)?;
                workspace.check_exposure()?;
                Ok(Store::open(&workspace.disk(folder_of(&path)), &path)?)
            }
            DatabaseLocation::Server(server) => self.connect(*server),
        }
    }

    pub(super) fn database_location(&self) -> Result<DatabaseLocation, Failure> {
        match &self.database {
            Some(url) => Ok(parse(url)?),
            None => match self.configuration()? {
                Some(configuration) => Ok(configuration.database.clone()),
                None => Err(DataFailure::Unconfigured { path: self.config.clone() }.into()),
            },
        }
    }

    /// Returns the folder of the scheduler's spool.
    pub(super) fn spool(&self) -> Result<PathBuf, Failure> {
        let configuration = if self.database.is_some() { None } else { self.configuration()? };
        Ok(configuration.map_or_else(|| SPOOL_DEFAULT.into(), |found| found.spool.clone()))
    }

    /// Fails if a user other than root and `owner`, to whom the database or spool belongs, can change
    /// the configuration that names it.
    pub(super) fn check_trust(&self, owner: u32) -> Result<(), Failure> {
        if let Some(Some(Configuration { text, content, .. })) = self.read.get()
            && !self.is_trusted.get()
        {
            text.check_trust(*content, owner)?;
            self.is_trusted.set(true);
        }
        Ok(())
    }

    /// Enters the folder of a database file.
    fn enter_folder(&self, path: &Path) -> Result<Workspace, Failure> {
        if input_file::is_stream(path) {
            return Err(DataError::NotFile { path: path.to_owned() }.into());
        }
        Workspace::enter_checked(&[path], |owner| self.check_trust(owner))
    }

    /// Connects to a server. It has no owner on this host, so the configuration must be the user's own.
    fn connect(&self, server: DatabaseServer) -> Result<Store, Failure> {
        self.check_trust(trust::own_user())?;
        input::connect(server)
    }

    /// Returns the configuration; `None` if it is the default and does not exist.
    fn configuration(&self) -> Result<Option<&Configuration>, Failure> {
        if let Some(read) = self.read.get() {
            return Ok(read.as_ref());
        }
        let read = match InputFile::read(&self.config, CONFIG_BYTES_MAX) {
            Ok(text) => Some(parse_configuration(text, &self.config)?),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && self.config == Path::new(CONFIG_DEFAULT) =>
            {
                None
            }
            Err(error) => return Err(InputError::Config(error).into()),
        };
        Ok(self.read.get_or_init(|| read).as_ref())
    }
}

/// Reads the locations from a configuration.
fn parse_configuration(text: InputFile, file: &Path) -> Result<Configuration, Failure> {
    let folder = input_file::base_folder(file);
    let mut reader = Reader::new(&text.bytes);
    let (data, spool) = reader.section("directories", |section| {
        let mut path = |key, default: &str| {
            folder.join(section.path(key).unwrap_or_else(|| PathBuf::from(default)))
        };
        (path("data", DATA_DEFAULT), path("spool", SPOOL_DEFAULT))
    });
    let server = match reader.has_section("postgres") {
        true => reader.section("postgres", DatabaseServer::from_section).map(Some),
        false => Some(None),
    };
    let locations = server.map(|server| (server, data.join(DATABASE_NAME)));
    let (server, database) = reader.finish_part(file, locations)?;
    let has_password = server.as_ref().is_some_and(|server| server.password.is_some());
    let content = if has_password { Content::Secret } else { Content::Public };
    let database = match server {
        Some(server) => DatabaseLocation::Server(Box::new(server)),
        None => DatabaseLocation::File(database),
    };
    Ok(Configuration { text, content, database, spool })
}

/// Returns the folder of a database file.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// Parses the option `--database`.
fn parse(url: &str) -> Result<DatabaseLocation, DataFailure> {
    if let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
        return Ok(DatabaseLocation::File(path.strip_prefix("//").unwrap_or(path).into()));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return match DatabaseServer::parse(url) {
            Ok(server) => Ok(DatabaseLocation::Server(Box::new(server))),
            Err(error @ (UrlError::Form(_) | UrlError::Password)) => {
                Err(DataFailure::ServerUrl(error))
            }
        };
    }
    Err(DataFailure::Url { text: excerpt(url, SHOWN_BYTES_MAX).into_owned(), form: URL_FORMS })
}

/// Checks that a database file exists, that this process's user may use it, and that no other user
/// can change it.
fn check(disk: &Disk, path: &Path) -> Result<(), Failure> {
    let Some(found) = disk.resolve(path, None)? else {
        return Err(DataFailure::NoDatabase { path: path.to_owned() }.into());
    };
    let (owner, user) = (found.meta.owner, trust::own_user());
    let faults = found.check_trust(disk, user)?;
    if owner != user || !faults.is_empty() {
        // It may be any file, for which no remedy may be advised.
        Store::check_file(disk, if found.is_linked() { &found.path } else { path })?;
    }
    if owner != user {
        return Err(DataFailure::Owner { path: path.to_owned(), owner }.into());
    }
    refuse(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_urls_are_parsed() {
        for (url, path) in [
            ("sqlite:mig.db", "mig.db"),
            ("sqlite:/srv/mig.db", "/srv/mig.db"),
            ("sqlite:///srv/mig.db", "/srv/mig.db"),
        ] {
            assert_eq!(parse(url).unwrap(), DatabaseLocation::File(path.into()), "{url}");
        }
        let server = parse("postgres://u@h/mig").unwrap();
        assert_eq!(server.to_string(), "u@h:5432/mig");
        assert!(matches!(parse("postgres://u:p@h/mig"), Err(DataFailure::ServerUrl(_))));
        for url in ["", "mig.db", "sqlite:", "mysql://u@h/d"] {
            assert!(matches!(parse(url), Err(DataFailure::Url { .. })), "{url}");
        }
    }
}
