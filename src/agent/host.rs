//! The properties of the host that the agent reports: its name, its queue and its environment.
//!
//! A property that cannot be determined is left empty: an agent that cannot name its distribution
//! is still useful. A property that cannot be determined *now*, because the host is short of
//! descriptors or memory, is an error, because targets would not match an empty value.

use std::net::Ipv4Addr;
use std::path::Path;

use serde::Serialize;

use super::modules;
use crate::disk::transient::is_shortage;
use crate::disk::{Disk, DiskError};

/// Maximum size of a file that describes the host, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The environment of an agent, which targets can refer to, in the original's form.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Environment {
    #[serde(skip_serializing_if = "String::is_empty")]
    init: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ident: String,
    os: &'static str,
    arch: &'static str,
    isproxied: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    publicip: &'static str,
    aws: Aws,
    modules: Vec<&'static str>,
}

/// Properties of a host in Amazon's cloud; always empty here.
#[derive(Debug, Clone, Serialize)]
struct Aws {}

impl Environment {
    /// Determines the environment of this host.
    ///
    /// # Errors
    /// The host lacks resources.
    pub(crate) fn of_this_host(disk: &Disk) -> Result<Environment, DiskError> {
        let read = |path: &str| known(text(disk, path)).map(Option::unwrap_or_default);
        let release = match known(text(disk, "/usr/lib/os-release"))? {
            Some(release) => release,
            // This file is a symbolic link on many systems.
            None => known(disk.read_input(Path::new("/etc/os-release"), FILE_BYTES_MAX))?
                .map(|input| String::from_utf8_lossy(&input.bytes).into_owned())
                .unwrap_or_default(),
        };
        let mut addresses = ipv4_addresses(&read("/proc/net/fib_trie")?, &read("/proc/net/route")?);
        addresses.extend(ipv6_addresses(&read("/proc/net/if_inet6")?));
        let systemd = known(disk.find(Path::new("/run/systemd/system")))?.flatten();
        Ok(Environment {
            init: match systemd {
                Some(_) => "systemd".to_owned(),
                None => read("/proc/1/comm")?.trim().to_owned(),
            },
            ident: ident(&release),
            os: std::env::consts::OS,
            arch: arch(std::env::consts::ARCH),
            isproxied: false,
            addresses,
            publicip: "127.0.0.1",
            aws: Aws {},
            modules: modules::NAMES.to_vec(),
        })
    }
}

/// Turns a permanent failure into `None`; a temporary one stays an error.
fn known<T>(found: Result<T, DiskError>) -> Result<Option<T>, DiskError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_shortage(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Returns the name of this host.
///
/// # Errors
/// The host lacks resources.
pub(crate) fn name(disk: &Disk) -> Result<String, DiskError> {
    let name = known(text(disk, "/proc/sys/kernel/hostname"))?.unwrap_or_default();
    let name = name.trim();
    Ok(if name.is_empty() { "localhost".to_owned() } else { name.to_owned() })
}

/// Returns the queue from which this host's agent takes its commands.
///
/// # Errors
/// The host lacks resources.
pub(crate) fn queue(disk: &Disk) -> Result<String, DiskError> {
    Ok(format!("{}.{}", std::env::consts::OS, name(disk)?))
}

fn text(disk: &Disk, path: &str) -> Result<String, DiskError> {
    let bytes = disk.read(Path::new(path), FILE_BYTES_MAX)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns Go's name of a processor architecture, which targets use.
fn arch(name: &'static str) -> &'static str {
    match name {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// Returns the distribution's name and version from the content of `os-release`.
fn ident(release: &str) -> String {
    let value = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
}

/// Returns the host's addresses with the prefix length of their network, except loopback.
fn ipv4_addresses(trie: &str, routes: &str) -> Vec<String> {
    let mut addresses: Vec<Ipv4Addr> = Vec::new();
    let mut leaf = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = leaf
            && !address.is_loopback()
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    let networks: Vec<(u32, u32)> = routes.lines().skip(1).filter_map(network).collect();
    addresses
        .into_iter()
        .map(|address| {
            let bits = address.to_bits();
            let sizes = networks
                .iter()
                .filter(|(network, mask)| bits & mask == *network)
                .map(|(_, mask)| mask.count_ones());
            format!("{address}/{}", sizes.max().unwrap_or(32))
        })
        .collect()
}

/// Returns network and mask of a route without a gateway.
fn network(line: &str) -> Option<(u32, u32)> {
    let mut fields = line.split_whitespace();
    let address = |hex: &str| u32::from_str_radix(hex, 16).ok().map(u32::from_be);
    let (network, gateway) = (fields.nth(1)?, fields.next()?);
    let mask = fields.nth(4)?;
    (address(gateway)? == 0).then_some((address(network)?, address(mask)?))
}

/// Returns the host's addresses with the prefix length of their network, except loopback.
fn ipv6_addresses(table: &str) -> Vec<String> {
    let address = |line: &str| {
        let mut fields = line.split_whitespace();
        let bits = u128::from_str_radix(fields.next()?, 16).ok()?;
        let size = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        let address = std::net::Ipv6Addr::from_bits(bits);
        (!address.is_loopback()).then(|| format!("{address}/{size}"))
    };
    table.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIE: &str = "\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
        |-- 192.0.2.2
           /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
";
    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_have_the_prefix_length_of_their_network() {
        assert_eq!(ipv4_addresses(TRIE, ROUTES), ["192.0.2.2/24"]);
        assert_eq!(ipv4_addresses(TRIE, ""), ["192.0.2.2/32"]);
        let table = "fe8000000000000000fc00fffe000001 02 40 20 80 eth0\n\
                     00000000000000000000000000000001 01 80 10 80 lo\n";
        assert_eq!(ipv6_addresses(table), ["fe80::fc:ff:fe00:1/64"]);
    }

    #[test]
    fn property_that_cannot_be_read_now_is_an_error() {
        use crate::disk::Context;
        let found = |errno: rustix::io::Errno| {
            let error = std::io::Error::from(errno);
            known(Err::<String, _>(error).context("read", Path::new("/etc/os-release")))
        };
        assert!(matches!(found(rustix::io::Errno::NOENT), Ok(None)));
        assert!(matches!(found(rustix::io::Errno::ACCESS), Ok(None)));
        for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOMEM]
        {
            assert!(found(errno).is_err(), "{errno}");
        }
    }

    #[test]
    fn distribution_has_its_pretty_name() {
        let release = "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(ident(release), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(ident(""), "");
    }
}
