//! `standalone.cfg`: where the platform listens, where it keeps what it knows.
//!
//! Relative paths are relative to the folder of the file itself, so that a folder
//! made by `init` or kept by `try` can be moved and still be started.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::retention::Retention;
use crate::config::fault::ConfigError;
use crate::config::reader::{Reader, Section};
use crate::data;
use crate::disk::input_file;

/// Where the platform's configuration is if nothing else is said.
pub(crate) const PATH: &str = "/etc/mig/standalone.cfg";

const LISTEN: &str = "127.0.0.1:1664";
const SPOOL: &str = "/var/cache/mig";
const DATA: &str = "/var/lib/mig-standalone";
const HEARTBEAT_SPAN: Duration = Duration::from_secs(30);
const SILENCE_SPAN: Duration = Duration::from_secs(20 * 60);
const MODULE_SPAN: Duration = Duration::from_secs(300);
/// What `heartbeatfreq` may be.
const HEARTBEAT_SPANS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);
/// What `timeout` may be.
const SILENCE_SPANS: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(86_400);
/// What `moduletimeout` may be.
const MODULE_SPANS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);

/// The settings of a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StandaloneConfig {
    /// Where the API listens; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    pub(crate) spool: PathBuf,
    /// The keyring, and the database if it is a file.
    pub(crate) data: PathBuf,
    /// The database, if it is on a server.
    pub(crate) postgres: Option<data::Server>,
    /// How often the agent is heard.
    pub(crate) heartbeat: Duration,
    /// After what silence an agent is offline.
    pub(crate) silence: Duration,
    /// How long a module may run.
    pub(crate) module_timeout: Duration,
    /// How long what is over is kept.
    pub(crate) retention: Retention,
}

impl StandaloneConfig {
    /// Returns the settings in the text of `file`, or all that is wrong with it.
    pub(crate) fn parse(text: &[u8], file: &Path) -> Result<StandaloneConfig, ConfigError> {
        let folder = input_file::base_folder(file);
        let mut reader = Reader::new(text);
        let listen = reader.section("api", listen);
        let (spool, data) = reader.section("directories", |section| {
            let mut path = |key, default: &str| {
                folder.join(section.path(key).unwrap_or_else(|| PathBuf::from(default)))
            };
            (path("spool", SPOOL), path("data", DATA))
        });
        let (heartbeat, silence, module_timeout) = reader.section("agent", |section| {
            let heartbeat = section.duration("heartbeatfreq", &HEARTBEAT_SPANS);
            let silence = section.duration("timeout", &SILENCE_SPANS);
            let module_timeout = section.duration("moduletimeout", &MODULE_SPANS);
            (
                heartbeat.unwrap_or(HEARTBEAT_SPAN),
                silence.unwrap_or(SILENCE_SPAN),
                module_timeout.unwrap_or(MODULE_SPAN),
            )
        });
        let retention = reader.section("retention", Retention::read);
        // Everything that it must say is missing in a file without that section, and that is right.
        let is_served = reader.has_section("postgres");
        let postgres = reader.section("postgres", |section| match is_served {
            true => data::Server::read(section).map(Some),
            false => Some(None),
        });
        let settings = listen.zip(postgres).map(|(listen, postgres)| StandaloneConfig {
            listen,
            postgres,
            spool,
            data,
            heartbeat,
            silence,
            module_timeout,
            retention,
        });
        reader.finish(file, settings)
    }
}

/// Returns where to listen: on this host alone, unless remote access is allowed in so many words.
fn listen(section: &mut Section<'_>) -> Option<SocketAddr> {
    let is_remote_allowed = section.flag("allowremote").unwrap_or(false);
    let found = section.text("listen");
    let Some(found) = found else { return LISTEN.parse().ok() };
    let Ok(address) = found.value.parse::<SocketAddr>() else {
        let text = "listen is an address and a port, such as 127.0.0.1:1664 or [::1]:1664";
        section.fault(found.line, text.to_owned());
        return None;
    };
    if !address.ip().is_loopback() && !is_remote_allowed {
        let text = format!(
            "listen = {address} can be reached from other hosts, in clear text: \
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
    fn an_empty_file_has_every_default() {
        let config = parse("").unwrap();
        assert_eq!(config.listen, "127.0.0.1:1664".parse().unwrap());
        assert_eq!(config.spool, Path::new("/var/cache/mig"));
        assert_eq!(config.data, Path::new("/var/lib/mig-standalone"));
    }

    #[test]
    fn relative_paths_begin_at_the_file() {
        let config = parse("[directories]\nspool = spool\ndata = ../data\n").unwrap();
        assert_eq!(config.spool, Path::new("/srv/mig/spool"));
        assert_eq!(config.data, Path::new("/srv/mig/../data"));
    }

    #[test]
    fn other_hosts_are_let_in_only_if_it_is_said() {
        assert!(parse("[api]\nlisten = [::1]:80\n").is_ok());
        assert!(parse("[api]\nlisten = 0.0.0.0:80\nallowremote = on\n").is_ok());
        let error = parse("[api]\nlisten = 0.0.0.0:80\n").unwrap_err().to_string();
        assert!(error.contains("standalone.cfg:2: listen = 0.0.0.0:80 can be reached"), "{error}");
        let error = parse("[api]\nlisten = localhost\n").unwrap_err().to_string();
        assert!(error.contains("address and a port"), "{error}");
    }

    #[test]
    fn the_tables_are_in_a_file_unless_a_server_is_named() {
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
    fn every_fault_is_told() {
        let error = parse("[agent]\nheartbeatfreq = 0s\nmoduletimeout = x\n[apii]\n").unwrap_err();
        assert_eq!(error.lines().count(), 3, "{error}");
    }
}
