//! What a worker and its parent say to each other: a request and its answer, each a line of JSON.

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::pgp::calls::{Call, Calls, FindKey, ReadLengths, Sign};
#[cfg(any(test, feature = "platform"))]
use crate::pgp::calls::{CheckEngine, CheckSignature, Generate};
#[cfg(any(test, feature = "data"))]
use crate::pgp::calls::{CheckKey, Export};
use crate::pgp::worker_error::WorkerError;

/// Size limit of a request, in bytes. The largest has the text of an action, and base64 makes it
/// longer by a third.
const REQUEST_BYTES_MAX: u64 = 64 << 20;
/// Size limit of an answer, in bytes. The largest has an exported key.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Initial size of the buffer of a request, in bytes. A request with a passphrase fits into it, so
/// that the buffer is not moved, which would leave a copy.
const REQUEST_BYTES: usize = 64 << 10;
/// The end of a line.
pub(super) const END: u8 = b'\n';

/// Defines the requests: one for each call.
macro_rules! requests {
    ($($(#[$condition:meta])? $call:ident),*) => {
        /// A call that a worker is to make.
        #[derive(Serialize, Deserialize)]
        pub(in crate::pgp) enum Request {
            $($(#[$condition])? $call($call),)*
        }

        $($(#[$condition])? impl From<$call> for Request {
            fn from(call: $call) -> Request {
                Request::$call(call)
            }
        })*

        impl Request {
            /// Makes the call; returns the line of the answer.
            pub(super) fn run(self, calls: &mut Calls) -> io::Result<Vec<u8>> {
                match self {
                    $($(#[$condition])? Request::$call(call) => line(Vec::new(), &call.run(calls)),)*
                }
            }
        }
    };
}

requests!(
    #[cfg(any(test, feature = "platform"))]
    CheckEngine,
    #[cfg(any(test, feature = "data"))]
    CheckKey,
    #[cfg(any(test, feature = "platform"))]
    CheckSignature,
    #[cfg(any(test, feature = "data"))]
    Export,
    FindKey,
    #[cfg(any(test, feature = "platform"))]
    Generate,
    ReadLengths,
    Sign
);

/// Returns the line of a request, which is wiped from memory when it is dropped.
pub(super) fn request_line(request: &Request) -> Result<Zeroizing<Vec<u8>>, WorkerError> {
    let line = line(Vec::with_capacity(REQUEST_BYTES), request).map_err(WorkerError::Ended)?;
    Ok(Zeroizing::new(line))
}

/// Reads the line of an answer.
pub(super) fn answer<C: Call>(line: &[u8]) -> Result<C::Answer, WorkerError> {
    serde_json::from_slice(line).map_err(|error| WorkerError::Ended(error.into()))
}

/// Reads a request; returns `None` at the end of `source`.
pub(super) fn next_request(source: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = Zeroizing::new(Vec::with_capacity(REQUEST_BYTES));
    source.by_ref().take(REQUEST_BYTES_MAX).read_until(END, &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(&END) => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) => Err(io::Error::other("the request is cut short or too long")),
    }
}

fn line(mut line: Vec<u8>, value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_writer(&mut line, value)?;
    line.push(END);
    Ok(line)
}
