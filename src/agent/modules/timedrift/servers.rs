//! Which NTP servers are asked.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::super::go_regex::as_go_reads;
use super::super::reason::reason;

/// The most that is read of a configuration.
const CONF_BYTES_MAX: u64 = 1 << 20;

/// A configuration that cannot be read; the text is the original's.
#[derive(Debug, thiserror::Error)]
#[error("Using backup NTP hosts. Failed to read {path} with error 'open {path}: {}'", reason(source), path = path.display())]
pub(super) struct ConfError {
    path: PathBuf,
    source: io::Error,
}

/// Returns the servers of the configuration at `path`, then `backups`; and why it cannot be
/// read, if it is there.
pub(super) fn list(path: &Path, backups: &[&str]) -> (Vec<String>, Option<ConfError>) {
    let (mut hosts, error) = match read(path) {
        Ok(text) => (text.lines().filter_map(server).map(str::to_owned).collect(), None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
        Err(source) => (Vec::new(), Some(ConfError { path: path.to_owned(), source })),
    };
    hosts.extend(backups.iter().map(|&host| host.to_owned()));
    (hosts, error)
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(CONF_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(as_go_reads(&bytes).into_owned())
}

/// Returns the server that a line names.
fn server(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    if words.next() != Some("server") {
        return None;
    }
    // Before the server may stand which IP version it is to be asked by.
    words.find(|word| !matches!(*word, "-4" | "-6"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn servers_come_from_their_lines_and_from_nowhere_else() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = "# server a\nserver b iburst\n\tserver  c#\npool d\npeer e\nserver\nservers f\n\
                    server -6 ::1\nserver \u{e9}\n";
        file.write_all(text.as_bytes()).unwrap();
        let (hosts, error) = list(file.path(), &["z"]);
        assert_eq!(hosts, ["b", "c#", "::1", "\u{e9}", "z"]);
        assert!(error.is_none());
    }

    #[test]
    fn a_configuration_may_be_missing_but_not_unreadable() {
        let folder = tempfile::tempdir().unwrap();
        let (hosts, error) = list(&folder.path().join("ntp.conf"), &["z"]);
        assert!(hosts == ["z"] && error.is_none());
        let (hosts, error) = list(folder.path(), &["z"]);
        let path = folder.path().display();
        assert_eq!(hosts, ["z"]);
        assert_eq!(
            error.unwrap().to_string(),
            format!(
                "Using backup NTP hosts. Failed to read {path} with error 'open {path}: is a directory'"
            )
        );
    }
}
