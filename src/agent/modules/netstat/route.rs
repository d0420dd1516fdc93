//! Links, addresses and IPv6 neighbours, read from the kernel by rtnetlink.
//!
//! `/proc` has no table of these, and `/sys` shows the links of the namespace in which it was
//! mounted.

use std::io;
use std::net::IpAddr;

use super::netlink::{self, NetlinkEntry, u16_at};

const GET_LINK: u16 = 18;
const GET_ADDRESS: u16 = 22;
const GET_NEIGHBOUR: u16 = 30;

const LINK_BYTES: usize = 16;
const ADDRESS_BYTES: usize = 8;
const NEIGHBOUR_BYTES: usize = 12;

/// Address families, where 0 stands for all.
const ANY_FAMILY: u8 = 0;
const INET6_FAMILY: u8 = 10;

const LINK_MAC: u16 = 1;
const ADDRESS_ADDRESS: u16 = 1;
const ADDRESS_LOCAL: u16 = 2;
const NEIGHBOUR_ADDRESS: u16 = 1;
const NEIGHBOUR_MAC: u16 = 2;

/// Offset of a neighbour's state, in bytes.
const STATE_AT: usize = 8;
/// The state of an entry that is not a neighbour, such as a multicast group.
const NO_ARP: u16 = 0x40;

#[derive(Debug, thiserror::Error)]
#[error("cannot read {what} from the kernel")]
pub(super) struct RouteError {
    what: &'static str,
    source: io::Error,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// The hardware address, in lower case.
    pub(super) mac: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) address: IpAddr,
    /// The hardware address, in lower case.
    pub(super) mac: Option<String>,
}

/// Returns the links of this thread's namespace.
pub(super) fn links() -> Result<Vec<Link>, RouteError> {
    list("links", GET_LINK, ANY_FAMILY, LINK_BYTES, |entry| {
        let (_, attributes) = entry.split(LINK_BYTES)?;
        Some(Link { mac: attributes.get(LINK_MAC).and_then(mac) })
    })
}

/// Returns the addresses of this thread's namespace.
pub(super) fn addresses() -> Result<Vec<IpAddr>, RouteError> {
    list("addresses", GET_ADDRESS, ANY_FAMILY, ADDRESS_BYTES, |entry| {
        let (_, attributes) = entry.split(ADDRESS_BYTES)?;
        // On a point-to-point link, the other attribute is the peer's address.
        ip(attributes.get(ADDRESS_LOCAL).or_else(|| attributes.get(ADDRESS_ADDRESS))?)
    })
}

/// Returns the IPv6 neighbours of this thread's namespace.
pub(super) fn neighbours() -> Result<Vec<Neighbour>, RouteError> {
    list("IPv6 neighbours", GET_NEIGHBOUR, INET6_FAMILY, NEIGHBOUR_BYTES, |entry| {
        let (fixed, attributes) = entry.split(NEIGHBOUR_BYTES)?;
        if u16_at(fixed, STATE_AT)? & NO_ARP != 0 {
            return None;
        }
        let address = ip(attributes.get(NEIGHBOUR_ADDRESS)?)?;
        Some(Neighbour { address, mac: attributes.get(NEIGHBOUR_MAC).and_then(mac) })
    })
}

fn list<T>(
    what: &'static str,
    kind: u16,
    family: u8,
    fixed_bytes: usize,
    read: impl Fn(&NetlinkEntry) -> Option<T>,
) -> Result<Vec<T>, RouteError> {
    // The first byte is the family; requests do not use the rest of the fixed part.
    let mut fixed = vec![family];
    fixed.resize(fixed_bytes, 0);
    let entries = netlink::list(kind, &fixed).map_err(|source| RouteError { what, source })?;
    Ok(entries.iter().filter_map(read).collect())
}

/// Returns the text of a hardware address; `None` for all zeros, and for the IP addresses that
/// tunnels have in its place.
fn mac(bytes: &[u8]) -> Option<String> {
    let is_absent = bytes.iter().all(|byte| *byte == 0) || ip(bytes).is_some();
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (!is_absent).then(|| digits.join(":"))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
    v4.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_have_any_length() {
        assert_eq!(mac(&[2, 0, 0x5e, 0xaa, 0, 1]).as_deref(), Some("02:00:5e:aa:00:01"));
        assert_eq!(mac(&[1; 20]).map(|mac| mac.len()), Some(59));
        for none in [&[][..], &[0; 6], &[127, 0, 0, 1], &[1; 16]] {
            assert_eq!(mac(none), None);
        }
    }
}
