//! The module `netstat`: addresses, neighbours, connections and listeners of this host.
//!
//! | file | does |
//! | --- | --- |
//! | `spaces` | lists the network namespaces to search |
//! | `socket`, `neighbour` | read the kernel's tables in `/proc` |
//! | `route` | reads links, addresses and IPv6 neighbours, which have no such table |
//! | `netlink` | sends the requests of `route` to the kernel |
//! | `findings` | collects hits, and builds the result in the original's form |
//!
//! **Invariants.** Each table is read once, so that all searches see the same state of it. A port
//! counts as listening only if it accepts traffic from new peers: TCP in the state LISTEN, UDP
//! without a peer. Addresses are compared by value, hardware addresses in any case. An empty
//! hardware address never matches.
//!
//! **Failure.** A table that cannot be read is reported in `errors`; the others are searched.

mod findings;
mod neighbour;
mod netlink;
mod route;
mod socket;
mod spaces;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use serde_json::value::RawValue;

use super::ModuleResult;
use crate::chain::Chain;
use crate::go::regexp::Regexp;
use crate::modules::netstat::{self, AddressRange, NetstatSearch, SearchTerm};
use findings::{NetstatElement, NetstatFindings};
use route::Neighbour;
use socket::Socket;
use spaces::NetworkSpace;

/// The folder of the kernel's tables.
pub(super) const PROC: &str = "/proc";

/// Runs the module with the tables below `proc`.
///
/// # Errors
/// The result cannot be written as JSON.
pub(super) fn run(parameters: &RawValue, proc: &Path) -> Result<ModuleResult, serde_json::Error> {
    let began = Instant::now();
    let search = match netstat::read(parameters) {
        Ok(search) => search,
        Err(error) => return Ok(ModuleResult::failed(Chain(&error).to_string())),
    };
    let mut findings = NetstatFindings::default();
    search_links(&search.localmac, &mut findings);
    search_addresses(&search.localip, &mut findings);
    if search.reads_namespace_tables() {
        let spaces = if search.namespaces {
            let (spaces, errors) = spaces::all(proc);
            findings.errors.extend(errors.iter().map(|error| Chain(error).to_string()));
            spaces
        } else {
            vec![spaces::own(proc)]
        };
        search_neighbours(&search, &spaces, &mut findings);
        search_sockets(&search, &spaces, &mut findings);
    }
    findings.result(began.elapsed())
}

fn search_links(terms: &[SearchTerm<Regexp>], findings: &mut NetstatFindings) {
    if terms.is_empty() {
        return;
    }
    let links = findings.or_report(route::links());
    for SearchTerm { text, value } in terms {
        findings.search("localmac", text, &links, |link| {
            let mac = link.mac.as_ref().filter(|mac| value.is_match(mac.as_bytes()))?;
            Some(NetstatElement { localmacaddr: mac.clone(), ..NetstatElement::default() })
        });
    }
}

fn search_addresses(terms: &[SearchTerm<AddressRange>], findings: &mut NetstatFindings) {
    if terms.is_empty() {
        return;
    }
    let addresses = findings.or_report(route::addresses());
    for SearchTerm { text, value } in terms {
        findings.search("localip", text, &addresses, |address| {
            let localaddr = value.contains(*address).then(|| address.to_string())?;
            Some(NetstatElement { localaddr, ..NetstatElement::default() })
        });
    }
}

/// Reads a table of all namespaces, and returns each row with its namespace.
fn read_all<'a, T, E: Error + 'static>(
    spaces: &'a [NetworkSpace],
    read: impl Fn(&NetworkSpace) -> (Vec<T>, Vec<E>),
    findings: &mut NetstatFindings,
) -> Vec<(&'a NetworkSpace, T)> {
    let mut all = Vec::new();
    for space in spaces {
        let (rows, errors) = read(space);
        all.extend(rows.into_iter().map(|row| (space, row)));
        // The process has ended: its namespace is left out, as if it had never been listed.
        if !errors.is_empty() && space.has_ended() {
            continue;
        }
        findings.errors.extend(errors.iter().map(|error| Chain(error).to_string()));
    }
    all
}

fn search_neighbours(
    search: &NetstatSearch,
    spaces: &[NetworkSpace],
    findings: &mut NetstatFindings,
) {
    if search.neighbormac.is_empty() && search.neighborip.is_empty() {
        return;
    }
    let neighbours = read_all(spaces, neighbour::list, findings);
    let element = |space: &NetworkSpace, neighbour: &Neighbour| NetstatElement {
        remotemacaddr: neighbour.mac.clone().unwrap_or_default(),
        remoteaddr: neighbour.address.to_string(),
        namespace: space.name.clone(),
        ..NetstatElement::default()
    };
    for SearchTerm { text, value } in &search.neighbormac {
        findings.search("neighbormac", text, &neighbours, |(space, neighbour)| {
            let matches = |mac: &String| value.is_match(mac.as_bytes());
            neighbour.mac.as_ref().is_some_and(matches).then(|| element(space, neighbour))
        });
    }
    for SearchTerm { text, value } in &search.neighborip {
        findings.search("neighborip", text, &neighbours, |(space, neighbour)| {
            value.contains(neighbour.address).then(|| element(space, neighbour))
        });
    }
}

fn search_sockets(search: &NetstatSearch, spaces: &[NetworkSpace], findings: &mut NetstatFindings) {
    if search.connectedip.is_empty() && search.listeningport.is_empty() {
        return;
    }
    let sockets = read_all(spaces, socket::list, findings);
    let element = |space: &NetworkSpace, socket: &Socket| NetstatElement {
        localaddr: socket.local.ip().to_string(),
        localport: socket.local.port(),
        namespace: space.name.clone(),
        ..NetstatElement::default()
    };
    for SearchTerm { text, value } in &search.connectedip {
        // Only IPv6 sockets can have peers of both versions.
        let able = sockets.iter().filter(|(_, socket)| socket.is_v6 || value.is_v4);
        findings.search("connectedip", text, able, |(space, socket)| {
            let (address, port) = (socket.remote.ip(), socket.remote.port());
            value.contains(address).then(|| NetstatElement {
                remoteaddr: address.to_string(),
                remoteport: port,
                ..element(space, socket)
            })
        });
    }
    for SearchTerm { text, value } in &search.listeningport {
        findings.search("listeningport", text, &sockets, |(space, socket)| {
            let listens = socket.is_listening && socket.local.port() == *value;
            listens.then(|| element(space, socket))
        });
    }
}

#[cfg(test)]
mod tests;
