//! The address of a PostgreSQL database: server, database, role, and transport security.
//!
//! It comes from the section `[postgres]`, whose keys are those of the original's programs, or from
//! a URL. A URL must not contain a password, because all users of the host can read a command line.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::reader::{Located, Section};
use crate::config::secret::Secret;
use crate::disk::trusted_paths::{Content, TrustedPath};

/// PostgreSQL's default port.
const PORT: u16 = 5432;
/// The values of `sslmode`.
const SSL_MODES: [(&str, SslMode); 4] = [
    ("disable", SslMode::Disable),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// The transport security of a connection, with PostgreSQL's meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    /// Encrypted. The server's certificate is checked only if `sslrootcert` is given.
    Require,
    /// Encrypted, with a server certificate from a trusted authority.
    VerifyCa,
    /// As `VerifyCa`, and the certificate names the requested host.
    VerifyFull,
}

/// A database on a server, and the role that uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatabaseServer {
    /// The name or address of the host, or the folder of its Unix socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) dbname: String,
    pub(crate) user: String,
    /// The password of the role, if known.
    pub(crate) password: Option<Arc<Secret>>,
    pub(crate) sslmode: SslMode,
    /// A PEM file of trusted authorities that replaces the system's.
    pub(crate) sslrootcert: Option<PathBuf>,
}

/// The reason why a text is not the URL of a PostgreSQL database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error(
        "invalid database URL: {0}; the form is postgres://USER@HOST[:PORT]/NAME[?sslmode=…&sslrootcert=…]"
    )]
    Form(&'static str),
    #[error(
        "a password in a URL can be read by every user of this host: \
         leave it out, and put it into PGPASSWORD or the file that PGPASSFILE names"
    )]
    Password,
}

impl fmt::Display for DatabaseServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DatabaseServer { host, port, dbname, user, .. } = self;
        let brackets = if host.contains(':') { ("[", "]") } else { ("", "") };
        let text = format!("{user}@{}{host}{}:{port}/{dbname}", brackets.0, brackets.1);
        f.write_str(&crate::chain::escape(&text))
    }
}

impl DatabaseServer {
    /// Returns the file of the certificates that the connection trusts, if there is one.
    pub(crate) fn trusted_path(&self) -> Option<TrustedPath> {
        self.sslrootcert.as_ref().map(|path| TrustedPath::new(path, Content::Public))
    }

    /// Reads the section `[postgres]`; `None` if a required key is missing.
    pub(crate) fn from_section(section: &mut Section<'_>) -> Option<DatabaseServer> {
        let host = section.required("host", "127.0.0.1");
        let port = section.number("port", 1..=u16::MAX).unwrap_or(PORT);
        let dbname = section.required("dbname", "mig");
        let user = section.required("user", "migscheduler");
        let password = section.secret("password").map(|Located { value, .. }| Arc::new(value));
        let sslmode = section.choice("sslmode", &SSL_MODES);
        let sslrootcert = section.path("sslrootcert");
        // Accepted for compatibility: one connection satisfies any limit.
        section.number("maxconn", 0..=i32::MAX);
        let (host, dbname, user) = (host?.value, dbname?.value, user?.value);
        let sslmode = sslmode.unwrap_or_else(|| default_sslmode(&host));
        Some(DatabaseServer { host, port, dbname, user, password, sslmode, sslrootcert })
    }

