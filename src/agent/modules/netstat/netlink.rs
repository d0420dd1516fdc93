//! A conversation with the kernel by netlink, RFC 3549: one question, and a list as answer.
//!
//! All numbers are in the order of the processor, all parts begin at multiples of four.

use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use crate::spawn::deadline::Deadline;

/// The most that the kernel sends at once.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;
/// How long the kernel may keep silent.
const SILENCE_SPAN: Duration = Duration::from_secs(10);
/// How often a question is put again whose answer was disturbed by a change.
const ATTEMPTS_MAX: usize = 10;

const HEADER_BYTES: usize = 16;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
/// What it is asked: all of it.
const REQUEST_DUMP: u16 = 0x0301;
/// The flag of an answer during which something has changed.
const DISTURBED: u16 = 0x10;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The bits of an attribute's kind that tell how it is written.
const KIND_MASK: u16 = 0x3fff;

/// One entry of a list.
#[derive(Debug, Clone)]
pub(super) struct Entry(Vec<u8>);

impl Entry {
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

/// Returns the number at a place.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn aligned(size: usize) -> usize {
    size.next_multiple_of(4)
}

/// Asks for a list by the question `kind` with its `fixed` part.
pub(super) fn list(kind: u16, fixed: &[u8]) -> io::Result<Vec<Entry>> {
    for _ in 1..ATTEMPTS_MAX {
        if let Some(entries) = ask(kind, fixed)? {
            return Ok(entries);
        }
    }
    Err(io::Error::other("it changes faster than it can be read"))
}

/// Asks once; `None` if the answer was disturbed.
fn ask(kind: u16, fixed: &[u8]) -> io::Result<Option<Vec<Entry>>> {
    let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
    // Without a protocol it is that of routing, whose number is 0.
    let socket = socket_with(family, SocketType::RAW, flags, None)?;
    send(&socket, &question(kind, fixed)?, SendFlags::empty())?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut answer = Answer::default();
    loop {
        if !Deadline::after(SILENCE_SPAN).readable(&socket)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (size, sent) = recv(&socket, &mut buffer[..], RecvFlags::TRUNC)?;
        let datagram = buffer.get(..size).filter(|_| size == sent).ok_or_else(bad)?;
        if answer.add(datagram)? {
            return Ok((!answer.is_disturbed).then_some(answer.entries));
        }
    }
}

fn question(kind: u16, fixed: &[u8]) -> io::Result<Vec<u8>> {
    let size = u32::try_from(HEADER_BYTES + fixed.len()).map_err(io::Error::other)?;
    let mut bytes = size.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(REQUEST_DUMP.to_ne_bytes());
    // The number of the question and of the asker: a socket of its own needs neither.
    bytes.extend([0; 8]);
    bytes.extend(fixed);
    Ok(bytes)
}

fn bad() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is damaged")
}

#[derive(Debug, Default)]
struct Answer {
    entries: Vec<Entry>,
    is_disturbed: bool,
}

impl Answer {
    /// Takes in a datagram; true if it was the last.
    fn add(&mut self, mut datagram: &[u8]) -> io::Result<bool> {
        while !datagram.is_empty() {
            let size = u32_at(datagram, 0).and_then(|size| usize::try_from(size).ok());
            let size = size.ok_or_else(bad)?;
            let (kind, flags) = u16_at(datagram, 4).zip(u16_at(datagram, 6)).ok_or_else(bad)?;
            let body = datagram.get(HEADER_BYTES..size).ok_or_else(bad)?;
            self.is_disturbed |= flags & DISTURBED != 0;
            match kind {
                ERROR | DONE => {
                    // What is not there is no error.
                    let code = u32_at(body, 0).unwrap_or_default().cast_signed();
                    return if code == 0 {
                        Ok(true)
                    } else {
                        Err(Errno::from_raw_os_error(code.saturating_neg()).into())
                    };
                }
                _ => self.entries.push(Entry(body.to_vec())),
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
        let mut bytes = question(kind, body).unwrap();
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    #[test]
    fn answers_are_put_together() {
        let mut answer = Answer::default();
        let two = [message(16, 2, b"abcde"), message(16, 2, b"fgh")].concat();
        assert!(!answer.add(&two).unwrap());
        assert!(answer.add(&message(DONE, 2, &[0; 4])).unwrap());
        let bodies: Vec<&[u8]> = answer.entries.iter().map(|entry| &entry.0[..]).collect();
        assert_eq!(bodies, [&b"abcde"[..], b"fgh"]);
        assert!(!answer.is_disturbed);
        answer.add(&message(16, DISTURBED, b"")).unwrap();
        assert!(answer.is_disturbed);
    }

    #[test]
    fn errors_and_damage_are_told() {
        let denied = message(ERROR, 0, &(-1_i32).to_ne_bytes());
        let error = Answer::default().add(&denied).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(1));
        for size in 1..denied.len() {
            assert!(Answer::default().add(&denied[..size]).is_err(), "{size} bytes");
        }
        assert!(Answer::default().add(&[0; 16]).is_err(), "a message without length");
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
