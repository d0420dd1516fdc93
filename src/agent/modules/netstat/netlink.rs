//! Requests to the kernel by netlink, RFC 3549, that are answered with a list.
//!
//! Numbers are in the processor's byte order. All parts begin at multiples of four bytes.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use crate::spawn::deadline::Deadline;

/// Maximum size of a datagram from the kernel, in bytes.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// Time limit for each datagram.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of attempts while the table changes during the answer.
const ATTEMPTS_MAX: usize = 10;

const HEADER_BYTES: usize = 16;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// The flags of a request for a whole table.
const REQUEST_DUMP: u16 = 0x0301;
/// The flag of an answer during which the table has changed.
const INTERRUPTED: u16 = 0x10;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The bits of an attribute's kind that are not flags.
const KIND_MASK: u16 = 0x3fff;

/// One entry of a list.
#[derive(Debug, Clone)]
pub(super) struct NetlinkEntry(Vec<u8>);

impl NetlinkEntry {
    /// Returns the fixed part, and the attributes after its `size` bytes.
    pub(super) fn split(&self, size: usize) -> Option<(&[u8], Attributes<'_>)> {
        let (fixed, rest) = self.0.split_at_checked(size)?;
        Some((fixed, Attributes(rest)))
    }
}

/// The attributes of an entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Returns the value of the first attribute of this kind.
    pub(super) fn get(self, kind: u16) -> Option<&'a [u8]> {
        let mut rest = self.0;
        loop {
            let (size, found) = (u16_at(rest, 0)?, u16_at(rest, 2)? & KIND_MASK);
            let value = rest.get(ATTRIBUTE_HEADER_BYTES..usize::from(size))?;
            if found == kind {
                return Some(value);
            }
            rest = rest.get(aligned(size.into())..)?;
        }
    }
}

/// Returns the number at an offset.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn aligned(size: usize) -> usize {
    size.next_multiple_of(4)
}

/// Requests a list with a message of this kind and fixed part.
pub(super) fn list(kind: u16, fixed: &[u8]) -> io::Result<Vec<NetlinkEntry>> {
    for _ in 0..ATTEMPTS_MAX {
        if let Some(entries) = list_once(kind, fixed)? {
            return Ok(entries);
        }
    }
    Err(io::Error::other("the table changes faster than it can be read"))
}

/// Requests a list once; `None` if the table changed during the answer.
fn list_once(kind: u16, fixed: &[u8]) -> io::Result<Option<Vec<NetlinkEntry>>> {
    let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
    // The default protocol 0 is NETLINK_ROUTE.
    let socket = socket_with(family, SocketType::RAW, flags, None)?;
    send(&socket, &request(kind, fixed)?, SendFlags::empty())?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut answer = NetlinkAnswer::default();
    loop {
        if !Deadline::after(RECEIVE_TIMEOUT).readable(&socket)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (size, sent) = recv(&socket, &mut buffer[..], RecvFlags::TRUNC)?;
        let datagram = buffer.get(..size).filter(|_| size == sent).ok_or_else(damaged)?;
        if answer.add(datagram)? {
            return Ok((!answer.is_interrupted).then_some(answer.entries));
        }
    }
}

fn request(kind: u16, fixed: &[u8]) -> io::Result<Vec<u8>> {
    let size = u32::try_from(HEADER_BYTES + fixed.len()).map_err(io::Error::other)?;
    let mut bytes = size.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(REQUEST_DUMP.to_ne_bytes());
    // Sequence number and port: a socket for a single request needs neither.
    bytes.extend([0; 8]);
    bytes.extend(fixed);
    Ok(bytes)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is damaged")
}

#[derive(Debug, Default)]
struct NetlinkAnswer {
    entries: Vec<NetlinkEntry>,
    is_interrupted: bool,
}

impl NetlinkAnswer {
    /// Adds a datagram; returns true if it was the last one.
    fn add(&mut self, mut datagram: &[u8]) -> io::Result<bool> {
        while !datagram.is_empty() {
            let size = u32_at(datagram, 0).and_then(|size| usize::try_from(size).ok());
            let size = size.ok_or_else(damaged)?;
            let (kind, flags) = u16_at(datagram, 4).zip(u16_at(datagram, 6)).ok_or_else(damaged)?;
            let body = datagram.get(HEADER_BYTES..size).ok_or_else(damaged)?;
            self.is_interrupted |= flags & INTERRUPTED != 0;
            match kind {
                ERROR | DONE => {
                    // A message without a code is not an error.
                    let code = u32_at(body, 0).unwrap_or_default().cast_signed();
                    return if code == 0 {
                        Ok(true)
                    } else {
                        Err(Errno::from_raw_os_error(code.saturating_neg()).into())
                    };
                }
                _ => self.entries.push(NetlinkEntry(body.to_vec())),
            }
            datagram = datagram.get(aligned(size)..).unwrap_or_default();
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = request(kind, body).unwrap();
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    #[test]
    fn entries_of_several_datagrams_are_collected() {
        let mut answer = NetlinkAnswer::default();
        let two = [message(16, 2, b"abcde"), message(16, 2, b"fgh")].concat();
        assert!(!answer.add(&two).unwrap());
        assert!(answer.add(&message(DONE, 2, &[0; 4])).unwrap());
        let bodies: Vec<&[u8]> = answer.entries.iter().map(|entry| &entry.0[..]).collect();
        assert_eq!(bodies, [&b"abcde"[..], b"fgh"]);
        assert!(!answer.is_interrupted);
        answer.add(&message(16, INTERRUPTED, b"")).unwrap();
        assert!(answer.is_interrupted);
    }

    #[test]
    fn errors_and_damaged_datagrams_are_returned() {
        let denied = message(ERROR, 0, &(-1_i32).to_ne_bytes());
        let error = NetlinkAnswer::default().add(&denied).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(1));
        for size in 1..denied.len() {
            assert!(NetlinkAnswer::default().add(&denied[..size]).is_err(), "{size} bytes");
        }
        assert!(NetlinkAnswer::default().add(&[0; 16]).is_err(), "a message of length 0");
    }

    #[test]
    fn attributes_are_found_by_kind() {
        let bytes = [
            &5_u16.to_ne_bytes()[..],
            &1_u16.to_ne_bytes(),
            b"a\0\0\0",
            &6_u16.to_ne_bytes(),
            &(2_u16 | 0x8000).to_ne_bytes(),
            b"bc",
        ]
        .concat();
        let attributes = Attributes(&bytes);
        assert_eq!(attributes.get(1), Some(&b"a"[..]));
        assert_eq!(attributes.get(2), Some(&b"bc"[..]));
        assert_eq!(attributes.get(3), None);
        assert_eq!(Attributes(&[0; 8]).get(1), None);
    }
}
