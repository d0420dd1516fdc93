//! Neighbours: hosts on the same links, with their hardware addresses.
//!
//! IPv4 neighbours are in the kernel's table `arp`. One that has not answered has no hardware
//! address; it is still a neighbour, because a process on this host has tried to reach it.

use std::io;

use super::route::{self, Neighbour, RouteError};
use super::socket::{TableError, rows};
use super::spaces::NetworkSpace;

/// The flag of an entry with a hardware address.
const COMPLETE: u32 = 2;

#[derive(Debug, thiserror::Error)]
pub(super) enum NeighbourError {
    /// For IPv4 neighbours.
    #[error(transparent)]
    Table(#[from] TableError),
    /// For IPv6 neighbours.
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("cannot enter {space} to read IPv6 neighbours")]
    Enter { space: String, source: io::Error },
}

/// Returns the neighbours of a namespace, and errors for those that cannot be read.
pub(super) fn list(space: &NetworkSpace) -> (Vec<Neighbour>, Vec<NeighbourError>) {
    let (mut neighbours, mut errors) = (Vec::new(), Vec::new());
    for read in [read_ipv4(space), read_ipv6(space)] {
        match read {
            Ok(some) => neighbours.extend(some),
            Err(error) => errors.push(error),
        }
    }
    (neighbours, errors)
}

fn read_ipv4(space: &NetworkSpace) -> Result<Vec<Neighbour>, NeighbourError> {
    Ok(rows(space.tables().join("arp"), parse)?)
}

fn read_ipv6(space: &NetworkSpace) -> Result<Vec<Neighbour>, NeighbourError> {
    let entered = space.enter(route::neighbours);
    let failed = |source| NeighbourError::Enter { space: space.name.clone(), source };
    Ok(entered.map_err(failed)??)
}

/// Reads `ADDRESS TYPE FLAGS MAC MASK DEVICE`. Links without hardware addresses omit `MAC`.
fn parse(line: &str) -> Option<Neighbour> {
    let mut words = line.split_ascii_whitespace();
    let address = words.next()?.parse().ok()?;
    let flags = words.nth(1)?.strip_prefix("0x")?;
    let is_complete = u32::from_str_radix(flags, 16).ok()? & COMPLETE != 0;
    let mac = words.next().filter(|mac| is_complete && mac.contains(':'));
    Some(Neighbour { address, mac: mac.map(str::to_ascii_lowercase) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_arp_table_are_parsed() {
        let parse = |line: &str| {
            let neighbour = parse(line)?;
            Some((neighbour.address.to_string(), neighbour.mac))
        };
        let address = "198.51.100.7".to_owned();
        assert_eq!(
            parse("198.51.100.7     0x1         0x6         02:00:5E:aa:bb:cc     *        m0"),
            Some((address.clone(), Some("02:00:5e:aa:bb:cc".to_owned())))
        );
        for without in [
            "198.51.100.7     0x1         0x0         00:00:00:00:00:00     *        m0",
            "198.51.100.7     0x1         0x2                               *        m0",
        ] {
            assert_eq!(parse(without), Some((address.clone(), None)));
        }
        for broken in ["", "198.51.100.7", "198.51.100 0x1 0x2 02:00 * m0", "198.51.100.7 1 2 x"] {
            assert_eq!(parse(broken), None, "{broken}");
        }
    }
}
