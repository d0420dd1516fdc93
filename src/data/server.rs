//! Where a PostgreSQL server is, who asks it, and how far it is trusted.
//!
//! It is told by the section `[postgres]`, whose keys are those of the platform's own
//! programs, or by a URL. A password is never part of a URL: a command line can be read
//! by everybody on the host.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::reader::{Located, Section};
use crate::config::secret::Secret;

/// Where a server listens unless something else is said.
const PORT: u16 = 5432;
/// The words of `sslmode` and what each stands for.
const MODES: [(&str, SslMode); 4] = [
    ("disable", SslMode::Disable),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// How far the way to a server is protected, as everywhere with PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    /// Encrypted; who answers is checked only if it is said whose certificates count.
    Require,
    /// Encrypted, by somebody with a certificate that counts.
    VerifyCa,
    /// Encrypted, by the very host that was asked for.
    VerifyFull,
}

/// A database on a server, and who asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// The name or address of the host, or the folder of its socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) dbname: String,
    pub(crate) user: String,
    /// The role's password, if one is known.
    pub(crate) password: Option<Arc<Secret>>,
    /// How far the way is protected.
    pub(crate) sslmode: SslMode,
    /// The certificates that count instead of the system's, in PEM.
    pub(crate) sslrootcert: Option<PathBuf>,
}

/// Why a text is no URL of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    /// It has another form.
    #[error("a database is postgres://USER@HOST[:PORT]/NAME[?sslmode=…&sslrootcert=…]: {0}")]
    Form(&'static str),
    /// There is a password in it.
    #[error(
        "a password in a URL can be read by everybody on this host: \
         leave it out, and put it into PGPASSWORD or the file that PGPASSFILE names"
    )]
    Password,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Server { host, port, dbname, user, .. } = self;
        let colon = if host.contains(':') { ("[", "]") } else { ("", "") };
        let text = format!("{user}@{}{host}{}:{port}/{dbname}", colon.0, colon.1);
        f.write_str(&crate::chain::escape(&text))
    }
}

impl Server {
    /// Returns what the section `[postgres]` says, if all that must be there is there.
    pub(crate) fn read(section: &mut Section<'_>) -> Option<Server> {
        let host = section.required("host", "127.0.0.1");
        let port = section.number("port", 1..=u16::MAX).unwrap_or(PORT);
        let dbname = section.required("dbname", "mig");
        let user = section.required("user", "migscheduler");
        let password = section.secret("password").map(|Located { value, .. }| Arc::new(value));
        let sslmode = section.choice("sslmode", &MODES);
        let sslrootcert = section.path("sslrootcert");
        // One connection is enough for us: any number of at least one keeps what it promises.
        section.number("maxconn", 0..=i32::MAX);
        let (host, dbname, user) = (host?.value, dbname?.value, user?.value);
        let sslmode = sslmode.unwrap_or_else(|| usual(&host));
        Some(Server { host, port, dbname, user, password, sslmode, sslrootcert })
    }

