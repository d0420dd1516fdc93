//! A ping by TCP: a connection that is closed as soon as it is there.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::request::Timeout;
use super::{Fault, Outcome};

/// Connects to `address`.
pub(super) fn ping(address: SocketAddr, timeout: Timeout) -> Result<Outcome, Fault> {
    let began = Instant::now();
    let connected = match timeout {
        Timeout::After(Duration::ZERO) => return Ok(Outcome::TimedOut),
        Timeout::After(span) => TcpStream::connect_timeout(&address, span),
        // Without a limit of ours the system gives up after some minutes.
        Timeout::Zero => TcpStream::connect(address),
    };
    match connected {
        Ok(_) => Ok(Outcome::Answered(began.elapsed())),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Ok(Outcome::Refused),
            io::ErrorKind::TimedOut => Ok(Outcome::TimedOut),
            _ => Err(Fault::when("Dial Error", format!("dial tcp {address}: connect"))(error)),
        },
    }
}
