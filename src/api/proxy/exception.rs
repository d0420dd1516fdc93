//! `no_proxy`: the hosts to connect to directly, by the rules of Go's HTTP client.
//!
//! Entries are separated by commas. An entry is `*`, a network in CIDR notation, an address or a
//! domain; addresses and domains may have a port. `foo.com` matches the domain and its subdomains,
//! `.foo.com` and `*.foo.com` only the subdomains. An entry of any other form matches nothing.
//! Names are not resolved.

use std::net::IpAddr;

use reqwest::Url;

/// Number of bits before the IPv4 address in an IPv4-mapped IPv6 address.
const MAPPED_BITS: u8 = 96;

/// Returns whether the list contains a host; `address` is the host's address unless it is a name.
pub(super) fn is_listed(list: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    let host = host.trim_matches(['[', ']']);
    list.split(',').any(|entry| matches(&entry.trim().to_lowercase(), host, address, port))
}

fn matches(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry.is_empty() || entry == "*" {
        return entry == "*";
    }
    if let Some(network) = Network::parse(entry) {
        return address.is_some_and(|address| network.contains(address));
    }
    let (name, wanted) = split_port(entry);
    let is_port = wanted.is_empty() || wanted == port.to_string();
    let is_host = match name.parse::<IpAddr>() {
        Ok(listed) => address == Some(listed.to_canonical()),
        Err(_) => is_in_domain(name, host),
    };
    is_port && is_host
}

/// Splits the port off an entry; an IPv6 address with a port is in brackets.
fn split_port(entry: &str) -> (&str, &str) {
    let bracketed = entry.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match (bracketed, entry.rsplit_once(':')) {
        (Some((inside, "")), _) => (inside, ""),
        (Some((inside, rest)), _) => match rest.strip_prefix(':') {
            Some(port) => (inside, port),
            None => (entry, ""),
        },
        (None, Some((name, port))) if !name.contains(':') => (name, port),
        (None, _) => (entry, ""),
    }
}

fn is_in_domain(entry: &str, host: &str) -> bool {
    let entry = match entry.strip_prefix('*') {
        Some(below) if below.starts_with('.') => below,
        _ => entry,
    };
    let (name, is_below_only) = match entry.strip_prefix('.') {
        Some(name) => (name, true),
        None => (entry, false),
    };
    let name = ascii(name);
    match host.strip_suffix(&name) {
        _ if name.is_empty() => is_below_only && host.ends_with('.'),
        Some("") => !is_below_only,
        Some(above) => above.ends_with('.'),
        None => false,
    }
}

/// Returns a name as in a URL, where international names are encoded in ASCII.
fn ascii(name: &str) -> String {
    let encoded = || Url::parse(&format!("http://{name}/")).ok()?.host_str().map(str::to_owned);
    if name.is_ascii() { None } else { encoded() }.unwrap_or_else(|| name.to_owned())
}

/// A network in CIDR notation.
#[derive(Debug)]
struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    fn parse(entry: &str) -> Option<Network> {
        let (base, bits) = entry.split_once('/')?;
        let base: IpAddr = base.parse().ok()?;
        if !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bits: u8 = bits.parse().ok()?;
        match (base, base.to_canonical()) {
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if bits >= MAPPED_BITS => {
                (bits <= 128).then(|| Network { base: canonical, bits: bits - MAPPED_BITS })
            }
            (IpAddr::V4(_), _) if bits > 32 => None,
            (IpAddr::V6(_), _) if bits > 128 => None,
            _ => Some(Network { base, bits }),
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        let cut = |bits: u128, all: u8| bits.checked_shr(u32::from(all - self.bits)).unwrap_or(0);
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                cut(u32::from(base).into(), 32) == cut(u32::from(address).into(), 32)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                cut(base.into(), 128) == cut(address.into(), 128)
            }
            _ => false,
        }
    }
}
