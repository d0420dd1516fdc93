//! An address, or a network of them, as Go reads it.
//!
//! Addresses of IPv4 that are written in IPv6 are those of IPv4.

use std::net::{IpAddr, Ipv6Addr};

/// The bits before an address of IPv4 that is written in IPv6.
const MAPPED_BITS: u32 = 96;
/// The bits of an address of IPv6.
const BITS: u32 = 128;

/// A text that is no address and no network, in the original's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RangeError {
    /// It has no slash and is no address.
    #[error("invalid IPv{{4,6}} {0}. Must be an IP or a CIDR.")]
    Address(String),
    /// It has a slash and is no network.
    #[error("invalid IPv{{4,6}} CIDR {0}: invalid CIDR address: {0}. Must be an IP or a CIDR.")]
    Network(String),
}

/// All addresses that begin with the same bits; those of IPv4 in their form for IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    first: u128,
    mask: u128,
    /// Whether it has only addresses of IPv4.
    pub(super) is_v4: bool,
}

impl Range {
    /// Reads an address or a network.
    pub(super) fn parse(text: &str) -> Result<Range, RangeError> {
        let Some((address, bits)) = text.split_once('/') else {
            let address = text.parse().map_err(|_| RangeError::Address(text.to_owned()))?;
            return Ok(Range::new(address, BITS));
        };
        Range::network(address, bits).ok_or_else(|| RangeError::Network(text.to_owned()))
    }

    fn network(address: &str, bits: &str) -> Option<Range> {
        let address: IpAddr = address.parse().ok()?;
        // A number may have a sign in Rust.
        if !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bits: u32 = bits.parse().ok()?;
        let bits = if address.is_ipv4() { bits.checked_add(MAPPED_BITS)? } else { bits };
        (bits <= BITS).then(|| Range::new(address, bits))
    }

    fn new(address: IpAddr, bits: u32) -> Range {
        let mask = u128::MAX.checked_shl(BITS - bits).unwrap_or_default();
        let first = wide(address) & mask;
        let is_v4 = bits >= MAPPED_BITS && Ipv6Addr::from_bits(first).to_canonical().is_ipv4();
        Range { first, mask, is_v4 }
    }

    /// Tells whether an address is in it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        address.to_canonical().is_ipv4() == self.is_v4 && wide(address) & self.mask == self.first
    }
}

fn wide(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests read their data")]

    use super::*;

    #[test]
    fn ranges_are_read_as_by_go() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
        let forms: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in forms["ip"].as_array().unwrap() {
            let text = vector["text"].as_str().unwrap();
            let expected = ["cidr_net", "ip"].iter().find_map(|kind| vector[kind].as_str());
            match (Range::parse(text), expected) {
                // Its canonical form means the same.
                (Ok(range), Some(expected)) => assert_eq!(Range::parse(expected), Ok(range)),
                (Err(error), None) => {
                    let told = vector["cidr_error"].as_str().unwrap();
                    assert!(!text.contains('/') || error.to_string().contains(told), "{error}");
                }
                (read, _) => panic!("{text}: {read:?}"),
            }
        }
    }

    #[test]
    fn addresses_are_compared_not_texts() {
        for (range, address, inside) in [
            ("10.0.0.1/8", "10.255.0.0", true),
            ("10.0.0.1/8", "11.0.0.0", false),
            ("0.0.0.0/0", "255.1.2.3", true),
            ("0.0.0.0/0", "::ffff:1.2.3.4", true),
            ("0.0.0.0/0", "::", false),
            ("::/0", "1.2.3.4", false),
            ("::/0", "2001:db8::1", true),
            ("::ffff:10.0.0.0/104", "10.1.1.1", true),
            ("::ffff:1.2.3.4", "1.2.3.4", true),
            ("2001:db8:0:0:0:0:0:1", "2001:db8::1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("10.0.0.0/08", "10.0.0.9", true),
        ] {
            let read = Range::parse(range).unwrap();
            assert_eq!(read.contains(address.parse().unwrap()), inside, "{address} in {range}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["10.0.0.0/+8", "10.0.0.0/", "::/129", "10.0.0.0/4294967295", "/", "1.2.3.4/8/8"]
        {
            assert_eq!(Range::parse(text), Err(RangeError::Network(text.to_owned())));
        }
    }
}