    /// Parses a URL. A host that begins with a slash, written as `%2F` or given by the parameter
    /// `host=`, is the folder of a Unix socket.
    pub(crate) fn parse(url: &str) -> Result<DatabaseServer, UrlError> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.ok_or(UrlError::Form("it must begin with postgres://"))?;
        let (location, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, dbname) = location
            .split_once('/')
            .ok_or(UrlError::Form("the name of the database is missing"))?;
        let (user, host) =
            authority.rsplit_once('@').ok_or(UrlError::Form("the user is missing"))?;
        if user.contains(':') {
            return Err(UrlError::Password);
        }
        let (host, port) = host_and_port(host)?;
        let (user, dbname) = (percent_decoded(user)?, percent_decoded(dbname)?);
        let mut server = DatabaseServer {
            sslmode: SslMode::VerifyFull,
            host: percent_decoded(host)?,
            port,
            dbname,
            user,
            password: None,
            sslrootcert: None,
        };
        let mut sslmode = None;
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decoded(value)?;
            match key {
                "host" => server.host = value,
                "port" => server.port = parse_port(&value)?,
                "sslmode" => sslmode = Some(parse_sslmode(&value)?),
                "sslrootcert" => server.sslrootcert = Some(value.into()),
                "password" => return Err(UrlError::Password),
                _ => return Err(UrlError::Form("it has an unknown parameter")),
            }
        }
        if [&server.host, &server.dbname, &server.user].into_iter().any(String::is_empty) {
            return Err(UrlError::Form("user, host and database name are required"));
        }
        server.sslmode = sslmode.unwrap_or_else(|| default_sslmode(&server.host));
        Ok(server)
    }

    /// Returns the equivalent section `[postgres]`, without a password.
    pub(crate) fn section(&self) -> String {
        let DatabaseServer { host, port, dbname, user, .. } = self;
        let (host, dbname, user) = (quoted(host), quoted(dbname), quoted(user));
        let mode = SSL_MODES.iter().find(|(_, mode)| *mode == self.sslmode);
        let mode = mode.map_or("", |(word, _)| word);
        let mut text = format!(
            "[postgres]\n    host = {host}\n    port = {port}\n    dbname = {dbname}\n    user = {user}\n    \
             sslmode = {mode}\n"
        );
        if let Some(path) = &self.sslrootcert {
            text.push_str(&format!("    sslrootcert = {}\n", quoted(&path.to_string_lossy())));
        }
        text
    }

    /// Returns whether the host is the folder of a Unix socket.
    pub(crate) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// Quotes a text for a configuration file, and escapes its special characters.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}

/// Returns the default `sslmode` of a host: full verification, except for connections that do not
/// leave this host.
fn default_sslmode(host: &str) -> SslMode {
    let is_local = host.starts_with('/')
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_local { SslMode::Disable } else { SslMode::VerifyFull }
}

fn parse_sslmode(word: &str) -> Result<SslMode, UrlError> {
    let known = SSL_MODES.iter().find(|(known, _)| *known == word);
    let invalid = UrlError::Form("sslmode must be disable | require | verify-ca | verify-full");
    known.map(|(_, mode)| *mode).ok_or(invalid)
}

fn host_and_port(text: &str) -> Result<(&str, u16), UrlError> {
    // The colons inside brackets belong to an IPv6 address.
    let end = text.rfind(']').unwrap_or(0);
    let colon = text.get(end..).and_then(|rest| rest.find(':')).map(|at| at + end);
    let (host, port) = match colon.and_then(|colon| text.split_at_checked(colon)) {
        Some((host, port)) => (host, parse_port(port.trim_start_matches(':'))?),
        None => (text, PORT),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Ok((bare.unwrap_or(host), port))
}

fn parse_port(text: &str) -> Result<u16, UrlError> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or(UrlError::Form("the port must be from 1 to 65535"))
}

