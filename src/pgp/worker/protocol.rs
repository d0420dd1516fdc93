//! What a worker and its parent say to each other: a request and its answer, both JSON.
//!
//! The number of its bytes precedes a request, so that both ends hold it in one buffer of exactly
//! its size. A buffer that grows, and one that reads ahead, would leave copies of the passphrase. An
//! answer, which contains no secret, ends with a line feed.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
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
const REQUEST_BYTES_MAX: usize = 64 << 20;
/// Size limit of an answer, in bytes. The largest has an exported key.
pub(super) const ANSWER_BYTES_MAX: usize = 16 << 20;
/// The end of an answer.
pub(super) const END: u8 = b'\n';

/// The number of bytes of a request, as it precedes the request.
type Length = u32;

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
                    $($(#[$condition])? Request::$call(call) => line(&call.run(calls)),)*
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

/// Counts the bytes that are written to it.
struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a request with its length. It is wiped from memory when it is dropped.
pub(in crate::pgp) fn request_bytes(
    request: &impl Serialize,
) -> Result<Zeroizing<Vec<u8>>, WorkerError> {
    encode(request).map_err(WorkerError::Ended)
}

fn encode(request: &impl Serialize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, request)?;
    let too_long = |_| io::Error::other("the request is too long");
    let length = Length::try_from(counter.0).map_err(too_long)?.to_be_bytes();
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.len() + counter.0));
    bytes.extend_from_slice(&length);
    serde_json::to_writer(&mut *bytes, request)?;
    Ok(bytes)
}

/// Reads the line of an answer.
pub(in crate::pgp) fn answer<T: DeserializeOwned>(line: &[u8]) -> Result<T, WorkerError> {
    serde_json::from_slice(line).map_err(|error| WorkerError::Ended(error.into()))
}

/// Reads a request.
///
/// # Errors
/// `source` has ended or failed, or contains no valid request.
pub(in crate::pgp) fn next_request<T: DeserializeOwned>(source: &mut impl Read) -> io::Result<T> {
    let mut length = [0; size_of::<Length>()];
    source.read_exact(&mut length)?;
    let length = usize::try_from(Length::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > REQUEST_BYTES_MAX {
        return Err(io::Error::other("the request is too long"));
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    source.read_exact(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Returns the line of an answer.
pub(in crate::pgp) fn line(answer: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(END);
    Ok(line)
}
