//! The packets of the Simple Network Time Protocol, RFC 4330 and RFC 5905.
//!
//! A time in them is the seconds since 1900 and their fraction, 32 bits each. The seconds overflow
//! every 136 years, next in 2036; of the times that a number can mean, the one nearest to this
//! host's clock is used.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock;

/// Size of a packet without extensions.
const PACKET_BYTES: usize = 48;
/// Size of the random number by which an answer is matched to its request.
pub(super) const COOKIE_BYTES: usize = 8;
/// Version 4, client mode.
const REQUEST_FLAGS: u8 = 0b00_100_011;
const SERVER_MODE: u8 = 4;
/// The leap indicator of a server that is not synchronised.
const LEAP_UNKNOWN: u8 = 3;
/// The highest stratum of a synchronised server.
const STRATUM_MAX: u8 = 15;
/// The seconds from 1900 to 1970.
const EPOCH_SECONDS: i64 = 2_208_988_800;
/// The seconds after which the numbers of seconds begin again.
const ERA_SECONDS: i64 = 1 << 32;

const ORIGIN_AT: usize = 24;
const RECEIVED_AT: usize = 32;
const SENT_AT: usize = 40;

/// Why an answer is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("packet has {0} bytes, fewer than {PACKET_BYTES}")]
    Short(usize),
    #[error("mode {0} is not that of a server")]
    Mode(u8),
    #[error("not an answer to this request")]
    WrongCookie,
    #[error("server refuses with code {0:?}")]
    Refused(String),
    #[error("server is not synchronised")]
    Unsynchronised,
    #[error("packet has no time")]
    NoTime,
}

/// The times of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerAnswer {
    /// When it received the request; 0 if unknown.
    received: u64,
    /// When it sent the answer.
    sent: u64,
}

/// The comparison of two clocks at the arrival of an answer.
#[derive(Debug, Clone)]
pub(super) struct ClockReading {
    /// The server's time.
    pub(super) time: Timestamp,
    /// How far this host's clock is ahead of the server's.
    pub(super) drift: SignedDuration,
    /// The time between request and answer.
    pub(super) latency: Duration,
}

/// Returns a request that carries `cookie` in place of our time.
pub(super) fn request(cookie: [u8; COOKIE_BYTES]) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    if let Some((first, rest)) = packet.split_first_mut() {
        *first = REQUEST_FLAGS;
        if let Some(sent) = rest.last_chunk_mut() {
            *sent = cookie;
        }
    }
    packet
}

/// Checks the answer to a request.
pub(super) fn parse_answer(
    packet: &[u8],
    cookie: [u8; COOKIE_BYTES],
) -> Result<ServerAnswer, AnswerError> {
    let [flags, stratum, ..] = packet else { return Err(AnswerError::Short(packet.len())) };
    let time = |at| u64_at(packet, at).ok_or(AnswerError::Short(packet.len()));
    let (origin, received, sent) = (time(ORIGIN_AT)?, time(RECEIVED_AT)?, time(SENT_AT)?);
    let (leap, mode) = (flags >> 6, flags & 0b111);
    if origin != u64::from_be_bytes(cookie) {
        return Err(AnswerError::WrongCookie);
    }
    if mode != SERVER_MODE {
        return Err(AnswerError::Mode(mode));
    }
    if *stratum == 0 {
        let code = packet.get(12..16).unwrap_or_default();
        return Err(AnswerError::Refused(String::from_utf8_lossy(code).into_owned()));
    }
    if leap == LEAP_UNKNOWN || *stratum > STRATUM_MAX {
        return Err(AnswerError::Unsynchronised);
    }
    // Servers that do not fill in the time send a fraction of 0.
    if sent >> 32 == 0 || sent.trailing_zeros() >= 32 {
        return Err(AnswerError::NoTime);
    }
    Ok(ServerAnswer { received, sent })
}

fn u64_at(packet: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*packet.get(at..)?.first_chunk()?))
}

impl ServerAnswer {
    /// Compares this answer, which arrived at `local` and `latency` after the request, with our
    /// clock.
    pub(super) fn compare(&self, local: Timestamp, latency: Duration) -> ClockReading {
        // The time that the server took is not part of the round trip, if it is plausible.
        let held = match self.received {
            0 => Duration::ZERO,
            received => span(received, self.sent),
        };
        let held = if held <= latency { held } else { Duration::ZERO };
        let one_way = latency.saturating_sub(held) / 2;
        let time = clock::after(nearest(self.sent, local), one_way);
        ClockReading { time, drift: local.duration_since(time), latency }
    }
}

/// Returns the span between two times of a server; the maximum if they are reversed.
fn span(earlier: u64, later: u64) -> Duration {
    later.checked_sub(earlier).map_or(Duration::MAX, |span| Duration::new(span >> 32, nanos(span)))
}

