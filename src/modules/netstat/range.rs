//! An IP address or network, as Go reads it.
//!
//! IPv4 addresses in their IPv6 form count as IPv4 addresses.

// From `core`: only modules that do I/O may import `std::net`.
use core::net::{IpAddr, Ipv6Addr};

/// Number of bits that precede an IPv4 address in its IPv6 form.
const MAPPED_BITS: u32 = 96;
/// Number of bits of an IPv6 address.
const BITS: u32 = 128;

/// All addresses with the same leading bits; those of IPv4 in their IPv6 form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressRange {
    first: u128,
    mask: u128,
    /// Whether it contains only IPv4 addresses.
    pub(crate) is_v4: bool,
}

impl AddressRange {
    pub(super) fn parse(text: &str) -> Option<AddressRange> {
        let Some((address, bits)) = text.split_once('/') else {
            return Some(AddressRange::new(text.parse().ok()?, BITS));
        };
        let address: IpAddr = address.parse().ok()?;
        // Rust would accept a sign before the number.
        if !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bits: u32 = bits.parse().ok()?;
        let bits = if address.is_ipv4() { bits.checked_add(MAPPED_BITS)? } else { bits };
        (bits <= BITS).then(|| AddressRange::new(address, bits))
    }

    fn new(address: IpAddr, bits: u32) -> AddressRange {
        let mask = u128::MAX.checked_shl(BITS - bits).unwrap_or_default();
        let first = in_ipv6(address) & mask;
        let is_v4 = bits >= MAPPED_BITS && Ipv6Addr::from_bits(first).to_canonical().is_ipv4();
        AddressRange { first, mask, is_v4 }
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        address.to_canonical().is_ipv4() == self.is_v4 && in_ipv6(address) & self.mask == self.first
    }
}

fn in_ipv6(address: IpAddr) -> u128 {
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
    fn ranges_are_read_as_in_go() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
        let forms: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in forms["ip"].as_array().unwrap() {
            let text = vector["text"].as_str().unwrap();
            let canonical = ["cidr_net", "ip"].iter().find_map(|kind| vector[kind].as_str());
            let expected = canonical.map(|text| AddressRange::parse(text).unwrap());
            assert_eq!(AddressRange::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_are_compared_by_value() {
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
            let parsed = AddressRange::parse(range).unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), inside, "{address} in {range}");
        }
    }

    #[test]
    fn invalid_networks_are_rejected() {
        for text in
            ["10.0.0.0/+8", "10.0.0.0/", "::/129", "10.0.0.0/4294967295", "/", "1.2.3.4/8/8"]
        {
            assert_eq!(AddressRange::parse(text), None, "{text}");
        }
    }
}
