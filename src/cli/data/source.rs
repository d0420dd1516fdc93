//! The locations of the database and of the scheduler's spool, from the command line or a
//! configuration.
//!
//! The configuration may be that of any program of a platform: `mig-standalone`, or the original's
//! scheduler or API, which name their database in the same section. All other settings in it are
//! ignored.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::chain::excerpt;
use crate::cli::data::failure::DataFailure;
use crate::cli::failure::Failure;
use crate::cli::input::{self, InputError, InputFile, refuse};
use crate::cli::workspace::Workspace;
use crate::cli::{env, program};
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
#[derive(Debug)]
pub(super) struct DataSource {
    pub(super) config: PathBuf,
    pub(super) database: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
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

/// The locations in a configuration.
#[derive(Debug)]
struct ConfiguredLocations {
    database: DatabaseLocation,
    spool: PathBuf,
}

impl DataSource {
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
                let workspace = enter(&path)?;
                // SQLite creates an index beside the file even if it only reads.
                workspace.check_exposure()?;
                let disk = workspace.disk(PathBuf::new());
                check(&disk, &path)?;
                Ok(Store::open_read_only(&disk, &path)?)
            }
            DatabaseLocation::Server(server) => {
                let store = connect(*server)?;
                store.forbid_writes()?;
                Ok(store)
            }
        }
    }

    /// Opens the database for writing; it must exist.
    pub(super) fn write(&self) -> Result<Store, Failure> {
        if let DatabaseLocation::File(path) = self.database_location()? {
            check(&enter(&path)?.disk(PathBuf::new()), &path)?;
        }
        self.create()
    }

    /// Enters the folder of the database; a database on a server has none. A database that is not
    /// configured is reported when it is opened.
    pub(super) fn enter(&self) -> Result<(), Failure> {
        match self.database_location() {
            Ok(DatabaseLocation::File(path)) => enter(&path).map(drop),
            Ok(DatabaseLocation::Server(_)) | Err(_) => Ok(()),
        }
    }

    /// Returns whether the database file exists; a database on a server is assumed to exist.
    pub(super) fn exists(&self) -> Result<bool, Failure> {
        match self.database_location()? {
            DatabaseLocation::File(path) => {
                Ok(enter(&path)?.disk(PathBuf::new()).find(&path)?.is_some())
            }
            DatabaseLocation::Server(_) => Ok(true),
        }
    }

    /// Opens the database for writing; a missing file is created.
    pub(super) fn create(&self) -> Result<Store, Failure> {
        match self.database_location()? {
            DatabaseLocation::File(path) => {
                let workspace = enter(&path)?;
                workspace.check_exposure()?;
                Ok(Store::open(&workspace.disk(folder_of(&path)), &path)?)
            }
            DatabaseLocation::Server(server) => connect(*server),
        }
    }

    pub(super) fn database_location(&self) -> Result<DatabaseLocation, Failure> {
        match &self.database {
            Some(url) => Ok(parse(url)?),
            None => match self.configured()? {
                Some(locations) => Ok(locations.database),
                None => Err(DataFailure::Unconfigured { path: self.config.clone() }.into()),
            },
        }
    }

    /// Returns the folder of the scheduler's spool.
    pub(super) fn spool(&self) -> Result<PathBuf, Failure> {
        let locations = if self.database.is_some() { None } else { self.configured()? };
        Ok(locations.map_or_else(|| SPOOL_DEFAULT.into(), |locations| locations.spool))
    }

    /// Reads the configuration; `None` if the default configuration file does not exist.
    fn configured(&self) -> Result<Option<ConfiguredLocations>, Failure> {
        match InputFile::read(&self.config, CONFIG_BYTES_MAX) {
            Ok(text) => Ok(Some(read(&text, &self.config)?)),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && self.config == Path::new(CONFIG_DEFAULT) =>
            {
                Ok(None)
            }
            Err(error) => Err(InputError::Config(error).into()),
        }
    }
}

/// Reads the locations from a configuration.
fn read(text: &InputFile, file: &Path) -> Result<ConfiguredLocations, Failure> {
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
    let has_password =
        server.as_ref().is_some_and(|server| server.as_ref().is_some_and(|s| s.password.is_some()));
    let locations = server.map(|server| {
        let file = DatabaseLocation::File(data.join(DATABASE_NAME));
        ConfiguredLocations {
            database: server.map_or(file, |server| DatabaseLocation::Server(Box::new(server))),
            spool,
        }
    });
    let locations = reader.finish_part(file, locations)?;
    text.check_trust(if has_password { Content::Secret } else { Content::Public })?;
    Ok(locations)
}

/// Connects to a server, with the password from the environment if the configuration has none.
fn connect(server: DatabaseServer) -> Result<Store, Failure> {
    let disk = input::disk();
    if let Some(path) = server.trusted_path() {
        refuse(path.faults(&disk, trust::own_user())?)?;
    }
    let server = server.with_credentials(&disk, &env::postgres_credentials())?;
    Ok(Store::connect(&disk, &server)?)
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

/// Enters the folder of a database file.
fn enter(path: &Path) -> Result<Workspace, Failure> {
    if input_file::is_stream(path) {
        return Err(DataError::NotFile { path: path.to_owned() }.into());
    }
    Workspace::enter(&[path])
}

/// Checks that a database file exists, that this process's user may use it, and that no other user
/// can change it.
fn check(disk: &Disk, path: &Path) -> Result<(), Failure> {
    match disk.resolve(path, None)? {
        None => Err(DataFailure::NoDatabase { path: path.to_owned() }.into()),
        Some(found) if found.meta.owner != trust::own_user() => {
            // A readable file shows whose it is.
            Store::check_file(disk, &found.path)?;
            Err(DataFailure::Owner { path: path.to_owned(), owner: found.meta.owner }.into())
        }
        Some(found) => refuse(found.check_trust(disk, trust::own_user())?),
    }
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
