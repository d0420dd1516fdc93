//! What the environment says: the only code that reads it.
//!
//! `TZ` is read where it has always been read, by the time zone database.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::api::proxy::{Variable, Variables};
#[cfg(feature = "data")]
use crate::config::secret::Secret;
use crate::manager::ManagerAddress;

/// Every variable that this program reads itself, as the manual lists them.
pub(crate) const VARIABLES: [&str; 20] = [
    "HOME",
    "PATH",
    "TMPDIR",
    "GNUPGHOME",
    "MIGPGPPASSPHRASE",
    "CREDENTIALS_DIRECTORY",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "NO_COLOR",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUEST_METHOD",
];

/// Every variable that `mig-data` reads itself, as its manual lists them.
#[cfg(feature = "data")]
pub(crate) const DATA_VARIABLES: [&str; 7] =
    ["PGPASSWORD", "PGPASSFILE", "HOME", "PATH", "GNUPGHOME", "TMPDIR", "NO_COLOR"];
#[cfg(not(feature = "data"))]
const DATA_VARIABLES: [&str; 0] = [];

fn read(name: &str) -> Option<OsString> {
    debug_assert!(
        VARIABLES.contains(&name) || DATA_VARIABLES.contains(&name),
        "{name} is not in the manual"
    );
    variable(name)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variable(name: &str) -> Option<OsString> {
    // As everywhere, a variable that is empty is as good as none.
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the user's home.
pub(crate) fn home() -> Option<PathBuf> {
    read("HOME").map(PathBuf::from)
}

/// Returns the folders in which a shell looks for programs.
pub(crate) fn search_path() -> Option<OsString> {
    read("PATH")
}

/// Returns where the user wants temporary folders to be.
#[cfg(feature = "data")]
pub(crate) fn temporary() -> Option<PathBuf> {
    read("TMPDIR").map(PathBuf::from)
}

/// Returns the GnuPG home that GnuPG itself would use.
pub(crate) fn gnupg_home() -> Option<PathBuf> {
    read("GNUPGHOME").map(PathBuf::from).or_else(|| home().map(|home| home.join(".gnupg")))
}

/// Returns the passphrase of the key.
pub(crate) fn passphrase() -> Option<Zeroizing<Vec<u8>>> {
    read("MIGPGPPASSPHRASE").map(|text| Zeroizing::new(text.into_vec()))
}

/// Returns the folder in which systemd puts the service's credentials.
pub(crate) fn credentials() -> Option<PathBuf> {
    read("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// Returns which stream of the process is systemd's journal.
pub(crate) fn journal_stream() -> Option<String> {
    read("JOURNAL_STREAM").and_then(|stream| stream.into_string().ok())
}

/// Returns where the service manager that started us listens, if one does.
pub(crate) fn manager() -> Option<ManagerAddress> {
    let socket = read("NOTIFY_SOCKET")?;
    // Another process may be the one that is watched, and we have inherited what it was told.
    let is_meant =
        read("WATCHDOG_PID").is_none_or(|pid| number(&pid) == Some(std::process::id().into()));
    let watchdog_timeout =
        read("WATCHDOG_USEC").filter(|_| is_meant).and_then(|span| number(&span));
    let watchdog_timeout = watchdog_timeout.filter(|micros| *micros > 0).map(Duration::from_micros);
    Some(ManagerAddress { socket, watchdog_timeout })
}

fn number(text: &OsStr) -> Option<u64> {
    text.to_str()?.parse().ok()
}

/// Returns what the environment says about proxies. Of two spellings that are both set the one in
/// upper case counts, as in Go.
pub(crate) fn proxies() -> Variables {
    let first = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| Some(Variable { name, value: read(name)? }))
    };
    Variables {
        http: first(["HTTP_PROXY", "http_proxy"]),
        https: first(["HTTPS_PROXY", "https_proxy"]),
        all: first(["ALL_PROXY", "all_proxy"]),
        no: first(["NO_PROXY", "no_proxy"]),
        is_cgi: read("REQUEST_METHOD").is_some(),
    }
}

/// Tells whether the user minds colours, as <https://no-color.org> has it.
pub(crate) fn no_color() -> bool {
    read("NO_COLOR").is_some()
}

/// Returns what the environment says about the passwords of PostgreSQL's servers. One that is no
/// text is passed over: no server has such a password.
#[cfg(feature = "data")]
pub(crate) fn postgres_credentials() -> crate::data::Credentials {
    let password = read("PGPASSWORD").and_then(|password| password.into_string().ok());
    crate::data::Credentials {
        password: password.map(Secret::from),
        file: read("PGPASSFILE").map(PathBuf::from),
        usual_file: home().map(|home| home.join(".pgpass")),
    }
}
