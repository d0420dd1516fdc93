//! The module `ping`: whether a host or a port answers, and how fast.
//!
//! | file | does |
//! | --- | --- |
//! | `ports`, `icmp` | send a single ping by TCP, UDP or ICMP |
//! | `echo` | builds and checks the packets of ICMP echo |
//!
//! The destination is resolved once, so that the result names the address that was pinged.
//!
//! **Failure.** A failed ping takes its place in `latencies`, and the next one follows. The numbers
//! are the original's: -1 for a refusal, 9999999 for no answer in time, 0 for another error, which
//! `failures` explains. Silence after a UDP packet counts as found: the port is open, or a firewall
//! drops the packets.

mod echo;
mod icmp;
mod ports;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::ModuleResult;
use crate::chain::Chain;
use crate::modules::ping::{self, PingProtocol, PingRequest, PingTimeout};
use crate::spawn::deadline::Deadline;

/// The payload of UDP packets; ICMP packets repeat it.
const PAYLOAD: &[u8] = b"Ping!Ping!Ping!";
/// Pause between two pings.
const PAUSE: Duration = Duration::from_millis(100);
/// The result of a ping without an answer in time.
const TIMED_OUT: i32 = 9_999_999;
/// The result of a refused ping.
const REFUSED: i32 = -1;

#[derive(Debug)]
enum PingOutcome {
    /// The answer came after this time.
    Answered(Duration),
    /// The host reported that nothing listens on the port.
    Refused,
    TimedOut,
}

/// Why a ping could not be sent, or its answer not received.
#[derive(Debug, thiserror::Error)]
enum PingError {
    #[error("cannot open socket")]
    Open(#[source] io::Error),
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("cannot send")]
    Send(#[source] io::Error),
    #[error("cannot receive")]
    Receive(#[source] io::Error),
}

#[derive(Debug, thiserror::Error)]
enum ResolveError {
    #[error("destination {0:?} has no address")]
    NoAddress(String),
    #[error("cannot resolve destination {destination:?}")]
    Resolve { destination: String, source: io::Error },
}

#[derive(Debug, Serialize)]
struct PingElements<'a> {
    latencies: Option<Vec<Latency>>,
    protocol: &'a str,
    resolvedhost: String,
    failures: Option<Vec<String>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Latency {
    Milliseconds(f64),
    Code(i32),
}

/// Runs the module.
///
/// # Errors
/// The result cannot be written as JSON.
pub(super) fn run(parameters: &RawValue) -> Result<ModuleResult, serde_json::Error> {
    let request = match ping::read(parameters) {
        Ok(request) => request,
        Err(error) => return Ok(ModuleResult::failed(Chain(&error).to_string())),
    };
    let address = match resolve(&request.destination) {
        Ok(address) => address,
        Err(error) => return Ok(ModuleResult::failed(Chain(&error).to_string())),
    };
    let mut results = PingResults::default();
    for number in 1..=request.count {
        if number > 1 {
            pause();
        }
        results.add(number, request.protocol, send_ping(&request, address, number));
    }
    let elements = PingElements {
        latencies: Some(results.latencies).filter(|latencies| !latencies.is_empty()),
        protocol: request.protocol.name(),
        resolvedhost: resolved_host(&request, address),
        failures: Some(results.failures).filter(|failures| !failures.is_empty()),
    };
    Ok(ModuleResult {
        foundanything: results.found,
        success: true,
        elements: to_raw_value(&elements)?,
        statistics: RawValue::NULL.to_owned(),
        errors: Vec::new(),
    })
}

/// Returns the first IPv4 address of a name, or its first address if it has none. Go also prefers
/// IPv4, whatever the order of the system's resolver.
fn resolve(destination: &str) -> Result<SocketAddr, ResolveError> {
    let addresses = (destination, 0).to_socket_addrs();
    let addresses: Vec<SocketAddr> = match addresses {
        Ok(addresses) => addresses.collect(),
        Err(source) => {
            return Err(ResolveError::Resolve { destination: destination.to_owned(), source });
        }
    };
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| ResolveError::NoAddress(destination.to_owned()))
}

/// Returns the destination with the address that it was resolved to.
fn resolved_host(request: &PingRequest, address: SocketAddr) -> String {
    let (destination, ip) = (&request.destination, address.ip());
    match request.protocol {
        PingProtocol::Icmp => format!("{destination} ({ip})"),
        PingProtocol::Tcp | PingProtocol::Udp if destination.contains(':') => {
            format!("[{destination}]:{} ({ip})", request.port)
        }
        PingProtocol::Tcp | PingProtocol::Udp => {
            format!("{destination}:{} ({ip})", request.port)
        }
    }
}

fn send_ping(
    request: &PingRequest,
    mut address: SocketAddr,
    number: i64,
) -> Result<PingOutcome, PingError> {
    match request.protocol {
        PingProtocol::Tcp => {
            address.set_port(request.port);
            ports::ping_tcp(address, request.timeout)
        }
        PingProtocol::Udp => {
            address.set_port(request.port);
            ports::ping_udp(address, request.timeout)
        }
        PingProtocol::Icmp => icmp::ping(address, request.timeout, number),
    }
}

/// Returns the deadline for the answer to a packet that is sent now.
fn deadline(timeout: PingTimeout) -> Deadline {
    match timeout {
        PingTimeout::Zero => Deadline::after(Duration::ZERO),
        PingTimeout::After(span) => Deadline::after(span),
    }
}

#[expect(clippy::disallowed_methods, reason = "the agent stops a module by killing it")]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[derive(Debug, Default)]
struct PingResults {
    found: bool,
    latencies: Vec<Latency>,
    failures: Vec<String>,
}

impl PingResults {
    fn add(&mut self, number: i64, protocol: PingProtocol, result: Result<PingOutcome, PingError>) {
        self.latencies.push(match result {
            Ok(PingOutcome::Answered(latency)) => {
                self.found = true;
                Latency::Milliseconds(latency.as_secs_f64() * 1000.0)
            }
            Ok(PingOutcome::Refused) => Latency::Code(REFUSED),
            Ok(PingOutcome::TimedOut) => {
                self.found |= protocol == PingProtocol::Udp;
                Latency::Code(TIMED_OUT)
            }
            Err(error) => {
                self.failures.push(format!("ping {number}: {}", Chain(&error)));
                Latency::Code(0)
            }
        });
    }
}

#[cfg(test)]
mod tests;
