//! The list of NTP servers to query.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::go::regexp::decode_utf8;

/// Maximum number of bytes read from a configuration.
const CONF_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
#[error("using only public NTP servers: cannot read {}", path.display())]
pub(super) struct ConfError {
    path: PathBuf,
    source: io::Error,
}

/// Returns the servers of the configuration at `path`, then `backups`, and an error if a
/// configuration exists and cannot be read.
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
    Ok(decode_utf8(&bytes).into_owned())
}

/// Returns the server that a line configures.
fn server(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    if words.next() != Some("server") {
        return None;
    }
    // Options for the IP version can precede the server.
    words.find(|word| !matches!(*word, "-4" | "-6"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn servers_are_read_from_server_lines_only() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = "# server a\nserver b iburst\n\tserver  c#\npool d\npeer e\nserver\nservers f\n\
                    server -6 ::1\nserver \u{e9}\n";
        file.write_all(text.as_bytes()).unwrap();
        let (hosts, error) = list(file.path(), &["z"]);
        assert_eq!(hosts, ["b", "c#", "::1", "\u{e9}", "z"]);
        assert!(error.is_none());
    }

    #[test]
    fn missing_configuration_is_not_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (hosts, error) = list(&folder.path().join("ntp.conf"), &["z"]);
        assert!(hosts == ["z"] && error.is_none());
        let (hosts, error) = list(folder.path(), &["z"]);
        let path = folder.path().display();
        assert_eq!(hosts, ["z"]);
        let expected = format!("using only public NTP servers: cannot read {path}");
        assert_eq!(error.unwrap().to_string(), expected);
    }
}
