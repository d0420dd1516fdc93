//! The module `ping`: whether a host or a port answers, and how fast.
//!
//! | file | does |
//! | --- | --- |
//! | `request` | what was asked, or in the original's words what makes no sense |
//! | `tcp`, `udp`, `icmp` | one ping each |
//! | `echo` | the packets of ICMP |
//!
//! The name is resolved once, so that what is told is what was pinged.
//!
//! **Failure.** A ping that fails is told in its place, and the next one is made. The
//! numbers for that are the original's: -1 is refused, 9999999 is no answer in time, 0 is
//! other trouble, which `failures` tells of. Silence after UDP counts as found: the port
//! is open, or somebody drops what comes.

mod echo;
mod icmp;
mod request;
mod tcp;
mod udp;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::ModuleResult;
use super::reason::reason;
use request::{Protocol, Request};

/// What each ping carries, where it carries anything.
const PAYLOAD: &[u8] = b"Ping!Ping!Ping!";
/// How long it is quiet between two pings.
const PAUSE_SPAN: Duration = Duration::from_millis(100);
/// What is told of a ping that is not answered in time.
const TIMED_OUT: i32 = 9_999_999;
/// What is told of a ping that is refused.
const REFUSED: i32 = -1;

/// What came of a ping.
#[derive(Debug)]
enum Outcome {
    /// An answer, after this time.
    Answered(Duration),
    /// Nobody is there, and that was said.
    Refused,
    /// Nothing came in time.
    TimedOut,
    /// It could not be made.
    Failed(Fault),
}

/// A ping that could not be made; the texts are those of the original.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {call}: {}", reason(source))]
struct Fault {
    /// What was being done.
    doing: &'static str,
    /// The call that failed.
    call: String,
    source: io::Error,
}

impl Fault {
    /// Returns what makes a fault of an error of the call `call`.
    fn when(doing: &'static str, call: String) -> impl FnOnce(io::Error) -> Fault {
        move |source| Fault { doing, call, source }
    }
}

/// A destination that is nowhere; the texts are the original's.
#[derive(Debug, thiserror::Error)]
enum ResolveError {
    #[error("FQDN does not resolve to any known ip")]
    NoAddress,
    #[error("destination IP is invalid: {0}")]
    Invalid(String),
}

#[derive(Debug, Serialize)]
struct Elements<'a> {
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
    let request = match request::read(parameters) {
        Ok(request) => request,
        Err(error) => return Ok(ModuleResult::failed(error.to_string())),
    };
    let address = match resolve(&request.destination) {
        Ok(address) => address,
        Err(error) => return Ok(ModuleResult::failed(error.to_string())),
    };
    let mut pings = Pings::default();
    for number in 1..=request.count {
        if number > 1 {
            pause();
        }
        pings.add(number, request.protocol, ping(&request, address, number));
    }
    let elements = Elements {
        latencies: Some(pings.latencies).filter(|latencies| !latencies.is_empty()),
        protocol: request.protocol.name(),
        resolvedhost: resolved(&request, address),
        failures: Some(pings.failures).filter(|failures| !failures.is_empty()),
    };
    Ok(ModuleResult {
        foundanything: pings.found,
        success: true,
        elements: to_raw_value(&elements)?,
        statistics: RawValue::NULL.to_owned(),
        errors: Vec::new(),
    })
}

/// Returns the first address of a name, or the address that it is. One of IPv4 goes before
/// the others, as in Go, whatever order the system's resolver prefers.
fn resolve(destination: &str) -> Result<SocketAddr, ResolveError> {
    let addresses: Vec<SocketAddr> = (destination, 0)
        .to_socket_addrs()
        .map_err(|_| ResolveError::Invalid(destination.to_owned()))?
        .collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or(ResolveError::NoAddress)
}

/// Returns what was asked for and what that is.
fn resolved(request: &Request, address: SocketAddr) -> String {
    let (destination, ip) = (&request.destination, address.ip());
    match request.protocol {
        Protocol::Icmp => format!("{destination} ({ip})"),
        Protocol::Tcp | Protocol::Udp if destination.contains(':') => {
            format!("[{destination}]:{} ({ip})", request.port)
        }
        Protocol::Tcp | Protocol::Udp => format!("{destination}:{} ({ip})", request.port),
    }
}

fn ping(request: &Request, mut address: SocketAddr, number: i64) -> Outcome {
    let outcome = match request.protocol {
        Protocol::Tcp => {
            address.set_port(request.port);
            tcp::ping(address, request.timeout)
        }
        Protocol::Udp => {
            address.set_port(request.port);
            udp::ping(address, request.timeout)
        }
        Protocol::Icmp => icmp::ping(address, request.timeout, number),
    };
    outcome.unwrap_or_else(Outcome::Failed)
}

#[expect(clippy::disallowed_methods, reason = "a module has no stop to wait for: it is killed")]
fn pause() {
    std::thread::sleep(PAUSE_SPAN);
}

/// What came of all pings.
#[derive(Debug, Default)]
struct Pings {
    found: bool,
    latencies: Vec<Latency>,
    failures: Vec<String>,
}

impl Pings {
    fn add(&mut self, number: i64, protocol: Protocol, outcome: Outcome) {
        self.latencies.push(match outcome {
            Outcome::Answered(latency) => {
                self.found = true;
                Latency::Milliseconds(latency.as_secs_f64() * 1000.0)
            }
            Outcome::Refused => Latency::Code(REFUSED),
            Outcome::TimedOut => {
                self.found |= protocol == Protocol::Udp;
                Latency::Code(TIMED_OUT)
            }
            Outcome::Failed(fault) => {
                self.failures.push(format!("ping #{number} failed with error: {fault}"));
                Latency::Code(0)
            }
        });
    }
}

#[cfg(test)]
mod tests;
