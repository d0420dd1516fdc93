//! Parameters of the module `ping`: validated destination, protocol and limits.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::parameters::{self, ParameterError, truncate};

/// Default number of pings.
const COUNT: i64 = 3;
/// Default time limit for an answer, in seconds.
const TIMEOUT_SECONDS: i64 = 5;
/// Default port. The original documents this default but uses port 0.
const PORT: u16 = 80;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PingProtocol {
    Icmp,
    Tcp,
    Udp,
}

impl PingProtocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            PingProtocol::Icmp => "icmp",
            PingProtocol::Tcp => "tcp",
            PingProtocol::Udp => "udp",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PingParameterError {
    #[error(transparent)]
    Form(#[from] ParameterError),
    #[error("{0:?} is not a ping protocol: icmp, tcp or udp")]
    Protocol(String),
    #[error("destinationport {0} is not a port from 0 to 65535")]
    Port(i64),
}

/// Time limit for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PingTimeout {
    /// An answer counts only if it has already arrived; a TCP connection is limited only by the
    /// system. The original treats every timeout between 0 and 1 second this way.
    Zero,
    After(Duration),
}

#[derive(Debug)]
pub(crate) struct PingRequest {
    /// A host name or an address.
    pub(crate) destination: String,
    pub(crate) protocol: PingProtocol,
    /// Not used for ICMP.
    pub(crate) port: u16,
    /// Number of pings. If it is below 1, none is sent.
    pub(crate) count: i64,
    pub(crate) timeout: PingTimeout,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PingParameters {
    destination: String,
    protocol: String,
    destinationport: f64,
    count: f64,
    timeout: f64,
}

pub(crate) fn read(parameters: &RawValue) -> Result<PingRequest, PingParameterError> {
    let PingParameters { destination, protocol, destinationport, count, timeout } =
        parameters::read(parameters)?;
    let protocol = match protocol.as_str() {
        "icmp" => PingProtocol::Icmp,
        "tcp" => PingProtocol::Tcp,
        "udp" => PingProtocol::Udp,
        _ => return Err(PingParameterError::Protocol(protocol)),
    };
    let port = truncate(destinationport);
    let port = match u16::try_from(port) {
        Ok(0) => PORT,
        Ok(port) => port,
        Err(_) if protocol == PingProtocol::Icmp => PORT,
        Err(_) => return Err(PingParameterError::Port(port)),
    };
    let seconds = or_default(timeout, TIMEOUT_SECONDS);
    let timeout = match u64::try_from(seconds) {
        Ok(0) => PingTimeout::Zero,
        Ok(seconds) => PingTimeout::After(Duration::from_secs(seconds)),
        Err(_) => PingTimeout::After(Duration::ZERO),
    };
    Ok(PingRequest { destination, protocol, port, count: or_default(count, COUNT), timeout })
}

/// Replaces exactly 0, which also stands for an absent number. Like the original, it truncates a
/// number between 0 and 1 to 0 and does not replace it.
fn or_default(number: f64, default: i64) -> i64 {
    if number == 0.0 { default } else { truncate(number) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_numbers_have_defaults() {
        let read = |json: &str| {
            let parameters: &RawValue = serde_json::from_str(json).unwrap();
            let request = read(parameters).unwrap();
            (request.port, request.count, request.timeout)
        };
        let seconds = |seconds| PingTimeout::After(Duration::from_secs(seconds));
        assert_eq!(read(r#"{"protocol": "tcp"}"#), (80, 3, seconds(5)));
        assert_eq!(
            read(r#"{"protocol": "tcp", "destinationport": 0, "count": 0.5, "timeout": 0.5}"#),
            (80, 0, PingTimeout::Zero)
        );
        assert_eq!(
            read(r#"{"protocol": "icmp", "destinationport": -1, "count": -1, "timeout": -1}"#),
            (80, -1, seconds(0))
        );
    }
}
