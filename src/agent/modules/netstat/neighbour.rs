//! Neighbours: hosts on the same links, with their hardware addresses.
//!
//! Those of IPv4 are in the kernel's table `arp`. One that has not answered has no hardware
//! address; it is a neighbour all the same, for somebody here has asked for it.

use std::io;
use std::net::IpAddr;

use super::route::{self, RouteError};
use super::socket::{TableError, rows};
use super::spaces::Space;

/// The flag of an entry that is complete.
const COMPLETE: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) address: IpAddr,
    /// Its hardware address, in lower case.
    pub(super) mac: Option<String>,
}

/// Neighbours that are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum NeighbourError {
    /// Those of IPv4.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Those of IPv6.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Those of IPv6 in another namespace.
    #[error("cannot look for IPv6 neighbours in {space}")]
    Enter { space: String, source: io::Error },
}

/// Returns the neighbours of a namespace, and why some are not known.
pub(super) fn list(space: &Space) -> (Vec<Neighbour>, Vec<NeighbourError>) {
    let (mut neighbours, mut errors) = (Vec::new(), Vec::new());
    for known in [of_ipv4(space), of_ipv6(space)] {
        match known {
            Ok(known) => neighbours.extend(known),
            Err(error) => errors.push(error),
        }
    }
    (neighbours, errors)
}

fn of_ipv4(space: &Space) -> Result<Vec<Neighbour>, NeighbourError> {
    Ok(rows(space.tables().join("arp"), neighbour)?)
}

fn of_ipv6(space: &Space) -> Result<Vec<Neighbour>, NeighbourError> {
    let entered = space.enter(route::neighbours);
    let failed = |source| NeighbourError::Enter { space: space.name.clone(), source };
    Ok(entered.map_err(failed)??)
}

/// Reads `ADDRESS TYPE FLAGS MAC MASK DEVICE`; links without hardware addresses leave that out.
fn neighbour(line: &str) -> Option<Neighbour> {
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
    fn lines_are_read() {
        let read = |line: &str| {
            let neighbour = neighbour(line)?;
            Some((neighbour.address.to_string(), neighbour.mac))
        };
        let address = "198.51.100.7".to_owned();
        assert_eq!(
            read("198.51.100.7     0x1         0x6         02:00:5E:aa:bb:cc     *        m0"),
            Some((address.clone(), Some("02:00:5e:aa:bb:cc".to_owned())))
        );
        for without in [
            "198.51.100.7     0x1         0x0         00:00:00:00:00:00     *        m0",
            "198.51.100.7     0x1         0x2                               *        m0",
        ] {
            assert_eq!(read(without), Some((address.clone(), None)));
        }
        for broken in ["", "198.51.100.7", "198.51.100 0x1 0x2 02:00 * m0", "198.51.100.7 1 2 x"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