    /// Returns what a URL says. A host that begins with a slash, written `%2F`, or that is
    /// given by `host=`, is the folder of a socket.
    ///
    /// # Errors
    /// It has another form, or a password.
    pub(crate) fn parse(url: &str) -> Result<Server, UrlError> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.ok_or(UrlError::Form("it begins with postgres://"))?;
        let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (at, dbname) =
            place.split_once('/').ok_or(UrlError::Form("the name of the database is missing"))?;
        let (user, host) = at.rsplit_once('@').ok_or(UrlError::Form("the user is missing"))?;
        if user.contains(':') {
            return Err(UrlError::Password);
        }
        let (host, port) = host_and_port(host)?;
        let (user, dbname) = (decoded(user)?, decoded(dbname)?);
        let mut server = Server {
            sslmode: SslMode::VerifyFull,
            host: decoded(host)?,
            port,
            dbname,
            user,
            password: None,
            sslrootcert: None,
        };
        let mut sslmode = None;
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = decoded(value)?;
            match key {
                "host" => server.host = value,
                "port" => server.port = read_port(&value)?,
                "sslmode" => sslmode = Some(mode(&value)?),
                "sslrootcert" => server.sslrootcert = Some(value.into()),
                "password" => return Err(UrlError::Password),
                _ => return Err(UrlError::Form("it has another parameter")),
            }
        }
        if [&server.host, &server.dbname, &server.user].into_iter().any(String::is_empty) {
            return Err(UrlError::Form("user, host and name are all needed"));
        }
        server.sslmode = sslmode.unwrap_or_else(|| usual(&server.host));
        Ok(server)
    }

    /// Returns the section that says this, without a password.
    pub(crate) fn section(&self) -> String {
        let Server { host, port, dbname, user, .. } = self;
        let (host, dbname, user) = (quoted(host), quoted(dbname), quoted(user));
        let mode = MODES.iter().find(|(_, mode)| *mode == self.sslmode);
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

    /// Tells whether its host is the folder of a socket.
    pub(crate) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// Returns a text as a configuration takes it, whatever is in it.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}

/// Returns how the way to a host is protected unless something else is said: fully,
/// but where nothing leaves this host.
fn usual(host: &str) -> SslMode {
    let is_here = host.starts_with('/')
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_here { SslMode::Disable } else { SslMode::VerifyFull }
}

fn mode(word: &str) -> Result<SslMode, UrlError> {
    let known = MODES.iter().find(|(known, _)| *known == word);
    let wrong = UrlError::Form("sslmode is disable | require | verify-ca | verify-full");
    known.map(|(_, mode)| *mode).ok_or(wrong)
}

fn host_and_port(text: &str) -> Result<(&str, u16), UrlError> {
    // The colons of an address in brackets are its own.
    let end = text.rfind(']').unwrap_or(0);
    let colon = text.get(end..).and_then(|rest| rest.find(':')).map(|at| at + end);
    let (host, port) = match colon.and_then(|colon| text.split_at_checked(colon)) {
        Some((host, port)) => (host, read_port(port.trim_start_matches(':'))?),
        None => (text, PORT),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Ok((bare.unwrap_or(host), port))
}

fn read_port(text: &str) -> Result<u16, UrlError> {
    text.parse().ok().filter(|port| *port > 0).ok_or(UrlError::Form("the port is 1 to 65535"))
}

/// Returns a part of a URL with its `%2F` and the like as they are meant.
fn decoded(text: &str) -> Result<String, UrlError> {
    let wrong = UrlError::Form("% is followed by two hexadecimal digits, and stands for UTF-8");
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(wrong)?;
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal);
        bytes.push(byte.ok_or(wrong)?);
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::fault::ConfigError;
    use crate::config::reader::Reader;

    fn read(text: &str) -> Result<Server, ConfigError> {
        let mut reader = Reader::new(format!("[postgres]\n{text}").as_bytes());
        let server = reader.section("postgres", Server::read);
        reader.finish(Path::new("x.cfg"), server)
    }

    #[test]
    fn the_originals_section_is_read_and_hides_its_password() {
        let text = "host = \"127.0.0.1\"\nport = 5433\ndbname = \"mig\"\nuser = \"migscheduler\"\n\
                    password = \"hunter2\"\nsslmode = \"verify-full\"\nmaxconn = 10\n";
        let server = read(text).unwrap();
        assert_eq!(server.to_string(), "migscheduler@127.0.0.1:5433/mig");
        assert_eq!(server.sslmode, SslMode::VerifyFull);
        assert_eq!(server.password.as_ref().unwrap().expose(), "hunter2");
        assert!(!format!("{server:?}").contains("hunter2"));
    }

    #[test]
    fn every_fault_of_a_section_is_told() {
        let error = read("sslmode = prefer\nport = 0\ntimeout = 1\n").unwrap_err();
        assert_eq!(error.lines().count(), 6, "{error}");
        let error = error.to_string();
        assert!(
            error.contains("sslmode is disable | require | verify-ca | verify-full"),
            "{error}"
        );
    }

    #[test]
    fn what_leaves_the_host_is_protected_unless_it_is_said() {
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
    fn urls_are_read() {
        let url = |url: &str| Server::parse(url).unwrap().to_string();
        assert_eq!(url("postgres://u@db.example.com/mig"), "u@db.example.com:5432/mig");
        assert_eq!(url("postgresql://u%40x@[::1]:6000/m%20g"), "u@x@[::1]:6000/m g");
        assert_eq!(url("postgres://u@%2Frun%2Fpg:7/mig"), "u@/run/pg:7/mig");
        assert_eq!(url("postgres://u@/mig?host=/run/pg&port=7"), "u@/run/pg:7/mig");
        let server = Server::parse("postgres://u@h/m?sslmode=verify-ca&sslrootcert=/ca").unwrap();
        assert_eq!((server.sslmode, server.sslrootcert), (SslMode::VerifyCa, Some("/ca".into())));
    }

    #[test]
    fn a_url_becomes_the_section_that_says_the_same() {
        for url in [
            "postgres://u@db.example.com/mig",
            "postgres://u%22%5C%0A;@%2Frun%2Fpg:7/m%20g?sslmode=verify-ca&sslrootcert=/c%23a",
        ] {
            let server = Server::parse(url).unwrap();
            let section = server.section();
            let (_, lines) = section.split_once('\n').unwrap();
            assert_eq!(read(lines).unwrap(), server, "{section}");
        }
    }

    #[test]
    fn a_url_with_a_password_is_refused_without_showing_it() {
        for url in ["postgres://u:hunter2@h/m", "postgres://u@h/m?password=hunter2"] {
            let error = Server::parse(url).unwrap_err();
            assert_eq!(error, UrlError::Password);
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
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
            assert!(matches!(Server::parse(url), Err(UrlError::Form(_))), "{url}");
        }
    }
}
