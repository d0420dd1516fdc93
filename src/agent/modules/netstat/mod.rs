//! The module `netstat`: addresses, neighbours, connections and listeners of this host.
//!
//! | file | does |
//! | --- | --- |
//! | `request`, `range` | what was asked, or in the original's words what makes no sense |
//! | `spaces` | the network namespaces that are looked at |
//! | `socket`, `neighbour` | the tables of the kernel that are text |
//! | `route` | links, addresses and IPv6 neighbours, for which there is no such table |
//! | `netlink` | the conversation by which those are had |
//! | `findings` | what was found, and the result in the original's form |
//!
//! **Invariants.** Each table is read once, so that all searches see one state of it. A port
//! counts as listening only if something can come in on it: TCP in the state LISTEN, UDP
//! without a peer. Addresses are compared as addresses, hardware addresses in any case, and
//! one that is empty never matches.
//!
//! **Failure.** A table that cannot be read is told in `errors`; the others are searched.

mod findings;
mod neighbour;
mod netlink;
mod range;
mod request;
mod route;
mod socket;
mod spaces;

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use serde_json::value::RawValue;

use super::ModuleResult;
use super::go_regex::GoRegex;
use crate::chain::Chain;
use findings::{Element, Findings};
use neighbour::Neighbour;
use range::Range;
use request::{Asked, Request};
use socket::Socket;
use spaces::Space;

/// Where the kernel's tables are.
pub(super) const PROC: &str = "/proc";

/// Runs the module over the tables below `proc`.
///
/// # Errors
/// The result cannot be written as JSON.
pub(super) fn run(parameters: &RawValue, proc: &Path) -> Result<ModuleResult, serde_json::Error> {
    let began = Instant::now();
    let request = match request::read(parameters) {
        Ok(request) => request,
        Err(error) => return Ok(ModuleResult::failed(error.to_string())),
    };
    let mut findings = Findings::default();
    search_links(&request.localmac, &mut findings);
    search_addresses(&request.localip, &mut findings);
    if request.is_about_spaces() {
        let spaces = if request.namespaces {
            let (spaces, errors) = spaces::all(proc);
            findings.errors.extend(errors.iter().map(|error| Chain(error).to_string()));
            spaces
        } else {
            vec![spaces::own(proc)]
        };
        search_neighbours(&request, &spaces, &mut findings);
        search_sockets(&request, &spaces, &mut findings);
    }
    findings.result(began.elapsed())
}

fn search_links(asked: &[Asked<GoRegex>], findings: &mut Findings) {
    if asked.is_empty() {
        return;
    }
    let links = findings.noted(route::links());
    for Asked { text, wanted } in asked {
        findings.search("localmac", text, &links, |link| {
            let mac = link.mac.as_ref().filter(|mac| wanted.is_match(mac.as_bytes()))?;
            Some(Element { localmacaddr: mac.clone(), ..Element::default() })
        });
    }
}

fn search_addresses(asked: &[Asked<Range>], findings: &mut Findings) {
    if asked.is_empty() {
        return;
    }
    let addresses = findings.noted(route::addresses());
    for Asked { text, wanted } in asked {
        findings.search("localip", text, &addresses, |address| {
            wanted
                .contains(*address)
                .then(|| Element { localaddr: address.to_string(), ..Element::default() })
        });
    }
}

/// Returns what `read` gives of all namespaces, each with the name of its own.
fn of_all<'a, T, E: Error + 'static>(
    spaces: &'a [Space],
    read: impl Fn(&Space) -> (Vec<T>, Vec<E>),
    findings: &mut Findings,
) -> Vec<(&'a Space, T)> {
    let mut all = Vec::new();
    for space in spaces {
        let (some, errors) = read(space);
        all.extend(some.into_iter().map(|one| (space, one)));
        // As for a process that ended before its namespace was found.
        if !errors.is_empty() && space.has_ended() {
            continue;
        }
        findings.errors.extend(errors.iter().map(|error| Chain(error).to_string()));
    }
    all
}

fn search_neighbours(request: &Request, spaces: &[Space], findings: &mut Findings) {
    if request.neighbormac.is_empty() && request.neighborip.is_empty() {
        return;
    }
    let neighbours = of_all(spaces, neighbour::list, findings);
    let element = |space: &Space, neighbour: &Neighbour| Element {
        remotemacaddr: neighbour.mac.clone().unwrap_or_default(),
        remoteaddr: neighbour.address.to_string(),
        namespace: space.name.clone(),
        ..Element::default()
    };
    for Asked { text, wanted } in &request.neighbormac {
        findings.search("neighbormac", text, &neighbours, |(space, neighbour)| {
            let matches = |mac: &String| wanted.is_match(mac.as_bytes());
            neighbour.mac.as_ref().is_some_and(matches).then(|| element(space, neighbour))
        });
    }
    for Asked { text, wanted } in &request.neighborip {
        findings.search("neighborip", text, &neighbours, |(space, neighbour)| {
            wanted.contains(neighbour.address).then(|| element(space, neighbour))
        });
    }
}

fn search_sockets(request: &Request, spaces: &[Space], findings: &mut Findings) {
    if request.connectedip.is_empty() && request.listeningport.is_empty() {
        return;
    }
    let sockets = of_all(spaces, socket::list, findings);
    let element = |space: &Space, socket: &Socket| Element {
        localaddr: socket.local.ip().to_string(),
        localport: socket.local.port(),
        namespace: space.name.clone(),
        ..Element::default()
    };
    for Asked { text, wanted } in &request.connectedip {
        // Only a socket of IPv6 can have a peer of either kind.
        let able = sockets.iter().filter(|(_, socket)| socket.is_v6 || wanted.is_v4);
        findings.search("connectedip", text, able, |(space, socket)| {
            let (address, port) = (socket.remote.ip(), socket.remote.port());
            wanted.contains(address).then(|| Element {
                remoteaddr: address.to_string(),
                remoteport: port,
                ..element(space, socket)
            })
        });
    }
    for Asked { text, wanted } in &request.listeningport {
        findings.search("listeningport", text, &sockets, |(space, socket)| {
            let listens = socket.is_listening && socket.local.port() == *wanted;
            listens.then(|| element(space, socket))
        });
    }
}

#[cfg(test)]
mod tests;