/// Returns the time of `stamp` in the era in which it is nearest to `local`.
fn nearest(stamp: u64, local: Timestamp) -> Timestamp {
    let seconds = i64::try_from(stamp >> 32).unwrap_or_default();
    let local_seconds = local.as_second().saturating_add(EPOCH_SECONDS);
    let ahead = (seconds - local_seconds).rem_euclid(ERA_SECONDS);
    let ahead = if ahead >= ERA_SECONDS / 2 { ahead - ERA_SECONDS } else { ahead };
    let nanos = i32::try_from(nanos(stamp)).unwrap_or_default();
    // Only a clock at the limits of all timestamps has no such time.
    Timestamp::new(local.as_second().saturating_add(ahead), nanos).unwrap_or(local)
}

/// Returns the fraction in the lower half of `stamp`, in nanoseconds.
fn nanos(stamp: u64) -> u32 {
    let fraction = stamp & u64::from(u32::MAX);
    u32::try_from((fraction * 1_000_000_000) >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOKIE: [u8; COOKIE_BYTES] = *b"01234567";

    /// Parses a valid answer after `change` has altered it.
    fn changed(change: impl Fn(&mut [u8; PACKET_BYTES])) -> Result<ServerAnswer, AnswerError> {
        let mut packet = [0; PACKET_BYTES];
        packet[0] = 0b00_100_100;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&COOKIE);
        packet[40..48].copy_from_slice(&[0xe0, 0, 0, 0, 0x80, 0, 0, 0]);
        change(&mut packet);
        parse_answer(&packet, COOKIE)
    }

    #[test]
    fn request_carries_the_cookie_and_no_time() {
        let packet = request(COOKIE);
        assert_eq!((packet[0], &packet[40..]), (0x23, &COOKIE[..]));
        assert!(packet[1..40].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn invalid_answers_are_rejected() {
        let valid = ServerAnswer { received: 0, sent: 0xe000_0000_8000_0000 };
        assert_eq!(changed(|_| ()), Ok(valid));
        assert_eq!(changed(|p| p[24] = 0), Err(AnswerError::WrongCookie));
        assert_eq!(changed(|p| p[0] = 0x23), Err(AnswerError::Mode(3)));
        assert_eq!(changed(|p| p[0] |= 0b1100_0000), Err(AnswerError::Unsynchronised));
        assert_eq!(changed(|p| p[1] = 16), Err(AnswerError::Unsynchronised));
        assert_eq!(changed(|p| p[40..].fill(0)), Err(AnswerError::NoTime));
        assert_eq!(changed(|p| p[44..].fill(0)), Err(AnswerError::NoTime));
        let refused = changed(|p| {
            p[1] = 0;
            p[12..16].copy_from_slice(b"RATE");
        });
        assert_eq!(refused, Err(AnswerError::Refused("RATE".to_owned())));
        assert_eq!(parse_answer(&[0; 47], COOKIE), Err(AnswerError::Short(47)));
        assert_eq!(parse_answer(&[], COOKIE), Err(AnswerError::Short(0)));
    }

    fn stamp(at: Timestamp) -> u64 {
        let seconds = (at.as_second() + EPOCH_SECONDS).cast_unsigned();
        let nanos = u64::from(at.subsec_nanosecond().cast_unsigned());
        (seconds << 32) | ((nanos << 32) / 1_000_000_000 + 1)
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn time_is_corrected_for_half_of_the_round_trip() {
        let latency = Duration::from_millis(300);
        let sent = stamp(at("2026-11-22T02:00:00Z"));
        let drift = |received: u64| {
            let answer = ServerAnswer { received, sent };
            let reading = answer.compare(at("2026-11-22T02:00:10Z"), latency);
            // To the precision of a fraction of 32 bits.
            (reading.drift.as_nanos() + 500) / 1000
        };
        assert_eq!(drift(0), 9_850_000);
        assert_eq!(drift(stamp(at("2026-11-22T01:59:59.9Z"))), 9_900_000);
        // Implausible times of the server are ignored.
        assert_eq!(drift(stamp(at("2026-11-22T01:59:50Z"))), 9_850_000);
        assert_eq!(drift(stamp(at("2026-11-22T02:00:01Z"))), 9_850_000);
    }

    #[test]
    fn times_of_the_neighbouring_eras_are_understood() {
        let era = at("2036-02-07T06:28:16Z");
        let reading = |sent: Timestamp, local: Timestamp| {
            let answer = ServerAnswer { received: 0, sent: stamp(sent) };
            answer.compare(local, Duration::ZERO).drift.as_secs()
        };
        let minute = SignedDuration::from_mins(1);
        assert_eq!(reading(era + minute, era - minute), -120);
        assert_eq!(reading(era - minute, era + minute), 120);
        assert_eq!(reading(at("2100-01-01T00:00:00Z"), at("2100-01-01T01:00:00Z")), 3600);
        assert_eq!(reading(at("1970-01-01T00:00:05Z"), at("1970-01-01T00:00:00Z")), -5);
    }
}
