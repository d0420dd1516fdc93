//! Environment variables: the only code that reads them.
//!
//! The one exception is `TZ`, which the time zone library reads itself.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::api::proxy::{Variable, Variables};
#[cfg(feature = "data")]
use crate::config::secret::Secret;
use crate::manager::ManagerAddress;

/// Every variable that `mig-runner` reads; its manual page lists them.
pub(super) const VARIABLES: [&str; 20] = [
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

/// Every variable that `mig-data` reads; its manual page lists them.
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
    // By convention, an empty variable counts as unset.
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Every variable that the processes of GnuPG get, if it is set; the manual pages list them.
pub(crate) const GNUPG_VARIABLES: [&str; 8] =
    ["HOME", "PATH", "TZ", "TERM", "LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES"];

/// Returns the environment of GnuPG's processes. `HOME` is [`home`].
pub(crate) fn gnupg_environment() -> Vec<(OsString, OsString)> {
    let value =
        |name| if name == "HOME" { home().map(PathBuf::into_os_string) } else { variable(name) };
    let set = GNUPG_VARIABLES.into_iter().filter_map(|name| Some((name.into(), value(name)?)));
    set.collect()
}

/// The home of the user that this process has become.
static ADOPTED_HOME: OnceLock<PathBuf> = OnceLock::new();

/// Makes [`home`] return the home of the user that this process has become. `GNUPGHOME` and `TMPDIR`
/// no longer count: they name folders of root.
pub(super) fn adopt_home(home: PathBuf) {
    ADOPTED_HOME.get_or_init(|| home);
}

fn has_adopted() -> bool {
    ADOPTED_HOME.get().is_some()
}

pub(crate) fn home() -> Option<PathBuf> {
    ADOPTED_HOME.get().cloned().or_else(|| read("HOME").map(PathBuf::from))
}

/// Returns `PATH`.
pub(crate) fn search_path() -> Option<OsString> {
    read("PATH")
}

/// Returns the folder for temporary files, if the user has set one.
#[cfg(feature = "data")]
pub(crate) fn temporary() -> Option<PathBuf> {
    read("TMPDIR").map(PathBuf::from).filter(|_| !has_adopted())
}

/// Returns the home that GnuPG uses by default.
pub(crate) fn gnupg_home() -> Option<PathBuf> {
    let named = read("GNUPGHOME").map(PathBuf::from).filter(|_| !has_adopted());
    named.or_else(|| home().map(|home| home.join(".gnupg")))
}

/// Returns the passphrase of the signing key.
pub(crate) fn passphrase() -> Option<Zeroizing<Vec<u8>>> {
    read("MIGPGPPASSPHRASE").map(|text| Zeroizing::new(text.into_vec()))
}

/// Returns the folder of the service's systemd credentials.
pub(crate) fn credentials() -> Option<PathBuf> {
    read("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// Returns the device and inode of the stream that is connected to the systemd journal.
pub(crate) fn journal_stream() -> Option<String> {
    read("JOURNAL_STREAM").and_then(|stream| stream.into_string().ok())
}

/// Returns the notification socket of the service manager, and its watchdog timeout.
pub(crate) fn manager() -> Option<ManagerAddress> {
    let socket = read("NOTIFY_SOCKET")?;
    // The watchdog variables may have been inherited, and apply to another process then.
    let is_for_us =
        read("WATCHDOG_PID").is_none_or(|pid| number(&pid) == Some(std::process::id().into()));
    let watchdog_timeout =
        read("WATCHDOG_USEC").filter(|_| is_for_us).and_then(|span| number(&span));
    let watchdog_timeout = watchdog_timeout.filter(|micros| *micros > 0).map(Duration::from_micros);
    Some(ManagerAddress { socket, watchdog_timeout })
}

fn number(text: &OsStr) -> Option<u64> {
    text.to_str()?.parse().ok()
}

/// Returns the proxy variables. If both spellings of a name are set, upper case wins, as in Go.
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

/// Returns whether colours are disabled, see <https://no-color.org>.
pub(crate) fn no_color() -> bool {
    read("NO_COLOR").is_some()
}

/// Returns the sources of passwords for PostgreSQL servers. A `PGPASSWORD` that is not UTF-8 is
/// ignored: no server has such a password.
#[cfg(feature = "data")]
pub(crate) fn postgres_credentials() -> crate::data::Credentials {
    let password = read("PGPASSWORD").and_then(|password| password.into_string().ok());
    crate::data::Credentials {
        password: password.map(Secret::from),
        file: read("PGPASSFILE").map(PathBuf::from),
        default_file: home().map(|home| home.join(".pgpass")),
    }
}
