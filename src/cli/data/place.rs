//! Where the data are: what the configuration or the command line says of it.
//!
//! The configuration may be that of any program of a platform: of `mig-standalone`, or of the
//! real scheduler or API, which tell their database in the same section. Only what says where
//! the data are is read of it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chain::excerpt;
use crate::cli::data::failure::DataFailure;
use crate::cli::failure::Failure;
use crate::cli::installation::Text;
use crate::cli::{configure, env};
use crate::config::reader::Reader;
use crate::data::{DataError, Server, Store, UrlError};
use crate::disk::{COMMAND_PREFIX, Disk, RealFs, input_file, trust};
use crate::invocation::Program;

/// The platform's configuration, unless the command line says otherwise.
pub(super) const CONFIG_DEFAULT: &str = "/etc/mig/standalone.cfg";
/// The folder of the data, where the configuration does not name one.
const DATA_DEFAULT: &str = "/var/lib/mig-standalone";
/// The scheduler's spool, where the configuration does not name one.
const SPOOL_DEFAULT: &str = "/var/cache/mig";
/// The database in the folder of the data.
const DATABASE: &str = "mig.db";
/// The largest configuration that is read.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// How a database is named on the command line.
const FORM: &str = "postgres://USER@HOST[:PORT]/NAME or sqlite:FILE";
/// How much of a wrong text is shown.
const SHOWN_BYTES_MAX: usize = 80;
/// The user id of root.
const ROOT: u32 = 0;

/// What the command line says of the data's place.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) config: PathBuf,
    pub(super) database: Option<String>,
}

/// Where the data are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Server(Box<Server>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Server(server) => server.fmt(f),
        }
    }
}

/// What a configuration says of the places.
#[derive(Debug)]
struct Places {
    data: Place,
    spool: PathBuf,
}

impl Source {
    /// Makes the commands in messages name the same database or configuration.
    pub(super) fn name_in_commands(&self) {
        match &self.database {
            // A URL with a password is refused here, so that no message repeats it.
            Some(url) if parse(url).is_ok() => Program::Data.works_on(&["-d", url]),
            Some(_) => {}
            None => configure(&[Program::Data], &self.config, CONFIG_DEFAULT),
        }
    }

    /// Opens the database for reading: what is opened like this stays as it is.
    pub(super) fn read(&self) -> Result<Store, Failure> {
        match self.place()? {
            Place::File(path) => {
                check(&path)?;
                Ok(Store::look(&disk(), &path)?)
            }
            Place::Server(server) => {
                let store = connect(*server)?;
                store.forbid_writes()?;
                Ok(store)
            }
        }
    }

    /// Opens the database for writing; it must be there.
    pub(super) fn write(&self) -> Result<Store, Failure> {
        if let Place::File(path) = self.place()? {
            check(&path)?;
        }
        self.make()
    }

    /// Tells whether there is a database; that there is a server is taken for granted.
    pub(super) fn is_made(&self) -> Result<bool, Failure> {
        match self.place()? {
            Place::File(path) => Ok(disk().find(&path)?.is_some()),
            Place::Server(_) => Ok(true),
        }
    }

    /// Opens the database for writing; a file that is not there is made.
    pub(super) fn make(&self) -> Result<Store, Failure> {
        match self.place()? {
            Place::File(path) => Ok(Store::open(
                &Disk::new(Arc::new(RealFs), scratch(&path), COMMAND_PREFIX),
                &path,
            )?),
            Place::Server(server) => connect(*server),
        }
    }

    /// Returns where the data are.
    pub(super) fn place(&self) -> Result<Place, Failure> {
        match &self.database {
            Some(url) => Ok(parse(url)?),
            None => match self.configured()? {
                Some(places) => Ok(places.data),
                None => Err(DataFailure::Unconfigured { path: self.config.clone() }.into()),
            },
        }
    }

    /// Returns where the scheduler's spool is.
    pub(super) fn spool(&self) -> Result<PathBuf, Failure> {
        let places = if self.database.is_some() { None } else { self.configured()? };
        Ok(places.map_or_else(|| SPOOL_DEFAULT.into(), |places| places.spool))
    }

