//! What was asked: whom to ping, how, and how often.

use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::parameters::{Place, ReadError, Structure, TypeError, cut, parse};
use crate::spawn::deadline::Deadline;

/// How many pings are made if nothing is said.
const COUNT: i64 = 3;
/// How many seconds an answer is waited for if nothing is said.
const TIMEOUT_SECONDS: i64 = 5;
/// The port that is pinged if none is named, as documented.
const PORT: u16 = 80;

/// How it is pinged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// By an echo request.
    Icmp,
    Tcp,
    Udp,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Protocol::Icmp => "icmp",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// Parameters that make no sense, in the original's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There is no such protocol.
    #[error("{0} is not a supported ping protocol")]
    Protocol(String),
    /// There is no such port.
    #[error("{} ping requires a valid destination port between 0 and 65535, got {port}", protocol.name())]
    Port {
        /// The protocol that needs it.
        protocol: Protocol,
        port: i64,
    },
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timeout {
    /// Not at all, though a connection is given as much time as the system gives it: so it
    /// is in the original, for half a second as well.
    Zero,
    After(Duration),
}

impl Timeout {
    /// Returns when it is too late for an answer to a packet that is sent now.
    pub(super) fn deadline(self) -> Deadline {
        match self {
            Timeout::Zero => Deadline::after(Duration::ZERO),
            Timeout::After(span) => Deadline::after(span),
        }
    }
}

/// What is to be pinged.
#[derive(Debug)]
pub(super) struct Request {
    /// A name or an address.
    pub(super) destination: String,
    pub(super) protocol: Protocol,
    /// The port, without meaning for ICMP.
    pub(super) port: u16,
    /// How often; below 1 never.
    pub(super) count: i64,
    /// How long an answer is waited for.
    pub(super) timeout: Timeout,
}

/// The parameters as they came.
struct Raw {
    destination: String,
    protocol: String,
    port: i64,
    count: Option<f64>,
    timeout: Option<f64>,
}

/// Reads the parameters of the module.
pub(super) fn read(parameters: &RawValue) -> Result<Request, RequestError> {
    let raw = parse(parameters, raw)?;
    let protocol = match raw.protocol.as_str() {
        "icmp" => Protocol::Icmp,
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return Err(RequestError::Protocol(raw.protocol)),
    };
    let port = match u16::try_from(raw.port) {
        Ok(0) => PORT,
        Ok(port) => port,
        Err(_) if protocol == Protocol::Icmp => PORT,
        Err(_) => return Err(RequestError::Port { protocol, port: raw.port }),
    };
    // Only what is absent has a default: a half is cut to nothing, as by the original.
    let seconds = raw.timeout.map_or(TIMEOUT_SECONDS, cut);
    let timeout = match u64::try_from(seconds) {
        Ok(0) => Timeout::Zero,
        Ok(seconds) => Timeout::After(Duration::from_secs(seconds)),
        Err(_) => Timeout::After(Duration::ZERO),
    };
    let count = raw.count.map_or(COUNT, cut);
    Ok(Request { destination: raw.destination, protocol, port, count, timeout })
}

fn raw(parameters: &Value) -> Result<Raw, TypeError> {
    let whole = Structure::new(parameters, &Place::Whole, "params", "ping.params")?;
    Ok(Raw {
        destination: whole.text("destination")?,
        protocol: whole.text("protocol")?,
        port: whole.whole("destinationport")?,
        count: whole.number("count")?,
        timeout: whole.number("timeout")?,
    })
}