/// Decodes the percent-encoding of a part of a URL.
fn percent_decoded(text: &str) -> Result<String, UrlError> {
    let invalid = UrlError::Form(
        "% must be followed by two hexadecimal digits, and the decoded text must be UTF-8",
    );
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(invalid)?;
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal);
        bytes.push(byte.ok_or(invalid)?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| invalid)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::fault::ConfigError;
    use crate::config::reader::Reader;

    fn read(text: &str) -> Result<DatabaseServer, ConfigError> {
        let mut reader = Reader::new(format!("[postgres]\n{text}").as_bytes());
        let server = reader.section("postgres", DatabaseServer::from_section);
        reader.finish(Path::new("x.cfg"), server)
    }

    #[test]
    fn section_of_the_original_is_read_without_showing_its_password() {
        let text = "host = \"127.0.0.1\"\nport = 5433\ndbname = \"mig\"\nuser = \"migscheduler\"\n\
                    password = \"hunter2\"\nsslmode = \"verify-full\"\nmaxconn = 10\n";
        let server = read(text).unwrap();
        assert_eq!(server.to_string(), "migscheduler@127.0.0.1:5433/mig");
        assert_eq!(server.sslmode, SslMode::VerifyFull);
        assert_eq!(server.password.as_ref().unwrap().expose(), "hunter2");
        assert!(!format!("{server:?}").contains("hunter2"));
    }

    #[test]
    fn all_faults_of_a_section_are_reported() {
        let error = read("sslmode = prefer\nport = 0\ntimeout = 1\n").unwrap_err();
        assert_eq!(error.lines().count(), 6, "{error}");
        let error = error.to_string();
        assert!(
            error.contains("sslmode must be disable | require | verify-ca | verify-full"),
            "{error}"
        );
    }

    #[test]
    fn remote_hosts_are_verified_by_default() {
        let mode = |host: &str| {
            let text = format!("host = {host}\ndbname = mig\nuser = u\n");
            read(&text).unwrap().sslmode
        };
        for host in ["/run/postgresql", "127.0.0.1", "::1", "localhost"] {
            assert_eq!(mode(host), SslMode::Disable, "{host}");
        }
        assert_eq!(mode("db.example.com"), SslMode::VerifyFull);
        assert_eq!(mode("10.0.0.1"), SslMode::VerifyFull);
    }

    #[test]
    fn urls_are_parsed() {
        let url = |url: &str| DatabaseServer::parse(url).unwrap().to_string();
        assert_eq!(url("postgres://u@db.example.com/mig"), "u@db.example.com:5432/mig");
        assert_eq!(url("postgresql://u%40x@[::1]:6000/m%20g"), "u@x@[::1]:6000/m g");
        assert_eq!(url("postgres://u@%2Frun%2Fpg:7/mig"), "u@/run/pg:7/mig");
        assert_eq!(url("postgres://u@/mig?host=/run/pg&port=7"), "u@/run/pg:7/mig");
        let server =
            DatabaseServer::parse("postgres://u@h/m?sslmode=verify-ca&sslrootcert=/ca").unwrap();
        assert_eq!((server.sslmode, server.sslrootcert), (SslMode::VerifyCa, Some("/ca".into())));
    }

    #[test]
    fn url_and_its_section_are_equivalent() {
        for url in [
            "postgres://u@db.example.com/mig",
            "postgres://u%22%5C%0A;@%2Frun%2Fpg:7/m%20g?sslmode=verify-ca&sslrootcert=/c%23a",
        ] {
            let server = DatabaseServer::parse(url).unwrap();
            let section = server.section();
            let (_, lines) = section.split_once('\n').unwrap();
            assert_eq!(read(lines).unwrap(), server, "{section}");
        }
    }

    #[test]
    fn url_with_a_password_is_rejected_without_showing_it() {
        for url in ["postgres://u:hunter2@h/m", "postgres://u@h/m?password=hunter2"] {
            let error = DatabaseServer::parse(url).unwrap_err();
            assert_eq!(error, UrlError::Password);
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn malformed_urls_are_rejected() {
        let wrong = [
            "mysql://u@h/m",
            "postgres://u@h",
            "postgres://h/m",
            "postgres://u@h/",
            "postgres://u@/m",
            "postgres://u@h:0/m",
            "postgres://u@h:x/m",
            "postgres://u@h/m?sslmode=prefer",
            "postgres://u@h/m?x=y",
            "postgres://u@h/%+1",
            "postgres://u@h/%f",
            "postgres://u@h/%ff",
        ];
        for url in wrong {
            assert!(matches!(DatabaseServer::parse(url), Err(UrlError::Form(_))), "{url}");
        }
    }
}