    /// Reads the configuration; there need not be one at the usual place.
    fn configured(&self) -> Result<Option<Places>, Failure> {
        match Text::read(&self.config, CONFIG_BYTES_MAX) {
            Ok(text) => Ok(Some(read(&text, &self.config)?)),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && self.config == Path::new(CONFIG_DEFAULT) =>
            {
                Ok(None)
            }
            Err(error) => Err(Failure::ConfigFile(error)),
        }
    }
}

/// Reads what a configuration says of the places.
fn read(text: &Text, file: &Path) -> Result<Places, Failure> {
    let folder = input_file::base_folder(file);
    let mut reader = Reader::new(&text.bytes);
    let (data, spool) = reader.section("directories", |section| {
        let mut path = |key, default: &str| {
            folder.join(section.path(key).unwrap_or_else(|| PathBuf::from(default)))
        };
        (path("data", DATA_DEFAULT), path("spool", SPOOL_DEFAULT))
    });
    let server = match reader.has_section("postgres") {
        true => reader.section("postgres", Server::read).map(Some),
        false => Some(None),
    };
    let has_password =
        server.as_ref().is_some_and(|server| server.as_ref().is_some_and(|s| s.password.is_some()));
    let places = server.map(|server| {
        let file = Place::File(data.join(DATABASE));
        Places { data: server.map_or(file, |server| Place::Server(Box::new(server))), spool }
    });
    let places = reader.finish_part(file, places)?;
    if has_password {
        text.check_hidden()?;
    }
    Ok(places)
}

/// Connects to a server, with the password that the environment has if the configuration has none.
fn connect(server: Server) -> Result<Store, Failure> {
    let server = server.with_credentials(&disk(), &env::postgres_credentials())?;
    Ok(Store::connect(&disk(), &server)?)
}

/// Returns the folder of a database, where its file is made.
fn scratch(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// Returns the database that a text names.
fn parse(url: &str) -> Result<Place, DataFailure> {
    if let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
        return Ok(Place::File(path.strip_prefix("//").unwrap_or(path).into()));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return match Server::parse(url) {
            Ok(server) => Ok(Place::Server(Box::new(server))),
            Err(error @ (UrlError::Form(_) | UrlError::Password)) => {
                Err(DataFailure::ServerUrl(error))
            }
        };
    }
    Err(DataFailure::Url { text: excerpt(url, SHOWN_BYTES_MAX).into_owned(), form: FORM })
}

/// Checks that there is a file that we can use.
fn check(path: &Path) -> Result<(), Failure> {
    let user = trust::own_user();
    if input_file::is_stream(path) {
        return Err(DataError::NotFile { path: path.to_owned() }.into());
    }
    match disk().resolve(path, None)? {
        None => Err(DataFailure::NoDatabase { path: path.to_owned() }.into()),
        Some(found) if found.meta.owner != user && user != ROOT => {
            Err(DataFailure::Owner { path: path.to_owned(), owner: found.meta.owner }.into())
        }
        Some(_) => Ok(()),
    }
}

/// Returns the disk for a command that a person typed.
pub(super) fn disk() -> Disk {
    Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_by_a_url() {
        for (url, path) in [
            ("sqlite:mig.db", "mig.db"),
            ("sqlite:/srv/mig.db", "/srv/mig.db"),
            ("sqlite:///srv/mig.db", "/srv/mig.db"),
        ] {
            assert_eq!(parse(url).unwrap(), Place::File(path.into()), "{url}");
        }
        let server = parse("postgres://u@h/mig").unwrap();
        assert_eq!(server.to_string(), "u@h:5432/mig");
        assert!(matches!(parse("postgres://u:p@h/mig"), Err(DataFailure::ServerUrl(_))));
        for url in ["", "mig.db", "sqlite:", "mysql://u@h/d"] {
            assert!(matches!(parse(url), Err(DataFailure::Url { .. })), "{url}");
        }
    }
}
