//! The configuration file `standalone.cfg`.
//!
//! Relative paths are relative to the folder of the file itself. A folder that `init` created or
//! `try` kept can therefore be moved and still be started.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::api::HostNames;
use super::retention::Retention;
use super::spool::SpoolFolder;
use crate::config::fault::ConfigError;
use crate::config::reader::{Reader, Section};
use crate::data;
use crate::disk::input_file;
use crate::disk::trusted_paths::{Content, TrustedPath};

/// Default path of the configuration file.
pub(crate) const PATH: &str = "/etc/mig/standalone.cfg";

const LISTEN: &str = "127.0.0.1:1664";
const SPOOL: &str = "/var/cache/mig";
const DATA: &str = "/var/lib/mig-standalone";
const HEARTBEAT_PERIOD: Duration = Duration::from_secs(30);
const OFFLINE_AFTER: Duration = Duration::from_secs(20 * 60);
const MODULE_TIMEOUT: Duration = Duration::from_secs(300);
/// Valid range of `heartbeatfreq`.
const HEARTBEAT_PERIODS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);
/// Valid range of `timeout`.
const OFFLINE_AFTERS: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(86_400);
/// Valid range of `moduletimeout`.
const MODULE_TIMEOUTS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400);

/// The settings of a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StandaloneConfig {
    /// The address on which the API listens; port 0 selects a free port.
    pub(crate) listen: SocketAddr,
    /// The names under which clients may address the API.
    pub(crate) hosts: HostNames,
    pub(crate) spool: PathBuf,
    /// The folder of the keyring, and of the database if it is a file.
    pub(crate) data: PathBuf,
    /// The database server, if there is one.
    pub(crate) postgres: Option<data::DatabaseServer>,
    /// Time between two heartbeats of an agent.
    pub(crate) heartbeat_period: Duration,
    /// Time since the last heartbeat after which an agent is offline.
    pub(crate) offline_after: Duration,
    /// Time limit of one module.
    pub(crate) module_timeout: Duration,
    pub(crate) retention: Retention,
}

impl StandaloneConfig {
    /// Parses the text of `file`; the error contains all faults found.
    pub(crate) fn parse(text: &[u8], file: &Path) -> Result<StandaloneConfig, ConfigError> {
        let folder = input_file::base_folder(file);
        let mut reader = Reader::new(text);
        let listen = reader.section("api", listen);
        let hosts = reader.section("server", HostNames::read);
        let (spool, data) = reader.section("directories", |section| {
            let mut path = |key, default: &str| {
                folder.join(section.path(key).unwrap_or_else(|| PathBuf::from(default)))
            };
            (path("spool", SPOOL), path("data", DATA))
        });
        let (heartbeat_period, offline_after, module_timeout) =
            reader.section("agent", |section| {
                let heartbeat_period = section.duration("heartbeatfreq", &HEARTBEAT_PERIODS);
                let offline_after = section.duration("timeout", &OFFLINE_AFTERS);
                let module_timeout = section.duration("moduletimeout", &MODULE_TIMEOUTS);
                (
                    heartbeat_period.unwrap_or(HEARTBEAT_PERIOD),
                    offline_after.unwrap_or(OFFLINE_AFTER),
                    module_timeout.unwrap_or(MODULE_TIMEOUT),
                )
            });
        let retention = reader.section("retention", Retention::read);
        // The section has required keys, so it is read only if it exists.
        let has_server = reader.has_section("postgres");
        let postgres = reader.section("postgres", |section| match has_server {
            true => data::DatabaseServer::from_section(section).map(Some),
            false => Some(None),
        });
        let settings = listen.zip(postgres).map(|(listen, postgres)| StandaloneConfig {
            listen,
            hosts,
            postgres,
            spool,
            data,
            heartbeat_period,
            offline_after,
            module_timeout,
            retention,
        });
        reader.finish(file, settings)
    }

    /// Returns the folders that the platform depends on.
    pub(super) fn trusted_paths(&self) -> Vec<TrustedPath> {
        let mut paths = vec![TrustedPath::new(&self.data, Content::Tree)];
        let folders = SpoolFolder::ALL.map(|folder| self.spool.join(folder.path()));
        paths.extend(folders.map(|folder| TrustedPath::new(folder, Content::Public)));
        paths.push(TrustedPath::new(&self.spool, Content::Public));
        paths.extend(self.postgres.as_ref().and_then(data::DatabaseServer::trusted_path));
        paths
    }
}

/// Returns the address to listen on: a loopback address, unless remote access is explicitly
/// allowed.
fn listen(section: &mut Section<'_>) -> Option<SocketAddr> {
    let is_remote_allowed = section.flag("allowremote").unwrap_or(false);
    let found = section.text("listen");
    let Some(found) = found else { return LISTEN.parse().ok() };
    let Ok(address) = found.value.parse::<SocketAddr>() else {
        let text = "listen must be an address and a port, such as 127.0.0.1:1664 or [::1]:1664";
        section.fault(found.line, text.to_owned());
        return None;
    };
    if !address.ip().is_loopback() && !is_remote_allowed {
        let text = format!(
            "listen = {address} is reachable from other hosts, without encryption: \
             use 127.0.0.1, or add allowremote = on"
        );
        section.fault(found.line, text);
        return None;
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StandaloneConfig, ConfigError> {
        StandaloneConfig::parse(text.as_bytes(), Path::new("/srv/mig/standalone.cfg"))
    }

    #[test]
    fn empty_file_has_all_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config.listen, "127.0.0.1:1664".parse().unwrap());
        assert_eq!(config.spool, Path::new("/var/cache/mig"));
        assert_eq!(config.data, Path::new("/var/lib/mig-standalone"));
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        let config = parse("[directories]\nspool = spool\ndata = ../data\n").unwrap();
        assert_eq!(config.spool, Path::new("/srv/mig/spool"));
        assert_eq!(config.data, Path::new("/srv/mig/../data"));
    }

    #[test]
    fn remote_access_must_be_allowed_explicitly() {
        assert!(parse("[api]\nlisten = [::1]:80\n").is_ok());
        assert!(parse("[api]\nlisten = 0.0.0.0:80\nallowremote = on\n").is_ok());
        let error = parse("[api]\nlisten = 0.0.0.0:80\n").unwrap_err().to_string();
        assert!(error.contains("standalone.cfg:2: listen = 0.0.0.0:80 is reachable"), "{error}");
        let error = parse("[api]\nlisten = localhost\n").unwrap_err().to_string();
        assert!(error.contains("address and a port"), "{error}");
    }

    #[test]
    fn database_is_a_file_unless_a_server_is_configured() {
        assert_eq!(parse("").unwrap().postgres, None);
        let text = "[postgres]\nhost = /run/postgresql\ndbname = mig\nuser = migadmin\n";
        let server = parse(text).unwrap().postgres.unwrap();
        assert_eq!(server.to_string(), "migadmin@/run/postgresql:5432/mig");
        let error = parse("[postgres]\n").unwrap_err();
        assert_eq!(error.lines().count(), 3, "{error}");
        let error = parse("[postgre]\nhost = x\n").unwrap_err().to_string();
        assert!(error.contains("unknown section [postgre] (did you mean postgres?)"), "{error}");
    }

    #[test]
    fn all_faults_are_reported() {
        let error = parse("[agent]\nheartbeatfreq = 0s\nmoduletimeout = x\n[apii]\n").unwrap_err();
        assert_eq!(error.lines().count(), 3, "{error}");
    }
}
