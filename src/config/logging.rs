//! `[logging]`: the destination, level and format of log records.
//!
//! Modes, levels and the meaning of `maxfilesize` are those of the original. It ignored `facility`
//! and always used `daemon`, which is the default here.

use std::path::PathBuf;

use slog::Level;

use super::reader::Section;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoggingConfig {
    pub(crate) target: LogTarget,
    pub(crate) level: Level,
    pub(crate) format: LogFormat,
}

/// The destination of log records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogTarget {
    Stdout,
    File {
        path: PathBuf,
        /// Size at which the file is rotated; `None` means never.
        bytes_max: Option<u64>,
    },
    Syslog {
        server: SyslogServer,
        facility: Facility,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SyslogServer {
    Local,
    Udp { host: String, port: u16 },
    Tcp { host: String, port: u16 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// A line of plain text.
    Text,
    /// One JSON object per line.
    Json,
}

/// A syslog facility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facility(u8);

impl Facility {
    /// Returns the facility's number in the syslog protocol.
    pub(crate) fn number(self) -> u8 {
        self.0
    }
}

const DAEMON: Facility = Facility(3);

const SYSLOG_PORT: u16 = 514;

const FACILITIES: [(&str, Facility); 20] = [
    ("kern", Facility(0)),
    ("user", Facility(1)),
    ("mail", Facility(2)),
    ("daemon", DAEMON),
    ("auth", Facility(4)),
    ("syslog", Facility(5)),
    ("lpr", Facility(6)),
    ("news", Facility(7)),
    ("uucp", Facility(8)),
    ("cron", Facility(9)),
    ("authpriv", Facility(10)),
    ("ftp", Facility(11)),
    ("local0", Facility(16)),
    ("local1", Facility(17)),
    ("local2", Facility(18)),
    ("local3", Facility(19)),
    ("local4", Facility(20)),
    ("local5", Facility(21)),
    ("local6", Facility(22)),
    ("local7", Facility(23)),
];

/// The original's levels, followed by slog's own names and one additional level.
const LEVELS: [(&str, Level); 12] = [
    ("emerg", Level::Critical),
    ("alert", Level::Critical),
    ("crit", Level::Critical),
    ("err", Level::Error),
    ("warning", Level::Warning),
    ("notice", Level::Info),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("critical", Level::Critical),
    ("error", Level::Error),
    ("warn", Level::Warning),
    ("trace", Level::Trace),
];

#[derive(Debug, Clone, Copy)]
enum Mode {
    Stdout,
    File,
    Syslog,
}

#[derive(Debug, Clone, Copy)]
enum Protocol {
    Local,
    Udp,
    Tcp,
}

pub(super) fn read(section: &mut Section<'_>) -> LoggingConfig {
    let mode = section.choice(
        "mode",
        &[("stdout", Mode::Stdout), ("file", Mode::File), ("syslog", Mode::Syslog)],
    );
    let level = section.choice("level", &LEVELS);
    let format = section.choice("format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    let server = server(section, mode);
    let facility = section.choice("facility", &FACILITIES);
    let bytes_max = section.number("maxfilesize", 0..=i64::MAX.unsigned_abs());
    let path = match mode {
        Some(Mode::File) => section.required("file", "/var/log/mig-runner.log"),
        _ => section.text("file"),
    };
    let target = match (mode, path, server) {
        (Some(Mode::File), Some(path), _) => LogTarget::File {
            path: PathBuf::from(path.value),
            bytes_max: bytes_max.filter(|bytes| *bytes > 0),
        },
        (Some(Mode::Syslog), _, Some(server)) => {
            LogTarget::Syslog { server, facility: facility.unwrap_or(DAEMON) }
        }
        _ => LogTarget::Stdout,
    };
    LoggingConfig {
        target,
        level: level.unwrap_or(Level::Info),
        format: format.unwrap_or(LogFormat::Text),
    }
}

/// Parses the syslog server. The default without `protocol` is the local syslog, or UDP if `host`
/// is set.
fn server(section: &mut Section<'_>, mode: Option<Mode>) -> Option<SyslogServer> {
    let protocol = section.choice(
        "protocol",
        &[
            ("udp", Protocol::Udp),
            ("tcp", Protocol::Tcp),
            ("unix", Protocol::Local),
            ("unixgram", Protocol::Local),
        ],
    );
    let port = section.number("port", 1..=u16::MAX).unwrap_or(SYSLOG_PORT);
    let is_remote = matches!(protocol, Some(Protocol::Udp | Protocol::Tcp));
    let host = match mode {
        Some(Mode::Syslog) if is_remote => section.required("host", "log.example.net"),
        _ => section.text("host"),
    };
    match (protocol, host) {
        (Some(Protocol::Local) | None, None) | (Some(Protocol::Local), Some(_)) => {
            Some(SyslogServer::Local)
        }
        (Some(Protocol::Tcp), Some(host)) => Some(SyslogServer::Tcp { host: host.value, port }),
        (Some(Protocol::Udp) | None, Some(host)) => {
            Some(SyslogServer::Udp { host: host.value, port })
        }
        (Some(Protocol::Udp | Protocol::Tcp), None) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::reader::Reader;
    use super::*;

    fn config(keys: &str) -> Result<LoggingConfig, String> {
        let mut reader = Reader::new(format!("[logging]\n{keys}").as_bytes());
        let config = reader.section("logging", read);
        reader.finish(Path::new("f"), Some(config)).map_err(|error| error.to_string())
    }

    #[test]
    fn default_is_standard_output() {
        let (target, level, format) = (LogTarget::Stdout, Level::Info, LogFormat::Text);
        assert_eq!(config(""), Ok(LoggingConfig { target, level, format }));
    }

    #[test]
    fn file_is_rotated_at_a_size_or_never() {
        let target = |keys| config(keys).unwrap().target;
        let file = |bytes_max| LogTarget::File { path: "/l".into(), bytes_max };
        assert_eq!(target("mode = file\nfile = /l\nmaxfilesize = 10"), file(Some(10)));
        assert_eq!(target("mode = file\nfile = /l\nmaxfilesize = 0"), file(None));
        let missing = "f:1: file is missing: write file = /var/log/mig-runner.log in [logging]";
        assert_eq!(config("mode = file"), Err(missing.to_owned()));
    }

    #[test]
    fn syslog_is_local_or_remote() {
        let target = |keys| match config(keys).unwrap().target {
            LogTarget::Syslog { server, facility } => (server, facility.number()),
            other => panic!("{other:?}"),
        };
        assert_eq!(target("mode = syslog"), (SyslogServer::Local, 3));
        let host = || "h".to_owned();
        let udp = (SyslogServer::Udp { host: host(), port: 514 }, 19);
        assert_eq!(target("mode = syslog\nhost = h\nfacility = local3"), udp);
        let tcp = (SyslogServer::Tcp { host: host(), port: 6514 }, 3);
        assert_eq!(target("mode = syslog\nhost = h\nport = 6514\nprotocol = tcp"), tcp);
        let missing = "f:1: host is missing: write host = log.example.net in [logging]";
        assert_eq!(config("mode = syslog\nprotocol = udp"), Err(missing.to_owned()));
    }
}
