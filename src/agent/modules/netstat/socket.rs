//! Sockets, from the kernel's tables `tcp`, `udp`, `tcp6` and `udp6`.
//!
//! The tables show an address as the hexadecimal digits of the 32-bit words in the kernel's memory,
//! so the bytes of each word are in the processor's order.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::spaces::NetworkSpace;

/// The tables, in the order in which the original reads them.
const TABLES: [SocketTable; 4] = [
    SocketTable { name: "tcp", is_tcp: true, is_v6: false },
    SocketTable { name: "udp", is_tcp: false, is_v6: false },
    SocketTable { name: "tcp6", is_tcp: true, is_v6: true },
    SocketTable { name: "udp6", is_tcp: false, is_v6: true },
];
/// The state of a listening TCP socket.
const LISTEN: &str = "0A";

#[derive(Debug, Clone, Copy)]
struct SocketTable {
    name: &'static str,
    is_tcp: bool,
    is_v6: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TableError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("unexpected format in line {number} of {}", path.display())]
    Line {
        path: PathBuf,
        /// Line number, from 1.
        number: usize,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// Whether it can have IPv6 peers.
    pub(super) is_v6: bool,
    /// Whether it accepts traffic from new peers.
    pub(super) is_listening: bool,
}

/// Returns the sockets of a namespace, and errors for tables that cannot be read.
pub(super) fn list(space: &NetworkSpace) -> (Vec<Socket>, Vec<TableError>) {
    let (mut sockets, mut errors) = (Vec::new(), Vec::new());
    for table in TABLES {
        let path = space.tables().join(table.name);
        match rows(path, |line| parse(line, table)) {
            Ok(rows) => sockets.extend(rows),
            // Hosts without IPv6 do not have this table.
            Err(TableError::Read { source, .. })
                if table.is_v6 && source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => errors.push(error),
        }
    }
    (sockets, errors)
}

/// Reads all lines of a table except its heading.
pub(super) fn rows<T>(
    path: PathBuf,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, TableError> {
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(source) => return Err(TableError::Read { path, source }),
    };
    let mut rows = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate().skip(1) {
        let line = match line {
            Ok(line) => line,
            Err(source) => return Err(TableError::Read { path, source }),
        };
        let Some(row) = read(&line) else {
            return Err(TableError::Line { path, number: number + 1 });
        };
        rows.push(row);
    }
    Ok(rows)
}

/// Reads `0: LOCAL REMOTE STATE …`.
fn parse(line: &str, table: SocketTable) -> Option<Socket> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
    let remote = address(remote)?;
    let is_listening = if table.is_tcp { state == LISTEN } else { remote.port() == 0 };
    Some(Socket { local: address(local)?, remote, is_v6: table.is_v6, is_listening })
}

/// Reads an address and a port. IPv4 addresses in their IPv6 form become IPv4 addresses.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let word = |text| u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = match ip.len() {
        8 => Ipv4Addr::from(word(ip)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(ip.get(index * 8..(index + 1) * 8)?)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_are_parsed() {
        let line = "   0: 0100007F:1B59 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1";
        let listener = parse(line, TABLES[0]).unwrap();
        assert_eq!(listener.local, "127.0.0.1:7001".parse().unwrap());
        assert!(listener.is_listening);
        assert!(parse(line, TABLES[1]).unwrap().is_listening);
        let mapped = "12: 0000000000000000FFFF00000100007F:1B5C 0000000000000000FFFF00000100007F:A02C 01 0:0";
        let mapped = parse(mapped, TABLES[2]).unwrap();
        assert_eq!(mapped.remote, "127.0.0.1:41004".parse().unwrap());
        assert!(!mapped.is_listening);
        let v6 =
            " 3: B80D0120000000000000000001000000:1B5A 00000000000000000000000001000000:A02A 07";
        let v6 = parse(v6, TABLES[3]).unwrap();
        assert_eq!(v6.local, "[2001:db8::1]:7002".parse().unwrap());
        assert!(!v6.is_listening, "it has a peer");
    }

    #[test]
    fn broken_lines_are_rejected() {
        for line in ["", "0:", "0: 0100007F:1B59", "0: 01007F:1 0:0 0A", "0: 0100007F 0100007F 01"]
        {
            assert_eq!(parse(line, TABLES[0]), None, "{line}");
        }
    }
}
